/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: members come, ask, change, go. */
#include "load.h"

#include <stdlib.h>
#include <time.h>

static uint8_t mixed_roles(const char *mix, uint32_t i)
{
	uint32_t bits = strcmp(mix, "mix") != 0 ? gm_askey_roles(mix) : 0;
	if (bits)
		return (uint8_t)bits;
	uint32_t at = i * 7 % 20;
	return at == 19 ? GM_ROLE_MONITOR : at >= 10 ? GM_ROLE_REQUESTER | GM_ROLE_RESPONDER : GM_ROLE_RESPONDER;
}

/* AEADs whose nonces have room for Sender IDs of three bytes. */
static const uint8_t osc_algs[] = {10, 1, 2, 3, 11, 24, 30, 31};

struct joining { /* what newcomers are like */
	long post, creds, exp;
	const char *roles, *ask, *osc;
	unsigned groups_n;
	int groups[GM_FLEET_GROUPS];
};

static bool read_joining(struct load *l, const struct words *c, struct joining *j)
{
	char names[512], *save = NULL;
	*j = (struct joining){.post = load_number(load_option(c, "--post", "67"), 67),
	                      .creds = load_number(load_option(c, "--creds", "0"), 0),
	                      .exp = load_number(load_option(c, "--exp", "86400"), 86400),
	                      .roles = load_option(c, "--roles", "mix"),
	                      .ask = load_option(c, "--ask", "token"),
	                      .osc = load_option(c, "--osc", "10")};
	snprintf(names, sizeof(names), "%s", load_option(c, "--groups", load_option(c, "--group", "g1")));
	for (char *g = strtok_r(names, ",", &save); g; g = strtok_r(NULL, ",", &save))
		if (j->groups_n == GM_FLEET_GROUPS || (j->groups[j->groups_n++] = gm_fleet_group(&l->fleet, g)) < 0)
			return false;
	return j->groups_n > 0;
}

/* The association's algorithms: the same for all, or another one for each. */
static void choose_osc(struct gm_fleet *f, const struct joining *j, uint32_t i)
{
	bool mix = strcmp(j->osc, "mix") == 0;
	const char *hkdf = strchr(j->osc, ':');
	f->osc_alg = mix ? osc_algs[i % sizeof(osc_algs)] : (uint8_t)strtoul(j->osc, NULL, 10);
	f->osc_hkdf = mix ? (i / sizeof(osc_algs) % 2 ? GM_HKDF_SHA_512 : GM_HKDF_SHA_256)
	                  : hkdf ? (uint8_t)strtoul(hkdf + 1, NULL, 10) : 0;
}

static struct gm_member *newcomer(struct load *l, const struct joining *j, uint32_t i)
{
	uint32_t at = i / j->groups_n;
	choose_osc(&l->fleet, j, i);
	struct gm_member *m = gm_fleet_add(&l->fleet, &l->as, j->groups[i % j->groups_n], mixed_roles(j->roles, at),
	                                   (long)(at * 37 % 100) < j->post, (int64_t)time(NULL) + j->exp);
	if (!m)
		return NULL;
	m->want_creds = i < j->creds; /* so many of them ask for credentials */
	m->ask_at_join = strcmp(j->ask, "join") == 0 || (strcmp(j->ask, "mix") == 0 && i % 4 == 3);
	return m;
}

bool load_newcomers(struct load *l, const struct words *c, json_t *result, long n, struct load_chosen *who)
{
	struct joining j;
	if (!read_joining(l, c, &j))
		return load_complain(result, "too many groups, or a name that is too long");
	if (n <= 0 || l->fleet.members_n + n > l->fleet.capacity)
		return load_complain(result, "join: how many? or no room for so many members");
	*who = (struct load_chosen){.list = calloc((size_t)n, sizeof(*who->list))};
	while (who->list && who->n < (size_t)n) {
		struct gm_member *m = newcomer(l, &j, (uint32_t)who->n);
		if (!m)
			return load_complain(result, "a token cannot be minted");
		who->list[who->n++] = m->index;
	}
	return who->list != NULL;
}

void load_set_pace(struct load *l, const struct words *c, const struct load_chosen *who, unsigned plan)
{
	long rate = load_number(load_option(c, "--rate", "500"), 500);
	l->fleet.pace = (struct gm_fleet_pace){.list = who->list,
	                                       .n = who->n,
	                                       .plan = plan,
	                                       .start_ns = load_now_ns(l),
	                                       .gap_ns = 1000000000u / (uint64_t)(rate > 0 ? rate : 1)};
}

