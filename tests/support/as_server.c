/* SPDX-License-Identifier: Apache-2.0 */
#include "as_server.h"

#include <stdlib.h>

#include "wire/cbor.h"

#define R2_N 8u

static struct gm_bytes bytes(const void *p, size_t n)
{
	return (struct gm_bytes){p, n};
}

/* The context of an ID Context, from this side. */
static bool derive(const struct as_server *s, struct gm_bytes id_context, struct gm_oscore_keys *keys)
{
	struct gm_oscore_input in = {
		.ms = {s->link.ms, s->link.ms_n},
		.salt = {s->link.salt, s->link.salt_n},
		.id_context = id_context,
		.sid = {s->link.rid, s->link.rid_n},
		.rid = {s->link.sid, s->link.sid_n},
		.alg = s->link.alg,
	};
	return gm_oscore_derive(keys, &in) == GM_E_OK;
}

void as_server_send(struct as_server *s, const void *p, size_t n)
{
	s->said = (struct gm_mem_dgram){.from = s->addr, .len = (uint16_t)n};
	memcpy(s->said.data, p, n);
	gm_mem_send(s->r->net, &s->addr, &s->r->dp_config.listen[0], p, n);
}

static void send_empty(struct as_server *s, uint8_t type, uint16_t mid)
{
	uint8_t b[4];
	struct gm_out o = gm_out(b, sizeof b);

	gm_coap_put_empty(&o, type, mid);
	as_server_send(s, b, sizeof b);
}

static void keep(struct as_server *s, uint16_t mid, const uint8_t *p, size_t n)
{
	struct as_kept *k = &s->kept[s->kept_n++ % 32];

	k->mid = mid;
	k->n = (uint16_t)n;
	memcpy(k->bytes, p, n);
}

struct reply { /* to whom, under what */
	const struct gm_oscore_keys *keys;
	const struct gm_coap *to;
	struct gm_oscore_request request;
	struct gm_bytes kid_context;
	bool own_piv, notification, observe;
	uint64_t piv;
};

static void seal(struct as_server *s, const struct reply *q, struct gm_bytes plain)
{
	uint8_t pkt[1500];
	struct gm_out out = gm_out(pkt, sizeof pkt);
	bool piggyback = !s->separate && !q->notification;
	struct gm_oscore_outer outer = {
		.type = piggyback ? GM_COAP_ACK : GM_COAP_CON,
		.code = q->observe ? GM_COAP(2, 5) : GM_COAP(2, 4),
		.mid = piggyback ? q->to->mid : s->next_mid++,
		.token_len = q->to->token_len,
		.has_observe = q->observe,
		.observe = (uint32_t)q->piv,
	};
	const struct gm_oscore_id *id = &q->request.kid;
	const uint8_t *piv = q->request.piv;
	uint8_t piv_n = q->request.piv_n;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	memcpy(outer.token, q->to->token, sizeof outer.token);
	if (q->kid_context.n) {
		outer.option.has_kid_context = true;
		outer.option.kid_context = q->kid_context;
	}
	if (q->own_piv) {
		outer.option.piv_n = gm_oscore_piv(outer.option.piv, q->piv);
		id = &q->keys->sid;
		piv = outer.option.piv;
		piv_n = outer.option.piv_n;
	}
	if (gm_oscore_wrap(q->keys, &outer, &q->request, id, piv, piv_n, plain, &out, &scratch, &job) != GM_E_OK)
		abort();
	if (!gm_aead_seal_many(&job, 1))
		abort();
	if (!q->notification)
		keep(s, q->to->mid, pkt, gm_out_len(&out));
	as_server_send(s, pkt, gm_out_len(&out));
}

static void refuse(struct as_server *s, const struct gm_coap *m, uint8_t code)
{
	uint8_t pkt[64];
	struct gm_out o = gm_out(pkt, sizeof pkt);

	s->refused++;
	gm_coap_put_head(&o, GM_COAP_ACK, code, m->mid, m->token, m->token_len);
	as_server_send(s, pkt, gm_out_len(&o));
}

