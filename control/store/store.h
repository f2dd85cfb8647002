/* SPDX-License-Identifier: Apache-2.0 */
/* What control/ remembers: tables of sealed records, changed once per turn with one durable write.
 *
 * Changes are (table, key, value), gathered by core in a struct gm_changes; each names its owner. A commit is begin and
 * finish, so that the next turn could gather while this one becomes durable; today a turn calls one behind the other
 * (turns.c). One thread uses a store, but for gm_store_copy().
 *
 * There is one engine, LMDB (lmdb.c): all tables in one file, which a lock keeps for one process. It does not look at owners,
 * and answers finish with DONE or FAILED alone. Owners, FENCED and UNKNOWN are kept for an engine that several processes
 * share over a network, such as PostgreSQL; only the simulation (tests/sim) answers with them.
 */
#ifndef GM_STORE_H
#define GM_STORE_H

#include "gm/buf.h"

enum gm_table {
	GM_TABLE_META,   /* key: text. format version, turn number, clock, shard count */
	GM_TABLE_AS,     /* key: as id u32; and a zero byte, of one that was removed: by what it is known again */
	GM_TABLE_GROUP,  /* key: index u32. Parameters, version, Gid, secrets, stale sets */
	GM_TABLE_MEMBER, /* key: group u32, slot u32 */
	GM_TABLE_CTX,    /* key: shard u8, slot u16. Context and its token */
	GM_TABLE_BAR,    /* key: hash of (AS, proof-of-possession key), hash of the group's name */
	GM_TABLE_LEASE,  /* key: shard u8 */
	GM_TABLE_SEEN,   /* key: as id u32. Highest exi sequence number that has ended */
	GM_TABLE_REVOKED, /* key: hash of a token, id u32 of the AS that has revoked it; of the operator none */
	GM_TABLE_DEVICE, /* key: as id u32 and osc id, or zero and a credential's hash. What people call it, where it is expected */
	GM_TABLE_SCHEDULE, /* key: name. When groups are rekeyed, and how far the latest window is */
	GM_TABLE_N,
	GM_TABLE_AUDIT = 255 /* behind all others, so that entries are appended. A change of it is an entry: key: its time, epoch seconds i64; value:
	                        its text, from behind the sequence number on. It is not loaded: gm_store_audit() */
};
#define GM_AUDIT_MAX 1536u /* bytes of such a value */
#define GM_KEY_MAX 48u /* all keys big endian, so that their order is the slots' order */

/* Owners: which process may change a record, where several share a store: what belongs to a group, to a shard of contexts,
 * or to neither. Written into every change; reserved: the engine there is has a single process and does not read them. */
#define GM_OWNER_SITE 0u
#define GM_OWNER_GROUP(index) (0x40000000u | (index))
#define GM_OWNER_SHARD(shard) (0x80000000u | (shard))

struct gm_change { /* followed by key and value; 8-byte aligned */
	uint32_t owner;
	uint8_t table, key_n;
	uint8_t remove;
	uint8_t superseded; /* a later change of this turn is of the same key */
	uint32_t value_n;
	uint8_t bytes[]; /* key, then value */
};

#define GM_CHANGES_LATEST 256u

struct gm_changes { /* grows as needed, reset per turn. Later changes of a key win, and mostly are all that is left of it */
	uint8_t *bytes;
	size_t n, cap;
	unsigned count;
	uint32_t latest[GM_CHANGES_LATEST]; /* by a hash of the key: 1 + an eighth of the place of the last change; 0: none */
};
void gm_changes_put(struct gm_changes *c, uint32_t owner, enum gm_table table, const void *key, size_t key_n,
                    const void *value, size_t value_n);
void gm_changes_remove(struct gm_changes *c, uint32_t owner, enum gm_table table, const void *key, size_t key_n);
const struct gm_change *gm_changes_next(const struct gm_changes *c, const struct gm_change *at); /* NULL: first / end */
void gm_changes_reset(struct gm_changes *c); /* wipes: values are secret */
void gm_changes_free(struct gm_changes *c);

