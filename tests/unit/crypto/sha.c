/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(sha, .init = start);

static unsigned check_hmac(const char *name)
{
	json_t *file = gm_vectors_load(name), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test)
	{
		uint8_t key[256], msg[256], tag[GM_SHA256], out[GM_SHA256];
		size_t key_len = gm_vectors_get(key, sizeof(key), test, "key");
		size_t msg_len = gm_vectors_get(msg, sizeof(msg), test, "msg");
		size_t tag_len = gm_vectors_get(tag, sizeof(tag), test, "tag");
		bool good = !strcmp(json_string_value(json_object_get(test, "result")), "valid");

		gm_hmac_sha256(out, key, key_len, msg, msg_len);
		cr_expect_eq(gm_equal(out, tag, tag_len), good, "%s, tcId %lld", name,
		             json_integer_value(json_object_get(test, "tcId")));
		n++;
	}
	json_decref(file);
	return n;
}

Test(sha, computes_hmac_as_wycheproof_and_rfc_4231)
{
	cr_expect_eq(check_hmac("wycheproof/hmac_sha256_test.json"), 174);
	cr_expect_eq(check_hmac("ipsec-mb/hmac_sha256_test.json"), 8);
}

Test(sha, computes_sha_256_of_abc_and_of_nothing)
{
	uint8_t expected[GM_SHA256], out[GM_SHA256];

	gm_hex(expected, sizeof(expected), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	gm_sha256(out, (const uint8_t *)"abc", 3);
	cr_expect_arr_eq(out, expected, sizeof(out));
	gm_hex(expected, sizeof(expected), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	gm_sha256(out, NULL, 0);
	cr_expect_arr_eq(out, expected, sizeof(out));
}

/* Key 00 01 .. 0f, message 00 01 .. 0e: the example in the paper "SipHash: a fast short-input PRF", appendix A */
Test(sha, computes_siphash_2_4_as_its_paper_shows)
{
	uint8_t key[16], msg[15];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	memcpy(msg, key, sizeof(msg));
	cr_expect_eq(gm_siphash(key, msg, sizeof(msg)), UINT64_C(0xa129ca6149be45e5));
}
