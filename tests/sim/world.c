/* SPDX-License-Identifier: Apache-2.0 */
/* The run: what moves when, what fails when, and how gmd dies and comes back. */
#include <stdarg.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "inside.h"
#include "sim.h"

#define WALL_0 1700000000
#define QUIET_MAX_S 1200u  /* all members have the current keys so long after the last fault */
#define REST_S 15u         /* what administrators asked has come by then, or never will */
#define DRAIN_S 900u       /* then nothing is left of what passed: exchanges end after 247 s */
#define RING_BYTES (1u << 18)

int64_t sim_wall_s(const struct sim *s)
{
	return WALL_0 + (int64_t)(gm_mem_now(s->net) / 1000000000u) + s->wall_shift_s;
}

uint64_t sim_ms(const struct sim *s)
{
	return gm_mem_now(s->net) / 1000000u;
}

void sim_say(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose)
		return;
	printf("%8llu.%03llu ", (unsigned long long)sim_ms(s) / 1000, (unsigned long long)sim_ms(s) % 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->fault[0])
		return;
	va_start(args, format);
	vsnprintf(s->fault, sizeof s->fault, format, args);
	va_end(args);
	sim_say(s, "FAILED: %s", s->fault);
}

static void log_line(const char *line)
{
	sim_say(sim_now, "core: %s", line);
}

/* ---- faults at doors that the linker wraps, or that are a table */

void *__real_gm_ring_reserve(struct gm_ring *ring, size_t len);
void *__wrap_gm_ring_reserve(struct gm_ring *ring, size_t len);

void *__wrap_gm_ring_reserve(struct gm_ring *ring, size_t len)
{
	if (sim_now->ring_faults && sim_chance(&sim_now->dice, sim_now->ring_faults)) {
		sim_counts.rings_full++;
		return NULL;
	}
	return __real_gm_ring_reserve(ring, len);
}

struct gm_ring *__real_gm_ring_new(size_t cap);
struct gm_ring *__wrap_gm_ring_new(size_t cap);

/* Small ones: they are wiped at each crash. */
struct gm_ring *__wrap_gm_ring_new(size_t cap)
{
	return __real_gm_ring_new(cap < RING_BYTES ? cap : RING_BYTES);
}

uint64_t __real_gm_aead_seal_many(const struct gm_aead_job *jobs, unsigned n);
uint64_t __wrap_gm_aead_seal_many(const struct gm_aead_job *jobs, unsigned n);
uint64_t __real_gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n);
uint64_t __wrap_gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n);
uint64_t __real_gm_ccm_seal_same(struct gm_ccm_same *m, unsigned n);
uint64_t __wrap_gm_ccm_seal_same(struct gm_ccm_same *m, unsigned n);

uint64_t __wrap_gm_aead_seal_many(const struct gm_aead_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct gm_aead_info *info = gm_aead_info(jobs[i].alg);
		if (info)
			sim_model_sealed(jobs[i].key, info->key_len, jobs[i].nonce, info->nonce_len, jobs[i].aad, jobs[i].aad_len,
			                 jobs[i].text, jobs[i].text_len);
	}
	return __real_gm_aead_seal_many(jobs, n);
}

uint64_t __wrap_gm_ccm_seal(const struct gm_ccm_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sim_model_sealed(jobs[i].key, GM_CCM_KEY, jobs[i].nonce, GM_CCM_NONCE, jobs[i].aad, jobs[i].aad_len, jobs[i].text,
		                 jobs[i].text_len);
	return __real_gm_ccm_seal(jobs, n);
}

uint64_t __wrap_gm_ccm_seal_same(struct gm_ccm_same *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *aad = m->aad[i][0];
		sim_model_sealed(m->key[i], GM_CCM_KEY, m->nonce[i], GM_CCM_NONCE, aad + 2, (size_t)(aad[0] << 8 | aad[1]), m->text,
		                 m->text_len);
	}
	return __real_gm_ccm_seal_same(m, n);
}

