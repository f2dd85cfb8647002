/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against libsodium, one at a time, then the same ones in lanes and as equations. What libsodium cannot say,
 * that a signature by a key with a component of small order is good, is known from how it was made. */
#include "differential/rig.h"
#include "ed25519/ed25519.h"

#include <sodium.h>

static const struct {
	const struct gm_ed25519_variant *does;
	unsigned one_of, largest; /* of batches; batches of up to so many */
} ways[] = {
    {&gm_ed25519_sodium, SELDOM(10), 128},
    {&gm_ed25519_plain, SELDOM(20), 128},
#ifdef __x86_64__
    {&gm_ed25519_emulated, 3, GM_ED25519_BATCH_MAX},
    {&gm_ed25519_avx512, 1, GM_ED25519_BATCH_MAX},
    {&gm_ed25519_ifma, 1, GM_ED25519_BATCH_MAX},
#endif
};

#define MSG_MAX 700u
#define MOST GM_ED25519_BATCH_MAX

/* What is drawn and answered once, for all doors */
static struct drawn {
	uint8_t pub[32], sig[64], msg[MSG_MAX];
	size_t msg_len;
	bool good;
	struct gm_ed25519_point point;
	const struct gm_ed25519_point *known;
} drawn[MOST];

/* (0, -1), (sqrt(-1), 0) and a point of order 8 */
static const uint8_t torsion[][32] = {
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
};

/* Signers come again. */
static struct signer {
	uint8_t pub[32], secret[64];
} signers[32];

static const struct signer *draw_signer(struct gm_dice *d)
{
	struct signer *s = &signers[gm_roll(d, 32)];
	uint8_t seed[32];

	if (s->pub[0] + s->pub[1] == 0 || gm_roll(d, 8) == 0) {
		diff_fill(d, seed, sizeof(seed));
		crypto_sign_seed_keypair(s->pub, s->secret, seed);
	}
	return s;
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

/* Half of them are as libsodium made them. */
static void draw(struct gm_dice *d, struct drawn *j)
{
	const unsigned what = gm_roll(d, 24);
	const bool mixed = what >= 20;

	j->msg_len = gm_roll(d, 20) == 0 ? gm_roll(d, MSG_MAX) : gm_roll(d, 150);
	diff_fill(d, j->msg, j->msg_len);
	if (mixed) {
		sign_mixed(d, j->pub, j->sig, j->msg, j->msg_len);
		if (what == 23)
			flip_a_bit(d, j->sig, 64);
	} else {
		const struct signer *s = draw_signer(d);

		memcpy(j->pub, s->pub, 32);
		crypto_sign_detached(j->sig, NULL, j->msg, j->msg_len, s->secret);
	}
	switch (what) {
	case 0:
	case 1:
		flip_a_bit(d, j->pub, 32);
		break;
	case 2:
	case 3:
		flip_a_bit(d, j->sig, 32);
		break;
	case 4:
	case 5:
		flip_a_bit(d, j->sig + 32, 32);
		break;
	case 6:
		flip_a_bit(d, j->msg, j->msg_len);
		break;
	case 7:
		add_order(j->sig + 32);
		break;
	case 8:
		memcpy(gm_roll(d, 2) ? j->pub : j->sig, torsion[gm_roll(d, 3)], 32);
		break;
	case 9:
		far_out(d, gm_roll(d, 2) ? j->pub : j->sig);
		break;
	}
	j->good = mixed ? what != 23 : crypto_sign_verify_detached(j->sig, j->msg, j->msg_len, j->pub) == 0;
}

/* ---- in lanes */

static struct gm_ed25519_job at_the_edge(struct gm_dice *d, const struct drawn *j, unsigned i)
{
	static struct buffers {
		struct gm_guard pub, sig, msg;
	} buffers[64];

	return (struct gm_ed25519_job){memcpy(diff_room(d, &buffers[i].pub, 32), j->pub, 32),
	                               memcpy(diff_room(d, &buffers[i].sig, 64), j->sig, 64),
	                               memcpy(diff_room(d, &buffers[i].msg, j->msg_len), j->msg, j->msg_len), j->msg_len};
}

static void in_lanes(struct gm_dice *d, const struct drawn *some, unsigned n, struct tally *tally)
{
	struct gm_ed25519_job jobs[64];
	uint64_t expected = 0;

	for (unsigned i = 0; i < n; i++) {
		jobs[i] = at_the_edge(d, &some[i], i);
		expected |= (uint64_t)some[i].good << i;
	}
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		const struct gm_ed25519_variant *v = ways[w].does;

		if (diff_turn(d, tally, "ed25519_verify", v->name, ways[w].one_of) && v->usable())
			diff_count(tally, "ed25519_verify", v->name, n, v->verify(jobs, n), expected, true);
	}
}

/* In other lanes, and half of the good ones with a bit turned over somewhere; in a bad one it might be the bit that made it bad */
static void in_lanes_again(const struct drawn *some, unsigned n, struct tally *tally)
{
	static struct drawn other[64];
	unsigned order[64];

	diff_shuffle(order, n);
	for (unsigned i = 0; i < n; i++) {
		struct drawn *j = &other[i];
		uint8_t *const at[] = {j->pub, j->sig, j->msg};
		const unsigned part = gm_roll(&diff_other, 6);

		memcpy(j, &some[order[i]], sizeof(*j));
		const size_t len[] = {32, 64, j->msg_len};

		if (j->good && part < 3 && len[part] > 0) {
			flip_a_bit(&diff_other, at[part], len[part]);
			j->good = false;
		}
	}
	in_lanes(&diff_other, other, n, tally);
}

