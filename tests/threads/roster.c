/* SPDX-License-Identifier: Apache-2.0 */
/* One thread writes the roster, others read it all the while; built with ThreadSanitizer. Whatever is found is of one turn:
 * credentials say which, all of one answer say the same, and it is the turn of the version that was asked for. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "work/roster.h"

#define READERS 2u
#define TURNS 200u
#define PAUSE 3u /* readings between two turns, so that some succeed */
#define SIDS 60u
#define ASKED 5u
#define GROUP 7u
#define GEN 99u
#define CRED_MAX 180u

static struct gm_roster *roster;
static struct gm_words *words;
static _Atomic uint64_t version; /* of the last turn that is done */
static _Atomic bool over;
static _Atomic uint64_t found, refused, torn;

static uint32_t hash(uint64_t turn, uint32_t sid)
{
	uint64_t v = (turn * SIDS + sid + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(v >> 32 ^ v >> 13);
}

/* A third of all have none in a turn. */
static size_t cred_of(uint64_t turn, uint32_t sid, uint8_t cred[static CRED_MAX])
{
	uint32_t h = hash(turn, sid);
	size_t n = h % 3 ? 8 + h % (CRED_MAX - 8) : 0;

	for (size_t i = 0; i < n; i++)
		cred[i] = (uint8_t)(h >> (i % 4 * 8) ^ i);
	return n;
}

/* As core does: decided first, published then. What is replaced is there until then, and written over soon after. */
static void write_turn(uint64_t turn)
{
	static struct { uint32_t h; size_t n; } held[SIDS];
	uint8_t cred[CRED_MAX];

	for (uint32_t i = 0; i < SIDS; i++) {
		size_t n = cred_of(turn, i, cred);
		gm_words_drop(words, held[i].h, held[i].n);
		held[i].h = gm_words_put(words, (struct gm_bytes){cred, n});
		held[i].n = n;
	}
	gm_roster_begin(roster, words);
	for (uint32_t i = 0; i < SIDS; i++) {
		uint8_t sid[2] = {(uint8_t)(i >> 8), (uint8_t)i}, other[3] = {(uint8_t)turn, (uint8_t)(turn >> 8), (uint8_t)i};
		if (held[i].h)
			gm_roster_put(roster, &(struct gm_roster_entry){GROUP, hash(turn, i) & 0x1e, {sid, 2}, held[i].h, held[i].n});
		else
			gm_roster_remove(roster, GROUP, (struct gm_bytes){sid, 2});
		/* of another group, so that buckets are split while somebody reads */
		gm_roster_put(roster, &(struct gm_roster_entry){.group = GROUP + 1, .roles = 2, .sid = {other, 3}});
	}
	gm_roster_group(roster, &(struct gm_roster_group){GROUP, GEN, turn});
	gm_roster_end(roster);
	gm_words_settle(words);
	atomic_store(&version, turn);
}

static bool right(uint64_t turn, uint32_t first, const struct gm_roster_found *f)
{
	uint8_t cred[CRED_MAX];
	unsigned n = 0;

	for (uint32_t i = 0; i < ASKED; i++) {
		uint32_t sid = (first + i) % SIDS;
		size_t len = cred_of(turn, sid, cred);
		if (!len)
			continue;
		if (n >= f->n || !gm_bytes_eq(f->row[n].cred, (struct gm_bytes){cred, len}) || f->row[n].roles != (hash(turn, sid) & 0x1e))
			return false;
		n++;
	}
	return n == f->n;
}

static uint64_t readings(void)
{
	return atomic_load(&found) + atomic_load(&refused) + atomic_load(&torn);
}

static void *reader(void *arg)
{
	uint32_t first = (uint32_t)(uintptr_t)arg;
	struct gm_roster_found f;

	while (!atomic_load(&over)) {
		uint8_t bytes[64], ahead[ASKED][2];
		struct gm_roster_ask ask[ASKED];
		struct gm_out o = gm_out(bytes, sizeof bytes);
		struct gm_list ids;
		struct gm_roster_group at = {GROUP, GEN, atomic_load(&version)};
		first = (first + 17) % SIDS;
		gm_cbor_put_array(&o, ASKED);
		for (uint32_t i = 0; i < ASKED; i++) {
			uint32_t sid = (first + i) % SIDS;
			ahead[i][0] = (uint8_t)(sid >> 8);
			ahead[i][1] = (uint8_t)sid;
			gm_cbor_put_bstr(&o, ahead[i], 2);
			ask[i] = (struct gm_roster_ask){GROUP, {ahead[i], 2}};
		}
		gm_roster_ahead(roster, ask, ASKED);
		if (!gm_list_decode(gm_out_result(&o), GM_CBOR_BSTR, &ids))
			abort();
		if (!gm_roster_find(roster, &at, (struct gm_bytes){NULL, 0}, ids, &f))
			atomic_fetch_add(&refused, 1);
		else
			atomic_fetch_add(right(at.version, first, &f) ? &found : &torn, 1);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread[READERS];

	roster = gm_roster_new(1u << 20);
	words = gm_words_new(1u << 20);
	if (!roster || !words)
		return 1;
	write_turn(0);
	for (unsigned i = 0; i < READERS; i++)
		if (pthread_create(&thread[i], NULL, reader, (void *)(uintptr_t)(i * 61)))
			return 1;
	for (uint64_t turn = 1; turn <= TURNS; turn++) {
		uint64_t enough = readings() + PAUSE;
		write_turn(turn);
		while (readings() < enough)
			sched_yield();
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	gm_roster_free(roster);
	gm_words_free(words);
	printf("%llu answers, %llu left to core, %llu torn\n", (unsigned long long)found, (unsigned long long)refused,
	       (unsigned long long)torn);
	return torn || !found ? 1 : 0;
}
