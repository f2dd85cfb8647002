/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens over the wire: update of rights, several authorization servers, exi, nbf, extended scope. RFC 9200 §5.10 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>
#include <time.h>

#include "askey.h"
#include "rows_ask.h"
#include "wire/cwt.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

static struct gm_askey as2; /* a second authorization server, whose key the test has */

static void add_as2_with(struct flow *r, bool cnonce)
{
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_as_spec spec = {.name = "as2", .issuer = "as2.test", .cnonce = cnonce};

	cr_assert(gm_askey_generate(&as2, "AES-CCM-16-64-128", "as2.test", "gm.test") == GM_E_OK);
	spec.key = as2.mint;
	cr_assert(gm_core_as_add(r->core, &t, &spec) == GM_E_OK);
	flow_run(r, 5);
}

static void add_as2(struct flow *r)
{
	add_as2_with(r, false);
}

static struct gm_bytes scope_of(struct gm_out *o, const char *group, uint32_t roles)
{
	gm_cbor_put_array(o, 1);
	gm_scope_put(o, group, roles);
	return gm_out_result(o);
}

static struct gm_mint plain_mint(void)
{
	return (struct gm_mint){.exp = time(NULL) + 3600, .nbf = -1, .exi = -1};
}

static void mint(struct gm_minted *minted, const char *group, uint32_t roles, struct gm_mint what)
{
	uint8_t bytes[128];
	struct gm_out o = gm_out(bytes, sizeof bytes);

	what.scope = scope_of(&o, group, roles);
	cr_assert(gm_askey_mint_as(minted, &as2, &what) == GM_E_OK);
}

/* m gets a token of the second server. */
static struct gm_member *with_token(struct flow *r, uint32_t roles, struct gm_mint what)
{
	struct gm_member *m = flow_member(r, (uint8_t)roles, true);
	struct gm_minted minted;

	mint(&minted, "g1", roles, what);
	free(m->token);
	m->token = malloc(minted.token_n);
	memcpy(m->token, minted.token, minted.token_n);
	m->token_n = (uint16_t)minted.token_n;
	memcpy(m->osc_id, minted.osc_id, sizeof m->osc_id);
	memcpy(m->token_ms, minted.ms, sizeof m->token_ms);
	memcpy(m->token_salt, minted.salt, sizeof m->token_salt);
	return m;
}

static uint8_t update(struct flow *r, struct gm_member *m, const struct gm_minted *minted, struct reply *a)
{
	uint8_t body[900];
	struct gm_out o = gm_out(body, sizeof body);

	gm_cbor_put_map(&o, 2);
	gm_cbor_put_uint(&o, 1);
	gm_cbor_put_bstr(&o, minted->token, minted->token_n);
	gm_cbor_put_uint(&o, 40); /* to be ignored */
	gm_cbor_put_bstr(&o, "12345678", 8);
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/authz-info", .format = GM_CF_ACE, .payload = gm_out_result(&o)}, a));
	cr_assert(a->is_protected);
	return a->inner.code;
}

static struct gm_mint for_rights(const struct gm_member *m)
{
	struct gm_mint what = plain_mint();

	what.kid = (struct gm_bytes){m->osc_id, sizeof m->osc_id};
	return what;
}

Test(rights, updated_over_the_wire_allow_more_under_the_same_context)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_minted minted;
	struct reply a;

	add_as2(r);
	struct gm_member *m = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	cr_assert(flow_do(r, m, JOIN));
	m->roles = BOTH;
	cr_assert(not(flow_do(r, m, GM_PLAN(GM_OP_JOIN))), "not yet");
	mint(&minted, "g1", BOTH, for_rights(m));
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(2, 1)));
	cr_expect(a.inner.payload.n == 0);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_expect(eq(u32, flow_status(r).contexts, 1));
	cr_expect(eq(u32, r->contexts, 1));
	flow_restart(r, 1);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)), "also after a stop");
	flow_free(r);
}

Test(rights, taken_away_over_the_wire_end_the_membership)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_minted minted;
	struct reply a;

	add_as2(r);
	struct gm_member *m = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	struct gm_member *other = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, other, JOIN));
	mint(&minted, "g9", BOTH, for_rights(m));
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(2, 1)));
	flow_run(r, 5000);
	cr_expect(m->told, "it got its notice");
	cr_expect(eq(u32, flow_status(r).members, 1));
	cr_expect(eq(u64, other->keys.version, 1), "and the others new keys");
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(rights, are_not_updated_over_the_wire_by_a_wrong_token)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_minted minted;
	struct reply a;

	add_as2(r);
	struct gm_member *m = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	struct gm_member *other = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	cr_assert(flow_do(r, m, JOIN));
	mint(&minted, "g1", BOTH, for_rights(other));
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(4, 1)), "another key's");
	mint(&minted, "g1", BOTH, plain_mint());
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(4, 1)), "one that brings a key");
	minted.token[minted.token_n - 1] ^= 1;
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(4, 1)), "a forged one");
	struct gm_mint late = for_rights(m);
	late.exp = time(NULL) - 10;
	mint(&minted, "g1", BOTH, late);
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(4, 1)), "one that has ended");
	minted.token_n = 0;
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(4, 0)), "none");
	cr_expect(a.inner.content_format == GM_CF_ACE);
	cr_expect(eq(u32, flow_status(r).members, 1));
	flow_free(r);
}

