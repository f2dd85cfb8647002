/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/sheet.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/csv.h"
#include "ctl/settings.h"
#include "wire/cbor.h"

const struct gm_sheet_kind gm_sheets[GM_SHEETS_N] = {
	[GM_SHEET_GROUPS] = {"groups", 2 + GM_SETTINGS_N, {"group", "template",
#define X(key) #key,
	                                                   GM_SETTINGS(X)
#undef X
	                     }},
	[GM_SHEET_DEVICES] = {"devices", 3, {"device", "name", "groups"}},
	[GM_SHEET_ROLES] = {"roles", 4, {"device", "name", "group", "roles"}},
};
_Static_assert(2 + GM_SETTINGS_N <= GM_SHEET_COLUMNS_MAX, "a row has room for all of them");

int gm_sheet_named(const char *name)
{
	for (unsigned i = 0; i < GM_SHEETS_N; i++)
		if (strcmp(gm_sheets[i].name, name) == 0)
			return (int)i;
	return -1;
}

struct reading {
	gm_sheet_each each;
	void *arg;
	enum gm_sheet sheet;
	bool known;  /* which */
	unsigned rows;
	char *why;
};

__attribute__((format(printf, 3, 4))) static bool wrong(struct reading *r, unsigned line, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(r->why, GM_SHEET_WHY, "%u: ", line);

	va_start(ap, fmt);
	vsnprintf(r->why + n, GM_SHEET_WHY - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *c = r->why; *c; c++) /* what the file says must not write lines of its own */
		*c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
	return false;
}

/* ---- which kind of file it is shows in its columns */

static int column_of(enum gm_sheet sheet, const char *name)
{
	for (unsigned i = 0; i < gm_sheets[sheet].columns_n; i++)
		if (strcmp(gm_sheets[sheet].columns[i], name) == 0)
			return (int)i;
	return -1;
}

static bool has(const char *const *names, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void list_columns(const struct gm_sheet_kind *kind, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < kind->columns_n && n < cap; i++)
		n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? ", " : "", kind->columns[i]);
}

static bool find_sheet(struct reading *r, unsigned line, const char *const *names, unsigned n)
{
	r->sheet = has(names, n, "roles") ? GM_SHEET_ROLES : has(names, n, "device") ? GM_SHEET_DEVICES : GM_SHEET_GROUPS;
	r->known = r->sheet != GM_SHEET_GROUPS || has(names, n, "group");
	return r->known ? true
	                : wrong(r, line, "no column 'group' or 'device': the first line names the columns, as group,template or device,name,groups");
}

static bool unknown_column(struct reading *r, unsigned line, const char *name)
{
	const struct gm_sheet_kind *kind = &gm_sheets[r->sheet];
	char columns[GM_SHEET_WHY];

	list_columns(kind, columns, sizeof(columns));
	return wrong(r, line, "no column '%.32s' in files of %s: they have %s", name, kind->name, columns);
}

/* ---- rows */

static bool put_cell(struct gm_sheet_row *row, int column, const char *text)
{
	size_t n = strlen(text) + 1;

	if (n == 1)
		return true;
	if (row->room_n + n > sizeof(row->room))
		return false;
	memcpy(row->room + row->room_n, text, n);
	row->cell[column] = row->room + row->room_n;
	row->room_n += n;
	return true;
}

static void row_begin(struct gm_sheet_row *row, unsigned line)
{
	row->line = line;
	row->room_n = 0;
	memset(row->cell, 0, sizeof(row->cell));
}

static bool row_end(struct reading *r, const struct gm_sheet_row *row)
{
	if (!row->cell[0] && !(r->sheet == GM_SHEET_ROLES && row->cell[1]))
		return wrong(r, row->line, "%s is missing", gm_sheets[r->sheet].columns[0]);
	if (r->rows++ == GM_SHEET_ROWS_MAX)
		return wrong(r, row->line, "more than %u rows: import them in several files", GM_SHEET_ROWS_MAX);
	return r->each(r->arg, r->sheet, row);
}

/* ---- CSV */

struct header {
	unsigned n;
	int column[GM_CSV_CELLS_MAX];
};

static bool take_header(struct reading *r, const struct gm_csv_record *record, struct header *h)
{
	const char *names[GM_CSV_CELLS_MAX];
	bool seen[GM_SHEET_COLUMNS_MAX] = {false};

	for (unsigned i = 0; i < record->n; i++)
		names[i] = record->cells[i].text;
	h->n = record->n;
	if (!find_sheet(r, record->line, names, record->n))
		return false;
	for (unsigned i = 0; i < record->n; i++) {
		h->column[i] = column_of(r->sheet, names[i]);
		if (h->column[i] < 0)
			return unknown_column(r, record->line, names[i]);
		if (seen[h->column[i]])
			return wrong(r, record->line, "column '%s' twice", names[i]);
		seen[h->column[i]] = true;
	}
	return true;
}

static bool take_record(struct reading *r, const struct gm_csv_record *record, const struct header *h)
{
	struct gm_sheet_row row;

	row_begin(&row, record->line);
	if (record->n != h->n)
		return wrong(r, record->line, "%u cells where the first line has %u", record->n, h->n);
	for (unsigned i = 0; i < record->n; i++)
		if (!put_cell(&row, h->column[i], record->cells[i].text))
			return wrong(r, record->line, "the row is longer than %u bytes", GM_SHEET_ROW_MAX);
	return row_end(r, &row);
}

