/* SPDX-License-Identifier: Apache-2.0 */
/* What a member may read, and what it may not. */
#include "resources.h"

#include "wire/cbor.h"

static const struct gm_bytes nothing;

/* ---- keys */

static const char *judge_keys(const struct load_scene *s, const struct gm_member *m, struct gm_bytes body, bool with_sid)
{
	const struct gm_member_keys *k = &m->keys;
	struct gm_keying_map map;
	if (gm_keying_decode(body, &map) != GM_E_OK || map.gkty != 1 || map.profile != 1 || map.exi < 0)
		return "a keying map that cannot be read, or lacks gkty, profile or exi";
	if ((uint64_t)map.num != k->version || !gm_bytes_eq(map.ms, (struct gm_bytes){k->ms, k->ms_n}) ||
	    !gm_bytes_eq(map.gid, (struct gm_bytes){k->gid, k->gid_n}) ||
	    !gm_bytes_eq(map.salt, (struct gm_bytes){k->salt, k->salt_n}))
		return "other keys than the member's";
	if (memcmp(&map.params, &s->g->params, sizeof(map.params)) != 0)
		return "other algorithms than the group's";
	if (with_sid ? !gm_bytes_eq(map.sid, (struct gm_bytes){m->sid, m->sid_n}) : map.sid.p != NULL)
		return "another Sender ID than it should show";
	return map.stale.p || map.kdc_cred.p || map.creds.p ? "more than it should say" : NULL;
}

static const char *group_get(struct load_scene *s, struct gm_member *m)
{
	struct gm_member_ask a = {0};
	const char *fault = "not answered with 2.05 and CF 261";
	if (load_ask(s, m, GM_COAP_GET, "", nothing, GM_COAP(2, 5), &a) && a.format == GM_CF_GROUPCOMM)
		fault = judge_keys(s, m, load_body(&a), false);
	load_ask_free(&a);
	return fault;
}

static const char *own_path(char path[static 64], const struct gm_member *m, const char *below)
{
	snprintf(path, 64, "/nodes/%s%s", m->node, below);
	return path;
}

static const char *node_get(struct load_scene *s, struct gm_member *m)
{
	struct gm_member_ask a = {0};
	char path[64];
	const char *fault = "not answered with 2.05 and CF 261";
	if (load_ask(s, m, GM_COAP_GET, own_path(path, m, ""), nothing, GM_COAP(2, 5), &a) && a.format == GM_CF_GROUPCOMM)
		fault = judge_keys(s, m, load_body(&a), true);
	load_ask_free(&a);
	return fault;
}

/* ---- Observe: register, and end it with the same token                        RFC 7641 §3.6 */

static const char *observe(struct load_scene *s, struct gm_member *m, const char *below)
{
	struct gm_member_ask a = {.observe = GM_ASK_OBSERVE};
	const char *fault = NULL;
	if (!load_ask(s, m, GM_COAP_GET, below, nothing, GM_COAP(2, 5), &a) || !a.observed)
		fault = "cannot be observed";
	a.observe = GM_ASK_CANCEL;
	if (!fault && (!load_ask(s, m, GM_COAP_GET, below, nothing, GM_COAP(2, 5), &a) || a.observed))
		fault = "the observation cannot be ended";
	load_ask_free(&a);
	return fault;
}

/* One observation of the group per member: who has one keeps it. */
static const char *group_observe(struct load_scene *s, struct gm_member *m)
{
	return m->observing ? NULL : observe(s, m, "");
}

static const char *node_observe(struct load_scene *s, struct gm_member *m)
{
	char path[64];
	return observe(s, m, own_path(path, m, ""));
}

static const char *active_observe(struct load_scene *s, struct gm_member *m)
{
	return observe(s, m, "/active");
}

/* ---- small answers, to the byte */

static const char *same_bytes(struct load_scene *s, struct gm_member *m, const char *below, int format, struct gm_out *want)
{
	struct gm_member_ask a = {0};
	const char *fault = NULL;
	if (!load_ask(s, m, GM_COAP_GET, below, nothing, GM_COAP(2, 5), &a) || a.format != format)
		fault = "not answered with 2.05 and its Content-Format";
	else if (want->err != GM_E_OK || !gm_bytes_eq(load_body(&a), gm_out_result(want)))
		fault = "other bytes than expected";
	load_ask_free(&a);
	return fault;
}

