/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK: datagrams in, checked events out. What a turn brings is parsed, opened 64 at a time, and its signatures are verified
 * in one call at its end; only what passed becomes a request. */
#include <stdio.h>

#include "gm/crypto.h"
#include "wire/resources.h"
#include "work/worker.h"

/* ---- small answers to what is not a request of ours */

static struct xch xch_of(const struct opening *o)
{
	struct xch x = {
		.peer = o->peer,
		.local = o->local,
		.ctx = o->ctx,
		.request = o->request,
		.mid = o->outer.mid,
		.type = o->outer.type,
		.token_len = o->outer.token_len,
		.datagram_n = o->datagram_n,
		.handler = o->handler,
		.came_us = o->came_us,
	};

	memcpy(x.token, o->outer.token, sizeof x.token);
	return x;
}

/* OSCORE's own errors are unprotected, with their text as diagnostic payload. RFC 8613 §8.2 */
static void oscore_error(struct worker *w, const struct opening *o, enum gm_err err)
{
	const struct gm_err_info *info = gm_err_info(err);
	struct xch x = xch_of(o);
	struct plain a = {
		.code = info->coap,
		.format = GM_CF_NONE,
		.max_age_0 = true,
		.payload = {(const uint8_t *)info->text, strlen(info->text)},
	};

	gm_answer_plain(w, &x, &a, NULL);
}

static void plain_error(struct worker *w, const struct opening *o, enum gm_err err)
{
	struct xch x = xch_of(o);
	struct plain a = {.code = gm_err_info(err)->coap, .format = GM_CF_NONE};

	gm_answer_plain(w, &x, &a, NULL);
}

/* ---- to the worker that owns it */

struct hop {
	struct gm_addr peer, local;
	uint32_t n, came_us;
	uint8_t data[];
};

static bool hop(struct worker *w, unsigned owner, const uint8_t *data, size_t n, const struct opening *o)
{
	struct worker *to = w->dp->worker[owner % w->workers];
	struct gm_ring *ring = to->hop_in[w->index];
	struct hop *h = ring ? gm_ring_reserve(ring, sizeof *h + n) : NULL;

	if (!h) {
		COUNT(w, hop_drop);
		return false;
	}
	h->peer = o->peer;
	h->local = o->local;
	h->n = (uint32_t)n;
	h->came_us = o->came_us;
	memcpy(h->data, data, n);
	gm_ring_commit(ring, sizeof *h + n);
	w->hopped[to->index] = true;
	COUNT(w, rx_hop);
	return true;
}

/* ---- ACK, RST, responses */

/* Message IDs towards an authorization server do not name the worker: its address does. */
static void hop_to_link(struct worker *w, const struct opening *o, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < sizeof w->as / sizeof *w->as; i++) {
		const struct as *as = &w->as[i];
		unsigned owner = as->id % w->workers;
		if (as->used && as->linked && gm_addr_eq(&as->link_peer, &o->peer) && owner != w->index)
			hop(w, owner, data, n, o);
	}
}

