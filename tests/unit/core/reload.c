/* SPDX-License-Identifier: Apache-2.0 */
/* What was loaded, and loaded again where it has changed, is what a load finds: after random lives in between, in core's memory, in what
 * workers have been told, and in what is to be stored. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/device.h"
#include "core/schedule.h"
#include "core_rig.h"
#include "lines.h"

#define CLIENTS 20u
#define REQ GM_ROLE_REQUESTER
#define RESP GM_ROLE_RESPONDER
#define MON GM_ROLE_MONITOR

static struct core_rig rig;
static struct rig_client client[CLIENTS];
static uint64_t dice;

static unsigned roll(unsigned n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % n;
}

static const char *any_group(void)
{
	static const char *const name[] = {"g1", "g1", "g1", "g2", "g2", "g3", "g4"};

	return name[roll(7)];
}

/* ---- what happens */

static void post(struct rig_client *c, unsigned i)
{
	struct rig_token token = rig_token_of(c);

	token.cti = roll(30);
	const struct gm_eff_token *e = rig_token_post(&rig, &token);
	if (e->err != GM_E_OK)
		return;
	rig.next_ctx = rig.next_ctx % 30 + 1; /* places are used again */
	c->ctx = GM_CTX_ID(rig.next_ctx, 0, 1);
	c->exp = e->exp;
	c->post = e->post;
	client[i] = *c;
}

static bool latest(void *arg, const struct gm_as_info *info)
{
	*(uint32_t *)arg = info->id;
	return true;
}

static uint32_t any_server(void)
{
	uint32_t id = 1;

	if (roll(2))
		gm_core_ases(rig.core, latest, &id);
	return id;
}

static void token(unsigned i)
{
	struct rig_client c = rig_client(i, "g1", REQ | RESP | MON);

	for (unsigned g = 2; g <= 4; g++)
		if (roll(4))
			rig_scope_add(&c, g == 2 ? "g2" : g == 3 ? "g3" : "g4", REQ | RESP | MON);
	c.exp = rig.wall_s + 100 + roll(9000);
	c.as_id = any_server();
	c.token = (uint8_t)roll(250);
	if (roll(3) == 0)
		c.exi = roll(2) ? roll(100) : 50 + roll(5000);
	post(&c, i);
}

static void join(unsigned i)
{
	static const uint32_t roles[] = {REQ, RESP, REQ | RESP, MON};
	struct rig_join j = {.group = any_group(), .roles = roles[roll(4)], .cred = roll(2) ? "cred" : "another", .control = roll(2)};

	if (client[i].ctx && rig_info(&rig, j.group).name)
		rig_join(&rig, &client[i], &j);
}

static bool node_of(unsigned i, const char *group, char node[static 17])
{
	const struct rig_mirror *m = NULL;

	for (size_t k = 0; k < rig.mirrors && rig_info(&rig, group).name; k++)
		if (rig.mirror[k].ctx == client[i].ctx && rig.mirror[k].group == rig_info(&rig, group).index)
			m = &rig.mirror[k];
	if (m)
		memcpy(node, m->node, 17);
	return m != NULL;
}

static void read_or_leave(unsigned i)
{
	const char *group = any_group();
	char node[17];
	struct rig_request q = {.method = 1, .res = roll(3) ? GM_RES_NODE : GM_RES_GROUP, .group = group, .node = node};

	if (!node_of(i, group, node))
		return;
	if (roll(4) == 0) {
		q.res = GM_RES_NODE;
		q.method = 4;
	} else if (roll(4) == 0) {
		q.res = GM_RES_NODE;
		q.method = 3; /* another Sender ID */
	} else {
		q.flags = (uint8_t)(roll(2) ? GM_REQ_OBSERVE : GM_REQ_UNOBSERVE);
	}
	if (roll(5) == 0)
		q.flags |= GM_REQ_MOVED;
	rig_request(&rig, &client[i], &q);
}

static void evict(unsigned i)
{
	struct gm_evict_spec spec = {.group = any_group(), .compromised = roll(2), .allow_return = roll(2)};
	char node[17];
	unsigned n;

	if (!node_of(i, spec.group, node))
		return;
	spec.node = node;
	rig_turn(&rig);
	cr_expect_eq(gm_core_evict(rig.core, &rig.txn, &spec, &n), GM_E_OK);
	rig_turn_end(&rig);
}

static void pass(unsigned i)
{
	(void)i;
	rig_pass(&rig, roll(20) ? roll(3000) : roll(2000000));
}

static void delivered(unsigned i)
{
	const char *group = any_group();

	(void)i;
	if (rig_info(&rig, group).name)
		rig_delivered(&rig, group, roll(2));
}

