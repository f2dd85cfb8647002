/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation at night, with the clock in hand: Central European Time, whose changes the C library knows. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/schedule.h"
#include "core_rig.h"

#define REQ GM_ROLE_REQUESTER
#define HOUR 3600

static struct core_rig rig;
static struct gm_schedule_spec night;
static unsigned clients;

static int32_t cet(int64_t wall_s)
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	localtime_r(&t, &tm);
	return (int32_t)tm.tm_gmtoff;
}

static void start(void)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	rig_start(&rig, 1);
	rig.utc_offset = cet;
	night = gm_schedule_default();
	snprintf(night.name, sizeof(night.name), "night");
	clients = 0;
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(schedule, .init = start, .fini = stop);

/* ---- the clock */

static int64_t utc(const char *text)
{
	struct tm tm = {0};

	cr_assert_not_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (int64_t)timegm(&tm);
}

static void pass_to(const char *text)
{
	int64_t s = utc(text) - rig.wall_s;

	cr_assert_gt(s, 0, "%s", text);
	rig_pass(&rig, (uint64_t)s * 1000);
}

static void pass_s(unsigned s)
{
	while (s--)
		rig_pass(&rig, 1000);
}

/* ---- groups */

static void group(const char *name, unsigned members)
{
	struct gm_group_spec spec = rig_group_spec(name);

	spec.key_lifetime_s = UINT32_MAX;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	while (members--) {
		struct rig_client c = rig_client(++clients, name, REQ);
		struct rig_join j = {.group = name, .roles = REQ, .cred = "cred"};
		c.exp = utc("2030-01-01 00:00:00");
		cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
		cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	}
}

static void groups(unsigned n, unsigned members)
{
	char name[16];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		group(name, members);
	}
}

static unsigned version(const char *name)
{
	return (unsigned)rig_info(&rig, name).version;
}

static unsigned rekeyed(unsigned n) /* of f1 to fn, how many have been, all versions added */
{
	unsigned sum = 0;
	char name[16];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		sum += version(name);
	}
	return sum;
}

static void land(unsigned n)
{
	char name[16];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		if (strcmp(rig_info(&rig, name).state, "distributing") == 0)
			rig_delivered(&rig, name, true);
	}
}

/* Until `text`, the last minute second by second, while all members confirm at once. */
static void live_to(const char *text, unsigned n)
{
	for (int64_t left = utc(text) - rig.wall_s; left > 0; left = utc(text) - rig.wall_s) {
		rig_pass(&rig, left > 80 ? 20000 : 1000);
		land(n);
	}
}

/* ---- schedules */

static enum gm_err command(enum gm_err (*do_it)(struct gm_core *, struct gm_txn *, const char *))
{
	rig_turn(&rig);
	enum gm_err err = do_it(rig.core, &rig.txn, "night");
	rig_turn_end(&rig);
	return err;
}

static enum gm_err set(void)
{
	rig_turn(&rig);
	enum gm_err err = gm_core_schedule_set(rig.core, &rig.txn, &night);
	rig_turn_end(&rig);
	return err;
}

static bool copy(void *arg, const struct gm_schedule_info *info)
{
	*(struct gm_schedule_info *)arg = *info;
	return false;
}

static struct gm_schedule_info info(void)
{
	struct gm_schedule_info i = {0};

	rig_turn(&rig);
	cr_assert_eq(gm_core_schedules(rig.core, &rig.txn, "night", copy, &i), GM_E_OK);
	rig_turn_end(&rig);
	return i;
}

static struct gm_schedule_count count(void)
{
	struct gm_schedule_count n;

	rig_turn(&rig);
	cr_assert(gm_core_schedule_count(rig.core, &rig.txn, "night", &n));
	rig_turn_end(&rig);
	return n;
}

static unsigned left(void)
{
	return count().left;
}

