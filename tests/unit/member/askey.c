/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/member/askey.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

static const char *const algs[] = {"AES-CCM-16-64-128", "HMAC256", "EdDSA", "ES256"};

Test(askey, mints_tokens_that_verify_with_every_algorithm)
{
	uint8_t scope_bytes[32], claims[512];
	struct gm_out scope = gm_out(scope_bytes, sizeof(scope_bytes));
	cr_assert(gm_crypto_init());
	gm_cbor_put_array(&scope, 1);
	gm_scope_put(&scope, "g1", 6);
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct gm_askey key;
		struct gm_minted m;
		struct gm_cose cose;
		struct gm_cwt cwt;
		size_t n;
		cr_assert_eq(gm_askey_generate(&key, algs[i], "as1", "gm"), GM_E_OK);
		cr_assert_eq(gm_askey_mint(&m, &key, gm_out_result(&scope), 1234), GM_E_OK);
		struct gm_cose_key check = key.mint;
		if (key.pub_n) {
			check.key_n = key.pub_n;
			memcpy(check.key, key.pub, key.pub_n);
		}
		cr_assert_eq(gm_cose_decode((struct gm_bytes){m.token, m.token_n}, &cose), GM_E_OK);
		cr_assert_eq(gm_cose_open(&cose, &check, claims, sizeof(claims), &n), GM_E_OK, "%s", algs[i]);
		cr_assert_eq(gm_cwt_decode((struct gm_bytes){claims, n}, &cwt), GM_E_OK);
		cr_assert(cwt.exp == 1234 && gm_bytes_is(cwt.iss, "as1") && gm_bytes_is(cwt.aud, "gm"));
		cr_assert(gm_bytes_eq(cwt.osc.ms, (struct gm_bytes){m.ms, 16}) &&
		          gm_bytes_eq(cwt.osc.id, (struct gm_bytes){m.osc_id, 8}));
		cr_assert(gm_scope_allows(cwt.scope, (struct gm_bytes){(const uint8_t *)"g1", 2}, 6));
	}
}

Test(askey, names_aead_and_hkdf_in_tokens_where_they_are_not_the_default)
{
	static const struct {
		int32_t alg, hkdf, want_alg, want_hkdf;
	} rows[] = {{0, 0, 10, 5}, {24, 0, 24, 5}, {0, 7, 10, 7}, {31, 7, 31, 7}};
	struct gm_askey key;
	uint8_t claims[512];
	size_t n, plain_n = 0;
	cr_assert(gm_crypto_init());
	cr_assert_eq(gm_askey_generate(&key, "AES-CCM-16-64-128", "as1", "gm"), GM_E_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gm_mint what = {.exp = 1234, .nbf = -1, .exi = -1, .scope = {(const uint8_t *)"\x80", 1}};
		struct gm_minted m;
		struct gm_cose cose;
		struct gm_cwt cwt;
		what.osc_alg = rows[i].alg;
		what.osc_hkdf = rows[i].hkdf;
		cr_assert_eq(gm_askey_mint_as(&m, &key, &what), GM_E_OK);
		cr_assert_eq(gm_cose_decode((struct gm_bytes){m.token, m.token_n}, &cose), GM_E_OK);
		cr_assert_eq(gm_cose_open(&cose, &key.mint, claims, sizeof(claims), &n), GM_E_OK);
		cr_assert_eq(gm_cwt_decode((struct gm_bytes){claims, n}, &cwt), GM_E_OK);
		cr_expect_eq(cwt.osc.alg, rows[i].want_alg);
		cr_expect_eq(cwt.osc.hkdf, rows[i].want_hkdf);
		plain_n = i ? plain_n : n;
		cr_expect_eq(n > plain_n, i > 0);
	}
}

Test(askey, comes_back_from_its_file_which_only_the_owner_can_read)
{
	char dir[] = "/tmp/gm-askey-XXXXXX", path[64];
	cr_assert(gm_crypto_init() && mkdtemp(dir));
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct gm_askey key, back;
		struct stat st;
		snprintf(path, sizeof(path), "%s/%zu.json", dir, i);
		cr_assert_eq(gm_askey_generate(&key, algs[i], "as1", "gm"), GM_E_OK);
		cr_assert_eq(gm_askey_save(&key, path), GM_E_OK);
		cr_assert_eq(gm_askey_save(&key, path), GM_E_EXISTS);
		cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
		cr_assert_eq(gm_askey_load(&back, path), GM_E_OK);
		cr_assert(memcmp(&key, &back, sizeof(key)) == 0);
		unlink(path);
	}
	rmdir(dir);
}

Test(askey, understands_lists_of_roles)
{
	cr_assert_eq(gm_askey_roles("requester,responder"), 6);
	cr_assert_eq(gm_askey_roles("monitor"), 8);
	cr_assert_eq(gm_askey_roles("monitor,king"), 0);
	cr_assert_eq(gm_askey_roles(""), 0);
}
