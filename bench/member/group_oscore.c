/* SPDX-License-Identifier: Apache-2.0 */
#include "group_oscore.h"

#include <stdlib.h>

#include "wire/cbor.h"

#define AAD_MAX (2u * GM_CRED_MAX + 256u)
#define TEXT_MAX 1400u
#define KEY_MAX 32u

static struct gm_bytes id_bytes(const struct gm_oscore_id *id)
{
	return (struct gm_bytes){id->b, id->n};
}

/* ---- derivation: info = [id, id_context, alg, type, L]                       RFC 8613 §3.2.1 */

static bool derive_from(const struct gm_group_oscore *ctx, struct gm_bytes salt, struct gm_bytes ikm, uint8_t *key,
                        struct gm_bytes id, int32_t alg, const char *type, size_t n)
{
	uint8_t bytes[64];
	struct gm_out info = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_array(&info, 5);
	gm_cbor_put_bstr(&info, id.p, id.n);
	gm_cbor_put_bstr(&info, ctx->gid, ctx->gid_n);
	gm_cbor_put_int(&info, alg);
	gm_cbor_put_text(&info, type);
	gm_cbor_put_uint(&info, n);
	return gm_hkdf(ctx->params.hkdf, key, n, salt.p, salt.n, ikm.p, ikm.n, bytes, gm_out_len(&info));
}

static bool derive(uint8_t *key, const struct gm_group_oscore *ctx, struct gm_bytes id, int32_t alg, const char *type,
                   size_t n)
{
	return derive_from(ctx, (struct gm_bytes){ctx->salt, ctx->salt_n}, (struct gm_bytes){ctx->ms, ctx->ms_n}, key, id,
	                   alg, type, n);
}

static int32_t main_alg(const struct gm_group_oscore *ctx)
{
	return ctx->params.gp_enc_alg ? ctx->params.gp_enc_alg : ctx->params.alg;
}

static size_t key_len(int32_t alg)
{
	return gm_group_enc_info(alg)->key_len;
}

enum gm_err gm_group_oscore_init(struct gm_group_oscore *ctx, const struct gm_group_params *params, struct gm_bytes ms,
                                 struct gm_bytes salt, struct gm_bytes gid, struct gm_bytes gm_cred)
{
	*ctx = (struct gm_group_oscore){.params = *params, .gm_cred = gm_cred};
	const struct gm_aead_info *a = gm_aead_info(params->alg), *g = gm_group_enc_info(params->gp_enc_alg);
	if (gid.n > sizeof(ctx->gid) || ms.n > sizeof(ctx->ms) || salt.n > sizeof(ctx->salt) || (!a && !g) ||
	    (!a && params->alg) || (!g && params->gp_enc_alg))
		return GM_E_RANGE;
	ctx->gid_n = (uint8_t)gid.n;
	ctx->ms_n = (uint8_t)ms.n;
	ctx->salt_n = (uint8_t)salt.n;
	memcpy(ctx->gid, gid.p, gid.n);
	memcpy(ctx->ms, ms.p, ms.n);
	if (salt.n)
		memcpy(ctx->salt, salt.p, salt.n);
	uint8_t iv_n = a && (!g || a->nonce_len > g->nonce_len) ? a->nonce_len : g->nonce_len;
	bool good = derive(ctx->common_iv, ctx, (struct gm_bytes){0}, main_alg(ctx), "IV", iv_n) &&
	            (!g || derive(ctx->signature_encryption_key, ctx, (struct gm_bytes){0}, params->gp_enc_alg, "SEKey",
	                          g->key_len));
	return good ? GM_E_OK : GM_E_RANGE;
}

void gm_group_sender_key(uint8_t *key, const struct gm_group_oscore *ctx, const struct gm_oscore_id *sid)
{
	(void)derive(key, ctx, id_bytes(sid), main_alg(ctx), "Key", key_len(main_alg(ctx))); /* init tried this hash */
}

/* One certificate, or an array of them.                                           RFC 9360 §2, C509 §3.4 */
static struct gm_bytes end_certificate(struct gm_bytes cred, bool chain)
{
	struct gm_in in = gm_in_bytes(cred);
	uint64_t n = gm_cbor_peek(&in) == GM_CBOR_ARRAY ? gm_cbor_array(&in) : 1;
	struct gm_bytes first = gm_cbor_bstr(&in);
	return in.err == GM_E_OK && (n == 1 || chain) ? first : (struct gm_bytes){0};
}

