/* SPDX-License-Identifier: Apache-2.0 */
/* The store in LMDB: one database, a key is the table's number and the record's key, a value is sealed. Default sync
 * flags: commit returns after fdatasync of the pages and a synchronous write of the meta page. A lock on the file
 * `lock` keeps a second process out. */
#include "store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define MAP_MIN ((size_t)1 << 30) /* sparse: address space, not disk */
#define PAGES_PER_CHANGE 8u       /* copied on the way down the tree, at most */
#define RESERVE ((size_t)16 << 20) /* blocks behind the last page that are the file's already */
#define RESERVE_STEP ((size_t)256 << 10)
#define RESERVE_AGAIN_US 1000000u
#define LOCK_WAIT_MS 3000u
#define LOCK_STEP_MS 20u

static const char check_text[] = "gmd store";

void gm_db_key(struct gm_db_key *k, uint8_t table, const void *key, size_t n)
{
	k->bytes[0] = table;
	memcpy(k->bytes + 1, key, n);
	k->val = (MDB_val){.mv_data = k->bytes, .mv_size = 1 + n};
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* ------------------------------------------------------------------ writing */

static int put(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name, struct gm_bytes value, unsigned flags)
{
	MDB_val room = {.mv_size = value.n + GM_SEAL_EXTRA};
	struct gm_db_key key;

	gm_db_key(&key, table, name.p, name.n);
	int r = mdb_put(txn, s->dbi, &key.val, &room, MDB_RESERVE | flags);
	if (r == 0)
		gm_seal(&s->key, table, name, value, room.mv_data);
	return r;
}

int gm_lmdb_put(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name, struct gm_bytes value)
{
	return put(s, txn, table, name, value, 0);
}

int gm_lmdb_append(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name, struct gm_bytes value)
{
	return put(s, txn, table, name, value, MDB_APPEND);
}

static int take_away(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name)
{
	struct gm_db_key key;

	gm_db_key(&key, table, name.p, name.n);
	int r = mdb_del(txn, s->dbi, &key.val, NULL);
	return r == MDB_NOTFOUND ? 0 : r;
}

struct gm_bytes gm_text_key(const char *text)
{
	return (struct gm_bytes){.p = (const uint8_t *)text, .n = strlen(text)};
}

int gm_lmdb_put_turn(struct gm_store *s, MDB_txn *txn, uint64_t turn)
{
	uint8_t value[8 + GM_CHAIN_MARK];
	struct gm_out o = gm_out(value, sizeof(value));

	gm_out_be(&o, turn, 8);
	gm_chain_mark_put(&o, &s->writer.now.ends.head);
	return gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key("turn"), gm_out_result(&o));
}

static int write_all(struct gm_store *s, MDB_txn *txn, const struct gm_changes *changes, uint64_t turn)
{
	int r = 0;

	gm_chain_begin(s);
	for (const struct gm_change *c = NULL; r == 0 && (c = gm_changes_next(changes, c));) {
		if (c->table == GM_TABLE_AUDIT) {
			r = gm_chain_add(s, txn, c);
			continue;
		}
		struct gm_bytes name = {.p = c->bytes, .n = c->key_n},
		                value = {.p = c->bytes + c->key_n, .n = c->value_n};

		r = c->remove ? take_away(s, txn, c->table, name) : gm_lmdb_put(s, txn, c->table, name, value);
	}
	if (r == 0)
		r = gm_chain_end(s, txn);
	return r == 0 ? gm_lmdb_put_turn(s, txn, turn) : r;
}

/* A process that ended without a word keeps its place among the readers, of which there are so many only, and may keep the pages
 * that it was reading. */
static int forget_the_dead(struct gm_store *s)
{
	int dead;

	return mdb_reader_check(s->env, &dead);
}

static int set_map(struct gm_store *s, size_t map)
{
	int r = mdb_env_set_mapsize(s->env, map);

	s->map = r == 0 ? map : s->map;
	return r;
}

static size_t used(const struct gm_store *s)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat);
	return (info.me_last_pgno + 1) * stat.ms_psize;
}

/* A map that fills up during commit cannot be mended, so room for the worst case is made beforehand. */
static int make_room(struct gm_store *s, const struct gm_changes *changes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t need = used(s) + 2 * changes->n + (changes->count + 64u + GM_CHAIN_LET_GO) * PAGES_PER_CHANGE * page, map = s->map;

	while (map < need)
		map *= 2;
	while (map != s->map && atomic_load(&s->copying)) /* by a thread that writes to a file of ours: soon done */
		usleep(1000);
	return map == s->map ? 0 : set_map(s, map);
}

