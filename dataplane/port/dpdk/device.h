/* SPDX-License-Identifier: Apache-2.0 */
/* The DPDK ports of this process, shared by its workers. A worker has a queue pair of its own, or a pair of rings to one that
 * has. Each lane belongs to one worker; only gm_lane_wake may be called from others. */
#ifndef GM_DPDK_DEVICE_H
#define GM_DPDK_DEVICE_H

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>

#include "gm/dp.h"
#include "port/dpdk/steer.h"
#include "port/port.h"

#define GM_LANE_BURST GM_PORT_BURST

struct gm_device {
	unsigned ifindex;   /* 0: the kernel knows nothing of it */
	uint8_t mac[6];
	bool offload;       /* the card fills in checksums */
	bool copies;        /* the kernel sees what we see */
	int kernel;         /* port whose frames are the kernel's: what is not ours goes there, what it sends goes out; -1: none */
	struct rte_mempool *pool;
	uint16_t ring;      /* frames that may wait: at a queue of the card, */
	uint16_t waits;     /* and so many of these in a lane's port, which the card has no place for */
	struct gm_steer *steer; /* NULL: not af_xdp, or with a program of somebody else */
	unsigned lanes_n, pairs_n;
	struct gm_lane *lane[GM_WORKERS_MAX];
};

struct gm_lane {
	struct gm_device *device;
	unsigned index;
	uint16_t port, queue;          /* of the owner's pair */
	int fd, kernel_fd;             /* readable: frames have come; -1: nothing tells */
	struct gm_lane *owner;         /* who has the queue pair: this one, or another */
	struct rte_ring *rx, *tx;      /* a guest's: frames that came for it, frames that it sends */
	struct gm_lane *guest[GM_WORKERS_MAX];
	unsigned guests_n;
	struct rte_mbuf *late[GM_LANE_BURST]; /* frames of guests that the driver had no room for */
	unsigned late_at, late_n;
	uint64_t lost;                 /* frames for guests whose ring was full */
	int event;
	_Atomic bool wake_sent, asleep;
};

/* The first of a process makes the device. NULL: gm_eal_why tells. */
struct gm_lane *gm_lane_open(const struct gm_port_config *config);
void gm_lane_close(struct gm_lane *lane);
const char *gm_lane_how(void); /* what spreads datagrams over the lanes, as key=value; once one is open */

/* Never more than GM_LANE_BURST. */
unsigned gm_lane_rx(struct gm_lane *lane, struct rte_mbuf **m, unsigned n);
unsigned gm_lane_tx(struct gm_lane *lane, struct rte_mbuf **m, unsigned n); /* how many were taken */
/* A frame that came and is not ours. */
void gm_lane_not_ours(struct gm_lane *lane, struct rte_mbuf *m);
/* What the kernel sends by a port of its own, out; does nothing where there is none. true: there was some. */
bool gm_lane_kernel_out(struct gm_lane *lane);
/* Does anything wait that no descriptor tells of? true: do not sleep long. */
bool gm_lane_busy(const struct gm_lane *lane);
void gm_lane_wake(struct gm_lane *lane);

#endif
