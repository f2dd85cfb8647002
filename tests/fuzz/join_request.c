/* SPDX-License-Identifier: Apache-2.0 */
/* A Join: what was decoded, written again, decodes to the same. */
#include "insist.h"

#include "wire/groupcomm.h"

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	struct gm_join_request r;
	struct gm_uri uri;

	if (gm_join_request_decode(input, &r) != GM_E_OK)
		return false;
	insist(r.group.n && r.cnonce.n && r.cnonce.n <= GM_NONCE_MAX && r.cred.n <= GM_CRED_MAX);
	insist(r.roles == 2 || r.roles == 4 || r.roles == 6 || r.roles == 8);
	insist((r.get_creds == GM_CREDS_ROLES) == (r.role_filter_n > 0) && r.role_filter_n <= GM_ROLE_FILTER_MAX);
	if (r.control_uri.p && gm_uri_decode(r.control_uri, &uri) == GM_E_OK)
		insist(uri.path.n > 0);
	gm_join_request_encode(out, &r);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	insist_stable(rewrite, data, size);
	return 0;
}
