/* SPDX-License-Identifier: Apache-2.0 */
/* Administrators: they make, change, read, list and delete groups at /manage, over the same network as members, and are members'
 * equals otherwise: one exchange at a time, Echo, retransmission. What they were acknowledged is durable at that time. */
#include <stdlib.h>

#include "sim.h"
#include "wire/admin.h"

#define AFTER_MS 10000u /* what had no answer may be carried out that late */
#define GROUPS_LEFT 6u  /* names that stay for what is done twice, and for operators */

static struct sim_admin *admin_of(struct sim *s, unsigned i)
{
	return &s->admin[i - SIM_MEMBERS];
}

static struct gm_out payload_of(struct sim_admin *a)
{
	return gm_out(a->payload, sizeof a->payload);
}

static void say(struct sim_admin *a, uint8_t method, const char *group, struct gm_out *body)
{
	a->ask.method = method;
	snprintf(a->ask.path, sizeof a->ask.path, group ? "/manage/%s" : "/manage", group);
	a->ask.payload = body ? gm_out_result(body) : (struct gm_bytes){0};
	a->ask.content_format = body ? 261 : GM_CF_NONE;
}

static bool pick(struct sim *s, struct sim_admin *a)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < s->model.groups; i++)
		if (sim_group_free(s, i) && sim_below(&s->dice, ++n) == 0)
			a->group = i;
	if (n)
		a->serial = s->model.group[a->group].serial;
	return n > 0;
}

/* ---- maps of parameters */

static void map_changes(struct gm_admin_map *map, const struct sim_config *c, char text[static 16])
{
	map->has |= GM_ADMIN_BIT(GM_ADMIN_ACTIVE) | GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS) | GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION);
	map->active = c->active;
	map->max_stale_sets = c->max_stale_sets;
	sim_description(text, c->description);
	map->group_description = (struct gm_bytes){(const uint8_t *)text, strlen(text)};
}

static void map_params(struct gm_admin_map *map, const struct gm_group_params *p)
{
	map->has |= GM_ADMIN_BIT(GM_ADMIN_HKDF) | GM_ADMIN_MODES;
	map->hkdf = p->hkdf;
	map->group_mode = p->group_mode;
	map->pairwise_mode = p->pairwise_mode;
	if (p->group_mode) {
		map->has |= GM_ADMIN_OF_GROUP_MODE;
		map->gp_enc_alg = p->gp_enc_alg;
		map->sign_alg = p->sign_alg;
		map->sign_params = (struct gm_admin_caps){p->sign_kty, p->sign_crv};
	}
	if (p->pairwise_mode) {
		map->has |= GM_ADMIN_OF_PAIRWISE_MODE;
		map->alg = p->alg;
		map->ecdh_alg = p->ecdh_alg;
		map->ecdh_params = (struct gm_admin_caps){p->ecdh_kty, p->ecdh_crv};
	}
}

/* ---- requests, and what their good answers mean */

static bool ask_create(struct sim *s, struct sim_admin *a)
{
	struct sim_config config = {.active = true};
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_GROUP_NAME)};
	struct gm_out body = payload_of(a);
	char text[16];
	bool short_sids;

	if (s->model.groups + GROUPS_LEFT >= SIM_GROUPS)
		return false;
	config.params = sim_kind(s, &short_sids);
	config.max_stale_sets = 2 + sim_below(&s->dice, 4);
	config.description = 1 + sim_below(&s->dice, 1000);
	a->group = sim_group_new(s, &config);
	sim_group_asked(s, a->group, &config, SIM_ALWAYS);
	const char *name = s->model.group[a->group].name;
	map.group_name = (struct gm_bytes){(const uint8_t *)name, strlen(name)};
	map_params(&map, &config.params);
	map_changes(&map, &config, text);
	gm_admin_encode(&body, &map, UINT32_MAX);
	say(a, GM_COAP_POST, NULL, &body);
	return true;
}

/* Perhaps under another name than asked: its own had been taken by the same request, before a crash. */
static void created(struct sim *s, struct sim_admin *a)
{
	struct gm_admin_map map = {0};
	enum gm_admin_param at;
	char name[17];

	if (gm_admin_decode((struct gm_bytes){a->ask.body, a->ask.body_n}, &map, &at) != GM_E_OK || map.group_name.n >= sizeof name) {
		sim_fail(s, "an administrator's answer cannot be read");
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)map.group_name.n, (const char *)map.group_name.p);
	uint16_t i = sim_group_index(s, name);
	if (i == SIM_GROUPS || s->model.group[i].state == SIM_UNSURE)
		sim_fail(s, "an administrator was told that group %s is made, and it is not durable", name);
	sim_counts.admin_creations++;
}

