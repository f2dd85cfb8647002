/* SPDX-License-Identifier: Apache-2.0 */
/* Introspection of tokens that say nothing themselves, RFC 9200 §5.9. No I/O, any thread. */
#ifndef GM_WIRE_INTROSPECT_H
#define GM_WIRE_INTROSPECT_H

#include "wire/cwt.h"

/* {11: token} */
void gm_introspect_encode(struct gm_out *out, struct gm_bytes token);
/* The answer has the labels of a CWT's claims, and 10: active. claims borrows from body; nothing of it is set where active
 * is false. MISSING: no active; else what gm_cwt_decode() finds. */
GM_NODISCARD enum gm_err gm_introspect_decode(struct gm_bytes body, bool *active, struct gm_cwt *claims);

#endif
