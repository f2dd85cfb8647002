/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/cbor.h"
#include "wire/resources.h"

static uint8_t bytes[8192];
static uint8_t written[8192];

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
	enum gm_err err;
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static void expect_err(enum gm_err err, const struct refusal *row)
{
	cr_expect_eq(err, row->err, "%s: %s", row->what, gm_err_info(err)->name);
}

/* ---- lists */

Test(list, is_walked_as_often_as_it_is_copied)
{
	struct gm_list l, again;
	struct gm_bytes b;

	cr_assert(gm_list_decode(hex("82414142"
	                             "4242"),
	                         GM_CBOR_BSTR, &l));
	for (int i = 0; i < 2; i++) {
		again = l;
		cr_expect(gm_list_bstr(&again, &b) && gm_bytes_is(b, "A"));
		cr_expect(gm_list_bstr(&again, &b) && gm_bytes_is(b, "BB"));
		cr_expect_not(gm_list_bstr(&again, &b));
	}
}

Test(list, is_of_one_type_and_nothing_behind_it)
{
	struct gm_list l;
	cr_expect(gm_list_decode(hex("80"), GM_CBOR_BSTR, &l));
	cr_expect(gm_list_decode(hex("820161" /* too short */), GM_CBOR_UINT, &l) == false);
	cr_expect_not(gm_list_decode(hex("824141616"
	                                 "1"),
	                             GM_CBOR_BSTR, &l));
	cr_expect_not(gm_list_decode(hex("8120"), GM_CBOR_UINT, &l));
	cr_expect_not(gm_list_decode(hex("8161ff"), GM_CBOR_TSTR, &l), "text that is no UTF-8");
	cr_expect_not(gm_list_decode(hex("8000"), GM_CBOR_BSTR, &l));
	cr_expect_not(gm_list_decode(hex("a0"), GM_CBOR_BSTR, &l));
	cr_expect_not(gm_list_decode(hex(""), GM_CBOR_BSTR, &l));
	cr_expect_not(gm_list_decode(hex("9b7fffffffffffffff"), GM_CBOR_BSTR, &l));
}

/* ---- /ace-group */

Test(gids, are_one_or_more_byte_strings)
{
	struct gm_list gids;
	struct gm_bytes b;
	struct gm_out o = writer();
	struct gm_bytes want[] = {text("a"), text("bc")};

	gm_gids_encode(&o, want, 2);
	expect_written(&o, "a100824161426263");
	cr_assert_eq(gm_gids_decode(gm_out_result(&o), &gids), GM_E_OK);
	cr_expect_eq(gids.n, 2);
	cr_expect(gm_list_bstr(&gids, &b) && gm_bytes_is(b, "a") && gm_list_bstr(&gids, &b) && gm_bytes_is(b, "bc"));
}

static const struct refusal bad_gids[] = {
    {"nothing", "", GM_E_SHORT},
    {"an empty map", "a0", GM_E_MISSING},
    {"no gid in it", "a10080", GM_E_MISSING},
    {"a gid as text", "a100816161", GM_E_TYPE},
    {"a bare gid", "a1004161", GM_E_TYPE},
    {"gids twice",
     "a2008141610081416"
     "1",
     GM_E_DUPLICATE},
    {"bytes behind", "a10081416100", GM_E_TRAILING},
};

Test(gids, are_refused_where_malformed)
{
	for (size_t i = 0; i < COUNT(bad_gids); i++) {
		struct gm_list gids;
		expect_err(gm_gids_decode(hex(bad_gids[i].hex), &gids), &bad_gids[i]);
		cr_expect_eq(gids.n, 0);
	}
}

Test(group_names, are_three_parallel_arrays)
{
	struct gm_group_name g[] = {{text("\xdd\x11"), text("g1")}, {text("\xdd\x12"), text("a b")}};
	struct gm_out o = writer();
	struct gm_group_names n;
	struct gm_bytes b;

	gm_group_names_encode(&o, g, 2);
	expect_written(&o, "a3008242dd1142dd120182626731636120620"
	                   "2826d2f6163652d67726f75702f6731702f6163652d67726f75702f6125323062");
	cr_assert_eq(gm_group_names_decode(gm_out_result(&o), &n), GM_E_OK);
	cr_expect_eq(n.gids.n, 2);
	cr_expect(gm_list_bstr(&n.gids, &b) && is_hex(b, "dd11"));
	cr_expect(gm_list_tstr(&n.names, &b) && gm_bytes_is(b, "g1"));
	cr_expect(gm_list_tstr(&n.uris, &b) && gm_bytes_is(b, "/ace-group/g1"));
	cr_expect(gm_list_tstr(&n.uris, &b) && gm_bytes_is(b, "/ace-group/a%20b"));
}

