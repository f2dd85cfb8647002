/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/log.h"
#include "ctl/watch.h"
#include "gm/crypto.h"

#define READ_SIZE 16384u
#define PEER_GROUPS_MAX 1024u
#define NO_GROUP ((gid_t)-1)
#define PATIENCE_MS 10000u
#define DENIED_MS 1000u  /* between two lines about strangers */
#define UNCLOSED_MAX 256u /* connections that wait to be closed; beyond, newcomers wait */

struct conn {
	int fd; /* -1: free */
	int passed; /* a descriptor for the next request; -1: none */
	struct gm_ctl_buf in, out;
	bool closing;   /* after out is sent */
	bool later;     /* the request that is first in `in` is being carried out */
	bool idles;     /* and waits for what makes a turn of its own */
	uint64_t since; /* number of its accept: the lowest has been here longest */
	uint64_t moved_ms; /* when it came, was answered, or last took some of an answer */
	enum gm_ctl_level level;
	unsigned uid;
	int pid;
	bool watches, no_members;
	uint64_t watch_id, lost; /* events, since it was last told so */
	char group[GM_CTL_TEXT_MAX + 1]; /* only of this one; empty: of all */
};

struct gm_ctl_server {
	struct gm_ctl_server_config config;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	int closer; /* end of a pipe: descriptors for the thread that closes */
	gid_t groups[GM_CTL_LEVELS];
	struct conn conns[GM_CTL_CONNS_MAX];
	uint64_t accepted, denied_ms;
	unsigned denied; /* since, without a line */
	struct gm_ctl_request request; /* of the moment; too large for a stack */
	struct gm_ctl_reply reply, told; /* told: events come while a command is being answered */
	unsigned watchers;
};

/* ---- closing. What lies unread in a connection may hold descriptors, and the last who lets go of one waits for what it stands
 * for: a socket that lingers, a file system of the peer's own. The kernel does that in the thread that closes, which therefore
 * must not be core's. Whoever keeps it waiting keeps newcomers from this socket, in the end, and nobody from the group manager. */

static atomic_uint unclosed; /* of the process: the thread may outlive its server */

static void *close_all(void *arg)
{
	int from = (int)(intptr_t)arg, fd;

	while (read(from, &fd, sizeof(fd)) == sizeof(fd)) {
		close(fd);
		atomic_fetch_sub(&unclosed, 1);
	}
	close(from);
	return NULL;
}

static enum gm_err closer_start(struct gm_ctl_server *server, char why[static GM_WHY])
{
	pthread_t thread;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		snprintf(why, GM_WHY, "pipe: %s", strerror(errno));
		return GM_E_IO;
	}
	if (pthread_create(&thread, NULL, close_all, (void *)(intptr_t)ends[0]) != 0) {
		snprintf(why, GM_WHY, "no memory for a thread");
		close(ends[0]);
		close(ends[1]);
		return GM_E_NO_MEMORY;
	}
	pthread_detach(thread);
	server->closer = ends[1];
	return GM_E_OK;
}

/* The other side sees it at once. A pipe has room for more than there can be descriptors. */
static void hang_up(const struct gm_ctl_server *server, int fd)
{
	shutdown(fd, SHUT_RDWR);
	atomic_fetch_add(&unclosed, 1);
	if (write(server->closer, &fd, sizeof(fd)) != sizeof(fd)) {
		atomic_fetch_sub(&unclosed, 1);
		close(fd);
	}
}

/* ---- listening */

static bool somebody_listens(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive =
		fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED);

	if (fd >= 0)
		close(fd);
	return alive;
}

/* How many groups may connect, and the one of them that the socket can belong to. */
static unsigned groups_named(const struct gm_ctl_server *server, gid_t *owner)
{
	unsigned named = 0;

	*owner = NO_GROUP;
	for (unsigned i = 0; i < GM_CTL_LEVELS; i++) {
		if (server->groups[i] != NO_GROUP && server->groups[i] != *owner)
			named++;
		*owner = server->groups[i] != NO_GROUP ? server->groups[i] : *owner;
	}
	return named;
}

static void set_owner(const struct gm_ctl_server *server, gid_t owner)
{
	if (chown(server->path, (uid_t)-1, owner) < 0)
		gm_log(GM_LOG_WARN, "ctl.group_not_set path=%s reason=\"%s\"", server->path, strerror(errno));
}

