/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>
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
TestSuite(rights, .init = start, .fini = stop);
TestSuite(revoked, .init = start, .fini = stop);
TestSuite(as_ids, .init = start, .fini = stop);

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
	cr_expect_eq(rig.records, 2u + 1u + 256u, "nothing is stored before the first request: AS and its number, group, leases");
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

/* ---- update of rights: RFC 9203 §4 step 7 */

#define RESP GM_ROLE_RESPONDER

static struct rig_answer update(struct rig_client *c, const char *group, uint32_t roles)
{
	struct rig_client want = *c;
	struct rig_token t = rig_token_of(&want);

	want.scope_n = 0;
	rig_scope_add(&want, group, roles);
	t.exp = c->exp + 1000;
	return rig_token_update(&rig, c, &t);
}

Test(rights, updated_keep_the_membership_they_still_cover)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_answer a = update(&c, "g1", REQ | RESP);

	cr_expect_eq(a.code, GM_COAP(2, 1));
	cr_expect_eq(a.payload.n, 0u, "N_S was told already");
	cr_expect_not_null(rig_mirror_of(&rig, c.ctx, "g1"));
	cr_expect_eq(rig_effects(&rig, GM_EFF_CTX), 0u, "the context stays");
	rig_restart(&rig);
	rig_pass(&rig, 86400500);
	cr_expect_eq(rig_info(&rig, "g1").members, 1u, "the new token's end counts, also after a stop");
	rig_pass(&rig, 1000000);
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
}

Test(rights, updated_are_not_undone_by_a_context_of_a_token_posted_before)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), earlier = rig_client(1, "g1", REQ), later = earlier;
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_token(&rig, &earlier), GM_E_OK);
	cr_expect_eq(update(&c, "g1", REQ | RESP).code, GM_COAP(2, 1));
	cr_expect_eq(rig_request(&rig, &earlier, &get).code, GM_COAP(4, 1));
	cr_expect_not_null(rig_mirror_of(&rig, c.ctx, "g1"), "the context whose rights were updated is in use");
	cr_assert_eq(rig_token(&rig, &later), GM_E_OK);
	rig_request(&rig, &later, &get);
	cr_expect_not_null(rig_mirror_of(&rig, later.ctx, "g1"), "one of a token posted after that takes its place");
}

Test(rights, taken_away_end_the_membership_with_a_notice_and_a_rekey)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	cr_expect_eq(update(&c, "g2", REQ).code, GM_COAP(2, 1));
	const struct gm_eff_evict *evict = rig_effect(&rig, GM_EFF_EVICT, 0);
	cr_assert_not_null(evict);
	cr_expect_eq(evict->err, GM_E_EVICTED);
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
	cr_expect_str_eq(rig_info(&rig, "g1").state, "pending");
	cr_expect_eq(rig_request(&rig, &c, &get).code, GM_COAP(4, 3), "the new scope rules at once");
	rig_restart(&rig);
	cr_expect_eq(rig_request(&rig, &c, &get).code, GM_COAP(4, 3), "and after a stop");
	get.group = "g2";
	cr_expect_eq(rig_request(&rig, &c, &get).ace_id, 0);
}

Test(rights, are_updated_for_the_key_of_the_context_only)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), other = rig_client(2, "g1", REQ | RESP);
	struct rig_token t = rig_token_of(&other);
	struct gm_as_spec as2 = {.name = "as2", .key = {.alg = 10, .key_n = 16, .key = {9}}};

	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 1));
	rig_turn(&rig);
	cr_assert_eq(gm_core_as_add(rig.core, &rig.txn, &as2), GM_E_OK);
	rig_turn_end(&rig);
	t = rig_token_of(&c);
	t.iss = NULL;
	t.as_id = 2;
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 1), "nor by another authorization server");
	t = rig_token_of(&c);
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(2, 1));
}

Test(rights, are_not_updated_by_a_token_that_would_be_refused)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_token t = rig_token_of(&c);
	struct rig_answer a;

	t.exp = rig.wall_s;
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 1));
	t = rig_token_of(&c);
	t.nbf = rig.wall_s + 5;
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 1));
	t = rig_token_of(&c);
	t.aud = "gm2";
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 3));
	t = rig_token_of(&c);
	t.no_scope = true;
	a = rig_token_update(&rig, &c, &t);
	cr_expect_eq(a.code, GM_COAP(4, 0));
	cr_expect_eq(a.format, 19);
	cr_expect_eq(rig_info(&rig, "g1").members, 1u);
}

