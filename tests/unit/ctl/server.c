/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/server.h"

static char dir[] = "/tmp/gm-ctl-XXXXXX", path[64], why[256];
static struct gm_ctl_server *server;
static unsigned handled;
static struct gm_ctl_buf got;

/* Answers with as many rows of 1,000 bytes as the verb says. */
static void handle(void *arg, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	static const uint8_t filler[1000];

	(void)arg;
	handled++;
	for (int n = atoi(request->verb); n > 0; n--) {
		gm_ctl_put_bytes(reply, "filler", filler, sizeof(filler));
		gm_ctl_row(reply);
	}
	gm_ctl_end(reply);
}

static enum gm_err open_server(struct gm_ctl_server **to)
{
	const struct gm_ctl_server_config config = {.path = path, .group = "", .handle = handle};
	return gm_ctl_server_open(to, &config, why);
}

static void start(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	cr_assert_eq(open_server(&server), GM_E_OK, "%s", why);
}

static void stop(void)
{
	gm_ctl_server_close(server);
	gm_ctl_buf_free(&got);
	cr_expect_neq(access(path, F_OK), 0, "the socket is removed");
	rmdir(dir);
}

TestSuite(server, .init = start, .fini = stop);

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void turn(void)
{
	struct pollfd fds[GM_CTL_FDS_MAX];
	unsigned n = gm_ctl_server_poll(server, fds);

	cr_assert_geq(poll(fds, n, 0), 0);
	gm_ctl_server_receive(server, fds, n);
	gm_ctl_server_flush(server);
}

static void turns(unsigned n)
{
	while (n-- > 0)
		turn();
}

static void say(int fd, const char *verb)
{
	struct gm_ctl_request request = {.id = 1};
	struct gm_ctl_buf out = {0};

	snprintf(request.verb, sizeof(request.verb), "%s", verb);
	cr_assert_eq(gm_ctl_request_append(&out, &request), GM_E_OK);
	cr_assert_eq(send(fd, out.bytes, out.n, 0), (ssize_t)out.n);
	gm_ctl_buf_free(&out);
}

/* What is there to be read; returns false once the other side has closed. */
static bool hear(int fd)
{
	for (;;) {
		uint8_t *room = gm_ctl_buf_room(&got, 1u << 16);
		ssize_t n = recv(fd, room, 1u << 16, MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		got.n += (size_t)n;
	}
}

static struct gm_ctl_answer first_answer(void)
{
	struct gm_ctl_answer answer = {0};
	struct gm_bytes frame = {0};
	enum gm_err err;

	cr_assert(gm_ctl_frame_next(&got, &frame, &err));
	cr_assert_eq(gm_ctl_answer_decode(frame, &answer), GM_E_OK);
	return answer;
}

Test(server, answers_only_when_flushed)
{
	struct pollfd fds[GM_CTL_FDS_MAX];
	int fd = dial();

	turn();
	say(fd, "0");
	unsigned n = gm_ctl_server_poll(server, fds);
	cr_assert_eq(poll(fds, n, 0), 1);
	gm_ctl_server_receive(server, fds, n);
	cr_expect_eq(handled, 1);
	cr_expect(hear(fd));
	cr_expect_eq(got.n, 0);
	gm_ctl_server_flush(server);
	cr_expect(hear(fd));
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	close(fd);
}

Test(server, lets_the_owner_and_its_group_at_the_socket_and_nobody_else)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0660);
}

Test(server, puts_a_request_together_from_single_bytes)
{
	const char frame[] = "\0\0\0\x0c\xa2\x62id\x01\x64verb\x61"
			     "0";
	int fd = dial();

	turn();
	for (size_t i = 0; i + 1 < sizeof(frame); i++) {
		cr_expect_eq(handled, 0);
		cr_assert_eq(send(fd, frame + i, 1, 0), 1);
		turn();
	}
	cr_expect_eq(handled, 1);
	close(fd);
}

