/* SPDX-License-Identifier: Apache-2.0 */
/* Which members a command is about. */
#include "load.h"

#include <stdlib.h>

/* Members in the group (-1: any) and state, in random order, at most max. The caller frees list. */
struct load_chosen load_choose(struct load *l, int group, unsigned state, size_t max)
{
	struct load_chosen c = {calloc(l->fleet.members_n + 1, sizeof(uint32_t)), 0};
	if (!c.list)
		return c;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		if ((group < 0 || m->group == group) && m->state == state)
			c.list[c.n++] = i;
	}
	for (size_t i = c.n; i > 1; i--) {
		size_t j = load_draw(l, (uint32_t)i);
		uint32_t swap = c.list[j];
		c.list[j] = c.list[i - 1];
		c.list[i - 1] = swap;
	}
	if (c.n > max)
		c.n = max;
	return c;
}

int load_known_group(const struct load *l, const char *name)
{
	for (unsigned i = 0; name && i < l->fleet.env.groups_n; i++)
		if (strcmp(l->fleet.groups[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* "n7", "g1/n7" or "#12", the member's index */
struct gm_member *load_find_node(struct load *l, const char *name)
{
	const char *slash = strrchr(name, '/');
	int group = -1;
	if (name[0] == '#') {
		unsigned long i = strtoul(name + 1, NULL, 10);
		return i < l->fleet.members_n ? &l->fleet.members[i] : NULL;
	}
	for (unsigned i = 0; slash && i < l->fleet.env.groups_n; i++)
		if (strlen(l->fleet.groups[i].name) == (size_t)(slash - name) &&
		    strncmp(l->fleet.groups[i].name, name, (size_t)(slash - name)) == 0)
			group = (int)i;
	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		struct gm_member *m = &l->fleet.members[i];
		if ((group < 0 || m->group == group) && strcmp(m->node, slash ? slash + 1 : name) == 0 && m->node_n)
			return m;
	}
	return NULL;
}

/* Members with a Sender ID, at most max. The caller frees list. */
struct load_chosen load_choose_endpoints(struct load *l, int group, size_t max)
{
	struct load_chosen who = load_choose(l, group, GM_MEMBER_IN, SIZE_MAX);
	size_t n = 0;
	for (size_t i = 0; i < who.n && n < max; i++)
		if (l->fleet.members[who.list[i]].sid_n)
			who.list[n++] = who.list[i];
	who.n = n;
	return who;
}

/* A random other member of its group that has a credential; NULL: there is none. */
const struct gm_member *load_somebody_else(struct load *l, const struct gm_member *m)
{
	uint32_t n = l->fleet.members_n, from = load_draw(l, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct gm_member *other = &l->fleet.members[(from + i) % n];
		if (other != m && other->group == m->group && other->state == GM_MEMBER_IN && other->sid_n)
			return other;
	}
	return NULL;
}

uint64_t load_newest(const struct load *l, int group)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < GM_FLEET_VERSIONS; i++)
		if (l->fleet.versions[group][i].ms_n && l->fleet.versions[group][i].version > v)
			v = l->fleet.versions[group][i].version;
	return v;
}
