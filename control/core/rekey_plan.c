/* SPDX-License-Identifier: Apache-2.0 */
/* When a group's keys change, and what changes with them. KG §11.
 *
 * A reason stands in the group's record as soon as it arises, so that a rekey owed survives a stop. A group without
 * members keeps its debt until the next Join, which pays it before it is answered. */
#include "core/state.h"
#include "gm/crypto.h"

#include <stdlib.h>

#define PUT_OFF_MS 10u
#define PUT_OFF_MS_MAX 5000u

static const char *const reason_text[GM_REASON_N] = {
    [GM_REASON_NONE] = "none",
    [GM_REASON_JOIN] = "join",
    [GM_REASON_SENDER_IDS] = "sender-ids",
    [GM_REASON_SCHEDULE] = "schedule",
    [GM_REASON_KEYS_END] = "keys-end",
    [GM_REASON_RESTART] = "restart",
    [GM_REASON_LEAVE] = "leave",
    [GM_REASON_EXPIRED] = "token-expired",
    [GM_REASON_EVICTED] = "evicted",
    [GM_REASON_OPERATOR] = "operator",
    [GM_REASON_COMPROMISE] = "compromise",
    [GM_REASON_GROUP_DELETED] = "group-deleted",
    [GM_REASON_SENDER_ID_LENGTH] = "sender-id-too-long",
};

const char *gm_reason_text(enum gm_reason reason)
{
	return reason < GM_REASON_N ? reason_text[reason] : "none";
}

/* ---- stale sets */

struct gm_stale_set *gm_stale_of(const struct gm_group *g, uint64_t version)
{
	if (version < g->stale_first || version > g->version)
		return NULL;
	return &g->stale[version % g->spec.max_stale_sets];
}

void gm_stale_put(struct gm_stale_set *s, const uint8_t *sid, uint8_t sid_len)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->sids = gm_must_alloc(s->sids, (size_t)s->cap * sid_len);
	}
	memcpy(s->sids + (size_t)s->n++ * sid_len, sid, sid_len);
}

void gm_stale_add(struct gm_turn *t, struct gm_group *g, const uint8_t *sid)
{
	struct gm_stale_set *s = gm_stale_of(g, g->version);

	gm_stale_put(s, sid, g->sid_len);
	gm_map_add(&g->sids, gm_sid_key(sid, g->sid_len), GM_SID_BURNED);
	gm_record_put_stale(t, g, (s->n - 1) / GM_STALE_CHUNK);
}

/* Sender IDs given up under the old version may be handed out again; the oldest set makes room. */
static void turn_stale_sets(struct gm_turn *t, struct gm_group *g)
{
	struct gm_stale_set *old = gm_stale_of(g, g->version);

	for (uint32_t i = 0; i < old->n; i++)
		gm_map_remove(&g->sids, gm_sid_key(old->sids + (size_t)i * g->sid_len, g->sid_len), GM_SID_BURNED);
	if (g->version + 1 - g->stale_first >= g->spec.max_stale_sets) {
		struct gm_stale_set *drop = gm_stale_of(g, g->stale_first);
		gm_record_remove_stale(t, g, g->stale_first, drop->n);
		free(drop->sids);
		g->stale_first++;
	}
	g->version++;
	*gm_stale_of(g, g->version) = (struct gm_stale_set){0};
}

/* ---- the pending rekey */

static uint64_t wanted_at(const struct gm_turn *t, const struct gm_group *g)
{
	uint64_t at = g->haste == GM_HASTE_WINDOW ? g->window_end_ms : g->asked_ms;
	uint64_t walk_end = g->started_ms + t->core->config.distribution_max_ms;

	if (g->distributing && gm_pause_on(g) == gm_pause_holds(g) && g->haste < GM_HASTE_SUPERSEDE && at < walk_end)
		return walk_end;
	return at;
}

void gm_plan_arm(struct gm_turn *t, struct gm_group *g)
{
	if (g->reason == GM_REASON_NONE || (g->members == 0 && !g->held.n))
		gm_timer_stop(&t->core->mono, &g->rekey);
	else
		gm_timer_set(&t->core->mono, &g->rekey, GM_TIMER_REKEY, wanted_at(t, g));
}

