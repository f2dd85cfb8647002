/* SPDX-License-Identifier: Apache-2.0 */
/* Which events have an entry in the audit log, by whom, and what leaves none. */
#include <criterion/criterion.h>

#include <jansson.h>
#include <stdio.h>

#include "core/audit.h"
#include "core/state.h"
#include "core_rig.h"

#define REQ GM_ROLE_REQUESTER
#define JOINS(name) {.group = name, .roles = REQ, .cred = "c"}

static struct core_rig rig;
static char name[32];

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

/* Whatever a test has done: each entry is JSON with a time, an event and somebody behind it. */
static void stop(void)
{
	for (char *line = rig.entries.text, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = 0;
		*line = '{';
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		cr_expect(json_integer_value(json_object_get(object, "at")) > 0 && json_object_get(object, "event") && json_object_get(object, "by"),
		          "%s", line);
		json_decref(object);
	}
	rig_stop(&rig);
}

TestSuite(audit_core, .init = start, .fini = stop);

#define HAS(n, event, with) has(n, event, with, __LINE__)
static void has(unsigned n, const char *event, const char *with, unsigned line)
{
	cr_expect_eq(entries_of(&rig.entries, event, with), n, "line %u: %u of %s %s in\n%s", line, n, event, with ? with : "", rig.entries.text);
}

static const char *node_of(const struct rig_client *c)
{
	snprintf(name, sizeof(name), "%s", rig_mirror_of(&rig, c->ctx, "g1")->node);
	return name;
}

static void operate(void)
{
	rig_turn(&rig);
	rig.txn.by = gm_by_user(1000, 77, "operator");
}

static struct rig_answer ask(struct rig_client *c, uint8_t method, uint8_t res, const char *node)
{
	struct rig_request q = {.method = method, .res = res, .group = "g1", .node = node};

	return rig_request(&rig, c, &q);
}

Test(audit_core, a_join_names_group_node_device_sender_id_and_keys)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	char with[160];

	snprintf(with, sizeof(with), "\"by\":\"as:1:00000107\",\"group\":\"g1\",\"node\":\"%s\",\"device\":\"as:1:00000107\",\"sid\":\"", node_of(&c));
	HAS(1u, "joined", with);
	HAS(1u, "joined", "\"roles\":\"requester\",\"version\":0");
	HAS(1u, "token", "\"device\":\"as:1:00000107\",\"token\":\"01");
}

Test(audit_core, joining_again_is_another_event)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join j = JOINS("g1");

	cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 4));
	HAS(1u, "joined", NULL);
	HAS(1u, "rejoined", NULL);
}

Test(audit_core, a_join_that_is_refused_leaves_no_entry_of_its_own)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c", .pop = GM_E_BAD_POP};

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_neq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	HAS(0u, "joined", NULL);
}

Test(audit_core, refusals_are_told_together_once_an_hour)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c", .pop = GM_E_BAD_POP};

	rig_pass(&rig, 1000);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	for (unsigned i = 0; i < 5; i++)
		rig_join(&rig, &c, &j);
	rig_pass(&rig, 1000);
	HAS(1u, "refused", "\"by\":\"gmd\",\"tokens\":0,\"joins\":5,");
	for (unsigned i = 0; i < 7; i++)
		rig_join(&rig, &c, &j);
	for (unsigned minute = 0; minute < 59; minute++)
		rig_pass(&rig, 60000);
	HAS(1u, "refused", NULL);
	rig_pass(&rig, 60000);
	HAS(1u, "refused", "\"joins\":7,");
	for (unsigned hour = 0; hour < 3; hour++)
		rig_pass(&rig, 3600000);
	HAS(2u, "refused", NULL);
}

