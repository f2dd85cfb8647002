/* SPDX-License-Identifier: Apache-2.0 */
/* 16 contexts at once: rotations and functions of three operands are single instructions. */
#ifdef __x86_64__
#include "cpu.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LANES 16u
#define LAYER static inline __attribute__((always_inline))

typedef __m512i vec;

#define vec_add(a, b) _mm512_add_epi32(a, b)
#define vec_xor(a, b) _mm512_xor_si512(a, b)
#define vec_set(x) _mm512_set1_epi32((int)(x))
#define vec_ror(a, n) _mm512_ror_epi32(a, n)
#define vec_shr(a, n) _mm512_srli_epi32(a, n)
#define vec_xor3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define vec_ch(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xca)
#define vec_maj(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

LAYER vec swap_bytes(vec x)
{
	return _mm512_shuffle_epi8(
	    x, _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)));
}

/* 16 x 16 words: pairs of words, pairs of pairs, then quarters twice. */
static void turn_over(vec *r)
{
	vec t[16];

	for (unsigned i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
	for (unsigned i = 0; i < 16; i += 4)
		for (unsigned k = 0; k < 2; k++) {
			r[i + 2 * k] = _mm512_unpacklo_epi64(t[i + k], t[i + k + 2]);
			r[i + 2 * k + 1] = _mm512_unpackhi_epi64(t[i + k], t[i + k + 2]);
		}
	for (unsigned i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
		t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
		t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
	}
	for (unsigned i = 0; i < 4; i++) {
		r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
		r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
		r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
		r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
	}
}

static void rows_to_words(vec *w, const uint8_t *const *from)
{
	for (unsigned i = 0; i < 16; i++)
		w[i] = swap_bytes(_mm512_loadu_si512(from[i]));
	turn_over(w);
}

static void words_to_rows(uint8_t (*to)[32], const vec *h)
{
	vec r[16] = {h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]};

	turn_over(r);
	for (unsigned i = 0; i < 16; i++)
		_mm256_storeu_si256((__m256i *)to[i], _mm512_castsi512_si256(swap_bytes(r[i])));
}

#include "hkdf/vector.h"
#include "hkdf/lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX512);
}

const struct gm_hkdf_variant gm_hkdf_avx512 = {"avx512", usable, contexts};
#endif
