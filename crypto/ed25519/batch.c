/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: what of them has nothing to do with lanes. */
#include "ed25519/ed25519.h"

#include <sodium.h>
#include <string.h>

void gm_ed25519_coefficients(uint64_t (*z)[2], unsigned cap, uint8_t (*challenge)[32],
                             const struct gm_ed25519_batch *batch)
{
	static const uint8_t label[] = "gmd Ed25519 batch";
	crypto_generichash_state st;
	uint8_t key[32];

	crypto_generichash_init(&st, batch->seed, GM_ED25519_SEED, sizeof(key));
	crypto_generichash_update(&st, label, sizeof(label));
	for (unsigned i = 0; i < batch->n; i++) {
		crypto_generichash_update(&st, challenge[i], sizeof(challenge[i]));
		crypto_generichash_update(&st, batch->jobs[i].sig + 32, 32);
	}
	crypto_generichash_final(&st, key, sizeof(key));
	gm_random_from(z, sizeof(*z) * cap, key);
	gm_wipe(&st, sizeof(st));
	gm_wipe(key, sizeof(key));
}

/* The jobs whose bits are set, in lanes; unsets those of bad ones */
static void by_lanes(uint64_t *good, const struct gm_ed25519_variant *v, const struct gm_ed25519_job *jobs, unsigned n)
{
	struct gm_ed25519_job some[GM_BATCH_MAX];
	unsigned from[GM_BATCH_MAX], k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (good[i / 64] >> i % 64 & 1) {
			some[k] = jobs[i];
			from[k++] = i;
		}
		if (k < GM_BATCH_MAX && i + 1 < n)
			continue;
		const uint64_t bad = ~gm_ed25519_verify_by(v, some, k);
		for (unsigned j = 0; j < k; j++)
			good[from[j] / 64] ^= (bad >> j & 1) << from[j] % 64;
		k = 0;
	}
}

static unsigned set_bits(const uint64_t *words, unsigned n)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcountll(words[i]);
	return bits;
}

unsigned gm_ed25519_batch_by(const struct gm_ed25519_variant *v, uint64_t *good, const struct gm_ed25519_batch *batch)
{
	const unsigned words = GM_ED25519_BATCH_WORDS(batch->n);

	if (batch->n == 0 || batch->n > GM_ED25519_BATCH_MAX)
		return 0;
	memset(good, 0xff, 8 * words);
	if (batch->n % 64 > 0)
		good[words - 1] = (UINT64_C(1) << batch->n % 64) - 1;
	if (!v->batch || batch->n < v->least.batch || !batch->room || !v->batch(good, batch))
		by_lanes(good, v, batch->jobs, batch->n);
	return set_bits(good, words);
}

bool gm_ed25519_point_from_key(struct gm_ed25519_point *point, const uint8_t pub[static GM_ED25519_PUB])
{
	const struct gm_ed25519_point_job job = {pub, point};

	return gm_ed25519_points_from_keys(&job, 1) == 1;
}