static void on_empty(struct worker *w, const struct opening *o, const uint8_t *data, size_t n, bool hopped)
{
	const struct gm_coap *m = o->m;
	unsigned owner = m->mid >> MID_WORKER_SHIFT;

	if (m->type == GM_COAP_CON) { /* CoAP ping */
		gm_send_empty(w, &o->peer, &o->local, GM_COAP_RST, m->mid);
		return;
	}
	if (m->type == GM_COAP_NON)
		return;
	uint32_t h = owner == w->index ? gm_out_find(w, &o->peer, m->mid) : 0;
	if (!h && gm_link_empty(w, o))
		return;
	if (!h && !hopped)
		hop_to_link(w, o, data, n);
	if (owner != w->index) {
		if (!hopped && owner < w->workers)
			hop(w, owner, data, n, o);
		return;
	}
	if (!h)
		COUNT(w, no_exchange);
	else if (m->type == GM_COAP_ACK)
		gm_out_acked(w, h);
	else
		gm_out_rst(w, h);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void reject(struct worker *w, const struct opening *o)
{
	if (o->outer.type == GM_COAP_CON || (o->outer.type == GM_COAP_NON && o->outer.token_len == LINK_TOKEN))
		gm_send_empty(w, &o->peer, &o->local, GM_COAP_RST, o->outer.mid); /* ends an observation      RFC 7641 §3.6 */
	COUNT(w, no_exchange);
}

/* Of an authorization server that was asked something: the token names the worker. */
static void on_answer(struct worker *w, struct opening *o, const uint8_t *data, size_t n, bool hopped)
{
	unsigned owner = o->outer.token[0];

	if (owner != w->index && owner < w->workers) {
		if (!hopped)
			hop(w, owner, data, n, o);
	} else if (owner != w->index || !gm_link_response(w, o)) {
		reject(w, o);
	}
}

/* The message of ours that this answers: token, and for a piggybacked response the Message ID. */
static uint32_t answered(struct worker *w, const struct opening *o, const struct ctx *c)
{
	const struct out *out = c && c->out ? gm_out_at(w, c->out) : NULL;

	if (!out || out->delivery != GM_DELIVER_POST || memcmp(out->nonce, o->outer.token + 4, 4) != 0)
		return 0;
	return o->outer.type == GM_COAP_ACK && out->mid != o->outer.mid ? 0 : c->out;
}

uint8_t *gm_texts_take(struct worker *w, size_t n)
{
	uint8_t *p = w->texts + w->texts_n;

	if (n > TEXTS - w->texts_n)
		return NULL;
	w->texts_n += (n + 63) & ~(size_t)63; /* TEXTS is a multiple */
	return p;
}

void gm_texts_trim(struct worker *w, const uint8_t *last, size_t n)
{
	w->texts_n = (size_t)(last - w->texts) + ((n + 63) & ~(size_t)63);
}

static bool prepare_open(struct worker *w, struct opening *o, const struct ctx *c, bool is_request)
{
	unsigned i = w->openings_n - w->openings_at;
	size_t n = o->m->payload.n;

	return n <= TEXT_MAX && (o->text = gm_texts_take(w, n)) &&
	       gm_oscore_unwrap(&c->keys, o->m->payload, &o->option, &o->request, is_request, o->text, n,
	                        &w->open_scratch[i], &w->open_job[i]) == GM_E_OK;
}

static void open_batch(struct worker *w);

static void take(struct worker *w)
{
	w->openings_n++;
	if (w->openings_n - w->openings_at == BURST)
		open_batch(w);
}

static void on_response(struct worker *w, struct opening *o, const uint8_t *data, size_t n, bool hopped)
{
	if (o->outer.token_len == LINK_TOKEN && o->outer.type != GM_COAP_RST) {
		on_answer(w, o, data, n, hopped);
		return;
	}
	if (o->outer.token_len != 8 || o->outer.type == GM_COAP_RST) {
		reject(w, o);
		return;
	}
	o->ctx = be32(o->outer.token);
	unsigned owner = gm_dp_shard_owner(GM_CTX_SHARD(o->ctx), w->workers);
	if (owner != w->index) {
		if (!hopped)
			hop(w, owner, data, n, o);
		return;
	}
	struct ctx *c = gm_ctx_at(w, o->ctx);
	o->out = answered(w, o, c);
	if (!o->out) {
		reject(w, o);
		return;
	}
	const struct out *out = gm_out_at(w, o->out);
	if (!o->m->has_oscore || gm_oscore_option_decode(o->m->oscore, &o->option) != GM_E_OK) {
		/* The member has lost the context, or refuses without it; anybody else says nothing to us. */
		if (gm_addr_eq(&out->peer, &o->peer) && o->outer.type == GM_COAP_ACK)
			gm_out_end(w, o->out, false);
		return;
	}
	o->request.kid = c->keys.sid;
	o->request.piv_n = gm_oscore_piv(o->request.piv, out->seq);
	if (prepare_open(w, o, c, false))
		take(w);
}

static void response_opened(struct worker *w, struct opening *o, struct gm_bytes plain)
{
	struct gm_coap inner;
	struct ctx *c = gm_ctx_at(w, o->ctx);

	if (o->outer.type == GM_COAP_CON)
		gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, o->outer.mid);
	if (!c || c->out != o->out || answered(w, o, c) != o->out)
		return; /* a second copy in the same burst */
	bool good = gm_coap_decode_inner(plain, &inner) == GM_E_OK && inner.code >> 5 == 2;
	if (good && inner.code == GM_COAP(2, 31) && gm_rekey_next_block(w, o->out, &inner))
		return;
	gm_out_end(w, o->out, good && inner.code != GM_COAP(2, 31));
}

/* ---- protected requests: from datagram to opening */

static bool last_again(const struct worker *w, const struct ctx *c, const struct opening *o)
{
	return o->outer.type == GM_COAP_CON && c->has_last && w->now_ms - c->last_ms < EXCHANGE_LIFETIME_MS &&
	       c->last_mid == o->outer.mid && c->last_piv_n == o->option.piv_n &&
	       memcmp(c->last_piv, o->option.piv, c->last_piv_n) == 0 && gm_addr_eq(&c->peer, &o->peer);
}

/* The same bytes that answered it before. */
static void saved_again(struct worker *w, const struct ctx *c, const struct opening *o)
{
	struct gm_dgram *d = gm_box_add(w, &o->peer, &o->local);

	if (!d)
		return;
	memcpy(d->data, c->saved->bytes, c->saved->n);
	d->len = (uint16_t)c->saved->n;
}

/* A number seen before: a repeat of the last CON, or a replay. nothing is encoded again under its nonce.
 * true: open it once more, its answer was a read */
static bool seen_before(struct worker *w, const struct ctx *c, const struct opening *o)
{
	if (!last_again(w, c, o)) {
		COUNT(w, rx_replay);
		if (o->outer.type == GM_COAP_CON)
			oscore_error(w, o, GM_E_REPLAY);
		return false;
	}
	COUNT(w, rx_repeat);
	if (c->xid) { /* core has it still */
		if (gm_xch_at(w, c->xid)->acked)
			gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, o->outer.mid);
		return false;
	}
	if (c->saved) {
		saved_again(w, c, o);
		return false;
	}
	if (c->last_acked) { /* what followed that is sent again till it is acknowledged */
		gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, o->outer.mid);
		return false;
	}
	return true;
}

