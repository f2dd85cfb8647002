/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "core/device.h"

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
