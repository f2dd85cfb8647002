/* SPDX-License-Identifier: Apache-2.0 */
/* Core and workers in this process, over a store that was filled before. What core decides is not stored: that is another
 * bench's question. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "scaling/parts.h"

static const struct timespec a_moment = {.tv_nsec = 200000};

static enum gm_err load(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	return gm_core_load(arg, table, key, value);
}

static bool load_core(struct site *s, const struct plan *p)
{
	struct gm_core_config config = {.workers = s->workers, .contexts_max = p->members + 1024, .members_max = p->members + 1024,
	                                .groups_max = p->groups, .rekey_window_ms = 1000, .rekey_deadline_ms = 5000,
	                                .distribution_max_ms = 30000, .audience = "gm.example"};
	char state[BENCH_PATH], key[BENCH_PATH], why[GM_WHY] = "";
	struct gm_store *store;

	snprintf(state, sizeof(state), "%s/state", p->dir);
	snprintf(key, sizeof(key), "%s/store.key", p->dir);
	s->turns.core = gm_core_new(&config);
	if (!s->turns.core || gm_store_open(&store, state, key, why) != GM_E_OK) {
		fprintf(stderr, "scaling: %s\n", why);
		return false;
	}
	bool ok = true;
	for (unsigned table = 0; ok && table < GM_TABLE_N; table++)
		ok = gm_store_scan(store, (enum gm_table)table, load, s->turns.core) == GM_E_OK;
	gm_store_close(store);
	return ok;
}

static bool start_workers(struct site *s, const struct plan *p)
{
	struct gm_dp_config config = {.port = &bench_port, .listen_n = 1, .port_arg = s->lane, .workers = s->workers,
	                              .contexts_max = p->members + 1024,
	                              .ack_timeout_ms = 600000, /* nothing is sent again while the bench prepares */
	                              .retransmit_max = 4};

	gm_addr_parse(&config.listen[0], "127.0.0.1:5683");
	return gm_dp_start(&s->turns.dp, &config) == GM_E_OK;
}

static void publish(struct site *s)
{
	gm_changes_reset(&s->turns.changes);
	while (gm_turns_publish(&s->turns) == GM_E_OK && s->turns.stats.backlog_bytes)
		nanosleep(&a_moment, NULL);
}

static bool waits(const struct site *s)
{
	for (unsigned w = 0; w < s->workers; w++)
		if (gm_dp_waiting(s->turns.dp, w) || !atomic_load(&s->lane[w].idle))
			return true;
	return false;
}

static void hand_down(struct site *s)
{
	struct gm_txn txn;

	for (bool more = true; more;) {
		gm_turns_clocks(&s->turns);
		gm_turns_txn(&s->turns, &txn);
		more = gm_core_loaded(s->turns.core, &txn);
		publish(s);
	}
	while (waits(s))
		nanosleep(&a_moment, NULL);
}

/* As if each member had talked since the start. The workers sleep. */
static void forget_the_start(struct site *s)
{
	for (unsigned i = 0; i < GM_SHARDS; i++) {
		struct shard *shard = s->turns.dp->worker[gm_dp_shard_owner(i, s->workers)]->shard[i];
		for (uint32_t slot = 0; slot < shard->made; slot++) {
			shard->ctx[slot].need_echo = false;
			shard->ctx[slot].window = (struct gm_oscore_window){0};
		}
	}
}

bool bench_site_open(struct site *s, const struct plan *p, unsigned workers)
{
	s->workers = s->turns.effects.workers = workers;
	s->tell = eventfd(0, EFD_CLOEXEC);
	for (unsigned w = 0; w < workers; w++) {
		s->lane[w].tell = s->tell;
		s->lane[w].caught_max = p->members;
		s->lane[w].caught = malloc(p->members * sizeof(*s->lane[w].caught));
		if (!s->lane[w].caught)
			return false;
		memset(s->lane[w].caught, 0, p->members * sizeof(*s->lane[w].caught)); /* its pages are there */
	}
	if (s->tell < 0 || !load_core(s, p) || !start_workers(s, p))
		return false;
	hand_down(s);
	forget_the_start(s);
	return true;
}

void bench_site_close(struct site *s)
{
	gm_dp_stop(s->turns.dp);
	gm_core_free(s->turns.core);
	gm_turns_free(&s->turns);
	for (unsigned w = 0; w < s->workers; w++)
		free(s->lane[w].caught);
	close(s->tell);
}

bool bench_pin(struct site *s, unsigned w, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(s->turns.dp->worker[w]->thread, sizeof(set), &set) == 0;
}

void bench_settle(struct site *s)
{
	do {
		gm_turns_clocks(&s->turns);
		while (gm_turns_gather(&s->turns))
			publish(s);
		gm_turns_tick(&s->turns);
		publish(s);
		nanosleep(&a_moment, NULL);
	} while (waits(s));
}

bool bench_rekey(struct site *s)
{
	struct gm_txn txn;

	gm_turns_clocks(&s->turns);
	gm_turns_txn(&s->turns, &txn);
	bool ok = gm_core_rekey(s->turns.core, &txn, "g0", true) == GM_E_OK;
	publish(s);
	return ok;
}