Test(audit_core, refusals_that_are_only_counted_are_told_at_the_end)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c", .pop = GM_E_BAD_POP};

	rig_pass(&rig, 1000);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	rig_join(&rig, &c, &j);
	rig_pass(&rig, 1000);
	HAS(1u, "refused", "\"joins\":1,");
	rig_join(&rig, &c, &j);
	rig_join(&rig, &c, &j);
	for (unsigned i = 0; i < 2; i++) {
		rig_turn(&rig);
		gm_core_ending(rig.core, &rig.txn);
		rig_turn_end(&rig);
	}
	HAS(1u, "refused", "\"by\":\"gmd\",\"tokens\":0,\"joins\":2,");
	HAS(2u, "refused", NULL);
}

Test(audit_core, who_leaves_leaves_an_entry_and_the_rekey_tells_versions_and_cause)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);

	rig_member(&rig, 2, "g1", REQ);
	cr_assert_eq(ask(&c, 4, GM_RES_NODE, node_of(&c)).code, GM_COAP(2, 2));
	HAS(1u, "left", "\"by\":\"as:1:00000107\",\"group\":\"g1\",\"node\":\"");
	HAS(0u, "rekeyed", NULL);
	rig_pass(&rig, 1000);
	HAS(1u, "rekeyed", "\"by\":\"gmd\",\"group\":\"g1\",\"was\":0,\"version\":1,\"gid\":\"");
	HAS(1u, "rekeyed", "\"members\":1,\"reason\":\"leave\"");
}

Test(audit_core, an_expired_token_ends_the_membership_by_gmd)
{
	rig_member(&rig, 1, "g1", REQ);
	rig_pass(&rig, 90000000);
	HAS(1u, "expired", "\"by\":\"gmd\",\"group\":\"g1\"");
}

Test(audit_core, an_eviction_names_the_operator_and_the_bar)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct gm_evict_spec spec = {.group = "g1", .node = node_of(&c)};
	unsigned n;

	operate();
	cr_assert_eq(gm_core_evict(rig.core, &rig.txn, &spec, &n), GM_E_OK);
	rig_turn_end(&rig);
	HAS(1u, "evicted", "\"by\":\"uid:1000\",\"pid\":77,\"level\":\"operator\",\"group\":\"g1\",\"node\":\"");
	HAS(1u, "evicted", "\"reason\":\"evicted\"");
	HAS(1u, "barred", "\"by\":\"uid:1000\",\"pid\":77,\"level\":\"operator\",\"group\":\"g1\",\"device\":\"as:1:00000107\",\"ends_at\":");
}

Test(audit_core, a_command_that_is_refused_leaves_no_entry)
{
	struct gm_evict_spec spec = {.group = "g1", .node = "AAAAAAAA"};
	struct gm_group_spec group = rig_group_spec("g1");
	unsigned before = entries_n(&rig.entries), n;

	operate();
	cr_assert_eq(gm_core_evict(rig.core, &rig.txn, &spec, &n), GM_E_UNKNOWN);
	cr_assert_eq(gm_core_group_create(rig.core, &rig.txn, &group), GM_E_EXISTS);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, "none", &n), GM_E_UNKNOWN);
	rig.disk_low = true;
	rig.txn.disk_low = true;
	strcpy(group.name, "g2");
	cr_assert_eq(gm_core_group_create(rig.core, &rig.txn, &group), GM_E_DISK_FULL);
	rig_turn_end(&rig);
	cr_expect_eq(entries_n(&rig.entries), before);
}

Test(audit_core, a_revoked_token_and_its_holder_are_told)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	unsigned n;

	operate();
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(&c), &n), GM_E_OK);
	rig_turn_end(&rig);
	HAS(1u, "token-revoked", "\"by\":\"uid:1000\"");
	HAS(1u, "token-revoked", "\"memberships\":1");
	HAS(1u, "evicted", "\"by\":\"uid:1000\"");
	HAS(1u, "barred", NULL);
}

Test(audit_core, the_same_token_posted_again_says_nothing_new)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);

	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
		ask(&c, 1, GM_RES_GROUP, NULL);
	}
	HAS(1u, "token", NULL);
	c.token = 9;
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	ask(&c, 1, GM_RES_GROUP, NULL);
	HAS(2u, "token", NULL);
}

