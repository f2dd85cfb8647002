/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own messages, recorded by tests/vectors/rtnetlink, and what nobody honest sends. */
#include <criterion/criterion.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "addr.h"
#include "port/rtnl.h"
#include "vectors.h"

#define S 1000000000ull
#define VA 2u    /* as the recorded interfaces were numbered */
#define OTHER 3u

static const uint8_t router4[6] = {2, 0, 0, 0, 0, 2}, router6[6] = {2, 0, 0, 0, 0, 0x0b};

struct bytes { /* of a size that AddressSanitizer sees */
	uint8_t *at;
	size_t n;
};

static struct bytes recorded(const char *name)
{
	char path[64];
	static uint8_t buf[8192];

	snprintf(path, sizeof(path), "rtnetlink/%s", name);
	FILE *f = gm_vectors_open(path);
	struct bytes b = {.n = fread(buf, 1, sizeof(buf), f)};
	fclose(f);
	b.at = malloc(b.n);
	memcpy(b.at, buf, b.n);
	return b;
}

static unsigned take(struct gm_rtnl *r, struct bytes b)
{
	unsigned messages = 0;
	size_t step, left = b.n;

	for (const struct nlmsghdr *m; (m = gm_rtnl_first(b.at + b.n - left, left, &step)); left -= step, messages++)
		gm_rtnl_listed(r, m);
	return messages;
}

static void listed(struct gm_rtnl *r, const char *name)
{
	struct bytes b = recorded(name);

	cr_assert_gt(take(r, b), 0u);
	free(b.at);
}

static bool happened(struct gm_rtnl *r, const char *name)
{
	struct bytes b = recorded(name);
	size_t step;
	const struct nlmsghdr *m = gm_rtnl_first(b.at, b.n, &step);

	cr_assert(m);
	bool again = gm_rtnl_happened(r, m);
	free(b.at);
	return again;
}

static struct gm_rtnl read_all(unsigned ifindex, bool policy)
{
	struct gm_rtnl r = {.hops = gm_hops_new(), .ifindex = ifindex};

	cr_assert(r.hops);
	gm_hops_begin(r.hops);
	listed(&r, "addresses");
	listed(&r, policy ? "rules4_policy" : "rules4");
	listed(&r, "rules6");
	listed(&r, "routes4");
	listed(&r, "routes6");
	listed(&r, "neighbours");
	gm_hops_done(r.hops, S);
	return r;
}

static bool goes_to(struct gm_rtnl *r, const char *text, const uint8_t mac[static 6])
{
	uint8_t got[6];

	return gm_hops_find(r->hops, addr(text).ip, 2 * S, got) && memcmp(got, mac, 6) == 0;
}

static bool by_kernel(struct gm_rtnl *r, const char *text)
{
	uint8_t got[6];

	return !gm_hops_find(r->hops, addr(text).ip, 2 * S, got);
}

Test(rtnl, learns_routes_and_neighbours_of_its_interface)
{
	struct gm_rtnl r = read_all(VA, false);

	cr_expect(goes_to(&r, "10.77.0.2", router4));
	cr_expect(goes_to(&r, "192.0.2.1", router4));
	cr_expect(goes_to(&r, "2001:db8::1", router6));
	cr_expect(goes_to(&r, "fe80::b", router6));
	gm_hops_free(r.hops);
}

Test(rtnl, leaves_to_the_kernel_what_is_not_plain)
{
	struct gm_rtnl r = read_all(VA, false);

	cr_expect(by_kernel(&r, "10.77.0.3"), "no such neighbour");
	cr_expect(by_kernel(&r, "10.77.0.5"), "failed");
	cr_expect(by_kernel(&r, "10.77.0.1"), "our own");
	cr_expect(by_kernel(&r, "10.78.1.1"), "local");
	cr_expect(by_kernel(&r, "10.80.0.1"), "two next hops");
	cr_expect(by_kernel(&r, "10.81.0.1"), "a black hole");
	cr_expect(by_kernel(&r, "10.82.0.1"), "another interface");
	cr_expect(by_kernel(&r, "10.77.0.6"), "a neighbour elsewhere");
	cr_expect(by_kernel(&r, "ff02::1"));
	gm_hops_free(r.hops);
}

