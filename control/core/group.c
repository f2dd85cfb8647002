/* SPDX-License-Identifier: Apache-2.0 */
#include "core/audit.h"
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/params.h"
#include "wire/proof.h"

#include <stdlib.h>

struct gm_group_spec gm_group_spec_default(void)
{
	return (struct gm_group_spec){
	    .params = gm_group_params_default(),
	    .max_members = GM_MEMBERS_SID_2,
	    .max_stale_sets = 16,
	    .backward = GM_BACKWARD_OFF,
	    .key_lifetime_s = 7 * 86400,
	    .active = true,
	};
}

struct gm_group *gm_groups_at(const struct gm_core *c, uint32_t index)
{
	return index < c->groups_n ? c->groups[index] : NULL;
}

struct name {
	const struct gm_core *core;
	struct gm_bytes text;
};

static bool same_name(const void *arg, uint32_t value)
{
	const struct name *name = arg;
	const struct gm_group *g = gm_there(gm_groups_at(name->core, value - 1)); /* what has no group leaves the map */

	return gm_bytes_is(name->text, g->spec.name);
}

static uint32_t name_key(const struct gm_core *c, struct gm_bytes name)
{
	return (uint32_t)gm_siphash(c->hash_key, name.p, name.n);
}

struct gm_group *gm_groups_find(const struct gm_core *c, struct gm_bytes text)
{
	struct name name = {c, text};

	if (text.n == 0)
		return NULL;
	uint32_t place = gm_map_find(&c->name_map, name_key(c, text), same_name, &name);
	return place ? c->groups[place - 1] : NULL;
}

/* ---- by Gid. Its first bytes stay with a group, the last four are an epoch that moves at each rekey. */

#define EPOCH 4u

static uint32_t gid_key(const uint8_t *gid, size_t n)
{
	uint32_t key = 0;

	for (size_t i = 0; i < 3 && i + EPOCH < n; i++)
		key = key << 8 | gid[i];
	return key;
}

static bool same_gid(const void *arg, uint32_t value)
{
	const struct name *gid = arg;
	const struct gm_group *g = gm_groups_at(gid->core, value - 1);

	return gm_bytes_eq(gid->text, (struct gm_bytes){g->gid, g->gid_n});
}

struct gm_group *gm_groups_by_gid(const struct gm_core *c, struct gm_bytes gid)
{
	struct name name = {c, gid};

	if (gid.n <= EPOCH)
		return NULL;
	uint32_t place = gm_map_find(&c->gid_map, gid_key(gid.p, gid.n), same_gid, &name);
	return place ? c->groups[place - 1] : NULL;
}

void gm_groups_has_gid(struct gm_core *c, const struct gm_group *g)
{
	gm_map_add(&c->gid_map, gid_key(g->gid, g->gid_n), g->index + 1);
}

/* ---- places */

static void name_is(struct gm_core *c, struct gm_group *g, const char *name)
{
	memcpy(g->spec.name, name, strlen(name) + 1);
	gm_map_add(&c->name_map, name_key(c, (struct gm_bytes){(const uint8_t *)name, strlen(name)}), g->index + 1);
}

struct gm_group *gm_groups_link(struct gm_core *c, uint32_t index, const char *name)
{
	uint32_t id = gm_must_get(&c->group_mem);
	struct gm_group *g = gm_slab_at(&c->group_mem, id);

	if (index >= c->groups_cap) {
		uint32_t cap = c->groups_cap ? c->groups_cap : 16;
		while (cap <= index)
			cap *= 2;
		c->groups = gm_must_alloc(c->groups, cap * sizeof(struct gm_group *));
		memset(c->groups + c->groups_cap, 0, (cap - c->groups_cap) * sizeof(struct gm_group *));
		c->groups_cap = cap;
	}
	g->self = id;
	g->index = index;
	c->groups[index] = g;
	if (index >= c->groups_n)
		c->groups_n = index + 1;
	name_is(c, g, name);
	c->count.groups++;
	return g;
}

