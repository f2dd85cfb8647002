/* SPDX-License-Identifier: Apache-2.0 */
/* OUT: answers are laid out into a box of datagrams, sealed together and sent together. */
#include "gm/crypto.h"
#include "work/worker.h"

/* ---- the box */

struct gm_dgram *gm_box_add(struct worker *w, const struct gm_addr *peer, const struct gm_addr *local)
{
	struct box *b = &w->box;

	if (b->n == BURST)
		gm_box_flush(w);
	if (b->n == BURST)
		return NULL;
	struct gm_dgram *d = &b->d[b->n];
	if (w->ops->tx_get(w->port, d, 1) != 1) {
		gm_box_flush(w);
		if (b->n == BURST || w->ops->tx_get(w->port, d = &b->d[b->n], 1) != 1)
			return NULL;
	}
	d->peer = *peer;
	d->local = *local;
	b->of[b->n].job = b->of[b->n].save = b->of[b->n].timed = false;
	b->of[b->n].out = 0;
	b->n++;
	return d;
}

void gm_box_drop_last(struct worker *w)
{
	struct box *b = &w->box;

	b->n--;
	w->ops->tx_put(w->port, &b->d[b->n], 1);
}

/* What has to be the same bytes again is copied once sealed. */
static void keep_copies(struct worker *w, unsigned i)
{
	struct box *b = &w->box;
	struct gm_dgram *d = &b->d[i];

	if (b->of[i].save) {
		struct ctx *c = gm_ctx_at(w, b->of[i].ctx);
		/* another request may have come since: then a repeat is of that one */
		if (c && c->has_last && c->last_mid == ((uint16_t)d->data[2] << 8 | d->data[3]))
			gm_ctx_save_answer(w, c, b->of[i].ctx, d->data, d->len);
	}
	if (b->of[i].out) {
		struct out *o = gm_out_at(w, b->of[i].out);
		o->body = gm_blob_copy(d->data, d->len);
	}
}

static void wipe_plains(struct box *b)
{
	for (; b->plains_n; b->plains_n--) {
		struct plain_post *p = &b->plain[b->plains_n - 1];
		gm_wipe(p->bytes, p->n);
		gm_blob_drop(&p->body);
	}
}

/* As if lost on the way. */
static void take_out(struct worker *w, unsigned at)
{
	struct box *b = &w->box;
	struct gm_dgram lost = b->d[at];

	b->n--;
	memmove(&b->d[at], &b->d[at + 1], (b->n - at) * sizeof *b->d);
	memmove(&b->of[at], &b->of[at + 1], (b->n - at) * sizeof *b->of);
	w->ops->tx_put(w->port, &lost, 1);
}

/* What could not be made stays behind. */
static void seal_posts(struct worker *w)
{
	struct box *b = &w->box;
	uint64_t made = gm_oscore_post_many(b->post, b->posts_n);

	for (unsigned i = b->posts_n; i-- > 0;) {
		unsigned at = b->post_at[i];
		b->d[at].len = (uint16_t)b->post[i].len;
		if (!(made >> i & 1))
			take_out(w, at);
	}
	b->posts_n = 0;
	wipe_plains(b);
}

/* Jobs stand in the order of their datagrams. What libcrypto had no memory to seal is still in the clear: it must not leave. */
static void seal_jobs(struct worker *w)
{
	struct box *b = &w->box;
	uint64_t sealed = gm_aead_seal_many(b->job, b->jobs_n);
	unsigned job = 0;

	for (unsigned i = 0; i < b->n; i++)
		if (b->of[i].job && sealed >> job++ & 1)
			keep_copies(w, i);
	for (unsigned i = b->n; i-- > 0;) {
		if (!b->of[i].job)
			continue;
		b->of[i].job = b->of[i].save = false;
		if (!(sealed >> --job & 1))
			take_out(w, i);
	}
	b->jobs_n = 0;
}

void gm_box_flush(struct worker *w)
{
	struct box *b = &w->box;

	if (!b->n)
		return;
	if (b->jobs_n + b->posts_n)
		gm_work_hist(w->stats.hist_seal, b->jobs_n + b->posts_n);
	if (b->posts_n)
		seal_posts(w);
	if (b->jobs_n)
		seal_jobs(w);
	unsigned sent = w->ops->tx_burst(w->port, b->d, b->n);
	if (sent)
		gm_work_hist(w->stats.hist_tx, sent);
	ADD(w, tx, sent);
	if (b->timed)
		gm_handler_sent(w, sent);
	if (sent < b->n) {
		memmove(b->d, b->d + sent, (b->n - sent) * sizeof *b->d);
		memmove(b->of, b->of + sent, (b->n - sent) * sizeof *b->of);
	}
	b->n -= sent;
}

