/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: new keys, and one who does not get them. */
#include "load.h"

#include <stdlib.h>

#define LOOK_NS 10000000u /* at all members, for those who are behind */

bool load_cmd_poll(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen who = load_choose(l, load_known_group(l, load_operand(c, 0)), GM_MEMBER_IN, SIZE_MAX);
	size_t late = 0;
	bool all = strcmp(load_option(c, "--who", "late"), "all") == 0;
	for (size_t i = 0; i < who.n; i++) {
		const struct gm_member *m = &l->fleet.members[who.list[i]];
		if (all || !m->has_keys || m->keys.version < load_newest(l, m->group))
			who.list[late++] = who.list[i];
	}
	bool ok = who.list && load_run_list(l, result, who.list, late, GM_PLAN(GM_OP_GROUP));
	free(who.list);
	return ok;
}

static size_t behind(const struct load *l, int group, uint64_t version, size_t *all)
{
	size_t late = 0;
	*all = 0;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if (m->group != group || m->state != GM_MEMBER_IN)
			continue;
		++*all;
		late += !m->has_keys || m->keys.version < version;
	}
	return late;
}

bool load_cmd_await_rekey(struct load *l, const struct words *c, json_t *result)
{
	static const char *const hows[GM_HOW_N] = {"join", "post", "observe", "poll"};
	int group = load_known_group(l, load_operand(c, 0));
	uint64_t version = (uint64_t)load_number(load_operand(c, 1), 0), how[GM_HOW_N] = {0}, first = UINT64_MAX;
	uint64_t until = load_now_ns(l) + (uint64_t)load_number(load_option(c, "--timeout", "60"), 60) * 1000000000u;
	size_t all, late;
	struct gm_series latency = {0};
	if (group < 0)
		return load_complain(result, "await-rekey: no such group here");
	while ((late = behind(l, group, version, &all)) > 0 && load_now_ns(l) < until)
		for (uint64_t look = load_now_ns(l) + LOOK_NS; load_now_ns(l) < look;)
			gm_fleet_turn(&l->fleet, LOOK_NS / 1000000);
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < l->fleet.members_n; i++) {
			const struct gm_member *m = &l->fleet.members[i];
			if (m->group != group || m->state != GM_MEMBER_IN || !m->has_keys || m->keys.version < version)
				continue;
			if (pass == 0 && m->how != GM_HOW_JOIN && m->installed_ns < first)
				first = m->installed_ns;
			how[m->how] += pass == 1;
			if (pass == 1 && m->how != GM_HOW_JOIN)
				gm_series_add(&latency, m->installed_ns - first);
		}
	load_put_int(result, "members", all);
	load_put_int(result, "late", late);
	load_put_int(result, "version", load_newest(l, group));
	fprintf(stderr, "  %s: %zu members, %zu late\n", l->fleet.groups[group].name, all, late);
	for (unsigned h = 0; h < GM_HOW_N; h++)
		load_put_int(result, hows[h], how[h]);
	load_put_times(result, "rekey", &latency);
	gm_series_free(&latency);
	return late == 0;
}

/* ---- an evicted member */

/* One operation that has to be refused: 4.xx from the Group Manager. */
static void must_be_refused(struct load *l, struct gm_member *m, enum gm_member_op op, json_t *result, const char *what)
{
	char code[24];
	gm_fleet_run(&l->fleet, &m->index, 1, GM_PLAN(op), 1, 0);
	snprintf(code, sizeof(code), "%u.%02u", m->last_code >> 5, m->last_code & 31u);
	json_object_set_new(result, what, json_string(m->last_code ? code : "silence"));
	if (m->last_code >> 5 != 4)
		gm_fleet_fail(&l->fleet, m, what);
}

bool load_cmd_evicted_check(struct load *l, const struct words *c, json_t *result)
{
	struct gm_member *m = load_operand(c, 0) ? load_find_node(l, load_operand(c, 0)) : NULL;
	uint64_t until = load_now_ns(l) + (uint64_t)load_number(load_option(c, "--timeout", "30"), 30) * 1000000000u;
	if (!m)
		return load_complain(result, "evicted-check: no such node");
	while (!m->told && load_now_ns(l) < until)
		gm_fleet_turn(&l->fleet, 20);
	load_put_int(result, "member", m->index);
	json_object_set_new(result, "told", json_boolean(m->told));
	if (!m->told)
		gm_fleet_fail(&l->fleet, m, "the evicted member got no notice");
	load_put_int(result, "unreadable", gm_traffic_evicted(&l->fleet, m));
	must_be_refused(l, m, GM_OP_JOIN, result, "rejoin_refused");
	must_be_refused(l, m, GM_OP_NODE, result, "read_refused");
	must_be_refused(l, m, GM_OP_TOKEN, result, "repost_refused");
	m->state = GM_MEMBER_EVICTED;
	return true;
}