Test(schedule, rekeys_each_group_once_when_its_window_opens)
{
	groups(3, 2);
	group("other", 1);
	snprintf(night.groups, sizeof(night.groups), "f*");
	cr_assert_eq(set(), GM_E_OK);
	cr_expect_eq(info().next, utc("2023-11-15 01:00:00"), "02:00 in CET");
	pass_to("2023-11-15 00:59:59");
	cr_expect_eq(rekeyed(3), 0);
	cr_expect_str_eq(info().state, "waiting");
	rig_pass(&rig, 1000);
	cr_expect_eq(rekeyed(3), 3);
	cr_expect_str_eq(info().state, "running");
	live_to("2023-11-15 03:30:00", 3);
	cr_expect_eq(rekeyed(3), 3, "not twice in one window");
	cr_expect_eq(version("other"), 0);
	cr_expect_str_eq(info().state, "waiting");
	cr_expect_str_eq(info().outcome, "all done");
	cr_expect_str_eq(rig_info(&rig, "f1").last_reason, "schedule");
	live_to("2023-11-16 03:30:00", 3);
	cr_expect_eq(rekeyed(3), 6, "the next night again");
}

Test(schedule, has_counted_nothing_before_its_first_window)
{
	struct gm_schedule_count n;

	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	n = count();
	cr_expect(n.done == 0 && n.paused == 0 && n.left == 0 && n.passed_over == 0, "done %u left %u", n.done, n.left);
	live_to("2023-11-15 03:30:00", 2);
	n = count();
	cr_expect(n.done == 2 && n.left == 0);
}

Test(schedule, keeps_to_its_days)
{
	groups(1, 0);
	night.days = 1u << 0 | 1u << 3; /* Monday, Thursday */
	cr_assert_eq(set(), GM_E_OK);
	cr_expect_eq(info().next, utc("2023-11-16 01:00:00"), "the Thursday");
	pass_to("2023-11-15 01:00:30");
	cr_expect_eq(rekeyed(1), 0);
	pass_to("2023-11-16 01:00:30");
	cr_expect_eq(rekeyed(1), 1);
	cr_expect_eq(info().next, utc("2023-11-20 01:00:00"), "the Monday");
}

Test(schedule, that_is_set_in_the_middle_of_its_window_begins_with_the_next)
{
	groups(1, 0);
	pass_to("2023-11-15 01:30:00");
	cr_assert_eq(set(), GM_E_OK);
	pass_s(10);
	cr_expect_eq(rekeyed(1), 0);
	pass_to("2023-11-16 01:00:00");
	cr_expect_eq(rekeyed(1), 1);
}

Test(schedule, holds_its_pace_over_groups)
{
	groups(8, 5);
	night.pace = 5;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	land(8);
	for (unsigned s = 1; s <= 6; s++) {
		cr_expect_eq(rekeyed(8), s, "five members a second are a group a second, after %u", s);
		pass_s(1);
		land(8);
	}
}

Test(schedule, has_no_more_groups_on_their_way_than_it_says)
{
	groups(6, 1);
	night.at_once = 2;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	pass_s(20);
	cr_expect_eq(rekeyed(6), 2, "nobody has answered");
	cr_expect_eq(info().flying, 2);
	rig_delivered(&rig, "f1", true);
	pass_s(1);
	cr_expect_eq(rekeyed(6), 3);
}

Test(schedule, ends_with_its_window_and_the_rest_goes_on_next_time)
{
	groups(5, 1);
	night.at_once = 1;
	night.window_s = 60;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	rig_delivered(&rig, "f1", true);
	pass_s(1);
	cr_expect_eq(rekeyed(5), 2);
	pass_s(70);
	cr_expect_eq(rekeyed(5), 2);
	cr_expect_str_eq(info().state, "waiting");
	cr_expect_str_eq(info().outcome, "the window ended, 3 groups wait for the next one");
	cr_expect_eq(left(), 3);
	rig_delivered(&rig, "f2", true);
	night.at_once = 16;
	cr_assert_eq(set(), GM_E_OK);
	live_to("2023-11-16 01:00:30", 5);
	cr_expect_eq(rekeyed(5), 2 + 5);
}

/* Ten members of whom one is too many. */
static void stop_by_late_members(void)
{
	groups(3, 10);
	night.at_once = 1;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	rig_late(&rig, "f1", true);
	pass_s(1);
}

