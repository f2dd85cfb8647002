/* SPDX-License-Identifier: Apache-2.0 */
/* Stored records: CBOR arrays that begin with the version of their form. Keys are big endian. */
#include "core/config_change.h"
#include "gm/crypto.h"
#include "wire/cbor.h"

#define FORM 1u
#define NEXT_AS "next-as" /* keys in META */
#define FORGOTTEN "forgotten"
#define FORM_MEMBER 2u /* 1 had no scope and one observation */
#define FORM_ASSOC 2u  /* 1 had no algorithm: it was ALG_OF_FORM_1 */
#define ALG_OF_FORM_1 10u
#define FORM_GROUP 3u  /* 1 did not say what is owed, 2 not since when the configuration is what it is */
#define FORM_GROUP_UNTOLD 4u /* also when the keys end of members that were not told of the present ones; only where there are such */
#define FORM_AS 2u     /* 1 had no link and nothing that goes over it */
#define FORM_REVOKED 2u /* 1 had no age */
#define FORM_BAR 2u    /* 1 had the group's index in its key, and no name */

/* ---- keys */

struct key {
	uint8_t b[GM_KEY_MAX];
	size_t n;
};

static struct key key_u32(uint32_t v)
{
	struct key k = {.n = 4};
	struct gm_out o = gm_out(k.b, sizeof(k.b));
	gm_out_be(&o, v, 4);
	return k;
}

static struct key key_two(uint32_t a, uint64_t b, size_t b_n)
{
	struct key k = {.n = 4 + b_n};
	struct gm_out o = gm_out(k.b, sizeof(k.b));
	gm_out_be(&o, a, 4);
	gm_out_be(&o, b, b_n);
	return k;
}

/* of what administrators told about a group; behind its own record, before its stale sets' */
static struct key key_about(uint32_t group)
{
	return key_two(group, 0, 1);
}

static struct key key_stale(uint32_t group, uint64_t version, uint32_t chunk)
{
	struct key k = key_two(group, version, 8);
	struct gm_out o = gm_out(k.b + k.n, 4);
	gm_out_be(&o, chunk, 4);
	k.n += 4;
	return k;
}

static struct key key_ctx(gm_ctx_id id)
{
	struct key k = {.n = 3};
	struct gm_out o = gm_out(k.b, sizeof(k.b));
	gm_out_be(&o, GM_CTX_SHARD(id), 1);
	gm_out_be(&o, GM_CTX_SLOT(id), 2);
	return k;
}

/* of a server that was removed; behind the place of its own record */
static struct key key_gone(const struct gm_gone *gone)
{
	return key_two(gone->id, 0, 1);
}

static struct key key_bar(const struct gm_core *c, const struct gm_ident *ident, const struct gm_bar *bar)
{
	uint8_t text[4 + GM_OSC_ID_MAX], hash[GM_SHA256];
	struct gm_bytes osc_id = gm_ident_osc_id(c, ident);
	struct gm_out o = gm_out(text, sizeof(text));
	struct key k = {.n = 32};

	gm_out_be(&o, ident->as_id, 4);
	gm_out_bytes(&o, osc_id.p, osc_id.n);
	gm_sha256(hash, text, gm_out_len(&o));
	memcpy(k.b, hash, 16);
	gm_sha256(hash, bar->group, bar->group_n);
	memcpy(k.b + 16, hash, 16);
	return k;
}

static struct key key_bar_1(const struct gm_core *c, const struct gm_ident *ident, const struct gm_bar *bar)
{
	struct key k = key_bar(c, ident, bar);
	struct gm_out o = gm_out(k.b + 16, 4);

	gm_out_be(&o, bar->index, 4);
	k.n = 20;
	return k;
}

/* The operator's have no as_id; so had all of them once. */
static struct key key_hash(const struct gm_revoked *r)
{
	struct key k = {.n = sizeof(r->hash) + (r->as_id ? 4 : 0)};
	struct gm_out o = gm_out(k.b, sizeof(k.b));

	gm_out_bytes(&o, r->hash, sizeof(r->hash));
	if (r->as_id)
		gm_out_be(&o, r->as_id, 4);
	return k;
}

/* ---- writing */

static void put(struct gm_turn *t, uint32_t owner, enum gm_table table, struct key key, struct gm_out *o)
{
	gm_changes_put(t->txn->changes, owner, table, key.b, key.n, o->start, gm_out_len(o));
	gm_wipe(o->start, gm_out_len(o));
}

static void take_away(struct gm_turn *t, uint32_t owner, enum gm_table table, struct key key)
{
	gm_changes_remove(t->txn->changes, owner, table, key.b, key.n);
}

static struct gm_out begin_form(struct gm_turn *t, unsigned form, unsigned fields, size_t cap)
{
	struct gm_out o = gm_out(gm_scratch(t->core, cap), cap);

	gm_cbor_put_array(&o, fields + 1);
	gm_cbor_put_uint(&o, form);
	return o;
}

static struct gm_out begin(struct gm_turn *t, unsigned fields, size_t cap)
{
	return begin_form(t, FORM, fields, cap);
}

/* eight items */
static void put_link(struct gm_out *o, const struct gm_link *link)
{
	gm_cbor_put_bstr(o, link->peer.ip, sizeof(link->peer.ip));
	gm_cbor_put_uint(o, link->peer.scope);
	gm_cbor_put_uint(o, link->peer.port);
	gm_cbor_put_bstr(o, link->ms, link->ms_n);
	gm_cbor_put_bstr(o, link->salt, link->salt_n);
	gm_cbor_put_bstr(o, link->sid, link->sid_n);
	gm_cbor_put_bstr(o, link->rid, link->rid_n);
	gm_cbor_put_int(o, link->alg);
}

