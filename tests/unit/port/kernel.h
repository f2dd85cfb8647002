/* SPDX-License-Identifier: Apache-2.0 */
/* What a port over kernel sockets has to do. A program defines PORT, the name of gm_port_PORT, and includes this. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "port/port.h"

#define MS 1000000u
#define S 1000000000u

#define OPS_(port) gm_port_##port
#define OPS(port) OPS_(port)
#define SENTENCE_(...) Test(__VA_ARGS__)
#define SENTENCE(...) SENTENCE_(PORT, __VA_ARGS__)

static const struct gm_port_ops *ops = &OPS(PORT);

static struct gm_port *open_port(const char *listen, unsigned bufs)
{
	struct gm_port_config c = {.listen = {addr(listen)}, .listen_n = 1, .rx_bufs = bufs, .tx_bufs = bufs};
	struct gm_port *port;

	cr_assert_eq(ops->open(&port, &c), GM_E_OK);
	return port;
}

static struct gm_port_stats stats_of(struct gm_port *port)
{
	struct gm_port_stats s;

	ops->stats(port, &s);
	return s;
}

static void say(struct gm_port *port, struct gm_addr local, struct gm_addr peer, const void *data, size_t n)
{
	struct gm_dgram d;

	cr_assert_eq(ops->tx_get(port, &d, 1), 1);
	memcpy(d.data, data, n);
	d.len = (uint16_t)n;
	d.local = local;
	d.peer = peer;
	cr_assert_eq(ops->tx_burst(port, &d, 1), 1);
}

/* Receive, which takes a moment on a machine that has others to do; false: nothing came. */
static bool hear(struct gm_port *port, struct gm_dgram *d)
{
	uint64_t end = ops->now_ns(port) + 30ull * S;

	while (ops->rx_burst(port, d, 1) == 0) {
		if (ops->now_ns(port) > end)
			return false;
		ops->wait(port, 10 * MS);
	}
	return true;
}

/* Until as many were cut off, which are not given out; what is sent on loopback may be heard only a moment later. */
static void truncates(struct gm_port *port, uint64_t n)
{
	uint64_t end = ops->now_ns(port) + 30ull * S;
	struct gm_dgram d;

	do {
		ops->wait(port, 10 * MS);
		cr_expect_eq(ops->rx_burst(port, &d, 1), 0);
	} while (stats_of(port).rx_truncated < n && ops->now_ns(port) < end);
	cr_assert_eq(stats_of(port).rx_truncated, n);
}

static bool says(const struct gm_dgram *d, const char *text)
{
	return d->len == strlen(text) && memcmp(d->data, text, d->len) == 0;
}

static void exchanges(const char *listen, const char *server)
{
	struct gm_port *a = open_port(listen, 64), *b = open_port(listen, 64);
	struct gm_addr none = {0}, to = addr(server);
	struct gm_dgram d;

	to.port = ops->bound(b, 0).port;
	cr_assert_neq(to.port, 0);
	say(a, none, to, "ask", 3);
	cr_assert(hear(b, &d));
	cr_expect(says(&d, "ask"));
	cr_expect(gm_addr_eq(&d.local, &to));
	cr_expect_eq(d.peer.port, ops->bound(a, 0).port);
	say(b, d.local, d.peer, "tell", 4);
	ops->rx_put(b, &d, 1);
	cr_assert(hear(a, &d));
	cr_expect(says(&d, "tell"));
	cr_expect(gm_addr_eq(&d.peer, &to));
	ops->rx_put(a, &d, 1);
	cr_expect(stats_of(a).tx == 1 && stats_of(a).rx == 1 && stats_of(a).tx_failed == 0);
	ops->close(a);
	ops->close(b);
}

SENTENCE(talks_over_ipv6)
{
	exchanges("::1", "::1");
}

SENTENCE(talks_over_ipv4)
{
	exchanges("127.0.0.1", "127.0.0.1");
}

SENTENCE(talks_both_from_one_wildcard_socket)
{
	exchanges("::", "::1");
	exchanges("::", "127.0.0.1");
}

