/* SPDX-License-Identifier: Apache-2.0 */
/* POST /authz-info: the token's protection is checked here, its claims are judged by core, the context is made here again.
 * RFC 9200 §5.10.1, RFC 9203 §4 */
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "work/worker.h"

#define HKDF_SHA_256 5
#define HKDF_SHA_512 7
#define OWN_ID 4u /* bytes of our Recipient IDs: a gm_ctx_id */
#define HEAD_MAX 16u /* CoAP head, token, Content-Format, marker at most */

/* ---- duplicates of unprotected requests, RFC 7252 §4.5 */

#define REPEAT_WAYS 16u /* places where one may stand */

static bool is_repeat(const struct worker *w, const struct repeat *r, const struct xch *x)
{
	return (r->xid || r->answer || r->waits) && r->mid == x->mid && r->token_len == x->token_len && r->datagram_n == x->datagram_n &&
	       memcmp(r->token, x->token, x->token_len) == 0 && gm_addr_eq(&r->peer, &x->peer) &&
	       w->now_ms - r->at_ms < EXCHANGE_LIFETIME_MS;
}

/* Its place, else one to be taken: that of the oldest that core does not have any more. NULL: core has them all. */
static struct repeat *repeat_of(struct worker *w, const struct xch *x)
{
	uint8_t key[20];
	struct repeat *place = NULL;

	memcpy(key, x->peer.ip, 16);
	memcpy(key + 16, &x->peer.port, 2);
	memcpy(key + 18, &x->mid, 2);
	uint32_t h = gm_worker_hash(w, key, sizeof key);
	for (unsigned i = 0; i < REPEAT_WAYS; i++) {
		struct repeat *r = &w->repeats[(h + i) % REPEATS];
		if (is_repeat(w, r, x))
			return r;
		if (!gm_xch_at(w, r->xid) && (!place || r->at_ms < place->at_ms))
			place = r;
	}
	return place;
}

static void answer_again(struct worker *w, const struct repeat *r, const struct xch *x)
{
	struct gm_dgram *d = r->answer ? gm_box_add(w, &x->peer, &x->local) : NULL;

	COUNT(w, rx_repeat);
	if (!d) /* or core has it still, or will have it: that will be answered when it is decided */
		return;
	memcpy(d->data, r->answer->bytes, r->answer->n);
	d->len = (uint16_t)r->answer->n;
}

/* What it was answered, or the exchange in which it will be. r: its place */
static void remember_at(const struct worker *w, struct repeat *r, const struct xch *x, struct blob *answer, uint32_t xid)
{
	gm_blob_drop(&r->answer);
	*r = (struct repeat){.peer = x->peer, .mid = x->mid, .xid = xid, .at_ms = w->now_ms, .answer = answer};
	r->datagram_n = x->datagram_n;
	r->token_len = x->token_len;
	memcpy(r->token, x->token, sizeof r->token);
}

static void remember(struct worker *w, const struct xch *x, struct blob *answer)
{
	struct repeat *r = repeat_of(w, x);

	if (r)
		remember_at(w, r, x, answer, 0);
	else
		gm_blob_drop(&answer);
}

/* ---- answers */

static const struct as *first_as(const struct worker *w)
{
	for (size_t i = 0; i < sizeof w->as / sizeof *w->as; i++)
		if (w->as[i].used)
			return &w->as[i];
	return NULL;
}

void gm_token_hints(struct worker *w, const struct xch *x)
{
	uint8_t body[352], nonce[GM_CNONCE];
	struct gm_out out = gm_out(body, sizeof body);
	const struct as *as = first_as(w);

	if (as && as->cnonce)
		gm_cnonce_make(nonce, as->cnonce_key, w->wall_s);
	if (as)
		gm_hints_encode(&out, as->uri, as->aud, (struct gm_bytes){as->cnonce ? nonce : NULL, sizeof nonce});
	if (!x->shown && gm_out_len(&out) + HEAD_MAX > AMPLIFY * x->datagram_n) {
		out = gm_out(body, sizeof body);
		as = NULL;
	}
	struct plain a = {.code = GM_COAP(4, 1), .format = as ? GM_CF_ACE : GM_CF_NONE, .payload = gm_out_result(&out)};
	gm_answer_plain(w, x, &a, NULL);
}

