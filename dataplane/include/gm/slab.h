/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one size under uint32_t handles. Handles start at 1; 0 is none. Records do not move. Memory comes in
 * chunks that are locked where the limit allows, kept out of core dumps, and stay until the slab ends. One thread. */
#ifndef GM_SLAB_H
#define GM_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define GM_SLAB_CHUNK 1024u /* records in a chunk */

struct gm_slab {
	size_t item;
	uint32_t max, made, free, used;
	uint8_t **chunk;
	uint32_t chunks;
};

/* item: bytes of a record, at least 4; max: records at most */
void gm_slab_init(struct gm_slab *s, size_t item, uint32_t max);
void gm_slab_free(struct gm_slab *s); /* wipes */
uint32_t gm_slab_get(struct gm_slab *s); /* a zeroed record; 0: full */
void gm_slab_put(struct gm_slab *s, uint32_t h); /* wipes */

static inline void *gm_slab_at(const struct gm_slab *s, uint32_t h)
{
	return s->chunk[(h - 1) / GM_SLAB_CHUNK] + (size_t)((h - 1) % GM_SLAB_CHUNK) * s->item;
}

#endif
