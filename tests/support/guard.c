/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)

_Noreturn static void give_up(const char *why)
{
	perror(why);
	abort();
}

struct gm_guard gm_guard_new(size_t cap)
{
	struct gm_guard g = {.cap = (cap + PAGE - 1) / PAGE * PAGE};
	uint8_t *all = mmap(NULL, g.cap + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		give_up("guard: mmap");
	g.start = all + PAGE;
	if (mprotect(g.start, g.cap, PROT_READ | PROT_WRITE) != 0)
		give_up("guard: mprotect");
	return g;
}

uint8_t *gm_guard_at(const struct gm_guard *g, size_t len, bool at_end)
{
	if (len > g->cap)
		give_up("guard: too long");
	return at_end ? g->start + g->cap - len : g->start;
}

void gm_guard_free(struct gm_guard *g)
{
	munmap(g->start - PAGE, g->cap + 2 * PAGE);
	g->start = NULL;
}
