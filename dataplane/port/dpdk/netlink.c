/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets: one hears of changes, one reads lists. A neighbour that changed is taken as it is told; any other change
 * only makes us read all lists anew, at most every 100 ms, since a route's meaning depends on the others. */
#include "port/dpdk/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#define BUF 32768u
#define RECEIVE_MAX 8u /* messages at once: what remains waits for the next turn */
#define MS 1000000u
#define AGAIN_NS (100u * MS)
#define REFRESH_NS (30000ull * MS)
#define OPEN_MS 3000

static const struct {
	uint16_t type;
	uint8_t family;
} steps[] = {
    {RTM_GETADDR, AF_UNSPEC}, {RTM_GETRULE, AF_INET},   {RTM_GETRULE, AF_INET6},
    {RTM_GETROUTE, AF_INET},  {RTM_GETROUTE, AF_INET6}, {RTM_GETNEIGH, AF_UNSPEC},
};
#define STEPS_N (sizeof(steps) / sizeof(steps[0]))

#define ATTRS 32u
struct attrs {
	const struct nlattr *at[ATTRS];
};

static int keep_attr(const struct nlattr *a, void *arg)
{
	struct attrs *attrs = arg;
	uint16_t type = mnl_attr_get_type(a);

	if (type < ATTRS)
		attrs->at[type] = a;
	return MNL_CB_OK;
}

static struct attrs attrs_of(const struct nlmsghdr *m, size_t head)
{
	struct attrs attrs = {{0}};

	mnl_attr_parse(m, (unsigned)head, keep_attr, &attrs);
	return attrs;
}

static uint32_t number(const struct attrs *attrs, unsigned type, uint32_t absent)
{
	const struct nlattr *a = attrs->at[type];

	return a && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : absent;
}

