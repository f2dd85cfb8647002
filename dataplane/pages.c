/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/pages.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static _Atomic uint64_t locked, unlocked;

static void *map(size_t n, int flags)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, n, MADV_DONTDUMP);
	madvise(p, n, MADV_NOHUGEPAGE); /* only what is used has to be there */
	return p;
}

/* On fault: nothing is touched for it. The kernel counts the whole mapping against the limit. */
void gm_pages_lock(void *p, size_t n)
{
	atomic_fetch_add_explicit(mlock2(p, n, MLOCK_ONFAULT) == 0 ? &locked : &unlocked, n, memory_order_relaxed);
}

void gm_out_of_memory(void)
{
	static const char text[] = "level=error gmd.failed reason=\"out of memory\"\n";

	_exit(write(STDERR_FILENO, text, strlen(text)) < 0 ? 2 : 1);
}

void *gm_pages_reserve(size_t n)
{
	return map(n, MAP_NORESERVE);
}

void *gm_pages_new(size_t n)
{
	void *p = map(n, 0);

	if (p)
		gm_pages_lock(p, n);
	return p;
}

void gm_pages_free(void *p, size_t n)
{
	munmap(p, n);
}

/* Before Linux 5.18 locked pages cannot be dropped. */
void gm_pages_drop(void *p, size_t n)
{
	if (madvise(p, n, MADV_DONTNEED_LOCKED) == 0)
		return;
	munlock(p, n);
	madvise(p, n, MADV_DONTNEED);
	(void)!mlock2(p, n, MLOCK_ONFAULT); /* what could not be locked before cannot now, and is counted */
}

struct gm_pages_stats gm_pages_stats(void)
{
	return (struct gm_pages_stats){.locked = atomic_load_explicit(&locked, memory_order_relaxed),
	                               .unlocked = atomic_load_explicit(&unlocked, memory_order_relaxed)};
}
