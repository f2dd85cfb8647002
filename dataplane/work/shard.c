/* SPDX-License-Identifier: Apache-2.0 */
/* Shards of contexts: finding one is an array index and a comparison. The worker owns its members. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "gm/pages.h"
#include "work/worker.h"

#define LOCK_STEP ((size_t)16 << 10)
#define RUN 32u /* contexts made one after the other are neighbours, in memory and in the store: a turn's records lie on few of its pages */

static size_t shard_bytes(const struct shard *s)
{
	return (size_t)s->cap * sizeof(struct ctx);
}

static struct shard *shard_new(unsigned contexts_max)
{
	struct shard *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->cap = 2 * contexts_max / GM_SHARDS + 64;
	if (s->cap > GM_SLOTS_MAX)
		s->cap = GM_SLOTS_MAX;
	s->ctx = gm_pages_reserve(shard_bytes(s));
	if (s->ctx)
		return s;
	free(s);
	return NULL;
}

/* Pages are locked as they come into use: address space alone counts against the limit, too. */
static void use_slot(struct worker *w, struct shard *s)
{
	s->made++;
	w->slots_made++;
	while (s->locked < (size_t)s->made * sizeof(struct ctx) && s->locked < shard_bytes(s)) {
		size_t rest = shard_bytes(s) - s->locked;
		gm_pages_lock((uint8_t *)s->ctx + s->locked, rest < LOCK_STEP ? rest : LOCK_STEP);
		s->locked += LOCK_STEP;
	}
}

void gm_shards_init(struct worker *w)
{
	for (unsigned i = 0; i < GM_SHARDS; i++) {
		if (gm_dp_shard_owner(i, w->workers) == w->index)
			w->shard[i] = shard_new(w->config.contexts_max);
		w->shards_n += w->shard[i] != NULL;
	}
	w->next_ctx = w->index * RUN;
}

void gm_shards_free(struct worker *w)
{
	for (unsigned i = 0; i < GM_SHARDS; i++) {
		struct shard *s = w->shard[i];
		if (!s)
			continue;
		for (unsigned slot = 0; slot < s->made; slot++)
			if (s->ctx[slot].state != CTX_FREE)
				gm_ctx_wipe(w, GM_CTX_ID(i, slot, s->ctx[slot].gen));
		gm_pages_free(s->ctx, shard_bytes(s));
		free(s);
	}
}

size_t gm_shards_bytes(const struct worker *w)
{
	return w->shards_n * sizeof(struct shard) + w->slots_made * sizeof(struct ctx);
}

