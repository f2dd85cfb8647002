/* SPDX-License-Identifier: Apache-2.0 */
/* Before a variant is taken it computes a few jobs beside the portable one: a processor, a compiler or an emulator that
 * does not do what its feature bits say costs speed, not correct answers. */
#ifndef GM_TRIAL_H
#define GM_TRIAL_H

#include "ccm/ccm.h"
#include "ed25519/ed25519.h"
#include "hkdf/contexts.h"
#include "x25519/x25519.h"

GM_NODISCARD bool gm_ccm_trial(const struct gm_ccm_variant *v);
GM_NODISCARD bool gm_ed25519_trial(const struct gm_ed25519_variant *v);
GM_NODISCARD bool gm_x25519_trial(const struct gm_x25519_variant *v);
GM_NODISCARD bool gm_hkdf_trial(const struct gm_hkdf_variant *v);

#endif
