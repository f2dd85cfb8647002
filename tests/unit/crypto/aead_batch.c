/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>

#define TEXT 48u

static const int algs[] = {10, 1, 30, 24, 11, 10, 33, 2, 12, 30, 3, 13, 31, 32, 10};

#define ALGS (sizeof(algs) / sizeof(algs[0]))

static struct {
	uint8_t key[GM_AEAD_KEY_MAX], nonce[GM_AEAD_NONCE_MAX], aad[20], text[TEXT + GM_AEAD_TAG_MAX];
} of[GM_BATCH_MAX];
static struct gm_aead_job jobs[GM_BATCH_MAX];

static void make(unsigned i, int alg)
{
	gm_random(&of[i], sizeof(of[i]));
	jobs[i] = (struct gm_aead_job){of[i].key, of[i].nonce, of[i].aad, i % sizeof(of[i].aad), of[i].text, i % TEXT, alg};
}

static void start(void)
{
	cr_assert(gm_crypto_init());
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		make(i, algs[i % ALGS]);
}

TestSuite(aead_batch, .init = start);

Test(aead_batch, of_mixed_algorithms_seals_what_each_alone_seals)
{
	uint8_t alone[GM_BATCH_MAX][TEXT + GM_AEAD_TAG_MAX], plain[GM_BATCH_MAX][TEXT];

	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		const struct gm_aead_job *j = &jobs[i];
		memcpy(plain[i], j->text, TEXT);
		memcpy(alone[i], j->text, sizeof(alone[i]));
		cr_assert(gm_aead_seal(j->alg, j->key, j->nonce, j->aad, j->aad_len, alone[i], j->text_len));
	}
	cr_assert_eq(gm_aead_seal_many(jobs, GM_BATCH_MAX), UINT64_MAX);
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		cr_expect_arr_eq(of[i].text, alone[i], sizeof(alone[i]), "%u: algorithm %d", i, jobs[i].alg);
	cr_assert_eq(gm_aead_open_many(jobs, GM_BATCH_MAX), UINT64_MAX);
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		cr_expect_arr_eq(of[i].text, plain[i], jobs[i].text_len, "%u: algorithm %d", i, jobs[i].alg);
}

Test(aead_batch, tells_the_one_forged_message_from_its_neighbours)
{
	for (unsigned bad = 0; bad < GM_BATCH_MAX; bad += 3) {
		const uint8_t zeros[TEXT] = {0};
		cr_assert_eq(gm_aead_seal_many(jobs, GM_BATCH_MAX), UINT64_MAX);
		of[bad].text[jobs[bad].text_len] ^= 1;
		cr_expect_eq(gm_aead_open_many(jobs, GM_BATCH_MAX), ~(UINT64_C(1) << bad), "%u", bad);
		cr_expect_arr_eq(of[bad].text, zeros, jobs[bad].text_len);
	}
}

Test(aead_batch, leaves_out_unknown_algorithms_and_texts_that_are_too_long)
{
	static uint8_t big[65536 + GM_AEAD_TAG_MAX];

	jobs[0].alg = 0;
	jobs[2].alg = -65534; /* counter mode authenticates nothing */
	jobs[5].text = big;
	jobs[5].text_len = 65536; /* beside a 13-byte nonce */
	cr_expect_eq(gm_aead_seal_many(jobs, 8), 0xffu & ~(1u << 0 | 1u << 2 | 1u << 5));
	cr_expect_eq(gm_aead_open_many(jobs, 8), 0xffu & ~(1u << 0 | 1u << 2 | 1u << 5));
	cr_expect_eq(gm_aead_seal_many(jobs, 0), 0);
}

Test(aead_batch, of_one_algorithm_is_whole_or_part)
{
	for (unsigned n = 1; n <= GM_BATCH_MAX; n += 9) {
		for (unsigned i = 0; i < GM_BATCH_MAX; i++)
			make(i, 10);
		cr_expect_eq(gm_aead_seal_many(jobs, n), UINT64_MAX >> (64 - n));
		cr_expect_eq(gm_aead_open_many(jobs, n), UINT64_MAX >> (64 - n));
	}
}
