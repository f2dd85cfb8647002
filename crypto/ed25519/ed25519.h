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
	void (*public)(const struct gm_ed25519_public_job *jobs, unsigned n);
};

extern const struct gm_ed25519_variant gm_ed25519_sodium;
/* eight lanes in plain C: what tests and memcheck run; slower than libsodium, so never picked */
extern const struct gm_ed25519_variant gm_ed25519_plain;
#ifdef __x86_64__
extern const struct gm_ed25519_variant gm_ed25519_ifma;
/* the same instructions with those of IFMA put together from others; for tests */
extern const struct gm_ed25519_variant gm_ed25519_emulated;
#endif

/* Verification by the lane code with a single lane: the second opinion where libsodium says no. */
uint64_t gm_ed25519_single_verify(const struct gm_ed25519_job *jobs, unsigned n);
uint64_t gm_ed25519_single_points(const struct gm_ed25519_point_job *jobs, unsigned n);

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_ed25519_pick(void);
/* Use this one instead; NULL: the picked one again. For tests and benches; the variant has to be usable. */
void gm_ed25519_use(const struct gm_ed25519_variant *variant);

#endif
