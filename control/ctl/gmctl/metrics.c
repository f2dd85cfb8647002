/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/metrics.h"

#include "ctl/gmctl/gmctl.h"

static void row(void *text, struct gm_bytes pairs)
{
	if (!gm_metrics_row(text, pairs))
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read: is it of another version?");
}

void gm_cli_metrics(struct session *s, struct line *line)
{
	struct gm_metrics_text text = {.to = stdout};

	gm_cli_ask(s, &line->request, row, &text);
	gm_metrics_end(&text);
}

enum exit_code gm_cli_do_metrics_names(struct session *s, struct line *line)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	const char *text = s->json ? "{\"name\":\"%s\",\"type\":\"%s\",\"labels\":\"%s\",\"text\":\"%s\"}\n" : "%-34s %-10s %-24s %s\n";

	if (gm_ctl_arg(&line->request, "manual"))
		gm_metrics_manual(stdout);
	for (unsigned i = 0; i < gm_metrics_n && !line->request.args_n; i++)
		printf(text, gm_metrics[i].name, types[gm_metrics[i].type], gm_metrics[i].labels, gm_metrics[i].text);
	return EXIT_DONE;
}
