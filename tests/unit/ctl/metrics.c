/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/frame.h"
#include "ctl/metrics.h"

static struct gm_ctl_buf buf;
static struct gm_ctl_reply reply;
static char *said;
static size_t said_n;
static struct gm_metrics_text text;

static void start(void)
{
	gm_ctl_reply_init(&reply, &buf, 1);
	text = (struct gm_metrics_text){.to = open_memstream(&said, &said_n)};
}

static void stop(void)
{
	fclose(text.to);
	free(said);
	gm_ctl_buf_free(&buf);
}

TestSuite(metrics, .init = start, .fini = stop);

/* Pairs so far are a row, and go through the text. */
static bool row(void)
{
	struct gm_ctl_answer answer;
	struct gm_bytes frame;
	enum gm_err err;

	gm_ctl_row(&reply);
	cr_assert(gm_ctl_frame_next(&buf, &frame, &err));
	cr_assert_eq(gm_ctl_answer_decode(frame, &answer), GM_E_OK);
	bool good = gm_metrics_row(&text, answer.pairs);
	gm_ctl_buf_eat(&buf, 4 + frame.n);
	fflush(text.to);
	return good;
}

static bool value(const char *name, const char *label, const char *is, uint64_t v)
{
	gm_ctl_put_text(&reply, "metric", name);
	if (label)
		gm_ctl_put_text(&reply, label, is);
	gm_ctl_put_uint(&reply, "value", v);
	return row();
}

#define SAYS(words) cr_expect_not_null(strstr(said, words), "'%s' is not in: %s", words, said)

Test(metrics, begins_each_family_once_with_help_and_type)
{
	cr_expect(value("gmd_drops_total", "cause", "hop_full", 1) && value("gmd_drops_total", "cause", "rx_lost", 2));
	SAYS("# TYPE gmd_drops_total counter\ngmd_drops_total{cause=\"hop_full\"} 1\ngmd_drops_total{cause=\"rx_lost\"} 2\n");
	cr_expect_eq(strncmp(said, "# HELP gmd_drops_total Datagrams lost", 37), 0);
	cr_expect(value("gmd_members", NULL, NULL, UINT64_MAX));
	SAYS("# TYPE gmd_members gauge\ngmd_members 18446744073709551615\n");
}

Test(metrics, makes_seconds_of_microseconds)
{
	cr_expect(value("gmd_worker_cpu_seconds_total", "worker", "1", 12000345));
	SAYS("{worker=\"1\"} 12.000345\n");
}

Test(metrics, escapes_what_a_label_may_not_hold)
{
	cr_expect(value("gmd_group_members", "group", "a\"b\\c\nd", 1));
	SAYS("{group=\"a\\\"b\\\\c\\nd\"} 1\n");
}

Test(metrics, adds_up_the_buckets_of_a_histogram)
{
	gm_ctl_put_text(&reply, "metric", "gmd_request_seconds");
	gm_ctl_put_text(&reply, "resource", "num");
	gm_ctl_put_text(&reply, "method", "GET");
	gm_ctl_put_uint(&reply, "sum", 2500000);
	gm_ctl_put_text(&reply, "buckets", "1 0 0 0 5 0 0 0 0 0 2");
	cr_expect(row());
	SAYS("gmd_request_seconds_bucket{resource=\"num\",method=\"GET\",le=\"0.000008\"} 1\n");
	SAYS(",le=\"0.000016\"} 6\n");
	SAYS(",le=\"0.001024\"} 8\n");
	SAYS(",le=\"67.108864\"} 8\n");
	SAYS(",le=\"+Inf\"} 8\n");
	SAYS("gmd_request_seconds_sum{resource=\"num\",method=\"GET\"} 2.500000\n");
	SAYS("gmd_request_seconds_count{resource=\"num\",method=\"GET\"} 8\n");
}

Test(metrics, counts_events_up_to_the_whole_number_that_a_bucket_ends_at)
{
	gm_ctl_put_text(&reply, "metric", "gmd_commit_events");
	gm_ctl_put_uint(&reply, "sum", 12);
	gm_ctl_put_text(&reply, "buckets", "3 0 0 2");
	cr_expect(row());
	SAYS("gmd_commit_events_bucket{le=\"0.0\"} 3\ngmd_commit_events_bucket{le=\"1.0\"} 3\ngmd_commit_events_bucket{le=\"3.0\"} 3\n"
	     "gmd_commit_events_bucket{le=\"7.0\"} 5\n");
	SAYS("gmd_commit_events_sum 12\n");
}

Test(metrics, speaks_openmetrics_where_asked)
{
	text.open = true;
	cr_expect(value("gmd_worker_cpu_seconds_total", "worker", "0", 1));
	gm_metrics_end(&text);
	fflush(text.to);
	SAYS("# TYPE gmd_worker_cpu_seconds counter\n# UNIT gmd_worker_cpu_seconds seconds\ngmd_worker_cpu_seconds_total{worker=\"0\"} 0.000001\n# EOF\n");
}

Test(metrics, leaves_out_what_it_does_not_know_or_cannot_read)
{
	cr_expect_not(value("gmd_of_tomorrow", NULL, NULL, 1));
	gm_ctl_put_text(&reply, "metric", "gmd_commit_events");
	gm_ctl_put_text(&reply, "buckets", "1 x");
	cr_expect_not(row());
	gm_ctl_put_text(&reply, "metric", "gmd_members");
	gm_ctl_put_bool(&reply, "value", true);
	cr_expect_not(row());
	cr_expect_eq(ftell(text.to), 0);
}

Test(metrics, have_names_that_say_what_they_are)
{
	for (const struct gm_metric *m = gm_metrics; m < gm_metrics + gm_metrics_n; m++) {
		size_t n = strlen(m->name);
		bool total = n > 6 && strcmp(m->name + n - 6, "_total") == 0;
		cr_expect_eq(total, m->type == GM_METRIC_COUNTER, "%s", m->name);
		cr_expect_eq(strncmp(m->name, "gmd_", 4), 0, "%s", m->name);
		cr_expect_eq(m->unit == GM_METRIC_SECONDS, strstr(m->name, "_seconds") != NULL, "%s", m->name);
		cr_expect_eq(m->unit == GM_METRIC_BYTES, strstr(m->name, "_bytes") != NULL, "%s", m->name);
		cr_expect(m->text[0] && m->text[strlen(m->text) - 1] == '.', "%s", m->name);
		for (const struct gm_metric *other = gm_metrics; other < m; other++)
			cr_expect_str_neq(other->name, m->name);
	}
}
