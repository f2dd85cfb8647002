/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "core/device.h"
#include "ctl/expect.h"
#include "wire/cwt.h"
#include "wire/introspect.h"

static bool list_token(void *arg, const struct gm_token_info *t)
{
	struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;
	const struct gm_member_info member = {.id = t->member};
	struct gm_device_key key = {.as_id = t->as_id, .id_n = t->osc_id_n};
	char text[GM_DEVICE_KEY_TEXT], name[GM_DEVICE_NAME_MAX + 1], peer[GM_ADDR_TEXT], groups[GM_TOKEN_GROUPS + 16];

	if (!gm_call_next_row(call, t->place))
		return false;
	memcpy(key.id, t->osc_id, t->osc_id_n);
	gm_ctl_put_text(r, "device", gm_device_key_text(&key, text));
	gm_ctl_put_text(r, "name", t->member ? gm_core_member_name(call->env->core, &member, name) : NULL);
	gm_ctl_put_text(r, "as", t->as);
	gm_ctl_put_uint(r, "memberships", t->memberships);
	snprintf(groups, sizeof(groups), t->more ? "%s and more" : "%s", t->groups);
	gm_ctl_put_text(r, "groups", groups);
	gm_ctl_put_text(r, "peer", gm_addr_text(&t->peer, peer));
	gm_ctl_put_int(r, "ends_at", t->exp);
	gm_ctl_put_bytes(r, "hash", t->hash, t->hash[0] ? GM_TOKEN_HASH : 0); /* one that is too long has none */
	gm_ctl_row(r);
	return gm_call_looked_at(call, t->memberships);
}

void gm_verb_token_list(struct gm_ctl_call *call)
{
	gm_core_tokens(call->env->core, call->after, list_token, call);
	gm_call_end_page(call);
}

/* ---- what is said about one that is not known, or is */

static void put_entry(struct gm_out *o, const struct gm_scope_entry *e)
{
	char text[GM_ROLES_TEXT];
	const char *roles = gm_roles_text(e->perm, '+', text);

	if (gm_out_len(o))
		gm_out_u8(o, ' ');
	for (size_t i = 0; i < e->name.n; i++)
		gm_out_u8(o, e->name.p[i] ? e->name.p[i] : '?'); /* what came behind it would be hidden */
	gm_out_u8(o, '/');
	gm_out_bytes(o, roles, strlen(roles));
}

#define REST 64u /* bytes for what was counted */

/* "floor3/requester+responder floor4/monitor", as many as fit whole; others, and administrators' entries, are counted */
static const char *scope_text(struct gm_bytes scope, char *buf, size_t cap)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_out o = gm_out((uint8_t *)buf, cap - REST), before;
	unsigned admin = 0, more = 0;
	struct gm_scope_entry e;

	if (gm_scope_check(scope) != GM_E_OK)
		return "cannot be read";
	while (gm_scope_next(&it, &e)) {
		before = o;
		if (e.admin)
			admin++;
		else
			put_entry(&o, &e);
		more += o.err != GM_E_OK;
		o = o.err == GM_E_OK ? o : before;
	}
	char *end = buf + gm_out_len(&o);
	*end = '\0';
	if (more)
		end += snprintf(end, REST, "%s%u more", end > buf ? " and " : "", more);
	if (admin)
		snprintf(end, REST / 2, "%sadministration (%u)", end > buf ? " " : "", admin);
	return buf;
}

static void put_time(struct gm_ctl_reply *r, const char *key, int64_t v)
{
	if (v >= 0)
		gm_ctl_put_int(r, key, v);
	else
		gm_ctl_put_text(r, key, NULL);
}

