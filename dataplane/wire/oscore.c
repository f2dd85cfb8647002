/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/oscore.h"
#include "wire/cbor.h"

#define ALG_DEFAULT 10 /* AES-CCM-16-64-128                                                       RFC 8613 §3.2 */
#define HKDF_DEFAULT 5 /* HKDF SHA-256 */
#define NONCE_REST 6u  /* of a nonce: size of ID_PIV and the Partial IV */
#define INFO_MAX (GM_OSCORE_ID_MAX + GM_OSCORE_ID_CONTEXT_MAX + 16u)
#define MARKER 0xffu

/* flag byte of the option                                                                 RFC 8613 §6.1 */
#define PIV_LEN 0x07u
#define HAS_KID 0x08u
#define HAS_KID_CONTEXT 0x10u
#define GROUP 0x20u
#define RESERVED 0xc0u

#define OPTION_MAX 255u /* RFC 8613 §2 */

/* ---- derivation                                                                         RFC 8613 §3.2.1 */

unsigned gm_oscore_id_max(int alg)
{
	const struct gm_aead_info *aead = gm_aead_info(alg);

	return aead ? aead->nonce_len - NONCE_REST : 0;
}

/* info: [id, id_context or nil, alg_aead, type, L] */
static size_t put_info(uint8_t buf[static INFO_MAX], size_t n, const char *type, struct gm_bytes id,
                       const struct gm_oscore_input *input)
{
	struct gm_out info = gm_out(buf, INFO_MAX);

	gm_cbor_put_array(&info, 5);
	gm_cbor_put_bstr(&info, id.p, id.n);
	if (input->id_context.p)
		gm_cbor_put_bstr(&info, input->id_context.p, input->id_context.n);
	else
		gm_cbor_put_null(&info);
	gm_cbor_put_uint(&info, (uint64_t)input->alg);
	gm_cbor_put_text(&info, type);
	gm_cbor_put_uint(&info, n);
	return gm_out_len(&info);
}

static void expand(uint8_t *key, size_t n, const char *type, struct gm_bytes id, const struct gm_oscore_input *input,
                   const uint8_t prk[static GM_SHA512])
{
	uint8_t info[INFO_MAX];
	size_t info_n = put_info(info, n, type, id, input);

	gm_hkdf_expand(input->hkdf, key, n, prk, info, info_n);
}

static struct gm_oscore_id id_of(struct gm_bytes b)
{
	struct gm_oscore_id id = {.n = (uint8_t)b.n};
	if (b.n)
		memcpy(id.b, b.p, b.n);
	return id;
}

/* Fills defaults in. NULL: not usable. */
static const struct gm_aead_info *judge(struct gm_oscore_input *in)
{
	in->alg = in->alg ? in->alg : ALG_DEFAULT;
	in->hkdf = in->hkdf ? in->hkdf : HKDF_DEFAULT;
	const struct gm_aead_info *aead = gm_aead_info(in->alg);
	bool good = aead && in->sid.n <= gm_oscore_id_max(in->alg) && in->rid.n <= gm_oscore_id_max(in->alg) &&
	            in->id_context.n <= GM_OSCORE_ID_CONTEXT_MAX && !gm_bytes_eq(in->sid, in->rid);
	return good ? aead : NULL;
}

enum gm_err gm_oscore_derive(struct gm_oscore_keys *keys, const struct gm_oscore_input *input)
{
	struct gm_oscore_input in = *input;
	const struct gm_aead_info *aead = judge(&in);
	uint8_t prk[GM_SHA512];

	if (!aead || !gm_hkdf_extract(in.hkdf, prk, in.salt.p, in.salt.n, in.ms.p, in.ms.n))
		return GM_E_RANGE;

	*keys = (struct gm_oscore_keys){.alg = (uint8_t)in.alg, .sid = id_of(in.sid), .rid = id_of(in.rid)};
	expand(keys->send_key, aead->key_len, "Key", in.sid, &in, prk);
	expand(keys->recv_key, aead->key_len, "Key", in.rid, &in, prk);
	expand(keys->common_iv, aead->nonce_len, "IV", (struct gm_bytes){0}, &in, prk);
	gm_wipe(prk, sizeof(prk));
	return GM_E_OK;
}

