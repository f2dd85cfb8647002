/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials with keys of 32 bytes: Ed25519 (crv 6), X25519 (crv 4). */
#ifndef CCS_H
#define CCS_H

#include "wire/groupcomm.h"

/* As gm_cred_pub(); BAD_CRED also where the key has two coordinates. */
GM_NODISCARD static inline enum gm_err ccs_key(struct gm_bytes cred, const struct gm_group_params *p, uint8_t key[static 32])
{
	struct gm_cred_pub pub;

	GM_TRY(gm_cred_pub(cred, p, &pub));
	if (pub.kty != GM_KTY_OKP)
		return GM_E_BAD_CRED;
	memcpy(key, pub.x, 32);
	return GM_E_OK;
}

static inline void ccs_encode(struct gm_out *out, const char *subject, int crv, const uint8_t key[static 32])
{
	struct gm_cred_pub pub = {.kty = GM_KTY_OKP, .crv = crv, .n = 32};

	memcpy(pub.x, key, 32);
	gm_ccs_encode_pub(out, subject, &pub);
}

#endif
