/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "core_rig.h"

static struct core_rig rig;

static void start(void)
{
	rig_start(&rig, 2);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(recover_core, .init = start, .fini = stop);

/* As gm_store_recover() does. */
static void take_away(enum gm_table table)
{
	for (size_t i = 0; i < rig.records;) {
		if (rig.record[i].table != table) {
			i++;
			continue;
		}
		free(rig.record[i].value);
		rig.record[i] = rig.record[--rig.records];
	}
}

static unsigned stored(enum gm_table table)
{
	unsigned n = 0;

	for (size_t i = 0; i < rig.records; i++)
		n += rig.record[i].table == table;
	return n;
}

static uint32_t epoch(const struct gm_group_info *info)
{
	const uint8_t *p = info->gid + info->gid_n - 4;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

Test(recover_core, each_group_leaps_beyond_what_could_have_been_used_and_has_no_stale_set)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	spec.max_stale_sets = 4;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	struct rig_client a = rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	rig_member(&rig, 2, "g1", GM_ROLE_REQUESTER);
	const struct gm_evict_spec evict = {.group = "g1", .node = rig_mirror_of(&rig, a.ctx, "g1")->node};
	unsigned evicted;
	rig_turn(&rig);
	cr_assert_eq(gm_core_evict(rig.core, &rig.txn, &evict, &evicted), GM_E_OK);
	rig_turn_end(&rig);
	rig_pass(&rig, 60000);
	const struct gm_group_info before = rig_info(&rig, "g1");
	const unsigned bars = stored(GM_TABLE_BAR);
	cr_assert(before.stale_sets > 1 && bars == 1);

	take_away(GM_TABLE_MEMBER);
	take_away(GM_TABLE_CTX);
	rig_restart(&rig);
	rig_turn(&rig);
	cr_assert_eq(gm_core_recover(rig.core, &rig.txn, 2), 1u);
	rig_turn_end(&rig);
	rig_restart(&rig);
	const struct gm_group_info after = rig_info(&rig, "g1");

	const uint64_t far = after.version - before.version;
	cr_assert(far >= 2 * GM_RECOVER_LEAP && far < 3 * GM_RECOVER_LEAP);
	cr_assert_eq(epoch(&after), (uint32_t)(epoch(&before) + far));
	cr_assert_eq(after.members, 0u);
	cr_assert_eq(after.stale_sets, 1u);
	cr_assert_eq(after.stale_now, 0u);
	cr_assert_eq(stored(GM_TABLE_GROUP), 1u, "records of stale sets are left");
	cr_assert_eq(stored(GM_TABLE_BAR), bars, "who was evicted is not barred any more");
	rig_member(&rig, 3, "g1", GM_ROLE_REQUESTER);
}
