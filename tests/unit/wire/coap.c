/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "wire/coap.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	uint8_t b[2048];
	struct gm_coap msg;
};

static enum gm_err decode_hex(struct fixture *f, const char *hex)
{
	size_t n = gm_hex(f->b, sizeof(f->b), hex);
	return gm_coap_decode((struct gm_bytes){f->b, n}, &f->msg);
}

static enum gm_err decode_out(struct fixture *f, const struct gm_out *out)
{
	cr_assert_eq(out->err, GM_E_OK);
	return gm_coap_decode(gm_out_result(out), &f->msg);
}

/* A GET with one option; returns what the decoder says. */
static enum gm_err decode_option(struct fixture *f, uint16_t number, const void *value, size_t n)
{
	struct gm_out out = gm_out(f->b, sizeof(f->b));
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
	gm_coap_put_option(&out, &last, number, value, n);
	return decode_out(f, &out);
}

Test(coap, reads_a_request)
{
	struct fixture f;
	cr_assert_eq(decode_hex(&f, "44015d1f00003974396c6f63616c686f737483747631"), GM_E_OK);
	cr_expect_eq(f.msg.type, GM_COAP_CON);
	cr_expect_eq(f.msg.code, GM_COAP_GET);
	cr_expect_eq(f.msg.mid, 0x5d1f);
	cr_expect_eq(f.msg.token_len, 4);
	cr_expect_arr_eq(f.msg.token, "\0\0\x39\x74", 4);
	cr_expect_eq(f.msg.path_n, 1);
	cr_expect(gm_bytes_is(f.msg.path[0], "tv1"));
	cr_expect_eq(f.msg.content_format, GM_CF_NONE);
	cr_expect_eq(f.msg.accept, GM_CF_NONE);
	cr_expect_eq(f.msg.unknown_critical, 0);
	cr_expect_not(f.msg.has_payload);
}

Test(coap, reads_back_all_that_it_can_write)
{
	struct fixture f;
	struct gm_out out = gm_out(f.b, sizeof(f.b));
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_NON, GM_COAP_FETCH, 0xfffe, (const uint8_t *)"12345678", 8);
	gm_coap_put_option(&out, &last, GM_OPT_ETAG, "e", 1);
	gm_coap_put_option_uint(&out, &last, GM_OPT_OBSERVE, 0x010203);
	gm_coap_put_path(&out, &last, GM_OPT_LOCATION_PATH, "x/y", 3);
	gm_coap_put_option(&out, &last, GM_OPT_OSCORE, "\x09\x14", 2);
	gm_coap_put_path(&out, &last, GM_OPT_URI_PATH, "/ace-group/g1/nodes", 19);
	gm_coap_put_option_uint(&out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
	gm_coap_put_option_uint(&out, &last, GM_OPT_MAX_AGE, 0xffffffff);
	gm_coap_put_option(&out, &last, GM_OPT_URI_QUERY, "a=b", 3);
	gm_coap_put_option(&out, &last, GM_OPT_URI_QUERY, "c", 1);
	gm_coap_put_option_uint(&out, &last, GM_OPT_ACCEPT, 0);
	gm_coap_put_block(&out, &last, GM_OPT_BLOCK2, (struct gm_coap_block){.num = 0xfffff, .more = true, .szx = 6});
	gm_coap_put_block(&out, &last, GM_OPT_BLOCK1, (struct gm_coap_block){.num = 0, .more = false, .szx = 0});
	gm_coap_put_option_uint(&out, &last, GM_OPT_SIZE2, 70000);
	gm_coap_put_option(&out, &last, GM_OPT_ECHO, "echo", 4);
	gm_coap_put_payload(&out, "body", 4);

	cr_assert_eq(decode_out(&f, &out), GM_E_OK);
	const struct gm_coap *m = &f.msg;
	cr_expect_eq(m->type, GM_COAP_NON);
	cr_expect_eq(m->code, GM_COAP_FETCH);
	cr_expect_eq(m->mid, 0xfffe);
	cr_expect_eq(m->token_len, 8);
	cr_expect_arr_eq(m->token, "12345678", 8);
	cr_expect(gm_bytes_is(m->etag, "e"));
	cr_expect(m->has_observe && m->observe == 0x010203);
	cr_expect_eq(m->location_n, 2);
	cr_expect(gm_bytes_is(m->location[0], "x") && gm_bytes_is(m->location[1], "y"));
	cr_expect(m->has_oscore && gm_bytes_is(m->oscore, "\x09\x14"));
	cr_expect_eq(m->path_n, 3);
	cr_expect(gm_bytes_is(m->path[0], "ace-group") && gm_bytes_is(m->path[1], "g1") &&
	          gm_bytes_is(m->path[2], "nodes"));
	cr_expect_eq(m->content_format, GM_CF_GROUPCOMM);
	cr_expect(m->has_max_age && m->max_age == 0xffffffff);
	cr_expect_eq(m->query_n, 2);
	cr_expect(gm_bytes_is(m->query[0], "a=b") && gm_bytes_is(m->query[1], "c"));
	cr_expect_eq(m->accept, 0);
	cr_expect(m->has_block2 && m->block2.num == 0xfffff && m->block2.more && m->block2.szx == 6);
	cr_expect(m->has_block1 && m->block1.num == 0 && !m->block1.more && m->block1.szx == 0);
	cr_expect_eq(m->size2, 70000);
	cr_expect(m->has_echo && gm_bytes_is(m->echo, "echo"));
	cr_expect(m->has_payload && gm_bytes_is(m->payload, "body"));
	cr_expect_eq(m->unknown_critical, 0);
}

