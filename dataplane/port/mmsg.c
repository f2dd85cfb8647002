/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel UDP sockets through recvmmsg and sendmmsg, for hosts where io_uring is forbidden. Buffers are ours from one call
 * to the next; the kernel copies. A socket that has no room for a send is the back pressure: what it did not take stays
 * with the caller. */
#include "port/port.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "port/udp.h"
#include "port/util.h"

#define BUFS 1024u
#define RCVBUF (32u << 20) /* the first messages of 65,536 clients at once; only what waits takes memory */
#define RX_CAP 1920u
#define BURST GM_PORT_BURST
#define NS_PER_S 1000000000u
#define RETRY_NS 1000000u /* nothing tells when the kernel has memory again */

struct buf {
	union gm_udp_name name;
	uint64_t control[(GM_UDP_CONTROL + 7) / 8];
	uint8_t data[RX_CAP];
};
_Static_assert(RX_CAP >= GM_DGRAM_TX_CAP, "one kind of buffer for both directions");

struct mmsg_port {
	const struct gm_port_ops *ops;
	struct gm_udp udp[GM_LISTEN_MAX];
	unsigned udp_n, next; /* next: socket that is asked first, so that none starves */
	struct buf *rx, *tx;
	struct gm_free rx_free, tx_free;
	int event;
	bool quiet, halted;       /* not received from: sockets of a predecessor, or on their way to a successor */
	bool full[GM_LISTEN_MAX]; /* the socket refused the last send for want of room */
	bool starved;             /* the kernel did, for want of memory: the socket is ready all the same */
	_Atomic bool wake_sent;
	struct gm_port_stats stats;
};

static struct mmsg_port *mmsg(const struct gm_port *port)
{
	return (struct mmsg_port *)(uintptr_t)port;
}

/* ------------------------------------------------------------------ opening and closing */

static void mmsg_close(struct gm_port *port)
{
	struct mmsg_port *p = mmsg(port);

	for (unsigned i = 0; i < p->udp_n; i++)
		gm_udp_close(&p->udp[i]);
	if (p->event >= 0)
		close(p->event);
	gm_free_end(&p->rx_free);
	gm_free_end(&p->tx_free);
	free(p->rx);
	free(p->tx);
	free(p);
}

static bool allocate(struct mmsg_port *p, const struct gm_port_config *config)
{
	uint32_t rx_n = config->rx_bufs ? config->rx_bufs : BUFS, tx_n = config->tx_bufs ? config->tx_bufs : BUFS;

	p->rx = calloc(rx_n, sizeof(*p->rx));
	p->tx = calloc(tx_n, sizeof(*p->tx));
	return p->rx && p->tx && gm_free_start(&p->rx_free, rx_n) && gm_free_start(&p->tx_free, tx_n);
}

static enum gm_err mmsg_open(struct gm_port **port, const struct gm_port_config *config)
{
	struct mmsg_port *p = calloc(1, sizeof(*p));

	if (!p)
		return GM_E_NO_MEMORY;
	p->ops = &gm_port_mmsg;
	p->quiet = config->sockets != NULL;
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!allocate(p, config) || p->event < 0 ||
	    gm_udp_open_all(p->udp, &p->udp_n, config, config->rcvbuf ? config->rcvbuf : RCVBUF, &p->stats.rcvbuf) !=
	        GM_E_OK) {
		int why = errno;

		mmsg_close((struct gm_port *)p);
		errno = why;
		return GM_E_IO;
	}
	*port = (struct gm_port *)p;
	return GM_E_OK;
}

/* ------------------------------------------------------------------ sending */

static unsigned mmsg_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mmsg_port *p = mmsg(port);
	unsigned i = 0;

	for (uint32_t buf; i < n && gm_free_get(&p->tx_free, &buf); i++)
		d[i] = (struct gm_dgram){.data = p->tx[buf].data, .cap = GM_DGRAM_TX_CAP, .buf = buf};
	return i;
}

