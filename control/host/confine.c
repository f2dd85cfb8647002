/* SPDX-License-Identifier: Apache-2.0 */
#include "host/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#define NAME(call) SCMP_SYS(call)

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
	NAME(getsockopt), NAME(setsockopt), NAME(connect), NAME(poll), NAME(ppoll), NAME(io_uring_enter), NAME(io_uring_register),
	/* files that are open, and those that are read */
	NAME(read), NAME(write), NAME(readv), NAME(writev), NAME(pread64), NAME(pwrite64), NAME(pwritev), NAME(lseek), NAME(fstat),
	NAME(newfstatat), NAME(ftruncate), NAME(fallocate), NAME(fsync), NAME(fdatasync), NAME(msync), NAME(fcntl), NAME(close), NAME(unlink),
	NAME(unlinkat), NAME(statfs),
};

/* Of the DPDK port: its threads, queues of the kernel, netlink. */
static const int dpdk_calls[] = {
	NAME(epoll_wait), NAME(epoll_pwait), NAME(epoll_ctl), NAME(bind), NAME(getsockname), NAME(ioctl), NAME(sched_setaffinity),
	NAME(bpf), NAME(select), NAME(pselect6), NAME(socket),
};

static int allow_all(scmp_filter_ctx filter, const int *call, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call[i], 0);
	return r;
}

/* Files are opened to be read, sockets are of this machine, what is cloned is a thread: glibc looks into clone3's flags in
 * memory, where a filter cannot, and takes clone when there is no clone3. */
static int allow_narrowly(scmp_filter_ctx filter, bool dpdk)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, NAME(openat), 1,
	                         SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, NAME(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), NAME(clone3), 0);
	if (r == 0 && !dpdk)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, NAME(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	return r;
}

static bool load(scmp_filter_ctx filter, bool dpdk)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = allow_all(filter, calls, sizeof(calls) / sizeof(calls[0]));
	if (r == 0 && dpdk)
		r = allow_all(filter, dpdk_calls, sizeof(dpdk_calls) / sizeof(dpdk_calls[0]));
	if (r == 0)
		r = allow_narrowly(filter, dpdk);
	if (r == 0)
		r = seccomp_load(filter);
	errno = r < 0 ? -r : 0;
	return r == 0;
}

bool gm_confine(bool dpdk)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
#ifdef SANITIZED
	(void)load, (void)dpdk;
	return true;
#else
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool done = filter && load(filter, dpdk);

	seccomp_release(filter);
	return done;
#endif
}
