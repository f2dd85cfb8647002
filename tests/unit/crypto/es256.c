/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(es256, .init = start);

Test(es256, decides_as_wycheproof)
{
	json_t *file = gm_vectors_load("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test)
	{
		uint8_t point[1 + GM_ES256_PUB], sig[256], msg[256];
		bool good = !strcmp(json_string_value(json_object_get(test, "result")), "valid");

		gm_vectors_get(point, sizeof(point), json_object_get(group, "publicKey"), "uncompressed");
		size_t msg_len = gm_vectors_get(msg, sizeof(msg), test, "msg");
		if (gm_vectors_get(sig, sizeof(sig), test, "sig") != GM_ES256_SIG)
			continue;
		n++;
		cr_expect_eq(gm_es256_verify(point + 1, sig, msg, msg_len), good, "tcId %lld",
		             json_integer_value(json_object_get(test, "tcId")));
	}
	json_decref(file);
	cr_expect_gt(n, 200);
}

Test(es256, verifies_what_it_signed_and_no_other_message)
{
	uint8_t pub[GM_ES256_PUB], priv[32], sig[GM_ES256_SIG], msg[] = "a token";

	for (unsigned i = 0; i < 32; i++) { /* often enough for r or s with a leading zero */
		cr_assert(gm_es256_keygen(pub, priv));
		cr_assert(gm_es256_sign(sig, priv, msg, sizeof(msg)));
		cr_expect(gm_es256_verify(pub, sig, msg, sizeof(msg)));
		msg[0] ^= 1;
		cr_expect_not(gm_es256_verify(pub, sig, msg, sizeof(msg)));
	}
}

Test(es256, refuses_a_public_key_off_the_curve)
{
	uint8_t pub[GM_ES256_PUB], priv[32], sig[GM_ES256_SIG];
	const uint8_t none[GM_ES256_PUB] = {0};

	cr_assert(gm_es256_keygen(pub, priv));
	cr_assert(gm_es256_sign(sig, priv, NULL, 0));
	cr_expect(gm_es256_verify(pub, sig, NULL, 0));
	pub[GM_ES256_PUB - 1] ^= 1;
	cr_expect_not(gm_es256_verify(pub, sig, NULL, 0));
	cr_expect_not(gm_es256_verify(none, sig, NULL, 0));
}
