/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what the workers could not judge, and the moment a context becomes durable. RFC 9200 §5.10.1.1, RFC 9203 §4 */
#include "core/audit.h"
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/coap.h"

#define INFO_GROUPS_MAX 64u
#define PROBES 16u
#define KDCCHALLENGE 46u

/* ---- pending contexts of one identity: at most four within a minute */

static struct gm_pending *pending_place(struct gm_core *c, uint64_t ident, uint32_t now_s)
{
	struct gm_pending *usable = NULL;

	for (unsigned i = 0; i < PROBES; i++) {
		struct gm_pending *p = &c->pending[(ident + i) & (c->pending_cap - 1)];
		unsigned alive = 0;
		for (unsigned k = 0; k < 4; k++)
			alive += p->until_s[k] > now_s;
		if (p->ident == ident && alive)
			return p;
		if (!usable && !alive)
			usable = p;
	}
	if (usable)
		*usable = (struct gm_pending){.ident = ident};
	return usable;
}

/* Counted by who posts it, too: one that has overheard a token must not use up its owner's share. */
static uint64_t pending_key(const struct gm_core *c, uint32_t as_id, struct gm_bytes osc_id, const struct gm_addr *peer)
{
	uint8_t who[18];

	memcpy(who, peer->ip, sizeof(peer->ip));
	memcpy(who + sizeof(peer->ip), &peer->port, sizeof(peer->port));
	return gm_ident_hash(c, as_id, osc_id) ^ gm_siphash(c->hash_key, who, sizeof(who));
}

static bool pending_add(struct gm_turn *t, uint64_t ident)
{
	const struct gm_core_config *config = &t->core->config;
	uint32_t now = (uint32_t)(t->txn->mono_ms / 1000);
	struct gm_pending *p = pending_place(t->core, ident, now);

	for (unsigned k = 0; p && k < config->pending_per_token && k < 4; k++) {
		if (p->until_s[k] <= now) {
			p->until_s[k] = now + config->pending_s;
			return true;
		}
	}
	return false;
}

static void pending_done(struct gm_turn *t, uint64_t ident)
{
	uint32_t now = (uint32_t)(t->txn->mono_ms / 1000);
	struct gm_pending *p = pending_place(t->core, ident, now);

	for (unsigned k = 0; p && k < 4; k++) {
		if (p->until_s[k] > now) {
			p->until_s[k] = 0;
			return;
		}
	}
}

/* ---- exi: the counter starts at the first reception, and a number at or below one that has ended is refused.
 *                                                                                        RFC 9200 §5.10.3 */

struct seen_key {
	const struct gm_core *core;
	uint32_t as_id;
	uint64_t seq;
};

static bool same_seen(const void *arg, uint32_t value)
{
	const struct seen_key *key = arg;
	const struct gm_seen *s = gm_slab_at(&key->core->seen, value);

	return s->as_id == key->as_id && s->seq == key->seq;
}

static struct gm_seen *seen_find(const struct gm_core *c, uint32_t as_id, uint64_t seq)
{
	struct seen_key key = {c, as_id, seq};
	uint32_t id = gm_map_find(&c->seen_map, as_id ^ (uint32_t)seq, same_seen, &key);

	return id ? gm_slab_at(&c->seen, id) : NULL;
}

struct gm_seen *gm_token_seen_add(struct gm_core *c, uint32_t as_id, uint64_t seq, int64_t exp)
{
	uint32_t id = gm_must_get(&c->seen);
	struct gm_seen *s = gm_slab_at(&c->seen, id);

	*s = (struct gm_seen){.self = id, .as_id = as_id, .seq = seq, .exp = exp};
	gm_map_add(&c->seen_map, as_id ^ (uint32_t)seq, id);
	gm_timer_set(&c->wall, &s->expiry, GM_TIMER_SEEN, exp > 0 ? (uint64_t)exp : 0);
	return s;
}

static void seen_forget(struct gm_core *c, struct gm_seen *s)
{
	gm_timer_stop(&c->wall, &s->expiry);
	gm_map_remove(&c->seen_map, s->as_id ^ (uint32_t)s->seq, s->self);
	gm_slab_put(&c->seen, s->self);
}

void gm_token_seen_unload(struct gm_core *c, uint32_t as_id, uint64_t seq)
{
	struct gm_seen *s = seen_find(c, as_id, seq);

	if (s)
		seen_forget(c, s);
}

