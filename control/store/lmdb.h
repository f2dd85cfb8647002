/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the LMDB engine share. */
#ifndef GM_STORE_LMDB_H
#define GM_STORE_LMDB_H

#include <lmdb.h>
#include <stdatomic.h>

#include "store/chain.h"
#include "store/seal.h"
#include "store/store.h"
#include "store/witness.h"

#define GM_PATH 4096u

struct gm_store { /* in pages of its own, locked where allowed and out of core dumps: the key */
	struct gm_seal_key key, old_key; /* old_key: while records are sealed anew */
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn; /* between begin and finish */
	MDB_txn *held; /* what is read is read in it; NULL: as it is at each call */
	size_t map;
	int failed; /* why begin or finish did */
	size_t reserved; /* bytes of the file that have their blocks; SIZE_MAX: this file system does not tell */
	bool low;
	uint64_t low_us; /* when more were asked for */
	uint64_t turn, turn_next;
	uint64_t begin_us, pending_changes, pending_bytes;
	uint8_t *plain; /* what scan unseals into */
	size_t plain_cap;
	int lock;
	int scratch;         /* a file without a name, for copies */
	atomic_bool copying; /* another thread reads the map: it must stay where it is */
	bool recovering;
	uint32_t id; /* drawn when it was made; 0: by an earlier version */
	struct gm_witness witness;
	struct gm_chain chain; /* the audit log, as it is durable */
	struct gm_chain_writer writer;
	int64_t audit_since_s; /* older blocks go; 0: none */
	struct gm_age age;     /* as it is now; chain has what is durable */
	struct gm_store_stats stats;
};

struct gm_db_key {
	uint8_t bytes[1 + GM_KEY_MAX];
	MDB_val val;
};

void gm_db_key(struct gm_db_key *k, uint8_t table, const void *key, size_t n);
struct gm_bytes gm_text_key(const char *text);
GM_NODISCARD int gm_lmdb_put(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name, struct gm_bytes value);
GM_NODISCARD int gm_lmdb_append(struct gm_store *s, MDB_txn *txn, uint8_t table, struct gm_bytes name, struct gm_bytes value); /* behind all there is */
GM_NODISCARD int gm_lmdb_put_turn(struct gm_store *s, MDB_txn *txn, uint64_t turn); /* with the end of the audit log; then gm_chain_end() was */
GM_NODISCARD enum gm_err gm_lmdb_verify(struct gm_store *s, const char *dir, char why[static GM_WHY]); /* reads META */

/* Into s->plain; the caller wipes it. */
GM_NODISCARD enum gm_err gm_lmdb_unseal(struct gm_store *s, const struct gm_seal_key *key, uint8_t table, struct gm_bytes name,
                                        const MDB_val *record, struct gm_bytes *value);

GM_NODISCARD enum gm_err gm_lmdb_try_key(struct gm_store *s); /* does s->key fit? STORE_KEY */
struct gm_store *gm_lmdb_new(void); /* nothing is open yet; gm_store_close() frees it. NULL: no memory */
GM_NODISCARD enum gm_err gm_lmdb_lock(struct gm_store *s, const char *dir, char why[static GM_WHY]);
GM_NODISCARD int gm_lmdb_open(struct gm_store *s, const char *dir, size_t file_bytes);

GM_NODISCARD bool gm_in_dir(char path[static GM_PATH], const char *dir, const char *name); /* false: too long */
uint32_t gm_lmdb_new_id(void);
GM_NODISCARD bool gm_key_file_new(char path[static GM_PATH], const char *key_file); /* where the next key waits; false: too long */
bool gm_path_exists(const char *path);
bool gm_lmdb_sync_parent(const char *path);

#endif
