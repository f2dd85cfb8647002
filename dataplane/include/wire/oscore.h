/* SPDX-License-Identifier: Apache-2.0 */
/* OSCORE between a member and the Group Manager, RFC 8613: contexts, the option, nonces, AAD, replay window, layout of
 * protected messages ready for crypto/'s batches. No I/O, no crypto but the derivation. Any thread; a context has
 * one owner. */
#ifndef GM_WIRE_OSCORE_H
#define GM_WIRE_OSCORE_H

#include "gm/buf.h"
#include "gm/crypto.h"
#include "wire/coap.h"

#define GM_OSCORE_ID_MAX 7u  /* of the longest nonce: 13 - 6                             RFC 8613 §3.3 */
#define GM_OSCORE_PIV_MAX 5u
#define GM_OSCORE_SEQ_MAX 0xffffffffffull /* 2^40 - 1 */
#define GM_OSCORE_AAD_MAX 48u
#define GM_OSCORE_ID_CONTEXT_MAX 255u /* what the length byte of a kid context can say */

struct gm_oscore_id {
	uint8_t n;
	uint8_t b[GM_OSCORE_ID_MAX];
};

struct gm_oscore_keys { /* secret; keys and IV as long as gm_aead_info(alg) says */
	uint8_t alg; /* COSE algorithm, one that gm_aead_info() knows */
	uint8_t send_key[GM_AEAD_KEY_MAX], recv_key[GM_AEAD_KEY_MAX];
	uint8_t common_iv[GM_AEAD_NONCE_MAX];
	struct gm_oscore_id sid, rid; /* Sender ID, Recipient ID: at most gm_oscore_id_max(alg) bytes */
};

/* Longest ID that a nonce of alg has room for: its length - 6. 0: no such algorithm     RFC 8613 §3.3 */
unsigned gm_oscore_id_max(int alg);

struct gm_oscore_input { /* what a context is derived from; borrowed            RFC 8613 §3.2 */
	struct gm_bytes ms, salt;
	struct gm_bytes id_context; /* p == NULL: absent */
	struct gm_bytes sid, rid;
	int alg;  /* AEAD; 0: the default, 10 AES-CCM-16-64-128 */
	int hkdf; /* by COSE's HMAC: 5 HKDF SHA-256, 7 HKDF SHA-512; 0: the default, 5 */
};
/* RANGE: an ID is longer than gm_oscore_id_max(alg), id_context than its limit, sid equals rid, or alg or hkdf is none that
 * is known. */
GM_NODISCARD enum gm_err gm_oscore_derive(struct gm_oscore_keys *keys, const struct gm_oscore_input *input);
/* The same for up to GM_BATCH_MAX contexts: bit i is set where inputs[i] is good. */
GM_NODISCARD uint64_t gm_oscore_derive_many(struct gm_oscore_keys *const *keys, const struct gm_oscore_input *inputs, unsigned n);
/* Master Salt of the ACE OSCORE profile: bstr(salt) || bstr(n1) || bstr(n2). salt.p == NULL: the token had none, and
 * the leading item is left out, or is an empty byte string where empty_salt_item is set.       RFC 9203 §4.3 */
void gm_oscore_ace_salt(struct gm_out *out, struct gm_bytes salt, bool empty_salt_item, struct gm_bytes n1,
                        struct gm_bytes n2);

/* ---- the option                                                                       RFC 8613 §6.1 */
struct gm_oscore_option {
	uint8_t piv_n; /* 0: no Partial IV */
	uint8_t piv[GM_OSCORE_PIV_MAX];
	bool has_kid, has_kid_context, group; /* group: the Group Flag of Group OSCORE */
	struct gm_bytes kid, kid_context;     /* borrowed from the message */
};
/* OSCORE_OPTION: reserved bits, Partial IV of 6 or 7 bytes or with zeros in front, cut short, or bytes left. */
GM_NODISCARD enum gm_err gm_oscore_option_decode(struct gm_bytes value, struct gm_oscore_option *option);
/* RANGE, in out: kid_context is longer than 255 bytes. */
void gm_oscore_option_encode(struct gm_out *out, const struct gm_oscore_option *option);

