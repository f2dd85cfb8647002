/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log, read: its latest entries, and all of them into a file.
 *
 * A line of an export is an entry with its hash behind it: the text that was hashed is the line without ,"hash":"..." */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "wire/cbor.h"

#define LAST 20u
#define LAST_MAX 1000000u

_Static_assert(GM_CLI_HASH == GM_SHA256, "hashes are SHA-256");

/* ---- from gmd */

struct reading {
	gm_cli_entry each;
	void *arg;
};

static void take_hash(uint8_t to[static GM_CLI_HASH], struct gm_bytes from)
{
	if (from.n == GM_CLI_HASH)
		memcpy(to, from.p, GM_CLI_HASH);
}

static void take_entry(void *arg, struct gm_bytes pairs)
{
	const struct reading *r = arg;
	struct gm_in in = gm_in_bytes(pairs);
	struct audit_entry e = {0};
	struct gm_bytes text = {0};

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "seq"))
			e.seq = gm_cbor_uint(&in);
		else if (gm_bytes_is(key, "hash"))
			take_hash(e.hash, gm_cbor_bstr(&in));
		else if (gm_bytes_is(key, "entry"))
			text = gm_cbor_tstr(&in);
		else
			gm_cbor_skip(&in);
	}
	char *copy = gm_cli_need(strndup(text.p ? (const char *)text.p : "", text.n));
	e.text = copy;
	e.n = strlen(copy);
	r->each(r->arg, &e);
	free(copy);
}

void gm_cli_audit_read(struct session *s, uint64_t from, const char *group, const char *node, gm_cli_entry each, void *arg)
{
	struct gm_ctl_request *request = gm_cli_need(calloc(1, sizeof(*request)));
	struct reading r = {each, arg};

	request->fd = -1;
	strcpy(request->verb, "audit list");
	gm_cli_add(request, "from", GM_CTL_UINT)->u = from;
	if (group)
		gm_cli_set_text(gm_cli_add(request, "group", GM_CTL_TEXT), group);
	if (node)
		gm_cli_set_text(gm_cli_add(request, "node", GM_CTL_TEXT), node);
	gm_cli_ask(s, request, take_entry, &r);
	free(request);
}

static void take_ends(void *arg, struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	struct audit_ends *ends = arg;

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "seq"))
			ends->seq = gm_cbor_uint(&in);
		else if (gm_bytes_is(key, "before_seq"))
			ends->before_seq = gm_cbor_uint(&in);
		else if (gm_bytes_is(key, "hash"))
			take_hash(ends->hash, gm_cbor_bstr(&in));
		else if (gm_bytes_is(key, "before_hash"))
			take_hash(ends->before_hash, gm_cbor_bstr(&in));
		else
			gm_cbor_skip(&in);
	}
}

struct audit_ends gm_cli_audit_ends(struct session *s)
{
	struct audit_ends ends = {0};

	gm_cli_simple(s, "audit head", NULL, NULL, take_ends, &ends);
	return ends;
}

/* ---- as a line */

static void put_hash(FILE *to, const uint8_t hash[static GM_CLI_HASH])
{
	char *hex = gm_cli_hex((struct gm_bytes){hash, GM_CLI_HASH});

	fputs(hex, to);
	free(hex);
}

static void put_line(FILE *to, const struct audit_entry *e)
{
	fprintf(to, "%.*s,\"hash\":\"", (int)(e->n ? e->n - 1 : 0), e->text);
	put_hash(to, e->hash);
	fputs("\"}\n", to);
}

/* "2026-11-22T10:11:12Z  joined           as:1:0a0b  group=g1 node=AAAAn3La" */
static void put_words(FILE *to, const struct audit_entry *e)
{
	json_t *object = json_loads(e->text, 0, NULL), *value;
	time_t at = (time_t)json_integer_value(json_object_get(object, "at"));
	const char *key, *by = json_string_value(json_object_get(object, "by")), *event = json_string_value(json_object_get(object, "event"));
	char when[32] = "?";
	struct tm tm;

	if (gmtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(to, "%s  %-21s  %s ", when, event ? event : "?", by ? by : "?");
	json_object_foreach(object, key, value) {
		if (strcmp(key, "seq") == 0 || strcmp(key, "at") == 0 || strcmp(key, "by") == 0 || strcmp(key, "event") == 0)
			continue;
		if (json_is_string(value)) {
			char *text = gm_cli_text((struct gm_bytes){(const uint8_t *)json_string_value(value), json_string_length(value)});
			fprintf(to, " %s=%s", key, text);
			free(text);
		} else if (json_is_boolean(value)) {
			fprintf(to, " %s=%s", key, json_is_true(value) ? "true" : "false");
		} else {
			fprintf(to, " %s=%lld", key, (long long)json_integer_value(value));
		}
	}
	fputc('\n', to);
	json_decref(object);
}

/* ---- tail */

struct tail {
	const struct session *session;
	char **lines; /* the latest, in a ring */
	size_t n, most;
	uint64_t next;
};

static char *line_of(const struct session *s, const struct audit_entry *e)
{
	char *text;
	size_t n;
	FILE *to = gm_cli_need(open_memstream(&text, &n));

	(s->json ? put_line : put_words)(to, e);
	fclose(to);
	return gm_cli_need(text);
}

static void keep_line(void *arg, const struct audit_entry *e)
{
	struct tail *t = arg;

	t->next = e->seq + 1;
	if (!t->most)
		return;
	char **place = &t->lines[t->n++ % t->most];
	free(*place);
	*place = line_of(t->session, e);
}

static void print_kept(struct tail *t)
{
	size_t first = t->n > t->most ? t->n - t->most : 0;

	for (size_t i = first; i < t->n; i++) {
		fputs(t->lines[i % t->most], stdout);
		free(t->lines[i % t->most]);
	}
	free(t->lines);
	t->lines = NULL;
}

static void print_entry(void *arg, const struct audit_entry *e)
{
	struct tail *t = arg;
	char *line = line_of(t->session, e);

	t->next = e->seq + 1;
	fputs(line, stdout);
	free(line);
}

static const char *text_of(const struct line *line, const char *key)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(&line->request, key);

	return arg ? arg->text : NULL;
}

