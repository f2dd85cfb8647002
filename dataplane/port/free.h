/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of free buffer numbers 0..cap-1. One thread. */
#ifndef GM_PORT_FREE_H
#define GM_PORT_FREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct gm_free {
	uint32_t *at;
	uint32_t n, cap;
};

static inline bool gm_free_start(struct gm_free *f, uint32_t cap)
{
	*f = (struct gm_free){.at = malloc(cap * sizeof(*f->at)), .n = cap, .cap = cap};
	for (uint32_t i = 0; f->at && i < cap; i++)
		f->at[i] = cap - 1 - i;
	return f->at != NULL;
}

static inline void gm_free_end(struct gm_free *f)
{
	free(f->at);
}

static inline bool gm_free_get(struct gm_free *f, uint32_t *buf)
{
	if (f->n == 0)
		return false;
	*buf = f->at[--f->n];
	return true;
}

static inline void gm_free_put(struct gm_free *f, uint32_t buf)
{
	f->at[f->n++] = buf;
}

#endif
