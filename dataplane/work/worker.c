/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's loop, and the door that starts and stops workers.
 *
 * A turn: effects of core, what the network has, requests ahead of the answers to what we sent, what other workers sent over, timers, the
 * walk. Whoever waits for an answer, or core for a request, does not wait for what comes behind in the turn. */
#include "work/worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gm/crypto.h"

#define UP_BYTES (16u << 20)
#define DOWN_BYTES (32u << 20)
#define HOP_BYTES (2u << 20)
#define TRIM_MS 10000u
#define LET_GO (256u << 10) /* bytes: of fewer freed answers the C library may keep the memory. To look for 12 MB takes 3.5 ms, once */
#define LATER_NS 5000000u /* what core need not hear of at once it hears of so much later, with all that came since */

void gm_work_hist(_Atomic uint64_t *hist, uint64_t v)
{
	unsigned b = v ? 64u - (unsigned)__builtin_clzll(v) : 0;

	_Atomic uint64_t *at = &hist[b < GM_HIST ? b : GM_HIST - 1];

	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1, memory_order_relaxed);
	if (v > atomic_load_explicit(&hist[GM_HIST], memory_order_relaxed))
		atomic_store_explicit(&hist[GM_HIST], v, memory_order_relaxed);
}

uint32_t gm_worker_random(struct worker *w)
{
	uint64_t v[2] = {++w->turn_random, w->now_ns};

	w->random = w->turn_random & 1 ? gm_siphash(w->boot, (const uint8_t *)v, sizeof v) : w->random >> 32;
	return (uint32_t)w->random;
}

uint32_t gm_worker_hash(const struct worker *w, const void *p, size_t n)
{
	return (uint32_t)(gm_siphash(w->boot, p, n) >> 32);
}

/* ---- events */

void *gm_worker_event(struct worker *w, enum gm_ev type, size_t size, size_t more)
{
	struct gm_rec *rec = gm_ring_reserve(w->up, size + more);

	if (!rec)
		return NULL;
	memset(rec, 0, size);
	*rec = (struct gm_rec){.type = (uint16_t)type, .worker = (uint16_t)w->index, .len = (uint32_t)size};
	return rec;
}

struct gm_slice gm_rec_append(struct gm_rec *rec, const void *p, size_t n)
{
	struct gm_slice s = {.off = rec->len, .n = (uint32_t)n};

	if (n)
		memcpy((uint8_t *)rec + rec->len, p, n);
	rec->len += (uint32_t)n;
	return s;
}

void gm_worker_event_done(struct worker *w, struct gm_rec *rec)
{
	gm_ring_commit(w->up, rec->len);
	w->woke_core = true;
}

void gm_worker_event_later(struct worker *w, struct gm_rec *rec)
{
	gm_ring_commit(w->up, rec->len);
	if (!w->later_ns)
		w->later_ns = w->now_ns + LATER_NS;
}

/* ---- a turn */

static void read_clocks(struct worker *w)
{
	struct timespec ts;

	w->now_ns = w->ops->now_ns(w->port);
	w->now_ms = w->now_ns / 1000000;
	w->now_us = w->came_us = (uint32_t)(w->now_ns / 1000);
	clock_gettime(CLOCK_REALTIME, &ts);
	w->wall_s = ts.tv_sec;
}

/* Until core has to be woken for that; UINT64_MAX: for nothing. */
static uint64_t later_in_ns(const struct worker *w)
{
	if (!w->later_ns)
		return UINT64_MAX;
	return w->later_ns > w->now_ns ? w->later_ns - w->now_ns : 0;
}

static void tell_core(struct worker *w)
{
	if (!w->woke_core && later_in_ns(w) > 0)
		return;
	if (w->config.wake_core)
		w->config.wake_core(w->config.wake_arg);
	w->woke_core = false;
	w->later_ns = 0;
}

void gm_worker_wake_others(struct worker *w)
{
	for (unsigned i = 0; i < w->workers; i++) {
		if (!w->hopped[i])
			continue;
		w->hopped[i] = false;
		gm_dp_wake(w->dp, i);
	}
}

