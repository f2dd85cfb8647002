/* SPDX-License-Identifier: Apache-2.0 */
/* A protected request or response under a known context: what was sealed opens to the same, with one bit changed in what the tag
 * covers it does not, and other bytes are taken apart without harm.
 * Input: kind, place and mask of a change, then the datagram itself (kind 0) or the text to be sealed. */
#include "insist.h"

#include "wire/oscore.h"

static struct gm_oscore_keys server, client;

static void start(void)
{
	struct gm_bytes ms = {(const uint8_t *)"sixteen secret b", 16}, a = {(const uint8_t *)"abcd", 4}, b = {(const uint8_t *)"id", 2};
	struct gm_oscore_input in = {.ms = ms, .sid = b, .rid = a};

	insist(gm_crypto_init() && gm_oscore_derive(&server, &in) == GM_E_OK);
	in.sid = a;
	in.rid = b;
	insist(gm_oscore_derive(&client, &in) == GM_E_OK);
}

/* The plaintext in text; false: it does not open. */
static bool open_it(struct gm_bytes datagram, bool is_request, struct gm_oscore_request *request, uint8_t *text, size_t *n)
{
	struct gm_coap m;
	struct gm_oscore_option option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	const struct gm_oscore_keys *keys = is_request ? &server : &client;

	if (gm_coap_decode(datagram, &m) != GM_E_OK || !m.has_oscore || gm_oscore_option_decode(m.oscore, &option) != GM_E_OK)
		return false;
	if (is_request) {
		*request = (struct gm_oscore_request){.kid = server.rid, .piv_n = option.piv_n};
		memcpy(request->piv, option.piv, sizeof request->piv);
	}
	if (gm_oscore_unwrap(keys, m.payload, &option, request, is_request, text, datagram.n, &scratch, &job) != GM_E_OK ||
	    gm_aead_open_many(&job, 1) != 1)
		return false;
	*n = job.text_len;
	struct gm_coap inner;
	(void)!gm_coap_decode_inner((struct gm_bytes){text, *n}, &inner);
	return true;
}

static size_t seal(bool is_request, struct gm_bytes plain, struct gm_oscore_request *request, uint8_t *pkt, size_t cap)
{
	const struct gm_oscore_keys *keys = is_request ? &client : &server;
	struct gm_oscore_outer outer = {.code = is_request ? GM_COAP_POST : GM_COAP(2, 4), .token_len = 2, .token = "tk"};
	struct gm_out o = gm_out(pkt, cap);
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	*request = (struct gm_oscore_request){.kid = client.sid};
	request->piv_n = gm_oscore_piv(request->piv, 300);
	if (is_request) {
		outer.option.has_kid = true;
		outer.option.kid = (struct gm_bytes){client.sid.b, client.sid.n};
		outer.option.piv_n = gm_oscore_piv(outer.option.piv, 300);
	}
	insist(gm_oscore_wrap(keys, &outer, request, &request->kid, request->piv, request->piv_n, plain, &o, &scratch, &job) == GM_E_OK);
	insist(gm_aead_seal_many(&job, 1) == 1);
	return gm_out_len(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	static uint8_t pkt[4096], text[4096];
	struct gm_oscore_request request = {0};
	size_t n, text_n;

	if (!started)
		start();
	started = true;
	if (size < 5 || size > 2048) /* a text has a code at least */
		return 0;
	bool is_request = data[0] & 2;
	struct gm_bytes rest = {data + 4, size - 4};
	if (!(data[0] & 1)) {
		request = (struct gm_oscore_request){.kid = client.sid, .piv_n = 1};
		open_it(rest, is_request, &request, text, &text_n);
		return 0;
	}
	n = seal(is_request, rest, &request, pkt, sizeof pkt);
	size_t sealed_n = rest.n + 8, at = (size_t)(data[1] << 8 | data[2]) % n;
	pkt[at] ^= data[3];
	bool good = open_it((struct gm_bytes){pkt, n}, is_request, &request, text, &text_n);
	if (data[3] && at >= n - sealed_n)
		insist(!good);
	if (!data[3])
		insist(good && text_n == rest.n && (!rest.n || memcmp(text, rest.p, rest.n) == 0));
	return 0;
}
