/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <arpa/inet.h>

#include "ccs.h"
#include "gm/crypto.h"
#include "vectors.h"
#include "wire/cbor.h"
#include "wire/groupcomm.h"
#include "wire/cose.h"

static uint8_t bytes[4096];
static uint8_t written[4096];

static struct gm_bytes hex(const char *text)
{
	return (struct gm_bytes){bytes, gm_hex(bytes, sizeof bytes, text)};
}

static struct gm_bytes text(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

static bool is_hex(struct gm_bytes b, const char *want)
{
	uint8_t buf[4096];
	return gm_bytes_eq(b, (struct gm_bytes){buf, gm_hex(buf, sizeof buf, want)});
}

static struct gm_out writer(void)
{
	return gm_out(written, sizeof written);
}

#define expect_written(o, want) cr_expect((o)->err == GM_E_OK && is_hex(gm_out_result(o), want), "want %s", want)

struct refusal {
	const char *what, *hex;
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- authz-info */

Test(token_request, reads_token_nonce_and_recipient_id)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(hex("a301430102031828480102030405060708182b4116"), &r), GM_E_OK);
	cr_expect(is_hex(r.token, "010203"));
	cr_expect(is_hex(r.nonce1, "0102030405060708"));
	cr_expect(is_hex(r.id1, "16"));
	cr_expect(!r.sign_info && !r.ecdh_info && !r.kdc_dh_creds);
}

Test(token_request, leaves_a_missing_nonce_or_recipient_id_to_the_caller)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(hex("a10140"), &r), GM_E_OK);
	cr_expect_not_null(r.token.p);
	cr_expect_null(r.nonce1.p);
	cr_expect_null(r.id1.p);
}

Test(token_request, takes_a_nested_cose_object_for_the_token)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(hex("a101d08343a1010aa04100"), &r), GM_E_OK);
	cr_expect(is_hex(r.token, "d08343a1010aa04100"));
	cr_assert_eq(gm_token_request_decode(hex("a1018343a1010aa04100"), &r), GM_E_OK);
	cr_expect(is_hex(r.token, "8343a1010aa04100"));
}

Test(token_request, remembers_the_label_under_which_something_was_asked)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(hex("a40140182df6182ff61830f6"), &r), GM_E_OK);
	cr_expect(r.sign_info == 45 && r.ecdh_info == 47 && r.kdc_dh_creds == 48);
	cr_assert_eq(gm_token_request_decode(hex("a30140185cf6185df6"), &r), GM_E_OK);
	cr_expect(r.sign_info == 0 && r.ecdh_info == 92 && r.kdc_dh_creds == 93);
	cr_assert_eq(gm_token_request_decode(hex("a30140185cf6182ff6"), &r), GM_E_OK);
	cr_expect_eq(r.ecdh_info, 47, "the registered label wins");
}

/* Payloads without a token                                                               RFC 9200 §5.10.1 */
static const struct refusal no_token[] = {
    {"nothing", ""},
    {"an array", "80"},
    {"a bare token", "4100"},
    {"no access_token", "a0"},
    {"access_token as text", "a1016161"},
    {"access_token as null", "a101f6"},
    {"access_token as map", "a101a0"},
    {"access_token twice", "a201400140"},
    {"nonce1 as text", "a2014018286161"},
    {"recipient id as number", "a20140182b01"},
    {"nonce1 twice", "a3014018284018284101"},
    {"trailing bytes", "a1014000"},
    {"a pair that is missing", "a20140"},
};

Test(token_request, refuses_what_carries_no_token)
{
	for (size_t i = 0; i < COUNT(no_token); i++) {
		struct gm_token_request r;
		cr_expect_eq(gm_token_request_decode(hex(no_token[i].hex), &r), GM_E_TOKEN_PARSE, "%s",
		             no_token[i].what);
	}
}

Test(token_request, refuses_info_labels_with_another_value_than_null)
{
	static const char *const asked[] = {"182d", "182f", "1830", "185c", "185d"};
	for (size_t i = 0; i < COUNT(asked); i++) {
		char payload[64];
		struct gm_token_request r;
		snprintf(payload, sizeof payload, "a20140%sf5", asked[i]);
		cr_expect_eq(gm_token_request_decode(hex(payload), &r), GM_E_RANGE, "%s", asked[i]);
		snprintf(payload, sizeof payload, "a20140%s00", asked[i]);
		cr_expect_eq(gm_token_request_decode(hex(payload), &r), GM_E_RANGE, "%s", asked[i]);
	}
}

Test(token_request, refuses_a_nonce_longer_than_64_bytes)
{
	uint8_t buf[128], nonce[65] = {0};
	for (size_t n = 64; n <= 65; n++) {
		struct gm_out o = gm_out(buf, sizeof buf);
		struct gm_token_request r, want = {.token = text("t"), .nonce1 = {nonce, n}};
		gm_token_request_encode(&o, &want);
		cr_expect_eq(gm_token_request_decode(gm_out_result(&o), &r), n == 64 ? GM_E_OK : GM_E_RANGE);
	}
}

Test(token_request, decodes_what_it_encodes)
{
	struct gm_out o = writer();
	struct gm_token_request r, want = {text("t"), text("nonce"), text("i"), 45, 92, 48};
	gm_token_request_encode(&o, &want);
	cr_assert_eq(gm_token_request_decode(gm_out_result(&o), &r), GM_E_OK);
	cr_expect(gm_bytes_eq(r.token, want.token) && gm_bytes_eq(r.nonce1, want.nonce1) &&
	          gm_bytes_eq(r.id1, want.id1));
	cr_expect(r.sign_info == 45 && r.ecdh_info == 92 && r.kdc_dh_creds == 48);
}

Test(token_response, has_nonce_recipient_id_challenge_and_infos)
{
	struct gm_out o = writer();
	struct gm_token_response r;
	gm_token_response_encode(&o, &(struct gm_token_response){text("n"), text("i"), text("c"), hex("182d80"), 1});
	expect_written(&o, "a4182a416e182c4169182e4163182d80");
	cr_assert_eq(gm_token_response_decode(gm_out_result(&o), &r), GM_E_OK);
	cr_expect(gm_bytes_is(r.nonce2, "n") && gm_bytes_is(r.id2, "i") && gm_bytes_is(r.challenge, "c"));
	cr_expect_eq(r.infos_n, 4);
	cr_expect_eq(r.infos.n, gm_out_len(&o) - 1);
}

Test(token_response, refuses_what_is_no_map)
{
	struct gm_token_response r;
	cr_expect_neq(gm_token_response_decode((struct gm_bytes){0}, &r), GM_E_OK);
	cr_expect_neq(gm_token_response_decode(hex("80"), &r), GM_E_OK);
	cr_expect_eq(gm_token_response_decode(hex("a000"), &r), GM_E_TRAILING);
	cr_expect_eq(gm_token_response_decode(hex("a2182a40182a40"), &r), GM_E_DUPLICATE);
	cr_expect_eq(gm_token_response_decode(hex("a1182af6"), &r), GM_E_TYPE);
}

