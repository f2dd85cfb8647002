/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/groupcomm.h"

#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cose.h"
#include "wire/fields.h"

enum { PROBLEM_GROUPCOMM_ERROR = 0, PROBLEM_ERROR_ID = 0, PROBLEM_DETAIL = -2 };

struct gm_group_params gm_group_params_default(void)
{
	return (struct gm_group_params){
	    .hkdf = GM_HKDF_SHA_256,
	    .cred_fmt = GM_CRED_FMT_KCCS,
	    .group_mode = true,
	    .pairwise_mode = true,
	    .gp_enc_alg = GM_ALG_CCM_16_64_128,
	    .sign_alg = GM_ALG_EDDSA,
	    .alg = GM_ALG_CCM_16_64_128,
	    .ecdh_alg = GM_ALG_ECDH_SS_HKDF_256,
	    .sign_kty = GM_KTY_OKP,
	    .sign_crv = GM_CRV_ED25519,
	    .ecdh_kty = GM_KTY_OKP,
	    .ecdh_crv = GM_CRV_X25519,
	};
}

static void put_raw(struct gm_out *out, struct gm_bytes v)
{
	if (v.n)
		gm_out_bytes(out, v.p, v.n);
}

static bool is_text(const char *s)
{
	return s && *s;
}

/* ---- authz-info */

struct token_fields {
	struct gm_token_request request;
	struct gm_bytes token, sign_info, ecdh_info, ecdh_info_old, kdc_dh_creds, kdc_dh_creds_old;
};

static const struct gm_field token_fields[] = {
    {GM_OAUTH_ACCESS_TOKEN, GM_FIELD_ITEM, offsetof(struct token_fields, token)},
    {GM_OAUTH_NONCE1, GM_FIELD_BSTR, offsetof(struct token_fields, request.nonce1)},
    {GM_OAUTH_CLIENT_RECIPIENTID, GM_FIELD_BSTR, offsetof(struct token_fields, request.id1)},
    {GM_OAUTH_SIGN_INFO, GM_FIELD_ITEM, offsetof(struct token_fields, sign_info)},
    {GM_OAUTH_ECDH_INFO, GM_FIELD_ITEM, offsetof(struct token_fields, ecdh_info)},
    {GM_OAUTH_KDC_DH_CREDS, GM_FIELD_ITEM, offsetof(struct token_fields, kdc_dh_creds)},
    {GM_OAUTH_ECDH_INFO_OLD, GM_FIELD_ITEM, offsetof(struct token_fields, ecdh_info_old)},
    {GM_OAUTH_KDC_DH_CREDS_OLD, GM_FIELD_ITEM, offsetof(struct token_fields, kdc_dh_creds_old)},
};

/* access_token: contents of a byte string, or the nested COSE object as it is */
static bool read_token(struct gm_bytes item, struct gm_bytes *token)
{
	if (!item.p)
		return false;
	struct gm_in in = gm_in_bytes(item);

	switch (gm_cbor_peek(&in)) {
	case GM_CBOR_BSTR:
		*token = gm_cbor_bstr(&in);
		return in.err == GM_E_OK;
	case GM_CBOR_ARRAY:
	case GM_CBOR_TAG:
		*token = item;
		return true;
	default:
		return false;
	}
}

/* Notes the label where it was asked with null. */
static bool read_asked(struct gm_bytes item, uint8_t label, uint8_t *asked)
{
	if (!item.p)
		return true;
	struct gm_in in = gm_in_bytes(item);
	*asked = label;
	return gm_cbor_is_null(&in);
}

enum gm_err gm_token_request_decode(struct gm_bytes payload, struct gm_token_request *request)
{
	*request = (struct gm_token_request){0};
	if (!payload.n)
		return GM_E_TOKEN_PARSE;
	struct gm_in in = gm_in_bytes(payload);
	struct token_fields f = {0};
	struct gm_token_request *r = &f.request;

	gm_fields_read(&in, token_fields, GM_FIELDS_N(token_fields), &f);
	if (gm_cbor_end(&in) != GM_E_OK || !read_token(f.token, &r->token))
		return GM_E_TOKEN_PARSE;
	/* the registered label wins where both are asked */
	if (!read_asked(f.sign_info, GM_OAUTH_SIGN_INFO, &r->sign_info) ||
	    !read_asked(f.ecdh_info_old, GM_OAUTH_ECDH_INFO_OLD, &r->ecdh_info) ||
	    !read_asked(f.ecdh_info, GM_OAUTH_ECDH_INFO, &r->ecdh_info) ||
	    !read_asked(f.kdc_dh_creds_old, GM_OAUTH_KDC_DH_CREDS_OLD, &r->kdc_dh_creds) ||
	    !read_asked(f.kdc_dh_creds, GM_OAUTH_KDC_DH_CREDS, &r->kdc_dh_creds) || r->nonce1.n > GM_NONCE_MAX)
		return GM_E_RANGE;
	*request = *r;
	return GM_E_OK;
}