void gm_groups_unlink(struct gm_core *c, struct gm_group *g)
{
	struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};

	gm_map_remove(&c->name_map, name_key(c, name), g->index + 1);
	gm_map_remove(&c->gid_map, gid_key(g->gid, g->gid_n), g->index + 1);
	gm_timer_stop(&c->wall, &g->keys);
	gm_timer_stop(&c->mono, &g->rekey);
	gm_timer_stop(&c->mono, &g->first);
	gm_timer_stop(&c->mono, &g->active);
	gm_wait_answer(NULL, gm_wait_take(&g->held), GM_WAITED_REKEY);
	gm_wait_answer(NULL, gm_wait_take(&g->behind), GM_WAITED_REJOINS);
	for (uint64_t v = g->stale_first; g->stale && v <= g->version; v++)
		free(gm_stale_of(g, v)->sids);
	free(g->stale);
	free(g->slots);
	free(g->about);
	gm_map_free(&g->sids);
	gm_map_free(&g->returning);
	c->groups[g->index] = NULL;
	c->groups_free = g->index < c->groups_free ? g->index : c->groups_free;
	c->count.groups--;
	gm_slab_put(&c->group_mem, g->self);
}

void gm_groups_unload(struct gm_core *c, struct gm_group *g)
{
	const struct gm_stale_set *now = gm_stale_of(g, g->version);
	struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};

	for (uint32_t i = 0; i < now->n; i++)
		gm_map_remove(&g->sids, gm_sid_key(now->sids + (size_t)i * g->sid_len, g->sid_len), GM_SID_BURNED);
	for (uint64_t v = g->stale_first; v <= g->version; v++)
		free(gm_stale_of(g, v)->sids);
	free(g->stale);
	g->stale = NULL;
	free(g->about);
	g->about = NULL;
	gm_map_remove(&c->name_map, name_key(c, name), g->index + 1);
	gm_map_remove(&c->gid_map, gid_key(g->gid, g->gid_n), g->index + 1);
}

struct gm_group *gm_groups_load(struct gm_core *c, uint32_t index, const char *name)
{
	struct gm_group *g = gm_groups_at(c, index);

	if (!g)
		return gm_groups_link(c, index, name);
	if (g->stale)
		return NULL;
	name_is(c, g, name);
	return g;
}

uint8_t gm_core_sid_len(unsigned max_members)
{
	return max_members <= GM_MEMBERS_SID_1 ? 1 : max_members <= GM_MEMBERS_SID_2 ? 2 : 3;
}

/* ---- slots: free ones are handed out first in, first out, so that a slot rests before it is used again */

struct gm_member *gm_groups_slot(const struct gm_core *c, const struct gm_group *g, uint32_t slot)
{
	if (slot >= g->slots_n || g->slots[slot] == 0 || (g->slots[slot] & GM_SLOT_FREE))
		return NULL;
	return gm_slab_at(&c->members, g->slots[slot]);
}

static void slots_reach(struct gm_group *g, uint32_t n)
{
	if (n > g->slots_cap) {
		uint32_t cap = g->slots_cap ? g->slots_cap : 16;
		while (cap < n)
			cap += cap / 2;
		g->slots = gm_must_alloc(g->slots, cap * sizeof(*g->slots));
		g->slots_cap = cap;
	}
	while (g->slots_n < n)
		g->slots[g->slots_n++] = 0;
}

static void slot_to_free(struct gm_group *g, uint32_t slot)
{
	g->slots[slot] = GM_SLOT_FREE;
	if (g->free_last)
		g->slots[g->free_last - 1] = GM_SLOT_FREE | (slot + 1);
	else
		g->free_first = slot + 1;
	g->free_last = slot + 1;
}

uint32_t gm_groups_free_slot(struct gm_group *g)
{
	if (!g->free_first) {
		slots_reach(g, g->slots_n + 1);
		return g->slots_n - 1;
	}
	uint32_t slot = g->free_first - 1;
	g->free_first = g->slots[slot] & ~GM_SLOT_FREE;
	if (!g->free_first)
		g->free_last = 0;
	g->slots[slot] = 0;
	return slot;
}

void gm_groups_slots_done(struct gm_group *g)
{
	while (g->slots_n && g->slots[g->slots_n - 1] == 0) /* of one that was unloaded */
		g->slots_n--;
	for (uint32_t i = 0; i < g->slots_n; i++)
		if (g->slots[i] == 0)
			slot_to_free(g, i);
}

struct gm_member *gm_groups_member_new(struct gm_core *c, struct gm_group *g, uint32_t slot)
{
	uint32_t id = gm_must_get(&c->members);
	struct gm_member *m = gm_slab_at(&c->members, id);

	m->self = id;
	m->group = g->index;
	m->slot = slot;
	slots_reach(g, slot + 1);
	g->slots[slot] = id;
	g->members++;
	return m;
}

void gm_groups_member_free(struct gm_core *c, struct gm_member *m)
{
	uint32_t slot = m->slot;
	struct gm_group *g = gm_groups_at(c, m->group);

	gm_groups_member_unload(c, m);
	slot_to_free(g, slot);
}

