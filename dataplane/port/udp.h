/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel UDP sockets as ports use them. An AF_INET6 socket on :: carries IPv4 too, with mapped addresses on every face;
 * an IPv4 listener gets an AF_INET socket, which costs less. */
#ifndef GM_UDP_H
#define GM_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "gm/addr.h"
#include "gm/err.h"
#include "port/port.h"

struct gm_udp {
	int fd;
	bool inet; /* AF_INET */
	struct gm_addr bound;
	uint32_t rcvbuf; /* bytes granted */
};

union gm_udp_name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	uint64_t align[4]; /* what follows a name in a buffer stays aligned */
};
#define GM_UDP_CONTROL CMSG_SPACE(sizeof(struct in6_pktinfo))

/* Nonblocking, SO_REUSEPORT; one on a wildcard is told the local address of every datagram. IO: errno says why. */
GM_NODISCARD enum gm_err gm_udp_open(struct gm_udp *u, const struct gm_addr *listen, unsigned rcvbuf);
/* One that is bound already. IO: errno says why; then it is closed. */
GM_NODISCARD enum gm_err gm_udp_adopt(struct gm_udp *u, int fd, unsigned rcvbuf);
void gm_udp_close(struct gm_udp *u);
/* One for each listen address, *n of them when it fails; *granted: bytes that the smallest has. IO: errno says why. */
GM_NODISCARD enum gm_err gm_udp_open_all(struct gm_udp u[static GM_LISTEN_MAX], unsigned *n,
                                         const struct gm_port_config *config, unsigned rcvbuf, uint32_t *granted);
/* Nobody else has the addresses; waits a while for a predecessor: the check of gm_port_ops. */
GM_NODISCARD enum gm_err gm_udp_check(const struct gm_port_config *config);
/* Can the address be bound by one that does not share it? Binds and lets go. IO: errno says why. */
GM_NODISCARD enum gm_err gm_udp_probe(const struct gm_addr *listen);

/* Which of n sockets sends from local to peer; the first where none fits. */
unsigned gm_udp_pick(const struct gm_udp *u, unsigned n, const struct gm_addr *local, const struct gm_addr *peer);

/* A peer that the socket cannot reach gets a name that the kernel refuses. */
socklen_t gm_udp_put_name(const struct gm_udp *u, union gm_udp_name *name, const struct gm_addr *peer);
struct gm_addr gm_udp_get_name(const union gm_udp_name *name);
/* Control message that makes local the source; 0 bytes where the kernel chooses. */
size_t gm_udp_put_source(const struct gm_udp *u, void *control, const struct gm_addr *local);
/* The address a datagram came to. */
struct gm_addr gm_udp_get_local(const struct gm_udp *u, void *control, size_t n);

#endif
