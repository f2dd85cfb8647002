/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers with a page on either side that nobody may touch: the first byte read or written outside ends the test. */
#ifndef GM_GUARD_H
#define GM_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gm_guard {
	uint8_t *start;
	size_t cap; /* whole pages between the two that are closed */
};

struct gm_guard gm_guard_new(size_t cap);
/* len bytes that end where the closed page begins, or begin where the other one ends. */
uint8_t *gm_guard_at(const struct gm_guard *g, size_t len, bool at_end);
void gm_guard_free(struct gm_guard *g);

#endif
