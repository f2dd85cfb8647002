/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include "ctl/verbs.h"
#include "ctl/verbs/call.h"
#include "gm/crypto.h"

static void (*const functions[])(struct gm_ctl_call *call) = { /* parallel to gm_ctl_verbs */
#define GM_VERB(words, arguments, who, what, view, function, text) gm_verb_##function,
#define GM_LOCAL(words, arguments, function, text) NULL,
#include "ctl/verbs.def"
#undef GM_VERB
#undef GM_LOCAL
};

/* false: said why */
static bool permitted(const struct gm_ctl_verb *verb, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	char why[256];

	if (!verb || verb->local)
		gm_ctl_error(reply, GM_E_USAGE, "no such command '%s'", request->verb);
	else if (request->level < verb->level) {
		gm_call_log(request, "ctl.refused", verb->name);
		gm_ctl_error(reply, GM_E_DENIED, "%s: permission denied: it takes %s %s, you are %s %s", verb->name,
		             verb->level == GM_CTL_VIEWER ? "a" : "an", gm_ctl_level_text(verb->level),
		             request->level == GM_CTL_OPERATOR ? "an" : "a", gm_ctl_level_text(request->level));
	} else if (gm_ctl_check(verb, request, why) != GM_E_OK)
		gm_ctl_error(reply, GM_E_USAGE, "%s", why);
	else
		return true;
	return false;
}

void gm_ctl_run(void *env, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	const struct gm_ctl_verb *verb = gm_ctl_verb(request->verb);
	struct gm_ctl_call call = {.env = env, .request = request, .reply = reply, .after = UINT32_MAX};

	if (!permitted(verb, request, reply) || !gm_call_uint(&call, "after", UINT32_MAX, &call.after))
		return;
	bool looks = gm_call_flag(&call, "preview");
	if (verb->change && !looks)
		gm_call_log(request, "ctl.change", verb->name);
	call.env->txn(call.env->arg, &call.txn);
	if (looks)
		gm_verb_preview(&call);
	else
		functions[verb - gm_ctl_verbs](&call);
	gm_wipe(&call.txn, sizeof(call.txn));
}
