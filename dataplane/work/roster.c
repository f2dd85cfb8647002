/* SPDX-License-Identifier: Apache-2.0 */
/* One counter is odd while core's thread writes. A reader looks at it before and after: the same even value says that all it
 * has read belongs to one state. What it reads meanwhile may be anything that was ever written, so every word is atomic,
 * no memory is given back, and no chain is followed for ever.
 *
 * There are no fences, which ThreadSanitizer would not understand: words are written with release and read with acquire, so
 * who reads one that is newer than the counter was finds the counter moved as well. On x86 that costs nothing.
 *
 * Credentials lie where core keeps them (gm/words.h), so nobody holds them twice. A string that a turn has replaced is written
 * over after that turn's end at the earliest: who still reads it then finds the counter moved.
 *
 * Buckets are split one by one as entries come, so no turn pays for a larger table. */
#include "work/roster.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "gm/pages.h"

#define BUCKETS_MIN 64u
#define STEPS_MAX 64u /* of a chain; what changes under a reader may seem endless */
#define LOST UINT32_MAX
#define SID_MAX 3u

/* An entry is two words. What: group (20 bits), length of the Sender ID (2), Sender ID (24), roles (8), length of the credential
 * (10). Where: the next entry of the chain, the credential. */
#define KEY(group, sid_n, sid) ((uint64_t)(group) << 44 | (uint64_t)(sid_n) << 42 | (uint64_t)(sid) << 18)
#define KEY_OF(what) ((what) >> 18 << 18)
#define ROLES(what) ((uint32_t)((what) >> 10 & 0xff))
#define CRED_N(what) ((uint32_t)((what)&0x3ff))
#define CORES 0x3ffu /* in place of the length */
#define WHERE(next, cred) ((uint64_t)(next) << 32 | (cred))
#define NEXT(where) ((uint32_t)((where) >> 32))
#define CRED(where) ((uint32_t)(where))
_Static_assert(GM_WORDS_STRING_MAX < CORES, "lengths have room");

struct entry {
	_Atomic uint64_t what, where;
};

struct gm_roster {
	_Alignas(64) _Atomic uint64_t turn; /* odd: being written */
	_Atomic uint32_t buckets;
	_Atomic bool partial; /* somebody is missing */
	const struct gm_words *_Atomic words;
	struct entry *entry;
	_Atomic uint32_t *bucket;
	struct { _Atomic uint64_t gen, version; } *group; /* gen: with USED */
	/* of the writer alone */
	_Alignas(64) uint32_t made, used, max, free, groups;
};
#define USED (UINT64_C(1) << 32)

#define LOAD(x) atomic_load_explicit(&(x), memory_order_acquire)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_release)

/* ---- life */

struct gm_roster *gm_roster_new(unsigned members_max)
{
	struct gm_roster *r = aligned_alloc(64, sizeof *r);

	if (!r)
		return NULL;
	*r = (struct gm_roster){.max = BUCKETS_MIN};
	while (r->max < 4 * (uint64_t)members_max && r->max < 1u << 30)
		r->max *= 2;
	STORE(r->buckets, BUCKETS_MIN);
	r->entry = gm_pages_reserve((r->max + (size_t)1) * sizeof *r->entry);
	r->bucket = gm_pages_reserve(r->max * sizeof *r->bucket);
	r->group = gm_pages_reserve(GM_ROSTER_GROUPS * sizeof *r->group);
	if (r->entry && r->bucket && r->group)
		return r;
	gm_roster_free(r);
	return NULL;
}

void gm_roster_free(struct gm_roster *r)
{
	if (!r)
		return;
	if (r->entry)
		gm_pages_free(r->entry, (r->max + (size_t)1) * sizeof *r->entry);
	if (r->bucket)
		gm_pages_free(r->bucket, r->max * sizeof *r->bucket);
	if (r->group)
		gm_pages_free(r->group, GM_ROSTER_GROUPS * sizeof *r->group);
	free(r);
}

size_t gm_roster_bytes(const struct gm_roster *r)
{
	return sizeof *r + r->made * sizeof *r->entry + LOAD(r->buckets) * sizeof *r->bucket + r->groups * sizeof *r->group;
}

/* ---- where an entry is */

