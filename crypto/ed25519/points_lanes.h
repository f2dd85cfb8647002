/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinate x of keys, one in each lane. All of it is public. */
#ifndef GM_ED25519_POINTS_LANES_H
#define GM_ED25519_POINTS_LANES_H

#include "ed25519/rule.h"
#include "field/ge.h"

/* n <= LANES */
static __attribute__((noinline)) unsigned points_group(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	const uint8_t *pub[LANES];
	uint8_t *out[LANES];
	vec words[4 * FE_PAIR], w[4];
	struct fe x[FE_PAIR], y[FE_PAIR];
	vmask on_curve[FE_PAIR];
	unsigned good = 0;

	for (unsigned i = 0; i < LANES; i++) {
		pub[i] = jobs[i < n ? i : 0].pub;
		good |= (unsigned)(i < n && point_well_formed(pub[i])) << i;
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = jobs[i].point->x;
	words_get(words, pub, 4);
	ge_decode(on_curve, x, y, words, 1);
	good &= on_curve[0];
	fe_to_words(w, fe_select((vmask)good, x[0], fe_set1(fe_zero_limbs)));
	words_put(out, w, 4, n);
	return good;
}

/* n <= 64 */
LANE_FN uint64_t points_lanes(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	uint64_t good = 0;

	if (n > GM_BATCH_MAX)
		return 0;
	for (unsigned i = 0; i < n; i += LANES)
		good |= (uint64_t)points_group(jobs + i, n - i < LANES ? n - i : LANES) << i;
	return good;
}

#endif
