/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_AVX512
#include "cpu.h"
#include "ed25519/variant_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

/* On Cascade Lake eight lanes take as long as 2.7 verifications of libsodium, 1.7 signatures, 1.6 keys. */
const struct gm_ed25519_variant gm_ed25519_avx512 = {
    .name = "avx512", .usable = usable, LANE_WORK, .least = {.verify = 3, .sign = 2, .batch = 24}};
#endif
