/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

const struct gm_ccm_variant *const gm_ccm_variants[] = {
#ifdef __x86_64__
	&gm_ccm_vaes, &gm_ccm_aesni,
#endif
	&gm_ccm_portable, NULL, /* usable everywhere */
};

static const struct gm_ccm_variant *chosen = &gm_ccm_portable;

void gm_ccm_pick(void)
{
	unsigned i = 0;

	while (gm_ccm_variants[i] != &gm_ccm_portable && !(gm_ccm_variants[i]->usable() && gm_ccm_trial(gm_ccm_variants[i])))
		i++;
	chosen = gm_ccm_variants[i];
}

void gm_ccm_use(const struct gm_ccm_variant *v)
{
	chosen = v;
}

uint64_t gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return chosen->seal(jobs, n);
}

uint64_t gm_ccm_open(const struct gm_ccm_job *jobs, unsigned n)
{
	return chosen->open(jobs, n);
}
