/* SPDX-License-Identifier: Apache-2.0 */
/* 4 contexts at once with the SHA instructions: as many as hide the latency of two rounds.
 *
 * With GM_SHANI_EMULATED the three instructions are written out and everything else is the same: so the tests run this
 * file on processors without them. Never part of the library. */
#ifdef __x86_64__
#include "cpu.h"
#include "sha/k256.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LANES 4u

#ifdef __clang__
#define EACH(i, from, to) _Pragma("clang loop unroll(full)") for (unsigned i = (from); i < (to); i++)
#else
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (unsigned i = (from); i < (to); i++)
#endif

#ifdef GM_SHANI_EMULATED
#define WANTED GM_CPU_AVX2

struct four {
	uint32_t w[4];
};

static struct four four_of(__m128i x)
{
	struct four f;

	memcpy(f.w, &x, sizeof(f.w));
	return f;
}

static __m128i of_four(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return _mm_set_epi32((int)d, (int)c, (int)b, (int)a);
}

static uint32_t ror(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t small_0(uint32_t x)
{
	return ror(x, 7) ^ ror(x, 18) ^ x >> 3;
}

static uint32_t small_1(uint32_t x)
{
	return ror(x, 17) ^ ror(x, 19) ^ x >> 10;
}

static __m128i sha_msg1(__m128i x, __m128i y)
{
	const struct four a = four_of(x), b = four_of(y);

	return of_four(a.w[0] + small_0(a.w[1]), a.w[1] + small_0(a.w[2]), a.w[2] + small_0(a.w[3]),
	               a.w[3] + small_0(b.w[0]));
}

static __m128i sha_msg2(__m128i x, __m128i y)
{
	const struct four a = four_of(x), b = four_of(y);
	const uint32_t w16 = a.w[0] + small_1(b.w[2]), w17 = a.w[1] + small_1(b.w[3]);

	return of_four(w16, w17, a.w[2] + small_1(w16), a.w[3] + small_1(w17));
}

/* cdgh holds h g d c from its low word up, abef f e b a */
static __m128i sha_rounds(__m128i cdgh, __m128i abef, __m128i wk)
{
	const struct four x = four_of(cdgh), y = four_of(abef), k = four_of(wk);
	uint32_t a = y.w[3], b = y.w[2], c = x.w[3], d = x.w[2], e = y.w[1], f = y.w[0], g = x.w[1], h = x.w[0];

	for (unsigned i = 0; i < 2; i++) {
		uint32_t t = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + k.w[i];
		uint32_t u = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

		h = g;
		g = f;
		f = e;
		e = d + t;
		d = c;
		c = b;
		b = a;
		a = t + u;
	}
	return of_four(f, e, b, a);
}
#else
#define WANTED (GM_CPU_SHA | GM_CPU_AVX2)
#define sha_msg1 _mm_sha256msg1_epu32
#define sha_msg2 _mm_sha256msg2_epu32
#define sha_rounds _mm_sha256rnds2_epu32
#endif

struct state {
	__m128i abef[LANES], cdgh[LANES];
};

struct words {
	__m128i w[4][LANES];
};

static void state_start(struct state *s)
{
	const uint32_t *h = gm_sha256_start;

	EACH(i, 0, LANES)
	{
		s->abef[i] = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
		s->cdgh[i] = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
	}
}

/* Words 4 r to 4 r + 3, in place of those of four rounds of four before. */
static inline __attribute__((always_inline)) void next_words(struct words *w, unsigned r, unsigned i)
{
	const __m128i back_4 = w->w[r % 4][i], back_3 = w->w[(r + 1) % 4][i], back_2 = w->w[(r + 2) % 4][i];
	const __m128i back_1 = w->w[(r + 3) % 4][i];
	const __m128i sum = _mm_add_epi32(sha_msg1(back_4, back_3), _mm_alignr_epi8(back_1, back_2, 4));

	w->w[r % 4][i] = sha_msg2(sum, back_1);
}

static void compress(struct state *s, const struct words *block)
{
	struct state at = *s;
	struct words w = *block;

	EACH(r, 0, 16)
	{
		const __m128i k = _mm_load_si128((const __m128i *)&gm_sha256_k[4 * r]);

		EACH(i, 0, LANES)
		{
			if (r >= 4)
				next_words(&w, r, i);
			__m128i wk = _mm_add_epi32(w.w[r % 4][i], k);

			at.cdgh[i] = sha_rounds(at.cdgh[i], at.abef[i], wk);
			at.abef[i] = sha_rounds(at.abef[i], at.cdgh[i], _mm_shuffle_epi32(wk, 0x0e));
		}
	}
	EACH(i, 0, LANES)
	{
		s->abef[i] = _mm_add_epi32(s->abef[i], at.abef[i]);
		s->cdgh[i] = _mm_add_epi32(s->cdgh[i], at.cdgh[i]);
	}
}

static void state_keep(struct state *s, const struct state *old, unsigned lane)
{
	s->abef[lane] = old->abef[lane];
	s->cdgh[lane] = old->cdgh[lane];
}

static __m128i swap_bytes(__m128i x)
{
	return _mm_shuffle_epi8(x, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
}

static void words_load(struct words *w, const uint8_t *const *from)
{
	EACH(i, 0, LANES)
	EACH(k, 0, 4)
	w->w[k][i] = swap_bytes(_mm_loadu_si128((const __m128i *)(from[i] + 16 * k)));
}

static void words_xor(struct words *w, uint32_t with)
{
	EACH(k, 0, 4)
	EACH(i, 0, LANES)
	w->w[k][i] = _mm_xor_si128(w->w[k][i], _mm_set1_epi32((int)with));
}

/* a b c d and e f g h of a lane */
static void in_order(const struct state *s, unsigned i, __m128i *abcd, __m128i *efgh)
{
	const __m128i abef = _mm_shuffle_epi32(s->abef[i], 0x1b), ghcd = _mm_shuffle_epi32(s->cdgh[i], 0xb1);

	*abcd = _mm_blend_epi16(abef, ghcd, 0xf0);
	*efgh = _mm_alignr_epi8(ghcd, abef, 8);
}

static void words_of_state(struct words *w, const struct state *s, const uint32_t *behind)
{
	EACH(i, 0, LANES)
	{
		in_order(s, i, &w->w[0][i], &w->w[1][i]);
		w->w[2][i] = _mm_loadu_si128((const __m128i *)behind);
		w->w[3][i] = _mm_loadu_si128((const __m128i *)(behind + 4));
	}
}

static void state_put(const struct state *s, uint8_t (*to)[32])
{
	EACH(i, 0, LANES)
	{
		__m128i abcd, efgh;

		in_order(s, i, &abcd, &efgh);
		_mm_storeu_si128((__m128i *)to[i], swap_bytes(abcd));
		_mm_storeu_si128((__m128i *)(to[i] + 16), swap_bytes(efgh));
	}
}

#include "hkdf/lanes.h"

static bool usable(void)
{
	return gm_cpu_has(WANTED);
}

#ifdef GM_SHANI_EMULATED
extern const struct gm_hkdf_variant gm_hkdf_shani_emulated;
const struct gm_hkdf_variant gm_hkdf_shani_emulated = {"shani-emulated", usable, contexts};
#else
const struct gm_hkdf_variant gm_hkdf_shani = {"shani", usable, contexts};
#endif
#endif