static void refuse(struct worker *w, const struct xch *x, enum gm_err err)
{
	uint8_t body[128];
	struct gm_out out = gm_out(body, sizeof body);
	struct plain a = {.code = gm_err_info(err)->coap, .format = GM_CF_NONE};
	struct blob *kept = NULL;

	COUNT(w, token_bad);
	COUNT(w, tokens[err]);
	if (a.code == GM_COAP(5, 3))
		a.max_age = gm_worker_later(w);
	if (a.code == GM_COAP(4, 0)) {
		gm_token_error_encode(&out, gm_oauth_error(err), gm_err_info(err)->text);
		a.format = GM_CF_ACE;
		a.payload = gm_out_result(&out);
	}
	gm_answer_plain(w, x, &a, &kept);
	if (kept)
		remember(w, x, kept);
}

/* ---- the request */

struct posted { /* a token and what came with it */
	struct gm_token_request request;
	bool reference; /* it says nothing to us: an authorization server has to be asked; then nothing below is set */
	uint32_t as_id; /* whose key protects it */
	struct gm_cwt cwt;
	uint8_t hash[GM_TOKEN_HASH];
	size_t n; /* bytes of w->big, to be wiped */
};

static enum gm_err opened_by(const struct as *as, const struct gm_cose *msg, struct posted *p)
{
	p->as_id = as->id;
	return !as->strict || gm_cose_strict(p->request.token, msg, &as->key) ? GM_E_OK : GM_E_TOKEN_FORM;
}

/* under: of this one the verdict is known already, NULL: of none. */
static enum gm_err open_token(struct worker *w, struct posted *p, const struct as *under, bool good)
{
	struct gm_cose msg;

	GM_TRY(gm_cose_decode(p->request.token, &msg));
	if (under && good && msg.payload.n <= sizeof w->big) {
		memcpy(w->big, msg.payload.p, p->n = msg.payload.n);
		return opened_by(under, &msg, p);
	}
	for (uint32_t i = 0; i < sizeof w->as / sizeof *w->as; i++) {
		const struct as *as = &w->as[i];
		if (!as->used || as == under || !gm_cose_key_fits(&msg, &as->key))
			continue;
		if (gm_cose_open(&msg, &as->key, w->big, sizeof w->big, &p->n) == GM_E_OK)
			return opened_by(as, &msg, p);
	}
	return GM_E_TOKEN_KEY;
}

/* What is no COSE object at all, where somebody can be asked about it. A COSE object under no known key is refused here: it
 * is forged or of a stranger. Bytes that we do not read and another reader takes for a CWT may be a variation of one whose
 * hash is on a list; the server that is asked answers for just the bytes that it is shown. */
static bool is_reference(const struct worker *w, const struct gm_token_request *request)
{
	struct gm_cose msg;
	bool asked = false;

	for (size_t i = 0; i < sizeof w->as / sizeof *w->as; i++)
		asked |= w->as[i].used && w->as[i].introspect;
	return asked && request->token.n && request->token.n <= GM_REFERENCE_MAX &&
	       gm_cose_decode(request->token, &msg) != GM_E_OK;
}

/* Any AEAD that both IDs fit: not those of 7-byte nonces (12, 13, 32, 33), which leave one byte for an ID, while ours names
 * one of up to 16 million contexts. */
static bool algorithms_fit(const struct gm_osc *osc, size_t id1_n)
{
	unsigned id_max = gm_oscore_id_max(osc->alg);

	return (osc->hkdf == HKDF_SHA_256 || osc->hkdf == HKDF_SHA_512) && OWN_ID <= id_max && id1_n <= id_max;
}

