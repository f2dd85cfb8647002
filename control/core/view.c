/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/resources.h"

#include <stdlib.h>

/* ---- the buffers */

#define KEEP_MAX (2u << 20) /* bytes that a buffer keeps from turn to turn */
#define ALIGNED(n) (((n) + 7) & ~(size_t)7)

static uint8_t *buf_take(struct gm_effect_buf *b, size_t n)
{
	if (b->n + n > b->cap) {
		size_t cap = (b->n + n) * 2;
		uint8_t *bytes = gm_must_alloc(NULL, cap);
		if (b->n)
			memcpy(bytes, b->bytes, b->n);
		if (b->bytes)
			gm_wipe(b->bytes, b->n);
		free(b->bytes);
		b->bytes = bytes;
		b->cap = cap;
	}
	uint8_t *p = b->bytes + b->n;
	memset(p, 0, n);
	b->n += n;
	return p;
}

void *gm_effects_add(struct gm_effects *e, unsigned worker, enum gm_eff type, size_t size)
{
	struct gm_effect_buf *b = &e->to[worker];
	size_t at = b->n;
	struct gm_rec *rec = (void *)buf_take(b, ALIGNED(size));

	b->last = at;
	*rec = (struct gm_rec){.type = (uint16_t)type, .worker = (uint16_t)worker, .len = (uint32_t)ALIGNED(size)};
	return rec;
}

void *gm_effects_last(struct gm_effects *e, unsigned worker)
{
	return e->to[worker].bytes + e->to[worker].last;
}

struct gm_slice gm_effects_append(struct gm_effects *e, unsigned worker, const void *p, size_t n)
{
	struct gm_effect_buf *b = &e->to[worker];
	struct gm_slice s = {.off = (uint32_t)(b->n - b->last), .n = (uint32_t)n};
	uint8_t *to = buf_take(b, ALIGNED(n));
	struct gm_rec *rec = gm_effects_last(e, worker);

	if (n)
		memcpy(to, p, n);
	rec->len += (uint32_t)ALIGNED(n);
	return s;
}

void gm_effects_reset(struct gm_effects *e)
{
	for (unsigned i = 0; i <= GM_EFFECTS_ALL; i++) {
		struct gm_effect_buf *b = &e->to[i];
		if (b->n)
			gm_wipe(b->bytes, b->n);
		b->n = b->last = 0;
		if (b->cap <= KEEP_MAX)
			continue;
		free(b->bytes); /* one turn needed so much */
		b->bytes = NULL;
		b->cap = 0;
	}
}

void gm_effects_free(struct gm_effects *e)
{
	gm_effects_reset(e);
	for (unsigned i = 0; i <= GM_EFFECTS_ALL; i++)
		free(e->to[i].bytes);
	*e = (struct gm_effects){0};
}

/* ---- effects */

unsigned gm_owner_of(const struct gm_core *c, gm_ctx_id ctx)
{
	return gm_dp_shard_owner(GM_CTX_SHARD(ctx), c->config.workers);
}

static void *add(struct gm_turn *t, unsigned worker, enum gm_eff type, size_t size)
{
	return gm_effects_add(t->txn->effects, worker, type, size);
}

static struct gm_slice append(struct gm_turn *t, unsigned worker, struct gm_bytes b)
{
	return b.n ? gm_effects_append(t->txn->effects, worker, b.p, b.n) : (struct gm_slice){0};
}

/* One worker speaks with an authorization server; only it has the secrets for that, the others know its address. */
static unsigned link_owner(const struct gm_core *c, const struct gm_as *as)
{
	return as->id % c->config.workers;
}

