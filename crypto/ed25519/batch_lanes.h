/* SPDX-License-Identifier: Apache-2.0 */
/* Many signatures as one equation: 8 (sum of z S) B = 8 sum of (z R + z k A), each z of 126 random bits.
 *
 * The sum of points times scalars is made with buckets. A scalar is cut into windows of some bits, signed digits; all
 * points whose digit has the size b go to bucket b of that window, with its sign. A lane is a window: eight lanes take
 * the same point to a bucket of their own each, so that nothing collides and nothing is sorted, and eight windows are
 * folded at a time. Everything here is public.
 */
#ifndef GM_ED25519_BATCH_LANES_H
#define GM_ED25519_BATCH_LANES_H

#include "ed25519/ed25519.h"
#include "ed25519/rule.h"
#include "ed25519/tables.h"
#include "ed25519/verify_lanes.h"
#include "field/ge.h"
#include "field/sc.h"

#define WIDTH_MAX 8u /* a digit fits a byte */
#define BUCKETS (1u + (1u << (WIDTH_MAX - 1)))
#define KEY_BITS 253u /* of a number below L */
#define R_BITS 126u
#define SUM_GROUPS_MAX 8u /* of eight windows: 253 bits in windows of 4 */
#define R_GROUPS_MAX 4u
#define PAIR (FE_PAIR * LANES) /* jobs that are decoded together */

typedef uint64_t bucket[LANES][CACHED_ROW]; /* as rows: X and Y, open, Z, T and 4 words of nothing */

struct sum {
	unsigned width, key_groups, r_groups, n, cap;
	bucket *buckets; /* a digit 0 goes to the first, which counts nothing */
	uint64_t (*key)[NIELS_ROW], (*r)[NIELS_ROW];
	uint64_t *digits; /* eight of a byte each, the least window first: [group of key or R][job] */
	uint8_t (*challenge)[32];
	uint64_t base_digits[SUM_GROUPS_MAX]; /* of the base point */
};

static const struct {
	unsigned n, width;
} sum_widths[] = {{96, 4}, {192, 6}, {UINT32_MAX, 8}};

LANE_FN unsigned windows_of(unsigned bits, unsigned width)
{
	return (bits + width) / width; /* the last digit has a sign too */
}

/* The parts of a room, each at a multiple of 64 */
static void sum_lay_out(struct sum *s, void *room, unsigned n)
{
	uint8_t *at = room;
	unsigned i = 0;

	while (sum_widths[i].n < n)
		i++;
	s->n = n;
	s->cap = (n + PAIR - 1) / PAIR * PAIR;
	s->width = sum_widths[i].width;
	s->key_groups = (windows_of(KEY_BITS, s->width) + LANES - 1) / LANES;
	s->r_groups = (windows_of(R_BITS, s->width) + LANES - 1) / LANES;
	s->buckets = (bucket *)(void *)at;
	at += sizeof(bucket) * BUCKETS;
	s->key = (uint64_t(*)[NIELS_ROW])(void *)at;
	at += sizeof(*s->key) * s->cap;
	s->r = (uint64_t(*)[NIELS_ROW])(void *)at;
	at += sizeof(*s->r) * s->cap;
	s->challenge = (uint8_t(*)[32])at;
	at += sizeof(*s->challenge) * s->cap;
	s->digits = (uint64_t *)(void *)at;
}

_Static_assert(LANES == 8 && PAIR == 16, "what the door's GM_ED25519_BATCH_ROOM counts with");
_Static_assert(sizeof(bucket) * BUCKETS + (2 * 8 * NIELS_ROW + 32 + 8 * (SUM_GROUPS_MAX + R_GROUPS_MAX)) * 16 <=
                   GM_ED25519_BATCH_ROOM(16u),
               "and that is enough");
