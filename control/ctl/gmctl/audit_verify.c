/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of the audit log recomputed: SHA-256 of the hash before and the text of each entry. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "gm/crypto.h"

#define LINE_MAX_BYTES 4096u
#define TRIES 3u

struct chain {
	uint64_t first, next; /* number of the entry that comes next */
	uint8_t hash[GM_CLI_HASH];
	const uint8_t *wanted; /* a hash that has to be in it; NULL: none */
	bool found, moved;     /* moved: gmd let entries go meanwhile */
};

static void chain_begin(struct chain *c, const struct audit_ends *ends, const uint8_t *wanted)
{
	*c = (struct chain){.first = ends->before_seq + 1, .next = ends->before_seq + 1, .wanted = wanted};
	memcpy(c->hash, ends->before_hash, sizeof(c->hash));
	c->found = !wanted || memcmp(wanted, c->hash, sizeof(c->hash)) == 0;
}

static void chain_take(struct chain *c, const struct audit_entry *e)
{
	unsigned long long seq = c->next;
	uint8_t *bytes = gm_cli_need(malloc(GM_CLI_HASH + e->n));
	char begin[40];

	memcpy(bytes, c->hash, GM_CLI_HASH);
	memcpy(bytes + GM_CLI_HASH, e->text, e->n);
	gm_sha256(c->hash, bytes, GM_CLI_HASH + e->n);
	free(bytes);
	snprintf(begin, sizeof(begin), "{\"seq\":%llu,", seq);
	if (e->seq != seq)
		gm_cli_die(EXIT_FAILED, "entry %llu is missing: %llu comes instead", seq, (unsigned long long)e->seq);
	if (strncmp(e->text, begin, strlen(begin)) != 0)
		gm_cli_die(EXIT_FAILED, "entry %llu is broken: it says that it is another one", seq);
	if (memcmp(c->hash, e->hash, GM_CLI_HASH) != 0)
		gm_cli_die(EXIT_FAILED, "entry %llu is broken: it or one before it was changed, its hash is another", seq);
	c->found = c->found || memcmp(c->wanted, c->hash, GM_CLI_HASH) == 0;
	c->next++;
}

static void chain_end(const struct session *s, const struct chain *c, const struct audit_ends *ends)
{
	if (c->next <= ends->seq)
		gm_cli_die(EXIT_FAILED, "entry %llu is missing: there were %llu", (unsigned long long)c->next, (unsigned long long)ends->seq);
	if (!c->found && c->first > 1)
		gm_cli_die(EXIT_FAILED, "no entry has the hash that was noted, of those that are kept: it is older than entry %llu, or entries are missing at the end, or all were written anew",
		           (unsigned long long)c->first - 1);
	if (!c->found)
		gm_cli_die(EXIT_FAILED, "no entry has the hash that was noted: entries are missing at the end, or all were written anew");
	char *hash = gm_cli_hex((struct gm_bytes){c->hash, GM_CLI_HASH});
	printf(s->json ? "{\"whole\":true,\"first\":%llu,\"last\":%llu,\"hash\":\"%s\"}\n"
	               : "entries %llu to %llu are whole; the latest has hash %s\n",
	       (unsigned long long)c->first, (unsigned long long)c->next - 1, hash);
	free(hash);
}

/* ---- gmd's own */

struct live {
	struct chain chain;
	const struct audit_ends *ends;
};

static void take_live(void *arg, const struct audit_entry *e)
{
	struct live *l = arg;
	struct chain *c = &l->chain;

	c->moved = c->moved || (c->next == c->first && e->seq > c->first);
	if (c->moved)
		return;
	chain_take(c, e);
	if (e->seq == l->ends->seq && memcmp(e->hash, l->ends->hash, GM_CLI_HASH) != 0)
		gm_cli_die(EXIT_FAILED, "entry %llu is broken: gmd's head is another", (unsigned long long)e->seq);
}

static enum exit_code verify_live(struct session *s, const uint8_t *wanted)
{
	struct live l;
	unsigned tries = 0;

	do {
		struct audit_ends ends = gm_cli_audit_ends(s);
		l.ends = &ends;
		chain_begin(&l.chain, &ends, wanted);
		gm_cli_audit_read(s, 1, NULL, NULL, take_live, &l);
		if (l.chain.moved && ++tries < TRIES && gm_cli_audit_ends(s).before_seq != ends.before_seq)
			continue;
		if (l.chain.moved)
			gm_cli_die(EXIT_FAILED, "entry %llu is missing", (unsigned long long)l.chain.next);
		chain_end(s, &l.chain, &ends);
	} while (l.chain.moved);
	return EXIT_DONE;
}

/* ---- a file */