/* Blocks, not length: what is behind the end is for pages to come. */
static void reserve(struct gm_store *s)
{
	size_t end = used(s), goal = (end + RESERVE) / RESERVE_STEP * RESERVE_STEP;
	uint64_t now = now_us();
	int fd;

	if (s->reserved >= goal || (s->low && now < s->low_us + RESERVE_AGAIN_US))
		return;
	s->low_us = now;
	if (mdb_env_get_fd(s->env, &fd) != 0)
		return;
	int r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)end, (off_t)(goal - end));
	if (r == 0)
		s->reserved = goal;
	else if (errno == EOPNOTSUPP || errno == ENOSYS)
		s->reserved = SIZE_MAX;
	s->low = r != 0 && (errno == ENOSPC || errno == EDQUOT);
}

bool gm_store_low(struct gm_store *s)
{
	if (s)
		reserve(s);
	return s && s->low;
}

enum gm_err gm_store_begin(struct gm_store *s, const struct gm_changes *changes, uint64_t turn)
{
	int r = s->txn ? MDB_BAD_TXN : make_room(s, changes);

	s->begin_us = now_us();
	if (r == 0)
		r = forget_the_dead(s);
	if (r == 0)
		r = mdb_txn_begin(s->env, NULL, 0, &s->txn);
	if (r == 0) {
		r = write_all(s, s->txn, changes, turn);
		if (r != 0) {
			mdb_txn_abort(s->txn);
			s->txn = NULL;
		}
	}
	s->turn_next = turn;
	s->pending_changes = changes->count;
	s->pending_bytes = changes->n;
	s->failed = r;
	return r == 0 ? GM_E_OK : GM_E_STORE;
}

const char *gm_store_why(const struct gm_store *s)
{
	return mdb_strerror(s->failed);
}

static void count_commit(struct gm_store *s)
{
	uint64_t us = now_us() - s->begin_us;

	s->stats.commits++;
	s->stats.changes += s->pending_changes;
	s->stats.bytes += s->pending_bytes;
	s->stats.commit_us_last = us;
	if (us > s->stats.commit_us_max)
		s->stats.commit_us_max = us;
}

enum gm_commit_result gm_store_finish(struct gm_store *s)
{
	MDB_txn *txn = s->txn;

	s->txn = NULL;
	s->failed = txn ? mdb_txn_commit(txn) : MDB_BAD_TXN;
	if (s->failed)
		return GM_COMMIT_FAILED;
	s->turn = s->turn_next;
	s->chain = s->writer.now;
	gm_witness_say(&s->witness, s->turn);
	count_commit(s);
	return GM_COMMIT_DONE;
}

/* ------------------------------------------------------------------ reading */

enum gm_err gm_lmdb_unseal(struct gm_store *s, const struct gm_seal_key *key, uint8_t table, struct gm_bytes name, const MDB_val *record,
                          struct gm_bytes *value)
{
	if (record->mv_size > s->plain_cap) {
		uint8_t *plain = malloc(record->mv_size);

		if (!plain)
			return GM_E_NO_MEMORY;
		free(s->plain); /* wiped after every use */
		s->plain = plain;
		s->plain_cap = record->mv_size;
	}
	struct gm_bytes sealed = {.p = record->mv_data, .n = record->mv_size};

	return gm_unseal(key, table, name, sealed, s->plain, value);
}

static MDB_txn *begin_read(struct gm_store *s)
{
	MDB_txn *txn = s->held;

	s->failed = txn ? 0 : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	return s->failed ? NULL : txn;
}

static void end_read(const struct gm_store *s, MDB_txn *txn)
{
	if (txn != s->held)
		mdb_txn_abort(txn);
}

static enum gm_err show(struct gm_store *s, const MDB_val *key, const MDB_val *record, gm_store_each each, void *arg)
{
	const uint8_t table = *(uint8_t *)key->mv_data;
	struct gm_bytes name = {.p = (uint8_t *)key->mv_data + 1, .n = key->mv_size - 1}, value;
	enum gm_err err = gm_lmdb_unseal(s, &s->key, table, name, record, &value);

	if (err != GM_E_OK)
		return err == GM_E_STORE_KEY ? GM_E_CORRUPT : err;
	err = each(arg, (enum gm_table)table, name, value);
	gm_wipe(s->plain, value.n);
	return err;
}

