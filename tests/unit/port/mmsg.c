/* SPDX-License-Identifier: Apache-2.0 */
#define PORT mmsg
#include "kernel.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static bool no_memory; /* the kernel has none for what is to be sent */

/* In the place of libc's. */
int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	if (no_memory) {
		errno = ENOBUFS;
		return -1;
	}
	return (int)syscall(SYS_sendmmsg, fd, m, n, flags);
}

Test(mmsg, waits_a_moment_and_no_longer_while_the_kernel_has_no_memory, .timeout = 120)
{
	struct gm_port *a = open_port("127.0.0.1:0", 8), *b = open_port("127.0.0.1:0", 8);
	struct gm_dgram d;

	cr_assert_eq(ops->tx_get(a, &d, 1), 1);
	memcpy(d.data, "later", 5);
	d.len = 5;
	d.local = ops->bound(a, 0);
	d.peer = ops->bound(b, 0);
	no_memory = true;
	cr_expect_eq(ops->tx_burst(a, &d, 1), 0, "it stays with the caller");
	uint64_t from = ops->now_ns(a);
	for (unsigned i = 0; i < 10; i++)
		ops->wait(a, 60ull * S);
	uint64_t took = ops->now_ns(a) - from;
	cr_expect_geq(took, 5 * MS, "ready to send, but there is no use in trying at once");
	cr_expect_leq(took, 50ull * S);
	no_memory = false;
	cr_expect_eq(ops->tx_burst(a, &d, 1), 1);
	cr_expect(hear(b, &d));
	ops->close(a);
	ops->close(b);
}