static bool ask_change(struct sim *s, struct sim_admin *a)
{
	struct gm_admin_map map = {0};
	struct gm_out body = payload_of(a);
	char text[16];

	if (!pick(s, a))
		return false;
	struct sim_config to = s->model.group[a->group].config;
	if (sim_chance(&s->dice, 4000))
		to.active = !to.active;
	if (sim_chance(&s->dice, 4000))
		to.max_stale_sets = 2 + sim_below(&s->dice, 4);
	to.description = 1 + sim_below(&s->dice, 1000);
	sim_group_asked(s, a->group, &to, SIM_ALWAYS);
	map_changes(&map, &to, text);
	gm_admin_encode(&body, &map, UINT32_MAX);
	say(a, sim_chance(&s->dice, 5000) ? GM_COAP(0, 6) : GM_COAP(0, 7), s->model.group[a->group].name, &body);
	return true;
}

static void changed(struct sim *s, struct sim_admin *a)
{
	const struct sim_group *g = &s->model.group[a->group];

	if (g->state == SIM_IN && !sim_config_same(&g->config, &g->asked))
		sim_fail(s, "an administrator was told that group %s is changed, and it is not durable", g->name);
	sim_counts.admin_changes++;
}

static bool ask_read(struct sim *s, struct sim_admin *a)
{
	if (!pick(s, a))
		return false;
	say(a, GM_COAP_GET, s->model.group[a->group].name, NULL);
	return true;
}

static bool shows(const struct gm_admin_map *map, const struct sim_config *c)
{
	struct gm_admin_map want = {0};
	char text[16];

	map_params(&want, &c->params);
	map_changes(&want, c, text);
	for (unsigned i = 0; i < GM_ADMIN_N; i++)
		if (want.has & GM_ADMIN_BIT(i) && (c->description || i != GM_ADMIN_GROUP_DESCRIPTION) &&
		    !gm_admin_same(&want, map, (enum gm_admin_param)i))
			return false;
	return true;
}

static void read_one(struct sim *s, struct sim_admin *a)
{
	const struct sim_group *g = &s->model.group[a->group];
	struct gm_admin_map map;
	enum gm_admin_param at;

	sim_counts.admin_reads++;
	if (g->serial != a->serial || g->open_ms || g->state != SIM_IN)
		return; /* something else came in between */
	if (gm_admin_decode((struct gm_bytes){a->ask.body, a->ask.body_n}, &map, &at) != GM_E_OK || !shows(&map, &g->config))
		sim_fail(s, "an administrator reads another configuration of group %s than was acknowledged", g->name);
}

static bool ask_list(struct sim *s, struct sim_admin *a)
{
	if (!pick(s, a))
		return false;
	say(a, GM_COAP_GET, NULL, NULL);
	return true;
}

static void listed(struct sim *s, struct sim_admin *a)
{
	const struct sim_group *g = &s->model.group[a->group];
	char link[24];
	int n = snprintf(link, sizeof link, "/%s>", g->name);

	sim_counts.admin_lists++;
	if (g->state == SIM_IN && !g->ending && !memmem(a->ask.body, a->ask.body_n, link, (size_t)n))
		sim_fail(s, "the list of groups lacks %s, whose making was acknowledged", g->name);
}

static bool ask_delete(struct sim *s, struct sim_admin *a)
{
	if (sim_groups_staying(s) < 2 || !pick(s, a) || s->model.group[a->group].config.active)
		return false;
	struct sim_group *g = &s->model.group[a->group];
	sim_group_asked(s, a->group, &g->config, SIM_ALWAYS);
	g->ending = true;
	for (uint32_t i = 0; i < s->model.nodes; i++) {
		struct sim_node *n = &s->model.node[i];
		if (n->group != a->group)
			continue;
		n->state = n->state == SIM_IN ? SIM_UNSURE : n->state;
		n->unsure_at = s->model.clock;
	}
	say(a, GM_COAP(0, 4), g->name, NULL);
	return true;
}

