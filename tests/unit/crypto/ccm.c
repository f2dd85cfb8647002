/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

#define GUARD 0xa5

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(ccm, .init = start);

/* One message with room behind its tag, to see whether anybody writes there. */
struct row {
	uint8_t key[GM_CCM_KEY], nonce[GM_CCM_NONCE], aad[64], text[128], sealed[128];
	size_t aad_len, text_len;
};

static struct gm_ccm_job job_of(struct row *r, uint8_t *text, uint8_t tag_len)
{
	return (struct gm_ccm_job){r->key, r->nonce, r->aad, r->aad_len, text, r->text_len, tag_len};
}

static void make(struct row *r, size_t aad_len, size_t text_len)
{
	gm_random(r, sizeof(*r));
	r->aad_len = aad_len;
	r->text_len = text_len;
	memcpy(r->sealed, r->text, text_len);
	memset(r->sealed + text_len, GUARD, sizeof(r->sealed) - text_len);
}

static bool all(const uint8_t *p, size_t len, uint8_t value)
{
	while (len > 0 && p[len - 1] == value)
		len--;
	return len == 0;
}

static unsigned load(struct row *rows)
{
	json_t *file = gm_vectors_load("ipsec-mb/ccm_128_test.json"), *group, *test;
	size_t g, t;
	unsigned n = 0;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		if (json_integer_value(json_object_get(group, "ivSize")) != 8 * GM_CCM_NONCE ||
		    json_integer_value(json_object_get(group, "tagSize")) != 8 * GM_CCM_TAG)
			continue;
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			struct row *r = &rows[n++];

			gm_vectors_get(r->key, sizeof(r->key), test, "key");
			gm_vectors_get(r->nonce, sizeof(r->nonce), test, "iv");
			r->aad_len = gm_vectors_get(r->aad, sizeof(r->aad), test, "aad");
			r->text_len = gm_vectors_get(r->text, sizeof(r->text), test, "msg");
			memset(r->sealed, GUARD, sizeof(r->sealed));
			gm_vectors_get(r->sealed, sizeof(r->sealed), test, "ct");
			gm_vectors_get(r->sealed + r->text_len, GM_CCM_TAG, test, "tag");
		}
	}
	json_decref(file);
	return n;
}

Test(ccm, seals_and_opens_the_vectors_of_rfc_3610_in_one_batch)
{
	static struct row rows[GM_BATCH_MAX];
	static uint8_t text[GM_BATCH_MAX][128];
	struct gm_ccm_job jobs[GM_BATCH_MAX];
	unsigned n = load(rows);

	cr_assert_eq(n, 18);
	for (unsigned i = 0; i < n; i++) {
		memset(text[i], GUARD, sizeof(text[i]));
		memcpy(text[i], rows[i].text, rows[i].text_len);
		jobs[i] = job_of(&rows[i], text[i], GM_CCM_TAG);
	}
	cr_assert_eq(gm_ccm_seal(jobs, n), (UINT64_C(1) << n) - 1);
	for (unsigned i = 0; i < n; i++)
		cr_expect_arr_eq(text[i], rows[i].sealed, sizeof(text[i]), "sealed %u", i);
	cr_assert_eq(gm_ccm_open(jobs, n), (UINT64_C(1) << n) - 1);
	for (unsigned i = 0; i < n; i++)
		cr_expect_arr_eq(text[i], rows[i].text, rows[i].text_len, "opened %u", i);
}

Test(ccm, one_forged_tag_leaves_its_neighbours_good_and_zeroes_its_own_text)
{
	static struct row rows[GM_BATCH_MAX];
	struct gm_ccm_job jobs[GM_BATCH_MAX];

	for (unsigned bad = 0; bad < GM_BATCH_MAX; bad += 9) {
		for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
			make(&rows[i], i, 1 + i);
			jobs[i] = job_of(&rows[i], rows[i].sealed, i % 2 ? 8 : 16);
		}
		cr_assert_eq(gm_ccm_seal(jobs, GM_BATCH_MAX), UINT64_MAX);
		rows[bad].sealed[rows[bad].text_len + bad % 8] ^= 1;
		cr_assert_eq(gm_ccm_open(jobs, GM_BATCH_MAX), ~(UINT64_C(1) << bad));
		for (unsigned i = 0; i < GM_BATCH_MAX; i++)
			if (i == bad)
				cr_expect(all(rows[i].sealed, rows[i].text_len, 0));
			else
				cr_expect_arr_eq(rows[i].sealed, rows[i].text, rows[i].text_len, "job %u", i);
	}
}

Test(ccm, notices_a_change_in_every_part_of_a_message)
{
	struct row r;
	uint8_t box[sizeof(r.sealed)];

	make(&r, 5, 9);
	struct gm_ccm_job job = job_of(&r, r.sealed, 8);
	cr_assert_eq(gm_ccm_seal(&job, 1), 1);
	job.text = box;

	uint8_t *const parts[] = {r.key, r.nonce, r.aad, r.sealed, r.sealed + r.text_len};
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		parts[i][3] ^= 0x40;
		memcpy(box, r.sealed, sizeof(box));
		cr_expect_eq(gm_ccm_open(&job, 1), 0, "part %u", i);
		parts[i][3] ^= 0x40;
	}
	memcpy(box, r.sealed, sizeof(box));
	cr_expect_eq(gm_ccm_open(&job, 1), 1);
}

