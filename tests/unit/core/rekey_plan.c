/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core_rig.h"
#include "wire/cbor.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;
static struct gm_group_spec spec;

static void start(void)
{
	rig_start(&rig, 2);
	spec = rig_group_spec("g1");
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(rekey, .init = start, .fini = stop);

static void make(void)
{
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static struct rig_answer leave(struct rig_client *c)
{
	struct rig_request q = {.method = 4,
	                        .res = GM_RES_NODE,
	                        .group = "g1",
	                        .node =
	                            rig_mirror_of(&rig, c->ctx, "g1") ? rig_mirror_of(&rig, c->ctx, "g1")->node : "x"};
	char node[17];

	snprintf(node, sizeof(node), "%s", q.node);
	q.node = node;
	return rig_request(&rig, c, &q);
}

static uint64_t version(void)
{
	return rig_info(&rig, "g1").version;
}

static const char *state(void)
{
	return rig_info(&rig, "g1").state;
}

Test(rekey, follows_a_leave_after_the_window)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_member(&rig, 2, "g1", REQ);
	uint8_t sid = rig_mirror_of(&rig, a.ctx, "g1")->sid[0];
	struct gm_group_view before = rig.view[0];
	struct rig_answer gone = leave(&a);

	cr_expect_eq(gone.code, GM_COAP(2, 2));
	cr_expect_eq(gone.flags, GM_REPLY_SAVE);
	cr_expect_null(rig_mirror_of(&rig, a.ctx, "g1"));
	rig_pass(&rig, 999);
	cr_expect_eq(version(), 0u);
	rig_pass(&rig, 1);
	cr_expect_eq(version(), 1u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_GROUP), 2u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 2u, "one for each worker");
	cr_expect_neq(memcmp(before.ms, rig.view[0].ms, 16), 0);
	cr_expect_neq(memcmp(before.salt, rig.view[0].salt, 8), 0);
	cr_expect_eq(memcmp(before.gid, rig.view[0].gid, 3), 0);
	cr_expect_eq(rig.view[0].gid[6], before.gid[6] + 1);
	const struct gm_eff_rekey *e = rig_effect(&rig, GM_EFF_REKEY, 0);
	struct gm_keying_map map;
	cr_assert_eq(gm_keying_decode(gm_rec_bytes(e, e->body_post), &map), GM_E_OK);
	cr_expect_eq(map.num, 1);
	cr_expect_eq(memcmp(map.ms.p, rig.view[0].ms, 16), 0);
	cr_expect_not(map.has_params);
	cr_assert_eq(map.stale.n, 3u);
	cr_expect_eq(map.stale.p[2], sid, "the leaver is named");
	cr_assert_eq(gm_keying_decode(gm_rec_bytes(e, e->body_obs), &map), GM_E_OK);
	cr_expect(map.has_params);
	cr_expect_eq(rig_mirror_of(&rig, b.ctx, "g1") != NULL, true);
}

Test(rekey, windows_gather_leaves_up_to_a_deadline)
{
	struct rig_client c[10];

	make();
	for (unsigned i = 0; i < 10; i++)
		c[i] = rig_member(&rig, i, "g1", REQ);
	for (unsigned i = 0; i < 6; i++) {
		leave(&c[i]);
		cr_expect_eq(version(), 0u);
		rig_pass(&rig, 900);
	}
	cr_expect_eq(version(), 1u, "the deadline ended it");
	cr_expect_eq(rig_info(&rig, "g1").members, 4u);
}

Test(rekey, never_runs_twice_at_once)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_member(&rig, 2, "g1", REQ);
	struct rig_client c = rig_member(&rig, 3, "g1", REQ);

	(void)c;
	leave(&a);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 1u);
	cr_expect_str_eq(state(), "distributing");
	leave(&b);
	rig_pass(&rig, 10000);
	cr_expect_eq(version(), 1u, "waits for the walk");
	rig_delivered(&rig, "g1", true);
	cr_expect_eq(rig_info(&rig, "g1").confirmed, 1u);
	cr_expect_eq(rig_info(&rig, "g1").waiting, 0u);
	rig_pass(&rig, 0);
	cr_expect_eq(version(), 2u);
}

Test(rekey, waits_thirty_seconds_for_a_walk_and_no_more)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_member(&rig, 2, "g1", REQ);

	rig_member(&rig, 3, "g1", REQ);
	leave(&a);
	rig_pass(&rig, 1000);
	leave(&b);
	rig_pass(&rig, 29999);
	cr_expect_eq(version(), 1u);
	rig_pass(&rig, 1);
	cr_expect_eq(version(), 2u);
}

