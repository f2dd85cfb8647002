/* SPDX-License-Identifier: Apache-2.0 */
/* KG §14, GA §6.6.2, GA §6; GA is draft-ietf-ace-oscore-gm-admin-17 */
#include "core/config_change.h"

#include "core/audit.h"
#include "gm/crypto.h"
#include "wire/params.h"

#include <stdio.h>
#include <stdlib.h>

#define EDDSA (-8)
#define ECDH_SS_HKDF_256 (-27)
#define ECDH_SS_HKDF_512 (-28)
#define HKDF_SHA_512 7
#define CHANGED_MAX 512u /* the names of all parameters */

static struct gm_bytes text_bytes(const char *text)
{
	return (struct gm_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- authorization servers */

struct gm_bytes gm_config_as_uri(const struct gm_core *c)
{
	for (unsigned i = 0; i < c->ases_n; i++)
		if (c->ases[i].spec.uri[0])
			return text_bytes(c->ases[i].spec.uri);
	return text_bytes("");
}

bool gm_config_as_trusted(const struct gm_core *c, struct gm_bytes uri)
{
	for (unsigned i = 0; i < c->ases_n; i++)
		if (uri.n && gm_bytes_is(uri, c->ases[i].spec.uri))
			return true;
	return false;
}

/* ---- reading */

static struct gm_list no_names(void)
{
	return (struct gm_list){.in = gm_in(NULL, 0)};
}

static void read_params(const struct gm_group_params *p, struct gm_admin_map *map)
{
	map->hkdf = p->hkdf;
	map->cred_fmt = p->cred_fmt;
	map->group_mode = p->group_mode;
	map->pairwise_mode = p->pairwise_mode;
	map->gp_enc_alg = p->gp_enc_alg;
	map->sign_alg = p->sign_alg;
	map->sign_params = (struct gm_admin_caps){p->sign_kty, p->sign_crv};
	map->alg = p->alg;
	map->ecdh_alg = p->ecdh_alg;
	map->ecdh_params = (struct gm_admin_caps){p->ecdh_kty, p->ecdh_crv};
}

static void read_about(const struct gm_core *c, const struct gm_about *about, struct gm_admin_map *map)
{
	bool described = about && about->described;
	struct gm_bytes names = about ? (struct gm_bytes){about->app_groups, about->app_groups_n} : (struct gm_bytes){0};

	if (!described)
		map->null |= GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION);
	else
		map->group_description = (struct gm_bytes){(const uint8_t *)about->description, about->description_n};
	if (!names.n || !gm_list_decode(names, GM_CBOR_TSTR, &map->app_groups))
		map->app_groups = no_names();
	map->as_uri = about && about->as_uri_n ? (struct gm_bytes){(const uint8_t *)about->as_uri, about->as_uri_n}
	                                       : gm_config_as_uri(c);
}

void gm_core_group_about(const struct gm_core *core, const struct gm_group_info *info, struct gm_group_about *about)
{
	const struct gm_group *g = gm_groups_at(core, info->index);
	struct gm_admin_map map = {0};

	read_about(core, g->about, &map);
	*about = (struct gm_group_about){.description = map.group_description,
	                                 .as_uri = map.as_uri,
	                                 .app_groups = map.app_groups,
	                                 .check_interval_s = g->check_interval,
	                                 .expiration_delta_s = g->expiration_delta};
}

void gm_config_read(const struct gm_core *c, const struct gm_group *g, struct gm_config_room *room,
                    struct gm_admin_map *map)
{
	uint32_t left_out = GM_ADMIN_BIT(GM_ADMIN_DET_HASH_ALG) | GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF);
	const struct gm_group_params *p = &g->spec.params;

	*map = (struct gm_admin_map){
	    .null = (p->group_mode ? 0 : GM_ADMIN_OF_GROUP_MODE) | (p->pairwise_mode ? 0 : GM_ADMIN_OF_PAIRWISE_MODE),
	    .rt = text_bytes(GM_ADMIN_RT_GCONF),
	    .active = g->spec.active,
	    .group_name = text_bytes(g->spec.name),
	    .profile = GM_PROFILE_GROUP_OSCORE_APP,
	    .max_stale_sets = g->spec.max_stale_sets,
	    .exp = g->exp,
	    .policies = {g->check_interval, g->expiration_delta},
	};
	if (!p->group_mode || !p->pairwise_mode)
		left_out |= GM_ADMIN_BIT(GM_ADMIN_DET_REQ);
	map->has = (GM_ADMIN_BIT(GM_ADMIN_N) - 1) & ~left_out;
	read_params(p, map);
	read_about(c, g->about, map);
	snprintf(room->joining_uri, sizeof(room->joining_uri), "%s" GM_GROUPS_PATH "/%s", c->config.uri, g->spec.name);
	map->joining_uri = text_bytes(room->joining_uri);
}

