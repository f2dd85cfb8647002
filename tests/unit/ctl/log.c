/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ctl/log.h"

static int ends[2];
static char got[200000];

static void start(void)
{
	cr_assert_eq(pipe(ends), 0);
	cr_assert_geq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_geq(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 0);
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
}

static const char *written(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

TestSuite(log, .init = start);

Test(log, says_when_how_grave_and_what)
{
	gm_log(GM_LOG_INFO, "join.ok group=%s", "g1");
	cr_expect_not_null(strstr(written(), "Z level=info join.ok group=g1\n"));
	cr_expect_eq(strncmp(got, "ts=20", 5), 0);
}

Test(log, drops_what_is_above_the_level)
{
	gm_log(GM_LOG_DEBUG, "a");
	cr_expect_str_eq(written(), "");
	gm_log_set(GM_LOG_ERROR);
	gm_log(GM_LOG_WARN, "b");
	cr_expect_str_eq(written(), "");
}

Test(log, holds_decisions_until_they_are_flushed_but_no_warning)
{
	gm_log_hold(true);
	gm_log(GM_LOG_INFO, "first");
	cr_expect_str_eq(written(), "");
	gm_log_flush();
	cr_expect_not_null(strstr(written(), "first\n"));
	gm_log(GM_LOG_INFO, "second");
	gm_log(GM_LOG_WARN, "third");
	cr_expect_not_null(strstr(written(), "second\n"));
	cr_expect_not_null(strstr(got, "third\n"));
}

Test(log, forgets_decisions_that_did_not_come_about)
{
	gm_log_hold(true);
	gm_log(GM_LOG_INFO, "never");
	gm_log_drop();
	gm_log(GM_LOG_ERROR, "commit.failed");
	cr_expect_null(strstr(written(), "never"));
	cr_expect_not_null(strstr(got, "commit.failed\n"));
}

Test(log, cuts_long_lines_and_loses_none_of_many)
{
	char text[3000];
	unsigned lines = 0;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	gm_log_hold(true);
	for (unsigned i = 0; i < 150; i++)
		gm_log(GM_LOG_INFO, "%s", text);
	gm_log_hold(false);
	written();
	for (const char *p = got; (p = strchr(p, '\n')); p++)
		lines++;
	cr_expect_eq(lines, 150);
	cr_expect_eq(strchr(got, '\n') - got, 1023);
}
