/* SPDX-License-Identifier: Apache-2.0 */
/* A port whose network is memory of each worker's own: nothing is shared and nothing locked, so what is measured is the workers. */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "port/util.h"
#include "scaling/parts.h"

#define TX_BUFS 1024u

struct lane_port {
	const struct gm_port_ops *ops;
	struct lane *lane;
	struct gm_addr listen;
	uint8_t (*tx)[GM_DGRAM_TX_CAP];
	struct gm_free tx_free;
	int event;
	_Atomic bool woken;
	struct gm_port_stats stats;
};

static struct lane_port *of(const struct gm_port *port)
{
	return (struct lane_port *)(uintptr_t)port;
}

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void lane_close(struct gm_port *port)
{
	struct lane_port *p = of(port);

	if (p->event >= 0)
		close(p->event);
	gm_free_end(&p->tx_free);
	free(p->tx);
	free(p);
}

static enum gm_err lane_open(struct gm_port **port, const struct gm_port_config *config)
{
	struct lane_port *p = calloc(1, sizeof(*p));

	if (!p)
		return GM_E_NO_MEMORY;
	p->ops = &bench_port;
	p->lane = (struct lane *)config->arg + config->worker;
	p->listen = config->listen[0];
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->tx = malloc(TX_BUFS * sizeof(*p->tx));
	if (!gm_free_start(&p->tx_free, TX_BUFS) || !p->tx || p->event < 0) {
		lane_close((struct gm_port *)p);
		return GM_E_NO_MEMORY;
	}
	*port = (struct gm_port *)p;
	return GM_E_OK;
}

static unsigned lane_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct lane_port *p = of(port);
	unsigned i = 0;

	for (uint32_t buf; i < n && gm_free_get(&p->tx_free, &buf); i++)
		d[i] = (struct gm_dgram){.data = p->tx[buf], .cap = GM_DGRAM_TX_CAP, .buf = buf};
	return i;
}

static void lane_tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_free_put(&of(port)->tx_free, d[i].buf);
}

static void take(struct lane *l, const struct gm_dgram *d)
{
	uint32_t at = atomic_load_explicit(&l->caught_n, memory_order_relaxed);

	if (d->data[1] >> 5 >= 4)
		atomic_fetch_add_explicit(&l->refused, 1, memory_order_relaxed);
	if (!atomic_load_explicit(&l->catches, memory_order_relaxed) || at == l->caught_max)
		return;
	l->caught[at].to = d->peer;
	memcpy(l->caught[at].data, d->data, CAUGHT_LEN); /* a send buffer is longer */
	atomic_store_explicit(&l->caught_n, at + 1, memory_order_relaxed);
}

static unsigned lane_tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct lane_port *p = of(port);

	for (unsigned i = 0; i < n; i++)
		take(p->lane, &d[i]);
	lane_tx_put(port, d, n);
	p->stats.tx += n;
	return n;
}

static unsigned lane_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct lane_port *p = of(port);
	struct lane *l = p->lane;
	uint32_t end = atomic_load_explicit(&l->n, memory_order_acquire),
	         at = atomic_load_explicit(&l->next, memory_order_relaxed);

	n = n < end - at ? n : end - at;
	for (unsigned i = 0; i < n; i++) {
		const struct shot *s = &l->shots[at + i];
		d[i] = (struct gm_dgram){.data = (uint8_t *)(uintptr_t)s->data, .len = s->len, .cap = s->len, .peer = s->from,
		                         .local = p->listen};
	}
	atomic_store_explicit(&l->next, at + n, memory_order_relaxed);
	p->stats.rx += n;
	return n;
}

static void lane_rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	(void)port, (void)d, (void)n;
}

static void lane_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct lane_port *p = of(port);
	struct lane *l = p->lane;
	struct timespec t = {.tv_sec = timeout_ns / 1000000000u > 3600 ? 3600 : (time_t)(timeout_ns / 1000000000u),
	                     .tv_nsec = (long)(timeout_ns % 1000000000u)};
	struct pollfd fd = {.fd = p->event, .events = POLLIN};
	uint64_t one = 1;

	atomic_store(&l->idle_ns, bench_now_ns());
	atomic_store(&l->idle, true);
	if (write(l->tell, &one, sizeof(one)) < 0)
		abort(); /* the bench would wait for ever */
	ppoll(&fd, 1, &t, NULL);
	atomic_store(&l->idle, false);
	/* whoever finds it set does not write; so it is cleared only after the read */
	if (fd.revents && read(p->event, &one, sizeof(one)) == sizeof(one))
		atomic_store(&p->woken, false);
}

static void lane_wake(struct gm_port *port)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&of(port)->woken, true) && write(of(port)->event, &one, sizeof(one)) < 0)
		abort();
}

static void lane_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = of(port)->stats;
}

static uint64_t lane_now(struct gm_port *port)
{
	(void)port;
	return bench_now_ns();
}

static struct gm_addr lane_bound(const struct gm_port *port, unsigned i)
{
	(void)i;
	return of(port)->listen;
}

const struct gm_port_ops bench_port = {
    .name = "prepared",
    .open = lane_open,
    .tx_get = lane_tx_get,
    .tx_burst = lane_tx_burst,
    .tx_put = lane_tx_put,
    .rx_burst = lane_rx_burst,
    .rx_put = lane_rx_put,
    .wait = lane_wait,
    .wake = lane_wake,
    .stats = lane_stats,
    .now_ns = lane_now,
    .bound = lane_bound,
    .close = lane_close,
};
