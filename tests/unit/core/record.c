/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored is what is: random lives, stopped anywhere, come back the same. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_rig.h"

#define CLIENTS 24u
#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER
#define MON GM_ROLE_MONITOR

static struct core_rig rig;
static struct rig_client client[CLIENTS];
static uint64_t dice;
static const uint8_t algs[] = {1, 2, 3, 10, 11, 24, 30, 31}; /* of contexts */

static unsigned roll(unsigned n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % n;
}

static void token(unsigned i)
{
	const char *first = roll(2) ? "g1" : "g2";

	struct rig_client c = rig_client(i, first, REQ | RESP | MON);

	if (roll(3))
		rig_scope_add(&c, strcmp(first, "g1") ? "g1" : "g2", REQ | RESP);
	c.exp = rig.wall_s + 100 + roll(5000);
	c.osc_alg = algs[roll(sizeof(algs))];
	if (rig_token(&rig, &c) == GM_E_OK)
		client[i] = c;
}

static const char *any_group(void)
{
	static const char *const name[] = {"g1", "g2", "g3"};

	return name[roll(3)];
}

static void join(unsigned i)
{
	static const uint32_t roles[] = {REQ, RESP, REQ | RESP, MON};
	struct rig_join j = {.group = any_group(), .roles = roles[roll(4)], .cred = "cred", .control = roll(2)};

	if (roll(4) == 0) {
		j.no_verify = true;
		j.cred = "";
	}
	if (roll(8) == 0)
		j.pop = GM_E_BAD_POP;
	j.get_creds = (uint8_t)roll(2);
	rig_join(&rig, &client[i], &j);
}

static void read_or_leave(unsigned i)
{
	const char *group = any_group();
	const struct rig_mirror *m = rig_info(&rig, group).name ? rig_mirror_of(&rig, client[i].ctx, group) : NULL;
	char node[17] = "AAAAAAAA";
	struct rig_request q = {.method = 1, .res = GM_RES_NODE, .group = group, .node = node};

	if (m)
		memcpy(node, m->node, sizeof(node));
	if (roll(3) == 0)
		q.method = 4;
	else
		q.flags = roll(2) ? GM_REQ_OBSERVE : GM_REQ_UNOBSERVE;
	rig_request(&rig, &client[i], &q);
}

static void evict(unsigned i)
{
	struct gm_evict_spec spec = {.group = roll(2) ? "g1" : "g2", .compromised = roll(2), .allow_return = roll(2)};
	const struct rig_mirror *m = rig_mirror_of(&rig, client[i].ctx, spec.group);
	char node[17];
	unsigned n;

	if (!m)
		return;
	memcpy(node, m->node, sizeof(node));
	spec.node = node;
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &spec, &n), GM_E_OK);
	rig_turn_end(&rig);
}

static void pass(unsigned i)
{
	(void)i;
	rig_pass(&rig, roll(10) ? roll(3000) : roll(900000));
}

static void delivered(unsigned i)
{
	(void)i;
	rig_delivered(&rig, roll(2) ? "g1" : "g2", roll(2));
}

static void (*const steps[])(unsigned) = {token, token,         join,          join,  join, join,
                                          join,  read_or_leave, read_or_leave, evict, pass, delivered};

static void close_all(void)
{
	for (size_t i = rig.records; i-- > 0;) {
		if (i >= rig.records || rig.record[i].table != GM_TABLE_CTX)
			continue;
		const uint8_t *k = rig.record[i].key;
		rig_closed(&rig, GM_CTX_ID((uint32_t)k[0], (uint32_t)k[1] << 8 | k[2], 1));
	}
}

static int by_place(const void *a, const void *b)
{
	const struct rig_mirror *x = a, *y = b;

	return x->group != y->group ? (x->group < y->group ? -1 : 1) : x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void compare_after_a_stop(void)
{
	close_all();
	char *before = rig_dump(&rig);
	size_t n = rig.mirrors;
	struct rig_mirror *mirror = calloc(n + 1, sizeof(*mirror));

	if (n)
		memcpy(mirror, rig.mirror, n * sizeof(*mirror));
	qsort(mirror, n, sizeof(*mirror), by_place);
	rig_restart(&rig);
	char *after = rig_dump(&rig);
	for (size_t i = 0; before[i] || after[i]; i++)
		cr_assert_eq(before[i], after[i], "at \"%.60s\" against \"%.60s\"", before + (i > 20 ? i - 20 : 0),
		             after + (i > 20 ? i - 20 : 0));
	cr_assert_eq(rig.mirrors, n);
	if (n)
		qsort(rig.mirror, n, sizeof(*mirror), by_place);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(memcmp(&mirror[i], &rig.mirror[i], sizeof(*mirror)), 0, "mirror %zu", i);
	free(mirror);
	free(before);
	free(after);
}

static void live(uint64_t seed, enum gm_backward backward)
{
	struct gm_group_spec g1 = rig_group_spec("g1"), g2 = rig_group_spec("g2");

	dice = seed;
	rig_start(&rig, 1 + roll(4));
	g1.backward = backward;
	g2.max_members = 30000;
	g2.max_stale_sets = 5;
	g2.rekey_every_s = 600;
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	cr_assert_eq(rig_group(&rig, &g2), GM_E_OK);
	for (unsigned i = 0; i < CLIENTS; i++)
		token(i);
	for (unsigned i = 0; i < 600; i++) {
		steps[roll(sizeof(steps) / sizeof(*steps))](roll(CLIENTS));
		if (roll(40) == 0)
			compare_after_a_stop();
	}
	compare_after_a_stop();
	rig_stop(&rig);
}

Test(record, random_lives_stopped_anywhere_come_back_the_same)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		live(seed, seed % 2 ? GM_BACKWARD_OFF : GM_BACKWARD_EACH);
}

Test(record, random_lives_with_joins_that_wait_stop_cleanly)
{
	for (uint64_t seed = 100; seed <= 110; seed++)
		live(seed, GM_BACKWARD_WINDOW);
}

Test(record, damaged_ones_are_refused_or_harmless)
{
	struct gm_group_spec g1 = rig_group_spec("g1");

	dice = 77;
	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join again = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};
	rig_join(&rig, &c, &again);
	for (unsigned i = 0; i < 20000; i++) {
		struct rig_record *rec = &rig.record[roll((unsigned)rig.records)];
		struct gm_core *core = gm_core_new(&rig.config);
		uint8_t value[4096];
		if (rec->table == GM_TABLE_LEASE && roll(20)) {
			gm_core_free(core);
			continue;
		}
		for (size_t k = 0; k < rig.records && rec->table != GM_TABLE_GROUP; k++) /* what it leans on */
			if (rig.record[k].table < GM_TABLE_MEMBER && rig.record[k].key_n == 4 && &rig.record[k] != rec)
				cr_assert_eq(
				    gm_core_load(core, rig.record[k].table, (struct gm_bytes){rig.record[k].key, 4},
				                 (struct gm_bytes){rig.record[k].value, rig.record[k].value_n}),
				    GM_E_OK);
		size_t n = roll(4) ? rec->value_n : roll((unsigned)rec->value_n);
		memcpy(value, rec->value, n);
		unsigned flips = roll(3);
		for (unsigned k = 0; n && k < flips; k++)
			value[roll((unsigned)n)] ^= (uint8_t)(1u << roll(8));
		enum gm_err err = gm_core_load(core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
		                               (struct gm_bytes){value, n});
		if (n < rec->value_n && !flips)
			cr_expect_eq(err, GM_E_CORRUPT);
		gm_core_free(core);
	}
	rig_stop(&rig);
}
