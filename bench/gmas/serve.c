/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gmas/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/gmas/association.h"
#include "bench/gmas/linkfile.h"
#include "bench/gmas/opaque.h"
#include "bench/member/sockets.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cwt.h"
#include "wire/fields.h"
#include "wire/trl.h"

#define LOOK_NS 200000000u /* between looks at the files */
#define REPEATS 32u
#define OBSERVERS 8u
#define BLOCK_SZX 6u
#define BLOCK (1u << (BLOCK_SZX + 4))

struct repeat { /* an answer, for the same message again */
	struct gm_addr peer;
	uint16_t mid, n;
	uint8_t bytes[GM_DGRAM_TX_CAP];
};

struct observer { /* of the list of revoked tokens */
	bool used;
	uint32_t generation; /* of the context it was made under */
	struct gm_addr peer, local;
	uint8_t token_len, token[GM_COAP_TOKEN_MAX];
	struct gm_oscore_request of;
	struct gm_revoked_query query;
};

struct server {
	const struct gm_serve *what;
	struct gm_port *port;
	bool linked;
	struct gm_server_ctx ctx;
	struct gm_revoked_list revoked;
	struct gm_opaques opaques;
	struct repeat repeat[REPEATS];
	unsigned repeats;
	struct observer observer[OBSERVERS];
	uint16_t mid;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- datagrams */

static void send_bytes(struct server *s, const struct gm_addr *peer, const struct gm_addr *local, struct gm_bytes bytes)
{
	struct gm_dgram d;

	if (gm_port_sockets.tx_get(s->port, &d, 1) != 1)
		return;
	d.len = (uint16_t)bytes.n;
	memcpy(d.data, bytes.p, bytes.n);
	d.peer = *peer;
	d.local = *local;
	gm_port_sockets.tx_burst(s->port, &d, 1);
}

static struct repeat *repeat_of(struct server *s, const struct gm_dgram *in, uint16_t mid)
{
	for (unsigned i = 0; i < REPEATS; i++)
		if (s->repeat[i].n && s->repeat[i].mid == mid && gm_addr_eq(&s->repeat[i].peer, &in->peer))
			return &s->repeat[i];
	return NULL;
}

static void answer_bytes(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, struct gm_bytes bytes)
{
	struct repeat *r = &s->repeat[s->repeats++ % REPEATS];

	*r = (struct repeat){.peer = in->peer, .mid = msg->mid, .n = (uint16_t)bytes.n};
	memcpy(r->bytes, bytes.p, bytes.n);
	send_bytes(s, &in->peer, &in->local, bytes);
}

static void answer_plain(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, uint8_t code, struct gm_bytes body)
{
	uint8_t bytes[GM_DGRAM_TX_CAP];
	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	bool con = msg->type == GM_COAP_CON;
	uint16_t last = 0;

	gm_coap_put_head(&pkt, con ? GM_COAP_ACK : GM_COAP_NON, code, con ? msg->mid : s->mid++, msg->token, msg->token_len);
	if (body.n)
		gm_coap_put_option_uint(&pkt, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
	gm_coap_put_payload(&pkt, body.p, body.n);
	if (pkt.err == GM_E_OK)
		answer_bytes(s, in, msg, gm_out_result(&pkt));
	gm_wipe(bytes, sizeof(bytes));
}

/* ---- POST /token */

struct token_ask { /* RFC 9200 §5.8.1 */
	struct gm_bytes audience, scope;
};

static enum gm_err mint(struct server *s, struct gm_bytes scope, struct gm_minted *m)
{
	struct gm_mint what = {.scope = scope,
	                       .exp = now_s() + s->what->exp_s,
	                       .nbf = -1,
	                       .exi = -1,
	                       .osc_alg = s->what->osc_alg,
	                       .osc_hkdf = s->what->osc_hkdf,
	                       .reference = s->what->reference};

	GM_TRY(gm_askey_mint_as(m, s->what->key, &what));
	if (what.reference)
		gm_opaque_add(&s->opaques, (struct gm_bytes){m->token, m->token_n}, (struct gm_bytes){m->claims, m->claims_n}, what.exp);
	return GM_E_OK;
}

/* cnf: {4 osc: {0 id, 2 ms, 5 salt, and what is no default}}          RFC 9203 §3.2 */
static void put_cnf(struct gm_out *body, const struct gm_serve *what, const struct gm_minted *m)
{
	gm_cbor_put_uint(body, 8);
	gm_cbor_put_map(body, 1);
	gm_cbor_put_uint(body, 4);
	gm_cbor_put_map(body, 3u + (what->osc_hkdf != 0) + (what->osc_alg != 0));
	gm_cbor_put_uint(body, 0);
	gm_cbor_put_bstr(body, m->osc_id, sizeof(m->osc_id));
	gm_cbor_put_uint(body, 2);
	gm_cbor_put_bstr(body, m->ms, sizeof(m->ms));
	if (what->osc_hkdf) {
		gm_cbor_put_uint(body, 3);
		gm_cbor_put_int(body, what->osc_hkdf);
	}
	if (what->osc_alg) {
		gm_cbor_put_uint(body, 4);
		gm_cbor_put_int(body, what->osc_alg);
	}
	gm_cbor_put_uint(body, 5);
	gm_cbor_put_bstr(body, m->salt, sizeof(m->salt));
}

static uint8_t answer_token(struct server *s, struct gm_out *body, const struct gm_coap *msg)
{
	static const struct gm_field fields[] = {
	    {5, GM_FIELD_TSTR, offsetof(struct token_ask, audience)},
	    {9, GM_FIELD_BSTR, offsetof(struct token_ask, scope)},
	};
	struct token_ask ask = {0};
	struct gm_in in = gm_in_bytes(msg->payload);
	struct gm_minted m;

	if (msg->path_n != 1 || !gm_bytes_is(msg->path[0], "token"))
		return GM_COAP(4, 4);
	if (msg->code != GM_COAP_POST)
		return GM_COAP(4, 5);
	gm_fields_read(&in, fields, GM_FIELDS_N(fields), &ask);
	if (gm_cbor_end(&in) != GM_E_OK || !ask.scope.p || gm_scope_check(ask.scope) != GM_E_OK ||
	    (ask.audience.p && !gm_bytes_is(ask.audience, s->what->key->aud)))
		return GM_COAP(4, 0);
	if (mint(s, ask.scope, &m) != GM_E_OK)
		return GM_COAP(5, 0);
	gm_cbor_put_map(body, 4);
	gm_cbor_put_uint(body, 1);
	gm_cbor_put_bstr(body, m.token, m.token_n);
	gm_cbor_put_uint(body, 2);
	gm_cbor_put_uint(body, (uint64_t)s->what->exp_s);
	put_cnf(body, s->what, &m);
	gm_cbor_put_uint(body, 38);
	gm_cbor_put_uint(body, 2);
	gm_wipe(&m, sizeof(m));
	return GM_COAP(2, 1);
}

static void serve_plain(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg)
{
	uint8_t bytes[1024];
	struct gm_out body = gm_out(bytes, sizeof(bytes));
	uint8_t code = answer_token(s, &body, msg);

	answer_plain(s, in, msg, body.err == GM_E_OK ? code : GM_COAP(5, 0), gm_out_result(&body));
	gm_wipe(bytes, sizeof(bytes));
}

/* ---- over the link */

struct answer {
	uint8_t code;
	bool observed;
	int32_t format;
	uint8_t *body; /* malloc()ed */
	size_t body_n;
};

static bool path_is(const struct gm_coap *inner, const char *name)
{
	return inner->path_n == 1 && gm_bytes_is(inner->path[0], name);
}

static struct gm_out body_of(struct answer *a, size_t cap)
{
	a->body = malloc(cap);
	if (!a->body) {
		fputs("gmas: out of memory\n", stderr);
		exit(1);
	}
	return gm_out(a->body, cap);
}

static void introspect(struct server *s, const struct gm_coap *inner, struct answer *a)
{
	struct gm_bytes token = {0};
	static const struct gm_field fields[] = {{11, GM_FIELD_BSTR, 0}};

	if (inner->code != GM_COAP_POST) {
		a->code = GM_COAP(4, 5);
	} else if (inner->content_format != GM_CF_ACE || gm_fields_decode(inner->payload, fields, 1, &token) != GM_E_OK || !token.p) {
		a->code = GM_COAP(4, 0);
	} else {
		struct gm_out out = body_of(a, GM_TOKEN_MAX + 16);
		gm_opaque_answer(&s->opaques, token, &s->revoked, now_s(), &out);
		a->code = GM_COAP(2, 1);
		a->format = GM_CF_ACE;
		a->body_n = gm_out_len(&out);
	}
}

static void list_revoked(struct server *s, const struct gm_revoked_query *q, struct answer *a)
{
	struct gm_out out = body_of(a, gm_revoked_size(&s->revoked));

	gm_revoked_answer(&s->revoked, q, &out);
	a->code = GM_COAP(2, 5);
	a->format = GM_CF_TRL;
	a->body_n = gm_out_len(&out);
}

static struct observer *observer_of(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg)
{
	struct observer *place = NULL;

	for (unsigned i = 0; i < OBSERVERS; i++) {
		struct observer *o = &s->observer[i];
		if (o->used && gm_addr_eq(&o->peer, &in->peer) && o->token_len == msg->token_len &&
		    memcmp(o->token, msg->token, o->token_len) == 0)
			return o;
		if (!o->used || o->generation != s->ctx.generation)
			place = o;
	}
	return place;
}

static void observe(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, const struct gm_server_request *x,
                    const struct gm_revoked_query *q, struct answer *a)
{
	struct observer *o = observer_of(s, in, msg);

	if (!o)
		return;
	if (x->inner.observe == 1) {
		o->used = false;
		return;
	}
	*o = (struct observer){.used = true,
	                       .generation = s->ctx.generation,
	                       .peer = in->peer,
	                       .local = in->local,
	                       .token_len = msg->token_len,
	                       .of = x->of,
	                       .query = *q};
	memcpy(o->token, msg->token, sizeof(o->token));
	a->observed = true;
}

static void trl(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, const struct gm_server_request *x,
                struct answer *a)
{
	const struct gm_coap *inner = &x->inner;
	struct gm_revoked_query q;

	if (inner->code != GM_COAP_GET) {
		a->code = GM_COAP(4, 5);
		return;
	}
	struct gm_out fault = body_of(a, 64);
	if (gm_revoked_parse(&s->revoked, inner->query, inner->query_n < 4 ? inner->query_n : 4, &q, &fault) != GM_E_OK) {
		a->code = GM_COAP(4, 0);
		a->format = GM_CF_PROBLEM;
		a->body_n = gm_out_len(&fault);
		return;
	}
	free(a->body);
	list_revoked(s, &q, a);
	if (inner->has_observe)
		observe(s, in, msg, x, &q, a);
}

/* Code, options and the block that is asked for. false: there is none such */
static bool put_inner(struct gm_out *out, const struct answer *a, uint32_t num)
{
	uint8_t etag[GM_SHA256];
	size_t at = (size_t)num * BLOCK, n = a->body_n > at ? a->body_n - at : 0;
	uint16_t last = 0;

	if (num && !n)
		return false;
	gm_out_u8(out, a->code);
	if (a->body_n > BLOCK) {
		gm_sha256(etag, a->body, a->body_n);
		gm_coap_put_option(out, &last, GM_OPT_ETAG, etag, 4);
	}
	if (a->observed)
		gm_coap_put_option(out, &last, GM_OPT_OBSERVE, NULL, 0);
	if (a->format >= 0)
		gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)a->format);
	if (a->body_n > BLOCK)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2,
		                  (struct gm_coap_block){.num = num, .more = n > BLOCK, .szx = BLOCK_SZX});
	gm_coap_put_payload(out, a->body + (n ? at : 0), n > BLOCK ? BLOCK : n);
	return out->err == GM_E_OK;
}

