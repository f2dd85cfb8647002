/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of AES-CCM that this processor can run, and the emulated one, in every lane, against vectors and
 * against OpenSSL. GM_JOBS sets how many random jobs each variant gets. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "dice.h"
#include "emulated.h"
#include "guard.h"
#include "vectors.h"

#define JOBS 4000ul
#define VECTORS_MAX 128u
#define VARIANTS_MAX 8u

/* ---- variants */

static const struct gm_ccm_variant *variants[VARIANTS_MAX];
static unsigned variants_n;

static void add_variant(const struct gm_ccm_variant *v)
{
	if (v->usable())
		variants[variants_n++] = v;
}

static void start(void)
{
	cr_assert(gm_crypto_init());
	for (unsigned i = 0; gm_ccm_variants[i]; i++)
		add_variant(gm_ccm_variants[i]);
#ifdef __x86_64__
	add_variant(&gm_ccm_vaes_emulated);
#endif
}

TestSuite(ccm_variants, .init = start, .timeout = 250);

#define EACH_VARIANT(v) \
	for (const struct gm_ccm_variant *v, *const *at_ = variants; at_ < variants + variants_n && (v = *at_); at_++)

Test(ccm_variants, are_all_there_that_the_processor_can_run)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	cr_expect_eq(gm_ccm_aesni.usable(), __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx"));
	cr_expect_eq(gm_ccm_aesni_few.usable(), gm_ccm_aesni.usable());
	cr_expect_eq(gm_ccm_vaes_emulated.usable(), __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx512bw") &&
	                                                __builtin_cpu_supports("avx512vl") &&
	                                                __builtin_cpu_supports("avx512dq"));
#endif
	cr_expect(gm_ccm_portable.usable());
}

Test(ccm_variants, can_be_taken_away_by_name)
{
#ifdef __x86_64__
	cr_assert_eq(setenv("GM_CPU_WITHOUT", "sha, aes", 1), 0);
	cr_expect_not(gm_ccm_aesni.usable());
	cr_expect_not(gm_ccm_aesni_few.usable());
	cr_expect_not(gm_ccm_vaes.usable());
	cr_expect(gm_ccm_portable.usable());
#endif
}

/* ---- vectors */

struct vector {
	uint8_t key[GM_CCM_KEY], nonce[GM_CCM_NONCE], aad[128], text[600], sealed[620];
	size_t aad_len, text_len;
	uint8_t tag_len;
	bool valid;
};

static struct vector vectors[VECTORS_MAX];
static unsigned vectors_n;

static void load(const char *name)
{
	json_t *file = gm_vectors_load(name), *group, *test;
	size_t g, t;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		json_int_t tag = json_integer_value(json_object_get(group, "tagSize")) / 8;

		if (json_integer_value(json_object_get(group, "ivSize")) != 8 * GM_CCM_NONCE ||
		    json_integer_value(json_object_get(group, "keySize")) != 8 * GM_CCM_KEY || (tag != 8 && tag != 16))
			continue;
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			cr_assert_lt(vectors_n, VECTORS_MAX);
			struct vector *v = &vectors[vectors_n++];
			const json_t *result = json_object_get(test, "result");

			v->valid = json_is_boolean(result) ? json_is_true(result)
			                                   : strcmp(json_string_value(result), "valid") == 0;
			v->tag_len = (uint8_t)tag;
			gm_vectors_get(v->key, sizeof(v->key), test, "key");
			gm_vectors_get(v->nonce, sizeof(v->nonce), test, "iv");
			v->aad_len = gm_vectors_get(v->aad, sizeof(v->aad), test, "aad");
			v->text_len = gm_vectors_get(v->text, sizeof(v->text), test, "msg");
			gm_vectors_get(v->sealed, sizeof(v->sealed), test, "ct");
			gm_vectors_get(v->sealed + v->text_len, v->tag_len, test, "tag");
		}
	}
	json_decref(file);
}

/* Whether job i of a batch gets a wrong tag. */
static bool nobody(unsigned i)
{
	return i > GM_BATCH_MAX;
}
static bool everybody(unsigned i)
{
	return i < GM_BATCH_MAX;
}
static bool every_other(unsigned i)
{
	return i % 2;
}
static bool all_but_one(unsigned i)
{
	return i != 5;
}

static bool (*const spoilt[])(unsigned i) = {nobody, everybody, every_other, all_but_one};

