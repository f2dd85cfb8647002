/* SPDX-License-Identifier: Apache-2.0 */
/* One simulated site: gmd's core and workers, its store, members, operators, and a network in memory, on one thread.
 * All that is left to chance follows from the seed: the order in which the parts move, clocks, dice, faults, crashes.
 *
 * What must hold is kept in a model of what was acknowledged, and compared after each step. */
#ifndef SIM_H
#define SIM_H

#include <stdio.h>

#include "askey.h"
#include "bench/gmas/association.h"
#include "bench/gmas/opaque.h"
#include "core/schedule.h"
#include "member.h"
#include "port/mem.h"
#include "turns.h"
#include "work/worker.h"

#define SIM_MEMBERS 64u
#define SIM_ADMINS 2u
#define SIM_GROUPS 32u /* over a whole run; names are not used again */
#define SIM_SCHEDULES 3u
#define SIM_SAID 256u
#define SIM_HEARD 64u  /* old datagrams kept for replay */

struct sim;

/* ---- dice.c: chance, and the doors by which it reaches the code: libsodium's implementation, clock_gettime */
struct sim_dice {
	uint64_t at;
};
uint64_t sim_draw(struct sim_dice *d);
uint32_t sim_below(struct sim_dice *d, uint32_t n);             /* 0 .. n - 1 */
bool sim_chance(struct sim_dice *d, uint32_t in_ten_thousand);
void sim_dice_install(void);            /* once, before gm_crypto_init() */
void sim_dice_begin(struct sim *s);     /* gm_random() and the clocks are this run's */
uint64_t sim_mix(uint64_t h, uint64_t v);

/* ---- counts: what was injected and what was done, over all seeds */
#define SIM_COUNTS(X)                                                                                                  \
	X(steps) X(turns) X(commits) X(to_gm) X(to_members) X(seals)                                                      \
	X(net_phases) X(lost) X(doubled) X(corrupted) X(overtaken) X(replayed) X(moved)                                   \
	X(crash_idle) X(crash_before_commit) X(crash_after_commit) X(crash_torn_turn) X(crash_mid_burst)                   \
	X(crash_at_start) X(store_refused) X(store_failed) X(store_unknown_kept) X(store_unknown_lost) X(store_fenced)      \
	X(rings_full) X(time_forward) X(time_back)                                                                         \
	X(restarts) X(member_restarts) X(member_silences) X(joins) X(rejoins) X(renewals) X(leaves) X(new_credentials)     \
	X(op_rekeys) X(op_compromises) X(op_evictions) X(op_barred) X(op_revocations) X(op_creations) X(op_deletions)      \
	X(op_settings) X(op_schedules) X(op_drains) X(op_lost) X(installs) X(blind_checks) X(stale_checks)                 \
	X(talks) X(talks_pairwise) X(kind_groups) X(kind_joins) X(config_checks)                                           \
	X(admin_creations) X(admin_changes) X(admin_reads) X(admin_lists) X(admin_deletions) X(admin_refused)               \
	X(admin_unanswered) X(admin_twice)                                                                                 \
	X(as_listed) X(as_heard) X(as_answers) X(as_notices) X(as_inactive) X(as_restarts) X(references)                   \
	X(schedule_checks) X(schedule_rekeys) X(drained_joins)
struct sim_counts {
#define X(name) uint64_t name;
	SIM_COUNTS(X)
#undef X
};
extern struct sim_counts sim_counts;

/* ---- store.c: what outlives a crash. In memory, or LMDB; faults either way */
enum sim_store_fault {
	SIM_STORE_GOOD,
	SIM_STORE_REFUSES,      /* begin: no space, I/O error */
	SIM_STORE_FAILS,        /* finish: nothing was kept */
	SIM_STORE_FENCED,       /* likewise */
	SIM_STORE_UNKNOWN_KEPT, /* finish does not know; it was kept */
	SIM_STORE_UNKNOWN_LOST,
};
struct sim_record {
	uint8_t table, key_n, key[GM_KEY_MAX];
	uint32_t value_n;
	uint8_t *value;
};
struct sim_store {
	struct sim_record *record; /* sorted */
	size_t n, cap;
	uint64_t turn;
	uint64_t entries, entries_fold; /* of the audit log, committed: how many, and what their texts come to */
	struct gm_changes pending;
	uint64_t pending_turn;
	enum sim_store_fault fault; /* of the next commit */
	struct gm_store *lmdb;      /* not NULL: it is this one */
	char dir[64];
	struct sim *sim;
};
bool sim_store_new(struct sim *s, bool lmdb);
void sim_store_free(struct sim *s);
enum gm_err sim_store_load(struct sim *s); /* as gmd does at its start */
void sim_store_closed(struct sim *s);      /* the process is gone */