static void put_asked(struct gm_out *out, uint8_t label)
{
	if (!label)
		return;
	gm_cbor_put_int(out, label);
	gm_cbor_put_null(out);
}

void gm_token_request_encode(struct gm_out *out, const struct gm_token_request *r)
{
	gm_cbor_put_map(out, (unsigned)(r->token.p != NULL) + (r->nonce1.p != NULL) + (r->id1.p != NULL) +
	                         (r->sign_info != 0) + (r->ecdh_info != 0) + (r->kdc_dh_creds != 0));
	if (r->token.p)
		gm_pair_bytes(out, GM_OAUTH_ACCESS_TOKEN, r->token);
	if (r->nonce1.p)
		gm_pair_bytes(out, GM_OAUTH_NONCE1, r->nonce1);
	if (r->id1.p)
		gm_pair_bytes(out, GM_OAUTH_CLIENT_RECIPIENTID, r->id1);
	put_asked(out, r->sign_info);
	put_asked(out, r->ecdh_info);
	put_asked(out, r->kdc_dh_creds);
}

void gm_token_response_encode(struct gm_out *out, const struct gm_token_response *r)
{
	gm_cbor_put_map(out,
	                (unsigned)(r->nonce2.p != NULL) + (r->id2.p != NULL) + (r->challenge.p != NULL) + r->infos_n);
	if (r->nonce2.p)
		gm_pair_bytes(out, GM_OAUTH_NONCE2, r->nonce2);
	if (r->id2.p)
		gm_pair_bytes(out, GM_OAUTH_SERVER_RECIPIENTID, r->id2);
	if (r->challenge.p)
		gm_pair_bytes(out, GM_OAUTH_KDCCHALLENGE, r->challenge);
	put_raw(out, r->infos);
}

static const struct gm_field response_fields[] = {
    {GM_OAUTH_NONCE2, GM_FIELD_BSTR, offsetof(struct gm_token_response, nonce2)},
    {GM_OAUTH_SERVER_RECIPIENTID, GM_FIELD_BSTR, offsetof(struct gm_token_response, id2)},
    {GM_OAUTH_KDCCHALLENGE, GM_FIELD_BSTR, offsetof(struct gm_token_response, challenge)},
};

enum gm_err gm_token_response_decode(struct gm_bytes payload, struct gm_token_response *response)
{
	*response = (struct gm_token_response){0};
	if (!payload.n)
		return GM_E_SHORT;
	struct gm_in in = gm_in_bytes(payload), pairs = in;
	struct gm_token_response r = {0};

	gm_fields_read(&in, response_fields, GM_FIELDS_N(response_fields), &r);
	GM_TRY(gm_cbor_end(&in));
	r.infos_n = (unsigned)gm_cbor_map(&pairs);
	r.infos = (struct gm_bytes){pairs.p, gm_in_left(&pairs)};
	*response = r;
	return GM_E_OK;
}

void gm_token_error_encode(struct gm_out *out, int code, const char *text)
{
	gm_cbor_put_map(out, 1u + is_text(text));
	gm_pair_int(out, GM_OAUTH_ERROR, code);
	if (is_text(text))
		gm_pair_text(out, GM_OAUTH_ERROR_DESCRIPTION, text);
}

void gm_hints_encode(struct gm_out *out, const char *as_uri, const char *audience, struct gm_bytes cnonce)
{
	gm_cbor_put_map(out, (unsigned)is_text(as_uri) + is_text(audience) + (cnonce.p != NULL));
	if (is_text(as_uri))
		gm_pair_text(out, GM_OAUTH_AS, as_uri);
	if (is_text(audience))
		gm_pair_text(out, GM_OAUTH_AUDIENCE, audience);
	if (cnonce.p) {
		gm_cbor_put_uint(out, 39);
		gm_cbor_put_bstr(out, cnonce.p, cnonce.n);
	}
}

/* id: one name, or an array of several */
static void put_names(struct gm_out *out, const struct gm_bytes *names, unsigned n)
{
	if (n != 1)
		gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_tstr(out, names[i].p, names[i].n);
}

/* Capabilities of the algorithm, then of the key type: [kty], [kty, crv]                 RFC 9053 §8 */
static void put_capabilities(struct gm_out *out, int32_t kty, int32_t crv)
{
	gm_cbor_put_array(out, 1);
	gm_cbor_put_int(out, kty);
	gm_cbor_put_array(out, 2);
	gm_cbor_put_int(out, kty);
	gm_cbor_put_int(out, crv);
}

void gm_sign_info_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n, const struct gm_group_params *p)
{
	gm_cbor_put_array(out, 5);
	put_names(out, names, n);
	gm_cbor_put_int(out, p->sign_alg);
	put_capabilities(out, p->sign_kty, p->sign_crv);
	gm_cbor_put_int(out, p->cred_fmt);
}

