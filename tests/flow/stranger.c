/* SPDX-License-Identifier: Apache-2.0 */
/* Who is not known costs little: no state beyond bounds without an Echo, and nobody who is real is kept out. RFC 9175 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>

#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))
#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

/* ---- strangers who post tokens that others were given */

static struct gm_addr at(const char *text, unsigned port)
{
	struct gm_addr a;

	gm_addr_parse(&a, text);
	a.port = (uint16_t)port;
	return a;
}

struct post {
	uint8_t p[1024], echo[40], code;
	size_t n, answer_n, echo_n;
	uint16_t mid;
};

static void put(struct post *s, const struct gm_member *m)
{
	uint8_t body[700];
	struct gm_out o = gm_out(s->p, sizeof s->p), b = gm_out(body, sizeof body);
	struct gm_token_request request = {.token = {m->token, m->token_n},
	                                   .nonce1 = {(const uint8_t *)"12345678", 8},
	                                   .id1 = {(const uint8_t *)"id", 2}};
	uint16_t last = 0;

	gm_token_request_encode(&b, &request);
	gm_coap_put_head(&o, GM_COAP_CON, GM_COAP_POST, s->mid++, (const uint8_t *)"tk", 2);
	gm_coap_put_path(&o, &last, GM_OPT_URI_PATH, "/authz-info", 11);
	gm_coap_put_option_uint(&o, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
	if (s->echo_n)
		gm_coap_put_option(&o, &last, GM_OPT_ECHO, s->echo, s->echo_n);
	gm_coap_put_payload(&o, body, gm_out_len(&b));
	s->n = gm_out_len(&o);
	cr_assert(o.err == GM_E_OK);
}

/* Says it from there and returns the code of the answer, 0: none; an Echo value comes along the next time. */
static uint8_t say(struct flow *r, struct post *s, const struct gm_addr *from, const struct gm_member *m)
{
	struct gm_mem_dgram d;
	struct gm_coap c;

	put(s, m);
	gm_mem_send(r->net, from, &r->env.server, s->p, s->n);
	s->code = 0;
	for (unsigned i = 0; i < 20 && !s->code; i++) {
		gm_worker_turn(r->dp->worker[0]);
		if (gm_mem_recv(r->net, from, &d) && gm_coap_decode((struct gm_bytes){d.data, d.len}, &c) == GM_E_OK) {
			s->code = c.code;
			s->answer_n = d.len;
			s->echo_n = c.has_echo ? c.echo.n : 0;
			if (s->echo_n)
				memcpy(s->echo, c.echo.p, c.echo.n);
		} else {
			flow_turn(r);
		}
	}
	return s->code;
}

static const struct gm_worker_stats *stats(const struct flow *r)
{
	return &r->dp->worker[0]->stats;
}

/* A Group Manager half of whose room is taken by contexts that wait for their first request. */
static struct flow *tight(struct gm_member **m)
{
	struct flow *r = flow_new(1, NULL);

	flow_run(r, 5);
	r->dp->worker[0]->config.contexts_max = 20;
	for (unsigned i = 0; i < 10; i++)
		cr_assert(flow_do(r, flow_member(r, BOTH, true), TOKEN));
	cr_assert(eq(u64, stats(r)->stranger_challenged, 0), "not before half of it is");
	*m = flow_member(r, BOTH, true);
	return r;
}

Test(stranger, is_challenged_when_half_of_the_free_contexts_wait_and_leaves_nothing_behind)
{
	struct gm_member *m;
	struct flow *r = tight(&m);
	struct gm_addr from = at("127.9.9.9", 4000), other = at("127.9.9.9", 4001);
	struct post s = {0};
	uint64_t pending = stats(r)->contexts_pending;

	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(4, 1)));
	cr_expect(eq(sz, s.echo_n, 8));
	cr_expect(le(sz, s.answer_n, 3 * s.n));
	cr_expect(le(sz, s.answer_n, 4 + 2 + 3 + 8 + 2));
	cr_expect(eq(u64, stats(r)->contexts_pending, pending));
	cr_expect(eq(u32, r->dp->worker[0]->xchs.used, 0));
	cr_expect(eq(u64, stats(r)->stranger_challenged, 1));
	struct post copy = s;
	cr_expect(eq(u8, say(r, &copy, &other, m), GM_COAP(4, 1)), "the value is for one address");
	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(2, 1)));
	cr_expect(eq(u64, stats(r)->stranger_shown, 1));
	cr_expect(eq(u64, stats(r)->contexts_pending, pending + 1));
	cr_expect(flow_do(r, m, JOIN), "a member answers a challenge by itself");
	cr_expect(ge(u64, r->env.stats.echoes, 1));
	flow_free(r);
}

