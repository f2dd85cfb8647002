/* SPDX-License-Identifier: Apache-2.0 */
/* More is offered than a worker can do: who is refused is told when to come again, and everybody gets in. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "rows_ask.h"

#define MEMBERS 400u
#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN GM_PLAN(GM_OP_JOIN)
#define READ GM_PLAN(GM_OP_GROUP)
#define SLOW_NS 1000000u /* a unit of work: 40 units a turn */
#define BUSY GM_COAP(5, 3)

/* A worker that never catches up. */
static bool pressed_turn(struct worker *w)
{
	w->admission.pressed = true;
	w->admission.unit_ns = SLOW_NS;
	return gm_worker_turn(w);
}

static struct flow *crowd_of(unsigned n, const struct gm_mem_faults *faults)
{
	struct flow *r = flow_new(1, faults);

	for (unsigned i = 0; i < n; i++)
		flow_member(r, GM_ROLE_REQUESTER, true);
	return r;
}

static void begin(struct flow *r, unsigned i, unsigned plan)
{
	r->last_code[i][GM_OP_TOKEN] = r->last_code[i][GM_OP_JOIN] = r->last_code[i][GM_OP_GROUP] = 0;
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, &r->members[i], plan);
}

static void all_do(struct flow *r, unsigned plan)
{
	for (unsigned i = 0; i < r->members_n; i++)
		begin(r, i, plan);
	gm_member_flush(&r->env);
	for (unsigned ms = 0; ms < 1000 && flow_busy(r); ms++)
		flow_turn(r);
}

static unsigned count(const struct flow *r, enum gm_member_op op, uint8_t code)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->members_n; i++)
		n += r->last_code[i][op] == code;
	return n;
}

static const struct gm_worker_stats *stats(const struct flow *r)
{
	return &r->dp->worker[0]->stats;
}

/* They obey Max-Age, and come at some part of the second. Returns the seconds until all are in, 0: not within two minutes. */
static unsigned all_get_in(struct flow *r)
{
	static uint64_t again_ms[FLOW_MEMBERS];
	const uint64_t start = gm_mem_now(r->net) / 1000000;

	memset(again_ms, 0, sizeof again_ms);
	for (unsigned i = 0; i < r->members_n; i++)
		begin(r, i, TOKEN | JOIN);
	for (uint64_t now = start; now < start + 120000; now = gm_mem_now(r->net) / 1000000) {
		unsigned in = 0;
		for (unsigned i = 0; i < r->members_n; i++) {
			struct gm_member *m = &r->members[i];
			const bool open = m->plan || m->ex.active;
			in += !open && r->last_code[i][GM_OP_JOIN] == GM_COAP(2, 1);
			if (open || r->last_code[i][GM_OP_JOIN] == GM_COAP(2, 1) || again_ms[i] > now)
				continue;
			if (again_ms[i]) {
				again_ms[i] = 0;
				begin(r, i, m->has_context ? JOIN : TOKEN | JOIN);
			} else {
				again_ms[i] = now + m->later_s * 1000u + i * 37 % 1000;
			}
		}
		if (in == r->members_n)
			return (unsigned)((now - start) / 1000 + 1);
		flow_turn(r);
	}
	return 0;
}

Test(overload, everybody_who_obeys_gets_in_though_the_worker_never_catches_up)
{
	struct flow *r = crowd_of(MEMBERS, NULL);

	r->worker_turn = pressed_turn;
	const unsigned seconds = all_get_in(r);
	cr_expect(ge(uint, seconds, 3));
	cr_expect(le(uint, seconds, 75));
	cr_expect(ge(u64, stats(r)->refused, MEMBERS / 2 + 1));
	cr_expect(eq(u64, stats(r)->contexts, MEMBERS));
	cr_expect(eq(u64, stats(r)->contexts_pending, 0));
	cr_expect(eq(uint, r->failures, 0));
	cr_expect(eq(uint, r->reuses, 0));
	flow_free(r);
}

Test(overload, tells_each_a_time_of_its_own)
{
	struct flow *r = crowd_of(MEMBERS, NULL);
	unsigned told[256] = {0}, used = 0;

	r->worker_turn = pressed_turn;
	all_do(r, TOKEN);
	cr_expect(ge(uint, count(r, GM_OP_TOKEN, BUSY), MEMBERS * 3 / 4 + 1));
	cr_expect(ge(uint, count(r, GM_OP_TOKEN, GM_COAP(2, 1)), 1));
	for (unsigned i = 0; i < MEMBERS; i++)
		if (r->last_code[i][GM_OP_TOKEN] == BUSY)
			told[r->members[i].later_s]++;
	for (unsigned s = 0; s < 256; s++) {
		cr_expect(told[s] == 0 || (s >= ADMIT_SOONEST_S && s <= ADMIT_LATEST_S), "%u told %u", told[s], s);
		cr_expect(le(uint, told[s], MEMBERS / 5));
		used += told[s] > 0;
	}
	cr_expect(ge(uint, used, 6));
	flow_free(r);
}