void gm_ecdh_info_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n, const struct gm_group_params *p)
{
	gm_cbor_put_array(out, 5);
	put_names(out, names, n);
	gm_cbor_put_int(out, p->ecdh_alg);
	put_capabilities(out, p->ecdh_kty, p->ecdh_crv);
	gm_cbor_put_int(out, p->cred_fmt);
}

void gm_kdc_dh_creds_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n,
                           const struct gm_group_params *p, struct gm_bytes kdc_cred)
{
	gm_cbor_put_array(out, 3);
	put_names(out, names, n);
	gm_cbor_put_int(out, p->cred_fmt);
	gm_cbor_put_bstr(out, kdc_cred.p, kdc_cred.n);
}

bool gm_info_names(struct gm_bytes id, struct gm_bytes name)
{
	struct gm_in in = gm_in_bytes(id);
	struct gm_list names;
	struct gm_bytes v;

	if (gm_cbor_peek(&in) == GM_CBOR_TSTR)
		return gm_bytes_eq(gm_cbor_tstr(&in), name);
	if (!gm_list_decode(id, GM_CBOR_TSTR, &names))
		return false;
	while (gm_list_tstr(&names, &v))
		if (gm_bytes_eq(v, name))
			return true;
	return false;
}

enum gm_err gm_kdc_dh_creds_find(struct gm_bytes kdc_dh_creds, struct gm_bytes name, struct gm_bytes *cred)
{
	struct gm_in in = gm_in_bytes(kdc_dh_creds);

	*cred = (struct gm_bytes){0};
	for (uint64_t n = gm_cbor_array(&in); n && in.err == GM_E_OK; n--) {
		if (gm_cbor_array(&in) != 3)
			gm_in_fail(&in, GM_E_MALFORMED);
		struct gm_bytes id = gm_cbor_item(&in);
		gm_cbor_int(&in);
		struct gm_bytes c = gm_cbor_bstr(&in);
		if (in.err == GM_E_OK && !cred->p && gm_info_names(id, name))
			*cred = c;
	}
	enum gm_err err = gm_cbor_end(&in);
	if (err != GM_E_OK)
		*cred = (struct gm_bytes){0};
	return err != GM_E_OK || cred->p ? err : GM_E_MISSING;
}

/* ---- Join */

struct join_fields {
	struct gm_join_request request;
	struct gm_bytes get_creds;
};

static const struct gm_field join_fields[] = {
    {GM_LABEL_SCOPE, GM_FIELD_BSTR, offsetof(struct join_fields, request.scope)},
    {GM_LABEL_GET_CREDS, GM_FIELD_ITEM, offsetof(struct join_fields, get_creds)},
    {GM_LABEL_CLIENT_CRED, GM_FIELD_BSTR, offsetof(struct join_fields, request.cred)},
    {GM_LABEL_CNONCE, GM_FIELD_BSTR, offsetof(struct join_fields, request.cnonce)},
    {GM_LABEL_CLIENT_CRED_VERIFY, GM_FIELD_BSTR, offsetof(struct join_fields, request.verify)},
    {GM_LABEL_CONTROL_URI, GM_FIELD_TSTR, offsetof(struct join_fields, request.control_uri)},
};

/* role sets that a Join may ask for; a verifier does not join                            KG §6.1 */
static const uint32_t join_roles[] = {
    GM_ROLE_REQUESTER,
    GM_ROLE_RESPONDER,
    GM_ROLE_REQUESTER | GM_ROLE_RESPONDER,
    GM_ROLE_MONITOR,
};

static bool roles_joinable(uint64_t roles)
{
	for (size_t i = 0; i < GM_FIELDS_N(join_roles); i++)
		if (join_roles[i] == roles)
			return true;
	return false;
}

/* scope: one [name, roles] */
static bool read_join_scope(struct gm_join_request *r)
{
	if (!r->scope.n)
		return false;
	struct gm_in in = gm_in_bytes(r->scope);

	if (gm_cbor_array(&in) != 2)
		return false;
	r->group = gm_cbor_tstr(&in);
	uint64_t roles = gm_cbor_uint(&in);
	r->roles = (uint32_t)roles;
	return gm_cbor_end(&in) == GM_E_OK && r->group.n && r->group.n <= GM_GROUP_NAME_MAX && roles_joinable(roles);
}

/* role_filter: [+ roles] */
static bool read_role_filter(struct gm_in *in, struct gm_join_request *r)
{
	uint64_t n = gm_cbor_array(in);

	if (n == 0 || n > GM_ROLE_FILTER_MAX)
		return false;
	for (; n; n--) {
		uint64_t roles = gm_cbor_uint(in);
		if (roles == 0 || roles & ~(uint64_t)GM_ROLES_ALL)
			return false;
		r->role_filter[r->role_filter_n++] = (uint8_t)roles;
	}
	return true;
}

