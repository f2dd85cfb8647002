/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures wait here for each other, so that crypto/ gets them in batches. */
#include "inside.h"

#include <stdlib.h>

#define INPUT_MAX 256u
#define KEPT_INPUT_MAX 64u

struct check { /* an answered Join; keeps the answer until the verdict */
	struct gm_member *m;
	uint8_t *body;
	size_t body_n, input_n;
	uint8_t code, node_n;
	char node[GM_NODE_NAME_MAX];
	uint8_t proof_n, proof[GM_PROOF_MAX], input[INPUT_MAX];
};

struct kept { /* a signature of the Group Manager to be verified later */
	struct gm_member *m;
	uint8_t pub[GM_ED25519_PUB], proof[GM_ED25519_SIG], input_n, input[KEPT_INPUT_MAX];
};

struct gm_member_pending {
	struct kept *kept;
	size_t kept_n, kept_cap;
	unsigned signs_n, checks_n;
	struct gm_member *signs[GM_BATCH_MAX];
	struct check checks[GM_BATCH_MAX];
};

enum gm_err gm_member_env_init(struct gm_member_env *env)
{
	env->pending = calloc(1, sizeof(*env->pending));
	env->controls = gm_controls_new();
	gm_random(&env->dice, sizeof(env->dice));
	return env->pending && env->controls ? GM_E_OK : GM_E_NO_MEMORY;
}

void gm_member_env_free(struct gm_member_env *env)
{
	for (unsigned i = 0; i < env->pending->checks_n; i++)
		free(env->pending->checks[i].body);
	free(env->pending->kept);
	free(env->pending);
	free(env->controls);
	gm_wipe(&env->read, sizeof(env->read));
	env->pending = NULL;
	env->controls = NULL;
}

/* What the proof of a Join is made over.                                         KG §6.1 */
static struct gm_bytes join_input(const struct gm_member_env *env, const struct gm_member *m,
                                  uint8_t input[static INPUT_MAX])
{
	uint8_t scope[96];
	const char *name = env->groups[m->group].name;
	struct gm_out s = gm_out(scope, sizeof(scope)), out = gm_out(input, INPUT_MAX);
	gm_join_scope_encode(&s, (struct gm_bytes){(const uint8_t *)name, strlen(name)}, m->roles);
	gm_pop_input(&out, gm_out_result(&s), (struct gm_bytes){m->challenge, m->challenge_n},
	             (struct gm_bytes){m->cnonce, sizeof(m->cnonce)});
	return gm_out_result(&out);
}

/* Ed25519 in one batch, the others one by one. */
static void sign_waiting(struct gm_member_env *env)
{
	struct gm_member_pending *p = env->pending;
	struct gm_ed25519_sign_job jobs[GM_BATCH_MAX];
	struct gm_member *members[GM_BATCH_MAX];
	uint8_t inputs[GM_BATCH_MAX][INPUT_MAX];
	unsigned n = p->signs_n, jobs_n = 0;
	p->signs_n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct gm_member *m = members[i] = p->signs[i];
		const struct gm_member_group *g = &env->groups[m->group];
		struct gm_bytes input = join_input(env, m, inputs[i]);
		m->pop_n = (uint8_t)gm_proof_len(&g->params);
		if (gm_proof_is_ed25519(&g->params))
			jobs[jobs_n++] = (struct gm_ed25519_sign_job){m->own.key.priv, m->own.key.pub.x, input.p, input.n,
			                                              m->pop};
		else if (gm_proof_make(&g->params, &m->own.key, &g->kdc_pub, input, m->pop) != GM_E_OK)
			m->pop_n = 0; /* the Group Manager's key does not serve: it will refuse us */
	}
	if (jobs_n)
		gm_ed25519_sign(jobs, jobs_n);
	for (unsigned i = 0; i < n; i++)
		if (members[i]->ex.active && members[i]->ex.op == GM_OP_JOIN)
			gm_exchange_send(env, members[i]);
}

