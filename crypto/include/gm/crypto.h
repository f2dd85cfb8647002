/* SPDX-License-Identifier: Apache-2.0 */
/* The door of crypto/: bytes in, bits out.
 *
 * Every call may be made from any thread. Nothing here keeps state between calls, allocates memory that
 * outlives the call, or speaks. Memory is the caller's. What can fail answers with an unset bit.
 * Call gm_crypto_init() before anything else, the first time from one thread: each variant is tried out then, which takes
 * milliseconds; later calls return at once.
 */
#ifndef GM_CRYPTO_H
#define GM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On every call whose answer decides: one that is not looked at does not compile. The same words as in gm/err.h, which
 * this room does not know. */
#define GM_NODISCARD __attribute__((warn_unused_result))

#define GM_BATCH_MAX 64u /* jobs in one call; the answer is one uint64_t */

#define GM_ED25519_PUB 32u
#define GM_ED25519_SEED 32u
#define GM_ED25519_SIG 64u
#define GM_ES256_PUB 64u /* x || y, big endian */
#define GM_ES256_SIG 64u /* r || s, big endian: the COSE form            RFC 9053 §2.1 */
#define GM_X25519_KEY 32u
#define GM_CCM_KEY 16u
#define GM_CCM_NONCE 13u
#define GM_CCM_TAG 8u
#define GM_SHA256 32u
#define GM_SHA512 64u
#define GM_BOX_KEY 32u
#define GM_BOX_NONCE 24u
#define GM_BOX_TAG 16u

/* false when the crypto libraries cannot start or lack AES-CCM; the program then has to end */
GM_NODISCARD bool gm_crypto_init(void);

/* ---- Ed25519 ------------------------------------------------------------------------ RFC 8032
 *
 * One rule for every path, alone, in lanes or in a batch, on every processor: a signature (R, S) by A is good when
 *	S < L,
 *	A and R are canonical encodings of points of the curve, neither of them of small order,
 *	8 S B = 8 R + 8 k A with k = SHA-512(R || A || M), the cofactored equation.
 * That is what libsodium 1.0.18 accepts, and besides only signatures whose A or R has a component of small order, which
 * nobody but the holder of the key can make.
 */

struct gm_ed25519_job {
	const uint8_t *pub; /* GM_ED25519_PUB bytes */
	const uint8_t *sig; /* GM_ED25519_SIG bytes */
	const uint8_t *msg;
	size_t msg_len;
};

/* Verify up to GM_BATCH_MAX signatures: bit i is set where jobs[i] is good; one bad job leaves its
 * neighbours alone. */
GM_NODISCARD uint64_t gm_ed25519_verify(const struct gm_ed25519_job *jobs, unsigned n);

/* ---- Ed25519, many signatures as one equation
 *
 * A random combination of all equations, each with a coefficient of 126 bits, is one equation of which most is shared:
 * per signature it costs a half (64 jobs) to a third (1,024) of a lane. Only if it does not hold are the lanes asked,
 * once and for all jobs, and that costs what it had cost without a batch, and the batch. The answers are those of
 * gm_ed25519_verify(); a bad signature passes with a probability of 2^-126. Processors without lanes have no batches:
 * there this is gm_ed25519_verify() again and again.
 */
#define GM_ED25519_BATCH_MAX 4096u
#define GM_ED25519_BATCH_WORDS(n) (((n) + 63u) / 64u)
/* Bytes that a batch of up to n jobs computes in, aligned to 64; at most 1.8 MiB. Nothing is left there to be kept. */
#define GM_ED25519_BATCH_ROOM(n) (200u * 1024u + 400u * (((n) + 15u) & ~15u))

/* The decoded form of a key, for signers that come again: where it is at hand a batch saves half of its decoding, a
 * fifth of all it does. Public, and the same on every processor. */
struct gm_ed25519_point {
	uint8_t x[32]; /* the coordinate that the key has but the sign of */
};

/* false: no signature by this key is good. That is so where it is no canonical encoding, of small order, or no point. */
GM_NODISCARD bool gm_ed25519_point_from_key(struct gm_ed25519_point *point, const uint8_t pub[static GM_ED25519_PUB]);

