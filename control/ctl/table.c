/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include "core/audit.h"
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
	char why[GM_WHY];

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

/* A change that core has no entry for: what was commanded, without what options say, for that may be a key. */
static void audit(struct gm_ctl_call *call, const struct gm_ctl_verb *verb)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(verb, specs);
	struct gm_audit a;

	gm_audit_begin(&a, &call->txn, "command");
	gm_audit_word(&a, "command", verb->name);
	for (unsigned i = 0; i < n; i++)
		if (specs[i].positional && specs[i].type == GM_CTL_SPEC_TEXT && gm_ctl_arg(call->request, specs[i].key))
			gm_audit_word(&a, specs[i].key, gm_call_text(call, specs[i].key));
	gm_audit_end(&a, &call->txn);
}

/* Once: with the turn that carries it out. Where others are asked that is the turn of the question, so that none leaves which is not in the log. */
static bool has_its_entry_now(const struct gm_ctl_call *call)
{
	const struct gm_ctl_reply *reply = call->reply;

	if (reply->refused || call->txn.entries || call->asked)
		return false;
	return reply->waits ? !call->request->again : !reply->later;
}

void gm_ctl_run(void *env, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	const struct gm_ctl_verb *verb = gm_ctl_verb(request->verb);
	struct gm_ctl_call call = {.env = env, .request = request, .reply = reply, .after = UINT32_MAX};

	if (!permitted(verb, request, reply) || !gm_call_uint(&call, "after", UINT32_MAX, &call.after))
		return;
	bool looks = gm_call_flag(&call, "preview");
	if (verb->change && !looks && !request->again)
		gm_call_log(request, "ctl.change", verb->name);
	call.env->txn(call.env->arg, &call.txn);
	call.txn.by = gm_by_user(request->uid, request->pid, gm_ctl_level_text(request->level));
	if (looks)
		gm_verb_preview(&call);
	else
		functions[verb - gm_ctl_verbs](&call);
	if (verb->change && !looks && has_its_entry_now(&call))
		audit(&call, verb);
	gm_wipe(&call.txn, sizeof(call.txn));
}

void gm_ctl_gone(void *env, uint64_t conn)
{
	gm_import_forget(conn);
	gm_core_token_forget(((struct gm_ctl_env *)env)->core, conn);
}