static bool id_is(const struct gm_oscore_id *not_this, gm_ctx_id id)
{
	uint8_t be[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

	return not_this->n == 4 && memcmp(not_this->b, be, 4) == 0;
}

/* Next free slot of a shard, its generation moved on; NULL: full. A slot that was not used since the start begins anywhere:
 * whoever had it before is then told that its context is unknown, not that its message does not open. */
static struct ctx *take_slot(struct worker *w, unsigned shard, const struct gm_oscore_id *not_this, gm_ctx_id *id)
{
	struct shard *s = w->shard[shard];
	uint32_t slot = s->made;

	if (s->free)
		slot = s->free - 1;
	else if (s->made == s->cap)
		return NULL;
	struct ctx *c = &s->ctx[slot];
	uint8_t gen = (uint8_t)(c->gen ? c->gen + 1u : gm_worker_random(w));
	if (id_is(not_this, GM_CTX_ID(shard, slot, gen)))
		gen++;
	if (s->free)
		s->free = c->next_free;
	else
		use_slot(w, s);
	memset(c, 0, sizeof *c);
	c->gen = gen;
	*id = GM_CTX_ID(shard, slot, gen);
	return c;
}

struct ctx *gm_ctx_make(struct worker *w, const struct gm_oscore_id *not_this, gm_ctx_id *id)
{
	for (unsigned tries = 0; tries < GM_SHARDS; tries++) {
		unsigned shard = w->next_ctx / RUN % GM_SHARDS;
		struct ctx *c = w->shard[shard] ? take_slot(w, shard, not_this, id) : NULL;
		w->next_ctx = c ? w->next_ctx + 1 : (w->next_ctx / RUN + 1) * RUN;
		if (c) {
			c->state = CTX_PENDING;
			c->next_mid = (uint16_t)gm_worker_random(w);
			COUNT(w, contexts_pending);
			return c;
		}
	}
	return NULL;
}

/* The free list below a loaded slot is filled on the way: slots that the store does not name stay usable. */
struct ctx *gm_ctx_load(struct worker *w, gm_ctx_id id)
{
	struct shard *s = w->shard[GM_CTX_SHARD(id)];
	unsigned slot = GM_CTX_SLOT(id);

	if (!s || slot >= s->cap)
		return NULL;
	while (s->made <= slot) {
		s->ctx[s->made].next_free = s->free;
		s->free = s->made + 1;
		use_slot(w, s);
	}
	uint32_t *link = &s->free;
	while (*link && *link != slot + 1)
		link = &s->ctx[*link - 1].next_free;
	if (!*link)
		return NULL;
	*link = s->ctx[slot].next_free;
	struct ctx *c = &s->ctx[slot];
	memset(c, 0, sizeof *c);
	c->gen = (uint8_t)GM_CTX_GEN(id);
	c->state = CTX_LIVE;
	c->next_mid = (uint16_t)gm_worker_random(w);
	COUNT(w, contexts);
	return c;
}

void gm_ctx_wipe(struct worker *w, gm_ctx_id id)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (!c)
		return;
	if (w->box.jobs_n || w->box.posts_n)
		gm_box_flush(w); /* jobs point at keys */
	bool pending = c->state == CTX_PENDING;
	c->state = CTX_WIPING;
	while (c->members) {
		uint32_t h = c->members;
		gm_rekey_drop_member(w, h);
		gm_member_unlink(w, h);
		gm_member_free(w, h);
	}
	if (c->out)
		gm_out_end(w, c->out, false);
	gm_ctx_forget_answer(w, c);
	gm_ctx_forget_body(w, c);
	gm_upload_drop(w, c);
	gm_ctx_pend(w, c, id, 0);
	struct extra *x = gm_ctx_extra(w, c);
	if (x)
		gm_blob_drop(&x->pending);
	gm_ctx_tidy(w, c);
	if (pending)
		ADD(w, contexts_pending, -UINT64_C(1));
	else
		ADD(w, contexts, -UINT64_C(1));
	struct shard *s = w->shard[GM_CTX_SHARD(id)];
	uint8_t gen = w->ready ? c->gen : 0; /* 0: another process may have used the slot meanwhile */
	gm_wipe(c, sizeof *c);
	c->gen = gen;
	c->next_free = s->free;
	s->free = GM_CTX_SLOT(id) + 1;
}

static void ask_lease(struct worker *w, unsigned shard, struct shard *s, uint64_t seq)
{
	if (s->asked)
		return;
	struct gm_ev_lease *ev = gm_worker_event(w, GM_EV_LEASE, sizeof *ev, 0);
	if (!ev) {
		s->unheard = w->unheard = true;
		return;
	}
	ev->shard = shard;
	ev->want = (seq > s->until ? seq : s->until) + GM_SEQ_STEP;
	gm_worker_event_done(w, &ev->rec);
	s->asked = true;
}

void gm_shards_ask(struct worker *w)
{
	if (!w->unheard)
		return;
	w->unheard = false;
	for (unsigned i = 0; i < GM_SHARDS; i++) {
		struct shard *s = w->shard[i];
		if (!s || !s->unheard)
			continue;
		s->unheard = false;
		ask_lease(w, i, s, s->until);
	}
}

enum gm_err gm_ctx_take_seq(struct worker *w, gm_ctx_id id, struct ctx *c, uint64_t *seq)
{
	unsigned shard = GM_CTX_SHARD(id);
	struct shard *s = w->shard[shard];

