/* SPDX-License-Identifier: Apache-2.0 */
/* The authorization server at the other end of a link: it answers about references, keeps a list of revoked tokens, tells its
 * observers, forgets its contexts now and then and hears nothing for a while. Its list is what gmas has. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "inside.h"
#include "sim.h"
#include "wire/cbor.h"
#include "wire/fields.h"
#include "wire/trl.h"

#define LISTED_MAX 24u  /* one answer then has all of them, and is one datagram */
#define ANSWER_MAX 1200u

void sim_as_spec(struct sim *s, struct gm_as_spec *spec)
{
	struct sim_as *as = &s->as;

	snprintf(spec->issuer, sizeof spec->issuer, "%s", s->as_key.iss);
	spec->key = s->as_key.mint;
	as->linked = sim_chance(&s->dice, 5000);
	if (!as->linked)
		return;
	as->link = (struct gm_link){.ms_n = 16, .salt_n = 8, .sid_n = 1, .sid = {0x01}, .rid_n = 2, .rid = {0xa5, 0x02}, .alg = 10};
	gm_random(as->link.ms, as->link.ms_n);
	gm_random(as->link.salt, as->link.salt_n);
	gm_addr_parse(&as->addr, "127.2.0.1:5683");
	as->link.peer = as->addr;
	gm_server_init(&as->ctx, &as->link);
	spec->link = as->link;
	snprintf(spec->introspect, sizeof spec->introspect, "introspect");
	snprintf(spec->trl, sizeof spec->trl, "trl");
	spec->trl_every_s = 120 + sim_below(&s->dice, 600);
}

void sim_as_free(struct sim *s)
{
	gm_revoked_forget(&s->as.revoked);
	gm_opaque_drop(&s->as.opaques);
}

bool sim_as_revoked(const struct sim *s, const struct sim_ident *i)
{
	return sim_inside_revoked(s->turns.core, s->as.id, i->hash);
}

/* ---- datagrams */

static uint64_t hash(const uint8_t *p, size_t n)
{
	static const uint8_t key[16] = "what came before";

	return gm_siphash(key, p, n);
}

static void send_out(struct sim *s, struct gm_bytes pkt)
{
	gm_mem_send(s->net, &s->as.addr, &s->env.server, pkt.p, pkt.n);
}

static void answer(struct sim *s, uint64_t to, struct gm_bytes pkt)
{
	struct sim_kept *k = &s->as.kept[s->as.kept_n++ % 32];

	*k = (struct sim_kept){.to = to, .n = (uint16_t)pkt.n};
	memcpy(k->bytes, pkt.p, pkt.n);
	sim_counts.as_answers++;
	send_out(s, pkt);
}

static void refuse(struct sim *s, uint64_t to, const struct gm_coap *msg, uint8_t code)
{
	uint8_t bytes[32];
	struct gm_out pkt = gm_out(bytes, sizeof bytes);

	gm_coap_put_head(&pkt, GM_COAP_ACK, code, msg->mid, msg->token, msg->token_len);
	answer(s, to, gm_out_result(&pkt));
}

/* ---- what it says: code, options and payload */

static void put_answer(struct gm_out *out, uint8_t code, bool observed, int32_t format, struct gm_bytes body)
{
	uint16_t last = 0;

	gm_out_u8(out, code);
	if (observed)
		gm_coap_put_option(out, &last, GM_OPT_OBSERVE, NULL, 0);
	gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)format);
	gm_coap_put_payload(out, body.p, body.n);
}

static void put_list(struct sim *s, struct gm_out *out, const struct gm_revoked_query *q, bool observed)
{
	size_t cap = gm_revoked_size(&s->as.revoked);
	uint8_t *bytes = malloc(cap);
	struct gm_out body = gm_out(bytes, cap);

	gm_revoked_answer(&s->as.revoked, q, &body);
	put_answer(out, GM_COAP(2, 5), observed, GM_CF_TRL, gm_out_result(&body));
	free(bytes);
}

static struct sim_observer *observer_of(struct sim_as *as, const struct gm_coap *msg)
{
	struct sim_observer *place = &as->observer[sim_below(&sim_now->dice, 4)];

