/* SPDX-License-Identifier: Apache-2.0 */
#include "port/rtnl.h"

#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "port/util.h"

#define ALIGN4(n) (((n) + 3u) & ~3u)
#define ATTRS 32u

struct attr {
	const uint8_t *at; /* NULL: not there */
	size_t n;
};

struct attrs {
	struct attr of[ATTRS];
};

const struct nlmsghdr *gm_rtnl_first(const void *bytes, size_t n, size_t *step)
{
	const struct nlmsghdr *m = bytes;

	if (n < sizeof(*m) || m->nlmsg_len < sizeof(*m) || m->nlmsg_len > n)
		return NULL;
	*step = ALIGN4(m->nlmsg_len) < n ? ALIGN4(m->nlmsg_len) : n;
	return m;
}

/* What follows head bytes of the message's own; the last of a kind counts. */
static struct attrs attrs_of(const struct nlmsghdr *m, size_t head)
{
	const uint8_t *p = (const uint8_t *)m + NLMSG_HDRLEN + ALIGN4(head), *end = (const uint8_t *)m + m->nlmsg_len;
	struct attrs attrs = {0};
	struct nlattr a;

	while (p < end && (size_t)(end - p) >= sizeof(a)) {
		memcpy(&a, p, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > end - p)
			break;
		unsigned type = a.nla_type & (unsigned)NLA_TYPE_MASK;
		if (type < ATTRS)
			attrs.of[type] = (struct attr){.at = p + sizeof(a), .n = a.nla_len - sizeof(a)};
		if ((size_t)(end - p) <= ALIGN4(a.nla_len))
			break;
		p += ALIGN4(a.nla_len);
	}
	return attrs;
}

static bool has(const struct attrs *attrs, unsigned type)
{
	return attrs->of[type].at != NULL;
}

static uint32_t number(const struct attrs *attrs, unsigned type, uint32_t absent)
{
	uint32_t v = absent;

	if (attrs->of[type].n >= sizeof(v))
		memcpy(&v, attrs->of[type].at, sizeof(v));
	return v;
}

static bool is_ip(int family)
{
	return family == AF_INET || family == AF_INET6;
}

/* IPv4 mapped; false: not there, or no address of the family */
static bool address(const struct attrs *attrs, unsigned type, int family, uint8_t ip[static 16])
{
	const struct attr *a = &attrs->of[type];

	if (!a->at || a->n != (family == AF_INET ? 4 : 16))
		return false;
	memset(ip, 0, 16);
	if (family == AF_INET)
		ip[10] = ip[11] = 0xff;
	memcpy(ip + (family == AF_INET ? 12 : 0), a->at, a->n);
	return true;
}

/* ---- what a message says */

