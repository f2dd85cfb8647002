/* SPDX-License-Identifier: Apache-2.0 */
/* What a turn of the core thread is made of: events into core, one durable write, then effects to the workers. gmd's
 * loop puts it together with poll and the control socket; tests/sim drives the same with clock, dice and faults of its
 * own. One thread. */
#ifndef GM_TURNS_H
#define GM_TURNS_H

#include "core/core.h"
#include "ctl/table.h"

#define GM_TURN_EVENTS_MAX 4096u
#define GM_TURN_EVENTS_LOW 256u /* while the disk is full: what a turn writes has to fit into what is kept back */
#define GM_TURN_DICE_POOL 4096u

struct gm_backlog { /* effects that a worker's ring had no room for, in order */
	uint8_t *bytes;
	size_t at, n, cap;
};

struct gm_turns {
	struct gm_store *store; /* these four and effects.workers: the owner's */
	struct gm_core *core;
	struct gm_dp *dp;
	uint64_t turn; /* the last durable one */
	struct gm_changes changes;
	struct gm_changed changed; /* for a process that takes over */
	struct gm_effects effects;
	struct gm_backlog backlog[GM_WORKERS_MAX];
	uint64_t mono_ms; /* this turn's clocks: monotonic; epoch seconds */
	int64_t wall_s, offset_at; /* offset_at: when utc_offset_s was looked up */
	int32_t utc_offset_s;
	uint8_t dice[GM_TURN_DICE_POOL];
	size_t dice_left;
	bool disk_low;
	struct gm_turn_stats stats;
};

uint64_t gm_turns_now_us(void); /* monotonic */
void gm_turns_clocks(struct gm_turns *t); /* a turn begins: reads them, and whether the disk is full */
/* Clocks of this turn and fresh dice, for one event or command; arg is a struct gm_turns. */
void gm_turns_txn(void *arg, struct gm_txn *txn);
unsigned gm_turns_most(const struct gm_turns *t); /* events that this turn takes */
/* Events of all workers, one after the other, until there are none, or gm_turns_most(); how many. None while too many
 * effects wait. */
unsigned gm_turns_gather(struct gm_turns *t);
void gm_turns_tick(struct gm_turns *t);
/* Makes what was decided durable; events: for statistics. STORE: nothing of this turn may become visible, the process
 * has to end. */
GM_NODISCARD enum gm_err gm_turns_commit(struct gm_turns *t, unsigned events);
/* Hands the effects down: from here bytes may leave. NO_MEMORY: the process has to end; what is committed but not told
 * comes back at the next start. */
GM_NODISCARD enum gm_err gm_turns_publish(struct gm_turns *t);
/* Wipes and frees, all but store, core and dp. */
void gm_turns_free(struct gm_turns *t);

#endif
