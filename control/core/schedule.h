/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: groups get new keys at night, one after the other or some at once, within a window, no faster than a pace, and no further when
 * too many members are late. Core thread.
 *
 * A window opens when the local clock comes to its time, on its days, once on a day; it stays open for its length in real seconds, whatever
 * the local clock does meanwhile. A time that the local clock leaves out counts as come when the clock has passed it. A group that has got new
 * keys since the window opened, from whom ever, needs no others; so a stop in the middle repeats nothing. While gmd drains no group begins: the
 * window goes by, and what is left of it when that ends is used. */
#ifndef GM_CORE_SCHEDULE_H
#define GM_CORE_SCHEDULE_H

#include "core/core.h"

#define GM_SCHEDULES_MAX 64u
#define GM_SCHEDULE_NAME_MAX 31u
#define GM_SCHEDULE_GROUPS_MAX 255u
#define GM_SCHEDULE_AT_ONCE_MAX 256u
#define GM_DAY_S 86400u

struct gm_schedule_spec {
	char name[GM_SCHEDULE_NAME_MAX + 1];
	char groups[GM_SCHEDULE_GROUPS_MAX + 1]; /* names with * and ?, spaces between */
	uint32_t at_s;       /* after local midnight, below GM_DAY_S */
	uint8_t days;        /* bit 0: Monday */
	uint32_t window_s;   /* 60 to GM_DAY_S */
	uint32_t pace;       /* messages a second, over its groups; 0: no other than that of all */
	uint32_t late_most;  /* in a thousand of a group's members; with more of them late it pauses; 1,000: never */
	uint32_t at_once;    /* groups on their way together, from 1 */
};
bool gm_schedule_name_usable(const char *name); /* letters, digits and -._, no dash first */
struct gm_schedule_spec gm_schedule_default(void); /* of a new one: all groups, every day at 02:00 for two hours, 2 % */

struct gm_schedule_info {
	const struct gm_schedule_spec *spec;
	const char *state;   /* "waiting", "running", "drained": open while gmd drains, "paused" by hand, "stopped" because too many were late */
	const char *outcome; /* of the latest window, so far; empty: there was none */
	int64_t opened, ends, next; /* epoch seconds; 0: never */
	unsigned flying;            /* on their way */
};

/* Makes or replaces; what a window has done so far stays done. A time that has passed today counts from tomorrow on.
 * USAGE; FULL; DISK_FULL */
GM_NODISCARD enum gm_err gm_core_schedule_set(struct gm_core *core, struct gm_txn *txn, const struct gm_schedule_spec *spec);
GM_NODISCARD enum gm_err gm_core_schedule_remove(struct gm_core *core, struct gm_txn *txn, const char *name); /* UNKNOWN */
/* A window opens now, of the same length. UNKNOWN; BUSY: one is open; CONFLICT: paused, or gmd drains */
GM_NODISCARD enum gm_err gm_core_schedule_run(struct gm_core *core, struct gm_txn *txn, const char *name);
/* By hand: until resumed. Whether it stopped by itself or was paused, resume goes on in an open window, else waits for the next. */
GM_NODISCARD enum gm_err gm_core_schedule_pause(struct gm_core *core, struct gm_txn *txn, const char *name);
GM_NODISCARD enum gm_err gm_core_schedule_resume(struct gm_core *core, struct gm_txn *txn, const char *name);
/* name NULL: all; stops when each() returns false. UNKNOWN */
GM_NODISCARD enum gm_err gm_core_schedules(const struct gm_core *core, const struct gm_txn *txn, const char *name,
                                           bool (*each)(void *arg, const struct gm_schedule_info *info), void *arg);
struct gm_schedule_count { /* its groups, since its window opened; nothing before its first */
	unsigned done, paused;      /* with new keys; of these, with a distribution that is paused */
	unsigned left, passed_over; /* still to get them; of these, passed over because the distribution of those they have is paused */
};
/* Looks at all groups. false: no such schedule */
bool gm_core_schedule_count(const struct gm_core *core, const struct gm_txn *txn, const char *name, struct gm_schedule_count *n);

bool gm_schedule_names(const char *patterns, const char *group); /* does one of the patterns name it? */

#endif
