/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ctl/log.h"
#include "gm/crypto.h"
#include "host/service.h"

#define PREPARE_MS 60000u /* from WELCOME to READY, a million members are ten seconds; while it serves */
#define TOO_MUCH "too much has changed meanwhile: once more"
#define SETTLE_MS 2000u   /* till core has nothing to do, and till workers have halted */
#define LOAD_MS 60000u    /* what has changed meanwhile */
#define TAKE_MS 10000u
#define BEAT_MS 100
#define GONE_MS 3000      /* from hanging up to having ended */
#define PUBLISH_NS 100000
#define WAKE_EACH 1024u /* records of those that are passed */
#define BUFFER (64u << 10)
#define SETTING 0x8000u /* beside what workers take; where more effects come it stays */
_Static_assert(GM_EFF_N <= SETTING, "a worker takes no such effect");
_Static_assert(GM_CARRY_FORMAT == 3 && GM_EFF_CARRY == 18 && GM_EFF_HELD == 19 && GM_EFF_DATAGRAM == 20,
               "the other process reads these numbers: new ones are another format");

/* gmd_faults dies here where it is told to. */
static void at(const char *place)
{
#ifdef GM_FAULTS
	const char *die = getenv("GM_DIE_AT");

	if (die && strcmp(die, place) == 0)
		raise(SIGKILL);
#else
	(void)place;
#endif
}

static uint64_t now_ms(void)
{
	return gm_turns_now_us() / 1000;
}

static void pause_shortly(void)
{
	const struct timespec t = {.tv_nsec = PUBLISH_NS};

	nanosleep(&t, NULL);
}

static enum gm_err say(struct gm_upgrade *u, enum gm_handover_step step, const int *fds, unsigned n)
{
	struct gm_handover_msg msg = {.step = step};

	return gm_handover_send(&u->line, &msg, fds, n);
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]); /* NOLINT(clang-analyzer-core.NullDereference): where there is no place for them n is 0 */
}

/* What was received is step, with so many descriptors. */
static enum gm_err judge(struct gm_handover_msg *msg, enum gm_handover_step step, int *fds, unsigned n, unsigned least,
                         char why[static GM_WHY])
{
	if (msg->step == (uint32_t)step && n >= least)
		return GM_E_OK;
	close_all(fds, n);
	if (msg->step == GM_HANDOVER_REFUSED) {
		snprintf(why, GM_WHY, "%s", msg->why);
		return GM_E_DENIED;
	}
	snprintf(why, GM_WHY, "the other process says step %u where %u is due", msg->step, (unsigned)step);
	return GM_E_BAD_FORMAT;
}

/* ------------------------------------------------------------------ old process */

/* What keeps going while it waits. false: it has to come to an end. */
static bool beat(struct gm_upgrade *u)
{
	struct pollfd fds = {.fd = u->signal_fd, .events = POLLIN};

	gm_service_alive(now_ms());
	return (!u->turns->stats.backlog_bytes || gm_turns_publish(u->turns) == GM_E_OK) && poll(&fds, 1, 0) == 0;
}

static enum gm_err wait_for(struct gm_upgrade *u, enum gm_handover_step step, uint64_t ms, char why[static GM_WHY])
{
	struct gm_handover_msg msg;
	uint64_t end = now_ms() + ms;
	unsigned n;
	int fd;

	while (now_ms() < end) {
		struct pollfd fds = {.fd = u->line.line, .events = POLLIN};
		if (!beat(u)) {
			snprintf(why, GM_WHY, "gmd was told otherwise meanwhile");
			return GM_E_DENIED;
		}
		if (poll(&fds, 1, u->turns->stats.backlog_bytes ? 1 : BEAT_MS) <= 0)
			continue;
		enum gm_err err = gm_handover_receive(&u->line, &msg, &fd, 1, &n, why);
		if (err == GM_E_OK)
			err = judge(&msg, step, &fd, n, 0, why);
		if (err == GM_E_OK && n)
			close(fd);
		if (err != GM_E_BUSY)
			return err;
	}
	snprintf(why, GM_WHY, "the new process takes too long");
	return GM_E_BUSY;
}

static bool told_all(const struct gm_upgrade *u)
{
	for (unsigned w = 0; w < u->config->workers; w++)
		if (gm_dp_waiting(u->turns->dp, w))
			return false;
	return u->turns->stats.backlog_bytes == 0;
}

