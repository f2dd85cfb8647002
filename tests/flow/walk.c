/* SPDX-License-Identifier: Apache-2.0 */
/* How a walk goes on: as far as answers come, past those that are silent, and what core hears of it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <sys/mman.h>
#include <time.h>

#include "sends.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define WINDOW 512u

static struct sends sends;

/* All members of one worker join at once. */
static void all_join(struct flow *r)
{
	r->env.now_ns = gm_mem_now(r->net);
	for (unsigned i = 0; i < r->members_n; i++)
		gm_member_plan(&r->env, &r->members[i], JOIN);
	gm_member_flush(&r->env);
	for (unsigned ms = 0; ms < 10000 && flow_busy(r); ms++)
		flow_turn(r);
	flow_run(r, 50);
	cr_assert(eq(u32, (unsigned)r->dp->worker[0]->stats.members, r->members_n));
	sends_watch(&sends, r);
}

static struct flow *joined(unsigned n)
{
	struct flow *r = flow_new_as(1, NULL, "EdDSA");

	for (unsigned i = 0; i < n; i++)
		flow_member(r, GM_ROLE_REQUESTER, true);
	all_join(r);
	return r;
}

/* So many members, and a rekey that waits for the worker's next turn. */
static struct flow *before_a_rekey_of(unsigned n)
{
	struct flow *r = joined(n);

	cr_assert(flow_rekey(r, true) == GM_E_OK);
	return r;
}

/* While the clock stands still, and before a member has heard anything. */
static void worker_turns(struct flow *r, unsigned n)
{
	while (n--)
		r->worker_turn(r->dp->worker[0]);
}

static void expect_all_confirmed(struct flow *r, unsigned n)
{
	struct gm_group_info info;

	flow_info(r, &info);
	cr_expect(eq(u32, flow_at_version(r, 1), n));
	cr_expect(eq(u64, flow_status(r).confirmed, n));
	cr_expect(eq(u32, info.waiting, 0));
	cr_expect(eq(u32, sends.n, n), "nobody is told twice");
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
}

Test(walk, stops_when_a_window_is_unanswered_and_goes_on_with_the_answers)
{
	struct flow *r = before_a_rekey_of(600);

	worker_turns(r, 50);
	cr_expect(eq(u32, sends.n, WINDOW));
	flow_turn(r); /* members answer */
	worker_turns(r, 1);
	cr_expect(ge(u32, sends.n, WINDOW + 1));
	flow_run(r, 20);
	expect_all_confirmed(r, 600);
	flow_free(r);
}

Test(walk, stops_at_the_window_where_it_tells_of_a_changed_configuration_too)
{
	const struct gm_admin_map other_alg = {.has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = 1, .policies = {-1, -1}};
	struct flow *r = joined(600);

	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	worker_turns(r, 50);
	cr_expect(eq(u32, sends.n, WINDOW));
	flow_run(r, 200);
	cr_expect(eq(u32, sends.n, 2 * 600), "the configuration and the keys");
	cr_expect(eq(u32, flow_at_version(r, 1), 600));
	flow_free(r);
}

static struct gm_txn txn(struct flow *r)
{
	struct gm_txn t = {.wall_s = time(NULL), .mono_ms = gm_mem_now(r->net) / 1000000, .changes = &r->changes, .effects = &r->effects};

	gm_random(t.dice, sizeof t.dice);
	return t;
}

static void rekey_named(struct flow *r, const char *group)
{
	struct gm_txn t = txn(r);

	cr_assert(gm_core_rekey(r->core, &t, group, true) == GM_E_OK);
}

static void delete_named(struct flow *r, const char *group)
{
	struct gm_txn t = txn(r);

	cr_assert(gm_core_group_delete(r->core, &t, group) == GM_E_OK);
}

/* While nobody answers there is one burst each millisecond. */
Test(walk, of_a_large_group_lets_a_small_one_have_its_turn)
{
	const unsigned large = 600, small = 3;
	struct flow *r = flow_new_as(1, NULL, "EdDSA");
	struct worker *w = r->dp->worker[0];
	const uint16_t g2 = flow_group(r, GM_BACKWARD_OFF);
	unsigned told = 0;

	for (unsigned i = 0; i < large + small; i++)
		flow_member_in(r, i < large ? 0 : g2, GM_ROLE_REQUESTER, true);
	all_join(r);
	r->mute = true;
	cr_assert(flow_rekey(r, true) == GM_E_OK); /* the large one is first */
	rekey_named(r, "g2");
	w->credit = BURST;
	w->heard_ns = gm_mem_now(r->net);
	flow_run(r, 4);
	for (unsigned i = 0; i < sends.n; i++)
		told += sends.at[i].member >= large;
	cr_expect(eq(uint, told, small));
	cr_expect(lt(uint, sends.n, large), "the large one is not through");
	flow_free(r);
}

