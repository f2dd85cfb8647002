/* SPDX-License-Identifier: Apache-2.0 */
/* What a second worker brings: the same prepared load for one worker and for two, each on a processor of its own, in turns.
 * No network, no core, no store while the clock runs. One line of JSON per question. */
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/order.h"
#include "gm/crypto.h"
#include "scaling/parts.h"

#define ROUNDS_MAX 64u
#define PATIENCE_MS 30000
#define CALIBRATE_NS 100000000u

enum what { READ, WALK, CONFIRM, WHATS };
static const char *const names[WHATS] = {"read-keys", NULL, "rekey-confirm"}; /* a walk waits for answers: it is not timed */

static const struct setting { /* the first is what the others are compared with */
	unsigned workers;
	double share; /* of what comes to the other worker than the one that has the member */
} settings[] = {{1, 0}, {2, 0}, {2, 0.5}};
#define SETTINGS 3u

struct sample {
	double per_s, per_cpu_s; /* per_cpu_s: as if nobody else had had the processors */
	uint64_t done, dropped, hops, rx;
	double busy; /* share of the time that the workers had their processors, the worst */
};

struct bench {
	struct plan plan;
	unsigned rounds, each, cpu[2];
	struct site site[2]; /* with one worker, with two */
	struct load load;
	struct sample at[WHATS][SETTINGS][ROUNDS_MAX];
	double machine; /* what two processors do of what has nothing to do with us, one: 1 */
};

/* ---- one measurement */

struct counts {
	uint64_t done, dropped, hops, rx;
	double cpu[SITES_WORKERS];
};

static double thread_cpu_s(pthread_t thread)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct counts look(const struct site *s, enum what what)
{
	struct counts c = {0};

	for (unsigned w = 0; w < s->workers; w++) {
		const struct gm_worker_stats *st = gm_dp_stats(s->turns.dp, w);
		c.done += what == READ ? st->reads_local : what == WALK ? st->rekey_sent : st->rekey_confirmed;
		c.dropped += st->hop_drop;
		c.hops += st->rx_hop;
		c.rx += st->rx;
		c.cpu[w] = thread_cpu_s(s->turns.dp->worker[w]->thread);
	}
	return c;
}

static bool all_idle(const struct site *s)
{
	for (unsigned w = 0; w < s->workers; w++)
		if (!atomic_load(&s->lane[w].idle) || s->lane[w].next < s->lane[w].n)
			return false;
	return true;
}

/* Sleeps until the workers have done n more than before, or given some up. */
static bool await(const struct site *s, enum what what, uint64_t before, uint64_t n)
{
	uint64_t end = bench_now_ns() + PATIENCE_MS * UINT64_C(1000000), told;

	for (;;) {
		struct counts c = look(s, what);
		if (all_idle(s) && c.done + c.dropped >= before + n)
			return true;
		struct pollfd fd = {.fd = s->tell, .events = POLLIN};
		if (bench_now_ns() > end) {
			fprintf(stderr, "scaling: %s: %llu of %llu\n", names[what] ? names[what] : "rekey",
			        (unsigned long long)(c.done + c.dropped - before), (unsigned long long)n);
			return false;
		}
		if (poll(&fd, 1, 1000) > 0 && read(s->tell, &told, sizeof(told)) < 0)
			return false;
	}
}

static void hand_over(struct site *s, const struct load *l)
{
	for (unsigned w = 0; w < s->workers; w++) {
		s->lane[w].n = 0;
		s->lane[w].next = 0;
		s->lane[w].shots = l->at[w];
	}
	for (unsigned w = 0; w < s->workers; w++)
		s->lane[w].n = l->n[w];
	for (unsigned w = 0; w < s->workers; w++)
		s->turns.dp->worker[w]->ops->wake(s->turns.dp->worker[w]->port);
}

static struct sample sample_of(const struct site *s, const struct counts *from, const struct counts *to, uint64_t start)
{
	struct sample x = {.done = to->done - from->done, .dropped = to->dropped - from->dropped, .hops = to->hops - from->hops,
	                   .rx = to->rx - from->rx, .busy = 1};
	double last = 0, cpu = 0;

	for (unsigned w = 0; w < s->workers; w++) {
		double took = (double)(s->lane[w].idle_ns - start) / 1e9, used = to->cpu[w] - from->cpu[w];
		last = took > last ? took : last;
		cpu = used > cpu ? used : cpu;
		x.busy = used / took < x.busy ? used / took : x.busy;
	}
	x.per_s = (double)x.done / last;
	x.per_cpu_s = (double)x.done / cpu;
	return x;
}

