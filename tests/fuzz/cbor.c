/* SPDX-License-Identifier: Apache-2.0 */
/* An item: what the typed readers read, written again, is not longer and skips and copies to the same bytes. */
#include <stdlib.h>

#include "cbor_copy.h"

static void insist(bool holds)
{
	if (!holds)
		abort();
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
	cbor_copy(&in, &out);
	insist(whole.err == GM_E_OK || in.err != GM_E_OK);
	if (in.err == GM_E_OK) {
		insist((size_t)(in.p - data) == item.n);
		insist(out.err == GM_E_OK && gm_out_len(&out) <= item.n);
		struct gm_in again = gm_in_bytes(gm_out_result(&out));
		cbor_copy(&again, &out2);
		insist(gm_cbor_end(&again) == GM_E_OK);
		insist(gm_bytes_eq(gm_out_result(&out), gm_out_result(&out2)));
	} else if (whole.err == GM_E_OK) { /* well-formed, but beyond what we read */
		insist(in.err == GM_E_RANGE || in.err == GM_E_MALFORMED);
	}
	free(b);
	free(b2);
	return 0;
}
