/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <stdio.h>

#include "core/config_change.h"

void sim_inside_description(const struct gm_core *core, const char *group, char *text, size_t cap)
{
	const struct gm_group *g = gm_groups_find(core, (struct gm_bytes){(const uint8_t *)group, strlen(group)});

	text[0] = 0;
	if (g && g->about && g->about->described)
		snprintf(text, cap, "%.*s", (int)g->about->description_n, g->about->description);
}

bool sim_inside_revoked(const struct gm_core *core, uint32_t as_id, const uint8_t *hash)
{
	struct gm_revoked *found[2];

	return gm_revoked_of(core, as_id, hash, found) > 0;
}

void sim_inside_forget_kinds(struct gm_core *core)
{
	const int32_t usual = gm_group_params_default().alg;

	for (uint32_t i = 0; i < core->groups_n; i++) {
		struct gm_group *g = gm_groups_at(core, i);
		if (g && g->spec.params.pairwise_mode)
			g->spec.params.alg = usual;
	}
}
