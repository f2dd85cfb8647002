/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that authorization servers are asked about: RFC 9200 §5.9 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "core_rig.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

#define REQ GM_ROLE_REQUESTER
#define FIRST 2u /* ids: 1 is an authorization server without a link */
#define SECOND 3u
#define OPAQUE ((struct gm_bytes){(const uint8_t *)"opaque", 6})

static struct core_rig rig;
static struct rig_client client;
static struct rig_token reference;

static void start(void)
{
	struct gm_group_spec spec = rig_group_spec("g1");
	struct gm_as_spec as = rig_as_spec("as2");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
	strcpy(as.introspect, "introspect");
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
	client = rig_client(1, "g1", REQ);
	client.as_id = FIRST;
	reference = rig_token_of(&client);
	reference.reference = OPAQUE;
}

static void second_as(void)
{
	struct gm_as_spec as = rig_as_spec("as3");

	strcpy(as.introspect, "oauth/introspect");
	cr_assert_eq(rig_as(&rig, &as), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(introspect, .init = start, .fini = stop);

static struct gm_cwt claims_of(const struct rig_client *c)
{
	return (struct gm_cwt){.aud = {(const uint8_t *)"gm1", 3},
	                       .exp = c->exp,
	                       .nbf = -1,
	                       .iat = -1,
	                       .exi = -1,
	                       .scope = {c->scope, c->scope_n},
	                       .has_osc = true,
	                       .osc = {.id = {c->osc_id, sizeof(c->osc_id)},
	                               .ms = {(const uint8_t *)"0123456789abcdef", 16},
	                               .version = 1,
	                               .hkdf = 5,
	                               .alg = 10},
	                       .ace_profile = -1};
}

/* The claims and active: true; cwt NULL: only active, false. */
static struct gm_bytes body_of(const struct gm_cwt *cwt)
{
	static uint8_t bytes[1024];
	uint8_t map[1024];
	struct gm_out m = gm_out(map, sizeof(map)), o = gm_out(bytes, sizeof(bytes));

	if (!cwt)
		return (struct gm_bytes){(const uint8_t *)"\xa1\x0a\xf4", 3};
	gm_cwt_encode(&m, cwt);
	cr_assert((map[0] & 0xe0) == 0xa0 && (map[0] & 0x1f) < 0x17, "a short map");
	gm_out_u8(&o, (uint8_t)(map[0] + 1));
	gm_out_bytes(&o, map + 1, gm_out_len(&m) - 1);
	gm_cbor_put_uint(&o, 10);
	gm_cbor_put_bool(&o, true);
	return gm_out_result(&o);
}

static struct rig_answered answer_to(const struct gm_eff_ask *ask, struct gm_bytes body)
{
	return (struct rig_answered){
	    .as_id = ask->as_id, .ask = ask->ask, .code = GM_COAP(2, 1), .format = 19, .payload = body};
}

static void answer(const struct gm_eff_ask *ask, const struct gm_cwt *cwt)
{
	struct rig_answered a = answer_to(ask, body_of(cwt));

	rig_answered(&rig, &a);
}

static const struct gm_eff_ask *post(void)
{
	cr_assert_null(rig_token_post(&rig, &reference), "no answer before the server was asked");
	return rig_ask(&rig, 0);
}

static enum gm_err decision(void)
{
	const struct gm_eff_token *e = rig_effect(&rig, GM_EFF_TOKEN, 0);

	cr_assert_not_null(e, "nothing was decided");
	return (enum gm_err)e->err;
}

Test(introspect, asks_the_owner_of_the_link_and_takes_the_claims_of_the_answer)
{
	const struct gm_eff_ask *ask = post();

	cr_assert_not_null(ask);
	cr_expect_eq(rig_effects(&rig, GM_EFF_ASK), 1u);
	cr_expect_eq(ask->rec.worker, FIRST % 2);
	cr_expect_eq(ask->as_id, FIRST);
	cr_expect_eq(ask->method, 2);
	cr_expect_eq(ask->content_format, 19);
	cr_expect_eq(ask->observe, 0);
	cr_expect(gm_bytes_is(gm_rec_bytes(ask, ask->path), "introspect"));
	cr_expect(gm_bytes_eq(gm_rec_bytes(ask, ask->payload), (struct gm_bytes){(const uint8_t *)"\xa1\x0b\x46opaque", 9}));
	struct gm_cwt cwt = claims_of(&client);
	answer(ask, &cwt);
	const struct gm_eff_token *e = rig_effect(&rig, GM_EFF_TOKEN, 0);
	cr_assert_not_null(e);
	cr_expect_eq(e->err, GM_E_OK);
	cr_expect_eq(e->xid, 1u);
	cr_expect_eq(e->exp, client.exp);
	cr_expect_eq(e->as_id, FIRST);
	cr_expect(e->challenge);
	cr_expect(gm_bytes_eq(gm_rec_bytes(e, e->claims), body_of(&cwt)));
}

Test(introspect, decides_as_for_a_cwt)
{
	struct gm_cwt good = claims_of(&client), c;
	static const uint8_t nonsense[] = {0xff}, long_id[33];
	static const struct gm_bytes other = {(const uint8_t *)"coap://as3", 10};

#define CASE(change, wanted)                                                                                           \
	do {                                                                                                           \
		c = good;                                                                                              \
		change;                                                                                                \
		answer(post(), &c);                                                                                    \
		cr_expect_eq(decision(), wanted, "%s: %s", #change, gm_err_info(decision())->text);                                       \
	} while (0)
	CASE(c.exp = rig.wall_s, GM_E_TOKEN_EXPIRED);
	CASE(c.nbf = rig.wall_s + 60, GM_E_TOKEN_EARLY);
	CASE(c.aud.n = 2, GM_E_TOKEN_AUDIENCE);
	CASE(c.aud.p = NULL, GM_E_TOKEN_AUDIENCE);
	CASE(c.iss = other, GM_E_TOKEN_ISSUER);
	CASE((c.scope = (struct gm_bytes){nonsense, 1}), GM_E_TOKEN_SCOPE);
	CASE(c.exp = -1, GM_E_TOKEN_CLAIMS);
	CASE((c.osc.id = (struct gm_bytes){long_id, sizeof(long_id)}), GM_E_TOKEN_PROFILE);
	CASE((c.has_osc = false, c.cnf_kid = OPAQUE), GM_E_TOKEN_PROFILE);
	CASE(, GM_E_OK);
#undef CASE
}

Test(introspect, of_several_audiences_takes_ours)
{
	struct gm_cwt cwt = claims_of(&client);

	cwt.aud.p = NULL;
	cwt.auds = (struct gm_bytes){(const uint8_t *)"\x82\x63gm0\x63gm1", 9};
	answer(post(), &cwt);
	cr_expect_eq(decision(), GM_E_OK);
}

Test(introspect, asks_the_next_server_where_one_does_not_know_the_token)
{
	second_as();
	const struct gm_eff_ask *ask = post();
	cr_expect_eq(ask->as_id, FIRST);
	answer(ask, NULL);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u);
	ask = rig_ask(&rig, 0);
	cr_assert_not_null(ask);
	cr_expect_eq(ask->as_id, SECOND);
	cr_expect(gm_bytes_is(gm_rec_bytes(ask, ask->path), "oauth/introspect"));
	struct gm_cwt cwt = claims_of(&client);
	answer(ask, &cwt);
	cr_expect_eq(decision(), GM_E_OK);
	cr_expect_eq(((const struct gm_eff_token *)rig_effect(&rig, GM_EFF_TOKEN, 0))->as_id, SECOND);
}

Test(introspect, refuses_with_4_01_what_nobody_calls_active)
{
	second_as();
	answer(post(), NULL);
	answer(rig_ask(&rig, 0), NULL);
	cr_expect_eq(decision(), GM_E_TOKEN_INACTIVE);
	cr_expect_eq(gm_err_info(GM_E_TOKEN_INACTIVE)->coap, GM_COAP(4, 1));
}

Test(introspect, answers_5_03_where_a_server_that_may_know_the_token_is_silent)
{
	second_as();
	const struct gm_eff_ask *ask = post();
	rig_answered(&rig, &(struct rig_answered){.as_id = ask->as_id, .ask = ask->ask, .err = GM_E_BUSY});
	answer(rig_ask(&rig, 0), NULL);
	cr_expect_eq(decision(), GM_E_AS_SILENT);
	cr_expect_eq(gm_err_info(GM_E_AS_SILENT)->coap, GM_COAP(5, 3));
}

Test(introspect, takes_no_answer_that_is_no_map_of_claims)
{
	struct gm_cwt cwt = claims_of(&client);
	struct rig_answered good = answer_to(post(), body_of(&cwt)), a[5] = {good, good, good, good, good};

	a[0].code = GM_COAP(4, 1);
	a[1].format = 60;
	a[2].payload = (struct gm_bytes){(const uint8_t *)"\xa1", 1};
	a[3].payload = (struct gm_bytes){(const uint8_t *)"\xa0", 1};
	a[4].payload.n = 0;
	for (unsigned i = 0; i < 5; i++) {
		a[i].ask = i ? post()->ask : good.ask;
		rig_answered(&rig, &a[i]);
		cr_expect_eq(decision(), GM_E_AS_SILENT, "answer %u", i);
	}
}

Test(introspect, does_not_wait_longer_than_ten_seconds)
{
	const struct gm_eff_ask *ask = post();
	struct gm_cwt cwt = claims_of(&client);
	struct rig_answered late = answer_to(ask, body_of(&cwt));

	rig_pass(&rig, 9000);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u);
	rig_pass(&rig, 1000);
	cr_expect_eq(decision(), GM_E_AS_SILENT);
	rig_answered(&rig, &late);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u, "an answer for nothing any more");
}

