/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker asks of a network: bursts of datagrams. One port belongs to one thread; only wake() may be called
 * from others. No call but wait() blocks. */
#ifndef GM_PORT_H
#define GM_PORT_H

#include "gm/addr.h"
#include "gm/err.h"

#define GM_PORT_BURST 64u
#define GM_DGRAM_TX_CAP 1472u /* payload bytes that a send buffer holds at least */

struct gm_dgram {
	uint8_t *data;
	uint16_t len; /* bytes in data */
	uint16_t cap; /* of a send buffer */
	uint32_t buf; /* the port's own handle */
	struct gm_addr peer;
	struct gm_addr local; /* received: where it came to; to send: the source, ip all zero: the kernel chooses */
};

struct gm_port_config {
	struct gm_addr listen[GM_LISTEN_MAX]; /* one socket each, with SO_REUSEPORT */
	unsigned listen_n;
	unsigned rx_bufs, tx_bufs; /* buffers to hold at once, powers of two; 0: 1,024 */
	unsigned rcvbuf;           /* bytes of socket buffer to ask for, 0: 32 MiB */
	unsigned worker, workers;  /* which of how many ports that are opened on these addresses together; 0, 0: the only one */
	/* One for each listen address, bound by a predecessor, -1: to be opened here. They are the port's from now on, and left alone
	 * until the first rx_burst: the predecessor may still receive from them. NULL: all are opened. */
	const int *sockets;
	void *arg;                 /* mem: the struct gm_mem_net; dpdk: the struct gm_dpdk_config */
};

struct gm_port_stats {
	uint64_t rx, tx;                 /* datagrams */
	uint64_t rx_bursts, tx_bursts;   /* calls that moved some */
	uint64_t rx_truncated, rx_cut;   /* longer than a buffer (dropped); uring: receives that ended for want of buffers, or by an error */
	uint64_t tx_failed;              /* the kernel refused */
	uint64_t rx_bad, rx_fragments;   /* dpdk, dropped: wrong lengths, checksums or sender; part of a datagram to us */
	uint64_t tx_kernel;              /* dpdk: of tx, those that had no fresh next hop */
	uint64_t rx_kernel, rx_lost;     /* dpdk: of rx, those by a kernel socket; frames that another worker was too late for */
	uint32_t rcvbuf;                 /* bytes the kernel granted, smallest socket */
};

struct gm_port; /* begins with `const struct gm_port_ops *ops` */

struct gm_port_ops {
	const char *name;
	/* Before any open: nobody else has the addresses. Waits up to three seconds for a predecessor that is on its way out.
	 * IO: errno says why. NULL: nothing to check. */
	enum gm_err (*check)(const struct gm_port_config *config);
	/* In words, why check or open failed last; empty, or NULL here: errno says it all. */
	const char *(*why)(void);
	/* As key=value, who spreads datagrams over the workers; once all are open. NULL: the kernel does. */
	const char *(*how)(void);
	/* From the thread that will use it. IO: an address cannot be bound; errno says why. */
	enum gm_err (*open)(struct gm_port **port, const struct gm_port_config *config);
	/* Lend up to n empty send buffers; returns how many. The caller fills data, len, peer, local. */
	unsigned (*tx_get)(struct gm_port *port, struct gm_dgram *d, unsigned n);
	/* Send; returns k <= n accepted in order: those belong to the port again, the rest to the caller (send again or
	 * tx_put). */
	unsigned (*tx_burst)(struct gm_port *port, struct gm_dgram *d, unsigned n);
	void (*tx_put)(struct gm_port *port, struct gm_dgram *d, unsigned n); /* give lent buffers back unsent */
	/* Receive up to n; the data stays valid until rx_put. */
	unsigned (*rx_burst)(struct gm_port *port, struct gm_dgram *d, unsigned n);
	void (*rx_put)(struct gm_port *port, struct gm_dgram *d, unsigned n);
	/* Sleep until something was received, wake() was called, or timeout_ns has passed (UINT64_MAX: no limit). */
	void (*wait)(struct gm_port *port, uint64_t timeout_ns);
	void (*wake)(struct gm_port *port); /* any thread; not lost if it comes before wait() */
	void (*stats)(const struct gm_port *port, struct gm_port_stats *stats);
	uint64_t (*now_ns)(struct gm_port *port); /* monotonic clock; mem: the virtual one */
	/* The address of listener i as bound: for port 0, which one the kernel chose. */
	struct gm_addr (*bound)(const struct gm_port *port, unsigned i);
	/* Hand-over to another process, NULL: there is none over this port. From the port's thread. halt: nothing is taken from the
	 * sockets any more; what was is given out by rx_burst, until that returns 0. resume: all as before. */
	void (*halt)(struct gm_port *port);
	void (*resume)(struct gm_port *port);
	int (*socket)(const struct gm_port *port, unsigned i); /* of listener i; any thread */
	/* From the port's thread; or from another once that has ended, but then uring's addresses are free only a
	 * little later: until the kernel has cleaned up, an old socket takes a share of what comes to its address. */
	void (*close)(struct gm_port *port);
};

extern const struct gm_port_ops gm_port_uring;
extern const struct gm_port_ops gm_port_mmsg;
extern const struct gm_port_ops gm_port_mem;

#endif
