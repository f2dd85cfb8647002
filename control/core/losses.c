/* SPDX-License-Identifier: Apache-2.0 */
/* What evictions would take: from identities to their memberships, so that nobody else's are looked at. */
#include <stdlib.h>

#include "core/state.h"

struct losses {
	const struct gm_core *core;
	uint32_t *of; /* going, by group */
};

static const struct gm_member *at(const struct gm_core *c, uint32_t id)
{
	return gm_slab_at(&c->members, id);
}

static void add(const struct losses *l, const struct gm_ident *ident)
{
	for (uint32_t id = ident->members; id; id = at(l->core, id)->next)
		l->of[at(l->core, id)->group]++;
}

static bool add_device(const struct losses *l, const char *device)
{
	uint32_t *idents;
	unsigned n = gm_evict_idents(l->core, device, &idents);

	for (unsigned i = 0; i < n; i++)
		add(l, gm_ident_at(l->core, idents[i]));
	free(idents);
	return n > 0;
}

static bool add_server(const struct losses *l, const char *name)
{
	const struct gm_core *c = l->core;
	uint32_t as_id = 0;

	for (unsigned i = 0; i < c->ases_n; i++)
		if (strcmp(c->ases[i].spec.name, name) == 0)
			as_id = c->ases[i].id;
	for (uint32_t id = 1; as_id && id <= c->idents.made; id++) {
		const struct gm_ident *ident = gm_ident_at(c, id);
		if (ident->self == id && ident->as_id == as_id)
			add(l, ident);
	}
	return as_id != 0;
}

static bool add_holder(const struct losses *l, struct gm_bytes hash)
{
	const struct gm_assoc *a = hash.n == GM_TOKEN_HASH ? gm_assoc_by_hash(l->core, 0, hash.p) : NULL;

	if (a)
		add(l, gm_ident_at(l->core, a->ident));
	return a != NULL;
}

bool gm_core_losses(const struct gm_core *core, const struct gm_whom *whom, void (*each)(void *arg, const struct gm_loss *loss), void *arg)
{
	size_t n = (core->groups_n + 1u) * sizeof(uint32_t);
	struct losses l = {core, gm_must_alloc(NULL, n)};

	memset(l.of, 0, n);
	bool known = whom->device ? add_device(&l, whom->device) : whom->as ? add_server(&l, whom->as) : add_holder(&l, whom->token);
	for (uint32_t i = 0; i < core->groups_n; i++) {
		const struct gm_group *g = core->groups[i];
		if (g && l.of[i])
			each(arg, &(struct gm_loss){.group = g->spec.name, .going = l.of[i], .members = g->members});
	}
	free(l.of);
	return known;
}
