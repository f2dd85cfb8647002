/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "addr.h"
#include "port/mem.h"

static const struct gm_port_ops *ops = &gm_port_mem;

static struct gm_port *attach(struct gm_mem_net *net, const char *listen, unsigned bufs)
{
	struct gm_port_config c = {
	    .listen = {addr(listen)}, .listen_n = 1, .rx_bufs = bufs, .tx_bufs = bufs, .arg = net};
	struct gm_port *port;

	cr_assert_eq(ops->open(&port, &c), GM_E_OK);
	return port;
}

static struct gm_mem_net *calm(void)
{
	return gm_mem_net_new(&(struct gm_mem_config){.wait_steps = true});
}

static void say(struct gm_port *port, const char *to, const void *data, uint16_t n)
{
	struct gm_dgram d;

	cr_assert_eq(ops->tx_get(port, &d, 1), 1);
	memcpy(d.data, data, n);
	d.len = n;
	d.peer = addr(to);
	cr_assert_eq(ops->tx_burst(port, &d, 1), 1);
}

Test(mem, carries_both_ways_with_both_addresses)
{
	struct gm_mem_net *net = calm();
	struct gm_port *port = attach(net, "[::1]:5683", 4);
	struct gm_addr member = addr("127.1.2.3:7"), gm = addr("[::1]:5683");
	struct gm_mem_dgram got;
	struct gm_dgram d;

	gm_mem_send(net, &member, &gm, "ask", 3);
	cr_assert_eq(ops->rx_burst(port, &d, 1), 1);
	cr_expect(d.len == 3 && memcmp(d.data, "ask", 3) == 0);
	cr_expect(gm_addr_eq(&d.peer, &member) && gm_addr_eq(&d.local, &gm));
	ops->rx_put(port, &d, 1);
	say(port, "127.1.2.3:7", "tell", 4);
	cr_expect_not(gm_mem_recv(net, &gm, &got));
	cr_assert(gm_mem_recv(net, &member, &got));
	cr_expect(got.len == 4 && memcmp(got.data, "tell", 4) == 0 && gm_addr_eq(&got.from, &gm));
	cr_expect_not(gm_mem_recv(net, NULL, &got));
	ops->close(port);
	gm_mem_net_free(net);
}

Test(mem, sends_from_the_address_the_caller_names)
{
	struct gm_mem_net *net = calm();
	struct gm_port *port = attach(net, "0.0.0.0:7000", 4);
	struct gm_addr local = addr("127.1.9.9:0");
	struct gm_mem_dgram got;
	struct gm_dgram d;

	cr_assert_eq(ops->tx_get(port, &d, 1), 1);
	d.len = 1;
	d.peer = addr("[::1]:5683");
	d.local = local;
	cr_assert_eq(ops->tx_burst(port, &d, 1), 1);
	cr_assert(gm_mem_recv(net, NULL, &got));
	local.port = 7000;
	cr_expect(gm_addr_eq(&got.from, &local));
	ops->close(port);
	gm_mem_net_free(net);
}

Test(mem, lends_no_more_buffers_than_it_has)
{
	struct gm_mem_net *net = calm();
	struct gm_port *port = attach(net, "[::1]:5683", 4);
	struct gm_addr member = addr("[::2]:7"), gm = addr("[::1]:5683");
	struct gm_dgram d[8];

	cr_expect_eq(ops->tx_get(port, d, 8), 4);
	cr_expect_eq(ops->tx_get(port, d + 4, 1), 0);
	ops->tx_put(port, d, 4);
	cr_expect_eq(ops->tx_get(port, d, 1), 1);
	for (int i = 0; i < 6; i++)
		gm_mem_send(net, &member, &gm, &i, sizeof(i));
	cr_expect_eq(ops->rx_burst(port, d, 8), 4);
	ops->rx_put(port, d, 4);
	cr_expect_eq(ops->rx_burst(port, d, 8), 2);
	ops->rx_put(port, d, 2);
	ops->close(port);
	gm_mem_net_free(net);
}

