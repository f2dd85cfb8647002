/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "ctl/verbs.h"

static char why[GM_WHY];

Test(verbs, each_has_help_and_arguments_that_can_be_read)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		const struct gm_ctl_verb *verb = &gm_ctl_verbs[i];
		cr_expect_gt(strlen(verb->help), 0);
		cr_expect_eq(gm_ctl_verb(verb->name), verb, "%s appears twice", verb->name);
		unsigned n = gm_ctl_specs(verb, specs);
		cr_expect_lt(n, GM_CTL_SPECS_MAX, "%s has no room for 'after'", verb->name);
		for (unsigned k = 0; k < n; k++)
			cr_expect_gt(strlen(specs[k].key), 0);
	}
	cr_expect_null(gm_ctl_verb("group"));
}

Test(verbs, reads_an_argument_of_each_kind)
{
	const struct gm_ctl_verb verb = {.name = "x", .args = "NODE... --quick --count=UINT --kid=HEX --key=FILE"};
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];

	cr_assert_eq(gm_ctl_specs(&verb, specs), 5);
	cr_expect_str_eq(specs[0].key, "node");
	cr_expect(specs[0].positional && specs[0].repeats);
	cr_expect_eq(specs[0].type, GM_CTL_SPEC_TEXT);
	cr_expect_str_eq(specs[1].key, "quick");
	cr_expect_eq(specs[1].type, GM_CTL_SPEC_FLAG);
	cr_expect_str_eq(specs[2].key, "count");
	cr_expect_eq(specs[2].type, GM_CTL_SPEC_UINT);
	cr_expect_eq(specs[3].type, GM_CTL_SPEC_HEX);
	cr_expect_eq(specs[4].type, GM_CTL_SPEC_FILE);
	cr_expect_eq(gm_ctl_spec_wire(specs[4].type), GM_CTL_BYTES);
	const struct gm_ctl_verb timed = {.name = "x", .args = "--every=TIME"};
	cr_assert_eq(gm_ctl_specs(&timed, specs), 1);
	cr_expect(specs[0].type == GM_CTL_SPEC_TIME && gm_ctl_spec_wire(specs[0].type) == GM_CTL_UINT);
}

Test(verbs, reads_a_value_that_may_be_left_out_and_a_word_in_hexadecimal)
{
	const struct gm_ctl_verb verb = {.name = "x", .args = "HASH=HEX --list[=TEXT] --last=TEXT"};
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];

	cr_assert_eq(gm_ctl_specs(&verb, specs), 3);
	cr_expect_str_eq(specs[0].key, "hash");
	cr_expect(specs[0].positional && specs[0].type == GM_CTL_SPEC_HEX);
	cr_expect_str_eq(specs[1].key, "list");
	cr_expect(specs[1].optional && specs[1].type == GM_CTL_SPEC_TEXT && !specs[1].positional);
	cr_expect_not(specs[2].optional);
}

Test(verbs, refuses_a_missing_a_foreign_and_a_wrong_argument)
{
	const struct gm_ctl_verb *verb = gm_ctl_verb("rekey");
	struct gm_ctl_request request = {.verb = "rekey"};

	cr_expect_eq(gm_ctl_check(verb, &request, why), GM_E_USAGE);
	cr_expect_str_eq(why, "rekey: argument 'group' is missing");
	request.args[0] = (struct gm_ctl_arg){.key = "group", .type = GM_CTL_TEXT, .n = 1, .text = "g"};
	request.args_n = 1;
	cr_expect_eq(gm_ctl_check(verb, &request, why), GM_E_OK);
	request.args[1] = (struct gm_ctl_arg){.key = "compromised", .type = GM_CTL_UINT, .u = 1};
	request.args_n = 2;
	cr_expect_eq(gm_ctl_check(verb, &request, why), GM_E_USAGE);
	cr_expect_str_eq(why, "rekey: wrong type of argument 'compromised'");
	request.args[1] = (struct gm_ctl_arg){.key = "after", .type = GM_CTL_UINT};
	cr_expect_eq(gm_ctl_check(verb, &request, why), GM_E_USAGE);
	cr_expect_str_eq(why, "rekey: no such argument 'after'");
}

Test(verbs, let_every_listing_go_on_after_a_page)
{
	const struct gm_ctl_request request = {
		.verb = "group list", .args_n = 1, .args = {{.key = "after", .type = GM_CTL_UINT, .u = 255}}};

	cr_expect_eq(gm_ctl_check(gm_ctl_verb("group list"), &request, why), GM_E_OK);
}
