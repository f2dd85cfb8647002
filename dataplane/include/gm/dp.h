/* SPDX-License-Identifier: Apache-2.0 */
/* The door of dataplane/: checked events come up, effects go down.
 *
 * Events and effects are records in byte rings, one ring up and one down per worker. Each begins with struct gm_rec;
 * variable parts follow the fixed struct and are named by slices relative to the record's start. Every event is checked:
 * a REQUEST was opened under its context, is no replay, and its signatures were verified (the verdict is inside).
 * Nothing that an effect causes leaves before the turn that made it is durable: control/ publishes after commit.
 */
#ifndef GM_DP_H
#define GM_DP_H

#include <stdatomic.h>

#include "gm/addr.h"
#include "gm/buf.h"
#include "gm/words.h"

#define GM_WORKERS_MAX 16u
#define GM_SHARDS 256u
#define GM_SLOTS_MAX 65536u /* contexts in a shard */

/* shard << 24 | slot << 8 | generation: the Recipient ID that the Group Manager hands out is these four bytes, big endian */
typedef uint32_t gm_ctx_id;
#define GM_CTX_SHARD(id) ((unsigned)((id) >> 24))
#define GM_CTX_SLOT(id) ((unsigned)((id) >> 8 & 0xffffu))
#define GM_CTX_GEN(id) ((unsigned)((id)&0xffu))
#define GM_CTX_ID(shard, slot, gen) ((gm_ctx_id)((shard) << 24 | (slot) << 8 | (gen)))

#define GM_TOKEN_HASH 33u /* RFC 9770 §4 */
#define GM_ID_LEN_MAX 7u
#define GM_SEQ_STEP 1024u /* sender sequence numbers leased at once, per shard */

struct gm_rec {
	uint16_t type;   /* enum gm_ev or gm_eff */
	uint16_t worker; /* event: from; effect: to */
	uint32_t len;    /* whole record, bytes */
};

struct gm_slice { /* part of a record; n == 0 and off == 0: absent */
	uint32_t off, n;
};

static inline struct gm_bytes gm_rec_bytes(const void *rec, struct gm_slice s)
{
	return (struct gm_bytes){.p = s.off ? (const uint8_t *)rec + s.off : NULL, .n = s.n};
}

/* ============================================================== events, up */

enum gm_ev {
	GM_EV_TOKEN = 1,  /* a token POST whose COSE protection was good */
	GM_EV_REQUEST,    /* a request under a context */
	GM_EV_LEASE,      /* sequence numbers of a shard run low */
	GM_EV_DELIVERED,  /* what became of rekeying messages */
	GM_EV_CLOSED,     /* the one notice of a closing context is done; its keys are wiped in memory */
	GM_EV_MOVED,      /* a fresh request that was not handed up came from another address */
	GM_EV_UNOBSERVE,  /* a notification was answered with RST */
	GM_EV_ANSWERED,   /* what an authorization server said to GM_EFF_ASK, or that it said nothing */
	GM_EV_N
};

/* RFC 9200 §5.10.1; decided in core: issuer to scope, bars, bounds. As a record of its own, or inside an update of rights,
 * where only the claims, bad and the labels are set and osc_id is the kid of cnf */
struct gm_ev_token {
	struct gm_rec rec;
	uint32_t xid;   /* the exchange; comes back in GM_EFF_TOKEN */
	uint32_t as_id; /* whose key protected it */
	struct gm_addr peer; /* who posted it: not proven, bounds only what is pending */
	int64_t exp, nbf; /* epoch seconds; -1: absent */
	int64_t exi;      /* seconds from its first reception on; -1: absent     RFC 9200 §5.10.3 */
	struct gm_slice iss, aud, cti, scope, cnonce, osc_id;
	uint8_t hash[GM_TOKEN_HASH]; /* of the token as received */
	uint8_t bad;    /* enum gm_err of the worker's own checks (parse of claims, profile); GM_E_OK: none. Core
	                 * answers with the first failure in the order of RFC 9200 §5.10.1.1 */
	/* labels under which these were asked, 0: not asked */
	uint8_t sign_info, ecdh_info, kdc_dh_creds;
	/* The token is no CWT of a known key, and some authorization server introspects: core has to ask one. Then as_id is
	 * 0, and of the slices only this one is set.                                     RFC 9200 §5.9 */
	struct gm_slice reference;
};
#define GM_REFERENCE_MAX 512u