static size_t put_answer(uint8_t *to, size_t cap, const struct as_answer *a, const struct gm_coap *inner, bool observe)
{
	struct gm_out o = gm_out(to, cap);
	struct gm_coap_block block = {.num = inner && inner->has_block2 ? inner->block2.num : 0};
	struct gm_bytes part = a->payload;
	uint16_t last = 0;

	while (a->block && 16u << block.szx < a->block)
		block.szx++;
	size_t at = (size_t)block.num << (block.szx + 4);
	if (a->block) {
		part = at < part.n ? bytes(part.p + at, part.n - at) : bytes(NULL, 0);
		block.more = part.n > a->block;
		part.n = block.more ? a->block : part.n;
	}
	gm_out_u8(&o, a->code);
	if (a->etag.n)
		gm_coap_put_option(&o, &last, GM_OPT_ETAG, a->etag.p, a->etag.n);
	if (observe)
		gm_coap_put_option(&o, &last, GM_OPT_OBSERVE, NULL, 0);
	if (a->format != GM_CF_NONE)
		gm_coap_put_option_uint(&o, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)a->format);
	if (a->block)
		gm_coap_put_block(&o, &last, GM_OPT_BLOCK2, block);
	if (a->echo.n)
		gm_coap_put_option(&o, &last, GM_OPT_ECHO, a->echo.p, a->echo.n);
	gm_coap_put_payload(&o, part.p, part.n);
	return gm_out_len(&o);
}

static void serve(struct as_server *s, struct reply *q, const struct gm_coap *inner)
{
	uint8_t plain[1400];
	struct as_answer a = {.code = GM_COAP(2, 5), .format = GM_CF_NONE};

	s->requests++;
	s->last_method = inner->code;
	s->answer(s->arg, inner, &a);
	if (a.silent)
		return;
	if (inner->has_observe && inner->observe == 1)
		s->observation.on = false;
	if (inner->has_observe && inner->observe == 0 && a.observe) {
		s->observation = (struct as_observation){.on = true, .token_n = q->to->token_len, .piv_n = q->request.piv_n};
		memcpy(s->observation.token, q->to->token, 8);
		memcpy(s->observation.piv, q->request.piv, sizeof s->observation.piv);
	}
	q->observe = a.observe;
	q->own_piv = s->own_piv;
	q->piv = s->own_piv ? s->seq++ : 0;
	seal(s, q, bytes(plain, put_answer(plain, sizeof plain, &a, inner, a.observe)));
}

static bool open_request(const struct gm_oscore_keys *keys, const struct gm_coap *m, const struct gm_oscore_option *option,
                         struct reply *q, uint8_t *text, struct gm_coap *inner)
{
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	*q = (struct reply){.keys = keys, .to = m, .request = {.kid = keys->rid, .piv_n = option->piv_n}};
	memcpy(q->request.piv, option->piv, sizeof option->piv);
	return gm_oscore_unwrap(keys, m->payload, option, &q->request, true, text, 2048, &scratch, &job) == GM_E_OK &&
	       gm_aead_open_many(&job, 1) && gm_coap_decode_inner(bytes(text, job.text_len), inner) == GM_E_OK;
}

/* Response #1 */
static void say_r2(struct as_server *s, const struct gm_coap *m, const struct gm_oscore_option *option, struct gm_bytes id1)
{
	uint8_t id2[128], text[2048], plain[] = {GM_COAP(4, 1)}, wrapped[R2_N + 1] = {0x40 | R2_N};
	struct gm_oscore_keys first, second;
	struct gm_coap inner;
	struct reply q;

	if (!derive(s, id1, &first) || !open_request(&first, m, option, &q, text, &inner)) {
		s->bad++;
		refuse(s, m, GM_COAP(4, 0));
		return;
	}
	uint8_t *r2 = s->r2[s->r2_n++ % 8];
	gm_random(r2, R2_N);
	memcpy(id2, r2, R2_N);
	memcpy(id2 + R2_N, id1.p, id1.n);
	derive(s, bytes(id2, R2_N + id1.n), &second);
	memcpy(wrapped + 1, r2, R2_N);
	q.keys = &second;
	q.kid_context = bytes(wrapped, sizeof wrapped);
	q.own_piv = s->own_piv;
	s->hellos++;
	seal(s, &q, bytes(plain, sizeof plain));
}

