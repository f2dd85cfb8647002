/* SPDX-License-Identifier: Apache-2.0 */
/* What a member makes of the answers to its requests. */
#include "inside.h"

#include <stdlib.h>

#include "wire/cbor.h"
#include "wire/resources.h"

static void peers_joined(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map);

/* ---- keys */

static bool keys_from_map(struct gm_member_keys *keys, const struct gm_keying_map *map)
{
	*keys = (struct gm_member_keys){.version = (uint64_t)map->num};
	if (map->num < 0 || !map->ms.n || map->ms.n > sizeof(keys->ms) || !map->gid.n ||
	    map->gid.n > sizeof(keys->gid) || map->salt.n > sizeof(keys->salt))
		return false;
	keys->gid_n = (uint8_t)map->gid.n;
	keys->ms_n = (uint8_t)map->ms.n;
	keys->salt_n = (uint8_t)map->salt.n; /* absent: empty                     KG §11.1 */
	memcpy(keys->gid, map->gid.p, map->gid.n);
	memcpy(keys->ms, map->ms.p, map->ms.n);
	if (map->salt.n)
		memcpy(keys->salt, map->salt.p, map->salt.n);
	return true;
}

bool gm_keying_is_kept(const struct gm_member_env *env, struct gm_bytes text)
{
	return text.n && text.n == env->read.n && memcmp(text.p, env->read.text, text.n) == 0;
}

const struct gm_keying_map *gm_keying_read(struct gm_member_env *env, struct gm_bytes text)
{
	struct gm_member_read *r = &env->read;

	if (gm_keying_is_kept(env, text))
		return &r->map;
	r->n = 0;
	if (text.n > sizeof(r->text)) /* came by blocks */
		return gm_keying_decode(text, &r->map) == GM_E_OK ? &r->map : NULL;
	if (text.n)
		memcpy(r->text, text.p, text.n);
	if (gm_keying_decode((struct gm_bytes){r->text, text.n}, &r->map) != GM_E_OK)
		return NULL;
	r->n = text.n;
	return &r->map;
}

void gm_keys_drop(struct gm_member *m)
{
	if (!m->has_keys)
		return;
	m->prev = m->keys;
	m->has_prev = true;
	m->has_keys = false;
	gm_wipe(&m->keys, sizeof(m->keys));
}

void gm_keys_install(struct gm_member_env *env, struct gm_member *m)
{
	gm_keys_drop(m);
	m->keys = m->next;
	m->has_keys = true;
	m->has_next = false;
	m->how = m->next_how;
	m->group_seq = 0;
	m->installed_ns = env->now_ns;
	env->stats.rekeys[m->how]++;
	env->installed(env->arg, m);
}

bool gm_keys_learn(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map,
                   enum gm_member_how how, bool rekeying)
{
	struct gm_member_keys keys;
	uint64_t version = m->has_next ? m->next.version : m->has_keys ? m->keys.version : m->prev.version;
	bool first = !m->has_next && !m->has_keys && !m->has_prev;
	if (!keys_from_map(&keys, map)) {
		env->failed(env->arg, m, "keying material cannot be read");
		return false;
	}
	if (!first && keys.version <= version) {
		env->stats.ignored_versions += keys.version < version;
		if (m->has_keys && keys.version == m->keys.version &&
		    (memcmp(keys.ms, m->keys.ms, sizeof(keys.ms)) != 0 ||
		     memcmp(keys.gid, m->keys.gid, sizeof(keys.gid)) != 0))
			env->failed(env->arg, m, "two different keys under one version");
		return true;
	}
	if (m->has_keys && memcmp(keys.gid, m->keys.gid, sizeof(keys.gid)) == 0)
		env->failed(env->arg, m, "a rekey kept the Gid");
	if (m->has_keys && memcmp(keys.ms, m->keys.ms, sizeof(keys.ms)) == 0)
		env->failed(env->arg, m, "a rekey kept the Master Secret");
	m->next = keys;
	m->next_how = (uint8_t)how;
	m->has_next = true;
	if (rekeying && m->has_keys && keys.version == m->keys.version + 1) {
		if (!gm_peers_purge(m, map->stale))
			env->failed(env->arg, m, "stale_node_ids are not an array of byte strings");
		peers_joined(env, m, map);
		gm_keys_install(env, m);
	} else if (first) {
		gm_keys_install(env, m);
	} else { /* a step was missed, or no stale set came along */
		env->stats.gaps++;
		gm_keys_drop(m);
		gm_member_plan(env, m, GM_PLAN(GM_OP_STALE));
	}
	return true;
}

