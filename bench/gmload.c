/* SPDX-License-Identifier: Apache-2.0 */
/* gmload: members by the ten thousand against one Group Manager. Commands come as arguments or, line by line, on
 * standard input; each is answered with one JSON object on standard output. Tables and complaints go to stderr. */
#include <getopt.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/member/fleet.h"
#include "bench/member/traffic.h"

#define WORDS_MAX 32
#define LINE_MAX_BYTES 4096u
#define EXIT_USAGE 2

struct load {
	struct gm_fleet fleet;
	struct gm_askey as;
	unsigned window, tries;
	uint64_t dice;
	bool quit;
};

struct words { /* one command */
	int n;
	char *w[WORDS_MAX];
};

/* ---- small things */

static const char *option(const struct words *c, const char *name, const char *otherwise)
{
	for (int i = 1; i + 1 < c->n; i++)
		if (strcmp(c->w[i], name) == 0)
			return c->w[i + 1];
	return otherwise;
}

/* The i-th word after the command that is neither option nor its value; NULL: fewer. */
static const char *operand(const struct words *c, int i)
{
	for (int at = 1; at < c->n; at++) {
		if (strncmp(c->w[at], "--", 2) == 0)
			at++;
		else if (i-- == 0)
			return c->w[at];
	}
	return NULL;
}

static long number(const char *text, long otherwise)
{
	return text ? strtol(text, NULL, 10) : otherwise;
}

static uint32_t draw(struct load *l, uint32_t below)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return below ? (uint32_t)((l->dice >> 33) % below) : 0;
}

static uint64_t now_ns(const struct load *l)
{
	return l->fleet.ops->now_ns(l->fleet.port);
}

static bool complain(json_t *result, const char *text)
{
	json_object_set_new(result, "error", json_string(text));
	fprintf(stderr, "gmload: %s\n", text);
	return false;
}

static void put_int(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void put_times(json_t *o, const char *name, struct gm_series *s)
{
	static const struct {
		const char *name;
		unsigned permille;
	} points[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
	gm_series_sort(s);
	json_t *t = json_object();
	put_int(t, "n", s->n);
	fprintf(stderr, "  %-12s n %-7zu", name, s->n);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double ms = gm_series_at(s, points[i].permille);
		json_object_set_new(t, points[i].name, json_real((double)(long long)(ms * 1000) / 1000));
		fprintf(stderr, " %s %.2f", points[i].name, ms);
	}
	fputs(" ms\n", stderr);
	json_object_set_new(o, name, t);
}

/* Answers that were no success, by operation and code. */
static void put_refusals(json_t *o, const struct gm_fleet *f)
{
	json_t *r = json_object();
	for (unsigned op = 0; op < GM_OP_N; op++)
		for (unsigned code = 0; code < 256; code++)
			if (f->answers[op][code] && code >> 5 != 2) {
				char name[40];
				snprintf(name, sizeof(name), code ? "%s %u.%02u" : "%s silence", gm_member_op_name(op),
				         code >> 5, code & 31);
				put_int(r, name, f->answers[op][code]);
			}
	if (json_object_size(r))
		json_object_set_new(o, "refused", r);
	else
		json_decref(r);
}

static void put_run(json_t *o, struct load *l, size_t n, size_t ok, uint64_t took_ns)
{
	double s = (double)took_ns / 1e9;
	put_int(o, "n", n);
	put_int(o, "done", ok);
	json_object_set_new(o, "seconds", json_real(s));
	json_object_set_new(o, "per_second", json_real(s > 0 ? (double)ok / s : 0));
	fprintf(stderr, "  %zu of %zu in %.2f s: %.0f/s\n", ok, n, s, s > 0 ? (double)ok / s : 0);
	json_t *t = json_object();
	for (unsigned op = 0; op < GM_OP_N; op++)
		if (l->fleet.took[op].n)
			put_times(t, gm_member_op_name(op), &l->fleet.took[op]);
	json_object_set_new(o, "ms", t);
	put_refusals(o, &l->fleet);
}

static bool run_list(struct load *l, json_t *result, const uint32_t *list, size_t n, unsigned plan)
{
	gm_fleet_reset_times(&l->fleet);
	uint64_t start = now_ns(l);
	size_t ok = gm_fleet_run(&l->fleet, list, n, plan, l->window, l->tries);
	put_run(result, l, n, ok, now_ns(l) - start);
	return ok == n;
}

/* ---- choosing members */

struct chosen {
	uint32_t *list;
	size_t n;
};

/* Members in the group (-1: any) and state, in random order, at most max. The caller frees list. */
static struct chosen choose(struct load *l, int group, unsigned state, size_t max)
{
	struct chosen c = {calloc(l->fleet.members_n + 1, sizeof(uint32_t)), 0};
	if (!c.list)
		return c;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if ((group < 0 || m->group == group) && m->state == state)
			c.list[c.n++] = i;
	}
	for (size_t i = c.n; i > 1; i--) {
		size_t j = draw(l, (uint32_t)i);
		uint32_t swap = c.list[j];
		c.list[j] = c.list[i - 1];
		c.list[i - 1] = swap;
	}
	if (c.n > max)
		c.n = max;
	return c;
}