/* ---- exchanges that core has */

uint32_t gm_xch_put(struct worker *w, const struct xch *x)
{
	uint32_t h = gm_slab_get(&w->xchs);

	if (!h)
		return 0;
	struct xch *at = gm_slab_at(&w->xchs, h);
	*at = *x;
	at->live = true;
	if (x->type == GM_COAP_CON && x->protected_) /* gm_answer_plain() says why */
		at->timer = gm_wheel_add(&w->wheel, w->now_ms + EMPTY_ACK_MS, TIMER_XCH, h);
	return h;
}

struct xch *gm_xch_at(struct worker *w, uint32_t xid)
{
	struct xch *x = xid && xid <= w->xchs.made ? gm_slab_at(&w->xchs, xid) : NULL;

	return x && x->live ? x : NULL;
}

void gm_xch_done(struct worker *w, uint32_t xid)
{
	struct xch *x = gm_xch_at(w, xid);

	if (!x)
		return;
	struct ctx *c = x->protected_ ? gm_ctx_at(w, x->ctx) : NULL;
	if (c && c->xid == xid)
		c->xid = 0;
	gm_wheel_del(&w->wheel, x->timer);
	gm_blob_drop(&x->blob);
	w->strangers.references -= x->reference;
	gm_slab_put(&w->xchs, xid);
}

/* ---- unprotected answers */

void gm_send_empty(struct worker *w, const struct gm_addr *peer, const struct gm_addr *local, uint8_t type, uint16_t mid)
{
	struct gm_dgram *d = gm_box_add(w, peer, local);

	if (!d)
		return;
	struct gm_out out = gm_out(d->data, d->cap);
	gm_coap_put_empty(&out, type, mid);
	d->len = (uint16_t)gm_out_len(&out);
}

static uint16_t any_mid(struct worker *w)
{
	return (uint16_t)(w->index << MID_WORKER_SHIFT | (gm_worker_random(w) & ((1u << MID_WORKER_SHIFT) - 1)));
}

static void lay_out_plain(struct gm_out *out, const struct xch *x, const struct plain *a, uint8_t type, uint16_t mid)
{
	uint16_t last = 0;

	gm_coap_put_head(out, type, a->code, mid, x->token, x->token_len);
	if (a->format != GM_CF_NONE)
		gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)a->format);
	if (a->max_age_0 || a->max_age)
		gm_coap_put_option_uint(out, &last, GM_OPT_MAX_AGE, a->max_age);
	if (a->block2)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2, *a->block2);
	if (a->echo.n)
		gm_coap_put_option(out, &last, GM_OPT_ECHO, a->echo.p, a->echo.n);
	gm_coap_put_payload(out, a->payload.p, a->payload.n);
}

/* Who asked is not proven, so an answer leaves once for each request that comes: never ahead of it an empty ACK, which would
 * make it a confirmable message. Whoever misses it repeats the request and gets the same bytes again. RFC 7252 §5.2.1
 * And an error says no more than there is room for in three times the request's bytes. */
void gm_answer_plain(struct worker *w, const struct xch *x, const struct plain *a, struct blob **keep)
{
	struct gm_dgram *d = gm_box_add(w, &x->peer, &x->local);

	if (!d)
		return;
	uint8_t type = x->type == GM_COAP_CON ? GM_COAP_ACK : GM_COAP_NON;
	uint16_t mid = type == GM_COAP_ACK ? x->mid : any_mid(w);
	struct gm_out out = gm_out(d->data, d->cap);
	lay_out_plain(&out, x, a, type, mid);
	if (!x->shown && a->code >> 5 != 2 && gm_out_len(&out) > AMPLIFY * (size_t)x->datagram_n) {
		struct plain bare = {.code = a->code, .format = GM_CF_NONE, .max_age_0 = a->max_age_0, .max_age = a->max_age, .echo = a->echo};
		out = gm_out(d->data, d->cap);
		lay_out_plain(&out, x, &bare, type, mid);
	}
	if (out.err) {
		gm_box_drop_last(w);
		return;
	}
	d->len = (uint16_t)gm_out_len(&out);
	gm_handler_answered(w, x, a->code);
	if (keep)
		*keep = gm_blob_copy(d->data, d->len);
}

/* ---- protected answers */

/* An answer that was promised by an empty ACK is a confirmable message of its own. RFC 7252 §5.2.2 */
static uint32_t separate(struct worker *w, struct ctx *c, const struct xch *x, uint16_t mid)
{
	struct out o = {.peer = x->peer, .local = x->local, .ctx = x->ctx, .kind = OUT_SEPARATE, .mid = mid};

	return gm_out_new(w, c, &o);
}