Test(mem, drops_and_counts_what_is_longer_than_a_buffer)
{
	static uint8_t big[GM_MEM_DGRAM_MAX + 1];
	struct gm_mem_net *net = calm();
	struct gm_port *port = attach(net, "[::1]:5683", 4);
	struct gm_addr member = addr("[::2]:7"), gm = addr("[::1]:5683");
	struct gm_port_stats stats;
	struct gm_dgram d[4];

	gm_mem_send(net, &member, &gm, big, sizeof(big));
	gm_mem_send(net, &member, &gm, big, sizeof(big) - 1);
	cr_expect_eq(ops->rx_burst(port, d, 4), 1);
	ops->stats(port, &stats);
	cr_expect(stats.rx == 1 && stats.rx_truncated == 1);
	ops->close(port);
	gm_mem_net_free(net);
}

/* What 10,000 numbered datagrams become: how many arrive, twice, damaged, overtaken. */
static void count(uint64_t seed, const struct gm_mem_faults *f, unsigned n[static 4])
{
	struct gm_mem_net *net = gm_mem_net_new(&(struct gm_mem_config){.seed = seed, .faults = *f});
	struct gm_addr a = addr("[::1]:1"), b = addr("[::1]:2");
	static uint8_t seen[10000];
	struct gm_mem_dgram got;
	uint32_t last = 0;

	memset(seen, 0, sizeof(seen));
	for (uint32_t v[2] = {0}; v[0] < 10000; v[0]++) {
		v[1] = ~v[0];
		gm_mem_send(net, &a, &b, v, sizeof(v));
		gm_mem_step(net, 1000);
	}
	gm_mem_step(net, 1000000000);
	while (gm_mem_recv(net, NULL, &got)) {
		uint32_t v[2];

		memcpy(v, got.data, sizeof(v));
		if (v[0] != ~v[1]) {
			n[2]++;
			continue;
		}
		n[0] += seen[v[0]] == 0;
		n[1] += seen[v[0]]++ != 0;
		n[3] += v[0] < last;
		last = v[0];
	}
	gm_mem_net_free(net);
}

Test(mem, loses_repeats_damages_and_reorders_as_often_as_asked)
{
	unsigned n[4] = {0};

	count(1, &(struct gm_mem_faults){.loss = 100000}, n);
	cr_expect(n[0] > 8800 && n[0] < 9200 && n[1] + n[2] + n[3] == 0, "%u", n[0]);
	memset(n, 0, sizeof(n));
	count(1, &(struct gm_mem_faults){.dup = 100000}, n);
	cr_expect(n[0] == 10000 && n[1] > 800 && n[1] < 1200 && n[2] + n[3] == 0, "%u", n[1]);
	memset(n, 0, sizeof(n));
	count(1, &(struct gm_mem_faults){.corrupt = 100000}, n);
	cr_expect(n[2] > 800 && n[2] < 1200 && n[0] + n[2] == 10000, "%u", n[2]);
	memset(n, 0, sizeof(n));
	count(1, &(struct gm_mem_faults){.late = 100000, .late_ns = 1500}, n);
	cr_expect(n[0] == 10000 && n[3] > 700 && n[3] < 1200, "%u", n[3]);
}

Test(mem, does_the_same_for_the_same_seed)
{
	struct gm_mem_faults f = {
	    .loss = 50000, .dup = 50000, .corrupt = 50000, .late = 50000, .late_ns = 5000, .jitter_ns = 3000};
	unsigned a[4] = {0}, b[4] = {0}, c[4] = {0};

	count(7, &f, a);
	count(7, &f, b);
	count(8, &f, c);
	cr_expect_arr_eq(a, b, sizeof(a));
	cr_expect_arr_neq(a, c, sizeof(a));
}

