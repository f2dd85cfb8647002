/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of the audit log in the store: whole after every stop, and what is done to it is noticed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "store/lmdb.h"

static char base[64], dir[80], key_file[80], why[GM_WHY];
static struct gm_store *store;
static struct gm_changes changes;
static uint64_t turn;

static void start(void)
{
	cr_assert(gm_crypto_init());
	strcpy(base, "/tmp/gm-audit-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/store", base);
	snprintf(key_file, sizeof(key_file), "%s/key", base);
	cr_assert_eq(gm_store_init(dir, key_file, why), GM_E_OK);
	cr_assert_eq(gm_store_open(&store, dir, key_file, why), GM_E_OK, "%s", why);
}

static void finish(void)
{
	static const char *const files[] = {"store/data.mdb", "store/lock.mdb", "store/lock", "store", "key", ""};
	char path[160];

	gm_store_close(store);
	gm_changes_free(&changes);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		remove(path);
	}
}

TestSuite(audit, .init = start, .fini = finish);

static void add(int64_t at_s, const char *text)
{
	uint8_t key[8];
	struct gm_out o = gm_out(key, sizeof(key));

	gm_out_be(&o, (uint64_t)at_s, 8);
	gm_changes_put(&changes, GM_OWNER_SITE, GM_TABLE_AUDIT, key, sizeof(key), text, strlen(text));
}

static void commit(void)
{
	cr_assert_eq(gm_store_begin(store, &changes, ++turn), GM_E_OK);
	cr_assert_eq(gm_store_finish(store), GM_COMMIT_DONE);
	gm_changes_reset(&changes);
}

/* One entry a turn, so one block each. */
static void commit_some(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char text[64];
		snprintf(text, sizeof(text), "\"at\":%u,\"event\":\"e%u\"}", 1000 + i, i);
		add(1000 + i, text);
		commit();
	}
}

static enum gm_err reopen(void)
{
	gm_store_close(store);
	store = NULL;
	return gm_store_open(&store, dir, key_file, why);
}

struct seen {
	uint64_t first, n, at;
	uint8_t hash[GM_AUDIT_HASH];
	bool broken;
	char last[128];
};

static bool see(void *arg, uint64_t seq, struct gm_bytes text, const uint8_t hash[static GM_AUDIT_HASH])
{
	uint8_t bytes[GM_AUDIT_HASH + 2048];
	struct seen *s = arg;

	memcpy(bytes, s->hash, GM_AUDIT_HASH);
	memcpy(bytes + GM_AUDIT_HASH, text.p, text.n);
	gm_sha256(s->hash, bytes, GM_AUDIT_HASH + text.n);
	s->broken |= memcmp(s->hash, hash, GM_AUDIT_HASH) != 0 || seq != s->first + s->n;
	s->n++;
	snprintf(s->last, sizeof(s->last), "%.*s", (int)text.n, (const char *)text.p);
	return true;
}

static enum gm_err look(struct seen *s)
{
	struct gm_audit_ends ends;

	gm_store_audit_ends(store, &ends);
	*s = (struct seen){.first = ends.kept.seq + 1};
	memcpy(s->hash, ends.kept.hash, sizeof(s->hash));
	enum gm_err err = gm_store_audit(store, 1, &s->at, see, s);
	if (err == GM_E_OK)
		cr_expect(s->first + s->n - 1 == ends.head.seq && memcmp(s->hash, ends.head.hash, sizeof(s->hash)) == 0, "the head is the latest");
	return err;
}

/* On the records as whoever has the file, and not the key, would do it. */
static void tamper(uint64_t first, bool remove)
{
	struct gm_db_key key;
	uint8_t be[8];
	struct gm_out o = gm_out(be, sizeof(be));
	MDB_val record;
	MDB_txn *txn;

	gm_out_be(&o, first, 8);
	gm_db_key(&key, GM_TABLE_AUDIT, be, sizeof(be));
	cr_assert_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
	if (remove) {
		cr_assert_eq(mdb_del(txn, store->dbi, &key.val, NULL), 0);
	} else {
		cr_assert_eq(mdb_get(txn, store->dbi, &key.val, &record), 0);
		uint8_t *bytes = malloc(record.mv_size);
		memcpy(bytes, record.mv_data, record.mv_size);
		bytes[record.mv_size / 2] ^= 1;
		MDB_val other = {.mv_data = bytes, .mv_size = record.mv_size};
		cr_assert_eq(mdb_put(txn, store->dbi, &key.val, &other, 0), 0);
		free(bytes);
	}
	cr_assert_eq(mdb_txn_commit(txn), 0);
}

