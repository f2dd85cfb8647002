/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of revoked tokens, RFC 9770: what is asked when, and what becomes of what was listed. requirements R-044 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_rig.h"
#include "wire/cbor.h"

#define REQ GM_ROLE_REQUESTER
#define AS 2u

static struct core_rig rig;
static struct rig_client client;
static char logged[1 << 16];

static void keep_log(const char *line)
{
	size_t n = strlen(logged);

	snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");
	struct gm_as_spec as = rig_as_spec("as2");

	rig_start(&rig, 2);
	rig.config.log = keep_log;
	rig_restart(&rig);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	strcpy(as.trl, "trl");
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
	client = rig_client(1, "g1", REQ);
	logged[0] = 0;
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(trl, .init = start, .fini = stop);

/* ---- bodies, written by hand */

static uint8_t bytes[65536];
static struct gm_out out;

static void put_hashes(unsigned first, unsigned n)
{
	gm_cbor_put_array(&out, n);
	for (unsigned i = first; i < first + n; i++) {
		struct rig_client c = {.as_id = AS, .osc_id = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 7}};
		gm_cbor_put_bstr(&out, rig_hash(&c).p, 33); /* of the token of rig_client(i) */
	}
}

static void put_cursor(int cursor) /* -1: null, -2: absent */
{
	if (cursor > -2)
		gm_cbor_put_uint(&out, 2);
	if (cursor == -1)
		gm_cbor_put_null(&out);
	else if (cursor >= 0)
		gm_cbor_put_uint(&out, (uint64_t)cursor);
}

static struct gm_bytes full(unsigned first, unsigned n, int cursor)
{
	out = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_map(&out, cursor == -2 ? 1 : 2);
	gm_cbor_put_uint(&out, 0);
	put_hashes(first, n);
	put_cursor(cursor);
	return gm_out_result(&out);
}

/* One entry that adds n hashes; n 0: no entry. removed: they are taken off instead */
static struct gm_bytes diff(unsigned first, unsigned n, int cursor, bool more, bool removed)
{
	out = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_map(&out, cursor == -2 ? 1 : 3);
	gm_cbor_put_uint(&out, 1);
	gm_cbor_put_array(&out, n ? 1 : 0);
	if (n) {
		gm_cbor_put_array(&out, 2);
		put_hashes(first, removed ? n : 0);
		put_hashes(first, removed ? 0 : n);
	}
	put_cursor(cursor);
	if (cursor > -2) {
		gm_cbor_put_uint(&out, 3);
		gm_cbor_put_bool(&out, more);
	}
	return gm_out_result(&out);
}

/* ---- asks and answers */

static struct gm_eff_ask latest; /* the ask that is out */
static char query[64], path[64];

static bool asks(void)
{
	const struct gm_eff_ask *e;
	bool some = false;

	for (unsigned i = 0; (e = rig_ask(&rig, i)); i++) {
		if (e->observe == 2)
			continue;
		struct gm_bytes q = gm_rec_bytes(e, e->query), p = gm_rec_bytes(e, e->path);
		latest = *e;
		snprintf(query, sizeof(query), "%.*s", (int)q.n, q.p ? (const char *)q.p : "");
		snprintf(path, sizeof(path), "%.*s", (int)p.n, (const char *)p.p);
		some = true;
	}
	return some;
}

static void answer_as(uint32_t ask, struct gm_bytes body, bool observed)
{
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = ask, .code = GM_COAP(2, 5), .format = 262,
	                                          .payload = body, .observed = observed});
}

static void answer(struct gm_bytes body)
{
	answer_as(latest.ask, body, latest.observe);
}

static unsigned revoked(void)
{
	struct gm_core_status s;

	gm_core_status(rig.core, &s);
	return s.revoked;
}

static struct gm_as_info info;

static bool take_as(void *arg, const struct gm_as_info *i)
{
	(void)arg;
	if (i->id == AS)
		info = *i;
	return true;
}

static const char *state(void)
{
	info = (struct gm_as_info){0};
	gm_core_ases(rig.core, take_as, NULL);
	cr_assert(info.trl_state);
	return info.trl_state;
}

