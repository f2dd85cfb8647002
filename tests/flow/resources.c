/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what, KG §8.5 row by row; several observations of one member; long answers by blocks;
 * discovery. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <time.h>

#include "core_poke.h"
#include "rows_ask.h"
#include "wire/resources.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))
#define REQ GM_ROLE_REQUESTER

static struct gm_member *joined(struct flow *r, uint8_t roles)
{
	struct gm_member *m = flow_member(r, roles, false);

	cr_assert(flow_do(r, m, JOIN));
	return m;
}

static struct gm_member *with_token(struct flow *r, uint8_t roles)
{
	struct gm_member *m = flow_member(r, roles, false);

	if (roles == GM_ROLE_VERIFIER)
		m->roles = GM_ROLE_MONITOR; /* its token says verifier; it gets no challenge, as a monitor */
	cr_assert(flow_do(r, m, TOKEN));
	return m;
}

/* The group's configuration changes as by an administrator. */
static void poke(struct flow *r, void (*change)(struct gm_core *core, struct gm_txn *txn))
{
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};

	change(r->core, &txn);
	flow_turn(r);
}

/* ---- the access table */

enum who { T1, T2, T3, T4, WHO_N }; /* member, monitor, verifier, another with a token */

/* Bodies that pass the parser, so that it is the caller who decides */
#define VERSION_0 "00"

struct access {
	const char *path; /* below /ace-group; N: the member's own node, or T1's */
	uint8_t method;
	const char *body; /* hex */
	int32_t format;
	const char *want[WHO_N]; /* code, and error id behind a slash */
};

