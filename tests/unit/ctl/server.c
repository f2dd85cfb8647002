/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/server.h"
#include "wire/cbor.h"

static char dir[] = "/tmp/gm-ctl-XXXXXX", path[64], why[GM_WHY];
static struct gm_ctl_server *server;
static unsigned handled;
static uint64_t asked_over, gone_n, gone_last; /* numbers of connections */
static struct gm_ctl_buf got;

static unsigned long_one; /* calls of the verb "long", which is done with the third */
static bool happened;     /* what the verb "wait" waits for */

/* Answers with as many rows of 1,000 bytes as the verb says. */
static void handle(void *arg, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	static const uint8_t filler[1000];

	(void)arg;
	handled++;
	asked_over = request->conn;
	if (strcmp(request->verb, "long") == 0) {
		cr_expect_eq(request->again, long_one > 0);
		reply->later = ++long_one < 3;
		if (reply->later)
			return;
	}
	if (strcmp(request->verb, "wait") == 0 && !happened) {
		reply->later = reply->waits = true;
		return;
	}
	for (int n = atoi(request->verb); n > 0; n--) {
		gm_ctl_put_bytes(reply, "filler", filler, sizeof(filler));
		gm_ctl_row(reply);
	}
	gm_ctl_end(reply);
}

static void note_gone(void *arg, uint64_t conn)
{
	(void)arg;
	gone_n++;
	gone_last = conn;
}

