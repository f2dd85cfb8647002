/* SPDX-License-Identifier: Apache-2.0 */
#include "ccm/ccm.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_ccm_variant *const variants[] = {&gm_ccm_portable};

static const struct gm_ccm_variant *chosen = &gm_ccm_portable;

void gm_ccm_pick(void)
{
	unsigned i = 0;

	while (!variants[i]->usable())
		i++;
	chosen = variants[i];
}

uint64_t gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return chosen->seal(jobs, n);
}

uint64_t gm_ccm_open(const struct gm_ccm_job *jobs, unsigned n)
{
	return chosen->open(jobs, n);
}
