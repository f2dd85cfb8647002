/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/config.h"

#include <cyaml/cyaml.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/options.h"
#include "wire/cbor.h"

#define FILE_MAX_BYTES (64u << 10)
#define LISTEN_N_MAX (sizeof(((struct gm_config *)0)->listen) / sizeof(struct gm_addr))

struct raw_prefix {
	char *prefix;
	double rate;
	uint32_t *burst;
};

struct raw_template {
	char *name;
#define X(key) char *key;
	GM_SETTINGS(X)
#undef X
};

struct raw { /* as libcyaml fills it; absent: NULL, or the first value of an enumeration */
#define GM_NUMBER(key, least, most, initial, when, example, text) uint32_t *key;
#define GM_TEXT(key, initial, when, example, text) char *key;
#define GM_WORDS(key, words, initial, when, example, text) uint32_t *key;
#define GM_FLAG(key, initial, when, example, text) uint32_t *key;
#include "ctl/options.def"
	char **listen;
	unsigned listen_count;
	struct raw_prefix *pace_prefixes;
	unsigned pace_prefixes_count;
	struct raw_template *templates;
	unsigned templates_count;
	bool *test_no_lease;
};

static const cyaml_strval_t levels[] = {
	{"error", GM_LOG_ERROR}, {"warn", GM_LOG_WARN}, {"info", GM_LOG_INFO}, {"debug", GM_LOG_DEBUG}};
static const cyaml_strval_t ports[] = {
	{"auto", GM_CONFIG_PORT_AUTO}, {"uring", GM_CONFIG_PORT_URING}, {"mmsg", GM_CONFIG_PORT_MMSG},
	{"dpdk", GM_CONFIG_PORT_DPDK}};
static const cyaml_strval_t flags[] = {{"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1}, {"off", 0}};
#define N(words) (sizeof(words) / sizeof((words)[0]))
static const cyaml_schema_value_t listen_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, GM_ADDR_TEXT)};

static const cyaml_schema_field_t prefix_fields[] = {
	CYAML_FIELD_STRING_PTR("prefix", CYAML_FLAG_POINTER, struct raw_prefix, prefix, 1, GM_ADDR_TEXT),
	CYAML_FIELD_FLOAT("rate", CYAML_FLAG_DEFAULT, struct raw_prefix, rate),
	CYAML_FIELD_UINT_PTR("burst", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_prefix, burst),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t prefix_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_prefix, prefix_fields)};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
static const cyaml_schema_field_t template_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct raw_template, name, 1, GM_TEMPLATE_NAME_MAX),
#define X(key) CYAML_FIELD_STRING_PTR(#key, OPTIONAL, struct raw_template, key, 1, GM_SETTING_MAX),
	GM_SETTINGS(X)
#undef X
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t template_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_template, template_fields)};

/* clang-format off */
static const cyaml_schema_field_t fields[] = {
#define GM_NUMBER(key, least, most, initial, when, example, text) CYAML_FIELD_UINT_PTR(#key, OPTIONAL, struct raw, key),
#define GM_TEXT(key, initial, when, example, text)                                                                     \
	CYAML_FIELD_STRING_PTR(#key, OPTIONAL, struct raw, key, sizeof(initial) == 1 ? 0 : 1, /* "" is one */     \
	                       (int64_t)sizeof(((struct gm_config *)0)->key) - 1),
#define GM_WORDS(key, words, initial, when, example, text)                                                             \
	CYAML_FIELD_ENUM_PTR(#key, OPTIONAL | CYAML_FLAG_STRICT, struct raw, key, words, N(words)),
#define GM_FLAG(key, initial, when, example, text)                                                                     \
	CYAML_FIELD_ENUM_PTR(#key, OPTIONAL | CYAML_FLAG_STRICT, struct raw, key, flags, N(flags)),
#include "ctl/options.def"
	CYAML_FIELD_SEQUENCE("listen", OPTIONAL, struct raw, listen, &listen_entry, 1, LISTEN_N_MAX),
	CYAML_FIELD_SEQUENCE("pace_prefixes", OPTIONAL, struct raw, pace_prefixes, &prefix_entry, 0, GM_PREFIXES_MAX),
	CYAML_FIELD_SEQUENCE("templates", OPTIONAL, struct raw, templates, &template_entry, 0, GM_TEMPLATES_MAX),
#ifdef GM_FAULTS
	CYAML_FIELD_BOOL_PTR("test_no_lease", OPTIONAL, struct raw, test_no_lease),
#endif
	CYAML_FIELD_END,
};
/* clang-format on */
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, fields)};

