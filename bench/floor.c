/* SPDX-License-Identifier: Apache-2.0 */
/* The floor that a bench is measured against: the same datagrams through the same kind of port, with no protocol and no
 * crypto. Its peer is gmload's bare-answer (push) or bare-ask (serve). One line of JSON. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gm/dp.h"
#include "port/port.h"

#define BURST GM_PORT_BURST
#define PEERS 65536u
#define BYTES_MAX 1400u
#define LOOKS 64u /* at an empty socket before it sleeps: a wake-up costs more than all of them */
#define PATIENCE_NS 2000000000u

struct floor {
	const struct gm_port_ops *ops;
	struct gm_port *port;
	struct gm_dgram form; /* local and first peer */
	bool push;
	uint16_t bytes;
	uint32_t n, window;
	uint32_t sent, answered, extra;
	uint8_t seen[PEERS / 8];
};

static int usage(void)
{
	fputs("usage: bench_floor push|serve -l IP:PORT [-p uring|mmsg|dpdk] [-n N] [-b BYTES] [-w WINDOW] [-m IP:PORT]\n"
	      "                   [-i INTERFACE] [-a ARGS]\n"
	      "\n"
	      "push: N datagrams to MEMBER (-m) and the addresses after it, WINDOW of them unanswered; each answered once.\n"
	      "serve: N datagrams of any sender, each answered with BYTES. -i, -a: of DPDK.\n",
	      stderr);
	return 2;
}

static struct gm_addr peer_of(const struct floor *f, uint32_t i)
{
	struct gm_addr a = f->form.peer;

	a.ip[14] = (uint8_t)(i >> 8);
	a.ip[15] = (uint8_t)i;
	return a;
}

static void fill(const struct floor *f, struct gm_dgram *d, const struct gm_addr *local, const struct gm_addr *peer)
{
	static const uint8_t text[BYTES_MAX] = {0x42, 0x02};

	memcpy(d->data, text, f->bytes);
	d->len = f->bytes;
	d->local = *local;
	d->peer = *peer;
}

static void send_all(struct floor *f, struct gm_dgram *d, unsigned n)
{
	for (unsigned done = 0, k; done < n; done += k)
		if ((k = f->ops->tx_burst(f->port, d + done, n - done)) == 0)
			f->ops->wait(f->port, 1000000);
}

/* As many as the window has room for, a burst at most. */
static unsigned push_burst(struct floor *f)
{
	struct gm_dgram d[BURST];
	uint32_t room = f->window - (f->sent - f->answered), left = f->n - f->sent;
	unsigned want = room < BURST ? room : BURST, n;

	n = f->ops->tx_get(f->port, d, want < left ? want : left);
	for (unsigned i = 0; i < n; i++) {
		struct gm_addr peer = peer_of(f, f->sent + i);
		fill(f, &d[i], &f->form.local, &peer);
	}
	f->sent += n;
	send_all(f, d, n);
	return n;
}

/* Each address answers once a round. */
static void count(struct floor *f, const struct gm_addr *peer)
{
	uint32_t i = (uint32_t)(peer->ip[14] << 8 | peer->ip[15]), round = f->answered / PEERS;

	if ((f->seen[i / 8] >> (i % 8) & 1) != (round & 1)) {
		f->extra++;
		return;
	}
	f->seen[i / 8] = (uint8_t)(f->seen[i / 8] ^ 1u << (i % 8));
	f->answered++;
}

static void answer(struct floor *f, const struct gm_dgram *in, unsigned n)
{
	struct gm_dgram d[BURST];
	unsigned have;

	while ((have = f->ops->tx_get(f->port, d, n)) < n) {
		f->ops->tx_put(f->port, d, have);
		f->ops->wait(f->port, 1000000);
	}
	for (unsigned i = 0; i < n; i++)
		fill(f, &d[i], &in[i].local, &in[i].peer);
	send_all(f, d, n);
}

