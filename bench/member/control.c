/* SPDX-License-Identifier: Apache-2.0 */
/* The member as a CoAP server: rekeying messages and the notice of eviction at control_uri. */
#include "inside.h"

#include <stdlib.h>

#include "wire/cbor.h"

void gm_member_evicted(struct gm_member_env *env, struct gm_member *m)
{
	env->stats.notices++;
	m->told = true;
	m->state = GM_MEMBER_EVICTED;
	m->observing = false;
	gm_keys_drop(m);
}

static bool is_control_path(const struct gm_member_env *env, const struct gm_member *m, const struct gm_coap *msg)
{
	return msg->path_n == 3 && gm_bytes_is(msg->path[0], "ace-group") &&
	       gm_bytes_is(msg->path[1], env->groups[m->group].name) && gm_bytes_is(msg->path[2], "node");
}

/* The group was deleted.                                                                        GA §6.8.1 */
static bool is_group_end(struct gm_bytes payload)
{
	uint8_t bytes[16];
	struct gm_out out = gm_out(bytes, sizeof(bytes));

	gm_group_end_encode(&out);
	return gm_bytes_eq(payload, gm_out_result(&out));
}

static bool same_keys(const struct gm_group_params *a, const struct gm_group_params *b)
{
	return a->cred_fmt == b->cred_fmt && a->sign_alg == b->sign_alg && a->sign_crv == b->sign_crv &&
	       a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv;
}

/* The group goes on with other algorithms; its keys stay until the rekeying message.               GA §6.6.2 */
static uint8_t configuration(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map)
{
	struct gm_member_group *g = &env->groups[m->group];

	if (map->gkty != 1 || map->profile != 1 || map->exi >= 0 || map->stale.p || map->creds.p || map->policies.p ||
	    map->kdc_cred.p)
		env->failed(env->arg, m, "a changed configuration with more or less than it should say");
	env->stats.configurations++;
	if (m->has_keys && (uint64_t)map->num < m->keys.version)
		return GM_COAP(2, 4); /* said again to one that has the keys after it */
	if (!same_keys(&map->params, &g->params)) { /* the Group Manager has another credential; the next Join brings it */
		g->known = g->informed = false;
		g->kdc_cred_n = 0;
	}
	g->params = map->params;
	return GM_COAP(2, 4);
}

static uint8_t rekeying_message(struct gm_member_env *env, struct gm_member *m, struct gm_bytes payload)
{
	const struct gm_keying_map *map;
	struct gm_keying_map changed;
	if (!gm_keying_is_kept(env, payload)) { /* so it may be another kind of message */
		if (is_group_end(payload)) {
			gm_member_evicted(env, m);
			return GM_COAP(2, 4);
		}
		if (gm_configuration_decode(payload, &changed) == GM_E_OK)
			return configuration(env, m, &changed);
	}
	map = gm_keying_read(env, payload);
	if (!map || map->gkty != 1 || map->profile != 1 || map->exi < 0 || !map->stale.p) {
		env->failed(env->arg, m, "rekeying message cannot be read");
		return GM_COAP(4, 0);
	}
	if (map->has_params || map->sid.p)
		env->failed(env->arg, m, "rekeying message says more than ms, contextId and salt");
	return gm_keys_learn(env, m, map, GM_HOW_POST, true) ? GM_COAP(2, 4) : GM_COAP(4, 0);
}

/* Block1: the pieces of a long rekeying message, in order. 2.31 until the last has come.           RFC 7959 §2.5 */
static uint8_t collect(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *inner)
{
	size_t at = (size_t)inner->block1.num << (inner->block1.szx + 4);
	if (inner->block1.num == 0)
		m->control_n = 0;
	if (at != m->control_n)
		return GM_COAP(4, 8);
	uint8_t *grown = realloc(m->control, m->control_n + inner->payload.n + 1);
	if (!grown)
		return GM_COAP(5, 0);
	m->control = grown;
	if (inner->payload.n)
		memcpy(m->control + m->control_n, inner->payload.p, inner->payload.n);
	m->control_n += (uint32_t)inner->payload.n;
	if (inner->block1.more) {
		env->stats.blocks++;
		return GM_COAP(2, 31);
	}
	uint8_t code = rekeying_message(env, m, (struct gm_bytes){m->control, m->control_n});
	gm_wipe(m->control, m->control_n);
	m->control_n = 0;
	return code;
}

static uint8_t decide(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *inner)
{
	if (inner->unknown_critical)
		return GM_COAP(4, 2);
	if (!is_control_path(env, m, inner))
		return GM_COAP(4, 4);
	if (inner->code == GM_COAP_POST && inner->has_block1)
		return collect(env, m, inner);
	if (inner->code == GM_COAP_POST)
		return rekeying_message(env, m, inner->payload);
	if (inner->code != GM_COAP_DELETE)
		return GM_COAP(4, 5);
	gm_member_evicted(env, m);
	return GM_COAP(2, 2);
}

/* ---- requests wait here for each other, so that crypto/ gets them in batches; at most one of a member */

struct gm_control { /* a protected request, then its answer; secret */
	struct gm_member *m;
	struct gm_addr from;
	struct gm_oscore_option option; /* its kid, which points into the datagram, is of no use any more */
	struct gm_oscore_request request;
	struct gm_oscore_scratch scratch;
	uint64_t seq;
	uint16_t mid;
	uint8_t type, token_len, token[8];
	size_t answer_n;
	uint8_t text[GM_MEMBER_PKT_MAX], bytes[64];
};