void gm_tell_as(struct gm_turn *t, const struct gm_as *as, bool remove)
{
	const struct gm_as_spec *s = &as->spec;

	for (unsigned w = 0; w < t->core->config.workers; w++) {
		struct gm_eff_as *e = add(t, w, GM_EFF_AS, sizeof(*e));
		e->as_id = as->id;
		e->remove = remove;
		if (remove)
			continue;
		e->empty_salt_item = s->empty_salt_item;
		e->cnonce = s->cnonce;
		memcpy(e->cnonce_key, t->core->cnonce_key, sizeof(e->cnonce_key));
		e->kid_n = s->key.kid_n;
		memcpy(e->kid, s->key.kid, sizeof(e->kid));
		e->key_n = s->key.key_n;
		memcpy(e->key, s->key.key, sizeof(e->key));
		e->alg = s->key.alg;
		e->uri_n = (uint8_t)strlen(s->uri);
		memcpy(e->uri, s->uri, e->uri_n);
		e->aud_n = (uint8_t)strlen(t->core->config.audience);
		memcpy(e->aud, t->core->config.audience, e->aud_n);
		e->introspect = s->introspect[0] != 0;
		e->strict = s->trl[0] && !s->loose;
		e->linked = s->link.ms_n > 0;
		e->link.peer = s->link.peer;
		if (w == link_owner(t->core, as))
			e->link = s->link;
	}
}

void gm_tell_ask(struct gm_turn *t, struct gm_as *as, const struct gm_ask_spec *spec)
{
	unsigned w = link_owner(t->core, as);
	struct gm_eff_ask *e = add(t, w, GM_EFF_ASK, sizeof(*e));

	e->as_id = as->id;
	e->ask = spec->number;
	e->method = spec->method;
	e->observe = spec->observe;
	e->content_format = spec->content_format;
	struct gm_slice path = append(t, w, (struct gm_bytes){(const uint8_t *)spec->path, strlen(spec->path)}),
	                query = append(t, w, spec->query), payload = append(t, w, spec->payload);
	e = gm_effects_last(t->txn->effects, w);
	e->path = path;
	e->query = query;
	e->payload = payload;
	as->asked += spec->observe != 2;
}

static void fill_view(struct gm_group_view *v, const struct gm_group *g)
{
	const struct gm_group_params *p = &g->spec.params;

	*v = (struct gm_group_view){
	    .index = g->index,
	    .gen = g->gen,
	    .version = g->version,
	    .name_n = (uint8_t)strlen(g->spec.name),
	    .active = g->spec.active,
	    .gid_n = g->gid_n,
	    .ms_n = sizeof(g->ms),
	    .salt_n = sizeof(g->salt),
	    .exp = g->exp,
	    .hkdf = p->hkdf,
	    .cred_fmt = p->cred_fmt,
	    .gp_enc_alg = p->gp_enc_alg,
	    .sign_alg = p->sign_alg,
	    .alg = p->alg,
	    .ecdh_alg = p->ecdh_alg,
	    .sign_kty = p->sign_kty,
	    .sign_crv = p->sign_crv,
	    .ecdh_kty = p->ecdh_kty,
	    .ecdh_crv = p->ecdh_crv,
	    .group_mode = p->group_mode,
	    .pairwise_mode = p->pairwise_mode,
	    .kdc_cred_n = g->kdc_cred_n,
	    .check_interval = g->check_interval,
	    .expiration_delta = g->expiration_delta,
	};
	memcpy(v->name, g->spec.name, v->name_n);
	memcpy(v->gid, g->gid, sizeof(v->gid));
	memcpy(v->ms, g->ms, sizeof(g->ms));
	memcpy(v->salt, g->salt, sizeof(v->salt));
	memcpy(v->kdc_cred, g->kdc_cred, sizeof(v->kdc_cred));
	memcpy(v->kdc_seed, g->kdc_seed, sizeof(v->kdc_seed));
}

static void tell_num(struct gm_turn *t, const struct gm_group *g, bool remove)
{
	struct gm_eff_num *e = add(t, GM_EFFECTS_ALL, GM_EFF_NUM, sizeof(*e));

	e->group = g->index;
	e->gen = g->gen;
	e->version = g->version;
	e->remove = remove;
}

static void tell_group(struct gm_turn *t, const struct gm_group *g, bool remove, bool active)
{
	tell_num(t, g, remove);
	for (unsigned w = 0; w < t->core->config.workers; w++) {
		struct gm_eff_group *e = add(t, w, GM_EFF_GROUP, sizeof(*e));
		e->remove = remove;
		e->tell_active = active;
		e->paused = gm_pause_on(g);
		e->view.index = g->index;
		if (!remove)
			fill_view(&e->view, g);
	}
}

