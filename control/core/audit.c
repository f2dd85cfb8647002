/* SPDX-License-Identifier: Apache-2.0 */
#include "core/audit.h"

#include "core/state.h"
#include "gm/decimal.h"
#include "wire/cbor.h"

#define VALUE 160u /* bytes of a text as it is written */
#define REFUSALS_MS 3600000u /* between two entries about them */
#define TAIL 16u   /* kept free for the end: ,"cut":true} */

/* ---- letters. By hand: there are two entries for each device of a storm */

static void put_text(struct gm_out *o, const char *s)
{
	gm_out_bytes(o, s, strlen(s));
}

static void put_hex(struct gm_out *o, struct gm_bytes b)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < b.n; i++) {
		gm_out_u8(o, (uint8_t)digits[b.p[i] >> 4]);
		gm_out_u8(o, (uint8_t)digits[b.p[i] & 15]);
	}
}

static bool plain(uint32_t c)
{
	return c != '"' && c != '\\' && !gm_utf8_hides(c);
}

/* RFC 8259 §7. Cut between characters, never inside one. */
static void put_escaped(struct gm_out *o, struct gm_bytes text)
{
	const size_t before = gm_out_len(o);

	for (size_t i = 0, len; i < text.n; i += len) {
		len = gm_utf8_len(text.p + i, text.n - i);
		len = len ? len : 1;
		uint32_t c = gm_utf8_char(text.p + i, len);
		uint8_t be[] = {(uint8_t)(c >> 8), (uint8_t)c};
		if (gm_out_len(o) - before + 6 > VALUE)
			return;
		if (plain(c)) {
			gm_out_bytes(o, text.p + i, len);
		} else {
			put_text(o, "\\u");
			put_hex(o, (struct gm_bytes){be, sizeof(be)});
		}
	}
}

/* ---- fields: one that finds no room is left out as a whole, and the entry says so */

static struct gm_out field_begin(struct gm_audit *a, const char *key)
{
	struct gm_out before = a->out;

	a->out.end = a->text + sizeof(a->text) - TAIL;
	put_text(&a->out, ",\"");
	put_text(&a->out, key);
	put_text(&a->out, "\":");
	return before;
}

static void field_end(struct gm_audit *a, struct gm_out before)
{
	a->cut = a->cut || a->out.err != GM_E_OK;
	if (a->out.err != GM_E_OK)
		a->out = before;
	a->out.end = a->text + sizeof(a->text);
}

void gm_audit_text(struct gm_audit *a, const char *key, struct gm_bytes text)
{
	struct gm_out before = field_begin(a, key);

	gm_out_u8(&a->out, '"');
	put_escaped(&a->out, text);
	gm_out_u8(&a->out, '"');
	field_end(a, before);
}

void gm_audit_word(struct gm_audit *a, const char *key, const char *word)
{
	gm_audit_text(a, key, (struct gm_bytes){(const uint8_t *)word, strlen(word)});
}

void gm_audit_uint(struct gm_audit *a, const char *key, uint64_t v)
{
	struct gm_out before = field_begin(a, key);

	gm_out_decimal(&a->out, v);
	field_end(a, before);
}

void gm_audit_hex(struct gm_audit *a, const char *key, struct gm_bytes bytes)
{
	struct gm_out before = field_begin(a, key);

	gm_out_u8(&a->out, '"');
	put_hex(&a->out, bytes);
	gm_out_u8(&a->out, '"');
	field_end(a, before);
}

void gm_audit_device(struct gm_audit *a, const char *key, uint32_t as_id, struct gm_bytes osc_id)
{
	struct gm_out before = field_begin(a, key);

	put_text(&a->out, "\"as:");
	gm_out_decimal(&a->out, as_id);
	gm_out_u8(&a->out, ':');
	put_hex(&a->out, osc_id);
	gm_out_u8(&a->out, '"');
	field_end(a, before);
}

/* ---- who */

struct gm_by gm_by_user(uint32_t uid, int32_t pid, const char *level)
{
	return (struct gm_by){.kind = GM_BY_USER, .id = uid, .pid = pid, .level = level};
}