static bool under(const MDB_val *key, const struct gm_db_key *first)
{
	return key->mv_size >= first->val.mv_size && memcmp(key->mv_data, first->bytes, first->val.mv_size) == 0;
}

static enum gm_err scan_from(struct gm_store *s, MDB_cursor *cursor, const struct gm_db_key *first, gm_store_each each, void *arg)
{
	MDB_val key = first->val, record;
	int r = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE);

	for (; r == 0 && under(&key, first); r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT))
		GM_TRY(show(s, &key, &record, each, arg));
	return r == 0 || r == MDB_NOTFOUND ? GM_E_OK : GM_E_CORRUPT;
}

enum gm_err gm_store_under(struct gm_store *s, enum gm_table table, struct gm_bytes begin, gm_store_each each, void *arg)
{
	enum gm_err err = GM_E_STORE;
	struct gm_db_key first;
	MDB_cursor *cursor;
	MDB_txn *txn = begin.n <= GM_KEY_MAX ? begin_read(s) : NULL;

	if (!txn)
		return GM_E_STORE;
	gm_db_key(&first, (uint8_t)table, begin.n ? begin.p : (const uint8_t *)"", begin.n);
	if (mdb_cursor_open(txn, s->dbi, &cursor) == 0) {
		err = scan_from(s, cursor, &first, each, arg);
		mdb_cursor_close(cursor);
	}
	end_read(s, txn);
	return err;
}

enum gm_err gm_store_scan(struct gm_store *s, enum gm_table table, gm_store_each each, void *arg)
{
	return gm_store_under(s, table, (struct gm_bytes){0}, each, arg);
}

enum gm_err gm_store_get(struct gm_store *s, enum gm_table table, struct gm_bytes name, gm_store_each each, void *arg)
{
	struct gm_db_key key;
	MDB_val record;
	MDB_txn *txn = name.n && name.n <= GM_KEY_MAX ? begin_read(s) : NULL;

	if (!txn)
		return GM_E_STORE;
	gm_db_key(&key, (uint8_t)table, name.p, name.n);
	int r = mdb_get(txn, s->dbi, &key.val, &record);
	enum gm_err err = r == 0 ? show(s, &key.val, &record, each, arg) : r == MDB_NOTFOUND ? GM_E_OK : GM_E_CORRUPT;
	end_read(s, txn);
	return err;
}

static enum gm_err read_turn(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in = gm_in_bytes(value);

	(void)table, (void)key;
	*(uint64_t *)arg = gm_in_be(&in, 8);
	return in.err == GM_E_OK ? GM_E_OK : GM_E_CORRUPT;
}

enum gm_err gm_store_hold(struct gm_store *s, uint64_t *turn)
{
	*turn = UINT64_MAX;
	s->held = begin_read(s);
	if (!s->held)
		return GM_E_STORE;
	enum gm_err err = gm_store_get(s, GM_TABLE_META, gm_text_key("turn"), read_turn, turn);
	if (err == GM_E_OK && *turn == UINT64_MAX)
		err = GM_E_CORRUPT;
	if (err != GM_E_OK)
		gm_store_let_go(s);
	return err;
}

void gm_store_let_go(struct gm_store *s)
{
	mdb_txn_abort(s->held);
	s->held = NULL;
}

enum gm_err gm_store_unmap(struct gm_store *s)
{
	s->failed = set_map(s, s->map);
	return s->failed ? GM_E_STORE : GM_E_OK;
}

uint64_t gm_store_turn(struct gm_store *s)
{
	return s->turn;
}

void gm_store_stats(struct gm_store *s, struct gm_store_stats *stats)
{
	*stats = s->stats;
	stats->map_bytes = s->map;
	stats->used_bytes = used(s);
}

/* ------------------------------------------------------------------ opening and closing */

struct own_records { /* what META has to hold */
	struct gm_store *store;
	bool check, turn;
};

