/* SPDX-License-Identifier: Apache-2.0 */
/* Ends and changes as members see them: notices to observers, pace, secrets that stay out of the log. requirements R-007,
 * */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "rows_ask.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define REQ GM_ROLE_REQUESTER

static struct gm_member *joined(struct flow *r)
{
	struct gm_member *m = flow_member(r, REQ, false);

	cr_assert(flow_do(r, m, JOIN));
	return m;
}

static void observe(struct flow *r, struct gm_member *m, const char *path, struct reply *a)
{
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = path, .observe = true}, a));
	cr_assert(eq(u8, a->inner.code, GM_COAP(2, 5)));
	cr_expect(a->inner.has_observe && a->observe_outside);
}

Test(observer, of_the_group_gets_new_keys_and_the_stale_sender_ids)
{
	static const int labels[] = {7, 8, 9, 10, 11, 12, 34, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r), *leaver = joined(r);
	struct reply a;

	observe(r, m, "/ace-group/g1", &a);
	struct gm_bytes sid = {leaver->sid, leaver->sid_n};
	cr_assert(flow_do(r, leaver, GM_PLAN(GM_OP_LEAVE)));
	for (unsigned i = 0; i < 10 && !(await_reply(r, m, &a) && a.inner.has_observe); i++)
		;
	cr_assert(a.came && a.is_protected);
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.has_observe && a.observe_outside);
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 9), "\x01"));
	struct gm_in stale = gm_in_bytes(value_at(a.inner.payload, 34));
	cr_expect(gm_cbor_array(&stale) == 1);
	cr_expect(gm_bytes_eq(gm_cbor_bstr(&stale), sid));
	flow_free(r);
}

Test(observer, who_is_evicted_gets_4_04_error_5_without_observe)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r);
	struct reply a;
	char path[64];
	unsigned n;

	snprintf(path, sizeof path, "/ace-group/g1/nodes/%s", m->node);
	observe(r, m, path, &a);
	cr_assert(flow_evict(r, m->node, &n) == GM_E_OK);
	cr_assert(await_reply(r, m, &a));
	cr_expect(is_problem(&a, GM_COAP(4, 4), 5));
	cr_expect(not(a.inner.has_observe));
	flow_free(r);
}

Test(observer, of_a_group_that_is_deleted_gets_4_04_error_6_without_observe)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct reply a;

	observe(r, m, "/ace-group/g1", &a);
	cr_assert(gm_core_group_delete(r->core, &t, "g1") == GM_E_OK);
	cr_assert(await_reply(r, m, &a));
	cr_expect(is_problem(&a, GM_COAP(4, 4), 6));
	cr_expect(not(a.inner.has_observe));
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1"}, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 4)));
	flow_free(r);
}

Test(rekey_pace, bounds_what_is_sent_in_a_second)
{
	struct flow *r = flow_new(1, NULL);

	for (unsigned i = 0; i < 60; i++)
		cr_assert(flow_do(r, flow_member(r, REQ, true), JOIN));
	gm_dp_set_pace_for_all(r->dp, 20);
	r->mute = true;
	uint64_t before = r->to_members;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1000);
	uint64_t sent = r->to_members - before;
	cr_expect(le(u64, sent, 20 + 32), "%llu in the first second: a burst of 32 and 20 more", (unsigned long long)sent);
	cr_expect(ge(u64, sent, 20));
	r->mute = false;
	flow_run(r, 20000);
	cr_expect(eq(u32, flow_at_version(r, 1), 60));
	flow_free(r);
}

Test(sequence, of_a_member_begins_anew_with_new_keys_and_with_a_new_sender_id)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, REQ, true);

	cr_assert(flow_do(r, m, JOIN));
	m->group_seq = 77;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 1000);
	cr_assert(eq(u64, m->keys.version, 1));
	cr_expect(eq(u64, m->group_seq, 0));
	m->group_seq = 77;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_assert(eq(u64, m->keys.version, 1));
	cr_expect(eq(u64, m->group_seq, 0));
	flow_free(r);
}

/* ---- the log */

static char logged[65536];
static size_t logged_n;

static void keep(const char *line)
{
	logged_n += (size_t)snprintf(logged + logged_n, sizeof logged - logged_n, "%s\n", line);
	cr_assert(lt(sz, logged_n, sizeof logged));
}

/* Neither its bytes nor their digits in hex. */
static void expect_unlogged(const char *what, const uint8_t *secret, size_t n)
{
	char hex[2 * 8 + 1] = "";

	if (n < 8)
		return; /* the member has wiped it */
	for (size_t i = 0; i < 8; i++) /* a part of it would be bad enough */
		snprintf(hex + 2 * i, 3, "%02x", secret[i]);
	cr_expect_null(strcasestr(logged, hex), "%s is in the log", what);
	cr_expect_null(memmem(logged, logged_n, secret, 8), "%s is in the log", what);
}

static void expect_nothing_of(const struct gm_member *m)
{
	expect_unlogged("the Master Secret of a token", m->token_ms, sizeof m->token_ms);
	expect_unlogged("a Sender Key", m->oscore.send_key, sizeof m->oscore.send_key);
	expect_unlogged("a Recipient Key", m->oscore.recv_key, sizeof m->oscore.recv_key);
	expect_unlogged("a Common IV", m->oscore.common_iv, sizeof m->oscore.common_iv);
	expect_unlogged("a group's Master Secret", m->keys.ms, m->keys.ms_n);
	expect_unlogged("the Master Secret before", m->prev.ms, m->prev.ms_n);
	expect_unlogged("a token", m->token, m->token_n);
	expect_unlogged("a challenge", m->challenge, m->challenge_n);
}

Test(log, tells_of_decisions_and_refusals_and_no_secret)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m[3];
	struct reply a;
	unsigned n;

	r->core_config.log = keep;
	flow_restart(r, 1);
	for (unsigned i = 0; i < 3; i++) {
		m[i] = flow_member(r, REQ, true);
		cr_assert(flow_do(r, m[i], GM_PLAN(GM_OP_TOKEN)));
		cr_assert(ask_join(r, m[i], &(struct joining){.roles = REQ, .bad_proof = true}, &a));
		cr_assert(flow_do(r, m[i], GM_PLAN(GM_OP_JOIN)));
		cr_assert(eq(sz, m[i]->keys.ms_n, 16));
	}
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 3000);
	cr_assert(flow_evict(r, m[0]->node, &n) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(flow_do(r, m[1], GM_PLAN(GM_OP_LEAVE)));
	flow_run(r, 6000);
	flow_restart(r, 1);
	cr_expect_not_null(strstr(logged, "why=\"proof of possession does not verify\""), "the text of an error id");
	cr_expect_not_null(strstr(logged, "rekey.start"));
	for (unsigned i = 0; i < 3; i++)
		expect_nothing_of(m[i]);
	cr_expect(eq(u64, m[2]->keys.version, 3));
	flow_free(r);
}