Test(stranger, has_to_show_its_address_anew_after_two_minutes)
{
	struct gm_member *m;
	struct flow *r = tight(&m);
	struct gm_addr from = at("127.9.9.9", 4000);
	struct post s = {0};

	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(4, 1)));
	struct post first = s;
	flow_run(r, 55000);
	s = first;
	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(2, 1)), "a minute is long enough for one that is slow");
	flow_run(r, 75000);
	r->dp->worker[0]->config.contexts_max = 0; /* tight again */
	s = first;
	s.mid = 99;
	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(4, 1)));
	flow_free(r);
}

/* ---- rates */

static struct flow *with_rate(unsigned rate)
{
	struct flow *r = flow_new(1, NULL);

	r->dp_config.stranger_rate = rate;
	flow_restart(r, 1);
	flow_run(r, 5);
	return r;
}

Test(network, beyond_its_rate_is_challenged_and_others_are_not)
{
	struct flow *r = with_rate(2);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct post s = {0};
	unsigned good = 0;

	for (unsigned i = 0; i < 40; i++) {
		struct gm_addr from = at("127.9.9.9", 4000);
		from.ip[15] = (uint8_t)i;
		s.echo_n = 0;
		good += say(r, &s, &from, m) == GM_COAP(2, 1);
	}
	cr_expect(ge(uint, good, 32), "16 seconds' worth may come at once");
	cr_expect(lt(uint, good, 36));
	struct gm_addr elsewhere = at("127.9.8.9", 4000), there = at("127.9.9.200", 4000);
	s.echo_n = 0;
	cr_expect(eq(u8, say(r, &s, &elsewhere, m), GM_COAP(2, 1)));
	cr_expect(eq(u8, say(r, &s, &there, m), GM_COAP(4, 1)));
	cr_expect(eq(u8, say(r, &s, &there, m), GM_COAP(2, 1)), "with Echo it counts against no network");
	flow_run(r, 2000);
	struct gm_addr later = at("127.9.9.201", 4000);
	s.echo_n = 0;
	cr_expect(eq(u8, say(r, &s, &later, m), GM_COAP(2, 1)), "the bucket fills again");
	flow_free(r);
}

Test(address, that_was_shown_has_a_rate_of_its_own)
{
	struct flow *r = with_rate(2);
	struct gm_addr from = at("127.9.9.9", 4000), other = at("127.9.9.8", 4000);
	struct post s = {0}, shown;
	unsigned good = 0;

	r->dp->worker[0]->config.contexts_max = 0; /* so that whoever has not shown its address is challenged */
	cr_assert(eq(u8, say(r, &s, &from, flow_member(r, BOTH, true)), GM_COAP(4, 1)));
	shown = s;
	for (unsigned i = 0; i < 40; i++) {
		s.echo_n = shown.echo_n;
		good += say(r, &s, &from, flow_member(r, BOTH, true)) == GM_COAP(2, 1);
	}
	cr_expect(ge(uint, good, 32), "16 seconds' worth may come at once");
	cr_expect(lt(uint, good, 36));
	cr_expect(eq(u8, s.code, GM_COAP(5, 3)));
	cr_expect(eq(u64, stats(r)->stranger_limited, 40 - good));
	s.echo_n = 0;
	cr_expect(eq(u8, say(r, &s, &other, flow_member(r, BOTH, true)), GM_COAP(4, 1)));
	cr_expect(eq(u8, say(r, &s, &other, flow_member(r, BOTH, true)), GM_COAP(2, 1)), "another one's is not touched");
	flow_run(r, 2000);
	memcpy(s.echo, shown.echo, s.echo_n = shown.echo_n);
	cr_expect(eq(u8, say(r, &s, &from, flow_member(r, BOTH, true)), GM_COAP(2, 1)), "the bucket fills again");
	flow_free(r);
}

