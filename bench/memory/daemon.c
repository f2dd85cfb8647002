/* SPDX-License-Identifier: Apache-2.0 */
/* A gmd of the bench's own on loopback, and the pages that it has. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "parts.h"

#define READY_MS 120000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool configure(const struct plan *p, const char *file)
{
	FILE *f = fopen(file, "w");

	if (!f)
		return false;
	fprintf(f,
	        "audience: gm.example\nlisten: [\"127.0.0.1:0\"]\nworkers: %u\nstate_dir: %s/state\nkey_file: %s/store.key\n"
	        "control_socket: %s/gmd.sock\ncontexts_max: %u\nmembers_max: %u\ngroups_max: 10000\npace: 0\n"
	        "ack_timeout_ms: %u\nretransmit_max: 0\n",
	        p->workers, p->dir, p->dir, p->dir, p->members + 1024, p->members + 1024, bench_patience_ms(p));
	return fclose(f) == 0;
}

/* Its log, a line at a time, until it is ready or gone. */
static bool await_ready(struct daemon *d)
{
	char text[8192], *listen;
	size_t n = 0;
	double end = now_s() + READY_MS / 1e3;

	while (now_s() < end && n + 1 < sizeof(text)) {
		struct pollfd fd = {.fd = d->log, .events = POLLIN};
		if (poll(&fd, 1, 100) <= 0)
			continue;
		ssize_t got = read(d->log, text + n, sizeof(text) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		if (!strstr(text, "gmd.ready ") || !(listen = strstr(text, " listen=")))
			continue;
		listen += strlen(" listen=");
		listen[strcspn(listen, " ,\n")] = '\0';
		return gm_addr_parse(&d->addr, listen);
	}
	fprintf(stderr, "memory: gmd is not ready:\n%.*s\n", (int)n, text);
	return false;
}

/* utime and stime are the 14th and 15th field of stat. */
static double cpu_of(pid_t pid)
{
	char path[64], text[1024];
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	if (at)
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

bool bench_start(const struct plan *p, struct daemon *d)
{
	char file[BENCH_PATH], program[BENCH_PATH];
	int pipe_of[2];

	snprintf(file, sizeof(file), "%s/gmd.conf", p->dir);
	snprintf(program, sizeof(program), "%s/gmd", p->programs);
	if (!configure(p, file) || pipe(pipe_of) < 0)
		return false;
	double from = now_s();
	*d = (struct daemon){.pid = fork(), .log = pipe_of[0]};
	if (d->pid == 0) {
		dup2(pipe_of[1], STDERR_FILENO);
		close(pipe_of[0]);
		close(pipe_of[1]);
		execl(program, "gmd", "run", "-c", file, (char *)NULL);
		_exit(127);
	}
	close(pipe_of[1]);
	if (d->pid < 0 || !await_ready(d)) {
		bench_stop(d);
		return false;
	}
	d->ready_s = now_s() - from;
	d->cpu_s = cpu_of(d->pid);
	return true;
}

bool bench_stop(struct daemon *d)
{
	int status = 1;

	if (d->pid <= 0)
		return false;
	close(d->log); /* what it still says goes nowhere */
	kill(d->pid, SIGTERM);
	bool gone = waitpid(d->pid, &status, 0) == d->pid;
	d->pid = 0;
	return gone && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- /proc */

static uint64_t kib_of(const char *line, const char *key)
{
	return strncmp(line, key, strlen(key)) == 0 ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

/* Other users' smaps cannot be read, nor those of a process that hides from its own: then the store is not told apart. */
static uint64_t store_of(const struct daemon *d)
{
	char path[64], line[512];
	bool of_store = false;
	uint64_t rss = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)d->pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			of_store = strstr(line, "/data.mdb") != NULL;
		rss += of_store ? kib_of(line, "Rss:") : 0;
	}
	if (f)
		fclose(f);
	return rss;
}

bool bench_pages(const struct daemon *d, struct pages *pages)
{
	char path[64], line[512];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	*pages = (struct pages){.store = store_of(d)};
	while (fgets(line, sizeof(line), f)) {
		pages->rss += kib_of(line, "VmRSS:");
		pages->anonymous += kib_of(line, "RssAnon:");
		pages->shared += kib_of(line, "RssShmem:");
		pages->program += kib_of(line, "RssFile:");
	}
	fclose(f);
	pages->program -= pages->store < pages->program ? pages->store : pages->program;
	return pages->rss > 0;
}
