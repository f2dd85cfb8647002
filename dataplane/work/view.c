/* SPDX-License-Identifier: Apache-2.0 */
/* What core has published to this worker: groups, authorization servers, mirrors of the memberships it serves. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "work/worker.h"

/* ---- groups */

static struct gm_bytes name_of(const struct worker *w, uint32_t at)
{
	const struct gm_group_view *v = &w->group[at - 1]->view;

	return (struct gm_bytes){(const uint8_t *)v->name, v->name_n};
}

static uint32_t *name_slot(struct worker *w, struct gm_bytes name)
{
	uint32_t i = gm_worker_hash(w, name.p, name.n);

	for (;; i++) {
		uint32_t *at = &w->names[i & (w->names_cap - 1)];
		if (!*at)
			return at;
		if (gm_bytes_eq(name, name_of(w, *at)))
			return at;
	}
}

struct group *gm_group_named(struct worker *w, struct gm_bytes name)
{
	if (!w->names_cap)
		return NULL;
	uint32_t at = *name_slot(w, name);
	return at ? w->group[at - 1] : NULL;
}

/* At least three of four places are empty. Without memory no group has a name until there is some. */
static void rebuild_names(struct worker *w)
{
	uint32_t cap = 64;

	while (cap < 8 * w->names_n)
		cap *= 2;
	free(w->names);
	w->names = calloc(cap, sizeof *w->names);
	w->names_cap = w->names ? cap : 0;
	for (uint32_t i = 0; w->names && i < w->groups_cap; i++)
		if (gm_group_at(w, i))
			*name_slot(w, name_of(w, i + 1)) = i + 1;
}

static void add_name(struct worker *w, uint32_t index)
{
	w->names_n++;
	w->names_moved++;
	if (4 * w->names_n > w->names_cap)
		rebuild_names(w);
	else
		*name_slot(w, name_of(w, index + 1)) = index + 1;
}

/* Those behind that could not have their own place move up, so that a search still ends at the first empty one. */
static void remove_name(struct worker *w, uint32_t index)
{
	const uint32_t mask = w->names_cap - 1;

	w->names_n--;
	w->names_moved++;
	if (!w->names_cap)
		return;
	uint32_t hole = (uint32_t)(name_slot(w, name_of(w, index + 1)) - w->names);
	for (uint32_t at = (hole + 1) & mask; w->names[at]; at = (at + 1) & mask) {
		const struct gm_bytes name = name_of(w, w->names[at]);
		const uint32_t home = gm_worker_hash(w, name.p, name.n);
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		w->names[hole] = w->names[at];
		hole = at;
	}
	w->names[hole] = 0;
}

static bool room_for_group(struct worker *w, uint32_t index)
{
	if (index >= w->groups_cap) {
		uint32_t cap = w->groups_cap ? w->groups_cap : 16;
		while (cap <= index)
			cap *= 2;
		struct group **grown = realloc(w->group, cap * sizeof *grown);
		if (!grown)
			return false;
		memset(grown + w->groups_cap, 0, (cap - w->groups_cap) * sizeof *grown);
		w->group = grown;
		w->groups_cap = cap;
	}
	if (!w->group[index]) {
		w->group[index] = calloc(1, sizeof **w->group);
		w->groups_made += w->group[index] != NULL;
	}
	return w->group[index] != NULL;
}

static struct gm_group_params params_of(const struct gm_group_view *v)
{
	return (struct gm_group_params){
		.hkdf = v->hkdf,
		.cred_fmt = v->cred_fmt,
		.group_mode = v->group_mode,
		.pairwise_mode = v->pairwise_mode,
		.gp_enc_alg = v->gp_enc_alg,
		.sign_alg = v->sign_alg,
		.alg = v->alg,
		.ecdh_alg = v->ecdh_alg,
		.sign_kty = v->sign_kty,
		.sign_crv = v->sign_crv,
		.ecdh_kty = v->ecdh_kty,
		.ecdh_crv = v->ecdh_crv,
	};
}

