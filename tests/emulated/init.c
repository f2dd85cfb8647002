/* SPDX-License-Identifier: Apache-2.0 */
/* The first process in the emulated machine: runs the programs that /tests names, one a line with its environment, and
 * says on the console how each ended. Ends the emulator. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* line: NAME=value ... program argument ... */
static void become(char *line)
{
	char *word[32], *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(line, " \n", &save); w && n < 31; w = strtok_r(NULL, " \n", &save)) {
		if (n == 0 && strchr(w, '='))
			putenv(w);
		else
			word[n++] = w;
	}
	word[n] = NULL;
	if (n > 0)
		execv(word[0], word);
	perror(word[0]);
	_exit(127);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run(const char *line)
{
	char copy[512];
	double begun = now();
	int status = -1;
	pid_t child;

	snprintf(copy, sizeof(copy), "%s", line);
	child = fork();
	if (child == 0)
		become(copy);
	waitpid(child, &status, 0);
	printf("emulated: %s in %.1f s: %.*s\n", status == 0 ? "passed" : "FAILED", now() - begun,
	       (int)strcspn(line, "\n"), line);
	return status == 0;
}

/* What Bochs takes as the end: its name at its port. */
static void end(void)
{
	sync();
	sleep(1); /* until the console is empty */
	if (iopl(3) == 0)
		for (const char *p = "Shutdown"; *p; p++)
			outb((unsigned char)*p, 0x8900);
	for (;;)
		pause();
}

int main(void)
{
	unsigned passed = 0, failed = 0;
	char line[512];
	FILE *tests;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/shm", 0777); /* Criterion's */
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	printf("emulated: started after %.1f s\n", now());
	tests = fopen("/tests", "r");
	while (tests && fgets(line, sizeof(line), tests)) {
		if (run(line))
			passed++;
		else
			failed++;
	}
	printf("emulated: %u passed, %u failed\n", passed, failed + !tests);
	fflush(stdout);
	end();
}
