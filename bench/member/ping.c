/* SPDX-License-Identifier: Apache-2.0 */
/* Requests under Group OSCORE over the network, between members of different programs. */
#include "traffic.h"

#define AGAIN_MS 2000u

/* ---- answering */

static void put_answer(struct gm_out *out, const struct gm_coap *inner)
{
	uint16_t last = 0;
	bool ping = inner->path_n == 1 && gm_bytes_is(inner->path[0], "ping");
	bool get = inner->code == GM_COAP_GET;
	gm_out_u8(out, !ping                         ? GM_COAP(4, 4)
	               : get                         ? GM_COAP(2, 5)
	               : inner->code == GM_COAP_POST ? GM_COAP(2, 4)
	                                             : GM_COAP(4, 5));
	if (!ping)
		return;
	gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, 0);
	if (inner->payload.n)
		gm_coap_put_payload(out, inner->payload.p, inner->payload.n);
	else
		gm_coap_put_payload(out, "pong", 4);
}

/* The answer takes the request's nonce and depends on nothing but the request: a repeat gets the same bytes. */
static void answer(struct gm_fleet *f, struct gm_member *m, const struct gm_coap *msg,
                   const struct gm_oscore_option *option, const struct gm_addr *from)
{
	struct gm_end own, peer;
	struct gm_coap inner;
	uint8_t text[1024], plain[1100], bytes[1400];
	size_t n;
	struct gm_out out = gm_out(plain, sizeof(plain)), pkt = gm_out(bytes, sizeof(bytes));
	if (!gm_end_own(&own, f, m) || !gm_end_peer(&peer, f, m->group, option->kid) ||
	    gm_group_unwrap(&own.ctx, &own.e, &peer.e, option, msg->oscore, NULL, msg->payload, text, sizeof(text), &n) !=
	        GM_E_OK ||
	    gm_coap_decode_inner((struct gm_bytes){text, n}, &inner) != GM_E_OK || m->roles == GM_ROLE_MONITOR) {
		f->env.stats.undecryptable++;
		return;
	}
	struct gm_group_request request = gm_group_request_of(option);
	struct gm_oscore_outer outer = {.type = msg->type == GM_COAP_CON ? GM_COAP_ACK : GM_COAP_NON,
	                                .code = GM_COAP(2, 4),
	                                .mid = msg->type == GM_COAP_CON ? msg->mid : m->next_mid++,
	                                .token_len = msg->token_len};
	memcpy(outer.token, msg->token, msg->token_len);
	put_answer(&out, &inner);
	if (out.err == GM_E_OK && gm_group_wrap(&own.ctx, &own.e, option->group ? NULL : &peer.e, &outer, &request, NULL, 0,
	                                        gm_out_result(&out), &pkt) == GM_E_OK)
		f->env.send(f->env.arg, m, from, bytes, gm_out_len(&pkt));
}

/* ---- asking */

static const char *judge(struct gm_fleet *f, struct gm_ping *p, const struct gm_coap *msg,
                         const struct gm_oscore_option *option)
{
	struct gm_end own, peer;
	struct gm_coap inner;
	uint8_t text[1400];
	size_t n;
	if (!gm_end_own(&own, f, p->from) ||
	    !gm_end_peer(&peer, f, p->from->group, (struct gm_bytes){p->sid, p->sid_n}))
		return "keys are gone";
	if (option->group == p->pairwise)
		return "answer is in the other mode";
	if (gm_group_unwrap(&own.ctx, &own.e, &peer.e, option, msg->oscore, &p->request, msg->payload, text, sizeof(text),
	                    &n) != GM_E_OK ||
	    gm_coap_decode_inner((struct gm_bytes){text, n}, &inner) != GM_E_OK)
		return "answer does not open";
	if (inner.code != (p->payload ? GM_COAP(2, 4) : GM_COAP(2, 5)))
		return "answer has another code";
	return gm_bytes_is(inner.payload, p->payload ? p->payload : "pong") ? NULL : "answer says something else";
}

