/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_EMULATED
#include "cpu.h"
#include "x25519/x25519.h"
#include "x25519/x25519_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

static uint64_t agree(const struct gm_x25519_job *jobs, unsigned n)
{
	return x25519_lanes(jobs, n);
}

const struct gm_x25519_variant gm_x25519_emulated = {"emulated", usable, agree};
#endif
