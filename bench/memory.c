/* SPDX-License-Identifier: Apache-2.0 */
/* What a membership costs in memory, and how long a start takes: a store is filled, a real gmd is started on it, its pages
 * are counted, and one of the members asks it over loopback. */
#include <getopt.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "memory/parts.h"

struct measured {
	struct pages pages;
	double ready_s, cpu_s;
	json_t *parts, *start; /* rows of `gmctl status` */
	bool asked;
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

static uint64_t counted(const struct measured *m)
{
	return m->pages.anonymous + m->pages.shared;
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

static void print(const struct plan *p, uint32_t members, const struct measured *m, double each)
{
	json_t *parts = json_object();
	double per = (double)counted(m) / members;

	put_parts(parts, m, members);
	put_start(parts, m);
	json_t *o = json_pack("{ss si si sI sI sI sI sf sf sf sf sb so}", "bench", "memory", "members", (int)members,
	                      "workers", (int)p->workers, "anonymous", (json_int_t)m->pages.anonymous, "shared",
	                      (json_int_t)m->pages.shared, "program", (json_int_t)m->pages.program, "lmdb_mapping",
	                      (json_int_t)m->pages.store, "rss_per_member", per, "marginal_per_member", each, "start_seconds", m->ready_s, "start_cpu_seconds", m->cpu_s, "asked", (int)m->asked, "parts",
	                      parts);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(o);
	fprintf(stderr, "%u members: %.0f bytes each, %.0f for one more; ready after %.2f s, %.2f s of processor time\n", members, per,
	        each, m->ready_s, m->cpu_s);
}

static const char help[] =
	"usage: bench_memory [--members N] [--groups G] [--workers W] [--from N] [--most BYTES]\n"
	"\n"
	"Fills a store with N members (65,536), one token, context and membership each, in G groups (of up to 65,536), starts\n"
	"the gmd beside this program on it and counts its pages. One line of JSON.\n"
	"\n"
	"  --from N       what a member costs is measured from so many members on: 0\n"
	"  --most BYTES   fail where a member costs more than that\n";

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
	struct plan p = {.groups = (uint32_t)groups, .workers = (uint32_t)workers, .programs = dirname(self)};
	struct measured first, full = {0};
	bool ok = measure(&p, (uint32_t)from, &first) && measure(&p, (uint32_t)members, &full);
	double each = ok ? ((double)counted(&full) - (double)counted(&first)) / (double)(members - from) : 0;
	if (ok)
		print(&p, (uint32_t)members, &full, each);
	json_decref(first.parts);
	json_decref(first.start);
	json_decref(full.parts);
	json_decref(full.start);
	if (ok && most && each > (double)most) {
		fprintf(stderr, "memory: more than %ld bytes\n", most);
		ok = false;
	}
	return ok ? 0 : 1;
}
