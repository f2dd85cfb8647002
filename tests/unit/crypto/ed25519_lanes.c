/* SPDX-License-Identifier: Apache-2.0 */
/* Each variant of Ed25519 against the same rule: vectors in all lanes among good and bad neighbours, all sizes of a
 * call, damaged signatures against libsodium. GM_CASES=n sets the number of the last ones (1,000). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sodium.h>
#include "ed25519_variants.h"
#include "seats.h"
#include "vectors.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(ed25519_lanes, .init = start, .timeout = 600);

struct row {
	uint8_t pub[32], sig[64], msg[1100];
	size_t msg_len;
	bool good;
};

static struct row rows[4096];

static struct gm_ed25519_job job_of(const struct row *r)
{
	return (struct gm_ed25519_job){r->pub, r->sig, r->msg, r->msg_len};
}

/* All rows of the strict corpus, which holds RFC 8032, Wycheproof and CCTV, and those of speccheck; what is expected is
 * the single lane's word, which the tests of the door hold against each of these files. */
static unsigned load(void)
{
	json_t *check = gm_vectors_load("speccheck/cases.json"), *test;
	FILE *file = gm_vectors_open("narya/narya_external_strict_v1.jsonl");
	unsigned n = 0;
	size_t i;

	while ((test = gm_vectors_next(file))) {
		struct row *r = &rows[n++];

		gm_vectors_get(r->pub, sizeof(r->pub), test, "public_key");
		gm_vectors_get(r->sig, sizeof(r->sig), test, "signature");
		r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, "message");
		json_decref(test);
	}
	fclose(file);
	json_array_foreach(check, i, test)
	{
		struct row *r = &rows[n++];

		gm_vectors_get(r->pub, sizeof(r->pub), test, "pub_key");
		gm_vectors_get(r->sig, sizeof(r->sig), test, "signature");
		r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, "message");
	}
	json_decref(check);
	for (unsigned k = 0; k < n; k++) {
		const struct gm_ed25519_job job = job_of(&rows[k]);

		rows[k].good = gm_ed25519_single_verify(&job, 1);
	}
	return n;
}

static void corpus(const struct gm_ed25519_variant *v, unsigned lanes)
{
	static unsigned good[4096];
	struct gm_seats seats = {.vectors = load(), .lanes = lanes};
	unsigned n, vector[64], goods = 0, total = 0, accepted = 0;

	for (unsigned i = 0; i < seats.vectors; i++)
		if (rows[i].good)
			good[goods++] = i;
	while ((n = gm_seats_next(&seats, vector)) > 0) {
		struct gm_ed25519_job jobs[64];
		uint64_t expected = 0;

		for (unsigned i = 0; i < n; i++) {
			const struct row *r = &rows[vector[i] != GM_SEATS_GOOD ? vector[i] : good[(total + i) % goods]];

			jobs[i] = job_of(r);
			expected |= (uint64_t)r->good << i;
		}
		cr_expect_eq(v->verify(jobs, n), expected, "%s: call %u of %u", v->name, seats.call, n);
		total += n;
		accepted += (unsigned)__builtin_popcountll(expected);
	}
	cr_expect(lanes == 1 || seats.seated[7] == seats.vectors);
	fprintf(stderr, "%s: %u vectors in %u lanes: %u cases, %u accepted, %u rejected\n", v->name, seats.vectors, lanes,
	        total, accepted, total - accepted);
}

/* With sanitizers each vector has one lane. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY_LANE 1u
#else
#define EVERY_LANE 8u
#endif

Test(ed25519_lanes, plain_decides_every_vector_in_every_lane)
{
	corpus(&gm_ed25519_plain, EVERY_LANE);
}

Test(ed25519_lanes, sodium_decides_every_vector_at_every_place)
{
	corpus(&gm_ed25519_sodium, EVERY_LANE);
}

#ifdef __x86_64__
Test(ed25519_lanes, avx512_decides_every_vector_in_every_lane)
{
	if (!gm_ed25519_avx512.usable())
		cr_skip_test("no AVX-512");
	corpus(&gm_ed25519_emulated, EVERY_LANE);
	corpus(&gm_ed25519_avx512, EVERY_LANE);
}

Test(ed25519_lanes, ifma_decides_every_vector_in_every_lane)
{
	if (!gm_ed25519_ifma.usable())
		cr_skip_test("no AVX-512 IFMA");
	corpus(&gm_ed25519_ifma, EVERY_LANE);
}
#endif

static void fill(struct row *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++, r++) {
		uint8_t secret[64];

		crypto_sign_keypair(r->pub, secret);
		r->msg_len = i * 7 % 300;
		gm_random(r->msg, r->msg_len);
		crypto_sign_detached(r->sig, NULL, r->msg, r->msg_len, secret);
	}
}

Test(ed25519_lanes, answers_for_any_number_of_jobs_with_none_one_or_many_bad)
{
	static const unsigned sizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 63, 64};
	struct gm_ed25519_job jobs[64];

	fill(rows, 64);
	EACH_VARIANT(v)
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		const unsigned n = sizes[s];
		const uint64_t all = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;

		for (unsigned i = 0; i < n; i++)
			jobs[i] = job_of(&rows[i]);
		cr_expect_eq(v->verify(jobs, n), all, "%s: %u good", v->name, n);
		if (n == 0)
			continue;
		rows[n / 2].msg_len++; /* the next byte is 0 */
		jobs[n / 2] = job_of(&rows[n / 2]);
		cr_expect_eq(v->verify(jobs, n), all & ~(UINT64_C(1) << n / 2), "%s: one bad of %u", v->name, n);
		rows[n / 2].msg_len--;
		for (unsigned i = 0; i < n; i++)
			jobs[i].pub = rows[i % 3 == 0 ? (i + 1) % 64 : i].pub;
		jobs[n / 2].msg_len = rows[n / 2].msg_len;
		cr_expect_eq(v->verify(jobs, n), all & ~UINT64_C(0x9249249249249249), "%s: many bad of %u", v->name, n);
	}
}