void gm_tell_group(struct gm_turn *t, const struct gm_group *g, bool remove)
{
	tell_group(t, g, remove, false);
}

void gm_tell_active(struct gm_turn *t, const struct gm_group *g)
{
	tell_group(t, g, false, true);
}

void gm_tell_ctx(struct gm_turn *t, const struct gm_assoc *a, enum gm_ctx_op op)
{
	struct gm_eff_ctx *e = add(t, gm_owner_of(t->core, a->save.id), GM_EFF_CTX, sizeof(*e));

	e->op = (uint8_t)op;
	e->save.id = a->save.id;
	if (op == GM_CTX_LOAD)
		gm_assoc_ctx(t->core, a, &e->save);
}

void gm_tell_member(struct gm_turn *t, const struct gm_member *m, gm_ctx_id ctx, bool remove)
{
	unsigned w = gm_owner_of(t->core, ctx);
	struct gm_eff_member *e = add(t, w, GM_EFF_MEMBER, sizeof(*e));

	e->ctx = ctx;
	e->group = m->group;
	e->slot = m->slot;
	e->remove = remove;
	if (remove)
		return;
	e->version = m->version;
	e->sid_n = m->sid_n;
	memcpy(e->sid, m->sid, m->sid_n);
	e->delivery = (uint8_t)gm_members_delivery(m);
	for (unsigned of = 0; of < GM_OBS_N; of++)
		e->obs[of] = gm_members_obs(t->core, m, of);
	e->node_n = (uint8_t)strlen(m->node);
	memcpy(e->node, m->node, e->node_n);
	e->control_port = m->control_port;
	e->roles = m->roles;
	struct gm_member_parts parts = gm_members_parts(t->core, m);
	struct gm_bytes path = parts.path, scope = parts.scope;
	if (m->has_control && path.n) {
		struct gm_slice s = gm_effects_append(t->txn->effects, w, path.p, path.n);
		e = gm_effects_last(t->txn->effects, w);
		e->control_path = s;
	}
	if (scope.n) {
		struct gm_slice s = gm_effects_append(t->txn->effects, w, scope.p, scope.n);
		e = gm_effects_last(t->txn->effects, w);
		e->scope = s;
	}
}

void gm_tell_cred(struct gm_turn *t, const struct gm_member *m, bool remove)
{
	if (!m->sid_n)
		return;
	struct gm_eff_cred *e = add(t, GM_EFFECTS_ALL, GM_EFF_CRED, sizeof(*e));
	e->group = m->group;
	e->roles = m->roles;
	e->sid_n = m->sid_n;
	memcpy(e->sid, m->sid, m->sid_n);
	e->remove = remove || !m->cred_n;
	e->cred = m->cred;
	e->cred_n = m->cred_n;
}

void gm_tell_evict(struct gm_turn *t, const struct gm_member *m, gm_ctx_id ctx, enum gm_err notice)
{
	struct gm_eff_evict *e = add(t, gm_owner_of(t->core, ctx), GM_EFF_EVICT, sizeof(*e));

	e->ctx = ctx;
	e->group = m->group;
	e->slot = m->slot;
	e->err = (uint8_t)notice;
}

void gm_tell_lease(struct gm_turn *t, unsigned shard, bool boot, uint64_t resume)
{
	struct gm_eff_lease *e = add(t, gm_dp_shard_owner(shard, t->core->config.workers), GM_EFF_LEASE, sizeof(*e));

	e->shard = shard;
	e->until = t->core->lease[shard];
	e->boot = boot;
	e->resume = resume;
}

void gm_tell_ready(struct gm_turn *t)
{
	for (unsigned w = 0; w < t->core->config.workers; w++)
		add(t, w, GM_EFF_READY, sizeof(struct gm_rec));
}

/* ---- the rekeying message and the notification, encoded once */

static struct gm_bytes stale_array(struct gm_out *o, const struct gm_group *g)
{
	const struct gm_stale_set *s = g->version ? gm_stale_of(g, g->version - 1) : NULL;

	gm_cbor_put_array(o, s ? s->n : 0);
	for (uint32_t i = 0; s && i < s->n; i++)
		gm_cbor_put_bstr(o, s->sids + (size_t)i * g->sid_len, g->sid_len);
	return gm_out_result(o);
}

