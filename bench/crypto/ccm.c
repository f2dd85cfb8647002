/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM-16-64-128, a key of its own for each message, against OpenSSL's EVP. */
#include "bench/crypto/rows.h"
#include "ccm/ccm.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#define AAD 40u
#define SETS 4u /* of jobs, taken in turn */
#define TEXT_MAX 1024u

struct message {
	uint8_t key[GM_CCM_KEY], nonce[GM_CCM_NONCE], aad[AAD], text[TEXT_MAX + 16], sealed[TEXT_MAX + 16];
};

struct work {
	unsigned n, turn;
	EVP_CIPHER_CTX *ctx[2];
	struct gm_ccm_job seal[SETS][GM_BATCH_MAX], open[SETS][GM_BATCH_MAX];
	struct message message[SETS][GM_BATCH_MAX];
};

static struct gm_ccm_job job_of(struct message *m, uint8_t *text, size_t len)
{
	return (struct gm_ccm_job){m->key, m->nonce, m->aad, AAD, text, len, GM_CCM_TAG};
}

static EVP_CIPHER_CTX *new_context(int seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx || EVP_CipherInit_ex(ctx, EVP_aes_128_ccm(), NULL, NULL, NULL, seal) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, GM_CCM_NONCE, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GM_CCM_TAG, NULL) != 1)
		bench_wrong("EVP has no AES-CCM");
	return ctx;
}

static void *make(const struct row *row)
{
	struct work *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);

	if (!w)
		return NULL;
	gm_random(w->message, sizeof(w->message));
	w->n = row->n;
	w->turn = 0;
	w->ctx[0] = new_context(0);
	w->ctx[1] = new_context(1);
	for (unsigned s = 0; s < SETS; s++) {
		for (unsigned i = 0; i < row->n; i++) {
			struct message *m = &w->message[s][i];
			size_t len = row->size ? row->size : 16 + (s * 37 + i * 29) % 200;

			w->seal[s][i] = job_of(m, m->text, len);
			w->open[s][i] = job_of(m, m->sealed, len);
			if (!row->size)
				w->seal[s][i].aad_len = w->open[s][i].aad_len = 20 + (s + i) % 21;
		}
		if (!gm_ccm_seal(w->open[s], row->n))
			bench_wrong("a message was not sealed");
	}
	return w;
}

static void seal_by_evp(void *work, const void *arg)
{
	struct work *w = work;
	int len;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++) {
		const struct gm_ccm_job *j = &w->seal[w->turn % SETS][i];
		EVP_CIPHER_CTX *ctx = w->ctx[1];

		if (EVP_EncryptInit_ex(ctx, NULL, NULL, j->key, j->nonce) != 1 ||
		    EVP_EncryptUpdate(ctx, NULL, &len, NULL, (int)j->text_len) != 1 ||
		    EVP_EncryptUpdate(ctx, NULL, &len, j->aad, (int)j->aad_len) != 1 ||
		    EVP_EncryptUpdate(ctx, j->text, &len, j->text, (int)j->text_len) != 1 ||
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GM_CCM_TAG, j->text + j->text_len) != 1)
			bench_wrong("EVP does not seal");
	}
	w->turn++;
}

/* Opened text is no sealed one, so each is put back: 100 bytes copied, the same for everyone. */
static const struct gm_ccm_job *sealed_again(struct work *w, struct gm_ccm_job *jobs)
{
	unsigned turn = w->turn++ % SETS;

	memcpy(jobs, w->open[turn], w->n * sizeof(*jobs));
	for (unsigned i = 0; i < w->n; i++) {
		struct message *m = &w->message[turn][i];

		jobs[i].text = m->text;
		memcpy(m->text, m->sealed, jobs[i].text_len + GM_CCM_TAG);
	}
	return jobs;
}

static void open_by_evp(void *work, const void *arg)
{
	struct gm_ccm_job jobs[GM_BATCH_MAX];
	struct work *w = work;
	int len;

	(void)arg;
	sealed_again(w, jobs);
	for (unsigned i = 0; i < w->n; i++) {
		const struct gm_ccm_job *j = &jobs[i];
		EVP_CIPHER_CTX *ctx = w->ctx[0];

		if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GM_CCM_TAG, j->text + j->text_len) != 1 ||
		    EVP_DecryptInit_ex(ctx, NULL, NULL, j->key, j->nonce) != 1 ||
		    EVP_DecryptUpdate(ctx, NULL, &len, NULL, (int)j->text_len) != 1 ||
		    EVP_DecryptUpdate(ctx, NULL, &len, j->aad, (int)j->aad_len) != 1 ||
		    EVP_DecryptUpdate(ctx, j->text, &len, j->text, (int)j->text_len) != 1)
			bench_wrong("EVP does not open");
	}
}

static uint64_t all(const struct work *w)
{
	return w->n == 64 ? UINT64_MAX : (UINT64_C(1) << w->n) - 1;
}

static void seal_by_variant(void *work, const void *arg)
{
	const struct gm_ccm_variant *v = arg;
	struct work *w = work;

	if (v->seal(w->seal[w->turn++ % SETS], w->n) != all(w))
		bench_wrong(v->name);
}

