/* SPDX-License-Identifier: Apache-2.0 */
/* The state behind core.h, and what the files of this room share. Everything lives in slabs under uint32_t handles
 * (0: none); slab memory never moves, so timers point into it. Nothing here depends on the order of a hash table. */
#ifndef GM_CORE_STATE_H
#define GM_CORE_STATE_H

#include "core/core.h"
#include "gm/pool.h"

/* ------------------------------------------------------------ table.c: memory, maps, timers */

void *gm_must_alloc(void *old,
                    size_t n); /* realloc that ends the process when memory is out: the store has the state */

uint32_t gm_must_get(struct gm_slab *s); /* handle of a zeroed object, likewise */
uint32_t gm_must_text(struct gm_pool *p, size_t n); /* likewise; 0: n is 0 */

#define GM_MAP_NONE 0u
#define GM_MAP_DEAD UINT32_MAX
struct gm_map { /* key to value, several values of one key allowed; value is neither NONE nor DEAD */
	struct gm_map_cell {
		uint32_t key, value;
	} * at;
	uint32_t n, filled, cap;
};
typedef bool (*gm_map_same)(const void *arg, uint32_t value);
uint32_t gm_map_find(const struct gm_map *m, uint32_t key, gm_map_same same, const void *arg); /* same NULL: any */
void gm_map_add(struct gm_map *m, uint32_t key, uint32_t value);
void gm_map_remove(struct gm_map *m, uint32_t key, uint32_t value);
void gm_map_free(struct gm_map *m);

enum gm_timer_kind { GM_TIMER_TOKEN, GM_TIMER_BAR, GM_TIMER_KEYS, GM_TIMER_SEEN, GM_TIMER_REKEY, GM_TIMER_REVOKED,
                     GM_TIMER_ASK, GM_TIMER_WATCH, GM_TIMER_FIRST, GM_TIMER_ACTIVE,
                     GM_TIMER_NONE };
struct gm_timer {
	uint64_t at;
	uint32_t pos; /* place in the heap, from 1; 0: not set */
	uint32_t kind;
};
struct gm_heap {
	struct gm_timer **at;
	uint32_t n, cap;
};
void gm_timer_set(struct gm_heap *h, struct gm_timer *t, enum gm_timer_kind kind, uint64_t at);
void gm_timer_stop(struct gm_heap *h, struct gm_timer *t);
void gm_heap_free(struct gm_heap *h);

/* ------------------------------------------------------------------------------------------ state */

struct gm_ended { /* the highest exi sequence number that has ended */
	uint64_t seq;
	bool any;
};

struct gm_as {
	uint32_t id;
	struct gm_ended ended;
	struct gm_as_spec spec;
	uint64_t asked, answered, failed; /* over the link */
	int64_t answered_at;
	struct gm_heap ages; /* of the hashes it has revoked, in the order of their coming */
	struct gm_watch *watch; /* trl.c; NULL: its list of revoked tokens is not read */
};

#define GM_GONE_MAX 64u
struct gm_gone { /* a server removed: what its tokens have lost stays lost when it is added again */
	uint32_t id;
	struct gm_ended ended;
	uint8_t key[32], issuer[32]; /* SHA-256 of its key, by which it is known again, and of its issuer, if there is one */
	int64_t at;      /* when it was removed */
};

struct gm_ctx_part { /* of struct gm_ctx_save; the rest lies in the association's text */
	gm_ctx_id id;
	struct gm_addr peer;
	uint8_t alg, sid_n, sid[GM_ID_LEN_MAX], challenge[8];
};
struct gm_assoc { /* a context and its token */
	struct gm_timer expiry;
	struct gm_ctx_part save;
	uint32_t self, ident;
	int64_t exp, exi;
	uint32_t text;           /* in gm_core.texts: keys and IV, local address, scope, cti */
	uint32_t scope_n;
	uint32_t post; /* its token was taken as the so manieth since the start; 0: before */
	uint16_t cti_n;
	bool closing;
	uint8_t hash[GM_TOKEN_HASH];
};
_Static_assert(sizeof(struct gm_assoc) <= 136, "there may be a million of them");

struct gm_ident { /* an authorization server and the osc id of a proof-of-possession key */
	uint32_t self, as_id;
	uint32_t assoc, members, bars; /* current association; heads of lists */
	uint32_t closing;              /* associations that are ending */
	uint64_t spent_until_ms; /* of its allowance of changes, on the mono clock */
	uint8_t osc_id_n, osc_id[15]; /* what is longer lies in gm_core.texts: gm_ident_osc_id() */
};
#define GM_OSC_ID_MAX 32u
_Static_assert(sizeof(struct gm_ident) <= 48, "there may be a million of them");

struct gm_bar { /* by the group's name: one made anew under it is the same to a token */
	struct gm_timer expiry;
	uint32_t self, ident, next;
	uint32_t index; /* of the group, where the stored record is of form 1; GM_BAR_NAMED: it is not */
	int64_t until;
	uint8_t group_n, group[GM_GROUP_NAME_MAX];
};
#define GM_BAR_ALL ((struct gm_bytes){0}) /* in place of a name: from everything */
#define GM_BAR_NAMED UINT32_MAX