_Static_assert(2 * 8 * NIELS_ROW + 32 + 8 * (SUM_GROUPS_MAX + R_GROUPS_MAX) <=
                   (GM_ED25519_BATCH_ROOM(4096u) - GM_ED25519_BATCH_ROOM(0u)) / 4096,
               "for any number of jobs");
_Static_assert(sizeof(bucket) * BUCKETS >= 16u * GM_ED25519_BATCH_MAX, "coefficients lie where buckets come to be");

/* ---- what goes into the sum */

/* Lanes behind the last job get the first one's once more, and no hope. */
LANE_FN unsigned take_jobs(const struct gm_ed25519_job *job[static LANES], const struct gm_ed25519_batch *b, unsigned at)
{
	unsigned hopeful = 0;

	for (unsigned i = 0; i < LANES; i++) {
		const bool is = at + i < b->n;

		job[i] = &b->jobs[is ? at + i : 0];
		hopeful |= (unsigned)(is && job_well_formed(job[i])) << i;
	}
	return hopeful;
}

/* k of all jobs, as bytes */
LANE_FN void take_challenges(struct sum *s, const struct gm_ed25519_batch *b)
{
	for (unsigned at = 0; at < s->cap; at += LANES) {
		const struct gm_ed25519_job *job[LANES];
		uint8_t *to[LANES];
		vec w[4];

		take_jobs(job, b, at);
		for (unsigned i = 0; i < LANES; i++)
			to[i] = s->challenge[at + i];
		sc_to_words(w, challenge(job));
		words_put(to, w, 4, LANES);
	}
}

/* x is that of the point that words encode: -x^2 + y^2 = 1 + d x^2 y^2, and the sign */
LANE_FN vmask x_belongs(struct fe *x, struct fe *y, const vec words[static 4], const vec x_words[static 4])
{
	const struct fe one = fe_set1(fe_one_limbs);
	struct fe xx, yy;
	vec canonical[4];
	unsigned same = ALL_LANES;

	*x = fe_from_words(x_words);
	*y = fe_from_words(words);
	fe_to_words(canonical, *x);
	for (unsigned i = 0; i < 4; i++)
		same &= v_eq(canonical[i], x_words[i]);
	xx = fe_sq(*x);
	yy = fe_sq(*y);
	same &= fe_equal(fe_sub(yy, xx), fe_add(one, fe_mul(fe_mul(xx, yy), fe_set1(fe_d_limbs))));
	return (vmask)(same & ~(v_negative(v_shl(x_words[0], 63)) ^ v_negative(words[3])));
}

/* The caller's points of a group's keys. false: one is missing or wrong, and the keys have to be decoded */
LANE_FN bool take_points(struct fe *x, struct fe *y, const vec words[static 4], const struct gm_ed25519_batch *b,
                         unsigned at)
{
	const uint8_t *from[LANES];
	vec x_words[4];

	for (unsigned i = 0; i < LANES; i++) {
		const struct gm_ed25519_point *p = b->points ? b->points[at + i < b->n ? at + i : 0] : NULL;

		if (!p)
			return false;
		from[i] = p->x;
	}
	words_get(x_words, from, 4);
	return x_belongs(x, y, words, x_words) == ALL_LANES;
}

/* A of the jobs of a pair of groups */
LANE_FN void take_keys(vmask *on_curve, struct fe *x, struct fe *y, const vec *words, const struct gm_ed25519_batch *b,
                       unsigned at)
{
	unsigned known = 0;

	for (unsigned i = 0; i < FE_PAIR; i++) {
		known += take_points(&x[i], &y[i], words + 4 * i, b, at + LANES * i);
		on_curve[i] = ALL_LANES;
	}
	if (known < FE_PAIR)
		ge_decode(on_curve, x, y, words, FE_PAIR);
}

