/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets: one hears of changes, one reads lists. A neighbour that changed is taken as it is told; any other change
 * only makes us read all lists anew, at most every 100 ms, since a route's meaning depends on the others. */
#include "port/dpdk/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_MAX 8u /* messages at once: what remains waits for the next turn */
#define MS 1000000u
#define AGAIN_NS (100u * MS)
#define REFRESH_NS (30000ull * MS)
#define MANAGE_NS (1000ull * MS)
#define OPEN_MS 3000

static const struct {
	uint16_t type;
	uint8_t family;
} steps[] = {
    {RTM_GETADDR, AF_UNSPEC}, {RTM_GETRULE, AF_INET},   {RTM_GETRULE, AF_INET6},
    {RTM_GETROUTE, AF_INET},  {RTM_GETROUTE, AF_INET6}, {RTM_GETNEIGH, AF_UNSPEC},
};
#define STEPS_N (sizeof(steps) / sizeof(steps[0]))

/* Bytes of what has come: 0: nothing, or it did not come from the kernel; below 0: something was lost. */
static ssize_t receive(int fd, struct gm_netlink *nl)
{
	struct sockaddr_nl from;
	socklen_t from_n = sizeof(from);
	ssize_t n = recvfrom(fd, nl->buf, sizeof(nl->buf), MSG_TRUNC, (struct sockaddr *)&from, &from_n);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n > (ssize_t)sizeof(nl->buf))
		return -1;
	return from.nl_pid == 0 ? n : 0; /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): recvfrom() fills it, by a transparent union */
}

static bool tell(int fd, const void *bytes, size_t n)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(fd, bytes, n, 0, (struct sockaddr *)&kernel, sizeof(kernel)) == (ssize_t)n;
}

/* ---- lists, one after the other */

static void ask(struct gm_netlink *nl)
{
	struct {
		struct nlmsghdr m;
		struct rtmsg head; /* its family is where all of them have it */
	} q = {.m = {.nlmsg_len = sizeof(q),
	             .nlmsg_type = steps[nl->step].type,
	             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	             .nlmsg_seq = ++nl->seq},
	       .head = {.rtm_family = steps[nl->step].family}};

	if (!tell(nl->lists, &q, sizeof(q))) {
		nl->step = STEPS_N;
		nl->again = true;
	}
}

static void begin(struct gm_netlink *nl, uint64_t now_ns)
{
	nl->again = nl->torn = false;
	nl->next_ns = now_ns + AGAIN_NS;
	nl->step = 0;
	gm_hops_begin(nl->rtnl.hops);
	ask(nl);
}

static void give_up(struct gm_netlink *nl)
{
	nl->step = STEPS_N; /* the lists that are in force stay so */
	nl->again = true;
}

/* Lists that changed while they were read are not taken. */
static void step_done(struct gm_netlink *nl, uint64_t now_ns)
{
	if (++nl->step < STEPS_N)
		ask(nl);
	else if (nl->torn)
		nl->again = true;
	else
		gm_hops_done(nl->rtnl.hops, now_ns);
}

/* A kernel without IPv6 has no such list; one whose rules cannot be read may have surprising ones. */
static void step_failed(struct gm_netlink *nl, int err, uint64_t now_ns)
{
	if (err == EBUSY) { /* a list that was given up is still on its way */
		give_up(nl);
		return;
	}
	if (steps[nl->step].type == RTM_GETRULE && err != EOPNOTSUPP && err != EAFNOSUPPORT)
		gm_hops_policy(nl->rtnl.hops);
	step_done(nl, now_ns);
}

