/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for people, no wider than their terminal; into a pipe everything goes whole. */
#include "ctl/gmctl/gmctl.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEXT_LEAST 6 /* a column of text is not made narrower */

int gm_cli_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (columns && atoi(columns) > 0)
		return atoi(columns);
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

int gm_cli_width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += begins_character(*s);
	return n;
}

void gm_cli_cut(const char *text, int width, FILE *to)
{
	int n = 0;

	if (!width || gm_cli_width_of(text) <= width) {
		fputs(text, to);
		return;
	}
	for (; *text && (!begins_character(*text) || ++n < width); text++)
		fputc(*text, to);
	fputs("…", to);
}

/* ---- a line in the making */

struct page {
	int width; /* 0: no end */
	char *text;
	size_t n;
	FILE *line;
};

static void line_begin(struct page *page)
{
	page->line = gm_cli_need(open_memstream(&page->text, &page->n));
}

static void line_end(struct page *page)
{
	fclose(page->line);
	gm_cli_cut(page->text, page->width, stdout);
	putchar('\n');
	free(page->text);
}

static void put_padded(struct page *page, const char *s, int width, bool right, bool last)
{
	int pad = width - gm_cli_width_of(s);

	if (right)
		fprintf(page->line, "%*s", pad > 0 ? pad : 0, "");
	gm_cli_cut(s, width, page->line);
	if (!right && !last)
		fprintf(page->line, "%*s", pad > 0 ? pad : 0, "");
	if (!last)
		fputs("  ", page->line);
}

/* ---- a line per row, keys on top */

static int column_width(const struct rows *rows, unsigned c)
{
	int width = gm_cli_width_of(rows->rows[0].cells[c].key);

	for (size_t r = 0; r < rows->n; r++) {
		int w = c < rows->rows[r].n ? gm_cli_width_of(rows->rows[r].cells[c].text) : 0;
		width = w > width ? w : width;
	}
	return width;
}

static bool to_the_right(const struct cell *cell)
{
	return cell->number && !gm_cli_is_time(cell->key);
}

/* The widest columns of text give way until the row fits; numbers stay whole. */
static void narrow(const struct row *first, int *width, int most)
{
	int all = 2 * ((int)first->n - 1);

	for (unsigned c = 0; c < first->n; c++)
		all += width[c];
	for (; most && all > most; all--) {
		unsigned widest = first->n;
		for (unsigned c = 0; c < first->n; c++)
			if (!first->cells[c].number && width[c] > TEXT_LEAST && (widest == first->n || width[c] > width[widest]))
				widest = c;
		if (widest == first->n)
			return;
		width[widest]--;
	}
}

static void put_head(struct page *page, const struct row *first, const int *width)
{
	line_begin(page);
	for (unsigned c = 0; c < first->n; c++) {
		char head[64];
		snprintf(head, sizeof(head), "%s", first->cells[c].key);
		for (char *h = head; *h; h++)
			*h = *h == '_' ? '-' : (char)toupper((unsigned char)*h);
		put_padded(page, head, width[c], to_the_right(&first->cells[c]), c + 1 == first->n);
	}
	line_end(page);
}

void gm_cli_table(const struct rows *rows)
{
	const struct row *first = rows->rows;
	struct page page = {.width = gm_cli_width()};

	if (!rows->n && page.width)
		puts("none");
	if (!rows->n)
		return;
	int *width = gm_cli_need(calloc(first->n + 1, sizeof(int)));
	for (unsigned c = 0; c < first->n; c++)
		width[c] = column_width(rows, c);
	narrow(first, width, page.width);
	put_head(&page, first, width);
	for (size_t r = 0; r < rows->n; r++) {
		const struct row *row = &rows->rows[r];
		line_begin(&page);
		for (unsigned c = 0; c < row->n; c++)
			put_padded(&page, row->cells[c].text, c < first->n ? width[c] : 0, to_the_right(&row->cells[c]), c + 1 == row->n);
		line_end(&page);
	}
	free(width);
}

/* ---- a line per key, a column per row; rows with the same keys stand side by side */

static bool same_columns(const struct row *a, const struct row *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = strcmp(a->cells[i].key, b->cells[i].key) == 0;
	return same;
}

static void put_sheet(struct page *page, const struct row *first, unsigned n)
{
	int key_width = 0;

	for (unsigned c = 0; c < first->n; c++)
		key_width = gm_cli_width_of(first->cells[c].key) > key_width ? gm_cli_width_of(first->cells[c].key) : key_width;
	for (unsigned c = 0; c < first->n; c++) {
		line_begin(page);
		if (strcmp(first->cells[c].key, "what") == 0) {
			fputs(first->cells[c].text, page->line);
			line_end(page);
			continue;
		}
		fputs("  ", page->line);
		put_padded(page, first->cells[c].key, key_width, false, false);
		for (unsigned r = 0; r < n; r++) {
			const char *text = first[r].cells[c].text;
			int width = gm_cli_width_of(text);
			put_padded(page, text, n > 1 && width < 10 ? 10 : width, n > 1, r + 1 == n);
		}
		line_end(page);
	}
}

void gm_cli_sheets(const struct rows *rows)
{
	struct page page = {.width = gm_cli_width()};

	for (size_t from = 0, to; from < rows->n; from = to) {
		const struct row *first = &rows->rows[from];
		for (to = from + 1; to < rows->n && same_columns(first, &rows->rows[to]);)
			to++;
		if (from && strcmp(gm_cli_cell(first, "what"), "") != 0)
			putchar('\n');
		put_sheet(&page, first, (unsigned)(to - from));
	}
}
