/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what: KG §8.5 as one table, §2.2 as one sequence of checks. */
#include "core/state.h"

#define FETCH 5
#define GET 1
#define POST 2
#define DELETE 4
#define MEMBERS (GM_WHO_MEMBER | GM_WHO_MONITOR)
#define TO_JOIN (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER | GM_ROLE_MONITOR)
#define ANYONE (MEMBERS | GM_WHO_VERIFIER | GM_WHO_TOKEN)

static const struct row {
	uint8_t res, method;
	uint8_t who;         /* enum gm_who */
	uint8_t refusal;     /* enum gm_err for everyone else */
	int16_t format;      /* of the request's payload; 0: it is not looked at */
	gm_handler handler;
} rows[] = {
	{.res = GM_RES_AUTHZ_INFO, .method = POST, .who = ANYONE, .handler = gm_token_rights},
	{GM_RES_GROUPS,     FETCH,  ANYONE,                     GM_E_FORBIDDEN,      261, gm_read_groups},
	{GM_RES_GROUP,      GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_members_keys},
	{GM_RES_GROUP,      POST,   ANYONE,                     GM_E_FORBIDDEN,      0,   gm_members_join},
	{GM_RES_ACTIVE,     GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_members_active},
	{GM_RES_VERIF_DATA, GET,    GM_WHO_VERIFIER,            GM_E_VERIFIERS_ONLY, 0,   gm_read_verif_data},
	{GM_RES_CREDS,      GET,    MEMBERS | GM_WHO_VERIFIER,  GM_E_NOT_MEMBER,     0,   gm_read_creds},
	{GM_RES_CREDS,      FETCH,  MEMBERS | GM_WHO_VERIFIER,  GM_E_NOT_MEMBER,     261, gm_read_some_creds},
	{GM_RES_KDC_CRED,   GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_read_kdc_cred},
	{GM_RES_KDC_CRED,   FETCH,  GM_WHO_VERIFIER,            GM_E_VERIFIERS_ONLY, 261, gm_read_kdc_cred_fresh},
	{GM_RES_STALE_SIDS, FETCH,  MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_read_stale_sids},
	{GM_RES_POLICIES,   GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_read_policies},
	{GM_RES_NUM,        GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_read_num},
	{GM_RES_NODE,       GET,    MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_members_keys},
	{GM_RES_NODE,       POST,   MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_members_renew},
	{GM_RES_NODE,       DELETE, MEMBERS,                    GM_E_NOT_MEMBER,     0,   gm_members_leave},
	{GM_RES_NODE_CRED,  POST,   MEMBERS,                    GM_E_NOT_MEMBER,     261, gm_members_recred},
};

static const struct row *find_row(uint8_t res, uint8_t method)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].res == res && rows[i].method == method)
			return &rows[i];
	return NULL;
}

bool gm_roles_may_join(uint32_t roles)
{
	return roles == GM_ROLE_REQUESTER || roles == GM_ROLE_RESPONDER ||
	       roles == (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER) || roles == GM_ROLE_MONITOR;
}

static bool scope_has_role(struct gm_bytes scope, struct gm_bytes group, uint32_t roles)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;

	while (gm_scope_next(&it, &e))
		if (!e.admin && gm_bytes_eq(e.name, group) && (e.perm & roles))
			return true;
	return false;
}

static enum gm_who who_is(const struct gm_call *call, struct gm_bytes scope, struct gm_bytes name)
{
	if (call->member)
		return call->member->roles == GM_ROLE_MONITOR ? GM_WHO_MONITOR : GM_WHO_MEMBER;
	return scope_has_role(scope, name, GM_ROLE_VERIFIER) ? GM_WHO_VERIFIER : GM_WHO_TOKEN;
}

/* Elsewhere a token for nothing but verifying is refused as such, before it is asked who is a member. */
static bool for_verifiers(uint8_t res)
{
	return res == GM_RES_VERIF_DATA || res == GM_RES_CREDS || res == GM_RES_KDC_CRED;
}

