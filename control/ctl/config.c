/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/config.h"

#include <cyaml/cyaml.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX_BYTES (64u << 10)
#define LISTEN_N_MAX (sizeof(((struct gm_config *)0)->listen) / sizeof(struct gm_addr))

/* clang-format off */
/*             key            least  most         default */
#define NUMBERS(X)                                                                                                     \
	X(workers,             1, GM_WORKERS_MAX, default_workers())                                                   \
	X(contexts_max,        1, 16777216,  262144)                                                                   \
	X(members_max,         1, 16777216,  262144)                                                                   \
	X(groups_max,          1, 1000000,   10000)                                                                    \
	X(changes_per_minute,  0, 6000,      60)                                                                       \
	X(stranger_rate,       0, 1000000,   4096)                                                                     \
	X(pace,                0, GM_PACE_MAX, 20000)                                                                        \
	X(rekey_window_ms,     0, 3600000,   1000)                                                                     \
	X(rekey_deadline_ms,   0, 3600000,   5000)                                                                     \
	X(ack_timeout_ms,      50, 600000,   2000)                                                                     \
	X(retransmit_max,      0, 20,        4)

/*             key            default */
#define TEXTS(X)                                                                                                       \
	X(state_dir,           "/var/lib/gmd")                                                                         \
	X(key_file,            "/etc/gmd/store.key")                                                                   \
	X(witness_file,        "")                                                                                     \
	X(control_socket,      "/run/gmd/gmd.sock")                                                                    \
	X(control_group,       "")                                                                                     \
	X(control_operators,   "")                                                                                     \
	X(control_viewers,     "")                                                                                     \
	X(audience,            NULL)                                                                                   \
	X(uri,                 "")                                                                                     \
	X(dpdk_args,           "")                                                                                     \
	X(dpdk_interface,      "")
/* clang-format on */

struct raw_prefix {
	char *prefix;
	double rate;
	uint32_t *burst;
};

struct raw { /* as libcyaml fills it; absent: NULL, or the first value of an enumeration */
#define X(key, least, most, initial) uint32_t *key;
	NUMBERS(X)
#undef X
#define X(key, initial) char *key;
	TEXTS(X)
#undef X
	char **listen;
	unsigned listen_count;
	struct raw_prefix *pace_prefixes;
	unsigned pace_prefixes_count;
	enum gm_log_level *log_level;
	enum gm_config_port *port;
	bool *rekey_at_start, *confine, *test_no_lease;
};

static const cyaml_strval_t levels[] = {
	{"error", GM_LOG_ERROR}, {"warn", GM_LOG_WARN}, {"info", GM_LOG_INFO}, {"debug", GM_LOG_DEBUG}};
