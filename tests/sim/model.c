/* SPDX-License-Identifier: Apache-2.0 */
/* What was acknowledged, to members and operators, and what follows from it. After each commit core's state is compared
 * with this; it is fed by nothing that core could have lost. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "inside.h"
#include "sim.h"

static uint64_t hash(const void *p, size_t n)
{
	static const uint8_t key[16] = "the model hashes";

	return gm_siphash(key, p, n);
}

#define GROW(array, n, cap)                                                                                            \
	((n) < (cap) ? (void)0 : (void)((array) = realloc((array), ((cap) = (cap) ? 2 * (cap) : 64) * sizeof *(array))))

void sim_model_free(struct sim *s)
{
	struct sim_model *m = &s->model;

	free(m->node);
	free(m->sid);
	free(m->life);
	free(m->keys);
	free(m->seal);
	memset(m, 0, sizeof *m);
}

/* ---- no (key, nonce) for two texts */

static void grow_seals(struct sim_model *m)
{
	struct sim_model old = *m;

	m->seals_cap = old.seals_cap ? 2 * old.seals_cap : 4096;
	m->seal = calloc(m->seals_cap, sizeof *m->seal);
	for (uint64_t i = 0; i < old.seals_cap; i++) {
		uint64_t at = old.seal[i].id & (m->seals_cap - 1);
		while (old.seal[i].id && m->seal[at].id)
			at = (at + 1) & (m->seals_cap - 1);
		if (old.seal[i].id)
			m->seal[at].id = old.seal[i].id, m->seal[at].text = old.seal[i].text;
	}
	free(old.seal);
}

void sim_model_sealed(const uint8_t *key, size_t key_n, const uint8_t *nonce, size_t nonce_n, const uint8_t *aad,
                      size_t aad_n, const uint8_t *text, size_t text_n)
{
	struct sim *s = sim_now;
	struct sim_model *m = s ? &s->model : NULL;
	uint8_t id[64];

	if (!s || !s->net)
		return;
	memcpy(id, key, key_n);
	memcpy(id + key_n, nonce, nonce_n);
	uint64_t at_id = hash(id, key_n + nonce_n) | 1, said = sim_mix(hash(aad, aad_n), hash(text, text_n));
	if (2 * m->seals >= m->seals_cap)
		grow_seals(m);
	uint64_t at = at_id & (m->seals_cap - 1);
	while (m->seal[at].id && m->seal[at].id != at_id)
		at = (at + 1) & (m->seals_cap - 1);
	if (m->seal[at].id && m->seal[at].text != said)
		sim_fail(s, "a key and a nonce protect two plaintexts");
	if (!m->seal[at].id) {
		m->seals++;
		sim_counts.seals++;
	}
	m->seal[at].id = at_id;
	m->seal[at].text = said;
}

/* ---- groups and what they are configured to be */

uint16_t sim_group_index(const struct sim *s, const char *name)
{
	for (unsigned i = 0; i < s->model.groups; i++)
		if (strcmp(s->model.group[i].name, name) == 0)
			return (uint16_t)i;
	return SIM_GROUPS;
}

unsigned sim_groups_staying(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->model.groups; i++)
		n += s->model.group[i].state == SIM_IN && !s->model.group[i].ending;
	return n;
}

void sim_description(char text[static 16], unsigned number)
{
	snprintf(text, 16, number ? "d%u" : "%.0u", number);
}

static bool same_params(const struct gm_group_params *a, const struct gm_group_params *b)
{
	return a->hkdf == b->hkdf && a->cred_fmt == b->cred_fmt && a->group_mode == b->group_mode &&
	       a->pairwise_mode == b->pairwise_mode && a->gp_enc_alg == b->gp_enc_alg && a->sign_alg == b->sign_alg &&
	       a->alg == b->alg && a->ecdh_alg == b->ecdh_alg && a->sign_kty == b->sign_kty && a->sign_crv == b->sign_crv &&
	       a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv;
}

bool sim_config_same(const struct sim_config *a, const struct sim_config *b)
{
	return same_params(&a->params, &b->params) && a->max_stale_sets == b->max_stale_sets && a->active == b->active &&
	       a->description == b->description;
}

static void name_group(struct sim *s, uint16_t i, const char *name)
{
	snprintf(s->model.group[i].name, sizeof s->model.group->name, "%s", name);
	snprintf(s->groups[i].name, sizeof s->groups->name, "%s", name);
}

