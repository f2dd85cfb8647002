/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong in comparable software does not here: over the wire, one test for each row of tests/regression.md that no
 * other test shows. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>
#include <unistd.h>

#include "rows_ask.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

/* ---- what members sent, to be said again */

#define HEARD 64u
static struct heard {
	struct gm_addr from;
	size_t n;
	uint8_t p[1500];
} heard[HEARD];
static unsigned heard_n;

static void listen_and_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct flow *r = arg;

	if (heard_n < HEARD && n <= sizeof heard->p) {
		heard[heard_n] = (struct heard){.from = m->addr, .n = n};
		memcpy(heard[heard_n++].p, p, n);
	}
	gm_mem_send(r->net, &m->addr, to, p, n);
}

static void listen_to_all(struct flow *r)
{
	heard_n = 0;
	r->env.send = listen_and_send;
}

static bool is_protected(const struct heard *h)
{
	struct gm_coap m;

	return gm_coap_decode((struct gm_bytes){h->p, h->n}, &m) == GM_E_OK && m.has_oscore;
}

/* ---- answers to bytes of any kind */

struct got {
	unsigned n, protected_, good; /* good: 2.xx without protection */
	uint8_t code;                 /* of the latest without protection */
};

static void look(struct got *got, const struct gm_mem_dgram *d)
{
	struct gm_coap m;

	if (gm_coap_decode((struct gm_bytes){d->data, d->len}, &m) != GM_E_OK || m.code >> 5 == 0)
		return; /* RST, or a message of its own */
	got->n++;
	got->protected_ += m.has_oscore;
	if (!m.has_oscore)
		got->code = m.code;
	got->good += !m.has_oscore && m.code >> 5 == 2;
}

static void gather(struct flow *r, const struct gm_addr *at, struct got *got)
{
	struct gm_mem_dgram d;

	for (unsigned i = 0; i < 4; i++) {
		for (unsigned w = 0; w < r->dp->config.workers; w++)
			gm_worker_turn(r->dp->worker[w]);
		while (gm_mem_recv(r->net, at, &d))
			look(got, &d);
		flow_turn(r);
	}
}

static struct got say(struct flow *r, const struct gm_addr *from, const void *p, size_t n)
{
	struct got got = {0};

	gm_mem_send(r->net, from, &r->env.server, p, n);
	gather(r, from, &got);
	return got;
}

static struct gm_addr elsewhere(unsigned port)
{
	struct gm_addr a;

	gm_addr_parse(&a, "127.9.9.9:1");
	a.ip[14] = (uint8_t)(port >> 14);
	a.port = (uint16_t)(1024 + port % 50000);
	return a;
}

/* ---- events that reach core */

static struct { unsigned tokens, requests; } events;

static bool count_event(void *arg, const struct gm_rec *rec)
{
	(void)arg;
	events.tokens += rec->type == GM_EV_TOKEN;
	events.requests += rec->type == GM_EV_REQUEST;
	return false;
}

static void count_events(struct flow *r)
{
	events.tokens = events.requests = 0;
	r->event = count_event;
}

/* ---- replay windows */

static const struct {
	uint64_t seq;
	bool taken;
} numbers[] = {
	{103, true}, {105, true}, {104, true}, {104, false}, {103, false}, {105, false},
	{110, true}, {107, true}, {110, false}, {107, false}, {106, true},
	{200, true}, {200 - 31, true}, {200 - 32, true}, {200 - 63, true}, {200 - 64, false}, {200 - 63, false}, {0, false},
	{GM_OSCORE_SEQ_MAX, true}, {GM_OSCORE_SEQ_MAX, false}, {GM_OSCORE_SEQ_MAX - 63, true},
	{GM_OSCORE_SEQ_MAX - 64, false}, {201, false}, {GM_OSCORE_SEQ_MAX - 1, true},
};

