/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct gm_ctl_arg *gm_cli_add(struct gm_ctl_request *request, const char *key, enum gm_ctl_type type)
{
	if (gm_ctl_arg(request, key))
		gm_cli_die(EXIT_USAGE, "%s is given twice", key);
	if (request->args_n == GM_CTL_ARGS_MAX)
		gm_cli_die(EXIT_USAGE, "too many arguments");
	struct gm_ctl_arg *arg = &request->args[request->args_n++];
	snprintf(arg->key, sizeof(arg->key), "%s", key);
	arg->type = type;
	return arg;
}

void gm_cli_set_text(struct gm_ctl_arg *arg, const char *text)
{
	arg->n = strlen(text);
	if (arg->n > GM_CTL_TEXT_MAX)
		gm_cli_die(EXIT_USAGE, "%s is too long", arg->key);
	memcpy(arg->text, text, arg->n + 1);
}

bool gm_cli_put_hex(struct gm_ctl_arg *arg, const char *text)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > GM_CTL_TEXT_MAX || strspn(text, "0123456789abcdefABCDEF") != n)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		const char two[3] = {text[2 * i], text[2 * i + 1], '\0'};
		arg->text[i] = (char)strtoul(two, NULL, 16);
	}
	arg->n = n / 2;
	return true;
}

void gm_cli_set_hex(struct gm_ctl_arg *arg, const char *text)
{
	if (!gm_cli_put_hex(arg, text))
		gm_cli_die(EXIT_USAGE, "%s: hexadecimal digits are needed, two a byte", arg->key);
}

static void set_uint(struct gm_ctl_arg *arg, const char *text)
{
	char *end;

	errno = 0;
	arg->u = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno)
		gm_cli_die(EXIT_USAGE, "%s: a whole number is needed, not '%s'", arg->key, text);
}

/* Seconds, or with units: 90s, 30m, 1h30m, 7d; the larger unit goes first. */
static bool time_of(const char *text, uint64_t *seconds)
{
	static const struct {
		char unit;
		unsigned s;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	const char *begin = text;
	unsigned next = 0;

	*seconds = 0;
	do {
		char *end;
		if (!isdigit((unsigned char)*text))
			return false;
		unsigned long v = strtoul(text, &end, 10);
		if (v > UINT32_MAX)
			return false;
		bool plain = !*end && text == begin;
		while (!plain && next < 4 && units[next].unit != *end)
			next++;
		if (next == 4)
			return false;
		*seconds += plain ? v : (uint64_t)v * units[next++].s;
		text = plain ? end : end + 1;
	} while (*text);
	return true;
}

static void set_time(struct gm_ctl_arg *arg, const char *text)
{
	if (!time_of(text, &arg->u))
		gm_cli_die(EXIT_USAGE, "%s: seconds are needed, or a time as 90s, 30m, 1h30m or 7d, not '%s'", arg->key, text);
}

static void take_value(struct gm_ctl_request *request, const struct gm_ctl_spec *spec, const char *text)
{
	struct gm_ctl_arg *arg = gm_cli_add(request, spec->key, gm_ctl_spec_wire(spec->type));

	if (spec->type == GM_CTL_SPEC_UINT)
		set_uint(arg, text);
	else if (spec->type == GM_CTL_SPEC_TIME)
		set_time(arg, text);
	else if (spec->type == GM_CTL_SPEC_HEX)
		gm_cli_set_hex(arg, text);
	else
		gm_cli_set_text(arg, text);
}

static int take_option(struct line *line, const struct gm_ctl_spec *specs, unsigned n, char **argv, int argc)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);

	for (unsigned i = 0; i < n; i++) {
		const struct gm_ctl_spec *spec = &specs[i];
		if (spec->positional || strlen(spec->key) != len || strncmp(spec->key, name, len) != 0)
			continue;
		if (spec->type == GM_CTL_SPEC_FLAG) {
			if (equals)
				gm_cli_die(EXIT_USAGE, "--%s takes no value", spec->key);
			gm_cli_add(&line->request, spec->key, GM_CTL_BOOL)->u = 1;
			return 1;
		}
		if (!equals && spec->optional) {
			gm_cli_add(&line->request, spec->key, gm_ctl_spec_wire(spec->type));
			return 1;
		}
		if (!equals && argc < 2)
			gm_cli_die(EXIT_USAGE, "--%s needs a value", spec->key);
		const char *value = equals ? equals + 1 : argv[1];
		if (spec->type == GM_CTL_SPEC_FILE && strcmp(spec->key, "link") == 0)
			line->link_file = value;
		else if (spec->type == GM_CTL_SPEC_FILE && strcmp(spec->key, "token") == 0)
			line->token_file = value;
		else if (spec->type == GM_CTL_SPEC_FILE)
			line->key_file = value;
		else
			take_value(&line->request, spec, value);
		return equals ? 1 : 2;
	}
	gm_cli_die(EXIT_USAGE, "%s: no such option '%s'", line->verb->name, argv[0]);
}

