/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core_rig.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;

static void start(void)
{
	struct gm_group_spec g1 = rig_group_spec("g1"), g2 = rig_group_spec("g2");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	cr_assert_eq(rig_group(&rig, &g2), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(evict, .init = start, .fini = stop);

static enum gm_err evict(const char *group, const char *node, bool compromised, bool allow_return, unsigned *n)
{
	struct gm_evict_spec spec = {
	    .group = group, .node = node, .compromised = compromised, .allow_return = allow_return};

	rig_turn(&rig);
	enum gm_err err = gm_core_evict(rig.core, &rig.txn, &spec, n);
	rig_turn_end(&rig);
	return err;
}

static char name[64];

static const char *node_of(const struct rig_client *c, const char *group)
{
	snprintf(name, sizeof(name), "%s", rig_mirror_of(&rig, c->ctx, group)->node);
	return name;
}

/* A member of g1 and g2. */
static struct rig_client device(unsigned n)
{
	struct rig_client c = rig_client(n, "g1", REQ);
	struct rig_join j1 = {.group = "g1", .roles = REQ, .cred = "c"},
	                j2 = {.group = "g2", .roles = REQ, .cred = "c"};

	rig_scope_add(&c, "g2", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j1).code, GM_COAP(2, 1));
	cr_assert_eq(rig_join(&rig, &c, &j2).code, GM_COAP(2, 1));
	return c;
}

Test(evict, bars_the_key_from_the_group_until_its_token_ends)
{
	struct rig_client c = device(1);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};
	struct rig_request get = {.method = 1, .res = GM_RES_GROUP, .group = "g1"};
	unsigned n;

	rig_member(&rig, 2, "g1", REQ);
	cr_expect_eq(evict("g1", node_of(&c, "g1"), false, false, &n), GM_E_OK);
	cr_expect_eq(n, 1u);
	cr_expect_eq(((const struct gm_eff_evict *)rig_effect(&rig, GM_EFF_EVICT, 0))->err, GM_E_EVICTED);
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 0u, "g2 is still open to it");
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(4, 3));
	cr_expect_eq(rig_request(&rig, &c, &get).ace_id, 0);
	rig_restart(&rig);
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(4, 3), "also after a stop");
	rig_pass(&rig, 1000);
	cr_expect_eq(rig_info(&rig, "g1").version, 1u);
	cr_expect_eq(rig_info(&rig, "g2").version, 0u);
	struct rig_client other = rig_client(1, "g1", REQ);
	cr_expect_eq(rig_token(&rig, &other), GM_E_TOKEN_BARRED, "nothing else in that token");
	rig_pass(&rig, 86400000);
	other.exp = rig.wall_s + 1000;
	cr_expect_eq(rig_token(&rig, &other), GM_E_OK);
	cr_expect_eq(rig_join(&rig, &other, &j).code, GM_COAP(2, 1));
}

Test(evict, closes_a_context_that_opens_nothing_more)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_request get = {.method = 1, .res = GM_RES_GROUP, .group = "g1"};
	struct gm_core_status s;
	unsigned n;

	cr_expect_eq(evict("g1", node_of(&c, "g1"), false, false, &n), GM_E_OK);
	cr_assert_eq(rig_effects(&rig, GM_EFF_CTX), 1u);
	cr_expect_eq(((const struct gm_eff_ctx *)rig_effect(&rig, GM_EFF_CTX, 0))->op, GM_CTX_CLOSE);
	cr_expect_eq(rig_request(&rig, &c, &get).code, GM_COAP(4, 1));
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.contexts, 1u, "its keys live until the notice is done");
	rig_closed(&rig, c.ctx);
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.contexts, 0u);
	for (size_t i = 0; i < rig.records; i++)
		cr_expect_neq(rig.record[i].table, GM_TABLE_CTX);
}

Test(evict, a_context_that_was_closing_is_gone_after_a_stop)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct gm_core_status s;
	unsigned n;

	cr_expect_eq(evict("g1", node_of(&c, "g1"), false, false, &n), GM_E_OK);
	rig_restart(&rig);
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.contexts, 0u);
	for (size_t i = 0; i < rig.records; i++)
		cr_expect_neq(rig.record[i].table, GM_TABLE_CTX);
}

