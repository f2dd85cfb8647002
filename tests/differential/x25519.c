/* SPDX-License-Identifier: Apache-2.0 */
/* Key agreement against libsodium: any 32 bytes are a key, and some are of small order. And the map of Ed25519 keys. */
#include "differential/rig.h"
#include "x25519/x25519.h"

#include <sodium.h>

static const struct {
	const struct gm_x25519_variant *does;
	unsigned one_of;
} ways[] = {
    {&gm_x25519_sodium, SELDOM(10)},  {&gm_x25519_plain, SELDOM(20)},
#ifdef __x86_64__
    {&gm_x25519_emulated, 2}, {&gm_x25519_avx512, 1}, {&gm_x25519_ifma, 1},
#endif
};

static struct buffers {
	struct gm_guard priv, pub, out;
} buffers[64];

static uint8_t expected[64][32];

/* u of the points of small order: 0, 1, p - 1 and two of order 8 */
static const uint8_t small[][32] = {
    {0},
    {1},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
};

/* Mostly random; else of small order, or next to p and 2^255, with the top bit or without */
static uint8_t *draw_pub(struct gm_dice *d, struct gm_guard *g)
{
	uint8_t *pub = diff_bytes(d, g, 32);
	const unsigned what = gm_roll(d, 8);

	if (what == 0) {
		memcpy(pub, small[gm_roll(d, sizeof(small) / sizeof(small[0]))], 32);
		pub[31] |= (uint8_t)(gm_roll(d, 2) << 7);
	} else if (what == 1) {
		memset(pub, 0xff, 32);
		pub[0] = (uint8_t)(0xe0 + gm_roll(d, 32));
		pub[31] = gm_roll(d, 2) ? 0xff : 0x7f;
	}
	return pub;
}

static unsigned batch_agree(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_x25519_job jobs[64];
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		jobs[i] = (struct gm_x25519_job){diff_bytes(d, &buffers[i].priv, 32), draw_pub(d, &buffers[i].pub),
		                                 diff_room(d, &buffers[i].out, 32)};
		if (crypto_scalarmult_curve25519(expected[i], jobs[i].priv, jobs[i].pub) == 0)
			good |= UINT64_C(1) << i;
		else
			memset(expected[i], 0, 32);
	}
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		const struct gm_x25519_variant *v = ways[w].does;
		bool same = true;
		uint64_t got;

		if (!diff_turn(d, tally, "x25519", v->name, ways[w].one_of) || !v->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].out, 0xa5, 32);
		got = v->agree(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same &= memcmp(jobs[i].out, expected[i], 32) == 0;
		diff_count(tally, "x25519", v->name, n, got, good, same);
	}
	return n;
}

/* Of eight four are keys, two random bytes, which are no point or one of another order; one is a key to which a point of
 * order 8 is added, one next to p. */
static uint8_t *draw_key(struct gm_dice *d, struct gm_guard *g)
{
	static const uint8_t order_8[32] = {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	                                    0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	                                    0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};
	uint8_t *pub = diff_bytes(d, g, 32), seed[32], secret[64];
	const unsigned what = gm_roll(d, 8);

	if (what < 5) {
		diff_fill(d, seed, sizeof(seed));
		crypto_sign_seed_keypair(pub, secret, seed);
	}
	if (what == 4 && crypto_core_ed25519_add(pub, pub, order_8) != 0)
		abort();
	if (what == 5) {
		memset(pub, gm_roll(d, 2) ? 0xff : 0, 32);
		pub[0] = (uint8_t)gm_roll(d, 256);
		pub[31] ^= (uint8_t)(gm_roll(d, 2) << 7);
	}
	return pub;
}

static unsigned batch_map(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_x25519_map_job jobs[64];
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		jobs[i] = (struct gm_x25519_map_job){draw_key(d, &buffers[i].pub), diff_room(d, &buffers[i].out, 32)};
		if (crypto_sign_ed25519_pk_to_curve25519(expected[i], jobs[i].pub) == 0)
			good |= UINT64_C(1) << i;
		else
			memset(expected[i], 0, 32);
	}
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		const struct gm_x25519_variant *v = ways[w].does;
		bool same = true;
		uint64_t got;

		if (!diff_turn(d, tally, "ed25519_to_x25519", v->name, ways[w].one_of) || !v->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].out, 0xa5, 32);
		got = v->map(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same &= memcmp(jobs[i].out, expected[i], 32) == 0;
		diff_count(tally, "ed25519_to_x25519", v->name, n, got, good, same);
	}
	return n;
}

const struct kind diff_x25519 = {"x25519", true, batch_agree};
const struct kind diff_map = {"ed25519_to_x25519", true, batch_map};
