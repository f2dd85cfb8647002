/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench/order.h"
#include "gm/dp.h"
#include "sockets.h"
#include "wire/cbor.h"

#define RETRY_MS 1000u
#define FAILURES_SHOWN 20u
#define PORTS_TRIED 100u
#define ADDRESS_STEP 4u /* of the second byte, after 65,536 members */
#define CACHE_LINE 64u

enum due_kind { DUE_EXCHANGE, DUE_RETRY, DUE_N };
struct gm_due {
	uint64_t at_ms;
	uint32_t index;
	uint32_t kind;
};

/* ---- series */

static void *grow(void *p, size_t *cap, size_t n, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 1024;
	p = realloc(p, *cap * size);
	if (!p) {
		perror("gmload");
		exit(1);
	}
	return p;
}

void gm_series_add(struct gm_series *s, uint64_t ns)
{
	s->ns = grow(s->ns, &s->cap, s->n, sizeof(*s->ns));
	s->ns[s->n++] = ns;
}

void gm_series_sort(struct gm_series *s)
{
	if (s->n)
		qsort(s->ns, s->n, sizeof(*s->ns), by_u64);
}

double gm_series_at(const struct gm_series *s, unsigned permille)
{
	if (!s->n)
		return 0;
	size_t at = (s->n * permille + 999) / 1000;
	return (double)s->ns[at ? at - 1 : 0] / 1e6;
}

void gm_series_free(struct gm_series *s)
{
	free(s->ns);
	*s = (struct gm_series){0};
}

/* ---- timers: a heap; an entry counts only while it says what the member's row says */

static void heap_push(struct gm_fleet *f, struct gm_due d)
{
	f->heap = grow(f->heap, &f->heap_cap, f->heap_n, sizeof(*f->heap));
	size_t i = f->heap_n++;
	for (; i && f->heap[(i - 1) / 2].at_ms > d.at_ms; i = (i - 1) / 2)
		f->heap[i] = f->heap[(i - 1) / 2];
	f->heap[i] = d;
}

static struct gm_due heap_pop(struct gm_fleet *f)
{
	struct gm_due top = f->heap[0], last = f->heap[--f->heap_n];
	size_t i = 0;
	for (size_t c = 1; c < f->heap_n; c = 2 * i + 1) {
		if (c + 1 < f->heap_n && f->heap[c + 1].at_ms < f->heap[c].at_ms)
			c++;
		if (f->heap[c].at_ms >= last.at_ms)
			break;
		f->heap[i] = f->heap[c];
		i = c;
	}
	f->heap[i] = last;
	return top;
}

static void set_due(struct gm_fleet *f, uint32_t index, enum due_kind kind, uint64_t at_ms)
{
	f->due[index * DUE_N + kind] = at_ms;
	if (at_ms)
		heap_push(f, (struct gm_due){at_ms, index, kind});
}

/* ---- what members ask of their surroundings */

static void flush_out(struct gm_fleet *f)
{
	unsigned done = 0;
	while (done < f->out_n) {
		unsigned n = f->ops->tx_burst(f->port, f->out + done, f->out_n - done);
		if (n == 0)
			f->ops->wait(f->port, 1000000); /* the kernel is behind: let completions come */
		done += n;
	}
	if (f->out_have > f->out_n)
		f->ops->tx_put(f->port, f->out + f->out_n, f->out_have - f->out_n);
	f->out_n = f->out_have = 0;
}

static bool unlucky(struct gm_fleet *f)
{
	if (!f->loss)
		return false;
	f->chance = f->chance * 6364136223846793005u + 1442695040888963407u;
	bool drop = (uint32_t)(f->chance >> 32) < f->loss;
	f->traffic.dropped += drop;
	return drop;
}

static void on_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct gm_fleet *f = arg;
	if (unlucky(f))
		return;
	if (f->out_n == f->out_have) {
		flush_out(f);
		while ((f->out_have = f->ops->tx_get(f->port, f->out, GM_PORT_BURST)) == 0)
			f->ops->wait(f->port, 1000000);
	}
	struct gm_dgram *d = &f->out[f->out_n];
	if (n > d->cap)
		return;
	f->out_n++;
	f->traffic.tx++;
	f->traffic.tx_bytes += n;
	memcpy(d->data, p, n);
	d->len = (uint16_t)n;
	d->peer = *to;
	d->local = m->addr;
}

