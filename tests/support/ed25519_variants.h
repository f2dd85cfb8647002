/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of Ed25519 that this processor can run. */
#ifndef GM_ED25519_VARIANTS_H
#define GM_ED25519_VARIANTS_H

#include "ed25519/ed25519.h"

static const struct gm_ed25519_variant *const gm_ed25519_every[] = {
    &gm_ed25519_sodium,
    &gm_ed25519_plain,
#ifdef __x86_64__
    &gm_ed25519_emulated,
    &gm_ed25519_avx512,
    &gm_ed25519_ifma,
#endif
};

#define EACH_VARIANT(v)                                                                                                \
	for (unsigned v##_i = 0; v##_i < sizeof(gm_ed25519_every) / sizeof(gm_ed25519_every[0]); v##_i++)              \
		for (const struct gm_ed25519_variant *v = gm_ed25519_every[v##_i]; v && v->usable(); v = NULL)

#endif
