/* SPDX-License-Identifier: Apache-2.0 */
/* What would become of a command that takes somebody out: how many, who gets new keys for it, how long that takes. */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toll {
	const struct gm_ctl_env *env;
	const char *node, *as; /* who goes: this node, ... */
	const gm_ctx_id *ctx;  /* ... whoever has one of these contexts */
	unsigned ctx_n;
	const char *group;     /* of the rows counted now */
	unsigned staying, going;
	unsigned evicts, groups, rekeys;
	unsigned *networks; /* messages into each that has a pace of its own; NULL: none has */
	unsigned networks_n;
	char first[GM_GROUP_NAME_MAX + 1]; /* a group that somebody goes from */
};

static bool goes(const struct toll *t, const struct gm_member_info *m)
{
	if (t->node)
		return strcmp(t->node, m->node) == 0;
	return t->as ? strcmp(t->as, m->as) == 0 : gm_call_one_of(t->ctx, t->ctx_n, m->ctx);
}

static bool count_network(void *arg, const struct gm_member_info *m)
{
	struct toll *t = arg;
	unsigned network = gm_dp_network_of(t->env->dp, &m->peer);

	if (network && network <= t->networks_n && !goes(t, m))
		t->networks[network - 1]++;
	return true;
}

static void end_group(struct toll *t)
{
	if (t->going) {
		t->evicts += t->going;
		t->groups++;
		t->rekeys += t->staying;
		snprintf(t->first, sizeof(t->first), "%s", t->group);
		if (t->networks && gm_core_members(t->env->core, t->group, NULL, UINT32_MAX, count_network, t) != GM_E_OK)
			t->networks_n = 0;
	}
	t->going = t->staying = 0;
}

/* Members come group by group. */
static bool count(void *arg, const struct gm_member_info *m)
{
	struct toll *t = arg;

	if (t->group != m->group)
		end_group(t);
	t->group = m->group;
	if (goes(t, m))
		t->going++;
	else
		t->staying++;
	return true;
}

static double seconds_of(const struct toll *t)
{
	unsigned pace = t->env->dp ? gm_dp_pace_for_all(t->env->dp) : 0;
	double most = pace ? (double)t->rekeys / pace : 0;
	struct gm_pace_status s;

	for (unsigned i = 0; i < t->networks_n && gm_dp_pace(t->env->dp, i, &s); i++)
		if ((double)t->networks[i] / s.of.rate > most)
			most = (double)t->networks[i] / s.of.rate;
	return most;
}

/* 4999 as "4,999"; below a million. */
static const char *grouped(unsigned n, char buf[static 16])
{
	if (n < 1000)
		snprintf(buf, 16, "%u", n);
	else if (n < 1000000)
		snprintf(buf, 16, "%u,%03u", n / 1000, n % 1000);
	else
		snprintf(buf, 16, "%u,%03u,%03u", n / 1000000, n / 1000 % 1000, n % 1000);
	return buf;
}

static void tell(struct gm_ctl_call *call, const struct toll *t, bool asks)
{
	struct gm_ctl_reply *r = call->reply;
	double s = seconds_of(t);
	char says[256], evicts[16], rekeys[16], whence[GM_GROUP_NAME_MAX + 16], time[64] = "";

	if (t->groups == 1)
		snprintf(whence, sizeof(whence), "%s", t->first);
	else
		snprintf(whence, sizeof(whence), "%u groups", t->groups);
	if (t->rekeys && s >= 1)
		snprintf(time, sizeof(time), ", about %.0f s at the configured pace", s);
	else if (t->rekeys)
		snprintf(time, sizeof(time), ", in less than a second%s", s > 0 ? " at the configured pace" : "");
	if (t->evicts)
		snprintf(says, sizeof(says), "evicts %s of %s, rekeys %s members%s", grouped(t->evicts, evicts), whence,
		         grouped(t->rekeys, rekeys), time);
	else
		snprintf(says, sizeof(says), "evicts nobody");
	gm_ctl_put_uint(r, "evicts", t->evicts);
	gm_ctl_put_uint(r, "groups", t->groups);
	gm_ctl_put_uint(r, "rekeys", t->rekeys);
	gm_ctl_put_uint(r, "seconds", (uint64_t)(s + 0.5));
	gm_ctl_put_text(r, "says", says);
	gm_ctl_put_bool(r, "asks", asks);
	gm_ctl_row(r);
	gm_ctl_end(r);
}

