/* SPDX-License-Identifier: Apache-2.0 */
/* Positions only grow; position & mask is the place. A record is an 8-byte head and its bytes, padded to 8. What does
 * not fit before the end leaves a wrap marker there and starts at place 0; marker and record become visible in one
 * store. Each side keeps its last look at the other's position and looks again only when that one says full or empty.
 *
 * A ring that is found empty begins again at place 0, so that it touches no more of its memory than has waited in it at a
 * time; what a burst has touched goes back to the system when the producer says so.
 */
#include "gm/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gm/crypto.h"

#define LINE 64u
#define PAGE ((uintptr_t)4096)
#define KEEP ((size_t)256 << 10) /* bytes at its beginning that stay */
/* Bytes from which on an empty ring begins again: till the consumer has looked, no more than were used fit into it, and what a
 * worker verifies in a turn has to. */
#define BEGIN ((size_t)1 << 20)
#define LOOK 16u                 /* log2 of the bytes from one look for emptiness to the next */
#define HEAD 8u
#define WRAP UINT64_MAX

struct gm_ring {
	alignas(LINE) _Atomic size_t head; /* producer's line */
	size_t tail_seen, reserved_at, reserved, looked, touched; /* touched: places below */
	size_t skip_at, skipped; /* the last wrap marker, and places behind it that hold nothing */
	alignas(LINE) _Atomic size_t tail; /* consumer's line */
	size_t head_seen;
	alignas(LINE) size_t mask; /* neither changes */
	alignas(LINE) uint8_t bytes[];
};

static uint64_t *head_at(struct gm_ring *ring, size_t pos)
{
	return (void *)(ring->bytes + (pos & ring->mask));
}

static size_t record_size(size_t len)
{
	return HEAD + ((len + HEAD - 1) & ~(size_t)(HEAD - 1));
}

static size_t before_end(const struct gm_ring *ring, size_t pos)
{
	return ring->mask + 1 - (pos & ring->mask);
}

struct gm_ring *gm_ring_new(size_t cap)
{
	struct gm_ring *ring = aligned_alloc(LINE, sizeof(*ring) + cap);

	if (!ring)
		return NULL;
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	ring->tail_seen = ring->reserved_at = ring->head_seen = ring->looked = ring->touched = 0;
	ring->skip_at = ring->skipped = 0;
	ring->mask = cap - 1;
	return ring;
}

void gm_ring_free(struct gm_ring *ring)
{
	if (!ring)
		return;
	gm_wipe(ring->bytes, ring->touched);
	free(ring);
}

static bool fits(struct gm_ring *ring, size_t end)
{
	if (end - ring->tail_seen <= ring->mask + 1)
		return true;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return end - ring->tail_seen <= ring->mask + 1;
}

void gm_ring_batch(struct gm_ring *ring)
{
	ring->looked = 0;
}

/* Past BEGIN, with each batch and now and then: nothing waits, and the record fits into places that the consumer has left. */
static bool may_begin_again(struct gm_ring *ring, size_t head, size_t size)
{
	if ((head & ring->mask) < BEGIN || size > (head & ring->mask) || head >> LOOK == ring->looked)
		return false;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	if (ring->tail_seen != head)
		ring->looked = head >> LOOK;
	return ring->tail_seen == head;
}

void *gm_ring_reserve(struct gm_ring *ring, size_t len)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t rest = before_end(ring, head);

	if (len > (ring->mask + 1) / 2 - HEAD)
		return NULL;
	size_t at = record_size(len) > rest || may_begin_again(ring, head, record_size(len)) ? head + rest : head;

	if (!fits(ring, at + record_size(len)))
		return NULL;
	size_t end = (at & ring->mask) + record_size(len);
	ring->touched = end > ring->touched ? end : ring->touched;
	ring->reserved_at = at;
	ring->reserved = len;
	return head_at(ring, at) + 1;
}

void gm_ring_commit(struct gm_ring *ring, size_t len)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (len > ring->reserved)
		abort(); /* written past the reservation: the records behind are not what they were */
	if (ring->reserved_at != head) {
		*head_at(ring, head) = WRAP;
		ring->skip_at = head;
		ring->skipped = ring->reserved_at - head;
	}
	*head_at(ring, ring->reserved_at) = len;
	atomic_store_explicit(&ring->head, ring->reserved_at + record_size(len), memory_order_release);
}

void gm_ring_trim(struct gm_ring *ring)
{
	uintptr_t from = ((uintptr_t)ring->bytes + KEEP + PAGE - 1) & ~(PAGE - 1),
	          to = ((uintptr_t)ring->bytes + ring->touched) & ~(PAGE - 1);

	if (to <= from || atomic_load_explicit(&ring->tail, memory_order_acquire) !=
	                          atomic_load_explicit(&ring->head, memory_order_relaxed))
		return; /* the consumer reads nothing of an empty ring */
	madvise((void *)from, to - from, MADV_DONTNEED);
	ring->touched = KEEP + PAGE;
}

/* Position of the oldest record; only where there is one. */
static size_t oldest(struct gm_ring *ring)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return *head_at(ring, tail) == WRAP ? tail + before_end(ring, tail) : tail;
}

void *gm_ring_peek(struct gm_ring *ring, size_t *len)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == ring->head_seen) {
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail == ring->head_seen)
			return NULL;
	}
	uint64_t *head = head_at(ring, oldest(ring));

	*len = *head;
	return head + 1;
}

unsigned gm_ring_peek_many(struct gm_ring *ring, void **records, unsigned n)
{
	size_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	unsigned got = 0;

	while (got < n) {
		if (at == ring->head_seen)
			ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (at == ring->head_seen)
			break;
		if (*head_at(ring, at) == WRAP)
			at += before_end(ring, at);
		records[got++] = head_at(ring, at) + 1;
		at += record_size(*head_at(ring, at));
	}
	return got;
}

void gm_ring_release(struct gm_ring *ring)
{
	size_t at = oldest(ring), n = record_size(*head_at(ring, at));

	gm_wipe(head_at(ring, at) + 1, n - HEAD); /* keys pass through here, and would stay until the ring comes round */
	atomic_store_explicit(&ring->tail, at + n, memory_order_release);
}

size_t gm_ring_touched(const struct gm_ring *ring)
{
	return ring->touched;
}

size_t gm_ring_used(const struct gm_ring *ring)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	return atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
}

size_t gm_ring_waiting(const struct gm_ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t used = head - atomic_load_explicit(&ring->tail, memory_order_acquire);

	return head - ring->skip_at <= used ? used - ring->skipped : used; /* the consumer has not come by it */
}

size_t gm_ring_released(const struct gm_ring *ring)
{
	return atomic_load_explicit(&ring->tail, memory_order_relaxed);
}
