/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody who helps from afar wants to see: rows of commands that anybody may look at, an object a line. There are no secrets in what
 * gmd says. With --anon a text stays where it is one of few by what it stands under; every other one becomes a number, the same one
 * wherever it occurs, and so does a number that tells who it was.
 *
 * Help is needed where something is wrong: a part that is refused is a row that says why, and the others follow. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ctl/options.h"
#include "ctl/settings.h"

#define ENTRIES 200u /* of the audit log */

static struct {
	FILE *to;
	bool anon;
	const char *part;
	json_t *names; /* text to its number */
} bundle;

/* Words of ours, and numbers that travel as text. What may hold a name, an address or an identifier is not here. */
static const struct {
	const char *part; /* NULL: any */
	const char *keys[24];
} kept[] = {
	{NULL, {"what", "state", "version", "key", "reason", "alg"}},
	{"machine", {"kernel", "machine"}},
	{"status", {"call", "queue", "newcomers", "secrets"}},
	{"store status", {"disk"}},
	{"config show", {"changes"}},
	{"config diff", {"changes"}},
	{"as list", {"trl"}},
	{"pace", {"rate", "rate_now"}},
	{"template list", {"settings"}},
	{"schedule list", {"local_time", "days", "window", "pause_late"}},
	{"group settings",
         {"max_members", "max_stale_sets", "backward", "rekey_every", "key_lifetime", "modes", "sign_alg", "hkdf", "gp_enc_alg", "ecdh_curve", "cred_fmt", "active"}},
	{"metrics", {"metric", "resource", "method", "code", "result", "outcome", "cause", "worker", "part", "buckets"}},
	{"audit", {"event", "level", "command", "roles", "changed", "active"}},
};

/* Where names may stand, too. */
static const struct {
	const char *part, *key, *text;
} ours[] = {
	{"store status", "witness", "beside the store"},
	{"pace", "network", "all"},
	{"audit", "by", "gmd"},
	{"config show", "value", "\"\""},
	{"config show", "value", "[]"},
};

/* What health says of these has no name in it, nor what it says when all is well. */
static const char *const nameless[] = {"contexts", "members", "groups", "newcomers", "backlog", "secrets"};

static const char *const identifying[] = {"id", "pid"}; /* among numbers */

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; text && i < n; i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

static bool is_nameless(json_t *object, const char *key)
{
	const char *what = json_string_value(json_object_get(object, "what")), *state = json_string_value(json_object_get(object, "state"));

	return strcmp(bundle.part, "health") == 0 && strcmp(key, "detail") == 0 &&
	       ((state && strcmp(state, "ok") == 0) || is_one_of(what, nameless, sizeof(nameless) / sizeof(nameless[0])));
}

static bool is_word(const char *key, const char *text)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(ours[i].part, bundle.part) == 0 && strcmp(ours[i].key, key) == 0 && strcmp(ours[i].text, text) == 0)
			return true;
	return false;
}

static bool is_kept(const char *key)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (kept[i].part && strcmp(kept[i].part, bundle.part) != 0)
			continue;
		for (const char *const *k = kept[i].keys; *k; k++)
			if (strcmp(*k, key) == 0)
				return true;
	}
	return false;
}

/* Of a key of the configuration; -1: it is no value of one. */
static int kind_of_value(const char *key, const char *option)
{
	static const char *const values[] = {"value", "was", "is", "running", "file"};
	const struct gm_option *o = option ? gm_option(option) : NULL;

	return o && is_one_of(key, values, sizeof(values) / sizeof(values[0])) ? (int)o->kind : -1;
}

static json_t *number_of(const char *text)
{
	json_t *known = json_object_get(bundle.names, text);
	json_int_t number = known ? json_integer_value(known) : (json_int_t)json_object_size(bundle.names) + 1;

	if (!known)
		json_object_set_new(bundle.names, text, json_integer(number));
	return json_sprintf("name-%lld", (long long)number);
}

static json_t *number_of_number(const char *key, json_int_t v)
{
	char text[64]; /* no text of gmd's is like it: a process is not the server of that number */

	snprintf(text, sizeof(text), "%s\n%lld", key, (long long)v);
	return number_of(text);
}

/* ---- lists of the configuration: keys stay, and what they say but for names */

static bool is_list_key(const char *word, size_t n)
{
	static const char *const others[] = {"name:", "prefix:", "rate:", "burst:"};
	char key[GM_CTL_KEY_MAX + 2];

	if (snprintf(key, sizeof(key), "%.*s", (int)n, word) >= (int)sizeof(key) || key[n - 1] != ':')
		return false;
	if (is_one_of(key, others, sizeof(others) / sizeof(others[0])))
		return true;
	key[n - 1] = '\0';
	return is_one_of(key, gm_setting_keys, GM_SETTINGS_N);
}

static void put_hidden(FILE *to, const char *word, size_t n)
{
	const bool quoted = word[0] == '"' && n > 1;
	char *inside = gm_cli_need(strndup(word + quoted, n - 2 * quoted));
	json_t *number = gm_cli_need(number_of(inside));

	fputs(json_string_value(number), to);
	json_decref(number);
	free(inside);
}

static size_t word_length(const char *p)
{
	size_t n = 1;

	if (*p != '"')
		return strcspn(p, "]}, ");
	while (p[n] && p[n] != '"')
		n += p[n] == '\\' && p[n + 1] ? 2 : 1;
	return n + (p[n] == '"');
}

