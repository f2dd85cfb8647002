/* SPDX-License-Identifier: Apache-2.0 */
/* Confirmable messages of ours: retransmission by the wheel, ACK and RST to their message. RFC 7252 §4.2 */
#include "gm/crypto.h"
#include "work/worker.h"

static uint32_t hash_of(const struct worker *w, const struct gm_addr *peer, uint16_t mid)
{
	uint8_t key[20];

	memcpy(key, peer->ip, 16);
	memcpy(key + 16, &peer->port, 2);
	memcpy(key + 18, &mid, 2);
	return gm_worker_hash(w, key, sizeof key);
}

static uint32_t *bucket(const struct worker *w, uint32_t hash)
{
	return &w->out_hash[hash & w->out_hash_mask];
}

static uint32_t find(struct worker *w, uint32_t hash, const struct gm_addr *peer, uint16_t mid)
{
	uint32_t h = *bucket(w, hash);

	while (h && !(gm_out_at(w, h)->mid == mid && gm_addr_eq(&gm_out_at(w, h)->peer, peer)))
		h = gm_out_at(w, h)->next_hash;
	return h;
}

uint32_t gm_out_find(struct worker *w, const struct gm_addr *peer, uint16_t mid)
{
	return find(w, hash_of(w, peer, mid), peer, mid);
}

/* Members behind one address must not share a Message ID at a time. */
static bool unique_mid(struct worker *w, struct ctx *c, struct out *o)
{
	for (unsigned i = 0; i < 1u << MID_WORKER_SHIFT; i++) {
		o->hash = hash_of(w, &o->peer, o->mid);
		if (!find(w, o->hash, &o->peer, o->mid))
			return true;
		if (o->kind == OUT_SEPARATE)
			return false; /* its Message ID is in the sealed answer's head already */
		o->mid = gm_ctx_mid(w, c);
	}
	return false;
}

uint32_t gm_out_new(struct worker *w, struct ctx *c, const struct out *o)
{
	uint32_t h = gm_slab_get(&w->outs);

	if (!h)
		return 0;
	struct out *at = gm_out_at(w, h);
	*at = *o;
	if (!unique_mid(w, c, at)) {
		gm_slab_put(&w->outs, h);
		return 0;
	}
	uint32_t *b = bucket(w, at->hash);
	at->next_hash = *b;
	*b = h;
	at->first_us = w->now_ns / 1000;
	/* ACK_TIMEOUT times 1 to ACK_RANDOM_FACTOR 1.5, drawn per message */
	at->timeout_ms = w->config.ack_timeout_ms + gm_worker_random(w) % (w->config.ack_timeout_ms / 2 + 1);
	if (o->kind != OUT_SEPARATE)
		c->out = h;
	COUNT(w, inflight);
	return h;
}

void gm_out_sent(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);

	if (o->tries++ == 0)
		o->begun_ms = (uint32_t)w->now_ms;
	if (o->domain && o->tries == 1)
		gm_domain_sent(w->dp->domains, o->domain, w->now_ns);
	else if (o->domain)
		gm_domain_resent(w->dp->domains, o->domain);
	gm_wheel_del(&w->wheel, o->timer);
	o->timer = gm_wheel_add(&w->wheel, w->now_ms + o->timeout_ms, TIMER_OUT, h);
	o->timeout_ms *= 2;
}

static void unhash(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);
	uint32_t *link = bucket(w, o->hash);

	while (*link && *link != h)
		link = &gm_out_at(w, *link)->next_hash;
	if (*link)
		*link = o->next_hash;
}

/* The message is over. What follows for the member is rekey.c's. */
void gm_out_end(struct worker *w, uint32_t h, bool confirmed)
{
	struct out o = *gm_out_at(w, h);
	struct ctx *c = gm_ctx_at(w, o.ctx);

	unhash(w, h);
	for (unsigned i = 0; i < w->box.n; i++) /* it may be gone before what it stands for is sealed */
		if (w->box.of[i].out == h)
			w->box.of[i].out = 0;
	gm_wheel_del(&w->wheel, o.timer);
	gm_slab_put(&w->outs, h);
	ADD(w, inflight, -UINT64_C(1));
	if (c && c->out == h)
		c->out = 0;
	if (o.kind != OUT_SEPARATE)
		gm_rekey_fate(w, &o, confirmed);
	else if (c && !confirmed)
		c->last_acked = false; /* nothing more comes: no repeat is to hear that it will */
	gm_blob_drop(&o.body);
}

void gm_out_acked(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);

	if (o->kind == OUT_SEPARATE || o->delivery == GM_DELIVER_OBSERVE) {
		gm_out_end(w, h, true);
		return;
	}
	if (o->waiting)
		return; /* to one more copy of it */
	o->waiting = true; /* the response comes separately */
	o->due = false;    /* and it is not sent again, though it may have a place in a lane          RFC 7252 §4.2 */
	gm_wheel_del(&w->wheel, o->timer);
	o->timer = gm_wheel_add(&w->wheel, w->now_ms + RESPONSE_WAIT_MS, TIMER_OUT, h);
}

