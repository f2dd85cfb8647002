/* SPDX-License-Identifier: Apache-2.0 */
/* Who speaks: identities, their associations, their bars. */
#include "core/state.h"
#include "gm/crypto.h"

#include <stdlib.h>

struct gm_as *gm_as_find(const struct gm_core *c, uint32_t id)
{
	for (unsigned i = 0; i < c->ases_n; i++)
		if (c->ases[i].id == id)
			return &c->ases[i];
	return NULL;
}

struct gm_ended *gm_ended_of(struct gm_core *c, uint32_t as_id)
{
	struct gm_as *as = gm_as_find(c, as_id);

	for (unsigned i = 0; !as && i < c->gone_n; i++)
		if (c->gone[i].id == as_id)
			return &c->gone[i].ended;
	return as ? &as->ended : NULL;
}

struct gm_ident *gm_ident_at(const struct gm_core *c, uint32_t id)
{
	return id ? gm_slab_at(&c->idents, id) : NULL;
}

struct gm_assoc *gm_assoc_at(const struct gm_core *c, uint32_t id)
{
	return id ? gm_slab_at(&c->assocs, id) : NULL;
}

uint64_t gm_ident_hash(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id)
{
	uint8_t text[4 + 32];
	struct gm_out o = gm_out(text, sizeof(text));

	gm_out_be(&o, as_id, 4);
	gm_out_bytes(&o, osc_id.p, osc_id.n);
	return gm_siphash(c->hash_key, text, gm_out_len(&o));
}

struct who {
	const struct gm_core *core;
	uint32_t as_id;
	struct gm_bytes osc_id;
};

static bool same_ident(const void *arg, uint32_t value)
{
	const struct who *who = arg;
	const struct gm_ident *i = gm_ident_at(who->core, value);

	return i->as_id == who->as_id && gm_bytes_eq(gm_ident_osc_id(who->core, i), who->osc_id);
}

struct gm_ident *gm_ident_find(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id)
{
	struct who who = {c, as_id, osc_id};

	return gm_ident_at(c, gm_map_find(&c->ident_map, (uint32_t)gm_ident_hash(c, as_id, osc_id), same_ident, &who));
}

struct gm_ident *gm_ident_need(struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id)
{
	struct gm_ident *i = gm_ident_find(c, as_id, osc_id);

	if (i)
		return i;
	uint32_t id = gm_must_get(&c->idents);
	i = gm_ident_at(c, id);
	*i = (struct gm_ident){.self = id, .as_id = as_id, .osc_id_n = (uint8_t)osc_id.n};
	uint32_t text = osc_id.n > sizeof(i->osc_id) ? gm_must_text(&c->texts, osc_id.n) : 0;
	if (text)
		memcpy(i->osc_id, &text, sizeof(text));
	if (osc_id.n)
		memcpy(text ? gm_pool_at(&c->texts, text) : i->osc_id, osc_id.p, osc_id.n);
	gm_map_add(&c->ident_map, (uint32_t)gm_ident_hash(c, as_id, osc_id), id);
	return i;
}

/* An association that is closing names its identity too, so it stays until that is forgotten. */
void gm_ident_tidy(struct gm_core *c, struct gm_ident *i)
{
	if (i->assoc || i->members || i->bars || i->closing)
		return;
	uint32_t text = 0;
	gm_map_remove(&c->ident_map, (uint32_t)gm_ident_hash(c, i->as_id, gm_ident_osc_id(c, i)), i->self);
	if (i->osc_id_n > sizeof(i->osc_id))
		memcpy(&text, i->osc_id, sizeof(text));
	gm_pool_put(&c->texts, text);
	gm_slab_put(&c->idents, i->self);
}

/* ---- sets of identities */

struct in_set {
	uint32_t key, value; /* what a map takes of the hash */
};

static struct in_set in_set(const struct gm_core *c, const struct gm_ident *i)
{
	uint64_t hash = gm_ident_hash(c, i->as_id, gm_ident_osc_id(c, i));

