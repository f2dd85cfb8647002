/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define SIDE 32u    /* bytes of x, y, r, s and the private key */
#define DER_MAX 72u /* SEQUENCE of two INTEGERs of at most 33 bytes */

#define CURVE "P-256"

static EVP_PKEY *key_from(const OSSL_PARAM *params, int selection)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, selection, (OSSL_PARAM *)params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* NULL: the point is not on the curve */
static EVP_PKEY *key_from_pub(const uint8_t pub[static GM_ES256_PUB])
{
	uint8_t point[1 + GM_ES256_PUB] = {POINT_CONVERSION_UNCOMPRESSED};
	memcpy(point + 1, pub, GM_ES256_PUB);

	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, CURVE, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
	    OSSL_PARAM_construct_end(),
	};
	return key_from(params, EVP_PKEY_PUBLIC_KEY);
}

static EVP_PKEY *key_from_priv(const uint8_t priv[static SIDE])
{
	uint8_t native[SIDE]; /* libcrypto takes integers in the machine's order */
	BIGNUM *d = BN_bin2bn(priv, SIDE, NULL);
	EVP_PKEY *key = NULL;

	if (d && BN_bn2nativepad(d, native, SIDE) == SIDE) {
		const OSSL_PARAM params[] = {
		    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, CURVE, 0),
		    OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, SIDE),
		    OSSL_PARAM_construct_end(),
		};
		key = key_from(params, EVP_PKEY_KEYPAIR);
	}
	BN_clear_free(d);
	gm_wipe(native, sizeof(native));
	return key;
}

/* COSE's r || s as DER; 0: no memory */
static size_t der_encode(uint8_t der[static DER_MAX], const uint8_t sig[static GM_ES256_SIG])
{
	ECDSA_SIG *rs = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig, SIDE, NULL), *s = BN_bin2bn(sig + SIDE, SIDE, NULL);
	int len = 0;

	if (rs && r && s && ECDSA_SIG_set0(rs, r, s) == 1) {
		r = s = NULL; /* rs owns them now */
		len = i2d_ECDSA_SIG(rs, &(unsigned char *){der});
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(rs);
	return len > 0 ? (size_t)len : 0;
}

static bool der_decode(uint8_t sig[static GM_ES256_SIG], const uint8_t *der, size_t len)
{
	ECDSA_SIG *rs = d2i_ECDSA_SIG(NULL, &(const unsigned char *){der}, (long)len);
	bool good = rs && BN_bn2binpad(ECDSA_SIG_get0_r(rs), sig, SIDE) == SIDE &&
	            BN_bn2binpad(ECDSA_SIG_get0_s(rs), sig + SIDE, SIDE) == SIDE;

	ECDSA_SIG_free(rs);
	return good;
}

bool gm_es256_verify(const uint8_t pub[static GM_ES256_PUB], const uint8_t sig[static GM_ES256_SIG], const uint8_t *msg,
                     size_t msg_len)
{
	uint8_t der[DER_MAX];
	size_t der_len = der_encode(der, sig);
	EVP_PKEY *key = key_from_pub(pub);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = der_len && key && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	            EVP_DigestVerify(ctx, der, der_len, msg, msg_len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

bool gm_es256_keygen(uint8_t pub[static GM_ES256_PUB], uint8_t priv[static SIDE])
{
	uint8_t point[1 + GM_ES256_PUB];
	size_t len = 0;
	BIGNUM *d = NULL;
	EVP_PKEY *key = EVP_EC_gen(CURVE);
	bool good = key &&
	            EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) == 1 &&
	            len == sizeof(point) && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
	            BN_bn2binpad(d, priv, SIDE) == SIDE;

	if (good)
		memcpy(pub, point + 1, GM_ES256_PUB);
	BN_clear_free(d);
	EVP_PKEY_free(key);
	return good;
}

bool gm_es256_sign(uint8_t sig[static GM_ES256_SIG], const uint8_t priv[static SIDE], const uint8_t *msg,
                   size_t msg_len)
{
	uint8_t der[DER_MAX];
	size_t der_len = sizeof(der);
	EVP_PKEY *key = key_from_priv(priv);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	            EVP_DigestSign(ctx, der, &der_len, msg, msg_len) == 1 && der_decode(sig, der, der_len);

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}
