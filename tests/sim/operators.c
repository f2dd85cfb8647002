/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do, in the place of a turn where the control socket is served: before its commit; what they were told
 * counts after it. */
#include "sim.h"

#define OP_EVERY 250u /* in ten thousand turns */
#define DRAINED_FOR 300u /* likewise */

/* ---- what may be true from now on, and what is */

static void unsure(struct sim *s, struct sim_node *n)
{
	if (n->state == SIM_IN)
		n->state = SIM_UNSURE;
	n->unsure_at = s->model.clock;
}

static void gone(struct sim_node *n, uint64_t version)
{
	n->state = SIM_GONE;
	n->gone_version = version < n->gone_version ? version : n->gone_version;
}

static bool is_of(const struct sim_node *n, const struct sim *s, unsigned member)
{
	return n->member == member && n->ident == s->member[member].idents;
}

static void mark(struct sim *s, const struct sim_command *c, bool done)
{
	for (uint32_t i = 0; i < s->model.nodes; i++) {
		struct sim_node *n = &s->model.node[i];
		bool meant = (c->what == SIM_OP_EVICT && i == c->node) || (c->what == SIM_OP_REVOKE && is_of(n, s, c->member)) ||
		             (c->what == SIM_OP_DELETE && n->group == c->group);
		if (meant && done)
			gone(n, c->version);
		else if (meant)
			unsure(s, n);
	}
}

static bool take_version(void *arg, const struct gm_group_info *g)
{
	*(uint64_t *)arg = g->version;
	return false;
}

static uint64_t version_of(const struct sim *s, const char *group)
{
	uint64_t version = UINT64_MAX;

	(void)!gm_core_groups(s->turns.core, group, take_version, &version);
	return version;
}

/* ---- the commands */

enum gm_err sim_group_create(struct sim *s, uint16_t *index)
{
	struct gm_group_spec spec = gm_group_spec_default();
	struct gm_txn txn;
	bool short_sids;

	spec.active = true;
	spec.params = sim_kind(s, &short_sids);
	spec.max_members = 1 + sim_below(&s->dice, 3) * 100; /* Sender IDs of one byte or two */
	if (short_sids || spec.max_members < 2 * s->members_n)
		spec.max_members = 2 * s->members_n;
	spec.max_stale_sets = 2 + sim_below(&s->dice, 4);
	spec.backward = (enum gm_backward)sim_below(&s->dice, 3);
	spec.rekey_every_s = sim_chance(&s->dice, 3000) ? 150 + sim_below(&s->dice, 300) : 0;
	*index = sim_group_new(s, &(struct sim_config){.params = spec.params, .max_stale_sets = spec.max_stale_sets, .active = true});
	if (*index == SIM_GROUPS)
		return GM_E_FULL;
	snprintf(spec.name, sizeof spec.name, "%s", s->model.group[*index].name);
	gm_turns_txn(&s->turns, &txn);
	return gm_core_group_create(s->turns.core, &txn, &spec);
}

static bool do_create(struct sim *s, struct sim_command *c)
{
	c->err = sim_group_create(s, &c->group);
	return c->group < SIM_GROUPS;
}

static bool do_rekey(struct sim *s, struct sim_command *c)
{
	struct gm_txn txn;

	gm_turns_txn(&s->turns, &txn);
	c->err = gm_core_rekey(s->turns.core, &txn, s->model.group[c->group].name, c->compromised);
	return true;
}

static bool pick_node(struct sim *s, struct sim_command *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->model.nodes; i++)
		if (s->model.node[i].seen && s->model.node[i].state != SIM_GONE && sim_below(&s->dice, ++n) == 0)
			c->node = i;
	return n > 0;
}

