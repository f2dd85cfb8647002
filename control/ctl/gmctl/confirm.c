/* SPDX-License-Identifier: Apache-2.0 */
/* Before a command that cannot be taken back: what would become of it, and whether that is meant. */
#include "ctl/gmctl/gmctl.h"

#include <stdlib.h>
#include <unistd.h>

bool gm_cli_says_yes(const char *what, const char *says)
{
	char answer[16] = "";

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		gm_cli_die(EXIT_USAGE, "%s: %s; not a terminal: pass --yes to go ahead", what, says);
	fprintf(stderr, "%s: %s. Go on? [y/N] ", what, says);
	if (!fgets(answer, sizeof(answer), stdin))
		fputc('\n', stderr);
	return answer[0] == 'y' || answer[0] == 'Y';
}

static bool agreed_to(struct session *s, struct line *line, const char *name)
{
	struct gm_ctl_request request = line->request;
	struct rows rows = {0};

	gm_cli_add(&request, "preview", GM_CTL_BOOL)->u = 1;
	gm_cli_ask(s, &request, gm_cli_keep, &rows);
	const struct row *row = rows.n ? &rows.rows[0] : NULL;
	bool asks = strcmp(gm_cli_cell(row, "asks"), "no") != 0;
	char what[128];
	snprintf(what, sizeof(what), "%s%s%s", line->verb->name, name[0] ? " " : "", name);
	bool yes = !asks || gm_cli_says_yes(what, gm_cli_cell(row, "says"));
	gm_cli_free(&rows);
	return yes;
}

/* What the command is about: its first word that is no option. */
static const char *object_of(const struct line *line)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	const struct gm_ctl_arg *arg = gm_ctl_specs(line->verb, specs) && specs[0].positional ? gm_ctl_arg(&line->request, specs[0].key) : NULL;

	return arg && arg->type == GM_CTL_TEXT ? arg->text : "";
}

bool gm_cli_agreed(struct session *s, struct line *line)
{
	struct gm_ctl_request *request = &line->request;
	const unsigned args_n = request->args_n;

	if (!line->verb->asks || s->yes)
		return true;
	if (!line->repeats_n)
		return agreed_to(s, line, object_of(line));
	for (int i = 0; i < line->repeats_n; i++) {
		gm_cli_set_text(gm_cli_add(request, line->repeats_key, GM_CTL_TEXT), line->repeats[i]);
		bool yes = agreed_to(s, line, line->repeats[i]);
		request->args_n = args_n;
		request->args[args_n] = (struct gm_ctl_arg){0};
		if (!yes)
			return false;
	}
	return true;
}