	return (struct in_set){.key = (uint32_t)hash, .value = (uint32_t)(hash >> 33) + 1}; /* not NONE, not DEAD */
}

static bool same_value(const void *arg, uint32_t value)
{
	return ((const struct in_set *)arg)->value == value;
}

bool gm_idents_have(const struct gm_core *c, const struct gm_map *set, const struct gm_ident *i)
{
	struct in_set in = in_set(c, i);

	return gm_map_find(set, in.key, same_value, &in) != GM_MAP_NONE;
}

void gm_idents_add(const struct gm_core *c, struct gm_map *set, const struct gm_ident *i)
{
	struct in_set in = in_set(c, i);

	gm_map_add(set, in.key, in.value);
}

void gm_idents_remove(const struct gm_core *c, struct gm_map *set, const struct gm_ident *i)
{
	struct in_set in = in_set(c, i);

	gm_map_remove(set, in.key, in.value);
}

/* ---- associations */

static uint32_t *ctx_place(const struct gm_core *c, gm_ctx_id ctx)
{
	unsigned shard = GM_CTX_SHARD(ctx), slot = GM_CTX_SLOT(ctx);

	return slot < c->ctx_cap[shard] ? &c->ctx[shard][slot] : NULL;
}

struct gm_assoc *gm_assoc_by_ctx(const struct gm_core *c, gm_ctx_id ctx)
{
	uint32_t *place = ctx_place(c, ctx);
	struct gm_assoc *a = place ? gm_assoc_at(c, *place) : NULL;

	return a && a->save.id == ctx ? a : NULL;
}

static uint32_t *ctx_need_place(struct gm_core *c, gm_ctx_id ctx)
{
	unsigned shard = GM_CTX_SHARD(ctx), slot = GM_CTX_SLOT(ctx);

	if (slot >= c->ctx_cap[shard]) {
		uint32_t cap = c->ctx_cap[shard] ? c->ctx_cap[shard] : 64;
		while (cap <= slot)
			cap += cap / 2;
		c->ctx[shard] = gm_must_alloc(c->ctx[shard], cap * sizeof(uint32_t));
		memset(c->ctx[shard] + c->ctx_cap[shard], 0, (cap - c->ctx_cap[shard]) * sizeof(uint32_t));
		c->ctx_cap[shard] = cap;
	}
	return &c->ctx[shard][slot];
}

struct gm_assoc *gm_assoc_in_place(const struct gm_core *c, gm_ctx_id ctx)
{
	uint32_t *place = ctx_place(c, ctx);

	return place ? gm_assoc_at(c, *place) : NULL;
}

/* An association's text: two keys and an IV, as long as the algorithm has them; the local address; scope and cti. */
static size_t text_head(uint8_t alg)
{
	const struct gm_aead_info *aead = gm_aead_info(alg);

	return 2 * (size_t)aead->key_len + aead->nonce_len + sizeof(struct gm_addr);
}

static void set_text(struct gm_core *c, struct gm_assoc *a, const struct gm_ctx_save *save, struct gm_bytes scope,
                     struct gm_bytes cti)
{
	const struct gm_aead_info *aead = gm_aead_info(save->alg);
	size_t n = text_head(save->alg) + scope.n + cti.n;
	uint32_t text = gm_must_text(&c->texts, n);
	struct gm_out o = gm_out(gm_pool_at(&c->texts, text), n);

	gm_out_bytes(&o, save->send_key, aead->key_len);
	gm_out_bytes(&o, save->recv_key, aead->key_len);
	gm_out_bytes(&o, save->common_iv, aead->nonce_len);
	gm_out_bytes(&o, &save->local, sizeof(save->local));
	gm_out_bytes(&o, scope.p, scope.n);
	gm_out_bytes(&o, cti.p, cti.n);
	a->text = text;
	a->scope_n = (uint32_t)scope.n;
	a->cti_n = (uint16_t)cti.n; /* of a datagram, or of an answer of CLAIMS_MAX bytes at most */
}