/* IPv4 mapped; false: not there, or no address of the family */
static bool address(const struct attrs *attrs, unsigned type, int family, uint8_t ip[static 16])
{
	const struct nlattr *a = attrs->at[type];

	if (!a || mnl_attr_get_payload_len(a) != (family == AF_INET ? 4 : 16))
		return false;
	memset(ip, 0, 16);
	if (family == AF_INET)
		ip[10] = ip[11] = 0xff;
	memcpy(family == AF_INET ? ip + 12 : ip, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	return true;
}

/* ---- what a message says */

static void take_addr(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	uint8_t ip[16];

	/* the near end, where there is one: ADDRESS is then the far one */
	if ((head->ifa_family == AF_INET || head->ifa_family == AF_INET6) && !(head->ifa_flags & IFA_F_TENTATIVE) &&
	    (address(&attrs, IFA_LOCAL, head->ifa_family, ip) || address(&attrs, IFA_ADDRESS, head->ifa_family, ip)))
		gm_hops_addr(nl->hops, ip);
}

static bool usual_table(uint32_t table)
{
	return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

/* The kernel's three rules, and nothing but them, make the routes all there is to know. */
static void take_rule(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	static const uint8_t selectors[] = {FRA_IIFNAME, FRA_OIFNAME, FRA_FWMARK, FRA_TUN_ID, FRA_L3MDEV, FRA_UID_RANGE,
	                                    FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_GOTO};
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	bool usual = head->action == FR_ACT_TO_TBL && !head->src_len && !head->dst_len && !head->tos &&
	             !(head->flags & FIB_RULE_INVERT) && usual_table(number(&attrs, FRA_TABLE, head->table)) &&
	             number(&attrs, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX) == UINT32_MAX;

	for (size_t i = 0; i < sizeof(selectors); i++)
		usual = usual && !attrs.at[selectors[i]];
	if (!usual)
		gm_hops_policy(nl->hops);
}

static bool plain_route(const struct gm_netlink *nl, const struct rtmsg *head, const struct attrs *attrs)
{
	return head->rtm_type == RTN_UNICAST && !head->rtm_tos && !head->rtm_src_len &&
	       !(head->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) && !attrs->at[RTA_MULTIPATH] && !attrs->at[RTA_VIA] &&
	       !attrs->at[RTA_ENCAP_TYPE] && !attrs->at[RTA_NH_ID] && number(attrs, RTA_OIF, 0) == nl->ifindex;
}

/* Table default comes after main: what only it knows the kernel may route. */
static void take_route(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	struct gm_route route = {.metric = number(&attrs, RTA_PRIORITY, 0)};
	uint32_t table = number(&attrs, RTA_TABLE, head->rtm_table);
	int family = head->rtm_family;

	if ((table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) || head->rtm_flags & RTM_F_CLONED ||
	    (family != AF_INET && family != AF_INET6) || head->rtm_dst_len > (family == AF_INET ? 32 : 128))
		return;
	route.bits = (uint8_t)(head->rtm_dst_len + (family == AF_INET ? 96 : 0));
	if (family == AF_INET)
		route.to[10] = route.to[11] = 0xff;
	route.kernel = !plain_route(nl, head, &attrs);
	if (attrs.at[RTA_DST] && !address(&attrs, RTA_DST, family, route.to))
		return;
	if (attrs.at[RTA_GATEWAY] && !address(&attrs, RTA_GATEWAY, family, route.via))
		route.kernel = true;
	gm_hops_route(nl->hops, &route);
}

static enum gm_hop_state state_of(const struct nlmsghdr *m, const struct ndmsg *head, const struct nlattr *mac)
{
	if (m->nlmsg_type == RTM_DELNEIGH || !mac || mnl_attr_get_payload_len(mac) != 6)
		return GM_HOP_NONE;
	if (head->ndm_state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP))
		return GM_HOP_FRESH;
	return head->ndm_state & (NUD_STALE | NUD_DELAY | NUD_PROBE) ? GM_HOP_STALE : GM_HOP_NONE;
}

static void take_neigh(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	static const uint8_t none[6];
	const struct ndmsg *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	const struct nlattr *mac = attrs.at[NDA_LLADDR];
	uint8_t ip[16];

	if (head->ndm_ifindex != (int)nl->ifindex || head->ndm_flags & NTF_PROXY ||
	    (head->ndm_family != AF_INET && head->ndm_family != AF_INET6) ||
	    !address(&attrs, NDA_DST, head->ndm_family, ip))
		return;
	enum gm_hop_state state = state_of(m, head, mac);
	gm_hops_neigh(nl->hops, ip, state, state == GM_HOP_NONE ? none : mnl_attr_get_payload(mac));
}

struct said {
	uint16_t type;
	uint16_t head; /* bytes it has at least */
	void (*take)(struct gm_netlink *nl, const struct nlmsghdr *m);
};

static const struct said said[] = {
    {RTM_NEWADDR, sizeof(struct ifaddrmsg), take_addr}, {RTM_NEWRULE, sizeof(struct fib_rule_hdr), take_rule},
    {RTM_NEWROUTE, sizeof(struct rtmsg), take_route},   {RTM_NEWNEIGH, sizeof(struct ndmsg), take_neigh},
    {RTM_DELNEIGH, sizeof(struct ndmsg), take_neigh},
};

static void on_list(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (said[i].type == m->nlmsg_type && mnl_nlmsg_get_payload_len(m) >= said[i].head)
			said[i].take(nl, m);
}

static int on_event(const struct nlmsghdr *m, void *arg)
{
	struct gm_netlink *nl = arg;

	if (m->nlmsg_type != RTM_NEWNEIGH && m->nlmsg_type != RTM_DELNEIGH)
		nl->again = true;
	else if (mnl_nlmsg_get_payload_len(m) >= sizeof(struct ndmsg))
		take_neigh(nl, m);
	return MNL_CB_OK;
}

/* ---- lists, one after the other */

static void ask(struct gm_netlink *nl)
{
	char buf[sizeof(struct nlmsghdr) + 64] __attribute__((aligned(8)));
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = steps[nl->step].type;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = ++nl->seq;
	struct rtmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head)); /* its family is where all of them have it */
	head->rtm_family = steps[nl->step].family;
	if (mnl_socket_sendto(nl->lists, m, m->nlmsg_len) < 0) {
		nl->step = STEPS_N;
		nl->again = true;
	}
}

static void begin(struct gm_netlink *nl, uint64_t now_ns)
{
	nl->again = nl->torn = false;
	nl->next_ns = now_ns + AGAIN_NS;
	nl->step = 0;
	gm_hops_begin(nl->hops);
	ask(nl);
}

static void give_up(struct gm_netlink *nl)
{
	nl->step = STEPS_N; /* the lists that are in force stay so */
	nl->again = true;
}

/* Lists that changed while they were read are not taken. */
static void step_done(struct gm_netlink *nl)
{
	if (++nl->step < STEPS_N)
		ask(nl);
	else if (nl->torn)
		nl->again = true;
	else
		gm_hops_done(nl->hops);
}

