/* SPDX-License-Identifier: Apache-2.0 */
/* A rekeying message is in flight; what a stranger says about it from another address changes nothing. RFC 7252 §5.3.2 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define HEAD 12u /* header and a token of eight bytes */

/* The first copy of a rekeying message to m, which m never sees. */
static struct gm_coap in_flight(struct flow *r, const struct gm_member *m, struct gm_mem_dgram *d)
{
	struct gm_coap message = {0};

	cr_assert(flow_rekey(r, true) == GM_E_OK);
	r->mute = true;
	for (unsigned i = 0; i < 100; i++) {
		gm_worker_turn(r->dp->worker[0]);
		if (gm_mem_recv(r->net, &m->addr, d)) {
			cr_assert(gm_coap_decode((struct gm_bytes){d->data, d->len}, &message) == GM_E_OK);
			cr_assert(eq(u32, message.token_len, 8));
			break;
		}
		flow_turn(r);
	}
	r->mute = false;
	cr_assert(eq(u8, message.code, GM_COAP(0, 2)));
	return message;
}

/* True when m is rekeyed although a stranger said these bytes, with the Message ID and the token put in. */
static bool survives(uint8_t type, uint8_t code, const char *rest, size_t rest_n)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);
	struct gm_addr stranger;
	struct gm_mem_dgram d;
	uint8_t spoof[HEAD + 32] = {(uint8_t)(0x40 | type << 4 | (code ? 8 : 0)), code};

	gm_addr_parse(&stranger, "127.9.9.9:50000");
	cr_assert(flow_do(r, m, JOIN));
	struct gm_coap message = in_flight(r, m, &d);
	spoof[2] = (uint8_t)(message.mid >> 8);
	spoof[3] = (uint8_t)message.mid;
	memcpy(spoof + 4, message.token, 8);
	memcpy(spoof + HEAD, rest, rest_n);
	gm_mem_send(r->net, &stranger, &r->env.server, spoof, code ? HEAD + rest_n : 4);
	flow_run(r, 8000);
	bool good = flow_at_version(r, 1) == 1 && flow_status(r).confirmed == 1;
	flow_free(r);
	return good;
}

Test(spoofed, acknowledgement_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_ACK, 0, "", 0));
}

Test(spoofed, reset_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_RST, 0, "", 0));
}

Test(spoofed, error_in_an_acknowledgement_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_ACK, GM_COAP(4, 4), "", 0));
}

Test(spoofed, error_of_its_own_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_CON, GM_COAP(4, 4), "", 0));
	cr_expect(survives(GM_COAP_NON, GM_COAP(2, 4), "", 0));
}

Test(spoofed, answer_with_a_broken_oscore_option_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_NON, GM_COAP(2, 4), "\x91\xff\xff" "123456789", 12));
}

Test(spoofed, answer_that_does_not_open_does_not_end_a_delivery)
{
	cr_expect(survives(GM_COAP_ACK, GM_COAP(2, 4), "\x90\xff" "123456789", 11));
}
