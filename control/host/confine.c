/* SPDX-License-Identifier: Apache-2.0 */
/* The filter is written out here, not by libseccomp: that one drops rules, or never ends, where memory fails it. This one needs none. */
#include "host/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/sanitized.h"

#if defined(__x86_64__)
#define HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define HERE AUDIT_ARCH_AARCH64
#else
#error "which architecture do system calls name?"
#endif

#define NAME(call) SYS_##call

/* By what they are for. io_uring's own operations are not seen here: port/uring.c restricts its rings. */
static const int calls[] = {
	/* memory, for the allocator and the store's map */
	NAME(brk), NAME(mmap), NAME(munmap), NAME(mremap), NAME(mprotect), NAME(madvise), NAME(mlock), NAME(mlock2), NAME(munlock),
	/* threads and time */
	NAME(futex), NAME(clock_gettime), NAME(clock_nanosleep), NAME(nanosleep), NAME(gettimeofday), NAME(sched_yield),
	NAME(rseq), NAME(set_robust_list), NAME(rt_sigprocmask), NAME(rt_sigaction), NAME(rt_sigtimedwait), NAME(rt_sigreturn), NAME(restart_syscall), NAME(getpid), NAME(gettid), NAME(getuid), NAME(geteuid), NAME(getgid), NAME(getegid),
	NAME(tgkill), NAME(sysinfo), NAME(sched_getaffinity), NAME(exit), NAME(exit_group), NAME(getrandom),
	/* datagrams, the control socket, the service manager */
	NAME(recvfrom), NAME(recvmsg), NAME(recvmmsg), NAME(sendto), NAME(sendmsg), NAME(sendmmsg), NAME(accept4), NAME(shutdown),
	NAME(getsockopt), NAME(setsockopt), NAME(connect), NAME(ppoll), NAME(io_uring_enter), NAME(io_uring_register),
	/* files that are open, and those that are read */
	NAME(read), NAME(write), NAME(readv), NAME(writev), NAME(pread64), NAME(pwrite64), NAME(pwritev), NAME(lseek), NAME(fstat),
	NAME(newfstatat), NAME(ftruncate), NAME(fallocate), NAME(fsync), NAME(fdatasync), NAME(msync), NAME(fcntl), NAME(close),
	NAME(unlinkat), NAME(statfs),
#ifdef SYS_poll /* newer architectures have the other forms only */
	NAME(poll), NAME(unlink),
#endif
};

/* Of the DPDK port: its threads, queues of the kernel, netlink. */
static const int dpdk_calls[] = {
	NAME(epoll_pwait), NAME(epoll_ctl), NAME(bind), NAME(getsockname), NAME(ioctl), NAME(sched_setaffinity), NAME(bpf), NAME(pselect6),
	NAME(socket),
#ifdef SYS_poll
	NAME(epoll_wait), NAME(select),
#endif
};

/* Files are opened to be read, sockets are of this machine, what is cloned is a thread. */
static const struct narrow { /* allowed where this argument, of 32 bits, has these of its bits so */
	int call, arg;
	uint32_t bits, so;
	bool dpdk_has_all;
} narrow[] = {
	{NAME(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY, false},
	{NAME(clone), 0, CLONE_THREAD, CLONE_THREAD, false},
	{NAME(socket), 0, UINT32_MAX, AF_UNIX, true},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FILTER_MAX (4 + 2 * (COUNT(calls) + COUNT(dpdk_calls) + 1) + 6 * COUNT(narrow) + 1)

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short n;
};

static void put(struct filter *f, struct sock_filter i)
{
	f->code[f->n++] = i;
}

static void put_word(struct filter *f, size_t at)
{
	put(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at));
}

static void put_end(struct filter *f, uint32_t what)
{
	put(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Goes on with the next instruction where it is k, past `past` of them where it is not. */
static void put_is(struct filter *f, uint32_t k, uint8_t past)
{
	put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, past));
}

static void put_call(struct filter *f, int call, uint32_t what)
{
	put_is(f, (uint32_t)call, 1);
	put_end(f, what);
}

static void put_narrow(struct filter *f, const struct narrow *n)
{
	put_is(f, (uint32_t)n->call, 5);
	put_word(f, offsetof(struct seccomp_data, args) + 8 * (size_t)n->arg + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
	put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, n->bits));
	put_is(f, n->so, 1);
	put_end(f, SECCOMP_RET_ALLOW);
	put_end(f, SECCOMP_RET_KILL_PROCESS);
}

static void fill(struct filter *f, bool dpdk)
{
	put_word(f, offsetof(struct seccomp_data, arch));
	put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HERE, 1, 0));
	put_end(f, SECCOMP_RET_KILL_PROCESS);
	put_word(f, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT(calls); i++)
		put_call(f, calls[i], SECCOMP_RET_ALLOW);
	for (size_t i = 0; dpdk && i < COUNT(dpdk_calls); i++)
		put_call(f, dpdk_calls[i], SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < COUNT(narrow); i++)
		if (!dpdk || !narrow[i].dpdk_has_all)
			put_narrow(f, &narrow[i]);
	/* glibc looks into clone3's flags in memory, where a filter cannot, and takes clone when there is no clone3 */
	put_call(f, NAME(clone3), SECCOMP_RET_ERRNO | ENOSYS);
	put_end(f, SECCOMP_RET_KILL_PROCESS);
}

static bool load(struct filter *f)
{
	const struct sock_fprog program = {.len = f->n, .filter = f->code};
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);

	if (r > 0) /* a thread that has a filter of its own */
		errno = EBUSY;
	return r == 0;
}

bool gm_confine(bool dpdk)
{
	struct filter f = {.n = 0};

	fill(&f, dpdk);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && (SANITIZED || load(&f));
}
