/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "wire/oscore.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct gm_bytes text(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

static void expect_hex(struct gm_bytes got, const char *hex)
{
	uint8_t want[512];
	size_t n = gm_hex(want, sizeof(want), hex);
	cr_expect(gm_bytes_eq(got, (struct gm_bytes){want, n}), "want %s", hex);
}

/* ---- derivation */

static struct gm_oscore_input input_of(const char *sid, const char *rid)
{
	return (struct gm_oscore_input){
	    .ms = text("sixteen secret b"), .salt = text("salt"), .sid = text(sid), .rid = text(rid)};
}

Test(oscore, derives_mirrored_contexts)
{
	struct gm_oscore_keys a, b;
	struct gm_oscore_input ia = input_of("a", "1234567"), ib = input_of("1234567", "a");
	cr_assert_eq(gm_oscore_derive(&a, &ia), GM_E_OK);
	cr_assert_eq(gm_oscore_derive(&b, &ib), GM_E_OK);
	cr_expect_arr_eq(a.send_key, b.recv_key, GM_CCM_KEY);
	cr_expect_arr_eq(a.recv_key, b.send_key, GM_CCM_KEY);
	cr_expect_arr_eq(a.common_iv, b.common_iv, GM_CCM_NONCE);
	cr_expect_eq(a.sid.n, 1);
	cr_expect_eq(a.rid.n, 7);
	cr_expect_arr_eq(a.rid.b, "1234567", 7);
}

/* Every AEAD that a context may have, as RFC 9053 §4 gives their sizes. */
static const struct size {
	int alg;
	uint8_t key, nonce, tag;
} sizes[] = {{1, 16, 12, 16},  {2, 24, 12, 16}, {3, 32, 12, 16}, {10, 16, 13, 8},  {11, 32, 13, 8},  {12, 16, 7, 8},
             {13, 32, 7, 8},   {24, 32, 12, 16}, {30, 16, 13, 16}, {31, 32, 13, 16}, {32, 16, 7, 16}, {33, 32, 7, 16}};

Test(oscore, takes_ids_as_long_as_the_nonce_lets_them_be)
{
	static const uint8_t bytes[9] = "abcdefghi";
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct gm_oscore_keys keys;
		unsigned max = sizes[i].nonce - 6u;
		struct gm_oscore_input input = input_of("", "z");
		cr_expect_eq(gm_oscore_id_max(sizes[i].alg), max);
		input.alg = sizes[i].alg;
		input.sid = (struct gm_bytes){bytes, max};
		cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_OK);
		cr_expect_eq(keys.alg, sizes[i].alg);
		input.sid.n = max + 1;
		cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_RANGE);
		input.sid = text("z");
		input.rid = (struct gm_bytes){bytes, max + 1};
		cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_RANGE);
	}
}

Test(oscore, derives_nothing_for_algorithms_it_does_not_know)
{
	static const struct {
		int alg, hkdf;
	} unknown[] = {{4, 5},  {14, 5},     {-65534, 5}, {34, 5}, {266, 5},
	               {10, 4}, {10, 6},     {10, -10},   {10, 8}, {-10, 5}};
	for (size_t i = 0; i < COUNT(unknown); i++) {
		struct gm_oscore_keys keys;
		struct gm_oscore_input input = input_of("a", "b");
		input.alg = unknown[i].alg;
		input.hkdf = unknown[i].hkdf;
		cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_RANGE, "%d/%d", unknown[i].alg, unknown[i].hkdf);
	}
	cr_expect_eq(gm_oscore_id_max(-1), 0);
}

Test(oscore, derives_with_aes_ccm_16_64_128_and_sha_256_unless_told_otherwise)
{
	struct gm_oscore_keys left_out, named;
	struct gm_oscore_input input = input_of("a", "b");
	cr_assert_eq(gm_oscore_derive(&left_out, &input), GM_E_OK);
	input.alg = 10;
	input.hkdf = 5;
	cr_assert_eq(gm_oscore_derive(&named, &input), GM_E_OK);
	cr_expect_eq(memcmp(&left_out, &named, sizeof(named)), 0);
}

Test(oscore, derives_nothing_for_ids_too_long_or_equal)
{
	struct gm_oscore_keys keys;
	struct gm_oscore_input inputs[] = {input_of("12345678", "a"), input_of("a", "12345678"), input_of("a", "a"),
	                                   input_of("", "")};
	for (size_t i = 0; i < COUNT(inputs); i++)
		cr_expect_eq(gm_oscore_derive(&keys, &inputs[i]), GM_E_RANGE);
}

