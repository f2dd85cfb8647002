/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: configuration, wiring, the turn loop. The main thread is the core thread. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/core.h"
#include "ctl/backup.h"
#include "ctl/config.h"
#include "ctl/log.h"
#include "ctl/reload.h"
#include "ctl/server.h"
#include "ctl/table.h"
#include "gm/crypto.h"
#include "gm/dp.h"
#include "host/confine.h"
#include "host/files.h"
#include "host/service.h"
#include "offline.h"
#include "store/age.h"
#include "store/store.h"
#include "turns.h"
#include "upgrade.h"

#define TRIM_MS 1000u
#define LARGE (256 << 10) /* bytes from which malloc()ed memory goes back to the system when it is freed */
#define DRAIN "drain" /* beside settings in a hand-over; no key of the configuration has that name */
#define DEFAULT_CONFIG "/etc/gmd/gmd.conf"

struct gmd {
	struct gm_config config, file; /* file: as it was read last */
	const char *config_file;
	struct gm_turns turns;
	struct gm_ctl_server *server;
	struct gm_ctl_env env;
	struct gm_upgrade upgrade;
	int tell_fd; /* who waits to hear that it serves; 0: nobody */
	uint64_t trimmed_ms, lap_us, frozen_us; /* frozen_us: when the predecessor was, that this one takes over from */
	size_t changed; /* records that it had changed meanwhile */
	int wake_fd, signal_fd;
	bool said_low;
	bool again; /* something waits that no descriptor will tell of */
};

/* The names of its sockets, that nobody will listen to. One that takes over has been passed these sockets: to that one they are left. */
static void remove_sockets(const struct gmd *d)
{
	char path[108];

	if (!d->server || d->upgrade.line.line > 0)
		return;
	unlink(d->config.control_socket);
	if (gm_handover_path(d->config.control_socket, path))
		unlink(path);
}

/* Nothing of this turn may become visible: no destructors, no goodbyes. */
_Noreturn static void die_uncommitted(const struct gmd *d, const char *why)
{
	gm_log_drop();
	gm_log(GM_LOG_ERROR, "commit.failed reason=\"%s\"", why);
	remove_sockets(d);
	_exit(1);
}

static void commit(struct gmd *d, unsigned events)
{
	enum gm_err err = gm_turns_commit(&d->turns, events);

	if (err != GM_E_OK)
		die_uncommitted(d, gm_store_why(d->turns.store));
}

static void publish(struct gmd *d)
{
	enum gm_err err = gm_turns_publish(&d->turns);

	if (err == GM_E_OK)
		return;
	gm_log(GM_LOG_ERROR, "publish.failed reason=\"%s\"", gm_err_info(err)->text);
	remove_sockets(d);
	_exit(1); /* what is committed but not told comes back at the next start */
}

/* ---- what the audit log has of gmd itself */

static void audit(struct gmd *d, const char *event)
{
	char store[16];
	struct gm_txn txn;
	struct gm_audit a;

	gm_turns_clocks(&d->turns);
	gm_turns_txn(&d->turns, &txn);
	snprintf(store, sizeof(store), "%08x", gm_store_id(d->turns.store));
	gm_audit_begin(&a, &txn, event);
	gm_audit_word(&a, "version", GM_VERSION);
	gm_audit_word(&a, "store", store);
	gm_audit_uint(&a, "audit_keep", d->config.audit_keep);
	gm_audit_end(&a, &txn);
	gm_wipe(&txn, sizeof(txn));
}

static void audit_refusals(struct gmd *d)
{
	struct gm_txn txn;

	gm_turns_clocks(&d->turns);
	gm_turns_txn(&d->turns, &txn);
	gm_core_ending(d->turns.core, &txn);
	gm_wipe(&txn, sizeof(txn));
}

/* The journal is another place: a log that was written anew does not fit what stands there. */
static void log_audit_head(const struct gmd *d)
{
	char hash[2 * GM_AUDIT_HASH + 1];
	struct gm_audit_ends ends;

	gm_store_audit_ends(d->turns.store, &ends);
	for (unsigned i = 0; i < GM_AUDIT_HASH; i++)
		snprintf(hash + 2 * i, 3, "%02x", ends.head.hash[i]);
	gm_log(GM_LOG_INFO, "audit.head seq=%llu hash=%s", (unsigned long long)ends.head.seq, hash);
}

static void keep_audit(const struct gmd *d)
{
	const struct gm_turns *t = &d->turns;

	gm_store_audit_keep(t->store, gm_age_since(gm_store_audit_age(t->store), t->wall_s, t->mono_ms, d->config.audit_keep, gm_store_audit_oldest(t->store)));
}

/* ---- the turn */

/* What only a burst needs goes back. */
static void trim(struct gmd *d)
{
	if (d->turns.mono_ms < d->trimmed_ms + TRIM_MS)
		return;
	d->trimmed_ms = d->turns.mono_ms;
	for (unsigned w = 0; w < d->config.workers; w++)
		gm_dp_trim(d->turns.dp, w);
}

