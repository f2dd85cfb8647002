/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker owns. Everything here belongs to one thread; the rings are the only way in and out. */
#ifndef GM_WORK_WORKER_H
#define GM_WORK_WORKER_H

#include <pthread.h>

#include "gm/crypto.h"
#include "gm/dp.h"
#include "gm/pool.h"
#include "gm/ring.h"
#include "port/port.h"
#include "wire/coap.h"
#include "wire/cose.h"
#include "wire/groupcomm.h"
#include "wire/oscore.h"
#include "wire/oscore_many.h"
#include "wire/proof.h"
#include "work/admit.h"
#include "work/domain.h"
#include "work/roster.h"
#include "work/stranger.h"
#include "work/wheel.h"

#define BURST GM_PORT_BURST
#define TURN_MAX 1024u          /* datagrams taken from the network in a turn: under backlog, as many signatures in one call */
#define TEXT_MAX 2048u          /* longest datagram a worker opens */
#define STANDINGS 65536u
#define TEXTS (1u << 20)        /* bytes that wait in a turn: opened messages, posted tokens */
#define BLOCK_SZX 6u            /* 1,024 bytes: the largest payload sent in one piece */
#define CONTROL_PATH_MAX 64u
#define PENDING_MS 60000u       /* a pending context lives this long */
#define EXCHANGE_LIFETIME_MS 247000u /* RFC 7252 §4.8.2 */
#define EMPTY_ACK_MS 500u       /* a protected answer that takes longer gets an empty ACK ahead */
#define AMPLIFY 3u              /* a source that may be forged gets so many times the bytes it sent. RFC 9175 §2.4 */
#define BODY_IDLE_MS 60000u
#define REQUEST_MAX 8192u       /* longest request that is taken by blocks */
#define UPLOADS_MAX 4096u       /* such requests at a time, in a worker */
#define BODIES_MAX (64u << 20)  /* bytes kept for block-wise transfers, in a worker */
#define SNAPSHOT_MIN (16u << 10) /* a body so long is looked for among those of others */
#define SNAPSHOTS 8u
#define RESPONSE_WAIT_MS 30000u /* after an empty ACK, for the separate response */
#define EXCHANGES_MAX 65536u
#define REPEATS 4096u           /* remembered answers to token POSTs */
#define MID_WORKER_SHIFT 12u    /* upper bits of the Message IDs we choose name the worker */
#define LINKS_MAX 64u           /* to authorization servers */
#define LINK_TOKEN 7u           /* length of tokens towards them; those towards members have 8 */

/* ---- records */

struct blob { /* bytes of any length, reference counted inside one worker */
	uint32_t refs;
	uint32_t n;
	uint8_t bytes[];
};

enum ctx_state { CTX_FREE, CTX_PENDING, CTX_LIVE, CTX_CLOSING, CTX_WIPING };

struct ctx { /* an association with a client; secret */
	struct gm_oscore_keys keys;
	uint8_t state, gen;
	bool need_echo : 1; /* loaded from the store: the replay window is unknown */
	bool resume : 1;    /* the next sequence number is the shard's resume point */
	bool has_last : 1;
	bool in_lane : 1;   /* it has a place with the pacer */
	bool moved : 1;     /* core does not know peer yet */
	bool last_acked : 1; /* the last CON, by an empty ACK: its answer is a message of its own */
	uint8_t last_piv_n, last_piv[GM_OSCORE_PIV_MAX];
	uint8_t n_s[8];
	uint16_t last_mid, next_mid;
	struct gm_addr peer, local; /* of the latest fresh request */
	union {
		uint32_t members;   /* list of mirrors */
		uint32_t next_free; /* while CTX_FREE */
	};
	uint32_t xid;          /* exchange of the last CON while core has it */
	uint32_t out;          /* message of ours in flight: NSTART = 1 */
	uint32_t extra;        /* gm_ctx_extra() */
	uint32_t saved_timer;
	struct blob *saved;    /* sealed bytes of the last answer that must not be made again */
	uint64_t seq, last_ms;
	struct gm_oscore_window window;
};
_Static_assert(sizeof(struct ctx) <= 224, "there may be a million of them");

struct extra { /* of a context, while there is something in it; secret */
	struct blob *pending;  /* struct pending, while CTX_PENDING */
	struct blob *body;     /* payload being fetched by blocks */
	struct blob *upload;   /* request that comes by blocks, room for REQUEST_MAX */
	uint64_t body_etag;    /* 0: none */
	uint32_t pending_timer, body_timer, upload_timer;
	uint32_t body_key;     /* what request body answers: method and path */
	uint32_t body_content; /* and the hash of its payload; 0: it had none */
	int32_t body_format;
	uint32_t upload_n, upload_key;
	uint8_t body_code;
	bool body_counted; /* body is, in worker.bodies */
};

