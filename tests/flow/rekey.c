/* SPDX-License-Identifier: Apache-2.0 */
/* Members join and are rekeyed through the real worker and the real core. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define JOIN_OBSERVE (JOIN | GM_PLAN(GM_OP_OBSERVE))

static void join_some(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool post = i % 3 != 2;
		struct gm_member *m = flow_member(r, i % 2 ? GM_ROLE_RESPONDER : GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, post);
		cr_assert(flow_do(r, m, post ? JOIN : JOIN_OBSERVE), "member %u could not join: %02x", i, flow_code(r, m, GM_OP_JOIN));
	}
}

Test(join, makes_a_member_that_holds_the_keys)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, true);

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(m->has_keys);
	cr_assert(m->sid_n > 0);
	cr_assert(eq(u32, flow_status(r).members, 1));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(join, happens_once_under_loss_and_duplication)
{
	struct gm_mem_faults faults = {.loss = 150000, .dup = 150000, .delay_ns = 1000000, .jitter_ns = 20000000};
	struct flow *r = flow_new(3, &faults);

	join_some(r, 20);
	cr_assert(eq(u32, flow_status(r).members, 20));
	cr_assert(eq(u64, flow_status(r).joins_ok, 20));
	cr_assert(eq(u64, flow_status(r).rejoins, 0));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(rekey, reaches_everyone_by_post_and_by_observe)
{
	struct flow *r = flow_new(2, NULL);

	join_some(r, 30);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u32, flow_at_version(r, 1), 30));
	cr_assert(eq(u64, flow_status(r).confirmed, 30));
	cr_assert(eq(u64, flow_status(r).late, 0));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(rekey, reaches_everyone_under_loss_with_retransmissions_of_the_same_bytes)
{
	struct gm_mem_faults faults = {.loss = 100000, .dup = 50000, .delay_ns = 1000000, .jitter_ns = 5000000};
	struct flow *r = flow_new(2, &faults);

	join_some(r, 30);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 70000);
	struct gm_core_status s = flow_status(r);
	cr_assert(eq(u64, s.confirmed + s.late, 30));
	cr_assert(ge(u64, s.confirmed, 28));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* The registration is on its way through core when a notification of the one before is reset. RFC 7641 §3.6 */
Test(rekey, reset_of_a_notification_leaves_the_observation_that_was_made_since)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, false);
	struct gm_mem_dgram d = {0};
	uint8_t rst[4] = {0x70};

	cr_assert(flow_do(r, m, JOIN_OBSERVE));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	r->mute = true;
	for (unsigned i = 0; i < 100 && !d.len; i++) {
		gm_worker_turn(r->dp->worker[0]);
		if (!gm_mem_recv(r->net, &m->addr, &d))
			flow_turn(r);
	}
	r->mute = false;
	cr_assert(gt(u64, d.len, 4));
	memcpy(rst + 2, d.data + 2, 2);
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_OBSERVE));
	gm_member_flush(&r->env);
	gm_mem_step(r->net, 1000000);
	gm_worker_turn(r->dp->worker[0]);
	gm_mem_send(r->net, &m->addr, &r->env.server, rst, sizeof rst);
	gm_mem_step(r->net, 1000000);
	gm_worker_turn(r->dp->worker[0]);
	flow_run(r, 8000);
	cr_expect(eq(u32, flow_at_version(r, 1), 1), "told by the new observation");
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 8000);
	cr_expect(eq(u32, flow_at_version(r, 2), 1));
	cr_expect(eq(u64, flow_status(r).confirmed, 1), "the second; the first keys came with the answer");
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(rekey, follows_a_leave_and_leaves_the_leaver_behind)
{
	struct flow *r = flow_new(2, NULL);

	join_some(r, 6);
	struct gm_member *m = &r->members[3];
	uint8_t node_n = m->node_n;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_LEAVE)));
	m->node_n = node_n; /* it asks all the same */
	flow_run(r, 7000);
	cr_assert(eq(u32, flow_at_version(r, 1), 5));
	cr_assert(eq(u32, flow_status(r).members, 5));
	cr_assert(not(flow_do(r, m, GM_PLAN(GM_OP_GROUP))));
	cr_assert(eq(u8, flow_code(r, m, GM_OP_GROUP), GM_COAP(4, 3)));
	flow_free(r);
}