Test(evict, with_leave_to_return_bars_nothing)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};
	unsigned n;

	cr_expect_eq(evict("g1", node_of(&c, "g1"), false, true, &n), GM_E_OK);
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 0u);
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
}

Test(evict, compromised_skips_the_window)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	unsigned n;

	rig_member(&rig, 2, "g1", REQ);
	cr_expect_eq(evict("g1", node_of(&c, "g1"), true, false, &n), GM_E_OK);
	cr_expect_eq(rig_info(&rig, "g1").version, 1u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 2u);
}

Test(evict, a_device_leaves_all_groups_in_one_turn)
{
	struct rig_client c = device(1);
	char spec[80];
	unsigned n;

	rig_member(&rig, 2, "g1", REQ);
	rig_member(&rig, 3, "g2", REQ);
	snprintf(spec, sizeof(spec), "g2/%s", rig_mirror_of(&rig, c.ctx, "g2")->node);
	cr_expect_eq(evict(NULL, spec, false, false, &n), GM_E_OK);
	cr_expect_eq(n, 2u);
	cr_expect_eq(rig_info(&rig, "g1").version, 1u);
	cr_expect_eq(rig_info(&rig, "g2").version, 1u);
	cr_expect_eq(((const struct gm_eff_ctx *)rig_effect(&rig, GM_EFF_CTX, 0))->op, GM_CTX_CLOSE);
	rig_closed(&rig, c.ctx);
	struct rig_client again = rig_client(1, "g1", REQ);
	cr_expect_eq(rig_token(&rig, &again), GM_E_TOKEN_BARRED);
}

Test(evict, a_device_can_be_named_by_its_key)
{
	struct rig_client c = device(0x0102);
	unsigned n;

	(void)c;
	cr_expect_eq(evict(NULL, "as:1:00010207", false, false, &n), GM_E_OK);
	cr_expect_eq(n, 2u);
	cr_expect_eq(evict(NULL, "as:1:00ffff07", false, false, &n), GM_E_UNKNOWN);
	cr_expect_eq(evict(NULL, "as:1:zz", false, false, &n), GM_E_UNKNOWN);
	cr_expect_eq(evict(NULL, "nonsense", false, false, &n), GM_E_UNKNOWN);
	cr_expect_eq(evict("g1", "nobody00", false, false, &n), GM_E_UNKNOWN);
}

Test(evict, a_leave_of_its_own_accord_bars_nothing)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_request leave = {.method = 4, .res = GM_RES_NODE, .group = "g1", .node = node_of(&c, "g1")};
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	cr_expect_eq(rig_request(&rig, &c, &leave).code, GM_COAP(2, 2));
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
}

Test(evict, trust_withdrawn_ends_everything_under_it)
{
	unsigned n;

	device(1);
	rig_member(&rig, 2, "g1", REQ);
	rig_turn(&rig);
	cr_expect_eq(gm_core_as_remove(rig.core, &rig.txn, "as1", &n), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(n, 3u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 2u);
	cr_expect_eq(rig_effects(&rig, GM_EFF_AS), 2u);
	struct rig_client c = rig_client(3, "g1", REQ);
	cr_expect_eq(rig_token(&rig, &c), GM_E_TOKEN_KEY);
	rig_turn(&rig);
	cr_expect_eq(gm_core_as_remove(rig.core, &rig.txn, "as1", &n), GM_E_UNKNOWN);
	rig_turn_end(&rig);
	rig_restart(&rig);
	cr_expect_eq(rig_token(&rig, &c), GM_E_TOKEN_KEY);
}

/* ---- a server removed and added again */

static void remove_as(const char *as)
{
	unsigned n;

	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, as, &n), GM_E_OK);
	rig_turn_end(&rig);
}

/* As the rig has it from the start; its name is the operator's and may be another. */
static struct gm_as_spec first_as(const char *as)
{
	struct gm_as_spec spec = {.issuer = "coap://as1", .key = {.alg = 10, .key_n = 16, .key = {1, 2, 3}}};

	snprintf(spec.name, sizeof(spec.name), "%s", as);
	return spec;
}

static void add_as(const struct gm_as_spec *spec)
{
	cr_assert_eq(rig_as(&rig, spec), GM_E_OK);
}

