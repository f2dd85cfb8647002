/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "addr.h"
#include "port/hops.h"

#define S 1000000000u

static const uint8_t router[6] = {2, 0, 0, 0, 0, 1}, host[6] = {2, 0, 0, 0, 0, 2};

static void route(struct gm_hops *h, const char *to, unsigned bits, const char *via, unsigned metric, bool kernel)
{
	struct gm_route r = {.bits = (uint8_t)bits, .metric = metric, .kernel = kernel};

	memcpy(r.to, addr(to).ip, 16);
	if (via)
		memcpy(r.via, addr(via).ip, 16);
	gm_hops_route(h, &r);
}

static void neigh(struct gm_hops *h, const char *text, enum gm_hop_state state, const uint8_t *mac)
{
	gm_hops_neigh(h, addr(text).ip, state, mac);
}

static bool goes_to(struct gm_hops *h, const char *text, const uint8_t mac[6], uint64_t now_ns)
{
	uint8_t got[6];

	return gm_hops_find(h, addr(text).ip, now_ns, got) && memcmp(got, mac, 6) == 0;
}

static bool by_kernel(struct gm_hops *h, const char *text)
{
	uint8_t got[6];

	return !gm_hops_find(h, addr(text).ip, S, got);
}

static struct gm_hops *lan(void)
{
	struct gm_hops *h = gm_hops_new();

	cr_assert(h);
	gm_hops_begin(h);
	route(h, "0.0.0.0", 96, "10.0.0.1", 0, false);
	route(h, "10.0.0.0", 120, NULL, 0, false);
	route(h, "10.0.0.9", 128, NULL, 0, true);
	route(h, "::", 0, "fe80::1", 1024, false);
	route(h, "fd00::", 61, NULL, 256, false);
	gm_hops_addr(h, addr("10.0.0.9").ip, 128);
	neigh(h, "10.0.0.1", GM_HOP_FRESH, router);
	neigh(h, "10.0.0.2", GM_HOP_FRESH, host);
	neigh(h, "10.0.0.9", GM_HOP_FRESH, host);
	neigh(h, "fe80::1", GM_HOP_FRESH, router);
	neigh(h, "fd00:0:0:7::2", GM_HOP_FRESH, host);
	gm_hops_done(h, S);
	return h;
}

Test(hops, takes_the_most_exact_route)
{
	struct gm_hops *h = lan();

	cr_expect(goes_to(h, "10.0.0.2", host, S));
	cr_expect(goes_to(h, "10.0.1.2", router, S));
	cr_expect(goes_to(h, "fd00:0:0:7::2", host, S));
	cr_expect(goes_to(h, "fd00:0:0:8::2", router, S));
	gm_hops_free(h);
}

Test(hops, leaves_to_the_kernel_what_it_does_not_know)
{
	struct gm_hops *h = lan();

	cr_expect(by_kernel(h, "10.0.0.3"));
	cr_expect(by_kernel(h, "10.0.0.9"));
	cr_expect(by_kernel(h, "fd00::3"));
	gm_hops_free(h);
}

Test(hops, forgets_a_neighbour_that_failed_and_learns_it_again)
{
	struct gm_hops *h = lan();

	neigh(h, "10.0.0.2", GM_HOP_NONE, host);
	cr_expect(by_kernel(h, "10.0.0.2"));
	neigh(h, "10.0.0.2", GM_HOP_FRESH, router);
	cr_expect(goes_to(h, "10.0.0.2", router, S));
	gm_hops_free(h);
}

Test(hops, lets_the_kernel_ask_a_stale_neighbour_once_a_second)
{
	struct gm_hops *h = lan();

	neigh(h, "10.0.0.2", GM_HOP_STALE, host);
	cr_expect(by_kernel(h, "10.0.0.2"));
	cr_expect(goes_to(h, "10.0.0.2", host, S + 1));
	cr_expect(goes_to(h, "10.0.0.2", host, 2u * S - 1));
	cr_expect_not(goes_to(h, "10.0.0.2", host, 2u * (uint64_t)S));
	cr_expect(goes_to(h, "10.0.0.2", host, 2u * (uint64_t)S + 1));
	gm_hops_free(h);
}

