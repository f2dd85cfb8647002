/* SPDX-License-Identifier: Apache-2.0 */
/* The Group Manager's decisions: a pure function from (state, event) to (changes, effects).
 *
 * One thread. No I/O, no clock, no dice of its own: both come in struct gm_txn, so that a recorded run replays. Changes
 * go to the store, effects to the workers after the store has them. State in memory moves at once; if the commit fails
 * the process ends and starts from the store. Where there is no memory the process ends, too (gm_out_of_memory()): no call but
 * gm_core_new() answers so. Texts and bytes that are handed in are copied. After a failure nothing has changed, unless said otherwise.
 */
#ifndef GM_CORE_H
#define GM_CORE_H

#include "gm/dp.h"
#include "store/changed.h"
#include "store/store.h"
#include "wire/admin.h"
#include "wire/cose.h"
#include "wire/groupcomm.h"

struct gm_core;

#define GM_EFFECTS_ALL GM_WORKERS_MAX /* in place of a worker: gm_dp_roster() takes them, before the workers get theirs */
struct gm_effects { /* records for each worker, appended; grows, reset per turn, wiped */
	struct gm_effect_buf {
		uint8_t *bytes;
		size_t n, cap, last; /* last: where the record added last begins */
	} to[GM_WORKERS_MAX + 1];
	unsigned workers;
};
/* A zeroed record of size bytes in the buffer of worker, type and len set; good until the next call. */
void *gm_effects_add(struct gm_effects *e, unsigned worker, enum gm_eff type, size_t size);
/* Append n bytes to the record added last for worker and return their slice. Invalidates the record pointer. */
struct gm_slice gm_effects_append(struct gm_effects *e, unsigned worker, const void *p, size_t n);
void *gm_effects_last(struct gm_effects *e, unsigned worker); /* that record, again */
void gm_effects_reset(struct gm_effects *e);
void gm_effects_free(struct gm_effects *e);

enum gm_by_kind { GM_BY_GMD, GM_BY_USER, GM_BY_DEVICE, GM_BY_AS }; /* GMD: its timers, its start, a signal */
struct gm_by { /* who is behind it, for the audit log; made by audit.h */
	enum gm_by_kind kind;
	uint32_t id; /* of the user, or of the authorization server */
	int32_t pid;       /* of a user's process */
	const char *level; /* of a user: gm_ctl_level_text(), static */
	uint8_t osc_id_n, osc_id[32];
};

struct gm_txn {         /* one event's or command's surroundings */
	int64_t wall_s; /* epoch seconds */
	int32_t utc_offset_s; /* of the local clock at that time, east positive: schedules go by it */
	uint64_t mono_ms;    /* monotonic, from any start */
	uint8_t dice[32];   /* seed, fresh per event; secret: the caller wipes it */
	uint32_t dice_used; /* draws made of it */
	bool disk_low;      /* nothing may be added: no tokens, Joins, groups, Authorization Servers */
	struct gm_by by;    /* all zeros: gmd itself; of a device: core sets it */
	uint32_t entries;   /* of the audit log, made so far */
	struct gm_changes *changes;
	struct gm_effects *effects;
};

enum gm_backward { GM_BACKWARD_OFF, GM_BACKWARD_WINDOW, GM_BACKWARD_EACH };

struct gm_core_config {
	unsigned workers;
	unsigned contexts_max, members_max, groups_max; /* bounds; beyond: FULL, 5.03 */
	unsigned pending_per_token, pending_s;          /* contexts that no request came under yet: of one token, and for so long. 4 and 60 */
	uint32_t rekey_window_ms, rekey_deadline_ms;    /* after the latest change, and after the first, that new keys wait for others. 1,000 and 5,000 */
	uint32_t distribution_max_ms;                   /* so long a distribution keeps the next one waiting. 30,000 */
	bool rekey_at_start;                            /* each group that has members, after gm_core_loaded() */
	uint32_t changes_per_minute;                    /* joins, leaves, renewals, other tokens of one client; 0: no limit */
	char audience[128];
	char uri[128]; /* "coap://" and authority, for URIs told to administrators; empty: paths */
	void (*log)(const char *line); /* one line per decision, logfmt, no secrets; NULL: silent */
};

