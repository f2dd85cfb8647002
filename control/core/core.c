/* SPDX-License-Identifier: Apache-2.0 */
/* Events in, decisions out: one table of events, one of timers, and the way back from the store. */
#include "core/audit.h"
#include "core/state.h"
#include "gm/crypto.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SLAB_MAX (1u << 24) /* far above every configured bound */
#define LOAD_PORTION (512u << 10)
#define CRED_ROOM 512u /* address space for the credential of a member; what finds no room in it lies with the other texts */
#define EXPIRIES_PER_TICK 1024u
#define SEQ_MAX (1ull << 40) /* Partial IVs have five bytes */

/* ---- dice and log */

/* Each draw has a seed of its own: the event's seed, hashed with the number of the draw. */
void gm_dice(struct gm_txn *txn, void *out, size_t n)
{
	uint8_t text[sizeof(txn->dice) + 4], seed[GM_SHA256];
	struct gm_out o = gm_out(text, sizeof(text));

	gm_out_bytes(&o, txn->dice, sizeof(txn->dice));
	gm_out_be(&o, txn->dice_used++, 4);
	gm_sha256(seed, text, sizeof(text));
	gm_random_from(out, n, seed);
	gm_wipe(text, sizeof(text));
	gm_wipe(seed, sizeof(seed));
}

void gm_core_log(const struct gm_core *c, const char *format, ...)
{
	char line[256];
	va_list ap;

	if (!c->config.log)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	c->config.log(line);
}

/* ---- life */

struct gm_core *gm_core_new(const struct gm_core_config *config)
{
	struct gm_core *c = gm_must_alloc(NULL, sizeof(*c));

	memset(c, 0, sizeof(*c));
	c->config = *config;
	gm_random(c->hash_key, sizeof(c->hash_key));
	gm_slab_init(&c->assocs, sizeof(struct gm_assoc), SLAB_MAX);
	gm_slab_init(&c->idents, sizeof(struct gm_ident), SLAB_MAX);
	gm_slab_init(&c->members, sizeof(struct gm_member), SLAB_MAX);
	gm_slab_init(&c->bars, sizeof(struct gm_bar), SLAB_MAX);
	gm_slab_init(&c->revoked, sizeof(struct gm_revoked), SLAB_MAX);
	gm_slab_init(&c->seen, sizeof(struct gm_seen), SLAB_MAX);
	gm_slab_init(&c->group_mem, sizeof(struct gm_group), GM_GROUP_INDEX_MAX);
	gm_pool_init(&c->texts);
	c->devices = gm_devices_new();
	c->schedules = gm_schedules_new();
	c->words = gm_words_new((uint64_t)config->members_max * CRED_ROOM + (1u << 20));
	c->next_as = 1;
	c->ases = gm_must_alloc(NULL, GM_ASES_MAX * sizeof(*c->ases));
	c->pending_cap = 1024;
	while (c->pending_cap < config->contexts_max && c->pending_cap < 1u << 20)
		c->pending_cap *= 2;
	c->pending = calloc(c->pending_cap, sizeof(*c->pending)); /* pages come as they are used */
	if (!c->pending || !c->words) {
		gm_core_free(c);
		return NULL;
	}
	return c;
}

const struct gm_core_config *gm_core_settings(const struct gm_core *core)
{
	return &core->config;
}

void gm_core_set(struct gm_core *core, const struct gm_core_live *live)
{
	struct gm_core_config *config = &core->config;

	config->members_max = live->members_max;
	config->groups_max = live->groups_max;
	config->rekey_window_ms = live->rekey_window_ms;
	config->rekey_deadline_ms = live->rekey_deadline_ms;
	config->changes_per_minute = live->changes_per_minute;
}