static int known_group(const struct load *l, const char *name)
{
	for (unsigned i = 0; name && i < l->fleet.env.groups_n; i++)
		if (strcmp(l->fleet.groups[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* "n7", "g1/n7" or "#12", the member's index */
static struct gm_member *find_node(struct load *l, const char *name)
{
	const char *slash = strrchr(name, '/');
	int group = -1;
	if (name[0] == '#') {
		unsigned long i = strtoul(name + 1, NULL, 10);
		return i < l->fleet.members_n ? &l->fleet.members[i] : NULL;
	}
	for (unsigned i = 0; slash && i < l->fleet.env.groups_n; i++)
		if (strlen(l->fleet.groups[i].name) == (size_t)(slash - name) &&
		    strncmp(l->fleet.groups[i].name, name, (size_t)(slash - name)) == 0)
			group = (int)i;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		struct gm_member *m = &l->fleet.members[i];
		if ((group < 0 || m->group == group) && strcmp(m->node, slash ? slash + 1 : name) == 0 && m->node_n)
			return m;
	}
	return NULL;
}

/* ---- joining */

static uint8_t mixed_roles(const char *mix, uint32_t i)
{
	uint32_t bits = strcmp(mix, "mix") != 0 ? gm_roles_parse(mix) : 0;
	if (bits)
		return (uint8_t)bits;
	uint32_t at = i * 7 % 20;
	return at == 19 ? GM_ROLE_MONITOR : at >= 10 ? GM_ROLE_REQUESTER | GM_ROLE_RESPONDER : GM_ROLE_RESPONDER;
}

static bool cmd_join(struct load *l, const struct words *c, json_t *result)
{
	long n = number(operand(c, 0), 0), post = number(option(c, "--post", "67"), 67);
	const char *mix = option(c, "--roles", "mix");
	int64_t exp = (int64_t)time(NULL) + number(option(c, "--exp", "86400"), 86400);
	long creds = number(option(c, "--creds", "0"), 0); /* so many of them ask for credentials */
	char names[512], *save = NULL;
	int groups[GM_FLEET_GROUPS];
	unsigned groups_n = 0;
	snprintf(names, sizeof(names), "%s", option(c, "--groups", "g1"));
	for (char *g = strtok_r(names, ",", &save); g && groups_n < GM_FLEET_GROUPS; g = strtok_r(NULL, ",", &save))
		if ((groups[groups_n++] = gm_fleet_group(&l->fleet, g)) < 0)
			return complain(result, "too many groups, or a name that is too long");
	if (n <= 0 || !groups_n || l->fleet.members_n + n > l->fleet.capacity)
		return complain(result, "join: how many? or no room for so many members");
	uint32_t *list = calloc((size_t)n, sizeof(*list));
	for (long i = 0; list && i < n; i++) {
		uint32_t at = (uint32_t)i / groups_n;
		struct gm_member *m = gm_fleet_add(&l->fleet, &l->as, groups[(uint32_t)i % groups_n],
		                                   mixed_roles(mix, at), (long)(at * 37 % 100) < post, exp);
		if (!m) {
			free(list);
			return complain(result, "a token cannot be minted");
		}
		m->want_creds = i < creds;
		list[i] = m->index;
	}
	bool ok = list && run_list(l, result, list, (size_t)n,
	                           GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE));
	free(list);
	return ok;
}

static bool some_members(struct load *l, const struct words *c, json_t *result, unsigned plan, unsigned state)
{
	int group = known_group(l, operand(c, 1));
	struct chosen who = choose(l, group, state, (size_t)number(operand(c, 0), 1));
	bool ok = who.list && run_list(l, result, who.list, who.n, plan);
	free(who.list);
	return ok;
}

static bool cmd_update(struct load *l, const struct words *c, json_t *result)
{
	struct chosen who = choose(l, known_group(l, operand(c, 1)), GM_MEMBER_IN, (size_t)number(operand(c, 0), 1));
	int64_t exp = (int64_t)time(NULL) + number(option(c, "--exp", "86400"), 86400);
	bool ok = who.n > 0;
	for (size_t i = 0; ok && i < who.n; i++)
		ok = gm_fleet_mint_update(&l->fleet, &l->as, &l->fleet.members[who.list[i]], exp);
	ok = ok && run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_UPDATE));
	free(who.list);
	return ok;
}

static bool cmd_leave(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_LEAVE), GM_MEMBER_IN);
}

static bool cmd_rejoin(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE), GM_MEMBER_IN);
}

static bool cmd_return(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE), GM_MEMBER_LEFT);
}

static bool cmd_kdc(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_KDC), GM_MEMBER_IN);
}

/* A random other member of its group that has a credential; NULL: there is none. */
static const struct gm_member *somebody_else(struct load *l, const struct gm_member *m)
{
	uint32_t n = l->fleet.members_n, from = draw(l, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct gm_member *other = &l->fleet.members[(from + i) % n];
		if (other != m && other->group == m->group && other->state == GM_MEMBER_IN && other->sid_n)
			return other;
	}
	return NULL;
}

static void will_fetch(struct gm_member *m, const struct gm_member *of)
{
	m->fetch_sid_n = of->sid_n;
	memcpy(m->fetch_sid, of->sid, of->sid_n);
}

