/* SPDX-License-Identifier: Apache-2.0 */
/* What a ring of the port is good for, once it is open: receiving and sending on its own sockets, and nothing else; and that when asked. */
#include <criterion/criterion.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "port/uring.c"

static struct uring_port *opened(void)
{
	struct gm_port_config config = {.listen_n = 1};
	struct gm_port *port;

	if (!gm_port_uring_permitted())
		cr_skip("io_uring is not permitted: %s", strerror(errno));
	gm_addr_parse(&config.listen[0], "127.0.0.1:0");
	cr_assert_eq(gm_port_uring.open(&port, &config), GM_E_OK, "%s", strerror(errno));
	return uring(port);
}

static void send_to_itself(struct gm_port *port)
{
	struct gm_dgram d;

	cr_assert_eq(uring_tx_get(port, &d, 1), 1);
	memcpy(d.data, "hello", d.len = 5);
	d.peer = d.local = uring_bound(port, 0);
	cr_assert_eq(uring_tx_burst(port, &d, 1), 1);
}

/* What the kernel says to one more operation. */
static int result_of(struct uring_port *u, struct io_uring_sqe *sqe)
{
	struct io_uring_cqe *cqe;
	int res = 1;

	sqe->user_data = 4711;
	cr_assert_gt(io_uring_submit_and_wait(&u->ring, 1), -1);
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		if (cqe->user_data == 4711)
			res = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
	}
	return res;
}

Test(uring_confined, ring_refuses_every_operation_but_its_own)
{
	struct uring_port *u = opened();
	char byte;

	for (unsigned op = 0; op < IORING_OP_LAST; op++) {
		if (op == IORING_OP_RECVMSG || op == IORING_OP_SENDMSG || op == IORING_OP_SEND || op == IORING_OP_POLL_ADD)
			continue;
		struct io_uring_sqe *sqe = get_sqe(u);
		io_uring_prep_rw((int)op, sqe, 0, &byte, 1, 0);
		sqe->flags |= IOSQE_FIXED_FILE;
		cr_expect_eq(result_of(u, sqe), -EACCES, "operation %u", op);
	}
	uring_close((struct gm_port *)u);
}

Test(uring_confined, ring_refuses_files_that_are_not_its_own)
{
	struct uring_port *u = opened();
	struct io_uring_sqe *sqe = get_sqe(u);
	int fd = u->udp[0].fd;

	io_uring_prep_send(sqe, fd, "x", 1, 0);
	cr_expect_eq(result_of(u, sqe), -EACCES, "by its number in the process");
	cr_expect_eq(io_uring_register_files_update(&u->ring, 0, &fd, 1), -EACCES);
	cr_expect_eq(io_uring_register_eventfd(&u->ring, u->event), -EACCES);
	sqe = get_sqe(u);
	io_uring_prep_send(sqe, (int)u->udp_n + 1, "x", 1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	cr_expect_eq(result_of(u, sqe), -EBADF, "there is none behind the event");
	uring_close((struct gm_port *)u);
}

Test(uring_confined, ring_carries_datagrams_all_the_same)
{
	struct uring_port *u = opened();
	struct gm_port *port = (struct gm_port *)u;
	struct gm_dgram d;
	unsigned got = 0;

	send_to_itself(port);
	for (unsigned i = 0; i < 100 && !got; i++) {
		uring_wait(port, 100000000);
		got = uring_rx_burst(port, &d, 1);
	}
	cr_assert_eq(got, 1);
	cr_expect_eq(d.len, 5);
	uring_rx_put(port, &d, 1);
	uring_wake(port); /* the event is one of its files */
	u->woken = false;
	uring_wait(port, UINT64_C(5000000000));
	cr_expect_not(u->woken, "it was, and was taken back");
	cr_expect_eq(u->event_count, 1);
	uring_close(port);
}

/* Whether a datagram waits in the socket, which it may begin to do a moment after it was sent. */
static bool waits_in_socket(struct uring_port *u)
{
	struct pollfd fd = {.fd = u->udp[0].fd, .events = POLLIN};

	return poll(&fd, 1, 30000) == 1;
}

Test(uring_confined, datagram_that_comes_while_nobody_asks_stays_in_its_socket)
{
	struct uring_port *u = opened();
	struct gm_port *port = (struct gm_port *)u;
	struct gm_dgram d;

	cr_expect_eq(uring_rx_burst(port, &d, 1), 0);
	send_to_itself(port);
	io_uring_get_events(&u->ring);
	reap(u);
	cr_expect(waits_in_socket(u));
	io_uring_get_events(&u->ring);
	reap(u);
	cr_expect(waits_in_socket(u) && u->in_head == u->in_tail);
	cr_expect_eq(uring_rx_burst(port, &d, 1), 1);
	uring_rx_put(port, &d, 1);
	uring_halt(port);
	send_to_itself(port);
	cr_expect(waits_in_socket(u));
	cr_expect_eq(uring_rx_burst(port, &d, 1), 0, "it is the successor's");
	uring_resume(port);
	cr_expect_eq(uring_rx_burst(port, &d, 1), 1);
	uring_rx_put(port, &d, 1);
	uring_close(port);
}

static uint32_t bytes_in_socket(const struct uring_port *u, unsigned i)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t n = sizeof(mem);

	cr_assert_eq(getsockopt(u->udp[i].fd, SOL_SOCKET, SO_MEMINFO, mem, &n), 0);
	return mem[SK_MEMINFO_RMEM_ALLOC];
}

