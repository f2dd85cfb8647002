/* SPDX-License-Identifier: Apache-2.0 */
#include "ed25519/ed25519.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_ed25519_variant *const variants[] = {&gm_ed25519_sodium};

static const struct gm_ed25519_variant *chosen = &gm_ed25519_sodium;

void gm_ed25519_pick(void)
{
	unsigned i = 0;

	while (!variants[i]->usable())
		i++;
	chosen = variants[i];
}

uint64_t gm_ed25519_verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return chosen->verify(jobs, n);
}

void gm_ed25519_sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	chosen->sign(jobs, n);
}
