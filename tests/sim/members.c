/* SPDX-License-Identifier: Apache-2.0 */
/* What members do: they want in or out, poll, observe, renew, go silent, lose their memory, and try again when something
 * fails. Each is a struct gm_member with real keys; only the will is made here. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "group_oscore.h"
#include "sim.h"
#include "wire/admin.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

#define CHANGES (GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_RENEW) | GM_PLAN(GM_OP_LEAVE) | GM_PLAN(GM_OP_RECRED))
#define ALL_ROLES (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

static struct sim_node *node_of(struct sim *s, const struct sim_member *sm)
{
	return sm->node ? &s->model.node[sm->node - 1] : NULL;
}

/* ---- tokens */

static void put_scope(struct sim *s, const struct gm_member *m, struct gm_out *scope)
{
	gm_cbor_put_array(scope, 1);
	if (m->index < SIM_MEMBERS)
		gm_scope_put(scope, s->groups[m->group].name, m->roles);
	else
		gm_scope_put_admin(scope, "*", GM_PERM_LIST | GM_PERM_CREATE | GM_PERM_READ | GM_PERM_WRITE | GM_PERM_DELETE);
}

bool sim_mint(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];
	struct gm_member *m = &sm->m;
	uint8_t bytes[64];
	struct gm_out scope = gm_out(bytes, sizeof bytes);
	struct gm_minted minted;
	bool brief = i < SIM_MEMBERS && sim_chance(&s->dice, 1500);

	put_scope(s, m, &scope);
	sm->ident = (struct sim_ident){.exp = sim_wall_s(s) + (brief ? 60 + sim_below(&s->dice, 600) : 1000000), .group = m->group};
	struct gm_mint what = {.scope = gm_out_result(&scope), .exp = sm->ident.exp, .nbf = -1, .exi = -1,
	                       .reference = s->as.linked && sim_chance(&s->dice, 4000)};
	if (gm_askey_mint_as(&minted, &s->as_key, &what) != GM_E_OK)
		return false;
	if (what.reference)
		gm_opaque_add(&s->as.opaques, (struct gm_bytes){minted.token, minted.token_n}, (struct gm_bytes){minted.claims, minted.claims_n},
		              what.exp);
	sim_counts.references += what.reference;
	m->token = realloc(m->token, minted.token_n);
	memcpy(m->token, minted.token, minted.token_n);
	m->token_n = (uint16_t)minted.token_n;
	memcpy(m->osc_id, minted.osc_id, sizeof m->osc_id);
	memcpy(m->token_ms, minted.ms, sizeof m->token_ms);
	memcpy(m->token_salt, minted.salt, sizeof m->token_salt);
	gm_token_hash(sm->ident.hash, (struct gm_bytes){m->token, m->token_n});
	sm->idents++;
	m->has_context = false;
	return true;
}

static uint16_t some_group(struct sim *s)
{
	struct sim_model *m = &s->model;
	uint16_t there[SIM_GROUPS], n = 0;

	for (uint16_t i = 0; i < m->groups; i++)
		if (m->group[i].state == SIM_IN)
			there[n++] = i;
	return n ? there[sim_below(&s->dice, n)] : 0;
}

/* A device without a memory. Its token lies in flash; sometimes it gets another. */
static void begin(struct sim *s, unsigned i, bool other_token)
{
	struct sim_member *sm = &s->member[i];
	struct gm_member *m = &sm->m;
	uint8_t *token = m->token;
	struct gm_member before = *m;
	struct gm_addr addr;

	gm_addr_parse(&addr, "127.1.0.0:40000");
	addr.ip[14] = (uint8_t)(i >> 8);
	addr.ip[15] = (uint8_t)i;
	addr.port = (uint16_t)(40000 + sim_below(&s->dice, 8));
	gm_member_clear(m);
	if (other_token)
		sm->ident.suspect = false;
	bool post = other_token ? sim_chance(&s->dice, 5000) : before.post;
	uint16_t group = other_token ? some_group(s) : before.group;
	bool monitor = sim_chance(&s->dice, 1000) && s->model.group[group].config.params.group_mode; /* it can prove nothing elsewhere */
	gm_member_init(m, i, &addr, group, !other_token ? before.roles : monitor ? GM_ROLE_MONITOR : ALL_ROLES, post);
	m->want_creds = sim_chance(&s->dice, 3000);
	m->token = token;
	sm->unanswered[sm->unanswered_at++ % 16] = sm->asked++; /* forgotten with the rest */
	sm->timer_ms = 0;
	sm->node = 0;
	sm->failures = 0;
	if (other_token) {
		(void)sim_mint(s, i);
		return;
	}
	m->token_n = before.token_n;
	memcpy(m->osc_id, before.osc_id, sizeof m->osc_id);
	memcpy(m->token_ms, before.token_ms, sizeof m->token_ms);
	memcpy(m->token_salt, before.token_salt, sizeof m->token_salt);
	gm_wipe(&before, sizeof before);
}

