/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_rig.h"

static struct core_rig rig;

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	spec.max_stale_sets = 16;
	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(config_change, .init = start, .fini = stop);

static void rekey(void)
{
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", false), GM_E_OK);
	rig_turn_end(&rig);
}

static enum gm_err keep_sets(int64_t n, const char **why)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS), .max_stale_sets = n, .policies = {-1, -1}};

	rig_turn(&rig);
	enum gm_err err = gm_core_group_set(rig.core, &rig.txn, "g1", &map, why);
	rig_turn_end(&rig);
	return err;
}

Test(config_change, fewer_stale_sets_keep_the_newest_also_after_a_stop)
{
	const char *why;

	for (unsigned i = 0; i < 6; i++)
		rekey();
	cr_assert_eq(rig_info(&rig, "g1").stale_sets, 7u);
	cr_expect_eq(keep_sets(3, &why), GM_E_OK);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 3u);
	cr_expect_eq(rig_info(&rig, "g1").version, 6u);
	rig_restart(&rig);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 3u);
	cr_expect_eq(keep_sets(5, &why), GM_E_OK);
	for (unsigned i = 0; i < 4; i++)
		rekey();
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 5u);
	rig_restart(&rig);
	cr_expect_eq(rig_info(&rig, "g1").stale_sets, 5u);
}

Test(config_change, what_is_refused_changes_nothing_and_says_why)
{
	const char *why;
	char *before = rig_dump(&rig), *after;

	cr_expect_eq(keep_sets(1, &why), GM_E_RANGE);
	cr_expect(why && strstr(why, "max_stale_sets"));
	cr_expect_eq(keep_sets(1000000, &why), GM_E_BAD_CONFIG);
	after = rig_dump(&rig);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
}

/* ---- what members are told of it. GA §6.6.2 */

static enum gm_err set(const struct gm_admin_map *map)
{
	const char *why;

	rig_turn(&rig);
	enum gm_err err = gm_core_group_set(rig.core, &rig.txn, "g1", map, &why);
	rig_turn_end(&rig);
	return err;
}

static const struct gm_admin_map other_alg = {
    .has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = 1 /* A128GCM */, .policies = {-1, -1}};

static bool pushed(struct gm_keying_map *map)
{
	const struct gm_eff_rekey *e = rig_effect(&rig, GM_EFF_REKEY, 0);

	return e && e->body_config.n && gm_configuration_decode(gm_rec_bytes(e, e->body_config), map) == GM_E_OK;
}

Test(config_change, of_algorithms_goes_to_members_ahead_of_the_keys)
{
	struct gm_keying_map map;

	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	rekey();
	rig_delivered(&rig, "g1", true);
	cr_assert_eq(set(&other_alg), GM_E_OK);
	cr_expect_eq(rig_info(&rig, "g1").version, 2u);
	cr_assert(pushed(&map));
	cr_expect_eq(map.num, 1, "members still hold the keys before");
	cr_expect_eq(map.params.alg, 1);
	cr_expect_eq(map.exp, rig_info(&rig, "g1").exp);
	rig_delivered(&rig, "g1", true);
	rekey();
	cr_assert_eq(rig_effects(&rig, GM_EFF_REKEY), 2u);
	cr_expect_not(pushed(&map), "once is enough");
}

