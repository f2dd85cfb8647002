/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "x25519/x25519.h"
#include "seats.h"
#include "vectors.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(x25519, .init = start);

Test(x25519, agrees_as_wycheproof_and_refuses_the_all_zero_secret)
{
	json_t *file = gm_vectors_load("wycheproof/x25519_test.json"), *group, *test;
	const uint8_t zeros[GM_X25519_KEY] = {0};
	size_t g, t;
	unsigned n = 0, refused = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test)
	{
		uint8_t priv[GM_X25519_KEY], pub[GM_X25519_KEY], shared[GM_X25519_KEY], out[GM_X25519_KEY];

		gm_vectors_get(priv, sizeof(priv), test, "private");
		gm_vectors_get(pub, sizeof(pub), test, "public");
		gm_vectors_get(shared, sizeof(shared), test, "shared");
		n++;
		if (!memcmp(shared, zeros, sizeof(zeros))) {
			refused++;
			cr_expect_not(gm_x25519(out, priv, pub));
			continue;
		}
		cr_expect(gm_x25519(out, priv, pub));
		cr_expect_arr_eq(out, shared, sizeof(out), "tcId %lld",
		                 json_integer_value(json_object_get(test, "tcId")));
	}
	json_decref(file);
	cr_expect_eq(n, 518);
	cr_expect_gt(refused, 10);
}

static const struct gm_x25519_variant *const variants[] = {
    &gm_x25519_sodium,
    &gm_x25519_plain,
#ifdef __x86_64__
    &gm_x25519_emulated,
    &gm_x25519_avx512,
    &gm_x25519_ifma,
#endif
};

static unsigned load(uint8_t (*priv)[32], uint8_t (*pub)[32], uint8_t (*shared)[32])
{
	json_t *file = gm_vectors_load("wycheproof/x25519_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	    json_array_foreach(json_object_get(group, "tests"), t, test)
	{
		gm_vectors_get(priv[n], 32, test, "private");
		gm_vectors_get(pub[n], 32, test, "public");
		gm_vectors_get(shared[n++], 32, test, "shared");
	}
	json_decref(file);
	return n;
}

/* With sanitizers each vector has one lane. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY_LANE 1u
#else
#define EVERY_LANE 8u
#endif

Test(x25519, variants_agree_as_wycheproof_in_every_lane_and_number)
{
	static uint8_t priv[518][32], pub[518][32], shared[518][32], out[64][32];
	const uint8_t zeros[32] = {0};
	const unsigned all = load(priv, pub, shared);

	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		struct gm_seats seats = {.vectors = all, .lanes = EVERY_LANE};
		unsigned n, vector[64];

		while (variants[v]->usable() && (n = gm_seats_next(&seats, vector)) > 0) {
			struct gm_x25519_job jobs[64];
			uint64_t expected = 0;

			for (unsigned i = 0; i < n; i++) {
				unsigned *at = &vector[i];

				*at = *at != GM_SEATS_GOOD ? *at : seats.call % 50; /* the first are ordinary ones */
				jobs[i] = (struct gm_x25519_job){priv[*at], pub[*at], out[i]};
				expected |= (uint64_t)(memcmp(shared[*at], zeros, 32) != 0) << i;
			}
			cr_expect_eq(variants[v]->agree(jobs, n), expected, "%s: call %u of %u", variants[v]->name, seats.call, n);
			for (unsigned i = 0; i < n; i++)
				cr_expect_arr_eq(out[i], shared[vector[i]], 32, "%s: vector %u in %u", variants[v]->name, vector[i], i);
		}
		cr_expect(!variants[v]->usable() || EVERY_LANE == 1 || seats.seated[7] == all);
	}
}

Test(x25519, maps_both_halves_of_an_ed25519_key_to_the_same_pair)
{
	const uint8_t base[GM_X25519_KEY] = {9};

	for (unsigned i = 0; i < 50; i++) {
		uint8_t seed[GM_ED25519_SEED], pub[GM_ED25519_PUB], x_priv[32], x_pub[32], expected[32];

		gm_random(seed, sizeof(seed));
		gm_ed25519_public(pub, seed);
		gm_ed25519_to_x25519_priv(x_priv, seed);
		cr_expect(gm_ed25519_to_x25519_pub(x_pub, pub));
		cr_expect(gm_x25519(expected, x_priv, base));
		cr_expect_arr_eq(x_pub, expected, sizeof(x_pub));
	}
}

#define FF28 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define ZZ28 "00000000000000000000000000000000000000000000000000000000"

struct refused {
	const char *pub, *why;
};

