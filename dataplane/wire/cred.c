/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cred.h"

#include "gm/crypto.h"
#include "wire/c509.h"
#include "wire/cbor.h"
#include "wire/cose.h"
#include "wire/fields.h"
#include "wire/groupcomm.h"

enum { COSE_KEY_KTY = 1, COSE_KEY_ALG = 3, COSE_KEY_CRV = -1, COSE_KEY_X = -2, COSE_KEY_Y = -3, COSE_KEY_D = -4 };
enum { CLAIM_SUB = 2, CLAIM_CNF = 8, CNF_COSE_KEY = 1 };

struct cose_key {
	int32_t kty, alg, crv;
	struct gm_bytes x, y, d; /* y, d: raw items */
};

static const struct gm_field cose_key_fields[] = {
    {COSE_KEY_KTY, GM_FIELD_INT32, offsetof(struct cose_key, kty)},
    {COSE_KEY_ALG, GM_FIELD_INT32, offsetof(struct cose_key, alg)},
    {COSE_KEY_CRV, GM_FIELD_INT32, offsetof(struct cose_key, crv)},
    {COSE_KEY_X, GM_FIELD_BSTR, offsetof(struct cose_key, x)},
    {COSE_KEY_Y, GM_FIELD_ITEM, offsetof(struct cose_key, y)},
    {COSE_KEY_D, GM_FIELD_ITEM, offsetof(struct cose_key, d)},
};

struct wrapped { /* one item below one label */
	struct gm_bytes item;
};

static const struct gm_field claim_fields[] = {{CLAIM_CNF, GM_FIELD_MAP, offsetof(struct wrapped, item)}};
static const struct gm_field cnf_fields[] = {{CNF_COSE_KEY, GM_FIELD_MAP, offsetof(struct wrapped, item)}};

/* The map below one label of a map; p == NULL: absent or malformed */
static struct gm_bytes unwrap(struct gm_bytes map, const struct gm_field *field)
{
	struct wrapped w = {0};
	return gm_fields_decode(map, field, 1, &w) == GM_E_OK ? w.item : (struct gm_bytes){0};
}

/* ---- forms */

/* CCS, or the claims of a CWT: {8: {1: COSE_Key}}, other claims ignored                  RFC 8747 §3.2 */
static bool ccs_key(struct gm_bytes claims, struct cose_key *key)
{
	struct gm_bytes item = unwrap(unwrap(claims, claim_fields), cnf_fields);
	return item.p && gm_fields_decode(item, cose_key_fields, GM_FIELDS_N(cose_key_fields), key) == GM_E_OK;
}

static void skip_tags(struct gm_in *in)
{
	while (gm_cbor_peek(in) == GM_CBOR_TAG)
		gm_cbor_tag(in);
}

/* Signed claims whose algorithm need not be one of ours: [protected, {}, payload, signature], tagged 61(18()), 18() or
 * not at all.                                                                            RFC 8392 §7, RFC 9052 §4.2 */
static bool cwt_key(struct gm_bytes cred, struct cose_key *key)
{
	struct gm_in in = gm_in_bytes(cred);
	bool ok = true;

	if (gm_cbor_peek(&in) == GM_CBOR_TAG) {
		uint64_t tag = gm_cbor_tag(&in);
		ok = (tag == GM_CBOR_TAG_CWT ? gm_cbor_tag(&in) : tag) == GM_COSE_SIGN1;
	}
	ok = ok && gm_cbor_array(&in) == 4;
	gm_cbor_bstr(&in);
	ok = ok && gm_cbor_peek(&in) == GM_CBOR_MAP;
	gm_cbor_skip(&in);
	struct gm_bytes claims = gm_cbor_bstr(&in);
	struct gm_bytes signature = gm_cbor_bstr(&in);
	return gm_cbor_end(&in) == GM_E_OK && ok && signature.n && ccs_key(claims, key);
}