struct gm_seen { /* an exi counter that runs */
	struct gm_timer expiry;
	uint32_t self, as_id;
	uint64_t seq;
	int64_t exp;
};

struct gm_revoked { /* a revoked token that may come again */
	struct gm_timer expiry;
	struct gm_timer age; /* in its server's heap of ages: who came first goes first where there is no room */
	uint32_t self, as_id; /* as_id: who has revoked it, and for whose tokens it counts; 0: the operator, for all */
	uint8_t hash[GM_TOKEN_HASH];
	int64_t exp; /* 0: not known */
};

#define GM_ASKS_MAX 1024u /* tokens that authorization servers are being asked about */
struct gm_ask { /* introspect.c */
	struct gm_timer deadline;
	uint32_t number; /* of the ask that is out; 0: the place is free */
	uint32_t as_id;
	uint32_t only; /* the one that can answer; 0: any */
	bool silent; /* one that was asked before gave no answer */
	bool operators; /* nothing is decided: asks.said */
	struct gm_rec *event; /* a copy: the token's, or the request's that updates rights */
};
struct gm_asks {
	struct gm_ask at[GM_ASKS_MAX];
	unsigned used, next;
	uint32_t serial;
	struct { /* the operator's, from the asking until it is forgotten */
		bool used, done;
		uint64_t who;
		uint32_t as_id;
		enum gm_err verdict;
		size_t n;
		uint8_t *claims;
	} said;
};

#define GM_NODE_NAME 8u /* of those that we make */
#define GM_SID_LEN_MAX 3u /* gm_core_sid_len() */
struct gm_member {
	uint64_t version; /* the latest it confirmed or was handed */
	uint64_t late_at; /* the version whose message it did not confirm; see gm_members_late() */
	int64_t joined;
	uint32_t self, ident, next; /* next: membership of the same identity */
	uint32_t group, slot;
	uint32_t text;           /* in gm_core.texts: struct gm_member_parts, one behind the other, without a cred that lies in words */
	uint32_t obs;            /* in gm_core.texts: struct gm_observation for each bit of obs_on */
	uint16_t cred_n, scope_n;
	uint16_t control_port;
	uint8_t cnonce_n, path_n;
	uint8_t roles, obs_on;
	bool has_control;
	char node[GM_NODE_NAME + 1];
	uint8_t sid_n, sid[GM_SID_LEN_MAX];
	uint32_t cred; /* in gm_core.words, which workers read; 0: in text */
};
_Static_assert(sizeof(struct gm_member) <= 80, "there may be a million of them");
_Static_assert(GM_ROLES_ALL <= UINT8_MAX, "roles have room");

struct gm_stale_set { /* Sender IDs given up under one version, sid_len bytes each */
	uint32_t n, cap;
	uint8_t *sids;
};

enum gm_reason { /* for a rekey, weakest first */
	         GM_REASON_NONE,
	         GM_REASON_JOIN,
	         GM_REASON_SENDER_IDS,
	         GM_REASON_SCHEDULE,
	         GM_REASON_KEYS_END,
	         GM_REASON_RESTART,
	         GM_REASON_LEAVE,
	         GM_REASON_EXPIRED,
	         GM_REASON_EVICTED,
	         GM_REASON_OPERATOR,
	         GM_REASON_COMPROMISE,
	         GM_REASON_REKEYS, /* those before it; behind it is why memberships end without asking for one */
	         GM_REASON_GROUP_DELETED = GM_REASON_REKEYS,
	         GM_REASON_SENDER_ID_LENGTH,
	         GM_REASON_N
};
enum gm_haste { GM_HASTE_WINDOW, GM_HASTE_NOW, GM_HASTE_SUPERSEDE };

struct gm_held { /* a Join Request that waits */
	struct gm_held *next;
	struct gm_ev_request *event;
	uint64_t ident; /* gm_ident_hash() of who sent it: the identity may be gone when it is answered */
};
struct gm_wait { /* a line of them, one of each identity; last is set where first is */
	struct gm_held *first, **last;
	struct gm_map idents;
	unsigned n;
};
enum gm_waited { GM_WAITED_NOT, GM_WAITED_ANSWER, GM_WAITED_REJOINS, GM_WAITED_REKEY }; /* ANSWER: of an AS */

#define GM_SLOT_FREE 0x80000000u /* in slots: free, the low bits name the next free one + 1 */
#define GM_STALE_CHUNK 256u      /* Sender IDs in a stored record */
#define GM_STALE_SETS_MAX 64u
#define GM_ASES_MAX 64u
#define GM_SLOT_MAX (1u << 24) /* node names hold three bytes of it */
#define GM_GROUP_INDEX_MAX (1u << 20)

struct gm_group {
	struct gm_timer keys, rekey, first, active;
	uint32_t self, index, gen; /* gen: of what a Join is judged by */
	struct gm_group_spec spec;
	uint64_t version;
	uint8_t sid_len, gid_n, gid[GM_GID_MAX], ms[16], salt[8];
	int64_t exp, created, last_rekey;
	int64_t untold_exp; /* the earliest end of older keys that members may use still; 0: all were told of the present ones */
	enum gm_reason last_reason;
	uint32_t check_interval, expiration_delta;
	uint8_t kdc_seed[32];
	uint16_t kdc_cred_n;
	uint8_t kdc_cred[GM_VIEW_CRED_MAX];
	struct gm_about *about; /* config_change.h; NULL: nothing of it is set */

