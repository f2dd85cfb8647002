/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cose.h"

#include "gm/crypto.h"
#include "wire/cwt.h"
#include "wire/cbor.h"
#include "wire/fields.h"

#define PROTECTED_MAX 256u /* longest protected header taken */
#define TEXT_MAX 8192u     /* longest structure that a MAC or signature covers */
#define AAD_MAX (PROTECTED_MAX + 16u)
#define MAC_KEY_MIN 16u

enum { LABEL_ALG = 1, LABEL_CRIT = 2, LABEL_KID = 4, LABEL_IV = 5 };

/* ---- MACs and signatures: one row per algorithm */

struct algorithm {
	int32_t alg;
	int kind;
	const char *context;
	uint8_t tag_n, public_n, private_n; /* key sizes; MAC_KEY_MIN is a lower bound for MACs */
	bool (*verify)(const struct gm_cose_key *key, struct gm_bytes text, struct gm_bytes tag);
	bool (*make)(const struct gm_cose_key *key, struct gm_bytes text, uint8_t *tag, size_t tag_n);
};

static bool hmac_make(const struct gm_cose_key *key, struct gm_bytes text, uint8_t *tag, size_t tag_n)
{
	uint8_t full[GM_SHA256];
	gm_hmac_sha256(full, key->key, key->key_n, text.p, text.n);
	memcpy(tag, full, tag_n);
	return true;
}

static bool hmac_verify(const struct gm_cose_key *key, struct gm_bytes text, struct gm_bytes tag)
{
	uint8_t full[GM_SHA256];
	gm_hmac_sha256(full, key->key, key->key_n, text.p, text.n);
	return gm_equal(full, tag.p, tag.n);
}

static bool eddsa_make(const struct gm_cose_key *key, struct gm_bytes text, uint8_t *tag, size_t tag_n)
{
	uint8_t pub[GM_ED25519_PUB];
	(void)tag_n;
	gm_ed25519_public(pub, key->key);
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){key->key, pub, text.p, text.n, tag}, 1);
	return true;
}

static bool eddsa_verify(const struct gm_cose_key *key, struct gm_bytes text, struct gm_bytes tag)
{
	return gm_ed25519_verify(&(struct gm_ed25519_job){key->key, tag.p, text.p, text.n}, 1) == 1;
}

#define ORDER_N 32u
static const uint8_t es256_order[ORDER_N] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                             0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                             0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* Of the two values that verify, s and n - s, is it the smaller one? n is odd: s <= (n - 1) / 2. */
static bool es256_low(const uint8_t *sig)
{
	uint8_t half[ORDER_N];

	for (unsigned i = 0; i < ORDER_N; i++)
		half[i] = (uint8_t)(es256_order[i] >> 1 | (i ? es256_order[i - 1] << 7 : 0));
	return memcmp(sig + ORDER_N, half, ORDER_N) <= 0;
}

static bool es256_make(const struct gm_cose_key *key, struct gm_bytes text, uint8_t *tag, size_t tag_n)
{
	uint8_t *s = tag + tag_n / 2;

	if (!gm_es256_sign(tag, key->key, text.p, text.n))
		return false;
	if (!es256_low(tag))
		for (unsigned i = ORDER_N, borrow = 0; i--;) { /* n - s */
			unsigned v = 0x100u + es256_order[i] - s[i] - borrow;
			s[i] = (uint8_t)v;
			borrow = v < 0x100;
		}
	return true;
}

static bool es256_verify(const struct gm_cose_key *key, struct gm_bytes text, struct gm_bytes tag)
{
	return gm_es256_verify(key->key, tag.p, text.p, text.n);
}

static const struct algorithm algorithms[] = {
    {GM_ALG_HMAC_256_64, GM_COSE_MAC0, "MAC0", 8, MAC_KEY_MIN, MAC_KEY_MIN, hmac_verify, hmac_make},
    {GM_ALG_HMAC_256, GM_COSE_MAC0, "MAC0", 32, MAC_KEY_MIN, MAC_KEY_MIN, hmac_verify, hmac_make},
    {GM_ALG_EDDSA, GM_COSE_SIGN1, "Signature1", GM_ED25519_SIG, GM_ED25519_PUB, GM_ED25519_SEED, eddsa_verify,
     eddsa_make},
    {GM_ALG_ED25519, GM_COSE_SIGN1, "Signature1", GM_ED25519_SIG, GM_ED25519_PUB, GM_ED25519_SEED, eddsa_verify,
     eddsa_make},
    {GM_ALG_ES256, GM_COSE_SIGN1, "Signature1", GM_ES256_SIG, GM_ES256_PUB, 32, es256_verify, es256_make},
};

