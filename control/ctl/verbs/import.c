/* SPDX-License-Identifier: Apache-2.0 */
/* A file of groups, devices or roles. Its rows come in several requests that change nothing ("preview" on the socket), then one
 * request asks what would become of them, or carries it out: all in one turn, or nothing.
 *
 * body: [kind tstr, file's number uint, rows before this body uint, whole bool], then that many rows as sheet.h has them. */
#include "ctl/verbs/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/expect.h"
#include "ctl/log.h"
#include "ctl/settings.h"
#include "ctl/sheet.h"
#include "gm/crypto.h"
#include "gm/pages.h"
#include "wire/cbor.h"

#define BYTES_MAX (16u << 20)
#define IDLE_MS 10000u /* a file of which nothing came for so long makes room for the next */
#define SHOWN_MAX 200u /* rows of an answer; of more only the number is told */
#define KEYS_A_TURN 64u /* groups: two milliseconds and more, in which others wait */

struct file;
static struct { /* one file at a time, of one connection */
	uint64_t number, conn;
	enum gm_ctl_level level;
	unsigned rows;
	uint64_t since_ms;
	struct gm_ctl_buf bytes; /* rows */
	struct file *checked; /* while keys are made for the groups in it; NULL: they are not */
	unsigned at;             /* of its entries, those that have theirs */
	struct gm_ctl_buf keys; /* struct gm_group_keys one behind the other, each as long as its credential makes it, without its seed */
} staged;

#define SEED_N sizeof(((struct gm_group_keys *)NULL)->seed)
#define SEEDS_N (GM_SHEET_ROWS_MAX * SEED_N)
static struct { /* of these keys; they wait for several turns. Pages that were asked for once stay, empty */
	uint8_t (*at)[SEED_N];
	unsigned made, used;
} seeds;

struct head {
	enum gm_sheet sheet;
	uint64_t number, before;
	bool whole;
};

static void let_go(struct file *f);

static void forget_seeds(void)
{
	if (seeds.made) {
		gm_wipe(seeds.at, SEED_N * seeds.made);
		gm_pages_drop(seeds.at, SEEDS_N);
	}
	seeds.made = seeds.used = 0;
}

static void forget(void)
{
	if (staged.checked)
		let_go(staged.checked);
	staged.checked = NULL;
	gm_ctl_buf_free(&staged.bytes);
	gm_ctl_buf_free(&staged.keys);
	forget_seeds();
	staged.number = 0;
	staged.rows = 0;
}

void gm_import_forget(uint64_t conn)
{
	if (staged.number && staged.conn == conn)
		forget();
}

static bool read_head(struct gm_ctl_call *call, struct gm_in *in, struct head *head)
{
	char name[16] = "";

	bool four = gm_cbor_array(in) == 4;
	struct gm_bytes kind = gm_cbor_tstr(in);
	if (kind.n && kind.n < sizeof(name))
		memcpy(name, kind.p, kind.n);
	head->number = gm_cbor_uint(in);
	head->before = gm_cbor_uint(in);
	head->whole = gm_cbor_bool(in);
	int sheet = gm_sheet_named(name);
	if (in->err != GM_E_OK || !four || sheet < 0 || !head->number) {
		gm_ctl_error(call->reply, GM_E_USAGE, "import: rows of a file are needed");
		return false;
	}
	head->sheet = (enum gm_sheet)sheet;
	return true;
}

/* Whoever may do more does not wait for who may do less. */
static bool is_taken(const struct gm_ctl_call *call)
{
	return staged.number && call->request->level <= staged.level && call->txn.mono_ms < staged.since_ms + IDLE_MS;
}

