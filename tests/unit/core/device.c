/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <time.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/device.h"
#include "core_rig.h"
#include "gm/crypto.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;
static struct gm_device_spec spec;

static void start(void)
{
	struct gm_group_spec g1 = rig_group_spec("g1"), g2 = rig_group_spec("g2");

	rig_start(&rig, 1);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	cr_assert_eq(rig_group(&rig, &g2), GM_E_OK);
	spec = (struct gm_device_spec){0};
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(device, .init = start, .fini = stop);

static enum gm_err set(const char *key, const char *name)
{
	cr_assert(gm_device_key_parse(key, &spec.key), "%s", key);
	snprintf(spec.name, sizeof(spec.name), "%s", name);
	rig_turn(&rig);
	enum gm_err err = gm_core_device_set(rig.core, &rig.txn, &spec);
	rig_turn_end(&rig);
	return err;
}

static enum gm_err take_out(const char *device)
{
	rig_turn(&rig);
	enum gm_err err = gm_core_device_remove(rig.core, &rig.txn, device);
	rig_turn_end(&rig);
	return err;
}

static const char *name_of(const char *device)
{
	static struct gm_device_spec found;

	return gm_core_device_find(rig.core, device, &found) ? found.name : "none";
}

Test(device, is_found_by_its_key_and_by_its_name_however_that_is_written)
{
	cr_expect_eq(set("as:1:ab12", "Lamp 3.14"), GM_E_OK);
	cr_expect_str_eq(name_of("as:1:AB12"), "Lamp 3.14");
	cr_expect_str_eq(name_of("lamp-3.14"), "Lamp 3.14");
	cr_expect_str_eq(name_of("LAMP 3.14"), "Lamp 3.14");
	cr_expect_str_eq(name_of("lamp 3.1"), "none");
	cr_expect_str_eq(name_of("as:2:ab12"), "none");
	cr_expect_eq(set("as:1:ab12", "Lamp 4"), GM_E_OK);
	cr_expect_str_eq(name_of("lamp-3.14"), "none", "it has another name now");
	cr_expect_eq(gm_core_devices_n(rig.core), 1);
	cr_expect_eq(take_out("lamp-4"), GM_E_OK);
	cr_expect_eq(take_out("lamp-4"), GM_E_UNKNOWN);
	cr_expect_eq(gm_core_devices_n(rig.core), 0);
}

Test(device, has_a_name_of_its_own)
{
	cr_expect_eq(set("as:1:01", "Lamp 1"), GM_E_OK);
	cr_expect_eq(set("as:1:02", "lamp-1"), GM_E_EXISTS);
	cr_expect_str_eq(name_of("as:1:02"), "none", "nothing was changed");
	cr_expect_eq(set("as:1:02", ""), GM_E_OK);
	cr_expect_eq(set("as:1:03", ""), GM_E_OK, "no name is not a name");
}

Test(device, refuses_names_that_mislead)
{
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): an escape ends where its text does */
	static const char *const bad[] = {"as:1:00", "cred:x", "a/b", "say \"x\"", "a\\b", " x", "x ", "\x1b[2J", "a\nb", "\xc2\x9b" "2J", "\xe2\x80\xae" "x", "\xe2\x80\x8e" "x", "x\xe2\x80\x8f" "x", "\xd8\x9c" "x", "\xe2\x81\xa6" "x",
	                                  "\xff", "0123456789012345678901234567890123456789012345678901234567890123"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not_null(gm_device_name_fault(bad[i]), "%s", bad[i]);
	cr_expect_null(gm_device_name_fault("L\xc3\xa4mpchen 3.14 (\xe2\x82\xac)"));
	cr_expect_null(gm_device_name_fault("=1"), "a spreadsheet is told otherwise, people are not");
}

Test(device, reads_keys_strictly)
{
	static const char *const bad[] = {"as:0:aa", "as:1", "as:x:aa", "as:1:a", "as:1:xx", "as: 1:aa", "as:99999999999:aa", "cred:aa", "", "aa", "cred:",
	                                  "as:1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"};
	char text[GM_DEVICE_KEY_TEXT];
	struct gm_device_key key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(gm_device_key_parse(bad[i], &key), "%s", bad[i]);
	cr_expect(gm_device_key_parse("as:7:", &key), "an empty identifier is one");
	cr_expect(gm_device_key_parse("as:4294967295:Ab", &key));
	cr_expect_str_eq(gm_device_key_text(&key, text), "as:4294967295:ab");
}

static bool see_name(void *arg, const struct gm_member_info *m)
{
	char buf[GM_DEVICE_NAME_MAX + 1];
	const char *name = gm_core_member_name(rig.core, m, buf);

	snprintf(arg, 128, "%s", name ? name : "");
	return false;
}

static const char *name_in(const char *group)
{
	static char name[128];

	name[0] = '\0';
	cr_assert_eq(gm_core_members(rig.core, group, NULL, UINT32_MAX, see_name, name), GM_E_OK);
	return name;
}

static void by_osc_id(const struct rig_client *c, char key[static GM_DEVICE_KEY_TEXT])
{
	snprintf(key, GM_DEVICE_KEY_TEXT, "as:1:%02x%02x%02x%02x", c->osc_id[0], c->osc_id[1], c->osc_id[2], c->osc_id[3]);
}

static void by_cred(const char *cred, char key[static GM_DEVICE_KEY_TEXT])
{
	struct gm_device_key k = {.id_n = GM_CRED_HASH};

	gm_sha256(k.id, (const uint8_t *)cred, strlen(cred));
	gm_device_key_text(&k, key);
}

static gm_ctx_id ctx_of(const char *device) /* 0: not one */
{
	gm_ctx_id *ctx, only = 0;
	unsigned n = gm_core_device(rig.core, device, &ctx);

	if (n == 1)
		only = *ctx;
	free(ctx);
	return only;
}

Test(device, names_members_by_their_token_else_by_their_credential)
{
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_client(2, "g2", REQ);
	struct rig_join j = {.group = "g2", .roles = REQ, .cred = "the other"};
	char key[GM_DEVICE_KEY_TEXT];

	rig_token(&rig, &b);
	cr_assert_eq(rig_join(&rig, &b, &j).code, GM_COAP(2, 1));
	cr_expect_str_eq(name_in("g1"), "");
	by_osc_id(&a, key);
	set(key, "Lamp 1");
	by_cred("the other", key);
	set(key, "Lamp 2");
	cr_expect_str_eq(name_in("g1"), "Lamp 1");
	cr_expect_str_eq(name_in("g2"), "Lamp 2");
	cr_expect_eq(ctx_of("lamp-1"), a.ctx);
	cr_expect_eq(ctx_of("lamp-2"), b.ctx);
	cr_expect_eq(ctx_of(key), b.ctx);
	cr_expect_eq(ctx_of("lamp-3"), 0);
	rig_restart(&rig);
	cr_expect_str_eq(name_in("g2"), "Lamp 2", "it is durable");
}

Test(device, is_evicted_by_its_name)
{
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);
	const struct gm_evict_spec evict = {.node = "lamp-1"};
	char key[GM_DEVICE_KEY_TEXT];
	unsigned n = 0;

	by_osc_id(&a, key);
	set(key, "Lamp 1");
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &evict, &n), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(n, 1);
	cr_expect_eq(rig_info(&rig, "g1").members, 0);
	cr_expect_str_eq(name_of("lamp-1"), "Lamp 1", "the register keeps it");
}