struct said { /* what libcyaml says while it reads: one message, then a backtrace, innermost first */
	char message[256], key[64];
	unsigned line, column;
};

/* libcyaml formats of interest: "Load: <message>\n", "  in mapping field '<key>' (line: 3, column: 2)\n". */
static void listen_to_cyaml(cyaml_log_t level, void *ctx, const char *fmt, va_list ap)
{
	struct said *said = ctx;
	char text[256], key[64] = "";
	unsigned line, column;

	(void)level;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	const char *place = strstr(text, "(line: ");
	if (place && sscanf(place, "(line: %u, column: %u", &line, &column) == 2) {
		if (!said->line) {
			said->line = line;
			said->column = column;
		}
		if (!said->key[0] && sscanf(text, "  in mapping field '%63[^']'", key) == 1)
			memcpy(said->key, key, sizeof(key));
		return;
	}
	const char *message = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
	if (!said->message[0] && strcmp(message, "Backtrace:") != 0)
		snprintf(said->message, sizeof(said->message), "%s", message);
}

#define NO_SUCH_KEY "no such key"
#define ITS_RANGE "within range"
#define ITS_WORDS "one of its words"

/* libcyaml 1.3's words, and ours. Where ours end with a space the rest of the message follows. */
/* clang-format off */
static const struct {
	const char *theirs, *ours;
	bool rest_is_key;
} wording[] = {
	{"Unexpected key: ", NO_SUCH_KEY, true},
	{"Mapping field already seen: ", "named twice", true},
	{"Invalid UINT value: ", "has to be a whole number within range, not ", false},
	{"Invalid FLOAT value: ", "has to be a number, not ", false},
	{"Missing required mapping field: ", "is incomplete: an entry has no ", false},
	{"Invalid uint64_t value: ", "has to be a whole number within range, not ", false},
	{"Invalid ENUM value: ", "has to be one of its words, not ", false},
	{"STRING length < 1: ", "is empty", false},
	{"STRING length > ", "is too long: at most ", false},
	{"Insufficient entries ", "is empty", false},
	{"Excessive entries ", "has too many entries", false},
	{"Expecting SEQUENCE, got event: ", "has to be a list", false},
	{"Expecting MAPPING, got event: ", "has to be a mapping of keys to values", false},
	{"Expecting STRING, got event: ", "has to be a text", false},
	{"Expecting UINT, got event: ", "has to be a whole number", false},
	{"Expecting FLOAT, got event: ", "has to be a number", false},
	{"Expecting ENUM, got event: ", "has to be one of its words", false},
	{"libyaml: ", "not YAML: ", false},
};
/* clang-format on */

static void replace(char why[static GM_CONFIG_WHY], const char *what, const char *with)
{
	char *at = strstr(why, what), rest[GM_CONFIG_WHY];

	if (!at)
		return;
	snprintf(rest, sizeof(rest), "%s", at + strlen(what));
	snprintf(at, GM_CONFIG_WHY - (size_t)(at - why), "%s%s", with, rest);
}

/* of lists' entries */
static const char *const entry_keys[] = {"prefix", "rate", "burst",
#define X(key) #key,
                                         GM_SETTINGS(X)
#undef X
};

/* What would be right: the range, the words, the key that a typo may have meant. column: of the key. */
static void add_what_is_right(char why[static GM_CONFIG_WHY], const char *key, unsigned column)
{
	const struct gm_option *option = gm_option(key);
	char range[96], text[128];
	size_t n = strlen(why);

	if (option) {
		gm_option_range(option, range);
		snprintf(text, sizeof(text), "from %s", range);
		replace(why, ITS_RANGE, text);
		replace(why, ITS_WORDS, range);
		return;
	}
	replace(why, ITS_RANGE, strcmp(key, "burst") == 0 ? "from 1 to 1000" : ITS_RANGE);
	if (n < strlen(NO_SUCH_KEY) || strcmp(why + n - strlen(NO_SUCH_KEY), NO_SUCH_KEY) != 0)
		return;
	const char *near = column > 1 ? NULL : gm_option_nearest(key);
	for (size_t i = 0; column > 1 && i < N(entry_keys); i++)
		if (strncmp(entry_keys[i], key, 3) == 0)
			near = entry_keys[i];
	if (near)
		snprintf(why + n, GM_CONFIG_WHY - n, "; is %s meant?", near);
}

