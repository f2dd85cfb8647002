/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dpdk/device.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <rte_mbuf_pool_ops.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "port/dpdk/eal.h"
#include "port/dpdk/flow.h"
#include "port/frame.h"

#define BUFS 1024u
#define RX_RING_MAX 8192u /* thousands answer a rekey at once, while the worker may be verifying signatures: */
#define RX_RING_MIN 1024u /* as deep as the memory there is allows; what the card does not hold waits in the port */
#define TX_RING 1024u
#define HELD 1536u      /* received ones that a worker has at a time; a page each where there are no huge ones */
#define HANDOVER 1024u /* frames on their way between two workers */
#define CACHE 256u
#define BURST GM_LANE_BURST
#define ROUNDS 4u      /* bursts that bring nothing to the worker itself */

#define TX_SUMS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RX_SUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define RSS (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP)

struct card { /* a DPDK port while the device is made */
	uint16_t id, queues, first_queue;
	bool steered, ours, started, rss; /* ours: to be closed, which takes away what program it finds */
	struct rte_eth_dev_info info;
	const char *args;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gm_device *shared;
static char how[GM_WHY + 64]; /* datagrams come to the workers */
static struct card cards[RTE_MAX_ETHPORTS];
static unsigned cards_n, users;

/* ------------------------------------------------------------------ which ports there are */

static bool is_driver(const struct card *c, const char *name)
{
	return c->info.driver_name && strcmp(c->info.driver_name, name) == 0;
}

static bool look_at(uint16_t id)
{
	struct card *c = &cards[cards_n];
	const struct rte_devargs *given;
	int r;

	*c = (struct card){.id = id, .args = ""};
	if ((r = rte_eth_dev_info_get(id, &c->info)) < 0)
		return gm_eal_failed("the DPDK port says nothing of itself: %s", rte_strerror(-r));
	given = rte_dev_devargs(c->info.device);
	if (given && given->args)
		c->args = given->args;
	const char *first = strstr(c->args, "start_queue=");
	c->first_queue = first ? (uint16_t)atoi(first + 12) : 0;
	c->steered = is_driver(c, "net_af_xdp") && strstr(c->args, "xdp_prog=/proc/self/fd/");
	cards_n++;
	return true;
}

/* A tap beside a card is the kernel's way to it, when the tap is the interface that was named. */
static void find_kernel_port(struct gm_device *d, unsigned named)
{
	for (unsigned i = 0; i < cards_n && cards_n > 1 && named; i++) {
		if (!is_driver(&cards[i], "net_tap") || cards[i].info.if_index != named)
			continue;
		struct card tap = cards[i];
		memmove(&cards[i], &cards[i + 1], (cards_n - 1 - i) * sizeof(tap));
		cards[cards_n - 1] = tap;
		d->kernel = tap.id;
		return;
	}
}

static unsigned data_cards(const struct gm_device *d)
{
	return cards_n - (d->kernel >= 0);
}

static bool find_cards(struct gm_device *d, const struct gm_dpdk_config *config)
{
	unsigned named = config->interface && config->interface[0] ? if_nametoindex(config->interface) : 0;

	for (uint64_t id = rte_eth_find_next(0); id < RTE_MAX_ETHPORTS; id = rte_eth_find_next((uint16_t)(id + 1)))
		if (!look_at((uint16_t)id))
			return false;
	if (config->interface && config->interface[0] && !named)
		return gm_eal_failed("dpdk_interface: there is no %s", config->interface);
	if (cards_n == 0)
		return gm_eal_failed("dpdk_args: they make 0 ports, there has to be one");
	find_kernel_port(d, named);
	for (unsigned i = 1; i < data_cards(d); i++)
		if (cards[i].info.if_index != cards[0].info.if_index || cards[i].info.if_index == 0)
			return gm_eal_failed("dpdk_args: they make %u ports; several have to be queues of one interface", cards_n);
	d->ifindex = named ? named : cards[0].info.if_index;
	d->copies = is_driver(&cards[0], "net_af_packet");
	return true;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* As many queue pairs as there are workers, if there are so many. */
static bool share_out(struct gm_device *d)
{
	for (unsigned i = 0; i < data_cards(d); i++) {
		struct card *c = &cards[i];
		unsigned has = least(c->info.max_rx_queues, c->info.max_tx_queues);

		/* what af_packet hears is dealt out among all its sockets, whether we look at them or not */
		if (d->copies && has > d->lanes_n - d->pairs_n)
			return gm_eal_failed("dpdk_args: net_af_packet has %u queue pairs for %u workers: qpairs has to be less",
			                     has, d->lanes_n);
		c->queues = (uint16_t)least(has, d->lanes_n - d->pairs_n);
		d->pairs_n += c->queues;
	}
	if (d->kernel >= 0)
		cards[cards_n - 1].queues =
		    (uint16_t)least(d->pairs_n, least(cards[cards_n - 1].info.max_rx_queues, cards[cards_n - 1].info.max_tx_queues));
	return d->pairs_n ? true : gm_eal_failed("dpdk_args: the port has no queues");
}

/* ------------------------------------------------------------------ starting them */

/* Without gaps. Where pages are small the library lets no buffer cross one, as a card that reads physical addresses needs it; AF_XDP's
 * driver then tells the kernel of a memory that ends before the last of them. One behind that end is lost when it gets its turn, and with
 * it a place for a frame to be received, until there are none. */
static struct rte_mempool *dense_pool(unsigned n)
{
	struct rte_pktmbuf_pool_private of_mbufs = {.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE};
	struct rte_mempool *pool = rte_mempool_create_empty("gmd", n, sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE, CACHE,
	                                                    sizeof(of_mbufs), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	int r = pool ? rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL) : 0;

	if (!pool)
		return NULL;
	rte_pktmbuf_pool_init(pool, &of_mbufs);
	if (r == 0)
		r = rte_mempool_populate_default(pool);
	if (r < 0 || pool->nb_mem_chunks != 1) {
		rte_mempool_free(pool);
		rte_errno = r < 0 ? -r : ENOMEM;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static struct rte_mempool *pool_for(const struct gm_device *d, const struct gm_port_config *config, uint32_t ring)
{
	uint32_t rx_n = least(config->rx_bufs ? config->rx_bufs : BUFS, HELD), tx_n = config->tx_bufs ? config->tx_bufs : BUFS;
	uint32_t queues = d->pairs_n * (d->kernel >= 0 ? 2 : 1), guests = d->lanes_n - d->pairs_n;
	unsigned n = d->lanes_n * (rx_n + tx_n + 3 * BURST + CACHE) + queues * (ring + TX_RING) + guests * 2 * HANDOVER;

	return is_driver(&cards[0], "net_af_xdp") ? dense_pool(n)
	                                          : rte_pktmbuf_pool_create("gmd", n, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}

static bool make_pool(struct gm_device *d, const struct gm_port_config *config)
{
	for (uint32_t ring = RX_RING_MAX; !d->pool && ring >= RX_RING_MIN; ring /= 2) {
		d->ring = (uint16_t)ring;
		d->pool = pool_for(d, config, ring);
	}
	return d->pool || gm_eal_failed("dpdk_args: packet buffers: %s; more memory than -m says is needed",
	                                rte_strerror(rte_errno));
}

static struct gm_lane *lane_of(const struct gm_device *d, const struct card *c, unsigned queue)
{
	for (unsigned i = 0; i < d->pairs_n; i++)
		if (d->lane[i]->port == c->id && d->lane[i]->queue == queue)
			return d->lane[i];
	return NULL;
}

/* The driver makes one socket for a queue, and does not say which. */
static bool steer_queue(struct gm_device *d, const struct card *c, unsigned queue)
{
	struct gm_lane *lane = lane_of(d, c, queue);
	int known[GM_WORKERS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < d->pairs_n; i++)
		if (d->lane[i]->fd >= 0)
			known[n++] = d->lane[i]->fd;
	lane->fd = gm_steer_find_socket(known, n);
	if (lane->fd < 0)
		return gm_eal_failed("net_af_xdp: no socket for queue %u", queue);
	return (queue > 0 || gm_steer_unhook(d->steer)) && gm_steer_queue(d->steer, c->first_queue + queue, lane->fd);
}

/* Buffers that the driver holds of a queue of n: as many, or what is known of it. */
static unsigned holds(const struct card *c, unsigned n)
{
	static const struct {
		const char *driver;
		unsigned n;
	} known[] = {{"net_af_xdp", 2048}, {"net_af_packet", 0}, {"net_ring", 0}, {"net_null", 0}};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is_driver(c, known[i].driver))
			return least(n, known[i].n);
	return n;
}

static bool set_up_queues(struct gm_device *d, const struct card *c)
{
	uint16_t rx = d->ring, tx = TX_RING;
	int r = rte_eth_dev_adjust_nb_rx_tx_desc(c->id, &rx, &tx);

	if (c->id != d->kernel)
		d->waits = (uint16_t)least(d->waits, d->ring - least(d->ring, holds(c, rx)));

	for (uint16_t q = 0; r >= 0 && q < c->queues; q++) {
		r = rte_eth_rx_queue_setup(c->id, q, rx, (unsigned)rte_eth_dev_socket_id(c->id), NULL, d->pool);
		if (r >= 0 && c->steered && !steer_queue(d, c, q))
			return false;
		if (r >= 0)
			r = rte_eth_tx_queue_setup(c->id, q, tx, (unsigned)rte_eth_dev_socket_id(c->id), NULL);
	}
	return r >= 0 || gm_eal_failed("the DPDK port's queues: %s", rte_strerror(-r));
}

static bool start_card(struct gm_device *d, struct card *c)
{
	struct rte_eth_conf conf = {.rxmode = {.offloads = c->info.rx_offload_capa & RX_SUMS},
	                            .txmode = {.offloads = d->offload && c->id != d->kernel ? TX_SUMS : 0}};
	int r;

	c->rss = c->queues > 1 && c->info.flow_type_rss_offloads & RSS;
	if (c->rss) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = c->info.flow_type_rss_offloads & RSS;
	}
	c->ours = true;
	conf.intr_conf.rxq = is_driver(c, "net_tap"); /* its descriptors can be slept on as they are */
	if ((r = rte_eth_dev_configure(c->id, c->queues, c->queues, &conf)) < 0)
		return gm_eal_failed("the DPDK port does not take %u queue pairs: %s", c->queues, rte_strerror(-r));
	if (!set_up_queues(d, c))
		return false;
	r = rte_eth_dev_start(c->id);
	c->started = r == 0;
	return r == 0 || gm_eal_failed("the DPDK port does not start: %s", rte_strerror(-r));
}

/* Who spreads datagrams over the workers: rules of the card's, its receive-side scaling, the driver, or the worker with the queue. */
static void spread(const struct gm_device *d, const struct gm_port_config *config)
{
	const struct card *c = &cards[0];
	char why[GM_WHY] = "";

	if (d->lanes_n == 1)
		return;
	if (d->steer)
		snprintf(how, sizeof(how), "way=xdp queues=%u workers=%u", d->pairs_n, d->lanes_n);
	else if (c->queues > 1 && gm_flow_steer(c->id, c->queues, c->info.flow_type_rss_offloads & RSS, config->listen,
	                                        config->listen_n, why))
		snprintf(how, sizeof(how), "way=rte_flow queues=%u workers=%u", d->pairs_n, d->lanes_n);
	else
		snprintf(how, sizeof(how), "way=%s queues=%u workers=%u%s%s%s", d->pairs_n == 1 ? "software" : c->rss ? "rss" : "driver",
		         d->pairs_n, d->lanes_n, why[0] ? " rte_flow=\"" : "", why, why[0] ? "\"" : "");
}

const char *gm_lane_how(void)
{
	return how;
}

/* The kernel's way to the card has the card's address. */
static bool same_address(const struct gm_device *d)
{
	struct rte_ether_addr mac;
	int r;

	memcpy(mac.addr_bytes, d->mac, 6);
	r = d->kernel < 0 ? 0 : rte_eth_dev_default_mac_addr_set((uint16_t)d->kernel, &mac);
	return r == 0 || gm_eal_failed("dpdk_interface: the card's address: %s", rte_strerror(-r));
}

static bool start_cards(struct gm_device *d)
{
	struct rte_ether_addr mac;
	int r = rte_eth_macaddr_get(cards[0].id, &mac);

	if (r < 0)
		return gm_eal_failed("the DPDK port has no address: %s", rte_strerror(-r));
	memcpy(d->mac, mac.addr_bytes, 6);
	d->offload = true;
	d->waits = d->ring;
	for (unsigned i = 0; i < data_cards(d); i++)
		d->offload = d->offload && (cards[i].info.tx_offload_capa & TX_SUMS) == TX_SUMS;
	if (cards[0].steered && !(d->steer = gm_steer_new(cards[0].info.if_index, d->mac)))
		return false;
	for (unsigned i = 0; i < cards_n; i++)
		if (!start_card(d, &cards[i]))
			return false;
	d->waits = (uint16_t)(d->waits * d->pairs_n / d->lanes_n);
	return same_address(d) && (!d->steer || gm_steer_attach(d->steer));
}

/* ------------------------------------------------------------------ lanes */

static void free_lane(struct gm_lane *l)
{
	if (!l)
		return;
	if (l->event >= 0)
		close(l->event);
	rte_ring_free(l->rx);
	rte_ring_free(l->tx);
	free(l);
}

static struct rte_ring *make_ring(const char *way, unsigned i)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "gmd-%s-%u", way, i);
	return rte_ring_create(name, HANDOVER, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static struct gm_lane *make_lane(struct gm_device *d, unsigned i)
{
	struct gm_lane *l = calloc(1, sizeof(*l));
	bool guest = i >= d->pairs_n;

	if (!l)
		return NULL;
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): share_out() leaves no device without a pair */
	*l = (struct gm_lane){.device = d, .index = i, .fd = -1, .kernel_fd = -1, .owner = guest ? d->lane[i % d->pairs_n] : l};
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->rx = guest ? make_ring("rx", i) : NULL;
	l->tx = guest ? make_ring("tx", i) : NULL;
	if (l->event < 0 || (guest && (!l->rx || !l->tx))) {
		free_lane(l);
		return NULL;
	}
	if (guest)
		l->owner->guest[l->owner->guests_n++] = l;
	return l;
}

static void give_queues(struct gm_device *d)
{
	unsigned i = 0;

	for (unsigned c = 0; c < data_cards(d); c++)
		for (uint16_t q = 0; q < cards[c].queues; q++, i++) {
			d->lane[i]->port = cards[c].id;
			d->lane[i]->queue = q;
		}
}

static bool make_lanes(struct gm_device *d)
{
	for (unsigned i = 0; i < d->lanes_n; i++)
		if (!(d->lane[i] = make_lane(d, i)))
			return gm_eal_failed("out of memory or descriptors");
	give_queues(d);
	return true;
}

/* Descriptors to sleep on, where the driver has some. */
static void find_descriptors(struct gm_device *d)
{
	bool card = is_driver(&cards[0], "net_tap");

	for (unsigned i = 0; i < d->pairs_n; i++) {
		if (card)
			d->lane[i]->fd = rte_eth_dev_rx_intr_ctl_q_get_fd(d->lane[i]->port, d->lane[i]->queue);
		if (d->kernel >= 0 && i < cards[cards_n - 1].queues)
			d->lane[i]->kernel_fd = rte_eth_dev_rx_intr_ctl_q_get_fd((uint16_t)d->kernel, (uint16_t)i);
	}
}

/* ------------------------------------------------------------------ life of the device */

/* The program goes first: from then on the kernel has all frames. */
static void free_device(struct gm_device *d)
{
	gm_steer_free(d->steer);
	for (unsigned i = 0; i < cards_n; i++) {
		if (cards[i].started)
			rte_eth_dev_stop(cards[i].id);
		if (cards[i].ours)
			rte_eth_dev_close(cards[i].id);
	}
	for (unsigned i = 0; i < d->lanes_n; i++)
		free_lane(d->lane[i]);
	rte_mempool_free(d->pool);
	free(d);
}

static bool make_device(const struct gm_port_config *config)
{
	struct gm_device *d = calloc(1, sizeof(*d));
	const struct gm_dpdk_config *dpdk = config->arg;

	if (!d)
		return gm_eal_failed("out of memory");
	*d = (struct gm_device){.kernel = -1, .lanes_n = config->workers ? config->workers : 1};
	if (gm_eal_start(dpdk->args) && find_cards(d, dpdk) && share_out(d) && make_pool(d, config) && make_lanes(d) &&
	    start_cards(d)) {
		spread(d, config);
		find_descriptors(d);
		shared = d;
		return true;
	}
	free_device(d);
	return false;
}

struct gm_lane *gm_lane_open(const struct gm_port_config *config)
{
	static bool tried;
	struct gm_lane *lane = NULL;

	pthread_mutex_lock(&lock);
	if (!tried)
		make_device(config);
	else
		rte_thread_register(); /* a cache of packet buffers of its own; without it all works, slower */
	tried = true;
	if (shared && config->worker < shared->lanes_n)
		lane = shared->lane[config->worker];
	users += lane != NULL;
	pthread_mutex_unlock(&lock);
	return lane;
}

void gm_lane_close(struct gm_lane *lane)
{
	if (!lane)
		return;
	pthread_mutex_lock(&lock);
	if (--users == 0) {
		free_device(shared);
		shared = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ frames */

void gm_lane_wake(struct gm_lane *lane)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&lane->wake_sent, true) && write(lane->event, &one, sizeof(one)) < 0)
		atomic_store(&lane->wake_sent, false);
}

/* After something was put into a ring: either it sees that, or we see that it sleeps. */
static void rouse(struct gm_lane *lane)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&lane->asleep, memory_order_relaxed))
		gm_lane_wake(lane);
}

