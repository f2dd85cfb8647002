/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic recorded on other implementations: every OSCORE frame opens and decodes. */
#include <criterion/criterion.h>

#include "wire/oscore.h"
#include "vectors.h"

#define FRAME_MAX 2048u
#define REQUESTS_MAX 64u

static struct gm_bytes bytes(const uint8_t *p, size_t n)
{
	return (struct gm_bytes){p, n};
}

/* ---- a listener who knows the keys of both sides */

struct seen_request {
	uint16_t mid;
	bool observe, fresh;
	struct gm_oscore_request request;
};

struct tap {
	struct gm_oscore_keys client, server;
	struct seen_request requests[REQUESTS_MAX];
	unsigned requests_n, opened, refused;
	struct gm_oscore_window window; /* of the server */

	struct gm_coap outer, inner; /* the last frame */
	uint8_t text[FRAME_MAX];
};

static void tap_init(struct tap *tap, const struct gm_oscore_input *client)
{
	struct gm_oscore_input server = *client;
	server.sid = client->rid;
	server.rid = client->sid;
	*tap = (struct tap){0};
	cr_assert(gm_crypto_init());
	cr_assert_eq(gm_oscore_derive(&tap->client, client), GM_E_OK);
	cr_assert_eq(gm_oscore_derive(&tap->server, &server), GM_E_OK);
}

static void note_request(struct tap *tap, const struct gm_oscore_option *option)
{
	cr_assert_lt(tap->requests_n, REQUESTS_MAX);
	struct seen_request *r = &tap->requests[tap->requests_n++];
	*r = (struct seen_request){.mid = tap->outer.mid, .observe = tap->outer.has_observe};
	cr_assert(gm_bytes_eq(option->kid, bytes(tap->server.rid.b, tap->server.rid.n)));
	r->fresh = gm_oscore_window_fresh(&tap->window, gm_oscore_piv_seq(option->piv, option->piv_n));
	gm_oscore_window_accept(&tap->window, gm_oscore_piv_seq(option->piv, option->piv_n));
	r->request.kid = tap->server.rid;
	r->request.piv_n = option->piv_n;
	memcpy(r->request.piv, option->piv, option->piv_n);
}

/* An ACK has the message ID of its request; a notification belongs to the first observing request. */
static const struct gm_oscore_request *request_of_response(const struct tap *tap)
{
	for (unsigned i = 0; i < tap->requests_n; i++) {
		const struct seen_request *r = &tap->requests[i];
		if (tap->outer.type == GM_COAP_ACK ? r->mid == tap->outer.mid : r->observe)
			return &r->request;
	}
	cr_assert_fail("no request for message %04x", tap->outer.mid);
	return NULL;
}

/* true: was protected and opened; false: not protected, or the tag is bad */
static bool tap_frame(struct tap *tap, struct gm_bytes datagram, bool from_client)
{
	struct gm_oscore_option option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	cr_assert_eq(gm_coap_decode(datagram, &tap->outer), GM_E_OK);
	cr_assert_eq(tap->outer.unknown_critical, 0);
	if (!tap->outer.has_oscore)
		return false;
	cr_assert_eq(gm_oscore_option_decode(tap->outer.oscore, &option), GM_E_OK);
	if (from_client)
		note_request(tap, &option);
	const struct gm_oscore_request *request =
	    from_client ? &tap->requests[tap->requests_n - 1].request : request_of_response(tap);
	cr_assert_eq(gm_oscore_unwrap(from_client ? &tap->server : &tap->client, tap->outer.payload, &option, request,
	                              from_client, tap->text, sizeof(tap->text), &scratch, &job),
	             GM_E_OK);
	if (gm_aead_open_many(&job, 1) != 1) {
		tap->refused++;
		return false;
	}
	cr_assert_eq(gm_coap_decode_inner(bytes(tap->text, job.text_len), &tap->inner), GM_E_OK);
	cr_assert_eq(tap->inner.unknown_critical, 0);
	tap->opened++;
	return true;
}

/* ---- a join at the Group Manager of RISE */

struct rise {
	json_t *facts;
	struct tap tap;
	uint8_t salt[64];
	size_t salt_n;
};

