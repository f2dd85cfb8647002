/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values, RFC 4180, as spreadsheets write them and strictly: what is read is what was meant, or an error names line and
 * column. UTF-8, with a byte order mark or without; lines end with LF or CRLF; what separates cells (, ; or TAB) shows in the first line.
 *
 * A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and read without. No I/O but the
 * writer's; any thread. */
#ifndef GM_CTL_CSV_H
#define GM_CTL_CSV_H

#include <stdio.h>

#include "gm/buf.h"

#define GM_CSV_CELLS_MAX 32u
#define GM_CSV_RECORD_MAX 4096u /* bytes of a record's cells, without what separates them */
#define GM_CSV_WHY 192u

struct gm_csv { /* reading */
	const uint8_t *p;
	size_t n, at;
	unsigned line, column; /* of the next character, from 1; columns count characters */
	char separator;        /* 0: nothing was read yet */
};
struct gm_csv_record {
	unsigned n, line;
	struct gm_csv_cell {
		const char *text; /* in room; holds no zero byte */
		unsigned line, column;
	} cells[GM_CSV_CELLS_MAX];
	char room[GM_CSV_RECORD_MAX + GM_CSV_CELLS_MAX];
	size_t room_n;
};
struct gm_csv gm_csv(const void *p, size_t n);
/* false: the end, or an error: why is not empty then, and begins with line and column. Empty lines are passed over. */
bool gm_csv_next(struct gm_csv *csv, struct gm_csv_record *record, char why[static GM_CSV_WHY]);

/* One cell, with the comma before it unless it is the first; gm_csv_end() ends the line. */
void gm_csv_put(FILE *to, const char *text, bool first);
void gm_csv_end(FILE *to);

#endif