Test(introspect, goes_on_when_the_server_that_was_asked_is_removed)
{
	unsigned evicted;

	second_as();
	struct gm_cwt cwt = claims_of(&client);
	struct rig_answered late = answer_to(post(), body_of(&cwt));
	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, "as2", &evicted), GM_E_OK);
	rig_turn_end(&rig);
	cr_assert_not_null(rig_ask(&rig, 0));
	cr_expect_eq(rig_ask(&rig, 0)->as_id, SECOND);
	rig_answered(&rig, &late);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u);
	late.as_id = SECOND;
	rig_answered(&rig, &late);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u, "nor does its number count for another");
}

Test(introspect, refuses_a_token_that_was_revoked_while_the_server_was_asked)
{
	unsigned evicted;
	const struct gm_eff_ask *ask = post();
	struct gm_eff_ask kept = *ask;
	struct gm_cwt cwt = claims_of(&client);

	rig_turn(&rig);
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(&client), &evicted), GM_E_OK);
	rig_turn_end(&rig);
	answer(&kept, &cwt);
	cr_expect_eq(decision(), GM_E_TOKEN_REVOKED);
}

Test(introspect, without_a_server_to_ask_knows_no_such_token)
{
	unsigned evicted;

	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, "as2", &evicted), GM_E_OK);
	rig_turn_end(&rig);
	const struct gm_eff_token *e = rig_token_post(&rig, &reference);
	cr_assert_not_null(e);
	cr_expect_eq(e->err, GM_E_TOKEN_KEY);
}