/* The most members that get Sender IDs of one byte, and of two; beyond, of three. Fewer than there are such IDs, as those given up rest. */
#define GM_MEMBERS_SID_1 100u
#define GM_MEMBERS_SID_2 40000u
struct gm_group_spec { /* what an operator names at creation */
	char name[GM_GROUP_NAME_MAX + 1];
	struct gm_group_params params;
	unsigned max_members;    /* decides the length of Sender IDs: KG §6.3; default GM_MEMBERS_SID_2 */
	unsigned max_stale_sets; /* default 16 */
	enum gm_backward backward;
	uint32_t rekey_every_s;  /* schedule, at least 10; 0: none */
	uint32_t key_lifetime_s; /* exp of the keying material, at least 60; renewed by rekey before it ends */
	bool active;
};
struct gm_group_spec gm_group_spec_default(void);
bool gm_groups_name_usable(const char *name); /* as a segment of a path */
#define GM_GROUP_NAME_RULE "a name has 1 to 64 letters, digits and -._~!$&'()*+,;=:@, and is neither . nor .."
_Static_assert(GM_GROUP_NAME_MAX == 64, "as the rule says");
/* Bytes of the Sender IDs of a group for so many members. KG §6.3 */
uint8_t gm_core_sid_len(unsigned max_members);

struct gm_core *gm_core_new(const struct gm_core_config *config); /* NULL: out of memory */
void gm_core_free(struct gm_core *core);                         /* wipes */
struct gm_words *gm_core_words(const struct gm_core *core); /* where credentials lie, for gm_dp_roster() */

const struct gm_core_config *gm_core_settings(const struct gm_core *core);
struct gm_core_live { /* those settings that may change while it runs; they count from the next event on */
	unsigned members_max, groups_max;
	uint32_t rekey_window_ms, rekey_deadline_ms, changes_per_minute;
};
void gm_core_set(struct gm_core *core, const struct gm_core_live *live);

/* At start: one call per stored record, tables in enum order, then loaded() once; it puts the whole state into effects.
 * CORRUPT: the record cannot be. */
GM_NODISCARD enum gm_err gm_core_load(struct gm_core *core, enum gm_table table, struct gm_bytes key,
                                      struct gm_bytes value);
/* Hands state down in portions: true while more is to come (publish effects between calls). With the last one, which has
 * leases and GM_EFF_READY alone, workers begin to serve: it has to be committed first. */
GM_NODISCARD bool gm_core_loaded(struct gm_core *core, struct gm_txn *txn);

/* While another process still changes the store: as gm_core_loaded(), as far as nothing has to be stored for that. Behind it
 * what has changed since the records were read is loaded again, as often as need be, and gm_core_loaded() does the rest. */
GM_NODISCARD bool gm_core_loaded_ahead(struct gm_core *core, struct gm_txn *txn);
/* keys: sorted, each once; of all records that were put or removed since. fetch: calls each() for the record with this key, if it is there,
 * or for all with keys that begin so. After a failure core is good for nothing; CORRUPT: what is there cannot be, or does not fit the rest. */
typedef enum gm_err (*gm_core_fetch)(void *arg, enum gm_table table, struct gm_bytes key, bool all_under, gm_store_each each, void *to);
GM_NODISCARD enum gm_err gm_core_reload(struct gm_core *core, struct gm_txn *txn, const struct gm_changed_key *keys, size_t n,
                                        gm_core_fetch fetch, void *arg);

/* After a store went back in time, with contexts and memberships away (gm_store_recover()), and nothing loaded but the
 * tables before GM_TABLE_MEMBER: each group gets new keys under a version and a Gid epoch that lie `times` GM_RECOVER_LEAP
 * and a bit above what the store knew, so that nothing used since is used again, and members take what comes as newer. times: which
 * recovery this is, from 1. How many groups. */
