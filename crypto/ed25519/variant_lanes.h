/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a variant with eight lanes does, over the back end that a file has chosen (field/lanes.h). */
#ifndef GM_ED25519_VARIANT_LANES_H
#define GM_ED25519_VARIANT_LANES_H

#include "ed25519/batch_lanes.h"
#include "ed25519/points_lanes.h"
#include "ed25519/sign_lanes.h"
#include "ed25519/verify_lanes.h"

static uint64_t verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return verify_lanes(jobs, n);
}

static void sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	sign_lanes(jobs, n);
}

static void public(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	public_lanes(jobs, n);
}

static bool batch(uint64_t *hopeful, const struct gm_ed25519_batch *b)
{
	return batch_lanes(hopeful, b);
}

static uint64_t points(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	return points_lanes(jobs, n);
}

#define LANE_WORK .verify = verify, .sign = sign, .public = public, .batch = batch, .points = points

#endif
