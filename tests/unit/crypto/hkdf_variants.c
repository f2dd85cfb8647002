/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of gm_hkdf_contexts() that this processor can run, and the emulated one, in every lane, against vectors
 * and against libsodium. GM_JOBS sets how many random jobs each variant gets. */
#include <criterion/criterion.h>
#include <string.h>
#include "dice.h"
#include "emulated.h"
#include "guard.h"
#include "vectors.h"

#define JOBS 4000ul
#define VECTORS_MAX 128u
#define VARIANTS_MAX 8u

static const struct gm_hkdf_variant *variants[VARIANTS_MAX];
static unsigned variants_n;

static void add_variant(const struct gm_hkdf_variant *v)
{
	if (v->usable())
		variants[variants_n++] = v;
}

static void start(void)
{
	cr_assert(gm_crypto_init());
	for (unsigned i = 0; gm_hkdf_variants[i]; i++)
		add_variant(gm_hkdf_variants[i]);
#ifdef __x86_64__
	add_variant(&gm_hkdf_shani_emulated);
#endif
}

TestSuite(hkdf_variants, .init = start, .timeout = 250);

#define EACH_VARIANT(v) \
	for (const struct gm_hkdf_variant *v, *const *at_ = variants; at_ < variants + variants_n && (v = *at_); at_++)

static uint64_t all(unsigned n)
{
	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

Test(hkdf_variants, can_be_taken_away_by_name)
{
	cr_expect(gm_hkdf_portable.usable());
#ifdef __x86_64__
	__builtin_cpu_init();
	cr_expect_eq(gm_hkdf_avx2.usable(), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"));
	cr_expect_eq(gm_hkdf_avx512.usable(), __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	                                          __builtin_cpu_supports("avx512dq"));
	cr_assert_eq(setenv("GM_CPU_WITHOUT", "avx2,avx512,sha", 1), 0);
	cr_expect_not(gm_hkdf_avx2.usable());
	cr_expect_not(gm_hkdf_avx512.usable());
	cr_expect_not(gm_hkdf_shani.usable());
#endif
}

/* ---- vectors: the first hash of each output */

struct vector {
	uint8_t salt[256], ikm[256], info[256], okm[GM_SHA256];
	size_t salt_len, ikm_len, info_len, len;
};

static struct vector vectors[VECTORS_MAX];
static unsigned vectors_n;

static void load(void)
{
	static uint8_t okm[8200];
	json_t *file = gm_vectors_load("wycheproof/hkdf_sha256_test.json"), *group, *test;
	size_t g, t;

	json_array_foreach(json_object_get(file, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			cr_assert_lt(vectors_n, VECTORS_MAX);
			struct vector *v = &vectors[vectors_n];

			if (strcmp(json_string_value(json_object_get(test, "result")), "invalid") == 0)
				continue; /* longer than HKDF can */
			v->salt_len = gm_vectors_get(v->salt, sizeof(v->salt), test, "salt");
			v->ikm_len = gm_vectors_get(v->ikm, sizeof(v->ikm), test, "ikm");
			v->info_len = gm_vectors_get(v->info, sizeof(v->info), test, "info");
			v->len = gm_vectors_get(okm, sizeof(okm), test, "okm");
			v->len = v->len < GM_SHA256 ? v->len : GM_SHA256;
			memcpy(v->okm, okm, v->len);
			vectors_n++;
		}
	}
	json_decref(file);
}

/* Vector first in lane 0, the next one in lane 1, and so on; as each of the outputs, next to one not wanted. */
static void derive(const struct gm_hkdf_variant *variant, unsigned n, unsigned first)
{
	static uint8_t out[GM_BATCH_MAX][GM_HKDF_OUTS][GM_SHA256];
	struct gm_hkdf_job jobs[GM_BATCH_MAX] = {0};

	for (unsigned i = 0; i < n; i++) {
		const struct vector *v = &vectors[(first + i) % vectors_n];

		jobs[i] = (struct gm_hkdf_job){v->salt, v->ikm, v->salt_len, v->ikm_len, {{0}}};
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
			jobs[i].out[k] = (struct gm_hkdf_out){out[i][k], v->info, k == i % 4 ? 0 : v->len, v->info_len};
	}
	memset(out, 0xa5, sizeof(out));
	cr_assert_eq(variant->contexts(jobs, n), all(n), "%s", variant->name);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++) {
			const struct vector *v = &vectors[(first + i) % vectors_n];

			if (k == i % 4)
				cr_assert_eq(out[i][k][0], 0xa5);
			else
				cr_assert_arr_eq(out[i][k], v->okm, v->len, "%s: lane %u of %u, output %u, vector %u",
				                 variant->name, i, n, k, (first + i) % vectors_n);
			cr_assert(v->len == GM_SHA256 || out[i][k][v->len] == 0xa5, "%s: too much", variant->name);
		}
}

Test(hkdf_variants, derive_each_vector_in_every_lane)
{
	load();
	cr_assert_gt(vectors_n, 70);
	for (unsigned n = 1; n <= GM_BATCH_MAX; n = n == 17 ? 63 : n + 1)
		for (unsigned first = 0; first < vectors_n; first++)
			EACH_VARIANT (v)
				derive(v, n, first);
	cr_log_info("%u vectors", vectors_n);
}

/* ---- random jobs, each buffer between closed pages */

struct buffers {
	struct gm_guard salt, ikm, info[GM_HKDF_OUTS], out[GM_HKDF_OUTS];
};

#define LEN_MAX 4096u

static struct buffers buffers[GM_BATCH_MAX];

static void make_buffers(void)
{
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		struct buffers *b = &buffers[i];

		b->salt = gm_guard_new(LEN_MAX);
		b->ikm = gm_guard_new(LEN_MAX);
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++) {
			b->info[k] = gm_guard_new(LEN_MAX);
			b->out[k] = gm_guard_new(GM_SHA256);
		}
	}
}