Test(coap, calls_these_malformed)
{
	static const char *const hex[] = {
	    "",
	    "400100",                     /* no whole head */
	    "00010001",                   /* version 0 */
	    "80010001",                   /* version 2 */
	    "c0010001",                   /* version 3 */
	    "49010001010203040506070809", /* token of nine bytes */
	    "4f010001",
	    "4201000101", /* token cut short */
	    "41000001aa", /* Empty with a token */
	    "4000000101", /* Empty with more behind it */
	    "40000001ff01",
	    "40200001", /* code classes 1, 6, 7 */
	    "40c00001",
	    "40e10001",
	    "40010001ff",     /* marker, no payload */
	    "40010001b374",   /* value cut short */
	    "40010001f0",     /* delta 15 */
	    "400100010f",     /* length 15 */
	    "40010001f1ff00", /* delta 15 with a length is no marker either */
	    "40010001d0",     /* extended delta cut short */
	    "40010001e0ff",
	    "400100010d", /* extended length cut short */
	    "400100010eff",
	    "40010001e0fef3", /* number 65536 */
	    "40010001e0ffff",
	    "40010001e0fef210", /* number 65535, then 65536 */
	};
	for (size_t i = 0; i < COUNT(hex); i++) {
		struct fixture f;
		cr_expect_eq(decode_hex(&f, hex[i]), GM_E_MALFORMED, "%s", hex[i]);
	}
}

Test(coap, tells_what_to_reject_of_a_malformed_message)
{
	struct fixture f;
	cr_expect_eq(decode_hex(&f, "5f01abcd"), GM_E_MALFORMED);
	cr_expect_eq(f.msg.type, GM_COAP_NON);
	cr_expect_eq(f.msg.code, GM_COAP_GET);
	cr_expect_eq(f.msg.mid, 0xabcd);
}

Test(coap, reads_the_empty_message)
{
	struct fixture f;
	cr_expect_eq(decode_hex(&f, "70000102"), GM_E_OK);
	cr_expect_eq(f.msg.type, GM_COAP_RST);
	cr_expect_eq(f.msg.code, GM_COAP_EMPTY);
	cr_expect_eq(f.msg.mid, 0x0102);
}

Test(coap, writes_the_empty_message)
{
	uint8_t b[8];
	struct gm_out out = gm_out(b, sizeof(b));
	gm_coap_put_empty(&out, GM_COAP_ACK, 0x1234);
	cr_expect_eq(gm_out_len(&out), 4);
	cr_expect_arr_eq(b, "\x60\x00\x12\x34", 4);
}