struct infos { /* of one context's three expansions */
	uint8_t send[INFO_MAX], recv[INFO_MAX], iv[INFO_MAX];
};

static void put_job(struct gm_hkdf_job *job, struct gm_oscore_keys *keys, const struct gm_oscore_input *in,
                    const struct gm_aead_info *aead, struct infos *infos)
{
	const size_t key_n = aead->key_len, iv_n = aead->nonce_len;

	*keys = (struct gm_oscore_keys){.alg = (uint8_t)in->alg, .sid = id_of(in->sid), .rid = id_of(in->rid)};
	*job = (struct gm_hkdf_job){
	    .salt = in->salt.p,
	    .ikm = in->ms.p,
	    .salt_len = in->salt.n,
	    .ikm_len = in->ms.n,
	    .out = {{keys->send_key, infos->send, key_n, put_info(infos->send, key_n, "Key", in->sid, in)},
	            {keys->recv_key, infos->recv, key_n, put_info(infos->recv, key_n, "Key", in->rid, in)},
	            {keys->common_iv, infos->iv, iv_n, put_info(infos->iv, iv_n, "IV", (struct gm_bytes){0}, in)}}};
}

uint64_t gm_oscore_derive_many(struct gm_oscore_keys *const *keys, const struct gm_oscore_input *inputs, unsigned n)
{
	struct gm_hkdf_job jobs[GM_BATCH_MAX];
	struct infos infos[GM_BATCH_MAX];
	uint8_t whose[GM_BATCH_MAX]; /* each job is */
	unsigned jobs_n = 0;
	uint64_t good = 0, made;

	for (unsigned i = 0; i < n; i++) {
		struct gm_oscore_input in = inputs[i];
		const struct gm_aead_info *aead = judge(&in);
		if (aead && in.hkdf == HKDF_DEFAULT) {
			put_job(&jobs[jobs_n], keys[i], &in, aead, &infos[jobs_n]);
			whose[jobs_n++] = (uint8_t)i;
		} else if (gm_oscore_derive(keys[i], &inputs[i]) == GM_E_OK) {
			good |= UINT64_C(1) << i;
		}
	}
	made = jobs_n ? gm_hkdf_contexts(jobs, jobs_n) : 0;
	for (unsigned j = 0; j < jobs_n; j++)
		good |= (made >> j & 1) << whose[j];
	return good;
}

void gm_oscore_ace_salt(struct gm_out *out, struct gm_bytes salt, bool empty_salt_item, struct gm_bytes n1,
                        struct gm_bytes n2)
{
	if (salt.p || empty_salt_item)
		gm_cbor_put_bstr(out, salt.p, salt.n);
	gm_cbor_put_bstr(out, n1.p, n1.n);
	gm_cbor_put_bstr(out, n2.p, n2.n);
}

/* ---- option */

/* 1 to 5 bytes without leading zeros, but for the number zero itself */
static bool piv_valid(const uint8_t *piv, size_t n)
{
	return n <= GM_OSCORE_PIV_MAX && (n < 2 || piv[0] != 0);
}

enum gm_err gm_oscore_option_decode(struct gm_bytes value, struct gm_oscore_option *option)
{
	struct gm_in in = gm_in_bytes(value);
	*option = (struct gm_oscore_option){0};
	if (value.n == 0)
		return GM_E_OK;

	uint8_t flags = gm_in_u8(&in);
	struct gm_bytes piv = gm_in_take(&in, flags & PIV_LEN);
	if (flags & HAS_KID_CONTEXT)
		option->kid_context = gm_in_take(&in, gm_in_u8(&in));
	if (flags & HAS_KID)
		option->kid = gm_in_take(&in, gm_in_left(&in));
	if (in.err != GM_E_OK || gm_in_left(&in) || (flags & RESERVED) || !piv_valid(piv.p, piv.n))
		return GM_E_OSCORE_OPTION;

	option->has_kid = flags & HAS_KID;
	option->has_kid_context = flags & HAS_KID_CONTEXT;
	option->group = flags & GROUP;
	option->piv_n = (uint8_t)piv.n;
	if (piv.n)
		memcpy(option->piv, piv.p, piv.n);
	return GM_E_OK;
}

