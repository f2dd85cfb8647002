/* SPDX-License-Identifier: Apache-2.0 */
/* What a variant has to compute before it is taken. */
#include <criterion/criterion.h>
#include <string.h>

#include "trial.h"

static unsigned spoil; /* the job that comes out wrong, from 1; 0: none */

static void start(void)
{
	cr_assert(gm_crypto_init());
	spoil = 0;
}

TestSuite(trial, .init = start);

static bool always(void)
{
	return true;
}

static uint64_t verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	uint64_t mask = gm_ed25519_sodium.verify(jobs, n);
	return spoil ? mask ^ UINT64_C(1) << (spoil - 1) : mask;
}

static void sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	gm_ed25519_sodium.sign(jobs, n);
	if (spoil)
		jobs[spoil - 1].sig[63] ^= 1;
}

/* a sum that does not come out though all are good, or comes out though one is bad */
static bool batch(uint64_t *hopeful, const struct gm_ed25519_batch *b)
{
	return gm_ed25519_plain.batch(hopeful, b) && !spoil;
}

static bool trusting_batch(uint64_t *hopeful, const struct gm_ed25519_batch *b)
{
	return gm_ed25519_plain.batch(hopeful, b) || spoil;
}

static uint64_t points(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	uint64_t mask = gm_ed25519_plain.points(jobs, n);
	return spoil ? mask ^ UINT64_C(1) << (spoil - 1) : mask;
}

static uint64_t map(const struct gm_x25519_map_job *jobs, unsigned n)
{
	uint64_t mask = gm_x25519_sodium.map(jobs, n);
	if (spoil)
		jobs[spoil - 1].out[31] ^= 1;
	return mask;
}

static uint64_t agree(const struct gm_x25519_job *jobs, unsigned n)
{
	uint64_t mask = gm_x25519_sodium.agree(jobs, n);
	if (spoil)
		jobs[spoil - 1].out[31] ^= 1;
	return mask;
}

static uint64_t seal(const struct gm_ccm_job *jobs, unsigned n)
{
	uint64_t mask = gm_ccm_portable.seal(jobs, n);
	if (spoil)
		jobs[spoil - 1].text[jobs[spoil - 1].text_len] ^= 1;
	return mask;
}

static uint64_t seal_same(struct gm_ccm_same *m, unsigned n)
{
	uint64_t mask = gm_ccm_portable.seal_same(m, n);
	if (spoil)
		m->to[spoil - 1][m->text_len] ^= 1;
	return mask;
}

static uint64_t open_any(const struct gm_ccm_job *jobs, unsigned n)
{
	uint64_t mask = gm_ccm_portable.open(jobs, n);
	return spoil ? mask | UINT64_C(1) << (spoil - 1) : mask;
}

static uint64_t contexts(const struct gm_hkdf_job *jobs, unsigned n)
{
	uint64_t mask = gm_hkdf_portable.contexts(jobs, n);
	if (spoil)
		jobs[spoil - 1].out[2].out[0] ^= 1;
	return mask;
}

Test(trial, passes_those_that_compute_as_the_library_does)
{
	for (unsigned i = 0; gm_ccm_variants[i]; i++)
		cr_expect(!gm_ccm_variants[i]->usable() || gm_ccm_trial(gm_ccm_variants[i]), "%s", gm_ccm_variants[i]->name);
	for (unsigned i = 0; gm_hkdf_variants[i]; i++)
		cr_expect(!gm_hkdf_variants[i]->usable() || gm_hkdf_trial(gm_hkdf_variants[i]), "%s", gm_hkdf_variants[i]->name);
	cr_expect(gm_ed25519_trial(&gm_ed25519_sodium) && gm_ed25519_trial(&gm_ed25519_plain));
	cr_expect(gm_x25519_trial(&gm_x25519_sodium) && gm_x25519_trial(&gm_x25519_plain));
#ifdef __x86_64__
	cr_expect(!gm_ed25519_emulated.usable() || gm_ed25519_trial(&gm_ed25519_emulated));
	cr_expect(!gm_x25519_emulated.usable() || gm_x25519_trial(&gm_x25519_emulated));
	cr_expect(!gm_ed25519_avx512.usable() || gm_ed25519_trial(&gm_ed25519_avx512));
	cr_expect(!gm_x25519_avx512.usable() || gm_x25519_trial(&gm_x25519_avx512));
	cr_expect(!gm_ed25519_ifma.usable() || gm_ed25519_trial(&gm_ed25519_ifma));
	cr_expect(!gm_x25519_ifma.usable() || gm_x25519_trial(&gm_x25519_ifma));
#endif
}

Test(trial, refuses_one_that_gets_a_single_job_wrong)
{
	struct gm_ed25519_variant verifies = gm_ed25519_sodium, signs = gm_ed25519_sodium, sums = gm_ed25519_plain,
	                          trusts = gm_ed25519_plain, decodes = gm_ed25519_plain;
	struct gm_x25519_variant agrees = gm_x25519_sodium, maps = gm_x25519_sodium;
	struct gm_ccm_variant seals = gm_ccm_portable, opens = gm_ccm_portable, seals_same = gm_ccm_portable;
	const struct gm_hkdf_variant derives = {"bad", always, contexts};

	verifies.verify = verify, signs.sign = sign, sums.batch = batch, trusts.batch = trusting_batch, decodes.points = points;
	agrees.agree = agree, maps.map = map;
	seals.seal = seal, opens.open = open_any, seals_same.seal_same = seal_same;
	for (unsigned pass = 0; pass < 2; pass++, spoil = 17) {
		bool good = pass == 0;
		cr_expect_eq(gm_ed25519_trial(&verifies), good);
		cr_expect_eq(gm_ed25519_trial(&signs), good);
		cr_expect_eq(gm_ed25519_trial(&sums), good);
		cr_expect_eq(gm_ed25519_trial(&trusts), good);
		cr_expect_eq(gm_ed25519_trial(&decodes), good);
		cr_expect_eq(gm_x25519_trial(&agrees), good);
		cr_expect_eq(gm_x25519_trial(&maps), good);
		cr_expect_eq(gm_ccm_trial(&seals), good);
		cr_expect_eq(gm_ccm_trial(&opens), good);
		cr_expect_eq(gm_ccm_trial(&seals_same), good);
		cr_expect_eq(gm_hkdf_trial(&derives), good);
	}
}