Test(window, takes_each_number_once_in_whatever_order_over_the_wire)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	count_events(r);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		unsigned before = events.requests;
		m->seq = numbers[i].seq;
		cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1/num"}, &a), "row %zu", i);
		cr_expect(a.is_protected == numbers[i].taken, "row %zu, number %llu", i, (unsigned long long)numbers[i].seq);
		cr_expect(numbers[i].taken || a.inner.code == GM_COAP(4, 1), "row %zu", i);
		cr_expect(eq(uint, events.requests - before, numbers[i].taken), "row %zu", i);
	}
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* None of these is covered by the tag; nothing of it turns the check off. The number is the first of all: 0. */
Test(replay, of_number_0_is_refused_whatever_the_outside_of_the_message_says)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);

	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	cr_assert(eq(u64, m->seq, 0));
	listen_to_all(r);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	count_events(r);
	struct heard first = heard[0];
	cr_assert(is_protected(&first));
	for (unsigned i = 0; i < 4; i++) {
		struct heard h = first;
		h.p[2] ^= 0x40 * (i != 3); /* another Message ID */
		if (i == 1)
			h.p[0] ^= 0x10; /* NON */
		if (i == 2)
			h.p[4] ^= 0xff; /* another token */
		h.p[1] = i == 3 ? GM_COAP_FETCH : GM_COAP_POST; /* under its own Message ID: the saved bytes */
		struct got got = say(r, &m->addr, h.p, h.n);
		cr_expect(i == 3 || (!got.protected_ && !got.good), "%u", i);
		cr_expect(i >= 1 || got.code == GM_COAP(4, 1));
	}
	cr_expect(eq(uint, events.requests, 0));
	cr_expect(eq(u32, flow_status(r).members, 1));
	cr_expect(eq(u64, flow_status(r).rejoins, 0));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

static void live(struct flow *r, struct gm_member *m)
{
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP) | GM_PLAN(GM_OP_NODE)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_CREDS)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_RENEW)));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_RECRED)));
}

static void replay_all(struct flow *r, bool from_own_address)
{
	r->mute = true;
	for (unsigned i = 0; i < heard_n; i++) {
		struct gm_addr from = heard[i].from;
		from.ip[13] = from_own_address ? from.ip[13] : 99; /* one address for each: the watch tells contexts by it */
		struct got got = say(r, &from, heard[i].p, heard[i].n);
		/* at most an Echo challenge, under a Partial IV of its own; a token opens a context that nobody can use */
		cr_expect(is_protected(&heard[i]) ? !got.good : !got.protected_, "datagram %u", i);
	}
	r->mute = false;
}

Test(replay, of_all_that_was_captured_changes_nothing_after_a_restart)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *stays = flow_member(r, BOTH, true), *leaves = flow_member(r, BOTH, true);

	listen_to_all(r);
	live(r, stays);
	live(r, leaves);
	cr_assert(flow_do(r, leaves, GM_PLAN(GM_OP_LEAVE)));
	cr_assert(lt(uint, heard_n, HEARD));
	unsigned captured = heard_n;
	flow_restart(r, 2);
	struct gm_core_status before = flow_status(r);
	count_events(r);
	replay_all(r, true);
	replay_all(r, false);
	cr_expect(eq(uint, events.requests, 0), "a captured request was carried out");
	struct gm_core_status after = flow_status(r);
	cr_expect(eq(u32, after.members, before.members));
	cr_expect(eq(u32, after.contexts, before.contexts));
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local + r->dp->worker[1]->stats.reads_local, 0));
	heard_n = HEARD; /* deaf */
	cr_assert(flow_do(r, stays, GM_PLAN(GM_OP_NODE)), "whose requests they were is served");
	heard_n = captured;
	events.requests = 0;
	replay_all(r, true); /* now that freshness has been shown */
	cr_expect(eq(uint, events.requests, 0));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- one Message ID twice, in every state of an association */

/* Twice before core has looked, once more while core has it, and again when it has been answered. */
static unsigned twice(struct flow *r, struct gm_member *m, unsigned plan)
{
	events.tokens = events.requests = 0;
	heard_n = 0;
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, plan);
	gm_member_flush(&r->env);
	cr_assert(eq(uint, heard_n, 1));
	gm_mem_send(r->net, &heard[0].from, &r->env.server, heard[0].p, heard[0].n);
	gm_worker_turn(r->dp->worker[0]);
	gm_mem_send(r->net, &heard[0].from, &r->env.server, heard[0].p, heard[0].n);
	gm_worker_turn(r->dp->worker[0]);
	flow_run(r, 50);
	gm_mem_send(r->net, &heard[0].from, &r->env.server, heard[0].p, heard[0].n);
	r->mute = true;
	flow_run(r, 50);
	r->mute = false;
	return events.tokens + events.requests;
}

