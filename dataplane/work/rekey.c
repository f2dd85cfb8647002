/* SPDX-License-Identifier: Apache-2.0 */
/* The walk: one body, encoded once, sealed for each of this worker's members of the group, a burst a turn.
 *
 * A message in flight is made again from what is frozen (body, token, options, sequence number), so that a retransmission
 * is the same bytes. Whatever would change one of them ends the message first. */
#include "gm/crypto.h"
#include "wire/resources.h"
#include "work/worker.h"

#define WALK_WINDOW 512u    /* messages unanswered, where answers come within: */
#define SILENCE_NS 1000000u

/* ---- one message */

static uint8_t put_token(uint8_t *token, const struct out *o)
{
	for (unsigned i = 0; i < 4; i++)
		token[i] = (uint8_t)(o->ctx >> (24 - 8 * i)); /* names shard and slot, so that the answer finds us */
	memcpy(token + 4, o->nonce, 4);
	return 8;
}

/* At control_uri: DELETE for the end of a membership, POST of a map without keys for that of the group. KG §10,
 * GA §6.8.1 */
static uint8_t notice_code(uint8_t err, bool observe)
{
	return observe ? gm_err_info(err)->coap : err == GM_E_GROUP_DELETED ? GM_COAP_POST : GM_COAP_DELETE;
}

static void put_notice_body(struct gm_out *out, uint16_t *last, uint8_t err, bool observe)
{
	uint8_t body[128];
	struct gm_out b = gm_out(body, sizeof body);

	if (observe ? gm_err_info(err)->ace_id < 0 : err != GM_E_GROUP_DELETED)
		return;
	if (observe)
		gm_problem_encode(&b, gm_err_info(err)->ace_id, gm_err_info(err)->text);
	else
		gm_group_end_encode(&b);
	gm_coap_put_option_uint(out, last, GM_OPT_CONTENT_FORMAT, observe ? GM_CF_PROBLEM : GM_CF_GROUPCOMM);
	gm_coap_put_payload(out, b.start, gm_out_len(&b));
}

#define BLOCK_SIZE ((size_t)16 << BLOCK_SZX)

static bool is_long(const struct out *o)
{
	return o->body->n > BLOCK_SIZE;
}

static bool is_walked(const struct out *o)
{
	return o->kind == OUT_REKEY || o->kind == OUT_CONFIG;
}

static bool has_more(const struct out *o)
{
	return (o->block + 1) * BLOCK_SIZE < o->body->n;
}

/* Content-Format, block option, and this block of the body: Block1 of a POST, Block2 of a notification, whose rest the
 * member fetches.                                                                                      RFC 7959 §2 */
static void put_rekey_body(struct gm_out *out, uint16_t *last, const struct out *o, bool observe)
{
	struct gm_coap_block block = {.num = o->block, .more = has_more(o), .szx = BLOCK_SZX};
	size_t from = o->block * BLOCK_SIZE, n = block.more ? BLOCK_SIZE : o->body->n - from;

	gm_coap_put_option_uint(out, last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
	if (is_long(o))
		gm_coap_put_block(out, last, observe ? GM_OPT_BLOCK2 : GM_OPT_BLOCK1, block);
	if (is_long(o) && !o->block)
		gm_coap_put_option_uint(out, last, observe ? GM_OPT_SIZE2 : GM_OPT_SIZE1, o->body->n);
	gm_coap_put_payload(out, o->body->bytes + from, n);
}

static void put_active(struct gm_out *out, const struct out *o)
{
	uint16_t last = 0;

	gm_out_u8(out, GM_COAP(2, 5));
	gm_coap_put_option(out, &last, GM_OPT_OBSERVE, NULL, 0);
	gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_CBOR);
	gm_coap_put_payload(out, o->body->bytes, o->body->n);
}

/* Code, class E options and payload of o. KG §11.1 for keys, §10 for the notice of an eviction. */
static void put_plain(const struct worker *w, struct gm_out *out, const struct out *o, const struct member *m)
{
	bool observe = o->delivery == GM_DELIVER_OBSERVE, rekey = o->kind != OUT_NOTICE;
	uint16_t last = 0;

	if (o->kind == OUT_ACTIVE) {
		put_active(out, o);
		return;
	}
	gm_out_u8(out, !rekey ? notice_code(m->notice, observe) : observe ? GM_COAP(2, 5) : GM_COAP_POST);
	if (observe && rekey)
		gm_coap_put_option(out, &last, GM_OPT_OBSERVE, NULL, 0);
	if (!observe)
		gm_coap_put_path(out, &last, GM_OPT_URI_PATH, (const char *)gm_member_control(w, m).p, m->control_n);
	if (rekey)
		put_rekey_body(out, &last, o, observe);
	else
		put_notice_body(out, &last, m->notice, observe);
}