static void on_timer(void *arg, struct gm_member *m, uint64_t at_ms)
{
	set_due(arg, m->index, DUE_EXCHANGE, at_ms);
}

static void put_hex(FILE *file, const char *name, const uint8_t *p, size_t n)
{
	fprintf(file, "\"%s\":\"", name);
	for (size_t i = 0; i < n; i++)
		fprintf(file, "%02x", p[i]);
	fprintf(file, "\",");
}

/* How a Join or Leave ended, code 0: without an answer. By CLOCK_MONOTONIC it was asked for at began_ns, and the answer was here at
 * at_ns. */
static void write_ack(struct gm_fleet *f, const struct gm_member *m, const char *what, uint8_t code, uint64_t took_ns)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	fprintf(f->acks, "{\"what\":\"%s\",\"code\":%u,\"time\":%lld.%03ld,\"began_ns\":%llu,\"at_ns\":%llu,\"member\":%u,\"group\":\"%s\",\"node\":\"%s\",",
	        what, code, (long long)now.tv_sec, now.tv_nsec / 1000000, (unsigned long long)(f->env.now_ns - took_ns),
	        (unsigned long long)f->env.now_ns, m->index, f->groups[m->group].name, m->node);
	put_hex(f->acks, "sid", m->sid, m->sid_n);
	put_hex(f->acks, "gid", m->joined_gid, m->joined_gid_n);
	fprintf(f->acks, "\"version\":%llu,\"rejoin\":%s}\n", (unsigned long long)m->joined_version,
	        m->rejoined ? "true" : "false");
	fflush(f->acks);
}

static void write_keys(struct gm_fleet *f, const struct gm_member *m)
{
	fprintf(f->acks, "{\"what\":\"keys\",\"at_ns\":%llu,\"group\":\"%s\",\"version\":%llu}\n", (unsigned long long)f->env.now_ns,
	        f->groups[m->group].name, (unsigned long long)m->keys.version);
	fflush(f->acks);
}

static bool worth_retrying(uint8_t code)
{
	return code == 0 || code == GM_COAP(5, 3) || code == GM_COAP(4, 29) || code == GM_COAP(4, 1);
}

static uint32_t us_since(const struct gm_fleet *f, uint64_t ns)
{
	return (uint32_t)((f->env.now_ns - ns) / 1000);
}

static void log_event(struct gm_fleet *f, enum gm_fleet_event_kind kind, struct gm_fleet_begun since)
{
	struct gm_fleet_log *log = &f->log;
	if (!log->on)
		return;
	log->events = grow(log->events, &log->cap, log->n, sizeof(*log->events));
	log->events[log->n++] = (struct gm_fleet_event){
	    .at_ns = f->env.now_ns, .took_us = us_since(f, since.first_ns), .last_us = us_since(f, since.last_ns), .kind = kind};
}

/* Max-Age is obeyed, and as it says seconds, some part of one is added. */
static uint64_t retry_ms(const struct gm_member *m, uint8_t code)
{
	if (code != GM_COAP(5, 3) || !m->later_s)
		return RETRY_MS;
	return 1000u * m->later_s + (m->index * 2654435761u + m->tries * 97u) % 1000u;
}

static void run_member_done(struct gm_fleet *f, struct gm_member *m, uint8_t code)
{
	if (code == GM_COAP(4, 1) && m->state != GM_MEMBER_EVICTED)
		m->has_context = false; /* the context is gone: the token has to be posted again */
	unsigned tries = m->paced && f->pace.tries ? f->pace.tries : f->run.tries;
	if (code >> 5 != 2 && worth_retrying(code) && m->tries < tries && !(f->stop && f->stop(f->stop_arg))) {
		m->tries++;
		set_due(f, m->index, DUE_RETRY, f->env.now_ns / 1000000u + retry_ms(m, code));
		return;
	}
	m->counted = false;
	m->last_code = code;
	f->run.active--;
	f->run.left -= !m->paced;
	log_event(f, code >> 5 != 2 ? GM_FLEET_LOST : m->paced ? GM_FLEET_PACED : GM_FLEET_DONE, f->begun[m->index]);
	m->paced = false;
	if (code >> 5 == 2)
		f->run.ok++;
	else
		f->run.failed++;
}