	uint32_t *slots; /* slot to member */
	uint32_t slots_n, slots_cap, free_first, free_last, members;
	struct gm_map sids; /* Sender ID to member, or GM_SID_BURNED; complete for the current version */
	uint32_t sid_at;
	bool sid_seeded;
	struct gm_stale_set *stale; /* of versions stale_first .. version */
	uint64_t stale_first;

	/* the pending rekey: reason NONE means there is none */
	enum gm_reason reason;
	enum gm_haste haste;
	uint64_t asked_ms, window_end_ms;
	uint64_t put_off_ms; /* since when it waits for lists of revoked tokens; 0: it does not */
	struct gm_wait held;
	/* members that have to come again, and who waits until they have: rejoin.c */
	struct gm_map returning;
	struct gm_wait behind;
	uint32_t joiners[8], joiners_n; /* who was held for the latest rekey and let in; the first of them */
	/* the distribution of the current version */
	bool distributing;
	uint32_t walkers; /* workers that have not ended their walk */
	uint64_t started_ms;
	unsigned confirmed, late, waiting;
	unsigned owed; /* GM_OWED_*: what members have to be told beside keys; in the store until it is done */
	uint64_t config_num; /* the version that the present configuration came with */
};
#define GM_JOINERS_MAX 8u
#define GM_OWED_CONFIG 1u /* a changed configuration, with the walk */
#define GM_OWED_ACTIVE 2u /* whether the group is active, to those who observe that */
#define GM_OWED_REST 4u   /* its distribution is paused: to those who were not told yet, when it is resumed */
#define GM_OWED_OUT 8u    /* somebody is out, and not all were told: such a distribution cannot be paused */
#define GM_OWED_ALL 15u
#define GM_SID_BURNED (UINT32_MAX - 1)

struct gm_pending { /* contexts of one identity that wait for their first request */
	uint64_t ident;
	uint32_t until_s[4]; /* on the mono clock */
};

struct gm_refusals { /* one by one they would let anybody fill the audit log */
	uint64_t tokens, joins, administration; /* all */
	uint64_t revoked, barred;               /* of these, for such reasons */
};

struct gm_core {
	struct gm_core_config config;
	uint8_t hash_key[16]; /* decides nothing but places in tables */
	struct gm_as *ases;   /* room for GM_ASES_MAX */
	unsigned ases_n;
	struct gm_gone gone[GM_GONE_MAX];
	unsigned gone_n;
	uint8_t cnonce_key[16]; /* of this start */
	uint32_t next_as; /* no id is given twice: bars and contexts that wait outlive their server */
	struct gm_slab assocs, idents, members, bars, seen, revoked, group_mem;
	struct gm_pool texts;
	struct gm_words *words; /* credentials of members, but for long ones */
	uint32_t *ctx[GM_SHARDS]; /* slot to association */
	uint32_t ctx_cap[GM_SHARDS];
	struct gm_map ident_map, name_map, seen_map, revoked_map, hash_map; /* hash: of a token to its association */
	struct gm_map gid_map; /* what stays of a Gid to its group */
	struct gm_asks *asks;
	uint32_t watch_serial; /* of asks about lists of revoked tokens */
	uint64_t revoked_serial; /* age that the next hash gets */
	struct gm_devices *devices; /* device.c */
	struct gm_schedules *schedules; /* schedule.c */
	uint32_t posts;    /* tokens taken since the start; stays at its end */
	int64_t forgotten; /* tokens that ended so early have, whatever the clock says: what kept them out is forgotten */
	struct gm_group **groups;
	uint32_t groups_n, groups_cap; /* places; a deleted group leaves a hole that is used again */
	uint32_t groups_free;          /* below it there is none */
	uint64_t lease[GM_SHARDS];
	struct gm_pending *pending;
	uint32_t pending_cap;
	struct gm_heap wall, mono; /* seconds; milliseconds */
	struct gm_core_status count;
	bool draining; /* nobody new is let in */
	struct gm_refusals refused, refused_told; /* since the start; what the audit log has of it */
	uint64_t refused_ms; /* when it was told; 0: never */
	uint8_t *scratch;
	size_t scratch_cap;
	struct {
		unsigned phase;
		uint32_t at, slot;
		size_t budget;
		bool closing, orphans; /* there are contexts that were closing, members without one: they go before the workers begin */
	} load;
};

struct gm_turn { /* what every decision needs */
	struct gm_core *core;
	struct gm_txn *txn;
};

static inline uint8_t *gm_scratch(struct gm_core *c, size_t n) /* good until the next call */
{
	if (n > c->scratch_cap) {
		c->scratch = gm_must_alloc(c->scratch, n);
		c->scratch_cap = n;
	}
	return c->scratch;
}

static inline uint32_t gm_hash_key(const uint8_t hash[static GM_TOKEN_HASH]) /* in a map */
{
	return (uint32_t)hash[1] << 24 | (uint32_t)hash[2] << 16 | (uint32_t)hash[3] << 8 | hash[4];
}

