/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static const int algs[] = {1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33};

#define ALGS (sizeof(algs) / sizeof(algs[0]))

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(aead, .init = start);
TestSuite(ctr, .init = start);

/* The algorithm of a Wycheproof group; 0: not in COSE */
static int alg_of(const json_t *group)
{
	for (unsigned i = 0; i < ALGS; i++) {
		const struct gm_aead_info *info = gm_aead_info(algs[i]);

		if (algs[i] >= 10 && algs[i] != 24 &&
		    json_integer_value(json_object_get(group, "keySize")) == 8 * info->key_len &&
		    json_integer_value(json_object_get(group, "ivSize")) == 8 * info->nonce_len &&
		    json_integer_value(json_object_get(group, "tagSize")) == 8 * info->tag_len)
			return algs[i];
	}
	return 0;
}

static void check_ccm(int alg, const json_t *test)
{
	uint8_t key[32], nonce[13], aad[256], msg[256], ct[272], text[272];
	const uint8_t tag_len = gm_aead_info(alg)->tag_len;
	const bool good = !strcmp(json_string_value(json_object_get(test, "result")), "valid");
	const long long id = json_integer_value(json_object_get(test, "tcId"));

	gm_vectors_get(key, sizeof(key), test, "key");
	gm_vectors_get(nonce, sizeof(nonce), test, "iv");
	size_t aad_len = gm_vectors_get(aad, sizeof(aad), test, "aad");
	size_t len = gm_vectors_get(msg, sizeof(msg), test, "msg");
	gm_vectors_get(ct, len, test, "ct");
	gm_vectors_get(ct + len, tag_len, test, "tag");

	memcpy(text, msg, len);
	cr_expect(gm_aead_seal(alg, key, nonce, aad, aad_len, text, len));
	cr_expect_eq(!memcmp(text, ct, len + tag_len), good, "seal, tcId %lld", id);
	memcpy(text, ct, len + tag_len);
	cr_expect_eq(gm_aead_open(alg, key, nonce, aad, aad_len, text, len), good, "open, tcId %lld", id);
	if (good)
		cr_expect_arr_eq(text, msg, len, "open, tcId %lld", id);
}

