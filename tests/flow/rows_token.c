/* SPDX-License-Identifier: Apache-2.0 */
/* POST /authz-info over the wire: the answer's fields and the code of each refusal. requirements. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>
#include <time.h>

#include "askey.h"
#include "rows_ask.h"

#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

struct posting {
	bool no_nonce, no_id;
	int ask;       /* one more label, 0: none */
	uint8_t value; /* its one byte */
};

/* The code of the answer, which stands in a. */
static uint8_t post(struct flow *r, struct gm_member *m, struct posting p, struct reply *a)
{
	uint8_t body[900];
	struct gm_out o = gm_out(body, sizeof body);

	gm_cbor_put_map(&o, 3u - p.no_nonce - p.no_id + (p.ask != 0));
	gm_cbor_put_uint(&o, 1);
	gm_cbor_put_bstr(&o, m->token, m->token_n);
	if (!p.no_nonce) {
		gm_cbor_put_uint(&o, 40);
		gm_cbor_put_bstr(&o, "12345678", 8);
	}
	if (!p.no_id) {
		gm_cbor_put_uint(&o, 43);
		gm_cbor_put_bstr(&o, "\x16", 1);
	}
	if (p.ask) {
		gm_cbor_put_uint(&o, (uint64_t)p.ask);
		gm_out_u8(&o, p.value);
	}
	cr_assert(ask_openly(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/authz-info", .format = GM_CF_ACE, .payload = gm_out_result(&o)}, a));
	return a->inner.code;
}

static void take_token(struct gm_member *m, const struct gm_minted *minted)
{
	free(m->token);
	m->token = malloc(minted->token_n);
	memcpy(m->token, minted->token, minted->token_n);
	m->token_n = (uint16_t)minted->token_n;
}

static struct gm_bytes scope_of(struct gm_out *o, const char *group, uint32_t roles)
{
	gm_cbor_put_array(o, 1);
	gm_scope_put(o, group, roles);
	return gm_out_result(o);
}

Test(token_response, is_2_01_with_fresh_nonces_and_an_id_of_its_own)
{
	static const int labels[] = {42, 44, 46, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, false);
	struct reply a[3];

	for (unsigned i = 0; i < 3; i++) {
		cr_assert(eq(u8, post(r, m, (struct posting){0}, &a[i]), GM_COAP(2, 1)));
		cr_expect(a[i].inner.content_format == GM_CF_ACE);
		cr_assert(has_exactly(a[i].inner.payload, labels));
		cr_expect(ge(sz, bstr_at(a[i].inner.payload, 42).n, 8));
		cr_expect(ge(sz, bstr_at(a[i].inner.payload, 46).n, 8));
		cr_expect(not(gm_bytes_is(bstr_at(a[i].inner.payload, 44), "\x16")));
		for (unsigned k = 0; k < i; k++)
			for (unsigned l = 0; l < 3; l++)
				cr_expect(not(gm_bytes_eq(bstr_at(a[i].inner.payload, labels[l]), bstr_at(a[k].inner.payload, labels[l]))));
	}
	flow_free(r);
}

Test(token_response, of_a_monitor_has_no_challenge)
{
	static const int labels[] = {42, 44, -1};
	struct flow *r = flow_new(1, NULL);
	struct reply a;

	cr_expect(eq(u8, post(r, flow_member(r, GM_ROLE_MONITOR, false), (struct posting){0}, &a), GM_COAP(2, 1)));
	cr_expect(has_exactly(a.inner.payload, labels));
	flow_free(r);
}

Test(token_response, tells_what_was_asked_with_null_and_refuses_other_values)
{
	static const struct {
		int label;
		const char *entry;
	} rows[] = {{45, "\x81\x85\x62g1\x27\x81\x01\x82\x01\x06\x0e"}, {47, "\x81\x85\x62g1\x38\x1a\x81\x01\x82\x01\x04\x0e"}};
	struct flow *r = flow_new(1, NULL);
	struct reply a;

	for (unsigned i = 0; i < 2; i++) {
		struct gm_member *m = flow_member(r, BOTH, false);
		cr_expect(eq(u8, post(r, m, (struct posting){.ask = rows[i].label, .value = 0xf6}, &a), GM_COAP(2, 1)));
		cr_expect(gm_bytes_is(value_at(a.inner.payload, rows[i].label), rows[i].entry), "label %d", rows[i].label);
		cr_expect(eq(u8, post(r, m, (struct posting){.ask = rows[i].label, .value = 0xf5}, &a), GM_COAP(4, 0)));
	}
	flow_free(r);
}

Test(token_refused, for_want_of_a_nonce_or_an_id_with_4_00)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, false);
	const struct posting rows[] = {{.no_nonce = true}, {.no_id = true}};
	struct reply a;

	for (unsigned i = 0; i < 2; i++) {
		cr_expect(eq(u8, post(r, m, rows[i], &a), GM_COAP(4, 0)));
		cr_expect(a.inner.content_format == GM_CF_ACE);
		cr_expect(gm_bytes_is(value_at(a.inner.payload, 30), "\x01"), "invalid_request");
	}
	cr_expect(eq(u64, r->dp->worker[0]->stats.contexts_pending, 0));
	flow_free(r);
}

