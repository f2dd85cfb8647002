/* SPDX-License-Identifier: Apache-2.0 */
/* A whole join as a client of the RISE Group Manager had it, read from the recorded datagrams: token POST, Join and the
 * requests after it. What our codecs find in the bytes has to be what the record's JSON says. */
#include <criterion/criterion.h>

#include "ccs.h"
#include "gm/crypto.h"
#include "vectors.h"
#include "wire/cbor.h"
#include "wire/coap.h"
#include "wire/cose.h"
#include "wire/cwt.h"
#include "wire/groupcomm.h"
#include "wire/oscore.h"

#define FRAMES_MAX 64u
#define TEXT_MAX 2048u
#define STEPS_AT 2u /* token POST and Join come before the steps of the JSON */

struct exchange { /* a request and the response with its token */
	struct gm_coap request, response;
};

static struct {
	json_t *json;
	uint8_t frames[FRAMES_MAX][TEXT_MAX];
	struct exchange exchanges[FRAMES_MAX];
	unsigned n;
	struct gm_oscore_keys keys; /* of the Group Manager */
	uint8_t claims[TEXT_MAX];
	size_t claims_n;
	struct gm_cwt cwt;
	uint8_t pool[4 * TEXT_MAX];
	size_t pool_n;
} rec;

/* A value of the record, good until the test ends */
static struct gm_bytes value(const char *key)
{
	uint8_t *p = rec.pool + rec.pool_n;
	size_t n = gm_vectors_get(p, sizeof rec.pool - rec.pool_n, rec.json, key);
	rec.pool_n += n;
	return (struct gm_bytes){p, n};
}

static struct gm_bytes hex_of(const json_t *object, const char *key, uint8_t *buf)
{
	return (struct gm_bytes){buf, gm_vectors_get(buf, TEXT_MAX, object, key)};
}

static bool is_request(const struct gm_coap *msg)
{
	return msg->code != GM_COAP_EMPTY && msg->code < GM_COAP(1, 0);
}

/* Pair each response with its request; a retransmitted response replaces its twin. */
static void add_frame(const struct gm_coap *msg)
{
	if (is_request(msg)) {
		rec.exchanges[rec.n++].request = *msg;
		return;
	}
	for (unsigned i = 0; i < rec.n; i++) {
		struct exchange *x = &rec.exchanges[i];
		if (x->request.token_len == msg->token_len && !memcmp(x->request.token, msg->token, msg->token_len))
			x->response = *msg;
	}
}

static void read_frames(void)
{
	FILE *f = gm_vectors_open("peers/rise-gm-join.wire.jsonl");
	unsigned n = 0;

	for (json_t *row; (row = gm_vectors_next(f)); n++) {
		cr_assert_lt(n, FRAMES_MAX);
		struct gm_coap msg;
		cr_assert_eq(gm_coap_decode(hex_of(row, "hex", rec.frames[n]), &msg), GM_E_OK);
		if (msg.code != GM_COAP_EMPTY)
			add_frame(&msg);
		json_decref(row);
	}
	fclose(f);
}

static struct gm_cose_key as_key(const struct gm_cose *msg)
{
	struct gm_cose_key key = {.alg = msg->alg};
	key.key_n = (uint8_t)gm_vectors_get(key.key, sizeof key.key, rec.json, "as_rs_key");
	return key;
}

/* The recorded token never ends, which RFC 9594 does not allow: the claims with {4: 1} added, a map of six then. */
static struct gm_bytes with_exp(void)
{
	static const uint8_t exp[] = {4, 1};
	cr_assert_eq(rec.claims[0], 0xa5);
	rec.claims[0]++;
	memcpy(rec.claims + rec.claims_n, exp, sizeof exp);
	return (struct gm_bytes){rec.claims, rec.claims_n + sizeof exp};
}

static void open_token(void)
{
	struct gm_token_request request;
	struct gm_cose msg;

	cr_assert_eq(gm_token_request_decode(rec.exchanges[0].request.payload, &request), GM_E_OK);
	cr_assert_eq(gm_cose_decode(request.token, &msg), GM_E_OK);
	struct gm_cose_key key = as_key(&msg);
	cr_assert_eq(gm_cose_open(&msg, &key, rec.claims, sizeof rec.claims, &rec.claims_n), GM_E_OK);
	cr_assert_eq(gm_cwt_decode((struct gm_bytes){rec.claims, rec.claims_n}, &rec.cwt), GM_E_TOKEN_CLAIMS);
	cr_assert_eq(gm_cwt_decode(with_exp(), &rec.cwt), GM_E_OK);
}

