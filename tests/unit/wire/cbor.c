/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <limits.h>
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include "wire/cbor.h"
#include "vectors.h"

struct fixture {
	uint8_t b[512];
	struct gm_in in;
};

static struct gm_in *of_hex(struct fixture *f, const char *hex)
{
	size_t n = gm_hex(f->b, sizeof(f->b), hex);
	f->in = gm_in(f->b, n);
	return &f->in;
}

static void expect_hex(const struct gm_out *out, const char *hex)
{
	uint8_t want[512];
	size_t n = gm_hex(want, sizeof(want), hex);
	cr_expect_eq(out->err, GM_E_OK);
	cr_expect(gm_bytes_eq(gm_out_result(out), (struct gm_bytes){want, n}), "want %s", hex);
}

/* RFC 8949 Appendix A */
static const struct {
	int64_t v;
	const char *hex;
} integers[] = {
    {0, "00"},
    {1, "01"},
    {10, "0a"},
    {23, "17"},
    {24, "1818"},
    {25, "1819"},
    {100, "1864"},
    {255, "18ff"},
    {256, "190100"},
    {1000, "1903e8"},
    {65535, "19ffff"},
    {65536, "1a00010000"},
    {1000000, "1a000f4240"},
    {4294967295, "1affffffff"},
    {4294967296, "1b0000000100000000"},
    {1000000000000, "1b000000e8d4a51000"},
    {INT64_MAX, "1b7fffffffffffffff"},
    {-1, "20"},
    {-10, "29"},
    {-24, "37"},
    {-25, "3818"},
    {-100, "3863"},
    {-1000, "3903e7"},
    {INT64_MIN, "3b7fffffffffffffff"},
};

Test(cbor, writes_integers_in_their_shortest_form_and_reads_them_back)
{
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		uint8_t b[16];
		struct gm_out out = gm_out(b, sizeof(b));
		gm_cbor_put_int(&out, integers[i].v);
		expect_hex(&out, integers[i].hex);

		struct fixture f;
		cr_expect_eq(gm_cbor_int(of_hex(&f, integers[i].hex)), integers[i].v);
		cr_expect_eq(gm_cbor_end(&f.in), GM_E_OK);
	}
}

Test(cbor, reads_a_long_form_of_a_small_number)
{
	struct fixture f;
	cr_expect_eq(gm_cbor_uint(of_hex(&f, "1b0000000000000007")), 7);
	cr_expect_eq(gm_cbor_end(&f.in), GM_E_OK);
	cr_expect_eq(gm_cbor_int(of_hex(&f, "3800")), -1);
	cr_expect_eq(gm_cbor_end(&f.in), GM_E_OK);
}

Test(cbor, says_range_for_integers_beyond_64_bits_with_sign)
{
	static const char *const hex[] = {"1b8000000000000000", "1bffffffffffffffff", "3b8000000000000000",
	                                  "3bffffffffffffffff"};
	for (size_t i = 0; i < 4; i++) {
		struct fixture f;
		cr_expect_eq(gm_cbor_int(of_hex(&f, hex[i])), 0);
		cr_expect_eq(f.in.err, GM_E_RANGE);
	}
	struct fixture f;
	cr_expect_eq(gm_cbor_uint(of_hex(&f, hex[1])), UINT64_MAX);
	cr_expect_eq(f.in.err, GM_E_OK);
}

Test(cbor, writes_what_rfc_8949_shows)
{
	uint8_t b[64];
	struct gm_out out = gm_out(b, sizeof(b));
	gm_cbor_put_array(&out, 5);
	gm_cbor_put_bstr(&out, "\1\2\3\4", 4);
	gm_cbor_put_text(&out, "IETF");
	gm_cbor_put_map(&out, 1);
	gm_cbor_put_tstr(&out, "a", 1);
	gm_cbor_put_bool(&out, true);
	gm_cbor_put_tag(&out, 1);
	gm_cbor_put_uint(&out, 1363896240);
	gm_cbor_put_array(&out, 2);
	gm_cbor_put_null(&out);
	gm_cbor_put_bool(&out, false);
	expect_hex(&out, "85"
	                 "4401020304"
	                 "6449455446"
	                 "a16161f5"
	                 "c11a514b67b0"
	                 "82f6f4");
}

