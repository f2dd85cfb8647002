/* SPDX-License-Identifier: Apache-2.0 */
/* Resources that only read. RFC 9594 §4, KG §9 */
#include "core/state.h"
#include "wire/resources.h"

#include <stdlib.h>

#define CONTENT GM_COAP(2, 5)
#define CF_CBOR 60
#define CF_GROUPCOMM 261

void gm_read_num(struct gm_turn *t, struct gm_call *call)
{
	uint8_t body[16];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_num_encode(&o, call->group->version);
	gm_reply(t, call->ev, CONTENT, 0, CF_CBOR, gm_out_result(&o));
}

void gm_read_policies(struct gm_turn *t, struct gm_call *call)
{
	struct gm_policies policies = {call->group->check_interval, call->group->expiration_delta};
	uint8_t body[32];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_policies_encode(&o, &policies);
	gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, gm_out_result(&o));
}

/* The sets of the versions from first on, each Sender ID once; malloc()ed into *out. */
static size_t stale_union(const struct gm_group *g, uint64_t first, uint8_t **out)
{
	struct gm_map told = {0};
	uint32_t total = 0;
	uint8_t head[9];

	for (uint64_t v = first; v <= g->version; v++)
		total += gm_stale_of(g, v)->n;
	size_t cap = (size_t)total * (g->sid_len + 1u) + sizeof(head);
	uint8_t *mem = gm_must_alloc(NULL, cap);
	struct gm_out items = gm_out(mem + sizeof(head), cap - sizeof(head)), count = gm_out(head, sizeof(head));
	for (uint64_t v = first; v <= g->version; v++) {
		const struct gm_stale_set *s = gm_stale_of(g, v);
		for (uint32_t i = 0; i < s->n; i++) {
			const uint8_t *sid = s->sids + (size_t)i * g->sid_len;
			if (gm_map_find(&told, gm_sid_key(sid, g->sid_len), NULL, NULL))
				continue;
			gm_map_add(&told, gm_sid_key(sid, g->sid_len), 1);
			gm_cbor_put_bstr(&items, sid, g->sid_len);
		}
	}
	gm_cbor_put_array(&count, told.n);
	gm_map_free(&told);
	memmove(mem + gm_out_len(&count), items.start, gm_out_len(&items));
	memcpy(mem, head, gm_out_len(&count));
	*out = mem;
	return gm_out_len(&count) + gm_out_len(&items);
}

void gm_read_stale_sids(struct gm_turn *t, struct gm_call *call)
{
	const struct gm_group *g = call->group;
	uint64_t held;
	uint8_t *body;

	if (gm_num_decode(gm_rec_bytes(call->ev, call->ev->payload), &held) != GM_E_OK || held >= g->version) {
		gm_reply_err(t, call->ev, GM_E_MALFORMED);
		return;
	}
	if (held < g->stale_first) { /* one of the sets it needs is gone: forget everything */
		gm_reply(t, call->ev, CONTENT, 0, GM_CF_NONE, (struct gm_bytes){0});
		return;
	}
	size_t n = stale_union(g, held, &body);
	gm_reply_big(t, call->ev, CONTENT, CF_CBOR, body, n);
}

/* ---- credentials: members are chosen, then written column by column */

struct chosen { /* in scratch memory */
	const struct gm_member **m;
	uint32_t n;
};

static struct chosen choose_none(const struct gm_turn *t, size_t room)
{
	return (struct chosen){(void *)gm_scratch(t->core, (room + 1) * sizeof(struct gm_member *)), 0};
}

typedef bool (*takes_member)(const void *arg, const struct gm_member *m);

static struct chosen choose(const struct gm_turn *t, const struct gm_group *g, takes_member takes, const void *arg)
{
	struct chosen c = choose_none(t, g->members);

	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		const struct gm_member *m = gm_groups_slot(t->core, g, slot);
		if (m && m->cred_n && takes(arg, m))
			c.m[c.n++] = m;
	}
	return c;
}

static size_t columns_size(const struct chosen *c)
{
	size_t n = 64;

	for (uint32_t i = 0; i < c->n; i++)
		n += c->m[i]->cred_n + 3u + 2u + GM_SID_MAX + 1u;
	return n;
}

struct rows {
	const struct gm_core *core;
	const struct chosen *of;
};

static struct gm_cred_row row_at(const void *arg, uint32_t i)
{
	const struct rows *rows = arg;
	const struct gm_member *m = rows->of->m[i];

	return (struct gm_cred_row){gm_members_cred(rows->core, m), {m->sid, m->sid_n}, m->roles};
}

static void put_columns(struct gm_out *o, const struct gm_core *core, const struct chosen *c)
{
	gm_creds_put_rows(o, c->n, row_at, &(struct rows){core, c});
}

