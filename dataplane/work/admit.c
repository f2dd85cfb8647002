/* SPDX-License-Identifier: Apache-2.0 */
#include "work/admit.h"

#include <stddef.h>

#define NS_PER_MS 1000000u
#define UNIT_NS 20000u    /* until it is measured */
#define MEASURED_FROM 64u /* units: what fewer cost says little, they are not verified together */
#define REFUSED 8u        /* units that cost what one costs that is taken on */
#define LEARN 8u          /* an eighth of what is new, */
#define DEARER 4u         /* which counts as so many times what is known, at most: one turn may have stood still */
#define DRAWS 3u
#define SPREAD 6u /* seconds at least: who is refused in one moment does not come back in another one */
#define SHOWN_MS 250u /* taken together, to see what is served */
#define FADES 16u     /* a part of what was seen so is forgotten in that time */
#define FULL 15u      /* sixteenths of what is served in a second fill it */
#define FULL_AGAIN 32u /* for whoever came when told and was refused nevertheless */
#define PART 10u      /* sixteenths of these may be told in one part of a second */
#define ONSET 1u     /* eighths more of a turn for new tokens, until the first who were told can come */
#define ANSWERED 64u /* refusals in a turn that are answered anyway */
#define TAG UINT32_C(0xffff0000)
#define TOLD UINT32_C(0x8000)
#define TOLD_SLOT 13u /* above the second: the part of it */
#define TOLD_SECONDS UINT32_C(0x1fff)
#define KEPT_S 16u /* so long a promise holds: for messages that get lost, and not for who comes again some time */
#define AGED 64u    /* places a second that are looked through for those that are past */

static const struct {
	uint8_t units;               /* of work; a token brings a Join */
	uint8_t newcomer, returning; /* eighths of a turn that this class may fill: Joins two, as their tokens were let in */
	uint8_t latest_s;            /* a context that waits for its first Join does so for a minute */
} classes[WORK_N] = {
	[WORK_ADMIN] = {1, 1, 1, ADMIT_LATEST_S},
	[WORK_TOKEN] = {1, 1, 4, ADMIT_LATEST_S}, /* whoever comes when told has waited enough, as long as Joins are served, too */
	[WORK_JOIN] = {2, 14, 16, 20},
};

enum { CLIENT = 3 }; /* units: a token and a Join */

static uint32_t unit_ns(const struct admission *a)
{
	return a->unit_ns ? a->unit_ns : UNIT_NS;
}

static uint32_t budget(const struct admission *a)
{
	return ADMIT_TURN_MS * NS_PER_MS / unit_ns(a) + ADMIT_EIGHTHS;
}

/* ---- what somebody was told */

static uint32_t tag_of(uint32_t client)
{
	return client / (ADMIT_PLACES / ADMIT_WAYS) << 16;
}

/* Seconds until the client was told to come, negative: that is past. false: it was not told, or long ago */
static bool promised(const struct admission *a, uint32_t told, int32_t *in)
{
	const uint32_t since = (a->second - told) & TOLD_SECONDS;

	*in = since <= TOLD_SECONDS / 2 ? -(int32_t)since : (int32_t)(TOLD_SECONDS + 1 - since);
	return told & TOLD && *in >= -(int32_t)KEPT_S && *in <= (int32_t)ADMIT_LATEST_S;
}

/* Where it stands, else a place that is free; NULL: others have all of them. */
static uint32_t *place_of(struct admission *a, uint32_t client)
{
	uint32_t *place = &a->told[client % (ADMIT_PLACES / ADMIT_WAYS) * ADMIT_WAYS], *free = NULL;
	int32_t in;

	for (unsigned i = 0; i < ADMIT_WAYS; i++) {
		const bool taken = promised(a, place[i], &in);
		if (taken && (place[i] & TAG) == tag_of(client))
			return &place[i];
		if (!taken && !free)
			free = &place[i];
	}
	return free;
}

static void forget(struct admission *a, uint32_t *told, int32_t in)
{
	const uint32_t second = a->second + (uint32_t)in;
	uint32_t *due = &a->due[second % ADMIT_SECONDS];
	uint32_t *slot = &a->slot[(second * ADMIT_SLOTS + (*told >> TOLD_SLOT) % ADMIT_SLOTS) % ADMIT_SLOTS_N];

	if (in >= 0 && *due > 0) {
		(*due)--;
		a->due_n--;
	}
	if (in >= 0 && *slot > 0)
		(*slot)--;
	*told = 0;
}

/* So many seconds have passed. What is past is taken out before its 13 bits are those of a second to come, two hours later. */
static void age(struct admission *a, uint32_t passed)
{
	const bool all = passed > KEPT_S + ADMIT_LATEST_S;
	int32_t in;

	for (uint32_t n = all ? ADMIT_PLACES : passed * AGED; n; n--) {
		uint32_t *told = &a->told[a->aged++ % ADMIT_PLACES];
		if (*told && (all || !promised(a, *told, &in)))
			*told = 0;
	}
}

