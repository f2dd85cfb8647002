/* SPDX-License-Identifier: Apache-2.0 */
/* /manage and /manage/G: groups made and changed by administrators over the network. GA §6 */
#include "core/config_change.h"
#include "gm/crypto.h"

#include <stdio.h>
#include <stdlib.h>

#define CF_LINK 40
#define CF_PROBLEM 257
#define CF_GROUPCOMM 261
#define WHOLE_MAX 2048u /* a configuration */

struct work { /* one request on its way */
	struct gm_turn *t;
	const struct gm_call *call;
	struct gm_bytes scope, payload;
	struct gm_group *group;  /* of /manage/G */
	struct gm_admin_map map; /* the request's, where it has one of parameters */
};

/* ---- answers */

/* Where there is an error id the reason is its detail, else it is diagnostic text. RFC 9290, RFC 7252 §5.5.2 */
static void refuse(const struct work *w, enum gm_err err, const char *why)
{
	const struct gm_err_info *info = gm_err_info(err);
	const struct gm_ev_request *ev = w->call->ev;
	uint8_t body[256];
	struct gm_out o = gm_out(body, sizeof(body));

	if (!why || !why[0])
		why = info->text;
	gm_audit_refused(w->t->core, &w->t->core->refused.administration, err);
	gm_core_log(w->t->core, "admin.refused ctx=%08x method=%u why=\"%s\"", ev->ctx, ev->method, why);
	if (info->ace_id >= 0)
		gm_problem_encode(&o, info->ace_id, why);
	else if (info->coap == GM_COAP(4, 0) || info->coap == GM_COAP(4, 9))
		gm_out_bytes(&o, why, strlen(why));
	if (o.err != GM_E_OK || gm_out_len(&o) == 0)
		gm_reply_err(w->t, ev, err);
	else
		gm_reply(w->t, ev, info->coap, 0, info->ace_id >= 0 ? CF_PROBLEM : GM_CF_NONE, gm_out_result(&o));
}

static void refuse_fault(const struct work *w, struct gm_fault fault, bool patching)
{
	refuse(w, fault.err == GM_E_CONFLICT && !patching ? GM_E_RANGE : fault.err, fault.why);
}

/* Of the whole configuration as GET shows it: the same after a restart, another with any other configuration. */
static uint64_t etag_of(struct gm_bytes whole)
{
	uint8_t hash[GM_SHA256];
	uint64_t tag;

	gm_sha256(hash, whole.p, whole.n);
	memcpy(&tag, hash, sizeof(tag));
	return tag ? tag : 1;
}

static uint64_t etag_now(const struct work *w)
{
	struct gm_config_room room;
	struct gm_admin_map map;
	uint8_t body[WHOLE_MAX];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_config_read(w->t->core, w->group, &room, &map);
	gm_admin_encode(&o, &map, UINT32_MAX);
	return etag_of(gm_out_result(&o));
}

static void answer_map(const struct work *w, uint8_t code, const struct gm_group *g, uint32_t mask, bool created)
{
	struct gm_config_room room;
	struct gm_admin_map map;
	uint8_t body[WHOLE_MAX];
	struct gm_out o = gm_out(body, sizeof(body));
	uint64_t tag = 0;

	gm_config_read(w->t->core, g, &room, &map);
	gm_admin_encode(&o, &map, mask);
	if (mask == UINT32_MAX)
		tag = etag_of(gm_out_result(&o));
	if (created)
		gm_reply_location(w->t, w->call->ev, CF_GROUPCOMM, gm_out_result(&o), map.group_name);
	else
		gm_reply(w->t, w->call->ev, code, GM_REPLY_SAVE, CF_GROUPCOMM, gm_out_result(&o));
	((struct gm_eff_reply *)gm_effects_last(w->t->txn->effects, w->call->ev->rec.worker))->etag = tag;
}

/* group_name, joining_uri, as_uri; what was asked and is not so; defaults that are not those of GA §5.2. */
static uint32_t told_after(const struct gm_admin_map *asked, bool defaults)
{
	uint32_t mask = GM_ADMIN_BIT(GM_ADMIN_GROUP_NAME) | GM_ADMIN_BIT(GM_ADMIN_JOINING_URI) |
	                GM_ADMIN_BIT(GM_ADMIN_AS_URI);

	if (asked->gid_reuse)
		mask |= GM_ADMIN_BIT(GM_ADMIN_GID_REUSE);
	if (defaults)
		mask |= GM_ADMIN_BIT(GM_ADMIN_MAX_STALE_SETS) & ~asked->has;
	return mask;
}