/* A kernel without IPv6 has no such list; one whose rules cannot be read may have surprising ones. */
static void step_failed(struct gm_netlink *nl, int err)
{
	if (err == EBUSY) { /* a list that was given up is still on its way */
		give_up(nl);
		return;
	}
	if (steps[nl->step].type == RTM_GETRULE && err != EOPNOTSUPP && err != EAFNOSUPPORT)
		gm_hops_policy(nl->hops);
	step_done(nl);
}

static void take_from_list(struct gm_netlink *nl, const struct nlmsghdr *m)
{
	if (m->nlmsg_seq != nl->seq || nl->step >= STEPS_N)
		return;
	nl->torn = nl->torn || m->nlmsg_flags & NLM_F_DUMP_INTR;
	if (m->nlmsg_type == NLMSG_DONE)
		step_done(nl);
	else if (m->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(m) >= sizeof(struct nlmsgerr))
		step_failed(nl, -((const struct nlmsgerr *)mnl_nlmsg_get_payload(m))->error);
	else
		on_list(nl, m);
}

/* false: nothing has come. */
static bool read_list(struct gm_netlink *nl, char buf[static BUF])
{
	ssize_t n = mnl_socket_recvfrom(nl->lists, buf, BUF);
	int left = (int)n;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		give_up(nl);
	for (const struct nlmsghdr *m = (const void *)buf; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
		take_from_list(nl, m);
	return true;
}

static void read_events(struct gm_netlink *nl, char buf[static BUF])
{
	for (unsigned i = 0; i < RECEIVE_MAX; i++) {
		ssize_t n = mnl_socket_recvfrom(nl->events, buf, BUF);

		if (n < 0 && errno != ENOBUFS)
			return;
		if (n < 0 || mnl_cb_run(buf, (size_t)n, 0, 0, on_event, nl) == MNL_CB_ERROR)
			nl->again = true;
	}
}

void gm_netlink_turn(struct gm_netlink *nl, uint64_t now_ns)
{
	static char buf[BUF] __attribute__((aligned(8))); /* one port in a process */

	if (!nl->events)
		return;
	read_events(nl, buf);
	if (nl->step == STEPS_N && now_ns >= nl->next_ns + (nl->again ? 0 : REFRESH_NS))
		begin(nl, now_ns);
	for (unsigned i = 0; i < RECEIVE_MAX && nl->step < STEPS_N && read_list(nl, buf); i++)
		;
}

int gm_netlink_fd(const struct gm_netlink *nl)
{
	return nl->events ? mnl_socket_get_fd(nl->events) : -1;
}

/* ---- life */

static struct mnl_socket *open_socket(unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		s = NULL;
	}
	return s;
}

#define GROUP(name) (1u << (RTNLGRP_##name - 1))
#define GROUPS                                                                                                             \
	(GROUP(NEIGH) | GROUP(IPV4_ROUTE) | GROUP(IPV6_ROUTE) | GROUP(IPV4_IFADDR) | GROUP(IPV6_IFADDR) |                      \
	 GROUP(IPV4_RULE) | GROUP(LINK) | GROUP(IPV6_RULE))

/* While the lists change all the time they are read once more; after three seconds with what there is, which is nothing. */
static void first_lists(struct gm_netlink *nl)
{
	begin(nl, 0);
	for (unsigned waited = 0; nl->step < STEPS_N && waited < OPEN_MS; waited += 10) {
		struct pollfd fd = {.fd = mnl_socket_get_fd(nl->lists), .events = POLLIN};

		poll(&fd, 1, 10);
		gm_netlink_turn(nl, 0);
	}
}

bool gm_netlink_open(struct gm_netlink *nl, struct gm_hops *hops, unsigned ifindex)
{
	_Static_assert(RTNLGRP_IPV6_RULE <= 32, "bind() takes 32 groups");

	*nl = (struct gm_netlink){.hops = hops, .ifindex = ifindex, .step = STEPS_N};
	nl->events = open_socket(GROUPS);
	nl->lists = open_socket(0);
	if (!nl->events || !nl->lists) {
		int why = errno;

		gm_netlink_close(nl);
		errno = why;
		return false;
	}
	first_lists(nl);
	return true;
}

void gm_netlink_close(struct gm_netlink *nl)
{
	if (nl->events)
		mnl_socket_close(nl->events);
	if (nl->lists)
		mnl_socket_close(nl->lists);
	nl->events = nl->lists = NULL;
}
