/* SPDX-License-Identifier: Apache-2.0 */
/* The vector layer: LANES numbers of 64 bits side by side, and the few things done with them.
 *
 * Everything in field/, and the lane files of sha/, ed25519/ and x25519/, is written once over it and compiled once
 * for each back end. A file chooses its back end before it includes anything of these:
 *
 *	GM_LANES_IFMA      8 lanes, AVX-512 F, DQ, BW, VL and IFMA
 *	GM_LANES_AVX512    8 lanes, the same without IFMA: limbs are multiplied in halves (field/fe_halves.h)
 *	GM_LANES_EMULATED  8 lanes of AVX-512 with IFMA's instructions put together from others, one by one: for tests of
 *	                   the code for IFMA on machines without it
 *	GM_LANES_PLAIN n   n lanes (8 or 1) in plain C
 *
 * No operation branches or takes an address by what is in the lanes, but for v_rows_get() and v_rows_put(), whose
 * addresses are the caller's.
 */
#ifndef GM_LANES_H
#define GM_LANES_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read from bytes as they lie");

#define LANE_FN static inline __attribute__((unused))
#define M52 ((UINT64_C(1) << 52) - 1)

#if defined(GM_LANES_IFMA) || defined(GM_LANES_AVX512) || defined(GM_LANES_EMULATED)

#include <immintrin.h>

#define LANES 8u
#ifdef GM_LANES_AVX512
#define LANES_MUL32 /* what multiplies best is 32 bits by 32 */
#endif
#define LANE_HOT static inline __attribute__((unused, always_inline))
/* In a build with sanitizers copies with their checks inside cost minutes of compiling; without IFMA a multiplication has
 * 300 instructions, and code without loops or calls comes too slowly out of the decoder: a fifth of the speed is lost. */
#if defined(GM_LANES_SHORT) || !defined(GM_LANES_IFMA)
#define LANE_LONG static __attribute__((unused, noinline))
#else
#define LANE_LONG LANE_HOT
#endif
#define LANE_UNROLL_16 _Pragma("GCC unroll 16")

typedef __m512i vec;
typedef __mmask8 vmask; /* bit i for lane i */

LANE_FN vec v_set1(uint64_t x)
{
	return _mm512_set1_epi64((long long)x);
}

LANE_FN vec v_load(const uint64_t *p)
{
	return _mm512_loadu_si512(p);
}

LANE_FN void v_store(uint64_t *p, vec a)
{
	_mm512_storeu_si512(p, a);
}

LANE_FN vec v_add(vec a, vec b)
{
	return _mm512_add_epi64(a, b);
}

LANE_FN vec v_sub(vec a, vec b)
{
	return _mm512_sub_epi64(a, b);
}

LANE_FN vec v_and(vec a, vec b)
{
	return _mm512_and_si512(a, b);
}

LANE_FN vec v_or(vec a, vec b)
{
	return _mm512_or_si512(a, b);
}

LANE_FN vec v_xor(vec a, vec b)
{
	return _mm512_xor_si512(a, b);
}

LANE_FN vec v_shl(vec a, unsigned n)
{
	return _mm512_slli_epi64(a, n);
}

LANE_FN vec v_shr(vec a, unsigned n)
{
	return _mm512_srli_epi64(a, n);
}

LANE_FN vec v_sar(vec a, unsigned n)
{
	return _mm512_srai_epi64(a, n);
}

#define v_ror(a, n) _mm512_ror_epi64((a), (n))

/* the low 64 bits of a product */
LANE_FN vec v_mul(vec a, vec b)
{
	return _mm512_mullo_epi64(a, b);
}

/* of the low 32 bits of each */
LANE_FN vec v_mul32(vec a, vec b)
{
	return _mm512_mul_epu32(a, b);
}

/* acc plus the low, or the high, half of the product of 104 bits of the low 52 bits of a and b; and acc plus a product
 * < 2^52 of numbers < 2^32 */
#ifdef GM_LANES_IFMA
LANE_FN vec v_madd_short(vec acc, vec a, vec b)
{
	return _mm512_madd52lo_epu64(acc, a, b);
}

LANE_FN vec v_madd52lo(vec acc, vec a, vec b)
{
	return _mm512_madd52lo_epu64(acc, a, b);
}