Test(mem, moves_the_clock_to_what_is_due_when_one_thread_waits)
{
	struct gm_mem_net *net =
	    gm_mem_net_new(&(struct gm_mem_config){.wait_steps = true, .faults = {.delay_ns = 500}});
	struct gm_port *port = attach(net, "[::1]:5683", 4);
	struct gm_addr member = addr("[::2]:7"), gm = addr("[::1]:5683");
	uint64_t start = ops->now_ns(port);
	struct gm_dgram d;

	gm_mem_send(net, &member, &gm, "x", 1);
	cr_expect_eq(ops->rx_burst(port, &d, 1), 0);
	ops->wait(port, 1000);
	cr_expect_eq(ops->now_ns(port), start + 500);
	cr_expect_eq(ops->rx_burst(port, &d, 1), 1);
	ops->rx_put(port, &d, 1);
	ops->wait(port, 1000);
	cr_expect_eq(ops->now_ns(port), start + 1500);
	ops->close(port);
	gm_mem_net_free(net);
}

Test(mem, gives_a_peer_always_to_the_same_of_two_ports_on_one_address)
{
	struct gm_mem_net *net = calm();
	struct gm_port *port[2] = {attach(net, "[::1]:5683", 64), attach(net, "[::1]:5683", 64)};
	struct gm_addr member = addr("[::2]:0"), gm = addr("[::1]:5683");
	struct gm_dgram d[64];
	unsigned n[2];

	for (unsigned i = 0; i < 42; i++) {
		member.port = (uint16_t)(1 + i % 21);
		gm_mem_send(net, &member, &gm, "x", 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		unsigned seen[22] = {0};

		n[i] = ops->rx_burst(port[i], d, 64);
		for (unsigned k = 0; k < n[i]; k++)
			seen[d[k].peer.port]++;
		for (unsigned k = 0; k < 22; k++)
			cr_expect(seen[k] == 0 || seen[k] == 2);
	}
	cr_expect(n[0] && n[1] && n[0] + n[1] == 42);
	ops->close(port[0]);
	ops->close(port[1]);
	gm_mem_net_free(net);
}

static void *echo(void *arg)
{
	struct gm_port *port = arg;
	struct gm_dgram in[16], out;

	for (;;) {
		unsigned n = ops->rx_burst(port, in, 16);

		for (unsigned i = 0; i < n; i++) {
			cr_assert_eq(ops->tx_get(port, &out, 1), 1);
			out.len = in[i].len;
			out.peer = in[i].peer;
			memcpy(out.data, in[i].data, in[i].len);
			cr_assert_eq(ops->tx_burst(port, &out, 1), 1);
		}
		ops->rx_put(port, in, n);
		if (n == 0) {
			uint64_t before = ops->now_ns(port);

			ops->wait(port, UINT64_MAX);
			if (ops->now_ns(port) >= 60000000000u && before)
				return NULL;
		}
	}
}

Test(mem, serves_a_worker_thread_and_tells_when_it_sleeps, .timeout = 120)
{
	struct gm_mem_net *net = gm_mem_net_new(&(struct gm_mem_config){.faults = {.delay_ns = 1000}});
	struct gm_port *port = attach(net, "[::1]:5683", 64);
	struct gm_addr member = addr("[::2]:7"), gm = addr("[::1]:5683");
	struct gm_mem_dgram got;
	unsigned back = 0;
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, echo, port), 0);
	for (unsigned i = 0; i < 200; i++) {
		gm_mem_send(net, &member, &gm, &i, sizeof(i));
		gm_mem_step(net, 1000);
		while (!gm_mem_quiet(net))
			sched_yield();
		gm_mem_step(net, 1000);
		back += gm_mem_recv(net, &member, &got) && memcmp(got.data, &i, sizeof(i)) == 0;
	}
	cr_expect_eq(back, 200);
	while (!gm_mem_quiet(net))
		sched_yield();
	gm_mem_step(net, 60000000000u);
	ops->wake(port);
	pthread_join(t, NULL);
	ops->close(port);
	gm_mem_net_free(net);
}