struct joiner_wants {
	const struct gm_member *joiner;
	const struct gm_ev_join *join;
};

static bool joiner_takes(const void *arg, const struct gm_member *m)
{
	const struct joiner_wants *w = arg;
	const struct gm_ev_join *j = w->join;
	uint32_t needed = 0;

	if (m == w->joiner)
		return false;
	if (j->get_creds == GM_CREDS_NEEDED) {
		if (j->roles & GM_ROLE_REQUESTER)
			needed |= GM_ROLE_RESPONDER;
		if (j->roles & (GM_ROLE_RESPONDER | GM_ROLE_MONITOR))
			needed |= GM_ROLE_REQUESTER;
		return (m->roles & needed) != 0;
	}
	for (uint8_t i = 0; i < j->role_filter_n; i++)
		if ((m->roles & j->role_filter[i]) == j->role_filter[i])
			return true;
	return false;
}

size_t gm_creds_for_joiner(struct gm_turn *t, const struct gm_call *call, const struct gm_member *joiner, uint8_t **out)
{
	struct joiner_wants wants = {joiner, &call->ev->join};
	struct chosen c = choose(t, call->group, joiner_takes, &wants);
	size_t cap = columns_size(&c);
	struct gm_out o = gm_out(gm_must_alloc(NULL, cap), cap);

	put_columns(&o, t->core, &c);
	*out = o.start;
	return gm_out_len(&o);
}

void gm_creds_of_joiners(struct gm_turn *t, const struct gm_group *g, struct gm_out *out)
{
	const struct gm_member *m[GM_JOINERS_MAX];
	struct chosen c = {.m = m};

	for (uint32_t i = 0; i < g->joiners_n && g->joiners_n <= GM_JOINERS_MAX; i++)
		if ((m[c.n] = gm_groups_slot(t->core, g, g->joiners[i])) && m[c.n]->sid_n)
			c.n++;
	if (c.n)
		put_columns(out, t->core, &c);
}

static void answer_creds(struct gm_turn *t, const struct gm_call *call, const struct chosen *c)
{
	size_t cap = columns_size(c) + 16;
	struct gm_out o = gm_out(gm_must_alloc(NULL, cap), cap);

	gm_creds_answer_rows(&o, call->group->version, c->n, row_at, &(struct rows){t->core, c});
	gm_reply_big(t, call->ev, CONTENT, CF_GROUPCOMM, o.start, gm_out_len(&o));
}

static bool takes_all(const void *arg, const struct gm_member *m)
{
	(void)arg;
	(void)m;
	return true;
}

void gm_read_creds(struct gm_turn *t, struct gm_call *call)
{
	struct chosen all = choose(t, call->group, takes_all, NULL);

	answer_creds(t, call, &all);
}

struct wanted { /* a filter whose Sender IDs can be looked up */
	struct gm_creds_filter roles, whole;
	struct gm_map ids;
};

static bool filter_takes(const void *arg, const struct gm_member *m)
{
	const struct wanted *w = arg;
	struct gm_bytes none = {0};
	bool fits = gm_creds_filter_takes(&w->roles, m->roles, none);
	bool named = gm_map_find(&w->ids, gm_sid_key(m->sid, m->sid_n), NULL, NULL) != GM_MAP_NONE;

	if (!w->whole.ids.n)
		return fits;
	return w->whole.include ? fits || named : (!w->whole.roles_n || fits) && !named;
}

static struct chosen choose_by_filter(struct gm_turn *t, const struct gm_group *g, const struct gm_creds_filter *f)
{
	struct wanted w = {.roles = *f, .whole = *f};
	struct gm_list ids = f->ids;
	struct gm_bytes id;

	w.roles.ids = (struct gm_list){0};
	while (gm_list_bstr(&ids, &id))
		if (id.n == g->sid_len)
			gm_map_add(&w.ids, gm_sid_key(id.p, g->sid_len), 1);
	struct chosen c = choose(t, g, filter_takes, &w);
	gm_map_free(&w.ids);
	return c;
}

static bool is_chosen(const struct chosen *c, const struct gm_member *m)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->m[i] == m)
			return true;
	return false;
}

/* Who meets an unknown Sender ID asks for its credential. Workers answer that themselves, from the roster: here they come
 * where it changes under them, and for what is too long for it. */
static struct chosen choose_named(struct gm_turn *t, const struct gm_group *g, struct gm_list ids)
{
	struct chosen c = choose_none(t, ids.n);
	struct gm_bytes id;