/* ---- defaults */

static const struct {
	int32_t alg;
	struct gm_admin_caps sign, ecdh; /* ecdh of kty 0: such keys agree on nothing */
} signatures[] = {
    {EDDSA, {1, 6}, {1, 4}}, {EDDSA, {1, 7}, {1, 5}}, {-7, {2, 1}, {2, 1}}, {-35, {2, 2}, {2, 2}},
    {-36, {2, 3}, {2, 3}},   {-37, {3, 0}, {0, 0}},   {-38, {3, 0}, {0, 0}}, {-39, {3, 0}, {0, 0}},
};
#define SIGNATURES_N (sizeof(signatures) / sizeof(*signatures))

static bool same_caps(struct gm_admin_caps a, struct gm_admin_caps b)
{
	return a.kty == b.kty && a.crv == b.crv;
}

static bool has(const struct gm_admin_map *map, enum gm_admin_param param)
{
	return map->has & GM_ADMIN_BIT(param);
}

static struct gm_admin_caps default_sign(int32_t sign_alg)
{
	for (size_t i = 0; i < SIGNATURES_N; i++)
		if (signatures[i].alg == sign_alg)
			return signatures[i].sign;
	return (struct gm_admin_caps){1, 6};
}

static struct gm_admin_caps default_ecdh(const struct gm_admin_map *map)
{
	for (size_t i = 0; map->group_mode && i < SIGNATURES_N; i++)
		if (signatures[i].alg == map->sign_alg && same_caps(signatures[i].sign, map->sign_params) &&
		    signatures[i].ecdh.kty)
			return signatures[i].ecdh;
	return (struct gm_admin_caps){1, 4};
}

void gm_config_complete(struct gm_admin_map *map)
{
	const struct gm_group_params p = gm_group_params_default();
	struct gm_group_spec spec = gm_group_spec_default();
	struct gm_admin_map d = {
	    .hkdf = p.hkdf,
	    .cred_fmt = p.cred_fmt,
	    .group_mode = true,
	    .pairwise_mode = true,
	    .gp_enc_alg = p.gp_enc_alg,
	    .sign_alg = p.sign_alg,
	    .alg = p.alg,
	    .max_stale_sets = spec.max_stale_sets,
	    .app_groups = no_names(),
	    .policies = {3600, 0},
	};

	d.has = (GM_ADMIN_BIT(GM_ADMIN_N) - 1) &
	        ~(GM_ADMIN_BIT(GM_ADMIN_DET_HASH_ALG) | GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF) |
	          GM_ADMIN_BIT(GM_ADMIN_EXP) | GM_ADMIN_BIT(GM_ADMIN_AS_URI) | GM_ADMIN_BIT(GM_ADMIN_GROUP_NAME));
	d.null = GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION);
	gm_admin_overlay(&d, map, GM_ADMIN_MODES | GM_ADMIN_BIT(GM_ADMIN_HKDF) | GM_ADMIN_BIT(GM_ADMIN_SIGN_ALG));
	d.sign_params = has(map, GM_ADMIN_SIGN_PARAMS) ? map->sign_params : default_sign(d.sign_alg);
	d.ecdh_params = default_ecdh(&d);
	d.ecdh_alg = d.hkdf == HKDF_SHA_512 ? ECDH_SS_HKDF_512 : ECDH_SS_HKDF_256;
	if (!d.group_mode)
		d.null |= GM_ADMIN_OF_GROUP_MODE;
	if (!d.pairwise_mode)
		d.null |= GM_ADMIN_OF_PAIRWISE_MODE;
	if (!d.group_mode || !d.pairwise_mode)
		d.has &= ~GM_ADMIN_BIT(GM_ADMIN_DET_REQ);
	struct gm_admin_map asked = *map;
	*map = d;
	map->name_pattern = asked.name_pattern;
	gm_admin_overlay(map, &asked, asked.has);
	if (map->policies.check_interval < 0)
		map->policies.check_interval = d.policies.check_interval;
	if (map->policies.expiration_delta < 0)
		map->policies.expiration_delta = d.policies.expiration_delta;
}

