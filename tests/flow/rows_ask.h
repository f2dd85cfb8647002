/* SPDX-License-Identifier: Apache-2.0 */
/* Protected requests of a test's own making, under a member's association: any method, path and payload, and the answer
 * as it came, so that its options and bytes can be compared. No losses. */
#ifndef ROWS_ASK_H
#define ROWS_ASK_H

#include <stdio.h>

#include "flow_rig.h"
#include "wire/cbor.h"

struct asking {
	uint8_t method;
	const char *path;
	int32_t format; /* 0: none */
	struct gm_bytes payload;
	bool observe, unobserve;
	const char *query;                  /* NULL: none */
	struct gm_bytes echo;
	const struct gm_coap_block *block1, *block2; /* NULL: none */
};

struct reply { /* not to be copied: inner borrows from it */
	bool came, is_protected, observe_outside;
	struct gm_oscore_request request;
	struct gm_coap inner; /* of an unprotected answer the message itself */
	struct gm_mem_dgram d;
	uint8_t text[GM_MEM_DGRAM_MAX];
};

#define ASK_ROUNDS 200u

static inline struct gm_bytes lit(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

static inline bool open_reply(const struct gm_member *m, struct reply *a)
{
	struct gm_coap outer;
	struct gm_oscore_option option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	if (gm_coap_decode((struct gm_bytes){a->d.data, a->d.len}, &outer) != GM_E_OK || outer.code == GM_COAP_EMPTY)
		return false;
	a->observe_outside = outer.has_observe;
	a->is_protected = outer.has_oscore;
	if (!outer.has_oscore) {
		a->inner = outer;
		return true;
	}
	return gm_oscore_option_decode(outer.oscore, &option) == GM_E_OK &&
	       gm_oscore_unwrap(&m->oscore, outer.payload, &option, &a->request, false, a->text, sizeof a->text, &scratch,
	                        &job) == GM_E_OK &&
	       gm_aead_open_many(&job, 1) == 1 &&
	       gm_coap_decode_inner((struct gm_bytes){a->text, job.text_len}, &a->inner) == GM_E_OK;
}

/* The next message to the member that is an answer under a->request. */
static inline bool await_reply(struct flow *r, const struct gm_member *m, struct reply *a)
{
	a->came = false;
	for (unsigned i = 0; i < ASK_ROUNDS && !a->came; i++) {
		for (unsigned k = 0; k < 2 * r->dp->config.workers; k++) /* twice, as it may have come to another */
			gm_worker_turn(r->dp->worker[k % r->dp->config.workers]);
		while (!a->came && gm_mem_recv(r->net, &m->addr, &a->d))
			a->came = open_reply(m, a);
		if (!a->came)
			flow_turn(r);
	}
	return a->came;
}

static inline void put_plain(struct gm_out *o, const struct asking *q)
{
	uint16_t last = 0;

	gm_out_u8(o, q->method);
	if (q->observe || q->unobserve)
		gm_coap_put_option_uint(o, &last, GM_OPT_OBSERVE, q->unobserve);
	gm_coap_put_path(o, &last, GM_OPT_URI_PATH, q->path, strlen(q->path));
	if (q->format)
		gm_coap_put_option_uint(o, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)q->format);
	if (q->query)
		gm_coap_put_option(o, &last, GM_OPT_URI_QUERY, q->query, strlen(q->query));
	if (q->block2)
		gm_coap_put_block(o, &last, GM_OPT_BLOCK2, *q->block2);
	if (q->block1)
		gm_coap_put_block(o, &last, GM_OPT_BLOCK1, *q->block1);
	if (q->echo.n)
		gm_coap_put_option(o, &last, GM_OPT_ECHO, q->echo.p, q->echo.n);
	gm_coap_put_payload(o, q->payload.p, q->payload.n);
}

static inline bool ask(struct flow *r, struct gm_member *m, const struct asking *q, struct reply *a)
{
	uint8_t plain[1500], pkt[1600];
	struct gm_out p = gm_out(plain, sizeof plain), o = gm_out(pkt, sizeof pkt);
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_oscore_outer outer = {
		.code = q->observe ? GM_COAP_FETCH : GM_COAP_POST,
		.mid = m->next_mid++,
		.token_len = 2,
		.token = {(uint8_t)(m->seq >> 8), (uint8_t)m->seq},
		.has_observe = q->observe,
	};

	put_plain(&p, q);
	a->request = (struct gm_oscore_request){.kid = m->oscore.sid};
	a->request.piv_n = gm_oscore_piv(a->request.piv, m->seq++);
	outer.option.has_kid = true;
	outer.option.kid = (struct gm_bytes){m->oscore.sid.b, m->oscore.sid.n};
	outer.option.piv_n = a->request.piv_n;
	memcpy(outer.option.piv, a->request.piv, a->request.piv_n);
	if (gm_oscore_wrap(&m->oscore, &outer, &a->request, &m->oscore.sid, a->request.piv, a->request.piv_n,
	                   gm_out_result(&p), &o, &scratch, &job) != GM_E_OK ||
	    gm_aead_seal_many(&job, 1) != 1)
		return false;
	gm_mem_send(r->net, &m->addr, &r->env.server, pkt, gm_out_len(&o));
	return await_reply(r, m, a);
}

