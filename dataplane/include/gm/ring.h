/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of records between one producing and one consuming thread: lock-free, bounded, records of any length in one
 * piece, aligned to 8 bytes. Memory is the ring's own. */
#ifndef GM_RING_H
#define GM_RING_H

#include <stddef.h>
#include <stdint.h>

#include "gm/err.h"

struct gm_ring;

/* cap: bytes, a power of two >= 4,096; a record may be at most half of it, less 8. NULL: out of memory */
GM_NODISCARD struct gm_ring *gm_ring_new(size_t cap);
void gm_ring_free(struct gm_ring *ring);

/* Producer: len bytes to fill; NULL when full. One reservation at a time, which commit ends; one that is not committed is as if
 * it had not been. */
GM_NODISCARD void *gm_ring_reserve(struct gm_ring *ring, size_t len);
/* Producer: hand over the reserved record. len may be smaller than reserved. */
void gm_ring_commit(struct gm_ring *ring, size_t len);

/* Producer: several records follow; a good time to begin again at the front. */
void gm_ring_batch(struct gm_ring *ring);
/* Producer: give memory back that a burst has touched, if nothing waits. Costs a comparison where there is none. */
void gm_ring_trim(struct gm_ring *ring);

/* Consumer: the oldest record, NULL when empty; good until released. */
void *gm_ring_peek(struct gm_ring *ring, size_t *len);
void gm_ring_release(struct gm_ring *ring);
/* Consumer: up to n records from the oldest on, each good until it is released; how many. */
unsigned gm_ring_peek_many(struct gm_ring *ring, void **records, unsigned n);

size_t gm_ring_touched(const struct gm_ring *ring); /* producer: bytes of memory that are there */
size_t gm_ring_waiting(const struct gm_ring *ring); /* producer: bytes of records in it */
/* Bytes in use, and what the consumer has released so far, which only grows; any thread. */
size_t gm_ring_used(const struct gm_ring *ring);
size_t gm_ring_released(const struct gm_ring *ring);

#endif
