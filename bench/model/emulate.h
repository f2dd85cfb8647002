/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that this processor may lack, carried out in the frame of the signal that says so: VAESENC, VAESENCLAST,
 * VPMADD52LUQ and VPMADD52HUQ, of 512 bits and without masks. */
#ifndef GM_BENCH_EMULATE_H
#define GM_BENCH_EMULATE_H

#include <stdbool.h>
#include <ucontext.h>

/* The instruction at RIP is done, and RIP behind it. false: it is none of these */
bool emulate(ucontext_t *context);

#endif
