/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <sodium.h>

void gm_sha256(uint8_t out[static GM_SHA256], const uint8_t *msg, size_t len)
{
	crypto_hash_sha256(out, msg, len);
}

void gm_hmac_sha256(uint8_t out[static GM_SHA256], const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len)
{
	static const uint8_t none[1]; /* libsodium forbids a NULL key of no bytes */
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key_len > 0 ? key : none, key_len);
	crypto_auth_hmacsha256_update(&st, msg, len);
	crypto_auth_hmacsha256_final(&st, out);
	gm_wipe(&st, sizeof(st));
}

void gm_hmac_sha512(uint8_t out[static GM_SHA512], const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len)
{
	static const uint8_t none[1];
	crypto_auth_hmacsha512_state st;

	crypto_auth_hmacsha512_init(&st, key_len > 0 ? key : none, key_len);
	crypto_auth_hmacsha512_update(&st, msg, len);
	crypto_auth_hmacsha512_final(&st, out);
	gm_wipe(&st, sizeof(st));
}

uint64_t gm_siphash(const uint8_t key[static 16], const uint8_t *msg, size_t len)
{
	uint8_t b[crypto_shorthash_siphash24_BYTES];
	uint64_t v = 0;

	crypto_shorthash_siphash24(b, msg, len, key);
	for (unsigned i = sizeof(b); i-- > 0;)
		v = v << 8 | b[i];
	return v;
}
