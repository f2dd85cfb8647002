/* SPDX-License-Identifier: Apache-2.0 */
/* A POST to authz-info, and the response to it: what was decoded, written again, decodes to the same. */
#include "insist.h"

#include "wire/groupcomm.h"

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	struct gm_token_request r;
	if (gm_token_request_decode(input, &r) != GM_E_OK)
		return false;
	insist(r.token.p && r.nonce1.n <= GM_NONCE_MAX);
	gm_token_request_encode(out, &r);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_token_response response;

	insist_stable(rewrite, data, size);
	if (gm_token_response_decode((struct gm_bytes){data, size}, &response) == GM_E_OK)
		insist(response.infos.n < size);
	return 0;
}