Test(schedule, stops_when_too_many_of_a_group_are_late)
{
	stop_by_late_members();
	cr_expect_str_eq(info().state, "stopped");
	cr_expect_str_eq(info().outcome, "stopped: 10 of 10 members of f1 are late");
	pass_s(600);
	cr_expect_eq(rekeyed(3), 1, "no further");
	cr_assert_eq(command(gm_core_schedule_resume), GM_E_OK);
	pass_s(1);
	cr_expect_str_eq(info().state, "running");
	live_to("2023-11-15 01:20:00", 3);
	cr_expect_eq(rekeyed(3), 3, "by hand it goes on, and not with f1 again");
	cr_expect_str_eq(info().outcome, "all done");
}

Test(schedule, that_is_resumed_is_not_stopped_again_by_members_who_were_late_before)
{
	groups(3, 10);
	night.at_once = 1;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	rig_late(&rig, "f1", false);
	pass_s(1);
	cr_expect_str_eq(info().state, "stopped");
	cr_assert_eq(command(gm_core_schedule_resume), GM_E_OK);
	pass_s(1);
	cr_expect_str_eq(info().state, "running");
	cr_expect_eq(rekeyed(3), 2, "while f1 is on its way still");
}

Test(schedule, that_stopped_begins_anew_with_the_next_window)
{
	stop_by_late_members();
	live_to("2023-11-16 00:59:59", 3);
	cr_expect_str_eq(info().state, "stopped", "also behind its window: somebody has to see it");
	live_to("2023-11-16 01:01:00", 3);
	cr_expect_eq(rekeyed(3), 1 + 3);
	cr_expect_str_eq(info().outcome, "all done");
}

Test(schedule, bears_as_many_late_members_as_it_says)
{
	groups(2, 10);
	night.late_most = 1000;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	rig_late(&rig, "f1", true);
	rig_late(&rig, "f2", true);
	pass_s(1);
	cr_expect_str_eq(info().outcome, "all done");
}

Test(schedule, that_is_paused_opens_no_window_until_it_is_resumed)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	cr_assert_eq(command(gm_core_schedule_pause), GM_E_OK);
	cr_expect_eq(command(gm_core_schedule_run), GM_E_CONFLICT);
	pass_to("2023-11-15 01:30:00");
	cr_expect_eq(rekeyed(2), 0);
	cr_expect_str_eq(info().state, "paused");
	cr_assert_eq(command(gm_core_schedule_resume), GM_E_OK);
	pass_s(1);
	cr_expect_eq(rekeyed(2), 2, "the window is open still");
	cr_expect_eq(info().ends, utc("2023-11-15 03:00:00"));
}

static void drain(bool on)
{
	gm_core_drain(rig.core, on);
}

Test(schedule, whose_time_comes_while_gmd_drains_begins_with_nobody_until_that_ends)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	drain(true);
	pass_to("2023-11-15 01:00:00");
	pass_s(600);
	cr_expect_eq(rekeyed(2), 0);
	cr_expect_str_eq(info().state, "drained");
	drain(false);
	cr_expect_str_eq(info().state, "running");
	pass_s(1);
	cr_expect_eq(rekeyed(2), 2);
	cr_expect_eq(info().ends, utc("2023-11-15 03:00:00"), "drained time is time");
}

Test(schedule, begins_with_no_group_more_while_gmd_drains_and_says_what_the_window_left_over)
{
	groups(5, 1);
	night.at_once = 1;
	night.window_s = 60;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	cr_expect_eq(rekeyed(5), 1);
	drain(true);
	rig_delivered(&rig, "f1", true);
	pass_s(30);
	cr_expect_eq(rekeyed(5), 1);
	cr_expect_eq(info().flying, 0, "who is on the way lands");
	pass_s(31);
	cr_expect_str_eq(info().outcome, "the window ended, 4 groups wait for the next one");
	drain(false);
	pass_s(600);
	cr_expect_eq(rekeyed(5), 1, "behind its window nothing begins");
	night.at_once = 16;
	cr_assert_eq(set(), GM_E_OK);
	live_to("2023-11-16 01:00:30", 5);
	cr_expect_eq(rekeyed(5), 1 + 5);
}

