/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: members talk to each other. */
#include "load.h"

#include <stdlib.h>

static uint32_t draw_for(void *arg, uint32_t below)
{
	return load_draw(arg, below);
}

bool load_cmd_traffic(struct load *l, const struct words *c, json_t *result)
{
	unsigned sample = (unsigned)load_number(load_option(c, "--sample", "20"), 20);
	struct gm_traffic sum = {0};
	for (unsigned g = 0; g < l->fleet.env.groups_n; g++) {
		if (load_operand(c, 0) && load_known_group(l, load_operand(c, 0)) != (int)g)
			continue;
		struct gm_traffic t = gm_traffic_sample(&l->fleet, (int)g, sample, draw_for, l);
		fprintf(stderr,
		        "  %s: %u pairs, %u in group mode, %u pairwise, %u monitors read, %u attempts with old keys "
		        "refused\n",
		        l->fleet.groups[g].name, t.pairs, t.group_mode, t.pairwise_mode, t.monitors,
		        t.old_keys_refused);
		sum.pairs += t.pairs;
		sum.group_mode += t.group_mode;
		sum.pairwise_mode += t.pairwise_mode;
		sum.monitors += t.monitors;
		sum.old_keys_refused += t.old_keys_refused;
		sum.learned += t.learned;
		sum.given += t.given;
	}
	load_put_int(result, "pairs", sum.pairs);
	load_put_int(result, "group_mode", sum.group_mode);
	load_put_int(result, "pairwise_mode", sum.pairwise_mode);
	load_put_int(result, "monitors", sum.monitors);
	load_put_int(result, "old_keys_refused", sum.old_keys_refused);
	load_put_int(result, "peer_keys_learned", sum.learned);
	load_put_int(result, "peer_keys_given", sum.given);
	return sum.pairs > 0 || load_complain(result, "traffic: no pair of requester and responder with the newest keys");
}

bool load_cmd_learn(struct load *l, const struct words *c, json_t *result)
{
	int group = load_known_group(l, load_operand(c, 0));
	struct load_chosen who = load_choose(l, group, GM_MEMBER_IN, (size_t)load_number(load_option(c, "--sample", "2"), 2));
	size_t peers = 0;
	bool ok = who.list && group >= 0 && who.n && load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_CREDS));
	for (size_t i = 0; who.list && !ok && i < who.n; i++)
		l->fleet.members[who.list[i]].want_creds = true;
	if (!ok && who.n) /* a re-join brings them along */
		ok = load_run_list(l, result, who.list, who.n, GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE));
	for (size_t i = 0; who.list && i < who.n; i++) {
		l->fleet.members[who.list[i]].want_creds = false;
		peers += l->fleet.members[who.list[i]].peers_n;
	}
	load_put_int(result, "peers", peers);
	free(who.list);
	return ok;
}

static bool parse_sid(struct gm_ping *p, const char *hex)
{
	size_t n = strlen(hex) / 2;
	if (strlen(hex) % 2 || !n || n > sizeof(p->sid))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		p->sid[i] = (uint8_t)v;
	}
	p->sid_n = (uint8_t)n;
	return true;
}

static struct gm_member *a_requester(struct load *l, int group)
{
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		struct gm_member *m = &l->fleet.members[i];
		if (m->group == group && m->state == GM_MEMBER_IN && m->has_keys && m->roles & GM_ROLE_REQUESTER)
			return m;
	}
	return NULL;
}

bool load_cmd_ping(struct load *l, const struct words *c, json_t *result)
{
	int group = load_known_group(l, load_operand(c, 0));
	const char *mode = load_operand(c, 3), *from = load_option(c, "--from", NULL);
	struct gm_ping p = {.payload = load_option(c, "--payload", NULL)};
	if (group < 0 || !mode || !gm_addr_parse(&p.to, load_operand(c, 1)) || !p.to.port || !parse_sid(&p, load_operand(c, 2)) ||
	    (strcmp(mode, "group") != 0 && strcmp(mode, "pairwise") != 0))
		return load_complain(result, "ping GROUP IP:PORT SID group|pairwise");
	p.pairwise = strcmp(mode, "pairwise") == 0;
	p.from = from ? load_find_node(l, from) : a_requester(l, group);
	if (!p.from)
		return load_complain(result, "ping: no requester in that group");
	if (!gm_traffic_peer(&l->fleet, (unsigned)group, (struct gm_bytes){p.sid, p.sid_n})) {
		gm_fleet_run(&l->fleet, &p.from->index, 1, GM_PLAN(GM_OP_CREDS), 1, 0);
	}
	bool ok = gm_ping(&l->fleet, &p, 10000);
	json_object_set_new(result, "from", json_string(p.from->node));
	json_object_set_new(result, "ms", json_real((double)p.took_ns / 1e6));
	return ok || load_complain(result, p.fault);
}
