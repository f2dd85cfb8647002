/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <sodium.h>
#include <string.h>

union mac {
	crypto_auth_hmacsha256_state sha256;
	crypto_auth_hmacsha512_state sha512;
};

static void start_256(union mac *m, const uint8_t *key, size_t len)
{
	crypto_auth_hmacsha256_init(&m->sha256, key, len);
}

static void add_256(union mac *m, const uint8_t *msg, size_t len)
{
	crypto_auth_hmacsha256_update(&m->sha256, msg, len);
}

static void end_256(union mac *m, uint8_t *out)
{
	crypto_auth_hmacsha256_final(&m->sha256, out);
}

static void start_512(union mac *m, const uint8_t *key, size_t len)
{
	crypto_auth_hmacsha512_init(&m->sha512, key, len);
}

static void add_512(union mac *m, const uint8_t *msg, size_t len)
{
	crypto_auth_hmacsha512_update(&m->sha512, msg, len);
}

static void end_512(union mac *m, uint8_t *out)
{
	crypto_auth_hmacsha512_final(&m->sha512, out);
}

/* COSE's number of the HMAC; RFC 9053 §3.1 */
static const struct hash {
	int alg;
	size_t n;
	void (*start)(union mac *m, const uint8_t *key, size_t len);
	void (*add)(union mac *m, const uint8_t *msg, size_t len);
	void (*end)(union mac *m, uint8_t *out);
	void (*hmac)(uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len);
} sha256 = {5, GM_SHA256, start_256, add_256, end_256, gm_hmac_sha256},
  sha512 = {7, GM_SHA512, start_512, add_512, end_512, gm_hmac_sha512};

/* RFC 5869 §2.3: T(i) = HMAC(prk, T(i-1) | info | i) */
static void expand(const struct hash *h, uint8_t *out, size_t out_len, const uint8_t *prk, const uint8_t *info,
                   size_t info_len)
{
	union mac keyed, m;
	uint8_t t[GM_SHA512];
	size_t t_len = 0;

	h->start(&keyed, prk, h->n);
	for (uint8_t i = 1; out_len > 0; i++) {
		size_t take = out_len < h->n ? out_len : h->n;

		m = keyed;
		h->add(&m, t, t_len);
		h->add(&m, info, info_len);
		h->add(&m, &i, 1);
		h->end(&m, t);
		t_len = h->n;

		memcpy(out, t, take);
		out += take;
		out_len -= take;
	}
	gm_wipe(&keyed, sizeof(keyed));
	gm_wipe(&m, sizeof(m));
	gm_wipe(t, sizeof(t));
}

static const struct hash *hash_of(int alg)
{
	return alg == sha256.alg ? &sha256 : alg == sha512.alg ? &sha512 : NULL;
}

/* RFC 5869 §2.2 */
bool gm_hkdf_extract(int alg, uint8_t prk[static GM_SHA512], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                     size_t ikm_len)
{
	const struct hash *h = hash_of(alg);

	if (h)
		h->hmac(prk, salt, salt_len, ikm, ikm_len);
	return h;
}

void gm_hkdf_expand(int alg, uint8_t *out, size_t out_len, const uint8_t prk[static GM_SHA512], const uint8_t *info,
                    size_t info_len)
{
	expand(hash_of(alg), out, out_len, prk, info, info_len);
}

bool gm_hkdf(int alg, uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
             size_t ikm_len, const uint8_t *info, size_t info_len)
{
	uint8_t prk[GM_SHA512];

	if (!gm_hkdf_extract(alg, prk, salt, salt_len, ikm, ikm_len))
		return false;
	gm_hkdf_expand(alg, out, out_len, prk, info, info_len);
	gm_wipe(prk, sizeof(prk));
	return true;
}

void gm_hkdf_sha256_extract(uint8_t prk[static GM_SHA256], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                            size_t ikm_len)
{
	gm_hmac_sha256(prk, salt, salt_len, ikm, ikm_len);
}

void gm_hkdf_sha256_expand(uint8_t *out, size_t out_len, const uint8_t prk[static GM_SHA256], const uint8_t *info,
                           size_t info_len)
{
	expand(&sha256, out, out_len, prk, info, info_len);
}

void gm_hkdf_sha256(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                    size_t ikm_len, const uint8_t *info, size_t info_len)
{
	uint8_t prk[GM_SHA256];

	gm_hkdf_sha256_extract(prk, salt, salt_len, ikm, ikm_len);
	gm_hkdf_sha256_expand(out, out_len, prk, info, info_len);
	gm_wipe(prk, sizeof(prk));
}
