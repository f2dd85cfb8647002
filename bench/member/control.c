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
	struct gm_keying_map map;
	if (is_group_end(payload)) {
		gm_member_evicted(env, m);
		return GM_COAP(2, 4);
	}
	if (gm_configuration_decode(payload, &map) == GM_E_OK)
		return configuration(env, m, &map);
	if (gm_keying_decode(payload, &map) != GM_E_OK || map.gkty != 1 || map.profile != 1 || map.exi < 0 ||
	    !map.stale.p) {
		env->failed(env->arg, m, "rekeying message cannot be read");
		return GM_COAP(4, 0);
	}
	if (map.has_params || map.sid.p)
		env->failed(env->arg, m, "rekeying message says more than ms, contextId and salt");
	return gm_keys_learn(env, m, &map, GM_HOW_POST, true) ? GM_COAP(2, 4) : GM_COAP(4, 0);
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

/* One plaintext per nonce: this answer is the only one under the request's, a repeat gets its bytes. */
static void answer(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, const struct gm_addr *to,
                   const struct gm_oscore_option *option, const struct gm_oscore_request *request, uint8_t code,
                   const struct gm_coap *inner)
{
	uint8_t bytes[64], plain_bytes[8];
	uint16_t last = 0;
	struct gm_out plain = gm_out(plain_bytes, sizeof(plain_bytes));
	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_oscore_outer outer = {
	    .type = msg->type == GM_COAP_CON ? GM_COAP_ACK : GM_COAP_NON,
	    .code = GM_COAP(2, 4),
	    .mid = msg->type == GM_COAP_CON ? msg->mid : m->next_mid++,
	    .token_len = msg->token_len,
	};
	memcpy(outer.token, msg->token, msg->token_len);
	gm_out_u8(&plain, code);
	if (inner->has_block1)
		gm_coap_put_block(&plain, &last, GM_OPT_BLOCK1, inner->block1);
	if (gm_oscore_wrap(&m->oscore, &outer, request, &request->kid, request->piv, request->piv_n,
	                   gm_out_result(&plain), &pkt, &scratch, &job) == GM_E_OK &&
	    gm_aead_seal_many(&job, 1) == 1)
		gm_member_answer(env, m, to, msg->mid, option, gm_out_result(&pkt));
}

void gm_control_request(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                        const struct gm_addr *from)
{
	uint8_t text[GM_MEMBER_PKT_MAX];
	struct gm_oscore_option option;
	struct gm_coap inner;
	bool joining = m->ex.active && m->ex.op == GM_OP_JOIN;
	if (!m->has_context || joining || gm_oscore_option_decode(msg->oscore, &option) != GM_E_OK)
		return; /* while a Join is open its answer comes first; the Group Manager will repeat this */
	if (!option.has_kid || !gm_bytes_eq(option.kid, (struct gm_bytes){m->oscore.rid.b, m->oscore.rid.n})) {
		env->stats.undecryptable++;
		return;
	}
	uint64_t seq = gm_oscore_piv_seq(option.piv, option.piv_n);
	struct gm_oscore_request request = {.kid = m->oscore.rid, .piv_n = option.piv_n};
	memcpy(request.piv, option.piv, option.piv_n);
	if (!gm_oscore_window_fresh(&m->window, seq)) {
		env->stats.duplicates++;
		return;
	}
	size_t n = gm_member_open(m, msg, &option, &request, true, text, sizeof(text));
	if (!n || gm_coap_decode_inner((struct gm_bytes){text, n}, &inner) != GM_E_OK) {
		env->stats.undecryptable++;
		return;
	}
	gm_oscore_window_accept(&m->window, seq);
	uint8_t code = decide(env, m, &inner);
	gm_wipe(text, sizeof(text));
	answer(env, m, msg, from, &option, &request, code, &inner);
}
