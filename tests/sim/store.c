/* SPDX-License-Identifier: Apache-2.0 */
/* gm_store_begin and gm_store_finish are wrapped by the linker: what the turn commits goes to records in memory, or on to
 * LMDB, with faults before and after. */
#include <stdlib.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "sim.h"

enum gm_err __real_gm_store_begin(struct gm_store *store, const struct gm_changes *changes, uint64_t turn);
enum gm_commit_result __real_gm_store_finish(struct gm_store *store);
enum gm_err __wrap_gm_store_begin(struct gm_store *store, const struct gm_changes *changes, uint64_t turn);
enum gm_commit_result __wrap_gm_store_finish(struct gm_store *store);

/* ---- records */

static int order(const struct sim_record *r, unsigned table, struct gm_bytes key)
{
	if (r->table != table)
		return r->table < table ? -1 : 1;
	int d = memcmp(r->key, key.p, r->key_n < key.n ? r->key_n : key.n);
	return d ? d : (int)r->key_n - (int)key.n;
}

/* The first record that is not before this one. */
static size_t place(const struct sim_store *st, unsigned table, struct gm_bytes key)
{
	size_t lo = 0, hi = st->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (order(&st->record[mid], table, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t fold(uint64_t h, struct gm_bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		h = (h ^ text.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void take(struct sim_store *st, const struct gm_change *c)
{
	if (c->table == GM_TABLE_AUDIT) {
		st->entries++;
		st->entries_fold = fold(st->entries_fold, (struct gm_bytes){c->bytes + c->key_n, c->value_n});
		return;
	}
	struct gm_bytes key = {c->bytes, c->key_n};
	size_t at = place(st, c->table, key);
	bool there = at < st->n && order(&st->record[at], c->table, key) == 0;

	if (there)
		free(st->record[at].value);
	if (c->remove) {
		if (there)
			memmove(&st->record[at], &st->record[at + 1], (--st->n - at) * sizeof *st->record);
		return;
	}
	if (!there) {
		if (st->n == st->cap) {
			st->cap = st->cap ? 2 * st->cap : 512;
			st->record = realloc(st->record, st->cap * sizeof *st->record);
		}
		memmove(&st->record[at + 1], &st->record[at], (st->n++ - at) * sizeof *st->record);
		st->record[at] = (struct sim_record){.table = c->table, .key_n = c->key_n};
		memcpy(st->record[at].key, c->bytes, c->key_n);
	}
	st->record[at].value_n = c->value_n;
	st->record[at].value = malloc(c->value_n + 1);
	memcpy(st->record[at].value, c->bytes + c->key_n, c->value_n);
}

/* Broken on purpose: changes that are not kept. */
static bool forgotten(const struct gm_change *c)
{
	switch (sim_broken) {
	case SIM_BREAK_STALE: /* Sender IDs given up: the records of a group whose key is longer than its index */
		return c->table == GM_TABLE_GROUP && c->key_n > 8;
	case SIM_BREAK_ADMIN: /* the one behind its own, whose key is a byte longer */
		return c->table == GM_TABLE_GROUP && c->key_n == 5;
	case SIM_BREAK_SCHEDULE:
		return c->table == GM_TABLE_SCHEDULE;
	case SIM_BREAK_MEMBER:
		return c->table == GM_TABLE_MEMBER && c->remove;
	case SIM_BREAK_REVOKED:
		return c->table == GM_TABLE_REVOKED || c->table == GM_TABLE_BAR;
	case SIM_BREAK_LEASE:
		return c->table == GM_TABLE_LEASE;
	default:
		return false;
	}
}

static void copy(struct gm_changes *to, const struct gm_changes *from)
{
	for (const struct gm_change *c = NULL; (c = gm_changes_next(from, c));) {
		if (forgotten(c))
			continue;
		if (c->remove)
			gm_changes_remove(to, c->owner, (enum gm_table)c->table, c->bytes, c->key_n);
		else
			gm_changes_put(to, c->owner, (enum gm_table)c->table, c->bytes, c->key_n, c->bytes + c->key_n, c->value_n);
	}
}

static void keep(struct sim_store *st)
{
	for (const struct gm_change *c = NULL; (c = gm_changes_next(&st->pending, c));)
		take(st, c);
	st->turn = st->pending_turn;
}

/* ---- the doors */

enum gm_err __wrap_gm_store_begin(struct gm_store *store, const struct gm_changes *changes, uint64_t turn)
{
	struct sim_store *st = &sim_now->store;

	if (turn != st->turn + 1)
		sim_fail(sim_now, "turn %llu is committed after %llu", (unsigned long long)turn, (unsigned long long)st->turn);
	if (st->fault == SIM_STORE_REFUSES) {
		sim_counts.store_refused++;
		return GM_E_STORE;
	}
	gm_changes_reset(&st->pending);
	copy(&st->pending, changes);
	st->pending_turn = turn;
	return st->lmdb ? __real_gm_store_begin(store, &st->pending, turn) : GM_E_OK;
}

enum gm_commit_result __wrap_gm_store_finish(struct gm_store *store)
{
	static const struct {
		uint64_t *count;
		bool kept;
		enum gm_commit_result said;
	} table[] = {
		[SIM_STORE_GOOD] = {&sim_counts.commits, true, GM_COMMIT_DONE},
		[SIM_STORE_FAILS] = {&sim_counts.store_failed, false, GM_COMMIT_FAILED},
		[SIM_STORE_FENCED] = {&sim_counts.store_fenced, false, GM_COMMIT_FENCED},
		[SIM_STORE_UNKNOWN_KEPT] = {&sim_counts.store_unknown_kept, true, GM_COMMIT_UNKNOWN},
		[SIM_STORE_UNKNOWN_LOST] = {&sim_counts.store_unknown_lost, false, GM_COMMIT_UNKNOWN},
	};
	struct sim_store *st = &sim_now->store;
	enum sim_store_fault fault = st->fault;

	++*table[fault].count;
	if (table[fault].kept && st->lmdb && __real_gm_store_finish(store) != GM_COMMIT_DONE)
		sim_fail(sim_now, "LMDB did not take a turn");
	if (table[fault].kept && (sim_broken != SIM_BREAK_SYNC || !sim_chance(&sim_now->dice, 1000)))
		keep(st);
	st->turn = table[fault].kept ? st->pending_turn : st->turn;
	gm_changes_reset(&st->pending);
	return table[fault].said;
}

/* ---- life */

static void path(const struct sim_store *st, char to[static 96], const char *file)
{
	snprintf(to, 96, "%s/%s", st->dir, file);
}

bool sim_store_new(struct sim *s, bool lmdb)
{
	struct sim_store *st = &s->store;
	char key[96], why[GM_WHY];

	st->sim = s;
	if (!lmdb)
		return true;
	snprintf(st->dir, sizeof st->dir, "%s/sim.%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
	path(st, key, "key");
	s->lmdb = 1;
	return gm_store_init(st->dir, key, why) == GM_E_OK || (fprintf(stderr, "%s\n", why), false);
}

void sim_store_closed(struct sim *s)
{
	gm_changes_reset(&s->store.pending);
	if (s->store.lmdb)
		gm_store_close(s->store.lmdb);
	s->store.lmdb = NULL;
}

static enum gm_err load(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	struct sim *s = arg;
	const struct sim_store *st = &s->store;
	size_t i = place(st, table, key); /* records in memory say what LMDB has to hold */

	if (table != GM_TABLE_META && (i == st->n || order(&st->record[i], table, key) != 0 || st->record[i].value_n != value.n ||
	                               memcmp(st->record[i].value, value.p, value.n) != 0))
		sim_fail(s, "LMDB holds a record of table %d that was not committed", (int)table);
	return gm_core_load(s->turns.core, table, key, value);
}

struct audit {
	struct sim *sim;
	uint64_t n, fold;
	uint8_t hash[GM_AUDIT_HASH];
};

/* The chain is whole, and has what was committed. */
static bool audit_entry(void *arg, uint64_t seq, struct gm_bytes text, const uint8_t hash[static GM_AUDIT_HASH])
{
	struct audit *a = arg;
	uint8_t bytes[GM_AUDIT_HASH + GM_AUDIT_MAX + 64];
	const uint8_t *behind = memchr(text.p, ',', text.n); /* the number, which the store has written */

	memcpy(bytes, a->hash, sizeof a->hash);
	memcpy(bytes + sizeof a->hash, text.p, text.n);
	gm_sha256(a->hash, bytes, sizeof a->hash + text.n);
	if (seq != ++a->n || memcmp(a->hash, hash, sizeof a->hash) != 0)
		sim_fail(a->sim, "the audit log is broken at entry %llu", (unsigned long long)seq);
	if (behind)
		a->fold = fold(a->fold, (struct gm_bytes){behind + 1, text.n - (size_t)(behind + 1 - text.p)});
	return true;
}

static void check_audit(struct sim *s)
{
	struct audit a = {.sim = s};
	uint64_t at;

	if (gm_store_audit(s->store.lmdb, 1, &at, audit_entry, &a) != GM_E_OK)
		sim_fail(s, "the audit log does not open at entry %llu", (unsigned long long)at);
	if (a.n != s->store.entries || a.fold != s->store.entries_fold)
		sim_fail(s, "the audit log has %llu entries, %llu were committed", (unsigned long long)a.n, (unsigned long long)s->store.entries);
}

static enum gm_err load_lmdb(struct sim *s)
{
	char key[96], why[GM_WHY] = "";

	path(&s->store, key, "key");
	enum gm_err err = gm_store_open(&s->store.lmdb, s->store.dir, key, why);
	if (err != GM_E_OK) {
		sim_fail(s, "the store does not open: %s", why);
		return err;
	}
	if (gm_store_turn(s->store.lmdb) != s->store.turn)
		sim_fail(s, "the store is at turn %llu, not %llu", (unsigned long long)gm_store_turn(s->store.lmdb),
		         (unsigned long long)s->store.turn);
	check_audit(s);
	for (unsigned table = 0; table < GM_TABLE_N; table++)
		GM_TRY(gm_store_scan(s->store.lmdb, (enum gm_table)table, load, s));
	return GM_E_OK;
}

enum gm_err sim_store_load(struct sim *s)
{
	const struct sim_store *st = &s->store;

	if (s->lmdb)
		return load_lmdb(s);
	for (size_t i = 0; i < st->n; i++)
		GM_TRY(gm_core_load(s->turns.core, (enum gm_table)st->record[i].table,
		                    (struct gm_bytes){st->record[i].key, st->record[i].key_n},
		                    (struct gm_bytes){st->record[i].value, st->record[i].value_n}));
	return GM_E_OK;
}

void sim_store_free(struct sim *s)
{
	struct sim_store *st = &s->store;
	static const char *const files[] = {"data.mdb", "lock.mdb", "lock", "key"};
	char file[96];

	sim_store_closed(s);
	for (size_t i = 0; i < st->n; i++)
		free(st->record[i].value);
	free(st->record);
	gm_changes_free(&st->pending);
	for (unsigned i = 0; s->lmdb && i < sizeof files / sizeof *files; i++) {
		path(st, file, files[i]);
		unlink(file);
	}
	if (s->lmdb)
		rmdir(st->dir);
}