void gm_record_put_as(struct gm_turn *t, const struct gm_as *as)
{
	const struct gm_as_spec *s = &as->spec;
	struct gm_out o = begin_form(t, FORM_AS, 20, 2048);

	gm_cbor_put_text(&o, s->name);
	gm_cbor_put_text(&o, s->issuer);
	gm_cbor_put_text(&o, s->uri);
	gm_cbor_put_bool(&o, s->empty_salt_item);
	gm_cbor_put_int(&o, s->key.alg);
	gm_cbor_put_bstr(&o, s->key.kid, s->key.kid_n);
	gm_cbor_put_bstr(&o, s->key.key, s->key.key_n);
	gm_cbor_put_bool(&o, s->cnonce);
	gm_cbor_put_text(&o, s->introspect);
	gm_cbor_put_text(&o, s->trl);
	gm_cbor_put_bool(&o, s->loose);
	gm_cbor_put_uint(&o, s->trl_every_s);
	put_link(&o, &s->link);
	put(t, GM_OWNER_SITE, GM_TABLE_AS, key_u32(as->id), &o);
}

void gm_record_put_next_as(struct gm_turn *t)
{
	struct key key = {.b = NEXT_AS, .n = strlen(NEXT_AS)};
	struct gm_out o = begin(t, 1, 32);

	gm_cbor_put_uint(&o, t->core->next_as);
	put(t, GM_OWNER_SITE, GM_TABLE_META, key, &o);
}

void gm_record_put_forgotten(struct gm_turn *t)
{
	struct key key = {.b = FORGOTTEN, .n = strlen(FORGOTTEN)};
	struct gm_out o = begin(t, 1, 32);

	gm_cbor_put_int(&o, t->core->forgotten);
	put(t, GM_OWNER_SITE, GM_TABLE_META, key, &o);
}

static void put_params(struct gm_out *o, const struct gm_group_params *p)
{
	gm_cbor_put_array(o, 12);
	gm_cbor_put_int(o, p->hkdf);
	gm_cbor_put_int(o, p->cred_fmt);
	gm_cbor_put_bool(o, p->group_mode);
	gm_cbor_put_bool(o, p->pairwise_mode);
	gm_cbor_put_int(o, p->gp_enc_alg);
	gm_cbor_put_int(o, p->sign_alg);
	gm_cbor_put_int(o, p->alg);
	gm_cbor_put_int(o, p->ecdh_alg);
	gm_cbor_put_int(o, p->sign_kty);
	gm_cbor_put_int(o, p->sign_crv);
	gm_cbor_put_int(o, p->ecdh_kty);
	gm_cbor_put_int(o, p->ecdh_crv);
}

void gm_record_put_group(struct gm_turn *t, const struct gm_group *g)
{
	const unsigned form = g->untold_exp ? FORM_GROUP_UNTOLD : FORM_GROUP;
	struct gm_out o = begin_form(t, form, 23 + form, 2048);

	gm_cbor_put_text(&o, g->spec.name);
	gm_cbor_put_uint(&o, g->gen);
	put_params(&o, &g->spec.params);
	gm_cbor_put_uint(&o, g->spec.max_members);
	gm_cbor_put_uint(&o, g->spec.max_stale_sets);
	gm_cbor_put_uint(&o, g->spec.backward);
	gm_cbor_put_uint(&o, g->spec.rekey_every_s);
	gm_cbor_put_uint(&o, g->spec.key_lifetime_s);
	gm_cbor_put_bool(&o, g->spec.active);
	gm_cbor_put_uint(&o, g->version);
	gm_cbor_put_uint(&o, g->stale_first);
	gm_cbor_put_bstr(&o, g->gid, g->gid_n);
	gm_cbor_put_bstr(&o, g->ms, sizeof(g->ms));
	gm_cbor_put_bstr(&o, g->salt, sizeof(g->salt));
	gm_cbor_put_int(&o, g->exp);
	gm_cbor_put_int(&o, g->created);
	gm_cbor_put_int(&o, g->last_rekey);
	gm_cbor_put_uint(&o, g->last_reason);
	gm_cbor_put_uint(&o, g->check_interval);
	gm_cbor_put_uint(&o, g->expiration_delta);
	gm_cbor_put_bstr(&o, g->kdc_seed, sizeof(g->kdc_seed));
	gm_cbor_put_bstr(&o, g->kdc_cred, g->kdc_cred_n);
	gm_cbor_put_bool(&o, g->reason != GM_REASON_NONE);
	gm_cbor_put_bool(&o, g->distributing);
	gm_cbor_put_uint(&o, g->owed);
	gm_cbor_put_uint(&o, g->config_num);
	if (g->untold_exp)
		gm_cbor_put_int(&o, g->untold_exp);
	put(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_u32(g->index), &o);
}

void gm_record_put_about(struct gm_turn *t, const struct gm_group *g)
{
	const struct gm_about *a = g->about;
	struct gm_out o = begin(t, 3, 2048);

	gm_cbor_put_tstr(&o, a->as_uri, a->as_uri_n);
	if (a->described)
		gm_cbor_put_tstr(&o, a->description, a->description_n);
	else
		gm_cbor_put_null(&o);
	gm_out_bytes(&o, a->app_groups, a->app_groups_n);
	put(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_about(g->index), &o);
}

void gm_record_put_stale(struct gm_turn *t, const struct gm_group *g, uint32_t chunk)
{
	const struct gm_stale_set *s = gm_stale_of(g, g->version);
	uint32_t first = chunk * GM_STALE_CHUNK, n = s->n - first > GM_STALE_CHUNK ? GM_STALE_CHUNK : s->n - first;
	struct gm_out o = begin(t, 1, 32 + (size_t)n * g->sid_len);

	gm_cbor_put_bstr(&o, s->sids + (size_t)first * g->sid_len, (size_t)n * g->sid_len);
	put(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_stale(g->index, g->version, chunk), &o);
}

