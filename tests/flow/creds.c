/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials by Sender ID: the worker's answer is core's, byte for byte, whoever asks and whatever has happened, and of what
 * is durable. requirements. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <time.h>

#include "rows_ask.h"
#include "wire/cred.h"
#include "wire/resources.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))
#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER

static struct gm_member *joined_in(struct flow *r, uint16_t group, uint8_t roles)
{
	struct gm_member *m = flow_member_in(r, group, roles, false);

	cr_assert(flow_do(r, m, JOIN));
	return m;
}

static struct gm_member *joined(struct flow *r, uint8_t roles)
{
	return joined_in(r, 0, roles);
}

static struct gm_bytes sid_of(const struct gm_member *m)
{
	return (struct gm_bytes){m->sid, m->sid_n};
}

/* ---- one request, by either path */

struct wish {
	uint8_t body[256];
	size_t n;
	char path[64];
	int32_t format;
	struct gm_coap_block block2;
};

static struct wish wish_of(const char *path, bool include, const struct gm_bytes *ids, unsigned n)
{
	struct wish wish = {.format = GM_CF_GROUPCOMM};
	struct gm_out o = gm_out(wish.body, sizeof wish.body);

	snprintf(wish.path, sizeof wish.path, "%s", path);
	gm_cbor_put_map(&o, 1);
	gm_cbor_put_uint(&o, 4);
	gm_cbor_put_array(&o, 3);
	gm_cbor_put_bool(&o, include);
	gm_cbor_put_array(&o, 0);
	gm_cbor_put_array(&o, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_bstr(&o, ids[i].p, ids[i].n);
	wish.n = gm_out_len(&o);
	return wish;
}

static void fetch(struct flow *r, struct gm_member *m, const struct wish *wish, struct reply *a)
{
	struct asking q = {.method = GM_COAP_FETCH, .path = wish->path, .format = wish->format, .payload = {wish->body, wish->n}};

	if (wish->block2.szx)
		q.block2 = &wish->block2;
	cr_assert(ask(r, m, &q, a), "%s", wish->path);
}

static void fetch_one(struct flow *r, struct gm_member *m, const struct gm_member *of, struct reply *a)
{
	struct gm_bytes sid = sid_of(of);
	struct wish wish = wish_of("/ace-group/g1/creds", true, &sid, 1);

	fetch(r, m, &wish, a);
}

/* Core answers, as while the roster is being written. */
static void fetch_from_core(struct flow *r, struct gm_member *m, const struct wish *wish, struct reply *a)
{
	gm_roster_begin(r->dp->roster, gm_core_words(r->core));
	fetch(r, m, wish, a);
	gm_roster_end(r->dp->roster);
}

static uint64_t reads(const struct flow *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->dp->config.workers; i++)
		n += r->dp->worker[i]->stats.reads_local;
	return n;
}

static bool same(const struct reply *a, const struct reply *b)
{
	return a->is_protected == b->is_protected && a->inner.code == b->inner.code &&
	       a->inner.content_format == b->inner.content_format && a->inner.has_block2 == b->inner.has_block2 &&
	       gm_bytes_eq(a->inner.payload, b->inner.payload);
}

static bool shows(const struct reply *a, const struct gm_member *m)
{
	uint8_t own[128];
	struct gm_out o = gm_out(own, sizeof own);

	gm_member_cred(&o, m);
	return a->inner.code == GM_COAP(2, 5) && memmem(a->inner.payload.p, a->inner.payload.n, own, gm_out_len(&o));
}

static bool is_nothing(const struct reply *a)
{
	return a->is_protected && a->inner.code == GM_COAP(2, 5) && gm_is_nothing(a->inner.payload);
}

/* ---- a site where things happen by dice */

#define SIDS_KEPT 64u

struct site {
	struct flow *r;
	uint64_t dice;
	struct { uint8_t n, b[GM_SID_MAX]; } sid[SIDS_KEPT]; /* that somebody has or had */
	unsigned sids_n, asked, local;
};

