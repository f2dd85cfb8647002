/* SPDX-License-Identifier: Apache-2.0 */
#include "store/age.h"

#include <stdbool.h>

/* Was it set since the step began? A clock that is right is adjusted by little, and runs as the other one. */
static bool agrees(const struct gm_age *age, int64_t wall_s, uint64_t mono_ms)
{
	int64_t off = wall_s - age->wall_s - (int64_t)((mono_ms - age->mono_ms) / 1000);

	return age->wall_s && off <= GM_AGE_SET_S && off >= -GM_AGE_SET_S;
}

int64_t gm_age_since(struct gm_age *age, int64_t wall_s, uint64_t mono_ms, uint32_t keep, int64_t oldest_s)
{
	const int64_t wanted = wall_s - keep * (int64_t)86400;
	bool good = agrees(age, wall_s, mono_ms);

	if (good && mono_ms - age->mono_ms >= GM_AGE_STEP_MS && oldest_s < wanted) {
		age->since_s = oldest_s + GM_AGE_STEP_S;
		good = false; /* the next step begins */
	}
	if (!good) {
		age->wall_s = wall_s;
		age->mono_ms = mono_ms;
	}
	if (!keep)
		return 0;
	return age->since_s < wanted ? age->since_s : wanted;
}
