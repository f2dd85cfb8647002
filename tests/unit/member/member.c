/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated member against a Group Manager of a few lines, made of the same codecs: one datagram there, one back. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench/member/askey.h"
#include "bench/member/member.h"
#include "wire/cbor.h"
#include "wire/params.h"
#include "wire/proof.h"

#define SERVER "127.0.0.1:5683"

struct manager { /* the other side */
	struct gm_askey as;
	struct gm_oscore_keys keys;
	uint64_t seq, window_seq;
	struct gm_key_pair kdc;
	uint8_t challenge[8], id2[3], ms[16], salt[8], gid[6];
	uint64_t version;
	struct gm_group_params params, told; /* told: to joiners */
	unsigned refusals;
	bool echo, echoed, blockwise, forgets, bad_signature, observed; /* forgets: once, what it was asked for by blocks */
	uint8_t obs_token[4], creds[640];
	struct gm_oscore_request obs;
	unsigned joins;
	uint8_t body[2048]; /* of the latest Join Response */
	size_t body_n;
};

struct world {
	struct gm_member_env env;
	struct gm_member_group groups[1];
	struct gm_member m;
	struct manager gm;
	uint8_t sent[1500];
	size_t sent_n, sends;
	uint64_t timer;
	unsigned done, failed;
	uint8_t code;
	const char *reason;
	bool hold; /* what comes waits for a flush of the test's */
};

static void on_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct world *w = arg;
	(void)m;
	(void)to;
	memcpy(w->sent, p, n);
	w->sent_n = n;
	w->sends++;
}

static void on_timer(void *arg, struct gm_member *m, uint64_t at_ms)
{
	(void)m;
	((struct world *)arg)->timer = at_ms;
}

static void on_done(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took)
{
	struct world *w = arg;
	(void)m;
	(void)op;
	(void)took;
	w->done++;
	w->code = code;
}

static void on_context(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt)
{
	(void)arg;
	(void)m;
	cr_assert(ms.n == 16 && salt.n == 27);
}

static void on_installed(void *arg, struct gm_member *m)
{
	(void)arg;
	(void)m;
}

static void on_failed(void *arg, struct gm_member *m, const char *reason)
{
	struct world *w = arg;
	(void)m;
	w->failed++;
	w->reason = reason;
}

static void new_keys(struct manager *g)
{
	g->version++;
	gm_random(g->ms, sizeof(g->ms));
	gm_random(g->salt, sizeof(g->salt));
	gm_random(g->gid, sizeof(g->gid));
}

static struct world *new_world_of(const struct gm_group_params *params)
{
	uint8_t seed[32];
	struct world *w = calloc(1, sizeof(*w));
	struct gm_addr addr;
	struct gm_minted minted;
	uint8_t scope_bytes[32];
	struct gm_out scope = gm_out(scope_bytes, sizeof(scope_bytes));
	cr_assert(w && gm_crypto_init() && gm_addr_parse(&addr, "127.1.0.7:40000"));
	w->env = (struct gm_member_env){.arg = w,
	                                .send = on_send,
	                                .timer = on_timer,
	                                .done = on_done,
	                                .context = on_context,
	                                .installed = on_installed,
	                                .failed = on_failed,
	                                .groups = w->groups,
	                                .groups_n = 1};
	cr_assert(gm_addr_parse(&w->env.server, SERVER) && gm_member_env_init(&w->env) == GM_E_OK);
	strcpy(w->groups[0].name, "g1");
	w->env.now_ns = 1000000000u;
	cr_assert_eq(gm_askey_generate(&w->gm.as, "AES-CCM-16-64-128", "as", "gm"), GM_E_OK);
	gm_cbor_put_array(&scope, 1);
	gm_scope_put(&scope, "g1", GM_ROLE_REQUESTER | GM_ROLE_RESPONDER);
	cr_assert_eq(gm_askey_mint(&minted, &w->gm.as, gm_out_result(&scope), 2000000000), GM_E_OK);
	gm_member_init(&w->m, 7, &addr, 0, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER, true);
	w->m.token = malloc(minted.token_n);
	w->m.token_n = (uint16_t)minted.token_n;
	memcpy(w->m.token, minted.token, minted.token_n);
	memcpy(w->m.token_ms, minted.ms, 16);
	memcpy(w->m.token_salt, minted.salt, 8);
	w->gm.params = w->gm.told = *params;
	gm_random(seed, sizeof(seed));
	cr_assert_eq(gm_key_pair_make(&w->gm.kdc, params, seed), GM_E_OK);
	gm_random(w->gm.challenge, 8);
	memcpy(w->gm.id2, "\x01\x02\x03", 3);
	new_keys(&w->gm);
	return w;
}

