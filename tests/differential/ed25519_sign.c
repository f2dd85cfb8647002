/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures and public keys as libsodium makes them, bit for bit. */
#include "differential/rig.h"
#include "ed25519/ed25519.h"

#include <sodium.h>

static const struct {
	const struct gm_ed25519_variant *does;
	unsigned one_of;
} ways[] = {
    {&gm_ed25519_sodium, SELDOM(10)}, {&gm_ed25519_plain, SELDOM(20)},
#ifdef __x86_64__
    {&gm_ed25519_emulated, 1}, {&gm_ed25519_avx512, 1}, {&gm_ed25519_ifma, 1},
#endif
};

#define MSG_MAX 700u

static struct buffers {
	struct gm_guard pub, sig, seed, msg;
} buffers[64];

static size_t draw_len(struct gm_dice *d)
{
	return gm_roll(d, 20) == 0 ? gm_roll(d, MSG_MAX) : gm_roll(d, 150);
}

/* One call, to sign or to make keys of the seeds, and what libsodium makes of it */
struct call {
	const char *door;
	unsigned n;
	size_t len; /* of an output */
	void (*by)(const struct gm_ed25519_variant *v, const struct call *c);
	struct gm_ed25519_sign_job sign[64];
	struct gm_ed25519_public_job public[64];
	uint8_t *out[64], *expected[64];
};

static void ask(const struct gm_ed25519_variant *v, const struct call *c, struct tally *tally)
{
	uint64_t same = 0;

	for (unsigned i = 0; i < c->n; i++)
		memset(c->out[i], 0, c->len);
	c->by(v, c);
	for (unsigned i = 0; i < c->n; i++)
		same |= (uint64_t)(memcmp(c->out[i], c->expected[i], c->len) == 0) << i;
	diff_count(tally, c->door, v->name, c->n, same, diff_all(c->n), true);
}

static struct call in_other_order(const struct call *c)
{
	struct call other = *c;
	unsigned order[64];

	diff_shuffle(order, c->n);
	for (unsigned i = 0; i < c->n; i++) {
		other.sign[i] = c->sign[order[i]];
		other.public[i] = c->public[order[i]];
		other.out[i] = c->out[order[i]];
		other.expected[i] = c->expected[order[i]];
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

static void sign_by(const struct gm_ed25519_variant *v, const struct call *c)
{
	v->sign(c->sign, c->n);
}

static void public_by(const struct gm_ed25519_variant *v, const struct call *c)
{
	v->public(c->public, c->n);
}

static unsigned batch_sign(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	struct call c = {.door = "ed25519_sign", .by = sign_by, .n = diff_n(d, left), .len = 64};
	static uint8_t expected[64][64], pub[64][32];

	for (unsigned i = 0; i < c.n; i++) {
		const size_t len = draw_len(d);
		struct buffers *b = &buffers[i];
		uint8_t secret[64], *seed = diff_bytes(d, &b->seed, 32), *key = diff_room(d, &b->pub, 32);
		const uint8_t *msg;

		crypto_sign_seed_keypair(pub[i], secret, seed);
		memcpy(key, pub[i], 32);
		msg = diff_bytes(d, &b->msg, len);
		c.out[i] = diff_room(d, &b->sig, 64);
		c.expected[i] = expected[i];
		c.sign[i] = (struct gm_ed25519_sign_job){seed, key, msg, len, c.out[i]};
		crypto_sign_detached(expected[i], NULL, msg, len, secret);
	}
	return compare_again(d, &c, tally);
}

static unsigned batch_public(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	struct call c = {.door = "ed25519_keygen", .by = public_by, .n = diff_n(d, left), .len = 32};
	static uint8_t expected[64][32];

	for (unsigned i = 0; i < c.n; i++) {
		uint8_t secret[64], *seed = diff_bytes(d, &buffers[i].seed, 32);

		crypto_sign_seed_keypair(expected[i], secret, seed);
		c.out[i] = diff_room(d, &buffers[i].pub, 32);
		c.expected[i] = expected[i];
		c.public[i] = (struct gm_ed25519_public_job){seed, c.out[i]};
	}
	return compare_again(d, &c, tally);
}

const struct kind diff_ed25519_sign = {"ed25519_sign", true, batch_sign};
const struct kind diff_ed25519_public = {"ed25519_keygen", true, batch_public};