static bool said_r2(const struct as_server *s, struct gm_bytes id)
{
	for (unsigned i = 0; i < s->r2_n && i < 8; i++)
		if (id.n > R2_N && memcmp(s->r2[i], id.p, R2_N) == 0)
			return true;
	return false;
}

/* Request #2: the third context, if it opens. */
static bool take_third(struct as_server *s, const struct gm_coap *m, const struct gm_oscore_option *option, struct gm_bytes id)
{
	struct gm_oscore_keys third;
	uint8_t text[2048];
	struct gm_coap inner;
	struct reply q;

	if (!derive(s, id, &third) || !open_request(&third, m, option, &q, text, &inner))
		return false;
	s->keys = third;
	s->up = true;
	s->seq = 0;
	s->r2_n = 0;
	s->window = (struct gm_oscore_window){0};
	s->observation.on = false;
	memcpy(s->id3, id.p, id.n);
	s->id3_n = id.n;
	return true;
}

static void on_request(struct as_server *s, const struct gm_coap *m)
{
	struct gm_oscore_option option;
	struct gm_bytes id = {0};
	uint8_t text[2048];
	struct gm_coap inner;
	struct reply q;

	if (s->refuse || !m->has_oscore || gm_oscore_option_decode(m->oscore, &option) != GM_E_OK) {
		refuse(s, m, s->refuse ? s->refuse : GM_COAP(4, 2));
		return;
	}
	if (!option.has_kid || !gm_bytes_eq(option.kid, bytes(s->link.sid, s->link.sid_n)) ||
	    (!option.has_kid_context && !s->up)) {
		refuse(s, m, GM_COAP(4, 1));
		return;
	}
	if (s->separate)
		send_empty(s, GM_COAP_ACK, m->mid);
	if (option.has_kid_context) {
		struct gm_in in = gm_in_bytes(option.kid_context);
		id = gm_cbor_bstr(&in);
		if (gm_cbor_end(&in) != GM_E_OK) {
			s->bad++;
			return;
		}
	}
	if (option.has_kid_context && !(s->up && gm_bytes_eq(id, bytes(s->id3, s->id3_n))) &&
	    !(said_r2(s, id) && take_third(s, m, &option, id))) {
		say_r2(s, m, &option, id);
		return;
	}
	uint64_t seq = gm_oscore_piv_seq(option.piv, option.piv_n);
	if (!open_request(&s->keys, m, &option, &q, text, &inner)) {
		refuse(s, m, GM_COAP(4, 0));
		return;
	}
	if (!gm_oscore_window_fresh(&s->window, seq)) {
		s->bad++;
		return;
	}
	gm_oscore_window_accept(&s->window, seq);
	serve(s, &q, &inner);
}

static void receive(void *arg, const struct gm_mem_dgram *d)
{
	struct as_server *s = arg;
	struct gm_coap m;

	if (s->deaf)
		return;
	s->last = *d;
	if (gm_coap_decode(bytes(s->last.data, d->len), &m) != GM_E_OK) {
		s->bad++;
		return;
	}
	if (m.code == GM_COAP_EMPTY) {
		s->acks += m.type == GM_COAP_ACK;
		s->resets += m.type == GM_COAP_RST;
		return;
	}
	if (m.code >> 5 != 0)
		return;
	for (unsigned i = 0; !s->no_memory && i < s->kept_n && i < 32; i++) {
		if (s->kept[i].mid != m.mid)
			continue;
		s->repeats++;
		as_server_send(s, s->kept[i].bytes, s->kept[i].n);
		return;
	}
	on_request(s, &m);
}

