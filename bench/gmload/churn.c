/* SPDX-License-Identifier: Apache-2.0 */
/* Random doings, tolerant of a Group Manager that stops and starts. */
#include "load.h"

#include <stdlib.h>

#define CHURN_WINDOW 64u
#define CHURN_END_S 75u /* a whole cycle of retransmissions */

struct churn {
	unsigned window;
	uint64_t rate, begun, start_ns; /* operations a second, 0: as they go */
};

/* true: one was begun */
static bool churn_one(struct load *l)
{
	struct gm_fleet *f = &l->fleet;
	struct gm_member *m = &f->members[load_draw(l, f->members_n)];
	uint32_t dice = load_draw(l, 100);
	unsigned plan = GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE);
	if (m->counted || m->ex.active || m->state == GM_MEMBER_EVICTED)
		return false;
	if (m->state == GM_MEMBER_IN && !m->unsure)
		plan = dice < 20   ? GM_PLAN(GM_OP_LEAVE)
		       : dice < 40 ? plan
		       : dice < 55 ? GM_PLAN(GM_OP_GROUP)
		                   : GM_PLAN(GM_OP_NODE);
	f->run.plan = plan;
	m->counted = true;
	m->tries = 0;
	f->run.active++;
	gm_fleet_begin(f, m, m->has_context ? plan : plan | GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN));
	return true;
}

/* As many as the window has room for, and the rate. What was missed while the Group Manager did not answer is not made up for. */
static void begin_some(struct load *l, struct churn *c)
{
	const struct gm_fleet *f = &l->fleet;
	const uint64_t due = c->rate ? (f->env.now_ns - c->start_ns) * c->rate / 1000000000u : UINT64_MAX;

	if (c->rate && due > c->begun + c->window)
		c->begun = due - c->window;
	for (unsigned i = 0; i < 2 * c->window && f->run.active < c->window && c->begun < due; i++)
		c->begun += churn_one(l);
}

/* Those whose latest Join or leave had no answer join again, so that all know where they stand. */
static bool settle(struct load *l, json_t *result)
{
	uint32_t *list = calloc(l->fleet.members_n + 1, sizeof(*list));
	size_t n = 0;
	for (uint32_t i = 0; list && i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if (m->unsure && m->state != GM_MEMBER_EVICTED)
			list[n++] = i;
	}
	unsigned plan = GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE);
	size_t ok = list ? gm_fleet_run(&l->fleet, list, n, plan, l->window, 10) : 0;
	load_put_int(result, "settled", ok);
	load_put_int(result, "unsettled", n - ok);
	free(list);
	return ok == n;
}

bool load_cmd_churn(struct load *l, const struct words *c, json_t *result)
{
	struct gm_fleet *f = &l->fleet;
	uint64_t start = load_now_ns(l),
	         until = start + (uint64_t)(strtod(load_operand(c, 0) ? load_operand(c, 0) : "10", NULL) * 1e9);
	struct churn churn = {.window = (unsigned)load_number(load_option(c, "--window", NULL), CHURN_WINDOW),
	                      .rate = (uint64_t)load_number(load_option(c, "--rate", NULL), 0), .start_ns = start};
	if (!f->members_n)
		return load_complain(result, "churn: join some members first");
	load_begin(l);
	f->run = (struct gm_fleet_run){.window = churn.window};
	while (load_now_ns(l) < until) {
		f->env.now_ns = load_now_ns(l);
		begin_some(l, &churn);
		gm_fleet_turn(f, churn.rate ? 1 : 5);
	}
	while (f->run.active && load_now_ns(l) < until + CHURN_END_S * 1000000000ull)
		gm_fleet_turn(f, 100);
	load_put_run(result, l, f->run.ok + f->run.failed, f->run.ok, load_now_ns(l) - start);
	load_put_int(result, "unfinished", f->run.active);
	return settle(l, result);
}
