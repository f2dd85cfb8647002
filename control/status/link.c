/* SPDX-License-Identifier: Apache-2.0 */
#include "status/status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536u

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->last = 0;
	gm_ctl_buf_free(&l->in);
}

static bool failed(struct link *l, char why[static WHY_MAX], const char *text)
{
	snprintf(why, WHY_MAX, "%s", text);
	link_close(l);
	return false;
}

static bool connect_now(struct link *l, char why[static WHY_MAX])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (l->fd >= 0)
		return true;
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", l->path) >= sizeof(addr.sun_path))
		return failed(l, why, "the path is too long for a socket");
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return true;
	if (errno == EACCES || errno == EPERM)
		return failed(l, why, "gmd's control socket may not be used: is control_viewers set?");
	return failed(l, why, errno == ENOENT || errno == ECONNREFUSED ? "gmd is not running" : "gmd cannot be reached");
}

/* false: the time is over. */
static bool wait_for(const struct link *l, short events, uint64_t deadline_ms)
{
	struct pollfd fd = {.fd = l->fd, .events = events};

	for (;;) {
		uint64_t now = gm_clock_ms();
		int n = now < deadline_ms ? poll(&fd, 1, (int)(deadline_ms - now)) : 0;
		if (n >= 0 || errno != EINTR)
			return n > 0;
	}
}

static void add_arg(struct gm_ctl_request *request, const char *key, enum gm_ctl_type type, const char *text)
{
	struct gm_ctl_arg *arg = &request->args[request->args_n++];

	*arg = (struct gm_ctl_arg){.type = type, .u = 1};
	snprintf(arg->key, sizeof(arg->key), "%s", key);
	arg->n = (size_t)snprintf(arg->text, sizeof(arg->text), "%s", text);
}

static bool put_request(struct link *l, const struct asked *what, struct gm_ctl_buf *buf)
{
	static struct gm_ctl_request request;

	request = (struct gm_ctl_request){.id = ++l->id, .fd = -1};
	snprintf(request.verb, sizeof(request.verb), "%s", what->verb);
	if (what->key)
		add_arg(&request, what->key, GM_CTL_TEXT, what->text);
	if (what->flag)
		add_arg(&request, what->flag, GM_CTL_BOOL, "");
	return gm_ctl_request_append(buf, &request) == GM_E_OK;
}

/* A request fits into the socket's buffer. */
bool link_send(struct link *l, const struct asked *what, uint64_t deadline_ms, char why[static WHY_MAX])
{
	struct gm_ctl_buf buf = {0};

	if (!connect_now(l, why))
		return false;
	bool made = put_request(l, what, &buf);
	ssize_t n = made && wait_for(l, POLLOUT, deadline_ms) ? send(l->fd, buf.bytes, buf.n, MSG_NOSIGNAL) : -1;
	bool sent = n == (ssize_t)buf.n;
	gm_ctl_buf_free(&buf);
	return sent ? true : failed(l, why, "gmd does not take a question"); /* or it closed what was quiet: the next try is anew */
}

bool link_read(struct link *l)
{
	uint8_t *room = gm_ctl_buf_room(&l->in, READ_SIZE);
	ssize_t n = room ? recv(l->fd, room, READ_SIZE, 0) : 0;

	if (n > 0)
		l->in.n += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static enum link_next said_no(const struct gm_ctl_answer *answer, char why[static WHY_MAX])
{
	snprintf(why, WHY_MAX, "%.*s", (int)answer->error.n, (const char *)answer->error.p);
	return LINK_FAILED;
}

static enum link_next unreadable(struct link *l, char why[static WHY_MAX])
{
	failed(l, why, "gmd's answer cannot be read");
	return LINK_FAILED;
}

enum link_next link_take(struct link *l, struct gm_bytes *pairs, char why[static WHY_MAX])
{
	struct gm_ctl_answer answer;
	struct gm_bytes frame;
	enum gm_err err;

	gm_ctl_buf_eat(&l->in, l->last);
	l->last = 0;
	if (!gm_ctl_frame_next(&l->in, &frame, &err))
		return err == GM_E_OK ? LINK_NOTHING : unreadable(l, why);
	if (gm_ctl_answer_decode(frame, &answer) != GM_E_OK)
		return unreadable(l, why);
	l->last = 4 + frame.n;
	*pairs = answer.pairs;
	return answer.kind == GM_CTL_ROW ? LINK_ROW : answer.kind == GM_CTL_END ? LINK_END : said_no(&answer, why);
}

enum link_next link_next(struct link *l, uint64_t deadline_ms, struct gm_bytes *pairs, char why[static WHY_MAX])
{
	enum link_next next;

	while ((next = link_take(l, pairs, why)) == LINK_NOTHING) {
		if (!wait_for(l, POLLIN, deadline_ms) || !link_read(l)) {
			failed(l, why, "gmd does not answer");
			return LINK_FAILED;
		}
	}
	return next;
}
