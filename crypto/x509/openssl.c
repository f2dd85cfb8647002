/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <limits.h>
#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { KTY_OKP = 1, KTY_EC2 = 2, CRV_X25519 = 4, CRV_ED25519 = 6 };

static const struct {
	const char *name;
	int crv;
} curves[] = {{"prime256v1", GM_EC_P256}, {"secp384r1", GM_EC_P384}, {"secp521r1", GM_EC_P521}};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

static X509 *decode(const struct gm_x509_cert *c)
{
	const unsigned char *at = c->der;
	X509 *x = c->len > 0 && c->len <= INT_MAX ? d2i_X509(NULL, &at, (long)c->len) : NULL;

	if (x && at != c->der + c->len) { /* bytes behind it */
		X509_free(x);
		return NULL;
	}
	return x;
}

/* ---- keys */

static bool read_raw(EVP_PKEY *pkey, int crv, struct gm_x509_key *key)
{
	size_t n = GM_X25519_KEY;

	key->kty = KTY_OKP;
	key->crv = crv;
	key->n = GM_X25519_KEY;
	return EVP_PKEY_get_raw_public_key(pkey, key->pub, &n) == 1 && n == GM_X25519_KEY;
}

static bool read_coordinate(EVP_PKEY *pkey, const char *name, uint8_t *out, int side)
{
	BIGNUM *v = NULL;
	bool good = EVP_PKEY_get_bn_param(pkey, name, &v) == 1 && BN_bn2binpad(v, out, side) == side;

	BN_free(v);
	return good;
}

static bool read_ec(EVP_PKEY *pkey, struct gm_x509_key *key)
{
	char name[32];

	if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1)
		return false;
	for (unsigned i = 0; i < CURVES; i++) {
		if (strcmp(curves[i].name, name) != 0)
			continue;
		size_t side = gm_ec_side(curves[i].crv);
		key->kty = KTY_EC2;
		key->crv = curves[i].crv;
		key->n = (uint8_t)side;
		return read_coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_X, key->pub, (int)side) &&
		       read_coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, key->pub + side, (int)side);
	}
	return false;
}

static bool read_key(X509 *x, struct gm_x509_key *key)
{
	EVP_PKEY *pkey = X509_get0_pubkey(x);

	if (!pkey)
		return false;
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_ED25519:
		return read_raw(pkey, CRV_ED25519, key);
	case EVP_PKEY_X25519:
		return read_raw(pkey, CRV_X25519, key);
	case EVP_PKEY_EC:
		return read_ec(pkey, key);
	default:
		return false;
	}
}

/* ---- chains and bags */

static bool valid_at(X509 *x, int64_t at)
{
	time_t t = (time_t)at;

	return at < 0 || (X509_cmp_time(X509_get0_notBefore(x), &t) < 0 && X509_cmp_time(X509_get0_notAfter(x), &t) > 0);
}

static bool issued(X509 *by, X509 *x)
{
	EVP_PKEY *key = X509_get0_pubkey(by);

	return X509_check_issued(by, x) == X509_V_OK && key && X509_verify(x, key) == 1;
}

static bool chain_holds(X509 **x, unsigned n)
{
	for (unsigned i = 0; i + 1 < n; i++)
		if (!issued(x[i + 1], x[i]))
			return false;
	return true;
}

/* The one that issued none of the others; NULL: none, or several */
static X509 *end_of_bag(X509 **x, unsigned n)
{
	X509 *end = NULL;

	for (unsigned i = 0; i < n; i++) {
		bool issuer = false;
		for (unsigned k = 0; k < n && !issuer; k++)
			issuer = k != i && issued(x[i], x[k]);
		if (issuer)
			continue;
		if (end)
			return NULL;
		end = x[i];
	}
	return end;
}

bool gm_x509_end_key(const struct gm_x509_cert *certs, unsigned n, bool chain, int64_t at, struct gm_x509_key *key)
{
	X509 *x[GM_X509_MAX] = {NULL};
	bool good = n > 0 && n <= GM_X509_MAX;

	memset(key, 0, sizeof(*key));
	for (unsigned i = 0; good && i < n; i++) {
		x[i] = decode(&certs[i]);
		good = x[i] && valid_at(x[i], at);
	}
	if (good) {
		X509 *end = chain ? x[0] : end_of_bag(x, n);
		good = end && (!chain || chain_holds(x, n)) && read_key(end, key);
	}
	for (unsigned i = 0; i < n && i < GM_X509_MAX; i++)
		X509_free(x[i]);
	return good;
}

/* ---- the other direction */

static bool set_name(X509_NAME *n, const char *name)
{
	return X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool set_times(X509 *x, int64_t from)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from) &&
	       ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "99991231235959Z") == 1; /* none: RFC 5280 §4.1.2.5 */
}

static EVP_PKEY *ec_key(const struct gm_x509_key *key)
{
	uint8_t point[1 + GM_EC_PUB_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	memcpy(point + 1, key->pub, 2u * key->n);
	for (unsigned i = 0; i < CURVES; i++) {
		if (curves[i].crv != key->crv)
			continue;
		OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curves[i].name, 0),
			OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2u * key->n),
			OSSL_PARAM_construct_end(),
		};
		if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
			EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	}
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *public_key(const struct gm_x509_key *key)
{
	int type = key->crv == CRV_X25519 ? EVP_PKEY_X25519 : EVP_PKEY_ED25519;

	return key->kty == KTY_EC2 ? ec_key(key) : EVP_PKEY_new_raw_public_key(type, NULL, key->pub, key->n);
}

size_t gm_x509_issue(uint8_t *der, size_t cap, const struct gm_x509_key *key, const char *subject, const char *issuer,
                     int64_t from, const uint8_t seed[static GM_ED25519_SEED])
{
	EVP_PKEY *signer = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, GM_ED25519_SEED);
	EVP_PKEY *pub = public_key(key);
	X509 *x = X509_new();
	int len = 0;

	if (signer && pub && x && X509_set_version(x, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 && set_name(X509_get_subject_name(x), subject) &&
	    set_name(X509_get_issuer_name(x), issuer ? issuer : subject) && set_times(x, from) &&
	    X509_set_pubkey(x, pub) == 1 && X509_sign(x, signer, NULL) > 0)
		len = i2d_X509(x, NULL);
	if (len > 0 && (size_t)len <= cap)
		len = i2d_X509(x, &(unsigned char *){der});
	else
		len = 0;
	X509_free(x);
	EVP_PKEY_free(pub);
	EVP_PKEY_free(signer);
	return len > 0 ? (size_t)len : 0;
}
