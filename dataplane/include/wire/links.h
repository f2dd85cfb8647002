/* SPDX-License-Identifier: Apache-2.0 */
/* /.well-known/core in CoRE Link Format, RFC 6690. Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_LINKS_H
#define GM_WIRE_LINKS_H

#include "gm/buf.h"

/* The links of this Group Manager and of the groups named that pass every filter; CF 40.
 *
 * in       names   one link each, in this order
 *          query   Uri-Query options, decoded: href=, rt=, if=, osc=; a trailing * takes any rest. A link without the
 *                  attribute does not pass. An option without "=" is
 *                  no filter and is passed over.                                          RFC 6690 §4.1
 * fails    ROOM    kept in out; nothing passes: no bytes */
void gm_links_encode(struct gm_out *out, const struct gm_bytes *names, size_t names_n, const struct gm_bytes *query,
                     size_t query_n);

#endif