/* Profile parameters that this server needs and knows: RFC 9203 §3.2.1, §4.1. Those of the request: */
static bool request_fits(const struct gm_token_request *request)
{
	return request->nonce1.n && request->nonce1.n <= GM_NONCE_MAX && request->id1.p && request->id1.n <= GM_OSCORE_ID_MAX;
}

static bool profile_fits(const struct gm_token_request *request, const struct gm_cwt *cwt)
{
	return cwt->has_osc && request_fits(request) && algorithms_fit(&cwt->osc, request->id1.n) && cwt->osc.version == 1 &&
	       cwt->osc.id.n <= 32;
}

static struct gm_slice put(struct blob *b, size_t *at, struct gm_bytes from)
{
	struct gm_slice s = {.off = (uint32_t)*at, .n = (uint32_t)from.n};

	if (!from.p)
		return (struct gm_slice){0};
	if (from.n)
		memcpy(b->bytes + *at, from.p, from.n);
	*at += from.n;
	return s;
}

/* All that the answer and the context are made of, while core decides and after. Of a reference claims is empty. */
static struct blob *keep(uint32_t as_id, struct gm_bytes claims, const struct gm_token_request *request, const struct gm_cwt *cwt,
                         const uint8_t hash[static GM_TOKEN_HASH])
{
	size_t at = sizeof(struct pending);
	struct blob *b = gm_blob_new(at + claims.n + request->nonce1.n + request->id1.n + cwt->cti.n + cwt->scope.n + cwt->osc.id.n);

	if (!b)
		return NULL;
	struct pending p = {.as_id = as_id, .exp = cwt->exp, .exi = cwt->exi};
	memcpy(p.hash, hash, sizeof p.hash);
	p.claims = put(b, &at, claims);
	p.nonce1 = put(b, &at, request->nonce1);
	p.id1 = put(b, &at, request->id1);
	p.cti = put(b, &at, cwt->cti);
	p.scope = put(b, &at, cwt->scope);
	p.osc_id = put(b, &at, cwt->osc.id);
	memcpy(b->bytes, &p, sizeof p);
	return b;
}

static struct gm_slice append(struct gm_rec *rec, struct gm_bytes b)
{
	return b.p ? gm_rec_append(rec, b.p, b.n) : (struct gm_slice){0};
}

/* Of several audiences core is told ours, if it is one of them. */
static void put_claims(struct worker *w, struct gm_ev_token *ev, const struct posted *p, struct gm_bytes osc_id)
{
	const struct gm_token_request *request = &p->request;
	const struct gm_cwt *cwt = &p->cwt;
	const char *own = gm_as_at(w, p->as_id)->aud;
	struct gm_bytes audience = gm_cwt_audience(cwt, (struct gm_bytes){(const uint8_t *)own, strlen(own)});

	ev->as_id = p->as_id;
	memcpy(ev->hash, p->hash, sizeof ev->hash);
	ev->exp = cwt->exp;
	ev->nbf = cwt->nbf;
	ev->exi = cwt->exi;
	ev->iss = append(&ev->rec, cwt->iss);
	ev->aud = append(&ev->rec, audience);
	ev->cti = append(&ev->rec, cwt->cti);
	ev->scope = append(&ev->rec, cwt->scope);
	ev->cnonce = append(&ev->rec, cwt->cnonce);
	ev->osc_id = append(&ev->rec, osc_id);
	ev->sign_info = request->sign_info;
	ev->ecdh_info = request->ecdh_info;
	ev->kdc_dh_creds = request->kdc_dh_creds;
}

static void put_reference(struct gm_ev_token *ev, const struct posted *p)
{
	const struct gm_token_request *request = &p->request;

	memcpy(ev->hash, p->hash, sizeof ev->hash);
	ev->exp = ev->nbf = ev->exi = -1;
	ev->reference = append(&ev->rec, request->token);
	ev->sign_info = request->sign_info;
	ev->ecdh_info = request->ecdh_info;
	ev->kdc_dh_creds = request->kdc_dh_creds;
}

