/* SPDX-License-Identifier: Apache-2.0 */
/* What a word could become: verbs and options out of verbs.def, names of objects from gmd. The shells' completions and the
 * interactive mode both ask here. */
#include "ctl/gmctl/gmctl.h"

#include <stdlib.h>

struct words { /* so far; the last one is being written */
	char **at;
	int n;
	const char *last;
	size_t len;
};

static void offer(const struct words *w, const char *text)
{
	if (strncmp(text, w->last, w->len) == 0)
		puts(text);
}

static void offer_key(struct session *s, const struct words *w, const char *verb, const char *with, const char *text, const char *key)
{
	struct rows rows = {0};

	gm_cli_simple(s, verb, with, text, gm_cli_keep, &rows);
	for (size_t i = 0; i < rows.n; i++)
		offer(w, gm_cli_cell(&rows.rows[i], key));
	gm_cli_free(&rows);
}

/* ---- verbs */

static bool first_of_two(const char *name, const char *first, size_t n)
{
	return strlen(name) > n && strncmp(name, first, n) == 0 && name[n] == ' ';
}

static void offer_first_options(const struct words *w)
{
	static const char *const options[] = {"--socket", "--json", "--yes", "--wait", "--help", "--version"};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && w->last[0] == '-'; i++)
		offer(w, options[i]);
}

static void offer_first_words(const struct words *w)
{
	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		const char *name = gm_ctl_verbs[i].name;
		char word[GM_CTL_KEY_MAX + 1];
		size_t n = strcspn(name, " ");
		bool seen = false;
		for (unsigned k = 0; k < i && !seen; k++)
			seen = strcspn(gm_ctl_verbs[k].name, " ") == n && strncmp(gm_ctl_verbs[k].name, name, n) == 0;
		snprintf(word, sizeof(word), "%.*s", (int)n, name);
		if (!seen)
			offer(w, word);
	}
}

static void offer_second_words(const struct words *w)
{
	size_t n = strlen(w->at[0]);

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++)
		if (first_of_two(gm_ctl_verbs[i].name, w->at[0], n))
			offer(w, gm_ctl_verbs[i].name + n + 1);
}

/* ---- what an argument can be */

static void offer_choices(const struct words *w, const struct gm_ctl_verb *verb, const char *key)
{
	char values[128], *rest = values;

	snprintf(values, sizeof(values), "%s", gm_cli_value_of(verb, key));
	if (!strchr(values, '|'))
		return;
	for (const char *word; (word = strtok_r(rest, "|", &rest));)
		offer(w, word);
}

static void groups(struct session *s, const struct words *w, const char *before)
{
	(void)before;
	offer_key(s, w, "group list", NULL, NULL, "group");
}

static void nodes(struct session *s, const struct words *w, const char *group)
{
	if (group)
		offer_key(s, w, "member list", "group", group, "node");
}

/* GROUP/NODE: groups first, then what is in one. */
static void devices(struct session *s, const struct words *w, const char *before)
{
	const char *slash = strchr(w->last, '/');
	char group[GM_CTL_TEXT_MAX + 1];
	struct rows rows = {0};

	(void)before;
	snprintf(group, sizeof(group), "%.*s", slash ? (int)(slash - w->last) : 0, w->last);
	if (slash)
		gm_cli_simple(s, "member list", "group", group, gm_cli_keep, &rows);
	else
		gm_cli_simple(s, "group list", NULL, NULL, gm_cli_keep, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		char text[2 * GM_CTL_TEXT_MAX + 2];
		snprintf(text, sizeof(text), "%s/%s", slash ? group : gm_cli_cell(&rows.rows[i], "group"),
		         gm_cli_cell(&rows.rows[i], "node"));
		offer(w, text);
	}
	gm_cli_free(&rows);
	if (!slash)
		offer_key(s, w, "device list", NULL, NULL, "name");
}

static void templates(struct session *s, const struct words *w, const char *before)
{
	(void)before;
	offer_key(s, w, "template list", NULL, NULL, "template");
}

static void schedules(struct session *s, const struct words *w, const char *before)
{
	(void)before;
	offer_key(s, w, "schedule list", NULL, NULL, "schedule");
}

static void servers(struct session *s, const struct words *w, const char *before)
{
	(void)before;
	offer_key(s, w, "as list", NULL, NULL, "name");
}

static void commands(struct session *s, const struct words *w, const char *before)
{
	(void)s, (void)before;
	offer_first_words(w);
}

static const struct {
	const char *key;
	void (*offer)(struct session *s, const struct words *w, const char *before);
	const char *except; /* the verb that wants a new one */
} objects[] = {{"group", groups, "group create"}, {"node", nodes, ""},       {"device", devices, ""},
               {"template", templates, ""}, {"schedule", schedules, "schedule set"},
               {"name", servers, "as add"}, {"as", servers, ""},          {"command", commands, ""}};

