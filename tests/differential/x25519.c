/* SPDX-License-Identifier: Apache-2.0 */
/* Key agreement against libsodium: any 32 bytes are a key, and some are of small order. */
#include "differential/rig.h"
#include "x25519/x25519.h"

#include <sodium.h>

static const struct gm_x25519_variant *const variants[] = {
    &gm_x25519_sodium,
    &gm_x25519_plain,
#ifdef __x86_64__
    &gm_x25519_emulated,
    &gm_x25519_avx512,
    &gm_x25519_ifma,
#endif
};

static struct buffers {
	struct gm_guard priv, pub, out;
} buffers[64];

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

static void batch(struct gm_dice *d, unsigned n, struct tally *tally)
{
	struct gm_x25519_job jobs[64];
	static uint8_t expected[64][32];
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		jobs[i] = (struct gm_x25519_job){diff_bytes(d, &buffers[i].priv, 32), draw_pub(d, &buffers[i].pub),
		                                 diff_room(d, &buffers[i].out, 32)};
		if (crypto_scalarmult_curve25519(expected[i], jobs[i].priv, jobs[i].pub) == 0)
			good |= UINT64_C(1) << i;
		else
			memset(expected[i], 0, 32);
	}
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		bool same = true;
		uint64_t got;

		if (!variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(jobs[i].out, 0xa5, 32);
		got = variants[v]->agree(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same &= memcmp(jobs[i].out, expected[i], 32) == 0;
		diff_count(tally++, variants[v]->name, n, got, good, same);
	}
}

const struct kind diff_x25519 = {"x25519", 40, batch};
