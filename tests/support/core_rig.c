/* SPDX-License-Identifier: Apache-2.0 */
#include "core_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/cbor.h"

#define T0 1700000000

/* ---- watching */

/* Ends the program: what a suite expects in its .fini does not count. */
static void fault(struct core_rig *r, const char *what)
{
	(void)r;
	fprintf(stderr, "rig: %s\n", what);
	abort();
}

static void give(struct core_rig *r, const uint8_t *gid, const uint8_t *sid, uint8_t sid_n, bool anew)
{
	for (size_t i = 0; i < r->givens; i++) {
		struct rig_given *g = &r->given[i];
		if (memcmp(g->gid, gid, 7) == 0 && g->sid_n == sid_n && memcmp(g->sid, sid, sid_n) == 0) {
			if (anew)
				fault(r, "a Sender ID given twice under a Gid");
			return;
		}
	}
	r->given = realloc(r->given, (r->givens + 1) * sizeof(*r->given));
	struct rig_given *g = &r->given[r->givens++];
	memset(g, 0, sizeof(*g));
	memcpy(g->gid, gid, 7);
	memcpy(g->sid, sid, sid_n);
	g->sid_n = sid_n;
}

static struct rig_mirror *mirror_at(struct core_rig *r, gm_ctx_id ctx, uint32_t group)
{
	for (size_t i = 0; i < r->mirrors; i++)
		if (r->mirror[i].ctx == ctx && r->mirror[i].group == group)
			return &r->mirror[i];
	return NULL;
}

static void drop_mirror(struct core_rig *r, gm_ctx_id ctx, uint32_t group)
{
	struct rig_mirror *m = mirror_at(r, ctx, group);

	if (!m)
		fault(r, "a mirror removed that is not there");
	else
		*m = r->mirror[--r->mirrors];
}

static void see_member(struct core_rig *r, const struct gm_eff_member *e)
{
	struct rig_mirror *m = mirror_at(r, e->ctx, e->group);

	if (e->remove) {
		drop_mirror(r, e->ctx, e->group);
		return;
	}
	if (!m) {
		r->mirror = realloc(r->mirror, (r->mirrors + 1) * sizeof(*r->mirror));
		m = &r->mirror[r->mirrors++];
		memset(m, 0, sizeof(*m));
	}
	m->group = e->group;
	m->slot = e->slot;
	m->ctx = e->ctx;
	m->sid_n = e->sid_n;
	memcpy(m->sid, e->sid, sizeof(m->sid));
	m->delivery = e->delivery;
	memcpy(m->node, e->node, e->node_n);
}

static void see_joined(struct core_rig *r, const struct gm_eff_joined *e)
{
	struct rig_mirror *m = mirror_at(r, e->ctx, e->group);

	if (!m || m->slot != e->slot)
		fault(r, "JOINED without its mirror");
	else if (m->sid_n)
		give(r, r->view[e->group].gid, m->sid, m->sid_n, true);
}

/* Whoever goes in this turn went before the group's new keys. */
static bool goes(const struct core_rig *r, const struct rig_mirror *m)
{
	for (size_t i = 0; i < r->effects_n; i++) {
		const struct gm_eff_evict *evict = (const void *)r->effect[i];
		const struct gm_eff_member *e = (const void *)r->effect[i];
		if (evict->rec.type == GM_EFF_EVICT && evict->ctx == m->ctx && evict->group == m->group)
			return true;
		if (e->rec.type == GM_EFF_MEMBER && e->remove && e->ctx == m->ctx && e->group == m->group)
			return true;
	}
	return false;
}

static void see_group(struct core_rig *r, const struct gm_eff_group *e)
{
	struct gm_group_view *v = &r->view[e->view.index];

	if (e->remove)
		memset(v, 0, sizeof(*v));
	else
		*v = e->view;
	for (size_t i = 0; !e->remove && i < r->mirrors; i++)
		if (r->mirror[i].group == e->view.index && r->mirror[i].sid_n && !goes(r, &r->mirror[i]))
			give(r, v->gid, r->mirror[i].sid, r->mirror[i].sid_n, false);
}

