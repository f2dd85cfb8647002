/* SPDX-License-Identifier: Apache-2.0 */
/* Rekeying messages to many members, framed and sealed together. No I/O; any thread. */
#ifndef GM_WIRE_OSCORE_MANY_H
#define GM_WIRE_OSCORE_MANY_H

#include "wire/oscore.h"

/* Bytes that a datagram with so much plaintext has to have room for; some of them are only scratch. */
#define GM_OSCORE_POST_ROOM(plain_n) ((plain_n) + 40u)

/* One confirmable POST from us to a member. */
struct gm_oscore_post {
	const struct gm_oscore_keys *keys; /* of AES-CCM-16-64-128 */
	uint64_t seq;                      /* the caller has taken it; at most GM_OSCORE_SEQ_MAX */
	uint16_t mid;
	uint8_t token_len, token[GM_COAP_TOKEN_MAX];
	uint8_t *pkt; /* out: cap bytes, len of them the datagram; those behind are anything */
	size_t cap, len;
};

/* Make up to GM_BATCH_MAX protected requests out of one plaintext: code, options, payload.    RFC 8613 §8.1
 * The same bytes as gm_oscore_wrap() and the AEAD give. Bit i is unset, and pkt untouched, where keys are of another
 * algorithm or their Sender ID is too long for it, seq or token_len is too large, or pkt has not GM_OSCORE_POST_ROOM.
 */
uint64_t gm_oscore_post_many(struct gm_oscore_post *posts, unsigned n, struct gm_bytes plain);

#endif