static inline struct gm_bytes gm_ident_osc_id(const struct gm_core *c, const struct gm_ident *i)
{
	uint32_t text;

	if (i->osc_id_n <= sizeof(i->osc_id))
		return (struct gm_bytes){i->osc_id, i->osc_id_n};
	memcpy(&text, i->osc_id, sizeof(text));
	return (struct gm_bytes){gm_there(gm_pool_at(&c->texts, text)), i->osc_id_n};
}

/* core.c */
void gm_load_tell_ctx(struct gm_turn *t, const struct gm_assoc *a); /* of what was loaded; or it is settled later */
void gm_load_tell_member(struct gm_turn *t, const struct gm_member *m);
void gm_dice(struct gm_txn *txn, void *out, size_t n);
void gm_core_log(const struct gm_core *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gm_core_request(struct gm_turn *t, const struct gm_ev_request *ev, enum gm_waited waited);
void gm_core_due(struct gm_turn *t); /* run what is due on the mono clock */

/* ident.c: associations and identities */
struct gm_as *gm_as_find(const struct gm_core *c, uint32_t id);
struct gm_ended *gm_ended_of(struct gm_core *c, uint32_t as_id); /* of one that was removed, too */
uint64_t gm_ident_hash(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id);
struct gm_ident *gm_ident_find(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id);
struct gm_ident *gm_ident_need(struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id); /* found or made */
/* Sets of identities, by what they are: an identity may be forgotten, and come again, and be in it still. */
void gm_idents_add(const struct gm_core *c, struct gm_map *set, const struct gm_ident *ident);
bool gm_idents_have(const struct gm_core *c, const struct gm_map *set, const struct gm_ident *ident);
void gm_idents_remove(const struct gm_core *c, struct gm_map *set, const struct gm_ident *ident);
void gm_ident_tidy(struct gm_core *c, struct gm_ident *ident); /* frees it when nothing hangs on it */
struct gm_ident *gm_ident_at(const struct gm_core *c, uint32_t id);
struct gm_assoc *gm_assoc_at(const struct gm_core *c, uint32_t id);
struct gm_assoc *gm_assoc_by_ctx(const struct gm_core *c, gm_ctx_id ctx);
struct gm_assoc *gm_assoc_in_place(const struct gm_core *c, gm_ctx_id ctx); /* of any generation */
struct gm_assoc *gm_assoc_new(struct gm_core *c, const struct gm_ctx_save *save, struct gm_bytes scope,
                              struct gm_bytes cti);
void gm_assoc_set_hash(struct gm_core *c, struct gm_assoc *a, const uint8_t hash[static GM_TOKEN_HASH]);
/* as_id: of whose token, 0: of any; none that is closing */
struct gm_assoc *gm_assoc_by_hash(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH]);
void gm_assoc_set_token(struct gm_core *c, struct gm_assoc *a, struct gm_bytes scope, struct gm_bytes cti);
struct gm_bytes gm_assoc_scope(const struct gm_core *c, const struct gm_assoc *a);
struct gm_bytes gm_assoc_cti(const struct gm_core *c, const struct gm_assoc *a);
void gm_assoc_ctx(const struct gm_core *c, const struct gm_assoc *a, struct gm_ctx_save *save); /* whole again; secret */
void gm_assoc_forget(struct gm_core *c, struct gm_assoc *a); /* from memory only */
void gm_assoc_drop(struct gm_turn *t, struct gm_assoc *a);   /* at once and without a word */
void gm_assoc_close(struct gm_turn *t, struct gm_assoc *a);  /* keys live until CLOSED */
struct gm_member *gm_ident_member(const struct gm_core *c, const struct gm_ident *ident, uint32_t group);
void gm_ident_drop_member(const struct gm_core *c, const struct gm_member *m); /* of its list */
struct gm_bar *gm_ident_bar(const struct gm_core *c, const struct gm_ident *ident, struct gm_bytes group);
bool gm_ident_revoked(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id); /* barred from everything */
void gm_bar_set(struct gm_turn *t, struct gm_ident *ident, struct gm_bytes group, int64_t until);
void gm_bar_forget(struct gm_core *c, struct gm_bar *bar); /* memory only, as what follows */
struct gm_bar *gm_bar_add(struct gm_core *c, struct gm_ident *ident, struct gm_bytes group, int64_t until);
void gm_bar_lift(struct gm_turn *t, struct gm_bar *bar);

/* group.c */
struct gm_group *gm_groups_at(const struct gm_core *c, uint32_t index);
struct gm_group *gm_groups_find(const struct gm_core *c, struct gm_bytes text);
struct gm_group *gm_groups_by_gid(const struct gm_core *c, struct gm_bytes gid);
void gm_groups_has_gid(struct gm_core *c, const struct gm_group *g); /* its first; a rekey leaves it where it stands */
struct gm_group *gm_groups_link(struct gm_core *c, uint32_t index,
                                const char *name); /* memory only; version 0, no sets */
