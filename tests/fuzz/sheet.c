/* SPDX-License-Identifier: Apache-2.0 */
/* Files of groups, devices and roles: rows, which come through the socket as they were and out of a spreadsheet's CSV, too, or a line that
 * says where and what is wrong. */
#include "insist.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/csv.h"
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

static bool each(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	++*(unsigned *)arg;
	insist(row->line >= 1);
	through_the_socket(sheet, row);
	through_csv(sheet, row);
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
