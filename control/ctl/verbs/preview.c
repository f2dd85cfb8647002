/* SPDX-License-Identifier: Apache-2.0 */
/* What would become of a command that takes somebody out: how many, who gets new keys for it, how long that takes. */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 65536u /* members that are asked for their network; in larger groups they stand for all */

struct toll {
	const struct gm_ctl_env *env;
	const char *node, *as; /* who goes: this node, ... */
	const gm_ctx_id *ctx;  /* ... whoever has one of these contexts */
	unsigned ctx_n;
	unsigned evicts, groups, rekeys;
	unsigned *networks; /* messages into each that has a pace of its own; NULL: none has */
	unsigned networks_n, looks, stay; /* stay: of those who were looked at */
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

	if (t->looks++ >= LOOKS_MAX)
		return false;
	if (goes(t, m))
		return true;
	unsigned network = gm_dp_network_of(t->env->dp, &m->peer);
	if (network && network <= t->networks_n)
		t->networks[network - 1]++;
	t->stay++;
	return true;
}

static void count(void *arg, const struct gm_loss *loss)
{
	struct toll *t = arg;

	t->evicts += loss->going;
	t->groups++;
	t->rekeys += loss->members - loss->going;
	snprintf(t->first, sizeof(t->first), "%s", loss->group);
	if (t->networks && gm_core_members(t->env->core, loss->group, NULL, UINT32_MAX, count_network, t) != GM_E_OK)
		t->networks_n = 0;
}

static double seconds_of(const struct toll *t)
{
	unsigned pace = t->env->dp ? gm_dp_pace_for_all(t->env->dp) : 0;
	double most = pace ? (double)t->rekeys / pace : 0;
	struct gm_pace_status s;

	for (unsigned i = 0; i < t->networks_n && t->stay && gm_dp_pace(t->env->dp, i, &s); i++) {
		double messages = (double)t->networks[i] / t->stay * t->rekeys;
		most = messages / s.of.rate > most ? messages / s.of.rate : most;
	}
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

static void begin(struct toll *t, const struct gm_ctl_env *env)
{
	struct gm_pace_status s;

	t->env = env;
	while (env->dp && gm_dp_pace(env->dp, t->networks_n, &s))
		t->networks_n++;
	t->networks = t->networks_n ? calloc(t->networks_n, sizeof(*t->networks)) : NULL;
	t->networks_n = t->networks ? t->networks_n : 0;
}

/* Of nobody who is known nothing is lost. */
static bool look(struct gm_ctl_call *call, struct toll *t, const struct gm_whom *whom)
{
	begin(t, call->env);
	bool known = gm_core_losses(call->env->core, whom, count, t);
	if (known || !whom->device)
		tell(call, t, t->evicts || t->as);
	free(t->networks);
	return known;
}

/* ---- one for each that asks */

static bool see_group(void *arg, const struct gm_group_info *g)
{
	((struct gm_loss *)arg)->members = g->members;
	return false;
}

static bool see_member(void *arg, const struct gm_member_info *m)
{
	(void)m;
	((struct gm_loss *)arg)->going = 1;
	return false;
}

static void member(struct gm_ctl_call *call)
{
	struct toll t = {.node = gm_call_text(call, "node")};
	struct gm_loss loss = {.group = gm_call_text(call, "group")};
	struct gm_core *core = call->env->core;

	if (gm_core_groups(core, loss.group, see_group, &loss) != GM_E_OK ||
	    gm_core_members(core, loss.group, t.node, UINT32_MAX, see_member, &loss) != GM_E_OK) {
		gm_call_refuse(call, GM_E_UNKNOWN, "group", loss.group);
		return;
	}
	begin(&t, call->env);
	if (loss.going)
		count(&t, &loss);
	tell(call, &t, loss.going);
	free(t.networks);
}

static void device(struct gm_ctl_call *call)
{
	const struct gm_whom whom = {.device = gm_call_text(call, "device")};
	gm_ctx_id *ctx;
	struct toll t = {.ctx_n = gm_core_device(call->env->core, whom.device, &ctx)};

	t.ctx = ctx;
	if (!look(call, &t, &whom))
		gm_call_refuse(call, GM_E_UNKNOWN, "device", whom.device);
	free(ctx);
}

static bool is_called(void *arg, const struct gm_as_info *as)
{
	const char **name = arg;

	if (strcmp(as->name, *name) == 0)
		*name = NULL;
	return *name != NULL;
}

static void server(struct gm_ctl_call *call)
{
	const struct gm_whom whom = {.as = gm_call_text(call, "name")};
	const char *missing = whom.as;

	gm_core_ases(call->env->core, is_called, &missing);
	if (missing)
		gm_call_refuse(call, GM_E_UNKNOWN, "authorization server", missing);
	else
		look(call, &(struct toll){.as = whom.as}, &whom);
}

static void token(struct gm_ctl_call *call)
{
	const struct gm_ctl_arg *hash = gm_ctl_arg(call->request, "hash");
	const struct gm_whom whom = {.token = {(const uint8_t *)hash->text, hash->n}};
	gm_ctx_id holder = gm_core_holder(call->env->core, whom.token);

	look(call, &(struct toll){.ctx = &holder, .ctx_n = holder != 0}, &whom);
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
	{"group set", gm_group_set_look}, {"import", gm_import_look}};

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
