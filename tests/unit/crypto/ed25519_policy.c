/* SPDX-License-Identifier: Apache-2.0 */
/* How many signatures are verified as one equation, and whose. */
#include <criterion/criterion.h>
#include <gm/crypto.h>

/* learns n signatures of which one in every is bad; 0: none */
static void learn(struct gm_ed25519_policy *p, unsigned n, unsigned every)
{
	for (unsigned i = 1; i <= n; i++)
		gm_ed25519_policy_learn(p, 1, every && i % every == 0);
}

Test(ed25519_policy, takes_all_that_wait_while_no_signature_is_bad)
{
	const struct gm_ed25519_policy p = {0};

	cr_expect_eq(gm_ed25519_policy_size(&p, 64), 64);
	cr_expect_eq(gm_ed25519_policy_size(&p, 100), 100);
	cr_expect_eq(gm_ed25519_policy_size(&p, 4095), 4095);
	cr_expect_eq(gm_ed25519_policy_size(&p, 4096), 4096);
	cr_expect_eq(gm_ed25519_policy_size(&p, 1000000), GM_ED25519_BATCH_MAX);
}

Test(ed25519_policy, leaves_a_handful_to_the_lanes)
{
	const struct gm_ed25519_policy p = {0};

	for (unsigned n = 0; n < 32; n++)
		cr_expect_eq(gm_ed25519_policy_size(&p, n), 0, "%u", n);
}

Test(ed25519_policy, takes_smaller_batches_the_more_signatures_are_bad)
{
	static const unsigned every[] = {100000, 10000, 2000, 500, 200, 100, 20};
	unsigned before = GM_ED25519_BATCH_MAX + 1;

	for (unsigned i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
		struct gm_ed25519_policy p = {0};

		learn(&p, 200000, every[i]);
		const unsigned size = gm_ed25519_policy_size(&p, 4096);
		cr_expect_leq(size, before, "one of %u is bad", every[i]);
		before = size;
	}
	cr_expect_eq(before, 0, "one of 20 is bad");
}

Test(ed25519_policy, never_expects_a_batch_to_cost_more_than_the_lanes)
{
	for (unsigned every = 1; every < 3000; every += every / 8 + 1) {
		struct gm_ed25519_policy p = {0};

		learn(&p, 50000, every);
		const unsigned n = gm_ed25519_policy_size(&p, 4096);
		double holds = 1; /* the chance that none of n is bad */
		for (unsigned i = 0; i < n; i++)
			holds *= 1 - 1.0 / every;
		cr_expect(n == 0 || holds > 0.25, "batches of %u, one of %u bad", n, every);
	}
}

Test(ed25519_policy, gives_up_batches_when_all_is_bad_and_takes_them_up_again)
{
	struct gm_ed25519_policy p = {0};

	for (unsigned i = 0; i < 100; i++)
		gm_ed25519_policy_learn(&p, 4096, 4096);
	cr_expect_eq(p.bad, UINT32_MAX);
	cr_expect_eq(gm_ed25519_policy_size(&p, 4096), 0);
	learn(&p, 60000, 0);
	cr_expect_gt(gm_ed25519_policy_size(&p, 4096), 256);
}

Test(ed25519_policy, learns_alike_from_one_call_and_from_many)
{
	struct gm_ed25519_policy once = {0}, often = {0};

	gm_ed25519_policy_learn(&once, 64, 4);
	learn(&often, 64, 16);
	cr_expect(often.bad > once.bad / 100 * 95 && often.bad < once.bad / 100 * 105);
}

Test(ed25519_policy, lets_newcomers_in_after_one_good_signature)
{
	uint8_t standing = 0;

	cr_expect_not(gm_ed25519_standing_batches(standing));
	standing = gm_ed25519_standing_after(standing, true);
	cr_expect(gm_ed25519_standing_batches(standing));
	standing = gm_ed25519_standing_after(standing, true);
	cr_expect(gm_ed25519_standing_batches(standing));
}

Test(ed25519_policy, keeps_out_who_sent_a_bad_one_until_eight_were_good)
{
	for (unsigned known = 0; known < 2; known++) {
		uint8_t standing = gm_ed25519_standing_after(0, known);

		standing = gm_ed25519_standing_after(standing, false);
		for (unsigned i = 0; i < 5; i++)
			standing = gm_ed25519_standing_after(standing, true);
		standing = gm_ed25519_standing_after(standing, false); /* begins again */
		for (unsigned i = 0; i < GM_ED25519_PENANCE; i++) {
			cr_expect_not(gm_ed25519_standing_batches(standing), "after %u good ones", i);
			standing = gm_ed25519_standing_after(standing, true);
		}
		cr_expect(gm_ed25519_standing_batches(standing));
	}
}