static void check_burst(struct worker *w, struct gm_dgram *d, unsigned n)
{
	gm_check_ahead(w, d, n);
	for (unsigned i = 0; i < n; i++)
		gm_check_datagram(w, d[i].data, d[i].len, &d[i].peer, &d[i].local, false);
	if (n)
		w->ops->rx_put(w->port, d, n);
}

/* ACK, RST or a response: whoever sent it waits for nothing. */
static bool is_answer(const struct gm_dgram *d)
{
	return d->len > 1 && (d->data[0] >> 5 & 1 || d->data[1] >> 5);
}

/* How many of d are left: those that ask. */
static unsigned set_answers_aside(struct worker *w, struct gm_dgram *d, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		if (is_answer(&d[i]))
			w->answer[w->answers_n++] = d[i];
		else
			d[left++] = d[i];
	return left;
}

/* Answers out, and up what core decides: it works on that while this turn goes on. */
static void finish_requests(struct worker *w)
{
	gm_check_finish(w);
	gm_box_flush(w);
	tell_core(w);
}

/* All that is there, as far as one turn takes it. Who asks does not wait behind those who confirm: of these there may be a whole window. */
static unsigned receive(struct worker *w)
{
	struct gm_dgram d[BURST];
	unsigned all = 0, n;

	w->answers_n = 0;
	do {
		n = w->ops->rx_burst(w->port, d, BURST);
		check_burst(w, d, set_answers_aside(w, d, n));
		all += n;
	} while (n == BURST && all < TURN_MAX);
	if (w->answers_n && w->answers_n < all)
		finish_requests(w);
	for (unsigned i = 0; i < w->answers_n; i += BURST)
		check_burst(w, w->answer + i, w->answers_n - i < BURST ? w->answers_n - i : BURST);
	gm_worker_wake_others(w); /* they work on it while this turn goes on */
	return all;
}

static void publish_stats(struct worker *w)
{
	struct gm_port_stats s;

	w->ops->stats(w->port, &s);
	SET(w, port_tx_failed, s.tx_failed);
	SET(w, port_rx_truncated, s.rx_truncated);
	SET(w, port_rx_bad, s.rx_bad);
	SET(w, port_rx_fragments, s.rx_fragments);
	SET(w, port_tx_kernel, s.tx_kernel);
	SET(w, port_rx_kernel, s.rx_kernel);
	SET(w, port_rx_lost, s.rx_lost);
	SET(w, port_rx_cut, s.rx_cut);
	SET(w, mem_contexts, gm_shards_bytes(w) + gm_slab_bytes(&w->extras));
	SET(w, mem_members, gm_slab_bytes(&w->members));
	SET(w, mem_texts, gm_pool_bytes(&w->strings));
	SET(w, mem_messages, gm_slab_bytes(&w->outs) + gm_slab_bytes(&w->xchs));
	SET(w, mem_timers, gm_slab_bytes(&w->wheel.timers));
	SET(w, mem_groups, gm_view_bytes(w));
	SET(w, mem_rings, gm_ring_touched(w->up));
}

static void count_turn(struct worker *w, unsigned effects, unsigned received, unsigned hops)
{
	if (effects + received + hops == 0)
		return;
	if (received)
		gm_work_hist(w->stats.hist_rx, received);
	gm_work_hist(w->stats.hist_down, effects);
	gm_work_hist(w->stats.hist_hops, hops);
	gm_work_hist(w->stats.hist_up, gm_ring_waiting(w->up));
	gm_work_hist(w->stats.hist_inflight, atomic_load_explicit(&w->stats.inflight, memory_order_relaxed));
}

/* ---- admission */

static unsigned eighths(uint64_t n, uint64_t most)
{
	return (unsigned)(n * ADMIT_EIGHTHS / most);
}

/* A table is there to be used: its first half is no reason to refuse anybody. */
static unsigned above_half(uint64_t n, uint64_t most)
{
	return n > most / 2 ? eighths(n - most / 2, most / 2) : 0;
}

/* How full what cannot be told from outside is. What waits for half a second or for another server is not load. */
static unsigned backlog(struct worker *w)
{
	unsigned core = gm_admit_core(&w->admission, w->now_ms, gm_ring_released(w->up), gm_ring_waiting(w->up));
	unsigned exchanges = above_half(w->xchs.used, EXCHANGES_MAX), uploads = above_half(w->uploads, UPLOADS_MAX);
	unsigned tables = exchanges > uploads ? exchanges : uploads;

	return core > tables ? core : tables;
}

