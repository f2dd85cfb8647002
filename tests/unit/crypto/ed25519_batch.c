/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of signatures answer as one at a time does, whatever is in them, in every variant and through the door. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sodium.h>
#include "ed25519_variants.h"
#include "vectors.h"

#define MOST GM_ED25519_BATCH_MAX

#define EACH_EQUATION(v) EACH_VARIANT(v) if (v->batch)

/* What is not made for speed does a part of what takes long; with sanitizers everything does, and on a part of the rows. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY 12u /* row of the files */
#else
#define EVERY 1u
#endif

static bool slow(const struct gm_ed25519_variant *v)
{
#ifdef __x86_64__
	if (v == &gm_ed25519_emulated)
		return true;
#endif
	return EVERY > 1 || v == &gm_ed25519_plain || v == &gm_ed25519_sodium;
}

static struct row {
	uint8_t pub[32], sig[64], msg[1100];
	size_t msg_len;
	struct gm_ed25519_point point;
	bool good;
} rows[MOST];

static struct gm_ed25519_job jobs[MOST];
static const struct gm_ed25519_point *points[MOST];
static uint8_t room[GM_ED25519_BATCH_ROOM(MOST)] __attribute__((aligned(64)));

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(ed25519_batch, .init = start, .timeout = 900);

static void use(unsigned i, struct row *r)
{
	jobs[i] = (struct gm_ed25519_job){r->pub, r->sig, r->msg, r->msg_len};
	points[i] = gm_ed25519_point_from_key(&r->point, r->pub) ? &r->point : NULL;
}

static void sign_row(struct row *r, size_t len)
{
	uint8_t secret[64];

	crypto_sign_keypair(r->pub, secret);
	gm_random(r->msg, len);
	r->msg_len = len;
	crypto_sign_detached(r->sig, NULL, r->msg, len, secret);
	r->good = true;
}

/* Signatures of their own keys, over messages of 0 to 299 bytes */
static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sign_row(&rows[i], i * 7 % 300);
		use(i, &rows[i]);
	}
}

static bool holds(const struct gm_ed25519_variant *v, uint64_t hopeful[static 64], unsigned n, bool cached)
{
	uint8_t seed[32];

	gm_random(seed, sizeof(seed));
	gm_random(hopeful, 512);
	return v->batch(hopeful, &(struct gm_ed25519_batch){jobs, cached ? points : NULL, n, seed, room});
}

static bool bit(const uint64_t *words, unsigned i)
{
	return words[i / 64] >> i % 64 & 1;
}

/* The first n jobs are good where the row says so, by v, with the points of keys and without */
static void expect(const struct gm_ed25519_variant *v, unsigned n, const char *why)
{
	unsigned good_n = 0;

	for (unsigned i = 0; i < n; i++)
		good_n += rows[i].good;
	for (unsigned cached = 0; cached < 2; cached++) {
		uint64_t good[64];
		uint8_t seed[32];

		gm_random(seed, sizeof(seed));
		gm_random(good, sizeof(good));
		const struct gm_ed25519_batch b = {jobs, cached ? points : NULL, n, seed, room};
		cr_expect_eq(gm_ed25519_batch_by(v, good, &b), good_n, "%s: %s, %u jobs", v->name, why, n);
		unsigned wrong = n;
		for (unsigned i = n; i-- > 0;)
			wrong = bit(good, i) == rows[i].good ? wrong : i;
		cr_expect_eq(wrong, n, "%s: %s, job %u of %u", v->name, why, wrong, n);
		if (n % 64 > 0)
			cr_expect_eq(good[n / 64] >> n % 64, 0, "%s: %s, bits behind %u", v->name, why, n);
	}
}

/* ---- numbers of jobs */

static void spoil(unsigned i)
{
	rows[i].sig[32 + i % 28] ^= (uint8_t)(1 << i % 8);
	rows[i].good = false;
}

static void mend(unsigned i)
{
	rows[i].sig[32 + i % 28] ^= (uint8_t)(1 << i % 8);
	rows[i].good = true;
}

static void any_number(const struct gm_ed25519_variant *v, unsigned n)
{
	uint64_t hopeful[64];

	expect(v, n, "none bad");
	if (n == 0)
		return;
	cr_expect(!v->batch || holds(v, hopeful, n, n % 2), "%s: %u good ones", v->name, n);
	spoil(n * 5 / 7);
	expect(v, n, "one bad");
	cr_expect(!v->batch || !holds(v, hopeful, n, n % 2), "%s: one bad of %u", v->name, n);
	mend(n * 5 / 7);
	for (unsigned i = 0; i < n; i += 3)
		spoil(i);
	expect(v, n, "a third bad");
	for (unsigned i = 0; i < n; i += 3)
		mend(i);
}