static void send_sealed(struct worker *w, struct ctx *c, const struct xch *x, const struct answer *a, struct gm_bytes plain)
{
	struct box *b = &w->box;
	struct gm_oscore_outer outer = {
		.type = x->type == GM_COAP_NON ? GM_COAP_NON : x->acked ? GM_COAP_CON : GM_COAP_ACK,
		.code = a->observe ? GM_COAP(2, 5) : GM_COAP(2, 4),
		.token_len = x->token_len,
		.has_observe = a->observe,
		.observe = (uint32_t)(c->seq - 1) & 0xffffff, /* below that of the next notification */
	};
	const struct gm_oscore_id *id = &x->request.kid;
	const uint8_t *piv = x->request.piv;
	uint8_t piv_n = x->request.piv_n;
	bool promised = c->last_acked;
	uint64_t seq;

	if (x->acked)
		c->last_acked = false; /* it goes out once, and may be lost */
	if (a->own_piv) {
		if (gm_ctx_take_seq(w, x->ctx, c, &seq) != GM_E_OK)
			return;
		outer.option.piv_n = gm_oscore_piv(outer.option.piv, seq);
		id = &c->keys.sid;
		piv = outer.option.piv;
		piv_n = outer.option.piv_n;
	}
	outer.mid = outer.type == GM_COAP_ACK ? x->mid : gm_ctx_mid(w, c);
	memcpy(outer.token, x->token, sizeof outer.token);
	struct gm_dgram *d = gm_box_add(w, &x->peer, &x->local);
	if (!d)
		return;
	unsigned i = b->n - 1;
	struct gm_out out = gm_out(d->data, d->cap);
	if (gm_oscore_wrap(&c->keys, &outer, &x->request, id, piv, piv_n, plain, &out, &b->scratch[b->jobs_n],
	                   &b->job[b->jobs_n]) != GM_E_OK) {
		gm_box_drop_last(w);
		return;
	}
	d->len = (uint16_t)gm_out_len(&out);
	b->jobs_n++;
	gm_handler_answered(w, x, a->code);
	b->of[i].job = true;
	b->of[i].ctx = x->ctx;
	b->of[i].save = a->save && c->has_last && c->last_mid == x->mid && outer.type == GM_COAP_ACK;
	if (outer.type == GM_COAP_CON && (b->of[i].out = separate(w, c, x, outer.mid))) {
		c->last_acked = promised; /* it is sent again till it is acknowledged */
		gm_out_sent(w, b->of[i].out);
	}
	COUNT(w, replies);
}

/* The piece of body that the request asked for, and its Block2 option. RFC 7959 §2.4 */
static struct gm_bytes piece(struct gm_bytes body, struct gm_coap_block want, struct gm_coap_block *block)
{
	*block = want;
	if (block->szx > BLOCK_SZX) {
		block->num <<= block->szx - BLOCK_SZX;
		block->szx = BLOCK_SZX;
	}
	size_t size = (size_t)16 << block->szx;
	size_t from = block->num * size;
	if (from >= body.n)
		return (struct gm_bytes){0};
	size_t n = body.n - from < size ? body.n - from : size;
	block->more = from + n < body.n;
	return (struct gm_bytes){body.p + from, n};
}

static void put_location(struct gm_out *out, uint16_t *last, const struct answer *a)
{
	if (a->location_manage.n) {
		gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, "manage", 6);
		gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, a->location_manage.p, a->location_manage.n);
	}
	if (!a->location_node.n)
		return;
	gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, "ace-group", 9);
	gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, a->location_group.p, a->location_group.n);
	gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, "nodes", 5);
	gm_coap_put_option(out, last, GM_OPT_LOCATION_PATH, a->location_node.p, a->location_node.n);
}

static void answer_piece(struct worker *w, struct ctx *c, const struct xch *x, const struct answer *a,
                         struct gm_bytes payload, const struct gm_coap_block *block)
{
	struct gm_out out = gm_out(w->plain, sizeof w->plain);
	uint16_t last = 0;

