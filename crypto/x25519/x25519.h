/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_X25519_H
#define GM_X25519_H

#include <gm/crypto.h>

/* One way to compute; all agree on every input. */
struct gm_x25519_variant {
	const char *name;
	bool (*usable)(void); /* does this processor have what it takes */
	uint64_t (*agree)(const struct gm_x25519_job *jobs, unsigned n);
	uint64_t (*map)(const struct gm_x25519_map_job *jobs, unsigned n);
	unsigned least; /* fewer jobs than this libsodium has done sooner */
};

extern const struct gm_x25519_variant gm_x25519_sodium;
extern const struct gm_x25519_variant gm_x25519_plain; /* for tests and memcheck, never picked */
#ifdef __x86_64__
extern const struct gm_x25519_variant gm_x25519_ifma;
extern const struct gm_x25519_variant gm_x25519_avx512;   /* without IFMA, limbs multiplied in halves */
extern const struct gm_x25519_variant gm_x25519_emulated; /* the code of ifma without IFMA, for tests */
#endif

/* The doors by a variant, small numbers of jobs left to libsodium */
GM_NODISCARD uint64_t gm_x25519_agree_by(const struct gm_x25519_variant *v, const struct gm_x25519_job *jobs, unsigned n);
GM_NODISCARD uint64_t gm_x25519_map_by(const struct gm_x25519_variant *v, const struct gm_x25519_map_job *jobs, unsigned n);

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_x25519_pick(void);
/* Its name */
const char *gm_x25519_picked(void);

#endif
