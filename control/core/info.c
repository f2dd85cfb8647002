/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator may read, and the rekey command. */
#include "core/config_change.h"
#include "gm/crypto.h"

#include <stdio.h>
#include <stdlib.h>

static struct gm_group *named(const struct gm_core *c, const char *name)
{
	return gm_groups_find(c, (struct gm_bytes){(const uint8_t *)name, strlen(name)});
}

enum gm_err gm_core_rekey(struct gm_core *core, struct gm_txn *txn, const char *group, bool compromised)
{
	struct gm_turn t = {core, txn};
	struct gm_group *g = named(core, group);

	if (!g)
		return GM_E_UNKNOWN;
	if (g->members == 0)
		gm_plan_step(&t, g, compromised ? GM_REASON_COMPROMISE : GM_REASON_OPERATOR);
	else
		gm_plan_ask(&t, g, compromised ? GM_REASON_COMPROMISE : GM_REASON_OPERATOR,
		            compromised ? GM_HASTE_SUPERSEDE : GM_HASTE_NOW);
	gm_core_due(&t);
	return GM_E_OK;
}

void gm_core_status(const struct gm_core *core, struct gm_core_status *status)
{
	*status = core->count;
	status->members = core->members.used;
	status->contexts = core->assocs.used;
	status->bars = core->bars.used;
	status->revoked = core->revoked.used;
	status->ases = core->ases_n;
	for (uint32_t i = 0; i < core->groups_n; i++) {
		const struct gm_group *g = core->groups[i];
		status->rekeys_pending += g && g->reason != GM_REASON_NONE;
		status->rekeys_running += g && g->distributing && !gm_pause_holds(g);
		status->rekeys_paused += g && g->distributing && gm_pause_holds(g);
	}
}

static struct gm_group_info group_info(const struct gm_group *g)
{
	struct gm_group_info info = {
	    .name = g->spec.name,
	    .index = g->index,
	    .members = g->members,
	    .max_members = g->spec.max_members,
	    .version = g->version,
	    .gid_n = g->gid_n,
	    .sid_len = g->sid_len,
	    .active = g->spec.active,
	    .params = &g->spec.params,
	    .backward = g->spec.backward,
	    .max_stale_sets = g->spec.max_stale_sets,
	    .stale_sets = (unsigned)(g->version - g->stale_first + 1),
	    .stale_now = gm_stale_of(g, g->version)->n,
	    .rekey_every_s = g->spec.rekey_every_s,
	    .key_lifetime_s = g->spec.key_lifetime_s,
	    .exp = g->exp,
	    .created = g->created,
	    .last_rekey = g->last_rekey,
	    .last_reason = gm_reason_text(g->last_reason),
	    .confirmed = g->confirmed,
	    .late = g->late,
	    .waiting = g->waiting,
	    .state = g->distributing               ? (gm_pause_holds(g) ? "paused" : "distributing")
	             : g->reason != GM_REASON_NONE ? "pending"
	                                           : "idle",
	};

	info.shown = info.active ? info.state : "inactive";
	memcpy(info.gid, g->gid, sizeof(info.gid));
	return info;
}

static bool show_group(const struct gm_group *g, bool (*each)(void *arg, const struct gm_group_info *info), void *arg)
{
	struct gm_group_info info = group_info(g);

	return each(arg, &info);
}

enum gm_err gm_core_groups(const struct gm_core *core, const char *group,
                           bool (*each)(void *arg, const struct gm_group_info *info), void *arg)
{
	const struct gm_group *only = group ? named(core, group) : NULL;

	if (group && !only)
		return GM_E_UNKNOWN;
	if (only)
		show_group(only, each, arg);
	else
		gm_core_groups_behind(core, UINT32_MAX, each, arg);
	return GM_E_OK;
}

void gm_core_groups_behind(const struct gm_core *core, uint32_t after, bool (*each)(void *arg, const struct gm_group_info *info), void *arg)
{
	for (uint32_t i = after + 1; i < core->groups_n; i++) /* behind UINT32_MAX is 0 */
		if (core->groups[i] && !show_group(core->groups[i], each, arg))
			return;
}

static struct gm_member_info member_info(const struct gm_core *c, const struct gm_group *g, const struct gm_member *m)
{
	const struct gm_ident *ident = gm_ident_at(c, m->ident);
	const struct gm_assoc *a = gm_assoc_at(c, ident->assoc);
	const struct gm_as *as = gm_as_find(c, ident->as_id);
	struct gm_member_info info = {
	    .group = g->spec.name,
	    .node = m->node,
	    .as = as ? as->spec.name : "",
	    .slot = m->slot,
	    .sid_n = m->sid_n,
	    .osc_id_n = ident->osc_id_n,
	    .roles = m->roles,
	    .delivery = gm_members_delivery(m),
	    .joined = m->joined,
	    .version = m->version,
	    .late = gm_members_late(g, m),
	    .as_id = ident->as_id,
	    .id = m->self,
	};