/* get_creds: null, or [true, [+ roles], []]                                              RFC 9594 §4.3.1 */
static bool read_get_creds(struct gm_bytes item, struct gm_join_request *r)
{
	if (!item.p)
		return true;
	struct gm_in in = gm_in_bytes(item);

	r->get_creds = GM_CREDS_NEEDED;
	if (gm_cbor_is_null(&in))
		return true;
	r->get_creds = GM_CREDS_ROLES;
	return gm_cbor_array(&in) == 3 && gm_cbor_bool(&in) && read_role_filter(&in, r) && gm_cbor_array(&in) == 0 &&
	       gm_cbor_end(&in) == GM_E_OK;
}

enum gm_err gm_join_request_decode(struct gm_bytes payload, struct gm_join_request *request)
{
	*request = (struct gm_join_request){0};
	if (!payload.n)
		return GM_E_BAD_JOIN;
	struct gm_in in = gm_in_bytes(payload);
	struct join_fields f = {0};
	struct gm_join_request *r = &f.request;

	gm_fields_read(&in, join_fields, GM_FIELDS_N(join_fields), &f);
	if (gm_cbor_end(&in) != GM_E_OK || !read_join_scope(r) || !read_get_creds(f.get_creds, r))
		return GM_E_BAD_JOIN;
	if (r->cnonce.n == 0 || r->cnonce.n > GM_NONCE_MAX || r->cred.n > GM_CRED_MAX)
		return GM_E_BAD_JOIN;
	r->has_cred = r->cred.p != NULL;
	r->has_verify = r->verify.p != NULL;
	*request = *r;
	return GM_E_OK;
}

void gm_join_scope_encode(struct gm_out *out, struct gm_bytes name, uint32_t roles)
{
	gm_cbor_put_array(out, 2);
	gm_cbor_put_tstr(out, name.p, name.n);
	gm_cbor_put_uint(out, roles);
}

static void put_get_creds(struct gm_out *out, const struct gm_join_request *r)
{
	gm_cbor_put_int(out, GM_LABEL_GET_CREDS);
	if (r->get_creds == GM_CREDS_NEEDED) {
		gm_cbor_put_null(out);
		return;
	}
	gm_cbor_put_array(out, 3);
	gm_cbor_put_bool(out, true);
	gm_cbor_put_array(out, r->role_filter_n);
	for (unsigned i = 0; i < r->role_filter_n; i++)
		gm_cbor_put_uint(out, r->role_filter[i]);
	gm_cbor_put_array(out, 0);
}

void gm_join_request_encode(struct gm_out *out, const struct gm_join_request *r)
{
	gm_cbor_put_map(out,
	                2u + (r->get_creds != GM_CREDS_NO) + r->has_cred + r->has_verify + (r->control_uri.p != NULL));
	gm_pair_bytes(out, GM_LABEL_SCOPE, r->scope);
	if (r->get_creds != GM_CREDS_NO)
		put_get_creds(out, r);
	if (r->has_cred)
		gm_pair_bytes(out, GM_LABEL_CLIENT_CRED, r->cred);
	gm_pair_bytes(out, GM_LABEL_CNONCE, r->cnonce);
	if (r->has_verify)
		gm_pair_bytes(out, GM_LABEL_CLIENT_CRED_VERIFY, r->verify);
	if (r->control_uri.p) {
		gm_cbor_put_int(out, GM_LABEL_CONTROL_URI);
		gm_cbor_put_tstr(out, r->control_uri.p, r->control_uri.n);
	}
}

void gm_pop_input(struct gm_out *out, struct gm_bytes a, struct gm_bytes b, struct gm_bytes c)
{
	gm_cbor_put_bstr(out, a.p, a.n);
	gm_cbor_put_bstr(out, b.p, b.n);
	if (c.p)
		gm_cbor_put_bstr(out, c.p, c.n);
}

void gm_pop_mac(uint8_t mac[static GM_POP_MAC], struct gm_bytes secret, struct gm_bytes pop_input)
{
	gm_hkdf_sha256(mac, GM_POP_MAC, NULL, 0, secret.p, secret.n, pop_input.p, pop_input.n);
}

void gm_join_info_encode(struct gm_out *out, struct gm_bytes name, const struct gm_group_params *p,
                         struct gm_bytes kdc_cred, struct gm_bytes challenge)
{
	bool pairwise_only = p->pairwise_mode && !p->group_mode;

	gm_cbor_put_map(out, (unsigned)p->group_mode + p->pairwise_mode + pairwise_only + (challenge.p != NULL));
	if (p->group_mode) {
		gm_cbor_put_int(out, GM_LABEL_SIGN_INFO);
		gm_cbor_put_array(out, 1);
		gm_sign_info_entry(out, &name, 1, p);
	}
	if (challenge.p)
		gm_pair_bytes(out, GM_LABEL_KDCCHALLENGE, challenge);
	if (p->pairwise_mode) {
		gm_cbor_put_int(out, GM_LABEL_ECDH_INFO);
		gm_cbor_put_array(out, 1);
		gm_ecdh_info_entry(out, &name, 1, p);
	}
	if (pairwise_only) {
		gm_cbor_put_int(out, GM_LABEL_KDC_DH_CREDS);
		gm_cbor_put_array(out, 1);
		gm_kdc_dh_creds_entry(out, &name, 1, p, kdc_cred);
	}
}