static void say_low(struct gmd *d)
{
	if (d->said_low == d->turns.disk_low)
		return;
	d->said_low = d->turns.disk_low;
	gm_log(GM_LOG_WARN, d->said_low ? "store.low reason=\"the disk is full: nobody may join\"" : "store.room");
}

static void turn(struct gmd *d, const struct pollfd *ctl_fds, unsigned ctl_n)
{
	uint64_t start = gm_turns_now_us();
	struct gm_turn_stats *stats = &d->turns.stats;

	gm_turns_clocks(&d->turns);
	say_low(d);
	gm_service_alive(d->turns.mono_ms);
	unsigned n = gm_turns_gather(&d->turns);
	gm_turns_tick(&d->turns);
	gm_config_due(&d->env, d->turns.mono_ms);
	gm_ctl_server_receive(d->server, ctl_fds, ctl_n);
	keep_audit(d);
	commit(d, n);
	publish(d); /* from here bytes may leave */
	gm_log_flush();
	d->again = gm_ctl_server_flush(d->server) || n == gm_turns_most(&d->turns);
	trim(d);

	uint64_t us = gm_turns_now_us() - start;
	stats->turns++;
	stats->events += n;
	stats->turn_us_sum += us;
	stats->turn_us_max = us > stats->turn_us_max ? us : stats->turn_us_max;
}

/* A turn while another process takes over: no operators. last: who waits for more than this process will do waits no longer. */
static unsigned turn_alone(void *arg, bool last)
{
	struct gmd *d = arg;
	struct gm_txn txn;

	gm_turns_clocks(&d->turns);
	gm_service_alive(d->turns.mono_ms);
	unsigned n = gm_turns_gather(&d->turns);
	gm_turns_tick(&d->turns);
	if (last) {
		gm_turns_txn(&d->turns, &txn);
		gm_core_release(d->turns.core, &txn);
		gm_core_ending(d->turns.core, &txn); /* the next one counts from 0 */
		gm_wipe(&txn, sizeof(txn));
	}
	commit(d, n);
	publish(d);
	gm_log_flush();
	return n;
}

static int timeout_ms(struct gmd *d)
{
	if (d->again)
		return 0;
	if (d->turns.stats.backlog_bytes)
		return 1; /* workers do not say when there is room */
	uint64_t ms = gm_core_next_ms(d->turns.core, d->turns.mono_ms, d->turns.wall_s);
	return ms > 1000 ? 1000 : (int)ms;
}

/* SIGHUP asks for what the file says now. */
static bool asked_to_stop(struct gmd *d)
{
	struct signalfd_siginfo info;
	char why[GM_CONFIG_WHY];
	struct gm_txn txn;

	if (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGHUP)
		return true;
	gm_turns_txn(&d->turns, &txn);
	(void)!gm_config_reload(&d->env, &txn, NULL, NULL, why); /* it has said why */
	gm_wipe(&txn, sizeof(txn));
	return false;
}

