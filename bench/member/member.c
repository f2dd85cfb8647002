/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/cbor.h"
#include "wire/resources.h"

/* RFC 7252 §4.8 */
#define ACK_TIMEOUT_MS 2000u
#define ACK_RANDOM_MS 1000u
#define RETRANSMIT_MAX 4u
#define SEPARATE_MS 93000u /* MAX_TRANSMIT_WAIT: how long a separate response may take */
#define RESTARTS 3u

const char *gm_member_op_name(enum gm_member_op op)
{
	static const char *const names[GM_OP_N] = {"token",    "update",   "join",       "observe", "get-group",
	                                           "get-node", "stale-sids", "creds",   "fetch-cred",
	                                           "kdc-cred", "ask",        "renew",   "recred",
	                                           "leave"};
	return op < GM_OP_N ? names[op] : "?";
}

const char *gm_member_state_name(enum gm_member_state state)
{
	static const char *const names[] = {"new", "token", "in", "left", "evicted"};
	return names[state];
}

/* ---- life */

void gm_member_init_with(struct gm_member *m, uint32_t index, const struct gm_addr *addr, uint16_t group, uint8_t roles,
                         bool post, const struct gm_identity *own)
{
	m->index = index;
	m->addr = *addr;
	m->group = group;
	m->roles = roles;
	m->post = post;
	m->own = *own;
	gm_random(&m->next_mid, sizeof(m->next_mid));
	gm_random(&m->next_token, sizeof(m->next_token));
}

void gm_member_init(struct gm_member *m, uint32_t index, const struct gm_addr *addr, uint16_t group, uint8_t roles,
                    bool post)
{
	struct gm_identity own;
	gm_identities_make(&own, 1);
	gm_member_init_with(m, index, addr, group, roles, post, &own);
	gm_wipe(&own, sizeof(own));
}

void gm_member_clear(struct gm_member *m)
{
	free(m->ex.pkt);
	free(m->ex.body);
	free(m->control);
	free(m->next_own);
	gm_peers_forget(m);
	gm_wipe(m, sizeof(*m));
}

void gm_member_cred(struct gm_out *out, const struct gm_member *m)
{
	gm_out_bytes(out, m->own.cred, m->own.cred_n);
}

const struct gm_member_peer *gm_member_find_peer(const struct gm_member *m, struct gm_bytes sid)
{
	for (uint32_t i = 0; i < m->peers_n; i++)
		if (gm_bytes_eq((struct gm_bytes){m->peers[i].sid, m->peers[i].sid_n}, sid))
			return &m->peers[i];
	return NULL;
}

/* ---- what the requests say */

struct wording { /* one row per operation */
	uint8_t method;
	uint8_t path; /* 0: /authz-info, 1: /ace-group/G, 2: …/nodes/N, 3: below /ace-group/G, 4: below …/nodes/N, by name,
	               * 5: as below says */
	const char *below;
	int content_format;
	uint8_t observe; /* GM_ASK_... */
	void (*payload)(struct gm_member_env *env, struct gm_member *m, struct gm_out *out);
};

static void token_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	(void)env;
	struct gm_token_request r = {
	    .token = {m->token, m->token_n},
	    .nonce1 = {m->nonce1, sizeof(m->nonce1)},
	    .id1 = {m->id1, m->id1_n},
	};
	if (!m->ask_at_join) {
		r.sign_info = GM_OAUTH_SIGN_INFO;
		r.ecdh_info = GM_OAUTH_ECDH_INFO;
		r.kdc_dh_creds = GM_OAUTH_KDC_DH_CREDS;
	}
	gm_token_request_encode(out, &r);
}

static void update_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	(void)env;
	gm_token_request_encode(out, &(struct gm_token_request){.token = {m->update, m->update_n}});
}

static struct gm_bytes join_scope(struct gm_member_env *env, const struct gm_member *m, uint8_t *buf, size_t cap)
{
	const char *name = env->groups[m->group].name;
	struct gm_out out = gm_out(buf, cap);
	gm_join_scope_encode(&out, (struct gm_bytes){(const uint8_t *)name, strlen(name)}, m->roles);
	return gm_out_result(&out);
}

