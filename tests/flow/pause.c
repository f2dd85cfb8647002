/* SPDX-License-Identifier: Apache-2.0 */
/* A paused distribution as members see it. requirements R-137 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "sends.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

static struct sends sends;

static void join_some(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool post = i % 3 != 2;
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, post);
		cr_assert(flow_do(r, m, post ? JOIN : JOIN | GM_PLAN(GM_OP_OBSERVE)));
	}
}

/* So many members and a rekey, of which fewer are told in the first second than there are. */
static struct flow *slowly(unsigned workers, unsigned n, unsigned rate)
{
	struct flow *r = flow_new(workers, NULL);

	r->dp_config.pace = rate;
	flow_restart(r, workers);
	join_some(r, n);
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 500);
	cr_assert(gt(u32, sends.n, 0));
	cr_assert(lt(u32, sends.n, n));
	return r;
}

static void expect_well(struct flow *r, unsigned n)
{
	struct gm_group_info info;

	flow_info(r, &info);
	cr_expect(eq(str, (char *)info.state, "idle"));
	cr_expect(eq(u32, info.confirmed, n));
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
}

Test(pause, tells_nobody_else_and_goes_on_where_it_stopped)
{
	struct flow *r = slowly(2, 90, 20);

	cr_assert(flow_pause(r, true) == GM_E_OK);
	flow_run(r, 10);
	const unsigned told = sends.n;
	flow_run(r, 20000);
	cr_expect(eq(u32, sends.n, told));
	cr_expect(eq(u32, flow_at_version(r, 1), told));
	cr_expect(eq(u32, flow_status(r).rekeys_paused, 1));
	cr_assert(flow_pause(r, false) == GM_E_OK);
	flow_run(r, 500);
	cr_expect(le(u32, sends.n, told + 2 + 10), "by its pace, with no burst for the time that it stood");
	flow_run(r, 6000);
	cr_expect(eq(u32, flow_at_version(r, 1), 90));
	cr_expect(eq(u32, sends.n, 90), "nobody is told twice");
	expect_well(r, 90);
	flow_free(r);
}

Test(pause, still_sends_again_what_was_on_its_way)
{
	struct flow *r = slowly(1, 60, 20);

	r->mute = true;
	flow_run(r, 500);
	cr_assert(flow_pause(r, true) == GM_E_OK);
	const unsigned heard = flow_at_version(r, 1), told = sends.n;
	cr_assert(gt(u32, told, heard));
	r->mute = false;
	flow_run(r, 8000);
	cr_expect(eq(u32, flow_at_version(r, 1), told), "those who had missed it");
	cr_expect(lt(u32, told, 60));
	cr_assert(flow_pause(r, false) == GM_E_OK);
	flow_run(r, 6000);
	expect_well(r, 60);
	flow_free(r);
}

/* They have been passed by the walk, and leave their lane while it stands. */
Test(pause, does_not_forget_who_waits_in_a_network_with_a_pace_of_its_own)
{
	struct gm_pace_prefix p = {.rate = 15, .burst = 2};
	struct flow *r = flow_new(1, NULL);

	cr_assert(gm_prefix_parse(&p.prefix, "127.1.0.0/16") == NULL);
	r->dp_config.prefixes = &p;
	r->dp_config.prefixes_n = 1;
	flow_restart(r, 1);
	join_some(r, 60);
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 1000);
	cr_assert(flow_pause(r, true) == GM_E_OK);
	flow_run(r, 10);
	const unsigned told = sends.n;
	flow_run(r, 10000);
	cr_expect(eq(u32, sends.n, told));
	cr_assert(flow_pause(r, false) == GM_E_OK);
	flow_run(r, 1000);
	cr_expect(le(u32, sends.n, told + 2 + 15), "by its pace");
	flow_run(r, 4000);
	cr_expect(eq(u32, sends.n, 60));
	expect_well(r, 60);
	flow_free(r);
}

Test(pause, ends_with_an_eviction_and_all_others_get_the_newest_keys)
{
	struct flow *r = slowly(2, 90, 20);
	unsigned evicted = 0;
	char node[64];

	cr_assert(flow_pause(r, true) == GM_E_OK);
	snprintf(node, sizeof node, "%.*s", (int)r->members[89].node_n, r->members[89].node);
	cr_assert(flow_evict(r, node, &evicted) == GM_E_OK);
	flow_run(r, 10000);
	cr_expect(eq(u32, evicted, 1));
	cr_expect(eq(u32, flow_at_version(r, 2), 89));
	expect_well(r, 89);
	flow_free(r);
}

Test(pause, outlives_a_kill)
{
	struct flow *r = slowly(2, 60, 20);

	cr_assert(flow_pause(r, true) == GM_E_OK);
	flow_run(r, 10);
	const unsigned told = flow_at_version(r, 1);
	flow_restart(r, 3);
	flow_run(r, 5000);
	cr_expect(eq(u32, flow_at_version(r, 1), told));
	cr_assert(flow_pause(r, false) == GM_E_OK);
	flow_run(r, 10000);
	cr_expect(eq(u32, flow_at_version(r, 1), 60));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(pause, keeps_nothing_from_who_asks)
{
	struct flow *r = slowly(1, 90, 20);

	cr_assert(flow_pause(r, true) == GM_E_OK);
	for (unsigned i = 0; i < 90; i++)
		if (!(r->members[i].has_keys && r->members[i].keys.version >= 1))
			cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_GROUP)), "whoever asks gets the newest");
	cr_expect(eq(u32, flow_at_version(r, 1), 90));
	cr_assert(flow_pause(r, false) == GM_E_OK);
	flow_run(r, 6000);
	expect_well(r, 90);
	flow_free(r);
}
