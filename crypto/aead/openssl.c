/* SPDX-License-Identifier: Apache-2.0 */
#include "aead/aead.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <openssl/evp.h>

#define ROWS (sizeof(rows) / sizeof(rows[0]))
#define LEN_MAX ((size_t)INT_MAX - 64) /* libcrypto counts in int */

/* RFC 9053 §4.1, §4.2, §4.3 */
/* clang-format off */
static const struct gm_aead_row rows[] = {
	{{1, 16, 12, 16}, "AES-128-GCM", false},
	{{2, 24, 12, 16}, "AES-192-GCM", false},
	{{3, 32, 12, 16}, "AES-256-GCM", false},
	{{10, 16, 13, 8}, "AES-128-CCM", true},
	{{11, 32, 13, 8}, "AES-256-CCM", true},
	{{12, 16, 7, 8}, "AES-128-CCM", true},
	{{13, 32, 7, 8}, "AES-256-CCM", true},
	{{24, 32, 12, 16}, "ChaCha20-Poly1305", false},
	{{30, 16, 13, 16}, "AES-128-CCM", true},
	{{31, 32, 13, 16}, "AES-256-CCM", true},
	{{32, 16, 7, 16}, "AES-128-CCM", true},
	{{33, 32, 7, 16}, "AES-256-CCM", true},
};
/* clang-format on */

enum { OPEN = 0, SEAL = 1 }; /* as libcrypto counts directions */

/* Fetched once: a fetch by name takes locks in libcrypto. */
static EVP_CIPHER *ciphers[ROWS];

/* Contexts of one thread, made at first use: one per row and direction, so that between two messages only
 * key and nonce change and nothing is allocated. */
struct contexts {
	EVP_CIPHER_CTX *ctx[ROWS][2];
	bool used[ROWS][2]; /* holds a key */
};

static thread_local struct contexts *mine;
static tss_t at_thread_end;

static void free_contexts(void *p)
{
	struct contexts *c = p;

	for (unsigned i = 0; i < ROWS; i++) {
		EVP_CIPHER_CTX_free(c->ctx[i][OPEN]);
		EVP_CIPHER_CTX_free(c->ctx[i][SEAL]);
	}
	free(c);
	mine = NULL;
}

bool gm_evp_start(void)
{
	if (ciphers[0])
		return true;
	if (tss_create(&at_thread_end, free_contexts) != thrd_success)
		return false;
	for (unsigned i = ROWS; i-- > 0;) {
		ciphers[i] = EVP_CIPHER_fetch(NULL, rows[i].cipher, NULL);
		if (!ciphers[i])
			return false;
	}
	return true;
}

const struct gm_aead_row *gm_aead_row(int alg)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].info.alg == alg)
			return &rows[i];
	return NULL;
}

static struct contexts *my_contexts(void)
{
	if (mine)
		return mine;
	mine = calloc(1, sizeof(*mine));
	if (mine && tss_set(at_thread_end, mine) != thrd_success) {
		free(mine);
		mine = NULL;
	}
	return mine;
}

/* CCM takes its tag length into the key set-up, so it is set once here, before any key. */
static EVP_CIPHER_CTX *new_context(const struct gm_aead_row *row, int dir)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_CipherInit_ex2(ctx, ciphers[row - rows], NULL, NULL, dir, NULL) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, row->info.nonce_len, NULL) == 1 &&
	    (!row->ccm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, row->info.tag_len, NULL) == 1))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* This thread's context with key and nonce in it; NULL: no memory, or libcrypto failed. */
static EVP_CIPHER_CTX *begin(const struct gm_aead_row *row, int dir, const uint8_t *key, const uint8_t *nonce)
{
	struct contexts *c = my_contexts();
	if (!c)
		return NULL;

	EVP_CIPHER_CTX **ctx = &c->ctx[row - rows][dir];
	if (!*ctx)
		*ctx = new_context(row, dir);
	if (!*ctx)
		return NULL;

	c->used[row - rows][dir] = true;
	return EVP_CipherInit_ex2(*ctx, NULL, key, nonce, dir, NULL) == 1 ? *ctx : NULL;
}