static uint32_t below(struct site *s, uint32_t n)
{
	s->dice = s->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(s->dice >> 33) % n;
}

static struct gm_member *anyone(struct site *s)
{
	return &s->r->members[below(s, s->r->members_n)];
}

static void keep_sid(struct site *s, const struct gm_member *m)
{
	unsigned i = s->sids_n < SIDS_KEPT ? s->sids_n++ : below(s, SIDS_KEPT);

	s->sid[i].n = m->sid_n;
	memcpy(s->sid[i].b, m->sid, m->sid_n);
}

static struct gm_bytes any_id(struct site *s, uint8_t room[static GM_SID_MAX])
{
	static const uint8_t lengths[] = {0, 1, 2, 2, 3, 7};

	if (s->sids_n && below(s, 5)) {
		unsigned i = below(s, s->sids_n);
		return (struct gm_bytes){s->sid[i].b, s->sid[i].n};
	}
	for (unsigned i = 0; i < GM_SID_MAX; i++)
		room[i] = (uint8_t)below(s, 256);
	return (struct gm_bytes){room, lengths[below(s, sizeof lengths)]};
}

static struct wish any_wish(struct site *s, const struct gm_member *m)
{
	static const char *const paths[] = {"/ace-group/g1/creds", "/ace-group/g2/creds", "/ace-group/g1/creds/", "/ace-group/gx/creds"};
	static const int32_t formats[] = {GM_CF_GROUPCOMM, GM_CF_GROUPCOMM, GM_CF_GROUPCOMM, 0, GM_CF_CBOR};
	uint8_t room[8][GM_SID_MAX];
	struct gm_bytes ids[8];
	unsigned n = below(s, 8);

	for (unsigned i = 0; i < n; i++)
		ids[i] = any_id(s, room[i]);
	struct wish wish = wish_of(paths[below(s, 4) ? m->group : below(s, 4)], below(s, 12) != 0, ids, n);
	wish.format = formats[below(s, 5)];
	if (below(s, 8) == 0)
		wish.block2.szx = (uint8_t)(1 + below(s, 6));
	if (below(s, 16) == 0)
		wish.body[below(s, (uint32_t)wish.n)] ^= (uint8_t)(1 + below(s, 255));
	return wish;
}

static void compare(struct site *s)
{
	static struct reply here, there;
	struct gm_member *m = anyone(s);
	struct wish wish = any_wish(s, m);
	uint64_t before = reads(s->r);
	bool core_first = below(s, 2);

	if (!m->oscore.sid.n) /* it has no association to ask under */
		return;
	if (core_first)
		fetch_from_core(s->r, m, &wish, &there);
	fetch(s->r, m, &wish, &here);
	if (!core_first)
		fetch_from_core(s->r, m, &wish, &there);
	s->asked++;
	s->local += (unsigned)(reads(s->r) - before);
	cr_assert(same(&here, &there), "question %u: %u.%02u and %u.%02u, %zu and %zu bytes", s->asked, here.inner.code >> 5,
	          here.inner.code & 31u, there.inner.code >> 5, there.inner.code & 31u, here.inner.payload.n, there.inner.payload.n);
}

/* ---- what happens */

static void somebody_joins(struct site *s)
{
	static const uint8_t roles[] = {REQ, RESP, REQ | RESP, GM_ROLE_MONITOR, GM_ROLE_VERIFIER};
	uint8_t role = roles[below(s, 5)];
	struct gm_member *m = flow_member_in(s->r, (uint16_t)below(s, 2), role, false);

	if (role == GM_ROLE_VERIFIER) { /* its token says so; it does not join */
		m->roles = GM_ROLE_MONITOR;
		flow_do(s->r, m, TOKEN);
	} else {
		flow_do(s->r, m, below(s, 8) ? JOIN : TOKEN);
	}
	keep_sid(s, m);
}