Test(rekey, a_compromise_waits_for_nothing)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);

	rig_member(&rig, 2, "g1", REQ);
	leave(&a);
	rig_pass(&rig, 1000);
	cr_expect_str_eq(state(), "distributing");
	rig_turn(&rig);
	cr_expect_eq(gm_core_rekey(rig.core, &rig.txn, "g1", true), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(version(), 2u);
	rig_turn(&rig);
	cr_expect_eq(gm_core_rekey(rig.core, &rig.txn, "g1", false), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(version(), 2u, "an ordinary one does");
	cr_expect_eq(gm_core_rekey(rig.core, &rig.txn, "g9", false), GM_E_UNKNOWN);
}

Test(rekey, of_an_empty_group_is_owed_to_the_next_who_joins)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);

	leave(&a);
	rig_pass(&rig, 20000);
	cr_expect_eq(version(), 0u);
	rig_restart(&rig);
	rig_pass(&rig, 20000);
	cr_expect_eq(version(), 0u);
	rig_member(&rig, 2, "g1", REQ);
	cr_expect_eq(version(), 1u);
	cr_expect_str_eq(state(), "idle");
}

Test(rekey, owed_before_a_stop_happens_after_it)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);

	rig_member(&rig, 2, "g1", REQ);
	leave(&a);
	rig_restart(&rig);
	rig_pass(&rig, 0);
	cr_expect_eq(version(), 1u);
}

Test(rekey, of_every_group_follows_a_start_where_that_is_asked_for)
{
	make();
	rig_member(&rig, 1, "g1", REQ);
	rig.config.rekey_at_start = true;
	rig_restart(&rig);
	cr_expect_eq(version(), 0u, "not at once: the window is for those that come meanwhile");
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 1u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 2u);
}

Test(rekey, interrupted_by_a_stop_is_walked_again)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);

	rig_member(&rig, 2, "g1", REQ);
	leave(&a);
	rig_pass(&rig, 1000);
	rig_restart(&rig);
	cr_expect_eq(version(), 1u, "a restart alone does not rekey");
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 2u);
	rig_delivered(&rig, "g1", true);
	rig_restart(&rig);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 0u);
}

Test(rekey, keeps_the_newest_stale_sets)
{
	struct rig_client keep;

	make();
	keep = rig_member(&rig, 99, "g1", REQ);
	for (unsigned i = 0; i < 5; i++) {
		struct rig_client c = rig_member(&rig, i, "g1", REQ);
		leave(&c);
		rig_pass(&rig, 1000);
		rig_delivered(&rig, "g1", true);
		if (i == 3)
			rig_restart(&rig);
	}
	cr_expect_eq(version(), 5u);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 3u);
	uint8_t v = 3;
	struct rig_request q = {.method = 5, .res = GM_RES_STALE_SIDS, .group = "g1", .payload = {&v, 1}};
	struct rig_answer a = rig_request(&rig, &keep, &q);
	cr_expect_eq(a.code, GM_COAP(2, 5));
	cr_expect_eq(a.format, 60);
	cr_expect_eq(a.payload.n, 1 + 2 * 2u, "the sets of 3, 4 and 5");
	v = 2;
	a = rig_request(&rig, &keep, &q);
	cr_expect_eq(a.code, GM_COAP(2, 5));
	cr_expect_eq(a.payload.n, 0u, "purge everything");
	v = 5;
	cr_expect_eq(rig_request(&rig, &keep, &q).code, GM_COAP(4, 0));
	unsigned groups = 0;
	for (size_t i = 0; i < rig.records; i++)
		groups += rig.record[i].table == GM_TABLE_GROUP;
	cr_expect_eq(groups, 1 + 2u, "records of dropped sets are gone");
}

Test(rekey, comes_by_schedule_and_before_the_keys_end)
{
	spec.rekey_every_s = 3600;
	spec.key_lifetime_s = 7200;
	make();
	rig_member(&rig, 1, "g1", REQ);
	rig_pass(&rig, 3599000);
	cr_expect_str_eq(state(), "idle");
	rig_pass(&rig, 1000);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 1u);
	cr_expect_str_eq(rig_info(&rig, "g1").last_reason, "schedule");

	struct gm_group_spec other = rig_group_spec("g2");
	other.key_lifetime_s = 1000;
	cr_assert_eq(rig_group(&rig, &other), GM_E_OK);
	rig_member(&rig, 2, "g2", REQ);
	rig_pass(&rig, 900000);
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g2").version, 1u);
	cr_expect_str_eq(rig_info(&rig, "g2").last_reason, "keys-end");
	cr_expect_gt(rig_info(&rig, "g2").exp, rig.wall_s + 990);
}