static bool zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* Vector first in lane 0, the next one in lane 1, and so on. */
static void open_vectors(const struct gm_ccm_variant *variant, unsigned n, unsigned first, bool (*bad)(unsigned i))
{
	static uint8_t text[GM_BATCH_MAX][620];
	struct gm_ccm_job jobs[GM_BATCH_MAX] = {0};
	uint64_t expected = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct vector *v = &vectors[(first + i) % vectors_n];

		memcpy(text[i], v->sealed, sizeof(v->sealed));
		text[i][v->text_len + (first + i) % v->tag_len] ^= bad(i) ? 1 << i % 8 : 0;
		jobs[i] = (struct gm_ccm_job){v->key, v->nonce, v->aad, v->aad_len, text[i], v->text_len, v->tag_len};
		expected |= (uint64_t)(v->valid && !bad(i)) << i;
	}
	uint64_t good = variant->open(jobs, n);

	for (unsigned i = 0; i < n; i++) {
		const struct vector *v = &vectors[(first + i) % vectors_n];
		bool yes = good >> i & 1;

		cr_assert(yes ? memcmp(text[i], v->text, v->text_len) == 0 : zero(text[i], v->text_len),
		          "%s: text of lane %u of %u, vector %u", variant->name, i, n, (first + i) % vectors_n);
	}
	cr_assert_eq(good, expected, "%s: %u from %u", variant->name, n, first);
}

static void seal_vectors(const struct gm_ccm_variant *variant, unsigned n, unsigned first)
{
	static uint8_t text[GM_BATCH_MAX][620];
	struct gm_ccm_job jobs[GM_BATCH_MAX] = {0};

	for (unsigned i = 0; i < n; i++) {
		const struct vector *v = &vectors[(first + i) % vectors_n];

		memcpy(text[i], v->text, v->text_len);
		jobs[i] = (struct gm_ccm_job){v->key, v->nonce, v->aad, v->aad_len, text[i], v->text_len, v->tag_len};
	}
	cr_assert_eq(variant->seal(jobs, n), n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1, "%s: %u", variant->name, n);
	for (unsigned i = 0; i < n; i++) {
		const struct vector *v = &vectors[(first + i) % vectors_n];
		size_t len = v->text_len + (v->valid ? v->tag_len : 0); /* an invalid one has a wrong tag */

		cr_assert_arr_eq(text[i], v->sealed, len, "%s: lane %u of %u, vector %u", variant->name, i, n,
		                 (first + i) % vectors_n);
	}
}

Test(ccm_variants, take_each_vector_in_every_lane_among_good_and_bad_ones)
{
	load("ipsec-mb/ccm_128_test.json");
	unsigned rfc3610 = vectors_n;
	load("wycheproof/aes_ccm_test.json");
	cr_assert_geq(rfc3610, 18);
	cr_assert_gt(vectors_n, rfc3610);
	for (unsigned n = 1; n <= GM_BATCH_MAX; n = n == 17 ? 63 : n + 1)
		for (unsigned first = 0; first < vectors_n; first++)
			EACH_VARIANT (v) {
				seal_vectors(v, n, first);
				for (unsigned k = 0; k < 4; k++)
					open_vectors(v, n, first, spoilt[k]);
			}
	cr_log_info("%u vectors", vectors_n);
}

/* ---- random jobs, each buffer between closed pages */

#define TEXT_MAX 4096u
#define AAD_MAX 4096u

struct buffers {
	struct gm_guard key, nonce, aad, text;
};

static struct buffers buffers[GM_BATCH_MAX];
static uint8_t kept[GM_BATCH_MAX][TEXT_MAX + 16], expected[GM_BATCH_MAX][TEXT_MAX + 16];

static void make_buffers(void)
{
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		buffers[i] = (struct buffers){gm_guard_new(GM_CCM_KEY), gm_guard_new(GM_CCM_NONCE), gm_guard_new(AAD_MAX),
		                              gm_guard_new(TEXT_MAX + 16)};
}

static size_t some_length(struct gm_dice *d, size_t max)
{
	static const size_t limits[] = {1, 18, 50, 70, 150, 300, 1200};
	size_t below = limits[gm_roll(d, 7)];

	return gm_roll(d, 200) == 0 ? gm_roll(d, (uint32_t)max + 1) : gm_roll(d, (uint32_t)below);
}

