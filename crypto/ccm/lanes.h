/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM of many messages at once, over the vector operations that the including file defines:
 *
 *	vec                      PER blocks of 16 bytes; VECS of them are in work at once, LANES = VECS * PER messages
 *	vec_load vec_store       aligned; vec_xor vec_zero vec_spread (one block in memory into every place) vec_first (the first block)
 *	vec_up                   each block a byte up, a zero below
 *	vec_and_xor              the first two ANDed, XOR the third
 *	vec_round vec_last       one AES round, the last one
 *	vec_next_key             round key r + 1 of round key r
 *	vec_gather vec_of_rows   full blocks from PER places; the same where these are a distance apart
 *	block_part               the first n bytes of a block, zeros behind; reads nothing else
 *	text_xor                 the text and a key stream to where it goes, maybe its own place
 *	flags_and_counts         of A_0, A_1, and so on: LANES blocks
 *	aad_lay                  blocks of AAD, as many of them as HEADER says, with its length before
 *
 * CBC-MAC is a chain, so each lane is a message of its own. Counter mode is none: there a vector holds blocks of one
 * message, which go to and from memory in one piece. Jobs are sorted by their number of blocks, so that the lanes of a
 * group finish close to each other. A lane that has finished is harvested at once and goes on with zeros. Rounds of the
 * chains leave most of the processor idle: meanwhile the next group is laid out and its keys are expanded.
 *
 * No address and no branch depends on a key, on text, or on a tag; on lengths they do. */
#include "ccm/ccm.h"

#include <string.h>

#define LANES (VECS * PER)
#define ROUNDS 10u
#define INLINE static inline __attribute__((always_inline))
/* Loops that have to be gone, so that vectors stay in registers. */
#ifdef __clang__
#define EACH(i, from, to) _Pragma("clang loop unroll(full)") for (unsigned i = (from); i < (to); i++)
#else
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (unsigned i = (from); i < (to); i++)
#endif

/* Blocks of the MAC: B_0, then those of the AAD, then those of the text.                      RFC 3610 §2.2 */
struct lane {
	const struct gm_ccm_job *job;
	uint32_t head, full, total; /* blocks before the text; and with its full ones; all */
};

/* What all lanes have in common: steps up to header are laid out, in those from text to full each has a full block of
 * text at the same distance from its start, and where they are even all end at the same step. */
struct alike {
	const uint8_t *text_of[LANES];
	uint32_t header, text, full;
	bool long_aad, even;
};

struct group {
	_Alignas(64) uint8_t key[ROUNDS + 1][LANES][16]; /* [0] and [ROUNDS]: see absorb() */
	_Alignas(64) uint8_t last_key[LANES][16];
	_Alignas(64) uint8_t state[LANES][16]; /* the chains, where they are not in registers */
	_Alignas(64) uint8_t mac[LANES][16], s0[LANES][16];
	_Alignas(64) uint8_t tail[LANES][16]; /* the text's last block, padded, where it is not full */
	_Alignas(64) uint8_t b0[LANES][16];   /* from here on nothing is secret */
	_Alignas(64) uint8_t header[LANES][HEADER][16];
	struct lane lane[LANES];
	struct alike alike;
	const struct gm_ccm_job *jobs;
	const uint32_t *order; /* rows of sort() */
	unsigned used;         /* the lanes behind are copies of the last one used, and nobody asks for their result */
	unsigned prepared;     /* pieces */
	bool sealing, uniform; /* uniform: all jobs have as many blocks, full ones and others, as the first */
};

#define SECRET offsetof(struct group, b0)

INLINE uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

INLINE __m128i load128(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* ---- laying out */

static uint32_t aad_blocks(const struct gm_ccm_job *j)
{
	return j->aad_len ? (uint32_t)(j->aad_len + 2 + 15) / 16 : 0;
}

static uint32_t text_blocks(const struct gm_ccm_job *j)
{
	return (uint32_t)(j->text_len + 15) / 16;
}

/* A job's number with its blocks before and of the text, which it is sorted by: all in one word. */
static uint32_t row_of(const struct gm_ccm_job *j, unsigned i)
{
	const uint32_t head = aad_blocks(j);

	return (head + text_blocks(j)) << 18 | head << 6 | i;
}

INLINE unsigned row_job(uint32_t row)
{
	return row % GM_BATCH_MAX;
}

INLINE uint32_t row_head(uint32_t row)
{
	return row >> 6 & 0xfff;
}

INLINE uint32_t row_total(uint32_t row)
{
	return row >> 18;
}

static __attribute__((noinline)) unsigned sort_slowly(uint32_t *order, const struct gm_ccm_job *jobs, unsigned n)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!gm_ccm_fits(&jobs[i]))
			continue;
		uint32_t row = row_of(&jobs[i], i);
		unsigned at = used++;

		for (; at > 0 && order[at - 1] > row; at--)
			order[at] = order[at - 1];
		order[at] = row;
	}
	return used;
}

