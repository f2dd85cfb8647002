/* SPDX-License-Identifier: Apache-2.0 */
/* What a member lives through between joining and its end. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"
#include "wire/admin.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define JOIN_OBSERVE (JOIN | GM_PLAN(GM_OP_OBSERVE))

static void join_responders(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, true), JOIN), "member %u: token %02x join %02x", i,
		          r->last_code[i][GM_OP_TOKEN], r->last_code[i][GM_OP_JOIN]);
}

Test(join, with_many_credentials_comes_in_blocks_and_is_made_once)
{
	struct gm_mem_faults faults = {.loss = 100000, .dup = 100000, .delay_ns = 1000000};
	struct flow *r = flow_new(2, &faults);
	struct gm_member *m;

	join_responders(r, 60);
	m = flow_member(r, GM_ROLE_REQUESTER, true);
	m->want_creds = true;
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(eq(u32, m->peers_n, 60));
	cr_assert(ge(u64, r->env.stats.blocks, 3));
	cr_assert(eq(u64, flow_status(r).joins_ok, 61));
	cr_assert(eq(u64, flow_status(r).rejoins, 0));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(join, of_a_monitor_gives_no_sender_id)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_MONITOR, true);

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(eq(u8, m->sid_n, 0));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(eq(u64, m->keys.version, 1));
	flow_free(r);
}

Test(join, again_gives_another_sender_id_and_the_same_node)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	char node[sizeof m->node];
	uint8_t sid[GM_SID_MAX];

	cr_assert(flow_do(r, m, JOIN));
	memcpy(node, m->node, sizeof node);
	memcpy(sid, m->sid, sizeof sid);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_assert(eq(u8, flow_code(r, m, GM_OP_JOIN), GM_COAP(2, 4)));
	cr_assert(eq(str, m->node, node));
	cr_assert(memcmp(m->sid, sid, m->sid_n) != 0);
	cr_assert(eq(u32, flow_status(r).members, 1));
	flow_free(r);
}

Test(token, posted_again_makes_a_new_context_and_keeps_the_membership)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_NODE)));
	cr_assert(eq(u32, flow_status(r).members, 1));
	cr_assert(eq(u32, flow_status(r).contexts, 1), "the old context is dropped when the new one is in use");
	cr_assert(eq(u32, r->contexts, 2));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(eq(u64, m->keys.version, 1));
	flow_free(r);
}

Test(token, that_nobody_uses_leaves_nothing_behind_after_a_minute)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	cr_assert(eq(u32, flow_status(r).contexts, 0));
	cr_assert(eq(u64, r->dp->worker[0]->stats.contexts_pending, 1));
	flow_run(r, 61000);
	cr_assert(eq(u64, r->dp->worker[0]->stats.contexts_pending, 0));
	flow_free(r);
}

Test(token, that_expires_ends_the_membership_and_rekeys_the_others)
{
	struct flow *r = flow_new(2, NULL);

	join_responders(r, 3);
	r->wall_s = 1800;
	struct gm_member *young = flow_member(r, GM_ROLE_RESPONDER, true);
	cr_assert(flow_do(r, young, JOIN));
	cr_assert(eq(u32, flow_status(r).members, 4));
	r->wall_s = 3700;
	flow_run(r, 10000);
	cr_assert(eq(u32, flow_status(r).members, 0));
	cr_assert(eq(u32, flow_status(r).contexts, 0));
	cr_assert(eq(u64, r->env.stats.notices, 4));
	flow_free(r);
}

Test(backward_security, by_window_answers_all_joins_with_one_rekey)
{
	struct flow *r = flow_new(2, NULL);
	uint16_t g = flow_group(r, GM_BACKWARD_WINDOW);
	struct gm_member *first = flow_member_in(r, g, GM_ROLE_RESPONDER, true), *m[5];

	cr_assert(flow_do(r, first, JOIN));
	for (unsigned i = 0; i < 5; i++) {
		m[i] = flow_member_in(r, g, GM_ROLE_RESPONDER, true);
		cr_assert(flow_do(r, m[i], GM_PLAN(GM_OP_TOKEN)));
	}
	for (unsigned i = 0; i < 5; i++)
		gm_member_plan(&r->env, m[i], GM_PLAN(GM_OP_JOIN));
	flow_run(r, 8000);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert(eq(u64, m[i]->keys.version, 1));
		cr_assert(eq(u8, flow_code(r, m[i], GM_OP_JOIN), GM_COAP(2, 1)));
	}
	cr_assert(eq(u64, first->keys.version, 1));
	cr_assert(eq(u64, flow_status(r).rekeys, 1));
	cr_assert(ge(u64, r->env.stats.separate, 5), "an empty ACK first, then the answer");
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(backward_security, each_rekeys_before_every_answer)
{
	struct flow *r = flow_new(1, NULL);
	uint16_t g = flow_group(r, GM_BACKWARD_EACH);

	for (unsigned i = 0; i < 3; i++) {
		struct gm_member *m = flow_member_in(r, g, GM_ROLE_RESPONDER, true);
		cr_assert(flow_do(r, m, JOIN));
		cr_assert(eq(u64, m->keys.version, i));
		flow_run(r, 100);
	}
	flow_free(r);
}

Test(join, whose_repeat_after_a_restart_is_refused_may_have_been_carried_out)
{
	const struct gm_admin_map inactive = {.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE), .policies = {-1, -1}};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	r->mute = true;
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_JOIN));
	flow_run(r, 100);
	cr_assert(eq(u64, flow_status(r).joins_ok, 1));
	flow_restart(r, 1);
	cr_assert(flow_set(r, &inactive) == GM_E_OK);
	r->mute = false;
	for (unsigned ms = 0; m->ex.active && ms < 10000; ms++)
		flow_turn(r);
	cr_assert(eq(u8, flow_code(r, m, GM_OP_JOIN), GM_COAP(5, 3)));
	cr_assert(m->unsure);
	flow_free(r);
}

Test(late, members_are_known_and_catch_up_when_they_poll)
{
	struct flow *r = flow_new(2, NULL);

	join_responders(r, 8);
	r->mute = true;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 100000);
	cr_assert(eq(u64, flow_status(r).late, 8));
	cr_assert(eq(u64, r->dp->worker[0]->stats.rekey_retransmitted + r->dp->worker[1]->stats.rekey_retransmitted, 32),
	          "four retransmissions for each");
	r->mute = false;
	for (unsigned i = 0; i < 8; i++)
		cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_GROUP)));
	cr_assert(eq(u32, flow_at_version(r, 1), 8));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(compromise, supersedes_a_rekey_that_is_being_handed_out)
{
	struct flow *r = flow_new(2, NULL);

	join_responders(r, 8);
	r->mute = true;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 500);
	r->mute = false;
	flow_run(r, 20000);
	cr_assert(eq(u32, flow_at_version(r, 2), 8));
	cr_assert(eq(u64, flow_status(r).rekeys, 2));
	cr_assert(eq(u32, flow_status(r).rekeys_running, 0));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(compromise_aside, a_second_rekey_waits_for_the_end_of_the_first)
{
	struct flow *r = flow_new(1, NULL);

	join_responders(r, 4);
	r->mute = true;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(eq(u64, flow_status(r).rekeys, 1));
	r->mute = false;
	flow_run(r, 40000);
	cr_assert(eq(u64, flow_status(r).rekeys, 2));
	cr_assert(eq(u32, flow_at_version(r, 2), 4));
	flow_free(r);
}

Test(observe, that_is_refused_with_rst_ends_and_the_member_polls)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, false);

	cr_assert(flow_do(r, m, JOIN_OBSERVE));
	m->observing = false; /* it has forgotten, as after a restart */
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(eq(u64, m->keys.version, 0));
	cr_assert(eq(u32, flow_status(r).rekeys_running, 0));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)));
	cr_assert(eq(u64, m->keys.version, 1));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(eq(u64, r->dp->worker[0]->stats.rekey_sent, 1), "nothing is sent to one that only polls");
	flow_free(r);
}