struct gm_ed25519_point_job {
	const uint8_t *pub;             /* GM_ED25519_PUB bytes */
	struct gm_ed25519_point *point; /* out */
};
/* The same for up to GM_BATCH_MAX keys; bit i is unset, and the point all zero, where the answer is false. */
GM_NODISCARD uint64_t gm_ed25519_points_from_keys(const struct gm_ed25519_point_job *jobs, unsigned n);

struct gm_ed25519_batch {
	const struct gm_ed25519_job *jobs;
	const struct gm_ed25519_point *const *points; /* NULL, or for each job that of its key, or NULL */
	unsigned n;                                   /* 0 to GM_ED25519_BATCH_MAX */
	/* GM_ED25519_SEED bytes of gm_random(), drawn when the last job was there, and used for no other batch: who knows
	 * them before can make bad signatures that pass. (As what is verified is hashed with them, not even then is it easy.) */
	const uint8_t *seed;
	void *room; /* GM_ED25519_BATCH_ROOM(n) bytes, aligned to 64; NULL: the lanes alone */
};

/* Bit i % 64 of good[i / 64] is set where jobs[i] is good, the others of GM_ED25519_BATCH_WORDS(n) words are not.
 * Returns how many are good. A point that is not the one of its key changes no answer; it costs more than none. */
unsigned gm_ed25519_verify_batch(uint64_t *good, const struct gm_ed25519_batch *batch);

/* ---- how many to verify as one equation
 *
 * One bad signature makes the whole batch cost its price in lanes too. So a batch is the larger, the rarer bad ones
 * are, and whoever is not known, or has just sent a bad one, goes to the lanes and fails there alone:
 *
 *	for signers whom gm_ed25519_standing_batches() lets in:
 *		n = gm_ed25519_policy_size(policy, waiting)
 *		n > 0: gm_ed25519_verify_batch() of the next n; n = 0: gm_ed25519_verify() of the next up to GM_BATCH_MAX
 *		gm_ed25519_policy_learn() of either
 *	the others: gm_ed25519_verify()
 *	all: standing = gm_ed25519_standing_after(standing, good)
 */
struct gm_ed25519_policy {
	uint32_t bad; /* share of bad signatures in what was learnt last, of 2^32. All 0 is a good start */
};

unsigned gm_ed25519_policy_size(const struct gm_ed25519_policy *policy, unsigned waiting);
/* bad <= n <= GM_ED25519_BATCH_MAX */
void gm_ed25519_policy_learn(struct gm_ed25519_policy *policy, unsigned n, unsigned bad);

/* What is known of a signer, in a byte of the caller's record; 0: nothing. One good signature lets a newcomer into
 * batches; a bad one keeps everyone out until GM_ED25519_PENANCE good ones have come, one after the other. */
#define GM_ED25519_PENANCE 8u
uint8_t gm_ed25519_standing_after(uint8_t standing, bool good);
bool gm_ed25519_standing_batches(uint8_t standing);

struct gm_ed25519_sign_job {
	const uint8_t *seed; /* GM_ED25519_SEED bytes, secret */
	const uint8_t *pub;  /* GM_ED25519_PUB bytes, must belong to seed */
	const uint8_t *msg;
	size_t msg_len;
	uint8_t *sig; /* out: GM_ED25519_SIG bytes */
};

/* Sign up to GM_BATCH_MAX messages, constant time in seed. Cannot fail. */
void gm_ed25519_sign(const struct gm_ed25519_sign_job *jobs, unsigned n);

struct gm_ed25519_public_job {
	const uint8_t *seed; /* GM_ED25519_SEED bytes, secret */
	uint8_t *pub;        /* out: GM_ED25519_PUB bytes */
};

/* Public keys of up to GM_BATCH_MAX seeds, constant time in them; and of one. */
void gm_ed25519_public_many(const struct gm_ed25519_public_job *jobs, unsigned n);
void gm_ed25519_public(uint8_t pub[static GM_ED25519_PUB], const uint8_t seed[static GM_ED25519_SEED]);