/* After all but DONE the process ends, its effects unsent, and the next one starts from what is stored. */
enum gm_commit_result {
	GM_COMMIT_DONE,    /* the turn is durable */
	GM_COMMIT_FENCED,  /* reserved: another process is master of an owner; nothing is stored */
	GM_COMMIT_UNKNOWN, /* reserved: stored or not, the answer was lost; whoever opens the store next finds out */
	GM_COMMIT_FAILED,  /* the engine could not write it; gm_store_why() */
};

struct gm_store;
struct gm_age;

/* Make a new store in dir (created 0700) and its key file (created 0600, 32 random bytes in hex).
 * EXISTS: either is there already; nothing is changed. IO. why: names the path */
GM_NODISCARD enum gm_err gm_store_init(const char *dir, const char *key_file, char why[static GM_WHY]);

struct gm_store_stats {
	uint64_t commits, changes, bytes;
	uint64_t commit_us_last, commit_us_max;
	uint64_t map_bytes, used_bytes;
};

/* Open an existing store. UNKNOWN: no store there; STORE_KEY: the key file is missing, readable by others or of another
 * store; STORE_VERSION; CORRUPT; IO. `why` gets a sentence for the operator. A second process gets BUSY. */
GM_NODISCARD enum gm_err gm_store_open(struct gm_store **store, const char *dir, const char *key_file,
                                       char why[static GM_WHY]);
/* Are a store and a key of its form there? Neither is opened or locked, and a gmd may run on them. UNKNOWN, STORE_KEY, IO as above */
GM_NODISCARD enum gm_err gm_store_check(const char *dir, const char *key_file, char why[static GM_WHY]);
/* The same as gm_store_open() while another process still writes to it: this one may read alone, and reads anew with gm_store_again() what the other has
 * committed since, until gm_store_lock() says that the other one is gone. IO, CORRUPT; BUSY: it is not. */
GM_NODISCARD enum gm_err gm_store_open_beside(struct gm_store **store, const char *dir, const char *key_file,
                                              char why[static GM_WHY]);
GM_NODISCARD enum gm_err gm_store_again(struct gm_store *store, const char *dir, char why[static GM_WHY]);
GM_NODISCARD enum gm_err gm_store_lock(struct gm_store *store, const char *dir, char why[static GM_WHY]);
uint32_t gm_store_id(const struct gm_store *store); /* of this store and no other */
void gm_store_close(struct gm_store *store);

/* Every record of a table in key order, unsealed; value is good inside the call only. Stops at the first failure of
 * each(). CORRUPT where a seal does not open: nothing is skipped silently. */
typedef enum gm_err (*gm_store_each)(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value);
GM_NODISCARD enum gm_err gm_store_scan(struct gm_store *store, enum gm_table table, gm_store_each each, void *arg);
/* Those whose keys begin with these bytes; the one with this key, if it is there. */
GM_NODISCARD enum gm_err gm_store_under(struct gm_store *store, enum gm_table table, struct gm_bytes begin, gm_store_each each, void *arg);
GM_NODISCARD enum gm_err gm_store_get(struct gm_store *store, enum gm_table table, struct gm_bytes key, gm_store_each each, void *arg);
/* Till it is let go, these three read the store as it is now, after that turn, whatever is written meanwhile. Not for long: what is replaced
 * keeps its place in the file; and nothing else may be read or written by the one who holds it. */
GM_NODISCARD enum gm_err gm_store_hold(struct gm_store *store, uint64_t *turn);
void gm_store_let_go(struct gm_store *store);
/* Pages that were read go from this process; they would take their time when it ends. Nothing is under way. STORE: no use any more */
GM_NODISCARD enum gm_err gm_store_unmap(struct gm_store *store);
/* Whether each record opens: `most` of those behind the one with key `after` (n 0: from the first on), audit log and all. A key is the table's
 * number and the record's own key. *more: there are others behind the last. CORRUPT: what lies behind the last cannot be read at all. */
#define GM_STORE_KEY_MAX (1u + GM_KEY_MAX)
typedef void (*gm_store_looked)(void *arg, struct gm_bytes key, size_t size, bool opens);
GM_NODISCARD enum gm_err gm_store_look(struct gm_store *store, struct gm_bytes after, unsigned most, gm_store_looked each, void *arg,
                                       bool *more);

