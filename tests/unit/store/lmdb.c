/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "store/store.h"

static char base[64], dir[80], key_file[80], why[GM_WHY];
static struct gm_store *store;
static struct gm_changes changes;
static uint64_t turn;

static void start(void)
{
	cr_assert(gm_crypto_init());
	strcpy(base, "/tmp/gm-store-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/store", base);
	snprintf(key_file, sizeof(key_file), "%s/key", base);
	cr_assert_eq(gm_store_init(dir, key_file, why), GM_E_OK);
}

static void finish(void)
{
	static const char *const files[] = {
	    "store/data.mdb", "store/lock.mdb", "store/lock", "store", "key", "key2", ""};
	char path[160];

	gm_store_close(store);
	gm_changes_free(&changes);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		remove(path);
	}
}

TestSuite(store, .init = start, .fini = finish);

static enum gm_err open_store(void)
{
	why[0] = '\0';
	return gm_store_open(&store, dir, key_file, why);
}

static void commit(void)
{
	cr_assert_eq(gm_store_begin(store, &changes, ++turn), GM_E_OK);
	cr_assert_eq(gm_store_finish(store), GM_COMMIT_DONE);
	gm_changes_reset(&changes);
}

static void reopen(void)
{
	gm_store_close(store);
	store = NULL;
	cr_assert_eq(open_store(), GM_E_OK, "%s", why);
}

static void put_u32(enum gm_table table, uint32_t key, const void *value, size_t n)
{
	uint8_t be[4] = {(uint8_t)(key >> 24), (uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};

	gm_changes_put(&changes, 0, table, be, 4, value, n);
}

/* All of a table as "key=value " with keys in hex. */
static enum gm_err show(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	char *text = (char *)arg + strlen(arg);

	(void)table;
	for (size_t i = 0; i < key.n; i++)
		text += sprintf(text, "%02x", key.p[i]);
	sprintf(text, "=%.*s ", (int)value.n, (const char *)value.p);
	return GM_E_OK;
}

static const char *shown(enum gm_table table)
{
	static char text[4096];

	text[0] = '\0';
	cr_assert_eq(gm_store_scan(store, table, show, text), GM_E_OK);
	return text;
}

Test(store, keeps_what_was_committed_and_the_turn)
{
	cr_assert_eq(open_store(), GM_E_OK, "%s", why);
	cr_expect_eq(gm_store_turn(store), 0);
	put_u32(GM_TABLE_GROUP, 1, "one", 3);
	put_u32(GM_TABLE_GROUP, 2, "two", 3);
	put_u32(GM_TABLE_MEMBER, 1, "other", 5);
	turn = 41;
	commit();
	cr_expect_eq(gm_store_turn(store), 42);
	reopen();
	cr_expect_str_eq(shown(GM_TABLE_GROUP), "00000001=one 00000002=two ");
	cr_expect_str_eq(shown(GM_TABLE_MEMBER), "00000001=other ");
	cr_expect_str_eq(shown(GM_TABLE_SEEN), "");
	cr_expect_eq(gm_store_turn(store), 42);
}

Test(store, gives_records_in_the_order_of_their_keys)
{
	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_CTX, 0x01000000, "c", 1);
	put_u32(GM_TABLE_CTX, 0xff, "a", 1);
	put_u32(GM_TABLE_CTX, 0x100, "b", 1);
	commit();
	cr_expect_str_eq(shown(GM_TABLE_CTX), "000000ff=a 00000100=b 01000000=c ");
}

Test(store, lets_the_later_change_of_a_key_win)
{
	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_AS, 1, "old", 3);
	put_u32(GM_TABLE_AS, 2, "stays", 5);
	commit();
	put_u32(GM_TABLE_AS, 1, "newer", 5);
	gm_changes_remove(&changes, 0, GM_TABLE_AS, "\0\0\0\1", 4);
	gm_changes_remove(&changes, 0, GM_TABLE_AS, "\0\0\0\2", 4);
	put_u32(GM_TABLE_AS, 2, "", 0);
	gm_changes_remove(&changes, 0, GM_TABLE_AS, "none", 4);
	commit();
	cr_expect_str_eq(shown(GM_TABLE_AS), "00000002= ");
}