Test(audit, each_hash_is_of_the_one_before_and_the_text)
{
	static const char one[] = "{\"seq\":1,\"at\":5,\"event\":\"a\"}", two[] = "{\"seq\":2,\"at\":6,\"event\":\"b\"}";
	uint8_t bytes[128] = {0}, hash[GM_SHA256];
	struct seen s;

	add(5, "\"at\":5,\"event\":\"a\"}");
	add(6, "\"at\":6,\"event\":\"b\"}");
	commit();
	memcpy(bytes + 32, one, strlen(one));
	gm_sha256(hash, bytes, 32 + strlen(one));
	memcpy(bytes, hash, 32);
	memcpy(bytes + 32, two, strlen(two));
	gm_sha256(hash, bytes, 32 + strlen(two));
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 2 && !s.broken);
	cr_expect_str_eq(s.last, two);
	cr_expect(memcmp(s.hash, hash, sizeof(hash)) == 0);
}

Test(audit, goes_on_where_it_was_after_a_start)
{
	struct seen s;

	commit_some(3);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	commit_some(2);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 5 && !s.broken, "%llu entries", (unsigned long long)s.n);
}

Test(audit, an_entry_is_there_with_its_turn_or_not_at_all)
{
	struct seen s;

	commit_some(1);
	add(7, "\"event\":\"lost\"}");
	gm_changes_put(&changes, 0, GM_TABLE_CTX, "k", 1, "v", 1);
	cr_assert_eq(gm_store_begin(store, &changes, turn + 1), GM_E_OK);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why); /* as a crash before the commit */
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 1 && !s.broken);
	commit();
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 2 && !s.broken);
	cr_expect_str_eq(s.last, "{\"seq\":2,\"event\":\"lost\"}");
}

Test(audit, a_turn_that_the_store_refuses_leaves_no_trace_in_the_chain)
{
	static char long_one[GM_AUDIT_MAX + 2];
	struct seen s;

	commit_some(2);
	memset(long_one, 'x', sizeof(long_one) - 1);
	add(1, "\"event\":\"before\"}");
	add(1, long_one);
	cr_assert_eq(gm_store_begin(store, &changes, turn + 1), GM_E_STORE);
	gm_changes_reset(&changes);
	commit_some(1);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 3 && !s.broken);
}

Test(audit, thousands_of_entries_of_a_turn_are_read_from_any_number_on)
{
	static char text[GM_AUDIT_MAX + 1];
	struct gm_audit_ends ends;
	struct seen s;

	for (unsigned i = 0; i < 3000; i++) {
		memset(text, 'a' + (int)(i % 26), sizeof(text));
		text[1 + i * 7 % (i % 50 ? 300 : GM_AUDIT_MAX)] = '\0';
		add(i, text);
	}
	commit();
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 3000 && !s.broken);
	gm_store_audit_ends(store, &ends);
	for (uint64_t from = 1; from <= 3000; from += 37) {
		s = (struct seen){.first = from};
		cr_assert_eq(gm_store_audit(store, from, &s.at, see, &s), GM_E_OK);
		cr_assert_eq(s.n, 3001 - from, "from %llu", (unsigned long long)from);
	}
	cr_expect_eq(gm_store_audit(store, 3001, &s.at, see, &s), GM_E_OK, "nothing is no fault");
}

Test(audit, a_record_taken_away_in_the_middle_is_named)
{
	struct seen s;

	commit_some(5);
	tamper(3, true);
	cr_assert_eq(look(&s), GM_E_CORRUPT);
	cr_expect_eq(s.at, 3);
	cr_assert_eq(reopen(), GM_E_OK, "that its end is there is all that a start looks at: %s", why);
}

Test(audit, a_byte_changed_is_named)
{
	struct seen s;

	commit_some(5);
	tamper(2, false);
	cr_assert_eq(look(&s), GM_E_CORRUPT);
	cr_expect_eq(s.at, 2);
}

Test(audit, the_first_record_taken_away_is_named)
{
	struct seen s;

	commit_some(5);
	tamper(1, true);
	cr_assert_eq(look(&s), GM_E_CORRUPT);
	cr_expect_eq(s.at, 1);
}

Test(audit, a_store_whose_log_was_cut_off_does_not_open)
{
	commit_some(5);
	tamper(5, true);
	cr_assert_eq(reopen(), GM_E_CORRUPT);
	cr_expect_not_null(strstr(why, "audit log"), "%s", why);
}

Test(audit, a_store_whose_log_is_gone_does_not_open)
{
	commit_some(2);
	tamper(1, true);
	tamper(2, true);
	cr_assert_eq(reopen(), GM_E_CORRUPT);
}

Test(audit, old_entries_go_and_the_rest_is_verified_from_where_they_ended)
{
	struct gm_audit_ends ends;
	struct seen s;

	commit_some(10); /* at 1000 to 1009 */
	gm_store_audit_keep(store, 1004);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect_eq(s.n, 10, "not before something is written");
	gm_changes_put(&changes, 0, GM_TABLE_CTX, "k", 1, "v", 1);
	commit();
	gm_store_audit_ends(store, &ends);
	cr_expect_eq(ends.kept.seq, 4);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 6 && s.first == 5 && !s.broken, "%llu entries", (unsigned long long)s.n);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 6 && !s.broken);
}