static void answer_sealed(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, const struct gm_server_request *x,
                          const struct answer *a)
{
	uint8_t plain[BLOCK + 64], bytes[GM_DGRAM_TX_CAP];
	struct gm_out inner = gm_out(plain, sizeof(plain)), pkt = gm_out(bytes, sizeof(bytes));
	bool con = msg->type == GM_COAP_CON;
	struct gm_oscore_outer outer = {.type = con ? GM_COAP_ACK : GM_COAP_NON,
	                                .code = a->observed ? GM_COAP(2, 5) : GM_COAP(2, 4),
	                                .mid = con ? msg->mid : s->mid++,
	                                .token_len = msg->token_len,
	                                .has_observe = a->observed,
	                                .observe = (uint32_t)s->ctx.seq & 0xffffffu};

	memcpy(outer.token, msg->token, sizeof(outer.token));
	if (!put_inner(&inner, a, x->inner.has_block2 ? x->inner.block2.num : 0)) {
		inner = gm_out(plain, sizeof(plain));
		gm_out_u8(&inner, GM_COAP(4, 0));
	}
	if (gm_server_seal(&s->ctx, &x->of, &outer, a->observed, gm_out_result(&inner), &pkt) == GM_E_OK)
		answer_bytes(s, in, msg, gm_out_result(&pkt));
	gm_wipe(plain, sizeof(plain));
}

