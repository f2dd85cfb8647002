/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands do; verbs.def has the rows. Core thread. */
#ifndef GM_CTL_TABLE_H
#define GM_CTL_TABLE_H

#include "core/core.h"
#include "ctl/config.h"
#include "ctl/frame.h"

struct gm_turn_stats { /* kept by the turn loop */
	uint64_t turns, turn_us_sum, turn_us_max;
	uint64_t commits, commit_us_sum, commit_us_max, commit_events_sum;
	uint64_t events;
	uint64_t hist_events[GM_HIST_N];    /* events per commit; bucket 0: none, b: [2^(b-1), 2^b), as workers count */
	uint64_t hist_commit_us[GM_HIST_N]; /* likewise */
	uint64_t backlog_bytes;           /* effects that a worker's ring had no room for */
	/* of the start, in ms: the store opened, read into core, workers and ports, the state handed down to them */
	uint32_t open_ms, load_ms, network_ms, down_ms;
	uint32_t handover_ms; /* what changed something waited so long, when this process took over; 0: it did not */
};

struct gm_ctl_env { /* borrowed */
	struct gm_config *config; /* in force */
	struct gm_config *file;   /* as the file was when it was read last; NULL: nobody asks */
	const char *config_file;
	struct gm_core *core;
	struct gm_store *store;
	struct gm_dp *dp;
	unsigned workers;
	const struct gm_turn_stats *turn;
	uint64_t started_ms; /* monotonic */
	/* clock and fresh dice for one command */
	void (*txn)(void *arg, struct gm_txn *txn);
	void *arg;
	void (*warn)(const char *line); /* as core's log, and for whoever looks for what is wrong; NULL: silent */
};

/* The handler for a gm_ctl_server: env is a struct gm_ctl_env. Always ends the reply. */
void gm_ctl_run(void *env, const struct gm_ctl_request *request, struct gm_ctl_reply *reply);
void gm_ctl_gone(void *env, uint64_t conn); /* likewise its gone: what a connection left half done is forgotten */

void gm_hist_count(uint64_t hist[static GM_HIST_N], uint64_t v);
/* The lower end of the bucket that holds the q-th part (0..1] of all counted; 0: nothing counted. */
uint64_t gm_hist_quantile(const uint64_t hist[static GM_HIST_N], double q);
/* An estimate for times: values are taken as spread evenly over their bucket, and none is above the largest. */
uint64_t gm_hist_estimate(const uint64_t hist[static GM_HIST_N], double q);
uint64_t gm_hist_most(const uint64_t hist[static GM_HIST_N]); /* the largest value that was counted */
uint64_t gm_hist_sum(const uint64_t hist[static GM_HIST_N]);  /* how many were */
/* As "64:120 128:7": 120 were of 64 to 127, 7 of 128 to 255; buckets that nothing fell into are left out */
#define GM_HIST_TEXT (GM_HIST * 34u)
void gm_hist_text(const uint64_t hist[static GM_HIST_N], char text[static GM_HIST_TEXT]);

#endif