/* Requests wait from here on; those that core has it answers, and all is committed. */
static bool freeze(struct gm_upgrade *u, char why[static GM_WHY])
{
	uint64_t end = now_ms() + SETTLE_MS;

	gm_dp_park(u->turns->dp, true);
	while (now_ms() < end) {
		bool parked = gm_dp_parked(u->turns->dp);
		unsigned n = u->turn(u->arg, false);
		if (parked && n < gm_turns_most(u->turns) && !u->turns->stats.backlog_bytes) {
			u->turn(u->arg, true);
			return true;
		}
		if (!n)
			pause_shortly();
	}
	snprintf(why, GM_WHY, "too much waits: later");
	return false;
}

/* What core has told goes out first. */
static bool halt(struct gm_upgrade *u, char why[static GM_WHY])
{
	uint64_t end = now_ms() + SETTLE_MS;

	while (!told_all(u) && now_ms() < end && beat(u))
		pause_shortly();
	if (told_all(u))
		gm_dp_halt(u->turns->dp, true);
	while (!gm_dp_halted(u->turns->dp) && now_ms() < end)
		pause_shortly();
	snprintf(why, GM_WHY, "the workers do not come to an end");
	return gm_dp_halted(u->turns->dp);
}

static bool put_all(int fd, const uint8_t *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, bytes + done, n - done);
		if (k <= 0)
			return false;
		done += (size_t)k;
	}
	return true;
}

struct sink {
	int fd;
	bool failed;
	uint64_t bytes;
	size_t n;
	uint8_t buffer[BUFFER];
};

static bool drain(struct sink *s)
{
	if (!put_all(s->fd, s->buffer, s->n))
		return false;
	s->bytes += s->n;
	s->n = 0;
	return true;
}

static bool put(void *arg, const struct gm_rec *rec)
{
	struct sink *s = arg;
	size_t size = (rec->len + 7u) & ~7u;

	if (s->n + size > sizeof(s->buffer) && !drain(s))
		return false;
	memcpy(s->buffer + s->n, rec, rec->len);
	memset(s->buffer + s->n + rec->len, 0, size - rec->len);
	s->n += size;
	return true;
}

#define SETTING_MAX 1024u /* bytes of one: a list that is longer was not set by hand */

static void put_setting(void *arg, const char *key, const char *file, const char *value)
{
	_Alignas(8) uint8_t bytes[sizeof(struct gm_eff_setting) + SETTING_MAX] = {0};
	struct gm_eff_setting *s = (void *)bytes;
	const char *const texts[] = {key, file, value};
	struct gm_slice *const slices[] = {&s->key, &s->file, &s->value};

	s->rec = (struct gm_rec){.type = SETTING, .len = sizeof(*s)};
	for (unsigned i = 0; i < 3; i++) {
		size_t n = strlen(texts[i]);
		if (n > sizeof(bytes) - s->rec.len) {
			gm_log(GM_LOG_WARN, "handover.leaves key=%s", key);
			return;
		}
		memcpy(bytes + s->rec.len, texts[i], n);
		*slices[i] = (struct gm_slice){s->rec.len, (uint32_t)n};
		s->rec.len += (uint32_t)n;
	}
	((struct sink *)arg)->failed |= !put(arg, &s->rec);
}

/* Which records are not as they were when it was welcomed. */
static bool tell_changed(struct gm_upgrade *u, struct gm_handover_msg *msg, char why[static GM_WHY])
{
	const struct gm_changed *c = &u->turns->changed;

	msg->bytes = c->n;
	if (c->lost || !c->on)
		snprintf(why, GM_WHY, TOO_MUCH);
	else if (!put_all(u->keys, c->bytes, c->n) || !gm_handover_seal(u->keys))
		snprintf(why, GM_WHY, "the file that was passed: %s", strerror(errno));
	else
		return true;
	return false;
}

static bool carry(struct gm_upgrade *u, struct gm_handover_msg *msg, char why[static GM_WHY])
{
	static struct sink sink;

	sink = (struct sink){.fd = u->file};
	u->settings(u->arg, put_setting, &sink);
	bool done = !sink.failed && gm_dp_carry(u->turns->dp, put, &sink) && drain(&sink) && gm_handover_seal(u->file);
	msg->bytes = sink.bytes;
	gm_wipe(sink.buffer, sizeof(sink.buffer));
	if (!done)
		snprintf(why, GM_WHY, "the file that was passed: %s", strerror(errno));
	return done;
}

