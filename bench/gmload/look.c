/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: looking. */
#include "load.h"

#include <stdlib.h>

bool load_cmd_nodes(struct load *l, const struct words *c, json_t *result)
{
	int group = load_known_group(l, load_operand(c, 0));
	json_t *nodes = json_array();
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		char addr[GM_ADDR_TEXT];
		if (load_operand(c, 0) && m->group != group)
			continue;
		json_t *o = json_object();
		load_put_int(o, "member", i);
		json_object_set_new(o, "group", json_string(l->fleet.groups[m->group].name));
		json_object_set_new(o, "node", json_string(m->node_n ? m->node : ""));
		json_object_set_new(o, "state", json_string(gm_member_state_name(m->state)));
		json_object_set_new(o, "delivery", json_string(m->post ? "post" : m->observing ? "observe" : "poll"));
		json_object_set_new(o, "addr", json_string(gm_addr_text(&m->addr, addr)));
		load_put_hex(o, "sid", m->sid, m->sid_n);
		load_put_hex(o, "gid", m->keys.gid, m->keys.gid_n);
		load_put_int(o, "roles", m->roles);
		load_put_int(o, "version", m->has_keys ? m->keys.version : 0);
		if (m->sid_n)
			load_put_hex(o, "cred", m->own.cred, m->own.cred_n); /* as it was uploaded */
		json_array_append_new(nodes, o);
	}
	json_object_set_new(result, "nodes", nodes);
	return true;
}

bool load_cmd_status(struct load *l, const struct words *c, json_t *result)
{
	(void)c;
	const struct gm_member_stats *s = &l->fleet.env.stats;
	struct gm_port_stats port;
	uint64_t states[5] = {0};
	l->fleet.ops->stats(l->fleet.port, &port);
	for (uint32_t i = 0; i < l->fleet.members_n; i++)
		states[l->fleet.members[i].state]++;
	json_t *by = json_object();
	for (unsigned i = 0; i < 5; i++)
		load_put_int(by, gm_member_state_name(i), states[i]);
	json_object_set_new(result, "members", by);
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
	    {"requests", s->requests},
	    {"retransmitted", s->retransmitted},
	    {"timeouts", s->timeouts},
	    {"echoes", s->echoes},
	    {"separate", s->separate},
	    {"blocks", s->blocks},
	    {"duplicates", s->duplicates},
	    {"mid_reused", s->mid_reused},
	    {"ignored_versions", s->ignored_versions},
	    {"gaps", s->gaps},
	    {"undecryptable", s->undecryptable},
	    {"notices", s->notices},
	    {"strangers", s->strangers},
	    {"contexts", l->fleet.contexts_n},
	    {"rx", port.rx},
	    {"tx", port.tx},
	    {"tx_failed", port.tx_failed},
	    {"member_bytes", sizeof(struct gm_member)},
	    {"checks_failed_total", l->fleet.checks_failed},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		load_put_int(result, rows[i].name, rows[i].v);
	load_put_int(result, "port", l->fleet.first.port);
	json_object_set_new(result, "io", json_string(l->fleet.ops->name));
	return true;
}

bool load_cmd_dump_keys(struct load *l, const struct words *c, json_t *result)
{
	const char *path = load_operand(c, 0);
	FILE *file = path ? fopen(path, "a") : NULL;
	if (!file)
		return load_complain(result, "dump-keys: the file cannot be opened");
	for (size_t i = 0; i < l->fleet.contexts_n; i++)
		gm_fleet_write_context(file, &l->fleet, &l->fleet.contexts[i]);
	load_put_int(result, "contexts", l->fleet.contexts_n);
	return fclose(file) == 0;
}

bool load_cmd_sleep(struct load *l, const struct words *c, json_t *result)
{
	(void)result;
	uint64_t until = load_now_ns(l) + (uint64_t)(strtod(load_operand(c, 0) ? load_operand(c, 0) : "1", NULL) * 1e9);
	for (uint64_t now; (now = load_now_ns(l)) < until;)
		gm_fleet_turn(&l->fleet, (until - now) / 1000000u + 1);
	return true;
}

bool load_cmd_quit(struct load *l, const struct words *c, json_t *result)
{
	(void)c;
	(void)result;
	l->quit = true;
	return true;
}

bool load_cmd_loss(struct load *l, const struct words *c, json_t *result)
{
	double percent = load_operand(c, 0) ? strtod(load_operand(c, 0), NULL) : -1;
	if (!(percent >= 0 && percent < 100))
		return load_complain(result, "loss: how many of a hundred?");
	l->fleet.loss = (uint32_t)(percent / 100 * 4294967296.0);
	l->fleet.chance = (uint64_t)load_number(load_option(c, "--seed", "1"), 1);
	return true;
}
