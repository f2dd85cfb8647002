/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "askey.h"
#include "wire/cbor.h"

static struct gm_askey as_key;
uint64_t flow_seed = 1;
unsigned flow_group_max;

/* ---- records: what a store would hold */

static void store_apply(struct flow *r)
{
	const struct gm_change *c = NULL;

	gm_changed_note(&r->changed, &r->changes);
	while ((c = gm_changes_next(&r->changes, c))) {
		unsigned i = 0;
		if (entries_take(&r->entries, c))
			continue;
		while (i < r->records_n && (r->records[i].table != c->table || r->records[i].key_n != c->key_n ||
		                            memcmp(r->records[i].key, c->bytes, c->key_n) != 0))
			i++;
		if (i < r->records_n)
			free(r->records[i].value);
		if (c->remove) {
			if (i < r->records_n)
				r->records[i] = r->records[--r->records_n];
			continue;
		}
		if (i == r->records_n)
			r->records = realloc(r->records, ++r->records_n * sizeof *r->records);
		struct flow_record *rec = &r->records[i];
		*rec = (struct flow_record){.table = c->table, .key_n = c->key_n, .value_n = c->value_n};
		memcpy(rec->key, c->bytes, c->key_n);
		rec->value = malloc(c->value_n + 1);
		memcpy(rec->value, c->bytes + c->key_n, c->value_n);
	}
	gm_changes_reset(&r->changes);
}

static int by_key(const void *a, const void *b)
{
	const struct flow_record *x = a, *y = b;

	if (x->table != y->table)
		return x->table - y->table;
	return memcmp(x->key, y->key, x->key_n < y->key_n ? x->key_n : y->key_n);
}

/* ---- the core thread's turn */

static struct gm_txn txn_of(struct flow *r)
{
	struct gm_txn t = {
		.wall_s = time(NULL) + r->wall_s,
		.mono_ms = gm_mem_now(r->net) / 1000000,
		.changes = &r->changes,
		.effects = &r->effects,
	};

	gm_random(t.dice, sizeof t.dice);
	return t;
}

static void publish(struct flow *r)
{
	const struct gm_effect_buf *all = &r->effects.to[GM_EFFECTS_ALL];

	store_apply(r);
	gm_dp_roster(r->dp, gm_core_words(r->core), all->bytes, all->n);
	for (unsigned i = 0; i < r->dp->config.workers; i++) {
		struct gm_effect_buf *b = &r->effects.to[i];
		if (b->n && gm_dp_effects(r->dp, i, b->bytes, b->n) != b->n)
			abort();
	}
	gm_effects_reset(&r->effects);
}

static void core_turn(struct flow *r)
{
	const struct gm_rec *rec;

	for (unsigned i = 0; i < r->dp->config.workers; i++) {
		while ((rec = gm_dp_event(r->dp, i))) {
			struct gm_txn t = txn_of(r);
			if (!r->event || !r->event(r->event_arg, rec))
				gm_core_apply(r->core, &t, rec);
			gm_dp_event_done(r->dp, i);
		}
	}
	struct gm_txn t = txn_of(r);
	gm_core_tick(r->core, &t);
	publish(r);
}

/* ---- members */

static void on_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	struct flow *r = arg;

	r->to_gm++;
	gm_mem_send(r->net, &m->addr, to, p, n);
}

static void on_timer(void *arg, struct gm_member *m, uint64_t at_ms)
{
	struct flow *r = arg;

	r->timer_ms[m->index] = at_ms;
}

static void on_done(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took_ns)
{
	struct flow *r = arg;

	(void)took_ns;
	r->last_code[m->index][op] = code;
}

static void on_context(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt)
{
	struct flow *r = arg;

	(void)m;
	(void)ms;
	(void)salt;
	r->contexts++;
}

static void on_installed(void *arg, struct gm_member *m)
{
	(void)arg;
	(void)m;
}

static void on_failed(void *arg, struct gm_member *m, const char *reason)
{
	struct flow *r = arg;

	r->failures++;
	snprintf(r->failure, sizeof r->failure, "member %u: %s", m->index, reason);
	fprintf(stderr, "%s\n", r->failure);
}

