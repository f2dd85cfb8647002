/* SPDX-License-Identifier: Apache-2.0 */
#include "groups.h"
#include "trial.h"
#include "ed25519/tables.h"

/* fastest first; the last one is usable everywhere */
static const struct gm_ed25519_variant *const variants[] = {
#ifdef __x86_64__
    &gm_ed25519_ifma,
    &gm_ed25519_avx512,
#endif
    &gm_ed25519_sodium,
};

static const struct gm_ed25519_variant *chosen = &gm_ed25519_sodium;

void gm_ed25519_pick(void)
{
	unsigned i = 0;

	gm_ed25519_tables_start();
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): libsodium's is the last one */
	while (variants[i] != &gm_ed25519_sodium && !(variants[i]->usable() && gm_ed25519_trial(variants[i])))
		i++;
	chosen = variants[i];
}

const char *gm_ed25519_picked(void)
{
	return chosen->name;
}

uint64_t gm_ed25519_verify_by(const struct gm_ed25519_variant *v, const struct gm_ed25519_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, v->least.verify);
	uint64_t good = first > 0 ? v->verify(jobs, first) : 0;

	if (first < n)
		good |= gm_ed25519_sodium.verify(jobs + first, n - first) << first;
	return good;
}

uint64_t gm_ed25519_verify(const struct gm_ed25519_job *jobs, unsigned n)
{
	return gm_ed25519_verify_by(chosen, jobs, n);
}

void gm_ed25519_sign(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, chosen->least.sign);

	if (first > 0)
		chosen->sign(jobs, first);
	if (first < n)
		gm_ed25519_sodium.sign(jobs + first, n - first);
}

void gm_ed25519_public_many(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, chosen->least.sign);

	if (first > 0)
		chosen->public(jobs, first);
	if (first < n)
		gm_ed25519_sodium.public(jobs + first, n - first);
}

unsigned gm_ed25519_verify_batch(uint64_t *good, const struct gm_ed25519_batch *batch)
{
	return gm_ed25519_batch_by(chosen, good, batch);
}

uint64_t gm_ed25519_points_from_keys(const struct gm_ed25519_point_job *jobs, unsigned n)
{
	const unsigned first = gm_in_lanes(n, chosen->least.verify);
	uint64_t good = first > 0 ? chosen->points(jobs, first) : 0;

	if (first < n)
		good |= gm_ed25519_single_points(jobs + first, n - first) << first;
	return good;
}