static struct gm_keying keying_of(const struct gm_turn *t, const struct gm_group *g)
{
	int64_t left = g->exp - t->txn->wall_s;

	return (struct gm_keying){
	    .params = &g->spec.params,
	    .ms = {g->ms, sizeof(g->ms)},
	    .salt = {g->salt, sizeof(g->salt)},
	    .gid = {g->gid, g->gid_n},
	    .num = g->version,
	    .exp = g->exp,
	    .exi = left > 0 ? (uint64_t)left : 0,
	};
}

static size_t stale_size(const struct gm_group *g)
{
	const struct gm_stale_set *s = g->version ? gm_stale_of(g, g->version - 1) : NULL;

	return 16 + (s ? (size_t)s->n * (g->sid_len + 1u) : 0);
}

#define KEYING_MAX 512u

/* What members may not have heard of yet; empty: nothing. They still hold the keys before the walk's. GA §6.6.2 */
static void put_owed_configuration(struct gm_out *o, const struct gm_group *g, const struct gm_keying *keying)
{
	struct gm_keying before = *keying;

	before.num = g->version ? g->version - 1 : 0;
	if (g->owed & GM_OWED_CONFIG)
		gm_configuration_encode(o, &before);
}

#define NAMING_MAX 900u /* a message that names joiners is no longer: it goes in one datagram. KG §11.1 */

static struct gm_bytes joiners_of(struct gm_turn *t, const struct gm_group *g, uint8_t mem[static NAMING_MAX])
{
	struct gm_out o = gm_out(mem, NAMING_MAX);

	gm_creds_of_joiners(t, g, &o);
	return gm_out_len(&o) && o.err == GM_E_OK ? gm_out_result(&o) : (struct gm_bytes){0};
}

typedef void (*rekey_form)(struct gm_out *out, const struct gm_keying *keying, struct gm_bytes stale,
                           struct gm_bytes joiners);

static void put_naming(struct gm_out *o, rekey_form encode, const struct gm_keying *keying, struct gm_bytes stale,
                       struct gm_bytes joiners)
{
	encode(o, keying, stale, joiners);
	if (!joiners.p || gm_out_len(o) <= NAMING_MAX)
		return;
	*o = gm_out(o->start, (size_t)(o->end - o->start));
	encode(o, keying, stale, (struct gm_bytes){0});
}

void gm_tell_rekey(struct gm_turn *t, const struct gm_group *g)
{
	uint8_t config_mem[KEYING_MAX], joiners_mem[NAMING_MAX];
	size_t stale_cap = stale_size(g), cap = stale_cap + KEYING_MAX + NAMING_MAX;
	struct gm_out config = gm_out(config_mem, sizeof(config_mem));
	uint8_t *mem = gm_scratch(t->core, stale_cap + 2 * cap);
	struct gm_out o = gm_out(mem, stale_cap), post = gm_out(mem + stale_cap, cap),
	              obs = gm_out(mem + stale_cap + cap, cap);
	struct gm_bytes stale = stale_array(&o, g), joiners = joiners_of(t, g, joiners_mem);
	struct gm_keying keying = keying_of(t, g);

	put_naming(&post, gm_rekey_encode, &keying, stale, joiners);
	put_naming(&obs, gm_keying_encode, &keying, stale, joiners);
	put_owed_configuration(&config, g, &keying);
	for (unsigned w = 0; w < t->core->config.workers; w++) {
		struct gm_eff_rekey *e = add(t, w, GM_EFF_REKEY, sizeof(*e));
		e->group = g->index;
		e->version = g->version;
		struct gm_slice c = {0};
		struct gm_slice a = gm_effects_append(t->txn->effects, w, post.start, gm_out_len(&post));
		struct gm_slice b = gm_effects_append(t->txn->effects, w, obs.start, gm_out_len(&obs));
		if (gm_out_len(&config))
			c = gm_effects_append(t->txn->effects, w, config.start, gm_out_len(&config));
		e = gm_effects_last(t->txn->effects, w);
		e->body_post = a;
		e->body_obs = b;
		e->body_config = c;
	}
	gm_wipe(mem, stale_cap + 2 * cap);
}

/* ---- answers */