Test(coap, knows_the_extended_forms_of_delta_and_length)
{
	static const uint16_t numbers[] = {12, 13, 14, 268, 269, 270, 524, 525, 65534, 65535};
	static const size_t lengths[] = {0, 12, 13, 268, 269, 270, 1034};
	static const uint8_t value[1034];
	for (size_t i = 0; i < COUNT(numbers); i++) {
		for (size_t j = 0; j < COUNT(lengths); j++) {
			struct fixture f;
			struct gm_out out = gm_out(f.b, sizeof(f.b));
			uint16_t last = 0;
			gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
			gm_coap_put_option(&out, &last, numbers[i], value, lengths[j]);
			size_t d = numbers[i] < 13 ? 0 : numbers[i] < 269 ? 1 : 2;
			size_t l = lengths[j] < 13 ? 0 : lengths[j] < 269 ? 1 : 2;
			cr_expect_eq(gm_out_len(&out), 4 + 1 + d + l + lengths[j]);
			gm_coap_put_payload(&out, "p", 1);
			cr_expect_eq(decode_out(&f, &out), GM_E_OK);
			cr_expect(gm_bytes_is(f.msg.payload, "p"), "%u %zu", numbers[i], lengths[j]);
		}
	}
}

Test(coap, writes_the_shortest_heads_of_options)
{
	static const struct {
		uint16_t number;
		size_t n;
		const char *head;
	} heads[] = {
	    {12, 0, "c0"}, {13, 12, "dc00"}, {268, 13, "ddff00"}, {269, 268, "ed0000ff"}, {65535, 269, "eefef20000"}};
	static const uint8_t value[269];
	for (size_t i = 0; i < COUNT(heads); i++) {
		uint8_t b[300], want[8];
		struct gm_out out = gm_out(b, sizeof(b));
		uint16_t last = 0;
		gm_coap_put_option(&out, &last, heads[i].number, value, heads[i].n);
		size_t want_n = gm_hex(want, sizeof(want), heads[i].head);
		cr_expect_eq(gm_out_len(&out), want_n + heads[i].n, "%s", heads[i].head);
		cr_expect_arr_eq(b, want, want_n, "%s", heads[i].head);
	}
}

Test(coap, writes_zero_and_an_empty_payload_as_nothing)
{
	uint8_t b[8];
	struct gm_out out = gm_out(b, sizeof(b));
	uint16_t last = 0;
	gm_coap_put_option_uint(&out, &last, GM_OPT_OBSERVE, 0);
	gm_coap_put_payload(&out, "", 0);
	cr_expect_eq(gm_out_len(&out), 1);
	cr_expect_eq(b[0], GM_OPT_OBSERVE << 4);
}

Test(coap, refuses_to_write_options_that_descend)
{
	uint8_t b[16];
	struct gm_out out = gm_out(b, sizeof(b));
	uint16_t last = GM_OPT_ACCEPT;
	gm_coap_put_option_uint(&out, &last, GM_OPT_MAX_AGE, 0);
	cr_expect_eq(out.err, GM_E_USAGE);
}

Test(coap, passes_over_elective_options_it_does_not_know)
{
	static const uint16_t numbers[] = {0, 2, 10, 20, 60, 258, 292, 2048, 65534};
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct fixture f;
		cr_expect_eq(decode_option(&f, numbers[i], "xyz", 3), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, 0, "%u", numbers[i]);
	}
}

Test(coap, reports_critical_options_it_does_not_understand)
{
	static const uint16_t numbers[] = {GM_OPT_IF_MATCH, GM_OPT_IF_NONE_MATCH, 13, 19, 21, 31, 2049, 65535};
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct fixture f;
		cr_expect_eq(decode_option(&f, numbers[i], "", 0), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, numbers[i]);
	}
}