struct pending { /* head of ctx.pending and xch.blob; the claims and texts follow */
	uint32_t as_id, post;
	int64_t exp, exi;
	uint8_t hash[GM_TOKEN_HASH];
	struct gm_slice claims, nonce1, id1, cti, scope, osc_id; /* relative to this struct */
};

struct shard {
	struct ctx *ctx; /* cap of them; address space only until used */
	size_t locked;   /* bytes of it that were to be locked */
	uint32_t cap, made, free; /* free: slot + 1 */
	uint64_t until, resume;   /* leased sequence numbers end here; where loaded contexts go on */
	bool asked, unheard; /* a lease is on its way; the ring was full */
};

#define NODE_NAME 8u
struct member { /* mirror of a membership whose context is ours */
	gm_ctx_id ctx;
	uint32_t group, slot;
	uint32_t next_ctx, next_group, prev_group;
	uint32_t text; /* in worker.strings: the path of control_uri; the scope of the latest Join, where it is not the usual bytes */
	uint32_t obs;  /* in worker.strings: struct gm_observation for each bit of obs_on */
	uint64_t configured; /* it confirmed the changed configuration that the walk of this version brought; 0: none */
	uint64_t confirmed, wanted; /* versions: confirmed by it; the walk came by and it has to be told */
	uint16_t control_port, scope_n;
	uint8_t control_n, roles;
	uint8_t sid_n, sid[GM_ID_LEN_MAX];
	uint8_t delivery, obs_on;
	uint8_t notice; /* enum gm_err of the one notice to come; the mirror goes after it */
	bool waiting : 1;     /* counted in walk.open, not in flight */
	bool tell_active : 1; /* the group went active or inactive, and it observes that */
	uint8_t node_n;
	char node[NODE_NAME];
};
_Static_assert(sizeof(struct member) <= 88, "there may be a million of them");

struct walk { /* one version being handed out */
	uint64_t version;
	uint32_t cursor; /* next member */
	uint32_t stop;   /* begun in the middle, where the last one was cut off: ends here after the wrap; 0: at the tail */
	bool wrapped;
	uint32_t behind; /* next of those whose turn came while it was paused; 0: none is left */
	uint32_t open;   /* told to come or in flight */
	bool active, told;
	struct blob *post, *obs, *config; /* config: goes before post; NULL: none */
};

struct group {
	bool used;
	struct gm_group_view view;
	struct gm_group_params params;
	struct gm_key_pair kdc;
	uint32_t head, members; /* list of mirrors */
	struct walk walk;
	bool paused;  /* the walk comes to nobody new; what is in flight is sent again */
	bool telling; /* those who observe active are told, tell_cursor is next */
	uint32_t tell_cursor;
	uint32_t next_walk, prev_walk; /* place + 1 of its neighbours in the ring of groups that walk or tell; 0: it is not in it */
	uint32_t fates_n;
	struct { uint32_t slot; uint8_t fate, tries; } fate[64];
};

struct as {
	bool used;
	uint32_t id; /* never one that another server had */
	bool empty_salt_item, cnonce;
	uint8_t cnonce_key[16];
	struct gm_cose_key key;
	bool has_point;
	struct gm_ed25519_point point; /* of an Ed25519 key */
	char uri[129], aud[129];
	bool introspect, strict;
	bool linked; /* its owner has a link to it, at: */
	struct gm_addr link_peer;
};

struct xch { /* a request on its way through core */
	struct gm_addr peer, local;
	gm_ctx_id ctx; /* of protected ones */
	struct gm_oscore_request request;
	struct blob *blob; /* token POST: struct pending */
	uint32_t timer;
	uint32_t key, content; /* of block-wise transfers */
	uint16_t mid;
	uint8_t type, token_len, token[8];
	uint16_t datagram_n; /* bytes of the request */
	bool live, protected_, acked, observe, has_block1, has_block2;
	bool shown, reference; /* of a token POST: its sender has shown its address; somebody has to be asked about it */
	struct gm_coap_block block1, block2;
	uint8_t handler;  /* enum gm_handler */
	uint32_t came_us; /* of worker.now_us when it was found */
};

enum out_kind { OUT_REKEY, OUT_CONFIG, OUT_NOTICE, OUT_ACTIVE, OUT_SEPARATE };

