/* SPDX-License-Identifier: Apache-2.0 */
/* UDP in Ethernet frames through one queue pair of a DPDK port. Received frames are parsed in place; the data of both
 * directions lies in mbufs. The kernel keeps the interface: it answers ARP, ND and ICMP, and what we have no fresh next hop for
 * goes out through a UDP socket of ours, which makes it look for one. The same socket holds the address, so that the kernel calls
 * no datagram unreachable of which it sees a copy; its filter lets nothing in. */
#include "port/dpdk/dpdk.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gm/dp.h"
#include "port/dpdk/eal.h"
#include "port/dpdk/netlink.h"
#include "port/frame.h"
#include "port/hops.h"
#include "port/udp.h"
#include "port/util.h"

#define BUFS 1024u
#define RING 1024u
#define CACHE 256u
#define BURST GM_PORT_BURST
#define IP_MAX 1280u       /* bytes of an IP packet that goes out as a frame: every link takes so many */
#define SPIN_NS 20000u     /* idle: look again and again for so long, */
#define NAP_NS_MIN 50000u  /* then sleep between looks, at first so long, */
#define NAP_NS_MAX 1000000u /* in the end so long */
#define NETLINK_NS 1000000u
#define A_SECOND 1000000000u

_Static_assert(GM_FRAME_HEAD <= RTE_PKTMBUF_HEADROOM, "headers are written in front of the payload");

struct held { /* mbufs that the caller has, by number */
	struct rte_mbuf **at;
	struct gm_free free;
};

struct dpdk_port {
	const struct gm_port_ops *ops;
	uint16_t id;
	bool started, offload;
	bool full; /* the driver or the buffers refused: room comes without a sign */
	uint8_t mac[6];
	unsigned ifindex; /* 0: the kernel knows nothing of it */
	struct rte_mempool *pool;
	struct held rx, tx;
	struct rte_mbuf *in[BURST]; /* received, not yet given out */
	unsigned in_at, in_n;

	struct gm_udp udp[GM_LISTEN_MAX];
	unsigned udp_n;
	struct gm_hops *hops;
	struct gm_netlink netlink;
	uint64_t netlink_ns, nap_ns;
	uint16_t ident;

	int event;
	_Atomic bool wake_sent;
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

	if (p->started) {
		rte_eth_dev_stop(p->id);
		rte_eth_dev_close(p->id);
	}
	gm_netlink_close(&p->netlink);
	gm_hops_free(p->hops);
	for (unsigned i = 0; i < p->udp_n; i++)
		gm_udp_close(&p->udp[i]);
	if (p->event >= 0)
		close(p->event);
	held_end(&p->rx);
	held_end(&p->tx);
	rte_mempool_free(p->pool);
	free(p);
}

/* Bound first and filtered then: what came between waits in a socket that nobody reads. */
static bool reserve(struct dpdk_port *p, const struct gm_port_config *config)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = 1, .filter = nothing};
	uint32_t granted;

	if (gm_udp_open_all(p->udp, &p->udp_n, config, 4096, &granted) != GM_E_OK)
		return false; /* errno says why, as with any port */
	for (unsigned i = 0; i < p->udp_n; i++)
		if (setsockopt(p->udp[i].fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
			return gm_eal_failed("a filter on the UDP socket: %s", strerror(errno));
	return true;
}

static bool find_device(struct dpdk_port *p)
{
	unsigned n = rte_eth_dev_count_avail();

	if (n != 1)
		return gm_eal_failed("dpdk_args: they make %u ports, there has to be one", n);
	p->id = (uint16_t)rte_eth_find_next(0);
	return true;
}

#define TX_SUMS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RX_SUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

static int set_up(struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {.rxmode = {.offloads = info->rx_offload_capa & RX_SUMS}};
	uint16_t rx = RING, tx = RING;
	int r;

	p->offload = (info->tx_offload_capa & TX_SUMS) == TX_SUMS;
	conf.txmode.offloads = p->offload ? TX_SUMS : 0;
	if ((r = rte_eth_dev_configure(p->id, 1, 1, &conf)) < 0 ||
	    (r = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx)) < 0 ||
	    (r = rte_eth_rx_queue_setup(p->id, 0, rx, (unsigned)rte_eth_dev_socket_id(p->id), NULL, p->pool)) < 0 ||
	    (r = rte_eth_tx_queue_setup(p->id, 0, tx, (unsigned)rte_eth_dev_socket_id(p->id), NULL)) < 0)
		return r;
	r = rte_eth_dev_start(p->id);
	p->started = r == 0;
	return r;
}

