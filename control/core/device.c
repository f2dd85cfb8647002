/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/state.h"
#include "gm/crypto.h"
#include "wire/cbor.h"

#define FORM 1u
#define RECORD_MAX (32u + GM_DEVICE_NAME_MAX + GM_DEVICE_GROUPS_MAX * (GM_GROUP_NAME_MAX + 8u))

struct gm_device {
	uint32_t text; /* in gm_core.texts: the record as it is stored. First: a slab's free object has a link there */
	uint16_t text_n;
	uint32_t self; /* 0: the place is free */
	struct gm_device_key key;
};

struct gm_devices {
	struct gm_slab all;
	struct gm_map keys, names;
	unsigned by_cred; /* of them: only then does a member's name ask for its credential's hash */
	uint32_t *marks; /* by a member's handle: first bytes of its credential's SHA-256; 0: it has none */
	uint32_t marks_n; /* room */
};

struct gm_devices *gm_devices_new(void)
{
	struct gm_devices *d = gm_must_alloc(NULL, sizeof(*d));

	memset(d, 0, sizeof(*d));
	gm_slab_init(&d->all, sizeof(struct gm_device), GM_DEVICES_MAX + 1);
	return d;
}

void gm_devices_free(struct gm_devices *d)
{
	if (!d)
		return;
	gm_slab_free(&d->all);
	gm_map_free(&d->keys);
	gm_map_free(&d->names);
	free(d->marks);
	free(d);
}

/* ---- keys and names as text */

