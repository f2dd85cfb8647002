/* SPDX-License-Identifier: Apache-2.0 */
/* 16 messages at once, AES rounds on four blocks.
 *
 * With GM_VAES_EMULATED the wide round is four narrow ones and everything else is the same: so the tests run this file
 * on processors with AVX-512 and AES-NI but no VAES. Never part of the library. */
#ifdef __x86_64__
#include "cpu.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Blocks of AAD that are put together beforehand: OSCORE's fit, longer ones are read piece by piece. */
#define HEADER 4u
#define VECS 4u
#define PER 4u
#define LAYER static inline __attribute__((always_inline))

typedef __m512i vec;

#define A(i) {[0] = 1, [15] = i}
static const _Alignas(64) uint8_t flags_and_counts[VECS * PER][16] = {
    A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), A(8), A(9), A(10), A(11), A(12), A(13), A(14), A(15),
};
#undef A

LAYER vec vec_of(__m128i a, __m128i b, __m128i c, __m128i d)
{
	__m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
	__m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);

	return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}

#ifdef GM_VAES_EMULATED
#define NARROW(op, x, k, i) op(_mm512_extracti32x4_epi32(x, i), _mm512_extracti32x4_epi32(k, i))
#define FOUR(op, x, k) vec_of(NARROW(op, x, k, 0), NARROW(op, x, k, 1), NARROW(op, x, k, 2), NARROW(op, x, k, 3))
#define WANTED (GM_CPU_AES | GM_CPU_AVX512)
#else
#define WANTED (GM_CPU_AES | GM_CPU_AVX512 | GM_CPU_VAES)
#endif

LAYER vec vec_round(vec x, vec k)
{
#ifdef GM_VAES_EMULATED
	return FOUR(_mm_aesenc_si128, x, k);
#else
	return _mm512_aesenc_epi128(x, k);
#endif
}

LAYER vec vec_last(vec x, vec k)
{
#ifdef GM_VAES_EMULATED
	return FOUR(_mm_aesenclast_si128, x, k);
#else
	return _mm512_aesenclast_epi128(x, k);
#endif
}

LAYER vec vec_load(const uint8_t *p)
{
	return _mm512_load_si512(p);
}

LAYER void vec_store(uint8_t *p, vec x)
{
	_mm512_store_si512(p, x);
}

LAYER vec vec_xor(vec a, vec b)
{
	return _mm512_xor_si512(a, b);
}

LAYER vec vec_and_xor(vec a, vec b, vec c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0x6a);
}

/* Spelt out, for gcc makes a load of it that several branches share, and then a shuffle in each. */
LAYER vec vec_spread(const uint8_t *p)
{
	vec x;

	__asm__("vbroadcasti32x4 %1, %0" : "=v"(x) : "m"(*(const __m128i *)p));
	return x;
}

LAYER __m128i vec_first(vec x)
{
	return _mm512_castsi512_si128(x);
}

LAYER vec vec_zero(void)
{
	return _mm512_setzero_si512();
}

LAYER vec vec_up(vec x)
{
	return _mm512_bslli_epi128(x, 1);
}

/* As in aesni.c, four keys at a time. */
LAYER vec vec_next_key(vec k, int rcon)
{
	vec t = _mm512_shuffle_epi8(k, _mm512_set1_epi32(0x0c0f0e0d));

	t = vec_last(t, _mm512_set1_epi32(rcon));
	k = _mm512_xor_si512(k, _mm512_bslli_epi128(k, 4));
	return _mm512_ternarylogic_epi64(k, _mm512_bslli_epi128(k, 8), t, 0x96);
}

LAYER __m128i block_of(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

LAYER vec vec_gather(const uint8_t *const *base, size_t at)
{
	return vec_of(block_of(base[0] + at), block_of(base[1] + at), block_of(base[2] + at), block_of(base[3] + at));
}

LAYER vec vec_of_rows(const uint8_t *p, size_t apart)
{
	return vec_of(block_of(p), block_of(p + apart), block_of(p + 2 * apart), block_of(p + 3 * apart));
}

/* Bytes that a mask leaves out are not read: they may lie behind the end of a page. */
LAYER __m128i block_part(const uint8_t *p, size_t n)
{
	return _mm_maskz_loadu_epi8((__mmask16)_bzhi_u32(0xffff, n < 16 ? (unsigned)n : 16), p);
}

/* Two bytes of length, the AAD, zeros: all of it in one piece.                              RFC 3610 §2.2 */
LAYER void aad_lay(uint8_t (*to)[16], const uint8_t *aad, size_t len)
{
	const __mmask64 mask = _bzhi_u64(UINT64_MAX, len < 62 ? (unsigned)len : 62) << 2;
	const vec text = _mm512_maskz_loadu_epi8(mask, (const uint8_t *)((uintptr_t)aad - 2));
	const uint16_t bytes = __builtin_bswap16((uint16_t)len);

	vec_store(to[0], text);
	memcpy(to[0], &bytes, sizeof(bytes));
}

/* at counts from the start of the stream, whose first block is not for the text. */
LAYER void text_xor(uint8_t *to, const uint8_t *text, size_t len, size_t at, vec ks)
{
	const uint8_t *p = (const uint8_t *)((uintptr_t)text + at - 16);
	size_t n = len + 16 > at ? len + 16 - at : 0;
	__mmask64 mask = _bzhi_u64(UINT64_MAX, n < 64 ? (unsigned)n : 64) & (at == 0 ? ~UINT64_C(0xffff) : UINT64_MAX);

	_mm512_mask_storeu_epi8((uint8_t *)((uintptr_t)to + at - 16), mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, p), ks));
}

#include "ccm/lanes.h"

static bool usable(void)
{
	return gm_cpu_has(WANTED);
}

#ifdef GM_VAES_EMULATED
extern const struct gm_ccm_variant gm_ccm_vaes_emulated;
const struct gm_ccm_variant gm_ccm_vaes_emulated = {"vaes-emulated", usable, seal, open, seal_same};
#else
const struct gm_ccm_variant gm_ccm_vaes = {"vaes", usable, seal, open, seal_same};
#endif
#endif