static bool group_gone(const struct sim *s, const struct sim_member *sm)
{
	return s->model.group[sm->m.group].state != SIM_IN;
}

void sim_member_restart(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];
	bool other = group_gone(s, sm) || sm->ident.exp <= sim_wall_s(s) || sim_chance(&s->dice, 2000);

	gm_member_abort(&s->env, &sm->m);
	begin(s, i, other);
	sm->wants = true;
	sm->next_ms = sim_ms(s) + 5000 + sim_below(&s->dice, 3000); /* what is late on its way is over then */
	sim_say(s, "member %u starts anew%s", i, other ? " with another token" : "");
}

/* ---- what they ask */

/* It may get one: until an answer comes nobody knows. Also where the device has forgotten its node. */
static void another_sid(struct sim *s, unsigned i)
{
	for (uint32_t k = 0; k < s->model.nodes; k++)
		if (s->model.node[k].member == i && s->model.node[k].ident == s->member[i].idents)
			s->model.node[k].sid_known = false;
}

static void plan(struct sim *s, unsigned i, unsigned ops)
{
	struct sim_member *sm = &s->member[i];
	struct sim_node *n = node_of(s, sm);

	sm->asked_at = ++s->model.clock;
	if (n && ops & GM_PLAN(GM_OP_LEAVE) && n->state == SIM_IN) {
		n->state = SIM_UNSURE;
		n->unsure_at = s->model.clock + 1; /* only what is asked after this leave clears it */
	}
	if (ops & (GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_RENEW)))
		another_sid(s, i);
	sm->before_n = sm->m.sid_n;
	memcpy(sm->before, sm->m.sid, sizeof sm->before);
	sm->m.unsure |= (ops & GM_PLAN(GM_OP_RENEW)) != 0;
	gm_member_plan(&s->env, &sm->m, ops);
}

static unsigned join_plan(struct sim *s, const struct sim_member *sm)
{
	unsigned ops = GM_PLAN(GM_OP_JOIN);

	(void)s;
	if (!sm->m.has_context)
		ops |= GM_PLAN(GM_OP_TOKEN);
	if (!sm->m.post)
		ops |= GM_PLAN(GM_OP_OBSERVE);
	return ops;
}

static unsigned poll_plan(struct sim *s, const struct sim_member *sm)
{
	static const uint8_t reads[] = {GM_OP_GROUP, GM_OP_GROUP, GM_OP_NODE, GM_OP_CREDS, GM_OP_KDC, GM_OP_STALE};

	if (!sm->m.post && !sm->m.observing)
		return GM_PLAN(GM_OP_OBSERVE);
	if (s->quiet)
		return GM_PLAN(GM_OP_GROUP);
	if (sm->m.sid_n && sim_chance(&s->dice, 600))
		return GM_PLAN(GM_OP_RENEW);
	if (sm->m.sid_n && sim_chance(&s->dice, 300))
		return GM_PLAN(GM_OP_RECRED);
	if (sim_chance(&s->dice, 400))
		return GM_PLAN(GM_OP_JOIN);
	if (sim_chance(&s->dice, 200))
		return GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_NODE);
	return GM_PLAN(reads[sim_below(&s->dice, sizeof reads)]);
}

/* All that a member can do about what it sees. */
static void act(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];
	struct gm_member *m = &sm->m;

	if (m->plan || m->ex.active)
		return;
	if (group_gone(s, sm) || sm->ident.exp <= sim_wall_s(s)) {
		begin(s, i, true);
		sm->wants = true;
	}
	if (sm->wants && sm->ident.suspect && sm->failures && sim_chance(&s->dice, s->quiet ? 5000 : 1000)) {
		begin(s, i, true); /* the authorization server lets it in again */
		return;
	}
	bool in = m->state == GM_MEMBER_IN && m->has_context;
	if (!sm->wants && in)
		plan(s, i, GM_PLAN(GM_OP_LEAVE));
	else if (!sm->wants)
		return;
	else if (!in)
		plan(s, i, join_plan(s, sm));
	else
		plan(s, i, poll_plan(s, sm));
}

