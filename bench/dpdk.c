/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams through the DPDK port as fast as one core makes them: payload copied, next hop found, headers and checksums
 * laid out, frame handed to the driver. With net_null the driver is nothing, so that this is what our part costs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gm/dp.h"
#include "port/port.h"

#define LEN 200u
#define BURST GM_PORT_BURST
#define PEERS 65536u

static int usage(void)
{
	fputs("usage: bench_dpdk INTERFACE LOCAL PEER SECONDS [ARGS]\n"
	      "\n"
	      "Sends to PEER and the 65,535 addresses after it, from LOCAL, through one DPDK port, net_null unless ARGS\n"
	      "name another; their routes and neighbours are those of INTERFACE. One line of JSON.\n",
	      stderr);
	return 2;
}

static void next_peer(struct gm_addr *peer, uint32_t i)
{
	peer->ip[14] = (uint8_t)(i >> 8);
	peer->ip[15] = (uint8_t)i;
}

static unsigned send_burst(const struct gm_port_ops *ops, struct gm_port *port, const struct gm_dgram *form, uint32_t at)
{
	static const uint8_t text[LEN] = {0x42};
	struct gm_dgram d[BURST];
	unsigned n = ops->tx_get(port, d, BURST);

	for (unsigned i = 0; i < n; i++) {
		memcpy(d[i].data, text, LEN);
		d[i].len = LEN;
		d[i].local = form->local;
		d[i].peer = form->peer;
		next_peer(&d[i].peer, (at + i) % PEERS);
	}
	unsigned sent = ops->tx_burst(port, d, n);
	ops->tx_put(port, d + sent, n - sent);
	return sent;
}

static void run(const struct gm_port_ops *ops, struct gm_port *port, const struct gm_dgram *form, unsigned seconds)
{
	uint64_t start = ops->now_ns(port), end = start + seconds * 1000000000ull, now = start, sent = 0;
	struct gm_port_stats s;

	for (; now < end; now = ops->now_ns(port))
		for (unsigned i = 0; i < 64; i++)
			sent += send_burst(ops, port, form, (uint32_t)sent);
	ops->stats(port, &s);
	double took = (double)(now - start) / 1e9;
	printf("{\"bench\":\"dpdk\",\"payload\":%u,\"sent\":%llu,\"by_kernel\":%llu,\"failed\":%llu,\"seconds\":%.3f,"
	       "\"per_s\":%.0f}\n",
	       LEN, (unsigned long long)s.tx, (unsigned long long)s.tx_kernel, (unsigned long long)s.tx_failed, took,
	       (double)s.tx / took);
}

int main(int argc, char **argv)
{
	struct gm_dpdk_config dpdk = {
	    .args = argc > 5 ? argv[5] : "--no-huge --no-shconf --no-telemetry --no-pci -m 64 --vdev net_null0",
	    .interface = argc > 1 ? argv[1] : ""};
	struct gm_port_config config = {.listen_n = 1, .arg = &dpdk};
	struct gm_dgram form = {0};
	struct gm_port *port;
	char why[GM_PORT_WHY];

	if (argc < 5 || !gm_addr_parse(&form.local, argv[2]) || !gm_addr_parse(&form.peer, argv[3]))
		return usage();
	form.peer.port = 5683;
	config.listen[0] = form.local;
	const struct gm_port_ops *ops = gm_port_dpdk_load(why);
	if (!ops) {
		fprintf(stderr, "bench_dpdk: %s\n", why);
		return 1;
	}
	if (ops->open(&port, &config) != GM_E_OK) {
		fprintf(stderr, "bench_dpdk: %s\n", ops->why()[0] ? ops->why() : strerror(errno));
		return 1;
	}
	form.local.port = ops->bound(port, 0).port;
	run(ops, port, &form, (unsigned)atoi(argv[4]));
	ops->close(port);
	return 0;
}