static void members_turn(struct flow *r)
{
	struct gm_mem_dgram d;

	r->env.now_ns = gm_mem_now(r->net);
	while (gm_mem_recv(r->net, NULL, &d)) {
		if (r->far && gm_addr_eq(&d.to, &r->far_addr)) {
			r->far(r->far_arg, &d);
			continue;
		}
		unsigned i = (unsigned)(d.to.ip[14] << 8 | d.to.ip[15]);
		r->to_members++;
		if (i < r->members_n && !r->mute)
			gm_member_receive(&r->env, &r->members[i], (struct gm_bytes){d.data, d.len}, &d.from);
	}
	for (unsigned i = 0; i < r->members_n; i++) {
		if (!r->timer_ms[i] || r->timer_ms[i] > r->env.now_ns / 1000000)
			continue;
		r->timer_ms[i] = 0;
		gm_member_timeout(&r->env, &r->members[i]);
	}
	gm_member_flush(&r->env);
}

/* ---- the wire is watched: no (key, nonce) of the Group Manager for two texts. What makes the nonce: the context,
 * named by the far address here, and the Partial IV, or the request whose nonce the response uses (by its Message ID). */

static uint64_t hash(const void *p, size_t n)
{
	static const uint8_t key[16] = "flow rig hashes";

	return gm_siphash(key, p, n);
}

static struct flow_nonce *nonce_place(struct flow_nonce *in, unsigned cap, uint64_t id)
{
	unsigned i = (unsigned)(id & (cap - 1));

	while (in[i].used && in[i].id != id)
		i = (i + 1) & (cap - 1);
	return &in[i];
}

static void more_nonces(struct flow *r)
{
	unsigned cap = r->nonces_cap ? 2 * r->nonces_cap : 1024;
	struct flow_nonce *grown = calloc(cap, sizeof *grown);

	if (!grown)
		abort();
	for (unsigned i = 0; i < r->nonces_cap; i++)
		if (r->nonces[i].used)
			*nonce_place(grown, cap, r->nonces[i].id) = r->nonces[i];
	free(r->nonces);
	r->nonces = grown;
	r->nonces_cap = cap;
}

static void note_nonce(struct flow *r, struct flow_nonce at)
{
	if (2 * r->nonces_n >= r->nonces_cap)
		more_nonces(r);
	struct flow_nonce *place = nonce_place(r->nonces, r->nonces_cap, at.id);
	if (place->used) {
		r->reuses += place->text != at.text;
		return;
	}
	*place = at;
	place->used = true;
	r->nonces_n++;
}

static void watch(void *arg, const struct gm_addr *from, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	struct flow *r = arg;
	struct gm_coap m;
	struct gm_oscore_option option;
	uint8_t id[64] = {0};

	if (r->far_tap)
		r->far_tap(r->far_arg, to, data, n);
	if (r->far && gm_addr_eq(to, &r->far_addr))
		return;
	if (from->port != 5683 || gm_coap_decode((struct gm_bytes){data, n}, &m) != GM_E_OK || !m.has_oscore ||
	    gm_oscore_option_decode(m.oscore, &option) != GM_E_OK)
		return;
	memcpy(id, to->ip, 16);
	memcpy(id + 16, &r->contexts, 4); /* a new context starts anew at 0 */
	if (option.piv_n) {
		memcpy(id + 24, option.piv, option.piv_n);
		id[23] = option.piv_n;
	} else {
		memcpy(id + 32, m.token, m.token_len);
		memcpy(id + 40, &m.mid, 2);
	}
	note_nonce(r, (struct flow_nonce){.id = hash(id, sizeof id), .text = hash(m.payload.p, m.payload.n)});
}

/* ---- life */

static void start_workers(struct flow *r, unsigned workers)
{
	r->dp = calloc(1, sizeof *r->dp);
	r->dp_config.workers = workers;
	r->dp->config = r->dp_config;
	if (!gm_dp_tables(r->dp))
		abort();
	for (unsigned i = 0; i < workers; i++) {
		struct worker *w = gm_worker_new(r->dp, i);
		struct gm_port_config pc = {.listen_n = 1, .arg = r->net};
		pc.listen[0] = r->dp_config.listen[0];
		if (!w || w->ops->open(&w->port, &pc) != GM_E_OK)
			abort();
		gm_wheel_init(&w->wheel, 4 * r->dp_config.contexts_max + 65536, gm_mem_now(r->net) / 1000000);
		r->dp->worker[i] = w;
	}
}

static struct gm_core *core_of_records(struct flow *r, unsigned workers)
{
	r->core_config.workers = workers;
	struct gm_core *core = gm_core_new(&r->core_config);

