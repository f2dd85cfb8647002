/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers and broken clients send gets the answer its RFC gives, or silence, and changes nothing. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

static struct gm_addr stranger(void)
{
	struct gm_addr a;

	gm_addr_parse(&a, "127.9.9.9:50000");
	return a;
}

/* Sends one datagram as a stranger; true where an answer came, decoded into m (which borrows from d). */
static bool ask(struct flow *r, const void *p, size_t n, struct gm_mem_dgram *d, struct gm_coap *m)
{
	struct gm_addr from = stranger();

	gm_mem_send(r->net, &from, &r->env.server, p, n);
	for (unsigned i = 0; i < 50; i++) {
		for (unsigned w = 0; w < r->dp->config.workers; w++)
			gm_worker_turn(r->dp->worker[w]);
		if (gm_mem_recv(r->net, &from, d))
			return gm_coap_decode((struct gm_bytes){d->data, d->len}, m) == GM_E_OK;
		flow_turn(r);
	}
	return false;
}

struct row {
	const char *what;
	const char *bytes;
	size_t n;
	int type, code; /* of the answer; -1: silence */
};
#define ROW(what, bytes, type, code) {what, bytes, sizeof(bytes) - 1, type, code}

static const struct row rows[] = {
	ROW("empty datagram", "", -1, -1),
	ROW("three bytes", "\x40\x01\x00", -1, -1),
	ROW("version 0", "\x00\x01\x12\x34", -1, -1),
	ROW("CoAP ping", "\x40\x00\x12\x34", GM_COAP_RST, 0),
	ROW("empty message with bytes behind", "\x40\x00\x12\x34\x01", GM_COAP_RST, 0),
	ROW("token length 9", "\x49\x01\x12\x34" "123456789", GM_COAP_RST, 0),
	ROW("the same as NON", "\x59\x01\x12\x34" "123456789", -1, -1),
	ROW("option delta 15", "\x40\x01\x12\x34\xf1x", GM_COAP_RST, 0),
	ROW("option cut short", "\x40\x01\x12\x34\xb9" "ace", GM_COAP_RST, 0),
	ROW("marker without payload", "\x40\x02\x12\x34\xba" "authz-info\xff", GM_COAP_RST, 0),
	ROW("class 1", "\x40\x21\x12\x34", GM_COAP_RST, 0),
	ROW("response nobody asked for", "\x40\x45\x12\x34", GM_COAP_RST, 0),
	ROW("ACK of nothing", "\x60\x00\x12\x34", -1, -1),
	ROW("RST of nothing", "\x70\x00\x12\x34", -1, -1),
	ROW("unknown path", "\x40\x01\x12\x34\xb3" "foo", GM_COAP_ACK, GM_COAP(4, 4)),
	ROW("unprotected group request", "\x40\x01\x12\x34\xb9" "ace-group\x02g1", GM_COAP_ACK, GM_COAP(4, 1)),
	ROW("GET authz-info", "\x40\x01\x12\x34\xba" "authz-info", GM_COAP_ACK, GM_COAP(4, 5)),
	ROW("token that is no CBOR", "\x40\x02\x12\x34\xba" "authz-info\xff\xff\xff", GM_COAP_ACK, GM_COAP(4, 0)),
	ROW("token map without token", "\x40\x02\x12\x35\xba" "authz-info\xff\xa0", GM_COAP_ACK, GM_COAP(4, 0)),
	ROW("unknown critical option", "\x40\x01\x12\x34\xb3" "foo\xd1\x01x", GM_COAP_ACK, GM_COAP(4, 2)),
	ROW("OSCORE with an unknown kid", "\x40\x02\x12\x34\x96\x09\x00\x00\x00\x00\x07\xff" "123456789", GM_COAP_ACK, GM_COAP(4, 1)),
	ROW("OSCORE with a long kid", "\x40\x02\x12\x34\x98\x09\x00" "123456\xff" "123456789", GM_COAP_ACK, GM_COAP(4, 1)),
	ROW("OSCORE of nothing", "\x40\x02\x12\x34\x90", GM_COAP_ACK, GM_COAP(4, 2)),
	ROW("OSCORE without kid", "\x40\x02\x12\x34\x92\x01\x00\xff" "123456789", GM_COAP_ACK, GM_COAP(4, 2)),
	ROW("OSCORE with reserved bits", "\x40\x02\x12\x34\x92\x89\x00\xff" "123456789", GM_COAP_ACK, GM_COAP(4, 2)),
};

