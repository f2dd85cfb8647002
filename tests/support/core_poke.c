/* SPDX-License-Identifier: Apache-2.0 */
#include "core_poke.h"

#include "core/state.h"

static void publish(struct gm_core *core, struct gm_txn *txn)
{
	struct gm_turn t = {core, txn};
	struct gm_group *g = gm_groups_at(core, 0);

	gm_record_put_group(&t, g);
	gm_tell_group(&t, g, false);
}

void core_poke_turn_active(struct gm_core *core, struct gm_txn *txn)
{
	struct gm_group *g = gm_groups_at(core, 0);

	g->spec.active = !g->spec.active;
	publish(core, txn);
}

void core_poke_only_pairwise(struct gm_core *core, struct gm_txn *txn)
{
	gm_groups_at(core, 0)->spec.params.group_mode = false;
	publish(core, txn);
}
