/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 8
#include "ed25519/sign_lanes.h"
#include "ed25519/verify_lanes.h"

static bool usable(void)
{
	return true;
}

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

const struct gm_ed25519_variant gm_ed25519_plain = {"plain", usable, verify, sign, public};
