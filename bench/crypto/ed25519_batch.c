/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures verified as one equation, against libsodium one at a time: none bad, one bad, all bad. */
#include "bench/crypto/rows.h"
#include "ed25519/ed25519.h"

#include <stdlib.h>
#include <sodium.h>

struct signature {
	uint8_t pub[32], sig[64], msg[100];
	struct gm_ed25519_point point;
};

struct work {
	unsigned n;
	size_t size;
	struct signature *signature;
	struct gm_ed25519_job *job;
	const struct gm_ed25519_point **point;
	void *room;
};

/* What a row has beside each other ends with it: nothing is freed but the first block. */
static void *make(const struct row *row)
{
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct work){row->n, row->size, calloc(row->n, sizeof(*w->signature)), calloc(row->n, sizeof(*w->job)),
	                   calloc(row->n, sizeof(*w->point)), aligned_alloc(64, GM_ED25519_BATCH_ROOM(row->n))};
	if (!w->signature || !w->job || !w->point || !w->room)
		return NULL; /* NOLINT(clang-analyzer-unix.Malloc): as above */
	for (unsigned i = 0; i < row->n; i++) {
		struct signature *s = &w->signature[i];
		uint8_t secret[64];

		crypto_sign_keypair(s->pub, secret);
		gm_random(s->msg, row->size);
		crypto_sign_detached(s->sig, NULL, s->msg, row->size, secret);
		if (!gm_ed25519_point_from_key(&s->point, s->pub))
			bench_wrong("a key is no point");
		w->job[i] = (struct gm_ed25519_job){s->pub, s->sig, s->msg, row->size};
		w->point[i] = &s->point;
	}
	return w;
}

static void sodium_verify(void *work, const void *arg)
{
	struct work *w = work;

	(void)arg;
	for (unsigned i = 0; i < w->n; i++)
		if (crypto_sign_verify_detached(w->job[i].sig, w->job[i].msg, w->size, w->job[i].pub) != 0)
			bench_wrong("libsodium verify");
}

static void run(struct work *w, const struct gm_ed25519_variant *v, bool cached, unsigned bad)
{
	uint64_t good[GM_ED25519_BATCH_WORDS(GM_ED25519_BATCH_MAX)];
	uint8_t seed[32];

	gm_random(seed, sizeof(seed));
	for (unsigned i = 0; i < bad; i++)
		w->job[i].msg_len--;
	const struct gm_ed25519_batch batch = {
	    .jobs = w->job, .points = cached ? w->point : NULL, .n = w->n, .seed = seed, .room = w->room};
	if (gm_ed25519_batch_by(v, good, &batch) != w->n - bad)
		bench_wrong(v->name);
	for (unsigned i = 0; i < bad; i++)
		w->job[i].msg_len++;
}

static void verify(void *work, const void *arg)
{
	run(work, arg, false, 0);
}

static void verify_cached(void *work, const void *arg)
{
	run(work, arg, true, 0);
}

static void verify_one_bad(void *work, const void *arg)
{
	run(work, arg, false, 1);
}

static void verify_all_bad(void *work, const void *arg)
{
	run(work, arg, false, ((struct work *)work)->n);
}

/* The same number of jobs, 64 at a time, each for itself */
static void by_lanes(void *work, const void *arg)
{
	const struct gm_ed25519_variant *v = arg;
	struct work *w = work;

	for (unsigned i = 0; i < w->n; i += GM_BATCH_MAX) {
		const unsigned some = w->n - i < GM_BATCH_MAX ? w->n - i : GM_BATCH_MAX;

		if (v->verify(w->job + i, some) != (some == 64 ? UINT64_MAX : (UINT64_C(1) << some) - 1))
			bench_wrong(v->name);
	}
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
#define WAYS(run)                                                                                                      \
	{{"ifma", has_ifma, run, &gm_ed25519_ifma}, {"avx512", has_avx512, run, &gm_ed25519_avx512},                   \
	 {"ifma, lanes", has_ifma, by_lanes, &gm_ed25519_ifma}, {"avx512, lanes", has_avx512, by_lanes, &gm_ed25519_avx512}, \
	 {"portable", NULL, run, &gm_ed25519_sodium}, {0}}
#else
#define WAYS(run) {{"portable", NULL, run, &gm_ed25519_sodium}, {0}}
#endif

static const struct way ways[] = WAYS(verify);
static const struct way cached_ways[] = WAYS(verify_cached);
static const struct way one_bad_ways[] = WAYS(verify_one_bad);
static const struct way all_bad_ways[] = WAYS(verify_all_bad);

#define ROW(name, n, quick, ways) {name, n, 100, quick, make, {"libsodium", NULL, sodium_verify, NULL}, ways}

const struct row bench_ed25519_batch_rows[] = {
    ROW("ed25519_verify_batch", 8, false, ways),
    ROW("ed25519_verify_batch", 16, false, ways),
    ROW("ed25519_verify_batch", 32, false, ways),
    ROW("ed25519_verify_batch", 64, true, ways),
    ROW("ed25519_verify_batch", 128, false, ways),
    ROW("ed25519_verify_batch", 256, true, ways),
    ROW("ed25519_verify_batch", 512, false, ways),
    ROW("ed25519_verify_batch", 1024, true, ways),
    ROW("ed25519_verify_batch", 4096, false, ways),
    ROW("ed25519_verify_batch_cached", 64, false, cached_ways),
    ROW("ed25519_verify_batch_cached", 256, false, cached_ways),
    ROW("ed25519_verify_batch_cached", 1024, true, cached_ways),
    ROW("ed25519_verify_batch_1_bad", 256, true, one_bad_ways),
    ROW("ed25519_verify_batch_all_bad", 256, true, all_bad_ways),
    {0},
};
