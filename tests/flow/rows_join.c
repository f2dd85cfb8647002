/* SPDX-License-Identifier: Apache-2.0 */
/* Join, to the byte: what the answer has and how each refusal looks. requirements. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER

static const struct joining plain_join = {.roles = REQ | RESP};

static struct gm_member *with_token(struct flow *r, uint8_t roles)
{
	struct gm_member *m = flow_member(r, roles, false);

	cr_assert(flow_do(r, m, TOKEN));
	return m;
}

static void location(char *text, size_t cap, const struct reply *a)
{
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < a->inner.location_n; i++)
		n += (size_t)snprintf(text + n, cap - n, "/%.*s", (int)a->inner.location[i].n, (const char *)a->inner.location[i].p);
}

static void expect_proof(const struct gm_member *m, const struct reply *a)
{
	uint8_t input[256], pub[32];
	struct gm_out i = gm_out(input, sizeof input);
	struct gm_bytes map = a->inner.payload, cred = bstr_at(map, 17), nonce = bstr_at(map, 18), sig = bstr_at(map, 19);
	struct gm_bytes key = value_at(value_at(cred, 8), 1);

	cr_assert(eq(sz, sig.n, GM_ED25519_SIG));
	cr_assert(eq(sz, bstr_at(key, -2).n, 32));
	memcpy(pub, bstr_at(key, -2).p, 32);
	gm_cbor_put_bstr(&i, m->cnonce, sizeof m->cnonce);
	gm_cbor_put_bstr(&i, nonce.p, nonce.n);
	cr_expect(gm_ed25519_verify(&(struct gm_ed25519_job){pub, sig.p, input, gm_out_len(&i)}, 1) == 1,
	          "kdc_cred_verify is over cnonce and kdc_nonce");
}

Test(join_response, has_all_that_a_member_needs_and_nothing_else)
{
	static const int labels[] = {7, 8, 9, 10, 11, 12, 16, 17, 18, 19, -1};
	static const int key_labels[] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ | RESP);
	struct reply a;
	char path[200];

	cr_assert(ask_join(r, m, &plain_join, &a));
	cr_assert(a.is_protected);
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 1)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	struct gm_bytes map = a.inner.payload, key = value_at(map, 8);
	cr_assert(has_exactly(map, labels));
	cr_assert(has_exactly(key, key_labels));
	cr_expect(gm_bytes_is(value_at(map, 7), "\x01") && gm_bytes_is(value_at(map, 10), "\x01"), "gkty and profile");
	cr_expect(value_at(map, 9).n == 1 && value_at(map, 9).p[0] == 0, "versions begin at 0");
	cr_expect(eq(sz, bstr_at(key, 2).n, 16));
	cr_expect(gm_bytes_is(value_at(key, 3), "\x05"), "HKDF SHA-256, always said");
	cr_expect(eq(sz, bstr_at(key, 5).n, 8));
	cr_expect(gm_bytes_is(value_at(key, 8), "\x0e"), "CCS");
	cr_expect(gm_bytes_is(value_at(key, 4), "\x0a") && gm_bytes_is(value_at(key, 9), "\x0a"));
	cr_expect(gm_bytes_is(value_at(key, 10), "\x27") && gm_bytes_is(value_at(key, 12), "\x38\x1a"));
	cr_expect(gm_bytes_is(value_at(key, 11), "\x82\x81\x01\x82\x01\x06"));
	cr_expect(gm_bytes_is(value_at(key, 13), "\x82\x81\x01\x82\x01\x04"));
	struct gm_bytes policies = value_at(map, 16);
	cr_expect(policies.n == 7 && memcmp(policies.p, "\xa2\x01\x19\x0e\x10\x02\x00", 7) == 0);
	expect_proof(m, &a);
	location(path, sizeof path, &a);
	cr_expect(strncmp(path, "/ace-group/g1/nodes/", 20) == 0 && a.inner.location_n == 4, "%s", path);
	flow_free(r);
}

Test(join_response, again_keeps_the_node_and_changes_sender_id_and_nonce)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ | RESP);
	struct reply first, second;
	char before[200], after[200];

	cr_assert(ask_join(r, m, &plain_join, &first));
	cr_assert(ask_join(r, m, &plain_join, &second));
	cr_assert(eq(u8, second.inner.code, GM_COAP(2, 4)));
	cr_expect(second.inner.content_format == GM_CF_GROUPCOMM);
	expect_proof(m, &second);
	location(before, sizeof before, &first);
	location(after, sizeof after, &second);
	cr_expect(eq(str, before, after));
	struct gm_bytes old = value_at(first.inner.payload, 8), new = value_at(second.inner.payload, 8);
	cr_expect(not(gm_bytes_eq(bstr_at(old, 7), bstr_at(new, 7))));
	cr_expect(gm_bytes_eq(bstr_at(old, 2), bstr_at(new, 2)), "a re-join is no rekey");
	struct gm_bytes nonce = bstr_at(first.inner.payload, 18);
	cr_expect(ge(sz, nonce.n, 8));
	cr_expect(not(gm_bytes_eq(nonce, bstr_at(second.inner.payload, 18))), "kdc_nonce is fresh");
	flow_free(r);
}

Test(join_response, has_credentials_in_parallel_arrays_when_asked)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *one = with_token(r, REQ | RESP), *two = with_token(r, REQ | RESP), *m = with_token(r, REQ | RESP);
	struct joining asks = plain_join;
	struct reply a, sid[2];
	uint8_t own[128];
	struct gm_out cred = gm_out(own, sizeof own);

	cr_assert(ask_join(r, one, &plain_join, &sid[0]) && ask_join(r, two, &plain_join, &sid[1]));
	asks.creds = true;
	cr_assert(ask_join(r, m, &asks, &a));
	struct gm_in creds = gm_in_bytes(value_at(a.inner.payload, 13)), roles = gm_in_bytes(value_at(a.inner.payload, 14)),
		     ids = gm_in_bytes(value_at(a.inner.payload, 15));
	cr_expect(gm_cbor_array(&creds) == 2 && gm_cbor_array(&roles) == 2 && gm_cbor_array(&ids) == 2);
	gm_member_cred(&cred, one);
	bool first = gm_bytes_eq(gm_cbor_bstr(&creds), gm_out_result(&cred));
	struct gm_bytes id = bstr_at(value_at(sid[!first].inner.payload, 8), 7);
	cr_expect(gm_bytes_eq(gm_cbor_bstr(&ids), id), "credentials and Sender IDs in one order");
	cr_expect(gm_cbor_uint(&roles) == (REQ | RESP));
	flow_free(r);
}

Test(join_response, of_a_monitor_has_no_sender_id_though_credential_and_proof_are_wrong)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, GM_ROLE_MONITOR);
	struct joining j = {.roles = GM_ROLE_MONITOR, .cred = lit("no credential"), .bad_proof = true};
	struct reply a;

	cr_assert(ask_join(r, m, &j, &a));
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 1)));
	cr_expect(eq(sz, value_at(value_at(a.inner.payload, 8), 7).n, 0));
	flow_free(r);
}

/* ---- refusals */

