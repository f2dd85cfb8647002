/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker takes on while more is offered than it can do. */
#include <criterion/criterion.h>

#include <string.h>

#include "work/admit.h"

#define NS_PER_MS 1000000u
#define UNIT_NS 20000u
#define BUDGET (ADMIT_TURN_MS * NS_PER_MS / UNIT_NS) /* units in a turn */
#define SECOND 1000u

static struct admission a;
static uint32_t dice;

static uint32_t throw(void)
{
	return dice = dice * 1664525u + 1013904223u;
}

static void begin(uint64_t ms)
{
	gm_admit_begin(&a, ms, 0);
}

static void press(uint64_t ms)
{
	a = (struct admission){.unit_ns = UNIT_NS, .pressed = true};
	dice = 7;
	begin(ms);
}

static uint32_t ask(enum work what, uint32_t client)
{
	return gm_admit(&a, what, client, throw());
}

/* How many of n clients are let in. */
static unsigned let_in(enum work what, uint32_t first, unsigned n)
{
	unsigned in = 0;

	for (unsigned i = 0; i < n; i++)
		in += ask(what, first + i) == 0;
	return in;
}

Test(admit, takes_all_that_comes_while_turns_take_all_there_is)
{
	a = (struct admission){.unit_ns = UNIT_NS};
	for (unsigned turn = 0; turn < 10; turn++) {
		begin(turn);
		cr_expect_eq(let_in(WORK_TOKEN, 0, 1023), 1023);
		cr_expect_eq(let_in(WORK_JOIN, 0, 1023), 1023);
		gm_admit_end(&a, 100 * NS_PER_MS, false);
	}
	cr_expect_eq(a.refused, 0);
}

Test(admit, is_patient_with_what_can_be_served_within_the_bound)
{
	a = (struct admission){.unit_ns = UNIT_NS};
	for (unsigned ms = 1000; ms < 1000 + ADMIT_BOUND_MS; ms += 40) {
		begin(ms);
		cr_expect_eq(let_in(WORK_TOKEN, 0, 1024), 1024, "%u", ms);
		gm_admit_end(&a, 0, true);
	}
	begin(2000);
	gm_admit_end(&a, 0, false);
	begin(2040);
	gm_admit_end(&a, 0, true);
	cr_expect_not(a.pressed, "that is another burst");
	begin(2040 + ADMIT_BOUND_MS);
	gm_admit_end(&a, 0, true);
	cr_expect(a.pressed);
	begin(2500);
	gm_admit_end(&a, 0, false);
	cr_expect_not(a.pressed);
	begin(3000);
	gm_admit_end(&a, 0, true);
	cr_expect(a.pressed, "the same storm still");
	begin(3040);
	gm_admit_end(&a, 0, false);
	begin(3040 + ADMIT_CALM_MS);
	gm_admit_end(&a, 0, true);
	cr_expect_not(a.pressed, "another one");
}

Test(admit, fills_a_turn_with_what_it_can_do_by_class)
{
	press(0);
	unsigned admin = let_in(WORK_ADMIN, 0, 5000), tokens = let_in(WORK_TOKEN, 10000, 5000), joins = let_in(WORK_JOIN, 20000, 5000);

	cr_expect_eq(let_in(WORK_READ, 30000, 5000), 5000, "reads are always served");
	cr_expect(admin <= BUDGET / ADMIT_EIGHTHS + 1 && admin > 0, "%u", admin);
	cr_expect(tokens <= BUDGET / ADMIT_EIGHTHS + 1 && tokens > 0, "%u", tokens);
	cr_expect_geq(joins, 2 * tokens, "what was let in gets its Join");
	cr_expect_leq(joins, BUDGET);
	gm_admit_end(&a, 0, false);
	begin(1);
	cr_expect_eq(let_in(WORK_TOKEN, 50000, 10), 10, "the next turn is another one");
}

