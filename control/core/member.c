/* SPDX-License-Identifier: Apache-2.0 */
/* Joins, leaves and what a membership holds. KG §6.2, KG §6.3, KG §10 */
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/resources.h"

#include <stdlib.h>

#define CREDS_INLINE_MAX 8192u
#define HELD_MAX 4096u
#define CF_CBOR 60
#define CF_GROUPCOMM 261

/* ---- what hangs on a member */

enum gm_delivery gm_members_delivery(const struct gm_member *m)
{
	bool observes = m->obs_on & (1u << GM_OBS_GROUP | 1u << GM_OBS_NODE);

	return m->has_control ? GM_DELIVER_POST : observes ? GM_DELIVER_OBSERVE : GM_DELIVER_POLL;
}

static size_t text_cred(const struct gm_member *m)
{
	return m->cred ? 0 : m->cred_n;
}

struct gm_bytes gm_members_cred(const struct gm_core *c, const struct gm_member *m)
{
	if (m->cred)
		return gm_words_at(c->words, m->cred, m->cred_n);
	return (struct gm_bytes){gm_pool_at(&c->texts, m->text), m->cred_n};
}

struct gm_member_parts gm_members_parts(const struct gm_core *c, const struct gm_member *m)
{
	const uint8_t *text = gm_pool_at(&c->texts, m->text);
	struct gm_in in = gm_in_bytes((struct gm_bytes){text, text ? text_cred(m) + m->cnonce_n + m->path_n + m->scope_n : 0});

	gm_in_take(&in, text_cred(m));
	struct gm_bytes cnonce = gm_in_take(&in, m->cnonce_n), path = gm_in_take(&in, m->path_n);
	return (struct gm_member_parts){gm_members_cred(c, m), cnonce, path, gm_in_take(&in, m->scope_n)};
}

/* Workers may be reading the old one, so that is never written over: what is new lies elsewhere. */
static void set_cred(struct gm_core *c, struct gm_member *m, struct gm_bytes cred)
{
	uint32_t old = m->cred;
	size_t old_n = m->cred_n;

	if (old && cred.n == old_n && cred.p == gm_members_cred(c, m).p)
		return;
	gm_device_cred_is(c, m, cred);
	m->cred = gm_words_put(c->words, cred);
	m->cred_n = (uint16_t)cred.n;
	gm_words_drop(c->words, old, old_n);
}

/* The new parts may lie in the old text. */
void gm_members_set_parts(struct gm_core *c, struct gm_member *m, const struct gm_member_parts *p)
{
	set_cred(c, m, p->cred);
	size_t n = text_cred(m) + p->cnonce.n + p->path.n + p->scope.n;
	uint32_t old = m->text, text = gm_must_text(&c->texts, n);
	struct gm_out o = gm_out(gm_pool_at(&c->texts, text), n);

	gm_out_bytes(&o, p->cred.p, text_cred(m));
	gm_out_bytes(&o, p->cnonce.p, p->cnonce.n);
	gm_out_bytes(&o, p->path.p, p->path.n);
	gm_out_bytes(&o, p->scope.p, p->scope.n);
	m->cnonce_n = (uint8_t)p->cnonce.n;
	m->path_n = (uint8_t)p->path.n;
	m->scope_n = (uint16_t)p->scope.n;
	m->text = text;
	gm_pool_put(&c->texts, old);
}

/* Those that are on lie behind each other, in the order of their bits. */
static unsigned obs_place(const struct gm_member *m, unsigned of)
{
	return (unsigned)__builtin_popcount(m->obs_on & ((1u << of) - 1));
}

struct gm_observation gm_members_obs(const struct gm_core *c, const struct gm_member *m, unsigned of)
{
	struct gm_observation obs = {0};

	if (m->obs_on & 1u << of)
		memcpy(&obs, gm_pool_at(&c->texts, m->obs) + obs_place(m, of) * sizeof(obs), sizeof(obs));
	return obs;
}

