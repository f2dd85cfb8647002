/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core_rig.h"
#include "wire/cbor.h"

#define REQ GM_ROLE_REQUESTER
#define GET 1
#define POST 2
#define DELETE 4
#define FETCH 5

static struct core_rig rig;
static char node[17];

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(policy, .init = start, .fini = stop);

static struct rig_answer ask(struct rig_client *c, uint8_t method, uint8_t res)
{
	struct rig_request q = {.method = method, .res = res, .group = "g1", .node = res == GM_RES_NODE ? node : NULL};

	return rig_request(&rig, c, &q);
}

Test(policy, holds_everyone_to_the_table)
{
	static const uint8_t res[] = {GM_RES_GROUP, GM_RES_NODE, GM_RES_ACTIVE, GM_RES_POLICIES, GM_RES_NUM};
	struct rig_client member = rig_member(&rig, 1, "g1", REQ);
	struct rig_client stranger = rig_client(2, "g1", REQ), verifier = rig_client(3, "g1", GM_ROLE_VERIFIER);

	cr_assert_eq(rig_token(&rig, &stranger), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &verifier), GM_E_OK);
	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, member.ctx, "g1")->node);
	for (unsigned i = 0; i < sizeof(res); i++) {
		cr_expect_eq(ask(&member, GET, res[i]).code, GM_COAP(2, 5), "resource %u", res[i]);
		struct rig_answer a = ask(&stranger, GET, res[i]);
		cr_expect_eq(a.code, GM_COAP(4, 3));
		cr_expect_eq(a.ace_id, 0);
		cr_expect_eq(ask(&verifier, GET, res[i]).code, GM_COAP(4, 3));
		cr_expect_eq(ask(&member, 6, res[i]).code, GM_COAP(4, 5));
	}
	cr_expect_eq(ask(&verifier, GET, GM_RES_CREDS).code, GM_COAP(2, 5), "verifiers read credentials");
	cr_expect_eq(ask(&stranger, GET, GM_RES_CREDS).ace_id, 0);
}

Test(policy, authorization_comes_before_existence)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_request q = {.method = GET, .res = GM_RES_GROUP, .group = "secret"};

	rig_scope_add(&c, "gone", REQ);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 3));
	q.group = "gone";
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 4));
	q.group = "g1";
	q.res = GM_RES_NONE;
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 4));
	q.group = NULL;
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 4));
	q.bad = GM_E_BAD_OPTION;
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 2));
}

Test(policy, a_request_without_a_context_is_4_01)
{
	struct rig_client c = rig_client(1, "g1", REQ);

	c.ctx = GM_CTX_ID(3, 77, 1);
	c.confirmed = true;
	cr_expect_eq(ask(&c, GET, GM_RES_NUM).code, GM_COAP(4, 1));
}

Test(policy, a_node_name_of_another_is_4_03_without_an_error_id)
{
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_member(&rig, 2, "g1", REQ);

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, b.ctx, "g1")->node);
	struct rig_answer x = ask(&a, DELETE, GM_RES_NODE);
	cr_expect_eq(x.code, GM_COAP(4, 3));
	cr_expect_eq(x.ace_id, -1);
	cr_expect_eq(rig_info(&rig, "g1").members, 2u);
}

Test(policy, reads_answer_what_they_should)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_answer a = ask(&c, GET, GM_RES_NUM);

	cr_expect_eq(a.format, 60);
	cr_expect(a.payload.n == 1 && a.payload.p[0] == 0);
	a = ask(&c, GET, GM_RES_ACTIVE);
	cr_expect(a.payload.n == 1 && a.payload.p[0] == 0xf5);
	a = ask(&c, GET, GM_RES_POLICIES);
	cr_expect_eq(a.format, 261);
	cr_expect_eq(memcmp(a.payload.p, "\xa1\x10\xa2\x01\x19\x0e\x10\x02\x00", a.payload.n), 0);
	a = ask(&c, GET, GM_RES_CREDS);
	struct gm_in in = gm_in_bytes(a.payload);
	cr_expect_eq(gm_cbor_map(&in), 4u);
	cr_expect(gm_cbor_uint(&in) == 9 && gm_cbor_uint(&in) == 0); /* NOLINT(misc-redundant-expression): each reads on */
	cr_expect(gm_cbor_uint(&in) == 13 && gm_cbor_array(&in) == 1);
	cr_expect(gm_bytes_is(gm_cbor_bstr(&in), "credential-1"));
}