static const struct access table[] = {
    {"", GM_COAP_FETCH, "a1008141aa", 261, {"2.05", "2.05", "2.05", "2.05"}},
    {"/g1", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1", GM_COAP_POST, "", 0, {"4.00", "4.00", "4.03", "4.00"}}, /* what a joiner has to know */
    {"/g1/active", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1/verif-data", GM_COAP_GET, "", 0, {"4.03/8", "4.03/8", "2.05", "4.03/8"}},
    {"/g1/creds", GM_COAP_GET, "", 0, {"2.05", "2.05", "2.05", "4.03/0"}},
    {"/g1/creds", GM_COAP_FETCH, "a10483f5810280", 261, {"2.05", "2.05", "2.05", "4.03/0"}},
    {"/g1/kdc-cred", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03/0", "4.03/0"}},
    {"/g1/kdc-cred", GM_COAP_FETCH, "a10648aabbccddaabbccdd", 261, {"4.03/8", "4.03/8", "2.05", "4.03/8"}},
    {"/g1/stale-sids", GM_COAP_FETCH, VERSION_0, 60, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1/policies", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1/num", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1/nodes/N", GM_COAP_GET, "", 0, {"2.05", "2.05", "4.03", "4.03/0"}},
    {"/g1/nodes/N", GM_COAP_POST, "", 0, {"2.04", "4.00/1", "4.03", "4.03/0"}},
    {"/g1/nodes/N/cred", GM_COAP_POST, "a0", 261, {"4.00", "4.00/1", "4.03", "4.03/0"}},
    {"/g1/nodes/N", GM_COAP_DELETE, "", 0, {"2.02", "2.02", "4.03", "4.03/0"}}, /* last: it ends memberships */
};
#define ROWS (sizeof table / sizeof *table)

static struct gm_bytes body(const char *hex)
{
	static uint8_t bytes[64];
	size_t n = strlen(hex) / 2;
	unsigned v;

	for (size_t i = 0; i < n && sscanf(hex + 2 * i, "%2x", &v) == 1; i++)
		bytes[i] = (uint8_t)v;
	return (struct gm_bytes){bytes, n};
}

static const char *said(const struct reply *a)
{
	static char text[16];
	struct gm_in in = gm_in_bytes(value_at(value_at(a->inner.payload, 0), 0));
	int n = snprintf(text, sizeof text, "%u.%02u", a->inner.code >> 5, a->inner.code & 31u);

	if (a->inner.content_format == GM_CF_PROBLEM)
		snprintf(text + n, sizeof text - (size_t)n, "/%u", (unsigned)gm_cbor_uint(&in));
	return text;
}

static const char *call(struct flow *r, struct gm_member *m, const char *node, const struct access *row, uint8_t method)
{
	static struct reply a;
	char path[96];
	const char *at = strstr(row->path, "/N");

	if (at)
		snprintf(path, sizeof path, "/ace-group%.*s/%s%s", (int)(at - row->path), row->path, node, at + 2);
	else
		snprintf(path, sizeof path, "/ace-group%s", row->path);
	struct asking q = {.method = method, .path = path, .format = row->format, .payload = body(row->body)};
	cr_assert(ask(r, m, &q, &a), "%s", path);
	cr_expect(a.is_protected);
	return said(&a);
}

static void cast(struct flow *r, struct gm_member *m[static WHO_N], char nodes[static WHO_N][GM_NODE_NAME_MAX + 1])
{
	m[T1] = joined(r, REQ);
	m[T2] = joined(r, GM_ROLE_MONITOR);
	m[T3] = with_token(r, GM_ROLE_VERIFIER);
	m[T4] = with_token(r, REQ);
	for (unsigned w = 0; w < WHO_N; w++)
		memcpy(nodes[w], m[w == T2 ? T2 : T1]->node, GM_NODE_NAME_MAX + 1);
	cr_assert(flow_rekey(r, true) == GM_E_OK); /* version 1: stale-sids has an answer for those who hold 0 */
	flow_run(r, 100);
}

Test(access, is_what_the_table_says_for_each_resource_method_and_caller)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m[WHO_N];
	char nodes[WHO_N][GM_NODE_NAME_MAX + 1];

	cast(r, m, nodes);
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned w = WHO_N; w-- > 0;) { /* T1 leaves last */
			const char *got = call(r, m[w], nodes[w], &table[i], table[i].method);
			cr_expect_str_eq(got, table[i].want[w], "%s method %u, T%u: %s", table[i].path, table[i].method,
			                 w + 1, got);
		}
	flow_free(r);
}

static bool listed(const char *path, uint8_t method)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (strcmp(table[i].path, path) == 0 && table[i].method == method)
			return true;
	return false;
}

Test(access, by_any_other_method_is_4_05)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m[WHO_N];
	char nodes[WHO_N][GM_NODE_NAME_MAX + 1];

	cast(r, m, nodes);
	for (unsigned i = 0; i < ROWS; i++)
		for (uint8_t method = GM_COAP_GET; method <= GM_COAP_IPATCH; method++)
			for (unsigned w = 0; w < WHO_N && !listed(table[i].path, method); w++) {
				const char *got = call(r, m[w], nodes[w], &table[i], method);
				cr_expect_str_eq(got, "4.05", "%s method %u, T%u: %s", table[i].path, method, w + 1,
				                 got);
			}
	flow_free(r);
}

Test(access, of_an_inactive_group_is_error_9_and_without_signatures_error_7)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m[WHO_N];
	char nodes[WHO_N][GM_NODE_NAME_MAX + 1];
	struct access renew = {"/g1/nodes/N", GM_COAP_POST, "", 0, {0}},
	              cred = {"/g1/nodes/N/cred", GM_COAP_POST, "a0", 261, {0}};
	struct access join = {"/g1", GM_COAP_POST, "", 0, {0}}, data = {"/g1/verif-data", GM_COAP_GET, "", 0, {0}};
	struct access kdc = {"/g1/kdc-cred", GM_COAP_FETCH, "a10641aa", 261, {0}};

	cast(r, m, nodes);
	poke(r, core_poke_turn_active);
	cr_expect_str_eq(call(r, m[T1], nodes[T1], &renew, GM_COAP_POST), "5.03/9");
	cr_expect_str_eq(call(r, m[T2], nodes[T2], &renew, GM_COAP_POST), "5.03/9", "before the roles are looked at");
	cr_expect_str_eq(call(r, m[T1], nodes[T1], &cred, GM_COAP_POST), "5.03/9");
	cr_expect_str_eq(call(r, m[T4], nodes[T4], &join, GM_COAP_POST), "5.03/9");
	poke(r, core_poke_turn_active);
	poke(r, core_poke_only_pairwise);
	cr_expect_str_eq(call(r, m[T3], nodes[T3], &data, GM_COAP_GET), "4.00/7");
	cr_expect_str_eq(call(r, m[T3], nodes[T3], &kdc, GM_COAP_FETCH), "4.00/7");
	cr_expect_str_eq(call(r, m[T1], nodes[T1], &kdc, GM_COAP_FETCH), "4.03/8", "before the group is looked at");
	flow_free(r);
}

