/* SPDX-License-Identifier: Apache-2.0 */
/* The two multiplications of fe.h where no instruction multiplies 52 bits, but one 32 by 32. A limb a < 2^52 is
 * a = h 2^26 + l; of two limbs' product h h', l l' and, as Karatsuba has it, (h + l)(h' + l') are computed, three
 * multiplications and not four, and put together once a column and not once a product.
 */
#ifndef GM_FE_HALVES_H
#define GM_FE_HALVES_H

struct fe_halves {
	vec low[5], high[5], sum[5]; /* < 2^26, < 2^26, < 2^27; 19 times that stays < 2^32 */
};

/* Sums of products; what they weigh: 2^(51 k), 2^(51 k + 52), and the whole of (2^26 + 1)^2 2^(51 k) */
struct fe_columns {
	vec low[5], high[5], sum[5];
};

LANE_HOT struct fe_halves fe_split(struct fe a)
{
	struct fe_halves r;

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
		r.low[i] = v_and(a.v[i], v_set1((UINT64_C(1) << 26) - 1));
		r.high[i] = v_shr(a.v[i], 26);
		r.sum[i] = v_add(r.low[i], r.high[i]);
	}
	return r;
}

/* c times limbs from .. 4; those below are left out */
LANE_HOT struct fe_halves fe_halves_scale(struct fe_halves a, uint64_t c, unsigned from)
{
#pragma GCC unroll 5
	for (unsigned i = from; i < 5; i++) {
		a.low[i] = v_mul32(a.low[i], v_set1(c));
		a.high[i] = v_mul32(a.high[i], v_set1(c));
		a.sum[i] = v_mul32(a.sum[i], v_set1(c));
	}
	return a;
}

LANE_HOT struct fe_halves fe_halves_twice(struct fe_halves a)
{
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
		a.low[i] = v_add(a.low[i], a.low[i]);
		a.high[i] = v_add(a.high[i], a.high[i]);
		a.sum[i] = v_add(a.sum[i], a.sum[i]);
	}
	return a;
}

LANE_HOT void fe_column_add(struct fe_columns *c, unsigned k, const struct fe_halves *a, unsigned i,
                            const struct fe_halves *b, unsigned j)
{
	c->low[k] = v_add(c->low[k], v_mul32(a->low[i], b->low[j]));
	c->high[k] = v_add(c->high[k], v_mul32(a->high[i], b->high[j]));
	c->sum[k] = v_add(c->sum[k], v_mul32(a->sum[i], b->sum[j]));
}

LANE_HOT struct fe_columns fe_columns_zero(void)
{
	struct fe_columns c;

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		c.low[i] = c.high[i] = c.sum[i] = v_zero();
	return c;
}

/* 19 x, x < 2^59 */
LANE_HOT vec v_times_19(vec x)
{
	return v_add(v_add(x, v_add(x, x)), v_shl(x, 4));
}

/* Columns -> open. A column has 5 products, of which 4 - k have the factor 19: c_k = 5 + 18 (4 - k) times what one
 * can be, at most 77. So low, high < c_k 2^52, sum < c_k 2^54 < 2^61; what stands between low and high, with weight 2^26,
 * is middle < c_k 2^53 < 2^60. Its 25 low bits go with low, the others to the next limb, as does high, twice. So the
 * last limb is < (5 + 2 * 23) 2^52 + 2^51 + 2^33, others < (77 + 2 * 77) 2^52 + 2^52, the first < (77 + 38 * 5) 2^52 +
 * 2^52. */
LANE_HOT struct fe fe_columns_fold(const struct fe_columns *c)
{
	vec up[5];
	struct fe r;

#pragma GCC unroll 5
	for (unsigned k = 0; k < 5; k++) {
		const vec middle = v_sub(c->sum[k], v_add(c->low[k], c->high[k]));

		r.v[k] = v_add(c->low[k], v_shl(v_and(middle, v_set1((UINT64_C(1) << 25) - 1)), 26));
		up[k] = v_add(v_shr(middle, 25), v_add(c->high[k], c->high[k]));
	}
	r.v[0] = v_add(r.v[0], v_times_19(up[4]));
#pragma GCC unroll 4
	for (unsigned k = 1; k < 5; k++)
		r.v[k] = v_add(r.v[k], up[k - 1]);
	return r;
}

/* factor * factor -> open */
LANE_LONG struct fe fe_mul_open(struct fe a, struct fe b)
{
	const struct fe_halves x = fe_split(a), y = fe_split(b), y19 = fe_halves_scale(y, 19, 1);
	struct fe_columns c = fe_columns_zero();

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
#pragma GCC unroll 5
		for (unsigned j = 0; j < 5; j++)
			fe_column_add(&c, (i + j) % 5, &x, i, i + j < 5 ? &y : &y19, j);
	return fe_columns_fold(&c);
}

/* factor^2 -> open */
LANE_LONG struct fe fe_sq_open(struct fe a)
{
	const struct fe_halves x = fe_split(a), twice = fe_halves_twice(x), x19 = fe_halves_scale(x, 19, 3);
	struct fe_columns c = fe_columns_zero();

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
		fe_column_add(&c, 2 * i % 5, &x, i, i < 3 ? &x : &x19, i);
#pragma GCC unroll 5
		for (unsigned j = i + 1; j < 5; j++)
			fe_column_add(&c, (i + j) % 5, &twice, i, i + j < 5 ? &x : &x19, j);
	}
	return fe_columns_fold(&c);
}

#endif