static void on_protected(struct worker *w, struct opening *o, const uint8_t *data, size_t n, bool hopped)
{
	enum gm_err err = gm_oscore_option_decode(o->m->oscore, &o->option);

	if (err != GM_E_OK || !o->option.has_kid || !o->option.piv_n) {
		oscore_error(w, o, GM_E_OSCORE_OPTION);
		return;
	}
	if (o->option.kid.n != 4 || o->option.group) {
		COUNT(w, rx_stranger);
		oscore_error(w, o, GM_E_NO_CONTEXT);
		return;
	}
	o->ctx = be32(o->option.kid.p);
	unsigned owner = gm_dp_shard_owner(GM_CTX_SHARD(o->ctx), w->workers);
	if (owner != w->index) {
		if (!hopped)
			hop(w, owner, data, n, o);
		return;
	}
	struct ctx *c = gm_ctx_at(w, o->ctx);
	if (!c || c->state == CTX_CLOSING || c->state == CTX_WIPING) {
		COUNT(w, rx_stranger);
		oscore_error(w, o, GM_E_NO_CONTEXT);
		return;
	}
	o->seq = gm_oscore_piv_seq(o->option.piv, o->option.piv_n);
	o->request.kid = c->keys.rid;
	o->request.piv_n = o->option.piv_n;
	memcpy(o->request.piv, o->option.piv, sizeof o->request.piv);
	if (!c->need_echo && !gm_oscore_window_fresh(&c->window, o->seq)) {
		if (!seen_before(w, c, o))
			return;
		o->repeat = true;
	}
	if (!prepare_open(w, o, c, true)) {
		oscore_error(w, o, GM_E_DECRYPT);
		return;
	}
	take(w);
}

/* ---- what a path names */

static const struct {
	const char *name;
	enum gm_res res;
} leaves[] = { /* below /ace-group/G */
	{"creds", GM_RES_CREDS},           {"kdc-cred", GM_RES_KDC_CRED}, {"policies", GM_RES_POLICIES},
	{"num", GM_RES_NUM},               {"active", GM_RES_ACTIVE},     {"verif-data", GM_RES_VERIF_DATA},
	{"stale-sids", GM_RES_STALE_SIDS},
};

static enum gm_res resource(const struct gm_coap *m)
{
	unsigned n = m->path_n;

	if (n > 1 && !m->path[n - 1].n)
		n--; /* a trailing slash */
	if (m->path_more || !n)
		return GM_RES_NONE;
	if (n == 1 && gm_bytes_is(m->path[0], "authz-info"))
		return GM_RES_AUTHZ_INFO;
	if (n <= 2 && gm_bytes_is(m->path[0], "manage"))
		return n == 1 ? GM_RES_MANAGE : GM_RES_MANAGE_GROUP;
	if (!gm_bytes_is(m->path[0], "ace-group"))
		return GM_RES_NONE;
	if (n == 1)
		return GM_RES_GROUPS;
	if (n == 2)
		return GM_RES_GROUP;
	for (unsigned i = 0; n == 3 && i < sizeof leaves / sizeof *leaves; i++)
		if (gm_bytes_is(m->path[2], leaves[i].name))
			return leaves[i].res;
	if (n == 4 && gm_bytes_is(m->path[2], "nodes"))
		return GM_RES_NODE;
	if (n == 5 && gm_bytes_is(m->path[2], "nodes") && gm_bytes_is(m->path[4], "cred"))
		return GM_RES_NODE_CRED;
	return GM_RES_NONE;
}

static uint8_t handler(const struct gm_coap *m, enum gm_res res)
{
	return gm_handler_of(gm_links_is(m) ? GM_RES_LINKS : res, m->code);
}

/* ---- unprotected requests */

static void on_plain(struct worker *w, struct opening *o)
{
	const struct gm_coap *m = o->m;

	o->handler = handler(m, resource(m));
	struct xch x = xch_of(o);
	bool authz = m->path_n == 1 && gm_bytes_is(m->path[0], "authz-info");

	x.shown = gm_stranger_shown(w, &x.peer, m);
	if (m->has_proxy)
		plain_error(w, o, GM_E_PROXY);
	else if (m->unknown_critical)
		plain_error(w, o, GM_E_BAD_OPTION);
	else if (gm_links_is(m))
		gm_links_plain(w, m, &x);
	else if (authz && m->code == GM_COAP_POST && w->parks)
		gm_park_stranger(w, o->parked);
	else if (authz && m->code == GM_COAP_POST)
		gm_token_check(w, m, &x);
	else if (authz)
		plain_error(w, o, GM_E_METHOD);
	else if (m->path_n && (gm_bytes_is(m->path[0], "ace-group") || gm_bytes_is(m->path[0], "manage")))
		gm_token_hints(w, &x);
	else
		plain_error(w, o, GM_E_NOT_FOUND);
}

/* A request whose first option is OSCORE, without a kid context: its kid is the last of the value.       RFC 8613 §6.1 */
static gm_ctx_id named_by_kid(const struct gm_dgram *d)
{
	const unsigned at = 4u + (d->data[0] & 15), n = d->len > at + 1 ? d->data[at] & 15 : 0;

	if (n < 6 || n > 12 || d->data[at] >> 4 != GM_OPT_OSCORE || d->len <= at + 1 + n || (d->data[at + 1] & 0x18) != 0x08)
		return 0;
	return be32(d->data + at + 1 + n - 4);
}

/* The context that a datagram seems to name, a response by its token; 0: none. Nothing is believed of it. */
static gm_ctx_id named(const struct gm_dgram *d)
{
	if (d->len < 12 || d->data[0] >> 6 != 1)
		return 0;
	if (d->data[1] >> 5 == 2)
		return (d->data[0] & 15) == 8 ? be32(d->data + 4) : 0;
	return d->data[1] >> 5 == 0 ? named_by_kid(d) : 0;
}