/* So that nobody gains by a forged source; who asked is not proven. */
static void note_longest(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct gm_coap m;

	(void)to;
	if (gm_coap_decode((struct gm_bytes){data, n}, &m) == GM_E_OK && m.code == BUSY && n > *(size_t *)arg)
		*(size_t *)arg = n;
}

Test(overload, an_unprotected_refusal_is_shorter_than_what_asked_for_it)
{
	struct flow *r = crowd_of(MEMBERS, NULL);
	size_t longest = 0;

	r->far_tap = note_longest;
	r->far_arg = &longest;
	r->worker_turn = pressed_turn;
	all_do(r, TOKEN);
	cr_expect(ge(sz, longest, 1));
	cr_expect(le(sz, longest, 16));
	flow_free(r);
}

struct heard { /* what members were told */
	unsigned unprotected;
	struct { uint64_t first; unsigned same, others; } by[MEMBERS];
};

static unsigned index_of(const struct gm_addr *addr)
{
	return (unsigned)(addr->ip[14] << 8 | addr->ip[15]);
}

static void note_answer(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	static const uint8_t key[16] = "what was told";
	struct heard *h = arg;
	struct gm_coap m;
	unsigned i = index_of(to);

	if (to->port == 5683 || gm_coap_decode((struct gm_bytes){data, n}, &m) != GM_E_OK || m.code == GM_COAP_EMPTY)
		return;
	h->unprotected += !m.has_oscore;
	uint64_t hash = gm_siphash(key, data, n);
	if (!h->by[i].first)
		h->by[i].first = hash;
	h->by[i].same += h->by[i].first == hash;
	h->by[i].others += h->by[i].first != hash;
}

static struct {
	uint8_t p[1400];
	size_t n;
} said[MEMBERS]; /* last, by each member */

static void note_and_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct flow *r = arg;

	memcpy(said[m->index].p, p, n);
	said[m->index].n = n;
	gm_mem_send(r->net, &m->addr, to, p, n);
}