/* ---- checks */

struct gm_group_params gm_config_params(const struct gm_admin_map *m)
{
	struct gm_group_params p = {
	    .hkdf = m->hkdf, .cred_fmt = m->cred_fmt, .group_mode = m->group_mode, .pairwise_mode = m->pairwise_mode};

	if (m->group_mode) {
		p.gp_enc_alg = m->gp_enc_alg;
		p.sign_alg = m->sign_alg;
		p.sign_kty = m->sign_params.kty;
		p.sign_crv = m->sign_params.crv;
	}
	if (m->pairwise_mode) {
		p.alg = m->alg;
		p.ecdh_alg = m->ecdh_alg;
		p.ecdh_kty = m->ecdh_params.kty;
		p.ecdh_crv = m->ecdh_params.crv;
	}
	return p;
}

static const char *check_modes(const struct gm_admin_map *m)
{
	uint32_t want = (m->group_mode ? 0 : GM_ADMIN_OF_GROUP_MODE) | (m->pairwise_mode ? 0 : GM_ADMIN_OF_PAIRWISE_MODE);
	uint32_t null = m->null & (GM_ADMIN_OF_GROUP_MODE | GM_ADMIN_OF_PAIRWISE_MODE);

	if (!m->group_mode && !m->pairwise_mode)
		return "group_mode, pairwise_mode: one has to be on";
	if ((null ^ want) & GM_ADMIN_OF_GROUP_MODE)
		return "gp_enc_alg, sign_alg, sign_params: null without group_mode, and only then";
	if ((null ^ want) & GM_ADMIN_OF_PAIRWISE_MODE)
		return "alg, ecdh_alg, ecdh_params: null without pairwise_mode, and only then";
	if (has(m, GM_ADMIN_DET_REQ) && want)
		return "det_req: only with both modes";
	if (has(m, GM_ADMIN_DET_HASH_ALG) && !m->det_req)
		return "det_hash_alg: only with det_req";
	return NULL;
}

static const char *check_signatures(const struct gm_admin_map *m)
{
	bool known = false;

	for (size_t i = 0; i < SIGNATURES_N; i++) {
		if (signatures[i].alg != m->sign_alg)
			continue;
		known = true;
		if (!same_caps(signatures[i].sign, m->sign_params))
			continue;
		if (m->pairwise_mode && !same_caps(signatures[i].ecdh, m->ecdh_params))
			return "ecdh_params: signature keys cannot be used so";
		return NULL;
	}
	return known ? "sign_params: do not fit sign_alg" : NULL;
}

static const char *check_agreement(const struct gm_admin_map *m)
{
	if ((m->ecdh_alg == ECDH_SS_HKDF_512 && m->hkdf == GM_HKDF_SHA_256) ||
	    (m->ecdh_alg == ECDH_SS_HKDF_256 && m->hkdf == HKDF_SHA_512))
		return "ecdh_alg: does not fit hkdf";
	return m->ecdh_params.kty ? NULL : "ecdh_params: not understood";
}

unsigned gm_config_sid_max(const struct gm_group_params *p)
{
	const struct gm_aead_info *group = p->group_mode ? gm_group_enc_info(p->gp_enc_alg) : NULL;
	const struct gm_aead_info *pair = p->pairwise_mode ? gm_aead_info(p->alg) : NULL;
	unsigned nonce = 13;

	if (group && group->nonce_len < nonce)
		nonce = (unsigned)group->nonce_len;
	if (pair && pair->nonce_len < nonce)
		nonce = (unsigned)pair->nonce_len;
	return nonce > 6 ? nonce - 6 : 0;
}

static const char *check_supported(const struct gm_admin_map *m)
{
	struct gm_group_params p = gm_config_params(m);

	if (has(m, GM_ADMIN_DET_REQ) && m->det_req)
		return "det_req: deterministic requests are not supported";
	if (m->max_stale_sets > GM_STALE_SETS_MAX)
		return "max_stale_sets: more than are kept here";
	return gm_params_check(&p, 1);
}

struct gm_fault gm_config_check(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *m)
{
	const char *why = check_modes(m);

