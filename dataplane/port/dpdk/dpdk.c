/* SPDX-License-Identifier: Apache-2.0 */
/* UDP in Ethernet frames through a lane of the DPDK device. Received frames are parsed in place; the data of both directions lies
 * in mbufs. The kernel keeps the interface: it answers ARP, ND and ICMP, and what we have no fresh next hop for goes out through
 * a UDP socket of ours, which makes it look for one. The same socket holds the address, and hears what the kernel gets of it;
 * where that is copies, so that it calls nothing unreachable, a filter lets nothing in. */
#include "port/dpdk/dpdk.h"

#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gm/dp.h"
#include "port/dpdk/device.h"
#include "port/dpdk/eal.h"
#include "port/dpdk/netlink.h"
#include "port/dpdk/queue.h"
#include "port/frame.h"
#include "port/hops.h"
#include "port/udp.h"
#include "port/util.h"

#define BUFS 1024u
#define BURST GM_PORT_BURST
#define IP_MAX 1280u       /* bytes of an IP packet that goes out as a frame: every link takes so many */
#define SPIN_NS 20000u     /* idle: look again and again for so long, */
#define NAP_NS_MIN 50000u  /* then sleep between looks, at first so long, */
#define NAP_NS_MAX 1000000u /* in the end so long */
#define NETLINK_NS 1000000u
#define KERNEL_NS 100000u  /* between two looks at what the kernel sends by its way to the card */
#define RCVBUF (1u << 20)
#define SLEEP_FDS (4 + GM_LISTEN_MAX)
#define A_SECOND 1000000000u

_Static_assert(GM_FRAME_HEAD <= RTE_PKTMBUF_HEADROOM, "headers are written in front of the payload");

struct held { /* mbufs that the caller has, by number */
	struct rte_mbuf **at;
	struct gm_free free;
};

struct dpdk_port {
	const struct gm_port_ops *ops;
	struct gm_lane *lane;
	struct gm_device *device;
	bool full; /* the driver or the buffers refused: room comes without a sign */
	struct held rx, tx;
	struct gm_queue in; /* received, not yet given out */
	struct rte_mbuf *spare[BURST]; /* to be sent, not yet lent */
	unsigned spare_n;

	struct gm_udp udp[GM_LISTEN_MAX];
	unsigned udp_n;
	bool hears, look; /* the kernel's sockets too; something may be there */
	struct gm_hops *hops;
	struct gm_netlink *netlink;
	uint64_t netlink_ns, kernel_ns, nap_ns, lists;
	uint16_t ident;
	struct gm_port_stats stats;
};