static uint8_t update(struct rig_client *c, uint8_t hash)
{
	struct rig_token token = rig_token_of(c);

	c->token = hash;
	return rig_token_update(&rig, c, &token).code;
}

static uint8_t post_and_use(struct rig_client *c, uint8_t hash)
{
	c->token = hash;
	cr_assert_eq(rig_token(&rig, c), GM_E_OK);
	return ask(c, 1, GM_RES_GROUP, NULL).code;
}

Test(audit_core, one_client_cannot_fill_it_with_two_tokens)
{
	struct rig_client c;

	rig.core->config.changes_per_minute = 4;
	c = rig_member(&rig, 1, "g1", REQ); /* one of the four */
	for (unsigned i = 0; i < 40; i++)
		cr_expect_eq(update(&c, 1 + i % 2), i < 3 ? GM_COAP(2, 1) : i % 2 ? GM_COAP(5, 3) : GM_COAP(2, 1), "%u", i);
	HAS(4u, "token", NULL);
	cr_expect_eq(post_and_use(&c, 3), GM_COAP(5, 3), "nor in the other way");
	HAS(4u, "token", NULL);
	rig_pass(&rig, 60000);
	cr_expect_eq(post_and_use(&c, 3), GM_COAP(2, 5));
	HAS(5u, "token", NULL);
	HAS(1u, "refused", "\"tokens\":19,");
}

Test(audit_core, no_other_token_has_an_entry_while_the_disk_is_full)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), late = rig_client(2, "g1", REQ);

	c.token = 5;
	cr_assert_eq(update(&c, 5), GM_COAP(2, 1));
	cr_assert_eq(rig_token(&rig, &late), GM_E_OK);
	unsigned before = entries_of(&rig.entries, "token", NULL);
	rig.disk_low = true;
	cr_expect_eq(update(&c, 6), GM_COAP(5, 3));
	cr_expect_eq(update(&c, 5), GM_COAP(2, 1), "the one in use");
	cr_expect_eq(ask(&late, 1, GM_RES_GROUP, NULL).code, GM_COAP(5, 3));
	HAS(before, "token", NULL);
	rig.disk_low = false;
	cr_expect_eq(update(&c, 6), GM_COAP(2, 1));
	HAS(before + 1, "token", NULL);
}

Test(audit_core, a_new_sender_id_is_told)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);

	cr_assert_eq(ask(&c, 2, GM_RES_NODE, node_of(&c)).code, GM_COAP(2, 4));
	HAS(1u, "renewed", "\"sid\":\"");
}

Test(audit_core, groups_made_changed_and_deleted_are_told)
{
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE) | GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS), .active = false, .max_stale_sets = 5};
	const char *why;

	HAS(1u, "group-created", "\"group\":\"g1\",\"version\":0,\"gid\":\"");
	rig_member(&rig, 1, "g1", REQ);
	operate();
	cr_assert_eq(gm_core_group_set(rig.core, &rig.txn, "g1", &map, &why), GM_E_OK);
	rig_turn_end(&rig);
	HAS(1u, "group-changed", "\"by\":\"uid:1000\"");
	HAS(1u, "group-changed", "\"group\":\"g1\",\"changed\":\"active,max_stale_sets\",\"active\":\"no\"");
	operate();
	cr_assert_eq(gm_core_group_set(rig.core, &rig.txn, "g1", &map, &why), GM_E_OK);
	cr_assert_eq(gm_core_group_delete(rig.core, &rig.txn, "g1"), GM_E_OK);
	rig_turn_end(&rig);
	HAS(1u, "group-changed", NULL);
	HAS(1u, "group-deleted", "\"by\":\"uid:1000\"");
	HAS(1u, "evicted", "\"reason\":\"group-deleted\"");
}