static bool do_evict(struct sim *s, struct sim_command *c)
{
	struct gm_txn txn;

	if (!pick_node(s, c))
		return false;
	const struct sim_node *n = &s->model.node[c->node];
	char device[64];
	const char *group = s->model.group[n->group].name;
	bool of_all = sim_chance(&s->dice, 3000);
	snprintf(device, sizeof device, "%s/%s", group, n->name);
	struct gm_evict_spec spec = {.group = of_all ? NULL : group, .node = of_all ? device : n->name,
	                             .compromised = c->compromised, .allow_return = c->allow_return};
	c->member = n->member < SIM_MEMBERS && is_of(n, s, n->member) ? n->member : SIM_MEMBERS;
	c->version = version_of(s, group);
	if (c->member < SIM_MEMBERS && !c->allow_return)
		s->member[c->member].ident.suspect = true;
	mark(s, c, false);
	gm_turns_txn(&s->turns, &txn);
	c->err = gm_core_evict(s->turns.core, &txn, &spec, &c->count);
	return true;
}

static bool do_revoke(struct sim *s, struct sim_command *c)
{
	struct gm_txn txn;

	c->member = sim_below(&s->dice, s->members_n);
	struct sim_member *sm = &s->member[c->member];
	c->version = version_of(s, s->model.group[sm->ident.group].name);
	sm->ident.suspect = true;
	mark(s, c, false);
	gm_turns_txn(&s->turns, &txn);
	c->err = gm_core_revoke(s->turns.core, &txn, (struct gm_bytes){sm->ident.hash, sizeof sm->ident.hash}, &c->count);
	return true;
}

static bool do_delete(struct sim *s, struct sim_command *c)
{
	struct gm_txn txn;

	if (sim_groups_staying(s) < 2)
		return false;
	c->version = version_of(s, s->model.group[c->group].name);
	mark(s, c, false);
	s->model.group[c->group].state = SIM_UNSURE;
	gm_turns_txn(&s->turns, &txn);
	c->err = gm_core_group_delete(s->turns.core, &txn, s->model.group[c->group].name);
	return true;
}

static bool do_set(struct sim *s, struct sim_command *c)
{
	struct sim_config to = s->model.group[c->group].config;
	struct gm_admin_map map = {0};
	const char *why;
	struct gm_txn txn;

	if (sim_chance(&s->dice, 5000)) {
		map.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE);
		map.active = to.active = !to.active;
	} else {
		map.has = GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS);
		map.max_stale_sets = to.max_stale_sets = 2 + sim_below(&s->dice, 4);
	}
	sim_group_asked(s, c->group, &to, sim_ms(s));
	gm_turns_txn(&s->turns, &txn);
	c->err = gm_core_group_set(s->turns.core, &txn, s->model.group[c->group].name, &map, &why);
	return true;
}

/* Nobody new, until it is said again. */
static bool do_drain(struct sim *s, struct sim_command *c)
{
	(void)c;
	if (sim_broken != SIM_BREAK_DRAIN)
		gm_core_drain(s->turns.core, !s->model.drained_at);
	return true;
}

/* ---- the turn */

static const struct {
	const char *name;
	bool (*run)(struct sim *s, struct sim_command *c); /* false: nothing to do */
	unsigned weight;
	bool needs_group;
} commands[] = {
    [SIM_OP_REKEY] = {"rekey", do_rekey, 30, true},    [SIM_OP_EVICT] = {"evict", do_evict, 25, false},
    [SIM_OP_REVOKE] = {"revoke", do_revoke, 8, false}, [SIM_OP_CREATE] = {"create", do_create, 6, false},
    [SIM_OP_DELETE] = {"delete", do_delete, 3, true},  [SIM_OP_SET] = {"set", do_set, 12, true},
    [SIM_OP_SCHEDULE] = {"schedule", sim_schedule_do, 14, false}, [SIM_OP_DRAIN] = {"drain", do_drain, 3, false},
};

static unsigned pick_command(struct sim *s)
{
	unsigned sum = 0, what = SIM_OP_NONE;

	for (unsigned i = 1; i < sizeof commands / sizeof *commands; i++)
		if (sim_below(&s->dice, sum += commands[i].weight) < commands[i].weight)
			what = i;
	return what;
}