/* What m fetched is what `of` has now. */
static bool fetched(struct load *l, struct gm_member *m, const struct gm_member *of)
{
	const struct gm_member_peer *p = gm_member_find_peer(m, (struct gm_bytes){of->sid, of->sid_n});
	bool good = p && p->roles == of->roles && p->cred_n == of->own.cred_n &&
	            memcmp(p->cred, of->own.cred, p->cred_n) == 0;
	if (!good)
		gm_fleet_fail(&l->fleet, m, "the credential fetched is not that of the member");
	return good;
}

static bool cmd_fetch(struct load *l, const struct words *c, json_t *result)
{
	struct chosen who = choose(l, known_group(l, operand(c, 1)), GM_MEMBER_IN, (size_t)number(operand(c, 0), 1));
	const struct gm_member **of = calloc(who.n + 1, sizeof(const struct gm_member *));
	size_t n = 0;
	for (size_t i = 0; of && i < who.n; i++) {
		struct gm_member *m = &l->fleet.members[who.list[i]];
		if (!(of[n] = somebody_else(l, m)))
			continue;
		will_fetch(m, of[n]);
		who.list[n++] = who.list[i];
	}
	bool ok = n && run_list(l, result, who.list, n, GM_PLAN(GM_OP_FETCH));
	for (size_t i = 0; ok && i < n; i++)
		ok = fetched(l, &l->fleet.members[who.list[i]], of[i]);
	free(of);
	free(who.list);
	return ok;
}

/* Members with a Sender ID, at most max. The caller frees list. */
static struct chosen choose_endpoints(struct load *l, int group, size_t max)
{
	struct chosen who = choose(l, group, GM_MEMBER_IN, SIZE_MAX);
	size_t n = 0;
	for (size_t i = 0; i < who.n && n < max; i++)
		if (l->fleet.members[who.list[i]].sid_n)
			who.list[n++] = who.list[i];
	who.n = n;
	return who;
}

static bool cmd_renew(struct load *l, const struct words *c, json_t *result)
{
	struct chosen who = choose_endpoints(l, known_group(l, operand(c, 1)), (size_t)number(operand(c, 0), 1));
	bool ok = who.n && run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_RENEW));
	free(who.list);
	return ok;
}

/* All who know the member, and one at least, ask for its credential. */
static bool learn_anew(struct load *l, const struct gm_member *of, size_t *learned)
{
	const struct gm_member *any = somebody_else(l, of);
	bool ok = any != NULL;
	for (uint32_t i = 0; ok && i < l->fleet.members_n; i++) {
		struct gm_member *m = &l->fleet.members[i];
		bool knows = m->group == of->group && m->state == GM_MEMBER_IN && m != of &&
		             gm_member_find_peer(m, (struct gm_bytes){of->sid, of->sid_n});
		if (m != any && !knows)
			continue;
		will_fetch(m, of);
		ok = gm_fleet_run(&l->fleet, &i, 1, GM_PLAN(GM_OP_FETCH), 1, l->tries) == 1 && fetched(l, m, of);
		*learned += ok;
	}
	return ok;
}

static bool cmd_recred(struct load *l, const struct words *c, json_t *result)
{
	struct chosen who = choose_endpoints(l, known_group(l, operand(c, 1)), (size_t)number(operand(c, 0), 1));
	size_t learned = 0;
	bool ok = who.n && run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_RECRED));
	for (size_t i = 0; ok && i < who.n; i++)
		ok = learn_anew(l, &l->fleet.members[who.list[i]], &learned);
	put_int(result, "learned", learned);
	free(who.list);
	return ok;
}

static bool cmd_get(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_NODE), GM_MEMBER_IN);
}

/* ---- rekeying */

static uint64_t newest(const struct load *l, int group)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < GM_FLEET_VERSIONS; i++)
		if (l->fleet.versions[group][i].ms_n && l->fleet.versions[group][i].version > v)
			v = l->fleet.versions[group][i].version;
	return v;
}

static bool cmd_poll(struct load *l, const struct words *c, json_t *result)
{
	struct chosen who = choose(l, known_group(l, operand(c, 0)), GM_MEMBER_IN, SIZE_MAX);
	size_t late = 0;
	bool all = strcmp(option(c, "--who", "late"), "all") == 0;
	for (size_t i = 0; i < who.n; i++) {
		const struct gm_member *m = &l->fleet.members[who.list[i]];
		if (all || !m->has_keys || m->keys.version < newest(l, m->group))
			who.list[late++] = who.list[i];
	}
	bool ok = who.list && run_list(l, result, who.list, late, GM_PLAN(GM_OP_GROUP));
	free(who.list);
	return ok;
}

static size_t behind(const struct load *l, int group, uint64_t version, size_t *all)
{
	size_t late = 0;
	*all = 0;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if (m->group != group || m->state != GM_MEMBER_IN)
			continue;
		++*all;
		late += !m->has_keys || m->keys.version < version;
	}
	return late;
}