LANE_FN vec v_madd52hi(vec acc, vec a, vec b)
{
	return _mm512_madd52hi_epu64(acc, a, b);
}
#else
LANE_FN vec v_madd_short(vec acc, vec a, vec b)
{
	return v_add(acc, v_mul32(a, b));
}

LANE_FN vec v_madd52lo(vec acc, vec a, vec b)
{
	return v_add(acc, v_and(v_mul(v_and(a, v_set1(M52)), v_and(b, v_set1(M52))), v_set1(M52)));
}

LANE_FN vec v_madd52hi(vec acc, vec a, vec b)
{
	const vec m26 = v_set1((UINT64_C(1) << 26) - 1);
	vec a0 = v_and(a, m26), a1 = v_and(v_shr(a, 26), m26), b0 = v_and(b, m26), b1 = v_and(v_shr(b, 26), m26);
	vec middle = v_add(_mm512_mul_epu32(a1, b0), _mm512_mul_epu32(a0, b1));

	middle = v_add(middle, v_shr(_mm512_mul_epu32(a0, b0), 26));
	return v_add(acc, v_add(_mm512_mul_epu32(a1, b1), v_shr(middle, 26)));
}
#endif

LANE_FN vmask v_eq(vec a, vec b)
{
	return _mm512_cmpeq_epi64_mask(a, b);
}

/* lanes whose top bit is set */
LANE_FN vmask v_negative(vec a)
{
	return _mm512_movepi64_mask(a);
}

/* a where the bit is set, else b */
LANE_FN vec v_select(vmask m, vec a, vec b)
{
	return _mm512_mask_blend_epi64(m, b, a);
}

/* bytes of each lane in reverse order */
LANE_FN vec v_bswap(vec a)
{
	const __m512i order = _mm512_set4_epi32(0x08090a0b, 0x0c0d0e0f, 0x00010203, 0x04050607);

	return _mm512_shuffle_epi8(a, order);
}

/* (a & b) ^ (~a & c) and the majority of three, as SHA-2 has them, and the sum of three without carries */
LANE_FN vec v_choose(vec a, vec b, vec c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0xca);
}

LANE_FN vec v_majority(vec a, vec b, vec c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0xe8);
}

LANE_FN vec v_xor3(vec a, vec b, vec c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* byte i of a word in lane i, with its sign */
LANE_FN vec v_signed_bytes(uint64_t word)
{
	return _mm512_cvtepi8_epi64(_mm_cvtsi64_si128((long long)word));
}

/* table[index] for an index of 0 to 15 in each lane; always reads the whole table */
LANE_FN vec v_pick16(const uint64_t table[static 16], vec index)
{
	return _mm512_permutex2var_epi64(v_load(table), index, v_load(table + 8));
}

LANE_HOT void transpose(vec r[static 8])
{
	vec t[8], u[8];

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		t[2 * i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
		t[2 * i + 1] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
	}
	/* u[0], u[1]: even columns 0 and 4 of rows 0-3, then 2 and 6; u[4], u[5]: of rows 4-7; the others: odd columns
	 */
#pragma GCC unroll 2
	for (unsigned i = 0; i < 2; i++) {
		u[4 * i] = _mm512_shuffle_i64x2(t[4 * i], t[4 * i + 2], 0x88);
		u[4 * i + 1] = _mm512_shuffle_i64x2(t[4 * i], t[4 * i + 2], 0xdd);
		u[4 * i + 2] = _mm512_shuffle_i64x2(t[4 * i + 1], t[4 * i + 3], 0x88);
		u[4 * i + 3] = _mm512_shuffle_i64x2(t[4 * i + 1], t[4 * i + 3], 0xdd);
	}
	r[0] = _mm512_shuffle_i64x2(u[0], u[4], 0x88);
	r[1] = _mm512_shuffle_i64x2(u[2], u[6], 0x88);
	r[2] = _mm512_shuffle_i64x2(u[1], u[5], 0x88);
	r[3] = _mm512_shuffle_i64x2(u[3], u[7], 0x88);
	r[4] = _mm512_shuffle_i64x2(u[0], u[4], 0xdd);
	r[5] = _mm512_shuffle_i64x2(u[2], u[6], 0xdd);
	r[6] = _mm512_shuffle_i64x2(u[1], u[5], 0xdd);
	r[7] = _mm512_shuffle_i64x2(u[3], u[7], 0xdd);
}

/* Four columns of eight rows, rows i and i + 4 in the halves of r[i]: out[k] gets column k; and back. */
LANE_HOT void turn_halves(vec out[static 4], const vec r[static 4])
{
	const vec even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
	const vec a = _mm512_unpacklo_epi64(r[0], r[1]), b = _mm512_unpacklo_epi64(r[2], r[3]);
	const vec c = _mm512_unpackhi_epi64(r[0], r[1]), d = _mm512_unpackhi_epi64(r[2], r[3]);

	out[0] = _mm512_permutex2var_epi64(a, even, b);
	out[1] = _mm512_permutex2var_epi64(c, even, d);
	out[2] = _mm512_permutex2var_epi64(a, odd, b);
	out[3] = _mm512_permutex2var_epi64(c, odd, d);
}

/* out[k] gets rows[i][k] in lane i, for k < n; n is a multiple of 4 */
LANE_HOT void v_rows_get(vec *out, const uint64_t *const rows[static 8], unsigned n)
{
#pragma GCC unroll 3
	for (unsigned k = 0; k < n / 8 * 8; k += 8) {
#pragma GCC unroll 8
		for (unsigned i = 0; i < 8; i++)
			out[k + i] = v_load(rows[i] + k);
		transpose(out + k);
	}
	if (n % 8 > 0) {
		vec half[4];

#pragma GCC unroll 4
		for (unsigned i = 0; i < 4; i++)
			half[i] = _mm512_inserti64x4(
			    _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows[i] + n - 4))),
			    _mm256_loadu_si256((const __m256i *)(rows[i + 4] + n - 4)), 1);
		turn_halves(out + n - 4, half);
	}
}

