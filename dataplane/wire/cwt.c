/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cwt.h"

#include <math.h>

#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/fields.h"

#define TAG_SCOPE 1668547115u /* extended scope: TN(297)                         RFC 9594 §7, RFC 9277 §4.3 */
#define TIME_MAX (INT64_C(1) << 53)
#define HKDF_SHA_256 5
#define CCM_16_64_128 10
#define OAUTH_INVALID_REQUEST 1
#define OAUTH_INVALID_SCOPE 6

/* CWT claims */
enum {
	CLAIM_ISS = 1,
	CLAIM_SUB = 2,
	CLAIM_AUD = 3,
	CLAIM_EXP = 4,
	CLAIM_NBF = 5,
	CLAIM_IAT = 6,
	CLAIM_CTI = 7,
	CLAIM_CNF = 8,
	CLAIM_SCOPE = 9,
	CLAIM_ACE_PROFILE = 38,
	CLAIM_CNONCE = 39,
	CLAIM_EXI = 40,
};
enum { CNF_KID = 3, CNF_OSC = 4 };
enum { OSC_ID, OSC_VERSION, OSC_MS, OSC_HKDF, OSC_ALG, OSC_SALT, OSC_CONTEXT_ID };

/* ---- claims */

struct claims { /* a claims map as it stands, before its parts are read */
	struct gm_cwt cwt;
	struct gm_bytes aud, exp, nbf, iat, cnf, scope;
};

static const struct gm_field claim_fields[] = {
    {CLAIM_ISS, GM_FIELD_TSTR, offsetof(struct claims, cwt.iss)},
    {CLAIM_SUB, GM_FIELD_TSTR, offsetof(struct claims, cwt.sub)},
    {CLAIM_AUD, GM_FIELD_ITEM, offsetof(struct claims, aud)},
    {CLAIM_EXP, GM_FIELD_ITEM, offsetof(struct claims, exp)},
    {CLAIM_NBF, GM_FIELD_ITEM, offsetof(struct claims, nbf)},
    {CLAIM_IAT, GM_FIELD_ITEM, offsetof(struct claims, iat)},
    {CLAIM_CTI, GM_FIELD_BSTR, offsetof(struct claims, cwt.cti)},
    {CLAIM_CNF, GM_FIELD_MAP, offsetof(struct claims, cnf)},
    {CLAIM_SCOPE, GM_FIELD_ITEM, offsetof(struct claims, scope)},
    {CLAIM_ACE_PROFILE, GM_FIELD_INT32, offsetof(struct claims, cwt.ace_profile)},
    {CLAIM_CNONCE, GM_FIELD_BSTR, offsetof(struct claims, cwt.cnonce)},
    {CLAIM_EXI, GM_FIELD_UINT, offsetof(struct claims, cwt.exi)},
};

struct cnf {
	struct gm_bytes kid, osc;
};

static const struct gm_field cnf_fields[] = {
    {CNF_KID, GM_FIELD_BSTR, offsetof(struct cnf, kid)},
    {CNF_OSC, GM_FIELD_MAP, offsetof(struct cnf, osc)},
};

static const struct gm_field osc_fields[] = {
    {OSC_ID, GM_FIELD_BSTR, offsetof(struct gm_osc, id)},
    {OSC_VERSION, GM_FIELD_INT32, offsetof(struct gm_osc, version)},
    {OSC_MS, GM_FIELD_BSTR, offsetof(struct gm_osc, ms)},
    {OSC_HKDF, GM_FIELD_INT32, offsetof(struct gm_osc, hkdf)},
    {OSC_ALG, GM_FIELD_INT32, offsetof(struct gm_osc, alg)},
    {OSC_SALT, GM_FIELD_BSTR, offsetof(struct gm_osc, salt)},
    {OSC_CONTEXT_ID, GM_FIELD_BSTR, offsetof(struct gm_osc, context_id)},
};

static const struct gm_osc osc_defaults = {.version = 1, .hkdf = HKDF_SHA_256, .alg = CCM_16_64_128};

/* Value of a half, single or double float whose first byte is read already. */
static double read_float(struct gm_in *in, uint8_t head)
{
	if (head == 0xf9) {
		uint16_t h = gm_in_u16_be(in);
		int exponent = h >> 10 & 0x1f;
		double fraction = h & 0x3ff;
		double v = exponent == 0    ? fraction / (1 << 24)
		           : exponent == 31 ? (double)INFINITY /* or not a number: refused alike */
		                            : (fraction + 1024) * (double)(1u << exponent) / (1 << 25);
		return h & 0x8000 ? -v : v;
	}
	if (head == 0xfa) {
		uint32_t bits = (uint32_t)gm_in_be(in, 4);
		float f;
		memcpy(&f, &bits, sizeof f);
		return (double)f;
	}
	uint64_t bits = gm_in_be(in, 8);
	double d;
	memcpy(&d, &bits, sizeof d);
	return d;
}