struct gm_member *gm_groups_slot(const struct gm_core *c, const struct gm_group *g, uint32_t slot);
struct gm_member *gm_groups_node(const struct gm_core *c, const struct gm_group *g, struct gm_bytes node);
struct gm_member *gm_groups_member_new(struct gm_core *c, struct gm_group *g, uint32_t slot); /* memory only */
void gm_groups_member_free(struct gm_core *c, struct gm_member *m);                           /* memory only */
/* Before gm_groups_slots_done(): as if it had not been loaded. */
void gm_groups_member_unload(struct gm_core *c, struct gm_member *m);
/* As if its records had not been loaded, but for its place and those who hang on it. Then gm_groups_load() it, or unlink it. */
void gm_groups_unload(struct gm_core *c, struct gm_group *g);
struct gm_group *gm_groups_load(struct gm_core *c, uint32_t index, const char *name); /* linked, or unloaded before; NULL: it is loaded */
uint32_t gm_groups_free_slot(struct gm_group *g);
void gm_groups_slots_done(struct gm_group *g); /* after a load: the holes become free slots */
/* The Group Manager's own, for the group's present algorithms. RANGE, ROOM: params were not checked */
GM_NODISCARD enum gm_err gm_groups_new_credential(struct gm_turn *t, struct gm_group *g);
void gm_groups_unlink(struct gm_core *c, struct gm_group *g);

/* policy.c */
enum gm_who { GM_WHO_MEMBER = 1, GM_WHO_MONITOR = 2, GM_WHO_VERIFIER = 4, GM_WHO_TOKEN = 8 };
struct gm_call { /* a request on its way through the checks */
	const struct gm_ev_request *ev;
	struct gm_assoc *assoc;
	struct gm_ident *ident;
	struct gm_group *group;   /* NULL for /ace-group */
	struct gm_member *member; /* NULL: the caller is none */
	enum gm_waited waited;    /* for what: a Join, or an update of rights */
	bool held;                /* a Join whose rekey has happened */
};
typedef void (*gm_handler)(struct gm_turn *t, struct gm_call *call);
void gm_policy_request(struct gm_turn *t, struct gm_call *call); /* C4 to C7, then the handler */
bool gm_policy_spend(const struct gm_turn *t, struct gm_ident *ident); /* one change; false: its minute has no more */
bool gm_roles_may_join(uint32_t roles);

/* manage.c */
void gm_manage_request(struct gm_turn *t, const struct gm_call *call); /* all checks, then the operation */

/* token.c */
void gm_token_event(struct gm_turn *t, const struct gm_ev_token *ev);
/* claims: what an authorization server said of a token that was introspected; p == NULL: it is a CWT */
void gm_token_decide(struct gm_turn *t, const struct gm_ev_token *ev, struct gm_bytes claims);
void gm_token_rights(struct gm_turn *t, struct gm_call *call);
/* What kept a token out that ended at exp goes: the token stays ended, also when the clock is set back. */
void gm_token_forget(struct gm_turn *t, int64_t exp);
bool gm_token_has_ended(const struct gm_turn *t, int64_t exp);
enum gm_err gm_token_confirm(struct gm_turn *t, const struct gm_ev_request *ev, struct gm_assoc **out);
void gm_token_seen_drop(struct gm_turn *t, uint32_t as_id); /* all of an authorization server */
void gm_token_seen_move(struct gm_turn *t, uint32_t from, uint32_t to); /* and which have ended */
void gm_token_seen_end(struct gm_turn *t, struct gm_seen *s);
struct gm_seen *gm_token_seen_add(struct gm_core *c, uint32_t as_id, uint64_t seq, int64_t exp);
void gm_token_seen_unload(struct gm_core *c, uint32_t as_id, uint64_t seq); /* memory only */

/* revoke.c */
struct gm_revoked *gm_revoked_find(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH]);
/* Those that a token of as_id is refused for: its server's, the operator's; how many */
unsigned gm_revoked_of(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH],
                       struct gm_revoked *found[static 2]);
/* memory only; age: of the stored record, or one above revoked_serial */
struct gm_revoked *gm_revoked_add(struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH], int64_t exp,
                                  uint64_t age);
void gm_revoked_until(struct gm_turn *t, struct gm_revoked *r, int64_t exp); /* its token was seen: it ends then */
void gm_revoked_end(struct gm_turn *t, struct gm_revoked *r);
void gm_revoked_unload(struct gm_core *c, struct gm_revoked *r); /* memory only */
void gm_revoked_listed(struct gm_turn *t, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH], unsigned *evicted);
/* the list has it no more */
void gm_revoked_unlisted(struct gm_turn *t, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH]);
void gm_revoked_drop(struct gm_turn *t, struct gm_as *as); /* all of an authorization server */

/* introspect.c: event is a GM_EV_TOKEN with a reference, or a GM_EV_REQUEST whose update has one; it is copied */
/* OK: its answer comes later. TOKEN_KEY: there is nobody to ask; BUSY */
GM_NODISCARD enum gm_err gm_introspect_begin(struct gm_turn *t, const struct gm_rec *event);
void gm_introspect_answered(struct gm_turn *t, const struct gm_ev_answered *ev);
void gm_introspect_late(struct gm_turn *t, struct gm_ask *q);
void gm_introspect_release(struct gm_turn *t); /* all that are asked about are told to come again */
void gm_introspect_as_gone(struct gm_turn *t, uint32_t as_id);
void gm_introspect_free(struct gm_core *c);