Test(introspect, gives_each_post_its_own_answer)
{
	struct gm_eff_ask ask[2];
	struct gm_cwt cwt = claims_of(&client);

	for (unsigned i = 0; i < 2; i++) {
		reference.xid = 10 + i;
		ask[i] = *post();
	}
	cr_expect_neq(ask[0].ask, ask[1].ask);
	answer(&ask[1], &cwt);
	cr_expect_eq(((const struct gm_eff_token *)rig_effect(&rig, GM_EFF_TOKEN, 0))->xid, 11u);
	answer(&ask[1], &cwt);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u, "once");
	answer(&ask[0], NULL);
	cr_expect_eq(((const struct gm_eff_token *)rig_effect(&rig, GM_EFF_TOKEN, 0))->xid, 10u);
	cr_expect_eq(decision(), GM_E_TOKEN_INACTIVE);
}

/* ---- update of rights */

static struct rig_client joined(void)
{
	struct rig_client c = client;
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "credential"};
	struct gm_cwt cwt = claims_of(&c);

	answer(post(), &cwt);
	cr_assert_eq(decision(), GM_E_OK);
	c.ctx = GM_CTX_ID(7, 0, 1);
	cr_assert_eq(rig_join(&rig, &c, &j).type, GM_EFF_JOINED);
	return c;
}

static struct gm_cwt update_of(const struct rig_client *c, struct rig_client *newer)
{
	*newer = *c;
	newer->token = 1;
	newer->exp = c->exp + 100;
	struct gm_cwt cwt = claims_of(newer);
	cwt.has_osc = false;
	cwt.cnf_kid = (struct gm_bytes){newer->osc_id, sizeof(newer->osc_id)};
	return cwt;
}

