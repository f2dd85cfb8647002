/* SPDX-License-Identifier: Apache-2.0 */
/* A turn of a worker takes what is there, and verifies its signatures together. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "ctl/table.h"
#include "flow_rig.h"

#define STORM 600u
#define TOKEN GM_PLAN(GM_OP_TOKEN)
#define JOIN GM_PLAN(GM_OP_JOIN)

static struct flow *storm_of(unsigned workers, const struct gm_mem_faults *faults, unsigned n)
{
	struct flow *r = flow_new_as(workers, faults, "EdDSA");

	for (unsigned i = 0; i < n; i++)
		flow_member(r, GM_ROLE_REQUESTER, true);
	return r;
}

static const struct gm_worker_stats *stats(const struct flow *r, unsigned worker)
{
	return &r->dp->worker[worker]->stats;
}

static uint64_t median(const _Atomic uint64_t *hist)
{
	uint64_t copy[GM_HIST_N];

	for (unsigned i = 0; i < GM_HIST_N; i++)
		copy[i] = hist[i];
	return gm_hist_quantile(copy, 0.5);
}

/* So that a signature of its does not fit its credential. */
static void spoil(struct gm_member *m)
{
	m->own.key.priv[0] ^= 1;
}

Test(turn, verifies_the_tokens_and_the_joins_of_a_storm_by_the_hundred)
{
	struct flow *r = storm_of(1, NULL, STORM);

	cr_expect(eq(uint, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), STORM));
	cr_expect(eq(uint, (unsigned)stats(r, 0)->joins, STORM));
	cr_expect(ge(u64, median(stats(r, 0)->hist_verify), 256));
	cr_expect(eq(u64, stats(r, 0)->sigs_batched, 2 * STORM)); /* tokens and Joins, all of newcomers */
	cr_expect(eq(u64, median(stats(r, 0)->hist_derive), 64));
	cr_expect(eq(uint, r->failures, 0));
	cr_expect(eq(uint, r->reuses, 0));
	flow_free(r);
}

Test(turn, refuses_the_bad_ones_among_many_signatures_and_no_other)
{
	struct flow *r = storm_of(1, NULL, STORM);

	cr_assert(eq(uint, flow_all_do(r, TOKEN, GM_OP_TOKEN), STORM));
	for (unsigned i = 0; i < STORM; i += 97)
		spoil(&r->members[i]);
	cr_expect(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), STORM - 7)); /* all are newcomers */
	for (unsigned i = 0; i < STORM; i++)
		cr_expect(eq(u8, r->last_code[i][GM_OP_JOIN], i % 97 ? GM_COAP(2, 1) : GM_COAP(4, 0)));

	for (unsigned i = 5; i < STORM; i += 97) /* of whom only good was known */
		spoil(&r->members[i]);
	uint64_t before = stats(r, 0)->sigs_batched;
	cr_expect(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), STORM - 14));
	for (unsigned i = 0; i < STORM; i++)
		cr_expect(eq(u8, r->last_code[i][GM_OP_JOIN], i % 97 && i % 97 != 5 ? GM_COAP(2, 4) : GM_COAP(4, 0)));
	cr_expect(ge(u64, stats(r, 0)->sigs_batched - before, 512));
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

/* Who joins with fresh keys and bad signatures makes newcomers dear, down to the lanes, and nobody else. */
Test(turn, bad_signatures_of_newcomers_keep_newcomers_out_of_batches_and_nobody_else)
{
	const unsigned known = 64, others = 400;
	struct flow *r = storm_of(1, NULL, known);
	const struct worker *w = r->dp->worker[0];

	cr_assert(eq(uint, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), known));
	cr_expect(eq(uint, gm_ed25519_policy_size(&w->newcomer_policy, STORM), STORM));
	for (unsigned i = 0; i < others; i++)
		if (flow_member(r, GM_ROLE_REQUESTER, true) && i % 8 == 0)
			spoil(&r->members[known + i]);
	cr_expect(eq(uint, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), known + others - others / 8));
	cr_expect(eq(uint, gm_ed25519_policy_size(&w->newcomer_policy, STORM), 0));
	cr_expect(lt(u32, w->join_policy.bad, w->newcomer_policy.bad / 8)); /* some share a place with a bad one */
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