static void random_job(struct gm_dice *d, struct gm_ccm_job *j, const struct buffers *b, bool alike)
{
	if (!alike) {
		j->aad_len = some_length(d, AAD_MAX);
		j->text_len = some_length(d, TEXT_MAX);
		j->tag_len = gm_roll(d, 2) ? 8 : 16;
	}
	uint8_t *key = gm_guard_at(&b->key, GM_CCM_KEY, gm_roll(d, 2)), *aad = gm_guard_at(&b->aad, j->aad_len, gm_roll(d, 2));
	uint8_t *nonce = gm_guard_at(&b->nonce, GM_CCM_NONCE, gm_roll(d, 2));

	for (unsigned k = 0; k < GM_CCM_KEY; k++)
		key[k] = (uint8_t)gm_roll(d, 256);
	for (unsigned k = 0; k < GM_CCM_NONCE; k++)
		nonce[k] = (uint8_t)gm_roll(d, 256);
	for (size_t k = 0; k < j->aad_len; k++)
		aad[k] = (uint8_t)(gm_roll(d, 256));
	j->key = key;
	j->nonce = nonce;
	j->aad = aad;
	j->text = gm_guard_at(&b->text, j->text_len + j->tag_len, gm_roll(d, 2));
	for (size_t k = 0; k < j->text_len; k++)
		j->text[k] = (uint8_t)gm_roll(d, 256);
}

/* Half of the batches have one shape, and so have neighbours in ours. */
static unsigned random_batch(struct gm_dice *d, struct gm_ccm_job *jobs)
{
	unsigned n = gm_roll(d, 3) == 0 ? 64 - gm_roll(d, 3) : 1 + gm_roll(d, 20);
	bool alike = gm_roll(d, 2);

	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			jobs[i] = jobs[0];
		random_job(d, &jobs[i], &buffers[i], alike && i > 0);
	}
	return n;
}

static void mutate(struct gm_dice *d, const struct gm_ccm_job *j)
{
	uint8_t *at[] = {(uint8_t *)j->key + gm_roll(d, GM_CCM_KEY), (uint8_t *)j->nonce + gm_roll(d, GM_CCM_NONCE),
	                 j->aad_len ? (uint8_t *)j->aad + gm_roll(d, (uint32_t)j->aad_len) : j->text + j->text_len,
	                 j->text + gm_roll(d, (uint32_t)j->text_len + j->tag_len)};

	if (gm_roll(d, 3) == 0)
		*at[gm_roll(d, 4)] ^= (uint8_t)(1u << gm_roll(d, 8));
}

static void keep(uint8_t to[][TEXT_MAX + 16], const struct gm_ccm_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(to[i], jobs[i].text, jobs[i].text_len + jobs[i].tag_len);
}

static void restore(const struct gm_ccm_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(jobs[i].text, kept[i], jobs[i].text_len + jobs[i].tag_len);
}

typedef uint64_t batch_fn(const struct gm_ccm_job *jobs, unsigned n);

/* what: run by every variant from the same bytes, and answered as by OpenSSL. */
static void agree(const struct gm_ccm_job *jobs, unsigned n, bool opening)
{
	keep(kept, jobs, n);
	uint64_t good = opening ? gm_ccm_portable.open(jobs, n) : gm_ccm_portable.seal(jobs, n);

	keep(expected, jobs, n);
	EACH_VARIANT (v) {
		batch_fn *run = opening ? v->open : v->seal;

		restore(jobs, n);
		cr_assert_eq(run(jobs, n), good, "%s %s: %u jobs", v->name, opening ? "open" : "seal", n);
		for (unsigned i = 0; i < n; i++)
			cr_assert_arr_eq(jobs[i].text, expected[i], jobs[i].text_len + jobs[i].tag_len,
			                 "%s %s: job %u of %u, text %zu, aad %zu", v->name, opening ? "open" : "seal", i,
			                 n, jobs[i].text_len, jobs[i].aad_len);
	}
}

Test(ccm_variants, seal_and_open_random_and_damaged_batches_as_openssl_does)
{
	struct gm_ccm_job jobs[GM_BATCH_MAX] = {0};
	struct gm_dice d = {.seed = {0}};
	unsigned long done = 0, wanted = gm_jobs_wanted(JOBS);

	make_buffers();
	while (done < wanted) {
		unsigned n = random_batch(&d, jobs);

		agree(jobs, n, false);
		for (unsigned i = 0; i < n; i++)
			mutate(&d, &jobs[i]);
		agree(jobs, n, true);
		done += n;
	}
	cr_log_info("%lu jobs, %u variants", done, variants_n);
}