unsigned gm_core_recover(struct gm_core *core, struct gm_txn *txn, unsigned times);
#define GM_RECOVER_LEAP 131072u /* half of it is left to chance */

/* One checked event. Never fails: what is wrong becomes an answer. */
void gm_core_apply(struct gm_core *core, struct gm_txn *txn, const struct gm_rec *event);
/* Time has passed: windows, deadlines, expiries, schedules. Call each turn. */
void gm_core_tick(struct gm_core *core, struct gm_txn *txn);
/* Milliseconds from txn's mono_ms until tick has something to do; UINT64_MAX: nothing. */
uint64_t gm_core_next_ms(const struct gm_core *core, uint64_t mono_ms, int64_t wall_s);

/* Whoever core keeps waiting is told to come again, with 5.03: the process ends, or somebody else goes on. */
void gm_core_release(struct gm_core *core, struct gm_txn *txn);
/* What is only counted so far goes into the audit log: the process ends. */
void gm_core_ending(struct gm_core *core, struct gm_txn *txn);
/* Nobody new: tokens and Joins get 5.03 until it is off again, reads are served, rekeys go on; schedules begin none. */
void gm_core_drain(struct gm_core *core, bool on);
bool gm_core_drains(const struct gm_core *core);

/* ---- operator's commands; effects and answers count only after the commit */
/* A new group with its keys. EXISTS: one has the name; USAGE: a name or setting that cannot be; FULL: groups_max; DISK_FULL: nothing
 * may be added; RANGE, ROOM: no credential of ours can be made in its form */
GM_NODISCARD enum gm_err gm_core_group_create(struct gm_core *core, struct gm_txn *txn,
                                              const struct gm_group_spec *spec);
struct gm_group_keys { /* secret: our own of a group, which are most of the work that a new one is */
	struct gm_group_params of; /* whom they fit */
	uint8_t seed[32];
	uint16_t cred_n;
	uint8_t cred[GM_VIEW_CRED_MAX]; /* last */
};
/* For one that is to be made soon; nothing changes. Where many are, some go with each turn. RANGE, ROOM, as above. */
GM_NODISCARD enum gm_err gm_core_group_keys(struct gm_txn *txn, const struct gm_group_spec *spec, struct gm_group_keys *keys);
/* As gm_core_group_create(); of one use each. Keys that do not fit are made anew. */
GM_NODISCARD enum gm_err gm_core_group_create_with(struct gm_core *core, struct gm_txn *txn, const struct gm_group_spec *spec,
                                                   const struct gm_group_keys *keys);
/* What changes has replaces what the group had, as a PATCH of /manage/G does. UNKNOWN: no such group; CONFLICT, RANGE,
 * BAD_CONFIG: *why, static text, says what is wrong, and nothing changed */
GM_NODISCARD enum gm_err gm_core_group_set(struct gm_core *core, struct gm_txn *txn, const char *name,
                                           const struct gm_admin_map *changes, const char **why);
struct gm_group_cost { /* of such a change; who is evicted has a Sender ID that the nonces of the new algorithm have no room for */
	unsigned evicts, members;               /* members: before it */
	unsigned max_members, max_members_was;
	uint32_t key_lifetime_s; /* of later keys */
};
/* What gm_core_group_set() would cost now, and fail with; nothing changes. */
GM_NODISCARD enum gm_err gm_core_group_set_cost(struct gm_core *core, struct gm_txn *txn, const char *name, const struct gm_admin_map *changes,
                                                const char **why, struct gm_group_cost *cost);
/* Its memberships end, and its keys are forgotten. UNKNOWN */
GM_NODISCARD enum gm_err gm_core_group_delete(struct gm_core *core, struct gm_txn *txn, const char *name);
/* New keys for a group, asked for now; members get them with the effects of this turn or of later ones. compromised: no window,
 * supersedes a rekey in distribution. UNKNOWN: no such group */
