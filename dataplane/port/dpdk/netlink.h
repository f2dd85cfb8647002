/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's addresses, routes and neighbours into struct gm_hops, and follows them. Nothing but open waits. */
#ifndef GM_DPDK_NETLINK_H
#define GM_DPDK_NETLINK_H

#include "port/hops.h"

struct mnl_socket;

struct gm_netlink {
	struct mnl_socket *events, *lists;
	struct gm_hops *hops;
	unsigned ifindex;
	unsigned step, seq; /* the list being read; none: STEPS_N */
	bool torn;          /* a list changed while it was read */
	bool again;         /* something changed: read all lists once more */
	uint64_t next_ns;   /* not before */
};

/* Opens, and reads all lists once. false: errno says why. */
bool gm_netlink_open(struct gm_netlink *nl, struct gm_hops *hops, unsigned ifindex);
void gm_netlink_close(struct gm_netlink *nl);
/* What has come; asks for the lists again when they changed, and every 30 seconds. */
void gm_netlink_turn(struct gm_netlink *nl, uint64_t now_ns);
int gm_netlink_fd(const struct gm_netlink *nl); /* readable: something changed */

#endif
