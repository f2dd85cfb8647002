/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/slab.h"

#include <stdlib.h>
#include <string.h>

#include "gm/crypto.h"
#include "gm/pages.h"

#define SHIFT_MAX 12u

void gm_slab_init(struct gm_slab *s, size_t item, uint32_t max)
{
	*s = (struct gm_slab){.item = (item + 7) & ~(size_t)7, .max = max};
	while (s->shift < SHIFT_MAX && s->item << (s->shift + 1) <= GM_SLAB_CHUNK)
		s->shift++;
}

static size_t chunk_bytes(const struct gm_slab *s)
{
	return s->item << s->shift;
}

/* Only what was used: wiping the rest would bring its pages into memory. */
void gm_slab_free(struct gm_slab *s)
{
	uint32_t n = 1u << s->shift;

	for (uint32_t i = 0; i < s->held; i++) {
		uint32_t here = s->made > i << s->shift ? s->made - (i << s->shift) : 0;
		gm_wipe(s->chunk[i], s->item * (here < n ? here : n));
		gm_pages_free(s->chunk[i], chunk_bytes(s));
	}
	free(s->chunk);
	*s = (struct gm_slab){0};
}

static int add_chunk(struct gm_slab *s)
{
	uint32_t at = s->made >> s->shift;

	if (at < s->held)
		return 1;
	if (at == s->chunks) {
		uint32_t n = s->chunks + s->chunks / 2 + 8;
		uint8_t **grown = realloc(s->chunk, n * sizeof *grown);
		if (!grown)
			return 0;
		s->chunk = grown;
		s->chunks = n;
	}
	s->chunk[at] = gm_pages_new(chunk_bytes(s));
	s->held += s->chunk[at] != NULL;
	return s->chunk[at] != NULL;
}

uint32_t gm_slab_get(struct gm_slab *s)
{
	uint32_t h = s->free;

	if (h) {
		memcpy(&s->free, gm_slab_at(s, h), sizeof s->free);
		memset(gm_slab_at(s, h), 0, sizeof s->free);
	} else {
		if (s->made >= s->max || ((s->made & ((1u << s->shift) - 1)) == 0 && !add_chunk(s)))
			return 0;
		h = ++s->made;
	}
	s->used++;
	return h;
}

void gm_slab_put(struct gm_slab *s, uint32_t h)
{
	gm_wipe(gm_slab_at(s, h), s->item);
	memcpy(gm_slab_at(s, h), &s->free, sizeof s->free);
	s->free = h;
	s->used--;
}

void gm_slab_trim(struct gm_slab *s)
{
	if (s->used || s->made <= 1u << s->shift)
		return;
	for (uint32_t i = 0; i << s->shift < s->made; i++)
		gm_pages_drop(s->chunk[i], chunk_bytes(s));
	s->made = s->free = 0;
}

size_t gm_slab_bytes(const struct gm_slab *s)
{
	return s->item * s->made + s->chunks * sizeof *s->chunk;
}