static bool measure(struct site *s, const struct load *l, enum what what, uint64_t n, struct sample *x)
{
	struct counts from = look(s, what);
	uint64_t start = bench_now_ns();
	bool ok = true;

	if (what == WALK)
		ok = bench_rekey(s);
	else
		hand_over(s, l);
	ok = ok && await(s, what, from.dropped + from.done, n);
	struct counts to = look(s, what);
	*x = sample_of(s, &from, &to, start);
	return ok && x->done > 0;
}

static void catch_it(struct site *s, bool yes)
{
	for (unsigned w = 0; w < s->workers; w++) {
		if (yes)
			s->lane[w].caught_n = 0;
		s->lane[w].catches = yes;
	}
}

static bool pin(struct bench *b, struct site *s, unsigned round)
{
	for (unsigned w = 0; w < s->workers; w++)
		if (!bench_pin(s, w, b->cpu[(w + round) % 2]))
			return false;
	return true;
}

static bool run_setting(struct bench *b, unsigned i, unsigned round)
{
	struct site *s = &b->site[settings[i].workers - 1];
	uint32_t members = b->plan.members;
	double share = settings[i].share;

	if (!pin(b, s, round) || !bench_reads(&b->load, s, members, b->each, share) ||
	    !measure(s, &b->load, READ, (uint64_t)members * b->each, &b->at[READ][i][round]))
		return false;
	catch_it(s, true);
	bool ok = measure(s, NULL, WALK, members, &b->at[WALK][i][round]);
	catch_it(s, false);
	ok = ok && bench_confirmations(&b->load, s, members, share) &&
	     measure(s, &b->load, CONFIRM, members, &b->at[CONFIRM][i][round]);
	bench_settle(s);
	return ok;
}

/* ---- what the machine itself has to give */

struct calibration {
	unsigned cpu;
	_Atomic bool *go, *stop;
	uint64_t n;
};

static void *calibrate(void *arg)
{
	struct calibration *c = arg;
	uint8_t bytes[1024] = {1}, out[GM_SHA256];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(c->cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	while (!atomic_load(c->go))
		;
	for (; !atomic_load_explicit(c->stop, memory_order_relaxed); c->n++) {
		gm_sha256(out, bytes, sizeof(bytes));
		memcpy(bytes, out, sizeof(out));
	}
	return NULL;
}

static double hashes(const struct bench *b, unsigned threads)
{
	_Atomic bool go = false, stop = false;
	const struct timespec span = {.tv_nsec = CALIBRATE_NS};
	struct calibration c[2];
	pthread_t t[2];
	unsigned n = 0;
	double sum = 0;

	for (; n < threads; n++) {
		c[n] = (struct calibration){.cpu = b->cpu[n], .go = &go, .stop = &stop};
		if (pthread_create(&t[n], NULL, calibrate, &c[n]) != 0)
			break;
	}
	atomic_store(&go, true);
	nanosleep(&span, NULL);
	atomic_store(&stop, true);
	while (n-- > 0) {
		pthread_join(t[n], NULL);
		sum += (double)c[n].n;
	}
	return sum;
}

/* ---- what comes of it */

static double middle(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_double);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void print_row(struct bench *b, enum what what, unsigned i)
{
	double one[ROUNDS_MAX], two[ROUNDS_MAX], ratio[ROUNDS_MAX], cpu_ratio[ROUNDS_MAX], busy = 1;
	uint64_t dropped = 0, hops = 0, rx = 0;

	for (unsigned r = 0; r < b->rounds; r++) {
		const struct sample *x = &b->at[what][0][r], *y = &b->at[what][i][r];
		one[r] = x->per_s;
		two[r] = y->per_s;
		ratio[r] = y->per_s / x->per_s;
		cpu_ratio[r] = y->per_cpu_s / x->per_cpu_s;
		busy = x->busy < busy ? x->busy : busy;
		busy = y->busy < busy ? y->busy : busy;
		dropped += y->dropped;
		hops += y->hops;
		rx += y->rx;
	}
	double per_1 = middle(one, b->rounds), per_2 = middle(two, b->rounds), mid = middle(ratio, b->rounds),
	       cpu_mid = middle(cpu_ratio, b->rounds), share = rx ? (double)hops / (double)rx : 0;
	printf("{\"bench\":\"scaling\",\"what\":\"%s\",\"workers\":[1,%u],\"hops\":%.3f,\"members\":%u,\"ops\":%llu,"
	       "\"ops_per_s\":[%.0f,%.0f],\"ratio\":%.3f,\"ratio_min\":%.3f,\"ratio_max\":%.3f,\"cpu_ratio\":%.3f,\"machine\":%.3f,"
	       "\"busy\":%.3f,\"dropped\":%llu,\"rounds\":%u,\"void\":[%s%s%s]}\n",
	       names[what], settings[i].workers, share, b->plan.members, (unsigned long long)b->at[what][i][0].done, per_1, per_2, mid,
	       ratio[0], ratio[b->rounds - 1], cpu_mid, b->machine, busy, (unsigned long long)dropped, b->rounds,
	       busy < 0.95 ? "\"others had the processors\"" : "", busy < 0.95 && b->machine < 1.9 ? "," : "",
	       b->machine < 1.9 ? "\"the processors are not two\"" : "");
	fprintf(stderr, "%-14s %4.0f %% %12.0f %12.0f %7.2f  %.2f..%.2f %9.2f %8.2f\n", names[what], 100 * share, per_1, per_2, mid,
	        ratio[0], ratio[b->rounds - 1], cpu_mid, busy);
}

static void print(struct bench *b)
{
	fprintf(stderr, "%-14s %6s %12s %12s %7s  %-10s %9s %8s\n", "", "hops", "1 worker/s", "2 workers/s", "ratio", "min..max",
	        "by CPU", "busy");
	for (enum what what = 0; what < WHATS; what++)
		for (unsigned i = 1; i < SETTINGS; i++)
			if (names[what])
				print_row(b, what, i);
	fprintf(stderr, "two processors do %.2f times what one does of what has nothing to do with gmd\n", b->machine);
}

/* ---- the run */

static bool two_cpus(struct bench *b)
{
	unsigned n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return false;
	for (unsigned i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			b->cpu[n++] = i;
	if (n < 2)
		fputs("scaling: there is one processor only\n", stderr);
	return n == 2;
}

static void remove_dir(const struct plan *p)
{
	static const char *const files[] = {"state/data.mdb", "state/lock.mdb", "state/lock", "state/witness", "state", "store.key"};
	char path[BENCH_PATH];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, files[i]);
		remove(path);
	}
	remove(p->dir);
}