struct gm_bytes gm_group_cred(struct gm_bytes cred, int32_t cred_fmt)
{
	bool chain = cred_fmt == GM_CRED_FMT_X5CHAIN || cred_fmt == GM_CRED_FMT_C5C;
	if (chain || cred_fmt == GM_CRED_FMT_X5BAG || cred_fmt == GM_CRED_FMT_C5B)
		return end_certificate(cred, chain);
	return gm_cred_untagged(cred, cred_fmt);
}

/* C509 in containers is a sequence; as a credential it is the array of its eleven parts. GO §2.4 */
static bool needs_head(const struct gm_group_oscore *ctx)
{
	return ctx->params.cred_fmt == GM_CRED_FMT_C5C || ctx->params.cred_fmt == GM_CRED_FMT_C5B;
}

static void put_cred(struct gm_out *out, const struct gm_group_oscore *ctx, struct gm_bytes cred)
{
	struct gm_bytes part = gm_group_cred(cred, ctx->params.cred_fmt);
	if (needs_head(ctx))
		gm_cbor_put_array(out, 11);
	gm_out_bytes(out, part.p, part.n);
}

static void put_cred_bstr(struct gm_out *out, const struct gm_group_oscore *ctx, struct gm_bytes cred)
{
	gm_cbor_put_bstr_head(out, gm_group_cred(cred, ctx->params.cred_fmt).n + needs_head(ctx));
	put_cred(out, ctx, cred);
}

/* HKDF(Sender Key, from's cred || to's cred || DH, [from, Gid, alg, "Key", L]), whichever of both computes it.
 *                                                                                        GO §2.5.1 */
enum gm_err gm_group_pairwise_key(uint8_t *key, const struct gm_group_oscore *ctx, const struct gm_group_endpoint *from,
                                  const struct gm_group_endpoint *to)
{
	const struct gm_group_endpoint *own = from->key ? from : to, *other = from->key ? to : from;
	const struct gm_group_params *p = &ctx->params;
	uint8_t sender_key[KEY_MAX], secret[GM_EC_SIDE_MAX], bytes[AAD_MAX];
	struct gm_out ikm = gm_out(bytes, sizeof(bytes));
	if (!p->alg || !p->ecdh_alg || !own->key)
		return GM_E_RANGE;
	put_cred(&ikm, ctx, from->cred);
	put_cred(&ikm, ctx, to->cred);
	bool good = gm_shared_secret(secret, own->key, other->pub) == GM_E_OK;
	if (good) {
		gm_out_bytes(&ikm, secret, own->key->pub.n);
		gm_group_sender_key(sender_key, ctx, &from->sid);
		good = ikm.err == GM_E_OK &&
		       derive_from(ctx, (struct gm_bytes){sender_key, key_len(main_alg(ctx))}, gm_out_result(&ikm), key,
		                   id_bytes(&from->sid), p->alg, "Key", key_len(p->alg));
	}
	gm_wipe(sender_key, sizeof(sender_key));
	gm_wipe(secret, sizeof(secret));
	gm_wipe(bytes, sizeof(bytes));
	return good ? GM_E_OK : GM_E_RANGE;
}

/* ---- additional data, nonce, countersignature */

static void put_alg(struct gm_out *out, int32_t alg)
{
	if (alg)
		gm_cbor_put_int(out, alg);
	else
		gm_cbor_put_null(out);
}

void gm_group_external_aad(struct gm_out *out, const struct gm_group_oscore *ctx,
                           const struct gm_group_request *request, struct gm_bytes option, struct gm_bytes sender_cred)
{
	gm_cbor_put_array(out, 9);
	gm_cbor_put_uint(out, 1);
	gm_cbor_put_array(out, 4);
	put_alg(out, ctx->params.alg);
	put_alg(out, ctx->params.gp_enc_alg);
	put_alg(out, ctx->params.sign_alg);
	put_alg(out, ctx->params.ecdh_alg);
	gm_cbor_put_bstr(out, request->kid.b, request->kid.n);
	gm_cbor_put_bstr(out, request->piv, request->piv_n);
	gm_cbor_put_bstr(out, NULL, 0);
	gm_cbor_put_bstr(out, request->gid, request->gid_n);
	gm_cbor_put_bstr(out, option.p, option.n);
	put_cred_bstr(out, ctx, sender_cred);
	put_cred_bstr(out, ctx, ctx->gm_cred);
}

