/* SPDX-License-Identifier: Apache-2.0 */
/* Rekeying messages through the DPDK port as fast as one core makes them: sealed for each member, next hop found, headers
 * and checksums laid out, frame handed to the driver. With net_null the driver is nothing, so that this is what our part
 * costs. Next to it, in turn, the floor: the same with a copy in place of the sealing. One line of JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/order.h"
#include "gm/crypto.h"
#include "gm/dp.h"
#include "port/port.h"
#include "wire/oscore_many.h"

#define PLAIN 100u /* code, options and keys of a rekeying message */
#define BURST GM_PORT_BURST
#define MEMBERS 65536u
#define ROUNDS 5u
#define BURSTS (MEMBERS / BURST)
#define NS_PER_S 1e9

struct bench {
	const struct gm_port_ops *ops;
	struct gm_port *port;
	struct gm_addr local, peer;
	struct gm_oscore_keys *keys; /* one of each member */
	uint64_t seq;
	uint16_t len; /* of a datagram */
	uint8_t plain[PLAIN];
	double burst_us[2 * BURSTS]; /* of the round */
	unsigned bursts_n;
};

static int usage(void)
{
	fputs("usage: bench_dpdk INTERFACE LOCAL PEER SECONDS [ARGS]\n"
	      "\n"
	      "Rekeying messages to PEER and the 65,535 addresses after it, from LOCAL, through one DPDK port, net_null unless\n"
	      "ARGS name another; their routes and neighbours are those of INTERFACE. One line of JSON.\n",
	      stderr);
	return 2;
}

static void fill_bare(struct bench *b, struct gm_dgram *d, uint32_t at, unsigned n)
{
	static const uint8_t text[1024] = {0x42};

	(void)at;
	for (unsigned i = 0; i < n; i++) {
		memcpy(d[i].data, text, b->len);
		d[i].len = b->len;
	}
}

static void fill_sealed(struct bench *b, struct gm_dgram *d, uint32_t at, unsigned n)
{
	struct gm_oscore_post posts[BURST];

	for (unsigned i = 0; i < n; i++)
		posts[i] = (struct gm_oscore_post){.keys = &b->keys[(at + i) % MEMBERS],
		                                   .seq = b->seq,
		                                   .mid = (uint16_t)(at + i),
		                                   .token_len = 8,
		                                   .pkt = d[i].data,
		                                   .cap = d[i].cap,
		                                   .plain = {b->plain, PLAIN}};
	uint64_t made = n ? gm_oscore_post_many(posts, n) : 0;
	if (n && made != UINT64_MAX >> (64 - n)) {
		fputs("bench_dpdk: a message was not made\n", stderr);
		exit(1);
	}
	for (unsigned i = 0; i < n; i++)
		d[i].len = (uint16_t)posts[i].len;
	b->len = n ? d[0].len : b->len;
}

typedef void fill(struct bench *, struct gm_dgram *, uint32_t, unsigned);

static unsigned send_burst(struct bench *b, fill *fill_in, uint32_t at)
{
	struct gm_dgram d[BURST];
	unsigned n = b->ops->tx_get(b->port, d, BURST);

	fill_in(b, d, at, n);
	for (unsigned i = 0; i < n; i++) {
		d[i].local = b->local;
		d[i].peer = b->peer;
		d[i].peer.ip[14] = (uint8_t)((at + i) >> 8);
		d[i].peer.ip[15] = (uint8_t)(at + i);
	}
	unsigned sent = b->ops->tx_burst(b->port, d, n);
	b->ops->tx_put(b->port, d + sent, n - sent);
	return sent;
}

/* Nanoseconds for all members once, the best of as many times as fit: others have the core, too, now and then. */
static double round_of(struct bench *b, fill *fill_in, double seconds)
{
	uint64_t begin = b->ops->now_ns(b->port), now = begin;
	double best = 1e18;

	while ((double)(now - begin) < seconds * NS_PER_S) {
		uint64_t start = now;
		b->seq++; /* a key's sequence number never comes twice */
		b->bursts_n = 0;
		for (uint32_t sent = 0; sent < MEMBERS;) {
			uint64_t before = b->ops->now_ns(b->port);
			sent += send_burst(b, fill_in, sent);
			now = b->ops->now_ns(b->port);
			if (b->bursts_n < 2 * BURSTS)
				b->burst_us[b->bursts_n++] = (double)(now - before) / 1e3;
		}
		best = (double)(now - start) < best ? (double)(now - start) : best;
	}
	return best;
}

