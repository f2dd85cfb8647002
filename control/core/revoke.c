/* SPDX-License-Identifier: Apache-2.0 */
/* Revoked tokens: what happens to their holders, and for how long they are remembered. RFC 9770 */
#include "core/state.h"

#define HASH_SHA_256 1u

struct wanted {
	const struct gm_core *core;
	const uint8_t *hash;
};

static bool same_hash(const void *arg, uint32_t value)
{
	const struct wanted *want = arg;
	const struct gm_revoked *r = gm_slab_at(&want->core->revoked, value);

	return memcmp(r->hash, want->hash, sizeof(r->hash)) == 0;
}

struct gm_revoked *gm_revoked_find(const struct gm_core *c, const uint8_t hash[static GM_TOKEN_HASH])
{
	struct wanted want = {c, hash};
	uint32_t id = gm_map_find(&c->revoked_map, gm_hash_key(hash), same_hash, &want);

	return id ? gm_slab_at(&c->revoked, id) : NULL;
}

static void arm(struct gm_core *c, struct gm_revoked *r)
{
	if (r->exp > 0)
		gm_timer_set(&c->wall, &r->expiry, GM_TIMER_REVOKED, (uint64_t)r->exp);
}

struct gm_revoked *gm_revoked_add(struct gm_core *c, const uint8_t hash[static GM_TOKEN_HASH], int64_t exp, uint64_t age)
{
	uint32_t id = gm_must_get(&c->revoked);
	struct gm_revoked *r = gm_slab_at(&c->revoked, id);

	*r = (struct gm_revoked){.self = id, .exp = exp};
	memcpy(r->hash, hash, sizeof(r->hash));
	gm_map_add(&c->revoked_map, gm_hash_key(hash), id);
	gm_timer_set(&c->ages, &r->age, GM_TIMER_NONE, age);
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
	struct gm_core *c = t->core;

	gm_record_remove_revoked(t, r);
	gm_timer_stop(&c->wall, &r->expiry);
	gm_timer_stop(&c->ages, &r->age);
	gm_map_remove(&c->revoked_map, gm_hash_key(r->hash), r->self);
	gm_slab_put(&c->revoked, r->self);
}

/* All associations that stand on the token; returns when it ends, 0: there was none. */
static int64_t end_holders(struct gm_turn *t, const uint8_t *hash, unsigned *evicted)
{
	struct gm_core *c = t->core;
	int64_t exp = 0;

	for (struct gm_assoc *a; (a = gm_assoc_by_hash(c, hash));) {
		exp = a->exp;
		gm_evict_all_of(t, gm_ident_at(c, a->ident), GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_NOW, evicted);
		gm_assoc_close(t, a);
	}
	return exp;
}

/* Where memory is short the earliest go.                                        RFC 9770 §10.1 */
static void make_room(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	if (c->revoked.used < c->config.contexts_max || c->ages.n == 0)
		return;
	struct gm_revoked *r = (struct gm_revoked *)(void *)((char *)c->ages.at[0] - offsetof(struct gm_revoked, age));
	gm_core_log(c, "revoked.forgotten hash=%08x: no room, its token would be TAKEN AGAIN", gm_hash_key(r->hash));
	gm_revoked_end(t, r);
}

void gm_revoked_listed(struct gm_turn *t, const uint8_t hash[static GM_TOKEN_HASH], unsigned *evicted)
{
	struct gm_core *c = t->core;

	*evicted = 0;
	if (hash[0] != HASH_SHA_256 || gm_revoked_find(c, hash))
		return;
	int64_t exp = end_holders(t, hash, evicted);
	c->count.evictions += *evicted;
	gm_core_log(c, "token.revoked hash=%08x memberships=%u", gm_hash_key(hash), *evicted);
	make_room(t);
	gm_record_put_revoked(t, gm_revoked_add(c, hash, exp, c->revoked_serial + 1));
}

/* Its server says that the token has ended. That alone lets nobody forget: the token has to have been seen, too, and one with
 * exi ends here by our own count.                                             RFC 9770 §10.1 */
void gm_revoked_unlisted(struct gm_turn *t, const uint8_t hash[static GM_TOKEN_HASH])
{
	struct gm_revoked *r = gm_revoked_find(t->core, hash);

	if (r && r->exp > 0 && r->exp <= t->txn->wall_s)
		gm_revoked_end(t, r);
}

enum gm_err gm_core_revoke(struct gm_core *core, struct gm_txn *txn, struct gm_bytes hash, unsigned *evicted)
{
	struct gm_turn t = {core, txn};

	*evicted = 0;
	if (hash.n != GM_TOKEN_HASH || hash.p[0] != HASH_SHA_256)
		return GM_E_USAGE;
	gm_revoked_listed(&t, hash.p, evicted);
	gm_core_due(&t);
	return GM_E_OK;
}