static const struct cred_form {
	int32_t cred_fmt;
	bool (*key)(struct gm_bytes cred, struct cose_key *key);
} cred_forms[] = {
    {GM_CRED_FMT_KCCS, ccs_key},
    {GM_CRED_FMT_KCWT, cwt_key},
};

static bool read_form(struct gm_bytes cred, int32_t cred_fmt, struct cose_key *key)
{
	for (size_t i = 0; i < GM_FIELDS_N(cred_forms); i++)
		if (cred_forms[i].cred_fmt == cred_fmt)
			return cred.n <= GM_CRED_MAX && cred_forms[i].key(cred, key);
	return false;
}

/* ---- keys */

/* In a group with pairwise mode an Ed25519 key has to have a Montgomery form.            KG §6.2 */
static bool ed25519_usable(const struct gm_cred_pub *pub, const struct gm_group_params *p)
{
	uint8_t montgomery[GM_X25519_KEY];
	return !p->pairwise_mode || gm_ed25519_to_x25519_pub(montgomery, pub->x);
}

/* The y modulo p = 2^255 - 19 for which there is none, 1 and -1, in all encodings.                 GO §2.5.1 */
static bool y_maps(const uint8_t x[static GM_ED25519_PUB])
{
	static const uint8_t without[][GM_ED25519_PUB] = {{1}, /* and p - 1, p + 1: */
#define FF7 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	    {0xec, FF7, FF7, FF7, FF7, 0xff, 0xff, 0x7f},
	    {0xee, FF7, FF7, FF7, FF7, 0xff, 0xff, 0x7f}};
#undef FF7
	uint8_t y[GM_ED25519_PUB];

	memcpy(y, x, sizeof(y));
	y[GM_ED25519_PUB - 1] &= 0x7f; /* the sign of the other coordinate */
	for (size_t i = 0; i < GM_FIELDS_N(without); i++)
		if (memcmp(y, without[i], sizeof(y)) == 0)
			return false;
	return true;
}

static bool x25519_usable(const struct gm_cred_pub *pub, const struct gm_group_params *p)
{
	(void)pub;
	return !p->group_mode; /* cannot sign */
}

/* signs and agrees on keys alike */
static bool ec2_usable(const struct gm_cred_pub *pub, const struct gm_group_params *p)
{
	uint8_t point[GM_EC_PUB_MAX];

	(void)p;
	memcpy(point, pub->x, pub->n);
	memcpy(point + pub->n, pub->y, pub->n);
	return gm_ec_valid(pub->crv, point);
}

/* Kinds of key that we know. */
static const struct key_type {
	int32_t kty, crv;
	uint8_t n;
	bool (*usable)(const struct gm_cred_pub *pub, const struct gm_group_params *p);
} key_types[] = {
    {GM_KTY_OKP, GM_CRV_ED25519, GM_ED25519_PUB, ed25519_usable},
    {GM_KTY_OKP, GM_CRV_X25519, GM_X25519_KEY, x25519_usable},
    {GM_KTY_EC2, GM_CRV_P256, 32, ec2_usable},
    {GM_KTY_EC2, GM_CRV_P384, 48, ec2_usable},
    {GM_KTY_EC2, GM_CRV_P521, GM_COORDINATE_MAX, ec2_usable},
};

static const struct key_type *key_type_of(int32_t kty, int32_t crv)
{
	for (size_t i = 0; i < GM_FIELDS_N(key_types); i++)
		if (key_types[i].kty == kty && key_types[i].crv == crv)
			return &key_types[i];
	return NULL;
}

/* y of an EC2 key: the coordinate. The sign of a compressed point, a boolean, is not enough for us. */
static bool read_y(struct gm_bytes item, uint8_t *y, uint8_t n)
{
	struct gm_in in = gm_in_bytes(item);
	struct gm_bytes v = gm_cbor_bstr(&in);
	if (v.n != n)
		return false;
	memcpy(y, v.p, n);
	return true;
}