SENTENCE(answers_from_the_address_it_was_asked_at)
{
	exchanges("::", "127.1.7.7");
	exchanges("0.0.0.0", "127.1.7.7");
}

SENTENCE(plays_many_members_from_one_wildcard_socket)
{
	struct gm_port *members = open_port("0.0.0.0", 64), *gm = open_port("127.0.0.1", 64);
	struct gm_addr to = ops->bound(gm, 0), member = addr("127.1.2.3");
	struct gm_dgram d;

	member.port = ops->bound(members, 0).port;
	for (uint8_t i = 0; i < 50; i++) {
		member.ip[14] = (uint8_t)(i * 5);
		member.ip[15] = (uint8_t)(i + 1);
		say(members, member, to, &i, 1);
		cr_assert(hear(gm, &d));
		cr_expect(gm_addr_eq(&d.peer, &member));
		cr_expect_eq(d.data[0], i);
		say(gm, d.local, d.peer, d.data, d.len);
		ops->rx_put(gm, &d, 1);
		cr_assert(hear(members, &d));
		cr_expect(gm_addr_eq(&d.local, &member));
		ops->rx_put(members, &d, 1);
	}
	ops->close(members);
	ops->close(gm);
}

SENTENCE(counts_a_send_that_the_kernel_refuses)
{
	struct gm_port *a = open_port("127.0.0.1", 4);
	struct gm_addr to = addr("127.0.0.1:9"), foreign = addr("192.0.2.1");
	struct gm_dgram d[4];

	for (unsigned i = 0; i < 9; i++)
		say(a, foreign, to, "x", 1);
	ops->wait(a, MS);
	cr_expect(stats_of(a).tx_failed == 9 && stats_of(a).tx == 0);
	cr_expect_eq(ops->tx_get(a, d, 4), 4);
	ops->tx_put(a, d, 4);
	ops->close(a);
}

SENTENCE(says_why_an_address_cannot_be_bound)
{
	struct gm_port_config c = {.listen = {addr("192.0.2.1:5683")}, .listen_n = 1};
	struct gm_port *port;

	cr_expect_eq(ops->open(&port, &c), GM_E_IO);
	cr_expect_eq(errno, EADDRNOTAVAIL);
}

SENTENCE(drops_and_counts_what_is_longer_than_a_buffer)
{
	struct gm_port *a = open_port("::1", 8);
	struct gm_addr to = ops->bound(a, 0);
	static uint8_t big[4000];
	struct gm_dgram d, out;

	cr_assert_eq(ops->tx_get(a, &out, 1), 1);
	out.data = big; /* longer than any buffer lent */
	out.len = sizeof(big);
	out.peer = to;
	for (unsigned i = 0; i < 20; i++) {
		cr_assert_eq(ops->tx_burst(a, &out, 1), 1);
		truncates(a, i + 1);
		cr_assert_eq(ops->tx_get(a, &out, 1), 1);
		out.data = big;
		out.len = sizeof(big);
		out.peer = to;
	}
	ops->tx_put(a, &out, 1);
	say(a, (struct gm_addr){0}, to, "short", 5);
	cr_assert(hear(a, &d));
	cr_expect(says(&d, "short"));
	ops->rx_put(a, &d, 1);
	ops->close(a);
}

SENTENCE(goes_on_after_its_buffers_ran_out)
{
	struct gm_port *a = open_port("::1", 64), *b = open_port("::1", 8);
	struct gm_addr none = {0}, to = ops->bound(b, 0);
	struct gm_dgram held[8], d;
	unsigned got = 0;

	for (uint8_t i = 0; i < 32; i++)
		say(a, none, to, &i, 1);
	while (got < 8) {
		ops->wait(b, 10 * MS);
		got += ops->rx_burst(b, held + got, 8 - got);
	}
	uint64_t end = ops->now_ns(b) + 30ull * S;
	do {
		ops->wait(b, MS);
		cr_expect_eq(ops->rx_burst(b, &d, 1), 0);
	} while (ops == &gm_port_uring && stats_of(b).rx_cut == 0 && ops->now_ns(b) < end);
	if (ops == &gm_port_uring)
		cr_expect_geq(stats_of(b).rx_cut, 1);
	ops->rx_put(b, held, 8);
	for (uint8_t i = 8; i < 32; i++) {
		cr_assert(hear(b, &d), "%u", i);
		cr_expect_eq(d.data[0], i);
		ops->rx_put(b, &d, 1);
	}
	ops->close(a);
	ops->close(b);
}