Test(ed25519_batch, answers_for_any_number_of_jobs_with_none_one_or_many_bad)
{
	static const unsigned sizes[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11,   12,  13,
	                                 14, 15, 16, 17, 63, 64, 65, 97, 255, 256, 257, 1024, MOST};

	fill(EVERY > 1 ? 257 : MOST);
	EACH_VARIANT(v)
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		if (sizes[s] <= (EVERY > 1 ? 17 : slow(v) ? 65 : MOST) && (sizes[s] % 8 < 2 || !slow(v)))
			any_number(v, sizes[s]);
	for (unsigned n = 100; n < 257; n += 93) { /* the other widths */
		uint64_t hopeful[64];

		cr_expect(holds(&gm_ed25519_plain, hopeful, n, true), "%u", n);
		spoil(n / 2);
		cr_expect_not(holds(&gm_ed25519_plain, hopeful, n, true), "%u", n);
		mend(n / 2);
	}
}

Test(ed25519_batch, refuses_more_jobs_than_it_takes)
{
	const struct gm_ed25519_batch batch = {.jobs = jobs, .n = MOST + 1, .room = room};
	uint64_t good[65] = {0};

	cr_expect_eq(gm_ed25519_verify_batch(good, &batch), 0);
}

Test(ed25519_batch, needs_no_room_and_no_points_to_answer)
{
	const uint8_t seed[32] = {1};
	uint64_t good[2];

	fill(100);
	spoil(77);
	const struct gm_ed25519_batch b = {.jobs = jobs, .n = 100, .seed = seed};
	cr_expect_eq(gm_ed25519_verify_batch(good, &b), 99);
	cr_expect(bit(good, 76) && !bit(good, 77) && bit(good, 78));
}

/* ---- vectors */

static void take(struct row *r, const json_t *test, const char *key, const char *sig, const char *msg)
{
	gm_vectors_get(r->pub, sizeof(r->pub), test, key);
	gm_vectors_get(r->sig, sizeof(r->sig), test, sig);
	r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, msg);
}

/* The strict corpus, which has RFC 8032, Wycheproof and CCTV in it, and speccheck; what is expected is the portable
 * word, which the tests of the door hold against each of these files. */
static unsigned load(void)
{
	json_t *check = gm_vectors_load("speccheck/cases.json"), *test;
	FILE *file = gm_vectors_open("narya/narya_external_strict_v1.jsonl");
	unsigned n = 0;
	size_t i;

	for (i = 0; (test = gm_vectors_next(file)); i++, json_decref(test))
		if (i % EVERY == 0)
			take(&rows[n++], test, "public_key", "signature", "message");
	fclose(file);
	json_array_foreach(check, i, test) take(&rows[n++], test, "pub_key", "signature", "message");
	json_decref(check);
	for (unsigned k = 0; k < n; k++) {
		use(k, &rows[k]);
		rows[k].good = gm_ed25519_sodium.verify(&jobs[k], 1);
	}
	cr_assert(EVERY > 1 || n == 2966);
	return n;
}

/* good ones to the front; how many there are */
static unsigned sort_good(unsigned n)
{
	static struct row other;
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++)
		if (rows[i].good) {
			other = rows[good];
			rows[good++] = rows[i];
			rows[i] = other;
		}
	for (unsigned i = 0; i < n; i++)
		use(i, &rows[i]);
	return good;
}

/* 63 of them are of mixed order: what the equation says of them must not depend on coefficients. */
Test(ed25519_batch, holds_for_all_good_vectors_together_whatever_the_coefficients)
{
	const unsigned good = sort_good(load());
	uint64_t hopeful[64];

	cr_assert(EVERY > 1 || good == 199);
	EACH_EQUATION(v)
	for (unsigned round = 0; round < (slow(v) ? 1 : 20); round++)
		for (unsigned n = good; n > 0; n /= 2)
			cr_expect(holds(v, hopeful, n, round % 2), "%s: %u", v->name, n);
}

/* Each bad one among seven good ones. Where its bytes or its points break the rule it is left out, and the others are
 * good; else the equation has to fail. */