static bool cmd_await_rekey(struct load *l, const struct words *c, json_t *result)
{
	static const char *const hows[GM_HOW_N] = {"join", "post", "observe", "poll"};
	int group = known_group(l, operand(c, 0));
	uint64_t version = (uint64_t)number(operand(c, 1), 0), how[GM_HOW_N] = {0}, first = UINT64_MAX;
	uint64_t until = now_ns(l) + (uint64_t)number(option(c, "--timeout", "60"), 60) * 1000000000u;
	size_t all, late;
	struct gm_series latency = {0};
	if (group < 0)
		return complain(result, "await-rekey: no such group here");
	while ((late = behind(l, group, version, &all)) > 0 && now_ns(l) < until)
		gm_fleet_turn(&l->fleet, 20);
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < l->fleet.members_n; i++) {
			const struct gm_member *m = &l->fleet.members[i];
			if (m->group != group || m->state != GM_MEMBER_IN || !m->has_keys || m->keys.version < version)
				continue;
			if (pass == 0 && m->how != GM_HOW_JOIN && m->installed_ns < first)
				first = m->installed_ns;
			how[m->how] += pass == 1;
			if (pass == 1 && m->how != GM_HOW_JOIN)
				gm_series_add(&latency, m->installed_ns - first);
		}
	put_int(result, "members", all);
	put_int(result, "late", late);
	put_int(result, "version", newest(l, group));
	fprintf(stderr, "  %s: %zu members, %zu late\n", l->fleet.groups[group].name, all, late);
	for (unsigned h = 0; h < GM_HOW_N; h++)
		put_int(result, hows[h], how[h]);
	put_times(result, "rekey", &latency);
	gm_series_free(&latency);
	return late == 0;
}

/* ---- an evicted member */

/* One operation that has to be refused: 4.xx from the Group Manager. */
static void must_be_refused(struct load *l, struct gm_member *m, enum gm_member_op op, json_t *result, const char *what)
{
	char code[24];
	gm_fleet_run(&l->fleet, &m->index, 1, GM_PLAN(op), 1, 0);
	snprintf(code, sizeof(code), "%u.%02u", m->last_code >> 5, m->last_code & 31u);
	json_object_set_new(result, what, json_string(m->last_code ? code : "silence"));
	if (m->last_code >> 5 != 4)
		gm_fleet_fail(&l->fleet, m, what);
}

static bool cmd_evicted_check(struct load *l, const struct words *c, json_t *result)
{
	struct gm_member *m = operand(c, 0) ? find_node(l, operand(c, 0)) : NULL;
	uint64_t until = now_ns(l) + (uint64_t)number(option(c, "--timeout", "30"), 30) * 1000000000u;
	if (!m)
		return complain(result, "evicted-check: no such node");
	while (!m->told && now_ns(l) < until)
		gm_fleet_turn(&l->fleet, 20);
	put_int(result, "member", m->index);
	json_object_set_new(result, "told", json_boolean(m->told));
	if (!m->told)
		gm_fleet_fail(&l->fleet, m, "the evicted member got no notice");
	put_int(result, "unreadable", gm_traffic_evicted(&l->fleet, m));
	must_be_refused(l, m, GM_OP_JOIN, result, "rejoin_refused");
	must_be_refused(l, m, GM_OP_NODE, result, "read_refused");
	must_be_refused(l, m, GM_OP_TOKEN, result, "repost_refused");
	m->state = GM_MEMBER_EVICTED;
	return true;
}

/* ---- traffic between members */

static uint32_t draw_for(void *arg, uint32_t below)
{
	return draw(arg, below);
}

static bool cmd_traffic(struct load *l, const struct words *c, json_t *result)
{
	unsigned sample = (unsigned)number(option(c, "--sample", "20"), 20);
	struct gm_traffic sum = {0};
	for (unsigned g = 0; g < l->fleet.env.groups_n; g++) {
		if (operand(c, 0) && known_group(l, operand(c, 0)) != (int)g)
			continue;
		struct gm_traffic t = gm_traffic_sample(&l->fleet, (int)g, sample, draw_for, l);
		fprintf(stderr,
		        "  %s: %u pairs, %u in group mode, %u pairwise, %u monitors read, %u attempts with old keys "
		        "refused\n",
		        l->fleet.groups[g].name, t.pairs, t.group_mode, t.pairwise_mode, t.monitors,
		        t.old_keys_refused);
		sum.pairs += t.pairs;
		sum.group_mode += t.group_mode;
		sum.pairwise_mode += t.pairwise_mode;
		sum.monitors += t.monitors;
		sum.old_keys_refused += t.old_keys_refused;
		sum.learned += t.learned;
		sum.given += t.given;
	}
	put_int(result, "pairs", sum.pairs);
	put_int(result, "group_mode", sum.group_mode);
	put_int(result, "pairwise_mode", sum.pairwise_mode);
	put_int(result, "monitors", sum.monitors);
	put_int(result, "old_keys_refused", sum.old_keys_refused);
	put_int(result, "peer_keys_learned", sum.learned);
	put_int(result, "peer_keys_given", sum.given);
	return sum.pairs > 0 || complain(result, "traffic: no pair of requester and responder with the newest keys");
}