/* bit i is set where checks[i] is good */
static uint64_t verify(const struct gm_member_env *env, const struct check *checks, unsigned n)
{
	struct gm_ed25519_job jobs[GM_BATCH_MAX];
	unsigned jobs_n = 0, of[GM_BATCH_MAX];
	uint64_t good = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct check *c = &checks[i];
		const struct gm_member_group *g = &env->groups[c->m->group];
		struct gm_bytes input = {c->input, c->input_n}, proof = {c->proof, c->proof_n};
		if (gm_proof_is_ed25519(&g->params)) {
			of[jobs_n] = i;
			jobs[jobs_n++] = (struct gm_ed25519_job){g->kdc_pub.x, c->proof, c->input, c->input_n};
		} else if (gm_proof_verify(&g->params, &c->m->own.key, &g->kdc_pub, input, proof))
			good |= 1ull << i;
	}
	uint64_t signed_well = jobs_n ? gm_ed25519_verify(jobs, jobs_n) : 0;
	for (unsigned j = 0; j < jobs_n; j++)
		good |= (signed_well >> j & 1) << of[j];
	return good;
}

/* false: there is no room, or it is of a kind that is verified at once */
static bool keep(struct gm_member_env *env, const struct check *c)
{
	struct gm_member_pending *p = env->pending;
	const struct gm_member_group *g = &env->groups[c->m->group];

	if (!gm_proof_is_ed25519(&g->params) || c->input_n > KEPT_INPUT_MAX)
		return false;
	if (p->kept_n == p->kept_cap) {
		size_t cap = p->kept_cap ? 2 * p->kept_cap : 1024;
		struct kept *more = realloc(p->kept, cap * sizeof(*more));
		if (!more)
			return false;
		p->kept = more;
		p->kept_cap = cap;
	}
	struct kept *k = &p->kept[p->kept_n++];
	*k = (struct kept){.m = c->m, .input_n = (uint8_t)c->input_n};
	memcpy(k->pub, g->kdc_pub.x, sizeof(k->pub));
	memcpy(k->proof, c->proof, sizeof(k->proof));
	memcpy(k->input, c->input, c->input_n);
	return true;
}

unsigned gm_member_verify_kept(struct gm_member_env *env)
{
	struct gm_member_pending *p = env->pending;
	unsigned bad = 0;

	for (size_t at = 0; at < p->kept_n; at += GM_BATCH_MAX) {
		struct gm_ed25519_job jobs[GM_BATCH_MAX];
		unsigned n = p->kept_n - at < GM_BATCH_MAX ? (unsigned)(p->kept_n - at) : GM_BATCH_MAX;
		for (unsigned i = 0; i < n; i++) {
			const struct kept *k = &p->kept[at + i];
			jobs[i] = (struct gm_ed25519_job){k->pub, k->proof, k->input, k->input_n};
		}
		uint64_t good = gm_ed25519_verify(jobs, n);
		for (unsigned i = 0; i < n; i++)
			if (!(good >> i & 1)) {
				env->failed(env->arg, p->kept[at + i].m, "kdc_cred_verify of a Join Response does not verify");
				bad++;
			}
	}
	p->kept_n = 0;
	return bad;
}

static void check_waiting(struct gm_member_env *env)
{
	struct gm_member_pending *p = env->pending;
	static _Thread_local struct check checks[GM_BATCH_MAX]; /* a verdict may put new ones into the queue */
	unsigned n = p->checks_n;
	p->checks_n = 0;
	memcpy(checks, p->checks, n * sizeof(checks[0]));
	uint64_t good = 0;
	for (unsigned i = 0; env->later && i < n; i++)
		good |= (uint64_t)keep(env, &checks[i]) << i;
	if (!env->later || good != (n < 64 ? (1ull << n) - 1 : UINT64_MAX))
		good |= verify(env, checks, n);
	for (unsigned i = 0; i < n; i++) {
		struct check *c = &checks[i];
		if (c->m->ex.active && c->m->ex.op == GM_OP_JOIN)
			gm_join_verified(env, c->m, c->code, c->node, c->node_n, (struct gm_bytes){c->body, c->body_n},
			                 good >> i & 1);
		gm_wipe(c->body, c->body_n);
		free(c->body);
	}
}

