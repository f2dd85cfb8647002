/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation over the wire: real walks, real confirmations, real silence. What the clock does is tests/unit/core/schedule.c's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <time.h>

#include "core/schedule.h"
#include "flow_rig.h"
#include "gm/crypto.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define GROUPS 4u
#define MEMBERS 3u

static struct gm_txn txn(struct flow *r)
{
	struct gm_txn t = {.wall_s = time(NULL) + r->wall_s, .mono_ms = gm_mem_now(r->net) / 1000000, .changes = &r->changes, .effects = &r->effects};

	gm_random(t.dice, sizeof(t.dice));
	return t;
}

/* Groups with members, long since rekeyed. Silence is noticed soon. */
static struct flow *commissioned(void)
{
	struct flow *r = flow_new(2, NULL);

	r->dp_config.ack_timeout_ms = 100;
	r->dp_config.retransmit_max = 1;
	flow_restart(r, 2);
	for (unsigned g = 0; g < GROUPS; g++) {
		uint16_t group = g ? flow_group(r, GM_BACKWARD_OFF) : 0;
		for (unsigned i = 0; i < MEMBERS; i++)
			cr_assert(flow_do(r, flow_member_in(r, group, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, true), JOIN));
	}
	flow_run(r, 2000);
	r->wall_s += 100;
	return r;
}

static void run_now(struct flow *r, unsigned at_once)
{
	struct gm_schedule_spec spec = gm_schedule_default();
	struct gm_txn t = txn(r);

	snprintf(spec.name, sizeof(spec.name), "night");
	spec.at_once = at_once;
	cr_assert(gm_core_schedule_set(r->core, &t, &spec) == GM_E_OK);
	cr_assert(gm_core_schedule_run(r->core, &t, "night") == GM_E_OK);
}

static bool copy(void *arg, const struct gm_schedule_info *info)
{
	*(struct gm_schedule_info *)arg = *info;
	return false;
}

static struct gm_schedule_info info(struct flow *r)
{
	struct gm_schedule_info i = {0};
	struct gm_txn t = txn(r);

	cr_assert(gm_core_schedules(r->core, &t, "night", copy, &i) == GM_E_OK);
	return i;
}

static bool sum_versions(void *arg, const struct gm_group_info *g)
{
	*(uint64_t *)arg += g->version;
	return true;
}

static uint64_t versions(struct flow *r) /* of all groups, added */
{
	uint64_t sum = 0;

	cr_assert(gm_core_groups(r->core, NULL, sum_versions, &sum) == GM_E_OK);
	return sum;
}

static uint64_t held_by_members(struct flow *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->members_n; i++)
		sum += r->members[i].keys.version;
	return sum;
}

static void expect_no_faults(struct flow *r)
{
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(rotation, gives_every_member_of_every_group_new_keys_once)
{
	struct flow *r = commissioned();
	uint64_t before = versions(r), held = held_by_members(r);

	run_now(r, 1);
	flow_run(r, 3000);
	cr_expect(eq(str, (char *)info(r).state, "waiting"));
	cr_expect(eq(u64, versions(r), before + GROUPS));
	cr_expect(eq(u64, held_by_members(r), held + GROUPS * MEMBERS));
	expect_no_faults(r);
}

Test(rotation, goes_on_after_a_kill_in_the_middle_and_gives_nobody_keys_twice)
{
	struct flow *r = commissioned();
	uint64_t before = versions(r), held = held_by_members(r);

	run_now(r, 1);
	for (unsigned ms = 0; ms < 3000 && versions(r) < before + 2; ms++)
		flow_turn(r);
	cr_assert(eq(u64, versions(r), before + 2));
	flow_restart(r, 2);
	flow_run(r, 4000);
	cr_expect(eq(str, (char *)info(r).outcome, "all done"));
	cr_expect(eq(u64, versions(r), before + GROUPS));
	cr_expect(eq(u64, held_by_members(r), held + GROUPS * MEMBERS));
	expect_no_faults(r);
}

Test(rotation, stops_at_the_first_group_that_does_not_answer_and_spares_the_rest)
{
	struct flow *r = commissioned();
	uint64_t before = versions(r);

	run_now(r, 1);
	r->mute = true;
	flow_run(r, 3000);
	r->mute = false;
	cr_expect(eq(str, (char *)info(r).state, "stopped"));
	cr_expect(ne(ptr, strstr(info(r).outcome, " of 3 members of g1 are late"), NULL)); /* not all of them are waited for */
	cr_expect(eq(u64, versions(r), before + 1));
	struct gm_txn t = txn(r);
	cr_assert(gm_core_schedule_resume(r->core, &t, "night") == GM_E_OK);
	flow_run(r, 3000);
	cr_expect(eq(str, (char *)info(r).outcome, "all done"));
	cr_expect(eq(u64, versions(r), before + GROUPS));
	expect_no_faults(r);
}
