/* SPDX-License-Identifier: Apache-2.0 */
/* Resources beside the keys: chosen credentials, ours, what verifiers need, a new Sender ID, a new credential.
 * requirements. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))
#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER

static struct gm_member *joined(struct flow *r, uint8_t roles)
{
	struct gm_member *m = flow_member(r, roles, false);

	cr_assert(flow_do(r, m, JOIN));
	return m;
}

static struct gm_member *verifier(struct flow *r)
{
	struct gm_member *m = flow_member(r, GM_ROLE_VERIFIER, false);

	m->roles = GM_ROLE_MONITOR; /* its token says verifier; what goes without a challenge is called a fault otherwise */
	cr_assert(flow_do(r, m, TOKEN));
	return m;
}

static void call(struct flow *r, struct gm_member *m, uint8_t method, const char *path, struct gm_bytes payload, struct reply *a)
{
	struct asking q = {.method = method, .path = path, .format = payload.n ? GM_CF_GROUPCOMM : 0, .payload = payload};

	cr_assert(ask(r, m, &q, a), "%s", path);
}

static const char *node_path(const struct gm_member *m, const char *more)
{
	static char path[64];

	snprintf(path, sizeof path, "/ace-group/g1/nodes/%s%s", m->node, more);
	return path;
}

static struct gm_bytes sid_of(const struct gm_member *m)
{
	return (struct gm_bytes){m->sid, m->sid_n};
}

/* ---- FETCH of creds */

struct filter {
	bool included;
	uint8_t roles[2], roles_n; /* below 24 */
	struct gm_bytes ids[2];
	uint8_t ids_n;
};

static void fetch_creds(struct flow *r, struct gm_member *m, const struct filter *f, struct reply *a)
{
	uint8_t body[64];
	struct gm_out o = gm_out(body, sizeof body);

	gm_cbor_put_map(&o, 1);
	gm_cbor_put_uint(&o, 4);
	gm_cbor_put_array(&o, 3);
	gm_cbor_put_bool(&o, f->included);
	gm_cbor_put_array(&o, f->roles_n);
	for (unsigned i = 0; i < f->roles_n; i++)
		gm_cbor_put_uint(&o, f->roles[i]);
	gm_cbor_put_array(&o, f->ids_n);
	for (unsigned i = 0; i < f->ids_n; i++)
		gm_cbor_put_bstr(&o, f->ids[i].p, f->ids[i].n);
	call(r, m, GM_COAP_FETCH, "/ace-group/g1/creds", gm_out_result(&o), a);
}

/* Which of the members the answer names, bit by bit; 0x100: not four parallel fields. */
static unsigned named(const struct reply *a, struct gm_member *const *m, unsigned n)
{
	static const int labels[] = {9, 13, 14, 15, -1};
	struct gm_in ids = gm_in_bytes(value_at(a->inner.payload, 15)), creds = gm_in_bytes(value_at(a->inner.payload, 13)),
		     roles = gm_in_bytes(value_at(a->inner.payload, 14));
	uint64_t count = gm_cbor_array(&ids);
	unsigned found = 0;

	if (!has_exactly(a->inner.payload, labels) || gm_cbor_array(&creds) != count || gm_cbor_array(&roles) != count)
		return 0x100;
	for (; count; count--) {
		struct gm_bytes id = gm_cbor_bstr(&ids);
		for (unsigned i = 0; i < n; i++)
			found |= (unsigned)gm_bytes_eq(id, sid_of(m[i])) << i;
	}
	return found;
}

Test(creds_fetch, filters_by_roles_and_ids)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m[3] = {joined(r, REQ), joined(r, RESP), joined(r, REQ | RESP)};
	struct gm_bytes stranger = lit("\x01\x02\x03");
	const struct {
		const char *what;
		struct filter f;
		unsigned want;
	} rows[] = {
		{"these ids", {.included = true, .ids = {sid_of(m[1])}, .ids_n = 1}, 2},
		{"all but these", {.ids = {sid_of(m[1])}, .ids_n = 1}, 5},
		{"an id that nobody has beside one", {.included = true, .ids = {stranger, sid_of(m[0])}, .ids_n = 2}, 1},
		{"requesters", {.included = true, .roles = {REQ}, .roles_n = 1}, 5},
		{"requesters, whatever the flag", {.roles = {REQ}, .roles_n = 1}, 5},
		{"both roles", {.roles = {REQ | RESP}, .roles_n = 1}, 4},
		{"one or the other", {.roles = {REQ, RESP}, .roles_n = 2}, 7},
		{"responders or this", {.included = true, .roles = {RESP}, .roles_n = 1, .ids = {sid_of(m[0])}, .ids_n = 1}, 7},
		{"responders but for this", {.roles = {RESP}, .roles_n = 1, .ids = {sid_of(m[2])}, .ids_n = 1}, 2},
	};
	struct reply a;

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		fetch_creds(r, m[0], &rows[i].f, &a);
		cr_expect(a.inner.code == GM_COAP(2, 5) && a.inner.content_format == GM_CF_GROUPCOMM, "%s", rows[i].what);
		cr_expect(named(&a, m, 3) == rows[i].want, "%s: %x", rows[i].what, named(&a, m, 3));
	}
	flow_free(r);
}