Test(policy, finds_groups_by_gid_for_those_who_may_use_them)
{
	struct rig_client c = rig_client(1, "g1", REQ), other = rig_client(2, "g2", REQ);
	uint8_t body[11] = {0xa1, 0x00, 0x81, 0x47};
	struct rig_request q = {.method = FETCH, .res = GM_RES_GROUPS, .payload = {body, sizeof(body)}};

	memcpy(body + 4, rig.view[0].gid, 7);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &other), GM_E_OK);
	struct rig_answer a = rig_request(&rig, &c, &q);
	cr_expect_eq(a.code, GM_COAP(2, 5));
	cr_expect_eq(a.payload.p[0], 0xa3);
	cr_expect_not_null(memmem(a.payload.p, a.payload.n, "/ace-group/g1", 13));
	a = rig_request(&rig, &other, &q);
	cr_expect(a.payload.n == 1 && a.payload.p[0] == 0x40);
	q.payload.n = 3;
	cr_expect_eq(rig_request(&rig, &c, &q).code, GM_COAP(4, 0));
}

/* ---- observation, addresses, leases */

Test(policy, an_observation_is_kept_over_a_stop_and_ends_when_asked)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_request q = {
	    .method = GET, .res = GM_RES_NODE, .group = "g1", .flags = GM_REQ_OBSERVE, .node = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c.ctx, "g1")->node);
	struct rig_answer a = rig_request(&rig, &c, &q);
	cr_expect_eq(a.type, GM_EFF_KEYS);
	cr_expect(a.observing);
	cr_expect(a.with_sid);
	rig_restart(&rig);
	const struct gm_eff_member *m = rig_effect(&rig, GM_EFF_MEMBER, 0);
	cr_assert_not_null(m);
	cr_expect_eq(m->delivery, GM_DELIVER_OBSERVE);
	cr_expect(m->obs[GM_OBS_NODE].on && !m->obs[GM_OBS_GROUP].on);
	cr_expect(m->obs[GM_OBS_NODE].token_n == 1 && m->obs[GM_OBS_NODE].token[0] == 0x77);
	cr_expect(m->obs[GM_OBS_NODE].piv_n == 1 && m->obs[GM_OBS_NODE].piv[0] == 5);
	q.flags = GM_REQ_UNOBSERVE;
	a = rig_request(&rig, &c, &q);
	cr_expect_not(a.observing);
	cr_expect_eq(rig_mirror_of(&rig, c.ctx, "g1")->delivery, GM_DELIVER_POLL);
}

Test(policy, a_control_path_goes_before_an_observation)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c", .control = true};
	struct rig_request q = {.method = GET, .res = GM_RES_GROUP, .group = "g1", .flags = GM_REQ_OBSERVE};

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	rig_join(&rig, &c, &j);
	const struct gm_eff_member *m = rig_effect(&rig, GM_EFF_MEMBER, 0);
	cr_expect_eq(m->delivery, GM_DELIVER_POST);
	cr_expect_eq(m->control_port, 5690);
	cr_expect(gm_bytes_is(gm_rec_bytes(m, m->control_path), "/gm"));
	rig_request(&rig, &c, &q);
	cr_expect_eq(rig_mirror_of(&rig, c.ctx, "g1")->delivery, GM_DELIVER_POST);
}

static uint64_t until(unsigned shard, uint64_t *resume)
{
	for (unsigned i = 0; i < rig_effects(&rig, GM_EFF_LEASE); i++) {
		const struct gm_eff_lease *e = rig_effect(&rig, GM_EFF_LEASE, i);
		if (e->shard == shard) {
			*resume = e->resume;
			return e->until;
		}
	}
	return 0;
}

Test(policy, a_lease_is_never_handed_out_twice)
{
	_Alignas(8) struct gm_ev_lease ev = {.rec = {GM_EV_LEASE, 0, sizeof(ev)}, .shard = 5, .want = 3000};
	uint64_t resume;

	rig_turn(&rig);
	gm_core_apply(rig.core, &rig.txn, &ev.rec);
	rig_turn_end(&rig);
	cr_expect_eq(until(5, &resume), 3000u);
	rig_restart(&rig);
	rig_restart(&rig);
	rig_restart(&rig);
	for (size_t i = 0; i < rig.records; i++)
		cr_expect(rig.record[i].table != GM_TABLE_LEASE || rig.record[i].value_n < 16);
	rig_turn(&rig);
	ev.want = 10;
	gm_core_apply(rig.core, &rig.txn, &ev.rec);
	rig_turn_end(&rig);
	cr_expect_eq(until(5, &resume), 3000u + 3 * GM_SEQ_STEP, "never lowered");
}
