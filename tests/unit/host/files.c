/* SPDX-License-Identifier: Apache-2.0 */
/* A child closes all files but those below two directories, and tries one thing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/files.h"
#include "host/sanitized.h"

static char top[] = "/tmp/gmd-files.XXXXXX", path[128];

static const char *in(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void put(const char *name)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0, "%s: %s", path, strerror(errno));
}

static void make_tree(void)
{
	cr_assert_not_null(mkdtemp(top));
	cr_assert(mkdir(in("state"), 0700) == 0 && mkdir(in("etc"), 0700) == 0 && mkdir(in("elsewhere"), 0700) == 0);
	put("state/data");
	put("etc/conf");
	put("elsewhere/file");
	cr_assert_eq(symlink("../elsewhere/file", in("etc/link")), 0);
}

static void take_tree(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	cr_assert_eq(system(command), 0);
}

static bool confined(const char *conf)
{
	char state[128], file[128];

	snprintf(state, sizeof(state), "%s", in("state"));
	snprintf(file, sizeof(file), "%s", in(conf));
	const struct gm_files_rule rules[] = {{.path = state, .may = GM_FILES_WRITE},
	                                      {.path = file, .may = GM_FILES_READ, .beside = true},
	                                      {.path = "/there/is/no/such/directory", .may = GM_FILES_READ},
	                                      {.path = NULL, .may = GM_FILES_READ}};

	return gm_files_close(rules, sizeof(rules) / sizeof(rules[0])) == GM_FILES_CLOSED;
}

static bool here(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(!confined("etc/conf"));
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What what() says in a child that is confined: 0 or errno. */
static int says(int (*what)(void), const char *conf)
{
	int status;

	if (!here())
		cr_skip("no Landlock");
	pid_t pid = fork();
	if (pid == 0)
		_exit(confined(conf) ? what() : 100);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int result_of(int fd)
{
	return fd >= 0 ? 0 : errno;
}

TestSuite(files, .init = make_tree, .fini = take_tree, .disabled = SANITIZED);

#define TRIES(name, expected, expression)                                                                              \
	static int name(void)                                                                                          \
	{                                                                                                              \
		return result_of(expression);                                                                          \
	}                                                                                                              \
	Test(files, name)                                                                                              \
	{                                                                                                              \
		cr_assert_eq(says(name, "etc/conf"), expected);                                                        \
	}

TRIES(writes_what_is_in_the_state_directory, 0, open(in("state/data"), O_RDWR | O_TRUNC))
TRIES(makes_files_there, 0, open(in("state/more"), O_RDWR | O_CREAT, 0600))
TRIES(removes_files_there, 0, unlink(in("state/data")))
TRIES(reads_the_configuration, 0, open(in("etc/conf"), O_RDONLY))
TRIES(does_not_write_the_configuration, EACCES, open(in("etc/conf"), O_WRONLY))
TRIES(does_not_make_files_beside_it, EACCES, open(in("etc/more"), O_RDWR | O_CREAT, 0600))
TRIES(does_not_remove_it, EACCES, unlink(in("etc/conf")))
TRIES(does_not_write_elsewhere, EACCES, open(in("elsewhere/file"), O_WRONLY))
TRIES(does_not_make_files_elsewhere, EACCES, open(in("elsewhere/more"), O_RDWR | O_CREAT, 0600))
TRIES(does_not_read_elsewhere, EACCES, open(in("elsewhere/file"), O_RDONLY))
TRIES(does_not_read_elsewhere_by_a_link, EACCES, open(in("etc/link"), O_RDONLY))
TRIES(does_not_list_what_is_elsewhere, EACCES, open(in("elsewhere"), O_RDONLY | O_DIRECTORY))
TRIES(does_not_make_directories_elsewhere, EACCES, mkdir(in("elsewhere/more"), 0700))
TRIES(reads_what_the_kernel_says_of_itself, 0, open("/proc/self/status", O_RDONLY))
TRIES(does_not_read_what_it_says_of_others, EACCES, open("/proc/1/status", O_RDONLY))

static int moves_out(void)
{
	char from[128];

	snprintf(from, sizeof(from), "%s", in("state/data"));
	return rename(from, in("elsewhere/data")) == 0 ? 0 : errno;
}

Test(files, moves_nothing_out)
{
	int err = says(moves_out, "etc/conf");

	cr_assert(err == EACCES || err == EXDEV, "%s", strerror(err));
}

static int runs(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

Test(files, runs_no_program)
{
	cr_assert_eq(says(runs, "etc/conf"), EACCES);
}

static int binds(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/elsewhere/sock", top);
	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
}

Test(files, makes_no_socket_elsewhere)
{
	cr_assert_eq(says(binds, "etc/conf"), EACCES);
}

static int reads_where_the_link_leads(void)
{
	return result_of(open(in("etc/link"), O_RDONLY)) + result_of(open(in("etc/conf"), O_RDONLY));
}

Test(files, reads_a_configuration_that_is_a_link)
{
	cr_assert_eq(says(reads_where_the_link_leads, "etc/link"), 0);
}

static int ready[2];

static int waits_and_reads(void)
{
	char byte;

	return read(ready[0], &byte, 1) == 1 ? result_of(open(in("etc/conf"), O_RDONLY)) : 100;
}

Test(files, reads_a_configuration_that_was_replaced)
{
	char fresh[128];
	int status;

	if (!here())
		cr_skip("no Landlock");
	cr_assert_eq(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(confined("etc/conf") ? waits_and_reads() : 100);
	put("etc/fresh");
	snprintf(fresh, sizeof(fresh), "%s", path);
	cr_assert_eq(rename(fresh, in("etc/conf")), 0);
	cr_assert_eq(write(ready[1], "x", 1), 1);
	cr_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}

static void *writes_elsewhere(void *arg)
{
	*(int *)arg = result_of(open(in("elsewhere/file"), O_WRONLY));
	return NULL;
}

static int in_a_thread(void)
{
	pthread_t thread;
	int err = 0;

	if (pthread_create(&thread, NULL, writes_elsewhere, &err) != 0 || pthread_join(thread, NULL) != 0)
		return 100;
	return err;
}

Test(files, holds_for_threads_that_start_later)
{
	cr_assert_eq(says(in_a_thread, "etc/conf"), EACCES);
}

Test(files, leaves_open_what_is_open)
{
	int status, fd = open(in("elsewhere/file"), O_RDWR | O_CLOEXEC);

	if (!here())
		cr_skip("no Landlock");
	pid_t pid = fork();
	if (pid == 0)
		_exit(!(confined("etc/conf") && write(fd, "more", 4) == 4 && ftruncate(fd, 0) == 0));
	cr_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}
