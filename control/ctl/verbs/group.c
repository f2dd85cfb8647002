/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include "wire/params.h"

static const char *const backwards[] = {
	[GM_BACKWARD_OFF] = "off", [GM_BACKWARD_WINDOW] = "window", [GM_BACKWARD_EACH] = "each"};

static bool backward_of(struct gm_ctl_call *call, enum gm_backward *to)
{
	const char *text = gm_call_text(call, "backward");

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

static bool modes_of(struct gm_ctl_call *call, struct gm_group_params *params)
{
	bool signatures = gm_call_flag(call, "signature-only"), pairs = gm_call_flag(call, "pairwise-only");

	if (signatures + pairs + gm_call_flag(call, "pairwise-too") > 1) {
		gm_ctl_error(call->reply, GM_E_USAGE, "signature-only, pairwise-only and pairwise-too exclude each other");
		return false;
	}
	params->group_mode = !pairs;
	params->pairwise_mode = !signatures;
	return true;
}

/* "sha256" and "sha512" are people's words for COSE's 5 and 7. */
int32_t gm_call_hkdf(const char *text)
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
	{"hkdf", gm_call_hkdf, offsetof(struct gm_group_params, hkdf)},
	{"alg", gm_alg_of_name, offsetof(struct gm_group_params, alg)},
	{"gp-enc-alg", gm_alg_of_name, offsetof(struct gm_group_params, gp_enc_alg)},
	{"cred-fmt", cred_fmt_of_name, offsetof(struct gm_group_params, cred_fmt)},
	{"ecdh-curve", gm_crv_of_name, offsetof(struct gm_group_params, ecdh_crv)},
};

static bool algs_of(struct gm_ctl_call *call, unsigned max_members, struct gm_group_params *params)
{
	params->ecdh_alg = params->ecdh_crv = 0; /* follow from the others */
	for (unsigned i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		const char *text = gm_call_text(call, choices[i].key);
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

void gm_verb_group_create(struct gm_ctl_call *call)
{
	struct gm_group_spec spec = gm_group_spec_default();
	uint32_t members = spec.max_members, stale = spec.max_stale_sets;

	spec.active = !gm_call_flag(call, "inactive");
	if (!gm_call_copy(call, "group", spec.name, sizeof(spec.name)) || !gm_call_uint(call, "max-members", 65536, &members) ||
	    !gm_call_uint(call, "max-stale-sets", 1024, &stale) ||
	    !gm_call_uint(call, "rekey-every", UINT32_MAX, &spec.rekey_every_s) ||
	    !gm_call_uint(call, "key-lifetime", UINT32_MAX, &spec.key_lifetime_s) || !backward_of(call, &spec.backward) ||
	    !modes_of(call, &spec.params) || !algs_of(call, members, &spec.params))
		return;
	spec.max_members = members;
	spec.max_stale_sets = stale;
	gm_call_finish(call, gm_core_group_create(call->env->core, &call->txn, &spec), "group", spec.name);
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
	struct gm_ctl_call *call = arg;

	if (gm_call_skipped(call, g->index))
		return true;
	if (!gm_call_next_row(call, g->index))
		return false;
	put_group(call->reply, g);
	gm_ctl_row(call->reply);
	return true;
}

void gm_verb_group_list(struct gm_ctl_call *call)
{
	if (gm_core_groups(call->env->core, NULL, list_group, call) != GM_E_OK)
		call->more = false; /* no group at all */
	gm_call_end_page(call);
}

static bool show_group(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_reply *r = ((struct gm_ctl_call *)arg)->reply;

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

void gm_verb_group_show(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_groups(call->env->core, name, show_group, call), "group", name);
}

static bool list_rekey(void *arg, const struct gm_group_info *g)
{
	struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;

	if (gm_call_skipped(call, g->index) || (strcmp(g->state, "idle") == 0 && !g->late))
		return true;
	if (!gm_call_next_row(call, g->index))
		return false;
	gm_ctl_put_text(r, "group", g->name);
	gm_ctl_put_text(r, "state", g->state);
	gm_ctl_put_uint(r, "version", g->version);
	gm_ctl_put_text(r, "reason", g->last_reason);
	gm_ctl_put_uint(r, "members", g->members);
	gm_ctl_put_uint(r, "confirmed", g->confirmed);
	gm_ctl_put_uint(r, "late", g->late);
	gm_ctl_put_uint(r, "waiting", g->waiting);
	gm_ctl_put_int(r, "rekeyed_at", g->last_rekey);
	gm_ctl_row(r);
	return true;
}

void gm_verb_rekey_status(struct gm_ctl_call *call)
{
	if (gm_core_groups(call->env->core, NULL, list_rekey, call) != GM_E_OK)
		call->more = false;
	gm_call_end_page(call);
}

void gm_verb_group_delete(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_group_delete(call->env->core, &call->txn, name), "group", name);
}

void gm_verb_rekey(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	gm_call_finish(call, gm_core_rekey(call->env->core, &call->txn, name, gm_call_flag(call, "compromised")), "group", name);
}