Test(creds_fetch, of_nothing_known_is_an_empty_byte_string_and_without_filters_4_00)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a;

	fetch_creds(r, m, &(struct filter){.included = true, .ids = {lit("\x01\x02\x03")}, .ids_n = 1}, &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.payload.n == 1 && a.inner.payload.p[0] == 0x40);
	fetch_creds(r, m, &(struct filter){.included = true}, &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)));
	flow_free(r);
}

Test(active, can_be_observed)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a;

	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1/active", .observe = true}, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.has_observe && a.observe_outside);
	flow_free(r);
}

/* ---- our own credential */

static void expect_proof(const struct reply *a, struct gm_bytes cnonce)
{
	static const int labels[] = {17, 18, 19, -1};
	uint8_t input[256], pub[32];
	struct gm_out i = gm_out(input, sizeof input);
	struct gm_bytes map = a->inner.payload, nonce = bstr_at(map, 18), sig = bstr_at(map, 19);
	struct gm_bytes x = bstr_at(value_at(value_at(bstr_at(map, 17), 8), 1), -2);

	cr_assert(eq(u8, a->inner.code, GM_COAP(2, 5)));
	cr_expect(a->inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(map, labels));
	cr_assert(sig.n == GM_ED25519_SIG && x.n == sizeof pub);
	memcpy(pub, x.p, sizeof pub);
	gm_cbor_put_bstr(&i, cnonce.p, cnonce.n);
	gm_cbor_put_bstr(&i, nonce.p, nonce.n);
	cr_expect(gm_ed25519_verify(&(struct gm_ed25519_job){pub, sig.p, input, gm_out_len(&i)}, 1) == 1);
}

Test(kdc_cred, of_a_member_proves_over_the_nonce_of_its_latest_join)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a, b;

	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	call(r, m, GM_COAP_GET, "/ace-group/g1/kdc-cred", (struct gm_bytes){0}, &a);
	expect_proof(&a, (struct gm_bytes){m->cnonce, sizeof m->cnonce});
	call(r, m, GM_COAP_GET, "/ace-group/g1/kdc-cred", (struct gm_bytes){0}, &b);
	cr_expect(not(gm_bytes_eq(bstr_at(a.inner.payload, 18), bstr_at(b.inner.payload, 18))), "a fresh nonce each time");
	flow_free(r);
}

Test(kdc_cred, of_a_verifier_proves_over_the_nonce_it_sends)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *v = verifier(r);
	struct gm_bytes nonce = lit("\xa1\x06\x48" "12345678");
	struct reply a;

	call(r, v, GM_COAP_FETCH, "/ace-group/g1/kdc-cred", nonce, &a);
	expect_proof(&a, lit("12345678"));
	call(r, v, GM_COAP_FETCH, "/ace-group/g1/kdc-cred", lit("\xa0"), &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)));
	call(r, m, GM_COAP_FETCH, "/ace-group/g1/kdc-cred", nonce, &a);
	cr_expect(is_problem(&a, GM_COAP(4, 3), 8));
	call(r, v, GM_COAP_GET, "/ace-group/g1/kdc-cred", (struct gm_bytes){0}, &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 3)));
	flow_free(r);
}

