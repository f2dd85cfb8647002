/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ccm/vaes.c for processors without VAES: the wide AES round is four narrow ones, all else is the same code. */
#define GM_VAES_EMULATED
#include "ccm/vaes.c"