struct out { /* a confirmable message of ours in flight */
	struct gm_addr peer, local;
	gm_ctx_id ctx;
	uint32_t member; /* all but SEPARATE */
	uint32_t timer, next_hash;
	uint32_t hash; /* of peer and mid */
	uint32_t timeout_ms;
	uint64_t first_us, version, seq;
	struct blob *body; /* REKEY, CONFIG, ACTIVE: payload, shared; SEPARATE: the sealed datagram */
	uint32_t group;
	uint16_t mid;
	uint8_t kind, tries, delivery;
	uint8_t obs;  /* enum gm_obs: the observation that DELIVER_OBSERVE answers to */
	bool waiting; /* empty ACK came, the response has not */
	bool due;     /* waits for the pacer, to be sent for the first time or again */
	uint16_t domain;   /* network with a pace of its own, 0: none */
	uint32_t begun_ms; /* sent for the first time; lower bits of the clock */
	uint32_t block;   /* REKEY: which block of the body; a body of one datagram is block 0 */
	uint8_t nonce[4]; /* second half of our token */
};

struct kept_keys { /* what the last GET of a group was answered with; secret */
	uint32_t group;
	int64_t wall_s; /* what is left of the keys' life is in it */
	size_t n;       /* 0: nothing */
	uint8_t bytes[512];
};

#define NO_LANE UINT16_MAX
struct pace { /* the pacer */
	_Atomic uint32_t rate; /* for all, over all workers; set by the core thread. 0: no limit */
	double tokens; /* of the bucket for all */
	uint64_t tokens_ns;
	struct lane *lane; /* by number of their network, 0: all that have no pace of their own */
	uint16_t head, last; /* lanes where somebody waits */
	unsigned lanes_n;
	struct gm_slab places;
	uint64_t due_ns; /* when to look at them next */
	bool paid;       /* what is being sent has its token */
};

struct repeat { /* answer to an unprotected request, for its duplicates */
	struct gm_addr peer;
	uint16_t mid;
	uint8_t token_len, token[8];
	uint16_t datagram_n; /* bytes of the request */
	uint32_t xid; /* core has it still; 0: answered, or: */
	bool waits;   /* for its signature to be verified, in this turn */
	uint64_t at_ms;
	struct blob *answer;
};

/* ---- one turn's batches */

struct plain_post { /* plaintext of the rekeying messages that a box has for several members */
	struct blob *body;
	uint32_t block;
	uint8_t kind, delivery, control_n;
	char control[CONTROL_PATH_MAX];
	uint16_t n;
	uint8_t bytes[GM_DGRAM_TX_CAP];
};

struct box { /* datagrams on their way out: sealed together, sent together */
	unsigned n, jobs_n, posts_n, plains_n;
	struct gm_oscore_post post[BURST]; /* laid out when they are sealed, unlike those of job */
	uint8_t post_at[BURST];            /* their places in d */
	struct plain_post plain[BURST];
	struct gm_dgram d[BURST];
	struct gm_aead_job job[BURST];
	struct gm_oscore_scratch scratch[BURST];
	/* save: keep the bytes for a repeat; out: for retransmission; timed: it answers a request that came then, handler says which */
	struct { bool job, save, timed; uint8_t handler; gm_ctx_id ctx; uint32_t out, came_us; } of[BURST];
	bool timed; /* one of them, maybe */
};

struct opening { /* a protected message between parse and verdict */
	const struct gm_coap *m; /* while it is parsed: borrows from the datagram */
	struct { uint8_t type, code, token_len, token[GM_COAP_TOKEN_MAX]; uint16_t mid; } outer;
	struct gm_oscore_option option;
	struct gm_oscore_request request;
	struct gm_addr peer, local;
	uint16_t datagram_n;
	gm_ctx_id ctx;
	uint32_t out;     /* response to this message of ours; 0: a request */
	bool repeat;      /* of the last CON, whose answer was a read */
	uint64_t seq;
	uint8_t *text;    /* plaintext, once opened */
	uint32_t parked;  /* its bytes are there, should it have to wait; 0: they are not */
	uint8_t handler;
	uint32_t came_us;
};

struct posted_token { /* between parse and verdict on its signature */
	struct xch x;
	struct gm_bytes payload; /* of the request, and what is signed: in worker.strings */
	struct gm_bytes signed_, sig;
	int32_t format;
	uint32_t as; /* place in worker.as of the key that it may be under */
	bool good;
};

struct sigs { /* signatures that are verified together, and where each verdict goes */
	unsigned n;
	struct gm_ed25519_job job[2 * TURN_MAX];
	const struct gm_ed25519_point *point[2 * TURN_MAX]; /* of the key, NULL: not at hand */
	bool *good[2 * TURN_MAX];
};

struct checked { /* a Join, or an upload of a credential, between parse and verdict on its signature */
	struct opening *o;
	struct gm_coap inner;
	enum gm_res res;
	struct gm_join_request join; /* of an upload: cred, verify, cnonce */
	enum gm_err parse, cred;
	uint32_t group_gen;
	const struct group *proof; /* that the proof of possession is for; NULL: there is none to be checked */
	bool good, control_ok; /* good: it is */
	struct gm_uri uri;
	struct blob *hold; /* the request's payload, where it came by blocks */
	uint8_t scope[GM_GROUP_NAME_MAX + 16];
	struct gm_cred_pub pub;
	uint8_t pop_input[512];
	size_t pop_n;
};