Test(verif_data, has_what_a_verifier_needs_and_no_secret_of_the_group)
{
	static const int labels[] = {7, 8, 9, 10, 11, 12, 33, -1};
	static const int key_labels[] = {3, 4, 6, 8, 9, 10, 11, 12, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *v = verifier(r);
	struct reply a;

	call(r, v, GM_COAP_GET, "/ace-group/g1/verif-data", (struct gm_bytes){0}, &a);
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	cr_assert(has_exactly(value_at(a.inner.payload, 8), key_labels));
	cr_expect(gm_bytes_eq(bstr_at(value_at(a.inner.payload, 8), 6), (struct gm_bytes){m->keys.gid, m->keys.gid_n}));
	cr_expect(eq(sz, bstr_at(a.inner.payload, 33).n, 16));
	cr_expect_null(memmem(a.inner.payload.p, a.inner.payload.n, m->keys.ms, m->keys.ms_n));
	call(r, m, GM_COAP_GET, "/ace-group/g1/verif-data", (struct gm_bytes){0}, &a);
	cr_expect(is_problem(&a, GM_COAP(4, 3), 8));
	flow_free(r);
}

/* ---- Key Renewal */

Test(renewal, gives_another_sender_id_and_no_rekey)
{
	static const int labels[] = {21, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, REQ);
	struct gm_bytes none = {0};
	struct reply a;

	call(r, m, GM_COAP_POST, node_path(m, ""), none, &a);
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 4)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	struct gm_bytes sid = bstr_at(a.inner.payload, 21);
	cr_expect(sid.n == m->sid_n && !gm_bytes_eq(sid, sid_of(m)) && !gm_bytes_eq(sid, sid_of(other)));
	flow_run(r, 10000);
	cr_expect(eq(u64, flow_status(r).rekeys, 0));
	struct gm_bytes old = sid_of(m);
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 100);
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_FETCH, .path = "/ace-group/g1/stale-sids", .format = GM_CF_CBOR, .payload = {(const uint8_t *)"", 1}}, &a));
	struct gm_in stale = gm_in_bytes(a.inner.payload);
	cr_expect(gm_cbor_array(&stale) == 1 && gm_bytes_eq(gm_cbor_bstr(&stale), old), "the old one went stale");
	flow_free(r);
}

Test(renewal, takes_the_rekey_that_is_due_anyway)
{
	static const int key_labels[] = {2, 5, 6, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *leaver = joined(r, REQ);
	struct gm_bytes gone = sid_of(leaver);
	struct reply a;

	cr_assert(flow_do(r, leaver, GM_PLAN(GM_OP_LEAVE)));
	call(r, m, GM_COAP_POST, node_path(m, ""), (struct gm_bytes){0}, &a);
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 4)));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 9), "\x01"));
	cr_expect(has_exactly(value_at(a.inner.payload, 8), key_labels));
	struct gm_in stale = gm_in_bytes(value_at(a.inner.payload, 34));
	cr_expect(gm_cbor_array(&stale) == 1 && gm_bytes_eq(gm_cbor_bstr(&stale), gone));
	flow_run(r, 10000);
	cr_expect(eq(u64, flow_status(r).rekeys, 1));
	flow_free(r);
}

Test(renewal, is_refused_with_error_4_when_no_sender_id_is_free)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_group_spec tiny = gm_group_spec_default();
	struct gm_member *m, *deaf;
	struct reply a;
	char path[64];
	unsigned refused = 0;

	snprintf(tiny.name, sizeof tiny.name, "g2");
	snprintf(r->groups[1].name, sizeof r->groups[1].name, "g2");
	tiny.max_members = 100; /* Sender IDs of one byte */
	cr_assert(gm_core_group_create(r->core, &t, &tiny) == GM_E_OK);
	r->env.groups_n = 2;
	m = flow_member_in(r, 1, REQ, false);
	deaf = flow_member_in(r, 1, REQ, true); /* a rekey waits for its answer, so that the next one cannot come */
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, deaf, JOIN));
	r->mute = true;
	snprintf(path, sizeof path, "/ace-group/g2/nodes/%s", m->node);
	for (unsigned i = 0; i < 600 && !refused; i++) {
		call(r, m, GM_COAP_POST, path, (struct gm_bytes){0}, &a);
		refused += a.inner.code == GM_COAP(5, 3);
	}
	cr_assert(eq(u32, refused, 1));
	cr_expect(is_problem(&a, GM_COAP(5, 3), 4));
	flow_free(r);
}

Test(renewal, is_not_for_monitors)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, GM_ROLE_MONITOR);
	struct reply a;

	call(r, m, GM_COAP_POST, node_path(m, ""), (struct gm_bytes){0}, &a);
	cr_expect(is_problem(&a, GM_COAP(4, 0), 1));
	flow_free(r);
}

