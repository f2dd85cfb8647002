/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnetlink messages say of addresses, rules, routes and neighbours, put into struct gm_hops. Any bytes may come; what is cut
 * off, malformed or of no use is passed over. No I/O. */
#ifndef GM_RTNL_H
#define GM_RTNL_H

#include <linux/netlink.h>

#include "port/hops.h"

struct gm_rtnl {
	struct gm_hops *hops;
	unsigned ifindex; /* of the interface whose routes and neighbours count; addresses are those of all */
};

/* The first whole message of n bytes, whose next one is *step bytes on; NULL: there is none. bytes are aligned to four. */
const struct nlmsghdr *gm_rtnl_first(const void *bytes, size_t n, size_t *step);
/* A message of a list, between gm_hops_begin and gm_hops_done. */
void gm_rtnl_listed(const struct gm_rtnl *r, const struct nlmsghdr *m);
/* A message that came unasked. true: the lists have to be read anew. */
bool gm_rtnl_happened(const struct gm_rtnl *r, const struct nlmsghdr *m);

#define GM_RTNL_MANAGE 128u
/* Writes a request that the kernel keep ip's MAC address fresh on the interface, from Linux 5.16 on; returns its bytes. */
size_t gm_rtnl_manage(uint8_t to[static GM_RTNL_MANAGE], unsigned ifindex, const uint8_t ip[static 16]);

#endif
