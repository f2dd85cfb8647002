/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/cbor.h"

void gm_cli_connect(struct session *s)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = s->path;

	if (s->fd >= 0)
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		gm_cli_die(EXIT_USAGE, "%s: path too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0)
		gm_cli_die(EXIT_FAILED, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		s->fd = fd;
		return;
	}
	if (errno == EACCES || errno == EPERM)
		gm_cli_die(EXIT_DENIED, "%s: permission denied", path);
	if (errno == ENOENT || errno == ECONNREFUSED)
		gm_cli_die(EXIT_NOT_RUNNING, "gmd is not running (nobody listens at %s)", path);
	gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
}

/* passed: a descriptor that goes with it; -1: none */
static ssize_t send_with(int fd, const uint8_t *p, size_t n, int passed)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(c), &passed, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void send_request(int fd, const struct gm_ctl_request *request)
{
	struct gm_ctl_buf buf = {0};
	int passed = request->fd;

	if (gm_ctl_request_append(&buf, request) != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "out of memory");
	while (buf.n > buf.at) {
		ssize_t n = send_with(fd, buf.bytes + buf.at, buf.n - buf.at, passed);
		if (n < 0 && errno == EINTR)
			continue;
		passed = -1;
		if (n < 0)
			break; /* a refusal may be waiting to be read */
		gm_ctl_buf_eat(&buf, (size_t)n);
	}
	gm_ctl_buf_free(&buf);
}

void gm_cli_receive(struct session *s, struct gm_bytes *frame)
{
	struct gm_ctl_buf *in = &s->in;
	enum gm_err err;

	while (!gm_ctl_frame_next(in, frame, &err)) {
		uint8_t *room = err == GM_E_OK ? gm_ctl_buf_room(in, 1u << 16) : NULL;
		if (!room)
			gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
		ssize_t n = recv(s->fd, room, 1u << 16, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			gm_cli_die(EXIT_FAILED, "gmd closed the connection");
		in->n += (size_t)n;
	}
}

static void refused(const struct session *s, const struct gm_ctl_answer *answer)
{
	enum exit_code code = gm_bytes_is(answer->code, "denied") ? EXIT_DENIED : EXIT_FAILED;
	char *text = gm_cli_text(answer->error);

	if (!s->refused || code == EXIT_DENIED)
		gm_cli_die(code, "%s", text);
	s->refused(text);
	free(text);
}

/* The text under "state" in the end of an answer. */
static void keep_state(struct session *s, struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);

	s->state[0] = '\0';
	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (!gm_bytes_is(key, "state")) {
			gm_cbor_skip(&in);
			continue;
		}
		struct gm_bytes text = gm_cbor_tstr(&in);
		snprintf(s->state, sizeof(s->state), "%.*s", (int)text.n, (const char *)text.p);
	}
}

/* Number under "after" in the end of a page; false: it was the last. */
static bool goes_on(struct gm_bytes pairs, uint64_t *after)
{
	struct gm_in in = gm_in_bytes(pairs);

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "after")) {
			*after = gm_cbor_uint(&in);
			return in.err == GM_E_OK;
		}
		gm_cbor_skip(&in);
	}
	return false;
}

/* One page. true: there is more after *after. */
static bool ask_page(struct session *s, const struct gm_ctl_request *request, uint64_t *after, gm_cli_row row, void *arg)
{
	struct gm_ctl_answer answer;
	struct gm_bytes frame;

	send_request(s->fd, request);
	for (;;) {
		gm_cli_receive(s, &frame);
		if (gm_ctl_answer_decode(frame, &answer) != GM_E_OK)
			gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
		if (answer.kind == GM_CTL_ERROR)
			refused(s, &answer);
		if (answer.kind != GM_CTL_ROW)
			break;
		row(arg, answer.pairs);
		gm_ctl_buf_eat(&s->in, 4 + frame.n);
	}
	bool more = goes_on(answer.pairs, after);
	keep_state(s, answer.pairs);
	gm_ctl_buf_eat(&s->in, 4 + frame.n);
	return more;
}

void gm_cli_ask(struct session *s, struct gm_ctl_request *request, gm_cli_row row, void *arg)
{
	struct gm_ctl_arg *cursor = NULL;
	uint64_t after;

	gm_cli_connect(s);
	request->id++;
	while (ask_page(s, request, &after, row, arg)) {
		if (!cursor)
			cursor = gm_cli_add(request, "after", GM_CTL_UINT);
		cursor->u = after;
		request->id++;
	}
}

void gm_cli_simple(struct session *s, const char *verb, const char *key, const char *text, gm_cli_row row, void *arg)
{
	struct gm_ctl_request *request = gm_cli_need(calloc(1, sizeof(*request)));

	request->fd = -1;
	snprintf(request->verb, sizeof(request->verb), "%s", verb);
	if (key)
		gm_cli_set_text(gm_cli_add(request, key, GM_CTL_TEXT), text);
	gm_cli_ask(s, request, row, arg);
	free(request);
}
