/* SPDX-License-Identifier: Apache-2.0 */
/* What a membership costs in memory, and how long a start takes: a store is filled, a real gmd is started on it, its pages
 * are counted, and one of the members asks it over loopback. */
#include <getopt.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "memory/parts.h"

struct measured {
	struct pages pages;
	double ready_s, cpu_s;
	json_t *parts, *start; /* rows of `gmctl status` */
	bool asked;
	struct pages flying, after; /* while a rekey of all waits to be confirmed; when none of it is left */
};

static void remove_dir(const struct plan *p)
{
	static const char *const files[] = {"state/data.mdb", "state/lock.mdb", "state/lock", "state/witness", "state", "store.key",
	                                    "gmd.conf", "gmd.sock"};
	char path[BENCH_PATH];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, files[i]);
		remove(path);
	}
	remove(p->dir);
}

/* The first row of that kind in its status; NULL: none. */
static json_t *status_row(const struct plan *p, const char *kind)
{
	char command[3 * BENCH_PATH], line[4096];
	json_t *row = NULL;

	snprintf(command, sizeof(command), "%s/gmctl --socket %s/gmd.sock --json status", p->programs, p->dir);
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f)) {
		json_t *one = json_loads(line, 0, NULL);
		const char *what = json_string_value(json_object_get(one, "what"));
		if (what && strcmp(what, kind) == 0 && !row)
			row = json_incref(one);
		json_decref(one);
	}
	if (f)
		pclose(f);
	return row;
}

/* ---- a rekey of all, which nobody confirms */

static bool gmctl(const struct plan *p, const char *words)
{
	char command[4 * BENCH_PATH];

	snprintf(command, sizeof(command), "%s/gmctl --socket %s/gmd.sock %s >/dev/null", p->programs, p->dir, words);
	return system(command) == 0;
}

static uint64_t in_flight(const struct plan *p)
{
	char command[3 * BENCH_PATH], line[4096];
	uint64_t n = 0;

	snprintf(command, sizeof(command), "%s/gmctl --socket %s/gmd.sock --json status", p->programs, p->dir);
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f)) {
		json_t *row = json_loads(line, 0, NULL), *worker = json_object_get(row, "worker");
		if (worker)
			n += (uint64_t)json_integer_value(json_object_get(row, "inflight"));
		json_decref(row);
	}
	if (f)
		pclose(f);
	return n;
}

static bool await_in_flight(const struct plan *p, uint64_t n, unsigned ms)
{
	const struct timespec moment = {.tv_nsec = 50000000};

	for (unsigned waited = 0; in_flight(p) != n; waited += 50) {
		if (waited >= ms) {
			fprintf(stderr, "memory: %llu messages in flight, not %llu\n", (unsigned long long)in_flight(p),
			        (unsigned long long)n);
			return false;
		}
		nanosleep(&moment, NULL);
	}
	return true;
}

static bool fly(const struct plan *p, const struct daemon *d, struct measured *m)
{
	char words[64];
	bool ok = true;

	for (uint32_t g = 0; ok && g < p->groups; g++) {
		snprintf(words, sizeof(words), "rekey g%u --compromised", g);
		ok = gmctl(p, words);
	}
	return ok && await_in_flight(p, p->members, bench_patience_ms(p)) && bench_pages(d, &m->flying);
}

/* They are given up, and the worker rests ten seconds more. */
static bool land(const struct plan *p, const struct daemon *d, struct measured *m)
{
	if (!await_in_flight(p, 0, 2 * bench_patience_ms(p)))
		return false;
	for (unsigned s = 0; s < 20; s++) {
		sleep(1);
		if (!bench_pages(d, &m->after))
			return false;
		if (m->after.anonymous + m->after.shared <= m->pages.anonymous + m->pages.shared)
			break;
	}
	return true;
}

static bool measure_in(const struct plan *p, struct measured *m)
{
	struct known known;
	struct daemon d;

	if (!bench_fill(p) || (p->members && !bench_known(p, p->members / 2, &known)) || !bench_start(p, &d))
		return false;
	m->ready_s = d.ready_s;
	m->cpu_s = d.cpu_s;
	bool ok = bench_pages(&d, &m->pages);
	m->parts = status_row(p, "memory");
	m->start = status_row(p, "daemon");
	m->asked = !p->members || bench_ask(&d.addr, &known);
	m->flying = m->pages;
	ok = ok && (!p->members || fly(p, &d, m));
	ok = ok && (!p->members || !p->land || land(p, &d, m));
	return bench_stop(&d) && ok && m->asked;
}

static bool measure(const struct plan *base, uint32_t members, struct measured *m)
{
	struct plan p = *base;
	const char *tmp = getenv("TMPDIR");

	*m = (struct measured){0};
	p.members = members;
	p.groups = base->groups && members ? base->groups : (members + 65535) / 65536;
	snprintf(p.dir, sizeof(p.dir), "%s/gmd-memory.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(p.dir)) {
		perror(p.dir);
		return false;
	}
	bool ok = measure_in(&p, m);
	remove_dir(&p);
	return ok;
}

