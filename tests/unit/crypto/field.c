/* SPDX-License-Identifier: Apache-2.0 */
/* The field and the scalars with limbs as large as their comments allow, against OpenSSL's big numbers. */
#include <criterion/criterion.h>
#include <openssl/bn.h>
#define GM_LANES_PLAIN 8
#include "field/fe.h"
#include "field/sc.h"

#define CARRIED ((UINT64_C(1) << 51) + (1 << 12) - 1)
#define FACTOR ((UINT64_C(1) << 52) - 1)
#define OPEN ((UINT64_C(268) << 52) - 1)
#define OPEN_LAST ((UINT64_C(52) << 52) - 1)
#define HANDS_ON_LAST ((UINT64_C(107) << 52) - 1)

static BIGNUM *prime(void)
{
	BIGNUM *p = BN_new();

	cr_assert(BN_hex2bn(&p, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"));
	return p;
}

static BIGNUM *number(const vec *limb, unsigned n, unsigned lane, int bits)
{
	BIGNUM *r = BN_new();

	BN_zero(r);
	for (unsigned i = n; i-- > 0;) {
		cr_assert(BN_lshift(r, r, bits));
		cr_assert(BN_add_word(r, limb[i].w[lane]));
	}
	return r;
}

/* Each limb is 0, the most allowed, or random below it. */
static struct fe extreme(uint64_t most)
{
	struct fe r;

	for (unsigned i = 0; i < 5; i++)
		for (unsigned lane = 0; lane < 8; lane++) {
			uint64_t dice[2];

			gm_random(dice, sizeof(dice));
			r.v[i].w[lane] = lane == 0 || dice[0] % 3 == 0 ? most
			                 : dice[0] % 3 == 1            ? 0
			                                               : dice[1] % (most + 1);
		}
	return r;
}

static struct fe extreme_open(void)
{
	const struct fe last = extreme(OPEN_LAST);
	struct fe r = extreme(OPEN);

	r.v[4] = last.v[4];
	return r;
}

static void expect_below(const struct fe *a, uint64_t most, uint64_t most_last)
{
	for (unsigned i = 0; i < 5; i++)
		for (unsigned lane = 0; lane < 8; lane++)
			cr_expect_leq(a->v[i].w[lane], i < 4 ? most : most_last);
}

static void expect_carried(const struct fe *a)
{
	expect_below(a, CARRIED, CARRIED);
}

/* got = a op b modulo p in every lane, where op is one of BN_mod_mul, BN_mod_add, BN_mod_sub */
static void expect_same(const struct fe *got, const struct fe *a, const struct fe *b,
                        int (*op)(BIGNUM *, const BIGNUM *, const BIGNUM *, const BIGNUM *, BN_CTX *))
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = prime(), *expected = BN_new();

	expect_carried(got);
	for (unsigned lane = 0; lane < 8; lane++) {
		BIGNUM *x = number(a->v, 5, lane, 51), *y = number(b->v, 5, lane, 51), *z = number(got->v, 5, lane, 51);
		const struct fe frozen = fe_freeze(*got);
		BIGNUM *least = number(frozen.v, 5, lane, 51);

		cr_assert(op(expected, x, y, p, ctx) && BN_nnmod(z, z, p, ctx));
		cr_expect_eq(BN_cmp(expected, z), 0, "lane %u", lane);
		cr_expect_eq(BN_cmp(expected, least), 0, "frozen, lane %u", lane);
		BN_free(x), BN_free(y), BN_free(z), BN_free(least);
	}
	BN_free(p), BN_free(expected), BN_CTX_free(ctx);
}

Test(field, multiplies_adds_and_subtracts_at_the_bounds_of_its_limbs)
{
	const struct fe zero = fe_set1(fe_zero_limbs);

	for (unsigned i = 0; i < 200; i++) {
		const struct fe a = extreme(FACTOR), b = extreme(FACTOR), c = extreme(CARRIED), d = extreme(CARRIED);
		struct fe got = fe_mul(a, b), small = fe_set1((const uint64_t[5]){(1 << 20) - 1});

		expect_same(&got, &a, &b, BN_mod_mul);
		got = fe_sq(a);
		expect_same(&got, &a, &a, BN_mod_mul);
		got = fe_add(c, d);
		expect_same(&got, &c, &d, BN_mod_add);
		got = fe_sub(c, d);
		expect_same(&got, &c, &d, BN_mod_sub);
		got = fe_carry(fe_negate_if(ALL_LANES, d));
		expect_same(&got, &zero, &d, BN_mod_sub);
		got = fe_scale_add(a, (1 << 20) - 1, zero);
		expect_same(&got, &a, &small, BN_mod_mul);
		struct fe more = fe_scale_add(a, (1 << 20) - 1, c);
		expect_same(&more, &got, &c, BN_mod_add);
		more = fe_mul_twice(a, b);
		got = fe_mul(a, b);
		expect_same(&more, &got, &got, BN_mod_add);
	}
}

/* What carries it as well once more: only then there is one form to compare */
static void expect_same_factor(const struct fe *got, const struct fe *a, const struct fe *b,
                               int (*op)(BIGNUM *, const BIGNUM *, const BIGNUM *, const BIGNUM *, BN_CTX *))
{
	const struct fe carried = fe_carry(*got);

	expect_below(got, FACTOR, FACTOR);
	expect_same(&carried, a, b, op);
}

Test(field, adds_and_subtracts_open_products_at_the_bounds_of_their_limbs)
{
	const struct fe most = fe_set1((const uint64_t[5]){FACTOR, FACTOR, FACTOR, FACTOR, FACTOR});

	for (unsigned i = 0; i < 200; i++) {
		const struct fe a = i > 0 ? extreme(FACTOR) : most, b = i > 0 ? extreme(FACTOR) : most;
		const struct fe c = extreme_open(), d = extreme_open();
		struct fe got = fe_mul_open(a, b);

		expect_below(&got, OPEN, OPEN_LAST);
		got = fe_sq_open(a);
		expect_below(&got, OPEN, OPEN_LAST);
		got = fe_add_open(c, d);
		expect_same_factor(&got, &c, &d, BN_mod_add);
		got = fe_sub_open(c, d);
		expect_same_factor(&got, &c, &d, BN_mod_sub);
	}
}

Test(field, carries_limbs_at_the_bounds_that_it_names)
{
	const struct fe zero = fe_set1(fe_zero_limbs);

	for (unsigned i = 0; i < 200; i++) {
		struct fe a = extreme((UINT64_C(1) << 63) - 1), top = extreme(HANDS_ON_LAST), got;

		a.v[4] = top.v[4];
		got = fe_carry(a);
		expect_same(&got, &a, &zero, BN_mod_add);
		a = extreme((UINT64_C(1) << 63) - 1);
		got = fe_carry(a);
		expect_same_factor(&got, &a, &zero, BN_mod_add);
	}
}

/* around 0, p and 2^255 there is one form below p */
Test(field, freezes_to_the_least_form)
{
	for (int delta = -40; delta <= 40; delta++)
		for (unsigned base = 0; base < 2; base++) {
			struct fe a = base ? fe_set1((const uint64_t[5]){M51 - 18, M51, M51, M51, M51})
			                   : fe_set1((const uint64_t[5]){40, 0, 0, 0, 0}),
			          f;

			EACH(lane) a.v[0].w[lane] += (uint64_t)(int64_t)delta;
			f = fe_freeze(a);
			BIGNUM *p = prime(), *x = number(a.v, 5, 0, 51), *y = number(f.v, 5, 0, 51);
			BN_CTX *ctx = BN_CTX_new();

			cr_assert(BN_nnmod(x, x, p, ctx));
			cr_expect_eq(BN_cmp(x, y), 0, "delta %d", delta);
			BN_free(p), BN_free(x), BN_free(y), BN_CTX_free(ctx);
		}
}

Test(field, reduces_512_bits_modulo_the_order_and_writes_them_as_digits)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *order = BN_new();

	cr_assert(BN_hex2bn(&order, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"));
	for (unsigned round = 0; round < 300; round++) {
		vec w[8], digit[51];

		for (unsigned i = 0; i < 8; i++)
			EACH(lane)
			{
				gm_random(&w[i].w[lane], 8);
				if (round % 3 > 0) /* runs of ones and zeros */
					w[i].w[lane] = w[i].w[lane] & 1   ? UINT64_MAX
					               : w[i].w[lane] & 2 ? 0
					                                  : w[i].w[lane];
			}
		if (round == 0)
			for (unsigned i = 0; i < 8; i++)
				w[i] = v_set1(UINT64_MAX);
		const struct sc s = sc_reduce(sc_wide_of_words(w));
		sc_digits(digit, 51, 5, s);
		EACH(lane)
		{
			BIGNUM *x = number(w, 8, lane, 64), *y = number(s.v, 5, lane, 52), *sum = BN_new();

			BN_zero(sum);
			for (unsigned i = 51; i-- > 0;) {
				const int64_t d = (int64_t)digit[i].w[lane];

				cr_expect(d >= -16 && d <= 15);
				cr_assert(BN_lshift(sum, sum, 5));
				cr_assert(d < 0 ? BN_sub_word(sum, (uint64_t)-d) : BN_add_word(sum, (uint64_t)d));
			}
			cr_assert(BN_nnmod(x, x, order, ctx));
			cr_expect_eq(BN_cmp(x, y), 0, "round %u, lane %u", round, lane);
			cr_expect_eq(BN_cmp(y, sum), 0, "digits of round %u, lane %u", round, lane);
			BN_free(x), BN_free(y), BN_free(sum);
		}
	}
	BN_free(order), BN_CTX_free(ctx);
}

/* digits of a number of the least bits, in windows as batches have them: within a byte, and the number again */
static void expect_digits(const struct sc *a, unsigned bits, unsigned width)
{
	const unsigned windows = (bits + width) / width;
	vec digit[64];

	cr_assert(windows <= 64);
	sc_digits(digit, windows, width, *a);
	EACH(lane)
	{
		BIGNUM *x = number(a->v, 5, lane, 52), *sum = BN_new();

		BN_zero(sum);
		for (unsigned i = windows; i-- > 0;) {
			const int64_t d = (int64_t)digit[i].w[lane], half = INT64_C(1) << (width - 1);

			cr_expect(d >= -half && d < half && d == (int8_t)d);
			cr_assert(BN_lshift(sum, sum, (int)width));
			cr_assert(d < 0 ? BN_sub_word(sum, (uint64_t)-d) : BN_add_word(sum, (uint64_t)d));
		}
		cr_expect_eq(BN_cmp(x, sum), 0, "%u bits, windows of %u, lane %u", bits, width, lane);
		BN_free(x), BN_free(sum);
	}
}

Test(field, writes_any_scalar_and_any_coefficient_as_digits_of_a_byte)
{
	for (unsigned width = 4; width <= 8; width++)
		for (unsigned round = 0; round < 50; round++) {
			struct sc whole, half;

			EACH(lane) for (unsigned i = 0; i < 5; i++)
			{
				uint64_t dice[2];

				gm_random(dice, sizeof(dice));
				/* all ones in lane 0, in others random limbs among those of L, all ones and zeros */
				whole.v[i].w[lane] = lane == 0          ? M52
				                     : dice[0] % 4 == 0 ? sc_order_limbs[i]
				                     : dice[0] % 4 == 1 ? M52
				                     : dice[0] % 4 == 2 ? 0
				                                        : dice[1] & M52;
				half.v[i].w[lane] = i < 2 ? whole.v[i].w[lane] : i == 2 ? whole.v[i].w[lane] >> 30 : 0;
			}
			EACH(lane) whole.v[4].w[lane] &= (UINT64_C(1) << 45) - 1;
			expect_digits(&whole, 253, width);
			expect_digits(&half, 126, width);
		}
}
