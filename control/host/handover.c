/* SPDX-License-Identifier: Apache-2.0 */
#include "host/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gm/dp.h"
#include "gm/err.h"

static const char magic[8] = "gmd hand";

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static enum gm_err say(char why[static GM_WHY], enum gm_err err, const char *what)
{
	snprintf(why, GM_WHY, "%.120s: %s", what, strerror(errno));
	return err;
}

bool gm_handover_path(const char *control_socket, char path[static 108])
{
	return (size_t)snprintf(path, 108, "%s.handover", control_socket) < 108;
}

static void close_one(int *fd)
{
	if (*fd > 0)
		close(*fd);
	*fd = 0;
}

void gm_handover_hang_up(struct gm_handover *h)
{
	close_one(&h->line);
	close_one(&h->peer);
	h->pid = 0;
}

void gm_handover_close(struct gm_handover *h)
{
	gm_handover_hang_up(h);
	close_one(&h->listener);
}

/* ---- who is there */

static bool may(const struct ucred *peer)
{
	return peer->uid == geteuid() || peer->uid == 0;
}

static bool who(int fd, struct ucred *peer)
{
	socklen_t n = sizeof(*peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &n) == 0;
}

/* Whoever holds the store's lock may take away what a dead predecessor left. Listening, also once more on what is passed,
 * makes the kernel name this process to those who connect. */
enum gm_err gm_handover_listen(struct gm_handover *h, const char *control_socket, int fd, char why[static GM_WHY])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	h->listener = fd;
	if (fd <= 0) {
		if (!gm_handover_path(control_socket, addr.sun_path)) {
			snprintf(why, GM_WHY, "%.120s: too long a path for a second socket beside it", control_socket);
			return GM_E_RANGE;
		}
		h->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		unlink(addr.sun_path);
		mode_t mask = umask(0177);
		int bound = h->listener < 0 ? -1 : bind(h->listener, (struct sockaddr *)&addr, sizeof(addr));
		umask(mask);
		if (bound < 0)
			goto failed;
	}
	if (listen(h->listener, 4) == 0)
		return GM_E_OK;
failed:
	say(why, GM_E_IO, fd > 0 ? "the predecessor's socket" : addr.sun_path);
	close_one(&h->listener);
	return GM_E_IO;
}

unsigned gm_handover_poll(const struct gm_handover *h, struct pollfd fds[static GM_HANDOVER_POLL])
{
	unsigned n = 0;

	if (h->listener > 0)
		fds[n++] = (struct pollfd){.fd = h->listener, .events = POLLIN};
	if (h->line > 0)
		fds[n++] = (struct pollfd){.fd = h->line, .events = POLLIN};
	return n;
}

void gm_handover_accept(struct gm_handover *h, uint64_t now_ms)
{
	int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct gm_handover other = {.line = fd};
	struct ucred peer;

	if (fd < 0)
		return;
	if (!who(fd, &peer) || !may(&peer)) {
		gm_handover_refuse(&other, "permission denied");
	} else if (h->line > 0) {
		gm_handover_refuse(&other, "another process takes over already");
	} else {
		h->line = fd;
		h->pid = peer.pid;
		h->since_ms = now_ms;
	}
}

bool gm_handover_nobody(const char *control_socket, char why[static GM_WHY])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t n = strlen(control_socket);
	int fd = n < sizeof(addr.sun_path) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

	if (fd < 0)
		return false;
	memcpy(addr.sun_path, control_socket, n);
	bool nobody = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && (errno == ENOENT || errno == ECONNREFUSED);
	close(fd);
	if (nobody)
		snprintf(why, GM_WHY, "no gmd runs at %.120s: gmd run starts one", control_socket);
	return nobody;
}

