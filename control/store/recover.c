/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the store, stores that went back in time, another key for all records. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "store/lmdb.h"

/* To a file of our own first: LMDB holds up writers, and old pages, for as long as a reader takes. */
static enum gm_err copy_aside(struct gm_store *s)
{
	if (ftruncate(s->scratch, 0) < 0 || lseek(s->scratch, 0, SEEK_SET) < 0)
		return GM_E_IO;
	atomic_store(&s->copying, true);
	int r = mdb_env_copyfd2(s->env, s->scratch, 0);
	atomic_store(&s->copying, false);
	return r == 0 ? GM_E_OK : GM_E_IO;
}

enum gm_err gm_store_copy(struct gm_store *s, int fd)
{
	enum gm_err err = copy_aside(s);
	static uint8_t step[1u << 16]; /* one copy at a time */
	ssize_t n = 0;

	for (off_t at = 0; err == GM_E_OK && (n = pread(s->scratch, step, sizeof(step), at)) > 0; at += n)
		for (ssize_t done = 0, k; err == GM_E_OK && done < n; done += k)
			if ((k = write(fd, step + done, (size_t)(n - done))) <= 0)
				err = GM_E_IO;
	if (n < 0)
		err = GM_E_IO;
	return ftruncate(s->scratch, 0) == 0 ? err : GM_E_IO;
}

static int write_meta(struct gm_store *s, const char *name, struct gm_bytes value)
{
	MDB_txn *txn;
	int r = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (r != 0)
		return r;
	r = gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key(name), value);
	if (r == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return r;
}

/* A store made by an earlier version has none. */
static int write_id(struct gm_store *s)
{
	s->id = gm_lmdb_new_id();
	return write_meta(s, "id", (struct gm_bytes){(const uint8_t *)&s->id, sizeof(s->id)});
}

enum gm_err gm_store_watch(struct gm_store *s, const char *file, char why[static GM_WHY])
{
	struct gm_witness *w = &s->witness;

	if (s->recovering)
		return gm_why(why, GM_E_STORE_OLD, "a recovery of the store was begun and has not ended: gmd recover goes on with it");
	GM_TRY(gm_witness_open(w, file, why));
	if (w->store && w->store != s->id)
		return gm_why(why, GM_E_STORE_OLD, "%s speaks of another store than this one: put that one back, or move the file away",
		              file);
	if (w->turn > s->turn)
		return gm_why(why, GM_E_STORE_OLD,
		              "the store went back in time: its last turn is %" PRIu64 ", and %s has seen %" PRIu64
		              ". Put the newer store back, or let all members join anew with gmd recover",
		              s->turn, file, w->turn);
	if (!s->id && write_id(s) != 0)
		return gm_why(why, GM_E_STORE, "the store takes no record");
	w->store = s->id;
	/* The turn that was read may be in the kernel's memory only, where gmd was killed while it wrote it; the one before is not. */
	uint64_t sure = s->turn ? s->turn - 1 : 0;
	/* synced once, so that from now on a power cut leaves one turn or another in its place, and not a length without bytes */
	if (!gm_witness_say(w, w->turn > sure ? w->turn : sure) || fsync(w->fd) < 0 || !gm_lmdb_sync_parent(file))
		return gm_why(why, GM_E_IO, "witness %s: %s", file, strerror(errno));
	return GM_E_OK;
}

/* Steps of so many records: large transactions leak pages in this version of LMDB. */
#define STEP_RECORDS 5000u

struct walk { /* over all records of the tables from `table` to `last`, a transaction for every STEP_RECORDS */
	uint8_t table, last;
	int (*each)(struct gm_store *s, MDB_txn *txn, MDB_cursor *cursor, struct gm_bytes name, const MDB_val *record, uint8_t table);
	uint8_t at[1 + GM_KEY_MAX]; /* the key to go on from */
	size_t at_n;
};