	for (unsigned i = 0; i < 4; i++) {
		struct sim_observer *o = &as->observer[i];
		if (o->used && o->token_len == msg->token_len && memcmp(o->token, msg->token, o->token_len) == 0)
			return o;
		if (!o->used || o->generation != as->ctx.generation)
			place = o;
	}
	return place;
}

static bool observe(struct sim_as *as, const struct gm_coap *msg, const struct gm_server_request *x, const struct gm_revoked_query *q)
{
	struct sim_observer *o = observer_of(as, msg);

	o->used = x->inner.observe == 0;
	if (!o->used)
		return false;
	*o = (struct sim_observer){.used = true, .generation = as->ctx.generation, .token_len = msg->token_len, .of = x->of, .query = *q};
	memcpy(o->token, msg->token, sizeof o->token);
	return true;
}

static bool say_list(struct sim *s, struct gm_out *out, const struct gm_coap *msg, const struct gm_server_request *x)
{
	uint8_t bytes[64];
	struct gm_out fault = gm_out(bytes, sizeof bytes);
	struct gm_revoked_query q;

	if (gm_revoked_parse(&s->as.revoked, x->inner.query, x->inner.query_n, &q, &fault) != GM_E_OK) {
		put_answer(out, GM_COAP(4, 0), false, GM_CF_PROBLEM, gm_out_result(&fault));
		return false;
	}
	bool observed = x->inner.has_observe && observe(&s->as, msg, x, &q);
	put_list(s, out, &q, observed);
	return observed;
}

static void say_token(struct sim *s, struct gm_out *out, const struct gm_coap *inner)
{
	static const struct gm_field fields[] = {{11, GM_FIELD_BSTR, 0}};
	uint8_t bytes[GM_TOKEN_MAX + 16];
	struct gm_out body = gm_out(bytes, sizeof bytes);
	struct gm_bytes token = {0};

	if (gm_fields_decode(inner->payload, fields, 1, &token) != GM_E_OK) {
		sim_fail(s, "what gmd asks its authorization server cannot be read");
		return;
	}
	gm_opaque_answer(&s->as.opaques, token, &s->as.revoked, sim_wall_s(s), &body);
	sim_counts.as_inactive += gm_out_len(&body) < 8;
	put_answer(out, GM_COAP(2, 1), false, GM_CF_ACE, gm_out_result(&body));
}

static void serve(struct sim *s, uint64_t to, const struct gm_coap *msg, struct gm_server_request *x)
{
	uint8_t plain[ANSWER_MAX], bytes[GM_MEM_DGRAM_MAX];
	struct gm_out inner = gm_out(plain, sizeof plain), pkt = gm_out(bytes, sizeof bytes);
	struct gm_oscore_outer outer = {.type = GM_COAP_ACK, .mid = msg->mid, .token_len = msg->token_len};
	bool list = x->inner.path_n == 1 && gm_bytes_is(x->inner.path[0], "trl"), observed = false;

	if (list)
		observed = say_list(s, &inner, msg, x);
	else
		say_token(s, &inner, &x->inner);
	memcpy(outer.token, msg->token, sizeof outer.token);
	outer.code = observed ? GM_COAP(2, 5) : GM_COAP(2, 4);
	outer.has_observe = observed;
	outer.observe = (uint32_t)s->as.ctx.seq & 0xffffffu;
	if (inner.err != GM_E_OK || gm_server_seal(&s->as.ctx, &x->of, &outer, observed, gm_out_result(&inner), &pkt) != GM_E_OK)
		sim_fail(s, "the authorization server's answer does not fit");
	else
		answer(s, to, gm_out_result(&pkt));
}

static void notify(struct sim *s)
{
	for (unsigned i = 0; i < 4; i++) {
		struct sim_observer *o = &s->as.observer[i];
		uint8_t plain[ANSWER_MAX], bytes[GM_MEM_DGRAM_MAX];
		struct gm_out inner = gm_out(plain, sizeof plain), pkt = gm_out(bytes, sizeof bytes);
		if (!o->used || o->generation != s->as.ctx.generation)
			continue;
		struct gm_oscore_outer outer = {.type = GM_COAP_NON, .code = GM_COAP(2, 5), .mid = s->as.mid++, .token_len = o->token_len,
		                                .has_observe = true, .observe = (uint32_t)s->as.ctx.seq & 0xffffffu};
		memcpy(outer.token, o->token, sizeof outer.token);
		put_list(s, &inner, &o->query, true);
		sim_counts.as_notices++;
		if (gm_server_seal(&s->as.ctx, &o->of, &outer, true, gm_out_result(&inner), &pkt) == GM_E_OK)
			send_out(s, gm_out_result(&pkt));
	}
}