static void rise_context(struct rise *rise)
{
	uint8_t ms[32], input_salt[32], n1[32], n2[32], id1[8], id2[8];
	const json_t *facts = rise->facts;
	struct gm_out salt = gm_out(rise->salt, sizeof(rise->salt));
	gm_oscore_ace_salt(&salt,
	                   bytes(input_salt, gm_vectors_get(input_salt, sizeof(input_salt), facts, "input_salt")),
	                   false, bytes(n1, gm_vectors_get(n1, sizeof(n1), facts, "n1")),
	                   bytes(n2, gm_vectors_get(n2, sizeof(n2), facts, "n2")));
	struct gm_oscore_input client = {
	    .ms = bytes(ms, gm_vectors_get(ms, sizeof(ms), facts, "ms")),
	    .salt = gm_out_result(&salt),
	    .sid = bytes(id2, gm_vectors_get(id2, sizeof(id2), facts, "id2")), /* each side names its own inbox */
	    .rid = bytes(id1, gm_vectors_get(id1, sizeof(id1), facts, "id1")),
	};
	rise->salt_n = gm_out_len(&salt);
	tap_init(&rise->tap, &client);
}

static void rise_open(struct rise *rise)
{
	rise->facts = gm_vectors_load("peers/rise-gm-join.json");
	rise_context(rise);
}

static void expect_hex(const json_t *object, const char *key, const void *got, size_t n)
{
	uint8_t want[FRAME_MAX];
	size_t want_n = gm_vectors_get(want, sizeof(want), object, key);
	cr_expect(gm_bytes_eq(bytes(want, want_n), bytes(got, n)), "%s", key);
}

Test(peers, derives_the_keys_that_rise_derived)
{
	struct rise rise;
	rise_open(&rise);
	expect_hex(rise.facts, "master_salt", rise.salt, rise.salt_n);
	expect_hex(rise.facts, "oscore_sender_key_client", rise.tap.client.send_key, GM_CCM_KEY);
	expect_hex(rise.facts, "oscore_recipient_key_client", rise.tap.client.recv_key, GM_CCM_KEY);
	expect_hex(rise.facts, "common_iv", rise.tap.client.common_iv, GM_CCM_NONCE);
	json_decref(rise.facts);
}

static uint8_t method_code(const char *name)
{
	static const char *const names[] = {"EMPTY", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"};
	for (uint8_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	cr_assert_fail("method %s", name);
	return 0;
}

static void expect_path(const struct gm_coap *msg, const char *path)
{
	char got[256] = "";
	for (unsigned i = 0; i < msg->path_n; i++) {
		strcat(got, "/");
		strncat(got, (const char *)msg->path[i].p, msg->path[i].n);
	}
	cr_expect_str_eq(got, path);
}

static void expect_request(const struct gm_coap *msg, const json_t *step)
{
	cr_expect_eq(msg->code, method_code(json_string_value(json_object_get(step, "method"))));
	expect_path(msg, json_string_value(json_object_get(step, "path")));
	expect_hex(step, "request_payload", msg->payload.p, msg->payload.n);
}

static void expect_response(const struct gm_coap *msg, const json_t *step)
{
	unsigned class, detail;
	cr_assert_eq(sscanf(json_string_value(json_object_get(step, "code")), "%u.%u", &class, &detail), 2);
	cr_expect_eq(msg->code, GM_COAP(class, detail));
	const json_t *format = json_object_get(step, "content_format");
	cr_expect_eq(msg->content_format, json_is_null(format) ? GM_CF_NONE : json_integer_value(format));
	expect_hex(step, "payload", msg->payload.p, msg->payload.n);
}

#define COAP_PORT 5683

Test(peers, opens_every_frame_of_a_join_at_rise)
{
	struct rise rise;
	rise_open(&rise);
	FILE *wire = gm_vectors_open("peers/rise-gm-join.wire.jsonl");
	const json_t *steps = json_object_get(rise.facts, "steps");
	unsigned frames = 0;

	for (json_t *row; (row = gm_vectors_next(wire)); json_decref(row)) {
		uint8_t b[FRAME_MAX];
		size_t n = gm_vectors_get(b, sizeof(b), row, "hex");
		bool from_client = json_integer_value(json_object_get(row, "dst")) == COAP_PORT;
		frames++;
		if (!tap_frame(&rise.tap, bytes(b, n), from_client))
			continue;

		/* the join comes first, then the steps */
		unsigned exchange = rise.tap.requests_n - 1;
		const struct gm_coap *msg = &rise.tap.inner;
		if (exchange == 0 && from_client) {
			cr_expect_eq(msg->code, GM_COAP_POST);
			expect_path(msg, "/ace-group/feedca570000");
			cr_expect_eq(msg->content_format, GM_CF_GROUPCOMM);
		} else if (exchange == 0) {
			cr_expect_eq(msg->code, GM_COAP(2, 1));
			expect_hex(rise.facts, "join_response", msg->payload.p, msg->payload.n);
		} else if (from_client) {
			expect_request(msg, json_array_get(steps, exchange - 1));
		} else {
			expect_response(msg, json_array_get(steps, exchange - 1));
		}
	}
	cr_expect_eq(frames, 38);
	cr_expect_eq(rise.tap.opened, 32);
	cr_expect_eq(rise.tap.refused, 0);
	fclose(wire);
	json_decref(rise.facts);
}

/* ---- libcoap's client at aiocoap's server */

struct setting { /* one line of the client's configuration: name,encoding,"value" */
	const char *name;
	uint8_t b[64];
	struct gm_bytes v;
};

static void read_settings(struct setting *settings, unsigned n)
{
	FILE *file = gm_vectors_open("peers/oscore/context-client.conf");
	char line[256], name[32], encoding[16], value[128];
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%31[^,],%15[^,],\"%127[^\"]\"", name, encoding, value) != 3)
			continue;
		for (unsigned i = 0; i < n; i++) {
			struct setting *s = &settings[i];
			if (strcmp(name, s->name) != 0)
				continue;
			if (strcmp(encoding, "hex") == 0)
				s->v = bytes(s->b, gm_hex(s->b, sizeof(s->b), value));
			else
				s->v = bytes(memcpy(s->b, value, strlen(value)), strlen(value));
		}
	}
	fclose(file);
}