/* {resource: [token, piv]} */
static void put_observations(struct gm_out *o, const struct gm_core *c, const struct gm_member *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GM_OBS_N; i++)
		n += m->obs_on >> i & 1u;
	gm_cbor_put_map(o, n);
	for (unsigned i = 0; i < GM_OBS_N; i++) {
		struct gm_observation obs = gm_members_obs(c, m, i);
		if (!obs.on)
			continue;
		gm_cbor_put_uint(o, i);
		gm_cbor_put_array(o, 2);
		gm_cbor_put_bstr(o, obs.token, obs.token_n);
		gm_cbor_put_bstr(o, obs.piv, obs.piv_n);
	}
}

void gm_record_put_member(struct gm_turn *t, const struct gm_member *m)
{
	const struct gm_ident *ident = gm_ident_at(t->core, m->ident);
	struct gm_member_parts p = gm_members_parts(t->core, m);
	struct gm_out o = begin_form(t, FORM_MEMBER, 14, 512 + p.cred.n + p.cnonce.n + p.path.n + p.scope.n);

	gm_cbor_put_uint(&o, ident->as_id);
	gm_cbor_put_bstr(&o, gm_ident_osc_id(t->core, ident).p, ident->osc_id_n);
	gm_cbor_put_text(&o, m->node);
	gm_cbor_put_bstr(&o, m->sid, m->sid_n);
	gm_cbor_put_uint(&o, m->roles);
	gm_cbor_put_int(&o, m->joined);
	gm_cbor_put_uint(&o, m->version);
	gm_cbor_put_bool(&o, m->has_control);
	gm_cbor_put_uint(&o, m->control_port);
	gm_cbor_put_bstr(&o, p.path.p, p.path.n);
	put_observations(&o, t->core, m);
	gm_cbor_put_bstr(&o, p.cnonce.p, p.cnonce.n);
	gm_cbor_put_bstr(&o, p.cred.p, p.cred.n);
	gm_cbor_put_bstr(&o, p.scope.p, p.scope.n);
	put(t, GM_OWNER_GROUP(m->group), GM_TABLE_MEMBER, key_two(m->group, m->slot, 4), &o);
}

void gm_record_put_assoc(struct gm_turn *t, const struct gm_assoc *a)
{
	const struct gm_ident *ident = gm_ident_at(t->core, a->ident);
	struct gm_bytes scope = gm_assoc_scope(t->core, a), cti = gm_assoc_cti(t->core, a);
	struct gm_ctx_save save, *s = &save;
	const struct gm_aead_info *aead = gm_aead_info(a->save.alg);
	struct gm_out o = begin_form(t, FORM_ASSOC, 20, 512 + scope.n + cti.n);

	gm_assoc_ctx(t->core, a, &save);
	gm_cbor_put_uint(&o, s->id);
	gm_cbor_put_uint(&o, s->alg);
	gm_cbor_put_bstr(&o, s->send_key, aead->key_len);
	gm_cbor_put_bstr(&o, s->recv_key, aead->key_len);
	gm_cbor_put_bstr(&o, s->common_iv, aead->nonce_len);
	gm_cbor_put_bstr(&o, s->sid, s->sid_n);
	gm_cbor_put_bstr(&o, s->challenge, sizeof(s->challenge));
	gm_cbor_put_bstr(&o, s->peer.ip, sizeof(s->peer.ip));
	gm_cbor_put_uint(&o, s->peer.scope);
	gm_cbor_put_uint(&o, s->peer.port);
	gm_cbor_put_bstr(&o, s->local.ip, sizeof(s->local.ip));
	gm_cbor_put_uint(&o, s->local.port);
	gm_cbor_put_uint(&o, ident->as_id);
	gm_cbor_put_bstr(&o, gm_ident_osc_id(t->core, ident).p, ident->osc_id_n);
	gm_cbor_put_int(&o, a->exp);
	gm_cbor_put_int(&o, a->exi);
	gm_cbor_put_bstr(&o, cti.p, cti.n);
	gm_cbor_put_bstr(&o, scope.p, scope.n);
	gm_cbor_put_bool(&o, a->closing);
	gm_cbor_put_bstr(&o, a->hash, sizeof(a->hash));
	put(t, GM_OWNER_SHARD(GM_CTX_SHARD(s->id)), GM_TABLE_CTX, key_ctx(s->id), &o);
	gm_wipe(&save, sizeof(save));
}

void gm_record_put_bar(struct gm_turn *t, const struct gm_bar *bar)
{
	const struct gm_ident *ident = gm_ident_at(t->core, bar->ident);
	struct gm_out o = begin_form(t, FORM_BAR, 4, 192);

	gm_cbor_put_uint(&o, ident->as_id);
	gm_cbor_put_bstr(&o, gm_ident_osc_id(t->core, ident).p, ident->osc_id_n);
	gm_cbor_put_int(&o, bar->until);
	gm_cbor_put_bstr(&o, bar->group, bar->group_n);
	put(t, GM_OWNER_SITE, GM_TABLE_BAR, key_bar(t->core, ident, bar), &o);
}

void gm_record_bar_anew(struct gm_turn *t, struct gm_bar *bar)
{
	if (bar->index == GM_BAR_NAMED)
		return;
	take_away(t, GM_OWNER_GROUP(bar->index), GM_TABLE_BAR, key_bar_1(t->core, gm_ident_at(t->core, bar->ident), bar));
	bar->index = GM_BAR_NAMED;
	gm_record_put_bar(t, bar);
}