/* Addresses that are made up are of as many networks as one likes. */
Test(networks, that_are_too_many_at_once_are_challenged_together)
{
	struct flow *r = with_rate(1);
	struct post s = {0};
	unsigned good = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct gm_member *m = flow_member(r, BOTH, true);
		struct gm_addr from = at("127.9.9.9", 4000);
		from.ip[14] = (uint8_t)i;
		s.echo_n = 0;
		good += say(r, &s, &from, m) == GM_COAP(2, 1);
	}
	cr_expect(ge(uint, good, 64));
	cr_expect(lt(uint, good, 70));
	flow_free(r);
}

Test(building, whose_members_all_return_at_once_gets_all_of_them_in)
{
	enum { MEMBERS = 300 };
	struct flow *r = with_rate(1);
	unsigned in = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		flow_member(r, BOTH, true);
	r->env.now_ns = gm_mem_now(r->net);
	uint64_t begun = r->env.now_ns;
	for (unsigned i = 0; i < MEMBERS; i++)
		gm_member_plan(&r->env, &r->members[i], JOIN);
	gm_member_flush(&r->env);
	for (bool busy = true; busy;) {
		flow_turn(r);
		busy = gm_mem_now(r->net) < begun + UINT64_C(1000000000);
	}
	for (unsigned i = 0; i < MEMBERS; i++)
		in += flow_code(r, &r->members[i], GM_OP_JOIN) == GM_COAP(2, 1);
	cr_expect(eq(uint, in, MEMBERS));
	cr_expect(ge(u64, stats(r)->stranger_challenged, MEMBERS - 40));
	cr_expect(eq(u64, stats(r)->stranger_shown, stats(r)->stranger_challenged), "one round trip each");
	cr_expect(eq(u32, r->failures, 0));
	flow_free(r);
}

/* Tokens travel in clear: one that was overheard can be posted from any number of ports. */
Test(token, overheard_and_posted_from_many_ports_fills_no_table_and_its_owner_comes_in)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct post s = {0};

	for (unsigned i = 0; i < 1000; i++) {
		struct gm_addr from = at("127.9.9.9", 1024 + i);
		s.echo_n = 0;
		say(r, &s, &from, m);
	}
	cr_expect(le(u64, stats(r)->contexts_pending, 64 + 4));
	for (unsigned i = 0; i < 1000; i++) {
		struct gm_addr from = at("127.9.9.9", 1024 + i);
		s.echo_n = 0;
		if (say(r, &s, &from, m) == GM_COAP(4, 1))
			say(r, &s, &from, m); /* it gets its answers */
	}
	cr_expect(le(u64, stats(r)->contexts_pending, 2 * 64 + 16));
	cr_expect(ge(u64, stats(r)->stranger_limited, 501));
	uint64_t echoes = r->env.stats.echoes;
	cr_expect(flow_do(r, m, JOIN));
	cr_expect(eq(u64, r->env.stats.echoes, echoes), "from its own network without a challenge");
	flow_free(r);
}

/* ---- tokens that somebody has to be asked about */

static unsigned asked, asked_xid;

static bool on_event(void *arg, const struct gm_rec *rec)
{
	(void)arg;
	if (rec->type != GM_EV_TOKEN || !((const struct gm_ev_token *)(const void *)rec)->reference.n)
		return false;
	asked++;
	asked_xid = ((const struct gm_ev_token *)(const void *)rec)->xid;
	return true; /* and no server answers */
}