static const struct refused refused[] = {
    {"01000000" ZZ28, "y = 1"},
    {"010000" ZZ28 "80", "y = 1, x = -0"},
    {"eeffff" FF28 "7f", "y = p + 1"},
    {"eeffff" FF28 "ff", "y = p + 1, x = -0"},
    {"ecffff" FF28 "7f", "y = -1"},
    {"ecffff" FF28 "ff", "y = -1, x = -0"},
    {"00000000" ZZ28, "y = 0, order 4"},
    {"000000" ZZ28 "80", "y = 0, order 4, the other x"},
    {"edffff" FF28 "7f", "y = p, order 4"},
    {"edffff" FF28 "ff", "y = p, order 4, the other x"},
    {"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "order 8"},
    {"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "order 8"},
    {"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "order 8"},
    {"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "order 8"},
    {"02000000" ZZ28, "y = 2: off the curve"},
    {"07000000" ZZ28, "y = 7: off the curve"},
};

Test(x25519, refuses_to_map_what_is_not_a_good_ed25519_key)
{
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint8_t pub[GM_ED25519_PUB], out[GM_X25519_KEY];

		cr_assert_eq(gm_hex(pub, sizeof(pub), refused[i].pub), sizeof(pub));
		cr_expect_not(gm_ed25519_to_x25519_pub(out, pub), "%s", refused[i].why);
	}
}

Test(x25519, refuses_to_map_any_y_that_is_not_canonical)
{
	for (unsigned y = 0; y < 19; y++)
		for (unsigned sign = 0; sign < 2; sign++) {
			uint8_t pub[GM_ED25519_PUB], out[GM_X25519_KEY];

			memset(pub, 0xff, sizeof(pub));
			pub[0] = (uint8_t)(0xed + y);
			pub[31] = sign ? 0xff : 0x7f;
			cr_expect_not(gm_ed25519_to_x25519_pub(out, pub), "y = p + %u, sign %u", y, sign);
		}
}

Test(x25519, refuses_to_map_a_key_with_a_component_of_small_order)
{
	json_t *file = gm_vectors_load("cctv/ed25519vectors.json"), *test;
	size_t i;
	unsigned mixed = 0;

	json_array_foreach(file, i, test)
	{
		uint8_t pub[GM_ED25519_PUB], out[GM_X25519_KEY];

		gm_vectors_get(pub, sizeof(pub), test, "key");
		bool bad = gm_vectors_have_flag(test, "low_order_component_A") || gm_vectors_have_flag(test, "low_order_A");
		mixed += bad && !gm_vectors_have_flag(test, "low_order_A");
		cr_expect_eq(gm_ed25519_to_x25519_pub(out, pub), !bad, "number %zu", i);
	}
	json_decref(file);
	cr_expect_gt(mixed, 0);
}

/* What is picked on some processor does all, the others some. */
static bool most(unsigned v)
{
#ifdef __x86_64__
#ifdef __SANITIZE_ADDRESS__
	return false;
#endif
	return variants[v] == &gm_x25519_avx512 || variants[v] == &gm_x25519_ifma;
#else
	return false;
#endif
}

/* Keys of all the cases above, good ones and random bytes: each in each lane, in calls of any size. */
Test(x25519, variants_map_keys_as_libsodium_in_any_lane_and_number)
{
	static const unsigned sizes[] = {64, 63, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
	static uint8_t pub[1200][32], image[1200][32], out[64][32];
	static bool good[1200];
	json_t *file = gm_vectors_load("cctv/ed25519vectors.json"), *test;
	const unsigned small = sizeof(refused) / sizeof(refused[0]), all = 1200;
	size_t n;

	json_array_foreach(file, n, test) gm_vectors_get(pub[n], 32, test, "key");
	json_decref(file);
	for (; n < all; n++) {
		gm_random(pub[n], 32);
		if (n % 4 == 0)
			cr_assert_eq(gm_hex(pub[n], 32, refused[n / 4 % small].pub), 32);
		if (n % 4 == 1)
			gm_ed25519_public(pub[n], pub[n]);
	}
	for (unsigned i = 0; i < all; i++) {
		good[i] = gm_ed25519_to_x25519_pub(image[i], pub[i]);
		if (!good[i])
			memset(image[i], 0, 32);
	}
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
		for (unsigned from = 0, s = 0; variants[v]->usable() && from < (most(v) ? 2 * all : all / 8); s++) {
			struct gm_x25519_map_job jobs[64];
			uint64_t expected = 0;

			n = sizes[s % (sizeof(sizes) / sizeof(sizes[0]))];
			memset(out, 0xaa, sizeof(out));
			for (unsigned i = 0; i < n; i++) {
				/* 7 shares no factor with the number: neighbours come from all over */
				const unsigned at = (from + i) * 7 % all;

				jobs[i] = (struct gm_x25519_map_job){pub[at], out[i]};
				expected |= (uint64_t)good[at] << i;
			}
			cr_expect_eq(variants[v]->map(jobs, (unsigned)n), expected, "%s: %u", variants[v]->name, from);
			for (unsigned i = 0; i < n; i++)
				cr_expect_arr_eq(out[i], image[(from + i) * 7 % all], 32, "%s: %u", variants[v]->name, from + i);
			from += (unsigned)n;
		}
}

/* Small numbers of jobs, and what is left of larger ones, go another way. */
Test(x25519, answers_alike_for_any_number_of_jobs)
{
	static uint8_t seed[64][32], pub[64][32], out[64][32], expected[32];

	gm_random(seed, sizeof(seed));
	for (unsigned i = 0; i < 64; i++)
		gm_ed25519_public(pub[i], seed[i]);
	memset(pub[11], 0, 32);
	for (unsigned n = 0; n <= 64; n += n < 20 || n > 60 ? 1 : 7) {
		const uint64_t all = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
		struct gm_x25519_map_job map[64];
		struct gm_x25519_job agree[64];

		for (unsigned i = 0; i < n; i++)
			map[i] = (struct gm_x25519_map_job){pub[i], out[i]};
		cr_expect_eq(gm_ed25519_to_x25519_pub_many(map, n), all & ~(UINT64_C(1) << 11), "%u", n);
		for (unsigned i = 0; i < n; i++)
			if (gm_ed25519_to_x25519_pub(expected, pub[i]))
				cr_expect_arr_eq(out[i], expected, 32, "%u of %u", i, n);
		for (unsigned i = 0; i < n; i++)
			agree[i] = (struct gm_x25519_job){seed[i], pub[i], out[i]};
		cr_expect_eq(gm_x25519_many(agree, n), all & ~(UINT64_C(1) << 11), "%u", n);
		for (unsigned i = 0; i < n; i++)
			if (gm_x25519(expected, seed[i], pub[i]))
				cr_expect_arr_eq(out[i], expected, 32, "%u of %u", i, n);
	}
}
