/* SPDX-License-Identifier: Apache-2.0 */
/* Which algorithms a group may use, and which of them go together.           RFC 9053, KG §14, GA §6
 * No allocation, no state, any thread. */
#ifndef GM_WIRE_PARAMS_H
#define GM_WIRE_PARAMS_H

#include "wire/groupcomm.h"

/* NULL: params are consistent and this Group Manager can serve them; else what is wrong, beginning with the name of the
 * parameter. The text is static. sid_len: bytes of the group's Sender IDs, which have to fit the nonces; 0: not judged */
GM_NODISCARD const char *gm_params_check(const struct gm_group_params *params, unsigned sid_len);

/* Fills what follows from the rest, as the defaults of KG §14 do: nothing where a mode is off, sign_kty and
 * sign_crv from sign_alg, ecdh_alg from hkdf, ecdh_kty and ecdh_crv from sign_alg (X25519 where the group does not
 * sign), unless ecdh_crv says otherwise. Unknown algorithms stay for gm_params_check() to refuse. */
void gm_params_complete(struct gm_group_params *params);

/* COSE's names: "EdDSA", "ES256", "AES-CCM-16-64-128", "A128GCM", "A128CTR", "P-256"; a number in digits is itself.
 * 0: no such name. */
int32_t gm_alg_of_name(const char *name);
int32_t gm_crv_of_name(const char *name);
/* NULL: it has none here */
const char *gm_alg_name(int32_t alg);
const char *gm_crv_name(int32_t crv);

#endif