static void check_owner(struct core_rig *r, const struct gm_rec *rec, gm_ctx_id ctx)
{
	if (rec->worker != gm_dp_shard_owner(GM_CTX_SHARD(ctx), r->config.workers))
		fault(r, "an effect for a worker that does not own the context");
}

static void see(struct core_rig *r, const struct gm_rec *rec)
{
	if (rec->type == GM_EFF_MEMBER) {
		check_owner(r, rec, ((const struct gm_eff_member *)rec)->ctx);
		see_member(r, (const void *)rec);
	} else if (rec->type == GM_EFF_EVICT) {
		check_owner(r, rec, ((const struct gm_eff_evict *)rec)->ctx);
		drop_mirror(r, ((const struct gm_eff_evict *)rec)->ctx, ((const struct gm_eff_evict *)rec)->group);
	} else if (rec->type == GM_EFF_JOINED) {
		check_owner(r, rec, ((const struct gm_eff_joined *)rec)->ctx);
		see_joined(r, (const void *)rec);
	} else if (rec->type == GM_EFF_CTX) {
		check_owner(r, rec, ((const struct gm_eff_ctx *)rec)->save.id);
		if (((const struct gm_eff_ctx *)rec)->op == GM_CTX_LOAD)
			r->loaded = ((const struct gm_eff_ctx *)rec)->save;
	} else if (rec->type == GM_EFF_GROUP && rec->worker == 0) {
		see_group(r, (const void *)rec);
	}
}

/* ---- turns */

static void forget_effects(struct core_rig *r)
{
	for (size_t i = 0; i < r->effects_n; i++) {
		if (r->effect[i]->type == GM_EFF_JOINED)
			free(((struct gm_eff_joined *)r->effect[i])->creds_blob);
		if (r->effect[i]->type == GM_EFF_REPLY)
			free(((struct gm_eff_reply *)r->effect[i])->blob);
		free(r->effect[i]);
	}
	r->effects_n = 0;
}

void rig_turn(struct core_rig *r)
{
	uint8_t seed[32] = {0};

	r->seed++;
	memcpy(seed, &r->seed, sizeof(r->seed));
	forget_effects(r);
	r->txn =
	    (struct gm_txn){.wall_s = r->wall_s, .mono_ms = r->mono_ms, .changes = &r->changes, .effects = &r->effects,
	                    .utc_offset_s = r->utc_offset ? r->utc_offset(r->wall_s) : 0, .disk_low = r->disk_low};
	gm_random_from(r->txn.dice, sizeof(r->txn.dice), seed);
}

static struct rig_record *record_at(struct core_rig *r, enum gm_table table, const uint8_t *key, size_t key_n)
{
	for (size_t i = 0; i < r->records; i++)
		if (r->record[i].table == table && r->record[i].key_n == key_n &&
		    memcmp(r->record[i].key, key, key_n) == 0)
			return &r->record[i];
	return NULL;
}

static void commit(struct core_rig *r)
{
	for (const struct gm_change *c = NULL; (c = gm_changes_next(&r->changes, c));) {
		if (entries_take(&r->entries, c))
			continue;
		struct rig_record *rec = record_at(r, (enum gm_table)c->table, c->bytes, c->key_n);
		if (c->remove) {
			if (rec) {
				free(rec->value);
				*rec = r->record[--r->records];
			}
			continue;
		}
		if (!rec) {
			r->record = realloc(r->record, (r->records + 1) * sizeof(*r->record));
			rec = &r->record[r->records++];
			memset(rec, 0, sizeof(*rec));
			rec->table = (enum gm_table)c->table;
			rec->key_n = c->key_n;
			memcpy(rec->key, c->bytes, c->key_n);
		}
		rec->value = realloc(rec->value, c->value_n ? c->value_n : 1);
		rec->value_n = c->value_n;
		memcpy(rec->value, c->bytes + c->key_n, c->value_n);
	}
	gm_changed_note(&r->changed, &r->changes);
	gm_changes_reset(&r->changes);
}