static const uint8_t *some_bytes(struct gm_dice *d, const struct gm_guard *g, size_t *len)
{
	static const uint32_t limits[] = {1, 20, 40, 66, 70, 130, 300};
	uint32_t below = gm_roll(d, 300) == 0 ? LEN_MAX : limits[gm_roll(d, 7)];

	*len = gm_roll(d, below + 1);
	uint8_t *p = gm_guard_at(g, *len, gm_roll(d, 2));

	gm_roll_bytes(d, p, *len);
	return *len ? p : NULL;
}

static uint64_t random_batch(struct gm_dice *d, struct gm_hkdf_job *jobs, unsigned n)
{
	uint64_t fit = 0;

	for (unsigned i = 0; i < n; i++) {
		struct gm_hkdf_job *j = &jobs[i];
		bool too_long = gm_roll(d, 20) == 0;

		j->salt = some_bytes(d, &buffers[i].salt, &j->salt_len);
		j->ikm = some_bytes(d, &buffers[i].ikm, &j->ikm_len);
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++) {
			struct gm_hkdf_out *o = &j->out[k];

			o->info = some_bytes(d, &buffers[i].info[k], &o->info_len);
			o->out_len = gm_roll(d, GM_SHA256 + 1);
			o->out = gm_guard_at(&buffers[i].out[k], o->out_len, gm_roll(d, 2));
		}
		if (too_long)
			j->out[gm_roll(d, 3)].out_len = GM_SHA256 + 1 + gm_roll(d, 1000);
		fit |= (uint64_t)!too_long << i;
	}
	return fit;
}

static void clear_outputs(void)
{
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
			memset(buffers[i].out[k].start, 0xa5, buffers[i].out[k].cap);
}

Test(hkdf_variants, derive_random_batches_as_libsodium_does_and_refuse_what_is_too_long)
{
	static uint8_t expected[GM_BATCH_MAX][GM_HKDF_OUTS][4096];
	struct gm_hkdf_job jobs[GM_BATCH_MAX];
	struct gm_dice d = {.seed = {2}};
	unsigned long done = 0, wanted = gm_jobs_wanted(JOBS);

	make_buffers();
	while (done < wanted) {
		unsigned n = gm_roll(&d, 3) == 0 ? 64 - gm_roll(&d, 3) : 1 + gm_roll(&d, 20);
		uint64_t fit = random_batch(&d, jobs, n);

		clear_outputs();
		cr_assert_eq(gm_hkdf_portable.contexts(jobs, n), fit);
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
				memcpy(expected[i][k], buffers[i].out[k].start, buffers[i].out[k].cap);
		EACH_VARIANT (v) {
			clear_outputs();
			cr_assert_eq(v->contexts(jobs, n), fit, "%s: %u jobs", v->name, n);
			for (unsigned i = 0; i < n; i++)
				for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
					cr_assert_arr_eq(buffers[i].out[k].start, expected[i][k], buffers[i].out[k].cap,
					                 "%s: job %u of %u, output %u", v->name, i, n, k);
		}
		done += n;
	}
	cr_log_info("%lu jobs, %u variants", done, variants_n);
}

Test(hkdf_variants, take_a_batch_of_none_and_one_that_nobody_fits)
{
	uint8_t out[64] = {0};
	const struct gm_hkdf_job job = {NULL, NULL, 0, 0, {{out, NULL, 33, 0}}};

	EACH_VARIANT (v) {
		cr_expect_eq(v->contexts(&job, 0), 0);
		cr_expect_eq(v->contexts(&job, 1), 0, "%s", v->name);
		cr_expect_eq(out[0], 0);
	}
	cr_expect_eq(gm_hkdf_contexts(&job, 1), 0);
}