Test(store, shows_nothing_of_a_turn_that_was_not_finished)
{
	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_AS, 1, "x", 1);
	cr_assert_eq(gm_store_begin(store, &changes, 1), GM_E_OK);
	reopen();
	cr_expect_str_eq(shown(GM_TABLE_AS), "");
	cr_expect_eq(gm_store_turn(store), 0);
	cr_expect_eq(gm_store_finish(store), GM_COMMIT_FAILED);
}

static enum gm_err refuse(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	(void)table;
	(void)key;
	(void)value;
	++*(int *)arg;
	return GM_E_RANGE;
}

Test(store, stops_a_scan_at_the_first_refusal)
{
	int calls = 0;

	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_AS, 1, "x", 1);
	put_u32(GM_TABLE_AS, 2, "x", 1);
	commit();
	cr_expect_eq(gm_store_scan(store, GM_TABLE_AS, refuse, &calls), GM_E_RANGE);
	cr_expect_eq(calls, 1);
}

Test(store, is_made_once_and_for_its_owner_only)
{
	struct stat st;
	char path[120];

	cr_expect_eq(gm_store_init(dir, key_file, why), GM_E_EXISTS);
	snprintf(path, sizeof(path), "%s/key2", base);
	cr_expect_eq(gm_store_init(dir, path, why), GM_E_EXISTS);
	cr_expect_neq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/elsewhere", base);
	cr_expect_eq(gm_store_init(path, key_file, why), GM_E_EXISTS);
	cr_expect_neq(access(path, F_OK), 0);
	cr_expect(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
	cr_expect(stat(key_file, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 65);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	cr_expect(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	cr_expect_eq(open_store(), GM_E_OK, "%s", why);
}

Test(store, that_cannot_be_made_says_which_path_and_why)
{
	char path[140], said[200];

	snprintf(path, sizeof(path), "%s/none/store", base);
	snprintf(said, sizeof(said), "%s: No such file or directory", path);
	cr_expect_eq(gm_store_init(path, "/nowhere/key", why), GM_E_IO);
	cr_expect_str_eq(why, said);
	snprintf(path, sizeof(path), "%s/new", base);
	cr_expect_eq(gm_store_init(path, "/nowhere/key", why), GM_E_IO);
	cr_expect_str_eq(why, "/nowhere/key: No such file or directory");
	cr_expect_eq(unlink(strcat(path, "/lock")), 0);
	path[strlen(path) - 5] = '\0';
	cr_expect_eq(rmdir(path), 0, "nothing else was made");
	snprintf(said, sizeof(said), "%s/data.mdb: File exists", dir);
	cr_expect_eq(gm_store_init(dir, key_file, why), GM_E_EXISTS);
	cr_expect_str_eq(why, said);
}

Test(store, says_that_there_is_none)
{
	snprintf(dir, sizeof(dir), "%s/nowhere", base);
	cr_expect_eq(open_store(), GM_E_UNKNOWN);
	cr_expect_not_null(strstr(why, "no store"));
}

static void write_key(const char *text, mode_t mode)
{
	FILE *f = fopen(key_file, "w");

	fputs(text, f);
	fclose(f);
	chmod(key_file, mode);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

Test(store, refuses_a_key_file_that_is_missing_open_to_others_or_no_key)
{
	cr_assert_eq(chmod(key_file, 0640), 0);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	cr_expect_not_null(strstr(why, "open to others"), "%s", why);
	cr_assert_eq(chmod(key_file, 0604), 0);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	cr_assert_eq(chmod(key_file, 0400), 0);
	cr_expect_eq(open_store(), GM_E_OK);
	gm_store_close(store);
	store = NULL;
	remove(key_file);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	write_key(ZEROS "\n\n", 0600);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	cr_expect_not_null(strstr(why, "64 hex"), "%s", why);
	write_key("x" ZEROS, 0600);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	write_key(ZEROS "0", 0600);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	write_key("00", 0600);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
}

Test(store, takes_a_credential_of_systemd_as_its_key)
{
	cr_assert_eq(chmod(key_file, 0440), 0);
	setenv("CREDENTIALS_DIRECTORY", base, 1);
	cr_expect_eq(open_store(), GM_E_OK, "%s", why);
	gm_store_close(store);
	store = NULL;
	cr_assert_eq(chmod(key_file, 0444), 0);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
}

Test(store, refuses_the_key_of_another_store)
{
	write_key(ZEROS "\n", 0600);
	cr_expect_eq(open_store(), GM_E_STORE_KEY);
	cr_expect_not_null(strstr(why, "another store"), "%s", why);
}

Test(store, is_not_made_again_while_it_is_open_and_its_key_gone)
{
	cr_assert_eq(open_store(), GM_E_OK);
	remove(key_file);
	cr_expect_eq(gm_store_init(dir, key_file, why), GM_E_EXISTS);
	cr_expect_neq(access(key_file, F_OK), 0);
}

Test(store, keeps_a_second_process_out)
{
	int status = -1;

	cr_assert_eq(open_store(), GM_E_OK);
	pid_t child = fork();
	if (child == 0) {
		struct gm_store *second;

		_exit(gm_store_open(&second, dir, key_file, why) == GM_E_BUSY ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
}

/* Change the database behind the store's back. */
static void tamper(const void *key, size_t key_n, int (*how)(MDB_txn *, MDB_dbi, MDB_val *key, MDB_val *value))
{
	MDB_val k = {.mv_data = (void *)(uintptr_t)key, .mv_size = key_n}, v;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	gm_store_close(store);
	store = NULL;
	cr_assert(mdb_env_create(&env) == 0 && mdb_env_open(env, dir, 0, 0600) == 0);
	cr_assert(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	cr_assert_eq(mdb_get(txn, dbi, &k, &v), 0);
	uint8_t copy[256];
	memcpy(copy, v.mv_data, v.mv_size);
	v.mv_data = copy;
	cr_assert(how(txn, dbi, &k, &v) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
}

static size_t flip_at;

static int flip(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	((uint8_t *)value->mv_data)[flip_at] ^= 0x40;
	return mdb_put(txn, dbi, key, value, 0);
}

Test(store, calls_a_record_damaged_whichever_byte_was_flipped)
{
	static const uint8_t key[5] = {GM_TABLE_AS, 0, 0, 0, 2};
	static char text[256];
	size_t sealed = 1 + 4 + GM_BOX_NONCE + 5 + GM_BOX_TAG;

	cr_assert_eq(open_store(), GM_E_OK);
	for (flip_at = 0; flip_at < sealed; flip_at++) {
		for (uint32_t i = 1; i < 4; i++)
			put_u32(GM_TABLE_AS, i, "value", 5);
		commit();
		tamper(key, sizeof(key), flip);
		cr_assert_eq(open_store(), GM_E_OK);
		text[0] = '\0';
		enum gm_err err = gm_store_scan(store, GM_TABLE_AS, show, text);
		cr_expect_eq(err, flip_at == 0 ? GM_E_STORE_VERSION : GM_E_CORRUPT, "byte %zu: %d", flip_at, err);
		cr_expect_str_eq(text, "00000001=value ");
	}
}

static int copy_to_next(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	uint8_t other[5];
	MDB_val k = {.mv_data = other, .mv_size = sizeof(other)};

	memcpy(other, key->mv_data, sizeof(other));
	other[4]++;
	return mdb_put(txn, dbi, &k, value, 0);
}

static int move_to_next_table(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	uint8_t other[5];
	MDB_val k = {.mv_data = other, .mv_size = sizeof(other)};

	memcpy(other, key->mv_data, sizeof(other));
	other[0]++;
	return mdb_put(txn, dbi, &k, value, 0);
}

Test(store, notices_a_record_in_another_ones_place)
{
	static const uint8_t key[5] = {GM_TABLE_AS, 0, 0, 0, 1};
	static char text[256];

	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_AS, 1, "value", 5);
	put_u32(GM_TABLE_AS, 2, "other", 5);
	commit();
	tamper(key, sizeof(key), copy_to_next);
	tamper(key, sizeof(key), move_to_next_table);
	cr_assert_eq(open_store(), GM_E_OK);
	cr_expect_eq(gm_store_scan(store, GM_TABLE_AS, show, text), GM_E_CORRUPT);
	cr_expect_eq(gm_store_scan(store, GM_TABLE_AS + 1, show, text), GM_E_CORRUPT);
}

struct looked {
	unsigned records, broken;
	uint8_t last[GM_STORE_KEY_MAX];
	size_t last_n;
	char text[512]; /* keys of those that do not open, in hex */
};

static void look(void *arg, struct gm_bytes key, size_t size, bool opens)
{
	struct looked *l = arg;

	cr_expect_geq(size, GM_BOX_NONCE + GM_BOX_TAG + 5u);
	l->records++;
	memcpy(l->last, key.p, l->last_n = key.n);
	if (opens)
		return;
	l->broken++;
	for (size_t i = 0; i < key.n; i++)
		sprintf(l->text + strlen(l->text), "%02x", key.p[i]);
	strcat(l->text, " ");
}

/* Page by page, as gmctl asks for it. */
static struct looked look_through(unsigned most)
{
	struct looked l = {0};
	bool more = true;

	while (more)
		cr_assert_eq(gm_store_look(store, (struct gm_bytes){l.last, l.last_n}, most, look, &l, &more), GM_E_OK);
	return l;
}

Test(store, names_each_record_that_does_not_open_whatever_the_size_of_a_page)
{
	static const uint8_t second[5] = {GM_TABLE_AS, 0, 0, 0, 2}, audit[2] = {GM_TABLE_AUDIT, 9};

	cr_assert_eq(open_store(), GM_E_OK);
	for (uint32_t i = 1; i < 8; i++)
		put_u32(GM_TABLE_AS, i, "value", 5);
	put_u32(GM_TABLE_MEMBER, 7, "other", 5);
	commit();
	const struct looked whole = look_through(1000);
	cr_expect(whole.broken == 0 && whole.records >= 8 + 3, "%u", whole.records);
	tamper(second, sizeof(second), copy_to_next);
	flip_at = 40;
	tamper((const uint8_t[]){GM_TABLE_MEMBER, 0, 0, 0, 7}, 5, flip);
	cr_assert_eq(open_store(), GM_E_OK);
	for (unsigned most = 1; most < 16; most++) {
		struct looked l = look_through(most);
		cr_expect_eq(l.records, whole.records);
		cr_expect_str_eq(l.text, "0100000003 0300000007 ");
		cr_expect_eq(l.broken, 2);
	}
	struct looked l = {0};
	bool more;
	cr_expect_eq(gm_store_look(store, (struct gm_bytes){audit, sizeof(audit)}, 9, look, &l, &more), GM_E_OK);
	cr_expect(l.records == 0 && !more, "nothing lies behind the last");
}

Test(store, says_so_when_its_first_records_are_damaged)
{
	flip_at = 40;
	tamper("\0check", 6, flip);
	cr_expect_eq(open_store(), GM_E_CORRUPT);
	cr_expect_not_null(strstr(why, "damaged"), "%s", why);
	tamper("\0check", 6, flip);
	tamper("\0turn", 5, flip);
	cr_expect_eq(open_store(), GM_E_CORRUPT);
}

static int drop(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	(void)value;
	return mdb_del(txn, dbi, key, NULL);
}

Test(store, calls_itself_damaged_without_its_turn_number)
{
	tamper("\0turn", 5, drop);
	cr_expect_eq(open_store(), GM_E_CORRUPT);
}

Test(store, shows_no_value_on_disk)
{
	static char file[1 << 20];
	char path[120];

	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_GROUP, 1, "a-master-secret-in-clear", 24);
	commit();
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	FILE *f = fopen(path, "r");
	size_t n = fread(file, 1, sizeof(file), f);
	fclose(f);
	cr_assert(n > 4096 && n < sizeof(file));
	cr_expect_null(memmem(file, n, "master-secret", 13));
}

Test(store, fails_a_turn_that_the_disk_does_not_take_and_keeps_the_one_before)
{
	struct rlimit was, small;
	static uint8_t value[300];

	cr_assert_eq(open_store(), GM_E_OK);
	put_u32(GM_TABLE_AS, 1, "before", 6);
	commit();
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = (struct rlimit){.rlim_cur = 65536, .rlim_max = was.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	put_u32(GM_TABLE_AS, 1, "after", 5);
	for (uint32_t i = 0; i < 1000; i++)
		put_u32(GM_TABLE_MEMBER, i, value, sizeof(value));
	cr_assert_eq(gm_store_begin(store, &changes, ++turn), GM_E_OK);
	cr_expect_eq(gm_store_finish(store), GM_COMMIT_FAILED);
	cr_expect_eq(gm_store_turn(store), 1);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	reopen();
	cr_expect_str_eq(shown(GM_TABLE_AS), "00000001=before ");
	cr_expect_str_eq(shown(GM_TABLE_MEMBER), "");
	cr_expect_eq(gm_store_turn(store), 1);
}

static size_t file_size(void)
{
	struct stat st;
	char path[160];

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	cr_assert_eq(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* Members come and go in turns of changing size, with records of one page and of several; GM_CYCLES of them. */
Test(store, uses_free_pages_again_however_many_come_and_go, .timeout = 3600)
{
	enum { PLACES = 500, TURN_MAX = 400 };
	static uint8_t value[6000];
	const char *text = getenv("GM_CYCLES");
	uint32_t cycles = text ? (uint32_t)strtoul(text, NULL, 10) : 20000, gone = 0, dice = 1;
	static bool there[PLACES];
	size_t early = 0;

	cr_assert_eq(open_store(), GM_E_OK);
	while (gone < cycles) {
		for (unsigned n = 1 + dice % TURN_MAX; n > 0; n--) {
			dice = dice * 1664525u + 1013904223u;
			uint32_t at = (dice >> 8) % PLACES;
			uint8_t be[4] = {0, 0, (uint8_t)(at >> 8), (uint8_t)at};
			if (there[at])
				gm_changes_remove(&changes, 0, GM_TABLE_MEMBER, be, 4);
			else
				put_u32(GM_TABLE_MEMBER, at, value, dice % 16 ? 60 + dice / 7 % 400 : 60 + dice / 7 % 5900);
			gone += there[at];
			there[at] = !there[at];
		}
		commit();
		if (gone < cycles / 4)
			early = file_size();
	}
	cr_expect_leq(file_size(), early + early / 4, "%zu bytes after a quarter, %zu at the end", early, file_size());
}

Test(store, takes_ten_thousand_changes_in_a_turn_and_counts_them)
{
	struct gm_store_stats stats;
	static uint8_t value[300];
	static char text[64];

	cr_assert_eq(open_store(), GM_E_OK);
	for (uint32_t i = 0; i < 10000; i++)
		put_u32(GM_TABLE_MEMBER, i, value, sizeof(value));
	commit();
	gm_store_stats(store, &stats);
	cr_expect(stats.commits == 1 && stats.changes == 10000 && stats.commit_us_last > 0);
	cr_expect(stats.used_bytes > 10000 * 300 && stats.map_bytes >= stats.used_bytes);
	for (uint32_t i = 0; i < 10000; i++)
		gm_changes_remove(&changes, 0, GM_TABLE_MEMBER,
		                  (uint8_t[]){(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
		                  4);
	commit();
	cr_expect_eq(gm_store_scan(store, GM_TABLE_MEMBER, show, text), GM_E_OK);
	cr_expect_str_eq(text, "");
}

/* ---- readers that end without a word */

/* A process beside ours reads, and ends in the middle or without closing anything. */
static enum gm_err die(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	(void)arg, (void)table, (void)key, (void)value;
	_exit(0);
}

static void reader_ends(gm_store_each each)
{
	char text[64] = "";
	int status;
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		struct gm_store *beside;
		if (gm_store_open_beside(&beside, dir, key_file, why) != GM_E_OK)
			_exit(1);
		_exit(each && gm_store_scan(beside, GM_TABLE_META, each, text) != GM_E_OK);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "one of the readers did not get to read");
}

Test(store, has_places_for_readers_however_many_ended_without_a_word)
{
	cr_assert_eq(open_store(), GM_E_OK);
	for (unsigned i = 0; i < 150; i++) /* 126 places */
		reader_ends(NULL);
}

Test(store, keeps_no_pages_for_a_reader_that_died_in_the_middle)
{
	uint8_t value[3000] = {0};
	struct gm_store_stats stats;

	cr_assert_eq(open_store(), GM_E_OK);
	for (unsigned i = 0; i < 20; i++) {
		put_u32(GM_TABLE_GROUP, i % 4, value, sizeof(value));
		commit();
	}
	gm_store_stats(store, &stats);
	size_t was = stats.used_bytes;
	reader_ends(die);
	for (unsigned i = 0; i < 200; i++) {
		put_u32(GM_TABLE_GROUP, i % 4, value, sizeof(value));
		commit();
	}
	gm_store_stats(store, &stats);
	cr_assert_leq(stats.used_bytes, was + 16 * 4096, "%zu bytes, and %zu before", (size_t)stats.used_bytes, was);
}

static void read_in_all_places(int ready)
{
	MDB_env *env;
	MDB_txn *txn;
	int r = mdb_env_create(&env);

	if (r == 0)
		r = mdb_env_open(env, dir, MDB_NOTLS, 0600);
	while (r == 0)
		r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (write(ready, r == MDB_READERS_FULL ? "r" : "?", 1) == 1)
		pause();
	_exit(0);
}

Test(store, does_not_call_itself_damaged_when_too_many_read_it)
{
	char ready = 0;
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0)
		read_in_all_places(ends[1]);
	cr_assert_eq(read(ends[0], &ready, 1), 1);
	cr_expect_eq(ready, 'r');
	cr_expect_eq(gm_store_open_beside(&store, dir, key_file, why), GM_E_STORE);
	cr_expect_not_null(strstr(why, "MDB_READERS_FULL"), "%s", why);
	cr_expect_null(strstr(why, "damaged"), "%s", why);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_eq(gm_store_open_beside(&store, dir, key_file, why), GM_E_OK, "%s", why);
}

/* ---- some of it, and as it was */

static const char *found(struct gm_bytes key, enum gm_err (*how)(struct gm_store *, enum gm_table, struct gm_bytes, gm_store_each, void *))
{
	static char text[256];

	text[0] = '\0';
	cr_assert_eq(how(store, GM_TABLE_GROUP, key, show, text), GM_E_OK);
	return text;
}

static void three_groups(void)
{
	put_u32(GM_TABLE_GROUP, 0x0101, "a", 1);
	put_u32(GM_TABLE_GROUP, 0x0102, "b", 1);
	put_u32(GM_TABLE_GROUP, 0x0201, "c", 1);
	gm_changes_put(&changes, 0, GM_TABLE_GROUP, "\0\0\1\1\0", 5, "about a", 7);
	put_u32(GM_TABLE_MEMBER, 0x0101, "other", 5);
	commit();
}

Test(store, gives_one_record_or_those_whose_keys_begin_so)
{
	cr_assert_eq(open_store(), GM_E_OK);
	three_groups();
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1\1", 4}, gm_store_get), "00000101=a ");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1\3", 4}, gm_store_get), "");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1", 3}, gm_store_get), "");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1\1", 4}, gm_store_under), "00000101=a 0000010100=about a ");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1", 3}, gm_store_under), "00000101=a 0000010100=about a 00000102=b ");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\3", 3}, gm_store_under), "");
}