/* trl.c */
void gm_trl_start(struct gm_turn *t, struct gm_as *as);
void gm_trl_due(struct gm_turn *t, struct gm_timer *timer);
void gm_trl_answered(struct gm_turn *t, const struct gm_ev_answered *ev);
bool gm_trl_number(uint32_t ask); /* an ask of ours */
/* All that was listed is carried out, and each list was read once or could not be, or its server had its time. */
bool gm_trl_settled(const struct gm_core *c, uint64_t mono_ms);
void gm_trl_free(struct gm_core *c, struct gm_as *as);
void gm_trl_info(const struct gm_as *as, struct gm_as_info *info);

/* member.c */
void gm_members_join(struct gm_turn *t, struct gm_call *call);
void gm_members_leave(struct gm_turn *t, struct gm_call *call);
void gm_members_keys(struct gm_turn *t, struct gm_call *call);
void gm_members_active(struct gm_turn *t, struct gm_call *call);
void gm_members_renew(struct gm_turn *t, struct gm_call *call);
void gm_members_recred(struct gm_turn *t, struct gm_call *call);
struct gm_member *gm_members_by_sid(const struct gm_core *c, const struct gm_group *g, const uint8_t *sid);
void gm_members_unobserve(struct gm_turn *t, struct gm_member *m, unsigned of); /* enum gm_obs; GM_OBS_N: all */
bool gm_members_late(const struct gm_group *g, const struct gm_member *m);
void gm_members_handed(struct gm_core *c, struct gm_member *m, uint64_t version); /* has the keys of version */
/* KG §10: out of the group, Sender ID stale, rekey asked. notice: what it is told, OK: nothing */
void gm_members_remove(struct gm_turn *t, struct gm_member *m, enum gm_err notice, enum gm_reason reason,
                       enum gm_haste haste);
struct gm_member_parts { /* of any length */
	struct gm_bytes cred, cnonce, path, scope;
};
struct gm_member_parts gm_members_parts(const struct gm_core *c, const struct gm_member *m);
struct gm_bytes gm_members_cred(const struct gm_core *c, const struct gm_member *m);
void gm_members_set_parts(struct gm_core *c, struct gm_member *m, const struct gm_member_parts *parts);
/* of: enum gm_obs; one that is not on is all zeros */
struct gm_observation gm_members_obs(const struct gm_core *c, const struct gm_member *m, unsigned of);
void gm_members_set_obs(struct gm_core *c, struct gm_member *m, unsigned of, const struct gm_observation *to);
enum gm_delivery gm_members_delivery(const struct gm_member *m);
uint32_t gm_sid_key(const uint8_t *sid, uint8_t n);

/* read.c: the resources that only read */
void gm_read_num(struct gm_turn *t, struct gm_call *call);
void gm_read_policies(struct gm_turn *t, struct gm_call *call);
void gm_read_stale_sids(struct gm_turn *t, struct gm_call *call);
void gm_read_creds(struct gm_turn *t, struct gm_call *call);
void gm_read_some_creds(struct gm_turn *t, struct gm_call *call);
void gm_read_kdc_cred(struct gm_turn *t, struct gm_call *call);
void gm_read_kdc_cred_fresh(struct gm_turn *t, struct gm_call *call);
void gm_read_verif_data(struct gm_turn *t, struct gm_call *call);
void gm_read_groups(struct gm_turn *t, struct gm_call *call);
/* The three pairs 13, 14, 15 that a Join asked for; malloc()ed into *out. */
size_t gm_creds_for_joiner(struct gm_turn *t, const struct gm_call *call, const struct gm_member *joiner, uint8_t **out);

/* The same pairs for those who were held for the latest rekey: nothing where there are none or too many. */
void gm_creds_of_joiners(struct gm_turn *t, const struct gm_group *g, struct gm_out *out);

/* rekey_plan.c */
void gm_plan_ask(struct gm_turn *t, struct gm_group *g, enum gm_reason reason, enum gm_haste haste);
void gm_plan_hold(struct gm_turn *t, const struct gm_call *call);
void gm_plan_step(struct gm_turn *t, struct gm_group *g, enum gm_reason why); /* or for what was asked for, where that is stronger */
void gm_plan_joined(struct gm_group *g, const struct gm_member *m); /* who was held for the step */
void gm_plan_due(struct gm_turn *t, struct gm_group *g);      /* its timer rang */
void gm_plan_keys_due(struct gm_turn *t, struct gm_group *g); /* schedule or end of the keys */
void gm_plan_arm(struct gm_turn *t, struct gm_group *g);
void gm_plan_arm_keys(struct gm_core *c, struct gm_group *g);
int64_t gm_plan_ahead(const struct gm_group *g); /* seconds before their end that keys are renewed */
void gm_plan_keys_linger(struct gm_group *g); /* the present ones, or their end, are about to change: members have these until they are told */
void gm_plan_delivered(struct gm_turn *t, const struct gm_ev_delivered *ev);
void gm_plan_resume(struct gm_turn *t, struct gm_group *g); /* the walk of the current version once more */
void gm_plan_owe_active(struct gm_turn *t, struct gm_group *g); /* the caller stores it */
void gm_plan_active_told(struct gm_turn *t, struct gm_group *g);
void gm_wait_add(const struct gm_core *c, struct gm_wait *w, const struct gm_call *call);
void gm_wait_supersede(struct gm_turn *t, struct gm_wait *w, const struct gm_ident *ident); /* 5.03 to what is older */
struct gm_held *gm_wait_take(struct gm_wait *w);
void gm_wait_answer(struct gm_turn *t, struct gm_held *held, enum gm_waited waited); /* and free; t NULL: free only */
struct gm_stale_set *gm_stale_of(const struct gm_group *g, uint64_t version); /* NULL: not kept */
void gm_stale_add(struct gm_turn *t, struct gm_group *g, const uint8_t *sid);
void gm_stale_put(struct gm_stale_set *s, const uint8_t *sid, uint8_t sid_len); /* memory only */
const char *gm_reason_text(enum gm_reason reason);