void gm_members_set_obs(struct gm_core *c, struct gm_member *m, unsigned of, const struct gm_observation *to)
{
	struct gm_observation obs[GM_OBS_N];
	unsigned n = 0;

	for (unsigned i = 0; i < GM_OBS_N; i++)
		obs[i] = i == of ? *to : gm_members_obs(c, m, i);
	gm_pool_put(&c->texts, m->obs);
	m->obs_on = 0;
	for (unsigned i = 0; i < GM_OBS_N; i++) {
		if (!obs[i].on)
			continue;
		m->obs_on |= (uint8_t)(1u << i);
		obs[n++] = obs[i];
	}
	m->obs = gm_must_text(&c->texts, n * sizeof(*obs));
	if (n)
		memcpy(gm_pool_at(&c->texts, m->obs), obs, n * sizeof(*obs));
}

bool gm_members_late(const struct gm_group *g, const struct gm_member *m)
{
	return m->version < g->version && m->late_at == g->version;
}

void gm_members_handed(struct gm_core *c, struct gm_member *m, uint64_t version)
{
	struct gm_group *g = gm_groups_at(c, m->group);

	if (m->version >= g->version || version != g->version)
		return;
	if (gm_members_late(g, m))
		g->late--;
	else
		g->waiting--;
	m->version = version;
}

/* ---- Sender IDs: next-fit over all values of the group's length. One that is in use, or was given up under the
 * current version, stands in g->sids; both are in the store, so no stop can make one appear twice under a Gid. */

uint32_t gm_sid_key(const uint8_t *sid, uint8_t n)
{
	uint32_t v = 0;

	for (uint8_t i = 0; i < n; i++)
		v = v << 8 | sid[i];
	return v;
}

struct gm_member *gm_members_by_sid(const struct gm_core *c, const struct gm_group *g, const uint8_t *sid)
{
	uint32_t id = gm_map_find(&g->sids, gm_sid_key(sid, g->sid_len), NULL, NULL);

	return id == GM_MAP_NONE || id == GM_SID_BURNED ? NULL : gm_slab_at(&c->members, id);
}

static uint32_t sid_space(const struct gm_group *g)
{
	return 1u << (8 * g->sid_len);
}

static void sid_take(struct gm_turn *t, struct gm_group *g, struct gm_member *m)
{
	if (!g->sid_seeded)
		gm_dice(t->txn, &g->sid_at, sizeof(g->sid_at));
	g->sid_seeded = true;
	do
		g->sid_at = (g->sid_at + 1) & (sid_space(g) - 1);
	while (gm_map_find(&g->sids, g->sid_at, NULL, NULL));
	struct gm_out o = gm_out(m->sid, sizeof(m->sid));
	gm_out_be(&o, g->sid_at, g->sid_len);
	m->sid_n = g->sid_len;
	gm_map_add(&g->sids, g->sid_at, m->self);
}

static void sid_give_up(struct gm_turn *t, struct gm_group *g, struct gm_member *m)
{
	if (!m->sid_n)
		return;
	gm_tell_cred(t, m, true);
	gm_map_remove(&g->sids, gm_sid_key(m->sid, m->sid_n), m->self);
	gm_stale_add(t, g, m->sid);
	m->sid_n = 0;
}

static bool rekey_frees_sids(const struct gm_group *g)
{
	return gm_stale_of(g, g->version)->n > 0;
}

static void sids_run_low(struct gm_turn *t, struct gm_group *g)
{
	if ((uint64_t)g->sids.n * 4 >= (uint64_t)sid_space(g) * 3 && rekey_frees_sids(g))
		gm_plan_ask(t, g, GM_REASON_SENDER_IDS, GM_HASTE_WINDOW);
}

/* ---- Join: the checks, in the order of KG §6.2 */

static void refuse(struct gm_turn *t, struct gm_call *call, enum gm_err err)
{
	struct gm_group *g = call->group;
	uint8_t body[512];
	struct gm_out o = gm_out(body, sizeof(body));
	struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};
	struct gm_bytes challenge = {call->assoc->save.challenge, sizeof(call->assoc->save.challenge)};

	t->core->count.joins_refused++;
	gm_audit_refused(t->core, &t->core->refused.joins, err);
	gm_core_log(t->core, "join.refused group=%s ctx=%08x why=\"%s\"", g->spec.name, call->assoc->save.id,
	            gm_err_info(err)->text);
	if (err != GM_E_BAD_JOIN) {
		gm_reply_err(t, call->ev, err);
		return;
	}
	gm_join_info_encode(&o, name, &g->spec.params, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}, challenge);
	gm_reply(t, call->ev, GM_COAP(4, 0), 0, CF_GROUPCOMM, gm_out_result(&o));
}

