/* SPDX-License-Identifier: Apache-2.0 */
/* What core has decided and made durable: into the view, into answers, onto the walk. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/resources.h"
#include "work/worker.h"

/* ---- answers */

/* The answer brings the present keys: the walk need not. */
static void has_keys(struct worker *w, const struct ctx *c, uint32_t group)
{
	struct group *g = gm_group_at(w, group);
	struct member *m = g ? gm_member_of(w, c, group, NULL) : NULL;

	if (m)
		m->confirmed = g->view.version;
}

static void on_reply(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_reply *e = (const void *)rec;
	struct xch *x = gm_xch_at(w, e->xid);
	struct ctx *c = x ? gm_ctx_at(w, x->ctx) : NULL;

	if (c) {
		struct answer a = {
			.code = e->code,
			.format = e->content_format,
			.max_age = e->max_age > 2 ? e->max_age - gm_worker_random(w) % (e->max_age / 2) : e->max_age, /* spread */
			.has_max_age = e->max_age != 0,
			.observe = (e->flags & GM_REPLY_OBSERVE) != 0,
			.save = true, /* whatever core says is said once; GM_REPLY_SAVE says that it must be */
			.etag = e->etag,
			.location_manage = gm_rec_bytes(e, e->location),
			.payload = e->blob ? (struct gm_bytes){e->blob, e->blob_n} : gm_rec_bytes(e, e->payload),
		};
		if (e->flags & GM_REPLY_KEYS)
			has_keys(w, c, e->group);
		gm_answer(w, c, x, &a);
	}
	if (e->blob)
		gm_wipe(e->blob, e->blob_n);
	free(e->blob);
	gm_xch_done(w, e->xid);
}

static void on_keys(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_keys *e = (const void *)rec;
	struct xch *x = gm_xch_at(w, e->xid);
	struct ctx *c = x ? gm_ctx_at(w, x->ctx) : NULL;
	struct group *g = gm_group_at(w, e->group);
	struct member *m = c && g ? gm_member_of(w, c, e->group, NULL) : NULL;
	uint8_t body[512];
	struct gm_out out = gm_out(body, sizeof body);

	if (m) {
		struct gm_bytes sid = {e->with_sid && m->sid_n ? m->sid : NULL, m->sid_n};
		struct gm_keying keying = gm_view_keying(w, g, sid);
		gm_keying_encode(&out, &keying, (struct gm_bytes){0}, (struct gm_bytes){0});
		struct answer a = {
			.code = GM_COAP(2, 5),
			.format = GM_CF_GROUPCOMM,
			.observe = e->observing,
			.save = true,
			.payload = gm_out_result(&out),
		};
		gm_answer(w, c, x, &a);
		gm_wipe(body, sizeof body);
	} else if (c) {
		gm_answer_err(w, c, x, GM_E_NOT_MEMBER);
	}
	gm_xch_done(w, e->xid);
}

/* What verifiers get; the key is derived for each answer. KG §9.6 */
static void on_verif_data(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_verif_data *e = (const void *)rec;
	struct xch *x = gm_xch_at(w, e->xid);
	struct ctx *c = x ? gm_ctx_at(w, x->ctx) : NULL;
	struct group *g = gm_group_at(w, e->group);
	uint8_t body[512], sekey[GM_SEKEY_MAX];
	struct gm_out out = gm_out(body, sizeof body);
	struct gm_keying keying = g ? gm_view_keying(w, g, (struct gm_bytes){0}) : (struct gm_keying){0};
	size_t n = 0;

	if (c && g && gm_group_sekey(&keying, sekey, &n) == GM_E_OK) {
		gm_verif_data_encode(&out, &keying, (struct gm_bytes){sekey, n});
		struct answer a = {
			.code = GM_COAP(2, 5), .format = GM_CF_GROUPCOMM, .save = true, .payload = gm_out_result(&out)};
		gm_answer(w, c, x, &a);
	} else if (c) {
		gm_answer_err(w, c, x, GM_E_BUSY);
	}
	gm_wipe(sekey, sizeof sekey);
	gm_wipe(body, sizeof body);
	gm_xch_done(w, e->xid);
}

/* ---- Join Responses and the Group Manager's credential: signed together. KG §6.3, §9.5 */

