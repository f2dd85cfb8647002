/* SPDX-License-Identifier: Apache-2.0 */
/* Who may take over, and what is understood on the line between two processes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/handover.h"

static char dir[] = "/tmp/handover.XXXXXX";
static char control[64], path[108], why[GM_WHY];
static struct gm_handover old, new;

static void open_both(void)
{
	cr_assert(mkdtemp(dir) != NULL);
	chmod(dir, 0755);
	snprintf(control, sizeof(control), "%s/gmd.sock", dir);
	cr_assert(gm_handover_path(control, path));
	cr_assert_eq(gm_handover_listen(&old, control, 0, why), GM_E_OK, "%s", why);
}

static void close_both(void)
{
	gm_handover_close(&old);
	gm_handover_close(&new);
	unlink(path);
	rmdir(dir);
}

TestSuite(handover, .init = open_both, .fini = close_both);

static void connect_both(void)
{
	cr_assert_eq(gm_handover_connect(&new, control, why), GM_E_OK, "%s", why);
	gm_handover_accept(&old, 1);
	cr_assert_gt(old.line, 0);
}

static enum gm_err hear(struct gm_handover *h, struct gm_handover_msg *msg)
{
	unsigned n;

	return gm_handover_receive(h, msg, NULL, 0, &n, why);
}

Test(handover, says_messages_both_ways_and_passes_descriptors)
{
	struct gm_handover_msg msg = {.step = GM_HANDOVER_READY, .turn = 7};
	int file = gm_handover_file(), got[2] = {-1, -1};
	unsigned n;

	connect_both();
	cr_expect_eq(old.pid, getpid());
	cr_expect_eq(hear(&old, &msg), GM_E_BUSY);
	msg = (struct gm_handover_msg){.step = GM_HANDOVER_READY, .turn = 7};
	cr_assert_eq(gm_handover_send(&new, &msg, &file, 1), GM_E_OK);
	msg = (struct gm_handover_msg){0};
	cr_assert_eq(gm_handover_receive(&old, &msg, got, 2, &n, why), GM_E_OK, "%s", why);
	cr_expect_eq(msg.step, (uint32_t)GM_HANDOVER_READY);
	cr_expect_eq(msg.turn, 7u);
	cr_assert_eq(n, 1u);
	cr_expect(fcntl(got[0], F_GETFD) & FD_CLOEXEC, "nobody inherits it");
	cr_expect(gm_handover_is_file(got[0]));
	cr_assert_eq(gm_handover_send(&old, &msg, NULL, 0), GM_E_OK);
	cr_expect_eq(hear(&new, &msg), GM_E_OK);
	gm_handover_hang_up(&old);
	cr_expect_eq(hear(&new, &msg), GM_E_IO);
	close(got[0]);
	close(file);
}

Test(handover, refuses_another_format_and_says_why)
{
	struct gm_handover_msg msg = {.step = GM_HANDOVER_HELLO};

	connect_both();
	memcpy(msg.magic, "gmd hand", 8);
	msg.handover = GM_HANDOVER_FORMAT + 1;
	msg.carry = 1;
	cr_assert_eq(send(new.line, &msg, sizeof(msg), 0), (ssize_t)sizeof(msg));
	cr_expect_eq(hear(&old, &msg), GM_E_STORE_VERSION);
	cr_expect(strstr(why, "different formats"), "%s", why);
	gm_handover_refuse(&old, why);
	cr_assert_eq(hear(&new, &msg), GM_E_OK);
	cr_expect_eq(msg.step, (uint32_t)GM_HANDOVER_REFUSED);
	cr_expect(strstr(msg.why, "different formats"));
}

Test(handover, understands_no_noise)
{
	static const size_t lengths[] = {1, 7, 8, 20, 100, sizeof(struct gm_handover_msg) - 1, sizeof(struct gm_handover_msg) + 1, 4000};
	struct gm_handover_msg msg;
	char noise[4000];

	connect_both();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(noise, (int)i, sizeof(noise));
		cr_assert_eq(send(new.line, noise, lengths[i], 0), (ssize_t)lengths[i]);
		cr_expect_eq(hear(&old, &msg), GM_E_BAD_FORMAT, "%zu bytes", lengths[i]);
	}
}

Test(handover, closes_descriptors_that_nobody_asked_for)
{
	struct gm_handover_msg msg = {.step = GM_HANDOVER_LOADED};
	int fds[20], first = dup(0);

	connect_both();
	close(first);
	for (unsigned i = 0; i < 20; i++)
		fds[i] = 0;
	cr_assert_eq(gm_handover_send(&new, &msg, fds, 20), GM_E_OK);
	int before = dup(0);
	close(before);
	cr_expect_eq(hear(&old, &msg), GM_E_OK);
	int after = dup(0);
	close(after);
	cr_expect_eq(after, before);
}

Test(handover, is_for_one_at_a_time)
{
	struct gm_handover third = {0};
	struct gm_handover_msg msg;

	connect_both();
	cr_assert_eq(gm_handover_connect(&third, control, why), GM_E_OK);
	gm_handover_accept(&old, 2);
	cr_assert_eq(hear(&third, &msg), GM_E_OK);
	cr_expect_eq(msg.step, (uint32_t)GM_HANDOVER_REFUSED);
	cr_expect_eq(hear(&new, &msg), GM_E_BUSY, "the first one stays");
	gm_handover_close(&third);
}

/* Another user: 0 the socket lets nobody in, 1 it was told that this is not for it. */
static int as_nobody(bool open_mode)
{
	struct gm_handover_msg msg;
	int status;

	if (open_mode)
		chmod(path, 0666);
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_un addr = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(100);
		memcpy(addr.sun_path, path, sizeof(addr.sun_path));
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
			_exit(errno == EACCES ? 0 : 101);
		if (recv(fd, &msg, sizeof(msg), 0) != (ssize_t)sizeof(msg) || msg.step != GM_HANDOVER_REFUSED)
			_exit(102);
		_exit(strcmp(msg.why, "permission denied") == 0 ? 1 : 103);
	}
	if (open_mode) {
		struct pollfd fds[GM_HANDOVER_POLL];
		unsigned n = gm_handover_poll(&old, fds);
		cr_assert_eq(poll(fds, n, 60000), 1);
		gm_handover_accept(&old, 1);
		cr_expect_eq(old.line, 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 104;
}

Test(handover, is_for_our_own_user_alone, .timeout = 120)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600u);
	if (geteuid() != 0)
		cr_skip("only root can become another user");
	cr_expect_eq(as_nobody(false), 0, "by its mode");
	cr_expect_eq(as_nobody(true), 1, "and by who it is");
}