/* Partial IV of a sequence number, shortest form, at least one byte; returns its length. RFC 8613 §6.1 */
uint8_t gm_oscore_piv(uint8_t piv[static GM_OSCORE_PIV_MAX], uint64_t seq);
uint64_t gm_oscore_piv_seq(const uint8_t *piv, uint8_t n);
/* nonce_len bytes of it; id_piv has at most nonce_len - 6.                              RFC 8613 §5.2 */
void gm_oscore_nonce(uint8_t nonce[static GM_AEAD_NONCE_MAX], unsigned nonce_len,
                     const uint8_t common_iv[static GM_AEAD_NONCE_MAX], const struct gm_oscore_id *id_piv,
                     const uint8_t *piv, uint8_t piv_n);
/* Enc_structure with external_aad: ["Encrypt0", h'', bstr([1, [alg], request_kid, request_piv, h''])].
 * Returns its length.                                                                  RFC 8613 §5.3, 5.4 */
size_t gm_oscore_aad(uint8_t aad[static GM_OSCORE_AAD_MAX], uint8_t alg, const struct gm_oscore_id *request_kid,
                     const uint8_t *request_piv, uint8_t request_piv_n);

/* ---- replay window of 64                                                              RFC 8613 §7.4 */
struct gm_oscore_window {
	uint64_t top;  /* highest number accepted */
	uint64_t seen; /* bit i: top - i was accepted; 0: nothing yet */
};
GM_NODISCARD bool gm_oscore_window_fresh(const struct gm_oscore_window *w, uint64_t seq); /* looks only */
void gm_oscore_window_accept(struct gm_oscore_window *w, uint64_t seq);      /* after the tag was good */

/* ---- messages */
struct gm_oscore_scratch { /* what a job points into; lives as long as the job */
	uint8_t nonce[GM_AEAD_NONCE_MAX];
	uint8_t aad[GM_OSCORE_AAD_MAX];
};

/* The request that a message belongs to: itself, for a request. */
struct gm_oscore_request {
	struct gm_oscore_id kid; /* Sender ID of the requester */
	uint8_t piv_n;
	uint8_t piv[GM_OSCORE_PIV_MAX];
};

struct gm_oscore_outer { /* what stays readable */
	uint8_t type, code; /* code: POST or FETCH for requests, 2.04 or 2.05 for responses    RFC 8613 §4.2 */
	uint16_t mid;
	uint8_t token_len;
	uint8_t token[GM_COAP_TOKEN_MAX];
	bool has_observe;
	uint32_t observe;
	struct gm_oscore_option option; /* kid and Partial IV as they shall appear */
};

/* Lay out one protected message, ready to seal: job points into pkt's bytes and scratch.      RFC 8613 §8.1, §8.3
 * nonce_id, nonce_piv: the endpoint, one of the context's two, and Partial IV that the nonce is made of. plain: code, options, payload; copied.
 * Fails with ROOM. Changes no sequence number: the caller has taken it. */
GM_NODISCARD enum gm_err gm_oscore_wrap(const struct gm_oscore_keys *keys, const struct gm_oscore_outer *outer,
                                        const struct gm_oscore_request *request, const struct gm_oscore_id *nonce_id,
                                        const uint8_t *nonce_piv, uint8_t nonce_piv_n, struct gm_bytes plain,
                                        struct gm_out *pkt, struct gm_oscore_scratch *scratch, struct gm_aead_job *job);

/* Prepare the opening of a received message: copies its ciphertext to text (cap bytes) and lays out the job. Afterwards
 * the plaintext is text[0 .. job->text_len). option: of this message. request: as above. Without Partial IV in
 * the option the request's is used (responses only).                                        RFC 8613 §8.2, §8.4
 * Fails with DECRYPT (too short), ROOM, OSCORE_OPTION (request without kid or Partial IV). */
GM_NODISCARD enum gm_err gm_oscore_unwrap(const struct gm_oscore_keys *keys, struct gm_bytes ciphertext,
                                          const struct gm_oscore_option *option, const struct gm_oscore_request *request,
                                          bool is_request, uint8_t *text, size_t cap, struct gm_oscore_scratch *scratch,
                                          struct gm_aead_job *job);

#endif
