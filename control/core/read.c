/* SPDX-License-Identifier: Apache-2.0 */
/* Resources that only read. requirements §2.3 */
#include "core/state.h"
#include "wire/cbor.h"

#include <stdlib.h>

#define CONTENT GM_COAP(2, 5)
#define CF_CBOR 60
#define CF_GROUPCOMM 261
#define ANSWER_MAX 60000u /* has to fit a record between threads */

void gm_read_num(struct gm_turn *t, struct gm_call *call)
{
	uint8_t body[16];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_cbor_put_uint(&o, call->group->version);
	gm_reply(t, call->ev, CONTENT, 0, CF_CBOR, gm_out_result(&o));
}

void gm_read_active(struct gm_turn *t, struct gm_call *call)
{
	uint8_t body[1];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_cbor_put_bool(&o, call->group->spec.active);
	gm_reply(t, call->ev, CONTENT, 0, CF_CBOR, gm_out_result(&o));
}

void gm_read_policies(struct gm_turn *t, struct gm_call *call)
{
	uint8_t body[32];
	struct gm_out o = gm_out(body, sizeof(body));

	gm_cbor_put_map(&o, 1);
	gm_cbor_put_uint(&o, 16);
	gm_cbor_put_map(&o, 2);
	gm_cbor_put_uint(&o, 1);
	gm_cbor_put_uint(&o, call->group->check_interval);
	gm_cbor_put_uint(&o, 2);
	gm_cbor_put_uint(&o, call->group->expiration_delta);
	gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, gm_out_result(&o));
}

/* The sets of the versions from first on, each Sender ID once. */
static struct gm_bytes stale_union(struct gm_turn *t, const struct gm_group *g, uint64_t first)
{
	struct gm_map told = {0};
	uint32_t total = 0;
	uint8_t head[9];

	for (uint64_t v = first; v <= g->version; v++)
		total += gm_stale_of(g, v)->n;
	size_t cap = (size_t)total * (g->sid_len + 1u) + sizeof(head);
	uint8_t *mem = gm_scratch(t->core, cap);
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
	uint8_t *start = mem + sizeof(head) - gm_out_len(&count);
	memcpy(start, head, gm_out_len(&count));
	return (struct gm_bytes){start, gm_out_len(&count) + gm_out_len(&items)};
}

void gm_read_stale_sids(struct gm_turn *t, struct gm_call *call)
{
	const struct gm_group *g = call->group;
	struct gm_in in = gm_in_bytes(gm_rec_bytes(call->ev, call->ev->payload));
	uint64_t held = gm_cbor_uint(&in);
	struct gm_bytes none = {0};

	if (gm_cbor_end(&in) != GM_E_OK || held >= g->version) {
		gm_reply_err(t, call->ev, GM_E_MALFORMED);
		return;
	}
	if (held < g->stale_first) { /* one of the sets it needs is gone: forget everything */
		gm_reply(t, call->ev, CONTENT, 0, GM_CF_NONE, none);
		return;
	}
	struct gm_bytes body = stale_union(t, g, held);
	if (body.n > ANSWER_MAX)
		gm_reply(t, call->ev, CONTENT, 0, GM_CF_NONE, none);
	else
		gm_reply(t, call->ev, CONTENT, 0, CF_CBOR, body);
}

/* ---- credentials */

static bool passes(const struct gm_creds_filter *f, const struct gm_member *m)
{
	uint32_t needed = 0;

	if (m == f->except || m->cred.n == 0)
		return false;
	if (f->asked == GM_CREDS_NEEDED) {
		if (f->roles & GM_ROLE_REQUESTER)
			needed |= GM_ROLE_RESPONDER;
		if (f->roles & (GM_ROLE_RESPONDER | GM_ROLE_MONITOR))
			needed |= GM_ROLE_REQUESTER;
		return (m->roles & needed) != 0;
	}
	for (uint8_t i = 0; f->asked == GM_CREDS_ROLES && i < f->filter_n; i++)
		if ((m->roles & f->filter[i]) == f->filter[i])
			return true;
	return f->asked == GM_CREDS_NO; /* all */
}

enum column { COLUMN_CREDS, COLUMN_ROLES, COLUMN_SIDS, COLUMN_N };

static void put_cell(struct gm_out *o, const struct gm_member *m, enum column column)
{
	struct gm_bytes cred = gm_blob(m->blob, m->cred);

	if (column == COLUMN_CREDS)
		gm_cbor_put_bstr(o, cred.p, cred.n);
	else if (column == COLUMN_ROLES)
		gm_cbor_put_uint(o, m->roles);
	else
		gm_cbor_put_bstr(o, m->sid, m->sid_n);
}

