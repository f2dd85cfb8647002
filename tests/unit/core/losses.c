/* SPDX-License-Identifier: Apache-2.0 */
/* What an eviction would take, told without looking at everybody. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/device.h"
#include "core_rig.h"
#include "gm/crypto.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;

static void start(void)
{
	struct gm_group_spec spec;
	char name[8];

	rig_start(&rig, 1);
	for (unsigned i = 1; i <= 4; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		spec = rig_group_spec(name);
		cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	}
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(losses, .init = start, .fini = stop);

/* Groups that its token names beside g1, "34" for g3 and g4; it joins all. */
static struct rig_client device(unsigned n, const char *more, const char *cred)
{
	struct rig_client c = rig_client(n, "g1", REQ);
	char group[] = "g1";
	struct rig_join j = {.group = group, .roles = REQ, .cred = cred};

	for (const char *g = more; *g; g++)
		rig_scope_add(&c, (char[]){'g', *g, '\0'}, REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	for (; *more; more++) {
		group[1] = *more;
		cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	}
	return c;
}

static char told[256];

static void tell(void *arg, const struct gm_loss *loss)
{
	size_t n = strlen(told);

	(void)arg;
	snprintf(told + n, sizeof(told) - n, "%s%s %u of %u", n ? ", " : "", loss->group, loss->going, loss->members);
}

static const char *losses(struct gm_whom whom)
{
	told[0] = '\0';
	return gm_core_losses(rig.core, &whom, tell, NULL) ? told : "unknown";
}

static bool name_it(void *arg, const struct gm_member_info *m)
{
	size_t n = strlen(told);

	(void)arg;
	snprintf(told + n, sizeof(told) - n, "%s%s", n ? " " : "", m->group);
	return true;
}

static const char *memberships(const char *device)
{
	told[0] = '\0';
	gm_core_device_members(rig.core, device, name_it, NULL);
	return told;
}

static const char *by_cred(const char *cred)
{
	static char text[GM_DEVICE_KEY_TEXT];
	struct gm_device_key k = {.id_n = GM_CRED_HASH};

	gm_sha256(k.id, (const uint8_t *)cred, strlen(cred));
	return gm_device_key_text(&k, text);
}

static const char *by_id(const struct rig_client *c)
{
	static char text[GM_DEVICE_KEY_TEXT];
	struct gm_device_key k = {.as_id = 1, .id_n = sizeof(c->osc_id)};

	memcpy(k.id, c->osc_id, sizeof(c->osc_id));
	return gm_device_key_text(&k, text);
}

Test(losses, of_a_device_are_its_groups_whichever_it_is_named_by)
{
	struct rig_client a = device(1, "34", "a's");
	char node[GM_DEVICE_KEY_TEXT];

	device(2, "3", "b's");
	snprintf(node, sizeof(node), "g3/%s", rig_mirror_of(&rig, a.ctx, "g3")->node);
	cr_expect_str_eq(losses((struct gm_whom){.device = by_id(&a)}), "g1 1 of 2, g3 1 of 2, g4 1 of 1");
	cr_expect_str_eq(losses((struct gm_whom){.device = node}), told);
	cr_expect_str_eq(losses((struct gm_whom){.device = by_cred("a's")}), "g1 1 of 2, g3 1 of 2, g4 1 of 1");
	cr_expect_str_eq(memberships(node), "g1 g3 g4");
	cr_expect_str_eq(losses((struct gm_whom){.device = "g2/nobody"}), "unknown");
	cr_expect_str_eq(memberships("g2/nobody"), "");
}

Test(losses, of_a_credential_are_those_of_all_who_have_it)
{
	device(1, "", "shared");
	device(2, "2", "shared");
	device(3, "2", "its own");
	cr_expect_str_eq(losses((struct gm_whom){.device = by_cred("shared")}), "g1 2 of 3, g2 1 of 2");
	cr_expect_str_eq(memberships(by_cred("shared")), "g1 g1 g2");
	cr_expect_str_eq(losses((struct gm_whom){.device = by_cred("nobody's")}), "unknown");
}

Test(losses, of_a_server_are_those_of_all_under_it)
{
	struct gm_as_spec other = rig_as_spec("other");

	other.issuer[0] = '\0';
	cr_assert_eq(rig_as(&rig, &other), GM_E_OK);
	device(1, "2", "a's");
	device(2, "", "b's");
	struct rig_client c = rig_client(3, "g1", REQ);
	const struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c's"};
	c.as_id = 2;
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
	cr_expect_str_eq(losses((struct gm_whom){.as = "other"}), "g1 1 of 3");
	cr_expect_str_eq(losses((struct gm_whom){.as = "nobody"}), "unknown");
}

Test(losses, of_a_token_are_those_of_who_holds_it)
{
	struct rig_client a = device(1, "2", "a's");

	device(2, "2", "b's");
	cr_expect_str_eq(losses((struct gm_whom){.token = rig_hash(&a)}), "g1 1 of 2, g2 1 of 2");
	a.token++;
	a.token++;
	cr_expect_str_eq(losses((struct gm_whom){.token = rig_hash(&a)}), "unknown");
	cr_expect_str_eq(losses((struct gm_whom){.token = {(const uint8_t *)"x", 1}}), "unknown");
}

/* ---- what it costs, compared with a walk over all members that the same thread makes */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool pass(void *arg, const struct gm_member_info *m)
{
	*(unsigned *)arg += m->slot < UINT32_MAX;
	return true;
}

static uint64_t walk_ns(const char *group, const char *node)
{
	uint64_t best = UINT64_MAX;
	unsigned n = 0;

	for (unsigned i = 0; i < 5; i++) {
		uint64_t start = cpu_ns();
		cr_assert_eq(gm_core_members(rig.core, group, node, UINT32_MAX, pass, &n), GM_E_OK);
		uint64_t took = cpu_ns() - start;
		best = took < best ? took : best;
	}
	cr_assert_gt(n, 0);
	return best;
}

Test(losses, of_one_among_many_are_found_without_a_walk_over_the_others)
{
	enum { MEMBERS = 900 };
	struct gm_group_spec big = rig_group_spec("big");
	const struct rig_join j = {.group = "big", .roles = REQ, .cred = "c"};
	char node[64];
	uint64_t best = UINT64_MAX;

	big.max_members = MEMBERS;
	cr_assert_eq(rig_group(&rig, &big), GM_E_OK);
	for (unsigned i = 1; i <= MEMBERS; i++) {
		struct rig_client c = rig_client(i, "big", REQ);
		cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
		cr_assert_eq(rig_join(&rig, &c, &j).code, GM_COAP(2, 1));
		if (i == MEMBERS)
			snprintf(node, sizeof(node), "big/%s", rig_mirror_of(&rig, c.ctx, "big")->node);
	}
	uint64_t all = walk_ns(NULL, NULL);
	cr_expect_lt(walk_ns("big", node + 4) * 10, all, "by its name in the group");
	for (unsigned i = 0; i < 5; i++) {
		uint64_t start = cpu_ns();
		cr_expect_str_eq(losses((struct gm_whom){.device = node}), "big 1 of 900");
		cr_expect_str_eq(memberships(node), "big");
		best = cpu_ns() - start < best ? cpu_ns() - start : best;
	}
	cr_expect_lt(best * 4, all, "%llu ns of %llu ns", (unsigned long long)best, (unsigned long long)all);
}
