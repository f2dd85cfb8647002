/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of a link: OSCORE contexts made anew by RFC 8613 App. B.2, in the byte forms that
 * dataplane/work/link.c describes. Pure: bytes in, bytes out; nothing is kept over a start. One thread. */
#ifndef GM_GMAS_ASSOCIATION_H
#define GM_GMAS_ASSOCIATION_H

#include "gm/dp.h"
#include "wire/coap.h"
#include "wire/oscore.h"

#define GM_SERVER_R2 8u
#define GM_SERVER_R2S 4u

struct gm_server_ctx { /* secret */
	struct gm_link link;
	struct gm_oscore_keys keys;
	bool up;
	uint32_t generation; /* moves with each new context: observations end with it */
	uint8_t id_context[64];
	size_t id_context_n;
	struct gm_oscore_window window;
	uint64_t seq;
	uint8_t r2[GM_SERVER_R2S][GM_SERVER_R2]; /* handed out, not used yet */
	unsigned r2_n;
};

enum gm_server_got {
	GM_SERVER_REQUEST, /* inner is set */
	GM_SERVER_HELLO,   /* pkt is the answer, complete */
	GM_SERVER_UNKNOWN, /* no context: an unprotected 4.01 is due */
	GM_SERVER_REPLAY,  /* likewise */
	GM_SERVER_BAD,     /* an unprotected 4.00 or 4.02 is due */
};
struct gm_server_request {
	struct gm_oscore_request of; /* kid and Partial IV that its answers are bound to */
	struct gm_coap inner;        /* borrows from text */
	uint8_t text[1600];
};

void gm_server_init(struct gm_server_ctx *ctx, const struct gm_link *link);
enum gm_server_got gm_server_open(struct gm_server_ctx *ctx, const struct gm_coap *msg, struct gm_server_request *x,
                                  struct gm_out *pkt);
/* Seals plain (code, options, payload) as an answer to request. outer: its type, code, mid, token, Observe are set. own_piv:
 * under a Partial IV of ours, as each answer to an observation is; else under the nonce of the request, once. ROOM */
GM_NODISCARD enum gm_err gm_server_seal(struct gm_server_ctx *ctx, const struct gm_oscore_request *request,
                                        struct gm_oscore_outer *outer, bool own_piv, struct gm_bytes plain, struct gm_out *pkt);

#endif
