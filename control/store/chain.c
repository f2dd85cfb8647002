/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chain.h"

#include "gm/crypto.h"
#include "gm/decimal.h"
#include "store/lmdb.h"

#define FORM 1u
#define HEAD (1u + 8u)

void gm_chain_mark_put(struct gm_out *o, const struct gm_audit_mark *mark)
{
	gm_out_be(o, mark->seq, 8);
	gm_out_bytes(o, mark->hash, sizeof(mark->hash));
}

void gm_chain_mark_take(struct gm_in *in, struct gm_audit_mark *mark)
{
	struct gm_bytes hash;

	mark->seq = gm_in_be(in, 8);
	hash = gm_in_take(in, sizeof(mark->hash));
	if (hash.n)
		memcpy(mark->hash, hash.p, sizeof(mark->hash));
}

static void age_put(struct gm_out *o, const struct gm_age *age)
{
	gm_out_be(o, (uint64_t)age->wall_s, 8);
	gm_out_be(o, age->mono_ms, 8);
	gm_out_be(o, (uint64_t)age->since_s, 8);
}

void gm_chain_age_take(struct gm_in *in, struct gm_age *age)
{
	age->wall_s = (int64_t)gm_in_be(in, 8);
	age->mono_ms = gm_in_be(in, 8);
	age->since_s = (int64_t)gm_in_be(in, 8);
}

/* ------------------------------------------------------------------ blocks, read */

struct block {
	struct gm_in in;
	uint64_t next; /* number of the entry that comes next */
	int64_t at_s;
};
struct entry {
	uint64_t seq;
	struct gm_bytes text;
	const uint8_t *hash;
};

static bool is_block(const MDB_val *key)
{
	return key->mv_size == 1 + 8 && *(const uint8_t *)key->mv_data == GM_TABLE_AUDIT;
}

static uint64_t first_of(const MDB_val *key)
{
	struct gm_in in = gm_in((const uint8_t *)key->mv_data + 1, 8);

	return gm_in_be(&in, 8);
}

/* Into s->plain: good until the next one is opened. CORRUPT, NO_MEMORY */
static enum gm_err block_open(struct gm_store *s, struct block *b, const MDB_val *key, const MDB_val *record)
{
	struct gm_bytes name = {.p = (const uint8_t *)key->mv_data + 1, .n = key->mv_size - 1}, value;
	enum gm_err err = gm_lmdb_unseal(s, &s->key, GM_TABLE_AUDIT, name, record, &value);

	if (err != GM_E_OK)
		return err == GM_E_NO_MEMORY ? err : GM_E_CORRUPT;
	b->in = gm_in_bytes(value);
	b->next = first_of(key);
	uint8_t form = gm_in_u8(&b->in);
	b->at_s = (int64_t)gm_in_be(&b->in, 8);
	return form == FORM && b->in.err == GM_E_OK && gm_in_left(&b->in) ? GM_E_OK : GM_E_CORRUPT;
}

/* false: it was the last one, or cannot be read: in.err */
static bool block_next(struct block *b, struct entry *e)
{
	if (gm_in_left(&b->in) == 0)
		return false;
	e->seq = b->next++;
	e->text = gm_in_take(&b->in, gm_in_u16_be(&b->in));
	e->hash = gm_in_take(&b->in, GM_AUDIT_HASH).p;
	return b->in.err == GM_E_OK;
}

static bool block_last(struct block *b, struct gm_audit_mark *mark)
{
	struct entry e;

	while (block_next(b, &e)) {
		mark->seq = e.seq;
		memcpy(mark->hash, gm_there(e.hash), sizeof(mark->hash));
	}
	return b->in.err == GM_E_OK;
}

/* ------------------------------------------------------------------ writing */

static struct gm_bytes number(uint8_t be[static 8], uint64_t seq)
{
	struct gm_out o = gm_out(be, 8);

	gm_out_be(&o, seq, 8);
	return gm_out_result(&o);
}

void gm_chain_begin(struct gm_store *s)
{
	s->writer.now = s->chain;
	s->writer.n = s->writer.bytes = 0;
}

static int flush(struct gm_store *s, MDB_txn *txn)
{
	struct gm_chain_writer *w = &s->writer;
	struct gm_out head = gm_out(w->block, HEAD);
	uint8_t be[8];

	if (!w->n)
		return 0;
	gm_out_u8(&head, FORM);
	gm_out_be(&head, (uint64_t)w->at_s, 8);
	if (w->now.oldest_s == INT64_MAX)
		w->now.oldest_s = w->at_s;
	struct gm_bytes value = {.p = w->block, .n = w->n};
	w->bytes += w->n + GM_SEAL_EXTRA;
	w->n = 0;
	return gm_lmdb_append(s, txn, GM_TABLE_AUDIT, number(be, w->first), value);
}

