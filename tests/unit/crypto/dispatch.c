/* SPDX-License-Identifier: Apache-2.0 */
/* Which variant is in use, by what CPUID says here, read anew. */
#include <stdio.h>
#include <criterion/criterion.h>
#include "trial.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

struct features {
	bool aes, avx2, avx512, ifma, vaes, sha;
};

static struct features look(void)
{
	struct features f = {0};
#ifdef __x86_64__
	unsigned eax, ebx = 0, ecx = 0, edx;

	__builtin_cpu_init();
	f.aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx");
	f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
	f.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
	__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	f.ifma = f.avx512 && ebx >> 21 & 1;
	f.vaes = f.avx512 && f.aes && ecx >> 9 & 1;
	f.sha = f.avx2 && ebx >> 29 & 1;
#endif
	return f;
}

Test(dispatch, picks_the_fastest_that_this_processor_runs)
{
	const struct features f = look();

	cr_assert(gm_crypto_init());
	fprintf(stderr, "picked: Ed25519 %s, X25519 %s, AES-CCM %s, HKDF %s\n", gm_ed25519_picked(), gm_x25519_picked(),
	        gm_ccm_picked(), gm_hkdf_picked());
	cr_expect_str_eq(gm_ed25519_picked(), f.ifma ? "ifma" : f.avx512 ? "avx512" : "sodium");
	cr_expect_str_eq(gm_x25519_picked(), f.ifma ? "ifma" : f.avx512 ? "avx512" : "sodium");
	cr_expect_str_eq(gm_ccm_picked(), f.vaes ? "vaes" : f.aes ? "aesni" : "portable");
	cr_expect_str_eq(gm_hkdf_picked(), f.sha ? "shani" : f.avx512 ? "avx512" : f.avx2 ? "avx2" : "portable");
}

Test(dispatch, falls_back_to_the_libraries_where_everything_is_taken_away)
{
	cr_assert_eq(setenv("GM_CPU_WITHOUT", "aes,avx2,avx512,ifma,vaes,sha", 1), 0);
	cr_assert(gm_crypto_init());
	cr_expect_str_eq(gm_ed25519_picked(), "sodium");
	cr_expect_str_eq(gm_x25519_picked(), "sodium");
	cr_expect_str_eq(gm_ccm_picked(), "portable");
	cr_expect_str_eq(gm_hkdf_picked(), "portable");
}