/* Line and column (from 1) of the last line that starts with "key:"; false where there is none. */
static bool locate(const char *text, size_t n, const char *key, unsigned *line, unsigned *column)
{
	size_t len = strlen(key);
	unsigned at_line = 1;
	bool found = false;

	for (const char *p = text, *end = text + n; p < end; at_line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol ? eol : end, *q = p;
		while (q < stop && (*q == ' ' || *q == '"' || *q == '\'' || *q == '{'))
			q++;
		if ((size_t)(stop - q) > len && memcmp(q, key, len) == 0 && !isalnum((unsigned char)q[len]) &&
		    q[len] != '_') {
			*line = at_line;
			*column = (unsigned)(q - p) + 1;
			found = true;
		}
		p = stop + 1;
	}
	return found;
}

static void place(char why[static GM_CONFIG_WHY], const char *file, unsigned line, unsigned column, const char *key)
{
	if (line)
		snprintf(why, GM_CONFIG_WHY, "%s:%u:%u: %s%s", file, line, column, key, key[0] ? ": " : "");
	else
		snprintf(why, GM_CONFIG_WHY, "%s: %s%s", file, key, key[0] ? ": " : "");
}

/* One clear line out of what libcyaml said. */
static void explain(struct said *said, cyaml_err_t err, const char *file, const char *text, size_t n,
                    char why[static GM_CONFIG_WHY])
{
	const char *ours = said->message[0] ? "" : cyaml_strerror(err), *rest = said->message;

	for (size_t i = 0; i < sizeof(wording) / sizeof(wording[0]); i++) {
		size_t len = strlen(wording[i].theirs);
		if (strncmp(said->message, wording[i].theirs, len) != 0)
			continue;
		ours = wording[i].ours;
		rest = said->message + len;
		if (wording[i].rest_is_key) { /* libcyaml's place is the last thing it understood, not this key */
			snprintf(said->key, sizeof(said->key), "%.63s", rest);
			locate(text, n, said->key, &said->line, &said->column);
		}
		break;
	}
	if (strncmp(said->message, "libyaml: ", 9) == 0)
		said->key[0] = '\0'; /* the one before the fault */
	place(why, file, said->line, said->column, said->key);
	size_t at = strlen(why), ours_n = strlen(ours);
	bool with_rest = !ours_n || ours[ours_n - 1] == ' ';
	snprintf(why + at, GM_CONFIG_WHY - at, "%s%s", ours, with_rest ? rest : "");
	add_what_is_right(why, said->key, said->column);
}

/* Of the last place of value at or behind the line that key is on; false: it stands nowhere as it is. */
static bool locate_value(const char *text, size_t n, const char *value, unsigned *line, unsigned *column)
{
	size_t len = strlen(value), start = 0;
	unsigned at_line = 1;
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (at_line >= *line && i + len <= n && memcmp(text + i, value, len) == 0 &&
		    (i + len == n || strchr(" \t\n,]}\"'#", text[i + len]))) {
			*line = at_line;
			*column = (unsigned)(i - start) + 1;
			found = true;
		}
		if (text[i] == '\n') {
			at_line++;
			start = i + 1;
		}
	}
	return found;
}

struct source {
	const char *file, *text;
	size_t n;
	char *why;
};

/* value: where it points at, if it can be found; NULL: at the key */
__attribute__((format(printf, 4, 5))) static enum gm_err wrong_value(const struct source *src, const char *key, const char *value,
                                                                     const char *fmt, ...)
{
	unsigned line = 0, column = 0;
	va_list ap;

	if (locate(src->text, src->n, key, &line, &column) && value)
		locate_value(src->text, src->n, value, &line, &column);
	place(src->why, src->file, line, column, key);
	size_t at = strlen(src->why);
	va_start(ap, fmt);
	vsnprintf(src->why + at, GM_CONFIG_WHY - at, fmt, ap);
	va_end(ap);
	return GM_E_USAGE;
}

#define wrong(src, key, ...) wrong_value(src, key, NULL, __VA_ARGS__)

static uint32_t default_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus <= 2                         ? 1
	       : cpus - 1 > (long)GM_WORKERS_MAX ? GM_WORKERS_MAX
						 : (uint32_t)(cpus - 1); /* one for the core */
}

