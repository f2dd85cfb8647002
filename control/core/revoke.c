/* SPDX-License-Identifier: Apache-2.0 */
/* Revoked tokens: what happens to their holders, and for how long they are remembered. RFC 9770 */
#include "core/audit.h"
#include "core/state.h"

#define HASH_SHA_256 1u
#define OPERATOR 0u

struct wanted {
	const struct gm_core *core;
	uint32_t as_id;
	const uint8_t *hash;
};

static bool same_hash(const void *arg, uint32_t value)
{
	const struct wanted *want = arg;
	const struct gm_revoked *r = gm_slab_at(&want->core->revoked, value);

	return r->as_id == want->as_id && memcmp(r->hash, want->hash, sizeof(r->hash)) == 0;
}

struct gm_revoked *gm_revoked_find(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH])
{
	struct wanted want = {c, as_id, hash};
	uint32_t id = gm_map_find(&c->revoked_map, gm_hash_key(hash), same_hash, &want);

	return id ? gm_slab_at(&c->revoked, id) : NULL;
}

unsigned gm_revoked_of(const struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH],
                       struct gm_revoked *found[static 2])
{
	struct gm_revoked *by_as = as_id ? gm_revoked_find(c, as_id, hash) : NULL;
	struct gm_revoked *by_operator = gm_revoked_find(c, OPERATOR, hash);
	unsigned n = 0;

	if (by_as)
		found[n++] = by_as;
	if (by_operator)
		found[n++] = by_operator;
	return n;
}

static void arm(struct gm_core *c, struct gm_revoked *r)
{
	if (r->exp > 0)
		gm_timer_set(&c->wall, &r->expiry, GM_TIMER_REVOKED, (uint64_t)r->exp);
}

struct gm_revoked *gm_revoked_add(struct gm_core *c, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH], int64_t exp,
                                  uint64_t age)
{
	struct gm_as *as = gm_as_find(c, as_id);
	uint32_t id = gm_must_get(&c->revoked);
	struct gm_revoked *r = gm_slab_at(&c->revoked, id);

	*r = (struct gm_revoked){.self = id, .as_id = as_id, .exp = exp, .age.at = age};
	memcpy(r->hash, hash, sizeof(r->hash));
	gm_map_add(&c->revoked_map, gm_hash_key(hash), id);
	if (as)
		gm_timer_set(&as->ages, &r->age, GM_TIMER_NONE, age);
	c->revoked_serial = age > c->revoked_serial ? age : c->revoked_serial;
	arm(c, r);
	return r;
}

void gm_revoked_until(struct gm_turn *t, struct gm_revoked *r, int64_t exp)
{
	if (r->exp >= exp)
		return;
	r->exp = exp;
	arm(t->core, r);
	gm_record_put_revoked(t, r);
}

void gm_revoked_end(struct gm_turn *t, struct gm_revoked *r)
{
	gm_record_remove_revoked(t, r);
	gm_revoked_unload(t->core, r);
}

void gm_revoked_unload(struct gm_core *c, struct gm_revoked *r)
{
	struct gm_as *as = gm_as_find(c, r->as_id);

	gm_timer_stop(&c->wall, &r->expiry);
	if (as)
		gm_timer_stop(&as->ages, &r->age);
	gm_map_remove(&c->revoked_map, gm_hash_key(r->hash), r->self);
	gm_slab_put(&c->revoked, r->self);
}

/* The token may have other forms, with other hashes, but its key has no token beside it: so that is what is barred. */
static void bar_key(struct gm_turn *t, const struct gm_assoc *a)
{
	struct gm_core *c = t->core;

	if (c->bars.used < c->config.contexts_max)
		gm_bar_set(t, gm_ident_at(c, a->ident), GM_BAR_ALL, a->exp);
	else
		gm_core_log(c, "revoked.unbarred ctx=%08x: no room, its token would be TAKEN AGAIN in another form", a->save.id);
}

/* All associations that stand on the token; returns when it ends, 0: there was none. */
static int64_t end_holders(struct gm_turn *t, uint32_t as_id, const uint8_t *hash, unsigned *evicted)
{
	struct gm_core *c = t->core;
	int64_t exp = 0;

	for (struct gm_assoc *a; (a = gm_assoc_by_hash(c, as_id, hash));) {
		exp = a->exp;
		bar_key(t, a);
		gm_evict_all_of(t, gm_ident_at(c, a->ident), GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_NOW, evicted);
		gm_assoc_close(t, a);
	}
	return exp;
}

