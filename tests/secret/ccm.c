/* SPDX-License-Identifier: Apache-2.0 */
/* Run below valgrind: keys and plaintexts are marked undefined, so each branch and each address that depends on one is
 * an error. The answer, good or bad, is public in the end; only it may be looked at. */
#include "ccm/ccm.h"

#include <string.h>
#include <valgrind/memcheck.h>

#define SECRET(x) VALGRIND_MAKE_MEM_UNDEFINED(&(x), sizeof(x))
#define PUBLIC(x) VALGRIND_MAKE_MEM_DEFINED(&(x), sizeof(x))

enum { N = 19 };

static uint8_t key[N][GM_CCM_KEY], nonce[N][GM_CCM_NONCE], aad[N][100], text[N][400];

/* lengths that fill lanes unevenly, tags of both kinds */
static void mixed(struct gm_ccm_job *jobs)
{
	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ccm_job){key[i], nonce[i], aad[i], i * 5, text[i], i * i, i % 2 ? 8 : 16};
}

/* as many blocks each, as in a rekey: those are neither sorted nor measured */
static void of_one_shape(struct gm_ccm_job *jobs)
{
	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ccm_job){key[i], nonce[i], aad[i], 20 + i % 8, text[i], 65 + i % 15, i % 2 ? 8 : 16};
}

static int check_laid_out(const struct gm_ccm_variant *v, void (*lay_out)(struct gm_ccm_job *))
{
	struct gm_ccm_job jobs[N];

	lay_out(jobs);
	memset(text, 1, sizeof(text));
	gm_random(key, sizeof(key));
	SECRET(key);
	SECRET(text);
	uint64_t good = v->seal(jobs, N);
	PUBLIC(good);
	if (good != (1u << N) - 1)
		return 1;

	/* what is on the wire is public, but whether a tag is the right one may not show before the answer does */
	PUBLIC(text);
	jobs[3].text[jobs[3].text_len + 5] ^= 1;
	jobs[16].text[jobs[16].text_len + 15] ^= 1;
	good = v->open(jobs, N);
	PUBLIC(good);
	return good != ((1u << N) - 1) - (1u << 3) - (1u << 16);
}

/* one text for all: its last block is not full */
static int check_same(const struct gm_ccm_variant *v)
{
	struct gm_ccm_same m = {.text = text[N - 1], .text_len = 100, .aad_blocks = 2};

	gm_random(key, sizeof(key));
	SECRET(key);
	SECRET(text[N - 1]);
	for (unsigned i = 0; i < N - 1; i++) {
		memcpy(m.nonce[i], nonce[i], GM_CCM_NONCE);
		m.aad[i][0][1] = 20;
		memcpy(m.aad[i][0] + 2, aad[i], 20);
		m.key[i] = key[i];
		m.to[i] = text[i];
	}
	uint64_t good = v->seal_same(&m, N - 1);
	PUBLIC(good);
	return good != (1u << (N - 1)) - 1;
}

static int check(const struct gm_ccm_variant *v)
{
	return check_laid_out(v, mixed) | check_laid_out(v, of_one_shape) | check_same(v);
}

int main(void)
{
	int failed = !gm_crypto_init();

#ifdef __x86_64__
	if (gm_ccm_aesni.usable())
		failed |= check(&gm_ccm_aesni) | check(&gm_ccm_aesni_few);
#endif
	return failed;
}