static json_t *list_without_names(const char *p)
{
	char *text;
	size_t text_n;
	bool shown = false; /* the values of this key */
	FILE *to = gm_cli_need(open_memstream(&text, &text_n));

	while (*p) {
		size_t gap = strspn(p, "[]{}, "), n;
		shown = shown && !memchr(p, '}', gap);
		fwrite(p, 1, gap, to);
		p += gap;
		n = *p ? word_length(p) : 0;
		bool key = n && is_list_key(p, n);
		if (key)
			shown = strncmp(p, "name:", n) != 0 && strncmp(p, "prefix:", n) != 0;
		if (key || shown)
			fwrite(p, 1, n, to);
		else if (n)
			put_hidden(to, p, n);
		p += n;
	}
	fclose(to);
	json_t *list = json_string(text);
	free(text);
	return list;
}

static json_t *hidden(json_t *object, const char *key, const char *text)
{
	const int kind = kind_of_value(key, json_string_value(json_object_get(object, "key")));

	if (!text[0] || is_kept(key) || is_nameless(object, key) || is_word(key, text))
		return NULL;
	if (kind == GM_OPTION_LIST)
		return gm_cli_need(list_without_names(text));
	return kind >= 0 && kind != GM_OPTION_TEXT ? NULL : gm_cli_need(number_of(text));
}

static void hide(json_t *object)
{
	const char *key;
	json_t *v, *other;

	json_object_foreach(object, key, v) {
		const char *text = json_string_value(v);
		if (text && (other = hidden(object, key, text)))
			json_object_set_new(object, key, other);
		else if (json_is_integer(v) && is_one_of(key, identifying, sizeof(identifying) / sizeof(identifying[0])))
			json_object_set_new(object, key, gm_cli_need(number_of_number(key, json_integer_value(v))));
	}
}

static void put(json_t *object)
{
	if (bundle.anon)
		hide(object);
	fprintf(bundle.to, "{\"of\":\"%s\",", bundle.part);
	char *text = gm_cli_dumped(object);
	fputs(text + 1, bundle.to);
	fputc('\n', bundle.to);
	free(text);
	json_decref(object);
}

static void put_row(void *arg, struct gm_bytes pairs)
{
	(void)arg;
	put(gm_cli_object(pairs));
}

static void put_entry(void *arg, const struct audit_entry *e)
{
	json_t *object = json_loads(e->text, 0, NULL);

	(void)arg;
	if (json_is_object(object))
		put(object);
	else
		json_decref(object);
}

/* ---- the parts */

static void put_machine(void)
{
	struct utsname u;

	bundle.part = "machine";
	uname(&u);
	put(gm_cli_need(json_pack("{ss ss ss sI sI sI}", "version", GM_VERSION, "kernel", u.release, "machine", u.machine, "processors",
	                          (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
	                          (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "at", (json_int_t)time(NULL))));
}

static void put_entries(struct session *s)
{
	bundle.part = "audit";
	struct audit_ends ends = gm_cli_audit_ends(s);
	if (ends.seq) /* else it was refused */
		gm_cli_audit_read(s, ends.seq < ENTRIES ? 1 : ends.seq - ENTRIES + 1, NULL, NULL, put_entry, NULL);
}

static void put_settings(struct session *s)
{
	struct gm_ctl_request *request = gm_cli_need(calloc(1, sizeof(*request)));

	bundle.part = "group settings";
	request->fd = -1;
	strcpy(request->verb, "group list");
	gm_cli_add(request, "settings", GM_CTL_BOOL)->u = 1;
	gm_cli_ask(s, request, put_row, NULL);
	free(request);
}

static const char *const verbs[] = {"status",  "health", "config show",   "store status",  "group list", "rekey status",
                                    "as list", "pace",   "schedule list", "template list", "metrics"};

static void put_verb(struct session *s, const char *verb)
{
	bundle.part = verb;
	gm_cli_simple(s, verb, NULL, NULL, put_row, NULL);
}

static void put_refusal(const char *why)
{
	put(gm_cli_need(json_pack("{ss}", "error", why)));
}

/* Last what a file, or a record that somebody changed, can spoil. */
static void put_all(struct session *s)
{
	s->refused = put_refusal;
	put_machine();
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		put_verb(s, verbs[i]);
	put_settings(s);
	put_verb(s, "config diff");
	put_entries(s);
	s->refused = NULL;
}

static const char *unfinished; /* file that is not whole; leaves with us */

static void give_up(void)
{
	if (unfinished)
		unlink(unfinished);
}

enum exit_code gm_cli_do_support_bundle(struct session *s, struct line *line)
{
	const struct gm_ctl_arg *file = gm_ctl_arg(&line->request, "file");
	const bool named = file && strcmp(file->text, "-") != 0;

	gm_cli_connect(s); /* before there is a file */
	bundle.to = named ? gm_cli_new_file(file->text) : stdout;
	unfinished = named ? file->text : NULL;
	atexit(give_up);
	bundle.anon = gm_ctl_arg(&line->request, "anon") != NULL;
	bundle.names = gm_cli_need(json_object());
	put_all(s);
	json_decref(bundle.names);
	if (fflush(bundle.to) != 0 || ferror(bundle.to) || (named && fclose(bundle.to) != 0))
		gm_cli_die(EXIT_FAILED, "writing: %s", strerror(errno));
	unfinished = NULL;
	return EXIT_DONE;
}
