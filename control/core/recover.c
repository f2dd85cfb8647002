/* SPDX-License-Identifier: Apache-2.0 */
/* After the store went back in time: what was promised since is not known any more, so nothing that it could have used
 * is used again. Contexts and memberships are gone from the store by then. */
#include "core/state.h"
#include "gm/crypto.h"

#include <stdlib.h>

static void forget_stale(struct gm_turn *t, struct gm_group *g)
{
	for (uint64_t v = g->stale_first; v <= g->version; v++) {
		struct gm_stale_set *set = gm_stale_of(g, v);
		gm_record_remove_stale(t, g, v, set->n);
		free(set->sids);
		*set = (struct gm_stale_set){0};
	}
}

/* Versions and Gids that were given out since lie below. A member takes no version that is not newer than its own. */
static void leap(struct gm_turn *t, struct gm_group *g, uint32_t times)
{
	uint16_t more; /* if somebody lost count of the recoveries */
	uint8_t *epoch = g->gid + g->gid_n - 4;
	struct gm_in in = gm_in(epoch, 4);
	struct gm_out out = gm_out(epoch, 4);

	gm_dice(t->txn, &more, sizeof(more));
	const uint32_t far = times * GM_RECOVER_LEAP + more;
	forget_stale(t, g);
	g->version += far;
	g->stale_first = g->version;
	gm_out_be(&out, (uint32_t)(gm_in_be(&in, 4) + far), 4);
	gm_dice(t->txn, g->ms, sizeof(g->ms));
	gm_dice(t->txn, g->salt, sizeof(g->salt));
	g->exp = t->txn->wall_s + g->spec.key_lifetime_s;
	g->last_rekey = t->txn->wall_s;
	g->last_reason = GM_REASON_COMPROMISE;
	g->reason = GM_REASON_NONE;
	g->owed = 0;
	g->untold_exp = 0;
	g->distributing = false;
}

unsigned gm_core_recover(struct gm_core *core, struct gm_txn *txn, unsigned times)
{
	struct gm_turn t = {core, txn};
	unsigned n = 0;

	for (uint32_t i = 0; i < core->groups_n; i++) {
		struct gm_group *g = gm_groups_at(core, i);
		if (!g)
			continue;
		const uint64_t was = g->version;
		leap(&t, g, times);
		gm_audit_rekey(&t, g, was, "recovery");
		gm_record_put_group(&t, g);
		n++;
	}
	return n;
}