/* and back */
LANE_HOT void v_rows_put(uint64_t *const rows[static 8], const vec *in, unsigned n)
{
#pragma GCC unroll 3
	for (unsigned k = 0; k < n / 8 * 8; k += 8) {
		vec t[8];

		memcpy(t, in + k, sizeof(t));
		transpose(t);
#pragma GCC unroll 8
		for (unsigned i = 0; i < 8; i++)
			v_store(rows[i] + k, t[i]);
	}
	if (n % 8 > 0) {
		vec half[4];

		turn_halves(half, in + n - 4);
#pragma GCC unroll 4
		for (unsigned i = 0; i < 4; i++) {
			_mm256_storeu_si256((__m256i *)(rows[i] + n - 4), _mm512_castsi512_si256(half[i]));
			_mm256_storeu_si256((__m256i *)(rows[i + 4] + n - 4), _mm512_extracti64x4_epi64(half[i], 1));
		}
	}
}

#else /* plain C */

#define LANES ((unsigned)GM_LANES_PLAIN)
#define LANE_HOT static inline __attribute__((unused))
/* with several lanes a multiplication is long: not one copy for each use */
#define LANE_LONG static __attribute__((unused)) LANE_LONG_HERE
#if GM_LANES_PLAIN > 1
#define LANE_LONG_HERE __attribute__((noinline))
#define LANE_UNROLL_16
#else
#define LANE_LONG_HERE inline
#define LANE_UNROLL_16 _Pragma("GCC unroll 16")
#endif

typedef struct {
	uint64_t w[GM_LANES_PLAIN];
} vec;
typedef uint8_t vmask;

#define EACH(i) for (unsigned i = 0; i < LANES; i++)

LANE_FN vec v_set1(uint64_t x)
{
	vec r;

	EACH(i) r.w[i] = x;
	return r;
}

LANE_FN vec v_load(const uint64_t *p)
{
	vec r;

	memcpy(r.w, p, sizeof(r.w));
	return r;
}

LANE_FN void v_store(uint64_t *p, vec a)
{
	memcpy(p, a.w, sizeof(a.w));
}

LANE_FN vec v_add(vec a, vec b)
{
	EACH(i) a.w[i] += b.w[i];
	return a;
}

LANE_FN vec v_sub(vec a, vec b)
{
	EACH(i) a.w[i] -= b.w[i];
	return a;
}

LANE_FN vec v_and(vec a, vec b)
{
	EACH(i) a.w[i] &= b.w[i];
	return a;
}

LANE_FN vec v_or(vec a, vec b)
{
	EACH(i) a.w[i] |= b.w[i];
	return a;
}