static const struct gm_field info_fields[] = {
    {GM_LABEL_SIGN_INFO, GM_FIELD_ARRAY, offsetof(struct gm_join_info, sign_info)},
    {GM_LABEL_KDCCHALLENGE, GM_FIELD_BSTR, offsetof(struct gm_join_info, challenge)},
    {GM_LABEL_ECDH_INFO, GM_FIELD_ARRAY, offsetof(struct gm_join_info, ecdh_info)},
    {GM_LABEL_KDC_DH_CREDS, GM_FIELD_ARRAY, offsetof(struct gm_join_info, kdc_dh_creds)},
};

enum gm_err gm_join_info_decode(struct gm_bytes payload, struct gm_join_info *info)
{
	struct gm_join_info i = {0};

	*info = i;
	GM_TRY(gm_fields_decode(payload, info_fields, GM_FIELDS_N(info_fields), &i));
	*info = i;
	return GM_E_OK;
}

/* ---- keying material */

static void put_params(struct gm_out *out, int label, int32_t kty, int32_t crv)
{
	gm_cbor_put_int(out, label);
	gm_cbor_put_array(out, 2);
	put_capabilities(out, kty, crv);
}

static void put_signing(struct gm_out *out, const struct gm_group_params *p)
{
	gm_pair_int(out, GM_KEY_GP_ENC_ALG, p->gp_enc_alg);
	gm_pair_int(out, GM_KEY_SIGN_ALG, p->sign_alg);
	put_params(out, GM_KEY_SIGN_PARAMS, p->sign_kty, p->sign_crv);
}

/* Group_OSCORE_Input_Material in full                                                    KG §6.3 */
static void put_key(struct gm_out *out, const struct gm_keying *k)
{
	const struct gm_group_params *p = k->params;

	gm_cbor_put_int(out, GM_LABEL_KEY);
	gm_cbor_put_map(out, 5u + (k->sid.p != NULL) + (p->group_mode ? 3u : 0u) + (p->pairwise_mode ? 3u : 0u));
	gm_pair_bytes(out, GM_KEY_MS, k->ms);
	gm_pair_int(out, GM_KEY_HKDF, p->hkdf);
	if (p->pairwise_mode)
		gm_pair_int(out, GM_KEY_ALG, p->alg);
	gm_pair_bytes(out, GM_KEY_SALT, k->salt);
	gm_pair_bytes(out, GM_KEY_CONTEXT_ID, k->gid);
	if (k->sid.p)
		gm_pair_bytes(out, GM_KEY_GROUP_SENDERID, k->sid);
	gm_pair_int(out, GM_KEY_CRED_FMT, p->cred_fmt);
	if (p->group_mode)
		put_signing(out, p);
	if (p->pairwise_mode) {
		gm_pair_int(out, GM_KEY_ECDH_ALG, p->ecdh_alg);
		put_params(out, GM_KEY_ECDH_PARAMS, p->ecdh_kty, p->ecdh_crv);
	}
}

/* The key object for verifiers: no secret, no ecdh_params                               KG §9.6 */
static void put_verifier_key(struct gm_out *out, const struct gm_keying *k)
{
	const struct gm_group_params *p = k->params;

	gm_cbor_put_int(out, GM_LABEL_KEY);
	gm_cbor_put_map(out, 6u + (p->pairwise_mode ? 2u : 0u));
	gm_pair_int(out, GM_KEY_HKDF, p->hkdf);
	if (p->pairwise_mode)
		gm_pair_int(out, GM_KEY_ALG, p->alg);
	gm_pair_bytes(out, GM_KEY_CONTEXT_ID, k->gid);
	gm_pair_int(out, GM_KEY_CRED_FMT, p->cred_fmt);
	put_signing(out, p);
	if (p->pairwise_mode)
		gm_pair_int(out, GM_KEY_ECDH_ALG, p->ecdh_alg);
}

/* The key object of a rekeying message */
static void put_fresh_key(struct gm_out *out, const struct gm_keying *k)
{
	gm_cbor_put_int(out, GM_LABEL_KEY);
	gm_cbor_put_map(out, 3);
	gm_pair_bytes(out, GM_KEY_MS, k->ms);
	gm_pair_bytes(out, GM_KEY_SALT, k->salt);
	gm_pair_bytes(out, GM_KEY_CONTEXT_ID, k->gid);
}

#define KEYING_PAIRS 6u
#define CREDS_PAIRS 3u /* 13 creds, 14 peer_roles, 15 peer_identifiers */