static void join_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	uint8_t scope[96];
	char uri[160], host[GM_ADDR_TEXT];
	bool proves = m->roles != GM_ROLE_MONITOR && m->informed; /* else the 4.00 tells how */
	struct gm_join_request r = {
	    .scope = join_scope(env, m, scope, sizeof(scope)),
	    .get_creds = m->want_creds ? GM_CREDS_NEEDED : GM_CREDS_NO,
	    .has_cred = proves,
	    .has_verify = proves,
	    .cred = {m->own.cred, m->own.cred_n},
	    .verify = {m->pop, m->pop_n},
	    .cnonce = {m->cnonce, sizeof(m->cnonce)},
	};
	if (m->post) {
		int n = snprintf(uri, sizeof(uri), "coap://%s/ace-group/%s/node", gm_addr_text(&m->addr, host),
		                 env->groups[m->group].name);
		r.control_uri = (struct gm_bytes){(const uint8_t *)uri, (size_t)n};
	}
	gm_join_request_encode(out, &r);
}

static void stale_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	(void)env;
	gm_cbor_put_uint(out, m->has_keys ? m->keys.version : m->prev.version);
}

static void fetch_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	uint8_t ids[GM_SID_MAX + 2];
	struct gm_out o = gm_out(ids, sizeof(ids));
	struct gm_creds_filter filter = {.include = true};
	(void)env;
	gm_cbor_put_array(&o, 1);
	gm_cbor_put_bstr(&o, m->fetch_sid, m->fetch_sid_n);
	if (gm_list_decode(gm_out_result(&o), GM_CBOR_BSTR, &filter.ids))
		gm_creds_filter_encode(out, &filter);
}

/* Another key, and the proof that it is ours: over the scope of the latest Join.        KG §9.4 */
static void recred_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	const struct gm_member_group *g = &env->groups[m->group];
	uint8_t scope[96], cnonce[8], pop[256], proof[GM_PROOF_MAX];
	struct gm_out pop_out = gm_out(pop, sizeof(pop));
	gm_random(cnonce, sizeof(cnonce));
	if (!m->next_own)
		m->next_own = malloc(sizeof(*m->next_own));
	gm_pop_input(&pop_out, join_scope(env, m, scope, sizeof(scope)), (struct gm_bytes){m->challenge, m->challenge_n},
	             (struct gm_bytes){cnonce, sizeof(cnonce)});
	if (!m->next_own || !gm_identity_make(m->next_own, &g->params) ||
	    gm_proof_make(&g->params, &m->next_own->key, &g->kdc_pub, gm_out_result(&pop_out), proof) != GM_E_OK) {
		out->err = GM_E_BAD_CRED;
		return;
	}
	struct gm_cred_upload upload = {{m->next_own->cred, m->next_own->cred_n},
	                                {cnonce, sizeof(cnonce)},
	                                {proof, gm_proof_len(&g->params)}};
	gm_cred_upload_encode(out, &upload);
}

static const struct wording wordings[GM_OP_N] = {
    [GM_OP_TOKEN] = {GM_COAP_POST, 0, NULL, GM_CF_ACE, false, token_payload},
    [GM_OP_UPDATE] = {GM_COAP_POST, 0, NULL, GM_CF_ACE, false, update_payload},
    [GM_OP_JOIN] = {GM_COAP_POST, 1, NULL, GM_CF_GROUPCOMM, false, join_payload},
    [GM_OP_OBSERVE] = {GM_COAP_GET, 1, NULL, GM_CF_NONE, true, NULL},
    [GM_OP_GROUP] = {GM_COAP_GET, 1, NULL, GM_CF_NONE, false, NULL},
    [GM_OP_NODE] = {GM_COAP_GET, 2, NULL, GM_CF_NONE, false, NULL},
    [GM_OP_STALE] = {GM_COAP_FETCH, 3, "stale-sids", GM_CF_CBOR, false, stale_payload},
    [GM_OP_CREDS] = {GM_COAP_GET, 3, "creds", GM_CF_NONE, false, NULL},
    [GM_OP_FETCH] = {GM_COAP_FETCH, 3, "creds", GM_CF_GROUPCOMM, false, fetch_payload},
    [GM_OP_KDC] = {GM_COAP_GET, 3, "kdc-cred", GM_CF_NONE, false, NULL},
    [GM_OP_RENEW] = {GM_COAP_POST, 2, NULL, GM_CF_NONE, false, NULL},
    [GM_OP_RECRED] = {GM_COAP_POST, 4, "cred", GM_CF_GROUPCOMM, false, recred_payload},
    [GM_OP_LEAVE] = {GM_COAP_DELETE, 2, NULL, GM_CF_NONE, false, NULL},
};