/* Rows that came are kept with those before them. false: said why. */
static bool stage(struct gm_ctl_call *call, struct head *head)
{
	struct gm_in in = gm_in_bytes(call->request->body);
	struct gm_sheet_row row;
	unsigned n = 0;

	if (!read_head(call, &in, head))
		return false;
	bool ours = staged.number == head->number && staged.conn == call->request->conn;
	if (!ours && is_taken(call)) {
		gm_ctl_error(call->reply, GM_E_BUSY, "another file is being imported: try again in a moment");
		return false;
	}
	if (!ours || head->before == 0)
		forget();
	if (head->before != staged.rows) {
		gm_ctl_error(call->reply, GM_E_BUSY, "import: rows before these are missing; nothing was done: try again");
		return false;
	}
	const uint8_t *rows = in.p;
	size_t rows_n = gm_in_left(&in);
	while (gm_in_left(&in) && gm_sheet_row_decode(&in, head->sheet, &row) == GM_E_OK)
		n++;
	if (in.err != GM_E_OK || staged.rows + n > GM_SHEET_ROWS_MAX || staged.bytes.n + rows_n > BYTES_MAX ||
	    !gm_ctl_buf_append(&staged.bytes, rows, rows_n)) {
		forget();
		gm_ctl_error(call->reply, in.err != GM_E_OK ? GM_E_USAGE : GM_E_FULL, "import: %s",
		             in.err != GM_E_OK ? "the rows cannot be read" : "the file is too large: import it in several");
		return false;
	}
	staged.number = head->number;
	staged.conn = call->request->conn;
	staged.level = call->request->level;
	staged.rows += n;
	staged.since_ms = call->txn.mono_ms;
	return true;
}

/* Is it still that file? */
static bool is_there(struct gm_ctl_call *call, struct head *head)
{
	struct gm_in in = gm_in_bytes(call->request->body);

	if (!read_head(call, &in, head))
		return false;
	if (staged.number == head->number && staged.conn == call->request->conn && staged.checked)
		return true;
	gm_ctl_error(call->reply, GM_E_BUSY, "somebody else's file went before this one; nothing was done: try again");
	return false;
}

/* ---- rows, checked: what each would do */

enum fate { SAME, MADE, CHANGED };
static const char *const fates[] = {"left alone", "made", "changed"};

struct file { /* on its way through the check */
	struct gm_ctl_call *call;
	enum gm_sheet sheet;
	const char *name;
	unsigned n, count[3];
	uint32_t *places, mask; /* of ROLES: from a device's key to its entry + 1 */
	struct entry {
		unsigned line;
		enum fate fate;
		struct gm_group_spec group; /* GROUPS */
		struct gm_device_spec *device; /* else, malloc()ed */
	} *entries;
};

/* "floor.csv:3: backward: has to be ..." */
__attribute__((format(printf, 4, 5))) static bool wrong(struct file *f, const struct gm_sheet_row *row, int column, const char *fmt, ...)
{
	char text[448];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	gm_ctl_error(f->call->reply, GM_E_USAGE, "%s:%u: %s%s%s", f->name, row->line, column < 0 ? "" : gm_sheets[f->sheet].columns[column],
	             column < 0 ? "" : ": ", text);
	return false;
}

/* ---- groups: made, or there as the row says */

struct there {
	struct gm_group_spec spec;
	bool found;
};

static bool see_group(void *arg, const struct gm_group_info *g)
{
	struct there *there = arg;

	there->spec = gm_settings_of(g);
	there->found = true;
	return false;
}

enum { GROUP, TEMPLATE, SETTINGS }; /* columns */

/* What the row says, beside its template. */
static bool put_settings(struct file *f, const struct gm_sheet_row *row, struct gm_group_spec *spec)
{
	const struct gm_template *template = row->cell[TEMPLATE] ? gm_call_template(f->call, row->cell[TEMPLATE]) : NULL;
	char why[GM_SETTING_WHY];

	if (row->cell[TEMPLATE] && !template)
		return wrong(f, row, TEMPLATE, "no template '%s' in the configuration", row->cell[TEMPLATE]);
	if (template && !gm_template_put(template, spec, why))
		return wrong(f, row, TEMPLATE, "%s", why);
	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++)
		if (row->cell[SETTINGS + i] && !gm_setting_put(spec, i, row->cell[SETTINGS + i], why))
			return wrong(f, row, (int)(SETTINGS + i), "%s", why);
	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++)
		if (row->cell[SETTINGS + i] && !gm_setting_serves(spec, i, why))
			return wrong(f, row, (int)(SETTINGS + i), "%s", why);
	return gm_settings_done(spec, why) ? true : wrong(f, row, -1, "%s", why);
}

