/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schedule.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/verbs/call.h"

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* ---- what people write; false: why says what would be right */

static bool take_at(const char *text, struct gm_schedule_spec *spec)
{
	unsigned hour, minute;
	char behind;

	if (sscanf(text, "%2u:%2u%c", &hour, &minute, &behind) != 2 || hour > 23 || minute > 59 || !isdigit((unsigned char)text[0]))
		return false;
	spec->at_s = 3600 * hour + 60 * minute;
	return true;
}

static int day_named(const char *text, size_t n)
{
	for (int i = 0; i < 7; i++)
		if (n == 3 && memcmp(days[i], text, 3) == 0)
			return i;
	return -1;
}

/* "daily", "mon,thu", "mon-fri", "sat-mon,wed" */
static bool take_days(const char *text, struct gm_schedule_spec *spec)
{
	uint8_t set = 0;

	if (strcmp(text, "daily") == 0) {
		spec->days = 0x7f;
		return true;
	}
	for (;;) {
		size_t n = strcspn(text, ","), first_n = strcspn(text, ",-");
		int first = day_named(text, first_n), last = first_n < n ? day_named(text + first_n + 1, n - first_n - 1) : first;
		if (first < 0 || last < 0)
			return false;
		for (int i = first; set |= (uint8_t)(1u << i), i != last; i = (i + 1) % 7)
			;
		if (!text[n])
			break;
		text += n + 1;
	}
	spec->days = set;
	return true;
}

/* "2h", "90m", "1h30m", "600s" */
static bool take_window(const char *text, struct gm_schedule_spec *spec)
{
	static const struct {
		char unit;
		unsigned s;
	} units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
	unsigned long long all = 0;
	unsigned next = 0;

	while (*text) {
		char *end;
		if (!isdigit((unsigned char)*text))
			return false;
		unsigned long v = strtoul(text, &end, 10);
		if (v > GM_DAY_S)
			return false;
		while (next < 3 && units[next].unit != *end)
			next++;
		if (next == 3)
			return false;
		all += v * units[next++].s;
		text = end + 1;
	}
	if (all < 60 || all > GM_DAY_S)
		return false;
	spec->window_s = (uint32_t)all;
	return true;
}

/* "2%", "2", "0.5%", "never" */
static bool take_late(const char *text, struct gm_schedule_spec *spec)
{
	unsigned whole, tenth = 0;
	int n = 0;

	if (strcmp(text, "never") == 0) {
		spec->late_most = 1000;
		return true;
	}
	if (!isdigit((unsigned char)text[0]) || sscanf(text, "%3u%n", &whole, &n) != 1)
		return false;
	text += n;
	if (text[0] == '.' && isdigit((unsigned char)text[1])) {
		tenth = (unsigned)(text[1] - '0');
		text += 2;
	}
	text += *text == '%';
	if (*text || whole > 100 || (whole == 100 && tenth))
		return false;
	spec->late_most = 10 * whole + tenth;
	return true;
}

static const struct {
	const char *key;
	bool (*take)(const char *text, struct gm_schedule_spec *spec);
	const char *right;
} texts[] = {
	{"at", take_at, "a time of day as 02:00"},
	{"days", take_days, "daily, or days as mon,thu or mon-fri"},
	{"window", take_window, "1m to 24h, as 2h, 90m or 1h30m"},
	{"pause-late", take_late, "0 to 100 %, as 2% or 0.5%, or never"},
};

static bool take(struct gm_ctl_call *call, struct gm_schedule_spec *spec)
{
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, texts[i].key);
		if (!arg || texts[i].take(arg->text, spec))
			continue;
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: has to be %s, not '%s'", texts[i].key, texts[i].right, arg->text);
		return false;
	}
	return gm_call_copy(call, "groups", spec->groups, sizeof(spec->groups)) && gm_call_uint(call, "pace", 100000000, &spec->pace) &&
	       gm_call_uint(call, "at-once", GM_SCHEDULE_AT_ONCE_MAX, &spec->at_once);
}

static bool copy_spec(void *arg, const struct gm_schedule_info *info)
{
	*(struct gm_schedule_spec *)arg = *info->spec;
	return false;
}

/* ---- as it is shown */

static const char *days_text(uint8_t set, char buf[static 32])
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < 7; i++)
		if (set >> i & 1)
			n += (size_t)snprintf(buf + n, 32 - n, "%s%s", n ? "," : "", days[i]);
	return set == 0x7f ? "daily" : buf;
}

static const char *window_text(uint32_t s, char buf[static 32])
{
	size_t n = 0;

	buf[0] = '\0';
	if (s / 3600)
		n += (size_t)snprintf(buf + n, 32 - n, "%uh", s / 3600);
	if (s % 3600 / 60)
		n += (size_t)snprintf(buf + n, 32 - n, "%um", s % 3600 / 60);
	if (s % 60)
		snprintf(buf + n, 32 - n, "%us", s % 60);
	return buf;
}

static const char *late_text(uint32_t late, char buf[static 32])
{
	snprintf(buf, 32, late % 10 ? "%u.%u%%" : "%u%%", late / 10, late % 10);
	return late >= 1000 ? "never" : buf;
}