static enum gm_err check_form(const struct gm_core *c, const struct gm_call *call)
{
	const struct gm_ev_join *j = &call->ev->join;
	struct gm_bytes scope = gm_assoc_scope(c, call->assoc);
	struct gm_bytes name = {(const uint8_t *)call->group->spec.name, strlen(call->group->spec.name)};

	if (!call->group->spec.active)
		return GM_E_INACTIVE;
	if (j->parse != GM_E_OK || !gm_bytes_eq(gm_rec_bytes(call->ev, j->scope_name), name) ||
	    !gm_roles_may_join(j->roles) || !gm_rec_bytes(call->ev, j->cnonce).p || j->cnonce.n > GM_NONCE_MAX ||
	    j->client_cred.n > GM_CRED_MAX)
		return GM_E_BAD_JOIN;
	if (!gm_scope_allows(scope, name, j->roles))
		return GM_E_FORBIDDEN;
	/* without a key of the monitor no proof can be made for it                           requirements G3 */
	if (j->roles == GM_ROLE_MONITOR && !call->group->spec.params.group_mode)
		return GM_E_BAD_JOIN;
	return GM_E_OK;
}

static bool is_monitor(const struct gm_call *call)
{
	return call->ev->join.roles == GM_ROLE_MONITOR;
}

/* Without a proof only a member may come, with the credential that is stored. */
static enum gm_err check_kept(const struct gm_core *c, const struct gm_call *call)
{
	const struct gm_ev_join *j = &call->ev->join;
	const struct gm_member *m = call->member;
	struct gm_bytes cred = gm_rec_bytes(call->ev, j->client_cred);

	if (!m || m->cred_n == 0)
		return GM_E_BAD_JOIN;
	if (cred.n && !gm_bytes_eq(cred, gm_members_cred(c, m)))
		return GM_E_BAD_JOIN;
	return GM_E_OK;
}

static enum gm_err check_proof(const struct gm_core *c, const struct gm_call *call)
{
	const struct gm_ev_join *j = &call->ev->join;

	if (!j->has_verify)
		return check_kept(c, call);
	if (!j->has_cred || j->client_cred.n == 0)
		return GM_E_BAD_JOIN;
	if (j->group_gen != call->group->gen)
		return GM_E_BUSY; /* judged against other parameters */
	if (j->cred != GM_E_OK)
		return GM_E_BAD_CRED;
	if (j->verify.n == 0 || j->pop != GM_E_OK)
		return GM_E_BAD_POP;
	return GM_E_OK;
}

static enum gm_err check_bounds(const struct gm_turn *t, const struct gm_call *call)
{
	const struct gm_group *g = call->group;

	if (!is_monitor(call) && g->sids.n >= sid_space(g) && (!rekey_frees_sids(g) || g->distributing))
		return GM_E_NO_SENDER_ID;
	if (!call->member &&
	    (t->core->members.used >= t->core->config.members_max || g->members >= g->spec.max_members))
		return GM_E_FULL;
	if (g->held.n >= HELD_MAX)
		return GM_E_BUSY;
	return GM_E_OK;
}

static enum gm_err check_join(struct gm_turn *t, const struct gm_call *call)
{
	if (gm_ident_bar(t->core, call->ident, gm_rec_bytes(call->ev, call->ev->group)))
		return GM_E_BARRED;
	GM_TRY(check_form(t->core, call));
	if (!is_monitor(call))
		GM_TRY(check_proof(t->core, call));
	return check_bounds(t, call);
}

/* ---- Join: what it does */

enum first { FIRST_NOTHING, FIRST_REKEYED, FIRST_WAITS };

/* Keys that nobody who left may know, that a newcomer may know, or that free Sender IDs. */
static enum first rekey_first(struct gm_turn *t, struct gm_call *call)
{
	struct gm_group *g = call->group;
	bool newcomer = !call->member && g->members > 0 && !call->held;

	bool window = g->spec.backward == GM_BACKWARD_WINDOW ||
	              (g->spec.backward == GM_BACKWARD_EACH && gm_rejoin_expected(t->core, g, call->ident)); /* one for all who return */