/* ---- curves P-256, P-384, P-521 ------------------------------------------------- RFC 9053 §2.1, §7.1.1 */

/* COSE's numbers of the curves. An integer has side = 32, 48 or 66 bytes, big endian: a private key one, a public key
 * two (x || y), a signature two (r || s). The caller's arrays have these sizes; the maxima fit every curve. */
#define GM_EC_P256 1
#define GM_EC_P384 2
#define GM_EC_P521 3
#define GM_EC_SIDE_MAX 66u
#define GM_EC_PUB_MAX 132u
#define GM_ECDSA_SIG_MAX 132u

size_t gm_ec_side(int crv); /* 0: no such curve */
/* false: no such curve, or pub is no point of it */
GM_NODISCARD bool gm_ec_valid(int crv, const uint8_t *pub);
/* The point that has x, side bytes, and an odd or even y. false: no such curve, or no point of it has this x. SEC 1 §2.3.4 */
GM_NODISCARD bool gm_ec_decompress(int crv, uint8_t *pub, const uint8_t *x, bool odd);
/* Public key of a private one. false: no such curve, or priv is not in 1 .. order - 1 */
GM_NODISCARD bool gm_ec_public(int crv, uint8_t *pub, const uint8_t *priv);
/* The private key that belongs to 32 secret random bytes; always the same one. false: no such curve. FIPS 186-5 A.2.1 */
GM_NODISCARD bool gm_ec_from_seed(int crv, uint8_t *priv, const uint8_t seed[static 32]);
/* A new pair, made of gm_random(). false: no such curve, or the library failed; pub and priv are anything then */
GM_NODISCARD bool gm_ec_keygen(int crv, uint8_t *pub, uint8_t *priv);
/* x-coordinate of the shared point (cofactor 1), side bytes, secret. false: no such curve, priv is out of range, pub is not on
 * the curve, or the library failed; out is anything then. SP 800-56A §5.7.1.2 */
GM_NODISCARD bool gm_ecdh(int crv, uint8_t *out, const uint8_t *priv, const uint8_t *pub);

/* ECDSA by COSE's algorithm: -7 ES256 on P-256, -35 ES384 on P-384, -36 ES512 on P-521. */
size_t gm_ecdsa_sig_len(int alg); /* 0: none of them */
/* false: no such algorithm, pub is not on the curve, or the signature is bad */
GM_NODISCARD bool gm_ecdsa_verify(int alg, const uint8_t *pub, const uint8_t *sig, const uint8_t *msg, size_t msg_len);
/* false: no such algorithm, priv is out of range, or the library failed; sig is anything then. Not the same each time */
GM_NODISCARD bool gm_ecdsa_sign(int alg, uint8_t *sig, const uint8_t *priv, const uint8_t *msg, size_t msg_len);

/* The same for ES256 alone, sizes in the types; what false means is said above. */
GM_NODISCARD bool gm_es256_verify(const uint8_t pub[static GM_ES256_PUB], const uint8_t sig[static GM_ES256_SIG],
                     const uint8_t *msg, size_t msg_len);
GM_NODISCARD bool gm_es256_keygen(uint8_t pub[static GM_ES256_PUB], uint8_t priv[static 32]);
GM_NODISCARD bool gm_es256_sign(uint8_t sig[static GM_ES256_SIG], const uint8_t priv[static 32], const uint8_t *msg, size_t msg_len);

/* ---- X25519 ---------------------------------------------------------------------------- RFC 7748 */

/* Shared secret, constant time; false where it is all zero (point of small order). out is secret.
 *                                                                                          RFC 7748 §6.1 */
GM_NODISCARD bool gm_x25519(uint8_t out[static GM_X25519_KEY], const uint8_t priv[static GM_X25519_KEY],
               const uint8_t pub[static GM_X25519_KEY]);
struct gm_x25519_job {
	const uint8_t *priv; /* GM_X25519_KEY bytes, secret */
	const uint8_t *pub;  /* GM_X25519_KEY bytes */
	uint8_t *out;        /* GM_X25519_KEY bytes, secret */
};