static void serve_request(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg, const struct gm_server_request *x)
{
	struct answer a = {.code = GM_COAP(4, 4), .format = GM_CF_NONE};

	if (x->inner.unknown_critical)
		a.code = GM_COAP(4, 2);
	else if (path_is(&x->inner, "introspect"))
		introspect(s, &x->inner, &a);
	else if (path_is(&x->inner, "trl"))
		trl(s, in, msg, x, &a);
	answer_sealed(s, in, msg, x, &a);
	if (a.body)
		gm_wipe(a.body, a.body_n);
	free(a.body);
}

static void serve_sealed(struct server *s, const struct gm_dgram *in, const struct gm_coap *msg)
{
	struct gm_server_request x;
	uint8_t bytes[GM_DGRAM_TX_CAP];
	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	static const uint8_t codes[] = {
	    [GM_SERVER_UNKNOWN] = GM_COAP(4, 1), [GM_SERVER_REPLAY] = GM_COAP(4, 1), [GM_SERVER_BAD] = GM_COAP(4, 0)};
	enum gm_server_got got = s->linked ? gm_server_open(&s->ctx, msg, &x, &pkt) : GM_SERVER_UNKNOWN;

	if (got == GM_SERVER_REQUEST)
		serve_request(s, in, msg, &x);
	else if (got == GM_SERVER_HELLO)
		answer_bytes(s, in, msg, gm_out_result(&pkt));
	else
		answer_plain(s, in, msg, codes[got], (struct gm_bytes){0});
	gm_wipe(x.text, sizeof(x.text));
}

