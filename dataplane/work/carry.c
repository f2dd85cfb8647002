/* SPDX-License-Identifier: Apache-2.0 */
/* To the next process: what no store has of a context, and datagrams that nobody has looked at.
 *
 * First requests that need core wait, as the datagrams they came in and as if they had not come: core gets to an end, and the
 * next process loads what the store has, while workers go on answering what they can alone. Then workers halt, and core reads
 * what they have. Where nothing comes of it, each looks at its own datagrams and goes on. */
#include <stdlib.h>
#include <time.h>

#include "gm/crypto.h"
#include "work/worker.h"

#define PARK_MAX (8u << 20)      /* bytes that wait, in a worker: more is lost, and comes again */
#define STRANGERS_MAX (1u << 20) /* of them, of requests that nothing protects */
#define PARK_STEP (256u << 10)
#define LOOK_MAX 256u            /* of them looked at in a turn */
#define REPEATS_MS 45000u        /* MAX_TRANSMIT_SPAN: till then a repeat is sent        RFC 7252 §4.8.2 */
#define HALTED_NS 100000
#define RECORD_MAX 4096u

struct parked {
	struct gm_addr peer, local;
	uint32_t n;
	bool waits, stranger;
	uint8_t data[];
};

/* ---- datagrams that wait */

static size_t parked_size(size_t n)
{
	return (sizeof(struct parked) + n + 7) & ~(size_t)7;
}

static struct parked *parked_at(const struct park *p, size_t at)
{
	return (void *)(p->bytes + at);
}

static bool park_room(struct park *p, size_t size)
{
	if (p->n + size <= p->cap)
		return true;
	size_t cap = p->cap + PARK_STEP;
	uint8_t *bytes = cap <= PARK_MAX ? realloc(p->bytes, cap) : NULL;

	if (!bytes)
		return false;
	p->bytes = bytes;
	p->cap = cap;
	return p->n + size <= cap;
}

uint32_t gm_park_copy(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer, const struct gm_addr *local)
{
	struct park *p = &w->park;

	if (!park_room(p, parked_size(n)))
		return 0;
	struct parked *d = parked_at(p, p->n);
	*d = (struct parked){.peer = *peer, .local = *local, .n = (uint32_t)n};
	memcpy(d->data, data, n);
	p->n += parked_size(n);
	return (uint32_t)(p->n - parked_size(n)) + 1;
}

void gm_park(struct worker *w, uint32_t place)
{
	if (place)
		parked_at(&w->park, place - 1)->waits = true;
	else
		COUNT(w, park_drop);
}

/* Whoever sends these has shown nothing yet: they leave room for members. */
void gm_park_stranger(struct worker *w, uint32_t place)
{
	struct park *p = &w->park;
	struct parked *d = place ? parked_at(p, place - 1) : NULL;

	if (!d || p->strangers + parked_size(d->n) > STRANGERS_MAX) {
		COUNT(w, park_drop);
		return;
	}
	p->strangers += parked_size(d->n);
	d->waits = d->stranger = true;
}

static bool from_stranger(const uint8_t *data, size_t n)
{
	struct gm_coap m;

	return gm_coap_decode((struct gm_bytes){data, n}, &m) != GM_E_OK || (m.code != GM_COAP_EMPTY && m.code >> 5 == 0 && !m.has_oscore);
}

void gm_park_whole(struct worker *w, const uint8_t *data, size_t n, const struct gm_addr *peer, const struct gm_addr *local)
{
	uint32_t place = gm_park_copy(w, data, n, peer, local);

	if (from_stranger(data, n))
		gm_park_stranger(w, place);
	else
		gm_park(w, place);
	if (place && !parked_at(&w->park, place - 1)->waits)
		w->park.n = place - 1;
}

/* Some in each turn, so that those who come now are not kept waiting. */
static unsigned look_at_parked(struct worker *w)
{
	struct park *p = &w->park;
	unsigned n;

	for (n = 0; n < LOOK_MAX && p->looked < p->n; n++) {
		const struct parked *d = parked_at(p, p->looked);
		gm_check_datagram(w, d->data, d->n, &d->peer, &d->local, false);
		p->strangers -= d->stranger ? parked_size(d->n) : 0;
		p->looked += parked_size(d->n);
	}
	gm_check_finish(w);
	if (p->looked == p->n) {
		free(p->bytes);
		*p = (struct park){0};
	}
	return n;
}

/* The rest waits again. */
static void forget_looked(struct park *p)
{
	p->n -= p->looked;
	if (p->looked)
		memmove(p->bytes, p->bytes + p->looked, p->n);
	p->waiting = p->n;
	p->looked = 0;
}