/* The six pairs that every keying map starts with */
static void put_keying(struct gm_out *out, const struct gm_keying *k,
                       void (*key)(struct gm_out *out, const struct gm_keying *k))
{
	gm_pair_int(out, GM_LABEL_GKTY, GM_GKTY_GROUP_OSCORE);
	key(out, k);
	gm_cbor_put_int(out, GM_LABEL_NUM);
	gm_cbor_put_uint(out, k->num);
	gm_pair_int(out, GM_LABEL_PROFILE, GM_PROFILE_GROUP_OSCORE_APP);
	gm_pair_int(out, GM_LABEL_EXP, k->exp);
	gm_cbor_put_int(out, GM_LABEL_EXI);
	gm_cbor_put_uint(out, k->exi);
}

void gm_policies_put_pair(struct gm_out *out, const struct gm_policies *p)
{
	gm_cbor_put_int(out, GM_LABEL_GROUP_POLICIES);
	gm_cbor_put_map(out, (unsigned)(p->check_interval >= 0) + (p->expiration_delta >= 0));
	if (p->check_interval >= 0)
		gm_pair_int(out, GM_POLICY_CHECK_INTERVAL, p->check_interval);
	if (p->expiration_delta >= 0)
		gm_pair_int(out, GM_POLICY_EXPIRATION_DELTA, p->expiration_delta);
}

void gm_join_response_encode(struct gm_out *out, const struct gm_join_response *r)
{
	gm_cbor_put_map(out, KEYING_PAIRS + (r->has_creds ? CREDS_PAIRS : 0u) + 4u);
	put_keying(out, &r->keying, put_key);
	if (r->has_creds)
		put_raw(out, r->creds);
	gm_policies_put_pair(out, &(struct gm_policies){r->check_interval, r->expiration_delta});
	gm_pair_bytes(out, GM_LABEL_KDC_CRED, r->kdc_cred);
	gm_pair_bytes(out, GM_LABEL_KDC_NONCE, r->kdc_nonce);
	gm_pair_bytes(out, GM_LABEL_KDC_CRED_VERIFY, r->kdc_verify);
}

static void put_stale(struct gm_out *out, struct gm_bytes stale)
{
	gm_cbor_put_int(out, GM_LABEL_STALE_NODE_IDS);
	put_raw(out, stale);
}

void gm_keying_encode(struct gm_out *out, const struct gm_keying *keying, struct gm_bytes stale,
                      struct gm_bytes joiners)
{
	gm_cbor_put_map(out, KEYING_PAIRS + (joiners.p ? CREDS_PAIRS : 0u) + (stale.p != NULL));
	put_keying(out, keying, put_key);
	put_raw(out, joiners);
	if (stale.p)
		put_stale(out, stale);
}

void gm_rekey_encode(struct gm_out *out, const struct gm_keying *keying, struct gm_bytes stale, struct gm_bytes joiners)
{
	static const uint8_t empty_array = 0x80;

	gm_cbor_put_map(out, KEYING_PAIRS + (joiners.p ? CREDS_PAIRS : 0u) + 1u);
	put_keying(out, keying, put_fresh_key);
	put_raw(out, joiners);
	put_stale(out, stale.p ? stale : (struct gm_bytes){&empty_array, 1});
}

void gm_group_end_encode(struct gm_out *out)
{
	gm_cbor_put_map(out, 3);
	gm_pair_int(out, GM_LABEL_GKTY, 1);
	gm_cbor_put_uint(out, GM_LABEL_KEY);
	gm_cbor_put_map(out, 0);
	gm_pair_int(out, GM_LABEL_PROFILE, 1);
}

/* The key object of a changed configuration: algorithms and formats, no secret, no Gid                     GA §6.6.2 */
static void put_configuration(struct gm_out *out, const struct gm_group_params *p)
{
	gm_cbor_put_int(out, GM_LABEL_KEY);
	gm_cbor_put_map(out, 2u + (p->group_mode ? 3u : 0u) + (p->pairwise_mode ? 3u : 0u));
	gm_pair_int(out, GM_KEY_HKDF, p->hkdf);
	if (p->pairwise_mode)
		gm_pair_int(out, GM_KEY_ALG, p->alg);
	gm_pair_int(out, GM_KEY_CRED_FMT, p->cred_fmt);
	if (p->group_mode)
		put_signing(out, p);
	if (p->pairwise_mode) {
		gm_pair_int(out, GM_KEY_ECDH_ALG, p->ecdh_alg);
		put_params(out, GM_KEY_ECDH_PARAMS, p->ecdh_kty, p->ecdh_crv);
	}
}

void gm_configuration_encode(struct gm_out *out, const struct gm_keying *k)
{
	gm_cbor_put_map(out, 5);
	gm_pair_int(out, GM_LABEL_GKTY, GM_GKTY_GROUP_OSCORE);
	put_configuration(out, k->params);
	gm_cbor_put_int(out, GM_LABEL_NUM);
	gm_cbor_put_uint(out, k->num);
	gm_pair_int(out, GM_LABEL_PROFILE, GM_PROFILE_GROUP_OSCORE_APP);
	gm_pair_int(out, GM_LABEL_EXP, k->exp);
}