/* ---- lists */

static bool meets(const struct gm_admin_map *criteria, const struct gm_admin_map *map)
{
	for (unsigned i = 0; i < GM_ADMIN_N; i++) {
		if (!(criteria->has & GM_ADMIN_BIT(i)))
			continue;
		if (i == GM_ADMIN_GROUP_NAME && criteria->name_pattern.p) {
			if (!gm_admin_pattern_takes(criteria->name_pattern, map->group_name))
				return false;
		} else if (!gm_admin_same(criteria, map, (enum gm_admin_param)i)) {
			return false;
		}
	}
	return true;
}

static void list_groups(struct work *w)
{
	const struct gm_core *c = w->t->core;
	size_t cap = (size_t)c->count.groups * (GM_GROUP_NAME_MAX + 64) + 1;
	struct gm_out o = gm_out(gm_must_alloc(NULL, cap), cap);
	struct gm_config_room room;
	struct gm_admin_map map;

	for (uint32_t i = 0; i < c->groups_n; i++) {
		if (!c->groups[i])
			continue;
		gm_config_read(c, c->groups[i], &room, &map);
		if (gm_admin_perms(w->scope, map.group_name) && meets(&w->map, &map))
			gm_admin_link(&o, map.group_name);
	}
	gm_reply_big(w->t, w->call->ev, GM_COAP(2, 5), CF_LINK, o.start, gm_out_len(&o));
}

static void list_some(struct work *w)
{
	if (w->map.unknown || (w->map.has & GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF)))
		refuse(w, GM_E_RANGE, "a criterion is no parameter");
	else
		list_groups(w);
}

/* ---- reading */

static void show(struct work *w)
{
	answer_map(w, GM_COAP(2, 5), w->group, UINT32_MAX, false);
}

static void show_some(struct work *w)
{
	uint32_t mask;

	if (gm_admin_filter_decode(w->payload, &mask) != GM_E_OK)
		refuse(w, GM_E_MALFORMED, "conf_filter: an array of labels is needed");
	else
		answer_map(w, GM_COAP(2, 5), w->group, mask, false);
}

/* ---- what a request may name */

#define NEVER                                                                                                          \
	(GM_ADMIN_BIT(GM_ADMIN_RT) | GM_ADMIN_BIT(GM_ADMIN_PROFILE) | GM_ADMIN_BIT(GM_ADMIN_JOINING_URI))
#define FIXED (GM_ADMIN_MODES | GM_ADMIN_BIT(GM_ADMIN_GROUP_NAME) | GM_ADMIN_BIT(GM_ADMIN_GID_REUSE))

static bool names_only(const struct work *w, uint32_t forbidden)
{
	uint32_t bad = w->map.has & forbidden;

	if (w->map.unknown)
		refuse(w, GM_E_RANGE, "a parameter is not known");
	else if (bad)
		refuse(w, GM_E_RANGE, gm_admin_name((enum gm_admin_param)__builtin_ctz(bad)));
	return !w->map.unknown && !bad;
}

/* ---- making a group */

static uint32_t perms(const struct work *w, const char *name)
{
	return gm_admin_perms(w->scope, (struct gm_bytes){(const uint8_t *)name, strlen(name)});
}

static bool name_free(const struct work *w, const char *name)
{
	struct gm_bytes text = {(const uint8_t *)name, strlen(name)};

	return gm_groups_name_usable(name) && !gm_groups_find(w->t->core, text);
}

/* The name asked for, else one under which the administrator may do the same. GA §6.3 */
static bool choose_name(const struct work *w, char name[static GM_GROUP_NAME_MAX + 1])
{
	static const char *const forms[] = {"%.*s-%u", "%.*s%u"};
	struct gm_bytes asked = w->map.group_name;
	uint32_t want = gm_admin_perms(w->scope, asked);
	int n = (int)(asked.n < GM_GROUP_NAME_MAX - 4 ? asked.n : GM_GROUP_NAME_MAX - 4);
	bool alone = asked.n <= GM_GROUP_NAME_MAX && !memchr(asked.p, 0, asked.n);

	snprintf(name, GM_GROUP_NAME_MAX + 1, "%.*s", (int)(alone ? asked.n : 0), (const char *)asked.p);
	if (alone && name_free(w, name))
		return true;
	for (unsigned form = 0; form < 2; form++) {
		for (unsigned i = 2; i < 100; i++) {
			snprintf(name, GM_GROUP_NAME_MAX + 1, forms[form], n, (const char *)asked.p, i);
			if (perms(w, name) == want && name_free(w, name))
				return true;
		}
	}
	return false;
}

