/* SPDX-License-Identifier: Apache-2.0 */
/* Events of single members are left out: a floor that is powered on has thousands, and counters tell of them. */
#include "status/events.h"

#include <stdlib.h>
#include <time.h>

#define AGAIN_MS 2000u
#define KEPT 50u

struct events {
	struct link link;
	uint64_t tried_ms;
	json_t *kept; /* the oldest first */
};

struct events *events_new(const char *path)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->link = (struct link){.path = path, .fd = -1};
	e->kept = json_array();
	return e;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	link_close(&e->link);
	json_decref(e->kept);
	free(e);
}

int events_fd(const struct events *e)
{
	return e->link.fd;
}

json_t *events_kept(const struct events *e)
{
	return e->kept;
}

static void keep(struct events *e, struct gm_bytes pairs)
{
	json_array_append_new(e->kept, json_of_pairs(pairs));
	if (json_array_size(e->kept) > KEPT)
		json_array_remove(e->kept, 0);
}

static void connect_again(struct events *e)
{
	static const struct asked watch = {.verb = "watch", .flag = "no-members"};
	const uint64_t now = gm_clock_ms();
	char why[WHY_MAX];

	if (e->tried_ms && now < e->tried_ms + AGAIN_MS)
		return;
	e->tried_ms = now;
	link_send(&e->link, &watch, now + AGAIN_MS, why); /* else: later */
}

void events_run(struct events *e)
{
	enum link_next next;
	struct gm_bytes pairs;
	char why[WHY_MAX];

	if (e->link.fd < 0) {
		connect_again(e);
		return;
	}
	if (!link_read(&e->link)) {
		link_close(&e->link);
		return;
	}
	while ((next = link_take(&e->link, &pairs, why)) == LINK_ROW)
		keep(e, pairs);
	if (next != LINK_NOTHING) /* too many watch: the same as if gmd were not there */
		link_close(&e->link);
}