Test(oscore, bounds_the_id_context)
{
	static const uint8_t context[GM_OSCORE_ID_CONTEXT_MAX + 1];
	struct gm_oscore_keys keys;
	struct gm_oscore_input input = input_of("1234567", "a");
	input.id_context = (struct gm_bytes){context, GM_OSCORE_ID_CONTEXT_MAX};
	cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_OK);
	input.id_context.n++;
	cr_expect_eq(gm_oscore_derive(&keys, &input), GM_E_RANGE);
}

Test(oscore, tells_an_empty_id_context_from_none)
{
	struct gm_oscore_keys none, empty;
	struct gm_oscore_input input = input_of("a", "b");
	cr_assert_eq(gm_oscore_derive(&none, &input), GM_E_OK);
	input.id_context = text("");
	cr_assert_eq(gm_oscore_derive(&empty, &input), GM_E_OK);
	cr_expect_arr_neq(none.send_key, empty.send_key, GM_CCM_KEY);
}

static void expect_ace_salt(struct gm_bytes salt, bool empty_item, const char *hex)
{
	uint8_t b[64];
	struct gm_out out = gm_out(b, sizeof(b));
	gm_oscore_ace_salt(&out, salt, empty_item, text("\x01\x02"), text("\x03"));
	cr_expect_eq(out.err, GM_E_OK);
	expect_hex(gm_out_result(&out), hex);
}

Test(oscore, joins_salt_and_nonces_for_the_ace_profile)
{
	expect_ace_salt(text("\x09"), false, "41094201024103");
	expect_ace_salt((struct gm_bytes){0}, false, "4201024103");
	expect_ace_salt((struct gm_bytes){0}, true, "404201024103");
	expect_ace_salt(text(""), false, "404201024103");
}

/* ---- option */

static enum gm_err decode_option(uint8_t b[static 600], const char *hex, struct gm_oscore_option *option)
{
	size_t n = gm_hex(b, 600, hex);
	return gm_oscore_option_decode((struct gm_bytes){b, n}, option);
}

Test(oscore, reads_and_writes_options)
{
	static const struct {
		const char *hex;
		uint8_t piv_n;
		bool has_kid, has_kid_context, group;
		size_t kid_n, kid_context_n;
	} options[] = {
	    {"", 0, false, false, false, 0, 0},
	    {"0914", 1, true, false, false, 0, 0},
	    {"091400", 1, true, false, false, 1, 0},
	    {"0100", 1, false, false, false, 0, 0},
	    {"05ffffffffff", 5, false, false, false, 0, 0},
	    {"0d0100000000aabbcc", 5, true, false, false, 3, 0},
	    {"08aa", 0, true, false, false, 1, 0},
	    {"19140837cbf3210017a2d3", 1, true, true, false, 0, 8},
	    {"1000", 0, false, true, false, 0, 0},
	    {"1901010155aa", 1, true, true, false, 2, 1},
	    {"39140837cbf3210017a2d325", 1, true, true, true, 1, 8},
	    {"20", 0, false, false, true, 0, 0},
	};
	for (size_t i = 0; i < COUNT(options); i++) {
		uint8_t b[600], again[600];
		struct gm_oscore_option o;
		cr_assert_eq(decode_option(b, options[i].hex, &o), GM_E_OK, "%s", options[i].hex);
		cr_expect_eq(o.piv_n, options[i].piv_n, "%s", options[i].hex);
		cr_expect_eq(o.has_kid, options[i].has_kid, "%s", options[i].hex);
		cr_expect_eq(o.has_kid_context, options[i].has_kid_context, "%s", options[i].hex);
		cr_expect_eq(o.group, options[i].group, "%s", options[i].hex);
		cr_expect_eq(o.kid.n, options[i].kid_n, "%s", options[i].hex);
		cr_expect_eq(o.kid_context.n, options[i].kid_context_n, "%s", options[i].hex);

		struct gm_out out = gm_out(again, sizeof(again));
		gm_oscore_option_encode(&out, &o);
		expect_hex(gm_out_result(&out), options[i].hex);
	}
}

