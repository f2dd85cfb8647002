/* SPDX-License-Identifier: Apache-2.0 */
/* The pacer: networks with a pace of their own, beside each other and beside all else. requirements R-137 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "rows_ask.h"
#include "sends.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define S 1000000000u

static struct sends sends;

static struct flow *flow_with(unsigned workers, const struct gm_mem_faults *faults, const struct gm_pace_prefix *p, unsigned n)
{
	struct flow *r = flow_new(workers, faults);

	r->dp_config.prefixes = p;
	r->dp_config.prefixes_n = n;
	flow_restart(r, workers);
	return r;
}

static struct gm_pace_prefix pace(const char *text, double rate, uint32_t burst)
{
	struct gm_pace_prefix p = {.rate = rate, .burst = burst};

	cr_assert_null(gm_prefix_parse(&p.prefix, text));
	return p;
}

static void join_some(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool post = i % 3 != 2;
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, post);
		cr_assert(flow_do(r, m, post ? JOIN : JOIN | GM_PLAN(GM_OP_OBSERVE)));
	}
}

static bool in(const struct send *s, unsigned from, unsigned to)
{
	return s->member >= from && s->member < to;
}

/* Of the messages to those members: in no stretch of time more than the burst and the rate make. */
static void expect_bucket(unsigned from, unsigned to, double rate, unsigned burst)
{
	for (unsigned i = 0; i < sends.n; i++) {
		unsigned n = 0;
		for (unsigned k = i; k < sends.n && in(&sends.at[i], from, to); k++) {
			n += in(&sends.at[k], from, to);
			double s = (double)(sends.at[k].ns - sends.at[i].ns) / 1e9;
			cr_assert_leq(n, burst + rate * s + 1e-6, "%u messages in %f s", n, s);
		}
	}
}

static unsigned count(unsigned from, unsigned to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sends.n; i++)
		n += in(&sends.at[i], from, to);
	return n;
}

static unsigned told(const struct flow *r, unsigned from, unsigned to, uint64_t version)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++)
		n += r->members[i].keys.version >= version;
	return n;
}

Test(pace, a_slow_network_gets_its_rate_and_no_bursts_and_holds_up_nobody)
{
	struct gm_pace_prefix p = pace("127.1.0.0/27", 15, 2);
	struct flow *r = flow_with(3, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 80);
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 50);
	cr_expect(eq(u32, told(r, 32, 80, 1), 48), "all others have the keys at once");
	cr_expect(le(u32, told(r, 0, 32, 1), 2));
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(ge(u64, s.waiting, 29));
	flow_run(r, 1050);
	cr_expect(ge(u32, told(r, 0, 32, 1), 15));
	flow_run(r, 1000);
	cr_expect(eq(u32, told(r, 0, 32, 1), 32), "within (32 - 2) / 15 s");
	flow_run(r, 100);
	expect_bucket(0, 32, 15, 2);
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(eq(u64, s.sent, 32));
	cr_expect(eq(u64, s.waiting, 0));
	cr_expect(eq(u64, flow_status(r).confirmed, 80));
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(pace, networks_take_turns_where_the_bucket_for_all_is_short)
{
	struct gm_pace_prefix p[4];
	struct flow *r;
	char text[32];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(text, sizeof text, "127.1.0.%u/28", 16 * i + 16);
		p[i] = pace(text, 100, 1);
	}
	r = flow_with(1, NULL, p, 4);
	join_some(r, 96); /* the first and the last 16 are in no network of their own */
	gm_dp_set_pace_for_all(r->dp, 40);
	r->dp->worker[0]->pace.tokens = 0;
	r->dp->worker[0]->pace.tokens_ns = gm_mem_now(r->net);
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1000);
	cr_expect(ge(u32, sends.n, 39));
	cr_expect(le(u32, sends.n, 41));
	for (unsigned i = 0; i < 4; i++)
		cr_expect(ge(u32, count(16 * i + 16, 16 * i + 32), 2), "network %u", i);
	cr_expect(ge(u32, count(0, 16) + count(80, 96), 22), "who is in none is not forgotten");
	flow_run(r, 1600);
	cr_expect(eq(u32, flow_at_version(r, 1), 96));
	flow_free(r);
}

