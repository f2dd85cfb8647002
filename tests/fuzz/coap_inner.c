/* SPDX-License-Identifier: Apache-2.0 */
/* A plaintext: behind a head it decodes to the same as alone. */
#include "same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_coap inner, whole;
	enum gm_err err = gm_coap_decode_inner((struct gm_bytes){data, size}, &inner);
	if (size == 0 || data[0] == GM_COAP_EMPTY)
		return 0; /* empty messages are never protected */

	uint8_t *b = malloc(size + 3);
	struct gm_out out = gm_out(b, size + 3);
	gm_coap_put_head(&out, GM_COAP_NON, data[0], 1, NULL, 0);
	gm_out_bytes(&out, data + 1, size - 1);
	insist(out.err == GM_E_OK);
	insist(gm_coap_decode(gm_out_result(&out), &whole) == err);
	if (err == GM_E_OK) {
		insist_same(&inner, &whole);
		insist(inner.if_match_n || inner.unknown_critical == whole.unknown_critical); /* If-Match has to be protected */
		insist(inner.path_more == whole.path_more);
		insist(inner.has_proxy == whole.has_proxy);
	}
	free(b);
	return 0;
}
