/* SPDX-License-Identifier: Apache-2.0 */
/* The whole store, page by page, so that gmd serves others in between; what the pages count, added up. */
#include "ctl/gmctl/gmctl.h"

#define TABLES_MAX 16u

struct table {
	char name[32], first_broken[2 * GM_CTL_TEXT_MAX + 1];
	uint64_t records, bytes, broken;
};
struct sum {
	struct table tables[TABLES_MAX];
	unsigned n;
};

static struct table *table_of(struct sum *sum, const char *name)
{
	for (unsigned i = 0; i < sum->n; i++)
		if (strcmp(sum->tables[i].name, name) == 0)
			return &sum->tables[i];
	if (sum->n == TABLES_MAX)
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
	snprintf(sum->tables[sum->n].name, sizeof(sum->tables[0].name), "%s", name);
	return &sum->tables[sum->n++];
}

/* Where the next page begins, in hexadecimal digits; empty: this was the last. */
static const char *add_page(struct sum *sum, const struct rows *rows)
{
	const char *behind = "";

	for (size_t i = 0; i < rows->n; i++) {
		const struct row *row = &rows->rows[i];
		behind = gm_cli_cell(row, "behind");
		if (behind[0])
			break;
		struct table *t = table_of(sum, gm_cli_cell(row, "table"));
		if (!t->broken)
			snprintf(t->first_broken, sizeof(t->first_broken), "%s", gm_cli_cell(row, "first_broken"));
		t->records += gm_cli_number(row, "records");
		t->bytes += gm_cli_number(row, "bytes");
		t->broken += gm_cli_number(row, "broken");
	}
	return behind;
}

static void read_all(struct session *s, struct gm_ctl_request *request, struct sum *sum)
{
	bool more;

	do {
		struct rows rows = {0};
		gm_cli_ask(s, request, gm_cli_keep, &rows);
		const char *behind = add_page(sum, &rows);
		more = behind[0] != '\0';
		request->args_n = 0;
		request->args[0] = (struct gm_ctl_arg){0};
		if (more)
			gm_cli_set_hex(gm_cli_add(request, "behind", GM_CTL_BYTES), behind);
		gm_cli_free(&rows);
	} while (more);
}

static void emit(const struct table *t, gm_cli_row row, void *arg)
{
	const struct pair pairs[] = {{.key = "table", .text = t->name},
	                             {.key = "records", .number = (int64_t)t->records},
	                             {.key = "bytes", .number = (int64_t)t->bytes},
	                             {.key = "broken", .number = (int64_t)t->broken},
	                             {.key = "first_broken", .text = t->first_broken}};

	gm_cli_row_of(pairs, sizeof(pairs) / sizeof(pairs[0]), row, arg);
}

enum exit_code gm_cli_verify(struct session *s, struct line *line)
{
	static struct sum sum;
	struct rows rows = {0};
	unsigned long long broken = 0;

	read_all(s, &line->request, &sum);
	for (unsigned i = 0; i < sum.n; i++) {
		emit(&sum.tables[i], s->json ? gm_cli_json : gm_cli_keep, &rows);
		broken += sum.tables[i].broken;
	}
	gm_cli_table(&rows);
	gm_cli_free(&rows);
	if (!broken)
		return EXIT_DONE;
	fflush(stdout);
	fprintf(stderr, "gmctl: %llu records do not open: the disk, or somebody, changed them; keep a copy of the store, then restore a backup\n", broken);
	return EXIT_FAILED;
}