/* Until the timer's ask is there. */
static bool wait_ask(uint64_t ms)
{
	for (uint64_t at = 0; at < ms; at += 500) {
		rig_pass(&rig, 500);
		if (asks())
			return true;
	}
	return false;
}

/* The full set, then the observation: where most tests begin. */
static void observing(unsigned first, unsigned n, int cursor)
{
	cr_assert(asks());
	answer(full(first, n, cursor));
	if (!asks()) {
		cr_assert(wait_ask(5000));
	}
	cr_assert_eq(latest.observe, 1);
	answer(diff(0, 0, cursor, false, false));
}

static struct rig_client member(unsigned n)
{
	struct rig_client c = rig_client(n, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "credential"};
	struct rig_token t;
	char cred[32];

	c.as_id = AS;
	snprintf(cred, sizeof(cred), "credential-%u", n);
	j.cred = cred;
	t = rig_token_of(&c);
	t.iss = "coap://as2";
	cr_assert_eq(rig_token_post(&rig, &t)->err, GM_E_OK);
	c.ctx = GM_CTX_ID(n, 0, 1);
	cr_assert_eq(rig_join(&rig, &c, &j).type, GM_EFF_JOINED);
	return c;
}

static enum gm_err post_again(const struct rig_client *c)
{
	struct rig_token t = rig_token_of(c);

	t.iss = "coap://as2";
	return (enum gm_err)rig_token_post(&rig, &t)->err;
}

/* ---- what is asked */

Test(trl, is_read_in_full_and_then_observed_from_the_cursor_on)
{
	cr_assert(asks());
	cr_expect_eq(latest.as_id, AS);
	cr_expect_eq(latest.rec.worker, AS % 2);
	cr_expect_eq(latest.method, 1);
	cr_expect_eq(latest.observe, 0);
	cr_expect_str_eq(path, "trl");
	cr_expect_str_eq(query, "");
	cr_expect_str_eq(state(), "starting");
	answer(full(1, 3, 42));
	cr_expect_eq(revoked(), 3u);
	cr_assert(asks() || wait_ask(1000));
	cr_expect_eq(latest.observe, 1);
	cr_expect_str_eq(query, "diff=64&cursor=42");
	answer(diff(0, 0, 42, false, false));
	cr_expect_str_eq(state(), "observing");
	cr_expect_eq(info.trl_listed, 3u);
	cr_expect(info.has_cursor && info.cursor == 42);
	cr_expect_eq(info.trl_full_at, rig.wall_s);
}

Test(trl, of_a_server_without_cursors_is_observed_without_one)
{
	cr_assert(asks());
	answer(full(1, 3, -2));
	cr_assert(asks() || wait_ask(1000));
	cr_expect_str_eq(query, "diff=64");
	answer(diff(1, 3, -2, false, false));
	cr_expect_eq(revoked(), 3u, "they were known");
	cr_expect_str_eq(state(), "observing");
}

Test(trl, of_a_server_without_diff_queries_is_observed_in_full)
{
	cr_assert(asks());
	answer(full(1, 1, -2));
	cr_assert(asks() || wait_ask(1000));
	answer(full(1, 1, -2));
	cr_expect_str_eq(state(), "observing");
	answer_as(latest.ask, full(1, 2, -2), true);
	cr_expect_eq(revoked(), 2u);
	cr_expect_not(wait_ask(10000), "nothing is asked before a minute is over");
}

Test(trl, observation_is_made_anew_each_minute_with_the_newest_cursor)
{
	observing(1, 1, 5);
	uint32_t old = latest.ask;
	answer_as(latest.ask, diff(2, 1, 6, false, false), true);
	cr_expect_eq(revoked(), 2u);
	rig_pass(&rig, 60000);
	const struct gm_eff_ask *end = rig_ask(&rig, 0);
	cr_assert_not_null(end);
	cr_expect_eq(end->observe, 2);
	cr_expect_eq(end->ask, old);
	cr_assert(asks());
	cr_expect_neq(latest.ask, old);
	cr_expect_str_eq(query, "diff=64&cursor=6");
}

