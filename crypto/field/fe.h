/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic modulo p = 2^255 - 19 in every lane. A number is the sum of v[i] 2^(51 i).
 *
 * How large a limb may be, in three sizes:
 *	carried   < 2^51 + 2^12: what every function here returns that does not say otherwise
 *	factor    < 2^52: what a multiplication takes; the multiplier sees no more bits
 *	open      < 268 2^52, the last one < 52 2^52: a product before its limbs hand on what they have above 51 bits.
 *	          Products that are only added up, or taken from each other, hand on once, as a sum: a fifth of a product.
 */
#ifndef GM_FE_H
#define GM_FE_H

#include "field/lanes.h"

#include <gm/crypto.h>

#define M51 ((UINT64_C(1) << 51) - 1)

struct fe {
	vec v[5];
};

/* Constants lie in memory as five limbs, each below 2^51. */
static const uint64_t fe_zero_limbs[5] = {0};
static const uint64_t fe_one_limbs[5] = {1};
static const uint64_t fe_d_limbs[5] = {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb,
                                       0x52036cee2b6ff}; /* -121665/121666 */
static const uint64_t fe_2d_limbs[5] = {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977,
                                        0x2406d9dc56dff};
static const uint64_t fe_sqrtm1_limbs[5] = {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e,
                                            0x2b8324804fc1d}; /* 2^((p - 1) / 4) */
static const uint64_t fe_2p_limbs[5] = {0xfffffffffffda, 0xffffffffffffe, 0xffffffffffffe, 0xffffffffffffe,
                                        0xffffffffffffe};

static const uint64_t fe_537p_limbs[5] = {0x10c7ffffffffd825, 0x10c7fffffffffde7, 0x10c7fffffffffde7, 0x10c7fffffffffde7, 0x10c7fffffffffde7};

LANE_FN struct fe fe_set1(const uint64_t limbs[static 5])
{
	struct fe r;

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		r.v[i] = v_set1(limbs[i]);
	return r;
}

/* limbs < 2^63 -> factor; -> carried where the last one is < 107 2^52. Each limb hands on what it has above 51 bits, all at
 * once: that is < 2^12, and from the last limb 19 times as much comes to the first: < 2^17, or 19 * 214 < 2^12. */
LANE_HOT struct fe fe_carry(struct fe a)
{
	const vec m = v_set1(M51);
	struct fe r;

	r.v[0] = v_madd_short(v_and(a.v[0], m), v_shr(a.v[4], 51), v_set1(19));
#pragma GCC unroll 4
	for (unsigned i = 1; i < 5; i++)
		r.v[i] = v_add(v_and(a.v[i], m), v_shr(a.v[i - 1], 51));
	return r;
}

/* carried + carried -> carried: sums < 2^52 + 2^13 */
LANE_HOT struct fe fe_add(struct fe a, struct fe b)
{
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_add(a.v[i], b.v[i]);
	return fe_carry(a);
}

/* carried - carried -> carried. 2p has limbs >= 2^52 - 38, more than b has, so that none becomes negative; < 2^53 */
LANE_HOT struct fe fe_sub(struct fe a, struct fe b)
{
	const struct fe twice_p = fe_set1(fe_2p_limbs);

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_add(a.v[i], v_sub(twice_p.v[i], b.v[i]));
	return fe_carry(a);
}

/* open + open -> factor: sums < 2^62 */
LANE_HOT struct fe fe_add_open(struct fe a, struct fe b)
{
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_add(a.v[i], b.v[i]);
	return fe_carry(a);
}

/* open - open -> factor. 537 p has limbs > 268 2^52; < 2^62 */
LANE_HOT struct fe fe_sub_open(struct fe a, struct fe b)
{
	const struct fe many_p = fe_set1(fe_537p_limbs);

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_add(a.v[i], v_sub(many_p.v[i], b.v[i]));
	return fe_carry(a);
}

/* -carried where the bit is set, else a; a factor, not carried: 2p - a < 2^52 */
LANE_HOT struct fe fe_negate_if(vmask m, struct fe a)
{
	const struct fe twice_p = fe_set1(fe_2p_limbs);

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_select(m, v_sub(twice_p.v[i], a.v[i]), a.v[i]);
	return a;
}