/* Every cell of the row has to be what the group has: nothing of it is changed here. */
static bool compare_group(struct file *f, const struct gm_sheet_row *row, const struct gm_group_spec *spec, const struct gm_group_spec *is)
{
	char wants[GM_SETTING_MAX + 1], has[GM_SETTING_MAX + 1];

	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++) {
		if (!row->cell[SETTINGS + i] && !row->cell[TEMPLATE])
			continue;
		gm_setting_text(spec, i, wants);
		if (strcmp(wants, gm_setting_text(is, i, has)) != 0)
			return wrong(f, row, (int)(SETTINGS + i), "the group %s is there and has '%s', not '%s': gmctl group set changes what can be changed",
			             row->cell[GROUP], has, wants);
	}
	return true;
}

static bool take_group(struct file *f, const struct gm_sheet_row *row, struct entry *e)
{
	struct there there = {0};

	e->group = gm_settings_begin();
	if (!gm_groups_name_usable(row->cell[GROUP]))
		return wrong(f, row, GROUP, GM_GROUP_NAME_RULE ", not '%.80s'", row->cell[GROUP]);
	snprintf(e->group.name, sizeof(e->group.name), "%s", row->cell[GROUP]);
	if (!put_settings(f, row, &e->group))
		return false;
	if (gm_core_groups(f->call->env->core, e->group.name, see_group, &there) != GM_E_OK)
		there.found = false;
	e->fate = there.found ? SAME : MADE;
	return !there.found || compare_group(f, row, &e->group, &there.spec);
}

/* ---- devices and roles: one entry for each row; what a device was expected in before stays where nothing else is said */

enum { DEVICE, NAME, GROUPS, ROLE_GROUP = GROUPS, ROLES };

static bool find_key(struct file *f, const struct gm_sheet_row *row, struct gm_device_spec *spec)
{
	const char *text = row->cell[DEVICE];

	if (gm_device_key_parse(text, &spec->key))
		return true;
	return wrong(f, row, DEVICE, "has to be as:ID:HEX (number of the authorization server, identifier of the OSCORE material) or cred:HEX "
	             "(SHA-256 of the credential), not '%.80s'", text);
}

static bool check_device(struct file *f, const struct gm_sheet_row *row, struct entry *e)
{
	enum gm_device_change change = GM_DEVICE_SAME;
	enum gm_err err = gm_core_device_check(f->call->env->core, &f->call->txn, e->device, &change);

	if (err == GM_E_EXISTS)
		return wrong(f, row, NAME, "another device has the name '%s' already", e->device->name);
	if (err != GM_E_OK)
		return wrong(f, row, -1, "%s", gm_err_info(err)->text);
	e->fate = change == GM_DEVICE_MADE ? MADE : change == GM_DEVICE_CHANGED ? CHANGED : SAME;
	return true;
}

static bool take_device(struct file *f, const struct gm_sheet_row *row, struct entry *e)
{
	char key[GM_DEVICE_KEY_TEXT], why[GM_EXPECT_WHY];

	if (!find_key(f, row, e->device))
		return false;
	gm_core_device_find(f->call->env->core, gm_device_key_text(&e->device->key, key), e->device);
	if (row->cell[NAME]) {
		const char *fault = gm_device_name_fault(row->cell[NAME]);
		if (fault)
			return wrong(f, row, NAME, "%s, not '%.80s'", fault, row->cell[NAME]);
		snprintf(e->device->name, sizeof(e->device->name), "%s", row->cell[NAME]);
	}
	if (row->cell[GROUPS] && !gm_expect_parse(row->cell[GROUPS], e->device, why))
		return wrong(f, row, GROUPS, "%s", why);
	return check_device(f, row, e);
}