Test(oscore, refuses_these_options)
{
	static const char *const hex[] = {
	    "40",
	    "80",             /* reserved bits */
	    "06010203040506", /* Partial IV of 6 and 7 bytes */
	    "0701020304050607",
	    "01",
	    "05ffffffff", /* cut short */
	    "10",
	    "1002aa",
	    "1901",
	    "190101",
	    "0201",
	    "020001",
	    "050000000001", /* zeros in front */
	    "00aa",
	    "0114aa",
	    "1001aabb", /* bytes left without kid flag */
	};
	for (size_t i = 0; i < COUNT(hex); i++) {
		uint8_t b[600];
		struct gm_oscore_option o;
		cr_expect_eq(decode_option(b, hex[i], &o), GM_E_OSCORE_OPTION, "%s", hex[i]);
	}
}

Test(oscore, reads_a_kid_of_any_length)
{
	uint8_t b[255] = {0x08};
	struct gm_oscore_option o;
	cr_expect_eq(gm_oscore_option_decode((struct gm_bytes){b, sizeof(b)}, &o), GM_E_OK);
	cr_expect_eq(o.kid.n, 254);
}

Test(oscore, refuses_to_write_a_kid_context_beyond_its_length_byte)
{
	static const uint8_t context[256];
	uint8_t b[600];
	struct gm_out out = gm_out(b, sizeof(b));
	struct gm_oscore_option o = {.has_kid_context = true, .kid_context = {context, sizeof(context)}};
	gm_oscore_option_encode(&out, &o);
	cr_expect_eq(out.err, GM_E_RANGE);
}

/* ---- Partial IV, nonce, AAD */

Test(oscore, writes_partial_ivs_in_their_shortest_form)
{
	static const struct {
		uint64_t seq;
		const char *hex;
	} pivs[] = {{0, "00"},
	            {1, "01"},
	            {255, "ff"},
	            {256, "0100"},
	            {0xffff, "ffff"},
	            {0x10000, "010000"},
	            {0x1000000, "01000000"},
	            {0x100000000, "0100000000"},
	            {GM_OSCORE_SEQ_MAX, "ffffffffff"}};
	for (size_t i = 0; i < COUNT(pivs); i++) {
		uint8_t piv[GM_OSCORE_PIV_MAX];
		uint8_t n = gm_oscore_piv(piv, pivs[i].seq);
		expect_hex((struct gm_bytes){piv, n}, pivs[i].hex);
		cr_expect_eq(gm_oscore_piv_seq(piv, n), pivs[i].seq);
	}
}

Test(oscore, mixes_the_longest_id_and_partial_iv_into_the_nonce)
{
	uint8_t iv[GM_CCM_NONCE] = {0xff, 0, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0, 0x0f};
	uint8_t nonce[GM_CCM_NONCE];
	struct gm_oscore_id id = {7, {1, 2, 3, 4, 5, 6, 7}};
	gm_oscore_nonce(nonce, sizeof(nonce), iv, &id, (const uint8_t *)"\x11\x12\x13\x14\x15", 5);
	expect_hex((struct gm_bytes){nonce, sizeof(nonce)}, "f8010203040506f711121314"
	                                                    "1a");
}

Test(oscore, fits_the_longest_aad)
{
	uint8_t aad[GM_OSCORE_AAD_MAX];
	struct gm_oscore_id id = {7, {1, 2, 3, 4, 5, 6, 7}};
	size_t n = gm_oscore_aad(aad, 10, &id, (const uint8_t *)"\x11\x12\x13\x14\x15", 5);
	expect_hex((struct gm_bytes){aad, n}, "8368456e637279707430"
	                                      "40"
	                                      "53"
	                                      "8501810a"
	                                      "4701020304050607"
	                                      "451112131415"
	                                      "40");
}

Test(oscore, mixes_ids_into_shorter_nonces)
{
	uint8_t iv[GM_AEAD_NONCE_MAX] = {0}, nonce[GM_AEAD_NONCE_MAX];
	struct gm_oscore_id six = {6, {1, 2, 3, 4, 5, 6}}, one = {1, {9}};
	memset(nonce, 0xee, sizeof(nonce));
	gm_oscore_nonce(nonce, 12, iv, &six, (const uint8_t *)"\x11\x12", 2);
	expect_hex((struct gm_bytes){nonce, sizeof(nonce)}, "060102030405060000001112ee");
	gm_oscore_nonce(nonce, 12, iv, &one, (const uint8_t *)"\x11\x12\x13\x14\x15", 5);
	expect_hex((struct gm_bytes){nonce, sizeof(nonce)}, "010000000000091112131415ee");
	memset(nonce, 0xee, sizeof(nonce));
	gm_oscore_nonce(nonce, 7, iv, &one, (const uint8_t *)"\x11", 1);
	expect_hex((struct gm_bytes){nonce, 8}, "01090000000011ee");
}