static bool cmd_learn(struct load *l, const struct words *c, json_t *result)
{
	int group = known_group(l, operand(c, 0));
	struct chosen who = choose(l, group, GM_MEMBER_IN, (size_t)number(option(c, "--sample", "2"), 2));
	size_t peers = 0;
	bool ok = who.list && group >= 0 && who.n && run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_CREDS));
	for (size_t i = 0; who.list && !ok && i < who.n; i++)
		l->fleet.members[who.list[i]].want_creds = true;
	if (!ok && who.n) /* a re-join brings them along */
		ok = run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE));
	for (size_t i = 0; who.list && i < who.n; i++) {
		l->fleet.members[who.list[i]].want_creds = false;
		peers += l->fleet.members[who.list[i]].peers_n;
	}
	put_int(result, "peers", peers);
	free(who.list);
	return ok;
}

static bool parse_sid(struct gm_ping *p, const char *hex)
{
	size_t n = strlen(hex) / 2;
	if (strlen(hex) % 2 || !n || n > sizeof(p->sid))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		p->sid[i] = (uint8_t)v;
	}
	p->sid_n = (uint8_t)n;
	return true;
}

static struct gm_member *a_requester(struct load *l, int group)
{
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		struct gm_member *m = &l->fleet.members[i];
		if (m->group == group && m->state == GM_MEMBER_IN && m->has_keys && m->roles & GM_ROLE_REQUESTER)
			return m;
	}
	return NULL;
}

static bool cmd_ping(struct load *l, const struct words *c, json_t *result)
{
	int group = known_group(l, operand(c, 0));
	const char *mode = operand(c, 3), *from = option(c, "--from", NULL);
	struct gm_ping p = {.payload = option(c, "--payload", NULL)};
	if (group < 0 || !mode || !gm_addr_parse(&p.to, operand(c, 1)) || !p.to.port || !parse_sid(&p, operand(c, 2)) ||
	    (strcmp(mode, "group") != 0 && strcmp(mode, "pairwise") != 0))
		return complain(result, "ping GROUP IP:PORT SID group|pairwise");
	p.pairwise = strcmp(mode, "pairwise") == 0;
	p.from = from ? find_node(l, from) : a_requester(l, group);
	if (!p.from)
		return complain(result, "ping: no requester in that group");
	if (!gm_traffic_peer(&l->fleet, (unsigned)group, (struct gm_bytes){p.sid, p.sid_n})) {
		gm_fleet_run(&l->fleet, &p.from->index, 1, GM_PLAN(GM_OP_CREDS), 1, 0);
	}
	bool ok = gm_ping(&l->fleet, &p, 10000);
	json_object_set_new(result, "from", json_string(p.from->node));
	json_object_set_new(result, "ms", json_real((double)p.took_ns / 1e6));
	return ok || complain(result, p.fault);
}

/* ---- churn: random doings, tolerant of a Group Manager that stops and starts */

#define CHURN_WINDOW 64u
#define CHURN_END_S 75u /* a whole cycle of retransmissions */

static void churn_one(struct load *l)
{
	struct gm_fleet *f = &l->fleet;
	struct gm_member *m = &f->members[draw(l, f->members_n)];
	uint32_t dice = draw(l, 100);
	unsigned plan = GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE);
	if (m->counted || m->ex.active || m->state == GM_MEMBER_EVICTED)
		return;
	if (m->state == GM_MEMBER_IN && !m->unsure)
		plan = dice < 20   ? GM_PLAN(GM_OP_LEAVE)
		       : dice < 40 ? plan
		       : dice < 55 ? GM_PLAN(GM_OP_GROUP)
		                   : GM_PLAN(GM_OP_NODE);
	f->run.plan = plan;
	m->counted = true;
	m->tries = 0;
	f->run.active++;
	gm_fleet_begin(f, m, m->has_context ? plan : plan | GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN));
}

/* Those whose latest Join or leave had no answer join again, so that all know where they stand. */
static bool settle(struct load *l, json_t *result)
{
	uint32_t *list = calloc(l->fleet.members_n + 1, sizeof(*list));
	size_t n = 0;
	for (uint32_t i = 0; list && i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if (m->unsure && m->state != GM_MEMBER_EVICTED)
			list[n++] = i;
	}
	unsigned plan = GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE);
	size_t ok = list ? gm_fleet_run(&l->fleet, list, n, plan, l->window, 10) : 0;
	put_int(result, "settled", ok);
	put_int(result, "unsettled", n - ok);
	free(list);
	return ok == n;
}

static bool cmd_churn(struct load *l, const struct words *c, json_t *result)
{
	struct gm_fleet *f = &l->fleet;
	uint64_t start = now_ns(l),
	         until = start + (uint64_t)(strtod(operand(c, 0) ? operand(c, 0) : "10", NULL) * 1e9);
	unsigned window = (unsigned)number(option(c, "--window", NULL), CHURN_WINDOW);
	if (!f->members_n)
		return complain(result, "churn: join some members first");
	gm_fleet_reset_times(f);
	f->run = (struct gm_fleet_run){.window = window};
	while (now_ns(l) < until) {
		f->env.now_ns = now_ns(l);
		for (unsigned i = 0; i < 2 * window && f->run.active < window; i++)
			churn_one(l);
		gm_fleet_turn(f, 5);
	}
	while (f->run.active && now_ns(l) < until + CHURN_END_S * 1000000000ull)
		gm_fleet_turn(f, 100);
	put_run(result, l, f->run.ok + f->run.failed, f->run.ok, now_ns(l) - start);
	put_int(result, "unfinished", f->run.active);
	return settle(l, result);
}