Test(bad_input, gets_the_answer_of_its_rfc_and_changes_nothing)
{
	struct flow *r = flow_new(2, NULL);
	struct gm_mem_dgram d;
	struct gm_coap m;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool answered = ask(r, rows[i].bytes, rows[i].n, &d, &m);
		cr_expect(answered == (rows[i].type >= 0), "%s", rows[i].what);
		if (!answered || rows[i].type < 0)
			continue;
		cr_expect(m.type == rows[i].type && m.code == rows[i].code, "%s: type %u code %u.%02u", rows[i].what, m.type,
		          m.code >> 5, m.code & 31u);
		cr_expect(m.mid == (uint16_t)((uint8_t)rows[i].bytes[2] << 8 | (uint8_t)rows[i].bytes[3]), "%s", rows[i].what);
	}
	struct gm_core_status s = flow_status(r);
	cr_assert(eq(u32, s.contexts, 0));
	cr_assert(eq(u32, s.members, 0));
	flow_free(r);
}

Test(bad_input, an_answer_is_never_more_than_three_times_as_long_for_a_stranger_without_a_token)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mem_dgram d;
	struct gm_coap m;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (ask(r, rows[i].bytes, rows[i].n, &d, &m))
			cr_expect(d.len <= 3 * rows[i].n, "%s: %zu for %zu", rows[i].what, (size_t)d.len, rows[i].n);
	flow_free(r);
}

/* The request that a member sent last, captured on the wire, and sent again by somebody else. */
static struct {
	uint8_t bytes[1500];
	size_t n;
	struct gm_addr from;
} last;

static void (*send_on)(void *, struct gm_member *, const struct gm_addr *, const uint8_t *, size_t);

static void send_and_capture(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	if (p[1] && p[1] >> 5 == 0) {
		memcpy(last.bytes, p, n);
		last.n = n;
		last.from = m->addr;
	}
	send_on(arg, m, to, p, n);
}

Test(replay, of_an_old_request_from_elsewhere_is_refused_and_does_not_move_the_member)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	struct gm_mem_dgram d;
	struct gm_coap answer;

	send_on = r->env.send;
	r->env.send = send_and_capture;
	cr_assert(flow_do(r, m, JOIN));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_GROUP)));
	cr_assert(ask(r, last.bytes, last.n, &d, &answer));
	cr_assert(eq(u8, answer.code, GM_COAP(4, 1)));
	cr_assert(not(answer.has_oscore));
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 100);
	cr_assert(eq(u64, m->keys.version, 1), "the rekeying message still goes to the member");
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

Test(repeat, of_the_last_join_gets_the_same_bytes_and_joins_once)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	struct gm_mem_dgram first, second;

	send_on = r->env.send;
	r->env.send = send_and_capture;
	cr_assert(flow_do(r, m, JOIN));
	for (unsigned k = 0; k < 2; k++) {
		gm_mem_send(r->net, &last.from, &r->env.server, last.bytes, last.n);
		gm_worker_turn(r->dp->worker[0]);
		gm_mem_step(r->net, 1000000);
		cr_assert(gm_mem_recv(r->net, &last.from, k ? &second : &first));
	}
	cr_assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	cr_assert(eq(u32, flow_status(r).members, 1));
	cr_assert(eq(u64, flow_status(r).rejoins, 0));
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* A Join that waits for the end of a rekey's window, for which core takes its time: an empty ACK promises a response. The member and its Join, that is
 * on its way, in last. */