int gm_cli_common(struct session *s, const struct gm_ctl_verb *verb, int argc, char **argv)
{
	const struct {
		const char *word;
		bool taken, *to;
	} words[] = {{"--json", true, &s->json}, {"--yes", verb->asks, &s->yes}, {"--wait", verb->rekeys, &s->wait}};
	int left = 0;

	for (int i = 0; i < argc; i++) {
		bool found = false;
		for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
			if (!words[k].taken || strcmp(argv[i], words[k].word) != 0)
				continue;
			*words[k].to = found = true;
		}
		if (!found)
			argv[left++] = argv[i];
	}
	return left;
}

/* "[GROUP] --all": one of the two. */
static void one_or_all(const struct line *line, const struct gm_ctl_spec *specs, unsigned n)
{
	bool all = false, one = false, named = false;

	for (unsigned i = 0; i < n; i++) {
		all |= !specs[i].positional && specs[i].type == GM_CTL_SPEC_FLAG && strcmp(specs[i].key, "all") == 0;
		one |= specs[i].positional && specs[i].optional && strcmp(specs[i].key, "group") == 0;
	}
	named = gm_ctl_arg(&line->request, "group") != NULL;
	if (all && one && named == (gm_ctl_arg(&line->request, "all") != NULL))
		gm_cli_die(EXIT_USAGE, "%s: a group is needed, or --all", line->verb->name);
}

void gm_cli_arguments(struct line *line, int argc, char **argv)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(line->verb, specs), at = 0;
	bool only_words = false;

	line->repeats = gm_cli_need(calloc((size_t)argc + 1, sizeof(char *)));
	for (int i = 0; i < argc;) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			i++;
			continue;
		}
		if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			i += take_option(line, specs, n, argv + i, argc - i);
			continue;
		}
		while (at < n && !specs[at].positional)
			at++;
		if (at == n)
			gm_cli_die(EXIT_USAGE, "%s: too many arguments, '%s'", line->verb->name, argv[i]);
		if (specs[at].repeats) {
			snprintf(line->repeats_key, sizeof(line->repeats_key), "%s", specs[at].key);
			line->repeats[line->repeats_n++] = argv[i++];
		} else {
			take_value(&line->request, &specs[at++], argv[i++]);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		bool given = specs[i].repeats ? line->repeats_n > 0 : gm_ctl_arg(&line->request, specs[i].key) != NULL;
		if (specs[i].positional && !specs[i].optional && !given)
			gm_cli_die(EXIT_USAGE, "%s: %s is missing", line->verb->name, specs[i].key);
	}
	one_or_all(line, specs, n);
	if (line->key_file)
		gm_cli_key_file(&line->request, line->key_file);
	if (line->token_file)
		gm_cli_token_file(&line->request, line->token_file);
	if (line->link_file)
		gm_cli_link_file(&line->request, line->link_file);
}

static bool is_family(const char *word)
{
	size_t n = strlen(word);

	for (unsigned i = 0; i < gm_ctl_verbs_n; i++)
		if (strncmp(gm_ctl_verbs[i].name, word, n) == 0 && gm_ctl_verbs[i].name[n] == ' ')
			return true;
	return false;
}

__attribute__((noreturn)) static void no_such_command(int argc, char **argv)
{
	bool family = is_family(argv[0]);

	if (argc > 1 && argv[1][0] != '-')
		gm_cli_die(EXIT_USAGE, "no such command '%s %s'; try gmctl help%s%s", argv[0], argv[1], family ? " " : "", family ? argv[0] : "");
	if (!family)
		gm_cli_die(EXIT_USAGE, "no such command '%s'; try gmctl help", argv[0]);
	fprintf(stderr, "gmctl: %s needs one of these behind it:\n", argv[0]);
	gm_cli_help(stderr, argv[0]);
	exit(EXIT_USAGE);
}

/* "group create" before "rekey": the longest verb that the words begin with. */
int gm_cli_verb(struct line *line, int argc, char **argv)
{
	char two[2 * GM_CTL_KEY_MAX + 2];

	if (argc > 1 && strlen(argv[0]) <= GM_CTL_KEY_MAX && strlen(argv[1]) <= GM_CTL_KEY_MAX) {
		snprintf(two, sizeof(two), "%s %s", argv[0], argv[1]);
		line->verb = gm_ctl_verb(two);
	}
	int words = line->verb ? 2 : 1;
	if (!line->verb)
		line->verb = gm_ctl_verb(argv[0]);
	if (!line->verb)
		no_such_command(argc, argv);
	snprintf(line->request.verb, sizeof(line->request.verb), "%s", line->verb->name);
	return words;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

bool gm_cli_helped(int argc, char **argv)
{
	static struct line line;

	if (!asks_for_help(argc, argv))
		return false;
	if (is_family(argv[0]) && argv[1][0] == '-')
		gm_cli_help(stdout, argv[0]);
	else if (gm_cli_verb(&line, argc, argv))
		gm_cli_help(stdout, line.verb->name);
	return true;
}