Test(schedule, that_had_begun_with_all_its_groups_ends_in_order_while_gmd_drains)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	cr_expect_eq(rekeyed(2), 2);
	drain(true);
	land(2);
	pass_s(1);
	cr_expect_str_eq(info().outcome, "all done");
}

Test(schedule, cannot_be_run_while_gmd_drains)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	drain(true);
	cr_expect_eq(command(gm_core_schedule_run), GM_E_CONFLICT);
	pass_s(5);
	cr_expect_eq(rekeyed(2), 0);
	drain(false);
	cr_expect_eq(command(gm_core_schedule_run), GM_E_OK);
}

Test(schedule, can_be_run_at_once)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	pass_s(2); /* groups that were made in this second have new keys */
	cr_expect_eq(command(gm_core_schedule_run), GM_E_OK);
	pass_s(5);
	cr_expect_eq(command(gm_core_schedule_run), GM_E_BUSY);
	land(2);
	pass_s(1);
	cr_expect_leq(rekeyed(2), 2);
	live_to("2023-11-15 01:01:00", 2);
	cr_expect_str_eq(info().outcome, "all done");
	cr_expect_eq(info().opened, utc("2023-11-15 01:00:00"), "its own time comes nevertheless");
}

Test(schedule, leaves_alone_who_got_new_keys_since_its_window_opened)
{
	groups(2, 1);
	night.at_once = 1;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	pass_s(1);
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "f2", false), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(version("f2"), 1, "an operator was faster");
	live_to("2023-11-15 01:10:00", 2);
	cr_expect_eq(version("f1"), 1);
	cr_expect_eq(version("f2"), 1);
}

Test(schedule, passes_over_a_group_whose_distribution_is_paused_and_is_not_kept_by_one)
{
	groups(3, 1);
	night.at_once = 1;
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "f1", false), GM_E_OK);
	cr_assert_eq(gm_core_rekey_pause(rig.core, &rig.txn, "f1", true, &(const char *){NULL}), GM_E_OK);
	rig_turn_end(&rig);
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	pass_s(1);
	cr_expect_eq(version("f2"), 1);
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey_pause(rig.core, &rig.txn, "f2", true, &(const char *){NULL}), GM_E_OK);
	rig_turn_end(&rig);
	pass_s(1);
	cr_expect_eq(version("f1"), 1, "the operator's, from before the window");
	cr_expect_eq(version("f3"), 1);
	land(3);
	pass_s(1);
	cr_expect_str_eq(info().outcome, "the window ended, 1 groups wait for the next one, of 1 the distribution is paused");
	cr_expect_eq(count().done, 2);
	cr_expect_eq(count().paused, 1, "f2: it has new keys");
	cr_expect_eq(count().passed_over, 1, "f1: it has not");
}

Test(schedule, says_whose_new_keys_are_not_told_when_all_have_them)
{
	groups(2, 1);
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	pass_s(1);
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey_pause(rig.core, &rig.txn, "f2", true, &(const char *){NULL}), GM_E_OK);
	rig_turn_end(&rig);
	land(2);
	pass_s(1);
	cr_expect_str_eq(info().outcome, "all done, of 1 the distribution is paused");
}

Test(schedule, goes_on_after_a_stop_in_the_middle_and_rekeys_nobody_twice)
{
	groups(6, 1);
	night.at_once = 2;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	rig_delivered(&rig, "f1", true);
	pass_s(1);
	cr_expect_eq(rekeyed(6), 3);
	rig_restart(&rig);
	cr_expect_str_eq(info().state, "running");
	live_to("2023-11-15 01:30:00", 6);
	cr_expect_eq(rekeyed(6), 6);
	for (unsigned i = 1; i <= 6; i++)
		cr_expect_eq(version((char[]){'f', (char)('0' + i), 0}), 1);
	cr_expect_eq(info().opened, utc("2023-11-15 01:00:00"));
}

Test(schedule, that_was_stopped_by_late_members_is_so_after_a_start)
{
	stop_by_late_members();
	rig_restart(&rig);
	pass_s(60);
	cr_expect_str_eq(info().state, "stopped");
	cr_expect_eq(rekeyed(3), 1);
}

