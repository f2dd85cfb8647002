/* SPDX-License-Identifier: Apache-2.0 */
/* Does every record open still? In portions, so that others have their turns in between. */
#include "store/lmdb.h"

struct looking {
	struct gm_store *store;
	gm_store_looked each;
	void *arg;
};

/* The first record behind `after`. */
static int begin(MDB_cursor *cursor, struct gm_bytes after, MDB_val *key, MDB_val *record)
{
	*key = (MDB_val){.mv_data = (void *)(uintptr_t)after.p, .mv_size = after.n};
	int r = mdb_cursor_get(cursor, key, record, after.n ? MDB_SET_RANGE : MDB_FIRST);
	bool same = r == 0 && after.n && key->mv_size == after.n && memcmp(key->mv_data, after.p, after.n) == 0;

	return same ? mdb_cursor_get(cursor, key, record, MDB_NEXT) : r;
}

static enum gm_err look_at(const struct looking *l, const MDB_val *key, const MDB_val *record)
{
	struct gm_bytes whole = {.p = key->mv_data, .n = key->mv_size}, value;

	if (whole.n < 2 || whole.n > GM_STORE_KEY_MAX)
		return GM_E_CORRUPT; /* none of ours */
	enum gm_err err = gm_lmdb_unseal(l->store, &l->store->key, whole.p[0], (struct gm_bytes){whole.p + 1, whole.n - 1}, record, &value);
	if (err == GM_E_NO_MEMORY)
		return err;
	if (err == GM_E_OK)
		gm_wipe(l->store->plain, value.n);
	l->each(l->arg, whole, record->mv_size, err == GM_E_OK);
	return GM_E_OK;
}

static enum gm_err look_on(const struct looking *l, MDB_cursor *cursor, struct gm_bytes after, unsigned most, bool *more)
{
	MDB_val key, record;
	int r = begin(cursor, after, &key, &record);

	for (; r == 0 && most; r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT), most--)
		GM_TRY(look_at(l, &key, &record));
	*more = r == 0;
	return r == 0 || r == MDB_NOTFOUND ? GM_E_OK : GM_E_CORRUPT;
}

enum gm_err gm_store_look(struct gm_store *s, struct gm_bytes after, unsigned most, gm_store_looked each, void *arg, bool *more)
{
	const struct looking l = {s, each, arg};
	enum gm_err err = GM_E_STORE;
	MDB_cursor *cursor;
	MDB_txn *txn;

	*more = false;
	s->failed = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (s->failed)
		return GM_E_STORE;
	if (mdb_cursor_open(txn, s->dbi, &cursor) == 0) {
		err = look_on(&l, cursor, after, most, more);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}