Test(uring_confined, burst_takes_all_that_wait)
{
	struct uring_port *u = opened();
	struct gm_port *port = (struct gm_port *)u;
	struct gm_dgram d[GM_PORT_BURST];

	for (unsigned i = 0; i < GM_PORT_BURST; i++) {
		const uint32_t before = bytes_in_socket(u, 0);
		send_to_itself(port);
		while (bytes_in_socket(u, 0) == before)
			usleep(1000);
	}
	cr_expect_eq(uring_rx_burst(port, d, GM_PORT_BURST), GM_PORT_BURST);
	uring_rx_put(port, d, GM_PORT_BURST);
	uring_close(port);
}

/* n datagrams from a socket of their own, and in the port's when it returns; of each `every` the last has len bytes, the others have five. */
static void come(struct uring_port *u, unsigned socket_i, unsigned n, unsigned every, size_t len)
{
	static const char bytes[4000] = "hello";
	const struct gm_addr to = u->udp[socket_i].bound;
	union gm_udp_name name;
	const socklen_t name_n = gm_udp_put_name(&u->udp[socket_i], &name, &to);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (unsigned i = 1; i <= n; i++) {
		const uint32_t before = bytes_in_socket(u, socket_i);
		cr_assert_geq(sendto(fd, bytes, i % every ? 5 : len, 0, &name.any, name_n), 0);
		while (bytes_in_socket(u, socket_i) == before)
			usleep(1000);
	}
	close(fd);
}

Test(uring_confined, burst_is_full_while_more_waits_whatever_lies_between)
{
	static const struct { unsigned every; size_t len; } mixes[] = {{2, 2500}, {8, 2500}, {2, 0}, {4, 0}, {16, 0}};
	struct gm_dgram d[GM_PORT_BURST];

	for (unsigned i = 0; i < sizeof(mixes) / sizeof(*mixes); i++) {
		struct uring_port *u = opened();
		struct gm_port *port = (struct gm_port *)u;

		come(u, 0, 2 * GM_PORT_BURST, mixes[i].every, mixes[i].len);
		cr_expect_eq(uring_rx_burst(port, d, GM_PORT_BURST), GM_PORT_BURST, "each %u-th of %zu bytes", mixes[i].every, mixes[i].len);
		uring_rx_put(port, d, GM_PORT_BURST);
		uring_close(port);
	}
}

Test(uring_confined, socket_that_always_has_more_leaves_buffers_to_the_others)
{
	enum { FEW = 8, BUSY = 64 };
	struct gm_port_config config = {.listen_n = 2, .rx_bufs = FEW};
	struct gm_port *port;
	struct gm_dgram d[FEW];
	unsigned quiet = 0;

	if (!gm_port_uring_permitted())
		cr_skip("io_uring is not permitted: %s", strerror(errno));
	gm_addr_parse(&config.listen[0], "127.0.0.1:0");
	gm_addr_parse(&config.listen[1], "127.0.0.1:0");
	cr_assert_eq(gm_port_uring.open(&port, &config), GM_E_OK, "%s", strerror(errno));
	come(uring(port), 1, 1, 2, 0);
	for (unsigned turn = 0; turn < 4; turn++) {
		come(uring(port), 0, BUSY, BUSY + 1, 0);
		unsigned n = uring_rx_burst(port, d, FEW);
		for (unsigned i = 0; i < n; i++)
			quiet += d[i].local.port == uring_bound(port, 1).port;
		uring_rx_put(port, d, n);
	}
	cr_expect_eq(quiet, 1);
	uring_close(port);
}

/* From now on io_uring_register() does not know that operation, as a kernel from before it. */
static void kernel_without(unsigned operation)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_register, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, operation, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	cr_assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

static void expect_not_permitted_without(unsigned operation)
{
	uring_close((struct gm_port *)opened()); /* it is, with that */
	kernel_without(operation);
	cr_expect_not(gm_port_uring_permitted());
	cr_expect_eq(errno, EINVAL);
}

Test(uring_confined, is_not_permitted_where_the_kernel_has_no_buffer_rings)
{
	expect_not_permitted_without(IORING_REGISTER_PBUF_RING);
}

Test(uring_confined, is_not_permitted_where_the_kernel_has_no_restrictions)
{
	expect_not_permitted_without(IORING_REGISTER_RESTRICTIONS);
}

Test(uring_confined, is_not_permitted_where_files_cannot_be_registered)
{
	expect_not_permitted_without(IORING_REGISTER_FILES);
}
