/* SPDX-License-Identifier: Apache-2.0 */
/* Before an end that is planned: nobody new comes in, and nobody is kept waiting for what this process will not do. */
#include "core/state.h"

static void release_all(struct gm_turn *t, struct gm_wait *w)
{
	for (struct gm_held *h = gm_wait_take(w), *next; h; h = next) {
		next = h->next;
		gm_reply_err(t, h->event, GM_E_BUSY);
		h->next = NULL;
		gm_wait_answer(NULL, h, GM_WAITED_NOT);
	}
}

void gm_core_release(struct gm_core *c, struct gm_txn *txn)
{
	struct gm_turn t = {c, txn};

	for (uint32_t i = 0; i < c->groups_n; i++) {
		struct gm_group *g = c->groups[i];
		if (!g)
			continue;
		release_all(&t, &g->held);
		release_all(&t, &g->behind);
	}
	gm_introspect_release(&t);
}

void gm_core_drain(struct gm_core *c, bool on)
{
	if (c->draining == on)
		return;
	c->draining = on;
	gm_core_log(c, on ? "drain.begin" : "drain.end");
}

bool gm_core_drains(const struct gm_core *c)
{
	return c->draining;
}