static void on_done(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took_ns)
{
	struct gm_fleet *f = arg;
	f->answers[op][code]++;
	if ((op == GM_OP_JOIN || op == GM_OP_LEAVE) && code == 0)
		m->unsure = true; /* it may have been carried out all the same */
	else if (op == GM_OP_JOIN && code >> 5 == 2)
		m->unsure = false;
	if (code >> 5 == 2)
		gm_series_add(&f->took[op], took_ns);
	if ((op == GM_OP_JOIN || op == GM_OP_LEAVE) && f->acks)
		write_ack(f, m, op == GM_OP_JOIN ? "join" : "leave", code, took_ns);
	if (m->counted && m->plan == 0)
		run_member_done(f, m, code);
}

void gm_fleet_write_context(FILE *file, const struct gm_fleet *f, const struct gm_fleet_context *c)
{
	char addr[GM_ADDR_TEXT];
	fputc('{', file);
	put_hex(file, "kid", c->kid.b, c->kid.n);
	put_hex(file, "id1", c->id1.b, c->id1.n);
	fprintf(file, "\"id_context\":null,");
	put_hex(file, "ms", c->ms, sizeof(c->ms));
	put_hex(file, "salt", c->salt, c->salt_n);
	fprintf(file, "\"alg\":%u,\"hkdf\":%u,\"member\":%u,\"addr\":\"%s\"}\n", c->alg, c->hkdf, c->index,
	        gm_addr_text(&f->members[c->index].addr, addr));
}

static void on_context(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt)
{
	struct gm_fleet *f = arg;
	f->contexts = grow(f->contexts, &f->contexts_cap, f->contexts_n, sizeof(*f->contexts));
	struct gm_fleet_context *c = &f->contexts[f->contexts_n++];
	*c = (struct gm_fleet_context){.index = m->index, .kid = m->oscore.sid, .id1 = m->oscore.rid};
	memcpy(c->ms, ms.p, sizeof(c->ms));
	c->salt_n = (uint8_t)salt.n;
	c->alg = m->oscore.alg;
	c->hkdf = m->osc_hkdf ? m->osc_hkdf : GM_HKDF_SHA_256;
	memcpy(c->salt, salt.p, salt.n);
	if (f->keys) {
		gm_fleet_write_context(f->keys, f, c);
		fflush(f->keys);
	}
}

/* All members of a group hold the same keys under the same version. */
static void on_installed(void *arg, struct gm_member *m)
{
	struct gm_fleet *f = arg;
	if (m->group == f->watch_group && m->keys.version == f->watch_version && m->how != GM_HOW_JOIN) {
		f->installed_n++;
		log_event(f, GM_FLEET_KEYS, (struct gm_fleet_begun){f->env.now_ns, f->env.now_ns});
	}
	struct gm_member_keys *known = &f->versions[m->group][m->keys.version % GM_FLEET_VERSIONS];
	if (known->ms_n == 0 || known->version < m->keys.version) {
		*known = m->keys;
		if (f->acks)
			write_keys(f, m);
	} else if (known->version == m->keys.version && memcmp(known, &m->keys, sizeof(*known)) != 0)
		gm_fleet_fail(f, m, "members of one group hold different keys under one version");
}

static void on_failed(void *arg, struct gm_member *m, const char *reason)
{
	gm_fleet_fail(arg, m, reason);
}

