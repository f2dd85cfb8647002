/* SPDX-License-Identifier: Apache-2.0 */
/* The example and the manual, out of options.def. */
#include "ctl/options.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS 125

static const char example_head[] =
	"# gmd's configuration: one YAML mapping. Only audience has to be set: the values below are the defaults, lines that are commented\n"
	"# out are examples. gmctl config check FILE checks a file. See gmd.conf(5).\n"
	"#\n"
	"# Made of control/ctl/options.def by gmctl config keys --example.\n";

/* Without the marks of bold type, in lines that begin with #. */
static void put_comment(FILE *to, const char *text, const char *more)
{
	size_t column = 0;
	char *all, *rest;

	if (asprintf(&all, "%s%s", text, more) < 0)
		return;
	rest = all;
	for (char *word; (word = strtok_r(rest, " ", &rest));) {
		char plain[128];
		size_t n = 0;
		for (const char *p = word; *p && n + 1 < sizeof(plain); p++)
			if (*p != '`')
				plain[n++] = *p;
		plain[n] = '\0';
		if (column && column + 1 + n > COLUMNS) {
			fputc('\n', to);
			column = 0;
		}
		column += (size_t)fprintf(to, "%s%s", column ? " " : "# ", plain);
	}
	fputc('\n', to);
	free(all);
}

static const char *first_of(const struct gm_option *o)
{
	return o->kind == GM_OPTION_WORDS ? o->words[o->least] : o->initial;
}

void gm_options_example(FILE *to)
{
	fputs(example_head, to);
	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key) {
			fprintf(to, "\n# ---- %s\n", o->section);
			continue;
		}
		const char *value = o->example ? o->example : first_of(o);
		fputc('\n', to);
		put_comment(to, o->text, o->live ? " A change takes effect at a reload." : "");
		fprintf(to, "%s%s: %s\n", value[0] == '#' ? "# " : "", o->key, value + (value[0] == '#'));
	}
}

/* `so` becomes bold; what roff would take for its own is told that it is not. */
static void put_roff(FILE *to, const char *text)
{
	bool bold = false;

	for (const char *p = text; *p; p++) {
		if (*p == '`')
			fputs((bold = !bold) ? "\\fB" : "\\fR", to);
		else if (*p == '-')
			fputs("\\-", to);
		else if (*p == '\\')
			fputs("\\e", to);
		else if (*p == ' ' && p > text && p[-1] == '.' && p[1])
			fputc('\n', to); /* a sentence, a line */
		else
			fputc(*p, to);
	}
	fputc('\n', to);
}

void gm_options_manual(FILE *to)
{
	char range[96];

	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key)
			continue;
		fputs(".TP\n.B ", to);
		put_roff(to, o->key);
		put_roff(to, o->text);
		fputs(".br\n", to);
		gm_option_range(o, range);
		if (range[0])
			fprintf(to, o->kind == GM_OPTION_NUMBER ? "From %s.\n" : "One of %s.\n", range);
		bool computed = o->kind == GM_OPTION_NUMBER && o->example;
		if (!computed && first_of(o) && first_of(o)[0]) {
			fputs("Default: ", to);
			put_roff(to, first_of(o));
			fputs(".br\n", to);
		} else if (o->kind == GM_OPTION_LIST && o->example[0] != '#') {
			fputs("Default: ", to);
			put_roff(to, o->example);
			fputs(".br\n", to);
		}
		fputs(o->live ? "A change takes effect at a reload.\n" : "A change takes effect at a start.\n", to);
	}
}
