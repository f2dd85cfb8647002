/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/cwt.h"

static uint8_t bytes[1024];

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
	uint8_t buf[1024];
	return gm_bytes_eq(b, (struct gm_bytes){buf, gm_hex(buf, sizeof buf, want)});
}

/* ---- claims: exp, cnf and scope are what a group token has to have */

#define EXP "041a70000000"
#define OSC "08a104a2004101024102"
#define SCOPE "0946818262673106"

Test(cwt, reads_the_claims_of_a_token_for_a_new_association)
{
	struct gm_cwt c;
	/* cnf: {4: {0: h'01', 2: ms, 5: salt}}                                           RFC 9203 §3.2 */
	cr_assert_eq(
	    gm_cwt_decode(hex("a6016261730362"
	                      "676d" EXP "08a104a30041010250f9af838368e353e78888e1426bd94e6f05417f" SCOPE "182602"),
	                  &c),
	    GM_E_OK);
	cr_expect(gm_bytes_is(c.iss, "as"));
	cr_expect(gm_bytes_is(c.aud, "gm"));
	cr_expect_eq(c.exp, 0x70000000);
	cr_expect_eq(c.nbf, -1);
	cr_expect_eq(c.exi, -1);
	cr_expect_eq(c.ace_profile, 2);
	cr_expect(c.has_osc);
	cr_expect(is_hex(c.osc.id, "01"));
	cr_expect(is_hex(c.osc.ms, "f9af838368e353e78888e1426bd94e6f"));
	cr_expect(is_hex(c.osc.salt, "7f"));
	cr_expect_null(c.osc.context_id.p);
	cr_expect(is_hex(c.scope, "818262673106"));
}

Test(cwt, fills_in_the_defaults_of_osc)
{
	struct gm_cwt c;
	cr_assert_eq(gm_cwt_decode(hex("a3" EXP OSC SCOPE), &c), GM_E_OK);
	cr_expect_eq(c.osc.version, 1);
	cr_expect_eq(c.osc.hkdf, 5);
	cr_expect_eq(c.osc.alg, 10);
	cr_expect_null(c.osc.salt.p);
}

Test(cwt, ignores_claims_it_does_not_know)
{
	struct gm_cwt c;
	cr_expect_eq(gm_cwt_decode(hex("a5" EXP OSC SCOPE "1903e8f5616180"), &c), GM_E_OK);
}

Test(cwt, reads_a_kid_for_an_update_of_rights)
{
	struct gm_cwt c;
	cr_assert_eq(gm_cwt_decode(hex("a3" EXP "08a10341aa" SCOPE), &c), GM_E_OK);
	cr_expect_not(c.has_osc);
	cr_expect(is_hex(c.cnf_kid, "aa"));
}

Test(cwt, leaves_other_confirmation_methods_to_the_profile)
{
	struct gm_cwt c;
	cr_assert_eq(gm_cwt_decode(hex("a3" EXP "08a101a10101" SCOPE), &c), GM_E_OK);
	cr_expect_not(c.has_osc);
	cr_expect_null(c.cnf_kid.p);
}

Test(cwt, takes_the_tag_off_an_extended_scope)
{
	struct gm_cwt c;
	cr_assert_eq(gm_cwt_decode(hex("a3" EXP OSC "09da6374022b46818262673106"), &c), GM_E_OK);
	cr_expect(is_hex(c.scope, "818262673106"));
}

Test(cwt, is_content_with_exi_instead_of_exp)
{
	struct gm_cwt c;
	cr_assert_eq(gm_cwt_decode(hex("a3" OSC SCOPE "182819012c"), &c), GM_E_OK);
	cr_expect_eq(c.exp, -1);
	cr_expect_eq(c.exi, 300);
}

static const struct {
	const char *hex;
	int64_t seconds;
} dates[] = {
    {"00", 0},
    {"1a70000000", 0x70000000},
    {"1b0020000000000000", INT64_C(1) << 53},
    {"fb41d40d2c43e00000", 1345630479}, /* ...479.5 */
    {"fa4ea06966", 1345630976},
    {"f97bff", 65504},
    {"f93e00", 1}, /* 1.5 */
    {"f90001", 0}, /* the smallest half */
    {"f98000", 0}, /* -0.0 */
};