static unsigned receive(struct floor *f)
{
	struct gm_dgram d[BURST];
	unsigned n = f->ops->rx_burst(f->port, d, BURST);

	for (unsigned i = 0; i < n; i++)
		count(f, &d[i].peer);
	if (n && !f->push)
		answer(f, d, n);
	if (n)
		f->ops->rx_put(f->port, d, n);
	return n;
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A receive between every two bursts of sends: what waits in the socket is taken before it is full. */
static void run(struct floor *f)
{
	uint64_t start = 0, last = f->ops->now_ns(f->port), now = last; /* NOLINT(clang-analyzer-core.NullDereference): main() found the port */
	double cpu = 0;

	for (unsigned idle = 0; f->answered < f->n && now - last < (start ? PATIENCE_NS : 5ull * PATIENCE_NS);
	     now = f->ops->now_ns(f->port)) {
		unsigned moved = f->push && f->sent < f->n ? push_burst(f) : 0;
		moved += receive(f);
		if (!start && moved) {
			start = now;
			cpu = cpu_s();
		}
		idle = moved ? 0 : idle + 1;
		if (moved)
			last = now;
		else if (idle > LOOKS)
			f->ops->wait(f->port, 20000000);
	}
	double s = (double)(now - start) / 1e9;
	printf("{\"bench\":\"floor\",\"what\":\"%s\",\"port\":\"%s\",\"members\":%u,\"bytes\":%u,\"window\":%u,\"answered\":%u,"
	       "\"repeated\":%u,\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n",
	       f->push ? "push" : "serve", f->ops->name, f->n, f->bytes, f->window, f->answered, f->extra, s, cpu_s() - cpu);
}

static const struct gm_port_ops *find(const char *name)
{
	static const struct gm_port_ops *const ports[] = {&gm_port_uring, &gm_port_mmsg};
	static char why[GM_WHY];

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (strcmp(ports[i]->name, name) == 0)
			return ports[i];
	const struct gm_port_ops *ops = strcmp(name, "dpdk") == 0 ? gm_port_dpdk_load(why) : NULL;
	if (!ops)
		fprintf(stderr, "bench_floor: %s: %s\n", name, why[0] ? why : "no such port");
	return ops;
}

struct settings {
	const char *port, *listen, *member;
	struct gm_dpdk_config dpdk;
};

static bool read_options(struct floor *f, struct settings *s, int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "p:l:m:n:b:w:i:a:")) != -1;)
		switch (c) {
		case 'p': s->port = optarg; break;
		case 'l': s->listen = optarg; break;
		case 'm': s->member = optarg; break;
		case 'n': f->n = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': f->bytes = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'w': f->window = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'i': s->dpdk.interface = optarg; break;
		case 'a': s->dpdk.args = optarg; break;
		default: return false;
		}
	const char *what = optind + 1 == argc ? argv[optind] : "";
	f->push = strcmp(what, "push") == 0;
	return (f->push || strcmp(what, "serve") == 0) && f->n && f->window && f->bytes <= BYTES_MAX && s->listen &&
	       gm_addr_parse(&f->form.local, s->listen) && (!f->push || (s->member && gm_addr_parse(&f->form.peer, s->member)));
}

int main(int argc, char **argv)
{
	static struct floor f = {.bytes = 200, .n = PEERS, .window = 512};
	struct settings s = {.port = "uring", .dpdk = {.args = "", .interface = ""}};
	struct gm_port_config config = {.listen_n = 1, .rx_bufs = 4096, .arg = &s.dpdk};

	if (!read_options(&f, &s, argc, argv))
		return usage();
	config.tx_bufs = f.window < 1024 ? 1024 : 4096;
	config.listen[0] = f.form.local;
	const struct gm_port_ops *ops = f.ops = find(s.port);
	if (!ops)
		return 1;
	if (ops->open(&f.port, &config) != GM_E_OK) {
		const char *why = ops->why ? ops->why() : "";
		fprintf(stderr, "bench_floor: %s: %s\n", s.port, why[0] ? why : strerror(errno));
		return 1;
	}
	f.form.local = ops->bound(f.port, 0);
	if (!f.push)
		fputs("listening\n", stderr);
	run(&f);
	f.ops->close(f.port);
	return f.answered == f.n && !f.extra ? 0 : 1;
}