uint16_t sim_group_new(struct sim *s, const struct sim_config *config)
{
	char name[16];
	uint16_t i = (uint16_t)s->model.groups;

	if (i == SIM_GROUPS)
		return SIM_GROUPS;
	s->model.groups++;
	snprintf(name, sizeof name, "g%u", i + 1u);
	name_group(s, i, name);
	s->model.group[i].state = SIM_UNSURE;
	s->model.group[i].config = s->model.group[i].asked = *config;
	return i;
}

void sim_group_asked(struct sim *s, uint16_t group, const struct sim_config *config, uint64_t until_ms)
{
	struct sim_group *g = &s->model.group[group];

	g->asked = *config;
	g->open_ms = until_ms ? until_ms : 1;
	g->serial++;
}

bool sim_group_free(const struct sim *s, uint16_t group)
{
	return s->model.group[group].state == SIM_IN && !s->model.group[group].open_ms;
}

static struct sim_config config_now(const struct sim *s, const struct gm_group_info *i)
{
	struct sim_config now = {.params = *i->params, .max_stale_sets = i->max_stale_sets, .active = i->active};
	char text[16];

	sim_inside_description(s->turns.core, i->name, text, sizeof text);
	if (text[0] == 'd')
		now.description = (unsigned)strtoul(text + 1, NULL, 10);
	return now;
}

static void see_config(struct sim *s, struct sim_group *known, const struct gm_group_info *i)
{
	struct sim_config now = config_now(s, i);

	sim_counts.config_checks++;
	if (sim_config_same(&now, &known->config))
		return;
	if (!known->open_ms || !sim_config_same(&now, &known->asked))
		sim_fail(s, "group %s is not configured as was acknowledged: active %d, stale sets %u, description %u; acknowledged: %d, %u, %u%s",
		         i->name, now.active, now.max_stale_sets, now.description, known->config.active, known->config.max_stale_sets,
		         known->config.description, same_params(&now.params, &known->config.params) ? "" : "; other algorithms");
	known->config = now;
	known->serial++;
}

/* An administrator's request was carried out into a crash and then, as it was new again, once more, under another name. */
static uint16_t see_twice(struct sim *s, const struct gm_group_info *i)
{
	struct sim_config now = config_now(s, i);
	uint16_t at = strchr(i->name, '-') ? sim_group_new(s, &now) : SIM_GROUPS;

	if (at < SIM_GROUPS) {
		sim_counts.admin_twice++;
		name_group(s, at, i->name);
	}
	return at;
}

/* ---- memberships */

uint32_t sim_node_of(struct sim *s, uint16_t group, const char *name)
{
	struct sim_model *m = &s->model;

	for (uint32_t i = m->nodes; i-- > 0;)
		if (m->node[i].group == group && strcmp(m->node[i].name, name) == 0)
			return i;
	GROW(m->node, m->nodes, m->nodes_cap);
	m->node[m->nodes] = (struct sim_node){
	    .group = group, .member = SIM_MEMBERS, .state = SIM_UNSURE, .gone_version = UINT64_MAX};
	snprintf(m->node[m->nodes].name, sizeof m->node->name, "%s", name);
	return m->nodes++;
}

/* As the member names it. One that no commit has shown came and went in one turn. */
static uint32_t node_of(struct sim *s, const struct gm_member *m)
{
	uint32_t before = s->model.nodes, at = sim_node_of(s, m->group, m->node);

	if (at == before) {
		s->model.node[at].state = SIM_GONE;
		s->model.node[at].gone_version = m->has_next ? m->next.version : m->keys.version;
	}
	return at;
}

/* An answer to a Join or a renewal has come: the member has this Sender ID. */
void sim_model_joined(struct sim *s, unsigned member, bool renewal)
{
	struct sim_member *sm = &s->member[member];
	struct gm_member *m = &sm->m;
	uint32_t at = node_of(s, m);
	struct sim_node *n = &s->model.node[at];

	if (n->member != SIM_MEMBERS && (n->member != member || n->ident != sm->idents))
		sim_fail(s, "node %s of %s was given to member %u and to member %u", n->name, s->groups[m->group].name, n->member,
		         member);
	n->member = member;
	n->ident = sm->idents;
	n->exp = sm->ident.exp;
	sm->node = at + 1;
	if (n->state == SIM_UNSURE && n->unsure_at <= sm->asked_at && !s->model.group[n->group].ending && !sm->ident.listed)
		n->state = SIM_IN; /* nothing that may end it was said since this was asked */
	n->sid_known = true;
	n->sid_n = m->sid_n;
	memcpy(n->sid, m->sid, m->sid_n);
	sim_say(s, "member %u is %s/%s with sid %02x%02x%s", member, s->groups[m->group].name, n->name, m->sid[0], m->sid[1],
	        renewal ? ", renewed" : "");
}

