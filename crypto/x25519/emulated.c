/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_EMULATED
#include "cpu.h"
#include "x25519/variant_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

const struct gm_x25519_variant gm_x25519_emulated = {"emulated", usable, agree, map, .least = 0};
#endif
