/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody should look at: a row for each question, "ok" or "degraded". */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <string.h>

#include "core/schedule.h"
#include "gm/pages.h"

struct ill { /* servers whose link does not answer, members that are late */
	unsigned servers, members, groups;
	char names[128]; /* of the first */
};

static void row(struct gm_ctl_call *call, const char *what, bool good, const char *detail)
{
	struct gm_ctl_reply *r = call->reply;

	gm_ctl_put_text(r, "what", what);
	gm_ctl_put_text(r, "state", good ? "ok" : "degraded");
	gm_ctl_put_text(r, "detail", detail);
	gm_ctl_row(r);
	call->more |= !good;
}

static void add_name(struct ill *ill, const char *name)
{
	size_t n = strlen(ill->names);

	if (n + strlen(name) + 2 < sizeof(ill->names))
		snprintf(ill->names + n, sizeof(ill->names) - n, "%s%s", n ? " " : "", name);
}

static bool see_server(void *arg, const struct gm_as_info *as)
{
	struct ill *ill = arg;

	if (!as->has_link || strcmp(as->trl_state, "failing") != 0)
		return true;
	ill->servers++;
	add_name(ill, as->name);
	return true;
}

/* [0]: groups with late members, [1]: those whose rekey is paused */
static bool see_group(void *arg, const struct gm_group_info *g)
{
	const bool is[2] = {g->late != 0, strcmp(g->state, "paused") == 0};
	struct ill *ills = arg;

	for (unsigned i = 0; i < 2; i++) {
		if (!is[i])
			continue;
		ills[i].groups++;
		add_name(&ills[i], g->name);
	}
	ills[0].members += g->late;
	return true;
}

static void servers(struct gm_ctl_call *call)
{
	struct ill ill = {0};
	char detail[256];

	gm_core_ases(call->env->core, see_server, &ill);
	snprintf(detail, sizeof(detail), ill.servers ? "%u cannot be reached: %s" : "none is failing", ill.servers, ill.names);
	row(call, "authorization servers", !ill.servers, detail);
}

static void groups(struct gm_ctl_call *call)
{
	struct ill ills[2] = {0}, *late = &ills[0], *paused = &ills[1];
	char detail[256];

	gm_core_groups_behind(call->env->core, UINT32_MAX, see_group, ills);
	snprintf(detail, sizeof(detail), late->groups ? "%u in %u groups: %s" : "none", late->members, late->groups, late->names);
	row(call, "late members", !late->groups, detail);
	snprintf(detail, sizeof(detail), paused->groups ? "paused, gmctl rekey resume: %s" : "none is paused", paused->names);
	row(call, "rekeys", !paused->groups, detail);
}

static bool see_schedule(void *arg, const struct gm_schedule_info *s)
{
	struct ill *ill = arg;

	if (strcmp(s->state, "stopped") != 0)
		return true;
	ill->groups++;
	add_name(ill, s->spec->name);
	return true;
}

static void schedules(struct gm_ctl_call *call)
{
	struct ill ill = {0};
	char detail[256];

	if (gm_core_schedules(call->env->core, &call->txn, NULL, see_schedule, &ill) != GM_E_OK)
		ill = (struct ill){0};
	snprintf(detail, sizeof(detail), ill.groups ? "stopped, too many were late: %.*s" : "none has stopped", (int)sizeof(ill.names), ill.names);
	row(call, "schedules", !ill.groups, detail);
}

static void limits(struct gm_ctl_call *call)
{
	const struct gm_core_config *config = gm_core_settings(call->env->core);
	const struct gm_core_status s = gm_call_core(call);
	const struct {
		const char *what;
		unsigned used, max;
	} rows[] = {{"contexts", s.contexts, config->contexts_max},
	            {"members", s.members, config->members_max},
	            {"groups", s.groups, config->groups_max}};
	char detail[64];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(detail, sizeof(detail), "%u of %u", rows[i].used, rows[i].max);
		row(call, rows[i].what, rows[i].used < rows[i].max - rows[i].max / 20, detail);
	}
}

/* gmctl takes its exit code from the state in the end. */
void gm_verb_health(struct gm_ctl_call *call)
{
	uint64_t backlog = call->env->turn->backlog_bytes;
	struct gm_pages_stats pages = gm_pages_stats();
	char detail[64];

	row(call, "newcomers", !gm_core_drains(call->env->core), gm_core_drains(call->env->core) ? "refused: gmctl undrain" : "let in");
	servers(call);
	groups(call);
	schedules(call);
	limits(call);
	snprintf(detail, sizeof(detail), "%llu bytes wait for the workers", (unsigned long long)backlog);
	row(call, "backlog", backlog == 0, detail);
	row(call, "secrets", pages.unlocked == 0, pages.unlocked ? "beyond the limit of locked memory" : "in locked memory");
	gm_ctl_put_text(call->reply, "state", call->more ? "degraded" : "ok");
	gm_ctl_end(call->reply);
}
