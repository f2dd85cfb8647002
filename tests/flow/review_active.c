/* SPDX-License-Identifier: Apache-2.0 */
/* What a second review found: observers of `active` whose mirror changes, and names longer than any group's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <time.h>

#include "core_poke.h"
#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))

static const struct asking watch_active = {.method = GM_COAP_GET, .path = "/ace-group/g1/active", .observe = true};

static void turn_active(struct flow *r)
{
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};

	core_poke_turn_active(r->core, &txn);
	flow_turn(r);
}

Test(join, with_a_group_name_of_eight_thousand_bytes_is_refused)
{
	static uint8_t bytes[8192], scope[8192], name[8100];
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct gm_out s = gm_out(scope, sizeof scope), o = gm_out(bytes, sizeof bytes);
	struct reply a;

	cr_assert(flow_do(r, m, TOKEN));
	memset(name, 'x', sizeof name);
	gm_cbor_put_array(&s, 2);
	gm_cbor_put_tstr(&s, name, sizeof name);
	gm_cbor_put_uint(&s, GM_ROLE_REQUESTER);
	gm_cbor_put_map(&o, 2);
	gm_cbor_put_uint(&o, 3);
	gm_cbor_put_bstr(&o, scope, gm_out_len(&s));
	gm_cbor_put_uint(&o, 6);
	gm_cbor_put_bstr(&o, name, 8);
	size_t len = gm_out_len(&o);
	for (uint32_t i = 0; i * 1024 < len; i++) {
		struct gm_coap_block block = {.num = i, .more = (i + 1) * 1024 < len, .szx = 6};
		struct asking q = {.method = GM_COAP_POST, .path = "/ace-group/g1", .block1 = &block,
			.payload = {bytes + i * 1024, block.more ? 1024 : len - i * 1024}};
		cr_assert(ask(r, m, &q, &a));
	}
	cr_assert(eq(u8, a.inner.code, GM_COAP(4, 0)));
	flow_free(r);
}

Test(active, observed_anew_while_its_notification_is_out_uses_no_nonce_twice)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	turn_active(r);
	flow_run(r, 20);
	r->mute = false;
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	flow_run(r, 30000);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(active, observer_that_is_evicted_while_its_notification_is_out_is_closed_and_wiped)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct reply a;
	unsigned evicted = 0;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	turn_active(r);
	flow_run(r, 20);
	gm_ctx_id id = gm_member_at(r->dp->worker[0], 1)->ctx;
	cr_assert(flow_evict(r, m->node, &evicted) == GM_E_OK);
	flow_run(r, 200000);
	cr_assert(gm_ctx_at(r->dp->worker[0], id) == NULL);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- active and the pacer, and a stop */

static void make_active(struct flow *r, bool active)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE), .active = active, .policies = {-1, -1}};

	cr_assert(flow_set(r, &map) == GM_E_OK);
}

static struct gm_member *observer(struct flow *r)
{
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ask(r, m, &watch_active, &a));
	return m;
}

Test(active, notifications_keep_the_pace)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	for (unsigned i = 0; i < 30; i++)
		observer(r);
	gm_dp_set_pace_for_all(r->dp, 10);
	w->pace.tokens = 0;
	w->pace.tokens_ns = w->now_ns;
	uint64_t before = r->to_members;
	r->mute = true;
	turn_active(r);
	flow_run(r, 1500);
	uint64_t sent = r->to_members - before;
	cr_assert(ge(u64, sent, 13));
	cr_assert(le(u64, sent, 17));
	gm_dp_set_pace_for_all(r->dp, 0);
	flow_run(r, 100);
	cr_assert(eq(u64, r->to_members - before, 30), "all of them in the end");
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* Core has committed, the worker has not heard when the process ends. */
Test(active, that_changed_before_a_stop_is_told_after_it)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = observer(r);
	struct reply a;
	unsigned tries = 0;

	struct gm_observation obs = gm_member_obs(r->dp->worker[0], gm_member_at(r->dp->worker[0], 1), GM_OBS_ACTIVE);
	make_active(r, false);
	flow_restart(r, 1);
	memset(&a, 0, sizeof a);
	a.request.kid = m->oscore.sid;
	a.request.piv_n = obs.piv_n;
	memcpy(a.request.piv, obs.piv, sizeof obs.piv);
	while (!await_reply(r, m, &a) && ++tries < 5)
		;
	cr_assert(a.came);
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_assert(eq(u8, a.inner.payload.p[0], 0xf4));
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(renewal, and_another_credential_are_refused_with_error_9_where_the_group_is_inactive)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, true);
	struct reply a;
	char path[2][64];

	cr_assert(flow_do(r, m, JOIN));
	snprintf(path[0], sizeof path[0], "/ace-group/g1/nodes/%s", m->node);
	snprintf(path[1], sizeof path[1], "/ace-group/g1/nodes/%s/cred", m->node);
	make_active(r, false);
	flow_run(r, 5);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_POST, .path = path[i]}, &a));
		cr_assert(eq(u8, a.inner.code, GM_COAP(5, 3)));
		cr_assert(eq(i32, a.inner.content_format, GM_CF_PROBLEM));
		cr_assert(eq(u8, a.inner.payload.p[4], 9), "{0: {0: 9, ..}, ..}");
	}
	make_active(r, true);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_RENEW)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_RECRED)));
	flow_free(r);
}

/* ---- a hand-over, behind a snapshot of the store */

/* The old process tells, and nobody has acknowledged it when the new one takes its place. */
static void turn_active_unheard(struct flow *r)
{
	r->mute = true;
	turn_active(r);
	flow_run(r, 100);
}

static void nothing(struct flow *r)
{
	flow_run(r, 100);
}

Test(hand_over, of_a_group_with_an_observer_uses_no_nonce_twice_whether_it_turned_meanwhile_or_not)
{
	void (*const meanwhile[])(struct flow *r) = {nothing, turn_active_unheard};

	for (unsigned i = 0; i < 2; i++) {
		struct flow *r = flow_new(1, NULL);
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
		struct reply a;

		cr_assert(flow_do(r, m, JOIN));
		cr_assert(ask(r, m, &watch_active, &a));
		cr_assert(flow_rekey(r, false) == GM_E_OK);
		flow_run(r, 3000);
		cr_assert(eq(u32, flow_at_version(r, 1), 1));
		flow_hand_over(r, 1, meanwhile[i]);
		r->mute = false;
		flow_run(r, 5000);
		cr_expect(eq(u32, r->reuses, 0));
		cr_assert(flow_rekey(r, false) == GM_E_OK);
		flow_run(r, 5000);
		cr_expect(eq(u32, flow_at_version(r, 2), 1), "the member is served on");
		cr_expect(eq(u32, r->reuses, 0));
		flow_free(r);
	}
}