Test(handover, is_not_begun_with_a_listener_of_another_user, .timeout = 120)
{
	int ready[2], status;
	char c;

	if (geteuid() != 0)
		cr_skip("only root can become another user");
	unlink(path);
	chmod(dir, 0777);
	cr_assert_eq(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct gm_handover other = {0};
		if (setgid(65534) < 0 || setuid(65534) < 0 || gm_handover_listen(&other, control, 0, why) != GM_E_OK ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	cr_assert_eq(read(ready[0], &c, 1), 1);
	cr_expect_eq(gm_handover_connect(&new, control, why), GM_E_DENIED);
	cr_expect(strstr(why, "another user"), "%s", why);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

Test(handover, says_that_nobody_runs_and_what_starts_one)
{
	char none[80], said[200];

	snprintf(none, sizeof(none), "%s/none.sock", dir);
	snprintf(said, sizeof(said), "no gmd runs at %s: gmd run starts one", none);
	cr_expect_eq(gm_handover_connect(&new, none, why), GM_E_UNKNOWN);
	cr_expect_str_eq(why, said);
	why[0] = '\0';
	cr_expect(gm_handover_nobody(none, why));
	cr_expect_str_eq(why, said);
}

Test(handover, file_is_in_memory_sealed_and_not_changed_any_more)
{
	char name[] = "/tmp/handover-file.XXXXXX";
	int file = gm_handover_file(), on_disk = mkstemp(name), unsealed = memfd_create("x", MFD_CLOEXEC);

	cr_expect(gm_handover_is_file(file));
	cr_expect_not(gm_handover_is_file(on_disk));
	unlink(name);
	cr_expect_not(gm_handover_is_file(on_disk), "nor without a name");
	cr_expect_not(gm_handover_is_file(unsealed), "one that cannot be sealed");
	cr_assert_eq(write(file, "12345678", 8), 8);
	cr_expect_not(gm_handover_is_file(file), "not empty any more");
	cr_expect_not(gm_handover_sealed(file, 8));
	cr_assert(gm_handover_seal(file));
	cr_expect(gm_handover_sealed(file, 8));
	cr_expect_not(gm_handover_sealed(file, 7));
	cr_expect_eq(write(file, "x", 1), -1);
	cr_expect_eq(ftruncate(file, 0), -1);
	close(file);
	close(on_disk);
	close(unsealed);
}