Test(rekey, tells_when_it_has_to_be_woken)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);

	rig_member(&rig, 2, "g1", REQ);
	cr_expect_gt(gm_core_next_ms(rig.core, rig.mono_ms, rig.wall_s), 1000u * 3600);
	leave(&a);
	cr_expect_eq(gm_core_next_ms(rig.core, rig.mono_ms, rig.wall_s), 1000u);
	cr_expect_eq(gm_core_next_ms(rig.core, rig.mono_ms + 5000, rig.wall_s), 0u);
}

/* ---- backward security */

static struct rig_client held(unsigned n, uint32_t roles, const char *cred)
{
	struct rig_client c = rig_client(n, "g1", roles);
	struct rig_join j = {.group = "g1", .roles = roles, .cred = cred};

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j).type, 0);
	return c;
}

static struct gm_keying_map told(bool obs)
{
	const struct gm_eff_rekey *e = rig_effect(&rig, GM_EFF_REKEY, 0);
	struct gm_keying_map map;

	cr_assert_not_null(e);
	cr_assert_eq(gm_keying_decode(gm_rec_bytes(e, obs ? e->body_obs : e->body_post), &map), GM_E_OK);
	return map;
}

/* Both messages name this many, in all three columns; 0: in none. */
static void expect_named(unsigned n)
{
	for (unsigned obs = 0; obs < 2; obs++) {
		struct gm_keying_map map = told(obs);
		struct gm_bytes column[] = {map.creds, map.peer_roles, map.peer_ids};
		for (unsigned i = 0; i < 3; i++) {
			struct gm_in in = gm_in_bytes(column[i]);
			if (n)
				cr_expect_eq(gm_cbor_array(&in), n);
			else
				cr_expect_null(column[i].p);
		}
	}
}

static bool names_sid(const struct rig_client *c)
{
	const struct rig_mirror *m = rig_mirror_of(&rig, c->ctx, "g1");
	struct gm_keying_map map = told(false);
	struct gm_in in = gm_in_bytes(map.peer_ids);

	for (uint64_t n = gm_cbor_array(&in); n; n--)
		if (gm_bytes_eq(gm_cbor_bstr(&in), (struct gm_bytes){m->sid, m->sid_n}))
			return true;
	return false;
}

Test(rekey, window_names_those_whom_it_let_in)
{
	struct rig_client c[3];

	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 9, "g1", REQ);
	for (unsigned i = 0; i < 3; i++)
		c[i] = held(i, i == 2 ? GM_ROLE_MONITOR : REQ, i == 2 ? NULL : "cred");
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g1").members, 4u);
	expect_named(2);
	cr_expect(names_sid(&c[0]) && names_sid(&c[1]));
	struct gm_keying_map map = told(false);
	cr_expect_eq(map.creds.p[1], 0x44);
	cr_expect_eq(memcmp(map.creds.p + 2, "cred", 4), 0);
	rig_restart(&rig);
	expect_named(0);
}

Test(rekey, each_names_the_newcomer)
{
	spec.backward = GM_BACKWARD_EACH;
	make();
	rig_member(&rig, 1, "g1", REQ);
	struct rig_client b = rig_member(&rig, 2, "g1", REQ);
	expect_named(1);
	cr_expect(names_sid(&b));
}

Test(rekey, names_nobody_where_more_than_eight_were_let_in)
{
	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 99, "g1", REQ);
	for (unsigned i = 0; i < 8; i++)
		held(i, REQ, "c");
	rig_pass(&rig, 1000);
	expect_named(8);
	rig_delivered(&rig, "g1", true);
	for (unsigned i = 0; i < 9; i++)
		held(100 + i, REQ, "c");
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 2u);
	expect_named(0);
}

