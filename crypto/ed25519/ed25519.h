/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_ED25519_H
#define GM_ED25519_H

#include <gm/crypto.h>

/* One way to compute; all variants take the same decision on every input. */
struct gm_ed25519_variant {
	const char *name;
	bool (*usable)(void); /* does this processor have what it takes */
	uint64_t (*verify)(const struct gm_ed25519_job *jobs, unsigned n);
	void (*sign)(const struct gm_ed25519_sign_job *jobs, unsigned n);
};

extern const struct gm_ed25519_variant gm_ed25519_sodium;

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_ed25519_pick(void);

#endif
