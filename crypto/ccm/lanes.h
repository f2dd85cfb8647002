/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM of many messages at once, over the vector operations that the including file defines:
 *
 *	vec                      PER blocks of 16 bytes; VECS of them are in work at once, LANES = VECS * PER messages
 *	vec_load vec_store       aligned; vec_xor vec_spread (one block into every place) vec_first (the first block)
 *	vec_round vec_last       one AES round, the last one
 *	vec_next_key             round key r + 1 of round key r
 *	vec_gather vec_of_rows   full blocks from PER places; the same where these are a distance apart
 *	block_part               the first n bytes of a block, zeros behind; reads nothing else
 *	text_xor                 key stream into the text
 *	aad_lay                  blocks of AAD, as many of them as HEADER says, with its length before
 *
 * CBC-MAC is a chain, so each lane is a message of its own. Counter mode is none: there a vector holds blocks of one
 * message, which go to and from memory in one piece. Jobs are sorted by their number of blocks, so that the lanes of a
 * group finish close to each other. A lane that has finished is harvested at once and goes on with zeros.
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
	uint64_t a0[2];             /* A_0, the first counter block                  RFC 3610 §2.3 */
	_Alignas(16) uint8_t tail[16]; /* the text's last block, padded, where it is not full */
};

struct group {
	_Alignas(64) uint8_t key[ROUNDS + 1][LANES][16]; /* [0] and [ROUNDS]: see absorb() */
	_Alignas(64) uint8_t last_key[LANES][16];
	_Alignas(64) uint8_t b0[LANES][16];
	_Alignas(64) uint8_t header[LANES][HEADER][16];
	_Alignas(64) uint8_t state[LANES][16]; /* the chains, where they are not in registers */
	_Alignas(64) uint8_t mac[LANES][16], s0[LANES][16];
	struct lane lane[LANES];
	unsigned used; /* the lanes behind are copies of the last one used, and nobody asks for their result */
};

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

INLINE __m128i more_of_aad(const struct gm_ccm_job *j, uint32_t s)
{
	size_t at = (size_t)s * 16 - 18;

	return block_part(j->aad + at, j->aad_len - at);
}

INLINE void put_block(uint8_t *to, __m128i x)
{
	_mm_store_si128((__m128i *)to, x);
}

static void lay_out_tail(struct group *g, unsigned i)
{
	const struct gm_ccm_job *j = g->lane[i].job;

	put_block(g->lane[i].tail, block_part(j->text + j->text_len / 16 * 16, j->text_len % 16));
}

static void lay_out(struct group *g, unsigned i, const struct gm_ccm_job *j)
{
	struct lane *l = &g->lane[i];
	const uint64_t flags = (j->aad_len ? 64u : 0u) + (j->tag_len - 2u) / 2u * 8u + 1u;
	const uint64_t lo = load64(j->nonce) << 8, hi = load64(j->nonce + 5) >> 16;
	const uint64_t b0[2] = {lo | flags, hi | (uint64_t)__builtin_bswap16((uint16_t)j->text_len) << 48};

	l->job = j;
	l->head = 1 + aad_blocks(j);
	l->full = l->head + (uint32_t)j->text_len / 16;
	l->total = l->head + text_blocks(j);
	l->a0[0] = lo | 1;
	l->a0[1] = hi;
	memcpy(g->b0[i], b0, sizeof(b0));
	put_block(g->key[0][i], load128(j->key));
	if (l->head > 1)
		aad_lay(g->header[i], j->aad, j->aad_len);
}

static void lay_out_group(struct group *g, const struct gm_ccm_job *jobs, const uint32_t *order, unsigned n)
{
	g->used = n < LANES ? n : LANES;
	for (unsigned i = 0; i < LANES; i++)
		lay_out(g, i, &jobs[order[i < g->used ? i : g->used - 1] % GM_BATCH_MAX]);
}

/* ---- the chains */

/* Round keys of HALF of the lanes; on the way B_0 goes through all rounds but the last. */
#define HALF (VECS / 2)

