/* SPDX-License-Identifier: Apache-2.0 */
/* Who was a member of a group at a time: entries from the beginning, and those who are members now and came before it. */
#include "ctl/gmctl/gmctl.h"

#include <jansson.h>
#include <search.h>
#include <stdlib.h>
#include <time.h>

#include "wire/cbor.h"

struct member {
	char node[32], device[96], sid[16], roles[48], how[24]; /* how: it ended; empty: it has not */
	int64_t from, to;                                       /* from 0: before what is kept */
};
struct look {
	const char *group;
	void *nodes;           /* tree of struct member */
	int64_t begin, end;    /* of the time asked for */
	struct member **found; /* in the order of the tree: twalk() has no argument */
	size_t n, cap;
	bool any;
};

static int by_node(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->node, ((const struct member *)b)->node);
}

static void copy(char *to, size_t cap, const char *from)
{
	if (from)
		snprintf(to, cap, "%s", from);
}

static struct member *member_of(struct look *l, const char *node)
{
	struct member *fresh = gm_cli_need(calloc(1, sizeof(*fresh)));

	copy(fresh->node, sizeof(fresh->node), node);
	struct member *m = *(struct member **)gm_cli_need(tsearch(fresh, &l->nodes, by_node));
	if (m != fresh) {
		free(fresh);
		return m;
	}
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 256;
		l->found = gm_cli_need(realloc(l->found, l->cap * sizeof(*l->found)));
	}
	l->found[l->n++] = m;
	return m;
}

/* ---- entries */

static void ended(struct member *m, const char *how, int64_t at)
{
	if (m->how[0])
		return;
	copy(m->how, sizeof(m->how), how);
	m->to = at;
}

static void all_ended(struct look *l, const char *how, int64_t at)
{
	for (size_t i = 0; i < l->n; i++)
		ended(l->found[i], how, at);
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static void take_entry(void *arg, const struct audit_entry *e)
{
	static const char *const lives[] = {"joined", "rejoined", "renewed", "credential-changed", NULL};
	static const char *const ends[] = {"left", "expired", "evicted", NULL};
	static const char *const all[] = {"recovered", "restored", NULL};
	struct look *l = arg;
	json_t *object = json_loads(e->text, 0, NULL);
	const char *event = json_string_value(json_object_get(object, "event")), *node = json_string_value(json_object_get(object, "node"));
	int64_t at = json_integer_value(json_object_get(object, "at"));

	if (event && is_one_of(event, all))
		all_ended(l, event, at);
	if (event && node && (is_one_of(event, lives) || is_one_of(event, ends))) {
		struct member *m = member_of(l, node);
		copy(m->device, sizeof(m->device), json_string_value(json_object_get(object, "device")));
		copy(m->roles, sizeof(m->roles), json_string_value(json_object_get(object, "roles")));
		if (at < l->end || !m->sid[0])
			copy(m->sid, sizeof(m->sid), json_string_value(json_object_get(object, "sid")));
		if (strcmp(event, "joined") == 0)
			m->from = at;
		if (is_one_of(event, ends))
			ended(m, event, at);
	}
	json_decref(object);
}

/* ---- those who are members now */

static void find_group(void *arg, struct gm_bytes pairs)
{
	struct look *l = arg;
	struct rows rows = {0};

	gm_cli_keep(&rows, pairs);
	l->any = l->any || strcmp(gm_cli_cell(&rows.rows[0], "group"), l->group) == 0;
	gm_cli_free(&rows);
}

static void take_member(void *arg, struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	struct rows rows = {0};
	struct look *l = arg;
	int64_t joined = 0;

	gm_cli_keep(&rows, pairs);
	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		if (gm_bytes_is(gm_cbor_tstr(&in), "joined_at"))
			joined = gm_cbor_int(&in);
		else
			gm_cbor_skip(&in);
	}
	struct member *m = member_of(l, gm_cli_cell(&rows.rows[0], "node"));
	m->from = m->from ? m->from : joined;
	if (!m->sid[0])
		copy(m->sid, sizeof(m->sid), gm_cli_cell(&rows.rows[0], "sid"));
	if (!m->roles[0])
		copy(m->roles, sizeof(m->roles), gm_cli_cell(&rows.rows[0], "roles"));
	gm_cli_free(&rows);
}

/* ---- the time */

static const struct {
	const char *form;
	int64_t lasts;
} forms[] = {{"%Y-%m-%dT%H:%M:%SZ", 1}, {"%Y-%m-%dT%H:%M:%S", 1}, {"%Y-%m-%dT%H:%MZ", 60}, {"%Y-%m-%dT%H:%M", 60}, {"%Y-%m-%d", 86400}};

static void set_time(struct look *l, const char *text)
{
	char *end;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {0};
		const char *rest = strptime(text, forms[i].form, &tm);
		if (!rest || *rest)
			continue;
		l->begin = timegm(&tm);
		l->end = l->begin + forms[i].lasts;
		return;
	}
	l->begin = strtoll(text, &end, 10);
	l->end = l->begin + 1;
	if (end == text || *end || l->begin < 0)
		gm_cli_die(EXIT_USAGE, "at: a time is needed, as 2026-05-03, 2026-05-03T10:00:00 or seconds since 1970, not '%s'", text);
}

/* ---- the answer */

static void put_member(const struct look *l, const struct member *m, gm_cli_row row, void *arg)
{
	const struct pair pairs[] = {
		{.key = "node", .text = m->node},
		{.key = "device", .text = m->device},
		{.key = "sid", .text = m->sid},
		{.key = "roles", .text = m->roles},
		{.key = "joined_at", .number = m->from},
		{.key = "ended_at", .number = m->to},
		{.key = "end", .text = m->how},
	};

	if ((m->from >= l->end) || (m->how[0] && m->to < l->begin))
		return;
	gm_cli_row_of(pairs, sizeof(pairs) / sizeof(pairs[0]), row, arg);
}

static int by_time(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

	return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : strcmp(x->node, y->node);
}

enum exit_code gm_cli_do_audit_members(struct session *s, struct line *line)
{
	const struct gm_ctl_arg *at = gm_ctl_arg(&line->request, "at");
	struct look l = {.group = gm_ctl_arg(&line->request, "group")->text, .begin = time(NULL), .end = time(NULL) + 1};
	struct rows rows = {0};

	if (at)
		set_time(&l, at->text);
	gm_cli_audit_read(s, 1, l.group, NULL, take_entry, &l);
	gm_cli_simple(s, "group list", NULL, NULL, find_group, &l);
	if (l.any)
		gm_cli_simple(s, "member list", "group", l.group, take_member, &l);
	else if (!l.n)
		gm_cli_die(EXIT_FAILED, "no group '%s', and no entry about one", l.group);
	qsort(l.found, l.n, sizeof(*l.found), by_time);
	for (size_t i = 0; i < l.n; i++)
		put_member(&l, l.found[i], s->json ? gm_cli_json : gm_cli_keep, &rows);
	gm_cli_table(&rows);
	gm_cli_free(&rows);
	tdestroy(l.nodes, free);
	free(l.found);
	return EXIT_DONE;
}
