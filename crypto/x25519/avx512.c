/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_AVX512
#include "cpu.h"
#include "x25519/variant_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

/* On Cascade Lake eight lanes take as long as 3.1 of libsodium. */
const struct gm_x25519_variant gm_x25519_avx512 = {"avx512", usable, agree, map, .least = 4};
#endif