	memcpy(info.sid, m->sid, m->sid_n);
	memcpy(info.osc_id, gm_ident_osc_id(c, ident).p, ident->osc_id_n);
	if (a) {
		info.peer = a->save.peer;
		info.token_exp = a->exp;
		info.ctx = a->save.id;
	}
	return info;
}

static bool show_member(const struct gm_core *c, const struct gm_group *g, const struct gm_member *m,
                        bool (*each)(void *arg, const struct gm_member_info *info), void *arg)
{
	struct gm_member_info info = member_info(c, g, m);

	return each(arg, &info);
}

static bool each_member(const struct gm_core *c, const struct gm_group *g, const char *node, uint32_t after,
                        bool (*each)(void *arg, const struct gm_member_info *info), void *arg)
{
	const struct gm_member *m;

	if (node) {
		m = gm_groups_node(c, g, (struct gm_bytes){(const uint8_t *)node, strlen(node)});
		return !m || show_member(c, g, m, each, arg);
	}
	for (uint32_t slot = after == UINT32_MAX ? 0 : after + 1; slot < g->slots_n; slot++) {
		m = gm_groups_slot(c, g, slot);
		if (m && !show_member(c, g, m, each, arg))
			return false;
	}
	return true;
}

enum gm_err gm_core_members(const struct gm_core *core, const char *group, const char *node, uint32_t after,
                            bool (*each)(void *arg, const struct gm_member_info *info), void *arg)
{
	const struct gm_group *only = group ? named(core, group) : NULL;

	if (group && !only)
		return GM_E_UNKNOWN;
	if (only)
		each_member(core, only, node, after, each, arg);
	for (uint32_t i = 0; !only && i < core->groups_n; i++)
		if (core->groups[i] && !each_member(core, core->groups[i], node, after, each, arg))
			break;
	return GM_E_OK;
}