Test(trl, more_changes_than_one_answer_holds_are_asked_for_at_once)
{
	observing(1, 1, 5);
	answer_as(latest.ask, diff(2, 1, 6, true, false), true);
	cr_assert(asks() || wait_ask(1000));
	cr_expect_str_eq(query, "diff=64&cursor=6");
	answer(diff(3, 1, 7, false, false));
	cr_expect_eq(revoked(), 3u);
	cr_expect_str_eq(state(), "observing");
}

Test(trl, null_as_cursor_and_more_ask_for_the_full_set)
{
	observing(1, 1, 5);
	answer_as(latest.ask, diff(0, 0, -1, true, false), true);
	cr_assert(asks() || wait_ask(3000));
	cr_expect_str_eq(query, "");
	cr_expect_eq(latest.observe, 0);
	answer(full(1, 4, 90));
	cr_expect_eq(revoked(), 4u);
	cr_assert(asks() || wait_ask(1000));
	cr_expect_str_eq(query, "diff=64&cursor=90");
	/* a server that says so each time is not asked all the time */
	answer(diff(0, 0, -1, true, false));
	unsigned n = 0;
	for (unsigned i = 0; i < 60; i++) {
		rig_pass(&rig, 1000);
		for (; asks() && n < 1000; n++)
			answer(latest.observe ? diff(0, 0, -1, true, false) : full(1, 4, 90));
	}
	cr_expect_lt(n, 70u, "%u asks in a minute", n);
}

Test(trl, is_read_in_full_each_hour)
{
	unsigned full_queries = 0;

	observing(1, 1, 5);
	for (unsigned i = 0; i < 2 * 3600 + 60; i++) {
		rig_pass(&rig, 1000);
		while (asks()) {
			full_queries += query[0] == 0;
			answer(query[0] ? diff(0, 0, 5, false, false) : full(1, 1, 5));
		}
	}
	cr_expect_eq(full_queries, 2u);
}

/* One notification after the other, as from a server that takes back many tokens one by one. */
Test(trl, changes_without_a_pause_put_off_neither_the_rest_of_them_nor_the_whole_list)
{
	unsigned full_queries = 0, n = 0;

	observing(1, 1, 5);
	answer_as(latest.ask, diff(2, 7, 13, false, false), true);
	bool asked = false;
	for (; n < 100 && !asked; n++) {
		answer_as(latest.ask, diff(2, 7, 13, true, false), true);
		rig_pass(&rig, 250);
		asked = asks();
	}
	cr_expect(asked);
	cr_expect_leq(n, 10u, "%u notifications", n);
	cr_expect_str_eq(query, "diff=64&cursor=13");
	answer(diff(9, 1, 14, false, false));
	for (unsigned i = 0; i < 2 * 3600 + 60; i++) {
		rig_pass(&rig, 1000);
		while (asks()) {
			full_queries += query[0] == 0;
			answer(query[0] ? diff(0, 0, 14, false, false) : full(1, 9, 14));
		}
		answer_as(latest.ask, diff(9, 1, 14, false, i & 1), true);
	}
	cr_expect_eq(full_queries, 2u);
}

Test(trl, silence_is_answered_with_a_full_query_later_and_later)
{
	uint64_t gap, last = 0;

	observing(1, 1, 5);
	rig_pass(&rig, 60000);
	cr_assert(asks());
	for (unsigned i = 0; i < 10; i++) {
		rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = latest.ask, .err = GM_E_BUSY});
		cr_expect_str_eq(state(), "failing");
		for (gap = 0; !asks(); gap += 500)
			rig_pass(&rig, 500);
		cr_expect_geq(gap, last);
		cr_expect_leq(gap, 300500u);
		cr_expect_str_eq(query, "", "it begins again with the full set");
		last = gap;
	}
	cr_expect_geq(last, 299000u);
	answer(full(1, 2, 8));
	cr_expect_eq(revoked(), 2u);
	cr_assert(asks() || wait_ask(1000));
	cr_expect_str_eq(query, "diff=64&cursor=8");
	answer(diff(0, 0, 8, false, false));
	cr_expect_str_eq(state(), "observing");
}

