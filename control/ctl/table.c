/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/backup.h"
#include "ctl/verbs.h"
#include "gm/crypto.h"
#include "gm/pages.h"
#include "wire/oscore.h"
#include "wire/params.h"

#define PAGE 256u /* rows of a listing in one answer */

struct call {
	struct gm_ctl_env *env;
	const struct gm_ctl_request *request;
	struct gm_ctl_reply *reply;
	struct gm_txn txn;
	unsigned rows;
	uint32_t after, last; /* listings: skip up to and including; the last row's number */
	bool more;
	bool pairwise; /* group set: the group has pairwise mode */
};

/* ---- arguments */

static const char *text_of(const struct call *call, const char *key)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	return arg ? arg->text : "";
}

static bool flag_of(const struct call *call, const char *key)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	return arg && arg->u;
}

/* Leaves *to alone where key is absent. false: said why. */
static bool uint_of(struct call *call, const char *key, uint64_t most, uint32_t *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return true;
	if (arg->u > most) {
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: at most %llu", key, (unsigned long long)most);
		return false;
	}
	*to = (uint32_t)arg->u;
	return true;
}

static bool copy_of(struct call *call, const char *key, char *to, size_t cap)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return true;
	if (arg->n >= cap) {
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: longer than %zu bytes", key, cap - 1);
		return false;
	}
	memcpy(to, arg->text, arg->n + 1);
	return true;
}

static void refuse(struct call *call, enum gm_err err, const char *what, const char *name)
{
	if (err == GM_E_UNKNOWN)
		gm_ctl_error(call->reply, err, "no %s '%s'", what, name);
	else if (err == GM_E_EXISTS)
		gm_ctl_error(call->reply, err, "%s '%s' exists already", what, name);
	else
		gm_ctl_error(call->reply, err, "%s '%s': %s", what, name, gm_err_info(err)->text);
}

static void finish(struct call *call, enum gm_err err, const char *what, const char *name)
{
	if (err == GM_E_OK)
		gm_ctl_end(call->reply);
	else
		refuse(call, err, what, name);
}

static bool finds_group(void *arg, const struct gm_group_info *info)
{
	(void)info;
	*(bool *)arg = true;
	return false;
}

static bool group_exists(struct call *call, const char *name)
{
	bool found = false;
	return gm_core_groups(call->env->core, name, finds_group, &found) == GM_E_OK && found;
}

/* ---- listings */

/* false: the page is full */
static bool next_row(struct call *call, uint32_t number)
{
	call->more = call->rows == PAGE;
	if (call->more)
		return false;
	call->rows++;
	call->last = number;
	return true;
}

static void end_page(struct call *call)
{
	if (call->more)
		gm_ctl_put_uint(call->reply, "after", call->last);
	gm_ctl_end(call->reply);
}

static bool skipped(const struct call *call, uint32_t number)
{
	return call->after != UINT32_MAX && number <= call->after;
}

/* ---- groups */

static const char *const backwards[] = {
	[GM_BACKWARD_OFF] = "off", [GM_BACKWARD_WINDOW] = "window", [GM_BACKWARD_EACH] = "each"};

static bool backward_of(struct call *call, enum gm_backward *to)
{
	const char *text = text_of(call, "backward");

	if (!text[0])
		return true;
	for (unsigned i = 0; i < sizeof(backwards) / sizeof(backwards[0]); i++) {
		if (strcmp(text, backwards[i]) == 0) {
			*to = (enum gm_backward)i;
			return true;
		}
	}
	gm_ctl_error(call->reply, GM_E_USAGE, "backward: off, window or each, not '%s'", text);
	return false;
}

static bool modes_of(struct call *call, struct gm_group_params *params)
{
	bool signatures = flag_of(call, "signature-only"), pairs = flag_of(call, "pairwise-only");

	if (signatures + pairs + flag_of(call, "pairwise-too") > 1) {
		gm_ctl_error(call->reply, GM_E_USAGE, "signature-only, pairwise-only and pairwise-too exclude each other");
		return false;
	}
	params->group_mode = !pairs;
	params->pairwise_mode = !signatures;
	return true;
}

/* "sha256" and "sha512" are people's words for COSE's 5 and 7. */
static int32_t hkdf_of_name(const char *text)
{
	if (strcmp(text, "sha256") == 0)
		return GM_HKDF_SHA_256;
	return strcmp(text, "sha512") == 0 ? GM_HKDF_SHA_512 : gm_alg_of_name(text);
}

static int32_t cred_fmt_of_name(const char *text)
{
	static const struct {
		const char *name;
		int32_t value;
	} names[] = {{"kcwt", GM_CRED_FMT_KCWT}, {"kccs", GM_CRED_FMT_KCCS}, {"x5bag", GM_CRED_FMT_X5BAG},
		     {"x5chain", GM_CRED_FMT_X5CHAIN}, {"c5b", GM_CRED_FMT_C5B},
		     {"c5c", GM_CRED_FMT_C5C}};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, text) == 0)
			return names[i].value;
	return 0;
}

static const struct choice {
	const char *key;
	int32_t (*of_name)(const char *text);
	size_t to;
} choices[] = {
	{"sign-alg", gm_alg_of_name, offsetof(struct gm_group_params, sign_alg)},
	{"hkdf", hkdf_of_name, offsetof(struct gm_group_params, hkdf)},
	{"alg", gm_alg_of_name, offsetof(struct gm_group_params, alg)},
	{"gp-enc-alg", gm_alg_of_name, offsetof(struct gm_group_params, gp_enc_alg)},
	{"cred-fmt", cred_fmt_of_name, offsetof(struct gm_group_params, cred_fmt)},
	{"ecdh-curve", gm_crv_of_name, offsetof(struct gm_group_params, ecdh_crv)},
};