void gm_core_free(struct gm_core *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->groups_n; i++)
		if (c->groups[i])
			gm_groups_unlink(c, c->groups[i]);
	for (unsigned shard = 0; shard < GM_SHARDS; shard++)
		free(c->ctx[shard]);
	gm_slab_free(&c->assocs);
	gm_slab_free(&c->idents);
	gm_slab_free(&c->members);
	gm_slab_free(&c->bars);
	gm_slab_free(&c->revoked);
	gm_slab_free(&c->seen);
	gm_slab_free(&c->group_mem);
	gm_pool_free(&c->texts);
	gm_words_free(c->words);
	gm_devices_free(c->devices);
	gm_schedules_free(c->schedules);
	gm_map_free(&c->ident_map);
	gm_map_free(&c->name_map);
	gm_map_free(&c->gid_map);
	gm_map_free(&c->revoked_map);
	gm_map_free(&c->hash_map);
	gm_map_free(&c->seen_map);
	for (unsigned i = 0; i < c->ases_n; i++) {
		gm_trl_free(c, &c->ases[i]);
		gm_heap_free(&c->ases[i].ages);
	}
	gm_introspect_free(c);
	gm_heap_free(&c->wall);
	gm_heap_free(&c->mono);
	free(c->groups);
	gm_wipe(c->ases, GM_ASES_MAX * sizeof(*c->ases));
	free(c->ases);
	free(c->pending);
	if (c->scratch)
		gm_wipe(c->scratch, c->scratch_cap);
	free(c->scratch);
	gm_wipe(c, sizeof(*c));
	free(c);
}

struct gm_words *gm_core_words(const struct gm_core *c)
{
	return c->words;
}

/* ---- back from the store: each phase hands down one kind of record, a portion at a time. The first ones change nothing. */

static size_t effects_size(const struct gm_effects *e)
{
	size_t n = 0;

	for (unsigned w = 0; w <= GM_EFFECTS_ALL; w++)
		n += e->to[w].n;
	return n;
}

static bool portion_full(const struct gm_turn *t)
{
	return effects_size(t->txn->effects) >= t->core->load.budget;
}

/* A phase returns true when it is through. */
static bool load_ases(struct gm_turn *t)
{
	gm_dice(t->txn, t->core->cnonce_key, sizeof(t->core->cnonce_key));
	for (unsigned i = 0; i < t->core->ases_n; i++)
		gm_tell_as(t, &t->core->ases[i], false);
	return true;
}

static bool load_groups(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	for (; c->load.at < c->groups_n && !portion_full(t); c->load.at++) {
		struct gm_group *g = c->groups[c->load.at];
		if (g)
			gm_tell_group(t, g, false);
	}
	return c->load.at >= c->groups_n;
}

static bool load_contexts(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	for (; c->load.at < GM_SHARDS; c->load.at++, c->load.slot = 0) {
		for (; c->load.slot < c->ctx_cap[c->load.at]; c->load.slot++) {
			struct gm_assoc *a = gm_assoc_at(c, c->ctx[c->load.at][c->load.slot]);
			if (portion_full(t))
				return false;
			if (a)
				gm_load_tell_ctx(t, a);
		}
	}
	return true;
}

void gm_load_tell_ctx(struct gm_turn *t, const struct gm_assoc *a)
{
	if (a->closing)
		t->core->load.closing = true;
	else
		gm_tell_ctx(t, a, GM_CTX_LOAD);
}

void gm_load_tell_member(struct gm_turn *t, const struct gm_member *m)
{
	const struct gm_assoc *a = gm_assoc_at(t->core, gm_ident_at(t->core, m->ident)->assoc);

	if (!a) {
		t->core->load.orphans = true;
		return;
	}
	gm_tell_member(t, m, a->save.id, false);
	gm_tell_cred(t, m, false);
}

/* Those of all groups, one after the other. */
static bool each_member(struct gm_turn *t, void (*each)(struct gm_turn *, struct gm_member *))
{
	struct gm_core *c = t->core;

	for (; c->load.at < c->groups_n; c->load.at++, c->load.slot = 0) {
		struct gm_group *g = c->groups[c->load.at];
		for (; g && c->load.slot < g->slots_n; c->load.slot++) {
			struct gm_member *m = gm_groups_slot(c, g, c->load.slot);
			if (portion_full(t))
				return false;
			if (m)
				each(t, m);
		}
	}
	return true;
}

static void tell_member(struct gm_turn *t, struct gm_member *m)
{
	gm_load_tell_member(t, m);
}

static bool load_members(struct gm_turn *t)
{
	return each_member(t, tell_member);
}

static bool settle_groups(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	for (uint32_t i = 0; i < c->groups_n; i++) {
		if (!c->groups[i])
			continue;
		gm_groups_slots_done(c->groups[i]);
		gm_plan_arm_keys(c, c->groups[i]);
	}
	return true;
}

