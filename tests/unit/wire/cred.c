/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that are certificates, and the Group Manager's own; CCS and CWT: groupcomm.c. */
#include <criterion/criterion.h>

#include "gm/dp.h"
#include "vectors.h"
#include "wire/cbor.h"
#include "wire/params.h"
#include "wire/proof.h"

#define NOW 1790000000 /* 2026 */

static json_t *file;
static uint8_t bytes[GM_CRED_MAX], scratch[1024];

static void start(void)
{
	cr_assert(gm_crypto_init());
	file = gm_vectors_load("x509.json");
}

static void stop(void)
{
	json_decref(file);
}

TestSuite(cert, .init = start, .fini = stop);
TestSuite(kdc_credential, .init = start, .fini = stop);

static struct gm_group_params eddsa(int32_t cred_fmt)
{
	struct gm_group_params p = gm_group_params_default();
	p.cred_fmt = cred_fmt;
	return p;
}

static void put(struct gm_out *o, const json_t *from, const char *name)
{
	gm_cbor_put_bstr(o, scratch, gm_vectors_get(scratch, sizeof(scratch), from, name));
}

static const json_t *end(size_t i)
{
	return json_array_get(json_object_get(file, "ends"), i);
}

Test(cert, alone_is_a_byte_string_and_several_are_an_array)
{
	struct gm_group_params p = eddsa(GM_CRED_FMT_X5CHAIN);
	struct gm_cred_pub one, three;
	struct gm_out o = gm_out(bytes, sizeof(bytes));

	put(&o, end(0), "der");
	cr_assert_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &one), GM_E_OK);
	cr_expect(one.kty == GM_KTY_OKP && one.crv == GM_CRV_ED25519 && one.n == 32);
	o = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_array(&o, 3);
	put(&o, end(0), "der");
	put(&o, file, "mid");
	put(&o, file, "root");
	cr_assert_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &three), GM_E_OK);
	cr_expect(memcmp(&one, &three, sizeof(one)) == 0);
	o = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_array(&o, 2);
	put(&o, file, "mid");
	put(&o, end(0), "der");
	cr_expect_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &three), GM_E_BAD_CRED, "a chain begins at the end");
	p.cred_fmt = GM_CRED_FMT_X5BAG;
	cr_assert_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &three), GM_E_OK, "a bag has no order");
	cr_expect(memcmp(&one, &three, sizeof(one)) == 0);
}

Test(cert, alone_may_come_as_it_is)
{
	struct gm_group_params p = eddsa(GM_CRED_FMT_X5CHAIN);
	struct gm_key_pair own;
	struct gm_cred_pub pub;
	size_t n = gm_vectors_get(bytes, sizeof(bytes), end(0), "der");

	cr_expect_eq(gm_cred_pub_at((struct gm_bytes){bytes, n}, &p, NOW, &pub), GM_E_OK);
	cr_expect_eq(gm_cred_pub_at((struct gm_bytes){bytes, n - 1}, &p, NOW, &pub), GM_E_BAD_CRED);
	p.cred_fmt = GM_CRED_FMT_C5C;
	cr_expect_eq(gm_cred_pub_at((struct gm_bytes){bytes, n}, &p, NOW, &pub), GM_E_BAD_CRED, "the wrong kind");
	cr_assert_eq(gm_key_pair_make(&own, &p, (const uint8_t[32]){9}), GM_E_OK);
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	cr_assert_eq(gm_own_cred_encode(&o, &p, &own, NOW), GM_E_OK);
	bytes[1] = 0x8b; /* after the head of the byte string, 58 nn */
	cr_expect_eq(gm_cred_pub_at((struct gm_bytes){bytes + 1, gm_out_len(&o) - 1}, &p, NOW, &pub), GM_E_OK);
}