/* Of several rows for one device the later ones go on from the earlier. */
static bool take_role(struct file *f, const struct gm_sheet_row *row, struct entry *e)
{
	const char *who = row->cell[DEVICE] ? row->cell[DEVICE] : row->cell[NAME];
	int column = row->cell[DEVICE] ? DEVICE : NAME;
	char why[GM_EXPECT_WHY];
	uint32_t roles = 0;

	if (!e->device->key.as_id && !e->device->key.id_n) /* find_entry() did not know it */
		return wrong(f, row, column, "no device '%.80s' in the register: import the devices first", who);
	if (!row->cell[ROLE_GROUP])
		return wrong(f, row, ROLE_GROUP, "is missing");
	if (row->cell[ROLES] && !gm_roles_parse(row->cell[ROLES], strlen(row->cell[ROLES]), &roles, why))
		return wrong(f, row, ROLES, "%s", why);
	if (!gm_expect_add(e->device, row->cell[ROLE_GROUP], strlen(row->cell[ROLE_GROUP]), roles, why))
		return wrong(f, row, ROLE_GROUP, "%s", why);
	return check_device(f, row, e);
}

/* ---- twice in one file */

static int by_key(const void *a, const void *b)
{
	const struct gm_device_key *x = &(*(const struct entry *const *)a)->device->key, *y = &(*(const struct entry *const *)b)->device->key;
	int order = x->as_id < y->as_id ? -1 : x->as_id > y->as_id;

	if (!order)
		order = x->id_n - y->id_n;
	return order ? order : memcmp(x->id, y->id, x->id_n);
}

static int by_group(const void *a, const void *b)
{
	return strcmp((*(const struct entry *const *)a)->group.name, (*(const struct entry *const *)b)->group.name);
}