GM_NODISCARD enum gm_err gm_core_rekey(struct gm_core *core, struct gm_txn *txn, const char *group, bool compromised);
/* The distribution of a group's keys goes on to nobody who was not told yet, until it is resumed, or a rekey begins for another reason than a Join,
 * Sender IDs or a schedule: such a one neither waits nor is paused; or the keys are about to end of those who were not told. Outlives a stop. UNKNOWN; CONFLICT: *why,
 * static text: there is nothing to pause, or to resume, or not all were told that somebody is out, or those keys are about to end already */
GM_NODISCARD enum gm_err gm_core_rekey_pause(struct gm_core *core, struct gm_txn *txn, const char *group, bool paused, const char **why);
/* Of all groups, but *passed that cannot be paused. false: there are more than one turn should have; again. */
GM_NODISCARD bool gm_core_rekey_pause_all(struct gm_core *core, struct gm_txn *txn, bool paused, unsigned *passed);
struct gm_evict_spec {
	const char *group; /* NULL: the device, from all its groups in one turn, with no window */
	const char
	    *node; /* node name; for a device: any of its node names as group/node, or as device.h names it */
	bool compromised;  /* skips the window */
	bool allow_return; /* do not bar */
};
/* Memberships end, and who had them is barred from the group, a device from all that its token names, until that ends or it may return. *evicted: memberships, 0 after a failure.
 * USAGE: node is NULL; UNKNOWN: no such group, node or device */
GM_NODISCARD enum gm_err gm_core_evict(struct gm_core *core, struct gm_txn *txn, const struct gm_evict_spec *spec,
                                       unsigned *evicted);
/* A token that its authorization server has revoked, by its hash. It is forgotten, memberships under it end, and the hash
 * is kept until the token is known to have ended, so that a later post of it is refused. *evicted: memberships, 0 after a
 * failure. USAGE: no such hash; FULL: as many were revoked by hand as there may be contexts.      RFC 9770 */
GM_NODISCARD enum gm_err gm_core_revoke(struct gm_core *core, struct gm_txn *txn, struct gm_bytes hash,
                                        unsigned *evicted);
/* A token about which authorization servers are asked, for an operator; one at a time. who: any number, whose answer it is. as: NULL: all that
 * introspect, one after the other. UNKNOWN: no such server; TOKEN_KEY: none that introspects; RANGE: no token's length; BUSY */
GM_NODISCARD enum gm_err gm_core_token_ask(struct gm_core *core, struct gm_txn *txn, uint64_t who, struct gm_bytes token, const char *as);
struct gm_token_said { /* secret: the claims */
	enum gm_err verdict; /* OK: it is active; TOKEN_INACTIVE: nobody knows it as such; AS_SILENT, BUSY: no answer; else what is wrong with its claims */
	const char *as;      /* who said so, empty: nobody */
	uint32_t as_id;
	struct gm_bytes claims; /* a map; p NULL: none */
};
/* false: nothing yet. Good until forgotten. */
GM_NODISCARD bool gm_core_token_said(const struct gm_core *core, uint64_t who, struct gm_token_said *said);
void gm_core_token_forget(struct gm_core *core, uint64_t who); /* where it was not `who` who asked nothing happens */
#define GM_AS_PATH 64u /* with the zero byte */
#define GM_TRL_EVERY_S 3600u
struct gm_as_spec { /* secret */
	char name[64];    /* operator's name */
	char issuer[128]; /* iss of its tokens; empty: not compared */
	char uri[128];    /* for creation hints */
	bool empty_salt_item;
	bool cnonce; /* its tokens have to carry a fresh one of ours                     RFC 9200 §5.3.1 */
	struct gm_cose_key key;
	struct gm_link link; /* where and how it is asked; ms_n 0: it is not */
	char introspect[GM_AS_PATH]; /* path of its introspection endpoint; empty: a token that is no CWT is not for it */
	char trl[GM_AS_PATH];        /* path of its list of revoked tokens; empty: the list is not read */
	bool loose;                  /* with trl: tokens whose bytes can be varied are taken nevertheless    RFC 9770 §4 */
	uint32_t trl_every_s;        /* between full queries of that list; 0: GM_TRL_EVERY_S */
};
bool gm_as_name_usable(const char *name);
#define GM_AS_NAME_RULE "a name has 1 to 63 bytes of UTF-8, without control characters or a space at an end"
/* Trusts an authorization server from now on. One that had this key before, or else this issuer, is known again: who was barred under
 * it still is. USAGE: a name, key or link that cannot be, or paths without a link; EXISTS: the name is taken, or the key is that
 * of another server, whose removal would leave it trusted; FULL; DISK_FULL */
