/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions as they are logged, seen as events for `gmctl watch`. No I/O; one thread. */
#ifndef GM_CTL_WATCH_H
#define GM_CTL_WATCH_H

#include "ctl/frame.h"

/* "joined" for "join.ok group=g node=n ..."; NULL: nothing that watchers are told. */
const char *gm_watch_event(const char *line);
/* Is it about this group? Of what names no group everybody is told. */
bool gm_watch_about(const char *line, const char *group);
bool gm_watch_of_member(const char *event); /* one of which there may be as many as members at a time */
/* Its fields as pairs of a row, behind time and event. */
void gm_watch_put(struct gm_ctl_reply *reply, int64_t wall_s, const char *event, const char *line);

#endif