static void put_enc_structure(struct gm_out *out, struct gm_bytes external_aad)
{
	gm_cbor_put_array(out, 3);
	gm_cbor_put_text(out, "Encrypt0");
	gm_cbor_put_bstr(out, NULL, 0);
	gm_cbor_put_bstr(out, external_aad.p, external_aad.n);
}

/* Five elements: with sign_protected, as all running code has it.               GO §4 */
static void put_to_be_signed(struct gm_out *out, struct gm_bytes external_aad, struct gm_bytes ciphertext)
{
	gm_cbor_put_array(out, 5);
	gm_cbor_put_text(out, "CounterSignature0");
	gm_cbor_put_bstr(out, NULL, 0);
	gm_cbor_put_bstr(out, NULL, 0);
	gm_cbor_put_bstr(out, external_aad.p, external_aad.n);
	gm_cbor_put_bstr(out, ciphertext.p, ciphertext.n);
}

/* false: an ID that the nonces of alg have no room for                          RFC 8613 §5.2 */
static bool make_nonce(uint8_t *nonce, const struct gm_group_oscore *ctx, int32_t alg, const struct gm_oscore_id *id,
                       const uint8_t *piv, uint8_t piv_n)
{
	uint8_t n = gm_group_enc_info(alg)->nonce_len;
	if (id->n + 1u + GM_OSCORE_PIV_MAX > n)
		return false;
	gm_oscore_nonce(nonce, n, ctx->common_iv, id, piv, piv_n);
	return true;
}

/* KEYSTREAM over the signature: salt is the Partial IV, id whoever drew it.      GO §4 */
static void mask_signature(uint8_t *sig, const struct gm_group_oscore *ctx, const struct gm_oscore_id *id,
                           const uint8_t *piv, uint8_t piv_n, bool is_request)
{
	size_t n = gm_proof_len(&ctx->params);
	uint8_t bytes[64], stream[GM_PROOF_MAX];
	struct gm_out info = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_array(&info, 4);
	gm_cbor_put_bstr(&info, id->b, id->n);
	gm_cbor_put_bstr(&info, ctx->gid, ctx->gid_n);
	gm_cbor_put_bool(&info, is_request);
	gm_cbor_put_uint(&info, n);
	if (!gm_hkdf(ctx->params.hkdf, stream, n, piv, piv_n, ctx->signature_encryption_key,
	             key_len(ctx->params.gp_enc_alg), bytes, gm_out_len(&info)))
		abort(); /* the context was derived by the same hash */
	for (size_t i = 0; i < n; i++)
		sig[i] ^= stream[i];
}

struct gm_group_request gm_group_request_of(const struct gm_oscore_option *option)
{
	struct gm_group_request r = {.piv_n = option->piv_n};
	memcpy(r.piv, option->piv, option->piv_n);
	if (option->kid.n <= sizeof(r.kid.b) && option->kid.n) {
		r.kid.n = (uint8_t)option->kid.n;
		memcpy(r.kid.b, option->kid.p, option->kid.n);
	}
	if (option->kid_context.n <= sizeof(r.gid) && option->kid_context.n) {
		r.gid_n = (uint8_t)option->kid_context.n;
		memcpy(r.gid, option->kid_context.p, option->kid_context.n);
	}
	return r;
}

/* ---- one message: what both directions share */

struct message {
	const struct gm_group_oscore *ctx;
	bool group, is_request;
	int32_t alg;
	uint8_t key[KEY_MAX], nonce[16];
	uint8_t external[AAD_MAX], enc[AAD_MAX + 32];
	size_t external_n, enc_n;
	struct gm_oscore_id piv_id;
	uint8_t piv_n, piv[GM_OSCORE_PIV_MAX];
};