/* Who waits in its queue is served. The configuration may name other groups by now. */
static enum gm_err adopt(struct gm_ctl_server *server)
{
	gid_t owner;
	unsigned named = groups_named(server, &owner);

	server->fd = server->config.listener;
	if (chmod(server->path, named > 1 ? 0666 : 0660) < 0)
		gm_log(GM_LOG_WARN, "ctl.mode_not_set path=%s reason=\"%s\"", server->path, strerror(errno));
	if (named == 1)
		set_owner(server, owner);
	return GM_E_OK;
}

static enum gm_err listen_at(struct gm_ctl_server *server, char why[static GM_WHY])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	gid_t owner;

	if (server->config.listener > 0)
		return adopt(server);
	memcpy(addr.sun_path, server->path, sizeof(addr.sun_path));
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0)
		goto failed;
	unsigned named = groups_named(server, &owner);
	mode_t mask = umask(named > 1 ? 0111 : 0117); /* from the start */
	int bound = bind(server->fd, (struct sockaddr *)&addr, sizeof(addr));
	if (bound < 0 && errno == EADDRINUSE) {
		if (somebody_listens(&addr)) {
			umask(mask);
			snprintf(why, GM_WHY, "%s: in use by another process", server->path);
			return GM_E_BUSY;
		}
		bound = unlink(server->path) == 0 ? bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)) : -1;
	}
	umask(mask);
	if (bound < 0)
		goto failed;
	if (named == 1)
		set_owner(server, owner);
	if (listen(server->fd, 16) == 0)
		return GM_E_OK;
failed:
	snprintf(why, GM_WHY, "%s: %s", server->path, strerror(errno));
	return GM_E_IO;
}

static enum gm_err find_group(const char *name, gid_t *gid, char why[static GM_WHY])
{
	*gid = NO_GROUP;
	if (!name || !name[0])
		return GM_E_OK;
	const struct group *group = getgrnam(name);
	if (!group) {
		snprintf(why, GM_WHY, "there is no Unix group '%s'", name);
		return GM_E_UNKNOWN;
	}
	*gid = group->gr_gid;
	return GM_E_OK;
}

enum gm_err gm_ctl_group_known(const char *name, char why[static GM_WHY])
{
	gid_t gid;

	return find_group(name, &gid, why);
}

enum gm_err gm_ctl_server_open(struct gm_ctl_server **out, const struct gm_ctl_server_config *config,
			       char why[static GM_WHY])
{
	struct gm_ctl_server *server = calloc(1, sizeof(*server));

	if (!server) {
		snprintf(why, GM_WHY, "out of memory");
		return GM_E_NO_MEMORY;
	}
	server->config = *config;
	server->fd = server->closer = -1;
	if (!server->config.patience_ms)
		server->config.patience_ms = PATIENCE_MS;
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++)
		server->conns[i] = (struct conn){.fd = -1, .passed = -1};
	enum gm_err err = GM_E_OK;
	for (unsigned i = 0; i < GM_CTL_LEVELS && err == GM_E_OK; i++)
		err = find_group(config->groups[i], &server->groups[i], why);
	if (err == GM_E_OK &&
	    (size_t)snprintf(server->path, sizeof(server->path), "%s", config->path) >= sizeof(server->path)) {
		snprintf(why, GM_WHY, "%s: path too long for a socket", config->path);
		err = GM_E_RANGE;
	}
	if (err == GM_E_OK)
		err = closer_start(server, why);
	if (err == GM_E_OK)
		err = listen_at(server, why);
	if (err != GM_E_OK) {
		if (server->fd >= 0)
			close(server->fd);
		if (server->closer >= 0)
			close(server->closer);
		free(server);
		return err;
	}
	*out = server;
	return GM_E_OK;
}

static void passed_close(struct conn *conn)
{
	if (conn->passed >= 0)
		close(conn->passed);
	conn->passed = -1;
}

static void conn_close(struct gm_ctl_server *server, struct conn *conn)
{
	server->watchers -= conn->watches;
	passed_close(conn);
	if (conn->level == GM_CTL_ADMIN)
		close(conn->fd);
	else
		hang_up(server, conn->fd);
	gm_ctl_buf_free(&conn->in);
	gm_ctl_buf_free(&conn->out);
	if (server->config.gone)
		server->config.gone(server->config.arg, conn->since);
	*conn = (struct conn){.fd = -1, .passed = -1};
}

int gm_ctl_server_listener(const struct gm_ctl_server *server)
{
	return server->fd;
}