static void seen_free(struct gm_turn *t, struct gm_seen *s)
{
	gm_record_remove_seen(t, s);
	seen_forget(t->core, s);
}

static void set_ended(struct gm_turn *t, uint32_t as_id, uint64_t seq)
{
	struct gm_ended *ended = gm_ended_of(t->core, as_id);

	if (!ended || (ended->any && seq <= ended->seq))
		return;
	*ended = (struct gm_ended){.seq = seq, .any = true};
	gm_record_put_ended(t, as_id, seq);
}

void gm_token_seen_end(struct gm_turn *t, struct gm_seen *s)
{
	set_ended(t, s->as_id, s->seq);
	seen_free(t, s);
}

void gm_token_seen_drop(struct gm_turn *t, uint32_t as_id)
{
	for (uint32_t id = 1; id <= t->core->seen.made; id++) {
		struct gm_seen *s = gm_slab_at(&t->core->seen, id);
		if (s->expiry.pos && s->as_id == as_id)
			seen_free(t, s);
	}
}

void gm_token_seen_move(struct gm_turn *t, uint32_t from, uint32_t to)
{
	struct gm_core *c = t->core;
	const struct gm_ended *ended = gm_ended_of(c, from);

	for (uint32_t id = 1; id <= c->seen.made; id++) {
		struct gm_seen *s = gm_slab_at(&c->seen, id);
		if (!s->expiry.pos || s->as_id != from)
			continue;
		if (!seen_find(c, to, s->seq))
			gm_record_put_seen(t, gm_token_seen_add(c, to, s->seq, s->exp));
		seen_free(t, s);
	}
	if (ended && ended->any)
		set_ended(t, to, ended->seq);
	gm_record_remove_ended(t, from);
}

/* cti is the identifier of this server, then a sequence number. */
static bool exi_sequence(const struct gm_core *c, struct gm_bytes cti, uint64_t *seq)
{
	size_t head = strlen(c->config.audience);
	struct gm_in in = gm_in_bytes(cti);

	if (cti.n > head && memcmp(cti.p, c->config.audience, head) == 0)
		gm_in_take(&in, head);
	if (gm_in_left(&in) == 0 || gm_in_left(&in) > 8)
		return false;
	*seq = gm_in_be(&in, gm_in_left(&in));
	return *seq <= INT64_MAX;
}

/* ---- the checks, in the order of RFC 9200 §5.10.1.1 */

struct verdict {
	int64_t exp;
	uint64_t exi_seq;
	bool start_counter;
};

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static enum gm_err check_exi(struct gm_turn *t, const struct gm_ev_token *ev, const struct gm_as *as, struct verdict *v)
{
	int64_t ends = t->txn->wall_s + (ev->exi < INT32_MAX ? ev->exi : INT32_MAX);

	if (!exi_sequence(t->core, gm_rec_bytes(ev, ev->cti), &v->exi_seq))
		return GM_E_TOKEN_CLAIMS;
	const struct gm_seen *seen = seen_find(t->core, ev->as_id, v->exi_seq);
	if (!seen && as->ended.any && v->exi_seq <= as->ended.seq)
		return GM_E_TOKEN_REPLAYED;
	v->start_counter = !seen;
	v->exp = sooner(v->exp, seen ? seen->exp : ends);
	return GM_E_OK;
}

void gm_token_forget(struct gm_turn *t, int64_t exp)
{
	if (exp <= t->core->forgotten)
		return;
	t->core->forgotten = exp;
	gm_record_put_forgotten(t);
}

bool gm_token_has_ended(const struct gm_turn *t, int64_t exp)
{
	return exp <= t->txn->wall_s || exp <= t->core->forgotten;
}

static enum gm_err check_time(struct gm_turn *t, const struct gm_ev_token *ev, const struct gm_as *as,
                              struct verdict *v)
{
	v->exp = ev->exp;
	if (ev->exp < 0 && ev->exi < 0)
		return GM_E_TOKEN_CLAIMS;
	if (ev->exi >= 0)
		GM_TRY(check_exi(t, ev, as, v));
	/* one whose time begins to count now has not ended, whatever else had when the clock was set back */
	if (v->start_counter ? v->exp <= t->txn->wall_s : gm_token_has_ended(t, v->exp))
		return GM_E_TOKEN_EXPIRED;
	return ev->nbf > t->txn->wall_s ? GM_E_TOKEN_EARLY : GM_E_OK;
}

