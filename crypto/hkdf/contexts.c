/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"
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

static const struct gm_hkdf_variant *chosen = &gm_hkdf_portable, *for_few = &gm_hkdf_portable;

static bool good(const struct gm_hkdf_variant *v)
{
	return v == &gm_hkdf_portable || (v->usable() && gm_hkdf_trial(v));
}

void gm_hkdf_pick(void)
{
	unsigned i = 0;

	while (!good(gm_hkdf_variants[i]))
		i++;
	gm_hkdf_use(gm_hkdf_variants[i], gm_hkdf_variants[i]);
#ifdef __x86_64__
	if (for_few == &gm_hkdf_shani && gm_cpu_has(GM_CPU_INTEL) && good(&gm_hkdf_avx512))
		chosen = &gm_hkdf_avx512;
#endif
}

const char *gm_hkdf_picked(void)
{
	return chosen->name;
}

const char *gm_hkdf_picked_for_few(void)
{
	return for_few->name;
}

void gm_hkdf_use(const struct gm_hkdf_variant *many, const struct gm_hkdf_variant *few)
{
	chosen = many;
	for_few = few;
}

uint64_t gm_hkdf_contexts(const struct gm_hkdf_job *jobs, unsigned n)
{
	const unsigned over = n % GM_HKDF_LANES, first = over <= GM_HKDF_FEW ? n - over : n;
	uint64_t done = first > 0 ? chosen->contexts(jobs, first) : 0;

	if (first < n)
		done |= for_few->contexts(jobs + first, n - first) << first;
	return done;
}