static struct dpdk_port *dpdk(const struct gm_port *port)
{
	return (struct dpdk_port *)(uintptr_t)port;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * A_SECOND + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ opening and closing */

static bool held_start(struct held *h, uint32_t n)
{
	h->at = calloc(n, sizeof(struct rte_mbuf *));
	return h->at && gm_free_start(&h->free, n);
}

static void held_end(struct held *h)
{
	free(h->at);
	gm_free_end(&h->free);
}

static void dpdk_close(struct gm_port *port)
{
	struct dpdk_port *p = dpdk(port);

	gm_queue_end(&p->in);
	rte_pktmbuf_free_bulk(p->spare, p->spare_n);
	gm_lane_close(p->lane);
	gm_netlink_close(p->netlink);
	gm_hops_free(p->hops);
	for (unsigned i = 0; i < p->udp_n; i++)
		gm_udp_close(&p->udp[i]);
	held_end(&p->rx);
	held_end(&p->tx);
	free(p);
}

static bool reserve(struct dpdk_port *p, const struct gm_port_config *config)
{
	return gm_udp_open_all(p->udp, &p->udp_n, config, config->rcvbuf ? config->rcvbuf : RCVBUF, &p->stats.rcvbuf) ==
	       GM_E_OK; /* errno says why, as with any port */
}

/* What came before the filter waits in a socket that nobody reads. */
static bool deafen(struct dpdk_port *p)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = 1, .filter = nothing};

	p->hears = !p->device->copies;
	for (unsigned i = 0; i < p->udp_n && !p->hears; i++)
		if (setsockopt(p->udp[i].fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
			return gm_eal_failed("a filter on the UDP socket: %s", strerror(errno));
	return true;
}

static bool allocate(struct dpdk_port *p, const struct gm_port_config *config)
{
	p->hops = gm_hops_new();
	return (p->hops && gm_queue_start(&p->in, p->device->pool, p->device->waits + BURST) && held_start(&p->rx, config->rx_bufs ? config->rx_bufs : BUFS) &&
	        held_start(&p->tx, config->tx_bufs ? config->tx_bufs : BUFS)) ||
	       gm_eal_failed("out of memory");
}

/* One worker tells the steering program for all. */
static void tell_steer(struct dpdk_port *p)
{
	struct gm_addr listen[GM_LISTEN_MAX];

	if (!p->device->steer || p->lane->index != 0 || p->lists == gm_hops_lists(p->hops))
		return;
	p->lists = gm_hops_lists(p->hops);
	for (unsigned i = 0; i < p->udp_n; i++)
		listen[i] = p->udp[i].bound;
	gm_steer_listen(p->device->steer, listen, p->udp_n, p->hops);
}

static bool follow_kernel(struct dpdk_port *p)
{
	if (!p->device->ifindex)
		return true;
	p->netlink = gm_netlink_open(p->hops, p->device->ifindex, now());
	tell_steer(p);
	return p->netlink || gm_eal_failed("netlink: %s", strerror(errno));
}

static bool join(struct dpdk_port *p, const struct gm_port_config *config)
{
	p->lane = gm_lane_open(config);
	p->device = p->lane ? p->lane->device : NULL;
	return p->lane != NULL;
}

static enum gm_err dpdk_open(struct gm_port **port, const struct gm_port_config *config)
{
	struct dpdk_port *p = calloc(1, sizeof(*p));

	if (!p)
		return GM_E_NO_MEMORY;
	p->ops = &gm_port_dpdk;
	p->nap_ns = NAP_NS_MIN;
	if (!reserve(p, config) || !join(p, config) || !deafen(p) || !allocate(p, config) || !follow_kernel(p)) {
		int why = errno;

		dpdk_close((struct gm_port *)p);
		errno = why;
		return GM_E_IO;
	}
	*port = (struct gm_port *)p;
	return GM_E_OK;
}

/* ------------------------------------------------------------------ sending */

/* A burst of them at a time, singly where so many are not there. NULL: none is */
static struct rte_mbuf *take_spare(struct dpdk_port *p)
{
	if (!p->spare_n && rte_pktmbuf_alloc_bulk(p->device->pool, p->spare, BURST) == 0)
		p->spare_n = BURST;
	return p->spare_n ? p->spare[--p->spare_n] : rte_pktmbuf_alloc(p->device->pool);
}

static unsigned dpdk_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);
	unsigned i = 0;

	for (uint32_t buf; i < n && gm_free_get(&p->tx.free, &buf); i++) {
		struct rte_mbuf *m = take_spare(p);

		if (!m) {
			gm_free_put(&p->tx.free, buf);
			break;
		}
		p->tx.at[buf] = m;
		d[i] = (struct gm_dgram){.data = rte_pktmbuf_mtod(m, uint8_t *), .cap = GM_DGRAM_TX_CAP, .buf = buf};
	}
	p->full = i < n;
	return i;
}

static void dpdk_tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);

	for (unsigned i = 0; i < n; i++) {
		rte_pktmbuf_free(p->tx.at[d[i].buf]);
		gm_free_put(&p->tx.free, d[i].buf);
	}
}

/* One at a time: few go this way, and what the kernel refuses goes the way of a lost datagram. */
static void send_by_kernel(struct dpdk_port *p, struct gm_dgram *d)
{
	const struct gm_udp *udp = &p->udp[gm_udp_pick(p->udp, p->udp_n, &d->local, &d->peer)];
	uint64_t control[(GM_UDP_CONTROL + 7) / 8];
	struct iovec iov = {.iov_base = d->data, .iov_len = d->len};
	union gm_udp_name name;
	struct msghdr m = {.msg_name = &name, .msg_iov = &iov, .msg_iovlen = 1};

	m.msg_namelen = gm_udp_put_name(udp, &name, &d->peer);
	m.msg_controllen = gm_udp_put_source(udp, control, &d->local);
	m.msg_control = m.msg_controllen ? control : NULL;
	bool sent = sendmsg(udp->fd, &m, MSG_DONTWAIT) >= 0;
	p->stats.tx += sent;
	p->stats.tx_kernel += sent;
	p->stats.tx_failed += !sent;
	dpdk_tx_put((struct gm_port *)p, d, 1);
}

