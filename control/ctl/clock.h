/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_CTL_CLOCK_H
#define GM_CTL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t gm_clock_ms(void) /* monotonic, from any start */
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