/* ---- each length on its own */

static void one_length(struct gm_dice *d, size_t aad_len, size_t text_len, uint8_t tag_len, unsigned n)
{
	struct gm_ccm_job jobs[GM_BATCH_MAX] = {0};

	for (unsigned i = 0; i < n; i++) {
		jobs[i].aad_len = aad_len;
		jobs[i].text_len = text_len;
		jobs[i].tag_len = tag_len;
		random_job(d, &jobs[i], &buffers[i], true);
	}
	agree(jobs, n, false);
	agree(jobs, n, true);
}

Test(ccm_variants, take_every_length_of_aad_up_to_300_and_every_length_of_text_up_to_300)
{
	struct gm_dice d = {.seed = {1}};

	make_buffers();
	for (size_t len = 0; len <= 300; len++) {
		one_length(&d, len, 21, len % 2 ? 8 : 16, 3);
		one_length(&d, 27, len, len % 2 ? 16 : 8, 3);
		one_length(&d, len, len, 8, 17);
	}
}

/* ---- one text for many */

static struct gm_guard shared_guard;
static struct gm_ccm_same many;

/* Row i of many, and as a job for the text that is there already */
static struct gm_ccm_job random_row(struct gm_dice *d, unsigned i, uint8_t *text)
{
	const unsigned most = 16 * many.aad_blocks - 2, aad_len = most - gm_roll(d, most < 16 ? most : 16);
	uint8_t *key = gm_guard_at(&buffers[i].key, GM_CCM_KEY, gm_roll(d, 2)), *aad = many.aad[i][0];

	gm_roll_bytes(d, key, GM_CCM_KEY);
	memset(many.nonce[i], 0, sizeof(many.nonce[i]));
	gm_roll_bytes(d, many.nonce[i], GM_CCM_NONCE);
	memset(aad, 0, sizeof(many.aad[i]));
	aad[1] = (uint8_t)aad_len;
	gm_roll_bytes(d, aad + 2, aad_len);
	many.key[i] = key;
	many.to[i] = gm_guard_at(&buffers[i].text, many.text_len + GM_CCM_TAG, gm_roll(d, 2));
	memcpy(text, many.text, many.text_len);
	return (struct gm_ccm_job){key, many.nonce[i], aad + 2, aad_len, text, many.text_len, GM_CCM_TAG};
}

static void same_as_single_ones(struct gm_dice *d, size_t len, unsigned n)
{
	struct gm_ccm_job jobs[GM_BATCH_MAX];
	uint8_t *text = gm_guard_at(&shared_guard, len, gm_roll(d, 2));

	gm_roll_bytes(d, text, len);
	many.text = text;
	many.text_len = len;
	many.aad_blocks = 1 + gm_roll(d, GM_CCM_AAD_BLOCKS);
	for (unsigned i = 0; i < n; i++)
		jobs[i] = random_row(d, i, expected[i]);
	const uint64_t good = gm_ccm_portable.seal(jobs, n);

	cr_assert_eq(good, n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1);
	EACH_VARIANT (v) {
		for (unsigned i = 0; i < n; i++)
			memset(many.to[i], 0xa5, len + GM_CCM_TAG);
		cr_assert_eq(v->seal_same(&many, n), good, "%s: %u messages", v->name, n);
		for (unsigned i = 0; i < n; i++)
			cr_assert_arr_eq(many.to[i], expected[i], len + GM_CCM_TAG, "%s: message %u of %u, text %zu, %u blocks of aad",
			                 v->name, i, n, len, many.aad_blocks);
	}
}

Test(ccm_variants, seal_one_text_for_many_as_they_seal_single_ones)
{
	static const unsigned n[] = {1, 3, 4, 5, 8, 15, 16, 17, 33, 63, 64};
	struct gm_dice d = {.seed = {2}};

	make_buffers();
	shared_guard = gm_guard_new(TEXT_MAX);
	for (size_t len = 0; len <= 300; len++)
		same_as_single_ones(&d, len, n[len % 11]);
	for (unsigned i = 0; i < 40; i++)
		same_as_single_ones(&d, gm_roll(&d, TEXT_MAX + 1), 1 + gm_roll(&d, 20));
	EACH_VARIANT (v)
		cr_expect_eq(v->seal_same(&many, 0), 0);
}