bool __real_gm_oscore_window_fresh(const struct gm_oscore_window *w, uint64_t seq);
bool __wrap_gm_oscore_window_fresh(const struct gm_oscore_window *w, uint64_t seq);

bool __wrap_gm_oscore_window_fresh(const struct gm_oscore_window *w, uint64_t seq)
{
	return sim_broken == SIM_BREAK_WINDOW || __real_gm_oscore_window_fresh(w, seq);
}

static struct gm_port_ops port; /* the network in memory, whose host can die amid a burst */

static unsigned tx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	struct sim *s = sim_now;
	if (s->burst_left < 0)
		return gm_port_mem.tx_burst(p, d, n);
	unsigned go = n < (unsigned)s->burst_left ? n : (unsigned)s->burst_left;
	unsigned sent = go ? gm_port_mem.tx_burst(p, d, go) : 0;
	s->burst_left -= (int)sent;
	if (sent < go)
		return sent;
	gm_port_mem.tx_put(p, d + go, n - go);
	return n;
}

static unsigned rx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	unsigned got = gm_port_mem.rx_burst(p, d, n), good = 0;

	for (unsigned i = 0; i < got; i++) {
		if (sim_was_said(sim_now, (struct gm_bytes){d[i].data, d[i].len}))
			d[good++] = d[i];
		else
			gm_port_mem.rx_put(p, &d[i], 1);
	}
	return good;
}

/* ---- life and death of gmd */

static void stop(struct sim *s)
{
	struct gm_turns *t = &s->turns;
	struct gm_dp *dp = t->dp;

	s->burst_left = 0; /* nothing leaves any more */
	for (unsigned i = 0; dp && i < s->workers; i++)
		gm_worker_free(dp->worker[i]);
	if (dp)
		gm_dp_tables_free(dp);
	free(dp);
	if (t->core)
		gm_core_free(t->core);
	gm_turns_free(t);
	sim_store_closed(s);
	s->model.drained_at = 0;
	s->burst_left = -1;
	s->up = false;
}

static void crash(struct sim *s, uint64_t *counter, const char *where)
{
	++*counter;
	sim_say(s, "gmd dies %s", where);
	sim_operator_lost(s);
	stop(s);
	s->down_until_ms = sim_ms(s) + (sim_chance(&s->dice, 2000) ? sim_below(&s->dice, 60000) : sim_below(&s->dice, 1500));
}

static bool start_workers(struct sim *s)
{
	struct gm_dp *dp = calloc(1, sizeof *dp);

	s->dp_config.workers = s->workers;
	dp->config = s->dp_config;
	s->turns.dp = dp;
	if (!gm_dp_tables(dp))
		return false;
	for (unsigned i = 0; i < s->workers; i++) {
		struct worker *w = dp->worker[i] = gm_worker_new(dp, i);
		struct gm_port_config pc = {.listen_n = 1, .arg = s->net};
		pc.listen[0] = s->dp_config.listen[0];
		if (!w || w->ops->open(&w->port, &pc) != GM_E_OK)
			return false;
		gm_wheel_init(&w->wheel, 16384, sim_ms(s));
	}
	return true;
}

static void draw_store_fault(struct sim *s)
{
	s->store.fault = SIM_STORE_GOOD;
	if (!s->quiet && sim_chance(&s->dice, 25))
		s->store.fault = (enum sim_store_fault)(1 + sim_below(&s->dice, SIM_STORE_UNKNOWN_LOST));
}

/* As gmd.c: commit, then publish, until workers have taken all. false: gmd is dead */
static bool hand_down(struct sim *s)
{
	struct gm_turns *t = &s->turns;
	struct gm_txn txn;

	for (bool more = true; more;) {
		gm_turns_clocks(t);
		gm_turns_txn(t, &txn);
		more = gm_core_loaded(t->core, &txn);
		draw_store_fault(s);
		if (gm_turns_commit(t, 0) != GM_E_OK || (!s->quiet && sim_chance(&s->dice, 50))) {
			crash(s, &sim_counts.crash_at_start, "at its start");
			return false;
		}
		do {
			if (gm_turns_publish(t) != GM_E_OK)
				abort();
			for (unsigned i = 0; i < s->workers; i++)
				gm_worker_turn(t->dp->worker[i]);
		} while (t->stats.backlog_bytes);
	}
	return true;
}

