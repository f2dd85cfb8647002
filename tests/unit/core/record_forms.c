/* SPDX-License-Identifier: Apache-2.0 */
/* Records that earlier versions wrote come back. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"
#include "gm/crypto.h"
#include "wire/cbor.h"

static struct rig_record *record_in(struct core_rig *rig, enum gm_table table)
{
	for (size_t i = 0; i < rig->records; i++)
		if (rig->record[i].table == table)
			return &rig->record[i];
	return NULL;
}

static void copy_items(struct gm_out *to, struct gm_in *from, unsigned n)
{
	while (n--) {
		struct gm_bytes item = gm_cbor_item(from);
		gm_out_bytes(to, item.p, item.n);
	}
}

/* Form 1: one observation, of nodes/N or of the group, and no scope. */
static void rewrite_as_form_1(struct rig_record *rec)
{
	struct gm_in in = gm_in_bytes((struct gm_bytes){rec->value, rec->value_n});
	uint8_t *value = malloc(1024);
	struct gm_out o = gm_out(value, 1024);

	cr_assert_eq(gm_cbor_array(&in), 15);
	cr_assert_eq(gm_cbor_uint(&in), 2);
	gm_cbor_put_array(&o, 17);
	gm_cbor_put_uint(&o, 1);
	copy_items(&o, &in, 10);
	gm_cbor_skip(&in);
	gm_cbor_put_bool(&o, true);
	gm_cbor_put_bool(&o, true);
	gm_cbor_put_bstr(&o, "\x77", 1);
	gm_cbor_put_bstr(&o, "\x05", 1);
	copy_items(&o, &in, 2);
	free(rec->value);
	rec->value = value;
	rec->value_n = gm_out_len(&o);
}

Test(member_record, of_the_first_form_comes_back_with_its_observation)
{
	static struct core_rig rig;
	struct gm_group_spec spec = rig_group_spec("g1");
	struct rig_client c;

	rig_start(&rig, 1);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	c = rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	struct rig_mirror before = *rig_mirror_of(&rig, c.ctx, "g1");
	cr_assert_eq(before.delivery, GM_DELIVER_POLL);
	rewrite_as_form_1(record_in(&rig, GM_TABLE_MEMBER));
	rig_restart(&rig);
	const struct rig_mirror *m = rig_mirror_of(&rig, c.ctx, "g1");
	cr_assert_not_null(m);
	cr_expect_eq(m->delivery, GM_DELIVER_OBSERVE);
	cr_expect_str_eq(m->node, before.node);
	cr_expect(m->sid_n == before.sid_n && memcmp(m->sid, before.sid, m->sid_n) == 0);
	rig_stop(&rig);
}

static void start_with_context(struct core_rig *rig, struct rig_client *c, uint8_t alg)
{
	struct gm_group_spec spec = rig_group_spec("g1");
	struct rig_join j = {.group = "g1", .roles = GM_ROLE_REQUESTER, .cred = "cred"};

	rig_start(rig, 1);
	cr_assert_eq(rig_group(rig, &spec), GM_E_OK);
	*c = rig_client(1, "g1", GM_ROLE_REQUESTER);
	c->osc_alg = alg;
	cr_assert_eq(rig_token(rig, c), GM_E_OK);
	cr_assert_eq(rig_join(rig, c, &j).type, GM_EFF_JOINED);
}

static void expect_filled(const uint8_t *b, uint8_t with, size_t n, size_t cap)
{
	for (size_t i = 0; i < cap; i++)
		cr_expect_eq(b[i], i < n ? with : 0);
}

/* The rig fills what an algorithm uses of keys and IV. */
static void expect_context(const struct core_rig *rig, const struct rig_client *c, uint8_t alg)
{
	const struct gm_ctx_save *s = &rig->loaded;
	const struct gm_aead_info *aead = gm_aead_info(alg);

	cr_expect_eq(s->id, c->ctx);
	cr_expect_eq(s->alg, alg);
	cr_expect_eq(s->sid_n, 1);
	expect_filled(s->send_key, 0xa1, aead->key_len, sizeof s->send_key);
	expect_filled(s->recv_key, 0xb1, aead->key_len, sizeof s->recv_key);
	expect_filled(s->common_iv, 0xc1, aead->nonce_len, sizeof s->common_iv);
}

static const uint8_t algs[] = {1, 2, 3, 10, 11, 24, 30, 31};

Test(context_record, keeps_the_algorithm_and_as_much_of_the_keys_as_it_takes)
{
	static struct core_rig rig;

	for (size_t i = 0; i < sizeof algs; i++) {
		struct rig_client c;
		start_with_context(&rig, &c, algs[i]);
		rig_restart(&rig);
		expect_context(&rig, &c, algs[i]);
		rig_stop(&rig);
	}
}