void gm_oscore_option_encode(struct gm_out *out, const struct gm_oscore_option *option)
{
	uint8_t flags = (uint8_t)(option->piv_n | (option->has_kid ? HAS_KID : 0) |
	                          (option->has_kid_context ? HAS_KID_CONTEXT : 0) | (option->group ? GROUP : 0));
	if (flags == 0)
		return; /* an empty value */
	if (option->kid_context.n > GM_OSCORE_ID_CONTEXT_MAX && out->err == GM_E_OK)
		out->err = GM_E_RANGE;
	gm_out_u8(out, flags);
	gm_out_bytes(out, option->piv, option->piv_n);
	if (option->has_kid_context) {
		gm_out_u8(out, (uint8_t)option->kid_context.n);
		gm_out_bytes(out, option->kid_context.p, option->kid_context.n);
	}
	if (option->has_kid)
		gm_out_bytes(out, option->kid.p, option->kid.n);
}

/* ---- Partial IV, nonce, AAD */

uint8_t gm_oscore_piv(uint8_t piv[static GM_OSCORE_PIV_MAX], uint64_t seq)
{
	uint8_t n = 1;
	while (n < GM_OSCORE_PIV_MAX && seq >> (8 * n))
		n++;
	for (unsigned i = 0; i < n; i++)
		piv[i] = (uint8_t)(seq >> (8 * (n - 1 - i)));
	return n;
}

uint64_t gm_oscore_piv_seq(const uint8_t *piv, uint8_t n)
{
	uint64_t seq = 0;
	for (unsigned i = 0; i < n; i++)
		seq = seq << 8 | piv[i];
	return seq;
}

/* size of ID_PIV, ID_PIV padded to nonce_len - 6 bytes, Partial IV padded to 5 bytes; all of it XOR the Common IV */
void gm_oscore_nonce(uint8_t nonce[static GM_AEAD_NONCE_MAX], unsigned nonce_len,
                     const uint8_t common_iv[static GM_AEAD_NONCE_MAX], const struct gm_oscore_id *id_piv,
                     const uint8_t *piv, uint8_t piv_n)
{
	memcpy(nonce, common_iv, nonce_len);
	nonce[0] ^= id_piv->n;
	for (unsigned i = 0; i < id_piv->n; i++)
		nonce[nonce_len - GM_OSCORE_PIV_MAX - id_piv->n + i] ^= id_piv->b[i];
	for (unsigned i = 0; i < piv_n; i++)
		nonce[nonce_len - piv_n + i] ^= piv[i];
}

static uint8_t *append(uint8_t *to, const void *p, size_t n)
{
	memcpy(to, p, n);
	return to + n;
}

/* Written as bytes, since every message needs one and every length in it stays below 24. */
size_t gm_oscore_aad(uint8_t aad[static GM_OSCORE_AAD_MAX], uint8_t alg, const struct gm_oscore_id *request_kid,
                     const uint8_t *request_piv, uint8_t request_piv_n)
{
	static const uint8_t structure[] = {0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40};
	const uint8_t external[] = {0x85, 0x01, 0x81, 0x18, alg}, bstr = 0x40;
	const unsigned alg_n = alg < 24 ? 1 : 2, external_n = 3 + alg_n;

	uint8_t *p = append(aad, structure, sizeof(structure));
	*p++ = (uint8_t)(bstr | (external_n + 1u + request_kid->n + 1u + request_piv_n + 1u));
	p = append(p, external, 3);
	p = append(p, external + 5 - alg_n, alg_n);
	*p++ = bstr | request_kid->n;
	p = append(p, request_kid->b, request_kid->n);
	*p++ = bstr | request_piv_n;
	p = append(p, request_piv, request_piv_n);
	*p++ = bstr;
	return (size_t)(p - aad);
}

/* ---- replay window */

#define WINDOW 64u

bool gm_oscore_window_fresh(const struct gm_oscore_window *w, uint64_t seq)
{
	if (w->seen == 0 || seq > w->top)
		return true;
	uint64_t back = w->top - seq;
	return back < WINDOW && !(w->seen >> back & 1);
}

