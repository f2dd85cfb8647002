/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: operators make, change, hold and remove them; what they were acknowledged stays so. */
#include "sim.h"

static bool same(const struct sim_schedule *a, const struct sim_schedule *b)
{
	const struct gm_schedule_spec *x = &a->spec, *y = &b->spec;

	if (a->state != SIM_IN || b->state != SIM_IN)
		return a->state == b->state;
	return a->held == b->held && strcmp(x->name, y->name) == 0 && strcmp(x->groups, y->groups) == 0 && x->at_s == y->at_s &&
	       x->days == y->days && x->window_s == y->window_s && x->pace == y->pace && x->late_most == y->late_most &&
	       x->at_once == y->at_once;
}

static bool take(void *arg, const struct gm_schedule_info *info)
{
	struct sim_schedule *now = arg;

	*now = (struct sim_schedule){.state = SIM_IN, .held = strcmp(info->state, "paused") == 0, .spec = *info->spec};
	return false;
}

static void name_of(char name[static 8], unsigned i)
{
	snprintf(name, 8, "s%u", i + 1);
}

/* ---- what operators do */

static enum gm_err do_set(struct sim *s, struct gm_txn *txn, struct sim_schedule *to)
{
	static const char *const groups[] = {"*", "g1", "g2 g3", "g?"};
	struct gm_schedule_spec *p = &to->spec;
	char name[GM_SCHEDULE_NAME_MAX + 1];

	snprintf(name, sizeof name, "%s", p->name);
	*p = gm_schedule_default();
	snprintf(p->name, sizeof p->name, "%s", name);
	snprintf(p->groups, sizeof p->groups, "%s", groups[sim_below(&s->dice, 4)]);
	p->at_s = sim_below(&s->dice, GM_DAY_S);
	p->window_s = 60 + sim_below(&s->dice, 600);
	p->pace = sim_chance(&s->dice, 3000) ? 20 + sim_below(&s->dice, 100) : 0;
	p->late_most = sim_chance(&s->dice, 5000) ? 1000 : 20;
	p->at_once = 1 + sim_below(&s->dice, 4);
	to->state = SIM_IN;
	return gm_core_schedule_set(s->turns.core, txn, p);
}

static enum gm_err do_remove(struct sim *s, struct gm_txn *txn, struct sim_schedule *to)
{
	to->state = SIM_GONE;
	to->held = false;
	return gm_core_schedule_remove(s->turns.core, txn, to->spec.name);
}

static enum gm_err do_run(struct sim *s, struct gm_txn *txn, struct sim_schedule *to)
{
	return gm_core_schedule_run(s->turns.core, txn, to->spec.name);
}

static enum gm_err do_pause(struct sim *s, struct gm_txn *txn, struct sim_schedule *to)
{
	to->held = true;
	return gm_core_schedule_pause(s->turns.core, txn, to->spec.name);
}

static enum gm_err do_resume(struct sim *s, struct gm_txn *txn, struct sim_schedule *to)
{
	to->held = false;
	return gm_core_schedule_resume(s->turns.core, txn, to->spec.name);
}

static enum gm_err (*const doings[])(struct sim *s, struct gm_txn *txn, struct sim_schedule *to) = {
	do_set, do_remove, do_pause, do_resume, do_run, do_run, do_run,
};

bool sim_schedule_do(struct sim *s, struct sim_command *c)
{
	struct sim_model *m = &s->model;
	struct gm_txn txn;

	c->schedule = sim_below(&s->dice, SIM_SCHEDULES);
	struct sim_schedule *to = &m->schedule_to[c->schedule];
	*to = m->schedule[c->schedule];
	name_of(to->spec.name, c->schedule);
	unsigned what = to->state == SIM_IN ? sim_below(&s->dice, sizeof doings / sizeof *doings) : 0;
	m->schedule_open[c->schedule] = true;
	gm_turns_txn(&s->turns, &txn);
	c->err = doings[what](s, &txn, to);
	if (c->err != GM_E_OK)
		*to = m->schedule[c->schedule];
	return true;
}

void sim_schedule_answered(struct sim *s, const struct sim_command *c)
{
	s->model.schedule[c->schedule] = s->model.schedule_to[c->schedule];
	s->model.schedule_open[c->schedule] = false;
}

/* ---- what is so */

static void check(struct sim *s, unsigned i)
{
	struct sim_schedule *known = &s->model.schedule[i], now = {.state = SIM_GONE};
	char name[8];
	struct gm_txn txn;

	name_of(name, i);
	gm_turns_txn(&s->turns, &txn);
	(void)!gm_core_schedules(s->turns.core, &txn, name, take, &now);
	sim_counts.schedule_checks += now.state == SIM_IN;
	if (s->model.schedule_open[i] && same(&now, &s->model.schedule_to[i]))
		*known = s->model.schedule_to[i]; /* into a crash, but kept */
	s->model.schedule_open[i] = false;
	if (!same(&now, known))
		sim_fail(s, "schedule %s is not as was acknowledged: there %d, held %d; acknowledged: there %d, held %d", name,
		         now.state == SIM_IN, now.held, known->state == SIM_IN, known->held);
}

void sim_schedules_check(struct sim *s)
{
	for (unsigned i = 0; i < SIM_SCHEDULES && !s->fault[0]; i++)
		check(s, i);
}