void sim_as_receive(struct sim *s, const struct gm_mem_dgram *d)
{
	static const uint8_t codes[] = {
	    [GM_SERVER_UNKNOWN] = GM_COAP(4, 1), [GM_SERVER_REPLAY] = GM_COAP(4, 1), [GM_SERVER_BAD] = GM_COAP(4, 0)};
	uint64_t came = hash(d->data, d->len);
	uint8_t bytes[GM_MEM_DGRAM_MAX];
	struct gm_out pkt = gm_out(bytes, sizeof bytes);
	struct gm_server_request x;
	struct gm_coap msg;

	if (s->as.silent_ms > sim_ms(s) || gm_coap_decode((struct gm_bytes){d->data, d->len}, &msg) != GM_E_OK || msg.code == 0 ||
	    msg.code >= 32 || !msg.has_oscore)
		return;
	for (unsigned i = 0; i < 32; i++)
		if (s->as.kept[i].n && s->as.kept[i].to == came) {
			send_out(s, (struct gm_bytes){s->as.kept[i].bytes, s->as.kept[i].n});
			return;
		}
	enum gm_server_got got = gm_server_open(&s->as.ctx, &msg, &x, &pkt);
	if (got == GM_SERVER_REQUEST)
		serve(s, came, &msg, &x);
	else if (got == GM_SERVER_HELLO)
		answer(s, came, gm_out_result(&pkt));
	else
		refuse(s, came, &msg, codes[got]);
}

/* ---- what gmd reads of it; broken on purpose: every second hash is passed over */

typedef void each_fn(void *arg, enum gm_trl_op op, struct gm_bytes hash);
enum gm_err __real_gm_trl_decode(struct gm_bytes body, struct gm_trl *trl, each_fn *each, void *arg);
enum gm_err __wrap_gm_trl_decode(struct gm_bytes body, struct gm_trl *trl, each_fn *each, void *arg);

struct passing {
	each_fn *each;
	void *arg;
};

static void pass_over(void *arg, enum gm_trl_op op, struct gm_bytes listed)
{
	const struct passing *p = arg;

	if (listed.p[1] & 1)
		p->each(p->arg, op, listed);
}

enum gm_err __wrap_gm_trl_decode(struct gm_bytes body, struct gm_trl *trl, each_fn *each, void *arg)
{
	struct passing p = {each, arg};

	return sim_broken == SIM_BREAK_UNREAD ? __real_gm_trl_decode(body, trl, pass_over, &p) : __real_gm_trl_decode(body, trl, each, arg);
}

/* ---- what it does by itself */

static void revoke(struct sim *s)
{
	unsigned i = sim_below(&s->dice, s->members_n);
	struct sim_ident *ident = &s->member[i].ident;

	if (ident->listed || s->as.revoked.now.n == LISTED_MAX)
		return;
	gm_revoked_enter(&s->as.revoked, ident->hash);
	ident->listed = ident->suspect = true;
	s->model.clock++;
	for (uint32_t k = 0; k < s->model.nodes; k++) {
		struct sim_node *n = &s->model.node[k];
		if (n->member != i || n->ident != s->member[i].idents)
			continue;
		n->state = n->state == SIM_IN ? SIM_UNSURE : n->state;
		n->unsure_at = s->model.clock;
	}
	sim_counts.as_listed++;
	sim_say(s, "the authorization server revokes the token of member %u", i);
	notify(s);
}

static void start_anew(struct sim *s)
{
	struct sim_as *as = &s->as;

	sim_counts.as_restarts++;
	sim_say(s, "the authorization server starts anew");
	gm_server_init(&as->ctx, &as->link);
	memset(as->observer, 0, sizeof as->observer);
	memset(as->kept, 0, sizeof as->kept);
	as->silent_ms = sim_ms(s) + sim_below(&s->dice, 20000);
}

void sim_as_turn(struct sim *s)
{
	if (!s->as.linked || s->quiet)
		return;
	if (sim_chance(&s->dice, 60))
		revoke(s);
	if (sim_chance(&s->dice, 15))
		start_anew(s);
}