Test(cbor, reads_what_rfc_8949_shows)
{
	struct fixture f;
	struct gm_in *in = of_hex(&f, "8544010203046449455446a16161f5c11a514b67b082f6f4");
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_ARRAY);
	cr_expect_eq(gm_cbor_array(in), 5);
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_BSTR);
	cr_expect(gm_bytes_is(gm_cbor_bstr(in), "\1\2\3\4"));
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_TSTR);
	cr_expect(gm_bytes_is(gm_cbor_tstr(in), "IETF"));
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_MAP);
	cr_expect_eq(gm_cbor_map(in), 1);
	cr_expect(gm_bytes_is(gm_cbor_tstr(in), "a"));
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_SIMPLE);
	cr_expect(gm_cbor_bool(in));
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_TAG);
	cr_expect_eq(gm_cbor_tag(in), 1);
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_UINT);
	cr_expect_eq(gm_cbor_uint(in), 1363896240);
	cr_expect_eq(gm_cbor_array(in), 2);
	cr_expect(gm_cbor_is_null(in));
	gm_cbor_null(in);
	cr_expect_not(gm_cbor_is_null(in));
	cr_expect_not(gm_cbor_bool(in));
	cr_expect_eq(gm_cbor_peek(in), GM_CBOR_END);
	cr_expect_eq(gm_cbor_end(in), GM_E_OK);
}

Test(cbor, reserves_the_head_of_a_byte_string)
{
	uint8_t b[8];
	struct gm_out out = gm_out(b, sizeof(b));
	gm_cbor_put_bstr_head(&out, 300);
	expect_hex(&out, "59012c");
}

Test(cbor, tells_an_empty_string_from_none)
{
	struct fixture f;
	struct gm_bytes b = gm_cbor_bstr(of_hex(&f, "40"));
	cr_expect_not_null(b.p);
	cr_expect_eq(b.n, 0);
	b = gm_cbor_bstr(of_hex(&f, ""));
	cr_expect_null(b.p);
	cr_expect_eq(f.in.err, GM_E_SHORT);
}

Test(cbor, reads_from_nothing)
{
	struct gm_in in = gm_in(NULL, 0);
	cr_expect_eq(gm_cbor_peek(&in), GM_CBOR_END);
	cr_expect_eq(gm_cbor_end(&in), GM_E_OK);
	cr_expect_eq(gm_cbor_uint(&in), 0);
	cr_expect_eq(in.err, GM_E_SHORT);
}

typedef void (*reader)(struct gm_in *in);

static void read_uint(struct gm_in *in)
{
	gm_cbor_uint(in);
}
static void read_int(struct gm_in *in)
{
	gm_cbor_int(in);
}
static void read_bstr(struct gm_in *in)
{
	gm_cbor_bstr(in);
}
static void read_tstr(struct gm_in *in)
{
	gm_cbor_tstr(in);
}
static void read_array(struct gm_in *in)
{
	gm_cbor_array(in);
}
static void read_map(struct gm_in *in)
{
	gm_cbor_map(in);
}
static void read_tag(struct gm_in *in)
{
	gm_cbor_tag(in);
}
static void read_bool(struct gm_in *in)
{
	gm_cbor_bool(in);
}

static const struct {
	reader read;
	const char *hex;
	enum gm_err err;
} failures[] = {
    {read_uint, "20", GM_E_TYPE},
    {read_uint, "19ff", GM_E_SHORT},
    {read_uint, "1c", GM_E_MALFORMED},
    {read_uint, "1f", GM_E_MALFORMED},
    {read_int, "40", GM_E_TYPE},
    {read_int, "", GM_E_SHORT},
    {read_bstr, "6161", GM_E_TYPE},
    {read_bstr, "4201", GM_E_SHORT},
    {read_bstr, "5bffffffffffffffff00", GM_E_SHORT},
    {read_bstr, "5f4100ff", GM_E_MALFORMED},
    {read_tstr, "4161", GM_E_TYPE},
    {read_tstr, "7f6161ff", GM_E_MALFORMED},
    {read_array, "9f01ff", GM_E_MALFORMED},
    {read_array, "8301", GM_E_RANGE},
    {read_array, "9bffffffffffffffff", GM_E_RANGE},
    {read_array, "a0", GM_E_TYPE},
    {read_map, "bf0102ff", GM_E_MALFORMED},
    {read_map, "a2010203", GM_E_RANGE},
    {read_map, "bbffffffffffffffff", GM_E_RANGE},
    {read_map, "80", GM_E_TYPE},
    {read_tag, "01", GM_E_TYPE},
    {read_bool, "f6", GM_E_TYPE},
    {read_bool, "01", GM_E_TYPE},
    {read_bool, "", GM_E_SHORT},
    {gm_cbor_null, "f7", GM_E_TYPE},
    {gm_cbor_skip, "ff", GM_E_MALFORMED},
    {gm_cbor_skip, "f800", GM_E_MALFORMED},
    {gm_cbor_skip, "f81f", GM_E_MALFORMED},
    {gm_cbor_skip, "8201", GM_E_SHORT},
    {gm_cbor_skip, "830102", GM_E_SHORT},
    {gm_cbor_skip, "a101", GM_E_SHORT},
    {gm_cbor_skip, "c1", GM_E_SHORT},
    {gm_cbor_skip, "bb8000000000000000", GM_E_SHORT},
    {gm_cbor_skip, "9bffffffffffffffff00", GM_E_SHORT},
    {gm_cbor_skip, "fb0000", GM_E_SHORT},
    {gm_cbor_skip, "811f", GM_E_MALFORMED},
};