static void remove_group(struct worker *w, uint32_t index)
{
	struct group *g = gm_group_at(w, index);

	if (!g)
		return;
	while (g->head) /* those still to be told have left the list and live on in their contexts */
		gm_member_unlink(w, g->head);
	w->walks -= (unsigned)g->walk.active + g->telling;
	gm_walk_drop(&g->walk);
	gm_walk_leave(w, g);
	remove_name(w, index);
	gm_wipe(g, sizeof *g);
}

void gm_view_keys(struct worker *w)
{
	struct gm_key_pair_job job[BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < w->keys_n; i++) {
		struct group *g = gm_group_at(w, w->keys_of[i]);
		if (g)
			job[n++] = (struct gm_key_pair_job){&g->kdc, &g->params, g->view.kdc_seed};
	}
	uint64_t made = n ? gm_key_pairs_make(job, n) : 0;
	for (unsigned i = 0; i < n; i++)
		if (!(made >> i & 1))
			*job[i].pair = (struct gm_key_pair){0}; /* proves nothing */
	w->keys_n = 0;
}

void gm_view_group(struct worker *w, const struct gm_eff_group *e)
{
	gm_wipe(&w->kept_keys, sizeof w->kept_keys);
	if (e->remove) {
		remove_group(w, e->view.index);
		return;
	}
	if (!room_for_group(w, e->view.index))
		return;
	struct group *g = w->group[e->view.index];
	bool fresh = !g->used, turned = e->tell_active || (!fresh && g->view.active != e->view.active);
	bool other_key = fresh || g->view.gen != e->view.gen;
	g->used = true;
	g->view = e->view;
	g->params = params_of(&e->view);
	gm_rekey_pause(w, g, e->paused);
	if (other_key) {
		if (w->keys_n == BURST)
			gm_view_keys(w);
		g->kdc = (struct gm_key_pair){0};
		w->keys_of[w->keys_n++] = e->view.index;
	}
	if (turned)
		gm_rekey_tell_active(w, g);
	if (fresh)
		add_name(w, e->view.index);
}

struct gm_keying gm_view_keying(struct worker *w, const struct group *g, struct gm_bytes sid)
{
	const struct gm_group_view *v = &g->view;

	return (struct gm_keying){
		.params = &g->params,
		.ms = {v->ms, v->ms_n},
		.salt = {v->salt, v->salt_n},
		.gid = {v->gid, v->gid_n},
		.sid = sid,
		.num = v->version,
		.exp = v->exp,
		.exi = v->exp > w->wall_s ? (uint64_t)(v->exp - w->wall_s) : 0,
	};
}

/* ---- memberships */

struct member *gm_member_of(struct worker *w, const struct ctx *c, uint32_t group, uint32_t *h)
{
	for (uint32_t at = c->members; at; at = gm_member_at(w, at)->next_ctx) {
		struct member *m = gm_member_at(w, at);
		if (m->group == group && !m->notice) {
			if (h)
				*h = at;
			return m;
		}
	}
	return NULL;
}

static void link_to_group(struct worker *w, struct group *g, uint32_t h)
{
	struct member *m = gm_member_at(w, h);

	m->next_group = g->head;
	m->prev_group = 0;
	if (g->head)
		gm_member_at(w, g->head)->prev_group = h;
	g->head = h;
	g->members++;
}

void gm_member_unlink(struct worker *w, uint32_t h)
{
	struct member *m = gm_member_at(w, h);
	struct group *g = gm_group_at(w, m->group);

	if (!g || (!m->prev_group && g->head != h))
		return; /* not in the list any more */
	gm_walk_skip(g, h, m->next_group);
	if (m->prev_group)
		gm_member_at(w, m->prev_group)->next_group = m->next_group;
	else
		g->head = m->next_group;
	if (m->next_group)
		gm_member_at(w, m->next_group)->prev_group = m->prev_group;
	m->next_group = m->prev_group = 0;
	g->members--;
}

