/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: a rekey and a storm with the stopwatch; and what happened when, for a plot. */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/frame.h"

#define NS_PER_S 1000000000u
#define STORM_TRIES 255u
#define ANSWER_MS 2000u

/* ---- a command to gmd, without gmctl's start in the measurement */

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool say_rekey(int fd, const char *group)
{
	struct gm_ctl_buf buf = {0};
	struct gm_ctl_request r = {.id = 1, .args_n = 1, .args = {{.key = "group", .type = GM_CTL_TEXT, .n = strlen(group)}}};

	snprintf(r.verb, sizeof(r.verb), "rekey");
	snprintf(r.args[0].text, sizeof(r.args[0].text), "%s", group);
	bool ok = gm_ctl_request_append(&buf, &r) == GM_E_OK && write(fd, buf.bytes + buf.at, buf.n - buf.at) == (ssize_t)(buf.n - buf.at);
	gm_ctl_buf_free(&buf);
	return ok;
}

/* gmd said that it is done. */
static bool hear_end(int fd)
{
	uint8_t bytes[4096];
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	struct gm_ctl_answer a;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	return n > 4 && gm_ctl_answer_decode((struct gm_bytes){bytes + 4, (size_t)n - 4}, &a) == GM_E_OK && a.kind != GM_CTL_ERROR;
}

/* ---- what happened when: kind, microseconds since the beginning, microseconds that it took */

static bool write_events(const struct load *l, const char *path, uint64_t start)
{
	static const char *const kinds[GM_FLEET_KINDS] = {"keys", "done", "paced", "lost"};
	FILE *file = fopen(path, "w");

	if (!file) {
		perror(path);
		return false;
	}
	for (size_t i = 0; i < l->fleet.log.n; i++) {
		const struct gm_fleet_event *e = &l->fleet.log.events[i];
		fprintf(file, "%s %llu %u\n", kinds[e->kind], (unsigned long long)(e->at_ns - start) / 1000, e->took_us);
	}
	return fclose(file) == 0;
}

void load_begin_events(struct load *l)
{
	l->fleet.log.n = 0;
	l->fleet.log.on = true;
}

static bool end_events(struct load *l, const struct words *c)
{
	const char *path = load_option(c, "--events", NULL);

	l->fleet.log.on = false;
	return !path || write_events(l, path, l->began_ns);
}

void load_put_events(const struct load *l, json_t *result, const char *name, enum gm_fleet_event_kind kind, enum load_took took,
                     uint64_t since)
{
	struct gm_series s = {0};

	for (size_t i = 0; i < l->fleet.log.n; i++) {
		const struct gm_fleet_event *e = &l->fleet.log.events[i];
		const uint64_t ns[] = {[LOAD_AT] = e->at_ns - l->began_ns, [LOAD_TOOK] = e->took_us * 1000ull, [LOAD_LAST_TOOK] = e->last_us * 1000ull};
		if (e->kind == kind && e->at_ns >= since)
			gm_series_add(&s, ns[took]);
	}
	if (s.n)
		load_put_times(result, name, &s);
	gm_series_free(&s);
}

/* ---- a rekey: from the command to the last confirmation that left */

/* Those to be told: in the group, with the keys before. */
static size_t awaited(const struct load *l, int group, uint64_t version)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->fleet.members_n; i++) {
		const struct gm_member *m = &l->fleet.members[i];
		n += m->group == group && m->state == GM_MEMBER_IN && m->has_keys && m->keys.version == version;
	}
	return n;
}

static uint64_t members_version(const struct load *l, int group)
{
	for (uint32_t i = 0; i < l->fleet.members_n; i++)
		if (l->fleet.members[i].group == group && l->fleet.members[i].has_keys)
			return load_newest(l, group);
	return 0;
}

struct rekey {
	struct load *l;
	size_t all;
	uint64_t until_ns, done_ns;
};

static bool rekeyed(void *arg)
{
	struct rekey *r = arg;
	uint64_t now = r->l->fleet.env.now_ns;

	if (!r->done_ns && r->l->fleet.installed_n >= r->all)
		r->done_ns = load_now_ns(r->l);
	return r->done_ns || now >= r->until_ns;
}

static void watch(struct gm_fleet *f, int group, uint64_t version)
{
	f->watch_group = group;
	f->watch_version = version;
	f->installed_n = 0;
}

/* Newcomers of another group join at their pace while it lasts; they end what they began. */
static void run_rekey(struct load *l, struct rekey *r)
{
	struct gm_fleet *f = &l->fleet;

	f->stop = rekeyed;
	f->stop_arg = r;
	f->run = (struct gm_fleet_run){.tries = l->tries};
	while (!rekeyed(r)) {
		gm_fleet_pace(f);
		gm_fleet_turn(f, f->pace.n ? 1 : 20);
	}
	if (!r->done_ns)
		r->done_ns = load_now_ns(l);
	f->stop = NULL;
	while (f->run.active)
		gm_fleet_turn(f, 20);
	f->pace = (struct gm_fleet_pace){0};
}