Test(access, with_another_content_format_is_4_15)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct access fetch = {"/g1/creds", GM_COAP_FETCH, "a10483f5810280", 60, {0}};

	cr_expect_str_eq(call(r, m, "", &fetch, GM_COAP_FETCH), "4.15");
	flow_free(r);
}

/* ---- three observations of one member */

struct seen { /* a notification */
	struct reply a;
	struct gm_coap outer;
};

static void answer_empty(struct flow *r, const struct gm_member *m, uint8_t type, uint16_t mid)
{
	uint8_t bytes[4];
	struct gm_out o = gm_out(bytes, sizeof bytes);

	gm_coap_put_empty(&o, type, mid);
	gm_mem_send(r->net, &m->addr, &r->env.server, bytes, sizeof bytes);
	flow_run(r, 3);
}

static void observe(struct flow *r, struct gm_member *m, const char *path, struct reply *a)
{
	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = path, .observe = true}, a));
	cr_assert(a->inner.code == GM_COAP(2, 5) && a->inner.has_observe && a->observe_outside, "%s", path);
}

static void unobserve(struct flow *r, struct gm_member *m, const char *path)
{
	struct reply a;

	cr_assert(ask(r, m, &(struct asking){.method = GM_COAP_GET, .path = path, .unobserve = true}, &a));
	cr_expect(a.inner.code == GM_COAP(2, 5) && !a.inner.has_observe && !a.observe_outside);
}

/* The next notification under one of the registrations; which one, -1: none comes. It is answered with `with`. */
static int notified(struct flow *r, struct gm_member *m, struct reply *const regs, unsigned n, uint8_t with,
                    struct seen *s)
{
	for (unsigned ms = 0; ms < 300; ms++) {
		gm_worker_turn(r->dp->worker[0]);
		while (gm_mem_recv(r->net, &m->addr, &s->a.d)) {
			cr_assert(gm_coap_decode((struct gm_bytes){s->a.d.data, s->a.d.len}, &s->outer) == GM_E_OK);
			if (s->outer.code == GM_COAP_EMPTY)
				continue;
			cr_expect(s->outer.type == GM_COAP_CON);
			for (unsigned i = 0; i < n; i++) {
				s->a.request = regs[i].request;
				if (open_reply(m, &s->a)) {
					answer_empty(r, m, with, s->outer.mid);
					return (int)i;
				}
			}
			cr_assert(false, "a message under no registration");
		}
		flow_turn(r);
	}
	return -1;
}

static char *own_node(const struct gm_member *m)
{
	static char path[64];

	snprintf(path, sizeof path, "/ace-group/g1/nodes/%s", m->node);
	return path;
}

enum { ON_GROUP, ON_NODE, ON_ACTIVE, ON_N };

static struct gm_member *observer_of_all(struct flow *r, struct reply regs[static ON_N])
{
	struct gm_member *m = joined(r, REQ);

	observe(r, m, "/ace-group/g1", &regs[ON_GROUP]);
	observe(r, m, own_node(m), &regs[ON_NODE]);
	observe(r, m, "/ace-group/g1/active", &regs[ON_ACTIVE]);
	return m;
}