/* ---- Sender IDs under a Gid, and how long they live */

static struct sim_sid *sid_at(struct sim *s, const struct gm_group_info *g, const uint8_t *sid, uint8_t sid_n)
{
	struct sim_model *m = &s->model;
	uint8_t id[GM_GID_MAX + GM_SID_MAX + 2] = {g->gid_n, sid_n};

	memcpy(id + 2, g->gid, g->gid_n);
	memcpy(id + 2 + GM_GID_MAX, sid, sid_n);
	uint64_t h = hash(id, sizeof id);
	for (uint32_t i = m->sids; i-- > 0;)
		if (m->sid[i].id == h)
			return &m->sid[i];
	GROW(m->sid, m->sids, m->sids_cap);
	m->sid[m->sids] = (struct sim_sid){.id = h, .node = UINT32_MAX};
	return &m->sid[m->sids++];
}

static void sid_is(struct sim *s, const struct gm_group_info *g, uint32_t node, const struct gm_member_info *i)
{
	struct sim_sid *sid = sid_at(s, g, i->sid, i->sid_n);

	if (sid->node == UINT32_MAX)
		sid->node = node;
	else if (sid->node != node)
		sim_fail(s, "group %s version %llu: sid %02x%02x was given to node %s and to node %s under one Gid", g->name,
		         (unsigned long long)g->version, i->sid[0], i->sid[1], s->model.node[sid->node].name,
		         s->model.node[node].name);
	else if (sid->ended)
		sim_fail(s, "group %s: sid %02x%02x was given up by node %s and came back to it under one Gid", g->name, i->sid[0],
		         i->sid[1], s->model.node[node].name);
}

static void sid_was(struct sim *s, const struct gm_group_info *g, const struct sim_life *l)
{
	struct sim_sid *sid = sid_at(s, g, l->sid, l->sid_n);

	sid->ended = sid->node == l->node; /* else it ended with the Gid before */
}

static struct sim_life *life_of(struct sim *s, uint32_t node, const uint8_t *sid, uint8_t sid_n)
{
	for (uint32_t i = s->model.lives; i-- > 0;) {
		struct sim_life *l = &s->model.life[i];
		if (l->node == node && l->ended_at_most == UINT64_MAX && l->sid_n == sid_n && memcmp(l->sid, sid, sid_n) == 0)
			return l;
	}
	return NULL;
}

static void life_ends(struct sim *s, const struct gm_group_info *g, uint32_t node, const struct gm_member_info *i)
{
	for (uint32_t k = 0; k < s->model.lives; k++) {
		struct sim_life *l = &s->model.life[k];
		if (l->node != node || l->ended_at_most != UINT64_MAX || (i && l->sid_n == i->sid_n && memcmp(l->sid, i->sid, l->sid_n) == 0))
			continue;
		l->ended_at_most = g->version;
		sid_was(s, g, l);
	}
}

static void life_goes_on(struct sim *s, const struct gm_group_info *g, uint32_t node, const struct gm_member_info *i)
{
	struct sim_model *m = &s->model;

	life_ends(s, g, node, i);
	if (!i->sid_n || life_of(s, node, i->sid, i->sid_n))
		return;
	GROW(m->life, m->lives, m->lives_cap);
	m->life[m->lives] = (struct sim_life){
	    .group = m->node[node].group, .sid_n = i->sid_n, .node = node, .from = g->version, .ended_at_most = UINT64_MAX};
	memcpy(m->life[m->lives++].sid, i->sid, i->sid_n);
}

/* ---- core's state after a commit */

struct look {
	struct sim *s;
	const struct gm_group_info *g;
	uint16_t group;
};

/* Its token has ended. */
static bool excused(const struct sim *s, const struct sim_node *n)
{
	return n->exp <= s->wall_max_s;
}

/* Its Join was not answered yet. */
static void find_owner(struct sim *s, struct sim_node *n, const struct gm_member_info *i)
{
	for (unsigned k = 0; k < s->members_n; k++)
		if (memcmp(s->member[k].m.osc_id, i->osc_id, i->osc_id_n) == 0) {
			n->member = k;
			n->ident = s->member[k].idents;
			n->exp = s->member[k].ident.exp;
		}
}