LANE_HOT struct fe fe_select(vmask m, struct fe a, struct fe b)
{
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		a.v[i] = v_select(m, a.v[i], b.v[i]);
	return a;
}

#ifdef LANES_MUL32
#include "field/fe_halves.h"
#else
/* Ten columns of a product -> open. Columns 5 to 9 stand for 19 times columns 0 to 4; they are < 14 * 2^52, and
 * r[0] < (1 + 19 * 14) 2^52, r[4] < (13 + 19 * 2) 2^52. Those whose bit is set in halved still want to be doubled. */
LANE_HOT struct fe fe_fold(const vec column[static 10], unsigned halved)
{
	struct fe r;

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		r.v[i] = v_add(column[i], v_mul(column[i + 5], v_set1(halved >> (i + 5) & 1 ? 38 : 19)));
	return r;
}

LANE_HOT void columns_clear(vec column[static 10])
{
#pragma GCC unroll 10
	for (unsigned i = 0; i < 10; i++)
		column[i] = v_zero();
}

/* those whose bit is set */
LANE_HOT void columns_double(vec column[static 10], unsigned which)
{
#pragma GCC unroll 10
	for (unsigned i = 0; i < 10; i++)
		if (which >> i & 1)
			column[i] = v_add(column[i], column[i]);
}

/* factor * factor -> open. A product of two limbs has 104 bits; its low half belongs to column i + j, and its high half,
 * 2^52 = 2 * 2^51, twice to the next. Low halves are < 2^52, at most 5 in a column; so are high ones. What counts twice is
 * summed first and doubled once; the multiplier adds the rest to it. */
LANE_LONG struct fe fe_mul_open(struct fe a, struct fe b)
{
	vec column[10];

	columns_clear(column);
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
#pragma GCC unroll 5
		for (unsigned j = 0; j < 5; j++)
			column[i + j + 1] = v_madd52hi(column[i + j + 1], a.v[i], b.v[j]);
	columns_double(column, 0x1fe);
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
#pragma GCC unroll 5
		for (unsigned j = 0; j < 5; j++)
			column[i + j] = v_madd52lo(column[i + j], a.v[i], b.v[j]);
	return fe_fold(column, 0x200);
}

/* factor^2 -> open. Products of two different limbs count twice, their high halves four times; the columns are those of
 * a product, and 5, 7 and 9 have nothing that counts once. */
LANE_LONG struct fe fe_sq_open(struct fe a)
{
	vec column[10];

	columns_clear(column);
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
#pragma GCC unroll 5
		for (unsigned j = i + 1; j < 5; j++)
			column[i + j + 1] = v_madd52hi(column[i + j + 1], a.v[i], a.v[j]);
	columns_double(column, 0x1fc);
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
		column[2 * i + 1] = v_madd52hi(column[2 * i + 1], a.v[i], a.v[i]);
#pragma GCC unroll 5
		for (unsigned j = i + 1; j < 5; j++)
			column[i + j] = v_madd52lo(column[i + j], a.v[i], a.v[j]);
	}
	columns_double(column, 0x15e);
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		column[2 * i] = v_madd52lo(column[2 * i], a.v[i], a.v[i]);
	return fe_fold(column, 0x2a0);
}
#endif

/* factor * factor -> carried */
LANE_HOT struct fe fe_mul(struct fe a, struct fe b)
{
	return fe_carry(fe_mul_open(a, b));
}

/* 2 factor * factor -> carried */
LANE_HOT struct fe fe_mul_twice(struct fe a, struct fe b)
{
	const struct fe r = fe_mul_open(a, b);

	return fe_add_open(r, r);
}

/* factor^2 -> carried */
LANE_HOT struct fe fe_sq(struct fe a)
{
	return fe_carry(fe_sq_open(a));
}