/* Unprotected. */
static inline bool ask_openly(struct flow *r, struct gm_member *m, const struct asking *q, struct reply *a)
{
	uint8_t pkt[1400], token[2] = {0xaa, 0xbb};
	struct gm_out o = gm_out(pkt, sizeof pkt), options;
	uint8_t plain[1200];

	gm_coap_put_head(&o, GM_COAP_CON, q->method, m->next_mid++, token, sizeof token);
	options = gm_out(plain, sizeof plain);
	put_plain(&options, q);
	gm_out_bytes(&o, plain + 1, gm_out_len(&options) - 1);
	gm_mem_send(r->net, &m->addr, &r->env.server, pkt, gm_out_len(&o));
	return await_reply(r, m, a);
}

/* ---- CBOR maps with small labels */

/* The value at a label; n == 0: not there. */
static inline struct gm_bytes value_at(struct gm_bytes map, int64_t label)
{
	struct gm_in in = gm_in_bytes(map);
	struct gm_bytes none = {0};

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		bool here = gm_cbor_int(&in) == label;
		struct gm_bytes value = gm_cbor_item(&in);
		if (here && in.err == GM_E_OK)
			return value;
	}
	return none;
}

static inline struct gm_bytes bstr_at(struct gm_bytes map, int64_t label)
{
	struct gm_in in = gm_in_bytes(value_at(map, label));

	return gm_cbor_bstr(&in);
}

/* The map's labels and no other, and nothing behind it; -1 ends the list. */
static inline bool has_exactly(struct gm_bytes map, const int *labels)
{
	struct gm_in in = gm_in_bytes(map);
	uint64_t n = gm_cbor_map(&in), wanted = 0;

	for (; labels[wanted] >= 0; wanted++)
		if (!value_at(map, labels[wanted]).n)
			return false;
	for (uint64_t i = 0; i < 2 * n; i++)
		gm_cbor_skip(&in);
	return gm_cbor_end(&in) == GM_E_OK && n == wanted;
}

/* {0: {0: id}} in Content-Format 257, and a text or none. */
static inline bool is_problem(const struct reply *a, uint8_t code, int id)
{
	struct gm_in in = gm_in_bytes(value_at(value_at(a->inner.payload, 0), 0));

	return a->came && a->is_protected && a->inner.code == code && a->inner.content_format == GM_CF_PROBLEM &&
	       gm_cbor_int(&in) == id && gm_cbor_end(&in) == GM_E_OK;
}

/* ---- Join */

struct joining {
	uint32_t roles;
	bool no_proof, bad_proof, empty_proof, creds;
	struct gm_bytes cred; /* p == NULL: the member's own */
};

static inline void put_join(struct gm_out *o, const struct flow *r, struct gm_member *m, const struct joining *j)
{
	uint8_t scope[96], input[256], own[128], sig[GM_ED25519_SIG];
	const char *name = r->groups[m->group].name;
	struct gm_out s = gm_out(scope, sizeof scope), i = gm_out(input, sizeof input), c = gm_out(own, sizeof own);

	gm_random(m->cnonce, sizeof m->cnonce);
	gm_cbor_put_array(&s, 2);
	gm_cbor_put_text(&s, name);
	gm_cbor_put_uint(&s, j->roles);
	gm_member_cred(&c, m);
	struct gm_bytes cred = j->cred.p ? j->cred : gm_out_result(&c);
	gm_cbor_put_bstr(&i, scope, gm_out_len(&s));
	gm_cbor_put_bstr(&i, m->challenge, m->challenge_n);
	gm_cbor_put_bstr(&i, m->cnonce, sizeof m->cnonce);
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){m->own.key.priv, m->own.key.pub.x, input, gm_out_len(&i), sig}, 1);
	sig[5] ^= j->bad_proof;
	gm_cbor_put_map(o, 3u + j->creds + !j->no_proof);
	gm_cbor_put_uint(o, 3);
	gm_cbor_put_bstr(o, scope, gm_out_len(&s));
	if (j->creds) {
		gm_cbor_put_uint(o, 4);
		gm_cbor_put_null(o);
	}
	gm_cbor_put_uint(o, 5);
	gm_cbor_put_bstr(o, cred.p, cred.n);
	gm_cbor_put_uint(o, 6);
	gm_cbor_put_bstr(o, m->cnonce, sizeof m->cnonce);
	if (!j->no_proof) {
		gm_cbor_put_uint(o, 24);
		gm_cbor_put_bstr(o, sig, j->empty_proof ? 0 : sizeof sig);
	}
}

static inline bool ask_join(struct flow *r, struct gm_member *m, const struct joining *j, struct reply *a)
{
	uint8_t body[1024];
	char path[96];
	struct gm_out o = gm_out(body, sizeof body);

	put_join(&o, r, m, j);
	snprintf(path, sizeof path, "/ace-group/%s", r->groups[m->group].name);
	return ask(r, m, &(struct asking){.method = GM_COAP_POST, .path = path, .format = GM_CF_GROUPCOMM, .payload = gm_out_result(&o)}, a);
}

#endif
