/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/config_change.h"
#include "core/device.h"
#include "core/schedule.h"
#include "core/state.h"

void lines_add(struct lines *l, const char *format, ...)
{
	va_list ap;

	if (l->n == l->cap)
		l->at = realloc(l->at, (l->cap = l->cap ? 2 * l->cap : 64) * sizeof(*l->at));
	va_start(ap, format);
	if (vasprintf(&l->at[l->n++], format, ap) < 0)
		abort();
	va_end(ap);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void lines_sort(struct lines *l)
{
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), by_text);
}

void lines_free(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i]);
	free(l->at);
	*l = (struct lines){0};
}

/* Good until the eighth call from here. */
static const char *hex(const void *p, size_t n)
{
	static char *text[8];
	static unsigned turn;
	char **to = &text[turn++ % 8];

	*to = realloc(*to, 2 * n + 1);
	(*to)[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(*to + 2 * i, 3, "%02x", ((const uint8_t *)p)[i]);
	return *to;
}

static const char *hex_of(struct gm_bytes b)
{
	return hex(b.p, b.n);
}

/* ---- a core */

static const char *ident_text(const struct gm_core *c, uint32_t id)
{
	static char text[128];
	const struct gm_ident *i = gm_ident_at(c, id);

	snprintf(text, sizeof(text), "%u:%s", i->as_id, hex_of(gm_ident_osc_id(c, i)));
	return text;
}

static void of_servers(struct lines *l, const struct gm_core *c)
{
	lines_add(l, "next as %u forgotten %lld revoked %u", c->next_as, (long long)c->forgotten, c->revoked.used);
	for (unsigned i = 0; i < c->ases_n; i++) {
		const struct gm_as *as = &c->ases[i];
		lines_add(l, "as %u at %u %s ages %u ended %d %llu %s", as->id, i, as->spec.name, as->ages.n, as->ended.any,
		          (unsigned long long)as->ended.seq, hex(as->spec.key.key, as->spec.key.key_n));
	}
	for (unsigned i = 0; i < c->gone_n; i++)
		lines_add(l, "gone %u at %lld ended %d %llu %s", c->gone[i].id, (long long)c->gone[i].at, c->gone[i].ended.any,
		          (unsigned long long)c->gone[i].ended.seq, hex(c->gone[i].key, sizeof(c->gone[i].key)));
	for (uint32_t id = 1; id <= c->revoked.made; id++) {
		const struct gm_revoked *r = gm_slab_at(&c->revoked, id);
		if (r->self == id && gm_revoked_find(c, r->as_id, r->hash) == r)
			lines_add(l, "revoked %u %s exp %lld age %llu timer %d", r->as_id, hex(r->hash, sizeof(r->hash)), (long long)r->exp,
			          (unsigned long long)r->age.at, r->expiry.pos != 0);
	}
	for (uint32_t id = 1; id <= c->seen.made; id++) {
		const struct gm_seen *s = gm_slab_at(&c->seen, id);
		if (s->expiry.pos)
			lines_add(l, "seen %u %llu exp %lld", s->as_id, (unsigned long long)s->seq, (long long)s->exp);
	}
}

static void of_sids(struct lines *l, const struct gm_core *c, const struct gm_group *g)
{
	for (uint32_t i = 0; i < g->sids.cap; i++) {
		const struct gm_map_cell *cell = &g->sids.at[i];
		if (cell->value == GM_MAP_NONE || cell->value == GM_MAP_DEAD)
			continue;
		const struct gm_member *m = cell->value == GM_SID_BURNED ? NULL : gm_slab_at(&c->members, cell->value);
		lines_add(l, "group %u sid %x of %d", g->index, cell->key, m ? (int)m->slot : -1);
	}
	for (uint64_t v = g->stale_first; v <= g->version; v++)
		lines_add(l, "group %u stale %llu %s", g->index, (unsigned long long)v, hex(gm_stale_of(g, v)->sids, gm_stale_of(g, v)->n * g->sid_len));
}

static void of_members(struct lines *l, const struct gm_core *c, const struct gm_group *g)
{
	for (uint32_t slot = 0; slot < g->slots_n; slot++) {
		const struct gm_member *m = gm_groups_slot(c, g, slot);
		if (!m)
			continue;
		struct gm_member_parts p = gm_members_parts(c, m);
		lines_add(l, "member %u/%u %s %s sid %s roles %u joined %lld v%llu control %d %u parts %s %s %s %s", g->index, slot, m->node,
		          ident_text(c, m->ident), hex(m->sid, m->sid_n), m->roles, (long long)m->joined, (unsigned long long)m->version,
		          m->has_control, m->control_port, hex_of(p.cred), hex_of(p.cnonce), hex_of(p.path), hex_of(p.scope));
		if (gm_ident_member(c, gm_ident_at(c, m->ident), g->index) != m)
			lines_add(l, "member %u/%u is not its identity's", g->index, slot);
		for (unsigned of = 0; of < GM_OBS_N; of++) {
			struct gm_observation obs = gm_members_obs(c, m, of);
			lines_add(l, "member %u/%u observes %u %s", g->index, slot, of, hex(&obs, sizeof(obs)));
		}
	}
}

static void of_group(struct lines *l, const struct gm_core *c, struct gm_group *g)
{
	struct gm_bytes name = {(const uint8_t *)g->spec.name, strlen(g->spec.name)};

	lines_add(l, "group %u %s gen %u v%llu stale from %llu of %u gid %s ms %s salt %s kdc %s %s found %d %d", g->index, g->spec.name, g->gen,
	          (unsigned long long)g->version, (unsigned long long)g->stale_first, g->spec.max_stale_sets, hex(g->gid, g->gid_n),
	          hex(g->ms, sizeof(g->ms)), hex(g->salt, sizeof(g->salt)), hex(g->kdc_seed, sizeof(g->kdc_seed)), hex(g->kdc_cred, g->kdc_cred_n),
	          gm_groups_find(c, name) == g, gm_groups_by_gid(c, (struct gm_bytes){g->gid, g->gid_n}) == g);
	lines_add(l, "group %u params %s max %u sid_len %u exp %lld created %lld rekeyed %lld %u active %d every %u life %u backward %d", g->index,
	          hex(&g->spec.params, sizeof(g->spec.params)), g->spec.max_members, g->sid_len, (long long)g->exp, (long long)g->created,
	          (long long)g->last_rekey, g->last_reason, g->spec.active, g->spec.rekey_every_s, g->spec.key_lifetime_s, g->spec.backward);
	lines_add(l, "group %u members %u waiting %u sids %u reason %u distributing %d owed %u config %llu untold %lld keys %d %llu rekey %d", g->index,
	          g->members, g->waiting, g->sids.n, g->reason, g->distributing, g->owed, (unsigned long long)g->config_num, (long long)g->untold_exp, g->keys.pos != 0,
	          (unsigned long long)(g->keys.pos ? g->keys.at : 0), g->rekey.pos != 0);
	lines_add(l, "group %u about %s", g->index, g->about ? hex(g->about, sizeof(*g->about)) : "-");
	for (uint32_t slot = g->free_first, n = 0; slot; slot = g->slots[slot - 1] & ~GM_SLOT_FREE, n++)
		lines_add(l, "group %u free slot %u is %u", g->index, n, slot - 1);
	lines_add(l, "group %u slots %u", g->index, g->slots_n);
	of_sids(l, c, g);
	of_members(l, c, g);
}

static void of_contexts(struct lines *l, const struct gm_core *c)
{
	for (unsigned shard = 0; shard < GM_SHARDS; shard++) {
		for (uint32_t slot = 0; slot < c->ctx_cap[shard]; slot++) {
			const struct gm_assoc *a = gm_assoc_at(c, c->ctx[shard][slot]);
			struct gm_ctx_save save = {0};
			if (!a)
				continue;
			gm_assoc_ctx(c, a, &save);
			lines_add(l, "ctx %08x %s exp %lld exi %lld closing %d current %d timer %d hash %s scope %s cti %s save %s found %d", a->save.id,
			          ident_text(c, a->ident), (long long)a->exp, (long long)a->exi, a->closing, gm_ident_at(c, a->ident)->assoc == a->self,
			          a->expiry.pos != 0, hex(a->hash, sizeof(a->hash)), hex_of(gm_assoc_scope(c, a)), hex_of(gm_assoc_cti(c, a)),
			          hex(&save, sizeof(save)), gm_assoc_by_hash(c, 0, a->hash) != NULL);
		}
	}
}

static void of_bars(struct lines *l, const struct gm_core *c)
{
	for (uint32_t id = 1; id <= c->bars.made; id++) {
		const struct gm_bar *b = gm_slab_at(&c->bars, id);
		if (b->expiry.pos)
			lines_add(l, "bar %s group %s until %lld found %d", ident_text(c, b->ident), hex(b->group, b->group_n), (long long)b->until,
			          gm_ident_bar(c, gm_ident_at(c, b->ident), (struct gm_bytes){b->group, b->group_n}) == b);
	}
	for (uint32_t id = 1; id <= c->idents.made; id++) {
		const struct gm_ident *i = gm_ident_at(c, id);
		if (i->self == id && (i->assoc || i->members || i->bars || i->closing))
			lines_add(l, "ident %s context %d closing %u", ident_text(c, id), i->assoc != 0, i->closing);
	}
}

static bool a_device(void *arg, uint32_t number, const struct gm_device_spec *spec)
{
	char key[GM_DEVICE_KEY_TEXT];

	(void)number;
	lines_add(arg, "device %s %s in %u, first %s", gm_device_key_text(&spec->key, key), spec->name, spec->groups_n, spec->groups[0].group);
	return true;
}

static bool a_schedule(void *arg, const struct gm_schedule_info *info)
{
	lines_add(arg, "schedule %s of %s %s", info->spec->name, info->spec->groups, info->state);
	return true;
}

void lines_of_core(struct lines *l, const struct gm_core *c)
{
	struct gm_txn txn = {.wall_s = 1};

	lines_add(l, "groups %u %u contexts %u members %u idents %u bars %u seen %u timers %u %u maps %u %u %u %u %u %u devices %u", c->count.groups,
	          c->group_mem.used, c->assocs.used, c->members.used, c->idents.used, c->bars.used, c->seen.used, c->wall.n, c->mono.n, c->ident_map.n,
	          c->name_map.n, c->seen_map.n, c->revoked_map.n, c->hash_map.n, c->gid_map.n, gm_core_devices_n(c));
	of_servers(l, c);
	for (uint32_t i = 0; i < c->groups_n; i++)
		if (c->groups[i])
			of_group(l, c, c->groups[i]);
	of_contexts(l, c);
	of_bars(l, c);
	gm_core_devices(c, UINT32_MAX, a_device, l);
	(void)!gm_core_schedules(c, &txn, NULL, a_schedule, l);
	for (unsigned i = 0; i < GM_SHARDS; i++)
		lines_add(l, "lease %u %llu", i, (unsigned long long)c->lease[i]);
}

void lines_of_changes(struct lines *l, const struct gm_changes *changes)
{
	for (const struct gm_change *c = NULL; (c = gm_changes_next(changes, c));)
		lines_add(l, "change %u %u %s %s %s", c->owner, c->table, c->remove ? "removes" : "puts", hex(c->bytes, c->key_n),
		          hex(c->bytes + c->key_n, c->value_n));
}

/* ---- workers */

static void append(struct known *k, const char *key, const char *value)
{
	if (k->n == k->cap)
		k->row = realloc(k->row, (k->cap = k->cap ? 2 * k->cap : 64) * sizeof(*k->row));
	k->row[k->n] = (struct known_row){.cred = 0};
	snprintf(k->row[k->n].key, sizeof(k->row->key), "%s", key);
	k->row[k->n++].value = strdup(value);
}

static void put(struct known *k, const char *key, const char *value) /* NULL: remove */
{
	size_t i = 0;

	while (i < k->n && strcmp(k->row[i].key, key) != 0)
		i++;
	if (i < k->n) {
		free(k->row[i].value);
		k->row[i] = k->row[--k->n];
	}
	if (value)
		append(k, key, value);
}

static bool has(const struct known *k, const char *key)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->row[i].key, key) == 0)
			return true;
	return false;
}

