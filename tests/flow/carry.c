/* SPDX-License-Identifier: Apache-2.0 */
/* What passes from one process to the next, but for sockets: windows, last answers, datagrams that waited. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define NODE GM_PLAN(GM_OP_NODE)
#define RECORDS 256u

static struct {
	struct flow *r;
	unsigned n, turns, until, parked_most;
	struct {
		_Alignas(8) uint8_t bytes[4096];
	} record[RECORDS];
} carried;

static bool keep(void *arg, const struct gm_rec *rec)
{
	(void)arg;
	cr_assert(lt(u32, carried.n, RECORDS));
	memcpy(carried.record[carried.n++].bytes, rec, rec->len);
	return true;
}

static const struct gm_rec *record(unsigned i)
{
	return (const void *)carried.record[i].bytes;
}

/* As gmd does: out of the old workers, into the new ones before they look at anything. */
static void pass(struct flow *r, unsigned workers)
{
	carried.n = 0;
	cr_assert(gm_dp_carry(r->dp, keep, NULL));
	flow_restart(r, workers);
	for (unsigned i = 0; i < carried.n; i++) {
		const struct gm_rec *rec = record(i);
		unsigned w = rec->type == GM_EFF_DATAGRAM ? i % workers : gm_dp_owner(r->dp, ((const struct gm_eff_carry *)rec)->ctx);
		flow_effect(r, w, rec, rec->len);
	}
}

static uint64_t echoes(const struct flow *r)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < r->dp->config.workers; w++)
		n += gm_dp_stats(r->dp, w)->echo_sent;
	return n;
}

static struct ctx *ctx_of(const struct flow *r, gm_ctx_id id)
{
	return gm_ctx_at(r->dp->worker[gm_dp_owner(r->dp, id)], id);
}

Test(carry, lets_members_go_on_without_an_echo)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *a = flow_member(r, GM_ROLE_RESPONDER, true), *b = flow_member(r, GM_ROLE_REQUESTER, true);

	cr_assert(flow_do(r, a, JOIN | NODE));
	cr_assert(flow_do(r, b, JOIN));
	pass(r, 3);
	cr_assert(flow_do(r, a, NODE));
	cr_assert(flow_do(r, b, NODE));
	cr_expect(eq(u64, echoes(r), 0));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 3000);
	cr_expect(eq(u32, flow_at_version(r, 1), 2));
	cr_expect(eq(u32, r->reuses, 0));
	flow_restart(r, 2); /* and without it they are asked */
	cr_assert(flow_do(r, a, NODE));
	cr_expect(eq(u64, echoes(r), 1));
	flow_free(r);
}

Test(carry, keeps_what_was_seen_from_being_seen_again)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	const struct gm_eff_carry *e = NULL;

	cr_assert(flow_do(r, m, JOIN | NODE));
	pass(r, 1);
	for (unsigned i = 0; i < carried.n; i++)
		e = record(i)->type == GM_EFF_CARRY ? (const void *)record(i) : e;
	cr_assert(e != NULL);
	flow_turn(r);
	const struct ctx *c = ctx_of(r, e->ctx);
	cr_assert(c != NULL);
	cr_expect(not(c->need_echo));
	for (uint64_t seq = 0; seq <= e->window_top; seq++)
		cr_expect(not(gm_oscore_window_fresh(&c->window, seq)), "%llu", (unsigned long long)seq);
	cr_expect(gm_oscore_window_fresh(&c->window, e->window_top + 1));
	cr_expect(eq(u32, c->last_mid, e->last_mid));
	cr_expect(c->resume, "its own numbers go on at the lease");
	flow_free(r);
}

Test(carry, has_the_answer_to_a_repeat)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	pass(r, 2);
	flow_turn(r);
	const struct gm_eff_carry *e = (const void *)record(0);
	const struct ctx *c = ctx_of(r, e->ctx);
	cr_assert(e->rec.type == GM_EFF_CARRY && c && c->saved);
	cr_expect(eq(u32, c->saved->n, e->saved.n));
	cr_expect(memcmp(c->saved->bytes, (const uint8_t *)e + e->saved.off, e->saved.n) == 0);
	flow_free(r);
}