struct sorted {
	uint32_t order[GM_BATCH_MAX + LANES]; /* rows of the jobs of valid size, the last one LANES times more */
	unsigned n;
	bool uniform; /* as given: order[i] is of job i, and all have as many blocks, full ones and others */
};

/* Mostly all are valid and alike. */
static bool find_uniform(const struct gm_ccm_job *jobs, unsigned n)
{
	const size_t text = jobs[0].text_len, aad = jobs[0].aad_len;
	size_t large = 0, other = 0, bad = 0;

	_Static_assert(GM_CCM_TEXT_MAX == 0xffff && GM_CCM_AAD_MAX + 0x101 == 0x10000, "of which no sum reaches bit 16");
	for (unsigned i = 0; i < n; i++) {
		const struct gm_ccm_job *j = &jobs[i];

		large |= j->text_len | j->aad_len | (j->aad_len + 0x100);
		other |= (j->text_len ^ text) | ((j->text_len + 15) ^ (text + 15)) | ((j->aad_len + 17) ^ (aad + 17));
		bad |= (size_t)((j->tag_len - 8) & ~8) | ((j->aad_len == 0) ^ (aad == 0));
	}
	return large >> 16 == 0 && other >> 4 == 0 && bad == 0;
}

static void sort(struct sorted *s, const struct gm_ccm_job *jobs, unsigned n)
{
	s->uniform = find_uniform(jobs, n);
	s->n = s->uniform ? n : sort_slowly(s->order, jobs, n);
	if (s->uniform)
		for (unsigned i = 0; i < n; i++)
			s->order[i] = row_of(&jobs[0], 0) | i;
	for (unsigned i = 0; i < LANES && s->n > 0; i++)
		s->order[s->n + i] = s->order[s->n - 1];
}

INLINE __m128i more_of_aad(const struct gm_ccm_job *j, uint32_t s)
{
	size_t at = (size_t)s * 16 - 18;

	return block_part(j->aad + at, j->aad_len - at);
}

INLINE void put_block(uint8_t *to, __m128i x)
{
	_mm_store_si128((__m128i *)to, x);
}

INLINE void lay_out_tail(struct group *g, unsigned i, const uint8_t *text, size_t len)
{
	put_block(g->tail[i], block_part(text + len / 16 * 16, len % 16));
}

/* Where they are not uniform: what this lane is, and has in common with those before */
INLINE void measure(struct group *g, unsigned i, uint32_t row, size_t text_len)
{
	struct lane *l = &g->lane[i];
	struct alike *a = &g->alike;

	l->head = 1 + row_head(row);
	l->full = l->head + (uint32_t)text_len / 16;
	l->total = 1 + row_total(row);
	const uint32_t full = l->head == a->text ? l->full : 0;

	if (l->head < a->header)
		a->header = l->head;
	if (full < a->full)
		a->full = full;
	a->long_aad |= l->head > HEADER + 1;
	a->even &= full == g->lane[0].full && l->total == g->lane[0].total;
}

INLINE void lay_out(struct group *g, unsigned i)
{
	const uint32_t row = g->order[i];
	const struct gm_ccm_job *job = &g->jobs[row_job(row)], j = *job;
	const uint64_t flags = (j.aad_len ? 64u : 0u) + j.tag_len * 4u - 8u + 1u;
	const uint64_t lo = load64(j.nonce) << 8 | flags, hi = load64(j.nonce + 5) >> 16;
	const uint64_t b0[2] = {lo, hi | (uint64_t)__builtin_bswap16((uint16_t)j.text_len) << 48};

	g->lane[i].job = job;
	g->alike.text_of[i] = j.text;
	memcpy(g->b0[i], b0, sizeof(b0));
	put_block(g->key[0][i], load128(j.key));
	if (j.aad_len > 0)
		aad_lay(g->header[i], j.aad, j.aad_len);
	if (g->sealing)
		lay_out_tail(g, i, j.text, j.text_len);
	if (!g->uniform)
		measure(g, i, row, j.text_len);
}