static void remove_all(struct known *k, const char *begin)
{
	for (size_t i = k->n; i-- > 0;) {
		if (strncmp(k->row[i].key, begin, strlen(begin)) != 0)
			continue;
		free(k->row[i].value);
		k->row[i] = k->row[--k->n];
	}
}

static void take_ctx(struct known *k, const struct gm_eff_ctx *e)
{
	char key[64], members[64];

	snprintf(key, sizeof(key), "worker %u ctx %08x", e->rec.worker, e->save.id);
	snprintf(members, sizeof(members), "worker %u member of %08x", e->rec.worker, e->save.id);
	remove_all(k, members);
	if (e->op != GM_CTX_LOAD && e->op != GM_CTX_DROP)
		abort();
	put(k, key, e->op == GM_CTX_LOAD ? hex(&e->save, sizeof(e->save)) : NULL);
}

/* A worker takes no member whose context or group it has not. */
static void take_member(struct known *k, const struct gm_eff_member *e)
{
	char key[64], ctx[64], group[64], *value;

	snprintf(key, sizeof(key), "worker %u member of %08x in %u", e->rec.worker, e->ctx, e->group);
	snprintf(ctx, sizeof(ctx), "worker %u ctx %08x", e->rec.worker, e->ctx);
	snprintf(group, sizeof(group), "worker %u group %u", e->rec.worker, e->group);
	if (e->remove || !has(k, ctx) || !has(k, group)) {
		put(k, key, NULL);
		return;
	}
	struct gm_eff_member plain = *e;
	plain.control_path = plain.scope = (struct gm_slice){0, 0};
	if (asprintf(&value, "%s %s %s", hex(&plain, sizeof(plain)), hex_of(gm_rec_bytes(e, e->control_path)), hex_of(gm_rec_bytes(e, e->scope))) < 0)
		abort();
	put(k, key, value);
	free(value);
}

