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

/* One call of a door, and what libsodium says of its jobs */
struct call {
	const char *door;
	unsigned n;
	uint64_t (*by)(const struct gm_x25519_variant *v, const struct call *c);
	struct gm_x25519_job agree[64];
	struct gm_x25519_map_job map[64];
	uint8_t *pub[64], *out[64], *expected[64];
	uint64_t good;
};

static void answer(struct call *c, unsigned i, bool good)
{
	c->expected[i] = expected[i];
	if (good)
		c->good |= UINT64_C(1) << i;
	else
		memset(expected[i], 0, 32);
}

static void ask(const struct gm_x25519_variant *v, const struct call *c, struct tally *tally)
{
	bool same = true;
	uint64_t got;

	for (unsigned i = 0; i < c->n; i++)
		memset(c->out[i], 0xa5, 32);
	got = c->by(v, c);
	for (unsigned i = 0; i < c->n; i++)
		same &= memcmp(c->out[i], c->expected[i], 32) == 0;
	diff_count(tally, c->door, v->name, c->n, got, c->good, same);
}

/* In other lanes, and the top bit of some keys turned over: X25519 does not look at it, and it is the sign of x, which u does not
 * depend on. */
static struct call in_other_order(const struct call *c)
{
	struct call other = *c;
	unsigned order[64];

	diff_shuffle(order, c->n);
	other.good = 0;
	for (unsigned i = 0; i < c->n; i++) {
		const unsigned k = order[i];

		other.agree[i] = c->agree[k];
		other.map[i] = c->map[k];
		other.out[i] = c->out[k];
		other.expected[i] = c->expected[k];
		other.good |= (c->good >> k & 1) << i;
		c->pub[k][31] ^= (uint8_t)(gm_roll(&diff_other, 2) << 7);
	}
	return other;
}

/* Each variant on the same jobs */
static void compare(struct gm_dice *d, const struct call *c, struct tally *tally)
{
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		if (diff_turn(d, tally, c->door, ways[w].does->name, ways[w].one_of) && ways[w].does->usable())
			ask(ways[w].does, c, tally);
}

static unsigned compare_again(struct gm_dice *d, const struct call *c, struct tally *tally)
{
	compare(d, c, tally);
	for (unsigned k = 0; k < diff_again; k++) {
		const struct call other = in_other_order(c);

		compare(&diff_other, &other, tally);
	}
	return c->n;
}

static uint64_t agree_by(const struct gm_x25519_variant *v, const struct call *c)
{
	return v->agree(c->agree, c->n);
}

static uint64_t map_by(const struct gm_x25519_variant *v, const struct call *c)
{
	return v->map(c->map, c->n);
}

static unsigned batch_agree(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	struct call c = {.door = "x25519", .by = agree_by, .n = diff_n(d, left)};

	for (unsigned i = 0; i < c.n; i++) {
		struct gm_x25519_job *j = &c.agree[i];

		j->priv = diff_bytes(d, &buffers[i].priv, 32);
		j->pub = c.pub[i] = draw_pub(d, &buffers[i].pub);
		j->out = c.out[i] = diff_room(d, &buffers[i].out, 32);
		answer(&c, i, crypto_scalarmult_curve25519(expected[i], j->priv, j->pub) == 0);
	}
	return compare_again(d, &c, tally);
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
	struct call c = {.door = "ed25519_to_x25519", .by = map_by, .n = diff_n(d, left)};

	for (unsigned i = 0; i < c.n; i++) {
		struct gm_x25519_map_job *j = &c.map[i];

		j->pub = c.pub[i] = draw_key(d, &buffers[i].pub);
		j->out = c.out[i] = diff_room(d, &buffers[i].out, 32);
		answer(&c, i, crypto_sign_ed25519_pk_to_curve25519(expected[i], j->pub) == 0);
	}
	return compare_again(d, &c, tally);
}

const struct kind diff_x25519 = {"x25519", true, batch_agree};
const struct kind diff_map = {"ed25519_to_x25519", true, batch_map};