static struct rig_client with_cred(unsigned n, const char *group, const char *cred)
{
	struct rig_client c = rig_client(n, group, REQ);
	struct rig_join j = {.group = group, .roles = REQ, .cred = cred};

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	return c;
}

static unsigned contexts(const char *device)
{
	gm_ctx_id *ctx;
	unsigned n = gm_core_device(rig.core, device, &ctx);

	for (unsigned i = 1; i < n; i++)
		cr_expect_lt(ctx[i - 1], ctx[i]);
	free(ctx);
	return n;
}

Test(device, that_is_evicted_by_its_credential_is_out_and_barred_under_each_of_its_tokens)
{
	struct rig_client a = with_cred(1, "g1", "shared"), b = with_cred(2, "g2", "shared");
	const struct rig_join j1 = {.group = "g1", .roles = REQ, .cred = "shared"}, j2 = {.group = "g2", .roles = REQ, .cred = "shared"};
	struct gm_core_status s;
	char key[GM_DEVICE_KEY_TEXT];
	unsigned n = 0;

	with_cred(3, "g2", "its own");
	by_cred("shared", key);
	const struct gm_evict_spec evict = {.node = key};
	cr_expect_eq(contexts(key), 2);
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &evict, &n), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(n, 2);
	cr_expect_eq(rig_info(&rig, "g1").members, 0);
	cr_expect_eq(rig_info(&rig, "g2").members, 1, "the other stays");
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.bars, 2);
	cr_expect_neq(rig_join(&rig, &a, &j1).code, GM_COAP(2, 1));
	cr_expect_neq(rig_join(&rig, &b, &j2).code, GM_COAP(2, 1));
	cr_expect_eq(contexts(key), 0);
}

