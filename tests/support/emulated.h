/* SPDX-License-Identifier: Apache-2.0 */
/* Variants whose instructions the processor lacks, with those written out; on x86-64. */
#ifndef GM_EMULATED_H
#define GM_EMULATED_H

#include "ccm/ccm.h"
#include "hkdf/contexts.h"

extern const struct gm_ccm_variant gm_ccm_vaes_emulated;   /* wants AES-NI and AVX-512 */
extern const struct gm_hkdf_variant gm_hkdf_shani_emulated; /* wants AVX2 */

#endif