SENTENCE(lends_no_more_send_buffers_than_it_has)
{
	struct gm_port *a = open_port("::1", 8);
	struct gm_dgram d[16];

	cr_expect_eq(ops->tx_get(a, d, 16), 8);
	cr_expect_eq(ops->tx_get(a, d + 8, 1), 0);
	ops->tx_put(a, d, 8);
	cr_expect_eq(ops->tx_get(a, d, 1), 1);
	cr_expect_geq(d[0].cap, GM_DGRAM_TX_CAP);
	ops->tx_put(a, d, 1);
	ops->close(a);
}

SENTENCE(does_not_lose_a_wake_that_comes_before_the_wait)
{
	struct gm_port *a = open_port("::1", 8);
	struct gm_dgram d;
	uint64_t start = ops->now_ns(a);

	for (unsigned i = 0; i < 100; i++) {
		ops->wake(a);
		ops->wake(a);
		if (i & 1)
			cr_expect_eq(ops->rx_burst(a, &d, 1), 0);
		ops->wait(a, 60ull * S);
	}
	cr_expect_lt(ops->now_ns(a) - start, 50ull * S);
	start = ops->now_ns(a);
	ops->wait(a, 20 * MS); /* nothing left over */
	cr_expect_geq(ops->now_ns(a) - start, 20 * MS);
	ops->close(a);
}

static void *wake_later(void *arg)
{
	usleep(20000);
	ops->wake(arg);
	return NULL;
}

SENTENCE(wakes_from_another_thread, .timeout = 120)
{
	struct gm_port *a = open_port("::1", 8);
	pthread_t t;

	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(pthread_create(&t, NULL, wake_later, a), 0);
		ops->wait(a, UINT64_MAX);
		pthread_join(t, NULL);
	}
	ops->close(a);
}

SENTENCE(listens_on_several_addresses_and_answers_from_the_right_one)
{
	struct gm_port_config c = {.listen = {addr("127.0.0.1"), addr("::1"), addr("127.0.0.1")}, .listen_n = 3};
	struct gm_port *gm, *a = open_port("::", 8);
	struct gm_dgram d;

	cr_assert_eq(ops->open(&gm, &c), GM_E_OK);
	for (unsigned i = 0; i < 3; i++) {
		struct gm_addr to = ops->bound(gm, i);

		say(a, (struct gm_addr){0}, to, "ask", 3);
		cr_assert(hear(gm, &d));
		cr_expect(gm_addr_eq(&d.local, &to));
		say(gm, d.local, d.peer, "tell", 4);
		ops->rx_put(gm, &d, 1);
		cr_assert(hear(a, &d), "%u", i);
		cr_expect(gm_addr_eq(&d.peer, &to));
		ops->rx_put(a, &d, 1);
	}
	ops->close(a);
	ops->close(gm);
}

SENTENCE(may_be_opened_again_at_once_on_the_same_address)
{
	struct gm_port *a = open_port("::1", 8), *b = open_port("::1", 8);
	struct gm_port_config c = {.listen = {ops->bound(b, 0)}, .listen_n = 1};
	struct gm_dgram d;

	for (unsigned i = 0; i < 20; i++) {
		ops->close(b);
		cr_assert_eq(ops->open(&b, &c), GM_E_OK);
		say(a, (struct gm_addr){0}, c.listen[0], "x", 1);
		cr_assert(hear(b, &d), "%u", i);
		ops->rx_put(b, &d, 1);
	}
	ops->close(a);
	ops->close(b);
}

