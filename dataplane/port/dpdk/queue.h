/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that have come and wait for their worker. A card, and AF_XDP all the more, holds few of them: what comes while the worker is
 * at work on a turn would be lost. So all of it is taken at each look, as a socket's buffer does for a port of sockets: in packet
 * buffers, as many as there are beyond those that the card has, and behind these in copies. First in, first out. One thread. */
#ifndef GM_DPDK_QUEUE_H
#define GM_DPDK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gm_lane;
struct rte_mbuf;
struct rte_mempool;

struct gm_queue {
	struct rte_mempool *pool;
	struct rte_mbuf **front; /* n of them, from `at` on, around: a power of two */
	unsigned at, n, most, mask;
	uint8_t *copies;  /* address space; copies_n of them between begin and end */
	size_t begin, end;
	unsigned copies_n;
	uint64_t truncated; /* of several segments, which are not copied */
};

/* most: frames in packet buffers of that pool, more than GM_LANE_BURST. false: out of memory; nothing is left to be ended */
bool gm_queue_start(struct gm_queue *q, struct rte_mempool *pool, unsigned most);
void gm_queue_end(struct gm_queue *q);
/* Takes what has come. true: there is something in it. */
bool gm_queue_fill(struct gm_queue *q, struct gm_lane *lane);
struct rte_mbuf *gm_queue_next(struct gm_queue *q); /* the caller's; NULL: there is none */

#endif
