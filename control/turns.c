/* SPDX-License-Identifier: Apache-2.0 */
#include "turns.h"

#include <stdlib.h>
#include <time.h>

#include "gm/crypto.h"

#define BACKLOG_MAX (8u << 20) /* bytes of effects waiting, all workers; above: no more events are taken */

/* ---- clock and dice */

uint64_t gm_turns_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Once a second. The zone is read from its file at the first call, before gmd is confined; a change of the zone itself takes a start. */
static void local_clock(struct gm_turns *t)
{
	time_t now = (time_t)t->wall_s;
	struct tm tm;

	if (t->offset_at == t->wall_s)
		return;
	t->offset_at = t->wall_s;
	t->utc_offset_s = localtime_r(&now, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

void gm_turns_clocks(struct gm_turns *t)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	t->wall_s = wall.tv_sec;
	t->mono_ms = gm_turns_now_us() / 1000;
	local_clock(t);
	t->disk_low = gm_store_low(t->store);
}

void gm_turns_txn(void *arg, struct gm_txn *txn)
{
	struct gm_turns *t = arg;

	*txn = (struct gm_txn){
		.wall_s = t->wall_s, .utc_offset_s = t->utc_offset_s, .mono_ms = t->mono_ms, .disk_low = t->disk_low, .changes = &t->changes, .effects = &t->effects};
	if (!t->dice_left) {
		gm_random(t->dice, sizeof(t->dice));
		t->dice_left = sizeof(t->dice);
	}
	uint8_t *seed = t->dice + t->dice_left - sizeof(txn->dice);
	memcpy(txn->dice, seed, sizeof(txn->dice));
	gm_wipe(seed, sizeof(txn->dice));
	t->dice_left -= sizeof(txn->dice);
}

/* ---- decide */

unsigned gm_turns_most(const struct gm_turns *t)
{
	return t->disk_low ? GM_TURN_EVENTS_LOW : GM_TURN_EVENTS_MAX;
}

unsigned gm_turns_gather(struct gm_turns *t)
{
	unsigned n = 0, idle = 0, workers = t->effects.workers, most = gm_turns_most(t);
	struct gm_txn txn;

	if (t->stats.backlog_bytes > BACKLOG_MAX)
		return 0;
	for (unsigned w = 0; idle < workers && n < most; w = (w + 1) % workers) {
		const struct gm_rec *event = gm_dp_event(t->dp, w);
		idle = event ? 0 : idle + 1;
		if (!event)
			continue;
		gm_turns_txn(t, &txn);
		gm_core_apply(t->core, &txn, event);
		gm_dp_event_done(t->dp, w);
		n++;
	}
	gm_wipe(&txn, sizeof(txn));
	return n;
}

void gm_turns_tick(struct gm_turns *t)
{
	struct gm_txn txn;

	gm_turns_txn(t, &txn);
	gm_core_tick(t->core, &txn);
	gm_wipe(&txn, sizeof(txn));
}

/* ---- commit and publish */

static void count_commit(struct gm_turns *t, uint64_t us, unsigned events)
{
	t->stats.commits++;
	t->stats.commit_us_sum += us;
	t->stats.commit_events_sum += events;
	t->stats.commit_us_max = us > t->stats.commit_us_max ? us : t->stats.commit_us_max;
	gm_hist_count(t->stats.hist_commit_us, us);
	gm_hist_count(t->stats.hist_events, events);
}

enum gm_err gm_turns_commit(struct gm_turns *t, unsigned events)
{
	if (t->changes.count) {
		uint64_t start = gm_turns_now_us();
		GM_TRY(gm_store_begin(t->store, &t->changes, t->turn + 1));
		if (gm_store_finish(t->store) != GM_COMMIT_DONE)
			return GM_E_STORE; /* whichever it is, the next start goes by what is stored */
		t->turn++;
		gm_changed_note(&t->changed, &t->changes);
		count_commit(t, gm_turns_now_us() - start, events);
	}
	gm_changes_reset(&t->changes);
	return GM_E_OK;
}

static enum gm_err backlog_add(struct gm_backlog *b, const uint8_t *bytes, size_t n)
{
	if (!b->bytes || b->cap - b->n < n) {
		size_t used = b->n - b->at, cap = b->cap ? b->cap : 1u << 16;
		while (cap - used < n)
			cap *= 2;
		uint8_t *grown = malloc(cap);
		if (!grown)
			return GM_E_NO_MEMORY;
		if (used)
			memcpy(grown, gm_there(b->bytes + b->at), used);
		if (b->n)
			gm_wipe(b->bytes, b->n);
		free(b->bytes);
		*b = (struct gm_backlog){.bytes = grown, .n = used, .cap = cap};
	}
	memcpy(b->bytes + b->n, bytes, n);
	b->n += n;
	return GM_E_OK;
}

static void backlog_send(struct gm_turns *t, unsigned worker)
{
	struct gm_backlog *b = &t->backlog[worker];
	size_t taken = gm_dp_effects(t->dp, worker, b->bytes + b->at, b->n - b->at);

	gm_wipe(b->bytes + b->at, taken);
	b->at += taken;
	if (b->at < b->n)
		return;
	free(b->bytes);
	*b = (struct gm_backlog){0};
}

enum gm_err gm_turns_publish(struct gm_turns *t)
{
	const struct gm_effect_buf *all = &t->effects.to[GM_EFFECTS_ALL];

	t->stats.backlog_bytes = 0;
	gm_dp_roster(t->dp, gm_core_words(t->core), all->bytes, all->n); /* first: who is told that something was done may ask for it at once */
	for (unsigned w = 0; w < t->effects.workers; w++) {
		const struct gm_effect_buf *fresh = &t->effects.to[w];
		struct gm_backlog *b = &t->backlog[w];
		if (!fresh->n && !b->n)
			continue;
		if (b->n)
			backlog_send(t, w);
		size_t taken = b->n || !fresh->n ? 0 : gm_dp_effects(t->dp, w, fresh->bytes, fresh->n);
		if (taken < fresh->n)
			GM_TRY(backlog_add(b, fresh->bytes + taken, fresh->n - taken));
		t->stats.backlog_bytes += b->n - b->at;
		gm_dp_wake(t->dp, w);
	}
	gm_effects_reset(&t->effects);
	return GM_E_OK;
}

void gm_turns_free(struct gm_turns *t)
{
	gm_changes_free(&t->changes);
	gm_changed_end(&t->changed);
	gm_effects_free(&t->effects);
	for (unsigned w = 0; w < GM_WORKERS_MAX; w++) {
		if (t->backlog[w].n)
			gm_wipe(t->backlog[w].bytes, t->backlog[w].n);
		free(t->backlog[w].bytes);
	}
	gm_wipe(t, sizeof(*t));
}