/* The same for up to GM_BATCH_MAX pairs: bit i is set where the secret of jobs[i] is not all zero. Constant time. */
GM_NODISCARD uint64_t gm_x25519_many(const struct gm_x25519_job *jobs, unsigned n);

/* Montgomery form of a public Ed25519 key; false for y = 1 or y = -1, small order, or a point off the curve.
 *                                                        draft-ietf-core-oscore-groupcomm §2.5.1 */
GM_NODISCARD bool gm_ed25519_to_x25519_pub(uint8_t out[static GM_X25519_KEY], const uint8_t pub[static GM_ED25519_PUB]);
struct gm_x25519_map_job {
	const uint8_t *pub; /* GM_ED25519_PUB bytes */
	uint8_t *out;       /* GM_X25519_KEY bytes; zeros where the answer is false */
};
/* The same for up to GM_BATCH_MAX keys: bit i is set where jobs[i] has an image. */
GM_NODISCARD uint64_t gm_ed25519_to_x25519_pub_many(const struct gm_x25519_map_job *jobs, unsigned n);
/* The private key of that form: secret, the caller wipes it. It is the clamped first half of SHA-512(seed). RFC 8032 §5.1.5 */
void gm_ed25519_to_x25519_priv(uint8_t out[static GM_X25519_KEY], const uint8_t seed[static GM_ED25519_SEED]);

/* ---- AES-CCM-16-64-128, many messages at once ------------------------------------ RFC 9053 §4.2 */

struct gm_ccm_job {
	const uint8_t *key;   /* GM_CCM_KEY bytes */
	const uint8_t *nonce; /* GM_CCM_NONCE bytes */
	const uint8_t *aad;
	size_t aad_len;
	uint8_t *text;   /* sealed or opened in place */
	size_t text_len; /* plaintext bytes; the tag follows at text + text_len */
	uint8_t tag_len; /* 8 or 16 */
};

/* Lengths may differ within a call; it is fastest where they are alike. No text overlaps anything else of the batch.
 * Every variant answers alike, byte by byte, in time that depends on lengths alone until the answer is known.
 *
 * Seal up to GM_BATCH_MAX messages in place; text must have room for the tag. Send nothing whose bit is unset: libcrypto had no memory, and
 * the text is zeroed; or not text_len < 65,536, aad_len < 65,280, and it is untouched. */
GM_NODISCARD uint64_t gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n);

/* Open up to GM_BATCH_MAX messages in place: bit i is set where the tag of jobs[i] is good.
 * Where it is not, the text is overwritten with zeros. */
GM_NODISCARD uint64_t gm_ccm_open(const struct gm_ccm_job *jobs, unsigned n);

#define GM_CCM_AAD_BLOCKS 3u

/* One text for many, each under a key of its own; row i is of message i. */
struct gm_ccm_same {
	_Alignas(64) uint8_t nonce[GM_BATCH_MAX][16]; /* GM_CCM_NONCE bytes, zeros behind */
	/* As CCM takes it: two bytes of length, not 0, that many bytes, zeros to the end of the last block  RFC 3610 §2.2 */
	_Alignas(64) uint8_t aad[GM_BATCH_MAX][GM_CCM_AAD_BLOCKS][16];
	const uint8_t *key[GM_BATCH_MAX]; /* GM_CCM_KEY bytes */
	uint8_t *to[GM_BATCH_MAX];        /* out: the text and its tag of GM_CCM_TAG bytes; overlaps nothing else */
	const uint8_t *text;
	size_t text_len;
	unsigned aad_blocks; /* of each message */
};

/* Seal up to GM_BATCH_MAX messages, which are alike by construction; the bytes are those of gm_ccm_seal().
 * out      bit i is set where m->to[i] is made; unset: libcrypto had no memory, and it is zeroed; or text_len > 65,535, or aad_blocks
 *          is not 1 to GM_CCM_AAD_BLOCKS: then none is written
 * changes  key behind row n */
GM_NODISCARD uint64_t gm_ccm_seal_same(struct gm_ccm_same *m, unsigned n);