Test(oscore, writes_algorithms_above_23_into_the_aad_with_two_bytes)
{
	uint8_t aad[GM_OSCORE_AAD_MAX];
	struct gm_oscore_id id = {7, {1, 2, 3, 4, 5, 6, 7}};
	size_t n = gm_oscore_aad(aad, 31, &id, (const uint8_t *)"\x11\x12\x13\x14\x15", 5);
	expect_hex((struct gm_bytes){aad, n}, "8368456e637279707430"
	                                      "40"
	                                      "54"
	                                      "850181181f"
	                                      "4701020304050607"
	                                      "451112131415"
	                                      "40");
}

/* ---- replay window */

static bool take(struct gm_oscore_window *w, uint64_t seq)
{
	bool fresh = gm_oscore_window_fresh(w, seq);
	if (fresh)
		gm_oscore_window_accept(w, seq);
	return fresh;
}

Test(oscore, ignores_a_piv_it_has_seen)
{
	struct gm_oscore_window w = {0};
	cr_expect(take(&w, 0));
	cr_expect_not(take(&w, 0));
	cr_expect(take(&w, 5));
	cr_expect(take(&w, 3));
	cr_expect_not(take(&w, 3));
	cr_expect_not(take(&w, 5));
	cr_expect_not(take(&w, 0));
	cr_expect(take(&w, 4));
}

Test(oscore, looks_at_the_window_without_changing_it)
{
	struct gm_oscore_window w = {0};
	cr_expect(gm_oscore_window_fresh(&w, 9));
	cr_expect(gm_oscore_window_fresh(&w, 9));
	cr_expect_eq(w.seen, 0);
}

Test(oscore, takes_anything_as_the_first_number)
{
	struct gm_oscore_window w = {.top = 100, .seen = 0};
	cr_expect(take(&w, 3));
	cr_expect_eq(w.top, 3);
	cr_expect_not(take(&w, 3));
}

Test(oscore, remembers_sixty_four_numbers)
{
	struct gm_oscore_window w = {0};
	cr_expect(take(&w, 100));
	cr_expect_not(take(&w, 36)); /* 64 back: left of the window */
	cr_expect(take(&w, 37));
	cr_expect_not(take(&w, 37));
	cr_expect(take(&w, 163)); /* 100 is 63 back now */
	cr_expect_not(take(&w, 100));
	cr_expect_not(take(&w, 99));
	cr_expect(take(&w, 101));
	cr_expect(take(&w, 227)); /* 163 is 64 back: nothing left to remember */
	cr_expect_eq(w.seen, 1);
	cr_expect_not(take(&w, 163));
	cr_expect(take(&w, GM_OSCORE_SEQ_MAX));
	cr_expect_not(take(&w, GM_OSCORE_SEQ_MAX));
	cr_expect_not(take(&w, 227));
}

Test(oscore, agrees_with_a_list_of_all_numbers_seen)
{
	bool seen[4096] = {false};
	uint64_t top = 0;
	struct gm_oscore_window w = {0};
	uint32_t dice = 1;
	for (unsigned i = 0; i < 20000; i++) {
		dice = dice * 1664525u + 1013904223u;
		uint64_t seq = top + (dice >> 24) % 80 < 72 ? 0 : top + (dice >> 24) % 80 - 72;
		if (seq >= COUNT(seen))
			break;
		bool want = !seen[seq] && (seq > top || top - seq < 64);
		cr_assert_eq(take(&w, seq), want, "%lu after %lu", seq, top);
		seen[seq] = seen[seq] || want;
		top = seq > top ? seq : top;
	}
	cr_expect_gt(top, 1000);
}

/* ---- messages */

struct pair { /* client and server, and a message on its way */
	struct gm_oscore_keys client, server;
	struct gm_oscore_request request;
	struct gm_oscore_outer outer;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	uint8_t pkt[256], plain[256];
	struct gm_out out;
	struct gm_coap msg;
	struct gm_oscore_option option;
};