bool load_cmd_join(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = {0};
	bool ok = load_newcomers(l, c, result, load_number(load_operand(c, 0), 0), &who);
	size_t n = who.n;
	l->fleet.env.later = strcmp(load_option(c, "--verify", "now"), "later") == 0;
	if (ok && load_option(c, "--rate", NULL)) {
		load_set_pace(l, c, &who, LOAD_JOINING);
		load_begin_events(l);
		n = 0;
	}
	ok = ok && load_run(l, result, who.list, who.n, n, LOAD_JOINING);
	if (l->fleet.log.on)
		load_put_events(l, result, "paced", GM_FLEET_PACED, LOAD_TOOK, 0);
	l->fleet.log.on = false;
	free(who.list);
	return ok;
}

static bool some_members(struct load *l, const struct words *c, json_t *result, unsigned plan, unsigned state)
{
	int group = load_known_group(l, load_operand(c, 1));
	struct load_chosen who = load_choose(l, group, state, (size_t)load_number(load_operand(c, 0), 1));
	bool ok = who.list && load_run_list(l, result, who.list, who.n, plan);
	free(who.list);
	return ok;
}

bool load_cmd_update(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose(l, load_known_group(l, load_operand(c, 1)), GM_MEMBER_IN, (size_t)load_number(load_operand(c, 0), 1));
	int64_t exp = (int64_t)time(NULL) + load_number(load_option(c, "--exp", "86400"), 86400);
	bool ok = who.n > 0;
	for (size_t i = 0; ok && i < who.n; i++)
		ok = gm_fleet_mint_update(&l->fleet, &l->as, &l->fleet.members[who.list[i]], exp);
	ok = ok && load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_UPDATE));
	free(who.list);
	return ok;
}

bool load_cmd_leave(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_LEAVE), GM_MEMBER_IN);
}

bool load_cmd_rejoin(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE), GM_MEMBER_IN);
}

bool load_cmd_return(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE), GM_MEMBER_LEFT);
}

bool load_cmd_kdc(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_KDC), GM_MEMBER_IN);
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

bool load_cmd_fetch(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose(l, load_known_group(l, load_operand(c, 1)), GM_MEMBER_IN, (size_t)load_number(load_operand(c, 0), 1));
	const struct gm_member **of = calloc(who.n + 1, sizeof(const struct gm_member *));
	size_t n = 0;
	for (size_t i = 0; of && i < who.n; i++) {
		struct gm_member *m = &l->fleet.members[who.list[i]];
		if (!(of[n] = load_somebody_else(l, m)))
			continue;
		will_fetch(m, of[n]);
		who.list[n++] = who.list[i];
	}
	bool ok = n && load_run_list(l, result, who.list, n, GM_PLAN(GM_OP_FETCH));
	for (size_t i = 0; ok && i < n; i++)
		ok = fetched(l, &l->fleet.members[who.list[i]], of[i]);
	free(of);
	free(who.list);
	return ok;
}

bool load_cmd_renew(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose_endpoints(l, load_known_group(l, load_operand(c, 1)), (size_t)load_number(load_operand(c, 0), 1));
	bool ok = who.n && load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_RENEW));
	free(who.list);
	return ok;
}

/* All who know the member, and one at least, ask for its credential. */
static bool learn_anew(struct load *l, const struct gm_member *of, size_t *learned)
{
	const struct gm_member *any = load_somebody_else(l, of);
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

bool load_cmd_recred(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose_endpoints(l, load_known_group(l, load_operand(c, 1)), (size_t)load_number(load_operand(c, 0), 1));
	size_t learned = 0;
	bool ok = who.n && load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_RECRED));
	for (size_t i = 0; ok && i < who.n; i++)
		ok = learn_anew(l, &l->fleet.members[who.list[i]], &learned);
	load_put_int(result, "learned", learned);
	free(who.list);
	return ok;
}

bool load_cmd_get(struct load *l, const struct words *c, json_t *result)
{
	return some_members(l, c, result, GM_PLAN(GM_OP_NODE), GM_MEMBER_IN);
}

bool load_cmd_move(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose(l, load_known_group(l, load_operand(c, 1)), GM_MEMBER_IN,
	                                     (size_t)load_number(load_operand(c, 0), 1));
	if (!l->fleet.v4) {
		free(who.list);
		return load_complain(result, "move: members have no other address on IPv6");
	}
	for (size_t i = 0; i < who.n; i++)
		gm_fleet_move(&l->fleet.members[who.list[i]]);
	bool ok = who.n && load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_NODE) | GM_PLAN(GM_OP_OBSERVE));
	free(who.list);
	return ok;
}