Test(trl, cursor_that_is_refused_is_given_up)
{
	static const uint8_t out_of_bound[] = {0xa1, 0x01, 0xa1, 0x00, 0x02};

	observing(1, 1, 500);
	rig_pass(&rig, 60000);
	cr_assert(asks());
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = latest.ask, .code = GM_COAP(4, 0), .format = 257,
	                                          .payload = {out_of_bound, sizeof(out_of_bound)}});
	cr_expect_not_null(strstr(logged, "error 2"));
	cr_assert(wait_ask(3000));
	cr_expect_str_eq(query, "");
}

Test(trl, that_cannot_be_read_changes_nothing)
{
	cr_assert(asks());
	struct gm_bytes good = full(1, 3, 42);
	good.n--;
	answer(good);
	cr_expect_eq(revoked(), 0u);
	cr_expect_str_eq(state(), "failing");
	cr_assert(wait_ask(3000));
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = latest.ask, .code = GM_COAP(2, 5), .format = 60,
	                                          .payload = full(1, 3, 42)});
	cr_expect_eq(revoked(), 0u, "another format");
	cr_assert(wait_ask(5000));
	answer(full(1, 3, 42));
	cr_expect_eq(revoked(), 3u);
}

Test(trl, that_is_too_large_is_followed_from_now_on_and_that_is_said)
{
	cr_assert(asks());
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = latest.ask, .err = GM_E_TOO_LARGE});
	cr_expect_not_null(strstr(logged, "trl.too_large"));
	cr_assert(wait_ask(3000));
	cr_expect_str_eq(query, "diff=64");
	cr_expect_eq(latest.observe, 1);
}

Test(trl, answers_for_nothing_any_more_are_ignored)
{
	cr_assert(asks());
	uint32_t old = latest.ask;
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = old, .err = GM_E_BUSY});
	answer_as(old, full(1, 3, 42), false);
	cr_expect_eq(revoked(), 0u);
	rig_answered(&rig, &(struct rig_answered){.as_id = 1, .ask = old, .code = GM_COAP(2, 5), .format = 262, .payload = full(1, 3, 42)});
	cr_expect_eq(revoked(), 0u, "nor those of a server without a list");
}

Test(trl, of_a_server_that_is_removed_is_asked_for_no_more)
{
	unsigned evicted;

	observing(1, 1, 5);
	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, "as2", &evicted), GM_E_OK);
	rig_turn_end(&rig);
	answer_as(latest.ask, diff(2, 1, 6, false, false), true);
	cr_expect_eq(revoked(), 0u, "its tokens are refused for another reason now");
	cr_expect_not(wait_ask(120000));
}

Test(trl, is_read_again_after_a_restart)
{
	observing(1, 2, 5);
	rig_restart(&rig);
	cr_expect_eq(revoked(), 2u);
	cr_assert(asks());
	cr_expect_str_eq(query, "");
	answer(full(1, 3, 9));
	cr_expect_eq(revoked(), 3u);
}

static bool stops(uint32_t number)
{
	const struct gm_eff_ask *e;

	for (unsigned i = 0; (e = rig_ask(&rig, i)); i++)
		if (e->observe == 2 && e->ask == number)
			return true;
	return false;
}

Test(trl, observation_that_began_with_nonsense_is_ended)
{
	cr_assert(asks());
	answer(full(1, 1, 5));
	cr_assert(asks() || wait_ask(5000));
	cr_assert_eq(latest.observe, 1);
	struct gm_bytes bad = diff(0, 0, 5, false, false);
	bad.n--;
	answer_as(latest.ask, bad, true);
	cr_expect_str_eq(state(), "failing");
	cr_expect(stops(latest.ask));
}

Test(trl, ask_that_nobody_answers_is_ended_where_it_waits)
{
	cr_assert(asks());
	uint32_t number = latest.ask;
	rig_pass(&rig, 299999);
	cr_expect_not(stops(number));
	rig_pass(&rig, 1);
	cr_expect(stops(number));
	cr_expect_str_eq(state(), "failing");
}