static bool read_pub(const struct cose_key *key, const struct key_type *t, struct gm_cred_pub *pub)
{
	if (!t || key->x.n != t->n)
		return false;
	*pub = (struct gm_cred_pub){.kty = t->kty, .crv = t->crv, .n = t->n};
	memcpy(pub->x, key->x.p, t->n);
	return t->kty != GM_KTY_EC2 || read_y(key->y, pub->y, t->n);
}

static bool kind_fits(int32_t kty, int32_t crv, const struct gm_group_params *p)
{
	return p->group_mode ? kty == p->sign_kty && crv == p->sign_crv : kty == p->ecdh_kty && crv == p->ecdh_crv;
}

/* The key serves the group's signatures where it signs, else its key agreement. */
static bool key_fits(const struct cose_key *key, const struct gm_group_params *p)
{
	int32_t alg = p->group_mode ? p->sign_alg : p->ecdh_alg;
	return kind_fits(key->kty, key->crv, p) && (!key->alg || key->alg == alg);
}

static bool claims_pub(struct gm_bytes cred, const struct gm_group_params *p, struct gm_cred_pub *pub)
{
	struct cose_key k = {0};

	/* a private key in a credential would go to every member */
	return read_form(cred, p->cred_fmt, &k) && !k.d.p && key_fits(&k, p) &&
	       read_pub(&k, key_type_of(k.kty, k.crv), pub);
}

/* ---- certificates */

#define CERTS_MAX 8u
_Static_assert(CERTS_MAX <= GM_X509_MAX, "certificates of X.509 take so many");
_Static_assert(CERTS_MAX <= GM_C509_MAX, "and those of C509");

static bool x509_pub(const struct gm_bytes *certs, unsigned n, bool chain, int64_t at, struct gm_cred_pub *pub)
{
	struct gm_x509_cert der[CERTS_MAX];
	struct gm_x509_key k;

	for (unsigned i = 0; i < n; i++)
		der[i] = (struct gm_x509_cert){certs[i].p, certs[i].n};
	if (!gm_x509_end_key(der, n, chain, at, &k))
		return false;
	*pub = (struct gm_cred_pub){.kty = k.kty, .crv = k.crv, .n = k.n};
	memcpy(pub->x, k.pub, k.n);
	if (k.kty == GM_KTY_EC2)
		memcpy(pub->y, k.pub + k.n, k.n);
	return true;
}

static const struct cert_form {
	int32_t cred_fmt;
	bool chain;
	bool (*end)(const struct gm_bytes *certs, unsigned n, bool chain, int64_t at, struct gm_cred_pub *pub);
} cert_forms[] = {
    {GM_CRED_FMT_X5CHAIN, true, x509_pub},
    {GM_CRED_FMT_X5BAG, false, x509_pub},
    {GM_CRED_FMT_C5C, true, gm_c509_end_key},
    {GM_CRED_FMT_C5B, false, gm_c509_end_key},
};

static const struct cert_form *cert_form_of(int32_t cred_fmt)
{
	for (size_t i = 0; i < GM_FIELDS_N(cert_forms); i++)
		if (cert_forms[i].cred_fmt == cred_fmt)
			return &cert_forms[i];
	return NULL;
}

#define DER_SEQUENCE 0x30u
#define C509_ARRAY 0x8bu /* of the eleven parts of a certificate */

/* One certificate as it is, without the container that the form names.                     GO §2.4 */
static bool bare(struct gm_bytes cred, struct gm_bytes *cert)
{
	bool c509 = cred.n && cred.p[0] == C509_ARRAY;

	*cert = (struct gm_bytes){cred.p + c509, cred.n - c509};
	return c509 || (cred.n && cred.p[0] == DER_SEQUENCE);
}