/* ---- the chains */

/* Round keys of PER lanes, one after the other; on the way B_0 goes through all rounds but the last. */
struct schedule {
	vec first, key, state;
};

INLINE struct schedule schedule_of(const struct group *g, unsigned from)
{
	const vec k = vec_load(g->key[0][from]);

	return (struct schedule){k, k, vec_xor(vec_load(g->b0[from]), k)};
}

INLINE void next_key(struct group *g, unsigned from, struct schedule *s, unsigned r)
{
	static const uint8_t rcon[ROUNDS + 1] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 27, 54};

	s->key = vec_next_key(s->key, rcon[r]);
	vec_store(g->key[r][from], s->key);
	if (r < ROUNDS) {
		s->state = vec_round(s->state, s->key);
	} else {
		vec_store(g->last_key[from], vec_xor(s->key, s->first));
		vec_store(g->state[from], s->state);
	}
}

/* All that comes before a group's chains, in pieces that fit beside one step of another's: some lanes are laid out, and where
 * with them a vector is full, its keys are made. */
#define PIECES (LANES < 8u ? LANES : 8u)
#define PIECE (LANES / PIECES)

static __attribute__((noinline)) void prepare_rest(struct group *g)
{
	while (g->prepared < PIECES) {
		const unsigned from = g->prepared++ * PIECE, to = from + PIECE;

		EACH (i, 0, PIECE)
			lay_out(g, from + i);
		if (to % PER == 0) {
			struct schedule s = schedule_of(g, to - PER);

			EACH (r, 1, ROUNDS + 1)
				next_key(g, to - PER, &s, r);
		}
	}
}

static void take(struct group *g, const struct gm_ccm_job *jobs, const struct sorted *sorted, unsigned from, bool sealing)
{
	const uint32_t row = sorted->order[from], head = 1 + row_head(row);
	const uint32_t full = head + (uint32_t)jobs[row_job(row)].text_len / 16;

	g->jobs = jobs;
	g->order = sorted->order + from;
	g->used = sorted->n - from < LANES ? sorted->n - from : LANES;
	g->sealing = sealing;
	g->uniform = sorted->uniform;
	g->prepared = 0;
	g->alike.header = head < HEADER + 1 ? head : HEADER + 1;
	g->alike.text = head;
	g->alike.full = full;
	g->alike.long_aad = head > HEADER + 1;
	g->alike.even = true;
	if (g->uniform)
		for (unsigned i = 0; i < (g->alike.long_aad ? LANES : 1); i++)
			g->lane[i] = (struct lane){.head = head, .full = full, .total = 1 + row_total(row)};
}

INLINE void one_round(const struct group *g, vec *y, unsigned r)
{
	EACH (v, 0, VECS)
		y[v] = vec_round(y[v], vec_load(g->key[r][v * PER]));
}

INLINE void middle_rounds(const struct group *g, vec *y)
{
	EACH (r, 1, ROUNDS)
		one_round(g, y, r);
}

/* The same, and between the rounds a piece of what the next group needs: a processor looks so far ahead, but not farther. */
INLINE void middle_rounds_preparing(const struct group *g, vec *y, struct group *next)
{
	const unsigned from = next->prepared++ * PIECE, to = from + PIECE;

	if (to % PER == 0) {
		EACH (i, 0, PIECE)
			lay_out(next, from + i);
		struct schedule s = schedule_of(next, to - PER);

		EACH (r, 1, ROUNDS) {
			one_round(g, y, r);
			next_key(next, to - PER, &s, r);
		}
		next_key(next, to - PER, &s, ROUNDS);
	} else {
		EACH (r, 1, ROUNDS) {
			one_round(g, y, r);
			if (r % (ROUNDS / PIECE) == 1 && r / (ROUNDS / PIECE) < PIECE)
				lay_out(next, from + r / (ROUNDS / PIECE));
		}
	}
}

