/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "store/store.h"

Test(changes, come_back_in_order_with_all_they_hold)
{
	struct gm_changes c = {0};
	const struct gm_change *at;

	cr_expect_null(gm_changes_next(&c, NULL));
	gm_changes_put(&c, GM_OWNER_GROUP(7), GM_TABLE_MEMBER, "key", 3, "value", 5);
	gm_changes_remove(&c, GM_OWNER_SHARD(3), GM_TABLE_CTX, "k2", 2);
	gm_changes_put(&c, GM_OWNER_SITE, GM_TABLE_AS, "k", 1, NULL, 0);
	cr_expect_eq(c.count, 3);
	at = gm_changes_next(&c, NULL);
	cr_expect(at->owner == GM_OWNER_GROUP(7) && at->table == GM_TABLE_MEMBER && !at->remove);
	cr_expect(at->key_n == 3 && at->value_n == 5 && memcmp(at->bytes, "keyvalue", 8) == 0);
	at = gm_changes_next(&c, at);
	cr_expect(at->owner == GM_OWNER_SHARD(3) && at->table == GM_TABLE_CTX && at->remove && at->value_n == 0);
	cr_expect(at->key_n == 2 && memcmp(at->bytes, "k2", 2) == 0);
	at = gm_changes_next(&c, at);
	cr_expect(at->key_n == 1 && at->value_n == 0 && !at->remove);
	cr_expect_null(gm_changes_next(&c, at));
	gm_changes_free(&c);
}

/* A turn that rewrites one record a thousand times, among others that it writes once. */
Test(changes, of_one_key_are_written_once_with_what_came_last)
{
	struct gm_changes c = {0};
	uint32_t seen = 0, others = 0, last = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		gm_changes_put(&c, 1, GM_TABLE_GROUP, "stale", 5, &i, sizeof(i));
		if (i % 2)
			gm_changes_put(&c, 0, GM_TABLE_CTX, &i, sizeof(i), &i, sizeof(i));
		gm_changes_put(&c, 1, GM_TABLE_MEMBER, "stale", 5, "another table", 13);
	}
	gm_changes_remove(&c, 1, GM_TABLE_MEMBER, "stale", 5);
	for (const struct gm_change *at = NULL; (at = gm_changes_next(&c, at)); seen++) {
		others += at->table == GM_TABLE_CTX;
		if (at->table == GM_TABLE_GROUP)
			memcpy(&last, at->bytes + at->key_n, sizeof(last));
	}
	cr_expect_eq(others, 500, "what is written once is there");
	cr_expect_eq(seen, c.count);
	cr_expect_lt(seen, 500 + 30, "%u", seen);
	cr_expect_eq(last, 999);
	gm_changes_reset(&c);
	gm_changes_put(&c, 1, GM_TABLE_GROUP, "stale", 5, "new turn", 8);
	cr_expect_eq(c.count, 1);
	gm_changes_free(&c);
}

/* Whatever the order of keys: the last change of each is carried out after all others of it. */
Test(changes, win_when_they_are_later_whatever_comes_between)
{
	enum { KEYS = 1000, CHANGES = 50000 };
	static uint32_t want[KEYS], got[KEYS];
	struct gm_changes c = {0};
	uint32_t dice = 7, n = 0;

	for (uint32_t i = 1; i <= CHANGES; i++) {
		dice = dice * 1664525u + 1013904223u;
		const uint32_t key = (dice >> 16) % (dice & 64 ? 5 : KEYS);
		want[key] = dice & 1 ? i : 0;
		if (want[key])
			gm_changes_put(&c, 0, GM_TABLE_CTX, &key, sizeof(key), &i, sizeof(i));
		else
			gm_changes_remove(&c, 0, GM_TABLE_CTX, &key, sizeof(key));
	}
	for (const struct gm_change *at = NULL; (at = gm_changes_next(&c, at)); n++) {
		uint32_t key, value = 0;
		memcpy(&key, at->bytes, sizeof(key));
		if (!at->remove)
			memcpy(&value, at->bytes + sizeof(key), sizeof(value));
		got[key] = value;
	}
	cr_expect_arr_eq(got, want, sizeof(want));
	cr_expect_eq(n, c.count);
	cr_expect_lt(n, CHANGES * 3 / 4, "%u", n);
	gm_changes_free(&c);
}

Test(changes, grow_as_needed)
{
	struct gm_changes c = {0};
	static uint8_t value[100000];
	uint32_t i = 0;

	for (; i < 20000; i++)
		gm_changes_put(&c, 0, GM_TABLE_CTX, &i, sizeof(i), value, i % 99);
	memset(value, 7, sizeof(value));
	gm_changes_put(&c, 0, GM_TABLE_CTX, &i, sizeof(i), value, sizeof(value));
	i = 0;
	for (const struct gm_change *at = NULL; (at = gm_changes_next(&c, at)); i++) {
		cr_assert_eq((uintptr_t)at % 8, 0);
		cr_assert_arr_eq(at->bytes, &i, sizeof(i));
	}
	cr_expect_eq(i, 20001);
	gm_changes_free(&c);
}

Test(changes, are_wiped_by_reset)
{
	struct gm_changes c = {0};

	gm_changes_put(&c, 0, GM_TABLE_CTX, "k", 1, "secret!", 7);
	uint8_t *bytes = c.bytes;
	size_t n = c.n;
	gm_changes_reset(&c);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(bytes[i], 0);
	cr_expect(c.count == 0 && gm_changes_next(&c, NULL) == NULL);
	gm_changes_put(&c, 0, GM_TABLE_CTX, "k", 1, "again", 5);
	cr_expect_eq(c.bytes, bytes);
	gm_changes_free(&c);
}