/* pause.c */
bool gm_pause_on(const struct gm_group *g);
bool gm_pause_holds(const struct gm_group *g); /* and no rekey waits that will end it */
void gm_pause_end(struct gm_turn *t, struct gm_group *g, const char *reason); /* if it is paused; the caller stores and tells */
void gm_pause_meets(struct gm_turn *t, struct gm_group *g, enum gm_reason reason); /* a rekey begins for it; the caller stores and tells */
int64_t gm_pause_until(const struct gm_group *g); /* the latest that there may be one; INT64_MAX: any time */
void gm_pause_due(struct gm_turn *t, struct gm_group *g); /* ends, stores and tells, if it is time */

/* rejoin.c */
void gm_rejoin_begin(struct gm_turn *t, struct gm_group *g); /* then expect() each that has to come again */
void gm_rejoin_expect(const struct gm_turn *t, struct gm_group *g, const struct gm_member *m);
bool gm_rejoin_expected(const struct gm_core *c, const struct gm_group *g, const struct gm_ident *ident);
void gm_rejoin_came(struct gm_turn *t, struct gm_group *g, struct gm_ident *ident); /* or never will */
bool gm_rejoin_first(const struct gm_core *c, const struct gm_call *call); /* others go before this Join */
enum gm_err gm_rejoin_hold(const struct gm_core *c, const struct gm_call *call); /* BUSY: too many wait */
void gm_rejoin_due(struct gm_turn *t, struct gm_group *g); /* all came, or its timer rang */

/* device.c */
struct gm_devices *gm_devices_new(void);
void gm_devices_free(struct gm_devices *d);
enum gm_err gm_device_load(struct gm_core *c, struct gm_bytes key, struct gm_bytes value);
void gm_device_unload(struct gm_core *c, struct gm_bytes key);
/* "as:...", "cred:...", a name: all whom it means, each once; 0: nobody known. free(*idents) */
unsigned gm_device_idents(const struct gm_core *c, const char *text, uint32_t **idents);
void gm_device_cred_is(struct gm_core *c, const struct gm_member *m, struct gm_bytes cred); /* from now on; n 0: it has none */
size_t gm_devices_bytes(const struct gm_core *c); /* of what it keeps for each member */
/* " name=\"...\"" for the end of a line of the log; empty: it has none. Good until the next call. */
const char *gm_device_logged(const struct gm_core *c, const struct gm_member *m);

/* schedule.c */
struct gm_schedules *gm_schedules_new(void);
void gm_schedules_free(struct gm_schedules *s);
enum gm_err gm_schedule_load(struct gm_core *c, struct gm_bytes key, struct gm_bytes value);
void gm_schedule_unload(struct gm_core *c, struct gm_bytes key);
void gm_schedules_due(struct gm_turn *t); /* each tick */
uint64_t gm_schedules_next_ms(const struct gm_core *c); /* until they have to be looked at again */

/* evict.c */
/* Identities of a device that an operator names: as many as the tokens that one credential came with. free(*idents) */
unsigned gm_evict_idents(const struct gm_core *c, const char *text, uint32_t **idents);
void gm_evict_expired(struct gm_turn *t, struct gm_assoc *a);
void gm_evict_all_of(struct gm_turn *t, struct gm_ident *ident, enum gm_err notice, enum gm_reason reason,
                     enum gm_haste haste, unsigned *evicted);

/* audit.c: fields that entries share, and whole entries. reason NULL: none */
struct gm_audit;
void gm_audit_group(struct gm_audit *a, const struct gm_group *g);
void gm_audit_keys(struct gm_audit *a, const struct gm_group *g);
void gm_audit_ident(struct gm_audit *a, const struct gm_core *c, const struct gm_ident *ident);
void gm_audit_member(struct gm_turn *t, const char *event, const struct gm_member *m, const char *reason);
void gm_audit_token(struct gm_turn *t, const char *event, const struct gm_assoc *a);
void gm_audit_rekey(struct gm_turn *t, const struct gm_group *g, uint64_t was, const char *reason);
void gm_audit_bar(struct gm_turn *t, const struct gm_ident *ident, struct gm_bytes group, int64_t until);
void gm_audit_as(struct gm_turn *t, const char *event, const struct gm_as *as);
void gm_audit_refused(struct gm_core *c, uint64_t *of, enum gm_err err); /* of: one of c->refused */
void gm_audit_refusals(struct gm_turn *t, bool at_once); /* an entry for all of them, now and then */