/* OK: only once the other process has it all, and has been told that this one does nothing any more. */
static enum gm_err hand_over(struct gm_upgrade *u, char why[static GM_WHY])
{
	struct gm_handover_msg frozen = {.step = GM_HANDOVER_FROZEN}, carried = {.step = GM_HANDOVER_CARRIED};

	at("old-ready");
	if (!freeze(u, why))
		return GM_E_BUSY;
	frozen.turn = u->turns->turn;
	if (!tell_changed(u, &frozen, why))
		return GM_E_BUSY;
	at("old-frozen");
	GM_TRY(gm_handover_send(&u->line, &frozen, NULL, 0));
	GM_TRY(wait_for(u, GM_HANDOVER_LOADED, LOAD_MS, why));
	at("old-loaded");
	if (!halt(u, why) || !carry(u, &carried, why))
		return GM_E_BUSY;
	at("old-halted");
	GM_TRY(gm_handover_send(&u->line, &carried, NULL, 0));
	at("old-carried");
	GM_TRY(wait_for(u, GM_HANDOVER_TAKEN, TAKE_MS, why));
	at("old-taken");
	return say(u, GM_HANDOVER_BYE, NULL, 0);
}

/* Without goodbyes: paths, sockets and the store are the other's. The kernel clears our memory before anybody else gets it. */
static void give(struct gm_upgrade *u)
{
	char why[GM_WHY] = "the other process has hung up";
	pid_t pid = u->line.pid;

	gm_log(GM_LOG_INFO, "handover.begin pid=%d", pid);
	if (hand_over(u, why) == GM_E_OK) {
		at("old-bye");
		gm_service_is_now(pid);
		gm_log(GM_LOG_INFO, "handover.done pid=%d turn=%llu", pid, (unsigned long long)u->turns->turn);
		gm_log_flush();
		_exit(GM_UPGRADE_HANDED);
	}
	gm_dp_halt(u->turns->dp, false);
	gm_dp_park(u->turns->dp, false);
	gm_log(GM_LOG_WARN, "handover.failed pid=%d reason=\"%s\"", pid, why);
	gm_handover_refuse(&u->line, why);
	close_all((int[]){u->file, u->keys}, 2);
	u->file = u->keys = 0;
}

static void welcome(struct gm_upgrade *u)
{
	struct gm_handover_msg msg = {.step = GM_HANDOVER_WELCOME, .store = gm_store_id(u->turns->store), .turn = u->turns->turn};
	int fds[GM_HANDOVER_FDS_MAX];
	unsigned n = 0;

	gm_changed_begin(&u->turns->changed);
	for (unsigned w = 0; w < u->config->workers; w++)
		for (unsigned i = 0; i < u->config->listen_n; i++)
			fds[n++] = gm_dp_socket(u->turns->dp, w, i);
	if (fds[0] < 0) { /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): there is a worker, and it listens */
		gm_handover_refuse(&u->line, "DPDK's queues cannot be handed over: restart gmd");
		return;
	}
	fds[n++] = u->control;
	fds[n++] = u->line.listener;
	snprintf(msg.manager, sizeof(msg.manager), "%s", gm_service_manager(&msg.watchdog_us));
	if (gm_handover_send(&u->line, &msg, fds, n) != GM_E_OK)
		gm_handover_hang_up(&u->line);
}

static void listen_to_it(struct gm_upgrade *u)
{
	char why[GM_WHY];
	struct gm_handover_msg msg;
	int files[2];
	unsigned n;
	enum gm_err err = gm_handover_receive(&u->line, &msg, files, 2, &n, why);

	if (err == GM_E_BUSY)
		return;
	if (err == GM_E_OK && msg.step == GM_HANDOVER_HELLO && !n && !u->turns->changed.on) {
		welcome(u);
	} else if (err == GM_E_OK && judge(&msg, GM_HANDOVER_READY, files, n, 2, why) == GM_E_OK) {
		u->file = files[0];
		u->keys = files[1];
		if (gm_handover_is_file(u->file) && gm_handover_is_file(u->keys)) {
			give(u);
			return;
		}
		close_all(files, n);
		gm_handover_refuse(&u->line, "what was passed is no file in memory");
	} else {
		gm_handover_refuse(&u->line, why);
	}
}

static bool readable(const struct pollfd *fds, unsigned n, int fd)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i].fd == fd)
			return fds[i].revents != 0;
	return false;
}