void rig_turn_end(struct core_rig *r)
{
	commit(r);
	for (unsigned w = 0; w < r->config.workers; w++) {
		const struct gm_effect_buf *b = &r->effects.to[w];
		for (size_t at = 0; at < b->n;) {
			const struct gm_rec *rec = (const void *)(b->bytes + at);
			r->effect = realloc(r->effect, (r->effects_n + 1) * sizeof(*r->effect));
			r->effect[r->effects_n] = malloc(rec->len);
			memcpy(r->effect[r->effects_n++], rec, rec->len);
			if (rec->worker != w || rec->len % 8 || rec->len < sizeof(*rec))
				fault(r, "a malformed effect");
			at += rec->len;
		}
	}
	gm_effects_reset(&r->effects);
	for (size_t i = 0; i < r->effects_n;
	     i++) /* groups go first: their order against other workers is not kept here */
		if (r->effect[i]->type == GM_EFF_GROUP)
			see(r, r->effect[i]);
	for (size_t i = 0; i < r->effects_n; i++)
		if (r->effect[i]->type != GM_EFF_GROUP)
			see(r, r->effect[i]);
}

void rig_pass(struct core_rig *r, uint64_t ms)
{
	r->mono_ms += ms;
	r->wall_s = T0 + (int64_t)(r->mono_ms / 1000);
	rig_turn(r);
	gm_core_tick(r->core, &r->txn);
	rig_turn_end(r);
}

static void hand_down(struct core_rig *r)
{
	rig_turn(r); /* all portions, so that their effects are seen together */
	while (gm_core_loaded(r->core, &r->txn))
		continue;
	rig_turn_end(r);
}

static int by_key(const void *a, const void *b)
{
	const struct rig_record *x = a, *y = b;
	size_t n = x->key_n < y->key_n ? x->key_n : y->key_n;
	int order = x->table != y->table ? (int)x->table - (int)y->table : memcmp(x->key, y->key, n);

	return order ? order : (int)x->key_n - (int)y->key_n;
}

void rig_restart(struct core_rig *r)
{
	gm_core_free(r->core);
	r->core = gm_core_new(&r->config);
	r->mirrors = 0;
	qsort(r->record, r->records, sizeof(*r->record), by_key);
	for (size_t i = 0; i < r->records; i++) {
		struct rig_record *rec = &r->record[i];
		if (gm_core_load(r->core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
		                 (struct gm_bytes){rec->value, rec->value_n}) != GM_E_OK)
			fault(r, "a record that does not load");
	}
	hand_down(r);
}

void rig_start(struct core_rig *r, unsigned workers)
{
	struct gm_as_spec as = {.name = "as1",
	                        .issuer = "coap://as1",
	                        .uri = "coap://as1/token",
	                        .key = {.alg = 10, .key_n = 16, .key = {1, 2, 3}}};

	*r = (struct core_rig){.config = {.workers = workers,
	                                  .contexts_max = 1000,
	                                  .members_max = 1000,
	                                  .groups_max = 64,
	                                  .pending_per_token = 4,
	                                  .pending_s = 60,
	                                  .rekey_window_ms = 1000,
	                                  .rekey_deadline_ms = 5000,
	                                  .distribution_max_ms = 30000,
	                                  .audience = "gm1"},
	                       .wall_s = T0,
	                       .next_ctx = 1};
	if (!gm_crypto_init())
		abort();
	r->core = gm_core_new(&r->config);
	r->effects.workers = workers;
	hand_down(r);
	rig_turn(r);
	if (gm_core_as_add(r->core, &r->txn, &as) != GM_E_OK)
		fault(r, "no authorization server");
	rig_turn_end(r);
}

void rig_stop(struct core_rig *r)
{
	forget_effects(r);
	for (size_t i = 0; i < r->records; i++)
		free(r->record[i].value);
	free(r->record);
	entries_free(&r->entries);
	free(r->effect);
	free(r->mirror);
	free(r->given);
	gm_core_free(r->core);
	gm_changes_free(&r->changes);
	gm_changed_end(&r->changed);
	gm_effects_free(&r->effects);
}