Test(admit, costs_as_measured_decide_how_much_that_is)
{
	press(0);
	unsigned before = let_in(WORK_TOKEN, 0, 5000);

	for (unsigned turn = 0; turn < 100; turn++) {
		begin(0);
		let_in(WORK_JOIN, 0, 5000);
		gm_admit_end(&a, 2ull * UNIT_NS * (a.taken[WORK_JOIN] + a.refused / 8), true); /* eight are refused at the price of one */
	}
	begin(0);
	unsigned after = let_in(WORK_TOKEN, 0, 5000);
	cr_expect(after > before / 3 && after < before * 2 / 3, "%u, %u", before, after);
}

Test(admit, one_turn_that_stood_still_says_little_about_costs)
{
	press(0);
	let_in(WORK_TOKEN, 0, 5000);
	gm_admit_end(&a, 10000ull * NS_PER_MS, true);
	cr_expect_leq(a.unit_ns, UNIT_NS * 3 / 2, "%u", a.unit_ns);
	a = (struct admission){.pressed = true}; /* nor the first one */
	begin(0);
	let_in(WORK_TOKEN, 0, 5000);
	gm_admit_end(&a, 10000ull * NS_PER_MS, true);
	cr_expect_leq(a.unit_ns, 4 * UNIT_NS + 1, "%u", a.unit_ns);
}

Test(admit, costs_that_let_too_few_in_to_be_measured_are_not_believed_for_ever)
{
	press(0);
	a.unit_ns = ADMIT_TURN_MS * NS_PER_MS;
	for (unsigned turn = 0; turn < 200; turn++) {
		begin(turn);
		let_in(WORK_TOKEN, 1000 * turn, 1000);
		gm_admit_end(&a, (uint64_t)UNIT_NS * a.taken[WORK_TOKEN], true);
	}
	cr_expect_leq(a.unit_ns, 2 * UNIT_NS, "%u", a.unit_ns);
	cr_expect(a.pressed);
}

Test(admit, is_over_with_the_first_turn_that_refuses_nobody)
{
	press(0);
	let_in(WORK_TOKEN, 0, 5000);
	gm_admit_end(&a, 0, false);
	cr_expect(a.pressed);
	begin(1);
	let_in(WORK_TOKEN, 10000, 10);
	gm_admit_end(&a, 0, false);
	cr_expect_not(a.pressed);
	begin(2);
	cr_expect_eq(let_in(WORK_TOKEN, 20000, 1000), 1000);
}

Test(admit, names_seconds_that_fill_evenly)
{
	const uint32_t per_second = 1000u * NS_PER_MS / UNIT_NS / 3 * 7 / 8; /* a token and a Join each */
	unsigned told[ADMIT_SECONDS] = {0}, n = 40 * per_second, used = 0;

	press(5 * SECOND);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t s = ask(WORK_TOKEN, i * 2654435761u >> 16);
		cr_assert(s == 0 || s == ADMIT_SILENT || (s >= ADMIT_SOONEST_S && s <= ADMIT_LATEST_S), "%u", s);
	}
	for (unsigned i = 0; i < ADMIT_SECONDS; i++) {
		told[i] = a.due[(5 + i) % ADMIT_SECONDS];
		used += told[i] > 0;
		cr_expect_leq(told[i], per_second * 5 / 4, "%u in second %u", told[i], i);
	}
	cr_expect_eq(told[0] + told[1], 0);
	cr_expect_gt(used, 6, "%u", used);
	cr_expect_leq(a.due_n, ADMIT_PLACES, "as many as there are places");
}

/* So many clients a second are taken on, by tokens alone. */
static void show(uint64_t from_ms, unsigned clients)
{
	for (unsigned turn = 0; turn < 100; turn++) {
		begin(from_ms + 10 * turn);
		let_in(WORK_TOKEN, 1000 * turn, clients * 3 / 100);
		gm_admit_end(&a, 0, true);
	}
}