static const char *policies(struct load_scene *s, struct gm_member *m)
{
	uint8_t bytes[80];
	struct gm_out want = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_map(&want, 1);
	gm_pair_raw(&want, GM_LABEL_GROUP_POLICIES, (struct gm_bytes){s->g->policies, s->g->policies_n});
	return same_bytes(s, m, "/policies", GM_CF_GROUPCOMM, &want);
}

static const char *num(struct load_scene *s, struct gm_member *m)
{
	uint8_t bytes[9];
	struct gm_out want = gm_out(bytes, sizeof(bytes));
	gm_cbor_put_uint(&want, m->keys.version);
	return same_bytes(s, m, "/num", GM_CF_CBOR, &want);
}

static const char *active(struct load_scene *s, struct gm_member *m)
{
	uint8_t yes[1];
	struct gm_out want = gm_out(yes, sizeof(yes));
	gm_cbor_put_bool(&want, true);
	return same_bytes(s, m, "/active", GM_CF_CBOR, &want);
}

/* ---- Gids to names */

static const char *names(struct load_scene *s, struct gm_member *m)
{
	uint8_t ask[64], want_bytes[256], foreign[GM_GID_MAX];
	struct gm_bytes gids[] = {{foreign, m->keys.gid_n}, {m->keys.gid, m->keys.gid_n}};
	struct gm_group_name own = {gids[1], {(const uint8_t *)s->g->name, strlen(s->g->name)}};
	struct gm_out o = gm_out(ask, sizeof(ask)), want = gm_out(want_bytes, sizeof(want_bytes));
	struct gm_member_ask a = {.method = GM_COAP_FETCH, .path = "/ace-group", .content_format = GM_CF_GROUPCOMM};
	const char *fault = NULL;
	gm_random(foreign, sizeof(foreign));
	for (unsigned n = 1; n <= 2 && !fault; n++) { /* nobody's alone, then ours beside it */
		o = gm_out(ask, sizeof(ask));
		want = gm_out(want_bytes, sizeof(want_bytes));
		gm_gids_encode(&o, gids, n);
		gm_group_names_encode(&want, &own, n - 1);
		a.payload = gm_out_result(&o);
		m->ask = &a;
		gm_fleet_run(&s->l->fleet, &m->index, 1, GM_PLAN(GM_OP_ASK), 1, 0);
		m->ask = NULL;
		if (a.code != GM_COAP(2, 5) || !gm_bytes_eq(load_body(&a), gm_out_result(&want)))
			fault = n == 1 ? "a name for a Gid of nobody" : "another name, Gid or URI than the group's";
	}
	load_ask_free(&a);
	return fault;
}

/* ---- creds */

static const char *creds_get(struct load_scene *s, struct gm_member *m)
{
	struct gm_member_ask a = {0};
	const char *fault = "not answered with 2.05 and CF 261";
	if (load_ask(s, m, GM_COAP_GET, "/creds", nothing, GM_COAP(2, 5), &a) && a.format == GM_CF_GROUPCOMM)
		fault = load_judge_creds(s, &a, NULL, m->keys.version);
	load_ask_free(&a);
	return fault;
}

static const char *filtered(struct load_scene *s, struct gm_member *m, const struct gm_creds_filter *filter)
{
	uint8_t bytes[256];
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	struct gm_member_ask a = {0};
	const char *fault = "not answered with 2.05";
	gm_creds_filter_encode(&o, filter);
	if (load_ask(s, m, GM_COAP_FETCH, "/creds", gm_out_result(&o), GM_COAP(2, 5), &a))
		fault = load_judge_creds(s, &a, filter, m->keys.version);
	load_ask_free(&a);
	return fault;
}

/* Sender IDs of two members and of nobody. */
static bool some_ids(const struct load_scene *s, struct gm_out *o, struct gm_list *ids)
{
	gm_cbor_put_array(o, 3);
	for (unsigned i = 0; i < 2; i++) {
		const struct gm_member *m = s->sids[load_draw(s->l, (uint32_t)s->sids_n)];
		gm_cbor_put_bstr(o, m->sid, m->sid_n);
	}
	gm_cbor_put_bstr(o, "\xff\xff\xff\xff\xff\xff\xff", 7);
	return gm_list_decode(gm_out_result(o), GM_CBOR_BSTR, ids);
}