static struct world *new_world(void)
{
	struct gm_group_params usual = gm_group_params_default();
	return new_world_of(&usual);
}

static void free_world(struct world *w)
{
	free(w->m.token);
	gm_member_clear(&w->m);
	gm_member_env_free(&w->env);
	free(w);
}

static void to_member(struct world *w, struct gm_out *pkt)
{
	cr_assert_eq(pkt->err, GM_E_OK);
	w->env.now_ns += 1000000;
	gm_member_receive(&w->env, &w->m, gm_out_result(pkt), &w->env.server);
	if (!w->hold)
		gm_member_flush(&w->env);
}

/* ---- the Group Manager's answers */

static const struct gm_bytes g1 = {(const uint8_t *)"g1", 2};

static struct gm_bytes kdc_cred(const struct manager *g, uint8_t *buf, size_t cap)
{
	struct gm_out out = gm_out(buf, cap);
	cr_assert_eq(gm_own_cred_encode(&out, &g->params, &g->kdc, 0), GM_E_OK);
	return gm_out_result(&out);
}

/* What the token's answer says of the group, where it was asked. */
static unsigned put_infos(struct gm_out *out, const struct manager *g, const struct gm_token_request *r)
{
	uint8_t cred[640];
	unsigned n = 0;
	if (r->sign_info && g->told.group_mode && ++n) {
		gm_cbor_put_uint(out, r->sign_info);
		gm_cbor_put_array(out, 1);
		gm_sign_info_entry(out, &g1, 1, &g->told);
	}
	if (r->ecdh_info && g->told.pairwise_mode && ++n) {
		gm_cbor_put_uint(out, r->ecdh_info);
		gm_cbor_put_array(out, 1);
		gm_ecdh_info_entry(out, &g1, 1, &g->told);
	}
	if (r->kdc_dh_creds && !g->told.group_mode && ++n) {
		gm_cbor_put_uint(out, r->kdc_dh_creds);
		gm_cbor_put_array(out, 1);
		gm_kdc_dh_creds_entry(out, &g1, 1, &g->told, kdc_cred(g, cred, sizeof(cred)));
	}
	return n;
}