Test(message_id, that_comes_twice_is_handled_once_in_every_state)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	unsigned evicted;

	count_events(r);
	listen_to_all(r);
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_TOKEN)), 1), "a token");
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_JOIN)), 1), "the first request under a pending context");
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_CREDS)), 1), "a read of core");
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_RENEW)), 1), "a change");
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_NODE)), 0), "a read of the worker");
	flow_restart(r, 1);
	/* challenged twice, then the one with the Echo value */
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_CREDS)), 1), "the window is unknown");
	cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_JOIN)), 1), "another Join");
	cr_assert(flow_evict(r, m->node, &evicted) == GM_E_OK);
	flow_turn(r);
	if (m->has_context)
		cr_expect(eq(uint, twice(r, m, GM_PLAN(GM_OP_CREDS)), 0), "closing");
	cr_expect(eq(u64, flow_status(r).rejoins, 1));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- a device that has lost its RAM */

/* It has its token, and nothing else: no context, no sequence number, no keys. */
static void lose_ram(struct flow *r, struct gm_member *m)
{
	struct gm_member old = *m;

	r->timer_ms[m->index] = 0;
	m->token = NULL;
	gm_member_clear(m);
	gm_member_init(m, old.index, &old.addr, old.group, old.roles, old.post);
	m->token = old.token;
	m->token_n = old.token_n;
	memcpy(m->osc_id, old.osc_id, sizeof m->osc_id);
	memcpy(m->token_ms, old.token_ms, sizeof m->token_ms);
	memcpy(m->token_salt, old.token_salt, sizeof m->token_salt);
	m->osc_alg = old.osc_alg;
	m->osc_hkdf = old.osc_hkdf;
}

Test(device, that_loses_its_ram_again_and_again_is_back_each_time_without_an_operator)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true), *other = flow_member(r, BOTH, true);

	cr_assert(flow_do(r, other, JOIN));
	cr_assert(flow_do(r, m, JOIN));
	for (unsigned i = 0; i < 20; i++) {
		lose_ram(r, m);
		uint64_t begun = gm_mem_now(r->net);
		cr_assert(flow_do(r, m, JOIN), "after loss %u: %02x %02x", i, flow_code(r, m, GM_OP_TOKEN), flow_code(r, m, GM_OP_JOIN));
		cr_expect(lt(u64, gm_mem_now(r->net) - begun, 1000000000), "it was told to come later");
		cr_expect(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	}
	cr_expect(eq(u32, flow_status(r).members, 2));
	cr_expect(eq(u32, flow_status(r).contexts, 2));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 5000);
	cr_expect(m->has_keys && other->has_keys && m->keys.version == other->keys.version);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* It goes on under the keys that it has kept, with numbers that it has used: refused, and helped by the token. */
Test(device, that_begins_its_numbers_anew_is_told_and_comes_back_by_its_token)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	m->seq = 0;
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1/num"}, &a));
	cr_expect(not(a.is_protected));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 1)));
	cr_expect(flow_do(r, m, JOIN));
	cr_expect(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	flow_free(r);
}

/* ---- failures that leak something */