static void outer_of(const struct worker *w, struct gm_oscore_outer *outer, struct gm_oscore_request *request, const struct out *o,
                     const struct member *m, const struct ctx *c)
{
	*outer = (struct gm_oscore_outer){.type = GM_COAP_CON, .mid = o->mid};
	outer->option.piv_n = gm_oscore_piv(outer->option.piv, o->seq);
	if (o->delivery == GM_DELIVER_POST) {
		outer->code = GM_COAP_POST;
		outer->token_len = put_token(outer->token, o);
		outer->option.has_kid = true;
		outer->option.kid = (struct gm_bytes){c->keys.sid.b, c->keys.sid.n};
		request->kid = c->keys.sid;
		request->piv_n = outer->option.piv_n;
		memcpy(request->piv, outer->option.piv, sizeof request->piv);
		return;
	}
	outer->has_observe = o->kind != OUT_NOTICE;
	outer->code = outer->has_observe ? GM_COAP(2, 5) : GM_COAP(2, 4);
	outer->observe = (uint32_t)(o->seq & 0xffffff); /* rises with the sequence number, RFC 7641 §4.4 */
	const struct gm_observation obs = gm_member_obs(w, m, o->obs);
	outer->token_len = obs.token_n;
	memcpy(outer->token, obs.token, sizeof outer->token);
	request->kid = c->keys.rid;
	request->piv_n = obs.piv_n;
	memcpy(request->piv, obs.piv, sizeof request->piv);
}

static enum gm_err wrap(struct worker *w, const struct out *o, const struct member *m, const struct ctx *c, struct gm_dgram *d)
{
	struct box *b = &w->box;
	struct gm_oscore_outer outer;
	struct gm_oscore_request request;
	struct gm_out plain = gm_out(w->plain, sizeof w->plain), out = gm_out(d->data, d->cap);

	put_plain(w, &plain, o, m);
	outer_of(w, &outer, &request, o, m, c);
	if (plain.err)
		return plain.err;
	enum gm_err err = gm_oscore_wrap(&c->keys, &outer, &request, &c->keys.sid, outer.option.piv, outer.option.piv_n,
	                                 gm_out_result(&plain), &out, &b->scratch[b->jobs_n], &b->job[b->jobs_n]);
	gm_wipe(w->plain, gm_out_len(&plain));
	GM_TRY(err);
	d->len = (uint16_t)gm_out_len(&out);
	b->of[b->n - 1].job = true;
	b->jobs_n++;
	return GM_E_OK;
}

static bool same_plain(const struct worker *w, const struct plain_post *p, const struct out *o, const struct member *m)
{
	return p->body == o->body && p->block == o->block && p->kind == o->kind && p->delivery == o->delivery &&
	       (o->delivery == GM_DELIVER_OBSERVE ||
	        gm_bytes_eq(gm_member_control(w, m), (struct gm_bytes){(const uint8_t *)p->control, p->control_n}));
}

/* The plaintext that o shares with others in this box; encoded with the first of them. NULL: does not fit */
static const struct plain_post *plain_of(struct worker *w, const struct out *o, const struct member *m)
{
	struct gm_bytes control = gm_member_control(w, m);
	struct box *b = &w->box;

	for (unsigned i = b->plains_n; i-- > 0;)
		if (same_plain(w, &b->plain[i], o, m))
			return &b->plain[i];
	struct plain_post *p = &b->plain[b->plains_n];
	struct gm_out plain = gm_out(p->bytes, sizeof p->bytes);
	put_plain(w, &plain, o, m);
	if (plain.err)
		return NULL;
	p->body = gm_blob_ref(o->body);
	p->block = o->block;
	p->kind = o->kind;
	p->delivery = o->delivery;
	p->control_n = (uint8_t)control.n;
	if (control.n)
		memcpy(p->control, control.p, control.n);
	p->n = (uint16_t)gm_out_len(&plain);
	b->plains_n++;
	return p;
}

/* Framed and sealed with the others of the box. The same bytes as by wrap(). */
static enum gm_err post(struct worker *w, const struct out *o, const struct member *m, const struct ctx *c, struct gm_dgram *d)
{
	struct box *b = &w->box;
	const struct plain_post *plain = plain_of(w, o, m);
	struct gm_oscore_post *p = &b->post[b->posts_n];

