/* SPDX-License-Identifier: Apache-2.0 */
/* After a change that members have to come again for, they are served first: the Join of a newcomer waits until all of
 * them have come, half a minute at most. GA §6.6.2
 *
 * Who has to come is marked at its group, by its identity: so one who left meanwhile, or was put out, is known when it comes.
 * Marks and those who wait are in memory only: after a stop Joins are served as they come. */
#include "core/state.h"

#define FIRST_MS 30000u
#define BEHIND_MAX 1024u

void gm_rejoin_begin(struct gm_turn *t, struct gm_group *g)
{
	gm_map_free(&g->returning);
	if (!g->behind.first) /* who waits from an earlier change waits no longer for this one */
		gm_timer_set(&t->core->mono, &g->first, GM_TIMER_FIRST, t->txn->mono_ms + FIRST_MS);
}

void gm_rejoin_expect(const struct gm_turn *t, struct gm_group *g, const struct gm_member *m)
{
	gm_idents_add(t->core, &g->returning, gm_ident_at(t->core, m->ident));
}

bool gm_rejoin_expected(const struct gm_core *c, const struct gm_group *g, const struct gm_ident *ident)
{
	return g->returning.n && gm_idents_have(c, &g->returning, ident);
}

void gm_rejoin_came(struct gm_turn *t, struct gm_group *g, struct gm_ident *ident)
{
	if (!gm_rejoin_expected(t->core, g, ident))
		return;
	gm_idents_remove(t->core, &g->returning, ident);
	if (g->returning.n == 0)
		gm_timer_set(&t->core->mono, &g->first, GM_TIMER_FIRST, t->txn->mono_ms);
}

bool gm_rejoin_first(const struct gm_core *c, const struct gm_call *call)
{
	return call->group->returning.n && !call->member && !call->waited &&
	       !gm_rejoin_expected(c, call->group, call->ident);
}

enum gm_err gm_rejoin_hold(const struct gm_core *c, const struct gm_call *call)
{
	if (call->group->behind.n >= BEHIND_MAX)
		return GM_E_BUSY;
	gm_wait_add(c, &call->group->behind, call);
	return GM_E_OK;
}

void gm_rejoin_due(struct gm_turn *t, struct gm_group *g)
{
	unsigned n = g->behind.n;

	if (g->returning.n)
		gm_core_log(t->core, "rejoin.over group=%s missing=%u", g->spec.name, g->returning.n);
	gm_map_free(&g->returning);
	if (n)
		gm_core_log(t->core, "rejoin.newcomers group=%s joins=%u", g->spec.name, n);
	gm_wait_answer(t, gm_wait_take(&g->behind), GM_WAITED_REJOINS);
}