Test(aead, seals_and_opens_aes_ccm_as_wycheproof)
{
	json_t *file = gm_vectors_load("wycheproof/aes_ccm_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test) if (alg_of(group))
	{
		check_ccm(alg_of(group), test);
		n++;
	}
	json_decref(file);
	cr_expect_eq(n, 24);
}

struct known {
	int alg;
	const char *key, *nonce, *aad, *text, *sealed;
};

#define ZERO16 "00000000000000000000000000000000"

/* AES-GCM: test cases 2, 8 and 14 of the paper that proposed it. ChaCha20-Poly1305: RFC 8439 §2.8.2 */
static const struct known known[] = {
    {1, ZERO16, "000000000000000000000000", "", ZERO16,
     "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
    {2, ZERO16 "0000000000000000", "000000000000000000000000", "", ZERO16,
     "98e7247c07f0fe411c267e4384b0f6002ff58d80033927ab8ef4d4587514f0fb"},
    {3, ZERO16 ZERO16, "000000000000000000000000", "", ZERO16,
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {24, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666"
     "657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069"
     "742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29"
     "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b"
     "61161ae10b594f09e26a7e902ecbd0600691"},
};

Test(aead, seals_the_known_answers_of_aes_gcm_and_chacha20_poly1305)
{
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct known *k = &known[i];
		uint8_t key[32], nonce[13], aad[32], text[160], sealed[160];

		gm_hex(key, sizeof(key), k->key);
		gm_hex(nonce, sizeof(nonce), k->nonce);
		size_t aad_len = gm_hex(aad, sizeof(aad), k->aad), len = gm_hex(text, sizeof(text), k->text);
		size_t sealed_len = gm_hex(sealed, sizeof(sealed), k->sealed);

		cr_expect(gm_aead_seal(k->alg, key, nonce, aad, aad_len, text, len));
		cr_expect_arr_eq(text, sealed, sealed_len, "algorithm %d", k->alg);
	}
}

Test(aead, opens_what_it_sealed_and_zeroes_what_was_forged)
{
	for (unsigned i = 0; i < ALGS; i++) {
		const uint8_t tag_len = gm_aead_info(algs[i])->tag_len;
		const uint8_t zeros[40] = {0};
		uint8_t key[32], nonce[13], aad[20], msg[40], text[64];

		gm_random(key, sizeof(key));
		gm_random(nonce, sizeof(nonce));
		gm_random(aad, sizeof(aad));
		gm_random(msg, sizeof(msg));
		for (size_t len = 0; len <= sizeof(msg); len += 5) {
			memset(text, 0xa5, sizeof(text));
			memcpy(text, msg, len);
			cr_expect(gm_aead_seal(algs[i], key, nonce, aad, sizeof(aad), text, len));
			cr_expect_eq(text[len + tag_len], 0xa5, "algorithm %d writes behind the tag", algs[i]);
			cr_expect(gm_aead_open(algs[i], key, nonce, aad, sizeof(aad), text, len), "algorithm %d",
			          algs[i]);
			cr_expect_arr_eq(text, msg, len);

			cr_expect(gm_aead_seal(algs[i], key, nonce, aad, sizeof(aad), text, len));
			text[len + tag_len - 1u] ^= 1;
			cr_expect(!gm_aead_open(algs[i], key, nonce, aad, sizeof(aad), text, len));
			cr_expect_arr_eq(text, zeros, len, "algorithm %d", algs[i]);
		}
	}
}

Test(aead, knows_the_sizes_of_rfc_9053_and_no_other_algorithm)
{
	for (unsigned i = 0; i < ALGS; i++)
		cr_expect_eq(gm_aead_info(algs[i])->alg, algs[i]);
	cr_expect_eq(gm_aead_info(12)->nonce_len, 7);
	cr_expect_eq(gm_aead_info(33)->tag_len, 16);
	cr_expect_null(gm_aead_info(0));
	cr_expect_null(gm_aead_info(-8));
	cr_expect_not(gm_aead_seal(4, NULL, NULL, NULL, 0, NULL, 0));
	cr_expect_not(gm_aead_open(4, NULL, NULL, NULL, 0, NULL, 0));
}

Test(aead, refuses_a_text_whose_length_does_not_fit_beside_a_13_byte_nonce)
{
	static uint8_t text[65536 + 16];
	const uint8_t key[32] = {0}, nonce[13] = {0};

	cr_expect_not(gm_aead_seal(10, key, nonce, NULL, 0, text, 65536));
	cr_expect(gm_aead_seal(12, key, nonce, NULL, 0, text, 65536));
	cr_expect(gm_aead_open(12, key, nonce, NULL, 0, text, 65536));
}

/* NIST SP 800-38A F.5 counts from another block, so these answers were made with OpenSSL's enc: key 00 01 ..,
 * nonce f0 f1 .., text of 20 zero bytes. */
Test(ctr, gives_known_answers_and_undoes_itself)
{
	static const struct {
		int alg;
		const char *text;
	} rows[] = {
	    {-65534, "6a1c9d0a71983f25d8e7215fbc10f720d2774959"},
	    {-65533, "8d264fe9889b663021b8a6d5b1a731d7bedc1a92"},
	    {-65532, "a39a82e965e247cebd9e77a4bc0907eb7a81bf88"},
	};
	uint8_t key[32], nonce[12], want[20];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)(0xf0 + i);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t text[20] = {0};
		gm_hex(want, sizeof(want), rows[i].text);
		cr_assert(gm_ctr_crypt(rows[i].alg, key, nonce, text, sizeof(text)));
		cr_expect_arr_eq(text, want, sizeof(text));
		cr_assert(gm_ctr_crypt(rows[i].alg, key, nonce, text, sizeof(text)));
		cr_expect(gm_equal(text, (const uint8_t[20]){0}, sizeof(text)));
	}
	cr_expect_not(gm_ctr_crypt(10, key, nonce, want, sizeof(want)));
}

/* RFC 9053 */
Test(aead, has_every_row_of_the_table)
{
	static const struct gm_aead_info rows[] = {
	    {10, 16, 13, 8},      {11, 32, 13, 8},      {12, 16, 7, 8},       {13, 32, 7, 8},   {30, 16, 13, 16},
	    {31, 32, 13, 16},     {32, 16, 7, 16},      {33, 32, 7, 16},      {1, 16, 12, 16},  {2, 24, 12, 16},
	    {3, 32, 12, 16},      {24, 32, 12, 16},     {-65534, 16, 12, 0}, {-65533, 24, 12, 0}, {-65532, 32, 12, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct gm_aead_info *info = gm_group_enc_info(rows[i].alg);
		cr_assert_not_null(info);
		cr_expect(info->key_len == rows[i].key_len && info->nonce_len == rows[i].nonce_len &&
		          info->tag_len == rows[i].tag_len, "%d", rows[i].alg);
		cr_expect_eq(gm_aead_info(rows[i].alg) != NULL, rows[i].alg > 0);
	}
	cr_expect_null(gm_group_enc_info(-65531), "CBC is no group encryption");
}