Test(many_workers, hand_over_what_reaches_the_wrong_one)
{
	struct flow *r = flow_new(3, NULL);
	uint64_t hops = 0;

	join_responders(r, 30);
	flow_restart(r, 2); /* contexts move to other workers, datagrams do not know */
	for (unsigned i = 0; i < 30; i++)
		cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_NODE)));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 4000);
	cr_assert(eq(u32, flow_at_version(r, 1), 30));
	for (unsigned i = 0; i < 2; i++)
		hops += r->dp->worker[i]->stats.rx_hop;
	cr_assert(ge(u64, hops, 1));
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(late, members_of_one_version_are_counted_anew_for_the_next)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_group_info seen = {0};

	join_responders(r, 3);
	r->mute = true;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 100000);
	r->mute = false;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	flow_info(r, &seen);
	cr_assert(eq(u32, seen.confirmed, 3));
	cr_assert(eq(u32, seen.late, 0));
	cr_assert(eq(u32, seen.waiting, 0));
	flow_free(r);
}

/* Leaves until the stale set of the coming rekey is longer than a datagram. */
static void renew_sids(struct flow *r, unsigned times)
{
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	for (unsigned i = 0; i < times; i++)
		cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
}

Test(long_rekey, reaches_members_by_post_in_blocks_and_observers_by_fetching_the_rest)
{
	struct gm_mem_faults faults = {.loss = 50000, .dup = 50000, .delay_ns = 1000000};
	struct flow *r = flow_new(2, &faults);
	struct gm_group_info info;

	join_responders(r, 4);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, false), JOIN_OBSERVE));
	renew_sids(r, 1000);
	flow_info(r, &info);
	cr_assert(ge(u32, info.stale_now, 900));
	uint64_t version = info.version;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 60000);
	flow_info(r, &info);
	cr_assert(eq(u32, info.confirmed, 8));
	cr_assert(eq(u32, info.late, 0));
	cr_assert(eq(u32, flow_at_version(r, version + 1), 8));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* The notification overtakes the answer to the registration, and stands for it: the rest of it is fetched by block. */
Test(long_rekey, goes_on_to_reach_who_began_to_observe_while_it_ran)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_group_info info;
	uint64_t blocks;

	join_responders(r, 4);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, false);
	cr_assert(flow_do(r, m, JOIN));
	renew_sids(r, 1000);
	blocks = r->env.stats.blocks;
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_OBSERVE));
	gm_member_flush(&r->env);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 60000);
	cr_expect(gt(u64, r->env.stats.blocks, blocks));
	cr_assert(m->observing);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 60000);
	flow_info(r, &info);
	cr_assert(eq(u32, info.confirmed, 6));
	cr_assert(eq(u32, info.late, 0));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(flood, of_joins_by_one_client_is_told_to_come_later_and_others_are_not)
{
	struct flow *r = flow_new(1, NULL);

	r->core_config.changes_per_minute = 6;
	flow_restart(r, 1);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	cr_assert(flow_do(r, m, JOIN));
	for (unsigned i = 1; i < 6; i++)
		cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_assert(not(flow_do(r, m, GM_PLAN(GM_OP_JOIN))));
	cr_assert(eq(u8, flow_code(r, m, GM_OP_JOIN), GM_COAP(5, 3)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)), "reading is free");
	join_responders(r, 2);
	flow_run(r, 10000);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	flow_free(r);
}
