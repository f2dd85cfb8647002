/* SPDX-License-Identifier: Apache-2.0 */
/* Random lives on a network that repeats what it heard, with kills in between: no nonce twice, and everything ends. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "flow_rig.h"

#define MEMBERS 12u
#define HEARD 256u

static struct heard {
	struct gm_addr from, to;
	uint8_t p[2048];
	size_t n;
} heard[HEARD];
static unsigned heard_n;
static uint64_t dice;

static unsigned roll(unsigned n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % n;
}

static void listen_and_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct flow *r = arg;
	struct heard *h = &heard[heard_n++ % HEARD];

	*h = (struct heard){.from = m->addr, .to = *to, .n = n};
	memcpy(h->p, p, n);
	gm_mem_send(r->net, &m->addr, to, p, n);
}

static void replay(struct flow *r)
{
	struct heard *h = &heard[roll(heard_n < HEARD ? heard_n : HEARD)];

	if (h->n > 6 && (h->p[1] != 2 || h->n < 200 || roll(8) == 0)) /* few tokens: their owners' quota is small */
		gm_mem_send(r->net, &h->from, &h->to, h->p, h->n);
}

static void something(struct flow *r)
{
	static const enum gm_member_op ops[] = {GM_OP_JOIN, GM_OP_OBSERVE, GM_OP_GROUP, GM_OP_GROUP, GM_OP_NODE, GM_OP_CREDS, GM_OP_LEAVE};
	struct gm_member *m = &r->members[roll(MEMBERS)];

	switch (roll(10)) {
	case 0:
		cr_assert(flow_rekey(r, roll(4) == 0) == GM_E_OK);
		break;
	case 1:
		if (roll(3) == 0)
			flow_restart(r, 1 + roll(4));
		break;
	case 2:
	case 3:
	case 4:
		replay(r);
		break;
	default:
		if (!m->plan && !m->ex.active && m->has_context) {
			r->env.now_ns = gm_mem_now(r->net);
			m->want_creds = roll(2);
			gm_member_plan(&r->env, m, GM_PLAN(ops[roll(sizeof ops / sizeof *ops)]));
		}
	}
}

static void live(uint64_t seed)
{
	struct gm_mem_faults faults = {.loss = 50000, .dup = 50000, .delay_ns = 1000000, .jitter_ns = 3000000};
	struct flow *r = flow_new(2, &faults);

	dice = seed;
	heard_n = 0;
	r->env.send = listen_and_send;
	for (unsigned i = 0; i < MEMBERS; i++)
		flow_do(r, flow_member(r, GM_ROLE_RESPONDER | (i & 1 ? 0 : GM_ROLE_REQUESTER), i % 3 != 0), GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN));
	for (unsigned i = 0; i < 600; i++) {
		something(r);
		flow_run(r, roll(20) == 0 ? 3000 : roll(60));
	}
	cr_expect(eq(u32, r->reuses, 0), "seed %llu", (unsigned long long)seed);
	flow_run(r, 200000);
	cr_expect(eq(u32, flow_status(r).rekeys_running, 0), "seed %llu", (unsigned long long)seed);
	for (unsigned i = 0; i < r->dp->config.workers; i++) {
		cr_expect(eq(u64, r->dp->worker[i]->stats.inflight, 0));
		cr_expect(eq(u32, r->dp->worker[i]->walks, 0));
		cr_expect(eq(u32, r->dp->worker[i]->xchs.used, 0));
	}
	flow_free(r);
}

Test(lives, with_replays_and_kills_use_no_nonce_twice)
{
	const char *seeds = getenv("SEEDS");

	for (uint64_t seed = 1; seed <= (seeds ? strtoull(seeds, NULL, 10) : 6); seed++)
		live(seed);
}