enum gm_err gm_handover_connect(struct gm_handover *h, const char *control_socket, char why[static GM_WHY])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct ucred peer;

	if (!gm_handover_path(control_socket, addr.sun_path)) {
		snprintf(why, GM_WHY, "%.120s: too long a path for a second socket beside it", control_socket);
		return GM_E_RANGE;
	}
	h->line = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (h->line < 0 || connect(h->line, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (!gm_handover_nobody(control_socket, why))
			say(why, GM_E_UNKNOWN, addr.sun_path);
		gm_handover_hang_up(h);
		return GM_E_UNKNOWN;
	}
	if (!who(h->line, &peer) || !may(&peer)) {
		snprintf(why, GM_WHY, "%.100s: another user listens there", addr.sun_path);
		gm_handover_hang_up(h);
		return GM_E_DENIED;
	}
	h->pid = peer.pid;
	h->peer = pidfd_open(peer.pid, 0);
	if (h->peer > 0)
		return GM_E_OK;
	say(why, GM_E_IO, "the process that runs");
	gm_handover_hang_up(h);
	return GM_E_IO;
}

/* ---- messages */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(GM_HANDOVER_FDS_MAX * sizeof(int))];
};

enum gm_err gm_handover_send(const struct gm_handover *h, struct gm_handover_msg *msg, const int *fds, unsigned n)
{
	struct iovec iov = {.iov_base = msg, .iov_len = sizeof(*msg)};
	union control control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(msg->magic, magic, sizeof(magic));
	msg->handover = GM_HANDOVER_FORMAT;
	msg->carry = GM_CARRY_FORMAT;
	if (n) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(h->line, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*msg) ? GM_E_OK : GM_E_IO;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static unsigned take_fds(struct msghdr *m, int *fds, unsigned most)
{
	unsigned got = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (got < most)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
	return got;
}

static enum gm_err look_at(const struct gm_handover_msg *msg, ssize_t n, char why[static GM_WHY])
{
	if (n < (ssize_t)offsetof(struct gm_handover_msg, step) || memcmp(msg->magic, magic, sizeof(magic)) != 0) {
		snprintf(why, GM_WHY, "the other process says what is no message");
		return GM_E_BAD_FORMAT;
	}
	if (msg->handover != GM_HANDOVER_FORMAT || msg->carry != GM_CARRY_FORMAT) {
		snprintf(why, GM_WHY, "the two versions hand over in different formats, %u.%u and %u.%u: restart gmd", msg->handover,
		         msg->carry, GM_HANDOVER_FORMAT, GM_CARRY_FORMAT);
		return GM_E_STORE_VERSION;
	}
	if (n == (ssize_t)sizeof(*msg))
		return GM_E_OK;
	snprintf(why, GM_WHY, "the other process says what is no message");
	return GM_E_BAD_FORMAT;
}

enum gm_err gm_handover_receive(const struct gm_handover *h, struct gm_handover_msg *msg, int *fds, unsigned most, unsigned *n,
                                char why[static GM_WHY])
{
	struct iovec iov = {.iov_base = msg, .iov_len = sizeof(*msg)};
	union control control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(h->line, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	*n = 0;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return GM_E_BUSY;
	if (got <= 0) {
		snprintf(why, GM_WHY, "the other process has hung up");
		return GM_E_IO;
	}
	*n = take_fds(&m, fds, most);
	msg->manager[sizeof(msg->manager) - 1] = msg->why[sizeof(msg->why) - 1] = '\0';
	enum gm_err err = m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? GM_E_BAD_FORMAT : look_at(msg, got, why);
	if (err == GM_E_OK)
		return err;
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		snprintf(why, GM_WHY, "the other process says what is no message");
	close_all(fds, *n);
	*n = 0;
	return err;
}

void gm_handover_refuse(struct gm_handover *h, const char *why)
{
	struct gm_handover_msg msg = {.step = GM_HANDOVER_REFUSED};

	snprintf(msg.why, sizeof(msg.why), "%s", why);
	if (gm_handover_send(h, &msg, NULL, 0) != GM_E_OK)
		errno = 0; /* it is gone: nobody has to be told */
	gm_handover_hang_up(h);
}

/* ---- the file in memory. It is made by the new process: the old one may make no files any more. */

int gm_handover_file(void)
{
	return memfd_create("gmd-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/* Only what lies in memory has seals, and only what was made to be sealed has none at first. */
bool gm_handover_is_file(int fd)
{
	struct stat st;

	return fcntl(fd, F_GET_SEALS) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_size == 0;
}

bool gm_handover_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) == 0;
}

bool gm_handover_sealed(int fd, uint64_t bytes)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes;
}
