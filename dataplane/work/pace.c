/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends when: a bucket for all, one more for each network with a pace of its own, and the lanes in which contexts wait
 * for them. A lane is served one message a turn, after all others: none holds up another, none gets a burst.
 *
 * What waits are contexts, not messages: each has one message in flight at most, and what that is to be is decided when it
 * may leave. Places of contexts that are gone by then are passed over. */
#include <stdlib.h>

#include "work/worker.h"

#define CHUNK_S 0.003      /* the walk goes on when so much of the pace has gathered: batches, and no long bursts */
#define TICK_NS 250000u    /* lanes are looked at no more often */
#define EMPTY_NS 1000000u  /* nor while the bucket for all has nothing */
#define PASSED_MAX 256u    /* places passed over in a turn */
#define LATER_MS 100u      /* no place in the lane */

struct place {
	uint32_t next;
	gm_ctx_id ctx;
};

struct lane { /* what was sent before goes first: a network that loses much hears of nothing new */
	struct { uint32_t head, tail; } again, first;
	uint16_t next; /* lane */
	bool listed;
};

bool gm_pace_init(struct worker *w)
{
	gm_slab_init(&w->pace.places, sizeof(struct place), w->config.contexts_max + EXCHANGES_MAX);
	atomic_init(&w->pace.rate, w->config.pace);
	w->pace.lane = calloc(gm_domains_n(w->dp->domains) + 1, sizeof *w->pace.lane);
	return w->pace.lane;
}

void gm_pace_free(struct worker *w)
{
	gm_slab_free(&w->pace.places);
	free(w->pace.lane);
}

/* ---- the bucket for all: this worker's part of it */

/* Messages a second over all workers, as of now; 0: no limit. */
static uint32_t rate_of(const struct worker *w)
{
	return atomic_load_explicit(&w->pace.rate, memory_order_relaxed);
}

/* What is owed is a second's worth at most, also of a rate that was higher. */
static double refill(struct worker *w)
{
	double rate = (double)rate_of(w) / w->workers;

	w->pace.tokens += (double)(w->now_ns - w->pace.tokens_ns) * rate / 1e9;
	w->pace.tokens_ns = w->now_ns;
	if (w->pace.tokens > BURST)
		w->pace.tokens = BURST;
	if (w->pace.tokens < -rate)
		w->pace.tokens = -rate;
	return rate;
}

/* Enough for a batch: never more than a burst, a slow pace goes one by one. */
static double enough(double rate)
{
	double chunk = rate * CHUNK_S;

	return chunk < 1 ? 1 : chunk > BURST ? BURST : chunk;
}

bool gm_pace_ready(struct worker *w)
{
	if (rate_of(w) == 0)
		return true;
	double rate = refill(w);
	return w->pace.tokens >= enough(rate);
}

/* When it is ready, if nobody takes anything before. */
static uint64_t ready_ns(struct worker *w)
{
	double rate = rate_of(w) ? refill(w) : 0, missing = enough(rate) - w->pace.tokens;

	if (rate <= 0 || missing <= 0)
		return w->now_ns;
	double ns = missing / rate * 1e9;
	return w->now_ns + (ns > TICK_NS ? (uint64_t)ns : TICK_NS);
}

bool gm_pace(struct worker *w)
{
	if (rate_of(w) == 0)
		return true;
	refill(w);
	if (w->pace.tokens < 1)
		return false;
	w->pace.tokens -= 1;
	return true;
}

void gm_pace_spend(struct worker *w)
{
	refill(w);
	w->pace.tokens = w->pace.tokens > 1 ? 1 : w->pace.tokens;
}

void gm_pace_owe(struct worker *w)
{
	if (rate_of(w) == 0 || w->pace.paid)
		return;
	double rate = refill(w);
	w->pace.tokens = w->pace.tokens - 1 < -rate ? -rate : w->pace.tokens - 1;
}

/* ---- lanes */

uint16_t gm_pace_lane(const struct worker *w, const struct ctx *c)
{
	return gm_domain_of(w->dp->domains, &c->peer);
}

static void list(struct worker *w, uint16_t lane)
{
	struct pace *p = &w->pace;

	if (p->lane[lane].listed)
		return;
	p->lane[lane].listed = true;
	p->lane[lane].next = NO_LANE;
	if (p->lanes_n++)
		p->lane[p->last].next = lane;
	else
		p->head = lane;
	p->last = lane;
}

/* The first lane has had its turn. */
static void rotate(struct worker *w, bool stays)
{
	struct pace *p = &w->pace;
	uint16_t lane = p->head;

	p->head = p->lane[lane].next;
	p->lane[lane].listed = false;
	p->lanes_n--;
	if (stays)
		list(w, lane);
}

bool gm_pace_wait(struct worker *w, struct ctx *c, gm_ctx_id id, uint16_t lane, bool again)
{
	struct pace *p = &w->pace;

	if (c->in_lane)
		return true;
	uint32_t h = gm_slab_get(&p->places);
	if (!h)
		return false;
	struct place *at = gm_slab_at(&p->places, h);
	*at = (struct place){.ctx = id};
	uint32_t *tail = again ? &p->lane[lane].again.tail : &p->lane[lane].first.tail;
	if (*tail)
		((struct place *)gm_slab_at(&p->places, *tail))->next = h;
	else
		*(again ? &p->lane[lane].again.head : &p->lane[lane].first.head) = h;
	*tail = h;
	c->in_lane = true;
	list(w, lane);
	p->due_ns = 0;
	if (lane)
		gm_domain_waits(w->dp->domains, lane, 1);
	return true;
}

