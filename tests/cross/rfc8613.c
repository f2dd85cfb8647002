/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8613 Appendix C, both directions. */
#include <criterion/criterion.h>

#include "wire/oscore.h"
#include "vectors.h"

#define BYTES_MAX 256u

struct field { /* one value of the vectors */
	uint8_t b[BYTES_MAX];
	struct gm_bytes v; /* v.p == NULL: absent */
};

static struct gm_bytes get(struct field *f, const json_t *object, const char *key)
{
	f->v = (struct gm_bytes){0};
	if (json_object_get(object, key))
		f->v = (struct gm_bytes){f->b, gm_vectors_get(f->b, sizeof(f->b), object, key)};
	return f->v;
}

static void expect(const json_t *object, const char *key, const void *got, size_t n)
{
	struct field want;
	cr_expect(gm_bytes_eq(get(&want, object, key), (struct gm_bytes){got, n}), "%s: %s",
	          json_string_value(json_object_get(object, "section")), key);
}

static void derive(struct gm_oscore_keys *keys, const json_t *row)
{
	struct field ms, salt, id_context, sid, rid;
	struct gm_oscore_input input = {
	    .ms = get(&ms, row, "master_secret"),
	    .salt = get(&salt, row, "master_salt"),
	    .id_context = get(&id_context, row, "id_context"),
	    .sid = get(&sid, row, "sender_id"),
	    .rid = get(&rid, row, "recipient_id"),
	};
	cr_assert_eq(gm_oscore_derive(keys, &input), GM_E_OK);
}

static const json_t *row_of(const json_t *list, const char *section)
{
	size_t i;
	json_t *row;
	json_array_foreach(list, i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "section")), section) == 0)
			return row;
	}
	cr_assert_fail("no %s", section);
	return NULL;
}

Test(rfc8613, derives_keys_iv_and_nonces)
{
	json_t *file = gm_vectors_load("rfc8613.json"), *row;
	size_t i;
	json_array_foreach(json_object_get(file, "derivations"), i, row)
	{
		struct gm_oscore_keys keys;
		uint8_t nonce[GM_CCM_NONCE], zero = 0;
		derive(&keys, row);
		expect(row, "sender_key", keys.send_key, GM_CCM_KEY);
		expect(row, "recipient_key", keys.recv_key, GM_CCM_KEY);
		expect(row, "common_iv", keys.common_iv, sizeof(keys.common_iv));
		gm_oscore_nonce(nonce, sizeof(nonce), keys.common_iv, &keys.sid, &zero, 1);
		expect(row, "sender_nonce", nonce, sizeof(nonce));
		gm_oscore_nonce(nonce, sizeof(nonce), keys.common_iv, &keys.rid, &zero, 1);
		expect(row, "recipient_nonce", nonce, sizeof(nonce));
	}
	cr_expect_eq(i, 6);
	json_decref(file);
}

struct exchange { /* one message of the RFC */
	const json_t *row;
	bool is_request;
	struct gm_oscore_keys keys;       /* the sender's */
	struct gm_oscore_request request; /* that the message belongs to */
	struct gm_oscore_option option;
	struct field option_value, plaintext, protected_;
	struct gm_coap msg; /* protected_, decoded */
};

static struct gm_oscore_request request_of(const json_t *row, const struct gm_oscore_id *kid)
{
	struct gm_oscore_request request = {.kid = *kid};
	request.piv_n = (uint8_t)gm_vectors_get(request.piv, sizeof(request.piv), row, "piv");
	return request;
}

static void load(struct exchange *x, const json_t *file, const json_t *row)
{
	const json_t *messages = json_object_get(file, "messages");
	const char *context = json_string_value(json_object_get(row, "context"));
	const char *request = json_string_value(json_object_get(row, "request"));

	x->row = row;
	x->is_request = request == NULL;
	derive(&x->keys, row_of(json_object_get(file, "derivations"), context));
	if (x->is_request)
		x->request = request_of(row, &x->keys.sid);
	else
		x->request = request_of(row_of(messages, request), &x->keys.rid);
	cr_assert_eq(gm_oscore_option_decode(get(&x->option_value, row, "option"), &x->option), GM_E_OK);
	get(&x->plaintext, row, "plaintext");
	cr_assert_eq(gm_coap_decode(get(&x->protected_, row, "protected"), &x->msg), GM_E_OK);
}

static void for_each_message(void (*check)(const struct exchange *x))
{
	json_t *file = gm_vectors_load("rfc8613.json"), *row;
	size_t i;
	cr_assert(gm_crypto_init());
	json_array_foreach(json_object_get(file, "messages"), i, row)
	{
		struct exchange x;
		load(&x, file, row);
		check(&x);
	}
	cr_expect_eq(i, 5);
	json_decref(file);
}

