/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"

#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER
#define MON GM_ROLE_MONITOR

static struct core_rig rig;

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	rig_start(&rig, 3);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(join, .init = start, .fini = stop);

static struct rig_join good(void)
{
	return (struct rig_join){.group = "g1", .roles = REQ, .cred = "credential"};
}

static struct rig_client with_token(unsigned n, uint32_t roles)
{
	struct rig_client c = rig_client(n, "g1", roles);

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	return c;
}

static unsigned members(void)
{
	return rig_info(&rig, "g1").members;
}

static void expect_refused(struct rig_client *c, const struct rig_join *j, uint8_t code, int ace_id, int format)
{
	unsigned before = members();
	struct rig_answer a = rig_join(&rig, c, j);

	cr_expect_eq(a.type, GM_EFF_REPLY);
	cr_expect_eq(a.code, code, "%u.%02u", a.code >> 5, a.code & 31);
	cr_expect_eq(a.ace_id, ace_id);
	cr_expect_eq(a.format, format);
	cr_expect_eq(members(), before);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, 0u);
}

Test(join, lets_a_newcomer_in_and_tells_the_worker_first)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();
	struct rig_answer a = rig_join(&rig, &c, &j);
	const struct rig_mirror *m = rig_mirror_of(&rig, c.ctx, "g1");

	cr_assert_eq(a.type, GM_EFF_JOINED);
	cr_expect_eq(a.code, GM_COAP(2, 1));
	cr_assert_not_null(m);
	cr_expect_eq(m->sid_n, 1);
	cr_expect_eq(strlen(m->node), 8u);
	cr_expect_eq(m->delivery, GM_DELIVER_POLL);
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 1u);
}

Test(join, gives_a_member_that_comes_again_a_new_sender_id_and_its_old_name)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_mirror before = *rig_mirror_of(&rig, c.ctx, "g1");
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};
	struct rig_answer a = rig_join(&rig, &c, &j);
	const struct rig_mirror *after = rig_mirror_of(&rig, c.ctx, "g1");

	cr_expect_eq(a.code, GM_COAP(2, 4));
	cr_expect_str_eq(after->node, before.node);
	cr_expect_eq(after->slot, before.slot);
	cr_expect_neq(after->sid[0], before.sid[0]);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, 1u);
	cr_expect_eq(members(), 1u);
}

Test(join, without_a_group_in_the_token_is_4_03)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();

	j.group = "g2";
	expect_refused(&c, &j, GM_COAP(4, 3), -1, -1);
}

Test(join, of_a_group_that_is_not_there_is_4_04_for_those_who_may)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();

	rig_scope_add(&c, "g2", REQ);
	j.group = "g2";
	expect_refused(&c, &j, GM_COAP(4, 4), -1, -1);
}

Test(join, as_a_verifier_is_4_03)
{
	struct rig_client c = with_token(1, GM_ROLE_VERIFIER);
	struct rig_join j = good();

	expect_refused(&c, &j, GM_COAP(4, 3), -1, -1);
}

Test(join, of_an_inactive_group_is_5_03_error_9_before_anything_else)
{
	struct gm_group_spec spec = rig_group_spec("idle");
	struct rig_client c = rig_client(1, "idle", REQ);
	struct rig_join j = {.group = "idle", .roles = REQ, .parse = GM_E_BAD_JOIN};

	spec.active = false;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	expect_refused(&c, &j, GM_COAP(5, 3), 9, 257);
}

Test(join, that_is_malformed_is_4_00_with_what_a_joiner_has_to_know)
{
	struct rig_client c = with_token(1, REQ | MON);
	struct rig_join parse = good(), name = good(), roles = good(), nonce = good();

	parse.parse = GM_E_BAD_JOIN;
	expect_refused(&c, &parse, GM_COAP(4, 0), -1, 261);
	name.scope_name = "g2";
	expect_refused(&c, &name, GM_COAP(4, 0), -1, 261);
	roles.roles = REQ | MON;
	expect_refused(&c, &roles, GM_COAP(4, 0), -1, 261);
	nonce.no_cnonce = true;
	expect_refused(&c, &nonce, GM_COAP(4, 0), -1, 261);
}

Test(join, for_more_roles_than_the_token_has_is_4_03)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();

	j.roles = REQ | RESP;
	expect_refused(&c, &j, GM_COAP(4, 3), -1, -1);
}

Test(join, of_a_newcomer_needs_credential_and_proof)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join no_cred = good(), no_proof = good(), empty = good();

	no_cred.cred = NULL;
	expect_refused(&c, &no_cred, GM_COAP(4, 0), -1, 261);
	no_proof.no_verify = true;
	expect_refused(&c, &no_proof, GM_COAP(4, 0), -1, 261);
	empty.cred = "";
	empty.no_verify = true;
	expect_refused(&c, &empty, GM_COAP(4, 0), -1, 261);
}

