/* SPDX-License-Identifier: Apache-2.0 */
/* More is offered than can be served. Members join anew as fast as they are served, which shows how much that is, or they begin
 * at a rate, whatever becomes of them, as if each were a client of its own; others read meanwhile, and some obey what they are
 * told. Afterwards few come, until none is refused or slow any more. */
#include "load.h"

#include <stdlib.h>

#define NS_PER_S 1000000000u
#define JOIN_ANEW (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define READERS 1000u
#define BEGIN_MAX 256u  /* attempts between two looks at the network */
#define SLICE_MS 100u   /* afterwards: so long a few are watched */
#define FEW 20u         /* of them */
#define SLICE_END_S 5u
#define OBEDIENT_TRIES 200u
#define END_S 100u      /* whole cycles of retransmissions, and the latest time that a refusal may name */

struct crowd { /* members who begin one after the other, round and round */
	const uint32_t *list;
	size_t n, next;
	unsigned plan;
	double rate; /* a second; 0: as soon as fewer than the window are open */
	uint64_t begun;
};

static bool begin_one(struct load *l, struct crowd *c)
{
	struct gm_fleet *f = &l->fleet;

	for (size_t tries = 0; tries < 64 && tries < c->n; tries++) {
		struct gm_member *m = &f->members[c->list[c->next++ % c->n]];
		if (m->counted || m->ex.active)
			continue;
		m->counted = true;
		m->tries = 0;
		f->begun[m->index] = (struct gm_fleet_begun){f->env.now_ns, f->env.now_ns};
		f->run.active++;
		gm_fleet_begin(f, m, c->plan);
		c->begun++;
		return true;
	}
	return false;
}

static void begin_due(struct load *l, struct crowd *c, uint64_t start_ns)
{
	struct gm_fleet *f = &l->fleet;
	uint64_t due = (uint64_t)((double)(f->env.now_ns - start_ns) * c->rate / NS_PER_S);

	for (unsigned i = 0; i < BEGIN_MAX; i++) {
		if (c->rate > 0 ? c->begun >= due : f->run.active >= l->window)
			return;
		if (!begin_one(l, c))
			return;
	}
}

static void run_for(struct load *l, struct crowd *crowds, unsigned n, double seconds)
{
	struct gm_fleet *f = &l->fleet;
	uint64_t start = load_now_ns(l), until = start + (uint64_t)(seconds * NS_PER_S);

	f->run = (struct gm_fleet_run){.tries = 0, .active = f->run.active};
	for (unsigned i = 0; i < n; i++)
		crowds[i].begun = 0;
	for (uint64_t now = start; now < until; now = load_now_ns(l)) {
		f->env.now_ns = now;
		for (unsigned i = 0; i < n; i++)
			begin_due(l, &crowds[i], start);
		gm_fleet_pace(f);
		gm_fleet_turn(f, 1);
	}
}

static void end_all(struct load *l)
{
	uint64_t until = load_now_ns(l) + END_S * (uint64_t)NS_PER_S;

	while (l->fleet.run.active && load_now_ns(l) < until)
		gm_fleet_turn(&l->fleet, 20);
}

static uint64_t good(const struct load *l, enum gm_member_op op)
{
	uint64_t n = 0;

	for (unsigned code = GM_COAP(2, 0); code < GM_COAP(3, 0); code++)
		n += l->fleet.answers[op][code];
	return n;
}

/* ---- afterwards */

/* One of the few: others end what they began before. */
static bool is_of(const struct gm_fleet_event *e, uint64_t from_ns)
{
	return e->kind != GM_FLEET_PACED && e->at_ns - e->took_us * 1000ull >= from_ns;
}

static size_t ended(const struct gm_fleet *f, uint64_t from_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < f->log.n; i++)
		n += is_of(&f->log.events[i], from_ns);
	return n;
}

struct watched {
	size_t n, lost, slow;
	double seconds; /* from its beginning till the last attempt was begun that was refused, lost or slow */
};

static struct watched watch(struct load *l, struct crowd *few, double seconds, double slow_ms)
{
	struct watched w = {0};
	struct gm_fleet *f = &l->fleet;
	uint64_t start = load_now_ns(l), last = start;

	while (load_now_ns(l) - start < (uint64_t)(seconds * NS_PER_S)) {
		uint64_t from = load_now_ns(l);
		f->log.n = 0;
		f->log.on = true;
		few->rate = FEW * 1000 / SLICE_MS; /* NOLINT(bugprone-integer-division): a whole number */
		run_for(l, few, 1, SLICE_MS / 1000.0);
		while (ended(f, from) < few->begun && load_now_ns(l) - from < SLICE_END_S * (uint64_t)NS_PER_S)
			gm_fleet_turn(f, 5);
		if (ended(f, from) < few->begun)
			last = load_now_ns(l);
		for (size_t i = 0; i < f->log.n; i++) {
			if (!is_of(&f->log.events[i], from))
				continue;
			bool lost = f->log.events[i].kind == GM_FLEET_LOST, slow = !lost && f->log.events[i].took_us > 1000 * slow_ms;
			w.n++;
			w.lost += lost;
			w.slow += slow;
			last = lost || slow ? from + SLICE_MS * 1000000u : last;
		}
		f->log.on = false;
	}
	w.seconds = (double)(last - start) / NS_PER_S;
	return w;
}

