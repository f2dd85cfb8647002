/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a command, and the JSON that answers it. */
#include "load.h"

const char *load_option(const struct words *c, const char *name, const char *otherwise)
{
	for (int i = 1; i + 1 < c->n; i++)
		if (strcmp(c->w[i], name) == 0)
			return c->w[i + 1];
	return otherwise;
}

/* The i-th word after the command that is neither option nor its value; NULL: fewer. */
const char *load_operand(const struct words *c, int i)
{
	for (int at = 1; at < c->n; at++) {
		if (strncmp(c->w[at], "--", 2) == 0)
			at++;
		else if (i-- == 0)
			return c->w[at];
	}
	return NULL;
}

long load_number(const char *text, long otherwise)
{
	return text ? strtol(text, NULL, 10) : otherwise;
}

uint32_t load_draw(struct load *l, uint32_t below)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return below ? (uint32_t)((l->dice >> 33) % below) : 0;
}

uint64_t load_now_ns(const struct load *l)
{
	return l->fleet.ops->now_ns(l->fleet.port);
}

bool load_complain(json_t *result, const char *text)
{
	json_object_set_new(result, "error", json_string(text));
	fprintf(stderr, "gmload: %s\n", text);
	return false;
}

void load_put_int(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_integer((json_int_t)v));
}

void load_put_times(json_t *o, const char *name, struct gm_series *s)
{
	static const struct {
		const char *name;
		unsigned permille;
	} points[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
	gm_series_sort(s);
	json_t *t = json_object();
	load_put_int(t, "n", s->n);
	fprintf(stderr, "  %-12s n %-7zu", name, s->n);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double ms = gm_series_at(s, points[i].permille);
		json_object_set_new(t, points[i].name, json_real((double)(long long)(ms * 1000) / 1000));
		fprintf(stderr, " %s %.2f", points[i].name, ms);
	}
	fputs(" ms\n", stderr);
	json_object_set_new(o, name, t);
}

/* Answers that were no success, by operation and code. */
void load_put_refusals(json_t *o, const struct gm_fleet *f)
{
	json_t *r = json_object();
	for (unsigned op = 0; op < GM_OP_N; op++)
		for (unsigned code = 0; code < 256; code++)
			if (f->answers[op][code] && code >> 5 != 2) {
				char name[40];
				snprintf(name, sizeof(name), code ? "%s %u.%02u" : "%s silence", gm_member_op_name(op),
				         code >> 5, code & 31);
				load_put_int(r, name, f->answers[op][code]);
			}
	if (json_object_size(r))
		json_object_set_new(o, "refused", r);
	else
		json_decref(r);
}

void load_begin(struct load *l)
{
	gm_fleet_reset_times(&l->fleet);
	l->before = gm_fleet_traffic(&l->fleet);
	l->began_ns = load_now_ns(l);
}

static double rounded(double v, double to)
{
	return (double)(long long)(v * to + 0.5) / to;
}

void load_put_span(json_t *o, struct load *l, size_t n, uint64_t end_ns)
{
	struct gm_fleet_traffic t = gm_fleet_traffic(&l->fleet);
	double s = (double)(end_ns - l->began_ns) / 1e9;
	double busy = s > 0 ? (double)(t.cpu_ns - l->before.cpu_ns) / 1e9 / s : 0;

	json_object_set_new(o, "seconds", json_real(s));
	json_object_set_new(o, "per_second", json_real(s > 0 ? (double)n / s : 0));
	json_object_set_new(o, "generator", json_real(rounded(busy, 1000)));
	load_put_int(o, "rx", t.rx - l->before.rx);
	load_put_int(o, "rx_bytes", t.rx_bytes - l->before.rx_bytes);
	load_put_int(o, "tx", t.tx - l->before.tx);
	load_put_int(o, "tx_bytes", t.tx_bytes - l->before.tx_bytes);
	if (t.dropped > l->before.dropped)
		load_put_int(o, "dropped", t.dropped - l->before.dropped);
}

void load_put_later(json_t *o, const struct load *l, const uint64_t before[static GM_LATER_N])
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < GM_LATER_N; i++)
		if (l->fleet.env.later_n[i] > before[i])
			json_array_append_new(rows, json_pack("[I,I]", (json_int_t)i, (json_int_t)(l->fleet.env.later_n[i] - before[i])));
	json_object_set_new(o, "later", rows);
}

void load_put_run(json_t *o, struct load *l, size_t n, size_t ok, uint64_t took_ns)
{
	double s = (double)took_ns / 1e9;
	load_put_int(o, "n", n);
	load_put_int(o, "done", ok);
	load_put_span(o, l, ok, l->began_ns + took_ns);
	fprintf(stderr, "  %zu of %zu in %.2f s: %.0f/s\n", ok, n, s, s > 0 ? (double)ok / s : 0);
	json_t *t = json_object();
	for (unsigned op = 0; op < GM_OP_N; op++)
		if (l->fleet.took[op].n)
			load_put_times(t, gm_member_op_name(op), &l->fleet.took[op]);
	json_object_set_new(o, "ms", t);
	load_put_refusals(o, &l->fleet);
}

bool load_run(struct load *l, json_t *result, const uint32_t *list, size_t n, size_t at_once, unsigned plan)
{
	load_begin(l);
	size_t ok = gm_fleet_run(&l->fleet, list, at_once, plan, l->window, l->tries);
	load_put_run(result, l, n, ok, load_now_ns(l) - l->began_ns);
	return ok == n;
}

bool load_run_list(struct load *l, json_t *result, const uint32_t *list, size_t n, unsigned plan)
{
	return load_run(l, result, list, n, n, plan);
}

void load_put_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char text[2 * 512 + 1] = "";
	for (size_t i = 0; i < n && i < 512; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	json_object_set_new(o, name, json_string(text));
}