Test(pace, retransmissions_pass_the_bucket_of_their_network)
{
	struct gm_pace_prefix p = pace("127.1.0.0/28", 2, 1);
	struct flow *r = flow_with(2, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 20);
	r->mute = true;
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 250000);
	expect_bucket(0, 16, 2, 1);
	for (unsigned i = 0; i < 20; i++)
		cr_expect(le(u32, count(i, i + 1), 5), "retransmissions have an end, whatever the pace");
	cr_expect(eq(u32, count(16, 20), 20));
	cr_expect(eq(u64, flow_status(r).late, 20), "and all are late");
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(eq(u64, s.sent, 16));
	cr_expect(eq(u64, s.sent + s.retransmitted, count(0, 16)));
	cr_expect(eq(u64, s.waiting, 0));
	flow_free(r);
}

/* No copy of a message leaves later than MAX_TRANSMIT_WAIT after the first: 50 ms * (2^5 - 1) * 1.5. RFC 7252 §4.8.2 */
Test(pace, does_not_stretch_an_exchange_beyond_the_time_it_may_take)
{
	struct gm_pace_prefix p = pace("127.1.0.0/24", 1, 1);
	struct flow *r = flow_new(1, NULL);
	unsigned again = 0;

	r->dp_config.ack_timeout_ms = 50;
	r->dp_config.prefixes = &p;
	r->dp_config.prefixes_n = 1;
	flow_restart(r, 1);
	join_some(r, 12);
	r->mute = true;
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 60000);
	for (unsigned i = 0; i < sends.n; i++)
		for (unsigned k = 0; k < i; k++) {
			if (sends.at[k].hash != sends.at[i].hash)
				continue;
			again++;
			cr_assert(le(u64, sends.at[i].ns - sends.at[k].ns, 2325 * (uint64_t)1000000));
		}
	cr_expect(ge(u32, again, 12), "there is time for some");
	expect_bucket(0, 12, 1, 1);
	cr_expect(eq(u64, flow_status(r).late, 12));
	flow_free(r);
}

Test(pace, of_a_network_halves_while_many_messages_get_lost_and_comes_back)
{
	struct gm_pace_prefix p = pace("127.1.0.0/24", 16, 1);
	struct gm_mem_faults lossy = {.loss = 300000}, none = {0};
	struct flow *r = flow_with(2, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 60);
	gm_mem_set_faults(r->net, &lossy);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 60000);
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(ge(u64, s.halved, 1));
	cr_expect_leq(s.rate_now, 8);
	gm_mem_set_faults(r->net, &none);
	for (unsigned i = 0; i < 16 && s.rate_now < 16; i++) {
		cr_assert(flow_rekey(r, true) == GM_E_OK);
		flow_run(r, 60000);
		double before = s.rate_now;
		cr_assert(gm_dp_pace(r->dp, 0, &s));
		cr_expect_geq(s.rate_now, before);
	}
	cr_expect_eq(s.rate_now, 16);
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}

Test(pace, of_an_ipv6_network_is_kept_too)
{
	struct gm_pace_prefix p[] = {pace("2001:db8::/32", 5, 1), pace("2001:db8:15::/64", 10, 1)};
	struct flow *r = flow_with(1, NULL, p, 2);
	struct gm_pace_status s;

	for (unsigned i = 0; i < 20; i++) {
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
		struct gm_addr a;
		gm_addr_parse(&a, i < 12 ? "[2001:db8:15::]:40000" : "[2001:db9::]:40000");
		a.ip[15] = (uint8_t)i;
		m->addr = a;
		cr_assert(flow_do(r, m, JOIN));
	}
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1200);
	cr_expect(eq(u32, flow_at_version(r, 1), 20));
	expect_bucket(0, 12, 10, 1);
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(eq(u8, s.of.prefix.bits, 64));
	cr_expect(eq(u64, s.sent, 12));
	flow_free(r);
}

Test(pace, of_a_network_holds_for_evictions_and_long_messages_as_well)
{
	struct gm_pace_prefix p = pace("127.1.0.0/27", 10, 1);
	struct flow *r = flow_with(2, NULL, &p, 1);
	unsigned evicted;

	join_some(r, 40);
	sends_watch(&sends, r);
	for (unsigned i = 0; i < 10; i++)
		cr_assert(flow_evict(r, r->members[i].node, &evicted) == GM_E_OK);
	flow_run(r, 20000);
	expect_bucket(0, 32, 10, 1);
	for (unsigned i = 0; i < 10; i++)
		cr_expect(r->members[i].told || i % 3 == 2, "member %u", i);
	cr_expect(eq(u32, flow_at_version(r, 1), 30));
	flow_free(r);
}