static int walk_step(struct gm_store *s, struct walk *w, MDB_txn *txn, bool *more)
{
	MDB_val key = {.mv_data = w->at, .mv_size = w->at_n}, record;
	MDB_cursor *cursor;
	unsigned n = 0;
	int r = mdb_cursor_open(txn, s->dbi, &cursor);

	if (r != 0)
		return r;
	r = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE);
	for (; r == 0 && n < STEP_RECORDS; n++) {
		uint8_t name[1 + GM_KEY_MAX];
		size_t name_n = key.mv_size;
		if (name_n == 0 || name_n > sizeof(name)) {
			r = MDB_CORRUPTED;
			break;
		}
		memcpy(name, key.mv_data, name_n); /* the record's page may move */
		if (name[0] > w->last)
			break;
		r = w->each(s, txn, cursor, (struct gm_bytes){name + 1, name_n - 1}, &record, name[0]);
		if (r == 0)
			r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT);
	}
	*more = r == 0 && n == STEP_RECORDS && key.mv_size <= sizeof(w->at);
	if (*more) {
		memcpy(w->at, key.mv_data, key.mv_size);
		w->at_n = key.mv_size;
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : r;
}

static int walk(struct gm_store *s, struct walk *w)
{
	bool more = true;
	MDB_txn *txn;
	int r = 0;

	w->at[0] = w->table;
	w->at_n = 1;
	while (more && r == 0) {
		r = mdb_txn_begin(s->env, NULL, 0, &txn);
		if (r != 0)
			break;
		r = walk_step(s, w, txn, &more);
		if (r == 0)
			r = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	return r;
}

static int remove_here(struct gm_store *s, MDB_txn *txn, MDB_cursor *cursor, struct gm_bytes name, const MDB_val *record,
                       uint8_t table)
{
	(void)s, (void)txn, (void)name, (void)record, (void)table;
	return mdb_cursor_del(cursor, 0);
}

unsigned gm_store_recoveries(const struct gm_store *s)
{
	return s->witness.recoveries;
}

enum gm_err gm_store_recover(struct gm_store *s, const char *file, char why[static GM_WHY])
{
	struct walk away = {.table = GM_TABLE_MEMBER, .last = GM_TABLE_CTX, .each = remove_here};
	enum gm_err err = gm_witness_open(&s->witness, file, why);

	if (err == GM_E_CORRUPT) { /* what it said is lost; the file is written anew */
		s->witness.turn = 0;
		s->witness.recoveries = 0;
	}
	else if (err != GM_E_OK)
		return err;
	int r = write_meta(s, GM_STORE_RECOVERING, gm_text_key("1"));
	if (r == 0 && !s->id)
		r = write_id(s);
	if (r == 0)
		r = walk(s, &away);
	if (r != 0)
		return gm_why(why, GM_E_STORE, "store: %s", mdb_strerror(r));
	s->turn = s->witness.turn > s->turn ? s->witness.turn : s->turn;
	s->witness.store = s->id;
	s->witness.recoveries++;
	if (!gm_witness_say(&s->witness, s->turn) || fsync(s->witness.fd) < 0)
		return gm_why(why, GM_E_IO, "%s: %s", file, strerror(errno));
	return GM_E_OK;
}

/* ------------------------------------------------------------------ another key */

static int reseal_here(struct gm_store *s, MDB_txn *txn, MDB_cursor *cursor, struct gm_bytes name, const MDB_val *record,
                       uint8_t table)
{
	const uint8_t *bytes = record->mv_data;
	MDB_val room = {.mv_size = record->mv_size}, key = {.mv_data = (void *)(uintptr_t)(name.p - 1), .mv_size = name.n + 1};
	struct gm_bytes value;

	(void)txn;
	if (gm_seal_is(&s->key, (struct gm_bytes){bytes, record->mv_size}))
		return 0; /* by the run that was interrupted */
	if (gm_lmdb_unseal(s, &s->old_key, table, name, record, &value) != GM_E_OK)
		return MDB_CORRUPTED;
	int r = mdb_cursor_put(cursor, &key, &room, MDB_CURRENT | MDB_RESERVE);
	if (r == 0)
		gm_seal(&s->key, table, name, value, room.mv_data);
	gm_wipe(s->plain, value.n);
	return r;
}

/* Whole or not at all under its name, and only where the old one fits. */
static enum gm_err make_new_key(struct gm_store *s, const char *dir, const char *new_file, char why[static GM_WHY])
{
	char part[GM_PATH];

	s->key = s->old_key;
	if (gm_lmdb_try_key(s) != GM_E_OK)
		return gm_why(why, GM_E_STORE_KEY, "the key file belongs to another store than %s", dir);
	if ((size_t)snprintf(part, sizeof(part), "%s.part", new_file) >= sizeof(part))
		return gm_why(why, GM_E_IO, "the path of the key file is too long");
	unlink(part);
	if (gm_seal_key_make(&s->key, part) != GM_E_OK || rename(part, new_file) < 0 || !gm_lmdb_sync_parent(new_file))
		return gm_why(why, GM_E_IO, "%s: %s", new_file, strerror(errno));
	return GM_E_OK;
}

/* In the turn that was the last one: nothing else has changed. */
static int note(struct gm_store *s, const struct gm_changes *entries)
{
	MDB_txn *txn;
	int r = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (r != 0)
		return r;
	gm_chain_begin(s);
	for (const struct gm_change *c = NULL; r == 0 && (c = gm_changes_next(entries, c));)
		r = gm_chain_add(s, txn, c);
	if (r == 0)
		r = gm_chain_end(s, txn);
	if (r == 0)
		r = gm_lmdb_put_turn(s, txn, s->turn);
	if (r == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return r;
}

static enum gm_err rotate(struct gm_store *s, const char *dir, const char *key_file, const char *new_file,
                          const struct gm_changes *entries, char why[static GM_WHY])
{
	struct walk all = {.table = 0, .last = GM_TABLE_AUDIT, .each = reseal_here};
	char data[GM_PATH];
	struct stat st;

	if (!gm_in_dir(data, dir, "data.mdb") || stat(data, &st) < 0)
		return gm_why(why, GM_E_UNKNOWN, "there is no store in %s", dir);
	GM_TRY(gm_lmdb_lock(s, dir, why));
	GM_TRY(gm_seal_key_read(&s->old_key, key_file, why));
	int r = gm_lmdb_open(s, dir, (size_t)st.st_size);
	if (r != 0)
		return gm_why(why, GM_E_STORE, "store %s: %s", dir, mdb_strerror(r));
	if (!gm_path_exists(new_file))
		GM_TRY(make_new_key(s, dir, new_file, why));
	GM_TRY(gm_seal_key_read(&s->key, new_file, why));
	r = walk(s, &all);
	if (r == MDB_CORRUPTED)
		return gm_why(why, GM_E_CORRUPT, "a record opens under neither %s nor %s: nothing more was changed", key_file, new_file);
	if (r != 0)
		return gm_why(why, GM_E_STORE, "store %s: %s", dir, mdb_strerror(r));
	if (entries) {
		GM_TRY(gm_lmdb_verify(s, dir, why));
		r = note(s, entries);
	}
	if (r != 0)
		return gm_why(why, GM_E_STORE, "store %s: %s", dir, mdb_strerror(r));
	if (rename(new_file, key_file) < 0 || !gm_lmdb_sync_parent(key_file))
		return gm_why(why, GM_E_IO, "%s: %s", key_file, strerror(errno));
	return GM_E_OK;
}

enum gm_err gm_store_rotate(const char *dir, const char *key_file, const struct gm_changes *entries, char why[static GM_WHY])
{
	struct gm_store *s = gm_lmdb_new();
	char new_file[GM_PATH];

	if (!s)
		return gm_why(why, GM_E_NO_MEMORY, "out of memory");
	enum gm_err err = gm_key_file_new(new_file, key_file) ? rotate(s, dir, key_file, new_file, entries, why)
	                                                      : gm_why(why, GM_E_IO, "the path of the key file is too long");
	gm_store_close(s);
	return err;
}