Test(overload, a_protected_refusal_is_protected_and_the_same_for_a_repeat)
{
	struct gm_mem_faults twice = {.dup = 1000000};
	struct flow *r = crowd_of(MEMBERS, &twice);
	static struct heard heard;

	all_do(r, TOKEN);
	cr_assert(eq(uint, count(r, GM_OP_TOKEN, GM_COAP(2, 1)), MEMBERS));
	r->far_tap = note_answer;
	r->far_arg = &heard;
	r->env.send = note_and_send;
	r->worker_turn = pressed_turn;
	all_do(r, JOIN);
	const unsigned refused = count(r, GM_OP_JOIN, BUSY);
	cr_expect(ge(uint, refused, MEMBERS / 2 + 1));
	cr_expect(eq(uint, refused + count(r, GM_OP_JOIN, GM_COAP(2, 1)), MEMBERS));
	cr_expect(eq(u64, stats(r)->refused, refused)); /* each once, though it came twice */
	cr_expect(eq(uint, heard.unprotected, 0));
	for (unsigned i = 0; i < MEMBERS; i++) {
		const unsigned before = heard.by[i].same;
		gm_mem_send(r->net, &r->members[i].addr, &r->env.server, said[i].p, said[i].n);
		flow_turn(r);
		cr_expect(ge(uint, heard.by[i].same, before + 1), "%u", i);
		cr_expect(eq(uint, heard.by[i].others, 0), "%u", i);
	}
	cr_expect(eq(u64, stats(r)->refused, refused));
	for (unsigned i = 0; i < MEMBERS; i++)
		cr_expect(r->last_code[i][GM_OP_JOIN] != BUSY || r->members[i].later_s <= 20, "while its context waits");
	cr_expect(eq(uint, r->reuses, 0));
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

Test(overload, what_was_taken_on_is_answered_again_as_ever)
{
	struct gm_mem_faults twice = {.dup = 1000000};
	struct flow *r = crowd_of(MEMBERS, &twice);

	r->worker_turn = pressed_turn;
	all_do(r, TOKEN);
	const unsigned in = count(r, GM_OP_TOKEN, GM_COAP(2, 1));
	cr_expect(ge(uint, in, 1));
	cr_expect(eq(u64, stats(r)->contexts_pending, in)); /* one each */
	cr_expect(ge(u64, stats(r)->rx_repeat, in));
	flow_free(r);
}

Test(overload, reads_are_served_while_tokens_and_joins_are_refused)
{
	struct flow *r = crowd_of(MEMBERS, NULL);
	const unsigned readers = MEMBERS / 2;

	r->members_n = readers;
	all_do(r, TOKEN | JOIN);
	cr_assert(eq(uint, count(r, GM_OP_JOIN, GM_COAP(2, 1)), readers));
	r->members_n = MEMBERS;
	r->worker_turn = pressed_turn;
	for (unsigned i = 0; i < MEMBERS; i++)
		begin(r, i, i < readers ? READ : TOKEN);
	for (unsigned ms = 0; ms < 20; ms++)
		flow_turn(r);
	cr_expect(eq(uint, count(r, GM_OP_GROUP, GM_COAP(2, 5)), readers));
	cr_expect(ge(uint, count(r, GM_OP_TOKEN, BUSY), readers * 3 / 4 + 1));
	flow_free(r);
}

/* Nothing that is kept grows with what is refused but the tables of fixed size. */
Test(overload, what_is_refused_costs_no_memory)
{
	struct flow *r = crowd_of(MEMBERS, NULL);
	const struct worker *w = r->dp->worker[0];

	r->worker_turn = pressed_turn;
	all_do(r, TOKEN);
	const uint32_t exchanges = w->xchs.made;
	const uint64_t before = stats(r)->refused;
	for (unsigned round = 0; round < 20; round++)
		all_do(r, TOKEN);
	cr_expect(ge(u64, stats(r)->refused - before, 10 * MEMBERS + 1));
	cr_expect(le(u32, w->xchs.made, exchanges + 40));
	cr_expect(le(u64, w->extras.made, stats(r)->token_ok));
	cr_expect(le(u32, w->admission.due_n, MEMBERS));
	flow_free(r);
}

Test(overload, is_over_once_all_are_served)
{
	struct flow *r = crowd_of(MEMBERS / 2, NULL);
	const struct worker *w = r->dp->worker[0];

	r->worker_turn = pressed_turn;
	all_do(r, TOKEN);
	r->worker_turn = gm_worker_turn;
	for (unsigned ms = 0; ms < 2; ms++)
		flow_turn(r);
	all_do(r, TOKEN | JOIN); /* whatever they were told */
	all_do(r, TOKEN | JOIN);
	cr_expect(eq(uint, count(r, GM_OP_JOIN, GM_COAP(2, 1)) + count(r, GM_OP_JOIN, GM_COAP(2, 4)), MEMBERS / 2));
	cr_expect(eq(int, w->admission.pressed, false));
	flow_free(r);
}

/* ---- tables of this worker that fill */

static uint8_t token_of(struct flow *r, struct gm_member *m)
{
	flow_do(r, m, TOKEN);
	return flow_code(r, m, GM_OP_TOKEN);
}

Test(overload, is_not_what_waits_for_its_next_block_or_for_core_before_half_of_the_places_are_taken)
{
	enum { UPLOADS = UPLOADS_MAX / ADMIT_EIGHTHS };
	static const uint8_t block[64];
	const struct gm_coap_block first = {.num = 0, .more = true, .szx = 2};
	const struct asking upload = {.method = GM_COAP_POST, .path = "/ace-group/g1", .format = GM_CF_GROUPCOMM, .payload = {block, sizeof block}, .block1 = &first};
	static struct reply a;
	struct flow *r = crowd_of(UPLOADS, NULL);
	struct worker *w = r->dp->worker[0];

	all_do(r, TOKEN);
	cr_assert(eq(uint, count(r, GM_OP_TOKEN, GM_COAP(2, 1)), UPLOADS));
	for (unsigned i = 0; i < UPLOADS; i++) {
		cr_assert(ask(r, &r->members[i], &upload, &a));
		cr_assert(eq(u8, a.inner.code, GM_COAP(2, 31)));
	}
	cr_assert(eq(uint, w->uploads, UPLOADS));
	cr_expect(eq(u8, token_of(r, flow_member(r, GM_ROLE_REQUESTER, true)), GM_COAP(2, 1)));

	static const struct { unsigned uploads, exchanges; uint8_t code; } rows[] = { /* that are in use */
		{UPLOADS_MAX / 2, 0, GM_COAP(2, 1)},
		{0, EXCHANGES_MAX / 2 - 64, GM_COAP(2, 1)},
		{UPLOADS_MAX * 9 / 16, 0, BUSY},
		{0, EXCHANGES_MAX * 9 / 16, BUSY},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const unsigned uploads = w->uploads;
		w->uploads = rows[i].uploads;
		w->xchs.used += rows[i].exchanges;
		cr_expect(eq(u8, token_of(r, flow_member(r, GM_ROLE_REQUESTER, true)), rows[i].code), "%u", i);
		w->uploads = uploads;
		w->xchs.used -= rows[i].exchanges;
	}
	flow_free(r);
}
