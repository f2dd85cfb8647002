/* SPDX-License-Identifier: Apache-2.0 */
/* What another process has changed since the records were read: it goes, from members to what they hang on, comes again as it is now,
 * in the order of a load, and the workers are told. */
#include "core/state.h"

#include <stdlib.h>

#include "gm/crypto.h"

struct reload {
	struct gm_turn t;
	const struct gm_changed_key *keys;
	size_t n;
	gm_core_fetch fetch;
	void *arg;
	uint32_t *idents; /* whose context went, and who has memberships */
	size_t idents_n, idents_cap;
	struct { /* highest numbers that have ended, of servers that went: their own records may be what they were */
		uint32_t id;
		struct gm_ended ended;
	} ended[GM_ASES_MAX + GM_GONE_MAX];
	unsigned ended_n;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- away */

static enum gm_err keep_ended(struct reload *r, uint32_t id, const struct gm_ended *ended)
{
	if (r->ended_n == sizeof(r->ended) / sizeof(*r->ended))
		return GM_E_CORRUPT;
	r->ended[r->ended_n].id = id;
	r->ended[r->ended_n++].ended = *ended;
	return GM_E_OK;
}

static enum gm_err unload_gone(struct reload *r, uint32_t id)
{
	struct gm_core *c = r->t.core;

	for (unsigned i = 0; i < c->gone_n; i++) {
		if (c->gone[i].id != id)
			continue;
		GM_TRY(keep_ended(r, id, &c->gone[i].ended));
		c->gone_n--;
		memmove(&c->gone[i], &c->gone[i + 1], (c->gone_n - i) * sizeof(*c->gone));
		break;
	}
	return GM_E_OK;
}

static enum gm_err unload_as(struct reload *r, struct gm_bytes key)
{
	struct gm_core *c = r->t.core;
	struct gm_as *as = key.n == 4 ? gm_as_find(c, be32(key.p)) : NULL;

	if (key.n == 5)
		return unload_gone(r, be32(key.p));
	if (!as)
		return GM_E_OK;
	if (as->ages.n) /* what it has revoked goes with it */
		return GM_E_CORRUPT;
	GM_TRY(keep_ended(r, as->id, &as->ended));
	gm_tell_as(&r->t, as, true);
	gm_heap_free(&as->ages);
	c->ases_n--;
	memmove(as, as + 1, (size_t)(c->ases + c->ases_n - as) * sizeof(*as));
	gm_wipe(&c->ases[c->ases_n], sizeof(*as));
	return GM_E_OK;
}

/* Of one that has members still the records have changed; else it went, and another one may be in its place. */
static enum gm_err unload_group(struct reload *r, struct gm_bytes key)
{
	struct gm_group *g = gm_groups_at(r->t.core, be32(key.p));

	if (!g)
		return GM_E_OK;
	if (g->members) {
		gm_groups_unload(r->t.core, g);
		return GM_E_OK;
	}
	gm_tell_group(&r->t, g, true);
	gm_groups_unlink(r->t.core, g);
	return GM_E_OK;
}

static struct gm_member *member_of(const struct gm_core *c, struct gm_bytes key)
{
	const struct gm_group *g = key.n == 8 ? gm_groups_at(c, be32(key.p)) : NULL;

	return g ? gm_groups_slot(c, g, be32(key.p + 4)) : NULL;
}

static enum gm_err unload_member(struct reload *r, struct gm_bytes key)
{
	struct gm_core *c = r->t.core;
	struct gm_member *m = member_of(c, key);

	if (!m)
		return GM_E_OK;
	struct gm_ident *ident = gm_ident_at(c, m->ident);
	struct gm_group *g = gm_groups_at(c, m->group);
	const struct gm_assoc *a = gm_assoc_at(c, ident->assoc);
	if (a)
		gm_tell_member(&r->t, m, a->save.id, true);
	gm_tell_cred(&r->t, m, true);
	if (m->sid_n)
		gm_map_remove(&g->sids, gm_sid_key(m->sid, m->sid_n), m->self);
	if (m->version < g->version)
		g->waiting--;
	gm_ident_drop_member(c, m);
	gm_groups_member_unload(c, m);
	gm_ident_tidy(c, ident);
	return GM_E_OK;
}

static struct gm_assoc *assoc_of(const struct gm_core *c, struct gm_bytes key)
{
	return key.n == 3 ? gm_assoc_in_place(c, GM_CTX_ID((uint32_t)key.p[0], (uint32_t)key.p[1] << 8 | key.p[2], 0)) : NULL;
}

static void note_ident(struct reload *r, const struct gm_ident *ident)
{
	if (r->idents_n == r->idents_cap) {
		r->idents_cap = r->idents_cap ? 2 * r->idents_cap : 64;
		r->idents = gm_must_alloc(r->idents, r->idents_cap * sizeof(*r->idents));
	}
	r->idents[r->idents_n++] = ident->self;
}

static enum gm_err unload_assoc(struct reload *r, struct gm_bytes key)
{
	struct gm_core *c = r->t.core;
	struct gm_assoc *a = assoc_of(c, key);