static void start(struct sim *s)
{
	struct gm_turns *t = &s->turns;

	if (!s->quiet)
		s->workers = 1 + sim_below(&s->dice, 3);
	s->core_config.workers = s->workers;
	t->effects.workers = s->workers;
	t->turn = s->store.turn;
	t->store = s->store.lmdb;
	t->core = gm_core_new(&s->core_config);
	if (!start_workers(s) || sim_store_load(s) != GM_E_OK) {
		sim_fail(s, "gmd does not start from its store");
		return;
	}
	t->store = s->store.lmdb;
	s->up = true;
	if (sim_broken == SIM_BREAK_KIND)
		sim_inside_forget_kinds(t->core);
	if (!hand_down(s))
		return;
	sim_counts.restarts++;
	sim_say(s, "gmd serves, %u workers", s->workers);
	sim_model_committed(s);
}

/* ---- one turn of the core thread */

static bool committed(struct sim *s, unsigned events)
{
	if (!s->quiet && sim_chance(&s->dice, 8)) {
		crash(s, &sim_counts.crash_before_commit, "before a commit");
		return false;
	}
	draw_store_fault(s);
	if (gm_turns_commit(&s->turns, events) == GM_E_OK)
		return true;
	crash(s, &sim_counts.crash_before_commit, "as the store failed");
	return false;
}

static void core_turn(struct sim *s)
{
	struct gm_turns *t = &s->turns;

	sim_counts.turns++;
	gm_turns_clocks(t);
	unsigned n = gm_turns_gather(t);
	gm_turns_tick(t);
	sim_operator_turn(s);
	if (sim_broken == SIM_BREAK_EARLY && gm_turns_publish(t) == GM_E_OK && t->changes.count && sim_chance(&s->dice, 1000)) {
		for (unsigned i = 0; i < s->workers; i++)
			gm_worker_turn(t->dp->worker[i]);
		crash(s, &sim_counts.crash_before_commit, "between what it said and the commit");
		return;
	}
	bool changes = t->changes.count > 0;
	if (!committed(s, n))
		return;
	if (changes || s->command.what) {
		sim_operator_answered(s);
		sim_model_committed(s);
	}
	if (!s->quiet && changes && sim_chance(&s->dice, 40)) {
		crash(s, &sim_counts.crash_after_commit, "after a commit, before it says so");
		return;
	}
	bool torn = !s->quiet && changes && sim_chance(&s->dice, 40);
	unsigned usual = s->ring_faults;
	s->ring_faults = torn ? 5000 : usual;
	if (gm_turns_publish(t) != GM_E_OK)
		abort();
	s->ring_faults = usual;
	if (!torn)
		return;
	for (unsigned i = 0; i < s->workers; i++)
		gm_worker_turn(t->dp->worker[i]);
	crash(s, &sim_counts.crash_torn_turn, "amid telling its workers");
}

static void worker_turn(struct sim *s, unsigned i)
{
	bool dies = !s->quiet && sim_chance(&s->dice, 3);

	s->burst_left = dies ? (int)sim_below(&s->dice, 4) : -1;
	gm_worker_turn(s->turns.dp->worker[i]);
	if (dies)
		crash(s, &sim_counts.crash_mid_burst, "amid a burst");
	s->burst_left = -1;
}

/* ---- network and clocks */