/* One bit changed somewhere in two of three; libsodium knows the answer, there being no component of small order. */
Test(ed25519_lanes, decide_damaged_signatures_as_libsodium)
{
	const char *wanted = getenv("GM_CASES");
	const unsigned cases = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 1000;

	EACH_VARIANT(v)
	for (unsigned done = 0; done < cases; done += 64) {
		struct gm_ed25519_job jobs[64];
		uint64_t expected = 0;

		fill(rows, 64);
		for (unsigned i = 0; i < 64; i++) {
			struct row *r = &rows[i];
			uint8_t *const parts[] = {r->pub, r->sig, r->sig + 32, r->msg};
			uint8_t dice[3];

			gm_random(dice, sizeof(dice));
			if (dice[0] % 3 > 0)
				parts[dice[0] / 3 % 4][dice[1] % 32] ^= (uint8_t)(1u << dice[2] % 8);
			jobs[i] = job_of(r);
			expected |= (uint64_t)!crypto_sign_verify_detached(r->sig, r->msg, r->msg_len, r->pub) << i;
		}
		cr_expect_eq(v->verify(jobs, 64), expected, "%s: after %u", v->name, done);
	}
}

Test(ed25519_lanes, sign_and_make_keys_as_libsodium_in_any_number)
{
	static uint8_t seed[64][32], pub[64][32], expected_pub[64][32], sig[64][64], expected[64][64];

	EACH_VARIANT(v)
	for (unsigned n = 0; n <= 64; n = n < 17 ? n + 1 : n < 63 ? 63 : n + 1) {
		struct gm_ed25519_public_job keys[64];
		struct gm_ed25519_sign_job jobs[64];

		gm_random(seed, sizeof(seed));
		gm_random(rows[0].msg, sizeof(rows[0].msg));
		memset(sig, 0, sizeof(sig));
		memset(expected, 0, sizeof(expected));
		memset(pub, 0, sizeof(pub));
		memset(expected_pub, 0, sizeof(expected_pub));
		for (unsigned i = 0; i < n; i++) {
			const size_t len = (i * 37 + n) % sizeof(rows[0].msg);
			uint8_t secret[64];

			crypto_sign_seed_keypair(expected_pub[i], secret, seed[i]);
			crypto_sign_detached(expected[i], NULL, rows[0].msg, len, secret);
			keys[i] = (struct gm_ed25519_public_job){seed[i], pub[i]};
			jobs[i] = (struct gm_ed25519_sign_job){seed[i], expected_pub[i], rows[0].msg, len, sig[i]};
		}
		v->public(keys, n);
		v->sign(jobs, n);
		cr_expect_arr_eq(pub, expected_pub, sizeof(pub), "%s: %u keys", v->name, n);
		cr_expect_arr_eq(sig, expected, sizeof(sig), "%s: %u signatures", v->name, n);
	}
}

/* n bytes that end where memory ends */
static uint8_t *at_the_edge(const uint8_t *from, size_t n)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(p != MAP_FAILED);
	cr_assert(mprotect(p + 4096, 4096, PROT_NONE) == 0);
	return memcpy(p + 4096 - n, from, n);
}

Test(ed25519_lanes, read_nothing_behind_key_signature_or_message)
{
	struct gm_ed25519_job jobs[9];

	fill(rows, 64);
	for (unsigned i = 0; i < 9; i++) {
		const struct row *r = &rows[i * 7];

		jobs[i] = (struct gm_ed25519_job){at_the_edge(r->pub, 32), at_the_edge(r->sig, 64),
		                                  at_the_edge(r->msg, r->msg_len), r->msg_len};
	}
	EACH_VARIANT(v)
	cr_expect_eq(v->verify(jobs, 9), 0x1ff, "%s", v->name);
}

/* A handful of seeds whose keys are in RFC 8032 */
Test(ed25519_lanes, sign_as_rfc_8032_section_7_1_shows_in_every_lane)
{
	json_t *file = gm_vectors_load("rfc8032/rfc8032_ed25519.json"), *test;
	size_t t;

	json_array_foreach(json_object_get(file, "tests"), t, test)
	{
		uint8_t seed[32], expected[64], sig[8][64];
		struct gm_ed25519_sign_job jobs[8];
		struct row *r = &rows[0];

		gm_vectors_get(seed, sizeof(seed), test, "seed");
		gm_vectors_get(r->pub, sizeof(r->pub), test, "public_key");
		gm_vectors_get(expected, sizeof(expected), test, "signature");
		r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, "message");
		for (unsigned i = 0; i < 8; i++)
			jobs[i] = (struct gm_ed25519_sign_job){seed, r->pub, r->msg, r->msg_len, sig[i]};
		EACH_VARIANT(v)
		{
			v->sign(jobs, 8);
			for (unsigned i = 0; i < 8; i++)
				cr_expect_arr_eq(sig[i], expected, sizeof(expected), "%s, lane %u", v->name, i);
		}
	}
	json_decref(file);
}