enum gm_res { /* resource of a request */
	GM_RES_NONE,     /* no such path */
	GM_RES_GROUPS,   /* /ace-group */
	GM_RES_GROUP,    /* /ace-group/G */
	GM_RES_NODE,     /* /ace-group/G/nodes/N */
	GM_RES_CREDS,
	GM_RES_KDC_CRED,
	GM_RES_POLICIES,
	GM_RES_NUM,
	GM_RES_ACTIVE,
	GM_RES_VERIF_DATA,
	GM_RES_STALE_SIDS,
	GM_RES_NODE_CRED,
	GM_RES_AUTHZ_INFO, /* protected: update of rights                        RFC 9203 §4.1 */
	GM_RES_MANAGE,       /* /manage */
	GM_RES_MANAGE_GROUP, /* /manage/G */
	GM_RES_LINKS,        /* /.well-known/core: never handed up */
	GM_RES_N
};

enum gm_handler { /* resource and method, as requests are counted */
	GM_HANDLER_OTHER,
#define GM_HANDLER(name, res, method, resource, word) GM_HANDLER_##name,
#include "gm/handlers.def"
	GM_HANDLER_N
};

enum gm_answer_code { /* as answers are counted */
	GM_CODE_OTHER,
#define GM_CODE(class, detail, text) GM_CODE_##class##_##detail,
#include "gm/handlers.def"
	GM_CODE_N
};

/* Resources of a member that it can observe, one observation on each. Keys go to the group's, else to the node's. */
enum gm_obs { GM_OBS_GROUP, GM_OBS_NODE, GM_OBS_ACTIVE, GM_OBS_N };
struct gm_observation { /* of the registration: every notification is an answer to it */
	uint8_t on, token_n, token[8], piv_n, piv[5];
};

enum gm_delivery { GM_DELIVER_POLL, GM_DELIVER_POST, GM_DELIVER_OBSERVE };

/* A context that is still pending becomes durable with the first request that verifies under it. */
struct gm_ctx_save { /* secret: what a context needs to go on after a restart */
	gm_ctx_id id;
	uint8_t alg; /* COSE algorithm: as much of the keys and IV is used as it takes */
	uint8_t send_key[32], recv_key[32], common_iv[13];
	uint8_t sid_n, sid[GM_ID_LEN_MAX]; /* our Sender ID: the client's ace_client_recipientid */
	uint8_t challenge[8];              /* N_S, kdcchallenge */
	struct gm_addr peer;               /* of the latest fresh request */
	struct gm_addr local;              /* that the first came to: what we send comes from there */
};

struct gm_ev_confirm { /* present in a REQUEST while the context is pending */
	struct gm_ctx_save save;
	uint32_t as_id, post;
	int64_t exp; /* epoch seconds at which the token ends; from exi: counted from its first reception */
	int64_t exi; /* seconds, as the token has it; -1: absent */
	uint8_t hash[GM_TOKEN_HASH];
	struct gm_slice cti, scope, osc_id; /* within the same record */
};

/* Parsed and verified; core decides in the order of KG §6.2. For an upload of a credential to nodes/N/cred the
 * same with parse, cred, pop, has_cred, has_verify, group_gen, client_cred, verify and cnonce only. */
struct gm_ev_join {
	uint8_t parse;  /* enum gm_err: GM_E_OK or GM_E_BAD_JOIN; else nothing below is set */
	uint8_t cred;   /* enum gm_err: GM_E_OK the credential fits the group; GM_E_BAD_CRED. For present, non-empty credentials */
	uint8_t pop;    /* enum gm_err: GM_E_OK the proof verifies; GM_E_BAD_POP */
	uint8_t get_creds; /* enum gm_creds_asked */
	uint8_t role_filter_n, role_filter[8];
	uint8_t has_cred, has_verify;
	uint8_t has_control; /* control_uri present, usable, and its host is the peer's address; else it is ignored */
	uint16_t control_port;
	uint32_t roles;
	uint32_t group_gen;  /* generation of the group view that cred and pop were checked against */
	struct gm_slice scope, scope_name, client_cred, verify, cnonce, control_path;
};

#define GM_REQ_CONFIRM 1u   /* .confirm is set */
#define GM_REQ_MOVED 2u     /* .peer differs from the durable one */
#define GM_REQ_OBSERVE 4u   /* Observe 0: register; token and piv are set */
#define GM_REQ_UNOBSERVE 8u /* Observe 1 */
#define GM_REQ_PAYLOAD 16u  /* the request had a payload */

