/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over report: who is in which group, against the register of devices. Group by group, so that a site's size is no matter. */
#include "ctl/gmctl/gmctl.h"

#include <stdlib.h>
#include <time.h>

#include "ctl/csv.h"
#include "ctl/expect.h"
#include "wire/cbor.h"

struct device {
	char *key, *name;
};
struct place { /* where a device is expected */
	char *group;
	size_t device; /* in devices, once these are sorted */
	uint32_t roles;
	bool seen, told;
};
struct totals {
	unsigned long long groups, members, late, behind, missing, unexpected, other_roles;
};

static struct {
	struct device *devices;
	size_t devices_n;
	struct place *places;
	size_t places_n, places_cap;
	struct totals totals;
	bool csv, json, headed;
	struct rows rows; /* of a table, for people */
} report;

static const char *const columns[] = {"group", "node", "device", "name", "roles", "expected", "since_at", "keys", "finding", "rekeyed_at"};
#define COLUMNS_N (sizeof(columns) / sizeof(columns[0]))

/* ---- the register */

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->key, ((const struct device *)b)->key);
}

static int by_group(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = strcmp(x->group, y->group);

	return order ? order : x->device < y->device ? -1 : x->device > y->device;
}

static size_t device_named(const char *key)
{
	const struct device wanted = {.key = (char *)(uintptr_t)key};
	const struct device *found = report.devices_n ? bsearch(&wanted, report.devices, report.devices_n, sizeof(wanted), by_key) : NULL;

	return found ? (size_t)(found - report.devices) : SIZE_MAX;
}

static struct place *place_of(const char *group, size_t device)
{
	const struct place wanted = {.group = (char *)(uintptr_t)group, .device = device};

	return report.places_n ? bsearch(&wanted, report.places, report.places_n, sizeof(wanted), by_group) : NULL;
}

/* They are sorted by group: none is, where the next group's begin, or all end. */
static struct place *first_place_of(const char *group)
{
	size_t from = 0, n = report.places_n;

	while (n) {
		size_t half = n / 2;
		bool before = strcmp(report.places[from + half].group, group) < 0;
		from = before ? from + half + 1 : from;
		n = before ? n - half - 1 : half;
	}
	return report.places + from;
}

static void add_places(size_t device, const char *groups)
{
	char *text = gm_cli_need(strdup(groups)), *rest = text, why[GM_EXPECT_WHY];

	for (char *one; (one = strtok_r(rest, " ", &rest));) {
		char *slash = strchr(one, '/');
		struct place p = {.device = device};
		if (slash)
			*slash = '\0';
		if (slash && !gm_roles_parse(slash + 1, strlen(slash + 1), &p.roles, why))
			p.roles = 0;
		p.group = gm_cli_need(strdup(one));
		if (report.places_n == report.places_cap) {
			report.places_cap = report.places_cap ? 2 * report.places_cap : 256;
			report.places = gm_cli_need(realloc(report.places, report.places_cap * sizeof(p)));
		}
		report.places[report.places_n++] = p;
	}
	free(text);
}

static void read_register(struct session *s)
{
	struct rows rows = {0};

	gm_cli_simple(s, "device list", NULL, NULL, gm_cli_keep, &rows);
	report.devices_n = rows.n;
	report.devices = gm_cli_need(calloc(rows.n + 1, sizeof(*report.devices)));
	for (size_t i = 0; i < rows.n; i++)
		report.devices[i] = (struct device){gm_cli_need(strdup(gm_cli_cell(&rows.rows[i], "device"))),
		                                    gm_cli_need(strdup(gm_cli_cell(&rows.rows[i], "name")))};
	qsort(report.devices, report.devices_n, sizeof(*report.devices), by_key);
	for (size_t i = 0; i < rows.n; i++)
		add_places(device_named(gm_cli_cell(&rows.rows[i], "device")), gm_cli_cell(&rows.rows[i], "groups"));
	if (report.places_n)
		qsort(report.places, report.places_n, sizeof(*report.places), by_group);
	gm_cli_free(&rows);
}

static void forget_register(void)
{
	for (size_t i = 0; i < report.devices_n; i++) {
		free(report.devices[i].key);
		free(report.devices[i].name);
	}
	for (size_t i = 0; i < report.places_n; i++)
		free(report.places[i].group);
	free(report.devices);
	free(report.places);
}

/* ---- a row of the report, as CBOR: the printers of answers take it */

struct line_of { /* texts in the order of columns */
	const char *group, *node, *device, *name, *roles, *expected;
	int64_t since;
	const char *keys, *finding;
	int64_t rekeyed;
};

