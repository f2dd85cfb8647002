/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(ed25519, .init = start);

/* One case with room of its own. */
struct row {
	uint8_t pub[GM_ED25519_PUB], sig[GM_ED25519_SIG], msg[4096];
	size_t msg_len;
	bool good;
};

static bool verify(const struct row *r)
{
	const struct gm_ed25519_job job = {r->pub, r->sig, r->msg, r->msg_len};

	return gm_ed25519_verify(&job, 1) == 1;
}

static void sign(uint8_t sig[static GM_ED25519_SIG], const uint8_t *seed, const uint8_t *pub, const uint8_t *msg,
                 size_t msg_len)
{
	const struct gm_ed25519_sign_job job = {seed, pub, msg, msg_len, sig};

	gm_ed25519_sign(&job, 1);
}

/* Public key and signature must come out of seed and message, and verify. */
static void check_signing(const struct row *r, const uint8_t seed[static GM_ED25519_SEED], const char *name)
{
	uint8_t pub[GM_ED25519_PUB], sig[GM_ED25519_SIG];

	gm_ed25519_public(pub, seed);
	cr_expect_arr_eq(pub, r->pub, sizeof(pub), "%s: public key", name);
	sign(sig, seed, pub, r->msg, r->msg_len);
	cr_expect_arr_eq(sig, r->sig, sizeof(sig), "%s: signature", name);
	cr_expect(verify(r), "%s: verify", name);
}

Test(ed25519, signs_as_rfc_8032_section_7_1_shows)
{
	json_t *file = gm_vectors_load("rfc8032/rfc8032_ed25519.json"), *test;
	size_t i;

	cr_assert_eq(json_array_size(json_object_get(file, "tests")), 5);
	json_array_foreach(json_object_get(file, "tests"), i, test)
	{
		uint8_t seed[GM_ED25519_SEED];
		struct row r = {0};

		gm_vectors_get(seed, sizeof(seed), test, "seed");
		gm_vectors_get(r.pub, sizeof(r.pub), test, "public_key");
		gm_vectors_get(r.sig, sizeof(r.sig), test, "signature");
		r.msg_len = gm_vectors_get(r.msg, sizeof(r.msg), test, "message");
		check_signing(&r, seed, json_string_value(json_object_get(test, "name")));
	}
	json_decref(file);
}

Test(ed25519, signs_messages_of_0_to_1023_bytes_as_the_original_does)
{
	FILE *file = gm_vectors_open("ed25519-cr-yp-to/sign.input");
	char line[8192];
	unsigned n = 0;

	for (; fgets(line, sizeof(line), file); n++) {
		uint8_t secret[64], signed_msg[GM_ED25519_SIG + 1024];
		struct row r = {0};
		char *rest = line;

		gm_hex(secret, sizeof(secret), strsep(&rest, ":"));
		gm_hex(r.pub, sizeof(r.pub), strsep(&rest, ":"));
		r.msg_len = gm_hex(r.msg, sizeof(r.msg), strsep(&rest, ":"));
		gm_hex(signed_msg, sizeof(signed_msg), strsep(&rest, ":"));
		memcpy(r.sig, signed_msg, sizeof(r.sig));
		check_signing(&r, secret, "line");
	}
	fclose(file);
	cr_assert_eq(n, 1024);
}

/* false: the signature does not have 64 bytes and never reaches us */
static bool row_of_wycheproof(struct row *r, const json_t *group, const json_t *test)
{
	uint8_t sig[256];
	size_t len = gm_vectors_get(sig, sizeof(sig), test, "sig");

	r->good = !strcmp(json_string_value(json_object_get(test, "result")), "valid");
	gm_vectors_get(r->pub, sizeof(r->pub), json_object_get(group, "publicKey"), "pk");
	r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, "msg");
	memcpy(r->sig, sig, sizeof(r->sig));
	return len == GM_ED25519_SIG;
}

