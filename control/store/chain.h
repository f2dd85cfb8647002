/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log in the LMDB engine. Entries gather in blocks, a block is one sealed record and ends with its turn at the
 * latest. Where the log ends stands in META, in the record with the number of the turn; where it begins, in one of its own.
 *
 * Block: form u8, time of the latest entry i64, then of each entry: length u16, text, hash 32. Its key is the number of
 * its first entry. */
#ifndef GM_CHAIN_H
#define GM_CHAIN_H

#include <lmdb.h>

#include "store/age.h"
#include "store/store.h"

#define GM_CHAIN_BLOCK 1968u /* bytes; sealed, two of them fill a page; what is longer would have pages of its own */
#define GM_CHAIN_LET_GO 64u   /* blocks that go in one turn */
#define GM_CHAIN_MARK (8u + GM_AUDIT_HASH)

struct gm_chain {
	struct gm_audit_ends ends;
	int64_t oldest_s; /* time of the oldest block; INT64_MAX: there is none */
	struct gm_age age;
};
struct gm_chain_writer { /* of one turn */
	struct gm_chain now; /* what becomes the store's with the commit */
	uint64_t first;
	int64_t at_s;
	size_t n; /* 0: no block is begun */
	size_t bytes; /* of blocks that were written */
	uint8_t block[GM_CHAIN_BLOCK];
};

void gm_chain_mark_put(struct gm_out *o, const struct gm_audit_mark *mark);
void gm_chain_mark_take(struct gm_in *in, struct gm_audit_mark *mark);

/* Within a transaction; LMDB's errors. The last of them writes what is begun, and lets old blocks go. */
void gm_chain_begin(struct gm_store *s);
GM_NODISCARD int gm_chain_add(struct gm_store *s, MDB_txn *txn, const struct gm_change *c);
GM_NODISCARD int gm_chain_end(struct gm_store *s, MDB_txn *txn);

#define GM_CHAIN_KEPT "audit-kept" /* in META: the mark of the latest entry that was let go */
#define GM_CHAIN_AGE "audit-age"   /* in META: struct gm_age, so that it is no new step after each start */
void gm_chain_age_take(struct gm_in *in, struct gm_age *age);
/* s->chain has its ends already. CORRUPT: the log does not end there. */
GM_NODISCARD enum gm_err gm_chain_open(struct gm_store *s);

#endif