static bool hand_up(struct worker *w, uint32_t xid, const struct xch *x, const struct posted *p)
{
	const struct gm_cwt *cwt = &p->cwt;
	size_t more = cwt->iss.n + cwt->aud.n + cwt->cti.n + cwt->scope.n + cwt->cnonce.n + cwt->osc.id.n + 64;
	struct gm_ev_token *ev = gm_worker_event(w, GM_EV_TOKEN, sizeof *ev, p->reference ? GM_REFERENCE_MAX : more);

	if (!ev)
		return false;
	ev->xid = xid;
	ev->peer = x->peer;
	if (p->reference) {
		put_reference(ev, p);
	} else {
		ev->bad = profile_fits(&p->request, cwt) ? GM_E_OK : GM_E_TOKEN_PROFILE;
		put_claims(w, ev, p, cwt->osc.id);
	}
	gm_worker_event_done(w, &ev->rec);
	return true;
}

/* From payload to claims, in w->big. */
static enum gm_err read_token(struct worker *w, int32_t format, struct gm_bytes payload, struct posted *p,
                              const struct as *under, bool good)
{
	*p = (struct posted){0};
	if (format != GM_CF_NONE && format != GM_CF_ACE)
		return GM_E_BAD_FORMAT;
	GM_TRY(gm_token_request_decode(payload, &p->request));
	p->reference = is_reference(w, &p->request);
	if (!p->reference)
		GM_TRY(open_token(w, p, under, good));
	gm_token_hash(p->hash, p->request.token);
	if (p->reference)
		return GM_E_OK;
	return gm_cwt_decode((struct gm_bytes){w->big, p->n}, &p->cwt);
}

struct gm_slice gm_token_update(struct worker *w, struct gm_rec *rec, const struct gm_coap *msg)
{
	struct gm_slice s = {.off = (rec->len + 7) & ~7u};
	struct gm_ev_token *ev = (void *)((uint8_t *)rec + s.off);
	struct posted p;

	*ev = (struct gm_ev_token){.rec.len = sizeof *ev};
	ev->bad = (uint8_t)read_token(w, msg->content_format, msg->payload, &p, NULL, false);
	if (ev->bad == GM_E_OK && p.reference)
		put_reference(ev, &p);
	else if (ev->bad == GM_E_OK)
		put_claims(w, ev, &p, p.cwt.cnf_kid); /* nonce1 and the rest are ignored */
	gm_wipe(w->big, p.n);
	s.n = ev->rec.len;
	rec->len = s.off + s.n;
	return s;
}

static enum gm_err begin(struct worker *w, struct repeat *place, const struct xch *x, const struct posted *p)
{
	struct xch own = *x;

	own.reference = p->reference;
	own.blob = keep(p->as_id, (struct gm_bytes){p->reference ? NULL : w->big, p->n}, &p->request, &p->cwt, p->hash);
	uint32_t xid = own.blob ? gm_xch_put(w, &own) : 0;
	if (!xid) {
		gm_blob_drop(&own.blob);
		return GM_E_BUSY;
	}
	w->strangers.references += own.reference;
	if (!hand_up(w, xid, x, p)) {
		gm_xch_done(w, xid);
		return GM_E_BUSY;
	}
	remember_at(w, place, x, NULL, xid);
	return GM_E_OK;
}