/* NumericDate: whole seconds from 0 to 2^53, which stay exact when multiplied by a thousand; absent stays as it is. */
static bool read_time(struct gm_bytes item, int64_t *seconds)
{
	if (!item.p)
		return true;
	struct gm_in in = gm_in_bytes(item);

	if (gm_cbor_peek(&in) == GM_CBOR_UINT) {
		uint64_t v = gm_cbor_uint(&in);
		*seconds = v <= TIME_MAX ? (int64_t)v : -1;
		return v <= TIME_MAX;
	}
	uint8_t head = gm_in_u8(&in);
	if (head < 0xf9 || head > 0xfb)
		return false;
	double v = read_float(&in, head);
	if (!(v >= 0 && v <= (double)TIME_MAX))
		return false;
	*seconds = (int64_t)v;
	return true;
}

/* One text, or several.                                                                  RFC 7519 §4.1.3 */
static bool read_aud(struct gm_bytes item, struct gm_cwt *cwt)
{
	if (!item.p)
		return true;
	struct gm_in in = gm_in_bytes(item);

	if (gm_cbor_peek(&in) == GM_CBOR_TSTR) {
		cwt->aud = gm_cbor_tstr(&in);
	} else {
		cwt->auds = item;
		for (uint64_t n = gm_cbor_array(&in); n && in.err == GM_E_OK; n--)
			(void)gm_cbor_tstr(&in);
	}
	return gm_cbor_end(&in) == GM_E_OK;
}

struct gm_bytes gm_cwt_audience(const struct gm_cwt *cwt, struct gm_bytes own)
{
	struct gm_in in = gm_in_bytes(cwt->auds);

	for (uint64_t n = cwt->auds.p ? gm_cbor_array(&in) : 0; n && in.err == GM_E_OK; n--)
		if (gm_bytes_eq(gm_cbor_tstr(&in), own))
			return own;
	return cwt->aud;
}

/* The claim's byte string, out of its tag if it has one. */
static bool read_scope(struct gm_bytes item, struct gm_cwt *cwt)
{
	if (!item.p)
		return false;
	struct gm_in in = gm_in_bytes(item);

	cwt->extended_scope = gm_cbor_peek(&in) == GM_CBOR_TAG;
	if (cwt->extended_scope && gm_cbor_tag(&in) != TAG_SCOPE)
		return false;
	cwt->scope = gm_cbor_bstr(&in);
	return gm_cbor_end(&in) == GM_E_OK;
}

static enum gm_err read_osc(struct gm_bytes item, struct gm_osc *osc)
{
	struct gm_in in = gm_in_bytes(item);
	*osc = osc_defaults;
	uint32_t seen = gm_fields_read(&in, osc_fields, GM_FIELDS_N(osc_fields), osc);

	if (gm_cbor_end(&in) != GM_E_OK || (seen & GM_FIELDS_UNKNOWN) || !osc->id.p || !osc->ms.p)
		return GM_E_TOKEN_PROFILE;
	return GM_E_OK;
}

/* One key: either osc or kid is read; other methods leave both absent, for the profile to judge. */
static enum gm_err read_cnf(struct gm_bytes item, struct gm_cwt *cwt)
{
	if (!item.p)
		return GM_E_TOKEN_CLAIMS;
	struct cnf cnf = {0};
	struct gm_in in = gm_in_bytes(item);

	gm_fields_read(&in, cnf_fields, GM_FIELDS_N(cnf_fields), &cnf);
	if (gm_cbor_end(&in) != GM_E_OK || (cnf.kid.p && cnf.osc.p))
		return GM_E_TOKEN_CLAIMS;
	cwt->cnf_kid = cnf.kid;
	cwt->has_osc = cnf.osc.p != NULL;
	return cwt->has_osc ? read_osc(cnf.osc, &cwt->osc) : GM_E_OK;
}

enum gm_err gm_cwt_decode(struct gm_bytes claims, struct gm_cwt *cwt)
{
	*cwt = (struct gm_cwt){0};
	if (!claims.n)
		return GM_E_TOKEN_CLAIMS;
	struct gm_in in = gm_in_bytes(claims);
	struct claims c = {.cwt = {.exp = -1, .nbf = -1, .iat = -1, .exi = -1, .ace_profile = -1}};

