/* SPDX-License-Identifier: Apache-2.0 */
/* What a replaying network must not bring about: two texts under one nonce, or texts under a key that has been wiped. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

/* The latest datagram of the member that is listened to, and every one of them passed on. */
static struct {
	struct flow *r;
	uint32_t index;
	struct gm_addr to;
	uint8_t p[2048];
	size_t n;
} heard;

static void listen_and_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct flow *r = arg;

	if (m->index == heard.index) {
		memcpy(heard.p, p, n);
		heard.n = n;
		heard.to = *to;
	}
	gm_mem_send(r->net, &m->addr, to, p, n);
}

static void listen_to(struct flow *r, const struct gm_member *m)
{
	heard.r = r;
	heard.index = m->index;
	r->env.send = listen_and_send;
}

static void replay(struct flow *r, const struct gm_member *m, const uint8_t *p, size_t n)
{
	gm_mem_send(r->net, &m->addr, &heard.to, p, n);
	r->mute = true;
	flow_run(r, 20);
	r->mute = false;
}

/* RFC 8613 App. B.1.2: the number of the request that shows freshness is the lower end of the window. */
Test(restart, takes_no_request_older_than_the_one_that_showed_freshness)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	uint8_t old[2048];

	cr_assert(flow_do(r, m, JOIN));
	listen_to(r, m);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)));
	memcpy(old, heard.p, heard.n);
	size_t n = heard.n;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 4000);
	flow_restart(r, 1);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	cr_assert(eq(u64, r->env.stats.echoes, 1));
	uint64_t reads = r->dp->worker[0]->stats.reads_local;
	replay(r, m, old, n);
	cr_expect(eq(u32, r->reuses, 0), "a nonce of before the restart protects another text");
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local, reads));
	flow_free(r);
}

Test(restart, lets_no_old_leave_end_a_membership)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	uint8_t old[2048];

	cr_assert(flow_do(r, m, JOIN));
	listen_to(r, m);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_JOIN))); /* to be said again by somebody else */
	memcpy(old, heard.p, heard.n);
	size_t n = heard.n;
	flow_restart(r, 1);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	uint64_t rejoins = flow_status(r).rejoins;
	replay(r, m, old, n);
	cr_expect(eq(u64, flow_status(r).rejoins, rejoins), "a replayed Join was carried out");
	flow_free(r);
}

Test(blocks, whose_body_is_gone_are_refused_under_a_nonce_of_our_own)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m;

	for (unsigned i = 0; i < 40; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, true), JOIN));
	m = flow_member(r, GM_ROLE_REQUESTER, true);
	m->want_creds = true;
	listen_to(r, m);
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(ge(u64, r->env.stats.blocks, 2));
	flow_run(r, 61000);
	replay(r, m, heard.p, heard.n);
	cr_expect(eq(u32, r->reuses, 0), "4.08 under the nonce of the block that was sent before");
	flow_free(r);
}

/* An answer and the end of its context in one turn. */
Test(eviction, in_the_turn_of_an_answer_does_not_seal_it_with_a_wiped_key)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, false);
	struct gm_mem_dgram d;
	unsigned evicted;
	bool open = false;

	cr_assert(flow_do(r, m, JOIN)); /* neither control_uri nor observing: no notice */
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_CREDS));
	struct gm_oscore_request request = m->ex.request;
	flow_turn(r); /* core has decided */
	cr_assert(flow_evict(r, m->node, &evicted) == GM_E_OK);
	gm_worker_turn(r->dp->worker[0]);
	while (gm_mem_recv(r->net, &m->addr, &d)) {
		static const uint8_t zero[GM_CCM_KEY];
		struct gm_oscore_keys keys = m->oscore;
		struct gm_oscore_option option;
		struct gm_oscore_scratch scratch;
		struct gm_aead_job job;
		struct gm_coap c;
		uint8_t text[2048];
		memcpy(keys.recv_key, zero, sizeof zero);
		if (gm_coap_decode((struct gm_bytes){d.data, d.len}, &c) != GM_E_OK || !c.has_oscore ||
		    gm_oscore_option_decode(c.oscore, &option) != GM_E_OK ||
		    gm_oscore_unwrap(&keys, c.payload, &option, &request, false, text, sizeof text, &scratch, &job) != GM_E_OK)
			continue;
		open |= gm_aead_open_many(&job, 1) == 1;
	}
	cr_expect(not(open), "the answer can be read with a key of zeros");
	flow_free(r);
}

/* RFC 7252 §4.5: a repeat is one within EXCHANGE_LIFETIME; later it is a replay. RFC 8613 §7.4 */
Test(repeat, of_a_read_after_the_exchange_lifetime_is_a_replay)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, m, JOIN));
	listen_to(r, m);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)));
	flow_run(r, 260000);
	uint64_t reads = r->dp->worker[0]->stats.reads_local;
	replay(r, m, heard.p, heard.n);
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local, reads));
	flow_free(r);
}

/* The token is readable on the wire and not fresh: whoever heard it may post it. */
Test(token, that_a_stranger_posts_again_does_not_lock_its_owner_out)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	struct gm_addr stranger;

	listen_to(r, m);
	cr_assert(flow_do(r, m, JOIN & ~GM_PLAN(GM_OP_JOIN)));
	flow_run(r, 61000);
	gm_addr_parse(&stranger, "127.9.9.9:4000");
	for (unsigned i = 0; i < 4; i++) {
		heard.p[3]++; /* another Message ID */
		gm_mem_send(r->net, &stranger, &heard.to, heard.p, heard.n);
		flow_run(r, 2);
	}
	cr_expect(flow_do(r, m, JOIN), "the owner is told %02x", flow_code(r, m, GM_OP_TOKEN));
	flow_free(r);
}
