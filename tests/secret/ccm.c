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
static void lay_out(struct gm_ccm_job *jobs)
{
	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ccm_job){key[i], nonce[i], aad[i], i * 5, text[i], i * i, i % 2 ? 8 : 16};
}

static int check(const struct gm_ccm_variant *v)
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
	text[3][3 * 3 + 5] ^= 1;
	text[16][16 * 16 + 15] ^= 1;
	good = v->open(jobs, N);
	PUBLIC(good);
	return good != ((1u << N) - 1) - (1u << 3) - (1u << 16);
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