LANE_FN vec v_xor(vec a, vec b)
{
	EACH(i) a.w[i] ^= b.w[i];
	return a;
}

LANE_FN vec v_shl(vec a, unsigned n)
{
	EACH(i) a.w[i] <<= n;
	return a;
}

LANE_FN vec v_shr(vec a, unsigned n)
{
	EACH(i) a.w[i] >>= n;
	return a;
}

LANE_FN vec v_sar(vec a, unsigned n)
{
	EACH(i) a.w[i] = (uint64_t)((int64_t)a.w[i] >> n);
	return a;
}

LANE_FN vec v_ror(vec a, unsigned n)
{
	EACH(i) a.w[i] = a.w[i] >> n | a.w[i] << (64 - n);
	return a;
}

LANE_FN vec v_mul(vec a, vec b)
{
	EACH(i) a.w[i] *= b.w[i];
	return a;
}

LANE_FN vec v_mul32(vec a, vec b)
{
	EACH(i) a.w[i] = (uint64_t)(uint32_t)a.w[i] * (uint32_t)b.w[i];
	return a;
}

LANE_FN vec v_madd_short(vec acc, vec a, vec b)
{
	EACH(i) acc.w[i] += a.w[i] * b.w[i];
	return acc;
}

LANE_FN vec v_madd52lo(vec acc, vec a, vec b)
{
	EACH(i) acc.w[i] += (uint64_t)((unsigned __int128)(a.w[i] & M52) * (b.w[i] & M52)) & M52;
	return acc;
}

LANE_FN vec v_madd52hi(vec acc, vec a, vec b)
{
	EACH(i) acc.w[i] += (uint64_t)((unsigned __int128)(a.w[i] & M52) * (b.w[i] & M52) >> 52);
	return acc;
}

LANE_FN vmask v_eq(vec a, vec b)
{
	unsigned m = 0;

	EACH(i)
	{
		uint64_t x = a.w[i] ^ b.w[i];

		m |= (unsigned)(~(x | (0 - x)) >> 63) << i;
	}
	return (vmask)m;
}

LANE_FN vmask v_negative(vec a)
{
	unsigned m = 0;

	EACH(i) m |= (unsigned)(a.w[i] >> 63) << i;
	return (vmask)m;
}

LANE_FN vec v_select(vmask m, vec a, vec b)
{
	EACH(i) b.w[i] ^= (a.w[i] ^ b.w[i]) & (0 - (uint64_t)(m >> i & 1));
	return b;
}

LANE_FN vec v_bswap(vec a)
{
	EACH(i) a.w[i] = __builtin_bswap64(a.w[i]);
	return a;
}

LANE_FN vec v_choose(vec a, vec b, vec c)
{
	EACH(i) a.w[i] = (a.w[i] & b.w[i]) ^ (~a.w[i] & c.w[i]);
	return a;
}

LANE_FN vec v_majority(vec a, vec b, vec c)
{
	EACH(i) a.w[i] = (a.w[i] & b.w[i]) ^ (a.w[i] & c.w[i]) ^ (b.w[i] & c.w[i]);
	return a;
}

LANE_FN vec v_xor3(vec a, vec b, vec c)
{
	return v_xor(a, v_xor(b, c));
}

LANE_FN vec v_signed_bytes(uint64_t word)
{
	vec r;

	EACH(i) r.w[i] = (uint64_t)(int64_t)(int8_t)(uint8_t)(word >> 8 * i);
	return r;
}

LANE_FN vec v_pick16(const uint64_t table[static 16], vec index)
{
	vec r = v_set1(0);

	for (unsigned k = 0; k < 16; k++)
		r = v_select(v_eq(index, v_set1(k)), v_set1(table[k]), r);
	return r;
}

LANE_FN void v_rows_get(vec *out, const uint64_t *const rows[static GM_LANES_PLAIN], unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		EACH(i) out[k].w[i] = rows[i][k];
}

LANE_FN void v_rows_put(uint64_t *const rows[static GM_LANES_PLAIN], const vec *in, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		EACH(i) rows[i][k] = in[k].w[i];
}

#endif

#define ALL_LANES ((vmask)((1u << LANES) - 1))

LANE_FN vec v_zero(void)
{
	return v_set1(0);
}

#endif