static bool key_of(uint32_t group, struct gm_bytes sid, uint64_t *key)
{
	uint32_t v = 0;

	for (size_t i = 0; i < sid.n && i < SID_MAX; i++)
		v = v << 8 | sid.p[i];
	*key = KEY(group, sid.n, v);
	return sid.n > 0 && sid.n <= SID_MAX && group < GM_ROSTER_GROUPS;
}

/* Linear hashing: those below buckets have been split, the others have not.   buckets is at least 2 */
static uint32_t bucket_of(uint64_t key, uint32_t buckets)
{
	uint64_t hash = (key >> 18) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t mask = UINT32_MAX >> __builtin_clz(buckets - 1), b = (uint32_t)(hash >> 32 ^ hash >> 15) & mask;

	return b < buckets ? b : b & mask >> 1;
}

/* 0: there is none; LOST: it was not found out */
static uint32_t entry_of(const struct gm_roster *r, uint64_t key, uint64_t *what)
{
	uint32_t at = LOAD(r->bucket[bucket_of(key, LOAD(r->buckets))]);

	for (unsigned steps = 0; at; steps++) {
		if (steps == STEPS_MAX)
			return LOST;
		*what = LOAD(r->entry[at].what);
		if (KEY_OF(*what) == key)
			return at;
		at = NEXT(LOAD(r->entry[at].where));
	}
	return 0;
}

/* ---- core's thread */

void gm_roster_begin(struct gm_roster *r, const struct gm_words *words)
{
	STORE(r->turn, LOAD(r->turn) + 1);
	STORE(r->words, words);
}

void gm_roster_end(struct gm_roster *r)
{
	STORE(r->turn, LOAD(r->turn) + 1);
}

void gm_roster_group(struct gm_roster *r, const struct gm_roster_group *g)
{
	if (g->index >= GM_ROSTER_GROUPS)
		return;
	if (g->index >= r->groups)
		r->groups = g->index + 1;
	STORE(r->group[g->index].gen, USED | g->gen);
	STORE(r->group[g->index].version, g->version);
}

void gm_roster_no_group(struct gm_roster *r, uint32_t index)
{
	if (index < GM_ROSTER_GROUPS)
		STORE(r->group[index].gen, 0);
}

static void set_next(struct gm_roster *r, uint32_t at, uint32_t next)
{
	STORE(r->entry[at].where, WHERE(next, CRED(LOAD(r->entry[at].where))));
}

/* 0: no room */
static uint32_t take_entry(struct gm_roster *r)
{
	uint32_t at = r->free;

	if (at)
		r->free = NEXT(LOAD(r->entry[at].where));
	else if (r->made < r->max)
		at = ++r->made;
	r->used += at != 0;
	return at;
}

static void chain(struct gm_roster *r, uint32_t at, uint32_t buckets)
{
	uint32_t b = bucket_of(KEY_OF(LOAD(r->entry[at].what)), buckets);

	set_next(r, at, LOAD(r->bucket[b]));
	STORE(r->bucket[b], at);
}

/* One more bucket takes its share of the one that had it. */
static void split(struct gm_roster *r)
{
	uint32_t n = LOAD(r->buckets), old = n ^ (1u << (31 - __builtin_clz(n))), next;
	uint32_t at = LOAD(r->bucket[old]);

	STORE(r->bucket[old], 0);
	for (; at; at = next) {
		next = NEXT(LOAD(r->entry[at].where));
		chain(r, at, n + 1);
	}
	STORE(r->buckets, n + 1);
}

void gm_roster_remove(struct gm_roster *r, uint32_t group, struct gm_bytes sid)
{
	uint64_t key;
	uint32_t before = 0;

	if (!key_of(group, sid, &key))
		return;
	uint32_t b = bucket_of(key, LOAD(r->buckets)), at = LOAD(r->bucket[b]);
	for (; at && KEY_OF(LOAD(r->entry[at].what)) != key; at = NEXT(LOAD(r->entry[at].where)))
		before = at;
	if (!at)
		return;
	uint32_t next = NEXT(LOAD(r->entry[at].where));
	if (before)
		set_next(r, before, next);
	else
		STORE(r->bucket[b], next);
	STORE(r->entry[at].what, 0);
	STORE(r->entry[at].where, WHERE(r->free, 0));
	r->free = at;
	r->used--;
}