Test(coap, keeps_if_match_of_protected_requests_alone)
{
	struct fixture f;
	struct gm_out out = gm_out(f.b, sizeof(f.b));
	struct gm_coap m;
	uint16_t last = 0;

	gm_out_u8(&out, GM_COAP_DELETE);
	gm_coap_put_option(&out, &last, GM_OPT_IF_MATCH, "12345678", 8);
	gm_coap_put_option(&out, &last, GM_OPT_IF_MATCH, NULL, 0);
	cr_assert_eq(gm_coap_decode_inner(gm_out_result(&out), &m), GM_E_OK);
	cr_expect_eq(m.unknown_critical, 0);
	cr_assert_eq(m.if_match_n, 2);
	cr_expect(gm_bytes_is(m.if_match[0], "12345678") && m.if_match[1].n == 0);
	for (unsigned i = 0; i < 3; i++)
		gm_coap_put_option(&out, &last, GM_OPT_IF_MATCH, "x", 1);
	cr_assert_eq(gm_coap_decode_inner(gm_out_result(&out), &m), GM_E_OK);
	cr_expect_eq(m.unknown_critical, GM_OPT_IF_MATCH, "more than can be kept");
	cr_expect_eq(m.if_match_n, GM_COAP_IF_MATCH_MAX);
}

Test(coap, reports_the_first_of_several_critical_options)
{
	struct fixture f;
	struct gm_out out = gm_out(f.b, sizeof(f.b));
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
	gm_coap_put_option(&out, &last, 13, NULL, 0);
	gm_coap_put_option(&out, &last, 21, NULL, 0);
	cr_expect_eq(decode_out(&f, &out), GM_E_OK);
	cr_expect_eq(f.msg.unknown_critical, 13);
}

/* RFC 7252 table 4 and the like: number, lengths */
static const struct {
	uint16_t number;
	size_t min, max;
} limits[] = {
    {GM_OPT_URI_HOST, 1, 255},      {GM_OPT_ETAG, 1, 8},         {GM_OPT_OBSERVE, 0, 3},        {GM_OPT_URI_PORT, 0, 2},
    {GM_OPT_OSCORE, 0, 255},        {GM_OPT_URI_PATH, 0, 255},   {GM_OPT_CONTENT_FORMAT, 0, 2}, {GM_OPT_MAX_AGE, 0, 4},
    {GM_OPT_URI_QUERY, 0, 255},     {GM_OPT_ACCEPT, 0, 2},       {GM_OPT_BLOCK2, 0, 3},         {GM_OPT_BLOCK1, 0, 3},
    {GM_OPT_SIZE2, 0, 4},           {GM_OPT_PROXY_URI, 1, 1034}, {GM_OPT_PROXY_SCHEME, 1, 255}, {GM_OPT_ECHO, 1, 40},
    {GM_OPT_LOCATION_PATH, 0, 255},
};

static bool kept(const struct gm_coap *m)
{
	return m->etag.p || m->has_observe || m->has_oscore || m->path_n || m->location_n || m->has_max_age ||
	       m->query_n || m->accept != GM_CF_NONE || m->content_format != GM_CF_NONE || m->has_block1 ||
	       m->has_block2 || m->size2 || m->has_proxy || m->has_echo;
}

Test(coap, treats_a_bad_length_like_an_option_not_understood)
{
	static const uint8_t value[1035];
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct fixture f;
		uint16_t number = limits[i].number;
		cr_expect_eq(decode_option(&f, number, value, limits[i].min), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, 0, "%u", number);
		cr_expect_eq(decode_option(&f, number, value, limits[i].max), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, 0, "%u", number);

		cr_expect_eq(decode_option(&f, number, value, limits[i].max + 1), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, number & 1 ? number : 0, "%u", number);
		cr_expect_not(kept(&f.msg), "%u", number);
		if (limits[i].min) {
			cr_expect_eq(decode_option(&f, number, value, 0), GM_E_OK);
			cr_expect_eq(f.msg.unknown_critical, number & 1 ? number : 0, "%u", number);
			cr_expect_not(kept(&f.msg), "%u", number);
		}
	}
}

