/* SPDX-License-Identifier: Apache-2.0 */
/* Verification, a signature in each lane. Whether a signature is good does not depend on its lane nor on what is in
 * the others. */
#ifndef GM_ED25519_VERIFY_LANES_H
#define GM_ED25519_VERIFY_LANES_H

#include "ed25519/ed25519.h"
#include "ed25519/rule.h"
#include "ed25519/tables.h"
#include "field/ge.h"
#include "field/sc.h"
#include "sha/sha512_lanes.h"

#define GROUPS 8u /* lanes of jobs that share one inversion */
#define KEY_DIGITS 51u
#define KEY_WIDTH 5u
#define KEY_MULTIPLES 17u /* 0 to 16 */
#define BASE_DIGITS 26u
#define BASE_WIDTH 10u

struct group {
	const struct gm_ed25519_job *job[LANES];
	vmask hopeful; /* lanes with a job that nothing has been found against */
	struct ge q;   /* S B - k A; the neutral point in other lanes */
};

/* The multiples of a point in each lane, as rows */
struct key_table {
	uint64_t row[LANES][KEY_MULTIPLES][CACHED_ROW] __attribute__((aligned(64)));
};

/* Lanes without a job get the first one's once more; nobody looks at the answer. */
LANE_FN void group_fill(struct group *g, const struct gm_ed25519_job *jobs, unsigned n)
{
	unsigned hopeful = 0;

	for (unsigned i = 0; i < LANES; i++) {
		g->job[i] = &jobs[i < n ? i : 0];
		hopeful |= (unsigned)(i < n && job_well_formed(&jobs[i])) << i;
	}
	g->hopeful = (vmask)hopeful;
}

/* SHA-512(R || A || M) mod L */
LANE_FN struct sc challenge(const struct gm_ed25519_job *const job[static 1])
{
	struct sha_msg m[LANES];
	vec digest[8];

	for (unsigned i = 0; i < LANES; i++)
		m[i] = (struct sha_msg){{{job[i]->sig, 32}, {job[i]->pub, 32}, {job[i]->msg, job[i]->msg_len}}};
	sha512_lanes(digest, m);
	return sc_reduce(sc_wide_of_words(digest));
}

LANE_FN void job_words(vec w[static 4], const struct gm_ed25519_job *const job[static 1], bool key, unsigned at)
{
	const uint8_t *from[LANES];

	for (unsigned i = 0; i < LANES; i++)
		from[i] = key ? job[i]->pub : job[i]->sig + at;
	words_get(w, from, 4);
}

/* Points of n <= GROUPS times LANES encodings; the arrays have room for an even number. */
static __attribute__((noinline)) void decode_groups(vmask *good, struct fe *x, struct fe *y, const vec *words,
                                                    unsigned n)
{
	if (LANES == 1)
		for (unsigned i = 0; i < n; i++)
			ge_decode(&good[i], &x[i], &y[i], words + 4 * i, 1);
	else
		for (unsigned i = 0; i < n; i += FE_PAIR)
			ge_decode(&good[i], &x[i], &y[i], words + 4 * i, FE_PAIR);
}

LANE_FN void put_cached(struct key_table *t, unsigned multiple, const struct ge_cached *c)
{
	uint64_t *rows[LANES];
	vec limb[CACHED_LIMBS];

	memcpy(limb, c, sizeof(limb));
	for (unsigned i = 0; i < LANES; i++)
		rows[i] = t->row[i][multiple];
	v_rows_put(rows, limb, CACHED_LIMBS);
}

LANE_FN void fill_key_table(struct key_table *t, struct fe x, struct fe y)
{
	const struct ge_niels step = ge_to_niels(x, y);
	struct ge p = ge_identity();
	struct ge_cached c;

	for (unsigned i = 0; i < KEY_MULTIPLES; i++) {
		if (i > 0)
			ge_add_niels_open(&p, &step);
		c = ge_to_cached(&p);
		put_cached(t, i, &c);
	}
}

/* doubled: is q doubled next, or added to */
LANE_FN void add_key_digit(struct ge *q, const struct key_table *t, vec digit, bool doubled)
{
	const uint64_t *rows[LANES];
	uint64_t index[LANES];
	vec limb[CACHED_LIMBS];
	struct ge_cached c;

	v_store(index, digit_size(digit));
	for (unsigned i = 0; i < LANES; i++)
		rows[i] = t->row[i][index[i]];
	v_rows_get(limb, rows, CACHED_LIMBS);
	memcpy(&c, limb, sizeof(c));
	cached_negate_if(v_negative(digit), &c);
	if (doubled)
		ge_add_xyz(q, &c);
	else
		ge_add_open(q, &c);
}

/* doubled: is q doubled next, or was this the last digit */
LANE_FN void add_base_digit(struct ge *q, vec digit, bool doubled)
{
	const uint64_t *rows[LANES];
	uint64_t index[LANES];
	vec limb[NIELS_ROW];
	struct ge_niels b;

	v_store(index, digit_size(digit));
	for (unsigned i = 0; i < LANES; i++)
		rows[i] = gm_ed25519_tables.base[index[i]];
	v_rows_get(limb, rows, NIELS_ROW);
	memcpy(&b, limb, sizeof(b));
	niels_negate_if(v_negative(digit), &b);
	if (doubled)
		ge_add_niels_xyz(q, &b);
	else
		ge_add_niels(q, &b);
}

/* Scalars and point of a group: k (x, y) + s B */
struct terms {
	struct fe x, y;
	struct sc k, s;
	struct key_table table;
	vec of_key[KEY_DIGITS], of_base[BASE_DIGITS];
};