/* Off the curve, or of small order: refused for the signature, which can be none. y = 1 and -1 are for the credential. */
Test(turn, refuses_keys_that_have_no_good_signature)
{
	static const struct {
		uint8_t first, middle, last, why; /* of the 32 bytes; ace error */
	} keys[] = {{1, 0, 0, 2}, {0xec, 0xff, 0x7f, 2}, {0, 0, 0, 3}, {0, 0, 0x80, 3}, {2, 0, 0, 3}, {0xed, 0xff, 0x7f, 3}};
	const unsigned n = sizeof(keys) / sizeof(*keys);
	struct flow *r = storm_of(1, NULL, 64);

	cr_assert(eq(uint, flow_all_do(r, TOKEN, GM_OP_TOKEN), 64));
	for (unsigned i = 0; i < n; i++) {
		struct gm_identity *own = &r->members[i].own;
		uint8_t *x = own->cred + own->cred_n - GM_ED25519_PUB; /* what a CCS ends with */

		cr_assert(eq(int, memcmp(x, own->key.pub.x, GM_ED25519_PUB), 0));
		memset(x, keys[i].middle, GM_ED25519_PUB);
		x[0] = keys[i].first;
		x[GM_ED25519_PUB - 1] = keys[i].last;
	}
	cr_expect(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), 64 - n));
	for (unsigned i = 0; i < n; i++)
		cr_expect(eq(u8, r->last_code[i][GM_OP_JOIN], GM_COAP(4, 0)), "%u", i);
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

Test(turn, answers_two_copies_of_a_signed_token_in_one_turn_with_one_context)
{
	struct gm_mem_faults twice = {.dup = 1000000};
	struct flow *r = storm_of(1, &twice, 100);

	cr_expect(eq(uint, flow_all_do(r, TOKEN, GM_OP_TOKEN), 100));
	cr_expect(eq(uint, (unsigned)stats(r, 0)->contexts_pending, 100));
	cr_expect(eq(u64, stats(r, 0)->sigs_batched, 100), "a copy is not verified");
	cr_expect(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), 100));
	cr_expect(eq(uint, (unsigned)stats(r, 0)->joins, 100));
	cr_expect(eq(uint, r->reuses, 0));
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

/* With room for an odd number of tokens in a turn: then one is taken on, and its copy would not be. */
static bool turn_of_seven(struct worker *w)
{
	w->admission.pressed = true;
	w->admission.unit_ns = ADMIT_TURN_MS * 1000000 / 48;
	return gm_worker_turn(w);
}

Test(turn, refuses_no_copy_of_a_token_that_it_takes_on)
{
	struct gm_mem_faults twice = {.dup = 1000000};
	struct flow *r = storm_of(1, &twice, 100);
	unsigned in;

	r->worker_turn = turn_of_seven;
	in = flow_all_do(r, TOKEN, GM_OP_TOKEN);
	cr_expect(ge(uint, in, 7)); /* or more, where two share a time and one of them comes again */
	cr_expect(eq(uint, (unsigned)stats(r, 0)->contexts_pending, in));
	flow_free(r);
}

Test(turn, verifies_what_came_by_way_of_another_worker_together_with_the_rest)
{
	struct flow *r = storm_of(2, NULL, STORM);

	cr_expect(eq(uint, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), STORM));
	for (unsigned i = 0; i < STORM; i++)
		r->members[i].addr.port = (uint16_t)(r->members[i].addr.port + 1); /* half of them meet the other worker */
	cr_expect(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), STORM));
	cr_expect(ge(u64, (uint64_t)stats(r, 0)->rx_hop + stats(r, 1)->rx_hop, 1));
	cr_expect(eq(uint, r->failures, 0));
	flow_free(r);
}

/* What takes its place is another message; it must not get the bytes that are sealed for this one. */
Test(turn, an_answer_that_is_confirmed_before_it_is_sealed_is_forgotten_by_the_box)
{
	struct flow *r = storm_of(1, NULL, 1);

	cr_assert(eq(u32, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), 1));
	struct worker *w = r->dp->worker[0];
	const gm_ctx_id id = gm_member_at(w, 1)->ctx;
	struct ctx *c = gm_ctx_at(w, id);
	const struct out separate = {.peer = c->peer, .ctx = id, .kind = OUT_SEPARATE, .mid = 7};
	const uint32_t h = gm_out_new(w, c, &separate);
	cr_assert(h != 0);
	cr_assert(gm_box_add(w, &c->peer, &c->peer) != NULL);
	const unsigned at = w->box.n - 1;
	w->box.of[at].out = h;
	gm_out_end(w, h, true);
	cr_expect(eq(u32, w->box.of[at].out, 0));
	gm_box_drop_last(w);
	flow_free(r);
}