void gm_member_flush(struct gm_member_env *env)
{
	gm_controls_flush(env);
	while (env->pending->signs_n || env->pending->checks_n) {
		if (env->pending->checks_n)
			check_waiting(env);
		if (env->pending->signs_n)
			sign_waiting(env);
	}
}

void gm_pending_sign(struct gm_member_env *env, struct gm_member *m)
{
	if (env->pending->signs_n == GM_BATCH_MAX)
		sign_waiting(env);
	env->pending->signs[env->pending->signs_n++] = m;
}

/* The first member of a group takes its parameters and the Group Manager's credential from the answer, which has to say
 * what joiners were told. */
static bool know_group(struct gm_member_group *g, const struct gm_keying_map *map)
{
	if (g->known)
		return true;
	if (!map->has_params || !map->kdc_cred.n || map->kdc_cred.n > sizeof(g->kdc_cred) ||
	    gm_cred_pub(map->kdc_cred, &map->params, &g->kdc_pub) != GM_E_OK ||
	    (g->informed && !gm_told_the_same(&map->params, &g->params)) ||
	    (g->kdc_cred_n && !gm_bytes_eq(map->kdc_cred, (struct gm_bytes){g->kdc_cred, g->kdc_cred_n})))
		return false;
	g->params = map->params;
	g->kdc_cred_n = (uint16_t)map->kdc_cred.n;
	memcpy(g->kdc_cred, map->kdc_cred.p, map->kdc_cred.n);
	if (map->policies.n <= sizeof(g->policies)) {
		g->policies_n = (uint8_t)map->policies.n;
		memcpy(g->policies, map->policies.p, map->policies.n);
	}
	g->known = true;
	return true;
}

void gm_pending_verify(struct gm_member_env *env, struct gm_member *m, const struct gm_coap *msg, struct gm_bytes body)
{
	struct gm_keying_map map;
	struct gm_member_group *g = &env->groups[m->group];
	const struct gm_bytes *node = &msg->location[3];
	if (gm_keying_decode(body, &map) != GM_E_OK || !map.kdc_nonce.n || msg->location_n != 4 ||
	    node->n > GM_NODE_NAME_MAX || !know_group(g, &map) || map.kdc_verify.n != gm_proof_len(&g->params)) {
		env->failed(env->arg, m, "join response cannot be read");
		gm_exchange_end(env, m, 0);
		return;
	}
	if (env->pending->checks_n == GM_BATCH_MAX)
		check_waiting(env);
	struct check *c = &env->pending->checks[env->pending->checks_n];
	struct gm_out input = gm_out(c->input, sizeof(c->input));
	*c = (struct check){.m = m,
	                    .code = msg->code,
	                    .node_n = (uint8_t)node->n,
	                    .proof_n = (uint8_t)map.kdc_verify.n,
	                    .body_n = body.n};
	gm_pop_input(&input, (struct gm_bytes){m->cnonce, sizeof(m->cnonce)}, map.kdc_nonce, (struct gm_bytes){0});
	c->input_n = gm_out_len(&input);
	memcpy(c->proof, map.kdc_verify.p, c->proof_n);
	memcpy(c->node, node->p, node->n);
	c->body = malloc(body.n);
	if (!c->body) {
		gm_exchange_end(env, m, 0);
		return;
	}
	memcpy(c->body, body.p, body.n);
	env->timer(env->arg, m, 0);
	free(m->ex.pkt); /* answered: repeats of the answer find nothing any more */
	m->ex.pkt = NULL;
	env->pending->checks_n++;
}