static bool algs_of(struct call *call, unsigned max_members, struct gm_group_params *params)
{
	params->ecdh_alg = params->ecdh_crv = 0; /* follow from the others */
	for (unsigned i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		const char *text = text_of(call, choices[i].key);
		int32_t value = text[0] ? choices[i].of_name(text) : 0;
		if (!text[0])
			continue;
		if (!value) {
			gm_ctl_error(call->reply, GM_E_USAGE, "%s: '%s' is not known", choices[i].key, text);
			return false;
		}
		memcpy((char *)params + choices[i].to, &value, sizeof(value));
	}
	gm_params_complete(params);
	const char *fault = gm_params_check(params, gm_core_sid_len(max_members));
	if (fault)
		gm_ctl_error(call->reply, GM_E_USAGE, "%s", fault);
	return !fault;
}

static void group_create(struct call *call)
{
	struct gm_group_spec spec = gm_group_spec_default();
	uint32_t members = spec.max_members, stale = spec.max_stale_sets;

	spec.active = !flag_of(call, "inactive");
	if (!copy_of(call, "group", spec.name, sizeof(spec.name)) || !uint_of(call, "max-members", 65536, &members) ||
	    !uint_of(call, "max-stale-sets", 1024, &stale) ||
	    !uint_of(call, "rekey-every", UINT32_MAX, &spec.rekey_every_s) ||
	    !uint_of(call, "key-lifetime", UINT32_MAX, &spec.key_lifetime_s) || !backward_of(call, &spec.backward) ||
	    !modes_of(call, &spec.params) || !algs_of(call, members, &spec.params))
		return;
	spec.max_members = members;
	spec.max_stale_sets = stale;
	finish(call, gm_core_group_create(call->env->core, &call->txn, &spec), "group", spec.name);
}

static void put_group(struct gm_ctl_reply *r, const struct gm_group_info *g)
{
	gm_ctl_put_text(r, "group", g->name);
	gm_ctl_put_text(r, "state", g->active ? g->state : "inactive");
	gm_ctl_put_uint(r, "members", g->members);
	gm_ctl_put_uint(r, "max_members", g->max_members);
	gm_ctl_put_uint(r, "version", g->version);
	gm_ctl_put_bytes(r, "gid", g->gid, g->gid_n);
	gm_ctl_put_uint(r, "confirmed", g->confirmed);
	gm_ctl_put_uint(r, "late", g->late);
	gm_ctl_put_uint(r, "waiting", g->waiting);
	gm_ctl_put_int(r, "rekeyed_at", g->last_rekey);
}

static bool list_group(void *arg, const struct gm_group_info *g)
{
	struct call *call = arg;

	if (skipped(call, g->index))
		return true;
	if (!next_row(call, g->index))
		return false;
	put_group(call->reply, g);
	gm_ctl_row(call->reply);
	return true;
}

static void group_list(struct call *call)
{
	if (gm_core_groups(call->env->core, NULL, list_group, call) != GM_E_OK)
		call->more = false; /* no group at all */
	end_page(call);
}

static bool show_group(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_reply *r = ((struct call *)arg)->reply;

	put_group(r, g);
	gm_ctl_put_text(r, "reason", g->last_reason);
	gm_ctl_put_int(r, "created_at", g->created);
	gm_ctl_put_int(r, "keys_end_at", g->exp);
	gm_ctl_put_uint(r, "key_lifetime_s", g->key_lifetime_s);
	gm_ctl_put_uint(r, "rekey_every_s", g->rekey_every_s);
	gm_ctl_put_text(r, "backward", backwards[g->backward]);
	gm_ctl_put_uint(r, "sid_len", g->sid_len);
	gm_ctl_put_uint(r, "max_stale_sets", g->max_stale_sets);
	gm_ctl_put_uint(r, "stale_sets", g->stale_sets);
	gm_ctl_put_uint(r, "stale_now", g->stale_now);
	gm_ctl_put_bool(r, "group_mode", g->params->group_mode);
	gm_ctl_put_bool(r, "pairwise_mode", g->params->pairwise_mode);
	gm_ctl_put_int(r, "hkdf", g->params->hkdf);
	gm_ctl_put_int(r, "gp_enc_alg", g->params->gp_enc_alg);
	gm_ctl_put_int(r, "sign_alg", g->params->sign_alg);
	gm_ctl_put_int(r, "sign_crv", g->params->sign_crv);
	gm_ctl_put_int(r, "cred_fmt", g->params->cred_fmt);
	gm_ctl_put_int(r, "ecdh_crv", g->params->ecdh_crv);
	gm_ctl_put_int(r, "alg", g->params->alg);
	gm_ctl_put_int(r, "ecdh_alg", g->params->ecdh_alg);
	gm_ctl_row(r);
	return true;
}

static void group_show(struct call *call)
{
	const char *name = text_of(call, "group");
	finish(call, gm_core_groups(call->env->core, name, show_group, call), "group", name);
}

static void set_number(struct call *call, const char *key, enum gm_admin_param param, struct gm_admin_map *map, int64_t *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return;
	*to = arg->u > UINT32_MAX ? UINT32_MAX : (int64_t)arg->u;
	map->has |= GM_ADMIN_BIT(param);
}

/* An empty text is none. */
static void set_text(struct call *call, const char *key, enum gm_admin_param param, struct gm_admin_map *map,
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

/* false: said why */
static bool set_algs(struct call *call, struct gm_admin_map *map)
{
	static const struct {
		const char *key;
		enum gm_admin_param param;
		size_t at;
	} args[] = {
		{"hkdf", GM_ADMIN_HKDF, offsetof(struct gm_admin_map, hkdf)},
		{"gp-enc-alg", GM_ADMIN_GP_ENC_ALG, offsetof(struct gm_admin_map, gp_enc_alg)},
		{"alg", GM_ADMIN_ALG, offsetof(struct gm_admin_map, alg)},
	};

	for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		const char *text = text_of(call, args[i].key);
		int32_t value = args[i].param == GM_ADMIN_HKDF ? hkdf_of_name(text) : gm_alg_of_name(text);
		if (!text[0])
			continue;
		if (!value) {
			gm_ctl_error(call->reply, GM_E_USAGE, "%s: no algorithm '%s'", args[i].key, text);
			return false;
		}
		memcpy((uint8_t *)map + args[i].at, &value, sizeof(value));
		map->has |= GM_ADMIN_BIT(args[i].param);
	}
	if ((map->has & GM_ADMIN_BIT(GM_ADMIN_HKDF)) && call->pairwise) {
		map->has |= GM_ADMIN_BIT(GM_ADMIN_ECDH_ALG);
		map->ecdh_alg = map->hkdf == GM_HKDF_SHA_512 ? GM_ALG_ECDH_SS_HKDF_512 : GM_ALG_ECDH_SS_HKDF_256;
	}
	return true;
}