struct gm_by gm_by_device(uint32_t as_id, struct gm_bytes osc_id)
{
	struct gm_by by = {.kind = GM_BY_DEVICE, .id = as_id};

	by.osc_id_n = (uint8_t)(osc_id.n < sizeof(by.osc_id) ? osc_id.n : sizeof(by.osc_id));
	memcpy(by.osc_id, osc_id.p, by.osc_id_n);
	return by;
}

struct gm_by gm_by_as(uint32_t as_id)
{
	return (struct gm_by){.kind = GM_BY_AS, .id = as_id};
}

static void put_gmd(struct gm_audit *a, const struct gm_by *by)
{
	(void)by;
	gm_audit_word(a, "by", "gmd");
}

static void put_user(struct gm_audit *a, const struct gm_by *by)
{
	put_text(&a->out, ",\"by\":\"uid:");
	gm_out_decimal(&a->out, by->id);
	gm_out_u8(&a->out, '"');
	gm_audit_uint(a, "pid", by->pid > 0 ? (uint64_t)by->pid : 0);
	gm_audit_word(a, "level", by->level);
}

static void put_device(struct gm_audit *a, const struct gm_by *by)
{
	gm_audit_device(a, "by", by->id, (struct gm_bytes){by->osc_id, by->osc_id_n});
}

static void put_as(struct gm_audit *a, const struct gm_by *by)
{
	put_text(&a->out, ",\"by\":\"as:");
	gm_out_decimal(&a->out, by->id);
	gm_out_u8(&a->out, '"');
}

static void (*const put_by[])(struct gm_audit *a, const struct gm_by *by) = {
    [GM_BY_GMD] = put_gmd, [GM_BY_USER] = put_user, [GM_BY_DEVICE] = put_device, [GM_BY_AS] = put_as};

void gm_audit_begin(struct gm_audit *a, const struct gm_txn *txn, const char *event)
{
	a->out = gm_out(a->text, sizeof(a->text));
	a->at = txn->wall_s > 0 ? txn->wall_s : 0;
	a->cut = false;
	put_text(&a->out, "\"at\":");
	gm_out_decimal(&a->out, (uint64_t)a->at);
	gm_audit_word(a, "event", event);
	put_by[txn->by.kind](a, &txn->by);
}

void gm_audit_end(struct gm_audit *a, struct gm_txn *txn)
{
	uint8_t key[8];
	struct gm_out o = gm_out(key, sizeof(key));

	put_text(&a->out, a->cut ? ",\"cut\":true}" : "}");
	gm_out_be(&o, (uint64_t)a->at, sizeof(key));
	txn->entries++;
	gm_changes_put(txn->changes, GM_OWNER_SITE, GM_TABLE_AUDIT, key, sizeof(key), a->text, gm_out_len(&a->out));
}

/* ---- core's own */

void gm_audit_group(struct gm_audit *a, const struct gm_group *g)
{
	gm_audit_word(a, "group", g->spec.name);
}

/* The keys that the group has now. */
void gm_audit_keys(struct gm_audit *a, const struct gm_group *g)
{
	gm_audit_uint(a, "version", g->version);
	gm_audit_hex(a, "gid", (struct gm_bytes){g->gid, g->gid_n});
}

void gm_audit_ident(struct gm_audit *a, const struct gm_core *c, const struct gm_ident *ident)
{
	gm_audit_device(a, "device", ident->as_id, gm_ident_osc_id(c, ident));
}

static void put_roles(struct gm_audit *a, unsigned roles)
{
	static const struct {
		unsigned role;
		const char *name;
	} names[] = {{GM_ROLE_REQUESTER, "requester"}, {GM_ROLE_RESPONDER, "responder"}, {GM_ROLE_MONITOR, "monitor"}, {GM_ROLE_VERIFIER, "verifier"}};
	char text[48] = "";
	struct gm_out o = gm_out(text, sizeof(text));

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(roles & names[i].role))
			continue;
		if (gm_out_len(&o))
			gm_out_u8(&o, ',');
		put_text(&o, names[i].name);
	}
	gm_audit_text(a, "roles", gm_out_result(&o));
}