/* Keys, nonce and additional data of a message that sender protects (toward receiver, in pairwise mode). */
static enum gm_err prepare(struct message *m, const struct gm_group_endpoint *sender,
                           const struct gm_group_endpoint *receiver, const struct gm_group_request *request,
                           struct gm_bytes option)
{
	struct gm_out external = gm_out(m->external, sizeof(m->external)), enc = gm_out(m->enc, sizeof(m->enc));
	m->alg = m->group ? m->ctx->params.gp_enc_alg : m->ctx->params.alg;
	if (!m->alg || (m->group && !m->ctx->params.group_mode) || (!m->group && !receiver))
		return GM_E_RANGE;
	if (m->group)
		gm_group_sender_key(m->key, m->ctx, &sender->sid);
	else
		GM_TRY(gm_group_pairwise_key(m->key, m->ctx, sender, receiver));
	if (!make_nonce(m->nonce, m->ctx, m->alg, &m->piv_id, m->piv, m->piv_n))
		return GM_E_RANGE;
	gm_group_external_aad(&external, m->ctx, request, option, sender->cred);
	m->external_n = gm_out_len(&external);
	put_enc_structure(&enc, gm_out_result(&external));
	m->enc_n = gm_out_len(&enc);
	return external.err != GM_E_OK ? external.err : enc.err;
}

static void set_piv(struct message *m, const struct gm_oscore_id *id, const uint8_t *piv, uint8_t piv_n)
{
	m->piv_id = *id;
	m->piv_n = piv_n;
	memcpy(m->piv, piv, piv_n);
}

static enum gm_err append_signature(struct message *m, const struct gm_group_endpoint *own, struct gm_bytes ciphertext,
                                    struct gm_out *pkt)
{
	uint8_t bytes[AAD_MAX + TEXT_MAX];
	struct gm_out tbs = gm_out(bytes, sizeof(bytes));
	uint8_t sig[GM_PROOF_MAX];
	put_to_be_signed(&tbs, (struct gm_bytes){m->external, m->external_n}, ciphertext);
	if (tbs.err != GM_E_OK)
		return GM_E_ROOM;
	if (!own->key || gm_proof_make(&m->ctx->params, own->key, NULL, gm_out_result(&tbs), sig) != GM_E_OK)
		return GM_E_RANGE;
	mask_signature(sig, m->ctx, &m->piv_id, m->piv, m->piv_n, m->is_request);
	gm_out_bytes(pkt, sig, gm_proof_len(&m->ctx->params));
	return pkt->err;
}

static struct gm_oscore_option make_option(const struct gm_group_oscore *ctx, const struct gm_group_endpoint *own,
                                           bool group, bool is_request, const uint8_t *piv, uint8_t piv_n)
{
	struct gm_oscore_option o = {
	    .piv_n = piv_n, .group = group, .has_kid = is_request || group, .has_kid_context = is_request};
	if (piv_n)
		memcpy(o.piv, piv, piv_n);
	if (o.has_kid)
		o.kid = id_bytes(&own->sid);
	if (is_request)
		o.kid_context = (struct gm_bytes){ctx->gid, ctx->gid_n};
	return o;
}

/* In counter mode nothing is authenticated but by the signature.                RFC 9459 §4 */
static bool seal(const struct message *m, uint8_t *text, size_t n)
{
	return gm_ctr_info(m->alg) ? gm_ctr_crypt(m->alg, m->key, m->nonce, text, n)
	                           : gm_aead_seal(m->alg, m->key, m->nonce, m->enc, m->enc_n, text, n);
}

static bool open_text(const struct message *m, uint8_t *text, size_t n)
{
	return gm_ctr_info(m->alg) ? gm_ctr_crypt(m->alg, m->key, m->nonce, text, n)
	                           : gm_aead_open(m->alg, m->key, m->nonce, m->enc, m->enc_n, text, n);
}

static enum gm_err put_message(struct message *m, const struct gm_group_endpoint *own,
                               const struct gm_oscore_outer *outer, struct gm_bytes option, struct gm_bytes plain,
                               struct gm_out *pkt)
{
	uint16_t last = 0;
	uint8_t tag_n = gm_group_enc_info(m->alg)->tag_len;
	gm_coap_put_head(pkt, outer->type, outer->code, outer->mid, outer->token, outer->token_len);
	gm_coap_put_option(pkt, &last, GM_OPT_OSCORE, option.p, option.n);
	gm_out_u8(pkt, 0xff);
	uint8_t *text = gm_out_take(pkt, plain.n + tag_n);
	if (!text)
		return GM_E_ROOM;
	memcpy(text, plain.p, plain.n);
	if (!seal(m, text, plain.n))
		return GM_E_RANGE;
	return m->group ? append_signature(m, own, (struct gm_bytes){text, plain.n + tag_n}, pkt) : GM_E_OK;
}