void as_server_notify(struct as_server *s, uint64_t number, bool final, const struct as_answer *a)
{
	struct gm_coap to = {.token_len = s->observation.token_n};
	struct reply q = {.keys = &s->keys, .to = &to, .request = {.kid = s->keys.rid, .piv_n = s->observation.piv_n}};
	uint8_t plain[1400];

	memcpy(to.token, s->observation.token, 8);
	memcpy(q.request.piv, s->observation.piv, sizeof q.request.piv);
	q.own_piv = q.notification = true;
	q.observe = !final;
	q.piv = number;
	seal(s, &q, bytes(plain, put_answer(plain, sizeof plain, a, NULL, !final)));
}

void as_server_ask(struct as_server *s)
{
	uint8_t pkt[128], plain[] = {GM_COAP_GET};
	struct gm_out out = gm_out(pkt, sizeof pkt);
	struct gm_oscore_outer outer = {.type = GM_COAP_CON, .code = GM_COAP_POST, .mid = s->next_mid++, .token_len = 2};
	struct gm_oscore_request request = {.kid = s->keys.sid};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	request.piv_n = outer.option.piv_n = gm_oscore_piv(outer.option.piv, s->seq++);
	memcpy(request.piv, outer.option.piv, sizeof request.piv);
	outer.option.has_kid = true;
	outer.option.kid = bytes(s->keys.sid.b, s->keys.sid.n);
	if (gm_oscore_wrap(&s->keys, &outer, &request, &s->keys.sid, request.piv, request.piv_n, bytes(plain, sizeof plain), &out,
	                   &scratch, &job) != GM_E_OK)
		abort();
	if (!gm_aead_seal_many(&job, 1))
		abort();
	as_server_send(s, pkt, gm_out_len(&out));
}

/* ---- the wire is watched: the key is that of the kid context seen last */

static uint64_t hash(const void *p, size_t n)
{
	static const uint8_t key[16] = "as server hashes";

	return gm_siphash(key, p, n);
}

static void watch(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct as_server *s = arg;
	struct gm_oscore_option option;
	struct gm_oscore_keys keys;
	struct gm_coap m;
	uint8_t id[32] = {0};

	if (!gm_addr_eq(to, &s->addr) || gm_coap_decode(bytes(data, n), &m) != GM_E_OK || !m.has_oscore || m.code >> 5 ||
	    gm_oscore_option_decode(m.oscore, &option) != GM_E_OK)
		return;
	if (option.has_kid_context) {
		struct gm_in in = gm_in_bytes(option.kid_context);
		struct gm_bytes c = gm_cbor_bstr(&in);
		s->watch_context_n = c.n;
		memcpy(s->watch_context, c.p, c.n);
	}
	derive(s, bytes(s->watch_context, s->watch_context_n), &keys);
	memcpy(id, keys.recv_key, 16);
	gm_oscore_nonce(id + 16, gm_aead_info(keys.alg)->nonce_len, keys.common_iv, &keys.rid, option.piv, option.piv_n);
	struct as_watched at = {hash(id, sizeof id), hash(m.payload.p, m.payload.n)};
	for (unsigned i = 0; i < s->watched_n; i++) {
		if (s->watched[i].id != at.id)
			continue;
		s->reuses += s->watched[i].text != at.text;
		return;
	}
	s->watched = realloc(s->watched, ++s->watched_n * sizeof *s->watched);
	s->watched[s->watched_n - 1] = at;
}

/* ---- life */

struct as_server *as_server_new(struct flow *r, const char *addr, const struct gm_link *link)
{
	struct as_server *s = calloc(1, sizeof *s);

	s->r = r;
	s->link = *link;
	gm_addr_parse(&s->addr, addr);
	s->link.peer = s->addr;
	s->next_mid = 0x4000;
	r->far = receive;
	r->far_tap = watch;
	r->far_arg = s;
	r->far_addr = s->addr;
	return s;
}

void as_server_forget(struct as_server *s)
{
	s->up = false;
	s->r2_n = s->kept_n = 0;
	s->observation.on = false;
}

void as_server_free(struct as_server *s)
{
	s->r->far = NULL;
	s->r->far_tap = NULL;
	free(s->watched);
	free(s);
}