	if (!plain || d->cap < GM_OSCORE_POST_ROOM(plain->n))
		return wrap(w, o, m, c, d);
	p->keys = &c->keys;
	p->seq = o->seq;
	p->mid = o->mid;
	p->plain = (struct gm_bytes){plain->bytes, plain->n};
	p->pkt = d->data;
	p->cap = d->cap;
	p->obs_piv_n = 0;
	if (o->delivery == GM_DELIVER_POST) {
		p->token_len = put_token(p->token, o);
	} else {
		const struct gm_observation obs = gm_member_obs(w, m, o->obs);
		p->token_len = obs.token_n;
		memcpy(p->token, obs.token, sizeof p->token);
		p->obs_piv_n = obs.piv_n;
		memcpy(p->obs_piv, obs.piv, sizeof p->obs_piv);
	}
	b->post_at[b->posts_n++] = (uint8_t)(b->n - 1);
	return GM_E_OK;
}

enum gm_err gm_rekey_send(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);
	const struct member *m = gm_member_at(w, o->member);
	const struct ctx *c = gm_ctx_at(w, o->ctx);
	struct gm_dgram *d = gm_box_add(w, &o->peer, &o->local);

	if (!d) { /* as if lost on the way: the timer sends it again */
		gm_out_sent(w, h);
		return GM_E_OK;
	}
	w->walked++;
	bool many = is_walked(o) && c->keys.alg == GM_ALG_CCM_16_64_128;
	enum gm_err err = many ? post(w, o, m, c, d) : wrap(w, o, m, c, d);
	if (err != GM_E_OK) {
		gm_box_drop_last(w);
		return err;
	}
	gm_out_sent(w, h);
	return GM_E_OK;
}

/* The rest of a long notification waits at its context for the member. */
static void keep_rest(struct worker *w, struct ctx *c, const struct member *m, enum gm_obs of, struct blob *body)
{
	const struct gm_group_view *v = &gm_group_at(w, m->group)->view;
	struct gm_bytes path[] = {
		{(const uint8_t *)"ace-group", 9},
		{(const uint8_t *)v->name, v->name_n},
		{(const uint8_t *)"nodes", 5},
		{(const uint8_t *)m->node, m->node_n},
	};

	gm_ctx_forget_body(w, c);
	struct extra *e = gm_ctx_need_extra(w, c);
	if (!e)
		return; /* the member gets the whole by a GET */
	e->body = gm_blob_ref(body);
	e->body_key = gm_body_key(w, GM_COAP_GET, path, of == GM_OBS_NODE ? 4 : 2);
	e->body_content = 0;
	e->body_code = GM_COAP(2, 5);
	e->body_format = GM_CF_GROUPCOMM;
	e->body_timer = gm_wheel_add(&w->wheel, w->now_ms + BODY_IDLE_MS, TIMER_BODY, m->ctx);
}

/* Which of its observations a message answers to. The end of the group is told to those who observe the group, the end
 * of a membership to those who observe the node, if there is a choice. KG §11, KG §10 */
static enum gm_obs observation_for(const struct member *m, enum out_kind kind)
{
	bool node = (m->obs_on & 1u << GM_OBS_NODE);

	if (kind == OUT_ACTIVE)
		return GM_OBS_ACTIVE;
	if (!(m->obs_on & 1u << GM_OBS_GROUP) || (node && kind == OUT_NOTICE && m->notice != GM_E_GROUP_DELETED))
		return GM_OBS_NODE;
	return GM_OBS_GROUP;
}

/* First message to m: takes a sequence number. SEQ_UNLEASED: later. */
static enum gm_err start_out(struct worker *w, uint32_t member, enum out_kind kind, struct blob *body, uint64_t version)
{
	struct member *m = gm_member_at(w, member);
	struct ctx *c = gm_ctx_at(w, m->ctx);
	struct out o = {
		.peer = c->peer,
		.local = c->local,
		.ctx = m->ctx,
		.member = member,
		.group = m->group,
		.version = version,
		.kind = (uint8_t)kind,
		.domain = gm_pace_lane(w, c),
		.delivery = kind == OUT_ACTIVE ? GM_DELIVER_OBSERVE : m->delivery,
		.obs = (uint8_t)observation_for(m, kind),
	};

	if (o.delivery == GM_DELIVER_POST)
		o.peer.port = m->control_port;
	GM_TRY(gm_ctx_take_seq(w, m->ctx, c, &o.seq));
	o.mid = gm_ctx_mid(w, c);
	uint32_t nonce = gm_worker_random(w);
	memcpy(o.nonce, &nonce, 4);
	uint32_t h = gm_out_new(w, c, &o);
	if (!h)
		return GM_E_FULL;
	gm_out_at(w, h)->body = gm_blob_ref(body);
	if (body && o.delivery == GM_DELIVER_OBSERVE && body->n > BLOCK_SIZE)
		keep_rest(w, c, m, (enum gm_obs)o.obs, body);
	enum gm_err err = gm_rekey_send(w, h);
	if (err != GM_E_OK)
		gm_out_end(w, h, false);
	return GM_E_OK; /* from here its fate is counted */
}