static const cyaml_strval_t ports[] = {
	{"auto", GM_CONFIG_PORT_AUTO}, {"uring", GM_CONFIG_PORT_URING}, {"mmsg", GM_CONFIG_PORT_MMSG},
	{"dpdk", GM_CONFIG_PORT_DPDK}};
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
/* clang-format off */
static const cyaml_schema_field_t fields[] = {
#define X(key, least, most, initial) CYAML_FIELD_UINT_PTR(#key, OPTIONAL, struct raw, key),
	NUMBERS(X)
#undef X
#define X(key, initial)                                                                                                \
	CYAML_FIELD_STRING_PTR(#key, OPTIONAL, struct raw, key, 1, (int64_t)sizeof(((struct gm_config *)0)->key) - 1),
	TEXTS(X)
#undef X
	CYAML_FIELD_SEQUENCE("listen", OPTIONAL, struct raw, listen, &listen_entry, 1, LISTEN_N_MAX),
	CYAML_FIELD_SEQUENCE("pace_prefixes", OPTIONAL, struct raw, pace_prefixes, &prefix_entry, 0, GM_PREFIXES_MAX),
	CYAML_FIELD_ENUM_PTR("log_level", OPTIONAL | CYAML_FLAG_STRICT, struct raw, log_level, levels, 4),
	CYAML_FIELD_ENUM_PTR("port", OPTIONAL | CYAML_FLAG_STRICT, struct raw, port, ports, 4),
	CYAML_FIELD_BOOL_PTR("rekey_at_start", OPTIONAL, struct raw, rekey_at_start),
	CYAML_FIELD_BOOL_PTR("confine", OPTIONAL, struct raw, confine),
#ifdef GM_TEST_BUILD
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

/* libcyaml 1.3's words, and ours. Where ours end with a space the rest of the message follows. */
/* clang-format off */
static const struct {
	const char *theirs, *ours;
	bool rest_is_key;
} wording[] = {
	{"Unexpected key: ", "no such key", true},
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

/* "has to be one of its words" becomes the words. */
static const struct {
	const char *key, *words;
} choices[] = {{"log_level", "error, warn, info or debug"}, {"port", "auto, uring, mmsg or dpdk"}};
#define ITS_WORDS "one of its words"

static void name_choices(char why[static GM_CONFIG_WHY], const char *key)
{
	char *at = strstr(why, ITS_WORDS), rest[GM_CONFIG_WHY];

	for (size_t i = 0; at && i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (strcmp(key, choices[i].key) != 0)
			continue;
		snprintf(rest, sizeof(rest), "%s", at + strlen(ITS_WORDS));
		snprintf(at, GM_CONFIG_WHY - (size_t)(at - why), "%s%s", choices[i].words, rest);
		return;
	}
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
	name_choices(why, said->key);
}

struct source {
	const char *file, *text;
	size_t n;
	char *why;
};

__attribute__((format(printf, 3, 4))) static enum gm_err wrong(const struct source *src, const char *key,
                                                               const char *fmt, ...)
{
	unsigned line = 0, column = 0;
	va_list ap;

	locate(src->text, src->n, key, &line, &column);
	place(src->why, src->file, line, column, key);
	size_t at = strlen(src->why);
	va_start(ap, fmt);
	vsnprintf(src->why + at, GM_CONFIG_WHY - at, fmt, ap);
	va_end(ap);
	return GM_E_USAGE;
}

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

	config->listen_n = raw->listen_count ? raw->listen_count : 1;
	for (unsigned i = 0; i < config->listen_n; i++) {
		if (!gm_addr_parse(&config->listen[i], texts[i]))
			return wrong(src, "listen", "'%s' is not an address like [::1]:5683 or 127.0.0.1:5683",
				     texts[i]);
		for (unsigned k = 0; k < i; k++)
			if (gm_addr_eq(&config->listen[k], &config->listen[i]) && config->listen[i].port)
				return wrong(src, "listen", "'%s' is named twice", texts[i]);
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
		return wrong(src, "pace_prefixes", "'%s' %s", raw->prefix, what);
	if (!(raw->rate >= RATE_MIN && raw->rate <= RATE_MAX))
		return wrong(src, "pace_prefixes", "'%s': rate has to be %g to %.0f, not %g", raw->prefix, RATE_MIN, RATE_MAX,
		             raw->rate);
	to->rate = raw->rate;
	to->burst = raw->burst ? *raw->burst : 1;
	if (to->burst < 1 || to->burst > BURST_MAX)
		return wrong(src, "pace_prefixes", "'%s': burst has to be 1 to %u, not %u", raw->prefix, BURST_MAX, to->burst);
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
				return wrong(src, "pace_prefixes", "'%s' is named twice", raw->pace_prefixes[i].prefix);
	}
	return GM_E_OK;
}

/* It does nothing without arguments, and has one worker unless told. */
static enum gm_err take_port(const struct source *src, const struct raw *raw, struct gm_config *config)
{
	config->port = raw->port ? *raw->port : GM_CONFIG_PORT_AUTO;
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
#define X(key, least, most, initial) GM_TRY(take_number(src, #key, raw->key, least, most, initial, &config->key));
	NUMBERS(X)
#undef X
#define X(key, initial) GM_TRY(take_text(src, #key, raw->key, initial, config->key, sizeof(config->key)));
	TEXTS(X)
#undef X
	if (config->rekey_deadline_ms < config->rekey_window_ms)
		return wrong(src, "rekey_deadline_ms", "has to be at least rekey_window_ms");
	GM_TRY(take_port(src, raw, config));
	GM_TRY(take_prefixes(src, raw, config));
	config->log_level = raw->log_level ? *raw->log_level : GM_LOG_INFO;
	config->rekey_at_start = raw->rekey_at_start && *raw->rekey_at_start;
	config->confine = !raw->confine || *raw->confine;
	config->test_no_lease = raw->test_no_lease && *raw->test_no_lease;
	return take_listen(src, raw, config);
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
		return GM_E_USAGE;
	}
	enum gm_err result = take(&src, raw ? raw : &none, config);
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
