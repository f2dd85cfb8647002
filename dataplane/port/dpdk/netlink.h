/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's addresses, routes and neighbours into struct gm_hops, and follows them. Nothing but open waits. One for each
 * worker: they share nothing. */
#ifndef GM_DPDK_NETLINK_H
#define GM_DPDK_NETLINK_H

#include "port/rtnl.h"

#define GM_NETLINK_BUF 32768u

struct gm_netlink {
	int events, lists; /* sockets */
	struct gm_rtnl rtnl;
	unsigned step, seq; /* the list being read; none: past the last */
	bool torn;          /* a list changed while it was read */
	bool again;         /* something changed: read all lists once more */
	uint64_t next_ns;   /* not before */
	uint64_t manage_ns; /* the next router that the kernel is asked to look after: not before */
	uint32_t buf[GM_NETLINK_BUF / 4];
};

/* Opens, and reads all lists once. NULL: errno says why. */
struct gm_netlink *gm_netlink_open(struct gm_hops *hops, unsigned ifindex, uint64_t now_ns);
void gm_netlink_close(struct gm_netlink *nl);
/* What has come; asks for the lists again when they changed, and every 30 seconds. */
void gm_netlink_turn(struct gm_netlink *nl, uint64_t now_ns);
int gm_netlink_fd(const struct gm_netlink *nl); /* readable: something changed */

#endif