static bool start_device(struct dpdk_port *p)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int r = rte_eth_dev_info_get(p->id, &info);

	if (r == 0)
		r = set_up(p, &info);
	if (r == 0)
		r = rte_eth_macaddr_get(p->id, &mac);
	if (r < 0)
		return gm_eal_failed("the DPDK port does not start: %s", rte_strerror(-r));
	memcpy(p->mac, mac.addr_bytes, 6);
	p->ifindex = info.if_index;
	return true;
}

/* The interface by its name, where DPDK does not know the kernel has it. */
static bool name_interface(struct dpdk_port *p, const char *name)
{
	if (!name || !name[0])
		return true;
	p->ifindex = if_nametoindex(name);
	return p->ifindex ? true : gm_eal_failed("dpdk_interface: there is no %s", name);
}

static bool allocate(struct dpdk_port *p, const struct gm_port_config *config)
{
	uint32_t rx_n = config->rx_bufs ? config->rx_bufs : BUFS, tx_n = config->tx_bufs ? config->tx_bufs : BUFS;

	p->pool = rte_pktmbuf_pool_create("gmd", rx_n + tx_n + 2 * RING + CACHE + BURST, CACHE, 0,
	                                  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!p->pool)
		return gm_eal_failed("dpdk_args: packet buffers: %s; more memory than -m says is needed",
		                     rte_strerror(rte_errno));
	p->hops = gm_hops_new();
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->hops && p->event >= 0 && held_start(&p->rx, rx_n) && held_start(&p->tx, tx_n))
		return true;
	return gm_eal_failed("out of memory or descriptors");
}

static bool follow_kernel(struct dpdk_port *p)
{
	if (!p->ifindex || gm_netlink_open(&p->netlink, p->hops, p->ifindex))
		return true;
	return gm_eal_failed("netlink: %s", strerror(errno));
}

static bool open_all(struct dpdk_port *p, const struct gm_port_config *config, const struct gm_dpdk_config *dpdk_config)
{
	return reserve(p, config) && gm_eal_start(dpdk_config->args) && find_device(p) && allocate(p, config) &&
	       start_device(p) && name_interface(p, dpdk_config->interface) && follow_kernel(p);
}

static enum gm_err dpdk_open(struct gm_port **port, const struct gm_port_config *config)
{
	struct dpdk_port *p = calloc(1, sizeof(*p));

	if (!p)
		return GM_E_NO_MEMORY;
	p->ops = &gm_port_dpdk;
	p->event = -1;
	p->nap_ns = NAP_NS_MIN;
	if (!open_all(p, config, config->arg)) {
		int why = errno;

		dpdk_close((struct gm_port *)p);
		errno = why;
		return GM_E_IO;
	}
	*port = (struct gm_port *)p;
	return GM_E_OK;
}

/* ------------------------------------------------------------------ sending */