static enum gm_err post_under(uint32_t as_id)
{
	struct rig_client c = rig_client(1, "g1", REQ);

	c.as_id = as_id;
	return rig_token(&rig, &c);
}

static void bar_one(void)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	unsigned n;

	cr_assert_eq(evict("g1", node_of(&c, "g1"), false, false, &n), GM_E_OK);
	cr_assert_eq(post_under(1), GM_E_TOKEN_BARRED);
}

static unsigned bars(void)
{
	struct gm_core_status s;

	gm_core_status(rig.core, &s);
	return s.bars;
}

Test(evict, bars_outlive_that_their_server_is_removed_and_added_again)
{
	struct gm_as_spec again = first_as("another-name");

	bar_one();
	remove_as("as1");
	add_as(&again);
	cr_expect_eq(post_under(2), GM_E_TOKEN_BARRED);
	rig_restart(&rig);
	cr_expect_eq(post_under(2), GM_E_TOKEN_BARRED, "and a stop");
	remove_as("another-name");
	rig_restart(&rig);
	add_as(&again);
	cr_expect_eq(post_under(3), GM_E_TOKEN_BARRED, "and a stop in between");
	cr_expect_eq(bars(), 1u);
	rig_pass(&rig, 86400000);
	cr_expect_eq(bars(), 0u, "no longer than the token");
}

static struct gm_as_spec with_kid(const char *as, uint8_t kid)
{
	struct gm_as_spec spec = first_as(as);

	spec.key.kid_n = 1;
	spec.key.kid[0] = kid;
	return spec;
}

Test(evict, one_key_is_trusted_once_so_that_its_removal_ends_it)
{
	struct gm_as_spec second = first_as("as2"), third = with_kid("as2", 1), other = first_as("as2");

	cr_expect_eq(rig_as(&rig, &second), GM_E_EXISTS);
	cr_expect_eq(rig_as(&rig, &third), GM_E_EXISTS, "a key without a kid is good for any");
	remove_as("as1");
	add_as(&third);
	cr_expect_eq(rig_as(&rig, &second), GM_E_EXISTS, "under another name and without a kid, too");
	snprintf(second.name, sizeof(second.name), "as3");
	cr_expect_eq(rig_as(&rig, &second), GM_E_EXISTS);
	cr_expect_str_eq(gm_core_as_of_key(rig.core, &second.key), "as2");
	snprintf(other.name, sizeof(other.name), "as3");
	other.key.key[0] = 99;
	cr_expect_null(gm_core_as_of_key(rig.core, &other.key));
	add_as(&other);
}

/* as1 as server 2, under a kid, and the same key under another one as server 3 */
static void under_two_kids(void)
{
	struct gm_as_spec first = with_kid("as1", 1), second = with_kid("as1-new", 2);

	remove_as("as1");
	add_as(&first);
	add_as(&second);
}

Test(evict, bars_go_over_to_a_server_that_was_added_with_the_key_before)
{
	bar_one();
	under_two_kids();
	remove_as("as1");
	cr_expect_eq(post_under(3), GM_E_TOKEN_BARRED);
	rig_restart(&rig);
	cr_expect_eq(post_under(3), GM_E_TOKEN_BARRED);
}

Test(evict, bars_that_go_over_end_what_was_had_there)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	bar_one();
	under_two_kids();
	c.as_id = 3;
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	remove_as("as1");
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(4, 3));
}

Test(evict, bars_find_a_server_with_a_new_key_by_its_issuer)
{
	struct gm_as_spec again = first_as("as1"), other = rig_as_spec("as2");

	bar_one();
	remove_as("as1");
	add_as(&other);
	cr_expect_eq(post_under(2), GM_E_TOKEN_ISSUER, "another server");
	cr_expect_eq(bars(), 1u);
	again.key.key[0] = 77;
	add_as(&again);
	cr_expect_eq(post_under(3), GM_E_TOKEN_BARRED);
}

static enum gm_err post_exi(uint32_t as_id, uint64_t cti)
{
	struct rig_client c = rig_client(5, "g1", REQ);
	struct rig_token t = rig_token_of(&c);

	t.exp = -1;
	t.exi = 100;
	t.cti = cti;
	t.as_id = as_id;
	return rig_token_post(&rig, &t)->err;
}