Test(admit, fills_the_next_seconds_with_what_it_has_seen_to_be_served)
{
	enum { SERVED = 8000, REFUSED = 20000 }; /* less than by costs */
	unsigned told[ADMIT_SECONDS] = {0};

	press(5 * SECOND);
	show(5 * SECOND, SERVED);
	for (unsigned n = 0, turn = 0; n < REFUSED; turn++) {
		begin(6 * SECOND + turn * 10);
		for (unsigned i = 0; i < REFUSED / 100 + BUDGET / ADMIT_EIGHTHS; i++) {
			uint32_t s = ask(WORK_TOKEN, 100000 + turn * 1000 + i);
			n += s > 0;
			cr_assert(s == 0 || s == ADMIT_SILENT || (s >= ADMIT_SOONEST_S && s <= ADMIT_LATEST_S));
		}
	}
	for (unsigned i = 0; i < ADMIT_SECONDS; i++)
		told[i] = a.due[(6 + i) % ADMIT_SECONDS];
	cr_expect(told[2] > SERVED * 7 / 8 && told[2] <= SERVED, "%u", told[2]);
	cr_expect(told[3] > SERVED * 7 / 8 && told[3] <= SERVED, "%u", told[3]);
	for (unsigned i = 5; i < ADMIT_SECONDS; i++)
		cr_expect_eq(told[i], 0, "%u in second %u", told[i], i);
}

Test(admit, fills_whole_seconds_with_those_who_were_refused_in_one_moment)
{
	enum { SERVED = 8000, REFUSED = 20000, ENOUGH_S = 7 };

	press(5 * SECOND);
	show(5 * SECOND, SERVED);
	begin(6 * SECOND);
	a.waits = ADMIT_EIGHTHS;
	for (unsigned i = 0; i < REFUSED; i++) {
		uint32_t s = ask(WORK_TOKEN, 100000 + i);
		cr_assert(s >= ADMIT_SOONEST_S && s < ENOUGH_S, "the %u-th: %u s", i, s);
	}
}

Test(admit, whoever_came_when_told_is_not_sent_behind_those_who_are_told_now)
{
	uint32_t in;

	press(5 * SECOND);
	show(5 * SECOND, 8000);
	begin(6 * SECOND);
	a.waits = ADMIT_EIGHTHS;
	cr_assert_eq(in = ask(WORK_TOKEN, 1), ADMIT_SOONEST_S);
	for (unsigned i = 0; i < 20000; i++)
		ask(WORK_TOKEN, 100000 + i);
	for (unsigned n = 0, s = 6; n < 5; n++) {
		begin((s += in) * SECOND);
		a.waits = ADMIT_EIGHTHS;
		in = ask(WORK_TOKEN, 1);
		cr_expect(in >= ADMIT_SOONEST_S && in <= ADMIT_SOONEST_S + 1, "%u s", in);
	}
}

Test(admit, does_not_take_one_client_for_another_that_has_its_place)
{
	enum { SETS = ADMIT_PLACES / ADMIT_WAYS };

	press(5 * SECOND);
	a.waits = ADMIT_EIGHTHS;
	for (uint32_t i = 0; i < 1000 + ADMIT_WAYS; i++)
		cr_assert_leq(ask(WORK_TOKEN, i < ADMIT_WAYS ? 7 + i * SETS : 100 + i), ADMIT_LATEST_S);
	cr_expect_eq(ask(WORK_TOKEN, 7), ADMIT_SILENT, "it was told");
	cr_expect_leq(ask(WORK_TOKEN, 7 + ADMIT_WAYS * SETS), ADMIT_LATEST_S, "it was not");
	begin((5 + ADMIT_LATEST_S) * SECOND);
	a.waits = 2;
	cr_expect_gt(ask(WORK_TOKEN, 7 + ADMIT_WAYS * SETS), 0, "none of those who come when told");
}