	if (!why && m->group_mode)
		why = check_signatures(m);
	if (!why && m->pairwise_mode)
		why = check_agreement(m);
	if (why)
		return (struct gm_fault){GM_E_CONFLICT, why};
	if (m->max_stale_sets < 2)
		return (struct gm_fault){GM_E_RANGE, "max_stale_sets: at least 2"};
	if (has(m, GM_ADMIN_EXP) && m->exp <= t->txn->wall_s && (!g || m->exp != g->exp))
		return (struct gm_fault){GM_E_RANGE, "exp: not in the future"};
	if (m->group_description.n > GM_ADMIN_DESCRIPTION_MAX)
		return (struct gm_fault){GM_E_RANGE, "group_description: too long"};
	if (m->as_uri.n > GM_ADMIN_URI_MAX)
		return (struct gm_fault){GM_E_RANGE, "as_uri: too long"};
	if (gm_in_left(&m->app_groups.in) + 3 > GM_ADMIN_APP_GROUPS_MAX)
		return (struct gm_fault){GM_E_RANGE, "app_groups: too many"};
	why = check_supported(m);
	return (struct gm_fault){why ? GM_E_BAD_CONFIG : GM_E_OK, why};
}

/* ---- changing */

/* The newest n sets stay. KG §7.1 */
static void keep_stale_sets(struct gm_turn *t, struct gm_group *g, unsigned n)
{
	struct gm_stale_set *kept = gm_must_alloc(NULL, n * sizeof(*kept));

	memset(kept, 0, n * sizeof(*kept));
	for (; g->version + 1 - g->stale_first > n; g->stale_first++) {
		struct gm_stale_set *drop = gm_stale_of(g, g->stale_first);
		gm_record_remove_stale(t, g, g->stale_first, drop->n);
		free(drop->sids);
	}
	for (uint64_t v = g->stale_first; v <= g->version; v++)
		kept[v % n] = *gm_stale_of(g, v);
	free(g->stale);
	g->stale = kept;
	g->spec.max_stale_sets = n;
}

static bool about_is_default(const struct gm_about *a)
{
	return !a->as_uri_n && !a->described && a->app_groups_n <= 1;
}

static void set_about(struct gm_turn *t, struct gm_group *g, const struct gm_admin_map *m)
{
	struct gm_about about = {.described = !(m->null & GM_ADMIN_BIT(GM_ADMIN_GROUP_DESCRIPTION))};
	struct gm_out names = gm_out(about.app_groups, sizeof(about.app_groups));
	struct gm_bytes uri = gm_config_as_uri(t->core);

	gm_list_encode(&names, m->app_groups);
	about.app_groups_n = (uint16_t)gm_out_len(&names);
	if (about.described && m->group_description.n) {
		about.description_n = (uint16_t)m->group_description.n;
		memcpy(about.description, m->group_description.p, about.description_n);
	}
	if (m->as_uri.n && !gm_bytes_eq(m->as_uri, uri)) {
		about.as_uri_n = (uint8_t)m->as_uri.n;
		memcpy(about.as_uri, m->as_uri.p, about.as_uri_n);
	}
	if (about_is_default(&about) && !g->about)
		return;
	if (!g->about)
		g->about = gm_must_alloc(NULL, sizeof(about));
	*g->about = about;
	gm_record_put_about(t, g);
}

/* An administrator has no parameter for how long keys live, so what is left until exp is the lifetime of later keys, too. GA §5.1.2 */
static uint32_t lifetime_of(const struct gm_turn *t, int64_t exp)
{
	int64_t left = exp - t->txn->wall_s;

	return left < 60 ? 60 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static void set_exp(struct gm_turn *t, struct gm_group *g, int64_t exp)
{
	if (g->members)
		gm_plan_keys_linger(g);
	g->exp = exp;
	g->spec.key_lifetime_s = lifetime_of(t, exp);
	gm_plan_arm_keys(t->core, g);
}

static bool same_params(const struct gm_group_params *a, const struct gm_group_params *b)
{
	struct gm_admin_map x = {.has = 0}, y = {.has = 0};

	read_params(a, &x);
	read_params(b, &y);
	x.has = y.has = GM_ADMIN_BIT(GM_ADMIN_DET_REQ) - 1;
	for (unsigned i = 0; i < GM_ADMIN_DET_REQ; i++)
		if (!gm_admin_same(&x, &y, (enum gm_admin_param)i))
			return false;
	return true;
}

static bool same_keys(const struct gm_group_params *a, const struct gm_group_params *b)
{
	return a->cred_fmt == b->cred_fmt && a->sign_alg == b->sign_alg && a->sign_crv == b->sign_crv &&
	       a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv;
}

/* Everybody comes with a new credential, as the Group Manager does itself. GA §6.6.2 */
static void forget_credentials(struct gm_turn *t, struct gm_group *g)
{
	gm_rejoin_begin(t, g);
	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		struct gm_member *m = gm_groups_slot(t->core, g, slot);
		if (!m || m->roles == GM_ROLE_MONITOR)
			continue;
		gm_rejoin_expect(t, g, m);
		struct gm_member_parts parts = gm_members_parts(t->core, m);
		parts.cred = (struct gm_bytes){0};
		gm_members_set_parts(t->core, m, &parts);
		gm_record_put_member(t, m);
		gm_tell_cred(t, m, false);
	}
}