	if (!a)
		return GM_E_OK;
	const struct gm_ident *ident = gm_ident_at(c, a->ident);
	if (ident->members)
		note_ident(r, ident);
	if (!a->closing)
		gm_tell_ctx(&r->t, a, GM_CTX_DROP); /* and all memberships that are told under it */
	gm_assoc_forget(c, a);
	return GM_E_OK;
}

/* All: where one of them is cannot be seen from its key. They are few. */
static enum gm_err unload_bars(struct reload *r, struct gm_bytes key)
{
	struct gm_core *c = r->t.core;

	(void)key;
	for (uint32_t id = 1; id <= c->bars.made; id++) {
		struct gm_bar *b = gm_slab_at(&c->bars, id);
		if (b->expiry.pos)
			gm_bar_forget(c, b);
	}
	return GM_E_OK;
}

static enum gm_err unload_seen(struct reload *r, struct gm_bytes key)
{
	struct gm_ended *ended = key.n == 4 ? gm_ended_of(r->t.core, be32(key.p)) : NULL;

	if (ended)
		*ended = (struct gm_ended){0};
	if (key.n == 12)
		gm_token_seen_unload(r->t.core, be32(key.p), (uint64_t)be32(key.p + 4) << 32 | be32(key.p + 8));
	return GM_E_OK;
}

static enum gm_err unload_revoked(struct reload *r, struct gm_bytes key)
{
	struct gm_revoked *found = NULL;

	if (key.n == GM_TOKEN_HASH || key.n == GM_TOKEN_HASH + 4)
		found = gm_revoked_find(r->t.core, key.n > GM_TOKEN_HASH ? be32(key.p + GM_TOKEN_HASH) : 0, key.p);
	if (found)
		gm_revoked_unload(r->t.core, found);
	return GM_E_OK;
}

static enum gm_err unload_device(struct reload *r, struct gm_bytes key)
{
	gm_device_unload(r->t.core, key);
	return GM_E_OK;
}

static enum gm_err unload_schedule(struct reload *r, struct gm_bytes key)
{
	gm_schedule_unload(r->t.core, key);
	return GM_E_OK;
}

/* ---- told */

static void tell_as(struct reload *r, struct gm_bytes key)
{
	const struct gm_as *as = key.n == 4 ? gm_as_find(r->t.core, be32(key.p)) : NULL;

	if (as)
		gm_tell_as(&r->t, as, false);
}

static void tell_group(struct reload *r, struct gm_bytes key)
{
	const struct gm_group *g = gm_groups_at(r->t.core, be32(key.p));

	if (g)
		gm_tell_group(&r->t, g, false);
}

/* Its members are told of it, also where their own records are what they were. */
static void tell_assoc(struct reload *r, struct gm_bytes key)
{
	struct gm_core *c = r->t.core;
	const struct gm_assoc *a = assoc_of(c, key);

	if (!a)
		return;
	gm_load_tell_ctx(&r->t, a);
	for (uint32_t id = a->closing ? 0 : gm_ident_at(c, a->ident)->members; id;) {
		const struct gm_member *m = gm_slab_at(&c->members, id);
		gm_load_tell_member(&r->t, m);
		id = m->next;
	}
}

static void tell_member(struct reload *r, struct gm_bytes key)
{
	const struct gm_member *m = member_of(r->t.core, key);

	if (m)
		gm_load_tell_member(&r->t, m);
}

/* ---- the tables */

static const struct {
	enum gm_err (*unload)(struct reload *r, struct gm_bytes key);
	void (*tell)(struct reload *r, struct gm_bytes key);
	uint8_t together; /* records whose keys begin with so many same bytes go and come together; WHOLE: each is alone */
} tables[GM_TABLE_N] = {
#define WHOLE UINT8_MAX
    [GM_TABLE_META] = {NULL, NULL, WHOLE},
    [GM_TABLE_AS] = {unload_as, tell_as, WHOLE},
    [GM_TABLE_GROUP] = {unload_group, tell_group, 4},
    [GM_TABLE_MEMBER] = {unload_member, tell_member, WHOLE},
    [GM_TABLE_CTX] = {unload_assoc, tell_assoc, WHOLE},
    [GM_TABLE_BAR] = {unload_bars, NULL, 0},
    [GM_TABLE_LEASE] = {NULL, NULL, WHOLE},
    [GM_TABLE_SEEN] = {unload_seen, NULL, WHOLE},
    [GM_TABLE_REVOKED] = {unload_revoked, NULL, WHOLE},
    [GM_TABLE_DEVICE] = {unload_device, NULL, WHOLE},
    [GM_TABLE_SCHEDULE] = {unload_schedule, NULL, WHOLE},
};

static struct gm_bytes key_at(const struct reload *r, size_t i)
{
	const struct gm_changed_key *k = &r->keys[i];
	uint8_t together = tables[k->table].together;

