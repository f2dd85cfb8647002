/* SPDX-License-Identifier: Apache-2.0 */
/* Records that earlier versions wrote come back. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"
#include "wire/cbor.h"

static struct rig_record *record_of_member(struct core_rig *rig)
{
	for (size_t i = 0; i < rig->records; i++)
		if (rig->record[i].table == GM_TABLE_MEMBER)
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
	rewrite_as_form_1(record_of_member(&rig));
	rig_restart(&rig);
	const struct rig_mirror *m = rig_mirror_of(&rig, c.ctx, "g1");
	cr_assert_not_null(m);
	cr_expect_eq(m->delivery, GM_DELIVER_OBSERVE);
	cr_expect_str_eq(m->node, before.node);
	cr_expect(m->sid_n == before.sid_n && memcmp(m->sid, before.sid, m->sid_n) == 0);
	rig_stop(&rig);
}