static void start_counter(struct gm_turn *t, const struct gm_ev_token *ev, const struct verdict *v)
{
	if (v->start_counter)
		gm_record_put_seen(t, gm_token_seen_add(t->core, ev->as_id, v->exi_seq, v->exp));
}

/* The hash of a revoked token is kept until the token was seen and is known to have ended. RFC 9770 */
static enum gm_err check_revoked(struct gm_turn *t, const struct gm_ev_token *ev, const struct verdict *v, enum gm_err err)
{
	struct gm_revoked *found[2];
	unsigned n = gm_revoked_of(t->core, ev->as_id, ev->hash, found);

	if (!n && err == GM_E_OK && gm_ident_revoked(t->core, ev->as_id, gm_rec_bytes(ev, ev->osc_id)))
		return GM_E_TOKEN_REVOKED; /* in another form */
	if (!n)
		return err;
	if (err == GM_E_OK)
		start_counter(t, ev, v); /* else exi would count from a later post, when the hash is forgotten */
	if (err == GM_E_TOKEN_EXPIRED)
		gm_token_forget(t, v->exp);
	for (unsigned i = 0; i < n; i++) {
		if (err == GM_E_TOKEN_EXPIRED && !v->start_counter)
			gm_revoked_end(t, found[i]);
		else if (err == GM_E_OK)
			gm_revoked_until(t, found[i], v->exp);
	}
	return err == GM_E_TOKEN_EXPIRED ? err : GM_E_TOKEN_REVOKED;
}

static enum gm_err check_claims(struct gm_turn *t, const struct gm_ev_token *ev, struct verdict *v)
{
	const struct gm_as *as = gm_as_find(t->core, ev->as_id);
	struct gm_bytes iss = gm_rec_bytes(ev, ev->iss), aud = gm_rec_bytes(ev, ev->aud),
	                scope = gm_rec_bytes(ev, ev->scope);

	if (ev->bad != GM_E_OK && ev->bad != GM_E_TOKEN_PROFILE)
		return (enum gm_err)ev->bad;
	if (!as)
		return GM_E_TOKEN_KEY;
	if (as->spec.issuer[0] && iss.p && !gm_bytes_is(iss, as->spec.issuer))
		return GM_E_TOKEN_ISSUER;
	GM_TRY(check_time(t, ev, as, v));
	if (!aud.p || !gm_bytes_is(aud, t->core->config.audience))
		return GM_E_TOKEN_AUDIENCE;
	if (!scope.p || gm_scope_check(scope) != GM_E_OK)
		return GM_E_TOKEN_SCOPE;
	if (as->spec.cnonce &&
	    !gm_cnonce_fresh(gm_rec_bytes(ev, ev->cnonce), t->core->cnonce_key, t->txn->wall_s))
		return GM_E_TOKEN_NONCE;
	return GM_E_OK;
}

static enum gm_err check_profile(const struct gm_ev_token *ev)
{
	return ev->bad == GM_E_OK && ev->osc_id.off && ev->osc_id.n <= GM_OSC_ID_MAX ? GM_E_OK : GM_E_TOKEN_PROFILE;
}

static bool all_barred(const struct gm_core *c, const struct gm_ev_token *ev)
{
	const struct gm_ident *ident = gm_ident_find(c, ev->as_id, gm_rec_bytes(ev, ev->osc_id));
	struct gm_scope_iter it = gm_scope_iter(gm_rec_bytes(ev, ev->scope));
	struct gm_scope_entry e;
	unsigned users = 0;

	while (ident && gm_scope_next(&it, &e)) {
		if (!e.admin && !gm_ident_bar(c, ident, e.name))
			return false;
		users += !e.admin;
	}
	return users > 0;
}

static enum gm_err judge(struct gm_turn *t, const struct gm_ev_token *ev, struct verdict *v)
{
	struct gm_core *c = t->core;

	GM_TRY(check_revoked(t, ev, v, check_claims(t, ev, v)));
	GM_TRY(check_profile(ev));
	if (all_barred(c, ev))
		return GM_E_TOKEN_BARRED;
	if (c->assocs.used >= c->config.contexts_max || (v->start_counter && c->seen.used >= c->config.contexts_max))
		return GM_E_FULL;
	if (!pending_add(t, pending_key(c, ev->as_id, gm_rec_bytes(ev, ev->osc_id), &ev->peer)))
		return GM_E_BUSY;
	return GM_E_OK;
}