/* Of ten thousand groups one may have a silent member. */
Test(walk, costs_groups_that_do_not_walk_nothing)
{
	struct flow *r = before_a_rekey_of(3);
	struct worker *w = r->dp->worker[0];
	struct group *const closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(closed != MAP_FAILED && w->groups_cap > 9 && !w->group[9]);
	w->group[9] = closed; /* whoever looks at it is ended */
	r->mute = true;
	for (unsigned ms = 0; ms < 100; ms++) {
		worker_turns(r, 3);
		gm_worker_timeout_ns(w);
		gm_mem_step(r->net, 1000000);
	}
	w->group[9] = NULL;
	munmap(closed, 4096);
	cr_expect(eq(u32, sends.n, 3));
	cr_expect(eq(u32, w->walking, 1));
	r->mute = false;
	flow_run(r, 5000);
	cr_expect(eq(u32, flow_at_version(r, 1), 3));
	cr_expect(eq(u64, flow_status(r).confirmed, 3));
	cr_expect(eq(u32, w->walking, 0));
	flow_free(r);
}

/* The ring of those that walk, on either side of one that goes. */
Test(walk, of_a_group_goes_on_when_others_are_gone)
{
	enum { GROUPS = 3 };
	for (unsigned gone = 0; gone < GROUPS; gone++) {
		struct flow *r = flow_new_as(1, NULL, "EdDSA");
		struct worker *w = r->dp->worker[0];
		for (unsigned i = 1; i < GROUPS; i++)
			flow_group(r, GM_BACKWARD_OFF);
		for (unsigned i = 0; i < 2 * GROUPS; i++)
			flow_member_in(r, (uint16_t)(i % GROUPS), GM_ROLE_REQUESTER, true);
		all_join(r);
		r->mute = true;
		for (unsigned i = 0; i < GROUPS; i++)
			rekey_named(r, (const char *const[]){"g1", "g2", "g3"}[i]);
		flow_run(r, 5);
		cr_assert(eq(u32, w->walking, GROUPS));
		delete_named(r, (const char *const[]){"g1", "g2", "g3"}[gone]);
		flow_run(r, 5);
		cr_expect(eq(u32, w->walking, GROUPS - 1), "without %u", gone);
		r->mute = false;
		flow_run(r, 6000);
		for (unsigned i = 0; i < 2 * GROUPS; i++)
			if (i % GROUPS != gone)
				cr_expect(eq(u64, r->members[i].keys.version, 1), "member %u without %u", i, gone);
		cr_expect(eq(u32, w->walking, 0));
		cr_expect(eq(u32, w->walk_next, 0));
		cr_expect(eq(u32, w->walks, 0));
		flow_free(r);
	}
}

Test(walk, passes_the_silent_a_burst_each_millisecond)
{
	struct flow *r = before_a_rekey_of(600);

	r->mute = true;
	worker_turns(r, 50);
	cr_expect(eq(u32, sends.n, WINDOW));
	flow_run(r, 3);
	cr_expect(eq(u32, sends.n, 600));
	flow_free(r);
}

Test(walk, tells_core_of_the_last_member_where_a_report_was_full_before_it)
{
	struct flow *r = before_a_rekey_of(65);

	worker_turns(r, 2);
	flow_run(r, 3); /* all answers come in one turn */
	expect_all_confirmed(r, 65);
	flow_free(r);
}

static void count(void *arg)
{
	++*(unsigned *)arg;
}

Test(walk, wakes_core_for_confirmations_five_milliseconds_after_the_first_and_for_the_end_at_once)
{
	struct flow *r = before_a_rekey_of(192);
	struct worker *w = r->dp->worker[0];
	unsigned woken = 0;

	worker_turns(r, 2);
	w->credit = 0; /* the other 64 are told when these have answered */
	flow_turn(r);
	cr_assert(eq(u32, sends.n, 128));
	w->config.wake_core = count;
	w->config.wake_arg = &woken;
	cr_expect(r->worker_turn(w));
	cr_expect(eq(u64, w->stats.rekey_confirmed, 128));
	cr_expect(gm_dp_event(r->dp, 0) != NULL);
	cr_expect(eq(u32, woken, 0));
	gm_mem_step(r->net, 2000000);
	r->worker_turn(w); /* all are told */
	cr_expect(eq(u32, woken, 0), "others are to come");
	cr_expect(eq(u64, gm_worker_timeout_ns(w), 3000000), "no longer, if none does");
	gm_mem_step(r->net, 3000000);
	r->worker_turn(w);
	cr_expect(eq(u32, woken, 1));
	flow_run(r, 3);
	cr_expect(eq(u32, woken, 2), "at once for the end");
	expect_all_confirmed(r, 192);
	flow_free(r);
}

