/* SPDX-License-Identifier: Apache-2.0 */
/* Rekeys of many members over a network that loses, doubles and reorders: as many are late as probability says, every copy
 * leaves when RFC 7252 lets it, and one poll makes everybody current. All dice are seeded: each run is the same.
 * GM_LOSS_MEMBERS sizes it, up to 65,536; GM_LOSS_SEED makes another run. requirements */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <sodium.h>
#include <stdlib.h>

#include "flow_rig.h"

#define MS 1000000u
#define TRIES 5u       /* MAX_RETRANSMIT + 1 */
#define SLACK_MS 20u   /* turns of a millisecond, and up to a burst a turn */
#define BUDGET_MS 95000u
#ifdef __SANITIZE_ADDRESS__
#define MEMBERS 500u
#else
#define MEMBERS 3000u
#endif

/* ---- dice */

static uint64_t seed, drawn;

static void seeded_buf(void *to, const size_t n)
{
	uint8_t key[32] = {0};

	memcpy(key, &seed, sizeof seed);
	drawn++;
	memcpy(key + 8, &drawn, sizeof drawn);
	randombytes_buf_deterministic(to, n, key);
}

static uint32_t seeded_random(void)
{
	uint32_t v;

	seeded_buf(&v, sizeof v);
	return v;
}

static const char *seeded_name(void) { return "seeded"; }

static struct randombytes_implementation seeded = {
	.implementation_name = seeded_name, .random = seeded_random, .buf = seeded_buf};

static unsigned wanted(const char *name, unsigned usually)
{
	const char *s = getenv(name);

	return s ? (unsigned)strtoul(s, NULL, 10) : usually;
}

/* ---- what each member was sent of the one rekeying message */

struct copies {
	unsigned n;
	uint64_t ns[TRIES + 1], hash;
	uint16_t mid;
	bool other; /* a copy with other bytes, or another message beside it */
};

static struct copies *copies;
static unsigned members_n;

static void watch_copies(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	static const uint8_t key[16] = "copies";
	const struct flow *r = arg;
	unsigned i = (unsigned)(to->ip[14] << 8 | to->ip[15]);

	if (to->port == 5683 || n < 4 || (data[0] & 0x30) != 0 || i >= members_n) /* CON alone */
		return;
	struct copies *c = &copies[i];
	uint64_t hash = gm_siphash(key, data, n);
	if (c->n && c->hash != hash)
		c->other = true;
	c->hash = hash;
	if (c->n <= TRIES)
		c->ns[c->n++] = r->dp->worker[0]->now_ns;
}

/* ACK_TIMEOUT times 1 to ACK_RANDOM_FACTOR, then twice as long each time, MAX_RETRANSMIT times. RFC 7252 §4.2 */
static void expect_timing(void)
{
	for (unsigned i = 0; i < members_n; i++) {
		const struct copies *c = &copies[i];
		cr_assert(c->n >= 1 && c->n <= TRIES, "member %u was sent %u copies", i, c->n);
		cr_assert_not(c->other, "member %u: copies are the same bytes", i);
		for (unsigned k = 1; k < c->n; k++) {
			uint64_t gap = (c->ns[k] - c->ns[k - 1]) / MS, least = 2000u << (k - 1), most = 3000u << (k - 1);
			cr_assert(gap + 1 >= least && gap <= most + SLACK_MS, "member %u, copy %u after %llu ms", i, k, (unsigned long long)gap);
		}
	}
}

/* The first waits of those that needed a second copy are spread evenly: ten parts of a second, chi-square at 1 in 10,000. */
static void expect_spread(unsigned least)
{
	unsigned part[10] = {0}, n = 0;
	double chi = 0;

	for (unsigned i = 0; i < members_n; i++) {
		if (copies[i].n < 2)
			continue;
		uint64_t ms = (copies[i].ns[1] - copies[i].ns[0]) / MS;
		part[ms < 2000 ? 0 : ms >= 3000 ? 9 : (ms - 2000) / 100]++;
		n++;
	}
	cr_assert(ge(u32, n, least));
	for (unsigned i = 0; i < 10; i++)
		chi += (part[i] - n / 10.0) * (part[i] - n / 10.0) / (n / 10.0);
	cr_expect_lt(chi, 33.7, "first waits of %u messages", n);
}

/* ---- the run */