void gm_out_rst(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);

	if ((o->kind == OUT_REKEY || o->kind == OUT_ACTIVE) && o->delivery == GM_DELIVER_OBSERVE) { /* RFC 7641 §3.6 */
		struct gm_ev_unobserve *ev = gm_worker_event(w, GM_EV_UNOBSERVE, sizeof *ev, 0);
		if (ev) {
			const struct member *m = gm_member_at(w, o->member);
			ev->ctx = o->ctx;
			ev->group = o->group;
			ev->slot = m->slot;
			ev->of = o->obs;
			ev->obs = gm_member_obs(w, m, o->obs);
			gm_worker_event_done(w, &ev->rec);
		}
	}
	gm_out_end(w, h, false);
}

static void resend_copy(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);
	struct gm_dgram *d = o->body ? gm_box_add(w, &o->peer, &o->local) : NULL;

	if (d) {
		memcpy(d->data, o->body->bytes, o->body->n);
		d->len = (uint16_t)o->body->n;
	}
	gm_out_sent(w, h);
}

/* MAX_TRANSMIT_WAIT: later, nothing is sent again, even where the pacer held it back. RFC 7252 §4.8.2 */
static bool too_late(const struct worker *w, const struct out *o)
{
	uint64_t wait_ms = (w->config.ack_timeout_ms * ((UINT64_C(2) << w->config.retransmit_max) - 1)) * 3 / 2;

	return (uint32_t)w->now_ms - o->begun_ms > wait_ms;
}

void gm_out_again(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);

	o->due = false;
	gm_wheel_del(&w->wheel, o->timer);
	o->timer = 0;
	if (gm_rekey_superseded(w, o) || (o->tries && too_late(w, o))) {
		gm_out_end(w, h, false);
		return;
	}
	if (o->tries)
		COUNT(w, rekey_retransmitted);
	if (gm_rekey_send(w, h) != GM_E_OK)
		gm_out_end(w, h, false);
}

static void out_due(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);

	o->timer = 0;
	if (o->domain && o->tries == 1 && !o->waiting && !o->due)
		gm_domain_retry(w->dp->domains, o->domain, w->now_ns,
		                (w->now_ms - ((uint32_t)w->now_ms - o->begun_ms)) * 1000000);
	if (o->waiting || o->tries > w->config.retransmit_max)
		gm_out_end(w, h, false);
	else if (o->kind == OUT_SEPARATE)
		resend_copy(w, h);
	else
		gm_pace_out(w, h); /* retransmissions pass the same buckets */
}

static void xch_due(struct worker *w, uint32_t xid)
{
	struct xch *x = gm_xch_at(w, xid);

	if (!x)
		return;
	x->timer = 0;
	x->acked = true;
	struct ctx *c = gm_ctx_at(w, x->ctx);
	if (c && c->has_last && c->last_mid == x->mid)
		c->last_acked = true;
	gm_send_empty(w, &x->peer, &x->local, GM_COAP_ACK, x->mid);
}

static void pending_due(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (!c)
		return;
	gm_ctx_extra(w, c)->pending_timer = 0;
	if (c->state == CTX_CLOSING) {
		gm_ctx_close_if_done(w, id, c, false);
	} else if (c->state == CTX_PENDING && c->xid) { /* core is deciding on its first request */
		gm_ctx_pend(w, c, id, 1000);
	} else if (c->state == CTX_PENDING) {
		COUNT(w, pending_expired);
		gm_ctx_wipe(w, id);
	}
}

static void saved_due(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (!c)
		return;
	c->saved_timer = 0;
	gm_ctx_forget_answer(w, c);
}

static void body_due(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (c) {
		gm_ctx_extra(w, c)->body_timer = 0;
		gm_body_drop(w, c);
	}
}

static void upload_due(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (c) {
		gm_ctx_extra(w, c)->upload_timer = 0;
		gm_upload_drop(w, c);
	}
}

static void fire(void *arg, unsigned kind, uint32_t ref)
{
	static void (*const due[])(struct worker *, uint32_t) = {
		[TIMER_OUT] = out_due,     [TIMER_XCH] = xch_due,   [TIMER_PENDING] = pending_due,
		[TIMER_SAVED] = saved_due, [TIMER_BODY] = body_due,
		[TIMER_UPLOAD] = upload_due, [TIMER_LINK] = gm_link_due,
	};

	due[kind](arg, ref);
}

void gm_timers_run(struct worker *w)
{
	gm_wheel_run(&w->wheel, w->now_ms, fire, w);
}
