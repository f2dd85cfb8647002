/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schedule.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/state.h"
#include "gm/crypto.h"
#include "wire/cbor.h"

#define FORM 1u
#define FIELDS 14u
#define STEP_MS 50u      /* between two looks at an open window */
#define STARTS_MAX 64u   /* groups in one look */
#define LOOKS_MAX 4096u  /* groups that are passed over in one look */
#define OUTCOME_MAX 128u
#define CLOCK_STEP_S 60 /* the clock may be put back by so much and nothing is thought wrong */

enum run { WAITING, RUNNING, STOPPED }; /* stored: do not renumber */

struct schedule {
	struct gm_schedule_spec spec;
	enum run run;
	bool held; /* by the operator */
	int64_t opened;
	int64_t day; /* local day of the latest window by the clock, or of its passing before there was a schedule */
	char outcome[OUTCOME_MAX];

	/* from here on not stored */
	int64_t seen_local, seen_offset; /* the local clock at the look before this one; 0: none since the start */
	uint64_t look_ms, resumed_ms;
	int64_t credit; /* thousandths of messages */
	uint32_t cursor; /* over groups */
	unsigned flying_n;
	struct flying {
		uint32_t index, gen;
	} flying[GM_SCHEDULE_AT_ONCE_MAX];
};

struct gm_schedules {
	unsigned n;
	struct schedule *at[GM_SCHEDULES_MAX];
};

struct gm_schedules *gm_schedules_new(void)
{
	struct gm_schedules *s = gm_must_alloc(NULL, sizeof(*s));

	*s = (struct gm_schedules){0};
	return s;
}

void gm_schedules_free(struct gm_schedules *s)
{
	for (unsigned i = 0; s && i < s->n; i++)
		free(s->at[i]);
	free(s);
}

struct gm_schedule_spec gm_schedule_default(void)
{
	return (struct gm_schedule_spec){.groups = "*", .at_s = 7200, .days = 0x7f, .window_s = 7200, .late_most = 20, .at_once = 16};
}

/* ---- patterns */