uint32_t gm_worker_admit(struct worker *w, enum work what, const void *who, size_t n)
{
	if (what == WORK_READ)
		return 0;
	const uint32_t seconds = gm_admit(&w->admission, what, gm_worker_hash(w, who, n), gm_worker_random(w));

	if (seconds)
		COUNT(w, refused);
	return seconds;
}

uint32_t gm_worker_later(struct worker *w)
{
	return ADMIT_SOONEST_S + gm_worker_random(w) % 4;
}

/* More is asked than a turn takes. What has ended messages of ours is not: there is an end to them, and nobody is refused for a rekey.
 * flying: before they were looked at */
static bool is_full(const struct worker *w, unsigned received, unsigned hops, uint32_t flying)
{
	const unsigned ended = flying > w->outs.used ? flying - w->outs.used : 0;

	return (received >= TURN_MAX && ended <= TURN_MAX / 2) || hops >= TURN_MAX;
}

bool gm_worker_turn(struct worker *w)
{
	unsigned effects, looked = 0, received = 0, hops = 0;

	read_clocks(w);
	gm_admit_begin(&w->admission, w->now_ms, backlog(w));
	gm_ring_batch(w->up);
	effects = gm_effects_run(w);
	gm_box_flush(w);
	const uint32_t flying = w->outs.used;
	if (w->ready) {
		looked = gm_park_begin(w);
		received = receive(w);
		hops = gm_check_hops(w);
		gm_check_finish(w);
		gm_park_end(w);
	}
	gm_admit_end(&w->admission, received + hops ? w->ops->now_ns(w->port) - w->now_ns : 0, is_full(w, received, hops, flying));
	gm_shards_ask(w);
	bool busy = effects + looked + received + hops > 0;
	if (w->ready) { /* before, another process may speak to the same members */
		gm_timers_run(w);
		busy |= gm_rekey_step(w);
	}
	gm_box_flush(w);
	tell_core(w);
	count_turn(w, effects, received, hops);
	return busy;
}

uint64_t gm_worker_timeout_ns(struct worker *w)
{
	uint64_t ms = gm_rekey_waiting(w) || w->box.n ? 1 : gm_wheel_next(&w->wheel);
	uint64_t lanes_ns = gm_pace_sleep_ns(w), later_ns = later_in_ns(w), ns = ms * 1000000;

	ns = lanes_ns < ns ? lanes_ns : ns;
	return later_ns < ns ? later_ns : ns;
}

static bool something_waits(struct worker *w)
{
	size_t len;

	if (gm_ring_peek(w->down, &len) || gm_park_asked(w))
		return true;
	for (unsigned i = 0; i < w->workers; i++)
		if (w->hop_in[i] && gm_ring_peek(w->hop_in[i], &len))
			return true;
	return false;
}

/* What a rekey of all needed for its messages in flight is not kept for the next one, which may be days away; one that follows at
 * once finds it. Nor is what the answers to a wave of Joins took, 247 seconds later: they lie between what stays. */
static void trim(struct worker *w)
{
	struct gm_slab *const bursts[] = {&w->outs, &w->xchs, &w->wheel.timers, &w->pace.places};
	uint32_t made = 0;

	gm_ring_trim(w->up);
	for (unsigned i = 0; i < sizeof bursts / sizeof *bursts; i++)
		made += bursts[i]->made;
	if (w->outs.used || w->xchs.used || made != w->burst_made)
		w->busy_ms = w->now_ms;
	w->burst_made = made;
	if (w->now_ms - w->busy_ms < TRIM_MS)
		return;
	for (unsigned i = 0; i < sizeof bursts / sizeof *bursts; i++)
		gm_slab_trim(bursts[i]);
	if (w->let_go < LET_GO)
		return;
	malloc_trim(0);
	w->let_go = 0;
}

void gm_worker_rest(struct worker *w)
{
	trim(w);
	publish_stats(w);
}