enum gm_err gm_group_wrap(const struct gm_group_oscore *ctx, const struct gm_group_endpoint *own,
                          const struct gm_group_endpoint *peer, const struct gm_oscore_outer *outer,
                          const struct gm_group_request *request, const uint8_t *piv, uint8_t piv_n,
                          struct gm_bytes plain, struct gm_out *pkt)
{
	struct message m = {.ctx = ctx, .group = peer == NULL, .is_request = request == NULL};
	struct gm_oscore_option option = make_option(ctx, own, m.group, m.is_request, piv, piv_n);
	struct gm_group_request self = gm_group_request_of(&option);
	uint8_t bytes[32];
	struct gm_out value = gm_out(bytes, sizeof(bytes));
	gm_oscore_option_encode(&value, &option);
	if (piv_n)
		set_piv(&m, &own->sid, piv, piv_n);
	else
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only a response has no Partial IV of its own */
		set_piv(&m, &request->kid, request->piv, request->piv_n);
	enum gm_err err = prepare(&m, own, peer, m.is_request ? &self : request, gm_out_result(&value));
	if (err == GM_E_OK)
		err = put_message(&m, own, outer, gm_out_result(&value), plain, pkt);
	gm_wipe(&m, sizeof(m));
	return err;
}

static bool signature_good(struct message *m, const struct gm_group_endpoint *sender, struct gm_bytes payload)
{
	size_t n = gm_proof_len(&m->ctx->params);
	uint8_t bytes[AAD_MAX + TEXT_MAX], sig[GM_PROOF_MAX];
	struct gm_out tbs = gm_out(bytes, sizeof(bytes));
	struct gm_bytes ciphertext = {payload.p, payload.n - n};
	memcpy(sig, payload.p + ciphertext.n, n);
	mask_signature(sig, m->ctx, &m->piv_id, m->piv, m->piv_n, m->is_request);
	put_to_be_signed(&tbs, (struct gm_bytes){m->external, m->external_n}, ciphertext);
	return tbs.err == GM_E_OK && gm_proof_verify(&m->ctx->params, NULL, sender->pub, gm_out_result(&tbs),
	                                             (struct gm_bytes){sig, n});
}

static enum gm_err open_message(struct message *m, const struct gm_group_endpoint *sender, struct gm_bytes payload,
                                uint8_t *text, size_t cap, size_t *text_n)
{
	size_t tag_n = gm_group_enc_info(m->alg)->tag_len, extra = m->group ? gm_proof_len(&m->ctx->params) : 0;
	if (payload.n <= tag_n + extra)
		return GM_E_DECRYPT;
	if (m->group && !signature_good(m, sender, payload)) /* before decryption   GO §4 */
		return GM_E_DECRYPT;
	size_t n = payload.n - extra;
	if (n > cap)
		return GM_E_ROOM;
	memcpy(text, payload.p, n);
	*text_n = n - tag_n;
	return open_text(m, text, *text_n) ? GM_E_OK : GM_E_DECRYPT;
}

enum gm_err gm_group_unwrap(const struct gm_group_oscore *ctx, const struct gm_group_endpoint *own,
                            const struct gm_group_endpoint *sender, const struct gm_oscore_option *option,
                            struct gm_bytes option_bytes, const struct gm_group_request *request,
                            struct gm_bytes payload, uint8_t *text, size_t cap, size_t *text_n)
{
	struct message m = {.ctx = ctx, .group = option->group, .is_request = request == NULL};
	struct gm_group_request self = gm_group_request_of(option);
	struct gm_bytes gid = {ctx->gid, ctx->gid_n};
	*text_n = 0;
	if (m.is_request && (!option->has_kid || !option->piv_n || !option->has_kid_context))
		return GM_E_OSCORE_OPTION;
	if (option->has_kid_context && !gm_bytes_eq(option->kid_context, gid))
		return GM_E_OSCORE_OPTION;
	if (option->piv_n)
		set_piv(&m, &sender->sid, option->piv, option->piv_n);
	else
		set_piv(&m, &request->kid, request->piv, request->piv_n);
	enum gm_err err = prepare(&m, sender, own, m.is_request ? &self : request, option_bytes);
	if (err == GM_E_OK)
		err = open_message(&m, sender, payload, text, cap, text_n);
	gm_wipe(&m, sizeof(m));
	return err;
}
