/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication credentials of members and Group Managers, draft-ietf-ace-key-groupcomm-oscore-21 ("KG") §6.
 * Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_CRED_H
#define GM_WIRE_CRED_H

#include "gm/buf.h"

struct gm_group_params;

#define GM_CRED_MAX 2048u
/* cred_fmt: COSE header parameters                                                                    KG §6.3 */
#define GM_CRED_FMT_KCWT 13
#define GM_CRED_FMT_KCCS 14
#define GM_CRED_FMT_C5B 24
#define GM_CRED_FMT_C5C 25
#define GM_CRED_FMT_X5BAG 32
#define GM_CRED_FMT_X5CHAIN 33

/* COSE key types and curves                                                                    RFC 9053 §7 */
#define GM_KTY_OKP 1
#define GM_KTY_EC2 2
#define GM_CRV_P256 1
#define GM_CRV_P384 2
#define GM_CRV_P521 3
#define GM_CRV_X25519 4
#define GM_CRV_ED25519 6
#define GM_COORDINATE_MAX 66u

struct gm_cred_pub { /* a public key; OKP has x only */
	int32_t kty, crv;
	uint8_t x[GM_COORDINATE_MAX], y[GM_COORDINATE_MAX]; /* big endian for EC2 */
	uint8_t n;                                          /* bytes of each: 32, 48, 66 */
};

/* Public key of a credential, checked against the group's parameters: form, kty, crv, alg if named, OKP point
 * valid where pairwise mode is on (KG §6.2), EC2 point on its curve.
 * Of a CWT (13) the claims are taken as they stand: its signature is not verified, because possession is proved apart
 * and the issuers of members' CWTs are not known here. Of chains (X.509: 33, C509: 25) and bags (32, 24) the end entity's
 * key is taken; a chain has to be in order and signed, and all certificates valid at `at` (epoch seconds, negative: not
 * looked at). No trust anchor is asked for: a chain shows who issued whom, not that this Group Manager trusts the last
 * one. Compressed EC2 points are taken in C509 only. A lone certificate may come without its container. BAD_CRED. */
GM_NODISCARD enum gm_err gm_cred_pub_at(struct gm_bytes cred, const struct gm_group_params *p, int64_t at,
                                        struct gm_cred_pub *pub);
/* The same where possession is proved next, which spares a look at an Ed25519 key that signs: by a point off the curve, of small
 * order or in another encoding than its own no signature is good (gm/crypto.h), which is all that the partial validation of
 * public keys asks for (SP 800-56A §5.6.2.3.4). Refused for its credential is here only what has no Montgomery form, y = 1 and
 * -1, where pairwise mode is on. That a point may have a component of small order is left to the cofactor of the key agreement,
 * GO "Cryptographic Considerations", as it is in groups without pairwise mode: the rule of signatures takes such keys. */
GM_NODISCARD enum gm_err gm_cred_to_prove(struct gm_bytes cred, const struct gm_group_params *p, int64_t at,
                                          struct gm_cred_pub *pub);
/* The same as gm_cred_pub_at() without a look at the time. */
GM_NODISCARD enum gm_err gm_cred_pub(struct gm_bytes cred, const struct gm_group_params *p, struct gm_cred_pub *pub);
/* A credential as it goes into external_aad: a CWT without its tags, others as they are. */
struct gm_bytes gm_cred_untagged(struct gm_bytes cred, int32_t cred_fmt);

/* A minimal CCS: {[2: subject,] 8: {1: {1: kty, -1: crv, -2: x [, -3: y]}}}. subject NULL: left out */
void gm_ccs_encode_pub(struct gm_out *out, const char *subject, const struct gm_cred_pub *pub);

#endif