int gm_chain_add(struct gm_store *s, MDB_txn *txn, const struct gm_change *c)
{
	struct gm_chain_writer *w = &s->writer;
	struct gm_audit_mark *head = &w->now.ends.head;
	uint8_t bytes[GM_AUDIT_HASH + 32 + GM_AUDIT_MAX];
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	struct gm_in at = gm_in(c->bytes, c->key_n);

	gm_out_bytes(&o, head->hash, sizeof(head->hash));
	gm_out_bytes(&o, "{\"seq\":", 7);
	gm_out_decimal(&o, ++head->seq);
	gm_out_u8(&o, ',');
	gm_out_bytes(&o, c->bytes + c->key_n, c->value_n);
	w->at_s = (int64_t)gm_in_be(&at, 8);
	if (o.err != GM_E_OK || at.err != GM_E_OK || c->value_n > GM_AUDIT_MAX || c->remove)
		return MDB_BAD_VALSIZE; /* such an entry is not made */
	gm_sha256(head->hash, bytes, gm_out_len(&o));
	const size_t text_n = gm_out_len(&o) - GM_AUDIT_HASH, need = 2 + text_n + GM_AUDIT_HASH;
	int r = w->n + need > sizeof(w->block) ? flush(s, txn) : 0;
	if (!w->n) {
		w->n = HEAD;
		w->first = head->seq;
	}
	struct gm_out to = gm_out(w->block + w->n, sizeof(w->block) - w->n);
	gm_out_be(&to, text_n, 2);
	gm_out_bytes(&to, bytes + GM_AUDIT_HASH, text_n);
	gm_out_bytes(&to, head->hash, sizeof(head->hash));
	w->n += need;
	return r;
}
_Static_assert(HEAD + 2 + 32 + GM_AUDIT_MAX + GM_AUDIT_HASH <= GM_CHAIN_BLOCK, "the longest entry finds room in a block of its own");

/* Where the disk has no room the log does not grow: what a turn adds takes the place of the oldest, however young. */
static bool makes_room(const struct gm_store *s, size_t gone)
{
	return s->low && gone < s->writer.bytes;
}

/* The oldest blocks, as long as they are too old, or their room is needed by this turn's, which stay. One that does not open stays, and those behind it: it is gm_store_audit() that tells. */
static int let_go(struct gm_store *s, MDB_txn *txn, MDB_cursor *cursor)
{
	struct gm_chain *now = &s->writer.now;
	uint8_t table = GM_TABLE_AUDIT, mark[GM_CHAIN_MARK];
	struct gm_out o = gm_out(mark, sizeof(mark));
	MDB_val key = {.mv_data = &table, .mv_size = 1}, record;
	struct block b;
	size_t gone = 0;
	int r = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE);

	for (unsigned n = 0; r == 0 && (n < GM_CHAIN_LET_GO || makes_room(s, gone)); n++) {
		struct gm_audit_mark last = {0};
		bool good = is_block(&key) && block_open(s, &b, &key, &record) == GM_E_OK;
		now->oldest_s = good ? b.at_s : INT64_MAX;
		if (!good || (b.at_s >= s->audit_since_s && !makes_room(s, gone)) || !block_last(&b, &last))
			break;
		if (b.at_s >= s->audit_since_s && last.seq > s->chain.ends.head.seq)
			break;
		now->ends.kept = last;
		gone += record.mv_size;
		r = mdb_cursor_del(cursor, 0);
		if (r == 0)
			r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT);
		if (r == MDB_NOTFOUND)
			now->oldest_s = INT64_MAX;
	}
	gm_chain_mark_put(&o, &now->ends.kept);
	return r == 0 || r == MDB_NOTFOUND ? gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key(GM_CHAIN_KEPT), gm_out_result(&o)) : r;
}

/* Once an hour: with a turn that is written anyway. */
static int keep_age(struct gm_store *s, MDB_txn *txn)
{
	uint8_t value[24];
	struct gm_out o = gm_out(value, sizeof(value));

	if (memcmp(&s->age, &s->writer.now.age, sizeof(s->age)) == 0)
		return 0;
	s->writer.now.age = s->age;
	age_put(&o, &s->age);
	return gm_lmdb_put(s, txn, GM_TABLE_META, gm_text_key(GM_CHAIN_AGE), gm_out_result(&o));
}

int gm_chain_end(struct gm_store *s, MDB_txn *txn)
{
	MDB_cursor *cursor;
	int r = flush(s, txn);

	if (r == 0)
		r = keep_age(s, txn);
	if (r != 0 || (s->writer.now.oldest_s >= s->audit_since_s && !makes_room(s, 0)))
		return r;
	r = mdb_cursor_open(txn, s->dbi, &cursor);
	if (r != 0)
		return r;
	r = let_go(s, txn, cursor);
	mdb_cursor_close(cursor);
	return r;
}

int64_t gm_store_audit_oldest(const struct gm_store *s)
{
	return s ? s->chain.oldest_s : INT64_MAX;
}