Test(observations, of_three_resources_stand_side_by_side)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	struct gm_member *m = observer_of_all(r, regs);

	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_GROUP), "keys go to the group's");
	cr_expect(s.a.inner.code == GM_COAP(2, 5) && value_at(s.a.inner.payload, 34).n);
	uint32_t first = s.outer.observe;
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), -1), "once");
	poke(r, core_poke_turn_active);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_ACTIVE));
	cr_expect(s.a.inner.payload.n == 1 && s.a.inner.payload.p[0] == 0xf4 && s.a.inner.content_format == GM_CF_CBOR);
	cr_expect(s.a.inner.has_observe && s.outer.has_observe && s.outer.observe > first, "in order");
	flow_free(r);
}

Test(observations, outlive_a_restart)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	struct gm_member *m = observer_of_all(r, regs);

	flow_restart(r, 1);
	poke(r, core_poke_turn_active);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_ACTIVE));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_GROUP));
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* What is kept of an answer is that group's, of that version, and of that second. */
Test(keys, read_in_two_groups_in_turn_and_after_a_rekey_are_those_of_the_group_now)
{
	struct flow *r = flow_new_as(1, NULL, "EdDSA");
	struct worker *w = r->dp->worker[0];
	struct gm_member *a = flow_member_in(r, 0, REQ, false), *b = flow_member_in(r, flow_group(r, GM_BACKWARD_OFF), REQ, false);
	const unsigned poll = GM_PLAN(GM_OP_GROUP);

	cr_assert(flow_do(r, a, JOIN) && flow_do(r, b, JOIN));
	const uint64_t before = w->stats.reads_local;
	for (unsigned i = 0; i < 3; i++)
		cr_expect(flow_do(r, b, poll) && flow_do(r, a, poll));
	r->mute = true;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 3);
	r->mute = false;
	cr_expect(flow_do(r, a, poll) && flow_do(r, b, poll));
	cr_expect(eq(u64, a->has_next ? a->next.version : a->keys.version, 1), "the new ones");
	cr_assert(flow_do(r, a, poll));
	w->kept_keys.wall_s--;
	memset(w->kept_keys.bytes, 0x18, w->kept_keys.n); /* of another second: not looked at */
	cr_expect(flow_do(r, a, poll));
	cr_expect(eq(u64, w->stats.reads_local - before, 10));
	cr_expect(memcmp(a->keys.ms, b->keys.ms, sizeof a->keys.ms) != 0);
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}

Test(observation, of_the_node_gets_the_keys_where_the_group_is_not_observed)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	struct gm_member *m = observer_of_all(r, regs);

	unobserve(r, m, "/ace-group/g1");
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_NODE));
	unobserve(r, m, own_node(m));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), -1), "active is no way for keys");
	poke(r, core_poke_turn_active);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_ACTIVE));
	flow_free(r);
}

Test(observation, that_gets_rst_ends_and_the_others_stand)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	struct gm_member *m = observer_of_all(r, regs);

	poke(r, core_poke_turn_active);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_RST, &s), ON_ACTIVE));
	poke(r, core_poke_turn_active);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), -1));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_RST, &s), ON_GROUP));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_NODE));
	flow_free(r);
}

Test(eviction, is_told_to_who_observes_the_node)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	unsigned n;
	struct gm_member *m = observer_of_all(r, regs);

	cr_assert(flow_evict(r, m->node, &n) == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_NODE));
	cr_expect_str_eq(said(&s.a), "4.04/5");
	cr_expect(not(s.a.inner.has_observe || s.outer.has_observe));
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), -1), "once");
	flow_free(r);
}

Test(deletion, is_told_to_who_observes_the_group)
{
	struct flow *r = flow_new(1, NULL);
	struct reply regs[ON_N];
	struct seen s;
	struct gm_member *m = observer_of_all(r, regs);
	struct gm_txn t = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};

	cr_assert(gm_core_group_delete(r->core, &t, "g1") == GM_E_OK);
	cr_expect(eq(int, notified(r, m, regs, ON_N, GM_COAP_ACK, &s), ON_GROUP));
	cr_expect_str_eq(said(&s.a), "4.04/6");
	flow_free(r);
}

/* ---- a new credential proves over the scope of the Join, byte for byte */

