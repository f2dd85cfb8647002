/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"
#include "wire/cbor.h"

#define REQ GM_ROLE_REQUESTER

static struct core_rig rig;
static struct rig_client client;
static struct rig_token good;

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	client = rig_client(1, "g1", REQ);
	good = rig_token_of(&client);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(token, .init = start, .fini = stop);

static enum gm_err post(const struct rig_token *t)
{
	return (enum gm_err)rig_token_post(&rig, t)->err;
}

Test(token, that_is_good_gets_nonces_and_a_challenge)
{
	const struct gm_eff_token *e = rig_token_post(&rig, &good);
	uint8_t first[8];

	cr_expect_eq(e->err, GM_E_OK);
	cr_expect(e->challenge);
	cr_expect_eq(e->exp, client.exp);
	memcpy(first, e->nonce2, 8);
	cr_expect_neq(memcmp(first, e->n_s, 8), 0);
	e = rig_token_post(&rig, &good);
	cr_expect_neq(memcmp(first, e->nonce2, 8), 0, "never the same nonce for the same secret");
	cr_expect_eq(rig.records, 1u + 1u + 256u, "nothing is stored before the first request: AS, group, leases only");
}

Test(token, for_monitors_only_needs_no_challenge)
{
	client = rig_client(1, "g1", GM_ROLE_MONITOR);
	cr_expect_not(rig_token_post(&rig, &good)->challenge);
}

Test(token, checks_come_in_order)
{
	struct rig_token t = good;

	t.bad = GM_E_TOKEN_PROFILE;
	cr_expect_eq(post(&t), GM_E_TOKEN_PROFILE);
	t.no_scope = true;
	cr_expect_eq(post(&t), GM_E_TOKEN_SCOPE);
	t.aud = "gm2";
	cr_expect_eq(post(&t), GM_E_TOKEN_AUDIENCE);
	t.nbf = rig.wall_s + 10;
	cr_expect_eq(post(&t), GM_E_TOKEN_EARLY);
	t.exp = rig.wall_s;
	cr_expect_eq(post(&t), GM_E_TOKEN_EXPIRED);
	t.iss = "coap://as2";
	cr_expect_eq(post(&t), GM_E_TOKEN_ISSUER);
	t.as_id = 7;
	cr_expect_eq(post(&t), GM_E_TOKEN_KEY);
	t.bad = GM_E_TOKEN_CLAIMS;
	cr_expect_eq(post(&t), GM_E_TOKEN_CLAIMS);
	t.bad = GM_E_TOKEN_KEY;
	cr_expect_eq(post(&t), GM_E_TOKEN_KEY);
	t.bad = GM_E_TOKEN_PARSE;
	cr_expect_eq(post(&t), GM_E_TOKEN_PARSE);
}

Test(token, needs_an_audience_and_an_end_but_no_issuer)
{
	struct rig_token t = good;

	t.iss = NULL;
	cr_expect_eq(post(&t), GM_E_OK);
	t.aud = NULL;
	cr_expect_eq(post(&t), GM_E_TOKEN_AUDIENCE);
	t.aud = "gm1";
	t.exp = -1;
	cr_expect_eq(post(&t), GM_E_TOKEN_CLAIMS);
}

Test(token, has_four_pending_contexts_at_most_for_a_minute)
{
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(post(&good), GM_E_OK);
	cr_expect_eq(post(&good), GM_E_BUSY);
	struct rig_client other = rig_client(2, "g1", REQ);
	struct rig_token t = rig_token_of(&other);
	cr_expect_eq(post(&t), GM_E_OK, "others are not held up");
	rig_pass(&rig, 60000);
	cr_expect_eq(post(&good), GM_E_OK);
}

Test(token, a_confirmed_context_makes_room_for_a_pending_one)
{
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(rig_token(&rig, &client), GM_E_OK);
	rig_request(&rig, &client, &get);
	cr_expect_eq(post(&good), GM_E_OK);
	cr_expect_eq(post(&good), GM_E_BUSY);
}

Test(token, beyond_the_table_of_contexts_is_refused)
{
	struct rig_client other = rig_client(2, "g1", REQ);

	rig.config.contexts_max = 1;
	rig_restart(&rig);
	rig_member(&rig, 1, "g1", REQ);
	cr_expect_eq(rig_token(&rig, &other), GM_E_FULL);
}