	gm_fields_read(&in, claim_fields, GM_FIELDS_N(claim_fields), &c);
	if (gm_cbor_end(&in) != GM_E_OK || !read_time(c.exp, &c.cwt.exp) || !read_time(c.nbf, &c.cwt.nbf) ||
	    !read_time(c.iat, &c.cwt.iat) || c.cwt.exi > TIME_MAX || !read_scope(c.scope, &c.cwt) || !read_aud(c.aud, &c.cwt))
		return GM_E_TOKEN_CLAIMS;
	if (c.cwt.exp < 0 && c.cwt.exi < 0)
		return GM_E_TOKEN_CLAIMS;
	GM_TRY(read_cnf(c.cnf, &c.cwt));
	*cwt = c.cwt;
	return GM_E_OK;
}

static void put_text(struct gm_out *out, int label, struct gm_bytes v)
{
	if (!v.p)
		return;
	gm_cbor_put_int(out, label);
	gm_cbor_put_tstr(out, v.p, v.n);
}

static void put_bytes(struct gm_out *out, int label, struct gm_bytes v)
{
	if (!v.p)
		return;
	gm_cbor_put_int(out, label);
	gm_cbor_put_bstr(out, v.p, v.n);
}

/* left out where v equals absent */
static void put_number(struct gm_out *out, int label, int64_t v, int64_t absent)
{
	if (v == absent)
		return;
	gm_cbor_put_int(out, label);
	gm_cbor_put_int(out, v);
}

static void put_osc(struct gm_out *out, const struct gm_osc *osc)
{
	const struct gm_osc *d = &osc_defaults;

	gm_cbor_put_map(out, 0u + (osc->id.p != NULL) + (osc->ms.p != NULL) + (osc->version != d->version) + (osc->hkdf != d->hkdf) + (osc->alg != d->alg) +
	                         (osc->salt.p != NULL) + (osc->context_id.p != NULL));
	put_bytes(out, OSC_ID, osc->id);
	put_number(out, OSC_VERSION, osc->version, d->version);
	put_bytes(out, OSC_MS, osc->ms);
	put_number(out, OSC_HKDF, osc->hkdf, d->hkdf);
	put_number(out, OSC_ALG, osc->alg, d->alg);
	put_bytes(out, OSC_SALT, osc->salt);
	put_bytes(out, OSC_CONTEXT_ID, osc->context_id);
}

static void put_cnf(struct gm_out *out, const struct gm_cwt *cwt)
{
	gm_cbor_put_int(out, CLAIM_CNF);
	gm_cbor_put_map(out, cwt->has_osc || cwt->cnf_kid.p);
	if (!cwt->has_osc) {
		put_bytes(out, CNF_KID, cwt->cnf_kid);
		return;
	}
	gm_cbor_put_int(out, CNF_OSC);
	put_osc(out, &cwt->osc);
}

static void put_aud(struct gm_out *out, const struct gm_cwt *cwt)
{
	put_text(out, CLAIM_AUD, cwt->aud);
	if (cwt->auds.p) {
		gm_cbor_put_int(out, CLAIM_AUD);
		gm_out_bytes(out, cwt->auds.p, cwt->auds.n);
	}
}

static void put_scope(struct gm_out *out, const struct gm_cwt *cwt)
{
	if (!cwt->scope.p)
		return;
	gm_cbor_put_int(out, CLAIM_SCOPE);
	if (cwt->extended_scope)
		gm_cbor_put_tag(out, TAG_SCOPE);
	gm_cbor_put_bstr(out, cwt->scope.p, cwt->scope.n);
}

void gm_cwt_encode(struct gm_out *out, const struct gm_cwt *cwt)
{
	gm_cbor_put_map(out, 1u + (cwt->iss.p != NULL) + (cwt->sub.p != NULL) + (cwt->aud.p || cwt->auds.p) +
	                         (cwt->exp != -1) + (cwt->nbf != -1) + (cwt->iat != -1) + (cwt->cti.p != NULL) +
	                         (cwt->scope.p != NULL) + (cwt->ace_profile != -1) + (cwt->cnonce.p != NULL) +
	                         (cwt->exi != -1));
	put_text(out, CLAIM_ISS, cwt->iss);
	put_text(out, CLAIM_SUB, cwt->sub);
	put_aud(out, cwt);
	put_number(out, CLAIM_EXP, cwt->exp, -1);
	put_number(out, CLAIM_NBF, cwt->nbf, -1);
	put_number(out, CLAIM_IAT, cwt->iat, -1);
	put_bytes(out, CLAIM_CTI, cwt->cti);
	put_cnf(out, cwt);
	put_scope(out, cwt);
	put_number(out, CLAIM_ACE_PROFILE, cwt->ace_profile, -1);
	put_bytes(out, CLAIM_CNONCE, cwt->cnonce);
	put_number(out, CLAIM_EXI, cwt->exi, -1);
}

