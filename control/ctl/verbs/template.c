/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "ctl/settings.h"

/* "max_members=4096 backward=window" */
static const char *text_of(const struct gm_template *t, char buf[static 512])
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < GM_SETTINGS_N && n < 512; i++)
		if (t->set[i][0])
			n += (size_t)snprintf(buf + n, 512 - n, "%s%s=%s", n ? " " : "", gm_setting_keys[i], t->set[i]);
	return buf;
}

void gm_verb_template_list(struct gm_ctl_call *call)
{
	const struct gm_config *config = call->env->config;
	char text[512];

	for (unsigned i = 0; config && i < config->templates_n; i++) {
		gm_ctl_put_text(call->reply, "template", config->templates[i].name);
		gm_ctl_put_text(call->reply, "settings", text_of(&config->templates[i], text));
		gm_ctl_row(call->reply);
	}
	gm_ctl_end(call->reply);
}

/* All that a group made of it would have. */
void gm_verb_template_show(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "template");
	const struct gm_template *template = gm_call_template(call, name);
	struct gm_group_spec spec = gm_settings_begin();
	char why[GM_SETTING_WHY], text[GM_SETTING_MAX + 1];

	if (!template) {
		gm_call_refuse(call, GM_E_UNKNOWN, "template", name);
		return;
	}
	if (!gm_template_put(template, &spec, why) || !gm_settings_done(&spec, why)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "%s", why);
		return;
	}
	gm_ctl_put_text(call->reply, "template", name);
	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++)
		gm_ctl_put_text(call->reply, gm_setting_keys[i], gm_setting_text(&spec, i, text));
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}
