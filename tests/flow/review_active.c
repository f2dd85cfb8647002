/* SPDX-License-Identifier: Apache-2.0 */
/* What a second review found: observers of `active` whose mirror changes, and names longer than any group's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <time.h>

#include "core_poke.h"
#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))

static const struct asking watch_active = {.method = GM_COAP_GET, .path = "/ace-group/g1/active", .observe = true};

static void turn_active(struct flow *r)
{
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};

	core_poke_turn_active(r->core, &txn);
	flow_turn(r);
}

Test(join, with_a_group_name_of_eight_thousand_bytes_is_refused)
{
	static uint8_t bytes[8192], scope[8192], name[8100];
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct gm_out s = gm_out(scope, sizeof scope), o = gm_out(bytes, sizeof bytes);
	struct reply a;

	cr_assert(flow_do(r, m, TOKEN));
	memset(name, 'x', sizeof name);
	gm_cbor_put_array(&s, 2);
	gm_cbor_put_tstr(&s, name, sizeof name);
	gm_cbor_put_uint(&s, GM_ROLE_REQUESTER);
	gm_cbor_put_map(&o, 2);
	gm_cbor_put_uint(&o, 3);
	gm_cbor_put_bstr(&o, scope, gm_out_len(&s));
	gm_cbor_put_uint(&o, 6);
	gm_cbor_put_bstr(&o, name, 8);
	size_t len = gm_out_len(&o);
	for (uint32_t i = 0; i * 1024 < len; i++) {
		struct gm_coap_block block = {.num = i, .more = (i + 1) * 1024 < len, .szx = 6};
		struct asking q = {.method = GM_COAP_POST, .path = "/ace-group/g1", .block1 = &block,
			.payload = {bytes + i * 1024, block.more ? 1024 : len - i * 1024}};
		cr_assert(ask(r, m, &q, &a));
	}
	cr_assert(eq(u8, a.inner.code, GM_COAP(4, 0)));
	flow_free(r);
}

Test(active, observed_anew_while_its_notification_is_out_uses_no_nonce_twice)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	turn_active(r);
	flow_run(r, 20);
	r->mute = false;
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	flow_run(r, 30000);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(active, observer_that_is_evicted_while_its_notification_is_out_is_closed_and_wiped)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, false);
	struct reply a;
	unsigned evicted = 0;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ask(r, m, &watch_active, &a));
	r->mute = true;
	turn_active(r);
	flow_run(r, 20);
	gm_ctx_id id = gm_member_at(r->dp->worker[0], 1)->ctx;
	cr_assert(flow_evict(r, m->node, &evicted) == GM_E_OK);
	flow_run(r, 200000);
	cr_assert(gm_ctx_at(r->dp->worker[0], id) == NULL);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}