static void manager_token(struct world *w, const struct gm_coap *msg)
{
	struct manager *g = &w->gm;
	struct gm_token_request r;
	struct gm_cose cose;
	struct gm_cwt cwt;
	uint8_t claims[512], salt_bytes[64], body[768], bytes[1024], info_bytes[640];
	size_t n;
	uint16_t last = 0;
	struct gm_out salt = gm_out(salt_bytes, sizeof(salt_bytes)), out = gm_out(body, sizeof(body)),
	              pkt = gm_out(bytes, sizeof(bytes)), infos = gm_out(info_bytes, sizeof(info_bytes));
	cr_assert(msg->path_n == 1 && gm_bytes_is(msg->path[0], "authz-info") && msg->content_format == GM_CF_ACE);
	cr_assert_eq(gm_token_request_decode(msg->payload, &r), GM_E_OK);
	cr_assert_eq(gm_cose_decode(r.token, &cose), GM_E_OK);
	cr_assert_eq(gm_cose_open(&cose, &g->as.mint, claims, sizeof(claims), &n), GM_E_OK);
	cr_assert_eq(gm_cwt_decode((struct gm_bytes){claims, n}, &cwt), GM_E_OK);
	cr_assert(gm_scope_allows(cwt.scope, (struct gm_bytes){(const uint8_t *)"g1", 2}, w->m.roles));
	struct gm_token_response response = {
	    .nonce2 = {(const uint8_t *)"nonce222", 8}, .id2 = {g->id2, 3}, .challenge = {g->challenge, 8}};
	gm_oscore_ace_salt(&salt, cwt.osc.salt, false, r.nonce1, response.nonce2);
	struct gm_oscore_input input = {
	    .ms = cwt.osc.ms, .salt = gm_out_result(&salt), .sid = r.id1, .rid = response.id2};
	cr_assert_eq(gm_oscore_derive(&g->keys, &input), GM_E_OK);
	response.infos_n = put_infos(&infos, g, &r);
	response.infos = gm_out_result(&infos);
	gm_token_response_encode(&out, &response);
	gm_coap_put_head(&pkt, GM_COAP_ACK, GM_COAP(2, 1), msg->mid, msg->token, msg->token_len);
	gm_coap_put_option_uint(&pkt, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
	gm_coap_put_payload(&pkt, body, gm_out_len(&out));
	to_member(w, &pkt);
}

static struct gm_keying keying(struct manager *g, const char *sid)
{
	return (struct gm_keying){.params = &g->params,
	                          .ms = {g->ms, 16},
	                          .salt = {g->salt, 8},
	                          .gid = {g->gid, 6},
	                          .sid = {(const uint8_t *)sid, sid ? 1 : 0},
	                          .num = g->version,
	                          .exp = 2000000000,
	                          .exi = 100};
}

static void join_body(struct world *w, const struct gm_join_request *r)
{
	struct manager *g = &w->gm;
	uint8_t input_bytes[128], cred[640], proof[GM_PROOF_MAX], sid[2] = {(uint8_t)(0x10 + g->joins++), 0};
	struct gm_out input = gm_out(input_bytes, sizeof(input_bytes));
	struct gm_cred_pub pub;
	struct gm_bytes own = kdc_cred(g, cred, sizeof(cred));
	cr_assert_eq(gm_cred_pub(r->cred, &g->params, &pub), GM_E_OK);
	gm_pop_input(&input, r->scope, (struct gm_bytes){g->challenge, 8}, r->cnonce);
	cr_assert(gm_proof_verify(&g->params, &g->kdc, &pub, gm_out_result(&input), r->verify), "proof of possession");
	input = gm_out(input_bytes, sizeof(input_bytes));
	gm_pop_input(&input, r->cnonce, (struct gm_bytes){(const uint8_t *)"kdcnonce", 8}, (struct gm_bytes){0});
	cr_assert_eq(gm_proof_make(&g->params, &g->kdc, &pub, gm_out_result(&input), proof), GM_E_OK);
	proof[0] ^= g->bad_signature;
	struct gm_join_response response = {.keying = keying(g, (char *)sid),
	                                    .kdc_cred = own,
	                                    .kdc_nonce = {(const uint8_t *)"kdcnonce", 8},
	                                    .kdc_verify = {proof, gm_proof_len(&g->params)},
	                                    .has_creds = r->get_creds != GM_CREDS_NO,
	                                    .check_interval = 3600};
	struct gm_out creds = gm_out(g->creds, sizeof(g->creds)), out = gm_out(g->body, sizeof(g->body));
	if (response.has_creds) { /* one peer: the Group Manager's key serves */
		gm_cbor_put_uint(&creds, 13);
		gm_cbor_put_array(&creds, 1);
		gm_cbor_put_bstr(&creds, own.p, own.n);
		gm_cbor_put_uint(&creds, 14);
		gm_cbor_put_array(&creds, 1);
		gm_cbor_put_uint(&creds, 4);
		gm_cbor_put_uint(&creds, 15);
		gm_cbor_put_array(&creds, 1);
		gm_cbor_put_bstr(&creds, "\x51", 1);
		response.creds = gm_out_result(&creds);
	}
	gm_join_response_encode(&out, &response);
	cr_assert_eq(out.err, GM_E_OK);
	g->body_n = gm_out_len(&out);
}

/* 4.00 to a Join without a credential */
static uint8_t refuse_join(struct manager *g, struct gm_out *out)
{
	uint8_t body[768], cred[640];
	struct gm_out o = gm_out(body, sizeof(body));
	uint16_t last = 0;
	g->refusals++;
	gm_random(g->challenge, sizeof(g->challenge));
	gm_join_info_encode(&o, g1, &g->told, kdc_cred(g, cred, sizeof(cred)), (struct gm_bytes){g->challenge, 8});
	gm_out_u8(out, GM_COAP(4, 0));
	gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
	gm_coap_put_payload(out, body, gm_out_len(&o));
	return GM_COAP(4, 0);
}

static uint8_t manager_inner(struct world *w, const struct gm_coap *inner, struct gm_out *out)
{
	struct manager *g = &w->gm;
	struct gm_join_request r;
	uint16_t last = 0;
	uint8_t code = GM_COAP(2, 5), body[512];
	struct gm_out payload = gm_out(body, sizeof(body));
	struct gm_keying k = keying(g, NULL);
	if (g->echo && !inner->has_echo) {
		gm_out_u8(out, GM_COAP(4, 1));
		gm_coap_put_option(out, &last, GM_OPT_ECHO, "echoecho", 8);
		return GM_COAP(4, 1);
	}
	g->echoed |= inner->has_echo;
	if (inner->code == GM_COAP_POST) {
		code = w->m.node_n ? GM_COAP(2, 4) : GM_COAP(2, 1);
		if (inner->payload.n) {
			cr_assert_eq(gm_join_request_decode(inner->payload, &r), GM_E_OK);
			cr_assert(gm_bytes_is(r.control_uri, "coap://127.1.0.7:40000/ace-group/g1/node"));
			if (!r.has_cred)
				return refuse_join(g, out);
			join_body(w, &r);
		}
		gm_out_u8(out, code);
		gm_coap_put_path(out, &last, GM_OPT_LOCATION_PATH, "/ace-group/g1/nodes/n1", 22);
		gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
		size_t from = inner->has_block2 ? inner->block2.num * 128u : 0, n = g->body_n - from;
		bool more = g->blockwise && n > 128;
		if (g->blockwise)
			gm_coap_put_block(out, &last, GM_OPT_BLOCK2,
			                  (struct gm_coap_block){inner->has_block2 ? inner->block2.num : 0, more, 3});
		gm_coap_put_payload(out, g->body + from, more ? 128 : n);
		return code;
	}
	if (g->forgets && inner->has_block2 && inner->block2.num) {
		g->forgets = false;
		gm_out_u8(out, GM_COAP(4, 8));
		return GM_COAP(4, 8);
	}
	if (inner->code == GM_COAP_DELETE) {
		gm_out_u8(out, GM_COAP(2, 2));
		return GM_COAP(2, 2);
	}
	gm_out_u8(out, code);
	if (inner->has_observe)
		gm_coap_put_option(out, &last, GM_OPT_OBSERVE, NULL, 0);
	gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
	if (inner->code == GM_COAP_FETCH) {
		struct gm_in in = gm_in_bytes(inner->payload);
		cr_assert(gm_bytes_is(inner->path[2], "stale-sids") && gm_cbor_uint(&in) < g->version);
		gm_cbor_put_array(&payload, 1);
		gm_cbor_put_bstr(&payload, "\x51", 1);
	} else {
		gm_keying_encode(&payload, &k, (struct gm_bytes){0}, (struct gm_bytes){0});
	}
	size_t from = inner->has_block2 ? inner->block2.num * 32u : 0, n = gm_out_len(&payload) - from;
	bool more = g->blockwise && n > 32;
	if (g->blockwise)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2, (struct gm_coap_block){inner->has_block2 ? inner->block2.num : 0, more, 1});
	gm_coap_put_payload(out, body + from, more ? 32 : n);
	return code;
}

