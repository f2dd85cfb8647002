/* SPDX-License-Identifier: Apache-2.0 */
/* Which records a process that takes over has to read again. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "store/changed.h"

static struct gm_changed changed;
static struct gm_changes turn;

static void end(void)
{
	gm_changed_end(&changed);
	gm_changes_free(&turn);
}

TestSuite(changed, .fini = end);

static void commit(void)
{
	gm_changed_note(&changed, &turn);
	gm_changes_reset(&turn);
}

static size_t keys_of(const void *bytes, size_t n, struct gm_changed_key keys[static 16])
{
	struct gm_changed_key *all;
	size_t found;

	cr_assert_eq(gm_changed_keys((struct gm_bytes){bytes, n}, &all, &found), GM_E_OK);
	cr_assert_leq(found, 16);
	if (found)
		memcpy(keys, all, found * sizeof(*keys));
	free(all);
	return found;
}

Test(changed, names_each_key_once_sorted_whatever_was_done_to_it)
{
	struct gm_changed_key k[16];

	gm_changes_put(&turn, 0, GM_TABLE_MEMBER, "before", 6, "", 0);
	commit();
	cr_expect_eq(changed.n, 0, "nobody has asked");
	gm_changed_begin(&changed);
	gm_changes_put(&turn, 0, GM_TABLE_MEMBER, "ab", 2, "secret", 6);
	gm_changes_put(&turn, 0, GM_TABLE_GROUP, "z", 1, "secret", 6);
	gm_changes_put(&turn, 0, GM_TABLE_AUDIT, "entry", 5, "text", 4);
	commit();
	gm_changes_remove(&turn, 0, GM_TABLE_MEMBER, "ab", 2);
	gm_changes_put(&turn, 0, GM_TABLE_MEMBER, "a", 1, "secret", 6);
	gm_changes_put(&turn, 0, GM_TABLE_MEMBER, "a", 1, "secret", 6);
	commit();
	cr_assert_eq(keys_of(changed.bytes, changed.n, k), 3);
	cr_expect(k[0].table == GM_TABLE_GROUP && k[0].key_n == 1 && k[0].key[0] == 'z');
	cr_expect(k[1].table == GM_TABLE_MEMBER && k[1].key_n == 1 && k[1].key[0] == 'a');
	cr_expect(k[2].table == GM_TABLE_MEMBER && k[2].key_n == 2 && memcmp(k[2].key, "ab", 2) == 0);
	gm_changed_begin(&changed);
	cr_expect_eq(changed.n, 0);
	gm_changed_end(&changed);
	gm_changes_put(&turn, 0, GM_TABLE_MEMBER, "after", 5, "", 0);
	commit();
	cr_expect_eq(changed.n, 0);
}

Test(changed, of_which_there_are_too_many_are_lost_and_said_to_be)
{
	gm_changed_begin(&changed);
	for (uint32_t i = 0; !changed.lost; i++) {
		cr_assert_lt(i, GM_CHANGED_MAX);
		gm_changes_put(&turn, 0, GM_TABLE_MEMBER, (const uint8_t[GM_KEY_MAX]){(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)}, GM_KEY_MAX, "", 0);
		if (i % 1024 == 1023)
			commit();
	}
	cr_expect_leq(changed.cap, GM_CHANGED_MAX);
	cr_expect_gt(changed.n, GM_CHANGED_MAX - 2 * GM_KEY_MAX);
}

Test(changed, that_cannot_be_keys_are_refused)
{
	static const struct {
		uint8_t n, bytes[4];
	} bad[] = {{1, {3}}, {2, {3, 0}}, {3, {3, 2, 'a'}}, {3, {GM_TABLE_N, 1, 'a'}}, {3, {255, 1, 'a'}}, {4, {3, 1, 'a', 3}}, {2, {3, GM_KEY_MAX + 1}}};
	struct gm_changed_key *keys, none[16];
	size_t n;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(gm_changed_keys((struct gm_bytes){bad[i].bytes, bad[i].n}, &keys, &n), GM_E_BAD_FORMAT, "%u", i);
	cr_expect_eq(keys_of("", 0, none), 0);
	cr_expect_eq(keys_of("\3\1a", 3, none), 1);
}