Test(token, tells_the_parameters_of_the_groups_that_exist_once_for_equal_ones)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	const struct gm_eff_token *e;

	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_scope_add(&client, "g2", REQ);
	rig_scope_add(&client, "nowhere", REQ);
	good.sign_info = 45;
	good.ecdh_info = 92;
	e = rig_token_post(&rig, &good);
	cr_expect_eq(e->infos_n, 2);
	struct gm_in in = gm_in_bytes(gm_rec_bytes(e, e->infos));
	cr_expect_eq(gm_cbor_uint(&in), 45u);
	cr_expect_eq(gm_cbor_array(&in), 1u, "one entry for both");
	gm_cbor_skip(&in);
	cr_expect_eq(gm_cbor_uint(&in), 92u, "under the label that was asked");
	cr_expect_eq(gm_cbor_array(&in), 1u);
	gm_cbor_skip(&in);
	cr_expect_eq(gm_cbor_end(&in), GM_E_OK);
}

Test(token, with_exi_counts_from_its_first_reception)
{
	struct rig_token t = good;

	t.exp = -1;
	t.exi = 100;
	t.cti = 5;
	cr_expect_eq(rig_token_post(&rig, &t)->exp, rig.wall_s + 100);
	rig_pass(&rig, 40000);
	cr_expect_eq(rig_token_post(&rig, &t)->exp, rig.wall_s + 60);
	rig_restart(&rig);
	cr_expect_eq(rig_token_post(&rig, &t)->exp, rig.wall_s + 60, "also after a stop");
	rig_pass(&rig, 61000);
	cr_expect_eq(post(&t), GM_E_TOKEN_REPLAYED);
	t.cti = 4;
	cr_expect_eq(post(&t), GM_E_TOKEN_REPLAYED, "nor one below it");
	rig_restart(&rig);
	cr_expect_eq(post(&t), GM_E_TOKEN_REPLAYED);
	t.cti = 6;
	cr_expect_eq(post(&t), GM_E_OK);
}

Test(token, posted_again_moves_the_membership_and_drops_the_old_context)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_mirror before = *rig_mirror_of(&rig, c.ctx, "g1");
	struct rig_request get = {.method = 1, .res = GM_RES_GROUP, .group = "g1"};
	struct rig_request observe = {.method = 1, .res = GM_RES_GROUP, .group = "g1", .flags = GM_REQ_OBSERVE};
	gm_ctx_id old = c.ctx;

	rig_request(&rig, &c, &observe);
	cr_expect_eq(rig_mirror_of(&rig, old, "g1")->delivery, GM_DELIVER_OBSERVE);
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	cr_expect_not_null(rig_mirror_of(&rig, old, "g1"), "not before the new one is used");
	cr_expect_eq(rig_request(&rig, &c, &get).type, GM_EFF_KEYS);
	cr_expect_null(rig_mirror_of(&rig, old, "g1"));
	const struct rig_mirror *after = rig_mirror_of(&rig, c.ctx, "g1");
	cr_assert_not_null(after);
	cr_expect_eq(after->delivery, GM_DELIVER_POLL, "its observation ended");
	cr_expect_eq(after->sid[0], before.sid[0]);
	cr_expect_str_eq(after->node, before.node);
	struct gm_core_status s;
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.contexts, 1u);
}

Test(token, that_no_longer_covers_a_group_ends_the_membership)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), again = rig_client(1, "g2", REQ);
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g2"};

	(void)c;
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	cr_assert_eq(rig_token(&rig, &again), GM_E_OK);
	rig_request(&rig, &again, &get);
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
	cr_expect_str_eq(rig_info(&rig, "g1").state, "pending");
}

Test(token, a_confirmation_that_comes_twice_counts_once)
{
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_token(&rig, &client), GM_E_OK);
	cr_expect_eq(rig_request(&rig, &client, &get).ace_id, 0);
	client.confirmed = false;
	cr_expect_eq(rig_request(&rig, &client, &get).ace_id, 0);
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 0u);
}

Test(token, that_has_expired_opens_nothing_and_ends_memberships)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_request get = {.method = 1, .res = GM_RES_GROUP, .group = "g1"};

	rig.mono_ms += 86400000;
	rig.wall_s = c.exp;
	cr_expect_eq(rig_request(&rig, &c, &get).code, GM_COAP(4, 1));
	rig_pass(&rig, 0);
	const struct gm_eff_evict *evict = rig_effect(&rig, GM_EFF_EVICT, 0);
	cr_assert_not_null(evict);
	cr_expect_eq(evict->err, GM_E_TOKEN_EXPIRED);
	cr_expect_eq(((const struct gm_eff_ctx *)rig_effect(&rig, GM_EFF_CTX, 0))->op, GM_CTX_CLOSE);
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
	cr_expect_eq(rig_request(&rig, &c, &get).code, GM_COAP(4, 1));
	rig_closed(&rig, c.ctx);
	struct gm_core_status s;
	gm_core_status(rig.core, &s);
	cr_expect_eq(s.contexts, 0u);
	cr_expect_eq(s.expiries, 1u);
}