static void seal_to_member(struct world *w, const struct gm_oscore_outer *outer, const struct gm_oscore_request *r,
                           const struct gm_oscore_id *id, const uint8_t *piv, uint8_t piv_n, struct gm_bytes plain)
{
	uint8_t bytes[1500];
	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	cr_assert_eq(gm_oscore_wrap(&w->gm.keys, outer, r, id, piv, piv_n, plain, &pkt, &scratch, &job), GM_E_OK);
	cr_assert_eq(gm_aead_seal_many(&job, 1), 1);
	to_member(w, &pkt);
}

/* Takes what the member sent last, answers it. separate: empty ACK first, then a CON of its own. */
static void manager_answer(struct world *w, bool separate)
{
	struct manager *g = &w->gm;
	struct gm_coap msg, inner;
	uint8_t text[1500], plain[1500], empty[4];
	struct gm_oscore_option option;
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	cr_assert_eq(gm_coap_decode((struct gm_bytes){w->sent, w->sent_n}, &msg), GM_E_OK);
	if (!msg.has_oscore) {
		manager_token(w, &msg);
		return;
	}
	cr_assert_eq(gm_oscore_option_decode(msg.oscore, &option), GM_E_OK);
	cr_assert(gm_bytes_eq(option.kid, (struct gm_bytes){g->id2, 3}));
	uint64_t seq = gm_oscore_piv_seq(option.piv, option.piv_n);
	cr_assert(seq >= g->window_seq, "a Partial IV twice");
	g->window_seq = seq + 1;
	struct gm_oscore_request r = {.kid = g->keys.rid, .piv_n = option.piv_n};
	memcpy(r.piv, option.piv, option.piv_n);
	cr_assert_eq(gm_oscore_unwrap(&g->keys, msg.payload, &option, &r, true, text, sizeof(text), &scratch, &job),
	             GM_E_OK);
	cr_assert_eq(gm_aead_open_many(&job, 1), 1);
	cr_assert_eq(gm_coap_decode_inner((struct gm_bytes){text, job.text_len}, &inner), GM_E_OK);
	if (inner.has_observe) {
		g->observed = true;
		g->obs = r;
		memcpy(g->obs_token, msg.token, 4);
	}
	struct gm_out out = gm_out(plain, sizeof(plain));
	manager_inner(w, &inner, &out);
	struct gm_oscore_outer outer = {.type = separate ? GM_COAP_CON : GM_COAP_ACK,
	                                .code = GM_COAP(2, 4),
	                                .mid = separate ? 0x7777 : msg.mid,
	                                .token_len = msg.token_len};
	memcpy(outer.token, msg.token, msg.token_len);
	if (separate) {
		struct gm_out ack = gm_out(empty, sizeof(empty));
		gm_coap_put_empty(&ack, GM_COAP_ACK, msg.mid);
		to_member(w, &ack);
	}
	seal_to_member(w, &outer, &r, &r.kid, r.piv, r.piv_n, gm_out_result(&out));
}

