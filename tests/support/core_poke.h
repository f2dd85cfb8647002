/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to group 0 of a core's state that a test needs and no command makes; changes and effects go to txn. */
#ifndef GM_TEST_CORE_POKE_H
#define GM_TEST_CORE_POKE_H

#include "core/core.h"

void core_poke_turn_active(struct gm_core *core, struct gm_txn *txn); /* active becomes inactive, or back */
void core_poke_only_pairwise(struct gm_core *core, struct gm_txn *txn);
/* As PATCH /manage/g1 does: nothing else of the turn is run, unlike by the operator's command. */
void core_poke_patch(struct gm_core *core, struct gm_txn *txn, const struct gm_admin_map *changes);

#endif