/* ---- any COSE AEAD, one message, in place ------------------------------------------- RFC 9053 §4 */

struct gm_aead_info {
	int alg; /* COSE algorithm: 1, 2, 3, 10..13, 24, 30..33 */
	uint8_t key_len, nonce_len, tag_len;
};
/* NULL: no such algorithm here */
const struct gm_aead_info *gm_aead_info(int alg);

/* text holds text_len bytes of plaintext and room for the tag behind them. false: bad algorithm or sizes, no memory; text is zeroed */
GM_NODISCARD bool gm_aead_seal(int alg, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                  uint8_t *text, size_t text_len);
/* text holds text_len bytes of plaintext-to-be followed by the tag. false: the tag is bad, or as above; text is zeroed */
GM_NODISCARD bool gm_aead_open(int alg, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                  uint8_t *text, size_t text_len);

#define GM_AEAD_KEY_MAX 32u
#define GM_AEAD_NONCE_MAX 13u
#define GM_AEAD_TAG_MAX 16u

struct gm_aead_job {
	const uint8_t *key, *nonce, *aad; /* key and nonce as long as gm_aead_info(alg) says */
	size_t aad_len;
	uint8_t *text;   /* sealed or opened in place */
	size_t text_len; /* plaintext bytes; the tag follows at text + text_len */
	int alg;
};

/* Seal or open up to GM_BATCH_MAX messages, each under its own algorithm; the answers are those of gm_ccm_seal and
 * gm_ccm_open, which the jobs of AES-CCM-16-64-128 and -16-128-128 go through together. The others go one at a time. */
GM_NODISCARD uint64_t gm_aead_seal_many(const struct gm_aead_job *jobs, unsigned n);
GM_NODISCARD uint64_t gm_aead_open_many(const struct gm_aead_job *jobs, unsigned n);

/* ---- AES in counter mode, for group encryption without authentication --------------------- RFC 9459 §4 */

/* COSE algorithms -65534, -65533, -65532: A128CTR, A192CTR, A256CTR; a tag of no bytes. NULL: none of them */
const struct gm_aead_info *gm_ctr_info(int alg);
/* Encrypts or decrypts in place; the counter block starts as nonce || 00000000. false: bad algorithm or size */
GM_NODISCARD bool gm_ctr_crypt(int alg, const uint8_t *key, const uint8_t *nonce, uint8_t *text, size_t text_len);
/* Of either kind: what a group may encrypt with. NULL: unknown */
const struct gm_aead_info *gm_group_enc_info(int alg);

/* ---- hashes, MACs, key derivation ---------------------------------------------------------------- */

void gm_sha256(uint8_t out[static GM_SHA256], const uint8_t *msg, size_t len);
void gm_hmac_sha256(uint8_t out[static GM_SHA256], const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len);
void gm_hmac_sha512(uint8_t out[static GM_SHA512], const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len);

/* HKDF, extract and expand, by COSE's HMAC: 5 HMAC 256/256, 7 HMAC 512/512; out_len <= 255 hashes. false: another alg
 *                                                                                         RFC 5869 */
GM_NODISCARD bool gm_hkdf(int alg, uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
             size_t ikm_len, const uint8_t *info, size_t info_len);
/* The same in two steps, for several outputs from one extract. expand: after an extract that was true */
GM_NODISCARD bool gm_hkdf_extract(int alg, uint8_t prk[static GM_SHA512], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                     size_t ikm_len);
void gm_hkdf_expand(int alg, uint8_t *out, size_t out_len, const uint8_t prk[static GM_SHA512], const uint8_t *info,
                    size_t info_len);
/* HKDF-SHA-256, extract and expand; out_len <= 8160.                                     RFC 5869 */
void gm_hkdf_sha256(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                    size_t ikm_len, const uint8_t *info, size_t info_len);
/* The same in two steps, for several outputs from one extract. */
void gm_hkdf_sha256_extract(uint8_t prk[static GM_SHA256], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                            size_t ikm_len);
void gm_hkdf_sha256_expand(uint8_t *out, size_t out_len, const uint8_t prk[static GM_SHA256], const uint8_t *info,
                           size_t info_len);

