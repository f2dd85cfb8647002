/* SPDX-License-Identifier: Apache-2.0 */
/* Revoked tokens: what happens to their holders, and for how long they are remembered. RFC 9770, RFC 9770 */
#include "core/state.h"

#define HASH_SHA_256 1u

static uint32_t key_of(const uint8_t *hash)
{
	return (uint32_t)hash[1] << 24 | (uint32_t)hash[2] << 16 | (uint32_t)hash[3] << 8 | hash[4];
}

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
	uint32_t id = gm_map_find(&c->revoked_map, key_of(hash), same_hash, &want);

	return id ? gm_slab_at(&c->revoked, id) : NULL;
}

static void arm(struct gm_core *c, struct gm_revoked *r)
{
	if (r->exp > 0)
		gm_timer_set(&c->wall, &r->expiry, GM_TIMER_REVOKED, (uint64_t)r->exp);
}

struct gm_revoked *gm_revoked_add(struct gm_core *c, const uint8_t hash[static GM_TOKEN_HASH], int64_t exp)
{
	uint32_t id = gm_must_get(&c->revoked);
	struct gm_revoked *r = gm_slab_at(&c->revoked, id);

	*r = (struct gm_revoked){.self = id, .exp = exp};
	memcpy(r->hash, hash, sizeof(r->hash));
	gm_map_add(&c->revoked_map, key_of(hash), id);
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
	gm_map_remove(&c->revoked_map, key_of(r->hash), r->self);
	gm_slab_put(&c->revoked, r->self);
}

/* All associations that stand on the token; returns when it ends, 0: there was none. */
static int64_t end_holders(struct gm_turn *t, const uint8_t *hash, unsigned *evicted)
{
	struct gm_core *c = t->core;
	int64_t exp = 0;

	for (unsigned shard = 0; shard < GM_SHARDS; shard++) {
		for (uint32_t slot = 0; slot < c->ctx_cap[shard]; slot++) {
			struct gm_assoc *a = gm_assoc_at(c, c->ctx[shard][slot]);
			if (!a || a->closing || memcmp(a->hash, hash, sizeof(a->hash)) != 0)
				continue;
			exp = a->exp;
			gm_evict_all_of(t, gm_ident_at(c, a->ident), GM_E_EVICTED, GM_REASON_EVICTED, GM_HASTE_NOW, evicted);
			gm_assoc_close(t, a);
		}
	}
	return exp;
}

enum gm_err gm_core_revoke(struct gm_core *core, struct gm_txn *txn, struct gm_bytes hash, unsigned *evicted)
{
	struct gm_turn t = {core, txn};

	*evicted = 0;
	if (hash.n != GM_TOKEN_HASH || hash.p[0] != HASH_SHA_256)
		return GM_E_USAGE;
	if (gm_revoked_find(core, hash.p))
		return GM_E_OK;
	int64_t exp = end_holders(&t, hash.p, evicted);
	core->count.evictions += *evicted;
	gm_core_log(core, "token.revoked hash=%08x memberships=%u", key_of(hash.p), *evicted);
	gm_core_due(&t);
	if (core->revoked.used >= core->config.contexts_max)
		return GM_E_FULL;
	gm_record_put_revoked(&t, gm_revoked_add(core, hash.p, exp));
	return GM_E_OK;
}