void gm_oscore_window_accept(struct gm_oscore_window *w, uint64_t seq)
{
	if (w->seen == 0 || seq > w->top) {
		uint64_t forward = seq - w->top;
		w->seen = w->seen && forward < WINDOW ? w->seen << forward | 1 : 1;
		w->top = seq;
	} else if (w->top - seq < WINDOW) {
		w->seen |= UINT64_C(1) << (w->top - seq);
	}
}

/* ---- messages */

/* The job but for its key; the nonce is made of id and piv. */
static void lay_out(struct gm_aead_job *job, const struct gm_oscore_keys *keys, const struct gm_aead_info *aead,
                    const struct gm_oscore_request *request, const struct gm_oscore_id *id, const uint8_t *piv,
                    uint8_t piv_n, struct gm_oscore_scratch *scratch)
{
	gm_oscore_nonce(scratch->nonce, aead->nonce_len, keys->common_iv, id, piv, piv_n);
	*job = (struct gm_aead_job){
	    .alg = keys->alg,
	    .nonce = scratch->nonce,
	    .aad = scratch->aad,
	    .aad_len = gm_oscore_aad(scratch->aad, keys->alg, &request->kid, request->piv, request->piv_n),
	};
}

static void put_outer(struct gm_out *pkt, const struct gm_oscore_outer *outer)
{
	uint8_t buf[OPTION_MAX];
	struct gm_out value = gm_out(buf, sizeof(buf));
	uint16_t last = 0;

	gm_oscore_option_encode(&value, &outer->option);
	if (value.err != GM_E_OK && pkt->err == GM_E_OK)
		pkt->err = value.err;
	gm_coap_put_head(pkt, outer->type, outer->code, outer->mid, outer->token, outer->token_len);
	if (outer->has_observe)
		gm_coap_put_option_uint(pkt, &last, GM_OPT_OBSERVE, outer->observe);
	gm_coap_put_option(pkt, &last, GM_OPT_OSCORE, buf, gm_out_len(&value));
	gm_out_u8(pkt, MARKER);
}

enum gm_err gm_oscore_wrap(const struct gm_oscore_keys *keys, const struct gm_oscore_outer *outer,
                           const struct gm_oscore_request *request, const struct gm_oscore_id *nonce_id,
                           const uint8_t *nonce_piv, uint8_t nonce_piv_n, struct gm_bytes plain, struct gm_out *pkt,
                           struct gm_oscore_scratch *scratch, struct gm_aead_job *job)
{
	const struct gm_aead_info *aead = gm_aead_info(keys->alg);

	put_outer(pkt, outer);
	uint8_t *text = gm_out_take(pkt, plain.n);
	gm_out_take(pkt, aead->tag_len);
	if (pkt->err != GM_E_OK)
		return pkt->err;
	if (plain.n)
		memcpy(text, plain.p, plain.n);

	lay_out(job, keys, aead, request, nonce_id, nonce_piv, nonce_piv_n, scratch);
	job->key = keys->send_key;
	job->text = text;
	job->text_len = plain.n;
	return GM_E_OK;
}

enum gm_err gm_oscore_unwrap(const struct gm_oscore_keys *keys, struct gm_bytes ciphertext,
                             const struct gm_oscore_option *option, const struct gm_oscore_request *request,
                             bool is_request, uint8_t *text, size_t cap, struct gm_oscore_scratch *scratch,
                             struct gm_aead_job *job)
{
	const struct gm_aead_info *aead = gm_aead_info(keys->alg);

	if (is_request && (option->piv_n == 0 || !option->has_kid))
		return GM_E_OSCORE_OPTION;
	if (ciphertext.n <= aead->tag_len) /* the code at least is under the tag */
		return GM_E_DECRYPT;
	if (ciphertext.n > cap)
		return GM_E_ROOM;
	memcpy(text, ciphertext.p, ciphertext.n);

	/* a Partial IV in the message is the peer's own; without one the nonce is the request's      RFC 8613 §5.2 */
	if (option->piv_n)
		lay_out(job, keys, aead, request, &keys->rid, option->piv, option->piv_n, scratch);
	else
		lay_out(job, keys, aead, request, &request->kid, request->piv, request->piv_n, scratch);
	job->key = keys->recv_key;
	job->text = text;
	job->text_len = ciphertext.n - aead->tag_len;
	return GM_E_OK;
}