Test(token_response, errors_and_hints_leave_out_what_is_empty)
{
	struct gm_out o = writer();
	gm_token_error_encode(&o, 1, "no");
	expect_written(&o, "a2181e01181f626e6f");
	o = writer();
	gm_token_error_encode(&o, 8, NULL);
	expect_written(&o, "a1181e08");
	o = writer();
	gm_hints_encode(&o, "coap://as", "gm", (struct gm_bytes){0});
	expect_written(&o, "a20169636f61703a2f2f61730562676d");
	o = writer();
	gm_hints_encode(&o, "", NULL, (struct gm_bytes){0});
	expect_written(&o, "a0");
}

/* ---- infos */

Test(info, entries_are_those_of_the_draft)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_bytes names[] = {text("g1"), text("g2")};
	struct gm_out o = writer();
	gm_sign_info_entry(&o, names, 1, &p);
	expect_written(&o, "85626731278101820106"
	                   "0e");
	o = writer();
	gm_ecdh_info_entry(&o, names, 1, &p);
	expect_written(&o, "85626731381a81018201040e");
	o = writer();
	gm_sign_info_entry(&o, names, 2, &p);
	expect_written(&o, "85826267316267322781018201060e");
}

Test(info, join_error_names_signatures_challenge_and_key_agreement)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_out o = writer();
	gm_join_info_encode(&o, text("g1"), &p, text("C"), text("c"));
	expect_written(&o, "a3181d8185626731278101820106"
	                   "0e181e4163181f8185626731381a81018201040e");
}

Test(info, join_error_of_a_group_with_one_mode_names_only_that)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_out o = writer();
	p.pairwise_mode = false;
	gm_join_info_encode(&o, text("g1"), &p, text("C"), (struct gm_bytes){0});
	expect_written(&o, "a1181d8185626731278101820106"
	                   "0e");
	p = gm_group_params_default();
	p.group_mode = false;
	o = writer();
	gm_join_info_encode(&o, text("g1"), &p, text("C"), (struct gm_bytes){0});
	expect_written(&o, "a2181f8185626731381a81018201040e"
	                   "1820818362673"
	                   "10e4143");
}

Test(info, join_error_is_read_by_the_joiner)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_out o = writer();
	struct gm_join_info i;
	struct gm_bytes cred;

	p.group_mode = false;
	gm_join_info_encode(&o, text("g1"), &p, text("C"), text("c"));
	cr_assert_eq(gm_join_info_decode(gm_out_result(&o), &i), GM_E_OK);
	cr_expect(gm_bytes_is(i.challenge, "c"));
	cr_expect(!i.sign_info.p && i.ecdh_info.p && i.kdc_dh_creds.p);
	cr_assert_eq(gm_kdc_dh_creds_find(i.kdc_dh_creds, text("g1"), &cred), GM_E_OK);
	cr_expect(gm_bytes_is(cred, "C"));
	cr_expect_eq(gm_kdc_dh_creds_find(i.kdc_dh_creds, text("g2"), &cred), GM_E_MISSING);
	cr_expect_null(cred.p);
	cr_assert_eq(gm_join_info_decode(hex("a1181e4163"), &i), GM_E_OK);
	cr_expect(gm_bytes_is(i.challenge, "c") && !i.ecdh_info.p);
	cr_expect_eq(gm_join_info_decode(hex("a1181ef6"), &i), GM_E_TYPE);
}

Test(info, key_agreement_credential_may_serve_several_groups)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_bytes names[] = {text("g1"), text("g2")}, cred;
	uint8_t buf[64];
	struct gm_out o = gm_out(buf, sizeof buf);

	gm_cbor_put_array(&o, 2);
	gm_kdc_dh_creds_entry(&o, &(struct gm_bytes){(const uint8_t *)"g0", 2}, 1, &p, text("A"));
	gm_kdc_dh_creds_entry(&o, names, 2, &p, text("B"));
	cr_expect(is_hex(gm_out_result(&o), "82836267300e4141838262673162673"
	                                    "20e4142"));
	cr_assert_eq(gm_kdc_dh_creds_find(gm_out_result(&o), text("g2"), &cred), GM_E_OK);
	cr_expect(gm_bytes_is(cred, "B"));
	cr_expect_eq(gm_kdc_dh_creds_find(hex("8182626731"), text("g1"), &cred), GM_E_MALFORMED);
	cr_expect_eq(gm_kdc_dh_creds_find(hex("81836267310e"), text("g1"), &cred), GM_E_SHORT);
	cr_expect_eq(gm_kdc_dh_creds_find(hex("80"), text("g1"), &cred), GM_E_MISSING);
}

/* ---- Join */

#define SCOPE "03458262673106"
#define NONCE "0641aa"

Test(join_request, reads_every_field)
{
	struct gm_join_request r;
	cr_assert_eq(gm_join_request_decode(hex("a6" SCOPE "04f6"
	                                        "0542c0c1" NONCE "1818420102"
	                                        "181a6161"),
	                                    &r),
	             GM_E_OK);
	cr_expect(is_hex(r.scope, "8262673106"));
	cr_expect(gm_bytes_is(r.group, "g1"));
	cr_expect_eq(r.roles, 6);
	cr_expect_eq(r.get_creds, GM_CREDS_NEEDED);
	cr_expect(r.has_cred && r.has_verify);
	cr_expect(is_hex(r.cred, "c0c1") && is_hex(r.verify, "0102") && is_hex(r.cnonce, "aa"));
	cr_expect(gm_bytes_is(r.control_uri, "a"));
}

Test(join_request, tells_absent_from_empty)
{
	struct gm_join_request r;
	cr_assert_eq(gm_join_request_decode(hex("a3" SCOPE NONCE "0540"), &r), GM_E_OK);
	cr_expect(r.has_cred && !r.has_verify);
	cr_expect_eq(r.cred.n, 0);
	cr_expect_eq(r.get_creds, GM_CREDS_NO);
	cr_expect_null(r.control_uri.p);
}

Test(join_request, reads_a_role_filter)
{
	struct gm_join_request r;
	cr_assert_eq(gm_join_request_decode(hex("a3" SCOPE NONCE "0483f582020680"), &r), GM_E_OK);
	cr_expect_eq(r.get_creds, GM_CREDS_ROLES);
	cr_expect_eq(r.role_filter_n, 2);
	cr_expect(r.role_filter[0] == 2 && r.role_filter[1] == 6);
}

Test(join_request, accepts_the_four_role_sets_and_no_other)
{
	for (unsigned roles = 0; roles < 256; roles++) {
		struct gm_join_request r, want = {.roles = roles, .cnonce = text("n")};
		uint8_t scope[16];
		struct gm_out s = gm_out(scope, sizeof scope), o = writer();
		gm_join_scope_encode(&s, text("g1"), roles);
		want.scope = gm_out_result(&s);
		gm_join_request_encode(&o, &want);
		bool good = roles == 2 || roles == 4 || roles == 6 || roles == 8;
		cr_expect_eq(gm_join_request_decode(gm_out_result(&o), &r), good ? GM_E_OK : GM_E_BAD_JOIN, "%u",
		             roles);
	}
}

Test(join_request, ignores_labels_it_does_not_know)
{
	struct gm_join_request r;
	cr_expect_eq(gm_join_request_decode(hex("a5" SCOPE NONCE "18196161"
	                                        "3903e7f5"
	                                        "617880"),
	                                    &r),
	             GM_E_OK);
}