void gm_record_put_gone(struct gm_turn *t, const struct gm_gone *gone)
{
	struct gm_out o = begin(t, 3, 128);

	gm_cbor_put_bstr(&o, gone->key, sizeof(gone->key));
	gm_cbor_put_bstr(&o, gone->issuer, sizeof(gone->issuer));
	gm_cbor_put_int(&o, gone->at);
	put(t, GM_OWNER_SITE, GM_TABLE_AS, key_gone(gone), &o);
}

void gm_record_put_lease(struct gm_turn *t, unsigned shard)
{
	struct key key = {.b = {(uint8_t)shard}, .n = 1};
	struct gm_out o = begin(t, 1, 32);

	gm_cbor_put_uint(&o, t->core->lease[shard]);
	put(t, GM_OWNER_SHARD(shard), GM_TABLE_LEASE, key, &o);
}

void gm_record_put_seen(struct gm_turn *t, const struct gm_seen *s)
{
	struct gm_out o = begin(t, 1, 32);

	gm_cbor_put_int(&o, s->exp);
	put(t, GM_OWNER_SITE, GM_TABLE_SEEN, key_two(s->as_id, s->seq, 8), &o);
}

void gm_record_put_revoked(struct gm_turn *t, const struct gm_revoked *r)
{
	struct gm_out o = begin_form(t, FORM_REVOKED, 2, 32);

	gm_cbor_put_int(&o, r->exp);
	gm_cbor_put_uint(&o, r->age.at);
	put(t, GM_OWNER_SITE, GM_TABLE_REVOKED, key_hash(r), &o);
}

void gm_record_remove_revoked(struct gm_turn *t, const struct gm_revoked *r)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_REVOKED, key_hash(r));
}

void gm_record_put_ended(struct gm_turn *t, uint32_t as_id, uint64_t seq)
{
	struct gm_out o = begin(t, 1, 32);

	gm_cbor_put_uint(&o, seq);
	put(t, GM_OWNER_SITE, GM_TABLE_SEEN, key_u32(as_id), &o);
}

void gm_record_remove_ended(struct gm_turn *t, uint32_t as_id)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_SEEN, key_u32(as_id));
}

void gm_record_remove_as(struct gm_turn *t, const struct gm_as *as)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_AS, key_u32(as->id));
}

void gm_record_remove_gone(struct gm_turn *t, const struct gm_gone *gone)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_AS, key_gone(gone));
}

void gm_record_remove_group(struct gm_turn *t, const struct gm_group *g)
{
	take_away(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_u32(g->index));
	if (g->about)
		take_away(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_about(g->index));
}

void gm_record_remove_stale(struct gm_turn *t, const struct gm_group *g, uint64_t version, uint32_t sids)
{
	for (uint32_t chunk = 0; chunk * GM_STALE_CHUNK < sids; chunk++)
		take_away(t, GM_OWNER_GROUP(g->index), GM_TABLE_GROUP, key_stale(g->index, version, chunk));
}

void gm_record_remove_member(struct gm_turn *t, const struct gm_member *m)
{
	take_away(t, GM_OWNER_GROUP(m->group), GM_TABLE_MEMBER, key_two(m->group, m->slot, 4));
}

void gm_record_remove_assoc(struct gm_turn *t, const struct gm_assoc *a)
{
	take_away(t, GM_OWNER_SHARD(GM_CTX_SHARD(a->save.id)), GM_TABLE_CTX, key_ctx(a->save.id));
}

void gm_record_remove_bar(struct gm_turn *t, const struct gm_bar *bar)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_BAR, key_bar(t->core, gm_ident_at(t->core, bar->ident), bar));
}

void gm_record_remove_seen(struct gm_turn *t, const struct gm_seen *s)
{
	take_away(t, GM_OWNER_SITE, GM_TABLE_SEEN, key_two(s->as_id, s->seq, 8));
}

/* ---- reading */

static void take_fixed(struct gm_in *in, void *out, size_t n)
{
	struct gm_bytes b = gm_cbor_bstr(in);

	if (b.n == n)
		memcpy(out, b.p, n);
	else
		gm_in_fail(in, GM_E_CORRUPT);
}

static uint8_t take_up_to(struct gm_in *in, void *out, size_t cap)
{
	struct gm_bytes b = gm_cbor_bstr(in);

	if (b.n > cap)
		gm_in_fail(in, GM_E_CORRUPT);
	else if (b.n)
		memcpy(out, b.p, b.n);
	return b.n > cap ? 0 : (uint8_t)b.n;
}

static void take_text(struct gm_in *in, char *out, size_t cap)
{
	struct gm_bytes b = gm_cbor_tstr(in);

	if (b.n >= cap) {
		gm_in_fail(in, GM_E_CORRUPT);
		return;
	}
	if (b.n)
		memcpy(out, b.p, b.n);
	out[b.n] = 0;
}

static uint32_t take_u32(struct gm_in *in, uint32_t max)
{
	uint64_t v = gm_cbor_uint(in);

	if (v > max)
		gm_in_fail(in, GM_E_CORRUPT);
	return v > max ? 0 : (uint32_t)v;
}

/* A record that has had two forms, with so many fields each. */
static struct gm_in open_either(struct gm_bytes value, uint64_t *form, unsigned fields_1, unsigned fields_2)
{
	struct gm_in in = gm_in_bytes(value);
	uint64_t n = gm_cbor_array(&in);

	*form = gm_cbor_uint(&in);
	if (!(*form == 2 && n == fields_2 + 1) && !(*form == FORM && n == fields_1 + 1))
		gm_in_fail(&in, GM_E_CORRUPT);
	return in;
}

