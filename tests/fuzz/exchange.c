/* SPDX-License-Identifier: Apache-2.0 */
/* A worker and the core behind it, with a member in: any datagrams from strangers, any plaintexts under the member's context, in any
 * order, blocks both ways among them, and time that passes. No nonce of the Group Manager is used twice, nothing is left in flight,
 * and the member is served at the end.
 * Input: steps of kind and length in two bytes; then so many bytes. To make a Group Manager takes longer than most inputs do: with
 * GM_FUZZ_LIVES=N in the environment it is made for N of them, each with a member of its own; what fails may have begun with one before. */
#include "insist.h"

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define STEPS 64u

enum { STRANGER, OPENLY, PROTECTED, AGAIN, TIME, KINDS };

static struct {
	uint8_t p[GM_MEM_DGRAM_MAX];
	size_t n;
} last;

static void send_as(struct flow *r, const struct gm_addr *from, const uint8_t *p, size_t n)
{
	memcpy(last.p, p, n);
	last.n = n;
	gm_mem_send(r->net, from, &r->env.server, p, n);
	flow_turn(r);
}

static void protected_(struct flow *r, struct gm_member *m, struct gm_bytes plain)
{
	struct gm_oscore_request request = {.kid = m->oscore.sid};
	struct gm_oscore_outer outer = {.code = GM_COAP_POST, .mid = m->next_mid++, .token_len = 2, .token = "fz"};
	uint8_t pkt[1400];
	struct gm_out o = gm_out(pkt, sizeof pkt);
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	request.piv_n = gm_oscore_piv(request.piv, m->seq++);
	outer.option.has_kid = true;
	outer.option.kid = (struct gm_bytes){request.kid.b, request.kid.n};
	outer.option.piv_n = request.piv_n;
	memcpy(outer.option.piv, request.piv, request.piv_n);
	if (gm_oscore_wrap(&m->oscore, &outer, &request, &request.kid, request.piv, request.piv_n, plain, &o, &scratch, &job) == GM_E_OK &&
	    gm_aead_seal_many(&job, 1) == 1)
		send_as(r, &m->addr, pkt, gm_out_len(&o));
}

static void step(struct flow *r, struct gm_member *m, uint8_t kind, struct gm_bytes b)
{
	struct gm_addr stranger;

	gm_addr_parse(&stranger, "127.9.9.9:4000");
	if (b.n > 1300)
		b.n = 1300;
	switch (kind % KINDS) {
	case STRANGER:
		send_as(r, &stranger, b.p, b.n);
		break;
	case OPENLY:
		send_as(r, &m->addr, b.p, b.n);
		break;
	case PROTECTED:
		protected_(r, m, b);
		break;
	case AGAIN:
		if (last.n)
			send_as(r, b.n & 1 ? &stranger : &m->addr, last.p, last.n);
		break;
	default:
		flow_run(r, (unsigned)(b.n % 100));
		break;
	}
}

static unsigned lives(void)
{
	const char *text = getenv("GM_FUZZ_LIVES");

	return text ? (unsigned)strtoul(text, NULL, 10) : 1;
}

/* Sender IDs that were used up by inputs before come back with the next rekey. */
static bool joins(struct flow *r, struct gm_member *m)
{
	return flow_do(r, m, JOIN) || flow_code(r, m, GM_OP_JOIN) == GM_COAP(5, 3);
}

static void live(struct flow *r, struct gm_in *in, bool first)
{
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, true);

	last.n = 0;
	insist(first ? flow_do(r, m, JOIN) : joins(r, m));
	r->mute = true; /* it does not listen to what it did not ask for */
	for (unsigned i = 0; i < STEPS && gm_in_left(in) >= 3; i++) {
		uint8_t kind = gm_in_u8(in);
		size_t n = gm_in_u16_be(in);
		step(r, m, kind, gm_in_take(in, n < gm_in_left(in) ? n : gm_in_left(in)));
	}
	flow_run(r, 50);
	insist(r->reuses == 0);
	r->mute = false;
	insist(joins(r, flow_member(r, GM_ROLE_REQUESTER, true)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct flow *r;
	static unsigned lived;
	struct gm_in in = gm_in(data, size);

	if (lived == 0)
		r = flow_new(1, NULL);
	live(r, &in, lived == 0);
	if (++lived < lives())
		return 0;
	flow_free(r);
	r = NULL;
	lived = 0;
	return 0;
}