struct making { /* a context between core's yes and its keys; secret */
	uint32_t xid;
	gm_ctx_id ctx;
	const struct gm_eff_token *e; /* in worker.texts */
	struct gm_oscore_input input; /* borrows from the exchange's blob, and: */
	uint8_t rid[4], salt[256];
};

struct signing { /* a Join Response, or the Group Manager's credential, between decision and signature */
	uint32_t xid, group, slot;
	gm_ctx_id ctx;
	bool kdc_cred; /* the credential alone */
	uint8_t code, kdc_nonce[8], cnonce[GM_NONCE_MAX];
	uint8_t cnonce_n;
	uint8_t *creds;
	size_t creds_n;
	uint8_t pop[128], sig[GM_PROOF_MAX];
	size_t pop_n, sig_n;
	struct gm_cred_pub peer; /* in groups of pairwise mode only */
};

struct park { /* datagrams: of this turn, and before those that wait */
	uint8_t *bytes;
	size_t n, cap, waiting; /* waiting: bytes of those from earlier turns */
	size_t looked;          /* bytes of those that were looked at since nothing waits any more */
	size_t strangers;       /* bytes of requests that nothing protects */
};

struct worker {
	struct gm_dp *dp;
	unsigned index, workers;
	const struct gm_port_ops *ops;
	struct gm_port *port;
	struct gm_dp_config config;
	struct gm_ring *up, *down;
	struct gm_ring *hop_in[GM_WORKERS_MAX]; /* from each of the others */
	unsigned hop_next; /* whose hops are taken next */
	uint64_t now_ns, now_ms, busy_ms; /* busy_ms: when a message was last seen in flight, or room for more */
	uint32_t burst_made;
	int64_t wall_s;
	uint32_t now_us, came_us; /* of now_ns, lower bits; when what is being looked at was found, by whichever worker */
	bool unheard; /* of a shard */
	bool ready, woke_core, hopped[GM_WORKERS_MAX];
	uint64_t later_ns; /* when core is woken for what it need not be told at once; 0: there is nothing */
	uint8_t boot[16]; /* secret of this start: Echo values, hashes */
	uint64_t random; /* what gm_worker_random() draws from, half by half */
	uint32_t turn_random;

	struct shard *shard[GM_SHARDS]; /* ours; NULL: another worker's */
	uint32_t next_ctx; /* counts contexts that are made: RUN in a shard, then the next one */
	unsigned shards_n;
	size_t slots_made; /* of all of them */
	struct gm_slab extras, members, xchs, outs;
	struct gm_pool strings;
	struct gm_wheel wheel;
	struct group **group;
	uint32_t groups_cap, groups_made;
	uint32_t *names; /* open addressing: group index + 1 */
	uint32_t keys_of[BURST], keys_n; /* groups whose key pair is still to be made */
	struct kept_keys kept_keys;
	uint32_t names_cap, names_n, names_moved; /* moved: grows with each group that comes or goes */
	struct as as[64];
	struct link *as_links[LINKS_MAX]; /* those that are ours; NULL: none */
	size_t let_go;      /* bytes of saved answers that went, since free memory went back to the system */
	uint32_t *out_hash; /* (peer, mid) -> out */
	uint32_t out_hash_mask;
	struct repeat *repeats;
	struct strangers strangers;
	struct { uint64_t etag; struct blob *body; } snapshots[SNAPSHOTS]; /* long bodies that several contexts fetch */
	size_t bodies;
	struct links { uint64_t key; uint32_t names_moved; struct blob *body; } links[2]; /* /.well-known/core */
	unsigned uploads;
	struct pace pace;
	uint32_t walk_next;  /* place + 1 of the group whose walk goes on, in the ring of them; 0: there is none */
	uint32_t walking;    /* groups in that ring; those that have just ended, too */
	uint32_t credit;     /* messages that walks may send before one is answered */
	uint64_t heard_ns;   /* when one was, or credit was given without */
	uint64_t walked;     /* messages of walks and lanes, sent or lost on the way out */
	unsigned walks;      /* active, and those that tell of active */
	bool lanes_first;    /* else the walks: who sent least lately, of two */