LANE_FN void put_row(uint64_t (*row)[NIELS_ROW], vmask hopeful, struct fe x, struct fe y)
{
	uint64_t *rows[LANES];
	vec limb[NIELS_ROW];
	struct ge_niels p;

	x = fe_select(hopeful, x, fe_set1(fe_zero_limbs));
	y = fe_select(hopeful, y, fe_set1(fe_one_limbs));
	p = ge_to_niels(x, y);
	memcpy(limb, &p, sizeof(p));
	limb[NIELS_ROW - 1] = v_zero();
	for (unsigned i = 0; i < LANES; i++)
		rows[i] = row[i];
	v_rows_put(rows, limb, NIELS_ROW);
}

/* Digits of scalars, eight windows a word; to[group * step] gets those of all lanes */
LANE_FN void put_digits(uint64_t *to, unsigned step, struct sc a, unsigned bits, unsigned width)
{
	const unsigned windows = windows_of(bits, width);
	vec d[LANES * SUM_GROUPS_MAX];

	sc_digits(d, windows, width, a);
	for (unsigned from = 0; from < windows; from += LANES, to += step) {
		vec word = v_zero();

		for (unsigned i = 0; i < LANES && from + i < windows; i++)
			word = v_or(word, v_shl(v_and(d[from + i], v_set1(0xff)), 8 * i));
		v_store(to, word);
	}
}

/* z of a group of jobs, 0 where there is no hope */
LANE_FN struct sc take_coefficients(const uint64_t (*z)[2], vmask hopeful)
{
	uint64_t by_lane[2][LANES];
	vec w[4];

	for (unsigned i = 0; i < LANES; i++) {
		by_lane[0][i] = z[i][0];
		by_lane[1][i] = z[i][1] & (UINT64_MAX >> (128 - R_BITS));
	}
	w[0] = v_select(hopeful, v_load(by_lane[0]), v_zero());
	w[1] = v_select(hopeful, v_load(by_lane[1]), v_zero());
	w[2] = w[3] = v_zero();
	return sc_of_words(w);
}

LANE_FN struct sc sc_zero(void)
{
	return (struct sc){{v_zero(), v_zero(), v_zero(), v_zero(), v_zero()}};
}

/* z k and z as digits; z S is added to of_base */
static __attribute__((noinline)) void take_scalars(struct sum *s, struct sc *of_base, const uint64_t (*z)[2],
                                                   const struct gm_ed25519_job *const job[static LANES], vmask hopeful,
                                                   unsigned at)
{
	const struct sc c = take_coefficients(z + at, hopeful);
	const uint8_t *from[LANES];
	vec w[4];

	for (unsigned i = 0; i < LANES; i++)
		from[i] = s->challenge[at + i];
	words_get(w, from, 4);
	put_digits(s->digits + at, s->cap, sc_mul_plus(c, sc_of_words(w), sc_zero()), KEY_BITS, s->width);
	put_digits(s->digits + s->key_groups * s->cap + at, s->cap, c, R_BITS, s->width);
	job_words(w, job, false, 32);
	*of_base = sc_mul_plus(c, sc_of_words(w), *of_base);
}

/* Everything of a pair of groups; hope is left where A and R are points */
static __attribute__((noinline)) void take_pair(struct sum *s, struct sc *of_base, uint64_t *hopeful,
                                                const struct gm_ed25519_batch *b, const uint64_t (*z)[2], unsigned at)
{
	const struct gm_ed25519_job *job[FE_PAIR][LANES];
	vmask key_on_curve[FE_PAIR], r_on_curve[FE_PAIR], hope[FE_PAIR];
	struct fe key_x[FE_PAIR], key_y[FE_PAIR], r_x[FE_PAIR], r_y[FE_PAIR];
	vec words[FE_PAIR * 4];

	for (unsigned i = 0; i < FE_PAIR; i++) {
		hope[i] = (vmask)take_jobs(job[i], b, at + LANES * i);
		job_words(words + 4 * i, job[i], true, 0);
	}
	take_keys(key_on_curve, key_x, key_y, words, b, at);
	for (unsigned i = 0; i < FE_PAIR; i++)
		job_words(words + 4 * i, job[i], false, 0);
	ge_decode(r_on_curve, r_x, r_y, words, FE_PAIR);
	for (unsigned i = 0; i < FE_PAIR; i++) {
		const unsigned from = at + LANES * i;

		hope[i] &= (vmask)(key_on_curve[i] & r_on_curve[i]);
		put_row(s->key + from, hope[i], key_x[i], key_y[i]);
		put_row(s->r + from, hope[i], r_x[i], r_y[i]);
		take_scalars(s, of_base, z, job[i], hope[i], from);
		if (from < b->n)
			hopeful[from / 64] |= (uint64_t)hope[i] << from % 64;
	}
}