void gm_roster_put(struct gm_roster *r, const struct gm_roster_entry *e)
{
	uint64_t key;

	gm_roster_remove(r, e->group, e->sid);
	uint32_t at = key_of(e->group, e->sid, &key) ? take_entry(r) : 0;
	if (!at) {
		STORE(r->partial, true);
		return;
	}
	STORE(r->entry[at].what, key | (uint64_t)(e->roles & 0xff) << 10 | (e->cred ? e->cred_n : CORES));
	STORE(r->entry[at].where, WHERE(0, e->cred));
	chain(r, at, LOAD(r->buckets));
	if (r->used > LOAD(r->buckets) && LOAD(r->buckets) < r->max)
		split(r);
}

/* ---- workers */

/* A step for all, then the next: each waits for the one before it. */
void gm_roster_ahead(const struct gm_roster *r, const struct gm_roster_ask *ask, unsigned n)
{
	uint64_t key[GM_ROSTER_AHEAD];
	uint32_t at[GM_ROSTER_AHEAD];
	const struct gm_words *words = LOAD(r->words);

	for (unsigned i = 0; i < n; i++) {
		if (!key_of(ask[i].group, ask[i].sid, &key[i]))
			key[i] = 0;
		at[i] = bucket_of(key[i], LOAD(r->buckets));
		__builtin_prefetch(&r->bucket[at[i]]);
	}
	for (unsigned i = 0; i < n; i++) {
		at[i] = LOAD(r->bucket[at[i]]);
		__builtin_prefetch(&r->entry[at[i]]);
	}
	for (unsigned i = 0; i < n && words; i++) {
		const uint64_t what = at[i] ? LOAD(r->entry[at[i]].what) : 0;
		if (what && KEY_OF(what) == key[i] && CRED_N(what) != CORES)
			gm_words_ahead(words, CRED(LOAD(r->entry[at[i]].where)), CRED_N(what));
	}
}

static bool had(const struct gm_roster_found *f, struct gm_bytes sid)
{
	for (unsigned i = 0; i < f->n; i++)
		if (gm_bytes_eq(f->row[i].sid, sid))
			return true;
	return false;
}

static bool take(const struct gm_roster *r, uint32_t group, struct gm_bytes sid, struct gm_roster_found *f)
{
	uint64_t key, what = 0;
	uint32_t at = key_of(group, sid, &key) ? entry_of(r, key, &what) : 0;

	if (at == LOST || (!at && LOAD(r->partial)))
		return false;
	if (!at || had(f, sid))
		return true;
	uint32_t n = CRED_N(what), cred = CRED(LOAD(r->entry[at].where));
	if (n == CORES || !cred || f->n == GM_ROSTER_IDS || (n + 7) / 8 > GM_ROSTER_BYTES / 8 - f->used)
		return false;
	uint64_t *to = f->text + f->used;
	if (!gm_words_read(LOAD(r->words), cred, n, to))
		return false;
	f->used += (n + 7) / 8;
	f->row[f->n++] = (struct gm_cred_row){{(const uint8_t *)to, n}, sid, ROLES(what)};
	return true;
}

static bool is_there(const struct gm_roster *r, uint32_t group, struct gm_bytes sid)
{
	uint64_t key, what;
	uint32_t at = key_of(group, sid, &key) ? entry_of(r, key, &what) : 0;

	return at && at != LOST;
}

bool gm_roster_find(const struct gm_roster *r, const struct gm_roster_group *g, struct gm_bytes own, struct gm_list ids,
                    struct gm_roster_found *f)
{
	uint64_t turn = LOAD(r->turn);
	struct gm_bytes sid;

	f->n = 0;
	f->used = 0;
	if (turn & 1 || g->index >= GM_ROSTER_GROUPS || LOAD(r->group[g->index].gen) != (USED | g->gen) ||
	    LOAD(r->group[g->index].version) != g->version || (own.p && !is_there(r, g->index, own)))
		return false;
	while (gm_list_bstr(&ids, &sid))
		if (!take(r, g->index, sid, f))
			return false;
	return atomic_load_explicit(&r->turn, memory_order_relaxed) == turn;
}