void gm_upgrade_receive(struct gm_upgrade *u, const struct pollfd *fds, unsigned n, uint64_t ms)
{
	if (u->line.line > 0 && readable(fds, n, u->line.line))
		listen_to_it(u);
	else if (u->line.line > 0 && ms > u->line.since_ms + PREPARE_MS)
		gm_handover_refuse(&u->line, "it took too long");
	else if (u->line.line > 0 && u->turns->changed.lost)
		gm_handover_refuse(&u->line, TOO_MUCH); /* before anybody is kept waiting for it */
	if (u->line.line <= 0)
		gm_changed_end(&u->turns->changed); /* nobody asks any more */
	if (u->line.listener > 0 && readable(fds, n, u->line.listener))
		gm_handover_accept(&u->line, ms);
}

/* ------------------------------------------------------------------ new process */

static enum gm_err expect(struct gm_upgrade *u, enum gm_handover_step step, struct gm_handover_msg *msg, int *fds, unsigned most,
                          unsigned *n, char why[static GM_WHY])
{
	for (uint64_t end = now_ms() + LOAD_MS + 2 * SETTLE_MS; now_ms() < end;) {
		struct pollfd line = {.fd = u->line.line, .events = POLLIN};
		if (poll(&line, 1, BEAT_MS) <= 0)
			continue;
		enum gm_err err = gm_handover_receive(&u->line, msg, fds, most, n, why);
		if (err == GM_E_OK)
			err = judge(msg, step, fds, *n, 0, why);
		if (err != GM_E_BUSY)
			return err;
	}
	snprintf(why, GM_WHY, "the process that runs takes too long");
	return GM_E_BUSY;
}

static bool ended(const struct gm_upgrade *u, int ms)
{
	struct pollfd peer = {.fd = u->line.peer, .events = POLLIN};

	return u->line.peer > 0 && poll(&peer, 1, ms) == 1;
}

/* Who ends hangs up a little before. */
bool gm_upgrade_alone(const struct gm_upgrade *u)
{
	struct pollfd line = {.fd = u->line.line, .events = 0};
	bool hung_up = u->line.line > 0 && poll(&line, 1, 0) == 1;

	return ended(u, hung_up ? GONE_MS : 0);
}

/* Each to the first worker that has none with this address yet. */
static bool place(struct gm_upgrade *u, int fd)
{
	struct gm_addr addr;

	if (!gm_dp_socket_addr(fd, &addr))
		return false;
	for (unsigned i = 0; i < u->config->listen_n; i++) {
		const struct gm_addr *want = &u->config->listen[i];
		if (memcmp(want->ip, addr.ip, sizeof(addr.ip)) != 0 || (want->port && want->port != addr.port))
			continue;
		for (unsigned w = 0; w < u->config->workers; w++) {
			if (u->sockets[w][i] >= 0)
				continue;
			u->sockets[w][i] = fd;
			return true;
		}
	}
	return false;
}

bool gm_upgrade_begin(struct gm_upgrade *u, char why[static GM_WHY])
{
	struct gm_handover_msg msg;
	int fds[GM_HANDOVER_FDS_MAX];
	unsigned n = 0, surplus = 0;

	memset(u->sockets, 0xff, sizeof(u->sockets)); /* -1 */
	if (gm_handover_connect(&u->line, u->config->control_socket, why) != GM_E_OK)
		return false;
	at("new-connected");
	if (say(u, GM_HANDOVER_HELLO, NULL, 0) != GM_E_OK || expect(u, GM_HANDOVER_WELCOME, &msg, fds, GM_HANDOVER_FDS_MAX, &n, why) != GM_E_OK)
		return false;
	if (n < 3) {
		close_all(fds, n);
		snprintf(why, GM_WHY, "the process that runs passes no sockets");
		return false;
	}
	u->control = fds[n - 2];
	u->handover = fds[n - 1];
	for (unsigned i = 0; i < n - 2; i++) {
		if (place(u, fds[i]))
			continue;
		close(fds[i]); /* the configuration names fewer by now: what is on its way to it comes again */
		surplus++;
	}
	if (surplus)
		gm_log(GM_LOG_WARN, "takeover.surplus sockets=%u", surplus);
	gm_service_as(msg.manager, msg.watchdog_us);
	u->store = msg.store;
	u->first_turn = msg.turn;
	at("new-welcome");
	return true;
}