/* ---- what the answer tells about the groups                                            KG §5.3 */

struct infos {
	struct gm_group *group[INFO_GROUPS_MAX];
	unsigned n;
};

static struct infos groups_of(const struct gm_core *c, struct gm_bytes scope)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;
	struct infos infos = {.n = 0};

	while (infos.n < INFO_GROUPS_MAX && gm_scope_next(&it, &e)) {
		struct gm_group *g = e.admin ? NULL : gm_groups_find(c, e.name);
		for (unsigned i = 0; g && i < infos.n; i++)
			if (infos.group[i] == g)
				g = NULL;
		if (g)
			infos.group[infos.n++] = g;
	}
	return infos;
}

static bool same_params(const struct gm_group_params *a, const struct gm_group_params *b)
{
	return a->hkdf == b->hkdf && a->cred_fmt == b->cred_fmt && a->group_mode == b->group_mode &&
	       a->pairwise_mode == b->pairwise_mode && a->gp_enc_alg == b->gp_enc_alg && a->sign_alg == b->sign_alg &&
	       a->alg == b->alg && a->ecdh_alg == b->ecdh_alg && a->sign_kty == b->sign_kty &&
	       a->sign_crv == b->sign_crv && a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv;
}

typedef void (*entry_encode)(struct gm_out *out, const struct gm_bytes *names, unsigned n,
                             const struct gm_group_params *p);

static bool group_signs(const struct gm_group_params *p)
{
	return p->group_mode;
}

static bool group_pairs(const struct gm_group_params *p)
{
	return p->pairwise_mode;
}

/* One array of entries; groups with equal parameters share one. Returns the number of pairs written: 0 or 1. */
static unsigned put_infos(struct gm_out *o, const struct infos *infos, uint8_t label,
                          bool (*wanted)(const struct gm_group_params *), entry_encode encode)
{
	uint8_t body[4096];
	struct gm_out entries = gm_out(body, sizeof(body));
	bool done[INFO_GROUPS_MAX] = {false};
	unsigned n = 0;

	for (unsigned i = 0; label && i < infos->n; i++) {
		const struct gm_group_params *p = &infos->group[i]->spec.params;
		struct gm_bytes names[INFO_GROUPS_MAX];
		unsigned names_n = 0;
		if (done[i] || !wanted(p))
			continue;
		for (unsigned k = i; k < infos->n; k++) {
			const char *name = infos->group[k]->spec.name;
			if (!same_params(p, &infos->group[k]->spec.params))
				continue;
			names[names_n++] = (struct gm_bytes){(const uint8_t *)name, strlen(name)};
			done[k] = true;
		}
		encode(&entries, names, names_n, p);
		n++;
	}
	if (n == 0 || entries.err != GM_E_OK)
		return 0;
	gm_cbor_put_uint(o, label);
	gm_cbor_put_array(o, n);
	gm_out_bytes(o, body, gm_out_len(&entries));
	return 1;
}

/* The Group Manager has a key of its own in each group: nothing is shared. */
static unsigned put_dh_creds(struct gm_out *o, const struct infos *infos, uint8_t label)
{
	uint8_t body[4096];
	struct gm_out entries = gm_out(body, sizeof(body));
	unsigned n = 0;

	for (unsigned i = 0; label && i < infos->n; i++) {
		const struct gm_group *g = infos->group[i];
		struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};
		if (g->spec.params.group_mode)
			continue;
		gm_kdc_dh_creds_entry(&entries, &name, 1, &g->spec.params, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n});
		n++;
	}
	if (n == 0 || entries.err != GM_E_OK)
		return 0;
	gm_cbor_put_uint(o, label);
	gm_cbor_put_array(o, n);
	gm_out_bytes(o, body, gm_out_len(&entries));
	return 1;
}

static bool needs_challenge(struct gm_bytes scope)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;

	while (gm_scope_next(&it, &e))
		if (!e.admin && (e.perm & (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)))
			return true;
	return false;
}

#define PAIRS_MAX (3 * 4200u)

/* The pairs that were asked for; returns their number. */
static unsigned put_pairs(struct gm_out *o, const struct gm_core *c, const struct gm_ev_token *ev)
{
	struct infos infos = groups_of(c, gm_rec_bytes(ev, ev->scope));

	return put_infos(o, &infos, ev->sign_info, group_signs, gm_sign_info_entry) +
	       put_infos(o, &infos, ev->ecdh_info, group_pairs, gm_ecdh_info_entry) +
	       put_dh_creds(o, &infos, ev->kdc_dh_creds);
}

