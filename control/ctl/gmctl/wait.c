/* SPDX-License-Identifier: Apache-2.0 */
/* --wait: until the rekeys that a command started have ended, each member confirmed or late. */
#include "ctl/gmctl/gmctl.h"

#include <stdlib.h>
#include <time.h>

#define PAUSE_MS 50u
#define PAUSE_MS_MAX 1000u

struct waiting {
	const char *group; /* the one that the command names; NULL: any */
	bool drains;       /* messages in flight count, too */
	struct rows before;
};

static void see(struct session *s, const struct waiting *w, struct rows *rows)
{
	if (w->group)
		gm_cli_simple(s, "group show", "group", w->group, gm_cli_keep, rows);
	else
		gm_cli_simple(s, "group list", NULL, NULL, gm_cli_keep, rows);
}

struct waiting *gm_cli_wait_begin(struct session *s, const struct line *line)
{
	const struct gm_ctl_arg *group = gm_ctl_arg(&line->request, "group");
	struct waiting *w = gm_cli_need(calloc(1, sizeof(*w)));

	w->group = group ? group->text : NULL;
	w->drains = strcmp(line->verb->name, "drain") == 0;
	see(s, w, &w->before);
	return w;
}

/* A rekey that is owed to nobody waits for the next Join, a paused one for an operator: nobody waits for that. */
static bool under_way(const struct row *g)
{
	static const char *const still[] = {"idle", "inactive", "paused"};
	bool stands = false;

	for (size_t i = 0; i < sizeof(still) / sizeof(still[0]); i++)
		stands |= strcmp(gm_cli_cell(g, "state"), still[i]) == 0;
	return gm_cli_number(g, "members") && !stands;
}

static bool any_under_way(const struct rows *now)
{
	for (size_t i = 0; i < now->n; i++)
		if (under_way(&now->rows[i]))
			return true;
	return false;
}

static bool in_flight(struct session *s)
{
	struct rows status = {0};
	unsigned long long n = 0;

	gm_cli_simple(s, "status", NULL, NULL, gm_cli_keep, &status);
	for (size_t i = 0; i < status.n; i++)
		if (strcmp(gm_cli_cell(&status.rows[i], "what"), "worker") == 0)
			n += gm_cli_number(&status.rows[i], "inflight");
	gm_cli_free(&status);
	return n > 0;
}

static void pause_for(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static void tell(const struct session *s, const struct row *g)
{
	const char *text = s->json ? "{\"group\":\"%s\",\"version\":%llu,\"confirmed\":%llu,\"late\":%llu,\"waiting\":%llu}\n"
	                           : "%s: version %llu, %llu confirmed, %llu late, %llu have not come for it\n";

	printf(text, gm_cli_cell(g, "group"), gm_cli_number(g, "version"), gm_cli_number(g, "confirmed"), gm_cli_number(g, "late"),
	       gm_cli_number(g, "waiting"));
}

enum exit_code gm_cli_wait_end(struct session *s, struct waiting *w)
{
	enum exit_code code = EXIT_DONE;
	struct rows now = {0};

	see(s, w, &now);
	for (unsigned ms = PAUSE_MS; any_under_way(&now) || (w->drains && in_flight(s)); ms = ms < PAUSE_MS_MAX ? 2 * ms : PAUSE_MS_MAX) {
		pause_for(ms);
		gm_cli_free(&now);
		see(s, w, &now);
	}
	for (size_t i = 0; i < now.n; i++) {
		const struct row *g = &now.rows[i], *was = gm_cli_find(&w->before, "group", gm_cli_cell(g, "group"));
		if (was && gm_cli_number(was, "version") == gm_cli_number(g, "version"))
			continue;
		tell(s, g);
		if (gm_cli_number(g, "late") + gm_cli_number(g, "waiting"))
			code = EXIT_DEGRADED;
	}
	gm_cli_free(&now);
	gm_cli_free(&w->before);
	free(w);
	return code;
}
