/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams on the way lie in heaps ordered by (due, serial), one per port and one for all clients. One mutex guards
 * all of it. */
#include "port/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "port/util.h"

#define PORTS_MAX 64u
#define BUFS 1024u
#define FIRST_PORT 40000u

struct packet {
	uint64_t due, serial;
	struct gm_addr from, to;
	size_t len;
	uint8_t data[];
};

struct heap {
	struct packet **at;
	size_t n, cap;
};

struct gm_mem_net {
	pthread_mutex_t lock;
	struct gm_mem_config config;
	uint64_t now, serial, dice;
	struct mem_port *ports[PORTS_MAX];
	unsigned ports_n;
	uint16_t next_port;
	struct heap clients;
};

struct mem_port {
	const struct gm_port_ops *ops;
	struct gm_mem_net *net;
	struct gm_addr listen[GM_LISTEN_MAX];
	unsigned listen_n;
	struct heap in;
	uint8_t (*tx)[GM_DGRAM_TX_CAP];
	struct packet **rx; /* lent */
	struct gm_free tx_free, rx_free;
	pthread_cond_t cond;
	bool woken, asleep;
	uint64_t wait_end;
	struct gm_port_stats stats;
};

/* ------------------------------------------------------------------ heap */

static bool before(const struct packet *a, const struct packet *b)
{
	return a->due != b->due ? a->due < b->due : a->serial < b->serial;
}

static void swap(struct heap *h, size_t i, size_t j)
{
	struct packet *p = h->at[i];

	h->at[i] = h->at[j];
	h->at[j] = p;
}

static void sift_up(struct heap *h, size_t i)
{
	for (; i > 0 && before(h->at[i], h->at[(i - 1) / 2]); i = (i - 1) / 2)
		swap(h, i, (i - 1) / 2);
}

static void sift_down(struct heap *h, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && before(h->at[child + 1], h->at[child]))
			child++;
		if (!before(h->at[child], h->at[i]))
			return;
		swap(h, i, child);
	}
}

static void heap_add(struct heap *h, struct packet *p)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 64;
		h->at = realloc(h->at, h->cap * sizeof(*h->at));
		if (!h->at)
			abort();
	}
	h->at[h->n++] = p;
	sift_up(h, h->n - 1);
}

static struct packet *heap_take(struct heap *h, size_t i)
{
	struct packet *p = h->at[i];

	h->at[i] = h->at[--h->n];
	if (i < h->n) {
		sift_down(h, i);
		sift_up(h, i);
	}
	return p;
}

static void heap_free(struct heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->at[i]);
	free(h->at);
}

static bool due(const struct gm_mem_net *net, const struct heap *h)
{
	return h->n && h->at[0]->due <= net->now;
}

/* ------------------------------------------------------------------ carrying */

