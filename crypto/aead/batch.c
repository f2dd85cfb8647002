/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of mixed algorithms: what the CCM batch can do goes through it in one call, the rest one by one. */
#include <gm/crypto.h>

#define CCM_16_64_128 10
#define CCM_16_128_128 30

typedef uint64_t batch_fn(const struct gm_ccm_job *jobs, unsigned n);
typedef bool single_fn(int alg, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                       uint8_t *text, size_t text_len);

/* 0: not of the CCM batch */
static uint8_t batch_tag(int alg)
{
	return alg == CCM_16_64_128 ? 8 : alg == CCM_16_128_128 ? 16 : 0;
}

static uint64_t run(const struct gm_aead_job *jobs, unsigned n, batch_fn *batch, single_fn *single)
{
	struct gm_ccm_job ccm[GM_BATCH_MAX];
	uint8_t at[GM_BATCH_MAX];
	unsigned ccm_n = 0;
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_aead_job *j = &jobs[i];
		uint8_t tag = batch_tag(j->alg);
		if (tag) {
			at[ccm_n] = (uint8_t)i;
			ccm[ccm_n++] = (struct gm_ccm_job){j->key, j->nonce, j->aad, j->aad_len, j->text, j->text_len, tag};
		} else if (single(j->alg, j->key, j->nonce, j->aad, j->aad_len, j->text, j->text_len)) {
			good |= UINT64_C(1) << i;
		}
	}
	uint64_t mask = ccm_n ? batch(ccm, ccm_n) : 0;
	if (ccm_n == n)
		return mask;
	for (unsigned i = 0; i < ccm_n; i++)
		good |= (mask >> i & 1) << at[i];
	return good;
}

uint64_t gm_aead_seal_many(const struct gm_aead_job *jobs, unsigned n)
{
	return run(jobs, n, gm_ccm_seal, gm_aead_seal);
}

uint64_t gm_aead_open_many(const struct gm_aead_job *jobs, unsigned n)
{
	return run(jobs, n, gm_ccm_open, gm_aead_open);
}