Test(ed25519_batch, finds_every_bad_vector_among_good_neighbours)
{
	const unsigned n = load(), good = sort_good(n);
	struct gm_ed25519_job some[8];
	const struct gm_ed25519_point *known[8];

	EACH_EQUATION(v)
	{
		unsigned left_out = 0, failed = 0;

		for (unsigned i = good; i < n; i += EVERY > 1 ? 9 : slow(v) ? 31 : 1) {
			const unsigned at = i % 8;
			uint64_t hopeful[1];
			uint8_t seed[32];

			gm_random(seed, sizeof(seed));
			for (unsigned k = 0; k < 8; k++) {
				some[k] = jobs[k == at ? i : (i * 11 + k) % good];
				known[k] = points[k == at ? i : (i * 11 + k) % good];
			}
			const struct gm_ed25519_batch b = {some, i % 2 ? known : NULL, 8, seed, room};
			const bool held = v->batch(hopeful, &b);
			if ((hopeful[0] | 1u << at) != 0xff || held == (hopeful[0] >> at & 1))
				cr_expect_fail("%s: number %u", v->name, i);
			left_out += held;
			failed += !held;
		}
		fprintf(stderr, "%s: %u left out, %u that the equation found\n", v->name, left_out, failed);
		cr_expect(EVERY > 1 || (left_out > 10 && failed > 10));
	}
}

/* The files in their order, in batches of all sizes */
Test(ed25519_batch, decides_every_vector_in_batches_of_any_size)
{
	static const unsigned sizes[] = {17, 64, 257, 1024, 1604};
	static struct row all[MOST];
	const unsigned n = load();

	memcpy(all, rows, n * sizeof(rows[0]));
	EACH_EQUATION(v)
	for (unsigned from = 0, s = 0; from < n; from += sizes[s++ % 5]) {
		const unsigned size = sizes[s % 5], some = n - from < size ? n - from : size;

		if (slow(v) && size != 17)
			continue;
		memcpy(rows, all + from, some * sizeof(rows[0]));
		for (unsigned i = 0; i < some; i++)
			use(i, &rows[i]);
		expect(v, some, "vectors");
	}
}

/* ---- who tries to get bad ones through */

/* of one signer */
struct signer {
	uint8_t pub[32], a[32], nonce[32];
};

static void scalar_random(uint8_t s[static 32])
{
	crypto_core_ed25519_scalar_random(s);
}

static void signer_new(struct signer *who)
{
	scalar_random(who->a);
	crypto_scalarmult_ed25519_base_noclamp(who->pub, who->a);
}

/* S for the row's R, key and message: r + k a */
static void answer(struct row *r, const uint8_t nonce[static 32], const uint8_t a[static 32])
{
	crypto_hash_sha512_state st;
	uint8_t wide[64], k[32];

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, r->sig, 32);
	crypto_hash_sha512_update(&st, r->pub, 32);
	crypto_hash_sha512_update(&st, r->msg, r->msg_len);
	crypto_hash_sha512_final(&st, wide);
	crypto_core_ed25519_scalar_reduce(k, wide);
	crypto_core_ed25519_scalar_mul(k, k, a);
	crypto_core_ed25519_scalar_add(r->sig + 32, k, nonce);
}

/* Signed as by someone who has the key; R is nonce B + off where off is not NULL */
static void make(struct row *r, const struct signer *who, const uint8_t off[32], unsigned number)
{
	uint8_t nonce[32];

	memcpy(r->pub, who->pub, 32);
	r->msg_len = 16;
	memset(r->msg, (int)number, r->msg_len);
	scalar_random(nonce);
	crypto_scalarmult_ed25519_base_noclamp(r->sig, nonce);
	if (off)
		cr_assert_eq(crypto_core_ed25519_add(r->sig, r->sig, off), 0);
	answer(r, nonce, who->a);
	r->good = !off;
}

static void negate(uint8_t out[static 32], const uint8_t point[static 32])
{
	memcpy(out, point, 32);
	out[31] ^= 0x80;
}

