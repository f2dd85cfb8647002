/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF-SHA-256 of many contexts at once, a lane each, over what the including file defines:
 *
 *	LANES                    contexts in work at once
 *	struct state             hash states, one a lane
 *	struct words             blocks as 16 words, one block a lane
 *	state_start compress     the initial state; one block
 *	state_keep               a lane of another state
 *	words_load               one block from LANES places
 *	words_xor                the same word into all 16
 *	words_of_state           digests as the first 8 words, constants behind
 *	state_put                digests to LANES places of 32 bytes
 *
 * What goes from one hash into the next stays in registers as words. No address and no branch depends on a secret; on
 * lengths they do. */
#include "hkdf/contexts.h"

#include <string.h>

#define BLOCK 64u

struct mac { /* HMAC with a key already in it                                                  RFC 2104 §4 */
	struct state inner, outer;
};

struct message {
	const uint8_t *p;
	size_t len;
	bool counter; /* a byte 1 behind it: first block of an expand                          RFC 5869 §2.3 */
};

struct group {
	struct mac salt, prk;
	struct state at, before;
	struct words words;
	struct message message[LANES];
	uint8_t block[LANES][BLOCK], digest[LANES][GM_SHA256];
	const uint8_t *from[LANES];
	const struct gm_hkdf_job *job[LANES]; /* those behind used are copies of the last one */
	unsigned used;
};

/* ---- HMAC */

#define IPAD 0x36363636u
#define OPAD 0x5c5c5c5cu

static const uint32_t no_words[8] = {0};
/* behind a digest that is the whole message after the padded key */
static const uint32_t end_of_outer[8] = {0x80000000u, [7] = (BLOCK + GM_SHA256) * 8};

/* key: in words, padded with zeros */
static void mac_start(struct mac *m, struct words *key)
{
	words_xor(key, IPAD);
	state_start(&m->inner);
	compress(&m->inner, key);
	words_xor(key, IPAD ^ OPAD);
	state_start(&m->outer);
	compress(&m->outer, key);
}

static uint64_t blocks_of(const struct message *m)
{
	return (m->len + m->counter + 1 + 8 + BLOCK - 1) / BLOCK;
}

/* Block b of a message, padding and length included; the 64 bytes of the key come before.     FIPS 180-4 §5.1.1 */
static void put_block(uint8_t *to, const struct message *m, uint64_t b)
{
	const size_t at = b * BLOCK, end = m->len + m->counter;
	const uint64_t bits = __builtin_bswap64((uint64_t)(BLOCK + end) * 8);

	memset(to, 0, BLOCK);
	if (m->len > at)
		memcpy(to, m->p + at, m->len - at < BLOCK ? m->len - at : BLOCK);
	if (m->counter && m->len - at < BLOCK)
		to[m->len - at] = 1;
	if (end - at < BLOCK)
		to[end - at] = 0x80;
	if (b + 1 == blocks_of(m))
		memcpy(to + BLOCK - sizeof(bits), &bits, sizeof(bits));
}

/* Block b of all lanes; of a lane that has ended anything. */
static void load_blocks(struct group *g, uint64_t b)
{
	for (unsigned i = 0; i < LANES; i++) {
		bool whole = (b + 1) * BLOCK <= g->message[i].len;

		if (!whole)
			put_block(g->block[i], &g->message[i], b);
		g->from[i] = whole ? g->message[i].p + b * BLOCK : g->block[i];
	}
	words_load(&g->words, g->from);
}

/* at = at after all blocks of the lanes' messages */
static void take_messages(struct group *g)
{
	uint64_t most = 0, least = UINT64_MAX;

	for (unsigned i = 0; i < LANES; i++) {
		uint64_t blocks = blocks_of(&g->message[i]);

		most = blocks > most ? blocks : most;
		least = blocks < least ? blocks : least;
	}
	for (uint64_t b = 0; b < most; b++) {
		load_blocks(g, b);
		if (b >= least)
			g->before = g->at;
		compress(&g->at, &g->words);
		for (unsigned i = 0; i < LANES && b >= least; i++)
			if (b >= blocks_of(&g->message[i]))
				state_keep(&g->at, &g->before, i);
	}
}

/* at = HMAC of the messages */
static void mac_messages(struct group *g, const struct mac *m)
{
	g->at = m->inner;
	take_messages(g);
	words_of_state(&g->words, &g->at, end_of_outer);
	g->at = m->outer;
	compress(&g->at, &g->words);
}

/* ---- HKDF */

static void take_salts(struct group *g)
{
	for (unsigned i = 0; i < LANES; i++) {
		const struct gm_hkdf_job *j = g->job[i];

		memset(g->block[i], 0, BLOCK);
		if (j->salt_len > BLOCK) /* one by one: nobody has such a salt */
			gm_sha256(g->block[i], j->salt, j->salt_len);
		else if (j->salt_len > 0)
			memcpy(g->block[i], j->salt, j->salt_len);
		g->from[i] = g->block[i];
	}
	words_load(&g->words, g->from);
	mac_start(&g->salt, &g->words);
}

/* RFC 5869 §2.2 */
static void extract(struct group *g)
{
	take_salts(g);
	for (unsigned i = 0; i < LANES; i++)
		g->message[i] = (struct message){g->job[i]->ikm, g->job[i]->ikm_len, false};
	mac_messages(g, &g->salt);
	words_of_state(&g->words, &g->at, no_words);
	mac_start(&g->prk, &g->words);
}

/* Output k of every lane, if anybody wants it.                                             RFC 5869 §2.3 */
static void expand(struct group *g, unsigned k)
{
	bool wanted = false;

	for (unsigned i = 0; i < LANES; i++) {
		const struct gm_hkdf_out *out = &g->job[i]->out[k];

		wanted |= out->out_len > 0;
		g->message[i] = (struct message){out->info, out->info_len, true};
	}
	if (!wanted)
		return;
	mac_messages(g, &g->prk);
	state_put(&g->at, g->digest);
	for (unsigned i = 0; i < g->used; i++)
		if (g->job[i]->out[k].out_len > 0)
			memcpy(g->job[i]->out[k].out, g->digest[i], g->job[i]->out[k].out_len);
}

static uint64_t contexts(const struct gm_hkdf_job *jobs, unsigned n)
{
	uint64_t good = 0;
	struct group g;

	for (unsigned at = 0; at < n;) {
		for (g.used = 0; g.used < LANES && at < n; at++)
			if (gm_hkdf_fits(&jobs[at])) {
				g.job[g.used++] = &jobs[at];
				good |= UINT64_C(1) << at;
			}
		if (g.used == 0)
			break;
		for (unsigned i = g.used; i < LANES; i++)
			g.job[i] = g.job[g.used - 1];
		extract(&g);
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
			expand(&g, k);
	}
	gm_wipe(&g, sizeof(g));
	return good;
}
