/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 of one message in every lane.                                                      FIPS 180-4
 * A message comes in up to three pieces; lengths may differ. No branch, no address depends on the bytes. */
#ifndef GM_SHA512_LANES_H
#define GM_SHA512_LANES_H

#include "field/lanes.h"

#include <gm/crypto.h>

#define SHA512_BLOCK 128u
#define SHA_PARTS 3u

struct sha_msg {
	struct {
		const uint8_t *p;
		size_t len;
	} part[SHA_PARTS];
};

static const uint64_t sha512_start[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                         0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                         0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
static const uint64_t sha512_k[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

/* One block. w: its sixteen words; s: the state, changed */
static __attribute__((unused, noinline)) void sha512_block(vec s[static 8], vec w[static 16])
{
	vec a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];

	for (unsigned t = 0; t < 80; t += 16)
		LANE_UNROLL_16
	for (unsigned i = 0; i < 16; i++) {
		if (t > 0) {
			vec w2 = w[(i + 14) % 16], w15 = w[(i + 1) % 16];
			vec s0 = v_xor3(v_ror(w15, 1), v_ror(w15, 8), v_shr(w15, 7));
			vec s1 = v_xor3(v_ror(w2, 19), v_ror(w2, 61), v_shr(w2, 6));

			w[i] = v_add(v_add(w[i], s0), v_add(w[(i + 9) % 16], s1));
		}
		vec big1 = v_xor3(v_ror(e, 14), v_ror(e, 18), v_ror(e, 41));
		vec t1 = v_add(v_add(v_add(h, v_set1(sha512_k[t + i])), v_add(w[i], v_choose(e, f, g))), big1);
		vec big0 = v_xor3(v_ror(a, 28), v_ror(a, 34), v_ror(a, 39));

		h = g, g = f, f = e, e = v_add(d, t1);
		d = c;
		t1 = v_add(t1, v_add(big0, v_majority(a, b, c)));
		c = b, b = a, a = t1;
	}
	/* NOLINTNEXTLINE(readability-misleading-indentation): the loop ended before it */
	s[0] = v_add(s[0], a), s[1] = v_add(s[1], b), s[2] = v_add(s[2], c), s[3] = v_add(s[3], d);
	s[4] = v_add(s[4], e), s[5] = v_add(s[5], f), s[6] = v_add(s[6], g), s[7] = v_add(s[7], h);
}

LANE_FN size_t sha_len(const struct sha_msg *m)
{
	return m->part[0].len + m->part[1].len + m->part[2].len;
}

/* Blocks of a message with its end: 0x80 and sixteen bytes of length */
LANE_FN size_t sha512_blocks(size_t len)
{
	return (len + 17 + SHA512_BLOCK - 1) / SHA512_BLOCK;
}

/* The at-th block of a message of len bytes; zeros when it has none */
LANE_FN void sha512_fill(uint8_t block[static SHA512_BLOCK], const struct sha_msg *m, size_t at, size_t len)
{
	const size_t from = at * SHA512_BLOCK;
	size_t begin = 0; /* of the part, in the message */

	memset(block, 0, SHA512_BLOCK);
	if (at >= sha512_blocks(len))
		return;
	for (unsigned i = 0; i < SHA_PARTS; begin += m->part[i++].len) {
		size_t lo = begin > from ? begin : from, hi = begin + m->part[i].len;

		if (hi > from + SHA512_BLOCK)
			hi = from + SHA512_BLOCK;
		if (lo < hi)
			memcpy(block + (lo - from), m->part[i].p + (lo - begin), hi - lo);
	}
	if (len >= from && len < from + SHA512_BLOCK)
		block[len - from] = 0x80;
	if (at + 1 == sha512_blocks(len)) {
		const uint64_t high = __builtin_bswap64((uint64_t)len >> 61),
		               low = __builtin_bswap64((uint64_t)len << 3);

		memcpy(block + 112, &high, 8);
		memcpy(block + 120, &low, 8);
	}
}

/* Digests as eight words each, first bytes lowest, so that they read as little-endian numbers */
LANE_FN void sha512_lanes(vec digest[static 8], const struct sha_msg *m)
{
	uint64_t blocks[LANES][SHA512_BLOCK / 8] __attribute__((aligned(64)));
	const uint64_t *rows[LANES];
	size_t len[LANES], most = 0;
	vec s[8];

	for (unsigned i = 0; i < LANES; i++) {
		len[i] = sha_len(&m[i]);
		rows[i] = blocks[i];
		if (sha512_blocks(len[i]) > most)
			most = sha512_blocks(len[i]);
	}
	for (unsigned i = 0; i < 8; i++)
		s[i] = v_set1(sha512_start[i]);
	for (size_t at = 0; at < most; at++) {
		vec before[8], w[16];
		unsigned running = 0;

		for (unsigned i = 0; i < LANES; i++) {
			sha512_fill((uint8_t *)blocks[i], &m[i], at, len[i]);
			running |= (unsigned)(at < sha512_blocks(len[i])) << i;
		}
		memcpy(before, s, sizeof(s));
		v_rows_get(w, rows, 16);
		for (unsigned i = 0; i < 16; i++)
			w[i] = v_bswap(w[i]);
		sha512_block(s, w);
		for (unsigned i = 0; i < 8; i++)
			s[i] = v_select((vmask)running, s[i], before[i]);
	}
	for (unsigned i = 0; i < 8; i++)
		digest[i] = v_bswap(s[i]);
	gm_wipe(blocks, sizeof(blocks));
}

#endif
