/* SPDX-License-Identifier: Apache-2.0 */
/* Memberships that end against the member's will. */
#include <stdlib.h>

#include "core/state.h"
#include "gm/crypto.h"


/* Does the token still open a group that the operator has not barred? */
static bool may_still_join(const struct gm_core *c, const struct gm_ident *ident, const struct gm_assoc *a)
{
	struct gm_scope_iter it = gm_scope_iter(gm_assoc_scope(c, a));
	struct gm_scope_entry e;

	while (gm_scope_next(&it, &e)) {
		if (e.admin || !gm_ident_bar(c, ident, e.name))
			return true;
	}
	return false;
}

static void close_if_useless(struct gm_turn *t, struct gm_ident *ident)
{
	struct gm_assoc *a = gm_assoc_at(t->core, ident->assoc);

	if (a && !ident->members && !may_still_join(t->core, ident, a))
		gm_assoc_close(t, a);
}

void gm_evict_all_of(struct gm_turn *t, struct gm_ident *ident, enum gm_err notice, enum gm_reason reason,
                     enum gm_haste haste, unsigned *evicted)
{
	uint32_t next;

	for (uint32_t id = ident->members; id; id = next, (*evicted)++) {
		struct gm_member *m = gm_slab_at(&t->core->members, id);
		next = m->next;
		gm_members_remove(t, m, notice, reason, haste);
	}
}

void gm_evict_expired(struct gm_turn *t, struct gm_assoc *a)
{
	struct gm_ident *ident = gm_ident_at(t->core, a->ident);
	unsigned n = 0;

	if (ident->assoc == a->self)
		gm_evict_all_of(t, ident, GM_E_TOKEN_EXPIRED, GM_REASON_EXPIRED, GM_HASTE_WINDOW, &n);
	t->core->count.expiries += n;
	gm_core_log(t->core, "token.expired ctx=%08x memberships=%u", a->save.id, n);
	gm_assoc_close(t, a);
}

static void bar_scope(struct gm_turn *t, struct gm_ident *ident)
{
	struct gm_assoc *a = gm_assoc_at(t->core, ident->assoc);
	struct gm_scope_iter it;
	struct gm_scope_entry e;

	if (!a)
		return;
	it = gm_scope_iter(gm_assoc_scope(t->core, a));
	while (gm_scope_next(&it, &e)) {
		if (!e.admin && gm_groups_find(t->core, e.name))
			gm_bar_set(t, ident, e.name, a->exp);
	}
}

/* ---- whom the operator means */

