/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include "ctl/verbs.h"
#include "ctl/verbs/call.h"
#include "gm/crypto.h"

static void (*const functions[])(struct gm_call *call) = { /* parallel to gm_ctl_verbs */
#define GM_VERB(words, arguments, kind, view, function, text) gm_verb_##function,
#include "ctl/verbs.def"
#undef GM_VERB
};

void gm_ctl_run(void *env, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	const struct gm_ctl_verb *verb = gm_ctl_verb(request->verb);
	struct gm_call call = {.env = env, .request = request, .reply = reply, .after = UINT32_MAX};
	char why[256];

	if (!verb) {
		gm_ctl_error(reply, GM_E_USAGE, "no such command '%s'", request->verb);
		return;
	}
	if (gm_ctl_check(verb, request, why) != GM_E_OK) {
		gm_ctl_error(reply, GM_E_USAGE, "%s", why);
		return;
	}
	if (!gm_call_uint(&call, "after", UINT32_MAX, &call.after))
		return;
	call.env->txn(call.env->arg, &call.txn);
	functions[verb - gm_ctl_verbs](&call);
	gm_wipe(&call.txn, sizeof(call.txn));
}
