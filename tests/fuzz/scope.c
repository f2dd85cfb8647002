/* SPDX-License-Identifier: Apache-2.0 */
/* A scope: one that passed the check can be walked to its end, and allows what its entries say and nothing for
 * strangers. */
#include "insist.h"

#include "wire/cwt.h"

static uint32_t walk(struct gm_bytes scope)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;
	uint32_t n = 0;

	for (; gm_scope_next(&it, &e); n++) {
		insist((e.perm & ~GM_ROLES_ALL) == 0);
		if (!e.admin && e.perm)
			insist(gm_scope_allows(scope, e.name, e.perm) && gm_scope_allows(scope, e.name, 0));
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t stranger[] = "\xff not UTF-8";
	struct gm_bytes scope = {data, size};
	uint64_t announced = gm_scope_iter(scope).left;
	bool good = gm_scope_check(scope) == GM_E_OK;

	insist(!good || walk(scope) == announced);
	insist(good || walk(scope) <= announced); /* also without the check nothing is read that is not there */
	insist(!gm_scope_allows(scope, (struct gm_bytes){stranger, sizeof stranger - 1}, 0));
	return 0;
}
