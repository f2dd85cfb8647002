/* SPDX-License-Identifier: Apache-2.0 */
/* For qsort(), the smallest first. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

#include <stdint.h>

static inline int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline int by_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

#endif
