/* SPDX-License-Identifier: Apache-2.0 */
/* Our program in the kernel that gives DPDK's net_af_xdp what is ours, and nothing else. The driver can only attach a program that
 * stays when the process dies. So it gets one to attach while a queue starts, which is taken away again at once, and ours is then
 * attached by a link: a descriptor, which goes with the process however that ends. */
#ifndef GM_DPDK_STEER_H
#define GM_DPDK_STEER_H

#include "port/hops.h"

struct gm_steer;

/* The argument for the driver, beginning with a comma. NULL: gm_eal_why tells. */
const char *gm_steer_argument(void);
/* Loads the program for an interface, and takes away what the driver left there in a process that was killed while it started.
 * NULL: gm_eal_why tells; also where the interface has a program of somebody else. */
struct gm_steer *gm_steer_new(unsigned ifindex, const uint8_t mac[static 6]);
void gm_steer_free(struct gm_steer *s);
/* Once the driver has attached what it was given. */
bool gm_steer_unhook(struct gm_steer *s);
/* The socket that takes what comes in by a receive queue. */
bool gm_steer_queue(struct gm_steer *s, unsigned queue, int fd);
/* From now on frames come. */
bool gm_steer_attach(struct gm_steer *s);
/* Which addresses and ports are ours: what n listeners have, and of those on any address all that the host has. */
void gm_steer_listen(struct gm_steer *s, const struct gm_addr *listen, unsigned n, const struct gm_hops *hops);

/* The AF_XDP socket among this process's descriptors that is none of the n in `but`; -1: none. */
int gm_steer_find_socket(const int *but, unsigned n);

#endif