/* What lane i + by has, in lane i; zeros come in */
LANE_FN vec v_lanes_down(vec a, unsigned by)
{
	uint64_t lane[2 * LANES] = {0};

	v_store(lane, a);
	return v_load(lane + by);
}

/* Lane 0 gets minus the sum of all lanes, for it stands on the other side: its digits */
LANE_FN void take_base(struct sum *s, struct sc of_base)
{
	const struct sc one = {{v_set1(1), v_zero(), v_zero(), v_zero(), v_zero()}};
	uint64_t digits[SUM_GROUPS_MAX][LANES];
	struct sc other;

	for (unsigned by = LANES / 2; by > 0; by /= 2) {
		for (unsigned i = 0; i < 5; i++)
			other.v[i] = v_lanes_down(of_base.v[i], by);
		of_base = sc_mul_plus(other, one, of_base);
	}
	for (unsigned i = 0; i < 5; i++)
		of_base.v[i] = v_sub(v_set1(sc_order_limbs[i]), of_base.v[i]);
	sc_ripple(of_base.v, 5);
	put_digits(digits[0], LANES, of_base, KEY_BITS, s->width);
	for (unsigned g = 0; g < s->key_groups; g++)
		s->base_digits[g] = digits[g][0];
}

/* ---- the sum */

LANE_FN void point_rows_get(struct ge *p, bucket *b, const uint64_t index[static LANES])
{
	const uint64_t *rows[LANES];
	vec limb[CACHED_LIMBS];

	for (unsigned i = 0; i < LANES; i++)
		rows[i] = b[index[i]][i];
	v_rows_get(limb, rows, CACHED_LIMBS);
	memcpy(p, limb, sizeof(*p));
}

LANE_FN void point_rows_put(bucket *b, const uint64_t index[static LANES], const struct ge *p)
{
	uint64_t *rows[LANES];
	vec limb[CACHED_LIMBS];

	for (unsigned i = 0; i < LANES; i++)
		rows[i] = b[index[i]][i];
	memcpy(limb, p, sizeof(*p));
	v_rows_put(rows, limb, CACHED_LIMBS);
}

LANE_FN void empty_buckets(struct sum *s)
{
	const struct ge zero = ge_identity();

	for (unsigned b = 0; b <= 1u << (s->width - 1); b++)
		point_rows_put(s->buckets, (const uint64_t[LANES]){b, b, b, b, b, b, b, b}, &zero);
}

#define AHEAD 2u /* points */

/* What to_buckets() will touch: all buckets together are four times as large as the first cache */
LANE_FN void fetch_buckets(const struct sum *s, uint64_t digits)
{
	for (unsigned i = 0; i < LANES; i++) {
		const int digit = (int8_t)(uint8_t)(digits >> 8 * i);
		const uint64_t *row = s->buckets[digit < 0 ? -digit : digit][i];

		__builtin_prefetch(row, 1);
		__builtin_prefetch(row + 8, 1);
		__builtin_prefetch(row + 16, 1);
	}
}

