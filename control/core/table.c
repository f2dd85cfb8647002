/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <stdlib.h>

#include "gm/pages.h"

void *gm_must_alloc(void *old, size_t n)
{
	void *p = realloc(old, n);

	if (!p)
		gm_out_of_memory();
	return p;
}

uint32_t gm_must_get(struct gm_slab *s)
{
	uint32_t id = gm_slab_get(s);

	if (!id)
		gm_out_of_memory();
	return id;
}

uint32_t gm_must_text(struct gm_pool *p, size_t n)
{
	uint32_t id = gm_pool_get(p, n);

	if (n && !id)
		gm_out_of_memory();
	return id;
}

/* ---- maps: open addressing, linear probing; keys are hashed already or spread by the multiplication */

static uint32_t map_place(const struct gm_map *m, uint32_t key)
{
	return (uint32_t)((uint64_t)(key * 2654435769u) * m->cap >> 32);
}

static void map_insert(struct gm_map *m, uint32_t key, uint32_t value)
{
	uint32_t i = map_place(m, key);

	while (m->at[i].value != GM_MAP_NONE)
		i = i + 1 == m->cap ? 0 : i + 1;
	m->at[i] = (struct gm_map_cell){key, value};
	m->filled++;
	m->n++;
}

static void map_resize(struct gm_map *m)
{
	struct gm_map old = *m;

	m->cap = old.n < 8 ? 16 : old.n / 4 * 7; /* full at four fifths: 10 to 14 bytes an entry */
	m->n = m->filled = 0;
	m->at = gm_must_alloc(NULL, m->cap * sizeof(*m->at));
	memset(m->at, 0, m->cap * sizeof(*m->at));
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.at[i].value != GM_MAP_NONE && old.at[i].value != GM_MAP_DEAD)
			map_insert(m, old.at[i].key, old.at[i].value);
	free(old.at);
}

uint32_t gm_map_find(const struct gm_map *m, uint32_t key, gm_map_same same, const void *arg)
{
	if (m->cap == 0)
		return GM_MAP_NONE;
	for (uint32_t i = map_place(m, key); m->at[i].value != GM_MAP_NONE; i = i + 1 == m->cap ? 0 : i + 1) {
		const struct gm_map_cell *cell = &m->at[i];
		if (cell->key == key && cell->value != GM_MAP_DEAD && (!same || same(arg, cell->value)))
			return cell->value;
	}
	return GM_MAP_NONE;
}

void gm_map_add(struct gm_map *m, uint32_t key, uint32_t value)
{
	if ((uint64_t)(m->filled + 1) * 5 > (uint64_t)m->cap * 4)
		map_resize(m);
	map_insert(m, key, value);
}

void gm_map_remove(struct gm_map *m, uint32_t key, uint32_t value)
{
	if (m->cap == 0)
		return;
	for (uint32_t i = map_place(m, key); m->at[i].value != GM_MAP_NONE; i = i + 1 == m->cap ? 0 : i + 1) {
		if (m->at[i].key == key && m->at[i].value == value) {
			m->at[i].value = GM_MAP_DEAD;
			m->n--;
			return;
		}
	}
}

void gm_map_free(struct gm_map *m)
{
	free(m->at);
	*m = (struct gm_map){0};
}

/* ---- timers: a binary heap of pointers, each timer knows its place */

static void heap_place(struct gm_heap *h, uint32_t pos, struct gm_timer *t)
{
	h->at[pos - 1] = t;
	t->pos = pos;
}

static void heap_up(struct gm_heap *h, struct gm_timer *t)
{
	uint32_t pos = t->pos;

	for (; pos > 1 && h->at[pos / 2 - 1]->at > t->at; pos /= 2)
		heap_place(h, pos, h->at[pos / 2 - 1]);
	heap_place(h, pos, t);
}

static void heap_down(struct gm_heap *h, struct gm_timer *t)
{
	uint32_t pos = t->pos;

	for (uint32_t child; (child = pos * 2) <= h->n; pos = child) {
		if (child < h->n && h->at[child]->at < h->at[child - 1]->at)
			child++;
		if (h->at[child - 1]->at >= t->at)
			break;
		heap_place(h, pos, h->at[child - 1]);
	}
	heap_place(h, pos, t);
}

void gm_timer_stop(struct gm_heap *h, struct gm_timer *t)
{
	if (!t->pos)
		return;
	struct gm_timer *last = h->at[--h->n];
	if (last != t) {
		last->pos = t->pos;
		heap_up(h, last);
		heap_down(h, last);
	}
	t->pos = 0;
}

void gm_timer_set(struct gm_heap *h, struct gm_timer *t, enum gm_timer_kind kind, uint64_t at)
{
	gm_timer_stop(h, t);
	if (h->n == h->cap) {
		h->cap += h->cap / 2 + 64;
		h->at = gm_must_alloc(h->at, h->cap * sizeof(struct gm_timer *));
	}
	*t = (struct gm_timer){.at = at, .pos = ++h->n, .kind = kind};
	heap_up(h, t);
}

void gm_heap_free(struct gm_heap *h)
{
	free(h->at);
	*h = (struct gm_heap){0};
}