/* The list has changed. A notification that is lost is made good by the next query. */
static void notify(struct server *s)
{
	for (unsigned i = 0; i < OBSERVERS; i++) {
		struct observer *o = &s->observer[i];
		struct answer a = {.observed = true};
		uint8_t plain[BLOCK + 64], bytes[GM_DGRAM_TX_CAP];
		struct gm_out inner = gm_out(plain, sizeof(plain)), pkt = gm_out(bytes, sizeof(bytes));
		if (!o->used || o->generation != s->ctx.generation)
			continue;
		struct gm_oscore_outer outer = {.type = GM_COAP_NON, .code = GM_COAP(2, 5), .mid = s->mid++, .token_len = o->token_len,
		                                .has_observe = true, .observe = (uint32_t)s->ctx.seq & 0xffffffu};
		memcpy(outer.token, o->token, sizeof(outer.token));
		list_revoked(s, &o->query, &a);
		if (put_inner(&inner, &a, 0) && gm_server_seal(&s->ctx, &o->of, &outer, true, gm_out_result(&inner), &pkt) == GM_E_OK)
			send_bytes(s, &o->peer, &o->local, gm_out_result(&pkt));
		free(a.body);
	}
}

/* ---- the loop */

static void serve_one(struct server *s, const struct gm_dgram *in)
{
	struct gm_coap msg;
	struct repeat *r;

	if (gm_coap_decode((struct gm_bytes){in->data, in->len}, &msg) != GM_E_OK || msg.code == 0 || msg.code >= 32)
		return;
	r = repeat_of(s, in, msg.mid);
	if (r && r->n > 4 + msg.token_len && memcmp(r->bytes + 4, msg.token, msg.token_len) == 0)
		send_bytes(s, &in->peer, &in->local, (struct gm_bytes){r->bytes, r->n});
	else if (msg.has_oscore)
		serve_sealed(s, in, &msg);
	else
		serve_plain(s, in, &msg);
}

static void look_at_files(struct server *s)
{
	gm_opaque_read(&s->opaques);
	if (gm_revoked_read(&s->revoked))
		notify(s);
}

static void loop(struct server *s)
{
	struct gm_dgram d[8];

	while (!stopped) {
		gm_port_sockets.wait(s->port, LOOK_NS);
		unsigned n = gm_port_sockets.rx_burst(s->port, d, 8);
		look_at_files(s); /* before the requests: their answers are of now */
		for (unsigned i = 0; i < n; i++)
			serve_one(s, &d[i]);
		gm_port_sockets.rx_put(s->port, d, n);
	}
}

static int open_server(struct server *s)
{
	unsigned one = 1;
	struct gm_port_config config = {.listen = {s->what->listen}, .listen_n = 1, .arg = &one};
	struct gm_link link;
	char text[GM_ADDR_TEXT];

	s->linked = s->what->link != NULL;
	if (s->linked) {
		enum gm_err err = gm_linkfile_load(&link, s->what->link);
		if (err != GM_E_OK) {
			fprintf(stderr, "gmas: %s: %s\n", s->what->link, gm_err_info(err)->text);
			return 1;
		}
		gm_server_init(&s->ctx, &link);
		gm_wipe(&link, sizeof(link));
	}
	if (gm_port_sockets.open(&s->port, &config) != GM_E_OK) {
		perror(gm_addr_text(&s->what->listen, text));
		return 1;
	}
	fprintf(stderr, "gmas: coap://%s/token for development: unprotected, no client is authenticated%s\n",
	        gm_addr_text(&s->what->listen, text), s->linked ? "; /introspect and /trl over the link" : "");
	return 0;
}

int gm_serve(const struct gm_serve *what)
{
	static struct server server;
	struct server *s = &server;
	struct sigaction sa = {.sa_handler = on_signal};

	*s = (struct server){.what = what, .revoked.path = what->revoked, .opaques.path = what->tokens};
	gm_random(&s->mid, sizeof(s->mid));
	int code = open_server(s);
	if (code)
		return code;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	look_at_files(s);
	loop(s);
	gm_port_sockets.close(s->port);
	gm_revoked_forget(&s->revoked);
	gm_opaque_drop(&s->opaques);
	gm_wipe(s, sizeof(*s));
	return 0;
}
