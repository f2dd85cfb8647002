/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <sodium.h>
#include <string.h>

/* RFC 5869 §2.2 */
void gm_hkdf_sha256_extract(uint8_t prk[static GM_SHA256], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                            size_t ikm_len)
{
	gm_hmac_sha256(prk, salt, salt_len, ikm, ikm_len);
}

/* RFC 5869 §2.3: T(i) = HMAC(prk, T(i-1) | info | i) */
void gm_hkdf_sha256_expand(uint8_t *out, size_t out_len, const uint8_t prk[static GM_SHA256], const uint8_t *info,
                           size_t info_len)
{
	crypto_auth_hmacsha256_state keyed, st;
	uint8_t t[GM_SHA256];
	size_t t_len = 0;

	crypto_auth_hmacsha256_init(&keyed, prk, GM_SHA256);
	for (uint8_t i = 1; out_len > 0; i++) {
		size_t take = out_len < sizeof(t) ? out_len : sizeof(t);

		st = keyed;
		crypto_auth_hmacsha256_update(&st, t, t_len);
		crypto_auth_hmacsha256_update(&st, info, info_len);
		crypto_auth_hmacsha256_update(&st, &i, 1);
		crypto_auth_hmacsha256_final(&st, t);
		t_len = sizeof(t);

		memcpy(out, t, take);
		out += take;
		out_len -= take;
	}
	gm_wipe(&keyed, sizeof(keyed));
	gm_wipe(&st, sizeof(st));
	gm_wipe(t, sizeof(t));
}

void gm_hkdf_sha256(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                    size_t ikm_len, const uint8_t *info, size_t info_len)
{
	uint8_t prk[GM_SHA256];

	gm_hkdf_sha256_extract(prk, salt, salt_len, ikm, ikm_len);
	gm_hkdf_sha256_expand(out, out_len, prk, info, info_len);
	gm_wipe(prk, sizeof(prk));
}