static void ask_payload(struct gm_member_env *env, struct gm_member *m, struct gm_out *out)
{
	(void)env;
	if (m->ask->payload.n)
		gm_out_bytes(out, m->ask->payload.p, m->ask->payload.n);
}

static struct wording wording_of(const struct gm_member *m)
{
	const struct gm_member_ask *a = m->ask;
	if (m->ex.op != GM_OP_ASK)
		return wordings[m->ex.op];
	return (struct wording){a->method, 5, a->path, a->content_format, (uint8_t)a->observe, ask_payload};
}

static void put_path(struct gm_out *out, uint16_t *last, const struct gm_member_env *env, const struct gm_member *m,
                     const struct wording *w)
{
	char path[160];
	const char *group = env->groups[m->group].name;
	int n = 0;
	switch (w->path) {
	case 0:
		n = snprintf(path, sizeof(path), "/authz-info");
		break;
	case 1:
		n = snprintf(path, sizeof(path), "/ace-group/%s", group);
		break;
	case 2:
		n = snprintf(path, sizeof(path), "/ace-group/%s/nodes/%s", group, m->node);
		break;
	case 4:
		n = snprintf(path, sizeof(path), "/ace-group/%s/nodes/%s/%s", group, m->node, w->below);
		break;
	case 5:
		n = snprintf(path, sizeof(path), "%s", w->below);
		break;
	default:
		n = snprintf(path, sizeof(path), "/ace-group/%s/%s", group, w->below);
		break;
	}
	gm_coap_put_path(out, last, GM_OPT_URI_PATH, path, (size_t)n);
}

/* Options and payload of the exchange; for a further block only Block2 instead of the payload. */
static void put_request(struct gm_out *out, struct gm_member_env *env, struct gm_member *m)
{
	struct wording w = wording_of(m);
	uint16_t last = 0;
	bool first = m->ex.block == 0;
	if (w.observe && first)
		gm_coap_put_option_uint(out, &last, GM_OPT_OBSERVE, w.observe == GM_ASK_CANCEL);
	put_path(out, &last, env, m, &w);
	if (w.content_format != GM_CF_NONE && first)
		gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)w.content_format);
	if (!first)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2,
		                  (struct gm_coap_block){.num = m->ex.block, .szx = m->ex.szx});
	if (m->ex.echo_n)
		gm_coap_put_option(out, &last, GM_OPT_ECHO, m->ex.echo, m->ex.echo_n);
	if (w.payload && first) {
		uint8_t body[GM_MEMBER_PKT_MAX];
		struct gm_out payload = gm_out(body, sizeof(body));
		w.payload(env, m, &payload);
		if (payload.err != GM_E_OK)
			out->err = payload.err;
		gm_coap_put_payload(out, body, gm_out_len(&payload));
		gm_wipe(body, sizeof(body));
	}
}

/* ---- the exchange */

static void put_protected(struct gm_out *pkt, struct gm_member_env *env, struct gm_member *m)
{
	uint8_t plain[GM_MEMBER_PKT_MAX];
	struct wording w = wording_of(m);
	struct gm_out inner = gm_out(plain, sizeof(plain));
	gm_out_u8(&inner, w.method);
	put_request(&inner, env, m);
	if (inner.err != GM_E_OK) {
		pkt->err = inner.err;
		return;
	}
	struct gm_oscore_request *r = &m->ex.request;
	r->kid = m->oscore.sid;
	r->piv_n = gm_oscore_piv(r->piv, m->seq++);
	struct gm_oscore_outer outer = {
	    .type = GM_COAP_CON,
	    .code = w.observe && m->ex.block == 0 ? GM_COAP_FETCH : GM_COAP_POST,
	    .mid = m->ex.mid,
	    .token_len = sizeof(m->ex.token),
	    .has_observe = w.observe && m->ex.block == 0,
	    .observe = w.observe == GM_ASK_CANCEL,
	    .option = {.piv_n = r->piv_n, .has_kid = true, .kid = {r->kid.b, r->kid.n}},
	};
	memcpy(outer.token, m->ex.token, sizeof(m->ex.token));
	memcpy(outer.option.piv, r->piv, r->piv_n);
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	if (gm_oscore_wrap(&m->oscore, &outer, r, &r->kid, r->piv, r->piv_n, gm_out_result(&inner), pkt, &scratch,
	                   &job) != GM_E_OK ||
	    gm_aead_seal_many(&job, 1) != 1)
		pkt->err = GM_E_ROOM;
	gm_wipe(plain, gm_out_len(&inner));
}

