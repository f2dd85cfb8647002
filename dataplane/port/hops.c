/* SPDX-License-Identifier: Apache-2.0 */
#include "port/hops.h"

#include <stdlib.h>

#include "port/util.h"

#define MASK (GM_HOPS_NEIGHS - 1)
#define NEIGHS_MAX (GM_HOPS_NEIGHS / 4 * 3)
#define ASK_NS 1000000000u

struct neigh {
	uint8_t ip[16], mac[6];
	uint8_t state;      /* enum gm_hop_state; NONE in a slot that is used: gone, its MAC not known */
	uint8_t generation; /* of the list that named it; 0: the slot is free */
	uint64_t asked_ns;  /* when the kernel had the last datagram for it, 0: never */
};

struct local {
	uint8_t ip[16], bits;
};

struct net { /* a prefix, as two words of memory */
	uint64_t ip[2], mask[2];
	bool whole; /* nothing of it has a more exact route */
};

struct list { /* as the kernel told it at once */
	struct gm_route route[2][GM_HOPS_ROUTES]; /* IPv6, IPv4; the most exact first */
	struct net net[2][GM_HOPS_ROUTES]; /* theirs */
	unsigned route_n[2];
	struct local addr[GM_HOPS_ADDRS];
	struct net addr_net[GM_HOPS_ADDRS]; /* theirs */
	unsigned addr_n;
	unsigned last[2]; /* the route that was taken last */
	bool policy, full[2];
};

struct gm_hops {
	struct list *now, *next; /* next: what is being read */
	struct neigh *neigh;
	unsigned neigh_n; /* slots used */
	uint8_t generation;
	uint64_t lists, read_ns;
	uint8_t router[16]; /* not fresh, not yet told of */
	bool router_stale;
};

struct gm_hops *gm_hops_new(void)
{
	struct gm_hops *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->now = calloc(1, sizeof(*h->now));
	h->next = calloc(1, sizeof(*h->next));
	h->neigh = calloc(GM_HOPS_NEIGHS, sizeof(*h->neigh));
	h->generation = 1;
	if (h->now && h->next && h->neigh)
		return h;
	gm_hops_free(h);
	return NULL;
}

void gm_hops_free(struct gm_hops *h)
{
	if (!h)
		return;
	free(h->now);
	free(h->next);
	free(h->neigh);
	free(h);
}

/* ---- neighbours: open addressing, linear probing; slots are emptied only by making the table anew */