static bool puts_out(enum gm_reason reason)
{
	return reason == GM_REASON_LEAVE || reason == GM_REASON_EXPIRED || reason == GM_REASON_EVICTED || reason == GM_REASON_COMPROMISE;
}

/* Until a walk has come to its end that began after it was asked for: by then all know who is out. */
static void outs_told(struct gm_group *g)
{
	if (g->reason < GM_REASON_KEYS_END)
		g->owed &= ~GM_OWED_OUT;
}

void gm_plan_ask(struct gm_turn *t, struct gm_group *g, enum gm_reason reason, enum gm_haste haste)
{
	uint64_t now = t->txn->mono_ms, window = now + t->core->config.rekey_window_ms;
	bool first = g->reason == GM_REASON_NONE, out = puts_out(reason) && !(g->owed & GM_OWED_OUT);

	if (first) {
		g->asked_ms = now;
		g->haste = GM_HASTE_WINDOW;
	}
	g->reason = reason > g->reason ? reason : g->reason;
	gm_plan_arm_keys(t->core, g);
	g->haste = haste > g->haste ? haste : g->haste;
	uint64_t deadline = g->asked_ms + t->core->config.rekey_deadline_ms;
	g->window_end_ms = window < deadline ? window : deadline;
	g->owed |= out ? GM_OWED_OUT : 0;
	if (first || out)
		gm_record_put_group(t, g);
	gm_plan_arm(t, g);
}

/* Who is about to be put out must not be handed new keys first; nor may a server hold them up for long. */
static bool put_off(struct gm_turn *t, struct gm_group *g)
{
	uint64_t now = t->txn->mono_ms;

	if (gm_trl_settled(t->core, now)) {
		g->put_off_ms = 0;
		return false;
	}
	if (!g->put_off_ms)
		g->put_off_ms = now;
	if (now - g->put_off_ms >= PUT_OFF_MS_MAX)
		return false;
	gm_timer_set(&t->core->mono, &g->rekey, GM_TIMER_REKEY, now + PUT_OFF_MS);
	return true;
}

void gm_plan_due(struct gm_turn *t, struct gm_group *g)
{
	if (!put_off(t, g))
		gm_plan_step(t, g, g->reason);
}

/* A tenth of their life, at most an hour. */
int64_t gm_plan_ahead(const struct gm_group *g)
{
	return g->spec.key_lifetime_s / 10 > 3600 ? 3600 : g->spec.key_lifetime_s / 10;
}

static int64_t renewed_at(const struct gm_group *g)
{
	int64_t at = g->exp - gm_plan_ahead(g), schedule = g->last_rekey + g->spec.rekey_every_s;

	return g->spec.rekey_every_s && schedule < at ? schedule : at;
}

void gm_plan_arm_keys(struct gm_core *c, struct gm_group *g)
{
	int64_t renewed = g->reason == GM_REASON_NONE ? renewed_at(g) : INT64_MAX;
	int64_t told = gm_pause_on(g) ? gm_pause_until(g) : INT64_MAX, at = told < renewed ? told : renewed;

	if (at == INT64_MAX)
		gm_timer_stop(&c->wall, &g->keys);
	else
		gm_timer_set(&c->wall, &g->keys, GM_TIMER_KEYS, at > 0 ? (uint64_t)at : 0);
}

void gm_plan_keys_due(struct gm_turn *t, struct gm_group *g)
{
	bool schedule = g->spec.rekey_every_s && g->last_rekey + g->spec.rekey_every_s <= t->txn->wall_s;

	gm_pause_due(t, g);
	if (g->reason == GM_REASON_NONE && renewed_at(g) <= t->txn->wall_s)
		gm_plan_ask(t, g, schedule ? GM_REASON_SCHEDULE : GM_REASON_KEYS_END, GM_HASTE_WINDOW);
	else
		gm_plan_arm_keys(t->core, g);
}

void gm_plan_keys_linger(struct gm_group *g)
{
	if (!g->untold_exp || g->exp < g->untold_exp)
		g->untold_exp = g->exp;
}

/* ---- Joins that wait for the window */

static uint64_t hash_of(const struct gm_core *c, const struct gm_ident *ident)
{
	return gm_ident_hash(c, ident->as_id, gm_ident_osc_id(c, ident));
}

