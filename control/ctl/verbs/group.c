/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "ctl/settings.h"

/* Options of group create that say more than one setting does, or the contrary. */
static const struct {
	const char *key;
	enum gm_setting setting;
	const char *value;
} flags[] = {{"inactive", GM_SETTING_active, "no"},
             {"signature-only", GM_SETTING_modes, "group"},
             {"pairwise-only", GM_SETTING_modes, "pairwise"},
             {"pairwise-too", GM_SETTING_modes, "both"}};

/* false: said why. Also for what a file or a template says. */
static bool put_setting(struct gm_ctl_call *call, struct gm_group_spec *spec, const char *key, enum gm_setting setting, const char *value)
{
	char why[GM_SETTING_WHY];

	if (gm_setting_put(spec, setting, value, why))
		return true;
	gm_ctl_error(call->reply, GM_E_USAGE, "%s: %s", key, why);
	return false;
}

void gm_call_fault(struct gm_ctl_call *call, enum gm_err err, const char *fault)
{
	static const struct {
		const char *key, *option;
	} others[] = {{"exp", "expires"}, {"group_description", "description"}, {"sign_params", "sign-alg"}, {"ecdh_params", "ecdh-curve"},
	              {"ecdh_alg", "hkdf"}, {"group_policies", "check-interval"}};
	size_t n = strcspn(fault, ":,");
	char option[32];

	snprintf(option, sizeof(option), "%.*s", (int)n, fault);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i].key, option) == 0)
			snprintf(option, sizeof(option), "%s", others[i].option);
	for (char *c = option; *c; c++)
		*c = *c == '_' ? '-' : *c;
	gm_ctl_error(call->reply, err, "%s%s", option, fault + n);
}

bool gm_call_put_setting(struct gm_ctl_call *call, struct gm_group_spec *spec, const struct gm_ctl_arg *arg)
{
	int setting = gm_setting_named(arg->key);
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)arg->u);
	if (setting >= 0)
		return put_setting(call, spec, arg->key, (enum gm_setting)setting, arg->type == GM_CTL_UINT ? number : arg->text);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].key, arg->key) == 0 && arg->u)
			return put_setting(call, spec, arg->key, flags[i].setting, flags[i].value);
	return true;
}

/* What is said for nothing is a mistake; but a template may say it for groups of other modes. */
static bool all_serve(struct gm_ctl_call *call, const struct gm_group_spec *spec)
{
	const struct gm_ctl_request *request = call->request;
	char why[GM_SETTING_WHY];

	for (unsigned i = 0; i < request->args_n; i++) {
		int setting = gm_setting_named(request->args[i].key);
		if (setting < 0 || gm_setting_serves(spec, (enum gm_setting)setting, why))
			continue;
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: %s", request->args[i].key, why);
		return false;
	}
	return true;
}

const struct gm_template *gm_call_template(const struct gm_ctl_call *call, const char *name)
{
	const struct gm_config *config = call->env->config;

	for (unsigned i = 0; config && i < config->templates_n; i++)
		if (strcmp(config->templates[i].name, name) == 0)
			return &config->templates[i];
	return NULL;
}

static bool put_template(struct gm_ctl_call *call, struct gm_group_spec *spec)
{
	const char *name = gm_call_text(call, "template");
	const struct gm_template *template = gm_call_template(call, name);
	char why[GM_SETTING_WHY];

	if (!gm_ctl_arg(call->request, "template"))
		return true;
	if (!template)
		gm_ctl_error(call->reply, GM_E_UNKNOWN, "no template '%s': gmctl template list names those that there are", name);
	else if (!gm_template_put(template, spec, why))
		gm_ctl_error(call->reply, GM_E_USAGE, "template '%s': %s", name, why);
	else
		return true;
	return false;
}