/* false: it does nothing for a while */
static bool change_mind(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];

	if (s->quiet)
		return true;
	if (sim_chance(&s->dice, 300))
		sm->wants = !sm->wants;
	else if (!sm->wants)
		sm->wants = sim_chance(&s->dice, 2000);
	if (sim_chance(&s->dice, 200)) {
		sm->silent_ms = sim_ms(s) + sim_below(&s->dice, 120000);
		sim_counts.member_silences++;
		sim_say(s, "member %u hears and says nothing for a while", i);
	} else if (sim_chance(&s->dice, 150)) {
		sim_counts.member_restarts++;
		sim_member_restart(s, i);
	} else if (sim_chance(&s->dice, 100)) {
		sm->m.addr.port = (uint16_t)(41000 + sim_below(&s->dice, 1000));
		sim_counts.moved++;
		return true;
	} else {
		return true;
	}
	return false;
}

/* ---- what they are answered */

static void answered_join(struct sim *s, unsigned i, uint8_t code)
{
	struct sim_member *sm = &s->member[i];

	if (sm->ident.barred_at && sm->asked_at > sm->ident.barred_at && sim_wall_s(s) < sm->ident.exp)
		sim_fail(s, "member %u is barred and joined", i);
	if (sm->ident.revoked_at && sm->asked_at > sm->ident.revoked_at)
		sim_fail(s, "member %u joined with a revoked token", i);
	if (s->model.drained_at && sm->asked_at > s->model.drained_at)
		sim_fail(s, "member %u joined while gmd drains", i);
	sim_counts.kind_joins += !s->model.group[sm->m.group].config.params.pairwise_mode ||
	                         s->model.group[sm->m.group].config.params.sign_alg != gm_group_params_default().sign_alg;
	*(code == GM_COAP(2, 4) ? &sim_counts.rejoins : &sim_counts.joins) += 1;
	sim_model_joined(s, i, false);
}

/* With a Sender ID, or with new keys instead; then one that an answer lost in a crash had brought is not known. */
static void renewed(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];

	sim_counts.renewals++;
	if (sm->before_n == sm->m.sid_n && memcmp(sm->before, sm->m.sid, sm->before_n) == 0)
		sm->m.state = GM_MEMBER_TOKEN; /* to be sure: join again */
	else
		sim_model_joined(s, i, true);
}

static void left(struct sim *s, unsigned i)
{
	struct sim_member *sm = &s->member[i];
	struct sim_node *n = node_of(s, sm);

	sim_counts.leaves++;
	if (n)
		n->state = SIM_GONE;
	sm->node = 0;
	sim_say(s, "member %u has left", i);
}

/* No answer, or a refusal: what is not true any more is forgotten. */
static void refused(struct sim *s, unsigned i, enum gm_member_op op, uint8_t code)
{
	struct sim_member *sm = &s->member[i];
	struct gm_member *m = &sm->m;

	sm->failures++;
	m->unsure |= (code == 0 || m->ex.echo_tries) && GM_PLAN(op) & CHANGES; /* before an Echo it may have been carried out, too */
	if (GM_PLAN(op) & CHANGES) {
		/* An error may be without protection, to a copy that was damaged; another copy may come late. */
		sm->next_ms = sim_ms(s) + 6000;
		sm->unanswered[sm->unanswered_at++ % 16] = sm->asked;
	}
	if (code == GM_COAP(4, 1) || (op != GM_OP_TOKEN && sm->failures >= 3))
		m->has_context = false;
	if (code == GM_COAP(4, 3) || code == GM_COAP(4, 4) || sm->failures >= 3)
		m->state = m->state == GM_MEMBER_IN ? GM_MEMBER_TOKEN : m->state;
	if (m->state != GM_MEMBER_IN && op == GM_OP_LEAVE)
		sm->wants = true;
}