static uint64_t draw(struct gm_mem_net *net) /* splitmix64 */
{
	uint64_t z = net->dice += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool chance(struct gm_mem_net *net, uint32_t in_a_million)
{
	return draw(net) % 1000000 < in_a_million;
}

static bool listens(const struct mem_port *port, const struct gm_addr *to)
{
	for (unsigned i = 0; i < port->listen_n; i++)
		if (port->listen[i].port == to->port &&
		    (gm_is_any(port->listen[i].ip) || memcmp(port->listen[i].ip, to->ip, 16) == 0))
			return true;
	return false;
}

/* Ports that share an address share its peers, as with SO_REUSEPORT: a peer always meets the same one. */
static struct mem_port *find_port(struct gm_mem_net *net, const struct gm_addr *from, const struct gm_addr *to)
{
	struct mem_port *found[PORTS_MAX];
	unsigned n = 0, hash = from->port;

	for (unsigned i = 0; i < net->ports_n; i++)
		if (listens(net->ports[i], to))
			found[n++] = net->ports[i];
	for (unsigned i = 0; i < 16; i++)
		hash = hash * 31 + from->ip[i];
	return n ? found[hash % n] : NULL;
}

static void put_on_way(struct gm_mem_net *net, const struct gm_addr *from, const struct gm_addr *to, const void *data,
                       size_t len)
{
	const struct gm_mem_faults *f = &net->config.faults;
	struct mem_port *port = find_port(net, from, to);
	struct packet *p = malloc(sizeof(*p) + len);

	if (!p)
		abort();
	*p = (struct packet){
	    .due = net->now + f->delay_ns, .serial = net->serial++, .from = *from, .to = *to, .len = len};
	memcpy(p->data, data, len);
	if (f->jitter_ns)
		p->due += draw(net) % (f->jitter_ns + 1);
	if (chance(net, f->late))
		p->due += f->late_ns;
	if (chance(net, f->corrupt) && len)
		p->data[draw(net) % len] ^= (uint8_t)(1u << draw(net) % 8);
	heap_add(port ? &port->in : &net->clients, p);
	if (port)
		pthread_cond_signal(&port->cond);
}

static void carry(struct gm_mem_net *net, const struct gm_addr *from, const struct gm_addr *to, const void *data,
                  size_t len)
{
	if (net->config.tap)
		net->config.tap(net->config.tap_arg, from, to, data, len);
	if (chance(net, net->config.faults.loss))
		return;
	put_on_way(net, from, to, data, len);
	if (chance(net, net->config.faults.dup))
		put_on_way(net, from, to, data, len);
}

/* ------------------------------------------------------------------ the test's side */

struct gm_mem_net *gm_mem_net_new(const struct gm_mem_config *config)
{
	struct gm_mem_net *net = calloc(1, sizeof(*net));

	if (!net)
		return NULL;
	pthread_mutex_init(&net->lock, NULL);
	net->config = *config;
	net->dice = config->seed;
	net->now = 1000000000u;
	net->next_port = FIRST_PORT;
	return net;
}

void gm_mem_net_free(struct gm_mem_net *net)
{
	heap_free(&net->clients);
	pthread_mutex_destroy(&net->lock);
	free(net);
}

void gm_mem_set_faults(struct gm_mem_net *net, const struct gm_mem_faults *faults)
{
	pthread_mutex_lock(&net->lock);
	net->config.faults = *faults;
	pthread_mutex_unlock(&net->lock);
}

uint64_t gm_mem_now(struct gm_mem_net *net)
{
	pthread_mutex_lock(&net->lock);
	uint64_t now = net->now;
	pthread_mutex_unlock(&net->lock);
	return now;
}

void gm_mem_step(struct gm_mem_net *net, uint64_t ns)
{
	pthread_mutex_lock(&net->lock);
	net->now += ns;
	for (unsigned i = 0; i < net->ports_n; i++)
		pthread_cond_signal(&net->ports[i]->cond);
	pthread_mutex_unlock(&net->lock);
}

static void earlier(uint64_t *t, uint64_t other)
{
	if (other < *t)
		*t = other;
}

uint64_t gm_mem_next(struct gm_mem_net *net)
{
	uint64_t t = UINT64_MAX;

	pthread_mutex_lock(&net->lock);
	if (net->clients.n)
		earlier(&t, net->clients.at[0]->due);
	for (unsigned i = 0; i < net->ports_n; i++) {
		if (net->ports[i]->in.n)
			earlier(&t, net->ports[i]->in.at[0]->due);
		if (net->ports[i]->asleep)
			earlier(&t, net->ports[i]->wait_end);
	}
	pthread_mutex_unlock(&net->lock);
	return t;
}

/* Something for the port to do; its sleep ends. */
static bool roused(const struct mem_port *port)
{
	return port->woken || due(port->net, &port->in) || port->net->now >= port->wait_end;
}

bool gm_mem_quiet(struct gm_mem_net *net)
{
	bool quiet = true;

	pthread_mutex_lock(&net->lock);
	for (unsigned i = 0; i < net->ports_n; i++)
		quiet = quiet && net->ports[i]->asleep && !roused(net->ports[i]);
	pthread_mutex_unlock(&net->lock);
	return quiet;
}

void gm_mem_send(struct gm_mem_net *net, const struct gm_addr *from, const struct gm_addr *to, const void *data,
                 size_t len)
{
	pthread_mutex_lock(&net->lock);
	carry(net, from, to, data, len);
	pthread_mutex_unlock(&net->lock);
}

static size_t find_client(const struct gm_mem_net *net, const struct gm_addr *at)
{
	const struct heap *h = &net->clients;
	size_t best = h->n;

	if (!at)
		return due(net, h) ? 0 : h->n;
	for (size_t i = 0; i < h->n; i++)
		if (h->at[i]->due <= net->now && gm_addr_eq(&h->at[i]->to, at) &&
		    (best == h->n || before(h->at[i], h->at[best])))
			best = i;
	return best;
}

bool gm_mem_recv(struct gm_mem_net *net, const struct gm_addr *at, struct gm_mem_dgram *d)
{
	struct packet *p = NULL;

	pthread_mutex_lock(&net->lock);
	size_t i = find_client(net, at);
	if (i < net->clients.n)
		p = heap_take(&net->clients, i);
	pthread_mutex_unlock(&net->lock);
	if (!p)
		return false;
	d->from = p->from;
	d->to = p->to;
	d->len = (uint16_t)(p->len < GM_MEM_DGRAM_MAX ? p->len : GM_MEM_DGRAM_MAX);
	memcpy(d->data, p->data, d->len);
	free(p);
	return true;
}

/* ------------------------------------------------------------------ the port */

static struct mem_port *mem(const struct gm_port *port)
{
	return (struct mem_port *)(uintptr_t)port;
}

static void mem_close(struct gm_port *port)
{
	struct mem_port *m = mem(port);
	struct gm_mem_net *net = m->net;

	pthread_mutex_lock(&net->lock);
	for (unsigned i = 0; i < net->ports_n; i++)
		if (net->ports[i] == m)
			net->ports[i--] = net->ports[--net->ports_n];
	pthread_mutex_unlock(&net->lock);
	pthread_cond_destroy(&m->cond);
	heap_free(&m->in);
	for (unsigned i = 0; m->rx && i < m->rx_free.cap; i++)
		free(m->rx[i]);
	gm_free_end(&m->tx_free);
	gm_free_end(&m->rx_free);
	free(m->rx);
	free(m->tx);
	free(m);
}

static bool attach(struct mem_port *m, const struct gm_port_config *config)
{
	struct gm_mem_net *net = m->net;
	bool room;

	m->listen_n = config->listen_n;
	memcpy(m->listen, config->listen, sizeof(m->listen));
	pthread_mutex_lock(&net->lock);
	room = net->ports_n < PORTS_MAX;
	if (room)
		net->ports[net->ports_n++] = m;
	for (unsigned i = 0; i < m->listen_n; i++)
		if (m->listen[i].port == 0)
			m->listen[i].port = net->next_port++;
	pthread_mutex_unlock(&net->lock);
	return room;
}

static enum gm_err mem_open(struct gm_port **port, const struct gm_port_config *config)
{
	unsigned tx = config->tx_bufs ? config->tx_bufs : BUFS, rx = config->rx_bufs ? config->rx_bufs : BUFS;
	struct mem_port *m = calloc(1, sizeof(*m));

	if (!m)
		return GM_E_NO_MEMORY;
	m->ops = &gm_port_mem;
	m->net = config->arg;
	m->wait_end = UINT64_MAX;
	m->tx = calloc(tx, sizeof(*m->tx));
	m->rx = calloc(rx, sizeof(*m->rx));
	pthread_cond_init(&m->cond, NULL);
	bool made = gm_free_start(&m->tx_free, tx) && gm_free_start(&m->rx_free, rx) && m->tx && m->rx;
	if (!made || !attach(m, config)) {
		mem_close((struct gm_port *)m);
		errno = made ? EADDRNOTAVAIL : ENOMEM;
		return made ? GM_E_IO : GM_E_NO_MEMORY;
	}
	*port = (struct gm_port *)m;
	return GM_E_OK;
}

static unsigned mem_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mem_port *m = mem(port);
	unsigned i = 0;

	for (uint32_t buf; i < n && gm_free_get(&m->tx_free, &buf); i++)
		d[i] = (struct gm_dgram){.data = m->tx[buf], .cap = GM_DGRAM_TX_CAP, .buf = buf};
	return i;
}