/* A CON request of the Group Manager to control_uri; payload as given. */
static void manager_asks(struct world *w, uint8_t method, uint16_t mid, uint64_t seq, struct gm_bytes payload)
{
	uint8_t plain[512];
	struct gm_out out = gm_out(plain, sizeof(plain));
	uint16_t last = 0;
	gm_out_u8(&out, method);
	gm_coap_put_path(&out, &last, GM_OPT_URI_PATH, "/ace-group/g1/node", 18);
	if (payload.n)
		gm_coap_put_option_uint(&out, &last, GM_OPT_CONTENT_FORMAT, GM_CF_GROUPCOMM);
	gm_coap_put_payload(&out, payload.p, payload.n);
	struct gm_oscore_request r = {.kid = w->gm.keys.sid};
	r.piv_n = gm_oscore_piv(r.piv, seq);
	struct gm_oscore_outer outer = {.type = GM_COAP_CON,
	                                .code = GM_COAP_POST,
	                                .mid = mid,
	                                .token_len = 1,
	                                .token = {9},
	                                .option = {.piv_n = r.piv_n, .has_kid = true, .kid = {r.kid.b, r.kid.n}}};
	memcpy(outer.option.piv, r.piv, r.piv_n);
	seal_to_member(w, &outer, &r, &r.kid, r.piv, r.piv_n, gm_out_result(&out));
}

static struct gm_bytes rekey_body(struct manager *g, uint8_t *buf, size_t cap)
{
	struct gm_out out = gm_out(buf, cap);
	struct gm_keying k = keying(g, NULL);
	gm_rekey_encode(&out, &k, (struct gm_bytes){(const uint8_t *)"\x81\x41\x51", 3}, (struct gm_bytes){0});
	return gm_out_result(&out);
}

/* What the member's latest message says, as the Group Manager reads the answer to its request. */
static uint8_t answered_code(struct world *w, uint64_t seq)
{
	struct gm_coap msg;
	struct gm_oscore_option option;
	uint8_t text[64];
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_oscore_request r = {.kid = w->gm.keys.sid};
	r.piv_n = gm_oscore_piv(r.piv, seq);
	cr_assert_eq(gm_coap_decode((struct gm_bytes){w->sent, w->sent_n}, &msg), GM_E_OK);
	cr_assert(msg.type == GM_COAP_ACK && msg.has_oscore);
	cr_assert_eq(gm_oscore_option_decode(msg.oscore, &option), GM_E_OK);
	cr_assert_eq(gm_oscore_unwrap(&w->gm.keys, msg.payload, &option, &r, false, text, sizeof(text), &scratch, &job),
	             GM_E_OK);
	cr_assert_eq(gm_aead_open_many(&job, 1), 1);
	return text[0];
}

static struct world *joined_world(unsigned plan)
{
	struct world *w = new_world();
	gm_member_plan(&w->env, &w->m, plan);
	gm_member_flush(&w->env);
	for (unsigned i = 0; i < 8 && w->m.ex.active; i++)
		manager_answer(w, false);
	cr_assert_eq(w->m.state, GM_MEMBER_IN);
	cr_assert_eq(w->failed, 0, "%s", w->reason);
	return w;
}

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

/* ---- */

Test(member, posts_its_token_and_joins)
{
	struct world *w = joined_world(JOIN);
	cr_assert(w->m.has_keys && w->m.keys.version == w->gm.version);
	cr_assert_arr_eq(w->m.keys.ms, w->gm.ms, 16);
	cr_assert_str_eq(w->m.node, "n1");
	cr_assert_eq(w->m.sid[0], 0x10);
	free_world(w);
}

Test(member, refuses_a_group_manager_that_cannot_prove_its_key)
{
	struct world *w = new_world();
	w->gm.bad_signature = true;
	gm_member_plan(&w->env, &w->m, JOIN);
	manager_answer(w, false);
	manager_answer(w, false);
	cr_assert_eq(w->failed, 1);
	cr_assert(!w->m.has_keys && w->m.state != GM_MEMBER_IN);
	free_world(w);
}

/* ---- groups of every kind */