static bool sees_pairwise(void *arg, const struct gm_group_info *info)
{
	((struct call *)arg)->pairwise = info->params->pairwise_mode;
	return false;
}

/* "a,b" becomes ["a", "b"] in room. */
static bool set_app_groups(struct call *call, struct gm_admin_map *map, uint8_t *room, size_t cap)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, "app-groups");
	struct gm_out o = gm_out(room, cap);
	uint64_t n = 1;

	if (!arg)
		return true;
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

static void group_set(struct call *call)
{
	const char *name = text_of(call, "group"), *why = NULL;
	struct gm_admin_map map = {.policies = {-1, -1}};
	uint8_t names[GM_ADMIN_APP_GROUPS_MAX + 8];
	bool on = flag_of(call, "activate"), off = flag_of(call, "deactivate");

	if (on && off) {
		gm_ctl_error(call->reply, GM_E_USAGE, "activate and deactivate exclude each other");
		return;
	}
	if (on || off)
		map.has |= GM_ADMIN_BIT(GM_ADMIN_ACTIVE);
	map.active = on;
	set_text(call, "description", GM_ADMIN_GROUP_DESCRIPTION, &map, &map.group_description);
	set_text(call, "as-uri", GM_ADMIN_AS_URI, &map, &map.as_uri);
	map.null &= ~GM_ADMIN_BIT(GM_ADMIN_AS_URI);
	set_number(call, "max-stale-sets", GM_ADMIN_MAX_STALE_SETS, &map, &map.max_stale_sets);
	set_number(call, "expires", GM_ADMIN_EXP, &map, &map.exp);
	set_number(call, "check-interval", GM_ADMIN_GROUP_POLICIES, &map, &map.policies.check_interval);
	set_number(call, "expiration-delta", GM_ADMIN_GROUP_POLICIES, &map, &map.policies.expiration_delta);
	if (gm_core_groups(call->env->core, name, sees_pairwise, call) != GM_E_OK) {
		refuse(call, GM_E_UNKNOWN, "group", name);
		return;
	}
	if (!set_algs(call, &map) || !set_app_groups(call, &map, names, sizeof(names)))
		return;
	enum gm_err err = map.has ? gm_core_group_set(call->env->core, &call->txn, name, &map, &why) : GM_E_OK;
	if (why)
		gm_ctl_error(call->reply, err, "group '%s': %s", name, why);
	else
		finish(call, err, "group", name);
}

static void group_delete(struct call *call)
{
	const char *name = text_of(call, "group");
	finish(call, gm_core_group_delete(call->env->core, &call->txn, name), "group", name);
}

static void rekey(struct call *call)
{
	const char *name = text_of(call, "group");
	finish(call, gm_core_rekey(call->env->core, &call->txn, name, flag_of(call, "compromised")), "group", name);
}

/* ---- members */

static const char *roles_text(uint32_t roles, char buf[static 48])
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {{GM_ROLE_REQUESTER, "requester"},
		     {GM_ROLE_RESPONDER, "responder"},
		     {GM_ROLE_MONITOR, "monitor"},
		     {GM_ROLE_VERIFIER, "verifier"}};
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (roles & names[i].bit)
			n += (size_t)snprintf(buf + n, 48 - n, "%s%s", n ? "," : "", names[i].name);
	return buf;
}

static void put_member(struct gm_ctl_reply *r, const struct gm_member_info *m)
{
	static const char *const deliveries[] = {
		[GM_DELIVER_POLL] = "poll", [GM_DELIVER_POST] = "post", [GM_DELIVER_OBSERVE] = "observe"};
	char roles[48], peer[GM_ADDR_TEXT];

	gm_ctl_put_text(r, "node", m->node);
	gm_ctl_put_bytes(r, "sid", m->sid, m->sid_n);
	gm_ctl_put_text(r, "roles", roles_text(m->roles, roles));
	gm_ctl_put_text(r, "delivery", deliveries[m->delivery]);
	gm_ctl_put_text(r, "peer", gm_addr_text(&m->peer, peer));
	gm_ctl_put_uint(r, "version", m->version);
	gm_ctl_put_bool(r, "late", m->late);
	gm_ctl_put_int(r, "joined_at", m->joined);
}

static bool list_member(void *arg, const struct gm_member_info *m)
{
	struct call *call = arg;

	if (!next_row(call, m->slot))
		return false;
	put_member(call->reply, m);
	gm_ctl_row(call->reply);
	return true;
}

static void member_list(struct call *call)
{
	const char *group = text_of(call, "group");
	enum gm_err err = gm_core_members(call->env->core, group, NULL, call->after, list_member, call);

	if (err == GM_E_OK)
		end_page(call);
	else
		refuse(call, err, "group", group);
}

static bool show_member(void *arg, const struct gm_member_info *m)
{
	struct call *call = arg;

	call->rows++;
	gm_ctl_put_text(call->reply, "group", m->group);
	put_member(call->reply, m);
	gm_ctl_put_text(call->reply, "as", m->as);
	gm_ctl_put_bytes(call->reply, "osc_id", m->osc_id, m->osc_id_n);
	gm_ctl_put_int(call->reply, "token_ends_at", m->token_exp);
	gm_ctl_put_uint(call->reply, "slot", m->slot);
	gm_ctl_put_uint(call->reply, "context", m->ctx);
	gm_ctl_row(call->reply);
	return true;
}