static void mem_tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_free_put(&mem(port)->tx_free, d[i].buf);
}

/* The source: what the caller asked for, else the first listener. */
static struct gm_addr source(const struct mem_port *m, const struct gm_addr *local)
{
	struct gm_addr from = m->listen[0];

	if (gm_is_any(local->ip))
		return from;
	memcpy(from.ip, local->ip, 16);
	if (local->port)
		from.port = local->port;
	return from;
}

static unsigned mem_tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mem_port *m = mem(port);

	pthread_mutex_lock(&m->net->lock);
	uint32_t tx_max = m->net->config.faults.tx_max;
	if (tx_max && n > tx_max)
		n = tx_max;
	for (unsigned i = 0; i < n; i++) {
		struct gm_addr from = source(m, &d[i].local);

		carry(m->net, &from, &d[i].peer, d[i].data, d[i].len);
	}
	pthread_mutex_unlock(&m->net->lock);
	mem_tx_put(port, d, n);
	m->stats.tx += n;
	m->stats.tx_bursts += n > 0;
	return n;
}

static void lend(struct mem_port *m, struct gm_dgram *d, struct packet *p, uint32_t buf)
{
	m->rx[buf] = p;
	*d = (struct gm_dgram){.data = p->data,
	                       .len = (uint16_t)p->len,
	                       .cap = (uint16_t)p->len,
	                       .buf = buf,
	                       .peer = p->from,
	                       .local = p->to};
}