void gm_verb_group_create(struct gm_ctl_call *call)
{
	struct gm_group_spec spec = gm_settings_begin();
	const struct gm_ctl_request *request = call->request;
	char why[GM_SETTING_WHY];

	if (gm_call_flag(call, "signature-only") + gm_call_flag(call, "pairwise-only") + gm_call_flag(call, "pairwise-too") > 1) {
		gm_ctl_error(call->reply, GM_E_USAGE, "signature-only, pairwise-only and pairwise-too exclude each other");
		return;
	}
	if (!gm_groups_name_usable(gm_call_text(call, "group"))) {
		gm_ctl_error(call->reply, GM_E_USAGE, "group: " GM_GROUP_NAME_RULE ", not '%.80s'", gm_call_text(call, "group"));
		return;
	}
	if (!gm_call_copy(call, "group", spec.name, sizeof(spec.name)) || !put_template(call, &spec))
		return;
	for (unsigned i = 0; i < request->args_n; i++)
		if (!gm_call_put_setting(call, &spec, &request->args[i]))
			return;
	if (!all_serve(call, &spec))
		return;
	if (!gm_settings_done(&spec, why)) {
		gm_call_fault(call, GM_E_USAGE, why);
		return;
	}
	gm_call_finish(call, gm_core_group_create(call->env->core, &call->txn, &spec), "group", spec.name);
}

static void put_group(struct gm_ctl_reply *r, const struct gm_group_info *g)
{
	gm_ctl_put_text(r, "group", g->name);
	gm_ctl_put_text(r, "state", g->shown);
	gm_ctl_put_uint(r, "members", g->members);
	gm_ctl_put_uint(r, "max_members", g->max_members);
	gm_ctl_put_uint(r, "version", g->version);
	gm_ctl_put_bytes(r, "gid", g->gid, g->gid_n);
	gm_ctl_put_uint(r, "confirmed", g->confirmed);
	gm_ctl_put_uint(r, "late", g->late);
	gm_ctl_put_uint(r, "waiting", g->waiting);
	gm_ctl_put_int(r, "rekeyed_at", g->last_rekey);
}

static void put_settings(struct gm_ctl_reply *r, const struct gm_group_info *g)
{
	const struct gm_group_spec spec = gm_settings_of(g);
	char text[GM_SETTING_MAX + 1];

	gm_ctl_put_text(r, "group", g->name);
	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++)
		gm_ctl_put_text(r, gm_setting_keys[i], gm_setting_text(&spec, i, text));
}

static bool list_group(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_call *call = arg;

	if (!gm_call_next_row(call, g->index))
		return false;
	(gm_call_flag(call, "settings") ? put_settings : put_group)(call->reply, g);
	gm_ctl_row(call->reply);
	return true;
}

void gm_verb_group_list(struct gm_ctl_call *call)
{
	gm_core_groups_behind(call->env->core, call->after, list_group, call);
	gm_call_end_page(call);
}

/* With commas between, as group set takes them. */
static void put_app_groups(struct gm_ctl_reply *r, struct gm_list names)
{
	char text[GM_ADMIN_APP_GROUPS_MAX];
	struct gm_out o = gm_out(text, sizeof(text));
	struct gm_bytes name;

	while (gm_list_tstr(&names, &name)) {
		if (gm_out_len(&o))
			gm_out_u8(&o, ',');
		gm_out_bytes(&o, name.p, name.n);
	}
	gm_ctl_put_text_of(r, "app_groups", gm_out_result(&o));
}

static void put_about(struct gm_ctl_call *call, const struct gm_group_info *g)
{
	static const uint8_t none[1];
	struct gm_group_about about;

	gm_core_group_about(call->env->core, g, &about);
	if (!about.description.p)
		about.description.p = none;
	gm_ctl_put_text_of(call->reply, "description", about.description);
	put_app_groups(call->reply, about.app_groups);
	gm_ctl_put_text_of(call->reply, "as_uri", about.as_uri);
	gm_ctl_put_uint(call->reply, "check_interval_s", about.check_interval_s);
	gm_ctl_put_uint(call->reply, "expiration_delta_s", about.expiration_delta_s);
}