	if (newcomer && window) {
		gm_plan_hold(t, call);
		return FIRST_WAITS;
	}
	if (newcomer && g->spec.backward == GM_BACKWARD_EACH) { /* held too, so that the others are told who it is */
		gm_plan_hold(t, call);
		gm_plan_step(t, g, GM_REASON_JOIN);
		return FIRST_WAITS;
	}
	if (g->members == 0 && g->reason != GM_REASON_NONE)
		gm_plan_step(t, g, g->reason);
	else if (!is_monitor(call) && g->sids.n >= sid_space(g))
		gm_plan_step(t, g, GM_REASON_SENDER_IDS);
	else
		return FIRST_NOTHING;
	return FIRST_REKEYED;
}

static void name_node(struct gm_turn *t, struct gm_member *m)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t random[3];

	gm_dice(t->txn, random, sizeof(random));
	uint32_t v = (uint32_t)random[0] << 16 | (uint32_t)random[1] << 8 | random[2];
	for (unsigned i = 0; i < 4; i++) {
		m->node[i] = digits[m->slot >> (18 - 6 * i) & 63];
		m->node[4 + i] = digits[v >> (18 - 6 * i) & 63];
	}
}

static struct gm_member *new_member(struct gm_turn *t, struct gm_call *call)
{
	struct gm_member *m = gm_groups_member_new(t->core, call->group, gm_groups_free_slot(call->group));

	m->ident = call->ident->self;
	m->next = call->ident->members;
	call->ident->members = m->self;
	m->joined = t->txn->wall_s;
	m->version = call->group->version;
	name_node(t, m);
	return m;
}

/* The scope of the Join, if the worker could not write it again from name and roles: it proves possession later. KG
 * §9.4 */
static struct gm_bytes odd_scope(const struct gm_call *call)
{
	uint8_t usual[GM_GROUP_NAME_MAX + 16];
	struct gm_out o = gm_out(usual, sizeof(usual));
	struct gm_bytes none = {0}, scope = gm_rec_bytes(call->ev, call->ev->join.scope);

	gm_join_scope_encode(&o, gm_rec_bytes(call->ev, call->ev->join.scope_name), call->ev->join.roles);
	return gm_bytes_eq(scope, gm_out_result(&o)) ? none : scope;
}

static void take_request(struct gm_core *c, struct gm_member *m, const struct gm_call *call)
{
	const struct gm_ev_join *j = &call->ev->join;
	struct gm_member_parts parts = {.cnonce = gm_rec_bytes(call->ev, j->cnonce), .scope = odd_scope(call)};

	if (!is_monitor(call))
		parts.cred = j->client_cred.n ? gm_rec_bytes(call->ev, j->client_cred) : gm_members_cred(c, m);
	if (j->has_control)
		parts.path = gm_rec_bytes(call->ev, j->control_path);
	m->roles = (uint8_t)j->roles; /* of those in GM_ROLES_ALL: the token allows them */
	m->has_control = j->has_control;
	m->control_port = j->control_port;
	gm_members_set_parts(c, m, &parts);
}

static void add_creds(struct gm_turn *t, const struct gm_call *call, const struct gm_member *m)
{
	unsigned w = call->ev->rec.worker;
	uint8_t *pairs;
	size_t n = gm_creds_for_joiner(t, call, m, &pairs);

	if (n <= CREDS_INLINE_MAX) {
		struct gm_slice s = gm_effects_append(t->txn->effects, w, pairs, n);
		((struct gm_eff_joined *)gm_effects_last(t->txn->effects, w))->creds = s;
		free(pairs);
		return;
	}
	struct gm_eff_joined *e = gm_effects_last(t->txn->effects, w);
	e->creds_blob = pairs;
	e->creds_blob_n = n;
}