struct life { /* of a port in a worker's thread */
	struct gm_port_config config;
	struct gm_port *port;
	pthread_mutex_t lock;
	pthread_cond_t opened;
	_Atomic bool stop;
	_Atomic unsigned heard;
};

static void *live(void *arg)
{
	struct life *l = arg;
	struct gm_port *port;
	struct gm_dgram d;

	cr_assert_eq(ops->open(&port, &l->config), GM_E_OK);
	pthread_mutex_lock(&l->lock);
	l->port = port;
	pthread_cond_signal(&l->opened);
	pthread_mutex_unlock(&l->lock);
	while (!l->stop) {
		unsigned n = ops->rx_burst(port, &d, 1);

		l->heard += n;
		ops->rx_put(port, &d, n);
		if (n == 0)
			ops->wait(port, UINT64_MAX);
	}
	return NULL;
}

SENTENCE(may_be_closed_by_another_thread_once_its_own_has_ended, .timeout = 120)
{
	struct gm_port *a = open_port("::1", 8), *b = open_port("::1", 8);
	struct life l = {.config = {.listen = {ops->bound(b, 0)}, .listen_n = 1}};
	unsigned heard;
	pthread_t t;

	ops->close(b);
	pthread_mutex_init(&l.lock, NULL);
	pthread_cond_init(&l.opened, NULL);
	for (unsigned i = 0; i < 20; i++) {
		l.stop = false;
		l.port = NULL;
		cr_assert_eq(pthread_create(&t, NULL, live, &l), 0);
		pthread_mutex_lock(&l.lock);
		while (!l.port)
			pthread_cond_wait(&l.opened, &l.lock);
		pthread_mutex_unlock(&l.lock);
		heard = l.heard;
		for (unsigned k = 0; k < 3000 && l.heard == heard;
		     k++) { /* the port before may hold the address a little */
			say(a, (struct gm_addr){0}, l.config.listen[0], "x", 1);
			usleep(10000);
		}
		l.stop = true;
		ops->wake(l.port);
		pthread_join(t, NULL);
		ops->close(l.port);
		cr_assert_gt(l.heard, heard);
	}
	ops->close(a);
}

#define PINGS 10000u
#define WINDOW 64u

static unsigned echo(struct gm_port *port)
{
	struct gm_dgram in[WINDOW], out[WINDOW];
	unsigned n = ops->rx_burst(port, in, WINDOW), lent = ops->tx_get(port, out, n);

	cr_assert_eq(lent, n);
	for (unsigned i = 0; i < n; i++) {
		memcpy(out[i].data, in[i].data, in[i].len);
		out[i].len = in[i].len;
		out[i].peer = in[i].peer;
		out[i].local = in[i].local;
	}
	cr_assert_eq(ops->tx_burst(port, out, n), n);
	ops->rx_put(port, in, n);
	return n;
}

static void ask(struct gm_port *port, struct gm_addr to, uint32_t *next, unsigned n)
{
	struct gm_dgram d[WINDOW];

	if (n > PINGS - *next)
		n = PINGS - *next;
	cr_assert_eq(ops->tx_get(port, d, n), n);
	for (unsigned i = 0; i < n; i++) {
		memcpy(d[i].data, next, 4);
		d[i].len = 200;
		d[i].peer = to;
		(*next)++;
	}
	cr_assert_eq(ops->tx_burst(port, d, n), n);
}

SENTENCE(loses_none_of_ten_thousand_with_a_window_of_64, .timeout = 120)
{
	static uint8_t seen[PINGS];
	struct gm_port *a = open_port("::1", 256), *b = open_port("::1", 256);
	struct gm_addr to = ops->bound(b, 0);
	uint32_t next = 0, got = 0;

	ask(a, to, &next, WINDOW);
	while (got < PINGS) {
		struct gm_dgram d[WINDOW];
		unsigned n;

		echo(b);
		n = ops->rx_burst(a, d, WINDOW);
		for (unsigned i = 0; i < n; i++) {
			uint32_t v;

			memcpy(&v, d[i].data, 4);
			cr_assert(v < PINGS && seen[v]++ == 0);
		}
		ops->rx_put(a, d, n);
		ask(a, to, &next, n);
		got += n;
	}
	cr_expect_eq(stats_of(a).rx, PINGS);
	cr_expect_eq(stats_of(b).tx, PINGS);
	cr_expect_geq(stats_of(a).rcvbuf, 200000);
	ops->close(a);
	ops->close(b);
}

