/* SPDX-License-Identifier: Apache-2.0 */
/* A distribution that an operator has paused: who was told is told again until it confirms, nobody else is told before it is resumed. It is
 * the rest of the distribution that is owed, in the group's record, so it outlives a stop. Keys are made as ever; what is paused is the telling.
 *
 * Nobody stays in because somebody forgot to resume: a rekey for more than newcomers, Sender IDs or a schedule ends it, and while not all were told
 * that somebody is out, by a leave, an eviction, an end of a token or a compromise, nothing is paused. Nor is anybody left without keys: who was not
 * told has older ones, and before the first of these end so does the pause. */
#include "core/audit.h"
#include "core/state.h"

#define GROUPS_MAX 1024u /* in a turn: each is a record */

bool gm_pause_on(const struct gm_group *g)
{
	return (g->owed & GM_OWED_REST) != 0;
}

bool gm_pause_holds(const struct gm_group *g)
{
	return gm_pause_on(g) && g->reason < GM_REASON_KEYS_END;
}

static void note(struct gm_turn *t, const struct gm_group *g, bool paused, const char *reason)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, paused ? "rekey-paused" : "rekey-resumed");
	gm_audit_group(&a, g);
	gm_audit_uint(&a, "num", g->version);
	gm_audit_word(&a, "reason", reason);
	gm_audit_end(&a, t->txn);
	gm_core_log(t->core, "%s group=%s num=%llu reason=%s confirmed=%u waiting=%u", paused ? "rekey.paused" : "rekey.resumed", g->spec.name,
	            (unsigned long long)g->version, reason, g->confirmed, g->waiting);
}

void gm_pause_end(struct gm_turn *t, struct gm_group *g, const char *reason)
{
	if (!gm_pause_on(g))
		return;
	g->owed &= ~GM_OWED_REST;
	gm_plan_arm_keys(t->core, g);
	note(t, g, false, reason);
}

/* With time enough to tell them. New keys that are made because the old ones end have twice as much, half of which may be paused. */
int64_t gm_pause_until(const struct gm_group *g)
{
	return g->untold_exp ? g->untold_exp - gm_plan_ahead(g) / 2 : INT64_MAX;
}

void gm_pause_due(struct gm_turn *t, struct gm_group *g)
{
	if (!gm_pause_on(g) || gm_pause_until(g) > t->txn->wall_s)
		return;
	gm_pause_end(t, g, gm_reason_text(GM_REASON_KEYS_END));
	gm_record_put_group(t, g);
	gm_tell_group(t, g, false);
	gm_plan_arm(t, g);
}

void gm_pause_meets(struct gm_turn *t, struct gm_group *g, enum gm_reason reason)
{
	if (reason >= GM_REASON_KEYS_END || !g->members)
		gm_pause_end(t, g, gm_reason_text(reason));
}

static const char *refusal(const struct gm_turn *t, const struct gm_group *g, bool paused)
{
	if (!g->distributing || gm_pause_on(g) == paused)
		return paused ? "no new keys are on their way, or it is paused already" : "it is not paused";
	if (paused && g->owed & GM_OWED_OUT)
		return "somebody is out, whom those who are not told yet would go on talking to";
	if (paused && gm_pause_until(g) <= t->txn->wall_s)
		return "the keys of those who are not told yet are about to end";
	return NULL;
}

static enum gm_err set(struct gm_turn *t, struct gm_group *g, bool paused, const char **why)
{
	*why = refusal(t, g, paused);
	if (*why)
		return GM_E_CONFLICT;
	g->owed = paused ? g->owed | GM_OWED_REST : g->owed & ~GM_OWED_REST;
	note(t, g, paused, "operator");
	gm_record_put_group(t, g);
	gm_tell_group(t, g, false);
	gm_plan_arm(t, g);
	gm_plan_arm_keys(t->core, g);
	return GM_E_OK;
}

enum gm_err gm_core_rekey_pause(struct gm_core *core, struct gm_txn *txn, const char *group, bool paused, const char **why)
{
	struct gm_turn t = {core, txn};
	struct gm_group *g = gm_groups_find(core, (struct gm_bytes){(const uint8_t *)group, strlen(group)});

	return g ? set(&t, g, paused, why) : GM_E_UNKNOWN;
}

bool gm_core_rekey_pause_all(struct gm_core *core, struct gm_txn *txn, bool paused, unsigned *passed)
{
	struct gm_turn t = {core, txn};
	const char *why;
	unsigned n = 0;

	*passed = 0;
	for (uint32_t i = 0; i < core->groups_n && n < GROUPS_MAX; i++) {
		struct gm_group *g = core->groups[i];
		if (!g)
			continue;
		n += set(&t, g, paused, &why) == GM_E_OK;
		*passed += paused && g->distributing && !gm_pause_on(g);
	}
	return n < GROUPS_MAX;
}