Test(cbor, names_what_is_wrong)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct fixture f;
		failures[i].read(of_hex(&f, failures[i].hex));
		cr_expect_eq(f.in.err, failures[i].err, "%s: %s", failures[i].hex, gm_err_info(f.in.err)->name);
		cr_expect_eq(gm_cbor_peek(&f.in), GM_CBOR_END);
	}
}

Test(cbor, keeps_its_first_error)
{
	struct fixture f;
	struct gm_in *in = of_hex(&f, "0102");
	gm_cbor_bstr(in);
	cr_expect_eq(gm_cbor_uint(in), 0);
	cr_expect_eq(gm_cbor_end(in), GM_E_TYPE);
}

Test(cbor, says_trailing_where_bytes_are_left)
{
	struct fixture f;
	gm_cbor_uint(of_hex(&f, "0102"));
	cr_expect_eq(gm_cbor_end(&f.in), GM_E_TRAILING);
}

Test(cbor, returns_an_item_as_it_stands)
{
	struct fixture f;
	struct gm_in *in = of_hex(&f, "a201820203d81840fb3ff199999999999a"
	                              "17");
	struct gm_bytes item = gm_cbor_item(in);
	cr_expect_eq(item.p, f.b);
	cr_expect_eq(item.n, 17);
	cr_expect_eq(gm_cbor_uint(in), 23);
	cr_expect_eq(gm_cbor_end(in), GM_E_OK);
}

Test(cbor, returns_no_item_where_one_is_broken)
{
	struct fixture f;
	cr_expect_null(gm_cbor_item(of_hex(&f, "8201")).p);
}

Test(cbor, goes_down_sixteen_levels_and_no_further)
{
	for (unsigned kind = 0; kind < 3; kind++) { /* arrays, map values, tags */
		static const char *const down[] = {"81", "a100", "c0"};
		for (unsigned levels = GM_CBOR_DEPTH_MAX; levels <= GM_CBOR_DEPTH_MAX + 1; levels++) {
			char hex[128] = "";
			for (unsigned i = 0; i < levels; i++)
				strcat(hex, down[kind]);
			strcat(hex, "00");
			struct fixture f;
			gm_cbor_skip(of_hex(&f, hex));
			cr_expect_eq(f.in.err, levels == GM_CBOR_DEPTH_MAX ? GM_E_OK : GM_E_DEPTH, "%s", hex);
		}
	}
}

Test(cbor, takes_text_only_in_utf_8)
{
	static const char *const good[] = {"60",         "6161",       "62c280",    "62c3bc",   "62dfbf",
	                                   "63e0a080",   "63e6b0b4",   "63ed9fbf",  "63ee8080", "63efbfbf",
	                                   "647ac3bc7a", "64f0908080", "64f48fbfbf"};
	static const char *const bad[] = {"6180",       "61ff",       "61c3",       "62c080",    "62c1bf",   "62c328",
	                                  "62e6b0",     "63e09fbf",   "63eda080",   "63edbfbf",  "63e6b041", "63f09085",
	                                  "64f08fbfbf", "64f4908080", "64f5808080", "64f0908041"};
	struct fixture f;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		gm_cbor_tstr(of_hex(&f, good[i]));
		cr_expect_eq(gm_cbor_end(&f.in), GM_E_OK, "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_null(gm_cbor_tstr(of_hex(&f, bad[i])).p);
		cr_expect_eq(gm_cbor_end(&f.in), GM_E_MALFORMED, "%s", bad[i]);
	}
}