Test(group_names, are_one_empty_byte_string_where_none_was_found)
{
	struct gm_out o = writer();
	struct gm_group_names n;

	gm_group_names_encode(&o, NULL, 0);
	expect_written(&o, "40");
	cr_expect(gm_is_nothing(gm_out_result(&o)));
	cr_assert_eq(gm_group_names_decode(gm_out_result(&o), &n), GM_E_OK);
	cr_expect_eq(n.gids.n, 0);
}

static const struct refusal bad_names[] = {
    {"an empty map", "a0", GM_E_MISSING},
    {"no uris",
     "a20080018"
     "0",
     GM_E_MISSING},
    {"names as bytes", "a3008141610181416102816161", GM_E_TYPE},
    {"one name less", "a300814161018002816161", GM_E_MALFORMED},
};

Test(group_names, are_refused_where_malformed)
{
	for (size_t i = 0; i < COUNT(bad_names); i++) {
		struct gm_group_names n;
		expect_err(gm_group_names_decode(hex(bad_names[i].hex), &n), &bad_names[i]);
	}
}

/* ---- creds: the filter */

Test(creds_filter, reads_flag_roles_and_ids)
{
	struct gm_creds_filter f;
	struct gm_bytes id;

	cr_assert_eq(gm_creds_filter_decode(hex("a10483f5820206824101420203"), &f), GM_E_OK);
	cr_expect(f.include && f.roles_n == 2 && f.roles[0] == 2 && f.roles[1] == 6 && f.ids.n == 2);
	cr_expect(gm_list_bstr(&f.ids, &id) && is_hex(id, "01") && gm_list_bstr(&f.ids, &id) && is_hex(id, "0203"));
	cr_assert_eq(gm_creds_filter_decode(hex("a10483f480814101"), &f), GM_E_OK);
	cr_expect(!f.include && f.roles_n == 0 && f.ids.n == 1);
	cr_assert_eq(gm_creds_filter_decode(hex("a204" /* an unknown label is ignored */ "83f5810280190100f6"), &f),
	             GM_E_OK);
}

static const struct refusal bad_filters[] = {
    {"nothing", "", GM_E_SHORT},
    {"an empty map", "a0", GM_E_MISSING},
    {"both filters empty", "a10483f58080", GM_E_MALFORMED},
    {"both filters empty, the other flag", "a10483f48080", GM_E_MALFORMED},
    {"null", "a104f6", GM_E_TYPE},
    {"two elements", "a10482f58102", GM_E_MALFORMED},
    {"four elements", "a10484f581028080", GM_E_MALFORMED},
    {"a flag that is a number", "a1048301810280", GM_E_TYPE},
    {"roles as text", "a10483f581616180", GM_E_TYPE},
    {"negative roles", "a10483f5812080", GM_E_TYPE},
    {"no roles at all", "a10483f5810080", GM_E_RANGE},
    {"an administrator's bit", "a10483f5810380", GM_E_RANGE},
    {"an unknown role", "a10483f581182080", GM_E_RANGE},
    {"nine role sets", "a10483f58902020202020202020280", GM_E_RANGE},
    {"ids as text", "a10483f580816161", GM_E_TYPE},
    {"an id as a number", "a10483f5808101", GM_E_TYPE},
    {"a filter twice", "a20483f58102800483f5810280", GM_E_DUPLICATE},
    {"bytes behind", "a10483f581028000", GM_E_TRAILING},
};

Test(creds_filter, is_refused_where_malformed)
{
	for (size_t i = 0; i < COUNT(bad_filters); i++) {
		struct gm_creds_filter f;
		expect_err(gm_creds_filter_decode(hex(bad_filters[i].hex), &f), &bad_filters[i]);
		cr_expect(f.ids.n == 0 && f.roles_n == 0);
	}
}

