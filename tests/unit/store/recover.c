/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "store/backup.h"
#include "store/store.h"

#define MANY 12000u /* more than one step of a walk */

static char base[64], dir[80], key_file[80], witness[80], file[80], why[GM_WHY];
static struct gm_store *store;
static struct gm_changes changes;
static uint64_t turn;

static void start(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert(gm_crypto_init());
	strcpy(base, "/tmp/gm-recover-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/store", base);
	snprintf(key_file, sizeof(key_file), "%s/key", base);
	snprintf(witness, sizeof(witness), "%s/witness", base);
	snprintf(file, sizeof(file), "%s/backup", base);
	cr_assert_eq(gm_store_init(dir, key_file, why), GM_E_OK);
}

static void finish(void)
{
	static const char *const files[] = {"store/data.mdb", "store/lock.mdb", "store/lock", "store", "two/data.mdb", "two/lock.mdb",
	                                    "two/lock", "two", "key", "key.new", "key.old", "witness", "backup", ""};
	char path[160];

	gm_store_close(store);
	gm_changes_free(&changes);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		remove(path);
	}
}

TestSuite(recover, .init = start, .fini = finish);

static void open_store(void)
{
	gm_store_close(store);
	store = NULL;
	cr_assert_eq(gm_store_open(&store, dir, key_file, why), GM_E_OK, "%s", why);
	turn = gm_store_turn(store);
}

static void close_store(void)
{
	gm_store_close(store);
	store = NULL;
}

static void commit(void)
{
	cr_assert_eq(gm_store_begin(store, &changes, ++turn), GM_E_OK);
	cr_assert_eq(gm_store_finish(store), GM_COMMIT_DONE);
	gm_changes_reset(&changes);
}

static void put(enum gm_table table, uint32_t key, const char *text)
{
	uint8_t be[4] = {(uint8_t)(key >> 24), (uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};

	gm_changes_put(&changes, 0, table, be, 4, text, strlen(text));
}

static enum gm_err count_one(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	(void)table, (void)key, (void)value;
	++*(unsigned *)arg;
	return GM_E_OK;
}

static unsigned count(enum gm_table table)
{
	unsigned n = 0;

	cr_assert_eq(gm_store_scan(store, table, count_one, &n), GM_E_OK);
	return n;
}

static void fill(enum gm_table table, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		put(table, i, "value");
		if (i % 2000 == 1999)
			commit();
	}
	commit();
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert(fputs(text, f) >= 0);
	cr_assert_eq(fclose(f), 0);
}

static void read_file(const char *path, char *text, size_t cap)
{
	FILE *f = fopen(path, "r");

	cr_assert_not_null(f);
	text[fread(text, 1, cap - 1, f)] = '\0';
	fclose(f);
}

static void copy_file(const char *from, const char *to)
{
	char command[256];

	snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
	cr_assert_eq(system(command), 0);
}

Test(recover, refuses_a_store_that_is_older_than_its_witness)
{
	char data[100], old[100];

	snprintf(data, sizeof(data), "%s/data.mdb", dir);
	snprintf(old, sizeof(old), "%s/backup", base);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
	put(GM_TABLE_GROUP, 1, "one");
	commit();
	close_store();
	copy_file(data, old);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
	put(GM_TABLE_GROUP, 1, "two");
	commit();
	close_store();
	copy_file(old, data);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_STORE_OLD);
	cr_assert_not_null(strstr(why, "went back in time: its last turn is 1"), "%s", why);
}

Test(recover, a_witness_that_a_power_cut_left_behind_refuses_nothing)
{
	char text[100];

	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
	read_file(witness, text, sizeof(text));
	put(GM_TABLE_GROUP, 1, "one");
	commit();
	close_store();
	write_file(witness, text);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
}

/* As it is where gmd was killed while it wrote the last turn: a start finds it, a power cut then takes it away. */
Test(recover, a_witness_made_at_a_start_is_not_ahead_of_a_store_that_loses_the_turn_it_was_killed_in)
{
	char data[100], old[100];

	snprintf(data, sizeof(data), "%s/data.mdb", dir);
	snprintf(old, sizeof(old), "%s/backup", base);
	open_store();
	put(GM_TABLE_GROUP, 1, "one");
	commit();
	close_store();
	copy_file(data, old);
	open_store();
	put(GM_TABLE_GROUP, 1, "two");
	commit();
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
	close_store();
	copy_file(old, data);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
}

