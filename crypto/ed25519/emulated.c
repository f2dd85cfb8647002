/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_EMULATED
#include "cpu.h"
#include "ed25519/variant_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

const struct gm_ed25519_variant gm_ed25519_emulated = {.name = "emulated", .usable = usable, LANE_WORK};
#endif