/* ---- looking */

static void put_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char text[2 * 256 + 1] = "";
	for (size_t i = 0; i < n && i < 256; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	json_object_set_new(o, name, json_string(text));
}

/* As it was uploaded. */
static void put_cred(json_t *o, const struct gm_member *m)
{
	uint8_t cred[256];
	struct gm_out out = gm_out(cred, sizeof(cred));

	gm_member_cred(&out, m);
	if (m->roles != GM_ROLE_MONITOR && out.err == GM_E_OK)
		put_hex(o, "cred", cred, gm_out_len(&out));
}

static bool cmd_nodes(struct load *l, const struct words *c, json_t *result)
{
	int group = known_group(l, operand(c, 0));
	json_t *nodes = json_array();
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		char addr[GM_ADDR_TEXT];
		if (operand(c, 0) && m->group != group)
			continue;
		json_t *o = json_object();
		put_int(o, "member", i);
		json_object_set_new(o, "group", json_string(l->fleet.groups[m->group].name));
		json_object_set_new(o, "node", json_string(m->node_n ? m->node : ""));
		json_object_set_new(o, "state", json_string(gm_member_state_name(m->state)));
		json_object_set_new(o, "delivery", json_string(m->post ? "post" : m->observing ? "observe" : "poll"));
		json_object_set_new(o, "addr", json_string(gm_addr_text(&m->addr, addr)));
		put_hex(o, "sid", m->sid, m->sid_n);
		put_hex(o, "gid", m->keys.gid, m->keys.gid_n);
		put_int(o, "roles", m->roles);
		put_int(o, "version", m->has_keys ? m->keys.version : 0);
		put_cred(o, m);
		json_array_append_new(nodes, o);
	}
	json_object_set_new(result, "nodes", nodes);
	return true;
}

static bool cmd_status(struct load *l, const struct words *c, json_t *result)
{
	(void)c;
	const struct gm_member_stats *s = &l->fleet.env.stats;
	struct gm_port_stats port;
	uint64_t states[5] = {0};
	l->fleet.ops->stats(l->fleet.port, &port);
	for (uint32_t i = 0; i < l->fleet.members_n; i++)
		states[l->fleet.members[i].state]++;
	json_t *by = json_object();
	for (unsigned i = 0; i < 5; i++)
		put_int(by, gm_member_state_name(i), states[i]);
	json_object_set_new(result, "members", by);
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
	    {"requests", s->requests},
	    {"retransmitted", s->retransmitted},
	    {"timeouts", s->timeouts},
	    {"echoes", s->echoes},
	    {"separate", s->separate},
	    {"blocks", s->blocks},
	    {"duplicates", s->duplicates},
	    {"mid_reused", s->mid_reused},
	    {"ignored_versions", s->ignored_versions},
	    {"gaps", s->gaps},
	    {"undecryptable", s->undecryptable},
	    {"notices", s->notices},
	    {"strangers", s->strangers},
	    {"contexts", l->fleet.contexts_n},
	    {"rx", port.rx},
	    {"tx", port.tx},
	    {"tx_failed", port.tx_failed},
	    {"member_bytes", sizeof(struct gm_member)},
	    {"checks_failed_total", l->fleet.checks_failed},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		put_int(result, rows[i].name, rows[i].v);
	put_int(result, "port", l->fleet.first.port);
	json_object_set_new(result, "io", json_string(l->fleet.ops->name));
	return true;
}

static bool cmd_dump_keys(struct load *l, const struct words *c, json_t *result)
{
	const char *path = operand(c, 0);
	FILE *file = path ? fopen(path, "a") : NULL;
	if (!file)
		return complain(result, "dump-keys: the file cannot be opened");
	for (size_t i = 0; i < l->fleet.contexts_n; i++)
		gm_fleet_write_context(file, &l->fleet, &l->fleet.contexts[i]);
	put_int(result, "contexts", l->fleet.contexts_n);
	return fclose(file) == 0;
}

static bool cmd_sleep(struct load *l, const struct words *c, json_t *result)
{
	(void)result;
	uint64_t until = now_ns(l) + (uint64_t)(strtod(operand(c, 0) ? operand(c, 0) : "1", NULL) * 1e9);
	for (uint64_t now; (now = now_ns(l)) < until;)
		gm_fleet_turn(&l->fleet, (until - now) / 1000000u + 1);
	return true;
}

static bool cmd_quit(struct load *l, const struct words *c, json_t *result)
{
	(void)c;
	(void)result;
	l->quit = true;
	return true;
}

/* ---- commands */