Test(rights, that_need_a_challenge_for_the_first_time_bring_the_stored_one)
{
	struct rig_client c = rig_client(1, "g1", GM_ROLE_VERIFIER);
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	rig_request(&rig, &c, &get);
	struct rig_answer a = update(&c, "g1", REQ);
	cr_expect_eq(a.code, GM_COAP(2, 1));
	cr_expect_eq(a.format, 19);
	struct gm_in in = gm_in_bytes(a.payload);
	cr_expect_eq(gm_cbor_map(&in), 1u);
	cr_expect_eq(gm_cbor_uint(&in), 46u);
	cr_expect_eq(gm_cbor_bstr(&in).n, 8u);
	cr_expect_eq(gm_cbor_end(&in), GM_E_OK);
}

Test(rights, asked_for_with_sign_info_bring_a_map)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_token t = rig_token_of(&c);

	t.sign_info = 45;
	struct rig_answer a = rig_token_update(&rig, &c, &t);
	struct gm_in in = gm_in_bytes(a.payload);
	cr_expect_eq(gm_cbor_map(&in), 2u);
}

/* ---- several authorization servers */

static void add_as(const char *name)
{
	struct gm_as_spec spec = {.key = {.alg = 10, .key_n = 16, .key = {(uint8_t)name[2]}}};

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	rig_turn(&rig);
	cr_assert_eq(gm_core_as_add(rig.core, &rig.txn, &spec), GM_E_OK);
	rig_turn_end(&rig);
}

static void remove_as(const char *name)
{
	unsigned evicted;

	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, name, &evicted), GM_E_OK);
	rig_turn_end(&rig);
}

static uint32_t newest_as(void)
{
	return ((const struct gm_eff_as *)rig_effect(&rig, GM_EFF_AS, 0))->as_id;
}

Test(token, of_two_servers_with_one_osc_id_are_two_identities)
{
	struct rig_client one = rig_member(&rig, 1, "g1", REQ), two = rig_client(1, "g1", REQ);
	struct rig_join join = {.group = "g1", .roles = REQ, .cred = "other-credential"};

	add_as("as2");
	two.as_id = newest_as();
	struct rig_token t = rig_token_of(&two);
	t.iss = NULL;
	cr_assert_eq(post(&t), GM_E_OK);
	two.ctx = GM_CTX_ID(9, 9, 1);
	cr_expect_eq(rig_join(&rig, &two, &join).code, GM_COAP(2, 1));
	cr_expect_eq(rig_info(&rig, "g1").members, 2u);
	cr_expect_not_null(rig_mirror_of(&rig, one.ctx, "g1"));
	remove_as("as2");
	cr_expect_eq(rig_info(&rig, "g1").members, 1u);
	cr_expect_not_null(rig_mirror_of(&rig, one.ctx, "g1"), "the other's went");
	cr_expect_eq(post(&t), GM_E_TOKEN_KEY);
}

Test(as_ids, are_never_given_twice)
{
	add_as("as2");
	uint32_t second = newest_as();

	remove_as("as2");
	add_as("as3");
	cr_expect_gt(newest_as(), second);
	remove_as("as3");
	rig_restart(&rig);
	add_as("as4");
	cr_expect_gt(newest_as(), second + 1, "also after a stop");
}

Test(token, that_waits_for_its_first_request_ends_with_its_server)
{
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_token(&rig, &client), GM_E_OK);
	remove_as("as1");
	add_as("as2");
	cr_expect_eq(rig_request(&rig, &client, &get).code, GM_COAP(4, 1));
}

/* ---- revoked tokens: requirements R-044 */

static unsigned revoke(const struct rig_client *c)
{
	unsigned evicted;

	rig_turn(&rig);
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(c), &evicted), GM_E_OK);
	rig_turn_end(&rig);
	return evicted;
}

static unsigned kept(void)
{
	struct gm_core_status s;

	gm_core_status(rig.core, &s);
	return s.revoked;
}

struct listed {
	unsigned n, memberships;
	uint32_t last;
	uint8_t hash[GM_TOKEN_HASH];
	char groups[GM_TOKEN_GROUPS], as[64];
};

static bool one_listed(void *arg, const struct gm_token_info *t)
{
	struct listed *l = arg;

	l->n++;
	l->last = t->place;
	l->memberships = t->memberships;
	memcpy(l->hash, t->hash, sizeof(l->hash));
	snprintf(l->groups, sizeof(l->groups), "%s", t->groups);
	snprintf(l->as, sizeof(l->as), "%s", t->as);
	return false;
}