/* Malformed Join Requests                                                                RFC 9594 §4.3.1, KG §6.2 */
static const struct refusal bad_joins[] = {
    {"an empty payload", ""},
    {"an array", "80"},
    {"an empty map", "a0"},
    {"no scope", "a1" NONCE},
    {"no cnonce", "a1" SCOPE},
    {"an empty cnonce", "a2" SCOPE "0640"},
    {"scope as text", "a2036161" NONCE},
    {"scope as an array", "a2038262673106" NONCE},
    {"an empty scope", "a20340" NONCE},
    {"a scope of several entries", "a20346818262673106" NONCE},
    {"a scope without roles", "a2034481626731" NONCE},
    {"a scope with a third element", "a203468362673106f5" NONCE},
    {"a scope with bytes after it", "a20346826267310600" NONCE},
    {"an empty group name", "a20343826006" NONCE},
    {"a group name that is no text", "a203458242673106" NONCE},
    {"an administrator's entry", "a203458262673107" NONCE},
    {"an unknown role", "a20346826267311826" NONCE},
    {"roles beyond 32 bits", "a2034d826267311b0000000100000006" NONCE},
    {"no roles", "a203458262673100" NONCE},
    {"a verifier", "a203458262673110" NONCE},
    {"a monitor that also requests", "a20345826267310a" NONCE},
    {"negative roles", "a203458262673120" NONCE},
    {"cnonce as text", "a2" SCOPE "066161"},
    {"client_cred as map", "a3" SCOPE NONCE "05a0"},
    {"client_cred_verify as text", "a3" SCOPE NONCE "18186161"},
    {"control_uri as bytes", "a3" SCOPE NONCE "181a4161"},
    {"get_creds as true", "a3" SCOPE NONCE "04f5"},
    {"get_creds with false", "a3" SCOPE NONCE "0483f4810280"},
    {"get_creds without role filter", "a3" SCOPE NONCE "0483f58080"},
    {"get_creds with ids", "a3" SCOPE NONCE "0483f581028141aa"},
    {"get_creds of two elements", "a3" SCOPE NONCE "0482f58102"},
    {"get_creds of four elements", "a3" SCOPE NONCE "0484f581028080"},
    {"get_creds for nobody's role", "a3" SCOPE NONCE "0483f5810080"},
    {"get_creds for an administrator's bit", "a3" SCOPE NONCE "0483f5810380"},
    {"get_creds for an unknown role", "a3" SCOPE NONCE "0483f581182080"},
    {"get_creds with nine roles", "a3" SCOPE NONCE "0483f58902020202020202020280"},
    {"a label twice", "a3" SCOPE NONCE NONCE},
    {"bytes after the map", "a2" SCOPE NONCE "00"},
    {"a pair that is missing", "a3" SCOPE NONCE},
    {"indefinite length", "bf" SCOPE NONCE "ff"},
};

Test(join_request, refuses_what_is_malformed)
{
	for (size_t i = 0; i < COUNT(bad_joins); i++) {
		struct gm_join_request r;
		cr_expect_eq(gm_join_request_decode(hex(bad_joins[i].hex), &r), GM_E_BAD_JOIN, "%s", bad_joins[i].what);
	}
}

Test(join_request, refuses_nonces_and_credentials_that_are_too_long)
{
	static uint8_t big[GM_CRED_MAX + 1];
	uint8_t scope[16];
	struct gm_out s = gm_out(scope, sizeof scope);
	struct gm_join_request r, want = {.roles = 6, .has_cred = true};

	gm_join_scope_encode(&s, text("g1"), 6);
	want.scope = gm_out_result(&s);
	for (size_t over = 0; over < 2; over++) {
		struct gm_out o = writer();
		want.cred = (struct gm_bytes){big, GM_CRED_MAX + over};
		want.cnonce = (struct gm_bytes){big, GM_NONCE_MAX};
		gm_join_request_encode(&o, &want);
		cr_expect_eq(gm_join_request_decode(gm_out_result(&o), &r), over ? GM_E_BAD_JOIN : GM_E_OK);
		o = writer();
		want.cred.n = 0;
		want.cnonce.n += over;
		gm_join_request_encode(&o, &want);
		cr_expect_eq(gm_join_request_decode(gm_out_result(&o), &r), over ? GM_E_BAD_JOIN : GM_E_OK);
	}
}

Test(join_request, decodes_what_it_encodes)
{
	struct gm_join_request r, want = {.scope = hex("8262673106"),
	                                  .get_creds = GM_CREDS_ROLES,
	                                  .role_filter_n = 2,
	                                  .role_filter = {4, 6},
	                                  .has_cred = true,
	                                  .has_verify = true,
	                                  .cred = text("cred"),
	                                  .verify = text("pop"),
	                                  .cnonce = text("n"),
	                                  .control_uri = text("coap://[::1]")};
	struct gm_out o = writer();
	gm_join_request_encode(&o, &want);
	cr_assert_eq(gm_join_request_decode(gm_out_result(&o), &r), GM_E_OK);
	cr_expect(gm_bytes_eq(r.scope, want.scope) && gm_bytes_eq(r.cred, want.cred) &&
	          gm_bytes_eq(r.verify, want.verify));
	cr_expect(gm_bytes_eq(r.cnonce, want.cnonce) && gm_bytes_eq(r.control_uri, want.control_uri));
	cr_expect(r.get_creds == GM_CREDS_ROLES && r.role_filter_n == 2 && r.role_filter[0] == 4 &&
	          r.role_filter[1] == 6);
}

/* ---- proof of possession, against vectors/group-oscore.json */

Test(pop, inputs_and_scope_are_those_of_the_vectors)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	const json_t *pop = json_object_get(file, "pop");
	uint8_t s[16], n_s[16], n_c[16], n_kdc[16], want[64], sig[64], pub[32];
	struct gm_bytes scope = {s, gm_vectors_get(s, sizeof s, pop, "scope_bstr_value")};
	struct gm_bytes challenge = {n_s, gm_vectors_get(n_s, sizeof n_s, pop, "N_S")};
	struct gm_bytes cnonce = {n_c, gm_vectors_get(n_c, sizeof n_c, pop, "N_C")};
	struct gm_bytes kdc = {n_kdc, gm_vectors_get(n_kdc, sizeof n_kdc, pop, "N_KDC")};
	struct gm_out o = writer();

	gm_join_scope_encode(&o, text("g1"), GM_ROLE_REQUESTER | GM_ROLE_RESPONDER);
	cr_expect(gm_bytes_eq(gm_out_result(&o), scope));
	o = writer();
	gm_pop_input(&o, scope, challenge, cnonce);
	cr_expect(gm_bytes_eq(gm_out_result(&o),
	                      (struct gm_bytes){want, gm_vectors_get(want, sizeof want, pop, "client_pop_input")}));
	gm_vectors_get(sig, sizeof sig, pop, "client_cred_verify_ed25519(A)");
	gm_vectors_get(pub, sizeof pub, json_object_get(json_object_get(file, "inputs"), "A"), "pub");
	cr_assert(gm_crypto_init());
	cr_expect_eq(gm_ed25519_verify(&(struct gm_ed25519_job){pub, sig, written, gm_out_len(&o)}, 1), 1);
	o = writer();
	gm_pop_input(&o, cnonce, kdc, (struct gm_bytes){0});
	cr_expect(gm_bytes_eq(gm_out_result(&o),
	                      (struct gm_bytes){want, gm_vectors_get(want, sizeof want, pop, "kdc_pop_input")}));
	json_decref(file);
}