static bool see_member(void *arg, const struct gm_member_info *i)
{
	struct look *l = arg;
	struct sim *s = l->s;
	uint32_t at = sim_node_of(s, l->group, i->node);
	struct sim_node *n = &s->model.node[at];

	if (n->member == SIM_MEMBERS)
		find_owner(s, n, i);
	if (n->state == SIM_GONE)
		sim_fail(s, "node %s of %s is back, though its end was acknowledged", n->name, i->group);
	if (n->member < SIM_MEMBERS && n->ident == s->member[n->member].idents && s->member[n->member].ident.revoked_at)
		sim_fail(s, "node %s of %s is there by a revoked token of member %u", n->name, i->group, n->member);
	if (n->state == SIM_IN && n->sid_known && (n->sid_n != i->sid_n || memcmp(n->sid, i->sid, n->sid_n) != 0))
		sim_fail(s, "node %s of %s has another sid than was acknowledged: %02x%02x, not %02x%02x", n->name, i->group,
		         i->sid[0], i->sid[1], n->sid[0], n->sid[1]);
	n->seen = true;
	if (i->sid_n)
		sid_is(s, l->g, at, i);
	life_goes_on(s, l->g, at, i);
	return true;
}

static void see_absent(struct sim *s, const struct gm_group_info *g, uint32_t at)
{
	struct sim_node *n = &s->model.node[at];

	if (n->state == SIM_IN && !excused(s, n))
		sim_fail(s, "node %s of %s was acknowledged to member %u and is lost", n->name, s->model.group[n->group].name,
		         n->member);
	life_ends(s, g, at, NULL);
	n->state = SIM_GONE; /* durably */
	if (n->gone_version == UINT64_MAX)
		n->gone_version = g->version;
}

static bool see_group(void *arg, const struct gm_group_info *g)
{
	struct sim *s = arg;
	struct look l = {s, g, sim_group_index(s, g->name)};

	if (l.group == SIM_GROUPS)
		l.group = see_twice(s, g);
	if (l.group == SIM_GROUPS) {
		sim_fail(s, "group %s is unknown", g->name);
		return false;
	}
	struct sim_group *known = &s->model.group[l.group];
	if (known->state == SIM_GONE)
		sim_fail(s, "group %s is back, though its end was acknowledged", g->name);
	if (g->version < known->version)
		sim_fail(s, "group %s went back from version %llu to %llu", g->name, (unsigned long long)known->version,
		         (unsigned long long)g->version);
	sim_counts.schedule_rekeys += g->version > known->version && strcmp(g->last_reason, "schedule") == 0;
	known->version = g->version;
	known->seen = true;
	see_config(s, known, g);
	for (uint32_t i = 0; i < s->model.nodes; i++)
		s->model.node[i].seen = s->model.node[i].group == l.group ? false : s->model.node[i].seen;
	(void)!gm_core_members(s->turns.core, g->name, NULL, UINT32_MAX, see_member, &l);
	for (uint32_t i = 0; i < s->model.nodes && !s->fault[0]; i++)
		if (s->model.node[i].group == l.group && !s->model.node[i].seen)
			see_absent(s, g, i);
	return !s->fault[0];
}

static void group_is(struct sim *s, unsigned i, enum sim_state state)
{
	s->model.group[i].state = state;
	for (uint32_t n = 0; n < s->model.nodes; n++)
		if (s->model.node[n].group == i && state == SIM_GONE)
			s->model.node[n].state = SIM_GONE;
}

static void settle_group(struct sim *s, unsigned i)
{
	struct sim_group *g = &s->model.group[i];
	bool open = g->open_ms > sim_ms(s);

	if (g->state == SIM_IN && !g->seen && !g->ending)
		sim_fail(s, "group %s was acknowledged and is lost", g->name);
	if (g->state == SIM_IN && !g->seen)
		group_is(s, i, SIM_GONE);
	if (g->state == SIM_UNSURE && (g->seen || !open)) /* nobody had an answer; now it is known */
		group_is(s, i, g->seen ? SIM_IN : SIM_GONE);
	if (!open) {
		g->open_ms = 0;
		g->ending = false;
	}
}