	struct box box;
	struct gm_dgram answer[TURN_MAX]; /* received in this turn, to be looked at once its requests are on their way */
	unsigned answers_n;
	/* What a turn has brought. Openings from openings_at on wait for their call; those before, and all of texts, stay for
	 * the signatures, which are verified last. */
	unsigned openings_n, openings_at, joins_n, tokens_n, signings_n, makings_n;
	size_t texts_n;
	struct opening opening[TURN_MAX];
	struct gm_aead_job open_job[BURST];
	struct gm_oscore_scratch open_scratch[BURST];
	struct checked join[TURN_MAX];
	struct posted_token token[TURN_MAX];
	struct sigs sigs;
	struct gm_ed25519_policy join_policy, newcomer_policy, token_policy;
	void *sig_room; /* what a batch of TURN_MAX computes in */
	uint8_t standing[STANDINGS]; /* of signers, by a hash of their keys */
	struct admission admission;
	struct signing signing[BURST];
	struct making making[BURST];
	_Alignas(16) uint8_t texts[TEXTS];
	uint8_t plain[GM_DGRAM_TX_CAP];
	uint8_t big[1u << 16];

	bool parks; /* in this turn, requests that need core wait */
	struct park park;
	_Atomic int parked, halted; /* as core asked for; halted 2: and no other worker sends anything over */

	struct gm_worker_stats stats;
	pthread_t thread;
	_Atomic int asleep, stop;
	enum gm_err opened;
	int opened_errno;
};

struct gm_dp {
	struct gm_dp_config config;
	struct worker *worker[GM_WORKERS_MAX];
	struct gm_domains *domains; /* NULL: none */
	struct gm_roster *roster;
	_Atomic int park, halt; /* asked for by core: carry.c */
	pthread_mutex_t lock;
	pthread_cond_t started;
	unsigned started_n;
};

/* Written by this worker alone: others may look, but nothing has to be locked. */
#define ADD(w, name, n)                                                                                                \
	atomic_store_explicit(&(w)->stats.name, atomic_load_explicit(&(w)->stats.name, memory_order_relaxed) + (n),    \
	                      memory_order_relaxed)
#define COUNT(w, name) ADD(w, name, 1)
#define SET(w, name, v) atomic_store_explicit(&(w)->stats.name, (v), memory_order_relaxed)
void gm_work_hist(_Atomic uint64_t *hist, uint64_t v); /* log2 buckets */

/* ---- records by their handles */
static inline struct ctx *gm_ctx_at(const struct worker *w, gm_ctx_id id) /* NULL: not ours, free, or of another generation */
{
	const struct shard *s = w->shard[GM_CTX_SHARD(id)];

	if (!s || GM_CTX_SLOT(id) >= s->made)
		return NULL;
	struct ctx *c = &s->ctx[GM_CTX_SLOT(id)];
	return c->state != CTX_FREE && c->gen == GM_CTX_GEN(id) ? c : NULL;
}

static inline void gm_ctx_ahead(const struct worker *w, gm_ctx_id id) /* it will be looked at soon; any id */
{
	const struct shard *s = w->shard[GM_CTX_SHARD(id)];

	if (s && GM_CTX_SLOT(id) < s->made)
		gm_ahead(&s->ctx[GM_CTX_SLOT(id)], sizeof *s->ctx);
}

static inline struct group *gm_group_at(const struct worker *w, uint32_t index) /* NULL: none */
{
	return index < w->groups_cap && w->group[index] && w->group[index]->used ? w->group[index] : NULL;
}

static inline struct member *gm_member_at(const struct worker *w, uint32_t h)
{
	return gm_slab_at(&w->members, h);
}

static inline struct out *gm_out_at(const struct worker *w, uint32_t h)
{
	return gm_slab_at(&w->outs, h);
}

/* ---- blobs */
struct blob *gm_blob_new(size_t n);
struct blob *gm_blob_copy(const void *p, size_t n);
struct blob *gm_blob_ref(struct blob *b);
void gm_blob_drop(struct blob **b); /* wipes the last */

/* ---- worker.c */
struct worker *gm_worker_new(struct gm_dp *dp, unsigned index);
void gm_worker_free(struct worker *w);
GM_NODISCARD bool gm_dp_tables(struct gm_dp *dp); /* what workers share: networks, the roster; false: no memory */
void gm_dp_tables_free(struct gm_dp *dp);
bool gm_worker_turn(struct worker *w); /* true: something was done */
void gm_worker_wake_others(struct worker *w); /* those to whom something was sent over */
void gm_worker_rest(struct worker *w); /* before it sleeps: statistics, memory that goes back */
uint64_t gm_worker_timeout_ns(struct worker *w);
/* Event record of size bytes, zeroed, with room for more behind; NULL: the ring is full. */
void *gm_worker_event(struct worker *w, enum gm_ev type, size_t size, size_t more);
void gm_worker_event_done(struct worker *w, struct gm_rec *rec);
void gm_worker_event_later(struct worker *w, struct gm_rec *rec); /* core may hear of it some turns later */
struct gm_slice gm_rec_append(struct gm_rec *rec, const void *p, size_t n);
uint32_t gm_worker_random(struct worker *w);
uint32_t gm_worker_hash(const struct worker *w, const void *p, size_t n);