static void net_phase(struct sim *s)
{
	static const uint32_t losses[] = {0, 0, 10000, 100000, 300000};
	struct gm_mem_faults f = {.delay_ns = 1000000};

	if (!s->quiet) {
		f.loss = losses[sim_below(&s->dice, 5)];
		f.dup = sim_chance(&s->dice, 5000) ? 100000 : 0;
		f.corrupt = sim_chance(&s->dice, 5000) ? 10000 : 0;
		f.late = sim_chance(&s->dice, 5000) ? 250000 : 0;
		f.late_ns = (1 + sim_below(&s->dice, 4000)) * 1000000ull;
		f.jitter_ns = sim_chance(&s->dice, 5000) ? 300000000u : 5000000u;
		f.tx_max = sim_chance(&s->dice, 2000) ? 1 + sim_below(&s->dice, 4) : 0;
		s->ring_faults = sim_chance(&s->dice, 2500) ? 100 : 0;
		sim_counts.net_phases++;
		sim_counts.lost += f.loss > 0;
		sim_counts.doubled += f.dup > 0;
		sim_counts.corrupted += f.corrupt > 0;
		sim_counts.overtaken += f.late > 0;
		sim_say(s, "network: loss %u, twice %u, damage %u, late %u in a million%s", f.loss, f.dup, f.corrupt, f.late,
		        s->ring_faults ? "; rings fill up" : "");
	} else {
		s->ring_faults = 0;
	}
	gm_mem_set_faults(s->net, &f);
}

static void time_jump(struct sim *s)
{
	bool back = sim_chance(&s->dice, 3000);
	int64_t by = 1 + sim_below(&s->dice, back ? 60 : 600);

	*(back ? &sim_counts.time_back : &sim_counts.time_forward) += 1;
	s->wall_shift_s += back ? -by : by;
	if (sim_wall_s(s) > s->wall_max_s)
		s->wall_max_s = sim_wall_s(s);
	sim_say(s, "the clock is set %s by %lld s", back ? "back" : "forward", (long long)by);
}

static void faults(struct sim *s)
{
	if (s->quiet)
		return;
	if (sim_chance(&s->dice, 40))
		net_phase(s);
	if (sim_chance(&s->dice, 15))
		time_jump(s);
	if (s->heard_n && sim_chance(&s->dice, 500))
		sim_replay(s);
	if (s->up && sim_chance(&s->dice, 6))
		crash(s, &sim_counts.crash_idle, "by SIGKILL");
}

/* ---- the clock goes to what comes next */

static void earlier(uint64_t *ms, uint64_t other)
{
	*ms = other < *ms ? other : *ms;
}

static bool waiting(const struct sim *s)
{
	const struct gm_turns *t = &s->turns;
	size_t len;

	if (t->stats.backlog_bytes)
		return true;
	for (unsigned i = 0; i < s->workers; i++) {
		struct worker *w = t->dp->worker[i];
		if (gm_ring_peek(w->up, &len) || gm_ring_peek(w->down, &len) || w->box.n)
			return true;
		for (unsigned k = 0; k < s->workers; k++)
			if (w->hop_in[k] && gm_ring_peek(w->hop_in[k], &len))
				return true;
	}
	return false;
}

static void advance(struct sim *s)
{
	uint64_t now = sim_ms(s), next = now + 1000;

	earlier(&next, sim_members_next_ms(s));
	earlier(&next, gm_mem_next(s->net) / 1000000);
	if (s->up && waiting(s))
		next = now;
	for (unsigned i = 0; s->up && i < s->workers; i++)
		earlier(&next, now + gm_worker_timeout_ns(s->turns.dp->worker[i]) / 1000000);
	if (s->up)
		earlier(&next, now + gm_core_next_ms(s->turns.core, now, sim_wall_s(s)));
	if (!s->up)
		earlier(&next, s->down_until_ms);
	gm_mem_step(s->net, (next > now ? next - now : 1) * 1000000u);
	if (sim_wall_s(s) > s->wall_max_s)
		s->wall_max_s = sim_wall_s(s);
}

