/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics.def names, a row for each value: {"metric": family, its labels, "value"}; of a histogram "sum", and "buckets" with
 * how many values each has, up to the last that has any. Here is no text to be made: that is the asker's work. */
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "core/device.h"
#include "core/schedule.h"
#include "ctl/verbs/call.h"
#include "gm/pages.h"

#define SHOWN_MAX 256u /* groups with metrics of their own */

static struct gm_group_info shown[SHOWN_MAX];
static unsigned shown_n, groups_n;

/* ---- rows */

static void begin(struct gm_ctl_call *call, const char *name, const char *label, const char *is)
{
	gm_ctl_put_text(call->reply, "metric", name);
	if (label[0])
		gm_ctl_put_text(call->reply, label, is);
}

static void put(struct gm_ctl_call *call, const char *name, const char *label, const char *is, uint64_t value)
{
	begin(call, name, label, is);
	gm_ctl_put_uint(call->reply, "value", value);
	gm_ctl_row(call->reply);
}

static void end_hist(struct gm_ctl_call *call, const uint64_t hist[static GM_HIST_N], uint64_t sum)
{
	char text[GM_HIST * 21];
	unsigned used = GM_HIST;
	size_t n = 0;

	while (used && !hist[used - 1])
		used--;
	text[0] = '\0';
	for (unsigned b = 0; b < used; b++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu", b ? " " : "", (unsigned long long)hist[b]);
	gm_ctl_put_uint(call->reply, "sum", sum);
	gm_ctl_put_text(call->reply, "buckets", text);
	gm_ctl_row(call->reply);
}

/* ---- workers */

static uint64_t of_worker(const struct gm_ctl_call *call, unsigned worker, size_t at)
{
	const struct gm_ctl_env *env = call->env;

	return env->dp ? gm_call_look((const _Atomic uint64_t *)(const void *)((const char *)gm_dp_stats(env->dp, worker) + at)) : 0;
}

static uint64_t sum(const struct gm_ctl_call *call, size_t at)
{
	uint64_t all = 0;

	for (unsigned w = 0; w < call->env->workers; w++)
		all += of_worker(call, w, at);
	return all;
}

static void sum_hist(const struct gm_ctl_call *call, size_t at, uint64_t hist[static GM_HIST_N])
{
	for (unsigned b = 0; b < GM_HIST; b++)
		hist[b] = sum(call, at + b * sizeof(uint64_t));
}

static void put_worker(struct gm_ctl_call *call, const char *name, unsigned worker, uint64_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", worker);
	put(call, name, "worker", text, value);
}

static void each(struct gm_ctl_call *call, const char *name, size_t at)
{
	for (unsigned w = 0; w < call->env->workers; w++)
		put_worker(call, name, w, of_worker(call, w, at));
}

static void worker_cpu(struct gm_ctl_call *call, const char *name)
{
	for (unsigned w = 0; w < call->env->workers && call->env->dp; w++)
		put_worker(call, name, w, gm_dp_cpu_us(call->env->dp, w));
}

/* ---- requests: only what has happened has a row, but for tokens and what clients are here for */

static const struct {
	const char *resource, *method;
} handlers[GM_HANDLER_N] = {
	[GM_HANDLER_OTHER] = {"other", "other"},
#define GM_HANDLER(name, res, code, path, word) [GM_HANDLER_##name] = {path, word},
#include "gm/handlers.def"
};

static const char *const codes[GM_CODE_N] = {
	[GM_CODE_OTHER] = "other",
#define GM_CODE(class, detail, text) [GM_CODE_##class##_##detail] = text,
#include "gm/handlers.def"
};

static void begin_request(struct gm_ctl_call *call, const char *name, unsigned handler)
{
	begin(call, name, "resource", handlers[handler].resource);
	gm_ctl_put_text(call->reply, "method", handlers[handler].method);
}

static void requests(struct gm_ctl_call *call, const char *name)
{
	for (unsigned h = 0; h < GM_HANDLER_N; h++) {
		for (unsigned c = 0; c < GM_CODE_N; c++) {
			const uint64_t n = sum(call, offsetof(struct gm_worker_stats, answers[0][0]) + (h * GM_CODE_N + c) * sizeof(uint64_t));
			if (!n)
				continue;
			begin_request(call, name, h);
			gm_ctl_put_text(call->reply, "code", codes[c]);
			gm_ctl_put_uint(call->reply, "value", n);
			gm_ctl_row(call->reply);
		}
	}
}

static void latencies(struct gm_ctl_call *call, const char *name)
{
	uint64_t hist[GM_HIST_N];

	for (unsigned h = 0; h < GM_HANDLER_N; h++) {
		sum_hist(call, offsetof(struct gm_worker_stats, hist_answer_us[0][0]) + h * GM_HIST_N * sizeof(uint64_t), hist);
		if (!gm_hist_sum(hist))
			continue;
		begin_request(call, name, h);
		end_hist(call, hist, sum(call, offsetof(struct gm_worker_stats, answer_us[0]) + h * sizeof(uint64_t)));
	}
}

static void tokens(struct gm_ctl_call *call, const char *name)
{
	char text[32];

	for (unsigned err = 0; err < GM_ERR_N; err++) {
		const uint64_t n = sum(call, offsetof(struct gm_worker_stats, tokens[0]) + err * sizeof(uint64_t));
		if (err != GM_E_OK && !n)
			continue;
		const char *from = gm_err_info((enum gm_err)err)->name;
		unsigned i = 0;
		for (; from[i] && i + 1 < sizeof(text); i++)
			text[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
		text[i] = '\0';
		put(call, name, "result", text, n);
	}
}

/* ---- groups */

static bool is_busy(const struct gm_group_info *g)
{
	return g->late || strcmp(g->state, "idle") != 0;
}

static bool add_busy(void *arg, const struct gm_group_info *g)
{
	(void)arg;
	groups_n++;
	if (is_busy(g) && shown_n < SHOWN_MAX)
		shown[shown_n++] = *g;
	return true;
}

static bool add_other(void *arg, const struct gm_group_info *g)
{
	(void)arg;
	if (!is_busy(g) && shown_n < SHOWN_MAX)
		shown[shown_n++] = *g;
	return shown_n < SHOWN_MAX;
}

static void choose_groups(const struct gm_ctl_call *call)
{
	shown_n = groups_n = 0;
	if (gm_core_groups(call->env->core, NULL, add_busy, NULL) != GM_E_OK ||
	    gm_core_groups(call->env->core, NULL, add_other, NULL) != GM_E_OK)
		shown_n = 0;
}

static void not_shown(struct gm_ctl_call *call, const char *name)
{
	put(call, name, "", "", groups_n - shown_n);
}

static void states(struct gm_ctl_call *call, const char *name)
{
	for (unsigned i = 0; i < shown_n; i++) {
		begin(call, name, "group", shown[i].name);
		gm_ctl_put_text(call->reply, "state", shown[i].shown);
		gm_ctl_put_uint(call->reply, "value", 1);
		gm_ctl_row(call->reply);
	}
}

/* ---- schedules, authorization servers */

struct naming {
	struct gm_ctl_call *call;
	const char *name;
};

/* In microseconds, as all times travel; there may be none. */
static uint64_t timestamp(int64_t s)
{
	return s > 0 && s < INT64_MAX / 1000000 ? (uint64_t)s * 1000000 : 0;
}

static bool put_schedule_state(void *arg, const struct gm_schedule_info *s)
{
	const struct naming *n = arg;

	begin(n->call, n->name, "schedule", s->spec->name);
	gm_ctl_put_text(n->call->reply, "state", s->state);
	gm_ctl_put_uint(n->call->reply, "value", 1);
	gm_ctl_row(n->call->reply);
	return true;
}

static bool put_schedule_opened(void *arg, const struct gm_schedule_info *s)
{
	const struct naming *n = arg;

	put(n->call, n->name, "schedule", s->spec->name, timestamp(s->opened));
	return true;
}

static bool put_schedule_next(void *arg, const struct gm_schedule_info *s)
{
	const struct naming *n = arg;

	put(n->call, n->name, "schedule", s->spec->name, timestamp(s->next));
	return true;
}

static void each_schedule(struct gm_ctl_call *call, const char *name, bool (*row)(void *arg, const struct gm_schedule_info *s))
{
	struct naming n = {call, name};

	if (gm_core_schedules(call->env->core, &call->txn, NULL, row, &n) != GM_E_OK)
		return; /* there is none */
}

static void schedule_states(struct gm_ctl_call *call, const char *name)
{
	each_schedule(call, name, put_schedule_state);
}

static void schedules_opened(struct gm_ctl_call *call, const char *name)
{
	each_schedule(call, name, put_schedule_opened);
}

static void schedules_next(struct gm_ctl_call *call, const char *name)
{
	each_schedule(call, name, put_schedule_next);
}

static bool put_as_requests(void *arg, const struct gm_as_info *as)
{
	struct naming *n = arg;
	const struct {
		const char *outcome;
		uint64_t value;
	} rows[] = {{"answered", as->answered}, {"failed", as->failed}};

	for (unsigned i = 0; as->has_link && i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(n->call, n->name, "as", as->name);
		gm_ctl_put_text(n->call->reply, "outcome", rows[i].outcome);
		gm_ctl_put_uint(n->call->reply, "value", rows[i].value);
		gm_ctl_row(n->call->reply);
	}
	return true;
}

static bool put_as_failing(void *arg, const struct gm_as_info *as)
{
	struct naming *n = arg;

	put(n->call, n->name, "as", as->name, strcmp(as->trl_state, "failing") == 0);
	return true;
}

static void each_as(struct gm_ctl_call *call, const char *name, bool (*row)(void *arg, const struct gm_as_info *as))
{
	struct naming n = {call, name};

	gm_core_ases(call->env->core, row, &n);
}

static void as_requests(struct gm_ctl_call *call, const char *name)
{
	each_as(call, name, put_as_requests);
}

static void as_failing(struct gm_ctl_call *call, const char *name)
{
	each_as(call, name, put_as_failing);
}

/* ---- the daemon */

static void build(struct gm_ctl_call *call, const char *name)
{
	put(call, name, "version", GM_VERSION, 1);
}

static void start(struct gm_ctl_call *call, const char *name)
{
	const struct gm_turn_stats *t = call->env->turn;

	if (!t)
		return;
	put(call, name, "part", "open", (uint64_t)t->open_ms * 1000);
	put(call, name, "part", "load", (uint64_t)t->load_ms * 1000);
	put(call, name, "part", "network", (uint64_t)t->network_ms * 1000);
	put(call, name, "part", "down", (uint64_t)t->down_ms * 1000);
}

static void core_cpu(struct gm_ctl_call *call, const char *name)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	put(call, name, "", "", (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

static void free_bytes(struct gm_ctl_call *call, const char *name)
{
	struct statvfs fs;

	if (call->env->config && statvfs(call->env->config->state_dir, &fs) == 0)
		put(call, name, "", "", (uint64_t)fs.f_bavail * fs.f_frsize);
}

void gm_verb_metrics(struct gm_ctl_call *call)
{
	static const struct gm_turn_stats none;
	const struct gm_ctl_env *env = call->env;
	const struct gm_core_config *limits = gm_core_settings(env->core);
	const struct gm_core_status core = gm_call_core(call);
	const struct gm_turn_stats *turn = env->turn ? env->turn : &none;
	struct gm_store_stats store = {0};
	struct gm_audit_ends audit;
	uint64_t hist[GM_HIST_N];

	choose_groups(call);
	if (env->store)
		gm_store_stats(env->store, &store);
	gm_store_audit_ends(env->store, &audit);
#define GM_DAEMON(name, v) put(call, #name, "", "", (uint64_t)(v));
#define GM_CORE(name, label, is, field) put(call, #name, label, is, core.field);
#define GM_TURN(name, label, is, field) put(call, #name, label, is, turn->field);
#define GM_STORE(name, label, is, field) put(call, #name, label, is, store.field);
#define GM_SUM(name, label, is, field) put(call, #name, label, is, sum(call, offsetof(struct gm_worker_stats, field)));
#define GM_EACH(name, field) each(call, #name, offsetof(struct gm_worker_stats, field));
#define GM_GROUP(id, field)                                                                                            \
	for (unsigned i = 0; i < shown_n; i++)                                                                         \
		put(call, #id, "group", shown[i].name, shown[i].field);
#define GM_TURN_HIST(name, of, all)                                                                                    \
	begin(call, #name, "", "");                                                                                    \
	end_hist(call, turn->of, turn->all);
#define GM_SUM_HIST(name, of, all)                                                                                     \
	sum_hist(call, offsetof(struct gm_worker_stats, of), hist);                                                    \
	begin(call, #name, "", "");                                                                                    \
	end_hist(call, hist, sum(call, offsetof(struct gm_worker_stats, all)));
#define GM_CALL(name, function) function(call, #name);
#include "ctl/metrics.def"
	gm_ctl_end(call->reply);
}
