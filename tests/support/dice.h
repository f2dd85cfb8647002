/* SPDX-License-Identifier: Apache-2.0 */
/* Random inputs that are the same in every run. */
#ifndef GM_DICE_H
#define GM_DICE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <gm/crypto.h>

struct gm_dice {
	uint8_t seed[32]; /* begin with different ones for different streams */
	uint32_t turn, at;
	uint32_t pool[256];
};

static inline uint32_t gm_roll(struct gm_dice *d, uint32_t below)
{
	if (d->at == 0) {
		d->turn++;
		memcpy(d->seed + 28, &d->turn, sizeof(d->turn));
		gm_random_from(d->pool, sizeof(d->pool), d->seed);
		d->at = 256;
	}
	return d->pool[--d->at] % below;
}

static inline void gm_roll_bytes(struct gm_dice *d, uint8_t *to, size_t n)
{
	while (n > 0)
		to[--n] = (uint8_t)gm_roll(d, 256);
}

/* How many jobs a random test shall do: GM_JOBS, or as many as suit a unit test. */
static inline unsigned long gm_jobs_wanted(unsigned long usually)
{
	const char *s = getenv("GM_JOBS");

	return s ? strtoul(s, NULL, 10) : usually;
}

#endif