static void put_plain(struct gm_out *pkt, struct gm_member_env *env, struct gm_member *m)
{
	gm_coap_put_head(pkt, GM_COAP_CON, wordings[m->ex.op].method, m->ex.mid, m->ex.token, sizeof(m->ex.token));
	put_request(pkt, env, m);
}

static void arm(struct gm_member_env *env, struct gm_member *m)
{
	uint64_t now = gm_member_now_ms(env);
	uint64_t at = m->ex.acked ? m->ex.until_ms : now + m->ex.wait_ms;
	env->timer(env->arg, m, at < m->ex.until_ms || m->ex.acked ? at : m->ex.until_ms);
}

void gm_exchange_send(struct gm_member_env *env, struct gm_member *m)
{
	uint8_t bytes[GM_MEMBER_PKT_MAX];
	uint32_t token = m->next_token++;
	memcpy(m->ex.token, &token, sizeof(token));
	if (m->ex.op == GM_OP_ASK && m->ask->observe == GM_ASK_CANCEL)
		memcpy(m->ex.token, m->ask->token, sizeof(m->ex.token)); /* what is to end is named by it */
	m->ex.mid = m->next_mid++;
	m->ex.tries = 0;
	m->ex.acked = false;
	env->dice = env->dice * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
	m->ex.wait_ms = ACK_TIMEOUT_MS + (uint32_t)(env->dice >> 48) % ACK_RANDOM_MS;
	m->ex.until_ms = gm_member_now_ms(env) + SEPARATE_MS;

	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	if (m->ex.op == GM_OP_TOKEN)
		put_plain(&pkt, env, m);
	else
		put_protected(&pkt, env, m);
	free(m->ex.pkt);
	m->ex.pkt = pkt.err == GM_E_OK ? malloc(gm_out_len(&pkt)) : NULL;
	if (!m->ex.pkt) {
		env->failed(env->arg, m, "request does not fit a datagram");
		gm_exchange_end(env, m, 0);
		return;
	}
	m->ex.pkt_n = (uint16_t)gm_out_len(&pkt);
	memcpy(m->ex.pkt, bytes, m->ex.pkt_n);
	env->stats.requests++;
	env->send(env->arg, m, &env->server, m->ex.pkt, m->ex.pkt_n);
	arm(env, m);
}

/* Draw what is fresh per request, then send, or wait for the signature. */
static void start(struct gm_member_env *env, struct gm_member *m, enum gm_member_op op)
{
	m->ex = (struct gm_exchange){.active = true, .op = (uint8_t)op, .started_ns = env->now_ns};
	switch (op) {
	case GM_OP_STALE:
		m->ex.version = m->next.version;
		break;
	case GM_OP_TOKEN:
		gm_random(m->nonce1, sizeof(m->nonce1));
		m->id1_n = 3; /* the Group Manager's Sender ID toward this member: any value serves */
		gm_random(m->id1, m->id1_n);
		break;
	case GM_OP_JOIN:
		gm_random(m->cnonce, sizeof(m->cnonce));
		m->informed = m->informed && gm_identity_fits(&m->own, &env->groups[m->group].params);
		if (m->roles != GM_ROLE_MONITOR && m->informed) {
			gm_pending_sign(env, m);
			return;
		}
		break;
	default:
		break;
	}
	gm_exchange_send(env, m);
}

static bool possible(const struct gm_member *m, enum gm_member_op op)
{
	if (op == GM_OP_TOKEN)
		return m->token != NULL;
	if (op == GM_OP_UPDATE)
		return m->has_context && m->update;
	if (op == GM_OP_ASK)
		return m->has_context && m->ask;
	return m->has_context && (op == GM_OP_JOIN || m->node_n);
}

static void go_on(struct gm_member_env *env, struct gm_member *m)
{
	while (!m->ex.active && m->plan) {
		enum gm_member_op op = (enum gm_member_op)__builtin_ctz(m->plan);
		m->plan = (uint16_t)(m->plan & ~GM_PLAN(op));
		if (possible(m, op)) {
			start(env, m, op);
			return;
		}
		m->plan = 0;
		env->done(env->arg, m, op, 0, 0);
	}
}