	while (gm_list_bstr(&ids, &id)) {
		const struct gm_member *m = id.n == g->sid_len ? gm_members_by_sid(t->core, g, id.p) : NULL;
		if (m && m->cred_n && !is_chosen(&c, m))
			c.m[c.n++] = m;
	}
	return c;
}

void gm_read_some_creds(struct gm_turn *t, struct gm_call *call)
{
	struct gm_creds_filter f;

	enum gm_err err = gm_creds_filter_decode(gm_rec_bytes(call->ev, call->ev->payload), &f);
	if (err != GM_E_OK) {
		gm_reply_err(t, call->ev, err == GM_E_TOO_LARGE ? err : GM_E_MALFORMED);
		return;
	}
	struct chosen c = gm_creds_filter_names(&f) ? choose_named(t, call->group, f.ids) : choose_by_filter(t, call->group, &f);
	if (c.n)
		answer_creds(t, call, &c);
	else
		gm_reply_nothing(t, call->ev);
}

/* ---- the Group Manager's credential; what verifiers need: the worker signs and derives */

static void tell_kdc_cred(struct gm_turn *t, const struct gm_call *call, struct gm_bytes cnonce)
{
	unsigned w = call->ev->rec.worker;
	struct gm_eff_kdc_cred *e = gm_effects_add(t->txn->effects, w, GM_EFF_KDC_CRED, sizeof(*e));

	e->xid = call->ev->xid;
	e->ctx = call->ev->ctx;
	e->group = call->group->index;
	gm_dice(t->txn, e->kdc_nonce, sizeof(e->kdc_nonce));
	struct gm_slice s = gm_effects_append(t->txn->effects, w, cnonce.p, cnonce.n);
	((struct gm_eff_kdc_cred *)gm_effects_last(t->txn->effects, w))->cnonce = s;
	if (call->group->spec.params.group_mode || !call->member)
		return;
	struct gm_bytes cred = gm_members_cred(t->core, call->member);
	s = gm_effects_append(t->txn->effects, w, cred.p, cred.n);
	((struct gm_eff_kdc_cred *)gm_effects_last(t->txn->effects, w))->cred = s;
}

void gm_read_kdc_cred(struct gm_turn *t, struct gm_call *call)
{
	tell_kdc_cred(t, call, gm_members_parts(t->core, call->member).cnonce);
}

void gm_read_kdc_cred_fresh(struct gm_turn *t, struct gm_call *call)
{
	struct gm_bytes cnonce;

	if (!call->group->spec.params.group_mode)
		gm_reply_err(t, call->ev, GM_E_NO_SIGNATURES);
	else if (gm_cnonce_decode(gm_rec_bytes(call->ev, call->ev->payload), &cnonce) != GM_E_OK)
		gm_reply_err(t, call->ev, GM_E_MALFORMED);
	else
		tell_kdc_cred(t, call, cnonce);
}

void gm_read_verif_data(struct gm_turn *t, struct gm_call *call)
{
	if (!call->group->spec.params.group_mode) {
		gm_reply_err(t, call->ev, GM_E_NO_SIGNATURES);
		return;
	}
	struct gm_eff_verif_data *e =
	    gm_effects_add(t->txn->effects, call->ev->rec.worker, GM_EFF_VERIF_DATA, sizeof(*e));
	e->xid = call->ev->xid;
	e->ctx = call->ev->ctx;
	e->group = call->group->index;
}

/* ---- /ace-group: Gid to name, of groups that the token or a membership opens */

#define NAMES_MAX 32u

static bool may_know(const struct gm_core *c, const struct gm_call *call, struct gm_bytes name)
{
	const struct gm_group *g = gm_groups_find(c, name);

	return g && !gm_ident_bar(c, call->ident, name) && gm_scope_allows(gm_assoc_scope(c, call->assoc), name, 0);
}

void gm_read_groups(struct gm_turn *t, struct gm_call *call)
{
	struct gm_group_name found[NAMES_MAX];
	unsigned n = 0;
	struct gm_list gids;
	struct gm_bytes gid;
	uint8_t body[NAMES_MAX * (2 * GM_GROUP_NAME_MAX * 3 + 32)];
	struct gm_out o = gm_out(body, sizeof(body));

	if (gm_gids_decode(gm_rec_bytes(call->ev, call->ev->payload), &gids) != GM_E_OK) {
		gm_reply_err(t, call->ev, GM_E_MALFORMED);
		return;
	}
	while (n < NAMES_MAX && gm_list_bstr(&gids, &gid)) {
		const struct gm_group *g = gm_groups_by_gid(t->core, gid);
		if (!g)
			continue;
		struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};
		if (may_know(t->core, call, name))
			found[n++] = (struct gm_group_name){gid, name};
	}
	gm_group_names_encode(&o, found, n);
	gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, gm_out_result(&o));
}