Test(pop, mac_of_a_pairwise_only_group_is_that_of_the_vectors)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	const json_t *pop = json_object_get(file, "pop"), *only = json_object_get(file, "pop_pairwise_only");
	static const char *const sides[][2] = {{"client_pop_input", "client_cred_verify_mac8"},
	                                       {"kdc_pop_input", "kdc_cred_verify_mac8"}};
	uint8_t secret[32], input[64], want[8], mac[GM_POP_MAC];

	cr_assert(gm_crypto_init());
	gm_vectors_get(secret, sizeof secret, only, "IKM");
	for (size_t i = 0; i < COUNT(sides); i++) {
		size_t n = gm_vectors_get(input, sizeof input, pop, sides[i][0]);
		cr_assert_eq(gm_vectors_get(want, sizeof want, only, sides[i][1]), GM_POP_MAC);
		gm_pop_mac(mac, (struct gm_bytes){secret, sizeof secret}, (struct gm_bytes){input, n});
		cr_expect_arr_eq(mac, want, GM_POP_MAC, "%s", sides[i][1]);
	}
	json_decref(file);
}

/* ---- credentials */

#define X "ce616f28426ef24edb51dbcef7a23305f886f657959d4df889ddfc0255042159"

static enum gm_err check_cred(const char *cred, const struct gm_group_params *p)
{
	uint8_t key[32];
	cr_assert(gm_crypto_init());
	return ccs_key(hex(cred), p, key);
}

Test(cred, gives_the_key_of_the_vectors_credentials)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	struct gm_group_params p = gm_group_params_default();
	static const char *const who[] = {"A", "B", "GM"};

	cr_assert(gm_crypto_init());
	for (size_t i = 0; i < COUNT(who); i++) {
		const json_t *party = json_object_get(json_object_get(file, "inputs"), who[i]);
		uint8_t cred[128], pub[32], key[32];
		struct gm_out o = writer();
		size_t n = gm_vectors_get(cred, sizeof cred, party, "cred_ccs");
		gm_vectors_get(pub, sizeof pub, party, "pub");
		cr_assert_eq(ccs_key((struct gm_bytes){cred, n}, &p, key), GM_E_OK);
		cr_expect_arr_eq(key, pub, 32);
		ccs_encode(&o, NULL, 6, pub);
		cr_expect(gm_bytes_eq(gm_out_result(&o), (struct gm_bytes){cred, n}));
	}
	json_decref(file);
}

Test(cred, accepts_a_subject_an_alg_and_unknown_claims)
{
	struct gm_group_params p = gm_group_params_default();
	cr_expect_eq(check_cred("a3026161190100f508a101a5010103272006215820" X "190100f5", &p), GM_E_OK);
}

Test(cred, subject_comes_first_when_there_is_one)
{
	uint8_t x[32];
	struct gm_out o = writer();
	gm_hex(x, sizeof x, X);
	ccs_encode(&o, "n1", 6, x);
	expect_written(&o, "a202626e3108a101a301012006215820" X);
}

static const struct refusal bad_creds[] = {
    {"nothing", ""},
    {"an array", "80"},
    {"bytes after it", "a108a101a301012006215820" X "00"},
    {"a tag around it", "d90259a108a101a301012006215820" X},
    {"no cnf", "a1026161"},
    {"cnf twice", "a208a101a301012006215820" X "08a101a301012006215820" X},
    {"cnf of another method", "a108a10341aa"},
    {"COSE_Key as an array", "a108a10180"},
    {"no kty", "a108a101a22006215820" X},
    {"no curve", "a108a101a20101215820" X},
    {"no x", "a108a101a201012006"},
    {"another kty", "a108a101a301022006215820" X},
    {"another curve", "a108a101a301012004215820" X},
    {"alg Ed25519 in a group of EdDSA", "a108a101a4010103322006215820" X},
    {"alg ES256", "a108a101a4010103262006215820" X},
    {"alg as text", "a108a101a401010361612006215820" X},
    {"x twice", "a108a101a401012006215820" X "215820" X},
    {"x of 31 bytes", "a108a101a30101200621581f616f28426ef24edb51dbcef7a23305f886f657959d4df889ddfc0255042159ff"},
    {"x as text", "a108a101a301012006216161"},
    {"a private key", "a108a101a401012006215820" X "235820" X},
    {"y = 1", "a108a101a301012006215820"
              "0100000000000000000000000000000000000000000000000000000000000000"},
    {"y = 1 and a sign", "a108a101a301012006215820"
                         "0100000000000000000000000000000000000000000000000000000000000080"},
    {"y = -1", "a108a101a301012006215820"
               "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"y = 1, not canonical", "a108a101a301012006215820"
                             "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"y = 0, of order 4", "a108a101a301012006215820"
                          "0000000000000000000000000000000000000000000000000000000000000000"},
    {"a point off the curve", "a108a101a301012006215820"
                              "0200000000000000000000000000000000000000000000000000000000000000"},
};

Test(cred, refuses_what_does_not_fit_the_group)
{
	struct gm_group_params p = gm_group_params_default();
	for (size_t i = 0; i < COUNT(bad_creds); i++)
		cr_expect_eq(check_cred(bad_creds[i].hex, &p), GM_E_BAD_CRED, "%s", bad_creds[i].what);
}

#define KCCS_ED25519 "a108a101a301012006215820"
#define FF28 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define ZZ28 "00000000000000000000000000000000000000000000000000000000"

/* A signature by the key comes next, and by most bad keys no signature is good. */
Test(cred, of_which_possession_is_proved_is_refused_before_that_where_it_has_no_montgomery_form)
{
	static const struct {
		const char *what, *hex;
		enum gm_err both, signing, pairing; /* where the group has both modes, or one */
	} keys[] = {
	    {"good", KCCS_ED25519 X, GM_E_OK, GM_E_OK, GM_E_OK},
	    {"y = 1", KCCS_ED25519 "01000000" ZZ28, GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"of order 4, a sign", KCCS_ED25519 "000000" ZZ28 "80", GM_E_OK, GM_E_OK, GM_E_BAD_CRED},
	    {"y = 1, a sign", KCCS_ED25519 "010000" ZZ28 "80", GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"y = p + 1", KCCS_ED25519 "eeffff" FF28 "7f", GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"y = p + 1, a sign", KCCS_ED25519 "eeffff" FF28 "ff", GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"y = -1", KCCS_ED25519 "ecffff" FF28 "7f", GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"y = -1, a sign", KCCS_ED25519 "ecffff" FF28 "ff", GM_E_BAD_CRED, GM_E_OK, GM_E_BAD_CRED},
	    {"of order 4", KCCS_ED25519 "00000000" ZZ28, GM_E_OK, GM_E_OK, GM_E_BAD_CRED},
	    {"off the curve", KCCS_ED25519 "02000000" ZZ28, GM_E_OK, GM_E_OK, GM_E_BAD_CRED},
	    {"31 bytes", "a108a101a30101200621581f616f28426ef24edb51dbcef7a23305f886f657959d4df889ddfc0255042159ff",
	     GM_E_BAD_CRED, GM_E_BAD_CRED, GM_E_BAD_CRED},
	};
	struct gm_group_params both = gm_group_params_default(), signing = both, pairing = both;
	struct gm_cred_pub pub;

	cr_assert(gm_crypto_init());
	signing.pairwise_mode = false;
	pairing.group_mode = false;
	pairing.ecdh_crv = GM_CRV_ED25519;
	for (size_t i = 0; i < COUNT(keys); i++) {
		cr_expect_eq(gm_cred_to_prove(hex(keys[i].hex), &both, -1, &pub), keys[i].both, "%s", keys[i].what);
		cr_expect_eq(gm_cred_to_prove(hex(keys[i].hex), &signing, -1, &pub), keys[i].signing, "%s", keys[i].what);
		cr_expect_eq(gm_cred_to_prove(hex(keys[i].hex), &pairing, -1, &pub), keys[i].pairing, "%s: no signature", keys[i].what);
	}
}