static unsigned dpdk_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);
	unsigned i = 0;

	for (uint32_t buf; i < n && gm_free_get(&p->tx.free, &buf); i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);

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
	struct gm_frame_to to = {.peer = d->peer, .local = d->local, .offload = p->offload};

	if (gm_is_any(d->local.ip) || gm_is_v4(d->local.ip) != v4 || gm_frame_ip_len(&d->peer, d->len) > IP_MAX ||
	    (d->peer.scope && d->peer.scope != p->ifindex) || !gm_hops_find(p->hops, d->peer.ip, now_ns, to.dst))
		return false;
	memcpy(to.src, p->mac, 6);
	to.ident = p->ident++;
	if (!to.local.port)
		to.local.port = p->udp[gm_udp_pick(p->udp, p->udp_n, &d->local, &d->peer)].bound.port;
	unsigned head = gm_frame_lay(d->data, d->len, &to);
	m->data_off = (uint16_t)(d->data - head - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(head + d->len);
	m->pkt_len = m->data_len;
	if (p->offload) {
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
	unsigned sent = n ? rte_eth_tx_burst(p->id, 0, m, (uint16_t)n) : 0;
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

/* Port 0 asks for any: a fragment does not say. */
static bool for_us(const struct dpdk_port *p, const struct gm_addr *local, bool any_port)
{
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

/* A sender's address has to be one that an answer can go to. */
static bool from_one(const struct gm_addr *peer)
{
	const uint8_t *v4 = peer->ip + 12;

	if (peer->port == 0 || gm_is_any(peer->ip))
		return false;
	return gm_is_v4(peer->ip) ? v4[0] != 127 && v4[0] < 224 : peer->ip[0] != 0xff;
}

/* false: not a datagram for us. */
static bool parse(struct dpdk_port *p, struct rte_mbuf *m, struct gm_dgram *d)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	struct gm_frame f;

	if (m->ol_flags & RTE_MBUF_F_RX_VLAN)
		return false;
	enum gm_frame_is is = gm_frame_parse(bytes, m->data_len, p->mac, &f);
	if (is == GM_FRAME_UDP || is == GM_FRAME_FRAGMENT)
		if (!for_us(p, &f.local, is == GM_FRAME_FRAGMENT))
			return false;
	if (is == GM_FRAME_FRAGMENT)
		p->stats.rx_fragments++;
	else if (is == GM_FRAME_BAD || (is == GM_FRAME_UDP && (flawed(m) || !from_one(&f.peer))))
		p->stats.rx_bad++;
	else if (is == GM_FRAME_UDP && m->nb_segs > 1)
		p->stats.rx_truncated++;
	else if (is == GM_FRAME_UDP) {
		f.peer.scope = link_local(f.peer.ip) ? p->ifindex : 0;
		f.local.scope = link_local(f.local.ip) ? p->ifindex : 0;
		*d = (struct gm_dgram){.data = rte_pktmbuf_mtod_offset(m, uint8_t *, f.off),
		                       .len = (uint16_t)f.len,
		                       .cap = (uint16_t)f.len,
		                       .peer = f.peer,
		                       .local = f.local};
		return true;
	}
	return false;
}

static bool fetch(struct dpdk_port *p)
{
	if (p->in_at == p->in_n) {
		p->in_at = 0;
		p->in_n = rte_eth_rx_burst(p->id, 0, p->in, BURST);
	}
	return p->in_at < p->in_n;
}

static void look_at_kernel(struct dpdk_port *p)
{
	uint64_t now_ns = now();

	if (now_ns - p->netlink_ns < NETLINK_NS)
		return;
	p->netlink_ns = now_ns;
	gm_netlink_turn(&p->netlink, now_ns);
}

/* Bounded in frames too: those that are not for us must not hold up the worker. */
static unsigned dpdk_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct dpdk_port *p = dpdk(port);
	unsigned got = 0;

	look_at_kernel(p);
	for (unsigned seen = 0; got < n && seen < 4 * BURST && p->rx.free.n && fetch(p); seen++) {
		struct rte_mbuf *m = p->in[p->in_at++];

		if (!parse(p, m, &d[got])) {
			rte_pktmbuf_free(m);
			continue;
		}
		gm_free_get(&p->rx.free, &d[got].buf);
		p->rx.at[d[got].buf] = m;
		got++;
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

/* true: woken. */
static bool nap(struct dpdk_port *p, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / A_SECOND), .tv_nsec = (long)(ns % A_SECOND)};
	struct pollfd fds[2] = {{.fd = p->event, .events = POLLIN},
	                        {.fd = gm_netlink_fd(&p->netlink), .events = POLLIN}};
	uint64_t count;

	ppoll(fds, 2, &t, NULL);
	if (fds[1].revents)
		gm_netlink_turn(&p->netlink, now());
	if (!fds[0].revents)
		return false;
	/* whoever finds wake_sent set does not write; so it is cleared only after the read */
	if (read(p->event, &count, sizeof(count)) == sizeof(count))
		atomic_exchange(&p->wake_sent, false);
	return true;
}

static bool spin(struct dpdk_port *p, uint64_t end)
{
	bool came = false;

	while (!(came = fetch(p)) && !atomic_load_explicit(&p->wake_sent, memory_order_relaxed) && now() < end)
		rte_pause();
	return came;
}

/* A driver has no descriptor to sleep on: looks get rarer while nothing comes. */
static void dpdk_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct dpdk_port *p = dpdk(port);
	uint64_t start = now(), end = timeout_ns > UINT64_MAX - start ? UINT64_MAX : start + timeout_ns, at = start;

	if (spin(p, start + SPIN_NS < end ? start + SPIN_NS : end)) {
		p->nap_ns = NAP_NS_MIN;
		return;
	}
	while (at < end) {
		bool woken = nap(p, end - at < p->nap_ns ? end - at : p->nap_ns);

		if (fetch(p)) {
			p->nap_ns = NAP_NS_MIN;
			return;
		}
		if (woken || p->full)
			return;
		p->nap_ns = p->nap_ns * 17 / 16 < NAP_NS_MAX ? p->nap_ns * 17 / 16 : NAP_NS_MAX;
		at = now();
	}
}

static void dpdk_wake(struct gm_port *port)
{
	struct dpdk_port *p = dpdk(port);
	const uint64_t one = 1;

	if (!atomic_exchange(&p->wake_sent, true) && write(p->event, &one, sizeof(one)) < 0)
		atomic_store(&p->wake_sent, false);
}

static void dpdk_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = dpdk(port)->stats;
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
