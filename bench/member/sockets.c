/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUF_CAP 2048u
#define WAKE UINT32_MAX

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct gm_port {
	const struct gm_port_ops *ops;
	bool v4;
	unsigned n; /* sockets */
	int epoll, wake;
	int fds[GM_SOCKETS_MAX];
	struct gm_addr listen;
	struct gm_port_stats stats;
	uint8_t tx[GM_PORT_BURST][BUF_CAP], rx[GM_PORT_BURST][BUF_CAP];
};

static socklen_t to_sockaddr(union any_addr *to, const struct gm_addr *a, bool v4)
{
	if (v4) {
		*to = (union any_addr){.v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)}};
		memcpy(&to->v4.sin_addr, a->ip + 12, 4);
		return sizeof(to->v4);
	}
	*to = (union any_addr){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope}};
	memcpy(&to->v6.sin6_addr, a->ip, 16);
	return sizeof(to->v6);
}

static struct gm_addr from_sockaddr(const union any_addr *from)
{
	struct gm_addr a = {0};
	if (from->sa.sa_family == AF_INET) {
		memcpy(a.ip, mapped, 12);
		memcpy(a.ip + 12, &from->v4.sin_addr, 4);
		a.port = ntohs(from->v4.sin_port);
	} else {
		memcpy(a.ip, &from->v6.sin6_addr, 16);
		a.port = ntohs(from->v6.sin6_port);
	}
	return a;
}

static bool add_socket(struct gm_port *p, unsigned i)
{
	union any_addr sa;
	struct gm_addr a = p->listen;
	int on = 1, rcvbuf = 8 << 20;
	a.port = (uint16_t)(a.port + i);
	socklen_t n = to_sockaddr(&sa, &a, p->v4);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	p->fds[p->n++] = fd;
	if (p->v4)
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (p->v4 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
	return bind(fd, &sa.sa, n) == 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void sockets_close(struct gm_port *p)
{
	for (unsigned i = 0; i < p->n; i++)
		close(p->fds[i]);
	close(p->epoll);
	close(p->wake);
	free(p);
}

static enum gm_err sockets_open(struct gm_port **port, const struct gm_port_config *config)
{
	unsigned n = *(const unsigned *)config->arg;
	struct gm_port *p = calloc(1, sizeof(*p));
	if (!p)
		return GM_E_NO_MEMORY;
	p->ops = &gm_port_sockets;
	p->listen = config->listen[0];
	p->v4 = memcmp(p->listen.ip, mapped, 12) == 0;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = WAKE};
	bool ok = p->epoll >= 0 && p->wake >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &ev) == 0;
	for (unsigned i = 0; ok && i < n && i < GM_SOCKETS_MAX; i++)
		ok = add_socket(p, i);
	if (!ok) {
		int why = errno;
		sockets_close(p);
		errno = why;
		return GM_E_IO;
	}
	*port = p;
	return GM_E_OK;
}

static unsigned sockets_tx_get(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	if (n > GM_PORT_BURST)
		n = GM_PORT_BURST;
	for (unsigned i = 0; i < n; i++)
		d[i] = (struct gm_dgram){.data = p->tx[i], .cap = BUF_CAP, .buf = i};
	return n;
}

static bool send_one(struct gm_port *p, const struct gm_dgram *d)
{
	union any_addr to;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
	struct iovec iov = {d->data, d->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &to};
	unsigned i = p->v4 ? 0 : (unsigned)(d->local.port - p->listen.port);
	msg.msg_namelen = to_sockaddr(&to, &d->peer, p->v4);
	if (p->v4) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
		struct in_pktinfo info = {0};
		memcpy(&info.ipi_spec_dst, d->local.ip + 12, 4);
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return i < p->n && sendmsg(p->fds[i], &msg, 0) >= 0;
}

static unsigned sockets_tx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (send_one(p, &d[i]))
			p->stats.tx++;
		else
			p->stats.tx_failed++;
	p->stats.tx_bursts++;
	return n;
}

static void sockets_put(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	(void)p;
	(void)d;
	(void)n;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): buf is filled */
static bool receive_one(struct gm_port *p, unsigned i, struct gm_dgram *d, uint8_t *buf)
{
	union any_addr from;
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct iovec iov = {buf, BUF_CAP};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_name = &from,
	                     .msg_namelen = sizeof(from),
	                     .msg_control = control,
	                     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(p->fds[i], &msg, 0);
	if (n < 0 || msg.msg_flags & MSG_TRUNC)
		return false;
	*d = (struct gm_dgram){.data = buf, .len = (uint16_t)n, .peer = from_sockaddr(&from), .local = p->listen};
	d->local.port = (uint16_t)(p->listen.port + i);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(d->local.ip + 12, &info.ipi_addr, 4);
		}
	return true;
}

static unsigned sockets_rx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	struct epoll_event ev[GM_PORT_BURST];
	unsigned got = 0;
	int ready = epoll_wait(p->epoll, ev, GM_PORT_BURST, 0);
	if (n > GM_PORT_BURST)
		n = GM_PORT_BURST;
	for (int e = 0; e < ready; e++)
		while (got < n && ev[e].data.u32 != WAKE && receive_one(p, ev[e].data.u32, &d[got], p->rx[got]))
			got++;
	p->stats.rx += got;
	p->stats.rx_bursts += got > 0;
	return got;
}

static void sockets_wait(struct gm_port *p, uint64_t timeout_ns)
{
	struct epoll_event ev[4];
	uint64_t ms = timeout_ns / 1000000u, count;
	int n = epoll_wait(p->epoll, ev, 4,
	                   timeout_ns == UINT64_MAX ? -1
	                   : ms > 60000             ? 60000
	                                            : (int)ms + (ms == 0 && timeout_ns));
	for (int i = 0; i < n; i++)
		if (ev[i].data.u32 == WAKE)
			(void)!read(p->wake, &count, sizeof(count));
}

static void sockets_wake(struct gm_port *p)
{
	uint64_t one = 1;
	(void)!write(p->wake, &one, sizeof(one));
}

static void sockets_stats(const struct gm_port *p, struct gm_port_stats *stats)
{
	*stats = p->stats;
}

static uint64_t sockets_now_ns(struct gm_port *p)
{
	(void)p;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct gm_addr sockets_bound(const struct gm_port *p, unsigned i)
{
	struct gm_addr a = p->listen;
	a.port = (uint16_t)(a.port + i);
	return a;
}

const struct gm_port_ops gm_port_sockets = {
    .name = "sockets",
    .open = sockets_open,
    .tx_get = sockets_tx_get,
    .tx_burst = sockets_tx_burst,
    .tx_put = sockets_put,
    .rx_burst = sockets_rx_burst,
    .rx_put = sockets_put,
    .wait = sockets_wait,
    .wake = sockets_wake,
    .stats = sockets_stats,
    .now_ns = sockets_now_ns,
    .bound = sockets_bound,
    .close = sockets_close,
};
