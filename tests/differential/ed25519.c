/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against libsodium. What libsodium cannot say, that a signature by a key with a component of small order is
 * good, is known from how it was made. */
#include "differential/rig.h"
#include "ed25519/ed25519.h"

#include <sodium.h>

static const struct gm_ed25519_variant *const variants[] = {
    &gm_ed25519_sodium,
    &gm_ed25519_plain,
#ifdef __x86_64__
    &gm_ed25519_emulated,
    &gm_ed25519_avx512,
    &gm_ed25519_ifma,
#endif
};

#define MSG_MAX 700u

static struct buffers {
	struct gm_guard pub, sig, seed, msg;
} buffers[64];

/* (0, -1), (sqrt(-1), 0) and a point of order 8 */
static const uint8_t torsion[][32] = {
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
};

static size_t draw_len(struct gm_dice *d)
{
	return gm_roll(d, 20) == 0 ? gm_roll(d, MSG_MAX) : gm_roll(d, 150);
}

/* A signature over msg whose A, R or both have a component of small order added by the holder of the key: good by the
 * cofactored equation.                                                                  RFC 8032 §5.1.7 */
static void sign_mixed(struct gm_dice *d, uint8_t *pub, uint8_t *sig, const uint8_t *msg, size_t len)
{
	uint8_t wide[2][64], a[32], r[32], k[32], hash[64];
	const unsigned which = 1 + gm_roll(d, 3);
	crypto_hash_sha512_state h;

	diff_fill(d, wide, sizeof(wide));
	crypto_core_ed25519_scalar_reduce(a, wide[0]);
	crypto_core_ed25519_scalar_reduce(r, wide[1]);
	if (crypto_scalarmult_ed25519_base_noclamp(pub, a) != 0 || crypto_scalarmult_ed25519_base_noclamp(sig, r) != 0)
		abort();
	if (which & 1 && crypto_core_ed25519_add(pub, pub, torsion[gm_roll(d, 3)]) != 0)
		abort();
	if (which & 2 && crypto_core_ed25519_add(sig, sig, torsion[gm_roll(d, 3)]) != 0)
		abort();
	crypto_hash_sha512_init(&h);
	crypto_hash_sha512_update(&h, sig, 32);
	crypto_hash_sha512_update(&h, pub, 32);
	crypto_hash_sha512_update(&h, msg, len);
	crypto_hash_sha512_final(&h, hash);
	crypto_core_ed25519_scalar_reduce(k, hash);
	crypto_core_ed25519_scalar_mul(k, k, a);
	crypto_core_ed25519_scalar_add(sig + 32, k, r);
}

static void flip_a_bit(struct gm_dice *d, uint8_t *p, size_t len)
{
	if (len > 0)
		p[gm_roll(d, (uint32_t)len)] ^= (uint8_t)(1u << gm_roll(d, 8));
}

/* S + L: the same modulo L, and too large                                               RFC 8032 §8.4 */
static void add_order(uint8_t s[static 32])
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde,
	                                  0xf9, 0xde, 0x14, [31] = 0x10};

	sodium_add(s, order, 32);
}

/* y + p, for the few y < 19: another encoding, or garbage; of a random point it takes 2^255 - 19 away */
static void far_out(struct gm_dice *d, uint8_t *point)
{
	memset(point, 0xff, 32);
	point[0] = (uint8_t)(0xec + gm_roll(d, 20));
	point[31] = gm_roll(d, 2) ? 0xff : 0x7f;
}

/* Half of the jobs are as libsodium made them. */
static bool draw_verify(struct gm_dice *d, struct buffers *b, struct gm_ed25519_job *j)
{
	const size_t len = draw_len(d);
	uint8_t *pub = diff_room(d, &b->pub, 32), *sig = diff_room(d, &b->sig, 64), *msg = diff_bytes(d, &b->msg, len);
	const unsigned what = gm_roll(d, 24);
	const bool mixed = what >= 20;

	if (mixed) {
		sign_mixed(d, pub, sig, msg, len);
		if (what == 23)
			flip_a_bit(d, sig, 64);
	} else {
		uint8_t seed[32], secret[64];

		diff_fill(d, seed, sizeof(seed));
		crypto_sign_seed_keypair(pub, secret, seed);
		crypto_sign_detached(sig, NULL, msg, len, secret);
	}
	switch (what) {
	case 0:
	case 1:
		flip_a_bit(d, pub, 32);
		break;
	case 2:
	case 3:
		flip_a_bit(d, sig, 32);
		break;
	case 4:
	case 5:
		flip_a_bit(d, sig + 32, 32);
		break;
	case 6:
		flip_a_bit(d, msg, len);
		break;
	case 7:
		add_order(sig + 32);
		break;
	case 8:
		memcpy(gm_roll(d, 2) ? pub : sig, torsion[gm_roll(d, 3)], 32);
		break;
	case 9:
		far_out(d, gm_roll(d, 2) ? pub : sig);
		break;
	}
	*j = (struct gm_ed25519_job){pub, sig, msg, len};
	return mixed ? what != 23 : crypto_sign_verify_detached(sig, msg, len, pub) == 0;
}

static void batch_verify(struct gm_dice *d, unsigned n, struct tally *tally)
{
	struct gm_ed25519_job jobs[64];
	uint64_t expected = 0;

	for (unsigned i = 0; i < n; i++)
		expected |= (uint64_t)draw_verify(d, &buffers[i], &jobs[i]) << i;
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
		if (variants[v]->usable())
			diff_count(tally++, variants[v]->name, n, variants[v]->verify(jobs, n), expected, true);
}

static void batch_sign(struct gm_dice *d, unsigned n, struct tally *tally)
{
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
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		uint64_t same = 0;

		if (!variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].sig, 0, 64);
		variants[v]->sign(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same |= (uint64_t)(memcmp(jobs[i].sig, expected[i], 64) == 0) << i;
		diff_count(tally++, variants[v]->name, n, same, diff_all(n), true);
	}
}

static void batch_public(struct gm_dice *d, unsigned n, struct tally *tally)
{
	struct gm_ed25519_public_job jobs[64];
	static uint8_t expected[64][32];

	for (unsigned i = 0; i < n; i++) {
		uint8_t secret[64], *seed = diff_bytes(d, &buffers[i].seed, 32);

		crypto_sign_seed_keypair(expected[i], secret, seed);
		jobs[i] = (struct gm_ed25519_public_job){seed, diff_room(d, &buffers[i].pub, 32)};
	}
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		uint64_t same = 0;

		if (!variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].pub, 0, 32);
		variants[v]->public(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same |= (uint64_t)(memcmp(jobs[i].pub, expected[i], 32) == 0) << i;
		diff_count(tally++, variants[v]->name, n, same, diff_all(n), true);
	}
}

const struct kind diff_ed25519_verify = {"ed25519_verify", 40, batch_verify};
const struct kind diff_ed25519_sign = {"ed25519_sign", 40, batch_sign};
const struct kind diff_ed25519_public = {"ed25519_keygen", 40, batch_public};