Test(hops, keeps_the_old_lists_until_new_ones_are_whole)
{
	struct gm_hops *h = lan();

	gm_hops_begin(h);
	cr_expect(goes_to(h, "10.0.1.2", router, S));
	cr_expect(gm_hops_is_local(h, addr("10.0.0.9").ip));
	route(h, "10.0.0.0", 120, NULL, 0, false);
	neigh(h, "10.0.0.2", GM_HOP_FRESH, host);
	gm_hops_done(h, S);
	cr_expect(by_kernel(h, "10.0.1.2"));
	cr_expect(goes_to(h, "10.0.0.2", host, S));
	cr_expect_not(gm_hops_is_local(h, addr("10.0.0.9").ip));
	gm_hops_free(h);
}

Test(hops, does_not_choose_between_equal_routes_or_by_policy)
{
	struct gm_hops *h = lan();

	gm_hops_begin(h);
	route(h, "::", 0, "fe80::1", 1024, false);
	route(h, "::", 0, "fe80::2", 1024, false);
	neigh(h, "fe80::1", GM_HOP_FRESH, router);
	neigh(h, "fe80::2", GM_HOP_FRESH, host);
	gm_hops_done(h, S);
	cr_expect(by_kernel(h, "fd01::1"));
	gm_hops_begin(h);
	route(h, "::", 0, "fe80::1", 1024, false);
	route(h, "::", 0, "fe80::2", 512, false);
	neigh(h, "fe80::1", GM_HOP_FRESH, router);
	neigh(h, "fe80::2", GM_HOP_FRESH, host);
	gm_hops_done(h, S);
	cr_expect(goes_to(h, "fd01::1", host, S));
	gm_hops_begin(h);
	route(h, "::", 0, "fe80::1", 1024, false);
	neigh(h, "fe80::1", GM_HOP_FRESH, router);
	gm_hops_policy(h);
	gm_hops_done(h, S);
	cr_expect(by_kernel(h, "fd01::1"));
	gm_hops_free(h);
}

Test(hops, with_too_many_routes_all_go_by_the_kernel)
{
	struct gm_hops *h = lan();

	gm_hops_begin(h);
	route(h, "10.0.0.0", 120, NULL, 0, false);
	route(h, "fd00::", 61, NULL, 0, false);
	for (unsigned i = 0; i < GM_HOPS_ROUTES; i++)
		route(h, "10.0.1.0", 120, "10.0.0.1", i, false);
	neigh(h, "10.0.0.2", GM_HOP_FRESH, host);
	neigh(h, "fd00:0:0:7::2", GM_HOP_FRESH, host);
	gm_hops_done(h, S);
	cr_expect(by_kernel(h, "10.0.0.2"));
	cr_expect(goes_to(h, "fd00:0:0:7::2", host, S));
	gm_hops_free(h);
}

Test(hops, knows_as_many_neighbours_as_it_has_room_for)
{
	struct gm_hops *h = lan();
	struct gm_addr a = addr("fd00::");
	unsigned known = 0;
	uint8_t got[6];

	for (unsigned i = 1; i < 70000; i++) {
		memcpy(a.ip + 12, &i, 4);
		gm_hops_neigh(h, a.ip, GM_HOP_FRESH, host);
	}
	for (unsigned i = 1; i < 70000; i++) {
		memcpy(a.ip + 12, &i, 4);
		known += gm_hops_find(h, a.ip, S, got);
	}
	cr_expect_eq(known, GM_HOPS_NEIGHS / 4 * 3 - 5);
	gm_hops_free(h);
}