/* ---- model.c: what was acknowledged, what must hold */
enum sim_state { SIM_IN, SIM_UNSURE, SIM_GONE };
#define SIM_ALWAYS UINT64_MAX
struct sim_config { /* of a group, as far as it may be changed */
	struct gm_group_params params;
	unsigned max_stale_sets, description; /* description: 0: none, else "d" and the number */
	bool active;
};
struct sim_node { /* a membership: node names are never given twice */
	uint16_t group;
	char name[17];
	unsigned member;        /* SIM_MEMBERS: whose is not known */
	unsigned ident;         /* of that member, when it was made */
	enum sim_state state;
	uint64_t unsure_at;     /* clock of the model */
	uint64_t gone_version;  /* the newest keys it may have had */
	bool sid_known;
	uint8_t sid_n, sid[GM_SID_MAX];
	bool seen;              /* in core now */
	int64_t exp;            /* of its token */
};
struct sim_sid { /* a Sender ID under a Gid */
	uint64_t id;
	uint32_t node;
	bool ended;
};
struct sim_life { /* of a Sender ID in a group, by versions */
	uint16_t group;
	uint8_t sid_n, sid[GM_SID_MAX];
	uint32_t node;
	uint64_t from, ended_at_most; /* UINT64_MAX: it lives */
};
struct sim_group {
	char name[16];
	enum sim_state state; /* IN: it is there */
	uint64_t version;     /* the newest that is known to be durable */
	bool seen;            /* by the latest look at core */
	struct sim_config config, asked; /* acknowledged; what somebody asked for who has no answer */
	uint64_t open_ms; /* until then what was asked may still be done; 0: nothing was, SIM_ALWAYS: it is on its way */
	uint64_t serial;  /* moves with config */
	bool ending;      /* what was asked is its end */
};
struct sim_schedule {
	enum sim_state state;
	bool held;
	struct gm_schedule_spec spec;
};
struct sim_model {
	uint64_t clock;
	struct sim_node *node;
	uint32_t nodes, nodes_cap;
	struct sim_sid *sid;
	uint32_t sids, sids_cap;
	struct sim_life *life;
	uint32_t lives, lives_cap;
	struct { uint64_t id, hash; } *keys; /* (group, version) -> keys */
	uint32_t keys_n, keys_cap;
	struct { uint64_t id, text; } *seal; /* (key, nonce) -> plaintext and associated data; open addressing */
	uint64_t seals, seals_cap;
	struct sim_group group[SIM_GROUPS];
	unsigned groups;
	struct sim_schedule schedule[SIM_SCHEDULES], schedule_to[SIM_SCHEDULES]; /* acknowledged; asked for, if open */
	bool schedule_open[SIM_SCHEDULES];
	uint64_t drained_at; /* clock, since which nobody may join; 0: they may */
};
void sim_model_free(struct sim *s);
uint32_t sim_node_of(struct sim *s, uint16_t group, const char *name); /* made if it is new */
void sim_model_committed(struct sim *s); /* core's state is durable: compare it with the model */
void sim_model_sealed(const uint8_t *key, size_t key_n, const uint8_t *nonce, size_t nonce_n, const uint8_t *aad,
                      size_t aad_n, const uint8_t *text, size_t text_n);