static void take_addr(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *head = NLMSG_DATA(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	uint8_t ip[16];

	/* the near end, where there is one: ADDRESS is then the far one */
	if (is_ip(head->ifa_family) && !(head->ifa_flags & IFA_F_TENTATIVE) &&
	    (address(&attrs, IFA_LOCAL, head->ifa_family, ip) || address(&attrs, IFA_ADDRESS, head->ifa_family, ip)) && !gm_is_loopback(ip))
		gm_hops_addr(r->hops, ip, 128);
}

static bool usual_table(uint32_t table)
{
	return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

/* The kernel's three rules, and nothing but them, make the routes all there is to know. */
static void take_rule(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	static const uint8_t selectors[] = {FRA_IIFNAME, FRA_OIFNAME, FRA_FWMARK, FRA_TUN_ID, FRA_L3MDEV, FRA_UID_RANGE,
	                                    FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_GOTO};
	const struct fib_rule_hdr *head = NLMSG_DATA(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	bool usual = head->action == FR_ACT_TO_TBL && !head->src_len && !head->dst_len && !head->tos &&
	             !(head->flags & FIB_RULE_INVERT) && usual_table(number(&attrs, FRA_TABLE, head->table)) &&
	             number(&attrs, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX) == UINT32_MAX;

	for (size_t i = 0; i < sizeof(selectors); i++)
		usual = usual && !has(&attrs, selectors[i]);
	if (!usual)
		gm_hops_policy(r->hops);
}

static bool plain_route(const struct gm_rtnl *r, const struct rtmsg *head, const struct attrs *attrs)
{
	return head->rtm_type == RTN_UNICAST && !head->rtm_tos && !head->rtm_src_len &&
	       !(head->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) && !has(attrs, RTA_MULTIPATH) && !has(attrs, RTA_VIA) &&
	       !has(attrs, RTA_ENCAP_TYPE) && !has(attrs, RTA_NH_ID) && number(attrs, RTA_OIF, 0) == r->ifindex;
}

/* A whole prefix may be local; single addresses are listed apart, and loopback's never come by a link. */
static bool local_prefix(const struct rtmsg *head, uint32_t table, const struct gm_route *route)
{
	return table == RT_TABLE_LOCAL && head->rtm_type == RTN_LOCAL && route->bits < 128 &&
	       !gm_is_loopback(route->to) && !(gm_is_v4(route->to) && route->bits <= 96);
}

static bool link_local(const uint8_t ip[static 16], unsigned bits)
{
	return bits >= 10 && ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* Table default comes after main: what only it knows the kernel may route. */
static void take_route(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	const struct rtmsg *head = NLMSG_DATA(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	struct gm_route route = {.metric = number(&attrs, RTA_PRIORITY, 0)};
	uint32_t table = number(&attrs, RTA_TABLE, head->rtm_table);
	int family = head->rtm_family;

	if ((table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) || head->rtm_flags & RTM_F_CLONED || !is_ip(family) ||
	    head->rtm_dst_len > (family == AF_INET ? 32 : 128))
		return;
	route.bits = (uint8_t)(head->rtm_dst_len + (family == AF_INET ? 96 : 0));
	if (family == AF_INET)
		route.to[10] = route.to[11] = 0xff;
	route.kernel = !plain_route(r, head, &attrs);
	if (has(&attrs, RTA_DST) && !address(&attrs, RTA_DST, family, route.to))
		return;
	if (link_local(route.to, route.bits) && number(&attrs, RTA_OIF, 0) != r->ifindex)
		return; /* every interface has that prefix; peers there are told apart by their scope */
	if (has(&attrs, RTA_GATEWAY) && !address(&attrs, RTA_GATEWAY, family, route.via))
		route.kernel = true;
	gm_hops_route(r->hops, &route);
	if (local_prefix(head, table, &route))
		gm_hops_addr(r->hops, route.to, route.bits);
}

static enum gm_hop_state state_of(const struct nlmsghdr *m, const struct ndmsg *head, const struct attr *mac)
{
	if (m->nlmsg_type == RTM_DELNEIGH || mac->n != 6)
		return GM_HOP_NONE;
	if (head->ndm_state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP))
		return GM_HOP_FRESH;
	return head->ndm_state & (NUD_STALE | NUD_DELAY | NUD_PROBE) ? GM_HOP_STALE : GM_HOP_NONE;
}

static void take_neigh(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	static const uint8_t none[6];
	const struct ndmsg *head = NLMSG_DATA(m);
	struct attrs attrs = attrs_of(m, sizeof(*head));
	const struct attr *mac = &attrs.of[NDA_LLADDR];
	uint8_t ip[16];

	if (head->ndm_ifindex != (int)r->ifindex || head->ndm_flags & NTF_PROXY || !is_ip(head->ndm_family) ||
	    !address(&attrs, NDA_DST, head->ndm_family, ip))
		return;
	enum gm_hop_state state = state_of(m, head, mac);
	gm_hops_neigh(r->hops, ip, state, state == GM_HOP_NONE ? none : mac->at);
}

static const struct said {
	uint16_t type;
	uint16_t head; /* bytes it has at least */
	void (*take)(const struct gm_rtnl *r, const struct nlmsghdr *m);
} said[] = {
    {RTM_NEWADDR, sizeof(struct ifaddrmsg), take_addr}, {RTM_NEWRULE, sizeof(struct fib_rule_hdr), take_rule},
    {RTM_NEWROUTE, sizeof(struct rtmsg), take_route},   {RTM_NEWNEIGH, sizeof(struct ndmsg), take_neigh},
    {RTM_DELNEIGH, sizeof(struct ndmsg), take_neigh},
};

void gm_rtnl_listed(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (said[i].type == m->nlmsg_type && m->nlmsg_len >= NLMSG_HDRLEN + (uint32_t)said[i].head)
			said[i].take(r, m);
}

bool gm_rtnl_happened(const struct gm_rtnl *r, const struct nlmsghdr *m)
{
	if (m->nlmsg_type != RTM_NEWNEIGH && m->nlmsg_type != RTM_DELNEIGH)
		return true;
	gm_rtnl_listed(r, m);
	return false;
}

/* ---- what is asked of the kernel */

static uint8_t *put_attr(uint8_t *p, unsigned type, const void *data, size_t n)
{
	const struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + n), .nla_type = (uint16_t)type};

	memcpy(p, &a, sizeof(a));
	memcpy(p + sizeof(a), data, n);
	return p + sizeof(a) + ALIGN4(n);
}

size_t gm_rtnl_manage(uint8_t to[static GM_RTNL_MANAGE], unsigned ifindex, const uint8_t ip[static 16])
{
	bool v4 = gm_is_v4(ip);
	const uint32_t managed = NTF_EXT_MANAGED;
	struct nlmsghdr m = {.nlmsg_type = RTM_NEWNEIGH, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE};
	const struct ndmsg head = {.ndm_family = v4 ? AF_INET : AF_INET6, .ndm_ifindex = (int)ifindex};

	memset(to, 0, GM_RTNL_MANAGE);
	memcpy(to + NLMSG_HDRLEN, &head, sizeof(head));
	uint8_t *p = to + NLMSG_HDRLEN + ALIGN4(sizeof(head));
	p = put_attr(p, NDA_DST, v4 ? ip + 12 : ip, v4 ? 4 : 16);
	p = put_attr(p, NDA_FLAGS_EXT, &managed, sizeof(managed));
	m.nlmsg_len = (uint32_t)(p - to);
	memcpy(to, &m, sizeof(m));
	return m.nlmsg_len;
}