struct gm_ev_request {
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint8_t method; /* CoAP code */
	uint8_t res;    /* enum gm_res */
	uint8_t flags;  /* GM_REQ_* */
	uint8_t bad;    /* enum gm_err: unknown critical option and the like; answered before anything else */
	int32_t content_format;
	struct gm_addr peer;
	struct gm_slice group, node; /* names in the path, as received */
	struct gm_slice payload;     /* for resources that core parses itself; empty where join is filled */
	uint8_t token_n, token[8], piv_n, piv[5]; /* of this request: what an observation is made of */
	uint8_t if_match_n;          /* of MANAGE_GROUP */
	struct gm_slice if_match[4]; /* one of no bytes: any */
	struct gm_slice update;      /* AUTHZ_INFO: a whole struct gm_ev_token, 8-byte aligned */
	struct gm_ev_confirm confirm;
	struct gm_ev_join join; /* POST to GM_RES_GROUP and GM_RES_NODE_CRED only */
};

struct gm_ev_lease {
	struct gm_rec rec;
	uint32_t shard;
	uint64_t want; /* exclusive upper end */
};

enum gm_fate { GM_FATE_CONFIRMED, GM_FATE_LATE };
struct gm_ev_delivered {
	struct gm_rec rec;
	uint32_t group; /* index */
	uint32_t n;
	uint64_t version;
	uint8_t walk_done; /* this worker has no member of the group in flight or waiting any more */
	struct { uint32_t slot; uint8_t fate, tries; uint16_t zero; } item[]; /* n of them */
};

struct gm_ev_closed {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint8_t told; /* the notice was confirmed */
};

struct gm_ev_moved {
	struct gm_rec rec;
	gm_ctx_id ctx;
	struct gm_addr peer;
};

struct gm_ev_unobserve {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint32_t group, slot;
	uint32_t of; /* enum gm_obs */
	uint32_t zero;
	struct gm_observation obs; /* the one that was reset: core may know a newer one */
};

/* To one GM_EFF_ASK comes one of these, and one more for each notification where it asked to observe. */
struct gm_ev_answered {
	struct gm_rec rec;
	uint32_t as_id, ask;
	/* enum gm_err: OK; BUSY: no answer after all retries, or too many wait; UNKNOWN: no such link, or it goes; TOO_LARGE: the
	 * request or the answer; INCOMPLETE: blocks that do not fit together; else the link failed: NO_CONTEXT where the server said,
	 * and said again under new contexts or until the ask had waited too long, that it does not know us. Whatever it is, the ask is over; an observation that stood is lost with the context (NO_CONTEXT) */
	uint8_t err;
	uint8_t code; /* CoAP, where err is OK */
	uint8_t observed; /* the observation stands: notifications will come under the same number */
	uint8_t zero;
	int32_t content_format;
	struct gm_slice payload; /* of all blocks, at most GM_ANSWER_MAX bytes */
};
#define GM_ANSWER_MAX 65536u

/* ============================================================ effects, down */

enum gm_eff {
	GM_EFF_TOKEN = 1,
	GM_EFF_REPLY,   /* answer a request */
	GM_EFF_JOINED,  /* answer a Join: the worker encodes, signs, seals */
	GM_EFF_KEYS,    /* answer with the keying map of a group (GET G, GET nodes/N), maybe now observed */
	GM_EFF_CTX,     /* load, confirm, drop or close a context */
	GM_EFF_MEMBER,  /* set or remove the mirror of a membership */
	GM_EFF_GROUP,   /* set or remove the view of a group */
	GM_EFF_REKEY,   /* start the walk */
	GM_EFF_EVICT,   /* tell a member that it is out, then remove its mirror */
	GM_EFF_LEASE,
	GM_EFF_AS,      /* the table of trusted authorization servers, one row */
	GM_EFF_KDC_CRED,   /* answer with the Group Manager's credential: the worker signs, seals */
	GM_EFF_VERIF_DATA, /* answer with a verifier's data: the worker derives, seals */
	GM_EFF_ASK,     /* a request to an authorization server, over its link */
	GM_EFF_READY,   /* everything stored has been sent down: start to serve */
	GM_EFF_CRED,    /* for gm_dp_roster(): which credential belongs to a Sender ID */
	GM_EFF_NUM,     /* for gm_dp_roster(): set or remove a group's version */
	GM_EFF_CARRY,    /* of a predecessor: what it knew of a context that no store has */
	GM_EFF_HELD,     /* of a predecessor: a member has confirmed these keys */
	GM_EFF_DATAGRAM, /* of a predecessor: what came, and it has not looked at */
	GM_EFF_N
};