/* UNKNOWN of a (group, node) pair: which of the two? */
static void refuse_member(struct call *call, enum gm_err err, const char *group, const char *node)
{
	if (err == GM_E_UNKNOWN && group_exists(call, group))
		gm_ctl_error(call->reply, err, "no member '%s' in group '%s'", node, group);
	else
		refuse(call, err, "group", group);
}

static void member_show(struct call *call)
{
	const char *group = text_of(call, "group"), *node = text_of(call, "node");
	enum gm_err err = gm_core_members(call->env->core, group, node, UINT32_MAX, show_member, call);

	if (err == GM_E_OK && call->rows)
		gm_ctl_end(call->reply);
	else
		refuse_member(call, err == GM_E_OK ? GM_E_UNKNOWN : err, group, node);
}

static enum gm_err evict(struct call *call, const char *group, const char *node)
{
	const struct gm_evict_spec spec = {.group = group,
	                                   .node = node,
	                                   .compromised = flag_of(call, "compromised"),
	                                   .allow_return = flag_of(call, "allow-return")};
	unsigned evicted = 0;

	GM_TRY(gm_core_evict(call->env->core, &call->txn, &spec, &evicted));
	gm_ctl_put_text(call->reply, group ? "node" : "device", node);
	gm_ctl_put_uint(call->reply, "evicted", evicted);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
	return GM_E_OK;
}

static void member_evict(struct call *call)
{
	const char *group = text_of(call, "group"), *node = text_of(call, "node");
	enum gm_err err = evict(call, group, node);

	if (err != GM_E_OK)
		refuse_member(call, err, group, node);
}

static void device_evict(struct call *call)
{
	const char *device = text_of(call, "device");
	enum gm_err err = evict(call, NULL, device);

	if (err != GM_E_OK)
		refuse(call, err, "device", device);
}

/* ---- authorization servers */

static const struct {
	const char *name;
	int32_t alg;
	size_t key_n;
} algs[] = {
	{"AES-CCM-16-64-128", GM_ALG_CCM_16_64_128, GM_CCM_KEY},
	{"HMAC256", GM_ALG_HMAC_256, 32},
	{"HMAC256/64", GM_ALG_HMAC_256_64, 32},
	{"EdDSA", GM_ALG_EDDSA, GM_ED25519_PUB},
	{"ES256", GM_ALG_ES256, GM_ES256_PUB},
};
#define ALGS_N (sizeof(algs) / sizeof(algs[0]))

static const char *alg_name(int32_t alg, char buf[static 16])
{
	for (unsigned i = 0; i < ALGS_N; i++)
		if (algs[i].alg == alg)
			return algs[i].name;
	snprintf(buf, 16, "%d", alg);
	return buf;
}

/* Also takes a COSE number, for the AEADs that have no row. */
static bool alg_of(struct call *call, struct gm_cose_key *key)
{
	const char *text = text_of(call, "alg");
	char *end;
	size_t want = 0;
	long number = strtol(text, &end, 10);
	const struct gm_aead_info *aead =
		text[0] && !*end && number > 0 && number < 100 ? gm_aead_info((int)number) : NULL;

	for (unsigned i = 0; i < ALGS_N && !want; i++) {
		if (strcmp(text, algs[i].name) == 0 || (text[0] && !*end && number == algs[i].alg)) {
			key->alg = algs[i].alg;
			want = algs[i].key_n;
		}
	}
	if (!want && aead) {
		key->alg = (int32_t)number;
		want = aead->key_len;
	}
	if (!want) {
		gm_ctl_error(call->reply, GM_E_USAGE,
			     "alg: AES-CCM-16-64-128, HMAC256, HMAC256/64, EdDSA, ES256 or a COSE number, not '%s'",
			     text);
		return false;
	}
	if (key->key_n != want)
		gm_ctl_error(call->reply, GM_E_USAGE, "key: %zu bytes for %s, not %u", want, text, key->key_n);
	return key->key_n == want;
}

static bool key_of(struct call *call, struct gm_cose_key *key)
{
	const struct gm_ctl_arg *kid = gm_ctl_arg(call->request, "kid"), *bytes = gm_ctl_arg(call->request, "key");

	if (!bytes || !bytes->n || bytes->n > sizeof(key->key)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "key: %s", bytes ? "1 to 64 bytes" : "is missing");
		return false;
	}
	if (kid && kid->n > sizeof(key->kid)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "kid: longer than %zu bytes", sizeof(key->kid));
		return false;
	}
	key->key_n = (uint8_t)bytes->n;
	memcpy(key->key, bytes->text, bytes->n);
	key->kid_n = kid ? (uint8_t)kid->n : 0;
	if (kid)
		memcpy(key->kid, kid->text, kid->n);
	return alg_of(call, key);
}

static uint8_t take_bytes(struct gm_in *in, uint8_t *to, size_t cap)
{
	struct gm_bytes b = gm_cbor_bstr(in);

	if (b.n > cap)
		gm_in_fail(in, GM_E_RANGE);
	else if (b.n)
		memcpy(to, b.p, b.n);
	return b.n > cap ? 0 : (uint8_t)b.n;
}