/* ---- peers */

static void forget_peer(struct gm_member *m, struct gm_bytes sid)
{
	for (uint32_t i = 0; i < m->peers_n; i++)
		if (gm_bytes_eq((struct gm_bytes){m->peers[i].sid, m->peers[i].sid_n}, sid)) {
			free(m->peers[i].cred);
			m->peers[i] = m->peers[--m->peers_n];
			return;
		}
}

bool gm_peers_purge(struct gm_member *m, struct gm_bytes stale)
{
	struct gm_in in = gm_in_bytes(stale);
	for (uint64_t n = gm_cbor_array(&in); n && in.err == GM_E_OK; n--)
		forget_peer(m, gm_cbor_bstr(&in));
	return gm_cbor_end(&in) == GM_E_OK;
}

void gm_peers_forget(struct gm_member *m)
{
	for (uint32_t i = 0; i < m->peers_n; i++)
		free(m->peers[i].cred);
	free(m->peers);
	m->peers = NULL;
	m->peers_n = 0;
}

/* There is room for it. */
static bool peer_put(struct gm_member_env *env, struct gm_member *m, struct gm_bytes cred, uint64_t roles,
                     struct gm_bytes sid)
{
	struct gm_member_peer p = {.sid_n = (uint8_t)sid.n, .roles = (uint8_t)roles, .cred_n = (uint16_t)cred.n};
	struct gm_cred_pub pub;
	if (sid.n > sizeof(p.sid) || roles > UINT8_MAX ||
	    (!env->later && gm_cred_pub(cred, &env->groups[m->group].params, &pub) != GM_E_OK) ||
	    !(p.cred = malloc(cred.n)))
		return false;
	memcpy(p.sid, sid.p, sid.n);
	memcpy(p.cred, cred.p, cred.n);
	forget_peer(m, sid);
	m->peers[m->peers_n++] = p;
	return true;
}

/* creds, peer_roles and peer_identifiers, parallel, beside those already known          RFC 9594 §4.3.1 */
static bool peers_add(struct gm_member_env *env, struct gm_member *m, struct gm_creds creds)
{
	struct gm_bytes cred, sid;
	uint64_t roles;
	struct gm_member_peer *peers = realloc(m->peers, (m->peers_n + creds.creds.n + 1) * sizeof(*peers));
	if (!peers)
		return false;
	m->peers = peers;
	while (gm_list_bstr(&creds.creds, &cred))
		if (!gm_list_uint(&creds.roles, &roles) || !gm_list_bstr(&creds.sids, &sid) ||
		    !peer_put(env, m, cred, roles, sid))
			return false;
	return true;
}

static bool peers_add_map(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map)
{
	struct gm_creds c;
	return gm_list_decode(map->creds, GM_CBOR_BSTR, &c.creds) &&
	       gm_list_decode(map->peer_roles, GM_CBOR_UINT, &c.roles) &&
	       gm_list_decode(map->peer_ids, GM_CBOR_BSTR, &c.sids) && c.creds.n == c.roles.n &&
	       c.creds.n == c.sids.n && peers_add(env, m, c);
}

static bool peers_from_map(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map)
{
	gm_peers_forget(m);
	return peers_add_map(env, m, map);
}

/* Joiners that a rekeying message tells of, where the member keeps peers at all.           KG §11.1 */
static void peers_joined(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map)
{
	if ((map->creds.p != NULL) != (map->peer_ids.p != NULL) ||
	    (map->creds.p != NULL) != (map->peer_roles.p != NULL))
		env->failed(env->arg, m, "rekeying message tells of joiners by halves");
	else if (map->creds.p && m->peers && !peers_add_map(env, m, map))
		env->failed(env->arg, m, "joiners in a rekeying message cannot be read");
}

/* ---- one function per operation; the code that the exchange ends with */