Test(carry, has_the_empty_ack_of_an_answer_that_came_apart)
{
	struct flow *r = flow_new(1, NULL);
	uint16_t g = flow_group(r, GM_BACKWARD_WINDOW);
	struct gm_member *first = flow_member_in(r, g, GM_ROLE_RESPONDER, true), *m = flow_member_in(r, g, GM_ROLE_RESPONDER, true);
	unsigned acked = 0, answered = 0;

	cr_assert(flow_do(r, first, JOIN));
	cr_assert(flow_do(r, m, JOIN));
	flow_run(r, 100);
	pass(r, 2);
	flow_turn(r);
	for (unsigned i = 0; i < carried.n; i++) {
		const struct gm_eff_carry *e = (const void *)record(i);
		const struct ctx *c = e->rec.type == GM_EFF_CARRY ? ctx_of(r, e->ctx) : NULL;
		acked += c && c->last_acked && !c->saved;
		answered += c && c->saved && !c->last_acked;
	}
	cr_expect(eq(u32, acked, 1));
	cr_expect(eq(u32, answered, 1));
	flow_free(r);
}

Test(carry, leaves_alone_what_does_not_fit)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	carried.n = 0;
	cr_assert(gm_dp_carry(r->dp, keep, NULL));
	struct gm_eff_carry *e = (void *)carried.record[0].bytes;
	flow_effect(r, 0, e, e->rec.len);
	flow_turn(r);
	cr_expect(eq(u64, ctx_of(r, e->ctx)->window.top, e->window_top));
	e->window_top += 1000;
	flow_effect(r, 0, e, e->rec.len);
	flow_turn(r);
	cr_expect(eq(u64, ctx_of(r, e->ctx)->window.top, e->window_top - 1000), "a window that is known stays");
	flow_restart(r, 1);
	e->last_piv_n = 200;
	flow_effect(r, 0, e, e->rec.len);
	e->last_piv_n = 1;
	e->saved = (struct gm_slice){.off = 100, .n = 1u << 30};
	flow_effect(r, 0, e, e->rec.len);
	e->ctx ^= 0xff;
	flow_effect(r, 0, e, e->rec.len);
	flow_turn(r);
	const struct ctx *c = ctx_of(r, e->ctx ^ 0xff);
	cr_expect(not(c->need_echo));
	cr_expect(c->saved == NULL);
	flow_free(r);
}

/* ---- requests that wait */

static size_t waiting(const struct flow *r)
{
	size_t n = 0;

	for (unsigned w = 0; w < r->dp->config.workers; w++)
		n += r->dp->worker[w]->park.waiting;
	return n;
}

static bool count_turns(struct worker *w)
{
	size_t n = waiting(carried.r);

	carried.parked_most = n > carried.parked_most ? (unsigned)n : carried.parked_most;
	if (++carried.turns == carried.until)
		gm_dp_park(carried.r->dp, false);
	return gm_worker_turn(w);
}

static void park_for(struct flow *r, unsigned turns)
{
	carried.r = r;
	carried.turns = carried.parked_most = 0;
	carried.until = turns;
	r->worker_turn = count_turns;
	gm_dp_park(r->dp, true);
}

Test(park, keeps_joins_and_tokens_waiting_and_loses_none)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	park_for(r, 200);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	cr_expect(carried.parked_most > 0);
	park_for(r, 200);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_expect(carried.parked_most > 0);
	cr_expect(eq(u64, flow_status(r).joins_ok, 1));
	cr_expect(eq(u64, r->env.stats.retransmitted, 0), "the datagram that waited was answered");
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(park, lets_members_read)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	park_for(r, 0);
	cr_assert(flow_do(r, m, NODE));
	cr_expect(eq(u32, carried.parked_most, 0));
	cr_expect(gm_dp_parked(r->dp));
	flow_free(r);
}

