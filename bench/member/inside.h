/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a member share among themselves. */
#ifndef GM_MEMBER_INSIDE_H
#define GM_MEMBER_INSIDE_H

#include "member.h"

static inline uint64_t gm_member_now_ms(const struct gm_member_env *env)
{
	return env->now_ns / 1000000u;
}

/* (Re)build the message of the exchange that is out, under a new Partial IV, and send it. */
void gm_exchange_send(struct gm_member_env *env, struct gm_member *m);
/* The exchange has its answer (code 0: none came): report it and go on with the plan. */
void gm_exchange_end(struct gm_member_env *env, struct gm_member *m, uint8_t code);

/* The whole answer to the exchange that is out: inner or unprotected message, its blocks put together in body. */
void gm_answer_take(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body);
/* Reads a keying map. Rekeying messages and answers to GET are the same bytes for all members of a group, so the latest is
 * kept and not read again. NULL: cannot be read. Valid until the next call */
const struct gm_keying_map *gm_keying_read(struct gm_member_env *env, struct gm_bytes text);
/* Whether text is the one that is kept. */
bool gm_keying_is_kept(const struct gm_member_env *env, struct gm_bytes text);
/* A rekeying message, notification or keying map of version V' has come: what KG §11.3 asks for.
 * rekeying: it carries the stale set of V'-1. false: the map is unusable */
bool gm_keys_learn(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map,
                   enum gm_member_how how, bool rekeying);
/* m->next becomes m->keys */
void gm_keys_install(struct gm_member_env *env, struct gm_member *m);
void gm_keys_drop(struct gm_member *m);
/* Remove the peers named in a CBOR array of Sender IDs; false: not such an array. */
bool gm_peers_purge(struct gm_member *m, struct gm_bytes stale);
void gm_peers_forget(struct gm_member *m);

/* A protected request of the Group Manager. */
void gm_control_request(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                        const struct gm_addr *from);
/* Those that wait are opened together, carried out, and answered. NULL: no memory */
struct gm_controls *gm_controls_new(void);
void gm_controls_flush(struct gm_member_env *env);
void gm_member_evicted(struct gm_member_env *env, struct gm_member *m);
/* The request that is out has been taken for an observation. */
void gm_member_observes(struct gm_member *m);

/* Open a message in place of text (cap bytes); the plaintext's length, 0: not authentic. */
size_t gm_member_open(struct gm_member *m, const struct gm_coap *msg, const struct gm_oscore_option *option,
                      const struct gm_oscore_request *request, bool is_request, uint8_t *text, size_t cap);

/* Whether it can be used in a group of these parameters. */
bool gm_identity_fits(const struct gm_identity *id, const struct gm_group_params *params);
/* A new key of the group's kind, and its credential. false: no such kind, or it does not fit */
bool gm_identity_make(struct gm_identity *id, const struct gm_group_params *params);
/* Whether two sets agree in what joiners are told. */
bool gm_told_the_same(const struct gm_group_params *a, const struct gm_group_params *b);
/* What sign_info, ecdh_info and kdc_dh_creds (raw arrays, p == NULL: absent) say of the member's group; the member's
 * key is of the right kind afterwards. false: nothing, or a failed check */
bool gm_group_told(struct gm_member_env *env, struct gm_member *m, const struct gm_join_info *info);

/* Wait for the next flush: the proof of possession of a Join, or the check of the Group Manager's. */
void gm_pending_sign(struct gm_member_env *env, struct gm_member *m);
void gm_pending_verify(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body);
void gm_join_verified(struct gm_member_env *env, struct gm_member *m, uint8_t code, const char *node, size_t node_n,
                      struct gm_bytes body, bool good);

#endif
