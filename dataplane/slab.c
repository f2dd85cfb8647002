/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gm/crypto.h"

void gm_slab_init(struct gm_slab *s, size_t item, uint32_t max)
{
	*s = (struct gm_slab){.item = (item + 7) & ~(size_t)7, .max = max};
	s->chunks = (max + GM_SLAB_CHUNK - 1) / GM_SLAB_CHUNK;
	s->chunk = calloc(s->chunks ? s->chunks : 1, sizeof *s->chunk);
}

static size_t chunk_bytes(const struct gm_slab *s)
{
	return s->item * GM_SLAB_CHUNK;
}

void gm_slab_free(struct gm_slab *s)
{
	for (uint32_t i = 0; i * GM_SLAB_CHUNK < s->made; i++) {
		gm_wipe(s->chunk[i], chunk_bytes(s));
		munmap(s->chunk[i], chunk_bytes(s));
	}
	free(s->chunk);
	*s = (struct gm_slab){0};
}

static int add_chunk(struct gm_slab *s)
{
	void *p = mmap(NULL, chunk_bytes(s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	madvise(p, chunk_bytes(s), MADV_DONTDUMP);
	mlock2(p, chunk_bytes(s), MLOCK_ONFAULT); /* where the limit is too small the dump exclusion has to do */
	s->chunk[s->made / GM_SLAB_CHUNK] = p;
	return 1;
}

uint32_t gm_slab_get(struct gm_slab *s)
{
	uint32_t h = s->free;

	if (h) {
		memcpy(&s->free, gm_slab_at(s, h), sizeof s->free);
		memset(gm_slab_at(s, h), 0, sizeof s->free);
	} else {
		if (!s->chunk || s->made == s->max || (s->made % GM_SLAB_CHUNK == 0 && !add_chunk(s)))
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
