/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the acceptance rule that reads bytes alone; the door states the whole. Everything in it is public. */
#ifndef GM_ED25519_RULE_H
#define GM_ED25519_RULE_H

#include <gm/crypto.h>
#include <string.h>

struct words32 {
	uint64_t w[4]; /* least first */
};

static inline struct words32 words32_of(const uint8_t bytes[static 32])
{
	struct words32 r;

	memcpy(r.w, bytes, sizeof(r.w));
	return r;
}

static inline bool words32_less(struct words32 a, struct words32 b)
{
	for (unsigned i = 4; i-- > 0;)
		if (a.w[i] != b.w[i])
			return a.w[i] < b.w[i];
	return false;
}

static inline bool words32_equal(struct words32 a, struct words32 b)
{
	return ((a.w[0] ^ b.w[0]) | (a.w[1] ^ b.w[1]) | (a.w[2] ^ b.w[2]) | (a.w[3] ^ b.w[3])) == 0;
}

/* y < p and y not that of one of the eight points of small order. That leaves no x = 0, whose sign could be wrong. */
static inline bool point_well_formed(const uint8_t bytes[static 32])
{
	static const struct words32 p = {{0xffffffffffffffed, UINT64_MAX, UINT64_MAX, 0x7fffffffffffffff}};
	static const struct words32 small[] = {
	    {{0}},
	    {{1}},
	    {{0xffffffffffffffec, UINT64_MAX, UINT64_MAX, 0x7fffffffffffffff}},
	    {{0xb027b2c28f95e826, 0xf098eff289f4c345, 0x3933c6d305acdfd5, 0x05fc536d880238b1}},
	    {{0x4fd84d3d706a17c7, 0x0f67100d760b3cba, 0xc6cc392cfa53202a, 0x7a03ac9277fdc74e}},
	};
	struct words32 y = words32_of(bytes);
	bool found = false;

	y.w[3] &= 0x7fffffffffffffff;
	for (unsigned i = 0; i < sizeof(small) / sizeof(small[0]); i++)
		found |= words32_equal(y, small[i]);
	return !found && words32_less(y, p);
}

/* What can be said of a job without the curve: S < L, A and R canonical and not of small order */
static inline bool job_well_formed(const struct gm_ed25519_job *job)
{
	static const struct words32 order = {{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};

	return words32_less(words32_of(job->sig + 32), order) && point_well_formed(job->pub) &&
	       point_well_formed(job->sig);
}

#endif