static void rekey(unsigned i)
{
	unsigned passed;

	(void)i;
	rig_turn(&rig);
	(void)!gm_core_rekey(rig.core, &rig.txn, any_group(), roll(2));
	if (roll(2))
		(void)!gm_core_rekey_pause_all(rig.core, &rig.txn, roll(4), &passed);
	rig_turn_end(&rig);
}

static void group(unsigned i)
{
	const char *const name = roll(2) ? "g3" : "g4";
	struct gm_group_spec spec = rig_group_spec(name);
	struct gm_admin_map map = {.has = GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS), .max_stale_sets = 2 + roll(6), .policies = {-1, -1}};
	const char *why;

	if (roll(3) == 0) {
		map.has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE);
		map.active = roll(2);
	} else if (roll(2)) {
		map.has = GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION);
		map.group_description = (struct gm_bytes){(const uint8_t *)"lamps of a floor", 1 + i % 16};
	}
	spec.max_members = roll(2) ? 100 : 30000;
	rig_turn(&rig);
	if (roll(3) == 0)
		(void)!gm_core_group_delete(rig.core, &rig.txn, name);
	else if (roll(2))
		(void)!gm_core_group_create(rig.core, &rig.txn, &spec);
	else
		(void)!gm_core_group_set(rig.core, &rig.txn, any_group(), &map, &why);
	rig_turn_end(&rig);
}

static void revoke(unsigned i)
{
	struct gm_bytes hash = rig_hash(&client[i]);
	unsigned n;

	rig_turn(&rig);
	(void)!gm_core_revoke(rig.core, &rig.txn, hash, &n);
	rig_turn_end(&rig);
}

/* The second one goes, and may come back under its key or its name. */
static void server(unsigned i)
{
	struct gm_as_spec spec = rig_as_spec(roll(2) ? "as2" : "as3");
	unsigned n;

	(void)i;
	spec.key.key[0] = (uint8_t)roll(3);
	rig_turn(&rig);
	if (roll(2))
		(void)!gm_core_as_remove(rig.core, &rig.txn, spec.name, &n);
	else
		(void)!gm_core_as_add(rig.core, &rig.txn, &spec);
	rig_turn_end(&rig);
}

static void device(unsigned i)
{
	struct gm_device_spec spec = {.key = {.as_id = 1, .id_n = 4, .id = {0, 0, (uint8_t)i, 7}}, .groups_n = 1};

	snprintf(spec.name, sizeof(spec.name), "lamp %u", roll(2) ? i : i + 100);
	snprintf(spec.groups[0].group, sizeof(spec.groups[0].group), "%s", any_group());
	rig_turn(&rig);
	if (roll(3) == 0)
		(void)!gm_core_device_remove(rig.core, &rig.txn, spec.name);
	else
		(void)!gm_core_device_set(rig.core, &rig.txn, &spec);
	rig_turn_end(&rig);
}

static void schedule(unsigned i)
{
	struct gm_schedule_spec spec = gm_schedule_default();

	snprintf(spec.name, sizeof(spec.name), "night%u", i % 3);
	spec.window_s = 3600;
	rig_turn(&rig);
	if (roll(3) == 0)
		(void)!gm_core_schedule_remove(rig.core, &rig.txn, spec.name);
	else if (roll(3) == 0)
		(void)!gm_core_schedule_run(rig.core, &rig.txn, spec.name);
	else
		(void)!gm_core_schedule_set(rig.core, &rig.txn, &spec);
	rig_turn_end(&rig);
}

static void closed(unsigned i)
{
	rig_closed(&rig, client[i].ctx);
}

static void lease(unsigned i)
{
	_Alignas(8) struct gm_ev_lease ev = {.rec = {GM_EV_LEASE, 0, sizeof(ev)}, .shard = (uint8_t)(i * 11), .want = roll(100000)};

	rig_turn(&rig);
	gm_core_apply(rig.core, &rig.txn, &ev.rec);
	rig_turn_end(&rig);
}

static void (*const steps[])(unsigned) = {lease,  token,  token,         token, join,      join,  join,  join,   join,   join,   read_or_leave,
                                          read_or_leave, evict,  pass,  delivered, rekey, group, revoke, server, device, schedule, closed};

/* ---- two ways to the same */

static int by_key(const void *a, const void *b)
{
	const struct rig_record *x = a, *y = b;
	int order = x->table != y->table ? (int)x->table - (int)y->table : memcmp(x->key, y->key, x->key_n < y->key_n ? x->key_n : y->key_n);

	return order ? order : (int)x->key_n - (int)y->key_n;
}