/* As in a store that an earlier release filled, which took any name. */
static void rename_in_store(const char *from, const char *to)
{
	unsigned renamed = 0;

	for (size_t i = 0; i < rig.records; i++)
		if (rig.record[i].table == GM_TABLE_AS)
			for (uint8_t *at; (at = memmem(rig.record[i].value, rig.record[i].value_n, from, strlen(from))); renamed++)
				memcpy(at, to, strlen(to));
	cr_assert_geq(renamed, 1);
}

Test(audit_core, authorization_servers_are_told_and_their_names_cannot_forge_fields)
{
	static const char forged[] = "a\",\"by\":\"gmd\\\n\x7f\xc3\xa9\xc2\x9b\xe2\x80\xae", plain[] = "a-name-of-equal-length";
	struct gm_as_spec as = rig_as_spec(forged);
	unsigned n;

	_Static_assert(sizeof(forged) == sizeof(plain), "one takes the place of the other");
	cr_assert_eq(rig_as(&rig, &as), GM_E_USAGE);
	as = rig_as_spec(plain);
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
	HAS(1u, "as-added", "\"as\":\"a-name-of-equal-length\",\"id\":2,");
	rename_in_store(plain, forged);
	rig_restart(&rig);
	operate();
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, forged, &n), GM_E_OK);
	rig_turn_end(&rig);
	HAS(1u, "as-removed", "\"as\":\"a\\u0022,\\u0022by\\u0022:\\u0022gmd\\u005c\\u000a\\u007f\xc3\xa9\\u009b\\u202e\",\"id\":2");
	HAS(0u, "as-removed", "a\"");
	HAS(1u, "as-removed", "\"by\":\"uid:1000\"");
}

Test(audit_core, an_entry_that_is_too_long_leaves_out_fields_and_says_so)
{
	static char text[400];
	struct gm_audit a;

	memset(text, 'x', sizeof(text) - 1);
	rig_turn(&rig);
	gm_audit_begin(&a, &rig.txn, "long");
	for (unsigned i = 0; i < 40; i++)
		gm_audit_word(&a, "field", text);
	gm_audit_end(&a, &rig.txn);
	for (const struct gm_change *c = NULL; (c = gm_changes_next(&rig.changes, c));)
		cr_expect(c->value_n <= GM_AUDIT_MAX && memmem(c->bytes, c->key_n + c->value_n, ",\"cut\":true}", 12));
	gm_changes_reset(&rig.changes);
}

static bool holds(const uint8_t *p, size_t n)
{
	char hex[200] = "";

	for (size_t i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", p[i]);
	return memmem(rig.entries.text, rig.entries.n, p, n) || strstr(rig.entries.text, hex);
}

/* What a membership, a rekey and a new credential could leak; the Gid, which is in it, shows that the search finds. */
Test(audit_core, no_secret_of_a_group_a_context_or_a_server_gets_in)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join j = JOINS("g1");

	rig_member(&rig, 2, "g1", REQ);
	for (unsigned i = 0; i < 4; i++) {
		const struct gm_group *g = rig.core->groups[0];
		cr_expect(holds(g->gid, g->gid_n));
		cr_expect_not(holds(g->ms, sizeof(g->ms)));
		cr_expect_not(holds(g->salt, sizeof(g->salt)));
		cr_expect_not(holds(g->kdc_seed, sizeof(g->kdc_seed)));
		operate();
		cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", true), GM_E_OK);
		rig_turn_end(&rig);
		rig_pass(&rig, 40000);
		rig_join(&rig, &c, &j);
	}
	struct gm_ctx_save save;
	gm_assoc_ctx(rig.core, gm_assoc_by_ctx(rig.core, c.ctx), &save);
	cr_expect_not(holds(save.send_key, 16));
	cr_expect_not(holds(save.recv_key, 16));
	cr_expect_not(holds(rig.core->ases[0].spec.key.key, 16));
	HAS(4u, "rekeyed", NULL);
}
