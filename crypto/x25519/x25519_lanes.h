/* SPDX-License-Identifier: Apache-2.0 */
/* The Montgomery ladder, a pair of keys in each lane. No branch, no address depends on a key.     RFC 7748 §5 */
#ifndef GM_X25519_LANES_H
#define GM_X25519_LANES_H

#include "field/fe.h"

#define X25519_GROUPS 8u /* share one inversion */

LANE_HOT void swap_if(vmask m, struct fe *a, struct fe *b)
{
	const struct fe t = fe_select(m, *b, *a);

	*b = fe_select(m, *a, *b);
	*a = t;
}

/* x2 / z2 is the shared u */
static __attribute__((noinline)) void ladder(struct fe *x2, struct fe *z2, const vec k[static 4], struct fe u)
{
	struct fe x3 = u, z3 = fe_set1(fe_one_limbs), a, b, c, d, e; /* x2, z2, x3 and z3 are open */
	vmask before = 0;

	*x2 = fe_set1(fe_one_limbs);
	*z2 = fe_set1(fe_zero_limbs);
	for (unsigned t = 255; t-- > 0;) {
		const vmask bit = v_negative(v_shl(k[t / 64], 63 - t % 64)), swap = (vmask)(bit ^ before);

		before = bit;
		swap_if(swap, x2, &x3);
		swap_if(swap, z2, &z3);
		a = fe_add_open(*x2, *z2);
		b = fe_sub_open(*x2, *z2);
		c = fe_mul_open(fe_sub_open(x3, z3), a); /* DA */
		d = fe_mul_open(fe_add_open(x3, z3), b); /* CB */
		a = fe_sq(a);
		b = fe_sq(b);
		e = fe_sub(a, b);
		x3 = fe_sq_open(fe_add_open(c, d));
		z3 = fe_mul_open(u, fe_sq(fe_sub_open(c, d)));
		*x2 = fe_mul_open(a, b);
		*z2 = fe_mul_open(e, fe_scale_add(e, 121665, a));
	}
	swap_if(before, x2, &x3);
	swap_if(before, z2, &z3);
	*x2 = fe_carry(*x2);
	*z2 = fe_carry(*z2);
}

/* x and z of one group; z is made 1 where it is 0, and x 0 with it, so that an inversion of many finds no zero */
static __attribute__((noinline)) void agree_group(struct fe *x, struct fe *z, const struct gm_x25519_job *jobs,
                                                  unsigned n)
{
	const uint8_t *priv[LANES], *pub[LANES];
	vec k[4], u[4];
	vmask none;

	for (unsigned i = 0; i < LANES; i++) {
		priv[i] = jobs[i < n ? i : 0].priv;
		pub[i] = jobs[i < n ? i : 0].pub;
	}
	words_get(k, priv, 4);
	words_get(u, pub, 4);
	k[0] = v_and(k[0], v_set1(~UINT64_C(7)));
	k[3] = v_or(v_and(k[3], v_set1(UINT64_MAX >> 2)), v_set1(UINT64_C(1) << 62));
	ladder(x, z, k, fe_from_words(u));
	gm_wipe(k, sizeof(k));
	none = fe_is_zero(*z);
	*x = fe_select(none, fe_set1(fe_zero_limbs), *x);
	*z = fe_select(none, fe_set1(fe_one_limbs), *z);
}

/* n <= 64 */
LANE_FN uint64_t x25519_lanes(const struct gm_x25519_job *jobs, unsigned n)
{
	const unsigned groups = (n + LANES - 1) / LANES;
	struct fe x[X25519_GROUPS], z[X25519_GROUPS], prefix[X25519_GROUPS];
	uint64_t good = 0;

	if (n == 0 || n > GM_BATCH_MAX)
		return 0;
	for (unsigned g = 0; g < groups; g++)
		agree_group(&x[g], &z[g], jobs + LANES * g, n - LANES * g < LANES ? n - LANES * g : LANES);
	fe_invert_many(z, prefix, groups);
	for (unsigned g = 0; g < groups; g++) {
		const unsigned some = n - LANES * g < LANES ? n - LANES * g : LANES;
		uint8_t *out[LANES];
		vec w[4];
		vmask zero;

		fe_to_words(w, fe_mul(x[g], z[g]));
		zero = v_eq(v_or(v_or(w[0], w[1]), v_or(w[2], w[3])), v_zero());
		for (unsigned i = 0; i < some; i++)
			out[i] = jobs[LANES * g + i].out;
		words_put(out, w, 4, some);
		good |= (uint64_t)((ALL_LANES & ~zero) & ((1u << some) - 1)) << (LANES * g);
	}
	gm_wipe(x, sizeof(x));
	gm_wipe(z, sizeof(z));
	gm_wipe(prefix, sizeof(prefix));
	return good;
}

#endif