/* [addr, ms, salt, sid, rid, alg] */
static const char *link_fault(struct gm_bytes from, struct gm_link *to)
{
	struct gm_in in = gm_in_bytes(from);
	char addr[64] = "";

	if (gm_cbor_array(&in) != 6)
		return "an array of six is needed";
	struct gm_bytes text = gm_cbor_tstr(&in);
	to->ms_n = take_bytes(&in, to->ms, sizeof(to->ms));
	to->salt_n = take_bytes(&in, to->salt, sizeof(to->salt));
	to->sid_n = take_bytes(&in, to->sid, sizeof(to->sid));
	to->rid_n = take_bytes(&in, to->rid, sizeof(to->rid));
	int64_t alg = gm_cbor_int(&in);
	if (gm_cbor_end(&in) != GM_E_OK)
		return "a part of it is missing, or too long";
	if (text.n < sizeof(addr))
		snprintf(addr, sizeof(addr), "%.*s", (int)text.n, (const char *)text.p);
	if (!gm_addr_parse(&to->peer, addr) || !to->peer.port)
		return "addr: an address and a port are needed, as 127.0.0.1:5690 or [::1]:5690";
	if (to->ms_n < 16)
		return "ms: at least 16 bytes are needed";
	if (to->sid_n == to->rid_n && memcmp(to->sid, to->rid, to->sid_n) == 0)
		return "sid and rid must differ";
	if (alg < 1 || alg > INT8_MAX || !gm_oscore_id_max((int)alg))
		return "alg: the COSE number of an AEAD that is known here is needed";
	if (to->sid_n > gm_oscore_id_max((int)alg) || to->rid_n > gm_oscore_id_max((int)alg))
		return "sid and rid are too long for alg";
	to->alg = (int8_t)alg;
	return NULL;
}

static bool link_of(struct call *call, struct gm_link *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, "link");
	const char *fault = arg ? link_fault((struct gm_bytes){(const uint8_t *)arg->text, arg->n}, to) : NULL;

	if (fault)
		gm_ctl_error(call->reply, GM_E_USAGE, "link: %s", fault);
	return !fault;
}

/* A path on the server: given without text it is the usual one. false: said why. */
static bool path_of(struct call *call, const char *key, const char *usual, char *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	const char *text = arg && arg->n ? arg->text + (arg->text[0] == '/') : usual;

	if (!arg)
		return true;
	if (!gm_ctl_arg(call->request, "link"))
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: only over a link: --link=FILE is missing", key);
	else if (!text[0] || strlen(text) >= GM_AS_PATH || strstr(text, "//") || strpbrk(text, "?#"))
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: a path of at most %u bytes is needed, not '%s'", key, GM_AS_PATH - 1, text);
	else
		return snprintf(to, GM_AS_PATH, "%s", text) > 0;
	return false;
}

static bool over_link(struct call *call, struct gm_as_spec *spec)
{
	if (!link_of(call, &spec->link) || !path_of(call, "introspect", "introspect", spec->introspect) ||
	    !path_of(call, "trl", "trl", spec->trl) || !uint_of(call, "trl-every", UINT32_MAX, &spec->trl_every_s))
		return false;
	spec->loose = flag_of(call, "loose-tokens");
	if (spec->trl[0] || (!spec->loose && !spec->trl_every_s))
		return true;
	gm_ctl_error(call->reply, GM_E_USAGE, "%s: only with --trl", spec->loose ? "loose-tokens" : "trl-every");
	return false;
}

static void as_add(struct call *call)
{
	struct gm_as_spec spec = {.empty_salt_item = flag_of(call, "empty-salt-item"),
	                          .cnonce = flag_of(call, "cnonce")};

	if (copy_of(call, "name", spec.name, sizeof(spec.name)) &&
	    copy_of(call, "issuer", spec.issuer, sizeof(spec.issuer)) &&
	    copy_of(call, "uri", spec.uri, sizeof(spec.uri)) && key_of(call, &spec.key) && over_link(call, &spec))
		finish(call, gm_core_as_add(call->env->core, &call->txn, &spec), "authorization server", spec.name);
	gm_wipe(&spec, sizeof(spec));
}

static void put_as(struct gm_ctl_reply *r, const struct gm_as_info *as)
{
	char buf[16], addr[GM_ADDR_TEXT];

	gm_ctl_put_text(r, "name", as->name);
	gm_ctl_put_uint(r, "id", as->id);
	gm_ctl_put_text(r, "alg", alg_name(as->alg, buf));
	gm_ctl_put_bytes(r, "kid", as->kid, as->kid_n);
	gm_ctl_put_text(r, "issuer", as->issuer);
	gm_ctl_put_text(r, "uri", as->uri);
	gm_ctl_put_text(r, "link", as->has_link ? gm_addr_text(&as->peer, addr) : "");
	gm_ctl_put_text(r, "introspect", as->introspect);
	gm_ctl_put_text(r, "trl", as->trl_state);
}

static bool list_as(void *arg, const struct gm_as_info *as)
{
	struct call *call = arg;

	if (skipped(call, as->id))
		return true;
	if (!next_row(call, as->id))
		return false;
	put_as(call->reply, as);
	gm_ctl_row(call->reply);
	return true;
}

static bool show_as(void *arg, const struct gm_as_info *as)
{
	struct call *call = arg;
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_status core;

	if (strcmp(as->name, text_of(call, "name")) != 0)
		return true;
	gm_core_status(call->env->core, &core);
	put_as(r, as);
	gm_ctl_put_uint(r, "asked", as->asked);
	gm_ctl_put_uint(r, "answered", as->answered);
	gm_ctl_put_uint(r, "failed", as->failed);
	gm_ctl_put_int(r, "answered_at", as->answered_at);
	gm_ctl_put_text(r, "trl_path", as->trl);
	gm_ctl_put_bool(r, "loose_tokens", as->loose);
	gm_ctl_put_uint(r, "trl_every_s", as->trl[0] ? as->trl_every_s : 0);
	gm_ctl_put_int(r, "trl_full_at", as->trl_full_at);
	gm_ctl_put_uint(r, "trl_listed", as->trl_listed);
	if (as->has_cursor)
		gm_ctl_put_uint(r, "trl_cursor", as->cursor);
	else
		gm_ctl_put_text(r, "trl_cursor", NULL);
	gm_ctl_put_uint(r, "revoked", core.revoked);
	gm_ctl_row(r);
	call->rows++;
	return false;
}

