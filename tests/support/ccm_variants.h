/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_CCM_VARIANTS_H
#define GM_CCM_VARIANTS_H

#include "ccm/ccm.h"

/* ccm_emulated.c; on x86-64 */
extern const struct gm_ccm_variant gm_ccm_vaes_emulated;

#endif
