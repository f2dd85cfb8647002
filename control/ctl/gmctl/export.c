/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, devices and roles into files that import takes. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "ctl/csv.h"
#include "ctl/sheet.h"

struct writing {
	FILE *to;
	bool json;
	enum gm_sheet sheet;
};

static void write_row(struct writing *w, const char *const *cells)
{
	const struct gm_sheet_kind *kind = &gm_sheets[w->sheet];

	if (w->json) {
		json_t *object = gm_cli_need(json_object());
		for (unsigned i = 0; i < kind->columns_n; i++)
			if (cells[i][0])
				json_object_set_new(object, kind->columns[i], json_string(cells[i]));
		if (json_dumpf(object, w->to, JSON_COMPACT) != 0)
			gm_cli_die(EXIT_FAILED, "writing: %s", strerror(errno));
		json_decref(object);
		fputc('\n', w->to);
		return;
	}
	for (unsigned i = 0; i < kind->columns_n; i++)
		gm_csv_put(w->to, cells[i], i == 0);
	gm_csv_end(w->to);
}

static void as_it_is(struct writing *w, const struct row *row)
{
	const char *cells[GM_SHEET_COLUMNS_MAX];

	for (unsigned i = 0; i < gm_sheets[w->sheet].columns_n; i++)
		cells[i] = gm_cli_cell(row, gm_sheets[w->sheet].columns[i]);
	write_row(w, cells);
}

/* A row for each group that a device is expected in. */
static void by_group(struct writing *w, const struct row *row)
{
	char *groups = gm_cli_need(strdup(gm_cli_cell(row, "groups"))), *rest = groups;

	for (char *one; (one = strtok_r(rest, " ", &rest));) {
		char *roles = strchr(one, '/');
		if (roles)
			*roles++ = '\0';
		write_row(w, (const char *const[]){gm_cli_cell(row, "device"), gm_cli_cell(row, "name"), one, roles ? roles : "any"});
	}
	free(groups);
}

static const struct {
	const char *verb, *flag;
	void (*write)(struct writing *w, const struct row *row);
} sources[GM_SHEETS_N] = {
	[GM_SHEET_GROUPS] = {"group list", "settings", as_it_is},
	[GM_SHEET_DEVICES] = {"device list", NULL, as_it_is},
	[GM_SHEET_ROLES] = {"device list", NULL, by_group},
};

static void write_all(struct session *s, struct writing *w)
{
	struct gm_ctl_request *request = gm_cli_need(calloc(1, sizeof(*request)));
	struct rows rows = {0};

	request->fd = -1;
	snprintf(request->verb, sizeof(request->verb), "%s", sources[w->sheet].verb);
	if (sources[w->sheet].flag)
		gm_cli_add(request, sources[w->sheet].flag, GM_CTL_BOOL)->u = 1;
	gm_cli_ask(s, request, gm_cli_keep, &rows);
	if (!w->json)
		write_row(w, gm_sheets[w->sheet].columns);
	for (size_t i = 0; i < rows.n; i++)
		sources[w->sheet].write(w, &rows.rows[i]);
	gm_cli_free(&rows);
	free(request);
}

static enum exit_code export(struct session *s, struct line *line, enum gm_sheet sheet)
{
	const struct gm_ctl_arg *file = gm_ctl_arg(&line->request, "file");
	bool named = file && strcmp(file->text, "-") != 0;

	gm_cli_connect(s); /* before there is a file */
	struct writing w = {.to = named ? gm_cli_new_file(file->text) : stdout, .json = s->json, .sheet = sheet};
	write_all(s, &w);
	if (fflush(w.to) != 0 || ferror(w.to) || (named && fclose(w.to) != 0))
		gm_cli_die(EXIT_FAILED, "writing: %s", strerror(errno));
	return EXIT_DONE;
}

enum exit_code gm_cli_do_export_groups(struct session *s, struct line *line)
{
	return export(s, line, GM_SHEET_GROUPS);
}

enum exit_code gm_cli_do_export_devices(struct session *s, struct line *line)
{
	return export(s, line, GM_SHEET_DEVICES);
}

enum exit_code gm_cli_do_export_roles(struct session *s, struct line *line)
{
	return export(s, line, GM_SHEET_ROLES);
}