static const struct algorithm *algorithm_of(int32_t alg)
{
	for (size_t i = 0; i < GM_FIELDS_N(algorithms); i++)
		if (algorithms[i].alg == alg)
			return &algorithms[i];
	return NULL;
}

/* COSE kind that keys of this algorithm protect; 0: unknown algorithm */
static int kind_of(int32_t alg)
{
	const struct algorithm *a = algorithm_of(alg);
	if (a)
		return a->kind;
	return gm_aead_info(alg) ? GM_COSE_ENCRYPT0 : 0;
}

static bool key_sized(const struct algorithm *a, size_t have, size_t want)
{
	return a->kind == GM_COSE_MAC0 ? have >= want && have <= GM_COSE_KEY_MAX : have == want;
}

/* ---- decode */

struct headers {
	int32_t alg;
	struct gm_bytes crit, kid, iv;
};

enum { HAS_CRIT = 1u << 1 };

static const struct gm_field header_fields[] = {
    {LABEL_ALG, GM_FIELD_INT32, offsetof(struct headers, alg)},
    {LABEL_CRIT, GM_FIELD_ARRAY, offsetof(struct headers, crit)},
    {LABEL_KID, GM_FIELD_BSTR, offsetof(struct headers, kid)},
    {LABEL_IV, GM_FIELD_BSTR, offsetof(struct headers, iv)},
};

static uint32_t read_headers(struct gm_in *in, struct headers *h)
{
	return gm_fields_read(in, header_fields, GM_FIELDS_N(header_fields), h);
}

/* crit: [+ label], each one understood and in the protected header                       RFC 9052 §3.1 */
static bool crit_understood(struct gm_bytes crit, uint32_t seen)
{
	struct gm_in in = gm_in_bytes(crit);
	uint64_t n = gm_cbor_array(&in);
	bool ok = n > 0;

	for (; n && ok; n--) {
		int64_t label = gm_cbor_int(&in);
		ok = false;
		for (size_t i = 0; in.err == GM_E_OK && i < GM_FIELDS_N(header_fields); i++)
			ok |= header_fields[i].label == label && (seen & 1u << i);
	}
	return ok;
}

/* Both headers; false where they are malformed, share a label or ask for something unknown. */
static bool decode_headers(struct gm_in *in, struct gm_cose *msg)
{
	struct headers h = {0};
	uint32_t guarded = 0;

	msg->protected_ = gm_cbor_bstr(in);
	if (msg->protected_.n > PROTECTED_MAX)
		return false;
	if (msg->protected_.n) {
		struct gm_in inner = gm_in_bytes(msg->protected_);
		guarded = read_headers(&inner, &h);
		if (gm_cbor_end(&inner) != GM_E_OK)
			return false;
		if (!guarded) /* an empty map counts as an empty string           RFC 9052 §5.3 */
			msg->protected_.n = 0;
	}
	uint32_t open = read_headers(in, &h);
	if (in->err != GM_E_OK || (guarded & open & ~GM_FIELDS_UNKNOWN) || (open & HAS_CRIT))
		return false;
	if ((guarded & HAS_CRIT) && !crit_understood(h.crit, guarded))
		return false;
	msg->alg = h.alg;
	msg->kid = h.kid;
	msg->iv = h.iv;
	return true;
}

/* Tags 61 and 16, 17 or 18, each at most once and in this order. 0: no COSE tag; -1: another tag */
static int decode_tags(struct gm_in *in)
{
	if (gm_cbor_peek(in) != GM_CBOR_TAG)
		return 0;
	uint64_t tag = gm_cbor_tag(in);
	if (tag == GM_CBOR_TAG_CWT) /* stands before a tagged message only               RFC 8392 §6 */
		tag = gm_cbor_tag(in);
	return tag >= GM_COSE_ENCRYPT0 && tag <= GM_COSE_SIGN1 ? (int)tag : -1;
}

enum gm_err gm_cose_decode(struct gm_bytes input, struct gm_cose *msg)
{
	*msg = (struct gm_cose){0};
	if (!input.n)
		return GM_E_TOKEN_PARSE;
	struct gm_in in = gm_in_bytes(input);
	int kind = decode_tags(&in);
	uint64_t n = gm_cbor_array(&in);