/* what: the items that stand in the place of form, id and algorithm */
static void rewrite_context(struct rig_record *rec, unsigned items, const uint8_t *what, size_t what_n)
{
	struct gm_in in = gm_in_bytes((struct gm_bytes){rec->value, rec->value_n});
	uint8_t *value = malloc(1024);
	struct gm_out o = gm_out(value, 1024);

	cr_assert_eq(gm_cbor_array(&in), 21);
	cr_assert_eq(gm_cbor_uint(&in), 2);
	gm_cbor_put_array(&o, items);
	gm_cbor_put_uint(&o, what[0]);
	copy_items(&o, &in, 1);
	gm_cbor_skip(&in);
	if (what_n == 2)
		gm_cbor_put_uint(&o, what[1]);
	copy_items(&o, &in, 18);
	free(rec->value);
	rec->value = value;
	rec->value_n = gm_out_len(&o);
}

Test(context_record, of_the_first_form_comes_back_as_aes_ccm_16_64_128)
{
	static struct core_rig rig;
	struct rig_client c;

	start_with_context(&rig, &c, 10);
	rewrite_context(record_in(&rig, GM_TABLE_CTX), 20, (const uint8_t[]){1}, 1);
	rig_restart(&rig);
	expect_context(&rig, &c, 10);
	rig_stop(&rig);
}

Test(context_record, with_an_unknown_algorithm_or_keys_of_another_is_corrupt)
{
	static const uint8_t wrong[][2] = {{2, 0}, {2, 4}, {2, 11}, {2, 12}, {2, 24}, {2, 255}, {3, 10}, {1, 10}};
	static struct core_rig rig;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct rig_client c;
		start_with_context(&rig, &c, 10);
		struct rig_record *rec = record_in(&rig, GM_TABLE_CTX);
		struct gm_core *core = gm_core_new(&rig.config);
		rewrite_context(rec, 21, wrong[i], 2);
		cr_expect_eq(gm_core_load(core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
		                          (struct gm_bytes){rec->value, rec->value_n}),
		             GM_E_CORRUPT, "form %u algorithm %u", wrong[i][0], wrong[i][1]);
		gm_core_free(core);
		rig_stop(&rig);
	}
}

static struct rig_record *record_of_group(struct core_rig *rig)
{
	for (size_t i = 0; i < rig->records; i++)
		if (rig->record[i].table == GM_TABLE_GROUP && rig->record[i].key_n == 4)
			return &rig->record[i];
	return NULL;
}

/* Form 1 did not say what members are owed, form 2 not since when the configuration is what it is. */
static void group_of_form(unsigned form)
{
	static struct core_rig rig;
	struct gm_group_spec spec = rig_group_spec("g1");

	rig_start(&rig, 1);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	struct rig_record *rec = record_of_group(&rig);
	cr_assert_eq(memcmp(rec->value, "\x98\x1b\x03", 3), 0);
	cr_assert_eq(memcmp(rec->value + rec->value_n - 2, "\0\0", 2), 0);
	rec->value[1] = (uint8_t)(0x18 + form);
	rec->value[2] = (uint8_t)form;
	rec->value_n -= 3 - form;
	char *before = rig_dump(&rig), *after;
	rig_restart(&rig);
	after = rig_dump(&rig);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
	rig_stop(&rig);
}

Test(group_record, of_the_first_form_comes_back)
{
	group_of_form(1);
}

Test(group_record, of_the_second_form_comes_back)
{
	group_of_form(2);
}

/* Form 3 did not say when the older keys end: nothing ends a pause then before the newest do. */
Test(group_record, of_the_third_form_comes_back_while_its_distribution_is_paused)
{
	static struct core_rig rig;
	struct gm_group_spec spec = rig_group_spec("g1");
	const char *why;

	rig_start(&rig, 1);
	spec.key_lifetime_s = 600;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	rig_pass(&rig, 500000);
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", false), GM_E_OK);
	cr_assert_eq(gm_core_rekey_pause(rig.core, &rig.txn, "g1", true, &why), GM_E_OK);
	rig_turn_end(&rig);
	struct rig_record *rec = record_of_group(&rig);
	cr_assert_eq(memcmp(rec->value, "\x98\x1c\x04", 3), 0);
	cr_assert_eq(rec->value[rec->value_n - 5], 0x1a, "an end of 32 bits");
	rec->value[1] = 0x1b;
	rec->value[2] = 3;
	rec->value_n -= 5;
	rig_restart(&rig);
	rig_pass(&rig, 200000);
	cr_expect_str_eq(rig_info(&rig, "g1").state, "paused");
	rig_stop(&rig);
}

