/* SPDX-License-Identifier: Apache-2.0 */
/* Rekeying messages to many members, framed and sealed together. No I/O; any thread. */
#ifndef GM_WIRE_OSCORE_MANY_H
#define GM_WIRE_OSCORE_MANY_H

#include "wire/oscore.h"

/* Bytes that a datagram with so much plaintext has to have room for; some of them are only scratch. */
#define GM_OSCORE_POST_ROOM(plain_n) ((plain_n) + 40u)

/* One confirmable message from us to a member: a POST, or a notification, which is 2.05 with Observe. */
struct gm_oscore_post {
	const struct gm_oscore_keys *keys; /* of AES-CCM-16-64-128 */
	uint64_t seq;                      /* the caller has taken it; at most GM_OSCORE_SEQ_MAX */
	uint16_t mid;
	uint8_t token_len, token[GM_COAP_TOKEN_MAX];
	uint8_t obs_piv_n, obs_piv[GM_OSCORE_PIV_MAX]; /* notification: Partial IV of the registration; obs_piv_n 0: a POST */
	struct gm_bytes plain;                         /* code, options, payload; may be that of others, too */
	uint8_t *pkt; /* out: cap bytes, len of them the datagram; those behind are anything */
	size_t cap, len;
};

/* Make up to GM_BATCH_MAX protected messages.                                           RFC 8613 §8.1, §8.3
 * The same bytes as gm_oscore_wrap() and the AEAD give; the Observe option of a notification is the lower 24 bits of seq.
 * Bit i is unset, and pkt untouched, where keys are of another algorithm or an ID is too long for it, seq, token_len or
 * obs_piv_n is too large, or pkt has not GM_OSCORE_POST_ROOM.
 */
GM_NODISCARD uint64_t gm_oscore_post_many(struct gm_oscore_post *posts, unsigned n);

#endif