Test(admit, a_promise_does_not_hold_for_who_comes_some_time)
{
	for (unsigned late = 0; late <= 20; late += 20) {
		press(5 * SECOND);
		a.waits = ADMIT_EIGHTHS;
		uint32_t in = ask(WORK_TOKEN, 1);
		begin((5 + in + late) * SECOND);
		a.waits = 2;
		cr_expect_eq(ask(WORK_TOKEN, 1) == 0, late == 0, "%u s late", late);
	}
}

Test(admit, what_was_asked_for_in_a_calm_time_is_not_what_can_be_served)
{
	enum { CALM_S = 10, REFUSED = 2000, SPREAD_S = 7 };

	for (unsigned joins = 10; joins <= 20; joins++) { /* a second */
		const uint64_t step = SECOND / joins;
		uint64_t ms = 5 * SECOND;
		a = (struct admission){.unit_ns = UNIT_NS};
		dice = 7;
		for (uint32_t i = 0; i < CALM_S * joins; i++, ms += step) {
			begin(ms);
			cr_assert_eq(ask(WORK_TOKEN, i) + ask(WORK_JOIN, i), 0);
			gm_admit_end(&a, 3 * UNIT_NS, false);
		}
		for (uint32_t i = 0; i < REFUSED; i++) { /* then core stands still */
			gm_admit_begin(&a, ms + i * SECOND / REFUSED, ADMIT_EIGHTHS);
			uint32_t s = ask(WORK_TOKEN, 100000 + i);
			cr_assert(s == ADMIT_SILENT || (s >= ADMIT_SOONEST_S && s <= SPREAD_S), "%u joins a second, the %u-th: %u s", joins, i, s);
			gm_admit_end(&a, UNIT_NS / 8, false);
		}
	}
}

/* ---- a storm, on a clock of its own: all come at once, and again when they are told; a few newcomers come all the while */

enum {
	STORM = 65536,
	PACED = 500, /* newcomers a second */
	PACED_N = 60 * PACED,
	SIM_MS = 60000,
	ARRIVE_MS = 400, /* the storm takes so long to be sent */
	SOCKET = 60000,
	AT_ONCE = 1024,  /* that a turn takes */
	THERE_AND_BACK_MS = 1
};

static struct sim {
	struct { uint32_t next, first_ms; bool has_context, in; unsigned refused; } client[STORM + PACED_N];
	uint32_t due[SIM_MS + 1]; /* lists of clients: 1 + index */
	uint32_t queue[SOCKET];
	unsigned socket; /* what waits in it; more is lost, and sent again */
	unsigned head, waits, in, lost;
	uint32_t listed_ms; /* up to there they are in the queue */
} sim;

static void comes(uint32_t client, uint64_t ms)
{
	if (ms > SIM_MS)
		return;
	sim.client[client].next = sim.due[ms];
	sim.due[ms] = client + 1;
}

static void arrive(uint64_t now_ms)
{
	for (; sim.listed_ms <= now_ms && sim.listed_ms <= SIM_MS; sim.listed_ms++) {
		for (uint32_t c = sim.due[sim.listed_ms]; c;) {
			uint32_t client = c - 1;
			c = sim.client[client].next;
			if (sim.waits < sim.socket) {
				sim.queue[(sim.head + sim.waits++) % SOCKET] = client;
			} else {
				sim.lost++;
				comes(client, sim.listed_ms + 2000 + throw() % 1000);
			}
		}
	}
}

/* What it cost. */
static uint64_t handle(uint32_t client, uint64_t now_ms, uint64_t so_far_ns)
{
	const enum work what = sim.client[client].has_context ? WORK_JOIN : WORK_TOKEN;
	const uint64_t end_ms = now_ms + so_far_ns / NS_PER_MS;
	uint32_t s = ask(what, client * 2654435761u >> 8);

	if (s) {
		sim.client[client].refused++;
		comes(client, end_ms + (s == ADMIT_SILENT ? 2000 + throw() % 1000 : s * SECOND + throw() % SECOND));
		return UNIT_NS / 8;
	}
	if (what == WORK_TOKEN) {
		sim.client[client].has_context = true;
		comes(client, end_ms + THERE_AND_BACK_MS + 5);
		return UNIT_NS;
	}
	sim.client[client].in = true;
	sim.client[client].first_ms = (uint32_t)end_ms - sim.client[client].first_ms;
	sim.in += client < STORM;
	return 2 * UNIT_NS;
}