static void on_done(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took_ns)
{
	struct sim *s = arg;
	struct sim_member *sm = &s->member[m->index];

	(void)took_ns;
	s->digest = sim_mix(s->digest, (uint64_t)op << 32 | (uint64_t)code << 16 | m->index);
	sim_say(s, "member %u: %s %u.%02u", m->index, gm_member_op_name(op), code >> 5, code & 31u);
	if (m->index >= SIM_MEMBERS) {
		sim_admin_done(s, m->index, op, code);
		return;
	}
	if (code >> 5 != 2) {
		sim_counts.drained_joins += op == GM_OP_JOIN && s->model.drained_at && code == GM_COAP(5, 3);
		refused(s, m->index, op, code);
		sm->asked++;
		return;
	}
	sm->asked++;
	sm->failures = 0;
	if (op == GM_OP_JOIN) {
		m->unsure = false;
		answered_join(s, m->index, code);
	} else if (op == GM_OP_RENEW) {
		renewed(s, m->index);
	} else if (op == GM_OP_RECRED) {
		sim_counts.new_credentials++;
	} else if (op == GM_OP_LEAVE) {
		left(s, m->index);
	} else if (op == GM_OP_TOKEN && sm->ident.revoked_at && sm->asked_at > sm->ident.revoked_at) {
		sim_fail(s, "member %u posted a revoked token and was told that it is good", m->index);
	}
	sm->asked_at = ++s->model.clock; /* the next step of the plan */
}

/* ---- the environment */

static void on_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct sim *s = arg;

	sim_counts.to_gm++;
	gm_mem_send(s->net, &m->addr, to, p, n);
	struct sim_heard *h = &s->heard[s->heard_n++ % SIM_HEARD];
	*h = (struct sim_heard){.from = m->addr, .to = *to, .member = m->index, .asked = s->member[m->index].asked, .n = (uint16_t)n};
	memcpy(h->data, p, n);
}

static void on_timer(void *arg, struct gm_member *m, uint64_t at_ms)
{
	((struct sim *)arg)->member[m->index].timer_ms = at_ms;
}

static void on_context(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt)
{
	(void)arg, (void)m, (void)ms, (void)salt;
}

static void on_installed(void *arg, struct gm_member *m)
{
	sim_model_installed(arg, m->index);
}

static void on_failed(void *arg, struct gm_member *m, const char *reason)
{
	struct sim *s = arg;
	const struct sim_node *n = node_of(s, &s->member[m->index]);

	if (strcmp(reason, "re-join changed the node name") == 0 && (!n || n->state != SIM_IN)) {
		m->node_n = 0; /* a membership that has ended, and a Join that was answered into a crash */
		return;
	}
	sim_fail(s, "member %u: %s", m->index, reason);
}

bool sim_members_new(struct sim *s)
{
	s->env = (struct gm_member_env){
	    .arg = s,
	    .send = on_send,
	    .timer = on_timer,
	    .done = on_done,
	    .context = on_context,
	    .installed = on_installed,
	    .failed = on_failed,
	    .server = s->dp_config.listen[0],
	    .groups = s->groups,
	    .groups_n = SIM_GROUPS,
	};
	if (gm_member_env_init(&s->env) != GM_E_OK)
		return false;
	for (unsigned i = 0; i < s->members_n; i++) {
		begin(s, i, true);
		s->member[i].wants = true;
		s->member[i].next_ms = sim_ms(s) + sim_below(&s->dice, 20000);
	}
	return sim_admins_new(s);
}

void sim_members_free(struct sim *s)
{
	for (unsigned i = 0; i < s->members_n; i++) {
		free(s->member[i].m.token);
		gm_member_clear(&s->member[i].m);
	}
	sim_admins_free(s);
	if (s->env.pending)
		gm_member_env_free(&s->env);
}

/* ---- damage to what is not protected does not arrive: that would be an attack on the token and its answer, which makes a
 * context that fails and is made again, but tells what all members take for true about a group */

static bool unprotected(struct gm_bytes d)
{
	struct gm_coap msg;

	return gm_coap_decode(d, &msg) == GM_E_OK && !msg.has_oscore && msg.payload.n;
}

static uint64_t hash(struct gm_bytes d)
{
	static const uint8_t key[16] = "as it was sent";

	return gm_siphash(key, d.p, d.n);
}

void sim_tap(void *arg, const struct gm_addr *from, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct sim *s = arg;
	struct gm_bytes d = {data, n};

	s->digest = sim_mix(s->digest, hash(d) ^ to->port ^ (uint64_t)to->ip[15] << 32);
	(void)from;
	if (unprotected(d))
		s->said[s->said_n++ % SIM_SAID] = hash(d);
}

bool sim_was_said(const struct sim *s, struct gm_bytes d)
{
	bool said = !unprotected(d);

	for (unsigned i = 0; i < SIM_SAID && !said; i++)
		said = s->said[i] == hash(d);
	return said;
}