struct gm_age *gm_store_audit_age(struct gm_store *s)
{
	return &s->age;
}

void gm_store_audit_keep(struct gm_store *s, int64_t since_s)
{
	s->audit_since_s = since_s;
}

/* ------------------------------------------------------------------ reading */

/* On the block that has entry `from`, else on the one behind it. */
static int seek(MDB_cursor *cursor, uint64_t from, MDB_val *key, MDB_val *record)
{
	struct gm_db_key wanted;
	uint8_t be[8];

	gm_db_key(&wanted, GM_TABLE_AUDIT, number(be, from).p, 8);
	*key = wanted.val;
	int r = mdb_cursor_get(cursor, key, record, MDB_SET_RANGE);
	if (r == 0 && is_block(key) && first_of(key) == from)
		return 0;
	MDB_val before_key, before;
	int back = mdb_cursor_get(cursor, &before_key, &before, r == 0 ? MDB_PREV : MDB_LAST);
	if (back == 0 && is_block(&before_key)) {
		*key = before_key;
		*record = before;
		return 0;
	}
	return r == 0 && back == 0 ? mdb_cursor_get(cursor, key, record, MDB_NEXT) : r;
}

/* false: enough, or *err */
static bool read_block(struct gm_store *s, const MDB_val *key, const MDB_val *record, uint64_t *at, gm_audit_each each, void *arg,
                       enum gm_err *err)
{
	struct block b;
	struct entry e;

	*err = !is_block(key) || first_of(key) > *at ? GM_E_CORRUPT : block_open(s, &b, key, record);
	if (*err != GM_E_OK)
		return false;
	while (block_next(&b, &e)) {
		if (e.seq < *at)
			continue;
		*at = e.seq;
		if (!each(arg, e.seq, e.text, e.hash))
			return false;
		++*at;
	}
	*err = b.in.err == GM_E_OK ? GM_E_OK : GM_E_CORRUPT;
	return *err == GM_E_OK;
}

static enum gm_err read_blocks(struct gm_store *s, MDB_cursor *cursor, uint64_t *at, gm_audit_each each, void *arg)
{
	MDB_val key, record;
	enum gm_err err = GM_E_OK;
	int r = seek(cursor, *at, &key, &record);

	for (; r == 0 && *at <= s->chain.ends.head.seq; r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT))
		if (!read_block(s, &key, &record, at, each, arg, &err))
			return err;
	return *at == s->chain.ends.head.seq + 1 ? GM_E_OK : GM_E_CORRUPT;
}

enum gm_err gm_store_audit(struct gm_store *s, uint64_t from, uint64_t *at, gm_audit_each each, void *arg)
{
	enum gm_err err = GM_E_STORE;
	struct gm_audit_ends ends;
	MDB_cursor *cursor;
	MDB_txn *txn;

	gm_store_audit_ends(s, &ends);
	*at = from > ends.kept.seq ? from : ends.kept.seq + 1;
	if (*at > ends.head.seq)
		return GM_E_OK;
	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
		return GM_E_STORE;
	if (mdb_cursor_open(txn, s->dbi, &cursor) == 0) {
		err = read_blocks(s, cursor, at, each, arg);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}

void gm_store_audit_ends(const struct gm_store *s, struct gm_audit_ends *ends)
{
	*ends = s ? s->chain.ends : (struct gm_audit_ends){0};
}

/* ------------------------------------------------------------------ opening */

static bool same(const struct gm_audit_mark *a, const struct gm_audit_mark *b)
{
	return a->seq == b->seq && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static enum gm_err check_end(struct gm_store *s, MDB_cursor *cursor)
{
	struct gm_audit_mark last = s->chain.ends.kept;
	MDB_val key, record;
	struct block b;
	int r = mdb_cursor_get(cursor, &key, &record, MDB_LAST);

	if (r == 0 && is_block(&key) && (block_open(s, &b, &key, &record) != GM_E_OK || !block_last(&b, &last)))
		return GM_E_CORRUPT;
	return same(&last, &s->chain.ends.head) ? GM_E_OK : GM_E_CORRUPT;
}

static void find_oldest(struct gm_store *s, MDB_cursor *cursor)
{
	uint8_t table = GM_TABLE_AUDIT;
	MDB_val key = {.mv_data = &table, .mv_size = 1}, record;
	struct block b;

	s->chain.oldest_s = INT64_MAX;
	if (mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE) == 0 && is_block(&key) && block_open(s, &b, &key, &record) == GM_E_OK)
		s->chain.oldest_s = b.at_s;
}

enum gm_err gm_chain_open(struct gm_store *s)
{
	enum gm_err err = GM_E_STORE;
	MDB_cursor *cursor;
	MDB_txn *txn;

	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
		return GM_E_STORE;
	if (mdb_cursor_open(txn, s->dbi, &cursor) == 0) {
		err = check_end(s, cursor);
		find_oldest(s, cursor);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}