static const struct {
	const char *what;
	struct gm_group_params params;
} kinds[] = {
    {"ES256", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -7, .alg = 10}},
    {"ES384", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -35, .alg = 10}},
    {"ES512", {.hkdf = 7, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = -65534, .sign_alg = -36, .alg = 3}},
    {"ES256 without pairwise mode", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .gp_enc_alg = 1, .sign_alg = -7}},
    {"X25519", {.hkdf = 5, .cred_fmt = 14, .pairwise_mode = true, .alg = 10}},
    {"P-256", {.hkdf = 5, .cred_fmt = 14, .pairwise_mode = true, .alg = 10, .ecdh_crv = GM_CRV_P256}},
    {"P-521", {.hkdf = 7, .cred_fmt = 14, .pairwise_mode = true, .alg = 24, .ecdh_crv = GM_CRV_P521}},
    {"P-521 in a certificate", {.hkdf = 5, .cred_fmt = 33, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -36, .alg = 10}},
    {"P-256 in C509", {.hkdf = 5, .cred_fmt = 25, .pairwise_mode = true, .alg = 10, .ecdh_crv = GM_CRV_P256}},
    {"CWT", {.hkdf = 5, .cred_fmt = 13, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -8, .alg = 10}},
    {"a certificate", {.hkdf = 5, .cred_fmt = 33, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -8, .alg = 10}},
    {"a bag of certificates", {.hkdf = 5, .cred_fmt = 32, .group_mode = true, .gp_enc_alg = 10, .sign_alg = -8}},
};
#define KINDS_N (sizeof(kinds) / sizeof(kinds[0]))

static struct gm_group_params kind(size_t i)
{
	struct gm_group_params p = kinds[i].params;
	gm_params_complete(&p);
	cr_assert_null(gm_params_check(&p, 1), "%s", kinds[i].what);
	return p;
}

Test(member, proves_with_the_algorithms_that_the_token_response_tells)
{
	for (size_t i = 0; i < KINDS_N; i++) {
		struct gm_group_params p = kind(i);
		struct world *w = new_world_of(&p);
		gm_member_plan(&w->env, &w->m, JOIN);
		manager_answer(w, false);
		manager_answer(w, false);
		cr_assert_eq(w->failed, 0, "%s: %s", kinds[i].what, w->reason);
		cr_assert(w->m.state == GM_MEMBER_IN && w->gm.refusals == 0, "%s", kinds[i].what);
		cr_assert(memcmp(&w->groups[0].params, &p, sizeof(p)) == 0, "%s", kinds[i].what);
		free_world(w);
	}
}

Test(member, asks_with_a_join_without_credential_and_proves_with_what_the_refusal_tells)
{
	for (size_t i = 0; i < KINDS_N; i++) {
		struct gm_group_params p = kind(i);
		struct world *w = new_world_of(&p);
		w->m.ask_at_join = true;
		gm_member_plan(&w->env, &w->m, JOIN);
		for (unsigned turn = 0; turn < 3; turn++)
			manager_answer(w, false);
		cr_assert_eq(w->failed, 0, "%s: %s", kinds[i].what, w->reason);
		cr_assert(w->m.state == GM_MEMBER_IN && w->gm.refusals == 1, "%s", kinds[i].what);
		free_world(w);
	}
}

Test(member, notices_a_proof_of_the_group_manager_that_is_wrong_in_every_kind_of_group)
{
	for (size_t i = 0; i < KINDS_N; i++) {
		struct gm_group_params p = kind(i);
		struct world *w = new_world_of(&p);
		w->gm.bad_signature = true;
		gm_member_plan(&w->env, &w->m, JOIN);
		manager_answer(w, false);
		manager_answer(w, false);
		cr_assert(w->failed == 1 && w->m.state != GM_MEMBER_IN, "%s", kinds[i].what);
		cr_assert_str_eq(w->reason, "kdc_cred_verify does not verify");
		free_world(w);
	}
}

Test(member, notices_a_group_that_is_told_with_other_algorithms_than_it_has)
{
	struct world *w = new_world();
	w->gm.told.pairwise_mode = false;
	gm_member_plan(&w->env, &w->m, JOIN);
	manager_answer(w, false);
	manager_answer(w, false);
	cr_assert(w->failed == 1 && w->m.state != GM_MEMBER_IN);
	free_world(w);
}

Test(member, repeats_a_request_with_the_echo_value_it_was_given)
{
	struct world *w = new_world();
	w->gm.echo = true;
	gm_member_plan(&w->env, &w->m, JOIN);
	for (int i = 0; i < 3; i++)
		manager_answer(w, false);
	cr_assert(w->gm.echoed && w->m.state == GM_MEMBER_IN);
	free_world(w);
}

Test(member, puts_a_long_join_response_together)
{
	struct world *w = new_world();
	w->gm.blockwise = true;
	w->m.want_creds = true;
	gm_member_plan(&w->env, &w->m, JOIN);
	for (unsigned i = 0; i < 9 && w->m.ex.active; i++)
		manager_answer(w, false);
	cr_assert_eq(w->failed, 0, "%s", w->reason);
	cr_assert(w->m.state == GM_MEMBER_IN && w->gm.joins == 1 && w->env.stats.blocks >= 2);
	cr_assert(gm_member_find_peer(&w->m, (struct gm_bytes){(const uint8_t *)"\x51", 1}) != NULL);
	free_world(w);
}

