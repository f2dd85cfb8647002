/* SPDX-License-Identifier: Apache-2.0 */
/* A posted token that says nothing itself: the worker hands it up and waits for what an authorization server says. The test
 * plays core's part in that. RFC 9200 §5.9 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <time.h>

#include "askey.h"
#include "flow_rig.h"
#include "wire/cbor.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

struct asked {
	unsigned n;
	uint32_t xid;
	uint8_t hash[GM_TOKEN_HASH], token[GM_REFERENCE_MAX];
	size_t token_n;
};

static bool on_event(void *arg, const struct gm_rec *rec)
{
	const struct gm_ev_token *ev = (const void *)rec;
	struct asked *a = arg;
	struct gm_bytes t = gm_rec_bytes(ev, ev->reference);

	if (rec->type != GM_EV_TOKEN || !t.n)
		return false;
	cr_expect_eq(ev->as_id, 0);
	cr_expect_eq(ev->bad, GM_E_OK);
	a->n++;
	a->xid = ev->xid;
	a->token_n = t.n;
	memcpy(a->token, t.p, t.n);
	memcpy(a->hash, ev->hash, sizeof a->hash);
	return true;
}

static struct flow *begin(struct asked *a, bool introspects)
{
	struct flow *r = flow_new(1, NULL);

	flow_run(r, 5);
	r->event = on_event;
	r->event_arg = a;
	r->dp->worker[0]->as[0].introspect = introspects;
	return r;
}

static struct gm_member *with_reference(struct flow *r, size_t n)
{
	struct gm_member *m = flow_member(r, BOTH, true);

	m->token = realloc(m->token, n);
	m->token_n = (uint16_t)n;
	memset(m->token, 0x5a, n);
	return m;
}

/* What a server would say of it, and core of groups. */
static void answer_with(struct flow *r, const struct asked *a, const struct gm_member *m, int32_t osc_alg, struct gm_bytes infos,
                        uint8_t infos_n)
{
	union {
		struct gm_eff_token e;
		uint8_t bytes[4096];
	} u = {.e = {.rec = {.type = GM_EFF_TOKEN, .len = sizeof u.e}, .xid = a->xid, .challenge = 1, .exp = time(NULL) + 600}};
	uint8_t scope[64], claims[400];
	struct gm_out s = gm_out(scope, sizeof scope), c = gm_out(claims, sizeof claims);
	struct gm_cwt cwt = {.exp = u.e.exp, .nbf = -1, .iat = -1, .exi = -1, .ace_profile = -1, .has_osc = true};

	gm_cbor_put_array(&s, 1);
	gm_scope_put(&s, "g1", BOTH);
	cwt.scope = gm_out_result(&s);
	cwt.osc = (struct gm_osc){.version = 1, .hkdf = 5, .alg = osc_alg};
	cwt.osc.id = (struct gm_bytes){m->osc_id, sizeof m->osc_id};
	cwt.osc.ms = (struct gm_bytes){m->token_ms, sizeof m->token_ms};
	cwt.osc.salt = (struct gm_bytes){m->token_salt, sizeof m->token_salt};
	gm_cwt_encode(&c, &cwt);
	gm_random(u.e.nonce2, sizeof u.e.nonce2);
	gm_random(u.e.n_s, sizeof u.e.n_s);
	u.e.as_id = r->dp->worker[0]->as[0].id;
	u.e.claims = gm_rec_append(&u.e.rec, claims, gm_out_len(&c));
	if (infos_n)
		u.e.infos = gm_rec_append(&u.e.rec, infos.p, infos.n);
	u.e.infos_n = infos_n;
	flow_effect(r, 0, &u.e, (u.e.rec.len + 7) & ~7u);
}

static void answer(struct flow *r, const struct asked *a, const struct gm_member *m, int32_t osc_alg)
{
	answer_with(r, a, m, osc_alg, (struct gm_bytes){0}, 0);
}

static void post(struct flow *r, struct gm_member *m, unsigned ms)
{
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, JOIN);
	flow_run(r, ms);
}

Test(reference, is_handed_up_and_opens_the_group_once_it_is_vouched_for)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, 24);
	uint8_t hash[GM_TOKEN_HASH];

	post(r, m, 3000);
	cr_assert_eq(a.n, 1);
	cr_expect_eq(a.token_n, 24);
	gm_token_hash(hash, (struct gm_bytes){m->token, m->token_n});
	cr_expect_eq(memcmp(a.hash, hash, sizeof hash), 0);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), 0, "not answered before the server has");
	answer(r, &a, m, 10);
	flow_run(r, 3000);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(2, 1));
	cr_expect_eq(flow_code(r, m, GM_OP_JOIN), GM_COAP(2, 1));
	cr_expect_eq(r->failures, 0);
	flow_free(r);
}

Test(reference, that_comes_again_meanwhile_is_asked_about_once)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, 24);

	post(r, m, 8000); /* the member hears nothing and repeats itself */
	cr_expect_gt(r->to_gm, 1);
	cr_expect_eq(a.n, 1);
	answer(r, &a, m, 10);
	r->mute = true; /* the answer is lost */
	flow_run(r, 100);
	r->mute = false;
	flow_run(r, 20000);
	cr_expect_eq(flow_code(r, m, GM_OP_JOIN), GM_COAP(2, 1), "a repeat gets it again");
	cr_expect_eq(a.n, 1);
	flow_free(r);
}