void gm_member_plan(struct gm_member_env *env, struct gm_member *m, unsigned plan)
{
	m->plan = (uint16_t)(m->plan | plan);
	go_on(env, m);
}

static void exchange_forget(struct gm_member_env *env, struct gm_member *m)
{
	env->timer(env->arg, m, 0);
	free(m->ex.pkt);
	free(m->ex.body);
	m->ex.pkt = m->ex.body = NULL;
	m->ex.active = false;
}

void gm_exchange_end(struct gm_member_env *env, struct gm_member *m, uint8_t code)
{
	enum gm_member_op op = (enum gm_member_op)m->ex.op;
	uint64_t took = env->now_ns - m->ex.started_ns;
	if ((op == GM_OP_JOIN || op == GM_OP_LEAVE) && code >> 5 != 2 && m->ex.echo_tries)
		m->unsure = true; /* what came before the Echo may have been carried out before a restart */
	exchange_forget(env, m);
	if (code >> 5 != 2)
		m->plan &= GM_PLAN(GM_OP_STALE); /* the other steps behind depend on this one */
	if (op == GM_OP_STALE && m->has_next) {  /* no answer: keep nobody who might be stale */
		gm_peers_forget(m);
		gm_keys_install(env, m);
	}
	env->done(env->arg, m, op, code, took);
	go_on(env, m);
}

void gm_member_abort(struct gm_member_env *env, struct gm_member *m)
{
	m->plan = 0;
	exchange_forget(env, m);
}

void gm_member_timeout(struct gm_member_env *env, struct gm_member *m)
{
	if (!m->ex.active || !m->ex.pkt)
		return;
	if (m->ex.acked || m->ex.tries >= RETRANSMIT_MAX || gm_member_now_ms(env) >= m->ex.until_ms) {
		env->stats.timeouts++;
		gm_exchange_end(env, m, 0);
		return;
	}
	m->ex.tries++;
	m->ex.wait_ms *= 2;
	env->stats.retransmitted++;
	env->send(env->arg, m, &env->server, m->ex.pkt, m->ex.pkt_n);
	arm(env, m);
}

/* ---- receiving */

size_t gm_member_open(struct gm_member *m, const struct gm_coap *msg, const struct gm_oscore_option *option,
                      const struct gm_oscore_request *request, bool is_request, uint8_t *text, size_t cap)
{
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	if (gm_oscore_unwrap(&m->oscore, msg->payload, option, request, is_request, text, cap, &scratch, &job) !=
	        GM_E_OK ||
	    gm_aead_open_many(&job, 1) != 1)
		return 0;
	return job.text_len;
}

static void put_empty(struct gm_member_env *env, struct gm_member *m, const struct gm_addr *to, uint8_t type,
                      uint16_t mid)
{
	uint8_t bytes[4];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	gm_coap_put_empty(&out, type, mid);
	env->send(env->arg, m, to, bytes, sizeof(bytes));
}

void gm_member_answer(struct gm_member_env *env, struct gm_member *m, const struct gm_addr *to, uint16_t mid,
                      const struct gm_oscore_option *option, struct gm_bytes bytes)
{
	struct gm_answered *a = &m->answered[m->answered_at];
	if (bytes.n <= sizeof(a->bytes)) {
		*a = (struct gm_answered){.mid = mid, .piv_n = option ? option->piv_n : 0, .n = (uint8_t)bytes.n};
		memcpy(a->bytes, bytes.p, bytes.n);
		if (option)
			memcpy(a->piv, option->piv, option->piv_n);
		m->answered_at = (uint8_t)((m->answered_at + 1) % GM_ANSWERED);
	}
	env->send(env->arg, m, to, bytes.p, bytes.n);
}

/* A repeat gets the same answer. The same Message ID with another Partial IV is a new message of a careless peer. */
static bool answer_repeat(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          const struct gm_oscore_option *option, const struct gm_addr *from)
{
	for (unsigned i = 0; i < GM_ANSWERED; i++) {
		struct gm_answered *a = &m->answered[i];
		if (!a->n || a->mid != msg->mid)
			continue;
		if (a->piv_n != option->piv_n || memcmp(a->piv, option->piv, a->piv_n) != 0) {
			env->stats.mid_reused++;
			continue;
		}
		env->stats.duplicates++;
		env->send(env->arg, m, from, a->bytes, a->n);
		return true;
	}
	return false;
}