/* A token for g1 of another Authorization Server, or for another audience, or past its end, or of a strange scope. */
Test(token_refused, by_each_check_with_its_code)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, false);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_askey foreign, other_audience;
	struct gm_minted minted;
	uint8_t bytes[64];
	struct gm_out s = gm_out(bytes, sizeof bytes);
	struct gm_bytes scope = scope_of(&s, "g1", BOTH);
	int64_t soon = time(NULL) + 3600;
	struct reply a;

	cr_assert(gm_askey_generate(&foreign, "AES-CCM-16-64-128", "as.test", "gm.test") == GM_E_OK);
	cr_assert(gm_askey_generate(&other_audience, "HMAC256", "as2.test", "gm9.test") == GM_E_OK);
	struct gm_as_spec as = {.name = "as2", .issuer = "as2.test", .key = other_audience.mint};
	cr_assert(gm_core_as_add(r->core, &t, &as) == GM_E_OK);
	flow_run(r, 5);

	cr_assert(gm_askey_mint(&minted, &foreign, scope, soon) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(4, 1)), "a key we do not know");
	cr_assert(gm_askey_mint(&minted, &other_audience, scope, soon) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(4, 3)), "another audience");
	snprintf(other_audience.aud, sizeof other_audience.aud, "gm.test");
	cr_assert(gm_askey_mint(&minted, &other_audience, scope, soon - 7200) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(4, 1)), "past its end");
	snprintf(other_audience.iss, sizeof other_audience.iss, "as3.test");
	cr_assert(gm_askey_mint(&minted, &other_audience, scope, soon) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(4, 1)), "another issuer");
	snprintf(other_audience.iss, sizeof other_audience.iss, "as2.test");
	cr_assert(gm_askey_mint(&minted, &other_audience, lit("strange"), soon) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(4, 0)));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 30), "\x06"), "invalid_scope");
	cr_assert(gm_askey_mint(&minted, &other_audience, scope, soon) == GM_E_OK);
	take_token(m, &minted);
	cr_expect(eq(u8, post(r, m, (struct posting){0}, &a), GM_COAP(2, 1)), "and a good one is taken");
	flow_free(r);
}

Test(authz_info, takes_post_only)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, false);
	struct reply a;

	for (uint8_t method = GM_COAP_GET; method <= GM_COAP_IPATCH; method++) {
		if (method == GM_COAP_POST)
			continue;
		cr_assert(ask_openly(r, m, &(struct asking){.method = method, .path = "/authz-info"}, &a));
		cr_expect(a.inner.code == GM_COAP(4, 5), "method %u", method);
	}
	flow_free(r);
}