static unsigned mem_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mem_port *m = mem(port);
	unsigned got = 0;

	pthread_mutex_lock(&m->net->lock);
	while (got < n && due(m->net, &m->in)) {
		uint32_t buf;

		if (m->in.at[0]->len > GM_MEM_DGRAM_MAX) {
			free(heap_take(&m->in, 0));
			m->stats.rx_truncated++;
		} else if (gm_free_get(&m->rx_free, &buf)) {
			lend(m, &d[got++], heap_take(&m->in, 0), buf);
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&m->net->lock);
	m->stats.rx += got;
	m->stats.rx_bursts += got > 0;
	return got;
}

static void mem_rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct mem_port *m = mem(port);

	for (unsigned i = 0; i < n; i++) {
		free(m->rx[d[i].buf]);
		m->rx[d[i].buf] = NULL;
		gm_free_put(&m->rx_free, d[i].buf);
	}
}

/* The clock moves to the port's next datagram or the end of its wait, whichever comes first. */
static void step_to_next(struct mem_port *m)
{
	uint64_t t = m->wait_end;

	if (m->in.n)
		earlier(&t, m->in.at[0]->due);
	if (m->net->clients.n)
		earlier(&t, m->net->clients.at[0]->due);
	if (t != UINT64_MAX && t > m->net->now)
		m->net->now = t;
}

static void mem_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct mem_port *m = mem(port);
	struct gm_mem_net *net = m->net;

	pthread_mutex_lock(&net->lock);
	m->wait_end = timeout_ns > UINT64_MAX - net->now ? UINT64_MAX : net->now + timeout_ns;
	if (net->config.wait_steps && !roused(m))
		step_to_next(m);
	m->asleep = true;
	while (!net->config.wait_steps && !roused(m))
		pthread_cond_wait(&m->cond, &net->lock);
	m->asleep = m->woken = false;
	m->wait_end = UINT64_MAX;
	pthread_mutex_unlock(&net->lock);
}

static void mem_wake(struct gm_port *port)
{
	struct mem_port *m = mem(port);

	pthread_mutex_lock(&m->net->lock);
	m->woken = true;
	pthread_cond_signal(&m->cond);
	pthread_mutex_unlock(&m->net->lock);
}

static void mem_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = mem(port)->stats;
}

static uint64_t mem_now(struct gm_port *port)
{
	return gm_mem_now(mem(port)->net);
}

static struct gm_addr mem_bound(const struct gm_port *port, unsigned i)
{
	return mem(port)->listen[i];
}

const struct gm_port_ops gm_port_mem = {
    .name = "mem",
    .open = mem_open,
    .tx_get = mem_tx_get,
    .tx_burst = mem_tx_burst,
    .tx_put = mem_tx_put,
    .rx_burst = mem_rx_burst,
    .rx_put = mem_rx_put,
    .wait = mem_wait,
    .wake = mem_wake,
    .stats = mem_stats,
    .now_ns = mem_now,
    .bound = mem_bound,
    .close = mem_close,
};