void gm_groups_member_unload(struct gm_core *c, struct gm_member *m)
{
	struct gm_group *g = gm_groups_at(c, m->group);

	g->slots[m->slot] = 0;
	g->members--;
	gm_pool_put(&c->texts, m->text);
	gm_words_drop(c->words, m->cred, m->cred_n);
	gm_pool_put(&c->texts, m->obs);
	gm_slab_put(&c->members, m->self);
}

/* Node names are the base64url form of slot (3 bytes) and three random bytes. */
static int base64url_value(uint8_t ch)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = ch ? strchr(digits, ch) : NULL;

	return at ? (int)(at - digits) : -1;
}

struct gm_member *gm_groups_node(const struct gm_core *c, const struct gm_group *g, struct gm_bytes node)
{
	uint32_t slot = 0;

	if (node.n != GM_NODE_NAME)
		return NULL;
	for (unsigned i = 0; i < 4; i++) {
		int v = base64url_value(node.p[i]);
		if (v < 0)
			return NULL;
		slot = slot << 6 | (uint32_t)v;
	}
	struct gm_member *m = gm_groups_slot(c, g, slot);
	return m && gm_bytes_is(node, m->node) ? m : NULL;
}

/* ---- commands */

bool gm_groups_name_usable(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@";
	size_t n = strnlen(name, GM_GROUP_NAME_MAX + 1);

	return n > 0 && n <= GM_GROUP_NAME_MAX && strspn(name, allowed) == n && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool spec_usable(const struct gm_group_spec *s)
{
	return gm_groups_name_usable(s->name) && s->max_members >= 1 && s->max_members <= GM_SLOT_MAX / 2 &&
	       s->max_stale_sets >= 2 && s->max_stale_sets <= GM_STALE_SETS_MAX && s->backward <= GM_BACKWARD_EACH &&
	       s->key_lifetime_s >= 60 && (s->rekey_every_s == 0 || s->rekey_every_s >= 10) &&
	       !gm_params_check(&s->params, gm_core_sid_len(s->max_members));
}

#define PREFIX 3u

static bool prefix_taken(const struct gm_core *c, const uint8_t prefix[static PREFIX])
{
	return gm_map_find(&c->gid_map, gid_key(prefix, PREFIX + EPOCH), NULL, NULL) != GM_MAP_NONE;
}

static enum gm_err new_keys(struct gm_txn *txn, const struct gm_group_params *params, struct gm_group_keys *keys)
{
	struct gm_key_pair kdc;
	struct gm_out cred = gm_out(keys->cred, sizeof(keys->cred));

	keys->of = *params;
	gm_dice(txn, keys->seed, sizeof(keys->seed));
	enum gm_err err = gm_key_pair_make(&kdc, params, keys->seed);
	if (err == GM_E_OK)
		err = gm_own_cred_encode(&cred, params, &kdc, txn->wall_s);
	gm_wipe(&kdc, sizeof(kdc));
	keys->cred_n = (uint16_t)gm_out_len(&cred);
	return err;
}

static void take_keys(struct gm_group *g, const struct gm_group_keys *keys)
{
	memcpy(g->kdc_seed, keys->seed, sizeof(g->kdc_seed));
	memcpy(g->kdc_cred, keys->cred, keys->cred_n);
	g->kdc_cred_n = keys->cred_n;
}

enum gm_err gm_groups_new_credential(struct gm_turn *t, struct gm_group *g)
{
	struct gm_group_keys keys;
	enum gm_err err = new_keys(t->txn, &g->spec.params, &keys);

	if (err == GM_E_OK)
		take_keys(g, &keys);
	gm_wipe(&keys, sizeof(keys));
	return err;
}

static bool fit(const struct gm_group_keys *keys, const struct gm_group *g)
{
	const struct gm_group_params *a = keys ? &keys->of : NULL, *b = &g->spec.params;

	return a && a->cred_fmt == b->cred_fmt && a->group_mode == b->group_mode && a->pairwise_mode == b->pairwise_mode &&
	       a->sign_alg == b->sign_alg && a->sign_kty == b->sign_kty && a->sign_crv == b->sign_crv && a->ecdh_alg == b->ecdh_alg &&
	       a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv;
}

static enum gm_err first_keys(struct gm_turn *t, struct gm_group *g, const struct gm_group_keys *keys)
{
	uint8_t prefix[PREFIX];

	do
		gm_dice(t->txn, prefix, sizeof(prefix));
	while (prefix_taken(t->core, prefix));
	memcpy(g->gid, prefix, sizeof(prefix));
	g->gid_n = PREFIX + EPOCH;
	gm_groups_has_gid(t->core, g);
	gm_dice(t->txn, g->ms, sizeof(g->ms));
	gm_dice(t->txn, g->salt, sizeof(g->salt));
	if (!fit(keys, g))
		return gm_groups_new_credential(t, g);
	take_keys(g, keys);
	return GM_E_OK;
}

static uint32_t free_index(struct gm_core *c)
{
	while (gm_groups_at(c, c->groups_free))
		c->groups_free++;
	return c->groups_free;
}

static void audit(struct gm_turn *t, const char *event, const struct gm_group *g)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, event);
	gm_audit_group(&a, g);
	gm_audit_keys(&a, g);
	gm_audit_uint(&a, "members", g->members);
	gm_audit_end(&a, t->txn);
}