/* under, good: as open_token's */
static void check(struct worker *w, const struct xch *x, int32_t format, struct gm_bytes payload, const struct as *under,
                  bool good)
{
	struct repeat *r = repeat_of(w, x);
	struct posted p;

	if (r && r->waits && under)
		*r = (struct repeat){.at_ms = 0};
	if (r && is_repeat(w, r, x)) {
		answer_again(w, r, x);
		return;
	}
	enum gm_err err = r ? read_token(w, format, payload, &p, under, good) : GM_E_BUSY;
	if (err == GM_E_OK && p.reference && !request_fits(&p.request))
		err = GM_E_TOKEN_PARSE;
	if (err == GM_E_OK && p.reference && !gm_stranger_may_ask(w, x))
		return;
	if (err == GM_E_OK)
		err = begin(w, r, x, &p);
	if (r)
		gm_wipe(w->big, p.n);
	if (err != GM_E_OK)
		refuse(w, x, err);
}

/* The place in worker.as of a key that may have signed it with Ed25519; t->signed_ is what it signs. */
static bool find_signer(struct worker *w, const struct gm_cose *msg, struct posted_token *t)
{
	uint8_t *text = gm_texts_take(w, TEXT_MAX);
	size_t n;

	for (t->as = 0; text && t->as < sizeof w->as / sizeof *w->as; t->as++) {
		if (!w->as[t->as].used || !gm_cose_signed(msg, &w->as[t->as].key, text, TEXT_MAX, &n))
			continue;
		gm_texts_trim(w, text, n);
		t->signed_ = (struct gm_bytes){text, n};
		return true;
	}
	return false;
}

/* Signed with Ed25519, it seems: that is verified together with what else this turn brings. The datagram goes before, so
 * what is needed of it is copied. A second copy in this turn finds it at its place among the repeats. */
static bool wait_for_signature(struct worker *w, const struct gm_coap *msg, const struct xch *x, struct repeat *place)
{
	struct posted_token *t = &w->token[w->tokens_n];
	size_t texts_n = w->texts_n;
	struct gm_bytes all = msg->payload;
	struct gm_token_request request;
	struct gm_cose cose;

	if (gm_token_request_decode(all, &request) != GM_E_OK || gm_cose_decode(request.token, &cose) != GM_E_OK ||
	    cose.kind != GM_COSE_SIGN1)
		return false;
	uint8_t *copy = gm_texts_take(w, all.n);
	if (!copy || !find_signer(w, &cose, t)) {
		w->texts_n = texts_n;
		return false;
	}
	memcpy(copy, all.p, all.n);
	t->x = *x;
	t->payload = (struct gm_bytes){copy, all.n};
	t->sig = (struct gm_bytes){copy + (cose.tag.p - all.p), cose.tag.n};
	t->format = msg->content_format;
	w->tokens_n++;
	if (place) {
		remember_at(w, place, x, NULL, 0);
		place->waits = true;
	}
	return true;
}

/* Not remembered: a repeat is asked again, and told the same while its time has not come. */
static void refuse_for_now(struct worker *w, const struct xch *x, uint32_t seconds)
{
	struct plain a = {.code = GM_COAP(5, 3), .format = GM_CF_NONE, .max_age = seconds};

	gm_answer_plain(w, x, &a, NULL);
}

void gm_token_check(struct worker *w, const struct gm_coap *msg, const struct xch *x)
{
	struct repeat *r = repeat_of(w, x);
	const bool again = r && is_repeat(w, r, x);

	if (!again && !gm_stranger_may_post(w, msg, x))
		return;
	const uint32_t later = again ? 0 : gm_worker_admit(w, WORK_TOKEN, &x->peer, sizeof x->peer);
	if (later == ADMIT_SILENT)
		return;
	if (later)
		refuse_for_now(w, x, later);
	else if (again || !wait_for_signature(w, msg, x, r))
		check(w, x, msg->content_format, msg->payload, NULL, false);
}

void gm_token_verified(struct worker *w, const struct posted_token *t, bool good)
{
	check(w, &t->x, t->format, t->payload, gm_there(&w->as[t->as]), good);
}

/* ---- core has said yes */

static struct gm_bytes part(const struct pending *p, struct gm_slice s)
{
	return gm_rec_bytes(p, s);
}