static int by_place(const void *a, const void *b)
{
	const struct gm_member *x = *(const struct gm_member *const *)a, *y = *(const struct gm_member *const *)b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

void gm_core_device_members(const struct gm_core *core, const char *device,
                            bool (*each)(void *arg, const struct gm_member_info *info), void *arg)
{
	uint32_t *idents;
	unsigned n = gm_evict_idents(core, device, &idents), found = 0, cap = 0;
	const struct gm_member **of = NULL, *m;

	for (unsigned i = 0; i < n; i++) {
		for (uint32_t id = gm_ident_at(core, idents[i])->members; id; id = m->next) {
			if (found == cap)
				of = gm_must_alloc(of, (cap = cap ? 2 * cap : 16) * sizeof(struct gm_member *));
			of[found++] = m = gm_slab_at(&core->members, id);
		}
	}
	if (found)
		qsort(of, found, sizeof(struct gm_member *), by_place);
	for (unsigned i = 0; i < found && show_member(core, gm_groups_at(core, of[i]->group), of[i], each, arg); i++)
		;
	free(of);
	free(idents);
}

bool gm_core_cred_hash(const struct gm_core *core, const struct gm_member_info *info, uint8_t hash[static GM_CRED_HASH])
{
	struct gm_bytes cred = gm_members_cred(core, gm_slab_at(&core->members, info->id));

	if (cred.n)
		gm_sha256(hash, cred.p, cred.n);
	return cred.n > 0;
}

void gm_core_ases(const struct gm_core *core, bool (*each)(void *arg, const struct gm_as_info *info), void *arg)
{
	for (unsigned i = 0; i < core->ases_n; i++) {
		const struct gm_as *as = &core->ases[i];
		struct gm_as_info info = {.name = as->spec.name,
		                          .issuer = as->spec.issuer,
		                          .uri = as->spec.uri,
		                          .id = as->id,
		                          .alg = as->spec.key.alg,
		                          .kid_n = as->spec.key.kid_n,
		                          .has_link = as->spec.link.ms_n > 0,
		                          .loose = as->spec.loose,
		                          .peer = as->spec.link.peer,
		                          .introspect = as->spec.introspect,
		                          .trl = as->spec.trl,
		                          .asked = as->asked,
		                          .answered = as->answered,
		                          .failed = as->failed,
		                          .answered_at = as->answered_at,
		                          .trl_every_s = as->spec.trl_every_s};
		gm_trl_info(as, &info);
		memcpy(info.kid, as->spec.key.kid, sizeof(info.kid));
		if (!each(arg, &info))
			break;
	}
}

/* ---- tokens */

static void add_groups(const struct gm_core *c, const struct gm_ident *ident, struct gm_token_info *info)
{
	size_t at = 0;

	for (uint32_t id = ident->members; id; id = ((const struct gm_member *)gm_slab_at(&c->members, id))->next) {
		const struct gm_member *m = gm_slab_at(&c->members, id);
		info->more = info->memberships == GM_TOKEN_COUNTED;
		if (info->more)
			return;
		const char *name = gm_groups_at(c, m->group)->spec.name;
		info->memberships++;
		if (at + strlen(name) + 2 < sizeof(info->groups))
			at += (size_t)snprintf(info->groups + at, sizeof(info->groups) - at, "%s%s", at ? " " : "", name);
	}
}

static struct gm_token_info token_info(const struct gm_core *c, const struct gm_assoc *a, uint32_t place)
{
	const struct gm_ident *ident = gm_ident_at(c, a->ident);
	const struct gm_as *as = gm_as_find(c, ident->as_id);
	struct gm_token_info info = {.as = as ? as->spec.name : "",
	                             .place = place,
	                             .as_id = ident->as_id,
	                             .osc_id_n = ident->osc_id_n,
	                             .hash = a->hash,
	                             .peer = a->save.peer,
	                             .exp = a->exp,
	                             .member = ident->members};

	memcpy(info.osc_id, gm_ident_osc_id(c, ident).p, ident->osc_id_n);
	add_groups(c, ident, &info);
	return info;
}

#define SLOTS 65536u /* of a shard */

void gm_core_tokens(const struct gm_core *c, uint32_t after, bool (*each)(void *arg, const struct gm_token_info *info), void *arg)
{
	uint32_t place = after == UINT32_MAX ? 0 : after + 1;

	for (; place / SLOTS < GM_SHARDS; place = (place / SLOTS + 1) * SLOTS) {
		const uint32_t shard = place / SLOTS;
		for (uint32_t slot = place % SLOTS; slot < c->ctx_cap[shard] && slot < SLOTS; slot++) {
			const struct gm_assoc *a = gm_assoc_at(c, c->ctx[shard][slot]);
			if (!a || a->closing)
				continue;
			struct gm_token_info info = token_info(c, a, shard * SLOTS + slot);
			if (!each(arg, &info))
				return;
		}
	}
}

/* ---- memory */

static size_t map_bytes(const struct gm_map *m)
{
	return (size_t)m->cap * sizeof(*m->at);
}

static void add_group(struct gm_core_memory *memory, const struct gm_group *g)
{
	memory->maps += map_bytes(&g->sids) + map_bytes(&g->returning) + map_bytes(&g->held.idents) + map_bytes(&g->behind.idents);
	memory->places += g->slots_cap * sizeof(*g->slots);
	memory->groups += g->spec.max_stale_sets * sizeof(*g->stale) + (g->about ? sizeof(*g->about) : 0);
	for (uint64_t v = g->stale_first; g->stale && v <= g->version; v++)
		memory->groups += (size_t)gm_stale_of(g, v)->cap * g->sid_len;
}

void gm_core_memory(const struct gm_core *c, struct gm_core_memory *memory)
{
	*memory = (struct gm_core_memory){
	    .tokens = gm_slab_bytes(&c->assocs),
	    .clients = gm_slab_bytes(&c->idents) + gm_slab_bytes(&c->bars) + gm_slab_bytes(&c->seen) + gm_slab_bytes(&c->revoked),
	    .members = gm_slab_bytes(&c->members) + gm_devices_bytes(c),
	    .texts = gm_pool_bytes(&c->texts) + gm_words_bytes(c->words),
	    .maps = map_bytes(&c->ident_map) + map_bytes(&c->name_map) + map_bytes(&c->gid_map) + map_bytes(&c->seen_map) +
	            map_bytes(&c->revoked_map) + map_bytes(&c->hash_map),
	    .timers = (c->wall.cap + (size_t)c->mono.cap) * sizeof(*c->wall.at),
	    .groups = gm_slab_bytes(&c->group_mem) + c->groups_cap * sizeof(*c->groups),
	};
	for (unsigned shard = 0; shard < GM_SHARDS; shard++)
		memory->places += c->ctx_cap[shard] * sizeof(*c->ctx[shard]);
	for (uint32_t i = 0; i < c->groups_n; i++)
		if (c->groups[i])
			add_group(memory, c->groups[i]);
}