/* The counter passes from its low byte into its high one on the way. */
Test(ccm_variants, seal_the_longest_text_for_many)
{
	static uint8_t text[65535], to[2][3][65535 + GM_CCM_TAG], keys[3][GM_CCM_KEY] = {{1}, {2}, {3}};

	memset(text, 5, sizeof(text));
	many = (struct gm_ccm_same){.text = text, .text_len = sizeof(text), .aad_blocks = 2};
	for (unsigned i = 0; i < 3; i++) {
		many.aad[i][0][1] = 20;
		many.key[i] = keys[i];
		many.to[i] = to[0][i];
	}
	cr_assert_eq(gm_ccm_portable.seal_same(&many, 3), 7);
	EACH_VARIANT (v) {
		memset(to[1], 0, sizeof(to[1]));
		for (unsigned i = 0; i < 3; i++)
			many.to[i] = to[1][i];
		cr_assert_eq(v->seal_same(&many, 3), 7, "%s", v->name);
		cr_assert_arr_eq(to[1], to[0], sizeof(to[0]), "%s", v->name);
	}
}

/* Sizes at their limits; the counter passes from its low byte into its high one on the way. */
Test(ccm_variants, take_the_longest_text_and_the_longest_aad_next_to_short_ones)
{
	static uint8_t big[2][65535 + 16], aad[65279], small[GM_BATCH_MAX][16 + 16], other[GM_BATCH_MAX][16 + 16];
	const uint8_t key[GM_CCM_KEY] = {1}, nonce[GM_CCM_NONCE] = {2};
	struct gm_ccm_job jobs[9], same[9];

	memset(aad, 7, sizeof(aad));
	for (unsigned i = 0; i < 9; i++) {
		jobs[i] = (struct gm_ccm_job){key, nonce, aad, i == 4 || i == 5 ? sizeof(aad) : i, small[i], 16, 8};
		same[i] = jobs[i];
		same[i].text = other[i];
	}
	jobs[4].text = big[0];
	same[4].text = big[1];
	jobs[4].text_len = same[4].text_len = 65535;
	EACH_VARIANT (v) {
		memset(big, 3, sizeof(big));
		memset(small, 4, sizeof(small));
		memset(other, 4, sizeof(other));
		cr_assert_eq(v->seal(jobs, 9), 0x1ff, "%s", v->name);
		cr_assert_eq(gm_ccm_portable.seal(same, 9), 0x1ff);
		cr_assert_arr_eq(big[0], big[1], sizeof(big[0]), "%s", v->name);
		cr_assert_arr_eq(small, other, sizeof(small), "%s", v->name);
		big[0][65535] ^= 1;
		cr_assert_eq(v->open(jobs, 9), 0x1ef, "%s", v->name);
		cr_assert(zero(big[0], 65535), "%s", v->name);
	}
}

Test(ccm_variants, refuse_bad_sizes_alone_and_leave_or_zero_their_text)
{
	static uint8_t big[66000], small[3][24];
	const uint8_t key[GM_CCM_KEY] = {1}, nonce[GM_CCM_NONCE] = {2};

	EACH_VARIANT (v) {
		const struct gm_ccm_job jobs[] = {
			{key, nonce, NULL, 0, small[0], 8, 8},         {key, nonce, NULL, 0, big, 65536, 8},
			{key, nonce, key, 16, small[1], 8, 16},        {key, nonce, NULL, (size_t)1 << 32, big, 10, 8},
			{key, nonce, NULL, 0, big, 10, 12},            {key, nonce, key, 3, small[2], 0, 8},
		};

		memset(big, 0xa5, sizeof(big));
		cr_expect_eq(v->seal(jobs, 6), 0x25, "%s", v->name);
		cr_expect_eq(big[0], 0xa5, "%s", v->name);
		cr_expect_eq(v->open(jobs, 6), 0x25, "%s", v->name);
		cr_expect(zero(big, 65536), "%s", v->name);
		cr_expect_eq(big[65536], 0xa5, "%s", v->name);
		cr_expect_eq(v->seal(jobs, 0), 0);
		cr_expect_eq(v->open(jobs, 0), 0);
	}
}