/* factor * c + carried -> carried, for c < 2^20. The high halves are < 2^20, the low ones < 2^52. */
LANE_HOT struct fe fe_scale_add(struct fe a, uint64_t c, struct fe b)
{
	const vec m = v_set1(c);
	struct fe r;
	vec over = v_madd52hi(v_zero(), a.v[4], m);

	r.v[0] = v_madd52lo(v_add(b.v[0], v_mul(over, v_set1(38))), a.v[0], m);
#pragma GCC unroll 4
	for (unsigned i = 1; i < 5; i++) {
		vec high = v_madd52hi(v_zero(), a.v[i - 1], m);

		r.v[i] = v_madd52lo(v_add(b.v[i], v_add(high, high)), a.v[i], m);
	}
	return fe_carry(r);
}

/* The loops below take k numbers at once, so that one's latency hides behind the other's. */
#define FE_PAIR 2u

/* x -> x^(2^times) */
static __attribute__((unused, noinline)) void fe_sq_times(struct fe *x, unsigned k, unsigned times)
{
	struct fe a = x[0], b = x[k - 1];

	if (k == 1) {
		for (; times > 0; times--)
			a = fe_sq(a);
	} else {
		for (; times > 0; times--) {
			a = fe_sq(a);
			b = fe_sq(b);
		}
		x[1] = b;
	}
	x[0] = a;
}

static __attribute__((unused, noinline)) void fe_mul_each(struct fe *x, const struct fe *y, unsigned k)
{
	for (unsigned i = 0; i < k; i++)
		x[i] = fe_mul(x[i], y[i]);
}

/* x = (x^(2^times)) y */
LANE_FN void fe_step(struct fe *x, unsigned times, const struct fe *y, unsigned k)
{
	fe_sq_times(x, k, times);
	fe_mul_each(x, y, k);
}

/* x -> x^(2^250 - 1); x11 gets x^11. Exponents 2^n - 1 grow from n = 5 by doubling and adding n. */
static __attribute__((unused, noinline)) void fe_pow_250(struct fe *x, struct fe *x11, unsigned k)
{
	struct fe x9[FE_PAIR], e5[FE_PAIR], e10[FE_PAIR], e20[FE_PAIR], e50[FE_PAIR], e100[FE_PAIR], r[FE_PAIR];
	const size_t all = k * sizeof(*x);

	memcpy(r, x, all);
	fe_sq_times(r, k, 1);
	memcpy(x11, r, all); /* 2 */
	memcpy(x9, r, all);
	fe_step(x9, 2, x, k);    /* 9 */
	fe_mul_each(x11, x9, k); /* 11 */
	memcpy(e5, x11, all);
	fe_step(e5, 1, x9, k); /* 31 */
	memcpy(e10, e5, all);
	fe_step(e10, 5, e5, k);
	memcpy(e20, e10, all);
	fe_step(e20, 10, e10, k);
	memcpy(r, e20, all);
	fe_step(r, 20, e20, k); /* 40 */
	memcpy(e50, r, all);
	fe_step(e50, 10, e10, k);
	memcpy(e100, e50, all);
	fe_step(e100, 50, e50, k);
	memcpy(r, e100, all);
	fe_step(r, 100, e100, k); /* 200 */
	fe_step(r, 50, e50, k);
	memcpy(x, r, all);
}

/* x -> x^((p - 5) / 8) = x^(2^252 - 3) */
LANE_FN void fe_pow_p58(struct fe *x, unsigned k)
{
	struct fe base[FE_PAIR], x11[FE_PAIR];

	memcpy(base, x, k * sizeof(*x));
	fe_pow_250(x, x11, k);
	fe_step(x, 2, base, k);
}

/* x^(p - 2) = x^(2^255 - 21): the inverse, and 0 for 0 */
static __attribute__((unused, noinline)) void fe_invert(struct fe *x)
{
	struct fe x11;

	fe_pow_250(x, &x11, 1);
	fe_step(x, 5, &x11, 1);
}