INLINE void start_half(struct group *g, unsigned from)
{
	static const uint8_t rcon[ROUNDS + 1] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 27, 54};
	vec k[HALF], y[HALF];

	EACH (v, 0, HALF) {
		k[v] = vec_load(g->key[0][(from + v) * PER]);
		y[v] = vec_xor(vec_load(g->b0[(from + v) * PER]), k[v]);
	}
	EACH (r, 1, ROUNDS)
		EACH (v, 0, HALF) {
			k[v] = vec_next_key(k[v], rcon[r]);
			vec_store(g->key[r][(from + v) * PER], k[v]);
			y[v] = vec_round(y[v], k[v]);
		}
	EACH (v, 0, HALF) {
		k[v] = vec_next_key(k[v], rcon[ROUNDS]);
		vec_store(g->key[ROUNDS][(from + v) * PER], k[v]);
		vec_store(g->last_key[(from + v) * PER], vec_xor(k[v], vec_load(g->key[0][(from + v) * PER])));
		vec_store(g->state[(from + v) * PER], y[v]);
	}
}

static void start(struct group *g)
{
	start_half(g, 0);
	start_half(g, HALF);
}

INLINE void middle_rounds(const struct group *g, vec *y)
{
	EACH (r, 1, ROUNDS)
		EACH (v, 0, VECS)
			y[v] = vec_round(y[v], vec_load(g->key[r][v * PER]));
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

	p = s >= l->full ? l->tail : p;
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

/* What all lanes have in common: steps up to header are laid out, in those from text to full each has a full block of
 * text at the same distance from its start, and where they are even all end at the same step. */
struct alike {
	const uint8_t *text_of[LANES];
	uint32_t header, text, full;
	bool long_aad, even;
};

static struct alike find_alike(const struct group *g)
{
	struct alike a = {.header = HEADER + 1, .text = g->lane[0].head, .full = UINT32_MAX, .even = true};

	for (unsigned i = 0; i < LANES; i++) {
		const struct lane *l = &g->lane[i];
		uint32_t full = l->head == a.text ? l->full : 0;

		a.text_of[i] = l->job->text;
		a.header = l->head < a.header ? l->head : a.header;
		a.full = full < a.full ? full : a.full;
		a.long_aad |= l->head > HEADER + 1;
		a.even &= l->head == a.text && l->full == g->lane[0].full && l->total == g->lane[0].total;
	}
	return a;
}

INLINE void absorb_next(const struct group *g, vec *y, const struct alike *a, uint32_t s)
{
	if (s < a->header)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_of_rows(g->header[v * PER][s - 1], sizeof(g->header[0])));
	else if (s >= a->text && s < a->full)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_gather(&a->text_of[v * PER], (size_t)(s - a->text) * 16));
	else if (a->even && s == a->full)
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_of_rows(g->lane[v * PER].tail, sizeof(g->lane[0])));
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
	EACH (v, 0, VECS)
		vec_store(g->state[v * PER], vec_xor(y[v], vec_load(g->key[0][v * PER])));
	for (; done < LANES && g->lane[done].total == s; done++)
		memcpy(g->mac[done], g->state[done], 16);
	return done;
}

static void run_macs(struct group *g)
{
	const struct alike alike = find_alike(g);
	unsigned done = 0;
	vec y[VECS];

	EACH (v, 0, VECS)
		y[v] = vec_load(g->state[v * PER]);
	for (uint32_t s = 1;; s++) {
		absorb_next(g, y, &alike, s);
		if (s == g->lane[done].total)
			done = harvest(g, y, s, done);
		if (done == LANES)
			return;
		middle_rounds(g, y);
	}
}

/* ---- counter mode */

/* vecs vectors of key stream from block c on, c a multiple of LANES: so the low bits can be XORed in. */
INLINE void key_stream(const struct group *g, unsigned i, uint32_t c, vec *ks, unsigned vecs)
{
	const struct lane *l = &g->lane[i];
	const uint64_t hi = l->a0[1] | (uint64_t)__builtin_bswap16((uint16_t)c) << 48;
	const vec base = vec_xor(vec_spread(_mm_set_epi64x((long long)hi, (long long)l->a0[0])),
	                         vec_spread(load128(g->key[0][i])));

	EACH (v, 0, vecs)
		ks[v] = vec_xor(base, vec_load(counts[v * PER]));
	EACH (r, 1, ROUNDS) {
		const vec k = vec_spread(load128(g->key[r][i]));

		EACH (v, 0, vecs)
			ks[v] = vec_round(ks[v], k);
	}
	EACH (v, 0, vecs)
		ks[v] = vec_last(ks[v], vec_spread(load128(g->key[ROUNDS][i])));
}

/* The stream begins with S_0, which covers the tag; the text begins with S_1. */
INLINE void crypt_some(struct group *g, unsigned i, uint32_t c, unsigned vecs)
{
	const struct gm_ccm_job *j = g->lane[i].job;
	vec ks[VECS];

	key_stream(g, i, c, ks, vecs);
	if (c == 0)
		_mm_store_si128((__m128i *)g->s0[i], vec_first(ks[0]));
	EACH (v, 0, vecs)
		text_xor(j->text, j->text_len, ((size_t)c + v * PER) * 16, ks[v]);
}

