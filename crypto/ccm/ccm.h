/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_CCM_H
#define GM_CCM_H

#include <gm/crypto.h>

#define GM_CCM_TEXT_MAX 65535u /* 13-byte nonce: two bytes of length    RFC 3610 §2.1 */
#define GM_CCM_AAD_MAX 65279u  /* above, the length takes another form  RFC 3610 §2.2 */

/* One way to compute; all variants answer alike, byte by byte. */
struct gm_ccm_variant {
	const char *name;
	bool (*usable)(void);
	uint64_t (*seal)(const struct gm_ccm_job *jobs, unsigned n);
	uint64_t (*open)(const struct gm_ccm_job *jobs, unsigned n);
};

extern const struct gm_ccm_variant gm_ccm_portable;

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_ccm_pick(void);

#endif