/* One at a time, as pages of one row. */
static unsigned all_listed(struct listed *last)
{
	unsigned n = 0;

	*last = (struct listed){.last = UINT32_MAX};
	for (;;) {
		const unsigned before = last->n;
		gm_core_tokens(rig.core, last->last, one_listed, last);
		if (last->n == before)
			return n;
		n++;
	}
}

Test(revoked, token_is_not_listed_any_more_and_was_by_the_hash_that_revoked_it)
{
	struct gm_group_spec spec = rig_group_spec("g2");
	struct rig_client both = rig_client(1, "g1", REQ);
	struct rig_join first = {.group = "g1", .roles = REQ, .cred = "one"}, second = {.group = "g2", .roles = REQ, .cred = "two"};
	struct listed l;

	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	rig_scope_add(&both, "g2", REQ);
	cr_assert_eq(rig_token(&rig, &both), GM_E_OK);
	cr_expect_eq(all_listed(&l), 0u, "it was posted, and not used");
	cr_assert_eq(rig_join(&rig, &both, &first).type, GM_EFF_JOINED);
	cr_assert_eq(rig_join(&rig, &both, &second).type, GM_EFF_JOINED);
	cr_expect_eq(all_listed(&l), 1u);
	cr_expect_eq(l.memberships, 2u);
	cr_expect_str_eq(l.groups, "g2 g1");
	cr_expect_str_eq(l.as, "as1");
	cr_expect_eq(memcmp(l.hash, rig_hash(&both).p, sizeof(l.hash)), 0);
	for (unsigned n = 2; n < 9; n++)
		rig_member(&rig, n, "g1", REQ);
	cr_expect_eq(all_listed(&l), 8u);
	cr_expect_eq(revoke(&both), 2u);
	cr_expect_eq(all_listed(&l), 7u);
	rig_restart(&rig);
	cr_expect_eq(all_listed(&l), 7u);
}

Test(revoked, token_ends_the_membership_and_is_refused_until_it_would_have_ended)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), other = rig_member(&rig, 2, "g1", REQ);
	struct rig_token t = rig_token_of(&c);

	cr_expect_eq(revoke(&c), 1u);
	cr_expect_eq(((const struct gm_eff_evict *)rig_effect(&rig, GM_EFF_EVICT, 0))->err, GM_E_EVICTED);
	cr_expect_eq(((const struct gm_eff_ctx *)rig_effect(&rig, GM_EFF_CTX, 0))->op, GM_CTX_CLOSE);
	cr_expect_eq(rig_info(&rig, "g1").members, 1u);
	cr_expect_eq(rig_info(&rig, "g1").version, 1u, "rekeyed at once");
	cr_expect_not_null(rig_mirror_of(&rig, other.ctx, "g1"));
	cr_expect_eq(post(&t), GM_E_TOKEN_REVOKED);
	rig_restart(&rig);
	cr_expect_eq(post(&t), GM_E_TOKEN_REVOKED, "also after a stop");
	cr_expect_eq(revoke(&c), 0u);
	cr_expect_eq(kept(), 1u);
	rig_pass(&rig, 86400000);
	cr_expect_eq(kept(), 0u, "no longer than needed");
	cr_expect_eq(post(&t), GM_E_TOKEN_EXPIRED);
}

/* What keeps a token out is forgotten with its end, and a clock that is set back makes it good again. */
Test(revoked, token_whose_hash_is_forgotten_stays_ended_when_the_clock_is_set_back)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ);
	struct rig_token t = rig_token_of(&c);

	cr_expect_eq(revoke(&c), 1u);
	rig_pass(&rig, 86401000);
	cr_expect_eq(kept(), 0u);
	rig.wall_s -= 60;
	cr_expect_eq(post(&t), GM_E_TOKEN_EXPIRED);
	rig_restart(&rig);
	cr_expect_eq(post(&t), GM_E_TOKEN_EXPIRED, "also after a stop");
}

Test(revoked, token_with_exi_that_was_never_seen_stays_revoked_when_the_clock_is_set_back)
{
	struct rig_client seen = rig_member(&rig, 1, "g1", REQ), never = rig_client(2, "g1", REQ);
	struct rig_token t = rig_token_of(&never);

	t.exp = -1;
	t.exi = 100;
	t.cti = 5;
	revoke(&never);
	revoke(&seen);
	rig_pass(&rig, 86401000); /* one hash is forgotten at its end */
	rig.wall_s -= 3600;
	cr_expect_eq(post(&t), GM_E_TOKEN_REVOKED);
	rig_pass(&rig, 7200000);
	cr_expect_neq(post(&t), GM_E_OK);
}