/* Each copy of a message may be acknowledged; what was promised by the first has its time from then. */
Test(walk, waits_for_a_separate_response_half_a_minute_however_often_it_is_promised)
{
	struct flow *r = before_a_rekey_of(1);
	struct worker *w = r->dp->worker[0];

	r->mute = true;
	flow_run(r, 2);
	cr_assert(eq(u32, sends.n, 1));
	const uint8_t ack[] = {0x60, 0, (uint8_t)(sends.at[0].mid >> 8), (uint8_t)sends.at[0].mid};
	for (unsigned s = 0; s < 29; s++) {
		gm_mem_send(r->net, &sends.at[0].to, &r->dp_config.listen[0], ack, sizeof ack);
		flow_run(r, 1000);
		cr_expect(eq(u32, w->outs.used, 1), "after %u s", s);
	}
	gm_mem_send(r->net, &sends.at[0].to, &r->dp_config.listen[0], ack, sizeof ack);
	flow_run(r, 2000);
	cr_expect(eq(u32, w->outs.used, 0));
	cr_expect(eq(u64, flow_status(r).late, 1));
	cr_expect(eq(u32, sends.n, 1));
	flow_free(r);
}

/* An unprotected response with such a token and len bytes in all. */
static void respond(struct flow *r, uint32_t id, uint16_t mid, size_t len)
{
	uint8_t bytes[32] = {0x68, GM_COAP(2, 4), (uint8_t)(mid >> 8), (uint8_t)mid};

	for (unsigned i = 0; i < 4; i++)
		bytes[4 + i] = (uint8_t)(id >> (24 - 8 * i));
	gm_mem_send(r->net, &r->members[0].addr, &r->env.server, bytes, len);
}

/* A request with an OSCORE option of n bytes that ends with id, len bytes of it. */
static void request(struct flow *r, uint32_t id, uint8_t n, size_t len)
{
	uint8_t bytes[64] = {0x44, GM_COAP_POST, 0, 7, 1, 2, 3, 4, (uint8_t)(GM_OPT_OSCORE << 4 | n), (uint8_t)(n < 6 ? 0 : 0x08 | (n - 5))};

	for (unsigned i = 0; i < 4 && n >= 4; i++)
		bytes[8 + n - 3 + i] = (uint8_t)(id >> (24 - 8 * i));
	bytes[9 + n] = 0xff;
	gm_mem_send(r->net, &r->members[0].addr, &r->env.server, bytes, len);
}

/* ---- those who ask meanwhile */

#define ASKER 0u /* the walk comes to it last */
struct asker {
	struct flow *r;
	unsigned answers, woken;
	uint64_t confirmed; /* by others, when it was first answered, or core first woken */
};

static uint64_t confirmed_by(const struct asker *a)
{
	return a->answers + a->woken ? a->confirmed : a->r->dp->worker[0]->stats.rekey_confirmed;
}

static void answered(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct asker *a = arg;

	if (n < 4 || (data[0] & 0x30) == 0 || (unsigned)(to->ip[14] << 8 | to->ip[15]) != ASKER)
		return; /* CON: the walk's */
	a->confirmed = confirmed_by(a);
	a->answers++;
}

static void woken(void *arg)
{
	struct asker *a = arg;

	a->confirmed = confirmed_by(a);
	a->woken++;
}

static void ask(struct flow *r, unsigned plan)
{
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, &r->members[ASKER], plan);
	gm_member_flush(&r->env);
}

static void watch(struct asker *a, struct flow *r)
{
	*a = (struct asker){.r = r};
	r->far_arg = a;
	r->far_tap = answered;
}

/* A window is told, and its confirmations wait in the worker's socket. */
static struct flow *before_a_window_of_confirmations(unsigned plan)
{
	struct flow *r = before_a_rekey_of(600);

	worker_turns(r, 50);
	cr_assert(eq(u32, sends.n, WINDOW));
	for (unsigned i = 0; i < sends.n; i++)
		cr_assert(ne(u32, sends.at[i].member, ASKER));
	if (plan)
		ask(r, plan);
	flow_turn(r);
	cr_assert(eq(u64, r->dp->worker[0]->stats.rekey_confirmed, 0));
	return r;
}

static void expect_all_are_confirmed_in_this_turn(struct flow *r)
{
	cr_expect(eq(u64, r->dp->worker[0]->stats.rekey_confirmed, WINDOW));
	r->dp->worker[0]->config.wake_core = NULL;
	r->far_tap = NULL;
	flow_run(r, 20);
	cr_expect(eq(u32, flow_at_version(r, 1), 600));
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}

Test(walk, who_reads_is_answered_ahead_of_the_confirmations_that_came_before)
{
	struct flow *r = before_a_window_of_confirmations(0);
	struct asker a;

	watch(&a, r);
	ask(r, GM_PLAN(GM_OP_GROUP));
	worker_turns(r, 1);
	cr_expect(eq(u32, a.answers, 1));
	cr_expect(eq(u64, a.confirmed, 0));
	expect_all_are_confirmed_in_this_turn(r);
}