static void take_group(struct known *k, const struct gm_eff_group *e)
{
	char key[64];

	snprintf(key, sizeof(key), "worker %u group %u", e->rec.worker, e->view.index);
	put(k, key, e->remove ? NULL : hex(e, sizeof(*e)));
}

static void take_as(struct known *k, const struct gm_eff_as *e)
{
	struct gm_eff_as plain = *e;
	char key[64];

	memset(plain.cnonce_key, 0, sizeof(plain.cnonce_key)); /* drawn at each start */
	snprintf(key, sizeof(key), "worker %u as %u", e->rec.worker, e->as_id);
	put(k, key, e->remove ? NULL : hex(&plain, sizeof(plain)));
}

static void take_cred(struct known *k, const struct gm_eff_cred *e)
{
	char key[64], value[32];

	snprintf(key, sizeof(key), "cred %u %s", e->group, hex(e->sid, e->sid_n));
	snprintf(value, sizeof(value), "roles %u", e->roles);
	put(k, key, e->remove ? NULL : value);
	if (e->remove)
		return;
	k->row[k->n - 1].cred = e->cred;
	k->row[k->n - 1].cred_n = e->cred_n;
}

static void take_other(struct known *k, const struct gm_rec *rec)
{
	const struct gm_eff_lease *lease = (const void *)rec;
	const struct gm_eff_num *num = (const void *)rec;
	char key[64];

	if (rec->type == GM_EFF_LEASE)
		snprintf(key, sizeof(key), "worker %u lease %u", rec->worker, lease->shard);
	else if (rec->type == GM_EFF_NUM)
		snprintf(key, sizeof(key), "num %u", num->group);
	else if (rec->type == GM_EFF_REKEY)
		snprintf(key, sizeof(key), "worker %u rekey %u", rec->worker, ((const struct gm_eff_rekey *)rec)->group);
	else if (rec->type == GM_EFF_READY)
		snprintf(key, sizeof(key), "worker %u ready", rec->worker);
	else
		abort();
	if (rec->type == GM_EFF_LEASE) /* many, and each comes once */
		append(k, key, hex(rec, rec->len));
	else
		put(k, key, rec->type == GM_EFF_NUM && num->remove ? NULL : hex(rec, rec->len));
}