LANE_FN void double_all(struct ge *q, unsigned n)
{
	if (n == FE_PAIR)
		ge_double_pair(q, KEY_WIDTH);
	else
		ge_double(q, KEY_WIDTH);
}

/* k (x, y) + s B of n <= FE_PAIR groups: one chain of doublings, every five of them a digit of k, every ten one of s */
static __attribute__((noinline)) void double_scalar(struct ge *q, struct terms *t, unsigned n)
{
	for (unsigned j = 0; j < n; j++) {
		fill_key_table(&t[j].table, t[j].x, t[j].y);
		sc_digits(t[j].of_key, KEY_DIGITS, KEY_WIDTH, t[j].k);
		sc_digits(t[j].of_base, BASE_DIGITS, BASE_WIDTH, t[j].s);
		q[j] = ge_identity();
	}
	for (unsigned i = KEY_DIGITS; i-- > 0;) {
		if (i + 1 < KEY_DIGITS)
			double_all(q, n);
		for (unsigned j = 0; j < n; j++)
			add_key_digit(&q[j], &t[j].table, t[j].of_key[i], i % 2 > 0);
		for (unsigned j = 0; i % 2 == 0 && j < n; j++)
			add_base_digit(&q[j], t[j].of_base[i / 2], i > 0);
	}
}

/* Lanes whose q, encoded, is R */
LANE_FN vmask same_as_r(const struct group *g, const vec words[static 4])
{
	unsigned same = ALL_LANES;
	vec r[4];

	job_words(r, g->job, false, 0);
	for (unsigned i = 0; i < 4; i++)
		same &= v_eq(words[i], r[i]);
	return (vmask)same;
}

/* Lanes with 8 (q - R) = 0, R being a point of the curve */
static __attribute__((noinline)) vmask differs_by_small_order(struct group *g)
{
	vec r[FE_PAIR * 4];
	struct fe x[FE_PAIR], y[FE_PAIR];
	struct ge_niels n;
	vmask on_curve;

	job_words(r, g->job, false, 0);
	ge_decode(&on_curve, x, y, r, 1);
	n = ge_to_niels(x[0], y[0]);
	niels_negate_if(ALL_LANES, &n);
	ge_add_niels(&g->q, &n);
	ge_double(&g->q, 3);
	return (vmask)(on_curve & ge_is_identity(&g->q));
}

LANE_FN void take_terms(struct terms *t, struct group *g, vmask on_curve, const struct fe *x, const struct fe *y)
{
	vec s[4];

	g->hopeful &= on_curve;
	t->x = fe_sub(fe_set1(fe_zero_limbs), fe_select(on_curve, *x, fe_set1(fe_zero_limbs)));
	t->y = fe_select(on_curve, *y, fe_set1(fe_one_limbs));
	t->k = challenge(g->job);
	job_words(s, g->job, false, 32);
	t->s = sc_of_words(s);
}

/* q of each group. Lanes whose A is no point get the neutral one instead: the inversion that follows wants no zero. */
LANE_FN void compute_groups(struct group *group, unsigned n)
{
	vec words[4 * GROUPS];
	struct fe x[GROUPS], y[GROUPS];
	vmask on_curve[GROUPS];

	for (unsigned i = n; i < GROUPS; i++)
		for (unsigned k = 0; k < 4; k++)
			words[4 * i + k] = v_zero();
	for (unsigned i = 0; i < n; i++)
		job_words(words + 4 * i, group[i].job, true, 0);
	decode_groups(on_curve, x, y, words, n);
	for (unsigned i = 0; i < n; i += FE_PAIR) {
		const unsigned some = n - i < FE_PAIR ? n - i : FE_PAIR;
		struct terms t[FE_PAIR];
		struct ge q[FE_PAIR];

		for (unsigned j = 0; j < some; j++)
			take_terms(&t[j], &group[i + j], on_curve[i + j], &x[i + j], &y[i + j]);
		double_scalar(q, t, some);
		for (unsigned j = 0; j < some; j++)
			group[i + j].q = q[j];
	}
}

/* Up to GROUPS times LANES jobs */
static __attribute__((noinline)) uint64_t verify_groups(const struct gm_ed25519_job *jobs, unsigned n)
{
	const unsigned groups = (n + LANES - 1) / LANES;
	struct group group[GROUPS];
	struct ge q[GROUPS];
	vec words[4 * GROUPS];
	uint64_t good = 0;

	for (unsigned i = 0; i < groups; i++)
		group_fill(&group[i], jobs + LANES * i, n - LANES * i < LANES ? n - LANES * i : LANES);
	compute_groups(group, groups);
	for (unsigned i = 0; i < groups; i++)
		q[i] = group[i].q;
	ge_encode(words, q, groups);
	for (unsigned i = 0; i < groups; i++) {
		vmask same = (vmask)(same_as_r(&group[i], words + 4 * i) & group[i].hopeful);

		if (same != group[i].hopeful)
			same |= (vmask)(differs_by_small_order(&group[i]) & group[i].hopeful);
		good |= (uint64_t)same << (LANES * i);
	}
	return good;
}

/* n <= 64 */
LANE_FN uint64_t verify_lanes(const struct gm_ed25519_job *jobs, unsigned n)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i += GROUPS * LANES) {
		const unsigned some = n - i < GROUPS * LANES ? n - i : GROUPS * LANES;

		good |= verify_groups(jobs + i, some) << i;
	}
	return good;
}

#endif
