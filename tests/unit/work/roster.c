/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "gm/crypto.h"
#include "work/roster.h"

#define GROUPS 9u
#define SIDS 3000u

static struct gm_roster_group at(uint32_t index)
{
	return (struct gm_roster_group){index, index * 7 + 1, index * 11u};
}

static struct gm_words *words;
static const struct gm_bytes anybody = {NULL, 0};

static struct gm_roster *roster(unsigned members_max)
{
	struct gm_roster *r = gm_roster_new(members_max);

	words = gm_words_new(64u << 20);
	cr_assert(r && words);
	for (uint32_t i = 0; i < GROUPS; i++) {
		struct gm_roster_group g = at(i);
		gm_roster_group(r, &g);
	}
	return r;
}

/* An array of byte strings, as a request has it. */
static struct gm_list ids(const struct gm_bytes *sid, unsigned n)
{
	static uint8_t bytes[4096];
	struct gm_out o = gm_out(bytes, sizeof bytes);
	struct gm_list list;

	gm_cbor_put_array(&o, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_bstr(&o, sid[i].p, sid[i].n);
	cr_assert(o.err == GM_E_OK && gm_list_decode(gm_out_result(&o), GM_CBOR_BSTR, &list));
	return list;
}

static bool find(const struct gm_roster *r, uint32_t group, struct gm_bytes sid, struct gm_roster_found *f)
{
	struct gm_roster_group g = at(group);

	return gm_roster_find(r, &g, anybody, ids(&sid, 1), f);
}

/* What a member of the model has: bytes that follow from group, Sender ID and a number. */
static struct gm_bytes cred_of(uint32_t group, uint32_t sid, uint32_t number)
{
	static uint8_t bytes[2048];
	uint8_t seed[32] = {(uint8_t)group, (uint8_t)sid, (uint8_t)(sid >> 8), (uint8_t)number, (uint8_t)(number >> 8)};