Test(reference, of_those_who_show_their_address_is_asked_about_however_many_strangers_post)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct post s = {0};

	flow_run(r, 5);
	asked = 0;
	r->event = on_event;
	r->dp->worker[0]->as[0].introspect = true;
	m->token_n = 24;
	for (unsigned i = 0; i < 300; i++) {
		struct gm_addr from = at("127.9.9.9", 4000);
		from.ip[14] = (uint8_t)i;
		from.ip[13] = (uint8_t)(i >> 8);
		memset(m->token, 0x5a, 24);
		memcpy(m->token + 4, &i, sizeof i);
		put(&s, m);
		gm_mem_send(r->net, &from, &r->env.server, s.p, s.n);
		flow_turn(r);
	}
	cr_expect(eq(uint, asked, 96));
	cr_expect(eq(u32, r->dp->worker[0]->strangers.references, 96));
	struct gm_addr from = at("127.8.8.8", 4000);
	cr_expect(eq(u8, say(r, &s, &from, m), GM_COAP(4, 1)));
	cr_expect(eq(u8, say(r, &s, &from, m), 0), "it is being asked about");
	cr_expect(eq(uint, asked, 97));
	struct gm_eff_token e = {.rec = {.type = GM_EFF_TOKEN, .len = sizeof e}, .xid = asked_xid, .err = GM_E_AS_SILENT};
	flow_effect(r, 0, &e, sizeof e);
	flow_turn(r);
	cr_expect(eq(u32, r->dp->worker[0]->strangers.references, 96));
	flow_free(r);
}

/* ---- members: what comes late or too often */

static struct {
	uint8_t p[1500];
	size_t n;
} held;

static void hold(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	(void)arg, (void)m, (void)to;
	memcpy(held.p, p, n);
	held.n = n;
}

static void hold_back(struct flow *r, struct gm_member *m, enum gm_member_op op)
{
	void (*send)(void *, struct gm_member *, const struct gm_addr *, const uint8_t *, size_t) = r->env.send;

	r->env.send = hold;
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, GM_PLAN(op));
	gm_member_flush(&r->env);
	r->env.send = send;
	m->ex.active = false;
	free(m->ex.pkt);
	m->ex.pkt = NULL;
}

static const struct ctx *ctx_of(const struct flow *r, const struct gm_member *m)
{
	const uint8_t *b = m->oscore.sid.b;

	return gm_ctx_at(r->dp->worker[0], (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
}

/* What core has taken is all that a start knows. */
static bool is_known_to_core(struct flow *r, const struct gm_member *m)
{
	flow_run(r, 5);
	flow_restart(r, 1);
	flow_run(r, 5);
	const struct ctx *c = ctx_of(r, m);
	return c && gm_addr_eq(&c->peer, &m->addr);
}

Test(member, that_has_moved_is_stored_where_it_is_whatever_it_was_answered)
{
	static const uint8_t bytes[64];
	static const struct gm_coap_block first = {.num = 0, .more = true, .szx = 2}, later = {.num = 3, .szx = 2};
	static const struct { struct asking q; unsigned uploads; uint8_t code; } rows[] = {
		{{.method = GM_COAP_GET, .path = "/ace-group/g1"}, 0, GM_COAP(2, 5)},
		{{.method = GM_COAP_GET, .path = "/.well-known/core"}, 0, GM_COAP(2, 5)},
		{{.method = GM_COAP_GET, .path = "/ace-group/g1", .block2 = &later}, 0, GM_COAP(4, 8)},
		{{.method = GM_COAP_POST, .path = "/ace-group/g1", .format = GM_CF_GROUPCOMM, .payload = {bytes, sizeof bytes}, .block1 = &first},
		 0, GM_COAP(2, 31)},
		{{.method = GM_COAP_DELETE, .path = "/ace-group/g1/nodes/n"}, UPLOADS_MAX, GM_COAP(5, 3)},
		{{.method = GM_COAP_GET, .path = "/nothing"}, 0, GM_COAP(4, 4)},
	};
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	static struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE))); /* with an Echo */
		m->addr.port++;
		r->dp->worker[0]->uploads += rows[i].uploads;
		cr_assert(ask(r, m, &rows[i].q, &a), "%u", i);
		r->dp->worker[0]->uploads -= rows[i].uploads;
		cr_expect(eq(u8, a.inner.code, rows[i].code), "%u", i);
		cr_expect(is_known_to_core(r, m), "%u", i);
	}
	flow_free(r);
}

