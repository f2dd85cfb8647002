/* SPDX-License-Identifier: Apache-2.0 */
/* Which variant is in use, by what CPUID says here, read anew. */
#include <stdio.h>
#include <criterion/criterion.h>
#include "trial.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

struct features {
	bool aes, avx2, avx512, ifma, vaes, sha, intel;
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
	f.intel = __builtin_cpu_is("intel");
#endif
	return f;
}

Test(dispatch, picks_the_fastest_that_this_processor_runs)
{
	const struct features f = look();

	cr_assert(gm_crypto_init());
	fprintf(stderr, "picked: Ed25519 %s, X25519 %s, AES-CCM %s, HKDF %s, of few %s\n", gm_ed25519_picked(),
	        gm_x25519_picked(), gm_ccm_picked(), gm_hkdf_picked(), gm_hkdf_picked_for_few());
	cr_expect_str_eq(gm_ed25519_picked(), f.ifma ? "ifma" : f.avx512 ? "avx512" : "sodium");
	cr_expect_str_eq(gm_x25519_picked(), f.ifma ? "ifma" : f.avx512 ? "avx512" : "sodium");
	cr_expect_str_eq(gm_ccm_picked(), f.vaes ? "vaes" : f.aes ? "aesni" : "portable");
	cr_expect_str_eq(gm_hkdf_picked(), f.sha && !(f.intel && f.avx512) ? "shani"
	                                   : f.avx512                      ? "avx512"
	                                   : f.avx2                        ? "avx2"
	                                                                   : "portable");
	cr_expect_str_eq(gm_hkdf_picked_for_few(), f.sha ? "shani" : gm_hkdf_picked());
}

Test(dispatch, takes_sha_ni_for_any_number_of_contexts_where_intel_did_not_make_it)
{
	if (!look().sha)
		cr_skip("no SHA-NI");
	cr_assert_eq(setenv("GM_CPU_WITHOUT", "intel", 1), 0);
	cr_assert(gm_crypto_init());
	cr_expect_str_eq(gm_hkdf_picked(), "shani");
	cr_expect_str_eq(gm_hkdf_picked_for_few(), "shani");
}

/* ---- which jobs of a call go where: those of a fake are noted, and the last one of its calls is no good */

static struct gm_hkdf_job jobs[64];
static unsigned taken[2], first[2]; /* by many, by few */

static bool usable(void)
{
	return true;
}

static uint64_t take(unsigned who, const struct gm_hkdf_job *some, unsigned n)
{
	taken[who] = n;
	first[who] = (unsigned)(some - jobs);
	return (UINT64_C(1) << (n - 1)) - 1;
}

static uint64_t take_many(const struct gm_hkdf_job *some, unsigned n)
{
	return take(0, some, n);
}

static uint64_t take_few(const struct gm_hkdf_job *some, unsigned n)
{
	return take(1, some, n);
}

Test(dispatch, leaves_a_last_group_of_few_contexts_to_the_variant_for_few)
{
	static const struct gm_hkdf_variant many = {"many", usable, take_many}, few = {"few", usable, take_few};

	gm_hkdf_use(&many, &few);
	cr_expect_str_eq(gm_hkdf_picked(), "many");
	cr_expect_str_eq(gm_hkdf_picked_for_few(), "few");
	for (unsigned n = 0; n <= 64; n++) {
		const unsigned over = n % 16, by_few = over <= 8 ? over : 0;
		uint64_t good = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;

		if (n > 0)
			good ^= UINT64_C(1) << (n - 1);
		if (by_few > 0 && by_few < n)
			good ^= UINT64_C(1) << (n - by_few - 1);
		taken[0] = taken[1] = first[0] = first[1] = 0;
		cr_expect_eq(gm_hkdf_contexts(jobs, n), good, "%u", n);
		cr_expect_eq(taken[0], n - by_few, "%u", n);
		cr_expect_eq(taken[1], by_few, "%u", n);
		cr_expect_eq(first[0], 0, "%u", n);
		cr_expect_eq(first[1], by_few > 0 ? n - by_few : 0, "%u", n);
	}
}

Test(dispatch, falls_back_to_the_libraries_where_everything_is_taken_away)
{
	cr_assert_eq(setenv("GM_CPU_WITHOUT", "aes,avx2,avx512,ifma,vaes,sha", 1), 0);
	cr_assert(gm_crypto_init());
	cr_expect_str_eq(gm_ed25519_picked(), "sodium");
	cr_expect_str_eq(gm_x25519_picked(), "sodium");
	cr_expect_str_eq(gm_ccm_picked(), "portable");
	cr_expect_str_eq(gm_hkdf_picked(), "portable");
	cr_expect_str_eq(gm_hkdf_picked_for_few(), "portable");
}