Test(cred, refuses_forms_of_credential_that_it_cannot_read)
{
	struct gm_group_params p = gm_group_params_default();
	p.cred_fmt = GM_CRED_FMT_KCWT;
	cr_expect_eq(check_cred("a108a101a301012006215820" X, &p), GM_E_BAD_CRED);
}

Test(cred, is_an_x25519_key_in_a_pairwise_only_group)
{
	struct gm_group_params p = gm_group_params_default();
	p.group_mode = false;
	cr_expect_eq(check_cred("a108a101a301012004215820" X, &p), GM_E_OK);
	cr_expect_eq(check_cred("a108a101a4010103381a2004215820" X, &p), GM_E_OK);
	cr_expect_eq(check_cred("a108a101a301012006215820" X, &p), GM_E_BAD_CRED);
}

Test(cred, is_not_looked_at_as_a_point_where_pairwise_mode_is_off)
{
	struct gm_group_params p = gm_group_params_default();
	p.pairwise_mode = false;
	cr_expect_eq(check_cred("a108a101a301012006215820"
	                        "0200000000000000000000000000000000000000000000000000000000000000",
	                        &p),
	             GM_E_OK);
}

/* ---- credentials of other kinds */

/* P-256, RFC 9052 appendix C.7.1: the key of "meriadoc" */
#define EC_X "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"
#define EC_Y "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"
#define EC_CCS "a108a101a401022001215820" EC_X "225820" EC_Y

static struct gm_group_params es(int32_t alg, int32_t crv)
{
	struct gm_group_params p = gm_group_params_default();
	p.sign_alg = alg;
	p.sign_kty = p.ecdh_kty = GM_KTY_EC2;
	p.sign_crv = p.ecdh_crv = crv;
	return p;
}

static enum gm_err read_pub(const char *cred, const struct gm_group_params *p, struct gm_cred_pub *pub)
{
	cr_assert(gm_crypto_init());
	return gm_cred_pub(hex(cred), p, pub);
}

Test(cred, has_both_coordinates_of_an_elliptic_curve_key)
{
	struct gm_group_params p = es(-7, GM_CRV_P256);
	struct gm_cred_pub pub;
	struct gm_out o = writer();

	cr_assert_eq(read_pub(EC_CCS, &p, &pub), GM_E_OK);
	cr_expect(pub.kty == GM_KTY_EC2 && pub.crv == GM_CRV_P256 && pub.n == 32);
	cr_expect(is_hex((struct gm_bytes){pub.x, 32}, EC_X) && is_hex((struct gm_bytes){pub.y, 32}, EC_Y));
	gm_ccs_encode_pub(&o, NULL, &pub);
	expect_written(&o, EC_CCS);
}

Test(cred, has_coordinates_as_long_as_the_curve)
{
	static const struct {
		int32_t alg, crv;
		uint8_t n;
	} curves[] = {{-7, GM_CRV_P256, 32}, {-35, GM_CRV_P384, 48}, {-36, GM_CRV_P521, 66}};
	struct gm_cred_pub pub, again;

	for (size_t i = 0; i < COUNT(curves); i++) {
		struct gm_group_params p = es(curves[i].alg, curves[i].crv);
		uint8_t point[GM_EC_PUB_MAX], priv[GM_EC_SIDE_MAX];
		cr_assert(gm_crypto_init() && gm_ec_keygen(curves[i].crv, point, priv));
		for (uint8_t n = curves[i].n; n >= 31; n = (uint8_t)(n - 1)) {
			struct gm_out o = writer();
			pub = (struct gm_cred_pub){.kty = GM_KTY_EC2, .crv = curves[i].crv, .n = n};
			memcpy(pub.x, point, n);
			memcpy(pub.y, point + curves[i].n, n);
			gm_ccs_encode_pub(&o, "s", &pub);
			enum gm_err want = n == curves[i].n ? GM_E_OK : GM_E_BAD_CRED;
			cr_expect_eq(gm_cred_pub(gm_out_result(&o), &p, &again), want, "%d bytes", n);
			cr_expect(want != GM_E_OK || memcmp(&pub, &again, sizeof pub) == 0);
		}
	}
}

static const struct refusal bad_ec_creds[] = {
    {"no y", "a108a101a301022001215820" EC_X},
    {"a compressed point", "a108a101a401022001215820" EC_X "22f5"},
    {"y of 31 bytes",
     "a108a101a401022001215820" EC_X "22581f00000000000000000000000000000000000000000000000000000000000000"},
    {"another curve", "a108a101a401022002215820" EC_X "225820" EC_Y},
    {"kty OKP", "a108a101a401012001215820" EC_X "225820" EC_Y},
    {"alg EdDSA", "a108a101a5010203272001215820" EC_X "225820" EC_Y},
    {"a private key", "a108a101a501022001215820" EC_X "225820" EC_Y "234100"},
    {"a point off the curve", "a108a101a401022001215820" EC_X "225820" EC_X},
};

Test(cred, refuses_elliptic_curve_keys_that_do_not_fit)
{
	struct gm_group_params p = es(-7, GM_CRV_P256);
	struct gm_cred_pub pub;
	uint8_t key[32];

	for (size_t i = 0; i < COUNT(bad_ec_creds); i++)
		cr_expect_eq(read_pub(bad_ec_creds[i].hex, &p, &pub), GM_E_BAD_CRED, "%s", bad_ec_creds[i].what);
	cr_expect_eq(ccs_key(hex(EC_CCS), &p, key), GM_E_BAD_CRED, "a key of one coordinate was asked for");
}

/* claims {1: "a", 8: {1: COSE_Key}} */
#define CLAIMS "a201616108a101a301012006215820" X
#define CWT_SIGNED "8443a10127a0582f" CLAIMS "4101"

static const struct refusal good_cwts[] = {
    {"no tag", CWT_SIGNED},
    {"the tag of COSE_Sign1", "d2" CWT_SIGNED},
    {"the tags of a CWT", "d83dd2" CWT_SIGNED},
    {"an algorithm we cannot verify", "8444a1013822a0582f" CLAIMS "4101"},
};

Test(cred, of_a_cwt_is_the_key_in_its_claims)
{
	struct gm_group_params p = gm_group_params_default();
	p.cred_fmt = GM_CRED_FMT_KCWT;
	for (size_t i = 0; i < COUNT(good_cwts); i++) {
		struct gm_cred_pub pub;
		cr_expect_eq(read_pub(good_cwts[i].hex, &p, &pub), GM_E_OK, "%s", good_cwts[i].what);
		cr_expect(is_hex((struct gm_bytes){pub.x, pub.n}, X), "%s", good_cwts[i].what);
	}
}

