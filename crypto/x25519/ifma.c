/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_IFMA
#include "cpu.h"
#include "x25519/variant_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512 | GM_CPU_IFMA);
}

/* On Zen 4 eight lanes take 48 us where libsodium takes 30 for one. */
const struct gm_x25519_variant gm_x25519_ifma = {"ifma", usable, agree, map, .least = 2};
#endif