static void join_all(struct flow *r)
{
	r->env.now_ns = gm_mem_now(r->net);
	for (unsigned i = 0; i < members_n; i++) {
		bool post = i % 4 != 3;
		struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, post);
		gm_member_plan(&r->env, m, GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN) | (post ? 0 : GM_PLAN(GM_OP_OBSERVE)));
		if (i % 64 == 63)
			flow_turn(r);
	}
	for (unsigned ms = 0; ms < 20000 && flow_at_version(r, 0) < members_n; ms++)
		flow_run(r, 20);
	flow_run(r, 6000);
	cr_assert(eq(u32, flow_at_version(r, 0), members_n));
}

static double power(double x, unsigned n)
{
	return n ? x * power(x, n - 1) : 1;
}

/* Within three sigma, and half of one for what is counted. */
static void expect_near(const char *what, double is, double mean, double variance, double one)
{
	double off = is > mean ? is - mean : mean - is, more = off > one / 2 ? off - one / 2 : 0;

	fprintf(stderr, "loss: %s %.5g, expected %.5g, variance %.3g\n", what, is, mean, variance);
	cr_expect_leq(more * more, 9 * variance, "%s: %g, not %g, variance %g", what, is, mean, variance);
}

static void expect_keys(struct flow *r, uint64_t version)
{
	const struct gm_group_view *v = &gm_group_at(r->dp->worker[0], 0)->view;

	for (unsigned i = 0; i < members_n; i++) {
		const struct gm_member *m = &r->members[i];
		cr_assert(eq(u64, m->keys.version, version));
		cr_assert(m->keys.ms_n == v->ms_n && memcmp(m->keys.ms, v->ms, v->ms_n) == 0, "member %u has another Master Secret", i);
	}
}

static void rekey_with(double p)
{
	struct gm_mem_faults faults = {.loss = (uint32_t)(p * 1e6), .dup = 30000, .late = 50000, .late_ns = 30 * MS,
	                               .delay_ns = MS, .jitter_ns = 4 * MS}, none = {0};

	seed = wanted("GM_LOSS_SEED", 1);
	members_n = wanted("GM_LOSS_MEMBERS", MEMBERS);
	copies = calloc(members_n, sizeof *copies);
	cr_assert_eq(randombytes_set_implementation(&seeded), 0);
	flow_seed = seed;
	flow_group_max = members_n;
	struct flow *r = flow_new(2, NULL);
	r->core_config.contexts_max = r->core_config.members_max = r->dp_config.contexts_max = 2 * members_n;
	flow_restart(r, 2);
	join_all(r);
	cr_assert(eq(u32, r->failures, 0), "%s", r->failure);

	gm_mem_set_faults(r->net, &faults);
	r->far_arg = r;
	r->far_tap = watch_copies;
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, BUDGET_MS);
	gm_mem_set_faults(r->net, &none);
	flow_run(r, 200);
	r->far_tap = NULL;

	double n = members_n, fail = 1 - (1 - p) * (1 - p), q = power(fail, TRIES), sent = 0, mean = 0, square = 0;
	struct gm_core_status s = flow_status(r);
	for (unsigned i = 0; i < members_n; i++)
		sent += copies[i].n;
	for (unsigned k = 1; k <= TRIES; k++) {
		double chance = k < TRIES ? power(fail, k - 1) * (1 - fail) : power(fail, TRIES - 1);
		mean += k * chance;
		square += k * k * chance;
	}
	cr_expect(eq(u64, s.confirmed + s.late, members_n));
	expect_near("late", (double)s.late, n * q, n * q * (1 - q), 1);
	expect_near("copies a member", sent / n, mean, (square - mean * mean) / n, 1 / n);
	expect_timing();
	expect_spread((unsigned)(n * fail / 2));

	unsigned old = members_n - flow_at_version(r, 1);
	cr_expect(le(u32, old, s.late), "who has old keys is known to be late");
	for (unsigned i = 0; i < members_n; i++)
		if (r->members[i].keys.version < 1)
			cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_GROUP)), "member %u polls", i);
	expect_keys(r, 1);
	cr_expect(eq(u32, r->reuses, 0));
	cr_expect(ge(u32, r->nonces_n, 2 * members_n + 1), "that was watched");

	/* newer keys while some never confirmed the last: they are told of these all the same */
	cr_assert(flow_rekey(r, true) == GM_E_OK);
	flow_run(r, 3000);
	expect_keys(r, 2);
	cr_expect(eq(u32, r->failures, 0), "%s", r->failure);
	cr_expect(eq(u32, r->reuses, 0));
	flow_free(r);
	free(copies);
}

Test(loss, of_five_in_a_hundred_leaves_as_many_late_as_it_has_to)
{
	rekey_with(0.05);
}

Test(loss, of_twenty_in_a_hundred_leaves_as_many_late_as_it_has_to)
{
	rekey_with(0.2);
}
