/* SPDX-License-Identifier: Apache-2.0 */
/* A hashed timer wheel of one-millisecond ticks. One thread. */
#ifndef GM_WORK_WHEEL_H
#define GM_WORK_WHEEL_H

#include "gm/slab.h"

#define GM_WHEEL_SLOTS 4096u

struct gm_wheel {
	uint32_t slot[GM_WHEEL_SLOTS]; /* heads of lists of timers */
	uint64_t some[GM_WHEEL_SLOTS / 64]; /* bit i: slot i is not empty */
	struct gm_slab timers;
	uint64_t now_ms;
};

void gm_wheel_init(struct gm_wheel *w, uint32_t max, uint64_t now_ms);
void gm_wheel_free(struct gm_wheel *w);
/* Fires once at due_ms or the next turn after it. Returns the timer's handle, 0: full. */
uint32_t gm_wheel_add(struct gm_wheel *w, uint64_t due_ms, unsigned kind, uint32_t ref);
void gm_wheel_del(struct gm_wheel *w, uint32_t h); /* 0 does nothing */
/* Calls fire() for all that are due, with their timer already gone. */
void gm_wheel_run(struct gm_wheel *w, uint64_t now_ms, void (*fire)(void *arg, unsigned kind, uint32_t ref), void *arg);
/* Milliseconds until the next may be due, at most 1,000. */
uint64_t gm_wheel_next(const struct gm_wheel *w);

#endif