bool gm_rekey_next_block(struct worker *w, uint32_t h, const struct gm_coap *answer)
{
	struct out *o = gm_out_at(w, h), next = *o;
	struct ctx *c = gm_ctx_at(w, o->ctx);

	if (!is_walked(o) || !has_more(o) || !answer->has_block1 || answer->block1.num != o->block)
		return false;
	if (gm_ctx_take_seq(w, o->ctx, c, &next.seq) != GM_E_OK)
		return false; /* late; it polls */
	next.block++;
	next.tries = 0;
	next.waiting = next.due = false;
	next.timer = 0;
	next.mid = gm_ctx_mid(w, c);
	uint32_t n = gm_out_new(w, c, &next);
	if (!n)
		return false;
	gm_out_at(w, n)->body = gm_blob_ref(next.body);
	gm_out_at(w, n)->first_us = next.first_us;
	gm_out_at(w, h)->member = 0; /* its fate is decided by the blocks to come */
	gm_out_end(w, h, true);
	w->credit -= w->credit > 0; /* what the end of this block has earned */
	if (next.domain)
		gm_pace_out(w, n);
	else if (gm_rekey_send(w, n) != GM_E_OK)
		gm_out_end(w, n, false);
	return true;
}

/* ---- the walk */

void gm_walk_drop(struct walk *walk)
{
	gm_blob_drop(&walk->post);
	gm_blob_drop(&walk->obs);
	gm_blob_drop(&walk->config);
}

/* ---- the groups that walk or tell, in a ring: only they are looked at in each turn */

static struct group *in_ring(const struct worker *w, uint32_t place)
{
	return w->group[place - 1];
}

/* Last of all. */
static void enter(struct worker *w, struct group *g)
{
	const uint32_t at = g->view.index + 1;

	if (g->next_walk)
		return;
	if (!w->walk_next)
		w->walk_next = g->prev_walk = at;
	struct group *first = in_ring(w, w->walk_next);
	g->next_walk = w->walk_next;
	g->prev_walk = first->prev_walk;
	in_ring(w, g->prev_walk)->next_walk = at;
	first->prev_walk = at;
	w->walking++;
}

void gm_walk_leave(struct worker *w, struct group *g)
{
	if (!g->next_walk)
		return;
	if (in_ring(w, w->walk_next) == g)
		w->walk_next = --w->walking ? g->next_walk : 0;
	else
		w->walking--;
	in_ring(w, g->prev_walk)->next_walk = g->next_walk;
	in_ring(w, g->next_walk)->prev_walk = g->prev_walk;
	g->next_walk = g->prev_walk = 0;
}

/* What this walk has for m next: a changed configuration goes before the keys, to those who are called. Who observes
 * reads it in the notification.                                                                         GA §6.6.2 */
static enum gm_err start_walked(struct worker *w, const struct group *g, uint32_t h)
{
	const struct walk *walk = &g->walk;
	const struct member *m = gm_member_at(w, h);
	const bool post = m->delivery == GM_DELIVER_POST, config = post && walk->config && m->configured != walk->version;
	struct blob *body = config ? walk->config : post ? walk->post : walk->obs;

	if (!body)
		return GM_E_NO_MEMORY;
	GM_TRY(start_out(w, h, config ? OUT_CONFIG : OUT_REKEY, body, walk->version));
	if (!config)
		COUNT(w, rekey_sent);
	w->credit -= w->credit > 0;
	return GM_E_OK;
}

/* Whom the walk comes to after the one before next in the list, 0: nobody. */
static uint32_t walk_next(const struct group *g, uint32_t next, struct walk *walk)
{
	if (!next && walk->stop && !walk->wrapped) {
		walk->wrapped = true;
		next = g->head;
	}
	return walk->wrapped && next == walk->stop ? 0 : next;
}

void gm_walk_skip(struct group *g, uint32_t h, uint32_t next)
{
	struct walk *walk = &g->walk;

	if (g->tell_cursor == h)
		g->tell_cursor = next;
	if (walk->behind == h)
		walk->behind = next;
	if (walk->cursor == h)
		walk->cursor = walk_next(g, next, walk);
	if (walk->stop == h)
		walk->stop = next;
}

/* BUSY: the pacer says later. Who is in a network with a pace of its own waits in its lane, and the walk goes on. */
static enum gm_err visit(struct worker *w, struct group *g, uint32_t h, bool paced)
{
	struct member *m = gm_member_at(w, h);
	struct ctx *c = gm_ctx_at(w, m->ctx);

