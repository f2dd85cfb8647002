/* SPDX-License-Identifier: Apache-2.0 */
/* From when on entries of the audit log are kept, by a clock that somebody may have set, or that started wrong. The hour in which it has to be
 * right outlives a restart of gmd, for the other clock does; not one of the machine. */
#ifndef GM_AGE_H
#define GM_AGE_H

#include <stdint.h>

#define GM_AGE_STEP_MS 3600000u /* in which the clock has to agree with the time that passed */
#define GM_AGE_STEP_S 86400     /* then so much goes at most */
#define GM_AGE_SET_S 300        /* that far off it was set */

struct gm_age { /* zeros at first */
	int64_t wall_s; /* when the step began; 0: none has */
	uint64_t mono_ms;
	int64_t since_s; /* 0: nothing may go yet */
};

/* keep: days, 0: for ever. oldest_s: of the entries, INT64_MAX: there is none. What is older than the result may go; 0: nothing. */
int64_t gm_age_since(struct gm_age *age, int64_t wall_s, uint64_t mono_ms, uint32_t keep, int64_t oldest_s);

#endif
