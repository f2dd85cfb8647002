/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "gm/ring.h"

#define CAP 4096u

static bool put(struct gm_ring *r, size_t len, uint8_t fill)
{
	uint8_t *p = gm_ring_reserve(r, len);

	if (!p)
		return false;
	cr_assert_eq((uintptr_t)p % 8, 0);
	memset(p, fill, len);
	gm_ring_commit(r, len);
	return true;
}

static bool got(struct gm_ring *r, size_t len, uint8_t fill)
{
	size_t n = 0;
	uint8_t *p = gm_ring_peek(r, &n);
	bool good = p && n == len;

	for (size_t i = 0; good && i < len; i++)
		good = p[i] == fill;
	gm_ring_release(r);
	return good;
}

Test(ring, gives_records_back_in_order)
{
	struct gm_ring *r = gm_ring_new(CAP);
	size_t n;

	cr_expect_null(gm_ring_peek(r, &n));
	cr_expect(put(r, 1, 1) && put(r, 0, 0) && put(r, 100, 2));
	cr_expect(got(r, 1, 1));
	cr_expect(got(r, 0, 0));
	cr_expect(got(r, 100, 2));
	cr_expect_null(gm_ring_peek(r, &n));
	cr_expect_eq(gm_ring_used(r), 0);
	gm_ring_free(r);
}

Test(ring, shows_several_records_at_once_wherever_it_stands_and_keeps_them_until_they_are_released)
{
	struct gm_ring *r = gm_ring_new(CAP);
	uint8_t in = 0, out = 0;
	void *records[8];

	cr_expect_eq(gm_ring_peek_many(r, records, 8), 0);
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + round % 7;
		for (unsigned i = 0; i < n; i++, in++)
			cr_assert(put(r, 90 + in % 50, in));
		cr_assert_eq(gm_ring_peek_many(r, records, 8), n);
		cr_assert_eq(gm_ring_peek_many(r, records, n), n, "looking releases nothing");
		for (unsigned i = 0; i < n; i++) {
			const uint8_t *p = records[i];
			cr_assert(p[0] == (uint8_t)(out + i) && p[89 + (uint8_t)(out + i) % 50] == (uint8_t)(out + i));
		}
		for (unsigned i = 0; i < n; i++, out++)
			cr_assert(got(r, 90 + out % 50, out));
		cr_assert_eq(gm_ring_used(r), 0);
	}
	for (unsigned i = 0; i < 5; i++)
		cr_assert(put(r, 8, 7));
	cr_expect_eq(gm_ring_peek_many(r, records, 3), 3, "no more than asked");
	gm_ring_free(r);
}

Test(ring, hands_over_nothing_before_commit)
{
	struct gm_ring *r = gm_ring_new(CAP);
	size_t n;

	cr_assert_not_null(gm_ring_reserve(r, 64));
	cr_expect_null(gm_ring_peek(r, &n));
	gm_ring_commit(r, 8); /* less than reserved */
	cr_expect_not_null(gm_ring_peek(r, &n));
	cr_expect_eq(n, 8);
	cr_expect_eq(gm_ring_used(r), 16);
	gm_ring_free(r);
}

Test(ring, says_full_and_recovers)
{
	struct gm_ring *r = gm_ring_new(CAP);
	unsigned n = 0;

	while (put(r, 56, (uint8_t)n))
		n++;
	cr_expect_eq(n, CAP / 64);
	cr_expect_eq(gm_ring_used(r), CAP);
	cr_expect(got(r, 56, 0));
	cr_expect(put(r, 56, 99));
	cr_expect_not(put(r, 1, 0));
	for (unsigned i = 1; i < n; i++)
		cr_expect(got(r, 56, (uint8_t)i));
	cr_expect(got(r, 56, 99));
	gm_ring_free(r);
}

Test(ring, takes_half_of_itself_wherever_it_stands)
{
	struct gm_ring *r = gm_ring_new(CAP);

	for (unsigned i = 0; i < 1000; i++) {
		cr_assert(put(r, i % 97, 1) && got(r, i % 97, 1));
		cr_assert(put(r, CAP / 2 - 8, (uint8_t)i), "at %u", i);
		cr_assert(got(r, CAP / 2 - 8, (uint8_t)i), "at %u", i);
	}
	cr_expect_null(gm_ring_reserve(r, CAP / 2 - 7));
	cr_expect_null(gm_ring_reserve(r, SIZE_MAX));
	gm_ring_free(r);
}

#define BIG ((size_t)4 << 20)
#define STAYS ((size_t)1152 << 10) /* what a ring may touch where nothing ever waits */