Test(join, with_a_credential_that_does_not_fit_is_error_2)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();

	j.cred_err = GM_E_BAD_CRED;
	j.pop = GM_E_BAD_POP;
	expect_refused(&c, &j, GM_COAP(4, 0), 2, 257);
}

Test(join, with_a_bad_or_an_empty_proof_is_error_3)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join bad = good(), empty = good();

	bad.pop = GM_E_BAD_POP;
	expect_refused(&c, &bad, GM_COAP(4, 0), 3, 257);
	empty.empty_verify = true;
	expect_refused(&c, &empty, GM_COAP(4, 0), 3, 257);
}

Test(join, judged_against_other_parameters_has_to_come_again)
{
	struct rig_client c = with_token(1, REQ);
	struct rig_join j = good();

	j.gen_off = 1;
	struct rig_answer a = rig_join(&rig, &c, &j);
	cr_expect_eq(a.code, GM_COAP(5, 3));
	cr_expect_eq(a.max_age, 1u);
}

Test(join, again_without_proof_takes_only_the_stored_credential)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join other = {.group = "g1", .roles = REQ, .cred = "another", .no_verify = true};
	struct rig_join same = {.group = "g1", .roles = REQ, .cred = "credential-1", .no_verify = true};
	struct rig_join absent = {.group = "g1", .roles = REQ, .no_verify = true};

	expect_refused(&c, &other, GM_COAP(4, 0), -1, 261);
	cr_expect_eq(rig_join(&rig, &c, &same).code, GM_COAP(2, 4));
	cr_expect_eq(rig_join(&rig, &c, &absent).code, GM_COAP(2, 4));
}

Test(join, as_a_monitor_needs_no_credential_and_gets_no_sender_id)
{
	struct rig_client c = with_token(1, MON);
	struct rig_join j = {.group = "g1", .roles = MON, .no_verify = true};

	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	cr_expect_eq(rig_mirror_of(&rig, c.ctx, "g1")->sid_n, 0);
}

Test(join, again_as_a_monitor_gives_the_sender_id_up)
{
	struct rig_client d = with_token(2, REQ | MON);
	struct rig_join j = good();
	cr_expect_eq(rig_join(&rig, &d, &j).code, GM_COAP(2, 1));
	j.roles = MON;
	cr_expect_eq(rig_join(&rig, &d, &j).code, GM_COAP(2, 4));
	cr_expect_eq(rig_mirror_of(&rig, d.ctx, "g1")->sid_n, 0);
	j.roles = REQ;
	j.no_verify = true;
	j.cred = "";
	cr_expect_eq(rig_join(&rig, &d, &j).code, GM_COAP(4, 0), "its credential is gone");
}

Test(join, refuses_with_5_03_while_the_disk_is_full_and_goes_on_with_what_there_is)
{
	struct rig_client member = rig_member(&rig, 1, "g1", REQ), waiting = with_token(2, REQ), late = rig_client(3, "g1", REQ);
	struct gm_group_spec spec = rig_group_spec("more");
	struct rig_join j = good();

	rig.disk_low = true;
	expect_refused(&waiting, &j, GM_COAP(5, 3), -1, -1);
	cr_expect_gt(rig_join(&rig, &waiting, &j).max_age, 0u);
	cr_expect_eq(rig_token(&rig, &late), GM_E_DISK_FULL);
	cr_expect_eq(rig_group(&rig, &spec), GM_E_DISK_FULL);
	cr_expect_eq(rig_request(&rig, &member, &(struct rig_request){.res = GM_RES_NUM, .method = 1, .group = "g1"}).code, GM_COAP(2, 5), "members read");
	rig.disk_low = false;
	cr_expect_eq(rig_join(&rig, &waiting, &j).code, GM_COAP(2, 1));
	cr_expect_eq(rig_token(&rig, &late), GM_E_OK);
}

Test(join, refuses_with_5_03_while_nobody_new_is_let_in)
{
	struct rig_client member = rig_member(&rig, 1, "g1", REQ), waiting = with_token(2, REQ), late = rig_client(3, "g1", REQ);
	struct rig_join j = good();

	gm_core_drain(rig.core, true);
	expect_refused(&waiting, &j, GM_COAP(5, 3), -1, -1);
	cr_expect_gt(rig_join(&rig, &waiting, &j).max_age, 0u);
	cr_expect_eq(rig_token(&rig, &late), GM_E_DRAINING);
	cr_expect_eq(rig_request(&rig, &member, &(struct rig_request){.res = GM_RES_NUM, .method = 1, .group = "g1"}).code, GM_COAP(2, 5), "members read");
	cr_expect_eq(rig_request(&rig, &member, &(struct rig_request){.res = GM_RES_NODE, .method = 4, .group = "g1", .node = rig_mirror_of(&rig, member.ctx, "g1")->node}).code,
	             GM_COAP(2, 2), "and leave");
	cr_expect(gm_core_drains(rig.core));
	gm_core_drain(rig.core, false);
	cr_expect_eq(rig_join(&rig, &waiting, &j).code, GM_COAP(2, 1));
	cr_expect_eq(rig_token(&rig, &late), GM_E_OK);
}

