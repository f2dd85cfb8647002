/* SPDX-License-Identifier: Apache-2.0 */
/* The three keys of an OSCORE context, against libsodium's HMAC one after the other.           RFC 8613 §3.2 */
#include "bench/crypto/rows.h"
#include "hkdf/contexts.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#define MS 16u   /* Master Secret */
#define SALT 27u /* of the ACE profile: three byte strings of 8 */
#define INFO_MAX 32u

struct context {
	uint8_t ms[MS], salt[SALT], info[3][INFO_MAX], key[2][16], iv[13];
};

struct work {
	unsigned n;
	struct gm_hkdf_job job[GM_BATCH_MAX];
	struct context context[GM_BATCH_MAX];
};

static void *make(const struct row *row)
{
	static const size_t info_len[] = {10, 11, 8};
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	gm_random(w, sizeof(*w));
	w->n = row->n;
	for (unsigned i = 0; i < row->n; i++) {
		struct context *c = &w->context[i];
		uint8_t *const out[] = {c->key[0], c->key[1], c->iv};

		w->job[i] = (struct gm_hkdf_job){.salt = c->salt, .salt_len = SALT, .ikm = c->ms, .ikm_len = MS};
		for (unsigned k = 0; k < 3; k++)
			w->job[i].out[k] = (struct gm_hkdf_out){out[k], c->info[k], k < 2 ? 16 : 13, info_len[k]};
	}
	return w;
}

static void hmac(uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len, bool counter)
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key, key_len);
	crypto_auth_hmacsha256_update(&st, msg, len);
	if (counter)
		crypto_auth_hmacsha256_update(&st, (const uint8_t *)"\1", 1);
	crypto_auth_hmacsha256_final(&st, out);
}

static void by_libsodium(void *work, const void *arg)
{
	uint8_t prk[32], okm[32];
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++) {
		const struct gm_hkdf_job *j = &w->job[i];

		hmac(prk, j->salt, j->salt_len, j->ikm, j->ikm_len, false);
		for (unsigned k = 0; k < 3; k++) {
			hmac(okm, prk, sizeof(prk), j->out[k].info, j->out[k].info_len, true);
			memcpy(j->out[k].out, okm, j->out[k].out_len);
		}
	}
}

static void by_variant(void *work, const void *arg)
{
	const struct gm_hkdf_variant *v = arg;
	struct work *w = work;

	if (v->contexts(w->job, w->n) != (w->n == 64 ? UINT64_MAX : (UINT64_C(1) << w->n) - 1))
		bench_wrong(v->name);
}

#ifdef __x86_64__
static bool has_shani(void)
{
	return gm_hkdf_shani.usable();
}

static bool has_avx512(void)
{
	return gm_hkdf_avx512.usable();
}

static bool has_avx2(void)
{
	return gm_hkdf_avx2.usable();
}
#endif

static const struct way ways[] = {
#ifdef __x86_64__
    {"shani", has_shani, by_variant, &gm_hkdf_shani},  {"avx512", has_avx512, by_variant, &gm_hkdf_avx512},
    {"avx2", has_avx2, by_variant, &gm_hkdf_avx2},
#endif
    {"portable", NULL, by_variant, &gm_hkdf_portable}, {0},
};

#define ROW(n, quick)                                                                                                  \
	{                                                                                                              \
		"hkdf_context", n, 0, quick, make, {"libsodium-hmac", NULL, by_libsodium, NULL}, ways                  \
	}

const struct row bench_hkdf_rows[] = {ROW(1, false), ROW(4, false), ROW(16, true), ROW(64, true), {0}};
