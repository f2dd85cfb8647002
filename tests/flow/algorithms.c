/* SPDX-License-Identifier: Apache-2.0 */
/* Associations under every AEAD and both HKDFs that a token may name, alone and mixed in one group. RFC 9203 §3.2.1 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "rows_ask.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define JOIN_OBSERVE (JOIN | GM_PLAN(GM_OP_OBSERVE))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const int32_t algs[] = {1, 2, 3, 10, 11, 24, 30, 31};
static const int32_t hkdfs[] = {5, 7};

static struct gm_member *join(struct flow *r, uint8_t roles, bool post, int32_t alg, int32_t hkdf)
{
	struct gm_member *m = flow_member_osc(r, roles, post, alg, hkdf);

	cr_assert(flow_do(r, m, post ? JOIN : JOIN_OBSERVE), "algorithm %d/%d: token %02x join %02x", alg, hkdf,
	          flow_code(r, m, GM_OP_TOKEN), flow_code(r, m, GM_OP_JOIN));
	cr_assert(eq(u8, m->oscore.alg, (uint8_t)alg));
	return m;
}

static void live(int32_t alg, int32_t hkdf)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_member *post = join(r, GM_ROLE_REQUESTER, true, alg, hkdf), *obs = join(r, GM_ROLE_RESPONDER, false, alg, hkdf);

	cr_assert(flow_do(r, post, GM_PLAN(GM_OP_GROUP) | GM_PLAN(GM_OP_NODE)));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u32, flow_at_version(r, 1), 2), "algorithm %d/%d", alg, hkdf);
	flow_restart(r, 1);
	cr_assert(flow_do(r, post, GM_PLAN(GM_OP_NODE)), "algorithm %d/%d", alg, hkdf);
	cr_assert(eq(u64, r->env.stats.echoes, 1));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 6000);
	cr_assert(eq(u32, flow_at_version(r, 2), 2), "algorithm %d/%d after a stop", alg, hkdf);
	cr_assert(flow_do(r, obs, GM_PLAN(GM_OP_LEAVE)));
	cr_assert(eq(u32, r->contexts, 2), "no token was posted again");
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(associations, under_each_algorithm_join_are_rekeyed_both_ways_and_outlive_a_stop)
{
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		for (size_t k = 0; k < COUNT_OF(hkdfs); k++)
			live(algs[i], hkdfs[k]);
}

static void join_mixed(struct flow *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		join(r, GM_ROLE_RESPONDER, i % 3, algs[i % COUNT_OF(algs)], hkdfs[i / 3 % 2]);
}

/* Losses make members ask and gmd send again: all that comes again has to be the same bytes, or reuses counts it. */
Test(associations, of_all_algorithms_in_one_group_live_under_loss_and_across_stops)
{
	struct gm_mem_faults faults = {.loss = 80000, .dup = 80000, .delay_ns = 1000000, .jitter_ns = 5000000};
	struct flow *r = flow_new(2, &faults);

	join_mixed(r, 48);
	for (unsigned round = 1; round < 4; round++) {
		cr_assert(flow_rekey(r, false) == GM_E_OK);
		flow_run(r, 70000);
		for (unsigned i = 0; i < 48; i++) /* those whose message was lost each time read */
			cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_NODE)), "member %u round %u", i, round);
		cr_assert(eq(u32, flow_at_version(r, round), 48));
		cr_assert(ge(u64, flow_status(r).confirmed, 1), "which nobody counts across a stop");
		flow_restart(r, 1 + round % 3);
	}
	cr_assert(ge(u64, r->env.stats.echoes, 1));
	cr_assert(ge(u64, r->env.stats.retransmitted, 1));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(associations, of_all_algorithms_fetch_long_answers_and_get_long_rekeys_by_blocks)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_group_info info;

	join_mixed(r, 48);
	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		uint64_t before = r->env.stats.blocks;
		struct gm_member *m = flow_member_osc(r, GM_ROLE_REQUESTER, i % 2, algs[i], 5);
		m->want_creds = true;
		cr_assert(flow_do(r, m, i % 2 ? JOIN : JOIN_OBSERVE));
		cr_assert(eq(u32, m->peers_n, 48), "algorithm %d", algs[i]);
		cr_assert(ge(u64, r->env.stats.blocks, before + 2), "algorithm %d", algs[i]);
	}
	for (unsigned i = 0; i < 500; i++) /* stale Sender IDs make the rekeying message long */
		cr_assert(flow_do(r, &r->members[i % 48], GM_PLAN(GM_OP_JOIN)));
	flow_info(r, &info);
	cr_assert(ge(u32, info.stale_now, 401));
	uint64_t version = info.version;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 60000);
	cr_assert(eq(u32, flow_at_version(r, version + 1), 56));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(associations, under_algorithms_that_are_unknown_or_leave_no_room_for_ids_are_refused_with_4_00)
{
	static const struct {
		int32_t alg, hkdf;
	} refused[] = {{12, 5}, {13, 5}, {32, 5}, {33, 7}, {4, 5},  {14, 5},  {34, 5},  {-65534, 5},
	               {-8, 5}, {266, 5}, {10, 6}, {10, 4}, {10, 8}, {10, -10}, {24, -11}, {10, 261}};
	struct flow *r = flow_new(1, NULL);

	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct gm_member *m = flow_member_osc(r, GM_ROLE_REQUESTER, true, refused[i].alg, refused[i].hkdf);
		cr_expect(not(flow_do(r, m, GM_PLAN(GM_OP_TOKEN))));
		cr_expect(eq(u8, flow_code(r, m, GM_OP_TOKEN), GM_COAP(4, 0)), "%d/%d", refused[i].alg, refused[i].hkdf);
	}
	cr_expect(eq(u64, r->dp->worker[0]->stats.contexts_pending, 0), "nothing was made");
	cr_expect(eq(u64, r->dp->worker[0]->stats.token_bad, COUNT_OF(refused)));
	flow_free(r);
}