static void setup_with(struct pair *p, int alg, const char *server_id)
{
	struct gm_oscore_input client = input_of("c", server_id), server = input_of(server_id, "c");
	cr_assert(gm_crypto_init());
	*p = (struct pair){0};
	client.alg = server.alg = alg;
	cr_assert_eq(gm_oscore_derive(&p->client, &client), GM_E_OK);
	cr_assert_eq(gm_oscore_derive(&p->server, &server), GM_E_OK);
	p->request = (struct gm_oscore_request){.kid = p->client.sid};
	p->request.piv_n = gm_oscore_piv(p->request.piv, 7);
	p->outer = (struct gm_oscore_outer){.type = GM_COAP_CON, .code = GM_COAP_POST, .mid = 9, .token_len = 1};
	p->outer.option = (struct gm_oscore_option){.piv_n = 1, .piv = {7}, .has_kid = true, .kid = text("c")};
	p->out = gm_out(p->pkt, sizeof(p->pkt));
}

static void setup(struct pair *p)
{
	setup_with(p, 10, "ss");
}

static void deliver(struct pair *p, const struct gm_oscore_keys *keys, const struct gm_oscore_id *id,
                    const uint8_t *piv, uint8_t piv_n, const char *plain)
{
	cr_assert_eq(
	    gm_oscore_wrap(keys, &p->outer, &p->request, id, piv, piv_n, text(plain), &p->out, &p->scratch, &p->job),
	    GM_E_OK);
	cr_assert_eq(gm_aead_seal_many(&p->job, 1), 1);
	cr_assert_eq(gm_coap_decode(gm_out_result(&p->out), &p->msg), GM_E_OK);
	cr_assert_eq(gm_oscore_option_decode(p->msg.oscore, &p->option), GM_E_OK);
}

static bool receive(struct pair *p, const struct gm_oscore_keys *keys, bool is_request)
{
	cr_assert_eq(gm_oscore_unwrap(keys, p->msg.payload, &p->option, &p->request, is_request, p->plain,
	                              sizeof(p->plain), &p->scratch, &p->job),
	             GM_E_OK);
	return gm_aead_open_many(&p->job, 1) == 1;
}

Test(oscore, carries_a_request_and_both_kinds_of_response)
{
	struct pair p;
	setup(&p);
	deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n, "\x01");
	cr_expect(receive(&p, &p.server, true));
	cr_expect_eq(p.job.text_len, 1);
	cr_expect_eq(p.plain[0], 1);

	p.outer.code = GM_COAP(2, 4);
	p.outer.option = (struct gm_oscore_option){0};
	p.out = gm_out(p.pkt, sizeof(p.pkt));
	deliver(&p, &p.server, &p.client.sid, p.request.piv, p.request.piv_n,
	        "\x45\xff"
	        "answer");
	cr_expect_eq(p.msg.oscore.n, 0);
	cr_expect(receive(&p, &p.client, false));
	cr_expect(gm_bytes_is((struct gm_bytes){p.plain, p.job.text_len}, "\x45\xff"
	                                                                  "answer"));

	p.outer.code = GM_COAP(2, 5);
	p.outer.has_observe = true;
	p.outer.observe = 3;
	p.outer.option = (struct gm_oscore_option){.piv_n = 1, .piv = {200}};
	p.out = gm_out(p.pkt, sizeof(p.pkt));
	deliver(&p, &p.server, &p.server.sid, (const uint8_t *)"\xc8", 1,
	        "\x45\xff"
	        "news");
	cr_expect(p.msg.has_observe && p.msg.observe == 3);
	cr_expect(receive(&p, &p.client, false));
	cr_expect(gm_bytes_is((struct gm_bytes){p.plain, p.job.text_len}, "\x45\xff"
	                                                                  "news"));
}

Test(oscore, carries_messages_with_every_algorithm_under_its_own_tag)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct pair p;
		setup_with(&p, sizes[i].alg, "s");
		deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n, "\x01\xffhey");
		cr_expect_eq(p.msg.payload.n, 5u + sizes[i].tag, "alg %d", sizes[i].alg);
		cr_expect(receive(&p, &p.server, true), "alg %d", sizes[i].alg);
		cr_expect(gm_bytes_is((struct gm_bytes){p.plain, p.job.text_len}, "\x01\xffhey"));
		p.pkt[gm_out_len(&p.out) - 1] ^= 1;
		cr_expect_not(receive(&p, &p.server, true), "alg %d", sizes[i].alg);
	}
}

Test(oscore, leaves_room_for_the_tag_of_each_algorithm)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct pair p;
		setup_with(&p, sizes[i].alg, "s");
		deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n, "\x01");
		size_t need = gm_out_len(&p.out);
		p.out = gm_out(p.pkt, need - 1);
		cr_expect_eq(gm_oscore_wrap(&p.client, &p.outer, &p.request, &p.client.sid, p.request.piv, 1,
		                            text("\x01"), &p.out, &p.scratch, &p.job),
		             GM_E_ROOM);
		struct gm_bytes tag_only = {p.msg.payload.p, sizes[i].tag};
		cr_expect_eq(gm_oscore_unwrap(&p.server, tag_only, &p.option, &p.request, true, p.plain,
		                              sizeof(p.plain), &p.scratch, &p.job),
		             GM_E_DECRYPT);
	}
}