/* What is far away is fetched for all before the first is looked at: contexts, then the mirrors of their members and what of ours
 * was in flight for them. */
void gm_check_ahead(struct worker *w, const struct gm_dgram *d, unsigned n)
{
	gm_ctx_id id[BURST];
	struct ctx *c;

	for (unsigned i = 0; i < n; i++)
		if ((id[i] = named(&d[i])))
			gm_ctx_ahead(w, id[i]);
	for (unsigned i = 0; i < n; i++) {
		if (!id[i] || !(c = gm_ctx_at(w, id[i])))
			continue;
		if (c->out)
			gm_ahead(gm_out_at(w, c->out), sizeof(struct out));
		if (c->members)
			gm_ahead(gm_member_at(w, c->members), sizeof(struct member));
	}
}

void gm_check_datagram(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer,
                       const struct gm_addr *local, bool hopped)
{
	struct gm_coap m;

	if (w->openings_n == TURN_MAX || w->tokens_n == TURN_MAX || TEXTS - w->texts_n < 4 * TEXT_MAX)
		gm_check_finish(w);
	struct opening *o = &w->opening[w->openings_n];
	if (!hopped)
		COUNT(w, rx);
	enum gm_err err = gm_coap_decode((struct gm_bytes){data, n}, &m);
	*o = (struct opening){
		.m = &m, .outer = {m.type, m.code, m.token_len, {0}, m.mid}, .peer = *peer, .local = *local, .datagram_n = (uint16_t)n,
		.came_us = w->came_us};
	memcpy(o->outer.token, m.token, sizeof o->outer.token);
	o->parked = w->parks ? gm_park_copy(w, data, n, peer, local) : 0;
	if (err != GM_E_OK) {
		COUNT(w, rx_bad);
		if (n >= 4 && data[0] >> 6 == 1 && o->outer.type == GM_COAP_CON)
			gm_send_empty(w, peer, local, GM_COAP_RST, o->outer.mid);
		return;
	}
	unsigned class = o->outer.code >> 5;
	if (o->outer.code == GM_COAP_EMPTY)
		on_empty(w, o, data, n, hopped);
	else if (class == 2 || class == 4 || class == 5)
		on_response(w, o, data, n, hopped);
	else if (class != 0 || o->outer.type == GM_COAP_ACK || o->outer.type == GM_COAP_RST)
		reject(w, o);
	else if (m.has_oscore && m.has_proxy)
		plain_error(w, o, GM_E_PROXY);
	else if (m.has_oscore && m.unknown_critical)
		plain_error(w, o, GM_E_BAD_OPTION);
	else if (m.has_oscore)
		on_protected(w, o, data, n, hopped);
	else
		on_plain(w, o);
}

/* ---- opened requests */

/* Content-Format of what succeeds: the only one there is. RFC 7252 §5.10.4 */
static bool acceptable(const struct gm_coap *m, enum gm_res res)
{
	static const int32_t formats[GM_RES_N] = {
		[GM_RES_AUTHZ_INFO] = GM_CF_ACE, [GM_RES_NUM] = GM_CF_CBOR,    [GM_RES_ACTIVE] = GM_CF_CBOR,
		[GM_RES_STALE_SIDS] = GM_CF_CBOR, [GM_RES_MANAGE] = GM_CF_LINK,
	};
	bool creates = res == GM_RES_MANAGE && m->code == GM_COAP_POST;
	int32_t format = formats[res] && !creates ? formats[res] : GM_CF_GROUPCOMM;

	return m->accept == GM_CF_NONE || res == GM_RES_NONE || m->code == GM_COAP_DELETE || m->accept == format;
}

uint32_t gm_body_key(struct worker *w, uint8_t method, const struct gm_bytes *path, unsigned n)
{
	uint32_t key = method;

	for (unsigned i = 0; i < n; i++)
		key = key * 31 + gm_worker_hash(w, path[i].p, path[i].n);
	return key;
}

static uint32_t request_key(struct worker *w, const struct gm_coap *m)
{
	uint32_t key = gm_body_key(w, m->code, m->path, m->path_n);

	for (unsigned i = 0; i < m->query_n; i++)
		key = key * 31 + gm_worker_hash(w, m->query[i].p, m->query[i].n);
	return key;
}

/* A later block of an answer may be asked for without repeating the payload: 0 goes with all. */
static uint32_t content_key(struct worker *w, const struct gm_coap *m)
{
	return m->payload.n ? gm_worker_hash(w, m->payload.p, m->payload.n) | 1 : 0;
}

/* For block-wise transfers. */
static void name_request(struct worker *w, struct xch *x, const struct gm_coap *m)
{
	x->key = request_key(w, m);
	x->content = content_key(w, m);
}

static void echo_of(const struct worker *w, gm_ctx_id id, uint8_t echo[static 8])
{
	uint64_t v = gm_siphash(w->boot, (const uint8_t *)&id, sizeof id);

	memcpy(echo, &v, 8);
}

/* After a restart the window is unknown: the first request has to show that it is fresh. RFC 8613 App. B.1.2, RFC 9175
 * The answer goes under our own Partial IV, as its request may have been answered before the restart. */
