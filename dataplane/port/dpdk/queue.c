/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dpdk/queue.h"

#include <rte_common.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "port/dpdk/device.h"

#define BURST GM_LANE_BURST
#define COPIES (32u << 20) /* bytes: as much as is asked for a socket's buffer */
#define STAYS (1u << 20)   /* of these, when there are no more */

struct copy {
	uint64_t flags;
	uint16_t vlan, len;
	uint8_t frame[];
};

static size_t size_of(unsigned len)
{
	return RTE_ALIGN_CEIL(sizeof(struct copy) + len, _Alignof(struct copy));
}

bool gm_queue_start(struct gm_queue *q, struct rte_mempool *pool, unsigned most)
{
	*q = (struct gm_queue){.pool = pool, .most = most, .mask = rte_align32pow2(most) - 1};
	q->front = calloc(q->mask + (size_t)1, sizeof(struct rte_mbuf *));
	q->copies = mmap(NULL, COPIES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (q->front && q->copies != MAP_FAILED)
		return true;
	gm_queue_end(q);
	return false;
}

void gm_queue_end(struct gm_queue *q)
{
	q->copies_n = 0;
	for (struct rte_mbuf *m; (m = gm_queue_next(q));)
		rte_pktmbuf_free(m);
	free(q->front);
	if (q->copies && q->copies != MAP_FAILED)
		munmap(q->copies, COPIES);
	*q = (struct gm_queue){0};
}

static void put(struct gm_queue *q, struct rte_mbuf *m)
{
	q->front[(q->at + q->n++) & q->mask] = m;
}

/* ---- copies */

static void put_copy(struct gm_queue *q, struct rte_mbuf *m)
{
	struct copy *c = (void *)(q->copies + q->end);

	if (m->nb_segs > 1) {
		q->truncated++;
	} else {
		*c = (struct copy){.flags = m->ol_flags, .vlan = m->vlan_tci, .len = m->data_len};
		memcpy(c->frame, rte_pktmbuf_mtod(m, const uint8_t *), c->len);
		q->end += size_of(c->len);
		q->copies_n++;
	}
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *take_copy(struct gm_queue *q)
{
	const struct copy *c = (const void *)(q->copies + q->begin);
	struct rte_mbuf *m = rte_pktmbuf_alloc(q->pool);

	if (!m)
		return NULL;
	memcpy(rte_pktmbuf_append(m, c->len), c->frame, c->len);
	m->ol_flags = c->flags;
	m->vlan_tci = c->vlan;
	q->begin += size_of(c->len);
	q->copies_n--;
	return m;
}

static void bring_forward(struct gm_queue *q)
{
	struct rte_mbuf *m;

	while (q->copies_n && q->n < BURST && (m = take_copy(q)))
		put(q, m);
	if (q->copies_n || !q->end)
		return;
	if (q->end > STAYS)
		madvise(q->copies + STAYS, COPIES - STAYS, MADV_DONTNEED);
	q->begin = q->end = 0;
}

/* ---- both */

static bool has_room_in_front(const struct gm_queue *q)
{
	return !q->copies_n && q->most - q->n >= BURST;
}

static bool has_room(const struct gm_queue *q)
{
	return has_room_in_front(q) || COPIES - q->end >= BURST * size_of(RTE_MBUF_DEFAULT_BUF_SIZE);
}

bool gm_queue_fill(struct gm_queue *q, struct gm_lane *lane)
{
	struct rte_mbuf *m[BURST];

	for (unsigned n = BURST; n == BURST && has_room(q);) {
		void (*const to)(struct gm_queue *, struct rte_mbuf *) = has_room_in_front(q) ? put : put_copy;
		n = gm_lane_rx(lane, m, BURST);
		for (unsigned i = 0; i < n; i++)
			to(q, m[i]);
	}
	bring_forward(q);
	return q->n;
}

struct rte_mbuf *gm_queue_next(struct gm_queue *q)
{
	if (!q->n)
		return NULL;
	struct rte_mbuf *m = q->front[q->at];

	q->at = (q->at + 1) & q->mask;
	q->n--;
	return m;
}
