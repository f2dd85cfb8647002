/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

const struct gm_ccm_variant *const gm_ccm_variants[] = {
#ifdef __x86_64__
	&gm_ccm_vaes, &gm_ccm_aesni, &gm_ccm_aesni_few,
#endif
	&gm_ccm_portable, NULL, /* usable everywhere */
};

static const struct gm_ccm_variant *chosen = &gm_ccm_portable, *for_few = &gm_ccm_portable;

static bool good(const struct gm_ccm_variant *v)
{
	return v == &gm_ccm_portable || (v->usable() && gm_ccm_trial(v));
}

void gm_ccm_pick(void)
{
	unsigned i = 0;

	while (!good(gm_ccm_variants[i]))
		i++;
	gm_ccm_use(gm_ccm_variants[i]);
#ifdef __x86_64__
	if (good(&gm_ccm_aesni_few))
		for_few = &gm_ccm_aesni_few;
#endif
}

const char *gm_ccm_picked(void)
{
	return chosen->name;
}

void gm_ccm_use(const struct gm_ccm_variant *v)
{
	chosen = for_few = v;
}

static const struct gm_ccm_variant *best_for(unsigned n)
{
	return n <= GM_CCM_FEW ? for_few : chosen;
}

uint64_t gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return best_for(n)->seal(jobs, n);
}

uint64_t gm_ccm_open(const struct gm_ccm_job *jobs, unsigned n)
{
	return best_for(n)->open(jobs, n);
}

uint64_t gm_ccm_seal_same(struct gm_ccm_same *m, unsigned n)
{
	return gm_ccm_same_fits(m) ? best_for(n)->seal_same(m, n) : 0;
}