static enum gm_err take_number(const struct source *src, const char *key, const uint32_t *given, uint32_t least,
                               uint32_t most, uint32_t initial, uint32_t *to)
{
	*to = given ? *given : initial;
	if (*to < least || *to > most)
		return wrong(src, key, "has to be %u to %u, not %u", least, most, *to);
	return GM_E_OK;
}

static enum gm_err take_text(const struct source *src, const char *key, const char *given, const char *initial,
			     char *to, size_t cap)
{
	if (!given && !initial)
		return wrong(src, key, "is missing");
	snprintf(to, cap, "%s", given ? given : initial);
	return GM_E_OK;
}

static enum gm_err take_listen(const struct source *src, const struct raw *raw, struct gm_config *config)
{
	char *any[] = {(char[]){"[::]:5683"}};
	char **texts = raw->listen_count ? raw->listen : any;

	const unsigned n = raw->listen_count ? raw->listen_count : 1;

	config->listen_n = n;
	for (unsigned i = 0; i < n; i++) {
		if (!gm_addr_parse(&config->listen[i], texts[i]))
			return wrong_value(src, "listen", texts[i], "'%s' is not an address like [::1]:5683 or 127.0.0.1:5683",
				     texts[i]);
		for (unsigned k = 0; k < i; k++)
			if (gm_addr_eq(&config->listen[k], &config->listen[i]) && config->listen[i].port)
				return wrong_value(src, "listen", texts[i], "'%s' is named twice", texts[i]);
	}
	return GM_E_OK;
}

#define RATE_MIN 0.01
#define RATE_MAX 1000000.0
#define BURST_MAX 1000u

static enum gm_err take_prefix(const struct source *src, const struct raw_prefix *raw, struct gm_pace_prefix *to)
{
	const char *what = gm_prefix_parse(&to->prefix, raw->prefix);

	if (what)
		return wrong_value(src, "pace_prefixes", raw->prefix, "'%s' %s", raw->prefix, what);
	if (!(raw->rate >= RATE_MIN && raw->rate <= RATE_MAX))
		return wrong_value(src, "pace_prefixes", raw->prefix, "'%s': rate has to be %g to %.0f, not %g", raw->prefix, RATE_MIN, RATE_MAX,
		             raw->rate);
	to->rate = raw->rate;
	to->burst = raw->burst ? *raw->burst : 1;
	if (to->burst < 1 || to->burst > BURST_MAX)
		return wrong_value(src, "pace_prefixes", raw->prefix, "'%s': burst has to be 1 to %u, not %u", raw->prefix, BURST_MAX, to->burst);
	return GM_E_OK;
}

static enum gm_err take_prefixes(const struct source *src, const struct raw *raw, struct gm_config *config)
{
	config->prefixes_n = raw->pace_prefixes_count;
	for (unsigned i = 0; i < config->prefixes_n; i++) {
		struct gm_pace_prefix *p = &config->prefixes[i];
		GM_TRY(take_prefix(src, &raw->pace_prefixes[i], p));
		for (unsigned k = 0; k < i; k++)
			if (memcmp(&config->prefixes[k].prefix, &p->prefix, sizeof(p->prefix)) == 0)
				return wrong_value(src, "pace_prefixes", raw->pace_prefixes[i].prefix, "'%s' is named twice", raw->pace_prefixes[i].prefix);
	}
	return GM_E_OK;
}

static enum gm_err take_template(const struct source *src, const struct raw_template *raw, struct gm_template *to)
{
	struct gm_group_spec spec = gm_settings_begin();
	char why[GM_SETTING_WHY];

	snprintf(to->name, sizeof(to->name), "%s", raw->name);
#define X(key) snprintf(to->set[GM_SETTING_##key], sizeof(to->set[0]), "%s", raw->key ? raw->key : "");
	GM_SETTINGS(X)
#undef X
	if (!gm_template_put(to, &spec, why) || !gm_settings_done(&spec, why))
		return wrong_value(src, "templates", raw->name, "'%s': %s", raw->name, why);
	return GM_E_OK;
}

static enum gm_err take_templates(const struct source *src, const struct raw *raw, struct gm_config *config)
{
	config->templates_n = raw->templates_count;
	for (unsigned i = 0; i < config->templates_n; i++) {
		const char *name = raw->templates[i].name;
		GM_TRY(take_template(src, &raw->templates[i], &config->templates[i]));
		for (unsigned k = 0; k < i; k++)
			if (strcmp(config->templates[k].name, name) == 0)
				return wrong_value(src, "templates", name, "'%s' is named twice", name);
	}
	return GM_E_OK;
}