unsigned gm_park_begin(struct worker *w)
{
	w->parks = atomic_load_explicit(&w->dp->park, memory_order_acquire);
	if (!w->parks && w->park.n)
		return look_at_parked(w);
	if (w->parks)
		forget_looked(&w->park);
	return 0;
}

/* What was answered after all need not wait. */
static void drop_answered(struct park *p)
{
	size_t to = p->waiting;

	for (size_t at = p->waiting, size; at < p->n; at += size) {
		const struct parked *d = parked_at(p, at);
		size = parked_size(d->n);
		if (!d->waits)
			continue;
		memmove(p->bytes + to, d, size);
		to += size;
	}
	p->n = p->waiting = to;
}

void gm_park_end(struct worker *w)
{
	if (w->parks)
		drop_answered(&w->park);
	atomic_store_explicit(&w->parked, w->parks, memory_order_release); /* its events are in the ring */
}

bool gm_park_asked(const struct worker *w)
{
	return atomic_load(&w->dp->halt) || atomic_load(&w->dp->park) != atomic_load_explicit(&w->parked, memory_order_relaxed);
}

/* ---- halted */

static void take_rest(struct worker *w)
{
	struct gm_dgram d[BURST];
	unsigned n;

	while ((n = w->ops->rx_burst(w->port, d, BURST)) > 0) {
		for (unsigned i = 0; i < n; i++)
			gm_park_whole(w, d[i].data, d[i].len, &d[i].peer, &d[i].local);
		w->ops->rx_put(w->port, d, n);
	}
}

static bool all_halted(const struct gm_dp *dp, int how)
{
	for (unsigned i = 0; i < dp->config.workers; i++)
		if (atomic_load(&dp->worker[i]->halted) < how)
			return false;
	return true;
}

void gm_carry_halt(struct worker *w)
{
	const struct timespec pause = {.tv_nsec = HALTED_NS};

	w->ops->halt(w->port);
	take_rest(w);
	atomic_store(&w->halted, 1);
	while (atomic_load(&w->dp->halt) && !atomic_load(&w->stop)) {
		bool last = all_halted(w->dp, 1);
		gm_check_park_hops(w);
		if (last)
			atomic_store(&w->halted, 2);
		nanosleep(&pause, NULL);
	}
	atomic_store(&w->halted, 0);
	w->ops->resume(w->port);
}

/* ---- what core asks for */

static void wake_all(struct gm_dp *dp)
{
	for (unsigned i = 0; i < dp->config.workers; i++)
		dp->config.port->wake(dp->worker[i]->port);
}

int gm_dp_socket(const struct gm_dp *dp, unsigned worker, unsigned listener)
{
	const struct gm_port_ops *ops = dp->config.port;

	return ops->socket ? ops->socket(dp->worker[worker]->port, listener) : -1;
}

void gm_dp_park(struct gm_dp *dp, bool on)
{
	atomic_store(&dp->park, on);
	wake_all(dp);
}

bool gm_dp_parked(const struct gm_dp *dp)
{
	for (unsigned i = 0; i < dp->config.workers; i++)
		if (!atomic_load_explicit(&dp->worker[i]->parked, memory_order_acquire))
			return false;
	return true;
}

void gm_dp_halt(struct gm_dp *dp, bool on)
{
	atomic_store(&dp->halt, on);
	wake_all(dp);
}

bool gm_dp_halted(const struct gm_dp *dp)
{
	return all_halted(dp, 2);
}

/* ---- out of this process */

struct carrying {
	bool (*put)(void *arg, const struct gm_rec *rec);
	void *arg;
	_Alignas(8) uint8_t bytes[RECORD_MAX];
};

static void *begin(struct carrying *c, enum gm_eff type, size_t size)
{
	struct gm_rec *rec = (void *)c->bytes;

	memset(c->bytes, 0, size);
	*rec = (struct gm_rec){.type = (uint16_t)type, .len = (uint32_t)size};
	return rec;
}

static bool put(struct carrying *c)
{
	return c->put(c->arg, (const void *)c->bytes);
}

/* Windows that are unknown here are so there. Those that are closing are dropped with the store's reading. */
static bool carry_ctx(struct carrying *to, const struct worker *w, const struct ctx *c, gm_ctx_id id)
{
	if (c->state != CTX_LIVE || c->need_echo)
		return true;
	struct gm_eff_carry *e = begin(to, GM_EFF_CARRY, sizeof *e);
	e->ctx = id;
	e->next_mid = c->next_mid;
	e->window_top = c->window.top;
	e->window_seen = c->window.seen;
	e->has_last = c->has_last;
	e->last_acked = c->last_acked;
	e->last_mid = c->last_mid;
	e->last_age_ms = w->now_ms - c->last_ms;
	e->last_piv_n = c->last_piv_n;
	memcpy(e->last_piv, c->last_piv, sizeof e->last_piv);
	e->peer = c->peer;
	e->local = c->local;
	if (c->saved && e->last_age_ms < REPEATS_MS && sizeof *e + c->saved->n <= RECORD_MAX)
		e->saved = gm_rec_append(&e->rec, c->saved->bytes, c->saved->n);
	return put(to);
}