/* The last round of one block, the XOR with the next one and the first round key of that are one instruction: all
 * three only add to the state, so they go into the round key. After the final block, which adds zeros, the state is
 * the MAC plus the first round key. */
INLINE vec absorb(const struct group *g, unsigned v, vec y, vec block)
{
	return vec_last(y, vec_xor(vec_load(g->last_key[v * PER]), block));
}

/* Where block s of a lane is: chosen without a branch, for each lane's changes at another step. */
INLINE const uint8_t *block_at(const struct group *g, unsigned i, uint32_t s)
{
	static const _Alignas(16) uint8_t zero[16];
	const struct lane *l = &g->lane[i];
	const uint8_t *p = l->job->text + (size_t)(s - l->head) * 16;

	p = s >= l->full ? g->tail[i] : p;
	p = s > l->full ? zero : p;
	return s < l->head ? g->header[i][(s - 1) % HEADER] : p;
}

INLINE void absorb_chosen(const struct group *g, vec *y, uint32_t s)
{
	const uint8_t *p[LANES];

	EACH (i, 0, LANES)
		p[i] = block_at(g, i, s);
	EACH (v, 0, VECS)
		y[v] = absorb(g, v, y[v], vec_gather(&p[v * PER], 0));
}

/* The same where a lane has a long AAD. */
INLINE void absorb_long(const struct group *g, vec *y, uint32_t s)
{
	_Alignas(64) uint8_t block[LANES][16];

	for (unsigned i = 0; i < LANES; i++) {
		const struct lane *l = &g->lane[i];
		bool chosen = s <= HEADER || s >= l->head;

		put_block(block[i], chosen ? load128(block_at(g, i, s)) : more_of_aad(l->job, s));
	}
	EACH (v, 0, VECS)
		y[v] = absorb(g, v, y[v], vec_load(block[v * PER]));
}

INLINE void absorb_next(const struct group *g, vec *y, uint32_t s)
{
	const struct alike *a = &g->alike;

	if (s < a->header)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_of_rows(g->header[v * PER][s - 1], sizeof(g->header[0])));
	else if (s >= a->text && s < a->full)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_gather(&a->text_of[v * PER], (size_t)(s - a->text) * 16));
	else if (a->even && s == a->full)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_load(g->tail[v * PER]));
	else if (a->even && s > a->full)
		EACH (v, 0, VECS)
			y[v] = vec_last(y[v], vec_load(g->last_key[v * PER]));
	else if (!a->long_aad)
		absorb_chosen(g, y, s);
	else
		absorb_long(g, y, s);
}

/* MACs of the lanes from done on that end at this step; returns the first that does not. */
INLINE unsigned harvest(struct group *g, const vec *y, uint32_t s, unsigned done)
{
	uint8_t(*to)[16] = g->alike.even ? g->mac : g->state;

	EACH (v, 0, VECS)
		vec_store(to[v * PER], vec_xor(y[v], vec_load(g->key[0][v * PER])));
	if (g->alike.even)
		return LANES;
	for (; done < LANES && g->lane[done].total == s; done++)
		memcpy(g->mac[done], g->state[done], 16);
	return done;
}

/* next: the group to prepare on the way, or NULL */
static void run_macs(struct group *g, struct group *next)
{
	unsigned done = 0;
	vec y[VECS];

	EACH (v, 0, VECS)
		y[v] = vec_load(g->state[v * PER]);
	for (uint32_t s = 1;; s++) {
		absorb_next(g, y, s);
		if (s == g->lane[done].total)
			done = harvest(g, y, s, done);
		if (done == LANES)
			break;
		if (next && next->prepared < PIECES)
			middle_rounds_preparing(g, y, next);
		else
			middle_rounds(g, y);
	}
	if (next)
		prepare_rest(next);
}

/* ---- counter mode */

/* vecs vectors of key stream from block c on, c a multiple of LANES: so the low bits can be XORed in. A_i is B_0 with
 * other flags and a count in place of the length.                                              RFC 3610 §2.3 */
