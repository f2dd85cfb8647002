/* SPDX-License-Identifier: Apache-2.0 */
/* An authorization server on the far side of the rig's network, as far as gmd is its client: OSCORE with contexts by RFC 8613
 * App. B.2, observations, blocks, and on request all that goes wrong. It knows nothing of work/link.c. Every datagram to it is
 * watched: no key and nonce for two texts. */
#ifndef AS_SERVER_H
#define AS_SERVER_H

#include "flow_rig.h"

struct as_answer { /* what the test says to a request */
	uint8_t code;
	int32_t format;
	bool observe;       /* to a registration: it stands */
	unsigned block;     /* bytes of a block, 16 to 1,024; 0: in one piece */
	bool silent;        /* not answered at all */
	struct gm_bytes payload, echo, etag;
};

struct as_observation {
	bool on;
	uint8_t token_n, token[8], piv_n, piv[5];
};

struct as_kept { /* an answer that was given, for repeats */
	uint16_t mid, n;
	uint8_t bytes[1500];
};

struct as_watched {
	uint64_t id, text;
};

struct as_server {
	struct flow *r;
	struct gm_addr addr;
	struct gm_link link; /* as the Group Manager has it */
	void (*answer)(void *arg, const struct gm_coap *inner, struct as_answer *a);
	void *arg;

	/* behaviour */
	bool deaf;          /* hears nothing */
	uint8_t refuse;     /* every request gets this code, unprotected */
	bool separate;      /* empty ACK first, the response as a CON of its own */
	bool own_piv;       /* responses have a Partial IV */
	bool no_memory;     /* repeats are not remembered: each request is taken as new */

	bool up;            /* the third context stands */
	struct gm_oscore_keys keys;
	uint8_t id3[96];
	size_t id3_n;
	uint64_t seq;
	struct gm_oscore_window window;
	uint8_t r2[8][8]; /* said and not yet used */
	unsigned r2_n;
	struct as_observation observation;
	struct as_kept kept[32];
	unsigned kept_n;
	uint16_t next_mid;

	unsigned hellos, requests, refused, acks, resets, bad, repeats; /* seen so far */
	uint8_t last_method;
	struct gm_mem_dgram last; /* the latest datagram that it heard */
	struct gm_mem_dgram said; /* the latest that it sent */

	struct as_watched *watched;
	unsigned watched_n, reuses;
	uint8_t watch_context[96]; /* kid context seen last on the wire */
	size_t watch_context_n;
};

struct as_server *as_server_new(struct flow *r, const char *addr, const struct gm_link *link);
void as_server_free(struct as_server *s);
/* As a restart of it: contexts, R2s, observations and memory of messages are gone. */
void as_server_forget(struct as_server *s);
/* A notification to its observation; confirmable; number: Partial IV, usually s->seq++. */
void as_server_notify(struct as_server *s, uint64_t number, bool final, const struct as_answer *a);
/* A request of its own under the context that stands. */
void as_server_ask(struct as_server *s);
void as_server_send(struct as_server *s, const void *p, size_t n); /* any bytes, from its address */

#endif