	if (kind < 0 || in.err != GM_E_OK || !decode_headers(&in, msg))
		return GM_E_TOKEN_PARSE;
	msg->payload = gm_cbor_bstr(&in);
	if (n == 4)
		msg->tag = gm_cbor_bstr(&in);
	if (gm_cbor_end(&in) != GM_E_OK)
		return GM_E_TOKEN_PARSE;
	if (!kind)
		kind = n == 3 ? GM_COSE_ENCRYPT0 : kind_of(msg->alg);
	msg->kind = kind;
	return kind && n == (kind == GM_COSE_ENCRYPT0 ? 3 : 4) ? GM_E_OK : GM_E_TOKEN_PARSE;
}

/* ---- open and protect */

/* -8 with an Ed25519 key and -19 are one algorithm under two names                       RFC 9864 */
static int32_t canonical(int32_t alg)
{
	return alg == GM_ALG_ED25519 ? GM_ALG_EDDSA : alg;
}

bool gm_cose_key_fits(const struct gm_cose *msg, const struct gm_cose_key *key)
{
	if (kind_of(key->alg) != msg->kind || (msg->alg && canonical(msg->alg) != canonical(key->alg)))
		return false;
	return !msg->kid.p || !key->kid_n || gm_bytes_eq(msg->kid, (struct gm_bytes){key->kid, key->kid_n});
}

/* Enc_structure, MAC_structure or Sig_structure with empty external_aad; payload is absent from the first.
 *                                                                                        RFC 9052 §4.4, 5.3, 6.3 */
static void put_structure(struct gm_out *o, const char *context, struct gm_bytes protected_,
                          const struct gm_bytes *payload)
{
	gm_cbor_put_array(o, payload ? 4 : 3);
	gm_cbor_put_text(o, context);
	gm_cbor_put_bstr(o, protected_.p, protected_.n);
	gm_cbor_put_bstr(o, "", 0);
	if (payload)
		gm_cbor_put_bstr(o, payload->p, payload->n);
}

static enum gm_err open_encrypted(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *out, size_t cap,
                                  size_t *out_n)
{
	const struct gm_aead_info *info = gm_aead_info(key->alg);
	uint8_t aad[AAD_MAX];
	struct gm_out o = gm_out(aad, sizeof aad);

	if (key->key_n != info->key_len || msg->iv.n != info->nonce_len || msg->payload.n < info->tag_len)
		return GM_E_TOKEN_KEY;
	if (msg->payload.n > cap)
		return GM_E_ROOM;
	put_structure(&o, "Encrypt0", msg->protected_, NULL);
	if (o.err != GM_E_OK)
		return o.err;
	memcpy(out, msg->payload.p, msg->payload.n);
	size_t n = msg->payload.n - info->tag_len;
	if (!gm_aead_open(key->alg, key->key, msg->iv.p, aad, gm_out_len(&o), out, n))
		return GM_E_TOKEN_KEY;
	*out_n = n;
	return GM_E_OK;
}

static enum gm_err open_tagged(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *out, size_t cap,
                               size_t *out_n)
{
	const struct algorithm *a = algorithm_of(key->alg);
	uint8_t text[TEXT_MAX];
	struct gm_out o = gm_out(text, sizeof text);

	if (!key_sized(a, key->key_n, a->public_n) || msg->tag.n != a->tag_n)
		return GM_E_TOKEN_KEY;
	if (msg->payload.n > cap)
		return GM_E_ROOM;
	put_structure(&o, a->context, msg->protected_, &msg->payload);
	if (o.err != GM_E_OK)
		return o.err;
	if (!a->verify(key, gm_out_result(&o), msg->tag))
		return GM_E_TOKEN_KEY;
	if (msg->payload.n)
		memcpy(out, msg->payload.p, msg->payload.n);
	*out_n = msg->payload.n;
	return GM_E_OK;
}

enum gm_err gm_cose_open(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *out, size_t cap,
                         size_t *out_n)
{
	*out_n = 0;
	if (!gm_cose_key_fits(msg, key))
		return GM_E_TOKEN_KEY;
	if (msg->kind == GM_COSE_ENCRYPT0)
		return open_encrypted(msg, key, out, cap, out_n);
	return open_tagged(msg, key, out, cap, out_n);
}

bool gm_cose_is_ed25519(const struct gm_cose_key *key)
{
	return canonical(key->alg) == GM_ALG_EDDSA && key->key_n == GM_ED25519_PUB;
}

bool gm_cose_signed(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *text, size_t cap, size_t *n)
{
	const struct algorithm *a = algorithm_of(key->alg);
	struct gm_out o = gm_out(text, cap);

	if (!gm_cose_is_ed25519(key) || !gm_cose_key_fits(msg, key) || msg->tag.n != a->tag_n)
		return false;
	put_structure(&o, a->context, msg->protected_, &msg->payload);
	*n = gm_out_len(&o);
	return o.err == GM_E_OK;
}

