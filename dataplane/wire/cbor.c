/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cbor.h"

_Static_assert(sizeof(size_t) >= sizeof(uint64_t), "lengths of strings go to gm_in_take() as they are");

#define FALSE 0xf4u
#define TRUE 0xf5u
#define NULL_ITEM 0xf6u

struct head {
	enum gm_cbor_type type;
	uint8_t info;
	uint64_t value;
};

static struct head take_head(struct gm_in *in)
{
	uint8_t first = gm_in_u8(in);
	struct head h = {.type = (enum gm_cbor_type)(first >> 5), .info = first & 0x1f};

	if (h.info < 24)
		h.value = h.info;
	else if (h.info < 28)
		h.value = gm_in_be(in, (size_t)1 << (h.info - 24));
	else
		gm_in_fail(in, GM_E_MALFORMED); /* reserved, indefinite length, break */
	return h;
}

/* Argument of the next item, which has to be of the type; 0 on failure. */
static uint64_t take_typed(struct gm_in *in, enum gm_cbor_type type)
{
	enum gm_cbor_type next = gm_cbor_peek(in);
	if (next != type) {
		gm_in_fail(in, next == GM_CBOR_END ? GM_E_SHORT : GM_E_TYPE);
		return 0;
	}
	return take_head(in).value;
}

enum gm_cbor_type gm_cbor_peek(const struct gm_in *in)
{
	return gm_in_left(in) ? (enum gm_cbor_type)(in->p[0] >> 5) : GM_CBOR_END;
}

uint64_t gm_cbor_uint(struct gm_in *in)
{
	return take_typed(in, GM_CBOR_UINT);
}

int64_t gm_cbor_int(struct gm_in *in)
{
	bool negative = gm_cbor_peek(in) == GM_CBOR_NINT;
	uint64_t v = take_typed(in, negative ? GM_CBOR_NINT : GM_CBOR_UINT);
	if (v > INT64_MAX) {
		gm_in_fail(in, GM_E_RANGE);
		return 0;
	}
	if (in->err != GM_E_OK)
		return 0;
	return negative ? -1 - (int64_t)v : (int64_t)v;
}

struct gm_bytes gm_cbor_bstr(struct gm_in *in)
{
	uint64_t n = take_typed(in, GM_CBOR_BSTR);
	return gm_in_take(in, n);
}