Test(recover, refuses_the_witness_of_another_store)
{
	char two[80];

	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
	close_store();
	snprintf(two, sizeof(two), "%s/two", base);
	snprintf(key_file, sizeof(key_file), "%s/key.old", base);
	cr_assert_eq(gm_store_init(two, key_file, why), GM_E_OK);
	strcpy(dir, two);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_STORE_OLD);
	cr_assert_not_null(strstr(why, "another store"), "%s", why);
}

Test(recover, a_damaged_witness_is_refused_until_a_recovery_makes_it_anew)
{
	static const char *const bad[] = {"x", "gmd witness 1 store 00000000 turn 1\n", "gmd witness 2 store 0000000a turn 00000000000000000001 recoveries 0000000000\n",
	                                  "gmd witness 1 store 0000000a turn 0000000000000000000x recoveries 0000000000\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(witness, bad[i]);
		open_store();
		cr_assert_eq(gm_store_watch(store, witness, why), GM_E_CORRUPT, "%s", bad[i]);
	}
	open_store();
	cr_assert_eq(gm_store_recover(store, witness, why), GM_E_OK, "%s", why);
	gm_changes_remove(&changes, 0, GM_TABLE_META, GM_STORE_RECOVERING, strlen(GM_STORE_RECOVERING));
	commit();
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_OK, "%s", why);
}

Test(recover, takes_away_memberships_and_contexts_and_nothing_else)
{
	open_store();
	fill(GM_TABLE_MEMBER, MANY);
	fill(GM_TABLE_CTX, MANY + 1);
	fill(GM_TABLE_GROUP, 7);
	fill(GM_TABLE_BAR, 5);
	fill(GM_TABLE_LEASE, 3);
	cr_assert_eq(gm_store_recover(store, witness, why), GM_E_OK, "%s", why);
	cr_assert_eq(count(GM_TABLE_MEMBER), 0u);
	cr_assert_eq(count(GM_TABLE_CTX), 0u);
	cr_assert_eq(count(GM_TABLE_GROUP), 7u);
	cr_assert_eq(count(GM_TABLE_BAR), 5u);
	cr_assert_eq(count(GM_TABLE_LEASE), 3u);
}

Test(recover, a_recovery_that_has_not_ended_is_not_mistaken_for_a_store)
{
	open_store();
	cr_assert_eq(gm_store_recover(store, witness, why), GM_E_OK, "%s", why);
	open_store();
	cr_assert_eq(gm_store_watch(store, witness, why), GM_E_STORE_OLD);
	cr_assert_not_null(strstr(why, "has not ended"), "%s", why);
	open_store();
	cr_assert_eq(gm_store_recover(store, witness, why), GM_E_OK, "%s", why);
	cr_assert_eq(gm_store_recoveries(store), 2u, "two recoveries may leap equally far");
}

Test(recover, after_it_the_turn_is_beyond_the_one_that_was_seen)
{
	write_file(witness, "gmd witness 1 store 00000001 turn 00000000000000000500 recoveries 0000000004\n");
	open_store();
	cr_assert_eq(gm_store_recover(store, witness, why), GM_E_OK, "%s", why);
	cr_assert_eq(gm_store_turn(store), 500u);
	cr_assert_eq(gm_store_recoveries(store), 5u);
}

Test(recover, a_change_of_keys_goes_on_where_it_was_interrupted)
{
	char half[100], old_key[100], new_key[100], data[100];
	MDB_val key, record;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	struct pair { uint8_t key[60], record[200]; size_t key_n, n; } pairs[40];
	unsigned n = 0;

	snprintf(half, sizeof(half), "%s/backup", base);
	snprintf(old_key, sizeof(old_key), "%s/key.old", base);
	snprintf(new_key, sizeof(new_key), "%s/key.new", base);
	snprintf(data, sizeof(data), "%s/data.mdb", dir);
	open_store();
	fill(GM_TABLE_GROUP, 20);
	close_store();
	copy_file(key_file, old_key);
	copy_file(data, half);
	cr_assert_eq(gm_store_rotate(dir, key_file, NULL, why), GM_E_OK, "%s", why);
	open_store();
	cr_assert_eq(count(GM_TABLE_GROUP), 20u);
	close_store();

	/* every second record of the store as it is now goes into the store as it was: half way */
	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_open(env, dir, 0, 0600), 0);
	cr_assert_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	MDB_cursor *cursor;
	cr_assert_eq(mdb_cursor_open(txn, dbi, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &record, MDB_NEXT) == 0 && n < 40) {
		struct pair *p = &pairs[n++];
		cr_assert(key.mv_size <= sizeof(p->key) && record.mv_size <= sizeof(p->record));
		memcpy(p->key, key.mv_data, p->key_n = key.mv_size);
		memcpy(p->record, record.mv_data, p->n = record.mv_size);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	copy_file(half, data);
	copy_file(key_file, new_key);
	copy_file(old_key, key_file);
	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_open(env, dir, 0, 0600), 0);
	cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	for (unsigned i = 0; i < n; i += 2) {
		key = (MDB_val){.mv_data = pairs[i].key, .mv_size = pairs[i].key_n};
		record = (MDB_val){.mv_data = pairs[i].record, .mv_size = pairs[i].n};
		cr_assert_eq(mdb_put(txn, dbi, &key, &record, 0), 0);
	}
	cr_assert_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);

	cr_assert_eq(gm_store_open(&store, dir, key_file, why), GM_E_STORE_KEY);
	cr_assert_eq(gm_store_rotate(dir, key_file, NULL, why), GM_E_OK, "%s", why);
	open_store();
	cr_assert_eq(count(GM_TABLE_GROUP), 20u);
	cr_assert_neq(access(new_key, F_OK), 0);
}

