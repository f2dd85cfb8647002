/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_X25519_H
#define GM_X25519_H

#include <gm/crypto.h>

/* One way to compute; all agree on every input. */
struct gm_x25519_variant {
	const char *name;
	bool (*usable)(void); /* does this processor have what it takes */
	uint64_t (*agree)(const struct gm_x25519_job *jobs, unsigned n);
};

extern const struct gm_x25519_variant gm_x25519_sodium;
extern const struct gm_x25519_variant gm_x25519_plain; /* for tests and memcheck, never picked */
#ifdef __x86_64__
extern const struct gm_x25519_variant gm_x25519_ifma;
extern const struct gm_x25519_variant gm_x25519_emulated; /* for tests */
#endif

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_x25519_pick(void);

#endif