/* ---- every algorithm against an implementation in Python */

struct hex { /* a field of the vectors */
	uint8_t b[1100];
	size_t n;
};

static struct gm_bytes get(struct hex *h, const json_t *o, const char *key)
{
	h->n = gm_vectors_get(h->b, sizeof(h->b), o, key);
	return (struct gm_bytes){h->b, h->n};
}

static void expect_field(const json_t *o, const char *key, const void *got, size_t n)
{
	struct hex want;
	cr_expect(gm_bytes_eq(get(&want, o, key), (struct gm_bytes){got, n}), "%s", key);
}

struct sent { /* one message of the vectors */
	const char *name;
	struct gm_oscore_keys from;
	struct gm_oscore_id requester;
	uint64_t request_seq, seq;
	bool own; /* the nonce is made of the sender's ID and a Partial IV of its own, else of the request's */
};

static void seal_and_open(const json_t *row, const struct sent *x)
{
	const json_t *m = json_object_get(row, x->name);
	const struct gm_oscore_id *nonce_id = x->own ? &x->from.sid : &x->requester;
	struct gm_oscore_request request = {.kid = x->requester};
	struct gm_oscore_outer outer = {.code = GM_COAP_POST};
	struct gm_oscore_option option = {.has_kid = true};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct hex plain, sealed;
	uint8_t pkt[1200], opened[1200], piv[GM_OSCORE_PIV_MAX];
	struct gm_out out = gm_out(pkt, sizeof(pkt));
	uint8_t piv_n = gm_oscore_piv(piv, x->seq);

	request.piv_n = gm_oscore_piv(request.piv, x->request_seq);
	cr_assert_eq(gm_oscore_wrap(&x->from, &outer, &request, nonce_id, piv, piv_n, get(&plain, m, "plain"), &out,
	                            &scratch, &job),
	             GM_E_OK);
	expect_field(m, "nonce", job.nonce, gm_aead_info(x->from.alg)->nonce_len);
	expect_field(m, "aad", job.aad, job.aad_len);
	cr_assert_eq(gm_aead_seal_many(&job, 1), 1);
	expect_field(m, "sealed", job.text, gm_out_len(&out) - (size_t)(job.text - pkt));

	struct gm_oscore_keys to = x->from; /* who receives has the keys the other way round */
	memcpy(to.recv_key, x->from.send_key, sizeof(to.recv_key));
	to.rid = x->from.sid;
	option.piv_n = x->own ? piv_n : 0;
	memcpy(option.piv, piv, sizeof(piv));
	cr_assert_eq(gm_oscore_unwrap(&to, get(&sealed, m, "sealed"), &option, &request, strcmp(x->name, "request") == 0, opened,
	                              sizeof(opened), &scratch, &job),
	             GM_E_OK);
	cr_expect_eq(gm_aead_open_many(&job, 1), 1, "alg %d %s", to.alg, x->name);
	expect_field(m, "plain", opened, job.text_len);
}

Test(oscore, agrees_with_another_implementation_for_every_algorithm)
{
	json_t *file = gm_vectors_load("oscore-algs.json"), *row;
	size_t i;
	cr_assert(gm_crypto_init());
	json_array_foreach(json_object_get(file, "rows"), i, row)
	{
		struct hex ms, salt, id_context = {.n = 0}, sid, rid;
		struct gm_oscore_keys client, server;
		struct gm_oscore_input input = {
		    .ms = get(&ms, row, "ms"),
		    .salt = get(&salt, row, "salt"),
		    .sid = get(&sid, row, "sid"),
		    .rid = get(&rid, row, "rid"),
		    .alg = (int)json_integer_value(json_object_get(row, "alg")),
		    .hkdf = (int)json_integer_value(json_object_get(row, "hkdf")),
		};
		if (json_is_string(json_object_get(row, "id_context")))
			input.id_context = get(&id_context, row, "id_context");
		cr_assert_eq(gm_oscore_derive(&client, &input), GM_E_OK);
		const struct gm_aead_info *aead = gm_aead_info(client.alg);
		expect_field(row, "send_key", client.send_key, aead->key_len);
		expect_field(row, "recv_key", client.recv_key, aead->key_len);
		expect_field(row, "common_iv", client.common_iv, aead->nonce_len);
		server = client;
		server.sid = client.rid;
		server.rid = client.sid;
		memcpy(server.send_key, client.recv_key, sizeof(server.send_key));
		memcpy(server.recv_key, client.send_key, sizeof(server.recv_key));
		seal_and_open(row, &(struct sent){"request", client, client.sid, 0xfffffffffe, 0xfffffffffe, true});
		seal_and_open(row, &(struct sent){"response", server, client.sid, 0x14, 0x14, false});
		seal_and_open(row, &(struct sent){"notification", server, client.sid, 0x14, 0x0102030405, true});
	}
	cr_expect_eq(i, 2 * COUNT(sizes));
	json_decref(file);
}

