/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 1
#include "ed25519/points_lanes.h"
#include "ed25519/verify_lanes.h"

uint64_t gm_ed25519_single_verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return verify_lanes(jobs, n);
}

uint64_t gm_ed25519_single_points(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	return points_lanes(jobs, n);
}