/* Until a signal asks to stop. */
static void loop(struct gmd *d)
{
	struct pollfd fds[2 + GM_CTL_FDS_MAX + GM_HANDOVER_POLL];
	uint64_t count;

	for (;;) {
		fds[0] = (struct pollfd){.fd = d->wake_fd, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = d->signal_fd, .events = POLLIN};
		unsigned n = gm_ctl_server_poll(d->server, fds + 2);
		unsigned more = gm_handover_poll(&d->upgrade.line, fds + 2 + n);
		if (poll(fds, 2 + n + more, timeout_ms(d)) < 0) {
			if (errno != EINTR)
				die_uncommitted(d, strerror(errno));
			continue;
		}
		if (fds[1].revents && asked_to_stop(d))
			return;
		if (fds[0].revents && read(d->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			gm_log(GM_LOG_WARN, "wake.read_failed reason=\"%s\"", strerror(errno));
		turn(d, fds + 2, n);
		gm_upgrade_receive(&d->upgrade, fds + 2 + n, more, d->turns.mono_ms);
	}
}

/* ---- start and stop */

static void wake(void *arg)
{
	const uint64_t one = 1;
	const struct gmd *d = arg;

	if (write(d->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: awake already */
}

static struct gmd *running; /* core logs decisions without saying whose they are; there is one daemon in a process */

static void tell(enum gm_log_level level, const char *line)
{
	gm_log(level, "%s", line);
	if (running)
		gm_ctl_server_tell(running->server, running->turns.wall_s, line);
}

static void log_decision(const char *line)
{
	tell(GM_LOG_INFO, line);
}

static void log_warning(const char *line)
{
	tell(GM_LOG_WARN, line);
}

static bool failed(const char *what, const char *why)
{
	gm_log(GM_LOG_ERROR, "gmd.start_failed at=%s reason=\"%s\"", what, why);
	return false;
}

static enum gm_err load_record(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	static uint32_t loaded;

	if (++loaded % 65536 == 0)
		gm_service_loading();
	return gm_core_load(arg, table, key, value);
}

/* An address that means any, and one without port, name nobody: then URIs are paths. */
static void name_uri(char uri[static 128], const struct gm_config *config)
{
	const struct gm_addr *first = &config->listen[0];
	struct gm_addr any;
	char text[GM_ADDR_TEXT];

	if (config->uri[0]) {
		snprintf(uri, 128, "%s", config->uri);
		return;
	}
	bool named = first->port && gm_addr_parse(&any, "[::]:1") && memcmp(any.ip, first->ip, sizeof(any.ip)) != 0 &&
	             gm_addr_parse(&any, "0.0.0.0:1") && memcmp(any.ip, first->ip, sizeof(any.ip)) != 0;
	if (named)
		snprintf(uri, 128, "coap://%s", gm_addr_text(first, text));
}

/* Milliseconds of a start since the last call. */
static uint32_t lap(struct gmd *d)
{
	uint64_t now = gm_turns_now_us(), ms = (now - d->lap_us) / 1000;

	d->lap_us = now;
	return (uint32_t)ms;
}

static bool watch_store(struct gmd *d, enum gm_err err, char why[static GM_WHY])
{
	char path[2 * GM_CONFIG_PATH_MAX];

	if (err == GM_E_OK)
		err = gm_store_watch(d->turns.store, gm_witness_path(&d->config, path), why);
	if (err != GM_E_OK)
		return failed("store", why[0] ? why : gm_err_info(err)->text);
	d->turns.turn = gm_store_turn(d->turns.store);
	return true;
}

static bool open_store(struct gmd *d)
{
	char why[GM_WHY] = "";

	if (!watch_store(d, gm_store_open(&d->turns.store, d->config.state_dir, d->config.key_file, why), why))
		return false;
	d->turns.stats.open_ms = lap(d);
	return true;
}

static bool open_state(struct gmd *d)
{
	struct gm_core_config core = {
		.workers = d->config.workers,
		.contexts_max = d->config.contexts_max,
		.members_max = d->config.members_max,
		.groups_max = d->config.groups_max,
		.pending_per_token = 4,
		.pending_s = 60,
		.rekey_window_ms = d->config.rekey_window_ms,
		.rekey_deadline_ms = d->config.rekey_deadline_ms,
		.changes_per_minute = d->config.changes_per_minute,
		.rekey_at_start = d->config.rekey_at_start && !d->upgrade.control, /* a hand-over is no start */
		.distribution_max_ms = 30000,
		.log = log_decision,
	};

	memcpy(core.audience, d->config.audience, sizeof(core.audience));
	name_uri(core.uri, &d->config);
	d->turns.core = gm_core_new(&core);
	if (!d->turns.core)
		return failed("core", gm_err_info(GM_E_NO_MEMORY)->text);
	for (unsigned table = 0; table < GM_TABLE_N; table++) {
		enum gm_err err = gm_store_scan(d->turns.store, (enum gm_table)table, load_record, d->turns.core);
		if (err != GM_E_OK)
			return failed("load", gm_err_info(err)->text);
	}
	d->turns.stats.load_ms = lap(d);
	return true;
}

static const char *network_why(const struct gmd *d, const struct gm_port_ops *port, enum gm_err err, int why)
{
	static char text[GM_ADDR_TEXT + 160];
	char addr[GM_ADDR_TEXT];
	const char *words = gm_port_why(port);

	if (err != GM_E_IO)
		return gm_err_info(err)->text;
	if (words[0])
		return words;
	snprintf(text, sizeof(text), "%s%s: %s", gm_addr_text(&d->config.listen[0], addr),
	         d->config.listen_n > 1 ? " or another listen address" : "", strerror(why));
	return text;
}

/* Where io_uring is forbidden or too old, plain sockets serve as well. NULL: why tells. */
static const struct gm_port_ops *choose_port(const struct gm_config *config, char why[static GM_WHY])
{
	if (config->port == GM_CONFIG_PORT_DPDK)
		return gm_port_dpdk_load(why);
	if (config->port == GM_CONFIG_PORT_MMSG)
		return &gm_port_mmsg;
	if (config->port == GM_CONFIG_PORT_URING || gm_port_uring_permitted())
		return &gm_port_uring;
	gm_log(GM_LOG_WARN, "network.port name=mmsg reason=\"io_uring: %s\"", errno == EINVAL ? "Linux 6.1 or later is needed" : strerror(errno));
	return &gm_port_mmsg;
}

/* What is to be read later: names of groups and what the C library looks up for them, time zones, the configuration when it is read again. */
static enum gm_files_result close_files(const struct gmd *d)
{
	char witness[2 * GM_CONFIG_PATH_MAX];
	const struct gm_files_rule rules[] = {
	    {d->config.state_dir, GM_FILES_WRITE, false},
	    {gm_witness_path(&d->config, witness), GM_FILES_WRITE, false},
	    {d->upgrade.turns ? d->config.key_file : "", GM_FILES_READ, false}, /* by one that takes over: start_anew() opens the store again */
	    {d->config.control_socket, GM_FILES_WRITE, true},
	    {d->config_file, GM_FILES_READ, true},
	    {"/etc/group", GM_FILES_READ, false},
	    {"/etc/nsswitch.conf", GM_FILES_READ, false},
	    {"/etc/ld.so.cache", GM_FILES_READ, false},
	    {"/etc/localtime", GM_FILES_READ, false},
	    {"/run/systemd/userdb", GM_FILES_READ, false},
	    {"/usr/lib", GM_FILES_RUN, false},
	    {"/lib", GM_FILES_RUN, false},
	    {"/lib64", GM_FILES_RUN, false},
	    {"/proc/self/exe", GM_FILES_RUN, false}, /* start_anew(); seccomp ends what is run once gmd serves */
	    {"/etc/ssl/openssl.cnf", GM_FILES_READ, false},
	    {"/usr/share/zoneinfo", GM_FILES_READ, false},
	    {"/sys/devices/system/cpu", GM_FILES_READ, false},
	};

	return gm_files_close(rules, sizeof(rules) / sizeof(rules[0]));
}

/* Before other threads start: Landlock has to be asked for by each, or comes from the one that started it. DPDK opens what nobody can
 * list. */
static bool confine_files(const struct gmd *d)
{
	char why[128];

	if (!d->config.confine || d->config.port == GM_CONFIG_PORT_DPDK)
		return true;
	enum gm_files_result result = close_files(d);
	if (result == GM_FILES_NOT_HERE)
		gm_log(GM_LOG_WARN, "confine.files_open reason=\"the kernel offers no Landlock\"");
	if (result != GM_FILES_FAILED)
		return true;
	snprintf(why, sizeof(why), "Landlock: %s; confine: false does without", strerror(errno));
	return failed("confine", why);
}

static bool open_network(struct gmd *d)
{
	char why[GM_WHY] = "";
	struct gm_dpdk_config dpdk = {.args = d->config.dpdk_args, .interface = d->config.dpdk_interface};
	struct gm_dp_config dp = {
		.port = choose_port(&d->config, why),
		.port_arg = d->config.port == GM_CONFIG_PORT_DPDK ? &dpdk : NULL,
		.listen_n = d->config.listen_n,
		.workers = d->config.workers,
		.contexts_max = d->config.contexts_max,
		.pace = d->config.pace,
		.prefixes = d->config.prefixes,
		.prefixes_n = d->config.prefixes_n,
		.ack_timeout_ms = d->config.ack_timeout_ms,
		.retransmit_max = d->config.retransmit_max,
		.stranger_rate = d->config.stranger_rate,
		.sockets = d->upgrade.control ? d->upgrade.sockets : NULL,
		.no_lease = d->config.test_no_lease,
		.wake_core = wake,
		.wake_arg = d,
	};

	if (!confine_files(d))
		return false;
	if (!dp.port)
		return failed("network", why);
	memcpy(dp.listen, d->config.listen, sizeof(dp.listen));
	enum gm_err err = gm_dp_start(&d->turns.dp, &dp);
	if (err == GM_E_OK && gm_port_how(dp.port)[0])
		gm_log(GM_LOG_INFO, "network.queues %s", gm_port_how(dp.port));
	d->turns.stats.network_ms = lap(d);
	return err == GM_E_OK ? true : failed("network", network_why(d, dp.port, err, errno));
}

static bool workers_lag(const struct gmd *d)
{
	for (unsigned w = 0; w < d->config.workers; w++)
		if (gm_dp_waiting(d->turns.dp, w))
			return true;
	return false;
}

/* Hand the whole state down, in portions that the workers' rings can take, and take the rings' memory back. */
static void hand_down(struct gmd *d)
{
	const struct timespec pause = {.tv_nsec = 200000};
	struct gm_txn t;
	bool more = true;

	audit(d, "started"); /* with the first of what the start writes */
	keep_audit(d);       /* who starts more often than old entries may go lets them go here */
	while (more) {
		gm_turns_clocks(&d->turns);
		gm_turns_txn(&d->turns, &t);
		more = gm_core_loaded(d->turns.core, &t);
		gm_wipe(&t, sizeof(t));
		commit(d, 0);
		publish(d);
		while (d->turns.stats.backlog_bytes) {
			nanosleep(&pause, NULL);
			publish(d);
		}
	}
	while (workers_lag(d))
		nanosleep(&pause, NULL);
	for (unsigned w = 0; w < d->config.workers; w++)
		gm_dp_trim(d->turns.dp, w);
	d->turns.stats.down_ms = lap(d);
}

static struct gm_ctl_env env_of(struct gmd *d)
{
	return (struct gm_ctl_env){.config = &d->config,
	                           .file = &d->file,
	                           .config_file = d->config_file,
	                           .core = d->turns.core,
	                           .store = d->turns.store,
	                           .dp = d->turns.dp,
	                           .workers = d->config.workers,
	                           .turn = &d->turns.stats,
	                           .started_ms = gm_turns_now_us() / 1000,
	                           .txn = gm_turns_txn,
	                           .arg = &d->turns,
	                           .warn = log_warning};
}

static bool open_control(struct gmd *d)
{
	const struct gm_ctl_server_config config = {.path = d->config.control_socket,
						    .groups = {[GM_CTL_VIEWER] = d->config.control_viewers,
						               [GM_CTL_OPERATOR] = d->config.control_operators,
						               [GM_CTL_ADMIN] = d->config.control_group},
						    .listener = d->upgrade.control,
						    .handle = gm_ctl_run,
						    .gone = gm_ctl_gone,
						    .arg = &d->env};
	char why[GM_WHY] = "";

	d->env = env_of(d);
	enum gm_err err = gm_ctl_server_open(&d->server, &config, why);
	return err == GM_E_OK ? true : failed("control_socket", why);
}

static void each_set(void *arg, gm_set_each each, void *to)
{
	struct gmd *d = arg;

	gm_config_each_set(&d->env, each, to);
	if (gm_core_drains(d->turns.core))
		each(to, DRAIN, "off", "on");
}

/* Without it gmd serves, too. */
static void open_handover(struct gmd *d)
{
	struct gm_upgrade *u = &d->upgrade;
	int passed = u->handover;
	char why[GM_WHY];

	gm_upgrade_end(u);
	*u = (struct gm_upgrade){.turns = &d->turns, .config = &d->config, .signal_fd = d->signal_fd, .turn = turn_alone, .settings = each_set, .arg = d};
	u->control = gm_ctl_server_listener(d->server);
	if (gm_handover_listen(&u->line, d->config.control_socket, passed, why) != GM_E_OK)
		gm_log(GM_LOG_WARN, "handover.off reason=\"%s\"", why);
}

/* ---- in place of another process */

static void publish_all(struct gmd *d)
{
	const struct timespec pause = {.tv_nsec = 100000};

	publish(d);
	while (d->turns.stats.backlog_bytes) {
		nanosleep(&pause, NULL);
		publish(d);
	}
}

static void wait_for_workers(const struct gmd *d)
{
	const struct timespec pause = {.tv_nsec = 50000};

	while (workers_lag(d))
		nanosleep(&pause, NULL);
}

/* As hand_down(), but nothing is committed: the store is the other's still. */
static void hand_down_ahead(struct gmd *d)
{
	struct gm_txn t;

	for (bool more = true; more;) {
		gm_turns_clocks(&d->turns);
		gm_turns_txn(&d->turns, &t);
		more = gm_core_loaded_ahead(d->turns.core, &t);
		gm_wipe(&t, sizeof(t));
		publish_all(d);
	}
	wait_for_workers(d);
	d->turns.stats.down_ms = lap(d);
}

static bool on_store(struct gmd *d, enum gm_err err, const char *why)
{
	if (err == GM_E_OK)
		return true;
	return failed("store", why[0] ? why : err == GM_E_STORE ? gm_store_why(d->turns.store) : gm_err_info(err)->text);
}

/* The store as it is now, while the other one writes to it: what changes later is loaded anew. */
static bool load_ahead(struct gmd *d)
{
	uint64_t turn;

	if (!on_store(d, gm_store_hold(d->turns.store, &turn), ""))
		return false;
	bool loaded = open_state(d);
	gm_store_let_go(d->turns.store);
	if (!loaded || !on_store(d, gm_store_unmap(d->turns.store), ""))
		return false;
	if (gm_store_id(d->turns.store) != d->upgrade.store || turn < d->upgrade.first_turn)
		return failed("takeover", "the process that runs works on another store");
	return true;
}

/* Everything that can be wrong is found here, while the other one serves. */
static bool prepare(struct gmd *d, char why[static GM_WHY])
{
	if (d->config.port == GM_CONFIG_PORT_DPDK)
		return failed("takeover", "DPDK's queues cannot be handed over: restart gmd");
	if (!gm_upgrade_begin(&d->upgrade, why))
		return failed("takeover", why);
	if (gm_store_open_beside(&d->turns.store, d->config.state_dir, d->config.key_file, why) != GM_E_OK)
		return failed("store", why);
	d->turns.stats.open_ms = lap(d);
	if (!load_ahead(d) || !open_network(d))
		return false;
	hand_down_ahead(d);
	return true;
}

static enum gm_err fetch(void *arg, enum gm_table table, struct gm_bytes key, bool all_under, gm_store_each each, void *to)
{
	return all_under ? gm_store_under(arg, table, key, each, to) : gm_store_get(arg, table, key, each, to);
}

static bool load_changed(struct gmd *d, char why[static GM_WHY])
{
	struct gm_changed_key *keys;
	uint64_t turn;
	struct gm_txn t;
	size_t n;

	if (!gm_upgrade_changed(&d->upgrade, &keys, &n, why))
		return failed("takeover", why);
	enum gm_err err = gm_store_hold(d->turns.store, &turn);
	if (err == GM_E_OK) {
		gm_turns_clocks(&d->turns);
		gm_turns_txn(&d->turns, &t);
		err = turn == d->upgrade.last_turn ? gm_core_reload(d->turns.core, &t, keys, n, fetch, d->turns.store) : GM_E_CORRUPT;
		gm_wipe(&t, sizeof(t));
		gm_store_let_go(d->turns.store);
	}
	free(keys);
	d->changed = n;
	if (err != GM_E_OK)
		return failed("load", err == GM_E_STORE ? gm_store_why(d->turns.store) : gm_err_info(err)->text);
	publish_all(d);
	return true;
}

/* The last portion, with which workers begin to serve, stays here. */
static void settle(struct gmd *d)
{
	struct gm_txn t;

	for (bool more = true; more;) {
		gm_turns_clocks(&d->turns);
		gm_turns_txn(&d->turns, &t);
		more = gm_core_loaded(d->turns.core, &t);
		gm_wipe(&t, sizeof(t));
		if (more)
			publish_all(d);
	}
	wait_for_workers(d);
}

static bool load_last_turn(struct gmd *d, char why[static GM_WHY])
{
	if (!gm_upgrade_freeze(&d->upgrade, why))
		return failed("takeover", why);
	d->frozen_us = gm_turns_now_us();
	if (!watch_store(d, gm_store_again(d->turns.store, d->config.state_dir, why), why))
		return false;
	if (d->turns.turn != d->upgrade.last_turn)
		return failed("takeover", "the process that runs works on another store");
	if (!load_changed(d, why))
		return false;
	settle(d);
	return true;
}

struct again {
	struct gmd *d;
	struct gm_txn txn;
	bool last; /* one that is checked against another is refused where that comes behind it: what is refused twice is */
};

/* Whoever drained before a hand-over did not mean to let newcomers in with it. */
static void drain_again(struct again *a)
{
	struct gm_audit entry;

	if (!a->last)
		return;
	gm_core_drain(a->d->turns.core, true);
	gm_audit_begin(&entry, &a->txn, "drain-kept");
	gm_audit_end(&entry, &a->txn);
}

static void set_again(void *arg, const char *key, const char *file, const char *value)
{
	struct again *a = arg;
	char why[GM_CONFIG_WHY];

	if (strcmp(key, DRAIN) == 0) {
		drain_again(a);
		return;
	}
	if (strcmp(key, GM_CONFIG_UNCONFIRMED) == 0) {
		if (a->last)
			gm_config_went_back(&a->d->env, &a->txn, value);
		return;
	}
	enum gm_err err = gm_config_set_again(&a->d->env, &a->txn, key, file, value, why);

	if (err != GM_E_OK && a->last)
		gm_log(GM_LOG_WARN, "takeover.leaves key=%s value=\"%.100s\" reason=\"%.200s\"", key, value, why);
}

/* Before the workers begin: a pace that an operator had set holds from the first message on. */
static void take_settings(struct gmd *d)
{
	struct again again = {.d = d};

	d->env = env_of(d);
	gm_turns_txn(&d->turns, &again.txn);
	gm_upgrade_settings(&d->upgrade, set_again, &again);
	again.last = true;
	gm_upgrade_settings(&d->upgrade, set_again, &again);
	gm_wipe(&again.txn, sizeof(again.txn));
}

/* The other one has ended. From here a failure is that of a start. */
static bool begin_to_serve(struct gmd *d, char why[static GM_WHY])
{
	if (gm_store_lock(d->turns.store, d->config.state_dir, why) != GM_E_OK)
		return failed("store", why);
	audit(d, "taken-over");
	keep_audit(d);
	take_settings(d);
	commit(d, 0);
	publish(d);
	gm_upgrade_replay(&d->upgrade);
	d->turns.stats.handover_ms = (uint32_t)((gm_turns_now_us() - d->frozen_us) / 1000 + 1); /* rounded up */
	return true;
}

/* As after a crash, from the very beginning: nothing is left of what was taken over by half. */
static void start_anew(const struct gmd *d)
{
	char config[GM_CONFIG_PATH_MAX], run_word[] = "run", name[] = "gmd", option[] = "-c";
	char *argv[] = {name, run_word, option, config, NULL};

	snprintf(config, sizeof(config), "%s", d->config_file);
	gm_log(GM_LOG_WARN, "takeover.crash reason=\"the other process has ended\"");
	execv("/proc/self/exe", argv);
	gm_log(GM_LOG_ERROR, "takeover.crash reason=\"%s\"", strerror(errno));
}

static bool take_over(struct gmd *d)
{
	char why[GM_WHY] = "the process that runs has hung up";
	struct gm_upgrade *u = &d->upgrade;

	*u = (struct gm_upgrade){.turns = &d->turns, .config = &d->config};
	if (!prepare(d, why))
		return false;
	bool taken = load_last_turn(d, why);
	if (taken && !(taken = gm_upgrade_take(u, why)))
		failed("takeover", why);
	if (taken && begin_to_serve(d, why)) {
		gm_log(GM_LOG_INFO, "takeover.done turn=%llu changed=%zu contexts=%u held=%u datagrams=%u ms=%u", (unsigned long long)u->last_turn,
		       d->changed, u->contexts, u->held, u->datagrams, d->turns.stats.handover_ms);
		return true;
	}
	if (!taken && gm_upgrade_alone(u))
		start_anew(d);
	return false;
}

static bool open_signals(struct gmd *d)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL); /* before the workers start: they inherit it */
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->signal_fd >= 0 && d->wake_fd >= 0 ? true : failed("signals", strerror(errno));
}

static void harden(void)
{
	const struct rlimit none = {0, 0};

	umask(077);
	if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		gm_log(GM_LOG_WARN, "harden.failed reason=\"%s\"", strerror(errno));
}

static bool confine(const struct gmd *d)
{
	char why[128];

	if (!d->config.confine) {
		gm_log(GM_LOG_WARN, "confine.off");
		return true;
	}
	if (gm_confine(d->config.port == GM_CONFIG_PORT_DPDK))
		return true;
	snprintf(why, sizeof(why), "seccomp: %s; confine: false does without", strerror(errno));
	return failed("confine", why);
}

static void tell_service(const struct gmd *d)
{
	struct gm_core_status status;

	gm_core_status(d->turns.core, &status);
	gm_service_ready(status.groups, status.members);
	if (d->tell_fd && write(d->tell_fd, "r", 1) != 1)
		gm_log(GM_LOG_WARN, "gmd.ready_not_told reason=\"%s\"", strerror(errno));
}

static void log_ready(const struct gmd *d)
{
	char text[8 * (GM_ADDR_TEXT + 1)] = "", one[GM_ADDR_TEXT];
	size_t n = 0;

	for (unsigned i = 0; i < d->config.listen_n; i++) {
		const struct gm_addr bound = gm_dp_bound(d->turns.dp, i);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "", gm_addr_text(&bound, one));
	}
	const struct gm_turn_stats *s = &d->turns.stats;
	gm_log(GM_LOG_INFO, "gmd.started open_ms=%u load_ms=%u network_ms=%u down_ms=%u", s->open_ms, s->load_ms, s->network_ms,
	       s->down_ms);
	gm_log(GM_LOG_INFO, "gmd.ready version=%s listen=%s workers=%u control=%s", GM_VERSION, text, d->config.workers,
	       d->config.control_socket);
}

static void stop(struct gmd *d)
{
	if (d->turns.dp)
		gm_dp_stop(d->turns.dp);
	gm_handover_close(&d->upgrade.line);
	remove_sockets(d);
	gm_ctl_server_close(d->server);
	d->server = NULL; /* nobody is told any more */
	gm_ctl_backup_stop();
	if (d->turns.core)
		gm_core_free(d->turns.core);
	if (d->turns.store)
		gm_store_close(d->turns.store);
	gm_turns_free(&d->turns);
	gm_wipe(d, sizeof(*d));
}

static bool start(struct gmd *d)
{
	if (!open_store(d) || !open_state(d) || !open_network(d))
		return false;
	hand_down(d);
	return true;
}

/* taking: the place of a gmd that runs; tell_fd: whom to tell, 0: nobody */
static int run(const struct gm_config *config, const char *file, bool taking, int tell_fd)
{
	static struct gmd daemon;
	struct gmd *d = &daemon;

	running = d;
	d->config = d->file = *config;
	d->config_file = file;
	d->tell_fd = tell_fd;
	d->turns.effects.workers = config->workers;
	gm_log_set(config->log_level);
	mallopt(M_MMAP_THRESHOLD, LARGE); /* glibc would raise it, and keep what tables have outgrown */
	mallopt(M_TRIM_THRESHOLD, LARGE);
	harden();
	gm_service_loading();
	lap(d);
	bool ok = open_signals(d) && (taking ? take_over(d) : start(d)) && open_control(d);
	if (ok) {
		open_handover(d);
		ok = confine(d);
	}
	if (ok) {
		log_ready(d);
		log_audit_head(d);
		tell_service(d);
		gm_log_hold(true);
		loop(d);
		gm_log_hold(false);
		gm_service_stopping();
		gm_log(GM_LOG_INFO, "gmd.stopping");
		audit_refusals(d);
		audit(d, "stopped");
		commit(d, 0);
		log_audit_head(d);
	}
	stop(d);
	return ok ? 0 : 1;
}

/* ---- command line */

static const char help[] =
	"usage: gmd run [-c FILE] [--take-over]       run in the foreground; in place of the gmd that runs, without a pause\n"
	"       gmd upgrade [-c FILE]                 the same in the background; returns when the new gmd serves, or has failed\n"
	"       gmd init [-c FILE]                    make the store and its key as FILE names them\n"
	"       gmd init --state DIR --key FILE       the same without a configuration\n"
	"       gmd check [-c FILE]                   say what is wrong with the configuration, or missing on this machine\n"
	"       gmd restore [-c FILE] BACKUP          make the store of a file that gmctl backup made, and recover it\n"
	"       gmd recover [-c FILE] --rekey-all     go on with a store that went back in time: all members join anew\n"
	"       gmd rotate-key [-c FILE]              seal all records under a new key\n"
	"       gmd --help | --version\n"
	"\n"
	"  -c, --config FILE   configuration, " DEFAULT_CONFIG " if not given\n"
	"\n"
	"gmd -c FILE is gmd run -c FILE. Existing stores and keys are never overwritten. restore, recover and rotate-key need\n"
	"that no gmd runs on the store.\n"
	"Exit: 0 done or stopped in order, 1 failed, 2 bad usage or configuration, 3 handed over to another gmd. See gmd(8),\n"
	"gmd.conf(5).\n";

static int usage(const char *why)
{
	fprintf(stderr, "gmd: %s\nTry gmd --help.\n", why);
	return 2;
}

struct line { /* the command line, understood */
	const char *config_file, *state_dir, *key_file, *operand;
	bool rekey_all, take_over;
};

static int do_run(const struct gm_config *config, const struct line *line)
{
	return run(config, line->config_file, line->take_over, 0);
}

/* A grandchild, so that whoever starts services becomes its parent before it is told that this is the service now. */
static void upgrade_apart(const struct gm_config *config, const struct line *line, int tell_fd)
{
	pid_t child = setsid() < 0 ? -1 : fork();

	if (child == 0)
		_exit(run(config, line->config_file, true, tell_fd));
	_exit(child < 0);
}

static int do_upgrade(const struct gm_config *config, const struct line *line)
{
	char ready, why[GM_WHY];
	int ends[2], status;

	if (gm_handover_nobody(config->control_socket, why)) {
		fprintf(stderr, "gmd: %s\n", why);
		return 1;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		perror("gmd: pipe");
		return 1;
	}
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		upgrade_apart(config, line, ends[1]);
	}
	close(ends[1]);
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || read(ends[0], &ready, 1) != 1) {
		fprintf(stderr, "gmd: no new process serves; whether the one before goes on, and why, the log says\n");
		return 1;
	}
	return 0;
}