/* Errors that add up to nothing: R of one has a point more, R of the other a point less; by one key, or by two */
Test(ed25519_batch, refuses_pairs_whose_errors_in_r_cancel)
{
	struct signer who[2];
	uint8_t secret[32], off[32], minus[32];
	uint64_t hopeful[64];

	for (unsigned round = 0; round < 20; round++) {
		signer_new(&who[0]);
		signer_new(&who[1]);
		scalar_random(secret);
		crypto_scalarmult_ed25519_base_noclamp(off, secret);
		negate(minus, off);
		for (unsigned i = 0; i < 32; i++) {
			make(&rows[i], &who[i / 2 % 2 * round % 2], i == 5 ? off : i == 5 + round ? minus : NULL, i);
			use(i, &rows[i]);
		}
		if (round == 0) /* R + off twice does not cancel anyway; the pair begins with the next */
			continue;
		EACH_EQUATION(v)
		{
			if (slow(v) && round > 1)
				continue;
			cr_expect_not(holds(v, hopeful, 32, round % 2), "%s", v->name);
			cr_expect_eq(hopeful[0], UINT32_MAX);
			expect(v, 32, "errors in R");
		}
	}
}

/* S of one is larger by what S of the other is smaller */
Test(ed25519_batch, refuses_pairs_whose_errors_in_s_cancel)
{
	uint64_t hopeful[64];
	uint8_t off[32];

	for (unsigned round = 1; round < 20; round++) {
		const unsigned other = 9 + round;

		fill(40);
		scalar_random(off);
		crypto_core_ed25519_scalar_add(rows[9].sig + 32, rows[9].sig + 32, off);
		crypto_core_ed25519_scalar_sub(rows[other].sig + 32, rows[other].sig + 32, off);
		rows[9].good = rows[other].good = false;
		EACH_EQUATION(v)
		{
			if (slow(v) && round > 1)
				continue;
			cr_expect_not(holds(v, hopeful, 40, round % 2), "%s", v->name);
			cr_expect_eq(hopeful[0], (UINT64_C(1) << 40) - 1);
			expect(v, 40, "errors in S");
		}
	}
}

/* The two points of order 8, hence all of small order, added to A or R: only the key's holder can, and it is good. Were a
 * component of small order not multiplied away it would hang on the coefficients. */
Test(ed25519_batch, accepts_components_of_small_order_always)
{
	static const char *const small[] = {
	    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	    "0000000000000000000000000000000000000000000000000000000000000000",
	};
	uint64_t hopeful[64];
	struct signer who;
	uint8_t off[32];

	for (unsigned round = 0; round < 4; round++) {
		cr_assert_eq(gm_hex(off, sizeof(off), small[round]), 32);
		for (unsigned i = 0; i < 24; i++) {
			signer_new(&who);
			if (i % 3 == 1)
				cr_assert_eq(crypto_core_ed25519_add(who.pub, who.pub, off), 0);
			make(&rows[i], &who, i % 3 == 2 ? off : NULL, i);
			rows[i].good = true;
			use(i, &rows[i]);
			cr_assert_eq(gm_ed25519_single_verify(&jobs[i], 1), 1);
		}
		EACH_EQUATION(v)
		for (unsigned again = 0; again < (slow(v) ? 1 : 10); again++) {
			cr_expect(holds(v, hopeful, 24, again % 2), "%s: %s", v->name, small[round]);
			cr_expect_eq(hopeful[0], 0xffffff);
			expect(v, 24, small[round]);
		}
	}
}

Test(ed25519_batch, counts_a_job_that_is_there_again_and_again)
{
	uint64_t hopeful[64];

	fill(1);
	for (unsigned i = 1; i < 130; i++) {
		rows[i] = rows[0];
		use(i, &rows[i]);
	}
	EACH_EQUATION(v)
	{
		cr_expect(holds(v, hopeful, 130, true), "%s", v->name);
		expect(v, 130, "one job, 130 times");
	}
	for (unsigned i = 0; i < 130; i++)
		spoil(0), rows[i] = rows[0], mend(0), use(i, &rows[i]);
	EACH_EQUATION(v)
	{
		cr_expect_not(holds(v, hopeful, 130, true), "%s", v->name);
		expect(v, slow(v) ? 30 : 130, "one bad job, 130 times");
	}
}

Test(ed25519_batch, verifies_many_signatures_of_one_key)
{
	uint64_t hopeful[64];
	struct signer who;

	signer_new(&who);
	for (unsigned i = 0; i < 200; i++) {
		make(&rows[i], &who, NULL, i);
		use(i, &rows[i]);
	}
	EACH_EQUATION(v)
	{
		cr_expect(holds(v, hopeful, 200, true) && holds(v, hopeful, 200, false), "%s", v->name);
		rows[100].msg[3] ^= 1;
		rows[100].good = false;
		expect(v, slow(v) ? 104 : 200, "one key");
		rows[100].msg[3] ^= 1;
		rows[100].good = true;
	}
}

