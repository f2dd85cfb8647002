/* SPDX-License-Identifier: Apache-2.0 */
#include "groups.h"
#include "trial.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_x25519_variant *const variants[] = {
#ifdef __x86_64__
    &gm_x25519_ifma,
    &gm_x25519_avx512,
#endif
    &gm_x25519_sodium,
};

static const struct gm_x25519_variant *chosen = &gm_x25519_sodium;

void gm_x25519_pick(void)
{
	unsigned i = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): libsodium's is the last one */
	while (variants[i] != &gm_x25519_sodium && !(variants[i]->usable() && gm_x25519_trial(variants[i])))
		i++;
	chosen = variants[i];
}

uint64_t gm_x25519_agree_by(const struct gm_x25519_variant *v, const struct gm_x25519_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, v->least);
	uint64_t good = first > 0 ? v->agree(jobs, first) : 0;

	if (first < n)
		good |= gm_x25519_sodium.agree(jobs + first, n - first) << first;
	return good;
}

uint64_t gm_x25519_map_by(const struct gm_x25519_variant *v, const struct gm_x25519_map_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, v->least);
	uint64_t good = first > 0 ? v->map(jobs, first) : 0;

	if (first < n)
		good |= gm_x25519_sodium.map(jobs + first, n - first) << first;
	return good;
}

const char *gm_x25519_picked(void)
{
	return chosen->name;
}

uint64_t gm_x25519_many(const struct gm_x25519_job *jobs, unsigned n)
{
	return gm_x25519_agree_by(chosen, jobs, n);
}

uint64_t gm_ed25519_to_x25519_pub_many(const struct gm_x25519_map_job *jobs, unsigned n)
{
	return gm_x25519_map_by(chosen, jobs, n);
}
