/* SPDX-License-Identifier: Apache-2.0 */
/* Points of -x^2 + y^2 = 1 + d x^2 y^2 in every lane, in the extended coordinates of Hisil, Wong, Carter and Dawson.
 * The formulas are complete: they hold for all points of the curve, equal or not, of small order or not. All
 * coordinates are carried (fe.h). */
#ifndef GM_GE_H
#define GM_GE_H

#include "field/fe.h"

#include <stdbool.h>

struct ge { /* x = X/Z, y = Y/Z, X Y = Z T */
	struct fe X, Y, Z, T;
};

/* What an addition wants of its second operand; a factor (fe.h) is enough. */
struct ge_cached {
	struct fe plus, minus, t2d, z2; /* Y + X, Y - X, 2 d T, 2 Z */
};

struct ge_niels { /* of a point with Z = 1; z2 is 2 and does not show */
	struct fe plus, minus, t2d;
};

/* A row of a table: the limbs of one point, 15 for a niels, 20 for a cached one, as v_rows_get() reads them. */
#define NIELS_ROW 16u
#define CACHED_LIMBS 20u
#define CACHED_ROW 24u /* so that rows begin where lines of the cache do */

LANE_FN struct ge ge_identity(void)
{
	const struct fe zero = fe_set1(fe_zero_limbs), one = fe_set1(fe_one_limbs);

	return (struct ge){zero, one, one, zero};
}

/* X and Y may be open. */
LANE_FN struct ge_cached ge_to_cached(const struct ge *p)
{
	return (struct ge_cached){fe_add_open(p->Y, p->X), fe_sub_open(p->Y, p->X), fe_mul(p->T, fe_set1(fe_2d_limbs)),
	                          fe_add(p->Z, p->Z)};
}

/* Of a point with Z = 1 */
LANE_FN struct ge_niels ge_to_niels(struct fe x, struct fe y)
{
	return (struct ge_niels){fe_add(y, x), fe_sub(y, x), fe_mul(fe_mul(x, y), fe_set1(fe_2d_limbs))};
}

/* -q where the bit is set */
LANE_HOT void niels_negate_if(vmask m, struct ge_niels *q)
{
	struct fe plus = fe_select(m, q->minus, q->plus);

	q->minus = fe_select(m, q->plus, q->minus);
	q->plus = plus;
	q->t2d = fe_negate_if(m, q->t2d);
}

LANE_HOT void cached_negate_if(vmask m, struct ge_cached *q)
{
	struct fe plus = fe_select(m, q->minus, q->plus);

	q->minus = fe_select(m, q->plus, q->minus);
	q->plus = plus;
	q->t2d = fe_negate_if(m, q->t2d);
}

/* The second half of both additions: E = B - A, F = D - C, G = D + C, H = B + A, all of them open. X and Y stay open;
 * without t, T is left as it was. */
LANE_HOT void ge_finish(struct ge *p, struct fe a, struct fe b, struct fe c, struct fe d, bool t)
{
	struct fe e = fe_sub_open(b, a), f = fe_sub_open(d, c), g = fe_add_open(d, c), h = fe_add_open(b, a);

	p->X = fe_mul_open(e, f);
	p->Y = fe_mul_open(g, h);
	if (t)
		p->T = fe_mul(e, h);
	p->Z = fe_mul(f, g);
}

LANE_HOT void ge_close(struct ge *p)
{
	p->X = fe_carry(p->X);
	p->Y = fe_carry(p->Y);
}

LANE_HOT void ge_add_inside(struct ge *p, const struct ge_cached *q, bool t)
{
	struct fe a = fe_mul_open(fe_sub_open(p->Y, p->X), q->minus), b = fe_mul_open(fe_add_open(p->Y, p->X), q->plus);

	ge_finish(p, a, b, fe_mul_open(p->T, q->t2d), fe_mul_open(p->Z, q->z2), t);
}

LANE_HOT void ge_add_niels_inside(struct ge *p, const struct ge_niels *q, bool t)
{
	struct fe a = fe_mul_open(fe_sub_open(p->Y, p->X), q->minus), b = fe_mul_open(fe_add_open(p->Y, p->X), q->plus);
	struct fe twice_z;

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++)
		twice_z.v[i] = v_add(p->Z.v[i], p->Z.v[i]);
	ge_finish(p, a, b, fe_mul_open(p->T, q->t2d), twice_z, t);
}

/* p += q: 8 multiplications */
static __attribute__((unused, noinline)) void ge_add(struct ge *p, const struct ge_cached *q)
{
	ge_add_inside(p, q, true);
	ge_close(p);
}

/* p += q: 7 multiplications */
static __attribute__((unused, noinline)) void ge_add_niels(struct ge *p, const struct ge_niels *q)
{
	ge_add_niels_inside(p, q, true);
	ge_close(p);
}

/* The same where p is added to next: its X and Y stay open, and may be before any of these. */
static __attribute__((unused, noinline)) void ge_add_open(struct ge *p, const struct ge_cached *q)
{
	ge_add_inside(p, q, true);
}

static __attribute__((unused, noinline)) void ge_add_niels_open(struct ge *p, const struct ge_niels *q)
{
	ge_add_niels_inside(p, q, true);
}

/* The same without T, which only an addition reads: one multiplication less where p is not added to next */
static __attribute__((unused, noinline)) void ge_add_xyz(struct ge *p, const struct ge_cached *q)
{
	ge_add_inside(p, q, false);
	ge_close(p);
}

