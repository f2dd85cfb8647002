/* SPDX-License-Identifier: Apache-2.0 */
#include "aead/aead.h"
#include "ccm/ccm.h"
#include "ed25519/ed25519.h"
#include "x25519/x25519.h"
#include "hkdf/contexts.h"

#include <sodium.h>

bool gm_crypto_init(void)
{
	static bool done;

	if (done)
		return true;
	if (sodium_init() < 0 || !gm_evp_start())
		return false;
	gm_ed25519_pick();
	gm_x25519_pick();
	gm_ccm_pick();
	gm_hkdf_pick();
	return done = true;
}

void gm_random(void *out, size_t len)
{
	randombytes_buf(out, len);
}

void gm_random_from(void *out, size_t len, const uint8_t seed[static 32])
{
	randombytes_buf_deterministic(out, len, seed);
}

void gm_wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}

bool gm_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}