static void acknowledge(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                        const struct gm_oscore_option *option, const struct gm_addr *from)
{
	uint8_t bytes[4];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	if (msg->type != GM_COAP_CON)
		return;
	gm_coap_put_empty(&out, GM_COAP_ACK, msg->mid);
	gm_member_answer(env, m, from, msg->mid, option, gm_out_result(&out));
}

/* 4.01 with Echo: the same request once more, with the value.                    RFC 8613 App. B.1.2, RFC 9175 */
static bool repeat_with_echo(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg)
{
	if (msg->code != GM_COAP(4, 1) || !msg->has_echo || msg->echo.n > sizeof(m->ex.echo) || m->ex.echo_tries >= 3)
		return false;
	env->stats.echoes++;
	m->ex.echo_tries++;
	m->ex.echo_n = (uint8_t)msg->echo.n;
	memcpy(m->ex.echo, msg->echo.p, msg->echo.n);
	gm_exchange_send(env, m);
	return true;
}

static void keep_first(struct gm_member *m, const struct gm_coap *msg)
{
	m->ex.code = msg->code;
	m->ex.observed = msg->has_observe;
	if (m->ex.op == GM_OP_OBSERVE && msg->has_observe)
		gm_member_observes(m); /* the other blocks are asked for under tokens of their own */
	if (msg->location_n != 4 || msg->location[3].n > sizeof(m->ex.node))
		return;
	m->ex.node_n = (uint8_t)msg->location[3].n;
	memcpy(m->ex.node, msg->location[3].p, m->ex.node_n);
}

/* Collects blocks; true: more are to come and the next was asked for.            RFC 7959 */
static bool next_block(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg)
{
	if (!msg->has_block2 || (m->ex.block == 0 && !msg->block2.more))
		return false;
	if (msg->block2.num != m->ex.block) {
		env->failed(env->arg, m, "block out of order");
		gm_exchange_end(env, m, 0);
		return true;
	}
	uint8_t *body = realloc(m->ex.body, m->ex.body_n + msg->payload.n + 1);
	if (!body) {
		gm_exchange_end(env, m, 0);
		return true;
	}
	m->ex.body = body;
	if (m->ex.block == 0)
		keep_first(m, msg);
	if (msg->payload.n)
		memcpy(body + m->ex.body_n, msg->payload.p, msg->payload.n);
	m->ex.body_n += (uint32_t)msg->payload.n;
	if (!msg->block2.more)
		return false;
	env->stats.blocks++;
	m->ex.block++;
	m->ex.szx = msg->block2.szx;
	gm_exchange_send(env, m);
	return true;
}

/* What was read by blocks is gone: a notification has taken its place, or it is another by now. Asked for again, where that changes
 * nothing.                                                                       RFC 7959 §2.4 */
static bool reads_anew(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg)
{
	const bool reads = m->ex.op >= GM_OP_OBSERVE && m->ex.op <= GM_OP_KDC;

	if (msg->code != GM_COAP(4, 8) || !m->ex.block || !reads || m->ex.restarts == RESTARTS)
		return false;
	free(m->ex.body);
	m->ex.body = NULL;
	m->ex.body_n = m->ex.block = 0;
	m->ex.node_n = 0;
	m->ex.restarts++;
	gm_exchange_send(env, m);
	return true;
}

static void take_response(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg)
{
	if (repeat_with_echo(env, m, msg) || reads_anew(env, m, msg) || next_block(env, m, msg))
		return;
	if (!m->ex.body) {
		gm_answer_take(env, m, msg, msg->payload);
		return;
	}
	struct gm_coap whole = *msg;
	whole.has_observe = m->ex.observed;
	if (msg->code >> 5 == 2)
		whole.code = m->ex.code;
	if (m->ex.node_n) {
		whole.location_n = 4;
		whole.location[3] = (struct gm_bytes){(const uint8_t *)m->ex.node, m->ex.node_n};
	}
	gm_answer_take(env, m, &whole, (struct gm_bytes){m->ex.body, m->ex.body_n});
}