/* The latest * takes as much as it has to: no pattern takes longer than its length times the name's. */
static bool matches(const char *p, size_t n, const char *name)
{
	const char *end = p + n, *star = NULL, *from = name;

	while (*name) {
		if (p < end && *p == '*') {
			star = p++;
			from = name;
		} else if (p < end && (*p == '?' || *p == *name)) {
			p++;
			name++;
		} else if (star) {
			p = star + 1;
			name = ++from;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

bool gm_schedule_names(const char *patterns, const char *group)
{
	for (patterns += strspn(patterns, " "); *patterns; patterns += strspn(patterns, " ")) {
		size_t n = strcspn(patterns, " ");
		if (matches(patterns, n, group))
			return true;
		patterns += n;
	}
	return false;
}

/* ---- records: key is the name */

static void put(struct gm_turn *t, const struct schedule *s)
{
	uint8_t buf[1024];
	struct gm_out o = gm_out(buf, sizeof(buf));
	const struct gm_schedule_spec *p = &s->spec;

	gm_cbor_put_array(&o, FIELDS);
	gm_cbor_put_uint(&o, FORM);
	gm_cbor_put_text(&o, p->groups);
	gm_cbor_put_uint(&o, p->at_s);
	gm_cbor_put_uint(&o, p->days);
	gm_cbor_put_uint(&o, p->window_s);
	gm_cbor_put_uint(&o, p->pace);
	gm_cbor_put_uint(&o, p->late_most);
	gm_cbor_put_uint(&o, p->at_once);
	gm_cbor_put_uint(&o, s->run);
	gm_cbor_put_bool(&o, s->held);
	gm_cbor_put_int(&o, s->opened);
	gm_cbor_put_int(&o, s->day);
	gm_cbor_put_text(&o, s->outcome);
	gm_cbor_put_uint(&o, 0); /* room for what comes */
	gm_changes_put(t->txn->changes, GM_OWNER_SITE, GM_TABLE_SCHEDULE, p->name, strlen(p->name), buf, gm_out_len(&o));
}

static void take_text(struct gm_in *in, char *to, size_t cap)
{
	struct gm_bytes text = gm_cbor_tstr(in);

	if (text.n >= cap || (text.n && memchr(text.p, 0, text.n))) {
		gm_in_fail(in, GM_E_CORRUPT);
		return;
	}
	if (text.n)
		memcpy(to, text.p, text.n);
	to[text.n] = '\0';
}

static uint32_t take_u32(struct gm_in *in)
{
	uint64_t v = gm_cbor_uint(in);

	if (v > UINT32_MAX)
		gm_in_fail(in, GM_E_CORRUPT);
	return (uint32_t)v;
}

bool gm_schedule_name_usable(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
	size_t n = strnlen(name, GM_SCHEDULE_NAME_MAX + 1);

	return n > 0 && n <= GM_SCHEDULE_NAME_MAX && strspn(name, allowed) == n && name[0] != '-';
}

static bool usable(const struct gm_schedule_spec *p)
{
	return gm_schedule_name_usable(p->name) && p->groups[strspn(p->groups, " ")] && p->at_s < GM_DAY_S && p->days && p->days < 0x80 &&
	       p->window_s >= 60 && p->window_s <= GM_DAY_S && p->pace <= 100000000 && p->late_most <= 1000 && p->at_once >= 1 &&
	       p->at_once <= GM_SCHEDULE_AT_ONCE_MAX;
}

enum gm_err gm_schedule_load(struct gm_core *c, struct gm_bytes key, struct gm_bytes value)
{
	struct gm_in in = gm_in_bytes(value);
	struct schedule s = {0};
	struct gm_schedule_spec *p = &s.spec;

	if (gm_cbor_array(&in) != FIELDS || gm_cbor_uint(&in) != FORM || key.n > GM_SCHEDULE_NAME_MAX || c->schedules->n == GM_SCHEDULES_MAX)
		return GM_E_CORRUPT;
	memcpy(p->name, key.p, key.n);
	take_text(&in, p->groups, sizeof(p->groups));
	p->at_s = take_u32(&in);
	p->days = (uint8_t)take_u32(&in);
	p->window_s = take_u32(&in);
	p->pace = take_u32(&in);
	p->late_most = take_u32(&in);
	p->at_once = take_u32(&in);
	uint32_t run = take_u32(&in);
	s.held = gm_cbor_bool(&in);
	s.opened = gm_cbor_int(&in);
	s.day = gm_cbor_int(&in);
	take_text(&in, s.outcome, sizeof(s.outcome));
	gm_cbor_uint(&in);
	if (gm_cbor_end(&in) != GM_E_OK || !usable(p) || run > STOPPED || s.opened < 0 || s.opened > INT64_MAX / 2)
		return GM_E_CORRUPT;
	s.run = (enum run)run;
	c->schedules->at[c->schedules->n] = gm_must_alloc(NULL, sizeof(s));
	*c->schedules->at[c->schedules->n++] = s;
	return GM_E_OK;
}

static void forget(struct gm_schedules *all, unsigned i)
{
	free(all->at[i]);
	all->at[i] = all->at[--all->n];
}

void gm_schedule_unload(struct gm_core *c, struct gm_bytes key)
{
	for (unsigned i = c->schedules->n; i-- > 0;)
		if (gm_bytes_is(key, c->schedules->at[i]->spec.name))
			forget(c->schedules, i);
}

/* ---- the local clock */

static int64_t local_of(const struct gm_txn *txn)
{
	return txn->wall_s + txn->utc_offset_s;
}

static int64_t day_of(int64_t local)
{
	return local >= 0 ? local / GM_DAY_S : -((-local + GM_DAY_S - 1) / GM_DAY_S);
}

static bool on_day(const struct gm_schedule_spec *p, int64_t day) /* 1970 began on a Thursday */
{
	return p->days >> ((day % 7 + 10) % 7) & 1u;
}

/* The latest day whose time has come by this local clock. */
static int64_t latest_day(const struct gm_schedule_spec *p, int64_t local)
{
	int64_t day = day_of(local);

	return local - day * (int64_t)GM_DAY_S >= (int64_t)p->at_s ? day : day - 1;
}

/* Has a window's time come that was not opened yet, and is it open still? *opened: when it should have been. */
static bool due(const struct schedule *s, const struct gm_txn *txn, int64_t *day, int64_t *opened)
{
	int64_t local = local_of(txn);

	*day = latest_day(&s->spec, local);
	if (*day <= s->day || !on_day(&s->spec, *day))
		return false;
	int64_t start = *day * (int64_t)GM_DAY_S + s->spec.at_s, since = local - start;
	bool jumped = s->seen_local && s->seen_local < start && txn->utc_offset_s > s->seen_offset;
	if (jumped) /* the clock was put forward over it, or shortly before: that was no time */
		since -= txn->utc_offset_s - s->seen_offset < since ? txn->utc_offset_s - s->seen_offset : since;
	*opened = txn->wall_s - since;
	return since < (int64_t)s->spec.window_s;
}

static int64_t next_window(const struct schedule *s, const struct gm_txn *txn)
{
	int64_t local = local_of(txn), today = day_of(local);

	for (int64_t day = today; day < today + 9; day++) {
		int64_t start = day * (int64_t)GM_DAY_S + s->spec.at_s;
		if (day > s->day && on_day(&s->spec, day) && start > local)
			return start - txn->utc_offset_s;
	}
	return 0;
}

/* ---- a window */

static bool is_its(const struct schedule *s, const struct gm_group *g)
{
	return g && gm_schedule_names(s->spec.groups, g->spec.name);
}

/* Since the window opened; by a clock that has been put back since it does not count. */
static bool has_new_keys(const struct schedule *s, const struct gm_group *g, int64_t now)
{
	return g->last_rekey >= s->opened && g->last_rekey <= now + CLOCK_STEP_S;
}

static struct gm_schedule_count count(const struct gm_core *c, const struct schedule *s, int64_t now)
{
	struct gm_schedule_count n = {0};

	for (uint32_t i = 0; i < c->groups_n; i++) {
		if (!is_its(s, c->groups[i]))
			continue;
		bool done = has_new_keys(s, c->groups[i], now), paused = gm_pause_on(c->groups[i]);
		n.done += done;
		n.paused += done && paused;
		n.left += !done;
		n.passed_over += !done && paused;
	}
	return n;
}

static void begin(struct gm_turn *t, struct schedule *s, int64_t opened)
{
	s->opened = opened;
	s->run = RUNNING;
	s->cursor = 0;
	s->flying_n = 0;
	s->credit = 0;
	s->look_ms = 0;
	s->outcome[0] = '\0';
	put(t, s);
	gm_core_log(t->core, "schedule.open schedule=%s groups=%u", s->spec.name, count(t->core, s, t->txn->wall_s).left);
}

static void ended_with(struct schedule *s, const struct gm_schedule_count *n)
{
	int used = n->left ? snprintf(s->outcome, sizeof(s->outcome), "the window ended, %u groups wait for the next one", n->left)
	                   : snprintf(s->outcome, sizeof(s->outcome), "all done");
	unsigned paused = n->left ? n->passed_over : n->paused;

	if (paused)
		snprintf(s->outcome + used, sizeof(s->outcome) - (size_t)used, ", of %u the distribution is paused", paused);
}

static void end(struct gm_turn *t, struct schedule *s)
{
	struct gm_schedule_count n = count(t->core, s, t->txn->wall_s);

	for (unsigned i = 0; i < s->flying_n; i++) { /* whose turn has come gets them */
		const struct gm_group *g = gm_groups_at(t->core, s->flying[i].index);
		n.left -= g && n.left && g->gen == s->flying[i].gen && !has_new_keys(s, g, t->txn->wall_s);
	}
	n.passed_over = n.passed_over < n.left ? n.passed_over : n.left;
	ended_with(s, &n);
	s->run = WAITING;
	s->flying_n = 0;
	put(t, s);
	if (n.left)
		gm_core_log(t->core, "schedule.unfinished schedule=%s done=%u left=%u passed_over=%u paused=%u", s->spec.name, n.done, n.left, n.passed_over,
		            n.paused);
	else
		gm_core_log(t->core, "schedule.done schedule=%s groups=%u paused=%u", s->spec.name, n.done, n.paused);
}

static void stop(struct gm_turn *t, struct schedule *s, const struct gm_group *g, unsigned members)
{
	snprintf(s->outcome, sizeof(s->outcome), "stopped: %u of %u members of %.64s are late", g->late, members, g->spec.name);
	s->run = STOPPED;
	s->flying_n = 0;
	put(t, s);
	gm_core_log(t->core, "schedule.stopped schedule=%s group=%s late=%u members=%u left=%u", s->spec.name, g->spec.name, g->late, members,
	            count(t->core, s, t->txn->wall_s).left);
}

static bool too_many_late(const struct schedule *s, const struct gm_group *g, unsigned *members)
{
	*members = g->confirmed + g->late + g->waiting; /* at the time of the rekey */
	return s->spec.late_most < 1000 && (uint64_t)g->late * 1000 > (uint64_t)s->spec.late_most * *members;
}

/* Those that have landed make room for others. false: too many are late. */
static bool look_at_flying(struct gm_turn *t, struct schedule *s)
{
	unsigned kept = 0, members;

	for (unsigned i = 0; i < s->flying_n; i++) {
		const struct gm_group *g = gm_groups_at(t->core, s->flying[i].index);
		if (!g || g->gen != s->flying[i].gen)
			continue;
		bool its_own = has_new_keys(s, g, t->txn->wall_s); /* else it is still to come, and who is late is so from before */
		if (its_own && too_many_late(s, g, &members)) {
			stop(t, s, g, members);
			return false;
		}
		if ((g->distributing && !gm_pause_holds(g)) || (g->reason != GM_REASON_NONE && g->members))
			s->flying[kept++] = s->flying[i];
	}
	s->flying_n = kept;
	return true;
}

static void fly(struct schedule *s, const struct gm_group *g)
{
	s->flying[s->flying_n++] = (struct flying){g->index, g->gen};
}

/* The next group that has to get new keys; NULL: none is left, or *looks are spent. */
static struct gm_group *next_group(struct gm_turn *t, struct schedule *s, unsigned *looks)
{
	for (; s->cursor < t->core->groups_n && *looks && s->flying_n < s->spec.at_once; ++s->cursor, --*looks) {
		struct gm_group *g = t->core->groups[s->cursor];
		if (!is_its(s, g) || gm_pause_on(g))
			continue;
		if (!has_new_keys(s, g, t->txn->wall_s))
			return g;
		if (g->distributing && g->started_ms >= s->resumed_ms)
			fly(s, g); /* since before a stop of gmd */
	}
	return NULL;
}

static void start(struct gm_turn *t, struct schedule *s, struct gm_group *g)
{
	s->cursor++;
	s->credit -= 1000 * (int64_t)(g->members ? g->members : 1);
	if (g->members)
		gm_plan_ask(t, g, GM_REASON_SCHEDULE, GM_HASTE_NOW);
	else
		gm_plan_step(t, g, GM_REASON_SCHEDULE);
	if (g->members)
		fly(s, g);
}

static void earn(struct schedule *s, uint64_t ms)
{
	int64_t most = 1000 * (int64_t)s->spec.pace; /* a second's worth */

	s->credit += (int64_t)s->spec.pace * (int64_t)(ms > 60000 ? 60000 : ms);
	s->credit = s->credit > most ? most : s->credit;
}

static void go_on(struct gm_turn *t, struct schedule *s)
{
	uint64_t now = t->txn->mono_ms;
	unsigned looks = LOOKS_MAX;

	if (s->look_ms && now < s->look_ms + STEP_MS)
		return;
	earn(s, s->look_ms ? now - s->look_ms : STEP_MS);
	s->look_ms = now;
	if (!look_at_flying(t, s))
		return;
	for (unsigned n = 0; !t->core->draining && n < STARTS_MAX && (!s->spec.pace || s->credit > 0); n++) {
		struct gm_group *g = next_group(t, s, &looks);
		if (!g)
			break;
		start(t, s, g);
	}
	if (s->cursor >= t->core->groups_n && !s->flying_n)
		end(t, s);
}

/* What a clock that ran ahead has left here would keep the schedule silent until that time comes. */
static void heed_clock_put_back(struct gm_turn *t, struct schedule *s)
{
	int64_t latest = latest_day(&s->spec, local_of(t->txn));
	bool ahead = s->run != WAITING && s->opened > t->txn->wall_s + CLOCK_STEP_S;

	if (!ahead && s->day <= latest + 1)
		return;
	if (ahead) {
		s->run = WAITING;
		s->opened = 0;
		s->flying_n = 0;
		snprintf(s->outcome, sizeof(s->outcome), "ended, the clock was put back");
	}
	s->day = s->day > latest ? latest : s->day;
	put(t, s);
	gm_core_log(t->core, "schedule.clock schedule=%s window=%s: the clock was put back", s->spec.name, ahead ? "ended" : "none");
}

static void look(struct gm_turn *t, struct schedule *s)
{
	int64_t day, opened, now = t->txn->wall_s;

	heed_clock_put_back(t, s);
	if (s->run != WAITING && now >= s->opened + (int64_t)s->spec.window_s) {
		if (s->run == RUNNING)
			end(t, s);
	}
	if (!s->held && s->run != RUNNING && due(s, t->txn, &day, &opened)) {
		s->day = day;
		begin(t, s, opened);
	}
	s->seen_local = local_of(t->txn);
	s->seen_offset = t->txn->utc_offset_s;
	if (s->run == RUNNING && !s->held)
		go_on(t, s);
}

void gm_schedules_due(struct gm_turn *t)
{
	for (unsigned i = 0; i < t->core->schedules->n; i++)
		look(t, t->core->schedules->at[i]);
	gm_core_due(t);
}

uint64_t gm_schedules_next_ms(const struct gm_core *c)
{
	uint64_t ms = c->schedules->n ? 1000 : UINT64_MAX;

	for (unsigned i = 0; i < c->schedules->n; i++)
		if (c->schedules->at[i]->run == RUNNING && (!c->draining || c->schedules->at[i]->flying_n))
			ms = STEP_MS;
	return ms;
}

/* ---- commands */

static struct schedule *named(const struct gm_core *c, const char *name)
{
	for (unsigned i = 0; i < c->schedules->n; i++)
		if (strcmp(c->schedules->at[i]->spec.name, name) == 0)
			return c->schedules->at[i];
	return NULL;
}

enum gm_err gm_core_schedule_set(struct gm_core *core, struct gm_txn *txn, const struct gm_schedule_spec *spec)
{
	struct gm_turn t = {core, txn};
	struct schedule *s = named(core, spec->name);

	if (!usable(spec))
		return GM_E_USAGE;
	if (txn->disk_low)
		return GM_E_DISK_FULL;
	if (!s && core->schedules->n == GM_SCHEDULES_MAX)
		return GM_E_FULL;
	if (!s) {
		s = core->schedules->at[core->schedules->n++] = gm_must_alloc(NULL, sizeof(*s));
		*s = (struct schedule){.day = INT64_MIN};
	}
	s->spec = *spec;
	s->cursor = 0;
	s->day = latest_day(spec, local_of(txn));
	put(&t, s);
	gm_core_log(core, "schedule.set schedule=%s", spec->name);
	return GM_E_OK;
}

enum gm_err gm_core_schedule_remove(struct gm_core *core, struct gm_txn *txn, const char *name)
{
	struct gm_schedules *all = core->schedules;

	for (unsigned i = 0; i < all->n; i++) {
		if (strcmp(all->at[i]->spec.name, name) != 0)
			continue;
		gm_changes_remove(txn->changes, GM_OWNER_SITE, GM_TABLE_SCHEDULE, name, strlen(name));
		forget(all, i);
		gm_core_log(core, "schedule.remove schedule=%s", name);
		return GM_E_OK;
	}
	return GM_E_UNKNOWN;
}

enum gm_err gm_core_schedule_run(struct gm_core *core, struct gm_txn *txn, const char *name)
{
	struct gm_turn t = {core, txn};
	struct schedule *s = named(core, name);

	if (!s)
		return GM_E_UNKNOWN;
	if (s->held || core->draining)
		return GM_E_CONFLICT;
	if (s->run == RUNNING)
		return GM_E_BUSY;
	begin(&t, s, txn->wall_s);
	return GM_E_OK;
}

enum gm_err gm_core_schedule_pause(struct gm_core *core, struct gm_txn *txn, const char *name)
{
	struct gm_turn t = {core, txn};
	struct schedule *s = named(core, name);

	if (!s)
		return GM_E_UNKNOWN;
	s->held = true;
	put(&t, s);
	gm_core_log(core, "schedule.paused schedule=%s", name);
	return GM_E_OK;
}

enum gm_err gm_core_schedule_resume(struct gm_core *core, struct gm_txn *txn, const char *name)
{
	struct gm_turn t = {core, txn};
	struct schedule *s = named(core, name);

	if (!s)
		return GM_E_UNKNOWN;
	if (s->run == STOPPED)
		s->run = txn->wall_s < s->opened + (int64_t)s->spec.window_s ? RUNNING : WAITING;
	s->held = false;
	s->cursor = 0;
	s->look_ms = 0;
	s->credit = 0;
	s->resumed_ms = txn->mono_ms + 1; /* who was late before is no reason to stop again */
	put(&t, s);
	gm_core_log(core, "schedule.resumed schedule=%s", name);
	return GM_E_OK;
}

static const char *state_of(const struct gm_core *c, const struct schedule *s)
{
	static const char *const states[] = {[WAITING] = "waiting", [RUNNING] = "running", [STOPPED] = "stopped"};

	if (s->held)
		return "paused";
	return c->draining && s->run == RUNNING ? "drained" : states[s->run];
}

static struct gm_schedule_info info_of(const struct gm_core *c, const struct gm_txn *txn, const struct schedule *s)
{
	struct gm_schedule_info info = {.spec = &s->spec,
	                                .state = state_of(c, s),
	                                .outcome = s->outcome,
	                                .opened = s->opened,
	                                .ends = s->opened ? s->opened + s->spec.window_s : 0,
	                                .next = next_window(s, txn),
	                                .flying = s->flying_n};

	return info;
}

bool gm_core_schedule_count(const struct gm_core *core, const struct gm_txn *txn, const char *name, struct gm_schedule_count *n)
{
	const struct schedule *s = named(core, name);

	*n = s && s->opened ? count(core, s, txn->wall_s) : (struct gm_schedule_count){0};
	return s != NULL;
}

enum gm_err gm_core_schedules(const struct gm_core *core, const struct gm_txn *txn, const char *name,
                              bool (*each)(void *arg, const struct gm_schedule_info *info), void *arg)
{
	if (name && !named(core, name))
		return GM_E_UNKNOWN;
	for (unsigned i = 0; i < core->schedules->n; i++) {
		struct schedule *s = core->schedules->at[i];
		if (name && strcmp(name, s->spec.name) != 0)
			continue;
		struct gm_schedule_info info = info_of(core, txn, s);
		if (!each(arg, &info))
			break;
	}
	return GM_E_OK;
}