static bool run(EVP_CIPHER_CTX *ctx, bool ccm, const uint8_t *aad, size_t aad_len, uint8_t *text, size_t text_len)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH]; /* stays empty: these are all stream modes */
	int len;

	return (!ccm || EVP_CipherUpdate(ctx, NULL, &len, NULL, (int)text_len) == 1) &&
	       (aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &len, aad, (int)aad_len) == 1) &&
	       EVP_CipherUpdate(ctx, text, &len, text, (int)text_len) == 1 && EVP_CipherFinal_ex(ctx, rest, &len) == 1;
}

bool gm_evp_seal(const struct gm_aead_row *row, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad,
                 size_t aad_len, uint8_t *text, size_t text_len)
{
	EVP_CIPHER_CTX *ctx = begin(row, SEAL, key, nonce);

	return ctx && run(ctx, row->ccm, aad, aad_len, text, text_len) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, row->info.tag_len, text + text_len) == 1;
}

bool gm_evp_open(const struct gm_aead_row *row, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad,
                 size_t aad_len, uint8_t *text, size_t text_len)
{
	EVP_CIPHER_CTX *ctx = begin(row, OPEN, key, nonce);

	return ctx && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, row->info.tag_len, text + text_len) == 1 &&
	       run(ctx, row->ccm, aad, aad_len, text, text_len);
}

void gm_evp_forget(void)
{
	static const uint8_t no_key[EVP_MAX_KEY_LENGTH];

	for (unsigned i = 0; mine && i < ROWS; i++)
		for (int dir = OPEN; dir <= SEAL; dir++)
			if (mine->used[i][dir]) {
				EVP_CipherInit_ex2(mine->ctx[i][dir], NULL, no_key, NULL, dir, NULL);
				mine->used[i][dir] = false;
			}
}

const struct gm_aead_info *gm_aead_info(int alg)
{
	const struct gm_aead_row *row = gm_aead_row(alg);

	return row ? &row->info : NULL;
}

static bool fits(const struct gm_aead_row *row, size_t aad_len, size_t text_len)
{
	return row && aad_len <= LEN_MAX && text_len <= LEN_MAX;
}

bool gm_aead_seal(int alg, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, uint8_t *text,
                  size_t text_len)
{
	const struct gm_aead_row *row = gm_aead_row(alg);
	bool good = fits(row, aad_len, text_len) && gm_evp_seal(row, key, nonce, aad, aad_len, text, text_len);

	gm_evp_forget();
	if (!good)
		gm_wipe(text, text_len);
	return good;
}

bool gm_aead_open(int alg, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, uint8_t *text,
                  size_t text_len)
{
	const struct gm_aead_row *row = gm_aead_row(alg);
	bool good = fits(row, aad_len, text_len) && gm_evp_open(row, key, nonce, aad, aad_len, text, text_len);

	gm_evp_forget();
	if (!good)
		gm_wipe(text, text_len);
	return good;
}

/* ---- counter mode */

/* clang-format off */
static const struct gm_aead_row ctr_rows[] = {
	{{-65534, 16, 12, 0}, "AES-128-CTR", false},
	{{-65533, 24, 12, 0}, "AES-192-CTR", false},
	{{-65532, 32, 12, 0}, "AES-256-CTR", false},
};
/* clang-format on */
#define CTR_ROWS (sizeof(ctr_rows) / sizeof(ctr_rows[0]))

static const struct gm_aead_row *ctr_row(int alg)
{
	for (unsigned i = 0; i < CTR_ROWS; i++)
		if (ctr_rows[i].info.alg == alg)
			return &ctr_rows[i];
	return NULL;
}

const struct gm_aead_info *gm_ctr_info(int alg)
{
	const struct gm_aead_row *row = ctr_row(alg);

	return row ? &row->info : NULL;
}

const struct gm_aead_info *gm_group_enc_info(int alg)
{
	const struct gm_aead_info *info = gm_aead_info(alg);

	return info ? info : gm_ctr_info(alg);
}

bool gm_ctr_crypt(int alg, const uint8_t *key, const uint8_t *nonce, uint8_t *text, size_t text_len)
{
	const struct gm_aead_row *row = ctr_row(alg);
	uint8_t block[16] = {0};
	int len = 0;
	if (!row || text_len > LEN_MAX)
		return false;
	memcpy(block, nonce, row->info.nonce_len);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, row->cipher, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = cipher && ctx && EVP_EncryptInit_ex2(ctx, cipher, key, block, NULL) == 1 &&
	            EVP_EncryptUpdate(ctx, text, &len, text, (int)text_len) == 1;

	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return good;
}