Test(rekey, names_nobody_where_the_message_would_be_long)
{
	char cred[301], long_cred[421];

	memset(cred, 'c', 300);
	cred[300] = 0;
	memset(long_cred, 'l', 420);
	long_cred[420] = 0;
	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 99, "g1", REQ);
	held(1, REQ, cred);
	held(2, REQ, cred);
	rig_pass(&rig, 1000);
	expect_named(2);
	cr_expect_leq(((const struct gm_eff_rekey *)rig_effect(&rig, GM_EFF_REKEY, 0))->body_post.n, 900u);
	rig_delivered(&rig, "g1", true);
	held(3, REQ, cred);
	held(4, REQ, cred);
	held(5, REQ, cred);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 2u);
	expect_named(0);
	rig_delivered(&rig, "g1", true);
	held(6, REQ, long_cred);
	held(7, REQ, long_cred);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 3u);
	expect_named(0);
}

Test(rekey, after_a_leave_names_nobody)
{
	spec.backward = GM_BACKWARD_WINDOW;
	make();
	struct rig_client a = rig_member(&rig, 9, "g1", REQ);
	held(8, REQ, "c");
	rig_pass(&rig, 1000);
	rig_delivered(&rig, "g1", true);
	leave(&a);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 2u);
	expect_named(0);
}


Test(rekey, off_lets_newcomers_in_under_the_present_keys)
{
	make();
	rig_member(&rig, 1, "g1", REQ);
	rig_member(&rig, 2, "g1", REQ);
	cr_expect_eq(version(), 0u);
}

Test(rekey, each_rekeys_before_every_newcomer_is_answered)
{
	spec.backward = GM_BACKWARD_EACH;
	make();
	rig_member(&rig, 1, "g1", REQ);
	cr_expect_eq(version(), 0u, "nobody to be kept from");
	struct rig_client b = rig_member(&rig, 2, "g1", REQ);
	cr_expect_eq(version(), 1u);
	rig_member(&rig, 3, "g1", REQ);
	cr_expect_eq(version(), 2u);
	struct rig_join again = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};
	cr_expect_eq(rig_join(&rig, &b, &again).code, GM_COAP(2, 4));
	cr_expect_eq(version(), 2u, "a member that comes again knew the keys");
}

Test(rekey, window_answers_all_who_waited_after_one_rekey)
{
	struct rig_client c[3];
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 9, "g1", REQ);
	for (unsigned i = 0; i < 3; i++) {
		c[i] = rig_client(i, "g1", REQ);
		cr_assert_eq(rig_token(&rig, &c[i]), GM_E_OK);
		cr_expect_eq(rig_join(&rig, &c[i], &j).type, 0, "held");
		cr_expect(c[i].confirmed);
	}
	j.pop = GM_E_BAD_POP;
	struct rig_client bad = rig_client(7, "g1", REQ);
	cr_assert_eq(rig_token(&rig, &bad), GM_E_OK);
	cr_expect_eq(rig_join(&rig, &bad, &j).ace_id, 3, "refusals do not wait");
	cr_expect_eq(rig_info(&rig, "g1").members, 1u);
	rig_pass(&rig, 1000);
	cr_expect_eq(version(), 1u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 3u);
	cr_expect_eq(rig_info(&rig, "g1").members, 4u);
	cr_expect_eq(rig_info(&rig, "g1").waiting, 1u, "newcomers have the keys in their answers");
}

Test(rekey, one_who_waits_and_asks_again_becomes_one_member)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	spec.backward = GM_BACKWARD_WINDOW;
	make();
	struct rig_client only = rig_member(&rig, 9, "g1", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	rig_join(&rig, &c, &j);
	leave(&only);
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	const struct gm_eff_reply *older = rig_effect(&rig, GM_EFF_REPLY, 0);
	cr_assert_not_null(older);
	cr_expect_eq(older->code, GM_COAP(5, 3));
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 1u);
	cr_expect_eq(version(), 1u);
	cr_expect_eq(rig_info(&rig, "g1").members, 1u);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, 0u);
}

Test(rekey, a_group_deleted_takes_those_who_waited_along)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 9, "g1", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	rig_join(&rig, &c, &j);
	rig_turn(&rig);
	cr_expect_eq(gm_core_group_delete(rig.core, &rig.txn, "g1"), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(((const struct gm_eff_evict *)rig_effect(&rig, GM_EFF_EVICT, 0))->err, GM_E_GROUP_DELETED);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REPLY), 1u);
	rig_pass(&rig, 10000);
	cr_expect_eq(rig.mirrors, 0u);
	rig_restart(&rig);
	cr_expect_null(rig_info(&rig, "g1").name);
}