static void take_from_list(struct gm_netlink *nl, const struct nlmsghdr *m, uint64_t now_ns)
{
	if (m->nlmsg_seq != nl->seq || nl->step >= STEPS_N)
		return;
	nl->torn = nl->torn || m->nlmsg_flags & NLM_F_DUMP_INTR;
	if (m->nlmsg_type == NLMSG_DONE)
		step_done(nl, now_ns);
	else if (m->nlmsg_type == NLMSG_ERROR && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		step_failed(nl, -((const struct nlmsgerr *)NLMSG_DATA(m))->error, now_ns);
	else
		gm_rtnl_listed(&nl->rtnl, m);
}

/* false: nothing has come. */
static bool read_list(struct gm_netlink *nl, uint64_t now_ns)
{
	const uint8_t *p = (const uint8_t *)nl->buf;
	ssize_t n = receive(nl->lists, nl);
	size_t step, left = n > 0 ? (size_t)n : 0;

	if (n < 0)
		give_up(nl);
	for (const struct nlmsghdr *m; (m = gm_rtnl_first(p, left, &step)); p += step, left -= step)
		take_from_list(nl, m, now_ns);
	return n != 0;
}

static void read_events(struct gm_netlink *nl)
{
	for (unsigned i = 0; i < RECEIVE_MAX; i++) {
		const uint8_t *p = (const uint8_t *)nl->buf;
		ssize_t n = receive(nl->events, nl);
		size_t step, left = n > 0 ? (size_t)n : 0;

		if (n == 0)
			return;
		nl->again = nl->again || n < 0;
		for (const struct nlmsghdr *m; (m = gm_rtnl_first(p, left, &step)); p += step, left -= step)
			nl->again = gm_rtnl_happened(&nl->rtnl, m) || nl->again;
	}
}

/* The kernel keeps a router's MAC address fresh by itself, if it knows how; else our datagrams make it ask. */
static void look_after_router(struct gm_netlink *nl, uint64_t now_ns)
{
	uint8_t ip[16], request[GM_RTNL_MANAGE];

	if (now_ns < nl->manage_ns || !gm_hops_stale_router(nl->rtnl.hops, ip))
		return;
	nl->manage_ns = now_ns + MANAGE_NS;
	tell(nl->lists, request, gm_rtnl_manage(request, nl->rtnl.ifindex, ip));
}

void gm_netlink_turn(struct gm_netlink *nl, uint64_t now_ns)
{
	if (!nl)
		return;
	read_events(nl);
	if (nl->step == STEPS_N && now_ns >= nl->next_ns + (nl->again ? 0 : REFRESH_NS))
		begin(nl, now_ns);
	for (unsigned i = 0; i < RECEIVE_MAX && nl->step < STEPS_N && read_list(nl, now_ns); i++)
		;
	look_after_router(nl, now_ns);
}

int gm_netlink_fd(const struct gm_netlink *nl)
{
	return nl ? nl->events : -1;
}

/* ---- life */

static int open_socket(unsigned groups)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

#define GROUP(name) (1u << (RTNLGRP_##name - 1))
#define GROUPS                                                                                                             \
	(GROUP(NEIGH) | GROUP(IPV4_ROUTE) | GROUP(IPV6_ROUTE) | GROUP(IPV4_IFADDR) | GROUP(IPV6_IFADDR) |                      \
	 GROUP(IPV4_RULE) | GROUP(LINK) | GROUP(IPV6_RULE))

/* While the lists change all the time they are read once more; after three seconds with what there is, which is nothing. */
static void first_lists(struct gm_netlink *nl, uint64_t now_ns)
{
	begin(nl, now_ns);
	for (unsigned waited = 0; nl->step < STEPS_N && waited < OPEN_MS; waited += 10) {
		struct pollfd fd = {.fd = nl->lists, .events = POLLIN};

		poll(&fd, 1, 10);
		gm_netlink_turn(nl, now_ns);
	}
}

struct gm_netlink *gm_netlink_open(struct gm_hops *hops, unsigned ifindex, uint64_t now_ns)
{
	struct gm_netlink *nl = calloc(1, sizeof(*nl));

	_Static_assert(RTNLGRP_IPV6_RULE <= 32, "bind() takes 32 groups");
	if (!nl)
		return NULL;
	nl->rtnl = (struct gm_rtnl){.hops = hops, .ifindex = ifindex};
	nl->step = STEPS_N;
	nl->events = open_socket(GROUPS);
	nl->lists = nl->events < 0 ? -1 : open_socket(0);
	if (nl->lists >= 0) {
		first_lists(nl, now_ns);
		return nl;
	}
	int why = errno;
	gm_netlink_close(nl);
	errno = why;
	return NULL;
}

void gm_netlink_close(struct gm_netlink *nl)
{
	if (!nl)
		return;
	if (nl->events >= 0)
		close(nl->events);
	if (nl->lists >= 0)
		close(nl->lists);
	free(nl);
}