void gm_fleet_fail(struct gm_fleet *f, const struct gm_member *m, const char *reason)
{
	if (f->checks_failed++ >= FAILURES_SHOWN)
		return;
	if (m)
		fprintf(stderr, "check failed: member %u (%s/%s): %s\n", m->index, f->groups[m->group].name,
		        m->node_n ? m->node : "-", reason);
	else
		fprintf(stderr, "check failed: %s\n", reason);
}

/* ---- life */

/* uring serves one socket for all members; a socket per member needs the plain ones */
static const struct gm_port_ops *find_port(const char *name, bool v4, struct gm_dpdk_config *dpdk)
{
	static char why[GM_WHY];

	if (strncmp(name, "dpdk:", 5) == 0) {
		*dpdk = (struct gm_dpdk_config){.args = name + 5, .interface = ""};
		const struct gm_port_ops *ops = v4 ? gm_port_dpdk_load(why) : NULL;
		if (!ops)
			fprintf(stderr, "gmload: %s\n", v4 ? why : "dpdk: for members with IPv4 addresses only");
		return ops;
	}
	return v4 && strcmp(name, gm_port_uring.name) == 0 ? &gm_port_uring : &gm_port_sockets;
}

/* Ports of dataplane/ share an address with others of the same user; members must not. The first free port from here.
 */
static uint16_t free_port(const struct gm_port_config *config, unsigned sockets)
{
	struct gm_port_config probe = *config;
	struct gm_port *port;
	probe.arg = &sockets;
	for (unsigned i = 0; i < PORTS_TRIED && probe.listen[0].port; i++, probe.listen[0].port++)
		if (gm_port_sockets.open(&port, &probe) == GM_E_OK) {
			gm_port_sockets.close(port);
			return probe.listen[0].port;
		}
	return 0;
}

static enum gm_err open_port(struct gm_fleet *f, struct gm_port_config *config, struct gm_dpdk_config *dpdk)
{
	if (dpdk->args)
		config->arg = dpdk;
	enum gm_err err = f->ops->open(&f->port, config);
	if (err != GM_E_OK && f->ops == &gm_port_uring) { /* io_uring may be forbidden */
		f->ops = &gm_port_sockets;
		err = f->ops->open(&f->port, config);
	}
	return err;
}