bool gm_upgrade_freeze(struct gm_upgrade *u, char why[static GM_WHY])
{
	struct gm_handover_msg msg;
	int files[2] = {gm_handover_file(), gm_handover_file()};
	unsigned n;

	u->file = files[0];
	u->keys = files[1];
	if (u->file < 0 || u->keys < 0) {
		snprintf(why, GM_WHY, "a file in memory: %s", strerror(errno));
		return false;
	}
	at("new-prepared");
	if (say(u, GM_HANDOVER_READY, files, 2) != GM_E_OK) {
		snprintf(why, GM_WHY, "the other process has hung up");
		return false;
	}
	at("new-ready");
	if (expect(u, GM_HANDOVER_FROZEN, &msg, NULL, 0, &n, why) != GM_E_OK)
		return false;
	u->last_turn = msg.turn;
	u->keys_n = msg.bytes;
	at("new-frozen");
	return true;
}

bool gm_upgrade_changed(const struct gm_upgrade *u, struct gm_changed_key **keys, size_t *n, char why[static GM_WHY])
{
	const uint64_t bytes = u->keys_n;
	enum gm_err err = GM_E_BAD_FORMAT;

	*keys = NULL;
	*n = 0;
	if (gm_handover_sealed(u->keys, bytes) && bytes <= GM_CHANGED_MAX) {
		void *p = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, u->keys, 0) : NULL;
		if (p != MAP_FAILED)
			err = gm_changed_keys((struct gm_bytes){p, bytes}, keys, n);
		if (p && p != MAP_FAILED)
			munmap(p, bytes);
	}
	snprintf(why, GM_WHY, "what the other process says has changed: %s", gm_err_info(err)->text);
	return err == GM_E_OK;
}

/* ---- the records */

static size_t least(uint16_t type)
{
	static const size_t sizes[GM_EFF_N] = {[GM_EFF_CARRY] = sizeof(struct gm_eff_carry),
	                                       [GM_EFF_HELD] = sizeof(struct gm_eff_held),
	                                       [GM_EFF_DATAGRAM] = sizeof(struct gm_eff_datagram)};

	if (type == SETTING)
		return sizeof(struct gm_eff_setting);
	return type < GM_EFF_N ? sizes[type] : 0;
}

static const struct gm_rec *next_record(const struct gm_upgrade *u, size_t *at_byte)
{
	const struct gm_rec *rec = (const void *)(u->state + *at_byte);

	if (*at_byte >= u->state_n)
		return NULL;
	*at_byte += (rec->len + 7u) & ~7u;
	return rec;
}

static bool whole(const struct gm_upgrade *u)
{
	size_t left = u->state_n;

	while (left) {
		const struct gm_rec *rec = (const void *)(u->state + (u->state_n - left));
		if (left < sizeof(*rec) || !least(rec->type) || rec->len < least(rec->type) || rec->len > left || ((rec->len + 7u) & ~7u) > left)
			return false;
		left -= (rec->len + 7u) & ~7u;
	}
	return true;
}

static bool map_state(struct gm_upgrade *u, uint64_t bytes, char why[static GM_WHY])
{
	snprintf(why, GM_WHY, "what the other process has passed is not whole");
	if (!gm_handover_sealed(u->file, bytes))
		return false;
	if (!bytes)
		return true;
	void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, u->file, 0);
	if (p == MAP_FAILED)
		return false;
	madvise(p, bytes, MADV_DONTDUMP);
	u->state = p;
	u->state_n = bytes;
	return whole(u);
}

static void to_worker(struct gm_upgrade *u, unsigned worker, const struct gm_rec *rec)
{
	while (!gm_dp_effects(u->turns->dp, worker, (const uint8_t *)rec, (rec->len + 7u) & ~7u)) {
		gm_dp_wake(u->turns->dp, worker);
		pause_shortly();
	}
}

/* Core counts who has the keys; the store does not say. Of one group together, as many as there may be. */
#define HELD_MAX 256u
union held {
	struct gm_ev_delivered ev;
	uint8_t bytes[sizeof(struct gm_ev_delivered) + HELD_MAX * sizeof(((struct gm_ev_delivered *)0)->item[0])];
};

static void tell_core(struct gm_upgrade *u, union held *held)
{
	struct gm_txn txn;

	if (!held->ev.n)
		return;
	held->ev.rec = (struct gm_rec){.type = GM_EV_DELIVERED, .len = sizeof(*held)};
	gm_turns_txn(u->turns, &txn);
	gm_core_apply(u->turns->core, &txn, &held->ev.rec);
	gm_wipe(&txn, sizeof(txn));
	held->ev.n = 0;
}