/* What the token's answer says of the group. Nothing: the Join will be refused with it.        RFC 9594 §3.3 */
static void told_with_token(struct gm_member_env *env, struct gm_member *m, const struct gm_token_response *r)
{
	struct gm_join_info info = {0};
	struct gm_in in = gm_in_bytes(r->infos);
	for (unsigned i = 0; i < r->infos_n; i++) {
		int64_t label = gm_cbor_int(&in);
		struct gm_bytes item = gm_cbor_item(&in);
		if (label == GM_OAUTH_SIGN_INFO)
			info.sign_info = item;
		else if (label == GM_OAUTH_ECDH_INFO)
			info.ecdh_info = item;
		else if (label == GM_OAUTH_KDC_DH_CREDS)
			info.kdc_dh_creds = item;
	}
	(void)gm_group_told(env, m, &info);
}

static uint8_t take_token(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	struct gm_token_response r;
	uint8_t salt_bytes[64];
	struct gm_out salt = gm_out(salt_bytes, sizeof(salt_bytes));
	if (msg->code != GM_COAP(2, 1))
		return msg->code;
	if (gm_token_response_decode(body, &r) != GM_E_OK || !r.nonce2.p || !r.id2.p) {
		env->failed(env->arg, m, "token response cannot be read");
		return 0;
	}
	gm_oscore_ace_salt(&salt, (struct gm_bytes){m->token_salt, sizeof(m->token_salt)}, false,
	                   (struct gm_bytes){m->nonce1, sizeof(m->nonce1)}, r.nonce2);
	struct gm_oscore_input input = {
	    .ms = {m->token_ms, sizeof(m->token_ms)},
	    .salt = gm_out_result(&salt),
	    .sid = r.id2,
	    .rid = {m->id1, m->id1_n},
	    .alg = m->osc_alg,
	    .hkdf = m->osc_hkdf,
	};
	if (salt.err != GM_E_OK || gm_oscore_derive(&m->oscore, &input) != GM_E_OK) {
		env->failed(env->arg, m, "no OSCORE context from the token response");
		return 0;
	}
	if (r.challenge.n > sizeof(m->challenge) || (!r.challenge.n && m->roles & (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER))) {
		env->failed(env->arg, m, "token response without kdcchallenge");
		return 0;
	}
	m->challenge_n = (uint8_t)r.challenge.n;
	if (r.challenge.n)
		memcpy(m->challenge, r.challenge.p, r.challenge.n);
	m->seq = 0;
	m->window = (struct gm_oscore_window){0};
	m->has_context = true;
	m->observing = false;
	if (m->state == GM_MEMBER_NEW)
		m->state = GM_MEMBER_TOKEN;
	env->context(env->arg, m, input.ms, input.salt);
	told_with_token(env, m, &r);
	return msg->code;
}

/* Nothing, or a map with the kdcchallenge.                                  RFC 9203 §4 */
static uint8_t take_update(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                           struct gm_bytes body)
{
	struct gm_token_response r = {0};
	if (msg->code != GM_COAP(2, 1))
		return msg->code;
	if (body.n && (gm_token_response_decode(body, &r) != GM_E_OK || r.challenge.n > sizeof(m->challenge))) {
		env->failed(env->arg, m, "answer to an update of rights cannot be read");
		return 0;
	}
	if (r.challenge.n) {
		m->challenge_n = (uint8_t)r.challenge.n;
		memcpy(m->challenge, r.challenge.p, r.challenge.n);
	}
	return msg->code;
}

/* 4.00 with the group's algorithms and a fresh kdcchallenge: prove (anew) and ask again.            KG §6.2 */
static bool rechallenged(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                         struct gm_bytes body)
{
	struct gm_join_info info;
	if (msg->code != GM_COAP(4, 0) || msg->content_format != GM_CF_GROUPCOMM || m->ex.challenge_tries)
		return false;
	if (gm_join_info_decode(body, &info) != GM_E_OK || !info.challenge.n || info.challenge.n > sizeof(m->challenge) ||
	    !gm_group_told(env, m, &info))
		return false;
	m->challenge_n = (uint8_t)info.challenge.n;
	memcpy(m->challenge, info.challenge.p, info.challenge.n);
	m->ex.challenge_tries++;
	gm_pending_sign(env, m);
	return true;
}