void gm_wait_add(const struct gm_core *c, struct gm_wait *w, const struct gm_call *call)
{
	const struct gm_ev_request *ev = call->ev;
	struct gm_held *h = gm_must_alloc(NULL, sizeof(*h));

	h->next = NULL;
	h->ident = hash_of(c, call->ident);
	gm_idents_add(c, &w->idents, call->ident);
	h->event = gm_must_alloc(NULL, ev->rec.len);
	memcpy(h->event, ev, ev->rec.len);
	*(w->first ? w->last : &w->first) = h;
	w->last = &h->next;
	w->n++;
}

/* One who asks again must not fill the line, nor become a member as often as it asked. */
void gm_wait_supersede(struct gm_turn *t, struct gm_wait *w, const struct gm_ident *ident)
{
	uint64_t hash = hash_of(t->core, ident);
	struct gm_held **link = &w->first;

	if (!gm_idents_have(t->core, &w->idents, ident))
		return;
	while ((*link)->ident != hash)
		link = &(*link)->next;
	struct gm_held *h = *link;
	*link = h->next;
	if (!h->next)
		w->last = link;
	w->n--;
	gm_idents_remove(t->core, &w->idents, ident);
	gm_reply_err(t, h->event, GM_E_BUSY);
	free(h->event);
	free(h);
}

struct gm_held *gm_wait_take(struct gm_wait *w)
{
	struct gm_held *h = w->first;

	gm_map_free(&w->idents);
	*w = (struct gm_wait){0};
	return h;
}

void gm_wait_answer(struct gm_turn *t, struct gm_held *held, enum gm_waited waited)
{
	for (struct gm_held *h = held, *next; h; h = next) {
		next = h->next;
		if (t)
			gm_core_request(t, h->event, waited);
		free(h->event);
		free(h);
	}
}

void gm_plan_hold(struct gm_turn *t, const struct gm_call *call)
{
	gm_wait_add(t->core, &call->group->held, call);
	gm_plan_ask(t, call->group, GM_REASON_JOIN, GM_HASTE_WINDOW);
}

/* Members are told of them, unless they are too many. KG §11.1 */
void gm_plan_joined(struct gm_group *g, const struct gm_member *m)
{
	if (m->sid_n && g->joiners_n++ < GM_JOINERS_MAX)
		g->joiners[g->joiners_n - 1] = m->slot;
}

/* ---- the step */

static void new_keys(struct gm_turn *t, struct gm_group *g)
{
	for (unsigned i = g->gid_n; i-- > g->gid_n - 4u && ++g->gid[i] == 0;)
		;
	gm_dice(t->txn, g->ms, sizeof(g->ms));
	gm_dice(t->txn, g->salt, sizeof(g->salt));
	g->exp = t->txn->wall_s + g->spec.key_lifetime_s;
	g->last_rekey = t->txn->wall_s;
}

static void configuration_told(struct gm_group *g)
{
	if (g->version >= g->config_num)
		g->owed &= ~GM_OWED_CONFIG;
}

static void start_walk(struct gm_turn *t, struct gm_group *g)
{
	g->distributing = g->members > 0;
	g->walkers = g->distributing ? (1u << t->core->config.workers) - 1 : 0;
	g->started_ms = t->txn->mono_ms;
	g->confirmed = g->late = 0;
	g->waiting = g->members;
	if (g->distributing)
		return;
	g->untold_exp = 0;
	configuration_told(g);
}

void gm_plan_step(struct gm_turn *t, struct gm_group *g, enum gm_reason why)
{
	const enum gm_reason reason = why > g->reason ? why : g->reason; /* what was owed is paid, too */

	turn_stale_sets(t, g);
	gm_plan_keys_linger(g);
	new_keys(t, g);
	gm_audit_rekey(t, g, g->version - 1, gm_reason_text(reason));
	gm_pause_meets(t, g, reason);
	start_walk(t, g);
	g->last_reason = reason;
	g->reason = GM_REASON_NONE;
	if (!g->distributing)
		outs_told(g);
	g->haste = GM_HASTE_WINDOW;
	gm_record_put_group(t, g);
	gm_tell_group(t, g, false);
	gm_plan_arm(t, g);
	gm_plan_arm_keys(t->core, g);
	t->core->count.rekeys++;
	gm_core_log(t->core, "rekey.start group=%s num=%llu reason=%s members=%u", g->spec.name,
	            (unsigned long long)g->version, gm_reason_text(reason), g->members);
	uint64_t version = g->version;
	g->joiners_n = 0;
	gm_wait_answer(t, gm_wait_take(&g->held), GM_WAITED_REKEY);
	if (g->distributing && g->version == version)
		gm_tell_rekey(t, g); /* last: it names those who were let in just now */
}