Test(pace, reads_and_joins_are_answered_at_once_while_lanes_are_long)
{
	struct gm_pace_prefix p = pace("127.1.0.0/25", 1, 1);
	struct flow *r = flow_with(1, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 130);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 100);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = gm_mem_now(r->net);
		cr_assert(flow_do(r, &r->members[i % 2 ? 129 : i], GM_PLAN(GM_OP_NODE)));
		cr_expect(le(u64, gm_mem_now(r->net) - before, 3000000), "ns for a read");
	}
	uint64_t before = gm_mem_now(r->net);
	cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, true), JOIN));
	cr_expect(le(u64, gm_mem_now(r->net) - before, 20000000), "ns for token, join and signature");
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(ge(u64, s.waiting, 120));
	flow_free(r);
}

Test(pace, a_compromise_takes_the_place_of_keys_that_still_wait)
{
	struct gm_pace_prefix p = pace("127.1.0.0/25", 20, 1);
	struct flow *r = flow_with(2, NULL, &p, 1);
	static uint64_t old[SENDS_MAX];

	join_some(r, 60);
	sends_watch(&sends, r);
	r->mute = true;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1000);
	unsigned before = sends.n;
	cr_assert(ge(u32, before, 19));
	for (unsigned i = 0; i < before; i++)
		old[i] = sends.at[i].hash;
	r->mute = false;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 5000);
	cr_expect(eq(u32, flow_at_version(r, 2), 60));
	for (unsigned i = before; i < sends.n; i++)
		for (unsigned k = 0; k < before; k++)
			cr_assert(ne(u64, sends.at[i].hash, old[k]), "an old message is not sent again");
	cr_expect(eq(u32, sends.n - before, 60), "each gets the newest keys, once");
	expect_bucket(0, 60, 20, 1);
	struct gm_core_status s = flow_status(r);
	cr_expect(eq(u64, s.confirmed, 60));
	cr_expect(eq(u64, s.late, 0));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(pace, old_keys_are_not_sent_again_once_newer_ones_are_on_their_way)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	join_some(r, 90);
	gm_dp_set_pace_for_all(r->dp, 20);
	w->pace.tokens = 0;
	w->pace.tokens_ns = gm_mem_now(r->net);
	r->mute = true;
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 2000);
	unsigned before = sends.n;
	cr_assert(ge(u32, before, 38));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 5000);
	for (unsigned i = before; i < sends.n; i++)
		for (unsigned k = 0; k < before; k++)
			cr_assert(ne(u64, sends.at[i].hash, sends.at[k].hash), "message %u is sent again", k);
	flow_free(r);
}

Test(pace, lanes_are_left_by_members_that_go)
{
	struct gm_pace_prefix p = pace("127.1.0.0/25", 2, 1);
	struct flow *r = flow_with(2, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 20);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 20);
	for (unsigned i = 4; i < 20; i++)
		cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_LEAVE)));
	flow_run(r, 40000);
	cr_expect(eq(u32, told(r, 0, 4, 2), 4), "the keys without the leavers");
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(eq(u64, s.waiting, 0));
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}

Test(pace, a_restart_of_members_at_other_addresses_moves_them_to_other_lanes)
{
	struct gm_pace_prefix p = pace("127.1.0.0/25", 1, 1);
	struct flow *r = flow_with(1, NULL, &p, 1);
	struct gm_pace_status s;

	join_some(r, 12);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 20);
	for (unsigned i = 0; i < 12; i++) {
		r->members[i].addr.ip[13] = 2; /* 127.2.0.0/16 */
		cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_KDC)));
	}
	flow_run(r, 1500); /* once what was at the head of the lane is passed */
	cr_expect(eq(u32, flow_at_version(r, 1), 12));
	cr_assert(gm_dp_pace(r->dp, 0, &s));
	cr_expect(le(u64, s.sent, 2));
	flow_free(r);
}

