/* SPDX-License-Identifier: Apache-2.0 */
/* Messages sealed and opened against OpenSSL, a context for each. */
#include "differential/rig.h"
#include "emulated.h"

#include <openssl/evp.h>

static const struct gm_ccm_variant *const variants[] = {
    &gm_ccm_portable,
#ifdef __x86_64__
    &gm_ccm_aesni,
    &gm_ccm_aesni_few,
    &gm_ccm_vaes_emulated,
    &gm_ccm_vaes,
#endif
};

#define TEXT_MAX 1200u

static struct buffers {
	struct gm_guard key, nonce, aad, text;
} buffers[64];

static uint8_t before[64][TEXT_MAX + 16], after[64][TEXT_MAX + 16];

static size_t draw_len(struct gm_dice *d)
{
	static const uint32_t below[] = {1, 17, 40, 40, 70, 140, 300};

	return gm_roll(d, 100) == 0 ? gm_roll(d, TEXT_MAX + 1) : gm_roll(d, below[gm_roll(d, 7)]);
}

static void draw(struct gm_dice *d, struct buffers *b, struct gm_ccm_job *j)
{
	j->aad_len = draw_len(d);
	j->text_len = draw_len(d);
	j->tag_len = gm_roll(d, 2) ? 8 : 16;
	j->key = diff_bytes(d, &b->key, GM_CCM_KEY);
	j->nonce = diff_bytes(d, &b->nonce, GM_CCM_NONCE);
	j->aad = diff_bytes(d, &b->aad, j->aad_len);
	j->text = diff_bytes(d, &b->text, j->text_len + j->tag_len);
}

static EVP_CIPHER_CTX *context(const struct gm_ccm_job *j, int seal, void *tag)
{
	static EVP_CIPHER_CTX *ctx;
	int len;

	if (!ctx)
		ctx = EVP_CIPHER_CTX_new();
	if (EVP_CipherInit_ex(ctx, EVP_aes_128_ccm(), NULL, NULL, NULL, seal) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, GM_CCM_NONCE, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, j->tag_len, tag) != 1 ||
	    EVP_CipherInit_ex(ctx, NULL, NULL, j->key, j->nonce, seal) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &len, NULL, (int)j->text_len) != 1 ||
	    (j->aad_len > 0 && EVP_CipherUpdate(ctx, NULL, &len, j->aad, (int)j->aad_len) != 1))
		abort();
	return ctx;
}

static void seal_by_openssl(const struct gm_ccm_job *j, uint8_t *text)
{
	EVP_CIPHER_CTX *ctx = context(j, 1, NULL);
	int len;

	if (EVP_CipherUpdate(ctx, text, &len, text, (int)j->text_len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, j->tag_len, text + j->text_len) != 1)
		abort();
}

/* zeros where the tag is bad */
static bool open_by_openssl(const struct gm_ccm_job *j, uint8_t *text)
{
	int len;

	if (EVP_CipherUpdate(context(j, 0, text + j->text_len), text, &len, text, (int)j->text_len) == 1)
		return true;
	memset(text, 0, j->text_len);
	return false;
}

/* Each variant on the texts of before[]; after[] is what it has to make of them. */
static void compare(struct gm_dice *d, struct gm_ccm_job *jobs, unsigned n, bool opening, uint64_t expected,
                    struct tally *tally)
{
	const char *door = opening ? "ccm_open" : "ccm_seal";

	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		bool same = true;
		uint64_t got;

