/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#include "ctl/expect.h"

static void put_member(struct gm_ctl_call *call, const struct gm_member_info *m)
{
	struct gm_ctl_reply *r = call->reply;
	static const char *const deliveries[] = {
		[GM_DELIVER_POLL] = "poll", [GM_DELIVER_POST] = "post", [GM_DELIVER_OBSERVE] = "observe"};
	char roles[GM_ROLES_TEXT], peer[GM_ADDR_TEXT], name[GM_DEVICE_NAME_MAX + 1];

	gm_ctl_put_text(r, "node", m->node);
	gm_ctl_put_text(r, "name", gm_core_member_name(call->env->core, m, name));
	gm_ctl_put_bytes(r, "sid", m->sid, m->sid_n);
	gm_ctl_put_text(r, "roles", gm_roles_text(m->roles, '+', roles));
	gm_ctl_put_text(r, "delivery", deliveries[m->delivery]);
	gm_ctl_put_text(r, "peer", gm_addr_text(&m->peer, peer));
	gm_ctl_put_uint(r, "version", m->version);
	gm_ctl_put_bool(r, "late", m->late);
	gm_ctl_put_int(r, "joined_at", m->joined);
}

/* By what the register of devices and device evict know it. */
static void put_keys(struct gm_ctl_call *call, const struct gm_member_info *m)
{
	struct gm_device_key key = {.as_id = m->as_id, .id_n = m->osc_id_n};
	char text[GM_DEVICE_KEY_TEXT];
	uint8_t hash[GM_CRED_HASH];

	memcpy(key.id, m->osc_id, m->osc_id_n);
	gm_ctl_put_text(call->reply, "device", gm_device_key_text(&key, text));
	if (gm_core_cred_hash(call->env->core, m, hash))
		gm_ctl_put_bytes(call->reply, "cred", hash, sizeof(hash));
	else
		gm_ctl_put_text(call->reply, "cred", NULL);
}

static bool list_member(void *arg, const struct gm_member_info *m)
{
	struct gm_ctl_call *call = arg;

	if (!m->late && gm_call_flag(call, "late"))
		return gm_call_pass_over(call, m->slot);
	if (!gm_call_next_row(call, m->slot))
		return false;
	put_member(call, m);
	if (gm_call_flag(call, "full"))
		put_keys(call, m);
	gm_ctl_row(call->reply);
	return true;
}

void gm_verb_member_list(struct gm_ctl_call *call)
{
	const char *group = gm_call_text(call, "group");
	enum gm_err err = gm_core_members(call->env->core, group, NULL, call->after, list_member, call);

	if (err == GM_E_OK)
		gm_call_end_page(call);
	else
		gm_call_refuse(call, err, "group", group);
}

static bool show_member(void *arg, const struct gm_member_info *m)
{
	struct gm_ctl_call *call = arg;

	call->rows++;
	gm_ctl_put_text(call->reply, "group", m->group);
	put_member(call, m);
	gm_ctl_put_text(call->reply, "as", m->as);
	gm_ctl_put_bytes(call->reply, "osc_id", m->osc_id, m->osc_id_n);
	put_keys(call, m);
	gm_ctl_put_int(call->reply, "token_ends_at", m->token_exp);
	gm_ctl_put_uint(call->reply, "slot", m->slot);
	gm_ctl_put_uint(call->reply, "context", m->ctx);
	gm_ctl_row(call->reply);
	return true;
}

/* UNKNOWN of a (group, node) pair: which of the two? */
static void refuse_member(struct gm_ctl_call *call, enum gm_err err, const char *group, const char *node)
{
	if (err == GM_E_UNKNOWN && gm_call_group_exists(call, group))
		gm_ctl_error(call->reply, err, "no member '%s' in group '%s'", node, group);
	else
		gm_call_refuse(call, err, "group", group);
}

void gm_verb_member_show(struct gm_ctl_call *call)
{
	const char *group = gm_call_text(call, "group"), *node = gm_call_text(call, "node");
	enum gm_err err = gm_core_members(call->env->core, group, node, UINT32_MAX, show_member, call);

	if (err == GM_E_OK && call->rows)
		gm_ctl_end(call->reply);
	else
		refuse_member(call, err == GM_E_OK ? GM_E_UNKNOWN : err, group, node);
}

static enum gm_err evict(struct gm_ctl_call *call, const char *group, const char *node)
{
	const struct gm_evict_spec spec = {.group = group,
	                                   .node = node,
	                                   .compromised = gm_call_flag(call, "compromised"),
	                                   .allow_return = gm_call_flag(call, "allow-return")};
	unsigned evicted = 0;

	GM_TRY(gm_core_evict(call->env->core, &call->txn, &spec, &evicted));
	gm_ctl_put_text(call->reply, group ? "node" : "device", node);
	gm_ctl_put_uint(call->reply, "evicted", evicted);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
	return GM_E_OK;
}

void gm_verb_member_evict(struct gm_ctl_call *call)
{
	const char *group = gm_call_text(call, "group"), *node = gm_call_text(call, "node");
	enum gm_err err = evict(call, group, node);

	if (err != GM_E_OK)
		refuse_member(call, err, group, node);
}

void gm_verb_device_evict(struct gm_ctl_call *call)
{
	const char *device = gm_call_text(call, "device");
	enum gm_err err = evict(call, NULL, device);

	if (err != GM_E_OK)
		gm_call_refuse(call, err, "device", device);
}