/* The inverses of n numbers, none of them 0, for one exponentiation. prefix: room for n */
LANE_FN void fe_invert_many(struct fe *x, struct fe *prefix, unsigned n)
{
	struct fe all = fe_set1(fe_one_limbs);

	for (unsigned i = 0; i < n; i++) {
		prefix[i] = all;
		all = fe_mul(all, x[i]);
	}
	fe_invert(&all);
	for (unsigned i = n; i-- > 0;) {
		struct fe own = fe_mul(all, prefix[i]);

		all = fe_mul(all, x[i]);
		x[i] = own;
	}
}

/* One carry after the other; what leaves the last limb is left out. limbs < 2^63 -> < 2^51 */
LANE_FN struct fe fe_ripple(struct fe a)
{
	const vec m = v_set1(M51);
	vec c = v_zero();

	for (unsigned i = 0; i < 5; i++) {
		a.v[i] = v_add(a.v[i], c);
		c = v_shr(a.v[i], 51);
		a.v[i] = v_and(a.v[i], m);
	}
	return a;
}

/* carried -> the one representative below p. The number is < 2^255 + 2^217 < 2p; q tells whether it is >= p, which is
 * whether adding 19 carries out of bit 255. */
LANE_FN struct fe fe_freeze(struct fe a)
{
	vec q = v_shr(v_add(a.v[0], v_set1(19)), 51);

	for (unsigned i = 1; i < 5; i++)
		q = v_shr(v_add(a.v[i], q), 51);
	a.v[0] = v_add(a.v[0], v_mul(q, v_set1(19)));
	return fe_ripple(a);
}

/* carried -> lanes that are 0 modulo p */
LANE_FN vmask fe_is_zero(struct fe a)
{
	a = fe_freeze(a);
	return v_eq(v_or(v_or(v_or(a.v[0], a.v[1]), v_or(a.v[2], a.v[3])), a.v[4]), v_zero());
}

LANE_FN vmask fe_equal(struct fe a, struct fe b)
{
	return fe_is_zero(fe_sub(a, b));
}

/* four words of 64 bits, least first; bit 255 is left out -> limbs < 2^51 */
LANE_FN struct fe fe_from_words(const vec w[static 4])
{
	const vec m = v_set1(M51);

	return (struct fe){{v_and(w[0], m), v_and(v_or(v_shr(w[0], 51), v_shl(w[1], 13)), m),
	                    v_and(v_or(v_shr(w[1], 38), v_shl(w[2], 26)), m),
	                    v_and(v_or(v_shr(w[2], 25), v_shl(w[3], 39)), m), v_and(v_shr(w[3], 12), m)}};
}

/* carried -> canonical words */
LANE_FN void fe_to_words(vec w[static 4], struct fe a)
{
	a = fe_freeze(a);
	w[0] = v_or(a.v[0], v_shl(a.v[1], 51));
	w[1] = v_or(v_shr(a.v[1], 13), v_shl(a.v[2], 38));
	w[2] = v_or(v_shr(a.v[2], 26), v_shl(a.v[3], 25));
	w[3] = v_or(v_shr(a.v[3], 39), v_shl(a.v[4], 12));
}

/* Strings of 8 n bytes, one for each lane, as words and back. n <= 8 */
LANE_FN void words_get(vec *w, const uint8_t *const from[static 1], unsigned n)
{
	uint64_t by_lane[8][8] = {{0}};

	for (unsigned i = 0; i < LANES; i++) {
		uint64_t own[8];

		memcpy(own, from[i], 8 * n);
		for (unsigned k = 0; k < n; k++)
			by_lane[k][i] = own[k];
	}
	for (unsigned k = 0; k < n; k++)
		w[k] = v_load(by_lane[k]);
	gm_wipe(by_lane, sizeof(by_lane)); /* what is read may be a secret */
}

LANE_FN void words_put(uint8_t *const to[static 1], const vec *w, unsigned n, unsigned lanes)
{
	uint64_t by_lane[8][8];

	for (unsigned k = 0; k < n; k++)
		v_store(by_lane[k], w[k]);
	for (unsigned i = 0; i < lanes; i++)
		for (unsigned k = 0; k < n; k++)
			memcpy(to[i] + 8 * k, &by_lane[k][i], 8);
	gm_wipe(by_lane, sizeof(by_lane));
}

#endif