Test(config_change, of_algorithms_is_told_again_until_a_walk_has_ended)
{
	struct gm_keying_map map;

	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	cr_assert_eq(set(&other_alg), GM_E_OK);
	cr_assert(pushed(&map));
	rig_restart(&rig);
	cr_expect(pushed(&map), "after a stop");
	cr_expect_eq(map.num, 0);
	rig_turn(&rig);
	cr_expect_eq(gm_core_rekey(rig.core, &rig.txn, "g1", true), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect(pushed(&map), "by the rekey that cuts the walk off");
	cr_expect_eq(map.num, 1);
	rig_delivered(&rig, "g1", true);
	rig_restart(&rig);
	rekey();
	cr_expect_not(pushed(&map));
}

static void walk_ends_unconfirmed(void)
{
	rig_turn(&rig);
	for (uint16_t w = 0; w < rig.config.workers; w++) {
		struct gm_ev_delivered ev = {.rec = {.type = GM_EV_DELIVERED, .worker = w, .len = sizeof(ev)},
		                             .group = rig_info(&rig, "g1").index,
		                             .version = rig_info(&rig, "g1").version,
		                             .walk_done = true};
		gm_core_apply(rig.core, &rig.txn, &ev.rec);
	}
	rig_turn_end(&rig);
}

static struct rig_answer on_node(struct rig_client *c, uint8_t method)
{
	char node[17];
	struct rig_request q = {.method = method, .res = GM_RES_NODE, .group = "g1", .node = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c->ctx, "g1")->node);
	return rig_request(&rig, c, &q);
}

/* A leave, and a renewal that the rekey for it serves. */
static bool renewal_names_algorithms(struct rig_client *c, unsigned leaver)
{
	struct rig_client other = rig_member(&rig, leaver, "g1", GM_ROLE_REQUESTER);
	struct gm_keying_map map;
	uint64_t version = rig_info(&rig, "g1").version;

	cr_assert_eq(on_node(&other, 4).code, GM_COAP(2, 2));
	struct rig_answer a = on_node(c, 2);
	cr_assert_eq(a.code, GM_COAP(2, 4));
	cr_assert_eq(gm_keying_decode(a.payload, &map), GM_E_OK);
	cr_assert_eq((uint64_t)map.num, version + 1, "the rekey came now");
	cr_assert(!map.has_params || map.params.alg == 1);
	rig_delivered(&rig, "g1", true);
	return map.has_params;
}

Test(config_change, that_a_member_has_not_heard_of_comes_with_the_keys_it_renews)
{
	struct rig_client c = rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);

	cr_expect_not(renewal_names_algorithms(&c, 2), "nothing has changed");
	cr_assert_eq(set(&other_alg), GM_E_OK);
	walk_ends_unconfirmed();
	rig_restart(&rig);
	cr_expect(renewal_names_algorithms(&c, 3));
	cr_expect_not(renewal_names_algorithms(&c, 4), "once");
}

Test(config_change, of_a_group_that_is_empty_is_told_to_nobody_later)
{
	struct gm_keying_map map;

	cr_assert_eq(set(&other_alg), GM_E_OK);
	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	rekey();
	cr_assert_eq(rig_effects(&rig, GM_EFF_REKEY), 2u);
	cr_expect_not(pushed(&map), "who joined after it knows");
}

Test(config_change, of_what_is_no_algorithm_tells_members_nothing)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION) | GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS),
	                           .group_description = {(const uint8_t *)"lamps", 5},
	                           .max_stale_sets = 7,
	                           .policies = {60, 5}};

	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	cr_assert_eq(set(&map), GM_E_OK);
	cr_expect_eq(rig_effects(&rig, GM_EFF_REKEY), 0u);
	rig_pass(&rig, 40000);
	cr_expect_eq(rig_info(&rig, "g1").version, 0u);
}

/* ---- Sender IDs that the nonces have no room for. GA §6.6.2 */

static const struct gm_admin_map short_nonces = {
    .has = GM_ADMIN_BIT(GM_ADMIN_ALG), .alg = 12 /* AES-CCM-64-64-128 */, .policies = {-1, -1}};

static void three_of_300(void)
{
	struct gm_group_spec spec = rig_group_spec("g2");

	spec.max_members = 300;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	for (unsigned i = 1; i <= 3; i++)
		rig_member(&rig, i, "g2", GM_ROLE_REQUESTER);
	rig_member(&rig, 4, "g2", GM_ROLE_MONITOR); /* has none */
}

