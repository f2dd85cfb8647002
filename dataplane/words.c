/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/words.h"

#include <stdlib.h>

#include "gm/pages.h"

#define FINE 32u /* words; blocks are of any size up to that, then of four sizes to each doubling */
#define BLOCK_MAX 128u

struct dropped {
	uint32_t h, size;
};

struct gm_words {
	_Atomic uint64_t *at;
	uint32_t cap, used;            /* words */
	uint32_t free[BLOCK_MAX + 1];  /* by size; the first word of a free block names the next */
	struct dropped *dropped;
	uint32_t dropped_n, dropped_cap;
};

#define LOAD(x) atomic_load_explicit(&(x), memory_order_acquire)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_release)

static uint32_t block_of(size_t n)
{
	uint32_t words = (uint32_t)(n + 7) / 8, step = 1;

	while (words > FINE && step * 8 < words)
		step *= 2;
	return (words + step - 1) / step * step;
}

struct gm_words *gm_words_new(uint64_t bytes_max)
{
	struct gm_words *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->cap = bytes_max / 8 < UINT32_MAX ? (uint32_t)(bytes_max / 8) : UINT32_MAX;
	w->used = 1; /* 0 is none */
	w->at = gm_pages_reserve((size_t)w->cap * sizeof *w->at);
	if (w->at)
		return w;
	free(w);
	return NULL;
}

void gm_words_free(struct gm_words *w)
{
	if (!w)
		return;
	gm_pages_free(w->at, (size_t)w->cap * sizeof *w->at);
	free(w->dropped);
	free(w);
}

static uint32_t take_block(struct gm_words *w, uint32_t size)
{
	uint32_t h = w->free[size];

	if (h) {
		w->free[size] = (uint32_t)LOAD(w->at[h]);
	} else if (size <= w->cap - w->used) {
		h = w->used;
		w->used += size;
	}
	return h;
}

uint32_t gm_words_put(struct gm_words *w, struct gm_bytes b)
{
	uint32_t h = b.n && b.n <= GM_WORDS_STRING_MAX ? take_block(w, block_of(b.n)) : 0;

	for (size_t i = 0; h && i < b.n; i += 8) {
		uint64_t word = 0;
		memcpy(&word, b.p + i, b.n - i < 8 ? b.n - i : 8);
		STORE(w->at[h + i / 8], word);
	}
	return h;
}

static void give_back(struct gm_words *w, struct dropped d)
{
	STORE(w->at[d.h], w->free[d.size]);
	w->free[d.size] = d.h;
}

/* Without memory to remember it by, it is never used again. */
void gm_words_drop(struct gm_words *w, uint32_t h, size_t n)
{
	if (!h)
		return;
	if (w->dropped_n == w->dropped_cap) {
		uint32_t cap = w->dropped_cap ? 2 * w->dropped_cap : 64;
		struct dropped *grown = realloc(w->dropped, cap * sizeof *grown);
		if (!grown)
			return;
		w->dropped = grown;
		w->dropped_cap = cap;
	}
	w->dropped[w->dropped_n++] = (struct dropped){h, block_of(n)};
}

void gm_words_settle(struct gm_words *w)
{
	for (uint32_t i = 0; i < w->dropped_n; i++)
		give_back(w, w->dropped[i]);
	w->dropped_n = 0;
	if (w->dropped_cap <= 1024)
		return;
	free(w->dropped); /* one turn needed so much */
	w->dropped = NULL;
	w->dropped_cap = 0;
}

size_t gm_words_bytes(const struct gm_words *w)
{
	return w->used * sizeof *w->at + w->dropped_cap * sizeof *w->dropped;
}

struct gm_bytes gm_words_at(const struct gm_words *w, uint32_t h, size_t n)
{
	return (struct gm_bytes){h ? (const uint8_t *)(w->at + h) : NULL, n};
}

void gm_words_ahead(const struct gm_words *w, uint32_t h, size_t n)
{
	for (size_t i = 0; h < w->cap && i < (n + 7) / 8 && i < w->cap - h; i += 8)
		__builtin_prefetch(&w->at[h + i]);
}

bool gm_words_read(const struct gm_words *w, uint32_t h, size_t n, uint64_t *to)
{
	if (h > w->cap || (n + 7) / 8 > w->cap - h)
		return false;
	for (size_t i = 0; i < (n + 7) / 8; i++)
		to[i] = LOAD(w->at[h + i]);
	return true;
}