static void somebody_does(struct site *s)
{
	static const enum gm_member_op ops[] = {GM_OP_JOIN, GM_OP_RENEW, GM_OP_RECRED, GM_OP_LEAVE, GM_OP_NODE};
	struct gm_member *m = anyone(s);

	if (m->state != GM_MEMBER_IN)
		return;
	flow_do(s->r, m, GM_PLAN(ops[below(s, 5)]));
	keep_sid(s, m);
}

static void somebody_is_put_out(struct site *s)
{
	struct gm_member *m = anyone(s);
	unsigned n;

	if (m->group == 0 && m->state == GM_MEMBER_IN)
		cr_assert(flow_evict(s->r, m->node, &n) == GM_E_OK || n == 0);
}

static struct gm_txn command(struct flow *r)
{
	struct gm_txn t = {.wall_s = time(NULL), .mono_ms = gm_mem_now(r->net) / 1000000, .changes = &r->changes, .effects = &r->effects};

	gm_random(t.dice, sizeof t.dice);
	return t;
}

static void a_group_goes_and_comes(struct site *s)
{
	struct gm_group_spec spec = gm_group_spec_default();
	struct gm_txn t = command(s->r);

	snprintf(spec.name, sizeof spec.name, "g2");
	if (gm_core_group_delete(s->r->core, &t, "g2") == GM_E_OK && below(s, 2))
		return;
	t = command(s->r);
	cr_assert(gm_core_group_create(s->r->core, &t, &spec) == GM_E_OK);
	s->r->groups[1].informed = s->r->groups[1].known = false; /* what members know of it is of the other */
}

static void keys_change(struct site *s)
{
	cr_assert(flow_rekey(s->r, below(s, 2)) == GM_E_OK);
}

static void all_starts_again(struct site *s)
{
	flow_restart(s->r, 1 + below(s, 3));
	for (unsigned i = 0; i < s->r->members_n; i++)
		if (s->r->members[i].state == GM_MEMBER_IN)
			flow_do(s->r, &s->r->members[i], GM_PLAN(GM_OP_NODE)); /* with an Echo */
}

static void time_passes(struct site *s)
{
	flow_run(s->r, 1 + below(s, 3000));
}

static void happen(struct site *s)
{
	static const struct {
		unsigned weight;
		void (*event)(struct site *s);
	} rows[] = {
		{10, somebody_does}, {6, somebody_joins}, {2, somebody_is_put_out}, {3, keys_change},
		{1, a_group_goes_and_comes}, {1, all_starts_again}, {4, time_passes},
	};
	unsigned at = below(s, 27);

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (at < rows[i].weight) {
			rows[i].event(s);
			return;
		}
		at -= rows[i].weight;
	}
}

/* A group made anew under its name is no longer what its members took it for. */
static void let_them_complain(void *arg, struct gm_member *m, const char *reason)
{
	(void)arg, (void)m, (void)reason;
}

static void live(uint64_t seed, unsigned workers)
{
	struct site s = {.r = flow_new(workers, NULL), .dice = seed};

	s.r->env.failed = let_them_complain;
	flow_group(s.r, GM_BACKWARD_OFF);
	for (unsigned i = 0; i < 6; i++)
		somebody_joins(&s);
	for (unsigned step = 0; step < 120; step++) {
		happen(&s);
		for (unsigned i = 0; i < 8; i++)
			compare(&s);
	}
	cr_expect(ge(uint, s.local, s.asked / 20 + 1), "%u of %u questions", s.local, s.asked);
	cr_expect(eq(uint, s.r->reuses, 0));
	flow_free(s.r);
}

Test(creds_here, are_what_core_would_have_answered)
{
	live(1, 1);
}

Test(creds_here, are_what_core_would_have_answered_with_two_workers)
{
	live(2, 2);
}

/* ---- the moment */

Test(creds_here, are_read_without_core_also_of_members_of_other_workers)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *m[4];
	struct reply a;

	for (unsigned i = 0; i < 4; i++)
		m[i] = joined(r, i % 2 ? REQ : RESP);
	uint64_t before = reads(r), requests = r->dp->worker[0]->stats.requests + r->dp->worker[1]->stats.requests;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 4; k++) {
			fetch_one(r, m[i], m[k], &a);
			cr_expect(shows(&a, m[k]), "%u asks for %u", i, k);
		}
	}
	cr_expect(eq(u64, reads(r) - before, 16));
	cr_expect(eq(u64, r->dp->worker[0]->stats.requests + r->dp->worker[1]->stats.requests, requests));
	flow_free(r);
}