static const struct command {
	const char *name, *arguments, *what;
	bool (*run)(struct load *, const struct words *, json_t *);
} commands[] = {
    {"join", "N [--groups A,B] [--roles mix|ROLE,ROLE] [--post PERCENT] [--creds K] [--exp S]",
     "N new members post tokens and join", cmd_join},
    {"await-rekey", "GROUP VERSION [--timeout S]", "wait until all its members have VERSION or newer", cmd_await_rekey},
    {"poll", "[GROUP] [--who late|all]", "members GET the group's keys", cmd_poll},
    {"get", "K [GROUP]", "K members GET nodes/N", cmd_get},
    {"fetch", "K [GROUP]", "K members FETCH the credential of one other", cmd_fetch},
    {"kdc", "K [GROUP]", "K members GET the Group Manager's credential and its proof", cmd_kdc},
    {"renew", "K [GROUP]", "K members get new Sender IDs, or a rekey that is due", cmd_renew},
    {"recred", "K [GROUP]", "K members replace their credentials, others fetch them", cmd_recred},
    {"update", "K [GROUP] [--exp S]", "K members update their rights with a new token", cmd_update},
    {"leave", "K [GROUP]", "K members leave", cmd_leave},
    {"rejoin", "K [GROUP]", "K members join again", cmd_rejoin},
    {"return", "K [GROUP]", "K members that left join again", cmd_return},
    {"evicted-check", "NODE [--timeout S]", "NODE is out: told, blind and refused", cmd_evicted_check},
    {"traffic", "[GROUP] [--sample K]", "K pairs a group talk in both modes; old keys fail", cmd_traffic},
    {"learn", "GROUP [--sample K]", "K members ask for the credentials of the others", cmd_learn},
    {"ping", "GROUP IP:PORT SID group|pairwise [--from NODE] [--payload TEXT]", "ask a member elsewhere", cmd_ping},
    {"churn", "SECONDS [--window N]", "random joins, re-joins, leaves and reads; the server may stop and start",
     cmd_churn},
    {"nodes", "[GROUP]", "list the members", cmd_nodes},
    {"dump-keys", "FILE", "append every OSCORE context ever made", cmd_dump_keys},
    {"status", "", "counters", cmd_status},
    {"sleep", "SECONDS", "answer rekeying messages meanwhile", cmd_sleep},
    {"quit", "", "end", cmd_quit},
};
#define COMMANDS_N (sizeof(commands) / sizeof(commands[0]))

static bool carry_out(struct load *l, char *line)
{
	struct words c = {0};
	char *save = NULL;
	for (char *w = strtok_r(line, " \t\r\n", &save); w && c.n < WORDS_MAX; w = strtok_r(NULL, " \t\r\n", &save))
		c.w[c.n++] = w;
	if (c.n == 0 || c.w[0][0] == '#')
		return true;
	json_t *result = json_object();
	unsigned failed = l->fleet.checks_failed;
	bool ok = false;
	size_t i;
	json_object_set_new(result, "command", json_string(c.w[0]));
	for (i = 0; i < COMMANDS_N && strcmp(commands[i].name, c.w[0]) != 0; i++)
		;
	if (i == COMMANDS_N)
		complain(result, "no such command");
	else
		ok = commands[i].run(l, &c, result);
	ok = ok && l->fleet.checks_failed == failed;
	json_object_set_new(result, "ok", json_boolean(ok));
	put_int(result, "checks_failed", l->fleet.checks_failed - failed);
	json_dumpf(result, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(result);
	return ok;
}

/* ---- lines from standard input, by a thread of their own, so that members go on meanwhile */

struct lines {
	struct load *load;
	pthread_mutex_t lock;
	pthread_cond_t taken;
	char *line; /* waits to be carried out */
	bool end;
	int over[2]; /* a pipe that is closed when nothing more is wanted */
};

static void hand_over(struct lines *in, char *line)
{
	pthread_mutex_lock(&in->lock);
	in->line = line;
	in->end = line == NULL;
	in->load->fleet.ops->wake(in->load->fleet.port);
	while (in->line)
		pthread_cond_wait(&in->taken, &in->lock);
	pthread_mutex_unlock(&in->lock);
}

/* More bytes of standard input behind the n that are there; 0: it ended, or nothing more is wanted. */
static size_t read_more(struct lines *in, char *buf, size_t n, size_t cap)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = in->over[0], .events = POLLIN}};
	if (poll(fds, 2, -1) < 0 || fds[1].revents)
		return 0;
	ssize_t got = read(STDIN_FILENO, buf + n, cap - n);
	return got > 0 ? (size_t)got : 0;
}

static void *read_lines(void *arg)
{
	struct lines *in = arg;
	char buf[LINE_MAX_BYTES];
	size_t n = 0, got;
	while (n < sizeof(buf) && (got = read_more(in, buf, n, sizeof(buf))) > 0) {
		char *newline;
		n += got;
		while ((newline = memchr(buf, '\n', n)) != NULL) {
			size_t used = (size_t)(newline - buf) + 1;
			*newline = 0;
			hand_over(in, buf);
			if (in->load->quit)
				return NULL;
			memmove(buf, buf + used, n - used);
			n -= used;
		}
	}
	hand_over(in, NULL);
	return NULL;
}

static bool interactive(struct load *l)
{
	struct lines in = {.load = l, .lock = PTHREAD_MUTEX_INITIALIZER, .taken = PTHREAD_COND_INITIALIZER};
	pthread_t thread;
	bool ok = true, end = false;
	if (pipe(in.over) != 0 || pthread_create(&thread, NULL, read_lines, &in) != 0)
		return false;
	while (!l->quit && !end) {
		pthread_mutex_lock(&in.lock);
		char *line = in.line;
		end = in.end;
		pthread_mutex_unlock(&in.lock);
		if (!line) {
			gm_fleet_turn(&l->fleet, 1000);
			continue;
		}
		ok = carry_out(l, line) && ok;
		pthread_mutex_lock(&in.lock);
		in.line = NULL;
		pthread_cond_signal(&in.taken);
		pthread_mutex_unlock(&in.lock);
	}
	close(in.over[1]);
	pthread_join(thread, NULL);
	close(in.over[0]);
	return ok;
}

