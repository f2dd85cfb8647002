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