GM_NODISCARD enum gm_err gm_core_as_add(struct gm_core *core, struct gm_txn *txn, const struct gm_as_spec *spec);
/* Whose key that is, under the same kid or where one of the two has none; NULL: nobody's. */
const char *gm_core_as_of_key(const struct gm_core *core, const struct gm_cose_key *key);
/* Removes trust: its contexts are closed and memberships end; *evicted: how many, 0 after a failure. UNKNOWN: none has the name */
GM_NODISCARD enum gm_err gm_core_as_remove(struct gm_core *core, struct gm_txn *txn, const char *name,
                                           unsigned *evicted);

/* ---- reading for the operator; callbacks see no secrets. What they are shown, and whatever it points to, is good inside the call;
 * they change nothing. */
struct gm_core_status {
	unsigned groups, members, contexts, bars, revoked, ases, rekeys_pending, rekeys_running, rekeys_paused; /* now */
	/* since the process began */
	uint64_t tokens_ok, tokens_refused, joins_ok, rejoins, joins_refused, leaves, evictions, expiries, rekeys,
	    confirmed, late;
};
void gm_core_status(const struct gm_core *core, struct gm_core_status *status);

struct gm_core_memory { /* bytes that records of each kind have used so far */
	size_t tokens, clients, members, texts, maps, timers, places, groups;
};
void gm_core_memory(const struct gm_core *core, struct gm_core_memory *memory);

struct gm_group_info {
	const char *name;
	uint32_t index, members, max_members;
	uint64_t version; /* num of the keys                                        RFC 9594 §4.3.1 */
	uint8_t gid_n, gid[GM_GID_MAX], sid_len;
	bool active;
	const struct gm_group_params *params;
	enum gm_backward backward;
	unsigned max_stale_sets, stale_sets, stale_now;
	uint32_t rekey_every_s, key_lifetime_s;
	int64_t exp, created, last_rekey; /* epoch seconds; exp: the latest keys end */
	const char *last_reason;          /* of the latest rekey; a word, static */
	unsigned confirmed, late, waiting; /* of the latest version */
	const char *state; /* of its keys: "idle", "pending", "distributing", "paused" */
	const char *shown; /* that, or "inactive": whatever its keys do, it admits nobody */
};
struct gm_member_info {
	const char *group, *node, *as;
	uint32_t slot;
	uint8_t sid_n, sid[GM_SID_MAX], osc_id_n, osc_id[32];
	uint32_t roles;
	enum gm_delivery delivery;
	struct gm_addr peer;
	int64_t joined, token_exp; /* epoch seconds */
	uint64_t version; /* the latest it confirmed or was handed */
	bool late;
	gm_ctx_id ctx;
	uint32_t as_id, id; /* id: of this room's */
};
struct gm_as_info {
	const char *name, *issuer, *uri; /* issuer, uri: empty: none was given */
	uint32_t id;
	int32_t alg; /* COSE, of its key */
	uint8_t kid_n, kid[16];
	bool has_link, loose;
	struct gm_addr peer;            /* of the link */
	const char *introspect, *trl;   /* paths; empty: not */
	uint64_t asked, answered, failed; /* over the link; failed: no usable answer */
	int64_t answered_at;            /* of the latest usable answer, epoch seconds; 0: none yet */
	const char *trl_state;          /* "off", "starting", "observing", "polling", "failing" */
	bool has_cursor;                /* cursor is set                               RFC 9770 §8 */
	uint64_t cursor;
	int64_t trl_full_at;            /* when the latest full set came, epoch seconds; 0: none yet */
	unsigned trl_listed;            /* hashes in it */
	uint32_t trl_every_s;
};
#define GM_TOKEN_GROUPS 128u
#define GM_TOKEN_COUNTED 256u /* memberships that are looked at for a row */
struct gm_token_info { /* that was used; one of a context that is ending is not shown */
	const char *as;
	uint32_t place; /* for paging */
	uint32_t as_id;
	uint8_t osc_id_n, osc_id[32];
	const uint8_t *hash; /* GM_TOKEN_HASH bytes, by which it is revoked */
	struct gm_addr peer;
	int64_t exp;          /* epoch seconds at which it ends */
	unsigned memberships; /* of its holder, as far as they were counted */
	bool more;            /* there are others */
	uint32_t member;      /* one of them: gm_member_info's id; 0: there is none */
	char groups[GM_TOKEN_GROUPS]; /* their names, as many as fit */
};
/* The contexts of the device that an operator names as in gm_evict_spec, several where tokens share a credential; how many. Sorted; free(*ctx) */
unsigned gm_core_device(const struct gm_core *core, const char *node, gm_ctx_id **ctx);
/* The context of who holds a token; 0: nobody. */
gm_ctx_id gm_core_holder(const struct gm_core *core, struct gm_bytes hash);
struct gm_whom { /* one of them */
	const char *device;    /* as in gm_evict_spec */
	const char *as;        /* all under this server */
	struct gm_bytes token; /* who holds it, by its hash */
};
struct gm_loss { /* of a group that somebody would be put out of */
	const char *group;
	unsigned going, members; /* members: those who go among them */
};
/* What an eviction would take, group by group; memberships of others are not looked at. false: nobody is known so. */
GM_NODISCARD bool gm_core_losses(const struct gm_core *core, const struct gm_whom *whom,
                    void (*each)(void *arg, const struct gm_loss *loss), void *arg);
