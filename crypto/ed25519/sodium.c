/* SPDX-License-Identifier: Apache-2.0 */
#include "ed25519/ed25519.h"
#include "ed25519/rule.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_sign_BYTES == GM_ED25519_SIG, "a signature is 64 bytes");
/* NOLINTNEXTLINE(misc-redundant-expression): both say 64, but whoever changes one has to change the other */
_Static_assert(crypto_sign_SECRETKEYBYTES == GM_ED25519_SEED + GM_ED25519_PUB, "libsodium's secret key is seed || pub");

static bool always(void)
{
	return true;
}

/* libsodium's yes is a yes by our rule too. Its no is final where the bytes already break the rule; else it may be
 * about a component of small order alone, and the cofactored equation decides. */
static bool good(const struct gm_ed25519_job *j)
{
	if (crypto_sign_verify_detached(j->sig, j->msg, j->msg_len, j->pub) == 0)
		return true;
	return job_well_formed(j) && gm_ed25519_single_verify(j, 1) == 1;
}

static uint64_t verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < n; i++)
		mask |= (uint64_t)good(&jobs[i]) << i;
	return mask;
}

static void sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	for (unsigned i = 0; i < n; i++) {
		const struct gm_ed25519_sign_job *j = &jobs[i];

		memcpy(secret, j->seed, GM_ED25519_SEED);
		memcpy(secret + GM_ED25519_SEED, j->pub, GM_ED25519_PUB);
		crypto_sign_detached(j->sig, NULL, j->msg, j->msg_len, secret);
	}
	gm_wipe(secret, sizeof(secret));
}

static void public(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_ed25519_public(jobs[i].pub, jobs[i].seed);
}

const struct gm_ed25519_variant gm_ed25519_sodium = {
    .name = "sodium", .usable = always, .verify = verify, .sign = sign, .public = public, .points = gm_ed25519_single_points};

void gm_ed25519_public(uint8_t pub[static GM_ED25519_PUB], const uint8_t seed[static GM_ED25519_SEED])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(pub, secret, seed);
	gm_wipe(secret, sizeof(secret));
}