Test(introspect, lets_a_reference_update_the_rights_of_a_member)
{
	struct rig_client c = joined(), newer;
	struct gm_cwt cwt = update_of(&c, &newer);

	reference.client = &newer;
	cr_expect_eq(rig_token_update(&rig, &c, &reference).type, 0, "no answer before the server was asked");
	cr_assert_not_null(rig_ask(&rig, 0));
	answer(rig_ask(&rig, 0), &cwt);
	const struct gm_eff_reply *reply = rig_effect(&rig, GM_EFF_REPLY, 0);
	cr_assert_not_null(reply);
	cr_expect_eq(reply->code, GM_COAP(2, 1));
	rig_pass(&rig, (uint64_t)(c.exp - rig.wall_s + 1) * 1000);
	cr_expect_not_null(rig_mirror_of(&rig, c.ctx, "g1"), "the newer token's end counts");
	rig_pass(&rig, 100000);
	cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"), "and ends the membership");
}

static void posts_of_strangers(unsigned n) /* 64 of each host */
{
	for (unsigned i = 0; i < n; i++) {
		reference.peer.ip[0] = (uint8_t)(i / 64);
		reference.peer.port = (uint16_t)i;
		reference.xid = i + 1;
		post();
	}
}

Test(introspect, has_a_bound_for_one_host)
{
	posts_of_strangers(64);
	cr_expect_eq(((const struct gm_eff_token *)rig_token_post(&rig, &reference))->err, GM_E_BUSY);
	reference.peer.ip[0] = 1;
	post();
}

Test(introspect, has_a_bound_for_all_posts_and_one_of_them_makes_room)
{
	posts_of_strangers(192);
	reference.peer.ip[0] = 200;
	reference.xid = 1000;
	const struct gm_eff_token *e = rig_token_post(&rig, &reference);
	cr_assert_not_null(e);
	cr_expect_eq(e->err, GM_E_BUSY);
	cr_expect_leq(e->xid, 192u, "another, any");
	cr_assert_eq(rig_effects(&rig, GM_EFF_ASK), 2u);
	unsigned stops = 0;
	for (unsigned i = 0; i < 2; i++)
		stops += rig_ask(&rig, i)->observe == 2;
	cr_expect_eq(stops, 1u, "its worker has a place more again, too");
	rig_pass(&rig, 10000);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 192u, "each has an answer");
	cr_expect_eq(rig_effects(&rig, GM_EFF_ASK), 192u, "nobody is asked any more");
}

Test(introspect, has_room_for_updates_of_rights_whatever_strangers_post)
{
	struct rig_client c = joined(), newer;
	struct rig_token update;
	struct gm_cwt cwt = update_of(&c, &newer);

	posts_of_strangers(192);
	update = reference;
	update.client = &newer;
	for (unsigned i = 0; i < 64; i++) {
		cr_expect_eq(rig_token_update(&rig, &c, &update).type, 0);
		cr_assert_eq(rig_effects(&rig, GM_EFF_ASK), 1u);
		cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u, "nor do they take room from each other");
	}
	answer(rig_ask(&rig, 0), &cwt);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(2, 1));
}

Test(introspect, of_an_update_of_rights_asks_the_issuer_of_the_first_token_alone)
{
	second_as();
	struct gm_cwt cwt = claims_of(&client);
	answer(post(), NULL);
	answer(rig_ask(&rig, 0), &cwt);
	cr_assert_eq(decision(), GM_E_OK);
	struct rig_client c = client, newer;
	struct rig_join j = {.group = "g1", .roles = REQ, .cred = "credential"};
	c.ctx = GM_CTX_ID(7, 0, 1);
	c.as_id = SECOND;
	cr_assert_eq(rig_join(&rig, &c, &j).type, GM_EFF_JOINED);
	cwt = update_of(&c, &newer);
	reference.client = &newer;
	rig_token_update(&rig, &c, &reference);
	cr_assert_not_null(rig_ask(&rig, 0));
	cr_expect_eq(rig_ask(&rig, 0)->as_id, SECOND);
	answer(rig_ask(&rig, 0), &cwt);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(2, 1));
	newer.token = 2;
	rig_token_update(&rig, &c, &reference);
	answer(rig_ask(&rig, 0), NULL);
	cr_expect_eq(rig_effects(&rig, GM_EFF_ASK), 0u);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(4, 1));
}

