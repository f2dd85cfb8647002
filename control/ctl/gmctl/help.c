/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <jansson.h>

static void help_of(const struct gm_ctl_verb *v)
{
	printf("  %s%s%s%s%s\n      %s\n", v->name, v->args[0] ? " " : "", v->args, v->rekeys ? " --wait" : "", v->asks ? " --yes" : "", v->help);
}

static void json_of(const struct gm_ctl_verb *v)
{
	json_t *row = gm_cli_need(json_pack("{ss ss ss ss sb sb sb}", "command", v->name, "arguments", v->args, "help", v->help, "level",
	                                    v->local ? "local" : gm_ctl_level_text(v->level), "change", v->change, "wait", v->rekeys,
	                                    "asks", v->asks));

	if (json_dumpf(row, stdout, JSON_COMPACT) != 0)
		gm_cli_die(EXIT_FAILED, "nobody reads");
	putchar('\n');
	json_decref(row);
}

/* "group" is for all that begin so. */
static bool is_about(const struct gm_ctl_verb *v, const struct line *line)
{
	size_t at = 0;

	for (int i = 0; i < line->repeats_n; i++) {
		size_t n = strlen(line->repeats[i]);
		if (strncmp(v->name + at, line->repeats[i], n) != 0 || (v->name[at + n] && v->name[at + n] != ' '))
			return false;
		at += n + (v->name[at + n] == ' ');
	}
	return true;
}

enum exit_code gm_cli_do_help(struct session *s, struct line *line)
{
	bool found = false;

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		const struct gm_ctl_verb *v = &gm_ctl_verbs[i];
		if (!is_about(v, line))
			continue;
		found = true;
		if (s->json)
			json_of(v);
		else
			help_of(v);
	}
	if (!found)
		gm_cli_die(EXIT_USAGE, "no such command '%s'", line->repeats[0]);
	return EXIT_DONE;
}

enum exit_code gm_cli_do_version(struct session *s, struct line *line)
{
	(void)line;
	printf(s->json ? "{\"version\":\"%s\"}\n" : "gmctl %s\n", GM_VERSION);
	return EXIT_DONE;
}
