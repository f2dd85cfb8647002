/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "wire/admin.h"
#include "wire/cbor.h"

#define BYTES(text) ((struct gm_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static struct gm_admin_map decoded(struct gm_bytes payload, enum gm_err want)
{
	struct gm_admin_map map;
	enum gm_admin_param at;

	cr_assert_eq(gm_admin_decode(payload, &map, &at), want);
	return map;
}

static bool has(const struct gm_admin_map *map, enum gm_admin_param param)
{
	return map->has & GM_ADMIN_BIT(param);
}

/* {-1: 5, -6: [[1], [1, 6]], -8: null, -12: true, -13: "gp4", -14: null, -15: 3, -17: ["a"], 16: {1: 60, 2: 0}, 11: 9} */
#define SOME                                                                                                           \
	"\xaa\x20\x05\x25\x82\x81\x01\x82\x01\x06\x27\xf6\x2b\xf5\x2c\x63gp4\x2d\xf6\x2e\x03\x30\x81\x61"                  \
	"a\x10\xa2\x01\x18\x3c\x02\x00\x0b\x09"

Test(admin, parameters_have_their_negative_labels)
{
	struct gm_admin_map map = decoded(BYTES(SOME), GM_E_OK);

	cr_expect_eq(map.hkdf, 5);
	cr_expect_eq(map.sign_params.kty, 1);
	cr_expect_eq(map.sign_params.crv, 6);
	cr_expect(map.null & GM_ADMIN_BIT(GM_ADMIN_ALG));
	cr_expect(map.active);
	cr_expect(gm_bytes_is(map.group_name, "gp4"));
	cr_expect(map.null & GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION));
	cr_expect_eq(map.max_stale_sets, 3);
	cr_expect_eq(map.app_groups.n, 1u);
	cr_expect_eq(map.policies.check_interval, 60);
	cr_expect_eq(map.exp, 9);
	cr_expect_not(map.unknown);
	cr_expect_not(has(&map, GM_ADMIN_CRED_FMT));
	cr_expect_eq(__builtin_popcount(map.has), 10);
}

Test(admin, what_is_written_reads_the_same)
{
	struct gm_admin_map map = decoded(BYTES(SOME), GM_E_OK), again;
	uint8_t body[128];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_admin_encode(&o, &map, UINT32_MAX);
	again = decoded(gm_out_result(&o), GM_E_OK);
	cr_expect_eq(again.has, map.has);
	cr_expect_eq(again.null, map.null);
	for (unsigned i = 0; i < GM_ADMIN_N; i++)
		cr_expect(gm_admin_same(&map, &again, (enum gm_admin_param)i), "%s", gm_admin_name((enum gm_admin_param)i));
}

Test(admin, every_parameter_has_the_label_of_the_registry)
{
	static const int labels[GM_ADMIN_N] = {-1,  -2,  -3,  -4, -5,  -6, -7,  -8,  -9, -10, -25, -26, -11,
	                                       -12, -13, -14, 10, -15, 11, -16, -17, -18, 16, -19, -28};
	uint8_t body[128];
	struct gm_out o = gm_out(body, sizeof(body));
	struct gm_in in;

	gm_admin_filter_encode(&o, GM_ADMIN_BIT(GM_ADMIN_N) - 1);
	in = gm_in_bytes(gm_out_result(&o));
	cr_expect_eq(gm_cbor_map(&in), 1u);
	cr_expect_eq(gm_cbor_int(&in), -27);
	cr_expect_eq(gm_cbor_array(&in), (uint64_t)GM_ADMIN_N);
	for (unsigned i = 0; i < GM_ADMIN_N; i++)
		cr_expect_eq(gm_cbor_int(&in), labels[i], "%s", gm_admin_name((enum gm_admin_param)i));
}

Test(admin, wrong_types_and_repeats_are_errors)
{
	static const struct {
		struct gm_bytes payload;
		enum gm_err err;
	} bad[] = {
	    {{(const uint8_t *)"\x80", 1}, GM_E_TYPE},
	    {{(const uint8_t *)"\xa1\x2b\x01", 3}, GM_E_TYPE},                     /* active: 1 */
	    {{(const uint8_t *)"\xa1\x2b\xf6", 3}, GM_E_TYPE},                     /* active: null */
	    {{(const uint8_t *)"\xa1\x21\x61x", 4}, GM_E_TYPE},                    /* cred_fmt: text */
	    {{(const uint8_t *)"\xa1\x2e\x20", 3}, GM_E_TYPE},                     /* max_stale_sets: -1 */
	    {{(const uint8_t *)"\xa1\x30\x81\x01", 4}, GM_E_TYPE},                 /* app_groups: [1] */
	    {{(const uint8_t *)"\xa1\x10\xa1\x00\x01", 5}, GM_E_RANGE},            /* group_policies: {0: 1} */
	    {{(const uint8_t *)"\xa1\x38\x1b\x81\x80", 5}, GM_E_TYPE},             /* app_groups_diff: [[]] */
	    {{(const uint8_t *)"\xa2\x2b\xf5\x2b\xf5", 5}, GM_E_DUPLICATE},
	    {{(const uint8_t *)"\xa1\x2b\xf5\x00", 4}, GM_E_TRAILING},
	};
	struct gm_admin_map map;
	enum gm_admin_param at;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(gm_admin_decode(bad[i].payload, &map, &at), bad[i].err, "%zu", i);
}