struct gm_controls {
	unsigned n;
	struct gm_aead_job jobs[GM_BATCH_MAX];
	struct gm_control of[GM_BATCH_MAX];
};

struct gm_controls *gm_controls_new(void)
{
	return calloc(1, sizeof(struct gm_controls));
}

/* One plaintext per nonce: this answer is the only one under the request's, a repeat gets its bytes. */
static bool lay_out_answer(struct gm_control *c, uint8_t code, const struct gm_coap *inner, struct gm_aead_job *job)
{
	uint8_t plain_bytes[8];
	uint16_t last = 0;
	struct gm_out plain = gm_out(plain_bytes, sizeof(plain_bytes));
	struct gm_out pkt = gm_out(c->bytes, sizeof(c->bytes));
	struct gm_oscore_outer outer = {
	    .type = c->type == GM_COAP_CON ? GM_COAP_ACK : GM_COAP_NON,
	    .code = GM_COAP(2, 4),
	    .mid = c->type == GM_COAP_CON ? c->mid : c->m->next_mid++,
	    .token_len = c->token_len,
	};
	memcpy(outer.token, c->token, c->token_len);
	gm_out_u8(&plain, code);
	if (inner->has_block1)
		gm_coap_put_block(&plain, &last, GM_OPT_BLOCK1, inner->block1);
	bool good = gm_oscore_wrap(&c->m->oscore, &outer, &c->request, &c->request.kid, c->request.piv, c->request.piv_n,
	                           gm_out_result(&plain), &pkt, &c->scratch, job) == GM_E_OK;
	c->answer_n = gm_out_len(&pkt);
	return good;
}

/* false: not one of the Group Manager's, or no answer can be laid out */
static bool carry_out(struct gm_member_env *env, struct gm_control *c, size_t n, struct gm_aead_job *job)
{
	struct gm_coap inner;

	if (!n || gm_coap_decode_inner((struct gm_bytes){c->text, n}, &inner) != GM_E_OK) {
		env->stats.undecryptable++;
		return false;
	}
	gm_oscore_window_accept(&c->m->window, c->seq);
	return lay_out_answer(c, decide(env, c->m, &inner), &inner, job);
}

void gm_controls_flush(struct gm_member_env *env)
{
	struct gm_controls *w = env->controls;
	struct gm_aead_job seals[GM_BATCH_MAX];
	struct gm_control *answers[GM_BATCH_MAX];
	unsigned n = w->n, answers_n = 0;

	if (!n)
		return;
	uint64_t opened = gm_aead_open_many(w->jobs, n);
	for (unsigned i = 0; i < n; i++) {
		struct gm_control *c = &w->of[i];
		c->m->waits = false;
		answers[answers_n] = c;
		answers_n += carry_out(env, c, opened >> i & 1 ? w->jobs[i].text_len : 0, &seals[answers_n]);
	}
	uint64_t sealed = answers_n ? gm_aead_seal_many(seals, answers_n) : 0;
	for (unsigned i = 0; i < answers_n; i++)
		if (sealed >> i & 1)
			gm_member_answer(env, answers[i]->m, &answers[i]->from, answers[i]->mid, &answers[i]->option,
			                 (struct gm_bytes){answers[i]->bytes, answers[i]->answer_n});
	for (unsigned i = 0; i < n; i++)
		gm_wipe(w->of[i].text, w->jobs[i].text_len);
	w->n = 0;
}

void gm_control_request(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                        const struct gm_addr *from)
{
	struct gm_oscore_option option;
	bool joining = m->ex.active && m->ex.op == GM_OP_JOIN;
	if (!m->has_context || joining || gm_oscore_option_decode(msg->oscore, &option) != GM_E_OK)
		return; /* while a Join is open its answer comes first; the Group Manager will repeat this */
	if (!option.has_kid || !gm_bytes_eq(option.kid, (struct gm_bytes){m->oscore.rid.b, m->oscore.rid.n})) {
		env->stats.undecryptable++;
		return;
	}
	uint64_t seq = gm_oscore_piv_seq(option.piv, option.piv_n);
	if (!gm_oscore_window_fresh(&m->window, seq)) {
		env->stats.duplicates++;
		return;
	}
	struct gm_controls *w = env->controls;
	struct gm_control *c = &w->of[w->n];
	c->m = m;
	c->from = *from;
	c->option = option;
	c->seq = seq;
	c->mid = msg->mid;
	c->type = msg->type;
	c->token_len = msg->token_len;
	memcpy(c->token, msg->token, msg->token_len);
	c->request = (struct gm_oscore_request){.kid = m->oscore.rid, .piv_n = option.piv_n};
	memcpy(c->request.piv, option.piv, option.piv_n);
	if (gm_oscore_unwrap(&m->oscore, msg->payload, &c->option, &c->request, true, c->text, sizeof(c->text), &c->scratch,
	                     &w->jobs[w->n]) != GM_E_OK) {
		env->stats.undecryptable++;
		return;
	}
	m->waits = true;
	if (++w->n == GM_BATCH_MAX || !env->gather)
		gm_controls_flush(env);
}