/* ---- shard.c */
struct ctx *gm_ctx_make(struct worker *w, const struct gm_oscore_id *not_this, gm_ctx_id *id); /* NULL: full */
struct ctx *gm_ctx_load(struct worker *w, gm_ctx_id id);
void gm_ctx_wipe(struct worker *w, gm_ctx_id id);
/* Take a sender sequence number. SEQ_UNLEASED, SEQ_SPENT */
GM_NODISCARD enum gm_err gm_ctx_take_seq(struct worker *w, gm_ctx_id id, struct ctx *c, uint64_t *seq);
uint16_t gm_ctx_mid(struct worker *w, struct ctx *c);
struct extra *gm_ctx_extra(struct worker *w, const struct ctx *c); /* NULL: there is none */
struct extra *gm_ctx_need_extra(struct worker *w, struct ctx *c);  /* NULL: out of memory */
void gm_ctx_tidy(struct worker *w, struct ctx *c);                 /* its extra goes if nothing is in it */
void gm_ctx_pend(struct worker *w, struct ctx *c, gm_ctx_id id, uint64_t ms); /* pending_due() after so long; 0: never */
void gm_ctx_save_answer(struct worker *w, struct ctx *c, gm_ctx_id id, const uint8_t *p, size_t n);
void gm_ctx_forget_answer(struct worker *w, struct ctx *c);
void gm_ctx_forget_body(struct worker *w, struct ctx *c);
/* ---- snapshot.c: what is fetched by blocks */
/* c->body becomes a copy of payload, or the same one that others fetch. false: BODIES_MAX would be passed */
bool gm_body_keep(struct worker *w, struct ctx *c, struct gm_bytes payload);
void gm_body_drop(struct worker *w, struct ctx *c);
void gm_bodies_free(struct worker *w);
/* ---- upload.c: requests that come by blocks. RFC 7959 §2.5 */
/* One more block. The whole payload with its last, NULL: it was answered, with 2.31 or an error. The caller drops it. */
struct blob *gm_upload_take(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m);
void gm_upload_drop(struct worker *w, struct ctx *c);
void gm_ctx_fill_save(const struct ctx *c, gm_ctx_id id, struct gm_ctx_save *save);
void gm_shards_ask(struct worker *w); /* leases that could not be asked for */
void gm_shards_init(struct worker *w);
void gm_shards_free(struct worker *w);
size_t gm_shards_bytes(const struct worker *w);

/* ---- view.c */
struct group *gm_group_named(struct worker *w, struct gm_bytes name);
struct gm_bytes gm_member_control(const struct worker *w, const struct member *m); /* path */
struct gm_bytes gm_member_scope(const struct worker *w, const struct member *m);
struct gm_observation gm_member_obs(const struct worker *w, const struct member *m, unsigned of); /* zeros: not on */
struct member *gm_member_of(struct worker *w, const struct ctx *c, uint32_t group, uint32_t *h);
void gm_member_unlink(struct worker *w, uint32_t h); /* from its group; the walk goes on without it */
void gm_member_free(struct worker *w, uint32_t h);   /* from its context and the slab */
void gm_view_group(struct worker *w, const struct gm_eff_group *e);
void gm_view_keys(struct worker *w); /* the Group Manager's, of groups that came since */
void gm_view_member(struct worker *w, const struct gm_eff_member *e);
void gm_view_as(struct worker *w, const struct gm_eff_as *e);
struct as *gm_as_at(struct worker *w, uint32_t id); /* NULL: not trusted any more */
void gm_view_free(struct worker *w);
size_t gm_view_bytes(const struct worker *w);
struct gm_keying gm_view_keying(struct worker *w, const struct group *g, struct gm_bytes sid);