Test(ed25519, decides_as_wycheproof)
{
	json_t *file = gm_vectors_load("wycheproof/ed25519_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test)
	{
		struct row r = {0};

		if (!row_of_wycheproof(&r, group, test))
			continue;
		n++;
		cr_expect_eq(verify(&r), r.good, "tcId %lld", json_integer_value(json_object_get(test, "tcId")));
	}
	json_decref(file);
	cr_expect_gt(n, 120);
}

/* Does the file of CCTV have this signature as one whose A and R differ from an ordinary one in small order alone? The
 * strict rule of other files refuses these, ours has the cofactor. */
static bool good_but_for_the_cofactor(const json_t *cctv, const uint8_t sig[static GM_ED25519_SIG], const uint8_t *msg,
                                      size_t msg_len)
{
	json_t *test;
	size_t i;

	json_array_foreach(cctv, i, test)
	{
		const char *text = json_string_value(json_object_get(test, "msg"));
		uint8_t own[GM_ED25519_SIG];

		gm_vectors_get(own, sizeof(own), test, "sig");
		if (!memcmp(own, sig, sizeof(own)) && strlen(text) == msg_len && !memcmp(text, msg, msg_len))
			return gm_vectors_have_flag(test, "low_order_residue") && !gm_vectors_have_flag(test, "low_order_A") &&
			       !gm_vectors_have_flag(test, "low_order_R") && !gm_vectors_have_flag(test, "non_canonical_A") &&
			       !gm_vectors_have_flag(test, "non_canonical_R");
	}
	return false;
}

Test(ed25519, decides_2954_edge_cases_in_mixed_batches_as_the_strict_rule_with_a_cofactor)
{
	json_t *cctv = gm_vectors_load("cctv/ed25519vectors.json");
	unsigned more = 0;
	static struct row rows[GM_BATCH_MAX];
	struct gm_ed25519_job jobs[GM_BATCH_MAX];
	FILE *file = gm_vectors_open("narya/narya_external_strict_v1.jsonl");
	unsigned total = 0, n;

	do {
		uint64_t expected = 0;
		json_t *test;

		for (n = 0; n < GM_BATCH_MAX && (test = gm_vectors_next(file)); n++) {
			struct row *r = &rows[n];

			gm_vectors_get(r->pub, sizeof(r->pub), test, "public_key");
			gm_vectors_get(r->sig, sizeof(r->sig), test, "signature");
			r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), test, "message");
			jobs[n] = (struct gm_ed25519_job){r->pub, r->sig, r->msg, r->msg_len};
			bool strict = json_is_true(json_object_get(test, "narya_dalek_strict"));
			bool extra = !strict && good_but_for_the_cofactor(cctv, r->sig, r->msg, r->msg_len);
			expected |= (uint64_t)(strict || extra) << n;
			more += extra;
			json_decref(test);
		}
		cr_expect_eq(gm_ed25519_verify(jobs, n), expected, "batch at row %u", total);
		total += n;
	} while (n == GM_BATCH_MAX);
	fclose(file);
	json_decref(cctv);
	cr_assert_eq(total, 2954);
	cr_expect_eq(more, 63);
}

Test(ed25519, accepts_of_the_speccheck_cases_only_those_of_mixed_order)
{
	json_t *file = gm_vectors_load("speccheck/cases.json"), *test;
	size_t i;

	cr_assert_eq(json_array_size(file), 12);
	json_array_foreach(file, i, test)
	{
		struct row r = {0};

		gm_vectors_get(r.pub, sizeof(r.pub), test, "pub_key");
		gm_vectors_get(r.sig, sizeof(r.sig), test, "signature");
		r.msg_len = gm_vectors_get(r.msg, sizeof(r.msg), test, "message");
		cr_expect_eq(verify(&r), i >= 3 && i <= 5, "case %zu", i);
	}
	json_decref(file);
}

