/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into gmd and gmctl: writes down what they do to files below $GM_RECORD_DIR, and the datagrams they send, in order,
 * into $GM_RECORD. What may have reached the disk is written down before it is done, what makes it durable after that. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"

enum kind { OPENED = 1, WRITE, SYNCED_RANGE, SYNCED, LENGTH, RENAMED, REMOVED, SENT };

struct head { /* then n bytes */
	uint32_t kind, n;
	uint64_t at_ns; /* CLOCK_MONOTONIC */
	uint64_t inode; /* OPENED: made by this call, in the top bit */
	uint64_t offset, len;
};

#define FDS 1024
#define MADE (UINT64_C(1) << 63)

static struct {
	int fd;
	const char *dir;
	bool lazy; /* LMDB is told not to sync: the check has to notice */
	pthread_mutex_t lock;
	uint64_t inode[FDS]; /* 0: not ours */
	bool direct[FDS];    /* O_DSYNC: a write is durable when it returns */
} r = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

__attribute__((constructor)) static void begin(void)
{
	const char *file = getenv("GM_RECORD");

	r.dir = getenv("GM_RECORD_DIR");
	r.lazy = getenv("GM_RECORD_LAZY") != NULL;
	if (file && r.dir)
		r.fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(struct head h, const struct iovec *iov, int iov_n)
{
	struct iovec all[64];
	struct timespec now;
	int error = errno;

	if (r.fd < 0 || iov_n > 63)
		return;
	for (int i = 0; i < iov_n; i++) {
		all[i + 1] = iov[i];
		h.n += (uint32_t)iov[i].iov_len;
	}
	all[0] = (struct iovec){&h, sizeof(h)};
	pthread_mutex_lock(&r.lock);
	clock_gettime(CLOCK_MONOTONIC, &now);
	h.at_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (REAL(ssize_t, writev, int, const struct iovec *, int)(r.fd, all, iov_n + 1) < 0)
		abort();
	pthread_mutex_unlock(&r.lock);
	errno = error;
}

static void put_one(struct head h, const void *p, size_t n)
{
	put(h, &(struct iovec){(void *)(uintptr_t)p, n}, 1);
}

static uint64_t inode_of(int fd)
{
	return fd >= 0 && fd < FDS ? r.inode[fd] : 0;
}

static bool below(const char *path)
{
	return r.dir && strncmp(path, r.dir, strlen(r.dir)) == 0;
}

/* ---- names */

static int opened(int fd, const char *path, int flags, bool made)
{
	struct stat st;
	int error = errno;

	if (fd >= 0 && fd < FDS) {
		r.inode[fd] = 0;
		if (r.fd >= 0 && below(path) && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
			r.inode[fd] = st.st_ino;
			r.direct[fd] = flags & O_DSYNC;
			put_one((struct head){.kind = OPENED, .inode = st.st_ino | (made ? MADE : 0)}, path, strlen(path));
			if (flags & O_TRUNC)
				put((struct head){.kind = LENGTH, .inode = st.st_ino}, NULL, 0);
		}
	}
	errno = error;
	return fd;
}

#define OPENING(name) \
	int name(const char *path, int flags, ...) \
	{ \
		struct stat st; \
		mode_t mode = 0; \
		va_list ap; \
		va_start(ap, flags); \
		if (flags & O_CREAT) \
			mode = va_arg(ap, mode_t); \
		va_end(ap); \
		bool made = (flags & O_CREAT) && lstat(path, &st) < 0; \
		return opened(REAL(int, name, const char *, int, ...)(path, flags, mode), path, flags, made); \
	}
OPENING(open)
OPENING(open64)

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		r.inode[fd] = 0;
	return REAL(int, close, int)(fd);
}

int rename(const char *from, const char *to)
{
	if (below(from) || below(to))
		put((struct head){.kind = RENAMED}, (struct iovec[]){{(void *)(uintptr_t)from, strlen(from) + 1}, {(void *)(uintptr_t)to, strlen(to)}}, 2);
	return REAL(int, rename, const char *, const char *)(from, to);
}

