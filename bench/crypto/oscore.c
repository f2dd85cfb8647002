/* SPDX-License-Identifier: Apache-2.0 */
/* A whole rekeying message a member: Partial IV, nonce, AAD, header, token, option, text and tag; against what OpenSSL
 * needs for the AES-CCM of it alone. */
#include "bench/crypto/rows.h"
#include "ccm/ccm.h"
#include "wire/oscore_many.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#define PLAIN_MAX 512u
#define SETS 4u /* of members, taken in turn */

struct work {
	unsigned n, turn;
	size_t size;
	EVP_CIPHER_CTX *ctx;
	struct gm_oscore_keys keys[SETS][GM_BATCH_MAX];
	struct gm_oscore_post post[SETS][GM_BATCH_MAX];
	uint8_t plain[PLAIN_MAX], aad[32], pkt[SETS][GM_BATCH_MAX][GM_OSCORE_POST_ROOM(PLAIN_MAX)];
};

static void *make(const struct row *row)
{
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	gm_random(w, sizeof(*w));
	w->n = row->n;
	w->turn = 0;
	w->size = row->size;
	w->ctx = EVP_CIPHER_CTX_new();
	if (!w->ctx || EVP_EncryptInit_ex(w->ctx, EVP_aes_128_ccm(), NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(w->ctx, EVP_CTRL_AEAD_SET_IVLEN, GM_CCM_NONCE, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(w->ctx, EVP_CTRL_AEAD_SET_TAG, GM_CCM_TAG, NULL) != 1)
		bench_wrong("EVP has no AES-CCM");
	for (unsigned s = 0; s < SETS; s++)
		for (unsigned i = 0; i < row->n; i++) {
			w->keys[s][i].alg = 10;
			w->keys[s][i].sid.n = (uint8_t)(i % 3);
			w->keys[s][i].rid.n = 4;
			w->post[s][i] = (struct gm_oscore_post){.keys = &w->keys[s][i],
			                                        .seq = 100 + s * i,
			                                        .token_len = 8,
			                                        .plain = {w->plain, w->size},
			                                        .pkt = w->pkt[s][i],
			                                        .cap = sizeof(w->pkt[s][i])};
		}
	return w;
}

static void ccm_by_evp(void *work, const void *arg)
{
	struct work *w = work;
	unsigned turn = w->turn++ % SETS;
	int len;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++) {
		const struct gm_oscore_keys *k = &w->keys[turn][i];
		uint8_t *text = w->pkt[turn][i];

		if (EVP_EncryptInit_ex(w->ctx, NULL, NULL, k->send_key, k->common_iv) != 1 ||
		    EVP_EncryptUpdate(w->ctx, NULL, &len, NULL, (int)w->size) != 1 ||
		    EVP_EncryptUpdate(w->ctx, NULL, &len, w->aad, 21) != 1 ||
		    EVP_EncryptUpdate(w->ctx, text, &len, text, (int)w->size) != 1 ||
		    EVP_CIPHER_CTX_ctrl(w->ctx, EVP_CTRL_AEAD_GET_TAG, GM_CCM_TAG, text + w->size) != 1)
			bench_wrong("EVP does not seal");
	}
}

static void post_many(void *work, const void *arg)
{
	struct work *w = work;
	unsigned turn = w->turn++ % SETS;

	gm_ccm_use(arg);
	for (unsigned i = 0; i < w->n; i++)
		w->post[turn][i].seq++;
	if (gm_oscore_post_many(w->post[turn], w->n) != (w->n == 64 ? UINT64_MAX : (UINT64_C(1) << w->n) - 1))
		bench_wrong("a message was not made");
}

/* What dataplane/work does for each member, and then seals together. */
static void wrap_each(void *work, const void *arg)
{
	const struct gm_bytes plain = {((struct work *)work)->plain, ((struct work *)work)->size};
	struct gm_oscore_scratch scratch[GM_BATCH_MAX];
	struct gm_aead_job jobs[GM_BATCH_MAX];
	struct work *w = work;
	unsigned turn = w->turn++ % SETS;

	gm_ccm_use(arg);
	for (unsigned i = 0; i < w->n; i++) {
		struct gm_oscore_post *p = &w->post[turn][i];
		struct gm_oscore_outer outer = {
		    .type = GM_COAP_CON, .code = GM_COAP_POST, .mid = p->mid, .token_len = 8};
		struct gm_oscore_request request = {.kid = p->keys->sid};
		struct gm_out out = gm_out(p->pkt, p->cap);

		request.piv_n = outer.option.piv_n = gm_oscore_piv(outer.option.piv, p->seq++);
		memcpy(request.piv, outer.option.piv, sizeof(request.piv));
		memcpy(outer.token, p->token, sizeof(outer.token));
		outer.option.has_kid = true;
		outer.option.kid = (struct gm_bytes){p->keys->sid.b, p->keys->sid.n};
		if (gm_oscore_wrap(p->keys, &outer, &request, &p->keys->sid, outer.option.piv, outer.option.piv_n,
		                   plain, &out, &scratch[i], &jobs[i]) != GM_E_OK)
			bench_wrong("a message was not wrapped");
	}
	if (!gm_aead_seal_many(jobs, w->n))
		bench_wrong("no message was sealed");
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

static const struct way ways[] = {
#ifdef __x86_64__
    {"vaes", has_vaes, post_many, &gm_ccm_vaes},          {"aesni", has_aesni, post_many, &gm_ccm_aesni},
    {"vaes, wrapped", has_vaes, wrap_each, &gm_ccm_vaes}, {"aesni, wrapped", has_aesni, wrap_each, &gm_ccm_aesni},
#endif
    {"portable", NULL, post_many, &gm_ccm_portable},      {0},
};

#define ROW(n, size, quick)                                                                                            \
	{                                                                                                              \
		"oscore_rekey", n, size, quick, make, {"openssl-ccm", NULL, ccm_by_evp, NULL}, ways                    \
	}

const struct row bench_oscore_rows[] = {
    ROW(16, 100, true), ROW(64, 100, true), ROW(64, 64, false), ROW(64, 200, false), {0}};