enum gm_err gm_fleet_open(struct gm_fleet *f, const struct gm_addr *server, uint16_t port, uint32_t capacity,
                          const char *port_name)
{
	struct gm_addr from = *server;
	if (memcmp(server->ip, (const uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12) == 0)
		from.ip[12] = 127, from.ip[13] = 1;
	return gm_fleet_open_from(f, server, &from, port, capacity, port_name);
}

/* In pages of 2 MiB where there are some: else each datagram's member is in a page that the processor does not know any more. */
static struct gm_member *make_members(size_t n)
{
	struct gm_member *m = calloc(n, sizeof(*m));
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = -(uintptr_t)m % page, all = n * sizeof(*m);

	if (m && all > before)
		(void)madvise((char *)m + before, all - before, MADV_HUGEPAGE);
	return m;
}

enum gm_err gm_fleet_open_from(struct gm_fleet *f, const struct gm_addr *server, const struct gm_addr *from, uint16_t port,
                               uint32_t capacity, const char *port_name)
{
	static const uint8_t v4_any[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	*f = (struct gm_fleet){.capacity = capacity, .watch_group = -1};
	f->v4 = memcmp(server->ip, v4_any, 12) == 0;
	if (!f->v4 && f->capacity > GM_SOCKETS_MAX)
		f->capacity = GM_SOCKETS_MAX;
	f->env = (struct gm_member_env){.arg = f,
	                                .send = on_send,
	                                .timer = on_timer,
	                                .done = on_done,
	                                .context = on_context,
	                                .installed = on_installed,
	                                .failed = on_failed,
	                                .server = *server,
	                                .groups = f->groups,
	                                .gather = true};
	f->members = make_members(f->capacity);
	f->due = calloc(f->capacity * DUE_N, sizeof(*f->due));
	f->begun = calloc(f->capacity, sizeof(*f->begun));
	f->ready = calloc(GM_BATCH_MAX, sizeof(*f->ready));
	if (!f->members || !f->due || !f->begun || !f->ready)
		return GM_E_NO_MEMORY;
	GM_TRY(gm_member_env_init(&f->env));
	unsigned sockets = f->v4 ? 1 : f->capacity;
	struct gm_port_config config = {.listen_n = 1, .arg = &sockets};
	struct gm_dpdk_config dpdk = {0};
	f->ops = find_port(port_name, f->v4, &dpdk);
	if (!f->ops)
		return GM_E_IO;
	memcpy(config.listen[0].ip, f->v4 ? v4_any : from->ip, 16);
	config.listen[0].port = port;
	config.listen[0].port = free_port(&config, sockets);
	f->first = config.listen[0];
	if (f->v4)
		memcpy(f->first.ip + 12, from->ip + 12, 2);
	if (config.listen[0].port == 0 || open_port(f, &config, &dpdk) != GM_E_OK) {
		const char *why = gm_port_why(f->ops);
		fprintf(stderr, "gmload: port %u cannot be opened: %s\n", port, why[0] ? why : strerror(errno));
		return GM_E_IO;
	}
	f->env.now_ns = f->ops->now_ns(f->port);
	return GM_E_OK;
}

void gm_fleet_close(struct gm_fleet *f)
{
	gm_member_flush(&f->env);
	flush_out(f);
	f->ops->close(f->port);
	for (uint32_t i = 0; i < f->members_n; i++) {
		free(f->members[i].token);
		free(f->members[i].update);
		gm_member_clear(&f->members[i]);
	}
	for (unsigned op = 0; op < GM_OP_N; op++)
		gm_series_free(&f->took[op]);
	gm_member_env_free(&f->env);
	gm_wipe(f->ready, GM_BATCH_MAX * sizeof(*f->ready));
	free(f->ready);
	free(f->members);
	free(f->due);
	free(f->begun);
	free(f->log.events);
	free(f->heap);
	free(f->contexts);
}

int gm_fleet_group(struct gm_fleet *f, const char *name)
{
	unsigned i;
	for (i = 0; i < f->env.groups_n; i++)
		if (strcmp(f->groups[i].name, name) == 0)
			return (int)i;
	if (i == GM_FLEET_GROUPS || strlen(name) > GM_GROUP_NAME_MAX)
		return -1;
	memcpy(f->groups[i].name, name, strlen(name) + 1);
	f->env.groups_n++;
	return (int)i;
}

/* 127.1.0.0 and on, then 127.5.0.0: with the other bit of gm_fleet_move no two are the same */
static struct gm_addr address_of(const struct gm_fleet *f, uint32_t index)
{
	struct gm_addr addr = f->first;
	if (f->v4) {
		addr.ip[13] = (uint8_t)(addr.ip[13] + ADDRESS_STEP * (index >> 16));
		addr.ip[14] = (uint8_t)(index >> 8);
		addr.ip[15] = (uint8_t)index;
	} else {
		addr.port = (uint16_t)(addr.port + index);
	}
	return addr;
}

static const struct gm_identity *next_identity(struct gm_fleet *f)
{
	if (!f->ready_n) {
		gm_identities_make(f->ready, GM_BATCH_MAX);
		f->ready_n = GM_BATCH_MAX;
	}
	return &f->ready[--f->ready_n];
}

struct gm_member *gm_fleet_add(struct gm_fleet *f, const struct gm_askey *as, int group, uint8_t roles, bool post,
                               int64_t exp)
{
	uint8_t scope_bytes[128];
	struct gm_minted minted;
	struct gm_out scope = gm_out(scope_bytes, sizeof(scope_bytes));
	uint32_t index = f->members_n;
	if (index == f->capacity)
		return NULL;
	gm_cbor_put_array(&scope, 1);
	gm_scope_put(&scope, f->groups[group].name, roles);
	struct gm_mint what = {.scope = gm_out_result(&scope),
	                       .exp = exp,
	                       .nbf = -1,
	                       .exi = -1,
	                       .osc_alg = f->osc_alg,
	                       .osc_hkdf = f->osc_hkdf};
	if (gm_askey_mint_as(&minted, as, &what) != GM_E_OK)
		return NULL;
	struct gm_addr addr = address_of(f, index);
	struct gm_member *m = &f->members[index];
	gm_member_init_with(m, index, &addr, (uint16_t)group, roles, post, next_identity(f));
	m->token = malloc(minted.token_n);
	if (!m->token)
		return NULL;
	memcpy(m->token, minted.token, minted.token_n);
	m->token_n = (uint16_t)minted.token_n;
	memcpy(m->osc_id, minted.osc_id, sizeof(m->osc_id));
	memcpy(m->token_ms, minted.ms, sizeof(m->token_ms));
	memcpy(m->token_salt, minted.salt, sizeof(m->token_salt));
	m->osc_alg = f->osc_alg;
	m->osc_hkdf = f->osc_hkdf;
	f->members_n++;
	return m;
}

void gm_fleet_move(struct gm_member *m)
{
	m->addr.ip[13] ^= 3;
}

bool gm_fleet_mint_update(struct gm_fleet *f, const struct gm_askey *as, struct gm_member *m, int64_t exp)
{
	uint8_t scope_bytes[128];
	struct gm_minted minted;
	struct gm_out scope = gm_out(scope_bytes, sizeof(scope_bytes));
	struct gm_mint what = {.exp = exp, .nbf = -1, .exi = -1, .kid = {m->osc_id, sizeof(m->osc_id)}};

	gm_cbor_put_array(&scope, 1);
	gm_scope_put(&scope, f->groups[m->group].name, m->roles);
	what.scope = gm_out_result(&scope);
	free(m->update);
	m->update = gm_askey_mint_as(&minted, as, &what) == GM_E_OK ? malloc(minted.token_n) : NULL;
	if (!m->update)
		return false;
	memcpy(m->update, minted.token, minted.token_n);
	m->update_n = (uint16_t)minted.token_n;
	return true;
}

/* ---- the loop */

static struct gm_member *member_at(struct gm_fleet *f, const struct gm_addr *local)
{
	const uint8_t *first = f->first.ip + 12, *ip = local->ip + 12;
	if (!f->v4)
		return local->port >= f->first.port && (uint32_t)(local->port - f->first.port) < f->members_n
		           ? &f->members[local->port - f->first.port]
		           : NULL;
	for (uint32_t i = (uint32_t)(ip[2] << 8 | ip[3]), at = first[1]; i < f->members_n; i += 65536, at += ADDRESS_STEP)
		if (ip[0] == first[0] && (ip[1] == at || ip[1] == (at ^ 3)))
			return &f->members[i];
	return NULL;
}

/* All members are more than the caches hold: the next one is fetched while this one is looked at. */
static void fetch_ahead(const struct gm_member *m)
{
	for (size_t i = 0; m && i < offsetof(struct gm_member, own); i += CACHE_LINE)
		__builtin_prefetch((const char *)m + i);
}

static unsigned receive(struct gm_fleet *f)
{
	struct gm_dgram d[GM_PORT_BURST];
	unsigned n = f->ops->rx_burst(f->port, d, GM_PORT_BURST);
	f->env.now_ns = f->ops->now_ns(f->port);
	for (unsigned i = 0; i < n; i++) {
		struct gm_member *m = member_at(f, &d[i].local);
		if (i + 1 < n)
			fetch_ahead(member_at(f, &d[i + 1].local));
		f->traffic.rx++;
		f->traffic.rx_bytes += d[i].len;
		if (m && !unlucky(f))
			gm_member_receive(&f->env, m, (struct gm_bytes){d[i].data, d[i].len}, &d[i].peer);
	}
	if (n)
		f->ops->rx_put(f->port, d, n);
	f->env.now_ns = f->ops->now_ns(f->port);
	return n;
}

void gm_fleet_begin(struct gm_fleet *f, struct gm_member *m, unsigned plan)
{
	gm_member_plan(&f->env, m, m->post ? plan & ~GM_PLAN(GM_OP_OBSERVE) : plan);
}

static void try_again(struct gm_fleet *f, struct gm_member *m)
{
	unsigned plan = (m->paced ? f->pace.plan : f->run.plan) & ~GM_PLAN(GM_OP_TOKEN);

	f->begun[m->index].last_ns = f->env.now_ns;
	gm_fleet_begin(f, m, m->has_context ? plan : plan | GM_PLAN(GM_OP_TOKEN));
}

static void fire_timers(struct gm_fleet *f)
{
	uint64_t now = f->env.now_ns / 1000000u;
	while (f->heap_n && f->heap[0].at_ms <= now) {
		struct gm_due d = heap_pop(f);
		uint64_t *due = &f->due[d.index * DUE_N + d.kind];
		if (*due != d.at_ms)
			continue;
		*due = 0;
		if (d.kind == DUE_EXCHANGE)
			gm_member_timeout(&f->env, &f->members[d.index]);
		else
			try_again(f, &f->members[d.index]);
	}
}

void gm_fleet_turn(struct gm_fleet *f, uint64_t timeout_ms)
{
	f->env.now_ns = f->ops->now_ns(f->port);
	gm_member_flush(&f->env);
	flush_out(f);
	uint64_t now = f->env.now_ns / 1000000u, ms = timeout_ms;
	if (f->heap_n)
		ms = f->heap[0].at_ms <= now ? 0 : f->heap[0].at_ms - now < ms ? f->heap[0].at_ms - now : ms;
	unsigned n = receive(f);
	if (n == 0 && ms) {
		f->ops->wait(f->port, ms == UINT64_MAX ? UINT64_MAX : ms * 1000000u);
		n = receive(f);
	}
	while (n == GM_PORT_BURST) {
		gm_member_flush(&f->env);
		flush_out(f);
		n = receive(f);
	}
	fire_timers(f);
	gm_member_flush(&f->env);
	flush_out(f);
}

static void begin_counted(struct gm_fleet *f, struct gm_member *m, unsigned plan, bool paced)
{
	m->counted = true;
	m->paced = paced;
	m->tries = 0;
	f->begun[m->index] = (struct gm_fleet_begun){f->env.now_ns, f->env.now_ns};
	f->run.active++;
	f->run.paced_n += paced;
	gm_fleet_begin(f, m, plan);
}

static bool stopped(const struct gm_fleet *f)
{
	return f->stop && f->stop(f->stop_arg);
}

bool gm_fleet_pace(struct gm_fleet *f)
{
	struct gm_fleet_pace *p = &f->pace;
	f->env.now_ns = f->ops->now_ns(f->port);
	while (p->next < p->n && !stopped(f) && p->start_ns + p->next * p->gap_ns <= f->env.now_ns)
		begin_counted(f, &f->members[p->list[p->next++]], p->plan, true);
	return p->next < p->n && !stopped(f);
}

size_t gm_fleet_run(struct gm_fleet *f, const uint32_t *list, size_t n, unsigned plan, unsigned window, unsigned tries)
{
	f->run = (struct gm_fleet_run){.list = list, .n = n, .plan = plan, .window = window, .tries = tries, .left = n};
	bool paced = gm_fleet_pace(f);
	while (f->run.next < n || f->run.active || paced) {
		while (f->run.next < n && f->run.active < window && !stopped(f))
			begin_counted(f, &f->members[list[f->run.next++]], plan, false);
		if (stopped(f) && !f->run.active)
			break;
		gm_fleet_turn(f, paced ? 1 : 100);
		paced = (n == 0 || f->run.left) && gm_fleet_pace(f);
	}
	f->pace = (struct gm_fleet_pace){0};
	return f->run.ok;
}

struct gm_fleet_traffic gm_fleet_traffic(const struct gm_fleet *f)
{
	struct gm_fleet_traffic t = f->traffic;
	struct timespec cpu;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	t.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	return t;
}

void gm_fleet_reset_times(struct gm_fleet *f)
{
	for (unsigned op = 0; op < GM_OP_N; op++)
		f->took[op].n = 0;
	memset(f->answers, 0, sizeof(f->answers));
}