void gm_ctl_server_close(struct gm_ctl_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++)
		if (server->conns[i].fd >= 0)
			conn_close(server, &server->conns[i]);
	close(server->fd);
	close(server->closer);
	unlink(server->path);
	gm_wipe(&server->request, sizeof(server->request));
	free(server);
}

/* ---- who may */

static bool in_group(int fd, gid_t group)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* A line a second: there may be many. */
static void say_denied(struct gm_ctl_server *server, const struct ucred *peer)
{
	uint64_t now = gm_clock_ms();

	if (server->denied_ms && now < server->denied_ms + DENIED_MS) {
		server->denied++;
		return;
	}
	gm_log(GM_LOG_WARN, "ctl.denied uid=%u gid=%u pid=%d others=%u", peer->uid, peer->gid, peer->pid, server->denied);
	server->denied_ms = now;
	server->denied = 0;
}

/* Of several groups the highest counts. */
static enum gm_ctl_level level_of(struct gm_ctl_server *server, int fd, unsigned *uid, int *pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return GM_CTL_NOBODY;
	*uid = peer.uid;
	*pid = peer.pid;
	if (peer.uid == 0 || peer.uid == geteuid())
		return GM_CTL_ADMIN;
	for (enum gm_ctl_level level = GM_CTL_ADMIN; level > GM_CTL_NOBODY; level--) {
		gid_t group = server->groups[level];
		if (group != NO_GROUP && (peer.gid == group || in_group(fd, group)))
			return level;
	}
	say_denied(server, &peer);
	return GM_CTL_NOBODY;
}

/* ---- reading */

static void complain(struct gm_ctl_server *server, struct conn *conn, uint64_t id, enum gm_err err, const char *text)
{
	gm_ctl_reply_init(&server->reply, &conn->out, id);
	gm_ctl_error(&server->reply, err, "%s", text);
	conn->closing = true;
}

static bool waits_for_us(const struct conn *conn)
{
	return conn->fd >= 0 && !conn->closing && !conn->watches && conn->out.n == 0;
}

/* A whole frame, or a length that cannot be: nothing more has to be read before handle(). */
static bool has_frame(const struct conn *conn)
{
	struct gm_bytes frame;
	enum gm_err err;

	return gm_ctl_frame_next(&conn->in, &frame, &err) || err != GM_E_OK;
}

static bool is_idle(const struct conn *conn)
{
	return waits_for_us(conn) && !has_frame(conn);
}

/* Lower levels first; of those who has said nothing whole and has been here longest, then whose answer has stood still longest. */
static bool goes_before(const struct conn *a, const struct conn *b)
{
	if (a->level != b->level)
		return a->level < b->level;
	if (is_idle(a) != is_idle(b))
		return is_idle(a);
	return is_idle(a) ? a->since < b->since : a->moved_ms < b->moved_ms;
}

/* Who makes room for somebody of this level; NULL: nobody. */
static struct conn *who_goes(struct gm_ctl_server *server, enum gm_ctl_level level)
{
	struct conn *found = NULL;

	for (struct conn *conn = server->conns; conn < server->conns + GM_CTL_CONNS_MAX; conn++)
		if ((conn->level < level || (conn->level == level && is_idle(conn))) && (!found || goes_before(conn, found)))
			found = conn;
	return found;
}

/* NULL: all are being served */
static struct conn *make_room(struct gm_ctl_server *server, enum gm_ctl_level level)
{
	for (struct conn *conn = server->conns; conn < server->conns + GM_CTL_CONNS_MAX; conn++)
		if (conn->fd < 0)
			return conn;
	struct conn *conn = who_goes(server, level);
	if (conn)
		conn_close(server, conn);
	return conn;
}

/* With a reason, as far as it is read at once: it takes no place. */
static void turn_away(struct gm_ctl_server *server, int fd, enum gm_err err, const char *text)
{
	struct conn none = {.fd = fd, .passed = -1};

	complain(server, &none, 0, err, text);
	send(fd, none.out.bytes, none.out.n, MSG_NOSIGNAL);
	gm_ctl_buf_free(&none.out);
	hang_up(server, fd);
}

static void accept_one(struct gm_ctl_server *server)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned uid = 0;
	int pid = 0;

	if (fd < 0)
		return;
	enum gm_ctl_level level = level_of(server, fd, &uid, &pid);
	struct conn *conn = level == GM_CTL_NOBODY ? NULL : make_room(server, level);
	if (!conn) {
		enum gm_err err = level == GM_CTL_NOBODY ? GM_E_DENIED : GM_E_FULL;
		turn_away(server, fd, err, err == GM_E_DENIED ? gm_err_info(err)->text : "too many commands at a time");
		return;
	}
	conn->fd = fd;
	conn->since = server->accepted++;
	conn->moved_ms = gm_clock_ms();
	conn->level = level;
	conn->uid = uid;
	conn->pid = pid;
}