	gm_out_u8(&out, a->code);
	if (a->etag)
		gm_coap_put_option(&out, &last, GM_OPT_ETAG, &a->etag, sizeof a->etag);
	if (a->observe)
		gm_coap_put_option(&out, &last, GM_OPT_OBSERVE, NULL, 0); /* RFC 8613 §4.1.3.5.2 */
	put_location(&out, &last, a);
	if (a->format != GM_CF_NONE)
		gm_coap_put_option_uint(&out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)a->format);
	if (a->has_max_age)
		gm_coap_put_option_uint(&out, &last, GM_OPT_MAX_AGE, a->max_age);
	if (block)
		gm_coap_put_block(&out, &last, GM_OPT_BLOCK2, *block);
	if (x->has_block1)
		gm_coap_put_block(&out, &last, GM_OPT_BLOCK1, x->block1);
	if (block && block->num == 0)
		gm_coap_put_option_uint(&out, &last, GM_OPT_SIZE2, (uint32_t)a->payload.n);
	if (a->size1)
		gm_coap_put_option_uint(&out, &last, GM_OPT_SIZE1, a->size1);
	if (a->echo.n)
		gm_coap_put_option(&out, &last, GM_OPT_ECHO, a->echo.p, a->echo.n);
	gm_coap_put_payload(&out, payload.p, payload.n);
	if (out.err == GM_E_OK)
		send_sealed(w, c, x, a, gm_out_result(&out));
	gm_wipe(w->plain, gm_out_len(&out)); /* keys may be in it, and the next answer may be long in coming */
}

/* Long answers are kept and fetched by blocks; the decision behind them is made once. */
static bool keep_body(struct worker *w, struct ctx *c, const struct xch *x, const struct answer *a)
{
	if (!gm_body_keep(w, c, a->payload))
		return false;
	struct extra *e = gm_ctx_extra(w, c);
	if (a->etag)
		e->body_etag = a->etag;
	e->body_key = x->key;
	e->body_content = x->content;
	e->body_code = a->code;
	e->body_format = a->format;
	e->body_timer = gm_wheel_add(&w->wheel, w->now_ms + BODY_IDLE_MS, TIMER_BODY, x->ctx);
	return true;
}

/* NOLINTBEGIN(misc-no-recursion): BUSY has no body, so that it is not kept for blocks again */
void gm_answer(struct worker *w, struct ctx *c, const struct xch *x, const struct answer *a)
{
	struct gm_coap_block want = x->has_block2 ? x->block2 : (struct gm_coap_block){.szx = BLOCK_SZX}, block;

	if (a->payload.n <= (size_t)16 << (want.szx > BLOCK_SZX ? BLOCK_SZX : want.szx)) {
		answer_piece(w, c, x, a, a->payload, NULL);
		return;
	}
	want.num = 0;
	if (!keep_body(w, c, x, a)) {
		if (!a->own_piv) /* else the request's nonce may have been used */
			gm_answer_err(w, c, x, GM_E_BUSY);
		return;
	}
	struct answer first = *a;
	first.etag = gm_ctx_extra(w, c)->body_etag;
	answer_piece(w, c, x, &first, piece(a->payload, want, &block), &block);
}

void gm_answer_block(struct worker *w, struct ctx *c, const struct xch *x, bool repeat)
{
	struct extra *e = gm_ctx_extra(w, c);
	struct gm_coap_block block;

	if (!e || !e->body || e->body_key != x->key || (x->content && x->content != e->body_content)) {
		if (!repeat) /* the request's nonce may have protected a block */
			gm_answer_err(w, c, x, GM_E_INCOMPLETE);
		return;
	}
	struct answer a = {
		.code = e->body_code,
		.format = e->body_format,
		.etag = e->body_etag,
		.own_piv = repeat,
		.payload = {e->body->bytes, e->body->n},
	};
	struct gm_bytes part = piece(a.payload, x->block2, &block);
	if (!part.n) {
		if (!repeat)
			gm_answer_err(w, c, x, GM_E_BAD_OPTION);
		return;
	}
	gm_wheel_del(&w->wheel, e->body_timer);
	e->body_timer = gm_wheel_add(&w->wheel, w->now_ms + BODY_IDLE_MS, TIMER_BODY, x->ctx);
	answer_piece(w, c, x, &a, part, &block);
}

void gm_answer_err(struct worker *w, struct ctx *c, const struct xch *x, enum gm_err err)
{
	const struct gm_err_info *info = gm_err_info(err);
	struct answer a = {.code = info->coap, .format = GM_CF_NONE, .save = true};
	uint8_t body[160];
	struct gm_out out = gm_out(body, sizeof body);

	if (info->ace_id >= 0) {
		gm_problem_encode(&out, info->ace_id, info->text);
		a.format = GM_CF_PROBLEM;
		a.payload = gm_out_result(&out);
	}
	if (info->coap == GM_COAP(5, 3)) {
		a.has_max_age = true;
		a.max_age = gm_worker_later(w);
	}
	gm_answer(w, c, x, &a);
}
/* NOLINTEND(misc-no-recursion) */