static enum gm_err open_server(struct gm_ctl_server **to)
{
	const struct gm_ctl_server_config config = {.path = path, .handle = handle, .gone = note_gone};
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

Test(server, asks_again_for_what_takes_several_turns_and_serves_others_meanwhile)
{
	int fd = dial(), other = dial();
	bool more = true;

	turns(2);
	say(fd, "long");
	say(other, "0");
	for (unsigned i = 0; i < 3; i++) {
		struct pollfd fds[GM_CTL_FDS_MAX];
		unsigned n = gm_ctl_server_poll(server, fds);
		cr_assert_geq(poll(fds, n, 0), 0);
		gm_ctl_server_receive(server, fds, n);
		more = gm_ctl_server_flush(server);
		cr_expect_eq(more, i < 2, "whether the next turn is due at once");
		cr_expect(hear(fd));
		cr_expect_eq(got.n > 0, i == 2, "it has its answer at the end");
		cr_expect_eq(long_one, i + 1);
	}
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	gm_ctl_buf_eat(&got, got.n - got.at);
	cr_expect(hear(other));
	cr_expect_gt(got.n, 0);
	gm_ctl_buf_eat(&got, got.n - got.at);
	say(fd, "0");
	turn();
	cr_expect(hear(fd));
	cr_expect_gt(got.n, 0, "and it can ask for something else");
	close(fd);
	close(other);
}

/* How many descriptors have something to tell: 0 lets core's thread sleep. */
static int ready(void)
{
	struct pollfd fds[GM_CTL_FDS_MAX];
	unsigned n = gm_ctl_server_poll(server, fds);

	return poll(fds, n, 0);
}

Test(server, sleeps_while_a_request_waits_and_forgets_it_when_who_asked_has_gone)
{
	struct pollfd fds[GM_CTL_FDS_MAX];
	int fd = dial();

	turn();
	say(fd, "wait");
	turn();
	cr_expect_eq(handled, 1);
	cr_expect_eq(ready(), 0);
	cr_assert_eq(send(fd, "", 1, 0), 1);
	cr_expect_eq(ready(), 0, "one more byte wakes nobody");
	shutdown(fd, SHUT_WR);
	cr_expect_eq(ready(), 1);
	turn();
	cr_expect_eq(handled, 1, "it is not asked about once more");
	cr_assert_eq(gone_n, 1);
	cr_expect_eq(gone_last, asked_over);
	cr_expect_eq(gm_ctl_server_poll(server, fds), 1, "its place is free");
	cr_expect_eq(ready(), 0);
	close(fd);
}

Test(server, reads_on_when_what_a_request_waited_for_has_happened)
{
	int fd = dial();

	turn();
	say(fd, "wait");
	turn();
	say(fd, "0");
	turns(3);
	cr_expect_eq(handled, 4, "each turn it is looked whether it has happened");
	happened = true;
	turn();
	cr_expect(hear(fd));
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	const size_t one = got.n;
	turn();
	cr_expect(hear(fd));
	cr_expect_eq(got.n, 2 * one, "what was said meanwhile has its answer, too");
	close(fd);
}

Test(server, makes_turns_again_for_what_is_long_after_another_has_waited)
{
	int fd = dial();

	turn();
	say(fd, "wait");
	turn();
	happened = true;
	turn();
	say(fd, "long");
	struct pollfd fds[GM_CTL_FDS_MAX];
	unsigned n = gm_ctl_server_poll(server, fds);
	cr_assert_eq(poll(fds, n, 0), 1);
	gm_ctl_server_receive(server, fds, n);
	cr_expect(gm_ctl_server_flush(server), "the next turn is due at once");
	close(fd);
}

Test(server, tells_which_connection_asked_and_that_it_has_gone)
{
	int other = dial(), fd;

	turn();
	fd = dial();
	turn();
	say(other, "0");
	turns(2);
	const uint64_t first = asked_over;
	say(fd, "0");
	turns(2);
	cr_expect_neq(asked_over, first);
	cr_expect_eq(gone_n, 0);
	close(fd);
	turns(2);
	cr_expect_eq(gone_n, 1);
	cr_expect_eq(gone_last, asked_over);
	close(other);
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
	const struct gm_ctl_server_config config = {.path = path, .groups = {[GM_CTL_ADMIN] = "no-such-group"}, .handle = handle};

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

/* ---- levels */

static enum gm_ctl_level level_seen;

static void note_level(void *arg, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	(void)arg;
	level_seen = request->level;
	gm_ctl_end(reply);
}

/* A server whose viewers are of group 1, operators of 2, admins of 3; asked by a user of these groups. */
static enum gm_ctl_level level_of_groups(gid_t primary, gid_t other)
{
	static const char names[][8] = {"daemon", "bin", "sys"};
	const struct gm_ctl_server_config config = {
		.path = path, .groups = {[GM_CTL_VIEWER] = names[0], names[1], names[2]}, .handle = note_level};

	gm_ctl_server_close(server);
	level_seen = GM_CTL_NOBODY;
	cr_assert_eq(gm_ctl_server_open(&server, &config, why), GM_E_OK, "%s", why);
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(setgroups(1, &other), 0);
	cr_assert_eq(setegid(primary), 0);
	cr_assert_eq(seteuid(65534), 0);
	int fd = dial();
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(setegid(0), 0);
	turn();
	if (hear(fd)) /* it was not sent away */
		say(fd, "0");
	turns(2);
	close(fd);
	return level_seen;
}

Test(server, gives_each_the_highest_level_that_its_groups_have)
{
	if (geteuid() != 0)
		cr_skip("needs root to become somebody else");
	cr_expect_eq(level_of_groups(1, 65534), GM_CTL_VIEWER, "by its primary group");
	cr_expect_eq(level_of_groups(65534, 2), GM_CTL_OPERATOR, "by another");
	cr_expect_eq(level_of_groups(3, 1), GM_CTL_ADMIN);
	cr_expect_eq(level_of_groups(2, 1), GM_CTL_OPERATOR);
	cr_expect_eq(level_of_groups(65534, 65534), GM_CTL_NOBODY, "it is not even asked");
}

/* ---- places, and who is kept from blocking them */

/* As somebody whose only Unix group is this: 1 for viewers, 2 operators, 3 admins. */
static int dial_of(gid_t group)
{
	cr_assert_eq(setgroups(0, NULL), 0);
	cr_assert_eq(setegid(group), 0);
	cr_assert_eq(seteuid(65534), 0);
	int fd = dial();
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(setegid(0), 0);
	turn();
	return fd;
}

static void serve_levels(void)
{
	const struct gm_ctl_server_config config = {
		.path = path, .groups = {[GM_CTL_VIEWER] = "daemon", "bin", "sys"}, .handle = handle};

	if (geteuid() != 0)
		cr_skip("needs root to become somebody else");
	gm_ctl_server_close(server);
	cr_assert_eq(gm_ctl_server_open(&server, &config, why), GM_E_OK, "%s", why);
	cr_assert_eq(chmod(dir, 0755), 0);
}

Test(server, cuts_off_who_leaves_an_answer_unread)
{
	const struct gm_ctl_server_config config = {.path = path, .handle = handle, .patience_ms = 1};

	gm_ctl_server_close(server);
	cr_assert_eq(gm_ctl_server_open(&server, &config, why), GM_E_OK, "%s", why);
	int reads_not = dial(), says_not = dial();
	turns(3);
	say(reads_not, "900");
	turn();
	usleep(20000);
	turn();
	cr_expect_not(hear(reads_not), "closed behind what the socket had taken");
	cr_expect(hear(says_not), "nothing is due to the other one");
	close(reads_not);
	close(says_not);
}

Test(server, gives_a_higher_level_the_place_of_a_lower_one_that_reads_nothing)
{
	int fds[GM_CTL_CONNS_MAX];

	serve_levels();
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++) {
		fds[i] = dial_of(1);
		say(fds[i], "900");
		turn();
	}
	cr_assert_eq(handled, GM_CTL_CONNS_MAX);
	int viewer = dial_of(1), operator = dial_of(2);
	cr_expect_not(hear(viewer));
	cr_expect(gm_bytes_is(first_answer().code, "full"));
	gm_ctl_buf_eat(&got, got.n - got.at);
	say(operator, "0");
	turn();
	cr_expect(hear(operator));
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	gm_ctl_buf_eat(&got, got.n - got.at);
	cr_expect_not(hear(fds[0]), "the one that had stood still longest");
	cr_expect(hear(fds[1]));
	close(viewer);
	close(operator);
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++)
		close(fds[i]);
}

