/* SPDX-License-Identifier: Apache-2.0 */
#include "ed25519/ed25519.h"

#include <string.h>

static unsigned set_bits(const uint64_t *words, unsigned n)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcountll(words[i]);
	return bits;
}

unsigned gm_ed25519_verify_batch(uint64_t *good, const struct gm_ed25519_batch *batch)
{
	const unsigned words = GM_ED25519_BATCH_WORDS(batch->n);

	if (batch->n > GM_ED25519_BATCH_MAX)
		return 0;
	for (unsigned i = 0; i < words; i++) {
		const unsigned left = batch->n - 64 * i;

		good[i] = gm_ed25519_verify(batch->jobs + 64 * i, left < 64 ? left : 64);
	}
	return set_bits(good, words);
}

bool gm_ed25519_point_from_key(struct gm_ed25519_point *point, const uint8_t pub[static GM_ED25519_PUB])
{
	const struct gm_ed25519_point_job job = {pub, point};

	return gm_ed25519_points_from_keys(&job, 1) == 1;
}

uint64_t gm_ed25519_points_from_keys(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	return gm_ed25519_single_points(jobs, n);
}
