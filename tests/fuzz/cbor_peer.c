/* SPDX-License-Identifier: Apache-2.0 */
/* Our decoder beside libcbor: both take or refuse an item, and read the same from it, but for what the table below names. */
#include "insist.h"

#include <cbor.h>

#include "wire/cbor.h"

/* ---- what libcbor makes of it */

/* Where the two may differ, and why.
 *
 *   lengths that are not told                 we refuse: no message of ACE or OSCORE needs them, and they nest without bound
 *   deeper than GM_CBOR_DEPTH_MAX             we refuse; libcbor goes down 2,048
 *   simple values without a meaning           libcbor refuses; they are well-formed (RFC 8949 section 3.3), and no reader of ours takes one
 *   tags 6 to 20, of COSE too                 libcbor 0.8 refuses: nobody had assigned them when it was written
 *   texts that are no UTF-8                   libcbor refuses; we pass by them, and refuse to read them
 */
enum differs { DIFFERS_NOT, DIFFERS_INDEFINITE, DIFFERS_DEEP };

static bool is_indefinite(const cbor_item_t *item)
{
	switch (cbor_typeof(item)) {
	case CBOR_TYPE_BYTESTRING:
		return cbor_bytestring_is_indefinite(item);
	case CBOR_TYPE_STRING:
		return cbor_string_is_indefinite(item);
	case CBOR_TYPE_ARRAY:
		return cbor_array_is_indefinite(item);
	case CBOR_TYPE_MAP:
		return cbor_map_is_indefinite(item);
	default:
		return false;
	}
}

static enum differs reason(cbor_item_t *item, unsigned depth);

static enum differs reason_of(cbor_item_t *const *items, size_t n, unsigned depth)
{
	enum differs why = DIFFERS_NOT;

	for (size_t i = 0; i < n && why == DIFFERS_NOT; i++)
		why = reason(items[i], depth);
	return why;
}

static enum differs reason_of_pairs(const struct cbor_pair *pairs, size_t n, unsigned depth)
{
	enum differs why = DIFFERS_NOT;

	for (size_t i = 0; i < n && why == DIFFERS_NOT; i++) {
		cbor_item_t *two[] = {pairs[i].key, pairs[i].value};
		why = reason_of(two, 2, depth);
	}
	return why;
}

/* Why we may refuse what libcbor takes. */
static enum differs reason(cbor_item_t *item, unsigned depth)
{
	size_t n = cbor_isa_array(item) ? cbor_array_size(item) : cbor_isa_map(item) ? cbor_map_size(item) : cbor_isa_tag(item);

	if (is_indefinite(item))
		return DIFFERS_INDEFINITE;
	if (n && depth == GM_CBOR_DEPTH_MAX)
		return DIFFERS_DEEP;
	if (cbor_isa_array(item))
		return reason_of(cbor_array_handle(item), n, depth + 1);
	if (cbor_isa_map(item))
		return reason_of_pairs(cbor_map_handle(item), n, depth + 1);
	if (!cbor_isa_tag(item))
		return DIFFERS_NOT;
	cbor_item_t *inner = cbor_tag_item(item); /* one reference more */
	enum differs why = reason(inner, depth + 1);
	cbor_intermediate_decref(inner);
	return why;
}

/* ---- the same values */

static void insist_same(struct gm_in *in, cbor_item_t *item);

static void insist_same_string(struct gm_bytes ours, const unsigned char *theirs, size_t n)
{
	insist(ours.n == n && (n == 0 || memcmp(ours.p, theirs, n) == 0));
}

static void insist_same_text(struct gm_in *in, cbor_item_t *item)
{
	struct gm_bytes text = gm_cbor_tstr(in);

	insist_same_string(text, cbor_string_handle(item), cbor_string_length(item));
}

static void insist_same_simple(struct gm_in *in, cbor_item_t *item)
{
	struct gm_bytes whole = gm_cbor_item(in);
	struct gm_in again = gm_in_bytes(whole);

	if (!cbor_float_ctrl_is_ctrl(item)) {
		insist(whole.n == 1 + ((size_t)1 << cbor_float_get_width(item)));
		return;
	}
	if (cbor_is_bool(item)) {
		insist(gm_cbor_bool(&again) == cbor_get_bool(item));
		insist(again.err == GM_E_OK);
	} else {
		insist(gm_cbor_is_null(&again) == cbor_is_null(item));
	}
}

static void insist_same_map(struct gm_in *in, cbor_item_t *item)
{
	uint64_t n = gm_cbor_map(in);

	insist(n == cbor_map_size(item));
	for (size_t i = 0; i < n; i++) {
		insist_same(in, cbor_map_handle(item)[i].key);
		insist_same(in, cbor_map_handle(item)[i].value);
	}
}

static void insist_same_array(struct gm_in *in, cbor_item_t *item)
{
	uint64_t n = gm_cbor_array(in);

	insist(n == cbor_array_size(item));
	for (size_t i = 0; i < n; i++)
		insist_same(in, cbor_array_handle(item)[i]);
}