/* ---- what an operator can see */

static bool dump_group(void *arg, const struct gm_group_info *i)
{
	fprintf(arg, "group %s %u v%llu members %u gid ", i->name, i->index, (unsigned long long)i->version,
	        i->members);
	for (unsigned k = 0; k < i->gid_n; k++)
		fprintf(arg, "%02x", i->gid[k]);
	fprintf(arg, " sid_len %u stale %u/%u now %u exp %lld rekey %lld %s active %d %s\n", i->sid_len, i->stale_sets,
	        i->max_stale_sets, i->stale_now, (long long)i->exp, (long long)i->last_rekey, i->last_reason, i->active,
	        strcmp(i->state, "idle") ? "busy" : "idle");
	return true;
}

static bool dump_member(void *arg, const struct gm_member_info *i)
{
	fprintf(arg, "member %s/%s slot %u as %s ctx %08x sid ", i->group, i->node, i->slot, i->as, i->ctx);
	for (unsigned k = 0; k < i->sid_n; k++)
		fprintf(arg, "%02x", i->sid[k]);
	fprintf(arg, " roles %u delivery %d joined %lld exp %lld\n", i->roles, i->delivery, (long long)i->joined,
	        (long long)i->token_exp);
	return true;
}

static bool dump_as(void *arg, const struct gm_as_info *i)
{
	fprintf(arg, "as %u %s %s alg %d\n", i->id, i->name, i->issuer, i->alg);
	return true;
}

char *rig_dump(const struct core_rig *r)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	struct gm_core_status s;

	gm_core_status(r->core, &s);
	fprintf(f, "groups %u members %u contexts %u bars %u ases %u\n", s.groups, s.members, s.contexts, s.bars,
	        s.ases);
	(void)!gm_core_groups(r->core, NULL, dump_group, f);
	(void)!gm_core_members(r->core, NULL, NULL, UINT32_MAX, dump_member, f);
	gm_core_ases(r->core, dump_as, f);
	fclose(f);
	return text;
}

static bool take_info(void *arg, const struct gm_group_info *i)
{
	*(struct gm_group_info *)arg = *i;
	return false;
}

struct gm_group_info rig_info(const struct core_rig *r, const char *group)
{
	struct gm_group_info info = {.name = NULL};

	(void)!gm_core_groups(r->core, group, take_info, &info);
	return info;
}

/* ---- groups and clients */

struct gm_group_spec rig_group_spec(const char *name)
{
	struct gm_group_spec spec = gm_group_spec_default();

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	spec.max_members = 100;
	spec.max_stale_sets = 3;
	spec.key_lifetime_s = 100 * 86400;
	return spec;
}

enum gm_err rig_group(struct core_rig *r, const struct gm_group_spec *spec)
{
	rig_turn(r);
	enum gm_err err = gm_core_group_create(r->core, &r->txn, spec);
	rig_turn_end(r);
	return err;
}

void rig_scope_add(struct rig_client *c, const char *group, uint32_t roles)
{
	struct gm_out o = gm_out(c->scope + c->scope_n, sizeof(c->scope) - c->scope_n);

	if (c->scope_n == 0) {
		gm_out_u8(&o, 0x80);
		c->scope_n = 1;
	}
	gm_join_scope_encode(&o, (struct gm_bytes){(const uint8_t *)group, strlen(group)}, roles);
	c->scope_n = (size_t)(o.p - c->scope);
	c->scope[0]++;
}

struct rig_client rig_client(unsigned n, const char *group, uint32_t roles)
{
	struct rig_client c = {
	    .osc_id = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 7}, .exp = T0 + 86400, .exi = -1, .as_id = 1};

	rig_scope_add(&c, group, roles);
	return c;
}

/* ---- events */

struct event {
	_Alignas(8) uint8_t b[8192];
	uint32_t n;
};

static struct gm_slice add(struct event *e, const void *p, size_t n)
{
	struct gm_slice s = {e->n, (uint32_t)n};