Test(rights, may_be_updated_by_the_first_request_under_a_new_context)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_minted minted;
	struct reply a;

	add_as2(r);
	struct gm_member *m = with_token(r, GM_ROLE_REQUESTER, plain_mint());
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	mint(&minted, "g1", BOTH, for_rights(m));
	cr_expect(eq(u8, update(r, m, &minted, &a), GM_COAP(2, 1)));
	m->roles = BOTH;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	flow_free(r);
}

/* ---- what a token may say */

Test(token, with_extended_scope_opens_the_group)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mint what = plain_mint();

	add_as2(r);
	what.extended_scope = true;
	cr_assert(flow_do(r, with_token(r, BOTH, what), JOIN));
	flow_free(r);
}

Test(token, is_refused_before_its_nbf_and_taken_after)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mint what = plain_mint();

	add_as2(r);
	what.nbf = time(NULL) + 100;
	struct gm_member *m = with_token(r, BOTH, what);
	cr_assert(not(flow_do(r, m, JOIN)));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	r->wall_s = 101;
	cr_assert(flow_do(r, m, JOIN));
	flow_free(r);
}

Test(token, with_exi_ends_when_its_time_is_over_and_never_counts_anew)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mint what = plain_mint();

	add_as2(r);
	what.exp = -1;
	what.exi = 100;
	what.exi_seq = 7;
	struct gm_member *m = with_token(r, BOTH, what);
	cr_assert(flow_do(r, m, JOIN));
	r->wall_s = 60;
	flow_restart(r, 1);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_NODE)), "posted again: the same token, the same end");
	r->wall_s = 101;
	flow_run(r, 8000);
	cr_expect(eq(u32, flow_status(r).members, 0));
	flow_restart(r, 1);
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	what.exi_seq = 6;
	m = with_token(r, BOTH, what);
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))), "a number below one that has ended");
	what.exi_seq = 8;
	cr_assert(flow_do(r, with_token(r, BOTH, what), JOIN));
	flow_free(r);
}

Test(token, for_several_audiences_is_taken_by_each_of_them)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mint what = plain_mint();

	add_as2(r);
	what.auds[0] = "someone";
	what.auds[1] = "gm.test";
	cr_assert(flow_do(r, with_token(r, BOTH, what), JOIN));
	what.auds[1] = "gm.test2";
	struct gm_member *m = with_token(r, BOTH, what);
	cr_assert(not(flow_do(r, m, JOIN)));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 3)));
	flow_free(r);
}

/* ---- several authorization servers */

Test(as_ids, beyond_the_size_of_a_workers_table_still_work)
{
	struct flow *r = flow_new(1, NULL);
	unsigned evicted;

	for (unsigned i = 0; i < 70; i++) {
		struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
		add_as2(r);
		if (i < 69)
			cr_assert(gm_core_as_remove(r->core, &t, "as2", &evicted) == GM_E_OK);
		flow_run(r, 2);
	}
	cr_assert(flow_do(r, with_token(r, BOTH, plain_mint()), JOIN));
	cr_assert(flow_do(r, flow_member(r, BOTH, true), JOIN), "the first one too");
	flow_free(r);
}

Test(as_ids, of_a_removed_server_leave_its_members_outside)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	unsigned evicted;

	add_as2(r);
	struct gm_member *m = with_token(r, BOTH, plain_mint()), *stays = flow_member(r, BOTH, true);
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, stays, JOIN));
	cr_assert(gm_core_as_remove(r->core, &t, "as2", &evicted) == GM_E_OK);
	cr_expect(eq(u32, evicted, 1));
	flow_run(r, 3000);
	cr_expect(m->told);
	cr_expect(eq(u32, flow_status(r).members, 1));
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
	cr_assert(flow_do(r, stays, GM_PLAN(GM_OP_NODE)));
	flow_free(r);
}

/* ---- revoked tokens */

static unsigned revoke(struct flow *r, const struct gm_member *m)
{
	struct gm_txn t = {.wall_s = time(NULL), .mono_ms = gm_mem_now(r->net) / 1000000, .changes = &r->changes, .effects = &r->effects};
	uint8_t hash[33];
	unsigned evicted;

	gm_token_hash(hash, (struct gm_bytes){m->token, m->token_n});
	cr_assert(gm_core_revoke(r->core, &t, (struct gm_bytes){hash, sizeof hash}, &evicted) == GM_E_OK);
	return evicted;
}

