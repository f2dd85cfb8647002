/* SPDX-License-Identifier: Apache-2.0 */
/* lanes.h's layer for vectors of LANES words of 32 bits: a lane is a place in every vector. Over
 *
 *	vec vec_add vec_xor vec_set     vec_set: the same word everywhere
 *	vec_ror vec_shr                 by a constant
 *	vec_xor3 vec_ch vec_maj         of three
 *	rows_to_words words_to_rows     bytes of LANES places <-> words, turned over and with bytes swapped
 */
#include "sha/k256.h"

struct state {
	vec h[8];
};

struct words {
	vec w[16];
};

#ifdef __clang__
#define EACH(i, from, to) _Pragma("clang loop unroll(full)") for (unsigned i = (from); i < (to); i++)
#else
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (unsigned i = (from); i < (to); i++)
#endif

static void state_start(struct state *s)
{
	EACH(i, 0, 8)
	s->h[i] = vec_set(gm_sha256_start[i]);
}

/* Word 16 of 16 words, in place of the first; i counts from it.                               FIPS 180-4 §6.2.2 */
LAYER void next_word(vec *w, unsigned i)
{
	const vec w1 = w[(i + 1) % 16], w14 = w[(i + 14) % 16];
	const vec s0 = vec_xor3(vec_ror(w1, 7), vec_ror(w1, 18), vec_shr(w1, 3));
	const vec s1 = vec_xor3(vec_ror(w14, 17), vec_ror(w14, 19), vec_shr(w14, 10));

	w[i] = vec_add(vec_add(w[i], s0), vec_add(w[(i + 9) % 16], s1));
}

/* One round. h names the words: they move by renaming, h[(8 - i) % 8] is a in round i. */
LAYER void round_of(vec *h, unsigned i, vec w, uint32_t k)
{
	vec *a = &h[(8 - i % 8) % 8], *b = &h[(9 - i % 8) % 8], *c = &h[(10 - i % 8) % 8], *d = &h[(11 - i % 8) % 8];
	vec *e = &h[(12 - i % 8) % 8], *f = &h[(13 - i % 8) % 8], *g = &h[(14 - i % 8) % 8],
	    *last = &h[(15 - i % 8) % 8];
	const vec s1 = vec_xor3(vec_ror(*e, 6), vec_ror(*e, 11), vec_ror(*e, 25));
	const vec s0 = vec_xor3(vec_ror(*a, 2), vec_ror(*a, 13), vec_ror(*a, 22));
	const vec t = vec_add(vec_add(vec_add(*last, vec_add(w, vec_set(k))), s1), vec_ch(*e, *f, *g));

	*d = vec_add(*d, t);
	*last = vec_add(vec_add(t, s0), vec_maj(*a, *b, *c));
}

static void compress(struct state *s, const struct words *block)
{
	vec h[8], w[16];

	EACH(i, 0, 8)
	h[i] = s->h[i];
	EACH(i, 0, 16)
	w[i] = block->w[i];
	EACH(i, 0, 16)
	round_of(h, i, w[i], gm_sha256_k[i]);
	for (unsigned t = 16; t < 64; t += 16)
		EACH(i, 0, 16)
		{
			next_word(w, i);
			round_of(h, i, w[i], gm_sha256_k[t + i]);
		}
	EACH(i, 0, 8)
	s->h[i] = vec_add(s->h[i], h[i]);
}

static void state_keep(struct state *s, const struct state *old, unsigned lane)
{
	for (unsigned i = 0; i < 8; i++)
		memcpy((uint8_t *)&s->h[i] + 4 * lane, (const uint8_t *)&old->h[i] + 4 * lane, 4);
}

static void words_load(struct words *w, const uint8_t *const *from)
{
	rows_to_words(w->w, from);
}

static void words_xor(struct words *w, uint32_t with)
{
	EACH(i, 0, 16)
	w->w[i] = vec_xor(w->w[i], vec_set(with));
}

static void words_of_state(struct words *w, const struct state *s, const uint32_t *behind)
{
	EACH(i, 0, 8)
	{
		w->w[i] = s->h[i];
		w->w[8 + i] = vec_set(behind[i]);
	}
}

static void state_put(const struct state *s, uint8_t (*to)[32])
{
	words_to_rows(to, s->h);
}