	if (!c || m->delivery == GM_DELIVER_POLL || m->notice || m->confirmed >= g->walk.version || m->waiting)
		return GM_E_OK;
	if (c->out) { /* NSTART = 1 */
		struct out *o = gm_out_at(w, c->out);
		bool same = is_walked(o) && o->group == g->view.index;
		if (same && o->version == g->walk.version)
			return GM_E_OK; /* on its way */
		if (same)
			gm_out_end(w, c->out, false); /* superseded */
	}
	uint16_t lane = c->out || g->paused ? 0 : gm_pace_lane(w, c);
	if (lane && !gm_pace_wait(w, c, m->ctx, lane, false))
		return GM_E_BUSY;
	if (c->out || lane || g->paused) {
		m->waiting = true;
		g->walk.open++;
		return GM_E_OK;
	}
	if (paced && !gm_pace(w))
		return GM_E_BUSY;
	g->walk.open++;
	enum gm_err err = start_walked(w, g, h);
	g->walk.open -= err != GM_E_OK;
	return err;
}

/* false: the ring is full */
static bool report(struct worker *w, struct group *g, bool done)
{
	struct gm_ev_delivered *ev =
		gm_worker_event(w, GM_EV_DELIVERED, sizeof *ev + g->fates_n * sizeof ev->item[0], 0);

	if (!ev)
		return false;
	ev->group = g->view.index;
	ev->version = g->walk.version;
	ev->n = g->fates_n;
	ev->walk_done = done;
	for (uint32_t i = 0; i < g->fates_n; i++) {
		ev->item[i].slot = g->fate[i].slot;
		ev->item[i].fate = g->fate[i].fate;
		ev->item[i].tries = g->fate[i].tries;
	}
	g->fates_n = 0;
	if (done)
		gm_worker_event_done(w, &ev->rec);
	else
		gm_worker_event_later(w, &ev->rec);
	return true;
}

/* The walk may be done with this one, but not before core hears of it. */
static void report_fate(struct worker *w, struct group *g, uint32_t slot, bool confirmed, uint8_t tries)
{
	if (g->fates_n == sizeof g->fate / sizeof *g->fate && !report(w, g, false))
		return; /* core is far behind; it learns the member's version when that polls */
	g->fate[g->fates_n].slot = slot;
	g->fate[g->fates_n].fate = confirmed ? GM_FATE_CONFIRMED : GM_FATE_LATE;
	g->fate[g->fates_n].tries = tries;
	g->fates_n++;
}

void gm_rekey_report(struct worker *w, struct group *g)
{
	bool done = g->walk.active && !g->walk.cursor && !g->walk.open;

	if ((!g->fates_n && !done) || !report(w, g, done) || !done)
		return;
	g->walk.active = false;
	w->walks--;
	gm_walk_drop(&g->walk);
}

static void finish_if_done(struct worker *w, struct group *g)
{
	if (g->walk.active && !g->walk.cursor && !g->walk.open)
		gm_rekey_report(w, g);
}

/* Those for whom there is no body are late. Keys that a changed configuration goes before are not sent without it. */
static void copy_bodies(struct walk *walk, const struct gm_eff_rekey *e)
{
	struct gm_bytes post = gm_rec_bytes(e, e->body_post), obs = gm_rec_bytes(e, e->body_obs);
	struct gm_bytes config = gm_rec_bytes(e, e->body_config);

	walk->post = gm_blob_copy(post.p, post.n);
	walk->obs = gm_blob_copy(obs.p, obs.n);
	walk->config = config.n ? gm_blob_copy(config.p, config.n) : NULL;
	if (config.n && !walk->config)
		gm_blob_drop(&walk->post);
}

void gm_rekey_start(struct worker *w, const struct gm_eff_rekey *e)
{
	struct group *g = gm_group_at(w, e->group);

	if (!g)
		return;
	for (uint32_t h = g->walk.active ? g->head : 0; h; h = gm_member_at(w, h)->next_group)
		gm_member_at(w, h)->waiting = false;
	gm_rekey_report(w, g); /* what the old walk still had to tell */
	g->fates_n = 0;
	gm_walk_drop(&g->walk);
	if (!g->walk.active)
		w->walks++;
	uint32_t cut = g->walk.active ? g->walk.cursor : 0; /* those who did not hear last time are first */
	g->walk = (struct walk){.version = e->version, .cursor = cut ? cut : g->head, .stop = cut, .active = true};
	copy_bodies(&g->walk, e);
	enter(w, g);
}

