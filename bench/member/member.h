/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated group member: RFC 9200/9203 client, RFC 9594 member with the Group OSCORE profile ("KG"), CoAP endpoint.
 *
 * Pure: bytes and timers come in by calls, bytes and news go out through struct gm_member_env. Thousands share one
 * environment and one thread. A member runs one exchange at a time (NSTART = 1), by a plan: a set of operations that
 * are carried out in the order of enum gm_member_op. Signatures are made and verified in batches by gm_member_flush().
 */
#ifndef GM_MEMBER_H
#define GM_MEMBER_H

#include "gm/addr.h"
#include "gm/buf.h"
#include "gm/crypto.h"
#include "wire/coap.h"
#include "wire/groupcomm.h"
#include "wire/oscore.h"
#include "wire/proof.h"

#define GM_MEMBER_PKT_MAX 1472u

enum gm_member_op {
	GM_OP_TOKEN,   /* POST /authz-info, unprotected                          RFC 9203 §4.1 */
	GM_OP_UPDATE,  /* POST /authz-info under the context: m->update          RFC 9203 §4.1 */
	GM_OP_JOIN,    /* POST /ace-group/G                                      R9594 §4.3.1 */
	GM_OP_OBSERVE, /* GET /ace-group/G with Observe 0 */
	GM_OP_GROUP,   /* GET /ace-group/G */
	GM_OP_NODE,    /* GET /ace-group/G/nodes/N */
	GM_OP_STALE,   /* FETCH /ace-group/G/stale-sids */
	GM_OP_CREDS,   /* GET /ace-group/G/creds */
	GM_OP_FETCH,   /* FETCH /ace-group/G/creds of one Sender ID: m->fetch_sid */
	GM_OP_KDC,     /* GET /ace-group/G/kdc-cred */
	GM_OP_ASK,     /* what m->ask says */
	GM_OP_RENEW,   /* POST /ace-group/G/nodes/N */
	GM_OP_RECRED,  /* POST /ace-group/G/nodes/N/cred, with a new key */
	GM_OP_LEAVE,   /* DELETE /ace-group/G/nodes/N */
	GM_OP_N
};
#define GM_PLAN(op) (1u << (op))
const char *gm_member_op_name(enum gm_member_op op);

enum gm_member_state { GM_MEMBER_NEW, GM_MEMBER_TOKEN, GM_MEMBER_IN, GM_MEMBER_LEFT, GM_MEMBER_EVICTED };
const char *gm_member_state_name(enum gm_member_state state);
enum gm_member_how { GM_HOW_JOIN, GM_HOW_POST, GM_HOW_OBSERVE, GM_HOW_POLL, GM_HOW_N };

struct gm_member_keys { /* one version of a group's keys; secret */
	uint64_t version;
	uint8_t gid_n, gid[GM_GID_MAX], ms_n, ms[32], salt_n, salt[16], zero[5]; /* bytes are compared */
};

struct gm_member_peer {
	uint8_t sid_n, sid[GM_SID_MAX];
	uint8_t roles; /* as the Group Manager told */
	uint16_t cred_n;
	uint8_t *cred; /* as given; malloc()ed */
};

struct gm_identity { /* a key of the group's kind and the credential made of it; secret */
	struct gm_key_pair key;
	int32_t cred_fmt;
	uint16_t cred_n;
	uint8_t cred[448];
};

struct gm_member_ask { /* a request of the owner's for any resource; under OSCORE */
	uint8_t method;
	char path[160];
	int content_format;
	struct gm_bytes payload; /* borrowed */
	enum { GM_ASK_ONCE, GM_ASK_OBSERVE, GM_ASK_CANCEL } observe;
	uint8_t token[4]; /* of the latest; GM_ASK_CANCEL sends it again */
	/* the answer; code 0: none came */
	uint8_t code;
	int32_t format;
	bool observed;
	uint8_t *body; /* malloc()ed: the owner's */
	size_t body_n;
};

struct gm_exchange {   /* the one request of ours that is out */
	uint8_t *pkt;  /* as sent, for retransmission; malloc()ed */
	uint8_t *body; /* blocks collected so far; malloc()ed */
	uint32_t body_n, block;
	uint64_t started_ns;
	uint64_t until_ms; /* when to give up */
	uint64_t version;  /* GM_OP_STALE: of the keys that wait for the answer, as it was asked */
	uint32_t wait_ms;  /* current retransmission interval */
	uint16_t pkt_n, mid;
	uint8_t op, tries, active, acked, echo_n, szx;
	uint8_t echo_tries, challenge_tries, restarts;
	uint8_t code, observed, node_n; /* what the first of several blocks said beside its payload */
	char node[GM_NODE_NAME_MAX];
	uint8_t token[4];
	struct gm_oscore_request request;
	uint8_t echo[40];
};