unsigned sim_after(const struct sim *s, unsigned i)
{
	return ++i == s->members_n ? SIM_MEMBERS : i;
}

static bool is_somebody(const struct sim *s, unsigned i)
{
	return i < s->members_n || (i >= SIM_MEMBERS && i < SIM_MEMBERS + s->admins_n);
}

static void receive(struct sim *s)
{
	struct gm_mem_dgram d;

	while (gm_mem_recv(s->net, NULL, &d)) {
		unsigned i = (unsigned)(d.to.ip[14] << 8 | d.to.ip[15]);
		bool good = sim_was_said(s, (struct gm_bytes){d.data, d.len});
		if (s->as.linked && gm_addr_eq(&d.to, &s->as.addr)) {
			if (good)
				sim_as_receive(s, &d);
			continue;
		}
		if (gm_addr_eq(&d.to, &s->env.server) || !is_somebody(s, i)) /* gmd is down; a replay from elsewhere */
			continue;
		struct sim_member *sm = &s->member[i];
		sim_counts.to_members++;
		if (good && sm->silent_ms <= sim_ms(s) && gm_addr_eq(&d.to, &sm->m.addr))
			gm_member_receive(&s->env, &sm->m, (struct gm_bytes){d.data, d.len}, &d.from);
	}
}

void sim_members_turn(struct sim *s)
{
	uint64_t now = sim_ms(s);

	s->env.now_ns = gm_mem_now(s->net);
	sim_as_turn(s);
	receive(s);
	for (unsigned i = 0; is_somebody(s, i); i = sim_after(s, i)) {
		struct sim_member *sm = &s->member[i];
		if (sm->silent_ms > now)
			continue;
		if (sm->timer_ms && sm->timer_ms <= now) {
			sm->timer_ms = 0;
			gm_member_timeout(&s->env, &sm->m);
		}
		if (sm->next_ms > now)
			continue;
		if (i >= SIM_MEMBERS) {
			sim_admin_act(s, i);
			continue;
		}
		sm->next_ms = now + 200 + sim_below(&s->dice, s->quiet ? 20000 : 6000) + (sm->failures ? 3000u : 0);
		if (change_mind(s, i))
			act(s, i);
	}
	gm_member_flush(&s->env);
}

uint64_t sim_members_next_ms(const struct sim *s)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; is_somebody(s, i); i = sim_after(s, i)) {
		const struct sim_member *sm = &s->member[i];
		uint64_t at = sm->timer_ms && sm->timer_ms < sm->next_ms ? sm->timer_ms : sm->next_ms;
		at = at < sm->silent_ms ? sm->silent_ms : at;
		next = at < next ? at : next;
	}
	return next;
}

/* ---- replay: what an attacker has heard. What may change something and never came to an answer is no replay: it may
 * not have arrived at all. */

void sim_replay(struct sim *s)
{
	unsigned n = s->heard_n < SIM_HEARD ? s->heard_n : SIM_HEARD;
	const struct sim_heard *h = &s->heard[sim_below(&s->dice, n)];
	struct gm_addr from = h->from;

	if (!n)
		return;
	const struct sim_member *sm = &s->member[h->member];
	for (unsigned i = 0; i < 16; i++)
		if (sm->unanswered[i] && sm->unanswered[i] == h->asked)
			return;
	if (h->asked == sm->asked)
		return;
	if (sim_chance(&s->dice, 3000)) {
		from.ip[12] = 9; /* from an address of its own */
		from.port = 4000;
	}
	sim_counts.replayed++;
	sim_say(s, "a datagram of member %u is replayed from port %u, request %llu", h->member, from.port,
	        (unsigned long long)h->asked);
	gm_mem_send(s->net, &from, &h->to, h->data, h->n);
}

/* ---- the end */

void sim_members_quiet(struct sim *s)
{
	for (unsigned i = 0; i < s->members_n; i++) {
		s->member[i].silent_ms = 0;
		s->member[i].wants = true;
	}
}

