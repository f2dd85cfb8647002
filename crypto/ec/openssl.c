/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define SIDE_MAX GM_EC_SIDE_MAX
#define POINT_MAX (1 + GM_EC_PUB_MAX)
#define DER_MAX 141u /* SEQUENCE of two INTEGERs of at most 67 bytes */
#define SPARE 8u     /* bytes more than the order has, so that the remainder is as good as uniform */

/* RFC 9053 §7.1; the algorithm is ECDSA with the hash that goes with the curve, §2.1 */
static const struct curve {
	int crv, alg;
	size_t side;
	int nid;
	const char *name, *hash;
} curves[] = {
    {GM_EC_P256, -7, 32, NID_X9_62_prime256v1, "P-256", "SHA256"},
    {GM_EC_P384, -35, 48, NID_secp384r1, "P-384", "SHA384"},
    {GM_EC_P521, -36, 66, NID_secp521r1, "P-521", "SHA512"},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

static const struct curve *curve_of(int crv)
{
	for (size_t i = 0; i < CURVES; i++)
		if (curves[i].crv == crv)
			return &curves[i];
	return NULL;
}

static const struct curve *curve_for(int alg)
{
	for (size_t i = 0; i < CURVES; i++)
		if (curves[i].alg == alg)
			return &curves[i];
	return NULL;
}

size_t gm_ec_side(int crv)
{
	const struct curve *c = curve_of(crv);
	return c ? c->side : 0;
}

size_t gm_ecdsa_sig_len(int alg)
{
	const struct curve *c = curve_for(alg);
	return c ? 2 * c->side : 0;
}

/* ---- keys */

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
static EVP_PKEY *key_from_pub(const struct curve *c, const uint8_t *pub)
{
	uint8_t point[POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	memcpy(point + 1, pub, 2 * c->side);

	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)c->name, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->side),
	    OSSL_PARAM_construct_end(),
	};
	return key_from(params, EVP_PKEY_PUBLIC_KEY);
}

static EVP_PKEY *key_from_priv(const struct curve *c, const uint8_t *priv)
{
	uint8_t native[SIDE_MAX]; /* libcrypto takes integers in the machine's order */
	BIGNUM *d = BN_bin2bn(priv, (int)c->side, NULL);
	EVP_PKEY *key = NULL;

	if (d && BN_bn2nativepad(d, native, (int)c->side) == (int)c->side) {
		const OSSL_PARAM params[] = {
		    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)c->name, 0),
		    OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, c->side),
		    OSSL_PARAM_construct_end(),
		};
		key = key_from(params, EVP_PKEY_KEYPAIR);
	}
	BN_clear_free(d);
	gm_wipe(native, sizeof(native));
	return key;
}

bool gm_ec_valid(int crv, const uint8_t *pub)
{
	const struct curve *c = curve_of(crv);
	EVP_PKEY *key = c ? key_from_pub(c, pub) : NULL;

	EVP_PKEY_free(key);
	return key != NULL;
}

bool gm_ec_decompress(int crv, uint8_t *pub, const uint8_t *x, bool odd)
{
	const struct curve *c = curve_of(crv);
	EC_GROUP *group = c ? EC_GROUP_new_by_curve_name(c->nid) : NULL;
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	uint8_t bytes[POINT_MAX] = {odd ? 0x03 : 0x02};
	bool good = false;

	if (point) {
		memcpy(bytes + 1, x, c->side);
		good = EC_POINT_oct2point(group, point, bytes, 1 + c->side, NULL) == 1 &&
		       EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes), NULL) ==
		           1 + 2 * c->side;
	}
	if (good)
		memcpy(pub, bytes + 1, 2 * c->side);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return good;
}

bool gm_ec_public(int crv, uint8_t *pub, const uint8_t *priv)
{
	const struct curve *c = curve_of(crv);
	EC_GROUP *group = c ? EC_GROUP_new_by_curve_name(c->nid) : NULL;
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	BIGNUM *d = point ? BN_bin2bn(priv, (int)c->side, NULL) : NULL;
	uint8_t bytes[POINT_MAX];
	bool good = d && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0 &&
	            EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
	            EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes), NULL) ==
	                1 + 2 * c->side;

	if (good)
		memcpy(pub, bytes + 1, 2 * c->side);
	BN_clear_free(d);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return good;
}