struct side {
	struct gm_core *core;
	struct gm_changes changes;
	struct gm_effects effects;
	struct gm_txn txn;
	struct known known;
};

static void begin_side(struct side *s)
{
	*s = (struct side){.core = gm_core_new(&rig.config), .effects.workers = rig.config.workers};
	qsort(rig.record, rig.records, sizeof(*rig.record), by_key);
	for (size_t i = 0; i < rig.records; i++) {
		const struct rig_record *rec = &rig.record[i];
		cr_assert_eq(gm_core_load(s->core, rec->table, (struct gm_bytes){rec->key, rec->key_n}, (struct gm_bytes){rec->value, rec->value_n}),
		             GM_E_OK);
	}
}

static void begin_turn(struct side *s)
{
	s->txn = (struct gm_txn){.wall_s = rig.wall_s, .mono_ms = rig.mono_ms, .dice = {1}, .changes = &s->changes, .effects = &s->effects};
}

static void end_turn(struct side *s)
{
	known_take(&s->known, &s->effects);
	gm_effects_reset(&s->effects);
	gm_words_settle(gm_core_words(s->core));
}

static void hand_down(struct side *s, bool (*portion)(struct gm_core *, struct gm_txn *))
{
	for (bool more = true; more;) {
		begin_turn(s);
		more = portion(s->core, &s->txn);
		end_turn(s);
	}
}

static enum gm_err fetch(void *arg, enum gm_table table, struct gm_bytes key, bool all_under, gm_store_each each, void *to)
{
	(void)arg;
	qsort(rig.record, rig.records, sizeof(*rig.record), by_key);
	for (size_t i = 0; i < rig.records; i++) {
		const struct rig_record *rec = &rig.record[i];
		if (rec->table == table && (all_under ? rec->key_n >= key.n : rec->key_n == key.n) && memcmp(rec->key, key.p, key.n) == 0)
			GM_TRY(each(to, table, (struct gm_bytes){rec->key, rec->key_n}, (struct gm_bytes){rec->value, rec->value_n}));
	}
	return GM_E_OK;
}

static void reload(struct side *s)
{
	struct gm_changed_key *keys;
	size_t n;

	cr_assert_eq(gm_changed_keys((struct gm_bytes){rig.changed.bytes, rig.changed.n}, &keys, &n), GM_E_OK);
	begin_turn(s);
	cr_assert_eq(gm_core_reload(s->core, &s->txn, keys, n, fetch, NULL), GM_E_OK);
	end_turn(s);
	free(keys);
}

static void look(const struct side *s, struct lines *l)
{
	lines_of_core(l, s->core);
	lines_of_changes(l, &s->changes);
	known_lines(&s->known, s->core, l);
	lines_sort(l);
}

static void end_side(struct side *s)
{
	known_free(&s->known);
	gm_changes_free(&s->changes);
	gm_effects_free(&s->effects);
	gm_core_free(s->core);
}

static void expect_same(const struct side *a, const struct side *b)
{
	struct lines x = {0}, y = {0};

	look(a, &x);
	look(b, &y);
	for (size_t i = 0; i < x.n && i < y.n; i++)
		cr_assert_str_eq(x.at[i], y.at[i]);
	cr_assert_eq(x.n, y.n);
	lines_free(&x);
	lines_free(&y);
}

static void live(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		steps[roll(sizeof(steps) / sizeof(*steps))](roll(CLIENTS));
}

static struct side ahead;

static void begin(void)
{
	begin_side(&ahead);
	hand_down(&ahead, gm_core_loaded_ahead);
	cr_assert_eq(ahead.changes.count, 0);
	gm_changed_begin(&rig.changed);
}

static void again(void)
{
	reload(&ahead);
	cr_assert_eq(ahead.changes.count, 0);
	gm_changed_begin(&rig.changed);
}

static void compare(void)
{
	struct side fresh;

	gm_changed_end(&rig.changed);
	hand_down(&ahead, gm_core_loaded);
	begin_side(&fresh);
	hand_down(&fresh, gm_core_loaded);
	expect_same(&fresh, &ahead);
	end_side(&fresh);
}

static void lives(uint64_t seed, unsigned rounds)
{
	struct gm_group_spec g1 = rig_group_spec("g1"), g2 = rig_group_spec("g2");

	dice = seed;
	memset(client, 0, sizeof(client));
	rig_start(&rig, 1 + roll(3));
	g1.backward = seed % 2 ? GM_BACKWARD_OFF : GM_BACKWARD_EACH;
	g2.max_members = 30000;
	g2.max_stale_sets = 5;
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
	cr_assert_eq(rig_group(&rig, &g2), GM_E_OK);
	for (unsigned i = 0; i < CLIENTS; i++)
		token(i);
	live(60);
	for (unsigned i = 0; i < rounds; i++) {
		if (roll(4) == 0)
			rig_restart(&rig);
		begin();
		for (unsigned times = 1 + roll(3); times; times--) {
			live(roll(3) ? roll(12) : roll(80));
			again();
		}
		compare();
		end_side(&ahead);
	}
	rig_stop(&rig);
}