static char folded(char c)
{
	return c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int by_name(const void *a, const void *b)
{
	const char *x = (*(const struct entry *const *)a)->device->name, *y = (*(const struct entry *const *)b)->device->name;

	for (; *x && folded(*x) == folded(*y); x++, y++)
		;
	return (int)(uint8_t)folded(*x) - (int)(uint8_t)folded(*y);
}

static bool find_twice(struct file *f, int (*order)(const void *, const void *), const char *what)
{
	struct entry **sorted = malloc((f->n ? f->n : 1) * sizeof(*sorted));
	bool good = true;

	if (!sorted) {
		gm_ctl_error(f->call->reply, GM_E_NO_MEMORY, "%s", gm_err_info(GM_E_NO_MEMORY)->text);
		return false;
	}
	for (unsigned i = 0; i < f->n; i++)
		sorted[i] = &f->entries[i];
	qsort(sorted, f->n, sizeof(*sorted), order);
	for (unsigned i = 1; i < f->n && good; i++) {
		const struct entry *a = sorted[i - 1], *b = sorted[i];
		if (order(&a, &b) != 0 || (order == by_name && !a->device->name[0]))
			continue;
		good = false;
		gm_ctl_error(f->call->reply, GM_E_USAGE, "%s:%u: %s stands in line %u already", f->name, a->line > b->line ? a->line : b->line, what,
		             a->line < b->line ? a->line : b->line);
	}
	free(sorted);
	return good;
}

/* ---- the whole file */

static uint32_t hash_of(const struct gm_device_key *key)
{
	uint32_t h = 2166136261u ^ key->as_id; /* names entries of one file: nobody else waits for it */

	for (unsigned i = 0; i < key->id_n; i++)
		h = (h ^ key->id[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool same_key(const struct gm_device_key *a, const struct gm_device_key *b)
{
	return a->as_id == b->as_id && a->id_n == b->id_n && memcmp(a->id, b->id, a->id_n) == 0;
}

/* Of roles: the place of the device's entry, used or free. */
static uint32_t *place_of(struct file *f, const struct gm_device_key *key)
{
	uint32_t i = hash_of(key) & f->mask;

	while (f->places[i] && !same_key(&f->entries[f->places[i] - 1].device->key, key))
		i = (i + 1) & f->mask;
	return &f->places[i];
}

static struct entry *new_entry(struct file *f, const struct gm_sheet_row *row)
{
	struct entry *e = &f->entries[f->n];

	e->line = row->line;
	e->device = f->sheet == GM_SHEET_GROUPS ? NULL : calloc(1, sizeof(*e->device));
	if (f->sheet != GM_SHEET_GROUPS && !e->device)
		return NULL;
	f->n++;
	return e;
}

/* The entry that a row belongs to: of roles, that of the device's rows before it. */
static struct entry *find_entry(struct file *f, const struct gm_sheet_row *row)
{
	const char *who = row->cell[DEVICE] ? row->cell[DEVICE] : row->cell[NAME];
	struct gm_device_spec spec;

	if (f->sheet != GM_SHEET_ROLES || !gm_core_device_find(f->call->env->core, who, &spec))
		return new_entry(f, row);
	uint32_t *place = place_of(f, &spec.key);
	if (*place)
		return &f->entries[*place - 1];
	struct entry *e = new_entry(f, row);
	if (e) {
		*e->device = spec; /* NOLINT(clang-analyzer-core.NullDereference): none but a group's has no device */
		*place = f->n;
	}
	return e;
}

static bool check_rows(struct file *f)
{
	static bool (*const take[GM_SHEETS_N])(struct file *, const struct gm_sheet_row *, struct entry *) = {
		[GM_SHEET_GROUPS] = take_group, [GM_SHEET_DEVICES] = take_device, [GM_SHEET_ROLES] = take_role};
	struct gm_in in = gm_in(staged.bytes.bytes + staged.bytes.at, staged.bytes.n - staged.bytes.at);
	struct gm_sheet_row row;

	while (gm_in_left(&in)) {
		if (gm_sheet_row_decode(&in, f->sheet, &row) != GM_E_OK || (!row.cell[0] && !(f->sheet == GM_SHEET_ROLES && row.cell[1])))
			return wrong(f, &row, 0, "is missing");
		struct entry *e = find_entry(f, &row);
		if (!e) {
			gm_ctl_error(f->call->reply, GM_E_NO_MEMORY, "%s", gm_err_info(GM_E_NO_MEMORY)->text);
			return false;
		}
		if (!take[f->sheet](f, &row, e))
			return false;
	}
	if (f->sheet == GM_SHEET_GROUPS)
		return find_twice(f, by_group, "the group");
	return find_twice(f, by_key, "the device") && find_twice(f, by_name, "the name");
}

/* What only all rows together can break. */
static bool check_room(struct file *f)
{
	const struct gm_core *core = f->call->env->core;
	const struct gm_core_status s = gm_call_core(f->call);
	unsigned groups_max = gm_core_settings(core)->groups_max;
	bool groups = f->sheet == GM_SHEET_GROUPS;

	for (unsigned i = 0; i < f->n; i++)
		f->count[f->entries[i].fate]++;
	if (groups && f->count[MADE] + s.groups > groups_max)
		gm_ctl_error(f->call->reply, GM_E_FULL, "%s: makes %u groups, %u are there, and groups_max is %u", f->name, f->count[MADE], s.groups, groups_max);
	else if (!groups && f->count[MADE] + gm_core_devices_n(core) > GM_DEVICES_MAX)
		gm_ctl_error(f->call->reply, GM_E_FULL, "%s: makes %u devices, %u are there, and the register takes %u", f->name, f->count[MADE],
		             gm_core_devices_n(core), GM_DEVICES_MAX);
	else if (f->call->txn.disk_low && f->count[MADE] + f->count[CHANGED])
		gm_ctl_error(f->call->reply, GM_E_DISK_FULL, "%s: %s", f->name, gm_err_info(GM_E_DISK_FULL)->text);
	else
		return true;
	return false;
}

static bool file_begin(struct file *f, struct gm_ctl_call *call, const struct head *head)
{
	*f = (struct file){.call = call, .sheet = head->sheet, .name = gm_call_text(call, "file")};
	f->mask = 1;
	while (f->mask < 2 * staged.rows)
		f->mask *= 2;
	f->entries = calloc(staged.rows + 1, sizeof(*f->entries));
	f->places = calloc(f->mask, sizeof(*f->places));
	f->mask--;
	if (!f->entries || !f->places)
		gm_ctl_error(call->reply, GM_E_NO_MEMORY, "%s", gm_err_info(GM_E_NO_MEMORY)->text);
	return f->entries && f->places && check_rows(f) && check_room(f);
}

static void let_go(struct file *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->entries[i].device);
	free(f->entries);
	free(f->places);
	*f = (struct file){0};
}

static void file_end(struct file *f)
{
	let_go(f);
	forget();
}

static const char *summary(const struct file *f, char buf[static 128])
{
	snprintf(buf, 128, "%s: %u made, %u changed, %u left alone", gm_sheets[f->sheet].name, f->count[MADE], f->count[CHANGED], f->count[SAME]);
	return buf;
}

static void put_counts(const struct file *f)
{
	struct gm_ctl_reply *r = f->call->reply;

	gm_ctl_put_uint(r, "made", f->count[MADE]);
	gm_ctl_put_uint(r, "changed", f->count[CHANGED]);
	gm_ctl_put_uint(r, "left_alone", f->count[SAME]);
}

static void put_rows(const struct file *f)
{
	struct gm_ctl_reply *r = f->call->reply;
	char key[GM_DEVICE_KEY_TEXT], groups[GM_EXPECT_TEXT];
	unsigned shown = 0;

	for (unsigned i = 0; i < f->n && shown < SHOWN_MAX; i++) {
		const struct entry *e = &f->entries[i];
		if (e->fate == SAME)
			continue;
		gm_ctl_put_uint(r, "line", e->line);
		gm_ctl_put_text(r, "what", fates[e->fate]);
		gm_ctl_put_text(r, f->sheet == GM_SHEET_GROUPS ? "group" : "device",
		                f->sheet == GM_SHEET_GROUPS ? e->group.name : gm_device_key_text(&e->device->key, key));
		if (e->device) {
			gm_ctl_put_text(r, "name", e->device->name);
			gm_ctl_put_text(r, "groups", gm_expect_text(e->device, groups));
		}
		gm_ctl_row(r);
		shown++;
	}
}

void gm_import_look(struct gm_ctl_call *call)
{
	struct head head;
	struct file f;
	char says[128];

	if (!stage(call, &head))
		return;
	if (!head.whole) {
		gm_ctl_end(call->reply);
		return;
	}
	if (file_begin(&f, call, &head)) {
		if (gm_call_flag(call, "dry-run")) {
			put_rows(&f);
			put_counts(&f);
		} else {
			gm_ctl_put_text(call->reply, "says", summary(&f, says));
			gm_ctl_put_bool(call->reply, "asks", f.count[MADE] + f.count[CHANGED] > 0);
			put_counts(&f);
			gm_ctl_row(call->reply);
		}
		gm_ctl_end(call->reply);
	}
	file_end(&f);
}

/* ---- groups' keys, before all are made in one turn: most of the work, of which others shall not wait for the whole */

#define KEYS_HEAD offsetof(struct gm_group_keys, cred)

/* The seed apart from what may be known. */
static bool put_away(struct gm_group_keys *keys)
{
	if (!seeds.at && !(seeds.at = gm_pages_new(SEEDS_N)))
		return false;
	memcpy(seeds.at[seeds.made++], keys->seed, SEED_N);
	gm_wipe(keys->seed, SEED_N);
	return gm_ctl_buf_append(&staged.keys, keys, KEYS_HEAD + keys->cred_n);
}

static bool keep_keys(const struct entry *e, struct gm_txn *txn)
{
	struct gm_group_keys keys = {0};
	bool good = gm_core_group_keys(txn, &e->group, &keys) != GM_E_OK || /* it is said when the group is made */
	            put_away(&keys);

	gm_wipe(&keys, sizeof(keys));
	return good;
}

/* The next that were made; of whom they are does not matter as long as they fit. false: there are no more */
static bool next_keys(struct gm_group_keys *keys)
{
	if (staged.keys.n - staged.keys.at < KEYS_HEAD)
		return false;
	memcpy(keys, staged.keys.bytes + staged.keys.at, KEYS_HEAD);
	memcpy(keys->seed, seeds.at[seeds.used++], SEED_N);
	memcpy(keys->cred, staged.keys.bytes + staged.keys.at + KEYS_HEAD, keys->cred_n);
	gm_ctl_buf_eat(&staged.keys, KEYS_HEAD + keys->cred_n);
	return true;
}

/* false: it goes on in the next turn, or it was said what is wrong */
static bool prepare(struct gm_ctl_call *call, const struct head *head)
{
	static struct file checked;
	unsigned n = 0;

	if (!staged.checked) {
		if (!file_begin(&checked, call, head)) {
			file_end(&checked);
			return false;
		}
		staged.checked = &checked;
		staged.at = 0;
	}
	for (; staged.at < checked.n && n < KEYS_A_TURN; staged.at++) {
		const struct entry *e = &checked.entries[staged.at];
		n += e->fate == MADE;
		if (e->fate == MADE && !keep_keys(e, &call->txn))
			staged.at = checked.n - 1; /* what has no memory here is made with its group */
	}
	staged.since_ms = call->txn.mono_ms;
	call->reply->later = staged.at < checked.n;
	if (!call->reply->later) {
		let_go(&checked);
		staged.checked = NULL;
	}
	return !call->reply->later;
}

/* ---- carried out */

static enum gm_err make_group(struct file *f, const struct gm_group_spec *spec)
{
	struct gm_group_keys keys = {0};
	bool made = next_keys(&keys);
	enum gm_err err = gm_core_group_create_with(f->call->env->core, &f->call->txn, spec, made ? &keys : NULL);

	gm_wipe(&keys, sizeof(keys));
	return err;
}

static enum gm_err make_one(struct file *f, const struct entry *e)
{
	if (e->fate == SAME)
		return GM_E_OK;
	return e->device ? gm_core_device_set(f->call->env->core, &f->call->txn, e->device) : make_group(f, &e->group);
}

/* The check lets nothing pass that could fail but for cryptography; a group that was made has no members yet. */
static void undo(struct file *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!f->entries[i].device && f->entries[i].fate == MADE &&
		    gm_core_group_delete(f->call->env->core, &f->call->txn, f->entries[i].group.name) != GM_E_OK)
			gm_log(GM_LOG_ERROR, "import.left group=%s", f->entries[i].group.name);
}

static void carry_out(struct file *f)
{
	char says[128];

	for (unsigned i = 0; i < f->n; i++) {
		enum gm_err err = make_one(f, &f->entries[i]);
		if (err == GM_E_OK)
			continue;
		undo(f, i);
		gm_ctl_error(f->call->reply, err, "%s:%u: %s", f->name, f->entries[i].line, gm_err_info(err)->text);
		return;
	}
	gm_log(GM_LOG_INFO, "import.done %s uid=%u", summary(f, says), f->call->request->uid);
	gm_ctl_put_text(f->call->reply, "what", gm_sheets[f->sheet].name);
	put_counts(f);
	gm_ctl_row(f->call->reply);
	gm_ctl_end(f->call->reply);
}

void gm_verb_import(struct gm_ctl_call *call)
{
	struct head head;
	struct file f;

	if (call->request->again ? !is_there(call, &head) : !stage(call, &head))
		return;
	if (!head.whole || gm_call_flag(call, "dry-run")) {
		gm_ctl_error(call->reply, GM_E_USAGE, "import: the whole file is needed");
		return;
	}
	if (head.sheet == GM_SHEET_GROUPS && !prepare(call, &head))
		return;
	if (file_begin(&f, call, &head)) /* once more: others may have changed something meanwhile */
		carry_out(&f);
	file_end(&f);
}