struct gm_eff_token {
	struct gm_rec rec;
	uint32_t xid;
	uint8_t err;        /* enum gm_err; GM_E_OK: make the pending context and answer 2.01 */
	uint8_t challenge;  /* kdcchallenge goes into the answer */
	uint8_t infos_n;    /* pairs in infos */
	uint8_t zero;
	int64_t exp;        /* when the token ends, epoch seconds */
	uint8_t nonce2[8], n_s[8];
	struct gm_slice infos; /* raw CBOR pairs */
	/* of a token that was introspected: the answer, which takes the place of a CWT's claims, and whose it is */
	uint32_t as_id;
	uint32_t post; /* how many tokens were taken before: tells which of two was posted later */
	struct gm_slice claims;
};

#define GM_REPLY_SAVE 1u     /* the request changed something: keep the sealed bytes for a repeat */
#define GM_REPLY_OBSERVE 4u  /* the answer carries Observe */
#define GM_REPLY_KEYS 2u     /* the payload hands the member the group's present keys: no rekeying message any more */

struct gm_eff_reply {
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint8_t code;  /* CoAP */
	uint8_t flags; /* GM_REPLY_* */
	uint16_t zero;
	int32_t content_format;
	uint32_t max_age; /* seconds; 0: no option. With 5.03: when to try again */
	uint32_t group; /* of REPLY_KEYS */
	uint32_t zero2;
	struct gm_slice payload;
	struct gm_slice location; /* Location-Path: manage and this name; absent: no option */
	uint64_t etag;            /* its bytes in memory; 0: no option */
	uint8_t *blob; /* payload too large for a ring: malloc()ed, the worker frees it; payload is absent then */
	size_t blob_n;
};

struct gm_eff_kdc_cred { /* KG §9.5 */
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint32_t group;
	uint8_t kdc_nonce[8];
	struct gm_slice cnonce;
	struct gm_slice cred; /* of the member, in groups of pairwise mode only: the proof is for its key */
};

struct gm_eff_verif_data { /* KG §9.6 */
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint32_t group;
};

struct gm_eff_joined { /* always saved; the mirror of the membership precedes it as GM_EFF_MEMBER */
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint32_t group, slot;
	uint8_t code; /* 2.01 or 2.04 */
	uint8_t zero[3];
	uint8_t kdc_nonce[8];
	struct gm_slice cnonce;
	struct gm_slice cred;  /* of the member, in groups of pairwise mode only: the proof is for its key */
	struct gm_slice creds; /* raw CBOR of three pairs, absent: get_creds was not sent. May be large */
	uint8_t *creds_blob;   /* when too large for a ring: malloc()ed, the worker frees it; creds is absent then */
	size_t creds_blob_n;
};

struct gm_eff_keys {
	struct gm_rec rec;
	uint32_t xid;
	gm_ctx_id ctx;
	uint32_t group, slot;
	uint8_t with_sid;  /* nodes/N */
	uint8_t observing; /* answer carries Observe; the observation stands in the mirror */
};

enum gm_ctx_op {
	GM_CTX_LOAD,    /* from the store; its replay window is unknown: Echo first */
	GM_CTX_CONFIRM, /* pending no longer */
	GM_CTX_DROP,    /* wipe now, say nothing */
	GM_CTX_CLOSE,   /* refuse requests; wipe once pending notices are done, then GM_EV_CLOSED */
};
struct gm_eff_ctx {
	struct gm_rec rec;
	uint8_t op;
	uint8_t zero[7];
	struct gm_ctx_save save; /* LOAD: all; else only id */
};

struct gm_eff_member {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint32_t group, slot; /* the member is (group, slot) for ever */
	uint64_t version;     /* of the keys it holds, as far as is known */
	uint8_t remove;
	uint8_t sid_n, sid[GM_ID_LEN_MAX]; /* sid_n 0: monitor */
	uint8_t delivery;                  /* enum gm_delivery */
	struct gm_observation obs[GM_OBS_N];
	uint8_t node_n;
	char node[16];
	uint16_t control_port;        /* DELIVER_POST: the address is the context's peer, this is the port */
	uint16_t zero;
	uint32_t roles;
	struct gm_slice control_path; /* at most 64 bytes */
	struct gm_slice scope;        /* of the latest Join, where it is not as gm_join_scope_encode() writes it */
};

struct gm_eff_cred {
	struct gm_rec rec;
	uint32_t group, roles;
	uint32_t cred;   /* in core's words; 0: core alone has it */
	uint16_t cred_n;
	uint8_t remove;
	uint8_t sid_n, sid[GM_ID_LEN_MAX];
	uint8_t zero;
};

