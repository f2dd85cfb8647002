/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum gm_log_level shown = GM_LOG_INFO;
static const char *const names[] = {"error", "warn", "info", "debug"};

void gm_log_set(enum gm_log_level most)
{
	shown = most;
}

void gm_log(enum gm_log_level level, const char *fmt, ...)
{
	if (level > shown)
		return;
	char line[1024];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(line, sizeof(line), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ level=%s ", now.tv_nsec / 1000000, names[level]);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += (size_t)m < sizeof(line) - n - 1 ? (size_t)m : sizeof(line) - n - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0) /* one call, so that lines of other threads do not mix in */
		return;
}