static void answer_joined(struct gm_turn *t, const struct gm_call *call, const struct gm_member *m, bool again)
{
	unsigned w = call->ev->rec.worker;
	struct gm_bytes cnonce = gm_rec_bytes(call->ev, call->ev->join.cnonce);
	struct gm_eff_joined *e = gm_effects_add(t->txn->effects, w, GM_EFF_JOINED, sizeof(*e));

	e->xid = call->ev->xid;
	e->ctx = call->ev->ctx;
	e->group = m->group;
	e->slot = m->slot;
	e->code = again ? GM_COAP(2, 4) : GM_COAP(2, 1);
	gm_dice(t->txn, e->kdc_nonce, sizeof(e->kdc_nonce));
	struct gm_slice s = gm_effects_append(t->txn->effects, w, cnonce.p, cnonce.n);
	((struct gm_eff_joined *)gm_effects_last(t->txn->effects, w))->cnonce = s;
	if (!call->group->spec.params.group_mode) {
		struct gm_bytes cred = gm_members_cred(t->core, m);
		s = gm_effects_append(t->txn->effects, w, cred.p, cred.n);
		((struct gm_eff_joined *)gm_effects_last(t->txn->effects, w))->cred = s;
	}
	if (call->ev->join.get_creds != GM_CREDS_NO)
		add_creds(t, call, m);
}

static void admit(struct gm_turn *t, struct gm_call *call)
{
	bool again = call->member != NULL;
	struct gm_group *g = call->group;
	struct gm_member *m = again ? call->member : new_member(t, call);

	take_request(t->core, m, call);
	sid_give_up(t, g, m);
	if (!is_monitor(call))
		sid_take(t, g, m); /* one is free: check_bounds, rekey_first */
	if (call->held && !again)
		gm_plan_joined(g, m);
	gm_members_handed(t->core, m, g->version);
	gm_record_put_member(t, m);
	gm_tell_member(t, m, call->assoc->save.id, false);
	gm_tell_cred(t, m, false);
	answer_joined(t, call, m, again);
	sids_run_low(t, g);
	gm_rejoin_came(t, g, call->ident);
	*(again ? &t->core->count.rejoins : &t->core->count.joins_ok) += 1;
	gm_core_log(t->core, "join.ok group=%s node=%s num=%llu again=%d%s", g->spec.name, m->node,
	            (unsigned long long)g->version, again, gm_device_logged(t->core, m));
	gm_audit_member(t, again ? "rejoined" : "joined", m, NULL);
}

void gm_members_join(struct gm_turn *t, struct gm_call *call)
{
	enum gm_err err = check_join(t, call);

	if (err == GM_E_OK && !call->waited) {
		gm_wait_supersede(t, &call->group->held, call->ident);
		gm_wait_supersede(t, &call->group->behind, call->ident);
	}
	if (err == GM_E_OK && gm_rejoin_first(t->core, call)) {
		err = gm_rejoin_hold(t->core, call);
		if (err == GM_E_OK)
			return;
	}
	enum first first = err == GM_E_OK ? rekey_first(t, call) : FIRST_NOTHING;
	if (first == FIRST_REKEYED) { /* those who waited were answered: the caller may have been one of them */
		call->held = true;
		call->member = gm_ident_member(t->core, call->ident, call->group->index);
		err = check_join(t, call);
	}
	if (err != GM_E_OK)
		refuse(t, call, err);
	else if (first != FIRST_WAITS)
		admit(t, call);
}

/* ---- Key Renewal and another credential. RFC 9594 §4, KG §9 */

static enum gm_err check_endpoint(const struct gm_call *call)
{
	if (!call->group->spec.active)
		return GM_E_INACTIVE;
	return call->member->roles == GM_ROLE_MONITOR ? GM_E_BAD_ROLES : GM_E_OK;
}

/* A rekey that is due within its window comes now and serves for the renewal; so does one that frees Sender IDs. */
static enum gm_reason rekey_instead(const struct gm_group *g)
{
	if (g->distributing)
		return GM_REASON_NONE;
	if (g->reason != GM_REASON_NONE)
		return g->reason;
	return g->sids.n >= sid_space(g) && rekey_frees_sids(g) ? GM_REASON_SENDER_IDS : GM_REASON_NONE;
}

static void renew_by_rekey(struct gm_turn *t, struct gm_call *call, enum gm_reason reason)
{
	bool knows = call->member->version >= call->group->config_num; /* the algorithms of these keys */

	gm_plan_step(t, call->group, reason);
	gm_members_handed(t->core, call->member, call->group->version);
	gm_record_put_member(t, call->member);
	gm_reply_rekey(t, call->ev, call->group, !knows);
}

