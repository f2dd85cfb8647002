/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: bare datagrams, as many and as long as members would send, through the same port, with no protocol and no
 * crypto: what bench/floor.c measures against. Each address is counted once. */
#include "load.h"

#include <stdlib.h>

#define BARE_MAX 1400
#define IDLE_MS 2000u /* nothing came for so long: the rest is lost */

struct bare {
	struct load *l;
	struct gm_dgram out[GM_PORT_BURST];
	unsigned out_n, have;
	uint16_t len;
	struct gm_addr server;
	uint8_t *seen; /* a bit for each address */
	uint32_t n, sent, answered, extra;
};

static void flush(struct bare *b)
{
	const struct gm_port_ops *ops = b->l->fleet.ops;
	struct gm_port *port = b->l->fleet.port;

	for (unsigned done = 0, n; done < b->out_n; done += n)
		if ((n = ops->tx_burst(port, b->out + done, b->out_n - done)) == 0)
			ops->wait(port, 1000000);
	if (b->have > b->out_n)
		ops->tx_put(port, b->out + b->out_n, b->have - b->out_n);
	b->out_n = b->have = 0;
}

static void say(struct bare *b, const struct gm_addr *from, const struct gm_addr *to)
{
	static const uint8_t text[BARE_MAX] = {0x62, 0x45};
	const struct gm_port_ops *ops = b->l->fleet.ops;

	if (b->out_n == b->have)
		flush(b);
	while (!b->have && !(b->have = ops->tx_get(b->l->fleet.port, b->out, GM_PORT_BURST)))
		ops->wait(b->l->fleet.port, 1000000);
	struct gm_dgram *d = &b->out[b->out_n++];
	memcpy(d->data, text, b->len);
	d->len = b->len;
	d->local = *from;
	d->peer = *to;
	b->sent++;
}

static struct gm_addr from_of(const struct bare *b, uint32_t i)
{
	struct gm_addr a = b->l->fleet.first;

	a.ip[14] = (uint8_t)(i >> 8);
	a.ip[15] = (uint8_t)i;
	return a;
}

/* true: for the first time in this round */
static bool count(struct bare *b, const struct gm_addr *local)
{
	uint32_t i = (uint32_t)(local->ip[14] << 8 | local->ip[15]), round = b->answered / 65536;

	bool again = (b->seen[i / 8] >> (i % 8) & 1) != (round & 1);
	if (again) {
		b->extra++;
		return false;
	}
	b->seen[i / 8] = (uint8_t)(b->seen[i / 8] ^ 1u << (i % 8));
	b->answered++;
	return true;
}

/* One burst in; who answers does so at once. */
static unsigned receive(struct bare *b, bool answers)
{
	struct gm_fleet *f = &b->l->fleet;
	struct gm_dgram d[GM_PORT_BURST];
	unsigned n = f->ops->rx_burst(f->port, d, GM_PORT_BURST);

	for (unsigned i = 0; i < n; i++) {
		f->traffic.rx++;
		if (count(b, &d[i].local) && answers)
			say(b, &d[i].local, &d[i].peer);
	}
	if (n)
		f->ops->rx_put(f->port, d, n);
	return n;
}

static bool begin(struct load *l, const struct words *c, json_t *result, struct bare *b)
{
	long len = load_number(load_operand(c, 0), 0), n = load_number(load_operand(c, 1), 0);

	*b = (struct bare){.l = l, .len = (uint16_t)len, .n = (uint32_t)n, .server = l->fleet.env.server};
	if (!l->fleet.v4 || len <= 0 || len > BARE_MAX || n <= 0)
		return load_complain(result, "bytes and count, on IPv4");
	b->seen = calloc(65536 / 8, 1);
	return b->seen != NULL;
}

static bool end(struct bare *b, json_t *result, uint64_t end_ns)
{
	load_put_int(result, "answered", b->answered);
	load_put_int(result, "repeated", b->extra);
	load_put_span(result, b->l, b->answered, end_ns);
	free(b->seen);
	return b->answered == b->n && !b->extra;
}

static void wait_for_more(struct bare *b, uint64_t *last)
{
	struct gm_fleet *f = &b->l->fleet;

	flush(b);
	f->ops->wait(f->port, 20000000);
	if (*last == 0)
		*last = load_now_ns(b->l);
}

/* Whoever is to send waits for this line: what came before is not answered. */
static void say_ready(void)
{
	puts("{\"command\":\"bare-answer\",\"ready\":true}");
	fflush(stdout);
}

/* bare-answer BYTES COUNT [--timeout S]: the clock begins with the first */
bool load_cmd_bare_answer(struct load *l, const struct words *c, json_t *result)
{
	struct bare b;
	if (!begin(l, c, result, &b))
		return false;
	say_ready();
	uint64_t patience = (uint64_t)load_number(load_option(c, "--timeout", "10"), 10) * 1000000000u, last = load_now_ns(l);

	while (b.answered < b.n && load_now_ns(l) - last < (b.answered ? IDLE_MS * 1000000ull : patience)) {
		bool first = b.answered == 0;
		if (first)
			load_begin(l);
		if (receive(&b, true))
			last = load_now_ns(l);
		else
			wait_for_more(&b, &last);
	}
	flush(&b);
	return end(&b, result, load_now_ns(l));
}

/* bare-ask BYTES COUNT --server IP:PORT [--open N] */
bool load_cmd_bare_ask(struct load *l, const struct words *c, json_t *result)
{
	struct bare b;
	uint32_t window = (uint32_t)load_number(load_option(c, "--open", "512"), 512);
	const char *server = load_option(c, "--server", NULL);
	if (!begin(l, c, result, &b))
		return false;
	if (server && !gm_addr_parse(&b.server, server))
		return load_complain(result, "bare-ask: --server IP:PORT");
	load_begin(l);
	uint64_t last = l->began_ns;

	while (b.answered < b.n && load_now_ns(l) - last < IDLE_MS * 1000000ull) {
		for (unsigned i = 0; i < GM_PORT_BURST && b.sent < b.n && b.sent - b.answered < window; i++) {
			struct gm_addr from = from_of(&b, b.sent);
			say(&b, &from, &b.server);
		}
		flush(&b);
		if (receive(&b, false))
			last = load_now_ns(l);
		else if (b.sent == b.n || b.sent - b.answered >= window)
			l->fleet.ops->wait(l->fleet.port, 20000000);
	}
	return end(&b, result, load_now_ns(l));
}