Test(cwt, accepts_whole_and_fractional_dates_and_truncates)
{
	for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
		char claims[128];
		struct gm_cwt c;
		snprintf(claims, sizeof claims, "a304%s" OSC SCOPE, dates[i].hex);
		cr_expect_eq(gm_cwt_decode(hex(claims), &c), GM_E_OK, "%s", dates[i].hex);
		cr_expect_eq(c.exp, dates[i].seconds, "%s: %lld", dates[i].hex, (long long)c.exp);
	}
}

struct refusal {
	const char *what, *hex;
};

/* Claims that cannot be had                                                              RFC 9200 §5.10.1.1 */
static const struct refusal no_claims[] = {
    {"nothing", ""},
    {"an array", "80"},
    {"a byte string", "4100"},
    {"trailing bytes", "a3" EXP OSC SCOPE "00"},
    {"a claim twice", "a4" EXP EXP OSC SCOPE},
    {"two claims short", "a5" EXP OSC SCOPE},
    {"no exp and no exi", "a2" OSC SCOPE},
    {"no cnf", "a2" EXP SCOPE},
    {"no scope", "a2" EXP OSC},
    {"cnf that is no map", "a3" EXP "0841aa" SCOPE},
    {"cnf with two keys", "a3" EXP "08a203410104a2004101024102" SCOPE},
    {"kid that is no byte string", "a3" EXP "08a1036161" SCOPE},
    {"scope as text", "a3" EXP OSC "096161"},
    {"scope below another tag", "a3" EXP OSC "09c146818262673106"},
    {"scope below two tags", "a3" EXP OSC "09da6374022bda6374022b46818262673106"},
    {"iss that is no text", "a4014161" EXP OSC SCOPE},
    {"aud that is no text", "a4034161" EXP OSC SCOPE},
    {"aud with a number among its texts", "a40382616101" EXP OSC SCOPE},
    {"negative exp", "a30420" OSC SCOPE},
    {"exp beyond 2^53", "a3041b0020000000000001" OSC SCOPE},
    {"exp as text", "a3046130" OSC SCOPE},
    {"exp of infinity", "a304f97c00" OSC SCOPE},
    {"exp that is not a number", "a304f97e00" OSC SCOPE},
    {"exp of minus one and a half", "a304f9be00" OSC SCOPE},
    {"exp of 10^300", "a304fb7e37e43c8800759c" OSC SCOPE},
    {"nbf beyond 2^53", "a4051b0020000000000001" EXP OSC SCOPE},
    {"nbf of minus one", "a40520" EXP OSC SCOPE},
    {"nbf of minus one and a half", "a405f9be00" EXP OSC SCOPE},
    {"iat of 10^300", "a406fb7e37e43c8800759c" EXP OSC SCOPE},
    {"exp of true", "a304f5" OSC SCOPE},
    {"negative exi", "a3" OSC SCOPE "182820"},
    {"exi beyond 2^53", "a3" OSC SCOPE "18281b0020000000000001"},
    {"ace_profile as text", "a4" EXP OSC SCOPE "18266161"},
};

Test(cwt, refuses_claims_that_say_too_little_or_the_wrong_thing)
{
	for (size_t i = 0; i < sizeof no_claims / sizeof no_claims[0]; i++) {
		struct gm_cwt c;
		cr_expect_eq(gm_cwt_decode(hex(no_claims[i].hex), &c), GM_E_TOKEN_CLAIMS, "%s", no_claims[i].what);
	}
}

/* Profile parameters                                                                     RFC 9203 §3.2, §4.1 */
static const struct refusal no_profile[] = {
    {"no id", "a3" EXP "08a104a1024102" SCOPE},
    {"no ms", "a3" EXP "08a104a1004101" SCOPE},
    {"an unknown parameter", "a3" EXP "08a104a300410102410208f5" SCOPE},
    {"a parameter named by text", "a3" EXP "08a104a30041010241026161f5" SCOPE},
    {"a parameter twice", "a3" EXP "08a104a3004101004101024102" SCOPE},
    {"alg as text", "a3" EXP "08a104a3004101024102046161" SCOPE},
    {"version as text", "a3" EXP "08a104a3004101016161024102" SCOPE},
    {"hkdf beyond 32 bits", "a3" EXP "08a104a3004101024102031a80000000" SCOPE},
    {"salt as text", "a3" EXP "08a104a3004101024102056161" SCOPE},
    {"ms as text", "a3" EXP "08a104a2004101026161" SCOPE},
};