static void finish_join(struct worker *w, struct signing *s)
{
	struct xch *x = gm_xch_at(w, s->xid);
	struct ctx *c = x ? gm_ctx_at(w, x->ctx) : NULL;
	struct group *g = gm_group_at(w, s->group);
	struct member *m = c && g && s->sig_n ? gm_member_of(w, c, s->group, NULL) : NULL;
	size_t cap = 1024 + GM_VIEW_CRED_MAX + s->creds_n;
	struct blob *body = m ? gm_blob_new(cap) : NULL;

	if (body) {
		struct gm_join_response r = {
			.keying = gm_view_keying(w, g, (struct gm_bytes){m->sid_n ? m->sid : NULL, m->sid_n}),
			.kdc_cred = {g->view.kdc_cred, g->view.kdc_cred_n},
			.kdc_nonce = {s->kdc_nonce, sizeof s->kdc_nonce},
			.kdc_verify = {s->sig, s->sig_n},
			.has_creds = s->creds != NULL,
			.creds = {s->creds, s->creds_n},
			.check_interval = g->view.check_interval,
			.expiration_delta = g->view.expiration_delta,
		};
		struct gm_out out = gm_out(body->bytes, cap);
		gm_join_response_encode(&out, &r);
		struct answer a = {
			.code = s->code,
			.format = GM_CF_GROUPCOMM,
			.save = true,
			.location_group = {(const uint8_t *)g->view.name, g->view.name_n},
			.location_node = {(const uint8_t *)m->node, m->node_n},
			.payload = gm_out_result(&out),
		};
		m->confirmed = g->view.version;
		gm_answer(w, c, x, &a);
		gm_blob_drop(&body);
	} else if (c) {
		gm_answer_err(w, c, x, GM_E_BUSY);
	}
	gm_xch_done(w, s->xid);
}

static void finish_kdc_cred(struct worker *w, const struct signing *s)
{
	struct xch *x = gm_xch_at(w, s->xid);
	struct ctx *c = x ? gm_ctx_at(w, x->ctx) : NULL;
	struct group *g = gm_group_at(w, s->group);
	uint8_t body[GM_VIEW_CRED_MAX + GM_PROOF_MAX + 64];
	struct gm_out out = gm_out(body, sizeof body);

	if (c && g && s->sig_n) {
		struct gm_kdc_cred kdc = {
			.cred = {g->view.kdc_cred, g->view.kdc_cred_n},
			.nonce = {s->kdc_nonce, sizeof s->kdc_nonce},
			.verify = {s->sig, s->sig_n},
		};
		gm_kdc_cred_encode(&out, &kdc);
		struct answer a = {
			.code = GM_COAP(2, 5), .format = GM_CF_GROUPCOMM, .save = true, .payload = gm_out_result(&out)};
		gm_answer(w, c, x, &a);
	} else if (c) {
		gm_answer_err(w, c, x, GM_E_BUSY);
	}
	gm_xch_done(w, s->xid);
}

static void sign_all(struct worker *w)
{
	struct gm_ed25519_sign_job job[BURST];
	struct gm_proof_job other[BURST];
	struct signing *of[BURST];
	unsigned n = 0, others = 0;

	gm_view_keys(w);
	for (unsigned i = 0; i < w->signings_n; i++) {
		struct signing *s = &w->signing[i];
		struct group *g = gm_group_at(w, s->group);
		struct gm_out pop = gm_out(s->pop, sizeof s->pop);
		if (!g)
			continue;
		gm_pop_input(&pop, (struct gm_bytes){s->cnonce, s->cnonce_n}, (struct gm_bytes){s->kdc_nonce, sizeof s->kdc_nonce},
		             (struct gm_bytes){0});
		s->sig_n = gm_proof_len(&g->params);
		if (gm_proof_is_ed25519(&g->params))
			job[n++] = (struct gm_ed25519_sign_job){
				.seed = g->kdc.priv,
				.pub = g->kdc.pub.x,
				.msg = s->pop,
				.msg_len = gm_out_len(&pop),
				.sig = s->sig,
			};
		else {
			of[others] = s;
			other[others++] = (struct gm_proof_job){
				&g->params, &g->kdc, &s->peer, {s->pop, gm_out_len(&pop)}, .made = s->sig};
		}
	}
	uint64_t made = others ? gm_proofs_make(other, others) : 0;
	for (unsigned i = 0; i < others; i++)
		if (!(made >> i & 1))
			of[i]->sig_n = 0; /* a member whose key does not serve was not let in */
	if (n) {
		gm_ed25519_sign(job, n);
		gm_work_hist(w->stats.hist_sign, n);
	}
	for (unsigned i = 0; i < w->signings_n; i++) {
		if (w->signing[i].kdc_cred)
			finish_kdc_cred(w, &w->signing[i]);
		else
			finish_join(w, &w->signing[i]);
		free(w->signing[i].creds);
	}
	w->signings_n = 0;
}

