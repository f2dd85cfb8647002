/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions that an operator pauses: what core makes of it, and what ends it. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "core_rig.h"
#include "wire/admin.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;
static struct rig_client member[4];
static const char *why;
static unsigned passed;

static void group(const char *name)
{
	struct gm_group_spec spec = rig_group_spec(name);

	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void start(void)
{
	rig_start(&rig, 2);
	group("g1");
	for (unsigned i = 0; i < 3; i++)
		member[i] = rig_member(&rig, i + 1, "g1", REQ);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(pause, .init = start, .fini = stop);

static enum gm_err set(const char *name, bool paused)
{
	rig_turn(&rig);
	enum gm_err err = gm_core_rekey_pause(rig.core, &rig.txn, name, paused, &why);
	rig_turn_end(&rig);
	return err;
}

static bool set_all(bool paused)
{
	rig_turn(&rig);
	bool done = gm_core_rekey_pause_all(rig.core, &rig.txn, paused, &passed);
	rig_turn_end(&rig);
	return done;
}

static void rekey(const char *name, bool compromised)
{
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, name, compromised), GM_E_OK);
	rig_turn_end(&rig);
}

static void evict(const struct rig_client *c, const char *name)
{
	struct gm_evict_spec spec = {.group = name, .node = rig_mirror_of(&rig, c->ctx, name)->node};
	char node[17];
	unsigned n;

	snprintf(node, sizeof(node), "%s", spec.node);
	spec.node = node;
	rig_turn(&rig);
	cr_assert_eq(gm_core_evict(rig.core, &rig.txn, &spec, &n), GM_E_OK);
	rig_turn_end(&rig);
}

static uint8_t leave(struct rig_client *c)
{
	struct rig_request r = {.method = 4, .res = GM_RES_NODE, .group = "g1", .node = rig_mirror_of(&rig, c->ctx, "g1")->node};
	char node[17];

	snprintf(node, sizeof(node), "%s", r.node);
	r.node = node;
	return rig_request(&rig, c, &r).code;
}

static const char *state(void)
{
	return rig_info(&rig, "g1").state;
}

static unsigned version(void)
{
	return (unsigned)rig_info(&rig, "g1").version;
}

static struct gm_core_status status(void)
{
	struct gm_core_status s;

	gm_core_status(rig.core, &s);
	return s;
}

static bool workers_were_told(bool paused)
{
	const struct gm_eff_group *e;
	unsigned n = 0;

	for (; (e = rig_effect(&rig, GM_EFF_GROUP, n)); n++)
		if (e->paused != paused)
			return false;
	return n == 2;
}

static void pause_g1(void)
{
	rekey("g1", false);
	cr_assert_eq(set("g1", true), GM_E_OK);
	cr_assert_str_eq(state(), "paused");
}

Test(pause, is_told_to_workers_and_stays_until_it_is_resumed)
{
	pause_g1();
	cr_expect(workers_were_told(true));
	cr_expect_eq(status().rekeys_paused, 1);
	cr_expect_eq(status().rekeys_running, 0);
	rig_pass(&rig, 3600000);
	cr_expect_str_eq(state(), "paused");
	cr_assert_eq(set("g1", false), GM_E_OK);
	cr_expect(workers_were_told(false));
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 0, "the walk goes on, it does not begin anew");
	cr_expect_str_eq(state(), "distributing");
	cr_expect_eq(status().rekeys_paused, 0);
}

Test(pause, is_refused_where_no_keys_are_on_their_way_and_likewise_its_end)
{
	cr_expect_eq(set("g1", true), GM_E_CONFLICT);
	cr_expect_eq(set("g1", false), GM_E_CONFLICT);
	cr_expect_eq(set("g9", true), GM_E_UNKNOWN);
	pause_g1();
	cr_expect_eq(set("g1", true), GM_E_CONFLICT);
	rig_delivered(&rig, "g1", true);
	cr_expect_str_eq(state(), "idle", "all had been told before");
	cr_expect_eq(entries_of(&rig.entries, "rekey-resumed", "\"reason\":\"all-told\""), 1, "the log says when it ended");
	cr_expect_eq(set("g1", false), GM_E_CONFLICT);
}