/* record.c: stored forms. put_: into the turn's changes; load_: CORRUPT */
void gm_record_put_as(struct gm_turn *t, const struct gm_as *as);
void gm_record_put_forgotten(struct gm_turn *t);
void gm_record_put_next_as(struct gm_turn *t);
void gm_record_put_group(struct gm_turn *t, const struct gm_group *g);
void gm_record_put_stale(struct gm_turn *t, const struct gm_group *g, uint32_t chunk); /* of the current version */
void gm_record_put_about(struct gm_turn *t, const struct gm_group *g);
void gm_record_put_member(struct gm_turn *t, const struct gm_member *m);
void gm_record_put_assoc(struct gm_turn *t, const struct gm_assoc *a);
void gm_record_put_gone(struct gm_turn *t, const struct gm_gone *gone);
void gm_record_put_bar(struct gm_turn *t, const struct gm_bar *bar);
void gm_record_bar_anew(struct gm_turn *t, struct gm_bar *bar); /* where it has the first form */
void gm_record_put_lease(struct gm_turn *t, unsigned shard);
void gm_record_put_seen(struct gm_turn *t, const struct gm_seen *s);
void gm_record_put_revoked(struct gm_turn *t, const struct gm_revoked *r);
void gm_record_remove_revoked(struct gm_turn *t, const struct gm_revoked *r);
void gm_record_put_ended(struct gm_turn *t, uint32_t as_id, uint64_t seq);
void gm_record_remove_ended(struct gm_turn *t, uint32_t as_id);
void gm_record_remove_as(struct gm_turn *t, const struct gm_as *as);
void gm_record_remove_gone(struct gm_turn *t, const struct gm_gone *gone);
void gm_record_remove_group(struct gm_turn *t, const struct gm_group *g);
void gm_record_remove_stale(struct gm_turn *t, const struct gm_group *g, uint64_t version, uint32_t sids);
void gm_record_remove_member(struct gm_turn *t, const struct gm_member *m);
void gm_record_remove_assoc(struct gm_turn *t, const struct gm_assoc *a);
void gm_record_remove_bar(struct gm_turn *t, const struct gm_bar *bar);
void gm_record_remove_seen(struct gm_turn *t, const struct gm_seen *s);

/* view.c: effects */
unsigned gm_owner_of(const struct gm_core *c, gm_ctx_id ctx);
void gm_tell_as(struct gm_turn *t, const struct gm_as *as, bool remove);
struct gm_ask_spec {
	uint32_t number;
	uint8_t method, observe; /* as in struct gm_eff_ask */
	const char *path;
	struct gm_bytes query, payload;
	int32_t content_format;
};
void gm_tell_ask(struct gm_turn *t, struct gm_as *as, const struct gm_ask_spec *spec);
void gm_tell_group(struct gm_turn *t, const struct gm_group *g, bool remove);
void gm_tell_active(struct gm_turn *t, const struct gm_group *g); /* the view, and its observers are told again */
void gm_tell_ctx(struct gm_turn *t, const struct gm_assoc *a, enum gm_ctx_op op);
void gm_tell_member(struct gm_turn *t, const struct gm_member *m, gm_ctx_id ctx, bool remove);
void gm_tell_cred(struct gm_turn *t, const struct gm_member *m, bool remove); /* what its Sender ID names; nothing for a monitor */
void gm_tell_evict(struct gm_turn *t, const struct gm_member *m, gm_ctx_id ctx, enum gm_err notice);
void gm_tell_lease(struct gm_turn *t, unsigned shard, bool boot, uint64_t resume);
void gm_tell_rekey(struct gm_turn *t, const struct gm_group *g);
void gm_tell_ready(struct gm_turn *t);
#define GM_CF_NONE (-1)
void gm_reply(struct gm_turn *t, const struct gm_ev_request *ev, uint8_t code, uint8_t flags, int32_t cf,
              struct gm_bytes payload);
/* 2.01 with Location-Path manage/name */
void gm_reply_location(struct gm_turn *t, const struct gm_ev_request *ev, int32_t cf, struct gm_bytes payload,
                       struct gm_bytes name);
/* body is malloc()ed and given away. */
void gm_reply_big(struct gm_turn *t, const struct gm_ev_request *ev, uint8_t code, int32_t cf, uint8_t *body, size_t n);
void gm_reply_nothing(struct gm_turn *t, const struct gm_ev_request *ev); /* 2.05 with an empty byte string */
/* 2.04 with the group's present keys in the form of a rekeying message; full: with the algorithms */
void gm_reply_rekey(struct gm_turn *t, const struct gm_ev_request *ev, const struct gm_group *g, bool full);
void gm_reply_err(struct gm_turn *t, const struct gm_ev_request *ev, enum gm_err err);

#endif
