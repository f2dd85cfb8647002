/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel knows of one interface, kept for those who send frames past it: addresses, routes, neighbours. Whatever
 * cannot be told exactly from here is left to the kernel. No I/O; one thread. */
#ifndef GM_HOPS_H
#define GM_HOPS_H

#include "gm/addr.h"

#define GM_HOPS_ROUTES 512u /* of each family; with more the kernel sends all of that family */
#define GM_HOPS_ADDRS 256u  /* and prefixes that are local; above: not known, a datagram to a listener on any address is not taken */
#define GM_HOPS_NEIGHS 65536u /* slots, a power of two; three quarters are used at most */
#define GM_HOPS_OLD_NS 90000000000ull /* lists that were last read so long ago are no longer believed */

enum gm_hop_state { GM_HOP_NONE, GM_HOP_FRESH, GM_HOP_STALE }; /* STALE: usable, and the kernel is to ask again */

struct gm_route {
	uint8_t to[16], via[16]; /* IPv4 mapped; via all zero: on the link */
	uint8_t bits;            /* of the prefix; IPv4: 96 more */
	bool kernel;             /* not ours: another interface, several hops, a source, an encapsulation, a local address... */
	uint32_t metric;
};

struct gm_hops;

struct gm_hops *gm_hops_new(void); /* NULL: no memory */
void gm_hops_free(struct gm_hops *h);

/* The kernel's lists, read anew: between begin and done what is there stays in force. */
void gm_hops_begin(struct gm_hops *h);
void gm_hops_route(struct gm_hops *h, const struct gm_route *route);
void gm_hops_addr(struct gm_hops *h, const uint8_t ip[static 16], unsigned bits); /* local; IPv4: 96 bits more */
void gm_hops_policy(struct gm_hops *h); /* the kernel chooses routes by more than the destination: all is its business */
void gm_hops_done(struct gm_hops *h, uint64_t now_ns); /* neighbours that were not named since begin are forgotten */
/* Any time. */
void gm_hops_neigh(struct gm_hops *h, const uint8_t ip[static 16], enum gm_hop_state state, const uint8_t mac[static 6]);

/* The MAC address that a datagram to ip is to be sent to; false: it has to go through the kernel. Of those to a stale
 * neighbour that is one a second, so that the kernel asks again. */
bool gm_hops_find(struct gm_hops *h, const uint8_t ip[static 16], uint64_t now_ns, uint8_t mac[static 6]);
bool gm_hops_is_local(const struct gm_hops *h, const uint8_t ip[static 16]);
/* Whether a datagram that came by a link may have that source: one host's, and not our own. */
bool gm_hops_is_sender(const struct gm_hops *h, const uint8_t ip[static 16]);
/* The i-th address or prefix that is local; false: there are not so many. */
bool gm_hops_local(const struct gm_hops *h, unsigned i, uint8_t ip[static 16], unsigned *bits);
uint64_t gm_hops_lists(const struct gm_hops *h); /* how often lists were read */
/* A router that datagrams went to whose MAC was not fresh: named once each time that was so. false: none. */
bool gm_hops_stale_router(struct gm_hops *h, uint8_t ip[static 16]);

#endif