Test(pace, of_all_holds_from_the_moment_it_is_changed_while_a_walk_waits_for_it)
{
	struct flow *r = flow_new(2, NULL);

	join_some(r, 120);
	sends_watch(&sends, r);
	gm_dp_set_pace_for_all(r->dp, 20);
	for (unsigned i = 0; i < 2; i++)
		r->dp->worker[i]->pace.tokens_ns = gm_mem_now(r->net);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1000);
	unsigned slow = sends.n;
	cr_expect(ge(u32, slow, 18));
	cr_expect(le(u32, slow, 22));
	gm_dp_set_pace_for_all(r->dp, 40);
	flow_run(r, 1000);
	cr_expect(ge(u32, sends.n - slow, 38));
	cr_expect(le(u32, sends.n - slow, 42));
	gm_dp_set_pace_for_all(r->dp, 0);
	cr_expect(eq(u32, gm_dp_pace_for_all(r->dp), 0));
	flow_run(r, 10);
	cr_expect(eq(u32, flow_at_version(r, 1), 120), "no limit: all others at once");
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* Notices do not wait, those after them do; what they owe counts by the rate that is. */
Test(pace, of_all_that_falls_leaves_no_more_than_a_second_to_wait)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	join_some(r, 20);
	gm_dp_set_pace_for_all(r->dp, 20000);
	w->pace.tokens = -20000;
	w->pace.tokens_ns = w->now_ns;
	gm_dp_set_pace_for_all(r->dp, 10);
	sends_watch(&sends, r);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 900);
	cr_expect(eq(u32, sends.n, 0));
	flow_run(r, 1250);
	cr_expect(ge(u32, sends.n, 9));
	cr_expect(le(u32, sends.n, 12));
	flow_free(r);
}

/* So many members of one worker wait to be told again, at a pace of so many a second. */
static struct flow *waiting_at(unsigned rate, unsigned members)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	join_some(r, members);
	r->mute = true;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1900);
	gm_dp_set_pace_for_all(r->dp, rate);
	w->pace.tokens = 0;
	w->pace.tokens_ns = gm_mem_now(r->net);
	flow_run(r, 1200); /* all were due within 1.5 times ACK_TIMEOUT */
	cr_assert(ge(u32, w->pace.places.used, members / 2));
	return r;
}

Test(pace, of_all_lets_a_worker_sleep_while_a_lane_waits_for_it)
{
	struct flow *r = waiting_at(20, 60);
	struct worker *w = r->dp->worker[0];

	sends_watch(&sends, r);
	for (unsigned ms = 0; ms < 1000; ms++) {
		flow_turn(r);
		while (gm_worker_turn(w)) {}
		cr_assert(gt(u64, gm_worker_timeout_ns(w), 0), "after %u ms", ms);
	}
	cr_expect(ge(u32, sends.n, 18));
	cr_expect(le(u32, sends.n, 21));
	flow_free(r);
}

Test(pace, of_all_is_slept_for_as_long_as_a_message_takes_to_gather)
{
	struct flow *r = waiting_at(20, 60);
	struct worker *w = r->dp->worker[0];

	sends_watch(&sends, r);
	for (unsigned i = 0; i < 10; i++) {
		while (gm_worker_turn(w)) {}
		const unsigned before = sends.n;
		const uint64_t ns = gm_pace_sleep_ns(w);
		cr_assert(le(u64, ns, 50000000));
		for (uint64_t ms = 0; ms < ns / 1000000; ms++)
			flow_turn(r);
		cr_expect(eq(u32, sends.n, before), "nothing is missed");
		flow_run(r, 2);
		cr_expect(eq(u32, sends.n, before + 1));
	}
	flow_free(r);
}

Test(pace, of_all_holds_from_the_moment_it_is_changed_while_a_lane_waits_for_it)
{
	struct flow *r = waiting_at(1, 60);
	struct worker *w = r->dp->worker[0];
	const unsigned waiting = w->pace.places.used;

	w->pace.tokens = -1;
	flow_turn(r);
	sends_watch(&sends, r);
	gm_dp_set_pace_for_all(r->dp, 0);
	cr_expect(eq(u64, gm_worker_timeout_ns(w), 0));
	flow_run(r, 5);
	cr_expect(ge(u32, sends.n, waiting), "no limit: all at once");
	flow_free(r);
}