Test(cwt, refuses_osc_without_id_or_ms_or_with_unknown_parameters)
{
	for (size_t i = 0; i < sizeof no_profile / sizeof no_profile[0]; i++) {
		struct gm_cwt c;
		cr_expect_eq(gm_cwt_decode(hex(no_profile[i].hex), &c), GM_E_TOKEN_PROFILE, "%s", no_profile[i].what);
	}
}

Test(cwt, decodes_what_it_encodes)
{
	uint8_t buf[512];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct gm_cwt back, c = {
	                        .iss = text("as"),
	                        .sub = text("n1"),
	                        .aud = text("gm"),
	                        .cti = text("c"),
	                        .cnonce = text("n"),
	                        .exp = 1,
	                        .nbf = 0,
	                        .iat = 2,
	                        .exi = 3,
	                        .scope = text("scope"),
	                        .has_osc = true,
	                        .osc = {text("i"), text("m"), text("s"), text("x"), 2, 7, 24},
	                        .ace_profile = 2,
	                    };

	gm_cwt_encode(&o, &c);
	cr_assert_eq(o.err, GM_E_OK);
	cr_assert_eq(gm_cwt_decode(gm_out_result(&o), &back), GM_E_OK);
	cr_expect(gm_bytes_eq(back.iss, c.iss) && gm_bytes_eq(back.sub, c.sub) && gm_bytes_eq(back.aud, c.aud));
	cr_expect(gm_bytes_eq(back.cti, c.cti) && gm_bytes_eq(back.cnonce, c.cnonce) &&
	          gm_bytes_eq(back.scope, c.scope));
	cr_expect(back.exp == 1 && back.nbf == 0 && back.iat == 2 && back.exi == 3 && back.ace_profile == 2);
	cr_expect(gm_bytes_eq(back.osc.id, c.osc.id) && gm_bytes_eq(back.osc.ms, c.osc.ms));
	cr_expect(gm_bytes_eq(back.osc.salt, c.osc.salt) && gm_bytes_eq(back.osc.context_id, c.osc.context_id));
	cr_expect(back.osc.version == 2 && back.osc.hkdf == 7 && back.osc.alg == 24);
}

Test(cwt, of_an_osc_without_key_is_still_one_map)
{
	uint8_t buf[512];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct gm_cwt back;

	gm_cwt_encode(&o, &(struct gm_cwt){.exp = 1, .nbf = -1, .iat = -1, .exi = -1, .scope = text("s"), .ace_profile = -1,
	                                   .has_osc = true, .osc = {.id = text("i"), .version = 1, .hkdf = 5, .alg = 10}});
	cr_expect(is_hex(gm_out_result(&o), "a3040108a104a1004169094173"));
	cr_expect_eq(gm_cwt_decode(gm_out_result(&o), &back), GM_E_TOKEN_PROFILE);
}

Test(cwt, leaves_out_what_is_absent_or_default)
{
	uint8_t buf[512];
	struct gm_out o = gm_out(buf, sizeof buf);
	gm_cwt_encode(&o,
	              &(struct gm_cwt){.exp = 1,
	                               .nbf = -1,
	                               .iat = -1,
	                               .exi = -1,
	                               .scope = text("s"),
	                               .ace_profile = -1,
	                               .has_osc = true,
	                               .osc = {.id = text("i"), .ms = text("m"), .version = 1, .hkdf = 5, .alg = 10}});
	cr_expect(is_hex(gm_out_result(&o), "a3040108a104a200416902416d094173"));
}

/* ---- scope */

Test(scope, accepts_the_examples_of_the_draft)
{
	cr_expect_eq(gm_scope_check(hex("818262673106")), GM_E_OK);
	cr_expect_eq(gm_scope_check(hex("8182f505")), GM_E_OK);
	cr_expect_eq(gm_scope_check(hex("80")), GM_E_OK);
}

Test(scope, lists_user_and_admin_entries)
{
	struct gm_scope_iter it = gm_scope_iter(hex("83826267310682f5058262673210"));
	struct gm_scope_entry e;

	cr_assert(gm_scope_next(&it, &e));
	cr_expect(!e.admin && gm_bytes_is(e.name, "g1"));
	cr_expect_eq(e.perm, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER);
	cr_assert(gm_scope_next(&it, &e));
	cr_expect(e.admin && is_hex(e.name, "f5"));
	cr_expect_eq(e.perm, 4);
	cr_assert(gm_scope_next(&it, &e));
	cr_expect_eq(e.perm, GM_ROLE_VERIFIER);
	cr_expect_not(gm_scope_next(&it, &e));
}

