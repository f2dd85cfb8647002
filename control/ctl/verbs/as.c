/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <inttypes.h>
#include <stdio.h>

static void put_as(struct gm_ctl_reply *r, const struct gm_as_info *as)
{
	char buf[16], addr[GM_ADDR_TEXT];

	gm_ctl_put_text(r, "name", as->name);
	gm_ctl_put_uint(r, "id", as->id);
	gm_ctl_put_text(r, "alg", gm_call_alg_name(as->alg, buf));
	gm_ctl_put_bytes(r, "kid", as->kid, as->kid_n);
	gm_ctl_put_text(r, "issuer", as->issuer);
	gm_ctl_put_text(r, "uri", as->uri);
	gm_ctl_put_text(r, "link", as->has_link ? gm_addr_text(&as->peer, addr) : "");
	gm_ctl_put_text(r, "introspect", as->introspect);
	gm_ctl_put_text(r, "trl", as->trl_state);
}

static bool list_as(void *arg, const struct gm_as_info *as)
{
	struct gm_ctl_call *call = arg;

	if (gm_call_skipped(call, as->id))
		return true;
	if (!gm_call_next_row(call, as->id))
		return false;
	put_as(call->reply, as);
	gm_ctl_row(call->reply);
	return true;
}

/* The server's number, which may be any: JSON has none so large. */
static void put_cursor(struct gm_ctl_reply *r, const struct gm_as_info *as)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, as->cursor);
	if (as->has_cursor && as->cursor <= INT64_MAX)
		gm_ctl_put_uint(r, "trl_cursor", as->cursor);
	else
		gm_ctl_put_text(r, "trl_cursor", as->has_cursor ? digits : NULL);
}

static bool show_as(void *arg, const struct gm_as_info *as)
{
	struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_status core;

	if (strcmp(as->name, gm_call_text(call, "name")) != 0)
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
	put_cursor(r, as);
	gm_ctl_put_uint(r, "revoked", core.revoked);
	gm_ctl_row(r);
	call->rows++;
	return false;
}

void gm_verb_as_show(struct gm_ctl_call *call)
{
	gm_core_ases(call->env->core, show_as, call);
	gm_call_finish(call, call->rows ? GM_E_OK : GM_E_UNKNOWN, "authorization server", gm_call_text(call, "name"));
}

void gm_verb_as_list(struct gm_ctl_call *call)
{
	gm_core_ases(call->env->core, list_as, call);
	gm_call_end_page(call);
}

void gm_verb_as_remove(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "name");
	unsigned evicted = 0;
	enum gm_err err = gm_core_as_remove(call->env->core, &call->txn, name, &evicted);

	if (err == GM_E_OK) {
		gm_ctl_put_uint(call->reply, "evicted", evicted);
		gm_ctl_row(call->reply);
	}
	gm_call_finish(call, err, "authorization server", name);
}
