/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of 64 jobs, and of 1 to 17 and 63 in between, in which each of many vectors comes into each of the eight lanes once,
 * next to vectors from all over the file and to a good one.
 *
 *	struct gm_seats seats = {.vectors = n, .lanes = 8};
 *	while ((n = gm_seats_next(&seats, vector)) > 0)
 *		... vector[0] to vector[n - 1]; GM_SEATS_GOOD: any good one
 */
#ifndef GM_SEATS_H
#define GM_SEATS_H

#define GM_SEATS_GOOD (~0u)

struct gm_seats {
	unsigned vectors;
	unsigned lanes; /* that a vector comes into: 8, or 1 */
	unsigned call, seated[8];
};

/* Vectors that have not been in this lane yet */
static inline unsigned gm_seats_left(const struct gm_seats *s, unsigned lane)
{
	return s->lanes == 8 ? s->vectors - s->seated[lane] : (s->vectors + 7 - lane) / 8 - s->seated[lane];
}

static inline unsigned gm_seats_vector(struct gm_seats *s, unsigned lane)
{
	const unsigned k = s->seated[lane], i = s->lanes == 8 ? k + lane * (s->vectors / 8 + 1) : k * 8 + lane;

	if (gm_seats_left(s, lane) == 0)
		return GM_SEATS_GOOD;
	s->seated[lane]++;
	/* a prime: each is met once, and its neighbours in the file are not those in the call */
	return (unsigned)((unsigned long long)i * 1009 % s->vectors);
}

/* The number of jobs of the next call; 0: that was all. */
static inline unsigned gm_seats_next(struct gm_seats *s, unsigned vector[64])
{
	static const unsigned sizes[] = {17, 63, 1, 16, 2, 15, 3, 14, 4, 13, 5, 12, 6, 11, 7, 10, 8, 9};
	const unsigned c = s->call++, n = c % 3 ? 64 : sizes[c / 3 % 18];
	unsigned left = 0;

	for (unsigned i = 0; i < 8; i++)
		left += gm_seats_left(s, i);
	for (unsigned i = 0; i < n && left > 0; i++)
		vector[i] = i % 8 == (c + i / 8) % 8 ? GM_SEATS_GOOD : gm_seats_vector(s, i % 8);
	return left > 0 ? n : 0;
}

#endif