/* Write all changes and the turn number in one transaction, durable when finish returns DONE. turn is larger than
 * gm_store_turn(). begin: STORE: nothing is written, and finish is not called. */
GM_NODISCARD enum gm_err gm_store_begin(struct gm_store *store, const struct gm_changes *changes, uint64_t turn);
GM_NODISCARD enum gm_commit_result gm_store_finish(struct gm_store *store);
const char *gm_store_why(const struct gm_store *store); /* begin or finish failed */
uint64_t gm_store_turn(struct gm_store *store); /* the last durable turn */
/* The disk has no room left but what the store has kept back for itself, so that turns which add little still have a place: nothing more may be
 * added. Tries for more room once a second. NULL: false. */
bool gm_store_low(struct gm_store *store);
void gm_store_stats(struct gm_store *store, struct gm_store_stats *stats);

/* ---- the audit log: a chain of entries, each hashed with the hash of the one before:
 *        SHA-256(hash before | text), and before the first are 32 zero bytes                     see README.md */
#define GM_AUDIT_HASH 32u
struct gm_audit_mark {
	uint64_t seq;
	uint8_t hash[GM_AUDIT_HASH];
};
struct gm_audit_ends {
	struct gm_audit_mark head, kept; /* the latest entry; the latest of those that were let go. 0: none */
};
/* store NULL, here and below: there are no entries */
void gm_store_audit_ends(const struct gm_store *store, struct gm_audit_ends *ends);
/* Entries from number `from` on, in order, as each() wants them; text and hash are good inside the call only. CORRUPT: what has
 * to be entry *at does not open, or is not there. */
typedef bool (*gm_audit_each)(void *arg, uint64_t seq, struct gm_bytes text, const uint8_t hash[static GM_AUDIT_HASH]);
GM_NODISCARD enum gm_err gm_store_audit(struct gm_store *store, uint64_t from, uint64_t *at, gm_audit_each each, void *arg);
/* Entries that are older are let go from now on, some with each turn; 0: none. While the disk is full the oldest make room for new ones. */
void gm_store_audit_keep(struct gm_store *store, int64_t since_s);
/* By what clock that is, see age.h: whoever changes it finds it after a start, once a turn was committed. */
struct gm_age *gm_store_audit_age(struct gm_store *store);
int64_t gm_store_audit_oldest(const struct gm_store *store); /* about when the oldest that is kept was made; INT64_MAX: there is none */

/* ---- copies, and stores that went back in time */

/* The whole store as it is at one moment, records sealed as they are, into fd; a data.mdb. Any thread, one at a time, while
 * others work with the store; it lies in a file of ours until fd has taken it. IO, also where the reader of fd has gone or is
 * too slow for its timeout. */
GM_NODISCARD enum gm_err gm_store_copy(struct gm_store *store, int fd);

/* From now on `file` names the last turn; it is made where there is none. STORE_OLD: it names a later turn than the store
 * has, or another store, or a recovery was begun and has not ended. IO; CORRUPT. */
GM_NODISCARD enum gm_err gm_store_watch(struct gm_store *store, const char *file, char why[static GM_WHY]);

/* First step of a recovery: notes that there is one, takes `file` as it is and away all memberships and contexts. The
 * changes that end it take away GM_STORE_RECOVERING from META, with a turn later than gm_store_turn(). */
GM_NODISCARD enum gm_err gm_store_recover(struct gm_store *store, const char *file, char why[static GM_WHY]);
#define GM_STORE_RECOVERING "recovering"
unsigned gm_store_recoveries(const struct gm_store *store); /* that file knows of, this one included */

/* Every record sealed anew under the key in new_file, which is made where there is none; then new_file becomes key_file.
 * What was interrupted is taken up again by the next call, and until then the store does not open. entries: for the audit log,
 * written when all is done; NULL: none. */
GM_NODISCARD enum gm_err gm_store_rotate(const char *dir, const char *key_file, const struct gm_changes *entries, char why[static GM_WHY]);

#endif