Test(audit, many_old_entries_go_in_steps)
{
	struct gm_audit_ends ends;
	struct seen s;

	commit_some(3 * GM_CHAIN_LET_GO);
	gm_store_audit_keep(store, 1000000);
	for (unsigned i = 1; i <= 3; i++) {
		gm_changes_put(&changes, 0, GM_TABLE_CTX, "k", 1, "v", 1);
		commit();
		gm_store_audit_ends(store, &ends);
		cr_expect_eq(ends.kept.seq, i * GM_CHAIN_LET_GO);
	}
	cr_assert_eq(reopen(), GM_E_OK, "without any: %s", why);
	commit_some(2);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 2 && !s.broken);
}

/* As gmd does, each time it starts. */
static void start_again(int64_t wall_s, uint64_t mono_ms)
{
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	struct gm_age *age = gm_store_audit_age(store);
	gm_store_audit_keep(store, gm_age_since(age, wall_s, mono_ms, 1, gm_store_audit_oldest(store)));
	add(wall_s, "\"event\":\"started\"}");
	commit();
}

Test(audit, old_entries_go_also_where_it_never_stays_open_for_an_hour)
{
	const int64_t old = 1000, now = old + 10 * GM_AGE_STEP_S;
	const uint64_t half_ms = GM_AGE_STEP_MS / 2, half_s = half_ms / 1000;
	struct gm_audit_ends ends;
	uint64_t kept[5];

	for (unsigned i = 0; i < 5; i++) {
		add(old + i * GM_AGE_STEP_S, "\"event\":\"old\"}");
		commit();
	}
	for (unsigned i = 0; i < 5; i++) {
		start_again(now + (int64_t)(i * half_s), 7000 + i * half_ms);
		gm_store_audit_ends(store, &ends);
		kept[i] = ends.kept.seq;
	}
	cr_expect_eq(kept[0], 0);
	cr_expect_eq(kept[1], 0, "half an hour is not enough");
	cr_expect_eq(kept[2], 1, "those of a day");
	cr_expect_eq(kept[4], 2, "and of the next in the next hour: %llu", (unsigned long long)kept[4]);
}

Test(audit, a_clock_that_is_set_between_two_starts_lets_nothing_go)
{
	struct gm_audit_ends ends;

	add(1000, "\"event\":\"old\"}");
	commit();
	for (unsigned i = 0; i < 5; i++)
		start_again(1000 + (int64_t)(i + 1) * 100 * GM_AGE_STEP_S, 7000 + i * (uint64_t)GM_AGE_STEP_MS);
	start_again(1000 + 500 * (int64_t)GM_AGE_STEP_S + 3600, 8000); /* and so does a machine that starts anew */
	gm_store_audit_ends(store, &ends);
	cr_expect_eq(ends.kept.seq, 0);
}

Test(audit, while_the_disk_is_full_young_entries_make_room_and_it_does_not_grow)
{
	struct gm_audit_ends ends;
	struct seen s;

	commit_some(200);
	store->low = true;
	commit_some(50);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n >= 100 && s.n <= 200 && !s.broken, "%llu entries", (unsigned long long)s.n);
	for (unsigned i = 0; i < 400; i++) /* in few blocks: they need more than LET_GO of the others */
		add(2000, "\"at\":2000,\"event\":\"of one turn\"}");
	commit();
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n >= 400 && s.n < 410 && !s.broken, "%llu entries", (unsigned long long)s.n);
	store->low = false;
	commit_some(5);
	gm_store_audit_ends(store, &ends);
	cr_expect_eq(ends.head.seq - ends.kept.seq, s.n + 5);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	cr_assert_eq(look(&s), GM_E_OK);
}

Test(audit, the_entries_of_a_turn_stay_while_the_disk_is_full)
{
	struct seen s;

	store->low = true;
	commit_some(3);
	for (unsigned i = 0; i < 100; i++)
		add(2000, "\"at\":2000,\"event\":\"of one turn\"}");
	commit();
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 100 && !s.broken, "%llu entries", (unsigned long long)s.n);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
}

Test(audit, a_store_of_an_earlier_version_begins_one)
{
	uint8_t be[8] = {0};
	struct seen s;
	MDB_txn *txn;

	cr_assert_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
	cr_assert_eq(gm_lmdb_put(store, txn, GM_TABLE_META, gm_text_key("turn"), (struct gm_bytes){be, sizeof(be)}), 0);
	cr_assert_eq(mdb_txn_commit(txn), 0);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	commit_some(2);
	cr_assert_eq(reopen(), GM_E_OK, "%s", why);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 2 && !s.broken);
}

Test(audit, another_key_for_the_store_is_an_entry_and_breaks_nothing)
{
	struct seen s;

	commit_some(3);
	gm_store_close(store);
	add(9, "\"event\":\"key-rotated\"}");
	cr_assert_eq(gm_store_rotate(dir, key_file, &changes, why), GM_E_OK, "%s", why);
	cr_assert_eq(gm_store_open(&store, dir, key_file, why), GM_E_OK, "%s", why);
	cr_assert_eq(look(&s), GM_E_OK);
	cr_expect(s.n == 4 && !s.broken);
	cr_expect_str_eq(s.last, "{\"seq\":4,\"event\":\"key-rotated\"}");
}