/* When all of the storm were in; 0: they were not. */
static uint64_t run_storm(void)
{
	uint64_t ns = 0;

	while (ns / NS_PER_MS < SIM_MS && sim.in < STORM) {
		const uint64_t now_ms = ns / NS_PER_MS;
		uint64_t cost = 0;
		unsigned n = 0;
		arrive(now_ms);
		begin(1000 * SECOND + now_ms);
		for (; n < AT_ONCE && sim.waits; n++, sim.waits--)
			cost += handle(sim.queue[sim.head++ % SOCKET], now_ms, cost);
		gm_admit_end(&a, cost, n == AT_ONCE);
		ns += cost ? cost : NS_PER_MS / 10;
	}
	return sim.in == STORM ? ns / NS_PER_MS : 0;
}

static uint64_t storm(unsigned socket)
{
	a = (struct admission){0};
	dice = 7;
	memset(&sim, 0, sizeof(sim));
	sim.socket = socket;
	for (uint32_t i = 0; i < STORM; i++)
		comes(i, i * ARRIVE_MS / STORM);
	for (uint32_t i = 0; i < PACED_N; i++) {
		sim.client[STORM + i].first_ms = i * SECOND / PACED;
		comes(STORM + i, i * SECOND / PACED);
	}
	return run_storm();
}

/* Newcomers from then on who were refused or took long, of a thousand. */
static unsigned slow_from(uint64_t from_ms, uint64_t to_ms, unsigned slow_ms)
{
	unsigned n = 0, slow = 0;

	for (uint32_t i = 0; i < PACED_N; i++) {
		const uint32_t came = i * SECOND / PACED, client = STORM + i;
		if (came < from_ms || came > to_ms)
			continue;
		n++;
		slow += !sim.client[client].in || sim.client[client].refused || sim.client[client].first_ms > slow_ms;
	}
	return slow * 1000 / n;
}

Test(admit, a_storm_is_in_soon_after_the_time_that_it_takes_to_serve_it)
{
	const uint64_t work_ms = STORM * 3ull * UNIT_NS / NS_PER_MS;
	uint64_t ms = storm(SOCKET);

	cr_expect(ms > work_ms && ms <= work_ms * 3 / 2, "%lu ms, of which %lu are work; %u lost", ms, work_ms, sim.lost);
	cr_expect_leq(slow_from(ms / 2, ms - SECOND / 2, 50), 10);
	ms = storm(SOCKET / 4); /* half of them are sent again, two to three seconds later */
	cr_expect(ms > work_ms && ms <= work_ms * 2, "%lu ms, of which %lu are work; %u lost", ms, work_ms, sim.lost);
	cr_expect_gt(sim.lost, STORM / 2);
	cr_expect_leq(slow_from(ms * 3 / 4, ms - SECOND / 2, 50), 10);
}

Test(admit, has_a_time_for_everybody_when_all_seconds_are_full)
{
	press(0);
	a.unit_ns = ADMIT_TURN_MS * NS_PER_MS; /* so slow that nobody can be served */
	for (uint32_t i = 0; i < 60000; i++) {
		uint32_t s = ask(WORK_TOKEN, i);
		cr_assert(s == 0 || (s >= ADMIT_SOONEST_S && s <= ADMIT_LATEST_S), "%u", s);
	}
	for (unsigned s = ADMIT_SOONEST_S; s <= ADMIT_LATEST_S; s++)
		cr_expect(a.due[s] > 600 && a.due[s] < 1500, "%u in second %u", a.due[s], s);
}