static void on_group_message(void *arg, struct gm_member *m, const struct gm_coap *msg, const struct gm_addr *from)
{
	struct gm_fleet *f = arg;
	struct gm_oscore_option option;
	struct gm_ping *p = f->ping;
	if (!msg->has_oscore || gm_oscore_option_decode(msg->oscore, &option) != GM_E_OK) {
		f->env.stats.strangers++;
		return;
	}
	if (msg->code >> 5 == 0) {
		answer(f, m, msg, &option, from);
		return;
	}
	if (!p || p->from != m || p->answered || msg->token_len != 4 || memcmp(msg->token, p->token, 4) != 0)
		return;
	if (msg->type == GM_COAP_CON) {
		uint8_t bytes[4];
		struct gm_out ack = gm_out(bytes, sizeof(bytes));
		gm_coap_put_empty(&ack, GM_COAP_ACK, msg->mid);
		f->env.send(f->env.arg, m, from, bytes, sizeof(bytes));
	}
	p->answered = true;
	p->fault = judge(f, p, msg, &option);
}

void gm_ping_listen(struct gm_fleet *f)
{
	f->env.group_message = on_group_message;
}

static const char *make_request(struct gm_fleet *f, struct gm_ping *p)
{
	struct gm_end own, peer;
	uint8_t plain[256], piv[GM_OSCORE_PIV_MAX];
	uint16_t last = 0;
	struct gm_out inner = gm_out(plain, sizeof(plain)), pkt = gm_out(p->pkt, sizeof(p->pkt));
	struct gm_oscore_outer outer = {
	    .type = GM_COAP_CON, .code = GM_COAP_POST, .mid = p->from->next_mid++, .token_len = 4};
	struct gm_coap msg;
	struct gm_oscore_option option;
	if (!gm_end_own(&own, f, p->from))
		return "this member has no keys";
	if (!gm_end_peer(&peer, f, p->from->group, (struct gm_bytes){p->sid, p->sid_n}))
		return "nobody here knows the credential of that Sender ID; try learn";
	gm_random(p->token, sizeof(p->token));
	memcpy(outer.token, p->token, sizeof(p->token));
	gm_out_u8(&inner, p->payload ? GM_COAP_POST : GM_COAP_GET);
	gm_coap_put_option(&inner, &last, GM_OPT_URI_PATH, "ping", 4);
	gm_coap_put_payload(&inner, p->payload, p->payload ? strlen(p->payload) : 0);
	uint8_t piv_n = gm_oscore_piv(piv, p->from->group_seq++);
	if (inner.err != GM_E_OK || gm_group_wrap(&own.ctx, &own.e, p->pairwise ? &peer.e : NULL, &outer, NULL, piv, piv_n,
	                                          gm_out_result(&inner), &pkt) != GM_E_OK)
		return "the request cannot be made";
	p->pkt_n = gm_out_len(&pkt);
	if (gm_coap_decode(gm_out_result(&pkt), &msg) != GM_E_OK ||
	    gm_oscore_option_decode(msg.oscore, &option) != GM_E_OK)
		return "the request cannot be read";
	p->request = gm_group_request_of(&option);
	return NULL;
}

bool gm_ping(struct gm_fleet *f, struct gm_ping *p, uint64_t timeout_ms)
{
	uint64_t start = f->ops->now_ns(f->port), again = 0, now;
	p->answered = false;
	p->fault = make_request(f, p);
	if (p->fault)
		return false;
	f->ping = p;
	while (!p->answered && (now = f->ops->now_ns(f->port)) - start < timeout_ms * 1000000u) {
		if (now >= again) {
			f->env.send(f->env.arg, p->from, &p->to, p->pkt, p->pkt_n);
			again = now + AGAIN_MS * 1000000u;
		}
		gm_fleet_turn(f, 50);
	}
	f->ping = NULL;
	p->took_ns = f->ops->now_ns(f->port) - start;
	if (!p->answered)
		p->fault = "no answer";
	return p->fault == NULL;
}