static void setup(void)
{
	cr_assert(gm_crypto_init());
	rec.json = gm_vectors_load("peers/rise-gm-join.json");
	read_frames();
	open_token();
	cr_assert_eq(gm_oscore_derive(&rec.keys, &(struct gm_oscore_input){.ms = rec.cwt.osc.ms,
	                                                                   .salt = value("master_salt"),
	                                                                   .id_context = rec.cwt.osc.context_id,
	                                                                   .sid = value("id1"),
	                                                                   .rid = value("id2")}),
	             GM_E_OK);
}

static void teardown(void)
{
	json_decref(rec.json);
}

TestSuite(rise_join, .init = setup, .fini = teardown);

/* Both directions are opened with the receiving side's key, so that one function serves requests and responses. */
static struct gm_coap open_message(const struct gm_coap *msg, const struct gm_oscore_request *request, bool from_client,
                                   uint8_t *text)
{
	struct gm_oscore_keys keys = rec.keys;
	struct gm_oscore_option option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_coap inner;

	if (!from_client) {
		memcpy(keys.recv_key, rec.keys.send_key, sizeof keys.recv_key);
		keys.sid = rec.keys.rid;
		keys.rid = rec.keys.sid;
	}
	cr_assert_eq(gm_oscore_option_decode(msg->oscore, &option), GM_E_OK);
	cr_assert_eq(
	    gm_oscore_unwrap(&keys, msg->payload, &option, request, from_client, text, TEXT_MAX, &scratch, &job),
	    GM_E_OK);
	cr_assert_eq(gm_aead_open_many(&job, 1), 1);
	cr_assert_eq(gm_coap_decode_inner((struct gm_bytes){text, job.text_len}, &inner), GM_E_OK);
	return inner;
}

/* Plaintext of exchange i */
static struct exchange open_exchange(unsigned i, uint8_t texts[2][TEXT_MAX])
{
	const struct exchange *x = &rec.exchanges[i];
	struct gm_oscore_option option;
	struct gm_oscore_request request = {.kid = rec.keys.rid};

	cr_assert_lt(i, rec.n);
	cr_assert_eq(gm_oscore_option_decode(x->request.oscore, &option), GM_E_OK);
	request.piv_n = option.piv_n;
	memcpy(request.piv, option.piv, option.piv_n);
	return (struct exchange){.request = open_message(&x->request, &request, true, texts[0]),
	                         .response = open_message(&x->response, &request, false, texts[1])};
}

static const json_t *step(const char *method, const char *path)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(rec.json, "steps"), i, s)
	{
		if (!strcmp(json_string_value(json_object_get(s, "method")), method) &&
		    !strcmp(json_string_value(json_object_get(s, "path")), path))
			return s;
	}
	cr_assert_fail("no step %s %s", method, path);
	return NULL;
}

static struct gm_bytes step_payload(const char *method, const char *path, uint8_t *buf)
{
	return hex_of(step(method, path), "payload", buf);
}

static bool is_hex(struct gm_bytes b, const char *want)
{
	uint8_t buf[TEXT_MAX];
	return gm_bytes_eq(b, (struct gm_bytes){buf, gm_hex(buf, sizeof buf, want)});
}

Test(rise_join, token_request_has_token_nonce_and_recipient_id)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(rec.exchanges[0].request.payload, &r), GM_E_OK);
	cr_expect(gm_bytes_eq(r.token, value("token")));
	cr_expect(gm_bytes_eq(r.nonce1, value("n1")));
	cr_expect(gm_bytes_eq(r.id1, value("id1")));
}

Test(rise_join, token_request_asks_for_ecdh_info_under_its_old_label)
{
	struct gm_token_request r;
	cr_assert_eq(gm_token_request_decode(rec.exchanges[0].request.payload, &r), GM_E_OK);
	cr_expect_eq(r.sign_info, 45);
	cr_expect_eq(r.ecdh_info, 92);
	cr_expect_eq(r.kdc_dh_creds, 0);
}

Test(rise_join, token_response_has_nonce_recipient_id_and_challenge)
{
	struct gm_token_response r;
	cr_assert_eq(gm_token_response_decode(rec.exchanges[0].response.payload, &r), GM_E_OK);
	cr_expect(gm_bytes_eq(r.nonce2, value("n2")));
	cr_expect(gm_bytes_eq(r.id2, value("id2")));
	cr_expect(gm_bytes_eq(r.challenge, value("kdcchallenge")));
	cr_expect_eq(r.infos_n, 5);
}