static int do_init(const struct gm_config *config, const struct line *line)
{
	(void)line;
	return gm_offline_init(config->state_dir, config->key_file);
}

static int do_check(const struct gm_config *config, const struct line *line)
{
	(void)line;
	return gm_offline_check(config);
}

static int do_restore(const struct gm_config *config, const struct line *line)
{
	return gm_offline_restore(config, line->operand);
}

static int do_recover(const struct gm_config *config, const struct line *line)
{
	return gm_offline_recover(config, line->rekey_all);
}

static int do_rotate_key(const struct gm_config *config, const struct line *line)
{
	(void)line;
	return gm_offline_rotate_key(config);
}

static const struct verb {
	const char *name;
	int (*run)(const struct gm_config *config, const struct line *line);
	const char *operand; /* NULL: it takes none */
} verbs[] = {{"run", do_run, NULL},         {"upgrade", do_upgrade, NULL},
                    {"init", do_init, NULL},       {"check", do_check, NULL},
             {"restore", do_restore, "the file of a backup"}, {"recover", do_recover, NULL}, {"rotate-key", do_rotate_key, NULL}};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static const char *misused(const struct verb *verb, const struct line *line, int words)
{
	static char why[64];
	bool initing = verb && verb->run == do_init;

	if (!verb)
		return "one of run, upgrade, init, check, restore, recover, rotate-key";
	if (words > (verb->operand ? 2 : 1))
		return "too many arguments";
	if (verb->operand && words < 2) {
		snprintf(why, sizeof(why), "%s needs %s", verb->name, verb->operand);
		return why;
	}
	if ((line->state_dir || line->key_file) && !initing)
		return "--state and --key are for init";
	if ((line->state_dir == NULL) != (line->key_file == NULL))
		return "init needs both --state and --key, or a configuration";
	if (line->take_over && verb->run != do_run)
		return "--take-over is for run";
	return line->rekey_all && verb->run != do_recover ? "--rekey-all is for recover" : NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"state", required_argument, NULL, 's'},
		{"key", required_argument, NULL, 'k'},    {"rekey-all", no_argument, NULL, 'r'},
		{"take-over", no_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	struct line line = {.config_file = DEFAULT_CONFIG};
	struct gm_config config;
	char why[GM_CONFIG_WHY];

	for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (c == 'c')
			line.config_file = optarg;
		else if (c == 's')
			line.state_dir = optarg;
		else if (c == 'k')
			line.key_file = optarg;
		else if (c == 'r')
			line.rekey_all = true;
		else if (c == 't')
			line.take_over = true;
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c == 'v')
			return printf("gmd %s\n", GM_VERSION) < 0;
		else
			return usage("bad option");
	}
	const struct verb *verb = find_verb(optind < argc ? argv[optind] : "run");
	const char *wrong = misused(verb, &line, optind < argc ? argc - optind : 1);
	if (wrong)
		return usage(wrong);
	line.operand = verb->operand ? argv[optind + 1] : NULL;
	if (!gm_crypto_init()) {
		fprintf(stderr, "gmd: the crypto libraries do not start\n");
		return 1;
	}
	if (line.state_dir)
		return gm_offline_init(line.state_dir, line.key_file);
	if (gm_config_load(&config, line.config_file, why) != GM_E_OK) {
		fprintf(stderr, "gmd: %s\n", why);
		return 1;
	}
	return verb->run(&config, &line);
}
