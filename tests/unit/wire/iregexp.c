/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "wire/iregexp.h"

static bool match(const char *pattern, const char *text)
{
	return gm_iregexp_match((struct gm_bytes){(const uint8_t *)pattern, strlen(pattern)},
	                        (struct gm_bytes){(const uint8_t *)text, strlen(text)});
}

static const struct {
	const char *pattern, *yes[4], *no[6];
} table[] = {
    {"gp[0-9]*", {"gp", "gp4", "gp42"}, {"g", "gp4x", "xgp4", "GP4"}},
    {"^[A-K][0-9][-a-z0-9]*$", {"A1", "K9-x-7"}, {"L1", "A", "A1X", "A1$"}},
    {"a$", {"a$"}, {"a"}},
    {"a|b|", {"a", "b", ""}, {"ab", "c"}},
    {"(ab|c)+d?", {"ab", "abcab", "cd"}, {"", "d", "abdd"}},
    {"x{2}", {"xx"}, {"x", "xxx"}},
    {"x{1,3}y{0,1}", {"x", "xxx", "xxy"}, {"", "xxxx", "xyy"}},
    {"x{2,}", {"xx", "xxxxxx"}, {"x"}},
    {"[^a-c.]+", {"xyz"}, {"a", "x.y"}},
    {"a.c", {"abc", "a.c"}, {"ac", "a\nc"}},
    {"a\\.c", {"a.c"}, {"abc"}},
    {"\xc3\xa9.", {"\xc3\xa9\xe2\x82\xac"}, {"\xc3\xa9"}},
    {"(|a)*b", {"b", "aab"}, {"a"}},
};

Test(iregexp, matches_whole_names_only)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (unsigned k = 0; k < 4 && table[i].yes[k]; k++)
			cr_expect(match(table[i].pattern, table[i].yes[k]), "%s takes %s", table[i].pattern, table[i].yes[k]);
		for (unsigned k = 0; k < 6 && table[i].no[k]; k++)
			cr_expect_not(match(table[i].pattern, table[i].no[k]), "%s refuses %s", table[i].pattern, table[i].no[k]);
	}
}

Test(iregexp, matches_nothing_where_a_pattern_is_not_understood)
{
	static const char *const bad[] = {"\\p{L}", "\\d", "a**", "*a", "(a", "a)", "[a", "[]", "[b-a]", "a{", "a{2", "a{3,2}",
	                                  "a\\", "a{99999999999}", "]", "{", "[\\d]"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_not(match(bad[i], "a"), "%s", bad[i]);
		cr_expect_not(match(bad[i], ""), "%s", bad[i]);
		cr_expect_not(match(bad[i], bad[i]), "%s", bad[i]);
	}
}

Test(iregexp, takes_no_longer_than_pattern_times_text, .timeout = 120)
{
	static const char *const heavy[] = {"(a*)*b", "(a|a)*b", "(((((((((((a?)*)*)*)*)*)*)*)*)*)*)*b", "((a{9}){9}){9}b",
	                                    "(){99}(){99}(){99}b", "((((((){99}){99}){99}){99}){99}){99}"};
	char text[65];

	memset(text, 'a', 64);
	text[64] = 0;
	for (size_t i = 0; i < sizeof(heavy) / sizeof(*heavy); i++)
		for (unsigned k = 0; k < 200; k++)
			cr_expect_not(match(heavy[i], text));
}