static const struct refusal bad_cwts[] = {
    {"nothing", ""},
    {"a CCS", CLAIMS},
    {"a tag of something else", "d1" CWT_SIGNED},
    {"the tag of a CWT alone", "d83d" CWT_SIGNED},
    {"three elements", "8343a10127a0582f" CLAIMS},
    {"no signature", "8443a10127a0582f" CLAIMS "40"},
    {"unprotected header as array", "8443a1012780582f" CLAIMS "4101"},
    {"protected header as map", "84a10127a0582f" CLAIMS "4101"},
    {"claims as text", "8443a10127a061614101"},
    {"no cnf", "8443a10127a044a10161614101"},
    {"bytes after it", CWT_SIGNED "00"},
};

Test(cred, refuses_what_is_no_cwt)
{
	struct gm_group_params p = gm_group_params_default();
	p.cred_fmt = GM_CRED_FMT_KCWT;
	for (size_t i = 0; i < COUNT(bad_cwts); i++) {
		struct gm_cred_pub pub;
		cr_expect_eq(read_pub(bad_cwts[i].hex, &p, &pub), GM_E_BAD_CRED, "%s", bad_cwts[i].what);
	}
}

Test(cred, goes_untagged_into_cryptography)
{
	cr_expect(is_hex(gm_cred_untagged(hex("d83dd2" CWT_SIGNED), GM_CRED_FMT_KCWT), CWT_SIGNED));
	cr_expect(is_hex(gm_cred_untagged(hex(CWT_SIGNED), GM_CRED_FMT_KCWT), CWT_SIGNED));
	cr_expect(is_hex(gm_cred_untagged(hex("d2a0"), GM_CRED_FMT_KCCS), "d2a0"));
	cr_expect(is_hex(gm_cred_untagged(hex("d8"), GM_CRED_FMT_KCWT), "d8"));
}

Test(cred, of_certificates_is_refused_until_they_can_be_read)
{
	struct gm_group_params p = gm_group_params_default();
	struct gm_cred_pub pub;
	p.cred_fmt = GM_CRED_FMT_X5CHAIN;
	cr_expect_eq(read_pub("3003020101", &p, &pub), GM_E_BAD_CRED);
	p.cred_fmt = GM_CRED_FMT_X5BAG;
	cr_expect_eq(read_pub("3003020101", &p, &pub), GM_E_BAD_CRED);
}

/* ---- control URI */

static const struct {
	const char *uri, *ip, *path;
	uint16_t port;
} good_uris[] = {
    {"coap://[2001:db8::1]:61616/ace-group/g1/node", "2001:db8::1", "/ace-group/g1/node", 61616},
    {"coap://[::1]", "::1", "/", 0},
    {"coap://[::1]/", "::1", "/", 0},
    {"coap://[::1]:5683", "::1", "/", 5683},
    {"coap://192.0.2.7/r", "::ffff:192.0.2.7", "/r", 0},
    {"coap://192.0.2.7:1/a/b-._~!$&'()*+,;=:@", "::ffff:192.0.2.7", "/a/b-._~!$&'()*+,;=:@", 1},
    {"coap://[::ffff:192.0.2.7]:65535/", "::ffff:192.0.2.7", "/", 65535},
    {"coap://[::1]//a/", "::1", "//a/", 0},
    {"coap://[::1]/...", "::1", "/...", 0},
};

Test(uri, reads_ip_literals_port_and_path)
{
	for (size_t i = 0; i < COUNT(good_uris); i++) {
		struct gm_uri u;
		uint8_t ip[16];
		inet_pton(AF_INET6, good_uris[i].ip, ip);
		cr_assert_eq(gm_uri_decode(text(good_uris[i].uri), &u), GM_E_OK, "%s", good_uris[i].uri);
		cr_expect_arr_eq(u.ip, ip, 16, "%s", good_uris[i].uri);
		cr_expect(gm_bytes_is(u.path, good_uris[i].path), "%s", good_uris[i].uri);
		cr_expect_eq(u.port, good_uris[i].port, "%s", good_uris[i].uri);
	}
}

static const char *const bad_uris[] = {
    "",
    "coap:",
    "coap://",
    "coap:///a",
    "coaps://[::1]/",
    "http://[::1]/",
    "COAP://[::1]/",
    "coap:/[::1]/",
    "coap://host/",
    "coap://example.org:5683/a",
    "coap://1.2.3/",
    "coap://1.2.3.4.5/",
    "coap://1.2.3.256/",
    "coap://[1.2.3.4]/",
    "coap://::1/",
    "coap://[::1",
    "coap://[::1/a]",
    "coap://[]/",
    "coap://[::g]/",
    "coap://[fe80::1%25eth0]/",
    "coap://user@[::1]/",
    "coap://user@1.2.3.4/",
    "coap://[::1]x/",
    "coap://[::1]a",
    "coap://[::1]:/",
    "coap://[::1]:0/",
    "coap://[::1]:65536/",
    "coap://[::1]:123456/",
    "coap://[::1]:4294967301/",
    "coap://[::1]:+1/",
    "coap://[::1]: 1/",
    "coap://[::1]:1x/",
    "coap://[::1]/a?q",
    "coap://[::1]?q",
    "coap://[::1]/a#f",
    "coap://[::1]/%41",
    "coap://[::1]/a b",
    "coap://[::1]/\x80",
    "coap://[::1]/a\"",
    "coap://[::1]/.",
    "coap://[::1]/..",
    "coap://[::1]/a/../b",
    "coap://[::1]/a\n",
    "coap://[ff02::1]/",
    "coap://[::]/",
    "coap://0.0.0.0/",
    "coap://224.0.1.187/",
    "coap://255.255.255.255/",
    "coap://[::ffff:224.0.1.187]/",
    "coap://[::1]/\\",
    "coap://[::1]/[",
};

Test(uri, refuses_everything_else)
{
	for (size_t i = 0; i < COUNT(bad_uris); i++) {
		struct gm_uri u;
		cr_expect_eq(gm_uri_decode(text(bad_uris[i]), &u), GM_E_RANGE, "%s", bad_uris[i]);
	}
}

Test(uri, refuses_a_zero_byte_anywhere)
{
	static const char s[] = "coap://1.2.3.4:5683/a/b";
	for (size_t i = 0; i < sizeof s - 1; i++) {
		char copy[sizeof s];
		struct gm_uri u;
		memcpy(copy, s, sizeof s);
		copy[i] = 0;
		cr_expect_eq(gm_uri_decode((struct gm_bytes){(uint8_t *)copy, sizeof s - 1}, &u), GM_E_RANGE, "at %zu",
		             i);
	}
}

Test(uri, refuses_a_segment_longer_than_255_bytes)
{
	char s[600] = "coap://[::1]/a/";
	struct gm_uri u;
	size_t n = strlen(s);
	memset(s + n, 'x', 256);
	cr_expect_eq(gm_uri_decode((struct gm_bytes){(uint8_t *)s, n + 255}, &u), GM_E_OK);
	cr_expect_eq(gm_uri_decode((struct gm_bytes){(uint8_t *)s, n + 256}, &u), GM_E_RANGE);
}

/* ---- keying material */

#define MS "50112233445566778899aabbccddeeff00"

static struct gm_group_params params;
static uint8_t secret[16], salt[8], gid[6];