static void emit_csv(void *arg, struct gm_bytes pairs)
{
	struct rows rows = {0};

	(void)arg;
	for (unsigned i = 0; !report.headed && i < COLUMNS_N; i++)
		gm_csv_put(stdout, columns[i], i == 0);
	if (!report.headed)
		gm_csv_end(stdout);
	report.headed = true;
	gm_cli_keep(&rows, pairs);
	for (unsigned i = 0; i < rows.rows[0].n; i++)
		gm_csv_put(stdout, strcmp(rows.rows[0].cells[i].text, "-") == 0 ? "" : rows.rows[0].cells[i].text, i == 0);
	gm_csv_end(stdout);
	gm_cli_free(&rows);
}

static void emit(const struct line_of *l)
{
	const struct pair pairs[COLUMNS_N] = {
		{.key = columns[0], .text = l->group},
		{.key = columns[1], .text = l->node},
		{.key = columns[2], .text = l->device},
		{.key = columns[3], .text = l->name},
		{.key = columns[4], .text = l->roles},
		{.key = columns[5], .text = l->expected},
		{.key = columns[6], .number = l->since, .none = !l->since},
		{.key = columns[7], .text = l->keys},
		{.key = columns[8], .text = l->finding},
		{.key = columns[9], .number = l->rekeyed, .none = !l->rekeyed},
	};

	gm_cli_row_of(pairs, COLUMNS_N, report.csv ? emit_csv : report.json ? gm_cli_json : gm_cli_keep, &report.rows);
}

/* Who is expected, and not there. */
static void emit_missing(const struct place *p, const char *finding, int64_t rekeyed)
{
	char expected[GM_ROLES_TEXT];

	report.totals.missing++;
	emit(&(struct line_of){.group = p->group,
	                       .node = "",
	                       .device = report.devices[p->device].key,
	                       .name = report.devices[p->device].name,
	                       .roles = "",
	                       .expected = p->roles ? gm_roles_text(p->roles, '+', expected) : "any",
	                       .keys = "",
	                       .finding = finding,
	                       .rekeyed = rekeyed});
}

/* ---- one group */

struct group {
	const char *name;
	unsigned long long version;
	int64_t rekeyed;
};

struct member { /* what of a row of member list counts */
	char node[32], device[GM_DEVICE_KEY_TEXT], cred[GM_DEVICE_KEY_TEXT], roles[64];
	uint64_t version;
	int64_t joined;
	bool late;
};

static void copy(char *to, size_t cap, struct gm_bytes text)
{
	snprintf(to, cap, "%.*s", (int)text.n, (const char *)text.p);
}

static void read_member(struct gm_bytes pairs, struct member *m)
{
	struct gm_in in = gm_in_bytes(pairs);

	*m = (struct member){0};
	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "node"))
			copy(m->node, sizeof(m->node), gm_cbor_tstr(&in));
		else if (gm_bytes_is(key, "device"))
			copy(m->device, sizeof(m->device), gm_cbor_tstr(&in));
		else if (gm_bytes_is(key, "roles"))
			copy(m->roles, sizeof(m->roles), gm_cbor_tstr(&in));
		else if (gm_bytes_is(key, "version"))
			m->version = gm_cbor_uint(&in);
		else if (gm_bytes_is(key, "joined_at"))
			m->joined = gm_cbor_int(&in);
		else if (gm_bytes_is(key, "late"))
			m->late = gm_cbor_bool(&in);
		else if (gm_bytes_is(key, "cred") && gm_cbor_peek(&in) == GM_CBOR_BSTR) {
			char *hex = gm_cli_hex(gm_cbor_bstr(&in));
			snprintf(m->cred, sizeof(m->cred), "cred:%s", hex);
			free(hex);
		} else
			gm_cbor_skip(&in);
	}
	if (in.err != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
}

static const char *finding_of(const struct place *place, size_t device, const char *roles)
{
	char why[GM_EXPECT_WHY];
	uint32_t has;

	if (!report.devices_n)
		return "";
	if (!place) {
		report.totals.unexpected++;
		return device == SIZE_MAX ? "unregistered" : "unexpected";
	}
	if (!place->roles || !gm_roles_parse(roles, strlen(roles), &has, why) || has == place->roles)
		return "";
	report.totals.other_roles++;
	return "other roles";
}

static const char *keys_of(const struct member *m, const struct group *g)
{
	if (m->late) {
		report.totals.late++;
		return "late";
	}
	if (m->version >= g->version)
		return "latest";
	report.totals.behind++;
	return "not yet";
}

static void add_member(void *arg, struct gm_bytes pairs)
{
	const struct group *g = arg;
	char expected[GM_ROLES_TEXT] = "";
	struct member m;

	read_member(pairs, &m);
	size_t device = device_named(m.device);
	device = device == SIZE_MAX && m.cred[0] ? device_named(m.cred) : device;
	struct place *place = device == SIZE_MAX ? NULL : place_of(g->name, device);
	if (place) {
		place->seen = true;
		gm_roles_text(place->roles, '+', expected);
	}
	report.totals.members++;
	emit(&(struct line_of){.group = g->name,
	                       .node = m.node,
	                       .device = device == SIZE_MAX ? m.device : report.devices[device].key,
	                       .name = device == SIZE_MAX ? "" : report.devices[device].name,
	                       .roles = m.roles,
	                       .expected = place && !place->roles ? "any" : expected,
	                       .since = m.joined,
	                       .keys = keys_of(&m, g),
	                       .finding = finding_of(place, device, m.roles),
	                       .rekeyed = g->rekeyed});
}

