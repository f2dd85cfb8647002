/* SPDX-License-Identifier: Apache-2.0 */
/* What the batches of crypto/ do in a second, next to the libraries one at a time.
 *
 * Every way of a row runs once in every round, after the baseline; a ratio is made of two slices of the same round, and
 * the row's is the median of its rounds. So load that comes and goes hits both alike. One JSON object a line on stdout,
 * a table for people on stderr.
 *
 *	bench_crypto [--quick] [BENCH...]
 */
#include "bench/order.h"
#include "bench/crypto/rows.h"
#include "cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct row *const tables[] = {
    bench_ccm_rows,
    bench_oscore_rows,
    bench_hkdf_rows,
    bench_curve25519_rows,
    bench_ed25519_batch_rows,
};

static const struct goal goals[] = {
    {"ccm_seal", 64, 25, GM_CPU_AES | GM_CPU_AVX512 | GM_CPU_VAES, "AVX-512 and VAES"},
    {"ccm_open", 64, 25, GM_CPU_AES | GM_CPU_AVX512 | GM_CPU_VAES, "AVX-512 and VAES"},
    {"oscore_rekey", 64, 18, GM_CPU_AES | GM_CPU_AVX512 | GM_CPU_VAES, "AVX-512 and VAES"},
    {"hkdf_context", 64, 16, GM_CPU_AVX512, "AVX-512"},
    {"ed25519_verify", 16, 8, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_verify", 64, 8.5, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_verify_batch", 64, 13, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_verify_batch", 256, 18, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_verify_batch", 1024, 24, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_verify_batch_cached", 1024, 28, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_sign", 64, 13, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"ed25519_keygen", 64, 14, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
    {"x25519", 64, 5.5, GM_CPU_AVX512 | GM_CPU_IFMA, "AVX-512 IFMA"},
};

#define WAYS_MAX 8u
#define ROUNDS_MAX 31u
#define CHAIN 200000u

struct plan {
	unsigned rounds;
	double slice_ns; /* of one way in one round */
};

static const struct plan thorough = {21, 4e6}, quick = {15, 2e6};

_Noreturn void bench_wrong(const char *what)
{
	fprintf(stderr, "wrong result: %s\n", what);
	exit(1);
}

/* Of this thread: what the core does for others meanwhile does not count. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Cycles in a nanosecond, by additions that wait for each other: the time-stamp counter has another rate. */
static double clock_rate(void)
{
	static double best; /* of the whole run: whatever disturbs only makes it slower */

	for (unsigned i = 0; i < 10; i++) {
		uint64_t x = i;
		double begun = now_ns();

		for (unsigned k = 0; k < CHAIN; k++) {
			x += k;
			__asm__ volatile("" : "+r"(x));
		}
		double rate = CHAIN / (now_ns() - begun);
		best = rate > best ? rate : best;
	}
	return best;
}

/* ---- one row */

struct series {
	const struct way *way;
	unsigned calls; /* in a slice */
	double ns[ROUNDS_MAX], ratio[ROUNDS_MAX];
};

static double time_calls(const struct way *way, void *work, unsigned calls)
{
	double begun = now_ns();

	for (unsigned i = 0; i < calls; i++)
		way->run(work, way->arg);
	return now_ns() - begun;
}

static void calibrate(struct series *s, void *work, double slice_ns)
{
	double once;

	s->way->run(work, s->way->arg);
	for (s->calls = 1; (once = time_calls(s->way, work, s->calls)) < slice_ns / 4; s->calls *= 2)
		;
	s->calls = (unsigned)(s->calls * slice_ns / once) + 1;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_double);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void print(const struct row *row, struct series *s, struct series *base, const struct plan *plan, double rate)
{
	double ns = median(s->ns, plan->rounds) / row->n, ratio = median(s->ratio, plan->rounds);

	printf(
	    "{\"bench\":\"%s\",\"variant\":\"%s\",\"n\":%u,\"size\":%zu,\"ops_per_s\":%.0f,\"cycles\":%.0f,"
	    "\"baseline\":\"%s\",\"baseline_ops_per_s\":%.0f,\"ratio\":%.2f,\"ratio_min\":%.2f,\"ratio_max\":%.2f}\n",
	    row->bench, s->way->name, row->n, row->size, 1e9 / ns, ns * rate, row->base.name,
	    1e9 * row->n / median(base->ns, plan->rounds), ratio, s->ratio[0], s->ratio[plan->rounds - 1]);
	fflush(stdout);
	fprintf(stderr, "%-28s %-16s %5u %6zu %12.0f %10.0f %8.2f  %.2f..%.2f\n", row->bench, s->way->name, row->n,
	        row->size, 1e9 / ns, ns * rate, ratio, s->ratio[0], s->ratio[plan->rounds - 1]);
}

/* false: no memory */
static bool measure(const struct row *row, const struct plan *plan)
{
	struct series series[1 + WAYS_MAX] = {{.way = &row->base}};
	void *work = row->make(row);
	unsigned n = 1;

	if (!work)
		return false;
	for (const struct way *way = row->ways; way->name && n <= WAYS_MAX; way++)
		if (!way->usable || way->usable())
			series[n++].way = way;
	for (unsigned i = 0; i < n; i++)
		calibrate(&series[i], work, plan->slice_ns);
	double rate = clock_rate();
	for (unsigned round = 0; round < plan->rounds; round++)
		for (unsigned i = 0; i < n; i++) {
			struct series *s = &series[i];

			s->ns[round] = time_calls(s->way, work, s->calls) / s->calls;
			s->ratio[round] = series[0].ns[round] / s->ns[round];
		}
	for (unsigned i = 0; i < n; i++)
		print(row, &series[i], &series[0], plan, rate);
	free(work);
	return true;
}

/* ---- all of them */

static void name_cpu(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256], name[200] = "unknown processor";

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "model name : %199[^\n]", name) == 1)
			break;
	if (f)
		fclose(f);
	fprintf(stderr, "%s, %.2f GHz, one core; ratios are to the first line of each primitive\n", name, clock_rate());
	fprintf(stderr, "%-28s %-16s %5s %6s %12s %10s %8s  %s\n", "primitive", "variant", "n", "bytes", "per second",
	        "cycles", "ratio", "min..max");
}