static bool pick_group(struct sim *s, struct sim_command *c)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < s->model.groups; i++)
		if (sim_group_free(s, i) && sim_below(&s->dice, ++n) == 0)
			c->group = i;
	return n > 0;
}

void sim_operator_turn(struct sim *s)
{
	struct sim_command *c = &s->command;

	*c = (struct sim_command){.group = SIM_GROUPS, .node = UINT32_MAX};
	bool drained_enough = s->model.drained_at && sim_chance(&s->dice, DRAINED_FOR);
	if (s->quiet || (!drained_enough && !sim_chance(&s->dice, OP_EVERY)))
		return;
	unsigned what = drained_enough ? SIM_OP_DRAIN : pick_command(s);
	c->what = (enum sim_op)what;
	c->compromised = sim_chance(&s->dice, 3000);
	c->allow_return = sim_chance(&s->dice, 6000);
	s->model.clock++;
	if ((commands[what].needs_group && !pick_group(s, c)) || !commands[what].run(s, c)) {
		c->what = SIM_OP_NONE;
		return;
	}
	sim_say(s, "operator: %s group %u node %s member %u%s%s: %s", commands[what].name, c->group + 1u,
	        c->node == UINT32_MAX ? "-" : s->model.node[c->node].name, c->member, c->compromised ? " compromised" : "",
	        c->allow_return ? " may return" : "", gm_err_info(c->err)->text);
}

static void count(const struct sim_command *c)
{
	uint64_t *const counts[] = {
	    [SIM_OP_REKEY] = c->compromised ? &sim_counts.op_compromises : &sim_counts.op_rekeys,
	    [SIM_OP_EVICT] = c->allow_return ? &sim_counts.op_evictions : &sim_counts.op_barred,
	    [SIM_OP_REVOKE] = &sim_counts.op_revocations, [SIM_OP_CREATE] = &sim_counts.op_creations,
	    [SIM_OP_DELETE] = &sim_counts.op_deletions, [SIM_OP_SET] = &sim_counts.op_settings,
	    [SIM_OP_SCHEDULE] = &sim_counts.op_schedules, [SIM_OP_DRAIN] = &sim_counts.op_drains,
	};
	++*counts[c->what];
}

void sim_operator_answered(struct sim *s)
{
	struct sim_command *c = &s->command;

	if (c->what == SIM_OP_NONE)
		return;
	count(c);
	s->model.clock++;
	if (c->err == GM_E_OK)
		mark(s, c, true);
	if (c->what == SIM_OP_CREATE)
		s->model.group[c->group].state = c->err == GM_E_OK ? SIM_IN : SIM_GONE;
	if (c->what == SIM_OP_DELETE) {
		s->model.group[c->group].state = c->err == GM_E_OK ? SIM_GONE : SIM_IN;
		s->model.group[c->group].version = c->version; /* of the same turn's rekey, it may be */
	}
	if (c->what == SIM_OP_SET && c->err == GM_E_OK)
		s->model.group[c->group].config = s->model.group[c->group].asked;
	if (c->what == SIM_OP_DRAIN)
		s->model.drained_at = s->model.drained_at ? 0 : s->model.clock;
	if (c->what == SIM_OP_SCHEDULE)
		sim_schedule_answered(s, c);
	if (c->err == GM_E_OK && c->what == SIM_OP_REVOKE)
		s->member[c->member].ident.revoked_at = s->model.clock;
	if (c->err == GM_E_OK && c->what == SIM_OP_EVICT && !c->allow_return && c->member < SIM_MEMBERS)
		s->member[c->member].ident.barred_at = s->model.clock;
	c->what = SIM_OP_NONE;
}

void sim_operator_lost(struct sim *s)
{
	if (s->command.what == SIM_OP_NONE)
		return;
	sim_counts.op_lost++;
	s->command.what = SIM_OP_NONE;
}
