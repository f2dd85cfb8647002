/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "wire/cbor.h"

#define LABELS_MAX 4u
#define BUCKETS_MAX 64u
#define SECONDS_FIRST 3u /* 8 us: below and beyond these nobody looks closely */
#define SECONDS_LAST 26u /* 67 s */

const struct gm_metric gm_metrics[] = {
#define GM_FAMILY(id, kind, measure, with, what)                                                                       \
	{.name = #id, .type = GM_METRIC_##kind, .unit = GM_METRIC_##measure, .labels = with, .text = what},
#include "ctl/metrics.def"
};
const unsigned gm_metrics_n = sizeof(gm_metrics) / sizeof(gm_metrics[0]);

struct sample { /* a row, read; borrows from it */
	const struct gm_metric *of;
	struct { struct gm_bytes key, text; } label[LABELS_MAX];
	unsigned labels_n, buckets_n;
	uint64_t value, sum, bucket[BUCKETS_MAX];
};

static const struct gm_metric *named(struct gm_bytes name)
{
	for (unsigned i = 0; i < gm_metrics_n; i++)
		if (gm_bytes_is(name, gm_metrics[i].name))
			return &gm_metrics[i];
	return NULL;
}

/* "3 0 12": how often bucket 0, 1, 2 */
static bool read_buckets(struct gm_bytes text, struct sample *s)
{
	bool digits = false;

	s->bucket[s->buckets_n = 0] = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] >= '0' && text.p[i] <= '9') {
			s->bucket[s->buckets_n] = 10 * s->bucket[s->buckets_n] + (uint64_t)(text.p[i] - '0');
			digits = true;
		} else if (text.p[i] == ' ' && s->buckets_n + 1 < BUCKETS_MAX) {
			s->bucket[++s->buckets_n] = 0;
		} else {
			return false;
		}
	}
	s->buckets_n += digits;
	return true;
}

static bool add_label(struct sample *s, struct gm_bytes key, struct gm_bytes text)
{
	if (s->labels_n == LABELS_MAX)
		return false;
	s->label[s->labels_n].key = key;
	s->label[s->labels_n].text = text;
	s->labels_n++;
	return true;
}

static bool read_pair(struct gm_in *in, struct sample *s)
{
	struct gm_bytes key = gm_cbor_tstr(in);

	if (gm_bytes_is(key, "value")) {
		s->value = gm_cbor_uint(in);
	} else if (gm_bytes_is(key, "sum")) {
		s->sum = gm_cbor_uint(in);
	} else {
		struct gm_bytes text = gm_cbor_tstr(in);
		if (gm_bytes_is(key, "metric"))
			s->of = named(text);
		else if (gm_bytes_is(key, "buckets") ? !read_buckets(text, s) : !add_label(s, key, text))
			return false;
	}
	return in->err == GM_E_OK;
}

static bool read_row(struct gm_bytes pairs, struct sample *s)
{
	struct gm_in in = gm_in_bytes(pairs);
	uint64_t n = gm_cbor_map(&in);

	*s = (struct sample){0};
	while (n-- && in.err == GM_E_OK)
		if (!read_pair(&in, s))
			return false;
	return in.err == GM_E_OK && s->of;
}

/* ---- written */

static void put_escaped(FILE *to, struct gm_bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n')
			fputs("\\n", to);
		else if (text.p[i] == '\\' || text.p[i] == '"')
			fprintf(to, "\\%c", text.p[i]);
		else
			fputc(text.p[i], to);
	}
}

/* more: one label that is not in the row, written as it has to be; NULL: none */
static void put_name(FILE *to, const struct sample *s, const char *suffix, const char *more)
{
	fprintf(to, "%s%s", s->of->name, suffix);
	if (s->labels_n || more)
		fputc('{', to);
	for (unsigned i = 0; i < s->labels_n; i++) {
		fprintf(to, "%s%.*s=\"", i ? "," : "", (int)s->label[i].key.n, (const char *)s->label[i].key.p);
		put_escaped(to, s->label[i].text);
		fputc('"', to);
	}
	if (more)
		fprintf(to, "%s%s", s->labels_n ? "," : "", more);
	fputs(s->labels_n || more ? "} " : " ", to);
}

static void put_number(FILE *to, const struct gm_metric *of, uint64_t v)
{
	if (of->unit == GM_METRIC_SECONDS)
		fprintf(to, "%" PRIu64 ".%06" PRIu64 "\n", v / 1000000, v % 1000000);
	else
		fprintf(to, "%" PRIu64 "\n", v);
}

static void put_head(const struct gm_metrics_text *text)
{
	static const char *const types[] = {"counter", "gauge", "histogram"}, *const units[] = {NULL, "seconds", "bytes"};
	const struct gm_metric *m = text->at;
	int n = (int)strlen(m->name);

	if (text->open && m->type == GM_METRIC_COUNTER)
		n -= (int)strlen("_total"); /* of the samples alone */
	fprintf(text->to, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, m->name, m->text, n, m->name, types[m->type]);
	if (text->open && units[m->unit])
		fprintf(text->to, "# UNIT %.*s %s\n", n, m->name, units[m->unit]);
}

/* What bucket b counts is below 2^b, in whole microseconds or events. */
static void put_histogram(FILE *to, const struct sample *s)
{
	bool seconds = s->of->unit == GM_METRIC_SECONDS;
	unsigned first = seconds ? SECONDS_FIRST : 0, last = seconds ? SECONDS_LAST : 16;
	uint64_t all = 0;
	char le[64];

	for (unsigned b = 0; b < BUCKETS_MAX; b++) {
		all += b < s->buckets_n ? s->bucket[b] : 0;
		if (b < first || b > last)
			continue;
		const uint64_t end = (UINT64_C(1) << b) - !seconds;
		if (seconds)
			snprintf(le, sizeof(le), "le=\"%" PRIu64 ".%06" PRIu64 "\"", end / 1000000, end % 1000000);
		else
			snprintf(le, sizeof(le), "le=\"%" PRIu64 ".0\"", end);
		put_name(to, s, "_bucket", le);
		fprintf(to, "%" PRIu64 "\n", all);
	}
	put_name(to, s, "_bucket", "le=\"+Inf\"");
	fprintf(to, "%" PRIu64 "\n", all);
	put_name(to, s, "_sum", NULL);
	put_number(to, s->of, s->sum);
	put_name(to, s, "_count", NULL);
	fprintf(to, "%" PRIu64 "\n", all);
}

bool gm_metrics_row(struct gm_metrics_text *text, struct gm_bytes pairs)
{
	static struct sample s;

	if (!read_row(pairs, &s))
		return false;
	if (text->at != s.of) {
		text->at = s.of;
		put_head(text);
	}
	if (s.of->type == GM_METRIC_HISTOGRAM) {
		put_histogram(text->to, &s);
	} else {
		put_name(text->to, &s, "", NULL);
		put_number(text->to, s.of, s.value);
	}
	return true;
}

void gm_metrics_end(struct gm_metrics_text *text)
{
	if (text->open)
		fputs("# EOF\n", text->to);
}

void gm_metrics_manual(FILE *to)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	for (const struct gm_metric *m = gm_metrics; m < gm_metrics + gm_metrics_n; m++) {
		fprintf(to, ".TP\n.BR %s%s%s%s\n", m->name, m->labels[0] ? " \" {" : "", m->labels, m->labels[0] ? "}\"" : "");
		fprintf(to, "%s (%s)\n", m->text, types[m->type]);
	}
}