Test(cert, has_to_suit_the_group_and_the_time)
{
	struct gm_group_params p = eddsa(GM_CRED_FMT_X5CHAIN);
	struct gm_cred_pub pub;

	for (size_t i = 1; end(i); i++) {
		struct gm_out o = gm_out(bytes, sizeof(bytes));
		put(&o, end(i), "der");
		cr_expect_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &pub), GM_E_BAD_CRED, "another curve");
	}
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	put(&o, file, "short");
	cr_expect_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW, &pub), GM_E_BAD_CRED, "it has ended");
	cr_expect_eq(gm_cred_pub(gm_out_result(&o), &p, &pub), GM_E_OK, "nobody asks for the time");
	cr_expect_eq(gm_cred_pub((struct gm_bytes){bytes, gm_out_len(&o) - 1}, &p, &pub), GM_E_BAD_CRED);
	cr_expect_eq(gm_cred_pub((struct gm_bytes){0}, &p, &pub), GM_E_BAD_CRED);
	cr_expect_eq(gm_cred_pub((struct gm_bytes){(const uint8_t *)"\x80", 1}, &p, &pub), GM_E_BAD_CRED, "no certificate");
}

/* Every kind of key that a group can have. */
static struct gm_group_params kind(unsigned i, int32_t cred_fmt)
{
	static const struct {
		int32_t sign_alg, ecdh_crv;
	} kinds[] = {{-8, 0}, {-7, 0}, {-35, 0}, {-36, 0}, {0, GM_CRV_X25519}, {0, GM_CRV_P521}};
	struct gm_group_params p = gm_group_params_default();

	p.cred_fmt = cred_fmt;
	p.group_mode = kinds[i].sign_alg != 0;
	p.sign_alg = kinds[i].sign_alg;
	p.ecdh_kty = kinds[i].ecdh_crv == GM_CRV_X25519 ? GM_KTY_OKP : kinds[i].ecdh_crv ? GM_KTY_EC2 : 0;
	p.ecdh_crv = kinds[i].ecdh_crv;
	gm_params_complete(&p);
	return p;
}

Test(kdc_credential, is_read_as_that_of_a_member_in_each_form_of_each_key)
{
	static const int32_t forms[] = {13, 14, 24, 25, 32, 33};

	for (unsigned i = 0; i < 36; i++) {
		struct gm_group_params p = kind(i / 6, forms[i % 6]);
		struct gm_key_pair own;
		struct gm_cred_pub pub;
		uint8_t again[GM_VIEW_CRED_MAX];
		struct gm_out o = gm_out(bytes, GM_VIEW_CRED_MAX), o2 = gm_out(again, sizeof(again));

		cr_expect_null(gm_params_check(&p, 3), "%u", i);
		cr_assert_eq(gm_key_pair_make(&own, &p, (const uint8_t[32]){9}), GM_E_OK, "%u", i);
		cr_assert_eq(gm_own_cred_encode(&o, &p, &own, NOW), GM_E_OK, "%u", i);
		cr_assert_eq(gm_cred_pub_at(gm_out_result(&o), &p, NOW + 1, &pub), GM_E_OK, "%u", i);
		cr_expect(memcmp(&pub, &own.pub, sizeof(pub)) == 0, "%u", i);
		cr_assert_eq(gm_own_cred_encode(&o2, &p, &own, NOW), GM_E_OK);
		cr_expect(gm_bytes_eq(gm_out_result(&o), gm_out_result(&o2)), "a replay makes the same: %u", i);
	}
}

Test(kdc_credential, does_not_exist_in_other_forms)
{
	struct gm_group_params p = eddsa(34);
	struct gm_key_pair own;
	struct gm_out o = gm_out(bytes, sizeof(bytes));

	cr_expect_not_null(gm_params_check(&p, 3));
	cr_assert_eq(gm_key_pair_make(&own, &p, (const uint8_t[32]){9}), GM_E_OK);
	cr_expect_eq(gm_own_cred_encode(&o, &p, &own, NOW), GM_E_RANGE);
}
