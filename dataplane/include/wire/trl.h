/* SPDX-License-Identifier: Apache-2.0 */
/* The token revocation list of an authorization server, RFC 9770. No I/O, any thread. */
#ifndef GM_WIRE_TRL_H
#define GM_WIRE_TRL_H

#include "gm/buf.h"

#define GM_CF_TRL 262
#define GM_TRL_DIFF_MAX 64u /* entries of a diff set that are taken; more: MALFORMED */

struct gm_trl { /* of a response, with Content-Format 262 */
	bool full;       /* a full set; else a diff set */
	bool more;       /* of a diff set: older entries were left out */
	bool has_cursor; /* false: absent or null */
	uint64_t cursor;
	unsigned entries; /* of a diff set */
};
enum gm_trl_op { GM_TRL_LISTED, GM_TRL_REMOVED };
/* each: once per hash, the oldest diff entry first, in an entry the removed ones first; a full set in its order.
 * Nothing is called before the whole was found good. A hash has 33 bytes, else MALFORMED; both sets or none: MALFORMED. */
GM_NODISCARD enum gm_err gm_trl_decode(struct gm_bytes body, struct gm_trl *trl,
                                       void (*each)(void *arg, enum gm_trl_op op, struct gm_bytes hash), void *arg);
/* Of an error with Content-Format 257, key 1. true: it is one; has_cursor tells whether *cursor is set. */
GM_NODISCARD bool gm_trl_error_decode(struct gm_bytes body, unsigned *id, bool *has_cursor, uint64_t *cursor);

#endif