struct gm_eff_num {
	struct gm_rec rec;
	uint32_t group, gen; /* gen: of struct gm_group_view */
	uint64_t version;
	uint8_t remove;
	uint8_t zero[7];
};

#define GM_VIEW_CRED_MAX 512u
struct gm_group_view { /* secret; what a worker needs of a group. Plain data, copied whole */
	uint32_t index, gen; /* gen moves when params or credential change */
	uint64_t version;    /* num */
	uint8_t name_n;
	char name[64];
	uint8_t active, gid_n, gid[8], ms_n, ms[32], salt_n, salt[8];
	int64_t exp;         /* epoch seconds at which the keys end */
	int32_t hkdf, cred_fmt, gp_enc_alg, sign_alg, alg, ecdh_alg, sign_kty, sign_crv, ecdh_kty, ecdh_crv;
	uint8_t group_mode, pairwise_mode;
	uint16_t kdc_cred_n;
	uint32_t check_interval, expiration_delta; /* seconds, group_policies 1 and 2   RFC 9594 §8 */
	uint8_t kdc_cred[GM_VIEW_CRED_MAX];
	uint8_t kdc_seed[32]; /* the Group Manager's key pair in this group follows from it: gm_key_pair_make() */
};
struct gm_eff_group {
	struct gm_rec rec;
	uint8_t remove;
	uint8_t tell_active; /* those who observe whether it is active are told, also when that has not changed */
	uint8_t paused; /* its walk comes to nobody new until this is 0 again */
	uint8_t zero[5];
	struct gm_group_view view; /* remove: only index */
};

struct gm_eff_rekey { /* the new view went ahead as GM_EFF_GROUP */
	struct gm_rec rec;
	uint32_t group;
	uint32_t zero;
	uint64_t version;
	struct gm_slice body_post; /* payload of the POST to control_uri: rekeying message */
	struct gm_slice body_obs;  /* payload of the notification */
	struct gm_slice body_config; /* of a POST that goes before body_post: the changed configuration; absent: none */
};

struct gm_eff_evict {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint32_t group, slot;
	uint8_t err; /* enum gm_err for the notice: GM_E_EVICTED, GM_E_GROUP_DELETED, GM_E_TOKEN_EXPIRED; GM_E_OK: say nothing */
};

struct gm_eff_lease {
	struct gm_rec rec;
	uint32_t shard;
	uint64_t until; /* numbers below may be used */
	uint8_t boot;   /* first after a start: contexts loaded go on at resume */
	uint64_t resume;
};

struct gm_link { /* secret; ms_n 0: there is none */
	struct gm_addr peer;
	uint8_t ms_n, ms[32], salt_n, salt[16];
	uint8_t sid_n, sid[GM_ID_LEN_MAX], rid_n, rid[GM_ID_LEN_MAX]; /* ours; the server's */
	int8_t alg; /* COSE AEAD */
	uint8_t zero;
};
_Static_assert(sizeof(struct gm_link) == sizeof(struct gm_addr) + 68, "it is compared byte by byte");

struct gm_eff_as {
	struct gm_rec rec;
	uint32_t as_id;
	uint8_t remove;
	uint8_t empty_salt_item; /* how a token without salt is read */
	uint8_t cnonce;          /* its tokens have to carry one from our hints, made with cnonce_key */
	uint8_t cnonce_key[16];
	uint8_t kid_n, kid[16];
	uint8_t key_n, key[64];
	int32_t alg;
	uint8_t uri_n, aud_n;
	char uri[128], aud[128]; /* for creation hints, of the first row */
	uint8_t introspect; /* what is no CWT may be a reference to a token of its */
	uint8_t strict;     /* only tokens whose bytes cannot be varied, gm_cose_strict(): it keeps a list of revoked ones */
	uint8_t linked;     /* there is a link, to link.peer; the rest of it goes to one worker, as_id % workers */
	struct gm_link link;
};

/* The secure association with an authorization server, of which we are the client. Its worker makes a fresh context
 * whenever it needs one, so nothing of it has to be durable but these; a row with another gm_link ends what was asked over
 * the one before. The bytes that pass are written down in work/link.c.                        RFC 8613 App. B.2 */