bool gm_device_key_parse(const char *text, struct gm_device_key *key)
{
	bool cred = strncmp(text, "cred:", 5) == 0;
	char *end = NULL;

	*key = (struct gm_device_key){0};
	if (!cred) {
		unsigned long id = strncmp(text, "as:", 3) == 0 && isdigit((unsigned char)text[3]) ? strtoul(text + 3, &end, 10) : 0;
		if (!id || id > UINT32_MAX || *end != ':')
			return false;
		key->as_id = (uint32_t)id;
	}
	const char *hex = cred ? text + 5 : end + 1;
	size_t n = strlen(hex);
	if (n % 2 || n > 2 * sizeof(key->id) || (cred && n != 2 * sizeof(key->id)) || strspn(hex, "0123456789abcdefABCDEF") != n)
		return false;
	for (; key->id_n < n / 2; key->id_n++) {
		const char two[] = {hex[2 * key->id_n], hex[2 * key->id_n + 1], '\0'};
		key->id[key->id_n] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

const char *gm_device_key_text(const struct gm_device_key *key, char buf[static GM_DEVICE_KEY_TEXT])
{
	int n = key->as_id ? snprintf(buf, GM_DEVICE_KEY_TEXT, "as:%u:", key->as_id) : snprintf(buf, GM_DEVICE_KEY_TEXT, "cred:");

	for (unsigned i = 0; i < key->id_n; i++)
		n += snprintf(buf + n, GM_DEVICE_KEY_TEXT - (size_t)n, "%02x", key->id[i]);
	return buf;
}

const char *gm_device_name_fault(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t n = strnlen(name, GM_DEVICE_NAME_MAX + 1), len;

	if (n == 0 || n > GM_DEVICE_NAME_MAX)
		return "a name has 1 to 63 bytes";
	if (strncmp(name, "as:", 3) == 0 || strncmp(name, "cred:", 5) == 0)
		return "a name does not begin as a key does, with as: or cred:";
	if (name[0] == ' ' || name[n - 1] == ' ')
		return "a name neither begins nor ends with a space";
	for (size_t at = 0; at < n; at += len) {
		len = gm_utf8_len(p + at, n - at);
		if (!len || gm_utf8_hides(gm_utf8_char(p + at, len)))
			return "a name is UTF-8, without control characters";
		if (strchr("\"\\/", name[at]))
			return "a name has no quotes and no slashes";
	}
	return NULL;
}

static char folded(char c)
{
	return c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool gm_device_names_same(const char *a, const char *b)
{
	for (; folded(*a) == folded(*b); a++, b++)
		if (!*a)
			return true;
	return false;
}

/* ---- finding */

static uint32_t key_hash(const struct gm_core *c, const struct gm_device_key *key)
{
	uint8_t text[4 + GM_CRED_HASH];
	struct gm_out o = gm_out(text, sizeof(text));

	gm_out_be(&o, key->as_id, 4);
	gm_out_bytes(&o, key->id, key->id_n);
	return (uint32_t)gm_siphash(c->hash_key, text, gm_out_len(&o));
}

static uint32_t name_hash(const struct gm_core *c, const char *name)
{
	char text[GM_DEVICE_NAME_MAX + 1];
	size_t n = 0;

	for (; n < GM_DEVICE_NAME_MAX && name[n]; n++)
		text[n] = folded(name[n]);
	return (uint32_t)gm_siphash(c->hash_key, (const uint8_t *)text, n);
}

static struct gm_device *at(const struct gm_core *c, uint32_t id)
{
	return id ? gm_slab_at(&c->devices->all, id) : NULL;
}

struct by {
	const struct gm_core *core;
	const struct gm_device_key *key;
	const char *name;
};

static bool same_key(const void *arg, uint32_t value)
{
	const struct by *by = arg;
	const struct gm_device_key *key = &at(by->core, value)->key;

	return key->as_id == by->key->as_id && key->id_n == by->key->id_n && memcmp(key->id, by->key->id, key->id_n) == 0;
}

static struct gm_device *by_key(const struct gm_core *c, const struct gm_device_key *key)
{
	struct by by = {.core = c, .key = key};

	return at(c, gm_map_find(&c->devices->keys, key_hash(c, key), same_key, &by));
}

static struct gm_in record_of(const struct gm_core *c, const struct gm_device *d)
{
	return gm_in(gm_pool_at(&c->texts, d->text), d->text_n);
}

static const char *name_of(const struct gm_core *c, const struct gm_device *d, char buf[static GM_DEVICE_NAME_MAX + 1])
{
	struct gm_in in = record_of(c, d);

	gm_cbor_array(&in);
	gm_cbor_uint(&in);
	struct gm_bytes name = gm_cbor_tstr(&in);
	memcpy(buf, name.n ? (const char *)name.p : "", name.n); /* load and check saw to its length */
	buf[name.n] = '\0';
	return buf;
}

static bool same_name(const void *arg, uint32_t value)
{
	const struct by *by = arg;
	char name[GM_DEVICE_NAME_MAX + 1];

	return gm_device_names_same(name_of(by->core, at(by->core, value), name), by->name);
}

static struct gm_device *by_name(const struct gm_core *c, const char *name)
{
	struct by by = {.core = c, .name = name};

	return name[0] ? at(c, gm_map_find(&c->devices->names, name_hash(c, name), same_name, &by)) : NULL;
}

static struct gm_device *find(const struct gm_core *c, const char *device)
{
	struct gm_device_key key;

	return gm_device_key_parse(device, &key) ? by_key(c, &key) : by_name(c, device);
}

/* ---- records */

static enum gm_err decode(struct gm_bytes value, struct gm_device_spec *spec)
{
	struct gm_in in = gm_in_bytes(value);
	uint64_t n = gm_cbor_array(&in), form = gm_cbor_uint(&in);
	struct gm_bytes name = gm_cbor_tstr(&in);

	if (n < 2 || n % 2 || (n - 2) / 2 > GM_DEVICE_GROUPS_MAX || form != FORM || name.n > GM_DEVICE_NAME_MAX ||
	    (name.n && memchr(name.p, 0, name.n)))
		return GM_E_CORRUPT;
	spec->name[0] = '\0';
	if (name.n)
		memcpy(spec->name, name.p, name.n);
	spec->name[name.n] = '\0';
	spec->groups_n = (unsigned)(n - 2) / 2;
	for (unsigned i = 0; i < spec->groups_n; i++) {
		struct gm_bytes group = gm_cbor_tstr(&in);
		uint64_t roles = gm_cbor_uint(&in);
		if (group.n > GM_GROUP_NAME_MAX || (roles & ~(uint64_t)GM_ROLES_ALL))
			return GM_E_CORRUPT;
		if (group.n)
			memcpy(spec->groups[i].group, group.p, group.n);
		spec->groups[i].group[group.n] = '\0';
		spec->groups[i].roles = (uint32_t)roles;
	}
	return gm_cbor_end(&in) == GM_E_OK ? GM_E_OK : GM_E_CORRUPT;
}

static size_t encode(const struct gm_device_spec *spec, uint8_t buf[static RECORD_MAX])
{
	struct gm_out o = gm_out(buf, RECORD_MAX);

	gm_cbor_put_array(&o, 2 + 2 * spec->groups_n);
	gm_cbor_put_uint(&o, FORM);
	gm_cbor_put_text(&o, spec->name);
	for (unsigned i = 0; i < spec->groups_n; i++) {
		gm_cbor_put_text(&o, spec->groups[i].group);
		gm_cbor_put_uint(&o, spec->groups[i].roles);
	}
	return gm_out_len(&o);
}

static size_t stored_key(const struct gm_device_key *key, uint8_t buf[static GM_KEY_MAX])
{
	struct gm_out o = gm_out(buf, GM_KEY_MAX);

	gm_out_be(&o, key->as_id, 4);
	gm_out_bytes(&o, key->id, key->id_n);
	return gm_out_len(&o);
}

static void set_text(struct gm_core *c, struct gm_device *d, const uint8_t *text, size_t n)
{
	gm_pool_put(&c->texts, d->text);
	d->text = gm_must_text(&c->texts, n);
	d->text_n = (uint16_t)n;
	memcpy(gm_pool_at(&c->texts, d->text), text, n);
}

static void name_on(struct gm_core *c, const struct gm_device *d, bool on)
{
	char name[GM_DEVICE_NAME_MAX + 1];

	if (!name_of(c, d, name)[0])
		return;
	(on ? gm_map_add : gm_map_remove)(&c->devices->names, name_hash(c, name), d->self);
}

static struct gm_device *make(struct gm_core *c, const struct gm_device_key *key)
{
	uint32_t id = gm_must_get(&c->devices->all);
	struct gm_device *d = at(c, id);

	d->self = id;
	d->key = *key;
	c->devices->by_cred += key->as_id == 0;
	gm_map_add(&c->devices->keys, key_hash(c, key), id);
	return d;
}

static void forget(struct gm_core *c, struct gm_device *d)
{
	name_on(c, d, false);
	gm_map_remove(&c->devices->keys, key_hash(c, &d->key), d->self);
	c->devices->by_cred -= d->key.as_id == 0;
	gm_pool_put(&c->texts, d->text);
	gm_slab_put(&c->devices->all, d->self);
}

static bool take_key(struct gm_bytes stored, struct gm_device_key *key)
{
	struct gm_in in = gm_in_bytes(stored);

	*key = (struct gm_device_key){.as_id = (uint32_t)gm_in_be(&in, 4), .id_n = (uint8_t)gm_in_left(&in)};
	if (stored.n < 4 || stored.n - 4 > sizeof(key->id) || (!key->as_id && key->id_n != sizeof(key->id)))
		return false;
	if (key->id_n)
		memcpy(key->id, stored.p + 4, key->id_n);
	return true;
}

void gm_device_unload(struct gm_core *c, struct gm_bytes key)
{
	struct gm_device_key k;
	struct gm_device *d = take_key(key, &k) ? by_key(c, &k) : NULL;

	if (d)
		forget(c, d);
}

enum gm_err gm_device_load(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_device_key k;
	struct gm_device_spec spec;

	if (!take_key(key, &k))
		return GM_E_CORRUPT;
	GM_TRY(decode(value, &spec));
	if (by_key(c, &k) || by_name(c, spec.name) || c->devices->all.used == GM_DEVICES_MAX)
		return GM_E_CORRUPT;
	struct gm_device *d = make(c, &k);
	set_text(c, d, value.p, value.n);
	name_on(c, d, true);
	return GM_E_OK;
}

/* ---- changing */

static bool groups_usable(const struct gm_device_spec *spec)
{
	if (spec->groups_n > GM_DEVICE_GROUPS_MAX)
		return false;
	for (unsigned i = 0; i < spec->groups_n; i++) {
		if (!gm_groups_name_usable(spec->groups[i].group) || (spec->groups[i].roles & ~GM_ROLES_ALL))
			return false;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(spec->groups[i].group, spec->groups[k].group) == 0)
				return false;
	}
	return true;
}

enum gm_err gm_core_device_check(const struct gm_core *core, const struct gm_txn *txn, const struct gm_device_spec *spec,
                                 enum gm_device_change *change)
{
	const struct gm_device *d = by_key(core, &spec->key), *other = by_name(core, spec->name);
	uint8_t text[RECORD_MAX];

	if ((spec->name[0] && gm_device_name_fault(spec->name)) || !groups_usable(spec))
		return GM_E_USAGE;
	if (other && other != d)
		return GM_E_EXISTS;
	*change = d ? GM_DEVICE_CHANGED : GM_DEVICE_MADE;
	size_t n = encode(spec, text);
	if (d && d->text_n == n && memcmp(gm_pool_at(&core->texts, d->text), text, n) == 0)
		*change = GM_DEVICE_SAME;
	if (*change == GM_DEVICE_MADE && core->devices->all.used >= GM_DEVICES_MAX)
		return GM_E_FULL;
	return *change != GM_DEVICE_SAME && txn->disk_low ? GM_E_DISK_FULL : GM_E_OK;
}

enum gm_err gm_core_device_set(struct gm_core *core, struct gm_txn *txn, const struct gm_device_spec *spec)
{
	struct gm_device *d = by_key(core, &spec->key);
	enum gm_device_change change;
	uint8_t text[RECORD_MAX], key[GM_KEY_MAX];

	GM_TRY(gm_core_device_check(core, txn, spec, &change));
	if (change == GM_DEVICE_SAME)
		return GM_E_OK;
	if (d)
		name_on(core, d, false);
	else
		d = make(core, &spec->key);
	set_text(core, d, text, encode(spec, text));
	name_on(core, d, true);
	gm_changes_put(txn->changes, GM_OWNER_SITE, GM_TABLE_DEVICE, key, stored_key(&d->key, key), text, d->text_n);
	return GM_E_OK;
}

enum gm_err gm_core_device_remove(struct gm_core *core, struct gm_txn *txn, const char *device)
{
	struct gm_device *d = find(core, device);
	uint8_t key[GM_KEY_MAX];

	if (!d)
		return GM_E_UNKNOWN;
	gm_changes_remove(txn->changes, GM_OWNER_SITE, GM_TABLE_DEVICE, key, stored_key(&d->key, key));
	forget(core, d);
	return GM_E_OK;
}

/* ---- reading */

static void spec_of(const struct gm_core *c, const struct gm_device *d, struct gm_device_spec *spec)
{
	struct gm_bytes text = {gm_pool_at(&c->texts, d->text), d->text_n};

	if (decode(text, spec) != GM_E_OK) /* what was loaded or set can be read */
		*spec = (struct gm_device_spec){0};
	spec->key = d->key;
}

bool gm_core_device_find(const struct gm_core *core, const char *device, struct gm_device_spec *spec)
{
	const struct gm_device *d = find(core, device);

	if (d && spec)
		spec_of(core, d, spec);
	return d != NULL;
}

void gm_core_devices(const struct gm_core *core, uint32_t after,
                     bool (*each)(void *arg, uint32_t number, const struct gm_device_spec *spec), void *arg)
{
	static struct gm_device_spec spec; /* one thread; large */

	for (uint32_t id = after == UINT32_MAX ? 1 : after + 1; id <= core->devices->all.made; id++) {
		const struct gm_device *d = at(core, id);
		if (d->self != id)
			continue;
		spec_of(core, d, &spec);
		if (!each(arg, id, &spec))
			return;
	}
}

unsigned gm_core_devices_n(const struct gm_core *core)
{
	return core->devices->all.used;
}

/* By the token's identifier, else by the credential. */
static const struct gm_device *of_member(const struct gm_core *c, const struct gm_member *m)
{
	const struct gm_ident *ident = gm_ident_at(c, m->ident);
	struct gm_bytes osc_id = gm_ident_osc_id(c, ident), cred = gm_members_cred(c, m);
	struct gm_device_key key = {.as_id = ident->as_id, .id_n = ident->osc_id_n};

	if (!c->devices->all.used)
		return NULL;
	if (osc_id.n)
		memcpy(key.id, osc_id.p, osc_id.n);
	const struct gm_device *d = by_key(c, &key);
	if (d || !c->devices->by_cred || !cred.n)
		return d;
	key = (struct gm_device_key){.id_n = GM_CRED_HASH};
	gm_sha256(key.id, cred.p, cred.n);
	return by_key(c, &key);
}

const char *gm_core_member_name(const struct gm_core *core, const struct gm_member_info *info, char buf[static GM_DEVICE_NAME_MAX + 1])
{
	const struct gm_device *d = of_member(core, gm_slab_at(&core->members, info->id));

	return d && name_of(core, d, buf)[0] ? buf : NULL;
}

const char *gm_device_logged(const struct gm_core *c, const struct gm_member *m)
{
	static char text[sizeof(" name=\"\"") + GM_DEVICE_NAME_MAX]; /* one thread */
	const struct gm_device *d = of_member(c, m);
	char name[GM_DEVICE_NAME_MAX + 1];

	text[0] = '\0';
	if (d && name_of(c, d, name)[0])
		snprintf(text, sizeof(text), " name=\"%s\"", name);
	return text;
}

/* ---- who has a credential */

static uint32_t mark_of(const uint8_t hash[static GM_CRED_HASH])
{
	uint32_t mark = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];

	return mark ? mark : 1;
}

static void marks_reach(struct gm_devices *d, uint32_t n)
{
	uint32_t cap = d->marks_n;

	if (n <= cap)
		return;
	while (cap < n)
		cap += cap / 8 + 1024; /* there may be a million: of room that is not used there is little */
	d->marks = gm_must_alloc(d->marks, cap * sizeof(*d->marks));
	memset(d->marks + d->marks_n, 0, (cap - d->marks_n) * sizeof(*d->marks));
	d->marks_n = cap;
}

/* Hashed as it comes, beside a signature that is verified, so that no question has to wait till all are. */
void gm_device_cred_is(struct gm_core *c, const struct gm_member *m, struct gm_bytes cred)
{
	struct gm_devices *d = c->devices;
	uint8_t hash[GM_CRED_HASH];

	marks_reach(d, m->self + 1);
	if (cred.n)
		gm_sha256(hash, cred.p, cred.n);
	d->marks[m->self] = cred.n ? mark_of(hash) : 0;
}

size_t gm_devices_bytes(const struct gm_core *c)
{
	return c->devices->marks_n * sizeof(*c->devices->marks);
}

/* A free place has a mark, too: nobody is there. */
static const struct gm_member *has_cred(const struct gm_core *c, uint32_t id, const uint8_t hash[static GM_CRED_HASH])
{
	const struct gm_member *m = gm_slab_at(&c->members, id);
	struct gm_bytes cred = m->self == id ? gm_members_cred(c, m) : (struct gm_bytes){0};
	uint8_t its[GM_CRED_HASH];

	if (!cred.n)
		return NULL;
	gm_sha256(its, cred.p, cred.n);
	return memcmp(its, hash, sizeof(its)) == 0 ? m : NULL;
}

/* A million marks are looked through in a millisecond; credentials only where the mark is the same. */
static unsigned by_cred(const struct gm_core *c, const uint8_t hash[static GM_CRED_HASH], uint32_t **idents)
{
	const struct gm_devices *d = c->devices;
	const uint32_t mark = mark_of(hash);
	struct gm_map seen = {0};
	unsigned n = 0, cap = 0;

	for (uint32_t id = 1; id <= c->members.made && id < d->marks_n; id++) {
		const struct gm_member *m = d->marks[id] == mark ? has_cred(c, id, hash) : NULL;
		if (!m || gm_map_find(&seen, m->ident, NULL, NULL))
			continue;
		gm_map_add(&seen, m->ident, m->ident);
		if (n == cap)
			*idents = gm_must_alloc(*idents, (cap = cap ? 2 * cap : 4) * sizeof(**idents));
		(*idents)[n++] = m->ident;
	}
	gm_map_free(&seen);
	return n;
}

unsigned gm_device_idents(const struct gm_core *c, const char *text, uint32_t **idents)
{
	const struct gm_device *d = by_name(c, text);
	struct gm_device_key key;

	*idents = NULL;
	if (d)
		key = d->key;
	else if (!gm_device_key_parse(text, &key))
		return 0;
	if (!key.as_id)
		return by_cred(c, key.id, idents);
	const struct gm_ident *ident = gm_ident_find(c, key.as_id, (struct gm_bytes){key.id, key.id_n});
	if (!ident)
		return 0;
	*idents = gm_must_alloc(NULL, sizeof(**idents));
	**idents = ident->self;
	return 1;
}