Test(pause, ends_with_its_distribution_and_the_next_is_not_paused)
{
	struct gm_group_spec spec = rig_group_spec("g2");

	spec.rekey_every_s = 600;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 21, "g2", REQ);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
	rig_delivered(&rig, "g2", true);
	for (unsigned i = 0; i < 602; i++)
		rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g2").version, 2);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing");
}

Test(pause, holds_up_no_eviction_and_ends_with_it)
{
	pause_g1();
	evict(&member[0], "g1");
	cr_expect_str_eq(state(), "distributing", "it will not stay paused");
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 2, "after its window, not after the thirty seconds that a distribution has");
	cr_expect(workers_were_told(false));
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 2);
	cr_expect_eq(status().rekeys_paused, 0);
}

Test(pause, ends_with_a_compromise)
{
	pause_g1();
	rekey("g1", true);
	cr_expect_eq(version(), 2);
	cr_expect(workers_were_told(false));
}

Test(pause, ends_with_a_command)
{
	pause_g1();
	rekey("g1", false);
	cr_expect_eq(version(), 2, "nor does it wait for the distribution that stands");
	cr_expect(workers_were_told(false));
}

Test(pause, ends_before_the_keys_do)
{
	struct gm_group_spec spec = rig_group_spec("g2");

	spec.key_lifetime_s = 600;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 21, "g2", REQ);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
	for (unsigned i = 0; i < 539; i++)
		rig_pass(&rig, 1000);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "paused");
	for (unsigned i = 0; i < 6; i++)
		rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g2").version, 2, "a tenth of their life before");
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing");
}

/* g2, whose keys last 600 s and are renewed each 200 s: so it is not the newest that end first */
static void pause_g2(void)
{
	struct gm_group_spec spec = rig_group_spec("g2");

	spec.key_lifetime_s = 600;
	spec.rekey_every_s = 200;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 21, "g2", REQ);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
}

static void seconds(unsigned n)
{
	while (n--)
		rig_pass(&rig, 1000);
}

Test(pause, ends_before_the_keys_do_of_those_who_were_not_told)
{
	pause_g2();
	seconds(569);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "paused");
	uint64_t version = rig_info(&rig, "g2").version;
	cr_assert_gt(version, 2, "new keys have come, and did not end it");
	seconds(1);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing", "a twentieth of their life before");
	cr_expect_eq(rig_info(&rig, "g2").version, version);
	cr_expect(workers_were_told(false));
	cr_expect_eq(entries_of(&rig.entries, "rekey-resumed", "\"reason\":\"keys-end\""), 1);
	cr_expect_eq(set("g2", true), GM_E_CONFLICT, "nor may it be paused again");
	cr_expect(strstr(why, "about to end") != NULL);
	rig_delivered(&rig, "g2", true);
	rekey("g2", false);
	cr_expect_eq(set("g2", true), GM_E_OK, "all had newer ones");
}

Test(pause, ends_before_the_keys_do_of_those_who_were_not_told_also_where_it_outlived_a_stop)
{
	pause_g2();
	seconds(300);
	rig_restart(&rig);
	seconds(269);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "paused");
	seconds(1);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing");
}

Test(pause, is_not_longer_because_an_administrator_has_the_keys_last_longer)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_EXP), .policies = {-1, -1}, .exp = rig.wall_s + 700};

	pause_g2();
	rig_delivered(&rig, "g2", true);
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_set(rig.core, &rig.txn, "g2", &map, &why), GM_E_OK);
	rig_turn_end(&rig);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
	seconds(601);
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing", "members know of the old end alone");
}

Test(pause, goes_on_over_new_keys_for_a_newcomer)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	struct rig_client c;

	spec.backward = GM_BACKWARD_WINDOW;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 11, "g2", REQ);
	c = rig_client(12, "g2", REQ);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	unsigned before = (unsigned)rig_info(&rig, "g2").version;
	(void)rig_join(&rig, &c, &(struct rig_join){.group = "g2", .roles = REQ, .cred = "cred"});
	rig_pass(&rig, 40000);
	cr_expect_gt(rig_info(&rig, "g2").version, before, "the keys are made");
	cr_expect_str_eq(rig_info(&rig, "g2").state, "paused", "and told to nobody");
}