INLINE void key_stream(const struct group *g, unsigned i, uint32_t c, vec *ks, unsigned vecs)
{
	static const _Alignas(16) uint8_t of_nonce[16] = {0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0};
	vec base = vec_and_xor(vec_spread(g->b0[i]), vec_spread(of_nonce), vec_spread(g->key[0][i]));

	if (c > 0) {
		const _Alignas(16) uint8_t high[16] = {[14] = (uint8_t)(c >> 8), [15] = (uint8_t)c};

		base = vec_xor(base, vec_spread(high));
	}
	EACH (v, 0, vecs)
		ks[v] = vec_xor(base, vec_load(flags_and_counts[v * PER]));
	EACH (r, 1, ROUNDS) {
		const vec k = vec_spread(g->key[r][i]);

		EACH (v, 0, vecs)
			ks[v] = vec_round(ks[v], k);
	}
	const vec k = vec_spread(g->key[ROUNDS][i]);

	EACH (v, 0, vecs)
		ks[v] = vec_last(ks[v], k);
}

INLINE void put_tag(const struct group *g, unsigned i, __m128i s0)
{
	const struct gm_ccm_job *j = g->lane[i].job;
	const __m128i tag = _mm_xor_si128(load128(g->mac[i]), s0);

	if (j->tag_len == 16)
		_mm_storeu_si128((__m128i *)(j->text + j->text_len), tag);
	else
		_mm_storel_epi64((__m128i *)(j->text + j->text_len), tag);
}

/* A text on its way through a lane, from and to maybe the same */
struct stretch {
	uint8_t *to;
	const uint8_t *from;
	size_t len;
};

INLINE struct stretch stretch_of(const struct group *g, unsigned i)
{
	const struct gm_ccm_job *j = g->lane[i].job;

	return (struct stretch){j->text, j->text, j->text_len};
}

/* The text from block c on, as vecs_for() says; returns the first block of the stream that is used. */
INLINE __m128i crypt_some(const struct group *g, unsigned i, struct stretch t, uint32_t c, unsigned vecs)
{
	const size_t len = t.len;
	vec ks[VECS];

	if ((vecs > VECS / 4 && len + 16 <= (c + vecs * PER / 2) * 16) || (vecs < VECS && len + 16 > (c + vecs * PER) * 16))
		__builtin_unreachable();
	key_stream(g, i, c, ks, vecs);
	EACH (v, 0, vecs)
		text_xor(t.to, t.from, len, ((size_t)c + v * PER) * 16, ks[v]);
	return vec_first(ks[0]);
}

/* Vectors that a stream takes, S_0 and all: in powers of two, as far as they fit */
INLINE unsigned vecs_for(uint32_t blocks)
{
	return blocks > LANES / 2 ? VECS : blocks > LANES / 4 ? VECS / 2 : VECS / 4;
}

INLINE unsigned vecs_of(const struct group *g, unsigned i)
{
	return vecs_for(1 + text_blocks(g->lane[i].job));
}

static __attribute__((noinline)) void crypt_rest(const struct group *g, unsigned i, struct stretch t)
{
	const uint32_t n = 1 + (uint32_t)(t.len + 15) / 16;

	for (uint32_t c = LANES; c < n; c += LANES)
		switch (vecs_for(n - c)) {
		case VECS:
			crypt_some(g, i, t, c, VECS);
			break;
		case VECS / 2:
			crypt_some(g, i, t, c, VECS / 2);
			break;
		default:
			crypt_some(g, i, t, c, VECS / 4);
		}
}

/* The lanes from i on that take as many vectors; returns the first that does not. The stream begins with S_0, which covers the
 * tag; the text begins with S_1. */
INLINE unsigned crypt_alike(struct group *g, unsigned i, unsigned vecs)
{
	do {
		const struct stretch t = stretch_of(g, i);
		const __m128i s0 = crypt_some(g, i, t, 0, vecs);

		if (g->sealing)
			put_tag(g, i, s0);
		else
			put_block(g->s0[i], s0);
		if (vecs == VECS && t.len > 16 * (LANES - 1))
			crypt_rest(g, i, t);
		i++;
	} while (i < g->used && vecs_of(g, i) == vecs);
	return i;
}

static __attribute__((noinline)) unsigned crypt_quarters(struct group *g, unsigned i)
{
	return crypt_alike(g, i, VECS / 4);
}

static __attribute__((noinline)) unsigned crypt_halves(struct group *g, unsigned i)
{
	return crypt_alike(g, i, VECS / 2);
}

