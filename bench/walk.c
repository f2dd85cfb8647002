/* SPDX-License-Identifier: Apache-2.0 */
/* What a rekey costs a worker without a network: one worker, members that are only keys, and a port that answers what it is
 * given. The clock stands still in the port, so that what is left is ours: mirror, context, sealing, the box, and the answer
 * from parsing to the report. One line of JSON. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/order.h"
#include "gm/crypto.h"
#include "work/worker.h"

#define BUFS 256u
#define DATAGRAM 1472u
#define MEMBERS_MAX 65536u
#define QUEUE 8192u /* answers on their way, a power of two */
#define RUNS_MAX 101u
#define BODY 100u /* of the rekeying message */

struct answer_out {
	struct gm_addr peer;
	uint16_t n;
	uint8_t bytes[64];
};

struct bench {
	const struct gm_port_ops *ops; /* first: this is the port */
	struct gm_dp dp;
	uint32_t members, window;
	bool observe;
	struct gm_oscore_keys *keys; /* of members, theirs first */
	uint8_t tx[BUFS][DATAGRAM], rx[TURN_MAX][DATAGRAM]; /* a turn holds so many */
	uint32_t free[BUFS], free_n, rx_n, held;
	struct answer_out *queue;
	uint32_t head, tail; /* answered and taken */
	uint64_t in_port, confirmed, sent;
	double cycles[RUNS_MAX], in_walk[RUNS_MAX];
};

static uint64_t cycles(void)
{
	return __builtin_ia32_rdtsc();
}

/* ---- members */

static gm_ctx_id id_of(uint32_t i)
{
	return GM_CTX_ID(i % GM_SHARDS, i / GM_SHARDS, 1);
}

static uint32_t member_of(const struct gm_addr *peer)
{
	return (uint32_t)(peer->ip[13] << 16 | peer->ip[14] << 8 | peer->ip[15]);
}

static struct gm_addr addr_of(uint32_t i)
{
	struct gm_addr a = {.ip = {[10] = 0xff, [11] = 0xff, 127, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

	a.port = 5683;
	return a;
}

/* The ACK of a notification, or 2.04 under the context.                                RFC 8613 §8.3 */
static void lay_out(struct bench *b, const struct gm_dgram *d, struct answer_out *a, struct gm_oscore_scratch *s,
                    struct gm_aead_job *jobs, unsigned *jobs_n)
{
	static const uint8_t changed = GM_COAP(2, 4);
	struct gm_oscore_option option;
	struct gm_coap m;
	struct gm_out out = gm_out(a->bytes, sizeof(a->bytes));

	if (gm_coap_decode((struct gm_bytes){d->data, d->len}, &m) != GM_E_OK ||
	    gm_oscore_option_decode(m.oscore, &option) != GM_E_OK)
		abort();
	a->peer = d->peer;
	if (b->observe) {
		gm_coap_put_empty(&out, GM_COAP_ACK, m.mid);
	} else {
		struct gm_oscore_outer outer = {
		    .type = GM_COAP_ACK, .code = GM_COAP(2, 4), .mid = m.mid, .token_len = m.token_len};
		struct gm_oscore_request r = {.piv_n = option.piv_n};
		const struct gm_oscore_keys *keys = &b->keys[member_of(&d->peer)];
		memcpy(outer.token, m.token, m.token_len);
		memcpy(r.piv, option.piv, sizeof(r.piv));
		r.kid = keys->rid;
		if (gm_oscore_wrap(keys, &outer, &r, &r.kid, r.piv, r.piv_n, (struct gm_bytes){&changed, 1}, &out, &s[*jobs_n],
		                   &jobs[*jobs_n]) != GM_E_OK)
			abort();
		++*jobs_n;
	}
	a->n = (uint16_t)gm_out_len(&out);
}

/* ---- the port */

static struct bench *bench_of(const struct gm_port *port)
{
	return (struct bench *)(uintptr_t)port;
}

static unsigned tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct bench *b = bench_of(port);
	unsigned i = 0;

	for (; i < n && b->free_n; i++) {
		uint32_t buf = b->free[--b->free_n];
		d[i] = (struct gm_dgram){.data = b->tx[buf], .cap = DATAGRAM, .buf = buf};
	}
	return i;
}

static void tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct bench *b = bench_of(port);

	for (unsigned i = 0; i < n; i++)
		b->free[b->free_n++] = d[i].buf;
}