static void mmsg_tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_free_put(&mmsg(port)->tx_free, d[i].buf);
}

static void lay_out(struct mmsg_port *p, const struct gm_udp *udp, const struct gm_dgram *d, struct mmsghdr *m,
                    struct iovec *iov)
{
	struct buf *b = &p->tx[d->buf];

	*iov = (struct iovec){.iov_base = d->data, .iov_len = d->len};
	m->msg_hdr = (struct msghdr){.msg_name = &b->name, .msg_iov = iov, .msg_iovlen = 1};
	m->msg_hdr.msg_namelen = gm_udp_put_name(udp, &b->name, &d->peer);
	m->msg_hdr.msg_controllen = gm_udp_put_source(udp, b->control, &d->local);
	m->msg_hdr.msg_control = m->msg_hdr.msg_controllen ? b->control : NULL;
}

/* As many of the first n as go out of one socket, at most a burst; returns how many are done with. */
static unsigned send_run(struct mmsg_port *p, struct gm_dgram *d, unsigned n)
{
	struct mmsghdr m[BURST];
	struct iovec iov[BURST];
	unsigned socket = gm_udp_pick(p->udp, p->udp_n, &d[0].local, &d[0].peer), k = 0;

	while (k < n && k < BURST && gm_udp_pick(p->udp, p->udp_n, &d[k].local, &d[k].peer) == socket) {
		lay_out(p, &p->udp[socket], &d[k], &m[k], &iov[k]);
		k++;
	}
	int sent = sendmmsg(p->udp[socket].fd, m, k, 0);
	p->full[socket] = sent < 0 && errno == EAGAIN;
	p->starved = sent < 0 && (errno == ENOBUFS || errno == ENOMEM);
	if (p->full[socket] || p->starved)
		return 0;
	if (sent <= 0) { /* the first one is refused: it goes the way of a lost datagram */
		p->stats.tx_failed++;
		return 1;
	}
	p->stats.tx += (unsigned)sent;
	return (unsigned)sent;
}

static unsigned mmsg_tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mmsg_port *p = mmsg(port);
	unsigned done = 0;

	for (unsigned k = 1; done < n && k > 0; done += k)
		k = send_run(p, d + done, n - done);
	mmsg_tx_put(port, d, done);
	p->stats.tx_bursts += done > 0;
	return done;
}

/* ------------------------------------------------------------------ receiving */

static bool keep(struct mmsg_port *p, const struct gm_udp *udp, const struct mmsghdr *m, uint32_t buf, struct gm_dgram *d)
{
	struct buf *b = &p->rx[buf];

	if (m->msg_hdr.msg_flags & MSG_TRUNC) {
		p->stats.rx_truncated++;
		gm_free_put(&p->rx_free, buf);
		return false;
	}
	*d = (struct gm_dgram){.data = b->data,
	                       .len = (uint16_t)m->msg_len,
	                       .cap = (uint16_t)m->msg_len,
	                       .buf = buf,
	                       .peer = gm_udp_get_name(&b->name),
	                       .local = gm_udp_get_local(udp, b->control, m->msg_hdr.msg_controllen)};
	return true;
}

static unsigned receive(struct mmsg_port *p, const struct gm_udp *udp, struct gm_dgram *d, unsigned n)
{
	struct mmsghdr m[BURST];
	struct iovec iov[BURST];
	uint32_t buf[BURST];
	unsigned k = 0, got = 0;

	for (; k < n && k < BURST && gm_free_get(&p->rx_free, &buf[k]); k++) {
		struct buf *b = &p->rx[buf[k]];

		iov[k] = (struct iovec){.iov_base = b->data, .iov_len = sizeof(b->data)};
		m[k].msg_hdr = (struct msghdr){.msg_name = &b->name, .msg_namelen = sizeof(b->name), .msg_iov = &iov[k],
		                               .msg_iovlen = 1, .msg_control = b->control, .msg_controllen = sizeof(b->control)};
	}
	int r = k ? recvmmsg(udp->fd, m, k, 0, NULL) : 0;
	unsigned came = r > 0 ? (unsigned)r : 0;
	while (k > came)
		gm_free_put(&p->rx_free, buf[--k]);
	for (unsigned i = 0; i < came; i++)
		got += keep(p, udp, &m[i], buf[i], &d[got]); /* NOLINT(clang-analyzer-core.CallAndMessage): no more came than was asked for */
	return got;
}