/* ---- the distribution */

static void end_walk(struct gm_turn *t, struct gm_group *g)
{
	g->distributing = false;
	g->untold_exp = 0;
	gm_pause_end(t, g, "all-told");
	outs_told(g);
	configuration_told(g);
	gm_record_put_group(t, g);
	gm_plan_arm(t, g);
	gm_core_log(t->core, "rekey.done group=%s num=%llu confirmed=%u late=%u waiting=%u", g->spec.name,
	            (unsigned long long)g->version, g->confirmed, g->late, g->waiting);
}

static void note_fate(struct gm_core *c, struct gm_group *g, struct gm_member *m, uint8_t fate)
{
	if (m->version >= g->version)
		return;
	if (fate == GM_FATE_CONFIRMED) {
		gm_members_handed(c, m, g->version);
		g->confirmed++;
		c->count.confirmed++;
	} else if (!gm_members_late(g, m)) {
		m->late_at = g->version;
		g->waiting--;
		g->late++;
		c->count.late++;
	}
}

/* They are far away, all of them. */
static void fetch_ahead(const struct gm_core *c, const struct gm_group *g, const struct gm_ev_delivered *ev)
{
	for (uint32_t i = 0; i < ev->n; i++) {
		const struct gm_member *m = gm_groups_slot(c, g, ev->item[i].slot);
		if (m)
			gm_ahead(m, sizeof *m);
	}
}

void gm_plan_delivered(struct gm_turn *t, const struct gm_ev_delivered *ev)
{
	struct gm_group *g = gm_groups_at(t->core, ev->group);

	if (!g || ev->version != g->version)
		return;
	fetch_ahead(t->core, g, ev);
	for (uint32_t i = 0; i < ev->n; i++) {
		struct gm_member *m = gm_groups_slot(t->core, g, ev->item[i].slot);
		if (m)
			note_fate(t->core, g, m, ev->item[i].fate);
	}
	if (!g->distributing || !ev->walk_done)
		return;
	g->walkers &= ~(1u << ev->rec.worker);
	if (!g->walkers)
		end_walk(t, g);
}

/* ---- active: workers tell those who observe it. A notification that a stop may have swallowed is made again: one that
 * is so old has arrived, or will be asked for. */
#define ACTIVE_OWED_MS 300000u

void gm_plan_owe_active(struct gm_turn *t, struct gm_group *g)
{
	g->owed |= GM_OWED_ACTIVE;
	gm_timer_set(&t->core->mono, &g->active, GM_TIMER_ACTIVE, t->txn->mono_ms + ACTIVE_OWED_MS);
}

void gm_plan_active_told(struct gm_turn *t, struct gm_group *g)
{
	g->owed &= ~GM_OWED_ACTIVE;
	gm_record_put_group(t, g);
}

void gm_plan_resume(struct gm_turn *t, struct gm_group *g)
{
	if (g->owed & GM_OWED_ACTIVE) {
		gm_plan_owe_active(t, g);
		gm_tell_active(t, g);
	}
	if (g->distributing && g->members) {
		g->walkers = (1u << t->core->config.workers) - 1;
		g->started_ms = t->txn->mono_ms;
		gm_tell_rekey(t, g);
	} else {
		g->distributing = false;
		g->owed &= ~GM_OWED_REST;
		gm_plan_arm_keys(t->core, g);
		outs_told(g);
	}
	if (g->reason != GM_REASON_NONE) {
		g->asked_ms = g->window_end_ms = t->txn->mono_ms;
		gm_plan_arm(t, g);
	} else if (t->core->config.rekey_at_start && g->members) {
		gm_plan_ask(t, g, GM_REASON_RESTART, GM_HASTE_WINDOW); /* RFC 9594 §10.2 */
	}
}
