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
	/* The equation of a whole batch, 0 < n <= GM_ED25519_BATCH_MAX, with a room. Sets the bits of jobs whose bytes keep
	 * the rule and whose A and R are points, and no others; true: all of these are good. NULL: there is no such thing */
	bool (*batch)(uint64_t *hopeful, const struct gm_ed25519_batch *batch);
	uint64_t (*points)(const struct gm_ed25519_point_job *jobs, unsigned n);
	/* Fewer jobs than this libsodium has done sooner, and fewer than .batch are sooner done in lanes; what makes a key
	 * is .sign, a point .verify */
	struct {
		uint8_t verify, sign, batch;
	} least;
};

/* The z of a batch, two words each; cap of them, of which the batch's n count. They come from the seed and from all that
 * is verified: a challenge is a hash of R, A and the message. */
void gm_ed25519_coefficients(uint64_t (*z)[2], unsigned cap, uint8_t (*challenge)[32],
                             const struct gm_ed25519_batch *batch);

extern const struct gm_ed25519_variant gm_ed25519_sodium;
/* eight lanes in plain C: what tests and memcheck run; slower than libsodium, so not picked */
extern const struct gm_ed25519_variant gm_ed25519_plain;
#ifdef __x86_64__
extern const struct gm_ed25519_variant gm_ed25519_ifma;
/* without IFMA, limbs multiplied in halves */
extern const struct gm_ed25519_variant gm_ed25519_avx512;
/* the code of ifma with IFMA's instructions put together from others; for tests */
extern const struct gm_ed25519_variant gm_ed25519_emulated;
#endif

/* The doors by a variant, small numbers of jobs left to libsodium */
GM_NODISCARD uint64_t gm_ed25519_verify_by(const struct gm_ed25519_variant *v, const struct gm_ed25519_job *jobs, unsigned n);
unsigned gm_ed25519_batch_by(const struct gm_ed25519_variant *v, uint64_t *good, const struct gm_ed25519_batch *batch);

/* Verification by the lane code with a single lane: the second opinion where libsodium says no. */
GM_NODISCARD uint64_t gm_ed25519_single_verify(const struct gm_ed25519_job *jobs, unsigned n);
GM_NODISCARD uint64_t gm_ed25519_single_points(const struct gm_ed25519_point_job *jobs, unsigned n);

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_ed25519_pick(void);
/* Its name */
const char *gm_ed25519_picked(void);

#endif
