/* SPDX-License-Identifier: Apache-2.0 */
/* Does to the audit log of a store that no gmd runs on what must be noticed:
 *
 *   audit_forge DIR KEY flip N     a byte of the record that has entry N, as who has the file can
 *   audit_forge DIR KEY text N     another event in entry N, sealed with the store's key; its hash stays
 *   audit_forge DIR KEY anew N     the same, and all hashes from there on computed anew
 *   audit_forge DIR KEY cut N      no entries from the record with entry N on
 */
#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "store/lmdb.h"

#define HEAD 9u /* of a block: form and time */

struct work {
	struct gm_store *store;
	MDB_txn *txn;
	uint64_t n;
	bool flip, text, anew, cut;
	bool changed;
	uint8_t hash[GM_AUDIT_HASH];
};

static uint64_t first_of(const MDB_val *key)
{
	struct gm_in in = gm_in((const uint8_t *)key->mv_data + 1, 8);

	return gm_in_be(&in, 8);
}

/* "event":"joined" becomes "event":"Joined". */
static void change(struct work *w, uint8_t *text, size_t n)
{
	uint8_t *at = memmem(text, n, "\"event\":\"", 9);

	if (at)
		at[9] ^= 0x20;
	w->changed = true;
}

static void rewrite(struct work *w, uint64_t seq, uint8_t *block, size_t n)
{
	uint8_t bytes[GM_AUDIT_HASH + 2048];

	for (size_t at = HEAD; at + 2 <= n; seq++) {
		size_t len = (size_t)block[at] << 8 | block[at + 1];
		uint8_t *text = block + at + 2, *hash = text + len;
		if (seq == w->n)
			change(w, text, len);
		memcpy(bytes, w->hash, sizeof(w->hash));
		memcpy(bytes + sizeof(w->hash), text, len);
		if (w->anew)
			gm_sha256(hash, bytes, sizeof(w->hash) + len);
		memcpy(w->hash, hash, sizeof(w->hash));
		at += 2 + len + GM_AUDIT_HASH;
	}
}

static int visit(struct work *w, MDB_cursor *cursor, MDB_val *key, MDB_val *record)
{
	struct gm_store *s = w->store;
	uint64_t first = first_of(key);
	struct gm_bytes name = {(uint8_t *)key->mv_data + 1, 8}, value;
	uint8_t bytes[4096];

	if (w->cut)
		return first >= w->n ? mdb_cursor_del(cursor, 0) : 0;
	if (record->mv_size > sizeof(bytes) || gm_lmdb_unseal(s, &s->key, GM_TABLE_AUDIT, name, record, &value) != GM_E_OK)
		return MDB_CORRUPTED;
	bool here = first <= w->n && w->n <= s->chain.ends.head.seq;
	rewrite(w, first, s->plain, value.n);
	if (w->flip && w->changed && here) {
		memcpy(bytes, record->mv_data, record->mv_size);
		bytes[record->mv_size - 20] ^= 1;
		w->changed = false;
	} else {
		gm_seal(&s->key, GM_TABLE_AUDIT, name, value, bytes);
	}
	MDB_val other = {.mv_data = bytes, .mv_size = record->mv_size};
	return mdb_cursor_put(cursor, key, &other, MDB_CURRENT);
}

static int run(struct work *w)
{
	uint8_t table = GM_TABLE_AUDIT;
	MDB_val key = {.mv_data = &table, .mv_size = 1}, record;
	MDB_cursor *cursor;
	int r = mdb_txn_begin(w->store->env, NULL, 0, &w->txn);

	memcpy(w->hash, w->store->chain.ends.kept.hash, sizeof(w->hash));
	if (r != 0 || mdb_cursor_open(w->txn, w->store->dbi, &cursor) != 0)
		return 1;
	for (r = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE); r == 0; r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT)) {
		r = visit(w, cursor, &key, &record);
		if (r != 0)
			break;
	}
	mdb_cursor_close(cursor);
	if (w->anew) { /* who has the key writes the head, too */
		w->store->writer.now = w->store->chain;
		memcpy(w->store->writer.now.ends.head.hash, w->hash, sizeof(w->hash));
		if (gm_lmdb_put_turn(w->store, w->txn, w->store->turn) != 0)
			return 1;
	}
	return r == MDB_NOTFOUND ? mdb_txn_commit(w->txn) : 1;
}

int main(int argc, char **argv)
{
	char why[GM_WHY] = "";
	struct work w = {0};

	if (argc != 5 || !gm_crypto_init())
		return 2;
	w.flip = strcmp(argv[3], "flip") == 0;
	w.text = strcmp(argv[3], "text") == 0;
	w.anew = strcmp(argv[3], "anew") == 0;
	w.cut = strcmp(argv[3], "cut") == 0;
	w.n = strtoull(argv[4], NULL, 10);
	if (gm_store_open(&w.store, argv[1], argv[2], why) != GM_E_OK) {
		fprintf(stderr, "audit_forge: %s\n", why);
		return 1;
	}
	int status = run(&w);
	gm_store_close(w.store);
	return status != 0;
}