static enum gm_err read_own(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	struct own_records *own = arg;
	struct gm_in in = gm_in_bytes(value);

	(void)table;
	if (gm_bytes_is(key, "check"))
		own->check = gm_bytes_is(value, check_text);
	if (gm_bytes_is(key, "id") && value.n == sizeof(own->store->id))
		memcpy(&own->store->id, value.p, value.n);
	if (gm_bytes_is(key, GM_STORE_RECOVERING))
		own->store->recovering = true;
	if (gm_bytes_is(key, "turn")) {
		own->store->turn = gm_in_be(&in, 8);
		if (gm_in_left(&in)) /* one of an earlier version has no audit log */
			gm_chain_mark_take(&in, &own->store->chain.ends.head);
		own->turn = in.err == GM_E_OK && gm_in_left(&in) == 0;
	}
	bool kept = gm_bytes_is(key, GM_CHAIN_KEPT), age = gm_bytes_is(key, GM_CHAIN_AGE);
	if (kept)
		gm_chain_mark_take(&in, &own->store->chain.ends.kept);
	if (age) {
		gm_chain_age_take(&in, &own->store->chain.age);
		own->store->age = own->store->chain.age;
	}
	return !(kept || age) || (in.err == GM_E_OK && gm_in_left(&in) == 0) ? GM_E_OK : GM_E_CORRUPT;
}

/* The key fits when the check record opens; asked first, so that a wrong key is not called damage. */
enum gm_err gm_lmdb_try_key(struct gm_store *s)
{
	struct gm_bytes value;
	struct gm_db_key key;
	MDB_val record;
	MDB_txn *txn;

	s->failed = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (s->failed)
		return GM_E_STORE;
	gm_db_key(&key, GM_TABLE_META, "check", 5);
	int r = mdb_get(txn, s->dbi, &key.val, &record);
	enum gm_err err = r == 0 ? gm_lmdb_unseal(s, &s->key, GM_TABLE_META, gm_text_key("check"), &record, &value) : GM_E_CORRUPT;
	mdb_txn_abort(txn);
	return err;
}

static enum gm_err verify_meta(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	struct own_records own = {.store = s};
	enum gm_err err = gm_lmdb_try_key(s);

	if (err == GM_E_STORE_KEY)
		return gm_why(why, err, "the key file belongs to another store than %s", dir);
	if (err == GM_E_STORE_VERSION)
		return gm_why(why, err, "store %s was made by another version", dir);
	if (err == GM_E_OK)
		err = gm_store_scan(s, GM_TABLE_META, read_own, &own);
	if (err == GM_E_STORE && s->failed) /* MDB_READERS_FULL: too many look at it at once */
		return gm_why(why, err, "store %s: %s", dir, mdb_strerror(s->failed));
	if (err == GM_E_OK && !(own.check && own.turn))
		err = GM_E_CORRUPT;
	return err == GM_E_OK ? err : gm_why(why, err, "store %s is damaged: its first records do not open", dir);
}

enum gm_err gm_lmdb_verify(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	GM_TRY(verify_meta(s, dir, why));
	enum gm_err err = gm_chain_open(s);
	return err == GM_E_OK ? err : gm_why(why, err, "store %s is damaged: its audit log does not end as it did", dir);
}

bool gm_in_dir(char path[static GM_PATH], const char *dir, const char *name)
{
	return (size_t)snprintf(path, GM_PATH, "%s/%s", dir, name) < GM_PATH;
}

bool gm_key_file_new(char path[static GM_PATH], const char *key_file)
{
	return (size_t)snprintf(path, GM_PATH, "%s.new", key_file) < GM_PATH;
}

struct gm_store *gm_lmdb_new(void)
{
	struct gm_store *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	mlock(s, sizeof(*s)); /* where it is not allowed, dumps are still spared */
	madvise(s, sizeof(*s), MADV_DONTDUMP);
	s->lock = s->scratch = s->witness.fd = -1;
	return s;
}

int gm_lmdb_open(struct gm_store *s, const char *dir, size_t file_bytes)
{
	MDB_txn *txn = NULL;
	size_t map = MAP_MIN;
	int r = mdb_env_create(&s->env);

	while (map < 2 * file_bytes)
		map *= 2;
	if (r == 0)
		r = set_map(s, map);
	if (r == 0)
		r = mdb_env_open(s->env, dir, 0, 0600);
	if (r == 0)
		r = forget_the_dead(s);
	if (r == 0)
		r = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &s->dbi);
	if (r == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return r;
}