Test(revoked, token_ends_its_holders_membership_and_cannot_be_posted_again)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true), *stays = flow_member(r, BOTH, true);

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, stays, JOIN));
	flow_restart(r, 1);
	cr_expect(eq(u32, revoke(r, m), 1));
	flow_run(r, 5000);
	cr_expect(m->told);
	cr_expect(eq(u64, stays->keys.version, 1));
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(revoked, token_without_its_tag_is_no_other_token)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true), *stays = flow_member(r, BOTH, true);
	uint8_t *token = (uint8_t *)(uintptr_t)m->token;

	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, stays, JOIN));
	cr_expect(eq(u32, revoke(r, m), 1));
	flow_run(r, 5000);
	cr_assert(eq(u8, token[0], 0xd8), "tag 61, which an authorization server without a list does not ask for");
	m->token_n = (uint16_t)(m->token_n - 2);
	memmove(token, token + 2, m->token_n);
	cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	cr_expect(eq(u32, flow_status(r).members, 1));
	cr_expect(flow_do(r, stays, GM_PLAN(GM_OP_TOKEN)), "the others are not hit");
	flow_free(r);
}

Test(rights, are_updated_by_a_simulated_member_as_one_of_its_operations)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_minted minted;

	add_as2(r);
	struct gm_member *m = with_token(r, GM_ROLE_MONITOR, plain_mint());
	m->roles = GM_ROLE_MONITOR;
	cr_assert(flow_do(r, m, JOIN));
	cr_expect(eq(u8, m->challenge_n, 0));
	mint(&minted, "g1", BOTH | GM_ROLE_MONITOR, for_rights(m));
	m->update = minted.token;
	m->update_n = (uint16_t)minted.token_n;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_UPDATE)));
	cr_expect(eq(u8, m->challenge_n, 8), "its first need of N_S");
	m->roles = BOTH;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)), "and it is the right one");
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}

/* ---- cnonce: RFC 9200 §5.10.1.1 step 8, §3.8 */

Test(cnonce, of_the_hints_is_needed_in_tokens_and_lasts_five_minutes)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_mint what = plain_mint();
	uint8_t nonce[32];
	unsigned evicted;
	struct reply a;
	time_t now;
	bool taken;

	cr_assert(gm_core_as_remove(r->core, &t, "as", &evicted) == GM_E_OK);
	add_as2_with(r, true);
	struct gm_member *m = with_token(r, BOTH, what);
	cr_assert(not(flow_do(r, m, JOIN)), "none");
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	const time_t asked = time(NULL);
	cr_assert(ask_openly(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/ace-group/g1"}, &a));
	cr_assert(a.inner.code == GM_COAP(4, 1));
	struct gm_bytes hint = bstr_at(a.inner.payload, 39);
	cr_assert(eq(sz, hint.n, 16));
	memcpy(nonce, hint.p, hint.n);
	what.cnonce = (struct gm_bytes){nonce, hint.n};
	cr_assert(flow_do(r, with_token(r, BOTH, what), JOIN));
	struct gm_member *late = with_token(r, BOTH, what);
	nonce[12] ^= 1;
	cr_expect(not(flow_do(r, with_token(r, BOTH, what), JOIN)), "made by somebody else");
	nonce[12] ^= 1;
	nonce[7]++;
	cr_expect(not(flow_do(r, with_token(r, BOTH, what), JOIN)), "of another second");
	do { /* 299 seconds, and the clock goes on: once more where it did so just now */
		now = time(NULL);
		r->wall_s = 299 - (now - asked);
		taken = flow_do(r, late, GM_PLAN(GM_OP_TOKEN));
	} while (!taken && time(NULL) != now);
	cr_expect(taken);
	r->wall_s = 301;
	cr_expect(not(flow_do(r, late, GM_PLAN(GM_OP_TOKEN))), "too old");
	flow_free(r);
}

Test(cnonce, is_still_asked_for_after_a_restart)
{
	struct flow *r = flow_new(1, NULL);

	add_as2_with(r, true);
	flow_restart(r, 1);
	struct gm_member *m = with_token(r, BOTH, plain_mint());
	cr_expect(not(flow_do(r, m, JOIN)));
	cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 1)));
	cr_expect(flow_do(r, flow_member(r, BOTH, true), JOIN), "not of the other server's tokens");
	flow_free(r);
}

/* So that what a turn writes lies on few pages of the store, which orders contexts by shard and slot. */
Test(contexts, made_one_after_the_other_are_neighbours)
{
	enum { N = 200, RUN = 32 };
	struct flow *r = flow_new(1, NULL);
	bool used[GM_SHARDS] = {false};
	unsigned shards = 0;

	for (unsigned i = 0; i < N; i++) {
		struct gm_member *m = flow_member(r, BOTH, true);
		cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
		shards += !used[m->oscore.sid.b[0]];
		used[m->oscore.sid.b[0]] = true;
	}
	cr_expect(ge(uint, shards, 2), "all shards are used in the end");
	cr_expect(le(uint, shards, N / RUN + 2));
	flow_free(r);
}
