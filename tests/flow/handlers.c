/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as they are counted and timed, over the wire: each once, under what it asked for, by the worker that answers it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"
#include "rows_ask.h"

#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN (TOKEN | GM_PLAN(GM_OP_JOIN))
#define MEMBERS 8u

static uint64_t answers(const struct flow *r, enum gm_handler h, enum gm_answer_code code)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->dp->config.workers; i++)
		n += r->dp->worker[i]->stats.answers[h][code];
	return n;
}

static uint64_t timed(const struct flow *r, enum gm_handler h, uint64_t *us)
{
	uint64_t n = 0;

	*us = 0;
	for (unsigned i = 0; i < r->dp->config.workers; i++) {
		*us += r->dp->worker[i]->stats.answer_us[h];
		for (unsigned b = 0; b < GM_HIST; b++)
			n += r->dp->worker[i]->stats.hist_answer_us[h][b];
	}
	return n;
}

static struct flow *site(unsigned workers)
{
	struct flow *r = flow_new(workers, NULL);

	for (unsigned i = 0; i < MEMBERS; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_REQUESTER, true), JOIN));
	return r;
}

Test(handlers, count_each_token_and_each_join_once)
{
	struct flow *r = site(2);
	uint64_t us;

	cr_expect(eq(u64, answers(r, GM_HANDLER_TOKEN, GM_CODE_2_1), MEMBERS));
	cr_expect(eq(u64, answers(r, GM_HANDLER_JOIN, GM_CODE_2_1), MEMBERS));
	cr_expect(eq(u64, timed(r, GM_HANDLER_TOKEN, &us), MEMBERS));
	cr_expect(eq(u64, timed(r, GM_HANDLER_JOIN, &us), MEMBERS));
	cr_expect(eq(u64, r->dp->worker[0]->stats.tokens[GM_E_OK] + r->dp->worker[1]->stats.tokens[GM_E_OK], MEMBERS));
	cr_expect(ge(u64, r->dp->worker[0]->stats.leases, 1));
	flow_free(r);
}

/* Core answers at the next turn, a millisecond later; what the worker reads itself is out within its turn. */
Test(handlers, time_what_core_decides_until_its_answer_leaves)
{
	struct flow *r = site(1);
	struct reply a;
	uint64_t us;

	timed(r, GM_HANDLER_JOIN, &us);
	cr_expect(eq(u64, us, MEMBERS * 1000));
	cr_assert(ask(r, &r->members[0], &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1"}, &a));
	cr_expect(eq(u64, timed(r, GM_HANDLER_KEYS, &us), 1));
	cr_expect(eq(u64, us, 0));
	cr_expect(eq(u64, answers(r, GM_HANDLER_KEYS, GM_CODE_2_5), 1));
	flow_free(r);
}

Test(handlers, call_other_what_a_resource_has_not)
{
	struct flow *r = site(1);
	struct reply a;
	uint64_t us;

	cr_assert(ask(r, &r->members[0], &(struct asking){.method = GM_COAP_DELETE, .path = "/ace-group/g1/num"}, &a));
	cr_expect(eq(u64, answers(r, GM_HANDLER_OTHER, GM_CODE_4_5), 1));
	cr_assert(ask(r, &r->members[0], &(struct asking){.method = GM_COAP_GET, .path = "/ace-group/g1/num"}, &a));
	cr_expect(eq(u64, timed(r, GM_HANDLER_NUM, &us), 1));
	cr_expect(eq(u64, timed(r, GM_HANDLER_OTHER, &us), 1));
	flow_free(r);
}