static uint8_t post_with_id(struct flow *r, int32_t alg, const char *id1, struct reply *a)
{
	struct gm_member *m = flow_member_osc(r, GM_ROLE_REQUESTER, true, alg, 5);
	uint8_t body[900];
	struct gm_out o = gm_out(body, sizeof body);

	gm_cbor_put_map(&o, 3);
	gm_cbor_put_uint(&o, 1);
	gm_cbor_put_bstr(&o, m->token, m->token_n);
	gm_cbor_put_uint(&o, 40);
	gm_cbor_put_bstr(&o, "12345678", 8);
	gm_cbor_put_uint(&o, 43);
	gm_cbor_put_bstr(&o, id1, strlen(id1));
	cr_assert(ask_openly(r, m, &(struct asking){.method = GM_COAP_POST, .path = "/authz-info", .format = GM_CF_ACE, .payload = gm_out_result(&o)}, a));
	return a->inner.code;
}

Test(associations, take_client_ids_as_long_as_the_nonce_of_the_algorithm_lets_them_be)
{
	struct flow *r = flow_new(1, NULL);
	struct reply a;

	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		bool wide = gm_aead_info(algs[i])->nonce_len == 13;
		cr_expect(eq(u8, post_with_id(r, algs[i], "abcdef", &a), GM_COAP(2, 1)), "algorithm %d", algs[i]);
		cr_expect(eq(u8, post_with_id(r, algs[i], "abcdefg", &a), wide ? GM_COAP(2, 1) : GM_COAP(4, 0)), "algorithm %d", algs[i]);
		cr_expect(eq(u8, post_with_id(r, algs[i], "abcdefgh", &a), GM_COAP(4, 0)), "algorithm %d", algs[i]);
	}
	flow_free(r);
}
