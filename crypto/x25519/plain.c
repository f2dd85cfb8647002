/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 8
#include "x25519/x25519.h"
#include "x25519/x25519_lanes.h"

static bool usable(void)
{
	return true;
}

static uint64_t agree(const struct gm_x25519_job *jobs, unsigned n)
{
	return x25519_lanes(jobs, n);
}

const struct gm_x25519_variant gm_x25519_plain = {"plain", usable, agree};
