/* SPDX-License-Identifier: Apache-2.0 */
/* A child confines itself, tries one thing, and ends in order or by SIGSYS. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
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

#include "host/confine.c"

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

/* ---- memory that fails, and the filter as a whole */

#if !SANITIZED
static bool no_memory;

/* Ours come first for libraries as well. */
extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t size), *__libc_realloc(void *p, size_t n);
void *malloc(size_t n)
{
	return no_memory ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return no_memory ? NULL : __libc_realloc(p, n);
}

/* Every call that is allowed, asked for nonsense: the kernel refuses, but not by ending us. */
static bool calls_everything(void)
{
	static const int not_these[] = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall};

	for (size_t i = 0; i < COUNT(calls); i++) {
		bool skip = false;
		for (size_t k = 0; k < COUNT(not_these); k++)
			skip |= calls[i] == not_these[k];
		if (!skip)
			syscall(calls[i], -1L, -1L, -1L, -1L, -1L, -1L);
	}
	return true;
}

Test(confine, is_whole_where_there_is_no_memory)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		no_memory = true;
		bool done = gm_confine(false);
		no_memory = false;
		_exit(!(done && calls_everything() && serves()));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
	cr_assert_eq(WEXITSTATUS(status), 0);
	cr_assert_eq(ends(runs_a_program), -SIGSYS);
}
#endif

static uint32_t word_of(const struct seccomp_data *call, uint32_t at)
{
	uint32_t word;

	cr_assert_leq(at, sizeof(*call) - sizeof(word));
	memcpy(&word, (const uint8_t *)call + at, sizeof(word));
	return word;
}

/* What the kernel will answer. */
static uint32_t says(const struct filter *f, const struct seccomp_data *call)
{
	uint32_t a = 0;

	for (unsigned at = 0; at < f->n; at++) {
		const struct sock_filter *i = &f->code[at];

		switch (i->code) {
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_LD | BPF_W | BPF_ABS:
			a = word_of(call, i->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == i->k ? i->jt : i->jf;
			break;
		default:
			cr_assert_fail("instruction %u", at);
		}
	}
	cr_assert_fail("it has no end");
	return 0;
}

static bool in_list(int call, const int *list, size_t n)
{
	bool found = false;

	for (size_t i = 0; i < n; i++)
		found |= list[i] == call;
	return found;
}

static uint32_t expected(int nr)
{
	if (in_list(nr, calls, COUNT(calls)) || (dpdk && in_list(nr, dpdk_calls, COUNT(dpdk_calls))))
		return SECCOMP_RET_ALLOW;
	return nr == SYS_clone3 ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_KILL_PROCESS;
}

Test(confine, allows_what_is_listed_and_nothing_else)
{
	for (unsigned k = 0; k < 2; k++) {
		struct filter f = {.n = 0};

		dpdk = k;
		fill(&f, dpdk);
		cr_assert_leq(f.n, FILTER_MAX);
		for (int nr = -1; nr < 4096; nr++) {
			struct seccomp_data call = {.nr = nr, .arch = HERE, .args = {0, -1u, -1u}};

			cr_expect_eq(says(&f, &call), expected(nr), "call %d", nr);
			call.nr |= 0x40000000; /* of x32 */
			cr_expect_eq(says(&f, &call), SECCOMP_RET_KILL_PROCESS);
			call = (struct seccomp_data){.nr = nr, .arch = AUDIT_ARCH_I386};
			cr_expect_eq(says(&f, &call), SECCOMP_RET_KILL_PROCESS);
		}
	}
}