/* All headers are protected: a token then is the one byte string that revocation by hash asks for. RFC 9770 §4 */
static struct gm_bytes put_headers(struct gm_out *o, const struct gm_cose_key *key, const uint8_t *iv, size_t iv_n)
{
	gm_cbor_put_map(o, 1u + (key->kid_n != 0) + (iv_n != 0));
	gm_cbor_put_int(o, LABEL_ALG);
	gm_cbor_put_int(o, key->alg);
	if (key->kid_n) {
		gm_cbor_put_int(o, LABEL_KID);
		gm_cbor_put_bstr(o, key->kid, key->kid_n);
	}
	if (iv_n) {
		gm_cbor_put_int(o, LABEL_IV);
		gm_cbor_put_bstr(o, iv, iv_n);
	}
	return gm_out_result(o);
}

static void put_message(struct gm_out *out, int kind, struct gm_bytes protected_)
{
	gm_cbor_put_tag(out, GM_CBOR_TAG_CWT);
	gm_cbor_put_tag(out, (uint64_t)kind);
	gm_cbor_put_array(out, kind == GM_COSE_ENCRYPT0 ? 3 : 4);
	gm_cbor_put_bstr(out, protected_.p, protected_.n);
	gm_cbor_put_map(out, 0);
}

bool gm_cose_strict(struct gm_bytes token, const struct gm_cose *msg, const struct gm_cose_key *key)
{
	uint8_t buf[GM_TOKEN_HASH_MAX];
	struct gm_out only = gm_out(buf, sizeof buf);

	put_message(&only, msg->kind, msg->protected_);
	gm_cbor_put_bstr(&only, msg->payload.p, msg->payload.n);
	if (msg->kind != GM_COSE_ENCRYPT0)
		gm_cbor_put_bstr(&only, msg->tag.p, msg->tag.n);
	if (key->alg == GM_ALG_ES256 && !es256_low(msg->tag.p))
		return false;
	return only.err == GM_E_OK && gm_bytes_eq(gm_out_result(&only), token);
}

static enum gm_err protect_encrypted(struct gm_out *out, const struct gm_cose_key *key, const uint8_t *iv,
                                     struct gm_bytes payload)
{
	const struct gm_aead_info *info = gm_aead_info(key->alg);
	uint8_t header[PROTECTED_MAX], aad[AAD_MAX];
	struct gm_out h = gm_out(header, sizeof header), a = gm_out(aad, sizeof aad);

	if (!info || key->key_n != info->key_len || !iv)
		return GM_E_USAGE;
	struct gm_bytes protected_ = put_headers(&h, key, iv, info->nonce_len);
	put_structure(&a, "Encrypt0", protected_, NULL);
	put_message(out, GM_COSE_ENCRYPT0, protected_);
	gm_cbor_put_bstr_head(out, payload.n + info->tag_len);
	uint8_t *text = gm_out_take(out, payload.n + info->tag_len);
	if (!text)
		return out->err;
	if (payload.n)
		memcpy(text, payload.p, payload.n);
	bool ok = gm_aead_seal(key->alg, key->key, iv, aad, gm_out_len(&a), text, payload.n);
	return ok ? GM_E_OK : GM_E_USAGE;
}

static enum gm_err protect_tagged(struct gm_out *out, const struct gm_cose_key *key, const struct algorithm *a,
                                  struct gm_bytes payload)
{
	uint8_t header[PROTECTED_MAX], text[TEXT_MAX], tag[GM_ED25519_SIG];
	struct gm_out h = gm_out(header, sizeof header), t = gm_out(text, sizeof text);

	if (!key_sized(a, key->key_n, a->private_n))
		return GM_E_USAGE;
	struct gm_bytes protected_ = put_headers(&h, key, NULL, 0);
	put_structure(&t, a->context, protected_, &payload);
	if (t.err != GM_E_OK)
		return t.err;
	if (!a->make(key, gm_out_result(&t), tag, a->tag_n))
		return GM_E_USAGE;
	put_message(out, a->kind, protected_);
	gm_cbor_put_bstr(out, payload.p, payload.n);
	gm_cbor_put_bstr(out, tag, a->tag_n);
	return out->err;
}

enum gm_err gm_cose_protect(struct gm_out *out, const struct gm_cose_key *key, const uint8_t *iv,
                            struct gm_bytes payload)
{
	const struct algorithm *a = algorithm_of(key->alg);
	return a ? protect_tagged(out, key, a, payload) : protect_encrypted(out, key, iv, payload);
}