Test(introspect, refuses_an_update_of_rights_that_is_inactive_or_for_another_key)
{
	struct rig_client c = joined(), newer;
	struct gm_cwt cwt = update_of(&c, &newer);

	reference.client = &newer;
	rig_token_update(&rig, &c, &reference);
	answer(rig_ask(&rig, 0), NULL);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(4, 1));
	rig_token_update(&rig, &c, &reference);
	cwt.cnf_kid.n--;
	answer(rig_ask(&rig, 0), &cwt);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(4, 1));
	rig_token_update(&rig, &c, &reference);
	rig_pass(&rig, 10000);
	const struct gm_eff_reply *reply = rig_effect(&rig, GM_EFF_REPLY, 0);
	cr_expect_eq(reply->code, GM_COAP(5, 3));
	cr_expect_gt(reply->max_age, 0u);
}

Test(introspect, refuses_an_update_whose_association_is_gone_when_the_answer_comes)
{
	struct rig_client c = joined(), newer;
	struct gm_cwt cwt = update_of(&c, &newer);
	unsigned evicted;

	reference.client = &newer;
	rig_token_update(&rig, &c, &reference);
	struct gm_eff_ask ask = *rig_ask(&rig, 0);
	rig_turn(&rig);
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(&c), &evicted), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect_eq(evicted, 1u);
	answer(&ask, &cwt);
	cr_expect_eq(((const struct gm_eff_reply *)rig_effect(&rig, GM_EFF_REPLY, 0))->code, GM_COAP(4, 1));
}

Test(introspect, end_of_the_token_ends_the_membership)
{
	struct rig_client c = joined();

	cr_expect_not_null(rig_mirror_of(&rig, c.ctx, "g1"));
	rig_pass(&rig, (uint64_t)(c.exp - rig.wall_s + 1) * 1000);
	cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"));
}

Test(introspect, links_secrets_go_to_one_worker_and_come_back_after_a_restart)
{
	for (unsigned round = 0; round < 2; round++) {
		unsigned with_secrets = 0, told = 0;
		for (unsigned i = 0; i < rig_effects(&rig, GM_EFF_AS); i++) {
			const struct gm_eff_as *e = rig_effect(&rig, GM_EFF_AS, i);
			told += e->as_id == FIRST && e->introspect && !e->strict;
			with_secrets += e->as_id == FIRST && e->link.ms_n == 16 && e->rec.worker == FIRST % 2;
			cr_expect(e->as_id != FIRST || e->rec.worker == FIRST % 2 || !e->link.ms_n);
			cr_expect(e->as_id != FIRST || (e->linked && e->link.peer.port), "all know where it is");
		}
		if (round == 1) {
			cr_expect_eq(told, 2u);
			cr_expect_eq(with_secrets, 1u);
		}
		rig.config.workers = 2;
		gm_core_free(rig.core);
		rig.core = gm_core_new(&rig.config);
		for (size_t i = 0; i < rig.records; i++) {
			const struct rig_record *rec = &rig.record[i];
			if (rec->table == GM_TABLE_AS)
				cr_assert_eq(gm_core_load(rig.core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
				                          (struct gm_bytes){rec->value, rec->value_n}), GM_E_OK);
		}
		rig_turn(&rig);
		while (gm_core_loaded(rig.core, &rig.txn))
			;
		rig_turn_end(&rig);
	}
}

/* ---- for an operator */

static enum gm_err operator_asks(uint64_t who, const char *as)
{
	rig_turn(&rig);
	enum gm_err err = gm_core_token_ask(rig.core, &rig.txn, who, OPAQUE, as);
	rig_turn_end(&rig);
	return err;
}

Test(introspect, tells_an_operator_what_a_server_says_and_decides_nothing)
{
	struct gm_cwt cwt = claims_of(&client);
	struct gm_token_said said;

	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	const struct gm_eff_ask *ask = rig_ask(&rig, 0);
	cr_assert_not_null(ask);
	cr_expect_eq(ask->as_id, FIRST);
	cr_expect(gm_bytes_eq(gm_rec_bytes(ask, ask->payload), (struct gm_bytes){(const uint8_t *)"\xa1\x0b\x46opaque", 9}));
	cr_expect_not(gm_core_token_said(rig.core, 7, &said), "it was not said yet");
	answer(ask, &cwt);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u);
	cr_assert(gm_core_token_said(rig.core, 7, &said));
	cr_expect_eq(said.verdict, GM_E_OK);
	cr_expect_str_eq(said.as, "as2");
	cr_expect_eq(said.as_id, FIRST);
	cr_expect(gm_bytes_eq(said.claims, body_of(&cwt)));
	cr_expect_not(gm_core_token_said(rig.core, 8, &said), "to nobody else");
	gm_core_token_forget(rig.core, 8);
	cr_expect(gm_core_token_said(rig.core, 7, &said));
	gm_core_token_forget(rig.core, 7);
	cr_expect_not(gm_core_token_said(rig.core, 7, &said));
}

