/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addr.h"
#include "port/udp.h"

/* From here on this process finds a kernel without IPv6. */
static void lose_ipv6(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

static void send_from(struct gm_udp *u, const struct gm_addr *local, const struct gm_addr *peer)
{
	uint64_t control[GM_UDP_CONTROL / 8];
	union gm_udp_name name;
	struct iovec iov = {.iov_base = "ping", .iov_len = 4};
	struct msghdr m = {.msg_name = &name, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};

	m.msg_namelen = gm_udp_put_name(u, &name, peer);
	m.msg_controllen = gm_udp_put_source(u, control, local);
	cr_assert_eq(sendmsg(u->fd, &m, 0), 4);
}

static void receive(struct gm_udp *u, struct gm_addr *local, struct gm_addr *peer)
{
	uint64_t control[GM_UDP_CONTROL / 8];
	char data[16];
	union gm_udp_name name;
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr m = {.msg_name = &name,
	                   .msg_namelen = sizeof(name),
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = control,
	                   .msg_controllen = sizeof(control)};

	cr_assert_eq(recvmsg(u->fd, &m, 0), 4);
	*peer = gm_udp_get_name(&name);
	*local = gm_udp_get_local(u, control, m.msg_controllen);
}

static void passes_with_both_addresses(const char *a_text, const char *b_text, const char *from_text,
                                       const char *to_text)
{
	struct gm_addr on_a = addr(a_text), on_b = addr(b_text), from = addr(from_text), to = addr(to_text), local,
	               peer;
	struct gm_udp a, b;

	cr_assert_eq(gm_udp_open(&a, &on_a, 1 << 20), GM_E_OK);
	cr_assert_eq(gm_udp_open(&b, &on_b, 1 << 20), GM_E_OK);
	to.port = b.bound.port;
	send_from(&a, &from, &to);
	receive(&b, &local, &peer);
	from.port = a.bound.port;
	cr_expect(gm_addr_eq(&local, &to));
	cr_expect(gm_addr_eq(&peer, &from));
	gm_udp_close(&a);
	gm_udp_close(&b);
}

Test(udp, passes_datagrams_with_both_addresses_whatever_the_sockets_are_bound_to)
{
	passes_with_both_addresses("0.0.0.0", "127.0.0.1", "127.1.2.3", "127.0.0.1");
	passes_with_both_addresses("127.1.2.3", "0.0.0.0", "127.1.2.3", "127.4.5.6");
	passes_with_both_addresses("127.1.2.3", "127.0.0.1", "127.1.2.3", "127.0.0.1");
	passes_with_both_addresses("::1", "::1", "::1", "::1");
	passes_with_both_addresses("0.0.0.0", "::", "127.1.2.3", "127.4.5.6");
	passes_with_both_addresses("::", "::", "::1", "::1");
}

Test(udp, serves_ipv4_where_the_kernel_has_no_ipv6)
{
	struct gm_addr six = addr("::1");
	struct gm_udp u;

	lose_ipv6();
	passes_with_both_addresses("0.0.0.0", "127.0.0.1", "127.1.2.3", "127.0.0.1");
	passes_with_both_addresses("127.9.9.9", "0.0.0.0", "127.9.9.9", "127.4.5.6");
	cr_expect_eq(gm_udp_open(&u, &six, 1 << 20), GM_E_IO);
	cr_expect_eq(errno, EAFNOSUPPORT);
}

Test(udp, refuses_to_send_from_an_ipv4_socket_to_an_ipv6_address)
{
	struct gm_addr on = addr("127.0.0.1"), to = addr("[2001:db8::7f00:1]:5683");
	union gm_udp_name name;
	struct gm_udp u;

	cr_assert_eq(gm_udp_open(&u, &on, 1 << 20), GM_E_OK);
	socklen_t n = gm_udp_put_name(&u, &name, &to);
	cr_expect_eq(sendto(u.fd, "x", 1, 0, &name.any, n), -1);
	cr_expect_eq(errno, EAFNOSUPPORT);
	gm_udp_close(&u);
}

Test(udp, sends_ipv4_with_dont_fragment_from_every_socket)
{
	static const char *const on[] = {"127.0.0.1", "0.0.0.0", "::"};

	for (unsigned i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
		struct gm_addr at = addr(on[i]);
		struct gm_udp u;
		int how = -1;
		socklen_t n = sizeof(how);

		cr_assert_eq(gm_udp_open(&u, &at, 1 << 20), GM_E_OK);
		cr_expect_eq(getsockopt(u.fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, &n), 0);
		cr_expect_eq(how, IP_PMTUDISC_PROBE, "%s", on[i]);
		gm_udp_close(&u);
	}
}

Test(udp, grants_at_least_the_systems_default_buffer_and_says_how_much)
{
	struct gm_addr any = addr("127.0.0.1");
	struct gm_udp u;

	cr_assert_eq(gm_udp_open(&u, &any, 8u << 20), GM_E_OK);
	cr_expect_geq(u.rcvbuf, 200000);
	gm_udp_close(&u);
}

Test(udp, picks_the_socket_that_can_send)
{
	struct gm_udp u[] = {{.bound = addr("127.0.0.1:5683")},
	                     {.bound = addr("[::1]:5683")},
	                     {.bound = addr("[::1]:5684")},
	                     {.bound = addr("[::]:7000")}};
	struct gm_addr none = {0}, v4 = addr("127.1.1.1:1"), v6 = addr("[::2]:1"), local = addr("[::1]:5684");

	cr_expect_eq(gm_udp_pick(u, 4, &none, &v4), 0);
	cr_expect_eq(gm_udp_pick(u, 4, &none, &v6), 1);
	cr_expect_eq(gm_udp_pick(u, 4, &local, &v6), 2);
	local = addr("::1");
	cr_expect_eq(gm_udp_pick(u, 4, &local, &v6), 1);
	local = addr("127.5.5.5");
	cr_expect_eq(gm_udp_pick(u, 4, &local, &v4), 3);
}
