/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>

#include "addr.h"
#include "work/domain.h"

#define S 1000000000u

static struct gm_pace_prefix pace(const char *text, double rate, uint32_t burst)
{
	struct gm_pace_prefix p = {.rate = rate, .burst = burst};
	const char *why = gm_prefix_parse(&p.prefix, text);

	cr_assert_null(why, "%s %s", text, why);
	return p;
}

/* "" where the address is in none of them. */
static const char *holds(const struct gm_domains *t, const char *text)
{
	static char buf[GM_ADDR_TEXT];
	struct gm_addr a = addr(text);
	uint16_t d = gm_domain_of(t, &a);
	struct gm_pace_status s;

	if (!d)
		return "";
	gm_domain_status(t, d, &s);
	return gm_prefix_text(&s.of.prefix, buf);
}

Test(prefix, the_longest_that_holds_an_address_is_its_network)
{
	struct gm_pace_prefix all[] = {
		pace("::/0", 1, 1), pace("2001:db8::/32", 1, 1), pace("2001:db8:15::/64", 1, 1), pace("2001:db8:15::/61", 1, 1),
		pace("2001:db8:15::7/128", 1, 1), pace("10.0.0.0/8", 1, 1), pace("10.1.0.0/16", 1, 1), pace("2001:db8:1::/64", 1, 1),
	};
	struct gm_domains *t = gm_domains_new(all, 8, 3000);

	cr_expect_str_eq(holds(t, "[2001:db8:15::1]:1"), "2001:db8:15::/64");
	cr_expect_str_eq(holds(t, "[2001:db8:15::7]:1"), "2001:db8:15::7/128");
	cr_expect_str_eq(holds(t, "[2001:db8:15:7::1]:1"), "2001:db8:15::/61");
	cr_expect_str_eq(holds(t, "[2001:db8:15:8::1]:1"), "2001:db8::/32");
	cr_expect_str_eq(holds(t, "[2001:db8:1::1]:1"), "2001:db8:1::/64");
	cr_expect_str_eq(holds(t, "[2001:db9::1]:1"), "::/0");
	cr_expect_str_eq(holds(t, "10.1.2.3:4"), "10.1.0.0/16");
	cr_expect_str_eq(holds(t, "10.2.2.3:4"), "10.0.0.0/8");
	cr_expect_str_eq(holds(t, "11.1.2.3:4"), "", "no IPv6 prefix holds an IPv4 address");
	gm_domains_free(t);
}

Test(prefix, every_ipv4_is_in_a_prefix_of_no_bits)
{
	struct gm_pace_prefix all[] = {pace("0.0.0.0/0", 1, 1)};
	struct gm_domains *t = gm_domains_new(all, 1, 3000);

	cr_expect_str_eq(holds(t, "11.1.2.3:4"), "0.0.0.0/0");
	cr_expect_str_eq(holds(t, "[::1]:4"), "");
	gm_domains_free(t);
}

/* Against a plain search through all of them. */
Test(prefix, is_found_among_many_as_by_looking_at_each)
{
	static struct gm_pace_prefix all[GM_PREFIXES_MAX];
	uint64_t dice = 1;
	unsigned n = 0;

	for (unsigned i = 0; i < GM_PREFIXES_MAX; i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		struct gm_addr a = {.ip = {0x20, 1}};
		for (unsigned k = 2; k < 6; k++)
			a.ip[k] = (uint8_t)(dice >> (20 + 2 * k) & 3);
		struct gm_prefix p = gm_prefix_of(&a, (uint8_t)(16 + (dice >> 40) % 33));
		unsigned k = 0;
		while (k < n && memcmp(&all[k].prefix, &p, sizeof p) != 0)
			k++;
		if (k == n)
			all[n++] = (struct gm_pace_prefix){.prefix = p, .rate = 1, .burst = 1};
	}
	cr_assert(ge(u32, n, 101));
	struct gm_domains *t = gm_domains_new(all, n, 3000);
	for (unsigned i = 0; i < 20000; i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		struct gm_addr a = {.ip = {0x20, 1}};
		struct gm_pace_status s = {0};
		int best = -1;
		for (unsigned k = 2; k < 6; k++)
			a.ip[k] = (uint8_t)(dice >> (20 + 2 * k) & 3);
		for (unsigned k = 0; k < n; k++) {
			struct gm_prefix p = gm_prefix_of(&a, all[k].prefix.bits);
			if (memcmp(&p, &all[k].prefix, sizeof p) == 0 && all[k].prefix.bits > best)
				best = all[k].prefix.bits;
		}
		uint16_t d = gm_domain_of(t, &a);
		if (d)
			gm_domain_status(t, d, &s);
		cr_assert_eq(d ? s.of.prefix.bits : -1, best);
	}
	gm_domains_free(t);
}

Test(prefix, that_is_none_is_refused_with_the_reason)
{
	static const struct { const char *text, *why; } bad[] = {
		{"", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1.0.0", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1/16", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"/16", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1.0.0/", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1.0.0/-1", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1.0.0/0016", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"fe80::%lo/64", "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
		{"10.1.0.0/33", "has more than 32 bits"},
		{"2001:db8::/129", "has more than 128 bits"},
		{"10.1.0.1/16", "has bits set behind its length"},
		{"2001:db8::1/127", "has bits set behind its length"},
		{"::ffff:10.1.0.0/112", "has to be written as IPv4"},
	};
	struct gm_prefix p;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *why = gm_prefix_parse(&p, bad[i].text);
		cr_assert_not_null(why, "%s", bad[i].text);
		cr_expect_str_eq(why, bad[i].why, "%s", bad[i].text);
	}
}

