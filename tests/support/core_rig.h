/* SPDX-License-Identifier: Apache-2.0 */
/* A core without workers and without a store: events made by hand go in, changes gather as records, effects are kept
 * for looking at. The rig watches over what must never happen: a Sender ID given twice under one Gid, an effect for a
 * worker that does not own the context, a removed member with a mirror. Such a fault ends the program. */
#ifndef GM_TEST_CORE_RIG_H
#define GM_TEST_CORE_RIG_H

#include "core/core.h"
#include "entries.h"

struct rig_record {
	enum gm_table table;
	uint8_t key[GM_KEY_MAX];
	size_t key_n, value_n;
	uint8_t *value;
};

struct rig_mirror { /* what a worker knows of a membership */
	uint32_t group, slot;
	gm_ctx_id ctx;
	uint8_t sid_n, sid[GM_SID_MAX], delivery;
	char node[17];
};

struct rig_given {
	uint8_t gid[GM_GID_MAX], sid_n, sid[GM_SID_MAX];
};

struct core_rig {
	struct gm_core *core;
	struct gm_core_config config;
	struct gm_changes changes;
	struct gm_effects effects;
	struct gm_txn txn;
	int64_t wall_s;
	uint64_t mono_ms, seed;
	uint32_t next_ctx;
	struct rig_record *record;
	size_t records;
	struct gm_changed changed; /* which of them, where a test has begun it */
	struct entries entries; /* of the audit log, since the start */
	struct gm_rec **effect; /* of the last turn, worker after worker */
	size_t effects_n;
	struct rig_mirror *mirror;
	size_t mirrors;
	struct rig_given *given; /* Sender IDs under the current Gids */
	size_t givens;
	struct gm_group_view view[64];
	bool disk_low; /* of every turn from now on */
	int32_t (*utc_offset)(int64_t wall_s); /* of the local clock; NULL: it is UTC */
	struct gm_ctx_save loaded; /* of the last context that was sent down */
};

struct rig_client {
	gm_ctx_id ctx; /* 0: no context yet */
	uint8_t osc_id[4];
	uint8_t token; /* one byte that its token's hash is made of; see rig_hash() */
	uint8_t scope[256];
	size_t scope_n;
	int64_t exp, exi;
	bool confirmed;
	uint32_t as_id, post;
	uint8_t osc_alg; /* of its context; 0: AES-CCM-16-64-128 */
};

struct rig_answer {
	uint16_t type; /* GM_EFF_REPLY, JOINED, KEYS; 0: none */
	uint8_t code;
	int ace_id; /* of a problem body; -1: none */
	int32_t format;
	uint32_t max_age;
	uint8_t flags;
	struct gm_bytes payload, creds;
	uint32_t group, slot;
	bool observing, with_sid;
};

void rig_start(struct core_rig *r, unsigned workers); /* with one AS (id 1), nothing else, READY */
void rig_stop(struct core_rig *r);
void rig_turn(struct core_rig *r);              /* a new turn: time, dice, empty changes and effects */
void rig_turn_end(struct core_rig *r);          /* commits, reads the effects, watches */
void rig_pass(struct core_rig *r, uint64_t ms); /* time passes, one tick at its end */
void rig_restart(struct core_rig *r);           /* a new core from the records alone */
char *rig_dump(const struct core_rig *r);       /* what an operator can see, as text; free() it */

struct gm_group_spec rig_group_spec(const char *name);
enum gm_err rig_group(struct core_rig *r, const struct gm_group_spec *spec);

struct rig_client rig_client(unsigned n, const char *group, uint32_t roles); /* token for one group */
void rig_scope_add(struct rig_client *c, const char *group, uint32_t roles);
enum gm_err rig_token(struct core_rig *r, struct rig_client *c); /* makes a context when the answer is OK */
struct rig_token {
	const struct rig_client *client;
	const char *iss, *aud; /* NULL: absent */
	int64_t exp, nbf, exi;
	uint64_t cti;
	bool no_scope;
	enum gm_err bad;
	uint8_t sign_info, ecdh_info, kdc_dh_creds;
	uint32_t as_id;
	struct gm_bytes reference; /* p != NULL: it is no CWT: nothing above but client and the labels is told */
	uint32_t xid;              /* 0: 1 */
	struct gm_addr peer;
};
struct rig_token rig_token_of(const struct rig_client *c);
const struct gm_eff_token *rig_token_post(struct core_rig *r, const struct rig_token *token);
/* Under c's context: an update of rights. token->client: whose osc id is the kid, and whose scope is the new one. */
struct rig_answer rig_token_update(struct core_rig *r, struct rig_client *c, const struct rig_token *token);

/* ---- authorization servers with a link */
struct gm_as_spec rig_as_spec(const char *name); /* issuer coap://name, a link, nothing over it yet */
enum gm_err rig_as(struct core_rig *r, const struct gm_as_spec *spec); /* its id is one above the latest */
struct rig_answered {
	uint32_t as_id, ask;
	enum gm_err err;
	uint8_t code;
	bool observed;
	int32_t format;
	struct gm_bytes payload;
};
void rig_answered(struct core_rig *r, const struct rig_answered *a);
const struct gm_eff_ask *rig_ask(const struct core_rig *r, unsigned nth); /* of the last turn; NULL: none */

struct gm_bytes rig_hash(const struct rig_client *c); /* of its token; good until the next call */

struct rig_request {
	uint8_t method, res, flags, bad;
	const char *group, *node;
	struct gm_bytes payload;
};
struct rig_answer rig_request(struct core_rig *r, struct rig_client *c, const struct rig_request *q);
struct rig_join {
	const char *group, *scope_name; /* scope_name NULL: as group */
	const char *upload_to; /* node name: a credential to nodes/N/cred instead; NULL: a Join */
	uint32_t roles;
	const char *cred; /* NULL: absent; "" : empty */
	bool no_verify, empty_verify, no_cnonce, control;
	enum gm_err parse, cred_err, pop;
	uint8_t get_creds, role_filter_n, role_filter[8];
	uint32_t gen_off;
};
struct rig_answer rig_join(struct core_rig *r, struct rig_client *c, const struct rig_join *j);
/* A client that has a token and has joined. */
struct rig_client rig_member(struct core_rig *r, unsigned n, const char *group, uint32_t roles);

const void *rig_effect(const struct core_rig *r, enum gm_eff type, unsigned nth); /* NULL: none */
unsigned rig_effects(const struct core_rig *r, enum gm_eff type);
const struct rig_mirror *rig_mirror_of(const struct core_rig *r, gm_ctx_id ctx, const char *group);
void rig_delivered(struct core_rig *r, const char *group, bool done); /* every worker: all confirmed */
void rig_late(struct core_rig *r, const char *group, bool done); /* every worker: nobody confirmed */
void rig_closed(struct core_rig *r, gm_ctx_id ctx);
struct gm_group_info rig_info(const struct core_rig *r, const char *group);

#endif
