/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <stdlib.h>

/* "2026-11-22T10:11:12Z  joined          group=g1 node=n7" */
static void print_event(struct gm_bytes pairs)
{
	struct rows rows = {0};

	gm_cli_keep(&rows, pairs);
	const struct row *row = &rows.rows[0];
	printf("%s  %-16s", gm_cli_cell(row, "at"), gm_cli_cell(row, "event"));
	for (unsigned i = 0; i < row->n; i++)
		if (strcmp(row->cells[i].key, "at") != 0 && strcmp(row->cells[i].key, "event") != 0)
			printf(" %s=%s", row->cells[i].key, row->cells[i].text);
	putchar('\n');
	if (fflush(stdout) != 0)
		gm_cli_die(EXIT_FAILED, "nobody reads");
	gm_cli_free(&rows);
}

static void event(void *json, struct gm_bytes pairs)
{
	if (*(const bool *)json)
		gm_cli_json(NULL, pairs);
	else
		print_event(pairs);
}

enum exit_code gm_cli_watch(struct session *s, struct line *line)
{
	gm_cli_ask(s, &line->request, event, &s->json); /* until gmd goes, or we are interrupted */
	return EXIT_DONE;
}
