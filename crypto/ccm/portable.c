/* SPDX-License-Identifier: Apache-2.0 */
#include "ccm/ccm.h"
#include "aead/aead.h"

#include <string.h>

enum { CCM_16_64_128 = 10, CCM_16_128_128 = 30 };

static bool always(void)
{
	return true;
}

static int alg_of(const struct gm_ccm_job *j)
{
	return j->tag_len == 16 ? CCM_16_128_128 : CCM_16_64_128;
}

static uint64_t seal(const struct gm_ccm_job *jobs, unsigned n)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_ccm_job *j = &jobs[i];

		if (!gm_ccm_fits(j))
			continue;
		if (gm_evp_seal(gm_aead_row(alg_of(j)), j->key, j->nonce, j->aad, j->aad_len, j->text, j->text_len))
			good |= UINT64_C(1) << i;
		else
			gm_wipe(j->text, j->text_len);
	}
	gm_evp_forget();
	return good;
}

static uint64_t open(const struct gm_ccm_job *jobs, unsigned n)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_ccm_job *j = &jobs[i];

		if (gm_ccm_fits(j) &&
		    gm_evp_open(gm_aead_row(alg_of(j)), j->key, j->nonce, j->aad, j->aad_len, j->text, j->text_len))
			good |= UINT64_C(1) << i;
		else
			gm_wipe(j->text, j->text_len);
	}
	gm_evp_forget();
	return good;
}

static uint64_t seal_same(struct gm_ccm_same *m, unsigned n)
{
	const size_t len = m->text_len;
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *aad = m->aad[i][0];

		if (len)
			memcpy(m->to[i], m->text, len);
		if (gm_evp_seal(gm_aead_row(CCM_16_64_128), m->key[i], m->nonce[i], aad + 2, (size_t)(aad[0] << 8 | aad[1]), m->to[i], len))
			good |= UINT64_C(1) << i;
		else
			gm_wipe(m->to[i], len);
	}
	gm_evp_forget();
	return good;
}

const struct gm_ccm_variant gm_ccm_portable = {"portable", always, seal, open, seal_same};