static void print_usage(FILE *to)
{
	fputs("usage: gmload [options] ['COMMAND ...' ...]\n\n"
	      "Simulates members of a Group Manager, each with its own keys, OSCORE context and address (127.1.x.y for "
	      "a\n"
	      "server on IPv4 loopback, else one port each, at most 1000). Commands are arguments or lines of standard "
	      "input;\n"
	      "each is answered with a line of JSON. Checks what it receives: a failed check makes the exit code 1.\n\n"
	      "  -s, --server ADDR:PORT   127.0.0.1:5683\n"
	      "  -a, --as FILE            key of the authorization server, made by `gmas keygen`\n"
	      "      --port PORT          of the members, 40000; the next free one where it is taken\n"
	      "      --max N              room for so many members, 65536\n"
	      "  -w, --window N           exchanges at a time, 512\n"
	      "      --tries N            repeats of what was refused with 5.03 or not answered, 3\n"
	      "      --keys FILE          append each OSCORE context as it is made (secret)\n"
	      "      --acks FILE          append each acknowledged join\n"
	      "      --io NAME            uring or sockets\n\ncommands:\n",
	      to);
	for (size_t i = 0; i < COMMANDS_N; i++)
		fprintf(to, "  %s %s\n        %s\n", commands[i].name, commands[i].arguments, commands[i].what);
}

struct settings {
	const char *server, *as, *keys, *acks, *io;
	long port, max, window, tries;
};

static bool read_options(struct settings *s, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"server", required_argument, NULL, 's'}, {"as", required_argument, NULL, 'a'},
	    {"port", required_argument, NULL, 'p'},   {"max", required_argument, NULL, 'm'},
	    {"window", required_argument, NULL, 'w'}, {"tries", required_argument, NULL, 't'},
	    {"keys", required_argument, NULL, 'k'},   {"acks", required_argument, NULL, 'c'},
	    {"io", required_argument, NULL, 'i'},     {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'v'},      {0},
	};
	for (int c; (c = getopt_long(argc, argv, "s:a:w:h", longs, NULL)) != -1;) {
		switch (c) {
		case 's':
			s->server = optarg;
			break;
		case 'a':
			s->as = optarg;
			break;
		case 'p':
			s->port = atol(optarg);
			break;
		case 'm':
			s->max = atol(optarg);
			break;
		case 'w':
			s->window = atol(optarg);
			break;
		case 't':
			s->tries = atol(optarg);
			break;
		case 'k':
			s->keys = optarg;
			break;
		case 'c':
			s->acks = optarg;
			break;
		case 'i':
			s->io = optarg;
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		case 'v':
			puts("gmload " GM_VERSION);
			exit(0);
		default:
			return false;
		}
	}
	return s->port > 0 && s->port < 65536 && s->max > 0 && s->max <= (long)GM_FLEET_MAX && s->window > 0 &&
	       s->tries >= 0 && s->tries < 256;
}

static FILE *open_log(const char *path)
{
	FILE *file = path ? fopen(path, "a") : NULL;
	if (path && !file) {
		perror(path);
		exit(1);
	}
	return file;
}

int main(int argc, char **argv)
{
	struct settings s = {
	    .server = "127.0.0.1:5683", .io = "uring", .port = 40000, .max = GM_FLEET_MAX, .window = 512, .tries = 3};
	static struct load l;
	struct gm_addr server;
	bool ok = true;

	if (!read_options(&s, argc, argv) || !gm_addr_parse(&server, s.server)) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!gm_crypto_init()) {
		fputs("gmload: the crypto libraries do not start\n", stderr);
		return 1;
	}
	if (server.port == 0)
		server.port = 5683;
	enum gm_err err = s.as ? gm_askey_load(&l.as, s.as) : GM_E_OK;
	if (err != GM_E_OK) {
		fprintf(stderr, "gmload: %s: %s\n", s.as, gm_err_info(err)->text);
		return 1;
	}
	if (gm_fleet_open(&l.fleet, &server, (uint16_t)s.port, (uint32_t)s.max, s.io) != GM_E_OK)
		return 1;
	l.fleet.keys = open_log(s.keys);
	l.fleet.acks = open_log(s.acks);
	gm_ping_listen(&l.fleet);
	l.window = (unsigned)s.window;
	l.tries = (unsigned)s.tries;
	gm_random(&l.dice, sizeof(l.dice));
	for (int i = optind; i < argc && !l.quit; i++)
		ok = carry_out(&l, argv[i]) && ok;
	if (optind == argc)
		ok = interactive(&l);
	ok = ok && l.fleet.checks_failed == 0;
	gm_fleet_close(&l.fleet);
	gm_wipe(&l.as, sizeof(l.as));
	return ok ? 0 : 1;
}