Test(reload, of_what_has_changed_is_as_good_as_a_load_of_all)
{
	for (uint64_t seed = 1; seed <= 7; seed++)
		lives(seed, 20);
}

/* ---- what is rare in such lives */

static struct gm_core_status status(void)
{
	struct gm_core_status s;

	gm_core_status(ahead.core, &s);
	return s;
}

static void one_group(void)
{
	const struct gm_group_spec g1 = rig_group_spec("g1");

	rig_start(&rig, 2);
	cr_assert_eq(rig_group(&rig, &g1), GM_E_OK);
}

static void end(void)
{
	end_side(&ahead);
	rig_stop(&rig);
}

Test(reload, puts_out_a_member_whose_context_went_meanwhile)
{
	one_group();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ), b = rig_client(2, "g1", REQ);
	begin();
	cr_assert_eq(rig_token(&rig, &b), GM_E_OK);
	b.ctx = a.ctx + 1; /* its place was given to somebody else */
	rig_join(&rig, &b, &(struct rig_join){.group = "g1", .roles = REQ, .cred = "cred"});
	again();
	cr_expect_eq(status().members, 2);
	compare();
	cr_expect_eq(status().members, 1);
	end();
}

Test(reload, drops_a_context_that_is_closing_since)
{
	one_group();
	struct rig_client a = rig_member(&rig, 1, "g1", REQ);
	unsigned n;

	begin();
	rig_turn(&rig);
	cr_assert_eq(gm_core_revoke(rig.core, &rig.txn, rig_hash(&a), &n), GM_E_OK);
	rig_turn_end(&rig);
	again();
	cr_expect_eq(status().contexts, 1);
	compare();
	cr_expect_eq(status().contexts, 0);
	end();
}

Test(reload, keeps_the_number_that_has_ended_of_a_server_that_goes)
{
	struct gm_as_spec other = rig_as_spec("as2");
	unsigned n;

	one_group();
	cr_assert_eq(rig_as(&rig, &other), GM_E_OK);
	struct rig_client a = rig_client(1, "g1", REQ);
	a.as_id = 2;
	a.exi = 10;
	struct rig_token token = rig_token_of(&a);
	token.iss = "coap://as2";
	token.cti = 7;
	cr_assert_eq(rig_token_post(&rig, &token)->err, GM_E_OK);
	rig_pass(&rig, 20000);
	begin();
	rig_turn(&rig);
	cr_assert_eq(gm_core_as_remove(rig.core, &rig.txn, "as2", &n), GM_E_OK);
	rig_turn_end(&rig);
	again();
	compare();
	begin_turn(&ahead);
	cr_assert_eq(gm_core_as_add(ahead.core, &ahead.txn, &other), GM_E_OK);
	struct lines l = {0};
	lines_of_core(&l, ahead.core);
	n = 0;
	for (size_t i = 0; i < l.n; i++)
		n += strstr(l.at[i], "as 3 at") && strstr(l.at[i], "ended 1 7");
	cr_expect_eq(n, 1, "it is known again with the number that has ended");
	lines_free(&l);
	end();
}

static enum gm_err reload_keys(const struct gm_changed_key *keys, size_t n)
{
	begin_turn(&ahead);
	enum gm_err err = gm_core_reload(ahead.core, &ahead.txn, keys, n, fetch, NULL);
	gm_effects_reset(&ahead.effects);
	return err;
}

Test(reload, refuses_what_does_not_fit_together)
{
	const struct gm_changed_key group = {GM_TABLE_GROUP, 4, {0}}, cut = {GM_TABLE_GROUP, 3, {0}}, unknown = {GM_TABLE_N, 4, {0}};

	one_group();
	rig_member(&rig, 1, "g1", REQ);
	begin();
	cr_expect_eq(reload_keys(&cut, 1), GM_E_CORRUPT);
	cr_expect_eq(reload_keys(&unknown, 1), GM_E_CORRUPT);
	cr_expect_eq(reload_keys(&group, 1), GM_E_OK);
	for (size_t i = 0; i < rig.records; i++)
		if (rig.record[i].table == GM_TABLE_GROUP)
			rig.record[i].table = GM_TABLE_N; /* gone, though it has a member */
	cr_expect_eq(reload_keys(&group, 1), GM_E_CORRUPT);
	end();
}