static bool open_sites(struct bench *b)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(b->plan.dir, sizeof(b->plan.dir), "%s/gmd-scaling.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(b->plan.dir)) {
		perror(b->plan.dir);
		return false;
	}
	bool ok = bench_fill(&b->plan) && bench_site_open(&b->site[0], &b->plan, 1) && bench_site_open(&b->site[1], &b->plan, 2);
	remove_dir(&b->plan);
	return ok && bench_load_new(&b->load, b->plan.members * (b->each > 1 ? b->each : 1));
}

static bool run(struct bench *b)
{
	double one = 0, two = 0, n;

	for (unsigned r = 0; r < b->rounds; r++) { /* the best of each: others have the processors, too, now and then */
		one = (n = hashes(b, 1)) > one ? n : one;
		two = (n = hashes(b, 2)) > two ? n : two;
	}
	b->machine = two / one;
	for (unsigned r = 0; r < b->rounds; r++)
		for (unsigned i = 0; i < SETTINGS; i++)
			if (!run_setting(b, (i + r) % SETTINGS, r))
				return false;
	return true;
}

/* What was refused was not what was to be measured. */
static uint64_t refused(const struct bench *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned w = 0; w < b->site[i].workers; w++)
			n += b->site[i].lane[w].refused;
	return n;
}

static const char help[] =
	"usage: bench_scaling [--members N] [--rounds R] [--each E]\n"
	"\n"
	"One worker and two, in turns, R rounds (5), over the same prepared load: E reads of the group's keys (4) by each of N\n"
	"members (65,536), and the confirmations of a rekey; with two workers once with all datagrams at the worker that has the\n"
	"member, once with half of them at the other. One line of JSON for each.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {{"members", required_argument, NULL, 'm'}, {"rounds", required_argument, NULL, 'r'},
	                                        {"each", required_argument, NULL, 'e'},    {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	static struct bench b;
	long members = 65536, rounds = 5, each = 4;

	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c == 'm')
			members = atol(optarg);
		else if (c == 'r')
			rounds = atol(optarg);
		else if (c == 'e')
			each = atol(optarg);
		else
			return fputs(help, c == 'h' ? stdout : stderr) < 0 || c != 'h' ? 2 : 0;
	}
	if (members < 1 || members > 65536 || rounds < 1 || rounds > ROUNDS_MAX || each < 1 || each > 64)
		return fputs(help, stderr) < 0 ? 1 : 2;
	b.plan = (struct plan){.members = (uint32_t)members, .groups = 1, .workers = 1};
	b.rounds = (unsigned)rounds;
	b.each = (unsigned)each;
	if (!gm_crypto_init() || !two_cpus(&b) || !open_sites(&b) || !run(&b))
		return 1;
	print(&b);
	bench_site_close(&b.site[0]);
	bench_site_close(&b.site[1]);
	bench_load_free(&b.load);
	if (refused(&b))
		fprintf(stderr, "scaling: %llu answers were errors\n", (unsigned long long)refused(&b));
	return refused(&b) != 0;
}
