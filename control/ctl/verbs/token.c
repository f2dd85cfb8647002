/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

void gm_verb_token_revoke(struct gm_ctl_call *call)
{
	const struct gm_ctl_arg *hash = gm_ctl_arg(call->request, "hash");
	unsigned evicted = 0;

	if (gm_core_revoke(call->env->core, &call->txn, (struct gm_bytes){(const uint8_t *)hash->text, hash->n}, &evicted) != GM_E_OK) {
		gm_ctl_error(call->reply, GM_E_USAGE, "hash: 01 and the 32 bytes of a SHA-256 are needed, in hexadecimal digits");
		return;
	}
	gm_ctl_put_uint(call->reply, "evicted", evicted);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}
