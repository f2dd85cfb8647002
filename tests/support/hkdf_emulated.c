/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/hkdf/shani.c for processors without the SHA instructions: these three are written out, all else is the same. */
#define GM_SHANI_EMULATED
#include "hkdf/shani.c"