/* Each stops when the callback returns false. `group` may be NULL for all: where they have many members that takes its time. UNKNOWN: no
 * such group. node: of that name alone, which is found at once. after: skip slots up to and including this one (for paging), UINT32_MAX:
 * from the start */
GM_NODISCARD enum gm_err gm_core_groups(const struct gm_core *core, const char *group,
                                        bool (*each)(void *arg, const struct gm_group_info *info), void *arg);
struct gm_group_about { /* what administrators read of it, and members of its policies; borrowed from the group */
	struct gm_bytes description, as_uri; /* p NULL: none */
	struct gm_list app_groups;           /* texts */
	uint32_t check_interval_s, expiration_delta_s;
};
void gm_core_group_about(const struct gm_core *core, const struct gm_group_info *info, struct gm_group_about *about); /* inside the callback that was shown it */
/* All behind place `after`, gm_group_info's index; UINT32_MAX: from the start. For paging. */
void gm_core_groups_behind(const struct gm_core *core, uint32_t after, bool (*each)(void *arg, const struct gm_group_info *info), void *arg);
GM_NODISCARD enum gm_err gm_core_members(const struct gm_core *core, const char *group, const char *node,
                                         uint32_t after, bool (*each)(void *arg, const struct gm_member_info *info),
                                         void *arg);
/* Tokens behind place `after`, gm_token_info's; UINT32_MAX: from the start. Stops likewise. */
void gm_core_tokens(const struct gm_core *core, uint32_t after, bool (*each)(void *arg, const struct gm_token_info *info), void *arg);
/* Memberships of a device that an operator names as in gm_evict_spec, in the order of groups. */
void gm_core_device_members(const struct gm_core *core, const char *device,
                            bool (*each)(void *arg, const struct gm_member_info *info), void *arg);
#define GM_CRED_HASH 32u
/* SHA-256 of the member's credential, inside the callback that was shown it. false: it has none, as a monitor. */
GM_NODISCARD bool gm_core_cred_hash(const struct gm_core *core, const struct gm_member_info *info, uint8_t hash[static GM_CRED_HASH]);
/* All authorization servers. Stops when the callback returns false; what it is shown is good inside the call. */
void gm_core_ases(const struct gm_core *core, bool (*each)(void *arg, const struct gm_as_info *info), void *arg);

#endif