static void crypt(struct group *g, unsigned i)
{
	const uint32_t n = 1 + text_blocks(g->lane[i].job);
	uint32_t c = 0;

	for (; n - c > LANES / 2 && c < n; c += LANES)
		crypt_some(g, i, c, VECS);
	if (c >= n)
		return;
	if (n - c > LANES / 4)
		crypt_some(g, i, c, VECS / 2);
	else
		crypt_some(g, i, c, VECS / 4);
}

/* ---- the two directions */

static void put_tag(const struct group *g, unsigned i)
{
	const struct gm_ccm_job *j = g->lane[i].job;
	const __m128i tag = _mm_xor_si128(load128(g->mac[i]), load128(g->s0[i]));

	if (j->tag_len == 16)
		_mm_storeu_si128((__m128i *)(j->text + j->text_len), tag);
	else
		_mm_storel_epi64((__m128i *)(j->text + j->text_len), tag);
}

static bool tag_good(const struct group *g, unsigned i)
{
	const struct gm_ccm_job *j = g->lane[i].job;
	const __m128i tag = _mm_xor_si128(load128(g->mac[i]), load128(g->s0[i]));
	const __m128i got =
	    j->tag_len == 16 ? load128(j->text + j->text_len) : _mm_loadl_epi64((const __m128i *)(j->text + j->text_len));
	const int same = _mm_movemask_epi8(_mm_cmpeq_epi8(tag, got)), all = j->tag_len == 16 ? 0xffff : 0xff;

	return (same & all) == all;
}

static uint64_t seal_group(struct group *g)
{
	start(g);
	for (unsigned i = 0; i < LANES; i++)
		lay_out_tail(g, i);
	run_macs(g);
	for (unsigned i = 0; i < g->used; i++) {
		crypt(g, i);
		put_tag(g, i);
	}
	return (UINT64_C(1) << g->used) - 1;
}

/* From here on the verdicts are public: the only branch on them. */
static __attribute__((noinline)) void zero_the_bad(const struct group *g, uint64_t good)
{
	for (unsigned i = 0; i < g->used; i++)
		if (!(good >> i & 1))
			gm_wipe(g->lane[i].job->text, g->lane[i].job->text_len);
}

static uint64_t open_group(struct group *g)
{
	uint64_t good = 0;

	start(g);
	for (unsigned i = 0; i < g->used; i++)
		crypt(g, i);
	for (unsigned i = 0; i < LANES; i++)
		lay_out_tail(g, i);
	run_macs(g);
	for (unsigned i = 0; i < g->used; i++)
		good |= (uint64_t)tag_good(g, i) << i;
	zero_the_bad(g, good);
	return good;
}

/* Numbers of the jobs of valid size in the order of their blocks, job in the low bits. Cheap where all are alike. */
static unsigned sort(uint32_t *order, const struct gm_ccm_job *jobs, unsigned n)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!gm_ccm_fits(&jobs[i]))
			continue;
		uint32_t head = aad_blocks(&jobs[i]), total = head + text_blocks(&jobs[i]);
		uint32_t row = total << 18 | head << 6 | i;
		unsigned at = used++;

		for (; at > 0 && order[at - 1] > row; at--)
			order[at] = order[at - 1];
		order[at] = row;
	}
	return used;
}

static uint64_t in_groups(const struct gm_ccm_job *jobs, unsigned n, uint64_t (*group_do)(struct group *g))
{
	uint32_t order[GM_BATCH_MAX];
	const unsigned fit = sort(order, jobs, n);
	uint64_t good = 0;
	struct group g;

	for (unsigned at = 0; at < fit; at += LANES) {
		lay_out_group(&g, jobs, order + at, fit - at);
		uint64_t mask = group_do(&g);

		for (unsigned i = 0; i < g.used; i++)
			good |= (mask >> i & 1) << order[at + i] % GM_BATCH_MAX;
	}
	if (fit > 0)
		gm_wipe(&g, sizeof(g));
	return good;
}

static uint64_t seal(const struct gm_ccm_job *jobs, unsigned n)
{
	return in_groups(jobs, n, seal_group);
}

static uint64_t open(const struct gm_ccm_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!gm_ccm_fits(&jobs[i]))
			gm_wipe(jobs[i].text, jobs[i].text_len);
	return in_groups(jobs, n, open_group);
}
