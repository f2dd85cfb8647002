/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: what a worker takes on while more is offered than it can do. Pure: clock and dice come in.
 *
 * A worker is pressed when for ADMIT_BOUND_MS no turn could take all that the network had; what core has not taken counts, too. Then
 * a turn takes on what it can do within ADMIT_TURN_MS, by class, and answers the rest at once with 5.03, before it costs a signature: reads
 * and confirmations are always served, Joins of those who were let in go before new tokens, administration comes last. Who is
 * refused gets a second of its own to come again, from 2 to 60 seconds ahead: the next one that is not full, where it was seen
 * how many are served in a second, so that the worker is neither idle nor pressed when they come; before that any of those ahead, so
 * that those who obey come no faster than costs allow. Whoever keeps to it then goes before newcomers, or is told one of
 * the next seconds, which has twice the room for it; whoever comes too early hears the same again. All of it has a fixed size. */
#ifndef GM_WORK_ADMIT_H
#define GM_WORK_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#define ADMIT_BOUND_MS 250u  /* what is served within it is not worth a refusal */
#define ADMIT_CALM_MS 5000u  /* so long after it was pressed it is again with the first turn that leaves something */
#define ADMIT_TURN_MS 40u
#define ADMIT_CORE_BYTES (4u << 20) /* of events that core has not taken: more is not bearable */
#define ADMIT_CORE_MS 2000u         /* nor that it takes none for so long, */
#define ADMIT_CORE_FEW (128u << 10) /* if they are more than these */
#define ADMIT_EIGHTHS 8u
#define ADMIT_PLACES 131072u
#define ADMIT_WAYS 4u /* places where one may stand */
#define ADMIT_SOONEST_S 2u
#define ADMIT_LATEST_S 60u
#define ADMIT_SECONDS 64u /* a power of two above the latest */
#define ADMIT_SLOTS 4u /* parts of a second: what is told in one comes from the same one on, whatever second that is in */
#define ADMIT_SLOTS_N (ADMIT_SECONDS * ADMIT_SLOTS)

enum work { WORK_READ, WORK_ADMIN, WORK_TOKEN, WORK_JOIN, WORK_N }; /* JOIN: and what else changes a membership */

struct admission {
	bool pressed;
	uint64_t now_ms, full_ms, pressed_ms, began_ms; /* since when turns leave something behind, 0: they do not; pressed last, 0: never */
	uint8_t waits;      /* what is full elsewhere, in eighths of what is bearable */
	uint32_t taken[WORK_N], refused; /* in this turn: units of work */
	uint32_t unit_ns;   /* what a unit has cost lately; 0: not measured */
	uint32_t served;    /* units taken on since: */
	uint64_t since_ms;
	bool busy;          /* every turn since left something behind, or the worker was pressed */
	uint32_t shown;     /* units a second: so many were taken on when there was more to do, at best */
	uint32_t second;    /* of the clock; those before are done with */
	uint32_t due[ADMIT_SECONDS];   /* clients that were told to come in each second */
	uint32_t due_n;                /* all of them */
	uint32_t slot_now, slot[ADMIT_SLOTS_N]; /* as due, by the part of a second in which they come at the earliest */
	uint32_t told[ADMIT_PLACES];   /* by a hash of the client: the rest of it, and when; 0: none. Those who share a place share the time */
	uint32_t aged;                 /* the place of told that is looked at next */
	uint64_t core_took, core_ms;   /* bytes of events that core has taken, and when it last took one */
};

/* A turn begins. waits: of the worker's tables, as above. */
void gm_admit_begin(struct admission *a, uint64_t now_ms, unsigned waits);
/* It ends. full: the network had more than it took. */
void gm_admit_end(struct admission *a, uint64_t took_ns, bool full);
/* Eighths: core has taken so many bytes of events so far, and so many wait. */
unsigned gm_admit_core(struct admission *a, uint64_t now_ms, uint64_t taken, uint64_t waiting);
#define ADMIT_SILENT UINT32_MAX
/* 0: it is taken on. Else it is refused, and the seconds are its Max-Age; SILENT: a token of a client that was told to come later,
 * while so many are told that answers would cost what is to be served. client: a keyed hash; dice: fresh */
uint32_t gm_admit(struct admission *a, enum work what, uint32_t client, uint32_t dice);

#endif