/* Takes a place for the context. false: there is none, or the server is not trusted any more. */
static bool begin_context(struct worker *w, const struct xch *x, struct making *m)
{
	const struct pending *p = (const struct pending *)x->blob->bytes;
	const struct as *as = gm_as_at(w, p->as_id);
	struct gm_bytes id1 = part(p, p->id1);
	struct gm_oscore_id sid = {.n = (uint8_t)id1.n};
	struct gm_out out = gm_out(m->salt, sizeof m->salt);
	struct gm_cwt cwt;

	memcpy(sid.b, gm_there(id1.p), id1.n);
	if (!as || gm_cwt_decode(part(p, p->claims), &cwt) != GM_E_OK)
		return false;
	gm_oscore_ace_salt(&out, cwt.osc.salt, as->empty_salt_item, part(p, p->nonce1),
	                   (struct gm_bytes){m->e->nonce2, sizeof m->e->nonce2});
	if (out.err || !gm_ctx_make(w, &sid, &m->ctx))
		return false;
	for (unsigned i = 0; i < OWN_ID; i++)
		m->rid[i] = (uint8_t)(m->ctx >> (24 - 8 * i));
	m->input = (struct gm_oscore_input){
		.ms = cwt.osc.ms,
		.salt = gm_out_result(&out),
		.id_context = cwt.osc.context_id,
		.sid = id1,
		.rid = {m->rid, sizeof m->rid},
		.alg = cwt.osc.alg,
		.hkdf = cwt.osc.hkdf,
	};
	return true;
}

/* The answer of an authorization server takes the place of a CWT's claims. */
static enum gm_err take_claims(struct xch *x, const struct gm_eff_token *e)
{
	const struct pending *p = (const struct pending *)x->blob->bytes;
	struct gm_token_request request = {.nonce1 = part(p, p->nonce1), .id1 = part(p, p->id1)};
	struct gm_bytes claims = gm_rec_bytes(e, e->claims);
	struct gm_cwt cwt;

	GM_TRY(gm_cwt_decode(claims, &cwt));
	if (!profile_fits(&request, &cwt))
		return GM_E_TOKEN_PROFILE;
	struct blob *b = keep(e->as_id, claims, &request, &cwt, p->hash); /* of the bytes that were posted */
	if (!b)
		return GM_E_NO_MEMORY;
	gm_blob_drop(&x->blob);
	x->blob = b;
	return GM_E_OK;
}

/* The first of infos that fit into so many bytes: they are a SHOULD. */
static void trim_infos(struct gm_token_response *response, size_t room)
{
	struct gm_in in = gm_in_bytes(response->infos);
	size_t fits = 0;
	unsigned n = 0;

	for (; n < response->infos_n; n++) {
		gm_cbor_skip(&in);
		gm_cbor_skip(&in);
		size_t upto = response->infos.n - gm_in_left(&in);
		if (in.err != GM_E_OK || upto > room)
			break;
		fits = upto;
	}
	response->infos.n = fits;
	response->infos_n = n;
}

/* In one datagram, and within what this request may cause. */
static struct gm_bytes encode_response(struct worker *w, const struct xch *x, struct gm_token_response *response)
{
	struct gm_token_response bare = *response;
	struct gm_out out = gm_out(w->plain, sizeof w->plain);
	bool whole = x->shown || AMPLIFY * (size_t)x->datagram_n >= sizeof w->plain;
	size_t room = whole ? sizeof w->plain : AMPLIFY * (size_t)x->datagram_n;

	bare.infos = (struct gm_bytes){0};
	bare.infos_n = 0;
	gm_token_response_encode(&out, &bare);
	size_t around = gm_out_len(&out) + HEAD_MAX;
	trim_infos(response, room > around ? room - around : 0);
	out = gm_out(w->plain, sizeof w->plain);
	gm_token_response_encode(&out, response);
	return gm_out_result(&out);
}