/* ---- out.c: the box, answers */
struct gm_dgram *gm_box_add(struct worker *w, const struct gm_addr *peer, const struct gm_addr *local); /* NULL: no room */
void gm_box_drop_last(struct worker *w);
void gm_box_flush(struct worker *w);
struct answer {
	uint8_t code;
	int32_t format;
	uint32_t max_age, size1; /* size1 0: none */
	uint64_t etag; /* 0: none */
	bool has_max_age, observe, save;
	bool own_piv; /* nonce of ours: repeated reads and Echo */
	struct gm_bytes location_manage, location_group, location_node, echo;
	struct gm_bytes payload;
};
void gm_answer(struct worker *w, struct ctx *c, const struct xch *x, const struct answer *a);
/* What names the request that a body answers: method and path. */
uint32_t gm_body_key(struct worker *w, uint8_t method, const struct gm_bytes *path, unsigned n);
/* A later block of c->body; repeat: of a request answered before. */
void gm_answer_block(struct worker *w, struct ctx *c, const struct xch *x, bool repeat);
void gm_answer_err(struct worker *w, struct ctx *c, const struct xch *x, enum gm_err err);
struct plain { /* an unprotected answer */
	uint8_t code;
	int32_t format;
	bool max_age_0;
	uint32_t max_age; /* 0: not said */
	const struct gm_coap_block *block2; /* NULL: none */
	struct gm_bytes echo;
	struct gm_bytes payload;
};
void gm_answer_plain(struct worker *w, const struct xch *x, const struct plain *a, struct blob **keep);
void gm_send_empty(struct worker *w, const struct gm_addr *peer, const struct gm_addr *local, uint8_t type, uint16_t mid);
GM_NODISCARD uint32_t gm_xch_put(struct worker *w, const struct xch *x);          /* hand to core; 0: full */
struct xch *gm_xch_at(struct worker *w, uint32_t xid);              /* NULL: gone */
void gm_xch_done(struct worker *w, uint32_t xid);

/* ---- handlers.c */
uint8_t gm_handler_of(enum gm_res res, uint8_t method); /* enum gm_handler */
void gm_handler_answered(struct worker *w, const struct xch *x, uint8_t code); /* by the last of the box */
void gm_handler_sent(struct worker *w, unsigned n); /* the first n of the box */

/* ---- check.c */
void gm_check_datagram(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer,
                       const struct gm_addr *local, bool hopped);
void gm_check_ahead(struct worker *w, const struct gm_dgram *d, unsigned n); /* these are next */
void gm_check_park_hops(struct worker *w); /* they wait */
unsigned gm_check_hops(struct worker *w); /* what other workers sent over; returns how many */
void gm_check_finish(struct worker *w); /* open, verify, hand up what the datagrams brought */
uint8_t *gm_texts_take(struct worker *w, size_t n); /* room until then; NULL: none is left */
void gm_texts_trim(struct worker *w, const uint8_t *last, size_t n); /* what was taken last needs no more */
/* The verdict on a Join or an upload: up to core. */
void gm_check_verified(struct worker *w, struct checked *k);

/* 0: it is taken on; else it has to be refused, with this Max-Age. who: names the client */
uint32_t gm_worker_admit(struct worker *w, enum work what, const void *who, size_t n);
uint32_t gm_worker_later(struct worker *w); /* Max-Age of any other 5.03 of ours: spread, too */

/* ---- read.c: what is answered without core */
void gm_read_ahead(struct worker *w, unsigned n, uint64_t good); /* n openings from openings_at on are next */
/* false: core has to decide */
bool gm_read_here(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, enum gm_res res, bool repeat);

/* ---- verify.c: the signatures of a turn */
bool gm_verify_waits(const struct worker *w);
void gm_verify(struct worker *w);

/* ---- token.c */
void gm_token_check(struct worker *w, const struct gm_coap *msg, const struct xch *x);
void gm_token_verified(struct worker *w, const struct posted_token *t, bool good);
/* Update of rights: the verdict on the token in msg, as a record behind rec and its slice; needs TEXT_MAX of room. */
struct gm_slice gm_token_update(struct worker *w, struct gm_rec *rec, const struct gm_coap *msg);
void gm_token_effect(struct worker *w, const struct gm_eff_token *e);
void gm_token_make(struct worker *w); /* the contexts that these asked for */
void gm_token_hints(struct worker *w, const struct xch *x);

/* ---- links.c: /.well-known/core. RFC 6690 */
bool gm_links_is(const struct gm_coap *m);
void gm_links_free(struct worker *w);
void gm_links_plain(struct worker *w, const struct gm_coap *m, const struct xch *x);
void gm_links_protected(struct worker *w, struct ctx *c, const struct gm_coap *m, const struct xch *x, bool repeat);

/* ---- retry.c */
enum timer_kind { TIMER_OUT, TIMER_XCH, TIMER_PENDING, TIMER_SAVED, TIMER_BODY, TIMER_UPLOAD, TIMER_LINK };
void gm_timers_run(struct worker *w);
GM_NODISCARD uint32_t gm_out_new(struct worker *w, struct ctx *c, const struct out *o); /* not sent yet; 0: full */
uint32_t gm_out_find(struct worker *w, const struct gm_addr *peer, uint16_t mid);
void gm_out_sent(struct worker *w, uint32_t h); /* arms the timer */
void gm_out_end(struct worker *w, uint32_t h, bool confirmed);
void gm_out_acked(struct worker *w, uint32_t h);
void gm_out_rst(struct worker *w, uint32_t h);

void gm_out_again(struct worker *w, uint32_t h); /* the pacer lets it through */

