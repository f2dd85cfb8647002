/* SPDX-License-Identifier: Apache-2.0 */
/* The vector operations of lanes.h with AES-NI, a block each. The including file says how many VECS. */
#include "cpu.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Blocks of AAD that are put together beforehand: OSCORE's fit, longer ones are read piece by piece. */
#define HEADER 4u
#define PER 1u
#define LAYER static inline __attribute__((always_inline))

typedef __m128i vec;

#define A(i) {[0] = 1, [15] = i}
static const _Alignas(16) uint8_t flags_and_counts[8][16] = {A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7)};
#undef A

LAYER vec vec_load(const uint8_t *p)
{
	return _mm_load_si128((const __m128i *)p);
}

LAYER void vec_store(uint8_t *p, vec x)
{
	_mm_store_si128((__m128i *)p, x);
}

LAYER vec vec_xor(vec a, vec b)
{
	return _mm_xor_si128(a, b);
}

LAYER vec vec_and_xor(vec a, vec b, vec c)
{
	return _mm_xor_si128(_mm_and_si128(a, b), c);
}

LAYER vec vec_spread(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

LAYER vec vec_zero(void)
{
	return _mm_setzero_si128();
}

LAYER vec vec_up(vec x)
{
	return _mm_slli_si128(x, 1);
}

LAYER __m128i vec_first(vec x)
{
	return x;
}

LAYER vec vec_round(vec x, vec k)
{
	return _mm_aesenc_si128(x, k);
}

LAYER vec vec_last(vec x, vec k)
{
	return _mm_aesenclast_si128(x, k);
}

/* With all four columns alike ShiftRows changes nothing: the last round is SubWord and the XOR with rcon.
 *                                                                                      FIPS 197 §5.2 */
LAYER vec vec_next_key(vec k, int rcon)
{
	vec t = _mm_shuffle_epi8(k, _mm_set1_epi32(0x0c0f0e0d)); /* RotWord of the last word, four times */

	t = _mm_aesenclast_si128(t, _mm_set1_epi32(rcon));
	k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
	k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
	return _mm_xor_si128(k, t);
}

LAYER vec vec_gather(const uint8_t *const *base, size_t at)
{
	return _mm_loadu_si128((const __m128i *)(base[0] + at));
}

LAYER uint64_t bytes_1_to_7(const uint8_t *p, size_t n)
{
	uint32_t lo, hi;

	if (n < 4) /* first, middle and last byte are all there are */
		return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
	memcpy(&lo, p, 4);
	memcpy(&hi, p + n - 4, 4);
	return lo | (uint64_t)hi << 8 * (n - 4);
}

LAYER __m128i block_part(const uint8_t *p, size_t n)
{
	uint64_t lo, hi;

	if (n >= 16)
		return _mm_loadu_si128((const __m128i *)p);
	if (n == 0)
		return _mm_setzero_si128();
	if (n < 8)
		return _mm_cvtsi64_si128((long long)bytes_1_to_7(p, n));
	memcpy(&lo, p, 8);
	memcpy(&hi, p + n - 8, 8);
	return _mm_set_epi64x((long long)(n == 8 ? 0 : hi >> 8 * (16 - n)), (long long)lo);
}

LAYER vec vec_of_rows(const uint8_t *p, size_t apart)
{
	(void)apart;
	return vec_load(p);
}

/* Two bytes of length, the AAD, zeros.                                                    RFC 3610 §2.2 */
LAYER void aad_lay(uint8_t (*to)[16], const uint8_t *aad, size_t len)
{
	vec first = _mm_slli_si128(block_part(aad, len < 14 ? len : 14), 2);

	vec_store(to[0], _mm_or_si128(first, _mm_cvtsi32_si128(__builtin_bswap16((uint16_t)len))));
	for (size_t s = 1, at = 14; s < HEADER && at < len; s++, at += 16)
		vec_store(to[s], block_part(aad + at, len - at));
}

LAYER void put_part(uint8_t *p, size_t n, __m128i x)
{
	uint64_t v = (uint64_t)_mm_cvtsi128_si64(x);

	if (n & 8) {
		memcpy(p, &v, 8);
		p += 8;
		v = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(x, x));
	}
	if (n & 4) {
		memcpy(p, &v, 4);
		p += 4;
		v >>= 32;
	}
	for (n %= 4; n > 0; n--, v >>= 8)
		*p++ = (uint8_t)v;
}

/* at counts from the start of the stream, whose first block is not for the text. */
LAYER void text_xor(uint8_t *to, const uint8_t *text, size_t len, size_t at, vec ks)
{
	if (at == 0 || at >= len + 16)
		return;
	const uint8_t *p = text + (at - 16);
	size_t n = len + 16 - at;

	to += at - 16;
	if (n >= 16)
		_mm_storeu_si128((__m128i *)to, _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), ks));
	else
		put_part(to, n, _mm_xor_si128(block_part(p, n), ks));
}

#include "ccm/lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AES);
}