Test(trl, refusal_ends_an_ask_without_another_word)
{
	cr_assert(asks());
	rig_answered(&rig, &(struct rig_answered){.as_id = AS, .ask = latest.ask, .code = GM_COAP(4, 4), .format = -1});
	cr_expect_str_eq(state(), "failing");
	cr_expect_eq(rig_effects(&rig, GM_EFF_ASK), 0u);
}

/* ---- what becomes of it */

Test(trl, token_on_it_ends_the_membership_and_is_refused)
{
	observing(1, 0, -1);
	struct rig_client c = member(1), other = member(2);
	uint64_t version = rig_info(&rig, "g1").version;

	answer_as(latest.ask, diff(1, 1, 0, false, false), true);
	cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"));
	cr_expect_not_null(rig_mirror_of(&rig, other.ctx, "g1"));
	cr_expect_eq(rig_effects(&rig, GM_EFF_EVICT), 1u);
	cr_expect_gt(rig_info(&rig, "g1").version, version, "and the others have new keys");
	cr_expect_eq(post_again(&c), GM_E_TOKEN_REVOKED);
	cr_expect_eq(post_again(&other), GM_E_OK);
}

Test(trl, what_is_stored_already_is_not_written_again)
{
	observing(1, 900, 5);
	for (unsigned i = 0; i < 10; i++)
		rig_pass(&rig, 10);
	cr_assert_eq(revoked(), 900u);
	rig_pass(&rig, 3600 * 1000);
	cr_assert(asks());
	logged[0] = 0;
	answer(full(1, 901, 6));
	cr_expect_not_null(strstr(logged, "full=901 new=1\n"), "%s", logged);
	cr_expect_eq(revoked(), 901u);
}

Test(trl, long_list_is_carried_out_a_portion_a_turn)
{
	unsigned turns = 1, most;

	cr_assert(asks());
	answer(full(1, 1800, 5));
	most = revoked();
	cr_expect_leq(most, 256u);
	for (unsigned had = most; had < 1000 && turns < 100; turns++) {
		rig_pass(&rig, 1);
		unsigned now = revoked();
		most = now - had > most ? now - had : most;
		had = now;
		cr_expect(turns > 6 || !rig_ask(&rig, 0), "the next ask waits for it");
	}
	cr_expect_leq(most, 256u);
	cr_expect_eq(revoked(), 1000u, "as many as there may be contexts");
	cr_expect_not_null(strstr(logged, "TAKEN AGAIN"), "that some are forgotten is said");
}

Test(trl, full_table_forgets_the_earliest_and_puts_the_holder_out_nevertheless)
{
	struct rig_client c;

	observing(1000, 1000, 5);
	for (unsigned i = 0; i < 10; i++)
		rig_pass(&rig, 1);
	cr_assert_eq(revoked(), 1000u);
	c = member(1);
	logged[0] = 0;
	answer_as(latest.ask, diff(1, 1, 6, false, false), true);
	cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"));
	cr_expect_eq(post_again(&c), GM_E_TOKEN_REVOKED);
	cr_expect_eq(revoked(), 1000u);
	cr_expect_not_null(strstr(logged, "revoked.forgotten"));
	struct rig_client first = rig_client(1000, "g1", REQ), second = rig_client(1001, "g1", REQ);
	first.as_id = second.as_id = AS;
	cr_expect_eq(post_again(&first), GM_E_OK, "the earliest");
	cr_expect_eq(post_again(&second), GM_E_TOKEN_REVOKED);
	/* their order outlives a restart */
	struct rig_client third = member(2);
	rig_restart(&rig);
	cr_assert(asks());
	answer(full(2, 1, 7));
	cr_expect_null(rig_mirror_of(&rig, third.ctx, "g1"));
	struct rig_client next = rig_client(1002, "g1", REQ);
	next.as_id = AS;
	cr_expect_eq(post_again(&second), GM_E_OK);
	cr_expect_eq(post_again(&next), GM_E_TOKEN_REVOKED);
}

/* ---- one server's list is about its own tokens */