Test(pause, ends_with_a_join_s_new_keys_that_an_eviction_was_waiting_for)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	struct rig_client out, c = rig_client(13, "g2", REQ);

	spec.backward = GM_BACKWARD_EACH;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	out = rig_member(&rig, 11, "g2", REQ);
	rig_member(&rig, 12, "g2", REQ);
	rig_delivered(&rig, "g2", true);
	rekey("g2", false);
	cr_assert_eq(set("g2", true), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	uint64_t before = rig_info(&rig, "g2").version;
	evict(&out, "g2");
	(void)rig_join(&rig, &c, &(struct rig_join){.group = "g2", .roles = REQ, .cred = "cred"});
	cr_assert_eq(rig_info(&rig, "g2").version, before + 1, "before the window of the eviction is over");
	cr_expect_str_eq(rig_info(&rig, "g2").state, "distributing");
	cr_expect_str_eq(rig_info(&rig, "g2").last_reason, "evicted");
	cr_expect_eq(status().rekeys_paused, 0);
}

Test(pause, is_refused_while_not_all_know_who_is_out_and_passed_over_with_all)
{
	group("g2");
	rig_member(&rig, 21, "g2", REQ);
	rekey("g2", false);
	evict(&member[0], "g1");
	rig_pass(&rig, 1000);
	cr_assert_str_eq(state(), "distributing");
	cr_expect_eq(set("g1", true), GM_E_CONFLICT);
	cr_expect(strstr(why, "somebody is out") != NULL);
	cr_expect(set_all(true));
	cr_expect_eq(passed, 1);
	cr_expect_eq(status().rekeys_paused, 1);
	rekey("g1", false);
	rig_pass(&rig, 40000);
	cr_expect_eq(version(), 2);
	cr_expect_eq(set("g1", true), GM_E_CONFLICT, "nor those that took the place of these");
	rig_restart(&rig);
	cr_assert_str_eq(state(), "distributing");
	cr_expect_eq(set("g1", true), GM_E_CONFLICT, "nor after a stop");
	rig_delivered(&rig, "g1", true);
	rekey("g1", false);
	cr_expect_eq(set("g1", true), GM_E_OK, "all know it");
}

Test(pause, is_refused_after_leave_and_compromise)
{
	rekey("g1", true);
	cr_expect_eq(set("g1", true), GM_E_CONFLICT);
	rig_delivered(&rig, "g1", true);
	cr_assert_eq(leave(&member[0]), GM_COAP(2, 2));
	rig_pass(&rig, 1000);
	cr_assert_str_eq(state(), "distributing");
	cr_expect_eq(set("g1", true), GM_E_CONFLICT);
}

Test(pause, outlives_a_stop)
{
	pause_g1();
	rig_restart(&rig);
	cr_expect_str_eq(state(), "paused");
	cr_expect_eq(version(), 1);
	cr_assert_eq(set("g1", false), GM_E_OK);
	rig_restart(&rig);
	cr_expect_str_eq(state(), "distributing");
}

Test(pause, ends_with_the_new_keys_of_a_start_that_gives_all_new_ones)
{
	pause_g1();
	rig.config.rekey_at_start = true;
	rig_restart(&rig);
	seconds(2);
	cr_expect_str_eq(state(), "distributing");
	cr_expect_eq(version(), 2);
}

Test(pause, is_of_all_groups_whose_keys_are_on_their_way)
{
	group("g2");
	group("g3");
	rig_member(&rig, 21, "g2", REQ);
	rig_member(&rig, 31, "g3", REQ);
	rekey("g1", false);
	rekey("g2", false);
	cr_expect(set_all(true));
	cr_expect_eq(status().rekeys_paused, 2);
	cr_expect_str_eq(rig_info(&rig, "g3").state, "idle");
	cr_expect(set_all(false));
	cr_expect_eq(status().rekeys_paused, 0);
	cr_expect_eq(status().rekeys_running, 2);
}
