/* SPDX-License-Identifier: Apache-2.0 */
/* CoAP messages over UDP, RFC 7252 with RFC 7641, 7959, 8613, 9175. Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_COAP_H
#define GM_WIRE_COAP_H

#include "gm/buf.h"

enum gm_coap_type { GM_COAP_CON, GM_COAP_NON, GM_COAP_ACK, GM_COAP_RST };

#define GM_COAP_EMPTY GM_COAP(0, 0)
#define GM_COAP_GET GM_COAP(0, 1)
#define GM_COAP_POST GM_COAP(0, 2)
#define GM_COAP_PUT GM_COAP(0, 3)
#define GM_COAP_DELETE GM_COAP(0, 4)
#define GM_COAP_FETCH GM_COAP(0, 5)
#define GM_COAP_IPATCH GM_COAP(0, 7)

enum gm_coap_option {
	GM_OPT_IF_MATCH = 1,
	GM_OPT_URI_HOST = 3,
	GM_OPT_ETAG = 4,
	GM_OPT_IF_NONE_MATCH = 5,
	GM_OPT_OBSERVE = 6,
	GM_OPT_URI_PORT = 7,
	GM_OPT_LOCATION_PATH = 8,
	GM_OPT_OSCORE = 9,
	GM_OPT_URI_PATH = 11,
	GM_OPT_CONTENT_FORMAT = 12,
	GM_OPT_MAX_AGE = 14,
	GM_OPT_URI_QUERY = 15,
	GM_OPT_ACCEPT = 17,
	GM_OPT_LOCATION_QUERY = 20,
	GM_OPT_BLOCK2 = 23,
	GM_OPT_BLOCK1 = 27,
	GM_OPT_SIZE2 = 28,
	GM_OPT_PROXY_URI = 35,
	GM_OPT_PROXY_SCHEME = 39,
	GM_OPT_SIZE1 = 60,
	GM_OPT_ECHO = 252,
	GM_OPT_NO_RESPONSE = 258,
	GM_OPT_REQUEST_TAG = 292,
};

#define GM_CF_NONE (-1)
#define GM_CF_ACE 19
#define GM_CF_LINK 40
#define GM_CF_CBOR 60
#define GM_CF_PROBLEM 257
#define GM_CF_GROUPCOMM 261

#define GM_COAP_PATH_MAX 8u /* Uri-Path or Location-Path segments kept; more: path_more is set */
#define GM_COAP_TOKEN_MAX 8u
#define GM_COAP_IF_MATCH_MAX 4u /* more are reported as not understood */

struct gm_coap_block {
	uint32_t num;
	bool more;
	uint8_t szx; /* block size is 1 << (szx + 4); 0..6 */
};

struct gm_coap { /* one message; borrows from the datagram */
	uint8_t type, code;
	uint16_t mid;
	uint8_t token_len;
	uint8_t token[GM_COAP_TOKEN_MAX];

	struct gm_bytes path[GM_COAP_PATH_MAX]; /* Uri-Path */
	struct gm_bytes location[GM_COAP_PATH_MAX];
	uint8_t path_n, location_n, query_n;
	bool path_more;
	struct gm_bytes query[4]; /* the first four */
	struct gm_bytes if_match[GM_COAP_IF_MATCH_MAX]; /* of protected requests only; one of no bytes: any */
	uint8_t if_match_n;
	struct gm_bytes oscore, echo, etag;
	bool has_oscore, has_echo, has_observe, has_block1, has_block2, has_max_age, has_proxy;
	uint32_t observe, max_age, size2;
	struct gm_coap_block block1, block2;
	int32_t content_format, accept; /* GM_CF_NONE: absent */
	uint16_t unknown_critical;      /* number of the first critical option not understood (or repeated, or of a
	                                 * bad length, RFC 7252 §5.4.1, §5.4.3, §5.4.5); 0: none */
	bool has_payload;
	struct gm_bytes payload;
};

/* Decode one datagram. MALFORMED: a message format error, which gets RST or silence (RFC 7252 §4.2, §4.3); type, mid
 * and code are set whenever four bytes of version 1 are there, so that the caller can reject. */
GM_NODISCARD enum gm_err gm_coap_decode(struct gm_bytes datagram, struct gm_coap *msg);
/* Decode the plaintext of a protected message: code, options, payload.                     RFC 8613 §5.3 */
GM_NODISCARD enum gm_err gm_coap_decode_inner(struct gm_bytes plain, struct gm_coap *msg);

/* Writing: head, options in ascending order, payload. `last` is the number of the option before, 0 at first. */
void gm_coap_put_head(struct gm_out *out, uint8_t type, uint8_t code, uint16_t mid, const uint8_t *token,
                      uint8_t token_len);
void gm_coap_put_option(struct gm_out *out, uint16_t *last, uint16_t number, const void *value, size_t n);
void gm_coap_put_option_uint(struct gm_out *out, uint16_t *last, uint16_t number, uint32_t value);
void gm_coap_put_block(struct gm_out *out, uint16_t *last, uint16_t number, struct gm_coap_block block);
/* Path segments of a text "/a/b/c", one option each; a leading slash is optional. */
void gm_coap_put_path(struct gm_out *out, uint16_t *last, uint16_t number, const char *path, size_t n);
/* Marker and payload; nothing where n is 0.                                               RFC 7252 §3 */
void gm_coap_put_payload(struct gm_out *out, const void *payload, size_t n);
/* A four-byte ACK or RST. */
void gm_coap_put_empty(struct gm_out *out, uint8_t type, uint16_t mid);

#endif
