/* SPDX-License-Identifier: Apache-2.0 */
/* A file of rows on its way to gmd: in pieces that frames have room for, then as a whole. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ctl/sheet.h"
#include "wire/cbor.h"

#define FILE_BYTES_MAX (16u << 20)
#define HEAD_MAX 64u

struct sending {
	enum gm_sheet sheet;
	uint64_t number; /* of the file, for gmd to tell it from others */
	unsigned rows;
	struct piece {
		uint8_t bytes[GM_CTL_BODY_MAX - HEAD_MAX];
		size_t n;
		unsigned before; /* rows in the pieces before it */
	} *pieces;
	unsigned pieces_n;
};

static char *read_file(const char *path, size_t *n)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = gm_cli_need(malloc(FILE_BYTES_MAX + 1));

	if (!f)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	*n = fread(text, 1, FILE_BYTES_MAX + 1, f);
	if (ferror(f))
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (*n > FILE_BYTES_MAX)
		gm_cli_die(EXIT_FAILED, "%s: longer than %u MiB: import it in several files", path, FILE_BYTES_MAX >> 20);
	if (f != stdin)
		fclose(f);
	return text;
}

static struct piece *piece_begin(struct sending *s)
{
	s->pieces = gm_cli_need(realloc(s->pieces, (s->pieces_n + 1) * sizeof(*s->pieces)));
	struct piece *p = &s->pieces[s->pieces_n++];
	p->n = 0;
	p->before = s->rows;
	return p;
}

static bool add_row(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	struct sending *s = arg;
	struct piece *p = s->pieces_n ? &s->pieces[s->pieces_n - 1] : piece_begin(s);

	s->sheet = sheet;
	for (;;) {
		struct gm_out o = gm_out(p->bytes + p->n, sizeof(p->bytes) - p->n);
		gm_sheet_row_encode(&o, sheet, row);
		if (o.err == GM_E_OK) {
			p->n += gm_out_len(&o);
			s->rows++;
			return true;
		}
		p = piece_begin(s);
	}
}

static void send_piece(struct session *session, const struct line *line, const struct sending *s, unsigned i, bool preview, gm_cli_row row,
                       void *arg)
{
	static uint8_t body[GM_CTL_BODY_MAX];
	struct gm_ctl_request request = line->request;
	struct gm_out o = gm_out(body, sizeof(body));
	bool whole = i + 1 == s->pieces_n;

	gm_cbor_put_array(&o, 4);
	gm_cbor_put_text(&o, gm_sheets[s->sheet].name);
	gm_cbor_put_uint(&o, s->number);
	gm_cbor_put_uint(&o, s->pieces[i].before);
	gm_cbor_put_bool(&o, whole);
	gm_out_bytes(&o, s->pieces[i].bytes, s->pieces[i].n);
	request.body = gm_out_result(&o);
	if (preview || !whole)
		gm_cli_add(&request, "preview", GM_CTL_BOOL)->u = 1;
	gm_cli_ask(session, &request, row, arg);
}

static void send_all(struct session *session, const struct line *line, const struct sending *s, bool preview, gm_cli_row row, void *arg)
{
	for (unsigned i = 0; i < s->pieces_n; i++)
		send_piece(session, line, s, i, preview, row, arg);
}

/* A look at the whole, in one row. */
static void look(struct session *session, const struct line *line, const struct sending *s, struct rows *rows)
{
	struct line all = *line;

	memset(all.request.args, 0, sizeof(all.request.args));
	all.request.args_n = 0; /* without --dry-run, which shows each row */
	gm_cli_set_text(gm_cli_add(&all.request, "file", GM_CTL_TEXT), gm_ctl_arg(&line->request, "file")->text);
	send_all(session, &all, s, true, gm_cli_keep, rows);
}

static bool agreed(struct session *session, const struct line *line, const struct sending *s, const char *path)
{
	struct rows rows = {0};

	if (session->yes)
		return true;
	look(session, line, s, &rows);
	const struct row *row = rows.n ? &rows.rows[0] : NULL;
	char what[GM_CTL_TEXT_MAX + 16];
	snprintf(what, sizeof(what), "import %s", path);
	bool yes = strcmp(gm_cli_cell(row, "asks"), "no") == 0 || gm_cli_says_yes(what, gm_cli_cell(row, "says"));
	gm_cli_free(&rows);
	return yes;
}

static void say_whole(struct session *session, const struct line *line, const struct sending *s)
{
	struct rows rows = {0};

	look(session, line, s, &rows);
	printf("%s\n", gm_cli_cell(rows.n ? &rows.rows[0] : NULL, "says"));
	gm_cli_free(&rows);
}

static void show(struct session *session, const struct line *line, const struct sending *s, bool preview)
{
	struct rows rows = {0};

	send_all(session, line, s, preview, session->json ? gm_cli_json : gm_cli_keep, &rows);
	if (!session->json)
		gm_cli_table(&rows);
	gm_cli_free(&rows);
}

enum exit_code gm_cli_import(struct session *session, struct line *line)
{
	const char *path = gm_ctl_arg(&line->request, "file")->text;
	struct sending s = {.number = (uint64_t)time(NULL) << 32 | (uint32_t)getpid()};
	char why[GM_SHEET_WHY];
	size_t n;
	char *text = read_file(path, &n);

	if (!gm_sheet_read(text, n, add_row, &s, why))
		gm_cli_die(EXIT_FAILED, "%s:%s", path, why);
	free(text);
	if (!s.rows)
		gm_cli_die(EXIT_FAILED, "%s: no rows", path);
	bool dry = gm_ctl_arg(&line->request, "dry-run") != NULL;
	if (dry && !session->json)
		say_whole(session, line, &s);
	bool go = dry || agreed(session, line, &s, path);
	if (go)
		show(session, line, &s, dry);
	else
		fputs("gmctl: nothing was done\n", stderr);
	free(s.pieces);
	return go ? EXIT_DONE : EXIT_FAILED;
}