static unsigned tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct bench *b = bench_of(port);
	uint64_t begin = cycles();
	struct gm_oscore_scratch scratch[GM_PORT_BURST];
	struct gm_aead_job jobs[GM_PORT_BURST];
	unsigned jobs_n = 0;

	for (unsigned i = 0; i < n; i++)
		lay_out(b, &d[i], &b->queue[b->tail++ % QUEUE], scratch, jobs, &jobs_n);
	if (jobs_n && gm_aead_seal_many(jobs, jobs_n) != UINT64_MAX >> (GM_BATCH_MAX - jobs_n))
		abort();
	tx_put(port, d, n);
	b->sent += n;
	b->in_port += cycles() - begin;
	return n;
}

static unsigned rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct bench *b = bench_of(port);
	uint64_t begin = cycles();
	uint32_t hold = b->sent < b->members ? b->window : 0;
	unsigned got = 0;

	for (; got < n && b->tail - b->head > hold; got++) {
		const struct answer_out *a = &b->queue[b->head++ % QUEUE];
		uint8_t *to = b->rx[b->rx_n++];
		memcpy(to, a->bytes, a->n);
		d[got] = (struct gm_dgram){.data = to, .len = a->n, .cap = DATAGRAM, .peer = a->peer, .local = addr_of(1)};
	}
	b->held += got;
	b->in_port += cycles() - begin;
	return got;
}

static void rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct bench *b = bench_of(port);

	(void)d;
	b->held -= n;
	if (!b->held)
		b->rx_n = 0; /* the same again, which are in the caches */
}