Test(schedule, whose_time_came_while_gmd_was_down_has_what_is_left_of_its_window)
{
	groups(1, 0);
	cr_assert_eq(set(), GM_E_OK);
	rig.mono_ms += (uint64_t)(utc("2023-11-15 02:59:00") - rig.wall_s) * 1000;
	rig.wall_s = utc("2023-11-15 02:59:00");
	rig_restart(&rig);
	rig_pass(&rig, 1000);
	cr_expect_eq(rekeyed(1), 1);
	cr_expect_eq(info().ends, utc("2023-11-15 03:00:00"));
	rig.mono_ms += 24 * HOUR * 1000ull + 5 * 60 * 1000;
	rig.wall_s += 24 * HOUR + 5 * 60;
	rig_restart(&rig);
	pass_s(5);
	cr_expect_eq(rekeyed(1), 1, "behind its window it is over");
}

Test(schedule, runs_over_midnight)
{
	groups(1, 0);
	night.at_s = 23 * HOUR + 1800;
	cr_assert_eq(set(), GM_E_OK);
	rig.mono_ms += (uint64_t)(utc("2023-11-15 23:30:00") - rig.wall_s) * 1000;
	rig.wall_s = utc("2023-11-15 23:30:00"); /* 00:30 on the 16th, in CET */
	rig_restart(&rig);
	rig_pass(&rig, 1000);
	cr_expect_eq(rekeyed(1), 1, "of the 15th");
	cr_expect_eq(info().ends, utc("2023-11-16 00:30:00"));
}

/* ---- the nights on which clocks change */

Test(schedule, comes_once_where_the_clock_shows_its_time_twice)
{
	groups(1, 0);
	night.at_s = 2 * HOUR + 1800;
	night.window_s = 600;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2024-10-26 12:00:00");
	unsigned before = rekeyed(1);
	live_to("2024-10-27 00:29:59", 1);
	cr_expect_eq(rekeyed(1), before);
	live_to("2024-10-27 00:30:01", 1); /* 02:30 in summer */
	cr_expect_eq(rekeyed(1), before + 1);
	live_to("2024-10-27 06:00:00", 1); /* 02:30 again at 01:30 UTC */
	cr_expect_eq(rekeyed(1), before + 1);
	live_to("2024-10-28 01:30:01", 1);
	cr_expect_eq(rekeyed(1), before + 2, "the next night, in winter");
}

Test(schedule, comes_where_the_clock_leaves_its_time_out)
{
	groups(1, 0);
	night.at_s = 2 * HOUR + 1800;
	night.window_s = 600;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2024-03-30 12:00:00");
	unsigned before = rekeyed(1);
	live_to("2024-03-31 00:59:59", 1); /* 01:59:59; then comes 03:00 */
	cr_expect_eq(rekeyed(1), before);
	live_to("2024-03-31 01:00:01", 1);
	cr_expect_eq(rekeyed(1), before + 1);
	cr_expect_eq(info().ends - info().opened, 600, "its window is whole");
	live_to("2024-04-01 00:30:01", 1);
	cr_expect_eq(rekeyed(1), before + 2);
}

Test(schedule, has_a_window_of_real_seconds_while_the_clock_changes)
{
	groups(2, 1);
	night.at_s = HOUR + 1800;
	night.window_s = HOUR;
	night.at_once = 1;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2024-10-26 12:00:00");
	land(2);
	live_to("2024-10-26 23:00:00", 2);
	while (rig.wall_s < utc("2024-10-27 00:29:59")) /* 01:30 in summer is 23:30 UTC */
		rig_pass(&rig, (utc("2024-10-27 00:29:59") - rig.wall_s) % 20 ? 1000 : 20000);
	cr_expect_str_eq(info().state, "running");
	pass_s(2);
	cr_expect_str_eq(info().state, "waiting");
	cr_expect_eq(info().opened, utc("2024-10-26 23:30:00"));
}

/* ---- a clock that is wrong */