static void step(struct sim *s)
{
	sim_counts.steps++;
	s->step_n++;
	faults(s);
	if (!s->up && sim_ms(s) >= s->down_until_ms)
		start(s);
	unsigned first = sim_below(&s->dice, s->workers + 2), n = s->workers + 2;
	for (unsigned k = 0; k < n && !s->fault[0]; k++) {
		unsigned who = (first + k) % n;
		if (!s->quiet && sim_chance(&s->dice, 1000))
			continue; /* not scheduled this time */
		if (who == n - 1)
			sim_members_turn(s);
		else if (s->up && who == n - 2)
			core_turn(s);
		else if (s->up && who < s->workers)
			worker_turn(s, who);
	}
	advance(s);
}

/* ---- what has to be so at the end */

/* What is left of all that passed; empty: what has to be. */
static void leftover(struct sim *s, char why[static GM_WHY])
{
	struct gm_core_status status;
	uint64_t contexts = 0, members = 0;

	why[0] = 0;
	gm_core_status(s->turns.core, &status);
	for (unsigned i = 0; i < s->workers && !why[0]; i++) {
		const struct worker *w = s->turns.dp->worker[i];
		contexts += w->stats.contexts;
		members += w->members.used;
		if (w->xchs.used || w->outs.used || w->stats.contexts_pending || w->uploads || w->bodies || w->walks ||
		    w->wheel.timers.used)
			snprintf(why, GM_WHY, "worker %u has %u exchanges, %u messages, %llu pending, %u uploads, %zu bytes, %u walks, %u timers", i,
			         w->xchs.used, w->outs.used, (unsigned long long)w->stats.contexts_pending, w->uploads, w->bodies, w->walks,
			         w->wheel.timers.used);
	}
	if (!why[0] && (contexts != status.contexts || members != status.members))
		snprintf(why, GM_WHY, "workers have %llu contexts and %llu members, core has %u and %u", (unsigned long long)contexts,
		         (unsigned long long)members, status.contexts, status.members);
}

static void activate(struct sim *s)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE), .active = true};
	const char *why;
	struct gm_txn txn;

	for (unsigned i = 0; i < s->model.groups; i++) {
		struct sim_config to = s->model.group[i].config;
		if (s->model.group[i].state != SIM_IN)
			continue;
		to.active = true;
		sim_group_asked(s, (uint16_t)i, &to, sim_ms(s));
		gm_turns_txn(&s->turns, &txn);
		if (gm_core_group_set(s->turns.core, &txn, s->model.group[i].name, &map, &why) != GM_E_OK)
			sim_fail(s, "group %s is not made active: %s", s->model.group[i].name, why);
	}
}

/* Faults have stopped. */
static void settle(struct sim *s)
{
	char why[GM_WHY] = "nothing happened";

	sim_say(s, "no more faults");
	s->quiet = true;
	net_phase(s);
	s->down_until_ms = sim_ms(s);
	while (!s->up && !s->fault[0])
		start(s);
	gm_core_drain(s->turns.core, false);
	s->model.drained_at = 0;
	sim_admins_rest(s);
	for (uint64_t rest = sim_ms(s) + REST_S * 1000; !s->fault[0] && sim_ms(s) < rest;)
		step(s);
	if (s->fault[0])
		return;
	gm_turns_clocks(&s->turns);
	activate(s);
	sim_members_quiet(s);
	uint64_t until = sim_ms(s) + QUIET_MAX_S * 1000;
	while (!s->fault[0] && sim_ms(s) < until && !sim_members_settled(s, why))
		step(s);
	if (!s->fault[0] && !sim_members_settled(s, why))
		sim_fail(s, "%u s after the last fault %s", QUIET_MAX_S, why);
	sim_members_talk(s);
}

static void drain(struct sim *s)
{
	for (unsigned i = 0; i < s->members_n; i++) { /* administrators rest already */
		gm_member_abort(&s->env, &s->member[i].m);
		s->member[i].next_ms = UINT64_MAX;
	}
	uint64_t until = sim_ms(s) + DRAIN_S * 1000;
	char why[GM_WHY] = "something";
	while (!s->fault[0] && why[0] && sim_ms(s) < until) { /* rekeys by schedule go on, so it is empty now and then */
		step(s);
		leftover(s, why);
	}
	if (!s->fault[0] && why[0])
		sim_fail(s, "%u s after the last request %s", DRAIN_S, why);
}