void gm_audit_member(struct gm_turn *t, const char *event, const struct gm_member *m, const char *reason)
{
	const struct gm_group *g = gm_groups_at(t->core, m->group);
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, event);
	gm_audit_group(&a, g);
	gm_audit_word(&a, "node", m->node);
	gm_audit_ident(&a, t->core, gm_ident_at(t->core, m->ident));
	gm_audit_hex(&a, "sid", (struct gm_bytes){m->sid, m->sid_n});
	put_roles(&a, m->roles);
	gm_audit_uint(&a, "version", g->version);
	if (reason)
		gm_audit_word(&a, "reason", reason);
	gm_audit_end(&a, t->txn);
}

void gm_audit_token(struct gm_turn *t, const char *event, const struct gm_assoc *a)
{
	struct gm_audit entry;

	gm_audit_begin(&entry, t->txn, event);
	gm_audit_ident(&entry, t->core, gm_ident_at(t->core, a->ident));
	gm_audit_hex(&entry, "token", (struct gm_bytes){a->hash, sizeof(a->hash)});
	gm_audit_uint(&entry, "ends_at", a->exp > 0 ? (uint64_t)a->exp : 0);
	gm_audit_end(&entry, t->txn);
}

void gm_audit_rekey(struct gm_turn *t, const struct gm_group *g, uint64_t was, const char *reason)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, "rekeyed");
	gm_audit_group(&a, g);
	gm_audit_uint(&a, "was", was);
	gm_audit_keys(&a, g);
	gm_audit_uint(&a, "members", g->members);
	gm_audit_word(&a, "reason", reason);
	gm_audit_end(&a, t->txn);
}

void gm_audit_bar(struct gm_turn *t, const struct gm_ident *ident, struct gm_bytes group, int64_t until)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, "barred");
	if (group.n)
		gm_audit_text(&a, "group", group);
	gm_audit_ident(&a, t->core, ident);
	gm_audit_uint(&a, "ends_at", until > 0 ? (uint64_t)until : 0);
	gm_audit_end(&a, t->txn);
}

void gm_audit_as(struct gm_turn *t, const char *event, const struct gm_as *as)
{
	struct gm_audit a;

	gm_audit_begin(&a, t->txn, event);
	gm_audit_word(&a, "as", as->spec.name);
	gm_audit_uint(&a, "id", as->id);
	gm_audit_word(&a, "issuer", as->spec.issuer);
	gm_audit_hex(&a, "kid", (struct gm_bytes){as->spec.key.kid, as->spec.key.kid_n});
	gm_audit_end(&a, t->txn);
}

void gm_audit_refused(struct gm_core *c, uint64_t *of, enum gm_err err)
{
	++*of;
	c->refused.revoked += err == GM_E_TOKEN_REVOKED;
	c->refused.barred += err == GM_E_TOKEN_BARRED || err == GM_E_BARRED;
}

void gm_audit_refusals(struct gm_turn *t, bool at_once)
{
	struct gm_core *c = t->core;
	const struct gm_refusals *now = &c->refused, *told = &c->refused_told;
	uint64_t ms = t->txn->mono_ms;
	struct gm_audit a;

	if ((!at_once && c->refused_ms && ms < c->refused_ms + REFUSALS_MS) || memcmp(now, told, sizeof(*now)) == 0)
		return;
	gm_audit_begin(&a, t->txn, "refused");
	gm_audit_uint(&a, "tokens", now->tokens - told->tokens);
	gm_audit_uint(&a, "joins", now->joins - told->joins);
	gm_audit_uint(&a, "administration", now->administration - told->administration);
	gm_audit_uint(&a, "revoked", now->revoked - told->revoked);
	gm_audit_uint(&a, "barred", now->barred - told->barred);
	gm_audit_end(&a, t->txn);
	c->refused_told = *now;
	c->refused_ms = ms ? ms : 1;
}