static bool freshness(struct worker *w, struct ctx *c, const struct opening *o, const struct gm_coap *inner)
{
	struct xch x = xch_of(o);
	uint8_t echo[8];

	echo_of(w, o->ctx, echo);
	if (inner->has_echo && inner->echo.n == sizeof echo && gm_equal(inner->echo.p, echo, sizeof echo)) {
		c->need_echo = false;
		c->window = (struct gm_oscore_window){.top = o->seq, .seen = UINT64_MAX}; /* what lies below may be old */
		return true;
	}
	struct answer a = {
		.code = GM_COAP(4, 1),
		.format = GM_CF_NONE,
		.own_piv = true,
		.has_max_age = true,
		.echo = {echo, sizeof echo},
	};
	gm_answer(w, c, &x, &a);
	COUNT(w, echo_sent);
	return false;
}

/* ---- a Join: what its signature has to be checked against */

static void check_cred(const struct worker *w, struct checked *k, const struct group *g, const struct ctx *c)
{
	struct gm_out pop = gm_out(k->pop_input, sizeof k->pop_input);

	if (!k->join.cred.n || k->join.roles == GM_ROLE_MONITOR)
		return;
	k->cred = gm_cred_to_prove(k->join.cred, &g->params, w->wall_s, &k->pub);
	if (k->cred != GM_E_OK || !k->join.has_verify || k->join.verify.n != gm_proof_len(&g->params))
		return;
	gm_pop_input(&pop, k->join.scope, (struct gm_bytes){c->n_s, sizeof c->n_s}, k->join.cnonce);
	k->pop_n = gm_out_len(&pop);
	k->proof = pop.err == GM_E_OK ? g : NULL;
}

static void check_control(struct checked *k, const struct opening *o)
{
	char own[96];
	int n;

	if (!k->join.control_uri.p || gm_uri_decode(k->join.control_uri, &k->uri) != GM_E_OK)
		return;
	n = snprintf(own, sizeof own, "/ace-group/%.*s", (int)k->join.group.n, (const char *)k->join.group.p);
	if (gm_bytes_eq(k->uri.path, (struct gm_bytes){(uint8_t *)own, (size_t)n}))
		return;
	k->control_ok = memcmp(k->uri.ip, o->peer.ip, 16) == 0 && k->uri.path.n <= CONTROL_PATH_MAX;
}

static struct checked *new_checked(struct worker *w, struct opening *o, const struct gm_coap *inner, enum gm_res res,
                                   const struct group *g)
{
	struct checked *k = &w->join[w->joins_n++];

	k->o = o;
	k->res = res;
	k->inner = *inner;
	k->proof = NULL;
	k->good = k->control_ok = false;
	k->cred = GM_E_BAD_CRED;
	k->group_gen = g ? g->view.gen : 0;
	return k;
}

static void queue_join(struct worker *w, struct opening *o, const struct ctx *c, const struct gm_coap *inner)
{
	struct group *g = gm_group_named(w, inner->path[1]);
	struct checked *k = new_checked(w, o, inner, GM_RES_GROUP, g);

	k->parse = gm_join_request_decode(inner->payload, &k->join);
	if (k->parse != GM_E_OK)
		return;
	check_control(k, o);
	if (g)
		check_cred(w, k, g, c);
}

/* Another credential of a member: its proof is over the scope of the latest Join. KG §9.4 */
static void queue_upload(struct worker *w, struct opening *o, const struct ctx *c, const struct gm_coap *inner)
{
	struct group *g = gm_group_named(w, inner->path[1]);
	const struct member *m = g ? gm_member_of(w, c, g->view.index, NULL) : NULL;
	struct checked *k = new_checked(w, o, inner, GM_RES_NODE_CRED, g);
	struct gm_out scope = gm_out(k->scope, sizeof k->scope);
	struct gm_cred_upload u;

	k->parse = gm_cred_upload_decode(inner->payload, &u);
	if (k->parse != GM_E_OK || !m)
		return;
	gm_join_scope_encode(&scope, inner->path[1], m->roles);
	k->join = (struct gm_join_request){
		.scope = m->scope_n ? gm_member_scope(w, m) : gm_out_result(&scope),
		.roles = m->roles,
		.has_cred = true,
		.has_verify = true,
		.cred = u.cred,
		.verify = u.verify,
		.cnonce = u.cnonce,
	};
	check_cred(w, k, g, c);
}

/* ---- up to core */

static struct gm_slice append(struct gm_rec *rec, struct gm_bytes b)
{
	return b.p ? gm_rec_append(rec, b.p, b.n) : (struct gm_slice){0};
}

static void put_confirm(struct worker *w, struct gm_ev_request *ev, const struct ctx *c, gm_ctx_id id)
{
	const struct pending *p = (const struct pending *)gm_ctx_extra(w, c)->pending->bytes;

	ev->flags |= GM_REQ_CONFIRM;
	gm_ctx_fill_save(c, id, &ev->confirm.save);
	ev->confirm.as_id = p->as_id;
	ev->confirm.post = p->post;
	ev->confirm.exp = p->exp;
	ev->confirm.exi = p->exi;
	memcpy(ev->confirm.hash, p->hash, sizeof ev->confirm.hash);
	ev->confirm.cti = append(&ev->rec, gm_rec_bytes(p, p->cti));
	ev->confirm.scope = append(&ev->rec, gm_rec_bytes(p, p->scope));
	ev->confirm.osc_id = append(&ev->rec, gm_rec_bytes(p, p->osc_id));
}