Test(evict, ended_exi_tokens_stay_ended_when_their_server_comes_back)
{
	struct gm_as_spec again = first_as("as1");

	cr_expect_eq(post_exi(1, 7), GM_E_OK);
	rig_pass(&rig, 101000);
	cr_expect_eq(post_exi(1, 7), GM_E_TOKEN_REPLAYED);
	cr_expect_eq(post_exi(1, 9), GM_E_OK);
	remove_as("as1");
	rig_restart(&rig);
	rig_pass(&rig, 60000);
	add_as(&again);
	cr_expect_eq(post_exi(2, 7), GM_E_TOKEN_REPLAYED);
	rig_restart(&rig);
	cr_expect_eq(post_exi(2, 7), GM_E_TOKEN_REPLAYED);
	cr_expect_eq(post_exi(2, 9), GM_E_OK);
	rig_pass(&rig, 41000);
	cr_expect_eq(post_exi(2, 9), GM_E_TOKEN_REPLAYED, "the counter ran on");
	remove_as("as1");
	rig_restart(&rig);
	add_as(&again);
	cr_expect_eq(post_exi(3, 9), GM_E_TOKEN_REPLAYED);
}

Test(evict, exi_token_that_ends_while_its_server_is_away_stays_ended)
{
	struct gm_as_spec again = first_as("as1");

	cr_expect_eq(post_exi(1, 7), GM_E_OK);
	remove_as("as1");
	rig_pass(&rig, 101000);
	rig_restart(&rig);
	add_as(&again);
	cr_expect_eq(post_exi(2, 7), GM_E_TOKEN_REPLAYED);
}

Test(evict, servers_that_were_removed_are_remembered_up_to_a_bound_and_the_first_goes)
{
	struct gm_as_spec again = first_as("as1"), other = rig_as_spec("as2");

	cr_expect_eq(post_exi(1, 7), GM_E_OK);
	rig_pass(&rig, 101000);
	remove_as("as1");
	for (unsigned i = 0; i < 63; i++) {
		snprintf(other.issuer, sizeof(other.issuer), "coap://as2/%u", i);
		other.key.key[0] = (uint8_t)(100 + i);
		rig_pass(&rig, 1000);
		add_as(&other);
		remove_as("as2");
	}
	rig_restart(&rig);
	add_as(&again);
	cr_expect_eq(post_exi(65, 7), GM_E_TOKEN_REPLAYED, "64 are kept");
	remove_as("as1");
	other.key.key[0] = 99;
	snprintf(other.issuer, sizeof(other.issuer), "coap://as2/99");
	for (unsigned i = 0; i < 64; i++) {
		snprintf(other.issuer, sizeof(other.issuer), "coap://as3/%u", i);
		other.key.key[1] = (uint8_t)(100 + i);
		rig_pass(&rig, 1000);
		add_as(&other);
		remove_as("as2");
	}
	rig_restart(&rig);
	add_as(&again);
	cr_expect_eq(post_exi(130, 7), GM_E_OK, "it has been forgotten");
}

static void delete_group(const char *group)
{
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_delete(rig.core, &rig.txn, group), GM_E_OK);
	rig_turn_end(&rig);
}

Test(evict, bars_outlive_that_their_group_is_made_again)
{
	struct gm_group_spec g1 = rig_group_spec("g1"), g3 = rig_group_spec("g3");

	bar_one();
	delete_group("g1");
	cr_expect_eq(post_under(1), GM_E_TOKEN_BARRED);
	cr_assert_eq(rig_group(&rig, &g3), GM_E_OK, "in the place of g1");
	rig_restart(&rig);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	cr_expect_eq(post_under(1), GM_E_TOKEN_BARRED);
	rig_restart(&rig);
	cr_expect_eq(post_under(1), GM_E_TOKEN_BARRED);
	struct rig_client c = rig_client(1, "g3", REQ);
	cr_expect_eq(rig_token(&rig, &c), GM_E_OK, "no other group is hit");
}

Test(evict, counts_each_membership_that_a_token_ends_with)
{
	struct rig_client c = device(1);
	struct gm_core_status s;

	rig.mono_ms += 86400000;
	rig.wall_s = c.exp;
	rig_pass(&rig, 0);
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.members, 0u);
	cr_expect_eq(s.expiries, 2u);
}