void sim_model_joined(struct sim *s, unsigned member, bool renewal);
void sim_model_installed(struct sim *s, unsigned member);
uint16_t sim_group_index(const struct sim *s, const char *name); /* SIM_GROUPS: none */
uint16_t sim_group_new(struct sim *s, const struct sim_config *config); /* its name; UNSURE; SIM_GROUPS: there are enough */
bool sim_config_same(const struct sim_config *a, const struct sim_config *b);
/* From now on the group's configuration may be this, until ms. */
void sim_group_asked(struct sim *s, uint16_t group, const struct sim_config *config, uint64_t until_ms);
bool sim_group_free(const struct sim *s, uint16_t group); /* there, and nothing asked is open */
unsigned sim_groups_staying(const struct sim *s); /* there, and nobody asked for their end */
void sim_description(char text[static 16], unsigned number);

/* ---- kinds.c: groups of several kinds */
struct gm_group_params sim_kind(struct sim *s, bool *short_sids); /* drawn; short_sids: of one byte */

/* ---- members.c */
struct sim_ident { /* of a token: what the server knows a member by */
	int64_t exp;
	uint8_t hash[GM_TOKEN_HASH];
	uint64_t barred_at, revoked_at; /* clock of the model, when that was acknowledged; 0: not */
	uint16_t group;
	bool suspect; /* may be barred */
	bool listed;  /* by its authorization server; revoked_at: when gmd had heard of it */
};
struct sim_member {
	struct gm_member m;
	struct sim_ident ident;
	unsigned idents;        /* how many it has had */
	uint64_t timer_ms, next_ms, silent_ms;
	uint64_t asked_at;      /* clock of the model when the request that is out was begun */
	uint64_t asked;         /* that request's number */
	uint64_t unanswered[16]; /* requests that may change something and had no answer: not for replay */
	unsigned unanswered_at, failures;
	uint32_t node;          /* in the model, plus one; 0: none */
	bool wants;
	uint8_t before_n, before[GM_SID_MAX]; /* Sender ID before the request */
};
struct sim_heard {
	struct gm_addr from, to;
	unsigned member;
	uint64_t asked;
	uint16_t n;
	uint8_t data[GM_MEM_DGRAM_MAX];
};
unsigned sim_after(const struct sim *s, unsigned i); /* the next of members and administrators; at SIM_MEMBERS + admins_n: none */
bool sim_mint(struct sim *s, unsigned i); /* another token */
bool sim_members_new(struct sim *s);
void sim_members_free(struct sim *s);
void sim_members_turn(struct sim *s);
uint64_t sim_members_next_ms(const struct sim *s);
void sim_member_restart(struct sim *s, unsigned i);
void sim_members_quiet(struct sim *s);            /* faults have stopped: all who may, want in */
bool sim_members_settled(struct sim *s, char why[static GM_WHY]);
void sim_members_talk(struct sim *s);
void sim_replay(struct sim *s);
bool sim_was_said(const struct sim *s, struct gm_bytes d);
void sim_tap(void *arg, const struct gm_addr *from, const struct gm_addr *to, const uint8_t *data, size_t n);

/* ---- admins.c: administrators, over the network. Places behind those of members */
struct sim_admin {
	struct gm_member_ask ask;
	uint8_t payload[512];
	unsigned what; /* row of the table there */
	uint16_t group;
	uint64_t serial; /* of the group's configuration when it was asked for */
};
bool sim_admins_new(struct sim *s);
void sim_admins_free(struct sim *s);
void sim_admin_act(struct sim *s, unsigned i);
void sim_admin_done(struct sim *s, unsigned i, enum gm_member_op op, uint8_t code);
void sim_admins_rest(struct sim *s); /* they ask nothing any more; what they asked may still come */

