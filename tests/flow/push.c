/* SPDX-License-Identifier: Apache-2.0 */
/* A change of a group's algorithms reaches its members ahead of the keys they are used with, over the real worker and the
 * real core. GA §6.6.2 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <time.h>

#include "core_poke.h"
#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define A128GCM 1

static const struct gm_admin_map other_alg = {
	.has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = A128GCM, .policies = {-1, -1}};

static void join_some(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool post = i % 3 != 2;
		struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, post);
		cr_assert(flow_do(r, m, post ? JOIN : JOIN | GM_PLAN(GM_OP_OBSERVE)));
	}
}

Test(push, of_other_algorithms_comes_to_each_called_member_before_the_keys)
{
	struct flow *r = flow_new(2, NULL);

	join_some(r, 30);
	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u64, r->env.stats.configurations, 20), "observers read it in their notification");
	cr_assert(eq(u64, r->env.stats.rekeys[GM_HOW_POST], 20));
	cr_assert(eq(u64, r->env.stats.rekeys[GM_HOW_OBSERVE], 10));
	cr_assert(eq(i32, r->env.groups[0].params.alg, A128GCM));
	cr_assert(eq(u32, flow_at_version(r, 1), 30));
	cr_assert(eq(u64, flow_status(r).confirmed, 30));
	cr_assert(flow_do(r, flow_member(r, GM_ROLE_REQUESTER, true), JOIN), "one who comes later agrees with what was pushed");
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u64, r->env.stats.configurations, 20), "once");
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(push, arrives_under_loss_with_retransmissions_of_the_same_bytes)
{
	struct gm_mem_faults faults = {.loss = 100000, .dup = 50000, .delay_ns = 1000000, .jitter_ns = 5000000};
	struct flow *r = flow_new(2, &faults);

	join_some(r, 30);
	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	flow_run(r, 140000);
	struct gm_core_status s = flow_status(r);
	cr_assert(eq(u64, s.confirmed + s.late, 30));
	cr_assert(ge(u64, s.confirmed, 27));
	cr_assert(ge(u64, r->env.stats.configurations, 18));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(push, that_is_never_confirmed_leaves_the_member_late_and_its_keys_unsent)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_group_info info;

	join_some(r, 2);
	r->mute = true;
	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	flow_run(r, 100000);
	flow_info(r, &info);
	cr_assert(eq(u32, info.late, 2));
	cr_assert(eq(u64, r->dp->worker[0]->stats.rekey_sent, 0));
	cr_assert(eq(str, (char *)info.state, "idle"));
	r->mute = false;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u64, r->env.stats.configurations, 0), "it learns by asking");
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(push, cut_off_by_a_stop_is_made_again)
{
	struct flow *r = flow_new(2, NULL);

	join_some(r, 6);
	r->mute = true;
	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	flow_run(r, 50);
	r->mute = false;
	flow_restart(r, 1);
	flow_run(r, 8000);
	cr_assert(eq(u64, r->env.stats.configurations, 4));
	cr_assert(eq(u32, flow_at_version(r, 1), 6));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(push, superseded_by_a_rekey_comes_with_the_next_walk)
{
	struct flow *r = flow_new(1, NULL);

	join_some(r, 6);
	r->mute = true;
	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	flow_run(r, 50);
	r->mute = false;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 20000);
	cr_assert(eq(u64, r->env.stats.configurations, 4));
	cr_assert(eq(u32, flow_at_version(r, 2), 6));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- a change, and more in the turn that it came in */

struct patch { /* comes right before the first event of that kind */
	struct flow *r;
	bool (*before)(const struct gm_rec *rec);
	bool done;
};

static bool patch_before(void *arg, const struct gm_rec *rec)
{
	struct patch *p = arg;
	struct gm_txn txn = {.changes = &p->r->changes, .effects = &p->r->effects,
	                     .mono_ms = gm_mem_now(p->r->net) / 1000000, .wall_s = time(NULL)};

	if (!p->done && p->before(rec)) {
		p->done = true;
		core_poke_patch(p->r->core, &txn, &other_alg);
	}
	return false;
}

static bool ends_walk(const struct gm_rec *rec)
{
	return rec->type == GM_EV_DELIVERED && ((const struct gm_ev_delivered *)(const void *)rec)->walk_done;
}

static bool renews(const struct gm_rec *rec)
{
	const struct gm_ev_request *ev = (const void *)rec;

	return rec->type == GM_EV_REQUEST && ev->res == GM_RES_NODE && ev->method == GM_COAP_POST;
}

Test(push, of_a_change_that_comes_as_the_walk_before_it_ends_is_not_lost)
{
	struct flow *r = flow_new(1, NULL);
	struct patch p = {r, ends_walk, false};

	join_some(r, 6);
	r->event = patch_before;
	r->event_arg = &p;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 20000);
	cr_assert(p.done);
	cr_assert(eq(i32, r->env.groups[0].params.alg, A128GCM));
	cr_assert(eq(u64, r->env.stats.configurations, 4));
	cr_assert(eq(u32, flow_at_version(r, 2), 6));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(push, reaches_a_member_that_renews_its_keys_in_the_turn_of_the_change)
{
	struct flow *r = flow_new(1, NULL);
	struct patch p = {r, renews, false};
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	r->event = patch_before;
	r->event_arg = &p;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_RENEW)));
	flow_run(r, 20000);
	cr_assert(p.done);
	cr_assert(eq(u32, flow_at_version(r, 1), 1));
	cr_assert(eq(u64, r->env.stats.configurations, 1));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- who caused a rekey. KG §11.1 */

static struct gm_member *with_creds(struct flow *r, uint16_t group, bool post)
{
	struct gm_member *m = flow_member_in(r, group, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, post);

	m->want_creds = true;
	cr_assert(flow_do(r, m, post ? JOIN : JOIN | GM_PLAN(GM_OP_OBSERVE)));
	return m;
}

Test(push, of_keys_tells_members_who_has_joined)
{
	struct flow *r = flow_new(2, NULL);
	uint16_t group = flow_group(r, GM_BACKWARD_EACH);
	struct gm_member *a = with_creds(r, group, true), *b = with_creds(r, group, false);

	flow_run(r, 3000);
	struct gm_member *c = with_creds(r, group, true);
	flow_run(r, 3000);
	cr_assert(eq(u64, a->keys.version, 2));
	cr_assert(gm_member_find_peer(a, (struct gm_bytes){b->sid, b->sid_n}) != NULL);
	cr_assert(gm_member_find_peer(a, (struct gm_bytes){c->sid, c->sid_n}) != NULL);
	cr_assert(gm_member_find_peer(b, (struct gm_bytes){c->sid, c->sid_n}) != NULL, "also in notifications");
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}