/* A mask that lets through what an unhappy sum says would show here: garbage that is no point. */
Test(ed25519_batch, is_not_held_up_by_bytes_that_break_the_rule)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	                                  [31] = 0x10};
	uint64_t hopeful[64];

	fill(50);
	memset(rows[3].pub, 0, 32);
	memset(rows[20].sig, 0xff, 32);
	memcpy(rows[31].sig + 32, order, 32);
	memset(rows[49].pub, 0, 32), rows[49].pub[0] = 2; /* y = 2 is not on the curve */
	for (unsigned i = 0; i < 50; i++) {
		rows[i].good = i != 3 && i != 20 && i != 31 && i != 49;
		use(i, &rows[i]);
	}
	EACH_EQUATION(v)
	for (unsigned cached = 0; cached < 2; cached++) {
		cr_expect(holds(v, hopeful, 50, cached), "%s", v->name);
		for (unsigned i = 0; i < 50; i++)
			cr_expect_eq(bit(hopeful, i), rows[i].good, "%s: %u", v->name, i);
		expect(v, 50, "garbage");
	}
}

/* ---- points of keys */

Test(ed25519_batch, makes_points_of_keys_as_decoding_does)
{
	static struct gm_ed25519_point made[64], expected[64];
	struct gm_ed25519_point_job work[64];
	const unsigned n = load();

	EACH_VARIANT(v)
	for (unsigned from = 0; from < n; from += 64) {
		const unsigned some = n - from < 64 ? n - from : 64;

		memset(made, 0xaa, sizeof(made));
		for (unsigned i = 0; i < some; i++)
			work[i] = (struct gm_ed25519_point_job){rows[from + i].pub, &made[i]};
		const uint64_t good = v->points(work, some);
		for (unsigned i = 0; i < some; i++)
			work[i].point = &expected[i];
		cr_expect_eq(good, gm_ed25519_single_points(work, some), "%s: from %u", v->name, from);
		cr_expect_arr_eq(made, expected, some * sizeof(made[0]), "%s: from %u", v->name, from);
		for (unsigned i = 0; i < some; i++)
			if ((good >> i & 1) != (points[from + i] != NULL))
				cr_expect_fail("%s: number %u", v->name, from + i);
	}
}

/* The sign of the key is that of x, and x is on the curve with y: libsodium decodes it to the same point. */
Test(ed25519_batch, makes_a_point_that_has_the_sign_of_its_key)
{
	fill(50);
	for (unsigned i = 0; i < 50; i++)
		cr_expect_eq(rows[i].point.x[0] & 1, rows[i].pub[31] >> 7);
}

Test(ed25519_batch, answers_alike_when_the_points_are_not_those_of_the_keys)
{
	static const uint8_t prime[32] = {0xed, [1 ... 30] = 0xff, 0x7f};
	static struct gm_ed25519_point wrong[40];
	uint64_t hopeful[64];

	fill(40);
	for (unsigned way = 0; way < 5; way++) {
		for (unsigned i = 0; i < 40; i++) {
			wrong[i] = rows[way == 0 ? (i + 1) % 40 : i].point; /* another key's */
			if (way == 1)                                       /* minus x */
				sodium_sub(memcpy(wrong[i].x, prime, 32), rows[i].point.x, 32);
			if (way == 2) /* x + p, which fits */
				sodium_add(wrong[i].x, prime, 32);
			if (way == 3)
				memset(wrong[i].x, i % 2 ? 0 : 0xff, 32);
			if (way == 4 && i % 16 < 15) /* one in a group and pair of groups */
				points[i] = &rows[i].point;
			else
				points[i] = way == 4 ? NULL : &wrong[i];
		}
		EACH_EQUATION(v)
		{
			cr_expect(holds(v, hopeful, 40, true), "%s: way %u", v->name, way);
			cr_expect_eq(hopeful[0], (UINT64_C(1) << 40) - 1, "%s: way %u", v->name, way);
		}
	}
	/* a point of the other's key does not make the other's signature good */
	memcpy(rows[7].sig, rows[8].sig, 64);
	memcpy(rows[7].msg, rows[8].msg, sizeof(rows[8].msg));
	rows[7].msg_len = rows[8].msg_len;
	rows[7].good = false;
	use(7, &rows[7]);
	points[7] = &rows[8].point;
	EACH_EQUATION(v)
	{
		cr_expect_not(holds(v, hopeful, 40, true), "%s", v->name);
		expect(v, 40, "another's point");
	}
}

