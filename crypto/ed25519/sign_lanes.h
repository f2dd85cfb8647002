/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures and public keys, one in each lane. No branch and no address depends on a seed or on what comes from it:
 * every look-up reads its whole table. */
#ifndef GM_ED25519_SIGN_LANES_H
#define GM_ED25519_SIGN_LANES_H

#include "ed25519/ed25519.h"
#include "ed25519/tables.h"
#include "field/ge.h"
#include "field/sc.h"
#include "sha/sha512_lanes.h"

#define SIGN_GROUPS 8u /* share one inversion */

struct secret {
	struct sc a;               /* the scalar, modulo L */
	uint8_t prefix[LANES][32]; /* what nonces are made from */
};

/* RFC 8032 §5.1.5 */
LANE_FN void expand(struct secret *s, const uint8_t *const seed[static 1])
{
	struct sha_msg m[LANES];
	uint8_t *prefix[LANES];
	vec w[8];

	for (unsigned i = 0; i < LANES; i++) {
		m[i] = (struct sha_msg){{{seed[i], GM_ED25519_SEED}}};
		prefix[i] = s->prefix[i];
	}
	sha512_lanes(w, m);
	words_put(prefix, w + 4, 4, LANES);
	w[0] = v_and(w[0], v_set1(~UINT64_C(7)));
	w[3] = v_or(v_and(w[3], v_set1(UINT64_MAX >> 2)), v_set1(UINT64_C(1) << 62));
	for (unsigned i = 4; i < 8; i++)
		w[i] = v_zero();
	s->a = sc_reduce(sc_wide_of_words(w)); /* B has order L */
	gm_wipe(w, sizeof(w));
}

/* The entry of a window for digits in -16 .. 15, of which 0 is not in the table */
LANE_FN struct ge_niels comb_entry(const uint64_t window[static 15][16], vec digit)
{
	const vec index = v_sub(digit_size(digit), v_set1(1));
	const vmask none = v_eq(digit, v_zero());
	struct ge_niels entry;
	vec limb[15];

	for (unsigned i = 0; i < 15; i++) /* limbs 0 and 5 are the 1 of (1, 1, 0), the neutral point */
		limb[i] = v_select(none, v_set1(i == 0 || i == 5), v_pick16(window[i], index));
	memcpy(&entry, limb, sizeof(entry));
	niels_negate_if(v_negative(digit), &entry);
	return entry;
}

/* a B */
static __attribute__((noinline)) void base_times(struct ge *q, struct sc a)
{
	vec digit[COMB_WINDOWS];

	sc_digits(digit, COMB_WINDOWS, 5, a);
	*q = ge_identity();
	for (unsigned w = 0; w < COMB_WINDOWS; w++) {
		const struct ge_niels entry = comb_entry(gm_ed25519_tables.comb[w], digit[w]);

		ge_add_niels_open(q, &entry);
	}
	ge_close(q);
	gm_wipe(digit, sizeof(digit));
}

/* Lanes without a job do the first one's work once more. */
#define LANE_JOB(jobs, n, i) (&(jobs)[(i) < (n) ? (i) : 0])

struct signing {
	const struct gm_ed25519_sign_job *jobs;
	unsigned n;
	struct secret secret;
	struct sc nonce;
};

/* The nonce r and r B                                                                  RFC 8032 §5.1.6 */
static __attribute__((noinline)) void sign_begin(struct signing *g, struct ge *q)
{
	const uint8_t *seed[LANES];
	struct sha_msg m[LANES];
	vec digest[8];

	for (unsigned i = 0; i < LANES; i++)
		seed[i] = LANE_JOB(g->jobs, g->n, i)->seed;
	expand(&g->secret, seed);
	for (unsigned i = 0; i < LANES; i++) {
		const struct gm_ed25519_sign_job *j = LANE_JOB(g->jobs, g->n, i);

		m[i] = (struct sha_msg){{{g->secret.prefix[i], 32}, {j->msg, j->msg_len}}};
	}
	sha512_lanes(digest, m);
	g->nonce = sc_reduce(sc_wide_of_words(digest));
	base_times(q, g->nonce);
	gm_wipe(digest, sizeof(digest));
}

/* S = r + H(R || A || M) a, and both into the signatures */
static __attribute__((noinline)) void sign_end(const struct signing *g, const vec r_words[static 4])
{
	uint8_t r[LANES][32], s[LANES][32], *r_to[LANES], *s_to[LANES];
	struct sha_msg m[LANES];
	vec digest[8], w[4];

	for (unsigned i = 0; i < LANES; i++) {
		const struct gm_ed25519_sign_job *j = LANE_JOB(g->jobs, g->n, i);

		r_to[i] = r[i];
		s_to[i] = s[i];
		m[i] = (struct sha_msg){{{r[i], 32}, {j->pub, 32}, {j->msg, j->msg_len}}};
	}
	words_put(r_to, r_words, 4, LANES);
	sha512_lanes(digest, m);
	sc_to_words(w, sc_mul_plus(sc_reduce(sc_wide_of_words(digest)), g->secret.a, g->nonce));
	words_put(s_to, w, 4, LANES);
	for (unsigned i = 0; i < g->n; i++) {
		memcpy(g->jobs[i].sig, r[i], 32);
		memcpy(g->jobs[i].sig + 32, s[i], 32);
	}
}

/* n <= 64 */
LANE_FN void sign_lanes(const struct gm_ed25519_sign_job *jobs, unsigned n)
{
	const unsigned groups = (n + LANES - 1) / LANES;
	struct signing group[SIGN_GROUPS];
	struct ge q[SIGN_GROUPS];
	vec words[4 * SIGN_GROUPS];

	if (n == 0 || n > GM_BATCH_MAX)
		return;
	for (unsigned i = 0; i < groups; i++) {
		group[i].jobs = jobs + LANES * i;
		group[i].n = n - LANES * i < LANES ? n - LANES * i : LANES;
		sign_begin(&group[i], &q[i]);
	}
	ge_encode(words, q, groups);
	for (unsigned i = 0; i < groups; i++)
		sign_end(&group[i], words + 4 * i);
	gm_wipe(group, sizeof(group));
	gm_wipe(q, sizeof(q));
}

/* n <= 64 */
LANE_FN void public_lanes(const struct gm_ed25519_public_job *jobs, unsigned n)
{
	const unsigned groups = (n + LANES - 1) / LANES;
	struct ge q[SIGN_GROUPS];
	vec words[4 * SIGN_GROUPS];
	struct secret secret;

	if (n == 0 || n > GM_BATCH_MAX)
		return;
	for (unsigned g = 0; g < groups; g++) {
		const uint8_t *seed[LANES];

		for (unsigned i = 0; i < LANES; i++)
			seed[i] = LANE_JOB(jobs, n, LANES * g + i)->seed;
		expand(&secret, seed);
		base_times(&q[g], secret.a);
	}
	ge_encode(words, q, groups);
	for (unsigned g = 0; g < groups; g++) {
		const unsigned some = n - LANES * g < LANES ? n - LANES * g : LANES;
		uint8_t *pub[LANES];

		for (unsigned i = 0; i < some; i++)
			pub[i] = jobs[LANES * g + i].pub;
		words_put(pub, words + 4 * g, 4, some);
	}
	gm_wipe(&secret, sizeof(secret));
	gm_wipe(q, sizeof(q));
}

#endif