size_t gm_creds_encode(const struct gm_core *c, const struct gm_group *g, const struct gm_creds_filter *f,
                       uint8_t **out)
{
	size_t cap = 64;
	uint64_t n = 0;

	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		const struct gm_member *m = gm_groups_slot(c, g, slot);
		if (m && passes(f, m)) {
			cap += m->cred.n + 3u + 2u + GM_SID_MAX + 1u;
			n++;
		}
	}
	struct gm_out o = gm_out(gm_must_alloc(NULL, cap), cap);
	for (enum column column = COLUMN_CREDS; column < COLUMN_N; column++) {
		gm_cbor_put_uint(&o, 13 + column);
		gm_cbor_put_array(&o, n);
		for (uint32_t slot = 0; slot < g->slots_n; slot++) {
			const struct gm_member *m = gm_groups_slot(c, g, slot);
			if (m && passes(f, m))
				put_cell(&o, m, column);
		}
	}
	*out = o.start;
	return gm_out_len(&o);
}

void gm_read_creds(struct gm_turn *t, struct gm_call *call)
{
	struct gm_creds_filter all = {.asked = GM_CREDS_NO};
	uint8_t *pairs;
	size_t n = gm_creds_encode(t->core, call->group, &all, &pairs);
	struct gm_out o = gm_out(gm_scratch(t->core, n + 16), n + 16);

	gm_cbor_put_map(&o, 4);
	gm_cbor_put_uint(&o, 9);
	gm_cbor_put_uint(&o, call->group->version);
	gm_out_bytes(&o, pairs, n);
	free(pairs);
	if (gm_out_len(&o) > ANSWER_MAX)
		gm_reply_err(t, call->ev, GM_E_FULL);
	else
		gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, gm_out_result(&o));
}

/* ---- /ace-group: Gid to name, of groups that the token or a membership opens */

static struct gm_group *group_by_gid(const struct gm_core *c, struct gm_bytes gid)
{
	for (uint32_t i = 0; i < c->groups_n; i++)
		if (c->groups[i] && gm_bytes_eq(gid, (struct gm_bytes){c->groups[i]->gid, c->groups[i]->gid_n}))
			return c->groups[i];
	return NULL;
}

#define GIDS_MAX 16u

static bool take_gids(struct gm_bytes payload, struct gm_bytes gid[static GIDS_MAX], uint64_t *n)
{
	struct gm_in in = gm_in_bytes(payload);
	uint64_t pairs = gm_cbor_map(&in);

	*n = 0;
	for (uint64_t i = 0; i < pairs && in.err == GM_E_OK; i++) {
		struct gm_bytes label = gm_cbor_item(&in);
		if (label.n != 1 || label.p[0] != 0) {
			gm_cbor_skip(&in);
			continue;
		}
		uint64_t elements = gm_cbor_array(&in);
		for (uint64_t k = 0; k < elements && in.err == GM_E_OK; k++) {
			struct gm_bytes b = gm_cbor_bstr(&in);
			if (*n < GIDS_MAX)
				gid[(*n)++] = b;
		}
	}
	return gm_cbor_end(&in) == GM_E_OK && *n > 0;
}

void gm_read_groups(struct gm_turn *t, struct gm_call *call)
{
	struct gm_bytes gid[GIDS_MAX], scope = gm_blob(call->assoc->blob, call->assoc->scope);
	const struct gm_group *found[GIDS_MAX];
	uint64_t n = 0;
	unsigned found_n = 0;
	uint8_t body[GIDS_MAX * 180];
	struct gm_out o = gm_out(body, sizeof(body));

	if (!take_gids(gm_rec_bytes(call->ev, call->ev->payload), gid, &n)) {
		gm_reply_err(t, call->ev, GM_E_MALFORMED);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		const struct gm_group *g = group_by_gid(t->core, gid[i]);
		if (g &&
		    gm_scope_allows(scope, (struct gm_bytes){(const uint8_t *)g->spec.name, strlen(g->spec.name)}, 0))
			found[found_n++] = g;
	}
	if (found_n == 0) {
		gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, (struct gm_bytes){(const uint8_t *)"\x40", 1});
		return;
	}
	gm_cbor_put_map(&o, 3);
	gm_cbor_put_uint(&o, 0);
	gm_cbor_put_array(&o, found_n);
	for (unsigned i = 0; i < found_n; i++)
		gm_cbor_put_bstr(&o, found[i]->gid, found[i]->gid_n);
	gm_cbor_put_uint(&o, 1);
	gm_cbor_put_array(&o, found_n);
	for (unsigned i = 0; i < found_n; i++)
		gm_cbor_put_text(&o, found[i]->spec.name);
	gm_cbor_put_uint(&o, 2);
	gm_cbor_put_array(&o, found_n);
	for (unsigned i = 0; i < found_n; i++) {
		char uri[GM_GROUP_NAME_MAX + 16] = "/ace-group/";
		strcat(uri, found[i]->spec.name);
		gm_cbor_put_text(&o, uri);
	}
	gm_reply(t, call->ev, CONTENT, 0, CF_GROUPCOMM, gm_out_result(&o));
}