static struct gm_eff_reply *reply(struct gm_turn *t, const struct gm_ev_request *ev, uint8_t code, uint8_t flags)
{
	struct gm_eff_reply *e = add(t, ev->rec.worker, GM_EFF_REPLY, sizeof(*e));

	e->xid = ev->xid;
	e->ctx = ev->ctx;
	e->code = code;
	e->flags = flags;
	e->content_format = GM_CF_NONE;
	return e;
}

void gm_reply(struct gm_turn *t, const struct gm_ev_request *ev, uint8_t code, uint8_t flags, int32_t cf,
              struct gm_bytes payload)
{
	struct gm_eff_reply *e = reply(t, ev, code, flags);

	e->content_format = cf;
	if (payload.n) {
		struct gm_slice s = gm_effects_append(t->txn->effects, ev->rec.worker, payload.p, payload.n);
		e = gm_effects_last(t->txn->effects, ev->rec.worker);
		e->payload = s;
	}
}

void gm_reply_location(struct gm_turn *t, const struct gm_ev_request *ev, int32_t cf, struct gm_bytes payload,
                       struct gm_bytes name)
{
	gm_reply(t, ev, GM_COAP(2, 1), GM_REPLY_SAVE, cf, payload);
	struct gm_slice s = gm_effects_append(t->txn->effects, ev->rec.worker, name.p, name.n);
	((struct gm_eff_reply *)gm_effects_last(t->txn->effects, ev->rec.worker))->location = s;
}

#define INLINE_MAX 8192u

void gm_reply_big(struct gm_turn *t, const struct gm_ev_request *ev, uint8_t code, int32_t cf, uint8_t *body, size_t n)
{
	if (n <= INLINE_MAX) {
		gm_reply(t, ev, code, 0, cf, (struct gm_bytes){body, n});
		gm_wipe(body, n);
		free(body);
		return;
	}
	struct gm_eff_reply *e = reply(t, ev, code, 0);
	e->content_format = cf;
	e->blob = body;
	e->blob_n = n;
}

void gm_reply_nothing(struct gm_turn *t, const struct gm_ev_request *ev)
{
	uint8_t body[1];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_nothing_encode(&o);
	gm_reply(t, ev, GM_COAP(2, 5), 0, 261, gm_out_result(&o));
}

static uint32_t max_age(enum gm_err err)
{
	if (gm_err_info(err)->coap >> 5 != 5)
		return 0;
	return err == GM_E_BUSY ? 1 : err == GM_E_TOO_OFTEN || err == GM_E_DRAINING ? 10 : 60;
}

void gm_reply_rekey(struct gm_turn *t, const struct gm_ev_request *ev, const struct gm_group *g, bool full)
{
	uint8_t joiners_mem[NAMING_MAX];
	size_t stale_cap = stale_size(g), cap = stale_cap + KEYING_MAX + NAMING_MAX;
	uint8_t *mem = gm_scratch(t->core, stale_cap);
	struct gm_out o = gm_out(mem, stale_cap), body = gm_out(gm_must_alloc(NULL, cap), cap);
	struct gm_keying keying = keying_of(t, g);

	put_naming(&body, full ? gm_keying_encode : gm_rekey_encode, &keying, stale_array(&o, g), joiners_of(t, g, joiners_mem));
	gm_reply_big(t, ev, GM_COAP(2, 4), 261, body.start, gm_out_len(&body));
	struct gm_eff_reply *e = gm_effects_last(t->txn->effects, ev->rec.worker);
	e->flags = GM_REPLY_SAVE | GM_REPLY_KEYS;
	e->group = g->index;
}

void gm_reply_err(struct gm_turn *t, const struct gm_ev_request *ev, enum gm_err err)
{
	const struct gm_err_info *info = gm_err_info(err);
	uint8_t body[160];
	struct gm_out o = gm_out(body, sizeof(body));

	if (info->ace_id >= 0)
		gm_problem_encode(&o, info->ace_id, info->text);
	gm_reply(t, ev, info->coap, 0, gm_out_len(&o) ? 257 : GM_CF_NONE, gm_out_result(&o));
	struct gm_eff_reply *e = gm_effects_last(t->txn->effects, ev->rec.worker);
	e->max_age = max_age(err);
}
