/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys in Montgomery form, one in each lane: u = (1 + y) / (1 - y). All of it is public.       RFC 7748 §4.1 */
#ifndef GM_X25519_MAP_LANES_H
#define GM_X25519_MAP_LANES_H

#include "ed25519/rule.h"
#include "field/ge.h"
#include "field/sc.h"

#define MAP_GROUPS 8u /* share one inversion */
#define ORDER_WIDTH 4u
#define ORDER_DIGITS 64u

/* Lanes whose point has the order of the base point: L times it is the neutral one. L is the same in all lanes, and most
 * of its upper digits are 0. */
static __attribute__((noinline)) vmask of_prime_order(struct fe x, struct fe y)
{
	const struct ge_niels step = ge_to_niels(x, y);
	struct ge_cached multiple[1 + (1u << (ORDER_WIDTH - 1))];
	struct ge p = ge_identity();
	struct sc order;
	vec digit[ORDER_DIGITS];

	for (unsigned i = 0; i < 5; i++)
		order.v[i] = v_set1(sc_order_limbs[i]);
	sc_digits(digit, ORDER_DIGITS, ORDER_WIDTH, order);
	for (unsigned i = 1; i < sizeof(multiple) / sizeof(multiple[0]); i++) {
		ge_add_niels(&p, &step);
		multiple[i] = ge_to_cached(&p);
	}
	p = ge_identity();
	for (unsigned i = ORDER_DIGITS; i-- > 0;) {
		uint64_t size[LANES];

		ge_double(&p, ORDER_WIDTH);
		v_store(size, digit_size(digit[i]));
		if (size[0] > 0) {
			struct ge_cached c = multiple[size[0]];

			cached_negate_if(v_negative(digit[i]), &c);
			ge_add_xyz(&p, &c);
		}
	}
	return ge_is_identity(&p);
}

/* 1 + y and 1 - y of one group; where the answer is no, 0 and 1, so that an inversion of many finds no zero */
static __attribute__((noinline)) unsigned map_group(struct fe *over, struct fe *under, const struct gm_x25519_map_job *jobs,
                                                    unsigned n)
{
	const struct fe zero = fe_set1(fe_zero_limbs), one = fe_set1(fe_one_limbs);
	const uint8_t *pub[LANES];
	vec words[4 * FE_PAIR];
	struct fe x[FE_PAIR], y[FE_PAIR];
	vmask on_curve[FE_PAIR];
	unsigned good = 0;

	for (unsigned i = 0; i < LANES; i++) {
		pub[i] = jobs[i < n ? i : 0].pub;
		good |= (unsigned)(i < n && point_well_formed(pub[i])) << i;
	}
	words_get(words, pub, 4);
	ge_decode(on_curve, x, y, words, 1);
	good &= on_curve[0];
	x[0] = fe_select((vmask)good, x[0], zero);
	y[0] = fe_select((vmask)good, y[0], one);
	good &= of_prime_order(x[0], y[0]);
	*over = fe_select((vmask)good, fe_add(one, y[0]), zero);
	*under = fe_select((vmask)good, fe_sub(one, y[0]), one);
	return good;
}

/* n <= 64 */
LANE_FN uint64_t map_lanes(const struct gm_x25519_map_job *jobs, unsigned n)
{
	const unsigned groups = (n + LANES - 1) / LANES;
	struct fe over[MAP_GROUPS], under[MAP_GROUPS], prefix[MAP_GROUPS];
	uint64_t good = 0;

	if (n == 0 || n > GM_BATCH_MAX)
		return 0;
	for (unsigned g = 0; g < groups; g++) {
		const unsigned some = n - LANES * g < LANES ? n - LANES * g : LANES;

		good |= (uint64_t)map_group(&over[g], &under[g], jobs + LANES * g, some) << (LANES * g);
	}
	fe_invert_many(under, prefix, groups);
	for (unsigned g = 0; g < groups; g++) {
		const unsigned some = n - LANES * g < LANES ? n - LANES * g : LANES;
		uint8_t *out[LANES];
		vec w[4];

		fe_to_words(w, fe_mul(over[g], under[g]));
		for (unsigned i = 0; i < some; i++)
			out[i] = jobs[LANES * g + i].out;
		words_put(out, w, 4, some);
	}
	return good;
}

#endif