Test(reference, that_takes_a_while_is_answered_once_to_one_who_never_shows_itself)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, 24);

	post(r, m, 1500); /* one request, as from an address that another put into it */
	cr_expect_eq(r->to_gm, 1);
	cr_expect_eq(r->to_members, 0, "no empty ACK, which would promise a confirmable message");
	r->mute = true;
	m->ex.active = false;
	answer(r, &a, m, 10);
	flow_run(r, 100000);
	cr_expect_eq(r->to_gm, 1);
	cr_expect_eq(r->to_members, 1);
	m->ex.active = true;
	flow_free(r);
}

/* Pairs in the answer to a request with a reference of so many bytes; core gives two, of about 40 and 900 bytes. */
static unsigned infos_for(size_t reference_n)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, reference_n);
	uint8_t bytes[1000], of_a_group[900] = {0};
	struct gm_out infos = gm_out(bytes, sizeof bytes);
	struct gm_token_response response;
	struct gm_mem_dgram d;
	struct gm_coap msg;

	gm_cbor_put_uint(&infos, 45);
	gm_cbor_put_bstr(&infos, of_a_group, 40);
	gm_cbor_put_uint(&infos, 47);
	gm_cbor_put_bstr(&infos, of_a_group, 900);
	post(r, m, 100);
	answer_with(r, &a, m, 10, gm_out_result(&infos), 2);
	gm_worker_turn(r->dp->worker[0]);
	gm_mem_step(r->net, 10000000);
	cr_assert(gm_mem_recv(r->net, &m->addr, &d));
	cr_expect_leq(d.len, 3u * m->ex.pkt_n);
	cr_assert_eq(gm_coap_decode((struct gm_bytes){d.data, d.len}, &msg), GM_E_OK);
	cr_assert_eq(msg.code, GM_COAP(2, 1));
	cr_assert_eq(gm_token_response_decode(msg.payload, &response), GM_E_OK);
	cr_expect(response.nonce2.n && response.id2.n && response.challenge.n);
	flow_free(r);
	return response.infos_n - 3;
}

Test(reference, is_told_of_groups_what_three_times_the_request_has_room_for)
{
	cr_expect_eq(infos_for(16), 1);
	cr_expect_eq(infos_for(200), 1);
	cr_expect_eq(infos_for(400), 2);
}

Test(reference, whose_claims_do_not_fit_the_profile_is_refused)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, 24);

	post(r, m, 100);
	answer(r, &a, m, 12); /* nonces too short for our IDs */
	flow_run(r, 100);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 0));
	flow_free(r);
}

Test(reference, is_refused_where_nobody_can_be_asked_or_it_is_too_long)
{
	struct asked a = {0};
	struct flow *r = begin(&a, false);
	struct gm_member *m = with_reference(r, 24);

	post(r, m, 100);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 0));
	r->dp->worker[0]->as[0].introspect = true;
	m = with_reference(r, GM_REFERENCE_MAX + 1);
	post(r, m, 100);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 0));
	cr_expect_eq(a.n, 0);
	flow_free(r);
}

static void note_max_age(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct gm_coap msg;
	(void)to;
	if (gm_coap_decode((struct gm_bytes){data, n}, &msg) == GM_E_OK && msg.code == GM_COAP(5, 3))
		*(uint32_t *)arg = msg.has_max_age ? msg.max_age : 0;
}

Test(reference, that_cannot_be_judged_now_may_come_again_in_some_seconds)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = with_reference(r, 24);
	uint32_t max_age = 99;

	r->far_tap = note_max_age;
	r->far_arg = &max_age;
	post(r, m, 3000);
	cr_assert_eq(a.n, 1);
	struct gm_eff_token e = {.rec = {.type = GM_EFF_TOKEN, .len = sizeof e}, .xid = a.xid, .err = GM_E_AS_SILENT};
	flow_effect(r, 0, &e, sizeof e);
	flow_run(r, 100);
	cr_expect(max_age >= 2 && max_age <= 5, "%u", max_age);
	r->far_tap = NULL;
	flow_free(r);
}

Test(reference, is_none_where_a_token_is_forged)
{
	struct asked a = {0};
	struct flow *r = begin(&a, true);
	struct gm_member *m = flow_member(r, BOTH, true);

	m->token[m->token_n - 1] ^= 1;
	post(r, m, 100);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1));
	cr_expect_eq(a.n, 0);
	flow_free(r);
}

/* As anybody on the way might vary it. */
Test(strict, tokens_are_refused_in_any_other_form)
{
	struct asked a = {0};
	struct flow *r = begin(&a, false);
	struct gm_member *m = flow_member(r, BOTH, true);

	r->dp->worker[0]->as[0].strict = true;
	memmove(m->token, m->token + 2, m->token_n - 2); /* without tag 61 */
	m->token_n = (uint16_t)(m->token_n - 2);
	post(r, m, 100);
	cr_expect_eq(flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 0));
	m = flow_member(r, BOTH, true);
	post(r, m, 1000);
	cr_expect_eq(flow_code(r, m, GM_OP_JOIN), GM_COAP(2, 1));
	flow_free(r);
}