static void look(struct gm_ctl_call *call, struct toll *t, const char *group)
{
	struct gm_pace_status s;

	t->env = call->env;
	while (call->env->dp && gm_dp_pace(call->env->dp, t->networks_n, &s))
		t->networks_n++;
	t->networks = t->networks_n ? calloc(t->networks_n, sizeof(*t->networks)) : NULL;
	t->networks_n = t->networks ? t->networks_n : 0;
	enum gm_err err = gm_core_members(call->env->core, group, NULL, UINT32_MAX, count, t);
	end_group(t);
	if (err == GM_E_OK)
		tell(call, t, t->evicts || t->as);
	else
		gm_call_refuse(call, err, "group", group);
	free(t->networks);
}

/* ---- one for each that asks */

static void member(struct gm_ctl_call *call)
{
	struct toll t = {.node = gm_call_text(call, "node")};
	const char *group = gm_call_text(call, "group");

	look(call, &t, group);
}

static void device(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "device");
	gm_ctx_id *ctx;
	struct toll t = {.ctx_n = gm_core_device(call->env->core, name, &ctx)};

	t.ctx = ctx;
	if (t.ctx_n)
		look(call, &t, NULL);
	else
		gm_call_refuse(call, GM_E_UNKNOWN, "device", name);
	free(ctx);
}

static void server(struct gm_ctl_call *call)
{
	struct toll t = {.as = gm_call_text(call, "name")};

	look(call, &t, NULL);
}

static void token(struct gm_ctl_call *call)
{
	const struct gm_ctl_arg *hash = gm_ctl_arg(call->request, "hash");
	gm_ctx_id holder = gm_core_holder(call->env->core, (struct gm_bytes){(const uint8_t *)hash->text, hash->n});
	struct toll t = {.ctx = &holder, .ctx_n = 1};

	if (holder) {
		look(call, &t, NULL);
	} else {
		t.env = call->env;
		tell(call, &t, false);
	}
}

static bool see_size(void *arg, const struct gm_group_info *g)
{
	*(unsigned *)arg = g->members;
	return false;
}

static void group(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "group");
	unsigned members = 0;
	char says[128], n[16];

	if (gm_core_groups(call->env->core, name, see_size, &members) != GM_E_OK) {
		gm_call_refuse(call, GM_E_UNKNOWN, "group", name);
		return;
	}
	snprintf(says, sizeof(says), "deletes the group %s, which has %s members", name, grouped(members, n));
	gm_ctl_put_uint(call->reply, "evicts", members);
	gm_ctl_put_uint(call->reply, "groups", 1);
	gm_ctl_put_uint(call->reply, "rekeys", 0);
	gm_ctl_put_uint(call->reply, "seconds", 0);
	gm_ctl_put_text(call->reply, "says", says);
	gm_ctl_put_bool(call->reply, "asks", true);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}

static const struct {
	const char *verb;
	void (*look)(struct gm_ctl_call *call);
} looks[] = {
	{"member evict", member}, {"device evict", device}, {"as remove", server}, {"token revoke", token}, {"group delete", group},
	{"import", gm_import_look}};

void gm_verb_preview(struct gm_ctl_call *call)
{
	for (unsigned i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		if (strcmp(looks[i].verb, call->request->verb) == 0) {
			looks[i].look(call);
			return;
		}
	}
	gm_ctl_error(call->reply, GM_E_USAGE, "%s has no preview", call->request->verb);
}