	if (!p)
		return (struct gm_slice){0, 0};
	memcpy(e->b + e->n, p, n);
	e->n += (uint32_t)((n + 7) & ~(size_t)7);
	return s;
}

static struct gm_slice add_text(struct event *e, const char *s)
{
	return add(e, s, s ? strlen(s) : 0);
}

static void apply(struct core_rig *r, struct event *e, enum gm_ev type, unsigned worker)
{
	struct gm_rec *rec = (void *)e->b;

	*rec = (struct gm_rec){.type = (uint16_t)type, .worker = (uint16_t)worker, .len = e->n};
	rig_turn(r);
	gm_core_apply(r->core, &r->txn, rec);
	rig_turn_end(r);
}

struct rig_token rig_token_of(const struct rig_client *c)
{
	return (struct rig_token){
	    .client = c, .iss = "coap://as1", .aud = "gm1", .exp = c->exp, .nbf = -1, .exi = c->exi, .as_id = c->as_id};
}

struct gm_bytes rig_hash(const struct rig_client *c)
{
	static uint8_t hash[GM_TOKEN_HASH];

	memset(hash, 0, sizeof(hash));
	hash[0] = 1;
	hash[1] = (uint8_t)c->as_id;
	memcpy(hash + 2, c->osc_id, sizeof(c->osc_id));
	hash[7] = c->token;
	return (struct gm_bytes){hash, sizeof(hash)};
}

static void fill_token(struct event *e, const struct rig_token *t)
{
	struct gm_ev_token *ev = (void *)e->b;
	char cti[32];

	e->n = (sizeof(*ev) + 7) & ~7u;
	memset(ev, 0, sizeof(*ev));

	ev->rec.len = e->n; /* inside an update there is nobody else to set it */
	ev->xid = t->xid ? t->xid : 1;
	ev->peer = t->peer;
	ev->as_id = t->reference.p ? 0 : t->as_id;
	memcpy(ev->hash, rig_hash(t->client).p, sizeof(ev->hash));
	ev->sign_info = t->sign_info;
	ev->ecdh_info = t->ecdh_info;
	ev->kdc_dh_creds = t->kdc_dh_creds;
	if (t->reference.p) {
		ev->exp = ev->nbf = ev->exi = -1;
		ev->reference = add(e, t->reference.p, t->reference.n);
		return;
	}
	ev->exp = t->exp;
	ev->nbf = t->nbf;
	ev->exi = t->exi;
	ev->iss = add_text(e, t->iss);
	ev->aud = add_text(e, t->aud);
	snprintf(cti, sizeof(cti), "gm1%c%c", (char)(t->cti >> 8), (char)t->cti);
	ev->cti = add(e, cti, 5);
	ev->scope = add(e, t->no_scope ? NULL : t->client->scope, t->client->scope_n);
	ev->osc_id = add(e, t->client->osc_id, sizeof(t->client->osc_id));
	ev->bad = (uint8_t)t->bad;
}

struct gm_as_spec rig_as_spec(const char *name)
{
	struct gm_as_spec as = {.key = {.alg = 10, .key_n = 16, .key = {4, 5, 6}},
	                        .link = {.peer.port = 5690, .ms_n = 16, .sid_n = 1, .rid_n = 1, .rid = {1}, .alg = 10}};

	as.key.key[3] = (uint8_t)name[strlen(name) - 1]; /* a key of its own */
	snprintf(as.name, sizeof(as.name), "%s", name);
	snprintf(as.issuer, sizeof(as.issuer), "coap://%s", name);
	return as;
}

enum gm_err rig_as(struct core_rig *r, const struct gm_as_spec *spec)
{
	rig_turn(r);
	enum gm_err err = gm_core_as_add(r->core, &r->txn, spec);
	rig_turn_end(r);
	return err;
}

