/* SPDX-License-Identifier: Apache-2.0 */
/* A child confines itself, tries one thing, and ends in order or by SIGSYS. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static bool dpdk;

/* How a child that confined itself and called what() ended: its exit code, or minus the signal. */
static int ends(bool (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!gm_confine(dpdk))
			_exit(100);
		_exit(what() ? 0 : 1);
	}
	cr_assert(pid > 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define FORBIDDEN(name, ...)                                                                                           \
	static bool name(void)                                                                                         \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
		return true;                                                                                           \
	}                                                                                                              \
	Test(confine, ends_who_##name, .disabled = SANITIZED)                                                          \
	{                                                                                                              \
		cr_assert_eq(ends(name), -SIGSYS);                                                                     \
	}

FORBIDDEN(runs_a_program, execl("/bin/true", "true", (char *)NULL))
FORBIDDEN(forks, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
FORBIDDEN(looks_into_another_process, ptrace(PTRACE_ATTACH, 1, NULL, NULL))
FORBIDDEN(opens_a_file_to_write, open("/tmp/gmd-confined", O_WRONLY | O_CLOEXEC))
FORBIDDEN(makes_a_file, open("/tmp/gmd-confined", O_RDONLY | O_CREAT | O_CLOEXEC, 0600))
FORBIDDEN(opens_a_network_socket, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
FORBIDDEN(makes_another_ring, syscall(SYS_io_uring_setup, 1, NULL))
FORBIDDEN(mounts, syscall(SYS_mount, NULL, NULL, NULL, 0, NULL))
FORBIDDEN(changes_its_user, syscall(SYS_setuid, 0))
FORBIDDEN(signals_others, kill(getppid(), 0))

static void *nothing(void *arg)
{
	return arg;
}

static bool serves(void)
{
	char byte[16];
	pthread_t thread;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	bool good = fd >= 0 && read(fd, byte, sizeof(byte)) > 0 && close(fd) == 0;
	void *p = malloc(64u << 20);
	good = good && p && mlock(p, 4096) <= 0;
	free(p);
	return good && pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

Test(confine, leaves_what_serving_needs)
{
	cr_assert_eq(ends(serves), 0);
}

static int wake[2];

static void *breaks_out(void *arg)
{
	uint64_t one;

	if (read(wake[0], &one, sizeof(one)) == (ssize_t)sizeof(one))
		socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return arg;
}

Test(confine, holds_for_threads_that_ran_before, .disabled = SANITIZED)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t thread;
		const uint64_t one = 1;
		bool started = pipe(wake) == 0 && pthread_create(&thread, NULL, breaks_out, NULL) == 0;
		if (!started || !gm_confine(false) || write(wake[1], &one, sizeof(one)) < 0)
			_exit(100);
		pthread_join(thread, NULL);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %x", (unsigned)status);
}

static bool opens_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

Test(confine, lets_the_dpdk_port_ask_for_neighbours)
{
	dpdk = true;
	cr_assert_eq(ends(opens_netlink), 0);
}