void gm_rekey_pause(struct worker *w, struct group *g, bool paused)
{
	if (g->paused && !paused && g->walk.active) {
		g->walk.behind = g->head;
		gm_pace_spend(w);
	}
	g->paused = paused;
}

/* What many members answer at once has to fit into a socket, and newcomers are not to wait behind it. Where nobody answers,
 * a burst follows each SILENCE_NS: the silent do not hold up the others, nor does a long way. */
static void earn(struct worker *w, uint64_t n)
{
	w->credit = n < WALK_WINDOW - w->credit ? w->credit + (uint32_t)n : WALK_WINDOW;
	w->heard_ns = w->now_ns;
}

static bool may_burst(const struct worker *w)
{
	return w->credit >= BURST;
}

/* The mirrors of a burst and their contexts, before the first is visited. */
static void look_ahead(struct worker *w, const struct group *g)
{
	uint32_t h = g->walk.cursor;

	for (unsigned n = 0; n < BURST && h; n++) {
		const struct member *m = gm_member_at(w, h);
		gm_ctx_ahead(w, m->ctx);
		h = m->next_group;
	}
}

static void step_group(struct worker *w, struct group *g)
{
	look_ahead(w, g);
	for (unsigned n = 0; n < BURST && g->walk.cursor; n++) {
		uint32_t h = g->walk.cursor;
		struct walk before = g->walk;
		g->walk.cursor = walk_next(g, gm_member_at(w, h)->next_group, &g->walk);
		enum gm_err err = visit(w, g, h, true);
		if (err == GM_E_SEQ_UNLEASED || err == GM_E_FULL || err == GM_E_BUSY) { /* this member again next turn */
			g->walk.cursor = h;
			g->walk.wrapped = before.wrapped;
			return;
		}
		if (err != GM_E_OK) {
			COUNT(w, rekey_late);
			report_fate(w, g, gm_member_at(w, h)->slot, false, 0);
		}
	}
	finish_if_done(w, g);
}

/* Whose turn came during a pause. The walk goes on after them. */
static void step_behind(struct worker *w, struct group *g)
{
	for (unsigned n = 0; n < BURST && g->walk.behind; n++) {
		struct member *m = gm_member_at(w, g->walk.behind);
		struct ctx *c = gm_ctx_at(w, m->ctx);
		if (m->waiting && c && !c->out && !gm_pace_ready(w))
			return;
		g->walk.behind = m->next_group;
		if (m->waiting && c)
			gm_rekey_next(w, c, m->ctx);
	}
	finish_if_done(w, g);
}

static bool may_go_on(const struct group *g)
{
	return g->walk.active && !g->paused && (g->walk.behind || g->walk.cursor);
}

/* One whose context is busy keeps its mark, and hears when that is free. */
static void step_active(struct worker *w, struct group *g)
{
	for (unsigned n = 0; n < BURST && g->tell_cursor; n++) {
		struct member *m = gm_member_at(w, g->tell_cursor);
		struct ctx *c = gm_ctx_at(w, m->ctx);
		bool now = m->tell_active && c && !c->out;
		if (now && !gm_pace_ready(w))
			return;
		g->tell_cursor = m->next_group;
		if (now)
			gm_rekey_next(w, c, m->ctx);
	}
	if (g->tell_cursor)
		return;
	g->telling = false;
	w->walks--;
}

static void step(struct worker *w, struct group *g)
{
	if (g->telling)
		step_active(w, g);
	if (may_go_on(g)) {
		if (may_burst(w) && gm_pace_ready(w))
			(g->walk.behind ? step_behind : step_group)(w, g);
	} else if (g->walk.active)
		finish_if_done(w, g);
	if (g->fates_n)
		gm_rekey_report(w, g);
}

/* The next turn begins behind the last group that had something to send in this one: where there is enough for one burst, a large
 * group gets as many as a small one. true: something was sent */
static bool step_walks(struct worker *w)
{
	const uint64_t before = w->walked;
	uint32_t at = w->walk_next, next;

	for (uint32_t n = w->walking; n > 0; n--, at = next) {
		const uint64_t walked = w->walked;
		struct group *g = in_ring(w, at);
		next = g->next_walk;
		step(w, g);
		if (w->walked != walked)
			w->walk_next = next;
		if (!g->walk.active && !g->telling)
			gm_walk_leave(w, g);
	}
	return w->walked != before;
}

/* Walks and lanes share the bucket for all. Where it is short, they take turns. */
bool gm_rekey_step(struct worker *w)
{
	if (w->walks && w->now_ns - w->heard_ns >= SILENCE_NS)
		earn(w, BURST * ((w->now_ns - w->heard_ns) / SILENCE_NS));
	bool lanes = w->lanes_first && gm_pace_step(w);
	bool walks = step_walks(w);

	if (!w->lanes_first)
		lanes = gm_pace_step(w);
	if (lanes || walks)
		w->lanes_first = walks;
	return walks && may_burst(w);
}

