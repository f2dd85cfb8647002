/* SPDX-License-Identifier: Apache-2.0 */
/* The link to an authorization server: we are its client over OSCORE. link.c has the context and the messages, ask.c what is
 * asked and answered. One worker owns a link: as_id modulo their number. */
#ifndef GM_WORK_LINK_H
#define GM_WORK_LINK_H

#include "work/worker.h"

#define LINK_WINDOW 4u        /* requests in flight once the context stands; before that one */
#define LINK_NONCE 8u         /* R1 and R3 */
#define LINK_R2_MAX 64u
#define LINK_SEQ_MAX (1u << 20) /* then a new context: long before the space ends, and below what an AEAD with tags of 64 bits may protect */
#define LINK_ACKED 16u
#define ASKS_MAX 256u
#define ASK_WAIT_MS 30000u    /* an ask waits so long to be sent */
#define ASK_RENEWALS 3u       /* contexts under which it is sent again */
#define ASK_RESTARTS 3u       /* of a body that changed while it was fetched */
#define ASK_TEXT_MAX 1200u    /* path, query and payload: one datagram */
#define BACKOFF_MAX_S 60u
#define REFUSAL_MS 500u       /* after an unprotected error, for the response that verifies */
#define SETTLED_MS 60000u     /* a context that lived so long ends the back-off */

struct flight { /* a confirmable request of ours until its response */
	bool live;
	bool waiting; /* empty ACK came, the response has not */
	uint8_t refused; /* code of the first unprotected error; 0: none */
	uint8_t tries, token[LINK_TOKEN];
	uint16_t mid;
	uint32_t timer, timeout_ms;
	uint64_t seq;
	struct blob *datagram; /* sealed: what is sent again */
};

enum ask_state { ASK_FREE, ASK_QUEUED, ASK_FLYING, ASK_OBSERVING, ASK_OWED };

struct ask {
	uint32_t number; /* core's */
	uint8_t state, method;
	uint8_t observe;      /* of core: 1 registers */
	bool silent;          /* core does not want to hear of it any more */
	bool ending;          /* its request in flight ends the observation */
	uint8_t renewals, restarts;
	uint8_t echo_n, echo[40];
	int32_t format;
	uint16_t next;        /* in the queue: place + 1 */
	struct blob *text;    /* path, query, payload */
	uint16_t path_n, query_n, payload_n;
	struct flight flight; /* its timer is also that of waiting in the queue, and of owing */

	bool observed;              /* the observation stands; made by the request with these: */
	uint8_t token[LINK_TOKEN];
	uint64_t seq;
	bool has_number;
	uint64_t number_seen; /* Notification Number                                  RFC 8613 §7.4.1 */

	uint8_t err, code;    /* the answer, as far as it is here */
	int32_t answer_format;
	uint8_t *body;
	size_t body_n, body_cap;
	bool by_blocks;       /* block_num of size block_szx is to be asked for */
	uint8_t szx;
	uint8_t etag_n, etag[8];
};

enum link_state { LINK_DOWN, LINK_WAITING, LINK_HELLO, LINK_UNPROVEN, LINK_UP };

struct link {
	uint32_t as_id;
	unsigned place;       /* in worker.as_links */
	struct gm_link of;
	uint8_t state;
	struct gm_oscore_keys keys;
	uint8_t id_context[LINK_R2_MAX + LINK_NONCE]; /* that the keys are derived with */
	size_t id_context_n;
	uint64_t seq;
	uint16_t next_mid;
	uint64_t mids_ms[2];  /* when each half of the Message IDs was begun */
	struct flight hello;  /* request #1; its timer is also that of the back-off */
	unsigned fails;
	bool unknown;         /* to the server, as far as it can be believed: its refusal was the end of the latest hello */
	uint64_t up_ms, not_before_ms;
	uint16_t first, last; /* queue: place + 1 */
	unsigned flying;
	struct { uint16_t mid; uint8_t token[LINK_TOKEN]; uint64_t at_ms; } acked[LINK_ACKED];
	unsigned acked_n;
	struct ask ask[ASKS_MAX];
};

/* ---- link.c */
/* The queue goes on: a context is made, or asks are sent, as far as the window allows. */
void gm_link_pump(struct worker *w, struct link *l);
/* Seal a request under the present context into f and send it. FULL: no Message ID is free for now; SEQ_SPENT */
GM_NODISCARD enum gm_err gm_link_send(struct worker *w, struct link *l, struct flight *f, uint32_t ref, struct gm_bytes plain,
                                      bool observe, uint32_t observe_value, const uint8_t *token);
void gm_flight_end(struct worker *w, struct flight *f);
bool gm_flight_due(struct worker *w, struct link *l, struct flight *f, uint32_t ref); /* sends it again; true: it is over */
void gm_link_lost(struct worker *w, struct link *l); /* the context; the caller pumps */
struct link *gm_link_at(struct worker *w, uint32_t as_id); /* NULL: none, or another worker's */
uint32_t gm_link_ref(const struct link *l, unsigned i); /* of the timer of ask i */

/* ---- ask.c */
void gm_asks_fail(struct worker *w, struct link *l, enum gm_err err); /* those in the queue and in flight */
void gm_asks_end(struct worker *w, struct link *l);   /* all: the link goes */
void gm_asks_again(struct worker *w, struct link *l); /* the context is lost: those in flight into the queue, observations end */
bool gm_ask_send(struct worker *w, struct link *l);   /* the first in the queue; false: not now */
/* answered: the request, NULL: a notification */
void gm_ask_answered(struct worker *w, struct link *l, unsigned i, const struct gm_coap *inner, const struct gm_oscore_option *option,
                     const struct flight *answered);
void gm_ask_failed(struct worker *w, struct link *l, unsigned i, enum gm_err err);
void gm_ask_due(struct worker *w, struct link *l, unsigned i);
void gm_asks_free(struct worker *w, struct link *l);

#endif