Test(rise_join, token_response_is_what_our_encoder_writes_apart_from_the_order)
{
	uint8_t buf[TEXT_MAX], infos[TEXT_MAX];
	struct gm_out i = gm_out(infos, sizeof infos), o = gm_out(buf, sizeof buf);
	struct gm_group_params p = gm_group_params_default();
	struct gm_bytes name = {(const uint8_t *)"feedca570000", 12};

	gm_cbor_put_uint(&i, 45);
	gm_cbor_put_array(&i, 1);
	gm_sign_info_entry(&i, &name, 1, &p);
	struct gm_bytes sign = gm_out_result(&i);
	gm_cbor_put_uint(&i, 92);
	gm_cbor_put_array(&i, 1);
	gm_ecdh_info_entry(&i, &name, 1, &p);
	struct gm_bytes ecdh = {sign.p + sign.n, gm_out_len(&i) - sign.n};
	gm_token_response_encode(&o, &(struct gm_token_response){.nonce2 = value("n2"),
	                                                         .id2 = value("id2"),
	                                                         .challenge = value("kdcchallenge"),
	                                                         .infos = gm_out_result(&i),
	                                                         .infos_n = 2});
	cr_assert_eq(o.err, GM_E_OK);
	struct gm_bytes theirs = rec.exchanges[0].response.payload;
	cr_expect_eq(theirs.n, gm_out_len(&o));
	cr_expect_not_null(memmem(theirs.p, theirs.n, sign.p, sign.n));
	cr_expect_not_null(memmem(theirs.p, theirs.n, ecdh.p, ecdh.n));
}

Test(rise_join, token_opens_with_the_key_of_the_authorization_server)
{
	struct gm_cose msg;
	cr_assert_eq(gm_cose_decode(value("token"), &msg), GM_E_OK);
	cr_expect_eq(msg.kind, GM_COSE_ENCRYPT0);
	cr_expect_eq(msg.alg, 30);
	cr_expect(gm_bytes_is(rec.cwt.iss, "TestAS"));
	cr_expect(gm_bytes_is(rec.cwt.aud, "aud2"));
	cr_expect(gm_bytes_eq(rec.cwt.osc.ms, value("ms")));
	cr_expect(gm_bytes_eq(rec.cwt.osc.salt, value("input_salt")));
	cr_expect_eq(gm_scope_check(rec.cwt.scope), GM_E_OK);
	cr_expect(gm_scope_allows(rec.cwt.scope, (struct gm_bytes){(const uint8_t *)"feedca570000", 12},
	                          GM_ROLE_REQUESTER | GM_ROLE_RESPONDER));
}

Test(rise_join, token_does_not_open_with_another_key)
{
	struct gm_cose msg;
	uint8_t out[TEXT_MAX];
	size_t n;
	cr_assert_eq(gm_cose_decode(value("token"), &msg), GM_E_OK);
	struct gm_cose_key key = as_key(&msg);
	key.key[3] ^= 1;
	cr_expect_eq(gm_cose_open(&msg, &key, out, sizeof out, &n), GM_E_TOKEN_KEY);
}

Test(rise_join, token_gives_the_keys_of_the_association)
{
	cr_expect(gm_bytes_eq((struct gm_bytes){rec.keys.recv_key, 16}, value("oscore_sender_key_client")));
	cr_expect(gm_bytes_eq((struct gm_bytes){rec.keys.send_key, 16}, value("oscore_recipient_key_client")));
	cr_expect(gm_bytes_eq((struct gm_bytes){rec.keys.common_iv, 13}, value("common_iv")));
}

Test(rise_join, join_request_names_group_roles_credential_and_nonce)
{
	uint8_t texts[2][TEXT_MAX];
	struct exchange x = open_exchange(1, texts);
	struct gm_join_request r;

	cr_assert_eq(gm_join_request_decode(x.request.payload, &r), GM_E_OK);
	cr_expect(gm_bytes_is(r.group, "feedca570000"));
	cr_expect_eq(r.roles, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER);
	cr_expect_eq(r.get_creds, GM_CREDS_NEEDED, "%d", r.get_creds);
	cr_expect(gm_bytes_eq(r.cred, value("cred_ccs")));
	cr_expect(gm_bytes_eq(r.cnonce, value("cnonce")));
}