Test(evict, tells_the_member_once_and_bars_it)
{
	struct flow *r = flow_new(2, NULL);
	unsigned evicted = 0;

	join_some(r, 4);
	struct gm_member *m = &r->members[0];
	cr_assert(flow_evict(r, m->node, &evicted) == GM_E_OK);
	cr_assert(eq(u32, evicted, 1));
	flow_run(r, 8000);
	cr_assert(m->told);
	cr_assert(eq(u64, r->env.stats.notices, 1));
	cr_assert(eq(u32, flow_at_version(r, 1), 3));
	cr_assert(eq(u32, flow_status(r).contexts, 3), "its keys are wiped when the notice is done");
	cr_assert(not(flow_do(r, m, GM_PLAN(GM_OP_JOIN))));
	cr_assert(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
	cr_assert(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(restart, with_another_number_of_workers_changes_nothing)
{
	static const unsigned workers[] = {1, 3, 2};
	struct flow *r = flow_new(workers[0], NULL);

	join_some(r, 12);
	for (unsigned i = 1; i < 3; i++) {
		flow_restart(r, workers[i]);
		for (unsigned k = 0; k < 12; k += 5)
			cr_assert(flow_do(r, &r->members[k], GM_PLAN(GM_OP_NODE)), "member %u after restart %u", k, i);
		cr_assert(flow_rekey(r, false) == GM_E_OK);
		flow_run(r, 7000);
		cr_assert(eq(u32, flow_at_version(r, i), 12));
	}
	cr_assert(ge(u64, r->env.stats.echoes, 1));
	cr_assert(eq(u32, r->contexts, 12), "no token was posted again");
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(restart, without_the_lease_is_seen_as_reuse_by_the_watch_on_the_wire)
{
	struct flow *r = flow_new(1, NULL);

	join_some(r, 4);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	r->dp_config.no_lease = true;
	flow_restart(r, 1);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(ge(u32, r->reuses, 1));
	flow_free(r);
}

/* The slab has a chunk for 1,024 messages: more are put into it than the members of this group have. */
static void many_in_flight(struct worker *w, unsigned n)
{
	static uint32_t h[5000];

	for (unsigned i = 0; i < n; i++)
		cr_assert_neq((h[i] = gm_slab_get(&w->outs)), 0);
	for (unsigned i = 0; i < n; i++)
		gm_slab_put(&w->outs, h[i]);
}

Test(rekey, gives_back_what_its_messages_in_flight_took_ten_seconds_after_the_last)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	join_some(r, 6);
	r->mute = true;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 500);
	cr_assert(eq(u32, w->outs.used, 6));
	many_in_flight(w, 5000);
	size_t all = gm_slab_bytes(&w->outs);
	cr_assert_geq(all, 5000 * sizeof(struct out));
	flow_run(r, 11000);
	gm_worker_rest(w);
	flow_run(r, 11000);
	gm_worker_rest(w);
	cr_expect_eq(gm_slab_bytes(&w->outs), all, "six wait to be confirmed");
	r->mute = false;
	flow_run(r, 60000);
	cr_assert(eq(u32, flow_at_version(r, 1), 6));
	gm_worker_rest(w);
	cr_expect_lt(gm_slab_bytes(&w->outs), 1000);
	flow_free(r);
}

static size_t resident(void)
{
	unsigned long all = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	cr_assert(f && fscanf(f, "%lu %lu", &all, &pages) == 2);
	fclose(f);
	return pages * 4096;
}

/* Answers of a kilobyte, as of a wave of Joins: kept, with something behind them that stays, and let go. */
static void keep_and_forget(struct worker *w, unsigned n, struct blob **stays)
{
	static const uint8_t bytes[1024] = {1};
	struct blob **kept = calloc(n, sizeof(*kept));

	for (unsigned i = 0; i < n; i++)
		kept[i] = gm_blob_copy(bytes, sizeof bytes);
	*stays = gm_blob_copy(bytes, sizeof bytes);
	for (unsigned i = 0; i < n; i++) {
		gm_ctx_id id = gm_member_at(w, 1)->ctx;
		gm_blob_drop(&kept[i]);
		gm_ctx_save_answer(w, gm_ctx_at(w, id), id, bytes, sizeof bytes);
	}
	free(kept);
}

Test(answers, of_a_wave_of_joins_give_their_memory_back_when_the_worker_has_rested)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip("another allocator");
#endif
	const unsigned n = 4096;
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];
	struct blob *stays;

	join_some(r, 1);
	gm_worker_rest(w);
	keep_and_forget(w, n, &stays);
	const size_t before = resident();
	flow_run(r, 9000);
	gm_worker_rest(w);
	cr_expect_gt(resident() + n * 256, before, "not at once");
	flow_run(r, 1001);
	gm_worker_rest(w);
	cr_expect_lt(resident() + n * 768, before);
	gm_blob_drop(&stays);
	flow_free(r);
}

Test(rekey, finds_memory_again_that_was_given_back_and_keeps_it_for_one_that_follows)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	join_some(r, 9);
	flow_run(r, 10001);
	many_in_flight(w, 3000);
	gm_worker_rest(w);
	flow_run(r, 9000);
	gm_worker_rest(w);
	cr_expect_geq(gm_slab_bytes(&w->outs), 3000 * sizeof(struct out));
	flow_run(r, 1001);
	gm_worker_rest(w);
	cr_expect_lt(gm_slab_bytes(&w->outs), 1000);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 500);
	cr_expect(eq(u32, flow_at_version(r, 1), 9));
	cr_expect(eq(u64, flow_status(r).confirmed, 9));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}