static uint8_t take_join(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                         struct gm_bytes body)
{
	if (rechallenged(env, m, msg, body))
		return 0;
	if (msg->code != GM_COAP(2, 1) && msg->code != GM_COAP(2, 4)) {
		gm_exchange_end(env, m, msg->code);
		return 0;
	}
	gm_pending_verify(env, m, msg, body); /* goes on in gm_join_verified() */
	return 0;
}

static const char *join_map_fault(struct gm_member_env *env, struct gm_member *m, const struct gm_keying_map *map)
{
	struct gm_member_group *g = &env->groups[m->group];
	if (map->gkty != 1 || map->profile != 1 || map->exi < 0)
		return "join response lacks gkty, profile or exi";
	if (memcmp(&map->params, &g->params, sizeof(g->params)) != 0)
		return "group parameters differ between members";
	if (!gm_bytes_eq(map->kdc_cred, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}))
		return "credential of the Group Manager differs between members";
	if (map->sid.n > GM_SID_MAX || (m->roles == GM_ROLE_MONITOR) != (map->sid.n == 0))
		return "join response has a wrong Sender ID";
	if (m->want_creds != (map->creds.p != NULL) || m->want_creds != (map->peer_ids.p != NULL))
		return "join response and get_creds disagree";
	return NULL;
}

void gm_join_verified(struct gm_member_env *env, struct gm_member *m, uint8_t code, const char *node, size_t node_n,
                      struct gm_bytes body, bool good)
{
	struct gm_keying_map map;
	struct gm_member_keys keys;
	const char *fault = "kdc_cred_verify does not verify";
	if (good)
		fault = gm_keying_decode(body, &map) != GM_E_OK || !keys_from_map(&keys, &map)
		            ? "join response cannot be read"
		            : join_map_fault(env, m, &map);
	if (!fault && (node_n == 0 || node_n > GM_NODE_NAME_MAX))
		fault = "join response without a node name in its location";
	if (!fault && m->node_n && code == GM_COAP(2, 4) && (m->node_n != node_n || memcmp(m->node, node, node_n) != 0))
		fault = "re-join changed the node name";
	if (!fault && m->sid_n && code == GM_COAP(2, 4) && gm_bytes_eq(map.sid, (struct gm_bytes){m->sid, m->sid_n}) &&
	    m->has_keys && m->keys.version == keys.version)
		fault = "re-join kept the Sender ID";
	if (!fault && m->has_keys && keys.version < m->keys.version)
		fault = "re-join went back to an older version";
	if (!fault && map.creds.p && !peers_from_map(env, m, &map))
		fault = "creds and peer_identifiers cannot be read";
	if (fault) {
		env->failed(env->arg, m, fault);
		gm_exchange_end(env, m, 0);
		return;
	}
	m->node_n = (uint8_t)node_n;
	memcpy(m->node, node, node_n);
	m->node[node_n] = 0;
	m->sid_n = (uint8_t)map.sid.n;
	if (map.sid.n)
		memcpy(m->sid, map.sid.p, map.sid.n);
	memcpy(m->joined_cnonce, m->cnonce, sizeof(m->joined_cnonce));
	m->rejoined = code == GM_COAP(2, 4);
	m->joined_gid_n = keys.gid_n;
	memcpy(m->joined_gid, keys.gid, sizeof(m->joined_gid));
	m->joined_version = keys.version;
	m->state = GM_MEMBER_IN;
	m->told = false;
	m->next = keys;
	m->next_how = GM_HOW_JOIN;
	m->group_seq = 0;                                                       /* new Sender ID, new Sender Context */
	if (m->has_keys && m->keys.version != keys.version && !m->want_creds) { /* re-join across a rekey */
		m->has_next = true;
		gm_keys_drop(m);
		m->plan = (uint16_t)(m->plan | GM_PLAN(GM_OP_STALE));
	} else if (!m->has_keys || m->keys.version != keys.version) {
		if (!m->has_keys && !map.creds.p)
			gm_peers_forget(m); /* of a membership that has ended: nobody told who went since */
		gm_keys_install(env, m);
	}
	gm_exchange_end(env, m, code);
}

/* Notifications are answers to the request that is out. RFC 7641 §3.2, RFC 7959 §3.4 */
void gm_member_observes(struct gm_member *m)
{
	m->observing = true;
	m->obs_top = 0;
	m->obs_request = m->ex.request;
	memcpy(m->obs_token, m->ex.token, sizeof(m->obs_token));
}

