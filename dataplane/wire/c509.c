/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/c509.h"

#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cose.h"
#include "wire/fields.h"
#include "wire/proof.h"

enum { NATIVE = 2, REENCODED = 3 };          /* C509 Certificate Types */
enum { SIG_ED25519 = 12, SIG_NONE = -1000 }; /* C509 Signature Algorithms; NONE: not one of ours */
enum { KEY_USAGE_DIGITAL_SIGNATURE = 1, KEY_USAGE_KEY_AGREEMENT = 16 };

struct cert {
	struct gm_bytes tbs, issuer, subject, signature; /* issuer p == NULL: the subject itself */
	int64_t type, sig_alg, from, until;              /* until negative: without end */
	struct gm_cred_pub pub;
};

/* ---- keys: C509 Public Key Algorithms */

static bool read_raw(struct gm_bytes key, bool native, struct gm_cred_pub *pub)
{
	(void)native;
	if (key.n != pub->n)
		return false;
	memcpy(pub->x, key.p, key.n);
	return true;
}

/* SEC 1 §2.3.3; a re-encoded certificate has other first bytes for points that its DER does not compress */
static bool read_point(struct gm_bytes key, bool native, struct gm_cred_pub *pub)
{
	static const struct {
		uint8_t head;
		bool native_too, odd;
	} compressed[] = {{0x02, true, false}, {0x03, true, true}, {0xfe, false, false}, {0xfd, false, true}};
	uint8_t point[GM_EC_PUB_MAX];
	size_t side = pub->n;
	bool good = false;

	if (key.n == 1 + 2 * side && key.p[0] == 0x04) {
		memcpy(point, key.p + 1, 2 * side);
		good = true;
	}
	for (size_t i = 0; key.n == 1 + side && i < GM_FIELDS_N(compressed); i++)
		if (key.p[0] == compressed[i].head && (!native || compressed[i].native_too))
			good = gm_ec_decompress(pub->crv, point, key.p + 1, compressed[i].odd);
	if (good) {
		memcpy(pub->x, point, side);
		memcpy(pub->y, point + side, side);
	}
	return good;
}

static const struct kind {
	int64_t key_alg;
	int32_t kty, crv;
	uint8_t n;
	bool (*read)(struct gm_bytes key, bool native, struct gm_cred_pub *pub);
} kinds[] = {
    {1, GM_KTY_EC2, GM_CRV_P256, 32, read_point},  {2, GM_KTY_EC2, GM_CRV_P384, 48, read_point},
    {3, GM_KTY_EC2, GM_CRV_P521, 66, read_point},  {8, GM_KTY_OKP, GM_CRV_X25519, 32, read_raw},
    {12, GM_KTY_OKP, GM_CRV_ED25519, 32, read_raw},
};

static bool read_key(int64_t key_alg, struct gm_bytes key, bool native, struct gm_cred_pub *pub)
{
	for (size_t i = 0; i < GM_FIELDS_N(kinds); i++) {
		if (kinds[i].key_alg != key_alg)
			continue;
		*pub = (struct gm_cred_pub){.kty = kinds[i].kty, .crv = kinds[i].crv, .n = kinds[i].n};
		return kinds[i].read(key, native, pub);
	}
	return false;
}

/* ---- signatures: C509 Signature Algorithms */

static const struct signing {
	int64_t sig_alg;
	int alg; /* COSE's, whose curve is the one that goes with the hash */
	int32_t crv;
} signings[] = {{0, -7, GM_CRV_P256}, {1, -35, GM_CRV_P384}, {2, -36, GM_CRV_P521}};

static bool signature_good(const struct cert *c, const struct gm_cred_pub *by)
{
	uint8_t point[GM_EC_PUB_MAX];

	if (c->sig_alg == SIG_ED25519)
		return by->crv == GM_CRV_ED25519 && by->kty == GM_KTY_OKP && c->signature.n == GM_ED25519_SIG &&
		       gm_ed25519_verify(&(struct gm_ed25519_job){by->x, c->signature.p, c->tbs.p, c->tbs.n}, 1) == 1;
	for (size_t i = 0; i < GM_FIELDS_N(signings); i++) {
		if (signings[i].sig_alg != c->sig_alg || by->kty != GM_KTY_EC2 || by->crv != signings[i].crv)
			continue;
		memcpy(point, by->x, by->n);
		memcpy(point + by->n, by->y, by->n);
		return c->signature.n == gm_ecdsa_sig_len(signings[i].alg) &&
		       gm_ecdsa_verify(signings[i].alg, point, c->signature.p, c->tbs.p, c->tbs.n);
	}
	return false;
}

/* ---- one certificate                                                          C509 §3.1 */

/* An int; what is given as OID, with or without parameters, is none that we know. */
static int64_t algorithm(struct gm_in *in)
{
	enum gm_cbor_type t = gm_cbor_peek(in);

	if (t == GM_CBOR_UINT || t == GM_CBOR_NINT)
		return gm_cbor_int(in);
	gm_cbor_skip(in);
	return SIG_NONE;
}