int unlink(const char *path)
{
	if (below(path))
		put_one((struct head){.kind = REMOVED}, path, strlen(path));
	return REAL(int, unlink, const char *)(path);
}

/* ---- bytes */

static void wrote(int fd, int64_t offset, uint64_t len)
{
	if (inode_of(fd) && r.direct[fd])
		put((struct head){.kind = SYNCED_RANGE, .inode = r.inode[fd], .offset = (uint64_t)offset, .len = len}, NULL, 0);
}

static int64_t writing(int fd, const struct iovec *iov, int iov_n, int64_t offset)
{
	if (!inode_of(fd))
		return 0;
	if (offset < 0)
		offset = lseek(fd, 0, SEEK_CUR);
	put((struct head){.kind = WRITE, .inode = r.inode[fd], .offset = (uint64_t)offset}, iov, iov_n);
	return offset;
}

ssize_t write(int fd, const void *p, size_t n)
{
	int64_t offset = writing(fd, &(struct iovec){(void *)(uintptr_t)p, n}, 1, -1);
	ssize_t done = REAL(ssize_t, write, int, const void *, size_t)(fd, p, n);

	wrote(fd, offset, n);
	return done;
}

ssize_t writev(int fd, const struct iovec *iov, int iov_n)
{
	writing(fd, iov, iov_n, -1);
	return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, iov, iov_n);
}

#define AT_OFFSET(name, off) \
	ssize_t name(int fd, const void *p, size_t n, off offset) \
	{ \
		writing(fd, &(struct iovec){(void *)(uintptr_t)p, n}, 1, offset); \
		ssize_t done = REAL(ssize_t, name, int, const void *, size_t, off)(fd, p, n, offset); \
		wrote(fd, offset, n); \
		return done; \
	}
AT_OFFSET(pwrite, off_t)
AT_OFFSET(pwrite64, off64_t)

#define MANY_AT_OFFSET(name, off) \
	ssize_t name(int fd, const struct iovec *iov, int iov_n, off offset) \
	{ \
		writing(fd, iov, iov_n, offset); \
		return REAL(ssize_t, name, int, const struct iovec *, int, off)(fd, iov, iov_n, offset); \
	}
MANY_AT_OFFSET(pwritev, off_t)
MANY_AT_OFFSET(pwritev64, off64_t)

static int synced(int fd, int result)
{
	if (result == 0 && inode_of(fd))
		put((struct head){.kind = SYNCED, .inode = r.inode[fd]}, NULL, 0);
	return result;
}

int fsync(int fd)
{
	return synced(fd, REAL(int, fsync, int)(fd));
}

int fdatasync(int fd)
{
	return synced(fd, REAL(int, fdatasync, int)(fd));
}

#define CUTTING(name, off) \
	int name(int fd, off len) \
	{ \
		if (inode_of(fd)) \
			put((struct head){.kind = LENGTH, .inode = r.inode[fd], .len = (uint64_t)len}, NULL, 0); \
		return REAL(int, name, int, off)(fd, len); \
	}
CUTTING(ftruncate, off_t)
CUTTING(ftruncate64, off64_t)

/* ---- LMDB on request without its syncs; what goes over the wire */

int mdb_env_open(void *env, const char *path, unsigned flags, mode_t mode)
{
	enum { NOSYNC = 0x10000 };

	return REAL(int, mdb_env_open, void *, const char *, unsigned, mode_t)(env, path, r.lazy ? flags | NOSYNC : flags, mode);
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	for (unsigned i = 0; i < n; i++) {
		const struct msghdr *m = &msgs[i].msg_hdr;
		if (m->msg_namelen && m->msg_iovlen < 32) {
			struct iovec iov[33] = {{m->msg_name, m->msg_namelen}};
			memcpy(iov + 1, m->msg_iov, m->msg_iovlen * sizeof(*iov));
			put((struct head){.kind = SENT, .len = m->msg_namelen}, iov, (int)m->msg_iovlen + 1);
		}
	}
	return REAL(int, sendmmsg, int, struct mmsghdr *, unsigned, int)(fd, msgs, n, flags);
}
