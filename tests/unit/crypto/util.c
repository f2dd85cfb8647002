/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(util, .init = start);

Test(util, may_be_started_twice)
{
	cr_expect(gm_crypto_init());
}

Test(util, gives_the_same_dice_for_the_same_seed)
{
	uint8_t seed[32] = {1}, a[64], b[64];

	gm_random_from(a, sizeof(a), seed);
	gm_random_from(b, sizeof(b), seed);
	cr_expect_arr_eq(a, b, sizeof(a));
	seed[31] = 1;
	gm_random_from(b, sizeof(b), seed);
	cr_expect_arr_neq(a, b, sizeof(a));
}

Test(util, throws_different_dice_each_time)
{
	uint8_t a[16] = {0}, b[16] = {0};

	gm_random(a, sizeof(a));
	gm_random(b, sizeof(b));
	cr_expect_arr_neq(a, b, sizeof(a));
}

Test(util, wipes_and_compares_exactly_the_bytes_named)
{
	uint8_t a[] = "abcdef", b[] = "abcdeX";

	cr_expect(gm_equal(a, b, 5));
	cr_expect_not(gm_equal(a, b, 6));
	cr_expect(gm_equal(a, b, 0));
	gm_wipe(a, 3);
	cr_expect_arr_eq(a, "\0\0\0def", 6);
}
