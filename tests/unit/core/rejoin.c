/* SPDX-License-Identifier: Apache-2.0 */
/* After a change that members have to come again for, newcomers wait for them. GA §6.6.2 */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core_rig.h"

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

TestSuite(rejoin, .init = start, .fini = stop);

static void make(void)
{
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static enum gm_err set_in(const char *group, struct gm_admin_map map)
{
	const char *why;

	map.policies = (struct gm_policies){-1, -1};
	rig_turn(&rig);
	enum gm_err err = gm_core_group_set(rig.core, &rig.txn, group, &map, &why);
	rig_turn_end(&rig);
	return err;
}

static enum gm_err set(struct gm_admin_map map)
{
	return set_in("g1", map);
}

/* ES256: everybody needs another credential */
static void change_signatures_in(const char *group)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_SIGN_ALG) | GM_ADMIN_BIT(GM_ADMIN_SIGN_PARAMS) |
	                                  GM_ADMIN_BIT(GM_ADMIN_ECDH_PARAMS),
	                           .sign_alg = -7,
	                           .sign_params = {2, 1},
	                           .ecdh_params = {2, 1}};

	cr_assert_eq(set_in(group, map), GM_E_OK);
	rig_delivered(&rig, group, true);
}

static void change_signatures(void)
{
	change_signatures_in("g1");
}

static struct rig_client token(unsigned n)
{
	struct rig_client c = rig_client(n, "g1", REQ);

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	return c;
}

static struct rig_answer join_in(struct rig_client *c, const char *group)
{
	struct rig_join j = {.group = group, .roles = REQ, .cred = "another"};

	return rig_join(&rig, c, &j);
}

static struct rig_answer join(struct rig_client *c)
{
	return join_in(c, "g1");
}

static struct rig_answer upload(struct rig_client *c)
{
	char node[17];
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "another", .upload_to = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c->ctx, "g1")->node);
	return rig_join(&rig, c, &j);
}

static struct rig_answer leave(struct rig_client *c)
{
	char node[17];
	struct rig_request q = {.method = 4, .res = GM_RES_NODE, .group = "g1", .node = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c->ctx, "g1")->node);
	return rig_request(&rig, c, &q);
}

static struct rig_client member_of_two_groups(unsigned n)
{
	struct gm_group_spec second = rig_group_spec("g2");
	struct rig_client c = rig_client(n, "g1", REQ);

	second.max_members = spec.max_members;
	cr_assert_eq(rig_group(&rig, &second), GM_E_OK);
	rig_scope_add(&c, "g2", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(join_in(&c, "g1").code, GM_COAP(2, 1));
	cr_assert_eq(join_in(&c, "g2").code, GM_COAP(2, 1));
	return c;
}

static bool is_member(const struct rig_client *c)
{
	return rig_mirror_of(&rig, c->ctx, "g1") != NULL;
}

Test(rejoin, lets_newcomers_in_when_all_members_have_come_again)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_member(&rig, 2, "g1", REQ);
	struct rig_client monitor = rig_member(&rig, 3, "g1", GM_ROLE_MONITOR), c = token(4), d = token(5);

	(void)monitor;
	change_signatures();
	cr_expect_eq(join(&c).type, 0, "held");
	cr_expect_eq(join(&d).type, 0, "held");
	cr_expect_eq(join(&a).code, GM_COAP(2, 4));
	rig_pass(&rig, 5000);
	cr_expect(!is_member(&c) && !is_member(&d), "one is missing");
	cr_expect_eq(upload(&b).code, GM_COAP(2, 4));
	rig_pass(&rig, 0);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 2u, "a monitor has nothing to bring");
	cr_expect(is_member(&c) && is_member(&d));
	struct rig_client e = token(6);
	cr_expect_eq(join(&e).code, GM_COAP(2, 1), "it is over");
}

