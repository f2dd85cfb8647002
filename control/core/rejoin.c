/* SPDX-License-Identifier: Apache-2.0 */
/* After a change that members have to come again for, they are served first: the Join of a newcomer waits until all of
 * them have come, half a minute at most. GA §6.6.2
 *
 * Who has to come is marked at its identity, so that one who left meanwhile, or was put out, is known by its association.
 * Marks and those who wait are in memory only: after a stop Joins are served as they come. */
#include "core/state.h"

#define FIRST_MS 30000u
#define BEHIND_MAX 1024u

void gm_rejoin_begin(struct gm_turn *t, struct gm_group *g)
{
	g->returning = ++t->core->changes;
	g->returning_n = 0;
	if (!g->behind.first) /* who waits from an earlier change waits no longer for this one */
		gm_timer_set(&t->core->mono, &g->first, GM_TIMER_FIRST, t->txn->mono_ms + FIRST_MS);
}

void gm_rejoin_expect(const struct gm_turn *t, struct gm_group *g, const struct gm_member *m)
{
	gm_ident_at(t->core, m->ident)->returning = g->returning;
	g->returning_n++;
}

bool gm_rejoin_expected(const struct gm_group *g, const struct gm_ident *ident)
{
	return g->returning_n && ident->returning == g->returning;
}

void gm_rejoin_came(struct gm_turn *t, struct gm_group *g, struct gm_ident *ident)
{
	if (!gm_rejoin_expected(g, ident))
		return;
	ident->returning = 0;
	if (--g->returning_n == 0)
		gm_timer_set(&t->core->mono, &g->first, GM_TIMER_FIRST, t->txn->mono_ms);
}

bool gm_rejoin_first(const struct gm_call *call)
{
	return call->group->returning_n && !call->member && !call->waited &&
	       !gm_rejoin_expected(call->group, call->ident);
}

enum gm_err gm_rejoin_hold(const struct gm_call *call)
{
	if (call->group->behind.n >= BEHIND_MAX)
		return GM_E_BUSY;
	gm_wait_add(&call->group->behind, call->ev);
	return GM_E_OK;
}

void gm_rejoin_due(struct gm_turn *t, struct gm_group *g)
{
	unsigned n = g->behind.n;

	if (g->returning_n)
		gm_core_log(t->core, "rejoin.over group=%s missing=%u", g->spec.name, g->returning_n);
	g->returning_n = 0;
	if (n)
		gm_core_log(t->core, "rejoin.newcomers group=%s joins=%u", g->spec.name, n);
	gm_wait_answer(t, gm_wait_take(&g->behind), GM_WAITED_REJOINS);
}
