/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

void gm_verb_watch(struct gm_ctl_call *call)
{
	if (gm_call_copy(call, "group", call->reply->group, sizeof(call->reply->group)))
		call->reply->watches = true; /* the server says the rest */
	call->reply->no_members = gm_call_flag(call, "no-members");
}