static enum gm_err make(const struct work *w, const char *name, const struct gm_admin_map *map)
{
	struct gm_group_spec spec = gm_group_spec_default();

	memcpy(spec.name, name, strlen(name) + 1);
	spec.params = gm_config_params(map);
	spec.active = map->active;
	spec.max_stale_sets = (unsigned)map->max_stale_sets;
	while (gm_core_sid_len(spec.max_members) > gm_config_sid_max(&spec.params))
		spec.max_members = spec.max_members > GM_MEMBERS_SID_2 ? GM_MEMBERS_SID_2 : GM_MEMBERS_SID_1;
	return gm_core_group_create(w->t->core, w->t->txn, &spec);
}

static void create(struct work *w)
{
	struct gm_admin_map map = w->map;
	char name[GM_GROUP_NAME_MAX + 1];
	struct gm_config_names names;

	if (!names_only(w, NEVER | GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF)))
		return;
	gm_config_complete(&map);
	struct gm_fault fault = gm_config_settle(w->t, NULL, &w->map, &map, &names);
	if (fault.err != GM_E_OK) {
		refuse_fault(w, fault, false);
		return;
	}
	if (!choose_name(w, name)) {
		refuse(w, GM_E_NO_GROUP_NAME, NULL);
		return;
	}
	enum gm_err err = make(w, name, &map);
	if (err != GM_E_OK) {
		refuse(w, err == GM_E_USAGE ? GM_E_BAD_CONFIG : err, NULL);
		return;
	}
	struct gm_group *g = gm_groups_find(w->t->core, (struct gm_bytes){(const uint8_t *)name, strlen(name)});
	gm_config_apply(w->t, g, &map);
	answer_map(w, GM_COAP(2, 1), g, told_after(&w->map, true), true);
}

/* ---- changing it */

static void overwrite(struct work *w)
{
	struct gm_config_room room;
	struct gm_admin_map map = w->map, now;
	struct gm_config_names names;

	if (!names_only(w, NEVER | FIXED | GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF)))
		return;
	gm_config_read(w->t->core, w->group, &room, &now);
	gm_admin_overlay(&map, &now, FIXED);
	gm_config_complete(&map);
	struct gm_fault fault = gm_config_settle(w->t, w->group, &w->map, &map, &names);
	if (fault.err != GM_E_OK) {
		refuse_fault(w, fault, false);
		return;
	}
	gm_config_apply(w->t, w->group, &map);
	answer_map(w, GM_COAP(2, 4), w->group, told_after(&w->map, true), false);
}

static const char *bad_diff(const struct work *w)
{
	if (!w->map.has)
		return "nothing to change";
	if (!(w->map.has & GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF)))
		return NULL;
	if (w->map.has & GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS))
		return "app_groups and app_groups_diff exclude each other";
	if (!w->map.del.n && !w->map.add.n)
		return "app_groups_diff: nothing to change";
	if (w->call->ev->method == 7 && gm_admin_names_meet(w->map.del, w->map.add))
		return "app_groups_diff: a name to delete and to add";
	return NULL;
}

static void patch(struct work *w)
{
	if (!names_only(w, NEVER | FIXED))
		return;
	const char *why = bad_diff(w);
	if (why) {
		refuse(w, GM_E_RANGE, why);
		return;
	}
	struct gm_fault fault = gm_config_patch(w->t, w->group, &w->map);
	if (fault.err != GM_E_OK)
		refuse_fault(w, fault, true);
	else
		answer_map(w, GM_COAP(2, 4), w->group, told_after(&w->map, false), false);
}

static void delete(struct work *w)
{
	struct gm_bytes none = {0};

	if (w->group->spec.active) {
		refuse(w, GM_E_GROUP_ACTIVE, NULL);
		return;
	}
	enum gm_err err = gm_core_group_delete(w->t->core, w->t->txn, w->group->spec.name);
	if (err == GM_E_OK)
		gm_reply(w->t, w->call->ev, GM_COAP(2, 2), GM_REPLY_SAVE, GM_CF_NONE, none);
	else
		refuse(w, err, NULL);
}

/* ---- who may, and the table */

