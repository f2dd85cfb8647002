/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <string.h>
#include <time.h>

#include "core/device.h"
#include "core/schedule.h"
#include "ctl/reload.h"

/* clang-format off */
#define WORKER_COUNTERS(X)                                                                                             \
	X(rx) X(tx) X(rx_bad) X(rx_stranger) X(rx_replay) X(rx_undecryptable) X(rx_repeat) X(rx_hop) X(hop_drop)       \
	X(up_full) X(park_drop) X(refused) X(token_ok) X(token_bad) X(stranger_challenged) X(stranger_shown) X(stranger_limited) X(proofs_limited) X(sigs_batched) X(requests) X(replies) X(reads_local) X(joins) X(echo_sent)                \
	X(pending_expired) X(no_exchange) X(rekey_sent) X(rekey_confirmed) X(rekey_retransmitted) X(rekey_late)        \
	X(notices) X(notices_told) X(contexts) X(contexts_pending) X(members) X(inflight) X(bodies_bytes)              \
	X(port_tx_failed) X(port_rx_truncated) X(port_rx_bad) X(port_rx_fragments) X(port_tx_kernel) X(port_rx_kernel)  \
	X(port_rx_lost) X(port_rx_cut) X(asks) X(asks_failed) X(link_contexts) X(link_sent) X(link_retransmitted)
#define CORE_COUNTERS(X)                                                                                               \
	X(groups) X(members) X(contexts) X(bars) X(ases) X(rekeys_pending) X(rekeys_running) X(rekeys_paused) X(tokens_ok)              \
	X(tokens_refused) X(joins_ok) X(rejoins) X(joins_refused) X(leaves) X(evictions) X(expiries) X(rekeys)         \
	X(confirmed) X(late)
#define STORE_COUNTERS(X)                                                                                              \
	X(commits) X(changes) X(bytes) X(commit_us_last) X(commit_us_max) X(map_bytes) X(used_bytes)
#define BATCHES(X) X(rx) X(open) X(verify) X(derive) X(sign) X(seal) X(tx)
#define QUEUES(X) X(down, "down") X(hops, "hops") X(up, "up_bytes") X(inflight, "inflight") /* their units: gmctl(1) */
/* clang-format on */

static void status_daemon(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;

	gm_ctl_put_text(r, "what", "daemon");
	gm_ctl_put_text(r, "version", GM_VERSION);
	gm_ctl_put_text(r, "newcomers", gm_core_drains(call->env->core) ? "refused" : "let in");
	gm_ctl_put_uint(r, "config_goes_back_s", gm_config_unconfirmed_s(call->txn.mono_ms)); /* 0: nothing waits to be confirmed */
	gm_ctl_put_uint(r, "uptime_s", (call->txn.mono_ms - call->env->started_ms) / 1000);
	gm_ctl_put_uint(r, "workers", call->env->workers);
	gm_ctl_put_uint(r, "start_open_ms", call->env->turn->open_ms);
	gm_ctl_put_uint(r, "start_load_ms", call->env->turn->load_ms);
	gm_ctl_put_uint(r, "start_network_ms", call->env->turn->network_ms);
	gm_ctl_put_uint(r, "start_down_ms", call->env->turn->down_ms);
	gm_ctl_row(r);
}

static void status_core(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_status s;

	gm_core_status(call->env->core, &s);
	gm_ctl_put_text(r, "what", "core");
#define X(name) gm_ctl_put_uint(r, #name, s.name);
	CORE_COUNTERS(X)
#undef X
	gm_ctl_row(r);
}

struct schedules {
	unsigned all, running, stopped, paused;
};

static bool count_schedule(void *arg, const struct gm_schedule_info *s)
{
	struct schedules *n = arg;

	n->all++;
	n->running += strcmp(s->state, "running") == 0;
	n->stopped += strcmp(s->state, "stopped") == 0;
	n->paused += strcmp(s->state, "paused") == 0;
	return true;
}

static void status_schedules(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct schedules n = {0};

	if (gm_core_schedules(call->env->core, &call->txn, NULL, count_schedule, &n) != GM_E_OK)
		n = (struct schedules){0};
	gm_ctl_put_text(r, "what", "register");
	gm_ctl_put_uint(r, "devices", gm_core_devices_n(call->env->core));
	gm_ctl_put_uint(r, "schedules", n.all);
	gm_ctl_put_uint(r, "schedules_running", n.running);
	gm_ctl_put_uint(r, "schedules_stopped", n.stopped);
	gm_ctl_put_uint(r, "schedules_paused", n.paused);
	gm_ctl_row(r);
}

static uint64_t cpu_us(void) /* of this thread */
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void status_turn(struct gm_ctl_call *call)
{
	const struct gm_turn_stats *t = call->env->turn;
	struct gm_ctl_reply *r = call->reply;

	gm_ctl_put_text(r, "what", "turn");
	gm_ctl_put_uint(r, "turns", t->turns);
	gm_ctl_put_uint(r, "events", t->events);
	gm_ctl_put_uint(r, "turn_us_mean", t->turns ? t->turn_us_sum / t->turns : 0);
	gm_ctl_put_uint(r, "turn_us_max", t->turn_us_max);
	gm_ctl_put_uint(r, "commits", t->commits);
	gm_ctl_put_uint(r, "commit_us_mean", t->commits ? t->commit_us_sum / t->commits : 0);
	gm_ctl_put_uint(r, "commit_us_p50", gm_hist_estimate(t->hist_commit_us, 0.5));
	gm_ctl_put_uint(r, "commit_us_p99", gm_hist_estimate(t->hist_commit_us, 0.99));
	gm_ctl_put_uint(r, "commit_us_max", t->commit_us_max);
	gm_ctl_put_uint(r, "events_per_commit_median", gm_hist_quantile(t->hist_events, 0.5));
	gm_ctl_put_uint(r, "events_per_commit_max", gm_hist_most(t->hist_events));
	gm_ctl_put_uint(r, "backlog_bytes", t->backlog_bytes);
	gm_ctl_put_uint(r, "cpu_us", cpu_us());
	gm_ctl_row(r);
}

