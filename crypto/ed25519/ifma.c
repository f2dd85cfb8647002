/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#define GM_LANES_IFMA
#include "cpu.h"
#include "ed25519/sign_lanes.h"
#include "ed25519/verify_lanes.h"

static bool usable(void)
{
	return gm_cpu_has(GM_CPU_AVX2 | GM_CPU_AVX512 | GM_CPU_IFMA);
}

static uint64_t verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return verify_lanes(jobs, n);
}

static void sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	sign_lanes(jobs, n);
}

static void public(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	public_lanes(jobs, n);
}

const struct gm_ed25519_variant gm_ed25519_ifma = {"ifma", usable, verify, sign, public};
#endif