Test(park, answers_a_repeat_of_what_was_answered_before)
{
	struct gm_mem_faults faults = {.loss = 50000, .dup = 300000, .delay_ns = 1000000, .jitter_ns = 3000000};
	struct flow *r = flow_new(2, &faults);

	for (unsigned i = 0; i < 10; i++) {
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
		cr_assert(flow_do(r, m, JOIN));
		park_for(r, 4000);
		cr_assert(flow_do(r, m, NODE | GM_PLAN(GM_OP_JOIN)));
	}
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(park, passes_what_waits_to_the_next_process)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	park_for(r, 0);
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_LEAVE))), "nobody answers, for a hundred seconds");
	r->worker_turn = gm_worker_turn;
	pass(r, 1);
	unsigned datagrams = 0;
	for (unsigned i = 0; i < carried.n; i++)
		datagrams += record(i)->type == GM_EFF_DATAGRAM;
	cr_expect(datagrams > 0);
	flow_run(r, 10);
	cr_expect(eq(u64, flow_status(r).leaves, 1), "the next one does");
	cr_expect(eq(u32, flow_status(r).members, 0));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* ---- more than there is room for */

static uint64_t dropped(const struct flow *r)
{
	return gm_dp_stats(r->dp, 0)->park_drop;
}

/* POST to /authz-info, as anybody can send it. */
static void flood(struct flow *r, unsigned n)
{
	struct gm_addr from;
	uint8_t p[1024], body[900] = {0};

	gm_addr_parse(&from, "2001:db8::bad");
	for (unsigned i = 0; i < n; i++) {
		struct gm_out o = gm_out(p, sizeof p);
		uint16_t last = 0;
		from.port = (uint16_t)(1024 + i % 60000);
		gm_coap_put_head(&o, GM_COAP_NON, GM_COAP_POST, (uint16_t)i, (const uint8_t *)"tk", 2);
		gm_coap_put_path(&o, &last, GM_OPT_URI_PATH, "/authz-info", 11);
		gm_coap_put_payload(&o, body, sizeof body);
		gm_mem_send(r->net, &from, &r->env.server, p, gm_out_len(&o));
		if (i % 64 == 63)
			flow_turn(r);
	}
	flow_turn(r);
}

Test(park, keeps_room_for_members_when_strangers_post_and_counts_what_it_drops)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	gm_dp_park(r->dp, true);
	flood(r, 3000);
	cr_expect(le(sz, r->dp->worker[0]->park.waiting, 1u << 20));
	cr_expect(gt(u64, dropped(r), 0));
	park_for(r, 200);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_LEAVE)));
	cr_expect(eq(u64, r->env.stats.retransmitted, 0), "the datagram that waited was answered");
	flow_run(r, 10);
	cr_expect(eq(sz, waiting(r), 0));
	flow_free(r);
}

Test(park, looks_at_what_waited_a_part_at_a_time)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	gm_dp_park(r->dp, true);
	flood(r, 600);
	gm_dp_park(r->dp, false);
	uint64_t rx = w->stats.rx;
	gm_worker_turn(w);
	cr_expect(gt(u64, w->stats.rx - rx, 0));
	cr_expect(le(u64, w->stats.rx - rx, 256));
	gm_dp_park(r->dp, true); /* the rest waits again, and once */
	gm_worker_turn(w);
	size_t rest = w->park.waiting;
	cr_expect(gt(sz, rest, 0));
	gm_worker_turn(w);
	cr_expect(eq(sz, w->park.waiting, rest));
	gm_dp_park(r->dp, false);
	while (w->park.n)
		gm_worker_turn(w);
	cr_expect(eq(u64, w->stats.rx - rx, 600));
	cr_expect(eq(sz, w->park.strangers, 0));
	flow_free(r);
}