	return (struct gm_bytes){k->key, together == WHOLE ? k->key_n : together};
}

/* One for all that go together: the first of them. */
static bool is_first(const struct reload *r, size_t i)
{
	const struct gm_changed_key *before = i ? &r->keys[i - 1] : NULL, *k = &r->keys[i];
	uint8_t together = tables[k->table].together;

	return together == WHOLE || !before || before->table != k->table || memcmp(before->key, k->key, together) != 0;
}

static enum gm_err unload_all(struct reload *r)
{
	for (size_t i = r->n; i-- > 0;) {
		enum gm_err (*unload)(struct reload *, struct gm_bytes) = tables[r->keys[i].table].unload;
		if (unload && is_first(r, i))
			GM_TRY(unload(r, key_at(r, i)));
	}
	return GM_E_OK;
}

static enum gm_err load(void *core, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	return gm_core_load(core, table, key, value);
}

static void ended_again(struct reload *r)
{
	for (unsigned i = 0; i < r->ended_n; i++) {
		struct gm_ended *ended = gm_ended_of(r->t.core, r->ended[i].id);
		if (ended)
			*ended = r->ended[i].ended;
	}
	r->ended_n = 0;
}

/* One that has members has records. */
static bool lacks_records(const struct reload *r, size_t i)
{
	const struct gm_group *g = r->keys[i].table == GM_TABLE_GROUP ? gm_groups_at(r->t.core, be32(r->keys[i].key)) : NULL;

	return g && !g->stale;
}

static enum gm_err load_all(struct reload *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct gm_changed_key *k = &r->keys[i];
		if (k->table > GM_TABLE_AS)
			ended_again(r);
		if (!is_first(r, i))
			continue;
		GM_TRY(r->fetch(r->arg, (enum gm_table)k->table, key_at(r, i), tables[k->table].together != WHOLE, load, r->t.core));
		if (lacks_records(r, i))
			return GM_E_CORRUPT;
	}
	ended_again(r);
	return GM_E_OK;
}

static void tell_all(struct reload *r, enum gm_table table)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->keys[i].table == (uint8_t)table && is_first(r, i))
			tables[table].tell(r, key_at(r, i));
}

static void see_orphans(const struct reload *r)
{
	struct gm_core *c = r->t.core;

	for (size_t i = 0; i < r->idents_n; i++) {
		const struct gm_ident *ident = gm_ident_at(c, r->idents[i]);
		c->load.orphans |= ident->members && !ident->assoc;
	}
}

enum gm_err gm_core_reload(struct gm_core *core, struct gm_txn *txn, const struct gm_changed_key *keys, size_t n, gm_core_fetch fetch,
                           void *arg)
{
	struct reload r = {.t = {core, txn}, .keys = keys, .n = n, .fetch = fetch, .arg = arg};
	enum gm_err err = GM_E_OK;

	for (size_t i = 0; i < n && err == GM_E_OK; i++)
		if (keys[i].table >= GM_TABLE_N || (keys[i].table == GM_TABLE_GROUP && keys[i].key_n < 4))
			err = GM_E_CORRUPT;
	if (err == GM_E_OK)
		err = unload_all(&r);
	if (err == GM_E_OK)
		err = load_all(&r);
	if (err == GM_E_OK) {
		tell_all(&r, GM_TABLE_AS);
		tell_all(&r, GM_TABLE_GROUP);
		tell_all(&r, GM_TABLE_CTX);
		tell_all(&r, GM_TABLE_MEMBER);
		see_orphans(&r);
	}
	free(r.idents);
	return err;
}
