/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

static bool always(void)
{
	return true;
}

static uint64_t one_by_one(const struct gm_hkdf_job *jobs, unsigned n)
{
	uint8_t prk[GM_SHA256];
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_hkdf_job *j = &jobs[i];

		if (!gm_hkdf_fits(j))
			continue;
		gm_hkdf_sha256_extract(prk, j->salt, j->salt_len, j->ikm, j->ikm_len);
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
			gm_hkdf_sha256_expand(j->out[k].out, j->out[k].out_len, prk, j->out[k].info,
			                      j->out[k].info_len);
		good |= UINT64_C(1) << i;
	}
	gm_wipe(prk, sizeof(prk));
	return good;
}

const struct gm_hkdf_variant gm_hkdf_portable = {"portable", always, one_by_one};

const struct gm_hkdf_variant *const gm_hkdf_variants[] = {
#ifdef __x86_64__
    &gm_hkdf_shani,    &gm_hkdf_avx512,
    &gm_hkdf_avx2,
#endif
    &gm_hkdf_portable, NULL, /* usable everywhere */
};

static const struct gm_hkdf_variant *chosen = &gm_hkdf_portable;

void gm_hkdf_pick(void)
{
	unsigned i = 0;

	while (gm_hkdf_variants[i] != &gm_hkdf_portable &&
	       !(gm_hkdf_variants[i]->usable() && gm_hkdf_trial(gm_hkdf_variants[i])))
		i++;
	chosen = gm_hkdf_variants[i];
}

const char *gm_hkdf_picked(void)
{
	return chosen->name;
}

uint64_t gm_hkdf_contexts(const struct gm_hkdf_job *jobs, unsigned n)
{
	return chosen->contexts(jobs, n);
}
