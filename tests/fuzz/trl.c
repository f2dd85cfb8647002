/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of revoked tokens: all of one or nothing is told, and only hashes. */
#include "insist.h"

#include "wire/trl.h"

static void each(void *arg, enum gm_trl_op op, struct gm_bytes hash)
{
	insist(hash.n == 33 && hash.p && (op == GM_TRL_LISTED || op == GM_TRL_REMOVED));
	++*(unsigned *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_bytes body = {data, size};
	struct gm_trl trl;
	unsigned told = 0, id = 0;
	uint64_t cursor = 0;
	bool has = false;

	enum gm_err err = gm_trl_decode(body, &trl, each, &told);
	insist(err == GM_E_OK ? 33 * told <= size && trl.entries <= GM_TRL_DIFF_MAX && !(trl.full && trl.entries) : told == 0);
	insist(gm_trl_error_decode(body, &id, &has, &cursor) || !has || size);
	return 0;
}
