/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever puts something into a worker's ring while that goes to sleep: either the worker sees it, or it is woken. Two threads meet there
 * over and over. What is lost is told by the order of what they did, not by a time; how often they meet has a bound in time as well, for a
 * machine that has one processor for both. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>

#include "work/worker.c"

#include "flow_rig.h"

#define ROUNDS 200000u
#define SECONDS 10
#define SPIN 2000u /* looks, before another thread may need the processor */

static struct worker *worker;
static _Atomic unsigned sleeps, told, taken; /* rounds: it is about to sleep, whoever wakes is through, the record was taken */
static _Atomic bool woken, over;
static unsigned lost;

static void relax(unsigned *n)
{
	if (++*n % SPIN == 0)
		sched_yield();
}

static void on_wake(struct gm_port *port)
{
	(void)port;
	atomic_store(&woken, true);
}

/* Ends without a wake where there will be none. */
static void on_wait(struct gm_port *port, uint64_t timeout_ns)
{
	(void)port, (void)timeout_ns;
	for (unsigned n = 0; !atomic_load(&woken) && !atomic_load(&over); relax(&n))
		if (atomic_load(&told) > taken && !atomic_load(&woken)) {
			lost++;
			break;
		}
	atomic_store(&woken, false);
}

static bool take(void)
{
	size_t len;

	if (!gm_ring_peek(worker->down, &len))
		return false;
	gm_ring_release(worker->down);
	return true;
}

static void *consume(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		if (take()) {
			atomic_store(&taken, taken + 1);
			continue;
		}
		atomic_store(&sleeps, taken + 1);
		sleep_a_while(worker);
	}
	return NULL;
}

/* At any point of its way to sleep. To look whether it sleeps brings that into this processor's cache, where it is found at once. */
static void put(struct gm_dp *dp, unsigned after)
{
	while (after--)
		(void)atomic_load(&worker->asleep);
	cr_assert(gm_ring_reserve(worker->down, 8) != NULL);
	gm_ring_commit(worker->down, 8);
	gm_dp_wake(dp, 0);
}

static unsigned produce(struct gm_dp *dp)
{
	const time_t end = time(NULL) + SECONDS;
	uint32_t random = 1;
	unsigned i;

	for (i = 1; i <= ROUNDS && time(NULL) < end; i++) {
		unsigned n = 0;
		while (atomic_load(&sleeps) < i)
			relax(&n);
		random = random * 1103515245u + 12345u;
		put(dp, (random >> 16) % 1500);
		atomic_store(&told, i);
		while (atomic_load(&taken) < i)
			relax(&n);
	}
	atomic_store(&over, true);
	return i - 1;
}

Test(wake, is_not_lost_on_a_worker_that_goes_to_sleep)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_port_ops ops;
	pthread_t thread;

	worker = r->dp->worker[0];
	while (take()) {}
	ops = *worker->ops;
	ops.wake = on_wake;
	ops.wait = on_wait;
	worker->ops = &ops;
	cr_assert_eq(pthread_create(&thread, NULL, consume, NULL), 0);
	unsigned rounds = produce(r->dp);
	pthread_join(thread, NULL);
	cr_expect_eq(lost, 0, "%u of %u", lost, rounds);
	flow_free(r);
}