static uint64_t now_ns(struct gm_port *port)
{
	struct timespec t;

	(void)port;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void stats(const struct gm_port *port, struct gm_port_stats *s)
{
	(void)port;
	*s = (struct gm_port_stats){0};
}

static void close_port(struct gm_port *port)
{
	(void)port;
}

static const struct gm_port_ops answering = {
	.name = "answering", .tx_get = tx_get, .tx_burst = tx_burst, .tx_put = tx_put, .rx_burst = rx_burst, .rx_put = rx_put,
	.now_ns = now_ns, .stats = stats, .close = close_port,
};

/* ---- core, as far as it is needed */

static struct worker *worker(struct bench *b)
{
	return b->dp.worker[0];
}

static void take_events(struct bench *b)
{
	const struct gm_rec *rec;

	while ((rec = gm_dp_event(&b->dp, 0))) {
		if (rec->type == GM_EV_DELIVERED) {
			const struct gm_ev_delivered *ev = (const void *)rec;
			for (uint32_t i = 0; i < ev->n; i++)
				b->confirmed += ev->item[i].fate == GM_FATE_CONFIRMED;
		}
		gm_dp_event_done(&b->dp, 0);
	}
}

static void effect(struct bench *b, const void *rec)
{
	const struct gm_rec *head = rec;

	if (gm_dp_effects(&b->dp, 0, rec, (head->len + 7u) & ~7u) == 0)
		abort();
	gm_worker_turn(worker(b));
}

#define EFFECT(name, ...) \
	(struct gm_eff_##name) \
	{ \
		.rec = {.type = __VA_ARGS__, .len = sizeof(struct gm_eff_##name)} \
	}

static void add_member(struct bench *b, uint32_t i)
{
	struct { struct gm_eff_member e; char path[8]; } m = {.path = "gm/g1"};
	struct gm_eff_ctx c = EFFECT(ctx, GM_EFF_CTX);
	struct gm_oscore_keys *k = &b->keys[i];

	gm_random(k, sizeof(*k));
	k->alg = 10;
	k->sid = (struct gm_oscore_id){4, {(uint8_t)(id_of(i) >> 24), (uint8_t)(id_of(i) >> 16), (uint8_t)(id_of(i) >> 8), (uint8_t)id_of(i)}};
	k->rid.n = (uint8_t)(1 + i % 3);
	c.op = GM_CTX_LOAD;
	c.save.id = id_of(i);
	c.save.alg = k->alg;
	memcpy(c.save.send_key, k->recv_key, sizeof(c.save.send_key));
	memcpy(c.save.recv_key, k->send_key, sizeof(c.save.recv_key));
	memcpy(c.save.common_iv, k->common_iv, sizeof(c.save.common_iv));
	c.save.sid_n = k->rid.n;
	memcpy(c.save.sid, k->rid.b, sizeof(c.save.sid));
	c.save.peer = addr_of(i);
	c.save.local = addr_of(1);
	effect(b, &c);
	m.e = EFFECT(member, GM_EFF_MEMBER);
	m.e.rec.len = sizeof(m);
	m.e.ctx = id_of(i);
	m.e.slot = i;
	m.e.version = 1;
	m.e.sid_n = 2;
	m.e.delivery = b->observe ? GM_DELIVER_OBSERVE : GM_DELIVER_POST;
	m.e.obs[GM_OBS_GROUP] = (struct gm_observation){.on = b->observe, .token_n = 4, .piv_n = 1, .piv = {1}};
	m.e.control_port = 5683;
	m.e.control_path = (struct gm_slice){sizeof(m.e), 5};
	effect(b, &m);
}

static void set_version(struct bench *b, uint64_t version)
{
	struct gm_eff_group g = EFFECT(group, GM_EFF_GROUP);

	g.view.version = version;
	g.view.gen = 1;
	g.view.name_n = 2;
	memcpy(g.view.name, "g1", 2);
	effect(b, &g);
}

static void fill(struct bench *b)
{
	struct gm_rec ready = {.type = GM_EFF_READY, .len = sizeof(ready)};
	struct gm_eff_lease lease = EFFECT(lease, GM_EFF_LEASE);

	for (lease.shard = 0; lease.shard < GM_SHARDS; lease.shard++) {
		lease.until = UINT32_MAX;
		lease.boot = 1;
		effect(b, &lease);
	}
	set_version(b, 1);
	for (uint32_t i = 0; i < b->members; i++)
		add_member(b, i);
	effect(b, &ready);
}

/* ---- runs */

static bool rekey(struct bench *b, unsigned run)
{
	struct { struct gm_eff_rekey e; uint8_t body[BODY]; } r = {.e = EFFECT(rekey, GM_EFF_REKEY)};
	uint64_t version = run + 2, end = now_ns(NULL) + 10000000000u;

	set_version(b, version);
	r.e.rec.len = sizeof(r);
	r.e.version = version;
	r.e.body_post = r.e.body_obs = (struct gm_slice){sizeof(r.e), BODY};
	if (gm_dp_effects(&b->dp, 0, (const uint8_t *)&r, (sizeof(r) + 7u) & ~(size_t)7) == 0)
		abort();
	b->confirmed = b->sent = b->in_port = 0;
	uint64_t used = 0;
	while (b->confirmed < b->members && now_ns(NULL) < end) {
		uint64_t begin = cycles();
		gm_worker_turn(worker(b));
		used += cycles() - begin;
		take_events(b);
	}
	b->cycles[run] = (double)(used - b->in_port) / b->members;
	return b->confirmed == b->members && b->sent == b->members;
}

static int usage(void)
{
	fputs("usage: bench_walk [-n MEMBERS] [-w WINDOW] [-r RUNS] [-o]\n"
	      "\n"
	      "A rekey of MEMBERS, WINDOW of them unanswered, without a network. -o: notifications in place of POSTs.\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct bench b = {.ops = &answering, .members = MEMBERS_MAX, .window = 512};
	unsigned runs = 11;

	for (int c; (c = getopt(argc, argv, "n:w:r:o")) != -1;)
		switch (c) {
		case 'n': b.members = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'w': b.window = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'r': runs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o': b.observe = true; break;
		default: return usage();
		}
	if (optind < argc || !b.members || b.members > MEMBERS_MAX || b.window > QUEUE - 2 * GM_PORT_BURST || !runs || runs > RUNS_MAX)
		return usage();
	b.keys = calloc(b.members, sizeof(*b.keys));
	b.queue = calloc(QUEUE, sizeof(*b.queue));
	for (uint32_t i = 0; i < BUFS; i++)
		b.free[b.free_n++] = i;
	b.dp.config = (struct gm_dp_config){.port = &answering, .workers = 1, .contexts_max = b.members, .ack_timeout_ms = 2000,
	                                    .retransmit_max = 4};
	if (!b.keys || !b.queue || !gm_crypto_init() || !(b.dp.worker[0] = gm_worker_new(&b.dp, 0)))
		return 1;
	worker(&b)->port = (struct gm_port *)&b;
	gm_wheel_init(&worker(&b)->wheel, 4 * b.members + 4 * EXCHANGES_MAX, now_ns(NULL) / 1000000);
	fill(&b);
	for (unsigned run = 0; run < runs; run++)
		if (!rekey(&b, run)) {
			fprintf(stderr, "bench_walk: %llu sent, %llu confirmed\n", (unsigned long long)b.sent, (unsigned long long)b.confirmed);
			return 1;
		}
	qsort(b.cycles, runs, sizeof(b.cycles[0]), by_double);
	printf("{\"bench\":\"walk\",\"members\":%u,\"window\":%u,\"what\":\"%s\",\"runs\":%u,\"cycles\":%.0f,\"cycles_min\":%.0f,\"cycles_max\":%.0f}\n",
	       b.members, b.window, b.observe ? "observe" : "post", runs, b.cycles[runs / 2], b.cycles[0], b.cycles[runs - 1]);
	gm_worker_free(worker(&b));
	free(b.queue);
	free(b.keys);
	return 0;
}
