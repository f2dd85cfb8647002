/* SPDX-License-Identifier: Apache-2.0 */
#include "core_poke.h"

#include <criterion/criterion.h>

#include "core/config_change.h"

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

void core_poke_patch(struct gm_core *core, struct gm_txn *txn, const struct gm_admin_map *changes)
{
	struct gm_turn t = {core, txn};
	enum gm_err err = gm_config_patch(&t, gm_groups_at(core, 0), changes).err;

	cr_assert_eq(err, GM_E_OK, "%s", gm_err_info(err)->text);
}
