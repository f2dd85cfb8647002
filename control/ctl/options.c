/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/options.h"

#include <string.h>

enum { START, LIVE };

static const char *const levels[] = {
	[GM_LOG_ERROR] = "error", [GM_LOG_WARN] = "warn", [GM_LOG_INFO] = "info", [GM_LOG_DEBUG] = "debug", NULL};
static const char *const ports[] = {
	[GM_CONFIG_PORT_AUTO] = "auto", [GM_CONFIG_PORT_URING] = "uring", [GM_CONFIG_PORT_MMSG] = "mmsg", [GM_CONFIG_PORT_DPDK] = "dpdk", NULL};

#define FIELD(name) .at = offsetof(struct gm_config, name), .size = sizeof(((struct gm_config *)0)->name)
#define OPTION(name, of, when, sample, said) .key = #name, .kind = of, .live = (when) == LIVE, .example = sample, .text = said

/* clang-format off */
const struct gm_option gm_options[] = {
#define GM_SECTION(title) {.section = title},
#define GM_NUMBER(name, low, high, first, when, sample, said)                                                                          \
	{OPTION(name, GM_OPTION_NUMBER, when, sample, said), .least = low, .most = high, .initial = #first, FIELD(name)},
#define GM_TEXT(name, first, when, sample, said) {OPTION(name, GM_OPTION_TEXT, when, sample, said), .initial = first, FIELD(name)},
#define GM_WORDS(name, of, first, when, sample, said)                                                                                  \
	{OPTION(name, GM_OPTION_WORDS, when, sample, said), .words = of, .least = first, FIELD(name)},
#define GM_FLAG(name, first, when, sample, said) {OPTION(name, GM_OPTION_FLAG, when, sample, said), .initial = #first, FIELD(name)},
#define GM_LIST(name, when, sample, said) {OPTION(name, GM_OPTION_LIST, when, sample, said)},
#include "ctl/options.def"
};
/* clang-format on */
const unsigned gm_options_n = sizeof(gm_options) / sizeof(gm_options[0]);

const struct gm_option *gm_option(const char *key)
{
	for (unsigned i = 0; i < gm_options_n; i++)
		if (gm_options[i].key && strcmp(gm_options[i].key, key) == 0)
			return &gm_options[i];
	return NULL;
}

/* ---- what a typo may have meant */

#define KEY_MAX 32u

/* Insertions, deletions, changes and swaps of neighbours between two words of at most KEY_MAX bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][KEY_MAX + 1];
	size_t n = strlen(b);

	for (unsigned k = 0; k <= n; k++)
		row[1][k] = k;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned *now = row[(i + 1) % 3], *last = row[i % 3], *before = row[(i + 2) % 3];
		now[0] = i;
		for (unsigned k = 1; k <= n; k++) {
			unsigned best = last[k - 1] + (a[i - 1] != b[k - 1]);
			best = last[k] + 1 < best ? last[k] + 1 : best;
			best = now[k - 1] + 1 < best ? now[k - 1] + 1 : best;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < best)
				best = before[k - 2] + 1;
			now[k] = best;
		}
	}
	return row[(strlen(a) + 1) % 3][n];
}

const char *gm_option_nearest(const char *key)
{
	const char *found = NULL;
	unsigned least = (unsigned)strlen(key) / 3 + 1;

	for (unsigned i = 0; i < gm_options_n && strlen(key) <= KEY_MAX; i++) {
		unsigned d = gm_options[i].key ? distance(key, gm_options[i].key) : least + 1;
		if (d < least || (d == least && !found)) {
			least = d;
			found = gm_options[i].key;
		}
	}
	return found;
}

/* ---- values */

static void put_listen(FILE *f, const struct gm_config *c)
{
	char text[GM_ADDR_TEXT];

	for (unsigned i = 0; i < c->listen_n; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", gm_addr_text(&c->listen[i], text));
}

static void put_prefixes(FILE *f, const struct gm_config *c)
{
	char text[GM_ADDR_TEXT];

	for (unsigned i = 0; i < c->prefixes_n; i++)
		fprintf(f, "%s{prefix: \"%s\", rate: %g, burst: %u}", i ? ", " : "", gm_prefix_text(&c->prefixes[i].prefix, text),
		        c->prefixes[i].rate, c->prefixes[i].burst);
}

static void put_template(FILE *f, const struct gm_template *t)
{
	fprintf(f, "{name: \"%s\"", t->name);
	for (unsigned k = 0; k < GM_SETTINGS_N; k++)
		if (t->set[k][0])
			fprintf(f, ", %s: %s", gm_setting_keys[k], t->set[k]);
	fputc('}', f);
}

static void put_templates(FILE *f, const struct gm_config *c)
{
	for (unsigned i = 0; i < c->templates_n; i++) {
		fputs(i ? ", " : "", f);
		put_template(f, &c->templates[i]);
	}
}

static bool same_listen(const struct gm_config *a, const struct gm_config *b)
{
	for (unsigned i = 0; i < a->listen_n && a->listen_n == b->listen_n; i++)
		if (!gm_addr_eq(&a->listen[i], &b->listen[i]))
			return false;
	return a->listen_n == b->listen_n;
}

static bool same_prefixes(const struct gm_config *a, const struct gm_config *b)
{
	for (unsigned i = 0; i < a->prefixes_n && a->prefixes_n == b->prefixes_n; i++) {
		const struct gm_pace_prefix *x = &a->prefixes[i], *y = &b->prefixes[i];
		if (memcmp(&x->prefix, &y->prefix, sizeof(x->prefix)) != 0 || x->burst != y->burst || x->rate < y->rate || x->rate > y->rate)
			return false;
	}
	return a->prefixes_n == b->prefixes_n;
}

static bool same_templates(const struct gm_config *a, const struct gm_config *b)
{
	for (unsigned i = 0; i < a->templates_n && a->templates_n == b->templates_n; i++) {
		const struct gm_template *x = &a->templates[i], *y = &b->templates[i];
		bool same = strcmp(x->name, y->name) == 0;
		for (unsigned k = 0; same && k < GM_SETTINGS_N; k++)
			same = strcmp(x->set[k], y->set[k]) == 0;
		if (!same)
			return false;
	}
	return a->templates_n == b->templates_n;
}

static void copy_templates(struct gm_config *to, const struct gm_config *from)
{
	memcpy(to->templates, from->templates, sizeof(to->templates));
	to->templates_n = from->templates_n;
}

static const struct list {
	const char *key;
	void (*put)(FILE *f, const struct gm_config *c);
	bool (*same)(const struct gm_config *a, const struct gm_config *b); /* not as text, which may be cut */
	void (*copy)(struct gm_config *to, const struct gm_config *from); /* of one that a reload changes */
} lists[] = {{"listen", put_listen, same_listen, NULL},
             {"pace_prefixes", put_prefixes, same_prefixes, NULL},
             {"templates", put_templates, same_templates, copy_templates}};

static const struct list *list_of(const struct gm_option *o)
{
	const struct list *list = lists;

	while (strcmp(list->key, o->key) != 0)
		list++;
	return list;
}

const char *gm_option_value(const struct gm_option *o, const struct gm_config *config, char *buf, size_t cap)
{
	const char *field = (const char *)config + o->at;
	FILE *f = fmemopen(buf, cap, "w");
	uint32_t number = 0;

	buf[0] = '\0';
	if (!f)
		return buf;
	if (o->kind == GM_OPTION_NUMBER || o->kind == GM_OPTION_WORDS)
		memcpy(&number, field, sizeof(number));
	if (o->kind == GM_OPTION_NUMBER)
		fprintf(f, "%u", number);
	else if (o->kind == GM_OPTION_WORDS)
		fputs(o->words[number], f);
	else if (o->kind == GM_OPTION_FLAG)
		fputs(*(const bool *)field ? "true" : "false", f);
	else if (o->kind == GM_OPTION_TEXT)
		fputs(field[0] ? field : "\"\"", f);
	else {
		fputc('[', f);
		list_of(o)->put(f, config);
		fputc(']', f);
	}
	fclose(f);
	buf[cap - 1] = '\0';
	return buf;
}

bool gm_option_same(const struct gm_option *o, const struct gm_config *a, const struct gm_config *b)
{
	static char texts[2][2048];

	if (o->kind == GM_OPTION_LIST)
		return list_of(o)->same(a, b);
	return strcmp(gm_option_value(o, a, texts[0], sizeof(texts[0])), gm_option_value(o, b, texts[1], sizeof(texts[1]))) == 0;
}

void gm_option_copy(const struct gm_option *o, struct gm_config *to, const struct gm_config *from)
{
	if (o->kind == GM_OPTION_LIST)
		list_of(o)->copy(to, from);
	else
		memcpy((char *)to + o->at, (const char *)from + o->at, o->size);
}

const char *gm_option_range(const struct gm_option *o, char buf[static 96])
{
	size_t n = 0;

	buf[0] = '\0';
	if (o->kind == GM_OPTION_NUMBER)
		snprintf(buf, 96, "%u to %u", o->least, o->most);
	else if (o->kind == GM_OPTION_FLAG)
		snprintf(buf, 96, "true or false");
	for (unsigned i = 0; o->kind == GM_OPTION_WORDS && o->words[i]; i++)
		n += (size_t)snprintf(buf + n, 96 - n, "%s%s", i == 0 ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
	return buf;
}