Test(ccm, writes_nothing_behind_the_tag)
{
	static const uint8_t tag_lens[] = {8, 16};
	struct row r;

	for (unsigned i = 0; i < 2; i++)
		for (size_t len = 0; len < 100; len++) {
			make(&r, len % 64, len);
			struct gm_ccm_job job = job_of(&r, r.sealed, tag_lens[i]);
			size_t end = len + tag_lens[i];

			cr_expect_eq(gm_ccm_seal(&job, 1), 1);
			cr_expect_not(all(r.sealed + end - 8, 8, GUARD), "seal, %zu bytes: the tag is short", len);
			cr_expect(all(r.sealed + end, sizeof(r.sealed) - end, GUARD), "seal, %zu bytes", len);
			cr_expect_eq(gm_ccm_open(&job, 1), 1);
			cr_expect_arr_eq(r.sealed, r.text, len);
			cr_expect(all(r.sealed + end, sizeof(r.sealed) - end, GUARD), "open, %zu bytes", len);
		}
}

Test(ccm, answers_for_as_many_jobs_as_it_is_given)
{
	struct row r;

	make(&r, 0, 0);
	struct gm_ccm_job job = job_of(&r, r.sealed, 8);
	cr_expect_eq(gm_ccm_seal(&job, 0), 0);
	cr_expect(all(r.sealed, sizeof(r.sealed), GUARD));
	cr_expect_eq(gm_ccm_open(&job, 0), 0);
	cr_expect_eq(gm_ccm_seal(&job, 1), 1);
	cr_expect_eq(gm_ccm_open(&job, 1), 1);
}

Test(ccm, leaves_a_job_of_bad_size_untouched_and_seals_the_others)
{
	static uint8_t big[66000], aad[66000];
	struct row r[2];

	make(&r[0], 4, 4);
	make(&r[1], 4, 4);
	memset(big, GUARD, sizeof(big));
	const struct gm_ccm_job jobs[] = {
	    job_of(&r[0], r[0].sealed, 8),
	    {r[0].key, r[0].nonce, NULL, 0, big, 65536, 8},
	    {r[0].key, r[0].nonce, aad, 65280, big, 10, 8},
	    {r[0].key, r[0].nonce, NULL, 0, big, 10, 12},
	    job_of(&r[1], r[1].sealed, 16),
	};
	cr_expect_eq(gm_ccm_seal(jobs, 5), 1u << 0 | 1u << 4);
	cr_expect(all(big, sizeof(big), GUARD));
	cr_expect_eq(gm_ccm_open(jobs, 5), 1u << 0 | 1u << 4);
	cr_expect_arr_eq(r[1].sealed, r[1].text, 4);
	cr_expect(all(big, 65536, 0), "what was not opened is zeroed");
	cr_expect(all(big + 65536, sizeof(big) - 65536, GUARD));
}

Test(ccm, does_not_take_a_length_beyond_32_bits_for_a_short_one)
{
	struct row r;

	make(&r, 4, 4);
	struct gm_ccm_job job = job_of(&r, r.sealed, 8);
	job.text_len = ((size_t)1 << 32) + 4;
	cr_expect_eq(gm_ccm_seal(&job, 1), 0);
	cr_expect_arr_eq(r.sealed, r.text, 4);
	job.text_len = 4;
	job.aad_len = ((size_t)1 << 32) + 4;
	cr_expect_eq(gm_ccm_seal(&job, 1), 0);
	cr_expect_arr_eq(r.sealed, r.text, 4);
}

Test(ccm, takes_the_longest_text_and_the_longest_aad)
{
	static uint8_t big[65535 + 16], aad[65279];
	const uint8_t key[GM_CCM_KEY] = {1}, nonce[GM_CCM_NONCE] = {2};
	const struct gm_ccm_job job = {key, nonce, aad, sizeof(aad), big, 65535, 8};

	cr_expect_eq(gm_ccm_seal(&job, 1), 1);
	cr_expect(!all(big, 65535, 0));
	cr_expect_eq(gm_ccm_open(&job, 1), 1);
	cr_expect(all(big, 65535, 0));
}

static void *seal_and_open(void *failures)
{
	struct row r;

	for (unsigned i = 0; i < 500; i++) {
		make(&r, i % 64, i % 100);
		const struct gm_ccm_job job = job_of(&r, r.sealed, i % 3 ? 8 : 16);

		*(unsigned *)failures +=
		    gm_ccm_seal(&job, 1) != 1 || gm_ccm_open(&job, 1) != 1 || memcmp(r.sealed, r.text, r.text_len) != 0;
	}
	return NULL;
}

Test(ccm, works_in_several_threads_at_once)
{
	pthread_t threads[4];
	unsigned failures[4] = {0};

	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, seal_and_open, &failures[i]), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(failures[i], 0);
	}
}

Test(ccm, one_text_for_many_is_refused_as_a_whole_where_sizes_are_bad)
{
	static uint8_t text[65536], to[1 << 17];
	const uint8_t key[GM_CCM_KEY] = {1};
	struct gm_ccm_same m = {.key = {key}, .to = {to}, .text = text, .text_len = 65535, .aad_blocks = 1};

	m.aad[0][0][1] = 3;
	memset(to, GUARD, sizeof(to));
	cr_expect_eq(gm_ccm_seal_same(&m, 0), 0);
	m.text_len = 65536;
	cr_expect_eq(gm_ccm_seal_same(&m, 1), 0);
	m.text_len = 65535;
	m.aad_blocks = 0;
	cr_expect_eq(gm_ccm_seal_same(&m, 1), 0);
	m.aad_blocks = GM_CCM_AAD_BLOCKS + 1;
	cr_expect_eq(gm_ccm_seal_same(&m, 1), 0);
	cr_expect(all(to, sizeof(to), GUARD));
	m.aad_blocks = 1;
	cr_expect_eq(gm_ccm_seal_same(&m, 1), 1);
	cr_expect_not(all(to, 65535, GUARD));
	cr_expect(all(to + 65535 + GM_CCM_TAG, sizeof(to) - 65535 - GM_CCM_TAG, GUARD));
}