enum gm_err gm_core_group_keys(struct gm_txn *txn, const struct gm_group_spec *spec, struct gm_group_keys *keys)
{
	struct gm_group_params params = spec->params;

	gm_params_complete(&params);
	return new_keys(txn, &params, keys);
}

enum gm_err gm_core_group_create(struct gm_core *core, struct gm_txn *txn, const struct gm_group_spec *spec)
{
	return gm_core_group_create_with(core, txn, spec, NULL);
}

enum gm_err gm_core_group_create_with(struct gm_core *core, struct gm_txn *txn, const struct gm_group_spec *spec,
                                      const struct gm_group_keys *keys)
{
	struct gm_turn t = {core, txn};

	struct gm_group_spec whole = *spec;

	gm_params_complete(&whole.params);
	if (!spec_usable(&whole))
		return GM_E_USAGE;
	if (gm_groups_find(core, (struct gm_bytes){(const uint8_t *)spec->name, strlen(spec->name)}))
		return GM_E_EXISTS;
	if (txn->disk_low)
		return GM_E_DISK_FULL;
	uint32_t index = free_index(core);
	if (index >= core->config.groups_max || index >= GM_GROUP_INDEX_MAX)
		return GM_E_FULL;
	struct gm_group *g = gm_groups_link(core, index, spec->name);
	g->spec = whole;
	gm_dice(txn, &g->gen, sizeof(g->gen)); /* a group made later in the same place must differ */
	g->gen = (g->gen & 0x7fffffffu) + 1;
	g->sid_len = gm_core_sid_len(spec->max_members);
	g->created = g->last_rekey = txn->wall_s;
	g->exp = txn->wall_s + spec->key_lifetime_s;
	g->check_interval = 3600;
	g->stale = gm_must_alloc(NULL, spec->max_stale_sets * sizeof(*g->stale));
	memset(g->stale, 0, spec->max_stale_sets * sizeof(*g->stale));
	enum gm_err err = first_keys(&t, g, keys);
	if (err != GM_E_OK) {
		gm_groups_unlink(core, g);
		return err;
	}
	gm_record_put_group(&t, g);
	gm_tell_group(&t, g, false);
	gm_plan_arm_keys(core, g);
	gm_core_log(core, "group.create group=%s index=%u", g->spec.name, g->index);
	audit(&t, "group-created", g);
	return GM_E_OK;
}

enum gm_err gm_core_group_delete(struct gm_core *core, struct gm_txn *txn, const char *name)
{
	struct gm_turn t = {core, txn};
	struct gm_group *g = gm_groups_find(core, (struct gm_bytes){(const uint8_t *)name, strlen(name)});

	if (!g)
		return GM_E_UNKNOWN;
	gm_core_log(core, "group.delete group=%s members=%u", g->spec.name, g->members);
	audit(&t, "group-deleted", g);
	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		struct gm_member *m = gm_groups_slot(core, g, slot);
		if (m)
			gm_members_remove(&t, m, GM_E_GROUP_DELETED, GM_REASON_GROUP_DELETED, GM_HASTE_WINDOW);
	}
	for (uint64_t v = g->stale_first; v <= g->version; v++)
		gm_record_remove_stale(&t, g, v, gm_stale_of(g, v)->n);
	gm_record_remove_group(&t, g);
	gm_tell_group(&t, g, true);
	struct gm_held *held = gm_wait_take(&g->held), *behind = gm_wait_take(&g->behind);
	gm_groups_unlink(core, g);
	gm_wait_answer(&t, held, GM_WAITED_REKEY); /* the group is gone, they will hear */
	gm_wait_answer(&t, behind, GM_WAITED_REJOINS);
	return GM_E_OK;
}