Test(creds_here, show_what_was_uploaded_as_soon_as_that_is_acknowledged)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *other[2] = {joined(r, RESP), joined(r, RESP)}, *m = joined(r, REQ);
	struct reply a;

	for (unsigned i = 0; i < 6; i++) {
		r->env.now_ns = gm_mem_now(r->net);
		r->last_code[m->index][GM_OP_RECRED] = 0;
		gm_member_plan(&r->env, m, GM_PLAN(GM_OP_RECRED));
		gm_member_flush(&r->env);
		while (!r->last_code[m->index][GM_OP_RECRED])
			flow_turn(r);
		uint64_t before = reads(r);
		fetch_one(r, other[i % 2], m, &a);
		cr_expect(shows(&a, m));
		cr_expect(eq(u64, reads(r) - before, 1));
	}
	flow_free(r);
}

struct early {
	struct flow *r;
	struct gm_member *reader, *of;
	unsigned looked;
	bool old;
};

/* Core has decided, but nothing of it is stored: whoever asks now sees what was before. */
static bool look_before_commit(void *arg, const struct gm_rec *rec)
{
	const struct gm_ev_request *ev = (const void *)rec;
	struct early *e = arg;
	struct gm_txn t = command(e->r);
	struct gm_bytes sid = sid_of(e->of);
	struct wish wish = wish_of("/ace-group/g1/creds", true, &sid, 1);
	static struct reply a;

	if (rec->type != GM_EV_REQUEST || ev->res != GM_RES_NODE)
		return false;
	gm_core_apply(e->r->core, &t, rec);
	e->looked++;
	fetch(e->r, e->reader, &wish, &a);
	e->old = shows(&a, e->of);
	return true;
}

Test(creds_here, show_nothing_that_a_crash_could_undo)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *leaver = joined(r, RESP);
	struct early e = {.r = r, .reader = m, .of = leaver};
	struct gm_member was = *leaver;
	struct reply a;

	r->event = look_before_commit;
	r->event_arg = &e;
	cr_assert(flow_do(r, leaver, GM_PLAN(GM_OP_LEAVE)));
	cr_assert(eq(uint, e.looked, 1));
	cr_expect(e.old);
	fetch_one(r, m, &was, &a);
	cr_expect(is_nothing(&a), "it has left");
	flow_free(r);
}

Test(creds_here, come_from_core_while_the_view_has_not_caught_up)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ);
	struct gm_eff_num ahead = {.rec = {.type = GM_EFF_NUM, .len = sizeof ahead}, .gen = r->dp->worker[0]->group[0]->view.gen, .version = 1};
	struct reply a;

	gm_dp_roster(r->dp, gm_core_words(r->core), (const uint8_t *)&ahead, sizeof ahead);
	uint64_t before = reads(r);
	fetch_one(r, m, m, &a);
	cr_expect(shows(&a, m));
	cr_expect(eq(u64, reads(r), before));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 10);
	fetch_one(r, m, m, &a);
	cr_expect(eq(u64, reads(r), before + 1));
	cr_expect(eq(u8, value_at(a.inner.payload, 9).p[0], 1), "num");
	flow_free(r);
}

Test(creds_here, are_gone_with_the_sender_id_and_come_under_the_next)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP);
	struct reply a;

	for (unsigned i = 0; i < 2; i++) {
		struct gm_member was = *other;
		cr_assert(flow_do(r, other, i ? GM_PLAN(GM_OP_JOIN) : GM_PLAN(GM_OP_RENEW)));
		uint64_t before = reads(r);
		fetch_one(r, m, &was, &a);
		cr_expect(is_nothing(&a));
		fetch_one(r, m, other, &a);
		cr_expect(shows(&a, other));
		cr_expect(eq(u64, reads(r) - before, 2));
	}
	flow_free(r);
}