static struct gm_in open_group(struct gm_bytes value, uint64_t *form)
{
	struct gm_in in = gm_in_bytes(value);
	uint64_t n = gm_cbor_array(&in);

	*form = gm_cbor_uint(&in);
	if (*form < FORM || *form > FORM_GROUP_UNTOLD || n != 24 + *form)
		gm_in_fail(&in, GM_E_CORRUPT);
	return in;
}

static struct gm_in open_record(struct gm_bytes value, unsigned fields)
{
	struct gm_in in = gm_in_bytes(value);

	if (gm_cbor_array(&in) != fields + 1 || gm_cbor_uint(&in) != FORM)
		gm_in_fail(&in, GM_E_CORRUPT);
	return in;
}

static enum gm_err done(struct gm_in *in)
{
	return gm_cbor_end(in) == GM_E_OK ? GM_E_OK : GM_E_CORRUPT;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void take_link(struct gm_in *in, struct gm_link *link)
{
	take_fixed(in, link->peer.ip, sizeof(link->peer.ip));
	link->peer.scope = take_u32(in, UINT32_MAX);
	link->peer.port = (uint16_t)take_u32(in, UINT16_MAX);
	link->ms_n = take_up_to(in, link->ms, sizeof(link->ms));
	link->salt_n = take_up_to(in, link->salt, sizeof(link->salt));
	link->sid_n = take_up_to(in, link->sid, sizeof(link->sid));
	link->rid_n = take_up_to(in, link->rid, sizeof(link->rid));
	link->alg = (int8_t)take_u32(in, INT8_MAX);
}

static enum gm_err load_gone(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in = open_record(value, 3);
	struct gm_gone gone = {.id = be32(key.p)};

	take_fixed(&in, gone.key, sizeof(gone.key));
	take_fixed(&in, gone.issuer, sizeof(gone.issuer));
	gone.at = gm_cbor_int(&in);
	GM_TRY(done(&in));
	if (c->gone_n == GM_GONE_MAX)
		return GM_E_CORRUPT;
	c->gone[c->gone_n++] = gone;
	c->next_as = gone.id >= c->next_as ? gone.id + 1 : c->next_as;
	return GM_E_OK;
}

static enum gm_err load_as(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	if (key.n == 5)
		return load_gone(c, key, value);
	uint64_t form;
	struct gm_in in = open_either(value, &form, 8, 20);
	struct gm_as as = {.spec.trl_every_s = GM_TRL_EVERY_S};

	if (key.n != 4)
		return GM_E_CORRUPT;
	as.id = be32(key.p);
	take_text(&in, as.spec.name, sizeof(as.spec.name));
	take_text(&in, as.spec.issuer, sizeof(as.spec.issuer));
	take_text(&in, as.spec.uri, sizeof(as.spec.uri));
	as.spec.empty_salt_item = gm_cbor_bool(&in);
	as.spec.key.alg = (int32_t)gm_cbor_int(&in);
	as.spec.key.kid_n = take_up_to(&in, as.spec.key.kid, sizeof(as.spec.key.kid));
	as.spec.key.key_n = take_up_to(&in, as.spec.key.key, sizeof(as.spec.key.key));
	as.spec.cnonce = gm_cbor_bool(&in);
	if (form == FORM_AS) {
		take_text(&in, as.spec.introspect, sizeof(as.spec.introspect));
		take_text(&in, as.spec.trl, sizeof(as.spec.trl));
		as.spec.loose = gm_cbor_bool(&in);
		as.spec.trl_every_s = take_u32(&in, UINT32_MAX);
		take_link(&in, &as.spec.link);
	}
	GM_TRY(done(&in));
	if (c->ases_n == GM_ASES_MAX || (as.spec.link.ms_n && !gm_aead_info(as.spec.link.alg)))
		return GM_E_CORRUPT;
	c->ases[c->ases_n++] = as;
	c->next_as = as.id >= c->next_as ? as.id + 1 : c->next_as;
	gm_wipe(&as, sizeof(as));
	return GM_E_OK;
}

static void take_params(struct gm_in *in, struct gm_group_params *p)
{
	if (gm_cbor_array(in) != 12)
		gm_in_fail(in, GM_E_CORRUPT);
	p->hkdf = (int32_t)gm_cbor_int(in);
	p->cred_fmt = (int32_t)gm_cbor_int(in);
	p->group_mode = gm_cbor_bool(in);
	p->pairwise_mode = gm_cbor_bool(in);
	p->gp_enc_alg = (int32_t)gm_cbor_int(in);
	p->sign_alg = (int32_t)gm_cbor_int(in);
	p->alg = (int32_t)gm_cbor_int(in);
	p->ecdh_alg = (int32_t)gm_cbor_int(in);
	p->sign_kty = (int32_t)gm_cbor_int(in);
	p->sign_crv = (int32_t)gm_cbor_int(in);
	p->ecdh_kty = (int32_t)gm_cbor_int(in);
	p->ecdh_crv = (int32_t)gm_cbor_int(in);
}

static void take_spec(struct gm_in *in, struct gm_group_spec *s)
{
	s->max_members = take_u32(in, 1u << 24);
	s->max_stale_sets = take_u32(in, GM_STALE_SETS_MAX);
	s->backward = (enum gm_backward)take_u32(in, GM_BACKWARD_EACH);
	s->rekey_every_s = take_u32(in, UINT32_MAX);
	s->key_lifetime_s = take_u32(in, UINT32_MAX);
	s->active = gm_cbor_bool(in);
}

static void take_keys(struct gm_in *in, struct gm_group *g)
{
	g->version = gm_cbor_uint(in);
	g->stale_first = gm_cbor_uint(in);
	g->gid_n = take_up_to(in, g->gid, sizeof(g->gid));
	take_fixed(in, g->ms, sizeof(g->ms));
	take_fixed(in, g->salt, sizeof(g->salt));
	g->exp = gm_cbor_int(in);
	g->created = gm_cbor_int(in);
	g->last_rekey = gm_cbor_int(in);
	g->last_reason = (enum gm_reason)take_u32(in, GM_REASON_REKEYS - 1);
	g->check_interval = take_u32(in, UINT32_MAX);
	g->expiration_delta = take_u32(in, UINT32_MAX);
	take_fixed(in, g->kdc_seed, sizeof(g->kdc_seed));
	struct gm_bytes cred = gm_cbor_bstr(in);
	if (cred.n > sizeof(g->kdc_cred)) {
		gm_in_fail(in, GM_E_CORRUPT);
		return;
	}
	memcpy(g->kdc_cred, cred.n ? cred.p : g->kdc_cred, cred.n);
	g->kdc_cred_n = (uint16_t)cred.n;
	g->reason = gm_cbor_bool(in) ? GM_REASON_RESTART : GM_REASON_NONE;
	g->distributing = gm_cbor_bool(in);
}

static enum gm_err load_stale(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_group *g = gm_groups_at(c, be32(key.p));
	uint64_t version = (uint64_t)be32(key.p + 4) << 32 | be32(key.p + 8);
	struct gm_stale_set *s = g && g->stale ? gm_stale_of(g, version) : NULL;
	struct gm_in in = open_record(value, 1);
	struct gm_bytes sids = gm_cbor_bstr(&in);

	GM_TRY(done(&in));
	if (!s || sids.n % g->sid_len)
		return GM_E_CORRUPT;
	for (size_t i = 0; i < sids.n; i += g->sid_len) {
		gm_stale_put(s, sids.p + i, g->sid_len);
		if (version == g->version)
			gm_map_add(&g->sids, gm_sid_key(sids.p + i, g->sid_len), GM_SID_BURNED);
	}
	return GM_E_OK;
}

static enum gm_err load_about(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_group *g = gm_groups_at(c, be32(key.p));
	struct gm_in in = open_record(value, 3);
	struct gm_bytes uri = gm_cbor_tstr(&in);
	struct gm_about about = {.described = !gm_cbor_is_null(&in)};
	struct gm_bytes text = {0};

	if (about.described)
		text = gm_cbor_tstr(&in);
	else
		gm_cbor_null(&in);
	struct gm_bytes names = gm_cbor_item(&in);
	struct gm_list list;
	GM_TRY(done(&in));
	if (!g || g->about || uri.n > sizeof(about.as_uri) || text.n > sizeof(about.description) ||
	    names.n > sizeof(about.app_groups) || !gm_list_decode(names, GM_CBOR_TSTR, &list))
		return GM_E_CORRUPT;
	about.as_uri_n = (uint8_t)uri.n;
	memcpy(about.as_uri, uri.p, uri.n);
	about.description_n = (uint16_t)text.n;
	memcpy(about.description, text.n ? text.p : uri.p, text.n);
	about.app_groups_n = (uint16_t)names.n;
	memcpy(about.app_groups, names.p, names.n);
	g->about = gm_must_alloc(NULL, sizeof(about));
	*g->about = about;
	return GM_E_OK;
}

static enum gm_err load_group(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	uint64_t form;
	struct gm_in in = open_group(value, &form);
	char name[GM_GROUP_NAME_MAX + 1] = "";

	if (key.n == 16)
		return load_stale(c, key, value);
	if (key.n == 5)
		return load_about(c, key, value);
	take_text(&in, name, sizeof(name));
	if (key.n != 4 || in.err != GM_E_OK || be32(key.p) >= GM_GROUP_INDEX_MAX)
		return GM_E_CORRUPT;
	struct gm_group *g = gm_groups_load(c, be32(key.p), name);
	if (!g)
		return GM_E_CORRUPT;
	const uint64_t before = g->version;
	g->gen = take_u32(&in, UINT32_MAX);
	take_params(&in, &g->spec.params);
	take_spec(&in, &g->spec);
	take_keys(&in, g);
	g->owed = form > FORM ? take_u32(&in, GM_OWED_ALL) : 0;
	if (form >= FORM_GROUP)
		g->config_num = gm_cbor_uint(&in);
	else if (g->owed & GM_OWED_CONFIG)
		g->config_num = g->version + (g->reason != GM_REASON_NONE); /* the rekey asked for may be its own */
	g->untold_exp = form == FORM_GROUP_UNTOLD ? gm_cbor_int(&in) : g->distributing ? g->exp : 0; /* not known: the latest it may be */
	GM_TRY(done(&in));
	if (g->version < g->stale_first || g->version - g->stale_first >= g->spec.max_stale_sets || g->gid_n < 5)
		return GM_E_CORRUPT;
	gm_groups_has_gid(c, g);
	g->sid_len = gm_core_sid_len(g->spec.max_members);
	g->stale = gm_must_alloc(NULL, g->spec.max_stale_sets * sizeof(*g->stale));
	memset(g->stale, 0, g->spec.max_stale_sets * sizeof(*g->stale));
	if (g->version != before) /* of one loaded again: who has the keys since then has a record that is loaded again, too */
		g->waiting = g->members;
	return GM_E_OK;
}

static void take_observation(struct gm_in *in, struct gm_observation *obs)
{
	obs->on = true;
	obs->token_n = take_up_to(in, obs->token, sizeof(obs->token));
	obs->piv_n = take_up_to(in, obs->piv, sizeof(obs->piv));
}

static void take_observations(struct gm_in *in, struct gm_core *c, struct gm_member *m)
{
	for (uint64_t n = gm_cbor_map(in); n && in->err == GM_E_OK; n--) {
		uint32_t of = take_u32(in, GM_OBS_N - 1);
		if (gm_cbor_array(in) != 2)
			gm_in_fail(in, GM_E_CORRUPT);
		struct gm_observation obs = {0};
		take_observation(in, &obs);
		if (in->err == GM_E_OK)
			gm_members_set_obs(c, m, of, &obs);
	}
}

/* has_obs, obs_node, token, piv */
static void take_one_observation(struct gm_in *in, struct gm_core *c, struct gm_member *m)
{
	bool on = gm_cbor_bool(in);
	unsigned of = gm_cbor_bool(in) ? GM_OBS_NODE : GM_OBS_GROUP;
	struct gm_observation obs = {0};

	take_observation(in, &obs);
	obs.on = on;
	gm_members_set_obs(c, m, of, &obs);
}

static void take_member(struct gm_in *in, struct gm_core *c, struct gm_member *m, uint64_t form)
{
	struct gm_member_parts parts = {0};

	take_text(in, m->node, sizeof(m->node));
	m->sid_n = take_up_to(in, m->sid, sizeof(m->sid));
	m->roles = (uint8_t)take_u32(in, GM_ROLES_ALL);
	m->joined = gm_cbor_int(in);
	m->version = gm_cbor_uint(in);
	m->has_control = gm_cbor_bool(in);
	m->control_port = (uint16_t)take_u32(in, UINT16_MAX);
	parts.path = gm_cbor_bstr(in);
	if (form == FORM_MEMBER)
		take_observations(in, c, m);
	else
		take_one_observation(in, c, m);
	parts.cnonce = gm_cbor_bstr(in);
	parts.cred = gm_cbor_bstr(in);
	if (form == FORM_MEMBER)
		parts.scope = gm_cbor_bstr(in);
	if (parts.cred.n > UINT16_MAX || parts.scope.n > UINT16_MAX || parts.cnonce.n > UINT8_MAX || parts.path.n > UINT8_MAX)
		gm_in_fail(in, GM_E_CORRUPT);
	else
		gm_members_set_parts(c, m, &parts);
}

static enum gm_err load_member(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	uint64_t form;
	struct gm_in in = open_either(value, &form, 16, 14);
	uint32_t as_id = take_u32(&in, UINT32_MAX);
	struct gm_bytes osc_id = gm_cbor_bstr(&in);

	if (key.n != 8 || in.err != GM_E_OK || osc_id.n > GM_OSC_ID_MAX)
		return GM_E_CORRUPT;
	uint32_t slot = be32(key.p + 4);
	struct gm_group *g = gm_groups_at(c, be32(key.p));
	if (!g || slot >= GM_SLOT_MAX || gm_groups_slot(c, g, slot))
		return GM_E_CORRUPT;
	struct gm_member *m = gm_groups_member_new(c, g, slot);
	struct gm_ident *ident = gm_ident_need(c, as_id, osc_id);
	m->ident = ident->self;
	m->next = ident->members;
	ident->members = m->self;
	take_member(&in, c, m, form);
	GM_TRY(done(&in));
	if (m->sid_n && (m->sid_n != g->sid_len || gm_map_find(&g->sids, gm_sid_key(m->sid, m->sid_n), NULL, NULL)))
		return GM_E_CORRUPT;
	if (m->sid_n)
		gm_map_add(&g->sids, gm_sid_key(m->sid, m->sid_n), m->self);
	if (m->version < g->version)
		g->waiting++;
	return GM_E_OK;
}

static struct gm_in open_assoc(struct gm_bytes value, uint64_t *form)
{
	struct gm_in in = gm_in_bytes(value);
	uint64_t n = gm_cbor_array(&in);