/* HKDF-SHA-256 of many contexts at once: an extract and up to GM_HKDF_OUTS expands each, salt, key and infos of any
 * length. Bit i is unset where an out_len of jobs[i] is above GM_SHA256; nothing of that job is written then. */
#define GM_HKDF_OUTS 3u
struct gm_hkdf_out {
	uint8_t *out;
	const uint8_t *info;
	size_t out_len, info_len; /* out_len 0: not wanted */
};
struct gm_hkdf_job {
	const uint8_t *salt, *ikm;
	size_t salt_len, ikm_len;
	struct gm_hkdf_out out[GM_HKDF_OUTS];
};
GM_NODISCARD uint64_t gm_hkdf_contexts(const struct gm_hkdf_job *jobs, unsigned n);

/* Keyed 64-bit hash for tables that strangers can fill. SipHash-2-4 */
uint64_t gm_siphash(const uint8_t key[static 16], const uint8_t *msg, size_t len);

/* ---- X.509 certificates as credentials ------------------------------------------ RFC 9360 §2 */

#define GM_X509_MAX 8u /* certificates in a chain or bag */

struct gm_x509_cert {
	const uint8_t *der;
	size_t len;
};
struct gm_x509_key {
	int kty, crv; /* as in COSE: OKP with Ed25519 or X25519, EC2 with P-256, P-384, P-521 */
	uint8_t n;    /* bytes of a coordinate */
	uint8_t pub[GM_EC_PUB_MAX]; /* the key, or x || y */
};
/* Public key of the end entity. chain: the first one is it, and each is issued and signed by the next; else a bag, in
 * any order: it is the one that issued none of the others. at: epoch seconds at which all have to be valid, negative:
 * not looked at. Says nothing about trust: no anchor is asked for, nor revocation, names or key usage.
 * false: malformed, not valid, out of order, no single end entity, or a key of another kind */
GM_NODISCARD bool gm_x509_end_key(const struct gm_x509_cert *certs, unsigned n, bool chain, int64_t at, struct gm_x509_key *key);

/* A certificate of key, signed by the owner of an Ed25519 seed, valid from a time (epoch seconds) and without end; the
 * same each time. issuer NULL: key is the one of the seed, and the certificate is under itself. Names: at most 64 bytes.
 * Returns its length; 0: more than cap bytes, or the library failed */
GM_NODISCARD size_t gm_x509_issue(uint8_t *der, size_t cap, const struct gm_x509_key *key, const char *subject, const char *issuer,
                     int64_t from, const uint8_t seed[static GM_ED25519_SEED]);

/* ---- sealing of stored records: XChaCha20-Poly1305 ----------------------------------------------- */

/* out gets len + GM_BOX_TAG bytes; out may equal msg. draft-irtf-cfrg-xchacha §2.3: a nonce may be drawn with gm_random() */
void gm_box_seal(uint8_t *out, const uint8_t *msg, size_t len, const uint8_t *aad, size_t aad_len,
                 const uint8_t nonce[static GM_BOX_NONCE], const uint8_t key[static GM_BOX_KEY]);
/* len counts the tag; out gets len - GM_BOX_TAG bytes; out may equal box. false: forged, and out is zeroed, or shorter than a
 * tag, and it is untouched */
GM_NODISCARD bool gm_box_open(uint8_t *out, const uint8_t *box, size_t len, const uint8_t *aad, size_t aad_len,
                 const uint8_t nonce[static GM_BOX_NONCE], const uint8_t key[static GM_BOX_KEY]);

/* ---- small things -------------------------------------------------------------------------------- */

void gm_random(void *out, size_t len); /* from the kernel's generator by way of libsodium; cannot fail */
/* deterministic stream of a secret 32-byte seed: the dice of an event */
void gm_random_from(void *out, size_t len, const uint8_t seed[static 32]);
void gm_wipe(void *p, size_t len); /* not optimised away */
GM_NODISCARD bool gm_equal(const void *a, const void *b, size_t len); /* constant time */

#endif