bool gm_rekey_waiting(const struct worker *w)
{
	uint32_t at = w->walk_next;

	for (uint32_t n = w->walking; n > 0; n--) {
		const struct group *g = in_ring(w, at);
		if (g->telling || may_go_on(g))
			return true;
		at = g->next_walk;
	}
	return false;
}

/* ---- what became of a message */

static void notice_done(struct worker *w, gm_ctx_id id, uint32_t h, bool told)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (told)
		COUNT(w, notices_told);
	gm_member_free(w, h);
	if (c)
		gm_ctx_close_if_done(w, id, c, told);
}

/* The end of a group is told at control_uri and to the observation of the group, one after the other. GA §6.8.1 */
static bool told_again(struct worker *w, const struct out *o)
{
	struct member *m = gm_member_at(w, o->member);

	if (m->notice != GM_E_GROUP_DELETED || o->delivery != GM_DELIVER_POST || !(m->obs_on & 1u << GM_OBS_GROUP))
		return false;
	m->delivery = GM_DELIVER_OBSERVE;
	return true;
}

static void rekey_done(struct worker *w, struct out *o, bool confirmed)
{
	struct group *g = gm_group_at(w, o->group);
	struct member *m = gm_member_at(w, o->member);

	if (!g || !g->walk.active || g->walk.version != o->version)
		return; /* superseded */
	if (confirmed && o->kind == OUT_CONFIG) { /* its keys follow, now or after what else this context is told */
		m->configured = o->version;
		m->waiting = true;
		return;
	}
	if (confirmed) {
		m->confirmed = o->version;
		COUNT(w, rekey_confirmed);
		gm_work_hist(w->stats.hist_confirm_us, w->now_ns / 1000 - o->first_us);
		ADD(w, confirm_us, w->now_ns / 1000 - o->first_us);
	} else {
		COUNT(w, rekey_late);
	}
	g->walk.open--;
	report_fate(w, g, m->slot, confirmed, o->tries);
	finish_if_done(w, g);
}

void gm_rekey_fate(struct worker *w, struct out *o, bool confirmed)
{
	if (is_walked(o))
		earn(w, 1);
	if (o->member && o->kind == OUT_NOTICE && !told_again(w, o))
		notice_done(w, o->ctx, o->member, confirmed);
	else if (o->member && is_walked(o))
		rekey_done(w, o, confirmed);
	struct ctx *c = gm_ctx_at(w, o->ctx);
	if (c)
		gm_rekey_next(w, c, o->ctx);
	c = gm_ctx_at(w, o->ctx);
	if (c)
		gm_ctx_close_if_done(w, o->ctx, c, false);
}

static bool tell_active(struct worker *w, uint32_t h)
{
	struct member *m = gm_member_at(w, h);
	struct group *g = gm_group_at(w, m->group);
	uint8_t bytes[1];
	struct gm_out o = gm_out(bytes, sizeof bytes);

	if (!g || !(m->obs_on & 1u << GM_OBS_ACTIVE)) {
		m->tell_active = false;
		return false;
	}
	gm_active_encode(&o, g->view.active);
	struct blob *body = gm_blob_copy(bytes, gm_out_len(&o));
	if (!body) {
		m->tell_active = false;
		return false;
	}
	m->tell_active = start_out(w, h, OUT_ACTIVE, body, 0) == GM_E_SEQ_UNLEASED; /* the lease starts it again */
	gm_blob_drop(&body);
	if (!m->tell_active)
		gm_pace_owe(w);
	return !m->tell_active;
}

void gm_rekey_tell_active(struct worker *w, struct group *g)
{
	for (uint32_t h = g->head; h; h = gm_member_at(w, h)->next_group) {
		struct member *m = gm_member_at(w, h);
		m->tell_active = (m->obs_on & 1u << GM_OBS_ACTIVE) != 0;
	}
	w->walks += !g->telling;
	g->telling = true;
	g->tell_cursor = g->head;
	enter(w, g);
}