static bool measure_rekey(struct load *l, const struct words *c, json_t *result, int group, int fd)
{
	struct gm_fleet *f = &l->fleet;
	uint64_t version = members_version(l, group), duplicates = f->env.stats.duplicates;
	double timeout = strtod(load_option(c, "--timeout", "60"), NULL);
	struct rekey r = {.l = l, .all = awaited(l, group, version)};

	watch(f, group, version + 1);
	load_begin_events(l);
	load_begin(l);
	r.until_ns = l->began_ns + (uint64_t)(timeout * NS_PER_S);
	f->pace.start_ns = l->began_ns;
	if (!say_rekey(fd, f->groups[group].name))
		return load_complain(result, "rekey: the control socket does not take the command");
	run_rekey(l, &r);
	load_put_int(result, "members", r.all);
	load_put_int(result, "confirmed", f->installed_n);
	load_put_int(result, "late", r.all - f->installed_n);
	load_put_int(result, "version", version + 1);
	load_put_int(result, "duplicates", f->env.stats.duplicates - duplicates);
	load_put_span(result, l, f->installed_n, r.done_ns);
	load_put_events(l, result, "rekey", GM_FLEET_KEYS, LOAD_AT, 0);
	load_put_events(l, result, "join", GM_FLEET_PACED, LOAD_TOOK, 0);
	bool said = hear_end(fd);
	return said || load_complain(result, "rekey: gmd refused");
}

bool load_cmd_rekey(struct load *l, const struct words *c, json_t *result)
{
	int group = load_known_group(l, load_operand(c, 0));
	const char *path = load_option(c, "--socket", "/run/gmd/gmd.sock");
	struct load_chosen joiners = {0};
	bool ok = group >= 0 || load_complain(result, "rekey: no such group here");

	if (ok && load_option(c, "--joins", NULL)) {
		ok = load_newcomers(l, c, result, load_number(load_option(c, "--joins", NULL), 0), &joiners);
		load_set_pace(l, c, &joiners, LOAD_JOINING);
	}
	int fd = ok ? connect_to(path) : -1;
	ok = ok && (fd >= 0 || load_complain(result, "rekey: no control socket"));
	ok = ok && measure_rekey(l, c, result, group, fd);
	ok = end_events(l, c) && ok;
	l->fleet.watch_group = -1;
	if (fd >= 0)
		close(fd);
	free(joiners.list);
	return ok;
}

/* ---- a storm: all come back at once */

static unsigned storm_plan(const char *how)
{
	return strcmp(how, "echo") == 0 ? GM_PLAN(GM_OP_GROUP) : GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE);
}

static uint64_t last_of(const struct load *l, enum gm_fleet_event_kind kind)
{
	uint64_t at = l->began_ns;

	for (size_t i = 0; i < l->fleet.log.n; i++)
		if (l->fleet.log.events[i].kind == kind)
			at = l->fleet.log.events[i].at_ns;
	return at;
}

bool load_cmd_storm(struct load *l, const struct words *c, json_t *result)
{
	unsigned plan = storm_plan(load_option(c, "--how", "join"));
	long paced = load_number(load_option(c, "--joins", NULL), 0);
	int group = load_known_group(l, load_operand(c, 0));
	struct load_chosen all = load_choose(l, group, GM_MEMBER_IN, SIZE_MAX), joiners = {0};
	struct gm_fleet *f = &l->fleet;
	bool ok = all.list && (!paced || load_newcomers(l, c, result, paced, &joiners));
	if (ok && paced)
		load_set_pace(l, c, &joiners, LOAD_JOINING);
	uint64_t echoes = f->env.stats.echoes, retransmitted = f->env.stats.retransmitted, later[GM_LATER_N];

	memcpy(later, f->env.later_n, sizeof(later));
	load_begin_events(l);
	load_begin(l);
	f->pace.start_ns = l->began_ns;
	size_t done = ok ? gm_fleet_run(f, all.list, all.n, plan, (unsigned)all.n, STORM_TRIES) : 0;
	uint64_t end = last_of(l, GM_FLEET_DONE);
	load_put_run(result, l, all.n + f->run.paced_n, done, end - l->began_ns);
	load_put_int(result, "echoes", f->env.stats.echoes - echoes);
	load_put_int(result, "retransmitted", f->env.stats.retransmitted - retransmitted);
	load_put_later(result, l, later);
	load_put_events(l, result, "storm", GM_FLEET_DONE, LOAD_TOOK, 0);
	load_put_events(l, result, "paced", GM_FLEET_PACED, LOAD_TOOK, 0);
	load_put_events(l, result, "paced_late_half", GM_FLEET_PACED, LOAD_TOOK, l->began_ns + (end - l->began_ns) / 2);
	load_put_events(l, result, "served_late_half", GM_FLEET_PACED, LOAD_LAST_TOOK, l->began_ns + (end - l->began_ns) / 2);
	ok = end_events(l, c) && ok && done == all.n + f->run.paced_n;
	free(all.list);
	free(joiners.list);
	return ok;
}

/* ---- signatures that were put off */

bool load_cmd_verify(struct load *l, const struct words *c, json_t *result)
{
	(void)c;
	unsigned bad = gm_member_verify_kept(&l->fleet.env);

	load_put_int(result, "bad", bad);
	return bad == 0;
}