void rig_answered(struct core_rig *r, const struct rig_answered *a)
{
	static struct { _Alignas(8) uint8_t b[sizeof(struct gm_ev_answered) + GM_ANSWER_MAX]; } room;
	struct gm_ev_answered *ev = (void *)room.b;

	*ev = (struct gm_ev_answered){.rec = {.type = GM_EV_ANSWERED},
	                              .as_id = a->as_id,
	                              .ask = a->ask,
	                              .err = (uint8_t)a->err,
	                              .code = a->code,
	                              .observed = a->observed,
	                              .content_format = a->format};
	if (a->payload.p) {
		ev->payload = (struct gm_slice){sizeof(*ev), (uint32_t)a->payload.n};
		memcpy(room.b + sizeof(*ev), a->payload.p, a->payload.n);
	}
	ev->rec.worker = (uint16_t)(a->as_id % r->config.workers);
	ev->rec.len = (uint32_t)(sizeof(*ev) + a->payload.n);
	rig_turn(r);
	gm_core_apply(r->core, &r->txn, &ev->rec);
	gm_core_tick(r->core, &r->txn);
	rig_turn_end(r);
}

const struct gm_eff_ask *rig_ask(const struct core_rig *r, unsigned nth)
{
	return rig_effect(r, GM_EFF_ASK, nth);
}

const struct gm_eff_token *rig_token_post(struct core_rig *r, const struct rig_token *t)
{
	struct event e;

	fill_token(&e, t);
	apply(r, &e, GM_EV_TOKEN, 0);
	return rig_effect(r, GM_EFF_TOKEN, 0);
}

enum gm_err rig_token(struct core_rig *r, struct rig_client *c)
{
	struct rig_token t = rig_token_of(c);
	const struct gm_eff_token *e = rig_token_post(r, &t);

	if (e->err == GM_E_OK) {
		unsigned n = r->next_ctx++;
		c->ctx = GM_CTX_ID(n % 256, n / 256, 1);
		c->confirmed = false;
		c->exp = e->exp;
		c->post = e->post;
	}
	return (enum gm_err)e->err;
}

static struct gm_ev_request *begin_request(const struct rig_client *c, struct event *e)
{
	struct gm_ev_request *ev = (void *)e->b;

	e->n = (sizeof(*ev) + 7) & ~7u;
	memset(ev, 0, sizeof(*ev));
	ev->xid = 9;
	ev->ctx = c->ctx;
	ev->content_format = -1;
	ev->token_n = ev->piv_n = 1;
	if (c->confirmed)
		return ev;
	ev->flags |= GM_REQ_CONFIRM;
	ev->confirm.save.id = c->ctx;
	ev->confirm.save.sid_n = 1;
	ev->confirm.save.alg = c->osc_alg ? c->osc_alg : 10;
	const struct gm_aead_info *aead = gm_aead_info(ev->confirm.save.alg);
	memset(ev->confirm.save.send_key, 0xa0 | c->osc_id[2], aead->key_len);
	memset(ev->confirm.save.recv_key, 0xb0 | c->osc_id[2], aead->key_len);
	memset(ev->confirm.save.common_iv, 0xc0 | c->osc_id[2], aead->nonce_len);
	ev->confirm.as_id = c->as_id;
	ev->confirm.post = c->post;
	ev->confirm.exp = c->exp;
	ev->confirm.exi = c->exi;
	memcpy(ev->confirm.hash, rig_hash(c).p, sizeof(ev->confirm.hash));
	ev->confirm.scope = add(e, c->scope, c->scope_n);
	ev->confirm.osc_id = add(e, c->osc_id, sizeof(c->osc_id));
	ev->confirm.cti = add(e, "cti", 3);
	return ev;
}

static int problem_id(struct gm_bytes body)
{
	struct gm_in in = gm_in_bytes(body);

	gm_cbor_map(&in);
	gm_cbor_uint(&in);
	gm_cbor_map(&in);
	gm_cbor_uint(&in);
	return (int)gm_cbor_uint(&in);
}

static struct rig_answer answer_of(const struct core_rig *r, gm_ctx_id ctx)
{
	struct rig_answer a = {.ace_id = -1, .format = -1};