static uint8_t take_keys(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                         struct gm_bytes body)
{
	if (msg->code != GM_COAP(2, 5))
		return msg->code;
	const struct gm_keying_map *map = gm_keying_read(env, body);
	if (!map || !gm_keys_learn(env, m, map, GM_HOW_POLL, false)) {
		env->failed(env->arg, m, "answer to GET cannot be read");
		return 0;
	}
	if (m->ex.op == GM_OP_NODE && !m->unsure && !gm_bytes_eq(map->sid, (struct gm_bytes){m->sid, m->sid_n}))
		env->failed(env->arg, m, "GET nodes/N shows another Sender ID");
	if (m->ex.op != GM_OP_NODE && map->sid.n)
		env->failed(env->arg, m, "GET of the group shows a Sender ID");
	if (m->ex.op == GM_OP_OBSERVE && msg->has_observe && !m->ex.block)
		gm_member_observes(m);
	return msg->code;
}

static uint8_t take_stale(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	/* 4.00: nothing newer than what we named; without payload: purge everything    KG §11.3.1 */
	m->purged = msg->code != GM_COAP(2, 5) || body.n == 0;
	if (m->purged)
		gm_peers_forget(m);
	else if (!gm_peers_purge(m, body))
		env->failed(env->arg, m, "stale-sids cannot be read");
	if (m->has_next && m->next.version != m->ex.version)
		gm_member_plan(env, m, GM_PLAN(GM_OP_STALE)); /* newer keys came in between, about which this may say nothing */
	else if (m->has_next)
		gm_keys_install(env, m);
	return msg->code;
}

static uint8_t take_creds(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	struct gm_creds creds;
	int64_t num;
	if (msg->code != GM_COAP(2, 5))
		return msg->code;
	gm_peers_forget(m);
	if (gm_creds_answer_decode(body, &num, &creds) != GM_E_OK || num < 0 || !peers_add(env, m, creds)) {
		env->failed(env->arg, m, "creds cannot be read");
		return 0;
	}
	if ((uint64_t)num < (m->has_next ? m->next.version : m->has_keys ? m->keys.version : 0)) {
		gm_peers_forget(m); /* a rekeying message overtook it, whose stale set is done with: ask again */
		gm_member_plan(env, m, GM_PLAN(GM_OP_CREDS));
	}
	return msg->code;
}

/* The credential of one Sender ID, in one datagram, or the news that nobody has it. */
static uint8_t take_fetch(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	struct gm_bytes asked = {m->fetch_sid, m->fetch_sid_n};
	struct gm_creds creds;
	int64_t num;
	if (msg->code != GM_COAP(2, 5))
		return msg->code;
	if (gm_creds_answer_decode(body, &num, &creds) != GM_E_OK || m->ex.block) {
		env->failed(env->arg, m, "fetched credential cannot be read");
		return 0;
	}
	forget_peer(m, asked);
	if (gm_is_nothing(body))
		return msg->code;
	if (creds.creds.n != 1 || !peers_add(env, m, creds) || !gm_member_find_peer(m, asked))
		env->failed(env->arg, m, "another credential than the one asked for");
	return msg->code;
}

/* Proves over the nonce of our latest Join.                                       KG §9.5.1 */
static uint8_t take_kdc(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body)
{
	const struct gm_member_group *g = &env->groups[m->group];
	uint8_t input[GM_NONCE_MAX + 16];
	struct gm_out o = gm_out(input, sizeof(input));
	struct gm_kdc_cred kdc;
	if (msg->code != GM_COAP(2, 5))
		return msg->code;
	if (gm_kdc_cred_decode(body, &kdc) != GM_E_OK) {
		env->failed(env->arg, m, "answer of kdc-cred cannot be read");
		return 0;
	}
	gm_pop_input(&o, (struct gm_bytes){m->joined_cnonce, sizeof(m->joined_cnonce)}, kdc.nonce, (struct gm_bytes){0});
	if (!gm_bytes_eq(kdc.cred, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}))
		env->failed(env->arg, m, "kdc-cred is not that of the Join");
	if (m->unsure)
		return msg->code; /* it may be over the nonce of a Join that was carried out and whose answer was lost */
	if (o.err != GM_E_OK || !gm_proof_verify(&g->params, &m->own.key, &g->kdc_pub, gm_out_result(&o), kdc.verify))
		env->failed(env->arg, m, "proof of kdc-cred does not verify");
	return msg->code;
}