/* What gmd has read on a list is known from now on. */
static void see_revoked(struct sim *s, unsigned member)
{
	struct sim_ident *i = &s->member[member].ident;

	if (i->listed && !i->revoked_at && sim_as_revoked(s, i)) {
		i->revoked_at = ++s->model.clock;
		sim_counts.as_heard++;
		sim_say(s, "gmd knows that the token of member %u is revoked", member);
	}
	if (i->revoked_at && i->exp > s->wall_max_s && !sim_as_revoked(s, i))
		sim_fail(s, "that the token of member %u is revoked was known and is lost", member);
}

void sim_model_committed(struct sim *s)
{
	for (unsigned i = 0; i < s->model.groups; i++)
		s->model.group[i].seen = false;
	(void)!gm_core_groups(s->turns.core, NULL, see_group, s);
	for (unsigned i = 0; i < s->model.groups && !s->fault[0]; i++)
		settle_group(s, i);
	for (unsigned i = 0; i < s->members_n && !s->fault[0]; i++)
		see_revoked(s, i);
	sim_schedules_check(s);
}

/* ---- a member has new keys */

static void one_key_per_version(struct sim *s, const struct gm_member *m)
{
	struct sim_model *o = &s->model;
	uint64_t id = sim_mix(m->group, m->keys.version);
	uint64_t h = sim_mix(hash(m->keys.ms, m->keys.ms_n), sim_mix(hash(m->keys.gid, m->keys.gid_n), hash(m->keys.salt, m->keys.salt_n)));

	for (uint32_t i = 0; i < o->keys_n; i++) {
		if (o->keys[i].id == id && o->keys[i].hash != h)
			sim_fail(s, "group %s: two sets of keys under version %llu", s->groups[m->group].name,
			         (unsigned long long)m->keys.version);
		if (o->keys[i].id == id)
			return;
		if (o->keys[i].hash == h)
			sim_fail(s, "group %s: the keys of version %llu are those of another", s->groups[m->group].name,
			         (unsigned long long)m->keys.version);
	}
	GROW(o->keys, o->keys_n, o->keys_cap);
	o->keys[o->keys_n].id = id;
	o->keys[o->keys_n++].hash = h;
}

/* Whom a member still knows at this version was in the group at it, or later. */
static void no_stale_peers(struct sim *s, const struct gm_member *m)
{
	for (uint32_t p = 0; p < m->peers_n; p++) {
		const struct gm_member_peer *peer = &m->peers[p];
		bool known = false, good = false;
		for (uint32_t i = 0; i < s->model.lives && !good; i++) {
			const struct sim_life *l = &s->model.life[i];
			if (l->group != m->group || l->sid_n != peer->sid_n || memcmp(l->sid, peer->sid, l->sid_n) != 0)
				continue;
			known = true;
			good = l->ended_at_most >= m->keys.version;
		}
		sim_counts.stale_checks++;
		if (known && !good)
			sim_fail(s, "member %u has version %llu of %s and was not told that sid %02x%02x is stale", m->index,
			         (unsigned long long)m->keys.version, s->groups[m->group].name, peer->sid[0], peer->sid[1]);
	}
}

/* Some membership of this identity lasted until these keys. */
static void may_know(struct sim *s, unsigned member)
{
	const struct sim_member *sm = &s->member[member];
	uint64_t until = s->model.node[node_of(s, &sm->m)].gone_version;

	for (uint32_t i = 0; i < s->model.nodes; i++) {
		const struct sim_node *n = &s->model.node[i];
		if (n->member == member && n->ident == sm->idents && n->group == sm->m.group && n->gone_version > until)
			until = n->gone_version;
	}
	sim_counts.blind_checks += until != UINT64_MAX;
	if (until < sm->m.keys.version)
		sim_fail(s, "member %u went at version %llu of %s and has the keys of %llu", member, (unsigned long long)until,
		         s->groups[sm->m.group].name, (unsigned long long)sm->m.keys.version);
}

void sim_model_installed(struct sim *s, unsigned member)
{
	const struct gm_member *m = &s->member[member].m;

	sim_counts.installs++;
	sim_say(s, "member %u has version %llu of %s by %s and knows %u peers", member, (unsigned long long)m->keys.version,
	        s->groups[m->group].name, (const char *const[]){"join", "post", "observe", "poll"}[m->how], m->peers_n);
	may_know(s, member);
	if (m->keys.version > s->model.group[m->group].version)
		sim_fail(s, "member %u has version %llu of %s, which is not durable", member, (unsigned long long)m->keys.version,
		         s->groups[m->group].name);
	one_key_per_version(s, m);
	no_stale_peers(s, m);
}