/* false: the datagram has to go through the kernel. */
static bool lay_out(struct dpdk_port *p, const struct gm_dgram *d, uint64_t now_ns)
{
	struct rte_mbuf *m = p->tx.at[d->buf];
	bool v4 = gm_is_v4(d->peer.ip);
	struct gm_frame_to to = {.peer = d->peer, .local = d->local, .offload = p->device->offload};

	if (gm_is_any(d->local.ip) || gm_is_v4(d->local.ip) != v4 || gm_frame_ip_len(&d->peer, d->len) > IP_MAX ||
	    (d->peer.scope && d->peer.scope != p->device->ifindex) || !gm_hops_find(p->hops, d->peer.ip, now_ns, to.dst))
		return false;
	memcpy(to.src, p->device->mac, 6);
	to.ident = p->ident++;
	if (!to.local.port)
		to.local.port = p->udp[gm_udp_pick(p->udp, p->udp_n, &d->local, &d->peer)].bound.port;
	unsigned head = gm_frame_lay(d->data, d->len, &to);
	m->data_off = (uint16_t)(d->data - head - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(head + d->len);
	m->pkt_len = m->data_len;
	if (p->device->offload) {
		m->l2_len = GM_FRAME_ETH;
		m->l3_len = (uint8_t)(head - GM_FRAME_ETH - 8);
		m->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM |
		              (v4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6);
	}
	return true;
}

/* Hands a run of frames to the driver; what it does not take stays with the caller. */
static unsigned send_frames(struct dpdk_port *p, const struct gm_dgram *d, unsigned n)
{
	struct rte_mbuf *m[BURST];

	for (unsigned i = 0; i < n; i++)
		m[i] = p->tx.at[d[i].buf];
	unsigned sent = gm_lane_tx(p->lane, m, n);
	for (unsigned i = 0; i < sent; i++)
		gm_free_put(&p->tx.free, d[i].buf);
	p->stats.tx += sent;
	return sent;
}

static unsigned dpdk_tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);
	uint64_t now_ns = now();
	unsigned done = 0;

	gm_queue_fill(&p->in, p->lane); /* who sends much is answered meanwhile */
	while (done < n) {
		unsigned run = 0;

		while (done + run < n && run < BURST && lay_out(p, &d[done + run], now_ns))
			run++;
		unsigned sent = send_frames(p, d + done, run);
		done += sent;
		if (sent < run)
			break;
		if (done < n && run < BURST)
			send_by_kernel(p, &d[done++]);
	}
	p->full = done < n;
	p->stats.tx_bursts += done > 0;
	return done;
}

/* ------------------------------------------------------------------ receiving */

