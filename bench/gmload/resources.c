/* SPDX-License-Identifier: Apache-2.0 */
/* The command `resources`. */
#include "resources.h"

#include <stdlib.h>
#include <time.h>

#include "wire/cbor.h"

#define FEW 4u
#define TOKEN_LIFE_S 86400

/* ---- asking */

struct gm_bytes load_body(const struct gm_member_ask *a)
{
	return (struct gm_bytes){a->body, a->body_n};
}

void load_ask_free(struct gm_member_ask *a)
{
	free(a->body);
	a->body = NULL;
	a->body_n = 0;
}

bool load_ask(struct load_scene *s, struct gm_member *m, uint8_t method, const char *below, struct gm_bytes payload,
              uint8_t code, struct gm_member_ask *a)
{
	a->method = method;
	a->payload = payload;
	a->content_format = payload.n ? (strcmp(below, "/stale-sids") == 0 ? GM_CF_CBOR : GM_CF_GROUPCOMM) : GM_CF_NONE;
	a->code = 0;
	load_ask_free(a);
	snprintf(a->path, sizeof(a->path), "/ace-group/%s%s", s->g->name, below);
	m->ask = a;
	gm_fleet_run(&s->l->fleet, &m->index, 1, GM_PLAN(GM_OP_ASK), 1, 0);
	m->ask = NULL;
	return a->code == code;
}

/* The integer under a label of the map that comes next; -1: there is none. */
static int64_t int_under(struct gm_bytes map, int64_t label, struct gm_bytes *item)
{
	struct gm_in in = gm_in_bytes(map);
	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		int64_t l = gm_cbor_int(&in);
		*item = gm_cbor_item(&in);
		if (in.err == GM_E_OK && l == label) {
			struct gm_in v = gm_in_bytes(*item);
			return gm_cbor_peek(&v) == GM_CBOR_UINT ? gm_cbor_int(&v) : 0;
		}
	}
	return -1;
}

bool load_is_problem(const struct gm_member_ask *a, int id)
{
	struct gm_bytes inner, value;
	return a->format == GM_CF_PROBLEM && int_under(load_body(a), 0, &inner) >= 0 && int_under(inner, 0, &value) == id;
}

/* ---- what the fleet knows */

static int by_sid(const void *a, const void *b)
{
	const struct gm_member *x = *(struct gm_member *const *)a, *y = *(struct gm_member *const *)b;
	return x->sid_n != y->sid_n ? x->sid_n - y->sid_n : memcmp(x->sid, y->sid, x->sid_n);
}

bool load_know_sids(struct load_scene *s)
{
	struct gm_fleet *f = &s->l->fleet;
	if (!s->sids)
		s->sids = calloc(f->members_n + 1, sizeof(struct gm_member *));
	s->sids_n = 0;
	for (uint32_t i = 0; s->sids && i < f->members_n; i++) {
		struct gm_member *m = &f->members[i];
		if (m->group == s->group && m->state == GM_MEMBER_IN && m->sid_n)
			s->sids[s->sids_n++] = m;
	}
	if (s->sids_n)
		qsort(s->sids, s->sids_n, sizeof(struct gm_member *), by_sid);
	return s->sids != NULL;
}

struct gm_member *load_by_sid(const struct load_scene *s, struct gm_bytes sid)
{
	struct gm_member key = {.sid_n = (uint8_t)sid.n};
	const struct gm_member *k = &key;
	if (!sid.n || sid.n > sizeof(key.sid))
		return NULL;
	memcpy(key.sid, sid.p, sid.n);
	struct gm_member **found = bsearch(&k, s->sids, s->sids_n, sizeof(struct gm_member *), by_sid);
	return found ? *found : NULL;
}

/* The rule of KG §9.3, apart from the Group Manager's own: an entry of the roles is met where all its bits are there. */
static bool takes(const struct gm_creds_filter *f, const struct gm_member *m)
{
	struct gm_list ids;
	struct gm_bytes id;
	bool role = false, named = false;
	if (!f)
		return true;
	for (unsigned i = 0; i < f->roles_n; i++)
		role = role || (f->roles[i] & ~m->roles) == 0;
	for (ids = f->ids; gm_list_bstr(&ids, &id);)
		named = named || gm_bytes_eq(id, (struct gm_bytes){m->sid, m->sid_n});
	if (!f->ids.n)
		return role;
	if (f->include)
		return role || named;
	return !named && (role || !f->roles_n);
}

