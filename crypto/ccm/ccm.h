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
	uint64_t (*seal_same)(struct gm_ccm_same *m, unsigned n); /* where gm_ccm_same_fits() */
};

extern const struct gm_ccm_variant gm_ccm_vaes, gm_ccm_aesni, gm_ccm_aesni_few; /* on x86-64 */
extern const struct gm_ccm_variant gm_ccm_portable;

/* The most jobs of a call that gm_ccm_aesni_few does sooner than the others */
#define GM_CCM_FEW 4u

/* All that this build has, fastest first; ends with NULL. */
extern const struct gm_ccm_variant *const gm_ccm_variants[];

static inline bool gm_ccm_fits(const struct gm_ccm_job *j)
{
	return j->text_len <= GM_CCM_TEXT_MAX && j->aad_len <= GM_CCM_AAD_MAX && (j->tag_len == 8 || j->tag_len == 16);
}

static inline bool gm_ccm_same_fits(const struct gm_ccm_same *m)
{
	return m->text_len <= GM_CCM_TEXT_MAX && m->aad_blocks > 0 && m->aad_blocks <= GM_CCM_AAD_BLOCKS;
}

/* Pick the variant to use from now on; called once by gm_crypto_init(). */
void gm_ccm_pick(void);
/* Its name */
const char *gm_ccm_picked(void);
/* Take this one instead, for any number of jobs; for tests and benches. */
void gm_ccm_use(const struct gm_ccm_variant *v);

#endif