/* One that was closing when the process ended is dropped: its notice may have been lost, its keys are not needed. */
static bool settle_contexts(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	for (unsigned shard = 0; shard < GM_SHARDS && c->load.closing; shard++) {
		for (uint32_t slot = 0; slot < c->ctx_cap[shard]; slot++) {
			struct gm_assoc *a = gm_assoc_at(c, c->ctx[shard][slot]);
			if (!a || !a->closing)
				continue;
			gm_record_remove_assoc(t, a);
			gm_assoc_forget(c, a);
		}
	}
	return true;
}

static void settle_member(struct gm_turn *t, struct gm_member *m)
{
	struct gm_ident *ident = gm_ident_at(t->core, m->ident);

	if (ident->assoc)
		return;
	gm_members_remove(t, m, GM_E_OK, GM_REASON_EXPIRED, GM_HASTE_WINDOW);
	gm_ident_tidy(t->core, ident);
}

static bool settle_members(struct gm_turn *t)
{
	return !t->core->load.orphans || each_member(t, settle_member);
}

static bool settle_bars(struct gm_turn *t)
{
	struct gm_core *c = t->core;

	for (uint32_t id = 1; id <= c->bars.made; id++) {
		struct gm_bar *b = gm_slab_at(&c->bars, id);
		if (b->expiry.pos)
			gm_record_bar_anew(t, b);
	}
	return true;
}

/* Numbers from the stored bound on were never used; the next step of them is stored here, before any is. */
static bool load_leases(struct gm_turn *t)
{
	for (unsigned shard = 0; shard < GM_SHARDS; shard++) {
		uint64_t resume = t->core->lease[shard];
		t->core->lease[shard] = resume + GM_SEQ_STEP;
		gm_record_put_lease(t, shard);
		gm_tell_lease(t, shard, true, resume);
	}
	return true;
}

static bool load_ready(struct gm_turn *t)
{
	gm_tell_ready(t);
	for (unsigned i = 0; i < t->core->ases_n; i++)
		gm_trl_start(t, &t->core->ases[i]);
	for (uint32_t i = 0; i < t->core->groups_n; i++)
		if (t->core->groups[i])
			gm_plan_resume(t, t->core->groups[i]);
	gm_core_log(t->core, "core.loaded groups=%u members=%u contexts=%u", t->core->count.groups,
	            t->core->members.used, t->core->assocs.used);
	return true;
}

static bool (*const phases[])(struct gm_turn *) = {load_ases,       load_groups,    load_contexts, load_members, settle_groups,
                                                   settle_contexts, settle_members, settle_bars,   load_leases,  load_ready};
#define PHASES (sizeof(phases) / sizeof(*phases))
#define SETTLE 4u

/* Up to a phase; those with leases and what comes behind them are a portion of their own. */
static bool hand_down(struct gm_core *core, struct gm_txn *txn, unsigned end)
{
	struct gm_turn t = {core, txn};

	core->load.budget = effects_size(txn->effects) + LOAD_PORTION;
	while (core->load.phase < end) {
		if (!phases[core->load.phase](&t))
			return true;
		core->load.phase++;
		core->load.at = core->load.slot = 0;
		bool last = core->load.phase < end && phases[core->load.phase] == load_leases;
		if (last || (portion_full(&t) && core->load.phase < end))
			return true;
	}
	return false;
}

bool gm_core_loaded(struct gm_core *core, struct gm_txn *txn)
{
	return hand_down(core, txn, PHASES);
}

bool gm_core_loaded_ahead(struct gm_core *core, struct gm_txn *txn)
{
	return hand_down(core, txn, SETTLE);
}

/* ---- events */

static void moved(struct gm_turn *t, struct gm_assoc *a, const struct gm_addr *peer)
{
	if (gm_addr_eq(&a->save.peer, peer))
		return;
	a->save.peer = *peer;
	gm_record_put_assoc(t, a);
}