static void status_store(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_store_stats s;

	gm_store_stats(call->env->store, &s);
	gm_ctl_put_text(r, "what", "store");
#define X(name) gm_ctl_put_uint(r, #name, s.name);
	STORE_COUNTERS(X)
#undef X
	gm_ctl_row(r);
}

static void put_quantiles(struct gm_ctl_reply *r, const uint64_t hist[static GM_HIST_N], const char *const names[4])
{
	char text[GM_HIST_TEXT];

	gm_ctl_put_uint(r, names[0], gm_hist_sum(hist));
	gm_ctl_put_uint(r, names[1], gm_hist_quantile(hist, 0.5));
	gm_ctl_put_uint(r, names[2], gm_hist_quantile(hist, 0.9));
	gm_ctl_put_uint(r, names[3], gm_hist_most(hist));
	gm_hist_text(hist, text);
	gm_ctl_put_text(r, "histogram", text);
	gm_ctl_row(r);
}

/* Of all workers. at: of the histogram in their statistics */
static void sum_hist(const struct gm_ctl_call *call, size_t at, uint64_t sum[static GM_HIST_N])
{
	memset(sum, 0, GM_HIST_N * sizeof(*sum));
	for (unsigned w = 0; w < call->env->workers; w++) {
		const _Atomic uint64_t *hist = (const void *)((const char *)gm_dp_stats(call->env->dp, w) + at);
		for (unsigned i = 0; i < GM_HIST; i++)
			sum[i] += gm_call_look(&hist[i]);
		uint64_t most = gm_call_look(&hist[GM_HIST]);
		sum[GM_HIST] = most > sum[GM_HIST] ? most : sum[GM_HIST];
	}
}

static void status_batches(struct gm_ctl_call *call)
{
	static const char *const names[4] = {"calls", "jobs_median", "jobs_p90", "jobs_max"};
#define X(name)                                                                                                        \
	{                                                                                                              \
		uint64_t sum[GM_HIST_N];                                                                               \
		sum_hist(call, offsetof(struct gm_worker_stats, hist_##name), sum);                                    \
		gm_ctl_put_text(call->reply, "what", "batch");                                                         \
		gm_ctl_put_text(call->reply, "call", #name);                                                           \
		put_quantiles(call->reply, sum, names);                                                                \
	}
	BATCHES(X)
#undef X
}

static void status_queues(struct gm_ctl_call *call)
{
	static const char *const names[4] = {"turns", "depth_median", "depth_p90", "depth_max"};
#define X(name, shown)                                                                                                    \
	{                                                                                                              \
		uint64_t sum[GM_HIST_N];                                                                               \
		sum_hist(call, offsetof(struct gm_worker_stats, hist_##name), sum);                                    \
		gm_ctl_put_text(call->reply, "what", "queue");                                                         \
		gm_ctl_put_text(call->reply, "queue", shown);                                                           \
		put_quantiles(call->reply, sum, names);                                                                \
	}
	QUEUES(X)
#undef X
}

static void status_rekey(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	uint64_t us[GM_HIST_N], sent = 0, confirmed = 0, retransmitted = 0, late = 0;

	for (unsigned w = 0; w < call->env->workers; w++) {
		const struct gm_worker_stats *s = gm_dp_stats(call->env->dp, w);
		sent += gm_call_look(&s->rekey_sent);
		confirmed += gm_call_look(&s->rekey_confirmed);
		retransmitted += gm_call_look(&s->rekey_retransmitted);
		late += gm_call_look(&s->rekey_late);
	}
	sum_hist(call, offsetof(struct gm_worker_stats, hist_confirm_us), us);
	gm_ctl_put_text(r, "what", "rekey");
	gm_ctl_put_uint(r, "sent", sent);
	gm_ctl_put_uint(r, "confirmed", confirmed);
	gm_ctl_put_uint(r, "retransmitted", retransmitted);
	gm_ctl_put_uint(r, "late", late);
	gm_ctl_put_uint(r, "confirm_us_p50", gm_hist_estimate(us, 0.5));
	gm_ctl_put_uint(r, "confirm_us_p90", gm_hist_estimate(us, 0.9));
	gm_ctl_put_uint(r, "confirm_us_p99", gm_hist_estimate(us, 0.99));
	gm_ctl_put_uint(r, "confirm_us_max", gm_hist_most(us));
	gm_ctl_row(r);
}

static void status_workers(struct gm_ctl_call *call)
{
	for (unsigned w = 0; w < call->env->workers; w++) {
		const struct gm_worker_stats *s = gm_dp_stats(call->env->dp, w);
		gm_ctl_put_text(call->reply, "what", "worker");
		gm_ctl_put_uint(call->reply, "worker", w);
		gm_ctl_put_uint(call->reply, "cpu_us", gm_dp_cpu_us(call->env->dp, w));
#define X(name) gm_ctl_put_uint(call->reply, #name, gm_call_look(&s->name));
		WORKER_COUNTERS(X)
#undef X
		gm_ctl_row(call->reply);
	}
}

void gm_verb_status(struct gm_ctl_call *call)
{
	status_daemon(call);
	gm_call_memory(call);
	status_core(call);
	status_schedules(call);
	status_turn(call);
	status_store(call);
	status_rekey(call);
	status_batches(call);
	status_queues(call);
	status_workers(call);
	gm_ctl_end(call->reply);
}