Test(creds_here, are_gone_where_a_changed_group_needs_others)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP);
	struct gm_admin_map x509 = {.has = GM_ADMIN_BIT(GM_ADMIN_CRED_FMT), .cred_fmt = GM_CRED_FMT_X5CHAIN, .policies = {-1, -1}};
	struct reply a;

	fetch_one(r, m, other, &a);
	cr_expect(shows(&a, other));
	cr_assert(flow_set(r, &x509) == GM_E_OK);
	uint64_t before = reads(r);
	fetch_one(r, m, other, &a);
	cr_expect(is_nothing(&a));
	cr_expect(eq(u64, reads(r), before), "nor has the reader one, so core answers");
	flow_free(r);
}

Test(creds_here, come_from_core_where_the_reader_is_out_and_its_worker_does_not_know_yet)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP), *monitor = joined(r, GM_ROLE_MONITOR);
	struct gm_eff_cred out = {.rec = {.type = GM_EFF_CRED, .len = sizeof out}, .sid_n = m->sid_n, .remove = true};
	struct reply a;

	memcpy(out.sid, m->sid, m->sid_n);
	fetch_one(r, m, other, &a);
	uint64_t before = reads(r);
	gm_dp_roster(r->dp, gm_core_words(r->core), (const uint8_t *)&out, sizeof out);
	fetch_one(r, m, other, &a);
	cr_expect(eq(u64, reads(r), before));
	fetch_one(r, monitor, other, &a);
	cr_expect(shows(&a, other), "who has no Sender ID is not in the roster");
	cr_expect(eq(u64, reads(r), before));
	fetch_one(r, other, other, &a);
	cr_expect(eq(u64, reads(r), before + 1));
	flow_free(r);
}

Test(creds_here, are_not_for_those_who_were_put_out)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP);
	unsigned n;
	struct reply a;

	cr_assert(flow_evict(r, m->node, &n) == GM_E_OK);
	uint64_t before = reads(r);
	fetch_one(r, m, other, &a);
	cr_expect(a.inner.code != GM_COAP(2, 5));
	cr_expect(eq(u64, reads(r), before));
	flow_free(r);
}

Test(creds_here, that_do_not_fit_into_one_datagram_come_from_core_by_blocks)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = NULL;
	struct gm_bytes ids[24];
	struct reply a;

	for (unsigned i = 0; i < 24; i++) {
		m = joined(r, REQ);
		ids[i] = sid_of(m);
	}
	uint64_t before = reads(r);
	struct wish few = wish_of("/ace-group/g1/creds", true, ids, 12), many = wish_of("/ace-group/g1/creds", true, ids, 24);
	fetch(r, m, &few, &a);
	cr_expect_not(a.inner.has_block2);
	cr_expect(eq(u64, reads(r) - before, 1));
	fetch(r, m, &many, &a);
	cr_expect(a.inner.has_block2 && a.inner.block2.more && a.inner.payload.n == 1024);
	cr_expect(eq(u64, reads(r) - before, 1));
	flow_free(r);
}

/* ---- repeats: another answer under a number of ours, never the request's nonce again */

Test(creds_here, that_are_asked_for_again_come_under_another_nonce)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = joined(r, REQ), *other = joined(r, RESP);
	struct reply a;
	uint64_t seq = m->seq;
	uint16_t mid = m->next_mid;

	fetch_one(r, m, other, &a);
	cr_expect(shows(&a, other));
	cr_assert(flow_do(r, other, GM_PLAN(GM_OP_RECRED)));
	m->seq = seq;
	m->next_mid = mid;
	fetch_one(r, m, other, &a);
	cr_expect(shows(&a, other), "what is there now");
	cr_expect(eq(u64, r->dp->worker[0]->stats.rx_repeat, 1));
	cr_expect(eq(uint, r->reuses, 0));
	flow_free(r);
}