	for (size_t i = 0; i < r->effects_n; i++) {
		const struct gm_rec *rec = r->effect[i];
		const struct gm_eff_reply *reply = (const void *)rec;
		const struct gm_eff_joined *joined = (const void *)rec;
		const struct gm_eff_keys *keys = (const void *)rec;
		if (rec->type == GM_EFF_REPLY && reply->ctx == ctx) {
			a = (struct rig_answer){.type = rec->type,
			                        .code = reply->code,
			                        .ace_id = -1,
			                        .format = reply->content_format,
			                        .max_age = reply->max_age,
			                        .flags = reply->flags,
			                        .payload = gm_rec_bytes(reply, reply->payload)};
			if (reply->blob)
				a.payload = (struct gm_bytes){reply->blob, reply->blob_n};
			if (reply->content_format == 257)
				a.ace_id = problem_id(a.payload);
		} else if (rec->type == GM_EFF_JOINED && joined->ctx == ctx) {
			a = (struct rig_answer){.type = rec->type,
			                        .code = joined->code,
			                        .ace_id = -1,
			                        .group = joined->group,
			                        .slot = joined->slot,
			                        .creds = gm_rec_bytes(joined, joined->creds)};
			if (joined->creds_blob)
				a.creds = (struct gm_bytes){joined->creds_blob, joined->creds_blob_n};
		} else if (rec->type == GM_EFF_KEYS && keys->ctx == ctx) {
			a = (struct rig_answer){.type = rec->type,
			                        .code = GM_COAP(2, 5),
			                        .ace_id = -1,
			                        .group = keys->group,
			                        .slot = keys->slot,
			                        .observing = keys->observing,
			                        .with_sid = keys->with_sid};
		}
	}
	return a;
}

static struct rig_answer finish_request(struct core_rig *r, struct rig_client *c, struct event *e)
{
	apply(r, e, GM_EV_REQUEST, gm_dp_shard_owner(GM_CTX_SHARD(c->ctx), r->config.workers));
	for (unsigned i = 0; i < rig_effects(r, GM_EFF_CTX); i++) {
		const struct gm_eff_ctx *x = rig_effect(r, GM_EFF_CTX, i);
		c->confirmed |= x->op == GM_CTX_CONFIRM && x->save.id == c->ctx;
	}
	return answer_of(r, c->ctx);
}

struct rig_answer rig_request(struct core_rig *r, struct rig_client *c, const struct rig_request *q)
{
	struct event e;
	struct gm_ev_request *ev = begin_request(c, &e);

	ev->method = q->method;
	ev->res = q->res;
	ev->flags |= q->flags;
	ev->bad = q->bad;
	ev->group = add_text(&e, q->group);
	ev->node = add_text(&e, q->node);
	ev->payload = add(&e, q->payload.p, q->payload.n);
	ev->token[0] = 0x77;
	ev->piv[0] = 5;
	return finish_request(r, c, &e);
}

struct rig_answer rig_token_update(struct core_rig *r, struct rig_client *c, const struct rig_token *t)
{
	struct event e, token;
	struct gm_ev_request *ev = begin_request(c, &e);

	fill_token(&token, t);
	ev->method = 2;
	ev->res = GM_RES_AUTHZ_INFO;
	ev->update = add(&e, token.b, token.n);
	return finish_request(r, c, &e);
}

struct rig_answer rig_join(struct core_rig *r, struct rig_client *c, const struct rig_join *j)
{
	struct event e;
	struct gm_ev_request *ev = begin_request(c, &e);
	uint8_t scope[128];
	struct gm_out o = gm_out(scope, sizeof(scope));
	const char *name = j->scope_name ? j->scope_name : j->group;
	struct gm_group_info info = rig_info(r, j->group);