/* Form 1 of the next two is their first items. */
static void cut_to_form_1(struct rig_record *rec, unsigned items)
{
	struct gm_in in = gm_in_bytes((struct gm_bytes){rec->value, rec->value_n});
	uint8_t *value = malloc(1024);
	struct gm_out o = gm_out(value, 1024);

	cr_assert_gt(gm_cbor_array(&in), items + 1);
	cr_assert_eq(gm_cbor_uint(&in), 2);
	gm_cbor_put_array(&o, items + 1);
	gm_cbor_put_uint(&o, 1);
	copy_items(&o, &in, items);
	free(rec->value);
	rec->value = value;
	rec->value_n = gm_out_len(&o);
}

static bool take_as(void *arg, const struct gm_as_info *info)
{
	*(struct gm_as_info *)arg = *info;
	return false;
}

Test(as_record, of_the_first_form_comes_back_without_a_link)
{
	static struct core_rig rig;
	struct gm_as_info info = {0};

	rig_start(&rig, 1);
	cut_to_form_1(record_in(&rig, GM_TABLE_AS), 8);
	rig_restart(&rig);
	gm_core_ases(rig.core, take_as, &info);
	cr_expect_str_eq(info.name, "as1");
	cr_expect_str_eq(info.issuer, "coap://as1");
	cr_expect_not(info.has_link);
	cr_expect_str_eq(info.trl_state, "off");
	cr_expect_str_eq(info.introspect, "");
	rig_stop(&rig);
}

Test(as_record, with_a_link_under_no_aead_is_refused)
{
	static struct core_rig rig;
	struct gm_as_spec as = rig_as_spec("as2");

	rig_start(&rig, 1);
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
	struct rig_record *rec = NULL;
	for (size_t i = 0; i < rig.records; i++)
		if (rig.record[i].table == GM_TABLE_AS && rig.record[i].key[3] == 2)
			rec = &rig.record[i];
	cr_assert_not_null(rec);
	for (uint8_t alg = 10; alg > 4; alg -= 5) {
		struct gm_core *core = gm_core_new(&rig.config);
		rec->value[rec->value_n - 1] = alg;
		cr_expect_eq(gm_core_load(core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
		                          (struct gm_bytes){rec->value, rec->value_n}),
		             alg == 10 ? GM_E_OK : GM_E_CORRUPT);
		gm_core_free(core);
	}
	rig_stop(&rig);
}

/* Form 1 had the group's index in its key, and no name. */
static void cut_bar(struct rig_record *rec)
{
	cut_to_form_1(rec, 3);
	cr_assert_eq(rec->key_n, 32u);
	memset(rec->key + 16, 0, 4);
	rec->key[19] = 1;
	rec->key_n = 20;
}

Test(bar_record, of_the_first_form_comes_back_under_the_name_of_its_group)
{
	static struct core_rig rig;
	struct gm_group_spec g0 = rig_group_spec("g0"), g1 = rig_group_spec("g1");
	unsigned evicted;

	rig_start(&rig, 1);
	cr_assert_eq(rig_group(&rig, &g0), GM_E_OK);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	struct rig_client c = rig_member(&rig, 1, "g1", GM_ROLE_REQUESTER);
	struct gm_evict_spec spec = {.group = "g1", .node = rig_mirror_of(&rig, c.ctx, "g1")->node};
	rig_turn(&rig);
	cr_assert_eq(gm_core_evict(rig.core, &rig.txn, &spec, &evicted), GM_E_OK);
	rig_turn_end(&rig);
	cut_bar(record_in(&rig, GM_TABLE_BAR));
	for (unsigned i = 0; i < 2; i++) {
		rig_restart(&rig);
		c = rig_client(1, "g1", GM_ROLE_REQUESTER);
		cr_expect_eq(rig_token(&rig, &c), GM_E_TOKEN_BARRED);
		cr_expect_eq(record_in(&rig, GM_TABLE_BAR)->key_n, 32u, "it is written anew");
	}
	rig_pass(&rig, 86400000);
	cr_expect_null(record_in(&rig, GM_TABLE_BAR));
	rig_stop(&rig);
}

Test(revoked_record, of_the_first_form_comes_back_as_the_earliest)
{
	static struct core_rig rig;
	struct rig_client c = rig_client(1, "g1", GM_ROLE_REQUESTER);
	struct gm_core_status s;
	unsigned evicted;

	rig_start(&rig, 1);
	rig_turn(&rig);
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(&c), &evicted), GM_E_OK);
	rig_turn_end(&rig);
	cut_to_form_1(record_in(&rig, GM_TABLE_REVOKED), 1);
	rig_restart(&rig);
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.revoked, 1u);
	struct rig_token t = rig_token_of(&c);
	cr_expect_eq(rig_token_post(&rig, &t)->err, GM_E_TOKEN_REVOKED);
	rig_stop(&rig);
}