/* ---- a run */

static void configure(struct sim *s)
{
	s->core_config = (struct gm_core_config){
	    .contexts_max = 1024,
	    .members_max = 1024,
	    .groups_max = SIM_GROUPS,
	    .pending_per_token = 4,
	    .pending_s = 60,
	    .rekey_window_ms = 1000,
	    .rekey_deadline_ms = 5000,
	    .distribution_max_ms = 30000,
	    .changes_per_minute = sim_chance(&s->dice, 2000) ? 20 : 0,
	    .rekey_at_start = sim_chance(&s->dice, 2000),
	    .audience = "gm.test",
	    .log = s->verbose ? log_line : NULL,
	};
	port = gm_port_mem;
	port.tx_burst = tx_burst;
	port.rx_burst = rx_burst;
	s->dp_config = (struct gm_dp_config){
	    .port = &port,
	    .listen_n = 1,
	    .contexts_max = 1024,
	    .pace = sim_chance(&s->dice, 2000) ? 20 : 0,
	    .ack_timeout_ms = 2000,
	    .retransmit_max = 4,
	    .no_lease = sim_broken == SIM_BREAK_LEASE,
	};
	gm_addr_parse(&s->dp_config.listen[0], "127.0.0.1:5683");
}

static bool take_id(void *arg, const struct gm_as_info *info)
{
	*(uint32_t *)arg = info->id;
	return false;
}

static bool first_records(struct sim *s)
{
	struct gm_txn txn;
	struct gm_as_spec as = {.name = "as"};
	uint16_t group;

	sim_as_spec(s, &as);
	gm_turns_clocks(&s->turns);
	gm_turns_txn(&s->turns, &txn);
	if (gm_core_as_add(s->turns.core, &txn, &as) != GM_E_OK)
		return false;
	gm_core_ases(s->turns.core, take_id, &s->as.id);
	for (unsigned n = 1 + sim_below(&s->dice, 2); n; n--) {
		if (sim_group_create(s, &group) != GM_E_OK)
			return false;
		s->model.group[group].state = SIM_IN;
	}
	s->store.fault = SIM_STORE_GOOD;
	return gm_turns_commit(&s->turns, 0) == GM_E_OK && gm_turns_publish(&s->turns) == GM_E_OK;
}

static bool begin(struct sim *s)
{
	struct gm_mem_config mc = {.seed = sim_mix(s->seed, 3), .tap = sim_tap, .tap_arg = s};
	bool lmdb = s->lmdb;

	sim_dice_begin(s);
	s->burst_left = -1;
	s->net = gm_mem_net_new(&mc);
	configure(s);
	s->wall_max_s = sim_wall_s(s);
	for (unsigned i = 0; i < SIM_SCHEDULES; i++)
		s->model.schedule[i].state = SIM_GONE;
	s->quiet = true; /* the first start is without faults */
	s->workers = 1 + sim_below(&s->dice, 3);
	if (!sim_store_new(s, lmdb) || gm_askey_generate(&s->as_key, "AES-CCM-16-64-128", "as.test", "gm.test") != GM_E_OK)
		return false;
	start(s);
	s->quiet = false;
	return !s->fault[0] && first_records(s) && sim_members_new(s);
}

void sim_run(struct sim *s)
{
	if (!begin(s))
		sim_fail(s, "the run does not begin");
	net_phase(s);
	while (!s->fault[0] && s->step_n < s->steps)
		step(s);
	if (!s->fault[0])
		settle(s);
	if (!s->fault[0])
		drain(s);
	if (s->turns.dp)
		stop(s);
	sim_members_free(s);
	sim_as_free(s);
	sim_store_free(s);
	sim_model_free(s);
	gm_mem_net_free(s->net);
	s->net = NULL;
	sim_now = NULL;
}