/* ---- a turn */

/* Seconds that are over take those with them who were told of them. */
static void move_clock(struct admission *a, uint32_t now)
{
	const uint32_t passed = now - a->second;

	for (uint32_t n = 0; a->second != now && n < ADMIT_SECONDS; n++) {
		uint32_t *due = &a->due[a->second++ % ADMIT_SECONDS];
		a->due_n -= *due;
		*due = 0;
	}
	a->second = now;
	age(a, passed);
}

/* So many seconds from now. */
static uint32_t slot_in(const struct admission *a, uint32_t seconds)
{
	return (a->slot_now + seconds * ADMIT_SLOTS) % ADMIT_SLOTS_N;
}

static void move_slots(struct admission *a)
{
	const uint32_t now = (uint32_t)(a->now_ms * ADMIT_SLOTS / 1000);

	for (uint32_t n = 0; a->slot_now != now && n < ADMIT_SLOTS_N; n++)
		a->slot[a->slot_now++ % ADMIT_SLOTS_N] = 0;
	a->slot_now = now;
}

/* What was done in a while shows what can be done at least, if there was more to do throughout: else it is what was asked for. */
static void look_back(struct admission *a)
{
	const uint64_t ms = a->now_ms - a->since_ms;

	if (a->busy && ms < SHOWN_MS)
		return;
	if (a->busy) {
		const uint64_t rate = a->served * 1000ull / ms;
		a->shown -= (a->shown + FADES - 1) / FADES;
		if (rate > a->shown)
			a->shown = (uint32_t)rate;
	}
	a->busy = true;
	a->served = 0;
	a->since_ms = a->now_ms;
}

void gm_admit_begin(struct admission *a, uint64_t now_ms, unsigned waits)
{
	a->now_ms = now_ms;
	look_back(a);
	move_clock(a, (uint32_t)(now_ms / 1000));
	move_slots(a);
	a->waits = (uint8_t)(waits < ADMIT_EIGHTHS ? waits : ADMIT_EIGHTHS);
	for (unsigned i = 0; i < WORK_N; i++)
		a->taken[i] = 0;
	a->refused = 0;
}

/* Pressed is over with the first turn that takes all there is and refuses nobody. */
static void press(struct admission *a, bool full)
{
	if (!full)
		a->full_ms = 0;
	else if (!a->full_ms)
		a->full_ms = a->now_ms;
	const bool again = a->pressed_ms && a->now_ms - a->pressed_ms < ADMIT_CALM_MS;

	const bool was = a->pressed;

	a->pressed = full ? a->pressed || again || a->now_ms - a->full_ms >= ADMIT_BOUND_MS : a->pressed && a->refused;
	if (a->pressed && !was && !again)
		a->began_ms = a->now_ms;
	if (a->pressed)
		a->pressed_ms = a->now_ms;
}

static void learn(struct admission *a, uint64_t cost)
{
	const uint64_t most = (uint64_t)DEARER * unit_ns(a), sample = cost < most ? cost : most;
	const uint64_t all = a->unit_ns ? ((LEARN - 1) * (uint64_t)a->unit_ns + sample) / LEARN : sample;

	a->unit_ns = (uint32_t)(all < ADMIT_TURN_MS * NS_PER_MS ? all + 1 : ADMIT_TURN_MS * NS_PER_MS);
}

/* A unit that seems so dear that too few are taken on to be measured gets cheaper until they are. */
void gm_admit_end(struct admission *a, uint64_t took_ns, bool full)
{
	uint32_t units = 0;

	for (unsigned i = 0; i < WORK_N; i++)
		units += a->taken[i];
	if (units >= MEASURED_FROM && took_ns)
		learn(a, took_ns / (units + a->refused / REFUSED));
	else if (units < MEASURED_FROM && a->pressed && a->unit_ns)
		a->unit_ns = (uint32_t)(((LEARN - 1) * (uint64_t)a->unit_ns + UNIT_NS) / LEARN);
	press(a, full);
	a->busy &= full || a->pressed;
}

unsigned gm_admit_core(struct admission *a, uint64_t now_ms, uint64_t taken, uint64_t waiting)
{
	if (taken != a->core_took || waiting < ADMIT_CORE_FEW) {
		a->core_took = taken;
		a->core_ms = now_ms;
	}
	const uint64_t bytes = waiting * ADMIT_EIGHTHS / ADMIT_CORE_BYTES;
	const uint64_t age = (now_ms - a->core_ms) * ADMIT_EIGHTHS / ADMIT_CORE_MS;
	const uint64_t most = bytes > age ? bytes : age;
	return most < ADMIT_EIGHTHS ? (unsigned)most : ADMIT_EIGHTHS;
}

/* ---- when to come again */

