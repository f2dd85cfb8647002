/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static struct criterion_test *first, **last = &first;
static unsigned wrong; /* of this test */

void criterion_add(struct criterion_test *t)
{
	*last = t;
	last = &t->next;
}

void criterion_failed(bool fatal, const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: check failed: %s: ", file, line, what);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	wrong++;
	if (fatal)
		exit(1);
}

void criterion_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	exit(SKIPPED);
}

static struct criterion_set suite_of(const struct criterion_test *t)
{
	for (const struct criterion_test *s = first; s; s = s->next)
		if (!s->run && strcmp(s->suite, t->suite) == 0)
			return s->set;
	return (struct criterion_set){0};
}

_Noreturn static void run(const struct criterion_test *t)
{
	const struct criterion_set suite = suite_of(t);

	if (suite.init)
		suite.init();
	if (t->set.init)
		t->set.init();
	t->run();
	if (t->set.fini)
		t->set.fini();
	if (suite.fini)
		suite.fini();
	exit(wrong != 0);
}

int main(void)
{
	unsigned passed = 0, failed = 0, skipped = 0;

	for (const struct criterion_test *t = first; t; t = t->next) {
		int status = 0;
		pid_t child;

		if (!t->run)
			continue;
		fflush(NULL);
		child = fork();
		if (child == 0)
			run(t);
		waitpid(child, &status, 0);
		if (status == 0)
			passed++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
			skipped++;
		else
			failed++, fprintf(stderr, "FAILED: %s, status %x\n", t->name, (unsigned)status);
	}
	fprintf(stderr, "%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0;
}