static void sleep_a_while(struct worker *w)
{
	gm_worker_rest(w);
	atomic_exchange(&w->asleep, 1); /* gm_dp_wake() says why */
	if (!something_waits(w) && !atomic_load(&w->stop))
		w->ops->wait(w->port, gm_worker_timeout_ns(w));
	atomic_store(&w->asleep, 0);
}

static struct gm_port_config port_config(const struct gm_dp_config *c, unsigned worker)
{
	struct gm_port_config pc = {.listen_n = c->listen_n,
	                            .rx_bufs = 4096,
	                            .tx_bufs = 1024,
	                            .worker = worker,
	                            .workers = c->workers,
	                            .sockets = c->sockets ? c->sockets[worker] : NULL,
	                            .arg = c->port_arg};

	memcpy(pc.listen, c->listen, sizeof pc.listen);
	return pc;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct gm_port_config pc = port_config(&w->config, w->index);

	w->opened = w->ops->open(&w->port, &pc);
	w->opened_errno = errno;
	if (w->opened == GM_E_OK) {
		read_clocks(w);
		gm_wheel_init(&w->wheel, 4 * w->config.contexts_max + 4 * EXCHANGES_MAX, w->now_ms);
	}
	pthread_mutex_lock(&w->dp->lock);
	w->dp->started_n++;
	pthread_cond_signal(&w->dp->started);
	pthread_mutex_unlock(&w->dp->lock);
	while (w->opened == GM_E_OK && !atomic_load_explicit(&w->stop, memory_order_acquire))
		if (atomic_load(&w->dp->halt))
			gm_carry_halt(w);
		else if (!gm_worker_turn(w))
			sleep_a_while(w);
	return NULL;
}

/* ---- life */

struct worker *gm_worker_new(struct gm_dp *dp, unsigned index)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->dp = dp;
	w->index = index;
	w->config = dp->config;
	w->workers = dp->config.workers;
	w->ops = dp->config.port;
	gm_random(w->boot, sizeof w->boot);
	w->up = gm_ring_new(UP_BYTES);
	w->down = gm_ring_new(DOWN_BYTES);
	for (unsigned i = 0; i < w->workers; i++)
		if (i != index)
			w->hop_in[i] = gm_ring_new(HOP_BYTES);
	w->out_hash_mask = 16384 - 1;
	w->out_hash = calloc(w->out_hash_mask + 1, sizeof *w->out_hash);
	w->repeats = calloc(REPEATS, sizeof *w->repeats);
	w->sig_room = aligned_alloc(64, (GM_ED25519_BATCH_ROOM(TURN_MAX) + 63) & ~63u);
	gm_slab_init(&w->extras, sizeof(struct extra), dp->config.contexts_max + EXCHANGES_MAX);
	gm_pool_init(&w->strings);
	gm_slab_init(&w->members, sizeof(struct member), 16 * dp->config.contexts_max);
	gm_slab_init(&w->xchs, sizeof(struct xch), EXCHANGES_MAX);
	gm_slab_init(&w->outs, sizeof(struct out), dp->config.contexts_max + EXCHANGES_MAX);
	gm_shards_init(w);
	bool rings = w->up && w->down;
	for (unsigned i = 0; i < w->workers; i++)
		rings = rings && (i == index || w->hop_in[i]);
	if (!gm_pace_init(w) || !rings || !w->out_hash || !w->repeats || !w->sig_room) {
		gm_worker_free(w);
		return NULL;
	}
	return w;
}

void gm_worker_free(struct worker *w)
{
	if (!w)
		return;
	for (uint32_t h = 1; h <= w->xchs.made; h++)
		gm_xch_done(w, h);
	for (uint32_t h = 1; h <= w->outs.made; h++)
		gm_blob_drop(&gm_out_at(w, h)->body); /* free places hold none */
	gm_shards_free(w);
	gm_as_links_free(w);
	gm_bodies_free(w);
	gm_links_free(w);
	for (unsigned i = 0; w->repeats && i < REPEATS; i++)
		gm_blob_drop(&w->repeats[i].answer);
	gm_view_free(w);
	gm_slab_free(&w->extras);
	gm_pool_free(&w->strings);
	gm_slab_free(&w->members);
	gm_slab_free(&w->xchs);
	gm_slab_free(&w->outs);
	gm_wheel_free(&w->wheel);
	gm_pace_free(w);
	free(w->park.bytes);
	gm_ring_free(w->up);
	gm_ring_free(w->down);
	for (unsigned i = 0; i < w->workers; i++)
		gm_ring_free(w->hop_in[i]);
	free(w->out_hash);
	free(w->sig_room);
	free(w->repeats);
	if (w->port)
		w->ops->close(w->port);
	gm_wipe(w, sizeof *w);
	free(w);
}