static uint64_t counted(const struct pages *pages)
{
	return pages->anonymous + pages->shared;
}

static void put_parts(json_t *out, const struct measured *m, uint32_t members)
{
	const char *key;
	json_t *value;

	json_object_foreach(m->parts, key, value)
		if (json_is_integer(value) && members && (strncmp(key, "core_", 5) == 0 || strncmp(key, "worker_", 7) == 0))
			json_object_set_new(out, key, json_real((double)json_integer_value(value) / members));
}

static void put_start(json_t *out, const struct measured *m)
{
	const char *key;
	json_t *value;

	json_object_foreach(m->start, key, value)
		if (strncmp(key, "start_", 6) == 0)
			json_object_set(out, key, value);
}

struct each { /* bytes for one more member: at rest, while a rekey waits to be confirmed */
	double rest, flying;
};

static void print(const struct plan *p, uint32_t members, const struct measured *m, const struct each *each)
{
	json_t *parts = json_object();
	double per = (double)counted(&m->pages) / members, flying = (double)counted(&m->flying) / members,
	       after = (double)counted(&m->after) / members;

	put_parts(parts, m, members);
	put_start(parts, m);
	json_t *o = json_pack("{ss si si sI sI sI sI sf sf sf sf sf sf sf sb so}", "bench", "memory", "members", (int)members,
	                      "workers", (int)p->workers, "anonymous", (json_int_t)m->pages.anonymous, "shared",
	                      (json_int_t)m->pages.shared, "program", (json_int_t)m->pages.program, "lmdb_mapping",
	                      (json_int_t)m->pages.store, "rss_per_member", per, "marginal_per_member", each->rest, "in_flight_per_member", flying,
	                      "in_flight_marginal", each->flying, "after_per_member", after, "start_seconds", m->ready_s,
	                      "start_cpu_seconds", m->cpu_s, "asked", (int)m->asked, "parts", parts);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(o);
	fprintf(stderr, "%u members: %.0f bytes each, %.0f for one more; ready after %.2f s, %.2f s of processor time\n", members, per,
	        each->rest, m->ready_s, m->cpu_s);
	fprintf(stderr, "while a rekey waits to be confirmed by all: %.0f, %.0f for one more%s", flying, each->flying,
	        p->land ? "" : "\n");
	if (p->land)
		fprintf(stderr, "; when nothing is left of it: %.0f\n", after);
}

static const char help[] =
	"usage: bench_memory [--members N] [--groups G] [--workers W] [--from N] [--most BYTES]\n"
	"\n"
	"Fills a store with N members (65,536), one token, context and membership each, in G groups (of up to 65,536), starts\n"
	"the gmd beside this program on it and counts its pages; once more while a rekey of all waits to be confirmed, and when\n"
	"all of it was given up. One line of JSON.\n"
	"\n"
	"  --from N       what a member costs is measured from so many members on: 0\n"
	"  --most BYTES   fail where a member costs more than that, also while a rekey waits; do not wait for that one's end\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {{"members", required_argument, NULL, 'm'}, {"groups", required_argument, NULL, 'g'},
	                                        {"workers", required_argument, NULL, 'w'}, {"most", required_argument, NULL, 'b'},
	                                        {"from", required_argument, NULL, 'f'},
	                                        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
	char self[BENCH_PATH] = "";
	long members = 65536, groups = 0, workers = 1, most = 0, from = 0;

	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		long v = optarg ? atol(optarg) : 0;
		if (c == 'm')
			members = v;
		else if (c == 'g')
			groups = v;
		else if (c == 'w')
			workers = v;
		else if (c == 'b')
			most = v;
		else if (c == 'f')
			from = v;
		else
			return fputs(help, c == 'h' ? stdout : stderr) < 0 || c != 'h' ? 2 : 0;
	}
	if (from < 0 || members <= from || members > 16000000 || groups < 0 || groups > 10000 || workers < 1 || workers > 16 ||
	    readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !gm_crypto_init())
		return fputs(help, stderr) < 0 ? 1 : 2;
	struct plan p = {.groups = (uint32_t)groups, .workers = (uint32_t)workers, .programs = dirname(self), .land = !most};
	struct measured first, full = {0};
	bool ok = measure(&p, (uint32_t)from, &first) && measure(&p, (uint32_t)members, &full);
	double more = (double)(members - from);
	struct each each = {ok ? ((double)counted(&full.pages) - (double)counted(&first.pages)) / more : 0,
	                    ok ? ((double)counted(&full.flying) - (double)counted(&first.flying)) / more : 0};
	if (ok)
		print(&p, (uint32_t)members, &full, &each);
	json_decref(first.parts);
	json_decref(first.start);
	json_decref(full.parts);
	json_decref(full.start);
	if (ok && most && (each.rest > (double)most || each.flying > (double)most)) {
		fprintf(stderr, "memory: more than %ld bytes\n", most);
		ok = false;
	}
	return ok ? 0 : 1;
}