static void as_show(struct call *call)
{
	enum gm_err err = gm_core_ases(call->env->core, show_as, call);

	finish(call, err == GM_E_OK && !call->rows ? GM_E_UNKNOWN : err, "authorization server", text_of(call, "name"));
}

static void token_revoke(struct call *call)
{
	const struct gm_ctl_arg *hash = gm_ctl_arg(call->request, "hash");
	unsigned evicted = 0;

	if (gm_core_revoke(call->env->core, &call->txn, (struct gm_bytes){(const uint8_t *)hash->text, hash->n}, &evicted) != GM_E_OK) {
		gm_ctl_error(call->reply, GM_E_USAGE, "hash: 01 and the 32 bytes of a SHA-256 are needed, in hexadecimal digits");
		return;
	}
	gm_ctl_put_uint(call->reply, "evicted", evicted);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}

static void as_list(struct call *call)
{
	if (gm_core_ases(call->env->core, list_as, call) != GM_E_OK)
		call->more = false;
	end_page(call);
}

static void as_remove(struct call *call)
{
	const char *name = text_of(call, "name");
	unsigned evicted = 0;
	enum gm_err err = gm_core_as_remove(call->env->core, &call->txn, name, &evicted);

	if (err == GM_E_OK) {
		gm_ctl_put_uint(call->reply, "evicted", evicted);
		gm_ctl_row(call->reply);
	}
	finish(call, err, "authorization server", name);
}

/* ---- status */

uint64_t gm_hist_sum(const uint64_t hist[static GM_HIST])
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < GM_HIST; i++)
		sum += hist[i];
	return sum;
}

static uint64_t lower_end(unsigned bucket)
{
	return bucket ? UINT64_C(1) << (bucket - 1) : 0;
}

uint64_t gm_hist_quantile(const uint64_t hist[static GM_HIST], double q)
{
	uint64_t all = gm_hist_sum(hist), seen = 0;

	for (unsigned i = 0; i < GM_HIST && all; i++) {
		seen += hist[i];
		if ((double)seen >= q * (double)all)
			return lower_end(i);
	}
	return 0;
}

uint64_t gm_hist_estimate(const uint64_t hist[static GM_HIST], double q)
{
	double rank = q * (double)gm_hist_sum(hist), seen = 0;

	for (unsigned i = 0; i < GM_HIST && rank > 0; seen += (double)hist[i++])
		if (seen + (double)hist[i] >= rank)
			return lower_end(i) + (uint64_t)((double)lower_end(i) * (rank - seen) / (double)hist[i]);
	return 0;
}

unsigned gm_hist_bucket(uint64_t v)
{
	unsigned b = v ? 64u - (unsigned)__builtin_clzll(v) : 0;
	return b < GM_HIST ? b : GM_HIST - 1;
}

static uint64_t hist_most(const uint64_t hist[static GM_HIST])
{
	for (unsigned i = GM_HIST; i-- > 0;)
		if (hist[i])
			return lower_end(i);
	return 0;
}

/* clang-format off */
#define WORKER_COUNTERS(X)                                                                                             \
	X(rx) X(tx) X(rx_bad) X(rx_stranger) X(rx_replay) X(rx_undecryptable) X(rx_repeat) X(rx_hop) X(hop_drop)       \
	X(up_full) X(token_ok) X(token_bad) X(sigs_batched) X(requests) X(replies) X(reads_local) X(joins) X(echo_sent)                \
	X(pending_expired) X(no_exchange) X(rekey_sent) X(rekey_confirmed) X(rekey_retransmitted) X(rekey_late)        \
	X(notices) X(notices_told) X(contexts) X(contexts_pending) X(members) X(inflight) X(bodies_bytes)              \
	X(port_tx_failed) X(port_rx_truncated) X(port_rx_bad) X(port_rx_fragments) X(port_tx_kernel) X(port_rx_kernel)  \
	X(port_rx_lost)
#define CORE_COUNTERS(X)                                                                                               \
	X(groups) X(members) X(contexts) X(bars) X(ases) X(rekeys_pending) X(rekeys_running) X(tokens_ok)              \
	X(tokens_refused) X(joins_ok) X(rejoins) X(joins_refused) X(leaves) X(evictions) X(expiries) X(rekeys)         \
	X(confirmed) X(late)
#define STORE_COUNTERS(X)                                                                                              \
	X(commits) X(changes) X(bytes) X(commit_us_last) X(commit_us_max) X(map_bytes) X(used_bytes)
#define BATCHES(X) X(rx) X(open) X(verify) X(derive) X(sign) X(seal) X(tx)
#define QUEUES(X) X(down) X(hops) X(up) X(inflight)
#define CORE_MEMORY(X) X(tokens) X(clients) X(members) X(texts) X(maps) X(timers) X(places) X(groups)
#define WORKER_MEMORY(X) X(contexts) X(members) X(texts) X(messages) X(timers) X(groups) X(rings)
/* clang-format on */