struct gm_eff_ask { /* to the worker as_id % workers; one GM_EV_ANSWERED comes of it, whatever happens, within three minutes */
	struct gm_rec rec;
	uint32_t as_id, ask; /* ask: chosen by core, comes back */
	uint8_t method;      /* CoAP code */
	uint8_t observe;     /* 0: no; 1: register; 2: end the observation under this number, which is not answered */
	uint16_t zero;
	int32_t content_format; /* of the payload, -1: none */
	struct gm_slice path, query, payload; /* path: segments with / between; query: with & between */
};

/* ---- from one process to the next: gm_dp_carry() makes these records, the next one's workers take them as effects, behind
 * the contexts and before GM_EFF_READY. No keys are in them. Whatever changes in one of them, or in its number, GM_CARRY_FORMAT
 * changes with it. */
#define GM_CARRY_FORMAT 3u /* 1 had no struct gm_eff_setting, 2 had it under another number */

struct gm_eff_setting { /* of the process itself, see control/upgrade.h: no worker gets it */
	struct gm_rec rec;
	struct gm_slice key, file, value; /* text */
};

struct gm_eff_carry {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint16_t next_mid; /* of ours: members remember those before for a while */
	uint16_t last_mid; /* of its last CON, which came so long ago: */
	uint64_t last_age_ms;
	uint64_t window_top, window_seen;
	uint8_t has_last, last_piv_n, last_piv[5], last_acked; /* by an empty ACK */
	struct gm_addr peer, local;
	struct gm_slice saved; /* sealed bytes of the answer to that, while a repeat may still come */
};

struct gm_eff_held {
	struct gm_rec rec;
	gm_ctx_id ctx;
	uint32_t group, slot, zero;
	uint64_t version;
};

struct gm_eff_datagram {
	struct gm_rec rec;
	struct gm_addr peer, local;
	struct gm_slice data;
};

/* ================================================================= life */

/* A histogram: bucket 0 counts the value 0, bucket i the values from 2^(i - 1) to 2^i - 1, the last one also all above; behind them
 * the largest value that was counted. Times in microseconds. */
#define GM_HIST 40u
#define GM_HIST_N (GM_HIST + 1)
struct gm_worker_stats { /* written by the worker, read by any thread */
	/* Datagrams, received and handed to the port, and what became of some of the former: rx_bad is no CoAP; rx_stranger names no
	 * context that is here; rx_replay has a sequence number that was used; rx_undecryptable does not open; rx_repeat is the
	 * client's latest request once more; rx_hop went on to the worker that has its context, hop_drop found no room on that way;
	 * up_full was a request that core had no room for, and got 5.03. */
	_Atomic uint64_t rx, tx, rx_bad, rx_stranger, rx_replay, rx_undecryptable, rx_repeat, rx_hop, hop_drop, up_full;
	_Atomic uint64_t park_drop;    /* of what waits during a hand-over, found no room */
	_Atomic uint64_t refused;      /* asked to come again later, before they cost a signature: work/admit.h */
	_Atomic uint64_t sigs_batched; /* of the signatures verified, those that were as one equation */
	/* Posts of tokens: that got an Echo challenge instead, that came with one, that have to come later; Joins whose proof is
	 * not looked at, as too many of the client failed lately. */
	_Atomic uint64_t stranger_challenged, stranger_shown, stranger_limited, proofs_limited;
	/* requests: under a context, handed to core; joins: those whose proof of possession was verified, good or bad; reads_local: answered by the worker from what it has of the group; echo_sent:
	 * answered with 4.01 and Echo, as the replay window was unknown (RFC 8613 App. B.1.2); pending_expired: contexts that no
	 * request came under in time; no_exchange: ACK, RST or response that answers nothing we have sent. */
	_Atomic uint64_t token_ok, token_bad, requests, replies, reads_local, joins, echo_sent, pending_expired, no_exchange;
	/* messages to members; notices tell them that they are out, notices_told were confirmed */
	_Atomic uint64_t rekey_sent, rekey_confirmed, rekey_retransmitted, rekey_late, notices, notices_told;
	_Atomic uint64_t asks, asks_failed, link_contexts, link_sent, link_retransmitted; /* to authorization servers */
	/* Now: contexts, of them pending, mirrors of members, confirmable messages of ours without an answer, bytes of long answers that
	 * are kept while members fetch them by blocks (RFC 7959 §2.4). port_*: see struct gm_port_stats */
	_Atomic uint64_t contexts, contexts_pending, members, inflight, bodies_bytes, port_tx_failed, port_rx_truncated;
	_Atomic uint64_t port_rx_bad, port_rx_fragments, port_tx_kernel, port_rx_kernel, port_rx_lost, port_rx_cut;
	/* What goes together: datagrams received in a turn, messages opened or sealed in a call, signatures verified in a turn
	 * or made in a call, datagrams handed to the port at once. */
	_Atomic uint64_t hist_rx[GM_HIST_N], hist_open[GM_HIST_N], hist_verify[GM_HIST_N], hist_sign[GM_HIST_N], hist_seal[GM_HIST_N];
	_Atomic uint64_t hist_derive[GM_HIST_N], hist_tx[GM_HIST_N]; /* derive: contexts */
	/* How deep queues are, seen once in each turn that had something to do: effects that core had sent down, datagrams from
	 * other workers, bytes of events that core has not taken yet, messages of ours that wait to be confirmed. */
	_Atomic uint64_t hist_down[GM_HIST_N], hist_hops[GM_HIST_N], hist_up[GM_HIST_N], hist_inflight[GM_HIST_N];
	/* bytes that records of each kind have used so far, and rings have touched */
	_Atomic uint64_t mem_contexts, mem_members, mem_texts, mem_messages, mem_timers, mem_groups, mem_rings;
	_Atomic uint64_t hist_confirm_us[GM_HIST_N]; /* first send of a rekeying message to its confirmation */
	_Atomic uint64_t confirm_us;               /* all of these together */
	/* Requests that were answered; how long it took from the turn that found the request to the answer being handed to the
	 * port, also where core or another worker had it in between. Repeats are answered with what is kept, and not counted. */
	_Atomic uint64_t answers[GM_HANDLER_N][GM_CODE_N];
	_Atomic uint64_t hist_answer_us[GM_HANDLER_N][GM_HIST_N], answer_us[GM_HANDLER_N];
	_Atomic uint64_t tokens[GM_ERR_N]; /* posted without protection, by what became of them */
	_Atomic uint64_t leases;           /* of sequence numbers, that core has given */
};

