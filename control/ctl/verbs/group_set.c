/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "ctl/settings.h"
#include "wire/params.h"

static void set_number(struct gm_ctl_call *call, const char *key, enum gm_admin_param param, struct gm_admin_map *map, int64_t *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return;
	*to = arg->u > UINT32_MAX ? UINT32_MAX : (int64_t)arg->u;
	map->has |= GM_ADMIN_BIT(param);
}

/* An empty text is none. */
static void set_text(struct gm_ctl_call *call, const char *key, enum gm_admin_param param, struct gm_admin_map *map,
                     struct gm_bytes *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return;
	*to = (struct gm_bytes){(const uint8_t *)arg->text, strlen(arg->text)};
	map->has |= GM_ADMIN_BIT(param);
	if (!to->n)
		map->null |= GM_ADMIN_BIT(param);
}

/* What group create takes, too. false: said why */
static bool set_settings(struct gm_ctl_call *call, struct gm_admin_map *map)
{
	struct gm_group_spec spec = gm_settings_begin();
	const struct {
		const char *key;
		enum gm_admin_param param;
		const int32_t *from;
		int32_t *to;
	} algs[] = {
		{"hkdf", GM_ADMIN_HKDF, &spec.params.hkdf, &map->hkdf},
		{"gp-enc-alg", GM_ADMIN_GP_ENC_ALG, &spec.params.gp_enc_alg, &map->gp_enc_alg},
		{"alg", GM_ADMIN_ALG, &spec.params.alg, &map->alg},
	};

	for (unsigned i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, algs[i].key);
		if (arg && !gm_call_put_setting(call, &spec, arg))
			return false;
		if (!arg)
			continue;
		*algs[i].to = *algs[i].from;
		map->has |= GM_ADMIN_BIT(algs[i].param);
	}
	const struct gm_ctl_arg *sets = gm_ctl_arg(call->request, "max-stale-sets");
	if (sets && !gm_call_put_setting(call, &spec, sets))
		return false;
	set_number(call, "max-stale-sets", GM_ADMIN_MAX_STALE_SETS, map, &map->max_stale_sets);
	if ((map->has & GM_ADMIN_BIT(GM_ADMIN_HKDF)) && call->pairwise) {
		map->has |= GM_ADMIN_BIT(GM_ADMIN_ECDH_ALG);
		map->ecdh_alg = map->hkdf == GM_HKDF_SHA_512 ? GM_ALG_ECDH_SS_HKDF_512 : GM_ALG_ECDH_SS_HKDF_256;
	}
	return true;
}

static bool sees_pairwise(void *arg, const struct gm_group_info *info)
{
	((struct gm_ctl_call *)arg)->pairwise = info->params->pairwise_mode;
	return false;
}

/* Words of a list, each one there and without blanks. */
static bool words(const char *text)
{
	const char *p = text;

	for (;; p++) {
		size_t n = strcspn(p, ", \t\n");
		p += n;
		if (!n || (*p && *p != ','))
			return false;
		if (!*p)
			return true;
	}
}

/* "a,b" becomes ["a", "b"] in room. */
static bool set_app_groups(struct gm_ctl_call *call, struct gm_admin_map *map, uint8_t *room, size_t cap)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, "app-groups");
	struct gm_out o = gm_out(room, cap);
	uint64_t n = 1;

	if (!arg)
		return true;
	if (arg->text[0] && !words(arg->text)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "app-groups: has to be names without blanks, with commas between, such as lamps,north, not '%s'", arg->text);
		return false;
	}
	for (const char *p = arg->text; *p; p++)
		n += *p == ',';
	n = arg->text[0] ? n : 0;
	gm_cbor_put_array(&o, n);
	for (const char *p = arg->text; n; n--) {
		size_t len = strcspn(p, ",");
		gm_cbor_put_tstr(&o, p, len);
		p += len + (p[len] == ',');
	}
	map->has |= GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS);
	if (o.err == GM_E_OK && gm_list_decode(gm_out_result(&o), GM_CBOR_TSTR, &map->app_groups))
		return true;
	gm_ctl_error(call->reply, GM_E_USAGE, "app-groups: names with commas between, %u bytes at most", GM_ADMIN_APP_GROUPS_MAX);
	return false;
}

struct asked {
	struct gm_admin_map map; /* borrows from names and from the request */
	uint8_t names[GM_ADMIN_APP_GROUPS_MAX + 8];
};