Test(scope, allows_only_what_one_entry_covers)
{
	struct gm_bytes s = hex("8282626731028262673104");
	cr_expect(gm_scope_allows(s, text("g1"), GM_ROLE_REQUESTER));
	cr_expect(gm_scope_allows(s, text("g1"), GM_ROLE_RESPONDER));
	cr_expect(gm_scope_allows(s, text("g1"), 0));
	cr_expect_not(gm_scope_allows(s, text("g1"), GM_ROLE_REQUESTER | GM_ROLE_RESPONDER));
	cr_expect_not(gm_scope_allows(s, text("g2"), 0));
	cr_expect_not(gm_scope_allows(s, text("g"), 0));
}

Test(scope, admin_entries_and_empty_permissions_allow_nothing)
{
	cr_expect_not(gm_scope_allows(hex("818262673107"), text("g1"), 0));
	cr_expect_not(gm_scope_allows(hex("818262673107"), text("bg1"), 0), "the name's CBOR is not its text");
	cr_expect_not(gm_scope_allows(hex("818262673100"), text("g1"), 0));
	cr_expect_not(gm_scope_allows((struct gm_bytes){0}, text("g1"), 0));
}

/* Scopes that are not understood                                                         RFC 9200 §5.10.1.1, KG §3 */
static const struct refusal bad_scopes[] = {
    {"nothing", ""},
    {"a map", "a0"},
    {"text", "626731"},
    {"one entry without the array around it", "8262673106"},
    {"an entry of one element", "8181626731"},
    {"an entry of three elements", "818362673106f5"},
    {"an entry that swallows the next", "8283626731068262673206"},
    {"a name that is no text", "818242673106"},
    {"a user entry for every group", "8182f506"},
    {"a user entry with a pattern", "8182d9524962673106"},
    {"an admin entry for false", "8182f405"},
    {"an admin entry for a number", "81820105"},
    {"negative permissions", "818262673120"},
    {"permissions as text", "81826267316106"},
    {"an unknown role", "81826267311820"},
    {"an unknown admin permission", "81826267311821"},
    {"a role beyond 32 bits", "81826267311b0000000100000002"},
    {"a second entry that is missing", "828262673106"},
    {"a second entry that is bad", "82826267310601"},
    {"trailing bytes", "81826267310600"},
    {"a name that is not UTF-8", "818262ff3106"},
};

Test(scope, refuses_what_it_does_not_understand)
{
	for (size_t i = 0; i < sizeof bad_scopes / sizeof bad_scopes[0]; i++)
		cr_expect_eq(gm_scope_check(hex(bad_scopes[i].hex)), GM_E_TOKEN_SCOPE, "%s", bad_scopes[i].what);
}

Test(scope, accepts_admin_patterns)
{
	cr_expect_eq(gm_scope_check(hex("8182d9524962673107")), GM_E_OK);
	cr_expect_eq(gm_scope_check(hex("8182d9524962673117")), GM_E_OK);
}

/* Computed with Python's base64 and hashlib. */
Test(token_hash, is_the_sha_256_of_base64url_without_padding)
{
	static const struct {
		size_t n;
		const char *hash;
	} rows[] = {
	    {1, "0103a51bd6760f743e8fe6ea0488a26c58043fc41dd54b7dd606e585084b280a2b"},
	    {2, "016aefeb4bdbf79a5936d62144949f8f1db6b6a80641c60f4bd461eefcee191fd4"},
	    {3, "017cc58a7ef56980eaa7aa2fc9e4cf2a2eabdf908bf531331fb78aa75e8749c2f5"},
	    {61, "01705a32748cf7e9973977cb8b289619855282060f687462d6fed242a67232bc39"},
	};
	uint8_t token[61], hash[33];

	for (unsigned i = 0; i < sizeof(token); i++)
		token[i] = (uint8_t)(i * 7 + 0xd0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gm_token_hash(hash, (struct gm_bytes){token, rows[i].n});
		cr_expect(is_hex((struct gm_bytes){hash, sizeof(hash)}, rows[i].hash), "%zu bytes", rows[i].n);
	}
}
