/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "wire/links.h"
#include "wire/uri.h"

#define ROOT "</ace-group>;if=\"ace.groups\";osc"
#define AUTHZ "</authz-info>;rt=\"ace.ai\""
#define MANAGE "</manage>;rt=\"core.osc.gcoll\";osc"
#define G1 "</ace-group/g1>;rt=\"core.osc.gm\";if=\"ace.group\";osc"
#define G2 "</ace-group/g2>;rt=\"core.osc.gm\";if=\"ace.group\";osc"

static struct gm_bytes text(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

/* What two groups, g1 and g2, give for up to two queries; NULL: none */
static const char *found(const char *one, const char *two)
{
	static char buf[512];
	struct gm_bytes names[] = {text("g1"), text("g2")}, query[2];
	struct gm_out o = gm_out(buf, sizeof buf - 1);
	size_t n = 0;

	if (one)
		query[n++] = text(one);
	if (two)
		query[n++] = text(two);
	gm_links_encode(&o, names, 2, query, n);
	cr_assert_eq(o.err, GM_E_OK);
	buf[gm_out_len(&o)] = 0;
	return buf;
}

Test(links, are_all_there_without_a_query)
{
	cr_expect_str_eq(found(NULL, NULL), ROOT "," AUTHZ "," MANAGE "," G1 "," G2);
}

Test(links, are_filtered_by_resource_type)
{
	cr_expect_str_eq(found("rt=core.osc.gm", NULL), G1 "," G2);
	cr_expect_str_eq(found("rt=ace.ai", NULL), AUTHZ);
	cr_expect_str_eq(found("rt=core.osc.gcoll", NULL), MANAGE);
	cr_expect_str_eq(found("rt=core.osc.g", NULL), "");
	cr_expect_str_eq(found("rt=", NULL), "");
}

Test(links, are_filtered_by_interface)
{
	cr_expect_str_eq(found("if=ace.groups", NULL), ROOT);
	cr_expect_str_eq(found("if=ace.group", NULL), G1 "," G2);
	cr_expect_str_eq(found("if=ace.group*", NULL), ROOT "," G1 "," G2);
}

Test(links, are_filtered_by_path)
{
	cr_expect_str_eq(found("href=/ace-group/g2", NULL), G2);
	cr_expect_str_eq(found("href=/ace-group*", NULL), ROOT "," G1 "," G2);
	cr_expect_str_eq(found("href=/ace-group/*", NULL), G1 "," G2);
	cr_expect_str_eq(found("href=*", NULL), found(NULL, NULL));
	cr_expect_str_eq(found("href=/nowhere", NULL), "");
}

Test(links, a_star_takes_any_rest_and_none)
{
	cr_expect_str_eq(found("rt=core.osc.gm*", NULL), G1 "," G2);
	cr_expect_str_eq(found("rt=*", NULL), AUTHZ "," MANAGE "," G1 "," G2, "only links that have a type");
	cr_expect_str_eq(found("rt=c*e", NULL), "", "a star counts at the end only");
}

Test(links, that_oscore_guards_are_found_by_their_attribute)
{
	cr_expect_str_eq(found("osc=", NULL), ROOT "," MANAGE "," G1 "," G2);
	cr_expect_str_eq(found("osc=1", NULL), "");
}

Test(links, have_to_pass_every_filter)
{
	cr_expect_str_eq(found("rt=core.osc.gm", "href=*1"), "");
	cr_expect_str_eq(found("rt=core.osc.gm", "href=/ace-group/g1"), G1);
}

Test(links, do_not_have_attributes_that_nobody_set)
{
	cr_expect_str_eq(found("sz=*", NULL), "");
	cr_expect_str_eq(found("=", NULL), "");
}

Test(links, are_not_filtered_by_what_is_no_filter)
{
	cr_expect_str_eq(found("", NULL), found(NULL, NULL));
	cr_expect_str_eq(found("rt", NULL), found(NULL, NULL));
}

Test(links, encode_what_is_no_character_of_a_path)
{
	char buf[512] = {0};
	struct gm_bytes name = text("a>/%\xc3\xa4");
	struct gm_out o = gm_out(buf, sizeof buf - 1);

	gm_links_encode(&o, &name, 1, &(struct gm_bytes){(const uint8_t *)"href=/ace-group/a*", 18}, 1);
	cr_expect_str_eq(buf, "</ace-group/a%3E%2F%25%C3%A4>;rt=\"core.osc.gm\";if=\"ace.group\";osc");
	memset(buf, 0, sizeof buf);
	o = gm_out(buf, sizeof buf - 1);
	gm_group_path_encode(&o, text("g1"));
	cr_expect_str_eq(buf, "/ace-group/g1");
}

Test(links, say_room_where_they_do_not_fit)
{
	char whole[512];
	size_t n = strlen(strcpy(whole, found(NULL, NULL)));
	struct gm_bytes names[] = {text("g1"), text("g2")};

	for (size_t cap = 0; cap <= n; cap++) {
		char buf[512];
		struct gm_out o = gm_out(buf, cap);
		gm_links_encode(&o, names, 2, NULL, 0);
		cr_expect_eq(o.err, cap < n ? GM_E_ROOM : GM_E_OK);
	}
}
