/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_x25519_variant *const variants[] = {
#ifdef __x86_64__
    &gm_x25519_ifma,
#endif
    &gm_x25519_sodium,
};

static const struct gm_x25519_variant *chosen = &gm_x25519_sodium;

void gm_x25519_pick(void)
{
	unsigned i = 0;

	while (variants[i] != &gm_x25519_sodium && !(variants[i]->usable() && gm_x25519_trial(variants[i])))
		i++;
	chosen = variants[i];
}

uint64_t gm_x25519_many(const struct gm_x25519_job *jobs, unsigned n)
{
	return chosen->agree(jobs, n);
}
