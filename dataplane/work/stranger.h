/* SPDX-License-Identifier: Apache-2.0 */
/* Who is not known costs little: buckets of requests by network and by token, and an Echo value that shows an address. */
#ifndef GM_WORK_STRANGER_H
#define GM_WORK_STRANGER_H

#include <stdbool.h>
#include <stdint.h>

#include "gm/addr.h"

#define BUCKETS 4096u
#define GM_ECHO 8u /* bytes of an Echo value */

struct bucket {
	uint32_t tag;  /* of what it is for; 0: free */
	uint32_t left; /* thousandths of a request */
	uint64_t at_ms;
};

struct strangers {
	struct bucket all; /* posts from addresses that were not shown */
	struct bucket at[BUCKETS];
	uint32_t references; /* exchanges about tokens that an authorization server is asked about */
};

struct worker;
struct gm_coap;
struct xch;

/* Who sends it back has shown that it gets what is sent to its address. Good for a minute or two.       RFC 9175 §2.3 */
void gm_stranger_echo(const struct worker *w, const struct gm_addr *peer, uint8_t echo[static GM_ECHO]);
GM_NODISCARD bool gm_stranger_shown(const struct worker *w, const struct gm_addr *peer, const struct gm_coap *msg);

/* A token was posted. false: it was answered, with a challenge or "later", and left nothing behind. */
GM_NODISCARD bool gm_stranger_may_post(struct worker *w, const struct gm_coap *msg, const struct xch *x);
/* One more token that somebody has to be asked about. false: it was answered with a challenge. */
GM_NODISCARD bool gm_stranger_may_ask(struct worker *w, const struct xch *x);

/* A client whose proofs of possession failed too often lately is not verified again. */
GM_NODISCARD bool gm_stranger_may_prove(struct worker *w, uint32_t ctx);
void gm_stranger_failed(struct worker *w, uint32_t ctx);

#endif
