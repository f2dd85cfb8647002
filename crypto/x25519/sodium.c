/* SPDX-License-Identifier: Apache-2.0 */
#include "x25519/x25519.h"

#include <sodium.h>
#include <string.h>

bool gm_x25519(uint8_t out[static GM_X25519_KEY], const uint8_t priv[static GM_X25519_KEY],
               const uint8_t pub[static GM_X25519_KEY])
{
	return crypto_scalarmult_curve25519(out, priv, pub) == 0;
}

/* The map is u = (1 + y) / (1 - y): y = 1 has no image and y = -1 gives 0. libsodium refuses both, being of small
 * order, and every point outside the prime-order subgroup. That leaves no y >= p: of those 19 none is in the subgroup.
 */
bool gm_ed25519_to_x25519_pub(uint8_t out[static GM_X25519_KEY], const uint8_t pub[static GM_ED25519_PUB])
{
	return crypto_sign_ed25519_pk_to_curve25519(out, pub) == 0;
}

void gm_ed25519_to_x25519_priv(uint8_t out[static GM_X25519_KEY], const uint8_t seed[static GM_ED25519_SEED])
{
	/* reads the seed only, not the public half of libsodium's secret key */
	crypto_sign_ed25519_sk_to_curve25519(out, seed);
}

static bool always(void)
{
	return true;
}

static uint64_t agree(const struct gm_x25519_job *jobs, unsigned n)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		if (gm_x25519(jobs[i].out, jobs[i].priv, jobs[i].pub))
			good |= UINT64_C(1) << i;
		else
			memset(jobs[i].out, 0, GM_X25519_KEY);
	}
	return good;
}

static uint64_t map(const struct gm_x25519_map_job *jobs, unsigned n)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		if (gm_ed25519_to_x25519_pub(jobs[i].out, jobs[i].pub))
			good |= UINT64_C(1) << i;
		else
			memset(jobs[i].out, 0, GM_X25519_KEY);
	}
	return good;
}

const struct gm_x25519_variant gm_x25519_sodium = {"sodium", always, agree, map, .least = 0};
