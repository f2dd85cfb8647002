/* SPDX-License-Identifier: Apache-2.0 */
/* Group name patterns in I-Regexp, RFC 9485. No allocation, any thread. */
#ifndef GM_WIRE_IREGEXP_H
#define GM_WIRE_IREGEXP_H

#include "gm/buf.h"

/* true where the whole text matches the pattern; both are UTF-8.
 *
 * Understood: literals, ".", classes with ranges and "^", groups, "|", "*", "+", "?", "{n}", "{n,}", "{n,m}" and escapes
 * of single characters. A pattern that begins with "^" and ends with "$" is read without them, as in the examples of
 * draft-ietf-ace-oscore-gm-admin §3; no group name has a "^", so nothing is lost by it. Not understood, so matching
 * nothing: \p and \P, what RFC 9485 does not have, and patterns of more than a few hundred states. States are walked
 * side by side, so time is bounded by pattern times text. */
bool gm_iregexp_match(struct gm_bytes pattern, struct gm_bytes text);

#endif