/* One certificate, or an array of two or more.                              RFC 9360 §2, C509 §3.4 */
static unsigned read_certs(struct gm_bytes cred, struct gm_bytes certs[static CERTS_MAX])
{
	struct gm_in in = gm_in_bytes(cred);

	if (bare(cred, &certs[0]))
		return 1;
	uint64_t n = gm_cbor_peek(&in) == GM_CBOR_ARRAY ? gm_cbor_array(&in) : 1;

	if (n > CERTS_MAX)
		return 0;
	for (unsigned i = 0; i < n; i++)
		certs[i] = gm_cbor_bstr(&in);
	return gm_cbor_end(&in) == GM_E_OK ? (unsigned)n : 0;
}

static bool certs_pub(const struct cert_form *form, struct gm_bytes cred, const struct gm_group_params *p, int64_t at,
                      struct gm_cred_pub *pub)
{
	struct gm_bytes certs[CERTS_MAX];
	unsigned n = cred.n <= GM_CRED_MAX ? read_certs(cred, certs) : 0;

	return n && form->end(certs, n, form->chain, at, pub) && kind_fits(pub->kty, pub->crv, p);
}

static bool read_cred(struct gm_bytes cred, const struct gm_group_params *p, int64_t at, struct gm_cred_pub *pub)
{
	const struct cert_form *form = cert_form_of(p->cred_fmt);

	*pub = (struct gm_cred_pub){0};
	return form ? certs_pub(form, cred, p, at, pub) : claims_pub(cred, p, pub);
}

static enum gm_err usable(const struct gm_cred_pub *pub, const struct gm_group_params *p)
{
	return key_type_of(pub->kty, pub->crv)->usable(pub, p) ? GM_E_OK : GM_E_BAD_CRED;
}

enum gm_err gm_cred_pub_at(struct gm_bytes cred, const struct gm_group_params *p, int64_t at, struct gm_cred_pub *pub)
{
	return read_cred(cred, p, at, pub) ? usable(pub, p) : GM_E_BAD_CRED;
}

enum gm_err gm_cred_to_prove(struct gm_bytes cred, const struct gm_group_params *p, int64_t at, struct gm_cred_pub *pub)
{
	if (!read_cred(cred, p, at, pub))
		return GM_E_BAD_CRED;
	if (!p->group_mode || pub->kty != GM_KTY_OKP || pub->crv != GM_CRV_ED25519)
		return usable(pub, p);
	return !p->pairwise_mode || y_maps(pub->x) ? GM_E_OK : GM_E_BAD_CRED;
}

enum gm_err gm_cred_pub(struct gm_bytes cred, const struct gm_group_params *p, struct gm_cred_pub *pub)
{
	return gm_cred_pub_at(cred, p, -1, pub);
}

struct gm_bytes gm_cred_untagged(struct gm_bytes cred, int32_t cred_fmt)
{
	struct gm_in in = gm_in_bytes(cred);
	if (cred_fmt == GM_CRED_FMT_KCWT)
		skip_tags(&in);
	return in.err == GM_E_OK ? (struct gm_bytes){in.p, gm_in_left(&in)} : cred;
}

void gm_ccs_encode_pub(struct gm_out *out, const char *subject, const struct gm_cred_pub *pub)
{
	bool ec2 = pub->kty == GM_KTY_EC2;

	gm_cbor_put_map(out, subject ? 2 : 1);
	if (subject)
		gm_pair_text(out, CLAIM_SUB, subject);
	gm_cbor_put_int(out, CLAIM_CNF);
	gm_cbor_put_map(out, 1);
	gm_cbor_put_int(out, CNF_COSE_KEY);
	gm_cbor_put_map(out, ec2 ? 4 : 3);
	gm_pair_int(out, COSE_KEY_KTY, pub->kty);
	gm_pair_int(out, COSE_KEY_CRV, pub->crv);
	gm_pair_bytes(out, COSE_KEY_X, (struct gm_bytes){pub->x, pub->n});
	if (ec2)
		gm_pair_bytes(out, COSE_KEY_Y, (struct gm_bytes){pub->y, pub->n});
}