/* Of who may not pass any: a look, which leaves descriptors where they are, then no more than was looked at. 0, as at the end of
 * all: there are some. */
static ssize_t receive_bytes(const struct conn *conn, uint8_t *room)
{
	struct iovec iov = {.iov_base = room, .iov_len = READ_SIZE};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(conn->fd, &msg, MSG_PEEK);

	if (n > 0 && msg.msg_flags & MSG_CTRUNC) {
		gm_log(GM_LOG_WARN, "ctl.refused verb=descriptor uid=%u level=%s", conn->uid, gm_ctl_level_text(conn->level));
		return 0;
	}
	return n <= 0 ? n : recv(conn->fd, room, (size_t)n, 0);
}

/* Bytes, and perhaps one descriptor, of an admin: the latest counts. */
static ssize_t receive_more(struct conn *conn, uint8_t *room) /* NOLINT(readability-non-const-parameter): it is filled */
{
	struct iovec iov = {.iov_base = room, .iov_len = READ_SIZE};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))}; /* no room for a second one */
	ssize_t n = recvmsg(conn->fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
		passed_close(conn);
		memcpy(&conn->passed, CMSG_DATA(c), sizeof(int));
	}
	return n;
}

static void read_some(struct gm_ctl_server *server, struct conn *conn)
{
	uint8_t *room = gm_ctl_buf_room(&conn->in, READ_SIZE);
	ssize_t n = !room ? 0 : conn->level == GM_CTL_ADMIN ? receive_more(conn, room) : receive_bytes(conn, room);

	if (n > 0)
		conn->in.n += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_close(server, conn);
}

static void tell_event(struct gm_ctl_server *server, struct conn *conn, int64_t wall_s, const char *event, const char *line)
{
	gm_ctl_reply_init(&server->told, &conn->out, conn->watch_id);
	gm_watch_put(&server->told, wall_s, event, line);
	gm_ctl_row(&server->told);
	conn->closing |= server->told.no_memory;
}

static void begin_watch(struct gm_ctl_server *server, struct conn *conn)
{
	if (server->watchers == GM_CTL_WATCHERS_MAX) {
		gm_ctl_error(&server->reply, GM_E_FULL, "%u watch already, that is all there may be", GM_CTL_WATCHERS_MAX);
		return;
	}
	server->watchers++;
	conn->watches = true;
	conn->no_members = server->reply.no_members;
	conn->watch_id = server->reply.id;
	memcpy(conn->group, server->reply.group, sizeof(conn->group));
	tell_event(server, conn, time(NULL), "watching", "");
}

static void handle(struct gm_ctl_server *server, struct conn *conn)
{
	struct gm_bytes frame;
	enum gm_err err;

	if (!gm_ctl_frame_next(&conn->in, &frame, &err)) {
		if (err != GM_E_OK)
			complain(server, conn, 0, err, "frame is longer than 1 MiB");
		return;
	}
	err = gm_ctl_request_decode(frame, &server->request);
	if (err != GM_E_OK) {
		complain(server, conn, server->request.id, err, gm_err_info(err)->text);
	} else {
		gm_ctl_reply_init(&server->reply, &conn->out, server->request.id);
		server->request.fd = conn->passed;
		server->request.conn = conn->since;
		server->request.again = conn->later;
		server->request.level = conn->level;
		server->request.uid = conn->uid;
		server->request.pid = conn->pid;
		server->config.handle(server->config.arg, &server->request, &server->reply);
		if (server->reply.watches)
			begin_watch(server, conn);
		if (server->reply.no_memory)
			conn->closing = true;
		conn->later = server->reply.later;
		conn->idles = server->reply.waits;
	}
	conn->moved_ms = gm_clock_ms();
	if (conn->later) {
		gm_wipe(&server->request, sizeof(server->request));
		return;
	}
	passed_close(conn);
	gm_wipe(&server->request, sizeof(server->request));
	gm_ctl_buf_eat(&conn->in, 4 + frame.n);
}