void gm_assoc_ctx(const struct gm_core *c, const struct gm_assoc *a, struct gm_ctx_save *save)
{
	const struct gm_aead_info *aead = gm_aead_info(a->save.alg);
	const uint8_t *p = gm_pool_at(&c->texts, a->text);

	*save = (struct gm_ctx_save){.id = a->save.id, .alg = a->save.alg, .sid_n = a->save.sid_n, .peer = a->save.peer};
	memcpy(save->sid, a->save.sid, sizeof(save->sid));
	memcpy(save->challenge, a->save.challenge, sizeof(save->challenge));
	memcpy(save->send_key, p, aead->key_len);
	memcpy(save->recv_key, p += aead->key_len, aead->key_len);
	memcpy(save->common_iv, p += aead->key_len, aead->nonce_len);
	memcpy(&save->local, p + aead->nonce_len, sizeof(save->local));
}

struct gm_assoc *gm_assoc_new(struct gm_core *c, const struct gm_ctx_save *save, struct gm_bytes scope,
                              struct gm_bytes cti)
{
	uint32_t id = gm_must_get(&c->assocs);
	struct gm_assoc *a = gm_assoc_at(c, id);

	a->self = id;
	a->save = (struct gm_ctx_part){.id = save->id, .peer = save->peer, .alg = save->alg, .sid_n = save->sid_n};
	memcpy(a->save.sid, save->sid, sizeof(a->save.sid));
	memcpy(a->save.challenge, save->challenge, sizeof(a->save.challenge));
	set_text(c, a, save, scope, cti);
	*ctx_need_place(c, save->id) = id;
	return a;
}

void gm_assoc_set_token(struct gm_core *c, struct gm_assoc *a, struct gm_bytes scope, struct gm_bytes cti)
{
	struct gm_ctx_save save;
	uint32_t old = a->text;

	gm_assoc_ctx(c, a, &save);
	set_text(c, a, &save, scope, cti);
	gm_pool_put(&c->texts, old);
	gm_wipe(&save, sizeof(save));
}

struct gm_bytes gm_assoc_scope(const struct gm_core *c, const struct gm_assoc *a)
{
	return (struct gm_bytes){gm_pool_at(&c->texts, a->text) + text_head(a->save.alg), a->scope_n};
}

struct gm_bytes gm_assoc_cti(const struct gm_core *c, const struct gm_assoc *a)
{
	return (struct gm_bytes){gm_pool_at(&c->texts, a->text) + text_head(a->save.alg) + a->scope_n, a->cti_n};
}

/* ---- by the hash of the token */

struct wanted_hash {
	const struct gm_core *core;
	uint32_t as_id;
	const uint8_t *hash;
};

static bool stands_on(const void *arg, uint32_t value)
{
	const struct wanted_hash *want = arg;
	const struct gm_assoc *a = gm_assoc_at(want->core, value);

	if (want->as_id && gm_ident_at(want->core, a->ident)->as_id != want->as_id)
		return false;
	return !a->closing && memcmp(a->hash, want->hash, sizeof(a->hash)) == 0;
}

struct gm_assoc *gm_assoc_by_hash(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH])
{
	struct wanted_hash want = {c, as_id, hash};

	return gm_assoc_at(c, gm_map_find(&c->hash_map, gm_hash_key(hash), stands_on, &want));
}

void gm_assoc_set_hash(struct gm_core *c, struct gm_assoc *a, const uint8_t hash[static GM_TOKEN_HASH])
{
	gm_map_remove(&c->hash_map, gm_hash_key(a->hash), a->self);
	memcpy(a->hash, hash, sizeof(a->hash));
	gm_map_add(&c->hash_map, gm_hash_key(a->hash), a->self);
}

void gm_assoc_forget(struct gm_core *c, struct gm_assoc *a)
{
	uint32_t *place = ctx_place(c, a->save.id);
	struct gm_ident *ident = gm_ident_at(c, a->ident);

	gm_timer_stop(&c->wall, &a->expiry);
	gm_map_remove(&c->hash_map, gm_hash_key(a->hash), a->self);
	if (place && *place == a->self)
		*place = 0;
	if (ident->assoc == a->self)
		ident->assoc = 0;
	if (a->closing)
		ident->closing--;
	gm_pool_put(&c->texts, a->text);
	gm_slab_put(&c->assocs, a->self);
	gm_ident_tidy(c, ident);
}

