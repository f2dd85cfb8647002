/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"
#include "ed25519/tables.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_ed25519_variant *const variants[] = {
#ifdef __x86_64__
    &gm_ed25519_ifma,
#endif
    &gm_ed25519_sodium,
};

static const struct gm_ed25519_variant *chosen = &gm_ed25519_sodium;

void gm_ed25519_pick(void)
{
	unsigned i = 0;

	gm_ed25519_tables_start();
	while (variants[i] != &gm_ed25519_sodium && !(variants[i]->usable() && gm_ed25519_trial(variants[i])))
		i++;
	chosen = variants[i];
}

void gm_ed25519_use(const struct gm_ed25519_variant *variant)
{
	if (variant)
		chosen = variant;
	else
		gm_ed25519_pick();
}

uint64_t gm_ed25519_verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return chosen->verify(jobs, n);
}

void gm_ed25519_sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	chosen->sign(jobs, n);
}

void gm_ed25519_public_many(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	chosen->public(jobs, n);
}