static struct gm_bytes text_bytes(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

static struct gm_ident *device_by_node(const struct gm_core *c, const char *text)
{
	const char *slash = strchr(text, '/');
	struct gm_group *g =
	    slash ? gm_groups_find(c, (struct gm_bytes){(const uint8_t *)text, (size_t)(slash - text)}) : NULL;
	struct gm_member *m = g ? gm_groups_node(c, g, text_bytes(slash + 1)) : NULL;

	return m ? gm_ident_at(c, m->ident) : NULL;
}

unsigned gm_evict_idents(const struct gm_core *c, const char *text, uint32_t **idents)
{
	const struct gm_ident *ident = strchr(text, '/') ? device_by_node(c, text) : NULL;

	if (!strchr(text, '/'))
		return gm_device_idents(c, text, idents);
	*idents = NULL;
	if (!ident)
		return 0;
	*idents = gm_must_alloc(NULL, sizeof(**idents));
	**idents = ident->self;
	return 1;
}

static int by_number(const void *a, const void *b)
{
	const gm_ctx_id *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

unsigned gm_core_device(const struct gm_core *core, const char *node, gm_ctx_id **ctx)
{
	uint32_t *idents;
	unsigned n = gm_evict_idents(core, node, &idents), known = 0;

	*ctx = n ? gm_must_alloc(NULL, n * sizeof(**ctx)) : NULL;
	for (unsigned i = 0; i < n; i++) {
		const struct gm_assoc *a = gm_assoc_at(core, gm_ident_at(core, idents[i])->assoc);
		if (a)
			(*ctx)[known++] = a->save.id;
	}
	free(idents);
	if (known)
		qsort(*ctx, known, sizeof(**ctx), by_number);
	return known;
}

static void evict_ident(struct gm_turn *t, const struct gm_evict_spec *spec, struct gm_ident *ident, unsigned *evicted)
{
	gm_evict_all_of(t, ident, GM_E_EVICTED, spec->compromised ? GM_REASON_COMPROMISE : GM_REASON_EVICTED,
	                spec->compromised ? GM_HASTE_SUPERSEDE : GM_HASTE_NOW, evicted);
	close_if_useless(t, ident);
	gm_ident_tidy(t->core, ident);
}

static enum gm_err evict_device(struct gm_turn *t, const struct gm_evict_spec *spec, unsigned *evicted)
{
	uint32_t *idents;
	unsigned n = gm_evict_idents(t->core, spec->node, &idents);

	for (unsigned i = 0; i < n && !spec->allow_return; i++)
		bar_scope(t, gm_ident_at(t->core, idents[i]));
	for (unsigned i = 0; i < n; i++)
		evict_ident(t, spec, gm_ident_at(t->core, idents[i]), evicted);
	free(idents);
	return n ? GM_E_OK : GM_E_UNKNOWN;
}

static enum gm_err evict_node(struct gm_turn *t, const struct gm_evict_spec *spec, unsigned *evicted)
{
	struct gm_group *g = gm_groups_find(t->core, text_bytes(spec->group));
	struct gm_member *m = g ? gm_groups_node(t->core, g, text_bytes(spec->node)) : NULL;

	if (!m)
		return GM_E_UNKNOWN;
	struct gm_ident *ident = gm_ident_at(t->core, m->ident);
	struct gm_assoc *a = gm_assoc_at(t->core, ident->assoc);
	if (!spec->allow_return && a)
		gm_bar_set(t, ident, text_bytes(spec->group), a->exp);
	gm_members_remove(t, m, GM_E_EVICTED, spec->compromised ? GM_REASON_COMPROMISE : GM_REASON_EVICTED,
	                  spec->compromised ? GM_HASTE_SUPERSEDE : GM_HASTE_WINDOW);
	*evicted = 1;
	close_if_useless(t, ident);
	gm_ident_tidy(t->core, ident);
	return GM_E_OK;
}

enum gm_err gm_core_evict(struct gm_core *core, struct gm_txn *txn, const struct gm_evict_spec *spec, unsigned *evicted)
{
	struct gm_turn t = {core, txn};

	*evicted = 0;
	if (!spec->node)
		return GM_E_USAGE;
	if (spec->group)
		GM_TRY(evict_node(&t, spec, evicted));
	else
		GM_TRY(evict_device(&t, spec, evicted));
	core->count.evictions += *evicted;
	gm_core_log(core, "evict.ok group=%s node=%s memberships=%u compromised=%d", spec->group ? spec->group : "*",
	            spec->node, *evicted, spec->compromised);
	gm_core_due(&t);
	return GM_E_OK;
}

/* ---- authorization servers */

static bool link_is_bad(const struct gm_link *link)
{
	return !link->peer.port || !gm_aead_info(link->alg) || (link->sid_n == link->rid_n && memcmp(link->sid, link->rid, link->sid_n) == 0);
}

/* ---- one that comes back: its key verifies the tokens it verified before, and with another key it is asked for the same */

static struct gm_gone gone_of(const struct gm_as *as)
{
	struct gm_gone gone = {.id = as->id, .ended = as->ended};

	gm_sha256(gone.key, as->spec.key.key, as->spec.key.key_n);
	if (as->spec.issuer[0])
		gm_sha256(gone.issuer, (const uint8_t *)as->spec.issuer, strlen(as->spec.issuer));
	return gone;
}

static struct gm_as *heir_of(const struct gm_core *c, const struct gm_as *gone)
{
	const struct gm_cose_key *key = &gone->spec.key;

	for (unsigned i = 0; i < c->ases_n; i++) {
		struct gm_as *as = &c->ases[i];
		if (as != gone && as->spec.key.key_n == key->key_n && memcmp(as->spec.key.key, key->key, key->key_n) == 0)
			return as;
	}
	return NULL;
}

/* The bar has come to an identity that may hold what it forbids. */
static void end_barred(struct gm_turn *t, struct gm_ident *ident, struct gm_bytes group)
{
	struct gm_group *g = group.n ? gm_groups_find(t->core, group) : NULL;
	struct gm_member *m = g ? gm_ident_member(t->core, ident, g->index) : NULL;
	struct gm_assoc *a = gm_assoc_at(t->core, ident->assoc);
	unsigned n = 0;

	if (m)
		gm_members_remove(t, m, GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_WINDOW);
	if (group.n)
		return;
	gm_evict_all_of(t, ident, GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_NOW, &n);
	if (a)
		gm_assoc_close(t, a);
}

static void move_bars(struct gm_turn *t, uint32_t from, uint32_t to)
{
	struct gm_core *c = t->core;

	for (uint32_t id = 1; id <= c->bars.made; id++) {
		struct gm_bar *b = gm_slab_at(&c->bars, id);
		const struct gm_ident *old = b->expiry.pos ? gm_ident_at(c, b->ident) : NULL;
		if (!old || old->as_id != from)
			continue;
		struct gm_ident *ident = gm_ident_need(c, to, gm_ident_osc_id(c, old));
		struct gm_bytes group = {b->group, b->group_n};
		gm_bar_set(t, ident, group, b->until);
		end_barred(t, ident, group);
		gm_bar_lift(t, b);
	}
}

static void inherit(struct gm_turn *t, uint32_t from, uint32_t to)
{
	move_bars(t, from, to);
	gm_token_seen_move(t, from, to);
}

static void forget_gone(struct gm_turn *t, struct gm_gone *gone)
{
	gm_record_remove_gone(t, gone);
	*gone = t->core->gone[--t->core->gone_n];
}

/* Where there is no room the one that went first is forgotten: its bars end with their time, unseen. */
static void make_room(struct gm_turn *t)
{
	struct gm_core *c = t->core;
	struct gm_gone *first = c->gone;

	if (c->gone_n < GM_GONE_MAX)
		return;
	for (unsigned i = 1; i < c->gone_n; i++)
		if (c->gone[i].at < first->at)
			first = &c->gone[i];
	gm_core_log(c, "as.forgotten id=%u: no room, if it comes again so do its ended tokens", first->id);
	gm_token_seen_drop(t, first->id);
	gm_record_remove_ended(t, first->id);
	forget_gone(t, first);
}

/* RFC 9200 §5.10.3: a number that has ended is refused from then on. */
static void remember(struct gm_turn *t, const struct gm_as *as)
{
	struct gm_core *c = t->core;
	const struct gm_as *heir = heir_of(c, as);

	if (heir) {
		inherit(t, as->id, heir->id);
		return;
	}
	make_room(t);
	struct gm_gone *gone = &c->gone[c->gone_n++];
	*gone = gone_of(as);
	gone->at = t->txn->wall_s;
	gm_record_put_gone(t, gone);
}

static bool same_key(const struct gm_gone *a, const struct gm_gone *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

static bool same_issuer(const struct gm_gone *a, const struct gm_gone *b)
{
	return memcmp(a->issuer, b->issuer, sizeof(a->issuer)) == 0;
}

/* Returns how many it was. */
static unsigned recall(struct gm_turn *t, const struct gm_as *as, bool (*same)(const struct gm_gone *, const struct gm_gone *))
{
	struct gm_core *c = t->core;
	struct gm_gone self = gone_of(as);
	unsigned n = 0;

	for (unsigned i = c->gone_n; i-- > 0;) {
		struct gm_gone *gone = &c->gone[i];
		if (!same(gone, &self))
			continue;
		inherit(t, gone->id, as->id);
		gm_core_log(c, "as.known as=%s id=%u was=%u", as->spec.name, as->id, gone->id);
		forget_gone(t, gone);
		n++;
	}
	return n;
}

bool gm_as_name_usable(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t n = strnlen(name, sizeof(((struct gm_as_spec *)NULL)->name)), len;

	if (!n || n == sizeof(((struct gm_as_spec *)NULL)->name) || name[0] == ' ' || name[n - 1] == ' ')
		return false;
	for (size_t at = 0; at < n; at += len) {
		len = gm_utf8_len(p + at, n - at);
		if (!len || gm_utf8_hides(gm_utf8_char(p + at, len)))
			return false;
	}
	return true;
}

static bool verify_the_same(const struct gm_cose_key *a, const struct gm_cose_key *b)
{
	bool kid = !a->kid_n || !b->kid_n || (a->kid_n == b->kid_n && memcmp(a->kid, b->kid, a->kid_n) == 0);

	return kid && a->key_n == b->key_n && memcmp(a->key, b->key, a->key_n) == 0;
}

const char *gm_core_as_of_key(const struct gm_core *core, const struct gm_cose_key *key)
{
	for (unsigned i = 0; i < core->ases_n; i++)
		if (verify_the_same(&core->ases[i].spec.key, key))
			return core->ases[i].spec.name;
	return NULL;
}

enum gm_err gm_core_as_add(struct gm_core *core, struct gm_txn *txn, const struct gm_as_spec *spec)
{
	struct gm_turn t = {core, txn};

	const struct gm_link *link = &spec->link;

	if (!link->ms_n ? spec->introspect[0] || spec->trl[0] : link_is_bad(link))
		return GM_E_USAGE;
	if (!gm_as_name_usable(spec->name) || spec->key.kid_n > sizeof(spec->key.kid) || !spec->key.key_n ||
	    spec->key.key_n > sizeof(spec->key.key) ||
	    strnlen(spec->issuer, sizeof(spec->issuer)) == sizeof(spec->issuer) ||
	    strnlen(spec->uri, sizeof(spec->uri)) == sizeof(spec->uri))
		return GM_E_USAGE;
	for (unsigned i = 0; i < core->ases_n; i++)
		if (strcmp(core->ases[i].spec.name, spec->name) == 0)
			return GM_E_EXISTS;
	if (gm_core_as_of_key(core, &spec->key))
		return GM_E_EXISTS;
	if (txn->disk_low)
		return GM_E_DISK_FULL;
	if (core->ases_n == GM_ASES_MAX)
		return GM_E_FULL;
	struct gm_as *as = &core->ases[core->ases_n++];
	*as = (struct gm_as){.id = core->next_as++, .spec = *spec};
	if (!as->spec.trl_every_s)
		as->spec.trl_every_s = GM_TRL_EVERY_S;
	gm_record_put_as(&t, as);
	gm_record_put_next_as(&t);
	if (!recall(&t, as, same_key) && spec->issuer[0])
		recall(&t, as, same_issuer);
	gm_tell_as(&t, as, false);
	gm_trl_start(&t, as);
	gm_core_log(core, "as.add as=%s id=%u", spec->name, as->id);
	gm_audit_as(&t, "as-added", as);
	return GM_E_OK;
}

static void end_trust(struct gm_turn *t, uint32_t as_id, unsigned *evicted)
{
	struct gm_core *c = t->core;

	for (unsigned shard = 0; shard < GM_SHARDS; shard++) {
		for (uint32_t slot = 0; slot < c->ctx_cap[shard]; slot++) {
			struct gm_assoc *a = gm_assoc_at(c, c->ctx[shard][slot]);
			struct gm_ident *ident = a ? gm_ident_at(c, a->ident) : NULL;
			if (!a || a->closing || ident->as_id != as_id)
				continue;
			gm_evict_all_of(t, ident, GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_NOW, evicted);
			gm_assoc_close(t, a);
		}
	}
}

enum gm_err gm_core_as_remove(struct gm_core *core, struct gm_txn *txn, const char *name, unsigned *evicted)
{
	struct gm_turn t = {core, txn};

	*evicted = 0;
	for (unsigned i = 0; i < core->ases_n; i++) {
		struct gm_as *as = &core->ases[i];
		if (strcmp(as->spec.name, name) != 0)
			continue;
		end_trust(&t, as->id, evicted);
		remember(&t, as);
		gm_revoked_drop(&t, as);
		gm_record_remove_as(&t, as);
		gm_tell_as(&t, as, true);
		gm_core_log(core, "as.remove as=%s memberships=%u", name, *evicted);
		gm_audit_as(&t, "as-removed", as);
		core->count.evictions += *evicted;
		uint32_t gone = as->id;
		gm_trl_free(core, as);
		*as = core->ases[--core->ases_n];
		gm_wipe(&core->ases[core->ases_n], sizeof(*as));
		gm_introspect_as_gone(&t, gone);
		gm_core_due(&t);
		return GM_E_OK;
	}
	return GM_E_UNKNOWN;
}
