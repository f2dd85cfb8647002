/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "work/wheel.h"

#define TIMERS 300u
#define ROUNDS 4000u
#define AHEAD_MS 1000u

static struct model { /* what the wheel should hold: a list of all */
	struct gm_wheel wheel;
	uint32_t timer[TIMERS];
	uint64_t due_ms[TIMERS]; /* 0: no timer */
	uint64_t now_ms, dice;
	unsigned fired;
} m;

static uint32_t dice(uint32_t n)
{
	m.dice = m.dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m.dice >> 33) % n;
}

static void begin(uint64_t now_ms)
{
	m = (struct model){.now_ms = now_ms, .dice = now_ms};
	gm_wheel_init(&m.wheel, TIMERS, now_ms);
}

static void set(uint32_t ref, uint64_t due_ms)
{
	m.timer[ref] = gm_wheel_add(&m.wheel, due_ms, 7, ref);
	m.due_ms[ref] = due_ms > m.now_ms ? due_ms : m.now_ms + 1;
	cr_assert(m.timer[ref] != 0);
}

static void stop(uint32_t ref)
{
	gm_wheel_del(&m.wheel, m.timer[ref]);
	m.due_ms[ref] = 0;
}

static void fire(void *arg, unsigned kind, uint32_t ref)
{
	cr_assert(arg == &m && kind == 7 && m.due_ms[ref] && m.due_ms[ref] <= m.now_ms);
	m.due_ms[ref] = 0;
	m.fired++;
}

static void run_until(uint64_t now_ms)
{
	m.now_ms = now_ms;
	gm_wheel_run(&m.wheel, now_ms, fire, &m);
	for (uint32_t i = 0; i < TIMERS; i++)
		cr_assert(m.due_ms[i] == 0 || m.due_ms[i] > now_ms);
}

/* The first slot that anything stands in: its turn may be a later one. */
static uint64_t next_of_all(void)
{
	uint64_t next = AHEAD_MS;

	for (uint32_t i = 0; i < TIMERS; i++) {
		const uint64_t in = m.due_ms[i] ? (m.due_ms[i] - m.now_ms) % GM_WHEEL_SLOTS : 0;
		next = m.due_ms[i] && in && in < next ? in : next;
	}
	return next;
}

Test(wheel, says_when_the_next_may_be_due_as_a_list_of_all_would)
{
	static const uint32_t reach[] = {3, 70, 999, 1000, 1001, 5000, 300000};

	begin(1000000007);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint32_t ref = dice(TIMERS);
		if (m.due_ms[ref])
			stop(ref);
		else if (dice(4) == 0)
			set(ref, m.now_ms + dice(reach[dice(sizeof reach / sizeof *reach)]));
		if (dice(8) == 0)
			run_until(m.now_ms + dice(dice(20) == 0 ? 6000 : 40));
		cr_assert(eq(u64, gm_wheel_next(&m.wheel), next_of_all()), "round %u", i);
	}
	cr_expect(ge(u32, m.fired, 51));
	for (uint32_t i = 0; i < TIMERS; i++)
		if (m.due_ms[i])
			stop(i);
	cr_expect(eq(u64, gm_wheel_next(&m.wheel), AHEAD_MS));
	gm_wheel_free(&m.wheel);
}

Test(wheel, finds_the_next_in_whatever_slot_the_clock_stands)
{
	for (uint64_t now = 0; now < GM_WHEEL_SLOTS; now += 13)
		for (uint64_t in = 1; in < AHEAD_MS; in += 37) {
			begin(now);
			set(0, now + in);
			cr_assert(eq(u64, gm_wheel_next(&m.wheel), in));
			run_until(now + in - 1);
			cr_assert(eq(u32, m.fired, 0));
			run_until(now + in);
			cr_assert(eq(u32, m.fired, 1));
			gm_wheel_free(&m.wheel);
		}
}