/* Who watches says nothing any more, but may go. So may who waits; what it says meanwhile is left unread. */
static short wanted(const struct conn *conn)
{
	if (conn->idles)
		return (short)(POLLRDHUP | (conn->out.n ? POLLOUT : 0));
	return (short)((conn->out.n ? POLLOUT : POLLIN) | (conn->watches ? POLLIN : 0));
}

unsigned gm_ctl_server_poll(struct gm_ctl_server *server, struct pollfd fds[static GM_CTL_FDS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++) {
		const struct conn *conn = &server->conns[i];
		if (conn->fd >= 0)
			fds[n++] = (struct pollfd){.fd = conn->fd, .events = wanted(conn)};
	}
	if (atomic_load(&unclosed) < UNCLOSED_MAX)
		fds[n++] = (struct pollfd){.fd = server->fd, .events = POLLIN};
	return n;
}

static short seen(const struct pollfd *fds, unsigned n, int fd)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i].fd == fd)
			return fds[i].revents;
	return 0;
}

static bool readable(const struct pollfd *fds, unsigned n, int fd)
{
	return seen(fds, n, fd) != 0;
}

static bool has_gone(const struct pollfd *fds, unsigned n, int fd)
{
	return seen(fds, n, fd) & (POLLRDHUP | POLLHUP | POLLERR);
}

/* It goes, or says something that it should not. */
static void read_watcher(struct gm_ctl_server *server, struct conn *conn)
{
	read_some(server, conn);
	if (conn->fd >= 0 && conn->in.n)
		conn_close(server, conn);
}

void gm_ctl_server_receive(struct gm_ctl_server *server, const struct pollfd *fds, unsigned n)
{
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++) {
		struct conn *conn = &server->conns[i];
		if (conn->fd >= 0 && conn->watches && readable(fds, n, conn->fd))
			read_watcher(server, conn);
		if (conn->fd >= 0 && conn->idles && has_gone(fds, n, conn->fd))
			conn_close(server, conn);
		if (is_idle(conn) && readable(fds, n, conn->fd))
			read_some(server, conn);
		if (waits_for_us(conn))
			handle(server, conn);
	}
	if (readable(fds, n, server->fd))
		accept_one(server);
}

/* ---- writing */

static void send_some(struct conn *conn)
{
	while (conn->out.n) {
		ssize_t n = send(conn->fd, conn->out.bytes + conn->out.at, conn->out.n - conn->out.at, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			conn->closing = true;
		if (n < 0 && errno == EAGAIN)
			return;
		conn->moved_ms = gm_clock_ms();
		gm_ctl_buf_eat(&conn->out, n < 0 ? conn->out.n - conn->out.at : (size_t)n);
	}
}

static void tell_lost(struct gm_ctl_server *server, struct conn *conn, int64_t wall_s)
{
	char line[64];

	snprintf(line, sizeof(line), "lost events=%llu", (unsigned long long)conn->lost);
	conn->lost = 0;
	tell_event(server, conn, wall_s, "lost", line);
}

void gm_ctl_server_tell(struct gm_ctl_server *server, int64_t wall_s, const char *line)
{
	const char *event = server && server->watchers ? gm_watch_event(line) : NULL;

	for (struct conn *conn = event ? server->conns : NULL; event && conn < server->conns + GM_CTL_CONNS_MAX; conn++) {
		if (conn->fd < 0 || !conn->watches || conn->closing || !gm_watch_about(line, conn->group) || (conn->no_members && gm_watch_of_member(event)))
			continue;
		if (conn->lost || conn->out.n - conn->out.at > GM_CTL_WATCH_MAX)
			conn->lost++; /* until it has taken what waits */
		else
			tell_event(server, conn, wall_s, event, line);
	}
}

/* Who watches may lag: there are few of them, and they lose events. */
static bool stands_still(const struct gm_ctl_server *server, const struct conn *conn)
{
	return conn->out.n && !conn->watches && gm_clock_ms() > conn->moved_ms + server->config.patience_ms;
}

bool gm_ctl_server_flush(struct gm_ctl_server *server)
{
	bool more = false;

	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++) {
		struct conn *conn = &server->conns[i];
		if (conn->fd < 0)
			continue;
		send_some(conn);
		if (conn->lost && !conn->out.n && !conn->closing) {
			tell_lost(server, conn, time(NULL));
			send_some(conn);
		}
		if ((conn->closing && !conn->out.n) || stands_still(server, conn))
			conn_close(server, conn);
		more |= waits_for_us(conn) && !conn->idles && has_frame(conn);
	}
	return more;
}