static void put_join(struct gm_ev_request *ev, const struct checked *k, bool pop)
{
	const struct gm_join_request *j = &k->join;
	struct gm_ev_join *to = &ev->join;

	to->parse = (uint8_t)k->parse;
	to->group_gen = k->group_gen;
	if (k->parse != GM_E_OK)
		return;
	to->cred = (uint8_t)k->cred;
	to->pop = pop ? GM_E_OK : GM_E_BAD_POP;
	to->get_creds = (uint8_t)j->get_creds;
	to->role_filter_n = j->role_filter_n;
	memcpy(to->role_filter, j->role_filter, sizeof to->role_filter);
	to->has_cred = j->has_cred;
	to->has_verify = j->has_verify;
	to->roles = j->roles;
	to->scope = append(&ev->rec, j->scope);
	to->scope_name = append(&ev->rec, j->group);
	to->client_cred = append(&ev->rec, j->cred);
	to->verify = append(&ev->rec, j->verify);
	to->cnonce = append(&ev->rec, j->cnonce);
	to->has_control = k->control_ok;
	if (k->control_ok) {
		to->control_port = k->uri.port ? k->uri.port : 5683;
		to->control_path = append(&ev->rec, k->uri.path);
	}
}

static void put_request(struct gm_ev_request *ev, const struct opening *o, const struct gm_coap *m, enum gm_res res, bool moved)
{
	ev->ctx = o->ctx;
	ev->method = m->code;
	ev->res = (uint8_t)res;
	ev->bad = GM_E_OK;
	if (m->unknown_critical)
		ev->bad = GM_E_BAD_OPTION;
	else if (!acceptable(m, res))
		ev->bad = GM_E_NOT_ACCEPTABLE;
	else if (res == GM_RES_GROUP && m->code == GM_COAP_POST && m->content_format != GM_CF_NONE &&
	         m->content_format != GM_CF_GROUPCOMM)
		ev->bad = GM_E_BAD_FORMAT;
	ev->content_format = m->content_format;
	ev->peer = o->peer;
	if (moved)
		ev->flags |= GM_REQ_MOVED;
	if (m->has_observe && m->code == GM_COAP_GET)
		ev->flags |= m->observe == 0 ? GM_REQ_OBSERVE : m->observe == 1 ? GM_REQ_UNOBSERVE : 0;
	if (m->payload.n)
		ev->flags |= GM_REQ_PAYLOAD;
	ev->token_n = o->outer.token_len;
	memcpy(ev->token, o->outer.token, sizeof ev->token);
	ev->piv_n = o->option.piv_n;
	memcpy(ev->piv, o->option.piv, sizeof ev->piv);
	if (m->path_n > 1 && (res == GM_RES_MANAGE_GROUP || gm_bytes_is(m->path[0], "ace-group")))
		ev->group = append(&ev->rec, m->path[1]);
	ev->if_match_n = m->if_match_n;
	for (unsigned i = 0; i < m->if_match_n; i++)
		ev->if_match[i] = append(&ev->rec, m->if_match[i]);
	ev->node = append(&ev->rec, res == GM_RES_NODE || res == GM_RES_NODE_CRED ? m->path[3] : (struct gm_bytes){0});
}

static void take_blocks(struct xch *x, const struct gm_coap *m)
{
	x->has_block1 = m->has_block1;
	x->block1 = m->block1;
	x->has_block2 = m->has_block2;
	x->block2 = m->block2;
}

/* false: no room for it; the client is asked to come again */
static bool hand_up(struct worker *w, struct opening *o, const struct gm_coap *m, enum gm_res res, const struct checked *k, bool pop)
{
	struct ctx *c = gm_ctx_at(w, o->ctx);
	struct xch x = xch_of(o);

	x.protected_ = true;
	name_request(w, &x, m);
	take_blocks(&x, m);
	uint32_t xid = gm_xch_put(w, &x);
	size_t more = 2 * TEXT_MAX + 2 * m->payload.n + (c->state == CTX_PENDING ? gm_ctx_extra(w, c)->pending->n : 0) + 256;
	struct gm_ev_request *ev = xid ? gm_worker_event(w, GM_EV_REQUEST, sizeof *ev, more) : NULL;
	if (!ev) {
		COUNT(w, up_full);
		if (xid)
			gm_xch_done(w, xid);
		gm_answer_err(w, c, &x, GM_E_BUSY);
		return false;
	}
	ev->xid = xid;
	const bool moved = c->moved && gm_addr_eq(&c->peer, &o->peer); /* else another one has come from elsewhere since */
	put_request(ev, o, m, res, moved);
	if (c->state == CTX_PENDING)
		put_confirm(w, ev, c, o->ctx);
	if (k)
		put_join(ev, k, pop);
	else if (res == GM_RES_AUTHZ_INFO && m->code == GM_COAP_POST)
		ev->update = gm_token_update(w, &ev->rec, m);
	else
		ev->payload = append(&ev->rec, m->payload);
	gm_worker_event_done(w, &ev->rec);
	c->moved = c->moved && !moved;
	if (!c->has_last || c->last_mid == o->outer.mid || c->state == CTX_PENDING) /* else its repeats are of a later one */
		c->xid = xid;
	COUNT(w, requests);
	return true;
}

/* What was not handed up with a request. Where the ring is full, the next one tells. */
static void tell_moved(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);
	bool due = c && c->moved && c->state == CTX_LIVE; /* one that is pending tells with what confirms it */
	struct gm_ev_moved *ev = due ? gm_worker_event(w, GM_EV_MOVED, sizeof *ev, 0) : NULL;

	if (!ev)
		return;
	ev->ctx = id;
	ev->peer = c->peer;
	gm_worker_event_done(w, &ev->rec);
	c->moved = false;
}