static void other_process_commits(void)
{
	int status;
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		if (open_store() != GM_E_OK)
			_exit(1);
		put_u32(GM_TABLE_GROUP, 0x0101, "later", 5);
		gm_changes_remove(&changes, 0, GM_TABLE_GROUP, "\0\0\2\1", 4);
		put_u32(GM_TABLE_MEMBER, 0x0101, "later", 5);
		_exit(gm_store_begin(store, &changes, 9) != GM_E_OK || gm_store_finish(store) != GM_COMMIT_DONE);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(store, that_is_held_stays_as_it_is_while_another_process_writes)
{
	uint64_t at;

	cr_assert_eq(open_store(), GM_E_OK);
	turn = 6;
	three_groups();
	gm_store_close(store);
	cr_assert_eq(gm_store_open_beside(&store, dir, key_file, why), GM_E_OK, "%s", why);
	cr_assert_eq(gm_store_hold(store, &at), GM_E_OK);
	cr_expect_eq(at, 7);
	other_process_commits();
	cr_expect_str_eq(shown(GM_TABLE_GROUP), "00000101=a 0000010100=about a 00000102=b 00000201=c ");
	cr_expect_str_eq(found((struct gm_bytes){(const uint8_t *)"\0\0\1\1", 4}, gm_store_get), "00000101=a ");
	cr_expect_str_eq(shown(GM_TABLE_MEMBER), "00000101=other ");
	gm_store_let_go(store);
	cr_expect_str_eq(shown(GM_TABLE_GROUP), "00000101=later 0000010100=about a 00000102=b ");
	cr_assert_eq(gm_store_hold(store, &at), GM_E_OK);
	cr_expect_eq(at, 9);
	cr_expect_str_eq(shown(GM_TABLE_MEMBER), "00000101=later ");
}
