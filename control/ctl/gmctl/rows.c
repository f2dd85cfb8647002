/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/settings.h"
#include "wire/cbor.h"

char *gm_cli_text(struct gm_bytes b)
{
	char *s = gm_cli_need(malloc(b.n + 1));

	s[gm_utf8_shown(s, b.p, b.n)] = '\0';
	return s;
}

char *gm_cli_hex(struct gm_bytes b)
{
	char *s = gm_cli_need(malloc(2 * b.n + 1));

	s[0] = '\0';
	for (size_t i = 0; i < b.n; i++)
		snprintf(s + 2 * i, 3, "%02x", b.p[i]);
	return s;
}

bool gm_cli_is_time(const char *key)
{
	size_t n = strlen(key);
	return strcmp(key, "at") == 0 || (n > 3 && strcmp(key + n - 3, "_at") == 0);
}

static char *number_text(const char *key, int64_t v)
{
	char buf[32];
	const char *name = gm_param_name(key, v);
	time_t t = (time_t)v;
	struct tm tm;

	if (name)
		return gm_cli_need(strdup(name));
	if (gm_cli_is_time(key) && v <= 0)
		snprintf(buf, sizeof(buf), "-");
	else if (gm_cli_is_time(key) && gmtime_r(&t, &tm))
		strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm);
	else
		snprintf(buf, sizeof(buf), "%lld", (long long)v);
	return gm_cli_need(strdup(buf));
}

static struct cell read_cell(struct gm_in *in)
{
	struct cell cell = {.key = gm_cli_text(gm_cbor_tstr(in))};

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		cell.text = number_text(cell.key, gm_cbor_int(in));
		cell.number = true;
		break;
	case GM_CBOR_TSTR:
		cell.text = gm_cli_text(gm_cbor_tstr(in));
		break;
	case GM_CBOR_BSTR:
		cell.text = gm_cli_hex(gm_cbor_bstr(in));
		break;
	case GM_CBOR_SIMPLE:
		if (gm_cbor_is_null(in)) {
			gm_cbor_null(in);
			cell.text = gm_cli_need(strdup(""));
		} else {
			cell.text = gm_cli_need(strdup(gm_cbor_bool(in) ? "yes" : "no"));
		}
		break;
	default:
		cell.text = gm_cli_need(strdup("?"));
		gm_cbor_skip(in);
	}
	return cell;
}

void gm_cli_keep(void *arg, struct gm_bytes pairs)
{
	struct rows *rows = arg;
	struct gm_in in = gm_in_bytes(pairs);
	uint64_t n = gm_cbor_map(&in);

	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? 2 * rows->cap : 64;
		rows->rows = gm_cli_need(realloc(rows->rows, rows->cap * sizeof(rows->rows[0])));
	}
	struct row *row = &rows->rows[rows->n++];
	*row = (struct row){.cells = gm_cli_need(calloc(n ? n : 1, sizeof(struct cell)))};
	while (row->n < n)
		row->cells[row->n++] = read_cell(&in);
	if (in.err != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
}

void gm_cli_row_of(const struct pair *pairs, size_t n, gm_cli_row row, void *arg)
{
	uint8_t buf[2048];
	struct gm_out o = gm_out(buf, sizeof(buf));

	gm_cbor_put_map(&o, n);
	for (const struct pair *p = pairs; p < pairs + n; p++) {
		gm_cbor_put_text(&o, p->key);
		if (p->text)
			gm_cbor_put_text(&o, p->text);
		else if (p->none)
			gm_cbor_put_null(&o);
		else
			gm_cbor_put_int(&o, p->number);
	}
	if (o.err != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
	row(arg, gm_out_result(&o));
}

void gm_cli_free(struct rows *rows)
{
	for (size_t r = 0; r < rows->n; r++) {
		for (unsigned c = 0; c < rows->rows[r].n; c++) {
			free(rows->rows[r].cells[c].key);
			free(rows->rows[r].cells[c].text);
		}
		free(rows->rows[r].cells);
	}
	free(rows->rows);
	*rows = (struct rows){0};
}

const char *gm_cli_cell(const struct row *row, const char *key)
{
	for (unsigned i = 0; row && i < row->n; i++)
		if (strcmp(row->cells[i].key, key) == 0)
			return row->cells[i].text;
	return "";
}

unsigned long long gm_cli_number(const struct row *row, const char *key)
{
	return strtoull(gm_cli_cell(row, key), NULL, 10);
}

const struct row *gm_cli_find(const struct rows *rows, const char *key, const char *text)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(gm_cli_cell(&rows->rows[i], key), text) == 0)
			return &rows->rows[i];
	return NULL;
}