Test(admin, labels_that_are_none_are_seen)
{
	cr_expect(decoded(BYTES("\xa1\x38\x63\x01"), GM_E_OK).unknown);
	cr_expect(decoded(BYTES("\xa1\x61"
	                        "a\x01"),
	                  GM_E_OK)
	              .unknown);
}

Test(admin, an_algorithm_named_by_text_is_one_that_nobody_knows)
{
	cr_expect_eq(decoded(BYTES("\xa1\x20\x61x"), GM_E_OK).hkdf, GM_ADMIN_ALG_TEXT);
}

Test(admin, capabilities_of_another_shape_fit_nothing)
{
	cr_expect_eq(decoded(BYTES("\xa1\x25\x82\x81\x01\x82\x02\x06"), GM_E_OK).sign_params.kty, 0);
	cr_expect_eq(decoded(BYTES("\xa1\x25\x80"), GM_E_OK).sign_params.kty, 0);
	cr_expect_eq(decoded(BYTES("\xa1\x25\x82\x81\x03\x81\x03"), GM_E_OK).sign_params.kty, 3);
}

Test(admin, conf_filter_names_parameters)
{
	uint32_t mask;

	cr_expect_eq(gm_admin_filter_decode(BYTES("\xa1\x38\x1a\x84\x23\x20\x10\x38\x63"), &mask), GM_E_OK);
	cr_expect_eq(mask, GM_ADMIN_BIT(GM_ADMIN_GP_ENC_ALG) | GM_ADMIN_BIT(GM_ADMIN_HKDF) |
	                       GM_ADMIN_BIT(GM_ADMIN_GROUP_POLICIES));
	cr_expect_neq(gm_admin_filter_decode(BYTES("\xa0"), &mask), GM_E_OK);
	cr_expect_neq(gm_admin_filter_decode(BYTES("\xa1\x38\x1a\x81\x61x"), &mask), GM_E_OK);
	cr_expect_neq(gm_admin_filter_decode(BYTES("\xa1\x38\x1a\x05"), &mask), GM_E_OK);
	cr_expect_neq(gm_admin_filter_decode(BYTES(""), &mask), GM_E_OK);
}

static struct gm_list names(struct gm_bytes array)
{
	struct gm_list list;

	cr_assert(gm_list_decode(array, GM_CBOR_TSTR, &list));
	return list;
}

Test(admin, names_go_before_others_come_each_once)
{
	struct gm_list base = names(BYTES("\x83\x61"
	                                  "a\x61"
	                                  "b\x61"
	                                  "a")),
	               del = names(BYTES("\x83\x61"
	                                 "b\x61"
	                                 "b\x61z")),
	               add = names(BYTES("\x83\x61"
	                                 "c\x61"
	                                 "a\x61"
	                                 "b"));
	uint8_t body[64];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_admin_names_encode(&o, base, del, add);
	cr_expect(gm_bytes_eq(gm_out_result(&o), BYTES("\x83\x61"
	                                               "a\x61"
	                                               "c\x61"
	                                               "b")));
	cr_expect(gm_admin_names_meet(del, add));
	cr_expect_not(gm_admin_names_meet(del, names(BYTES("\x81\x61"
	                                                   "a"))));
}

/* [[true, 5], ["gp1", 31], [21065("^gp[0-9]$"), 9], [99("x"), 31], ["gp1", 2]] */
#define SCOPE                                                                                                          \
	"\x85\x82\xf5\x05\x82\x63gp1\x18\x1f\x82\xd9\x52\x49\x69^gp[0-9]$\x09\x82\xd8\x63\x61x\x18\x1f\x82\x63gp1\x02"

Test(admin, permissions_are_those_of_the_entries_that_match)
{
	struct gm_bytes scope = BYTES(SCOPE);

	cr_assert_eq(gm_scope_check(scope), GM_E_OK);
	cr_expect(gm_admin_scope(scope));
	cr_expect_eq(gm_admin_perms(scope, BYTES("other")), GM_PERM_LIST | GM_PERM_READ);
	cr_expect_eq(gm_admin_perms(scope, BYTES("gp1")), 0x1fu);
	cr_expect_eq(gm_admin_perms(scope, BYTES("gp2")), GM_PERM_LIST | GM_PERM_READ | GM_PERM_WRITE);
	cr_expect_eq(gm_admin_perms(scope, BYTES("x")), GM_PERM_LIST | GM_PERM_READ, "a pattern of an unknown kind");
	cr_expect_not(gm_admin_scope(BYTES("\x81\x82\x62g1\x06")));
	cr_expect_eq(gm_admin_perms(BYTES("\x81\x82\x62g1\x06"), BYTES("g1")), 0u, "a user entry");
}

Test(admin, lists_are_links)
{
	uint8_t body[128];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_admin_link(&o, BYTES("gp1"));
	gm_admin_link(&o, BYTES("gp2"));
	cr_expect(gm_bytes_is(gm_out_result(&o),
	                      "</manage/gp1>;rt=\"core.osc.gconf\",</manage/gp2>;rt=\"core.osc.gconf\""));
}