bool gm_dp_tables(struct gm_dp *dp)
{
	unsigned n = dp->config.prefixes_n;

	dp->roster = gm_roster_new(dp->config.contexts_max);
	dp->domains = gm_domains_new(dp->config.prefixes, n, dp->config.ack_timeout_ms * 3 / 2);
	dp->config.prefixes = NULL; /* the caller's */
	return dp->roster && (!n || dp->domains);
}

void gm_dp_tables_free(struct gm_dp *dp)
{
	gm_domains_free(dp->domains);
	gm_roster_free(dp->roster);
}

static enum gm_err start_all(struct gm_dp *dp)
{
	unsigned n = dp->config.workers;
	struct gm_port_config pc = port_config(&dp->config, 0);

	if (dp->config.port->check && !dp->config.sockets)
		GM_TRY(dp->config.port->check(&pc));
	if (!gm_dp_tables(dp))
		return GM_E_NO_MEMORY;
	for (unsigned i = 0; i < n; i++)
		if (!(dp->worker[i] = gm_worker_new(dp, i)))
			return GM_E_NO_MEMORY;
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&dp->worker[i]->thread, NULL, run, dp->worker[i]) != 0)
			return GM_E_NO_MEMORY;
	pthread_mutex_lock(&dp->lock);
	while (dp->started_n < n)
		pthread_cond_wait(&dp->started, &dp->lock);
	pthread_mutex_unlock(&dp->lock);
	for (unsigned i = 0; i < n; i++)
		if (dp->worker[i]->opened != GM_E_OK) {
			errno = dp->worker[i]->opened_errno;
			return dp->worker[i]->opened;
		}
	return GM_E_OK;
}

enum gm_err gm_dp_start(struct gm_dp **dp, const struct gm_dp_config *config)
{
	struct gm_dp *d = calloc(1, sizeof *d);

	*dp = NULL;
	if (!d)
		return GM_E_NO_MEMORY;
	d->config = *config;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->started, NULL);
	enum gm_err err = start_all(d);
	int why = errno;
	if (err == GM_E_OK)
		*dp = d;
	else
		gm_dp_stop(d);
	errno = why;
	return err;
}

void gm_dp_stop(struct gm_dp *dp)
{
	for (unsigned i = 0; dp && i < dp->config.workers; i++) {
		struct worker *w = dp->worker[i];
		if (!w || !w->thread)
			continue;
		atomic_store(&w->stop, 1);
		if (w->port)
			w->ops->wake(w->port);
		pthread_join(w->thread, NULL);
	}
	for (unsigned i = 0; dp && i < dp->config.workers; i++)
		gm_worker_free(dp->worker[i]);
	if (dp)
		gm_dp_tables_free(dp);
	free(dp);
}

unsigned gm_dp_shard_owner(unsigned shard, unsigned workers)
{
	return shard % workers;
}

unsigned gm_dp_owner(const struct gm_dp *dp, gm_ctx_id id)
{
	return gm_dp_shard_owner(GM_CTX_SHARD(id), dp->config.workers);
}

const struct gm_rec *gm_dp_event(struct gm_dp *dp, unsigned worker)
{
	size_t len;

	return gm_ring_peek(dp->worker[worker]->up, &len);
}

void gm_dp_event_done(struct gm_dp *dp, unsigned worker)
{
	gm_ring_release(dp->worker[worker]->up);
}

static void roster_cred(struct gm_roster *r, const struct gm_eff_cred *e)
{
	struct gm_roster_entry entry = {
		.group = e->group, .roles = e->roles, .sid = {e->sid, e->sid_n}, .cred = e->cred, .cred_n = e->cred_n};

	if (e->remove)
		gm_roster_remove(r, e->group, entry.sid);
	else
		gm_roster_put(r, &entry);
}