static struct gm_list list_of(enum gm_cbor_type type, const char *array)
{
	static uint8_t kept[8][256];
	static unsigned at;
	struct gm_list l;
	uint8_t *to = kept[at++ % COUNT(kept)];

	cr_assert(gm_list_decode((struct gm_bytes){to, gm_hex(to, sizeof kept[0], array)}, type, &l));
	return l;
}

Test(creds_filter, has_at_most_a_thousand_ids)
{
	for (unsigned n = GM_ID_FILTER_MAX; n <= GM_ID_FILTER_MAX + 1; n++) {
		struct gm_out o = writer();
		struct gm_creds_filter f;
		gm_cbor_put_map(&o, 1);
		gm_cbor_put_int(&o, 4);
		gm_cbor_put_array(&o, 3);
		gm_cbor_put_bool(&o, true);
		gm_cbor_put_array(&o, 0);
		gm_cbor_put_array(&o, n);
		for (unsigned i = 0; i < n; i++)
			gm_cbor_put_bstr(&o, (uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2);
		cr_assert_eq(o.err, GM_E_OK);
		cr_expect_eq(gm_creds_filter_decode(gm_out_result(&o), &f),
		             n > GM_ID_FILTER_MAX ? GM_E_TOO_LARGE : GM_E_OK);
	}
}

Test(creds_filter, decodes_what_it_encodes)
{
	struct gm_creds_filter f, want = {false, 3, {2, 4, 8}, list_of(GM_CBOR_BSTR, "824101420203")};
	struct gm_out o = writer();

	gm_creds_filter_encode(&o, &want);
	cr_assert_eq(gm_creds_filter_decode(gm_out_result(&o), &f), GM_E_OK);
	cr_expect(!f.include && f.roles_n == 3 && f.roles[2] == 8 && f.ids.n == 2);
}

/* ---- creds: who passes. Members: requester "a", responder "b", both "c". */

static const struct {
	uint8_t roles;
	const char *sid;
} members[] = {{2, "a"}, {4, "b"}, {6, "c"}};

/* Names of the members that pass */
static const char *takes(bool include, const char *roles, const char *ids)
{
	static char names[8];
	struct gm_creds_filter f = {.include = include};
	size_t n = 0;

	for (; *roles; roles++)
		f.roles[f.roles_n++] = (uint8_t)(*roles - '0');
	f.ids = list_of(GM_CBOR_BSTR, ids);
	for (size_t i = 0; i < COUNT(members); i++)
		if (gm_creds_filter_takes(&f, members[i].roles, text(members[i].sid)))
			names[n++] = members[i].sid[0];
	names[n] = 0;
	return names;
}

#define A "4161"
#define B "4162"
#define UNKNOWN "417a"

Test(creds_filter, of_ids_takes_those_named)
{
	cr_expect_str_eq(takes(true, "", "81" A), "a");
	cr_expect_str_eq(takes(true, "", "82" A B), "ab");
}

Test(creds_filter, of_ids_not_included_takes_all_others)
{
	cr_expect_str_eq(takes(false, "", "81" A), "bc");
	cr_expect_str_eq(takes(false, "", "82" A B), "c");
}

Test(creds_filter, of_roles_does_not_look_at_the_flag)
{
	cr_expect_str_eq(takes(true, "2", "80"), "ac");
	cr_expect_str_eq(takes(false, "2", "80"), "ac");
}

Test(creds_filter, of_roles_wants_all_of_one_element_and_any_element)
{
	cr_expect_str_eq(takes(true, "6", "80"), "c");
	cr_expect_str_eq(takes(true, "24", "80"), "abc");
	cr_expect_str_eq(takes(true, "8", "80"), "");
}

Test(creds_filter, of_both_included_takes_who_has_roles_or_is_named)
{
	cr_expect_str_eq(takes(true, "6", "81" A), "ac");
	cr_expect_str_eq(takes(true, "4", "81" B), "bc");
}

Test(creds_filter, of_both_not_included_takes_who_has_roles_and_is_not_named)
{
	cr_expect_str_eq(takes(false, "2", "81" A), "c");
	cr_expect_str_eq(takes(false, "4", "81" A), "bc");
	cr_expect_str_eq(takes(false, "6", "81" A), "c");
}

Test(creds_filter, passes_over_ids_that_nobody_has)
{
	cr_expect_str_eq(takes(true, "", "82" UNKNOWN A), "a");
	cr_expect_str_eq(takes(true, "", "81" UNKNOWN), "");
	cr_expect_str_eq(takes(false, "", "81" UNKNOWN), "abc");
	cr_expect_str_eq(takes(true, "2", "81" UNKNOWN), "ac");
	cr_expect_str_eq(takes(false, "2", "81" UNKNOWN), "ac");
}

Test(creds_filter, does_not_take_a_prefix_for_an_id)
{
	struct gm_creds_filter f = {.include = true, .ids = list_of(GM_CBOR_BSTR, "81426161")};
	cr_expect_not(gm_creds_filter_takes(&f, 2, text("a")));
	cr_expect(gm_creds_filter_takes(&f, 2, text("aa")));
}

/* ---- creds: the answer */

Test(creds, have_num_and_three_arrays)
{
	struct gm_creds want = {list_of(GM_CBOR_BSTR, "8241434144"), list_of(GM_CBOR_UINT, "820206"),
	                        list_of(GM_CBOR_BSTR, "8241614162")};
	struct gm_out o = writer();
	struct gm_creds c;
	struct gm_bytes b;
	uint64_t roles;
	int64_t num;

	gm_creds_answer_encode(&o, 7, &want);
	expect_written(&o, "a409070d82414341440e8202060f8241614162");
	cr_assert_eq(gm_creds_answer_decode(gm_out_result(&o), &num, &c), GM_E_OK);
	cr_expect(num == 7 && c.creds.n == 2);
	cr_expect(gm_list_bstr(&c.creds, &b) && gm_bytes_is(b, "C") && gm_list_bstr(&c.creds, &b) &&
	          gm_bytes_is(b, "D"));
	cr_expect(gm_list_uint(&c.roles, &roles) && roles == 2 && gm_list_uint(&c.roles, &roles) && roles == 6);
	cr_expect(gm_list_bstr(&c.sids, &b) && gm_bytes_is(b, "a"));
}

Test(creds, of_nobody_are_empty_arrays_or_one_empty_byte_string)
{
	struct gm_out o = writer();
	struct gm_creds c;
	int64_t num;

	gm_creds_answer_encode(&o, 0, &(struct gm_creds){0});
	expect_written(&o, "a409000d800e800f80");
	cr_assert_eq(gm_creds_answer_decode(gm_out_result(&o), &num, &c), GM_E_OK);
	cr_expect(num == 0 && c.creds.n == 0);
	cr_assert_eq(gm_creds_answer_decode(hex("40"), &num, &c), GM_E_OK);
	cr_expect(num == -1 && c.creds.n == 0);
}

static const struct refusal bad_creds[] = {
    {"nothing", "", GM_E_SHORT},
    {"no num", "a30d800e800f80", GM_E_MISSING},
    {"no roles", "a309000d800f80", GM_E_MISSING},
    {"negative num", "a409200d800e800f80", GM_E_RANGE},
    {"one id more", "a409000d800e800f814161", GM_E_MALFORMED},
    {"a credential as text", "a409000d8161610e81020f814161", GM_E_TYPE},
    {"bytes behind", "a409000d800e800f8000", GM_E_TRAILING},
};

Test(creds, are_refused_where_malformed)
{
	for (size_t i = 0; i < COUNT(bad_creds); i++) {
		struct gm_creds c;
		int64_t num;
		expect_err(gm_creds_answer_decode(hex(bad_creds[i].hex), &num, &c), &bad_creds[i]);
		cr_expect(num == -1 && c.creds.n == 0);
	}
}

/* ---- kdc-cred */

Test(kdc_cred, is_asked_by_verifiers_with_a_nonce)
{
	struct gm_out o = writer();
	struct gm_bytes nonce;

	gm_cnonce_encode(&o, text("n"));
	expect_written(&o, "a106416e");
	cr_assert_eq(gm_cnonce_decode(gm_out_result(&o), &nonce), GM_E_OK);
	cr_expect(gm_bytes_is(nonce, "n"));
}

static const struct refusal bad_nonces[] = {
    {"nothing", "", GM_E_SHORT},
    {"an empty map", "a0", GM_E_MISSING},
    {"a nonce as text", "a1066161", GM_E_TYPE},
    {"an empty nonce", "a10640", GM_E_RANGE},
    {"a nonce of 65 bytes",
     "a10658410000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "000000000000000000000000000000000000",
     GM_E_RANGE},
};

Test(kdc_cred, is_refused_without_a_good_nonce)
{
	for (size_t i = 0; i < COUNT(bad_nonces); i++) {
		struct gm_bytes nonce;
		expect_err(gm_cnonce_decode(hex(bad_nonces[i].hex), &nonce), &bad_nonces[i]);
		cr_expect_null(nonce.p);
	}
}

Test(kdc_cred, has_credential_nonce_and_proof)
{
	struct gm_out o = writer();
	struct gm_kdc_cred k;

	gm_kdc_cred_encode(&o, &(struct gm_kdc_cred){text("C"), text("n"), text("p")});
	expect_written(&o, "a3114143"
	                   "12416e134170");
	cr_assert_eq(gm_kdc_cred_decode(gm_out_result(&o), &k), GM_E_OK);
	cr_expect(gm_bytes_is(k.cred, "C") && gm_bytes_is(k.nonce, "n") && gm_bytes_is(k.verify, "p"));
	cr_expect_eq(gm_kdc_cred_decode(hex("a2114143"
	                                    "12416e"),
	                                &k),
	             GM_E_MISSING);
	cr_expect_null(k.cred.p);
}

/* ---- policies, num, active, stale-sids */

Test(policies, are_a_map_of_what_is_stored)
{
	struct gm_out o = writer();
	struct gm_policies p;

	gm_policies_encode(&o, &(struct gm_policies){3600, 0});
	expect_written(&o, "a110a201190e100200");
	cr_assert_eq(gm_policies_decode(gm_out_result(&o), &p), GM_E_OK);
	cr_expect(p.check_interval == 3600 && p.expiration_delta == 0);
	o = writer();
	gm_policies_encode(&o, &(struct gm_policies){-1, 5});
	expect_written(&o, "a110a10205");
}

Test(policies, are_one_empty_byte_string_where_none_is_stored)
{
	struct gm_out o = writer();
	struct gm_policies p;

	gm_policies_encode(&o, &(struct gm_policies){-1, -1});
	expect_written(&o, "40");
	cr_assert_eq(gm_policies_decode(hex("40"), &p), GM_E_OK);
	cr_expect(p.check_interval == -1 && p.expiration_delta == -1);
}

Test(policies, of_other_kinds_are_passed_over)
{
	struct gm_policies p;
	cr_assert_eq(gm_policies_decode(hex("a110a3001864010518648141"
	                                    "61"),
	                                &p),
	             GM_E_OK);
	cr_expect(p.check_interval == 5 && p.expiration_delta == -1);
	cr_expect_eq(gm_policies_decode(hex("a110a10120"), &p), GM_E_RANGE);
	cr_expect_eq(gm_policies_decode(hex("a0"), &p), GM_E_MISSING);
	cr_expect_eq(gm_policies_decode(hex("a11040"), &p), GM_E_TYPE);
}

Test(num, is_one_unsigned_integer)
{
	struct gm_out o = writer();
	uint64_t v;

	gm_num_encode(&o, 300);
	expect_written(&o, "19012c");
	cr_assert_eq(gm_num_decode(gm_out_result(&o), &v), GM_E_OK);
	cr_expect_eq(v, 300);
	cr_expect_eq(gm_num_decode(hex(""), &v), GM_E_SHORT);
	cr_expect_eq(gm_num_decode(hex("20"), &v), GM_E_TYPE);
	cr_expect_eq(gm_num_decode(hex("0000"), &v), GM_E_TRAILING);
	cr_expect_eq(gm_num_decode(hex("a10900"), &v), GM_E_TYPE);
}

Test(active, is_true_or_false)
{
	struct gm_out o = writer();
	bool v;

	gm_active_encode(&o, true);
	expect_written(&o, "f5");
	cr_expect(gm_active_decode(hex("f5"), &v) == GM_E_OK && v);
	cr_expect(gm_active_decode(hex("f4"), &v) == GM_E_OK && !v);
	cr_expect_eq(gm_active_decode(hex("01"), &v), GM_E_TYPE);
	cr_expect_eq(gm_active_decode(hex("f5f5"), &v), GM_E_TRAILING);
	cr_expect_not(v);
}

Test(stale_sids, are_an_array_of_byte_strings)
{
	struct gm_out o = writer();
	struct gm_bytes want[] = {text("a"), text("bc")}, b;
	struct gm_list sids;

	gm_stale_encode(&o, want, 2);
	expect_written(&o, "824161426263");
	cr_assert_eq(gm_stale_decode(gm_out_result(&o), &sids), GM_E_OK);
	cr_expect(gm_list_bstr(&sids, &b) && gm_bytes_is(b, "a") && gm_list_bstr(&sids, &b) && gm_bytes_is(b, "bc"));
	o = writer();
	gm_stale_encode(&o, NULL, 0);
	expect_written(&o, "80");
	cr_expect_eq(gm_stale_decode(hex("a0"), &sids), GM_E_TYPE);
	cr_expect_eq(gm_stale_decode(hex("8101"), &sids), GM_E_TYPE);
	cr_expect_eq(sids.n, 0);
}

/* ---- nodes/N */

Test(renewal, answers_with_the_sender_id_alone)
{
	struct gm_out o = writer();
	struct gm_keying_map m;

	gm_renewal_encode(&o, text("s"));
	expect_written(&o, "a1154173");
	cr_assert_eq(gm_keying_decode(gm_out_result(&o), &m), GM_E_OK);
	cr_expect(gm_bytes_is(m.sid, "s") && !m.ms.p);
}

Test(cred_upload, has_credential_nonce_and_proof)
{
	struct gm_out o = writer();
	struct gm_cred_upload u;

	gm_cred_upload_encode(&o, &(struct gm_cred_upload){text("C"), text("n"), text("p")});
	expect_written(&o, "a305414306416e18184170");
	cr_assert_eq(gm_cred_upload_decode(gm_out_result(&o), &u), GM_E_OK);
	cr_expect(gm_bytes_is(u.cred, "C") && gm_bytes_is(u.cnonce, "n") && gm_bytes_is(u.verify, "p"));
	cr_assert_eq(gm_cred_upload_decode(hex("a305414306416e181840"), &u), GM_E_OK);
	cr_expect(u.verify.p && u.verify.n == 0, "an empty proof is present and proves nothing");
}

static const struct refusal bad_uploads[] = {
    {"nothing", "", GM_E_SHORT},
    {"no credential", "a206416e18184170", GM_E_MISSING},
    {"no nonce", "a205414318184170", GM_E_MISSING},
    {"no proof", "a205414306416e", GM_E_MISSING},
    {"an empty nonce", "a3054143064018184170", GM_E_RANGE},
    {"a proof as text", "a305414306416e18186170", GM_E_TYPE},
    {"a nonce twice", "a405414306416e06416e18184170", GM_E_DUPLICATE},
};

Test(cred_upload, is_refused_where_malformed)
{
	for (size_t i = 0; i < COUNT(bad_uploads); i++) {
		struct gm_cred_upload u;
		expect_err(gm_cred_upload_decode(hex(bad_uploads[i].hex), &u), &bad_uploads[i]);
		cr_expect_null(u.cred.p);
	}
}

Test(cred_upload, is_refused_where_the_credential_is_too_long)
{
	static uint8_t big[GM_CRED_MAX + 1];
	for (size_t n = GM_CRED_MAX; n <= GM_CRED_MAX + 1; n++) {
		struct gm_out o = writer();
		struct gm_cred_upload u;
		gm_cred_upload_encode(&o, &(struct gm_cred_upload){{big, n}, text("n"), text("p")});
		cr_expect_eq(gm_cred_upload_decode(gm_out_result(&o), &u), n > GM_CRED_MAX ? GM_E_RANGE : GM_E_OK);
	}
}