static void request(struct gm_turn *t, const struct gm_ev_request *ev, enum gm_waited waited)
{
	struct gm_assoc *a = gm_assoc_by_ctx(t->core, ev->ctx);
	enum gm_err err = GM_E_OK;

	if (!a && (ev->flags & GM_REQ_CONFIRM))
		err = waited ? GM_E_UNAUTHORIZED : gm_token_confirm(t, ev, &a);
	if (err == GM_E_OK && (!a || a->closing || gm_ident_bar(t->core, gm_ident_at(t->core, a->ident), GM_BAR_ALL)))
		err = GM_E_UNAUTHORIZED;
	if (err == GM_E_OK && (ev->flags & GM_REQ_MOVED) && !waited)
		moved(t, a, &ev->peer);
	if (err == GM_E_OK)
		err = (enum gm_err)ev->bad;
	if (err == GM_E_OK && gm_token_has_ended(t, a->exp))
		err = GM_E_TOKEN_EXPIRED;
	if (err != GM_E_OK) {
		gm_reply_err(t, ev, err);
		return;
	}
	struct gm_call call = {.ev = ev, .assoc = a, .ident = gm_ident_at(t->core, a->ident), .waited = waited};

	call.held = waited == GM_WAITED_REKEY;
	t->txn->by = gm_by_device(call.ident->as_id, gm_ident_osc_id(t->core, call.ident));
	gm_policy_request(t, &call);
}

/* Of a Join that waited it is who sent it, and behind it again who made it go on. */
void gm_core_request(struct gm_turn *t, const struct gm_ev_request *ev, enum gm_waited waited)
{
	const struct gm_by before = t->txn->by;

	request(t, ev, waited);
	t->txn->by = before;
}

static void on_token(struct gm_turn *t, const struct gm_rec *rec)
{
	gm_token_event(t, (const void *)rec);
}

static void on_request(struct gm_turn *t, const struct gm_rec *rec)
{
	gm_core_request(t, (const void *)rec, GM_WAITED_NOT);
}

static void on_lease(struct gm_turn *t, const struct gm_rec *rec)
{
	const struct gm_ev_lease *ev = (const void *)rec;

	if (ev->shard >= GM_SHARDS || ev->want > SEQ_MAX)
		return;
	if (ev->want > t->core->lease[ev->shard]) {
		t->core->lease[ev->shard] = ev->want;
		gm_record_put_lease(t, ev->shard);
	}
	gm_tell_lease(t, ev->shard, false, 0);
}

static void on_delivered(struct gm_turn *t, const struct gm_rec *rec)
{
	gm_plan_delivered(t, (const void *)rec);
}

static void on_closed(struct gm_turn *t, const struct gm_rec *rec)
{
	const struct gm_ev_closed *ev = (const void *)rec;
	struct gm_assoc *a = gm_assoc_by_ctx(t->core, ev->ctx);

	if (!a || !a->closing)
		return;
	gm_core_log(t->core, "ctx.closed ctx=%08x told=%d", ev->ctx, ev->told);
	gm_record_remove_assoc(t, a);
	gm_assoc_forget(t->core, a);
}

static void on_moved(struct gm_turn *t, const struct gm_rec *rec)
{
	const struct gm_ev_moved *ev = (const void *)rec;
	struct gm_assoc *a = gm_assoc_by_ctx(t->core, ev->ctx);

	if (a && !a->closing)
		moved(t, a, &ev->peer);
}

static void on_unobserve(struct gm_turn *t, const struct gm_rec *rec)
{
	const struct gm_ev_unobserve *ev = (const void *)rec;
	struct gm_assoc *a = gm_assoc_by_ctx(t->core, ev->ctx);
	struct gm_group *g = gm_groups_at(t->core, ev->group);
	struct gm_member *m = a && g ? gm_groups_slot(t->core, g, ev->slot) : NULL;

	if (!m || m->ident != a->ident || ev->of >= GM_OBS_N)
		return;
	const struct gm_observation known = gm_members_obs(t->core, m, ev->of);
	if (memcmp(&known, &ev->obs, sizeof(known)) == 0)
		gm_members_unobserve(t, m, ev->of);
}

static void on_answered(struct gm_turn *t, const struct gm_rec *rec)
{
	const struct gm_ev_answered *ev = (const void *)rec;

	if (gm_trl_number(ev->ask))
		gm_trl_answered(t, ev);
	else
		gm_introspect_answered(t, ev);
}