/* It does nothing without arguments, and has one worker unless told. */
static enum gm_err take_port(const struct source *src, const struct raw *raw, struct gm_config *config)
{
	config->port = raw->port ? (enum gm_config_port)*raw->port : GM_CONFIG_PORT_AUTO;
	if (config->port != GM_CONFIG_PORT_DPDK && (raw->dpdk_args || raw->dpdk_interface))
		return wrong(src, raw->dpdk_args ? "dpdk_args" : "dpdk_interface", "needs port: dpdk");
	if (config->port != GM_CONFIG_PORT_DPDK)
		return GM_E_OK;
	if (!raw->dpdk_args)
		return wrong(src, "dpdk_args", "is missing: port: dpdk needs it");
	if (!raw->workers)
		config->workers = 1;
	return GM_E_OK;
}

static enum gm_err take(const struct source *src, const struct raw *raw, struct gm_config *config)
{
#define GM_NUMBER(key, least, most, initial, when, example, text)                                                      \
	GM_TRY(take_number(src, #key, raw->key, least, most, initial, &config->key));
#define GM_TEXT(key, initial, when, example, text) GM_TRY(take_text(src, #key, raw->key, initial, config->key, sizeof(config->key)));
#define GM_FLAG(key, initial, when, example, text) config->key = raw->key ? *raw->key : initial;
#include "ctl/options.def"
	if (config->rekey_deadline_ms < config->rekey_window_ms)
		return wrong(src, "rekey_deadline_ms", "has to be at least rekey_window_ms");
	GM_TRY(take_port(src, raw, config));
	GM_TRY(take_prefixes(src, raw, config));
	GM_TRY(take_templates(src, raw, config));
	config->log_level = raw->log_level ? (enum gm_log_level)*raw->log_level : GM_LOG_INFO;
	config->test_no_lease = raw->test_no_lease && *raw->test_no_lease;
	return take_listen(src, raw, config);
}

/* A value that is quoted in it may have lines of its own, and what a terminal obeys. */
static void on_one_line(char why[static GM_CONFIG_WHY])
{
	why[gm_utf8_shown(why, (const uint8_t *)why, strlen(why))] = '\0';
}

enum gm_err gm_config_parse(struct gm_config *config, const char *file, const char *text, size_t n,
                            char why[static GM_CONFIG_WHY])
{
	struct said said = {0};
	const cyaml_config_t cyaml = {.log_fn = listen_to_cyaml,
	                              .log_ctx = &said,
	                              .log_level = CYAML_LOG_NOTICE,
	                              .mem_fn = cyaml_mem,
	                              .flags = CYAML_CFG_NO_ALIAS};
	const struct source src = {.file = file, .text = text, .n = n, .why = why};
	struct raw *raw = NULL, none = {0};

	*config = (struct gm_config){0};
	why[0] = '\0';
	cyaml_err_t err = cyaml_load_data((const uint8_t *)text, n, &cyaml, &schema, (cyaml_data_t **)&raw, NULL);
	if (err != CYAML_OK) {
		explain(&said, err, file, text, n, why);
		on_one_line(why);
		return GM_E_USAGE;
	}
	enum gm_err result = take(&src, raw ? raw : &none, config);
	on_one_line(why);
	cyaml_free(&cyaml, &schema, raw, 0);
	return result;
}

enum gm_err gm_config_load(struct gm_config *config, const char *file, char why[static GM_CONFIG_WHY])
{
	FILE *f = fopen(file, "re");
	char *text = f ? malloc(FILE_MAX_BYTES) : NULL;

	if (!text) {
		snprintf(why, GM_CONFIG_WHY, "%s: %s", file, strerror(errno));
		if (f)
			fclose(f);
		return GM_E_MISSING;
	}
	size_t n = fread(text, 1, FILE_MAX_BYTES, f);
	enum gm_err err = GM_E_MISSING;
	if (ferror(f))
		snprintf(why, GM_CONFIG_WHY, "%s: %s", file, strerror(errno));
	else if (n == FILE_MAX_BYTES)
		snprintf(why, GM_CONFIG_WHY, "%s: longer than %u bytes", file, FILE_MAX_BYTES - 1);
	else
		err = gm_config_parse(config, file, text, n, why);
	free(text);
	fclose(f);
	return err;
}