Test(rejoin, keeps_newcomers_waiting_half_a_minute_and_no_more)
{
	make();
	rig_member(&rig, 1, "g1", REQ);
	struct rig_client c = token(4), d = token(5), e = token(6);

	change_signatures();
	cr_expect_eq(join(&c).type, 0);
	rig_pass(&rig, 20000);
	struct gm_admin_map back = {.has = GM_ADMIN_BIT(GM_ADMIN_CRED_FMT), .cred_fmt = 33};
	cr_expect_eq(set(back), GM_E_OK, "one more change does not make it longer");
	cr_expect_eq(join(&e).type, 0, "members have to come after it, too");
	rig_pass(&rig, 9999);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REPLY) + rig_effects(&rig, GM_EFF_JOINED), 0u);
	rig_pass(&rig, 1);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REPLY) + rig_effects(&rig, GM_EFF_JOINED), 2u, "answered");
	cr_expect_eq(join(&d).code, GM_COAP(2, 1), "who comes later does not wait");
}

Test(rejoin, is_not_waited_for_where_credentials_stay)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = 1};

	make();
	rig_member(&rig, 1, "g1", REQ);
	cr_assert_eq(set(map), GM_E_OK);
	struct rig_client c = token(4);
	cr_expect_eq(join(&c).code, GM_COAP(2, 1));
}

Test(rejoin, of_one_who_left_meanwhile_goes_before_newcomers)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), c = token(4);

	rig_member(&rig, 2, "g1", REQ);
	change_signatures();
	cr_expect_eq(join(&c).type, 0);
	cr_expect_eq(leave(&a).code, GM_COAP(2, 2));
	cr_expect_eq(join(&a).code, GM_COAP(2, 1));
	cr_expect_not(is_member(&c));
}

Test(rejoin, of_one_who_was_put_out_is_not_waited_for)
{
	unsigned evicted;
	char node[17];

	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), c = token(4);
	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, a.ctx, "g1")->node);
	struct gm_evict_spec evict = {.group = "g1", .node = node};

	rig_member(&rig, 2, "g1", GM_ROLE_MONITOR);
	change_signatures();
	cr_expect_eq(join(&c).type, 0);
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &evict, &evicted), GM_E_OK);
	rig_turn_end(&rig);
	rig_pass(&rig, 0);
	cr_expect(is_member(&c));
}

Test(rejoin, of_those_whose_sender_ids_were_too_long_goes_first_and_costs_one_rekey)
{
	struct rig_client a[3], c;
	struct gm_admin_map short_nonces = {.has = GM_ADMIN_BIT(GM_ADMIN_ALG) | GM_ADMIN_BIT(GM_ADMIN_GP_ENC_ALG),
	                                    .alg = 12, .gp_enc_alg = 12}; /* AES-CCM-64-64-128 */

	spec.max_members = 1000;
	spec.backward = GM_BACKWARD_EACH;
	make();
	for (unsigned i = 0; i < 3; i++)
		a[i] = rig_member(&rig, i, "g1", REQ);
	uint64_t version = rig_info(&rig, "g1").version;
	cr_assert_eq(set(short_nonces), GM_E_OK);
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
	cr_expect_eq(rig_info(&rig, "g1").version, version + 1);
	c = token(9);
	cr_expect_eq(join(&c).type, 0);
	cr_expect_eq(join(&a[0]).code, GM_COAP(2, 1));
	cr_expect_eq(join(&a[1]).type, 0, "with the others, in the window");
	cr_expect_eq(join(&a[2]).type, 0);
	rig_pass(&rig, 1000);
	cr_expect(is_member(&a[1]) && is_member(&a[2]));
	cr_expect(is_member(&c));
	cr_expect_eq(rig_info(&rig, "g1").version, version + 3, "one for both, then one for the newcomer");
}

Test(rejoin, holds_so_many_newcomers_and_sends_the_rest_away_for_now)
{
	rig.config.contexts_max = 65536; /* so many posts at once fill no corner of the table of what is pending */
	rig_restart(&rig);
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), c[1025];

	change_signatures();
	for (unsigned i = 0; i < 1025; i++)
		c[i] = token(4 + i);
	for (unsigned i = 0; i < 1024; i++)
		cr_assert_eq(join(&c[i]).type, 0);
	struct rig_answer sent = join(&c[1024]);
	cr_expect_eq(sent.code, GM_COAP(5, 3));
	cr_expect_gt(sent.max_age, 0u);
	cr_expect_eq(join(&a).code, GM_COAP(2, 4), "members are served");
}