Test(member, reads_anew_when_the_rest_of_an_answer_is_gone)
{
	struct world *w = joined_world(JOIN);

	w->gm.blockwise = w->gm.forgets = true;
	gm_member_plan(&w->env, &w->m, GM_PLAN(GM_OP_GROUP));
	for (unsigned i = 0; i < 20 && w->m.ex.active; i++)
		manager_answer(w, false);
	cr_expect_eq(w->failed, 0, "%s", w->reason);
	cr_expect(!w->gm.forgets && w->env.stats.blocks >= 2);
	cr_expect_eq(w->code, GM_COAP(2, 5), "%x", w->code);
	free_world(w);
}

Test(member, takes_a_separate_response_and_acknowledges_it_again_when_it_is_repeated)
{
	struct world *w = joined_world(JOIN);
	gm_member_plan(&w->env, &w->m, GM_PLAN(GM_OP_NODE));
	gm_member_abort(&w->env, &w->m);
	gm_member_plan(&w->env, &w->m, GM_PLAN(GM_OP_GROUP));
	manager_answer(w, true);
	cr_assert_eq(w->code, GM_COAP(2, 5));
	cr_assert(w->sent_n == 4 && w->sent[0] == 0x60 && w->sent[2] == 0x77);
	free_world(w);
}

Test(member, sends_again_until_it_gives_up)
{
	struct world *w = new_world();
	gm_member_plan(&w->env, &w->m, JOIN);
	uint8_t first[1500];
	memcpy(first, w->sent, w->sent_n);
	uint64_t before = 0, gap = 0;
	while (w->done == 0) {
		cr_assert(w->timer > before);
		if (before)
			cr_assert(w->timer - before >= gap);
		gap = w->timer - before > 1000 && before ? w->timer - before : 0;
		before = w->timer;
		w->env.now_ns = w->timer * 1000000u;
		cr_assert_arr_eq(first, w->sent, w->sent_n);
		gm_member_timeout(&w->env, &w->m);
	}
	cr_assert_eq(w->sends, 5);
	cr_assert_eq(w->code, 0);
	free_world(w);
}

Test(member, installs_a_rekeying_message_and_confirms_it)
{
	uint8_t body[128], first[64];
	struct world *w = joined_world(JOIN);
	uint64_t before = w->m.keys.version;
	new_keys(&w->gm);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert_eq(w->failed, 0, "%s", w->reason);
	cr_assert_eq(answered_code(w, 0), GM_COAP(2, 4));
	cr_assert(w->m.keys.version == before + 1 && w->m.prev.version == before);
	cr_assert_arr_eq(w->m.keys.gid, w->gm.gid, 6);
	size_t n = w->sent_n, sends = w->sends;
	memcpy(first, w->sent, n);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body))); /* the very same message */
	cr_assert(w->sends == sends + 1 && w->sent_n == n && memcmp(first, w->sent, n) == 0);
	manager_asks(w, GM_COAP_POST, 78, 0, rekey_body(&w->gm, body, sizeof(body))); /* a replay */
	cr_assert_eq(w->sends, sends + 1);
	free_world(w);
}

Test(member, gathers_requests_until_the_flush_and_first_answers_one_that_is_repeated)
{
	uint8_t body[128], first[64];
	struct world *w = joined_world(JOIN);
	uint64_t before = w->m.keys.version;
	size_t sends = w->sends;
	w->env.gather = w->hold = true;
	new_keys(&w->gm);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert(w->sends == sends && w->m.keys.version == before);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body))); /* the very same message */
	cr_assert(w->sends == sends + 2 && w->m.keys.version == before + 1);
	cr_assert_eq(answered_code(w, 0), GM_COAP(2, 4));
	size_t n = w->sent_n;
	memcpy(first, w->sent, n);
	new_keys(&w->gm);
	manager_asks(w, GM_COAP_POST, 78, 1, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert_eq(w->sends, sends + 2);
	gm_member_flush(&w->env);
	cr_assert(w->sends == sends + 3 && w->m.keys.version == before + 2);
	cr_assert_eq(answered_code(w, 1), GM_COAP(2, 4));
	cr_assert(w->sent_n != n || memcmp(first, w->sent, n) != 0);
	cr_assert_eq(w->failed, 0, "%s", w->reason);
	free_world(w);
}

Test(member, gathers_no_request_that_was_changed_on_its_way)
{
	uint8_t body[128];
	struct world *w = joined_world(JOIN);
	size_t sends = w->sends;
	w->env.gather = true;
	new_keys(&w->gm);
	w->gm.keys.send_key[0] ^= 1;
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert(w->sends == sends && w->env.stats.undecryptable == 1 && !w->m.waits);
	w->gm.keys.send_key[0] ^= 1;
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert(w->sends == sends + 1 && w->m.keys.version == w->gm.version);
	free_world(w);
}