enum gm_err gm_lmdb_lock(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	char path[GM_PATH];

	if (!gm_in_dir(path, dir, "lock"))
		return gm_why(why, GM_E_IO, "the path of store %.64s... is too long", dir);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return gm_why(why, GM_E_IO, "%s: %s", path, strerror(errno));
	/* a predecessor that was killed may be on its way out still */
	for (unsigned waited = 0; waited < LOCK_WAIT_MS; waited += LOCK_STEP_MS) {
		if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
			return GM_E_OK;
		if (errno != EWOULDBLOCK)
			break;
		usleep(LOCK_STEP_MS * 1000);
	}
	return errno == EWOULDBLOCK ? gm_why(why, GM_E_BUSY, "store %s is in use by another process", dir)
	                            : gm_why(why, GM_E_IO, "%s: %s", path, strerror(errno));
}

static enum gm_err lmdb_error(int r, const char *dir, char why[static GM_WHY])
{
	bool damaged = r == MDB_INVALID || r == MDB_CORRUPTED || r == MDB_PAGE_NOTFOUND || r == MDB_PANIC;
	enum gm_err err = damaged ? GM_E_CORRUPT : r == MDB_VERSION_MISMATCH ? GM_E_STORE_VERSION : GM_E_IO;

	return gm_why(why, err, "store %s: %s", dir, mdb_strerror(r));
}

/* Opened now, because later no file may be opened to be written: confine.h. */
static enum gm_err open_scratch(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	char path[GM_PATH];

	if (!gm_in_dir(path, dir, "copy"))
		return gm_why(why, GM_E_IO, "the path of store %.64s... is too long", dir);
	unlink(path);
	s->scratch = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->scratch < 0 || unlink(path) < 0)
		return gm_why(why, GM_E_IO, "%s: %s", path, strerror(errno));
	return GM_E_OK;
}

/* Reads the key. *st: of the file with the records */
static enum gm_err find_parts(struct gm_store *s, const char *dir, const char *key_file, struct stat *st, char why[static GM_WHY])
{
	char path[GM_PATH];

	if (!gm_in_dir(path, dir, "data.mdb"))
		return gm_why(why, GM_E_IO, "the path of store %.64s... is too long", dir);
	if (stat(path, st) < 0 && errno != ENOENT)
		return gm_why(why, GM_E_IO, "%s: %s", path, strerror(errno));
	if (!gm_path_exists(path))
		return gm_why(why, GM_E_UNKNOWN, "there is no store in %s: gmd init makes one", dir);
	GM_TRY(gm_seal_key_read(&s->key, key_file, why));
	if (!gm_key_file_new(path, key_file) || gm_path_exists(path))
		return gm_why(why, GM_E_STORE_KEY, "a change of the store's key was interrupted (%s is there): gmd rotate-key goes on with it",
		              path);
	return GM_E_OK;
}

static enum gm_err open_parts(struct gm_store *s, const char *dir, const char *key_file, bool beside, char why[static GM_WHY])
{
	struct stat st;

	GM_TRY(find_parts(s, dir, key_file, &st, why));
	if (!beside)
		GM_TRY(gm_lmdb_lock(s, dir, why));
	GM_TRY(open_scratch(s, dir, why));
	int r = gm_lmdb_open(s, dir, (size_t)st.st_size);
	if (r != 0)
		return lmdb_error(r, dir, why);
	/* beside another process the log grows while it is looked at: gm_store_again() looks */
	return beside ? verify_meta(s, dir, why) : gm_lmdb_verify(s, dir, why);
}

static enum gm_err open_store(struct gm_store **store, const char *dir, const char *key_file, bool beside, char why[static GM_WHY])
{
	struct gm_store *s = gm_lmdb_new();

	if (!s)
		return gm_why(why, GM_E_NO_MEMORY, "out of memory");
	enum gm_err err = open_parts(s, dir, key_file, beside, why);
	if (err != GM_E_OK) {
		gm_store_close(s);
		return err;
	}
	*store = s;
	return GM_E_OK;
}

enum gm_err gm_store_open(struct gm_store **store, const char *dir, const char *key_file, char why[static GM_WHY])
{
	return open_store(store, dir, key_file, false, why);
}

enum gm_err gm_store_open_beside(struct gm_store **store, const char *dir, const char *key_file, char why[static GM_WHY])
{
	return open_store(store, dir, key_file, true, why);
}

enum gm_err gm_store_check(const char *dir, const char *key_file, char why[static GM_WHY])
{
	struct gm_store *s = gm_lmdb_new();
	struct stat st;

	if (!s)
		return gm_why(why, GM_E_NO_MEMORY, "out of memory");
	enum gm_err err = find_parts(s, dir, key_file, &st, why);
	gm_store_close(s);
	return err;
}

