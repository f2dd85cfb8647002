/* SPDX-License-Identifier: Apache-2.0 */
/* The register of devices: names, and where they are expected. */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/expect.h"

static void put_device(struct gm_ctl_reply *r, const struct gm_device_spec *spec)
{
	char key[GM_DEVICE_KEY_TEXT], groups[GM_EXPECT_TEXT];

	gm_ctl_put_text(r, "device", gm_device_key_text(&spec->key, key));
	gm_ctl_put_text(r, "name", spec->name[0] ? spec->name : NULL);
	gm_ctl_put_text(r, "groups", gm_expect_text(spec, groups));
}

static bool list_device(void *arg, uint32_t number, const struct gm_device_spec *spec)
{
	struct gm_ctl_call *call = arg;

	if (!gm_call_next_row(call, number))
		return false;
	put_device(call->reply, spec);
	gm_ctl_row(call->reply);
	return true;
}

void gm_verb_device_list(struct gm_ctl_call *call)
{
	gm_core_devices(call->env->core, call->after, list_device, call);
	gm_call_end_page(call);
}

struct whose { /* memberships of one device */
	unsigned n;
	char groups[1024];
	size_t at;
};

static bool add_membership(void *arg, const struct gm_member_info *m)
{
	struct whose *w = arg;

	w->n++;
	if (w->at < sizeof(w->groups))
		w->at += (size_t)snprintf(w->groups + w->at, sizeof(w->groups) - w->at, "%s%s/%s", w->n > 1 ? " " : "", m->group, m->node);
	return true;
}

void gm_verb_device_show(struct gm_ctl_call *call)
{
	const char *device = gm_call_text(call, "device");
	struct gm_device_spec spec = {0};
	bool registered = gm_core_device_find(call->env->core, device, &spec);
	struct whose w = {0};
	gm_ctx_id *ctx;
	bool known = gm_core_device(call->env->core, device, &ctx) > 0;

	free(ctx);
	if (!registered && !known) {
		gm_call_refuse(call, GM_E_UNKNOWN, "device", device);
		return;
	}
	gm_core_device_members(call->env->core, device, add_membership, &w);
	if (registered)
		put_device(call->reply, &spec);
	else
		gm_ctl_put_text(call->reply, "device", device);
	gm_ctl_put_bool(call->reply, "registered", registered);
	gm_ctl_put_bool(call->reply, "known", known);
	gm_ctl_put_uint(call->reply, "memberships", w.n);
	gm_ctl_put_text(call->reply, "member_of", w.groups);
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}

/* A device by its key, or by the name that it has. */
static bool take_device(struct gm_ctl_call *call, struct gm_device_spec *spec)
{
	const char *device = gm_call_text(call, "device");

	if (gm_core_device_find(call->env->core, device, spec) || gm_device_key_parse(device, &spec->key))
		return true;
	gm_ctl_error(call->reply, GM_E_USAGE, "device: as:ID:HEX (number of the authorization server, identifier of the OSCORE material), "
	             "cred:HEX (SHA-256 of the credential) or a name in the register, not '%s'", device);
	return false;
}

void gm_verb_device_set(struct gm_ctl_call *call)
{
	struct gm_device_spec spec = {0};
	char why[GM_EXPECT_WHY];

	if (!take_device(call, &spec) || !gm_call_copy(call, "name", spec.name, sizeof(spec.name)))
		return;
	const char *fault = spec.name[0] ? gm_device_name_fault(spec.name) : NULL;
	if (fault) {
		gm_ctl_error(call->reply, GM_E_USAGE, "name: %s", fault);
		return;
	}
	if (gm_ctl_arg(call->request, "groups") && !gm_expect_parse(gm_call_text(call, "groups"), &spec, why)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "groups: %s", why);
		return;
	}
	enum gm_err err = gm_core_device_set(call->env->core, &call->txn, &spec);
	if (err == GM_E_EXISTS)
		gm_ctl_error(call->reply, err, "another device has the name '%s'", spec.name);
	else
		gm_call_finish(call, err, "device", gm_call_text(call, "device"));
}

void gm_verb_device_remove(struct gm_ctl_call *call)
{
	const char *device = gm_call_text(call, "device");

	gm_call_finish(call, gm_core_device_remove(call->env->core, &call->txn, device), "device", device);
}