static void name_goals(void)
{
	for (unsigned i = 0; i < BENCH_COUNT(goals); i++)
		if (!gm_cpu_has(goals[i].needs))
			fprintf(stderr, "not to be shown here: %s, n = %u, %g times the library needs %s\n",
			        goals[i].bench, goals[i].n, goals[i].ratio, goals[i].named);
}

static bool wanted(const struct row *row, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], row->bench) == 0)
			return true;
	return n == 0;
}

/* One core for the whole run: another one may run at another rate. */
static void stay_here(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	if (cpu >= 0) {
		CPU_SET((unsigned)cpu, &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
}

int main(int argc, char **argv)
{
	bool hurry = argc > 1 && strcmp(argv[1], "--quick") == 0;
	const struct plan *plan = hurry ? &quick : &thorough;

	argv += 1 + hurry;
	argc -= 1 + hurry;
	if (argc > 0 && argv[0][0] == '-') {
		fprintf(stderr, "usage: bench_crypto [--quick] [BENCH...]\n");
		return 2;
	}
	if (!gm_crypto_init())
		bench_wrong("the crypto libraries do not start");
	stay_here();
	name_cpu();
	for (unsigned t = 0; t < BENCH_COUNT(tables); t++)
		for (const struct row *row = tables[t]; row->bench; row++)
			if ((!hurry || row->quick) && wanted(row, argc, argv) && !measure(row, plan))
				bench_wrong("no memory");
	name_goals();
	return 0;
}