Test(rise_join, join_request_proves_possession_of_the_credential)
{
	uint8_t texts[2][TEXT_MAX], buf[256], key[32];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct exchange x = open_exchange(1, texts);
	struct gm_group_params p = gm_group_params_default();
	struct gm_join_request r;

	cr_assert_eq(gm_join_request_decode(x.request.payload, &r), GM_E_OK);
	cr_assert_eq(ccs_key(r.cred, &p, key), GM_E_OK);
	gm_pop_input(&o, r.scope, value("kdcchallenge"), r.cnonce);
	cr_assert_eq(r.verify.n, GM_ED25519_SIG);
	cr_expect_eq(gm_ed25519_verify(&(struct gm_ed25519_job){key, r.verify.p, buf, gm_out_len(&o)}, 1), 1);
}

Test(rise_join, join_response_on_the_wire_is_the_one_of_the_record)
{
	uint8_t texts[2][TEXT_MAX];
	struct exchange x = open_exchange(1, texts);
	cr_expect_eq(x.response.code, GM_COAP(2, 1));
	cr_expect_eq(x.response.content_format, GM_CF_GROUPCOMM);
	cr_expect(gm_bytes_eq(x.response.payload, value("join_response")));
}

static void expect_group_key(const struct gm_keying_map *m)
{
	cr_expect_eq(m->gkty, 1);
	cr_expect_eq(m->num, 0);
	cr_expect_eq(m->profile, 1);
	cr_expect_eq(m->exp, 0x9fe1c900);
	cr_expect_eq(m->exi, 0x34dfacce);
	cr_expect(is_hex(m->ms, "0102030405060708090a0b0c0d0e0f10"));
	cr_expect(is_hex(m->salt, "9e7ca92223786340"));
	cr_expect(is_hex(m->gid, "feedca57f05c"));
	cr_expect(m->has_params);
	cr_expect(m->params.group_mode && m->params.pairwise_mode);
	cr_expect_eq(m->params.hkdf, 5);
	cr_expect_eq(m->params.cred_fmt, 14);
	cr_expect_eq(m->params.gp_enc_alg, 10);
	cr_expect_eq(m->params.sign_alg, -8);
	cr_expect_eq(m->params.alg, 10);
	cr_expect_eq(m->params.ecdh_alg, -27);
	cr_expect(m->params.sign_kty == 1 && m->params.sign_crv == 6);
	cr_expect(m->params.ecdh_kty == 1 && m->params.ecdh_crv == 4);
}

Test(rise_join, join_response_decodes_to_the_groups_keys)
{
	struct gm_keying_map m;
	cr_assert_eq(gm_keying_decode(value("join_response"), &m), GM_E_OK);
	expect_group_key(&m);
	cr_expect(is_hex(m.sid, "7e"));
	cr_expect(is_hex(m.policies, "a201190e100200"));
	cr_expect(is_hex(m.peer_ids, "8241774152"));
	cr_expect(is_hex(m.peer_roles, "820602") || is_hex(m.peer_roles, "820206"));
	cr_expect_eq(m.kdc_nonce.n, 8);
	cr_expect_eq(m.kdc_cred.n, 48);
}

Test(rise_join, join_response_proves_possession_of_the_group_managers_key)
{
	uint8_t buf[256], key[32];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct gm_keying_map m;
	cr_assert_eq(gm_keying_decode(value("join_response"), &m), GM_E_OK);
	cr_assert_eq(ccs_key(m.kdc_cred, &m.params, key), GM_E_OK);
	gm_pop_input(&o, value("cnonce"), m.kdc_nonce, (struct gm_bytes){0});
	cr_expect_eq(gm_ed25519_verify(&(struct gm_ed25519_job){key, m.kdc_verify.p, buf, gm_out_len(&o)}, 1), 1);
}

Test(rise_join, join_response_is_what_our_encoder_writes_byte_for_byte)
{
	uint8_t buf[TEXT_MAX];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct gm_bytes theirs = value("join_response");
	struct gm_keying_map m;

	cr_assert_eq(gm_keying_decode(theirs, &m), GM_E_OK);
	struct gm_bytes creds = {m.creds.p - 1, (size_t)(m.peer_ids.p + m.peer_ids.n - m.creds.p) + 1};
	gm_join_response_encode(&o, &(struct gm_join_response){.keying = {.params = &m.params,
	                                                                  .ms = m.ms,
	                                                                  .salt = m.salt,
	                                                                  .gid = m.gid,
	                                                                  .sid = m.sid,
	                                                                  .exp = m.exp,
	                                                                  .exi = (uint64_t)m.exi},
	                                                       .kdc_cred = m.kdc_cred,
	                                                       .kdc_nonce = m.kdc_nonce,
	                                                       .kdc_verify = m.kdc_verify,
	                                                       .has_creds = true,
	                                                       .creds = creds,
	                                                       .check_interval = 3600});
	cr_assert_eq(o.err, GM_E_OK);
	cr_expect(gm_bytes_eq(gm_out_result(&o), theirs));
}