/* Which of two tokens came later. */
static uint32_t next_post(struct gm_core *c)
{
	c->posts += c->posts < UINT32_MAX;
	return c->posts;
}

static void accept(struct gm_turn *t, const struct gm_ev_token *ev, const struct verdict *v, struct gm_bytes claims)
{
	uint8_t pairs[PAIRS_MAX];
	struct gm_out o = gm_out(pairs, sizeof(pairs));
	unsigned w = ev->rec.worker, n = put_pairs(&o, t->core, ev);

	struct gm_eff_token *e = gm_effects_add(t->txn->effects, w, GM_EFF_TOKEN, sizeof(*e));
	e->xid = ev->xid;
	e->err = GM_E_OK;
	e->post = next_post(t->core);
	e->exp = v->exp;
	e->challenge = needs_challenge(gm_rec_bytes(ev, ev->scope));
	e->infos_n = (uint8_t)n;
	gm_dice(t->txn, e->nonce2, sizeof(e->nonce2));
	gm_dice(t->txn, e->n_s, sizeof(e->n_s));
	if (n) {
		struct gm_slice s = gm_effects_append(t->txn->effects, w, pairs, gm_out_len(&o));
		((struct gm_eff_token *)gm_effects_last(t->txn->effects, w))->infos = s;
	}
	if (claims.p) {
		struct gm_slice s = gm_effects_append(t->txn->effects, w, claims.p, claims.n);
		e = gm_effects_last(t->txn->effects, w);
		e->claims = s;
		e->as_id = ev->as_id;
	}
	start_counter(t, ev, v);
	t->core->count.tokens_ok++;
}

static void refuse(struct gm_turn *t, const struct gm_ev_token *ev, enum gm_err err)
{
	struct gm_eff_token *e = gm_effects_add(t->txn->effects, ev->rec.worker, GM_EFF_TOKEN, sizeof(*e));
	e->xid = ev->xid;
	e->err = (uint8_t)err;
	t->core->count.tokens_refused++;
	gm_audit_refused(t->core, &t->core->refused.tokens, err);
	gm_core_log(t->core, "token.refused as=%u why=\"%s\"", ev->as_id, gm_err_info(err)->text);
}

void gm_token_decide(struct gm_turn *t, const struct gm_ev_token *ev, struct gm_bytes claims)
{
	struct verdict v = {0};
	enum gm_err err = judge(t, ev, &v);

	if (err == GM_E_OK)
		accept(t, ev, &v, claims);
	else
		refuse(t, ev, err);
}

void gm_token_event(struct gm_turn *t, const struct gm_ev_token *ev)
{
	enum gm_err err = GM_E_OK;

	if (t->txn->disk_low)
		err = GM_E_DISK_FULL;
	else if (t->core->draining)
		err = GM_E_DRAINING;
	else if (ev->reference.off)
		err = gm_introspect_begin(t, &ev->rec);
	else
		gm_token_decide(t, ev, (struct gm_bytes){0});
	if (err != GM_E_OK)
		refuse(t, ev, err);
}

/* ---- a context becomes durable */

static void move_members(struct gm_turn *t, struct gm_ident *ident, const struct gm_assoc *old,
                         const struct gm_assoc *a)
{
	for (uint32_t id = ident->members; id;) {
		struct gm_member *m = gm_slab_at(&t->core->members, id);
		gm_tell_member(t, m, old->save.id, true);
		gm_members_unobserve(t, m, GM_OBS_N);
		gm_tell_member(t, m, a->save.id, false);
		id = m->next;
	}
}

/* Memberships that the new token does not cover end. */
static unsigned end_uncovered(struct gm_turn *t, struct gm_ident *ident, const struct gm_assoc *a, enum gm_err notice)
{
	unsigned n = 0;
	struct gm_bytes scope = gm_assoc_scope(t->core, a);
	uint32_t next;

	for (uint32_t id = ident->members; id; id = next) {
		struct gm_member *m = gm_slab_at(&t->core->members, id);
		const char *name = gm_groups_at(t->core, m->group)->spec.name;
		next = m->next;
		if (gm_scope_allows(scope, (struct gm_bytes){(const uint8_t *)name, strlen(name)}, m->roles))
			continue;
		gm_members_remove(t, m, notice, GM_REASON_EXPIRED, GM_HASTE_WINDOW);
		n++;
	}
	return n;
}

