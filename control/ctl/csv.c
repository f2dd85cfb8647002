/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/csv.h"

#include <stdarg.h>
#include <string.h>

#include "wire/cbor.h"

/* ---- reading */

struct gm_csv gm_csv(const void *p, size_t n)
{
	return (struct gm_csv){.p = p, .n = n, .line = 1, .column = 1};
}

__attribute__((format(printf, 4, 5))) static bool wrong(unsigned line, unsigned column, char why[static GM_CSV_WHY],
                                                        const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(why, GM_CSV_WHY, "%u:%u: ", line, column);

	va_start(ap, fmt);
	vsnprintf(why + n, GM_CSV_WHY - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}
#define WRONG(csv, ...) wrong((csv)->line, (csv)->column, why, __VA_ARGS__)

static int peek(const struct gm_csv *csv)
{
	return csv->at < csv->n ? csv->p[csv->at] : -1;
}

static bool at_line_end(const struct gm_csv *csv)
{
	return peek(csv) == '\n' || (peek(csv) == '\r' && csv->at + 1 < csv->n && csv->p[csv->at + 1] == '\n');
}

static void pass_line_end(struct gm_csv *csv)
{
	csv->at += csv->p[csv->at] == '\r' ? 2 : 1;
	csv->line++;
	csv->column = 1;
}

/* What stands between the cells of the first line, where nothing is quoted; a line of one cell: a comma. */
static char find_separator(const struct gm_csv *csv)
{
	bool quoted = false;

	for (size_t i = csv->at; i < csv->n && (quoted || csv->p[i] != '\n'); i++) {
		if (csv->p[i] == '"')
			quoted = !quoted;
		else if (!quoted && (csv->p[i] == ',' || csv->p[i] == ';' || csv->p[i] == '\t'))
			return (char)csv->p[i];
	}
	return ',';
}

static bool begin(struct gm_csv *csv, char why[static GM_CSV_WHY])
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

	if (csv->n >= 2 && (csv->p[0] ^ csv->p[1]) == (0xfe ^ 0xff) && (csv->p[0] == 0xfe || csv->p[0] == 0xff))
		return WRONG(csv, "this is UTF-16: save it as CSV in UTF-8");
	if (csv->n >= sizeof(mark) && memcmp(csv->p, mark, sizeof(mark)) == 0)
		csv->at = sizeof(mark);
	csv->separator = find_separator(csv);
	return true;
}

/* One character of a cell. */
static bool take(struct gm_csv *csv, struct gm_csv_record *r, char why[static GM_CSV_WHY])
{
	size_t len = gm_utf8_len(csv->p + csv->at, csv->n - csv->at);
	bool control = csv->p[csv->at] < 0x20 || csv->p[csv->at] == 0x7f;

	if (!len)
		return WRONG(csv, "not UTF-8: save the file as CSV in UTF-8");
	if (control && csv->p[csv->at] != '\t' && csv->p[csv->at] != '\n' && csv->p[csv->at] != '\r')
		return WRONG(csv, "a control character, number %u", csv->p[csv->at]);
	if (r->room_n + len + 1 > sizeof(r->room))
		return WRONG(csv, "the line is too long: at most %u bytes", GM_CSV_RECORD_MAX);
	memcpy(r->room + r->room_n, csv->p + csv->at, len);
	r->room_n += len;
	csv->at += len;
	csv->column++;
	if (r->room[r->room_n - 1] == '\n') {
		csv->line++;
		csv->column = 1;
	}
	return true;
}

static void step(struct gm_csv *csv)
{
	csv->at++;
	csv->column++;
}

/* Behind the first quote, up to behind the last one. */
static bool take_quoted(struct gm_csv *csv, struct gm_csv_record *r, char why[static GM_CSV_WHY])
{
	unsigned line = csv->line, column = csv->column;

	for (step(csv); csv->at < csv->n;) {
		if (peek(csv) != '"') {
			if (!take(csv, r, why))
				return false;
			continue;
		}
		step(csv);
		if (peek(csv) != '"')
			return peek(csv) < 0 || peek(csv) == csv->separator || at_line_end(csv)
			               ? true
			               : WRONG(csv, "text behind a closing quote: a quote inside of a cell is written twice");
		if (!take(csv, r, why))
			return false;
	}
	return wrong(line, column, why, "this quote is never closed");
}

static bool take_plain(struct gm_csv *csv, struct gm_csv_record *r, char why[static GM_CSV_WHY])
{
	while (csv->at < csv->n && peek(csv) != csv->separator && !at_line_end(csv)) {
		if (peek(csv) == '"')
			return WRONG(csv, "a quote inside of a cell: the whole cell has to be in quotes, and this one written twice");
		if (peek(csv) == '\r')
			return WRONG(csv, "CR without LF: lines end with LF or CRLF");
		if (!take(csv, r, why))
			return false;
	}
	return true;
}

static bool begins_formula(const char *text)
{
	return text[0] && strchr("=+-@\t\r\n'", text[0]);
}

static bool take_cell(struct gm_csv *csv, struct gm_csv_record *r, char why[static GM_CSV_WHY])
{
	struct gm_csv_cell *cell = &r->cells[r->n];
	char *text = r->room + r->room_n;

	if (r->n == GM_CSV_CELLS_MAX)
		return WRONG(csv, "more than %u cells", GM_CSV_CELLS_MAX);
	*cell = (struct gm_csv_cell){.line = csv->line, .column = csv->column};
	if (!(peek(csv) == '"' ? take_quoted : take_plain)(csv, r, why))
		return false;
	if (r->room_n == sizeof(r->room))
		return WRONG(csv, "the line is too long: at most %u bytes", GM_CSV_RECORD_MAX);
	r->room[r->room_n++] = '\0';
	cell->text = text[0] == '\'' && begins_formula(text + 1) ? text + 1 : text;
	r->n++;
	return true;
}

bool gm_csv_next(struct gm_csv *csv, struct gm_csv_record *r, char why[static GM_CSV_WHY])
{
	why[0] = '\0';
	if (!csv->separator && !begin(csv, why))
		return false;
	while (csv->at < csv->n && at_line_end(csv))
		pass_line_end(csv);
	r->n = 0;
	r->room_n = 0;
	r->line = csv->line;
	if (csv->at == csv->n)
		return false;
	for (;;) {
		if (!take_cell(csv, r, why))
			return false;
		if (csv->at == csv->n)
			return true;
		if (at_line_end(csv))
			break;
		step(csv); /* the separator */
	}
	pass_line_end(csv);
	return true;
}

/* ---- writing */

void gm_csv_put(FILE *to, const char *text, bool first)
{
	size_t n = strlen(text);
	bool formula = begins_formula(text);
	bool quotes = formula || strpbrk(text, ",;\t\r\n\"") || (n && (text[0] == ' ' || text[n - 1] == ' '));

	if (!first)
		fputc(',', to);
	if (!quotes) {
		fputs(text, to);
		return;
	}
	fputs(formula ? "\"'" : "\"", to);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

void gm_csv_end(FILE *to)
{
	fputs("\r\n", to);
}
