/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "gm/pages.h"
#include "gm/pool.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

Test(slab, gives_zeroed_records_that_do_not_move_and_says_when_it_is_full)
{
	struct gm_slab s;
	uint8_t *at[3000];

	gm_slab_init(&s, 21, 3000);
	for (uint32_t i = 0; i < 3000; i++) {
		cr_assert_eq(gm_slab_get(&s), i + 1);
		at[i] = gm_slab_at(&s, i + 1);
		cr_assert(all_zero(at[i], 21));
		memset(at[i], (int)i, 21);
	}
	cr_expect_eq(gm_slab_get(&s), 0);
	for (uint32_t i = 0; i < 3000; i++)
		cr_assert(gm_slab_at(&s, i + 1) == at[i] && at[i][0] == (uint8_t)i && at[i][20] == (uint8_t)i);
	gm_slab_put(&s, 7);
	gm_slab_put(&s, 2999);
	cr_expect_eq(s.used, 2998);
	/* NOLINTNEXTLINE(misc-redundant-expression): each takes one more */
	cr_expect(gm_slab_get(&s) == 2999 && gm_slab_get(&s) == 7 && gm_slab_get(&s) == 0);
	cr_expect(all_zero(at[6], 21) && all_zero(at[2998], 21));
	gm_slab_free(&s);
}

Test(slab, has_no_page_that_no_record_has_used)
{
	unsigned char there[GM_SLAB_CHUNK / 4096];
	struct gm_slab s;
	unsigned pages = 0;

	gm_slab_init(&s, 64, 1u << 20);
	for (unsigned i = 0; i < 100; i++)
		memset(gm_slab_at(&s, gm_slab_get(&s)), 1, 64);
	cr_assert_eq(mincore(s.chunk[0], GM_SLAB_CHUNK, there), 0);
	for (size_t i = 0; i < sizeof there; i++)
		pages += there[i] & 1;
	cr_expect_eq(pages, 2);
	cr_expect_eq(gm_slab_bytes(&s), 100 * 64 + s.chunks * sizeof(void *));
	gm_slab_free(&s);
}

static unsigned pages_of(const struct gm_slab *s)
{
	unsigned char there[GM_SLAB_CHUNK / 4096];
	unsigned pages = 0;

	for (uint32_t c = 0; c < s->held; c++) {
		cr_assert_eq(mincore(s->chunk[c], GM_SLAB_CHUNK, there), 0);
		for (size_t i = 0; i < sizeof there; i++)
			pages += there[i] & 1;
	}
	return pages;
}

Test(slab, gives_its_pages_back_when_no_record_is_in_use_and_begins_anew)
{
	struct gm_pages_stats before = gm_pages_stats();
	struct gm_slab s;
	uint32_t n = 3 * (GM_SLAB_CHUNK / 64);

	gm_slab_init(&s, 64, n);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t h = 1; h <= n; h++) {
			cr_assert_eq(gm_slab_get(&s), h);
			cr_assert(all_zero(gm_slab_at(&s, h), 64));
			memset(gm_slab_at(&s, h), 1, 64);
		}
		cr_expect_eq(gm_slab_get(&s), 0);
		for (uint32_t h = 1; h < n; h++)
			gm_slab_put(&s, h);
		gm_slab_trim(&s);
		cr_expect_eq(pages_of(&s), 3 * GM_SLAB_CHUNK / 4096, "one record is in use: nothing goes");
		cr_expect(((uint8_t *)gm_slab_at(&s, n))[63] == 1);
		gm_slab_put(&s, n);
		gm_slab_trim(&s);
		cr_expect_eq(pages_of(&s), 0);
		cr_expect_eq(gm_slab_bytes(&s), s.chunks * sizeof(void *));
	}
	struct gm_pages_stats after = gm_pages_stats();
	cr_expect_eq(after.locked + after.unlocked - before.locked - before.unlocked, 3 * GM_SLAB_CHUNK, "counted once");
	cr_assert_eq(gm_slab_get(&s), 1);
	memset(gm_slab_at(&s, 1), 1, 64);
	gm_slab_put(&s, 1);
	gm_slab_trim(&s);
	cr_expect_eq(pages_of(&s), 1, "a chunk is kept");
	gm_slab_free(&s);
}