static void drop_stale_sets(struct gm_turn *t, struct gm_group *g)
{
	for (; g->stale_first < g->version; g->stale_first++) {
		struct gm_stale_set *s = gm_stale_of(g, g->stale_first);
		gm_record_remove_stale(t, g, g->stale_first, s->n);
		free(s->sids);
		*s = (struct gm_stale_set){0};
	}
}

/* The nonces have no room for the Sender IDs: who has one is out and may come again. The sets of stale ones go too, as
 * they are of the old length; who missed a rekey forgets everything then. GA §6.6.2 */
static void shorten_sids(struct gm_turn *t, struct gm_group *g, unsigned sid_max)
{
	struct gm_held *held = gm_wait_take(&g->held);

	gm_rejoin_begin(t, g);
	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		struct gm_member *m = gm_groups_slot(t->core, g, slot);
		if (!m || m->sid_n <= sid_max)
			continue;
		gm_rejoin_expect(t, g, m);
		gm_members_remove(t, m, GM_E_EVICTED, GM_REASON_SENDER_ID_LENGTH, GM_HASTE_NOW);
	}
	gm_plan_step(t, g, GM_REASON_OPERATOR);
	drop_stale_sets(t, g);
	g->spec.max_members = GM_MEMBERS_SID_1;
	g->sid_len = gm_core_sid_len(g->spec.max_members);
	gm_record_put_group(t, g);
	gm_wait_answer(t, held, GM_WAITED_REKEY);
}

/* Other algorithms under the same secrets are never used: keys change with them, before anything else of the turn is read. */
static void change_params(struct gm_turn *t, struct gm_group *g, const struct gm_group_params *params)
{
	bool keys = !same_keys(params, &g->spec.params);

	g->spec.params = *params;
	g->gen++;
	g->owed |= GM_OWED_CONFIG;
	g->config_num = g->version + 1;
	if (keys && gm_groups_new_credential(t, g) == GM_E_OK)
		forget_credentials(t, g);
	gm_record_put_group(t, g);
	gm_tell_group(t, g, false);
	if (gm_config_sid_max(params) < g->sid_len)
		shorten_sids(t, g, gm_config_sid_max(params));
	else
		gm_plan_step(t, g, GM_REASON_OPERATOR);
}

/* Names of what changes, not values: a description may say anything. */
static void audit(struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *m)
{
	char text[CHANGED_MAX], *at = text;
	struct gm_config_room room;
	struct gm_admin_map now;
	struct gm_audit a;

	gm_config_read(t->core, g, &room, &now);
	for (unsigned i = 0; i < GM_ADMIN_APP_GROUPS_DIFF; i++)
		if (has(m, i) && !gm_admin_same(&now, m, (enum gm_admin_param)i))
			at += snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", at == text ? "" : ",", gm_admin_name((enum gm_admin_param)i));
	if (at == text)
		return;
	gm_audit_begin(&a, t->txn, "group-changed");
	gm_audit_group(&a, g);
	gm_audit_word(&a, "changed", text);
	gm_audit_word(&a, "active", m->active ? "yes" : "no");
	gm_audit_end(&a, t->txn);
}

void gm_config_apply(struct gm_turn *t, struct gm_group *g, const struct gm_admin_map *m)
{
	struct gm_group_params params = gm_config_params(m);
	bool algs = !same_params(&params, &g->spec.params);

	audit(t, g, m);
	set_about(t, g, m);
	if (g->spec.active != m->active && g->members)
		gm_plan_owe_active(t, g);
	g->spec.active = m->active;
	g->check_interval = (uint32_t)m->policies.check_interval;
	g->expiration_delta = (uint32_t)m->policies.expiration_delta;
	if (m->max_stale_sets != g->spec.max_stale_sets)
		keep_stale_sets(t, g, (unsigned)m->max_stale_sets);
	if (has(m, GM_ADMIN_EXP) && m->exp != g->exp)
		set_exp(t, g, m->exp);
	gm_core_log(t->core, "group.configure group=%s active=%d algorithms=%d", g->spec.name, g->spec.active, algs);
	if (algs) {
		change_params(t, g, &params);
		return;
	}
	gm_record_put_group(t, g);
	gm_tell_group(t, g, false);
}

