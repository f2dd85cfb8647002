/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of a token: claims only of an active one, and they are whole. */
#include "insist.h"

#include "wire/introspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_cwt claims;
	bool active = true;

	enum gm_err err = gm_introspect_decode((struct gm_bytes){data, size}, &active, &claims);
	insist(!active || (err == GM_E_OK && claims.scope.p && (claims.exp >= 0 || claims.exi >= 0)));
	insist(active || (!claims.has_osc && !claims.scope.p));
	return 0;
}