static void to_kernel(const struct gm_lane *owner, struct rte_mbuf *m)
{
	const struct gm_device *d = owner->device;
	uint16_t queue = (uint16_t)(owner->index % cards[cards_n - 1].queues);

	if (owner->index != queue || rte_eth_tx_burst((uint16_t)d->kernel, queue, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* Frames of a guest that go to the kernel are marked by the port. false: the driver is full. */
static bool send_late(struct gm_lane *l)
{
	while (l->late_at < l->late_n) {
		unsigned run = 0;

		while (l->late_at + run < l->late_n && l->late[l->late_at + run]->port == l->port)
			run++;
		if (run == 0) {
			to_kernel(l, l->late[l->late_at++]);
			continue;
		}
		unsigned sent = rte_eth_tx_burst(l->port, l->queue, l->late + l->late_at, (uint16_t)run);
		l->late_at += sent;
		if (sent < run)
			return false;
	}
	return true;
}

/* What guests want to send; a bound on each turn is the rings' length. */
static void serve(struct gm_lane *l)
{
	for (unsigned g = 0; g < l->guests_n; g++) {
		for (unsigned seen = 0; seen < HANDOVER && send_late(l); seen += l->late_n) {
			l->late_at = 0;
			l->late_n = rte_ring_dequeue_burst(l->guest[g]->tx, (void **)l->late, BURST, NULL);
			if (l->late_n == 0)
				break;
		}
	}
}

static void hand_over(struct gm_lane *l, struct gm_lane *guest, struct rte_mbuf **m, unsigned n)
{
	unsigned taken = rte_ring_enqueue_burst(guest->rx, (void **)m, n, NULL);

	for (unsigned i = taken; i < n; i++)
		rte_pktmbuf_free(m[i]);
	l->lost += n - taken;
	if (taken)
		rouse(guest);
}

/* Each sender has its worker, as receive-side scaling would have it; what has no sender stays here. */
static unsigned deal_out(struct gm_lane *l, struct rte_mbuf **m, unsigned n)
{
	struct rte_mbuf *of[GM_WORKERS_MAX][BURST];
	unsigned n_of[GM_WORKERS_MAX] = {0}, own = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t flow = gm_frame_flow(rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len);
		unsigned to = flow ? (unsigned)(((uint64_t)flow * (l->guests_n + 1)) >> 32) : 0;

		if (to == 0)
			m[own++] = m[i];
		else
			of[to - 1][n_of[to - 1]++] = m[i];
	}
	for (unsigned g = 0; g < l->guests_n; g++)
		if (n_of[g])
			hand_over(l, l->guest[g], of[g], n_of[g]);
	return own;
}

unsigned gm_lane_rx(struct gm_lane *lane, struct rte_mbuf **m, unsigned n)
{
	if (lane->rx)
		return rte_ring_dequeue_burst(lane->rx, (void **)m, n, NULL);
	if (!lane->guests_n)
		return rte_eth_rx_burst(lane->port, lane->queue, m, (uint16_t)n);
	serve(lane);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned got = rte_eth_rx_burst(lane->port, lane->queue, m, (uint16_t)n), own = deal_out(lane, m, got);

		if (own || !got)
			return own;
	}
	return 0;
}

unsigned gm_lane_tx(struct gm_lane *lane, struct rte_mbuf **m, unsigned n)
{
	if (!lane->tx)
		return n ? rte_eth_tx_burst(lane->port, lane->queue, m, (uint16_t)n) : 0;
	for (unsigned i = 0; i < n; i++)
		m[i]->port = lane->owner->port;
	unsigned taken = rte_ring_enqueue_burst(lane->tx, (void **)m, n, NULL);
	if (taken)
		rouse(lane->owner);
	return taken;
}

void gm_lane_not_ours(struct gm_lane *lane, struct rte_mbuf *m)
{
	int kernel = lane->device->kernel;

	if (kernel < 0) {
		rte_pktmbuf_free(m);
	} else if (!lane->tx) {
		to_kernel(lane, m);
	} else {
		m->port = (uint16_t)kernel;
		if (rte_ring_enqueue(lane->tx, m) < 0)
			rte_pktmbuf_free(m);
		else
			rouse(lane->owner);
	}
}

bool gm_lane_kernel_out(struct gm_lane *lane)
{
	struct rte_mbuf *m[BURST];
	unsigned n = 0, sent = 0;

	if (lane->device->kernel >= 0 && !lane->tx && lane->index < cards[cards_n - 1].queues)
		n = rte_eth_rx_burst((uint16_t)lane->device->kernel, (uint16_t)lane->index, m, BURST);
	if (n)
		sent = rte_eth_tx_burst(lane->port, lane->queue, m, (uint16_t)n);
	for (unsigned i = sent; i < n; i++)
		rte_pktmbuf_free(m[i]);
	return n > 0;
}

bool gm_lane_busy(const struct gm_lane *lane)
{
	bool busy = lane->late_at < lane->late_n || (lane->rx && rte_ring_count(lane->rx));

	for (unsigned g = 0; g < lane->guests_n; g++)
		busy = busy || rte_ring_count(lane->guest[g]->tx);
	return busy;
}
