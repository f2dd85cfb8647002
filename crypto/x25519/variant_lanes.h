/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a variant with eight lanes does, over the back end that a file has chosen (field/lanes.h). */
#ifndef GM_X25519_VARIANT_LANES_H
#define GM_X25519_VARIANT_LANES_H

#include "x25519/map_lanes.h"
#include "x25519/x25519.h"
#include "x25519/x25519_lanes.h"

static uint64_t agree(const struct gm_x25519_job *jobs, unsigned n)
{
	return x25519_lanes(jobs, n);
}

static uint64_t map(const struct gm_x25519_map_job *jobs, unsigned n)
{
	return map_lanes(jobs, n);
}

#endif