enum exit_code gm_cli_do_audit_tail(struct session *s, struct line *line)
{
	const struct gm_ctl_arg *last = gm_ctl_arg(&line->request, "last");
	const char *group = text_of(line, "group"), *node = text_of(line, "node");
	struct tail t = {.session = s, .most = last ? last->u : LAST};

	if (t.most > LAST_MAX)
		gm_cli_die(EXIT_USAGE, "last: at most %u", LAST_MAX);
	struct audit_ends ends = gm_cli_audit_ends(s);
	t.lines = gm_cli_need(calloc(t.most + 1, sizeof(char *)));
	t.next = ends.seq + 1;
	/* of one group nobody knows how far back they lie */
	gm_cli_audit_read(s, group || node || ends.seq < t.most ? 1 : ends.seq - t.most + 1, group, node, keep_line, &t);
	print_kept(&t);
	while (gm_ctl_arg(&line->request, "follow")) {
		if (fflush(stdout) != 0)
			gm_cli_die(EXIT_FAILED, "nobody reads");
		sleep(1);
		gm_cli_audit_read(s, t.next, group, node, print_entry, &t);
	}
	return EXIT_DONE;
}

/* ---- export */

static const char *unfinished; /* file that is not whole; leaves with us */

static void give_up(void)
{
	if (unfinished)
		unlink(unfinished);
}

struct export {
	FILE *file;
	struct audit_ends ends;
	uint64_t next;
};

static void export_entry(void *arg, const struct audit_entry *e)
{
	struct export *x = arg;

	if (e->seq > x->ends.seq)
		return; /* made meanwhile */
	if (e->seq != x->next++)
		gm_cli_die(EXIT_FAILED, "entry %llu is not there any more: once again, please", (unsigned long long)x->next - 1);
	put_line(x->file, e);
}

static void put_head(FILE *to, const struct audit_ends *ends)
{
	fprintf(to, "{\"gmd_audit\":1,\"before_seq\":%llu,\"before_hash\":\"", (unsigned long long)ends->before_seq);
	put_hash(to, ends->before_hash);
	fprintf(to, "\",\"head_seq\":%llu,\"head_hash\":\"", (unsigned long long)ends->seq);
	put_hash(to, ends->hash);
	fputs("\"}\n", to);
}

enum exit_code gm_cli_do_audit_export(struct session *s, struct line *line)
{
	const char *path = gm_ctl_arg(&line->request, "file")->text;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	unfinished = path;
	atexit(give_up);
	struct export x = {.file = gm_cli_need(fdopen(fd, "w")), .ends = gm_cli_audit_ends(s)};
	x.next = x.ends.before_seq + 1;
	put_head(x.file, &x.ends);
	gm_cli_audit_read(s, 1, NULL, NULL, export_entry, &x);
	if (x.next != x.ends.seq + 1)
		gm_cli_die(EXIT_FAILED, "gmd has no entry %llu", (unsigned long long)x.next);
	bool good = fflush(x.file) == 0 && fsync(fd) == 0;
	if (fclose(x.file) != 0 || !good)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	unfinished = NULL;
	char *hash = gm_cli_hex((struct gm_bytes){x.ends.hash, GM_CLI_HASH});
	printf(s->json ? "{\"entries\":%llu,\"seq\":%llu,\"hash\":\"%s\"}\n" : "%llu entries; the latest is %llu, with hash %s\n",
	       (unsigned long long)(x.ends.seq - x.ends.before_seq), (unsigned long long)x.ends.seq, hash);
	free(hash);
	return EXIT_DONE;
}
