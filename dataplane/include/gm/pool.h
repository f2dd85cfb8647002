/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings of any length up to GM_POOL_MAX under uint32_t handles, in slabs by size: no head, at most 7 bytes of
 * padding up to 256, a quarter beyond. Handle 0 is none. Who has the handle knows the length. One thread. */
#ifndef GM_POOL_H
#define GM_POOL_H

#include "gm/slab.h"

#define GM_POOL_CLASSES 72u
#define GM_POOL_MAX 262144u

struct gm_pool {
	struct gm_slab of[GM_POOL_CLASSES];
	size_t bytes; /* of all of them */
};

void gm_pool_init(struct gm_pool *p);
void gm_pool_free(struct gm_pool *p); /* wipes */
GM_NODISCARD uint32_t gm_pool_get(struct gm_pool *p, size_t n); /* zeroed; 0: n is 0 or too large, or memory is out */
void gm_pool_put(struct gm_pool *p, uint32_t h); /* wipes; 0 does nothing */

#define GM_POOL_INDEX 25u /* low bits of a handle: the slab's own */

static inline size_t gm_pool_bytes(const struct gm_pool *p)
{
	return p->bytes;
}

static inline uint8_t *gm_pool_at(const struct gm_pool *p, uint32_t h) /* h 0: NULL */
{
	return h ? gm_slab_at(&p->of[h >> GM_POOL_INDEX], h & ((1u << GM_POOL_INDEX) - 1)) : NULL;
}

#endif