static void take(struct known *k, const struct gm_rec *rec)
{
	if (rec->type == GM_EFF_CTX)
		take_ctx(k, (const void *)rec);
	else if (rec->type == GM_EFF_MEMBER)
		take_member(k, (const void *)rec);
	else if (rec->type == GM_EFF_GROUP)
		take_group(k, (const void *)rec);
	else if (rec->type == GM_EFF_AS)
		take_as(k, (const void *)rec);
	else if (rec->type == GM_EFF_CRED)
		take_cred(k, (const void *)rec);
	else
		take_other(k, rec);
}

void known_take(struct known *k, const struct gm_effects *effects)
{
	for (unsigned w = 0; w <= GM_EFFECTS_ALL; w++) {
		const struct gm_effect_buf *b = &effects->to[w];
		for (size_t at = 0; at < b->n; at += ((const struct gm_rec *)(const void *)(b->bytes + at))->len)
			take(k, (const void *)(b->bytes + at));
	}
}

void known_lines(const struct known *k, const struct gm_core *core, struct lines *l)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct known_row *r = &k->row[i];
		struct gm_bytes cred = r->cred ? gm_words_at(gm_core_words(core), r->cred, r->cred_n) : (struct gm_bytes){0};
		lines_add(l, "%s %s %s", r->key, r->value, hex_of(cred));
	}
}

void known_free(struct known *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->row[i].value);
	free(k->row);
	*k = (struct known){0};
}