static void renew_sid(struct gm_turn *t, struct gm_call *call)
{
	struct gm_member *m = call->member;
	uint8_t body[16];
	struct gm_out o = gm_out(body, sizeof(body));

	sid_give_up(t, call->group, m);
	sid_take(t, call->group, m);
	gm_record_put_member(t, m);
	gm_audit_member(t, "renewed", m, NULL);
	gm_tell_member(t, m, call->assoc->save.id, false);
	gm_tell_cred(t, m, false);
	gm_renewal_encode(&o, (struct gm_bytes){m->sid, m->sid_n});
	gm_reply(t, call->ev, GM_COAP(2, 4), GM_REPLY_SAVE, CF_GROUPCOMM, gm_out_result(&o));
	sids_run_low(t, call->group);
}

void gm_members_renew(struct gm_turn *t, struct gm_call *call)
{
	const struct gm_group *g = call->group;
	enum gm_err err = check_endpoint(call);
	enum gm_reason reason = rekey_instead(g);

	if (err == GM_E_OK && (call->ev->flags & GM_REQ_PAYLOAD))
		err = GM_E_MALFORMED;
	if (err == GM_E_OK && reason == GM_REASON_NONE && g->sids.n >= sid_space(g))
		err = GM_E_NO_SENDER_ID;
	if (err != GM_E_OK) {
		gm_reply_err(t, call->ev, err);
		return;
	}
	gm_core_log(t->core, "key.renew group=%s node=%s rekey=%d", g->spec.name, call->member->node,
	            reason != GM_REASON_NONE);
	if (reason != GM_REASON_NONE)
		renew_by_rekey(t, call, reason);
	else
		renew_sid(t, call);
}

static enum gm_err check_upload(const struct gm_call *call)
{
	const struct gm_ev_join *j = &call->ev->join;

	GM_TRY(check_endpoint(call));
	if (j->parse != GM_E_OK)
		return GM_E_MALFORMED;
	if (j->group_gen != call->group->gen)
		return GM_E_BUSY; /* judged against other parameters */
	if (j->cred != GM_E_OK)
		return GM_E_BAD_CRED;
	return j->verify.n == 0 || j->pop != GM_E_OK ? GM_E_BAD_POP : GM_E_OK;
}

void gm_members_recred(struct gm_turn *t, struct gm_call *call)
{
	struct gm_member *m = call->member;
	enum gm_err err = check_upload(call);
	struct gm_member_parts parts = gm_members_parts(t->core, m);

	gm_core_log(t->core, "cred.upload group=%s node=%s result=\"%s\"", call->group->spec.name, m->node,
	            gm_err_info(err)->text);
	if (err != GM_E_OK) {
		gm_reply_err(t, call->ev, err);
		return;
	}
	parts.cred = gm_rec_bytes(call->ev, call->ev->join.client_cred); /* the rest stays, also clientchallenge */
	gm_members_set_parts(t->core, m, &parts);
	gm_record_put_member(t, m);
	gm_audit_member(t, "credential-changed", m, NULL);
	gm_tell_cred(t, m, false);
	gm_reply(t, call->ev, GM_COAP(2, 4), GM_REPLY_SAVE, GM_CF_NONE, (struct gm_bytes){0});
	gm_rejoin_came(t, call->group, call->ident);
}

/* ---- the end of a membership */

static void audit_end(struct gm_turn *t, const struct gm_member *m, enum gm_reason reason)
{
	static const char *const events[GM_REASON_N] = {[GM_REASON_LEAVE] = "left", [GM_REASON_EXPIRED] = "expired"};

	gm_audit_member(t, events[reason] ? events[reason] : "evicted", m, gm_reason_text(reason));
}

void gm_members_remove(struct gm_turn *t, struct gm_member *m, enum gm_err notice, enum gm_reason reason,
                       enum gm_haste haste)
{
	struct gm_core *c = t->core;
	struct gm_group *g = gm_groups_at(c, m->group);
	struct gm_ident *ident = gm_ident_at(c, m->ident);
	struct gm_assoc *a = gm_assoc_at(c, ident->assoc);

