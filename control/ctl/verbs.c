/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs.h"

#include <ctype.h>
#include <stdio.h>

enum { CHANGE = 1, REKEYS = 2, ASKS = 4 };

const struct gm_ctl_verb gm_ctl_verbs[] = {
#define GM_VERB(words, arguments, who, what, view, function, text)                                                     \
	{.name = words,                                                                                                \
	 .args = arguments,                                                                                            \
	 .help = text,                                                                                                 \
	 .level = GM_CTL_##who,                                                                                        \
	 .change = ((what) & CHANGE) != 0,                                                                             \
	 .rekeys = ((what) & REKEYS) != 0,                                                                             \
	 .asks = ((what) & ASKS) != 0,                                                                                 \
	 .show = GM_CTL_##view},
#define GM_LOCAL(words, arguments, function, text) {.name = words, .args = arguments, .help = text, .local = true},
#include "ctl/verbs.def"
#undef GM_VERB
#undef GM_LOCAL
};
const unsigned gm_ctl_verbs_n = sizeof(gm_ctl_verbs) / sizeof(gm_ctl_verbs[0]);

const struct gm_ctl_verb *gm_ctl_verb(const char *name)
{
	for (unsigned i = 0; i < gm_ctl_verbs_n; i++)
		if (strcmp(gm_ctl_verbs[i].name, name) == 0)
			return &gm_ctl_verbs[i];
	return NULL;
}

static const struct {
	const char *name;
	enum gm_ctl_spec_type type;
} types[] = {
	{"UINT", GM_CTL_SPEC_UINT}, {"TIME", GM_CTL_SPEC_TIME}, {"TEXT", GM_CTL_SPEC_TEXT}, {"HEX", GM_CTL_SPEC_HEX}, {"FILE", GM_CTL_SPEC_FILE}};

static void spec_parse(const char *word, size_t n, struct gm_ctl_spec *spec)
{
	*spec = (struct gm_ctl_spec){.type = GM_CTL_SPEC_TEXT};
	spec->positional = word[0] != '-';
	if (!spec->positional) {
		size_t dashes = word[1] == '-' ? 2 : 1;
		word += dashes;
		n -= dashes;
	}
	if (spec->positional && word[0] == '[') { /* [NAME], [NAME...], [NAME]=FILE */
		const char *close = memchr(word, ']', n);
		spec->optional = true;
		if (close && close[1] == '=')
			spec->type = GM_CTL_SPEC_FILE;
		word++;
		n = close ? (size_t)(close - word) : n - 1;
	}
	spec->repeats = n > 3 && memcmp(word + n - 3, "...", 3) == 0;
	if (spec->repeats)
		n -= 3;
	const char *equals = memchr(word, '=', n);
	size_t key_n = equals ? (size_t)(equals - word) : n;
	if (!spec->positional && key_n && equals && equals[-1] == '[') {
		spec->optional = true;
		key_n--;
	}
	for (size_t i = 0; i < key_n && i < GM_CTL_KEY_MAX; i++)
		spec->key[i] = (char)tolower((unsigned char)word[i]);
	if (!equals && !spec->positional)
		spec->type = GM_CTL_SPEC_FLAG;
	for (unsigned i = 0; equals && i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(equals + 1, types[i].name, strlen(types[i].name)) == 0)
			spec->type = types[i].type;
}

unsigned gm_ctl_specs(const struct gm_ctl_verb *verb, struct gm_ctl_spec specs[static GM_CTL_SPECS_MAX])
{
	unsigned n = 0;

	for (const char *p = verb->args; *p && n < GM_CTL_SPECS_MAX;) {
		size_t len = strcspn(p, " ");
		spec_parse(p, len, &specs[n++]);
		p += len;
		p += strspn(p, " ");
	}
	return n;
}

const char *gm_ctl_spec_text(enum gm_ctl_spec_type type)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].name;
	return "";
}

enum gm_ctl_type gm_ctl_spec_wire(enum gm_ctl_spec_type type)
{
	static const enum gm_ctl_type wire[] = {
		[GM_CTL_SPEC_FLAG] = GM_CTL_BOOL, [GM_CTL_SPEC_UINT] = GM_CTL_UINT, [GM_CTL_SPEC_TIME] = GM_CTL_UINT, [GM_CTL_SPEC_TEXT] = GM_CTL_TEXT,
		[GM_CTL_SPEC_HEX] = GM_CTL_BYTES, [GM_CTL_SPEC_FILE] = GM_CTL_BYTES,
	};
	return wire[type];
}

enum gm_err gm_ctl_check(const struct gm_ctl_verb *verb, const struct gm_ctl_request *request, char why[static GM_WHY])
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(verb, specs);

	if (verb->show == GM_CTL_TABLE && n < GM_CTL_SPECS_MAX)
		specs[n++] = (struct gm_ctl_spec){.key = "after", .type = GM_CTL_SPEC_UINT};
	if (verb->asks && n < GM_CTL_SPECS_MAX)
		specs[n++] = (struct gm_ctl_spec){.key = "preview", .type = GM_CTL_SPEC_FLAG};
	for (const struct gm_ctl_arg *a = request->args; a < request->args + request->args_n; a++) {
		unsigned i = 0;
		while (i < n && strcmp(specs[i].key, a->key) != 0)
			i++;
		if (i == n || a->type != gm_ctl_spec_wire(specs[i].type)) {
			snprintf(why, GM_WHY, "%.40s: %s '%.40s'", verb->name,
				 i == n ? "no such argument" : "wrong type of argument", a->key);
			return GM_E_USAGE;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		if (specs[i].positional && !specs[i].optional && !gm_ctl_arg(request, specs[i].key)) {
			snprintf(why, GM_WHY, "%.40s: argument '%.40s' is missing", verb->name, specs[i].key);
			return GM_E_USAGE;
		}
	}
	return GM_E_OK;
}