Test(introspect, tells_an_operator_when_nobody_knows_a_token_or_somebody_is_silent)
{
	struct gm_token_said said;

	second_as();
	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	answer(rig_ask(&rig, 0), NULL);
	answer(rig_ask(&rig, 0), NULL);
	cr_assert(gm_core_token_said(rig.core, 7, &said));
	cr_expect_eq(said.verdict, GM_E_TOKEN_INACTIVE);
	cr_expect_null(said.claims.p);
	gm_core_token_forget(rig.core, 7);
	cr_assert_eq(operator_asks(7, "as3"), GM_E_OK);
	cr_expect_eq(rig_ask(&rig, 0)->as_id, SECOND);
	rig_pass(&rig, 10000);
	cr_assert(gm_core_token_said(rig.core, 7, &said), "the others are not asked");
	cr_expect_eq(said.verdict, GM_E_AS_SILENT);
	gm_core_token_forget(rig.core, 7);
	cr_expect_eq(operator_asks(7, "as1"), GM_E_TOKEN_KEY, "it has no endpoint");
	cr_expect_eq(operator_asks(7, "as9"), GM_E_UNKNOWN);
}

Test(introspect, asks_for_one_operator_at_a_time_and_tells_nobody_what_another_asked)
{
	struct gm_cwt cwt = claims_of(&client);
	struct gm_token_said said;

	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	struct gm_eff_ask first = *rig_ask(&rig, 0);
	cr_expect_eq(operator_asks(8, NULL), GM_E_BUSY);
	gm_core_token_forget(rig.core, 7); /* the connection is gone */
	cr_assert_eq(operator_asks(8, NULL), GM_E_OK);
	struct gm_eff_ask second = *rig_ask(&rig, 0);
	answer(&first, &cwt);
	cr_expect_not(gm_core_token_said(rig.core, 8, &said));
	answer(&second, NULL);
	cr_assert(gm_core_token_said(rig.core, 8, &said));
	cr_expect_eq(said.verdict, GM_E_TOKEN_INACTIVE);
}

Test(introspect, for_an_operator_takes_no_stranger_s_place)
{
	struct gm_cwt cwt = claims_of(&client);
	struct gm_token_said said;

	posts_of_strangers(192);
	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	struct gm_eff_ask asked = *rig_ask(&rig, 0);
	cr_expect_eq(rig_effects(&rig, GM_EFF_ASK), 1u, "of none of them it is said that it is asked no more");
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 0u);
	answer(&asked, &cwt);
	cr_expect(gm_core_token_said(rig.core, 7, &said));
	rig_pass(&rig, 10000);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 192u, "each has its answer");
}

Test(introspect, for_an_operator_leaves_strangers_all_their_places)
{
	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	posts_of_strangers(192); /* 64 of them of ::, as whom the operator asks */
	rig_pass(&rig, 10000);
	cr_expect_eq(rig_effects(&rig, GM_EFF_TOKEN), 192u, "none had to make room");
}

Test(introspect, for_an_operator_gives_way_to_no_stranger)
{
	struct gm_cwt cwt = claims_of(&client);
	struct gm_token_said said;

	cr_assert_eq(operator_asks(7, NULL), GM_E_OK);
	struct gm_eff_ask asked = *rig_ask(&rig, 0);
	for (unsigned i = 0; i < 1500; i++) {
		reference.peer.ip[15] = (uint8_t)(i + 1);
		reference.peer.ip[14] = (uint8_t)(i >> 8);
		(void)rig_token_post(&rig, &reference);
	}
	answer(&asked, &cwt);
	cr_assert(gm_core_token_said(rig.core, 7, &said));
	cr_expect_eq(said.verdict, GM_E_OK);
}
