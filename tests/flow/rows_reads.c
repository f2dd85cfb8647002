/* SPDX-License-Identifier: Apache-2.0 */
/* What members, and others, get from a group's resources: options and bytes. requirements. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

#include "rows_ask.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define REQ GM_ROLE_REQUESTER

static struct gm_member *joined(struct flow *r, uint8_t roles)
{
	struct gm_member *m = flow_member(r, roles, false);

	cr_assert(flow_do(r, m, JOIN));
	return m;
}

static void get(struct flow *r, struct gm_member *m, const char *path, struct reply *a)
{
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = path}, a), "%s", path);
}

static const char *node_path(const struct gm_member *m)
{
	static char path[64];

	snprintf(path, sizeof path, "/ace-group/g1/nodes/%s", m->node);
	return path;
}

static bool is(const struct reply *a, uint8_t code, int32_t format, const void *bytes, size_t n)
{
	return a->is_protected && a->inner.code == code && a->inner.content_format == format && a->inner.payload.n == n &&
	       memcmp(a->inner.payload.p, bytes, n) == 0;
}

Test(keys, of_the_group_have_no_sender_id_and_those_of_the_node_do)
{
	static const int labels[] = {7, 8, 9, 10, 11, 12, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a;

	get(r, m, "/ace-group/g1", &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_expect(has_exactly(a.inner.payload, labels));
	cr_expect(eq(sz, value_at(value_at(a.inner.payload, 8), 7).n, 0));
	cr_expect(gm_bytes_eq(bstr_at(value_at(a.inner.payload, 8), 2), (struct gm_bytes){m->keys.ms, m->keys.ms_n}));
	get(r, m, node_path(m), &a);
	cr_expect(has_exactly(a.inner.payload, labels));
	cr_expect(gm_bytes_eq(bstr_at(value_at(a.inner.payload, 8), 7), (struct gm_bytes){m->sid, m->sid_n}));
	m = joined(r, GM_ROLE_MONITOR);
	get(r, m, node_path(m), &a);
	cr_expect(has_exactly(a.inner.payload, labels));
	cr_expect(eq(sz, value_at(value_at(a.inner.payload, 8), 7).n, 0), "a monitor has none");
	flow_free(r);
}

Test(reads, have_the_format_and_bytes_of_the_draft)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a;

	get(r, m, "/ace-group/g1/num", &a);
	cr_expect(is(&a, GM_COAP(2, 5), GM_CF_CBOR, "\x00", 1));
	get(r, m, "/ace-group/g1/active", &a);
	cr_expect(is(&a, GM_COAP(2, 5), GM_CF_CBOR, "\xf5", 1));
	get(r, m, "/ace-group/g1/policies", &a);
	cr_expect(is(&a, GM_COAP(2, 5), GM_CF_GROUPCOMM, "\xa1\x10\xa2\x01\x19\x0e\x10\x02\x00", 9));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	get(r, m, "/ace-group/g1/num", &a);
	cr_expect(is(&a, GM_COAP(2, 5), GM_CF_CBOR, "\x01", 1));
	flow_free(r);
}

Test(creds, follow_their_sender_ids_and_go_with_their_members)
{
	static const int labels[] = {9, 13, 14, 15, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, GM_ROLE_RESPONDER);
	struct reply a;

	cr_assert(flow_do(r, other, GM_PLAN(GM_OP_JOIN)));
	get(r, m, "/ace-group/g1/creds", &a);
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	struct gm_in creds = gm_in_bytes(value_at(a.inner.payload, 13)), roles = gm_in_bytes(value_at(a.inner.payload, 14)),
		     ids = gm_in_bytes(value_at(a.inner.payload, 15));
	cr_assert(gm_cbor_array(&creds) == 2 && gm_cbor_array(&roles) == 2 && gm_cbor_array(&ids) == 2);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t own[128];
		struct gm_out cred = gm_out(own, sizeof own);
		struct gm_bytes id = gm_cbor_bstr(&ids);
		struct gm_member *owner = gm_bytes_eq(id, (struct gm_bytes){m->sid, m->sid_n}) ? m : other;
		gm_member_cred(&cred, owner);
		cr_expect(gm_bytes_eq(id, (struct gm_bytes){owner->sid, owner->sid_n}), "the Sender ID of its latest Join");
		cr_expect(gm_bytes_eq(gm_cbor_bstr(&creds), gm_out_result(&cred)), "byte for byte as uploaded");
		cr_expect(gm_cbor_uint(&roles) == owner->roles);
	}
	cr_assert(flow_do(r, other, GM_PLAN(GM_OP_LEAVE)));
	get(r, m, "/ace-group/g1/creds", &a);
	creds = gm_in_bytes(value_at(a.inner.payload, 13));
	cr_expect(gm_cbor_array(&creds) == 1);
	flow_free(r);
}

Test(stale_sids, answers_as_cbor_and_refuses_what_is_not_older)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *leaver = joined(r, REQ);
	struct asking q = {.method = GM_COAP_FETCH, .path = "/ace-group/g1/stale-sids", .format = GM_CF_CBOR, .payload = {(const uint8_t *)"\x00", 1}};
	struct reply a;
	uint8_t want[16];
	struct gm_out o = gm_out(want, sizeof want);

	gm_cbor_put_array(&o, 1);
	gm_cbor_put_bstr(&o, leaver->sid, leaver->sid_n);
	cr_assert(ask(r, m, &q, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)), "0 is the present version");
	cr_assert(flow_do(r, leaver, GM_PLAN(GM_OP_LEAVE)));
	flow_run(r, 3000);
	cr_assert(ask(r, m, &q, &a));
	cr_expect(is(&a, GM_COAP(2, 5), GM_CF_CBOR, want, gm_out_len(&o)));
	q.payload = lit("x");
	cr_assert(ask(r, m, &q, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)), "text is no version");
	flow_free(r);
}

Test(lookup, of_gids_gives_names_and_paths)
{
	static const int labels[] = {0, 1, 2, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	uint8_t body[40];
	struct gm_out o = gm_out(body, sizeof body);
	struct asking q = {.method = GM_COAP_FETCH, .path = "/ace-group", .format = GM_CF_GROUPCOMM};
	struct reply a;

	gm_cbor_put_map(&o, 1);
	gm_cbor_put_uint(&o, 0);
	gm_cbor_put_array(&o, 2);
	gm_cbor_put_bstr(&o, m->keys.gid, m->keys.gid_n);
	gm_cbor_put_bstr(&o, "\x01", 1);
	q.payload = gm_out_result(&o);
	cr_assert(ask(r, m, &q, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(a.inner.content_format == GM_CF_GROUPCOMM);
	cr_assert(has_exactly(a.inner.payload, labels));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 1), "\x81\x62g1"));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 2), "\x81\x6d/ace-group/g1"));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 100);
	cr_assert(ask(r, m, &q, &a));
	cr_expect(a.inner.payload.n == 1 && a.inner.payload.p[0] == 0x40, "old Gids are not remembered");
	flow_free(r);
}

Test(refusals, look_as_written)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, REQ), *stranger = flow_member(r, REQ, false);
	struct reply a;

	cr_assert(flow_do(r, stranger, GM_PLAN(GM_OP_TOKEN)));
	get(r, stranger, "/ace-group/g1", &a);
	cr_expect(is_problem(&a, GM_COAP(4, 3), 0));
	get(r, stranger, "/ace-group/g1/num", &a);
	cr_expect(is_problem(&a, GM_COAP(4, 3), 0));
	get(r, m, node_path(other), &a);
	cr_expect(a.inner.code == GM_COAP(4, 3) && a.inner.content_format == GM_CF_NONE);
	get(r, m, "/ace-group/g9", &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 3)), "names are not probed");
	get(r, m, "/ace-group/g1/nothing", &a);
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 4)));
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_PUT, .path = "/ace-group/g1"}, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 5)));
	flow_free(r);
}

static bool get_openly(struct flow *r, struct gm_member *m, struct reply *a)
{
	return ask_openly(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1"}, a);
}

Test(unprotected, request_is_told_whom_to_ask_for_a_token)
{
	static const int labels[] = {1, 5, -1};
	struct flow *r = flow_new(1, NULL);
	struct gm_txn t = {.wall_s = 1, .changes = &r->changes, .effects = &r->effects};
	struct gm_as_spec as = {.name = "second", .uri = "coap://as.test/token", .key = {.alg = 10, .key_n = 16, .key = {1}}};
	struct gm_member *m = flow_member(r, REQ, false);
	struct reply a;
	unsigned n;

	cr_assert(gm_core_as_remove(r->core, &t, "as", &n) == GM_E_OK);
	cr_assert(gm_core_as_add(r->core, &t, &as) == GM_E_OK);
	flow_run(r, 10);
	cr_assert(get_openly(r, m, &a));
	cr_expect(not(a.is_protected));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 1)));
	cr_expect(a.inner.content_format == GM_CF_ACE);
	cr_assert(has_exactly(a.inner.payload, labels));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 1), "\x74" "coap://as.test/token"));
	cr_expect(gm_bytes_is(value_at(a.inner.payload, 5), "\x67gm.test"));
	flow_free(r);
}

Test(protected, request_after_the_token_has_expired_is_4_01_without_protection)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct reply a;

	r->wall_s = 3700;
	flow_run(r, 10000);
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1"}, &a));
	cr_expect(not(a.is_protected));
	cr_expect(eq(u8, a.inner.code, GM_COAP(4, 1)));
	flow_free(r);
}
