/* SPDX-License-Identifier: Apache-2.0 */
/* Stored records, as another version, or a disk, may have left them: each is taken or called damaged, and a core that took them
 * starts and ticks. Input: records of table, length of key, length of value in two bytes, key, value. */
#include "insist.h"

#include "core/core.h"
#include "gm/crypto.h"

static bool load(struct gm_core *core, struct gm_in *in)
{
	uint8_t table = gm_in_u8(in);
	size_t key_n = gm_in_u8(in), value_n = gm_in_u16_be(in);
	struct gm_bytes key = gm_in_take(in, key_n), value = gm_in_take(in, value_n);

	if (in->err != GM_E_OK || table >= GM_TABLE_N || key_n > GM_KEY_MAX)
		return false;
	return gm_core_load(core, (enum gm_table)table, key, value) == GM_E_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct gm_core_config config = {.workers = 1,
	                                .contexts_max = 64,
	                                .members_max = 64,
	                                .groups_max = 8,
	                                .pending_per_token = 4,
	                                .pending_s = 60,
	                                .distribution_max_ms = 30000,
	                                .audience = "gm.test"};
	struct gm_changes changes = {0};
	struct gm_effects effects = {.workers = 1};
	struct gm_txn t = {.wall_s = 1700000000, .mono_ms = 1000, .changes = &changes, .effects = &effects};
	struct gm_in in = gm_in(data, size);
	bool good = true;

	insist(started || gm_crypto_init());
	started = true;
	struct gm_core *core = gm_core_new(&config);
	insist(core);
	while (good && gm_in_left(&in))
		good = load(core, &in);
	if (good) {
		while (gm_core_loaded(core, &t))
			gm_effects_reset(&effects);
		gm_core_tick(core, &t);
	}
	gm_core_free(core);
	gm_changes_free(&changes);
	gm_effects_free(&effects);
	return 0;
}
