/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_HKDF_CONTEXTS_H
#define GM_HKDF_CONTEXTS_H

#include <gm/crypto.h>

/* One way to compute; all variants answer alike, byte by byte. */
struct gm_hkdf_variant {
	const char *name;
	bool (*usable)(void);
	uint64_t (*contexts)(const struct gm_hkdf_job *jobs, unsigned n);
};

extern const struct gm_hkdf_variant gm_hkdf_shani, gm_hkdf_avx512, gm_hkdf_avx2; /* on x86-64 */
extern const struct gm_hkdf_variant gm_hkdf_portable;

/* The most jobs that SHA-NI, four at a time, does sooner than the 16 lanes of AVX-512 on Intel: bench hkdf_context */
#define GM_HKDF_FEW 8u
#define GM_HKDF_LANES 16u

/* All that this build has, fastest first; ends with NULL. */
extern const struct gm_hkdf_variant *const gm_hkdf_variants[];

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_hkdf_pick(void);
/* Its name, and that of what does a last group of GM_HKDF_FEW or fewer */
const char *gm_hkdf_picked(void);
const char *gm_hkdf_picked_for_few(void);
/* Take these instead; for tests and benches. */
void gm_hkdf_use(const struct gm_hkdf_variant *many, const struct gm_hkdf_variant *few);

static inline bool gm_hkdf_fits(const struct gm_hkdf_job *j)
{
	return j->out[0].out_len <= GM_SHA256 && j->out[1].out_len <= GM_SHA256 && j->out[2].out_len <= GM_SHA256;
}

#endif