/* ---- coefficients */

Test(ed25519_batch, draws_its_coefficients_from_the_seed_and_all_that_is_verified)
{
	uint8_t seed[32] = {1}, challenge[20][32], changed;
	uint64_t z[20][2], again[20][2];
	struct gm_ed25519_batch b = {jobs, NULL, 20, seed, NULL};
	uint8_t *const from[] = {seed, seed + 31, challenge[0], challenge[19] + 31, rows[0].sig + 32, rows[19].sig + 63};

	fill(20);
	gm_random(challenge, sizeof(challenge));
	gm_ed25519_coefficients(z, 20, challenge, &b);
	gm_ed25519_coefficients(again, 20, challenge, &b);
	cr_expect_arr_eq(z, again, sizeof(z));
	for (unsigned i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		changed = *from[i];
		*from[i] ^= 0x01;
		gm_ed25519_coefficients(again, 20, challenge, &b);
		*from[i] = changed;
		for (unsigned k = 0; k < 20; k++)
			cr_expect(z[k][0] != again[k][0] && z[k][1] != again[k][1], "part %u, job %u", i, k);
	}
	for (unsigned i = 0; i < 20; i++)
		for (unsigned k = 0; k < i; k++)
			cr_expect(z[i][0] != z[k][0] && z[i][1] != z[k][1]);
}

/* ---- damaged at random; GM_CASES=n sets the number (1,000) */

Test(ed25519_batch, decides_damaged_signatures_as_libsodium)
{
	const char *wanted = getenv("GM_CASES");
	const unsigned cases = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 1000;

	for (unsigned done = 0; done < cases; done += 200) {
		fill(200);
		for (unsigned i = 0; i < 200; i++) {
			struct row *r = &rows[i];
			uint8_t *const parts[] = {r->pub, r->sig, r->sig + 32, r->msg};
			uint8_t dice[3];

			gm_random(dice, sizeof(dice));
			/* mostly good ones in every other round, so that the equation holds now and then */
			if (dice[0] % 3 > 0 && (done / 200 % 2 || i == 150))
				parts[dice[0] / 3 % 4][dice[1] % 32] ^= (uint8_t)(1u << dice[2] % 8);
			use(i, r);
			r->good = !crypto_sign_verify_detached(r->sig, r->msg, r->msg_len, r->pub);
		}
		EACH_EQUATION(v)
		if (!slow(v))
			expect(v, 200, "damaged");
	}
}

/* ---- memory */

/* n bytes that begin or end where memory does */
static void *at_the_edge(const void *from, size_t n, bool end)
{
	const size_t pages = (n + 4095) / 4096 * 4096;
	uint8_t *p = mmap(NULL, pages + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(p != MAP_FAILED);
	cr_assert(mprotect(p + 4096, pages, PROT_READ | PROT_WRITE) == 0);
	p += 4096 + (end ? pages - n : 0);
	return from ? memcpy(p, from, n) : p;
}

Test(ed25519_batch, touches_nothing_outside_of_what_it_is_given)
{
	static const unsigned sizes[] = {1, 16, 17, 65, 200};

	fill(200);
	for (unsigned end = 0; end < 2; end++)
		for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			const unsigned n = sizes[s];
			struct gm_ed25519_job *own = at_the_edge(jobs, n * sizeof(*own), end);
			const struct gm_ed25519_point **known = at_the_edge(points, n * sizeof(*known), end);
			uint64_t *good = at_the_edge(NULL, 8 * GM_ED25519_BATCH_WORDS(n), end);
			const struct gm_ed25519_batch b = {own, known, n, at_the_edge(room, 32, end),
			                                   at_the_edge(NULL, GM_ED25519_BATCH_ROOM(n), end)};

			for (unsigned i = 0; i < n; i++) {
				own[i] = (struct gm_ed25519_job){
				    at_the_edge(rows[i].pub, 32, end), at_the_edge(rows[i].sig, 64, end),
				    at_the_edge(rows[i].msg, rows[i].msg_len, end), rows[i].msg_len};
				known[i] = at_the_edge(&rows[i].point, sizeof(rows[i].point), end);
			}
			EACH_EQUATION(v)
			{
				cr_expect(v->batch(good, &b), "%s: %u", v->name, n);
				cr_expect_eq(gm_ed25519_batch_by(v, good, &b), n, "%s: %u", v->name, n);
			}
		}
}