static struct gm_keying keying(void)
{
	params = gm_group_params_default();
	gm_hex(secret, sizeof secret, "112233445566778899aabbccddeeff00");
	gm_hex(salt, sizeof salt, "a1a2a3a4a5a6a7a8");
	gm_hex(gid, sizeof gid, "b1b2b3b4b5b6");
	return (struct gm_keying){&params, {secret, 16}, {salt, 8}, {gid, 6}, {0}, 7, 1000, 60};
}

#define KEY_COMMON "02" MS "0305"
#define SALT_GID                                                                                                       \
	"0548a1a2a3a4a5a6a7a8"                                                                                         \
	"0646b1b2b3b4b5b6"
#define SIGN_PART                                                                                                      \
	"090a"                                                                                                         \
	"0a27"                                                                                                         \
	"0b828101820106"
#define ECDH_PART                                                                                                      \
	"0c381a"                                                                                                       \
	"0d828101820104"
#define TAIL                                                                                                           \
	"0907"                                                                                                         \
	"0a01"                                                                                                         \
	"0b1903e8"                                                                                                     \
	"0c183c"

Test(keying, has_all_parameters_where_both_modes_are_on)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	gm_keying_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	expect_written(&o, "a6070108ab" KEY_COMMON "040a" SALT_GID "080e" SIGN_PART ECDH_PART TAIL);
}

Test(keying, leaves_out_key_agreement_in_a_signature_only_group)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	params.pairwise_mode = false;
	gm_keying_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	expect_written(&o, "a6070108a8" KEY_COMMON SALT_GID "080e" SIGN_PART TAIL);
}

Test(keying, leaves_out_signatures_in_a_pairwise_only_group)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	params.group_mode = false;
	gm_keying_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	expect_written(&o, "a6070108a8" KEY_COMMON "040a" SALT_GID "080e" ECDH_PART TAIL);
}

Test(keying, names_the_sender_id_where_there_is_one)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	k.sid = text("s");
	gm_keying_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	expect_written(&o, "a6070108ac" KEY_COMMON "040a" SALT_GID "074173"
	                   "080e" SIGN_PART ECDH_PART TAIL);
}

Test(keying, notification_adds_stale_ids_and_joiners)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	struct gm_keying_map m;
	gm_keying_encode(&o, &k, text("\x81\x41s"), text("\x0d\x80\x0e\x80\x0f\x80"));
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(is_hex(m.stale, "814173"));
	cr_expect(is_hex(m.creds, "80") && is_hex(m.peer_roles, "80") && is_hex(m.peer_ids, "80"));
	cr_expect(m.has_params);
}

Test(rekey, message_has_ms_salt_and_gid_only)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	gm_rekey_encode(&o, &k, text("\x81\x41s"), (struct gm_bytes){0});
	expect_written(&o, "a7070108a302" MS SALT_GID TAIL "1822814173");
	struct gm_keying_map m;
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect_not(m.has_params);
	cr_expect(m.num == 7 && m.exp == 1000 && m.exi == 60 && m.gkty == 1 && m.profile == 1);
	cr_expect(gm_bytes_eq(m.ms, k.ms) && gm_bytes_eq(m.salt, k.salt) && gm_bytes_eq(m.gid, k.gid));
}

Test(rekey, message_always_has_stale_ids_even_none)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	gm_rekey_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	expect_written(&o, "a7070108a302" MS SALT_GID TAIL "182280");
}

Test(rekey, message_has_the_size_that_was_reckoned)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	k.exp = 1800000000;
	k.exi = 3600;
	gm_rekey_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	cr_expect_leq(gm_out_len(&o), 67);
}

Test(configuration, has_algorithms_and_formats_of_the_modes_and_no_key)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	struct gm_keying_map m;

	gm_configuration_encode(&o, &k);
	expect_written(&o, "a5070108a8" "0305040a080e" SIGN_PART ECDH_PART "09070a010b1903e8");
	cr_expect_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_MISSING, "it is no keying material");
	cr_assert_eq(gm_configuration_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(m.num == 7 && m.exp == 1000 && m.exi == -1 && m.gkty == 1 && m.profile == 1);
	cr_expect(m.params.group_mode && m.params.pairwise_mode && m.params.sign_alg == -8 && m.params.alg == 10);
	o = writer();
	gm_rekey_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	cr_expect_neq(gm_configuration_decode(gm_out_result(&o), &m), GM_E_OK);
	o = writer();
	gm_keying_encode(&o, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	cr_expect_eq(gm_configuration_decode(gm_out_result(&o), &m), GM_E_MALFORMED);
}

Test(configuration, of_one_mode_has_nothing_of_the_other)
{
	struct gm_keying k = keying();
	struct gm_group_params p = *k.params;
	struct gm_out o = writer();

	k.params = &p;
	p.pairwise_mode = false;
	gm_configuration_encode(&o, &k);
	expect_written(&o, "a5070108a5" "0305080e" SIGN_PART "09070a010b1903e8");
	o = writer();
	p.pairwise_mode = true;
	p.group_mode = false;
	gm_configuration_encode(&o, &k);
	expect_written(&o, "a5070108a5" "0305040a080e" ECDH_PART "09070a010b1903e8");
}

Test(verif_data, has_no_secret_but_the_signature_encryption_key)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	struct gm_keying_map m;

	k.sid = text("s");
	gm_verif_data_encode(&o, &k, text("K"));
	expect_written(&o, "a7070108a8"
	                   "0305040a0646b1b2b3b4b5b6080e" SIGN_PART "0c381a" TAIL "1821414b");
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(gm_bytes_is(m.sign_enc_key, "K") && !m.ms.p && !m.salt.p && !m.sid.p);
	cr_expect(m.has_params && m.params.sign_alg == -8 && m.params.ecdh_alg == -27 && m.params.alg == 10);
	cr_expect(gm_bytes_eq(m.gid, k.gid) && m.num == 7);
}

Test(verif_data, of_a_signature_only_group_names_no_key_agreement)
{
	struct gm_keying k = keying();
	struct gm_out o = writer();
	params.pairwise_mode = false;
	gm_verif_data_encode(&o, &k, text("K"));
	expect_written(&o, "a7070108a6"
	                   "03050646b1b2b3b4b5b6080e" SIGN_PART TAIL "1821414b");
}

Test(sekey, is_that_of_the_vectors)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	const json_t *in = json_object_get(file, "inputs");
	uint8_t ms[16], s[8], g[8], want[16], sekey[GM_SEKEY_MAX];
	size_t n;
	struct gm_keying k = keying();

	cr_assert(gm_crypto_init());
	k.ms = (struct gm_bytes){ms, gm_vectors_get(ms, sizeof ms, in, "master_secret")};
	k.salt = (struct gm_bytes){s, gm_vectors_get(s, sizeof s, in, "master_salt")};
	k.gid = (struct gm_bytes){g, gm_vectors_get(g, sizeof g, in, "gid")};
	gm_vectors_get(want, sizeof want, json_object_get(file, "derived"), "signature_encryption_key");
	cr_assert_eq(gm_group_sekey(&k, sekey, &n), GM_E_OK);
	cr_assert_eq(n, sizeof want);
	cr_expect_arr_eq(sekey, want, sizeof want);
	json_decref(file);
}