	gm_core_log(c, "member.remove group=%s node=%s reason=%s%s", g->spec.name, m->node, gm_reason_text(reason),
	            gm_device_logged(c, m));
	gm_members_handed(c, m, g->version);
	audit_end(t, m, reason);
	sid_give_up(t, g, m);
	gm_record_remove_member(t, m);
	if (a && notice != GM_E_OK)
		gm_tell_evict(t, m, a->save.id, notice);
	else if (a)
		gm_tell_member(t, m, a->save.id, true);
	gm_ident_drop_member(c, m);
	gm_groups_member_free(c, m);
	if (reason >= GM_REASON_REKEYS)
		return;
	if (reason != GM_REASON_LEAVE)
		gm_rejoin_came(t, g, ident); /* it will not */
	gm_plan_ask(t, g, reason, haste);
}

void gm_members_leave(struct gm_turn *t, struct gm_call *call)
{
	gm_reply(t, call->ev, GM_COAP(2, 2), GM_REPLY_SAVE, GM_CF_NONE, (struct gm_bytes){0});
	t->core->count.leaves++;
	gm_members_remove(t, call->member, GM_E_OK, GM_REASON_LEAVE, GM_HASTE_WINDOW);
}

/* ---- reading keys, observing them */

static enum gm_obs observed_by(const struct gm_call *call)
{
	return call->ev->res == GM_RES_NODE     ? GM_OBS_NODE
	       : call->ev->res == GM_RES_ACTIVE ? GM_OBS_ACTIVE
	                                        : GM_OBS_GROUP;
}

static void keep_observations(struct gm_turn *t, struct gm_member *m)
{
	struct gm_assoc *a = gm_assoc_at(t->core, gm_ident_at(t->core, m->ident)->assoc);

	gm_record_put_member(t, m);
	if (a)
		gm_tell_member(t, m, a->save.id, false);
}

/* What the request says about observation. RFC 7641 §4.1 */
static void observe(struct gm_turn *t, const struct gm_call *call)
{
	const struct gm_ev_request *ev = call->ev;
	struct gm_observation obs = {.on = true};

	if (ev->flags & GM_REQ_UNOBSERVE)
		gm_members_unobserve(t, call->member, observed_by(call));
	if (!(ev->flags & GM_REQ_OBSERVE))
		return;
	obs.token_n = ev->token_n <= sizeof(obs.token) ? ev->token_n : 0;
	memcpy(obs.token, ev->token, sizeof(obs.token));
	obs.piv_n = ev->piv_n <= sizeof(obs.piv) ? ev->piv_n : 0;
	memcpy(obs.piv, ev->piv, sizeof(obs.piv));
	gm_members_set_obs(t->core, call->member, observed_by(call), &obs);
	keep_observations(t, call->member);
}

void gm_members_unobserve(struct gm_turn *t, struct gm_member *m, unsigned of)
{
	const struct gm_observation none = {0};
	bool had = false;

	for (unsigned i = 0; i < GM_OBS_N; i++) {
		if (of != i && of != GM_OBS_N)
			continue;
		had = had || m->obs_on & 1u << i;
		gm_members_set_obs(t->core, m, i, &none);
	}
	if (had)
		keep_observations(t, m);
}

void gm_members_keys(struct gm_turn *t, struct gm_call *call)
{
	const struct gm_ev_request *ev = call->ev;
	struct gm_member *m = call->member;

	observe(t, call);
	gm_members_handed(t->core, m, call->group->version);
	struct gm_eff_keys *e = gm_effects_add(t->txn->effects, ev->rec.worker, GM_EFF_KEYS, sizeof(*e));
	e->xid = ev->xid;
	e->ctx = ev->ctx;
	e->group = m->group;
	e->slot = m->slot;
	e->with_sid = ev->res == GM_RES_NODE;
	e->observing = (ev->flags & GM_REQ_OBSERVE) != 0;
}

void gm_members_active(struct gm_turn *t, struct gm_call *call)
{
	uint8_t body[1];
	struct gm_out o = gm_out(body, sizeof(body));

	observe(t, call);
	gm_active_encode(&o, call->group->spec.active);
	gm_reply(t, call->ev, GM_COAP(2, 5), call->ev->flags & GM_REQ_OBSERVE ? GM_REPLY_OBSERVE : 0, CF_CBOR,
	         gm_out_result(&o));
}