/* The C library writes the characters, and knows which are controls. */
Test(utf_8, is_read_as_written_and_hides_controls_and_what_turns_the_direction_of_text)
{
	char bytes[MB_LEN_MAX];
	unsigned turns = 0;

	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (uint32_t c = 0; c < 0x110000; c++) {
		mbstate_t state = {0};
		size_t n = wcrtomb(bytes, (wchar_t)c, &state);
		if (n == (size_t)-1)
			continue; /* surrogates */
		cr_assert_eq(gm_utf8_len((const uint8_t *)bytes, n), n);
		cr_assert_eq(gm_utf8_char((const uint8_t *)bytes, n), c, "%x", c);
		bool turns_text = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
		cr_assert_eq(gm_utf8_hides(c), iswcntrl((wint_t)c) || turns_text, "%x", c);
		turns += turns_text;
	}
	cr_expect_eq(turns, 12, "all that Unicode has: its property Bidi_Control");
}

Test(utf_8, is_shown_with_a_question_mark_for_what_is_hidden_and_for_each_byte_that_is_none)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {{"", ""}, {"a\nb", "a?b"}, {"\xc3\xbc\xe2\x80\xae" "x", "\xc3\xbc?x"}, {"\xc3", "?"}, {"\xe2\x82" "a", "??a"}, {"\x1b[2J", "?[2J"}};
	char other[16], own[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(own, sizeof own, "%s", cases[i].text);
		other[gm_utf8_shown(other, (const uint8_t *)own, strlen(own))] = '\0';
		own[gm_utf8_shown(own, (const uint8_t *)own, strlen(own))] = '\0';
		cr_expect_str_eq(other, cases[i].shown);
		cr_expect_str_eq(own, cases[i].shown, "in its place");
	}
}

Test(cbor, says_room_and_writes_no_byte_past_the_end)
{
	uint8_t b[4] = {0, 0, 0, 0x77};
	struct gm_out out = gm_out(b, 3);
	gm_cbor_put_bstr(&out, "abc", 3);
	cr_expect_eq(out.err, GM_E_ROOM);
	cr_expect_eq(b[3], 0x77);
}

/* ---- what went wrong elsewhere: tests/regression.md */

/* Sizes declared and not there: refused at the head, before anything is made of them. */
Test(cbor, refuses_every_size_that_is_not_there_at_its_head)
{
	static const uint8_t majors[] = {0x40, 0x60, 0x80, 0xa0};
	static const uint64_t sizes[] = {9, 255, 65536, UINT32_MAX, (uint64_t)1 << 32, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 8, UINT64_MAX};
	static void (*const read[])(struct gm_in *) = {read_bstr, read_tstr, read_array, read_map};

	for (unsigned m = 0; m < 4; m++) {
		for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			uint8_t *b = malloc(9 + 4);
			b[0] = majors[m] | 27;
			for (unsigned i = 0; i < 8; i++)
				b[1 + i] = (uint8_t)(sizes[s] >> (56 - 8 * i));
			memset(b + 9, 0, 4);
			struct gm_in typed = gm_in(b, 13), any = gm_in(b, 13);
			read[m](&typed);
			cr_expect_neq(typed.err, GM_E_OK, "%02x of %llu", b[0], (unsigned long long)sizes[s]);
			cr_expect_null(gm_cbor_item(&any).p);
			cr_expect_neq(any.err, GM_E_OK);
			free(b);
		}
	}
}

Test(cbor, refuses_a_hundred_thousand_levels)
{
	static const uint8_t down[] = {0x81, 0xa1, 0xc1, 0xd8, 0x9b};
	enum { LEVELS = 100000 };
	uint8_t *b = malloc(LEVELS);

	for (unsigned kind = 0; kind < sizeof(down); kind++) {
		memset(b, down[kind], LEVELS);
		struct gm_in in = gm_in(b, LEVELS);
		gm_cbor_skip(&in);
		cr_expect(in.err == GM_E_DEPTH || in.err == GM_E_SHORT, "%02x: %s", down[kind], gm_err_info(in.err)->name);
		cr_expect(in.err == GM_E_DEPTH || kind == 4);
	}
	free(b);
}
