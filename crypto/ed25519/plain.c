/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 8
#include "ed25519/variant_lanes.h"

static bool usable(void)
{
	return true;
}

const struct gm_ed25519_variant gm_ed25519_plain = {.name = "plain", .usable = usable, LANE_WORK};
