/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024u

static enum gm_log_level shown = GM_LOG_INFO;
static bool held;
static char lines[64u << 10];
static size_t lines_n;
static const char *const names[] = {"error", "warn", "info", "debug"};

void gm_log_set(enum gm_log_level most)
{
	shown = most;
}

void gm_log_hold(bool hold)
{
	gm_log_flush();
	held = hold;
}

void gm_log_flush(void)
{
	for (size_t at = 0; at < lines_n;) {
		ssize_t n = write(STDERR_FILENO, lines + at, lines_n - at);
		if (n <= 0)
			break; /* nobody to tell it to */
		at += (size_t)n;
	}
	lines_n = 0;
}

void gm_log_drop(void)
{
	lines_n = 0;
}

static size_t put_time(char *to, size_t cap)
{
	static time_t second;
	static char text[32]; /* of that second */
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != second) {
		gmtime_r(&now.tv_sec, &tm);
		strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
		second = now.tv_sec;
	}
	return (size_t)snprintf(to, cap, "%s.%03ldZ ", text, now.tv_nsec / 1000000);
}

void gm_log(enum gm_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > shown)
		return;
	if (sizeof(lines) - lines_n < LINE_MAX_BYTES)
		gm_log_flush();
	char *line = lines + lines_n;
	size_t n = put_time(line, LINE_MAX_BYTES);
	n += (size_t)snprintf(line + n, LINE_MAX_BYTES - n, "level=%s ", names[level]);
	va_start(ap, fmt);
	int m = vsnprintf(line + n, LINE_MAX_BYTES - n, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += (size_t)m < LINE_MAX_BYTES - n ? (size_t)m : LINE_MAX_BYTES - n - 1;
	line[n++] = '\n';
	lines_n += n;
	if (!held || level <= GM_LOG_WARN)
		gm_log_flush();
}