	if (r->records_n)
		qsort(r->records, r->records_n, sizeof *r->records, by_key);
	for (unsigned i = 0; i < r->records_n; i++) {
		struct flow_record *rec = &r->records[i];
		if (gm_core_load(core, rec->table, (struct gm_bytes){rec->key, rec->key_n},
		                 (struct gm_bytes){rec->value, rec->value_n}) != GM_E_OK)
			abort();
	}
	return core;
}

static void hand_down(struct flow *r, bool (*portion)(struct gm_core *core, struct gm_txn *txn))
{
	r->effects.workers = r->dp->config.workers;
	for (bool more = true; more;) {
		struct gm_txn t = txn_of(r);
		more = portion(r->core, &t);
		publish(r);
		for (unsigned i = 0; i < r->dp->config.workers; i++)
			gm_worker_turn(r->dp->worker[i]);
	}
}

static void start_core(struct flow *r, unsigned workers)
{
	r->core = core_of_records(r, workers);
	hand_down(r, gm_core_loaded);
}

static void stop(struct flow *r)
{
	for (unsigned i = 0; i < r->dp->config.workers; i++)
		gm_worker_free(r->dp->worker[i]);
	gm_dp_tables_free(r->dp);
	free(r->dp);
	gm_core_free(r->core);
	gm_changes_reset(&r->changes);
	gm_effects_reset(&r->effects);
}

void flow_restart(struct flow *r, unsigned workers)
{
	stop(r);
	start_workers(r, workers);
	start_core(r, workers);
}

static enum gm_err fetch(void *arg, enum gm_table table, struct gm_bytes key, bool all_under, gm_store_each each, void *to)
{
	struct flow *r = arg;

	for (unsigned i = 0; i < r->records_n; i++) {
		const struct flow_record *rec = &r->records[i];
		if (rec->table == table && (all_under ? rec->key_n >= key.n : rec->key_n == key.n) && memcmp(rec->key, key.p, key.n) == 0)
			GM_TRY(each(to, table, (struct gm_bytes){rec->key, rec->key_n}, (struct gm_bytes){rec->value, rec->value_n}));
	}
	return GM_E_OK;
}

static void load_changed(struct flow *r)
{
	struct gm_txn t = txn_of(r);
	struct gm_changed_key *keys;
	size_t n;

	if (gm_changed_keys((struct gm_bytes){r->changed.bytes, r->changed.n}, &keys, &n) != GM_E_OK ||
	    gm_core_reload(r->core, &t, keys, n, fetch, r) != GM_E_OK)
		abort();
	free(keys);
	gm_changed_end(&r->changed);
	publish(r);
	for (unsigned i = 0; i < r->dp->config.workers; i++)
		gm_worker_turn(r->dp->worker[i]);
}

void flow_hand_over(struct flow *r, unsigned workers, void (*meanwhile)(struct flow *r))
{
	gm_changed_begin(&r->changed);
	struct gm_core *next = core_of_records(r, workers);
	meanwhile(r);
	stop(r);
	start_workers(r, workers);
	r->core = next;
	hand_down(r, gm_core_loaded_ahead);
	load_changed(r);
	hand_down(r, gm_core_loaded);
}

static void add_as_and_group(struct flow *r)
{
	struct gm_txn t = txn_of(r);
	struct gm_as_spec as = {.name = "as"};
	struct gm_group_spec group = gm_group_spec_default();

	snprintf(as.issuer, sizeof as.issuer, "%s", as_key.iss);
	as.key = as_key.mint;
	if (as_key.pub_n) {
		as.key.key_n = as_key.pub_n;
		memcpy(as.key.key, as_key.pub, as_key.pub_n);
	}
	snprintf(group.name, sizeof group.name, "g1");
	group.active = true;
	if (flow_group_max)
		group.max_members = flow_group_max;
	if (gm_core_as_add(r->core, &t, &as) != GM_E_OK || gm_core_group_create(r->core, &t, &group) != GM_E_OK)
		abort();
	publish(r);
}

struct flow *flow_new_as(unsigned workers, const struct gm_mem_faults *faults, const char *alg)
{
	struct flow *r = calloc(1, sizeof *r);
	struct gm_mem_config mc = {.seed = flow_seed, .wait_steps = true, .tap = watch, .tap_arg = r};