Test(admit, joins_come_again_while_their_context_waits_for_them)
{
	press(0);
	a.unit_ns = ADMIT_TURN_MS * NS_PER_MS;
	for (uint32_t i = 0; i < 30000; i++) {
		uint32_t s = ask(WORK_JOIN, i);
		cr_assert_leq(s, 20u);
	}
}

Test(admit, whoever_comes_too_early_hears_the_same_again)
{
	press(0);
	let_in(WORK_TOKEN, 0, 5000);
	uint32_t first = ask(WORK_TOKEN, 60000), due = a.due_n;

	cr_assert(first >= ADMIT_SOONEST_S && first <= ADMIT_LATEST_S);
	a.refused = 0; /* else it would not be answered */
	cr_expect_eq(ask(WORK_TOKEN, 60000), first);
	cr_expect_eq(a.due_n, due, "nothing is gained by asking often");
	begin(1 * SECOND);
	let_in(WORK_TOKEN, 10000, 5000);
	a.refused = 0;
	uint32_t later = ask(WORK_TOKEN, 60000);
	cr_expect_eq(later, first - 1 > ADMIT_SOONEST_S ? first - 1 : ADMIT_SOONEST_S);
}

Test(admit, answers_of_those_who_were_told_do_not_cost_what_is_to_be_served)
{
	unsigned silent = 0, joins = 0;

	press(0);
	for (unsigned i = 0; i < 5000; i++)
		ask(WORK_TOKEN, i);
	for (unsigned i = 0; i < 5000; i++)
		silent += ask(WORK_TOKEN, i) == ADMIT_SILENT;
	for (unsigned i = 0; i < 5000; i++)
		joins += ask(WORK_JOIN, i) == ADMIT_SILENT;
	cr_expect_gt(silent, 4000);
	cr_expect_eq(joins, 0, "a protected request has its answer");
}

Test(admit, whoever_comes_when_told_goes_before_newcomers)
{
	unsigned in = 0, all = 0;

	press(0);
	let_in(WORK_TOKEN, 0, 5000);
	uint32_t first = ask(WORK_TOKEN, 60000);
	gm_admit_end(&a, 0, true);
	for (uint64_t s = first; s < first + 3; s++) {
		begin(s * SECOND);
		let_in(WORK_TOKEN, 20000, 2000); /* newcomers fill what is for them */
		in += s == first ? ask(WORK_TOKEN, 60000) == 0 : 0;
		gm_admit_end(&a, 0, true);
	}
	cr_expect_eq(in, 1);

	press(0); /* and all who obey get in, though as many others do not */
	unsigned when[1000] = {0};
	for (unsigned ms = 0; ms < 2 * ADMIT_LATEST_S * SECOND && all < 1000; ms += 10) {
		begin(ms);
		let_in(WORK_TOKEN, 10000, 1000);
		for (unsigned i = 0; i < 1000; i++) {
			if (when[i] > ms)
				continue;
			uint32_t s = ask(WORK_TOKEN, 50000 + i);
			when[i] = s ? ms + SECOND * (s == ADMIT_SILENT ? 3 : s) + i * 37 % SECOND : UINT32_MAX;
			all += s == 0;
		}
		gm_admit_end(&a, 0, true);
	}
	cr_expect_eq(all, 1000, "%u", all);
}

/* A place of told has 13 bits for a second: two hours later they are those of a second to come. */
static uint32_t who;

static void one_who_was_told_does_not_come(void)
{
	press(0);
	for (uint32_t client = 0; a.due_n == 0; client++)
		ask(WORK_TOKEN, who = 7 + client * ADMIT_PLACES);
}

static void expect_none_is_due(unsigned second)
{
	a.pressed = false;
	cr_expect_eq(ask(WORK_TOKEN, who), 0);
	cr_expect_eq(a.due_n, 0, "%u", a.due_n);
	for (unsigned i = 0; i < ADMIT_SECONDS; i++)
		cr_expect_eq(a.due[i], 0, "at %u: second %u: %u", second, i, a.due[i]);
}