/* ---- what is as long as it is: at first the path, then the scope; observations */

struct gm_bytes gm_member_control(const struct worker *w, const struct member *m)
{
	return (struct gm_bytes){gm_pool_at(&w->strings, m->text), m->control_n};
}

struct gm_bytes gm_member_scope(const struct worker *w, const struct member *m)
{
	return (struct gm_bytes){m->scope_n ? gm_pool_at(&w->strings, m->text) + m->control_n : NULL, m->scope_n};
}

struct gm_observation gm_member_obs(const struct worker *w, const struct member *m, unsigned of)
{
	struct gm_observation obs = {0};
	unsigned place = (unsigned)__builtin_popcount(m->obs_on & ((1u << of) - 1));

	if (m->obs_on & 1u << of)
		memcpy(&obs, gm_pool_at(&w->strings, m->obs) + place * sizeof obs, sizeof obs);
	return obs;
}

static void drop_texts(struct worker *w, struct member *m)
{
	gm_pool_put(&w->strings, m->text);
	gm_pool_put(&w->strings, m->obs);
	m->text = m->obs = 0;
	m->control_n = m->obs_on = 0;
	m->scope_n = 0;
}

/* Where memory is out there is neither path nor scope: what needs them fails. */
static void set_text(struct worker *w, struct member *m, struct gm_bytes path, struct gm_bytes scope)
{
	m->text = gm_pool_get(&w->strings, path.n + scope.n);
	if (!m->text)
		return;
	m->control_n = (uint8_t)path.n;
	m->scope_n = (uint16_t)scope.n;
	memcpy(gm_pool_at(&w->strings, m->text), gm_there(path.n ? path.p : scope.p), path.n ? path.n : scope.n);
	if (path.n && scope.n)
		memcpy(gm_pool_at(&w->strings, m->text) + path.n, gm_there(scope.p), scope.n);
}

static void set_obs(struct worker *w, struct member *m, const struct gm_observation obs[static GM_OBS_N])
{
	unsigned n = 0;

	for (unsigned of = 0; of < GM_OBS_N; of++)
		n += obs[of].on;
	m->obs = gm_pool_get(&w->strings, n * sizeof *obs);
	uint8_t *to = gm_pool_at(&w->strings, m->obs);
	for (unsigned of = 0; to && of < GM_OBS_N; of++) {
		if (!obs[of].on)
			continue;
		memcpy(to, &obs[of], sizeof *obs);
		to += sizeof *obs;
		m->obs_on |= (uint8_t)(1u << of);
	}
}

void gm_member_free(struct worker *w, uint32_t h)
{
	struct ctx *c = gm_ctx_at(w, gm_member_at(w, h)->ctx);

	if (c) {
		uint32_t *link = &c->members;
		while (*link && *link != h)
			link = &gm_member_at(w, *link)->next_ctx;
		if (*link)
			*link = gm_member_at(w, h)->next_ctx;
	}
	drop_texts(w, gm_member_at(w, h));
	gm_slab_put(&w->members, h);
	ADD(w, members, -UINT64_C(1));
}

static struct member *find(struct worker *w, const struct gm_eff_member *e, uint32_t *h)
{
	struct ctx *c = gm_ctx_at(w, e->ctx);
	struct member *m = c ? gm_member_of(w, c, e->group, h) : NULL;

	return m && m->slot == e->slot ? m : NULL;
}

static struct member *add(struct worker *w, const struct gm_eff_member *e, uint32_t *h)
{
	struct ctx *c = gm_ctx_at(w, e->ctx);
	struct group *g = gm_group_at(w, e->group);

	*h = c && g ? gm_slab_get(&w->members) : 0;
	if (!*h)
		return NULL;
	struct member *m = gm_member_at(w, *h);
	m->ctx = e->ctx;
	m->group = e->group;
	m->slot = e->slot;
	m->next_ctx = c->members;
	c->members = *h;
	link_to_group(w, g, *h);
	COUNT(w, members);
	return m;
}

