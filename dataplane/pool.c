/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/pool.h"

#define FINE 32u /* classes of 8, 16 ... 256 bytes; then four to each doubling */

static size_t class_size(unsigned c)
{
	unsigned up = c - FINE;

	return c < FINE ? 8u * (c + 1) : (size_t)(5 + up % 4) << (6 + up / 4);
}

static unsigned class_of(size_t n)
{
	unsigned c = n <= 8 * FINE ? (unsigned)(n - 1) / 8 : FINE;

	while (class_size(c) < n)
		c++;
	return c;
}

void gm_pool_init(struct gm_pool *p)
{
	for (unsigned c = 0; c < GM_POOL_CLASSES; c++)
		gm_slab_init(&p->of[c], class_size(c), (1u << GM_POOL_INDEX) - 1);
	p->bytes = 0;
}

void gm_pool_free(struct gm_pool *p)
{
	for (unsigned c = 0; c < GM_POOL_CLASSES; c++)
		gm_slab_free(&p->of[c]);
	p->bytes = 0;
}

uint32_t gm_pool_get(struct gm_pool *p, size_t n)
{
	if (n == 0 || n > GM_POOL_MAX)
		return 0;
	unsigned c = class_of(n);
	size_t before = gm_slab_bytes(&p->of[c]);
	uint32_t h = gm_slab_get(&p->of[c]);

	p->bytes += gm_slab_bytes(&p->of[c]) - before;
	return h ? (uint32_t)c << GM_POOL_INDEX | h : 0;
}

void gm_pool_put(struct gm_pool *p, uint32_t h)
{
	if (h)
		gm_slab_put(&p->of[h >> GM_POOL_INDEX], h & ((1u << GM_POOL_INDEX) - 1));
}
