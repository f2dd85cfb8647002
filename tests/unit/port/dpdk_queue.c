/* SPDX-License-Identifier: Apache-2.0 */
/* What waits between a card and its worker: all of it, in order, with no packet buffer lost. */
#include <criterion/criterion.h>

#ifdef GM_HAVE_DPDK
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <string.h>

#include "port/dpdk/device.h"
#include "port/dpdk/queue.h"

#define BUFFERS 1023u
#define FRONT 192u

static struct rte_mempool *pool;
static struct gm_queue q;
static uint32_t arrives, came, gone, dice; /* frames at the card; numbers of the next one that comes, and that goes */
static bool in_segments;

static uint32_t throw(void)
{
	return dice = dice * 1664525u + 1013904223u;
}

static uint16_t length_of(uint32_t number)
{
	return (uint16_t)(60 + number * 2654435761u % 1441);
}

static struct rte_mbuf *frame(uint32_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	cr_assert_not_null(m, "the queue has more packet buffers than it was given");
	memset(rte_pktmbuf_append(m, length_of(number)), (int)(number & 0xff), length_of(number));
	memcpy(rte_pktmbuf_mtod(m, void *), &number, sizeof number);
	m->ol_flags = number % 3 ? 0 : RTE_MBUF_F_RX_VLAN;
	m->vlan_tci = (uint16_t)number;
	if (in_segments)
		cr_assert_eq(rte_pktmbuf_chain(m, rte_pktmbuf_alloc(pool)), 0);
	return m;
}

unsigned gm_lane_rx(struct gm_lane *lane, struct rte_mbuf **m, unsigned n)
{
	unsigned i = 0;

	(void)lane;
	for (; i < n && arrives; i++, arrives--)
		m[i] = frame(came++);
	return i;
}

static void expect_next(struct rte_mbuf *m)
{
	uint32_t number;

	memcpy(&number, rte_pktmbuf_mtod(m, void *), sizeof number);
	cr_assert_eq(number, gone, "%u comes after %u", number, gone - 1);
	cr_assert_eq(m->data_len, length_of(number));
	cr_assert_eq(m->pkt_len, length_of(number));
	cr_assert_eq(rte_pktmbuf_mtod(m, const uint8_t *)[m->data_len - 1], number & 0xff);
	cr_assert(!(m->ol_flags & RTE_MBUF_F_RX_VLAN) == (number % 3 != 0) && m->vlan_tci == (uint16_t)number);
	gone++;
	rte_pktmbuf_free(m);
}

static void take(unsigned n)
{
	for (struct rte_mbuf *m; n && (m = gm_queue_next(&q)); n--)
		expect_next(m);
}

static void take_all(void)
{
	while (gm_queue_fill(&q, NULL))
		take(UINT32_MAX);
	cr_expect_eq(gone, came);
	cr_expect_eq(arrives, 0);
}

static void start(void)
{
	static char *args[] = {"test", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "--log-level=error", "-m", "64"};

	cr_assert_geq(rte_eal_init(sizeof args / sizeof *args, args), 0);
	pool = rte_pktmbuf_pool_create("test", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	cr_assert_not_null(pool);
	cr_assert(gm_queue_start(&q, pool, FRONT));
	dice = 7;
}

static void end(void)
{
	gm_queue_end(&q);
	cr_expect_eq(rte_mempool_avail_count(pool), BUFFERS, "all are back");
}

TestSuite(queue, .init = start, .fini = end);

Test(queue, gives_out_in_order_whatever_comes_and_goes)
{
	for (unsigned round = 0; round < 3000; round++) {
		arrives += throw() % 400;
		gm_queue_fill(&q, NULL);
		take(throw() % (round % 100 < 50 ? 300 : 500));
	}
	take_all();
	cr_expect_gt(gone, 500000);
}

Test(queue, takes_all_that_the_card_has_with_few_packet_buffers)
{
	arrives = 10000;
	gm_queue_fill(&q, NULL);
	cr_expect_eq(came, 10000);
	cr_expect_geq(rte_mempool_avail_count(pool), BUFFERS - FRONT - GM_LANE_BURST);
	take_all();
}

Test(queue, leaves_at_the_card_what_it_has_no_room_for)
{
	arrives = 100000;
	gm_queue_fill(&q, NULL);
	cr_expect(arrives > 0 && came > 10000, "%u", came);
	take_all();
	arrives = 100000;
	take_all();
}

Test(queue, waits_with_copies_while_there_is_no_packet_buffer)
{
	static struct rte_mbuf *held[BUFFERS];
	unsigned n = 0;

	arrives = 1000;
	gm_queue_fill(&q, NULL);
	while (n < BUFFERS && (held[n] = rte_pktmbuf_alloc(pool)))
		n++;
	take(FRONT);
	cr_expect_not(gm_queue_fill(&q, NULL) && q.n > FRONT);
	rte_pktmbuf_free_bulk(held, n);
	take_all();
}

Test(queue, counts_frames_of_several_segments_that_it_cannot_copy)
{
	in_segments = true;
	arrives = FRONT + 100;
	gm_queue_fill(&q, NULL);
	in_segments = false;
	cr_expect_eq(q.truncated, 100);
	for (struct rte_mbuf *m; (m = gm_queue_next(&q));)
		rte_pktmbuf_free(m);
}

Test(queue, ends_with_frames_in_it)
{
	arrives = 5000;
	gm_queue_fill(&q, NULL);
}

#else
Test(queue, needs_dpdk)
{
	cr_skip_test("built without DPDK");
}
#endif