enum gm_err gm_store_again(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	return gm_lmdb_verify(s, dir, why);
}

enum gm_err gm_store_lock(struct gm_store *s, const char *dir, char why[static GM_WHY])
{
	GM_TRY(gm_lmdb_lock(s, dir, why));
	forget_the_dead(s); /* the predecessor */
	return GM_E_OK;
}

uint32_t gm_store_id(const struct gm_store *s)
{
	return s->id;
}

void gm_store_close(struct gm_store *s)
{
	if (!s)
		return;
	mdb_txn_abort(s->txn);
	mdb_txn_abort(s->held);
	if (s->env)
		mdb_env_close(s->env);
	gm_witness_close(&s->witness);
	if (s->scratch >= 0)
		close(s->scratch);
	if (s->lock >= 0)
		close(s->lock);
	free(s->plain);
	gm_wipe(s, sizeof(*s));
	munmap(s, sizeof(*s));
}

/* ------------------------------------------------------------------ making */

static bool sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool good = fsync(fd) == 0;
	close(fd);
	return good;
}

bool gm_lmdb_sync_parent(const char *path)
{
	char copy[GM_PATH];

	return (size_t)snprintf(copy, sizeof(copy), "%s", path) < sizeof(copy) && sync_dir(dirname(copy));
}

bool gm_path_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

uint32_t gm_lmdb_new_id(void)
{
	uint32_t id = 0;

	while (!id)
		gm_random(&id, sizeof(id));
	return id;
}

static int first_records(struct gm_store *s)
{
	uint32_t id = gm_lmdb_new_id();
	MDB_txn *txn;
	int r = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (r != 0)
		return r;
	r = gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key("check"), gm_text_key(check_text));
	if (r == 0)
		r = gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key("id"), (struct gm_bytes){(const uint8_t *)&id, sizeof(id)});
	if (r == 0)
		r = gm_lmdb_put_turn(s, txn, 0);
	if (r == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return r;
}

static enum gm_err fill_store(struct gm_store *s, const char *dir, const char *key_file, char why[static GM_WHY])
{
	int r;

	if (!gm_lmdb_sync_parent(key_file))
		return gm_why(why, GM_E_IO, "%s: %s", key_file, strerror(errno));
	if ((r = gm_lmdb_open(s, dir, 0)) != 0 || (r = first_records(s)) != 0)
		return gm_why(why, GM_E_IO, "%s: %s", dir, mdb_strerror(r));
	return sync_dir(dir) && gm_lmdb_sync_parent(dir) ? GM_E_OK : gm_why(why, GM_E_IO, "%s: %s", dir, strerror(errno));
}

static enum gm_err make_key(struct gm_store *s, const char *key_file, char why[static GM_WHY])
{
	enum gm_err err = gm_seal_key_make(&s->key, key_file);

	return err == GM_E_OK ? err : gm_why(why, err, "%s: %s", key_file, strerror(errno));
}

/* Under the lock; what fails half way takes away what it made. */
static enum gm_err make_store(struct gm_store *s, const char *dir, const char *data, const char *key_file, char why[static GM_WHY])
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return gm_why(why, GM_E_IO, "%s: %s", dir, strerror(errno));
	GM_TRY(gm_lmdb_lock(s, dir, why));
	if (gm_path_exists(data))
		return gm_why(why, GM_E_EXISTS, "%s: %s", data, strerror(EEXIST));
	GM_TRY(make_key(s, key_file, why));
	enum gm_err err = fill_store(s, dir, key_file, why);
	if (err != GM_E_OK) {
		unlink(key_file);
		unlink(data);
	}
	return err;
}

enum gm_err gm_store_init(const char *dir, const char *key_file, char why[static GM_WHY])
{
	char data[GM_PATH];

	if (!gm_in_dir(data, dir, "data.mdb"))
		return gm_why(why, GM_E_IO, "%s: %s", dir, strerror(ENAMETOOLONG));
	if (gm_path_exists(data) || gm_path_exists(key_file))
		return gm_why(why, GM_E_EXISTS, "%s: %s", gm_path_exists(data) ? data : key_file, strerror(EEXIST));
	struct gm_store *s = gm_lmdb_new();
	if (!s)
		return gm_why(why, GM_E_NO_MEMORY, "%s", gm_err_info(GM_E_NO_MEMORY)->text);
	enum gm_err err = make_store(s, dir, data, key_file, why);
	gm_store_close(s);
	return err;
}