static void deleted(struct sim *s, struct sim_admin *a)
{
	const struct sim_group *g = &s->model.group[a->group];

	if (g->state != SIM_GONE)
		sim_fail(s, "an administrator was told that group %s is deleted, and it is there", g->name);
	sim_counts.admin_deletions++;
}

static const struct row {
	const char *name;
	bool (*ask)(struct sim *s, struct sim_admin *a); /* false: not now */
	void (*good)(struct sim *s, struct sim_admin *a);
	unsigned weight;
	bool changes;
} rows[] = {
	{"create", ask_create, created, 10, true}, {"change", ask_change, changed, 45, true}, {"read", ask_read, read_one, 20, false},
	{"list", ask_list, listed, 10, false},     {"delete", ask_delete, deleted, 15, true},
};

/* ---- one after the other */

static unsigned draw(struct sim *s)
{
	unsigned sum = 0, what = 0;

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		if (sim_below(&s->dice, sum += rows[i].weight) < rows[i].weight)
			what = i;
	return what;
}

void sim_admin_act(struct sim *s, unsigned i)
{
	struct sim_admin *a = admin_of(s, i);
	struct sim_member *sm = &s->member[i];
	struct gm_member *m = &sm->m;

	sm->next_ms = sim_ms(s) + 1000 + sim_below(&s->dice, 8000);
	if (s->quiet || m->plan || m->ex.active)
		return;
	a->what = draw(s);
	sm->asked_at = ++s->model.clock;
	if (!rows[a->what].ask(s, a))
		return;
	sim_say(s, "administrator %u: %s %s", i, rows[a->what].name, s->model.group[a->group].name);
	gm_member_plan(&s->env, m, GM_PLAN(GM_OP_ASK) | (m->has_context ? 0 : GM_PLAN(GM_OP_TOKEN)));
}

/* It was refused, or nobody answered, or there was no asking it: whether it is done is seen within this time. */
static void not_told(struct sim *s, struct sim_admin *a, uint8_t code)
{
	if (rows[a->what].changes)
		s->model.group[a->group].open_ms = sim_ms(s) + AFTER_MS;
	*(code ? &sim_counts.admin_refused : &sim_counts.admin_unanswered) += 1;
}

void sim_admin_done(struct sim *s, unsigned i, enum gm_member_op op, uint8_t code)
{
	struct sim_admin *a = admin_of(s, i);
	struct sim_member *sm = &s->member[i];
	bool good = code >> 5 == 2;

	if (good) {
		sm->failures = 0;
	} else {
		sm->unanswered[sm->unanswered_at++ % 16] = sm->asked;
		if (++sm->failures >= 3 || code == GM_COAP(4, 1))
			sm->m.has_context = false;
	}
	sm->asked++;
	if (!good)
		not_told(s, a, code);
	if (!good || op != GM_OP_ASK)
		return;
	rows[a->what].good(s, a);
	if (!rows[a->what].changes)
		return;
	s->model.group[a->group].open_ms = 0;
	s->model.group[a->group].ending = false;
}

/* ---- life */

static bool hire(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];
	struct gm_addr addr;

	gm_addr_parse(&addr, "127.1.0.0:40000");
	addr.ip[15] = (uint8_t)i;
	gm_member_init(&sm->m, i, &addr, 0, 0, false);
	sm->m.ask_at_join = true;
	sm->m.ask = &admin_of(s, i)->ask;
	sm->next_ms = sim_ms(s) + sim_below(&s->dice, 20000);
	return sim_mint(s, i);
}

bool sim_admins_new(struct sim *s)
{
	bool good = true;

	s->admins_n = sim_below(&s->dice, SIM_ADMINS + 1);
	for (unsigned i = 0; i < s->admins_n; i++)
		good = good && hire(s, SIM_MEMBERS + i);
	return good;
}

void sim_admins_free(struct sim *s)
{
	for (unsigned i = 0; i < s->admins_n; i++) {
		free(s->member[SIM_MEMBERS + i].m.token);
		free(s->admin[i].ask.body);
		gm_member_clear(&s->member[SIM_MEMBERS + i].m);
	}
}

void sim_admins_rest(struct sim *s)
{
	for (unsigned i = 0; i < s->admins_n; i++) {
		struct gm_member *m = &s->member[SIM_MEMBERS + i].m;
		if (m->plan || m->ex.active)
			not_told(s, &s->admin[i], 0);
		gm_member_abort(&s->env, m);
		s->member[SIM_MEMBERS + i].next_ms = UINT64_MAX;
	}
}