void gm_verif_data_encode(struct gm_out *out, const struct gm_keying *k, struct gm_bytes sign_enc_key)
{
	gm_cbor_put_map(out, KEYING_PAIRS + 1u);
	put_keying(out, k, put_verifier_key);
	gm_pair_bytes(out, GM_LABEL_SIGN_ENC_KEY, sign_enc_key);
}

enum gm_err gm_group_sekey(const struct gm_keying *k, uint8_t sekey[static GM_SEKEY_MAX], size_t *n)
{
	const struct gm_group_params *p = k->params;
	uint8_t info[64];
	struct gm_out o = gm_out(info, sizeof(info));

	const struct gm_aead_info *enc = gm_group_enc_info(p->gp_enc_alg);

	*n = 0;
	if (!p->group_mode || !enc)
		return GM_E_RANGE;
	size_t len = enc->key_len;
	gm_cbor_put_array(&o, 5);
	gm_cbor_put_bstr(&o, NULL, 0);
	gm_cbor_put_bstr(&o, k->gid.p, k->gid.n);
	gm_cbor_put_int(&o, p->gp_enc_alg);
	gm_cbor_put_text(&o, "SEKey");
	gm_cbor_put_uint(&o, len);
	if (o.err != GM_E_OK ||
	    !gm_hkdf(p->hkdf, sekey, len, k->salt.p, k->salt.n, k->ms.p, k->ms.n, info, gm_out_len(&o)))
		return GM_E_RANGE;
	*n = len;
	return GM_E_OK;
}

void gm_problem_encode(struct gm_out *out, int id, const char *text)
{
	gm_cbor_put_map(out, 1u + is_text(text));
	gm_cbor_put_int(out, PROBLEM_GROUPCOMM_ERROR);
	gm_cbor_put_map(out, 1);
	gm_pair_int(out, PROBLEM_ERROR_ID, id);
	if (is_text(text))
		gm_pair_text(out, PROBLEM_DETAIL, text);
}

/* ---- keying maps on the receiving side */

struct keying_fields {
	struct gm_keying_map map;
	struct gm_bytes key, sid;
};

static const struct gm_field keying_fields[] = {
    {GM_LABEL_GKTY, GM_FIELD_UINT, offsetof(struct keying_fields, map.gkty)},
    {GM_LABEL_KEY, GM_FIELD_MAP, offsetof(struct keying_fields, key)},
    {GM_LABEL_NUM, GM_FIELD_UINT, offsetof(struct keying_fields, map.num)},
    {GM_LABEL_PROFILE, GM_FIELD_UINT, offsetof(struct keying_fields, map.profile)},
    {GM_LABEL_EXP, GM_FIELD_UINT, offsetof(struct keying_fields, map.exp)},
    {GM_LABEL_EXI, GM_FIELD_UINT, offsetof(struct keying_fields, map.exi)},
    {GM_LABEL_CREDS, GM_FIELD_ARRAY, offsetof(struct keying_fields, map.creds)},
    {GM_LABEL_PEER_ROLES, GM_FIELD_ARRAY, offsetof(struct keying_fields, map.peer_roles)},
    {GM_LABEL_PEER_IDENTIFIERS, GM_FIELD_ARRAY, offsetof(struct keying_fields, map.peer_ids)},
    {GM_LABEL_GROUP_POLICIES, GM_FIELD_MAP, offsetof(struct keying_fields, map.policies)},
    {GM_LABEL_KDC_CRED, GM_FIELD_BSTR, offsetof(struct keying_fields, map.kdc_cred)},
    {GM_LABEL_KDC_NONCE, GM_FIELD_BSTR, offsetof(struct keying_fields, map.kdc_nonce)},
    {GM_LABEL_KDC_CRED_VERIFY, GM_FIELD_BSTR, offsetof(struct keying_fields, map.kdc_verify)},
    {GM_LABEL_GROUP_SENDERID, GM_FIELD_BSTR, offsetof(struct keying_fields, sid)},
    {GM_LABEL_SIGN_ENC_KEY, GM_FIELD_BSTR, offsetof(struct keying_fields, map.sign_enc_key)},
    {GM_LABEL_STALE_NODE_IDS, GM_FIELD_ARRAY, offsetof(struct keying_fields, map.stale)},
};

struct key_fields {
	struct gm_bytes ms, salt, gid, sid, sign_params, ecdh_params;
	struct gm_group_params params;
};

