/* SPDX-License-Identifier: Apache-2.0 */
/* A store with members by the million. Core makes its records, from the events that workers would send up, so they are
 * what a gmd would have written. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/core.h"
#include "gm/crypto.h"
#include "parts.h"
#include "wire/cbor.h"
#include "wire/params.h"
#include "wire/proof.h"

#define TURN 8192u
#define TOKEN_S (365 * 86400)
#define OBSERVERS 4u /* one of so many observes the group; the others have a control_uri */
#define CONTROL_PATH "/rekey"

struct filler {
	const struct plan *plan;
	struct gm_store *store;
	struct gm_core *core;
	struct gm_changes changes;
	struct gm_effects effects;
	struct gm_txn txn;
	uint64_t turn;
	uint32_t gen; /* of the groups' views, as the last effect said */
	uint32_t gens[65536];
	uint8_t cred[GM_VIEW_CRED_MAX];
	size_t cred_n;
};

struct event {
	_Alignas(8) uint8_t b[4096];
	uint32_t n;
};

static struct gm_slice add(struct event *e, const void *p, size_t n)
{
	struct gm_slice s = {e->n, (uint32_t)n};

	memcpy(e->b + e->n, p, n);
	e->n += (uint32_t)((n + 7) & ~(size_t)7);
	return s;
}

static void group_name(char name[static GM_GROUP_NAME_MAX + 1], uint32_t group)
{
	snprintf(name, GM_GROUP_NAME_MAX + 1, "g%u", group);
}

static gm_ctx_id ctx_of(uint32_t n)
{
	return GM_CTX_ID(n % GM_SHARDS, n / GM_SHARDS, 1u);
}

static void derive(struct gm_ctx_save *save, uint32_t n)
{
	uint8_t seed[32] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)}, bytes[16 + 16 + 13];

	gm_random_from(bytes, sizeof(bytes), seed);
	*save = (struct gm_ctx_save){.id = ctx_of(n), .alg = 10, .sid_n = 2, .sid = {0x5a, (uint8_t)n}};
	memcpy(save->send_key, bytes, 16);
	memcpy(save->recv_key, bytes + 16, 16);
	memcpy(save->common_iv, bytes + 32, 13);
	memcpy(save->challenge, bytes, 8);
	gm_addr_parse(&save->peer, "127.1.0.1:40000");
	save->peer.ip[14] = (uint8_t)(n >> 8);
	save->peer.ip[15] = (uint8_t)n;
	save->peer.port = (uint16_t)(40000 + (n >> 16));
	gm_addr_parse(&save->local, "127.0.0.1:5683");
}

static void next_txn(struct filler *f)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	f->txn = (struct gm_txn){
	    .wall_s = wall.tv_sec, .mono_ms = f->turn + 1, .changes = &f->changes, .effects = &f->effects};
	gm_random(f->txn.dice, sizeof(f->txn.dice));
}

static void take_gens(struct filler *f)
{
	const struct gm_effect_buf *b = &f->effects.to[0];

	for (size_t at = 0; at < b->n;) {
		const struct gm_eff_group *e = (const void *)(b->bytes + at);
		if (e->rec.type == GM_EFF_GROUP)
			f->gens[e->view.index] = e->view.gen;
		at += e->rec.len;
	}
}

static bool commit(struct filler *f)
{
	take_gens(f);
	if (gm_store_begin(f->store, &f->changes, ++f->turn) != GM_E_OK || gm_store_finish(f->store) != GM_COMMIT_DONE) {
		fputs("memory: the store took no more\n", stderr);
		return false;
	}
	gm_changes_reset(&f->changes);
	gm_effects_reset(&f->effects);
	return true;
}

static bool create_groups(struct filler *f)
{
	struct gm_as_spec as = {.name = "as", .issuer = "as.example", .uri = "coap://as.example/token",
	                        .key = {.alg = 10, .key_n = 16}};

	gm_random(as.key.key, as.key.key_n);
	while (gm_core_loaded(f->core, &f->txn))
		;
	if (gm_core_as_add(f->core, &f->txn, &as) != GM_E_OK || !commit(f))
		return false;
	for (uint32_t i = 0; i < f->plan->groups; i++) {
		struct gm_group_spec spec = gm_group_spec_default();
		group_name(spec.name, i);
		spec.max_members = 65536;
		spec.key_lifetime_s = 30 * 86400;
		next_txn(f);
		if (gm_core_group_create(f->core, &f->txn, &spec) != GM_E_OK)
			return false;
		if (i % 64 == 63 && !commit(f))
			return false;
	}
	return commit(f);
}