Test(ring, touches_no_more_than_its_beginning_while_it_is_found_empty)
{
	struct gm_ring *r = gm_ring_new(BIG);
	const uint8_t *first = gm_ring_reserve(r, 0), *highest = first;

	for (unsigned i = 0; i < 100000; i++) {
		const uint8_t *p = gm_ring_reserve(r, i % 301);
		highest = p > highest ? p : highest;
		cr_assert(put(r, i % 301, (uint8_t)i) && got(r, i % 301, (uint8_t)i), "at %u", i);
	}
	cr_expect_lt((size_t)(highest - first), STAYS);
	gm_ring_free(r);
}

/* What a worker verifies in a turn, while core commits. */
Test(ring, has_room_for_a_burst_wherever_it_is_and_knows_how_much_waits)
{
	struct gm_ring *r = gm_ring_new(BIG);
	const size_t record = 1000 + 8;

	for (unsigned phase = 0; phase < 40; phase++) {
		unsigned n = 0;
		for (unsigned i = 0; i < 523; i++)
			cr_assert(put(r, 301, (uint8_t)i) && got(r, 301, (uint8_t)i));
		for (; put(r, 1000, (uint8_t)n); n++)
			cr_assert_eq(gm_ring_waiting(r), (n + 1) * record, "%u, %u", phase, n);
		cr_expect_gt(n * record, (size_t)1000 << 10, "%u", phase);
		for (unsigned i = 0; i < n; i++)
			cr_assert(got(r, 1000, (uint8_t)i));
		cr_assert_eq(gm_ring_waiting(r), 0);
		gm_ring_batch(r);
	}
	gm_ring_free(r);
}

static unsigned resident(const uint8_t *from, size_t n)
{
	unsigned char there[BIG / 4096 + 1];
	uintptr_t page = ((uintptr_t)from + 4095) & ~(uintptr_t)4095;
	unsigned pages = 0;

	n = (n - (page - (uintptr_t)from)) & ~(size_t)4095;
	cr_assert_eq(mincore((void *)page, n, there), 0);
	for (size_t i = 0; i < n / 4096; i++)
		pages += there[i] & 1;
	return pages;
}

Test(ring, gives_back_what_a_burst_has_touched_and_goes_on)
{
	struct gm_ring *r = gm_ring_new(BIG);
	uint8_t *first = gm_ring_reserve(r, 0);
	unsigned n = 0, i;

	while (put(r, 1016, (uint8_t)n))
		n++;
	gm_ring_trim(r); /* something waits: nothing goes */
	cr_expect_gt(resident(first + STAYS, BIG - STAYS - 4096), 100);
	for (i = 0; i < n; i++)
		cr_assert(got(r, 1016, (uint8_t)i), "at %u", i);
	gm_ring_trim(r);
	cr_expect_eq(resident(first + STAYS, BIG - STAYS - 4096), 0);
	for (i = 0; i < 3000; i++)
		cr_assert(put(r, 1016, (uint8_t)i) && put(r, 40, 7) && got(r, 1016, (uint8_t)i) && got(r, 40, 7), "at %u", i);
	gm_ring_free(r);
}

#define RECORDS 200000u

static void *produce(void *arg)
{
	struct gm_ring *r = arg;

	for (uint32_t i = 0; i < RECORDS; i++) {
		size_t len = 4 + i % 301;
		uint8_t *p;

		while (!(p = gm_ring_reserve(r, len)))
			sched_yield();
		memset(p, (int)i, len);
		memcpy(p, &i, 4);
		gm_ring_commit(r, len);
		if (i % 1000 == 0)
			gm_ring_trim(r);
	}
	return NULL;
}

static void hand_over(size_t cap)
{
	struct gm_ring *r = gm_ring_new(cap);
	pthread_t t;
	unsigned bad = 0;

	cr_assert_eq(pthread_create(&t, NULL, produce, r), 0);
	for (uint32_t i = 0; i < RECORDS; i++) {
		size_t len;
		uint8_t *p;

		while (!(p = gm_ring_peek(r, &len)))
			sched_yield();
		bad += len != 4 + i % 301 || memcmp(p, &i, 4) != 0 || (len > 4 && p[len - 1] != (uint8_t)i);
		gm_ring_release(r);
	}
	pthread_join(t, NULL);
	cr_expect_eq(bad, 0);
	gm_ring_free(r);
}

Test(ring, loses_and_mixes_nothing_between_two_threads, .timeout = 240)
{
	hand_over(CAP);
}

Test(ring, that_begins_again_loses_and_mixes_nothing_either, .timeout = 240)
{
	hand_over(BIG);
}
