/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of signatures answer as one at a time does, whatever is in them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <gm/crypto.h>

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(ed25519_batch, .init = start, .timeout = 600);

#define MOST GM_ED25519_BATCH_MAX

/* Signatures of their own keys, over messages of all lengths */
static struct row {
	uint8_t pub[32], sig[64], msg[100];
	struct gm_ed25519_point point;
} rows[MOST];

static struct gm_ed25519_job jobs[MOST];
static const struct gm_ed25519_point *points[MOST];
static uint8_t room[GM_ED25519_BATCH_ROOM(MOST)] __attribute__((aligned(64)));

static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct row *r = &rows[i];
		uint8_t seed[32];

		gm_random(seed, sizeof(seed));
		gm_random(r->msg, sizeof(r->msg));
		gm_ed25519_public(r->pub, seed);
		const struct gm_ed25519_sign_job sign = {seed, r->pub, r->msg, i % sizeof(r->msg), r->sig};
		gm_ed25519_sign(&sign, 1);
		jobs[i] = (struct gm_ed25519_job){r->pub, r->sig, r->msg, i % sizeof(r->msg)};
		cr_assert(gm_ed25519_point_from_key(&r->point, r->pub));
		points[i] = &r->point;
	}
}

/* of the first n jobs those are good whose bit in bad is unset */
static void expect(unsigned n, const uint64_t bad[static 64], const char *why)
{
	unsigned good_n = n;

	for (unsigned i = 0; i < n; i++)
		good_n -= bad[i / 64] >> i % 64 & 1;
	for (unsigned way = 0; way < 4; way++) {
		uint64_t good[64];
		uint8_t seed[32];

		gm_random(seed, sizeof(seed));
		gm_random(good, sizeof(good));
		const struct gm_ed25519_batch batch = {
		    .jobs = jobs, .points = way % 2 ? points : NULL, .n = n, .seed = seed, .room = way / 2 ? NULL : room};
		cr_expect_eq(gm_ed25519_verify_batch(good, &batch), good_n, "%s: %u jobs, way %u", why, n, way);
		for (unsigned i = 0; i < n; i++)
			cr_expect_eq(good[i / 64] >> i % 64 & 1, ~bad[i / 64] >> i % 64 & 1, "%s: job %u of %u, way %u", why,
			             i, n, way);
		if (n % 64 > 0)
			cr_expect_eq(good[n / 64] >> n % 64, 0, "%s: bits behind %u", why, n);
	}
}

Test(ed25519_batch, answers_for_any_number_of_jobs)
{
	static const unsigned sizes[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11, 12,
	                                 13, 14, 15, 16, 17, 63, 64, 65, 255, 256, 257};
	uint64_t none[64] = {0};

	fill(257);
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		expect(sizes[s], none, "all good");
}

Test(ed25519_batch, refuses_more_jobs_than_it_takes)
{
	const struct gm_ed25519_batch batch = {.jobs = jobs, .n = MOST + 1, .room = room};
	uint64_t good[65] = {0};

	cr_expect_eq(gm_ed25519_verify_batch(good, &batch), 0);
}