/* Empty ACKs to messages of worker 2, which worker from gets. */
static void confirm_to_third(struct flow *r, unsigned from, unsigned n)
{
	static const uint8_t ack[] = {0x60, 0, 2 << 4, 7}; /* the upper bits of a Message ID name the worker */
	const struct gm_addr *peer = &r->members[0].addr;

	while (n--)
		gm_check_datagram(r->dp->worker[from], ack, sizeof ack, peer, &r->dp_config.listen[0], false);
}

static size_t waiting_for_third(const struct flow *r, unsigned from)
{
	return gm_ring_used(r->dp->worker[2]->hop_in[from]);
}

Test(turn, takes_what_one_worker_sends_over_while_another_one_floods)
{
	for (unsigned flood = 0; flood < 2; flood++) {
		struct flow *r = storm_of(3, NULL, 1);
		confirm_to_third(r, flood, 4 * TURN_MAX);
		for (unsigned turn = 0; turn < 3; turn++) {
			confirm_to_third(r, flood, TURN_MAX);
			confirm_to_third(r, !flood, 3);
			gm_worker_turn(r->dp->worker[2]);
			cr_expect(eq(sz, waiting_for_third(r, !flood), 0), "turn %u", turn);
		}
		cr_expect(gt(sz, waiting_for_third(r, flood), 0), "and it was a flood");
		flow_free(r);
	}
}

Test(turn, takes_as_much_from_each_of_the_workers_that_flood)
{
	struct flow *r = storm_of(3, NULL, 1);

	for (unsigned from = 0; from < 2; from++)
		confirm_to_third(r, from, 4 * TURN_MAX);
	const size_t all = waiting_for_third(r, 0);
	for (unsigned turn = 0; turn < 2; turn++)
		gm_worker_turn(r->dp->worker[2]);
	cr_expect(eq(sz, waiting_for_third(r, 0), waiting_for_third(r, 1)));
	cr_expect(lt(sz, waiting_for_third(r, 0), all));
	flow_free(r);
}

/* ---- whom a hop wakes */

static struct worker *sender;
static unsigned wakes, wakes_unverified;

/* Of the other worker. Tokens of the turn are forgotten once their signatures are verified. */
static void on_wake(struct gm_port *port)
{
	(void)port;
	wakes++;
	wakes_unverified += sender->tokens_n > 0;
}

Test(turn, wakes_who_gets_a_hop_before_it_verifies_signatures)
{
	struct flow *r = storm_of(2, NULL, STORM);
	static struct gm_port_ops ops;

	cr_expect(eq(uint, flow_all_do(r, TOKEN | JOIN, GM_OP_JOIN), STORM));
	for (unsigned i = 0; i < STORM; i++)
		r->members[i].addr.port = (uint16_t)(r->members[i].addr.port + 1); /* half of them meet the other worker */
	ops = *r->dp->worker[0]->ops;
	ops.wake = on_wake;
	for (unsigned i = 0; i < 2; i++)
		r->dp->worker[i]->ops = &ops;
	r->env.now_ns = gm_mem_now(r->net);
	for (unsigned i = 0; i < STORM; i++)
		gm_member_plan(&r->env, &r->members[i], i % 2 ? TOKEN : GM_PLAN(GM_OP_NODE));
	gm_member_flush(&r->env);
	for (unsigned i = 0; i < 2; i++) {
		sender = r->dp->worker[i];
		wakes = wakes_unverified = 0;
		r->dp->worker[!i]->asleep = 1;
		gm_worker_turn(sender);
		cr_expect(ge(uint, wakes, 1), "worker %u", i);
		cr_expect(ge(uint, wakes_unverified, 1), "worker %u", i);
		r->dp->worker[!i]->asleep = 0;
	}
	flow_free(r);
}