		if (!diff_turn(d, tally, door, variants[v]->name, 1) || !variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memcpy(jobs[i].text, before[i], jobs[i].text_len + jobs[i].tag_len);
		got = opening ? variants[v]->open(jobs, n) : variants[v]->seal(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same &= memcmp(jobs[i].text, after[i], jobs[i].text_len + jobs[i].tag_len) == 0;
		diff_count(tally, door, variants[v]->name, n, got, expected, same);
	}
}

static void keep(const struct gm_ccm_job *j, unsigned i)
{
	memcpy(before[i], j->text, j->text_len + j->tag_len);
	memcpy(after[i], j->text, j->text_len + j->tag_len);
}

static unsigned batch_seal(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_ccm_job jobs[64];

	for (unsigned i = 0; i < n; i++) {
		draw(d, &buffers[i], &jobs[i]);
		keep(&jobs[i], i);
		seal_by_openssl(&jobs[i], after[i]);
	}
	compare(d, jobs, n, false, diff_all(n), tally);
	return n;
}

/* A bit anywhere in what the tag covers, in the tag, the key or the nonce */
static void damage(struct gm_dice *d, struct gm_ccm_job *j)
{
	uint8_t *const at[] = {j->text, j->text + j->text_len, (uint8_t *)(uintptr_t)j->aad, (uint8_t *)(uintptr_t)j->key,
	                       (uint8_t *)(uintptr_t)j->nonce};
	const size_t len[] = {j->text_len, j->tag_len, j->aad_len, GM_CCM_KEY, GM_CCM_NONCE};
	const unsigned part = gm_roll(d, 5);

	if (len[part] > 0)
		at[part][gm_roll(d, (uint32_t)len[part])] ^= (uint8_t)(1u << gm_roll(d, 8));
}

static unsigned batch_open(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left), bad = gm_roll(d, 4); /* none, few, half, most */
	struct gm_ccm_job jobs[64];
	uint64_t expected = 0;

	for (unsigned i = 0; i < n; i++) {
		draw(d, &buffers[i], &jobs[i]);
		seal_by_openssl(&jobs[i], jobs[i].text);
		if (gm_roll(d, 9) < bad * bad)
			damage(d, &jobs[i]);
		keep(&jobs[i], i);
		expected |= (uint64_t)open_by_openssl(&jobs[i], after[i]) << i;
	}
	compare(d, jobs, n, true, expected, tally);
	return n;
}

/* A row of m, and the same as a job */
static struct gm_ccm_job draw_row(struct gm_dice *d, struct buffers *b, struct gm_ccm_same *m, unsigned i)
{
	const size_t most = 16 * m->aad_blocks - 2, aad_len = most - gm_roll(d, most < 16 ? (uint32_t)most : 16);
	uint8_t *aad = m->aad[i][0];

	memset(m->nonce[i], 0, sizeof(m->nonce[i]));
	diff_fill(d, m->nonce[i], GM_CCM_NONCE);
	memset(aad, 0, sizeof(m->aad[i]));
	aad[1] = (uint8_t)aad_len;
	diff_fill(d, aad + 2, aad_len);
	m->key[i] = diff_bytes(d, &b->key, GM_CCM_KEY);
	m->to[i] = diff_room(d, &b->text, m->text_len + GM_CCM_TAG);
	return (struct gm_ccm_job){m->key[i], m->nonce[i], aad + 2, aad_len, m->to[i], m->text_len, GM_CCM_TAG};
}

/* One text for many */
static unsigned batch_same(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	static struct gm_ccm_same m;
	static struct gm_guard text;
	const size_t len = draw_len(d), sealed_len = len + GM_CCM_TAG;

	m.aad_blocks = 1 + gm_roll(d, GM_CCM_AAD_BLOCKS);
	m.text = diff_bytes(d, &text, len);
	m.text_len = len;
	for (unsigned i = 0; i < n; i++) {
		const struct gm_ccm_job j = draw_row(d, &buffers[i], &m, i);
		memcpy(after[i], m.text, len);
		seal_by_openssl(&j, after[i]);
	}
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		bool same = true;
		if (!diff_turn(d, tally, "ccm_seal_same", variants[v]->name, 1) || !variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(m.to[i], 0, sealed_len);
		uint64_t got = variants[v]->seal_same(&m, n);
		for (unsigned i = 0; i < n; i++)
			same &= memcmp(m.to[i], after[i], sealed_len) == 0;
		diff_count(tally, "ccm_seal_same", variants[v]->name, n, got, diff_all(n), same);
	}
	return n;
}

const struct kind diff_ccm_seal_same = {"ccm_seal_same", false, batch_same};
const struct kind diff_ccm_seal = {"ccm_seal", false, batch_seal};
const struct kind diff_ccm_open = {"ccm_open", false, batch_open};