/* A fresh request moves the window, the address and the memory of the last CON. */
static bool accept(struct worker *w, struct ctx *c, const struct opening *o, const struct gm_coap *inner)
{
	if (c->need_echo) {
		if (!freshness(w, c, o, inner))
			return false;
	} else {
		gm_oscore_window_accept(&c->window, o->seq);
	}
	if (o->seq == c->window.top) { /* what was overtaken tells where the member was before */
		c->moved = c->moved || !gm_addr_eq(&c->peer, &o->peer);
		c->peer = o->peer;
		c->local = o->local;
	}
	gm_ctx_forget_answer(w, c);
	c->has_last = o->outer.type == GM_COAP_CON;
	c->last_acked = false;
	c->last_mid = o->outer.mid;
	c->last_ms = w->now_ms;
	c->last_piv_n = o->option.piv_n;
	memcpy(c->last_piv, o->option.piv, sizeof c->last_piv);
	c->xid = 0;
	return true;
}

static enum work work_of(const struct gm_coap *m, enum gm_res res)
{
	if (res == GM_RES_MANAGE || res == GM_RES_MANAGE_GROUP)
		return WORK_ADMIN;
	return m->code == GM_COAP_GET || m->code == GM_COAP_FETCH ? WORK_READ : WORK_JOIN;
}

/* More is offered than can be done: that is said before it costs a signature, and once for each request. */
static bool refused_for_now(struct worker *w, const struct opening *o, struct ctx *c, const struct gm_coap *m, enum gm_res res)
{
	struct answer a = {.code = GM_COAP(5, 3), .format = GM_CF_NONE, .save = true, .has_max_age = true};
	struct xch x = xch_of(o);

	a.max_age = gm_worker_admit(w, work_of(m, res), &o->ctx, sizeof o->ctx);
	if (!a.max_age)
		return false;
	take_blocks(&x, m);
	gm_answer(w, c, &x, &a);
	return true;
}

/* hold: what the payload lies in, if that goes before the burst ends */
static void take_request(struct worker *w, struct opening *o, struct ctx *c, const struct gm_coap *m, enum gm_res res,
                         struct blob *hold)
{
	unsigned queued = w->joins_n;
	bool proves = m->code == GM_COAP_POST && (res == GM_RES_GROUP || res == GM_RES_NODE_CRED);

	if (proves && !gm_stranger_may_prove(w, o->ctx)) {
		struct xch x = xch_of(o);
		take_blocks(&x, m);
		gm_answer_err(w, gm_ctx_at(w, o->ctx), &x, GM_E_TOO_OFTEN);
		return;
	}
	if (refused_for_now(w, o, c, m, res))
		return;

	if (res == GM_RES_GROUP && m->code == GM_COAP_POST)
		queue_join(w, o, c, m);
	else if (res == GM_RES_NODE_CRED && m->code == GM_COAP_POST)
		queue_upload(w, o, c, m);
	else
		hand_up(w, o, m, res, NULL, false);
	if (w->joins_n > queued)
		w->join[queued].hold = gm_blob_ref(hold);
}

static void by_blocks(struct worker *w, struct opening *o, struct ctx *c, struct gm_coap *m, enum gm_res res,
                      const struct xch *x)
{
	struct blob *whole = gm_upload_take(w, c, x, m);

	if (!whole)
		return;
	m->payload = (struct gm_bytes){whole->bytes, whole->n};
	take_request(w, o, c, m, res, whole);
	gm_blob_drop(&whole);
}

/* false: it needs core, and those that do have to wait; it was accepted, and nothing was sealed for it */
static bool on_opened(struct worker *w, struct opening *o, struct ctx *c, struct gm_bytes plain)
{
	struct gm_coap inner;
	struct xch x = xch_of(o);

	if (!o->repeat && !c->need_echo && !gm_oscore_window_fresh(&c->window, o->seq))
		return true; /* a second copy in the same burst */
	bool bad = gm_coap_decode_inner(plain, &inner) != GM_E_OK || inner.code >> 5 != 0 || inner.code == GM_COAP_EMPTY;
	enum gm_res res = bad ? GM_RES_NONE : resource(&inner);
	x.handler = o->handler = bad ? GM_HANDLER_OTHER : handler(&inner, res);
	if (!o->repeat && !accept(w, c, o, &inner))
		return true;
	if (bad) {
		if (!o->repeat)
			gm_answer_err(w, c, &x, GM_E_MALFORMED);
		return true;
	}
	if (inner.if_match_n && res != GM_RES_MANAGE_GROUP && !inner.unknown_critical)
		inner.unknown_critical = GM_OPT_IF_MATCH;
	take_blocks(&x, &inner);
	bool later_block = inner.has_block2 && inner.block2.num;
	if (inner.has_block2) /* else the keys fit into one block */
		name_request(w, &x, &inner);
	if (!inner.unknown_critical && !later_block && acceptable(&inner, res) && gm_read_here(w, c, &x, &inner, res, o->repeat))
		return true;
	if (!inner.has_block2)
		name_request(w, &x, &inner);
	if (later_block)
		gm_answer_block(w, c, &x, o->repeat);
	else if (gm_links_is(&inner) && !inner.unknown_critical)
		gm_links_protected(w, c, &inner, &x, o->repeat);
	else if (o->repeat)
		return true; /* not answered yet */
	else if (w->parks)
		return false;
	else if (inner.has_block1 && !inner.unknown_critical)
		by_blocks(w, o, c, &inner, res, &x);
	else
		take_request(w, o, c, &inner, res, NULL);
	return true;
}

