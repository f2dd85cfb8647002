/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one size under uint32_t handles. Handles start at 1; 0 is none. Records do not move. Memory comes in
 * chunks that are locked where the limit allows, kept out of core dumps, and stay until the slab ends; pages of a chunk
 * that no record has used yet, or since it was trimmed, are not there. One thread. */
#ifndef GM_SLAB_H
#define GM_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "gm/err.h"

#define GM_SLAB_CHUNK ((size_t)256 << 10) /* bytes of a chunk at most, where it holds more than one record */

struct gm_slab {
	size_t item;
	uint32_t max, made, free, used;
	uint32_t shift; /* a chunk holds 1 << shift records */
	uint32_t chunks, held; /* room in chunk; chunks there are */
	uint8_t **chunk;
};

/* item: bytes of a record, at least 4; max: records at most */
void gm_slab_init(struct gm_slab *s, size_t item, uint32_t max);
void gm_slab_free(struct gm_slab *s); /* wipes */
GM_NODISCARD uint32_t gm_slab_get(struct gm_slab *s); /* a zeroed record; 0: full, or out of memory */
void gm_slab_put(struct gm_slab *s, uint32_t h); /* wipes; h is one that was got and not put back since */
void gm_slab_trim(struct gm_slab *s); /* its pages go back to the system if no record is in use and there was more than a chunk of them */
size_t gm_slab_bytes(const struct gm_slab *s); /* that records have used so far, and the list of chunks */

/* h is one that was got and not put back since: 0 or another is not noticed, and reads elsewhere. */
static inline void *gm_slab_at(const struct gm_slab *s, uint32_t h)
{
	return s->chunk[(h - 1) >> s->shift] + (size_t)((h - 1) & ((1u << s->shift) - 1)) * s->item;
}

/* n bytes will be looked at soon. */
static inline void gm_ahead(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i += 64)
		__builtin_prefetch((const uint8_t *)p + i, 1);
	__builtin_prefetch((const uint8_t *)p + n - 1, 1);
	__asm__ volatile(""); /* else gcc takes a caller that does no more than this for one without effect, and leaves it out */
}

#endif