static bool same_token(const struct gm_assoc *a, const uint8_t hash[static GM_TOKEN_HASH])
{
	return a && memcmp(a->hash, hash, sizeof(a->hash)) == 0;
}

/* Another token adds an entry to the audit log: it needs room on the disk, and behind the first is a change like others. a: of the
 * token that is in use, NULL: none */
static enum gm_err admit_hash(struct gm_turn *t, const struct gm_assoc *a, const uint8_t hash[static GM_TOKEN_HASH])
{
	if (same_token(a, hash))
		return GM_E_OK;
	if (t->txn->disk_low)
		return GM_E_DISK_FULL;
	return !a || gm_policy_spend(t, gm_ident_at(t->core, a->ident)) ? GM_E_OK : GM_E_TOO_OFTEN;
}

enum gm_err gm_token_confirm(struct gm_turn *t, const struct gm_ev_request *ev, struct gm_assoc **out)
{
	struct gm_core *c = t->core;
	const struct gm_ev_confirm *confirm = &ev->confirm;
	struct gm_bytes osc_id = gm_rec_bytes(ev, confirm->osc_id), scope = gm_rec_bytes(ev, confirm->scope);
	struct gm_revoked *found[2];

	if (!gm_as_find(c, confirm->as_id) || osc_id.n > GM_OSC_ID_MAX || gm_scope_check(scope) != GM_E_OK ||
	    gm_revoked_of(c, confirm->as_id, confirm->hash, found) || gm_ident_revoked(c, confirm->as_id, osc_id))
		return GM_E_UNAUTHORIZED;
	const struct gm_ident *known = gm_ident_find(c, confirm->as_id, osc_id);
	const struct gm_assoc *now = known ? gm_assoc_at(c, known->assoc) : NULL;
	if (now && confirm->post < now->post)
		return GM_E_UNAUTHORIZED; /* of a token posted earlier than the one that is in use */
	if (c->assocs.used >= c->config.contexts_max)
		return GM_E_FULL;
	GM_TRY(admit_hash(t, now, confirm->hash));
	struct gm_assoc *gone = gm_assoc_in_place(c, confirm->save.id);
	if (gone)
		gm_assoc_drop(t, gone);
	struct gm_ident *ident = gm_ident_need(c, confirm->as_id, osc_id);
	struct gm_assoc *old = gm_assoc_at(c, ident->assoc);
	struct gm_assoc *a = gm_assoc_new(c, &confirm->save, scope, gm_rec_bytes(ev, confirm->cti));
	a->ident = ident->self;
	a->exp = confirm->exp;
	a->exi = confirm->exi;
	a->post = confirm->post;
	gm_assoc_set_hash(c, a, confirm->hash);
	ident->assoc = a->self;
	gm_timer_set(&c->wall, &a->expiry, GM_TIMER_TOKEN, a->exp > 0 ? (uint64_t)a->exp : 0);
	gm_record_put_assoc(t, a);
	t->txn->by = gm_by_device(ident->as_id, osc_id);
	if (!same_token(old, a->hash)) /* the same token again says nothing new, as often as it may come */
		gm_audit_token(t, "token", a);
	gm_tell_ctx(t, a, GM_CTX_CONFIRM);
	if (old) {
		move_members(t, ident, old, a);
		gm_assoc_drop(t, old);
		end_uncovered(t, ident, a, GM_E_OK);
	}
	pending_done(t, pending_key(c, confirm->as_id, osc_id, &confirm->save.peer));
	gm_core_log(c, "token.ok as=%u ctx=%08x again=%d", confirm->as_id, a->save.id, old != NULL);
	*out = a;
	return GM_E_OK;
}

/* ---- update of rights: a new token under a live context                                RFC 9203 §4.1, §4.2 */

static enum gm_err judge_update(struct gm_turn *t, const struct gm_call *call, const struct gm_ev_token *ev,
                                struct verdict *v)
{
	const struct gm_ident *ident = call->ident;
	struct gm_core *c = t->core;