static uint8_t *copy_of(struct gm_bytes b)
{
	uint8_t *p = b.p ? malloc(b.n ? b.n : 1) : NULL;

	if (p)
		memcpy(p, b.p, b.n);
	return p;
}

/* cred: of the member that gets the proof, in groups of pairwise mode only */
static void set_peer(struct worker *w, struct signing *s, struct gm_bytes cred)
{
	const struct group *g = gm_group_at(w, s->group);

	if (g && cred.n && gm_cred_pub(cred, &g->params, &s->peer) != GM_E_OK)
		s->peer = (struct gm_cred_pub){0};
}

static struct signing *new_signing(struct worker *w, const uint8_t kdc_nonce[static 8], struct gm_bytes cnonce)
{
	if (w->signings_n == BURST)
		sign_all(w);
	struct signing *s = &w->signing[w->signings_n++];
	*s = (struct signing){.cnonce_n = (uint8_t)(cnonce.n <= sizeof s->cnonce ? cnonce.n : 0)};
	memcpy(s->kdc_nonce, kdc_nonce, sizeof s->kdc_nonce);
	if (s->cnonce_n)
		memcpy(s->cnonce, gm_there(cnonce.p), s->cnonce_n);
	return s;
}

static void on_kdc_cred(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_kdc_cred *e = (const void *)rec;
	struct signing *s = new_signing(w, e->kdc_nonce, gm_rec_bytes(e, e->cnonce));

	s->kdc_cred = true;
	s->xid = e->xid;
	s->ctx = e->ctx;
	s->group = e->group;
	set_peer(w, s, gm_rec_bytes(e, e->cred));
}

static void on_joined(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_joined *e = (const void *)rec;
	struct gm_bytes creds = gm_rec_bytes(e, e->creds);
	struct signing *s = new_signing(w, e->kdc_nonce, gm_rec_bytes(e, e->cnonce));

	s->xid = e->xid;
	s->ctx = e->ctx;
	s->group = e->group;
	s->slot = e->slot;
	s->code = e->code;
	s->creds = e->creds_blob ? e->creds_blob : copy_of(creds);
	s->creds_n = e->creds_blob ? e->creds_blob_n : creds.n;
	set_peer(w, s, gm_rec_bytes(e, e->cred));
}

/* ---- contexts */

static void load_ctx(struct worker *w, const struct gm_ctx_save *save)
{
	struct ctx *c = gm_ctx_load(w, save->id);

	if (!c)
		return;
	c->keys.alg = save->alg;
	memcpy(c->keys.send_key, save->send_key, sizeof c->keys.send_key);
	memcpy(c->keys.recv_key, save->recv_key, sizeof c->keys.recv_key);
	memcpy(c->keys.common_iv, save->common_iv, sizeof c->keys.common_iv);
	c->keys.sid.n = save->sid_n;
	memcpy(c->keys.sid.b, save->sid, sizeof c->keys.sid.b);
	c->keys.rid.n = 4;
	for (unsigned i = 0; i < 4; i++)
		c->keys.rid.b[i] = (uint8_t)(save->id >> (24 - 8 * i));
	memcpy(c->n_s, save->challenge, sizeof c->n_s);
	c->peer = save->peer;
	c->local = save->local;
	c->need_echo = true;
	c->resume = true;
}

static void confirm_ctx(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (!c || c->state != CTX_PENDING)
		return;
	c->state = CTX_LIVE;
	gm_ctx_pend(w, c, id, 0);
	gm_blob_drop(&gm_ctx_extra(w, c)->pending);
	gm_ctx_tidy(w, c);
	ADD(w, contexts_pending, -UINT64_C(1));
	COUNT(w, contexts);
}

static void on_ctx(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_ctx *e = (const void *)rec;
	gm_ctx_id id = e->save.id;
	struct ctx *c = gm_ctx_at(w, id);

	if (e->op == GM_CTX_LOAD)
		load_ctx(w, &e->save);
	else if (e->op == GM_CTX_CONFIRM)
		confirm_ctx(w, id);
	else if (e->op == GM_CTX_DROP)
		gm_ctx_wipe(w, id);
	else if (e->op == GM_CTX_CLOSE && c) {
		c->state = CTX_CLOSING;
		gm_ctx_close_if_done(w, id, c, false);
	}
}

static void on_lease(struct worker *w, const struct gm_rec *rec)
{
	const struct gm_eff_lease *e = (const void *)rec;
	struct shard *s = e->shard < GM_SHARDS ? w->shard[e->shard] : NULL;

	if (!s)
		return;
	s->until = e->until;
	s->asked = false;
	COUNT(w, leases);
	if (e->boot)
		s->resume = e->resume;
	for (unsigned slot = 0; slot < s->made; slot++) { /* those that waited for a number */
		struct ctx *c = &s->ctx[slot];
		if (c->state == CTX_LIVE || c->state == CTX_CLOSING)
			gm_rekey_next(w, c, GM_CTX_ID(e->shard, slot, c->gen));
	}
}