static struct gm_member *join_slowly(struct flow *r)
{
	uint16_t g = flow_group(r, GM_BACKWARD_WINDOW);
	struct gm_member *first = flow_member_in(r, g, GM_ROLE_RESPONDER, true), *m = flow_member_in(r, g, GM_ROLE_RESPONDER, true);

	cr_assert(flow_do(r, first, JOIN));
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	send_on = r->env.send;
	r->env.send = send_and_capture;
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_JOIN));
	gm_member_flush(&r->env);
	return m;
}

static bool repeat_last(struct flow *r, struct gm_mem_dgram *answer)
{
	gm_mem_send(r->net, &last.from, &r->env.server, last.bytes, last.n);
	gm_worker_turn(r->dp->worker[0]);
	gm_mem_step(r->net, 1000000);
	return gm_mem_recv(r->net, &last.from, answer);
}

static void end_joined(struct flow *r, unsigned members)
{
	cr_assert(eq(u32, flow_status(r).members, members));
	cr_assert(eq(u32, r->reuses, 0));
	flow_free(r);
}

/* RFC 7252 §4.5, §5.2.2 */
Test(repeat, of_a_request_that_was_answered_apart_gets_its_empty_ack_again)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = join_slowly(r);
	struct gm_mem_dgram d;

	flow_run(r, 5000);
	cr_assert(ge(u64, r->env.stats.separate, 1));
	for (unsigned k = 0; k < 2; k++) {
		cr_assert(repeat_last(r, &d), "a repeat is met by silence");
		cr_expect(eq(u64, d.len, 4));
		cr_expect(d.data[0] == 0x60 && d.data[1] == 0 && memcmp(d.data + 2, last.bytes + 2, 2) == 0);
		cr_expect(not(gm_mem_recv(r->net, &last.from, &d)), "and nothing more comes");
	}
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	cr_assert(repeat_last(r, &d));
	cr_expect(gt(u64, d.len, 4), "the next one was answered at once, and so is its repeat");
	end_joined(r, 2);
}

/* The answer that came apart was given up: an empty ACK would have the client wait for it for ever. */
Test(repeat, of_a_request_whose_answer_was_never_acknowledged_is_promised_nothing)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mem_dgram d;

	join_slowly(r);
	r->mute = true;
	flow_run(r, 150000);
	r->mute = false;
	cr_expect(not(repeat_last(r, &d)));
	end_joined(r, 2);
}

/* No buffer is free when the answer is to go: it is lost, and nobody sends it again. */
Test(repeat, of_a_request_whose_answer_found_no_room_is_promised_nothing)
{
	struct flow *r = flow_new(1, NULL);
	struct worker *w = r->dp->worker[0];
	struct gm_dgram all[4096], d;
	struct gm_mem_dgram answer;
	unsigned n;

	join_slowly(r);
	flow_run(r, 700);
	cr_assert(repeat_last(r, &answer), "by now it is promised");
	cr_expect(eq(u64, answer.len, 4));
	n = w->ops->tx_get(w->port, all, 4096);
	cr_assert(lt(u32, n, 4096));
	cr_assert(eq(u32, w->ops->tx_get(w->port, &d, 1), 0));
	flow_run(r, 1500);
	w->ops->tx_put(w->port, all, n);
	cr_expect(not(repeat_last(r, &answer)));
	end_joined(r, 2);
}

Test(truncation, of_a_members_request_at_every_length_is_never_taken)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	struct gm_mem_dgram d;
	struct gm_coap answer;
	uint8_t join[1500];

	send_on = r->env.send;
	r->env.send = send_and_capture;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN)));
	gm_member_plan(&r->env, m, GM_PLAN(GM_OP_JOIN));
	gm_member_flush(&r->env); /* its Join is on the wire, undelivered as no turn is made */
	memcpy(join, last.bytes, last.n);
	for (size_t n = 0; n < last.n; n++)
		if (ask(r, join, n, &d, &answer))
			cr_assert(answer.code >> 5 != 2);
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_NODE)));
	cr_assert(eq(u32, flow_status(r).members, 1));
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);
	flow_free(r);
}