static __attribute__((unused, noinline)) void ge_add_niels_xyz(struct ge *p, const struct ge_niels *q)
{
	ge_add_niels_inside(p, q, false);
	ge_close(p);
}

/* Half of a doubling, whose products are X = E F, Y = G H, Z = F G, T = E H: -2 X Y, 2 Z^2 + G, X^2 - Y^2, X^2 + Y^2 */
struct ge_halfway {
	struct fe e, f, g, h;
};

/* 3 squares, a multiplication; in halves, where a square is cheap, one more of these instead. F < 1073 2^52 before it is
 * carried. T is not read. */
LANE_HOT void ge_double_begin(struct ge_halfway *m, const struct ge *p)
{
	const struct fe many_p = fe_set1(fe_537p_limbs);
	const struct fe a = fe_sq_open(p->X), b = fe_sq_open(p->Y), c = fe_sq_open(p->Z);

#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
		m->g.v[i] = v_add(a.v[i], v_sub(many_p.v[i], b.v[i]));
		m->f.v[i] = v_add(m->g.v[i], v_add(c.v[i], c.v[i]));
	}
	m->f = fe_carry(m->f);
	m->g = fe_carry(m->g);
	m->h = fe_add_open(a, b);
#ifdef LANES_MUL32
	m->e = fe_sub_open(m->h, fe_sq_open(fe_add(p->X, p->Y)));
#else
	m->e = fe_mul_twice(fe_negate_if(ALL_LANES, p->X), p->Y);
#endif
}

/* 3 multiplications: all but T */
LANE_HOT void ge_double_end(struct ge *p, const struct ge_halfway *m)
{
	p->X = fe_mul(m->e, m->f);
	p->Y = fe_mul(m->g, m->h);
	p->Z = fe_mul(m->f, m->g);
}

/* p = 2^times p, times > 0 */
static __attribute__((unused, noinline)) void ge_double(struct ge *p, unsigned times)
{
	struct ge_halfway m;

	do {
		ge_double_begin(&m, p);
		ge_double_end(p, &m);
	} while (--times);
	p->T = fe_mul(m.e, m.h);
}

/* The same with two points: what one waits for hides behind the other */
static __attribute__((unused, noinline)) void ge_double_pair(struct ge *p, unsigned times)
{
	struct ge_halfway m[FE_PAIR];

	do {
		ge_double_begin(&m[0], &p[0]);
		ge_double_begin(&m[1], &p[1]);
		ge_double_end(&p[0], &m[0]);
		ge_double_end(&p[1], &m[1]);
	} while (--times);
	p[0].T = fe_mul(m[0].e, m[0].h);
	p[1].T = fe_mul(m[1].e, m[1].h);
}

/* Lanes that are the neutral point */
LANE_FN vmask ge_is_identity(const struct ge *p)
{
	return (vmask)(fe_is_zero(p->X) & fe_equal(p->Y, p->Z));
}

/* Points from their encodings, k at once (words: k times 4). Gives x and y; a bit of the answer is set where y with
 * this sign is on the curve. y may be any number of 255 bits, and x = 0 may have either sign: the caller looks at that.
 *                                                                                   RFC 8032 §5.1.3 */
static __attribute__((unused, noinline)) void ge_decode(vmask *good, struct fe *x, struct fe *y, const vec *words,
                                                        unsigned k)
{
	const struct fe one = fe_set1(fe_one_limbs), d = fe_set1(fe_d_limbs), root = fe_set1(fe_sqrtm1_limbs);
	struct fe u[FE_PAIR], v[FE_PAIR], power[FE_PAIR];

	for (unsigned i = 0; i < k; i++) {
		struct fe yy, v3;

		y[i] = fe_from_words(words + 4 * i);
		yy = fe_sq(y[i]);
		u[i] = fe_sub(yy, one);
		v[i] = fe_add(fe_mul(yy, d), one);
		v3 = fe_mul(fe_sq(v[i]), v[i]);
		x[i] = fe_mul(u[i], v3);
		power[i] = fe_mul(fe_mul(fe_sq(v3), v[i]), u[i]); /* u v^7 */
	}
	fe_pow_p58(power, k);
	for (unsigned i = 0; i < k; i++) {
		struct fe vxx;
		vmask straight, turned, odd, sign;
		vec w[4];

		x[i] = fe_mul(x[i], power[i]);
		vxx = fe_mul(fe_sq(x[i]), v[i]);
		straight = fe_equal(vxx, u[i]);
		turned = fe_is_zero(fe_add(vxx, u[i]));
		good[i] = (vmask)(straight | turned);
		x[i] = fe_select(straight, x[i], fe_mul(x[i], root));
		fe_to_words(w, x[i]);
		odd = v_negative(v_shl(w[0], 63));
		sign = v_negative(words[4 * i + 3]);
		x[i] = fe_carry(fe_negate_if((vmask)(odd ^ sign), x[i]));
	}
}

/* Encodings of n <= 8 points, as words, n times 4, for one inversion */
LANE_FN void ge_encode(vec *words, const struct ge *p, unsigned n)
{
	struct fe z[8], prefix[8];

	for (unsigned i = 0; i < n; i++)
		z[i] = p[i].Z;
	fe_invert_many(z, prefix, n);
	for (unsigned i = 0; i < n; i++) {
		vec x[4];

		fe_to_words(x, fe_mul(p[i].X, z[i]));
		fe_to_words(words + 4 * i, fe_mul(p[i].Y, z[i]));
		words[4 * i + 3] = v_or(words[4 * i + 3], v_shl(x[0], 63));
	}
}

#endif