#define HASH_SHA_256 1 /* RFC 6920 §9.4 */

static size_t base64url(char *out, struct gm_bytes in)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned held = 0;
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		bits = bits << 8 | in.p[i];
		for (held += 8; held >= 6; held -= 6)
			out[n++] = digits[bits >> (held - 6) & 63];
	}
	if (held)
		out[n++] = digits[bits << (6 - held) & 63];
	return n;
}

void gm_token_hash(uint8_t hash[static 33], struct gm_bytes token)
{
	char text[GM_TOKEN_HASH_MAX / 3 * 4 + 4];

	memset(hash, 0, 33);
	if (token.n > GM_TOKEN_HASH_MAX)
		return;
	hash[0] = HASH_SHA_256;
	gm_sha256(hash + 1, (const uint8_t *)text, base64url(text, token));
}

#define CNONCE_LIFE_S 300
#define CNONCE_AHEAD_S 5 /* a worker's clock may be read later than the one that judges */

void gm_cnonce_make(uint8_t nonce[static GM_CNONCE], const uint8_t key[static 16], int64_t now_s)
{
	struct gm_out o = gm_out(nonce, GM_CNONCE);

	gm_out_be(&o, (uint64_t)now_s, 8);
	gm_out_be(&o, gm_siphash(key, nonce, 8), 8);
}

bool gm_cnonce_fresh(struct gm_bytes nonce, const uint8_t key[static 16], int64_t now_s)
{
	struct gm_in in = gm_in_bytes(nonce);
	uint8_t want[GM_CNONCE];

	if (nonce.n != GM_CNONCE)
		return false;
	int64_t made = (int64_t)gm_in_be(&in, 8);
	gm_cnonce_make(want, key, made);
	return gm_equal(want, nonce.p, GM_CNONCE) && made <= now_s + CNONCE_AHEAD_S && made > now_s - CNONCE_LIFE_S;
}

int gm_oauth_error(enum gm_err err)
{
	return err == GM_E_TOKEN_SCOPE ? OAUTH_INVALID_SCOPE : OAUTH_INVALID_REQUEST;
}

/* ---- scope */

#define PERM_ADMIN 1u
#define PERMS_ALL (PERM_ADMIN | GM_ROLES_ALL) /* both kinds of entry use bits 1 to 4 */

static void read_entry(struct gm_in *in, struct gm_scope_entry *entry)
{
	if (gm_cbor_array(in) != 2)
		gm_in_fail(in, GM_E_TOKEN_SCOPE);
	struct gm_bytes toid = gm_cbor_item(in);
	uint64_t perm = gm_cbor_uint(in);

	if (in->err != GM_E_OK || perm & ~(uint64_t)PERMS_ALL) {
		gm_in_fail(in, GM_E_TOKEN_SCOPE);
		return;
	}
	*entry =
	    (struct gm_scope_entry){.admin = perm & PERM_ADMIN, .name = toid, .perm = (uint32_t)perm & ~PERM_ADMIN};
	if (entry->admin) {
		struct gm_in t = gm_in_bytes(toid);
		enum gm_cbor_type type = gm_cbor_peek(&t);
		if (type != GM_CBOR_TSTR && type != GM_CBOR_TAG && !gm_cbor_bool(&t))
			gm_in_fail(in, GM_E_TOKEN_SCOPE);
		return;
	}
	struct gm_in t = gm_in_bytes(toid);
	entry->name = gm_cbor_tstr(&t);
	if (t.err != GM_E_OK)
		gm_in_fail(in, GM_E_TOKEN_SCOPE);
}

struct gm_scope_iter gm_scope_iter(struct gm_bytes scope)
{
	struct gm_scope_iter it = {0};
	if (!scope.n)
		return it;
	it.in = gm_in_bytes(scope);
	it.left = gm_cbor_array(&it.in);
	return it;
}

bool gm_scope_next(struct gm_scope_iter *it, struct gm_scope_entry *entry)
{
	if (!it->left)
		return false;
	it->left--;
	read_entry(&it->in, entry);
	if (it->in.err != GM_E_OK)
		it->left = 0;
	return it->in.err == GM_E_OK;
}

enum gm_err gm_scope_check(struct gm_bytes scope)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry entry;

	while (gm_scope_next(&it, &entry))
		;
	return scope.n && gm_cbor_end(&it.in) == GM_E_OK ? GM_E_OK : GM_E_TOKEN_SCOPE;
}

bool gm_scope_allows(struct gm_bytes scope, struct gm_bytes group, uint32_t roles)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;

	while (gm_scope_next(&it, &e))
		if (!e.admin && e.perm && gm_bytes_eq(e.name, group) && (e.perm & roles) == roles)
			return true;
	return false;
}