static bool show_group(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_reply *r = ((struct gm_ctl_call *)arg)->reply;
	const struct gm_group_spec spec = gm_settings_of(g);
	char text[GM_SETTING_MAX + 1];

	put_group(r, g);
	gm_ctl_put_text(r, "reason", g->last_reason);
	gm_ctl_put_int(r, "created_at", g->created);
	gm_ctl_put_int(r, "keys_end_at", g->exp);
	gm_ctl_put_uint(r, "key_lifetime_s", g->key_lifetime_s);
	gm_ctl_put_uint(r, "rekey_every_s", g->rekey_every_s);
	gm_ctl_put_text(r, "backward", gm_setting_text(&spec, GM_SETTING_backward, text));
	gm_ctl_put_uint(r, "sid_len", g->sid_len);
	gm_ctl_put_uint(r, "max_stale_sets", g->max_stale_sets);
	gm_ctl_put_uint(r, "stale_sets", g->stale_sets);
	gm_ctl_put_uint(r, "stale_now", g->stale_now);
	gm_ctl_put_bool(r, "group_mode", g->params->group_mode);
	gm_ctl_put_bool(r, "pairwise_mode", g->params->pairwise_mode);
	gm_ctl_put_int(r, "hkdf", g->params->hkdf);
	gm_ctl_put_int(r, "gp_enc_alg", g->params->gp_enc_alg);
	gm_ctl_put_int(r, "sign_alg", g->params->sign_alg);
	gm_ctl_put_int(r, "sign_crv", g->params->sign_crv);
	gm_ctl_put_int(r, "cred_fmt", g->params->cred_fmt);
	gm_ctl_put_int(r, "ecdh_crv", g->params->ecdh_crv);
	gm_ctl_put_int(r, "alg", g->params->alg);
	gm_ctl_put_int(r, "ecdh_alg", g->params->ecdh_alg);
	put_about(arg, g);
	gm_ctl_row(r);
	return true;
}

void gm_verb_group_show(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_groups(call->env->core, name, show_group, call), "group", name);
}

static bool list_rekey(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;

	if (strcmp(g->state, "idle") == 0 && !g->late)
		return gm_call_pass_over(call, g->index);
	if (!gm_call_next_row(call, g->index))
		return false;
	gm_ctl_put_text(r, "group", g->name);
	gm_ctl_put_text(r, "state", g->state);
	gm_ctl_put_uint(r, "version", g->version);
	gm_ctl_put_text(r, "reason", g->last_reason);
	gm_ctl_put_uint(r, "members", g->members);
	gm_ctl_put_uint(r, "confirmed", g->confirmed);
	gm_ctl_put_uint(r, "late", g->late);
	gm_ctl_put_uint(r, "waiting", g->waiting);
	gm_ctl_put_int(r, "rekeyed_at", g->last_rekey);
	gm_ctl_row(r);
	return true;
}

void gm_verb_rekey_status(struct gm_ctl_call *call)
{
	gm_core_groups_behind(call->env->core, call->after, list_rekey, call);
	gm_call_end_page(call);
}

/* Again in the next turn where all are more than this one should have: who was set is passed over. */
static void set_all(struct gm_ctl_call *call, bool paused)
{
	unsigned passed;

	call->reply->later = !gm_core_rekey_pause_all(call->env->core, &call->txn, paused, &passed);
	if (call->reply->later)
		return;
	gm_ctl_put_uint(call->reply, "rekeys_paused", gm_call_core(call).rekeys_paused);
	gm_ctl_put_uint(call->reply, "passed_over", passed);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}

static void set_pause(struct gm_ctl_call *call, bool paused)
{
	const char *name = gm_call_text(call, "group");

	if (gm_call_flag(call, "all") == (name[0] != '\0')) {
		gm_ctl_error(call->reply, GM_E_USAGE, "a group is needed, or --all");
		return;
	}
	if (!name[0]) {
		set_all(call, paused);
		return;
	}
	const char *why;
	enum gm_err err = gm_core_rekey_pause(call->env->core, &call->txn, name, paused, &why);
	if (err == GM_E_CONFLICT)
		gm_ctl_error(call->reply, err, "group '%s': %s", name, why);
	else
		gm_call_finish(call, err, "group", name);
}

void gm_verb_rekey_pause(struct gm_ctl_call *call)
{
	set_pause(call, true);
}

void gm_verb_rekey_resume(struct gm_ctl_call *call)
{
	set_pause(call, false);
}

void gm_verb_group_delete(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_group_delete(call->env->core, &call->txn, name), "group", name);
}

void gm_verb_rekey(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_rekey(call->env->core, &call->txn, name, gm_call_flag(call, "compromised")), "group", name);
}
