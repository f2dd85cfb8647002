/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/reload.h"
#include "ctl/verbs/call.h"

#include <stdio.h>

#define VALUE 4096u /* bytes shown of one: of many networks the first */

static void put_value(struct gm_ctl_reply *r, const char *key, const char *value)
{
	char cut[VALUE];

	snprintf(cut, sizeof(cut), "%s", value);
	gm_ctl_put_text(r, key, cut);
}

static void put_change(void *arg, const struct gm_option *option, const char *was, const char *is, enum gm_takes when)
{
	static const char *const texts[] = {[GM_TAKES_NOW] = "changed", [GM_TAKES_AT_RELOAD] = "at a reload", [GM_TAKES_AT_START] = "needs a restart"};
	const struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;
	bool tried = when == GM_TAKES_NOW && gm_ctl_arg(call->request, "confirm");

	gm_ctl_put_text(r, "key", option->key);
	put_value(r, when == GM_TAKES_NOW ? "was" : "running", was);
	put_value(r, when == GM_TAKES_NOW ? "is" : "file", is);
	gm_ctl_put_text(r, "changes", tried ? "unconfirmed" : texts[when]);
	gm_ctl_row(r);
}

static void end(struct gm_ctl_call *call, enum gm_err err, const char *why)
{
	if (err == GM_E_OK)
		gm_ctl_end(call->reply);
	else
		gm_ctl_error(call->reply, err, "%s", why);
}

void gm_verb_config_diff(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";

	end(call, gm_config_differences(call->env, put_change, call, why), why);
}

void gm_verb_config_reload(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";

	end(call, gm_config_reload(call->env, &call->txn, put_change, call, why), why);
}

void gm_verb_config_apply(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";
	uint32_t seconds = 0;

	if (!gm_ctl_arg(call->request, "confirm")) {
		gm_verb_config_reload(call);
		return;
	}
	if (!gm_call_uint(call, "confirm", GM_CONFIRM_MAX_S, &seconds))
		return;
	if (!seconds) {
		gm_ctl_error(call->reply, GM_E_USAGE, "confirm: 1 to %u seconds", GM_CONFIRM_MAX_S);
		return;
	}
	end(call, gm_config_try(call->env, &call->txn, seconds, put_change, call, why), why);
}

void gm_verb_config_confirm(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";

	end(call, gm_config_confirm(call->env, &call->txn, why), why);
}

void gm_verb_config_undo(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";

	end(call, gm_config_undo(call->env, &call->txn, put_change, call, why), why);
}

void gm_verb_config_set(struct gm_ctl_call *call)
{
	char why[GM_CONFIG_WHY] = "";

	end(call, gm_config_set(call->env, &call->txn, gm_call_text(call, "key"), gm_call_text(call, "value"), why), why);
}

void gm_verb_config_show(struct gm_ctl_call *call)
{
	char value[VALUE];

	if (call->env->dp)
		call->env->config->pace = gm_dp_pace_for_all(call->env->dp);
	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key)
			continue;
		gm_ctl_put_text(call->reply, "key", o->key);
		gm_ctl_put_text(call->reply, "value", gm_option_value(o, call->env->config, value, sizeof(value)));
		gm_ctl_put_text(call->reply, "changes", o->live ? "at a reload" : "at a start");
		gm_ctl_row(call->reply);
	}
	gm_ctl_end(call->reply);
}