static void accepted(struct worker *w, const struct xch *x, const struct making *m, struct ctx *c)
{
	struct pending *p = (struct pending *)x->blob->bytes;
	const struct gm_eff_token *e = m->e;

	c->peer = x->peer;
	c->local = x->local;
	memcpy(c->n_s, e->n_s, sizeof c->n_s);
	p->exp = e->exp;
	p->post = e->post;
	gm_ctx_extra(w, c)->pending = gm_blob_ref(x->blob);
	gm_ctx_pend(w, c, m->ctx, PENDING_MS);
	struct gm_token_response response = {
		.nonce2 = {e->nonce2, sizeof e->nonce2},
		.id2 = {c->keys.rid.b, c->keys.rid.n},
		.infos = gm_rec_bytes(e, e->infos),
		.infos_n = e->infos_n,
	};
	if (e->challenge)
		response.challenge = (struct gm_bytes){e->n_s, sizeof e->n_s};
	struct plain a = {.code = GM_COAP(2, 1), .format = GM_CF_ACE, .payload = encode_response(w, x, &response)};
	struct blob *kept = NULL;
	gm_answer_plain(w, x, &a, &kept);
	if (kept)
		remember(w, x, kept);
	COUNT(w, token_ok);
	COUNT(w, tokens[GM_E_OK]);
}

/* Up to 64 contexts, derived in one call. */
void gm_token_make(struct worker *w)
{
	struct gm_oscore_keys *keys[BURST];
	struct gm_oscore_input inputs[BURST];
	unsigned n = w->makings_n;

	for (unsigned i = 0; i < n; i++) {
		keys[i] = &gm_ctx_at(w, w->making[i].ctx)->keys;
		inputs[i] = w->making[i].input;
	}
	uint64_t good = n ? gm_oscore_derive_many(keys, inputs, n) : 0;
	if (n)
		gm_work_hist(w->stats.hist_derive, n);
	for (unsigned i = 0; i < n; i++) {
		struct making *m = &w->making[i];
		const struct xch *x = gm_xch_at(w, m->xid);
		if (x && good >> i & 1 && gm_ctx_need_extra(w, gm_ctx_at(w, m->ctx))) {
			accepted(w, x, m, gm_ctx_at(w, m->ctx));
		} else {
			gm_ctx_wipe(w, m->ctx);
			if (x)
				refuse(w, x, GM_E_FULL);
		}
		gm_xch_done(w, m->xid);
		gm_wipe(m, sizeof *m);
	}
	w->makings_n = 0;
	w->texts_n = 0;
}

/* e goes with its ring's place, and is needed until the context is there. */
static bool copy_effect(struct worker *w, struct making *m, const struct gm_eff_token *e)
{
	uint8_t *copy = gm_texts_take(w, e->rec.len);

	if (copy)
		memcpy(copy, e, e->rec.len);
	if (copy && e->claims.n) /* are in the exchange's blob by now, and secret */
		gm_wipe(copy + e->claims.off, e->claims.n);
	m->e = (const struct gm_eff_token *)copy;
	return copy;
}

static enum gm_err make(struct worker *w, const struct xch *x, const struct gm_eff_token *e)
{
	struct making *m = &w->making[w->makings_n];

	m->xid = e->xid;
	if (!copy_effect(w, m, e) || !begin_context(w, x, m))
		return GM_E_FULL;
	w->makings_n++;
	return GM_E_OK;
}

void gm_token_effect(struct worker *w, const struct gm_eff_token *e)
{
	struct xch *x = gm_xch_at(w, e->xid);

	if (!x || !x->blob)
		return;
	enum gm_err err = (enum gm_err)e->err;
	if (err == GM_E_OK && e->claims.n)
		err = take_claims(x, e);
	if (w->makings_n == BURST || TEXTS - w->texts_n < e->rec.len + 64)
		gm_token_make(w);
	if (err == GM_E_OK)
		err = make(w, x, e);
	if (err == GM_E_OK)
		return;
	refuse(w, x, err);
	gm_xch_done(w, e->xid);
}