Test(slab, holds_records_longer_than_a_chunk_one_by_one)
{
	struct gm_slab s;

	gm_slab_init(&s, GM_SLAB_CHUNK + 8, 5);
	for (uint32_t h = 1; h <= 5; h++) {
		cr_assert_eq(gm_slab_get(&s), h);
		memset(gm_slab_at(&s, h), (int)h, GM_SLAB_CHUNK + 8);
	}
	for (uint32_t h = 1; h <= 5; h++)
		cr_expect_eq(((uint8_t *)gm_slab_at(&s, h))[GM_SLAB_CHUNK + 7], h);
	gm_slab_free(&s);
}

static const size_t lengths[] = {1, 7, 8, 9, 63, 64, 65, 248, 255, 256, 257, 320, 321, 1023, 1024, 1025, 4096, 5000,
                                 65535, 65536, 65537, 200000, GM_POOL_MAX - 1, GM_POOL_MAX};
#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

Test(pool, keeps_strings_of_every_length_apart)
{
	struct gm_pool p;
	uint32_t h[LENGTHS][3];

	gm_pool_init(&p);
	for (unsigned k = 0; k < 3; k++) {
		for (size_t i = 0; i < LENGTHS; i++) {
			cr_assert_neq(h[i][k] = gm_pool_get(&p, lengths[i]), 0);
			cr_assert(all_zero(gm_pool_at(&p, h[i][k]), lengths[i]), "%zu", lengths[i]);
			memset(gm_pool_at(&p, h[i][k]), (int)(i * 3 + k + 1), lengths[i]);
		}
	}
	for (unsigned k = 0; k < 3; k++) {
		for (size_t i = 0; i < LENGTHS; i++) {
			const uint8_t *b = gm_pool_at(&p, h[i][k]);
			cr_expect(b[0] == i * 3 + k + 1 && b[lengths[i] - 1] == i * 3 + k + 1 &&
			          (lengths[i] == 1 || memcmp(b, b + 1, lengths[i] - 1) == 0), "%zu", lengths[i]);
		}
	}
	for (size_t i = 0; i < LENGTHS; i++) { /* wiped, and used again */
		gm_pool_put(&p, h[i][1]);
		cr_expect_eq(gm_pool_get(&p, lengths[i]), h[i][1], "%zu", lengths[i]);
		cr_expect(all_zero(gm_pool_at(&p, h[i][1]), lengths[i]), "%zu", lengths[i]);
	}
	gm_pool_free(&p);
}

Test(pool, has_no_handle_for_nothing_and_for_too_much)
{
	struct gm_pool p;

	gm_pool_init(&p);
	cr_expect_eq(gm_pool_get(&p, 0), 0);
	cr_expect_eq(gm_pool_get(&p, GM_POOL_MAX + 1), 0);
	cr_expect_eq(gm_pool_get(&p, SIZE_MAX), 0);
	cr_expect_null(gm_pool_at(&p, 0));
	gm_pool_put(&p, 0);
	cr_expect_eq(gm_pool_bytes(&p), 0);
	gm_pool_free(&p);
}

Test(pool, counts_the_bytes_of_all_its_slabs)
{
	struct gm_pool p;

	gm_pool_init(&p);
	for (size_t n = 1; n < 5000; n += 7) {
		const uint32_t h = gm_pool_get(&p, n % 600 + 1);
		size_t all = 0;
		if (n % 3 == 0)
			gm_pool_put(&p, h);
		for (unsigned c = 0; c < GM_POOL_CLASSES; c++)
			all += gm_slab_bytes(&p.of[c]);
		cr_assert_eq(gm_pool_bytes(&p), all);
	}
	gm_pool_free(&p);
	cr_expect_eq(gm_pool_bytes(&p), 0);
}

Test(pool, pads_strings_by_less_than_eight_bytes_up_to_256)
{
	for (size_t n = 1; n <= 256; n++) {
		struct gm_pool p;
		gm_pool_init(&p);
		uint32_t h = gm_pool_get(&p, n);
		cr_expect_lt(p.of[h >> GM_POOL_INDEX].item - n, 8, "%zu", n);
		gm_pool_free(&p);
	}
}

Test(pages, say_which_of_them_are_locked)
{
	struct gm_pages_stats before = gm_pages_stats();
	void *p = gm_pages_new(1 << 16);
	struct gm_pages_stats after = gm_pages_stats();

	cr_assert_not_null(p);
	cr_expect_eq(after.locked + after.unlocked, before.locked + before.unlocked + (1 << 16));
	gm_pages_free(p, 1 << 16);
}