static void check_option(const struct exchange *x)
{
	struct field f;
	uint8_t b[BYTES_MAX];
	struct gm_out out = gm_out(b, sizeof(b));
	gm_oscore_option_encode(&out, &x->option);
	expect(x->row, "option", b, gm_out_len(&out));
	expect(x->row, "option", x->msg.oscore.p, x->msg.oscore.n);
	expect(x->row, "ciphertext", x->msg.payload.p, x->msg.payload.n);

	cr_expect(gm_bytes_eq(get(&f, x->row, "piv"), (struct gm_bytes){x->option.piv, x->option.piv_n}));
	cr_expect(gm_bytes_eq(get(&f, x->row, "kid"), x->option.kid));
	cr_expect(gm_bytes_eq(get(&f, x->row, "kid_context"), x->option.kid_context));
	cr_expect_eq(x->option.has_kid, x->is_request);
}

Test(rfc8613, reads_and_writes_the_options)
{
	for_each_message(check_option);
}

/* The whole protected message is written again: C.4 to C.6 carry a Uri-Host, which stays outside and is put in front.
 */
static void check_wrap(const struct exchange *x)
{
	uint8_t b[BYTES_MAX], piv[GM_OSCORE_PIV_MAX];
	struct gm_out pkt = gm_out(b, sizeof(b));
	struct gm_oscore_outer outer = {.type = x->msg.type, .code = x->msg.code, .mid = x->msg.mid};
	outer.token_len = x->msg.token_len;
	memcpy(outer.token, x->msg.token, x->msg.token_len);
	outer.option = x->option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	bool own = x->option.piv_n;
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(x->row, "sender_sequence_number"));
	uint8_t own_n = gm_oscore_piv(piv, seq);
	cr_assert_eq(gm_oscore_wrap(&x->keys, &outer, &x->request, own ? &x->keys.sid : &x->request.kid,
	                            own ? piv : x->request.piv, own ? own_n : x->request.piv_n, x->plaintext.v, &pkt,
	                            &scratch, &job),
	             GM_E_OK);
	expect(x->row, "nonce", job.nonce, GM_CCM_NONCE);
	expect(x->row, "aad", job.aad, job.aad_len);
	cr_assert_eq(gm_aead_seal_many(&job, 1), 1);
	expect(x->row, "ciphertext", job.text, job.text_len + GM_CCM_TAG);
	if (!x->is_request) {
		expect(x->row, "protected", b, gm_out_len(&pkt));
		return;
	}
	uint8_t whole[BYTES_MAX];
	struct gm_out out = gm_out(whole, sizeof(whole));
	uint16_t last = 0;
	gm_coap_put_head(&out, outer.type, outer.code, outer.mid, outer.token, outer.token_len);
	gm_coap_put_option(&out, &last, GM_OPT_URI_HOST, "localhost", 9);
	gm_coap_put_option(&out, &last, GM_OPT_OSCORE, x->option_value.b, x->option_value.v.n);
	gm_coap_put_payload(&out, job.text, job.text_len + GM_CCM_TAG);
	expect(x->row, "protected", whole, gm_out_len(&out));
}

Test(rfc8613, writes_the_messages)
{
	for_each_message(check_wrap);
}

static void check_unwrap(const struct exchange *x)
{
	uint8_t text[BYTES_MAX];
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_oscore_keys peer = x->keys; /* who receives has the keys the other way round */
	memcpy(peer.recv_key, x->keys.send_key, sizeof(peer.recv_key));
	memcpy(peer.send_key, x->keys.recv_key, sizeof(peer.send_key));
	peer.rid = x->keys.sid;
	peer.sid = x->keys.rid;

	cr_assert_eq(gm_oscore_unwrap(&peer, x->msg.payload, &x->option, &x->request, x->is_request, text, sizeof(text),
	                              &scratch, &job),
	             GM_E_OK);
	expect(x->row, "nonce", job.nonce, GM_CCM_NONCE);
	expect(x->row, "aad", job.aad, job.aad_len);
	cr_assert_eq(gm_aead_open_many(&job, 1), 1);
	expect(x->row, "plaintext", text, job.text_len);
}

Test(rfc8613, reads_the_messages)
{
	for_each_message(check_unwrap);
}

/* Code, options of class E and payload of the unprotected message are those of the plaintext. */
static void check_inner(const struct exchange *x)
{
	struct field unprotected;
	struct gm_coap plain, inner;
	cr_assert_eq(gm_coap_decode(get(&unprotected, x->row, "unprotected"), &plain), GM_E_OK);
	cr_assert_eq(gm_coap_decode_inner(x->plaintext.v, &inner), GM_E_OK);
	cr_expect_eq(inner.code, plain.code);
	cr_expect_eq(inner.path_n, plain.path_n);
	for (unsigned i = 0; i < inner.path_n; i++)
		cr_expect(gm_bytes_eq(inner.path[i], plain.path[i]));
	cr_expect(gm_bytes_eq(inner.payload, plain.payload));
	cr_expect_eq(x->msg.mid, plain.mid);
	cr_expect_arr_eq(x->msg.token, plain.token, plain.token_len);
}

Test(rfc8613, reads_the_insides)
{
	for_each_message(check_inner);
}