Test(admit, forgets_whom_it_told_before_that_second_seems_to_come_again)
{
	enum { AROUND = 8192 };

	for (unsigned step = 1; step <= AROUND; step = step * 5 + 1) {
		one_who_was_told_does_not_come();
		for (unsigned s = 0; s < AROUND; s += step)
			begin((uint64_t)s * SECOND);
		for (unsigned i = 0; i < ADMIT_PLACES; i++)
			cr_assert_eq(a.told[i], 0, "every %u s: %u", step, i);
		begin((uint64_t)AROUND * SECOND);
		expect_none_is_due(AROUND);
	}
	one_who_was_told_does_not_come(); /* a long sleep */
	begin((uint64_t)AROUND * SECOND);
	expect_none_is_due(AROUND);
}

static unsigned in_slots(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ADMIT_SLOTS_N; i++)
		n += a.slot[i];
	return n;
}

Test(admit, takes_back_the_part_of_a_second_of_whoever_comes_before_it)
{
	enum { CLIENTS = 1000 };

	press(5 * SECOND);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (i % 10 == 0)
			begin(5 * SECOND + i); /* parts of all kinds */
		a.waits = ADMIT_EIGHTHS;
		cr_assert_gt(ask(WORK_TOKEN, i), 0);
	}
	cr_expect_eq(in_slots(), CLIENTS);
	begin(6 * SECOND);
	a.pressed = false;
	cr_expect_eq(let_in(WORK_TOKEN, 0, CLIENTS), CLIENTS);
	cr_expect_eq(in_slots(), 0, "%u", in_slots());
	cr_expect_eq(a.due_n, 0, "%u", a.due_n);
}

Test(admit, counts_nobody_out_who_is_not_counted)
{
	one_who_was_told_does_not_come();
	memset(a.due, 0, sizeof a.due);
	a.due_n = 0;
	expect_none_is_due(0);
}

Test(admit, refuses_by_class_as_core_falls_behind)
{
	a = (struct admission){.unit_ns = UNIT_NS};
	cr_expect_eq(gm_admit_core(&a, 0, 0, 0), 0);
	cr_expect_eq(gm_admit_core(&a, 1000, 0, ADMIT_CORE_FEW - 1), 0, "few may wait");
	cr_expect_eq(gm_admit_core(&a, 1000 + ADMIT_CORE_MS / 4, 0, ADMIT_CORE_FEW), ADMIT_EIGHTHS / 4);
	cr_expect_eq(gm_admit_core(&a, 1000 + 9 * ADMIT_CORE_MS, 0, ADMIT_CORE_FEW), ADMIT_EIGHTHS);
	cr_expect_eq(gm_admit_core(&a, 1000 + 9 * ADMIT_CORE_MS, 64, ADMIT_CORE_FEW), 0, "it goes on");
	cr_expect_eq(gm_admit_core(&a, 1000 + 9 * ADMIT_CORE_MS, 64, ADMIT_CORE_BYTES / 2), ADMIT_EIGHTHS / 2);

	static const struct { unsigned waits; bool admin, token, join; } levels[] = {
		{0, true, true, true}, {1, false, false, true}, {7, false, false, true}, {8, false, false, false}};
	for (unsigned i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		gm_admit_begin(&a, 0, levels[i].waits);
		cr_expect_eq(ask(WORK_ADMIN, 1000 + i) == 0, levels[i].admin, "%u", i);
		cr_expect_eq(ask(WORK_TOKEN, 2000 + i) == 0, levels[i].token, "%u", i);
		cr_expect_eq(ask(WORK_JOIN, 3000 + i) == 0, levels[i].join, "%u", i);
		cr_expect_eq(ask(WORK_READ, 4000 + i), 0, "%u", i);
	}
}