Test(coap, takes_the_reserved_block_size_for_a_bad_option)
{
	struct fixture f;
	cr_expect_eq(decode_option(&f, GM_OPT_BLOCK1, "\x07", 1), GM_E_OK);
	cr_expect_eq(f.msg.unknown_critical, GM_OPT_BLOCK1);
	cr_expect_not(f.msg.has_block1);
	cr_expect_eq(decode_option(&f, GM_OPT_BLOCK2, "\x0f", 1), GM_E_OK);
	cr_expect_eq(f.msg.unknown_critical, GM_OPT_BLOCK2);
	cr_expect_not(f.msg.has_block2);
}

static enum gm_err decode_twice(struct fixture *f, uint16_t number, uint8_t first, uint8_t second)
{
	struct gm_out out = gm_out(f->b, sizeof(f->b));
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
	gm_coap_put_option(&out, &last, number, &first, 1);
	gm_coap_put_option(&out, &last, number, &second, 1);
	return decode_out(f, &out);
}

Test(coap, treats_a_repeated_option_like_one_not_understood)
{
	struct fixture f;
	cr_expect_eq(decode_twice(&f, GM_OPT_OBSERVE, 1, 2), GM_E_OK);
	cr_expect_eq(f.msg.observe, 1);
	cr_expect_eq(f.msg.unknown_critical, 0);
	cr_expect_eq(decode_twice(&f, GM_OPT_ACCEPT, 1, 1), GM_E_OK);
	cr_expect_eq(f.msg.accept, 1);
	cr_expect_eq(f.msg.unknown_critical, GM_OPT_ACCEPT);
	cr_expect_eq(decode_twice(&f, GM_OPT_OSCORE, 1, 2), GM_E_OK);
	cr_expect_eq(f.msg.oscore.p[0], 1);
	cr_expect_eq(f.msg.unknown_critical, GM_OPT_OSCORE);
}

Test(coap, lets_paths_queries_and_etags_repeat)
{
	static const uint16_t numbers[] = {GM_OPT_LOCATION_PATH, GM_OPT_URI_PATH, GM_OPT_URI_QUERY, GM_OPT_ETAG};
	struct fixture f;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		cr_expect_eq(decode_twice(&f, numbers[i], 'a', 'b'), GM_E_OK);
		cr_expect_eq(f.msg.unknown_critical, 0);
	}
	cr_expect(gm_bytes_is(f.msg.etag, "a")); /* the first of them */
}

Test(coap, takes_a_block_option_apart)
{
	static const struct {
		const char *value;
		struct gm_coap_block block;
	} cases[] = {
	    {"\x08", {0, true, 0}}, {"\x04", {0, false, 4}}, {"\x10", {1, false, 0}}, {"\xff\xe6", {0xffe, false, 6}}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		cr_expect_eq(decode_option(&f, GM_OPT_BLOCK2, cases[i].value, strlen(cases[i].value)), GM_E_OK);
		cr_expect(f.msg.has_block2);
		cr_expect_eq(f.msg.block2.num, cases[i].block.num);
		cr_expect_eq(f.msg.block2.more, cases[i].block.more);
		cr_expect_eq(f.msg.block2.szx, cases[i].block.szx);
	}
}

Test(coap, keeps_eight_segments_and_says_there_were_more)
{
	for (unsigned n = GM_COAP_PATH_MAX; n <= GM_COAP_PATH_MAX + 1; n++) {
		struct fixture f;
		struct gm_out out = gm_out(f.b, sizeof(f.b));
		uint16_t last = 0;
		gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
		gm_coap_put_path(&out, &last, GM_OPT_URI_PATH, "/a/b/c/d/e/f/g/h/i", 2 * n);
		cr_expect_eq(decode_out(&f, &out), GM_E_OK);
		cr_expect_eq(f.msg.path_n, GM_COAP_PATH_MAX);
		cr_expect(gm_bytes_is(f.msg.path[7], "h"));
		cr_expect_eq(f.msg.path_more, n > GM_COAP_PATH_MAX);
	}
}