Test(walk, core_is_woken_for_who_joins_ahead_of_the_confirmations_that_came_before)
{
	struct flow *r = before_a_window_of_confirmations(0);
	struct worker *w = r->dp->worker[0];
	struct asker a;

	watch(&a, r);
	w->config.wake_core = woken;
	w->config.wake_arg = &a;
	ask(r, GM_PLAN(GM_OP_JOIN));
	worker_turns(r, 1);
	cr_expect(ge(u32, a.woken, 1));
	cr_expect(eq(u64, a.confirmed, 0));
	expect_all_are_confirmed_in_this_turn(r);
}

Test(walk, what_core_answers_leaves_ahead_of_the_confirmations_that_wait)
{
	struct flow *r = before_a_window_of_confirmations(GM_PLAN(GM_OP_JOIN));
	struct asker a;

	watch(&a, r);
	worker_turns(r, 1);
	cr_expect(eq(u32, a.answers, 1));
	cr_expect(eq(u64, a.confirmed, 0));
	expect_all_are_confirmed_in_this_turn(r);
}

/* So many datagrams a turn as it takes at most, for longer than a worker bears it. */
static void flood(struct flow *r, const uint8_t bytes[static 4])
{
	const struct gm_addr from = r->members[0].addr;

	for (unsigned turn = 0; turn < 5; turn++) {
		for (unsigned i = 0; i < TURN_MAX; i++)
			gm_mem_send(r->net, &from, &r->env.server, bytes, 4);
		worker_turns(r, 1);
		gm_mem_step(r->net, ADMIT_BOUND_MS * 1000000 / 2);
	}
}

Test(walk, turns_full_of_requests_or_of_answers_that_nobody_waits_for_are_backlog)
{
	static const uint8_t full_of[][4] = {{0x60, 0, 0, 1}, {0x70, 0, 0, 1}, {0x50, GM_COAP_GET, 0, 1}};

	for (unsigned i = 0; i < sizeof full_of / sizeof full_of[0]; i++) {
		struct flow *r = joined(2);
		flood(r, full_of[i]);
		cr_expect(r->dp->worker[0]->admission.pressed);
		flow_free(r);
	}
}

Test(walk, turns_full_of_confirmations_are_no_backlog)
{
	static const uint8_t get[4] = {0x50, GM_COAP_GET, 0, 1};
	const unsigned n = 600, others = TURN_MAX - n;
	struct flow *r = before_a_rekey_of(n);
	const struct worker *w = r->dp->worker[0];

	for (unsigned ms = 0; ms < 100 && sends.n < n; ms++) {
		worker_turns(r, 1);
		gm_mem_step(r->net, 1000000);
	}
	flow_turn(r);
	for (unsigned i = 0; i < others; i++)
		gm_mem_send(r->net, &r->members[0].addr, &r->env.server, get, sizeof get);
	worker_turns(r, 1);
	cr_expect(ge(u64, w->stats.rekey_confirmed + others, TURN_MAX));
	cr_expect(eq(u64, w->admission.full_ms, 0));
	flow_run(r, 20);
	expect_all_confirmed(r, n);
	flow_free(r);
}

Test(walk, looks_ahead_for_datagrams_of_any_context_and_believes_none)
{
	struct flow *r = before_a_rekey_of(3);
	struct worker *w = r->dp->worker[0];

	worker_turns(r, 1); /* to each a message is in flight */
	const uint64_t before = w->stats.no_exchange;
	for (uint32_t i = 0; i < 64; i++)
		respond(r, i * 0x04000401u, 1, 12 + i % 8);
	respond(r, UINT32_MAX, 1, 12);
	for (uint32_t h = 1; h <= 3; h++) { /* the rest of the token is not that of ours */
		const gm_ctx_id id = gm_member_at(w, h)->ctx;
		respond(r, id, gm_out_at(w, gm_ctx_at(w, id)->out)->mid, 12);
	}
	for (size_t len = 1; len < 12; len++)
		respond(r, gm_member_at(w, 1)->ctx, 1, len);
	request(r, UINT32_MAX, 4, 64);
	for (uint8_t n = 0; n < 13; n++) { /* options of all lengths, cut anywhere */
		request(r, gm_member_at(w, 1)->ctx, n, 64);
		for (size_t len = 12; len < 24; len++)
			request(r, gm_member_at(w, 1)->ctx, n, len);
	}
	worker_turns(r, 2);
	cr_expect(ge(u64, w->stats.no_exchange - before, 4));
	flow_run(r, 20);
	expect_all_confirmed(r, 3);
	flow_free(r);
}