static uint64_t look(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void status_daemon(struct call *call)
{
	struct gm_ctl_reply *r = call->reply;

	gm_ctl_put_text(r, "what", "daemon");
	gm_ctl_put_text(r, "version", GM_VERSION);
	gm_ctl_put_uint(r, "uptime_s", (call->txn.mono_ms - call->env->started_ms) / 1000);
	gm_ctl_put_uint(r, "workers", call->env->workers);
	gm_ctl_put_uint(r, "start_open_ms", call->env->turn->open_ms);
	gm_ctl_put_uint(r, "start_load_ms", call->env->turn->load_ms);
	gm_ctl_put_uint(r, "start_network_ms", call->env->turn->network_ms);
	gm_ctl_put_uint(r, "start_down_ms", call->env->turn->down_ms);
	gm_ctl_row(r);
}

static void status_core(struct call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_status s;

	gm_core_status(call->env->core, &s);
	gm_ctl_put_text(r, "what", "core");
#define X(name) gm_ctl_put_uint(r, #name, s.name);
	CORE_COUNTERS(X)
#undef X
	gm_ctl_row(r);
}

static void status_turn(struct call *call)
{
	const struct gm_turn_stats *t = call->env->turn;
	struct gm_ctl_reply *r = call->reply;

	gm_ctl_put_text(r, "what", "turn");
	gm_ctl_put_uint(r, "turns", t->turns);
	gm_ctl_put_uint(r, "events", t->events);
	gm_ctl_put_uint(r, "turn_us_mean", t->turns ? t->turn_us_sum / t->turns : 0);
	gm_ctl_put_uint(r, "turn_us_max", t->turn_us_max);
	gm_ctl_put_uint(r, "commits", t->commits);
	gm_ctl_put_uint(r, "commit_us_mean", t->commits ? t->commit_us_sum / t->commits : 0);
	gm_ctl_put_uint(r, "commit_us_p99", gm_hist_estimate(t->hist_commit_us, 0.99));
	gm_ctl_put_uint(r, "commit_us_max", t->commit_us_max);
	gm_ctl_put_uint(r, "events_per_commit_median", gm_hist_quantile(t->hist_events, 0.5));
	gm_ctl_put_uint(r, "events_per_commit_max", hist_most(t->hist_events));
	gm_ctl_put_uint(r, "backlog_bytes", t->backlog_bytes);
	gm_ctl_row(r);
}

static void status_store(struct call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_store_stats s;

	gm_store_stats(call->env->store, &s);
	gm_ctl_put_text(r, "what", "store");
#define X(name) gm_ctl_put_uint(r, #name, s.name);
	STORE_COUNTERS(X)
#undef X
	gm_ctl_row(r);
}

static void put_quantiles(struct gm_ctl_reply *r, const uint64_t hist[static GM_HIST], const char *const names[4])
{
	gm_ctl_put_uint(r, names[0], gm_hist_sum(hist));
	gm_ctl_put_uint(r, names[1], gm_hist_quantile(hist, 0.5));
	gm_ctl_put_uint(r, names[2], gm_hist_quantile(hist, 0.9));
	gm_ctl_put_uint(r, names[3], hist_most(hist));
	gm_ctl_row(r);
}

/* clang-format off */
#define SUM(name)                                                                                                      \
	uint64_t sum[GM_HIST] = {0};                                                                                   \
	for (unsigned w = 0; w < call->env->workers; w++)                                                              \
		for (unsigned i = 0; i < GM_HIST; i++)                                                                 \
			sum[i] += look(&gm_dp_stats(call->env->dp, w)->hist_##name[i]);
/* clang-format on */

static void status_batches(struct call *call)
{
	static const char *const names[4] = {"calls", "jobs_median", "jobs_p90", "jobs_max"};
#define X(name)                                                                                                        \
	{                                                                                                              \
		SUM(name)                                                                                              \
		gm_ctl_put_text(call->reply, "what", "batch");                                                         \
		gm_ctl_put_text(call->reply, "call", #name);                                                           \
		put_quantiles(call->reply, sum, names);                                                                \
	}
	BATCHES(X)
#undef X
}

static void status_queues(struct call *call)
{
	static const char *const names[4] = {"turns", "depth_median", "depth_p90", "depth_max"};
#define X(name)                                                                                                        \
	{                                                                                                              \
		SUM(name)                                                                                              \
		gm_ctl_put_text(call->reply, "what", "queue");                                                         \
		gm_ctl_put_text(call->reply, "queue", #name);                                                          \
		put_quantiles(call->reply, sum, names);                                                                \
	}
	QUEUES(X)
#undef X
}

static void status_rekey(struct call *call)
{
	struct gm_ctl_reply *r = call->reply;
	uint64_t us[GM_HIST] = {0}, sent = 0, confirmed = 0, retransmitted = 0, late = 0;

	for (unsigned w = 0; w < call->env->workers; w++) {
		const struct gm_worker_stats *s = gm_dp_stats(call->env->dp, w);
		for (unsigned i = 0; i < GM_HIST; i++)
			us[i] += look(&s->hist_confirm_us[i]);
		sent += look(&s->rekey_sent);
		confirmed += look(&s->rekey_confirmed);
		retransmitted += look(&s->rekey_retransmitted);
		late += look(&s->rekey_late);
	}
	gm_ctl_put_text(r, "what", "rekey");
	gm_ctl_put_uint(r, "sent", sent);
	gm_ctl_put_uint(r, "confirmed", confirmed);
	gm_ctl_put_uint(r, "retransmitted", retransmitted);
	gm_ctl_put_uint(r, "late", late);
	gm_ctl_put_uint(r, "confirm_us_p50", gm_hist_estimate(us, 0.5));
	gm_ctl_put_uint(r, "confirm_us_p90", gm_hist_estimate(us, 0.9));
	gm_ctl_put_uint(r, "confirm_us_p99", gm_hist_estimate(us, 0.99));
	gm_ctl_put_uint(r, "confirm_us_max", hist_most(us));
	gm_ctl_row(r);
}

static void status_workers(struct call *call)
{
	for (unsigned w = 0; w < call->env->workers; w++) {
		const struct gm_worker_stats *s = gm_dp_stats(call->env->dp, w);
		gm_ctl_put_text(call->reply, "what", "worker");
		gm_ctl_put_uint(call->reply, "worker", w);
#define X(name) gm_ctl_put_uint(call->reply, #name, look(&s->name));
		WORKER_COUNTERS(X)
#undef X
		gm_ctl_row(call->reply);
	}
}

/* /proc/self/status: "RssAnon:     1234 kB" */
static uint64_t resident(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void put_resident(struct call *call)
{
	char text[4096];
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	struct gm_core_status s;

	if (f)
		fclose(f);
	text[n] = '\0';
	gm_core_status(call->env->core, &s);
	uint64_t ours = resident(text, "RssAnon:") + resident(text, "RssShmem:");
	gm_ctl_put_uint(call->reply, "rss", resident(text, "VmRSS:"));
	gm_ctl_put_uint(call->reply, "anonymous_and_shared", ours);
	gm_ctl_put_uint(call->reply, "program_and_store", resident(text, "RssFile:"));
	gm_ctl_put_uint(call->reply, "bytes_per_member", s.members ? ours / s.members : 0);
}

static void put_secrets(struct call *call)
{
	struct gm_pages_stats pages = gm_pages_stats();

	gm_ctl_put_uint(call->reply, "locked", pages.locked);
	gm_ctl_put_uint(call->reply, "not_locked", pages.unlocked);
	gm_ctl_put_text(call->reply, "secrets", pages.unlocked ? "beyond the limit of locked memory, kept out of dumps"
	                                                       : "in locked memory, kept out of dumps");
}

static void status_memory(struct call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_memory core;

	gm_ctl_put_text(r, "what", "memory");
	put_resident(call);
	put_secrets(call);
	gm_core_memory(call->env->core, &core);
#define X(name) gm_ctl_put_uint(r, "core_" #name, core.name);
	CORE_MEMORY(X)
#undef X
#define X(name)                                                                                                        \
	{                                                                                                              \
		uint64_t sum = 0;                                                                                      \
		for (unsigned w = 0; w < call->env->workers; w++)                                                      \
			sum += look(&gm_dp_stats(call->env->dp, w)->mem_##name);                                       \
		gm_ctl_put_uint(r, "worker_" #name, sum);                                                              \
	}
	WORKER_MEMORY(X)
#undef X
	uint64_t rings = 0;
	for (unsigned w = 0; w < call->env->workers; w++)
		rings += gm_dp_touched(call->env->dp, w);
	gm_ctl_put_uint(r, "core_rings", rings);
	gm_ctl_row(r);
}

static void status(struct call *call)
{
	status_daemon(call);
	status_memory(call);
	status_core(call);
	status_turn(call);
	status_store(call);
	status_rekey(call);
	status_batches(call);
	status_queues(call);
	status_workers(call);
	gm_ctl_end(call->reply);
}

static void backup(struct call *call)
{
	if (call->request->fd < 0) {
		gm_ctl_error(call->reply, GM_E_USAGE, "backup: a socket for the copy has to come along");
		return;
	}
	enum gm_err err = gm_ctl_backup_start(call->env->store, call->request->fd);
	if (err == GM_E_BUSY) {
		gm_ctl_error(call->reply, err, "another backup is being made");
		return;
	}
	finish(call, err, "backup", text_of(call, "file"));
}

/* ---- the pacer */

static void pace_row(struct call *call, const char *network, const char *rate, const struct gm_pace_status *s)
{
	struct gm_ctl_reply *r = call->reply;
	char now[32];

	snprintf(now, sizeof(now), "%.6g", s->rate_now);
	gm_ctl_put_text(r, "network", network);
	gm_ctl_put_text(r, "rate", rate);
	gm_ctl_put_text(r, "rate_now", s->of.burst ? now : rate);
	if (s->of.burst)
		gm_ctl_put_uint(r, "burst", s->of.burst);
	else
		gm_ctl_put_text(r, "burst", NULL);
	gm_ctl_put_uint(r, "waiting", s->waiting);
	gm_ctl_put_uint(r, "sent", s->sent);
	gm_ctl_put_uint(r, "retransmitted", s->retransmitted);
	gm_ctl_put_uint(r, "halved", s->halved);
	gm_ctl_row(r);
}

/* All together: no bursts to speak of, and not slowed down. */
static void pace_of_all(struct call *call)
{
	struct gm_pace_status all = {0}, s;
	char rate[32];

	for (unsigned w = 0; w < call->env->workers; w++) {
		all.sent += look(&gm_dp_stats(call->env->dp, w)->rekey_sent);
		all.retransmitted += look(&gm_dp_stats(call->env->dp, w)->rekey_retransmitted);
	}
	for (unsigned i = 0; gm_dp_pace(call->env->dp, i, &s); i++)
		all.waiting += s.waiting;
	snprintf(rate, sizeof(rate), "%u", call->env->pace);
	pace_row(call, "all", call->env->pace ? rate : "unlimited", &all);
}

static void pace(struct call *call)
{
	struct gm_pace_status s;
	char text[GM_ADDR_TEXT], rate[32];

	if (!skipped(call, 0) && next_row(call, 0))
		pace_of_all(call);
	for (unsigned i = 0; gm_dp_pace(call->env->dp, i, &s); i++) {
		if (skipped(call, i + 1))
			continue;
		if (!next_row(call, i + 1))
			break;
		snprintf(rate, sizeof(rate), "%.6g", s.of.rate);
		pace_row(call, gm_prefix_text(&s.of.prefix, text), rate, &s);
	}
	end_page(call);
}

/* ---- the table */

static void (*const functions[])(struct call *call) = { /* parallel to gm_ctl_verbs */
#define GM_VERB(words, arguments, kind, view, function, text) function,
#include "ctl/verbs.def"
#undef GM_VERB
};

void gm_ctl_run(void *env, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	const struct gm_ctl_verb *verb = gm_ctl_verb(request->verb);
	struct call call = {.env = env, .request = request, .reply = reply, .after = UINT32_MAX};
	char why[256];

	if (!verb) {
		gm_ctl_error(reply, GM_E_USAGE, "no such command '%s'", request->verb);
		return;
	}
	if (gm_ctl_check(verb, request, why) != GM_E_OK) {
		gm_ctl_error(reply, GM_E_USAGE, "%s", why);
		return;
	}
	if (!uint_of(&call, "after", UINT32_MAX, &call.after))
		return;
	call.env->txn(call.env->arg, &call.txn);
	functions[verb - gm_ctl_verbs](&call);
	gm_wipe(&call.txn, sizeof(call.txn));
}