Test(oscore, binds_a_response_to_its_request)
{
	struct pair p;
	setup(&p);
	p.outer.option = (struct gm_oscore_option){.piv_n = 1, .piv = {200}};
	deliver(&p, &p.server, &p.server.sid, (const uint8_t *)"\xc8", 1, "\x45");
	p.request.piv[0] ^= 1;
	cr_expect_not(receive(&p, &p.client, false));
	p.request.piv[0] ^= 1;
	cr_expect(receive(&p, &p.client, false));
	p.request.kid.b[0] ^= 1;
	cr_expect_not(receive(&p, &p.client, false));
}

Test(oscore, leaves_the_received_message_untouched)
{
	struct pair p;
	uint8_t before[256];
	setup(&p);
	deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n, "\x01");
	memcpy(before, p.pkt, sizeof(before));
	cr_expect(receive(&p, &p.server, true));
	cr_expect_arr_eq(p.pkt, before, sizeof(before));
}

Test(oscore, says_room_unless_message_and_tag_fit)
{
	struct pair p;
	setup(&p);
	deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n,
	        "\x01\xff"
	        "x");
	size_t need = gm_out_len(&p.out);
	for (size_t cap = 0; cap <= need; cap++) {
		p.out = gm_out(p.pkt, cap);
		cr_expect_eq(gm_oscore_wrap(&p.client, &p.outer, &p.request, &p.client.sid, p.request.piv, 1,
		                            text("\x01\xff"
		                                 "x"),
		                            &p.out, &p.scratch, &p.job),
		             cap == need ? GM_E_OK : GM_E_ROOM);
	}
}