static bool link_local(const uint8_t ip[static 16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* any_port: a fragment does not say. */
static bool for_us(const struct dpdk_port *p, const struct gm_addr *local, bool any_port)
{
	if (gm_is_loopback(local->ip))
		return false;
	for (unsigned i = 0; i < p->udp_n; i++) {
		const struct gm_addr *at = &p->udp[i].bound;
		bool any = gm_is_any(at->ip) && (!gm_is_v4(at->ip) || gm_is_v4(local->ip));

		if ((any_port || at->port == local->port) &&
		    (memcmp(at->ip, local->ip, 16) == 0 || (any && gm_hops_is_local(p->hops, local->ip))))
			return true;
	}
	return false;
}

static bool flawed(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
	       (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}

/* A sender's address has to be one that an answer can go to, by the link. */
static bool from_one(const struct dpdk_port *p, const struct gm_addr *peer)
{
	return peer->port != 0 && gm_hops_is_sender(p->hops, peer->ip);
}

static void fill_in(struct dpdk_port *p, struct rte_mbuf *m, const struct gm_frame *f, struct gm_dgram *d)
{
	*d = (struct gm_dgram){.data = rte_pktmbuf_mtod_offset(m, uint8_t *, f->off),
	                       .len = (uint16_t)f->len,
	                       .cap = (uint16_t)f->len,
	                       .peer = f->peer,
	                       .local = f->local};
	d->peer.scope = link_local(f->peer.ip) ? p->device->ifindex : 0;
	d->local.scope = link_local(f->local.ip) ? p->device->ifindex : 0;
}

enum what { OURS, NOT_OURS, DROPPED };

static enum what parse(struct dpdk_port *p, struct rte_mbuf *m, struct gm_dgram *d)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	struct gm_frame f;

	if (m->ol_flags & RTE_MBUF_F_RX_VLAN)
		return NOT_OURS;
	enum gm_frame_is is = gm_frame_parse(bytes, m->data_len, p->device->mac, &f);
	if (is == GM_FRAME_OTHER)
		return NOT_OURS;
	if (is != GM_FRAME_BAD && !for_us(p, &f.local, is == GM_FRAME_FRAGMENT))
		return NOT_OURS;
	if (is == GM_FRAME_FRAGMENT && p->device->kernel >= 0)
		return NOT_OURS; /* it puts them together, and its socket gives them to us */
	p->stats.rx_fragments += is == GM_FRAME_FRAGMENT;
	if (is == GM_FRAME_BAD || (is == GM_FRAME_UDP && (flawed(m) || !from_one(p, &f.peer))))
		p->stats.rx_bad++;
	else if (is == GM_FRAME_UDP && m->nb_segs > 1)
		p->stats.rx_truncated++;
	else if (is == GM_FRAME_UDP) {
		fill_in(p, m, &f, d);
		return OURS;
	}
	return DROPPED;
}

static bool fetch(struct dpdk_port *p)
{
	return gm_queue_fill(&p->in, p->lane);
}

static void look_at_kernel(struct dpdk_port *p)
{
	uint64_t now_ns = now();

	if (now_ns - p->kernel_ns >= KERNEL_NS) {
		p->kernel_ns = now_ns;
		gm_lane_kernel_out(p->lane);
	}
	if (now_ns - p->netlink_ns < NETLINK_NS)
		return;
	p->netlink_ns = now_ns;
	gm_netlink_turn(p->netlink, now_ns);
	tell_steer(p);
	p->look = p->hears;
}

static void keep(struct dpdk_port *p, struct rte_mbuf *m, struct gm_dgram *d)
{
	gm_free_get(&p->rx.free, &d->buf);
	p->rx.at[d->buf] = m;
}

/* What the steering program, or the card, leaves to the kernel: other interfaces, fragments, options. */
static bool hear(struct dpdk_port *p, const struct gm_udp *udp, struct gm_dgram *d)
{
	struct rte_mbuf *m = p->rx.free.n ? rte_pktmbuf_alloc(p->device->pool) : NULL;
	uint64_t control[(GM_UDP_CONTROL + 7) / 8];
	union gm_udp_name name;

	if (!m)
		return false;
	struct iovec iov = {.iov_base = rte_pktmbuf_mtod(m, uint8_t *), .iov_len = rte_pktmbuf_tailroom(m)};
	struct msghdr h = {.msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = &iov, .msg_iovlen = 1,
	                   .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(udp->fd, &h, MSG_DONTWAIT);
	if (n < 0 || h.msg_flags & MSG_TRUNC) {
		p->stats.rx_truncated += n >= 0;
		rte_pktmbuf_free(m);
		return false;
	}
	*d = (struct gm_dgram){.data = iov.iov_base, .len = (uint16_t)n, .cap = (uint16_t)n,
	                       .peer = gm_udp_get_name(&name), .local = gm_udp_get_local(udp, control, h.msg_controllen)};
	keep(p, m, d);
	p->stats.rx_kernel++;
	return true;
}

static unsigned hear_all(struct dpdk_port *p, struct gm_dgram *d, unsigned n)
{
	unsigned got = 0;

	p->look = false;
	for (unsigned i = 0; i < p->udp_n; i++)
		while (got < n && hear(p, &p->udp[i], &d[got]))
			got++;
	return got;
}

/* Bounded in frames too: those that are not for us must not hold up the worker. */
static unsigned dpdk_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);
	unsigned got = 0;

	look_at_kernel(p);
	if (p->look)
		got = hear_all(p, d, n);
	fetch(p);
	for (unsigned seen = 0; got < n && seen < 4 * BURST && p->rx.free.n && (p->in.n || fetch(p)); seen++) {
		struct rte_mbuf *m = gm_queue_next(&p->in);
		enum what what = parse(p, m, &d[got]);

		if (what == OURS)
			keep(p, m, &d[got++]);
		else if (what == NOT_OURS)
			gm_lane_not_ours(p->lane, m);
		else
			rte_pktmbuf_free(m);
	}
	p->stats.rx += got;
	p->stats.rx_bursts += got > 0;
	return got;
}

static void dpdk_rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);

	for (unsigned i = 0; i < n; i++) {
		rte_pktmbuf_free(p->rx.at[d[i].buf]);
		gm_free_put(&p->rx.free, d[i].buf);
	}
}

/* ------------------------------------------------------------------ the rest */