Test(bucket, gives_its_rate_and_no_more_than_its_burst_at_once)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 15, 3);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++)
		n += gm_domain_take(t, 1, 100 * (uint64_t)S);
	cr_assert(eq(u32, n, 3));
	for (uint64_t ns = 100 * (uint64_t)S; ns < 110 * (uint64_t)S; ns += 1000000) {
		bool may = gm_domain_next_ns(t, 1) <= ns;
		cr_assert_eq(gm_domain_take(t, 1, ns), may);
		n += may;
	}
	cr_expect(ge(u32, n, 3 + 149));
	cr_expect(le(u32, n, 3 + 150));
	n = 0;
	for (unsigned i = 0; i < 10; i++)
		n += gm_domain_take(t, 1, 1000 * (uint64_t)S);
	cr_expect(eq(u32, n, 3), "what was not used is not kept");
	gm_domains_free(t);
}

struct taker {
	struct gm_domains *t;
	unsigned n;
};

static void *take_all(void *arg)
{
	struct taker *k = arg;

	for (uint64_t ns = S; ns < 11 * (uint64_t)S; ns += 100000)
		k->n += gm_domain_take(k->t, 1, ns);
	return NULL;
}

Test(bucket, gives_no_more_to_several_threads)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 100, 2);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	struct taker k[4];
	pthread_t id[4];
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++) {
		k[i] = (struct taker){.t = t};
		cr_assert_eq(pthread_create(&id[i], NULL, take_all, &k[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(id[i], NULL);
		n += k[i].n;
	}
	cr_expect(le(u32, n, 1002));
	cr_expect(ge(u32, n, 998));
	gm_domains_free(t);
}

/* One epoch of messages of which so many in a hundred need a retry. */
static uint64_t epoch_with(struct gm_domains *t, uint64_t ns, unsigned lost)
{
	for (unsigned i = 0; i < 100; i++) {
		gm_domain_sent(t, 1, ns);
		if (i < lost)
			gm_domain_retry(t, 1, ns + 2500000000u, ns);
	}
	return ns + 3 * (uint64_t)S;
}

static double rate_of(const struct gm_domains *t)
{
	struct gm_pace_status s;

	gm_domain_status(t, 1, &s);
	return s.rate_now;
}

Test(congestion, halves_the_rate_above_five_in_a_hundred_and_lets_it_come_back_slowly)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 160, 1);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	uint64_t ns = 300 * (uint64_t)S;

	for (unsigned i = 0; i < 20; i++)
		ns = epoch_with(t, ns, 5);
	cr_expect_eq(rate_of(t), 160, "5 %% are not too many");
	ns = epoch_with(t, ns, 6);
	for (unsigned i = 0; i < 2; i++)
		ns = epoch_with(t, ns, 0);
	cr_expect_eq(rate_of(t), 80);
	for (unsigned i = 0; i < 4; i++) {
		ns = epoch_with(t, ns, 0);
		cr_expect_leq(rate_of(t), 80 + 10 * (i + 1));
	}
	cr_expect_gt(rate_of(t), 80);
	for (unsigned i = 0; i < 10; i++)
		ns = epoch_with(t, ns, 0);
	cr_expect_eq(rate_of(t), 160);
	gm_domains_free(t);
}

Test(congestion, halves_once_for_what_was_sent_at_one_rate)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 160, 1);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	uint64_t ns = 300 * (uint64_t)S;

	for (unsigned i = 0; i < 3; i++)
		ns = epoch_with(t, ns, 50);
	cr_expect_eq(rate_of(t), 80);
	for (unsigned i = 0; i < 40; i++)
		ns = epoch_with(t, ns, 50);
	cr_expect_eq(rate_of(t), 10, "never less than a sixteenth");
	gm_domains_free(t);
}

Test(congestion, is_not_told_from_a_few_messages)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 160, 1);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	uint64_t ns = 300 * (uint64_t)S;

	for (unsigned i = 0; i < 60; i++, ns += 3 * (uint64_t)S) { /* one of 40 needs a retry */
		gm_domain_sent(t, 1, ns);
		if (i % 40 == 10)
			gm_domain_retry(t, 1, ns + 2500000000u, ns);
	}
	cr_expect_eq(rate_of(t), 160);
	gm_domains_free(t);
}

Test(congestion, is_forgotten_in_a_quarter_of_an_hour_of_silence)
{
	struct gm_pace_prefix p = pace("10.0.0.0/8", 160, 1);
	struct gm_domains *t = gm_domains_new(&p, 1, 3000);
	uint64_t ns = 300 * (uint64_t)S;

	for (unsigned i = 0; i < 40; i++)
		ns = epoch_with(t, ns, 50);
	cr_assert_eq(rate_of(t), 10);
	gm_domain_sent(t, 1, ns + 300 * (uint64_t)S);
	cr_expect_leq(rate_of(t), 10 + 60);
	gm_domain_sent(t, 1, ns + 1300 * (uint64_t)S);
	cr_expect_eq(rate_of(t), 160);
	gm_domains_free(t);
}