static struct gm_bytes proof(const struct gm_member *m, struct gm_bytes scope, uint8_t sig[static GM_ED25519_SIG])
{
	uint8_t input[256];
	struct gm_out o = gm_out(input, sizeof input);

	gm_pop_input(&o, scope, (struct gm_bytes){m->challenge, m->challenge_n},
	             (struct gm_bytes){m->cnonce, sizeof m->cnonce});
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){m->own.key.priv, m->own.key.pub.x, input, gm_out_len(&o), sig}, 1);
	return (struct gm_bytes){sig, GM_ED25519_SIG};
}

static const char *join_with(struct flow *r, struct gm_member *m, struct gm_bytes scope, struct reply *a)
{
	uint8_t cred[128], sig[GM_ED25519_SIG], bytes[512];
	struct gm_out c = gm_out(cred, sizeof cred), o = gm_out(bytes, sizeof bytes);

	gm_member_cred(&c, m);
	struct gm_join_request j = {
	    .scope = scope,
	    .has_cred = true,
	    .has_verify = true,
	    .cred = gm_out_result(&c),
	    .verify = proof(m, scope, sig),
	    .cnonce = {m->cnonce, sizeof m->cnonce},
	};
	gm_join_request_encode(&o, &j);
	cr_assert(ask(
	    r, m, &(struct asking){GM_COAP_POST, "/ace-group/g1", GM_CF_GROUPCOMM, .payload = gm_out_result(&o)}, a));
	return said(a);
}

static const char *upload_with(struct flow *r, struct gm_member *m, struct gm_bytes scope)
{
	uint8_t cred[128], sig[GM_ED25519_SIG], bytes[512];
	char path[80];
	struct gm_out c = gm_out(cred, sizeof cred), o = gm_out(bytes, sizeof bytes);
	static struct reply a;

	gm_member_cred(&c, m);
	struct gm_cred_upload u = {gm_out_result(&c), {m->cnonce, sizeof m->cnonce}, proof(m, scope, sig)};
	gm_cred_upload_encode(&o, &u);
	snprintf(path, sizeof path, "%s/cred", own_node(m));
	cr_assert(ask(r, m, &(struct asking){GM_COAP_POST, path, GM_CF_GROUPCOMM, .payload = gm_out_result(&o)}, &a));
	return said(&a);
}

Test(cred_upload, proves_over_the_scope_as_it_came_with_the_join)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ);
	struct gm_bytes usual = body("82626731"
	                             "02"),
	                odd = {(const uint8_t *)"\x82\x62g1\x18\x02", 6};
	struct reply a;

	cr_assert_str_eq(join_with(r, m, odd, &a), "2.01");
	m->node_n = (uint8_t)a.inner.location[3].n;
	memcpy(m->node, a.inner.location[3].p, m->node_n);
	cr_expect_str_eq(upload_with(r, m, odd), "2.04");
	cr_expect_str_eq(upload_with(r, m, usual), "4.00/3");
	cr_assert_str_eq(join_with(r, m, usual, &a), "2.04");
	cr_expect_str_eq(upload_with(r, m, usual), "2.04");
	cr_expect_str_eq(upload_with(r, m, odd), "4.00/3");
	flow_free(r);
}

/* ---- by blocks */

struct whole {
	uint8_t bytes[8192];
	size_t n;
	unsigned blocks;
	uint8_t etag[8];
};

/* One block of q into w; false: it was the last. */
static bool next_block(struct flow *r, struct gm_member *m, struct asking q, struct whole *w)
{
	struct gm_coap_block block = {.num = w->blocks, .szx = 2};
	struct reply a;

	q.block2 = &block;
	cr_assert(ask(r, m, &q, &a));
	cr_assert(a.inner.code == GM_COAP(2, 5) && a.inner.has_block2 && a.inner.block2.num == w->blocks &&
	          a.inner.block2.szx == 2);
	cr_assert(a.inner.etag.n == sizeof w->etag);
	if (w->blocks++ == 0)
		memcpy(w->etag, a.inner.etag.p, sizeof w->etag);
	cr_expect(memcmp(w->etag, a.inner.etag.p, sizeof w->etag) == 0);
	memcpy(w->bytes + w->n, a.inner.payload.p, a.inner.payload.n);
	w->n += a.inner.payload.n;
	return a.inner.block2.more;
}