Test(member, that_has_moved_is_stored_where_it_is_though_core_was_too_far_behind_to_be_told_at_once)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];
	struct gm_member *m = flow_member(r, BOTH, true);
	const struct asking read = {.method = GM_COAP_GET, .path = "/ace-group/g1"};
	struct gm_ev_moved *ev;
	static struct reply a;

	cr_assert(flow_do(r, m, JOIN));
	m->addr.port++;
	while ((ev = gm_worker_event(w, GM_EV_MOVED, sizeof *ev, 0)))
		gm_worker_event_done(w, &ev->rec); /* of no context */
	cr_assert(ask(r, m, &read, &a));
	cr_assert(eq(u8, a.inner.code, GM_COAP(2, 5)));
	cr_expect(ctx_of(r, m)->moved);
	flow_run(r, 5);
	cr_assert(ask(r, m, &read, &a));
	cr_expect_not(ctx_of(r, m)->moved);
	cr_expect(is_known_to_core(r, m));
	flow_free(r);
}

Test(member, that_has_moved_is_not_moved_back_by_an_older_request_that_comes_late)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);
	struct gm_addr before = m->addr;

	cr_assert(flow_do(r, m, JOIN));
	hold_back(r, m, GM_OP_NODE);
	m->addr.port++;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	gm_mem_send(r->net, &before, &r->env.server, held.p, held.n);
	r->mute = true;
	flow_run(r, 20);
	r->mute = false;
	const struct ctx *c = ctx_of(r, m);
	cr_assert(c != NULL);
	cr_expect(eq(u16, c->peer.port, m->addr.port));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	uint64_t sent = r->to_members;
	flow_run(r, 1500);
	cr_expect(eq(u64, m->keys.version, 1));
	cr_expect(eq(u64, r->to_members - sent, 1), "at once");
	flow_free(r);
}

/* Two posts of one token, and a first request under the earlier context that somebody has held back. */
Test(context, of_an_earlier_post_does_not_take_the_place_of_a_later_one)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true);

	cr_assert(flow_do(r, m, TOKEN));
	hold_back(r, m, GM_OP_JOIN);
	cr_assert(flow_do(r, m, JOIN));
	gm_mem_send(r->net, &m->addr, &r->env.server, held.p, held.n);
	r->mute = true;
	flow_run(r, 20);
	r->mute = false;
	cr_expect(eq(u64, flow_status(r).rejoins, 0));
	cr_expect(flow_do(r, m, GM_PLAN(GM_OP_NODE)), "the later one is in use");
	cr_expect(flow_do(r, m, JOIN), "and a still later one may take its place");
	cr_expect(eq(u32, flow_status(r).contexts, 1));
	flow_free(r);
}

Test(proof, that_fails_too_often_is_not_looked_at_for_a_while)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, BOTH, true), *other = flow_member(r, BOTH, true);
	struct joining bad = {.roles = BOTH, .bad_proof = true}, good = {.roles = BOTH};
	struct reply a;

	cr_assert(flow_do(r, m, TOKEN));
	cr_assert(flow_do(r, other, TOKEN));
	for (unsigned i = 0; i < 64; i++) {
		cr_assert(ask_join(r, m, &bad, &a));
		cr_expect(eq(u8, a.inner.code, GM_COAP(4, 0)), "%u", i);
	}
	cr_assert(ask_join(r, m, &bad, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(5, 3)));
	cr_expect(a.is_protected && a.inner.has_max_age);
	cr_assert(ask_join(r, m, &good, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(5, 3)), "nor is a good one");
	cr_expect(eq(u64, stats(r)->proofs_limited, 2));
	cr_assert(ask_join(r, other, &good, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 1)), "of others it is");
	flow_run(r, 1100);
	cr_assert(ask_join(r, m, &good, &a));
	cr_expect(eq(u8, a.inner.code, GM_COAP(2, 1)));
	flow_free(r);
}