static const struct gm_field key_fields[] = {
    {GM_KEY_MS, GM_FIELD_BSTR, offsetof(struct key_fields, ms)},
    {GM_KEY_HKDF, GM_FIELD_INT32, offsetof(struct key_fields, params.hkdf)},
    {GM_KEY_ALG, GM_FIELD_INT32, offsetof(struct key_fields, params.alg)},
    {GM_KEY_SALT, GM_FIELD_BSTR, offsetof(struct key_fields, salt)},
    {GM_KEY_CONTEXT_ID, GM_FIELD_BSTR, offsetof(struct key_fields, gid)},
    {GM_KEY_GROUP_SENDERID, GM_FIELD_BSTR, offsetof(struct key_fields, sid)},
    {GM_KEY_CRED_FMT, GM_FIELD_INT32, offsetof(struct key_fields, params.cred_fmt)},
    {GM_KEY_GP_ENC_ALG, GM_FIELD_INT32, offsetof(struct key_fields, params.gp_enc_alg)},
    {GM_KEY_SIGN_ALG, GM_FIELD_INT32, offsetof(struct key_fields, params.sign_alg)},
    {GM_KEY_SIGN_PARAMS, GM_FIELD_ARRAY, offsetof(struct key_fields, sign_params)},
    {GM_KEY_ECDH_ALG, GM_FIELD_INT32, offsetof(struct key_fields, params.ecdh_alg)},
    {GM_KEY_ECDH_PARAMS, GM_FIELD_ARRAY, offsetof(struct key_fields, ecdh_params)},
};

static int32_t read_small(struct gm_in *in)
{
	int64_t v = gm_cbor_int(in);
	if (v < INT32_MIN || v > INT32_MAX)
		gm_in_fail(in, GM_E_RANGE);
	return in->err == GM_E_OK ? (int32_t)v : 0;
}

/* [[kty], [kty, crv]]; absent stays 0 */
static enum gm_err read_params(struct gm_bytes item, int32_t *kty, int32_t *crv)
{
	if (!item.p)
		return GM_E_OK;
	struct gm_in in = gm_in_bytes(item);

	bool ok = gm_cbor_array(&in) == 2 && gm_cbor_array(&in) == 1; /* NOLINT(misc-redundant-expression): each reads on */
	*kty = read_small(&in);
	ok = ok && gm_cbor_array(&in) == 2 && read_small(&in) == *kty;
	*crv = read_small(&in);
	GM_TRY(gm_cbor_end(&in));
	return ok ? GM_E_OK : GM_E_MALFORMED;
}

static enum gm_err read_key(struct gm_bytes item, struct gm_keying_map *map)
{
	struct key_fields k = {0};
	struct gm_in in = gm_in_bytes(item);
	struct gm_group_params *p = &k.params;

	gm_fields_read(&in, key_fields, GM_FIELDS_N(key_fields), &k);
	GM_TRY(gm_cbor_end(&in));
	GM_TRY(read_params(k.sign_params, &p->sign_kty, &p->sign_crv));
	GM_TRY(read_params(k.ecdh_params, &p->ecdh_kty, &p->ecdh_crv));
	map->ms = k.ms;
	map->salt = k.salt;
	map->gid = k.gid;
	map->sid = k.sid;
	map->has_params = p->cred_fmt != 0;
	p->group_mode = p->sign_alg != 0;
	p->pairwise_mode = p->ecdh_alg != 0;
	if (map->has_params && !p->hkdf)
		p->hkdf = GM_HKDF_SHA_256;
	map->params = *p;
	return GM_E_OK;
}

static enum gm_err read_map(struct gm_bytes payload, struct keying_fields *f)
{
	if (!payload.n)
		return GM_E_SHORT;
	struct gm_in in = gm_in_bytes(payload);

	f->map.num = f->map.exp = f->map.exi = f->map.gkty = f->map.profile = -1;
	gm_fields_read(&in, keying_fields, GM_FIELDS_N(keying_fields), f);
	GM_TRY(gm_cbor_end(&in));
	return f->key.p ? read_key(f->key, &f->map) : GM_E_OK;
}

enum gm_err gm_keying_decode(struct gm_bytes payload, struct gm_keying_map *map)
{
	struct keying_fields f = {0};

	*map = f.map;
	GM_TRY(read_map(payload, &f));
	if (!f.key.p && !f.sid.p)
		return GM_E_MISSING;
	if (f.key.p && (!f.map.gid.p || (!f.map.ms.p && !f.map.sign_enc_key.p)))
		return GM_E_MISSING;
	if (!f.key.p)
		f.map.sid = f.sid;
	*map = f.map;
	return GM_E_OK;
}

enum gm_err gm_configuration_decode(struct gm_bytes payload, struct gm_keying_map *map)
{
	struct keying_fields f = {0};

	*map = f.map;
	GM_TRY(read_map(payload, &f));
	if (!f.key.p || !f.map.has_params || f.map.num < 0 || f.map.exp < 0)
		return GM_E_MISSING;
	if (f.map.gid.p || f.map.ms.p || f.map.salt.p || f.map.sid.p)
		return GM_E_MALFORMED; /* keys are what other messages have */
	*map = f.map;
	return GM_E_OK;
}
