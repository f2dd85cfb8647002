/* SPDX-License-Identifier: Apache-2.0 */
/* COSE messages that carry access tokens, RFC 9052 and 9053. Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_COSE_H
#define GM_WIRE_COSE_H

#include "gm/buf.h"

#define GM_COSE_ENCRYPT0 16
#define GM_COSE_MAC0 17
#define GM_COSE_SIGN1 18
#define GM_CBOR_TAG_CWT 61

/* COSE algorithms */
#define GM_ALG_EDDSA (-8)
#define GM_ALG_ED25519 (-19)
#define GM_ALG_ES256 (-7)
#define GM_ALG_ES384 (-35)
#define GM_ALG_ES512 (-36)
#define GM_ALG_HMAC_256_64 4
#define GM_ALG_HMAC_256 5
#define GM_ALG_CCM_16_64_128 10
#define GM_ALG_ECDH_SS_HKDF_256 (-27)
#define GM_ALG_ECDH_SS_HKDF_512 (-28)
#define GM_ALG_A128CTR (-65534)
#define GM_ALG_A192CTR (-65533)
#define GM_ALG_A256CTR (-65532)

#define GM_COSE_KEY_MAX 64u

struct gm_cose_key { /* a trusted key; secret unless for signatures */
	int32_t alg; /* any AEAD of gm_aead_info(), HMAC_256, HMAC_256_64, EDDSA (accepts -19 too), ES256 */
	uint8_t kid_n, key_n;
	uint8_t kid[16];              /* kid_n == 0: matches any message */
	uint8_t key[GM_COSE_KEY_MAX]; /* symmetric key, or public key: 32 bytes Ed25519, 64 bytes P-256 */
};

struct gm_cose {  /* one parsed COSE_Encrypt0, COSE_Mac0 or COSE_Sign1, tagged or not */
	int kind; /* GM_COSE_* */
	int32_t alg;         /* from the protected header, else the unprotected one; 0: absent */
	struct gm_bytes kid; /* p == NULL: absent */
	struct gm_bytes iv;
	struct gm_bytes protected_; /* contents of the bstr; an empty map counts as empty  RFC 9052 §5.3 */
	struct gm_bytes payload;    /* ciphertext with tag, or payload */
	struct gm_bytes tag;        /* MAC or signature; empty for Encrypt0 */
};

/* Accepts an outer CWT tag 61, COSE tags 16, 17, 18, and the untagged form (Encrypt0: 3 elements; of 4 elements the
 * kind follows from alg). Unknown critical headers (label 2) are refused. TOKEN_PARSE on anything else. */
GM_NODISCARD enum gm_err gm_cose_decode(struct gm_bytes input, struct gm_cose *msg);
/* true where key could have protected msg: same class of algorithm and, if both name one, same kid */
GM_NODISCARD bool gm_cose_key_fits(const struct gm_cose *msg, const struct gm_cose_key *key);
/* Open or verify; out gets the payload: decrypted or copied. cap of msg->payload.n always suffices; a tag to be opened
 * in place counts. TOKEN_KEY: key does not fit or the message does not verify, out is zeros then or untouched. ROOM:
 * cap is too small, or a MAC or signature covers more than 8 KiB. */
GM_NODISCARD enum gm_err gm_cose_open(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *out,
                                      size_t cap, size_t *out_n);

bool gm_cose_is_ed25519(const struct gm_cose_key *key);
/* Whether msg is signed with Ed25519 and key could have done it, and cap is enough. Then text gets the *n bytes that are signed, and whoever
 * verifies msg->tag over it with key->key, elsewhere and with others, has opened the message: its payload is msg->payload. */
GM_NODISCARD bool gm_cose_signed(const struct gm_cose *msg, const struct gm_cose_key *key, uint8_t *text, size_t cap, size_t *n);

/* A message that was opened has one form only, so that nobody can vary its bytes and it still opens: then its hash is that
 * of the token that was issued. The tags 61 and that of the kind and no other, shortest heads, nothing unprotected, nothing
 * behind; where nothing is protected that is an empty string, no empty map; at most GM_TOKEN_HASH_MAX bytes. MACs, AEAD
 * tags and EdDSA signatures cannot be varied; of the two ES256 signatures (r, s) and (r, n - s) the one with the smaller s is
 * taken, and an authorization server that lists its tokens has to issue that one.                RFC 9770 §3 */
GM_NODISCARD bool gm_cose_strict(struct gm_bytes token, const struct gm_cose *msg, const struct gm_cose_key *key);

/* The other direction, for the development AS and tests. `key` holds the symmetric key, the Ed25519 seed (32 bytes) or
 * the P-256 private key (32 bytes). iv: Encrypt0 only, nonce length of the algorithm. Output is tagged
 * 61(16|17|18(...)) with all headers protected, and passes gm_cose_strict(). USAGE: the algorithm is none of gm_cose_key's, or its key has another
 * size. */
GM_NODISCARD enum gm_err gm_cose_protect(struct gm_out *out, const struct gm_cose_key *key, const uint8_t *iv,
                                         struct gm_bytes payload);

#endif