/* As full(), about tokens of another server. */
static struct gm_bytes full_of(uint32_t as_id, unsigned first, unsigned n)
{
	out = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_map(&out, 1);
	gm_cbor_put_uint(&out, 0);
	gm_cbor_put_array(&out, n);
	for (unsigned i = first; i < first + n; i++) {
		struct rig_client c = rig_client(i, "g1", REQ);
		c.as_id = as_id;
		gm_cbor_put_bstr(&out, rig_hash(&c).p, 33);
	}
	return gm_out_result(&out);
}

static enum gm_err revoke(const struct rig_client *c)
{
	unsigned evicted;

	rig_turn(&rig);
	enum gm_err err = gm_core_revoke(rig.core, &rig.txn, rig_hash(c), &evicted);
	rig_turn_end(&rig);
	return err;
}

Test(trl, of_one_server_says_nothing_about_tokens_of_another)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ); /* of as1 */

	rig_restart(&rig);
	cr_assert(asks());
	answer(full_of(1, 1, 2));
	cr_expect_eq(revoked(), 2u);
	cr_expect_not_null(rig_mirror_of(&rig, c.ctx, "g1"));
	struct rig_token t = rig_token_of(&c);
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_OK);
	rig_restart(&rig);
	cr_expect_eq(revoked(), 2u);
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_OK, "also after a stop");
	cr_expect_eq(revoke(&c), GM_E_OK);
	cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"), "the operator's word counts for all");
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_TOKEN_REVOKED);
}

Test(trl, that_is_long_takes_no_room_from_other_servers_and_the_operator)
{
	struct gm_as_spec as = rig_as_spec("as3");
	struct rig_client a = rig_client(1, "g1", REQ), b = rig_client(2, "g1", REQ);
	uint32_t longest;

	a.as_id = 3;
	cr_assert(asks());
	longest = latest.ask;
	strcpy(as.trl, "trl");
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
	cr_assert(asks());
	cr_assert_eq(latest.as_id, 3);
	rig_answered(&rig, &(struct rig_answered){.as_id = 3, .ask = latest.ask, .code = GM_COAP(2, 5), .format = 262,
	                                          .payload = full_of(3, 1, 5)});
	cr_assert_eq(revoke(&b), GM_E_OK);
	answer_as(longest, full(100, 1500, 5), false);
	for (unsigned i = 0; i < 10; i++)
		rig_pass(&rig, 1);
	cr_expect_eq(revoked(), 1001u, "as many of servers as there may be contexts");
	struct rig_token t = rig_token_of(&a);
	t.iss = "coap://as3";
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_TOKEN_REVOKED);
	t = rig_token_of(&b);
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_TOKEN_REVOKED);
}

Test(trl, bound_of_the_operators_own_hashes_is_said)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct rig_client c = rig_client(i, "g1", REQ);
		cr_assert_eq(revoke(&c), GM_E_OK);
	}
	struct rig_client c = rig_client(1000, "g1", REQ);
	cr_expect_eq(revoke(&c), GM_E_FULL);
	cr_expect_eq(revoked(), 1000u);
}

Test(trl, hash_that_is_taken_off_is_kept_until_the_token_was_seen_and_has_ended)
{
	struct rig_client c;

	observing(1, 0, -1);
	c = member(1);
	answer_as(latest.ask, diff(1, 2, 0, false, false), true);
	cr_assert_eq(revoked(), 2u);
	answer_as(latest.ask, diff(1, 2, 1, false, true), true);
	cr_expect_eq(revoked(), 2u, "one runs still, one was never seen");
	cr_expect_eq(post_again(&c), GM_E_TOKEN_REVOKED);
	rig_pass(&rig, (uint64_t)(c.exp - rig.wall_s) * 1000);
	cr_expect_eq(revoked(), 1u);
	struct rig_client unseen = rig_client(2, "g1", REQ);
	unseen.as_id = AS;
	cr_expect_eq(post_again(&unseen), GM_E_TOKEN_EXPIRED);
	cr_expect_eq(revoked(), 0u, "now it was seen");
}