/* As if it had not come yet. */
static void put_back(struct worker *w, const struct opening *o, struct ctx *c, const struct ctx *before, struct blob **saved)
{
	c->need_echo = before->need_echo;
	c->window = before->window;
	c->has_last = before->has_last;
	c->last_acked = before->last_acked;
	c->last_mid = before->last_mid;
	c->last_ms = before->last_ms;
	c->last_piv_n = before->last_piv_n;
	memcpy(c->last_piv, before->last_piv, sizeof c->last_piv);
	c->xid = before->xid;
	c->moved = before->moved;
	c->peer = before->peer;
	c->local = before->local;
	if (!*saved)
		return;
	c->saved = *saved;
	*saved = NULL;
	c->saved_timer = gm_wheel_add(&w->wheel, w->now_ms + EXCHANGE_LIFETIME_MS, TIMER_SAVED, o->ctx);
}

static void open_or_park(struct worker *w, struct opening *o, struct ctx *c, struct gm_bytes plain)
{
	struct ctx before = *c;
	struct blob *saved = gm_blob_ref(c->saved);

	if (!on_opened(w, o, c, plain)) {
		put_back(w, o, c, &before, &saved);
		gm_park(w, o->parked);
	}
	gm_blob_drop(&saved);
	gm_wipe(&before, sizeof before);
}

static void request_opened(struct worker *w, struct opening *o, struct gm_bytes plain)
{
	const unsigned queued = w->joins_n;
	struct ctx *c = gm_ctx_at(w, o->ctx);

	if (!c || c->state == CTX_CLOSING)
		return;
	if (w->parks)
		open_or_park(w, o, c, plain);
	else
		on_opened(w, o, c, plain);
	if (w->joins_n == queued) /* else it is handed up when its signature is verified */
		tell_moved(w, o->ctx);
}

void gm_check_verified(struct worker *w, struct checked *k)
{
	if (k->proof && !k->good)
		gm_stranger_failed(w, k->o->ctx);
	if (gm_ctx_at(w, k->o->ctx))
		hand_up(w, k->o, &k->inner, k->res, k, k->good);
	tell_moved(w, k->o->ctx);
	gm_blob_drop(&k->hold);
}

static void opened(struct worker *w, struct opening *o, size_t text_n, bool good)
{
	struct gm_bytes plain = {o->text, text_n};

	if (!good) {
		COUNT(w, rx_undecryptable);
		if (!o->out)
			oscore_error(w, o, GM_E_DECRYPT);
	} else if (o->out) {
		response_opened(w, o, plain);
	} else {
		request_opened(w, o, plain);
	}
}

static void open_batch(struct worker *w)
{
	unsigned n = w->openings_n - w->openings_at;

	if (n) {
		uint64_t good = gm_aead_open_many(w->open_job, n);
		gm_work_hist(w->stats.hist_open, n);
		gm_read_ahead(w, n, good);
		for (unsigned i = 0; i < n; i++)
			opened(w, &w->opening[w->openings_at + i], w->open_job[i].text_len, good >> i & 1);
	}
	w->openings_at = w->openings_n;
	if (gm_verify_waits(w))
		return;
	w->openings_n = w->openings_at = 0;
	w->texts_n = 0;
}

void gm_check_finish(struct worker *w)
{
	open_batch(w);
	if (!gm_verify_waits(w))
		return;
	gm_box_flush(w); /* neither what is decided nor another worker waits for signatures */
	gm_worker_wake_others(w);
	gm_verify(w);
	open_batch(w); /* nothing more: all room is free again */
}

/* As from the network: what they name is fetched for all before the first is looked at. */
static unsigned take_hops(struct worker *w, struct gm_ring *ring)
{
	void *hops[BURST];
	struct gm_dgram d[BURST];
	unsigned n = gm_ring_peek_many(ring, hops, BURST);

	if (!n)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		struct hop *h = hops[i];
		d[i].data = h->data;
		d[i].len = (uint16_t)h->n;
	}
	gm_check_ahead(w, d, n);
	for (unsigned i = 0; i < n; i++) {
		const struct hop *h = hops[i];
		w->came_us = h->came_us;
		gm_check_datagram(w, h->data, h->n, &h->peer, &h->local, true);
		gm_ring_release(ring);
	}
	return n;
}

/* A burst of each in turn, on from where the last turn ended: whoever sends much does not hold up what the others send. */
unsigned gm_check_hops(struct worker *w)
{
	unsigned all = 0;

	for (unsigned empty = 0; empty < w->workers && all < TURN_MAX; w->hop_next = (w->hop_next + 1) % w->workers) {
		struct gm_ring *ring = w->hop_in[w->hop_next];
		const unsigned n = ring ? take_hops(w, ring) : 0;
		empty = n ? 0 : empty + 1;
		all += n;
	}
	return all;
}

void gm_check_park_hops(struct worker *w)
{
	size_t n;
	struct hop *h;

	for (unsigned from = 0; from < w->workers; from++)
		while (w->hop_in[from] && (h = gm_ring_peek(w->hop_in[from], &n))) {
			gm_park_whole(w, h->data, h->n, &h->peer, &h->local);
			gm_ring_release(w->hop_in[from]);
		}
}
