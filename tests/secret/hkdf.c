/* SPDX-License-Identifier: Apache-2.0 */
/* Run below valgrind: the secrets that contexts are derived from are marked undefined. */
#include "emulated.h"

#include <valgrind/memcheck.h>

enum { N = 11 };

static uint8_t ikm[N][200], salt[N][90], out[N][3][32];

static int check(const struct gm_hkdf_variant *v)
{
	static const uint8_t info[100];
	struct gm_hkdf_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_hkdf_job){
		    salt[i],
		    ikm[i],
		    i * 8,
		    i * 19,
		    {{out[i][0], info, 16, i * 10}, {out[i][1], info, 32, 3}, {out[i][2], info, i, 7}}};
	VALGRIND_MAKE_MEM_UNDEFINED(ikm, sizeof(ikm));
	VALGRIND_MAKE_MEM_UNDEFINED(salt, sizeof(salt));
	return v->contexts(jobs, N) != (1u << N) - 1;
}

int main(void)
{
	int failed = !gm_crypto_init();

#ifdef __x86_64__
	if (gm_hkdf_avx2.usable())
		failed |= check(&gm_hkdf_avx2) | check(&gm_hkdf_shani_emulated);
#endif
	return failed;
}