static const char *creds_fetch(struct load_scene *s, struct gm_member *m)
{
	static const struct {
		bool include, ids;
		uint8_t roles_n, roles[2];
	} rows[] = {
	    {true, true, 0, {0}},
	    {true, false, 1, {GM_ROLE_REQUESTER}},
	    {true, true, 1, {GM_ROLE_REQUESTER | GM_ROLE_RESPONDER}},
	    {false, true, 0, {0}},
	    {false, true, 2, {GM_ROLE_REQUESTER, GM_ROLE_MONITOR}},
	    {true, false, 1, {GM_ROLE_MONITOR}},
	};
	uint8_t ids[64];
	const char *fault = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !fault && s->sids_n; i++) {
		struct gm_out o = gm_out(ids, sizeof(ids));
		struct gm_creds_filter f = {.include = rows[i].include, .roles_n = rows[i].roles_n};
		memcpy(f.roles, rows[i].roles, sizeof(rows[i].roles));
		if (rows[i].ids && !some_ids(s, &o, &f.ids))
			return "no list of Sender IDs";
		fault = filtered(s, m, &f);
	}
	return fault;
}

/* ---- kdc-cred, stale-sids */

static const char *kdc_cred(struct load_scene *s, struct gm_member *m)
{
	bool good = gm_fleet_run(&s->l->fleet, &m->index, 1, GM_PLAN(GM_OP_KDC), 1, 0) == 1;
	return good ? NULL : "not answered with 2.05"; /* the member verifies it */
}

static const char *stale_sids(struct load_scene *s, struct gm_member *m)
{
	uint8_t bytes[9];
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	struct gm_member_ask a = {0};
	struct gm_list sids = {0};
	const char *fault = NULL;
	gm_num_encode(&o, m->keys.version);
	if (!load_ask(s, m, GM_COAP_FETCH, "/stale-sids", gm_out_result(&o), GM_COAP(4, 0), &a))
		fault = "the newest version has stale Sender IDs";
	o = gm_out(bytes, sizeof(bytes));
	gm_num_encode(&o, m->keys.version - 1);
	if (!fault && m->keys.version &&
	    (!load_ask(s, m, GM_COAP_FETCH, "/stale-sids", gm_out_result(&o), GM_COAP(2, 5), &a) ||
	     (a.body_n && (a.format != GM_CF_CBOR || gm_stale_decode(load_body(&a), &sids) != GM_E_OK))))
		fault = "not answered with an array of byte strings";
	load_ask_free(&a);
	return fault;
}

/* ---- what is refused */

static const char *refusals(struct load_scene *s, struct gm_member *m)
{
	static const struct {
		uint8_t method, code;
		const char *below, *fault;
		int id; /* -1: not looked at */
	} rows[] = {
	    {GM_COAP_GET, GM_COAP(4, 3), "/verif-data", "a member gets verif-data", 8},
	    {GM_COAP_GET, GM_COAP(4, 3), "/nodes/nobody", "a member reads another one's node", -1},
	    {GM_COAP_GET, GM_COAP(4, 4), "/nothing", "nothing is there, but found", -1},
	    {GM_COAP_PUT, GM_COAP(4, 5), "/num", "num can be written", -1},
	    {GM_COAP_POST, GM_COAP(4, 5), "/creds", "creds can be posted to", -1},
	};
	struct gm_member_ask a = {0};
	const char *fault = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !fault; i++)
		if (!load_ask(s, m, rows[i].method, rows[i].below, nothing, rows[i].code, &a) ||
		    (rows[i].id >= 0 && !load_is_problem(&a, rows[i].id)))
			fault = rows[i].fault;
	load_ask_free(&a);
	return fault;
}

const struct load_check_row load_reads[] = {
    {"group", group_get, false, false},
    {"group observe", group_observe, false, false},
    {"node", node_get, false, false},
    {"node observe", node_observe, false, false},
    {"names", names, false, false},
    {"creds", creds_get, false, true},
    {"creds fetch", creds_fetch, false, true},
    {"kdc-cred", kdc_cred, false, false},
    {"policies", policies, false, false},
    {"num", num, false, false},
    {"active", active, false, false},
    {"active observe", active_observe, false, false},
    {"stale-sids", stale_sids, false, false},
    {"refusals", refusals, false, false},
    {NULL, NULL, false, false},
};