static size_t put_post(uint8_t *p, size_t cap, uint16_t mid, struct gm_bytes payload)
{
	struct gm_out o = gm_out(p, cap);
	uint16_t last = 0;

	gm_coap_put_head(&o, GM_COAP_CON, GM_COAP_POST, mid, (const uint8_t *)"tokn", 4);
	gm_coap_put_path(&o, &last, GM_OPT_URI_PATH, "/authz-info", 11);
	gm_coap_put_option_uint(&o, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
	gm_coap_put_payload(&o, payload.p, payload.n);
	cr_assert(o.err == GM_E_OK);
	return gm_out_len(&o);
}

static size_t token_request(uint8_t *p, size_t cap, size_t id_n, struct gm_bytes token)
{
	struct gm_out o = gm_out(p, cap);

	struct gm_token_request request = {.token = token, .nonce1 = {(const uint8_t *)"12345678", 8}, .id1 = {(const uint8_t *)"12345678", id_n}};

	gm_token_request_encode(&o, &request);
	return gm_out_len(&o);
}

/* Wrong in one of several ways. */
static size_t bad_post(uint8_t *p, size_t cap, const struct gm_member *m, unsigned i)
{
	uint8_t token[512], body[700];
	size_t n = m->token_n, id_n = 2;

	memcpy(token, m->token, n);
	switch (i % 5) {
	case 0:
		token[n - 1] ^= 1; /* forged */
		break;
	case 1:
		n = i / 5 % n; /* cut */
		break;
	case 2:
		token[i / 5 % n] ^= 0x80;
		break;
	case 3:
		id_n = 8; /* too long for any nonce: what core refuses */
		break;
	default:
		return put_post(p, cap, (uint16_t)i, (struct gm_bytes){token, i % 3}); /* no map at all */
	}
	n = token_request(body, sizeof body, id_n, (struct gm_bytes){token, n});
	return put_post(p, cap, (uint16_t)i, (struct gm_bytes){body, n});
}

static size_t pages(void)
{
#ifdef __SANITIZE_ADDRESS__ /* keeps what was freed for a while, and looks for leaks itself */
	return 0;
#endif
	size_t all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%zu %zu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident;
}

/* GM_FAILED_POSTS: as many as tests/long.sh wants. */
Test(token, that_is_good_is_taken_after_any_number_of_bad_ones)
{
	const char *want = getenv("GM_FAILED_POSTS");
	unsigned n = want ? (unsigned)strtoul(want, NULL, 10) : 20000;
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct gm_mem_dgram d;
	uint8_t p[1024];
	size_t half = 0;

	for (unsigned i = 0; i < n; i++) {
		struct gm_addr from = elsewhere(i);
		gm_mem_send(r->net, &from, &r->env.server, p, bad_post(p, sizeof p, m, i));
		if (i % 64 != 63)
			continue;
		flow_turn(r);
		while (gm_mem_recv(r->net, NULL, &d))
			;
		if (i / 64 == n / 128)
			half = pages();
	}
	cr_expect(lt(sz, pages(), half + 1024), "pages: %zu, then %zu", half, pages());
	struct worker *w = r->dp->worker[0];
	flow_run(r, 10);
	cr_expect(ge(u64, w->stats.rx, n));
	cr_expect(ge(u64, w->stats.token_bad + w->stats.stranger_challenged, n - n / 100)); /* some bytes may be flipped and say the same: a label nobody reads */
	cr_expect(eq(u32, w->xchs.used, 0));
	cr_expect(eq(u64, w->stats.contexts_pending, 0));
	cr_assert(flow_do(r, m, JOIN), "%02x", flow_code(r, m, GM_OP_TOKEN));
	flow_free(r);
}

/* ---- decoders at the door */

Test(token_length, that_is_reserved_is_rejected_in_messages_of_any_size)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_addr from = elsewhere(7);
	uint8_t p[GM_MEM_DGRAM_MAX];

	memset(p, 0xff, sizeof p);
	for (unsigned tkl = 9; tkl <= 15; tkl++) {
		static const size_t sizes[] = {4, 5, 6, 7, 300, sizeof p};
		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			for (unsigned type = 0; type < 4; type++) {
				p[0] = (uint8_t)(0x40 | type << 4 | tkl);
				p[1] = GM_COAP_POST;
				struct got got = say(r, &from, p, sizes[i]);
				cr_expect(eq(uint, got.n, 0), "length %u, %zu bytes, type %u", tkl, sizes[i], type);
			}
		}
	}
	cr_expect(eq(u32, r->dp->worker[0]->xchs.used, 0));
	flow_free(r);
}

static void hold(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	(void)arg, (void)to;
	heard_n = 0;
	heard[heard_n++] = (struct heard){.from = m->addr, .n = n};
	memcpy(heard->p, p, n);
}

/* Its message is not sent until all that begins it has been. */
static void say_prefixes(struct flow *r, struct gm_member *m, enum gm_member_op op)
{
	struct gm_addr from = elsewhere(op);
	void (*send)(void *, struct gm_member *, const struct gm_addr *, const uint8_t *, size_t) = r->env.send;

	r->env.send = hold;
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, GM_PLAN(op));
	gm_member_flush(&r->env);
	struct heard whole = heard[0];
	count_events(r);
	uint64_t reads = r->dp->worker[0]->stats.reads_local;
	for (size_t n = 0; n < whole.n; n++) {
		struct got got = say(r, &from, whole.p, n);
		cr_expect(got.protected_ + got.good == 0, "%s, %zu of %zu bytes", gm_member_op_name(op), n, whole.n);
	}
	cr_expect(eq(uint, events.requests + events.tokens, 0), "%s", gm_member_op_name(op));
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local, reads));
	r->env.send = send;
	flow_run(r, 10000); /* it repeats itself */
	cr_expect(flow_code(r, m, op) >> 5 == 2, "%s: %02x", gm_member_op_name(op), flow_code(r, m, op));
}