Test(hops, names_a_router_that_is_not_fresh_once)
{
	struct gm_hops *h = lan();
	uint8_t router_ip[16];

	cr_expect(goes_to(h, "10.0.1.2", router, S));
	cr_expect_not(gm_hops_stale_router(h, router_ip));
	neigh(h, "10.0.0.1", GM_HOP_STALE, router);
	cr_expect(by_kernel(h, "10.0.1.2"));
	cr_expect(gm_hops_stale_router(h, router_ip));
	cr_expect_arr_eq(router_ip, addr("10.0.0.1").ip, 16);
	cr_expect_not(gm_hops_stale_router(h, router_ip));
	neigh(h, "10.0.0.1", GM_HOP_NONE, router);
	cr_expect(by_kernel(h, "10.0.1.2"));
	cr_expect(gm_hops_stale_router(h, router_ip));
	cr_expect(by_kernel(h, "10.0.0.3"), "not a router");
	cr_expect_not(gm_hops_stale_router(h, router_ip));
	gm_hops_free(h);
}

Test(hops, stops_believing_lists_that_nobody_refreshes)
{
	struct gm_hops *h = lan();

	cr_expect(goes_to(h, "10.0.0.2", host, S + GM_HOPS_OLD_NS));
	cr_expect_not(goes_to(h, "10.0.0.2", host, S + GM_HOPS_OLD_NS + 1));
	gm_hops_free(h);
}

/* Of what came by a link. */
Test(hops, tells_who_may_have_sent_a_datagram)
{
	static const struct { const char *ip; bool may; } rows[] = {
	    {"10.0.0.2", true}, {"192.0.2.1", true}, {"223.255.255.255", true}, {"fd00:0:0:7::2", true}, {"fe80::2", true}, {"2001:db8::1", true},
	    {"0.0.0.0", false}, {"0.0.0.1", false}, {"127.0.0.1", false}, {"127.9.9.9", false}, {"224.0.0.1", false}, {"240.0.0.1", false},
	    {"255.255.255.255", false}, {"::", false}, {"::1", false}, {"ff02::1", false},
	    {"10.0.0.9", false}, /* our own */
	    {"10.78.255.255", false}, {"10.79.0.0", true}, /* a prefix that is */
	};
	struct gm_hops *h = lan();

	gm_hops_begin(h);
	gm_hops_addr(h, addr("10.0.0.9").ip, 128);
	gm_hops_addr(h, addr("10.78.0.0").ip, 112);
	gm_hops_done(h, S);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(gm_hops_is_sender(h, addr(rows[i].ip).ip), rows[i].may, "%s", rows[i].ip);
	gm_hops_free(h);
}

Test(hops, tells_what_is_local_prefixes_too)
{
	struct gm_hops *h = lan();
	unsigned bits;
	uint8_t got[16];

	gm_hops_begin(h);
	gm_hops_addr(h, addr("10.0.0.9").ip, 128);
	gm_hops_addr(h, addr("10.78.0.0").ip, 112);
	gm_hops_addr(h, addr("fd00:7::").ip, 33);
	cr_expect_eq(gm_hops_lists(h), 1);
	gm_hops_done(h, S);
	cr_expect_eq(gm_hops_lists(h), 2);
	cr_expect(gm_hops_is_local(h, addr("10.78.255.255").ip));
	cr_expect_not(gm_hops_is_local(h, addr("10.79.0.0").ip));
	cr_expect(gm_hops_is_local(h, addr("fd00:7:7fff::1").ip));
	cr_expect_not(gm_hops_is_local(h, addr("fd00:7:8000::1").ip));
	cr_expect(gm_hops_local(h, 1, got, &bits) && bits == 112 && memcmp(got, addr("10.78.0.0").ip, 16) == 0);
	cr_expect_not(gm_hops_local(h, 3, got, &bits));
	gm_hops_free(h);
}