Test(server, answers_garbage_with_an_error_and_hangs_up)
{
	int fd = dial();

	turn();
	cr_assert_eq(send(fd, "\0\0\0\3\xff\xff\xff", 7, 0), 7);
	turns(2);
	cr_expect(!hear(fd));
	cr_expect_eq(first_answer().kind, GM_CTL_ERROR);
	cr_expect_eq(handled, 0);
	close(fd);
}

Test(server, answers_an_oversize_length_with_an_error_and_hangs_up)
{
	int fd = dial();

	turn();
	cr_assert_eq(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
	turns(2);
	cr_expect(!hear(fd));
	cr_expect(gm_bytes_is(first_answer().code, "too_large"));
	close(fd);
}

Test(server, outlives_a_client_that_leaves_in_the_middle)
{
	int fd = dial(), other = dial();

	turns(2);
	cr_assert_eq(send(fd, "\0\0\1\0half", 8, 0), 8);
	turn();
	close(fd);
	errno = EAGAIN; /* an old error must not hide the end */
	turn();
	struct pollfd fds[GM_CTL_FDS_MAX];
	cr_expect_eq(gm_ctl_server_poll(server, fds), 2, "the other one and the listener");
	say(other, "900");
	turn();
	close(other);
	turns(3);
	fd = dial();
	turn();
	say(fd, "0");
	turn();
	cr_expect(hear(fd));
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	close(fd);
}

Test(server, does_not_read_on_while_an_answer_waits_for_a_slow_reader)
{
	int fd = dial();

	turn();
	for (unsigned i = 0; i < 20; i++)
		say(fd, "900"); /* 900 kB each */
	turns(40);
	cr_expect_eq(handled, 1, "%u answers are held for one slow reader", handled);
	for (unsigned i = 0; i < 2000 && handled < 20; i++) {
		hear(fd);
		turn();
	}
	cr_expect_eq(handled, 20);
	close(fd);
}

Test(server, refuses_a_path_where_somebody_listens_and_replaces_a_dead_socket)
{
	struct gm_ctl_server *second = NULL;

	cr_expect_eq(open_server(&second), GM_E_BUSY);
	gm_ctl_server_close(server);
	server = NULL;

	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	cr_assert_eq(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(dead);
	cr_expect_eq(open_server(&server), GM_E_OK, "%s", why);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* With n copies of a descriptor. */
static void say_with(int fd, const char *verb, unsigned n)
{
	struct gm_ctl_request request = {.id = 1};
	struct gm_ctl_buf out = {0};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};

	snprintf(request.verb, sizeof(request.verb), "%s", verb);
	cr_assert_eq(gm_ctl_request_append(&out, &request), GM_E_OK);
	struct iovec iov = {out.bytes, out.n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int))};
	for (unsigned i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	cr_assert_eq(sendmsg(fd, &msg, 0), (ssize_t)out.n);
	gm_ctl_buf_free(&out);
}

Test(server, keeps_no_descriptor_that_came_with_a_request)
{
	int fd = dial();

	turns(2);
	const unsigned before = open_descriptors();
	for (unsigned n = 1; n <= 4; n++) {
		say_with(fd, "0", n);
		turns(3);
	}
	cr_assert_eq(handled, 4u);
	cr_assert_eq(open_descriptors(), before);
	close(fd);
}

Test(server, says_when_the_unix_group_does_not_exist)
{
	struct gm_ctl_server *second = NULL;
	const struct gm_ctl_server_config config = {.path = path, .group = "no-such-group", .handle = handle};

	cr_expect_eq(gm_ctl_server_open(&second, &config, why), GM_E_UNKNOWN);
	cr_expect_str_eq(why, "there is no Unix group 'no-such-group'");
}

static void expects_denial(int fd)
{
	turns(2);
	cr_expect(!hear(fd));
	cr_expect(gm_bytes_is(first_answer().code, "denied"));
	cr_expect_eq(handled, 0);
}

Test(server, denies_a_user_who_is_neither_root_nor_us_nor_in_the_group)
{
	if (geteuid() != 0)
		cr_skip("needs root to become somebody else");
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_assert_eq(seteuid(65534), 0);
	int fd = dial();
	cr_assert_eq(seteuid(0), 0);
	expects_denial(fd);
	close(fd);
}