	*form = gm_cbor_uint(&in);
	if (!(*form == FORM_ASSOC && n == 21) && !(*form == FORM && n == 20))
		gm_in_fail(&in, GM_E_CORRUPT);
	return in;
}

static void take_ctx_keys(struct gm_in *in, struct gm_ctx_save *s, uint64_t form)
{
	s->alg = form == FORM_ASSOC ? (uint8_t)take_u32(in, UINT8_MAX) : ALG_OF_FORM_1;
	const struct gm_aead_info *aead = gm_aead_info(s->alg);
	if (!aead) {
		gm_in_fail(in, GM_E_CORRUPT);
		return;
	}
	take_fixed(in, s->send_key, aead->key_len);
	take_fixed(in, s->recv_key, aead->key_len);
	take_fixed(in, s->common_iv, aead->nonce_len);
	s->sid_n = take_up_to(in, s->sid, aead->nonce_len - 6u); /* RFC 8613 §3.3 */
}

static enum gm_err load_assoc(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	uint64_t form;
	struct gm_in in = open_assoc(value, &form);
	struct gm_ctx_save s = {.id = take_u32(&in, UINT32_MAX)};

	take_ctx_keys(&in, &s, form);
	take_fixed(&in, s.challenge, sizeof(s.challenge));
	take_fixed(&in, s.peer.ip, sizeof(s.peer.ip));
	s.peer.scope = take_u32(&in, UINT32_MAX);
	s.peer.port = (uint16_t)take_u32(&in, UINT16_MAX);
	take_fixed(&in, s.local.ip, sizeof(s.local.ip));
	s.local.port = (uint16_t)take_u32(&in, UINT16_MAX);
	uint32_t as_id = take_u32(&in, UINT32_MAX);
	struct gm_bytes osc_id = gm_cbor_bstr(&in);
	int64_t exp = gm_cbor_int(&in), exi = gm_cbor_int(&in);
	struct gm_bytes cti = gm_cbor_bstr(&in), scope = gm_cbor_bstr(&in);
	bool closing = gm_cbor_bool(&in);
	uint8_t hash[GM_TOKEN_HASH] = {0};
	take_fixed(&in, hash, sizeof(hash));

	GM_TRY(done(&in));
	if (key.n != 3 || osc_id.n > GM_OSC_ID_MAX || gm_assoc_by_ctx(c, s.id) ||
	    scope.n + cti.n > GM_POOL_MAX / 2 || gm_scope_check(scope) != GM_E_OK)
		return GM_E_CORRUPT;
	struct gm_ident *ident = gm_ident_need(c, as_id, osc_id);
	if (!closing && ident->assoc)
		return GM_E_CORRUPT;
	struct gm_assoc *a = gm_assoc_new(c, &s, scope, cti);
	a->ident = ident->self;
	a->exp = exp;
	a->exi = exi;
	a->closing = closing;
	gm_assoc_set_hash(c, a, hash);
	if (closing)
		ident->closing++;
	else
		ident->assoc = a->self;
	if (!closing)
		gm_timer_set(&c->wall, &a->expiry, GM_TIMER_TOKEN, (uint64_t)exp);
	gm_wipe(&s, sizeof(s));
	return GM_E_OK;
}

static enum gm_err load_bar(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	uint64_t form;
	struct gm_in in = open_either(value, &form, 3, 4);
	uint32_t as_id = take_u32(&in, UINT32_MAX);
	struct gm_bytes osc_id = gm_cbor_bstr(&in);
	int64_t until = gm_cbor_int(&in);
	struct gm_bytes name = form == FORM_BAR ? gm_cbor_bstr(&in) : GM_BAR_ALL;

	GM_TRY(done(&in));
	if (key.n != (form == FORM_BAR ? 32u : 20u) || osc_id.n > GM_OSC_ID_MAX ||
	    name.n > GM_GROUP_NAME_MAX)
		return GM_E_CORRUPT;
	struct gm_ident *ident = gm_ident_need(c, as_id, osc_id);
	if (form == FORM_BAR) {
		gm_bar_add(c, ident, name, until);
		return GM_E_OK;
	}
	const struct gm_group *g = gm_groups_at(c, be32(key.p + 16));
	if (!g)
		return GM_E_CORRUPT;
	name = (struct gm_bytes){(const uint8_t *)g->spec.name, strlen(g->spec.name)};
	gm_bar_add(c, ident, name, until)->index = g->index;
	return GM_E_OK;
}

static enum gm_err load_lease(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in = open_record(value, 1);
	uint64_t until = gm_cbor_uint(&in);

	GM_TRY(done(&in));
	if (key.n != 1)
		return GM_E_CORRUPT;
	c->lease[key.p[0]] = until;
	return GM_E_OK;
}

static enum gm_err load_seen(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in = open_record(value, 1);
	int64_t v = gm_cbor_int(&in);
	uint32_t as_id = key.n >= 4 ? be32(key.p) : 0;
	struct gm_ended *ended = gm_ended_of(c, as_id);

	GM_TRY(done(&in));
	if (!ended || (key.n != 4 && key.n != 12))
		return GM_E_CORRUPT;
	if (key.n == 12) {
		gm_token_seen_add(c, as_id, (uint64_t)be32(key.p + 4) << 32 | be32(key.p + 8), v);
		return GM_E_OK;
	}
	*ended = (struct gm_ended){.seq = (uint64_t)v, .any = true};
	return GM_E_OK;
}

/* The rest of META is the store's. */
static enum gm_err load_meta(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in;

	if (!gm_bytes_is(key, NEXT_AS) && !gm_bytes_is(key, FORGOTTEN))
		return GM_E_OK;
	in = open_record(value, 1);
	if (gm_bytes_is(key, NEXT_AS))
		c->next_as = take_u32(&in, UINT32_MAX);
	else
		c->forgotten = gm_cbor_int(&in);
	return done(&in);
}

static enum gm_err load_revoked(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	uint64_t form;
	struct gm_in in = open_either(value, &form, 1, 2);
	int64_t exp = gm_cbor_int(&in);
	uint64_t age = form == FORM_REVOKED ? gm_cbor_uint(&in) : 0;

	GM_TRY(done(&in));
	if (key.n != GM_TOKEN_HASH && key.n != GM_TOKEN_HASH + 4)
		return GM_E_CORRUPT;
	uint32_t as_id = key.n > GM_TOKEN_HASH ? be32(key.p + GM_TOKEN_HASH) : 0;
	if (gm_revoked_find(c, as_id, key.p) || (key.n > GM_TOKEN_HASH && !gm_as_find(c, as_id)))
		return GM_E_CORRUPT;
	gm_revoked_add(c, as_id, key.p, exp, age);
	return GM_E_OK;
}

enum gm_err gm_core_load(struct gm_core *core, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	static enum gm_err (*const load[GM_TABLE_N])(struct gm_core *, struct gm_bytes, struct gm_bytes) = {
	    [GM_TABLE_META] = load_meta,  [GM_TABLE_AS] = load_as,     [GM_TABLE_GROUP] = load_group,
	    [GM_TABLE_MEMBER] = load_member, [GM_TABLE_CTX] = load_assoc, [GM_TABLE_BAR] = load_bar,
	    [GM_TABLE_LEASE] = load_lease,   [GM_TABLE_SEEN] = load_seen,     [GM_TABLE_REVOKED] = load_revoked,
	    [GM_TABLE_DEVICE] = gm_device_load, [GM_TABLE_SCHEDULE] = gm_schedule_load,
	};
	return table < GM_TABLE_N ? load[table](core, key, value) : GM_E_CORRUPT;
}