static bool carry_shards(struct carrying *to, const struct worker *w)
{
	for (unsigned shard = 0; shard < GM_SHARDS; shard++) {
		const struct shard *s = w->shard[shard];
		for (unsigned slot = 0; s && slot < s->made; slot++)
			if (!carry_ctx(to, w, &s->ctx[slot], GM_CTX_ID(shard, slot, s->ctx[slot].gen)))
				return false;
	}
	return true;
}

/* Of the walk that goes on, or was the last: core may not have heard of its end. */
static bool carry_held(struct carrying *to, const struct worker *w, const struct group *g)
{
	for (uint32_t h = g->head; h; h = gm_member_at(w, h)->next_group) {
		const struct member *m = gm_member_at(w, h);
		if (m->confirmed != g->view.version)
			continue;
		struct gm_eff_held *e = begin(to, GM_EFF_HELD, sizeof *e);
		e->ctx = m->ctx;
		e->group = m->group;
		e->slot = m->slot;
		e->version = m->confirmed;
		if (!put(to))
			return false;
	}
	return true;
}

static bool carry_groups(struct carrying *to, const struct worker *w)
{
	for (uint32_t i = 0; i < w->groups_cap; i++) {
		const struct group *g = gm_group_at(w, i);
		if (g && g->walk.version && g->walk.version == g->view.version && !carry_held(to, w, g))
			return false;
	}
	return true;
}

static bool carry_parked(struct carrying *to, const struct worker *w)
{
	const struct park *p = &w->park;

	for (size_t at = 0; at < p->n; at += parked_size(parked_at(p, at)->n)) {
		const struct parked *d = parked_at(p, at);
		struct gm_eff_datagram *e = begin(to, GM_EFF_DATAGRAM, sizeof *e);
		if (sizeof *e + d->n > RECORD_MAX)
			continue;
		e->peer = d->peer;
		e->local = d->local;
		e->data = gm_rec_append(&e->rec, d->data, d->n);
		if (!put(to))
			return false;
	}
	return true;
}

bool gm_dp_carry(struct gm_dp *dp, bool (*each)(void *arg, const struct gm_rec *rec), void *arg)
{
	struct carrying to = {.put = each, .arg = arg};

	for (unsigned i = 0; i < dp->config.workers; i++) {
		const struct worker *w = dp->worker[i];
		if (!carry_shards(&to, w) || !carry_groups(&to, w) || !carry_parked(&to, w))
			return false;
	}
	return true;
}

/* ---- into this process */

static struct gm_bytes slice(const struct gm_rec *rec, struct gm_slice s)
{
	return s.off && s.off <= rec->len && s.n <= rec->len - s.off ? gm_rec_bytes(rec, s) : (struct gm_bytes){0};
}

void gm_carry_ctx(struct worker *w, const struct gm_eff_carry *e)
{
	struct ctx *c = gm_ctx_at(w, e->ctx);
	struct gm_bytes saved = slice(&e->rec, e->saved);

	if (!c || c->state != CTX_LIVE || !c->need_echo || e->last_piv_n > sizeof c->last_piv)
		return;
	c->need_echo = false;
	c->window = (struct gm_oscore_window){.top = e->window_top, .seen = e->window_seen};
	c->next_mid = e->next_mid;
	c->has_last = e->has_last;
	c->last_acked = e->last_acked;
	c->last_mid = e->last_mid;
	c->last_ms = e->last_age_ms < w->now_ms ? w->now_ms - e->last_age_ms : 0;
	c->last_piv_n = e->last_piv_n;
	memcpy(c->last_piv, e->last_piv, sizeof c->last_piv);
	c->moved = !gm_addr_eq(&c->peer, &e->peer); /* core knows what the store has */
	c->peer = e->peer;
	c->local = e->local;
	if (saved.n)
		gm_ctx_save_answer(w, c, e->ctx, saved.p, saved.n);
}

void gm_carry_held(struct worker *w, const struct gm_eff_held *e)
{
	struct ctx *c = gm_ctx_at(w, e->ctx);
	struct member *m = c ? gm_member_of(w, c, e->group, NULL) : NULL;

	if (m && m->slot == e->slot && m->confirmed < e->version)
		m->confirmed = e->version;
}

void gm_carry_datagram(struct worker *w, const struct gm_eff_datagram *e)
{
	struct gm_bytes data = slice(&e->rec, e->data);

	if (data.n && data.n <= TEXT_MAX)
		gm_park_whole(w, data.p, data.n, &e->peer, &e->local);
}