/* As it is, for whoever asked. */
static uint8_t take_ask(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body)
{
	struct gm_member_ask *a = m->ask;
	(void)env;
	a->code = msg->code;
	a->format = msg->content_format;
	a->observed = msg->has_observe;
	if (a->observe == GM_ASK_OBSERVE)
		memcpy(a->token, m->ex.token, sizeof(a->token));
	free(a->body);
	a->body = malloc(body.n + 1);
	a->body_n = a->body ? body.n : 0;
	if (a->body && body.n)
		memcpy(a->body, body.p, body.n);
	return msg->code;
}

/* A new Sender ID, or the keys of a rekey that was due.                            KG §9.2 */
static uint8_t take_renew(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	struct gm_keying_map map;
	if (msg->code != GM_COAP(2, 4))
		return msg->code;
	if (gm_keying_decode(body, &map) != GM_E_OK) {
		env->failed(env->arg, m, "answer to a renewal cannot be read");
		return 0;
	}
	if (map.num >= 0)
		return gm_keys_learn(env, m, &map, GM_HOW_POLL, true) ? msg->code : 0;
	if (map.sid.n > GM_SID_MAX || gm_bytes_eq(map.sid, (struct gm_bytes){m->sid, m->sid_n}))
		env->failed(env->arg, m, "a renewal kept the Sender ID");
	m->sid_n = (uint8_t)(map.sid.n <= GM_SID_MAX ? map.sid.n : 0);
	memcpy(m->sid, map.sid.p, m->sid_n);
	m->group_seq = 0; /* new Sender Context */
	return msg->code;
}

static uint8_t take_recred(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                           struct gm_bytes body)
{
	if (msg->code != GM_COAP(2, 4))
		return msg->code;
	if (body.n)
		env->failed(env->arg, m, "answer to a new credential has a payload");
	if (m->next_own)
		m->own = *m->next_own;
	return msg->code;
}

static uint8_t take_leave(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg,
                          struct gm_bytes body)
{
	(void)env;
	(void)body;
	/* repeated with Echo after a restart: the first one may have been carried out */
	bool gone = m->ex.echo_tries && (msg->code == GM_COAP(4, 3) || msg->code == GM_COAP(4, 4));
	if (msg->code != GM_COAP(2, 2) && !gone)
		return msg->code;
	gm_keys_drop(m);
	gm_peers_forget(m);
	m->state = GM_MEMBER_LEFT;
	m->node_n = m->sid_n = 0;
	m->observing = false;
	return GM_COAP(2, 2);
}

void gm_answer_take(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body)
{
	static uint8_t (*const take[GM_OP_N])(struct gm_member_env *, struct gm_member *, const struct gm_coap *,
	                                      struct gm_bytes) = {
	    [GM_OP_TOKEN] = take_token, [GM_OP_UPDATE] = take_update, [GM_OP_OBSERVE] = take_keys, [GM_OP_GROUP] = take_keys,
	    [GM_OP_NODE] = take_keys,   [GM_OP_STALE] = take_stale,  [GM_OP_CREDS] = take_creds,
	    [GM_OP_FETCH] = take_fetch, [GM_OP_KDC] = take_kdc, [GM_OP_ASK] = take_ask,      [GM_OP_RENEW] = take_renew,
	    [GM_OP_RECRED] = take_recred, [GM_OP_LEAVE] = take_leave,
	};
	if (msg->code == GM_COAP(5, 3)) {
		env->stats.refused++;
		m->later_s = (uint8_t)(!msg->has_max_age ? 0 : msg->max_age < UINT8_MAX ? msg->max_age : UINT8_MAX);
		env->later_n[m->later_s < GM_LATER_N ? m->later_s : GM_LATER_N - 1]++;
	}
	if (m->ex.op == GM_OP_JOIN)
		(void)take_join(env, m, msg, body);
	else
		gm_exchange_end(env, m, take[m->ex.op](env, m, msg, body));
}