Test(rtnl, with_a_rule_by_mark_all_is_the_kernels)
{
	struct gm_rtnl r = read_all(VA, true);

	cr_expect(by_kernel(&r, "10.77.0.2"));
	cr_expect(by_kernel(&r, "2001:db8::1"));
	gm_hops_free(r.hops);
}

Test(rtnl, sends_nothing_by_an_interface_that_has_no_route_there)
{
	struct gm_rtnl r = read_all(OTHER, false);

	cr_expect(by_kernel(&r, "10.77.0.2"));
	cr_expect(by_kernel(&r, "192.0.2.1"));
	gm_hops_free(r.hops);
}

Test(rtnl, knows_the_addresses_and_prefixes_that_are_local)
{
	struct gm_rtnl r = read_all(VA, false);

	cr_expect(gm_hops_is_local(r.hops, addr("10.77.0.1").ip));
	cr_expect(gm_hops_is_local(r.hops, addr("fd77::1").ip));
	cr_expect(gm_hops_is_local(r.hops, addr("fe80::a").ip));
	cr_expect(gm_hops_is_local(r.hops, addr("10.78.255.1").ip));
	cr_expect_not(gm_hops_is_local(r.hops, addr("10.77.0.2").ip));
	cr_expect_not(gm_hops_is_local(r.hops, addr("10.79.0.1").ip));
	for (unsigned i = 0; i < 3; i++)
		cr_expect_not(gm_hops_is_local(r.hops, addr((const char *const[]){"127.9.9.9", "127.0.0.1", "::1"}[i]).ip), "loopback does not come by a link");
	cr_expect_not(gm_hops_is_local(r.hops, addr("fd77::2").ip));
	gm_hops_free(r.hops);
}

Test(rtnl, follows_a_neighbour_that_comes_changes_and_goes)
{
	static const uint8_t first[6] = {2, 0, 0, 0, 0, 3}, second[6] = {2, 0, 0, 0, 0, 0x33};
	struct gm_rtnl r = read_all(VA, false);

	cr_expect_not(happened(&r, "event_stale"));
	cr_expect(by_kernel(&r, "10.77.0.3"), "the kernel is to ask");
	cr_expect(goes_to(&r, "10.77.0.3", first), "once a second");
	cr_expect_not(happened(&r, "event_reachable"));
	cr_expect(goes_to(&r, "10.77.0.3", second));
	cr_expect_not(happened(&r, "event_gone"));
	cr_expect(by_kernel(&r, "10.77.0.3"));
	gm_hops_free(r.hops);
}

Test(rtnl, asks_for_the_lists_when_anything_but_a_neighbour_changed)
{
	struct gm_rtnl r = read_all(VA, false);

	cr_expect(happened(&r, "routes4"));
	cr_expect(happened(&r, "addresses"));
	cr_expect_not(happened(&r, "neighbours"));
	gm_hops_free(r.hops);
}

static const char *const files[] = {"addresses",  "rules4",      "rules4_policy",   "rules6",    "routes4",
                                    "routes6",    "neighbours",  "event_reachable", "event_gone"};
#define FILES_N (sizeof(files) / sizeof(files[0]))

Test(rtnl, takes_no_message_that_is_cut_off)
{
	for (size_t f = 0; f < FILES_N; f++) {
		struct bytes whole = recorded(files[f]);
		size_t step;

		for (size_t n = 0; n < whole.n; n++) {
			struct gm_rtnl r = {.hops = gm_hops_new(), .ifindex = VA};
			struct bytes cut = {.at = malloc(n + !n), .n = n};

			memcpy(cut.at, whole.at, n);
			gm_hops_begin(r.hops);
			take(&r, cut);
			if (n < ((const struct nlmsghdr *)(void *)whole.at)->nlmsg_len)
				cr_expect_null(gm_rtnl_first(cut.at, n, &step));
			free(cut.at);
			gm_hops_free(r.hops);
		}
		free(whole.at);
	}
}

