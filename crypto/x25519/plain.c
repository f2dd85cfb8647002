/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 8
#include "x25519/variant_lanes.h"

static bool usable(void)
{
	return true;
}

const struct gm_x25519_variant gm_x25519_plain = {"plain", usable, agree, map, .least = 0};