static double middle(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_double);
	return v[n / 2];
}

static void cpu_model(char *model, size_t n)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");

	snprintf(model, n, "unknown");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "model name : %127[^\n\"]", model) == 1)
			break;
	if (f)
		fclose(f);
}

static void run(struct bench *b, double seconds)
{
	double sealed[ROUNDS], bare[ROUNDS], ratio[ROUNDS];
	struct gm_port_stats s;
	char model[128];

	for (unsigned r = 0; r < ROUNDS; r++) {
		sealed[r] = round_of(b, fill_sealed, seconds / (2 * ROUNDS));
		qsort(b->burst_us, b->bursts_n, sizeof(b->burst_us[0]), by_double);
		double p50 = b->burst_us[b->bursts_n / 2], p99 = b->burst_us[b->bursts_n * 99 / 100];
		bare[r] = round_of(b, fill_bare, seconds / (2 * ROUNDS));
		ratio[r] = sealed[r] / bare[r];
		b->burst_us[0] = p50;
		b->burst_us[1] = p99;
	}
	b->ops->stats(b->port, &s);
	cpu_model(model, sizeof(model));
	double t = middle(sealed, ROUNDS) / NS_PER_S, x = middle(ratio, ROUNDS);
	printf("{\"bench\":\"dpdk-null\",\"port\":\"dpdk\",\"members\":%u,\"confirmed\":0,\"seconds\":%.6f,\"per_s\":%.0f,"
	       "\"floor_seconds\":%.6f,\"ratio\":%.3f,\"ratio_min\":%.3f,\"ratio_max\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
	       "\"rss_per_member\":0,\"cpu\":\"%s\",\"runs\":%u,\"seconds_min\":%.6f,\"seconds_max\":%.6f,\"payload\":%u,"
	       "\"sent\":%llu,\"by_kernel\":%llu,\"failed\":%llu,\"void\":[]}\n",
	       MEMBERS, t, MEMBERS / t, middle(bare, ROUNDS) / NS_PER_S, x, ratio[0], ratio[ROUNDS - 1], b->burst_us[0],
	       b->burst_us[1], model, ROUNDS, sealed[0] / NS_PER_S, sealed[ROUNDS - 1] / NS_PER_S, b->len,
	       (unsigned long long)s.tx, (unsigned long long)s.tx_kernel, (unsigned long long)s.tx_failed);
}

static bool make_keys(struct bench *b)
{
	b->keys = calloc(MEMBERS, sizeof(*b->keys));
	for (uint32_t i = 0; b->keys && i < MEMBERS; i++) {
		struct gm_oscore_keys *k = &b->keys[i];
		gm_random(k, sizeof(*k));
		k->alg = 10;
		k->sid.n = k->rid.n = 0;
	}
	return b->keys != NULL;
}

int main(int argc, char **argv)
{
	struct gm_dpdk_config dpdk = {
	    .args = argc > 5 ? argv[5] : "--no-huge --no-shconf --no-telemetry --no-pci -m 64 --vdev net_null0",
	    .interface = argc > 1 ? argv[1] : ""};
	struct gm_port_config config = {.listen_n = 1, .arg = &dpdk};
	static struct bench b;
	char why[GM_WHY];

	if (argc < 5 || !gm_addr_parse(&b.local, argv[2]) || !gm_addr_parse(&b.peer, argv[3]))
		return usage();
	b.peer.port = 5683;
	config.listen[0] = b.local;
	b.ops = gm_port_dpdk_load(why);
	if (!b.ops) {
		fprintf(stderr, "bench_dpdk: %s\n", why);
		return 1;
	}
	if (!gm_crypto_init() || !make_keys(&b))
		return 1;
	if (b.ops->open(&b.port, &config) != GM_E_OK) {
		fprintf(stderr, "bench_dpdk: %s\n", b.ops->why()[0] ? b.ops->why() : strerror(errno));
		return 1;
	}
	b.local.port = b.ops->bound(b.port, 0).port;
	run(&b, atof(argv[4]));
	b.ops->close(b.port);
	free(b.keys);
	return 0;
}