Test(recover, a_copy_is_a_store_of_one_moment)
{
	char two[80];

	open_store();
	fill(GM_TABLE_GROUP, MANY);
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert(fd >= 0);
	cr_assert_eq(gm_store_copy(store, fd), GM_E_OK);
	cr_assert_eq(gm_backup_end(fd, file, why), GM_E_OK, "%s", why);
	close(fd);
	fill(GM_TABLE_BAR, 9);
	close_store();
	cr_assert_eq(gm_backup_check(file, why), GM_E_OK, "%s", why);
	snprintf(two, sizeof(two), "%s/two", base);
	char aside[100];
	snprintf(aside, sizeof(aside), "%s/restore", two);
	cr_assert_eq(gm_backup_restore(two, aside, file, why), GM_E_OK, "%s", why);
	cr_assert_neq(access(two, F_OK), -1);
	cr_assert_eq(gm_backup_in_place(two, aside, why), GM_E_OK, "%s", why);
	gm_backup_tidy(aside);
	cr_assert_eq(access(aside, F_OK), -1);
	cr_assert_eq(gm_backup_restore(two, aside, file, why), GM_E_EXISTS);
	strcpy(dir, two);
	open_store();
	cr_assert_eq(count(GM_TABLE_GROUP), MANY);
	cr_assert_eq(count(GM_TABLE_BAR), 0u);
}

static void *copy_slowly(void *arg)
{
	const int *fd = arg;

	return gm_store_copy(store, fd[0]) == GM_E_OK ? arg : NULL;
}

/* A reader that takes its time holds up nobody, and sees nothing but the store. */
Test(recover, commits_go_on_and_the_store_grows_while_somebody_reads_a_copy)
{
	static uint8_t big[60000], got[1u << 16];
	int ends[2];
	pthread_t thread;
	void *done;
	size_t all = 0;

	open_store();
	for (uint32_t i = 0; i < 100; i++)
		gm_changes_put(&changes, 0, GM_TABLE_GROUP, &i, sizeof(i), big, sizeof(big));
	commit();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(pthread_create(&thread, NULL, copy_slowly, ends), 0);
	for (unsigned n = 0; n < 40000; n++) /* more at once than the map was made for */
		put(GM_TABLE_BAR, n, "value");
	commit();
	for (ssize_t n; all < 6000000 && (n = read(ends[1], got, sizeof(got))) > 0; all += (size_t)n)
		;
	shutdown(ends[1], SHUT_RDWR);
	cr_assert_eq(pthread_join(thread, &done), 0);
	cr_assert_geq(all, 6000000u);
	cr_assert_eq(count(GM_TABLE_BAR), 40000u);
	close(ends[0]);
	close(ends[1]);
}

Test(recover, every_byte_of_a_backup_counts)
{
	struct stat st;

	open_store();
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert(fd >= 0);
	cr_assert_eq(gm_store_copy(store, fd), GM_E_OK);
	cr_assert_eq(gm_backup_end(fd, file, why), GM_E_OK, "%s", why);
	cr_assert_eq(fstat(fd, &st), 0);
	for (off_t at = st.st_size - 64; at < st.st_size; at++) {
		uint8_t byte;
		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
		cr_assert_eq(gm_backup_check(file, why), GM_E_CORRUPT, "byte %ld", (long)at);
		byte ^= 1;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	cr_assert_eq(gm_backup_check(file, why), GM_E_OK);
	cr_assert_eq(ftruncate(fd, st.st_size - 1), 0);
	cr_assert_eq(gm_backup_check(file, why), GM_E_CORRUPT);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(gm_backup_check(file, why), GM_E_CORRUPT);
	close(fd);
}