static uint32_t u32_le(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Next UDP datagram of a pcapng file of Ethernet and IPv4; b holds the block. false at the end. */
static bool next_datagram(FILE *file, uint8_t b[static FRAME_MAX], struct gm_bytes *datagram, unsigned *dst_port)
{
	enum { HEAD = 8, ENHANCED_PACKET = 6, PACKET_AT = 20, ETHERNET = 14, UDP = 8 };
	uint8_t head[HEAD];
	while (fread(head, 1, HEAD, file) == HEAD) {
		uint32_t body = u32_le(head + 4) - HEAD;
		cr_assert(body <= FRAME_MAX && fread(b, 1, body, file) == body);
		if (u32_le(head) != ENHANCED_PACKET)
			continue;
		const uint8_t *ip = b + PACKET_AT + ETHERNET;
		const uint8_t *udp = ip + (ip[0] & 0xf) * 4;
		*dst_port = (unsigned)(udp[2] << 8 | udp[3]);
		*datagram = bytes(udp + UDP, (size_t)(udp[4] << 8 | udp[5]) - UDP);
		return true;
	}
	return false;
}

/* The last request has Partial IV 0 once more and another tag, which tshark does not take for good either. */
#define REPLAY 27u

Test(peers, opens_every_frame_between_libcoap_and_aiocoap)
{
	struct setting s[] = {{.name = "master_secret"},
	                      {.name = "master_salt"},
	                      {.name = "id_context"},
	                      {.name = "sender_id"},
	                      {.name = "recipient_id"}};
	read_settings(s, sizeof(s) / sizeof(s[0]));
	struct gm_oscore_input client = {
	    .ms = s[0].v, .salt = s[1].v, .id_context = s[2].v, .sid = s[3].v, .rid = s[4].v};
	struct tap tap;
	tap_init(&tap, &client);

	FILE *file = gm_vectors_open("peers/oscore/libcoap-client_aiocoap-server.pcapng");
	uint8_t b[FRAME_MAX];
	struct gm_bytes datagram;
	unsigned dst_port, frames = 0;
	while (next_datagram(file, b, &datagram, &dst_port)) {
		tap_frame(&tap, datagram, dst_port == COAP_PORT);
		if (++frames < REPLAY) {
			cr_expect(tap.requests[tap.requests_n - 1].fresh);
			cr_expect_eq(tap.refused, 0, "frame %u", frames);
		}
		if (frames == REPLAY) {
			cr_expect_not(tap.requests[tap.requests_n - 1].fresh);
			cr_expect_eq(tap.refused, 1);
		}
		if (frames > REPLAY)
			cr_expect(gm_bytes_is(tap.outer.payload, "Replay detected"));
	}
	cr_expect_eq(frames, 28);
	cr_expect_eq(tap.opened, 24);
	fclose(file);
}
