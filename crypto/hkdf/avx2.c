/* SPDX-License-Identifier: Apache-2.0 */
/* 8 contexts at once. */
#ifdef __x86_64__
#include "cpu.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LANES 8u
#define LAYER static inline __attribute__((always_inline))

typedef __m256i vec;

#define vec_add(a, b) _mm256_add_epi32(a, b)
#define vec_xor(a, b) _mm256_xor_si256(a, b)
#define vec_set(x) _mm256_set1_epi32((int)(x))
#define vec_ror(a, n) _mm256_or_si256(_mm256_srli_epi32(a, n), _mm256_slli_epi32(a, 32 - (n)))
#define vec_shr(a, n) _mm256_srli_epi32(a, n)
#define vec_xor3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define vec_ch(a, b, c) _mm256_xor_si256(_mm256_and_si256(a, _mm256_xor_si256(b, c)), c)
#define vec_maj(a, b, c) _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))

LAYER vec swap_bytes(vec x)
{
	return _mm256_shuffle_epi8(
	    x, _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)));
}

/* 8 x 8 words: pairs of words, pairs of pairs, halves. */
static void turn_over(vec *r)
{
	vec t[8];

	for (unsigned i = 0; i < 8; i += 2) {
		t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
	}
	for (unsigned i = 0; i < 8; i += 4)
		for (unsigned k = 0; k < 2; k++) {
			r[i + 2 * k] = _mm256_unpacklo_epi64(t[i + k], t[i + k + 2]);
			r[i + 2 * k + 1] = _mm256_unpackhi_epi64(t[i + k], t[i + k + 2]);
		}
	for (unsigned i = 0; i < 4; i++) {
		t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
		t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
	}
	memcpy(r, t, sizeof(t));
}

static void rows_to_words(vec *w, const uint8_t *const *from)
{
	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < 8; i++)
			w[8 * half + i] = swap_bytes(_mm256_loadu_si256((const __m256i *)(from[i] + 32 * half)));
		turn_over(w + 8 * half);
	}
}

static void words_to_rows(uint8_t (*to)[32], const vec *h)
{
	vec r[8];

	memcpy(r, h, sizeof(r));
	turn_over(r);
	for (unsigned i = 0; i < 8; i++)
		_mm256_storeu_si256((__m256i *)to[i], swap_bytes(r[i]));
}

#include "hkdf/vector.h"
#include "hkdf/lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2);
}

const struct gm_hkdf_variant gm_hkdf_avx2 = {"avx2", usable, contexts};
#endif