/* ---- handing over */

static struct gm_port *take_over(struct gm_port *from)
{
	int fd = dup(ops->socket(from, 0));
	struct gm_port_config c = {.listen = {ops->bound(from, 0)}, .listen_n = 1, .rx_bufs = 64, .tx_bufs = 64, .sockets = &fd};
	struct gm_port *port;

	cr_assert_eq(ops->open(&port, &c), GM_E_OK);
	return port;
}

SENTENCE(halted_gives_out_what_came_and_leaves_the_rest_to_the_next_one, .timeout = 120)
{
	struct gm_port *a = open_port("127.0.0.1:0", 64), *b = open_port("127.0.0.1:0", 64), *next = take_over(b);
	struct gm_addr none = {0}, to = ops->bound(b, 0);
	struct gm_dgram d;
	char text[16];
	unsigned got = 0;

	cr_expect(gm_addr_eq(&(struct gm_addr){.port = ops->bound(next, 0).port}, &(struct gm_addr){.port = to.port}));
	ops->rx_burst(b, &d, 1); /* it listens */
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%u", i);
		say(a, none, to, text, strlen(text));
		if (i == 9) {
			ops->wait(b, 10 * MS);
			ops->halt(b);
		}
	}
	ops->wait(next, 10 * MS);
	while (ops->rx_burst(b, &d, 1)) {
		snprintf(text, sizeof(text), "%u", got++);
		cr_expect(says(&d, text));
		ops->rx_put(b, &d, 1);
	}
	cr_expect_leq(got, 10u, "what came later is the next one's");
	for (; got < 20; got++) {
		cr_assert(hear(next, &d), "%u", got);
		snprintf(text, sizeof(text), "%u", got);
		cr_expect(says(&d, text));
		ops->rx_put(next, &d, 1);
	}
	cr_expect_eq(ops->rx_burst(b, &d, 1), 0u, "nor is anything taken later");
	ops->close(b);
	say(a, none, to, "still", 5);
	cr_expect(hear(next, &d) && says(&d, "still"), "the address stays");
	ops->close(a);
	ops->close(next);
}

SENTENCE(takes_nothing_from_passed_sockets_before_it_is_asked, .timeout = 120)
{
	struct gm_port *a = open_port("127.0.0.1:0", 64), *b = open_port("127.0.0.1:0", 64), *next = take_over(b);
	struct gm_dgram d;

	say(a, (struct gm_addr){0}, ops->bound(b, 0), "old", 3);
	uint64_t from = ops->now_ns(next);
	ops->wait(next, 50 * MS);
	cr_expect_geq(ops->now_ns(next) - from, 40 * MS, "and is not kept awake by it");
	cr_expect(hear(b, &d) && says(&d, "old"));
	ops->close(next);
	ops->close(a);
	ops->close(b);
}

SENTENCE(resumed_goes_on_as_before, .timeout = 120)
{
	struct gm_port *a = open_port("127.0.0.1:0", 64), *b = open_port("127.0.0.1:0", 64);
	struct gm_dgram d;

	ops->rx_burst(b, &d, 1);
	for (unsigned i = 0; i < 5; i++) {
		ops->halt(b);
		say(a, (struct gm_addr){0}, ops->bound(b, 0), "while", 5);
		cr_expect_eq(ops->rx_burst(b, &d, 1), 0u);
		ops->resume(b);
		cr_assert(hear(b, &d) && says(&d, "while"));
		ops->rx_put(b, &d, 1);
	}
	ops->close(a);
	ops->close(b);
}