static void add_missing(const struct group *g)
{
	for (struct place *p = first_place_of(g->name); p < report.places + report.places_n && strcmp(p->group, g->name) == 0; p++) {
		p->told = true;
		if (!p->seen)
			emit_missing(p, "missing", g->rekeyed);
	}
}

static void ask_members(struct session *s, struct group *g)
{
	struct gm_ctl_request *request = gm_cli_need(calloc(1, sizeof(*request)));

	request->fd = -1;
	snprintf(request->verb, sizeof(request->verb), "member list");
	gm_cli_set_text(gm_cli_add(request, "group", GM_CTL_TEXT), g->name);
	gm_cli_add(request, "full", GM_CTL_BOOL)->u = 1;
	gm_cli_ask(s, request, add_member, g);
	free(request);
}

static void report_group(struct session *s, const struct row *row)
{
	struct group g = {.name = gm_cli_cell(row, "group"), .version = gm_cli_number(row, "version")};
	const struct totals before = report.totals;
	const char *rekeyed = gm_cli_cell(row, "rekeyed_at");
	struct tm tm = {0};

	if (strptime(rekeyed, "%Y-%m-%dT%H:%M:%SZ", &tm))
		g.rekeyed = (int64_t)timegm(&tm);
	report.totals.groups++;
	ask_members(s, &g);
	add_missing(&g);
	if (report.csv || report.json)
		return;
	const struct totals *t = &report.totals;
	printf("%s%s: version %llu since %s, %llu members, %llu late, %llu not yet, %llu missing, %llu unexpected, %llu with other roles\n",
	       t->groups > 1 ? "\n" : "", g.name, g.version, rekeyed, t->members - before.members, t->late - before.late,
	       t->behind - before.behind, t->missing - before.missing, t->unexpected - before.unexpected, t->other_roles - before.other_roles);
	gm_cli_table(&report.rows);
	gm_cli_free(&report.rows);
}

/* Where a device is expected in a group that is not. */
static void add_strays(void)
{
	for (const struct place *p = report.places; p < report.places + report.places_n; p++)
		if (!p->told)
			emit_missing(p, "no such group", 0);
	if (report.rows.n)
		puts("\ngroups that are expected and not there:");
	gm_cli_table(&report.rows);
	gm_cli_free(&report.rows);
}

/* ---- all of it */

static void put_totals(void)
{
	const struct totals *t = &report.totals;

	if (report.csv)
		return;
	printf(report.json ? "{\"total\":true,\"groups\":%llu,\"members\":%llu,\"late\":%llu,\"not_yet\":%llu,\"missing\":%llu,\"unexpected\":%llu,"
	                     "\"other_roles\":%llu}\n"
	                   : "\ntotal: %llu groups, %llu members, %llu late, %llu not yet, %llu missing, %llu unexpected, %llu with other roles\n",
	       t->groups, t->members, t->late, t->behind, t->missing, t->unexpected, t->other_roles);
	if (!report.json && !report.devices_n)
		puts("The register of devices is empty: nobody was compared with it.");
}

static bool wanted(const struct line *line, const char *group)
{
	for (int i = 0; i < line->repeats_n; i++)
		if (strcmp(line->repeats[i], group) == 0)
			return true;
	return !line->repeats_n;
}

enum exit_code gm_cli_do_report(struct session *s, struct line *line)
{
	struct rows groups = {0};

	memset(&report, 0, sizeof(report));
	report.json = s->json;
	report.csv = !s->json && gm_ctl_arg(&line->request, "csv");
	gm_cli_simple(s, "group list", NULL, NULL, gm_cli_keep, &groups);
	for (int i = 0; i < line->repeats_n; i++)
		if (!gm_cli_find(&groups, "group", line->repeats[i]))
			gm_cli_die(EXIT_FAILED, "no group '%s'", line->repeats[i]);
	read_register(s);
	for (size_t i = 0; i < groups.n; i++)
		if (wanted(line, gm_cli_cell(&groups.rows[i], "group")))
			report_group(s, &groups.rows[i]);
	if (!line->repeats_n)
		add_strays();
	put_totals();
	forget_register();
	gm_cli_free(&groups);
	return report.totals.late + report.totals.missing + report.totals.unexpected + report.totals.other_roles ? EXIT_DEGRADED : EXIT_DONE;
}