static gm_ctx_id first_in(const struct worker *w, const struct lane *l)
{
	uint32_t h = l->again.head ? l->again.head : l->first.head;

	return ((const struct place *)gm_slab_at(&w->pace.places, h))->ctx;
}

static void leave(struct worker *w, uint16_t lane)
{
	struct lane *l = &w->pace.lane[lane];
	bool again = l->again.head;
	uint32_t *head = again ? &l->again.head : &l->first.head, h = *head;

	*head = ((const struct place *)gm_slab_at(&w->pace.places, h))->next;
	if (!*head)
		*(again ? &l->again.tail : &l->first.tail) = 0;
	gm_slab_put(&w->pace.places, h);
	if (lane)
		gm_domain_waits(w->dp->domains, lane, -1);
}

static bool is_empty(const struct lane *l)
{
	return !l->again.head && !l->first.head;
}

/* NULL: it is gone, has nothing to say any more, or is said to elsewhere. */
static struct ctx *still_waits(struct worker *w, gm_ctx_id id, uint16_t lane)
{
	struct ctx *c = gm_ctx_at(w, id);

	if (!c)
		return NULL;
	bool says = c->out ? gm_out_at(w, c->out)->due : gm_rekey_has_next(w, c);
	uint16_t now = gm_pace_lane(w, c);
	if (says && now == lane)
		return c;
	c->in_lane = false;
	if (says && !gm_pace_wait(w, c, id, now, c->out != 0))
		gm_rekey_next(w, c, id); /* no place was free, now there is one */
	return NULL;
}

static void speak(struct worker *w, struct ctx *c, gm_ctx_id id)
{
	c->in_lane = false;
	w->pace.paid = true;
	if (c->out)
		gm_out_again(w, c->out);
	else
		gm_rekey_next_now(w, c, id);
	w->pace.paid = false;
}

enum served { SERVED, NOT_YET, BUCKET_EMPTY };

static enum served serve(struct worker *w, uint16_t lane, unsigned *budget)
{
	struct gm_domains *domains = w->dp->domains;
	struct lane *l = &w->pace.lane[lane];
	unsigned most = lane ? gm_domain_quantum(domains, lane) : BURST, passed = 0;

	while (most && *budget && !is_empty(l)) {
		gm_ctx_id id = first_in(w, l);
		struct ctx *c = still_waits(w, id, lane);
		if (!c) {
			leave(w, lane);
			if (++passed == PASSED_MAX)
				return SERVED;
			continue;
		}
		if (lane && gm_domain_next_ns(domains, lane) > w->now_ns)
			return NOT_YET;
		if (!gm_pace(w))
			return BUCKET_EMPTY;
		if (lane && !gm_domain_take(domains, lane, w->now_ns)) { /* another worker was first */
			w->pace.tokens += rate_of(w) != 0;
			return NOT_YET;
		}
		leave(w, lane);
		speak(w, c, id);
		most--;
		--*budget;
	}
	return SERVED;
}

bool gm_pace_step(struct worker *w)
{
	struct pace *p = &w->pace;
	unsigned budget = BURST, n = p->lanes_n;
	uint64_t due = UINT64_MAX;

	if (!n || w->now_ns < p->due_ns || !gm_pace_ready(w))
		return false;
	p->due_ns = UINT64_MAX; /* 0: somebody came on the way */
	while (n && budget) {
		uint16_t lane = p->head;
		if (serve(w, lane, &budget) == BUCKET_EMPTY) { /* it is the first next time */
			p->due_ns = w->now_ns + EMPTY_NS;
			return budget < BURST;
		}
		bool stays = !is_empty(&p->lane[lane]);
		uint64_t next = lane && stays ? gm_domain_next_ns(w->dp->domains, lane) : 0;
		due = stays && next < due ? next : due;
		rotate(w, stays);
		n--;
	}
	if (n)
		p->due_ns = 0;
	else if (p->due_ns == UINT64_MAX)
		p->due_ns = due > w->now_ns + TICK_NS ? due : w->now_ns + TICK_NS;
	return budget < BURST;
}

uint64_t gm_pace_sleep_ns(struct worker *w)
{
	if (!w->pace.lanes_n)
		return UINT64_MAX;
	uint64_t ready = ready_ns(w), at = w->pace.due_ns > ready ? w->pace.due_ns : ready;
	return at - w->now_ns;
}

void gm_pace_out(struct worker *w, uint32_t h)
{
	struct out *o = gm_out_at(w, h);
	struct ctx *c = gm_ctx_at(w, o->ctx);

	o->due = true;
	if (c && gm_pace_wait(w, c, o->ctx, gm_pace_lane(w, c), true))
		return;
	o->timer = gm_wheel_add(&w->wheel, w->now_ms + LATER_MS, TIMER_OUT, h);
}
