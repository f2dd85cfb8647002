/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"

static struct core_rig rig;

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	spec.max_stale_sets = 16;
	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(config_change, .init = start, .fini = stop);

static void rekey(void)
{
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", false), GM_E_OK);
	rig_turn_end(&rig);
}

static enum gm_err keep_sets(int64_t n, const char **why)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS), .max_stale_sets = n, .policies = {-1, -1}};

	rig_turn(&rig);
	enum gm_err err = gm_core_group_set(rig.core, &rig.txn, "g1", &map, why);
	rig_turn_end(&rig);
	return err;
}

Test(config_change, fewer_stale_sets_keep_the_newest_also_after_a_stop)
{
	const char *why;

	for (unsigned i = 0; i < 6; i++)
		rekey();
	cr_assert_eq(rig_info(&rig, "g1").stale_sets, 7u);
	cr_expect_eq(keep_sets(3, &why), GM_E_OK);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 3u);
	cr_expect_eq(rig_info(&rig, "g1").version, 6u);
	rig_restart(&rig);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 3u);
	cr_expect_eq(keep_sets(5, &why), GM_E_OK);
	for (unsigned i = 0; i < 4; i++)
		rekey();
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 5u);
	rig_restart(&rig);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 5u);
}

Test(config_change, what_is_refused_changes_nothing_and_says_why)
{
	const char *why;
	char *before = rig_dump(&rig), *after;

	cr_expect_eq(keep_sets(1, &why), GM_E_RANGE);
	cr_expect(why && strstr(why, "max_stale_sets"));
	cr_expect_eq(keep_sets(1000000, &why), GM_E_BAD_CONFIG);
	after = rig_dump(&rig);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
}