	gm_random_from(bytes, sizeof bytes, seed);
	return (struct gm_bytes){bytes, 1 + (number * 37u) % 960};
}

static struct gm_bytes sid_of(uint32_t sid, uint8_t bytes[static 2])
{
	bytes[0] = (uint8_t)(sid >> 8);
	bytes[1] = (uint8_t)sid;
	return (struct gm_bytes){bytes, 2};
}

static void done(struct gm_roster *r)
{
	gm_roster_free(r);
	gm_words_free(words);
}

static uint32_t put(struct gm_roster *r, uint32_t group, struct gm_bytes sid, struct gm_bytes cred, uint32_t roles)
{
	uint32_t h = gm_words_put(words, cred);

	gm_roster_begin(r, words);
	gm_roster_put(r, &(struct gm_roster_entry){group, roles, sid, h, cred.n});
	gm_roster_end(r);
	gm_words_settle(words);
	return h;
}

Test(roster, has_what_was_put_last_for_each_of_many_members_that_come_and_go)
{
	static uint32_t model[GROUPS][SIDS]; /* 0: none */
	static uint32_t held[GROUPS][SIDS];  /* where its credential lies */
	struct gm_roster *r = roster(20000);
	struct gm_roster_found f;
	uint32_t dice[2];
	uint8_t sid[2];

	for (uint32_t step = 1; step <= 60000; step++) {
		gm_random_from(dice, sizeof dice, (uint8_t[32]){(uint8_t)step, (uint8_t)(step >> 8), (uint8_t)(step >> 16)});
		uint32_t g = dice[0] % GROUPS, s = dice[1] % SIDS, *m = &model[g][s];
		gm_words_drop(words, held[g][s], cred_of(g, s, *m).n);
		held[g][s] = 0;
		if (*m && dice[0] >> 16 & 1) {
			gm_roster_begin(r, words);
			gm_roster_remove(r, g, sid_of(s, sid));
			gm_roster_end(r);
			gm_words_settle(words);
			*m = 0;
		} else {
			*m = step & 0xffff ? step & 0xffff : 1;
			held[g][s] = put(r, g, sid_of(s, sid), cred_of(g, s, *m), 2 + 2 * (s & 3));
		}
	}
	for (uint32_t g = 0; g < GROUPS; g++) {
		for (uint32_t s = 0; s < SIDS; s++) {
			cr_assert(find(r, g, sid_of(s, sid), &f));
			cr_assert(f.n == (model[g][s] != 0), "%u %u", g, s);
			if (f.n)
				cr_assert(gm_bytes_eq(f.row[0].cred, cred_of(g, s, model[g][s])) && f.row[0].roles == 2 + 2 * (s & 3));
		}
	}
	done(r);
}

Test(roster, finds_each_of_those_asked_for_once_and_says_nothing_of_others)
{
	struct gm_roster *r = roster(100);
	struct gm_roster_group g = at(3);
	struct gm_bytes a = {(const uint8_t *)"aa", 2}, b = {(const uint8_t *)"bb", 2}, longer = {(const uint8_t *)"aa\0\0\0\0\0", 7},
			shorter = {(const uint8_t *)"a", 1}, none = {(const uint8_t *)"", 0}, other = {(const uint8_t *)"\0aa", 3};
	struct gm_bytes asked[] = {other, b, none, a, shorter, b, longer, a};
	struct gm_roster_found f;

	put(r, 3, a, cred_of(3, 1, 1), 2);
	put(r, 3, b, cred_of(3, 2, 2), 4);
	put(r, 4, shorter, cred_of(4, 2, 2), 4);
	cr_assert(gm_roster_find(r, &g, anybody, ids(asked, sizeof asked / sizeof *asked), &f));
	cr_assert(f.n == 2);
	cr_expect(gm_bytes_eq(f.row[0].sid, b) && f.row[0].roles == 4 && gm_bytes_eq(f.row[0].cred, cred_of(3, 2, 2)));
	cr_expect(gm_bytes_eq(f.row[1].sid, a) && f.row[1].roles == 2 && gm_bytes_eq(f.row[1].cred, cred_of(3, 1, 1)));
	done(r);
}

Test(roster, leaves_to_core_what_is_being_written_and_what_the_reader_is_not_up_to)
{
	struct gm_roster *r = roster(100);
	struct gm_bytes a = {(const uint8_t *)"aa", 2};
	struct gm_roster_group g = at(3), newer = g, anew = g, none = g;
	struct gm_roster_found f;

	newer.version++;
	anew.gen++;
	none.index = GM_ROSTER_GROUPS;
	put(r, 3, a, cred_of(3, 1, 1), 2);
	cr_expect(gm_roster_find(r, &g, anybody, ids(&a, 1), &f));
	cr_expect_not(gm_roster_find(r, &newer, anybody, ids(&a, 1), &f));
	cr_expect_not(gm_roster_find(r, &anew, anybody, ids(&a, 1), &f));
	cr_expect_not(gm_roster_find(r, &none, anybody, ids(&a, 1), &f));
	gm_roster_begin(r, words);
	cr_expect_not(gm_roster_find(r, &g, anybody, ids(&a, 1), &f));
	gm_roster_group(r, &newer);
	gm_roster_end(r);
	cr_expect_not(gm_roster_find(r, &g, anybody, ids(&a, 1), &f));
	cr_expect(gm_roster_find(r, &newer, anybody, ids(&a, 1), &f) && f.n == 1);
	gm_roster_begin(r, words);
	gm_roster_no_group(r, 3);
	gm_roster_end(r);
	cr_expect_not(gm_roster_find(r, &newer, anybody, ids(&a, 1), &f));
	done(r);
}

Test(roster, leaves_to_core_who_is_not_in_it)
{
	struct gm_roster *r = roster(100);
	struct gm_bytes a = {(const uint8_t *)"aa", 2}, b = {(const uint8_t *)"bb", 2}, none = {(const uint8_t *)"", 0};
	struct gm_roster_group g = at(3);
	struct gm_roster_found f;

	put(r, 3, a, cred_of(3, 1, 1), 2);
	put(r, 4, b, cred_of(4, 1, 1), 2);
	cr_expect(gm_roster_find(r, &g, a, ids(&a, 1), &f) && f.n == 1);
	cr_expect(gm_roster_find(r, &g, a, ids(&b, 1), &f) && f.n == 0);
	cr_expect_not(gm_roster_find(r, &g, b, ids(&a, 1), &f));
	cr_expect_not(gm_roster_find(r, &g, none, ids(&a, 1), &f));
	gm_roster_begin(r, words);
	gm_roster_remove(r, 3, a);
	gm_roster_end(r);
	cr_expect_not(gm_roster_find(r, &g, a, ids(&b, 1), &f));
	done(r);
}

Test(roster, leaves_to_core_credentials_that_one_datagram_does_not_take)
{
	struct gm_roster *r = roster(100);
	struct gm_roster_group g = at(1);
	struct gm_bytes a = {(const uint8_t *)"aa", 2}, b = {(const uint8_t *)"bb", 2}, both[] = {a, b};
	struct gm_bytes big = cred_of(1, 1, 1);
	struct gm_roster_found f;

	big.n = 961;
	put(r, 1, a, big, 2);
	cr_expect_not(find(r, 1, a, &f));
	cr_expect(find(r, 1, b, &f) && f.n == 0);
	big.n = 960;
	put(r, 1, a, big, 2);
	cr_expect(find(r, 1, a, &f) && f.row[0].cred.n == 960);
	big.n = 80;
	put(r, 1, b, big, 2);
	cr_expect_not(gm_roster_find(r, &g, anybody, ids(both, 2), &f));
	big.n = 64;
	put(r, 1, b, big, 2);
	cr_expect(gm_roster_find(r, &g, anybody, ids(both, 2), &f) && f.n == 2);
	done(r);
}

Test(roster, that_is_full_still_knows_those_it_has_and_answers_for_nobody_else)
{
	struct gm_roster *r = roster(20); /* room for four times as many, in whole buckets */
	struct gm_roster_found f;
	uint8_t sid[2];

	for (uint32_t s = 0; s < 128; s++)
		put(r, 0, sid_of(s, sid), cred_of(0, s, 5), 2);
	cr_expect(find(r, 0, sid_of(500, sid), &f) && f.n == 0);
	put(r, 0, sid_of(128, sid), cred_of(0, 128, 5), 2);
	cr_expect_not(find(r, 0, sid_of(128, sid), &f));
	cr_expect_not(find(r, 0, sid_of(500, sid), &f));
	for (uint32_t s = 0; s < 128; s++)
		cr_assert(find(r, 0, sid_of(s, sid), &f) && f.n == 1 && gm_bytes_eq(f.row[0].cred, cred_of(0, s, 5)));
	done(r);
}

Test(roster, costs_no_more_than_24_bytes_beside_the_credential)
{
	struct gm_roster *r = roster(65536);
	size_t before = gm_roster_bytes(r);
	struct gm_bytes cred = cred_of(0, 0, 0);
	uint32_t h = gm_words_put(words, cred);
	uint8_t sid[2];

	for (uint32_t turn = 0; turn < 3; turn++) {
		for (uint32_t s = 0; s < 65536; s++) {
			gm_roster_begin(r, words);
			gm_roster_put(r, &(struct gm_roster_entry){0, 2, sid_of(s, sid), h, cred.n});
			gm_roster_end(r);
		}
	}
	cr_expect(le(sz, gm_roster_bytes(r) - before, 24 * (size_t)65536), "%zu", gm_roster_bytes(r) - before);
	done(r);
}

Test(roster, looks_ahead_for_anything_and_finds_the_same_after)
{
	struct gm_roster *empty = gm_roster_new(16), *r = roster(1000);
	struct gm_roster_ask ask[GM_ROSTER_AHEAD];
	static const uint8_t long_sid[9];
	struct gm_roster_found f;
	uint8_t sid[GM_ROSTER_AHEAD][2], one[2];

	for (uint32_t i = 0; i < GM_ROSTER_AHEAD; i++)
		ask[i] = (struct gm_roster_ask){i % 5 == 4 ? UINT32_MAX : i % (GROUPS + 2), {sid_of(i * 7, sid[i]).p, 2}};
	ask[1].sid.n = 0;
	ask[2].sid = (struct gm_bytes){long_sid, 9};
	gm_roster_ahead(empty, ask, GM_ROSTER_AHEAD); /* nobody has written yet, not even where credentials lie */
	for (uint32_t s = 0; s < 100; s++)
		put(r, 0, sid_of(s, one), cred_of(0, s, s), 2);
	gm_roster_ahead(r, ask, GM_ROSTER_AHEAD);
	for (uint32_t s = 0; s < 100; s++)
		cr_assert(find(r, 0, sid_of(s, one), &f) && f.n == 1 && gm_bytes_eq(f.row[0].cred, cred_of(0, s, s)));
	gm_roster_free(empty);
	done(r);
}

/* ---- where credentials lie */

Test(words, that_were_dropped_keep_their_bytes_until_all_is_settled)
{
	struct gm_words *w = gm_words_new(4096);
	struct gm_bytes a = {(const uint8_t *)"the first string", 16}, b = {(const uint8_t *)"another, as long", 16};
	uint64_t text[2];
	uint32_t h = gm_words_put(w, a);

	cr_assert(h && gm_bytes_eq(gm_words_at(w, h, a.n), a));
	gm_words_drop(w, h, a.n);
	uint32_t other = gm_words_put(w, b);
	cr_expect(other != h);
	cr_expect(gm_words_read(w, h, a.n, text) && memcmp(text, a.p, a.n) == 0);
	gm_words_settle(w);
	cr_expect(eq(u32, gm_words_put(w, b), h), "used again");
	cr_expect(gm_words_read(w, h, b.n, text) && memcmp(text, b.p, b.n) == 0);
	cr_expect_not(gm_words_read(w, 511, 16, text), "beyond the end");
	gm_words_free(w);
}

Test(words, that_find_no_room_are_not_taken)
{
	struct gm_words *w = gm_words_new(5000);
	static const uint8_t bytes[1024];

	cr_expect(eq(u32, gm_words_put(w, (struct gm_bytes){bytes, 961}), 0));
	cr_expect(eq(u32, gm_words_put(w, (struct gm_bytes){bytes, 0}), 0));
	for (unsigned i = 0; i < 4; i++)
		cr_expect(gm_words_put(w, (struct gm_bytes){bytes, 960}) != 0, "%u", i);
	cr_expect(eq(u32, gm_words_put(w, (struct gm_bytes){bytes, 960}), 0));
	cr_expect(gm_words_put(w, (struct gm_bytes){bytes, 100}) != 0);
	gm_words_free(w);
}
