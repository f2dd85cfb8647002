/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dpdk/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "port/dpdk/steer.h"

#define ARGS_MAX 64
#define TEXT_MAX 2048
#define STEERED_MAX 16

static char why[512], last_line[256];

const char *gm_eal_why(void)
{
	return why;
}

bool gm_eal_failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return false;
}

/* What the library says goes to standard error; its last line is part of our reason. */
static ssize_t hear(void *cookie, const char *text, size_t n)
{
	(void)cookie;
	fwrite(text, 1, n, stderr);
	snprintf(last_line, sizeof(last_line), "%.*s", (int)n, text);
	last_line[strcspn(last_line, "\n")] = '\0';
	for (char *c = last_line; *c; c++)
		if (*c == '"' || (unsigned char)*c < ' ')
			*c = '\'';
	return (ssize_t)n;
}

static void listen_to_log(void)
{
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){.write = hear});

	if (!log)
		return;
	setvbuf(log, NULL, _IOLBF, 0);
	rte_openlog_stream(log);
}

struct args {
	char *at[ARGS_MAX + 1];
	int n;
	char text[TEXT_MAX], lcores[TEXT_MAX];
	char steered[STEERED_MAX][256];
	unsigned steered_n;
};

static bool split(struct args *a, const char *args)
{
	static char name[] = "gmd";
	char *rest;

	if ((size_t)snprintf(a->text, sizeof(a->text), "%s", args) >= sizeof(a->text))
		return gm_eal_failed("dpdk_args is longer than %d bytes", TEXT_MAX - 1);
	a->at[a->n++] = name;
	for (char *one = strtok_r(a->text, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
		if (a->n >= ARGS_MAX - 2)
			return gm_eal_failed("dpdk_args has more than %d parts", ARGS_MAX - 4);
		a->at[a->n++] = one;
	}
	return true;
}

static bool places_itself(const struct args *a)
{
	for (int i = 1; i < a->n; i++)
		if (strcmp(a->at[i], "-l") == 0 || strcmp(a->at[i], "-c") == 0 || strncmp(a->at[i], "--lcores", 8) == 0)
			return true;
	return false;
}

/* One lcore that may be on any CPU this thread may be on: else each CPU gets a thread, and this one is pinned. */
static void stay_where_we_are(struct args *a)
{
	cpu_set_t may;
	size_t n = (size_t)snprintf(a->lcores, sizeof(a->lcores), "--lcores=0@(");

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < sizeof(a->lcores) - 16; cpu++)
		if (CPU_ISSET(cpu, &may))
			n += (size_t)snprintf(a->lcores + n, sizeof(a->lcores) - n, "%u,", cpu);
	a->lcores[n - 1] = ')';
	a->at[a->n++] = a->lcores;
}

/* Each net_af_xdp without a program gets ours. */
static bool steer(struct args *a)
{
	const char *program = NULL;

	for (int i = 1; i < a->n; i++) {
		bool alone = strncmp(a->at[i], "net_af_xdp", 10) == 0 && strcmp(a->at[i - 1], "--vdev") == 0;

		if ((!alone && strncmp(a->at[i], "--vdev=net_af_xdp", 17) != 0) || strstr(a->at[i], "xdp_prog="))
			continue;
		if (a->steered_n == STEERED_MAX)
			return gm_eal_failed("dpdk_args: more than %d of net_af_xdp", STEERED_MAX);
		if (!program && !(program = gm_steer_argument()))
			return false;
		char *to = a->steered[a->steered_n++];
		if ((size_t)snprintf(to, sizeof(a->steered[0]), "%s%s", a->at[i], program) >= sizeof(a->steered[0]))
			return gm_eal_failed("dpdk_args: a --vdev is too long");
		a->at[i] = to;
	}
	return true;
}

bool gm_eal_start(const char *args)
{
	static struct args a; /* the library keeps pointers into it */
	static bool started;

	if (started)
		return gm_eal_failed("dpdk: it starts once in a process");
	started = true;
	if (!split(&a, args) || !steer(&a))
		return false;
	if (!places_itself(&a))
		stay_where_we_are(&a);
	listen_to_log();
	if (rte_eal_init(a.n, a.at) < 0)
		return gm_eal_failed("dpdk_args: %s; the last it said: %s", rte_strerror(rte_errno),
		                     last_line[0] ? last_line : "nothing");
	return true;
}
