/* SPDX-License-Identifier: Apache-2.0 */
/* Files of groups, devices and roles: CSV, or JSON as an array of objects or one object after the other. From the file to rows, and
 * from rows to what the control socket carries. No I/O; any thread. */
#ifndef GM_CTL_SHEET_H
#define GM_CTL_SHEET_H

#include "gm/buf.h"

enum gm_sheet { GM_SHEET_GROUPS, GM_SHEET_DEVICES, GM_SHEET_ROLES, GM_SHEETS_N };
#define GM_SHEET_COLUMNS_MAX 16u
#define GM_SHEET_WHY 256u
#define GM_SHEET_ROW_MAX 4096u /* bytes of all cells of a row */
#define GM_SHEET_ROWS_MAX 20000u /* of one file: gmd has 1.5 KiB for each while it looks at them */

struct gm_sheet_kind {
	const char *name;
	unsigned columns_n;
	const char *columns[GM_SHEET_COLUMNS_MAX]; /* the first has to be there */
};
extern const struct gm_sheet_kind gm_sheets[GM_SHEETS_N];
int gm_sheet_named(const char *name); /* -1: none */

struct gm_sheet_row {
	unsigned line;
	const char *cell[GM_SHEET_COLUMNS_MAX]; /* in room; NULL: the column is absent, or empty here */
	char room[GM_SHEET_ROW_MAX + GM_SHEET_COLUMNS_MAX];
	size_t room_n;
};
typedef bool (*gm_sheet_each)(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row); /* false: it ends here */
/* false: why begins with line, and column where there is one; what came before it was shown. An empty file has no rows. */
bool gm_sheet_read(const char *text, size_t n, gm_sheet_each each, void *arg, char why[static GM_SHEET_WHY]);

/* ---- rows as the control socket carries them, one after the other */
void gm_sheet_row_encode(struct gm_out *out, enum gm_sheet sheet, const struct gm_sheet_row *row);
/* MALFORMED, TYPE, RANGE */
GM_NODISCARD enum gm_err gm_sheet_row_decode(struct gm_in *in, enum gm_sheet sheet, struct gm_sheet_row *row);

#endif
