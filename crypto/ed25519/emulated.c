/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_EMULATED
#include "cpu.h"
#include "ed25519/verify_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512);
}

static uint64_t verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return verify_lanes(jobs, n);
}

static void sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	gm_ed25519_sodium.sign(jobs, n);
}

const struct gm_ed25519_variant gm_ed25519_emulated = {"emulated", usable, verify, sign};
#endif