/* order - 1 leaves the remainders 0 to order - 2; one more makes a private key of each. FIPS 186-5 A.2.1 */
static bool reduce(const struct curve *c, uint8_t *priv, const uint8_t *wide, size_t wide_len)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(c->nid);
	BIGNUM *d = BN_bin2bn(wide, (int)wide_len, NULL), *last = group ? BN_dup(EC_GROUP_get0_order(group)) : NULL;
	BN_CTX *ctx = BN_CTX_secure_new();
	bool good = d && last && ctx && BN_sub_word(last, 1) == 1 && BN_mod(d, d, last, ctx) == 1 &&
	            BN_add_word(d, 1) == 1 && BN_bn2binpad(d, priv, (int)c->side) == (int)c->side;

	BN_CTX_free(ctx);
	BN_clear_free(d);
	BN_free(last);
	EC_GROUP_free(group);
	return good;
}

bool gm_ec_from_seed(int crv, uint8_t *priv, const uint8_t seed[static 32])
{
	const struct curve *c = curve_of(crv);
	uint8_t wide[SIDE_MAX + SPARE];

	if (!c)
		return false;
	gm_hkdf_sha256(wide, c->side + SPARE, NULL, 0, seed, 32, (const uint8_t *)c->name, strlen(c->name));
	bool good = reduce(c, priv, wide, c->side + SPARE);
	gm_wipe(wide, sizeof(wide));
	return good;
}

bool gm_ec_keygen(int crv, uint8_t *pub, uint8_t *priv)
{
	uint8_t seed[32];

	gm_random(seed, sizeof(seed));
	bool good = gm_ec_from_seed(crv, priv, seed) && gm_ec_public(crv, pub, priv);
	gm_wipe(seed, sizeof(seed));
	return good;
}

/* The cofactor of these curves is 1: this is the cofactor Diffie-Hellman primitive of SP 800-56A too. */
bool gm_ecdh(int crv, uint8_t *out, const uint8_t *priv, const uint8_t *pub)
{
	const struct curve *c = curve_of(crv);
	size_t len = c ? c->side : 0;
	EVP_PKEY *own = c ? key_from_priv(c, priv) : NULL, *peer = c ? key_from_pub(c, pub) : NULL;
	EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	bool good = ctx && peer && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
	            EVP_PKEY_derive(ctx, out, &len) == 1 && len == c->side;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	return good;
}

/* ---- signatures: COSE's r || s, libcrypto's DER */

/* 0: no memory */
static size_t der_encode(const struct curve *c, uint8_t der[static DER_MAX], const uint8_t *sig)
{
	ECDSA_SIG *rs = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig, (int)c->side, NULL), *s = BN_bin2bn(sig + c->side, (int)c->side, NULL);
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

static bool der_decode(const struct curve *c, uint8_t *sig, const uint8_t *der, size_t len)
{
	int side = (int)c->side;
	ECDSA_SIG *rs = d2i_ECDSA_SIG(NULL, &(const unsigned char *){der}, (long)len);
	bool good = rs && BN_bn2binpad(ECDSA_SIG_get0_r(rs), sig, side) == side &&
	            BN_bn2binpad(ECDSA_SIG_get0_s(rs), sig + side, side) == side;

	ECDSA_SIG_free(rs);
	return good;
}

bool gm_ecdsa_verify(int alg, const uint8_t *pub, const uint8_t *sig, const uint8_t *msg, size_t msg_len)
{
	const struct curve *c = curve_for(alg);
	uint8_t der[DER_MAX];
	size_t der_len = c ? der_encode(c, der, sig) : 0;
	EVP_PKEY *key = der_len ? key_from_pub(c, pub) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, c->hash, NULL, NULL, key, NULL) == 1 &&
	            EVP_DigestVerify(ctx, der, der_len, msg, msg_len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

bool gm_ecdsa_sign(int alg, uint8_t *sig, const uint8_t *priv, const uint8_t *msg, size_t msg_len)
{
	const struct curve *c = curve_for(alg);
	uint8_t der[DER_MAX];
	size_t der_len = sizeof(der);
	EVP_PKEY *key = c ? key_from_priv(c, priv) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestSignInit_ex(ctx, NULL, c->hash, NULL, NULL, key, NULL) == 1 &&
	            EVP_DigestSign(ctx, der, &der_len, msg, msg_len) == 1 && der_decode(c, sig, der, der_len);

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

/* ---- ES256 by its own name */

bool gm_es256_verify(const uint8_t pub[static GM_ES256_PUB], const uint8_t sig[static GM_ES256_SIG], const uint8_t *msg,
                     size_t msg_len)
{
	return gm_ecdsa_verify(-7, pub, sig, msg, msg_len);
}

bool gm_es256_keygen(uint8_t pub[static GM_ES256_PUB], uint8_t priv[static 32])
{
	return gm_ec_keygen(GM_EC_P256, pub, priv);
}

bool gm_es256_sign(uint8_t sig[static GM_ES256_SIG], const uint8_t priv[static 32], const uint8_t *msg, size_t msg_len)
{
	return gm_ecdsa_sign(-7, sig, priv, msg, msg_len);
}