#define GM_PREFIXES_MAX 1024u
struct gm_pace_prefix { /* a network that takes only so much, such as one behind a border router of low-power radio */
	struct gm_prefix prefix;
	uint32_t burst; /* messages that may follow each other at once, at least 1 */
	double rate;    /* messages a second, more than 0 */
};

struct gm_pace_status { /* of one of them */
	struct gm_pace_prefix of;
	double rate_now;                       /* less than of.rate while many messages get lost */
	uint64_t sent, retransmitted, waiting; /* messages; waiting: for their turn */
	uint64_t halved;                       /* how often the rate was */
};

struct gm_dp_config {
	const struct gm_port_ops *port;
	struct gm_addr listen[GM_LISTEN_MAX];
	unsigned listen_n;
	void *port_arg;
	unsigned workers;      /* 1..GM_WORKERS_MAX */
	unsigned contexts_max; /* over all shards */
	unsigned pace;         /* rekeying messages a second over all workers, retransmissions included; 0: no limit; at first */
	const struct gm_pace_prefix *prefixes; /* those with a pace of their own below that; read by gm_dp_start alone */
	unsigned prefixes_n;
	unsigned stranger_rate; /* tokens posted from a network (/24, /64) in a second, beyond which an Echo is asked for; from an address that was shown, beyond
	                         * which it is told to come later; 0: no limit */
	unsigned ack_timeout_ms, retransmit_max; /* RFC 7252 §4.8: 2,000 and 4 */
	/* Sockets of a predecessor, of each worker one for each address, -1: to be opened. They are gm_dp_start's from then on, and not
	 * received from before GM_EFF_READY. NULL: all are opened, and nobody else may have the addresses. */
	const int (*sockets)[GM_LISTEN_MAX];
	bool no_lease;         /* gmd_faults only: sequence numbers start anew after a restart; shows that the nonce checker sees it */
	void (*wake_core)(void *arg); /* called by workers when an event waits; any thread */
	void *wake_arg;
};

struct gm_dp;
extern const struct gm_port_ops gm_port_uring; /* kernel UDP sockets through io_uring */
extern const struct gm_port_ops gm_port_mmsg;  /* the same through sendmmsg and recvmmsg */
/* The kernel lets a port have all that it needs of io_uring. false: errno says why, EINVAL: it is older than Linux 6.1 */
GM_NODISCARD bool gm_port_uring_permitted(void);
struct gm_dpdk_config {                        /* port_arg of the port that DPDK drives; texts stay the caller's */
	const char *args;      /* of its environment abstraction layer, separated by spaces */
	const char *interface; /* whose addresses, routes and neighbours count; empty: DPDK knows */
};
/* The DPDK port lies in an object of its own; NULL: why tells. */
const struct gm_port_ops *gm_port_dpdk_load(char why[static GM_WHY]);
/* In words, why gm_dp_start failed with IO; empty: errno says it all. */
const char *gm_port_why(const struct gm_port_ops *port);
/* As key=value, who spreads datagrams over the workers, once gm_dp_start was OK; empty: the kernel. */
const char *gm_port_how(const struct gm_port_ops *port);