static const struct row {
	uint8_t res, method;
	bool map; /* the payload is a map of parameters */
	uint32_t perm; /* in an entry that matches the group's name; 0: every administrator */
	void (*handle)(struct work *w);
} rows[] = {
	{GM_RES_MANAGE,       1, false, 0,              list_groups},
	{GM_RES_MANAGE,       5, true,  0,              list_some},
	{GM_RES_MANAGE,       2, true,  GM_PERM_CREATE, create},
	{GM_RES_MANAGE_GROUP, 1, false, GM_PERM_READ,   show},
	{GM_RES_MANAGE_GROUP, 5, false, GM_PERM_READ,   show_some},
	{GM_RES_MANAGE_GROUP, 2, true,  GM_PERM_WRITE,  overwrite},
	{GM_RES_MANAGE_GROUP, 6, true,  GM_PERM_WRITE,  patch},
	{GM_RES_MANAGE_GROUP, 7, true,  GM_PERM_WRITE,  patch},
	{GM_RES_MANAGE_GROUP, 4, false, GM_PERM_DELETE, delete},
};

static const struct row *find_row(const struct gm_ev_request *ev)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].res == ev->res && rows[i].method == ev->method)
			return &rows[i];
	return NULL;
}

/* TARGETNAME of GA §6: a group to be made stands in the payload, the others in the path. */
static struct gm_bytes target(const struct work *w)
{
	const struct gm_ev_request *ev = w->call->ev;

	return ev->res == GM_RES_MANAGE_GROUP ? gm_rec_bytes(ev, ev->group) : w->map.group_name;
}

static enum gm_err read_payload(struct work *w, const struct row *row, const char **why)
{
	const struct gm_ev_request *ev = w->call->ev;
	enum gm_admin_param at;

	if ((row->map || row->handle == show_some) && ev->content_format != GM_CF_NONE &&
	    ev->content_format != CF_GROUPCOMM)
		return GM_E_BAD_FORMAT;
	if (!row->map)
		return GM_E_OK;
	enum gm_err err = gm_admin_decode(w->payload, &w->map, &at);
	if (err != GM_E_OK) {
		*why = gm_admin_name(at);
		return err;
	}
	if (row->handle != create)
		return GM_E_OK;
	*why = gm_admin_name(GM_ADMIN_GROUP_NAME);
	return w->map.group_name.n ? GM_E_OK : GM_E_MISSING;
}

/* If-Match: one of them is the ETag of the configuration, or has no bytes and there is one. RFC 7252 §5.10.8.1 */
static enum gm_err check_match(const struct work *w)
{
	const struct gm_ev_request *ev = w->call->ev;
	bool met = !ev->if_match_n;

	for (unsigned i = 0; i < ev->if_match_n && w->group && !met; i++) {
		struct gm_bytes wanted = gm_rec_bytes(ev, ev->if_match[i]);
		uint64_t tag = etag_now(w);
		met = wanted.n == 0 || gm_bytes_eq(wanted, (struct gm_bytes){(const uint8_t *)&tag, sizeof(tag)});
	}
	return met ? GM_E_OK : GM_E_PRECONDITION;
}

/* Rights come first, so that names and forms are not probed; but a name that is to be made has to be read for them. */
static enum gm_err check(struct work *w, const struct row *row, const char **why)
{
	bool create_one = row && row->handle == create;

	if (!gm_admin_scope(w->scope))
		return GM_E_UNAUTHORIZED;
	if (create_one)
		GM_TRY(read_payload(w, row, why));
	if (w->call->ev->res == GM_RES_MANAGE_GROUP || create_one) {
		uint32_t given = gm_admin_perms(w->scope, target(w));
		if (!given || (row && !(given & row->perm)))
			return GM_E_FORBIDDEN;
	}
	if (!row)
		return GM_E_METHOD;
	if (w->call->ev->res == GM_RES_MANAGE_GROUP) {
		w->group = gm_groups_find(w->t->core, target(w));
		GM_TRY(check_match(w));
		if (!w->group)
			return GM_E_NOT_FOUND;
	}
	return create_one ? GM_E_OK : read_payload(w, row, why);
}

void gm_manage_request(struct gm_turn *t, const struct gm_call *call)
{
	const struct row *row = find_row(call->ev);
	struct work w = {
	    .t = t,
	    .call = call,
	    .scope = gm_assoc_scope(t->core, call->assoc),
	    .payload = gm_rec_bytes(call->ev, call->ev->payload),
	};
	const char *why = NULL;
	enum gm_err err = check(&w, row, &why);

	if (err == GM_E_OK)
		row->handle(&w);
	else
		refuse(&w, err, why);
}