/* A turn with the wall clock elsewhere. */
static void look_at(const char *text)
{
	rig.wall_s = utc(text);
	rig_turn(&rig);
	gm_core_tick(rig.core, &rig.txn);
	rig_turn_end(&rig);
}

Test(schedule, works_the_next_night_though_the_clock_was_ten_years_ahead_for_two_seconds)
{
	groups(2, 0);
	cr_assert_eq(set(), GM_E_OK);
	pass_s(10);
	int64_t now = rig.wall_s;
	look_at("2033-11-15 01:00:10");
	look_at("2033-11-15 01:00:11");
	cr_assert_eq(rekeyed(2), 2, "so it was: a window opened");
	rig.wall_s = now;
	pass_s(2);
	cr_expect_str_eq(info().state, "waiting");
	cr_expect_eq(info().next, utc("2023-11-15 01:00:00"));
	rig_restart(&rig);
	pass_to("2023-11-15 01:00:01");
	cr_expect_eq(rekeyed(2), 4);
	pass_s(10);
	cr_expect_str_eq(info().outcome, "all done");
}

Test(schedule, that_is_set_anew_forgets_what_a_wrong_clock_has_left)
{
	groups(1, 0);
	int64_t now = rig.wall_s;
	rig.wall_s = utc("2033-11-15 00:00:00");
	cr_assert_eq(set(), GM_E_OK);
	rig.wall_s = now;
	cr_assert_eq(set(), GM_E_OK);
	cr_expect_eq(info().next, utc("2023-11-15 01:00:00"));
}

Test(schedule, goes_on_in_its_window_when_the_clock_is_put_back_by_seconds)
{
	groups(2, 1);
	night.at_once = 1;
	cr_assert_eq(set(), GM_E_OK);
	pass_to("2023-11-15 01:00:00");
	look_at("2023-11-15 00:59:50");
	cr_expect_str_eq(info().state, "running");
	cr_expect_eq(rekeyed(2), 1);
}

/* ---- what can be said */

Test(schedule, names_groups_by_patterns)
{
	static const struct {
		const char *patterns, *group;
		bool names;
	} rows[] = {{"*", "x", true},           {"f1", "f1", true},         {"f1", "f10", false},    {"f?", "f1", true},       {"f?", "f", false},
	            {"f1 g*", "g7", true},      {"f1 g*", "h", false},      {"*-lamp", "a-lamp", true}, {"*-lamp", "a-lamp-b", false},
	            {"a*b*c", "axxbxbc", true}, {"a*b*c", "axxbxb", false}, {" f1 ", "f1", true},    {"", "f1", false},        {"**", "", true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(gm_schedule_names(rows[i].patterns, rows[i].group), rows[i].names, "%s: %s", rows[i].patterns, rows[i].group);
}

Test(schedule, refuses_what_cannot_be_and_more_than_there_is_room_for)
{
	struct gm_schedule_spec good = night;

	for (unsigned i = 0; i < 7; i++) {
		night = good;
		night.at_s = i == 0 ? GM_DAY_S : night.at_s;
		night.days = i == 1 ? 0 : night.days;
		night.window_s = i == 2 ? 59 : i == 3 ? GM_DAY_S + 1 : night.window_s;
		night.at_once = i == 4 ? 0 : i == 5 ? GM_SCHEDULE_AT_ONCE_MAX + 1 : night.at_once;
		night.late_most = i == 6 ? 1001 : night.late_most;
		cr_expect_eq(set(), GM_E_USAGE);
	}
	night = good;
	night.groups[0] = '\0';
	cr_expect_eq(set(), GM_E_USAGE);
	for (unsigned i = 0; i < GM_SCHEDULES_MAX; i++) {
		night = good;
		snprintf(night.name, sizeof(night.name), "s%u", i);
		cr_expect_eq(set(), GM_E_OK);
	}
	snprintf(night.name, sizeof(night.name), "night");
	cr_expect_eq(set(), GM_E_FULL);
	cr_expect_eq(command(gm_core_schedule_remove), GM_E_UNKNOWN);
	snprintf(night.name, sizeof(night.name), "s7");
	cr_expect_eq(set(), GM_E_OK, "one that is there can be changed");
	rig_restart(&rig);
}