Test(revoked, token_that_was_never_seen_is_kept_until_it_comes_and_has_ended)
{
	rig_pass(&rig, 1000);
	cr_expect_eq(revoke(&client), 0u);
	rig_pass(&rig, 80000000);
	cr_expect_eq(kept(), 1u);
	cr_expect_eq(post(&good), GM_E_TOKEN_REVOKED);
	rig_restart(&rig);
	cr_expect_eq(kept(), 1u);
	rig_pass(&rig, 6400000);
	cr_expect_eq(kept(), 0u);
	struct rig_client late = rig_client(2, "g1", REQ);
	struct rig_token t = rig_token_of(&late);
	revoke(&late);
	cr_expect_eq(post(&t), GM_E_TOKEN_EXPIRED);
	cr_expect_eq(kept(), 0u);
}

Test(revoked, token_with_exi_does_not_come_back_when_its_hash_is_forgotten)
{
	struct rig_token t = good;

	t.exp = -1;
	t.exi = 100;
	t.cti = 5;
	revoke(&client);
	cr_expect_eq(post(&t), GM_E_TOKEN_REVOKED);
	rig_pass(&rig, 101000);
	cr_expect_eq(kept(), 0u);
	cr_expect_eq(post(&t), GM_E_TOKEN_REPLAYED);
}

Test(revoked, token_that_waits_for_its_first_request_opens_nothing)
{
	struct rig_request get = {.method = 1, .res = GM_RES_NUM, .group = "g1"};

	cr_assert_eq(rig_token(&rig, &client), GM_E_OK);
	revoke(&client);
	cr_expect_eq(rig_request(&rig, &client, &get).code, GM_COAP(4, 1));
}

/* The same token, its bytes varied. */
static struct rig_client varied(struct rig_client c)
{
	c.ctx = 0;
	c.token = 0x56;
	return c;
}

Test(revoked, token_does_not_come_back_in_another_form)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), other = rig_member(&rig, 2, "g1", REQ), form = varied(c);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	cr_expect_eq(revoke(&c), 1u);
	cr_expect_eq(rig_token(&rig, &form), GM_E_TOKEN_REVOKED);
	rig_closed(&rig, c.ctx);
	rig_restart(&rig);
	cr_expect_eq(rig_token(&rig, &form), GM_E_TOKEN_REVOKED, "also after a stop");
	cr_expect_eq(rig_token(&rig, &other), GM_E_OK, "no other token is hit");
	rig_pass(&rig, 86400000);
	cr_expect_eq(rig_token(&rig, &form), GM_E_TOKEN_EXPIRED);
	form.exp = rig.wall_s + 1000;
	cr_expect_eq(rig_token(&rig, &form), GM_E_OK, "the key is barred until the token ends");
	cr_expect_eq(rig_join(&rig, &form, &j).code, GM_COAP(2, 1));
}

Test(revoked, token_that_waits_in_another_form_opens_nothing)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), form = varied(c);
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "c"};

	cr_assert_eq(rig_token(&rig, &form), GM_E_OK);
	cr_expect_eq(revoke(&c), 1u);
	cr_expect_eq(rig_join(&rig, &form, &j).code, GM_COAP(4, 1));
	cr_expect_eq(rig_info(&rig, "g1").members, 0u);
}

Test(revoked, update_of_rights_counts_and_not_the_token_before_it)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), newer = c;
	struct rig_token t = rig_token_of(&newer);

	newer.token = 1;
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(2, 1));
	cr_expect_eq(revoke(&c), 0u, "superseded");
	cr_expect_eq(revoke(&newer), 1u);
	c = rig_member(&rig, 2, "g1", REQ);
	newer = c;
	newer.token = 1;
	revoke(&newer);
	t = rig_token_of(&newer);
	cr_expect_eq(rig_token_update(&rig, &c, &t).code, GM_COAP(4, 1));
}

Test(revoked, hash_has_to_be_one)
{
	uint8_t hash[GM_TOKEN_HASH] = {2};
	unsigned evicted;

	rig_turn(&rig);
	cr_expect_eq(gm_core_revoke(rig.core, &rig.txn, (struct gm_bytes){hash, sizeof(hash)}, &evicted), GM_E_USAGE);
	hash[0] = 1;
	cr_expect_eq(gm_core_revoke(rig.core, &rig.txn, (struct gm_bytes){hash, 32}, &evicted), GM_E_USAGE);
	rig_turn_end(&rig);
}