/* Core takes a worker's word for what a credential is: a real one, the key in it changed for each. */
static bool make_credential(struct filler *f)
{
	struct gm_group_params params = gm_group_params_default();
	struct gm_key_pair pair;
	uint8_t seed[32] = {1};
	struct gm_out o = gm_out(f->cred, sizeof(f->cred));

	gm_params_complete(&params);
	if (gm_key_pair_make(&pair, &params, seed) != GM_E_OK || gm_own_cred_encode(&o, &params, &pair, 0) != GM_E_OK)
		return false;
	f->cred_n = gm_out_len(&o);
	return f->cred_n >= 32;
}

static struct gm_ev_request *begin_request(struct event *e, uint32_t n, const char *group)
{
	struct gm_ev_request *ev = (void *)e->b;

	e->n = (sizeof(*ev) + 7) & ~7u;
	memset(e->b, 0, sizeof(e->b));
	ev->xid = 1;
	ev->ctx = ctx_of(n);
	ev->content_format = -1;
	ev->res = GM_RES_GROUP;
	ev->group = add(e, group, strlen(group));
	ev->token_n = 4;
	ev->piv_n = 1;
	memcpy(ev->token, &n, sizeof(n));
	return ev;
}

static void apply(struct filler *f, struct event *e)
{
	*(struct gm_rec *)(void *)e->b = (struct gm_rec){.type = GM_EV_REQUEST, .len = e->n};
	next_txn(f);
	gm_core_apply(f->core, &f->txn, (const void *)e->b);
}

static void confirm(struct event *e, uint32_t n, const char *group, const struct gm_txn *txn)
{
	struct gm_ev_request *ev = (void *)e->b;
	uint8_t scope[GM_GROUP_NAME_MAX + 16], osc_id[8] = {7};
	struct gm_out o = gm_out(scope, sizeof(scope));

	gm_cbor_put_array(&o, 1);
	gm_cbor_put_array(&o, 2);
	gm_cbor_put_tstr(&o, group, strlen(group));
	gm_cbor_put_uint(&o, GM_ROLE_REQUESTER | GM_ROLE_RESPONDER);
	memcpy(osc_id + 4, &n, sizeof(n));
	ev->flags |= GM_REQ_CONFIRM;
	derive(&ev->confirm.save, n);
	ev->confirm.as_id = 1;
	ev->confirm.exp = txn->wall_s + TOKEN_S;
	ev->confirm.exi = -1;
	gm_sha256(ev->confirm.hash + 1, osc_id, sizeof(osc_id));
	ev->confirm.hash[0] = 1;
	ev->confirm.osc_id = add(e, osc_id, sizeof(osc_id));
	ev->confirm.scope = add(e, scope, gm_out_len(&o));
}

static void join(struct filler *f, uint32_t n)
{
	uint32_t at = n % f->plan->groups;
	char group[GM_GROUP_NAME_MAX + 1];
	uint8_t scope[GM_GROUP_NAME_MAX + 16];
	struct gm_out o = gm_out(scope, sizeof(scope));
	struct event e;

	group_name(group, at);
	struct gm_ev_request *ev = begin_request(&e, n, group);
	confirm(&e, n, group, &f->txn);
	ev->method = 2;
	ev->join.roles = GM_ROLE_REQUESTER | GM_ROLE_RESPONDER;
	gm_join_scope_encode(&o, (struct gm_bytes){(const uint8_t *)group, strlen(group)}, ev->join.roles);
	memcpy(f->cred + f->cred_n - 24, &n, sizeof(n));
	ev->join.has_cred = ev->join.has_verify = 1;
	ev->join.group_gen = f->gens[at];
	ev->join.scope = add(&e, scope, gm_out_len(&o));
	ev->join.scope_name = add(&e, group, strlen(group));
	ev->join.client_cred = add(&e, f->cred, f->cred_n);
	ev->join.verify = add(&e, "proof", 5);
	ev->join.cnonce = add(&e, "nonce678", 8);
	ev->join.has_control = n % OBSERVERS != 0;
	ev->join.control_port = ev->join.has_control ? ev->confirm.save.peer.port : 0;
	if (ev->join.has_control)
		ev->join.control_path = add(&e, CONTROL_PATH, strlen(CONTROL_PATH));
	apply(f, &e);
	if (ev->join.has_control)
		return;
	ev = begin_request(&e, n, group);
	ev->method = 1;
	ev->flags |= GM_REQ_OBSERVE;
	apply(f, &e);
}