Test(ed25519, accepts_106_of_the_cctv_cases_63_of_them_by_the_cofactor_alone)
{
	json_t *file = gm_vectors_load("cctv/ed25519vectors.json"), *test;
	unsigned good = 0, residue = 0;
	size_t i;

	cr_assert_eq(json_array_size(file), 914);
	json_array_foreach(file, i, test)
	{
		struct row r = {0};
		const char *msg = json_string_value(json_object_get(test, "msg"));

		gm_vectors_get(r.pub, sizeof(r.pub), test, "key");
		gm_vectors_get(r.sig, sizeof(r.sig), test, "sig");
		r.msg_len = strlen(msg);
		memcpy(r.msg, msg, r.msg_len);
		r.good = !gm_vectors_have_flag(test, "low_order_A") && !gm_vectors_have_flag(test, "low_order_R") &&
		         !gm_vectors_have_flag(test, "non_canonical_A") && !gm_vectors_have_flag(test, "non_canonical_R");
		good += r.good;
		residue += r.good && gm_vectors_have_flag(test, "low_order_residue");
		cr_expect_eq(verify(&r), r.good, "number %zu", i);
	}
	json_decref(file);
	cr_expect_eq(good, 106);
	cr_expect_eq(residue, 63);
}

/* The accepted half of these files is about another rule; what is malleable by any rule we refuse too. */
Test(ed25519, refuses_malleable_signatures)
{
	FILE *file = gm_vectors_open("firedancer/malleability_should_fail.txt");
	char line[512];
	unsigned n = 0;

	while (fgets(line, sizeof(line), file)) {
		struct row r = {.msg = "Zcash", .msg_len = 5};
		char *rest = line;

		if (line[0] == '#')
			continue;
		gm_hex(r.sig, sizeof(r.sig), strsep(&rest, " "));
		gm_hex(r.pub, sizeof(r.pub), strsep(&rest, "\n"));
		cr_expect(!verify(&r), "line %u", n);
		n++;
	}
	fclose(file);
	cr_expect_gt(n, 100);
}

/* GM_BATCH_MAX good jobs of one key and different messages. */
struct batch {
	uint8_t seed[GM_ED25519_SEED], pub[GM_ED25519_PUB];
	uint8_t msg[GM_BATCH_MAX][8], sig[GM_BATCH_MAX][GM_ED25519_SIG];
	struct gm_ed25519_job jobs[GM_BATCH_MAX];
};

static void fill(struct batch *b)
{
	struct gm_ed25519_sign_job jobs[GM_BATCH_MAX];

	gm_random(b->seed, sizeof(b->seed));
	gm_random(b->msg, sizeof(b->msg));
	gm_ed25519_public(b->pub, b->seed);
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		jobs[i] = (struct gm_ed25519_sign_job){b->seed, b->pub, b->msg[i], sizeof(b->msg[i]), b->sig[i]};
		b->jobs[i] = (struct gm_ed25519_job){b->pub, b->sig[i], b->msg[i], sizeof(b->msg[i])};
	}
	gm_ed25519_sign(jobs, GM_BATCH_MAX);
}

Test(ed25519, one_bad_signature_leaves_its_neighbours_good)
{
	struct batch b;

	fill(&b);
	for (unsigned bad = 0; bad < GM_BATCH_MAX; bad++) {
		b.sig[bad][bad] ^= 0x10;
		cr_expect_eq(gm_ed25519_verify(b.jobs, GM_BATCH_MAX), ~(UINT64_C(1) << bad), "job %u", bad);
		b.sig[bad][bad] ^= 0x10;
	}
}

Test(ed25519, answers_for_as_many_jobs_as_it_is_given)
{
	struct batch b;

	fill(&b);
	cr_expect_eq(gm_ed25519_verify(b.jobs, 0), 0);
	cr_expect_eq(gm_ed25519_verify(b.jobs, 1), 1);
	cr_expect_eq(gm_ed25519_verify(b.jobs, 63), UINT64_MAX >> 1);
	cr_expect_eq(gm_ed25519_verify(b.jobs, GM_BATCH_MAX), UINT64_MAX);
}