Test(join, refuses_with_5_03_when_sender_ids_run_out)
{
	struct gm_group_spec spec = rig_group_spec("tiny");

	rig.config.members_max = 1000;
	spec.max_members = 100;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	struct rig_client c = rig_member(&rig, 1, "tiny", REQ);
	struct rig_join again = {.group = "tiny", .roles = REQ, .cred = "", .no_verify = true};
	for (unsigned i = 1; i < 256; i++)
		cr_assert_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
	/* the space is burned: a rekey opens it, in the same turn */
	cr_expect_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
	cr_expect_eq(rig_info(&rig, "tiny").version, 1u);
	/* and while that is being distributed there is no other */
	for (unsigned i = 2; i < 256; i++)
		cr_assert_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
	struct rig_answer a = rig_join(&rig, &c, &again);
	cr_expect_eq(a.code, GM_COAP(5, 3));
	cr_expect_eq(a.ace_id, 4);
}

Test(join, asks_for_a_rekey_when_three_quarters_are_burned)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join again = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};

	for (unsigned i = 1; i < 191; i++)
		cr_assert_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
	cr_expect_str_eq(rig_info(&rig, "g1").state, "idle");
	rig_join(&rig, &c, &again);
	cr_expect_str_eq(rig_info(&rig, "g1").state, "pending");
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g1").version, 1u);
}

Test(join, stops_at_the_groups_size)
{
	struct gm_group_spec spec = rig_group_spec("two");
	struct rig_client c = rig_client(3, "two", REQ);
	struct rig_join j = {.group = "two", .roles = REQ, .cred = "x"};

	spec.max_members = 2;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 1, "two", REQ);
	rig_member(&rig, 2, "two", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	expect_refused(&c, &j, GM_COAP(5, 3), -1, -1);
}

static unsigned creds_n(struct gm_bytes pairs)
{
	return pairs.n > 1 && (pairs.p[1] & 0xe0) == 0x80 ? pairs.p[1] & 0x1fu : 99;
}

Test(join, hands_out_the_credentials_a_role_has_use_for)
{
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c", .get_creds = GM_CREDS_NEEDED};
	struct rig_client c = with_token(9, REQ | RESP | MON);

	rig_member(&rig, 1, "g1", REQ);
	rig_member(&rig, 2, "g1", RESP);
	rig_member(&rig, 3, "g1", REQ | RESP);
	cr_expect_eq(creds_n(rig_join(&rig, &c, &j).creds), 2u, "a requester needs responders");
	j.roles = RESP;
	cr_expect_eq(creds_n(rig_join(&rig, &c, &j).creds), 2u, "a responder needs requesters");
	j.roles = REQ | RESP;
	cr_expect_eq(creds_n(rig_join(&rig, &c, &j).creds), 3u, "never its own");
	j.get_creds = GM_CREDS_ROLES;
	j.role_filter_n = 1;
	j.role_filter[0] = REQ | RESP;
	cr_expect_eq(creds_n(rig_join(&rig, &c, &j).creds), 1u, "both roles within one element");
	j.get_creds = GM_CREDS_NO;
	cr_expect_null(rig_join(&rig, &c, &j).creds.p);
}

Test(join, large_sets_of_credentials_travel_beside_the_ring)
{
	char cred[1500];
	struct rig_join j = {.group = "g1", .roles = REQ | RESP, .cred = cred};

	memset(cred, 'x', sizeof(cred));
	cred[sizeof(cred) - 1] = 0;
	for (unsigned i = 0; i < 8; i++) {
		struct rig_client c = with_token(i, REQ | RESP);
		cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	}
	struct rig_client c = with_token(20, REQ | RESP);
	j.get_creds = GM_CREDS_NEEDED;
	struct rig_answer a = rig_join(&rig, &c, &j);
	cr_expect_eq(creds_n(a.creds), 8u);
	cr_expect_gt(a.creds.n, 8192u);
	cr_expect_not_null(((const struct gm_eff_joined *)rig_effect(&rig, GM_EFF_JOINED, 0))->creds_blob);
}

Test(join, never_gives_a_sender_id_twice_under_a_gid_whatever_stops_between)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join again = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};

	for (unsigned i = 1; i < 190; i++) {
		cr_assert_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
		if (i % 10 == 0)
			rig_restart(&rig);
	}
	cr_expect_eq(rig_info(&rig, "g1").version, 0u);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, 189u);
}