const char *load_judge_creds(struct load_scene *s, const struct gm_member_ask *a, const struct gm_creds_filter *filter,
                             uint64_t version)
{
	struct gm_creds c;
	struct gm_bytes cred, sid;
	uint64_t roles;
	int64_t num;
	size_t expected = 0, found = 0;
	for (size_t i = 0; i < s->sids_n; i++)
		expected += takes(filter, s->sids[i]);
	if (gm_creds_answer_decode(load_body(a), &num, &c) != GM_E_OK)
		return "creds cannot be read";
	if (gm_is_nothing(load_body(a)))
		return expected || !filter ? "creds of nobody" : NULL;
	if ((uint64_t)num != version)
		return "creds are of another version";
	while (gm_list_bstr(&c.creds, &cred) && gm_list_uint(&c.roles, &roles) && gm_list_bstr(&c.sids, &sid)) {
		const struct gm_member *m = load_by_sid(s, sid);
		if (!m && s->others)
			continue;
		if (!m)
			return "creds of nobody's Sender ID";
		if (!takes(filter, m))
			return "creds of a member that the filter leaves out";
		if (roles != m->roles || !gm_bytes_eq(cred, (struct gm_bytes){m->own.cred, m->own.cred_n}))
			return "creds differ from what the member uploaded";
		found++;
	}
	return found == expected ? NULL : "creds lack members, or have one twice";
}

/* ---- the command */

static void tell(struct load_scene *s, const struct gm_member *m, const char *name, const char *fault)
{
	char text[128];
	snprintf(text, sizeof(text), "%s: %s", name, fault);
	gm_fleet_fail(&s->l->fleet, m, text);
}

/* The rows, each by every listed member that it is for. */
static size_t run_rows(struct load_scene *s, const struct load_check_row *rows, const struct load_chosen *who,
                       json_t *counts)
{
	size_t held = 0;
	for (const struct load_check_row *r = rows; r->name; r++) {
		size_t n = 0, max = r->few ? FEW : SIZE_MAX;
		for (size_t i = 0; i < who->n && n < max; i++) {
			struct gm_member *m = &s->l->fleet.members[who->list[i]];
			if (r->endpoints && !m->sid_n)
				continue;
			const char *fault = r->check(s, m);
			if (fault)
				tell(s, m, r->name, fault);
			held += !fault;
			n++;
		}
		json_t *had = json_object_get(counts, r->name);
		load_put_int(counts, r->name, n + (had ? (size_t)json_integer_value(had) : 0));
	}
	return held;
}

/* One that may check signatures in the group and is no member. */
static struct gm_member *find_verifier(struct load_scene *s)
{
	struct gm_fleet *f = &s->l->fleet;
	for (uint32_t i = 0; i < f->members_n; i++)
		if (f->members[i].group == s->group && f->members[i].roles == GM_ROLE_VERIFIER)
			return &f->members[i];
	struct gm_member *m = gm_fleet_add(f, &s->l->as, (int)s->group, GM_ROLE_VERIFIER, false,
	                                   (int64_t)time(NULL) + TOKEN_LIFE_S);
	bool good = m && gm_fleet_run(f, &m->index, 1, GM_PLAN(GM_OP_TOKEN), 1, s->l->tries) == 1;
	return good ? m : NULL;
}

/* All have the same keys, or the comparisons make no sense. */
static bool up_to_date(struct load_scene *s, const struct load_chosen *who)
{
	return gm_fleet_run(&s->l->fleet, who->list, who->n, GM_PLAN(GM_OP_GROUP), s->l->window, s->l->tries) == who->n;
}

static size_t run_group(struct load_scene *s, size_t max, json_t *counts, size_t *members)
{
	struct load_chosen who = load_choose(s->l, (int)s->group, GM_MEMBER_IN, max), verifier = {0};
	size_t held = 0;
	*members += who.n;
	s->verifier = who.n ? find_verifier(s) : NULL;
	if (who.n && (!s->verifier || !load_know_sids(s) || !up_to_date(s, &who))) {
		gm_fleet_fail(&s->l->fleet, s->verifier, "resources: no verifier, or members without the newest keys");
	} else if (who.n) {
		verifier = (struct load_chosen){&s->verifier->index, 1};
		held += run_rows(s, load_reads, &who, counts);
		held += run_rows(s, load_verifications, &verifier, counts);
		held += run_rows(s, load_changes, &who, counts);
	}
	free(who.list);
	free(s->sids);
	return held;
}

bool load_cmd_resources(struct load *l, const struct words *c, json_t *result)
{
	size_t max = load_operand(c, 0) ? (size_t)load_number(load_operand(c, 0), 0) : SIZE_MAX, held = 0, members = 0;
	const char *name = load_option(c, "--group", NULL);
	json_t *counts = json_object();
	uint64_t start = load_now_ns(l);
	for (unsigned g = 0; g < l->fleet.env.groups_n; g++) {
		struct load_scene s = {.l = l, .group = g, .g = &l->fleet.groups[g]};
		s.others = strcmp(load_option(c, "--others", "no"), "yes") == 0;
		if (!name || strcmp(name, s.g->name) == 0)
			held += run_group(&s, max, counts, &members);
	}
	load_put_int(result, "members", members);
	load_put_int(result, "held", held);
	json_object_set_new(result, "seconds", json_real((double)(load_now_ns(l) - start) / 1e9));
	json_object_set_new(result, "asked", counts);
	fprintf(stderr, "  %zu members, %zu checks hold\n", members, held);
	return members > 0 || load_complain(result, "resources: no member of such a group");
}