/* A point, the same in all lanes, to the buckets of its digits */
static __attribute__((noinline)) void to_buckets(struct sum *s, const uint64_t row[static NIELS_ROW], uint64_t digits)
{
	const vec digit = v_signed_bytes(digits);
	uint64_t index[LANES];
	struct ge_niels q;
	struct ge p;
	vec limb[15];

	v_store(index, digit_size(digit));
	for (unsigned i = 0; i < 15; i++)
		limb[i] = v_set1(row[i]);
	memcpy(&q, limb, sizeof(q));
	niels_negate_if(v_negative(digit), &q);
	point_rows_get(&p, s->buckets, index);
	ge_add_niels_open(&p, &q);
	point_rows_put(s->buckets, index, &p);
}

LANE_FN void all_to_buckets(struct sum *s, uint64_t (*const row)[NIELS_ROW], const uint64_t *digits)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (i + AHEAD < s->n)
			fetch_buckets(s, digits[i + AHEAD]);
		to_buckets(s, row[i], digits[i]);
	}
}

/* b times bucket b, summed: each bucket is added to what is above it, and that to the sum */
static __attribute__((noinline)) void fold_buckets(struct ge *sum, struct sum *s)
{
	struct ge above = ge_identity();

	*sum = above;
	for (unsigned b = 1u << (s->width - 1); b > 0; b--) {
		struct ge_cached c;
		struct ge p;

		point_rows_get(&p, s->buckets, (const uint64_t[LANES]){b, b, b, b, b, b, b, b});
		c = ge_to_cached(&p);
		ge_add(&above, &c);
		c = ge_to_cached(&above);
		ge_add(sum, &c);
	}
}

LANE_FN void ge_add_ge(struct ge *p, const struct ge *q)
{
	const struct ge_cached c = ge_to_cached(q);

	ge_add(p, &c);
}

/* Lane 0 gets the sum of 2^(width i) times lane i */
LANE_FN void join_windows(struct ge *p, unsigned width)
{
	for (unsigned by = LANES / 2; by > 0; by /= 2) {
		struct ge q;
		vec limb[20];

		memcpy(limb, p, sizeof(*p));
		for (unsigned i = 0; i < 20; i++)
			limb[i] = v_lanes_down(limb[i], by);
		memcpy(&q, limb, sizeof(q));
		ge_double(&q, by * width);
		ge_add_ge(p, &q);
	}
}

LANE_FN void sum_up(struct ge *total, struct sum *s)
{
	*total = ge_identity();
	for (unsigned g = s->key_groups; g-- > 0;) {
		const uint64_t *of_key = s->digits + g * s->cap, *of_r = s->digits + (s->key_groups + g) * s->cap;
		struct ge part;

		empty_buckets(s);
		to_buckets(s, gm_ed25519_tables.base[1], s->base_digits[g]);
		all_to_buckets(s, s->key, of_key);
		if (g < s->r_groups)
			all_to_buckets(s, s->r, of_r);
		fold_buckets(&part, s);
		if (g + 1 < s->key_groups)
			ge_double(total, LANES * s->width);
		ge_add_ge(total, &part);
	}
	join_windows(total, s->width);
}

/* Leaves hope to jobs whose bytes keep the rule; true: the equation holds for all of these */
LANE_FN bool batch_lanes(uint64_t *hopeful, const struct gm_ed25519_batch *b)
{
	struct sc of_base = sc_zero();
	struct ge total;
	struct sum s;
	uint64_t(*z)[2];

	sum_lay_out(&s, b->room, b->n);
	z = (uint64_t(*)[2])(void *)s.buckets;
	memset(hopeful, 0, 8 * GM_ED25519_BATCH_WORDS(b->n));
	take_challenges(&s, b);
	gm_ed25519_coefficients(z, s.cap, s.challenge, b);
	for (unsigned at = 0; at < s.cap; at += PAIR)
		take_pair(&s, &of_base, hopeful, b, (const uint64_t(*)[2])z, at);
	take_base(&s, of_base);
	sum_up(&total, &s);
	ge_double(&total, 3);
	return ge_is_identity(&total) & 1;
}

#endif
