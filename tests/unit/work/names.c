/* SPDX-License-Identifier: Apache-2.0 */
/* Groups by name in a worker, while they come and go. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "dice.h"
#include "flow_rig.h"

#define GROUPS 3000u

static void tell(struct worker *w, uint32_t index, bool remove)
{
	struct gm_eff_group e = {.remove = remove, .view = {.index = index, .version = 1}};

	e.view.name_n = (uint8_t)snprintf(e.view.name, sizeof e.view.name, "floor-%u", index);
	gm_view_group(w, &e);
}

static bool found(struct worker *w, uint32_t index)
{
	char name[32];
	int n = snprintf(name, sizeof name, "floor-%u", index);
	struct group *g = gm_group_named(w, (struct gm_bytes){(const uint8_t *)name, (size_t)n});

	cr_assert(g == NULL || g->view.index == index, "a name finds another group");
	return g != NULL;
}

Test(names, find_each_group_that_is_there_and_no_other)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];
	bool there[GROUPS] = {false};
	struct gm_dice dice = {.seed = {1}};

	for (unsigned step = 0; step < 20000; step++) {
		uint32_t index = 1 + gm_roll(&dice, GROUPS - 1); /* 0 is the rig's own */
		there[index] = !there[index];
		tell(w, index, !there[index]);
		cr_assert(found(w, index) == there[index]);
		if (step % 2500 == 0)
			for (uint32_t i = 1; i < GROUPS; i++)
				cr_assert(found(w, i) == there[i]);
	}
	for (uint32_t i = 1; i < GROUPS; i++)
		if (there[i])
			tell(w, i, true);
	for (uint32_t i = 1; i < GROUPS; i++)
		cr_assert(not(found(w, i)));
	flow_free(r);
}