Test(oscore, refuses_to_unwrap_these)
{
	struct pair p;
	setup(&p);
	deliver(&p, &p.client, &p.client.sid, p.request.piv, p.request.piv_n, "\x01");
	struct gm_bytes good = p.msg.payload, tag_only = {good.p, GM_CCM_TAG}, none = {0};
	struct gm_oscore_option no_piv = {.has_kid = true, .kid = p.option.kid}, no_kid = p.option;
	no_kid.has_kid = false;

	const struct {
		struct gm_bytes ciphertext;
		const struct gm_oscore_option *option;
		size_t cap;
		enum gm_err err;
	} cases[] = {
	    {none, &p.option, 256, GM_E_DECRYPT},     {tag_only, &p.option, 256, GM_E_DECRYPT},
	    {good, &p.option, good.n - 1, GM_E_ROOM}, {good, &p.option, good.n, GM_E_OK},
	    {good, &no_piv, 256, GM_E_OSCORE_OPTION}, {good, &no_kid, 256, GM_E_OSCORE_OPTION},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_eq(gm_oscore_unwrap(&p.server, cases[i].ciphertext, cases[i].option, &p.request, true,
		                              p.plain, cases[i].cap, &p.scratch, &p.job),
		             cases[i].err, "%zu", i);
}

Test(oscore, derives_many_contexts_as_one_at_a_time)
{
	static const int algs[] = {0, 10, 1, 3, 24, 30, 33, 99}, hkdfs[] = {0, 5, 7, 5, 0, 6};
	struct gm_oscore_keys keys[GM_BATCH_MAX], *to[GM_BATCH_MAX], one;
	struct gm_oscore_input in[GM_BATCH_MAX];
	uint8_t bytes[GM_BATCH_MAX][64];

	for (unsigned n = 1; n <= GM_BATCH_MAX; n += 21) {
		memset(keys, 0xa5, sizeof(keys));
		gm_random(bytes, sizeof(bytes));
		for (unsigned i = 0; i < n; i++) {
			to[i] = &keys[i];
			in[i] = (struct gm_oscore_input){
			    .ms = {bytes[i], 16},
			    .salt = {bytes[i] + 16, i % 9},
			    .id_context = {i % 2 ? bytes[i] + 32 : NULL, i % 2 ? i % 8 : 0},
			    .sid = {bytes[i] + 48, i % 3},
			    .rid = {bytes[i] + 56, i % 3 ? i % 3 - 1 : 1},
			    .alg = algs[i % COUNT(algs)],
			    .hkdf = hkdfs[i % COUNT(hkdfs)],
			};
		}
		uint64_t good = gm_oscore_derive_many(to, in, n);
		for (unsigned i = 0; i < n; i++) {
			bool can = gm_oscore_derive(&one, &in[i]) == GM_E_OK;
			cr_expect_eq(good >> i & 1, can, "%u of %u", i, n);
			if (can)
				cr_expect_arr_eq(&keys[i], &one, sizeof(one), "%u of %u", i, n);
		}
	}
}

/* ---- what went wrong elsewhere: tests/regression.md */

static const struct {
	uint64_t seq[4];
	bool taken[4];
} windows[] = {
    {{3, 5, 4, 4}, {true, true, true, false}},        /* the hole is filled, once */
    {{10, 7, 10, 7}, {true, true, false, false}},     /* an older number does not move the window back */
    {{0, 0, 1, 0}, {true, false, true, false}},       /* zero is a number like others */
    {{31, 0, 0, 31}, {true, true, false, false}},
    {{32, 0, 0, 1}, {true, true, false, true}},
    {{63, 0, 0, 63}, {true, true, false, false}},     /* 63 back: the last that is remembered */
    {{64, 0, 1, 1}, {true, false, true, false}},      /* 64 back: counts as seen */
    {{GM_OSCORE_SEQ_MAX, GM_OSCORE_SEQ_MAX, GM_OSCORE_SEQ_MAX - 63, GM_OSCORE_SEQ_MAX - 64}, {true, false, true, false}},
    {{0, GM_OSCORE_SEQ_MAX, 0, GM_OSCORE_SEQ_MAX - 1}, {true, true, false, true}},
};

Test(oscore, takes_each_number_once_in_whatever_order)
{
	for (size_t i = 0; i < COUNT(windows); i++) {
		struct gm_oscore_window w = {0};
		for (unsigned k = 0; k < 4; k++)
			cr_expect_eq(take(&w, windows[i].seq[k]), windows[i].taken[k], "row %zu, number %u", i, k);
	}
}

/* Each option in bytes of its own, so that a sanitizer sees the first byte behind it. */
static enum gm_err decode_exactly(const uint8_t *p, size_t n, struct gm_oscore_option *o)
{
	uint8_t *exact = malloc(n ? n : 1);
	if (n)
		memcpy(exact, p, n);
	enum gm_err err = gm_oscore_option_decode((struct gm_bytes){exact, n}, o);
	free(exact);
	return err;
}

Test(oscore, refuses_an_option_cut_at_any_byte_within_its_fixed_parts)
{
	for (unsigned piv_n = 0; piv_n <= 7; piv_n++) {
		for (unsigned context_n = 0; context_n <= 20; context_n++) {
			uint8_t b[64] = {(uint8_t)(0x10u | piv_n)};
			struct gm_oscore_option o;
			size_t n = 1;
			memset(b + n, 0x11, piv_n);
			n += piv_n;
			b[n++] = (uint8_t)context_n;
			memset(b + n, 0x22, context_n);
			n += context_n;
			cr_expect_eq(decode_exactly(b, n, &o), piv_n > 5 ? GM_E_OSCORE_OPTION : GM_E_OK, "%u %u", piv_n, context_n);
			for (size_t cut = 1; cut < n; cut++)
				cr_expect_eq(decode_exactly(b, cut, &o), GM_E_OSCORE_OPTION, "%u %u at %zu", piv_n, context_n, cut);
		}
	}
}

Test(oscore, reads_kids_of_no_byte_of_seven_and_of_as_many_as_an_option_holds)
{
	static const size_t lengths[] = {0, 7, 8, 253, 254};
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint8_t b[256] = {0x09, 0x05};
		struct gm_oscore_option o;
		memset(b + 2, 0x33, lengths[i]);
		cr_expect_eq(decode_exactly(b, 2 + lengths[i], &o), GM_E_OK);
		cr_expect(o.has_kid && o.kid.n == lengths[i]);
	}
}