static bool complete(const struct whole *w, uint64_t creds_n)
{
	struct gm_creds creds;
	int64_t num;

	return gm_creds_answer_decode((struct gm_bytes){w->bytes, w->n}, &num, &creds) == GM_E_OK &&
	       creds.creds.n == creds_n && creds.sids.n == creds_n;
}

Test(blocks, of_credentials_are_those_of_the_first_though_others_join_meanwhile)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct asking get = {.method = GM_COAP_GET, .path = "/ace-group/g1/creds"};
	struct asking fetch = {
	    .method = GM_COAP_FETCH, .path = get.path, .format = GM_CF_GROUPCOMM, .payload = body("a10483f5810280")};
	struct whole w = {0}, again = {0}, filtered = {0};

	for (unsigned i = 0; i < 9; i++)
		joined(r, REQ);
	for (bool more = true; more; more = next_block(r, m, get, &w))
		if (w.blocks == 3)
			joined(r, REQ);
	cr_expect(complete(&w, 10));
	while (next_block(r, m, get, &again))
		;
	cr_expect(complete(&again, 11));
	cr_expect(memcmp(w.etag, again.etag, sizeof w.etag) != 0);
	while (next_block(r, m, fetch, &filtered)) /* with the payload in each request */
		;
	cr_expect(complete(&filtered, 11));
	flow_free(r);
}

Test(blocks, of_nothing_that_was_begun_are_4_08)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct gm_coap_block block = {.num = 1, .szx = 2};
	struct asking q = {.method = GM_COAP_GET, .path = "/ace-group/g1/creds", .block2 = &block};
	struct reply a;

	cr_assert(ask(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.08");
	flow_free(r);
}

/* q's payload in blocks of 64 bytes; the answer to the last in a. */
static void ask_by_blocks(struct flow *r, struct gm_member *m, struct asking q, struct reply *a)
{
	struct gm_bytes whole = q.payload;

	for (uint32_t i = 0; i * 64 < whole.n; i++) {
		struct gm_coap_block block = {.num = i, .more = (i + 1) * 64 < whole.n, .szx = 2};
		q.block1 = &block;
		q.payload = (struct gm_bytes){whole.p + i * 64, block.more ? 64 : whole.n - i * 64};
		cr_assert(ask(r, m, &q, a));
		cr_assert(a->inner.has_block1 && a->inner.block1.num == i && a->inner.block1.more == block.more);
		if (block.more)
			cr_assert_str_eq(said(a), "2.31");
	}
}

Test(long_requests, come_by_blocks)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct asking q = {.method = GM_COAP_FETCH, .path = "/ace-group/g1/creds", .format = GM_CF_GROUPCOMM};
	static uint8_t bytes[4096];
	struct gm_out o = gm_out(bytes, sizeof bytes);
	struct reply a;

	gm_cbor_put_map(&o, 1);
	gm_cbor_put_uint(&o, 4);
	gm_cbor_put_array(&o, 3);
	gm_cbor_put_bool(&o, true);
	gm_cbor_put_array(&o, 0);
	gm_cbor_put_array(&o, 901);
	for (unsigned i = 0; i < 900; i++)
		gm_cbor_put_bstr(&o, "\xee\xee\xee", 3); /* nobody's: their length is another */
	gm_cbor_put_bstr(&o, m->sid, m->sid_n);
	q.payload = gm_out_result(&o);
	ask_by_blocks(r, m, q, &a);
	cr_expect_str_eq(said(&a), "2.05");
	cr_expect(gm_bytes_eq(value_at(a.inner.payload, 9), (struct gm_bytes){(const uint8_t *)"\0", 1}));
	cr_expect(eq(u32, r->dp->worker[0]->uploads, 0));
	flow_free(r);
}