Test(sekey, is_as_long_as_the_group_encryption_asks_for)
{
	static const struct {
		int32_t alg;
		size_t n;
	} algs[] = {{10, 16}, {11, 32}, {1, 16},      {2, 24},      {3, 32},
	            {24, 32}, {33, 32}, {-65534, 16}, {-65533, 24}, {-65532, 32}};
	uint8_t sekey[GM_SEKEY_MAX];
	struct gm_keying k = keying();
	size_t n;

	cr_assert(gm_crypto_init());
	for (size_t i = 0; i < COUNT(algs); i++) {
		params.gp_enc_alg = algs[i].alg;
		cr_assert_eq(gm_group_sekey(&k, sekey, &n), GM_E_OK, "%d", algs[i].alg);
		cr_expect_eq(n, algs[i].n, "%d", algs[i].alg);
	}
}

/* made by tests/python/oscore.py */
Test(sekey, is_derived_with_sha_512_where_the_group_hashes_with_it)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	const json_t *in = json_object_get(file, "inputs");
	uint8_t ms[16], s[8], g[8], sekey[GM_SEKEY_MAX];
	size_t n;
	struct gm_keying k = keying();

	cr_assert(gm_crypto_init());
	k.ms = (struct gm_bytes){ms, gm_vectors_get(ms, sizeof ms, in, "master_secret")};
	k.salt = (struct gm_bytes){s, gm_vectors_get(s, sizeof s, in, "master_salt")};
	k.gid = (struct gm_bytes){g, gm_vectors_get(g, sizeof g, in, "gid")};
	params.hkdf = GM_HKDF_SHA_512;
	params.gp_enc_alg = GM_ALG_A256CTR;
	cr_assert_eq(gm_group_sekey(&k, sekey, &n), GM_E_OK);
	cr_expect(is_hex((struct gm_bytes){sekey, n}, "e5d21dc1cbeb81235cdc74176683abfeab4e4831b830ccc9ff95d4d461346782"));
	json_decref(file);
}

Test(sekey, does_not_exist_where_it_cannot_be_derived)
{
	uint8_t sekey[GM_SEKEY_MAX];
	struct gm_keying k = keying();
	size_t n;

	params.gp_enc_alg = 99;
	cr_expect_eq(gm_group_sekey(&k, sekey, &n), GM_E_RANGE);
	params = gm_group_params_default();
	params.hkdf = 6;
	cr_expect_eq(gm_group_sekey(&k, sekey, &n), GM_E_RANGE);
	params = gm_group_params_default();
	params.group_mode = false;
	cr_expect_eq(gm_group_sekey(&k, sekey, &n), GM_E_RANGE);
	cr_expect_eq(n, 0);
}

Test(join_response, decodes_what_it_encodes)
{
	struct gm_out o = writer();
	struct gm_join_response r = {.keying = keying(),
	                             .kdc_cred = text("cred"),
	                             .kdc_nonce = text("n"),
	                             .kdc_verify = text("pop"),
	                             .has_creds = true,
	                             .creds = text("\x0d\x81\x41"
	                                           "c\x0e\x81\x02\x0f\x81\x41s"),
	                             .check_interval = 3600};
	struct gm_keying_map m;

	r.keying.sid = text("me");
	gm_join_response_encode(&o, &r);
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(gm_bytes_is(m.sid, "me") && gm_bytes_is(m.kdc_cred, "cred"));
	cr_expect(gm_bytes_is(m.kdc_nonce, "n") && gm_bytes_is(m.kdc_verify, "pop"));
	cr_expect(is_hex(m.creds, "814163") && is_hex(m.peer_roles, "8102") && is_hex(m.peer_ids, "814173"));
	cr_expect(is_hex(m.policies, "a201190e100200"));
	cr_expect(m.params.sign_crv == 6 && m.params.ecdh_crv == 4 && m.params.hkdf == 5);
	cr_expect_null(m.stale.p);
}

Test(join_response, has_no_credentials_where_none_were_asked)
{
	struct gm_out o = writer();
	struct gm_join_response r = {
	    .keying = keying(), .kdc_cred = text("c"), .kdc_nonce = text("n"), .kdc_verify = text("p")};
	struct gm_keying_map m;
	gm_join_response_encode(&o, &r);
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(!m.creds.p && !m.peer_roles.p && !m.peer_ids.p && !m.sid.p);
}

Test(keying, takes_sha_256_for_an_hkdf_that_is_left_out)
{
	struct gm_keying_map m;
	cr_assert_eq(gm_keying_decode(hex("a108a3024101064102080e"), &m), GM_E_OK);
	cr_expect_eq(m.params.hkdf, 5);
	cr_expect_null(m.salt.p);
}

#define SMALL_KEY                                                                                                      \
	"08a202410106"                                                                                                 \
	"4101"

static const struct {
	const char *what, *hex;
	enum gm_err err;
} bad_maps[] = {
    {"nothing", "", GM_E_SHORT},
    {"an empty byte string", "40", GM_E_TYPE},
    {"no key", "a0", GM_E_MISSING},
    {"no ms", "a108a1064101", GM_E_MISSING},
    {"no contextId", "a108a1024101", GM_E_MISSING},
    {"a verifier's data without contextId", "a208a018214101", GM_E_MISSING},
    {"key as bytes", "a10840", GM_E_TYPE},
    {"ms twice", "a108a3024101024101064101", GM_E_DUPLICATE},
    {"a label twice", "a3" SMALL_KEY "09000900", GM_E_DUPLICATE},
    {"bytes after it", "a1" SMALL_KEY "00", GM_E_TRAILING},
    {"negative num", "a2" SMALL_KEY "0920", GM_E_RANGE},
    {"num beyond 63 bits", "a2" SMALL_KEY "091b8000000000000000", GM_E_RANGE},
    {"creds as bytes", "a2" SMALL_KEY "0d40", GM_E_TYPE},
    {"sign_params of one element",
     "a108a3024101064101"
     "0b818101",
     GM_E_TYPE},
    {"sign_params with two key types",
     "a108a3024101064101"
     "0b828101820206",
     GM_E_MALFORMED},
    {"sign_params with more",
     "a108a3024101064101"
     "0b828101830106"
     "00",
     GM_E_TRAILING},
};

Test(keying, refuses_what_is_malformed)
{
	for (size_t i = 0; i < COUNT(bad_maps); i++) {
		struct gm_keying_map m;
		enum gm_err err = gm_keying_decode(hex(bad_maps[i].hex), &m);
		cr_expect_eq(err, bad_maps[i].err, "%s: %s", bad_maps[i].what, gm_err_info(err)->name);
	}
}

Test(problem, is_the_smallest_form_without_text)
{
	struct gm_out o = writer();
	gm_problem_encode(&o, 4, NULL);
	expect_written(&o, "a100a10004");
	o = writer();
	gm_problem_encode(&o, 4, "no");
	expect_written(&o, "a200a1000421626e6f");
}

Test(every_encoder, says_room_when_the_output_is_too_small)
{
	struct gm_join_response r = {
	    .keying = keying(), .kdc_cred = text("c"), .kdc_nonce = text("n"), .kdc_verify = text("p")};
	struct gm_out whole = writer();
	gm_join_response_encode(&whole, &r);
	for (size_t cap = 0; cap < gm_out_len(&whole); cap++) {
		struct gm_out o = gm_out(bytes, cap);
		gm_join_response_encode(&o, &r);
		cr_expect_eq(o.err, GM_E_ROOM);
	}
}