void gm_assoc_drop(struct gm_turn *t, struct gm_assoc *a)
{
	gm_tell_ctx(t, a, GM_CTX_DROP);
	gm_record_remove_assoc(t, a);
	gm_assoc_forget(t->core, a);
}

void gm_assoc_close(struct gm_turn *t, struct gm_assoc *a)
{
	struct gm_ident *ident = gm_ident_at(t->core, a->ident);

	if (a->closing)
		return;
	gm_timer_stop(&t->core->wall, &a->expiry);
	a->closing = true;
	ident->closing++;
	if (ident->assoc == a->self)
		ident->assoc = 0;
	gm_record_put_assoc(t, a);
	gm_tell_ctx(t, a, GM_CTX_CLOSE);
}

/* ---- what hangs on an identity */

struct gm_member *gm_ident_member(const struct gm_core *c, const struct gm_ident *ident, uint32_t group)
{
	for (uint32_t id = ident->members; id;) {
		struct gm_member *m = gm_slab_at(&c->members, id);
		if (m->group == group)
			return m;
		id = m->next;
	}
	return NULL;
}

void gm_ident_drop_member(const struct gm_core *c, const struct gm_member *m)
{
	uint32_t *link = &gm_ident_at(c, m->ident)->members;

	while (*link != m->self)
		link = &((struct gm_member *)gm_slab_at(&c->members, *link))->next;
	*link = m->next;
}

struct gm_bar *gm_ident_bar(const struct gm_core *c, const struct gm_ident *ident, struct gm_bytes group)
{
	for (uint32_t id = ident->bars; id;) {
		struct gm_bar *b = gm_slab_at(&c->bars, id);
		if (gm_bytes_eq((struct gm_bytes){b->group, b->group_n}, group))
			return b;
		id = b->next;
	}
	return NULL;
}

bool gm_ident_revoked(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id)
{
	const struct gm_ident *ident = gm_ident_find(c, as_id, osc_id);

	return ident && gm_ident_bar(c, ident, GM_BAR_ALL);
}

struct gm_bar *gm_bar_add(struct gm_core *c, struct gm_ident *ident, struct gm_bytes group, int64_t until)
{
	struct gm_bar *b = gm_ident_bar(c, ident, group);

	if (!b) {
		uint32_t id = gm_must_get(&c->bars);
		b = gm_slab_at(&c->bars, id);
		*b = (struct gm_bar){.self = id, .ident = ident->self, .index = GM_BAR_NAMED, .next = ident->bars};
		b->group_n = (uint8_t)group.n;
		if (group.n)
			memcpy(b->group, group.p, group.n);
		ident->bars = id;
	}
	b->until = until > b->until ? until : b->until;
	gm_timer_set(&c->wall, &b->expiry, GM_TIMER_BAR, (uint64_t)b->until);
	return b;
}

void gm_bar_forget(struct gm_core *c, struct gm_bar *bar)
{
	struct gm_ident *ident = gm_ident_at(c, bar->ident);
	uint32_t *link = &ident->bars;

	while (*link != bar->self)
		link = &((struct gm_bar *)gm_slab_at(&c->bars, *link))->next;
	*link = bar->next;
	gm_timer_stop(&c->wall, &bar->expiry);
	gm_slab_put(&c->bars, bar->self);
	gm_ident_tidy(c, ident);
}

void gm_bar_set(struct gm_turn *t, struct gm_ident *ident, struct gm_bytes group, int64_t until)
{
	gm_record_put_bar(t, gm_bar_add(t->core, ident, group, until));
	gm_audit_bar(t, ident, group, until);
}

void gm_bar_lift(struct gm_turn *t, struct gm_bar *bar)
{
	gm_record_remove_bar(t, bar);
	gm_bar_forget(t->core, bar);
}