/* ---- as.c: the authorization server at the other end of a link */
struct sim_kept { /* an answer, for the same message again */
	uint64_t to; /* hash of it */
	uint16_t n;
	uint8_t bytes[GM_MEM_DGRAM_MAX];
};
struct sim_observer {
	bool used;
	uint32_t generation;
	uint8_t token_len, token[8];
	struct gm_oscore_request of;
	struct gm_revoked_query query;
};
struct sim_as {
	bool linked; /* else nothing of this is there */
	struct gm_addr addr;
	struct gm_link link;
	struct gm_server_ctx ctx;
	struct gm_revoked_list revoked;
	struct gm_opaques opaques;
	struct sim_kept kept[32];
	unsigned kept_n;
	struct sim_observer observer[4];
	uint16_t mid;
	uint64_t silent_ms; /* it hears nothing until then */
	uint32_t id;        /* in core */
};
void sim_as_spec(struct sim *s, struct gm_as_spec *spec);
void sim_as_free(struct sim *s);
void sim_as_turn(struct sim *s);
void sim_as_receive(struct sim *s, const struct gm_mem_dgram *d);
bool sim_as_revoked(const struct sim *s, const struct sim_ident *i); /* core knows it so */

/* ---- operators.c */
enum sim_op {
	SIM_OP_NONE, SIM_OP_REKEY, SIM_OP_EVICT, SIM_OP_REVOKE, SIM_OP_CREATE, SIM_OP_DELETE, SIM_OP_SET, SIM_OP_SCHEDULE, SIM_OP_DRAIN
};
struct sim_command {
	enum sim_op what;
	uint16_t group;
	uint32_t node; /* in the model */
	unsigned member;
	bool compromised, allow_return;
	uint64_t version; /* of the group before it */
	enum gm_err err;
	unsigned count;
	unsigned schedule;
};
void sim_operator_turn(struct sim *s);     /* inside a turn, before its commit */
void sim_operator_answered(struct sim *s); /* the turn is durable */
void sim_operator_lost(struct sim *s);     /* a crash came first */
enum gm_err sim_group_create(struct sim *s, uint16_t *index); /* a new one */

/* ---- schedules.c: what operators do to schedules, and that it stays done */
bool sim_schedule_do(struct sim *s, struct sim_command *c);
void sim_schedule_answered(struct sim *s, const struct sim_command *c);
void sim_schedules_check(struct sim *s);

/* ---- world.c */
struct sim {
	uint64_t seed;
	unsigned steps, members_n, workers;
	bool verbose;
	int lmdb; /* 1: this run is on LMDB */
	struct sim_dice dice, secrets;
	struct gm_mem_net *net;
	struct gm_turns turns;
	struct gm_core_config core_config;
	struct gm_dp_config dp_config;
	bool up, quiet, early; /* early: see --break */
	uint64_t down_until_ms;
	int64_t wall_shift_s, wall_max_s;
	uint64_t step_n, digest;
	unsigned ring_faults;   /* in ten thousand */
	int burst_left;         /* datagrams until the host is dead; -1: not dying */
	struct sim_store store;
	struct sim_model model;
	struct gm_askey as_key;
	struct sim_as as;
	struct gm_member_env env;
	struct gm_member_group groups[SIM_GROUPS];
	struct sim_member member[SIM_MEMBERS + SIM_ADMINS];
	struct sim_admin admin[SIM_ADMINS];
	unsigned admins_n;
	struct sim_heard heard[SIM_HEARD];
	unsigned heard_n, said_n;
	uint64_t said[SIM_SAID]; /* hashes of the unprotected datagrams that were sent last */
	struct sim_command command;
	char fault[256]; /* what does not hold; empty: all does */
};
extern struct sim *sim_now; /* the run that is going on */

int64_t sim_wall_s(const struct sim *s);
uint64_t sim_ms(const struct sim *s);
void sim_run(struct sim *s);
/* What must hold does not: the run ends. */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_say(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3))); /* a line of the story */

/* ---- broken on purpose, to show that it is seen */
enum sim_break {
	SIM_BREAK_NONE, SIM_BREAK_LEASE, SIM_BREAK_EARLY, SIM_BREAK_STALE, SIM_BREAK_WINDOW, SIM_BREAK_SYNC, SIM_BREAK_EVICT,
	SIM_BREAK_MEMBER, SIM_BREAK_REVOKED, SIM_BREAK_ADMIN, SIM_BREAK_KIND, SIM_BREAK_UNREAD, SIM_BREAK_SCHEDULE, SIM_BREAK_DRAIN,
	SIM_BREAK_N
};
extern enum sim_break sim_broken;

#endif