Test(long_requests, may_be_joins)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = with_token(r, REQ);
	uint8_t bytes[1024];
	struct gm_out o = gm_out(bytes, sizeof bytes);
	struct joining j = {.roles = REQ};
	struct asking q = {.method = GM_COAP_POST, .path = "/ace-group/g1", .format = GM_CF_GROUPCOMM};
	struct reply a;

	put_join(&o, r, m, &j);
	q.payload = gm_out_result(&o);
	ask_by_blocks(r, m, q, &a);
	cr_expect_str_eq(said(&a), "2.01");
	flow_free(r);
}

Test(long_requests, with_gaps_are_4_08_and_too_long_ones_4_13)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	static uint8_t bytes[1024];
	struct gm_coap_block block = {.num = 1, .more = true, .szx = 6};
	struct asking q = {
	    .method = GM_COAP_FETCH, .path = "/ace-group/g1/creds", .payload = {bytes, 1024}, .block1 = &block};
	struct reply a;

	cr_assert(ask(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.08", "the first is missing");
	for (block.num = 0; block.num < REQUEST_MAX / 1024; block.num++) {
		cr_assert(ask(r, m, &q, &a));
		cr_expect_str_eq(said(&a), "2.31");
	}
	cr_assert(ask(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.13");
	cr_expect(eq(u32, r->dp->worker[0]->uploads, 0));
	block.num = 0;
	cr_assert(ask(r, m, &q, &a));
	cr_expect(eq(u32, r->dp->worker[0]->uploads, 1));
	block.num = 2;
	cr_assert(ask(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.08", "the second is missing");
	block.num = 0;
	cr_assert(ask(r, m, &q, &a));
	flow_run(r, BODY_IDLE_MS + 5000);
	cr_expect(eq(u32, r->dp->worker[0]->uploads, 0), "forgotten");
	block.num = 1;
	cr_assert(ask(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.08");
	flow_free(r);
}

Test(long_answers, are_kept_once_for_all_and_bounded)
{
	static struct ctx one, two, three;
	static uint8_t bytes[BODIES_MAX / 2 + 1];
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];

	cr_assert(gm_body_keep(w, &one, (struct gm_bytes){bytes, sizeof bytes}));
	cr_assert(gm_body_keep(w, &two, (struct gm_bytes){bytes, sizeof bytes}));
	const struct extra *a = gm_ctx_extra(w, &one), *b = gm_ctx_extra(w, &two);
	cr_expect(a->body == b->body && a->body_etag == b->body_etag);
	cr_expect(eq(sz, w->bodies, sizeof bytes));
	bytes[0] = 1;
	cr_expect(not(gm_body_keep(w, &three, (struct gm_bytes){bytes, sizeof bytes})), "beyond the bound");
	gm_ctx_forget_body(w, &one);
	cr_expect(eq(sz, w->bodies, sizeof bytes));
	gm_ctx_forget_body(w, &two);
	cr_expect(eq(sz, w->bodies, 0));
	cr_assert(gm_body_keep(w, &three, (struct gm_bytes){bytes, sizeof bytes}));
	gm_ctx_forget_body(w, &three);
	flow_free(r);
}

/* ---- discovery */

Test(discovery, lists_groups_protected_and_not)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct asking q = {.method = GM_COAP_GET, .path = "/.well-known/core", .query = "rt=core.osc.gm"};
	struct reply a;

	cr_assert(ask(r, m, &q, &a));
	cr_expect(a.is_protected && a.inner.content_format == GM_CF_LINK);
	cr_expect(gm_bytes_is(a.inner.payload, "</ace-group/g1>;rt=\"core.osc.gm\";if=\"ace.group\";osc"));
	cr_assert(ask_openly(r, m, &q, &a));
	cr_expect(not(a.is_protected));
	cr_expect(gm_bytes_is(a.inner.payload, "</ace-group/g1>;rt=\"core.osc.gm\";if=\"ace.group\";osc"));
	q.query = "href=/authz-info";
	cr_assert(ask_openly(r, m, &q, &a));
	cr_expect(gm_bytes_is(a.inner.payload, "</authz-info>;rt=\"ace.ai\""));
	q.method = GM_COAP_POST;
	cr_assert(ask_openly(r, m, &q, &a));
	cr_expect_str_eq(said(&a), "4.05");
	flow_free(r);
}

/* All blocks of /.well-known/core as a stranger gets them; the longest datagram in longest. */
static size_t links_openly(struct flow *r, struct gm_member *m, struct gm_bytes echo, char text[static 1024], size_t *longest)
{
	struct asking q = {.method = GM_COAP_GET, .path = "/.well-known/core", .echo = echo};
	struct gm_coap_block want;
	struct reply a;
	size_t n = 0;

	*longest = 0;
	for (bool more = true; more;) {
		cr_assert(ask_openly(r, m, &q, &a));
		cr_assert_str_eq(said(&a), "2.05");
		cr_assert(le(sz, n + a.inner.payload.n, 1023));
		memcpy(text + n, a.inner.payload.p, a.inner.payload.n);
		n += a.inner.payload.n;
		*longest = a.d.len > *longest ? a.d.len : *longest;
		more = a.inner.has_block2 && a.inner.block2.more;
		want = (struct gm_coap_block){.num = a.inner.block2.num + 1, .szx = a.inner.block2.szx};
		q.block2 = &want;
	}
	text[n] = 0;
	return n;
}

Test(discovery, gives_strangers_three_times_what_they_sent_until_they_show_their_address)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *elsewhere = joined(r, REQ);
	struct asking q = {.method = GM_COAP_GET, .path = "/.well-known/core"};
	char text[1024], whole[1024];
	uint8_t echo[8];
	struct reply a;
	size_t longest;

	flow_group(r, GM_BACKWARD_OFF);
	flow_group(r, GM_BACKWARD_OFF);
	cr_assert(ask(r, m, &q, &a));
	memcpy(whole, a.inner.payload.p, a.inner.payload.n);
	whole[a.inner.payload.n] = 0;
	links_openly(r, m, (struct gm_bytes){0}, text, &longest);
	cr_expect_str_eq(text, whole);
	cr_expect(le(sz, longest, 3 * 23), "head and token of 6 bytes, a path of 17");
	cr_assert(ask_openly(r, m, &q, &a));
	cr_assert(eq(sz, a.inner.echo.n, 8));
	memcpy(echo, a.inner.echo.p, 8);
	q.echo = (struct gm_bytes){echo, 8};
	cr_assert(ask_openly(r, m, &q, &a));
	cr_expect(not(a.inner.has_block2));
	cr_expect(eq(sz, a.inner.payload.n, strlen(whole)));
	links_openly(r, elsewhere, q.echo, text, &longest);
	cr_expect_str_eq(text, whole);
	cr_expect(le(sz, longest, 3 * 33), "shown for one address alone");
	flow_group(r, GM_BACKWARD_OFF);
	cr_assert(ask_openly(r, m, &q, &a));
	cr_expect(ge(sz, a.inner.payload.n, strlen(whole) + 1), "what is kept is made anew with a group");
	flow_free(r);
}

Test(worker, that_cannot_send_sleeps_for_a_moment_instead_of_trying_on_and_on)
{
	struct gm_mem_faults narrow = {.tx_max = 1}; /* datagrams that the network takes at once */
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];
	unsigned slept = 0;

	flow_run(r, 5);
	gm_mem_set_faults(r->net, &narrow);
	r->env.now_ns = gm_mem_now(r->net);
	for (unsigned i = 0; i < 20; i++)
		gm_member_plan(&r->env, flow_member(r, GM_ROLE_REQUESTER, true), GM_PLAN(GM_OP_TOKEN));
	for (unsigned i = 0; i < 50; i++) {
		flow_turn(r);
		bool worked = gm_worker_turn(w);
		slept += w->box.n && !worked;
		if (w->box.n)
			cr_expect(gm_worker_timeout_ns(w) <= 1000000);
	}
	cr_expect(slept > 0);
	cr_expect(w->box.n == 0, "and all leave in the end");
	flow_free(r);
}
