/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "ctl/csv.h"

static char why[GM_CSV_WHY], said[4096];

/* All records: cells with | behind each, a line for each record. */
static const char *read_all(const char *text, size_t n)
{
	static struct gm_csv_record record;
	struct gm_csv csv = gm_csv(text, n);
	size_t at = 0;

	said[0] = '\0';
	while (gm_csv_next(&csv, &record, why)) {
		for (unsigned i = 0; i < record.n; i++)
			at += (size_t)snprintf(said + at, sizeof(said) - at, "%s|", record.cells[i].text);
		at += (size_t)snprintf(said + at, sizeof(said) - at, "\n");
	}
	return said;
}
#define READ(text) read_all(text, sizeof(text) - 1)

Test(csv, reads_cells_of_every_kind)
{
	cr_expect_str_eq(READ("a,b\r\n1,\"x,\"\"y\"\"\r\nz\"\r\n,\r\n"), "a|b|\n1|x,\"y\"\r\nz|\n||\n");
	cr_expect_str_eq(why, "");
	cr_expect_str_eq(READ("a,b\n\n\n1,2"), "a|b|\n1|2|\n", "an empty line is none; the last one needs no end");
	cr_expect_str_eq(READ("\xef\xbb\xbfname\n\xc3\xa9\n"), "name|\n\xc3\xa9|\n");
	cr_expect_str_eq(READ(""), "");
	cr_expect_str_eq(why, "");
}

Test(csv, takes_the_separator_of_the_first_line)
{
	cr_expect_str_eq(READ("a;b\n1,5;2\n"), "a|b|\n1,5|2|\n");
	cr_expect_str_eq(READ("a\tb\n1;2\t3\n"), "a|b|\n1;2|3|\n");
	cr_expect_str_eq(READ("\"a;b\",c\n"), "a;b|c|\n", "not what is quoted");
}

Test(csv, says_where_and_what_is_wrong)
{
	static const struct {
		const char *text, *why;
		size_t n;
	} rows[] = {
#define ROW(text, why) {text, why, sizeof(text) - 1}
		ROW("a,b\n1,\"x\n\n", "2:3: this quote is never closed"),
		ROW("a,b\n\"x\"y,2\n", "2:4: text behind a closing quote: a quote inside of a cell is written twice"),
		ROW("a,b\nx\"y,2\n", "2:2: a quote inside of a cell: the whole cell has to be in quotes, and this one written twice"),
		ROW("a,b\r1,2\r", "1:4: CR without LF: lines end with LF or CRLF"),
		ROW("a\n\xff\xfe\n", "2:1: not UTF-8: save the file as CSV in UTF-8"),
		ROW("\xff\xfe" "a\0", "1:1: this is UTF-16: save it as CSV in UTF-8"),
		ROW("a\nb\0c\n", "2:2: a control character, number 0"),
		ROW("a\n\xc3\xa9\x1b[31m\n", "2:2: a control character, number 27"),
		ROW("a\n\xc0\x80\n", "2:1: not UTF-8: save the file as CSV in UTF-8"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		read_all(rows[i].text, rows[i].n);
		cr_expect_str_eq(why, rows[i].why);
	}
}

Test(csv, has_bounds_for_cells_and_lines)
{
	char *text = malloc(3 * GM_CSV_RECORD_MAX);

	memset(text, 'x', 3 * GM_CSV_RECORD_MAX);
	read_all(text, 3 * GM_CSV_RECORD_MAX);
	cr_expect(strstr(why, "the line is too long: at most 4096 bytes"), "%s", why);
	memset(text, ',', GM_CSV_CELLS_MAX);
	read_all(text, GM_CSV_CELLS_MAX - 1);
	cr_expect_str_eq(why, "");
	read_all(text, GM_CSV_CELLS_MAX);
	cr_expect(strstr(why, "more than 32 cells"), "%s", why);
	free(text);
}

static const char *written(const char *cell)
{
	static char text[256];
	FILE *f = fmemopen(text, sizeof(text), "w");

	gm_csv_put(f, cell, true);
	gm_csv_put(f, "x", false);
	gm_csv_end(f);
	fclose(f);
	return text;
}

Test(csv, writes_no_formula_and_reads_back_what_it_wrote)
{
	static const char *const cells[] = {"=1+1", "+49", "-3", "@SUM(A1)", "'", "''=", "'a", "a", "", " a", "a ", "a,b", "a;b", "\"", "=\"x\"", "a\r\nb",
	                                    "\t=1", "\xc3\xa9=", "=cmd|'/c calc'!A0"};
	char expected[256];

	cr_expect_str_eq(written("=1+1"), "\"'=1+1\",x\r\n");
	cr_expect_str_eq(written("a\"b"), "\"a\"\"b\",x\r\n");
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		const char *text = written(cells[i]);
		cr_expect(text[0] != '=' && text[0] != '+' && text[0] != '-' && text[0] != '@' && text[0] != '\t');
		cr_expect_not(text[0] == '"' && strchr("=+-@\t", text[1]));
		snprintf(expected, sizeof(expected), "%s|x|\n", cells[i]);
		cr_expect_str_eq(read_all(text, strlen(text)), expected);
	}
}