/* Whether the first bits are the same, one by one. */
static bool begins_with(const uint8_t *to, unsigned bits, const uint8_t *address)
{
	for (unsigned i = 0; i < bits; i++)
		if ((to[i / 8] ^ address[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

Test(hops, follows_a_prefix_of_any_length)
{
	struct gm_addr to = addr("fd5a:a5c3:3c0f:f0ff:77:1234:8001:7ffe"), via = addr("fe80::1");
	uint8_t got[6];

	for (unsigned bits = 0; bits <= 128; bits++) {
		struct gm_hops *h = gm_hops_new();
		struct gm_route r = {.bits = (uint8_t)bits};

		cr_assert(h);
		memcpy(r.to, to.ip, 16);
		memcpy(r.via, via.ip, 16);
		gm_hops_begin(h);
		gm_hops_route(h, &r);
		neigh(h, "fe80::1", GM_HOP_FRESH, router);
		gm_hops_done(h, S);
		cr_assert(gm_hops_find(h, to.ip, S, got));
		for (unsigned flip = 0; flip < 128; flip++) {
			struct gm_addr other = to;
			other.ip[flip / 8] ^= (uint8_t)(0x80u >> flip % 8);
			cr_assert_eq(gm_hops_find(h, other.ip, S, got), begins_with(to.ip, bits, other.ip), "%u of %u", flip, bits);
		}
		gm_hops_free(h);
	}
}

/* The one to take, by looking at all of them; n: none. */
static unsigned best_of(const struct gm_route *r, unsigned n, const uint8_t *address)
{
	unsigned best = n;

	for (unsigned i = 0; i < n; i++)
		if (begins_with(r[i].to, r[i].bits, address) && (best == n || r[i].bits > r[best].bits))
			best = i;
	return best;
}

static struct gm_route some_route(uint32_t dice)
{
	struct gm_route r = {.bits = (uint8_t)(104 + (dice >> 8) % 25)};

	memcpy(r.to, addr("10.0.0.0").ip, 16);
	r.to[13] = (uint8_t)((dice >> 20) % 2 * 128); /* few values, so that many lie in each other */
	r.to[15] = (uint8_t)((dice >> 24) % 4 * 64);
	for (unsigned bit = r.bits; bit < 128; bit++)
		r.to[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return r;
}

Test(hops, takes_the_most_exact_route_whatever_it_took_before)
{
	uint32_t dice = 12345;

	for (unsigned round = 0; round < 20; round++) {
		struct gm_hops *h = gm_hops_new();
		struct gm_route routes[40];
		unsigned n = 0;

		cr_assert(h);
		gm_hops_begin(h);
		for (unsigned i = 0; i < 40; i++) {
			const struct gm_route r = some_route(dice = dice * 1664525u + 1013904223u);
			unsigned same = 0;
			while (same < n && (routes[same].bits != r.bits || memcmp(routes[same].to, r.to, 16) != 0))
				same++;
			if (same < n)
				continue;
			struct gm_addr via = addr("10.255.0.1");
			via.ip[15] = (uint8_t)n;
			routes[n] = r;
			memcpy(routes[n].via, via.ip, 16);
			gm_hops_route(h, &routes[n]);
			gm_hops_neigh(h, via.ip, GM_HOP_FRESH, (const uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)n});
			n++;
		}
		gm_hops_done(h, S);
		for (unsigned i = 0; i < 2000; i++) {
			struct gm_addr to = addr("10.0.0.0");
			uint8_t got[6];
			dice = dice * 1664525u + 1013904223u;
			to.ip[13] = (uint8_t)((dice >> 20) % 3 * 64);
			to.ip[15] = (uint8_t)((dice >> 24) % 8 * 32);
			const unsigned best = best_of(routes, n, to.ip);
			const bool found = gm_hops_find(h, to.ip, S, got);
			cr_assert_eq(found, best < n, "round %u, %u", round, i);
			cr_assert(!found || got[5] == best, "round %u, %u", round, i);
		}
		gm_hops_free(h);
	}
}
