/* SPDX-License-Identifier: Apache-2.0 */
/* What commands there are and what they take: for people in lines no wider than their terminal, or as JSON. */
#include "ctl/gmctl/gmctl.h"

#include <jansson.h>

#define WIDTH 80          /* where no terminal says */
#define OPTION_COLUMNS 26 /* before an option's text */

/* ---- what options say */

static const struct argument {
	const char *verb, *key, *value, *text;
} arguments[] = {
#define GM_ARGUMENT(verb, key, value, text) {verb, key, value, text},
#include "ctl/gmctl/arguments.def"
#undef GM_ARGUMENT
};

static const struct argument *argument_of(const struct gm_ctl_verb *verb, const char *key)
{
	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++)
		if (strcmp(arguments[i].verb, verb->name) == 0 && strcmp(arguments[i].key, key) == 0)
			return &arguments[i];
	return NULL;
}

const char *gm_cli_value_of(const struct gm_ctl_verb *verb, const char *key)
{
	const struct argument *argument = argument_of(verb, key);

	return argument ? argument->value : "";
}

/* ---- lines */

/* From column `indent`, where the line stands, on. */
static void put_wrapped(FILE *to, const char *text, int indent)
{
	const int width = gm_cli_width(), most = width ? width : WIDTH;
	int at = indent;

	while (*text) {
		int n = (int)strcspn(text, " ");
		if (at > indent && at + 1 + n > most) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fprintf(to, "%.*s", n, text);
		at += n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void put_option(FILE *to, const char *option, const char *text)
{
	int gap = OPTION_COLUMNS - 2 - (int)strlen(option);

	fprintf(to, "  %s", option);
	if (text[0])
		fprintf(to, "%s%*s", gap < 2 ? "\n" : "", gap < 2 ? OPTION_COLUMNS : gap, "");
	put_wrapped(to, text, OPTION_COLUMNS);
}

/* ---- a command */

static void put_usage(FILE *to, const struct gm_ctl_verb *v, const char *before)
{
	bool options = v->rekeys || v->asks;

	fprintf(to, "%s%s", before, v->name);
	for (const char *p = v->args; *p; p += strspn(p, " ")) {
		if (p[0] == '-')
			options = true;
		else
			fprintf(to, " %.*s", (int)strcspn(p, " ="), p);
		p += strcspn(p, " ");
	}
	fprintf(to, "%s\n", options ? " [OPTION...]" : "");
}

static void put_options(FILE *to, const struct gm_ctl_verb *v)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(v, specs);

	for (unsigned i = 0; i < n; i++) {
		const struct argument *argument = argument_of(v, specs[i].key);
		const char *value = argument ? argument->value : gm_ctl_spec_text(specs[i].type);
		char option[96];
		snprintf(option, sizeof(option), "%s%s%s%s%s", strlen(specs[i].key) > 1 ? "--" : "-", specs[i].key,
		         specs[i].optional ? "[=" : value[0] ? " " : "", value, specs[i].optional ? "]" : "");
		if (!specs[i].positional)
			put_option(to, option, argument ? argument->text : "");
	}
	if (v->rekeys)
		put_option(to, "--wait", "return when the rekeys have ended; exit status 5 if some members did not confirm");
	if (v->asks)
		put_option(to, "--yes", "go ahead without asking");
}

static void put_short(FILE *to, const struct gm_ctl_verb *v)
{
	put_usage(to, v, "  ");
	fprintf(to, "%*s", 6, "");
	put_wrapped(to, v->help, 6);
}

static void put_whole(FILE *to, const struct gm_ctl_verb *v)
{
	put_usage(to, v, "usage: gmctl ");
	fprintf(to, "\n  ");
	put_wrapped(to, v->help, 2);
	if (strstr(v->args, "-") || v->rekeys || v->asks)
		fputc('\n', to);
	put_options(to, v);
}

static void put_json(const struct gm_ctl_verb *v)
{
	json_t *row = gm_cli_need(json_pack("{ss ss ss ss sb sb sb}", "command", v->name, "arguments", v->args, "help", v->help, "level",
	                                    v->local ? "local" : gm_ctl_level_text(v->level), "change", v->change, "wait", v->rekeys,
	                                    "asks", v->asks));

	if (json_dumpf(row, stdout, JSON_COMPACT) != 0)
		gm_cli_die(EXIT_FAILED, "nobody reads");
	putchar('\n');
	json_decref(row);
}

/* ---- all that words name */

/* The next behind `at` that begins with these words, but is more; NULL: none. */
static const struct gm_ctl_verb *next_of(const char *words, const struct gm_ctl_verb *at)
{
	const size_t n = strlen(words);

	for (at = at ? at + 1 : gm_ctl_verbs; at < gm_ctl_verbs + gm_ctl_verbs_n; at++)
		if (!n || (strncmp(at->name, words, n) == 0 && at->name[n] == ' '))
			return at;
	return NULL;
}

bool gm_cli_help(FILE *to, const char *words)
{
	const struct gm_ctl_verb *itself = gm_ctl_verb(words), *more = next_of(words, NULL);

	if (itself)
		put_whole(to, itself);
	if (itself && more)
		fputc('\n', to);
	for (const struct gm_ctl_verb *v = more; v; v = next_of(words, v))
		put_short(to, v);
	return itself || more;
}

static bool help_json(const char *words)
{
	const struct gm_ctl_verb *itself = gm_ctl_verb(words), *more = next_of(words, NULL);

	if (itself)
		put_json(itself);
	for (const struct gm_ctl_verb *v = more; v; v = next_of(words, v))
		put_json(v);
	return itself || more;
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