static void notification(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *inner,
                         const struct gm_oscore_option *option)
{
	uint64_t seq = gm_oscore_piv_seq(option->piv, option->piv_n);
	const struct gm_keying_map *map;
	if (option->piv_n == 0 || seq < m->obs_top)
		return; /* older than what is known                     RFC 8613 §7.4.1 */
	m->obs_top = seq + 1;
	if (inner->code >> 5 != 2) {
		m->observing = false;
		if (inner->code == GM_COAP(4, 4))
			gm_member_evicted(env, m);
		return;
	}
	if (inner->has_block2 && inner->block2.more) { /* the representation is long: read it whole */
		env->stats.blocks++;
		gm_member_plan(env, m, GM_PLAN(GM_OP_GROUP));
	} else if (!(map = gm_keying_read(env, inner->payload)))
		env->failed(env->arg, m, "notification cannot be read");
	else
		(void)gm_keys_learn(env, m, map, GM_HOW_OBSERVE, map->stale.p != NULL);
}

static bool is_token(const struct gm_coap *msg, const uint8_t token[static 4])
{
	return msg->token_len == 4 && memcmp(msg->token, token, 4) == 0;
}

/* An answer to what we asked, or a notification. */
static void response(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                     const struct gm_addr *from)
{
	uint8_t text[GM_MEMBER_PKT_MAX];
	struct gm_oscore_option option = {0};
	struct gm_coap inner = *msg;
	bool ours = m->ex.active && m->ex.pkt && is_token(msg, m->ex.token);
	bool notice = !ours && m->observing && is_token(msg, m->obs_token);

	if (msg->has_oscore && gm_oscore_option_decode(msg->oscore, &option) != GM_E_OK)
		return;
	if (msg->type == GM_COAP_CON && answer_repeat(env, m, msg, &option, from))
		return;
	if (!ours && !notice) {
		if (msg->type == GM_COAP_CON)
			put_empty(env, m, from, GM_COAP_RST, msg->mid);
		return;
	}
	if (msg->type == GM_COAP_ACK && msg->mid != m->ex.mid)
		return;
	if (notice && m->ex.active && m->ex.op == GM_OP_JOIN) {
		gm_member_flush(env); /* the Join Response came first, its check may wait still */
		if (m->ex.active && m->ex.op == GM_OP_JOIN)
			return; /* the Group Manager will repeat this */
	}
	if (msg->has_oscore) {
		const struct gm_oscore_request *r = ours ? &m->ex.request : &m->obs_request;
		size_t n = gm_member_open(m, msg, &option, r, false, text, sizeof(text));
		if (!n || gm_coap_decode_inner((struct gm_bytes){text, n}, &inner) != GM_E_OK) {
			env->stats.undecryptable++;
			return;
		}
	} else if (notice || (m->ex.op != GM_OP_TOKEN && msg->code >> 5 == 2)) {
		env->stats.undecryptable++; /* success has to be protected */
		return;
	}
	if (msg->type == GM_COAP_CON)
		env->stats.separate++;
	acknowledge(env, m, msg, &option, from);
	if (ours)
		take_response(env, m, &inner);
	else
		notification(env, m, &inner, &option);
	gm_wipe(text, sizeof(text));
}

static void empty_message(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          const struct gm_addr *from)
{
	bool ours = m->ex.active && m->ex.pkt && msg->mid == m->ex.mid;
	if (msg->type == GM_COAP_CON) /* ping                               RFC 7252 §4.3 */
		put_empty(env, m, from, GM_COAP_RST, msg->mid);
	else if (ours && msg->type == GM_COAP_RST)
		gm_exchange_end(env, m, 0);
	else if (ours && msg->type == GM_COAP_ACK) {
		m->ex.acked = true;
		arm(env, m);
	}
}

void gm_member_receive(struct gm_member_env *env, struct gm_member *m, struct gm_bytes datagram,
                       const struct gm_addr *from)
{
	struct gm_coap msg;
	struct gm_oscore_option option = {0};
	if (m->waits)
		gm_controls_flush(env);
	if (gm_coap_decode(datagram, &msg) != GM_E_OK)
		return;
	bool server = gm_addr_eq(from, &env->server);
	if (!server) {
		if (env->group_message && msg.code != GM_COAP_EMPTY)
			env->group_message(env->arg, m, &msg, from);
		else
			env->stats.strangers++;
	} else if (msg.code == GM_COAP_EMPTY) {
		empty_message(env, m, &msg, from);
	} else if (msg.code >> 5 == 0) {
		if (msg.has_oscore && gm_oscore_option_decode(msg.oscore, &option) == GM_E_OK &&
		    !answer_repeat(env, m, &msg, &option, from))
			gm_control_request(env, m, &msg, from);
	} else {
		response(env, m, &msg, from);
	}
}