	if (!s->until) { /* where a context goes on is known with the first lease of its shard */
		ask_lease(w, shard, s, 0);
		return GM_E_SEQ_UNLEASED;
	}
	if (c->resume) { /* RFC 8613 App. B.1.1 */
		c->seq = w->config.no_lease ? 0 : s->resume;
		c->resume = false;
	}
	if (c->seq > GM_OSCORE_SEQ_MAX)
		return GM_E_SEQ_SPENT;
	if (c->seq + GM_SEQ_STEP / 2 >= s->until)
		ask_lease(w, shard, s, c->seq);
	if (c->seq >= s->until)
		return GM_E_SEQ_UNLEASED;
	*seq = c->seq++;
	return GM_E_OK;
}

/* The upper bits name the worker, so that ACK and RST find their owner. */
uint16_t gm_ctx_mid(struct worker *w, struct ctx *c)
{
	uint16_t low = (uint16_t)(c->next_mid++ & ((1u << MID_WORKER_SHIFT) - 1));

	return (uint16_t)(w->index << MID_WORKER_SHIFT | low);
}

void gm_ctx_forget_answer(struct worker *w, struct ctx *c)
{
	gm_wheel_del(&w->wheel, c->saved_timer);
	c->saved_timer = 0;
	w->let_go += c->saved ? c->saved->n : 0;
	gm_blob_drop(&c->saved);
}

void gm_ctx_save_answer(struct worker *w, struct ctx *c, gm_ctx_id id, const uint8_t *p, size_t n)
{
	gm_ctx_forget_answer(w, c);
	c->saved = gm_blob_copy(p, n);
	c->saved_timer = gm_wheel_add(&w->wheel, w->now_ms + EXCHANGE_LIFETIME_MS, TIMER_SAVED, id);
}

void gm_ctx_forget_body(struct worker *w, struct ctx *c)
{
	struct extra *x = gm_ctx_extra(w, c);

	if (!x)
		return;
	gm_wheel_del(&w->wheel, x->body_timer);
	x->body_timer = 0;
	gm_body_drop(w, c);
}

struct extra *gm_ctx_extra(struct worker *w, const struct ctx *c)
{
	return c->extra ? gm_slab_at(&w->extras, c->extra) : NULL;
}

struct extra *gm_ctx_need_extra(struct worker *w, struct ctx *c)
{
	if (!c->extra)
		c->extra = gm_slab_get(&w->extras);
	return gm_ctx_extra(w, c);
}

void gm_ctx_tidy(struct worker *w, struct ctx *c)
{
	const struct extra *x = gm_ctx_extra(w, c);

	if (!x || x->pending || x->body || x->upload || x->pending_timer || x->body_timer || x->upload_timer)
		return;
	gm_slab_put(&w->extras, c->extra);
	c->extra = 0;
}

void gm_ctx_pend(struct worker *w, struct ctx *c, gm_ctx_id id, uint64_t ms)
{
	struct extra *x = ms ? gm_ctx_need_extra(w, c) : gm_ctx_extra(w, c);

	if (!x)
		return;
	gm_wheel_del(&w->wheel, x->pending_timer);
	x->pending_timer = ms ? gm_wheel_add(&w->wheel, w->now_ms + ms, TIMER_PENDING, id) : 0;
}

void gm_ctx_fill_save(const struct ctx *c, gm_ctx_id id, struct gm_ctx_save *save)
{
	save->id = id;
	save->alg = c->keys.alg;
	memcpy(save->send_key, c->keys.send_key, sizeof save->send_key);
	memcpy(save->recv_key, c->keys.recv_key, sizeof save->recv_key);
	memcpy(save->common_iv, c->keys.common_iv, sizeof save->common_iv);
	save->sid_n = c->keys.sid.n;
	memcpy(save->sid, c->keys.sid.b, sizeof save->sid);
	memcpy(save->challenge, c->n_s, sizeof save->challenge);
	save->peer = c->peer;
	save->local = c->local;
}