static void fill(struct worker *w, struct member *m, const struct gm_eff_member *e)
{
	struct gm_bytes path = gm_rec_bytes(e, e->control_path), scope = gm_rec_bytes(e, e->scope);

	m->roles = (uint8_t)e->roles;
	m->sid_n = e->sid_n;
	memcpy(m->sid, e->sid, sizeof m->sid);
	m->delivery = e->delivery;
	drop_texts(w, m);
	set_obs(w, m, e->obs);
	set_text(w, m, path.n <= CONTROL_PATH_MAX ? path : (struct gm_bytes){0},
	         scope.n <= UINT16_MAX ? scope : (struct gm_bytes){0});
	m->node_n = e->node_n <= NODE_NAME ? e->node_n : 0;
	memcpy(m->node, e->node, sizeof m->node);
	m->control_port = e->control_port;
}

void gm_view_member(struct worker *w, const struct gm_eff_member *e)
{
	uint32_t h = 0;
	struct member *m = find(w, e, &h);

	if (m) /* what is in flight was made from the old mirror and must not be made again from the new one */
		gm_rekey_drop_member(w, h);
	if (e->remove) {
		if (!m)
			return;
		gm_member_unlink(w, h);
		gm_member_free(w, h);
		return;
	}
	if (!m)
		m = add(w, e, &h);
	if (!m)
		return;
	fill(w, m, e);
	m->confirmed = e->version;
	gm_rekey_again(w, h);
	gm_rekey_next(w, gm_ctx_at(w, e->ctx), e->ctx);
}

/* ---- authorization servers */

static struct as *as_place(struct worker *w, uint32_t id, bool make)
{
	for (size_t i = 0; i < sizeof w->as / sizeof *w->as; i++)
		if (w->as[i].used && w->as[i].id == id)
			return &w->as[i];
	for (size_t i = 0; make && i < sizeof w->as / sizeof *w->as; i++)
		if (!w->as[i].used)
			return &w->as[i];
	return NULL;
}

struct as *gm_as_at(struct worker *w, uint32_t id)
{
	return as_place(w, id, false);
}

void gm_view_as(struct worker *w, const struct gm_eff_as *e)
{
	struct as *as = as_place(w, e->as_id, !e->remove);

	gm_link_set(w, e);
	if (!as)
		return;
	gm_wipe(as, sizeof *as);
	if (e->remove)
		return;
	as->used = true;
	as->id = e->as_id;
	as->empty_salt_item = e->empty_salt_item;
	as->cnonce = e->cnonce;
	memcpy(as->cnonce_key, e->cnonce_key, sizeof as->cnonce_key);
	as->key.alg = e->alg;
	as->key.kid_n = e->kid_n;
	memcpy(as->key.kid, e->kid, sizeof as->key.kid);
	as->key.key_n = e->key_n;
	memcpy(as->key.key, e->key, sizeof as->key.key);
	as->has_point = gm_cose_is_ed25519(&as->key) && gm_ed25519_point_from_key(&as->point, as->key.key);
	memcpy(as->uri, e->uri, e->uri_n);
	memcpy(as->aud, e->aud, e->aud_n);
	as->introspect = e->introspect;
	as->strict = e->strict;
	as->linked = e->linked;
	as->link_peer = e->link.peer;
}

size_t gm_view_bytes(const struct worker *w)
{
	return w->groups_cap * sizeof *w->group + w->names_cap * sizeof *w->names + w->groups_made * sizeof **w->group;
}

void gm_view_free(struct worker *w)
{
	for (uint32_t i = 0; i < w->groups_cap; i++) {
		if (!w->group[i])
			continue;
		gm_walk_drop(&w->group[i]->walk);
		gm_wipe(w->group[i], sizeof **w->group);
		free(w->group[i]);
	}
	free(w->group);
	free(w->names);
	gm_wipe(w->as, sizeof w->as);
}