static void roster_num(struct gm_roster *r, const struct gm_eff_num *e)
{
	if (e->remove)
		gm_roster_no_group(r, e->group);
	else
		gm_roster_group(r, &(struct gm_roster_group){e->group, e->gen, e->version});
}

void gm_dp_roster(struct gm_dp *dp, struct gm_words *words, const uint8_t *records, size_t n)
{
	size_t at = 0;

	if (!n) /* and nothing was dropped */
		return;
	gm_roster_begin(dp->roster, words);
	while (at < n) {
		const struct gm_rec *rec = (const void *)(records + at);
		if (rec->type == GM_EFF_CRED)
			roster_cred(dp->roster, (const void *)rec);
		else
			roster_num(dp->roster, (const void *)rec);
		at += (rec->len + 7u) & ~7u;
	}
	gm_roster_end(dp->roster);
	gm_words_settle(words);
}

size_t gm_dp_roster_bytes(const struct gm_dp *dp)
{
	return gm_roster_bytes(dp->roster);
}

size_t gm_dp_effects(struct gm_dp *dp, unsigned worker, const uint8_t *records, size_t n)
{
	struct gm_ring *down = dp->worker[worker]->down;
	size_t at = 0;

	gm_ring_batch(down);
	while (at + sizeof(struct gm_rec) <= n) {
		const struct gm_rec *rec = (const void *)(records + at);
		void *to = gm_ring_reserve(down, rec->len);
		if (!to)
			break;
		memcpy(to, rec, rec->len);
		gm_ring_commit(down, rec->len);
		at += (rec->len + 7u) & ~7u;
	}
	return at < n ? at : n;
}

size_t gm_dp_touched(const struct gm_dp *dp, unsigned worker)
{
	return gm_ring_touched(dp->worker[worker]->down);
}

size_t gm_dp_waiting(const struct gm_dp *dp, unsigned worker)
{
	return gm_ring_used(dp->worker[worker]->down);
}

void gm_dp_trim(struct gm_dp *dp, unsigned worker)
{
	gm_ring_trim(dp->worker[worker]->down);
}

/* After something was put into a ring: either the worker sees that before it sleeps, or we see that it sleeps. A load could be done ahead of
 * the stores before it; of two that read and write one after the other, the second has what was stored before the first. */
void gm_dp_wake(struct gm_dp *dp, unsigned worker)
{
	struct worker *w = dp->worker[worker];

	if (atomic_fetch_add(&w->asleep, 0) && w->port)
		w->ops->wake(w->port);
}

uint64_t gm_dp_cpu_us(const struct gm_dp *dp, unsigned worker)
{
	struct timespec t;
	clockid_t clock;

	if (!dp->worker[worker]->thread || pthread_getcpuclockid(dp->worker[worker]->thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

const struct gm_worker_stats *gm_dp_stats(const struct gm_dp *dp, unsigned worker)
{
	return &dp->worker[worker]->stats;
}

void gm_dp_set_pace_for_all(struct gm_dp *dp, unsigned rate)
{
	for (unsigned i = 0; i < dp->config.workers; i++) {
		atomic_store_explicit(&dp->worker[i]->pace.rate, rate, memory_order_relaxed);
		gm_dp_wake(dp, i); /* it may sleep till it has gathered a message by the old one */
	}
}

unsigned gm_dp_pace_for_all(const struct gm_dp *dp)
{
	return atomic_load_explicit(&dp->worker[0]->pace.rate, memory_order_relaxed);
}

unsigned gm_dp_network_of(const struct gm_dp *dp, const struct gm_addr *addr)
{
	return gm_domain_of(dp->domains, addr);
}

bool gm_dp_pace(const struct gm_dp *dp, unsigned i, struct gm_pace_status *s)
{
	if (i >= gm_domains_n(dp->domains))
		return false;
	gm_domain_status(dp->domains, (uint16_t)(i + 1), s);
	return true;
}

struct gm_addr gm_dp_bound(const struct gm_dp *dp, unsigned listener)
{
	return dp->worker[0]->ops->bound(dp->worker[0]->port, listener);
}