/* Of cnf the identifiers alone: it has the key. */
static void put_claims(struct gm_ctl_call *call, uint32_t as_id, const struct gm_cwt *cwt)
{
	const char *audience = call->env->config ? call->env->config->audience : "";
	struct gm_device_key key = {.as_id = as_id};
	struct gm_ctl_reply *r = call->reply;
	char text[1024];

	if (cwt->has_osc && cwt->osc.id.n <= sizeof(key.id)) {
		key.id_n = (uint8_t)cwt->osc.id.n;
		memcpy(key.id, cwt->osc.id.p, key.id_n);
	}
	gm_ctl_put_text(r, "device", key.id_n ? gm_device_key_text(&key, text) : NULL);
	gm_ctl_put_text_of(r, "issuer", cwt->iss);
	gm_ctl_put_text_of(r, "audience", gm_cwt_audience(cwt, (struct gm_bytes){(const uint8_t *)audience, strlen(audience)}));
	gm_ctl_put_text(r, "scope", scope_text(cwt->scope, text, sizeof(text)));
	put_time(r, "begins_at", cwt->nbf);
	put_time(r, "ends_at", cwt->exp);
	put_time(r, "exi_s", cwt->exi);
	gm_ctl_put_bytes(r, "cti", cwt->cti.p, cwt->cti.n);
}

static void put_said(struct gm_ctl_call *call, const struct gm_token_said *said, const struct gm_ctl_arg *token)
{
	struct gm_ctl_reply *r = call->reply;
	uint8_t hash[GM_TOKEN_HASH];
	struct gm_cwt cwt = {0};
	bool active = false;

	gm_token_hash(hash, (struct gm_bytes){(const uint8_t *)token->text, token->n});
	gm_ctl_put_text(r, "state", said->verdict == GM_E_OK ? "active" : said->verdict == GM_E_TOKEN_INACTIVE ? "not active" : "unknown");
	gm_ctl_put_text(r, "why", said->verdict == GM_E_OK ? NULL : gm_err_info(said->verdict)->text);
	gm_ctl_put_text(r, "as", said->as[0] ? said->as : NULL);
	gm_ctl_put_bytes(r, "hash", hash, sizeof(hash));
	if (said->verdict == GM_E_OK && gm_introspect_decode(said->claims, &active, &cwt) == GM_E_OK)
		put_claims(call, said->as_id, &cwt);
	gm_ctl_row(r);
	gm_ctl_end(r);
}

static void ask(struct gm_ctl_call *call, const struct gm_ctl_arg *token)
{
	const char *as = gm_ctl_arg(call->request, "as") ? gm_call_text(call, "as") : NULL;
	struct gm_bytes bytes = {(const uint8_t *)token->text, token->n};
	enum gm_err err = gm_core_token_ask(call->env->core, &call->txn, call->request->conn, bytes, as);

	if (err == GM_E_UNKNOWN)
		gm_call_refuse(call, err, "authorization server", as);
	else if (err == GM_E_TOKEN_KEY)
		gm_ctl_error(call->reply, err, "%s: gmctl as add --introspect", as ? "that authorization server is not asked about tokens" : "no authorization server is asked about tokens");
	else if (err == GM_E_BUSY)
		gm_ctl_error(call->reply, err, "somebody asks about a token already, or too many are asked about");
	else if (err != GM_E_OK)
		gm_ctl_error(call->reply, GM_E_USAGE, "token: 1 to %u bytes", GM_CTL_TEXT_MAX);
}

void gm_verb_token_introspect(struct gm_ctl_call *call)
{
	const struct gm_ctl_arg *token = gm_ctl_arg(call->request, "token");
	struct gm_token_said said;

	if (!token) {
		gm_ctl_error(call->reply, GM_E_USAGE, "token introspect: --token is missing");
		return;
	}
	call->asked = call->request->again;
	if (!call->asked)
		ask(call, token);
	if (call->reply->done)
		return;
	if (!gm_core_token_said(call->env->core, call->request->conn, &said)) {
		call->reply->later = call->reply->waits = true;
		return;
	}
	put_said(call, &said, token);
	gm_core_token_forget(call->env->core, call->request->conn);
}

void gm_verb_token_revoke(struct gm_ctl_call *call)
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