static void open_by_variant(void *work, const void *arg)
{
	const struct gm_ccm_variant *v = arg;
	struct gm_ccm_job jobs[GM_BATCH_MAX];
	struct work *w = work;

	if (v->open(sealed_again(w, jobs), w->n) != all(w))
		bench_wrong(v->name);
}

#ifdef __x86_64__
static bool has_vaes(void)
{
	return gm_ccm_vaes.usable();
}

static bool has_aesni(void)
{
	return gm_ccm_aesni.usable();
}
#endif

#ifdef GM_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>

static IMB_MGR *manager;

/* Made at first use, for the best that the processor has. */
static bool has_ipsec_mb(void)
{
	IMB_ARCH arch;

	if (!manager && (manager = alloc_mb_mgr(0)) != NULL)
		init_mb_mgr_auto(manager, &arch);
	return manager != NULL;
}

static void fill(IMB_JOB *to, const struct gm_ccm_job *j, const void *keys)
{
	to->cipher_mode = IMB_CIPHER_CCM;
	to->hash_alg = IMB_AUTH_AES_CCM;
	to->cipher_direction = IMB_DIR_ENCRYPT;
	to->chain_order = IMB_ORDER_HASH_CIPHER;
	to->enc_keys = to->dec_keys = keys;
	to->key_len_in_bytes = GM_CCM_KEY;
	to->src = to->dst = j->text;
	to->cipher_start_src_offset_in_bytes = to->hash_start_src_offset_in_bytes = 0;
	to->msg_len_to_cipher_in_bytes = to->msg_len_to_hash_in_bytes = j->text_len;
	to->iv = j->nonce;
	to->iv_len_in_bytes = GM_CCM_NONCE;
	to->u.CCM.aad = j->aad;
	to->u.CCM.aad_len_in_bytes = j->aad_len;
	to->auth_tag_output = j->text + j->text_len;
	to->auth_tag_output_len_in_bytes = GM_CCM_TAG;
}

static unsigned completed(const IMB_JOB *job)
{
	if (job && job->status != IMB_STATUS_COMPLETED)
		bench_wrong("ipsec-mb");
	return job != NULL;
}

static void seal_by_ipsec_mb(void *work, const void *arg)
{
	static _Alignas(16) uint8_t keys[GM_BATCH_MAX][2][176]; /* schedules, of either direction */
	struct work *w = work;
	unsigned turn = w->turn++ % SETS, done = 0;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++) {
		const struct gm_ccm_job *j = &w->seal[turn][i];

		IMB_AES_KEYEXP_128(manager, j->key, keys[i][0], keys[i][1]);
		fill(IMB_GET_NEXT_JOB(manager), j, keys[i][0]);
		for (const IMB_JOB *job = IMB_SUBMIT_JOB(manager); job; job = IMB_GET_COMPLETED_JOB(manager))
			done += completed(job);
	}
	for (const IMB_JOB *job; (job = IMB_FLUSH_JOB(manager)) != NULL;)
		done += completed(job);
	if (done != w->n)
		bench_wrong("ipsec-mb does not seal");
}
#endif

static const struct way seal_ways[] = {
#ifdef __x86_64__
    {"vaes", has_vaes, seal_by_variant, &gm_ccm_vaes},
    {"aesni", has_aesni, seal_by_variant, &gm_ccm_aesni},
    {"aesni-few", has_aesni, seal_by_variant, &gm_ccm_aesni_few},
#endif
    {"portable", NULL, seal_by_variant, &gm_ccm_portable},
#ifdef GM_HAVE_IPSEC_MB
    {"ipsec-mb", has_ipsec_mb, seal_by_ipsec_mb, NULL},
#endif
    {0},
};

static const struct way open_ways[] = {
#ifdef __x86_64__
    {"vaes", has_vaes, open_by_variant, &gm_ccm_vaes},
    {"aesni", has_aesni, open_by_variant, &gm_ccm_aesni},
    {"aesni-few", has_aesni, open_by_variant, &gm_ccm_aesni_few},
#endif
    {"portable", NULL, open_by_variant, &gm_ccm_portable},
    {0},
};

#define SEAL(n, size, quick)                                                                                           \
	{                                                                                                              \
		"ccm_seal", n, size, quick, make, {"openssl-evp", NULL, seal_by_evp, NULL}, seal_ways                  \
	}
#define OPEN(n, size, quick)                                                                                           \
	{                                                                                                              \
		"ccm_open", n, size, quick, make, {"openssl-evp", NULL, open_by_evp, NULL}, open_ways                  \
	}

/* size 0: 16 to 215 bytes and AADs of 20 to 40, mixed in each call */
const struct row bench_ccm_rows[] = {
    SEAL(1, 100, false), SEAL(2, 100, false), SEAL(3, 100, false), SEAL(4, 100, false), SEAL(1, 16, false), SEAL(2, 16, false),
    SEAL(1, 1024, false), SEAL(3, 1024, false), SEAL(8, 100, false),  SEAL(16, 100, true),   SEAL(64, 16, false), SEAL(64, 100, true),
    SEAL(64, 200, true), SEAL(64, 512, false), SEAL(64, 1024, false), SEAL(64, 0, true),   OPEN(1, 100, false), OPEN(2, 100, false), OPEN(3, 100, false),
    OPEN(16, 100, true), OPEN(64, 100, true),  OPEN(64, 1024, false), OPEN(64, 0, false),  {0},
};