static int64_t time_or_null(struct gm_in *in)
{
	if (gm_cbor_is_null(in)) {
		gm_cbor_null(in);
		return -1;
	}
	uint64_t t = gm_cbor_uint(in);
	return t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

static struct gm_bytes name(struct gm_in *in)
{
	struct gm_bytes item = gm_cbor_item(in);

	return item.n == 1 && item.p[0] == 0xf6 ? (struct gm_bytes){0} : item;
}

static bool decode(struct gm_bytes sequence, struct cert *c)
{
	struct gm_in in = gm_in_bytes(sequence);

	c->type = gm_cbor_int(&in);
	gm_cbor_bstr(&in); /* serial number */
	c->sig_alg = algorithm(&in);
	c->issuer = name(&in);
	c->from = (int64_t)(gm_cbor_uint(&in) & INT64_MAX);
	c->until = time_or_null(&in);
	c->subject = name(&in);
	int64_t key_alg = algorithm(&in);
	struct gm_bytes key = gm_cbor_bstr(&in);
	gm_cbor_skip(&in); /* extensions */
	c->tbs = (struct gm_bytes){sequence.p, sequence.n - gm_in_left(&in)};
	c->signature = gm_cbor_bstr(&in);
	return gm_cbor_end(&in) == GM_E_OK && (c->type == NATIVE || c->type == REENCODED) && c->subject.p &&
	       read_key(key_alg, key, c->type == NATIVE, &c->pub);
}

static bool valid_at(const struct cert *c, int64_t at)
{
	return at < 0 || (at >= c->from && (c->until < 0 || at <= c->until));
}

/* ---- chains and bags */

static bool named_by(const struct cert *c, const struct cert *by)
{
	return c->type == NATIVE && gm_bytes_eq(c->issuer.p ? c->issuer : c->subject, by->subject);
}

static bool chain_holds(const struct cert *c, unsigned n)
{
	for (unsigned i = 0; i + 1 < n; i++)
		if (!named_by(&c[i], &c[i + 1]) || !signature_good(&c[i], &c[i + 1].pub))
			return false;
	return true;
}

/* Of a bag each certificate but one issued another; more tries than this only where several bear one name. */
#define BAG_TRIES (2u * GM_C509_MAX)

/* The one that issued none of the others; NULL: none, or several, or too much work to find out */
static const struct cert *end_of_bag(const struct cert *c, unsigned n)
{
	const struct cert *end = NULL;
	unsigned tries = 0;

	for (unsigned i = 0; i < n; i++) {
		bool issuer = false;
		for (unsigned k = 0; k < n && !issuer; k++) {
			if (k == i || !named_by(&c[k], &c[i]))
				continue;
			if (tries++ == BAG_TRIES)
				return NULL;
			issuer = signature_good(&c[k], &c[i].pub);
		}
		if (issuer)
			continue;
		if (end)
			return NULL;
		end = &c[i];
	}
	return end;
}

bool gm_c509_end_key(const struct gm_bytes *certs, unsigned n, bool chain, int64_t at, struct gm_cred_pub *pub)
{
	struct cert c[GM_C509_MAX];

	if (n == 0 || n > GM_C509_MAX)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!decode(certs[i], &c[i]) || !valid_at(&c[i], at))
			return false;
	const struct cert *end = chain ? c : end_of_bag(c, n);
	if (!end || (chain && !chain_holds(c, n)))
		return false;
	*pub = end->pub;
	return true;
}

/* ---- the other direction */

static void put_key(struct gm_out *out, const struct gm_cred_pub *pub)
{
	static const uint8_t uncompressed = 0x04;

	for (size_t i = 0; i < GM_FIELDS_N(kinds); i++)
		if (kinds[i].kty == pub->kty && kinds[i].crv == pub->crv)
			gm_cbor_put_int(out, kinds[i].key_alg);
	if (pub->kty == GM_KTY_OKP) {
		gm_cbor_put_bstr(out, pub->x, pub->n);
		return;
	}
	gm_cbor_put_bstr_head(out, 1 + 2u * pub->n);
	gm_out_bytes(out, &uncompressed, 1);
	gm_out_bytes(out, pub->x, pub->n);
	gm_out_bytes(out, pub->y, pub->n);
}

void gm_c509_issue(struct gm_out *out, const struct gm_cred_pub *pub, const char *subject, const char *issuer,
                   int64_t from, const struct gm_key_pair *signer)
{
	uint8_t bytes[512], sig[GM_ED25519_SIG];
	struct gm_out tbs = gm_out(bytes, sizeof bytes);

	gm_cbor_put_int(&tbs, NATIVE);
	gm_cbor_put_bstr(&tbs, (const uint8_t[]){1}, 1);
	gm_cbor_put_int(&tbs, SIG_ED25519);
	if (issuer)
		gm_cbor_put_text(&tbs, issuer);
	else
		gm_cbor_put_null(&tbs);
	gm_cbor_put_uint(&tbs, (uint64_t)from);
	gm_cbor_put_null(&tbs); /* without end: RFC 5280 §4.1.2.5 */
	gm_cbor_put_text(&tbs, subject);
	put_key(&tbs, pub);
	gm_cbor_put_int(&tbs, pub->crv == GM_CRV_X25519 ? KEY_USAGE_KEY_AGREEMENT : KEY_USAGE_DIGITAL_SIGNATURE);
	struct gm_bytes text = gm_out_result(&tbs);
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){signer->priv, signer->pub.x, text.p, text.n, sig}, 1);
	gm_cbor_put_bstr_head(out, text.n + 2 + sizeof sig);
	gm_out_bytes(out, text.p, text.n);
	gm_cbor_put_bstr(out, sig, sizeof sig);
	if (out->err == GM_E_OK && tbs.err != GM_E_OK)
		out->err = tbs.err;
}