Test(rise_join, get_of_the_group_is_what_our_encoder_writes)
{
	uint8_t buf[TEXT_MAX], want[TEXT_MAX];
	struct gm_out o = gm_out(buf, sizeof buf);
	struct gm_bytes theirs = step_payload("GET", "/ace-group/feedca570000", want);
	struct gm_keying_map m;

	cr_assert_eq(gm_keying_decode(theirs, &m), GM_E_OK);
	expect_group_key(&m);
	cr_expect_null(m.sid.p);
	gm_keying_encode(
	    &o,
	    &(struct gm_keying){
	        .params = &m.params, .ms = m.ms, .salt = m.salt, .gid = m.gid, .exp = m.exp, .exi = (uint64_t)m.exi},
	    (struct gm_bytes){0}, (struct gm_bytes){0});
	cr_expect(gm_bytes_eq(gm_out_result(&o), theirs));
}

Test(rise_join, get_of_the_node_adds_its_sender_id)
{
	uint8_t want[TEXT_MAX];
	struct gm_keying_map m;
	struct gm_bytes theirs = step_payload("GET", "/ace-group/feedca570000/nodes/feedca57f05c-7e", want);
	cr_assert_eq(gm_keying_decode(theirs, &m), GM_E_OK);
	expect_group_key(&m);
	cr_expect(is_hex(m.sid, "7e"));
}

Test(rise_join, key_renewal_answers_with_a_sender_id_only)
{
	uint8_t want[TEXT_MAX];
	struct gm_keying_map m;
	struct gm_bytes theirs = step_payload("POST", "/ace-group/feedca570000/nodes/feedca57f05c-7e", want);
	cr_assert_eq(gm_keying_decode(theirs, &m), GM_E_OK);
	cr_expect(is_hex(m.sid, "00"));
	cr_expect_null(m.ms.p);
}

Test(rise_join, refusals_are_what_our_encoder_writes_with_the_title_as_detail)
{
	uint8_t buf[TEXT_MAX], want[TEXT_MAX];
	struct gm_bytes theirs = step_payload("GET", "/ace-group/feedca570000/verif-data", want);
	struct gm_out o = gm_out(buf, sizeof buf);

	gm_problem_encode(&o, 8, "Operation permitted only to signature verifiers");
	struct gm_bytes ours = gm_out_result(&o);
	want[5] = 0x21; /* their title, label -1, is our detail, label -2 */
	cr_expect(gm_bytes_eq(ours, theirs));
}

Test(rise_join, credentials_of_all_members_pass_the_check)
{
	uint8_t text[TEXT_MAX], key[32];
	struct gm_group_params p = gm_group_params_default();
	struct gm_bytes payload = step_payload("GET", "/ace-group/feedca570000/creds", text);
	struct gm_in in = gm_in_bytes(payload);
	unsigned checked = 0;

	for (uint64_t n = gm_cbor_map(&in); n; n--) {
		if (gm_cbor_uint(&in) != GM_LABEL_CREDS) {
			gm_cbor_skip(&in);
			continue;
		}
		for (uint64_t k = gm_cbor_array(&in); k; k--, checked++)
			cr_expect_eq(ccs_key(gm_cbor_bstr(&in), &p, key), GM_E_OK);
	}
	cr_expect_eq(checked, 3);
	cr_expect_eq(gm_cbor_end(&in), GM_E_OK);
}

Test(rise_join, every_recorded_exchange_decrypts_to_its_step)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(rec.json, "steps"), i, s)
	{
		uint8_t texts[2][TEXT_MAX], request[TEXT_MAX], response[TEXT_MAX];
		struct exchange x = open_exchange((unsigned)i + STEPS_AT, texts);
		json_t *format = json_object_get(s, "content_format");
		cr_expect(gm_bytes_eq(x.request.payload, hex_of(s, "request_payload", request)), "request of step %zu",
		          i);
		cr_expect(gm_bytes_eq(x.response.payload, hex_of(s, "payload", response)), "response of step %zu", i);
		cr_expect_eq(x.response.content_format,
		             json_is_integer(format) ? json_integer_value(format) : GM_CF_NONE);
	}
	cr_expect_eq(rec.n, i + STEPS_AT);
}
