/* SPDX-License-Identifier: Apache-2.0 */
/* An item, read by the typed readers and written again: shortest heads throughout. */
#ifndef GM_TEST_CBOR_COPY_H
#define GM_TEST_CBOR_COPY_H

#include "wire/cbor.h"

static inline void cbor_copy(struct gm_in *in, struct gm_out *out);

static inline void cbor_copy_several(struct gm_in *in, struct gm_out *out, uint64_t n)
{
	for (; n && in->err == GM_E_OK; n--)
		cbor_copy(in, out);
}

static inline void cbor_copy_simple(struct gm_in *in, struct gm_out *out)
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

static inline void cbor_copy(struct gm_in *in, struct gm_out *out)
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
		cbor_copy_several(in, out, n);
		break;
	case GM_CBOR_MAP:
		n = gm_cbor_map(in);
		gm_cbor_put_map(out, n);
		cbor_copy_several(in, out, 2 * n);
		break;
	case GM_CBOR_TAG:
		gm_cbor_put_tag(out, gm_cbor_tag(in));
		cbor_copy(in, out);
		break;
	case GM_CBOR_SIMPLE:
		cbor_copy_simple(in, out);
		break;
	case GM_CBOR_END:
		gm_cbor_skip(in);
		break;
	}
}

#endif