static void offer_object(struct session *s, const struct words *w, const struct gm_ctl_verb *verb, const char *key, const char *before)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (strcmp(objects[i].key, key) == 0 && strcmp(objects[i].except, verb->name) != 0)
			objects[i].offer(s, w, before);
	offer_choices(w, verb, key);
}

/* ---- arguments */

static bool given(const struct words *w, const char *option)
{
	for (int i = 0; i + 1 < w->n; i++)
		if (strcmp(w->at[i], option) == 0)
			return true;
	return false;
}

static void offer_option(const struct words *w, const char *option)
{
	if (!given(w, option))
		offer(w, option);
}

static void offer_options(const struct words *w, const struct gm_ctl_verb *verb, const struct gm_ctl_spec *specs, unsigned n)
{
	char option[GM_CTL_KEY_MAX + 3];

	for (unsigned i = 0; i < n; i++) {
		snprintf(option, sizeof(option), "%s%.*s", strlen(specs[i].key) > 1 ? "--" : "-", (int)GM_CTL_KEY_MAX, specs[i].key);
		if (!specs[i].positional)
			offer_option(w, option);
	}
	if (verb->asks)
		offer_option(w, "--yes");
	if (verb->rekeys)
		offer_option(w, "--wait");
	offer_option(w, "--json");
	offer_option(w, "--help");
}

static const struct gm_ctl_spec *option_of(const char *word, const struct gm_ctl_spec *specs, unsigned n)
{
	for (unsigned i = 0; i < n && word[0] == '-'; i++)
		if (!specs[i].positional && strcmp(word + strspn(word, "-"), specs[i].key) == 0)
			return &specs[i];
	return NULL;
}

static bool takes_next(const struct gm_ctl_spec *spec)
{
	return spec && spec->type != GM_CTL_SPEC_FLAG && !spec->optional;
}

/* The argument that the last word is; NULL: one too many. *before: the positional one before it. */
static const struct gm_ctl_spec *argument_at(const struct words *w, int first, const struct gm_ctl_spec *specs, unsigned n,
                                             const char **before)
{
	unsigned at = 0;

	*before = NULL;
	for (int i = first; i < w->n; i++) {
		const struct gm_ctl_spec *option = option_of(w->at[i], specs, n);
		if (i + 1 < w->n && takes_next(option)) {
			if (i + 2 == w->n)
				return option;
			i++;
			continue;
		}
		if (w->at[i][0] == '-')
			continue;
		while (at < n && !specs[at].positional)
			at++;
		if (i + 1 == w->n)
			return at < n ? &specs[at] : NULL;
		*before = w->at[i];
		at += at < n && !specs[at].repeats;
	}
	return NULL;
}

static void offer_arguments(struct session *s, const struct words *w, const struct gm_ctl_verb *verb, int first)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(verb, specs);
	const char *before;

	if (w->last[0] == '-') {
		offer_options(w, verb, specs, n);
		return;
	}
	const struct gm_ctl_spec *spec = argument_at(w, first, specs, n, &before);
	if (spec)
		offer_object(s, w, verb, spec->key, before);
}

static int skip_options(struct session *s, int argc, char **argv)
{
	int i = 0;

	for (; i + 1 < argc && argv[i][0] == '-'; i++)
		if ((strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--socket") == 0) && i + 2 < argc)
			s->path = argv[++i];
	return i;
}

static void complete(struct session *s, int argc, char **argv)
{
	static char none[] = "";
	static char *nothing[] = {none};
	int skip = skip_options(s, argc, argv);
	struct words w = {.at = argc > skip ? argv + skip : nothing, .n = argc > skip ? argc - skip : 1};
	char two[2 * GM_CTL_KEY_MAX + 2] = "";

	w.last = w.at[w.n - 1];
	w.len = strlen(w.last);
	if (w.n == 1) {
		offer_first_options(&w);
		offer_first_words(&w);
		return;
	}
	if (w.n == 2)
		offer_second_words(&w);
	if (w.n > 2)
		snprintf(two, sizeof(two), "%.*s %.*s", (int)GM_CTL_KEY_MAX, w.at[0], (int)GM_CTL_KEY_MAX, w.at[1]);
	const struct gm_ctl_verb *verb = gm_ctl_verb(two);
	int first = verb ? 2 : 1;
	verb = verb ? verb : gm_ctl_verb(w.at[0]);
	if (verb)
		offer_arguments(s, &w, verb, first);
}

enum exit_code gm_cli_complete(struct session *s, int argc, char **argv)
{
	complete(s, argc, argv);
	gm_ctl_buf_free(&s->in);
	return EXIT_DONE;
}
