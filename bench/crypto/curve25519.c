/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures and key agreement on Curve25519, against libsodium one at a time.                  RFC 8032, RFC 7748 */
#include "bench/crypto/rows.h"
#include "ed25519/ed25519.h"
#include "x25519/x25519.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

struct work {
	unsigned n;
	size_t size;
	uint8_t seed[GM_BATCH_MAX][32], pub[GM_BATCH_MAX][32], secret[GM_BATCH_MAX][64], sig[GM_BATCH_MAX][64];
	uint8_t out[GM_BATCH_MAX][64], peer[GM_BATCH_MAX][32];
	uint8_t msg[]; /* size bytes each */
};

static void *make(const struct row *row)
{
	struct work *w = malloc(sizeof(*w) + row->n * row->size);

	if (!w)
		return NULL;
	w->n = row->n;
	w->size = row->size;
	gm_random(w->msg, row->n * row->size);
	for (unsigned i = 0; i < row->n; i++) {
		gm_random(w->seed[i], 32);
		crypto_sign_seed_keypair(w->pub[i], w->secret[i], w->seed[i]);
		crypto_sign_detached(w->sig[i], NULL, w->msg + i * row->size, row->size, w->secret[i]);
		crypto_scalarmult_base(w->peer[i], w->seed[(i + 1) % row->n]);
	}
	return w;
}

static uint64_t all_of(unsigned n)
{
	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* ---- the library, one at a time */

static void sodium_verify(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		if (crypto_sign_verify_detached(w->sig[i], w->msg + i * w->size, w->size, w->pub[i]) != 0)
			bench_wrong("libsodium verify");
}

static void sodium_sign(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		crypto_sign_detached(w->out[i], NULL, w->msg + i * w->size, w->size, w->secret[i]);
}

static void sodium_keygen(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		crypto_sign_seed_keypair(w->out[i], w->secret[i], w->seed[i]);
}

static void sodium_x25519(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		if (crypto_scalarmult(w->out[i], w->seed[i], w->peer[i]) != 0)
			bench_wrong("libsodium x25519");
}

static void sodium_map(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		if (crypto_sign_ed25519_pk_to_curve25519(w->out[i], w->pub[i]) != 0)
			bench_wrong("libsodium map");
}

/* ---- ours: as the doors do it, small numbers left to libsodium */

static void verify(void *work, const void *arg)
{
	const struct gm_ed25519_variant *v = arg;
	struct gm_ed25519_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_ed25519_job){w->pub[i], w->sig[i], w->msg + i * w->size, w->size};
	if (gm_ed25519_verify_by(v, job, w->n) != all_of(w->n))
		bench_wrong(v->name);
}

/* Of signatures that are all bad, yet well-formed. */
static void verify_bad(void *work, const void *arg)
{
	const struct gm_ed25519_variant *v = arg;
	struct gm_ed25519_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_ed25519_job){w->pub[i], w->sig[i], w->msg + i * w->size, w->size - 1};
	if (gm_ed25519_verify_by(v, job, w->n) != 0)
		bench_wrong(v->name);
}

static void sign(void *work, const void *arg)
{
	const struct gm_ed25519_variant *v = arg;
	struct gm_ed25519_sign_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_ed25519_sign_job){w->seed[i], w->pub[i], w->msg + i * w->size, w->size, w->out[i]};
	v->sign(job, w->n);
	if (memcmp(w->out[w->n - 1], w->sig[w->n - 1], 64) != 0)
		bench_wrong(v->name);
}

static void keygen(void *work, const void *arg)
{
	const struct gm_ed25519_variant *v = arg;
	struct gm_ed25519_public_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_ed25519_public_job){w->seed[i], w->out[i]};
	v->public(job, w->n);
	if (memcmp(w->out[w->n - 1], w->pub[w->n - 1], 32) != 0)
		bench_wrong(v->name);
}

static void x25519(void *work, const void *arg)
{
	const struct gm_x25519_variant *v = arg;
	struct gm_x25519_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_x25519_job){w->seed[i], w->peer[i], w->out[i]};
	if (gm_x25519_agree_by(v, job, w->n) != all_of(w->n))
		bench_wrong(v->name);
}

static void map(void *work, const void *arg)
{
	const struct gm_x25519_variant *v = arg;
	struct gm_x25519_map_job job[GM_BATCH_MAX];
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i++)
		job[i] = (struct gm_x25519_map_job){w->pub[i], w->out[i]};
	if (gm_x25519_map_by(v, job, w->n) != all_of(w->n))
		bench_wrong(v->name);
}

#ifdef __x86_64__
static bool has_ifma(void)
{
	return gm_ed25519_ifma.usable();
}

static bool has_avx512(void)
{
	return gm_ed25519_avx512.usable();
}
#define WAYS(run, of)                                                                                                  \
	{{"ifma", has_ifma, run, &of##_ifma}, {"avx512", has_avx512, run, &of##_avx512},                               \
	 {"portable", NULL, run, &of##_sodium}, {0}}
#else
#define WAYS(run, of) {{"portable", NULL, run, &of##_sodium}, {0}}
#endif

static const struct way verify_ways[] = WAYS(verify, gm_ed25519);
static const struct way verify_bad_ways[] = WAYS(verify_bad, gm_ed25519);
static const struct way sign_ways[] = WAYS(sign, gm_ed25519);
static const struct way keygen_ways[] = WAYS(keygen, gm_ed25519);
static const struct way x25519_ways[] = WAYS(x25519, gm_x25519);
static const struct way map_ways[] = WAYS(map, gm_x25519);

#define ROW(name, n, size, quick, base, ways) {name, n, size, quick, make, {"libsodium", NULL, base, NULL}, ways}

const struct row bench_curve25519_rows[] = {
    ROW("ed25519_verify", 1, 100, false, sodium_verify, verify_ways),
    ROW("ed25519_verify", 2, 100, false, sodium_verify, verify_ways),
    ROW("ed25519_verify", 3, 100, false, sodium_verify, verify_ways),
    ROW("ed25519_verify", 16, 100, false, sodium_verify, verify_ways),
    ROW("ed25519_verify", 64, 100, true, sodium_verify, verify_ways),
    ROW("ed25519_verify_bad", 64, 100, true, sodium_verify, verify_bad_ways),
    ROW("ed25519_sign", 2, 100, false, sodium_sign, sign_ways),
    ROW("ed25519_sign", 8, 100, false, sodium_sign, sign_ways),
    ROW("ed25519_sign", 64, 100, true, sodium_sign, sign_ways),
    ROW("ed25519_keygen", 64, 0, true, sodium_keygen, keygen_ways),
    ROW("x25519", 4, 0, false, sodium_x25519, x25519_ways),
    ROW("x25519", 64, 0, true, sodium_x25519, x25519_ways),
    ROW("ed25519_to_x25519", 3, 0, false, sodium_map, map_ways),
    ROW("ed25519_to_x25519", 64, 0, true, sodium_map, map_ways),
    {0},
};