static void put_schedule(struct gm_ctl_reply *r, const struct gm_schedule_info *s)
{
	char text[32];

	gm_ctl_put_text(r, "schedule", s->spec->name);
	gm_ctl_put_text(r, "state", s->state);
	gm_ctl_put_text(r, "groups", s->spec->groups);
	snprintf(text, sizeof(text), "%02u:%02u", s->spec->at_s / 3600, s->spec->at_s / 60 % 60);
	gm_ctl_put_text(r, "local_time", text);
	gm_ctl_put_text(r, "days", days_text(s->spec->days, text));
	gm_ctl_put_text(r, "window", window_text(s->spec->window_s, text));
	gm_ctl_put_uint(r, "pace", s->spec->pace);
	gm_ctl_put_text(r, "pause_late", late_text(s->spec->late_most, text));
	gm_ctl_put_int(r, "next_at", s->next);
}

/* ---- and made or changed */

/* false: said why. *made: there is none of that name yet */
static bool begin(struct gm_ctl_call *call, struct gm_schedule_spec *spec, bool *made)
{
	const char *name = gm_call_text(call, "schedule");
	unsigned options = call->request->args_n - 1;

	if (!gm_schedule_name_usable(name)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "schedule: a name has 1 to %u letters, digits and -._, and begins with no dash, not '%.80s'",
		             GM_SCHEDULE_NAME_MAX, name);
		return false;
	}
	*made = gm_core_schedules(call->env->core, &call->txn, name, copy_spec, spec) != GM_E_OK;
	if (*made && !gm_ctl_arg(call->request, "groups"))
		gm_ctl_error(call->reply, GM_E_USAGE, "there is no schedule '%s' yet: a new one needs --groups, '*' for all", name);
	else if (!*made && !options)
		gm_ctl_error(call->reply, GM_E_USAGE, "schedule '%s': nothing to change, no option is given", name);
	else
		return gm_call_copy(call, "schedule", spec->name, sizeof(spec->name));
	return false;
}

static bool tell_schedule(void *arg, const struct gm_schedule_info *s)
{
	put_schedule(arg, s);
	gm_ctl_row(arg);
	return false;
}

static void tell(struct gm_ctl_call *call, const char *name, bool made)
{
	gm_ctl_put_text(call->reply, "result", made ? "made" : "changed");
	gm_call_finish(call, gm_core_schedules(call->env->core, &call->txn, name, tell_schedule, call->reply), "schedule", name);
}

void gm_verb_schedule_set(struct gm_ctl_call *call)
{
	struct gm_schedule_spec spec = gm_schedule_default();
	bool made;

	if (!begin(call, &spec, &made) || !take(call, &spec))
		return;
	enum gm_err err = gm_core_schedule_set(call->env->core, &call->txn, &spec);
	if (err == GM_E_OK)
		tell(call, spec.name, made);
	else if (err == GM_E_USAGE)
		gm_ctl_error(call->reply, err, "schedule '%s': %s", spec.name, spec.at_once ? "groups: at least one pattern is needed" : "at-once: at least 1");
	else
		gm_call_refuse(call, err, "schedule", spec.name);
}

/* ---- reading */

static bool list_schedule(void *arg, const struct gm_schedule_info *s)
{
	struct gm_ctl_call *call = arg;

	put_schedule(call->reply, s);
	gm_ctl_row(call->reply);
	return true;
}

void gm_verb_schedule_list(struct gm_ctl_call *call)
{
	gm_call_finish(call, gm_core_schedules(call->env->core, &call->txn, NULL, list_schedule, call), "schedule", "");
}

static bool show_schedule(void *arg, const struct gm_schedule_info *s)
{
	const struct gm_ctl_call *call = arg;
	struct gm_ctl_reply *r = call->reply;
	struct gm_schedule_count n;

	gm_core_schedule_count(call->env->core, &call->txn, s->spec->name, &n);
	put_schedule(r, s);
	gm_ctl_put_uint(r, "at_once", s->spec->at_once);
	gm_ctl_put_int(r, "opened_at", s->opened);
	gm_ctl_put_int(r, "window_ends_at", s->ends);
	gm_ctl_put_uint(r, "done", n.done);
	gm_ctl_put_uint(r, "paused", n.paused);
	gm_ctl_put_uint(r, "left", n.left);
	gm_ctl_put_uint(r, "passed_over", n.passed_over);
	gm_ctl_put_uint(r, "on_their_way", s->flying);
	gm_ctl_put_text(r, "outcome", s->outcome);
	gm_ctl_row(r);
	return false;
}

void gm_verb_schedule_show(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "schedule");

	gm_call_finish(call, gm_core_schedules(call->env->core, &call->txn, name, show_schedule, call), "schedule", name);
}

void gm_verb_schedule_remove(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "schedule");

	gm_call_finish(call, gm_core_schedule_remove(call->env->core, &call->txn, name), "schedule", name);
}

void gm_verb_schedule_run(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "schedule");
	enum gm_err err = gm_core_schedule_run(call->env->core, &call->txn, name);

	if (err == GM_E_CONFLICT && gm_core_drains(call->env->core))
		gm_ctl_error(call->reply, err, "schedule '%s': nothing begins while gmd drains: undrain it first", name);
	else if (err == GM_E_CONFLICT)
		gm_ctl_error(call->reply, err, "schedule '%s' is paused: resume it first", name);
	else if (err == GM_E_BUSY)
		gm_ctl_error(call->reply, err, "schedule '%s': a window is open already", name);
	else
		gm_call_finish(call, err, "schedule", name);
}

void gm_verb_schedule_pause(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "schedule");

	gm_call_finish(call, gm_core_schedule_pause(call->env->core, &call->txn, name), "schedule", name);
}

void gm_verb_schedule_resume(struct gm_ctl_call *call)
{
	const char *name = gm_call_text(call, "schedule");

	gm_call_finish(call, gm_core_schedule_resume(call->env->core, &call->txn, name), "schedule", name);
}