Test(device, is_found_by_the_credential_that_it_has_now)
{
	char first[GM_DEVICE_KEY_TEXT], second[GM_DEVICE_KEY_TEXT];
	struct rig_client a = with_cred(1, "g1", "first");
	const struct rig_join again = {.group = "g1", .roles = REQ, .cred = "second"};

	by_cred("first", first);
	by_cred("second", second);
	cr_expect_eq(ctx_of(first), a.ctx);
	cr_expect_eq(ctx_of(second), 0);
	rig_join(&rig, &a, &again);
	rig_pass(&rig, 10000); /* a rejoin may wait for new keys */
	cr_expect_eq(ctx_of(first), 0);
	cr_expect_eq(ctx_of(second), a.ctx);
	const struct gm_evict_spec evict = {.node = second, .allow_return = true};
	unsigned n;
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &evict, &n), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(ctx_of(second), 0);
	struct rig_client b = with_cred(2, "g1", "first"); /* in its place */
	cr_expect_eq(ctx_of(first), b.ctx);
	rig_restart(&rig);
	cr_expect_eq(ctx_of(first), b.ctx, "read from the store");
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Whoever asks would keep all others waiting. The time is compared with what it takes to hash them all, not with a clock. */
Test(device, asked_for_by_its_credential_for_the_first_time_costs_no_look_at_all_credentials)
{
	enum { MEMBERS = 200 };
	struct gm_group_spec big = rig_group_spec("big");
	char cred[1001], key[GM_DEVICE_KEY_TEXT];
	uint8_t hash[GM_CRED_HASH];
	struct gm_core_memory before, after;

	big.max_members = MEMBERS;
	cr_assert_eq(rig_group(&rig, &big), GM_E_OK);
	memset(cred, 'c', sizeof(cred) - 1);
	cred[sizeof(cred) - 1] = '\0';
	for (unsigned i = 1; i <= MEMBERS; i++) {
		snprintf(cred, 9, "%08u", i);
		cred[8] = 'c';
		with_cred(i, "big", cred);
	}
	rig_restart(&rig);
	by_cred(cred, key);
	gm_core_memory(rig.core, &before);
	uint64_t start = cpu_ns();
	cr_expect_eq(contexts(key), 1);
	uint64_t asked = cpu_ns();
	for (unsigned i = 0; i < MEMBERS; i++)
		gm_sha256(hash, (const uint8_t *)cred, sizeof(cred) - 1);
	uint64_t all = cpu_ns() - asked;
	asked -= start;
	cr_expect_lt(asked * 4, all, "%llu ns of %llu ns", (unsigned long long)asked, (unsigned long long)all);
	gm_core_memory(rig.core, &after);
	cr_expect_eq(before.members, after.members);
}

Test(device, that_is_registered_may_not_join_for_that)
{
	struct rig_client c = rig_client(5, "g1", REQ);
	struct rig_join j = {.group = "g2", .roles = REQ, .cred = "cred"};
	char key[GM_DEVICE_KEY_TEXT];

	by_osc_id(&c, key);
	spec.groups_n = 1;
	snprintf(spec.groups[0].group, sizeof(spec.groups[0].group), "g2");
	cr_expect_eq(set(key, "Lamp 5"), GM_E_OK);
	rig_token(&rig, &c);
	cr_expect_eq(rig_join(&rig, &c, &j).code, GM_COAP(4, 3), "its token says g1");
}

Test(device, says_what_would_change_and_changes_nothing_by_that)
{
	enum gm_device_change change;

	cr_assert(gm_device_key_parse("as:1:01", &spec.key));
	cr_expect_eq(gm_core_device_check(rig.core, &rig.txn, &spec, &change), GM_E_OK);
	cr_expect_eq(change, GM_DEVICE_MADE);
	cr_expect_eq(gm_core_devices_n(rig.core), 0);
	set("as:1:01", "x");
	cr_expect_eq(gm_core_device_check(rig.core, &rig.txn, &spec, &change), GM_E_OK);
	cr_expect_eq(change, GM_DEVICE_SAME);
	spec.groups_n = 1;
	snprintf(spec.groups[0].group, sizeof(spec.groups[0].group), "a/b");
	cr_expect_eq(gm_core_device_check(rig.core, &rig.txn, &spec, &change), GM_E_USAGE);
	snprintf(spec.groups[0].group, sizeof(spec.groups[0].group), "g1");
	cr_expect_eq(gm_core_device_check(rig.core, &rig.txn, &spec, &change), GM_E_OK);
	cr_expect_eq(change, GM_DEVICE_CHANGED);
	rig.txn.disk_low = true;
	cr_expect_eq(gm_core_device_check(rig.core, &rig.txn, &spec, &change), GM_E_DISK_FULL);
}