Test(member, verifies_later_what_it_took_as_good)
{
	struct world *w = new_world();
	w->gm.bad_signature = w->env.later = true;
	gm_member_plan(&w->env, &w->m, JOIN);
	gm_member_flush(&w->env);
	manager_answer(w, false);
	manager_answer(w, false);
	cr_assert(w->m.state == GM_MEMBER_IN && w->failed == 0);
	cr_assert(gm_member_verify_kept(&w->env) == 1 && w->failed == 1);
	cr_assert(gm_member_verify_kept(&w->env) == 0 && w->failed == 1);
	w->gm.bad_signature = false;
	gm_member_plan(&w->env, &w->m, GM_PLAN(GM_OP_JOIN));
	gm_member_flush(&w->env);
	manager_answer(w, false);
	cr_assert(gm_member_verify_kept(&w->env) == 0 && w->failed == 1);
	free_world(w);
}

Test(member, asks_for_stale_sids_when_it_missed_a_version)
{
	uint8_t body[128];
	struct world *w = joined_world(JOIN);
	new_keys(&w->gm);
	new_keys(&w->gm);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert(!w->m.has_keys && w->m.has_next && w->m.ex.op == GM_OP_STALE);
	/* the FETCH went out before the confirmation: answer it as the Group Manager read it */
	gm_member_timeout(&w->env, &w->m);
	manager_answer(w, false);
	cr_assert(w->m.has_keys && w->m.keys.version == w->gm.version && !w->m.purged);
	free_world(w);
}

Test(member, ignores_versions_that_are_not_newer)
{
	uint8_t body[128];
	struct world *w = joined_world(JOIN);
	w->gm.version = 0;
	gm_random(w->gm.ms, 16);
	manager_asks(w, GM_COAP_POST, 77, 0, rekey_body(&w->gm, body, sizeof(body)));
	cr_assert(w->m.keys.version == 1 && memcmp(w->m.keys.ms, w->gm.ms, 16) != 0);
	free_world(w);
}

Test(member, takes_keys_from_a_notification_and_acknowledges_it)
{
	uint8_t plain[256], body[256];
	struct world *w = joined_world(JOIN | GM_PLAN(GM_OP_OBSERVE));
	cr_assert(w->gm.observed && w->m.observing);
	new_keys(&w->gm);
	struct gm_out out = gm_out(plain, sizeof(plain)), payload = gm_out(body, sizeof(body));
	struct gm_keying k = keying(&w->gm, NULL);
	uint16_t last = 0;
	gm_keying_encode(&payload, &k, (struct gm_bytes){(const uint8_t *)"\x80", 1}, (struct gm_bytes){0});
	gm_out_u8(&out, GM_COAP(2, 5));
	gm_coap_put_option(&out, &last, GM_OPT_OBSERVE, NULL, 0);
	gm_coap_put_payload(&out, body, gm_out_len(&payload));
	struct gm_oscore_outer outer = {.type = GM_COAP_CON,
	                                .code = GM_COAP(2, 5),
	                                .mid = 99,
	                                .token_len = 4,
	                                .has_observe = true,
	                                .observe = 5,
	                                .option = {.piv_n = 1, .piv = {3}}};
	memcpy(outer.token, w->gm.obs_token, 4);
	seal_to_member(w, &outer, &w->gm.obs, &w->gm.keys.sid, outer.option.piv, 1, gm_out_result(&out));
	cr_assert_eq(w->failed, 0, "%s", w->reason);
	cr_assert(w->m.keys.version == w->gm.version && w->m.how == GM_HOW_OBSERVE);
	cr_assert(w->sent_n == 4 && w->sent[0] == 0x60 && w->sent[3] == 99);
	free_world(w);
}

Test(member, gives_up_its_keys_when_it_is_evicted)
{
	struct world *w = joined_world(JOIN);
	manager_asks(w, GM_COAP_DELETE, 80, 4, (struct gm_bytes){0});
	cr_assert_eq(answered_code(w, 4), GM_COAP(2, 2));
	cr_assert(w->m.told && !w->m.has_keys && w->m.state == GM_MEMBER_EVICTED);
	free_world(w);
}

Test(member, leaves_and_forgets_its_node)
{
	struct world *w = joined_world(JOIN);
	gm_member_plan(&w->env, &w->m, GM_PLAN(GM_OP_LEAVE));
	manager_answer(w, false);
	cr_assert(w->m.state == GM_MEMBER_LEFT && !w->m.node_n && !w->m.has_keys);
	free_world(w);
}

Test(member, fits_two_kibibytes)
{
	cr_assert_leq(sizeof(struct gm_member), 2048);
}