static void read_hex(const char *path, const char *what, const char *hex, uint8_t to[static GM_CLI_HASH])
{
	if (!hex || strlen(hex) != 2 * GM_CLI_HASH || strspn(hex, "0123456789abcdef") != 2 * GM_CLI_HASH)
		gm_cli_die(EXIT_FAILED, "%s: %s has no hash", path, what);
	for (unsigned i = 0; i < GM_CLI_HASH; i++) {
		const char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		to[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static struct audit_ends read_head(const char *path, const char *line)
{
	json_t *head = json_loads(line, 0, NULL);
	struct audit_ends ends = {.before_seq = (uint64_t)json_integer_value(json_object_get(head, "before_seq")),
	                    .seq = (uint64_t)json_integer_value(json_object_get(head, "head_seq"))};

	if (json_integer_value(json_object_get(head, "gmd_audit")) != 1)
		gm_cli_die(EXIT_FAILED, "%s: its first line is not that of an export of the audit log", path);
	read_hex(path, "its first line", json_string_value(json_object_get(head, "before_hash")), ends.before_hash);
	read_hex(path, "its first line", json_string_value(json_object_get(head, "head_hash")), ends.hash);
	json_decref(head);
	return ends;
}

/* The line becomes the text that was hashed. */
static struct audit_entry read_entry(const char *path, char *line, size_t n, uint64_t seq)
{
	static const char before[] = ",\"hash\":\"", behind[] = "\"}\n";
	const size_t tail = sizeof(before) - 1 + 2 * GM_CLI_HASH + sizeof(behind) - 1;
	char what[32], *at = line + (n > tail ? n - tail : 0);
	struct audit_entry e = {.text = line};

	snprintf(what, sizeof(what), "entry %llu", (unsigned long long)seq);
	if (n <= tail || memcmp(at, before, sizeof(before) - 1) != 0 || strcmp(line + n - (sizeof(behind) - 1), behind) != 0 ||
	    sscanf(line, "{\"seq\":%20" SCNu64 ",", &e.seq) != 1)
		gm_cli_die(EXIT_FAILED, "%s: %s is broken: its line is no entry", path, what);
	line[n - (sizeof(behind) - 1)] = '\0';
	read_hex(path, what, at + sizeof(before) - 1, e.hash);
	memcpy(at, "}", sizeof("}"));
	e.n = (size_t)(at + 1 - line);
	return e;
}

struct same {
	const struct chain *chain;
	bool asked;
};

static void compare(void *arg, const struct audit_entry *e)
{
	struct same *same = arg;

	if (e->seq + 1 == same->chain->next && memcmp(e->hash, same->chain->hash, GM_CLI_HASH) != 0)
		gm_cli_die(EXIT_FAILED, "gmd has another entry %llu than the file", (unsigned long long)e->seq);
	same->asked = same->asked || e->seq + 1 == same->chain->next;
}

static void compare_live(struct session *s, const struct chain *c)
{
	struct same same = {.chain = c};
	struct audit_ends ends = gm_cli_audit_ends(s);
	struct audit_entry before = {.seq = ends.before_seq};

	memcpy(before.hash, ends.before_hash, sizeof(before.hash));
	compare(&same, &before);
	if (!same.asked && c->next > 1)
		gm_cli_audit_read(s, c->next - 1, NULL, NULL, compare, &same);
	if (!same.asked)
		gm_cli_die(EXIT_FAILED, "gmd has no entry %llu %s", (unsigned long long)c->next - 1, c->next <= ends.before_seq ? "any more" : "");
}

static enum exit_code verify_file(struct session *s, const char *path, const uint8_t *wanted, bool live)
{
	FILE *file = fopen(path, "re");
	char line[LINE_MAX_BYTES];
	struct chain c;

	if (!file)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (!fgets(line, sizeof(line), file))
		gm_cli_die(EXIT_FAILED, "%s: it is empty", path);
	struct audit_ends ends = read_head(path, line);
	chain_begin(&c, &ends, wanted);
	while (fgets(line, sizeof(line), file)) {
		struct audit_entry e = read_entry(path, line, strlen(line), c.next);
		chain_take(&c, &e);
	}
	if (ferror(file))
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	fclose(file);
	if (live)
		compare_live(s, &c);
	if (c.next == ends.seq + 1 && memcmp(c.hash, ends.hash, GM_CLI_HASH) != 0)
		gm_cli_die(EXIT_FAILED, "entry %llu is broken: the first line says that it is another", (unsigned long long)ends.seq);
	chain_end(s, &c, &ends);
	return EXIT_DONE;
}

enum exit_code gm_cli_do_audit_verify(struct session *s, struct line *line)
{
	const struct gm_ctl_arg *file = gm_ctl_arg(&line->request, "file"), *head = gm_ctl_arg(&line->request, "head");
	const uint8_t *wanted = head ? (const uint8_t *)head->text : NULL;
	bool live = gm_ctl_arg(&line->request, "live") != NULL;

	if (head && head->n != GM_CLI_HASH)
		gm_cli_die(EXIT_USAGE, "head: a hash of %u bytes is needed, in hexadecimal digits", GM_CLI_HASH);
	if (live && !file)
		gm_cli_die(EXIT_USAGE, "--live is for a file");
	return file ? verify_file(s, file->text, wanted, live) : verify_live(s, wanted);
}
