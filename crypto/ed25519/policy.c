/* SPDX-License-Identifier: Apache-2.0 */
/* How many signatures to verify as one equation, and whose. Pure: what is known comes in and goes out. */
#include <gm/crypto.h>

#define WHOLE (UINT64_C(1) << 32)
#define ONE (UINT64_C(1) << 31) /* products of two fit */
#define MEMORY 4096u /* signatures after which a share is forgotten, but for 1/e of it */

/* What a signature costs in a batch of n, of 1,000 that it costs in a lane; bench ed25519_verify_batch */
static const struct {
	unsigned n, cost;
} sizes[] = {{64, 700}, {128, 600}, {256, 500}, {512, 430}, {1024, 380}, {2048, 360}, {4096, 350}};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* share^n, both of ONE */
static uint64_t power(uint64_t share, unsigned n)
{
	uint64_t r = ONE;

	for (; n > 0; n >>= 1) {
		if (n & 1)
			r = r * share / ONE;
		share = share * share / ONE;
	}
	return r;
}

/* Of a signature among n, of 1,000: the batch, and a lane as often as one of n is bad */
static unsigned expected_cost(unsigned cost, unsigned n, uint32_t bad)
{
	return cost + (unsigned)(1000 * (ONE - power(ONE - bad / 2, n)) / ONE);
}

unsigned gm_ed25519_policy_size(const struct gm_ed25519_policy *policy, unsigned waiting)
{
	unsigned least = 1000, best = 0;

	for (unsigned i = 0; i < SIZES && sizes[i].n <= waiting; i++) {
		const bool last = i + 1 == SIZES || sizes[i + 1].n > waiting; /* then all that wait, not some of them */
		const unsigned n = last && waiting < GM_ED25519_BATCH_MAX ? waiting : sizes[i].n;
		const unsigned cost = expected_cost(sizes[i].cost, n, policy->bad);

		if (cost < least) {
			least = cost;
			best = n;
		}
	}
	return best;
}

void gm_ed25519_policy_learn(struct gm_ed25519_policy *policy, unsigned n, unsigned bad)
{
	const uint64_t kept = (uint64_t)policy->bad * (MEMORY - (n < MEMORY ? n : MEMORY)) / MEMORY;
	const uint64_t share = kept + bad * WHOLE / MEMORY;

	policy->bad = share < WHOLE ? (uint32_t)share : UINT32_MAX;
}

uint8_t gm_ed25519_standing_after(uint8_t standing, bool good)
{
	if (!good)
		return GM_ED25519_PENANCE + 1;
	return standing > 1 ? standing - 1 : 1;
}

bool gm_ed25519_standing_batches(uint8_t standing)
{
	return standing == 1;
}