struct gm_answered { /* a CON of the other side, and what was said to it */
	uint16_t mid;
	uint8_t piv_n, piv[GM_OSCORE_PIV_MAX];
	uint8_t n, bytes[40];
};
#define GM_ANSWERED 2u

struct gm_member { /* in front what a rekeying message touches: the rest is not fetched for it */
	struct gm_addr addr;
	uint32_t index;
	uint16_t group; /* index in the environment */
	uint8_t state, roles;
	uint16_t plan;
	uint8_t tries;     /* of the owner: how often the plan was begun again */
	uint8_t last_code; /* of the owner: what its latest run ended with */
	uint8_t later_s;   /* Max-Age of the latest 5.03, at most 255; 0: it had none */
	bool counted;      /* of the owner: part of a run */
	bool paced;        /* of the owner: one of those that are started at fixed distances */
	bool unsure;       /* a Join or leave had no answer, or its repeat was refused: it may have been carried out */
	bool post;         /* wants rekeying messages at control_uri; else it observes */
	bool want_creds;   /* joins with get_creds = null */
	bool ask_at_join;  /* learns the group's algorithms from the 4.00 to a Join without a credential */
	bool informed;     /* knows them: own is of their kind */
	bool rejoined;     /* the latest Join was answered with 2.04 */
	bool told;         /* got its eviction notice */
	bool waits;        /* a request of the Group Manager waits for the next flush */
	uint8_t how;       /* enum gm_member_how of keys */
	uint16_t next_mid;
	uint32_t next_token;
	uint64_t installed_ns; /* when keys were installed */

	bool has_context, tried_context;
	struct gm_oscore_keys oscore;
	uint64_t seq;
	struct gm_oscore_window window;

	struct gm_member_keys keys, next,
	    prev; /* next: waits for the stale set; version of prev: 0 may mean none, see has_prev */
	bool has_keys, has_next, has_prev, purged;
	uint8_t next_how;
	uint64_t group_seq; /* Sender Sequence Number in the group */

	bool observing;
	uint8_t obs_token[4];
	struct gm_oscore_request obs_request;
	uint64_t obs_top; /* highest Partial IV of a notification, plus one */

	struct gm_answered answered[GM_ANSWERED];
	uint8_t answered_at;
	uint32_t peers_n;
	struct gm_member_peer *peers; /* malloc()ed, only where creds were asked for */
	struct gm_exchange ex;

	struct gm_identity own; /* of the default kind until the group's is known; the first that is not fetched */
	uint8_t *token; /* the CWT; the environment's owner frees it */
	uint16_t token_n;
	uint8_t *update; /* the CWT of an update of rights; its owner frees it */
	uint16_t update_n;
	uint8_t osc_id[8], token_ms[16], token_salt[8]; /* inputs that the token carries */
	uint8_t osc_alg, osc_hkdf; /* its alg and hkdf; 0: the defaults */
	uint8_t nonce1[8], id1_n, id1[4], challenge[GM_NONCE_MAX], challenge_n;

	uint8_t cnonce[8], pop_n, pop[GM_PROOF_MAX];
	uint8_t joined_cnonce[8]; /* of the latest Join that was answered */
	struct gm_identity *next_own; /* uploaded, not confirmed; malloc()ed */
	struct gm_member_ask *ask; /* the owner's */
	uint8_t fetch_sid_n, fetch_sid[GM_SID_MAX];
	uint8_t sid_n, sid[GM_SID_MAX], node_n;
	uint8_t joined_gid_n, joined_gid[GM_GID_MAX]; /* of the Join Response that gave the Sender ID */
	uint64_t joined_version;
	char node[GM_NODE_NAME_MAX + 1];
	uint8_t *control; /* a rekeying message of several blocks, as far as it has come; malloc()ed */
	uint32_t control_n;
};

struct gm_member_group { /* what is the same for all members of a group; each one's copy is compared with it */
	char name[GM_GROUP_NAME_MAX + 1];
	bool informed; /* params has what joiners are told: what a credential is made of */
	bool known;    /* and the rest */
	struct gm_group_params params;
	struct gm_cred_pub kdc_pub;
	uint16_t kdc_cred_n;
	uint8_t kdc_cred[512];
	uint8_t policies_n, policies[64]; /* group_policies as the first Join brought them */
};

