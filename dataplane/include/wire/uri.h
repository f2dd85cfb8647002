/* SPDX-License-Identifier: Apache-2.0 */
/* URIs that members name and paths that we name, RFC 3986. Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_URI_H
#define GM_WIRE_URI_H

#include "gm/buf.h"

/* Host, port and path of a control URI. Accepts coap:// and unicast IP literals only. port 0: default. RANGE: something
 * else. */
struct gm_uri {
	uint8_t ip[16]; /* v4-mapped for IPv4 */
	uint16_t port;
	struct gm_bytes path; /* with leading slash; percent-encoding and dot segments are refused */
};
GM_NODISCARD enum gm_err gm_uri_decode(struct gm_bytes text, struct gm_uri *uri);

#define GM_GROUPS_PATH "/ace-group"
/* "/ace-group/NAME"; what is no character of a segment is percent-encoded                RFC 3986 §3.3 */
void gm_group_path_encode(struct gm_out *out, struct gm_bytes name);

#endif