Test(trl, of_a_hash_that_came_and_went_in_one_answer_nothing_is_kept)
{
	observing(1, 0, -1);
	out = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_map(&out, 3);
	gm_cbor_put_uint(&out, 1);
	gm_cbor_put_array(&out, 2);
	gm_cbor_put_array(&out, 2); /* the newest first: taken off */
	put_hashes(7, 1);
	put_hashes(8, 1);
	gm_cbor_put_array(&out, 2);
	put_hashes(0, 0);
	put_hashes(7, 1);
	put_cursor(3);
	gm_cbor_put_uint(&out, 3);
	gm_cbor_put_bool(&out, false);
	answer_as(latest.ask, gm_out_result(&out), true);
	cr_expect_eq(revoked(), 1u, "only the other");
}

Test(trl, makes_its_server_strict_unless_that_is_loose)
{
	struct gm_as_spec loose = rig_as_spec("as3");
	const struct gm_eff_as *e;

	strcpy(loose.trl, "trl");
	loose.loose = true;
	cr_assert_eq(rig_as(&rig, &loose), GM_E_OK);
	e = rig_effect(&rig, GM_EFF_AS, 0);
	cr_expect_not(e->strict);
	rig_restart(&rig);
	cr_assert(asks());
}

Test(trl, needs_a_link)
{
	struct gm_as_spec as = rig_as_spec("as3");

	strcpy(as.trl, "trl");
	as.link.ms_n = 0;
	cr_expect_eq(rig_as(&rig, &as), GM_E_USAGE);
	as.link.ms_n = 16;
	as.link.peer.port = 0;
	cr_expect_eq(rig_as(&rig, &as), GM_E_USAGE);
	as.link.peer.port = 5690;
	as.link.rid[0] = 0;
	cr_expect_eq(rig_as(&rig, &as), GM_E_USAGE, "both ends under one name");
}

/* ---- lists and new keys */

static struct rig_client member_of_many(unsigned n)
{
	static char cred[32];
	struct rig_join j = {.group = "large", .roles = REQ, .cred = cred};
	struct rig_client c = rig_client(n, "large", REQ);

	c.as_id = AS;
	snprintf(cred, sizeof(cred), "credential-%u", n);
	struct rig_token t = rig_token_of(&c);
	t.iss = "coap://as2";
	cr_assert_eq(rig_token_post(&rig, &t)->err, GM_E_OK);
	c.ctx = GM_CTX_ID(n % 256, n / 256, 1);
	cr_assert_eq(rig_join(&rig, &c, &j).type, GM_EFF_JOINED);
	return c;
}

Test(trl, all_that_a_list_names_are_out_before_there_are_new_keys)
{
	struct gm_group_spec spec = rig_group_spec("large");

	observing(1, 0, -1);
	spec.max_members = 1000;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	for (unsigned i = 1; i <= 300; i++)
		member_of_many(i);
	rig_pass(&rig, 10000);
	rig_delivered(&rig, "large", true);
	uint64_t version = rig_info(&rig, "large").version;
	answer_as(latest.ask, diff(1, 290, 0, false, false), true);
	cr_expect_gt(rig_info(&rig, "large").members, 10u, "a portion a turn");
	cr_expect_eq(rig_info(&rig, "large").version, version);
	rig_pass(&rig, 20);
	cr_expect_eq(rig_info(&rig, "large").members, 10u);
	cr_expect_eq(rig_info(&rig, "large").version, version + 1, "one rekey for all");
}

Test(trl, rekey_after_a_start_waits_a_while_for_the_list)
{
	observing(1, 0, -1);
	member(1);
	rig.config.rekey_at_start = true;
	rig_restart(&rig);
	cr_assert(asks());
	uint64_t version = rig_info(&rig, "g1").version;
	rig_pass(&rig, 1000);
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g1").version, version, "nothing was said yet");
	answer_as(latest.ask, full(1, 0, -1), false);
	rig_pass(&rig, 20);
	cr_expect_eq(rig_info(&rig, "g1").version, version + 1);
	rig_delivered(&rig, "g1", true);
	rig_restart(&rig);
	rig_pass(&rig, 1000);
	for (unsigned i = 0; i < 6; i++)
		rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g1").version, version + 2, "a silent server holds nothing up for long");
}
