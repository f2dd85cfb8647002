/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <jansson.h>

static void help_of(FILE *to, const struct gm_ctl_verb *v)
{
	fprintf(to, "  %s%s%s%s%s\n      %s\n", v->name, v->args[0] ? " " : "", v->args, v->rekeys ? " --wait" : "", v->asks ? " --yes" : "", v->help);
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
static bool is_about(const struct gm_ctl_verb *v, const char *words)
{
	size_t n = words ? strlen(words) : 0;

	return !n || (strncmp(v->name, words, n) == 0 && (!v->name[n] || v->name[n] == ' '));
}

bool gm_cli_help(FILE *to, const char *words)
{
	bool found = false;

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		if (!is_about(&gm_ctl_verbs[i], words))
			continue;
		help_of(to, &gm_ctl_verbs[i]);
		found = true;
	}
	return found;
}

static bool help_json(const char *words)
{
	bool found = false;

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		if (!is_about(&gm_ctl_verbs[i], words))
			continue;
		json_of(&gm_ctl_verbs[i]);
		found = true;
	}
	return found;
}

enum exit_code gm_cli_do_help(struct session *s, struct line *line)
{
	char words[256] = "";
	size_t n = 0;

	for (int i = 0; i < line->repeats_n && n < sizeof(words); i++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", i ? " " : "", line->repeats[i]);
	if (!(s->json ? help_json(words) : gm_cli_help(stdout, words)))
		gm_cli_die(EXIT_USAGE, "no such command '%s'", words);
	return EXIT_DONE;
}

enum exit_code gm_cli_do_version(struct session *s, struct line *line)
{
	(void)line;
	printf(s->json ? "{\"version\":\"%s\"}\n" : "gmctl %s\n", GM_VERSION);
	return EXIT_DONE;
}