/* What to sleep on; the wake comes first. */
static unsigned descriptors(const struct dpdk_port *p, struct pollfd fds[static SLEEP_FDS])
{
	const int of_lane[] = {p->lane->event, gm_netlink_fd(p->netlink), p->lane->fd, p->lane->kernel_fd};
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(of_lane) / sizeof(of_lane[0]); i++)
		fds[n++] = (struct pollfd){.fd = of_lane[i], .events = POLLIN}; /* below 0: the kernel passes over it */
	for (unsigned i = 0; i < p->udp_n && p->hears; i++)
		fds[n++] = (struct pollfd){.fd = p->udp[i].fd, .events = POLLIN};
	return n;
}

/* Sleeps; true: the caller has to look. */
static bool nap(struct dpdk_port *p, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / A_SECOND), .tv_nsec = (long)(ns % A_SECOND)};
	struct pollfd fds[SLEEP_FDS];
	unsigned n = descriptors(p, fds);
	uint64_t count;

	atomic_store(&p->lane->asleep, true); /* before we look once more: who comes later wakes us */
	bool busy = gm_lane_busy(p->lane);
	if (busy)
		t = (struct timespec){.tv_nsec = p->lane->rx ? 0 : NAP_NS_MIN};
	ppoll(fds, n, &t, NULL);
	atomic_store(&p->lane->asleep, false);
	if (fds[1].revents) {
		gm_netlink_turn(p->netlink, now());
		tell_steer(p);
	}
	for (unsigned i = 4; i < n; i++)
		p->look = p->look || fds[i].revents;
	if (fds[3].revents)
		gm_lane_kernel_out(p->lane);
	/* whoever finds wake_sent set does not write; so it is cleared only after the read */
	if (fds[0].revents && read(p->lane->event, &count, sizeof(count)) == sizeof(count))
		atomic_exchange(&p->lane->wake_sent, false);
	return busy || p->look || fds[0].revents || fds[2].revents;
}

static bool spin(struct dpdk_port *p, uint64_t end)
{
	bool came = false;

	while (!(came = fetch(p)) && !atomic_load_explicit(&p->lane->wake_sent, memory_order_relaxed) && now() < end)
		rte_pause();
	return came;
}

/* Where a driver has nothing to sleep on, looks get rarer while nothing comes. */
static uint64_t how_long(const struct dpdk_port *p)
{
	if (p->full)
		return NAP_NS_MIN;
	return p->lane->fd >= 0 || p->lane->rx ? UINT64_MAX : p->nap_ns;
}

static void dpdk_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct dpdk_port *p = dpdk(port);
	uint64_t start = now(), end = timeout_ns > UINT64_MAX - start ? UINT64_MAX : start + timeout_ns, at = start;

	if (spin(p, start + SPIN_NS < end ? start + SPIN_NS : end)) {
		p->nap_ns = NAP_NS_MIN;
		return;
	}
	while (at < end) {
		uint64_t ns = how_long(p);
		bool look = nap(p, end - at < ns ? end - at : ns);

		if (fetch(p)) {
			p->nap_ns = NAP_NS_MIN;
			return;
		}
		if (look || p->full)
			return;
		p->nap_ns = p->nap_ns * 17 / 16 < NAP_NS_MAX ? p->nap_ns * 17 / 16 : NAP_NS_MAX;
		at = now();
	}
}

static void dpdk_wake(struct gm_port *port)
{
	gm_lane_wake(dpdk(port)->lane);
}

static void dpdk_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = dpdk(port)->stats;
	stats->rx_lost = dpdk(port)->lane->lost;
	stats->rx_truncated += dpdk(port)->in.truncated;
}

static uint64_t dpdk_now(struct gm_port *port)
{
	(void)port;
	return now();
}

static struct gm_addr dpdk_bound(const struct gm_port *port, unsigned i)
{
	return dpdk(port)->udp[i].bound;
}

const struct gm_port_ops gm_port_dpdk = {
    .name = "dpdk",
    .check = gm_udp_check,
    .why = gm_eal_why,
    .how = gm_lane_how,
    .open = dpdk_open,
    .tx_get = dpdk_tx_get,
    .tx_burst = dpdk_tx_burst,
    .tx_put = dpdk_tx_put,
    .rx_burst = dpdk_rx_burst,
    .rx_put = dpdk_rx_put,
    .wait = dpdk_wait,
    .wake = dpdk_wake,
    .stats = dpdk_stats,
    .now_ns = dpdk_now,
    .bound = dpdk_bound,
    .close = dpdk_close,
};

__attribute__((visibility("default"))) extern const struct gm_port_object gm_port_object;
const struct gm_port_object gm_port_object = GM_PORT_OBJECT(&gm_port_dpdk);