gm_ctx_id gm_core_holder(const struct gm_core *core, struct gm_bytes hash)
{
	const struct gm_assoc *a = hash.n == GM_TOKEN_HASH ? gm_assoc_by_hash(core, OPERATOR, hash.p) : NULL;

	return a ? a->save.id : 0;
}

static struct gm_revoked *earliest_of(const struct gm_as *as)
{
	return (struct gm_revoked *)(void *)((char *)as->ages.at[0] - offsetof(struct gm_revoked, age));
}

void gm_revoked_drop(struct gm_turn *t, struct gm_as *as)
{
	while (as->ages.n)
		gm_revoked_end(t, earliest_of(as));
	gm_heap_free(&as->ages);
}

static unsigned of_servers(const struct gm_core *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->ases_n; i++)
		n += c->ases[i].ages.n;
	return n;
}

/* Where memory is short the earliest go, of the server that would have most: a long list takes no room from the shorter ones
 * of others. The operator's stay.                                               RFC 9770 §10.1 */
static void make_room(struct gm_turn *t, uint32_t for_as)
{
	struct gm_core *c = t->core;
	struct gm_as *most = NULL;
	unsigned n = 0;

	if (of_servers(c) < c->config.contexts_max)
		return;
	for (unsigned i = 0; i < c->ases_n; i++) {
		struct gm_as *as = &c->ases[i];
		unsigned has = as->ages.n + (as->id == for_as);
		if (as->ages.n && has > n) {
			most = as;
			n = has;
		}
	}
	if (!most)
		return;
	gm_core_log(c, "revoked.forgotten as=%u hash=%08x: no room, its token would be TAKEN AGAIN", most->id,
	            gm_hash_key(earliest_of(most)->hash));
	gm_revoked_end(t, earliest_of(most));
}

static void audit(struct gm_turn *t, const uint8_t *hash, unsigned evicted)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, "token-revoked");
	gm_audit_hex(&a, "token", (struct gm_bytes){hash, GM_TOKEN_HASH});
	gm_audit_uint(&a, "memberships", evicted);
	gm_audit_end(&a, t->txn);
}

void gm_revoked_listed(struct gm_turn *t, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH], unsigned *evicted)
{
	struct gm_core *c = t->core;

	*evicted = 0;
	if (hash[0] != HASH_SHA_256 || gm_revoked_find(c, as_id, hash))
		return;
	int64_t exp = end_holders(t, as_id, hash, evicted);
	c->count.evictions += *evicted;
	audit(t, hash, *evicted);
	gm_core_log(c, "token.revoked as=%u hash=%08x memberships=%u", as_id, gm_hash_key(hash), *evicted);
	if (as_id != OPERATOR)
		make_room(t, as_id);
	gm_record_put_revoked(t, gm_revoked_add(c, as_id, hash, exp, c->revoked_serial + 1));
}

/* Its server says that the token has ended. That alone lets nobody forget: the token has to have been seen, too, and one with
 * exi ends here by our own count.                                             RFC 9770 §10.1 */
void gm_revoked_unlisted(struct gm_turn *t, uint32_t as_id, const uint8_t hash[static GM_TOKEN_HASH])
{
	struct gm_revoked *r = gm_revoked_find(t->core, as_id, hash);

	if (!r || r->exp <= 0 || !gm_token_has_ended(t, r->exp))
		return;
	gm_token_forget(t, r->exp);
	gm_revoked_end(t, r);
}

enum gm_err gm_core_revoke(struct gm_core *core, struct gm_txn *txn, struct gm_bytes hash, unsigned *evicted)
{
	struct gm_turn t = {core, txn};

	*evicted = 0;
	if (hash.n != GM_TOKEN_HASH || hash.p[0] != HASH_SHA_256)
		return GM_E_USAGE;
	if (core->revoked.used - of_servers(core) >= core->config.contexts_max)
		return GM_E_FULL;
	gm_revoked_listed(&t, OPERATOR, hash.p, evicted);
	gm_core_due(&t);
	return GM_E_OK;
}