static unsigned mmsg_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mmsg_port *p = mmsg(port);
	unsigned got = 0;

	p->quiet = p->halted;
	for (unsigned i = 0; i < p->udp_n && got < n && !p->quiet; i++)
		got += receive(p, &p->udp[(p->next + i) % p->udp_n], d + got, n - got);
	p->next = p->udp_n ? (p->next + 1) % p->udp_n : 0;
	p->stats.rx += got;
	p->stats.rx_bursts += got > 0;
	return got;
}

static void mmsg_rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_free_put(&mmsg(port)->rx_free, d[i].buf);
}

/* ------------------------------------------------------------------ the rest */

static uint64_t mmsg_now(struct gm_port *port)
{
	struct timespec t;

	(void)port;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What cannot be received for want of buffers must not end the wait, or the caller would spin. */
static void mmsg_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct mmsg_port *p = mmsg(port);
	uint64_t ns = p->starved && timeout_ns > RETRY_NS ? RETRY_NS : timeout_ns;
	struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	struct pollfd fds[GM_LISTEN_MAX + 1] = {{.fd = p->event, .events = POLLIN}};
	uint64_t count;

	for (unsigned i = 0; i < p->udp_n; i++)
		fds[i + 1] = (struct pollfd){.fd = p->udp[i].fd,
		                             .events = (short)((p->rx_free.n && !p->quiet ? POLLIN : 0) | (p->full[i] ? POLLOUT : 0))};
	ppoll(fds, p->udp_n + 1, ns == UINT64_MAX ? NULL : &t, NULL);
	/* whoever finds wake_sent set does not write; so it is cleared only after the read */
	if (fds[0].revents && read(p->event, &count, sizeof(count)) == sizeof(count))
		atomic_exchange(&p->wake_sent, false);
}

static void mmsg_wake(struct gm_port *port)
{
	struct mmsg_port *p = mmsg(port);
	const uint64_t one = 1;

	if (!atomic_exchange(&p->wake_sent, true) && write(p->event, &one, sizeof(one)) < 0)
		atomic_store(&p->wake_sent, false);
}

static void mmsg_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = mmsg(port)->stats;
}

static void mmsg_halt(struct gm_port *port)
{
	mmsg(port)->halted = true;
}

static void mmsg_resume(struct gm_port *port)
{
	mmsg(port)->halted = false;
}

static int mmsg_socket(const struct gm_port *port, unsigned i)
{
	return mmsg(port)->udp[i].fd;
}

static struct gm_addr mmsg_bound(const struct gm_port *port, unsigned i)
{
	return mmsg(port)->udp[i].bound;
}

const struct gm_port_ops gm_port_mmsg = {
    .name = "mmsg",
    .check = gm_udp_check,
    .open = mmsg_open,
    .tx_get = mmsg_tx_get,
    .tx_burst = mmsg_tx_burst,
    .tx_put = mmsg_tx_put,
    .rx_burst = mmsg_rx_burst,
    .rx_put = mmsg_rx_put,
    .wait = mmsg_wait,
    .wake = mmsg_wake,
    .stats = mmsg_stats,
    .now_ns = mmsg_now,
    .bound = mmsg_bound,
    .halt = mmsg_halt,
    .resume = mmsg_resume,
    .socket = mmsg_socket,
    .close = mmsg_close,
};