static void insist_same_tag(struct gm_in *in, cbor_item_t *item)
{
	cbor_item_t *inner = cbor_tag_item(item);

	insist(gm_cbor_tag(in) == cbor_tag_value(item));
	insist_same(in, inner);
	cbor_intermediate_decref(inner);
}

static void insist_same_negative(struct gm_in *in, cbor_item_t *item)
{
	struct gm_in ahead = *in;
	int64_t v = gm_cbor_int(&ahead);
	uint64_t theirs = cbor_get_int(item);

	insist((ahead.err == GM_E_OK) == (theirs <= INT64_MAX));
	insist(ahead.err != GM_E_OK || v == -1 - (int64_t)theirs);
	gm_cbor_skip(in);
}

static void insist_same(struct gm_in *in, cbor_item_t *item)
{
	struct gm_bytes b;

	insist((unsigned)gm_cbor_peek(in) == (unsigned)cbor_typeof(item));
	switch (cbor_typeof(item)) {
	case CBOR_TYPE_UINT:
		insist(gm_cbor_uint(in) == cbor_get_int(item));
		break;
	case CBOR_TYPE_NEGINT:
		insist_same_negative(in, item);
		break;
	case CBOR_TYPE_BYTESTRING:
		b = gm_cbor_bstr(in);
		insist_same_string(b, cbor_bytestring_handle(item), cbor_bytestring_length(item));
		break;
	case CBOR_TYPE_STRING:
		insist_same_text(in, item);
		break;
	case CBOR_TYPE_ARRAY:
		insist_same_array(in, item);
		break;
	case CBOR_TYPE_MAP:
		insist_same_map(in, item);
		break;
	case CBOR_TYPE_TAG:
		insist_same_tag(in, item);
		break;
	case CBOR_TYPE_FLOAT_CTRL:
		insist_same_simple(in, item);
		break;
	}
	insist(in->err == GM_E_OK);
}

/* ---- why libcbor may refuse what we take */

static bool is_odd(struct gm_in *in);

static bool any_odd(struct gm_in *in, uint64_t n)
{
	bool odd = false;

	for (; n; n--)
		odd |= is_odd(in);
	return odd;
}

static bool is_odd_text(struct gm_in *in)
{
	struct gm_in ahead = *in;

	gm_cbor_tstr(&ahead);
	gm_cbor_skip(in);
	return ahead.err == GM_E_MALFORMED;
}

static bool is_odd_simple(struct gm_in *in)
{
	struct gm_bytes item = gm_cbor_item(in);

	return item.n && (item.p[0] < 0xf4 || item.p[0] == 0xf8);
}

static bool is_odd_tag(struct gm_in *in)
{
	bool odd = in->p[0] >= 0xc6 && in->p[0] <= 0xd4;

	gm_cbor_tag(in);
	return is_odd(in) || odd;
}

/* Is there one of the last three rows of the table in it? */
static bool is_odd(struct gm_in *in)
{
	switch (gm_cbor_peek(in)) {
	case GM_CBOR_TSTR:
		return is_odd_text(in);
	case GM_CBOR_ARRAY:
		return any_odd(in, gm_cbor_array(in));
	case GM_CBOR_MAP:
		return any_odd(in, 2 * gm_cbor_map(in));
	case GM_CBOR_TAG:
		return is_odd_tag(in);
	case GM_CBOR_SIMPLE:
		return is_odd_simple(in);
	default:
		gm_cbor_skip(in);
		return false;
	}
}

/* ---- what would make libcbor fill gigabytes: it writes to as many places as are promised */

struct promises {
	size_t left;
	bool too_many;
};

static void note_promise(void *arg, size_t n)
{
	struct promises *p = arg;

	p->too_many |= n > p->left;
}

static bool promises_too_much(const uint8_t *data, size_t size)
{
	struct cbor_callbacks callbacks = cbor_empty_callbacks;
	struct promises p = {.left = size};

	callbacks.array_start = callbacks.map_start = note_promise;
	while (p.left) {
		struct cbor_decoder_result r = cbor_stream_decode(data + size - p.left, p.left, &callbacks, &p);
		if (r.status != CBOR_DECODER_FINISHED)
			break;
		p.left -= r.read;
	}
	return p.too_many;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_in whole = gm_in(data, size), in = whole;
	struct cbor_load_result result = {0};

	gm_cbor_skip(&whole);
	if (whole.err == GM_E_OK)
		size = (size_t)(whole.p - data);
	else if (promises_too_much(data, size))
		return 0;
	cbor_item_t *item = cbor_load(data, size, &result);
	if (whole.err == GM_E_OK && item) {
		insist((size_t)(whole.p - data) == result.read);
		insist_same(&in, item);
	} else if (whole.err == GM_E_OK) {
		insist(is_odd(&in));
	} else if (item) {
		insist(reason(item, 0) != DIFFERS_NOT);
	}
	if (item)
		cbor_decref(&item);
	return 0;
}