/* Lengths, types and families in turn get every value that is near a bound. */
Test(rtnl, survives_messages_whose_numbers_lie)
{
	static const uint8_t values[] = {0, 1, 3, 4, 5, 15, 16, 17, 28, 32, 33, 127, 128, 129, 254, 255};

	for (size_t f = 0; f < FILES_N; f++) {
		struct bytes b = recorded(files[f]);
		struct gm_rtnl r = {.hops = gm_hops_new(), .ifindex = VA};

		for (size_t at = 0; at < b.n; at++) {
			uint8_t was = b.at[at];

			for (size_t v = 0; v < sizeof(values); v++) {
				b.at[at] = values[v];
				gm_hops_begin(r.hops);
				take(&r, b);
			}
			b.at[at] = was;
		}
		gm_hops_done(r.hops, S);
		gm_hops_free(r.hops);
		free(b.at);
	}
}

struct message {
	struct nlmsghdr head;
	struct ndmsg neigh;
	struct nlattr dst;
	uint8_t ip[4];
	struct nlattr lladdr;
	uint8_t mac[6], pad[2];
};

static struct message neighbour(void)
{
	return (struct message){.head = {.nlmsg_len = sizeof(struct message), .nlmsg_type = RTM_NEWNEIGH},
	                        .neigh = {.ndm_family = AF_INET, .ndm_ifindex = VA, .ndm_state = NUD_REACHABLE},
	                        .dst = {.nla_len = 8, .nla_type = NDA_DST},
	                        .ip = {10, 77, 0, 9},
	                        .lladdr = {.nla_len = 10, .nla_type = NDA_LLADDR},
	                        .mac = {2, 0, 0, 0, 0, 9}};
}

static bool learns(struct message m)
{
	struct gm_rtnl r = read_all(VA, false);

	gm_rtnl_happened(&r, &m.head);
	bool learned = goes_to(&r, "10.77.0.9", m.mac);
	gm_hops_free(r.hops);
	return learned;
}

Test(rtnl, learns_no_neighbour_from_a_message_that_is_not_right)
{
	struct message m = neighbour();

	cr_expect(learns(m));
	m.lladdr.nla_len = 9;
	cr_expect_not(learns(m), "a MAC address of five bytes");
	m = neighbour();
	m.lladdr.nla_len = 60000;
	cr_expect_not(learns(m), "an attribute beyond the end");
	m = neighbour();
	m.head.nlmsg_len = offsetof(struct message, mac);
	cr_expect_not(learns(m), "an attribute that is cut off");
	m = neighbour();
	m.dst.nla_len = 3;
	cr_expect_not(learns(m), "an attribute shorter than its head");
	m = neighbour();
	m.neigh.ndm_family = AF_INET6;
	cr_expect_not(learns(m), "an address of another family");
	m = neighbour();
	m.neigh.ndm_flags = NTF_PROXY;
	cr_expect_not(learns(m), "a proxy entry");
	m = neighbour();
	m.head.nlmsg_len = NLMSG_HDRLEN + sizeof(struct ndmsg) - 1;
	cr_expect_not(learns(m), "a head that is cut off");
}

Test(rtnl, asks_the_kernel_to_look_after_a_router)
{
	uint32_t request[GM_RTNL_MANAGE / 4];
	size_t step, n = gm_rtnl_manage((uint8_t *)request, VA, addr("fe80::b").ip);
	const struct nlmsghdr *m = gm_rtnl_first(request, n, &step);
	struct gm_rtnl r = read_all(VA, false);

	cr_assert(m && n <= sizeof(request) && step == n);
	cr_expect_eq(m->nlmsg_type, RTM_NEWNEIGH);
	cr_expect_eq(((const struct ndmsg *)NLMSG_DATA(m))->ndm_family, AF_INET6);
	gm_rtnl_listed(&r, m); /* read as what the kernel would say: without a MAC address there is none */
	cr_expect(by_kernel(&r, "2001:db8::1"));
	gm_hops_free(r.hops);
}