/* Clients a second for whom there will be time: a token and a Join each. */
static uint32_t by_costs(const struct admission *a)
{
	return 1000u * NS_PER_MS / unit_ns(a) / CLIENT;
}

/* An eighth is left for newcomers. */
static uint32_t a_second(const struct admission *a)
{
	const uint32_t n = by_costs(a) * 7 / 8;

	return n ? n : 1;
}

/* Those who were told to come in the second that begins with part `first`. */
static uint32_t in_second(const struct admission *a, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ADMIT_SLOTS; i++)
		n += a->slot[(first + i) % ADMIT_SLOTS_N];
	return n;
}

/* Whole seconds until the next one that is not full, filled to so many sixteenths. 0: there is none, or what fills it was not
 * seen. Whoever is told a second comes at its beginning, or some time within it, so those count who were told of one that overlaps
 * it: a part has a second's room, and not a part's, or all who were refused in one moment would be told many seconds of which they
 * fill a part each. */
static uint32_t next_free(const struct admission *a, uint32_t latest, uint32_t sixteenths)
{
	const uint32_t seen = a->shown / CLIENT, most = (seen < by_costs(a) ? seen : by_costs(a)) * sixteenths / 16;

	for (uint32_t s = ADMIT_SOONEST_S; most && s <= latest; s++) {
		const uint32_t at = slot_in(a, s);
		if (a->slot[at] < most * PART / 16 && in_second(a, at - (ADMIT_SLOTS - 1)) < most && in_second(a, at) < most)
			return s;
	}
	return 0;
}

/* The emptiest of some seconds up to where there is room for all. */
static uint32_t any_of(const struct admission *a, enum work what, uint32_t dice)
{
	const uint32_t most = classes[what].latest_s - ADMIT_SOONEST_S + 1;
	uint32_t seconds = a->due_n / a_second(a) + SPREAD, best = ADMIT_SOONEST_S;

	if (seconds > most)
		seconds = most;
	for (unsigned i = 0; i < DRAWS; i++, dice = dice * 1664525u + 1013904223u) {
		const uint32_t s = ADMIT_SOONEST_S + (uint32_t)((uint64_t)dice * seconds >> 32);
		if (i == 0 || a->due[(a->second + s) % ADMIT_SECONDS] < a->due[(a->second + best) % ADMIT_SECONDS])
			best = s;
	}
	return best;
}

static uint32_t tell(struct admission *a, enum work what, uint32_t client, bool returning, uint32_t *told, uint32_t dice)
{
	const uint32_t next = next_free(a, classes[what].latest_s, returning ? FULL_AGAIN : FULL);
	const uint32_t in = next ? next : any_of(a, what, dice);

	if (!told)
		return in;
	a->due[(a->second + in) % ADMIT_SECONDS]++;
	a->slot[slot_in(a, in)]++;
	a->due_n++;
	*told = tag_of(client) | TOLD | a->slot_now % ADMIT_SLOTS << TOLD_SLOT | ((a->second + in) & TOLD_SECONDS);
	return in;
}

/* ---- the question */

/* Nobody who was told can be back yet: what is let in is what there is to do until then. */
static bool is_onset(const struct admission *a)
{
	return a->pressed && a->shown && a->now_ms - a->began_ms < ADMIT_SOONEST_S * 1000;
}

/* Eighths of a turn. */
static unsigned share_of(const struct admission *a, enum work what, bool returning)
{
	if (returning)
		return classes[what].returning;
	return classes[what].newcomer + (what == WORK_TOKEN && is_onset(a) ? ONSET : 0);
}

static bool has_room(const struct admission *a, enum work what, bool returning)
{
	const unsigned share = share_of(a, what, returning);

	if (a->waits >= (share < ADMIT_EIGHTHS ? share : ADMIT_EIGHTHS))
		return false;
	return !a->pressed || a->taken[what] + classes[what].units <= (uint64_t)budget(a) * share / ADMIT_EIGHTHS;
}

uint32_t gm_admit(struct admission *a, enum work what, uint32_t client, uint32_t dice)
{
	int32_t in;

	if (what == WORK_READ)
		return 0;
	uint32_t *told = place_of(a, client);
	const bool was_told = told && promised(a, *told, &in), returning = was_told && in <= 0;
	if (has_room(a, what, returning)) {
		a->taken[what] += classes[what].units;
		a->served += classes[what].units;
		if (was_told)
			forget(a, told, in);
		return 0;
	}
	a->refused += classes[what].units;
	if (!was_told || in <= 0) {
		if (was_told)
			forget(a, told, in);
		return tell(a, what, client, returning, told, dice);
	}
	if (what == WORK_TOKEN && a->refused > ANSWERED + a->taken[WORK_TOKEN] + a->taken[WORK_JOIN])
		return ADMIT_SILENT;
	return in > (int32_t)ADMIT_SOONEST_S ? (uint32_t)in : ADMIT_SOONEST_S;
}
