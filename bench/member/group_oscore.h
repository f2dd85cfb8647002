/* SPDX-License-Identifier: Apache-2.0 */
/* Group OSCORE between members: group mode and pairwise mode, with every algorithm a group may have.
 * draft-ietf-core-oscore-groupcomm-28, GO. One message at a time, no allocation, any thread. */
#ifndef GM_GROUP_OSCORE_H
#define GM_GROUP_OSCORE_H

#include "gm/crypto.h"
#include "wire/groupcomm.h"
#include "wire/oscore.h"
#include "wire/proof.h"

struct gm_group_oscore { /* Common Context; secret */
	struct gm_group_params params;
	uint8_t gid_n, gid[GM_GID_MAX];
	uint8_t ms_n, ms[32], salt_n, salt[32];
	uint8_t common_iv[16], signature_encryption_key[32];
	struct gm_bytes gm_cred; /* borrowed, as it goes into additional data */
};

struct gm_group_endpoint { /* one end; key only of one's own */
	struct gm_oscore_id sid;
	struct gm_bytes cred;          /* as the Group Manager gives it, borrowed */
	const struct gm_cred_pub *pub; /* borrowed */
	const struct gm_key_pair *key; /* secret, borrowed; NULL: somebody else */
};

struct gm_group_request { /* the request that a message belongs to: itself, for a request */
	struct gm_oscore_id kid;
	uint8_t piv_n, piv[GM_OSCORE_PIV_MAX];
	uint8_t gid_n, gid[GM_GID_MAX];
};

/* Derives the Common Context. RANGE: an algorithm that is not known here, or a secret or Gid that is too long.
 *                                                                                        GO §2.1, §2.3 */
GM_NODISCARD enum gm_err gm_group_oscore_init(struct gm_group_oscore *ctx, const struct gm_group_params *params,
                                              struct gm_bytes ms, struct gm_bytes salt, struct gm_bytes gid,
                                              struct gm_bytes gm_cred);

/* A protected message. peer NULL: group mode; else pairwise mode toward peer.
 * in       outer    as for plain OSCORE; its option is made here
 *          request  NULL: this is a request; else what it answers
 *          piv_n    0: the nonce is the request's (one answer only)
 * fails    ROOM; RANGE: the mode's algorithms are not set, or peer's key does not serve for a shared secret */
GM_NODISCARD enum gm_err gm_group_wrap(const struct gm_group_oscore *ctx, const struct gm_group_endpoint *own,
                                       const struct gm_group_endpoint *peer, const struct gm_oscore_outer *outer,
                                       const struct gm_group_request *request, const uint8_t *piv, uint8_t piv_n,
                                       struct gm_bytes plain, struct gm_out *pkt);

/* Opens a message whose option was decoded. own is needed in pairwise mode only: NULL for silent servers.
 * out      text     code, options, payload; at most cap bytes
 *          text_n   their number
 * fails    DECRYPT: signature or tag is bad; OSCORE_OPTION: a request without kid, Partial IV or kid context, or
 * another Gid than ctx's; ROOM, RANGE as above */
GM_NODISCARD enum gm_err gm_group_unwrap(const struct gm_group_oscore *ctx, const struct gm_group_endpoint *own,
                                         const struct gm_group_endpoint *sender, const struct gm_oscore_option *option,
                                         struct gm_bytes option_bytes, const struct gm_group_request *request,
                                         struct gm_bytes payload, uint8_t *text, size_t cap, size_t *text_n);
/* What of a credential goes into keys and additional data: a CWT without its tags; of certificates the first of a chain
 * or a single one of a bag, empty where a bag has more.                                  GO §2.4 */
struct gm_bytes gm_group_cred(struct gm_bytes cred, int32_t cred_fmt);
/* The identity of a request, from its option. */
struct gm_group_request gm_group_request_of(const struct gm_oscore_option *option);

/* ---- the parts, for vectors */
void gm_group_sender_key(uint8_t *key, const struct gm_group_oscore *ctx, const struct gm_oscore_id *sid);
/* Key of from toward to; RANGE as above. One of both must have a key. */
GM_NODISCARD enum gm_err gm_group_pairwise_key(uint8_t *key, const struct gm_group_oscore *ctx,
                                               const struct gm_group_endpoint *from,
                                               const struct gm_group_endpoint *to);
void gm_group_external_aad(struct gm_out *out, const struct gm_group_oscore *ctx,
                           const struct gm_group_request *request, struct gm_bytes option, struct gm_bytes sender_cred);

#endif