/* ---- from what was asked */

struct gm_fault gm_config_settle(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *asked,
                                 struct gm_admin_map *map, struct gm_config_names *names)
{
	struct gm_bytes other = gm_config_as_uri(t->core);
	struct gm_out o = gm_out(names->bytes, sizeof(names->bytes));

	if (has(asked, GM_ADMIN_AS_URI) && !gm_config_as_trusted(t->core, asked->as_uri)) {
		if (!other.n)
			return (struct gm_fault){GM_E_RANGE, "as_uri: not trusted"};
		map->as_uri = other;
	}
	gm_admin_names_encode(&o, map->app_groups, asked->del, asked->add);
	if (o.err != GM_E_OK || !gm_list_decode(gm_out_result(&o), GM_CBOR_TSTR, &map->app_groups))
		return (struct gm_fault){GM_E_RANGE, "app_groups: too many"};
	return gm_config_check(t, g, map);
}

struct patched { /* a whole configuration, and what it borrows from */
	struct gm_admin_map map;
	struct gm_config_room room;
	struct gm_config_names names;
};

static struct gm_fault settle_patch(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *asked, struct patched *p)
{
	gm_config_read(t->core, g, &p->room, &p->map);
	struct gm_policies policies = p->map.policies;
	gm_admin_overlay(&p->map, asked, asked->has);
	if (p->map.policies.check_interval < 0)
		p->map.policies.check_interval = policies.check_interval;
	if (p->map.policies.expiration_delta < 0)
		p->map.policies.expiration_delta = policies.expiration_delta;
	return gm_config_settle(t, g, asked, &p->map, &p->names);
}

struct gm_fault gm_config_patch(struct gm_turn *t, struct gm_group *g, const struct gm_admin_map *asked)
{
	struct patched p;
	struct gm_fault fault = settle_patch(t, g, asked, &p);

	if (fault.err == GM_E_OK)
		gm_config_apply(t, g, &p.map);
	return fault;
}

static struct gm_group_cost cost_of(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *m)
{
	struct gm_group_cost cost = {.members = g->members,
	                             .max_members = g->spec.max_members,
	                             .max_members_was = g->spec.max_members,
	                             .key_lifetime_s = g->spec.key_lifetime_s};
	struct gm_group_params params = gm_config_params(m);
	unsigned sid_max = gm_config_sid_max(&params);

	if (has(m, GM_ADMIN_EXP) && m->exp != g->exp)
		cost.key_lifetime_s = lifetime_of(t, m->exp);
	if (same_params(&params, &g->spec.params) || sid_max >= g->sid_len)
		return cost;
	cost.max_members = GM_MEMBERS_SID_1;
	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		const struct gm_member *member = gm_groups_slot(t->core, g, slot);
		cost.evicts += member && member->sid_n > sid_max;
	}
	return cost;
}

enum gm_err gm_core_group_set_cost(struct gm_core *core, struct gm_txn *txn, const char *name, const struct gm_admin_map *changes,
                                   const char **why, struct gm_group_cost *cost)
{
	const struct gm_turn t = {core, txn};
	const struct gm_group *g = gm_groups_find(core, text_bytes(name));
	struct patched p;

	*why = NULL;
	if (!g)
		return GM_E_UNKNOWN;
	struct gm_fault fault = settle_patch(&t, g, changes, &p);
	*why = fault.why;
	if (fault.err == GM_E_OK)
		*cost = cost_of(&t, g, &p.map);
	return fault.err;
}

enum gm_err gm_core_group_set(struct gm_core *core, struct gm_txn *txn, const char *name,
                              const struct gm_admin_map *changes, const char **why)
{
	struct gm_turn t = {core, txn};
	struct gm_group *g = gm_groups_find(core, text_bytes(name));

	*why = NULL;
	if (!g)
		return GM_E_UNKNOWN;
	struct gm_fault fault = gm_config_patch(&t, g, changes);
	*why = fault.why;
	gm_core_due(&t);
	return fault.err;
}
