/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as text: rows of the verb `metrics` in, what Prometheus reads out. gmctl and gmd-status do that, not gmd. One thread. */
#ifndef GM_CTL_METRICS_H
#define GM_CTL_METRICS_H

#include <stdio.h>

#include "gm/buf.h"

enum gm_metric_type { GM_METRIC_COUNTER, GM_METRIC_GAUGE, GM_METRIC_HISTOGRAM };
enum gm_metric_unit { GM_METRIC_NONE, GM_METRIC_SECONDS, GM_METRIC_BYTES };

struct gm_metric { /* a family */
	const char *name, *labels, *text;
	enum gm_metric_type type;
	enum gm_metric_unit unit;
};
extern const struct gm_metric gm_metrics[];
extern const unsigned gm_metrics_n;

struct gm_metrics_text {
	FILE *to;
	bool open; /* OpenMetrics 1.0, else text format 0.0.4 */
	const struct gm_metric *at; /* the family that was begun last; NULL: none */
};
/* One row; false: it cannot be read, or is of no family that we know, and nothing was written. */
bool gm_metrics_row(struct gm_metrics_text *text, struct gm_bytes pairs);
void gm_metrics_end(struct gm_metrics_text *text);
void gm_metrics_manual(FILE *to); /* the table of gmd-metrics(7) */

#endif