/* ---- the table */

static void on_token(struct worker *w, const struct gm_rec *rec)
{
	gm_token_effect(w, (const void *)rec);
}

static void on_member(struct worker *w, const struct gm_rec *rec)
{
	gm_view_member(w, (const void *)rec);
}

static void on_group(struct worker *w, const struct gm_rec *rec)
{
	gm_view_group(w, (const void *)rec);
}

static void on_rekey(struct worker *w, const struct gm_rec *rec)
{
	gm_rekey_start(w, (const void *)rec);
}

static void on_evict(struct worker *w, const struct gm_rec *rec)
{
	gm_evict(w, (const void *)rec);
}

static void on_as(struct worker *w, const struct gm_rec *rec)
{
	gm_view_as(w, (const void *)rec);
}

static void on_ask(struct worker *w, const struct gm_rec *rec)
{
	gm_ask(w, (const void *)rec);
}

static void on_carry(struct worker *w, const struct gm_rec *rec)
{
	gm_carry_ctx(w, (const void *)rec);
}

static void on_held(struct worker *w, const struct gm_rec *rec)
{
	gm_carry_held(w, (const void *)rec);
}

static void on_datagram(struct worker *w, const struct gm_rec *rec)
{
	gm_carry_datagram(w, (const void *)rec);
}

static void on_ready(struct worker *w, const struct gm_rec *rec)
{
	(void)rec;
	w->ready = true;
}

static const struct {
	void (*apply)(struct worker *w, const struct gm_rec *rec);
	size_t size;
	bool signatures_first; /* answers gathered so far speak of the state before it */
} table[GM_EFF_N] = {
	[GM_EFF_TOKEN] = {on_token, sizeof(struct gm_eff_token), false},
	[GM_EFF_REPLY] = {on_reply, sizeof(struct gm_eff_reply), false},
	[GM_EFF_JOINED] = {on_joined, sizeof(struct gm_eff_joined), false},
	[GM_EFF_KDC_CRED] = {on_kdc_cred, sizeof(struct gm_eff_kdc_cred), false},
	[GM_EFF_VERIF_DATA] = {on_verif_data, sizeof(struct gm_eff_verif_data), false},
	[GM_EFF_KEYS] = {on_keys, sizeof(struct gm_eff_keys), false},
	[GM_EFF_CTX] = {on_ctx, sizeof(struct gm_eff_ctx), false},
	[GM_EFF_MEMBER] = {on_member, sizeof(struct gm_eff_member), false},
	[GM_EFF_GROUP] = {on_group, sizeof(struct gm_eff_group), true},
	[GM_EFF_REKEY] = {on_rekey, sizeof(struct gm_eff_rekey), true},
	[GM_EFF_EVICT] = {on_evict, sizeof(struct gm_eff_evict), true},
	[GM_EFF_LEASE] = {on_lease, sizeof(struct gm_eff_lease), false},
	[GM_EFF_AS] = {on_as, sizeof(struct gm_eff_as), false},
	[GM_EFF_ASK] = {on_ask, sizeof(struct gm_eff_ask), false},
	[GM_EFF_READY] = {on_ready, sizeof(struct gm_rec), false},
	[GM_EFF_CARRY] = {on_carry, sizeof(struct gm_eff_carry), false},
	[GM_EFF_HELD] = {on_held, sizeof(struct gm_eff_held), false},
	[GM_EFF_DATAGRAM] = {on_datagram, sizeof(struct gm_eff_datagram), false},
};

#define EFFECTS_PER_TURN 1024u

/* Asks may have to be answered at once: they wait while there is no room for that. */
static bool may_answer(const struct gm_rec *rec)
{
	return rec->type == GM_EFF_ASK || rec->type == GM_EFF_AS;
}

unsigned gm_effects_run(struct worker *w)
{
	unsigned n = 0;
	size_t len;
	const struct gm_rec *rec;

	for (; n < EFFECTS_PER_TURN && (rec = gm_ring_peek(w->down, &len)); n++) {
		if (rec->type < GM_EFF_N && table[rec->type].apply && len >= table[rec->type].size) {
			if (may_answer(rec) && !gm_asks_can_answer(w))
				break;
			if (table[rec->type].signatures_first)
				sign_all(w);
			table[rec->type].apply(w, rec);
		}
		gm_ring_release(w->down);
	}
	gm_token_make(w);
	sign_all(w);
	return n;
}