	if (!gm_crypto_init())
		abort();
	r->worker_turn = gm_worker_turn;
	if (gm_askey_generate(&as_key, alg, "as.test", "gm.test") != GM_E_OK)
		abort();
	if (faults)
		mc.faults = *faults;
	r->net = gm_mem_net_new(&mc);
	r->core_config = (struct gm_core_config){
		.contexts_max = 65536, /* so many posts at once fill no corner of the table of what is pending */
		.members_max = 1024,
		.groups_max = 16,
		.pending_per_token = 4,
		.pending_s = 60,
		.rekey_window_ms = 1000,
		.rekey_deadline_ms = 5000,
		.distribution_max_ms = 30000,
		.audience = "gm.test",
	};
	r->dp_config = (struct gm_dp_config){
		.port = &gm_port_mem,
		.listen_n = 1,
		.contexts_max = 1024,
		.ack_timeout_ms = 2000,
		.retransmit_max = 4,
	};
	gm_addr_parse(&r->dp_config.listen[0], "127.0.0.1:5683");
	start_workers(r, workers);
	start_core(r, workers);
	r->env = (struct gm_member_env){
		.arg = r,
		.send = on_send,
		.timer = on_timer,
		.done = on_done,
		.context = on_context,
		.installed = on_installed,
		.failed = on_failed,
		.server = r->dp_config.listen[0],
		.groups = r->groups,
		.groups_n = 1,
	};
	snprintf(r->groups[0].name, sizeof r->groups[0].name, "g1");
	if (gm_member_env_init(&r->env) != GM_E_OK)
		abort();
	add_as_and_group(r);
	return r;
}

struct flow *flow_new(unsigned workers, const struct gm_mem_faults *faults)
{
	return flow_new_as(workers, faults, "AES-CCM-16-64-128");
}

void flow_free(struct flow *r)
{
	for (unsigned i = 0; i < r->members_n; i++) {
		free(r->members[i].token);
		gm_member_clear(&r->members[i]);
	}
	gm_member_env_free(&r->env);
	stop(r);
	gm_changes_free(&r->changes);
	gm_effects_free(&r->effects);
	for (unsigned i = 0; i < r->records_n; i++)
		free(r->records[i].value);
	free(r->records);
	entries_free(&r->entries);
	free(r->nonces);
	gm_mem_net_free(r->net);
	free(r);
}

void flow_turn(struct flow *r)
{
	for (unsigned i = 0; i < r->dp->config.workers; i++)
		r->worker_turn(r->dp->worker[i]);
	core_turn(r);
	members_turn(r);
	gm_mem_step(r->net, 1000000);
}

void flow_run(struct flow *r, unsigned ms)
{
	while (ms--)
		flow_turn(r);
}

void flow_effect(struct flow *r, unsigned worker, const void *record, size_t n)
{
	if (gm_dp_effects(r->dp, worker, record, n) != n)
		abort();
}

uint16_t flow_group(struct flow *r, enum gm_backward backward)
{
	struct gm_txn t = txn_of(r);
	struct gm_group_spec group = gm_group_spec_default();
	unsigned i = r->env.groups_n++;

	snprintf(group.name, sizeof group.name, "g%u", i + 1);
	snprintf(r->groups[i].name, sizeof r->groups[i].name, "g%u", i + 1);
	group.backward = backward;
	if (gm_core_group_create(r->core, &t, &group) != GM_E_OK)
		abort();
	publish(r);
	return (uint16_t)i;
}

static struct gm_member *new_member(struct flow *r, uint16_t group, uint8_t roles, bool post, struct gm_mint what)
{
	unsigned i = r->members_n++;
	struct gm_member *m = &r->members[i];
	uint8_t bytes[64];
	struct gm_out scope = gm_out(bytes, sizeof bytes);
	struct gm_minted minted;
	struct gm_addr addr;

	gm_addr_parse(&addr, "127.1.0.0:40000");
	addr.ip[14] = (uint8_t)(i >> 8);
	addr.ip[15] = (uint8_t)i;
	gm_member_init(m, i, &addr, group, roles, post);
	gm_cbor_put_array(&scope, 1);
	gm_scope_put(&scope, r->groups[group].name, roles);
	what.scope = gm_out_result(&scope);
	what.exp = time(NULL) + 3600;
	what.nbf = what.exi = -1;
	if (gm_askey_mint_as(&minted, &as_key, &what) != GM_E_OK)
		abort();
	m->token = malloc(minted.token_n);
	memcpy(m->token, minted.token, minted.token_n);
	m->token_n = (uint16_t)minted.token_n;
	memcpy(m->osc_id, minted.osc_id, sizeof m->osc_id);
	memcpy(m->token_ms, minted.ms, sizeof m->token_ms);
	memcpy(m->token_salt, minted.salt, sizeof m->token_salt);
	m->osc_alg = (uint8_t)what.osc_alg;
	m->osc_hkdf = (uint8_t)what.osc_hkdf;
	return m;
}

