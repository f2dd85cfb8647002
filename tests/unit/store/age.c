/* SPDX-License-Identifier: Apache-2.0 */
/* When entries of the audit log are too old, whatever the clock says. */
#include <criterion/criterion.h>

#include "store/age.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define KEEP 400u
#define HOUR_MS 3600000u

static struct gm_age age;
static int64_t wall_s = NOW, oldest_s;
static uint64_t mono_ms = 5000;

static int64_t pass(uint64_t ms)
{
	mono_ms += ms;
	wall_s += (int64_t)(ms / 1000);
	return gm_age_since(&age, wall_s, mono_ms, KEEP, oldest_s);
}

Test(age, nothing_goes_in_the_first_hour_and_then_a_day_in_an_hour)
{
	oldest_s = NOW - 500 * DAY;
	cr_expect_leq(pass(0), oldest_s);
	cr_expect_leq(pass(HOUR_MS - 1), oldest_s);
	cr_expect_eq(pass(1), oldest_s + DAY);
	for (unsigned i = 0; i < 59; i++)
		cr_expect_eq(pass(60000), oldest_s + DAY);
	oldest_s += DAY;
	cr_expect_eq(pass(60000), oldest_s + DAY);
}

Test(age, what_is_not_too_old_stays)
{
	oldest_s = NOW - 400 * DAY - 10;
	pass(0);
	for (unsigned hour = 0; hour < 48; hour++)
		cr_expect_leq(pass(HOUR_MS), NOW + (hour + 1) * 3600 - 400 * DAY);
}

Test(age, a_clock_that_jumps_ahead_lets_nothing_go_for_an_hour_and_little_then)
{
	oldest_s = NOW - 300 * DAY;
	pass(0);
	pass(30 * (uint64_t)HOUR_MS);
	wall_s += 36500 * DAY;
	cr_expect_leq(pass(1000), oldest_s);
	cr_expect_leq(pass(HOUR_MS - 1000), oldest_s);
	cr_expect_eq(pass(1000), oldest_s + DAY);
	wall_s -= 36500 * DAY;
	cr_expect_lt(pass(1000), oldest_s, "and it stops with it");
}

Test(age, a_clock_that_jumps_all_the_time_lets_nothing_go)
{
	oldest_s = NOW - 300 * DAY;
	for (unsigned i = 0; i < 100; i++) {
		wall_s += 30 * DAY;
		cr_expect_leq(pass(HOUR_MS / 2), oldest_s);
	}
}

Test(age, for_ever_is_for_ever)
{
	for (unsigned hour = 0; hour < 48; hour++)
		cr_expect_eq(gm_age_since(&age, NOW + hour * 3600, hour * (uint64_t)HOUR_MS, 0, 0), 0);
}