/* ---- the command */

static void put_phase(struct load *l, json_t *o, double seconds, const struct crowd *joiners)
{
	uint64_t joins = good(l, GM_OP_JOIN);

	load_put_int(o, "attempts", joiners->begun);
	load_put_span(o, l, joins, l->began_ns + (uint64_t)(seconds * NS_PER_S));
	load_put_int(o, "joins", joins);
	json_object_set_new(o, "joins_per_s", json_real((double)joins / seconds));
	load_put_int(o, "refused_tokens", l->fleet.answers[GM_OP_TOKEN][GM_COAP(5, 3)]);
	load_put_int(o, "refused_joins", l->fleet.answers[GM_OP_JOIN][GM_COAP(5, 3)]);
	load_put_int(o, "silent", l->fleet.answers[GM_OP_TOKEN][0] + l->fleet.answers[GM_OP_JOIN][0]);
	load_put_int(o, "reads", good(l, GM_OP_GROUP));
	for (unsigned op = 0; op < GM_OP_N; op++)
		if (l->fleet.took[op].n)
			load_put_times(o, gm_member_op_name(op), &l->fleet.took[op]);
}

static double seconds_of(const struct words *c, const char *name, const char *otherwise)
{
	return strtod(load_option(c, name, otherwise), NULL);
}

static size_t obeyed(const struct load *l)
{
	size_t in = 0;

	for (size_t i = 0; i < l->fleet.pace.n; i++) {
		const struct gm_member *m = &l->fleet.members[l->fleet.pace.list[i]];
		in += m->state == GM_MEMBER_IN && m->last_code >> 5 == 2;
	}
	return in;
}

/* Those who obey come in the first third. */
static bool add_obedient(struct load *l, const struct words *c, json_t *result, double seconds)
{
	long n = load_number(load_option(c, "--obedient", "0"), 0);
	struct load_chosen who = {0};

	if (n <= 0)
		return true;
	if (!load_newcomers(l, c, result, n, &who))
		return false;
	l->fleet.pace = (struct gm_fleet_pace){.list = who.list, .n = who.n, .plan = JOIN_ANEW, .tries = OBEDIENT_TRIES,
	                                       .start_ns = load_now_ns(l), .gap_ns = (uint64_t)(seconds * NS_PER_S / 3 / (double)n)};
	return true;
}

static bool choose(struct load *l, const struct words *c, json_t *result, struct load_chosen *all)
{
	*all = load_choose(l, load_known_group(l, load_operand(c, 0)), GM_MEMBER_IN, SIZE_MAX);
	return all->list && (all->n > 2 * READERS || load_complain(result, "it takes more than 2,000 members"));
}

bool load_cmd_overload(struct load *l, const struct words *c, json_t *result)
{
	struct load_chosen all;
	double seconds = seconds_of(c, "--seconds", "10");
	uint64_t later[GM_LATER_N];
	bool ok = choose(l, c, result, &all) && add_obedient(l, c, result, seconds);

	if (ok) {
		struct crowd crowds[] = {
		    {.list = all.list, .n = all.n - READERS, .plan = JOIN_ANEW, .rate = seconds_of(c, "--rate", "0")},
		    {.list = all.list + all.n - READERS, .n = READERS, .plan = GM_PLAN(GM_OP_GROUP), .rate = seconds_of(c, "--reads", "0")},
		};
		memcpy(later, l->fleet.env.later_n, sizeof(later));
		load_begin(l);
		run_for(l, crowds, crowds[1].rate > 0 ? 2 : 1, seconds);
		put_phase(l, result, seconds, &crowds[0]);
		load_put_later(result, l, later);
	}
	free(all.list);
	return ok;
}

bool load_cmd_recover(struct load *l, const struct words *c, json_t *result)
{
	struct gm_fleet_pace *p = &l->fleet.pace;
	struct load_chosen all;
	bool ok = choose(l, c, result, &all);

	if (ok) {
		struct crowd few = {.list = all.list + all.n - READERS, .n = READERS, .plan = JOIN_ANEW}; /* the others have contexts that wait */
		struct watched w = watch(l, &few, seconds_of(c, "--seconds", "5"), seconds_of(c, "--slow", "250"));
		json_object_set_new(result, "recovery_s", json_real(w.seconds));
		load_put_int(result, "watched", w.n);
		load_put_int(result, "lost", w.lost);
		load_put_int(result, "slow", w.slow);
		end_all(l);
		load_put_int(result, "obedient", p->n);
		load_put_int(result, "obedient_in", obeyed(l));
		load_put_int(result, "unfinished", l->fleet.run.active);
		ok = obeyed(l) == p->n && !l->fleet.run.active;
	}
	free((void *)(uintptr_t)p->list);
	*p = (struct gm_fleet_pace){0};
	free(all.list);
	return ok;
}
