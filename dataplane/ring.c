/* SPDX-License-Identifier: Apache-2.0 */
/* Positions only grow; position & mask is the place. A record is an 8-byte head and its bytes, padded to 8. What does
 * not fit before the end leaves a wrap marker there and starts at place 0; marker and record become visible in one
 * store. Each side keeps its last look at the other's position and looks again only when that one says full or empty.
 */
#include "gm/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "gm/crypto.h"

#define LINE 64u
#define HEAD 8u
#define WRAP UINT64_MAX

struct gm_ring {
	alignas(LINE) _Atomic size_t head; /* producer's line */
	size_t tail_seen, reserved_at, reserved;
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
	ring->tail_seen = ring->reserved_at = ring->head_seen = 0;
	ring->mask = cap - 1;
	return ring;
}

void gm_ring_free(struct gm_ring *ring)
{
	if (!ring)
		return;
	gm_wipe(ring->bytes, ring->mask + 1);
	free(ring);
}

static bool fits(struct gm_ring *ring, size_t end)
{
	if (end - ring->tail_seen <= ring->mask + 1)
		return true;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return end - ring->tail_seen <= ring->mask + 1;
}

void *gm_ring_reserve(struct gm_ring *ring, size_t len)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t rest = before_end(ring, head);

	if (len > (ring->mask + 1) / 2 - HEAD)
		return NULL;
	size_t at = record_size(len) > rest ? head + rest : head;

	if (!fits(ring, at + record_size(len)))
		return NULL;
	ring->reserved_at = at;
	ring->reserved = len;
	return head_at(ring, at) + 1;
}

void gm_ring_commit(struct gm_ring *ring, size_t len)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (len > ring->reserved)
		abort(); /* written past the reservation: the records behind are not what they were */
	if (ring->reserved_at != head)
		*head_at(ring, head) = WRAP;
	*head_at(ring, ring->reserved_at) = len;
	atomic_store_explicit(&ring->head, ring->reserved_at + record_size(len), memory_order_release);
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

void gm_ring_release(struct gm_ring *ring)
{
	size_t at = oldest(ring);

	atomic_store_explicit(&ring->tail, at + record_size(*head_at(ring, at)), memory_order_release);
}

size_t gm_ring_used(const struct gm_ring *ring)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	return atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
}