/* True when this member's turn took the context's one message in flight. */
static bool next_of(struct worker *w, uint32_t h)
{
	struct member *m = gm_member_at(w, h);
	struct group *g = gm_group_at(w, m->group);

	if (m->notice) {
		gm_ctx_id id = m->ctx;
		enum gm_err err = start_out(w, h, OUT_NOTICE, NULL, 0);
		if (err != GM_E_OK && err != GM_E_SEQ_UNLEASED) /* the lease starts it again */
			notice_done(w, id, h, false);
		return true;
	}
	if (!m->waiting || !g || !g->walk.active || g->paused)
		return m->tell_active && tell_active(w, h);
	m->waiting = false;
	enum gm_err err = start_walked(w, g, h);
	if (err == GM_E_OK) {
		gm_pace_owe(w);
		return true;
	}
	m->waiting = err == GM_E_SEQ_UNLEASED; /* the lease starts it again */
	if (!m->waiting) {
		g->walk.open--;
		COUNT(w, rekey_late);
		report_fate(w, g, m->slot, false, 0);
		finish_if_done(w, g);
	}
	return false;
}

static bool is_paused(const struct worker *w, uint32_t group)
{
	const struct group *g = gm_group_at(w, group);

	return g && g->paused;
}

bool gm_rekey_has_next(struct worker *w, const struct ctx *c)
{
	for (uint32_t h = c->members; h; h = gm_member_at(w, h)->next_ctx) {
		const struct member *m = gm_member_at(w, h);
		if (m->notice || m->tell_active || (m->waiting && !is_paused(w, m->group)))
			return true;
	}
	return false;
}

void gm_rekey_next_now(struct worker *w, struct ctx *c, gm_ctx_id id)
{
	uint32_t next;

	for (uint32_t h = c->members; h && !c->out; h = next) {
		next = gm_member_at(w, h)->next_ctx;
		if (next_of(w, h))
			return;
		if (gm_ctx_at(w, id) != c)
			return;
	}
}

void gm_rekey_next(struct worker *w, struct ctx *c, gm_ctx_id id)
{
	if (c->state == CTX_WIPING || c->out || !gm_rekey_has_next(w, c))
		return;
	uint16_t lane = gm_pace_lane(w, c);
	if (!lane || !gm_pace_wait(w, c, id, lane, false))
		gm_rekey_next_now(w, c, id);
}

bool gm_rekey_superseded(struct worker *w, const struct out *o)
{
	const struct group *g = is_walked(o) ? gm_group_at(w, o->group) : NULL;

	return g && g->walk.active && g->walk.version != o->version;
}

/* The mirror changes or goes: what is in flight for it ends unsaid. */
void gm_rekey_drop_member(struct worker *w, uint32_t h)
{
	struct member *m = gm_member_at(w, h);
	struct group *g = gm_group_at(w, m->group);
	struct ctx *c = gm_ctx_at(w, m->ctx);
	bool open = m->waiting, tell_active = m->tell_active;

	m->waiting = m->tell_active = false; /* nothing new is begun from the old mirror */
	if (c && c->out && gm_out_at(w, c->out)->member == h) {
		struct out *o = gm_out_at(w, c->out);
		tell_active = tell_active || o->kind == OUT_ACTIVE;
		open = open || (is_walked(o) && g && g->walk.version == o->version);
		o->member = 0;
		gm_out_end(w, c->out, false);
	}
	m->tell_active = tell_active;
	if (open && g && g->walk.active)
		g->walk.open--;
}

/* The mirror has changed: if the walk came by already and the member has not confirmed, it is told anew. */
void gm_rekey_again(struct worker *w, uint32_t h)
{
	struct group *g = gm_group_at(w, gm_member_at(w, h)->group);

	if (g && g->walk.active && visit(w, g, h, false) == GM_E_SEQ_UNLEASED) {
		gm_member_at(w, h)->waiting = true;
		g->walk.open++;
	}
}

/* ---- evictions */

void gm_ctx_close_if_done(struct worker *w, gm_ctx_id id, struct ctx *c, bool told)
{
	if (c->state != CTX_CLOSING || c->members || c->out)
		return;
	struct gm_ev_closed *ev = gm_worker_event(w, GM_EV_CLOSED, sizeof *ev, 0);
	if (!ev) {
		gm_ctx_pend(w, c, id, 100);
		return;
	}
	ev->ctx = id;
	ev->told = told;
	gm_worker_event_done(w, &ev->rec);
	gm_ctx_wipe(w, id);
}

void gm_evict(struct worker *w, const struct gm_eff_evict *e)
{
	struct ctx *c = gm_ctx_at(w, e->ctx);
	uint32_t h = 0;
	struct member *m = c ? gm_member_of(w, c, e->group, &h) : NULL;

	if (!m || m->slot != e->slot)
		return;
	gm_rekey_drop_member(w, h);
	gm_member_unlink(w, h);
	if (m->delivery == GM_DELIVER_POLL || e->err == GM_E_OK) {
		gm_member_free(w, h);
		return;
	}
	m->notice = e->err;
	COUNT(w, notices);
	gm_rekey_next(w, c, e->ctx);
}