/* false: said why */
static bool read_asked(struct gm_ctl_call *call, struct asked *asked)
{
	const char *name = gm_call_text(call, "group");
	struct gm_admin_map *map = &asked->map;
	bool on = gm_call_flag(call, "activate"), off = gm_call_flag(call, "deactivate");

	*map = (struct gm_admin_map){.policies = {-1, -1}, .active = on};
	if (on && off) {
		gm_ctl_error(call->reply, GM_E_USAGE, "activate and deactivate exclude each other");
		return false;
	}
	if (on || off)
		map->has |= GM_ADMIN_BIT(GM_ADMIN_ACTIVE);
	set_text(call, "description", GM_ADMIN_GROUP_DESCRIPTION, map, &map->group_description);
	set_text(call, "as-uri", GM_ADMIN_AS_URI, map, &map->as_uri);
	map->null &= ~GM_ADMIN_BIT(GM_ADMIN_AS_URI);
	set_number(call, "expires", GM_ADMIN_EXP, map, &map->exp);
	set_number(call, "check-interval", GM_ADMIN_GROUP_POLICIES, map, &map->policies.check_interval);
	set_number(call, "expiration-delta", GM_ADMIN_GROUP_POLICIES, map, &map->policies.expiration_delta);
	if (gm_core_groups(call->env->core, name, sees_pairwise, call) != GM_E_OK) {
		gm_call_refuse(call, GM_E_UNKNOWN, "group", name);
		return false;
	}
	if (!set_settings(call, map) || !set_app_groups(call, map, asked->names, sizeof(asked->names)))
		return false;
	if (!map->has)
		gm_ctl_error(call->reply, GM_E_USAGE, "group '%s': nothing to change, no option is given", name);
	return map->has != 0;
}

/* false: said why */
static bool went(struct gm_ctl_call *call, enum gm_err err, const char *why)
{
	if (why)
		gm_call_fault(call, err, why);
	else if (err != GM_E_OK)
		gm_call_refuse(call, err, "group", gm_call_text(call, "group"));
	return err == GM_E_OK;
}

static bool cost_of(struct gm_ctl_call *call, const struct asked *asked, struct gm_group_cost *cost)
{
	const char *why;
	enum gm_err err = gm_core_group_set_cost(call->env->core, &call->txn, gm_call_text(call, "group"), &asked->map, &why, cost);

	return went(call, err, why);
}

void gm_group_set_look(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_group_cost cost;
	struct asked asked;
	char says[128] = "";

	if (!read_asked(call, &asked) || !cost_of(call, &asked, &cost))
		return;
	bool asks = cost.evicts || cost.max_members < cost.max_members_was;
	if (asks)
		snprintf(says, sizeof(says), "puts out %u member%s, max_members becomes %u and cannot be raised again", cost.evicts,
		         cost.evicts == 1 ? "" : "s", cost.max_members);
	gm_ctl_put_uint(r, "evicts", cost.evicts);
	gm_ctl_put_uint(r, "groups", 1);
	gm_ctl_put_uint(r, "rekeys", asks ? cost.members - cost.evicts : 0);
	gm_ctl_put_uint(r, "seconds", 0);
	gm_ctl_put_text(r, "says", says);
	gm_ctl_put_bool(r, "asks", asks);
	gm_ctl_row(r);
	gm_ctl_end(r);
}

/* What has come of it beyond what was asked for. */
static void tell(struct gm_ctl_call *call, const struct gm_group_cost *cost)
{
	bool lowers = cost->max_members < cost->max_members_was, expires = gm_ctl_arg(call->request, "expires") != NULL;

	if (lowers) {
		gm_ctl_put_uint(call->reply, "evicted", cost->evicts);
		gm_ctl_put_uint(call->reply, "max_members", cost->max_members);
	}
	if (expires)
		gm_ctl_put_uint(call->reply, "key_lifetime_s", cost->key_lifetime_s);
	if (lowers || expires)
		gm_ctl_row(call->reply);
}

void gm_verb_group_set(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group"), *why;
	struct gm_group_cost cost;
	struct asked asked;

	if (!read_asked(call, &asked) || !cost_of(call, &asked, &cost))
		return;
	enum gm_err err = gm_core_group_set(call->env->core, &call->txn, name, &asked.map, &why);
	if (!went(call, err, why))
		return;
	tell(call, &cost);
	gm_ctl_end(call->reply);
}

static void set_active(struct gm_ctl_call *call, bool active)
{
	const char *name = gm_call_text(call, "group"), *why = NULL;
	const struct gm_admin_map map = {.policies = {-1, -1}, .has = GM_ADMIN_BIT(GM_ADMIN_ACTIVE), .active = active};

	gm_call_finish(call, gm_core_group_set(call->env->core, &call->txn, name, &map, &why), "group", name);
}

void gm_verb_group_freeze(struct gm_ctl_call *call)
{
	set_active(call, false);
}

void gm_verb_group_thaw(struct gm_ctl_call *call)
{
	set_active(call, true);
}