Test(join_refused, by_an_empty_request_tells_all_that_a_good_one_needs)
{
	static const int labels[] = {29, 30, 31, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ | RESP);
	struct reply a;

	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/ace-group/g1"}, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	struct gm_bytes sign = value_at(a.inner.payload, 29), ecdh = value_at(a.inner.payload, 31);
	cr_expect(sign.n == 12 && memcmp(sign.p, "\x81\x85\x62g1\x27\x81\x01\x82\x01\x06\x0e", 12) == 0);
	cr_expect(ecdh.n == 13 && memcmp(ecdh.p, "\x81\x85\x62g1\x38\x1a\x81\x01\x82\x01\x04\x0e", 13) == 0);
	struct gm_bytes challenge = bstr_at(a.inner.payload, 30);
	cr_assert(challenge.n >= 8 && challenge.n <= sizeof m->challenge);
	memcpy(m->challenge, challenge.p, challenge.n);
	m->challenge_n = (uint8_t)challenge.n;
	cr_assert(ask_join(r, m, &plain_join, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 1)), "the challenge of the refusal counts");
	flow_free(r);
}

Test(join_refused, by_each_check_looks_as_written_and_leaves_no_trace)
{
	static const struct {
		const char *what;
		struct joining join;
		uint8_t code;
		int id;
	} rows[] = {
		{"a credential that is none", {.roles = REQ, .cred = {(const uint8_t *)"\xa0", 1}}, GM_COAP(4, 0), 2},
		{"a wrong proof", {.roles = REQ, .bad_proof = true}, GM_COAP(4, 0), 3},
		{"an empty proof", {.roles = REQ, .empty_proof = true}, GM_COAP(4, 0), 3},
		{"no proof", {.roles = REQ, .no_proof = true}, GM_COAP(4, 0), -1},
		{"requester and monitor", {.roles = REQ | GM_ROLE_MONITOR}, GM_COAP(4, 0), -1},
		{"verifier", {.roles = GM_ROLE_VERIFIER}, GM_COAP(4, 0), -1},
		{"a role too many", {.roles = REQ | RESP}, GM_COAP(4, 3), -2},
	};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ);
	struct reply a;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		cr_assert(ask_join(r, m, &rows[i].join, &a), "%s", rows[i].what);
		cr_expect(a.inner.code == rows[i].code, "%s: %u.%02u", rows[i].what, a.inner.code >> 5, a.inner.code & 31u);
		if (rows[i].id >= 0)
			cr_expect(is_problem(&a, rows[i].code, rows[i].id), "%s", rows[i].what);
		else if (rows[i].id == -1)
			cr_expect(a.inner.content_format == GM_CF_GROUPCOMM && value_at(a.inner.payload, 29).n, "%s", rows[i].what);
	}
	cr_expect(eq(u32, flow_status(r).members, 0));
	cr_assert(ask_join(r, m, &(struct joining){.roles = REQ}, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 1)), "the same challenge is good still");
	flow_free(r);
}

Test(join_refused, by_an_inactive_group_is_error_9)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_group_spec idle = gm_group_spec_default();
	struct gm_member *m;
	struct reply a;

	idle.active = false;
	snprintf(idle.name, sizeof idle.name, "g2");
	cr_assert(gm_core_group_create(r->core, &t, &idle) == GM_E_OK);
	snprintf(r->groups[1].name, sizeof r->groups[1].name, "g2");
	r->env.groups_n = 2;
	m = flow_member_in(r, 1, REQ, false);
	cr_assert(flow_do(r, m, TOKEN));
	cr_assert(ask_join(r, m, &(struct joining){.roles = REQ}, &a));
	cr_expect(is_problem(&a, GM_COAP(5, 3), 9));
	flow_free(r);
}

Test(join_challenge, outlives_a_restart)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ | RESP);
	struct reply a;

	cr_assert(ask_join(r, m, &plain_join, &a));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	flow_restart(r, 1);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP))); /* shows freshness */
	cr_assert(ask_join(r, m, &plain_join, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 4)), "a proof over the challenge of the token's answer");
	flow_free(r);
}
