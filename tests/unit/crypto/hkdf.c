/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

#define OUT_MAX 8160u

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(hkdf, .init = start);

static void check(const json_t *test)
{
	static uint8_t okm[OUT_MAX], out[OUT_MAX], again[OUT_MAX];
	uint8_t ikm[256], salt[256], info[256], prk[GM_SHA256];
	const long long id = json_integer_value(json_object_get(test, "tcId"));
	size_t ikm_len = gm_vectors_get(ikm, sizeof(ikm), test, "ikm");
	size_t salt_len = gm_vectors_get(salt, sizeof(salt), test, "salt");
	size_t info_len = gm_vectors_get(info, sizeof(info), test, "info");
	size_t len = gm_vectors_get(okm, sizeof(okm), test, "okm");

	gm_hkdf_sha256(out, len, salt, salt_len, ikm, ikm_len, info, info_len);
	cr_expect_arr_eq(out, okm, len, "tcId %lld", id);
	gm_hkdf_sha256_extract(prk, salt, salt_len, ikm, ikm_len);
	gm_hkdf_sha256_expand(again, len, prk, info, info_len);
	cr_expect_arr_eq(again, okm, len, "in two steps, tcId %lld", id);
}

Test(hkdf, derives_as_wycheproof_in_one_step_and_in_two)
{
	json_t *file = gm_vectors_load("wycheproof/hkdf_sha256_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group) json_array_foreach(
	    json_object_get(group, "tests"), t, test) if (json_integer_value(json_object_get(test, "size")) <= OUT_MAX)
	{
		check(test);
		n++;
	}
	json_decref(file);
	cr_expect_gt(n, 70);
}

Test(hkdf, writes_no_more_than_asked)
{
	const uint8_t ikm[16] = {1};

	for (size_t len = 0; len < 70; len++) {
		uint8_t out[80];

		memset(out, 0xa5, sizeof(out));
		gm_hkdf_sha256(out, len, NULL, 0, ikm, sizeof(ikm), NULL, 0);
		for (size_t i = len; i < sizeof(out); i++)
			cr_expect_eq(out[i], 0xa5, "%zu bytes asked, byte %zu written", len, i);
	}
}

Test(hkdf, with_sha_512_gives_known_answers)
{
	json_t *file = gm_vectors_load("curves.json"), *row;
	size_t at;

	json_array_foreach(json_object_get(file, "hkdf_sha512"), at, row)
	{
		uint8_t salt[256], ikm[128], info[128], okm[256], out[256], mac[GM_SHA512];
		size_t salt_len = gm_vectors_get(salt, sizeof(salt), row, "salt");
		size_t ikm_len = gm_vectors_get(ikm, sizeof(ikm), row, "ikm");
		size_t info_len = gm_vectors_get(info, sizeof(info), row, "info");
		size_t okm_len = gm_vectors_get(okm, sizeof(okm), row, "okm");

		cr_assert(gm_hkdf(7, out, okm_len, salt, salt_len, ikm, ikm_len, info, info_len));
		cr_expect_arr_eq(out, okm, okm_len);
		gm_hmac_sha512(mac, salt, salt_len, ikm, ikm_len);
		gm_vectors_get(okm, sizeof(okm), row, "mac");
		cr_expect_arr_eq(mac, okm, sizeof(mac));
	}
	cr_expect_eq(at, 4);
	json_decref(file);
}

Test(hkdf, by_number_is_the_one_by_name_and_knows_two)
{
	uint8_t a[32], b[32];

	cr_assert(gm_hkdf(5, a, sizeof(a), NULL, 0, (const uint8_t *)"k", 1, (const uint8_t *)"i", 1));
	gm_hkdf_sha256(b, sizeof(b), NULL, 0, (const uint8_t *)"k", 1, (const uint8_t *)"i", 1);
	cr_expect_arr_eq(a, b, sizeof(a));
	cr_expect_not(gm_hkdf(6, a, sizeof(a), NULL, 0, NULL, 0, NULL, 0));
}

Test(hkdf, in_two_steps_is_the_one_in_one)
{
	for (int alg = 5; alg <= 7; alg += 2) {
		uint8_t prk[GM_SHA512], a[100], b[100];

		cr_assert(gm_hkdf(alg, a, sizeof(a), (const uint8_t *)"s", 1, (const uint8_t *)"k", 1, (const uint8_t *)"i", 1));
		cr_assert(gm_hkdf_extract(alg, prk, (const uint8_t *)"s", 1, (const uint8_t *)"k", 1));
		gm_hkdf_expand(alg, b, sizeof(b), prk, (const uint8_t *)"i", 1);
		cr_expect_arr_eq(a, b, sizeof(a));
	}
	cr_expect_not(gm_hkdf_extract(6, (uint8_t[GM_SHA512]){0}, NULL, 0, NULL, 0));
}