struct gm_member_stats {
	uint64_t requests, retransmitted, timeouts, echoes, separate, blocks, duplicates, mid_reused, refused;
	uint64_t rekeys[GM_HOW_N], ignored_versions, gaps, undecryptable, notices, strangers, configurations;
};

struct gm_member_read { /* a keying map as it came, and what it says: points into text; secret */
	struct gm_keying_map map;
	size_t n; /* 0: none */
	uint8_t text[GM_MEMBER_PKT_MAX];
};

#define GM_LATER_N 64u
struct gm_member_pending; /* signatures that wait for the next flush */
struct gm_controls;       /* requests of the Group Manager that do */

struct gm_member_env { /* one for all members of a thread */
	void *arg;
	/* p is borrowed for the call */
	void (*send)(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n);
	void (*timer)(void *arg, struct gm_member *m, uint64_t at_ms); /* 0: none; replaces the member's earlier one */
	/* An operation ended. code: CoAP code of the answer, 0: no answer. The plan is over when m->plan is 0. */
	void (*done)(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took_ns);
	void (*context)(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt); /* one was derived */
	void (*installed)(void *arg, struct gm_member *m);                                         /* m->keys are new */
	void (*failed)(void *arg, struct gm_member *m,
	               const char *reason); /* a check of the Group Manager's doing failed */
	/* a request under Group OSCORE or an answer to one; NULL: ignored */
	void (*group_message)(void *arg, struct gm_member *m, const struct gm_coap *msg, const struct gm_addr *from);

	struct gm_addr server;
	struct gm_member_group *groups;
	unsigned groups_n;
	uint64_t now_ns; /* monotonic; the owner sets it before it calls */
	struct gm_member_stats stats;
	uint64_t later_n[GM_LATER_N]; /* of stats.refused, by Max-Age: 0: without; the last: that or more */
	struct gm_member_pending *pending;
	struct gm_controls *controls;
	struct gm_member_read read; /* the latest */
	uint64_t dice; /* of jitter; any value */
	bool gather; /* requests of the Group Manager wait for the next flush; else each is answered at once */
	bool later;  /* signatures of the Group Manager are taken as good and kept for gm_member_verify_kept;
	              * credentials of others are not looked into */
};

/* NO_MEMORY */
GM_NODISCARD enum gm_err gm_member_env_init(struct gm_member_env *env);
void gm_member_env_free(struct gm_member_env *env);

/* Fills a zeroed member; keys of its own are drawn. */
void gm_member_init(struct gm_member *m, uint32_t index, const struct gm_addr *addr, uint16_t group, uint8_t roles,
                    bool post);
/* The same with a key made before, of the default kind. */
void gm_member_init_with(struct gm_member *m, uint32_t index, const struct gm_addr *addr, uint16_t group, uint8_t roles,
                         bool post, const struct gm_identity *own);
/* Keys of the default kind, at most GM_BATCH_MAX, made together; and their credentials. */
void gm_identities_make(struct gm_identity *ids, unsigned n);
/* Wipes and frees what the member owns (not its token). */
void gm_member_clear(struct gm_member *m);
/* Adds operations (GM_PLAN bits) to the plan and starts if nothing is out. */
void gm_member_plan(struct gm_member_env *env, struct gm_member *m, unsigned plan);
/* Forget the exchange that is out and the plan; nothing is reported. */
void gm_member_abort(struct gm_member_env *env, struct gm_member *m);
void gm_member_receive(struct gm_member_env *env, struct gm_member *m, struct gm_bytes datagram,
                       const struct gm_addr *from);
void gm_member_timeout(struct gm_member_env *env, struct gm_member *m);
/* Verify what env->later put off; returns how many were bad: failed was called for each. */
unsigned gm_member_verify_kept(struct gm_member_env *env);
/* Carry out waiting requests and signatures, up to GM_BATCH_MAX in one call; then sends and answers what waited for them. */
void gm_member_flush(struct gm_member_env *env);

/* The member's credential as it was uploaded, or will be. */
void gm_member_cred(struct gm_out *out, const struct gm_member *m);
/* NULL: not known to this member. */
const struct gm_member_peer *gm_member_find_peer(const struct gm_member *m, struct gm_bytes sid);
/* What a CON was answered with: kept so that a repeat gets the same bytes. */
void gm_member_answer(struct gm_member_env *env, struct gm_member *m, const struct gm_addr *to, uint16_t mid,
                      const struct gm_oscore_option *option, struct gm_bytes bytes);

#endif