/* Start the workers; returns when all ports are open. They serve after GM_EFF_READY.
 * IO: errno says why, EADDRINUSE where another process has an address; NO_MEMORY. */
GM_NODISCARD enum gm_err gm_dp_start(struct gm_dp **dp, const struct gm_dp_config *config);
/* Stop and free everything; what is in flight is dropped. */
void gm_dp_stop(struct gm_dp *dp);
unsigned gm_dp_owner(const struct gm_dp *dp, gm_ctx_id id); /* worker that owns a context's shard */
unsigned gm_dp_shard_owner(unsigned shard, unsigned workers);
/* Core thread: the oldest event of a worker, NULL: none. Good until released. */
const struct gm_rec *gm_dp_event(struct gm_dp *dp, unsigned worker);
void gm_dp_event_done(struct gm_dp *dp, unsigned worker);
/* Core thread: n bytes of GM_EFF_CRED and GM_EFF_NUM, a turn's, for the table that all workers read; seen as one change.
 * Before the turn's effects are handed down. words: where core keeps credentials; they live longer than dp, and settle here. */
void gm_dp_roster(struct gm_dp *dp, struct gm_words *words, const uint8_t *records, size_t n);
size_t gm_dp_roster_bytes(const struct gm_dp *dp);
/* Core thread: hand down n bytes of records for one worker; returns the bytes taken, whole records only. */
GM_NODISCARD size_t gm_dp_effects(struct gm_dp *dp, unsigned worker, const uint8_t *records, size_t n);
size_t gm_dp_waiting(const struct gm_dp *dp, unsigned worker); /* bytes of them that it has not taken */
size_t gm_dp_touched(const struct gm_dp *dp, unsigned worker); /* bytes of the ring for them; core thread */
/* Core thread, now and then: memory that only bursts of effects need goes back where none waits. */
void gm_dp_trim(struct gm_dp *dp, unsigned worker);
void gm_dp_wake(struct gm_dp *dp, unsigned worker); /* after the last of a turn */
uint64_t gm_dp_cpu_us(const struct gm_dp *dp, unsigned worker); /* processor time of its thread; 0: it has none */
const struct gm_worker_stats *gm_dp_stats(const struct gm_dp *dp, unsigned worker);
/* Rekeying messages a second, as gm_dp_config has it; what waits goes on at the new pace within a millisecond. */
void gm_dp_set_pace_for_all(struct gm_dp *dp, unsigned rate);
unsigned gm_dp_pace_for_all(const struct gm_dp *dp);
unsigned gm_dp_network_of(const struct gm_dp *dp, const struct gm_addr *addr); /* the longest prefix that holds it, from 1; 0: none */
/* Prefix i; false: there is none any more. In the order of gm_dp_network_of(), from 0. */
GM_NODISCARD bool gm_dp_pace(const struct gm_dp *dp, unsigned i, struct gm_pace_status *s);
struct gm_addr gm_dp_bound(const struct gm_dp *dp, unsigned listener);

GM_NODISCARD bool gm_dp_socket_addr(int fd, struct gm_addr *addr); /* to which it is bound; false: it is no UDP socket */

/* ---- handing over to another process, core thread. What is undone goes on as if nothing had been. */
int gm_dp_socket(const struct gm_dp *dp, unsigned worker, unsigned listener); /* -1: this port's cannot be handed over */
/* From now on requests that need core wait, as datagrams; what workers can answer alone they do. */
void gm_dp_park(struct gm_dp *dp, bool on);
bool gm_dp_parked(const struct gm_dp *dp); /* no event of a request comes behind those that wait in the rings by now */
/* Nothing is received, sent or looked at. After gm_dp_park(). */
void gm_dp_halt(struct gm_dp *dp, bool on);
bool gm_dp_halted(const struct gm_dp *dp);
/* While halted: what the next process has to know, record by record; false: put said so. */
GM_NODISCARD bool gm_dp_carry(struct gm_dp *dp, bool (*put)(void *arg, const struct gm_rec *rec), void *arg);

#endif