bool sim_members_settled(struct sim *s, char why[static GM_WHY])
{
	for (unsigned i = 0; i < s->members_n; i++) {
		const struct sim_member *sm = &s->member[i];
		const struct gm_member *m = &sm->m;
		const struct sim_group *g = &s->model.group[m->group];
		why[0] = 0;
		if (sm->ident.listed && !sm->ident.revoked_at)
			snprintf(why, GM_WHY, "gmd has not heard that the token of member %u is revoked", i);
		else if (m->state != GM_MEMBER_IN || !m->has_keys)
			snprintf(why, GM_WHY, "member %u is not in: %s", i, gm_member_state_name((enum gm_member_state)m->state));
		else if (m->keys.version != g->version)
			snprintf(why, GM_WHY, "member %u has version %llu of %s, which is at %llu", i, (unsigned long long)m->keys.version,
			         g->name, (unsigned long long)g->version);
		if (why[0])
			return false;
	}
	return true;
}

/* ---- keys in use: what one member says under the current keys opens with those alone */

static bool endpoint(const struct sim *s, const struct gm_member *m, const struct gm_member_keys *k, struct gm_bytes gid,
                     struct gm_group_oscore *ctx, struct gm_group_endpoint *e)
{
	const struct gm_member_group *g = &s->groups[m->group];

	*e = (struct gm_group_endpoint){.sid = {.n = m->sid_n}, .cred = {m->own.cred, m->own.cred_n}, .pub = &m->own.key.pub,
	                                .key = &m->own.key};
	memcpy(e->sid.b, m->sid, m->sid_n);
	return gm_group_oscore_init(ctx, &g->params, (struct gm_bytes){k->ms, k->ms_n}, (struct gm_bytes){k->salt, k->salt_n},
	                            gid, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}) == GM_E_OK;
}

static bool hears(struct sim *s, const struct gm_member *from, const struct gm_member *to, const struct gm_member_keys *keys,
                  struct gm_bytes gid, bool pairwise)
{
	struct gm_group_oscore there, here;
	struct gm_group_endpoint a, b, toward, sender;
	uint8_t bytes[512], piv[GM_OSCORE_PIV_MAX], text[512];
	const uint8_t code = GM_COAP_GET;
	struct gm_out out = gm_out(bytes, sizeof bytes);
	struct gm_oscore_outer outer = {.type = GM_COAP_NON, .code = GM_COAP_POST, .mid = 1};
	struct gm_coap msg;
	struct gm_oscore_option option;
	size_t n;

	if (!endpoint(s, from, &from->keys, (struct gm_bytes){from->keys.gid, from->keys.gid_n}, &there, &a) ||
	    !endpoint(s, to, keys, gid, &here, &b))
		return false;
	uint8_t piv_n = gm_oscore_piv(piv, sim_draw(&s->dice) % 100000);
	toward = b;
	sender = a;
	toward.key = sender.key = NULL;
	if (gm_group_wrap(&there, &a, pairwise ? &toward : NULL, &outer, NULL, piv, piv_n, (struct gm_bytes){&code, 1}, &out) != GM_E_OK ||
	    gm_coap_decode(gm_out_result(&out), &msg) != GM_E_OK || gm_oscore_option_decode(msg.oscore, &option) != GM_E_OK)
		return false;
	return gm_group_unwrap(&here, &b, &sender, &option, msg.oscore, NULL, msg.payload, text, sizeof text, &n) == GM_E_OK;
}

static void talk(struct sim *s, const struct gm_member *a, const struct gm_member *b, bool pairwise)
{
	*(pairwise ? &sim_counts.talks_pairwise : &sim_counts.talks) += 1;
	if (!hears(s, a, b, &b->keys, (struct gm_bytes){b->keys.gid, b->keys.gid_n}, pairwise))
		sim_fail(s, "member %u does not understand member %u, both have version %llu", b->index, a->index,
		         (unsigned long long)b->keys.version);
	if (b->has_prev && b->prev.version < a->keys.version &&
	    hears(s, a, b, &b->prev, (struct gm_bytes){a->keys.gid, a->keys.gid_n}, pairwise))
		sim_fail(s, "keys of version %llu open what was said under version %llu", (unsigned long long)b->prev.version,
		         (unsigned long long)a->keys.version);
}

void sim_members_talk(struct sim *s)
{
	for (unsigned i = 0; i < s->members_n && !s->fault[0]; i++) {
		const struct gm_member *a = &s->member[i].m, *b = &s->member[(i + 1) % s->members_n].m;
		const struct gm_group_params *p = &s->groups[a->group].params;
		if (!a->sid_n || a->group != b->group || i == b->index)
			continue;
		if (p->group_mode)
			talk(s, a, b, false);
		if (p->pairwise_mode && b->sid_n)
			talk(s, a, b, true);
	}
}