struct gm_member *flow_member(struct flow *r, uint8_t roles, bool post)
{
	return flow_member_in(r, 0, roles, post);
}

struct gm_member *flow_member_in(struct flow *r, uint16_t group, uint8_t roles, bool post)
{
	return new_member(r, group, roles, post, (struct gm_mint){0});
}

struct gm_member *flow_member_osc(struct flow *r, uint8_t roles, bool post, int32_t alg, int32_t hkdf)
{
	return new_member(r, 0, roles, post, (struct gm_mint){.osc_alg = alg, .osc_hkdf = hkdf});
}

bool flow_do(struct flow *r, struct gm_member *m, unsigned plan)
{
	memset(r->last_code[m->index], 0, GM_OP_N);
	r->env.now_ns = gm_mem_now(r->net);
	gm_member_plan(&r->env, m, plan);
	for (unsigned ms = 0; ms < 100000 && (m->plan || m->ex.active); ms++)
		flow_turn(r);
	for (unsigned op = 0; op < GM_OP_N; op++)
		if (plan >> op & 1 && r->last_code[m->index][op] >> 5 != 2)
			return false;
	return !m->plan;
}

bool flow_busy(const struct flow *r)
{
	for (unsigned i = 0; i < r->members_n; i++)
		if (r->members[i].plan || r->members[i].ex.active)
			return true;
	return false;
}

unsigned flow_all_do(struct flow *r, unsigned plan, enum gm_member_op last)
{
	unsigned good = 0;

	r->env.now_ns = gm_mem_now(r->net);
	for (unsigned i = 0; i < r->members_n; i++) {
		r->last_code[i][last] = 0;
		gm_member_plan(&r->env, &r->members[i], plan);
	}
	gm_member_flush(&r->env);
	for (unsigned ms = 0; ms < 10000 && flow_busy(r); ms++)
		flow_turn(r);
	for (unsigned i = 0; i < r->members_n; i++)
		good += r->last_code[i][last] >> 5 == 2;
	return good;
}

uint8_t flow_code(struct flow *r, struct gm_member *m, enum gm_member_op op)
{
	return r->last_code[m->index][op];
}

enum gm_err flow_rekey(struct flow *r, bool compromised)
{
	struct gm_txn t = txn_of(r);
	enum gm_err err = gm_core_rekey(r->core, &t, "g1", compromised);

	publish(r);
	return err;
}

enum gm_err flow_pause(struct flow *r, bool paused)
{
	struct gm_txn t = txn_of(r);
	enum gm_err err = gm_core_rekey_pause(r->core, &t, "g1", paused, &(const char *){NULL});

	publish(r);
	return err;
}

enum gm_err flow_set(struct flow *r, const struct gm_admin_map *changes)
{
	struct gm_txn t = txn_of(r);
	const char *why;
	enum gm_err err = gm_core_group_set(r->core, &t, "g1", changes, &why);

	publish(r);
	return err;
}

enum gm_err flow_evict(struct flow *r, const char *node, unsigned *evicted)
{
	struct gm_txn t = txn_of(r);
	struct gm_evict_spec spec = {.group = "g1", .node = node};
	enum gm_err err = gm_core_evict(r->core, &t, &spec, evicted);

	publish(r);
	return err;
}

unsigned flow_at_version(struct flow *r, uint64_t version)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->members_n; i++)
		n += r->members[i].has_keys && r->members[i].keys.version >= version;
	return n;
}

struct gm_core_status flow_status(struct flow *r)
{
	struct gm_core_status s;

	gm_core_status(r->core, &s);
	return s;
}

static bool take_info(void *arg, const struct gm_group_info *info)
{
	*(struct gm_group_info *)arg = *info;
	return false;
}

void flow_info(struct flow *r, struct gm_group_info *info)
{
	if (gm_core_groups(r->core, "g1", take_info, info) != GM_E_OK)
		abort();
}
