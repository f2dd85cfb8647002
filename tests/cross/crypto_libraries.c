/* SPDX-License-Identifier: Apache-2.0 */
/* What the door chose against the libraries called directly: each variant has to agree with them. */
#include <criterion/criterion.h>
#include <string.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <gm/crypto.h>

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(libraries, .init = start);

static void sign_by_openssl(uint8_t sig[static GM_ED25519_SIG], const uint8_t *seed, const uint8_t *msg, size_t len)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, GM_ED25519_SEED);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = GM_ED25519_SIG;

	cr_assert_eq(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
	cr_assert_eq(EVP_DigestSign(ctx, sig, &sig_len, msg, len), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

Test(libraries, sign_ed25519_alike)
{
	for (size_t len = 0; len < 200; len++) {
		uint8_t seed[GM_ED25519_SEED], pub[GM_ED25519_PUB], sig[GM_ED25519_SIG], expected[GM_ED25519_SIG];
		uint8_t msg[200];

		gm_random(seed, sizeof(seed));
		gm_random(msg, sizeof(msg));
		gm_ed25519_public(pub, seed);
		const struct gm_ed25519_sign_job job = {seed, pub, msg, len, sig};
		gm_ed25519_sign(&job, 1);
		sign_by_openssl(expected, seed, msg, len);
		cr_expect_arr_eq(sig, expected, sizeof(sig), "%zu bytes", len);
	}
}

/* 64 signatures of which some have one bit wrong, in key, signature or message. */
struct batch {
	uint8_t seed[32], pub[GM_BATCH_MAX][GM_ED25519_PUB], sig[GM_BATCH_MAX][GM_ED25519_SIG], msg[GM_BATCH_MAX][32];
	struct gm_ed25519_job jobs[GM_BATCH_MAX];
};

static void spoil(struct batch *b, unsigned i)
{
	uint8_t dice[3];
	uint8_t *const parts[] = {b->pub[i], b->sig[i], b->sig[i] + 32, b->msg[i]};

	gm_random(dice, sizeof(dice));
	if (dice[0] % 3 == 0)
		parts[dice[0] / 3 % 4][dice[1] % 32] ^= (uint8_t)(1u << dice[2] % 8);
}

static void fill(struct batch *b)
{
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		gm_random(b->seed, sizeof(b->seed));
		gm_random(b->msg[i], sizeof(b->msg[i]));
		gm_ed25519_public(b->pub[i], b->seed);
		const struct gm_ed25519_sign_job job = {b->seed, b->pub[i], b->msg[i], sizeof(b->msg[i]), b->sig[i]};
		gm_ed25519_sign(&job, 1);
		spoil(b, i);
		b->jobs[i] = (struct gm_ed25519_job){b->pub[i], b->sig[i], b->msg[i], sizeof(b->msg[i])};
	}
}

Test(libraries, verify_damaged_ed25519_batches_alike)
{
	static struct batch b;

	for (unsigned round = 0; round < 20; round++) {
		uint64_t expected = 0;

		fill(&b);
		for (unsigned i = 0; i < GM_BATCH_MAX; i++)
			expected |=
			    (uint64_t)!crypto_sign_verify_detached(b.sig[i], b.msg[i], sizeof(b.msg[i]), b.pub[i]) << i;
		cr_expect_eq(gm_ed25519_verify(b.jobs, GM_BATCH_MAX), expected, "round %u", round);
	}
}

/* AES-CCM written out of AES-ECB as RFC 3610 §2.2 and §2.3 say; tags of tag_len bytes, 13-byte nonces. */
static void aes(EVP_CIPHER_CTX *ctx, uint8_t out[static 16], const uint8_t in[static 16])
{
	int len;

	cr_assert_eq(EVP_EncryptUpdate(ctx, out, &len, in, 16), 1);
}

struct mac {
	EVP_CIPHER_CTX *ctx;
	uint8_t x[16];
	unsigned at;
};

static void mac_byte(struct mac *m, uint8_t byte)
{
	m->x[m->at++] ^= byte;
	if (m->at == 16) {
		aes(m->ctx, m->x, m->x);
		m->at = 0;
	}
}

static void mac_padded(struct mac *m, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		mac_byte(m, p[i]);
	while (m->at > 0)
		mac_byte(m, 0);
}

static void mac(struct mac *m, const struct gm_ccm_job *j)
{
	uint8_t b0[16] = {(uint8_t)((j->aad_len ? 64 : 0) + (j->tag_len - 2) / 2 * 8 + 1)};

	memcpy(b0 + 1, j->nonce, GM_CCM_NONCE);
	b0[14] = (uint8_t)(j->text_len >> 8);
	b0[15] = (uint8_t)j->text_len;
	mac_padded(m, b0, sizeof(b0));
	if (j->aad_len > 0) {
		mac_byte(m, (uint8_t)(j->aad_len >> 8));
		mac_byte(m, (uint8_t)j->aad_len);
		mac_padded(m, j->aad, j->aad_len);
	}
	mac_padded(m, j->text, j->text_len);
}

static void seal_by_the_book(const struct gm_ccm_job *j)
{
	struct mac m = {.ctx = EVP_CIPHER_CTX_new()};
	uint8_t a[16] = {1}, s[16];

	cr_assert_eq(EVP_EncryptInit_ex(m.ctx, EVP_aes_128_ecb(), NULL, j->key, NULL), 1);
	mac(&m, j);
	memcpy(a + 1, j->nonce, GM_CCM_NONCE);
	aes(m.ctx, s, a);
	for (unsigned i = 0; i < j->tag_len; i++)
		j->text[j->text_len + i] = m.x[i] ^ s[i];
	for (size_t i = 0; i < j->text_len; i++) {
		if (i % 16 == 0) {
			a[14] = (uint8_t)((i / 16 + 1) >> 8);
			a[15] = (uint8_t)(i / 16 + 1);
			aes(m.ctx, s, a);
		}
		j->text[i] ^= s[i % 16];
	}
	EVP_CIPHER_CTX_free(m.ctx);
}

Test(libraries, seal_aes_ccm_batches_alike)
{
	static uint8_t text[GM_BATCH_MAX][700], expected[GM_BATCH_MAX][700], key[GM_BATCH_MAX][GM_CCM_KEY], aad[400];
	uint8_t nonce[GM_CCM_NONCE];
	struct gm_ccm_job jobs[GM_BATCH_MAX];

	gm_random(nonce, sizeof(nonce));
	gm_random(aad, sizeof(aad));
	gm_random(key, sizeof(key));
	gm_random(text, sizeof(text));
	memcpy(expected, text, sizeof(text));
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		jobs[i] = (struct gm_ccm_job){key[i], nonce, aad, i * 37 % 400, text[i], i * i % 600, i % 2 ? 8 : 16};
		struct gm_ccm_job by_hand = jobs[i];

		by_hand.text = expected[i];
		seal_by_the_book(&by_hand);
	}
	cr_assert_eq(gm_ccm_seal(jobs, GM_BATCH_MAX), UINT64_MAX);
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		cr_expect_arr_eq(text[i], expected[i], sizeof(text[i]), "job %u", i);
}