Test(rejoin, of_a_group_deleted_leaves_no_newcomer_without_an_answer)
{
	make();
	rig_member(&rig, 1, "g1", REQ);
	struct rig_client c = token(4);

	change_signatures();
	cr_expect_eq(join(&c).type, 0);
	rig_turn(&rig);
	cr_expect_eq(gm_core_group_delete(rig.core, &rig.txn, "g1"), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REPLY), 1u);
	rig_pass(&rig, 60000);
}

Test(rejoin, of_a_member_of_two_groups_that_change_is_counted_in_each)
{
	make();
	struct rig_client a = member_of_two_groups(1), c = token(4), d = rig_client(5, "g2", REQ);

	cr_assert_eq(rig_token(&rig, &d), GM_E_OK);
	change_signatures_in("g1");
	change_signatures_in("g2");
	cr_expect_eq(join_in(&c, "g1").type, 0, "held");
	cr_expect_eq(join_in(&d, "g2").type, 0, "held");
	cr_expect_eq(join_in(&a, "g1").code, GM_COAP(2, 4));
	rig_pass(&rig, 0);
	cr_expect(is_member(&c));
	cr_expect_null(rig_mirror_of(&rig, d.ctx, "g2"));
	cr_expect_eq(join_in(&a, "g2").code, GM_COAP(2, 4));
	rig_pass(&rig, 0);
	cr_expect_not_null(rig_mirror_of(&rig, d.ctx, "g2"));
}

Test(rejoin, of_one_put_out_of_two_groups_goes_before_newcomers_in_each)
{
	struct gm_admin_map short_nonces = {.has = GM_ADMIN_BIT(GM_ADMIN_ALG) | GM_ADMIN_BIT(GM_ADMIN_GP_ENC_ALG),
	                                    .alg = 12, .gp_enc_alg = 12}; /* AES-CCM-64-64-128 */

	spec.max_members = 1000;
	make();
	struct rig_client a = member_of_two_groups(1);
	cr_assert_eq(set_in("g1", short_nonces), GM_E_OK);
	cr_assert_eq(set_in("g2", short_nonces), GM_E_OK);
	cr_expect_eq(join_in(&a, "g1").code, GM_COAP(2, 1));
	cr_expect_eq(join_in(&a, "g2").code, GM_COAP(2, 1));
}

Test(rejoin, holds_one_join_of_a_newcomer_and_answers_the_older)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), c = token(4), d = token(5);

	change_signatures();
	cr_expect_eq(join(&c).type, 0, "held");
	for (unsigned i = 0; i < 1100; i++)
		cr_assert_eq(join(&c).code, GM_COAP(5, 3), "the older's answer");
	cr_expect_eq(join(&d).type, 0, "there is room");
	cr_expect_eq(join(&c).code, GM_COAP(5, 3));
	cr_expect_eq(join(&a).code, GM_COAP(2, 4));
	rig_pass(&rig, 0);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 2u);
	cr_expect(is_member(&c) && is_member(&d));
}

Test(rejoin, of_a_newcomer_that_asks_again_when_all_have_come_costs_one_sender_id)
{
	make();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), c = token(4);

	change_signatures();
	cr_expect_eq(join(&c).type, 0, "held");
	cr_expect_eq(join(&a).code, GM_COAP(2, 4));
	unsigned stale = rig_info(&rig, "g1").stale_now;
	join(&c);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 1u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REPLY), 1u, "5.03 to the older");
	rig_pass(&rig, 0);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 0u);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, stale);
}

Test(rejoin, of_one_who_asks_twice_within_the_window_is_one_membership)
{
	spec.backward = GM_BACKWARD_WINDOW;
	make();
	rig_member(&rig, 1, "g1", REQ);
	rig_pass(&rig, 5000);
	struct rig_client c = token(4), d = token(5);

	cr_expect_eq(join(&c).type, 0, "held");
	cr_expect_eq(join(&c).code, GM_COAP(5, 3), "the older's answer");
	cr_expect_eq(join(&d).type, 0, "behind the newer");
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_effects(&rig, GM_EFF_JOINED), 2u);
	cr_expect_eq(rig_info(&rig, "g1").stale_now, 0u);
}