static uint32_t slot_of(const uint8_t ip[static 16])
{
	uint64_t a, b;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	a = (a ^ (b * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
	return (uint32_t)(a >> 40) & MASK;
}

/* The neighbour's slot, or the free one where it would be; three quarters are used at most, so there is one. */
static struct neigh *neigh_slot(const struct gm_hops *h, const uint8_t ip[static 16])
{
	uint32_t i = slot_of(ip);

	while (h->neigh[i].generation && memcmp(h->neigh[i].ip, ip, 16) != 0)
		i = (i + 1) & MASK;
	return &h->neigh[i];
}

void gm_hops_neigh(struct gm_hops *h, const uint8_t ip[static 16], enum gm_hop_state state, const uint8_t mac[static 6])
{
	struct neigh *n = neigh_slot(h, ip);

	if (!n->generation) {
		if (state == GM_HOP_NONE || h->neigh_n == NEIGHS_MAX)
			return;
		h->neigh_n++;
		memcpy(n->ip, ip, 16);
	}
	n->generation = h->generation;
	n->state = (uint8_t)state;
	if (state != GM_HOP_NONE)
		memcpy(n->mac, mac, 6);
}

/* Those of this generation that have a MAC, into an empty table. Where there is no memory for one all stay, but old ones
 * are no longer used. */
static void forget_old(struct gm_hops *h)
{
	struct neigh *old = h->neigh, *fresh = h->neigh_n ? calloc(GM_HOPS_NEIGHS, sizeof(*fresh)) : NULL;

	if (!h->neigh_n)
		return;
	if (fresh) {
		h->neigh = fresh;
		h->neigh_n = 0;
	}
	for (uint32_t i = 0; i < GM_HOPS_NEIGHS; i++) {
		if (!old[i].generation)
			continue;
		if (old[i].generation != h->generation)
			old[i].state = GM_HOP_NONE;
		if (!fresh || old[i].state == GM_HOP_NONE)
			continue;
		*neigh_slot(h, old[i].ip) = old[i];
		h->neigh_n++;
	}
	if (fresh)
		free(old);
}

/* ---- lists */

void gm_hops_begin(struct gm_hops *h)
{
	h->next->route_n[0] = h->next->route_n[1] = h->next->addr_n = 0;
	h->next->policy = h->next->full[0] = h->next->full[1] = false;
	h->generation = h->generation == UINT8_MAX ? 1 : (uint8_t)(h->generation + 1);
}

void gm_hops_route(struct gm_hops *h, const struct gm_route *route)
{
	bool v4 = gm_is_v4(route->to);
	struct list *l = h->next;

	if (l->route_n[v4] == GM_HOPS_ROUTES)
		l->full[v4] = true;
	else
		l->route[v4][l->route_n[v4]++] = *route;
}

void gm_hops_addr(struct gm_hops *h, const uint8_t ip[static 16], unsigned bits)
{
	if (h->next->addr_n == GM_HOPS_ADDRS || bits > 128)
		return;
	struct local *l = &h->next->addr[h->next->addr_n++];
	memcpy(l->ip, ip, 16);
	l->bits = (uint8_t)bits;
}

void gm_hops_policy(struct gm_hops *h)
{
	h->next->policy = true;
}

static int more_exact(const void *a, const void *b)
{
	const struct gm_route *p = a, *q = b;
	int by_prefix = memcmp(p->to, q->to, 16);

	if (p->bits != q->bits)
		return p->bits > q->bits ? -1 : 1;
	if (by_prefix)
		return by_prefix;
	return p->metric != q->metric ? (p->metric < q->metric ? -1 : 1) : 0;
}

/* Which of two equal routes counts only the kernel knows. */
static void leave_equals(struct gm_route *r, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (more_exact(&r[i - 1], &r[i]) == 0)
			r[i - 1].kernel = r[i].kernel = true;
}

static struct net net_of(const uint8_t to[static 16], unsigned bits)
{
	uint8_t mask[16] = {0};
	struct net n = {.whole = true};

	bits = bits < 128 ? bits : 128;
	memset(mask, 0xff, bits / 8);
	if (bits % 8)
		mask[bits / 8] = (uint8_t)(0xff00u >> bits % 8);
	memcpy(n.ip, to, 16);
	memcpy(n.mask, mask, 16);
	for (unsigned i = 0; i < 2; i++)
		n.ip[i] &= n.mask[i];
	return n;
}

static bool is_in(const uint64_t ip[static 2], const struct net *n)
{
	return (((ip[0] & n->mask[0]) ^ n->ip[0]) | ((ip[1] & n->mask[1]) ^ n->ip[1])) == 0;
}

static void make_nets(struct list *l, unsigned f)
{
	for (unsigned i = 0; i < l->route_n[f]; i++) {
		struct net *n = &l->net[f][i];
		*n = net_of(l->route[f][i].to, l->route[f][i].bits);
		for (unsigned j = 0; j < i && n->whole; j++)
			n->whole = !is_in(l->net[f][j].ip, n);
	}
	l->last[f] = 0;
}

void gm_hops_done(struct gm_hops *h, uint64_t now_ns)
{
	struct list *read = h->next;

	for (unsigned f = 0; f < 2; f++) {
		qsort(read->route[f], read->route_n[f], sizeof(read->route[f][0]), more_exact);
		leave_equals(read->route[f], read->route_n[f]);
		make_nets(read, f);
	}
	for (unsigned i = 0; i < read->addr_n; i++)
		read->addr_net[i] = net_of(read->addr[i].ip, read->addr[i].bits);
	h->next = h->now;
	h->now = read;
	h->lists++;
	h->read_ns = now_ns;
	forget_old(h);
}

/* ---- questions */

static const struct gm_route *route_to(const struct gm_hops *h, const uint8_t ip[static 16], uint64_t now_ns)
{
	bool v4 = gm_is_v4(ip);
	uint64_t a[2];

	if (h->now->policy || h->now->full[v4] || now_ns > h->read_ns + GM_HOPS_OLD_NS)
		return NULL;
	memcpy(a, ip, 16);
	unsigned i = h->now->last[v4];
	if (i < h->now->route_n[v4] && h->now->net[v4][i].whole && is_in(a, &h->now->net[v4][i]))
		return &h->now->route[v4][i];
	for (i = 0; i < h->now->route_n[v4] && !is_in(a, &h->now->net[v4][i]); i++)
		;
	h->now->last[v4] = i;
	return i < h->now->route_n[v4] ? &h->now->route[v4][i] : NULL;
}

static void tell_router(struct gm_hops *h, const struct gm_route *r, bool on_link)
{
	if (on_link)
		return;
	memcpy(h->router, r->via, 16);
	h->router_stale = true;
}

bool gm_hops_find(struct gm_hops *h, const uint8_t ip[static 16], uint64_t now_ns, uint8_t mac[static 6])
{
	static const uint8_t on_link[16];
	const struct gm_route *r = route_to(h, ip, now_ns);

	if (!r || r->kernel)
		return false;
	bool direct = memcmp(r->via, on_link, 16) == 0;
	struct neigh *n = neigh_slot(h, direct ? ip : r->via);
	if (!n->generation || n->state == GM_HOP_NONE) {
		tell_router(h, r, direct);
		return false;
	}
	if (n->state == GM_HOP_STALE && (!n->asked_ns || now_ns - n->asked_ns >= ASK_NS)) {
		n->asked_ns = now_ns;
		tell_router(h, r, direct);
		return false;
	}
	memcpy(mac, n->mac, 6);
	return true;
}

bool gm_hops_is_local(const struct gm_hops *h, const uint8_t ip[static 16])
{
	uint64_t a[2];

	memcpy(a, ip, 16);
	for (unsigned i = 0; i < h->now->addr_n; i++)
		if (is_in(a, &h->now->addr_net[i]))
			return true;
	return false;
}

bool gm_hops_is_sender(const struct gm_hops *h, const uint8_t ip[static 16])
{
	bool one = gm_is_v4(ip) ? ip[12] != 0 && ip[12] < 224 : !gm_is_any(ip) && ip[0] != 0xff;

	return one && !gm_is_loopback(ip) && !gm_hops_is_local(h, ip);
}

bool gm_hops_local(const struct gm_hops *h, unsigned i, uint8_t ip[static 16], unsigned *bits)
{
	if (i >= h->now->addr_n)
		return false;
	memcpy(ip, h->now->addr[i].ip, 16);
	*bits = h->now->addr[i].bits;
	return true;
}

uint64_t gm_hops_lists(const struct gm_hops *h)
{
	return h->lists;
}

bool gm_hops_stale_router(struct gm_hops *h, uint8_t ip[static 16])
{
	if (!h->router_stale)
		return false;
	memcpy(ip, h->router, 16);
	h->router_stale = false;
	return true;
}
