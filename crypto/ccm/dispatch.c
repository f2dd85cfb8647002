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

const char *gm_ccm_picked(void)
{
	return chosen->name;
}

void gm_ccm_use(const struct gm_ccm_variant *v)
{
	chosen = v;
}

#ifdef __x86_64__
/* Seven lanes that run empty cost what full ones do, block by block: a single message of more bytes than this, with its
 * AAD, is sooner done by libcrypto; two never are. bench ccm_seal, n = 1 */
#define LONG_ALONE 256u

static const struct gm_ccm_variant *best_for(const struct gm_ccm_job *jobs, unsigned n)
{
	const bool alone = n == 1 && chosen == &gm_ccm_aesni;

	return alone && jobs[0].text_len + jobs[0].aad_len > LONG_ALONE ? &gm_ccm_portable : chosen;
}
#else
static const struct gm_ccm_variant *best_for(const struct gm_ccm_job *jobs, unsigned n)
{
	(void)jobs, (void)n;
	return chosen;
}
#endif

uint64_t gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return best_for(jobs, n)->seal(jobs, n);
}

uint64_t gm_ccm_open(const struct gm_ccm_job *jobs, unsigned n)
{
	return best_for(jobs, n)->open(jobs, n);
}
