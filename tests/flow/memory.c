/* SPDX-License-Identifier: Apache-2.0 */
/* A rekey, and news of `active`, while there is no memory for what they have to say. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <time.h>

#include "core_poke.h"
#include "rows_ask.h"
#include "sends.h"

/* What the workers of this program get their blobs from: none but the first `left`, while that is not below 0. */
static int left = -1;

static void *some_malloc(size_t n)
{
	if (left == 0)
		return NULL;
	left -= left > 0;
	return malloc(n);
}

#define malloc some_malloc
#include "work/blob.c"
#undef malloc

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define MEMBERS 6u

static struct sends sends;
static int memory; /* for the blobs of a turn */

static bool scarce_turn(struct worker *w)
{
	left = memory;
	bool busy = gm_worker_turn(w);
	left = -1;
	return busy;
}

/* The first of them are called, the others observe. */
static struct flow *joined(unsigned called)
{
	struct flow *r = flow_new(1, NULL);

	for (unsigned i = 0; i < MEMBERS; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, i < called), i < called ? JOIN : JOIN | GM_PLAN(GM_OP_OBSERVE)));
	sends_watch(&sends, r);
	return r;
}

static unsigned to_called(unsigned called)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sends.n; i++)
		n += sends.at[i].member < called;
	return n;
}

/* The turn that hears of the rekey has memory for so many blobs. */
static void hear_with(struct flow *r, int blobs)
{
	memory = blobs;
	r->worker_turn = scarce_turn;
	flow_turn(r);
	r->worker_turn = gm_worker_turn;
	flow_run(r, 500);
}

static void expect_next_rekey_reaches_all(struct flow *r)
{
	const uint64_t confirmed = flow_status(r).confirmed;

	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 500);
	cr_expect(eq(u32, flow_at_version(r, 2), MEMBERS));
	cr_expect(eq(u64, flow_status(r).confirmed - confirmed, MEMBERS));
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
}

Test(memory, that_a_rekey_does_not_get_makes_its_members_late)
{
	for (unsigned called = 0; called <= MEMBERS; called += 3) {
		struct flow *r = joined(called);
		cr_assert(flow_rekey(r, true) == GM_E_OK);
		hear_with(r, 0);
		cr_expect(eq(u32, sends.n, 0));
		cr_expect(eq(u64, flow_status(r).late, MEMBERS));
		cr_expect(eq(u32, r->dp->worker[0]->walks, 0));
		expect_next_rekey_reaches_all(r);
		flow_free(r);
	}
}

Test(memory, for_one_of_two_bodies_is_enough_for_those_whose_it_is)
{
	struct flow *r = joined(2);

	cr_assert(flow_rekey(r, true) == GM_E_OK);
	hear_with(r, 1);
	cr_expect(eq(u32, to_called(2), 2));
	cr_expect(eq(u32, sends.n, 2));
	cr_expect(eq(u64, flow_status(r).late, MEMBERS - 2));
	cr_expect(eq(u64, flow_status(r).confirmed, 2));
	expect_next_rekey_reaches_all(r);
	flow_free(r);
}

Test(memory, that_a_changed_configuration_does_not_get_keeps_its_keys_from_those_who_are_called)
{
	const struct gm_admin_map other_alg = {.has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = 1, .policies = {-1, -1}};
	struct flow *r = joined(2);

	cr_assert(flow_set(r, &other_alg) == GM_E_OK);
	hear_with(r, 2);
	cr_expect(eq(u32, to_called(2), 0), "nor are they given keys for it");
	cr_expect(eq(u32, sends.n, MEMBERS - 2));
	cr_expect(eq(u64, flow_status(r).late, 2));
	flow_free(r);
}

Test(memory, that_news_of_active_do_not_get_loses_them_alone)
{
	static const struct asking watch = {.method = GM_COAP_GET, .path = "/ace-group/g1/active", .observe = true};
	struct flow *r = joined(0);
	struct reply a;

	cr_assert(ask(r, &r->members[0], &watch, &a));
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};
	core_poke_turn_active(r->core, &txn);
	flow_turn(r); /* it is on its way to the worker */
	sends.n = 0;
	hear_with(r, 0);
	cr_expect(eq(u32, sends.n, 0));
	cr_expect(eq(u32, r->dp->worker[0]->walks, 0));
	flow_free(r);
}