static bool read_csv(struct reading *r, const char *text, size_t n)
{
	struct gm_csv_record record;
	struct gm_csv csv = gm_csv(text, n);
	struct header header;

	if (!gm_csv_next(&csv, &record, r->why))
		return !r->why[0];
	if (!take_header(r, &record, &header))
		return false;
	while (gm_csv_next(&csv, &record, r->why))
		if (!take_record(r, &record, &header))
			return false;
	return !r->why[0];
}

/* ---- JSON: objects one by one, so that each has its line */

struct json_text {
	const char *p;
	size_t n, at;
	unsigned line;
};

static int next_byte(struct json_text *t)
{
	for (; t->at < t->n && isspace((unsigned char)t->p[t->at]); t->at++)
		t->line += t->p[t->at] == '\n';
	return t->at < t->n ? (unsigned char)t->p[t->at] : -1;
}

/* Text, a whole number, true and false as yes and no; null is absent. NULL: something else. */
static const char *value_text(const json_t *v, char buf[static 24])
{
	if (json_is_integer(v))
		snprintf(buf, 24, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, 24, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_null(v))
		buf[0] = '\0';
	else
		return json_string_value(v);
	return buf;
}

static bool take_object(struct reading *r, unsigned line, json_t *object)
{
	struct gm_sheet_row row;
	const char *names[GM_SHEET_COLUMNS_MAX + 1], *key, *text;
	char buf[24];
	unsigned n = 0;
	json_t *v;

	json_object_foreach(object, key, v)
		if (n < GM_SHEET_COLUMNS_MAX + 1)
			names[n++] = key;
	if (!r->known && !find_sheet(r, line, names, n))
		return false;
	row_begin(&row, line);
	json_object_foreach(object, key, v) {
		int column = column_of(r->sheet, key);
		if (column < 0)
			return unknown_column(r, line, key);
		text = value_text(v, buf);
		if (!text)
			return wrong(r, line, "%s: has to be text, a whole number, true or false", key);
		if (!put_cell(&row, column, text))
			return wrong(r, line, "the row is longer than %u bytes", GM_SHEET_ROW_MAX);
	}
	return row_end(r, &row);
}

static bool next_object(struct reading *r, struct json_text *t)
{
	json_error_t error;
	unsigned line = t->line;
	json_t *object = json_loadb(t->p + t->at, t->n - t->at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);

	if (!object)
		return wrong(r, t->line + (error.line > 0 ? (unsigned)error.line - 1 : 0), "not JSON: %.120s", error.text);
	bool good = json_is_object(object) ? take_object(r, line, object) : wrong(r, line, "an object is needed for each row");
	json_decref(object);
	for (size_t end = t->at + (size_t)error.position; t->at < end && t->at < t->n; t->at++)
		t->line += t->p[t->at] == '\n';
	return good;
}

static bool read_array(struct reading *r, struct json_text *t)
{
	t->at++;
	for (int c = next_byte(t); c != ']'; c = next_byte(t)) {
		if (!next_object(r, t))
			return false;
		c = next_byte(t);
		if (c == ']')
			break;
		if (c != ',')
			return wrong(r, t->line, "not JSON: , or ] is needed behind an object of an array");
		t->at++;
		if (next_byte(t) == ']')
			return wrong(r, t->line, "not JSON: an object is needed behind a comma");
	}
	t->at++;
	return next_byte(t) < 0 ? true : wrong(r, t->line, "not JSON: something stands behind the array");
}

static bool read_json(struct reading *r, struct json_text *t)
{
	if (next_byte(t) == '[')
		return read_array(r, t);
	while (next_byte(t) >= 0)
		if (!next_object(r, t))
			return false;
	return true;
}

bool gm_sheet_read(const char *text, size_t n, gm_sheet_each each, void *arg, char why[static GM_SHEET_WHY])
{
	struct reading r = {.each = each, .arg = arg, .why = why};
	struct json_text t = {.p = text, .n = n, .line = 1};

	_Static_assert(GM_CSV_WHY <= GM_SHEET_WHY, "read_csv() leaves it to say why");
	why[0] = '\0';
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		t.at = 3;
	int first = next_byte(&t);
	return first == '[' || first == '{' ? read_json(&r, &t) : read_csv(&r, text, n);
}

/* ---- on the socket */

void gm_sheet_row_encode(struct gm_out *out, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	gm_cbor_put_array(out, 1 + gm_sheets[sheet].columns_n);
	gm_cbor_put_uint(out, row->line);
	for (unsigned i = 0; i < gm_sheets[sheet].columns_n; i++)
		gm_cbor_put_text(out, row->cell[i] ? row->cell[i] : "");
}

enum gm_err gm_sheet_row_decode(struct gm_in *in, enum gm_sheet sheet, struct gm_sheet_row *row)
{
	if (gm_cbor_array(in) != 1 + gm_sheets[sheet].columns_n)
		gm_in_fail(in, GM_E_TYPE);
	row_begin(row, (unsigned)gm_cbor_uint(in));
	for (unsigned i = 0; i < gm_sheets[sheet].columns_n && in->err == GM_E_OK; i++) {
		struct gm_bytes text = gm_cbor_tstr(in);
		char *to = row->room + row->room_n;
		if (row->room_n + text.n + 1 > sizeof(row->room) || (text.n && memchr(text.p, 0, text.n))) {
			gm_in_fail(in, GM_E_RANGE);
			break;
		}
		if (!text.n)
			continue;
		memcpy(to, text.p, text.n);
		to[text.n] = '\0';
		row->cell[i] = to;
		row->room_n += text.n + 1;
	}
	return in->err;
}
