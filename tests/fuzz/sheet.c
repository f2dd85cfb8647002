/* SPDX-License-Identifier: Apache-2.0 */
/* Files of groups, devices and roles: rows, which come through the socket as they were and out of a spreadsheet's CSV, too, or a line that
 * says where and what is wrong. What a row means is the same when it is written again. */
#include "insist.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/csv.h"
#include "ctl/expect.h"
#include "ctl/settings.h"
#include "ctl/sheet.h"

static void same_rows(const struct gm_sheet_row *a, const struct gm_sheet_row *b, unsigned columns)
{
	for (unsigned i = 0; i < columns; i++)
		insist((!a->cell[i] && !b->cell[i]) || (a->cell[i] && b->cell[i] && strcmp(a->cell[i], b->cell[i]) == 0));
}

static void through_the_socket(enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	static uint8_t bytes[2 * GM_SHEET_ROW_MAX];
	static struct gm_sheet_row back;
	struct gm_out o = gm_out(bytes, sizeof(bytes));

	gm_sheet_row_encode(&o, sheet, row);
	insist(o.err == GM_E_OK);
	struct gm_in in = gm_in_bytes(gm_out_result(&o));
	insist(gm_sheet_row_decode(&in, sheet, &back) == GM_E_OK && gm_in_left(&in) == 0 && back.line == row->line);
	same_rows(row, &back, gm_sheets[sheet].columns_n);
}

/* What a JSON file says may be longer than a line of CSV; a cell of it has no control characters. */
static void through_csv(enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	static char text[4 * GM_SHEET_ROW_MAX];
	static struct gm_csv_record record;
	char why[GM_CSV_WHY];
	FILE *f = fmemopen(text, sizeof(text), "w");

	insist(f != NULL);
	for (unsigned i = 0; i < gm_sheets[sheet].columns_n; i++)
		gm_csv_put(f, row->cell[i] ? row->cell[i] : "", i == 0);
	gm_csv_end(f);
	size_t n = (size_t)ftell(f);
	fclose(f);
	insist(!memchr("=+-@", text[0], 4));
	struct gm_csv csv = gm_csv(text, n);
	csv.separator = ','; /* as a first line would have said */
	if (!gm_csv_next(&csv, &record, why))
		return;
	insist(record.n == gm_sheets[sheet].columns_n);
	for (unsigned i = 0; i < record.n; i++)
		insist(strcmp(record.cells[i].text, row->cell[i] ? row->cell[i] : "") == 0);
}

static void place(const char *text)
{
	struct gm_device_spec spec = {0}, again = {0};
	char why[GM_EXPECT_WHY], first[GM_EXPECT_TEXT], second[GM_EXPECT_TEXT];

	if (!gm_expect_parse(text, &spec, why))
		return;
	insist(gm_expect_parse(gm_expect_text(&spec, first), &again, why));
	insist(strcmp(first, gm_expect_text(&again, second)) == 0);
}

static void roles(const char *text)
{
	char why[GM_EXPECT_WHY], again[GM_ROLES_TEXT];
	uint32_t first, second;

	if (!gm_roles_parse(text, strlen(text), &first, why) || !first)
		return;
	gm_roles_text(first, '+', again);
	insist(gm_roles_parse(again, strlen(again), &second, why) && first == second);
}

static void whose(const char *text)
{
	struct gm_device_key key, again;
	char first[GM_DEVICE_KEY_TEXT], second[GM_DEVICE_KEY_TEXT];

	(void)gm_device_name_fault(text);
	if (!gm_device_key_parse(text, &key))
		return;
	insist(gm_device_key_parse(gm_device_key_text(&key, first), &again));
	insist(strcmp(first, gm_device_key_text(&again, second)) == 0);
}

static bool put_settings(struct gm_group_spec *spec, const char *const *cells)
{
	char why[GM_SETTING_WHY];

	*spec = gm_settings_begin();
	for (unsigned i = 0; i < GM_SETTINGS_N; i++)
		if (cells[i] && cells[i][0] && !gm_setting_put(spec, (enum gm_setting)i, cells[i], why))
			return false;
	return gm_settings_done(spec, why);
}

static void settings(const char *const *cells)
{
	char texts[2][GM_SETTINGS_N][GM_SETTING_MAX + 1];
	const char *again[GM_SETTINGS_N];
	struct gm_group_spec spec;

	if (!put_settings(&spec, cells))
		return;
	for (unsigned i = 0; i < GM_SETTINGS_N; i++)
		again[i] = gm_setting_text(&spec, (enum gm_setting)i, texts[0][i]);
	insist(put_settings(&spec, again));
	for (unsigned i = 0; i < GM_SETTINGS_N; i++)
		insist(strcmp(again[i], gm_setting_text(&spec, (enum gm_setting)i, texts[1][i])) == 0);
}

static void means_the_same(enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	if (sheet == GM_SHEET_GROUPS) {
		settings(row->cell + 2); /* behind group and template */
		return;
	}
	if (row->cell[0])
		whose(row->cell[0]);
	if (sheet == GM_SHEET_DEVICES && row->cell[2])
		place(row->cell[2]);
	if (sheet == GM_SHEET_ROLES && row->cell[3])
		roles(row->cell[3]);
}

static bool each(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	++*(unsigned *)arg;
	insist(row->line >= 1);
	through_the_socket(sheet, row);
	through_csv(sheet, row);
	means_the_same(sheet, row);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[GM_SHEET_WHY];
	struct gm_sheet_row row;
	unsigned rows = 0;
	char *text = malloc(size + 1);

	insist(text != NULL);
	memcpy(text, data, size);
	bool good = gm_sheet_read(text, size, each, &rows, why); /* no zero byte behind it */
	insist(good == (why[0] == '\0') && rows <= GM_SHEET_ROWS_MAX);
	insist(!strchr(why, '\n'));
	free(text);
	struct gm_in in = gm_in(data, size);
	if (gm_sheet_row_decode(&in, GM_SHEET_ROLES, &row) == GM_E_OK)
		through_the_socket(GM_SHEET_ROLES, &row);
	return 0;
}
