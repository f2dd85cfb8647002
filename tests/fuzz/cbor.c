/* SPDX-License-Identifier: Apache-2.0 */
/* An item: what the typed readers read, written again, is not longer and skips and copies to the same bytes. */
#include <stdlib.h>

#include "wire/cbor.h"

static void insist(bool holds)
{
	if (!holds)
		abort();
}

static void copy(struct gm_in *in, struct gm_out *out);

static void copy_items(struct gm_in *in, struct gm_out *out, uint64_t n)
{
	for (; n && in->err == GM_E_OK; n--)
		copy(in, out);
}

static void copy_simple(struct gm_in *in, struct gm_out *out)
{
	struct gm_in ahead = *in;
	bool v = gm_cbor_bool(&ahead);
	if (gm_cbor_is_null(in)) {
		gm_cbor_null(in);
		gm_cbor_put_null(out);
	} else if (ahead.err == GM_E_OK) {
		*in = ahead;
		gm_cbor_put_bool(out, v);
	} else { /* floats and the like have no reader */
		struct gm_bytes item = gm_cbor_item(in);
		gm_out_bytes(out, item.p, item.n);
	}
}

static void copy(struct gm_in *in, struct gm_out *out)
{
	struct gm_bytes b;
	uint64_t n;

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
		gm_cbor_put_uint(out, gm_cbor_uint(in));
		break;
	case GM_CBOR_NINT:
		gm_cbor_put_int(out, gm_cbor_int(in));
		break;
	case GM_CBOR_BSTR:
		b = gm_cbor_bstr(in);
		gm_cbor_put_bstr(out, b.p, b.n);
		break;
	case GM_CBOR_TSTR:
		b = gm_cbor_tstr(in);
		gm_cbor_put_tstr(out, b.p, b.n);
		break;
	case GM_CBOR_ARRAY:
		n = gm_cbor_array(in);
		gm_cbor_put_array(out, n);
		copy_items(in, out, n);
		break;
	case GM_CBOR_MAP:
		n = gm_cbor_map(in);
		gm_cbor_put_map(out, n);
		copy_items(in, out, 2 * n);
		break;
	case GM_CBOR_TAG:
		gm_cbor_put_tag(out, gm_cbor_tag(in));
		copy(in, out);
		break;
	case GM_CBOR_SIMPLE:
		copy_simple(in, out);
		break;
	case GM_CBOR_END:
		gm_cbor_skip(in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_in whole = gm_in(data, size), in = whole;
	struct gm_bytes item = gm_cbor_item(&whole);
	if (whole.err != GM_E_OK) {
		insist(item.p == NULL && gm_cbor_peek(&whole) == GM_CBOR_END);
		if (whole.err == GM_E_DEPTH)
			return 0; /* the readers leave the depth to their callers */
	}

	uint8_t *b = malloc(size + 64), *b2 = malloc(size + 64);
	struct gm_out out = gm_out(b, size + 64), out2 = gm_out(b2, size + 64);
	copy(&in, &out);
	insist(whole.err == GM_E_OK || in.err != GM_E_OK);
	if (in.err == GM_E_OK) {
		insist((size_t)(in.p - data) == item.n);
		insist(out.err == GM_E_OK && gm_out_len(&out) <= item.n);
		struct gm_in again = gm_in_bytes(gm_out_result(&out));
		copy(&again, &out2);
		insist(gm_cbor_end(&again) == GM_E_OK);
		insist(gm_bytes_eq(gm_out_result(&out), gm_out_result(&out2)));
	} else if (whole.err == GM_E_OK) { /* well-formed, but beyond what we read */
		insist(in.err == GM_E_RANGE || in.err == GM_E_MALFORMED);
	}
	free(b);
	free(b2);
	return 0;
}