Test(coap, keeps_the_first_four_queries)
{
	struct fixture f;
	struct gm_out out = gm_out(f.b, sizeof(f.b));
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
	for (unsigned i = 0; i < 5; i++)
		gm_coap_put_option(&out, &last, GM_OPT_URI_QUERY, &"12345"[i], 1);
	cr_expect_eq(decode_out(&f, &out), GM_E_OK);
	cr_expect_eq(f.msg.query_n, 4);
	cr_expect(gm_bytes_is(f.msg.query[3], "4"));
}

Test(coap, writes_paths_with_and_without_a_slash_in_front)
{
	static const struct {
		const char *text;
		unsigned n;
	} paths[] = {{"", 0}, {"/", 0}, {"a", 1}, {"/a", 1}, {"/a/b", 2}, {"a//b", 3}, {"/a/", 2}};
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct fixture f;
		struct gm_out out = gm_out(f.b, sizeof(f.b));
		uint16_t last = 0;
		gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
		gm_coap_put_path(&out, &last, GM_OPT_URI_PATH, paths[i].text, strlen(paths[i].text));
		cr_expect_eq(decode_out(&f, &out), GM_E_OK);
		cr_expect_eq(f.msg.path_n, paths[i].n, "%s", paths[i].text);
	}
}

Test(coap, notices_proxy_options)
{
	struct fixture f;
	cr_expect_eq(decode_option(&f, GM_OPT_PROXY_SCHEME, "coap", 4), GM_E_OK);
	cr_expect(f.msg.has_proxy);
	cr_expect_eq(decode_option(&f, GM_OPT_PROXY_URI, "coap://x", 8), GM_E_OK);
	cr_expect(f.msg.has_proxy);
}

Test(coap, takes_leading_zeros_of_a_number)
{
	struct fixture f;
	cr_expect_eq(decode_option(&f, GM_OPT_MAX_AGE, "\0\0\0\7", 4), GM_E_OK);
	cr_expect_eq(f.msg.max_age, 7);
}

Test(coap, reads_the_inside_of_a_protected_message)
{
	uint8_t b[64];
	struct gm_coap msg;
	size_t n = gm_hex(b, sizeof(b), "01b3747631");
	cr_expect_eq(gm_coap_decode_inner((struct gm_bytes){b, n}, &msg), GM_E_OK);
	cr_expect_eq(msg.code, GM_COAP_GET);
	cr_expect(gm_bytes_is(msg.path[0], "tv1"));

	n = gm_hex(b, sizeof(b), "45ff48656c6c6f20576f726c6421");
	cr_expect_eq(gm_coap_decode_inner((struct gm_bytes){b, n}, &msg), GM_E_OK);
	cr_expect_eq(msg.code, GM_COAP(2, 5));
	cr_expect(gm_bytes_is(msg.payload, "Hello World!"));
}

Test(coap, calls_these_insides_malformed)
{
	static const char *const hex[] = {"", "00", "20", "c0", "01ff", "01b374", "01f0"};
	for (size_t i = 0; i < COUNT(hex); i++) {
		uint8_t b[16];
		struct gm_coap msg;
		size_t n = gm_hex(b, sizeof(b), hex[i]);
		cr_expect_eq(gm_coap_decode_inner((struct gm_bytes){b, n}, &msg), GM_E_MALFORMED, "%s", hex[i]);
	}
}

Test(coap, says_room_and_writes_no_byte_past_the_end)
{
	uint8_t b[8] = {0, 0, 0, 0, 0, 0, 0, 0x77};
	struct gm_out out = gm_out(b, 7);
	uint16_t last = 0;
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_GET, 1, NULL, 0);
	gm_coap_put_option(&out, &last, GM_OPT_URI_PATH, "abc", 3);
	gm_coap_put_payload(&out, "abc", 3);
	cr_expect_eq(out.err, GM_E_ROOM);
	cr_expect_eq(b[7], 0x77);
}

/* ---- what went wrong elsewhere: tests/regression.md */

/* In bytes of its own, so that a sanitizer sees the first byte behind it. */
static enum gm_err decode_exactly(const uint8_t *p, size_t n, struct gm_coap *msg)
{
	uint8_t *exact = malloc(n ? n : 1);
	if (n)
		memcpy(exact, p, n);
	enum gm_err err = gm_coap_decode((struct gm_bytes){exact, n}, msg);
	free(exact);
	return err;
}