static bool fill(struct filler *f)
{
	next_txn(f);
	if (!create_groups(f) || !make_credential(f))
		return false;
	for (uint32_t n = 0; n < f->plan->members; n++) {
		join(f, n);
		if (n % TURN == TURN - 1 && !commit(f))
			return false;
	}
	if (!commit(f))
		return false;
	struct gm_core_status status;
	gm_core_status(f->core, &status);
	if (status.members == f->plan->members && status.contexts == f->plan->members)
		return true;
	fprintf(stderr, "memory: core has %u members and %u contexts\n", status.members, status.contexts);
	return false;
}

static bool open_filler(struct filler *f, const struct plan *p)
{
	char state[BENCH_PATH], key[BENCH_PATH], why[GM_WHY] = "";
	struct gm_core_config config = {.workers = 1, .contexts_max = p->members + 1, .members_max = p->members + 1,
	                                .groups_max = p->groups, .rekey_window_ms = 1000, .rekey_deadline_ms = 5000,
	                                .audience = "gm.example"};

	snprintf(state, sizeof(state), "%s/state", p->dir);
	snprintf(key, sizeof(key), "%s/store.key", p->dir);
	if (p->groups > sizeof(f->gens) / sizeof(*f->gens))
		return false;
	enum gm_err err = gm_store_init(state, key, why);
	if (err != GM_E_OK && err != GM_E_EXISTS)
		return false;
	f->plan = p;
	f->effects.workers = 1;
	f->core = gm_core_new(&config);
	err = gm_store_open(&f->store, state, key, why);
	if (err != GM_E_OK)
		fprintf(stderr, "memory: %s\n", why);
	else
		f->turn = gm_store_turn(f->store);
	return err == GM_E_OK;
}

static void close_filler(struct filler *f)
{
	gm_core_free(f->core);
	gm_store_close(f->store);
	gm_changes_free(&f->changes);
	gm_effects_free(&f->effects);
	free(f);
}

bool bench_fill(const struct plan *p)
{
	struct filler *f = calloc(1, sizeof(*f));
	bool ok = f && open_filler(f, p) && fill(f);

	if (f)
		close_filler(f);
	return ok;
}

/* ---- what was filled in */

static enum gm_err load(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	return gm_core_load(arg, table, key, value);
}

static bool take(void *arg, const struct gm_member_info *info)
{
	struct known *k = arg;
	size_t n = strlen(info->node);

	memcpy(k->node, info->node, n < sizeof(k->node) ? n + 1 : sizeof(k->node));
	k->sid_n = info->sid_n;
	memcpy(k->sid, info->sid, sizeof(k->sid));
	return false;
}

void bench_end(uint32_t n, struct gm_oscore_keys *keys, struct gm_addr *peer)
{
	struct gm_ctx_save save;

	derive(&save, n);
	*keys = (struct gm_oscore_keys){.alg = save.alg, .rid = {.n = save.sid_n}};
	memcpy(keys->send_key, save.recv_key, sizeof(save.recv_key));
	memcpy(keys->recv_key, save.send_key, sizeof(save.send_key));
	memcpy(keys->common_iv, save.common_iv, sizeof(save.common_iv));
	memcpy(keys->rid.b, save.sid, save.sid_n);
	keys->sid = (struct gm_oscore_id){.n = 4, .b = {(uint8_t)(save.id >> 24), (uint8_t)(save.id >> 16),
	                                                (uint8_t)(save.id >> 8), (uint8_t)save.id}};
	*peer = save.peer;
}

bool bench_known(const struct plan *p, uint32_t n, struct known *k)
{
	struct filler *f = calloc(1, sizeof(*f));
	struct gm_addr peer;
	bool ok = f && open_filler(f, p);

	for (unsigned table = 0; ok && table < GM_TABLE_N; table++)
		ok = gm_store_scan(f->store, (enum gm_table)table, load, f->core) == GM_E_OK;
	*k = (struct known){0};
	group_name(k->group, n % p->groups);
	uint32_t slot = n / p->groups; /* slots are given in the order of Joins */
	ok = ok && gm_core_members(f->core, k->group, NULL, slot ? slot - 1 : UINT32_MAX, take, k) == GM_E_OK && k->node[0];
	bench_end(n, &k->keys, &peer);
	if (f)
		close_filler(f);
	return ok;
}