Test(server, gives_no_place_to_a_stranger)
{
	int fds[GM_CTL_CONNS_MAX];

	serve_levels();
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++)
		fds[i] = dial_of(1);
	int stranger = dial_of(65534);
	cr_expect_not(hear(stranger));
	cr_expect(gm_bytes_is(first_answer().code, "denied"));
	gm_ctl_buf_eat(&got, got.n - got.at);
	for (unsigned i = 0; i < GM_CTL_CONNS_MAX; i++) {
		cr_expect(hear(fds[i]), "%u went", i);
		close(fds[i]);
	}
	close(stranger);
}

/* One whose last close waits five minutes for what its peer does not read. */
static int lingering_socket(int *peer)
{
	static const uint8_t filler[1u << 16];
	const struct linger linger = {.l_onoff = 1, .l_linger = 300};
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	*peer = accept(listener, NULL, NULL);
	close(listener);
	while (send(fd, filler, sizeof(filler), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

static void pass(int fd, int passed)
{
	struct iovec iov = {(uint8_t[]){0}, 1};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.align), &passed, sizeof(int));
	cr_assert_eq(sendmsg(fd, &msg, 0), 1);
	close(passed);
}

Test(server, does_not_wait_for_a_descriptor_that_who_is_no_admin_passes, .timeout = 200)
{
	int viewer_peer, stranger_peer;

	serve_levels();
	int viewer = dial_of(1);
	pass(viewer, lingering_socket(&viewer_peer));
	turns(2);
	cr_expect_not(hear(viewer), "it is cut off");

	cr_assert_eq(setgroups(0, NULL), 0);
	cr_assert_eq(seteuid(65534), 0);
	int stranger = dial();
	cr_assert_eq(seteuid(0), 0);
	pass(stranger, lingering_socket(&stranger_peer));
	turns(2);
	cr_expect_not(hear(stranger));
	cr_expect_eq(handled, 0);
	close(viewer_peer);
	close(stranger_peer);
	close(viewer);
	close(stranger);
}

/* ---- watching */

static void watch_any(void *arg, const struct gm_ctl_request *request, struct gm_ctl_reply *reply)
{
	(void)arg;
	if (strcmp(request->verb, "0") == 0) {
		gm_ctl_end(reply);
		return;
	}
	reply->watches = true;
	reply->no_members = strcmp(request->verb, "few") == 0;
	snprintf(reply->group, sizeof(reply->group), "%s", strcmp(request->verb, "all") == 0 || reply->no_members ? "" : request->verb);
}

static void serve_watchers(void)
{
	const struct gm_ctl_server_config config = {.path = path, .handle = watch_any};

	gm_ctl_server_close(server);
	cr_assert_eq(gm_ctl_server_open(&server, &config, why), GM_E_OK, "%s", why);
}

static int watcher(const char *group)
{
	int fd = dial();

	turn();
	say(fd, group);
	turns(2);
	return fd;
}

/* The events in what is there to be read, with a space behind each; and how many were lost. */
static const char *events_of(int fd, uint64_t *lost)
{
	static char text[1u << 20];
	struct gm_bytes frame;
	enum gm_err err;
	size_t n = 0;

	*lost = 0;
	text[0] = '\0';
	hear(fd);
	while (gm_ctl_frame_next(&got, &frame, &err)) {
		struct gm_ctl_answer answer;
		cr_assert_eq(gm_ctl_answer_decode(frame, &answer), GM_E_OK);
		cr_assert_eq(answer.kind, GM_CTL_ROW);
		struct gm_in in = gm_in_bytes(answer.pairs);
		for (uint64_t pairs = gm_cbor_map(&in); pairs; pairs--) {
			struct gm_bytes key = gm_cbor_tstr(&in);
			if (gm_bytes_is(key, "events")) {
				*lost += gm_cbor_uint(&in);
			} else if (gm_bytes_is(key, "event") || gm_bytes_is(key, "why")) {
				struct gm_bytes word = gm_cbor_tstr(&in);
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s ", (int)word.n, (const char *)word.p);
			} else {
				gm_cbor_skip(&in);
			}
		}
		gm_ctl_buf_eat(&got, 4 + frame.n);
	}
	return text;
}

Test(server, tells_those_who_watch_what_happens_and_only_of_the_group_they_named)
{
	uint64_t lost;

	serve_watchers();
	int all = watcher("all"), one = watcher("g2");
	cr_expect_str_eq(events_of(all, &lost), "watching ");
	cr_expect_str_eq(events_of(one, &lost), "watching ");
	gm_ctl_server_tell(server, 5, "join.ok group=g1 node=n num=1 again=0");
	gm_ctl_server_tell(server, 5, "token.ok as=1 ctx=00000001 again=0");
	gm_ctl_server_tell(server, 5, "member.remove group=g2 node=n reason=token-expired");
	gm_ctl_server_tell(server, 5, "trl.failed as=1 why=\"no \"answer\"\" retry_ms=5");
	cr_expect_str_eq(events_of(all, &lost), "", "not before the flush");
	turn();
	cr_expect_str_eq(events_of(all, &lost), "joined expired as-unreachable no \"answer\" ");
	cr_expect_str_eq(events_of(one, &lost), "expired as-unreachable no \"answer\" ");
	close(all);
	close(one);
}

Test(server, leaves_out_who_came_and_went_where_that_is_asked_for)
{
	uint64_t lost;

	serve_watchers();
	int few = watcher("few");
	cr_expect_str_eq(events_of(few, &lost), "watching ");
	gm_ctl_server_tell(server, 5, "join.ok group=g1 node=n num=1 again=0");
	gm_ctl_server_tell(server, 5, "join.ok group=g1 node=n num=1 again=1");
	gm_ctl_server_tell(server, 5, "member.remove group=g1 node=n reason=leave");
	gm_ctl_server_tell(server, 5, "member.remove group=g2 node=n reason=token-expired");
	gm_ctl_server_tell(server, 5, "member.remove group=g2 node=n reason=evicted");
	gm_ctl_server_tell(server, 5, "rekey.start group=g1 num=2");
	turn();
	cr_expect_str_eq(events_of(few, &lost), "evicted rekey-started ");
	close(few);
}

Test(server, lets_who_reads_too_slowly_lose_events_and_says_how_many)
{
	uint64_t lost, told = 0;

	serve_watchers();
	int slow = watcher("all"), quick = watcher("all");
	events_of(slow, &lost);
	events_of(quick, &lost);
	for (unsigned i = 0; i < 20000; i++) {
		gm_ctl_server_tell(server, 5, "join.ok group=a-group-with-a-long-name-1234567890 node=abcdefgh num=1 again=0");
		turn();
		for (const char *p = events_of(quick, &lost); (p = strstr(p, "joined ")); p++)
			told++;
		cr_assert_eq(lost, 0, "the other one reads");
	}
	cr_expect_eq(told, 20000);
	told = 0;
	for (uint64_t all_lost = 0;; all_lost += lost) {
		const char *text = events_of(slow, &lost);
		for (const char *p = text; (p = strstr(p, "joined ")); p++)
			told++;
		if (!text[0]) {
			cr_expect_gt(all_lost, 0);
			cr_expect_eq(told + all_lost, 20000, "%llu told, %llu lost", (unsigned long long)told, (unsigned long long)all_lost);
			break;
		}
		turns(3);
	}
	close(slow);
	close(quick);
}

Test(server, lets_no_more_watch_than_its_bound_and_goes_on_answering)
{
	int fds[GM_CTL_WATCHERS_MAX + 1];
	uint64_t lost;

	serve_watchers();
	for (unsigned i = 0; i <= GM_CTL_WATCHERS_MAX; i++)
		fds[i] = watcher("all");
	cr_expect_str_eq(events_of(fds[0], &lost), "watching ");
	hear(fds[GM_CTL_WATCHERS_MAX]);
	cr_expect_eq(first_answer().kind, GM_CTL_ERROR);
	gm_ctl_buf_eat(&got, got.n - got.at);
	close(fds[0]);
	turns(2);
	say(fds[GM_CTL_WATCHERS_MAX], "0");
	turns(2);
	hear(fds[GM_CTL_WATCHERS_MAX]);
	cr_expect_eq(first_answer().kind, GM_CTL_END);
	gm_ctl_buf_eat(&got, got.n - got.at);
	say(fds[GM_CTL_WATCHERS_MAX], "all");
	turns(2);
	cr_expect_str_eq(events_of(fds[GM_CTL_WATCHERS_MAX], &lost), "watching ", "the one that went made room");
	for (unsigned i = 1; i <= GM_CTL_WATCHERS_MAX; i++)
		close(fds[i]);
}

Test(server, ends_a_watch_when_its_watcher_says_something_more)
{
	serve_watchers();
	int fd = watcher("all");
	say(fd, "0");
	turns(2);
	cr_expect_not(hear(fd), "closed");
	close(fd);
}