static void note_held(struct gm_upgrade *u, union held *held, const struct gm_eff_held *e)
{
	if (held->ev.n == HELD_MAX || held->ev.group != e->group || held->ev.version != e->version)
		tell_core(u, held);
	held->ev.group = e->group;
	held->ev.version = e->version;
	held->ev.item[held->ev.n].slot = e->slot;
	held->ev.item[held->ev.n++].fate = GM_FATE_CONFIRMED;
}

static void wake_workers(const struct gm_upgrade *u)
{
	for (unsigned w = 0; w < u->config->workers; w++)
		gm_dp_wake(u->turns->dp, w);
}

/* They begin with the first ones while the last ones are read. */
static void tell_workers(struct gm_upgrade *u)
{
	union held held = {.bytes = {0}};
	const struct gm_rec *rec;

	for (size_t i = 0; (rec = next_record(u, &i));) {
		if (rec->type == GM_EFF_CARRY) {
			to_worker(u, gm_dp_owner(u->turns->dp, ((const struct gm_eff_carry *)rec)->ctx), rec);
			u->contexts++;
		} else if (rec->type == GM_EFF_HELD) {
			to_worker(u, gm_dp_owner(u->turns->dp, ((const struct gm_eff_held *)rec)->ctx), rec);
			note_held(u, &held, (const void *)rec);
			u->held++;
		}
		if ((u->contexts + u->held) % WAKE_EACH == 0)
			wake_workers(u);
	}
	tell_core(u, &held);
	wake_workers(u);
}

/* false: it is cut short */
static bool take_text(const struct gm_rec *rec, struct gm_slice s, char to[static SETTING_MAX + 1])
{
	if (s.n > SETTING_MAX || s.off > rec->len || s.n > rec->len - s.off)
		return false;
	memcpy(to, (const uint8_t *)rec + s.off, s.n);
	to[s.n] = '\0';
	return true;
}

void gm_upgrade_settings(const struct gm_upgrade *u, gm_set_each each, void *arg)
{
	char key[SETTING_MAX + 1], file[SETTING_MAX + 1], value[SETTING_MAX + 1];
	const struct gm_rec *rec;

	for (size_t i = 0; (rec = next_record(u, &i));) {
		const struct gm_eff_setting *s = (const void *)rec;
		if (rec->type == SETTING && take_text(rec, s->key, key) && take_text(rec, s->file, file) && take_text(rec, s->value, value))
			each(arg, key, file, value);
	}
}

void gm_upgrade_replay(struct gm_upgrade *u)
{
	const struct gm_rec *rec;

	for (size_t i = 0; (rec = next_record(u, &i));)
		if (rec->type == GM_EFF_DATAGRAM)
			to_worker(u, u->datagrams++ % u->config->workers, rec);
	for (unsigned w = 0; w < u->config->workers; w++)
		gm_dp_wake(u->turns->dp, w);
}

/* BYE says that nothing has happened since CARRIED; that the process has ended, that nothing will. */
bool gm_upgrade_take(struct gm_upgrade *u, char why[static GM_WHY])
{
	struct gm_handover_msg msg;
	unsigned n;

	at("new-loaded");
	if (say(u, GM_HANDOVER_LOADED, NULL, 0) != GM_E_OK || expect(u, GM_HANDOVER_CARRIED, &msg, NULL, 0, &n, why) != GM_E_OK)
		return false;
	at("new-carried");
	if (!map_state(u, msg.bytes, why))
		return false;
	tell_workers(u);
	at("new-told");
	if (say(u, GM_HANDOVER_TAKEN, NULL, 0) != GM_E_OK || expect(u, GM_HANDOVER_BYE, &msg, NULL, 0, &n, why) != GM_E_OK)
		return false;
	at("new-bye");
	snprintf(why, GM_WHY, "the other process does not end");
	return ended(u, GONE_MS);
}

void gm_upgrade_end(struct gm_upgrade *u)
{
	if (u->state)
		munmap((void *)(uintptr_t)u->state, u->state_n);
	u->state = NULL;
	u->state_n = 0;
	if (u->file > 0)
		close(u->file);
	if (u->keys > 0)
		close(u->keys);
	u->file = u->keys = 0;
	gm_handover_hang_up(&u->line);
}