	GM_TRY(check_revoked(t, ev, v, check_claims(t, ev, v)));
	if (ev->as_id != ident->as_id || !ev->osc_id.off ||
	    !gm_bytes_eq(gm_rec_bytes(ev, ev->osc_id), gm_ident_osc_id(t->core, ident)))
		return GM_E_TOKEN_OTHER_KEY;
	if (all_barred(c, ev))
		return GM_E_TOKEN_BARRED;
	return v->start_counter && c->seen.used >= c->config.contexts_max ? GM_E_FULL : GM_E_OK;
}

static void refuse_update(struct gm_turn *t, const struct gm_call *call, const struct gm_ev_token *ev, enum gm_err err)
{
	const struct gm_err_info *info = gm_err_info(err);
	uint8_t body[128];
	struct gm_out o = gm_out(body, sizeof(body));

	t->core->count.tokens_refused++;
	gm_audit_refused(t->core, &t->core->refused.tokens, err);
	gm_core_log(t->core, "token.refused as=%u ctx=%08x why=\"%s\"", ev->as_id, call->assoc->save.id, info->text);
	if (info->coap != GM_COAP(4, 0)) {
		gm_reply_err(t, call->ev, err);
		return;
	}
	gm_token_error_encode(&o, gm_oauth_error(err), info->text);
	gm_reply(t, call->ev, info->coap, GM_REPLY_SAVE, GM_CF_ACE, gm_out_result(&o));
}

/* requirements G2: nothing, or a map where infos were asked or the client has not had N_S yet. */
static void answer_update(struct gm_turn *t, const struct gm_call *call, const struct gm_ev_token *ev, bool wants_challenge)
{
	const struct gm_ctx_part *save = &call->assoc->save;
	uint8_t pairs[PAIRS_MAX], body[PAIRS_MAX + 16];
	struct gm_out p = gm_out(pairs, sizeof(pairs)), o = gm_out(body, sizeof(body));
	unsigned n = put_pairs(&p, t->core, ev);

	if (!wants_challenge && !ev->sign_info && !ev->ecdh_info && !ev->kdc_dh_creds) {
		gm_reply(t, call->ev, GM_COAP(2, 1), GM_REPLY_SAVE, GM_CF_NONE, (struct gm_bytes){0});
		return;
	}
	gm_cbor_put_map(&o, n + 1);
	gm_cbor_put_uint(&o, KDCCHALLENGE);
	gm_cbor_put_bstr(&o, save->challenge, sizeof(save->challenge));
	gm_out_bytes(&o, pairs, gm_out_len(&p));
	gm_reply(t, call->ev, GM_COAP(2, 1), GM_REPLY_SAVE, GM_CF_ACE, gm_out_result(&o));
}

void gm_token_rights(struct gm_turn *t, struct gm_call *call)
{
	const struct gm_ev_token *ev = (const void *)((const uint8_t *)call->ev + call->ev->update.off);
	struct gm_assoc *a = call->assoc;
	struct gm_bytes scope = gm_rec_bytes(ev, ev->scope);
	struct verdict v = {0};
	enum gm_err err = call->waited ? GM_E_OK : admit_hash(t, a, ev->hash);

	if (err == GM_E_OK && ev->reference.off) {
		err = gm_introspect_begin(t, &call->ev->rec);
		if (err == GM_E_OK)
			return;
	} else if (err == GM_E_OK) {
		err = judge_update(t, call, ev, &v);
	}
	if (err != GM_E_OK) {
		refuse_update(t, call, ev, err);
		return;
	}
	bool wants_challenge = needs_challenge(scope) && !needs_challenge(gm_assoc_scope(t->core, a));
	start_counter(t, ev, &v);
	gm_assoc_set_token(t->core, a, scope, gm_rec_bytes(ev, ev->cti));
	a->exp = v.exp;
	a->exi = ev->exi;
	a->post = next_post(t->core); /* a context of a token posted before is not to take its place */
	bool other = !same_token(a, ev->hash);
	gm_assoc_set_hash(t->core, a, ev->hash);
	gm_timer_set(&t->core->wall, &a->expiry, GM_TIMER_TOKEN, (uint64_t)a->exp);
	gm_record_put_assoc(t, a);
	if (other)
		gm_audit_token(t, "token", a);
	unsigned ended = end_uncovered(t, call->ident, a, GM_E_EVICTED);
	answer_update(t, call, ev, wants_challenge);
	t->core->count.tokens_ok++;
	gm_core_log(t->core, "token.updated as=%u ctx=%08x memberships_ended=%u", ev->as_id, a->save.id, ended);
}
