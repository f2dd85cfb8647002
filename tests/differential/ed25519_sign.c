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

static unsigned batch_sign(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_ed25519_sign_job jobs[64];
	static uint8_t expected[64][64], pub[64][32];

	for (unsigned i = 0; i < n; i++) {
		const size_t len = draw_len(d);
		struct buffers *b = &buffers[i];
		uint8_t secret[64], *seed = diff_bytes(d, &b->seed, 32), *key = diff_room(d, &b->pub, 32);

		crypto_sign_seed_keypair(pub[i], secret, seed);
		memcpy(key, pub[i], 32);
		jobs[i] = (struct gm_ed25519_sign_job){seed, key, diff_bytes(d, &b->msg, len), len,
		                                       diff_room(d, &b->sig, 64)};
		crypto_sign_detached(expected[i], NULL, jobs[i].msg, len, secret);
	}
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		const struct gm_ed25519_variant *v = ways[w].does;
		uint64_t same = 0;

		if (!diff_turn(d, tally, "ed25519_sign", v->name, ways[w].one_of) || !v->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].sig, 0, 64);
		v->sign(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same |= (uint64_t)(memcmp(jobs[i].sig, expected[i], 64) == 0) << i;
		diff_count(tally, "ed25519_sign", v->name, n, same, diff_all(n), true);
	}
	return n;
}

static unsigned batch_public(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_ed25519_public_job jobs[64];
	static uint8_t expected[64][32];

	for (unsigned i = 0; i < n; i++) {
		uint8_t secret[64], *seed = diff_bytes(d, &buffers[i].seed, 32);

		crypto_sign_seed_keypair(expected[i], secret, seed);
		jobs[i] = (struct gm_ed25519_public_job){seed, diff_room(d, &buffers[i].pub, 32)};
	}
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		const struct gm_ed25519_variant *v = ways[w].does;
		uint64_t same = 0;

		if (!diff_turn(d, tally, "ed25519_keygen", v->name, ways[w].one_of) || !v->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].pub, 0, 32);
		v->public(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same |= (uint64_t)(memcmp(jobs[i].pub, expected[i], 32) == 0) << i;
		diff_count(tally, "ed25519_keygen", v->name, n, same, diff_all(n), true);
	}
	return n;
}

const struct kind diff_ed25519_sign = {"ed25519_sign", true, batch_sign};
const struct kind diff_ed25519_public = {"ed25519_keygen", true, batch_public};