Test(prefix, of_every_message_of_a_member_is_never_carried_out)
{
	static const enum gm_member_op ops[] = {GM_OP_TOKEN, GM_OP_JOIN, GM_OP_GROUP, GM_OP_NODE, GM_OP_CREDS,
	                                        GM_OP_KDC,   GM_OP_RENEW, GM_OP_RECRED, GM_OP_OBSERVE, GM_OP_LEAVE};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);

	for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++)
		say_prefixes(r, m, ops[i]);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

static size_t bomb(uint8_t *p, size_t cap, unsigned kind)
{
	static const uint8_t heads[] = {0x9b, 0xbb, 0x5b, 0x7b, 0xbf, 0x9f, 0x5f, 0x7f};
	static const uint8_t deep[] = {0x81, 0xa1, 0xc1, 0xd8};
	static const uint8_t sizes[][8] = {{0, 0, 0, 0, 0, 1}, {0, 0, 0, 1}, {0x7f, 255, 255, 255, 255, 255, 255, 255},
	                                   {255, 255, 255, 255, 255, 255, 255, 255}};

	if (kind < sizeof deep) {
		memset(p, deep[kind], cap);
		return cap;
	}
	kind -= sizeof deep;
	p[0] = heads[kind % sizeof heads];
	memcpy(p + 1, sizes[kind / sizeof heads % 4], 8);
	memset(p + 9, 0, 7);
	return 16;
}

#define BOMBS (4u + 8u * 4u)

/* As the whole payload, as a value in the map, and inside of the token. */
Test(bomb, of_cbor_is_refused_without_protection_and_under_it)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct gm_addr from = elsewhere(3);
	uint8_t b[1000], body[1100], p[1400];
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	for (unsigned kind = 0; kind < BOMBS; kind++) {
		size_t n = bomb(b, sizeof b, kind);
		struct got got = say(r, &from, p, put_post(p, sizeof p, (uint16_t)(3 * kind), (struct gm_bytes){b, n}));
		cr_expect(eq(u8, got.code, GM_COAP(4, 0)), "%u as payload: %02x", kind, got.code);
		struct gm_out o = gm_out(body, sizeof body);
		gm_cbor_put_map(&o, 2);
		gm_cbor_put_uint(&o, 99);
		gm_out_bytes(&o, b, n);
		got = say(r, &from, p, put_post(p, sizeof p, (uint16_t)(3 * kind + 1), gm_out_result(&o)));
		cr_expect(eq(u8, got.code, GM_COAP(4, 0)), "%u as value: %02x", kind, got.code);
		size_t body_n = token_request(body, sizeof body, 2, (struct gm_bytes){b, n});
		got = say(r, &from, p, put_post(p, sizeof p, (uint16_t)(3 * kind + 2), (struct gm_bytes){body, body_n}));
		cr_expect(got.code == GM_COAP(4, 0) || got.code == GM_COAP(4, 1), "%u as token: %02x", kind, got.code);
		cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/ace-group/g1", .format = GM_CF_GROUPCOMM, .payload = {b, n}}, &a));
		cr_expect(a.is_protected && a.inner.code == GM_COAP(4, 0), "%u as Join: %02x", kind, a.inner.code);
		cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_FETCH, .path = "/ace-group/g1/creds", .format = GM_CF_GROUPCOMM, .payload = {b, n}}, &a));
		cr_expect(a.is_protected && a.inner.code == GM_COAP(4, 0), "%u as filter: %02x", kind, a.inner.code);
	}
	flow_free(r);
}

/* ---- dice */

Test(dice, of_two_starts_and_of_two_tokens_are_not_the_same)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true), *n = flow_member(r, BOTH, true);
	uint8_t boot[sizeof r->dp->worker[0]->boot];

	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	cr_assert(flow_do(r, n, GM_PLAN(GM_OP_TOKEN)));
	cr_expect(m->challenge_n == n->challenge_n && memcmp(m->challenge, n->challenge, m->challenge_n) != 0);
	memcpy(boot, r->dp->worker[0]->boot, sizeof boot);
	flow_restart(r, 1);
	cr_expect(memcmp(boot, r->dp->worker[0]->boot, sizeof boot) != 0);
	flow_free(r);
}