/* RFC 8974 lets a server that was not told of long tokens call them a message format error, as RFC 7252 §3 does. */
Test(coap, calls_token_lengths_above_eight_malformed_however_short_or_long_the_message)
{
	static uint8_t b[4 + 2 + 65804 + 4] = {0, GM_COAP_GET, 0, 1};
	struct gm_coap msg;
	for (unsigned tkl = 9; tkl <= 15; tkl++) {
		b[0] = (uint8_t)(0x40u | tkl);
		for (size_t n = 4; n <= 6; n++)
			cr_expect_eq(decode_exactly(b, n, &msg), GM_E_MALFORMED, "length %u in %zu bytes", tkl, n);
		memset(b + 4, 0xff, 2);
		cr_expect_eq(decode_exactly(b, 4 + 13 + 256, &msg), GM_E_MALFORMED);
		cr_expect_eq(decode_exactly(b, sizeof(b), &msg), GM_E_MALFORMED, "%u, and 65,804 bytes are there", tkl);
		cr_expect_eq(msg.token_len, 0);
		memset(b + 4, 0, 2);
	}
}

/* A number that wraps would come twice, or go back below one that was kept. */
Test(coap, calls_options_whose_numbers_pass_65535_malformed)
{
	for (uint32_t first = 0; first <= 65535; first += 4369) {
		for (uint32_t second = 65536 - first; second <= 65804 && second >= 269; second += 4001) {
			uint8_t b[] = {0x40,
			               GM_COAP_GET,
			               0,
			               1,
			               0xe1,
			               (uint8_t)((first - 269) >> 8),
			               (uint8_t)(first - 269),
			               'x',
			               0xe1,
			               (uint8_t)((second - 269) >> 8),
			               (uint8_t)(second - 269),
			               'x'};
			struct gm_coap msg;
			if (first < 269) {
				memmove(b + 4, b + 8, 4);
				cr_expect_eq(decode_exactly(b, 8, &msg), second > 65535 ? GM_E_MALFORMED : GM_E_OK);
				continue;
			}
			cr_expect_eq(decode_exactly(b, sizeof(b), &msg), GM_E_MALFORMED, "%u and %u", first, second);
		}
	}
}

/* What is left may be a message, with the options that were whole: never one whose value goes on behind the end. */
Test(coap, reads_nothing_behind_a_message_cut_at_any_byte)
{
	struct fixture f;
	struct gm_out out = gm_out(f.b, sizeof(f.b));
	uint16_t last = 0;
	size_t ends[8], n = 0;
	char text[300];
	memset(text, 'x', sizeof(text));
	gm_coap_put_head(&out, GM_COAP_CON, GM_COAP_POST, 7, (const uint8_t *)"12345678", 8);
	ends[n++] = gm_out_len(&out);
	gm_coap_put_option(&out, &last, GM_OPT_OSCORE, "\x09\x14", 2);
	ends[n++] = gm_out_len(&out);
	gm_coap_put_option(&out, &last, GM_OPT_URI_PATH, text, 20); /* extended length of one byte */
	ends[n++] = gm_out_len(&out);
	gm_coap_put_option(&out, &last, 2000, text, 300); /* of two bytes, and the number too */
	ends[n++] = gm_out_len(&out);
	gm_coap_put_payload(&out, "body", 4);
	for (size_t cut = 0, next = 0; cut <= gm_out_len(&out); cut++) {
		struct gm_coap msg;
		enum gm_err err = decode_exactly(f.b, cut, &msg);
		bool at_end = (next < n && cut == ends[next]) || cut > ends[n - 1] + 1;
		cr_expect_eq(err, at_end ? GM_E_OK : GM_E_MALFORMED, "cut at %zu", cut);
		if (err == GM_E_OK && cut <= ends[n - 1])
			cr_expect_eq(msg.path_n, next >= 2);
		next += next < n && cut == ends[next];
	}
}
