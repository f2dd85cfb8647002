/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into gmd: lets one call fail that needs disk or memory.
 *
 *   GM_FAULT=KIND:N:ERRNO     the N-th call of that kind fails, counted from 1; with + behind N: and all after it
 *   GM_FAULT_COUNTS=FILE      how many calls of each kind there were, when the process ends in order
 *
 * Kinds: write (bytes of regular files), sync, length (ftruncate, fallocate), open (files that are made), rename, map, memory. Which call failed is
 * said on standard error. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

enum kind { WRITE, SYNC, LENGTH, OPEN, RENAME, MAP, MEMORY, KINDS };
static const char *const names[] = {"write", "sync", "length", "open", "rename", "map", "memory"};

static struct {
	int kind; /* -1: nothing fails */
	unsigned at;
	bool from_then_on;
	int error;
	_Atomic unsigned calls[KINDS];
	int counts; /* opened at the start: a confined process opens nothing */
} f = {.kind = -1, .counts = -1};

__attribute__((constructor)) static void begin(void)
{
	const char *what = getenv("GM_FAULT");
	char name[16], plus[4] = "";

	if (getenv("GM_FAULT_COUNTS"))
		f.counts = REAL(int, open, const char *, int, ...)(getenv("GM_FAULT_COUNTS"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!what || sscanf(what, "%15[^:]:%u%3[+]:%d", name, &f.at, plus, &f.error) != 4)
		if (!what || sscanf(what, "%15[^:]:%u:%d", name, &f.at, &f.error) != 3)
			return;
	f.from_then_on = plus[0] != 0;
	for (int i = 0; i < KINDS; i++)
		if (strcmp(names[i], name) == 0)
			f.kind = i;
}

__attribute__((destructor)) static void end(void)
{
	char text[256] = "";
	size_t n = 0;

	for (int i = 0; i < KINDS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %u\n", names[i], f.calls[i]);
	if (f.counts >= 0 && REAL(ssize_t, write, int, const void *, size_t)(f.counts, text, n) < 0)
		abort();
}

/* Without printf, which may need memory. */
static void say(const void *caller, unsigned n)
{
	char text[160];
	size_t at = 0;
	Dl_info info;
	int known = dladdr(caller, &info);
	const char *file = known && info.dli_fname ? info.dli_fname : "?";
	uintptr_t offset = known ? (uintptr_t)caller - (uintptr_t)info.dli_fbase : 0;

	for (const char *s = "fault: call "; *s; s++)
		text[at++] = *s;
	for (unsigned d = 100000000; d; d /= 10)
		if (n >= d)
			text[at++] = (char)('0' + n / d % 10);
	text[at++] = ' ';
	file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	while (*file && at < 120)
		text[at++] = *file++;
	text[at++] = '+';
	for (int shift = 28; shift >= 0; shift -= 4)
		text[at++] = "0123456789abcdef"[offset >> shift & 15];
	text[at++] = '\n';
	if (REAL(ssize_t, write, int, const void *, size_t)(STDERR_FILENO, text, at) < 0)
		return;
}

static bool fails(enum kind kind, const void *caller)
{
	unsigned n = atomic_fetch_add(&f.calls[kind], 1) + 1;

	if ((int)kind != f.kind || n < f.at || (n > f.at && !f.from_then_on))
		return false;
	if (n == f.at)
		say(caller, n);
	errno = f.error;
	return true;
}
#define FAILS(kind) fails(kind, __builtin_return_address(0))

static bool regular(int fd)
{
	struct stat st;
	int error = errno;
	bool yes = fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	errno = error;
	return yes;
}

/* ---- disk */

#define OPENING(name) \
	int name(const char *path, int flags, ...) \
	{ \
		mode_t mode = 0; \
		va_list ap; \
		va_start(ap, flags); \
		if (flags & O_CREAT) \
			mode = va_arg(ap, mode_t); \
		va_end(ap); \
		if ((flags & O_CREAT) && FAILS(OPEN)) \
			return -1; \
		return REAL(int, name, const char *, int, ...)(path, flags, mode); \
	}
OPENING(open)
OPENING(open64)

#define FAILING(result, name, when, kind, args, ...) \
	result name args \
	{ \
		if (when && FAILS(kind)) \
			return -1; \
		return REAL_OF(result, name, args)(__VA_ARGS__); \
	}
#define REAL_OF(result, name, args) \
	(*({ \
		static result (*real_##name) args; \
		if (!real_##name) \
			*(void **)&real_##name = dlsym(RTLD_NEXT, #name); \
		real_##name; \
	}))
FAILING(ssize_t, write, regular(fd), WRITE, (int fd, const void *p, size_t n), fd, p, n)
FAILING(ssize_t, writev, regular(fd), WRITE, (int fd, const struct iovec *v, int n), fd, v, n)
FAILING(ssize_t, pwrite, regular(fd), WRITE, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
FAILING(ssize_t, pwrite64, regular(fd), WRITE, (int fd, const void *p, size_t n, off64_t at), fd, p, n, at)
FAILING(ssize_t, pwritev, regular(fd), WRITE, (int fd, const struct iovec *v, int n, off_t at), fd, v, n, at)
FAILING(ssize_t, pwritev64, regular(fd), WRITE, (int fd, const struct iovec *v, int n, off64_t at), fd, v, n, at)
FAILING(int, fsync, true, SYNC, (int fd), fd)
FAILING(int, fdatasync, true, SYNC, (int fd), fd)
FAILING(int, msync, true, SYNC, (void *p, size_t n, int flags), p, n, flags)
FAILING(int, ftruncate, true, LENGTH, (int fd, off_t n), fd, n)
FAILING(int, ftruncate64, true, LENGTH, (int fd, off64_t n), fd, n)
FAILING(int, fallocate, true, LENGTH, (int fd, int mode, off_t at, off_t n), fd, mode, at, n)
FAILING(int, fallocate64, true, LENGTH, (int fd, int mode, off64_t at, off64_t n), fd, mode, at, n)
FAILING(int, rename, true, RENAME, (const char *from, const char *to), from, to)

/* ---- memory */

#define MAPPING(name, off) \
	void *name(void *p, size_t n, int prot, int flags, int fd, off at) \
	{ \
		if (FAILS(MAP)) \
			return MAP_FAILED; \
		return REAL(void *, name, void *, size_t, int, int, int, off)(p, n, prot, flags, fd, at); \
	}
MAPPING(mmap, off_t)
MAPPING(mmap64, off64_t)

void *malloc(size_t n)
{
	return FAILS(MEMORY) ? NULL : REAL(void *, malloc, size_t)(n);
}

void *calloc(size_t n, size_t size)
{
	return FAILS(MEMORY) ? NULL : REAL(void *, calloc, size_t, size_t)(n, size);
}

void *realloc(void *p, size_t n)
{
	return FAILS(MEMORY) ? NULL : REAL(void *, realloc, void *, size_t)(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return FAILS(MEMORY) ? NULL : REAL(void *, aligned_alloc, size_t, size_t)(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	return FAILS(MEMORY) ? ENOMEM : REAL(int, posix_memalign, void **, size_t, size_t)(p, align, n);
}
