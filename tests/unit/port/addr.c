/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gm/addr.h"

static void comes_back_as(const char *text, const char *back)
{
	struct gm_addr a;
	char buf[GM_ADDR_TEXT];

	cr_assert(gm_addr_parse(&a, text), "%s", text);
	cr_expect_str_eq(gm_addr_text(&a, buf), back);
}

Test(addr, reads_and_writes_the_same_form)
{
	comes_back_as("[::1]:5683", "[::1]:5683");
	comes_back_as("[2001:db8::7]:65535", "[2001:db8::7]:65535");
	comes_back_as("127.0.0.1:5683", "127.0.0.1:5683");
	comes_back_as("::1", "::1");
	comes_back_as("[::1]", "::1");
	comes_back_as("10.0.0.1", "10.0.0.1:0");
	comes_back_as("[fe80::1%lo]:5683", "[fe80::1%lo]:5683");
}

Test(addr, keeps_ipv4_as_a_mapped_address)
{
	static const uint8_t ip[16] = {[10] = 0xff, 0xff, 127, 1, 2, 3};
	struct gm_addr a, b;

	cr_assert(gm_addr_parse(&a, "127.1.2.3:9"));
	cr_expect_arr_eq(a.ip, ip, 16);
	cr_expect_eq(a.port, 9);
	cr_assert(gm_addr_parse(&b, "[::ffff:127.1.2.3]:9"));
	cr_expect(gm_addr_eq(&a, &b));
}

Test(addr, tells_port_address_and_scope_apart)
{
	struct gm_addr a, b;

	cr_assert(gm_addr_parse(&a, "[fe80::1%lo]:1") && gm_addr_parse(&b, "[fe80::1]:1"));
	cr_expect_not(gm_addr_eq(&a, &b));
	cr_assert(gm_addr_parse(&a, "[fe80::1]:2"));
	cr_expect_not(gm_addr_eq(&a, &b));
	cr_assert(gm_addr_parse(&a, "[fe80::2]:1"));
	cr_expect_not(gm_addr_eq(&a, &b));
}

Test(addr, refuses_what_is_no_literal_and_leaves_the_result_alone)
{
	static const char *bad[] = {
	    "",     "localhost", "1.2.3",  "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:1x",   "1.2.3.4:-1",
	    "[::1", "[::1]5683", "[::1]:", "[::1]: 1", "[1.2.3.4]:1",   "::1%nonesuch", "[::1]:000000001",
	    "g::1", "[]:1",      ":5683"};
	struct gm_addr a = {.port = 7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(gm_addr_parse(&a, bad[i]), "%s", bad[i]);
	cr_expect_eq(a.port, 7);
	cr_expect_not(gm_addr_parse(&a, "[::1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:1"));
}
