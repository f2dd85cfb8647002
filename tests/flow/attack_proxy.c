/* SPDX-License-Identifier: Apache-2.0 */
/* A Group Manager is no proxy, and says so with the code that was made for it. RFC 7252 §5.10.2 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

/* The code of the answer to a stranger's request; 0: none came. */
static uint8_t answer_to(const void *p, size_t n)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_mem_dgram d;
	struct gm_coap m = {0};
	struct gm_addr stranger;

	gm_addr_parse(&stranger, "127.9.9.9:50000");
	flow_run(r, 10);
	gm_mem_send(r->net, &stranger, &r->env.server, p, n);
	for (unsigned i = 0; i < 50 && !m.code; i++) {
		gm_worker_turn(r->dp->worker[0]);
		if (gm_mem_recv(r->net, &stranger, &d))
			cr_assert(gm_coap_decode((struct gm_bytes){d.data, d.len}, &m) == GM_E_OK);
		else
			flow_turn(r);
	}
	flow_free(r);
	return m.code;
}

Test(proxying, by_proxy_uri_is_not_supported)
{
	static const char get[] = "\x40\x01\x12\x34\xdb\x16" "coap://a/bc";

	cr_expect(eq(u8, answer_to(get, sizeof get - 1), GM_COAP(5, 5)));
}

Test(proxying, by_proxy_scheme_is_not_supported)
{
	static const char get[] = "\x40\x01\x12\x34\xd4\x1a" "coap";

	cr_expect(eq(u8, answer_to(get, sizeof get - 1), GM_COAP(5, 5)));
}