/* ---- a new credential */

struct upload {
	bool bad_proof, empty_proof, no_proof;
	struct gm_bytes cred; /* p == NULL: that of the member's new key */
};

static void send_cred(struct flow *r, struct gm_member *m, const struct upload *u, struct reply *a)
{
	struct gm_member next = *m;
	uint8_t body[512], scope[32], input[256], own[128], sig[GM_ED25519_SIG];
	struct gm_out o = gm_out(body, sizeof body), s = gm_out(scope, sizeof scope), i = gm_out(input, sizeof input),
		      c = gm_out(own, sizeof own);

	memset(next.own.key.priv, 0x5a, GM_ED25519_SEED);
	gm_ed25519_public(next.own.key.pub.x, next.own.key.priv);
	gm_ccs_encode_pub(&c, NULL, &next.own.key.pub);
	struct gm_bytes cred = u->cred.p ? u->cred : gm_out_result(&c);
	gm_cbor_put_array(&s, 2);
	gm_cbor_put_text(&s, "g1");
	gm_cbor_put_uint(&s, m->roles);
	gm_cbor_put_bstr(&i, scope, gm_out_len(&s));
	gm_cbor_put_bstr(&i, m->challenge, m->challenge_n);
	gm_cbor_put_bstr(&i, "uploaded", 8);
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){next.own.key.priv, next.own.key.pub.x, input, gm_out_len(&i), sig}, 1);
	sig[9] ^= u->bad_proof;
	gm_cbor_put_map(&o, 3u - u->no_proof);
	gm_cbor_put_uint(&o, 5);
	gm_cbor_put_bstr(&o, cred.p, cred.n);
	gm_cbor_put_uint(&o, 6);
	gm_cbor_put_bstr(&o, "uploaded", 8);
	if (!u->no_proof) {
		gm_cbor_put_uint(&o, 24);
		gm_cbor_put_bstr(&o, sig, u->empty_proof ? 0 : sizeof sig);
	}
	call(r, m, GM_COAP_POST, node_path(m, "/cred"), gm_out_result(&o), a);
}

Test(cred_upload, is_checked_and_then_shown_to_others)
{
	static const struct {
		const char *what;
		struct upload u;
		int id; /* -1: another body */
	} rows[] = {
		{"a wrong proof", {.bad_proof = true}, 3},
		{"an empty proof", {.empty_proof = true}, 3},
		{"no proof", {.no_proof = true}, -1},
		{"a credential that is none", {.cred = {(const uint8_t *)"\xa0", 1}}, 2},
	};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP);
	struct filter of_m = {.included = true, .ids = {sid_of(m)}, .ids_n = 1};
	uint8_t own[128], kept[128];
	struct gm_out c = gm_out(own, sizeof own);
	struct reply a;

	gm_member_cred(&c, m);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		send_cred(r, m, &rows[i].u, &a);
		cr_expect(a.inner.code == GM_COAP(4, 0), "%s: %u.%02u", rows[i].what, a.inner.code >> 5, a.inner.code & 31u);
		if (rows[i].id >= 0)
			cr_expect(is_problem(&a, GM_COAP(4, 0), rows[i].id), "%s", rows[i].what);
	}
	fetch_creds(r, other, &of_m, &a);
	cr_expect_not_null(memmem(a.inner.payload.p, a.inner.payload.n, own, gm_out_len(&c)), "nothing has changed");
	send_cred(r, m, &(struct upload){0}, &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 4)));
	cr_expect(eq(sz, a.inner.payload.n, 0));
	fetch_creds(r, other, &of_m, &a);
	memset(kept, 0x5a, GM_ED25519_SEED);
	gm_ed25519_public(own, kept);
	cr_expect_not_null(memmem(a.inner.payload.p, a.inner.payload.n, own, GM_ED25519_PUB), "the new key, under the same Sender ID");
	call(r, m, GM_COAP_GET, "/ace-group/g1/kdc-cred", (struct gm_bytes){0}, &a);
	expect_proof(&a, (struct gm_bytes){m->cnonce, sizeof m->cnonce});
	flow_free(r);
}

Test(cred_upload, is_not_for_monitors)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, GM_ROLE_MONITOR);
	struct reply a;

	send_cred(r, m, &(struct upload){0}, &a);
	cr_expect(is_problem(&a, GM_COAP(4, 0), 1));
	flow_free(r);
}