/* ---- as one equation */

static struct list {
	struct gm_ed25519_job jobs[MOST];
	const struct gm_ed25519_point *points[MOST];
	uint64_t expected[MOST / 64];
	unsigned n, good;
} list;

static void list_add(const struct drawn *j)
{
	const unsigned i = list.n++;

	list.jobs[i] = (struct gm_ed25519_job){j->pub, j->sig, j->msg, j->msg_len};
	list.points[i] = j->known;
	list.expected[i / 64] |= (uint64_t)j->good << i % 64;
	list.good += j->good;
}

/* All good ones, and of the others as many as bad says */
static void list_fill(struct gm_dice *d, unsigned n, unsigned bad)
{
	unsigned others = 0;

	memset(&list, 0, sizeof(list));
	for (unsigned i = 0; i < n; i++)
		others += !drawn[i].good;
	for (unsigned i = 0; i < n; i++) {
		const bool taken = !drawn[i].good && gm_roll(d, others) < bad;

		if (drawn[i].good || taken)
			list_add(&drawn[i]);
		bad -= taken && bad > 0;
		others -= !drawn[i].good;
	}
}

/* By one variant, everything it writes next to closed pages */
static void batch_by(struct gm_dice *d, const struct gm_ed25519_variant *v, const char *door, bool cached, struct tally *tally)
{
	static struct gm_guard words, room;
	uint64_t *good;
	uint8_t seed[32];
	bool same;

	if (!room.start)
		room = gm_guard_new(GM_ED25519_BATCH_ROOM(MOST));
	good = (uint64_t *)(void *)diff_bytes(d, &words, 8 * GM_ED25519_BATCH_WORDS(list.n));
	diff_fill(d, seed, sizeof(seed));
	const struct gm_ed25519_batch b = {list.jobs, cached ? list.points : NULL, list.n, seed,
	                                   gm_guard_at(&room, GM_ED25519_BATCH_ROOM(list.n), gm_roll(d, 2))};
	/* An equation that fails without need costs time, and no answer: so where all are good it is asked for itself. */
	same = list.good < list.n || !v->batch || v->batch(good, &b);
	same &= gm_ed25519_batch_by(v, good, &b) == list.good;
	for (unsigned i = 0; i < list.n; i += 64)
		diff_count(tally, door, v->name, list.n - i < 64 ? list.n - i : 64, good[i / 64], list.expected[i / 64], same);
}

static void as_one(struct gm_dice *d, struct tally *tally)
{
	static const char *const doors[] = {"ed25519_verify_batch", "ed25519_verify_batch_cached"};

	for (unsigned cached = 0; cached < 2 && list.n > 0; cached++)
		for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
			const struct gm_ed25519_variant *v = ways[w].does;

			if (list.n <= ways[w].largest && diff_turn(d, tally, doors[cached], v->name, ways[w].one_of) && v->usable())
				batch_by(d, v, doors[cached], cached, tally);
		}
}

/* Points of the keys; in some batches a few are missing, or of another key */
static void know_points(struct gm_dice *d, unsigned n)
{
	const bool wrong = gm_roll(d, 4) == 0;

	for (unsigned from = 0; from < n; from += 64) {
		struct gm_ed25519_point_job jobs[64];
		const unsigned some = n - from < 64 ? n - from : 64;
		uint64_t good;

		for (unsigned i = 0; i < some; i++)
			jobs[i] = (struct gm_ed25519_point_job){drawn[from + i].pub, &drawn[from + i].point};
		good = gm_ed25519_points_from_keys(jobs, some);
		for (unsigned i = 0; i < some; i++) {
			struct drawn *j = &drawn[from + i];

			j->known = good >> i & 1 ? &j->point : NULL;
			if (wrong && gm_roll(d, 20) == 0)
				j->known = gm_roll(d, 2) ? &drawn[gm_roll(d, n)].point : NULL;
		}
	}
}

/* Every job goes through the lanes once, and through an equation with all others every other time; the good ones go through
 * one with none or few bad ones, which is where it has to hold. */
static unsigned batch(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	static const uint32_t below[] = {100, 300, 1100, MOST}, few[] = {0, 0, 1, 3};
	const unsigned wanted = 1 + gm_roll(d, below[gm_roll(d, 4)]), n = wanted < left ? wanted : (unsigned)left;

	for (unsigned i = 0; i < n; i++)
		draw(d, &drawn[i]);
	for (unsigned at = 0, some; at < n; at += some) {
		some = diff_n(d, n - at);
		in_lanes(d, drawn + at, some, tally);
		for (unsigned k = 0; k < diff_again; k++)
			in_lanes_again(drawn + at, some, tally);
	}
	know_points(d, n);
	list_fill(d, n, few[gm_roll(d, 4)]);
	as_one(d, tally);
	if (gm_roll(d, 2)) {
		list_fill(d, n, n);
		as_one(d, tally);
	}
	for (unsigned k = 0; k < diff_again; k += 3) {
		list_fill(&diff_other, n, few[gm_roll(&diff_other, 4)]);
		as_one(&diff_other, tally);
	}
	return n;
}

const struct kind diff_ed25519_verify = {"ed25519_verify", true, batch};