size_t gm_utf8_len(const uint8_t *p, size_t left)
{
	uint8_t lead = p[0];
	if (lead < 0x80)
		return 1;
	size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (lead < 0xc2 || lead > 0xf4 || left < n)
		return 0;

	/* no overlong forms, no surrogates, nothing above U+10FFFF */
	uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

uint32_t gm_utf8_char(const uint8_t *p, size_t len)
{
	uint32_t c = len > 1 ? p[0] & (0x7fu >> len) : p[0];

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

bool gm_utf8_hides(uint32_t c)
{
	static const struct {
		uint16_t first, last;
	} hidden[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return false;
}

size_t gm_utf8_shown(char *to, const uint8_t *p, size_t n)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < n; at += len ? len : 1) {
		len = gm_utf8_len(p + at, n - at);
		if (!len || gm_utf8_hides(gm_utf8_char(p + at, len))) {
			to[kept++] = '?';
			continue;
		}
		memmove(to + kept, p + at, len);
		kept += len;
	}
	return kept;
}

static bool utf8_valid(struct gm_bytes text)
{
	for (size_t at = 0, n; at < text.n; at += n) {
		n = gm_utf8_len(text.p + at, text.n - at);
		if (n == 0)
			return false;
	}
	return true;
}

struct gm_bytes gm_cbor_tstr(struct gm_in *in)
{
	uint64_t n = take_typed(in, GM_CBOR_TSTR);
	struct gm_bytes text = gm_in_take(in, n);
	if (!utf8_valid(text)) {
		gm_in_fail(in, GM_E_MALFORMED);
		return (struct gm_bytes){0};
	}
	return text;
}

/* An element takes a byte at least: what promises more than is there need not be walked. */
static uint64_t take_count(struct gm_in *in, enum gm_cbor_type type, uint64_t bytes_each)
{
	uint64_t n = take_typed(in, type);
	if (n > gm_in_left(in) / bytes_each) {
		gm_in_fail(in, GM_E_RANGE);
		return 0;
	}
	return n;
}

uint64_t gm_cbor_array(struct gm_in *in)
{
	return take_count(in, GM_CBOR_ARRAY, 1);
}

uint64_t gm_cbor_map(struct gm_in *in)
{
	return take_count(in, GM_CBOR_MAP, 2);
}

uint64_t gm_cbor_tag(struct gm_in *in)
{
	return take_typed(in, GM_CBOR_TAG);
}

bool gm_cbor_bool(struct gm_in *in)
{
	uint8_t v = gm_in_u8(in);
	if (v != TRUE && v != FALSE)
		gm_in_fail(in, GM_E_TYPE);
	return v == TRUE;
}

void gm_cbor_null(struct gm_in *in)
{
	if (gm_in_u8(in) != NULL_ITEM)
		gm_in_fail(in, GM_E_TYPE);
}

bool gm_cbor_is_null(const struct gm_in *in)
{
	return gm_in_left(in) && in->p[0] == NULL_ITEM;
}

static void skip(struct gm_in *in, unsigned depth) /* NOLINT(misc-no-recursion): depth ends it */
{
	struct head h = take_head(in);
	uint64_t inside = 0;

	switch (h.type) {
	case GM_CBOR_BSTR:
	case GM_CBOR_TSTR:
		gm_in_take(in, h.value);
		break;
	case GM_CBOR_ARRAY:
	case GM_CBOR_MAP:
		if (h.value > gm_in_left(in))
			gm_in_fail(in, GM_E_SHORT);
		inside = h.type == GM_CBOR_MAP ? 2 * h.value : h.value;
		break;
	case GM_CBOR_TAG:
		inside = 1;
		break;
	case GM_CBOR_SIMPLE:
		if (h.info == 24 && h.value < 32)
			gm_in_fail(in, GM_E_MALFORMED); /* RFC 8949 §3.3 */
		break;
	default:
		break;
	}
	if (inside && depth == GM_CBOR_DEPTH_MAX)
		gm_in_fail(in, GM_E_DEPTH);
	for (; inside && in->err == GM_E_OK; inside--)
		skip(in, depth + 1);
}

struct gm_bytes gm_cbor_item(struct gm_in *in)
{
	const uint8_t *start = in->p;
	skip(in, 0);
	if (in->err != GM_E_OK)
		return (struct gm_bytes){0};
	return (struct gm_bytes){.p = start, .n = (size_t)(in->p - start)};
}

void gm_cbor_skip(struct gm_in *in)
{
	skip(in, 0);
}

enum gm_err gm_cbor_end(struct gm_in *in)
{
	if (gm_in_left(in))
		gm_in_fail(in, GM_E_TRAILING);
	return in->err;
}

static void put_head(struct gm_out *out, enum gm_cbor_type type, uint64_t v)
{
	uint8_t major = (uint8_t)(type << 5);
	if (v < 24) {
		gm_out_u8(out, (uint8_t)(major | v));
		return;
	}
	unsigned log2_n = v <= UINT8_MAX ? 0 : v <= UINT16_MAX ? 1 : v <= UINT32_MAX ? 2 : 3;
	gm_out_u8(out, (uint8_t)(major | (24 + log2_n)));
	gm_out_be(out, v, (size_t)1 << log2_n);
}

void gm_cbor_put_uint(struct gm_out *out, uint64_t v)
{
	put_head(out, GM_CBOR_UINT, v);
}

void gm_cbor_put_int(struct gm_out *out, int64_t v)
{
	if (v < 0)
		put_head(out, GM_CBOR_NINT, ~(uint64_t)v);
	else
		put_head(out, GM_CBOR_UINT, (uint64_t)v);
}

void gm_cbor_put_bstr_head(struct gm_out *out, uint64_t n)
{
	put_head(out, GM_CBOR_BSTR, n);
}

void gm_cbor_put_bstr(struct gm_out *out, const void *p, size_t n)
{
	put_head(out, GM_CBOR_BSTR, n);
	gm_out_bytes(out, p, n);
}

void gm_cbor_put_tstr(struct gm_out *out, const void *p, size_t n)
{
	put_head(out, GM_CBOR_TSTR, n);
	gm_out_bytes(out, p, n);
}

void gm_cbor_put_text(struct gm_out *out, const char *s)
{
	gm_cbor_put_tstr(out, s, strlen(s));
}

void gm_cbor_put_array(struct gm_out *out, uint64_t n)
{
	put_head(out, GM_CBOR_ARRAY, n);
}

void gm_cbor_put_map(struct gm_out *out, uint64_t n)
{
	put_head(out, GM_CBOR_MAP, n);
}

void gm_cbor_put_tag(struct gm_out *out, uint64_t tag)
{
	put_head(out, GM_CBOR_TAG, tag);
}

void gm_cbor_put_bool(struct gm_out *out, bool v)
{
	gm_out_u8(out, v ? TRUE : FALSE);
}

void gm_cbor_put_null(struct gm_out *out)
{
	gm_out_u8(out, NULL_ITEM);
}