	gm_join_scope_encode(&o, (struct gm_bytes){(const uint8_t *)name, strlen(name)}, j->roles);
	ev->method = 2;
	ev->res = GM_RES_GROUP;
	ev->group = add_text(&e, j->group);
	if (j->upload_to) {
		ev->res = GM_RES_NODE_CRED;
		ev->node = add_text(&e, j->upload_to);
	}
	ev->join.parse = (uint8_t)j->parse;
	ev->join.cred = (uint8_t)j->cred_err;
	ev->join.pop = (uint8_t)j->pop;
	ev->join.get_creds = j->get_creds;
	ev->join.role_filter_n = j->role_filter_n;
	memcpy(ev->join.role_filter, j->role_filter, sizeof(j->role_filter));
	ev->join.has_cred = j->cred != NULL;
	ev->join.has_verify = !j->no_verify;
	ev->join.has_control = j->control;
	ev->join.control_port = j->control ? 5690 : 0;
	ev->join.roles = j->roles;
	ev->join.group_gen = (info.name ? r->view[info.index].gen : 0) + j->gen_off;
	ev->join.scope = add(&e, scope, gm_out_len(&o));
	ev->join.scope_name = add_text(&e, name);
	ev->join.client_cred = add_text(&e, j->cred);
	ev->join.verify = add_text(&e, j->no_verify ? NULL : j->empty_verify ? "" : "proof");
	ev->join.cnonce = add_text(&e, j->no_cnonce ? NULL : "nonce678");
	ev->join.control_path = add_text(&e, j->control ? "/gm" : NULL);
	return finish_request(r, c, &e);
}

struct rig_client rig_member(struct core_rig *r, unsigned n, const char *group, uint32_t roles)
{
	struct rig_client c = rig_client(n, group, roles);
	char cred[32];
	struct rig_join j = {.group = group, .roles = roles, .cred = cred};

	snprintf(cred, sizeof(cred), "credential-%u", n);
	if (rig_token(r, &c) != GM_E_OK || rig_join(r, &c, &j).type != GM_EFF_JOINED)
		fault(r, "a member that cannot join");
	return c;
}

/* ---- looking */

const void *rig_effect(const struct core_rig *r, enum gm_eff type, unsigned nth)
{
	for (size_t i = 0; i < r->effects_n; i++)
		if (r->effect[i]->type == type && nth-- == 0)
			return r->effect[i];
	return NULL;
}

unsigned rig_effects(const struct core_rig *r, enum gm_eff type)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->effects_n; i++)
		n += r->effect[i]->type == type;
	return n;
}

const struct rig_mirror *rig_mirror_of(const struct core_rig *r, gm_ctx_id ctx, const char *group)
{
	for (size_t i = 0; i < r->mirrors; i++)
		if (r->mirror[i].ctx == ctx && r->mirror[i].group == rig_info(r, group).index)
			return &r->mirror[i];
	return NULL;
}

static void deliver(struct core_rig *r, const char *group, bool done, enum gm_fate fate)
{
	struct gm_group_info info = rig_info(r, group);

	for (unsigned w = 0; w < r->config.workers; w++) {
		struct event e = {.n = sizeof(struct gm_ev_delivered)};
		struct gm_ev_delivered *ev = (void *)e.b;
		ev->group = info.index;
		ev->version = info.version;
		ev->walk_done = done;
		for (size_t i = 0; i < r->mirrors; i++) {
			const struct rig_mirror *m = &r->mirror[i];
			if (m->group != info.index || gm_dp_shard_owner(GM_CTX_SHARD(m->ctx), r->config.workers) != w)
				continue;
			ev->item[ev->n].slot = m->slot;
			ev->item[ev->n++].fate = (uint8_t)fate;
			e.n += (uint32_t)sizeof(ev->item[0]);
		}
		apply(r, &e, GM_EV_DELIVERED, w);
	}
}

void rig_delivered(struct core_rig *r, const char *group, bool done)
{
	deliver(r, group, done, GM_FATE_CONFIRMED);
}

void rig_late(struct core_rig *r, const char *group, bool done)
{
	deliver(r, group, done, GM_FATE_LATE);
}

void rig_closed(struct core_rig *r, gm_ctx_id ctx)
{
	struct event e = {.n = sizeof(struct gm_ev_closed)};
	struct gm_ev_closed *ev = (void *)e.b;

	ev->ctx = ctx;
	ev->told = 1;
	apply(r, &e, GM_EV_CLOSED, gm_dp_shard_owner(GM_CTX_SHARD(ctx), r->config.workers));
}