/* ---- pace.c */
GM_NODISCARD bool gm_pace_init(struct worker *w);
void gm_pace_free(struct worker *w);
bool gm_pace(struct worker *w);       /* takes from the bucket for all; false: it is empty */
bool gm_pace_ready(struct worker *w); /* enough for a batch is in it */
void gm_pace_owe(struct worker *w);   /* one message did not wait for its turn: the next ones wait the longer, a second at most */
uint16_t gm_pace_lane(const struct worker *w, const struct ctx *c);
/* The context waits in that lane till its message may leave, the one in flight again or the next. false: no place */
bool gm_pace_wait(struct worker *w, struct ctx *c, gm_ctx_id id, uint16_t lane, bool again);
void gm_pace_out(struct worker *w, uint32_t h); /* the message waits */
bool gm_pace_step(struct worker *w); /* up to a burst; true: something was sent */
void gm_pace_spend(struct worker *w); /* what was saved for a burst is gone: a walk goes on in a network that may be in trouble still */
uint64_t gm_pace_sleep_ns(struct worker *w); /* until a lane may be served, UINT64_MAX: nobody waits */

/* ---- rekey.c */
/* The member has taken a block: the next one follows. false: there is none, or it is not what was asked. */
bool gm_rekey_next_block(struct worker *w, uint32_t h, const struct gm_coap *answer);
void gm_rekey_start(struct worker *w, const struct gm_eff_rekey *e);
void gm_rekey_pause(struct worker *w, struct group *g, bool paused);
void gm_walk_skip(struct group *g, uint32_t h, uint32_t next); /* h, which next follows, leaves the list */
bool gm_rekey_step(struct worker *w); /* up to one burst of each walk, as the pacer allows; true: the next one may follow */
bool gm_rekey_waiting(const struct worker *w);
GM_NODISCARD enum gm_err gm_rekey_send(struct worker *w, uint32_t h); /* first time and again: the same bytes */
void gm_rekey_fate(struct worker *w, struct out *o, bool confirmed);
void gm_rekey_next(struct worker *w, struct ctx *c, gm_ctx_id id); /* NSTART is free: what else has this context to be told? */
void gm_rekey_drop_member(struct worker *w, uint32_t h);
void gm_rekey_tell_active(struct worker *w, struct group *g); /* its observers: confirmable notifications */
void gm_rekey_again(struct worker *w, uint32_t h);
void gm_rekey_report(struct worker *w, struct group *g);
void gm_evict(struct worker *w, const struct gm_eff_evict *e);
void gm_ctx_close_if_done(struct worker *w, gm_ctx_id id, struct ctx *c, bool told);
bool gm_rekey_has_next(struct worker *w, const struct ctx *c);
void gm_rekey_next_now(struct worker *w, struct ctx *c, gm_ctx_id id); /* the pacer has let it through */
bool gm_rekey_superseded(struct worker *w, const struct out *o); /* newer keys are on their way */
void gm_walk_drop(struct walk *walk); /* its bodies */
void gm_walk_leave(struct worker *w, struct group *g); /* it walks and tells no more */

/* ---- link.c, ask.c: authorization servers are asked */
void gm_link_set(struct worker *w, const struct gm_eff_as *e);
bool gm_link_response(struct worker *w, const struct opening *o); /* false: to nothing that was asked */
bool gm_link_empty(struct worker *w, const struct opening *o);    /* ACK and RST; likewise */
void gm_link_due(struct worker *w, uint32_t ref);
void gm_as_links_free(struct worker *w);
void gm_ask(struct worker *w, const struct gm_eff_ask *e);
bool gm_asks_can_answer(struct worker *w); /* there is room for an event to each ask that a link holds */

/* ---- carry.c: to the next process */
unsigned gm_park_begin(struct worker *w); /* of a turn; of what waited some is looked at where nothing has to wait any more: how many */
void gm_park_end(struct worker *w);
uint32_t gm_park_copy(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer, const struct gm_addr *local);
void gm_park(struct worker *w, uint32_t place); /* it waits; 0 is fine: it is lost and counted, and its sender repeats it */
void gm_park_stranger(struct worker *w, uint32_t place); /* the same for a request that nothing protects */
bool gm_park_asked(const struct worker *w);     /* core waits for this worker to say so */
void gm_park_whole(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer, const struct gm_addr *local);
void gm_carry_halt(struct worker *w);           /* returns when core wants it to go on, or to stop */
void gm_carry_ctx(struct worker *w, const struct gm_eff_carry *e);
void gm_carry_held(struct worker *w, const struct gm_eff_held *e);
void gm_carry_datagram(struct worker *w, const struct gm_eff_datagram *e);

/* ---- effects.c */
unsigned gm_effects_run(struct worker *w); /* how many */

#endif