/* C4: the scope names the group, with a role that has use for the operation. */
static bool scope_permits(struct gm_bytes scope, struct gm_bytes name, const struct row *row)
{
	if (!row)
		return scope_has_role(scope, name, GM_ROLES_ALL);
	return scope_has_role(scope, name, for_verifiers(row->res) ? GM_ROLES_ALL : TO_JOIN);
}

static enum gm_err check(struct gm_turn *t, struct gm_call *call, const struct row *row)
{
	const struct gm_ev_request *ev = call->ev;
	struct gm_bytes scope = gm_assoc_scope(t->core, call->assoc), name = gm_rec_bytes(ev, ev->group);

	if (ev->res == GM_RES_NONE && name.n == 0)
		return GM_E_NOT_FOUND;
	if (!scope_permits(scope, name, row))
		return GM_E_FORBIDDEN;                               /* C4 */
	call->group = gm_groups_find(t->core, name);
	if (!call->group || ev->res == GM_RES_NONE)
		return GM_E_NOT_FOUND;                               /* C5 */
	if (!row)
		return GM_E_METHOD;                                  /* C6 */
	call->member = gm_ident_member(t->core, call->ident, call->group->index);
	if (!(row->who & who_is(call, scope, name)))
		return (enum gm_err)row->refusal;                    /* C7 */
	if (gm_ident_bar(t->core, call->ident, name))
		return GM_E_BARRED;
	if ((ev->res == GM_RES_NODE || ev->res == GM_RES_NODE_CRED) &&
	    !gm_bytes_is(gm_rec_bytes(ev, ev->node), gm_there(call->member->node)))
		return GM_E_FORBIDDEN;
	return GM_E_OK;
}

static bool format_fits(const struct gm_ev_request *ev, const struct row *row)
{
	return !row->format || ev->content_format == GM_CF_NONE || ev->content_format == row->format;
}

/* Changes of one client cost everybody a rekey: each takes its share of a minute, a minute's worth may come at once.
 *                                                                                              RFC 9594 §10.2 */
bool gm_policy_spend(const struct gm_turn *t, struct gm_ident *ident)
{
	uint32_t rate = t->core->config.changes_per_minute;
	uint64_t now = t->txn->mono_ms, *until = &ident->spent_until_ms;

	if (!rate)
		return true;
	*until = *until > now ? *until : now;
	if (*until - now > 60000u - 60000u / rate)
		return false;
	*until += 60000u / rate;
	return true;
}

/* Of tokens token.c knows which are changes. */
static bool too_often(const struct gm_turn *t, struct gm_call *call, const struct row *row)
{
	bool change = row->method == POST || row->method == DELETE;

	return change && !call->waited && call->ev->res != GM_RES_AUTHZ_INFO && !gm_policy_spend(t, call->ident);
}

/* What adds has to wait for room; what is there is served, changed and taken away out of what the store has kept back. */
static bool joins(const struct gm_call *call, const struct row *row) /* now: those who wait already are let in */
{
	return !call->waited && row->res == GM_RES_GROUP && row->method == POST;
}

void gm_policy_request(struct gm_turn *t, struct gm_call *call)
{
	const struct row *row = find_row(call->ev->res, call->ev->method);
	enum gm_err err = GM_E_OK;

	if (call->ev->res == GM_RES_MANAGE || call->ev->res == GM_RES_MANAGE_GROUP) {
		gm_manage_request(t, call);
		return;
	}
	if (call->ev->res == GM_RES_GROUPS || call->ev->res == GM_RES_AUTHZ_INFO)
		err = row ? GM_E_OK : GM_E_METHOD;
	else
		err = check(t, call, row);
	if (err == GM_E_OK && !format_fits(call->ev, row))
		err = GM_E_BAD_FORMAT;
	if (err == GM_E_OK && t->txn->disk_low && joins(call, row))
		err = GM_E_DISK_FULL;
	if (err == GM_E_OK && t->core->draining && joins(call, row))
		err = GM_E_DRAINING;
	if (err == GM_E_OK && too_often(t, call, row))
		err = GM_E_TOO_OFTEN;
	if (err == GM_E_OK)
		row->handler(t, call);
	else
		gm_reply_err(t, call->ev, err);
}