static __attribute__((noinline)) unsigned crypt_wholes(struct group *g, unsigned i)
{
	return crypt_alike(g, i, VECS);
}

static void crypt(struct group *g)
{
	unsigned i = 0;

	while (i < g->used)
		switch (vecs_of(g, i)) {
		case VECS:
			i = crypt_wholes(g, i);
			break;
		case VECS / 2:
			i = crypt_halves(g, i);
			break;
		default:
			i = crypt_quarters(g, i);
		}
}

/* ---- the two directions */

static bool tag_good(const struct group *g, unsigned i)
{
	const struct gm_ccm_job *j = g->lane[i].job;
	const __m128i tag = _mm_xor_si128(load128(g->mac[i]), load128(g->s0[i]));
	const __m128i got =
	    j->tag_len == 16 ? load128(j->text + j->text_len) : _mm_loadl_epi64((const __m128i *)(j->text + j->text_len));
	const int same = _mm_movemask_epi8(_mm_cmpeq_epi8(tag, got)), all = j->tag_len == 16 ? 0xffff : 0xff;

	return (same & all) == all;
}

static uint64_t seal_group(struct group *g, struct group *next)
{
	run_macs(g, next);
	crypt(g);
	return (UINT64_C(1) << g->used) - 1;
}

/* From here on the verdicts are public: the only branch on them. */
static __attribute__((noinline)) void zero_the_bad(const struct group *g, uint64_t good)
{
	for (unsigned i = 0; i < g->used; i++)
		if (!(good >> i & 1))
			gm_wipe(g->lane[i].job->text, g->lane[i].job->text_len);
}

static uint64_t open_group(struct group *g, struct group *next)
{
	uint64_t good = 0;

	crypt(g);
	for (unsigned i = 0; i < LANES; i++)
		lay_out_tail(g, i, g->lane[i].job->text, g->lane[i].job->text_len);
	run_macs(g, next);
	for (unsigned i = 0; i < g->used; i++)
		good |= (uint64_t)tag_good(g, i) << i;
	zero_the_bad(g, good);
	return good;
}

/* As gm_wipe() does, in whole vectors */
static void wipe_secrets(struct group *groups, unsigned n)
{
	_Static_assert(SECRET % sizeof(vec) == 0, "no part of a vector is left");
	vec zero = vec_zero();

	__asm__("" : "+x"(zero)); /* or gcc calls memset() */
	for (unsigned k = 0; k < n; k++)
		for (size_t at = 0; at < SECRET; at += sizeof(vec))
			vec_store((uint8_t *)&groups[k] + at, zero);
	__asm__ volatile("" : : "r"(groups) : "memory"); /* or they are left out, as nobody reads them any more */
}

/* Bits of a group's lanes as those of the jobs */
static uint64_t of_jobs(const struct sorted *s, unsigned from, unsigned used, uint64_t mask)
{
	uint64_t good = 0;

	if (s->uniform)
		return mask << from;
	for (unsigned i = 0; i < used; i++)
		good |= (mask >> i & 1) << row_job(s->order[from + i]);
	return good;
}

static uint64_t in_groups(const struct gm_ccm_job *jobs, unsigned n, bool sealing)
{
	struct group groups[2];
	struct sorted sorted;
	uint64_t good = 0;

	sorted.n = 0;
	if (n > 0)
		sort(&sorted, jobs, n);
	if (sorted.n == 0)
		return 0;
	take(&groups[0], jobs, &sorted, 0, sealing);
	prepare_rest(&groups[0]);
	for (unsigned at = 0, k = 0; at < sorted.n; at += LANES, k = 1 - k) {
		struct group *g = &groups[k], *next = sorted.n - at > LANES ? &groups[1 - k] : NULL;

		if (next)
			take(next, jobs, &sorted, at + LANES, sealing);
		good |= of_jobs(&sorted, at, g->used, sealing ? seal_group(g, next) : open_group(g, next));
	}
	wipe_secrets(groups, sorted.n > LANES ? 2 : 1);
	return good;
}

static uint64_t seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return in_groups(jobs, n, true);
}

static uint64_t open(const struct gm_ccm_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!gm_ccm_fits(&jobs[i]))
			gm_wipe(jobs[i].text, jobs[i].text_len);
	return in_groups(jobs, n, false);
}

#include "ccm/same.h"
