/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: what was decoded, written again, decodes to the same. */
#include "insist.h"

#include "wire/cwt.h"

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	struct gm_cwt cwt;
	if (gm_cwt_decode(input, &cwt) != GM_E_OK)
		return false;
	insist(cwt.exp >= 0 || cwt.exi >= 0);
	insist(!cwt.has_osc || (cwt.osc.id.p && cwt.osc.ms.p && !cwt.cnf_kid.p));
	gm_cwt_encode(out, &cwt);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	insist_stable(rewrite, data, size);
	return 0;
}