static enum gm_err cost(const char *group, const struct gm_admin_map *map, struct gm_group_cost *cost)
{
	const char *why;

	rig_turn(&rig);
	enum gm_err err = gm_core_group_set_cost(rig.core, &rig.txn, group, map, &why, cost);
	cr_expect_eq(rig.changes.count, 0u, "a look changes nothing");
	rig_turn_end(&rig);
	return err;
}

Test(config_change, that_would_put_members_out_is_known_before)
{
	struct gm_group_cost is;
	const char *why;

	three_of_300();
	char *before = rig_dump(&rig);
	cr_assert_eq(cost("g2", &short_nonces, &is), GM_E_OK);
	cr_expect(is.evicts == 3 && is.members == 4 && is.max_members == 100 && is.max_members_was == 300);
	char *after = rig_dump(&rig);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_set(rig.core, &rig.txn, "g2", &short_nonces, &why), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(rig_info(&rig, "g2").members, 1u);
	cr_expect_eq(rig_info(&rig, "g2").max_members, 100u);
	cr_assert_eq(cost("g2", &other_alg, &is), GM_E_OK);
	cr_expect(is.evicts == 0 && is.max_members == 100 && is.max_members_was == 100, "there is room for the Sender IDs");
	cr_expect_eq(cost("g9", &other_alg, &is), GM_E_UNKNOWN);
}

static unsigned told; /* lines of the log about such a removal */

static void count_line(const char *line)
{
	told += strstr(line, "member.remove group=g2 ") && strstr(line, " reason=sender-id-too-long");
}

Test(config_change, that_puts_members_out_tells_log_and_audit_log_why)
{
	const char *why;

	told = 0;
	rig.config.log = count_line;
	rig_restart(&rig);
	three_of_300();
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_set(rig.core, &rig.txn, "g2", &short_nonces, &why), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(told, 3u);
	cr_expect_eq(entries_of(&rig.entries, "evicted", "\"reason\":\"sender-id-too-long\""), 3u);
}

/* ---- active. GA §6.6.2 */

static void turn_active(bool active)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE), .active = active, .policies = {-1, -1}};

	cr_assert_eq(set(&map), GM_E_OK);
}

/* Does what the start hands down have observers of active told again? */
static bool tells_again(void)
{
	const struct gm_eff_group *e;

	rig_restart(&rig);
	for (unsigned i = 0; (e = rig_effect(&rig, GM_EFF_GROUP, i)); i++)
		if (e->tell_active)
			return true;
	return false;
}

Test(config_change, of_active_is_told_again_after_a_stop_for_a_while)
{
	turn_active(false);
	cr_expect_not(tells_again(), "nobody is there");
	turn_active(true);
	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	turn_active(false);
	cr_expect(tells_again());
	cr_expect(tells_again());
	rig_pass(&rig, 300000);
	cr_expect_not(tells_again());
	cr_expect_not(rig_info(&rig, "g1").active);
}

Test(config_change, to_inactive_refuses_new_sender_ids_and_credentials_with_error_9)
{
	struct rig_client c = rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	char node[17];
	struct rig_request renew = {.method = 2, .res = GM_RES_NODE, .group = "g1", .node = node};
	struct rig_join upload = {.group = "g1", .roles = GM_ROLE_REQUESTER, .cred = "new", .upload_to = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c.ctx, "g1")->node);
	turn_active(false);
	struct rig_answer a = rig_request(&rig, &c, &renew);
	cr_expect(a.code == GM_COAP(5, 3) && a.ace_id == 9);
	a = rig_join(&rig, &c, &upload);
	cr_expect(a.code == GM_COAP(5, 3) && a.ace_id == 9);
	turn_active(true);
	cr_expect_eq(rig_request(&rig, &c, &renew).code, GM_COAP(2, 4));
	cr_expect_eq(rig_join(&rig, &c, &upload).code, GM_COAP(2, 4));
}