void gm_core_apply(struct gm_core *core, struct gm_txn *txn, const struct gm_rec *event)
{
	static void (*const on[GM_EV_N])(struct gm_turn *, const struct gm_rec *) = {
	    [GM_EV_TOKEN] = on_token,         [GM_EV_REQUEST] = on_request, [GM_EV_LEASE] = on_lease,
	    [GM_EV_DELIVERED] = on_delivered, [GM_EV_CLOSED] = on_closed,   [GM_EV_MOVED] = on_moved,
	    [GM_EV_UNOBSERVE] = on_unobserve, [GM_EV_ANSWERED] = on_answered,
	};
	struct gm_turn t = {core, txn};

	if (event->type < GM_EV_N && on[event->type])
		on[event->type](&t, event);
}

/* ---- time */

#define OWNER_OF(timer, type, field) ((type *)(void *)((char *)(timer)-offsetof(type, field)))

static void token_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_evict_expired(t, OWNER_OF(timer, struct gm_assoc, expiry));
}

static void bar_due(struct gm_turn *t, struct gm_timer *timer)
{
	struct gm_bar *bar = OWNER_OF(timer, struct gm_bar, expiry);

	gm_token_forget(t, bar->until);
	gm_bar_lift(t, bar);
}

static void keys_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_plan_keys_due(t, OWNER_OF(timer, struct gm_group, keys));
}

static void seen_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_token_seen_end(t, OWNER_OF(timer, struct gm_seen, expiry));
}

static void revoked_due(struct gm_turn *t, struct gm_timer *timer)
{
	struct gm_revoked *r = OWNER_OF(timer, struct gm_revoked, expiry);

	gm_token_forget(t, r->exp);
	gm_revoked_end(t, r);
}

static void ask_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_introspect_late(t, OWNER_OF(timer, struct gm_ask, deadline));
}

static void rekey_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_plan_due(t, OWNER_OF(timer, struct gm_group, rekey));
}

static void first_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_rejoin_due(t, OWNER_OF(timer, struct gm_group, first));
}

static void active_due(struct gm_turn *t, struct gm_timer *timer)
{
	gm_plan_active_told(t, OWNER_OF(timer, struct gm_group, active));
}

static void run(struct gm_turn *t, struct gm_heap *h, uint64_t now)
{
	static void (*const due[])(struct gm_turn *, struct gm_timer *) = {
	    [GM_TIMER_TOKEN] = token_due, [GM_TIMER_BAR] = bar_due,     [GM_TIMER_KEYS] = keys_due,
	    [GM_TIMER_SEEN] = seen_due,   [GM_TIMER_REKEY] = rekey_due, [GM_TIMER_REVOKED] = revoked_due,
	    [GM_TIMER_ASK] = ask_due,     [GM_TIMER_WATCH] = gm_trl_due,
	    [GM_TIMER_FIRST] = first_due, [GM_TIMER_ACTIVE] = active_due,
	};

	for (unsigned n = 0; h->n && h->at[0]->at <= now && n < EXPIRIES_PER_TICK; n++) {
		struct gm_timer *timer = h->at[0];
		gm_timer_stop(h, timer);
		due[timer->kind](t, timer);
	}
}

void gm_core_due(struct gm_turn *t)
{
	run(t, &t->core->mono, t->txn->mono_ms);
}

void gm_core_tick(struct gm_core *core, struct gm_txn *txn)
{
	struct gm_turn t = {core, txn};

	run(&t, &core->wall, txn->wall_s > 0 ? (uint64_t)txn->wall_s : 0);
	gm_core_due(&t);
	gm_schedules_due(&t);
	gm_audit_refusals(&t, false);
}

void gm_core_ending(struct gm_core *core, struct gm_txn *txn)
{
	gm_audit_refusals(&(struct gm_turn){core, txn}, true);
}

uint64_t gm_core_next_ms(const struct gm_core *core, uint64_t mono_ms, int64_t wall_s)
{
	uint64_t next = UINT64_MAX, wall = wall_s > 0 ? (uint64_t)wall_s : 0;

	if (core->mono.n)
		next = core->mono.at[0]->at > mono_ms ? core->mono.at[0]->at - mono_ms : 0;
	if (core->wall.n) {
		uint64_t left = core->wall.at[0]->at > wall ? (core->wall.at[0]->at - wall) * 1000 : 0;
		next = left < next ? left : next;
	}
	uint64_t schedules = gm_schedules_next_ms(core);
	return schedules < next ? schedules : next;
}
