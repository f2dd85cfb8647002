/* SPDX-License-Identifier: Apache-2.0 */
/* Run below valgrind: seeds and private keys are marked undefined while eight lanes of plain C work on them. */
#include <string.h>
#include <valgrind/memcheck.h>
#include "ed25519/ed25519.h"
#include "x25519/x25519.h"

enum { N = 9 };

static uint8_t seed[N][32], pub[N][32], made[N][32], sig[N][64], priv[N][32], out[N][32];

static int check_ed25519(void)
{
	struct gm_ed25519_public_job keys[N];
	struct gm_ed25519_sign_job signs[N];
	struct gm_ed25519_job verify[N];

	gm_random(seed, sizeof(seed));
	for (unsigned i = 0; i < N; i++) {
		gm_ed25519_public(pub[i], seed[i]);
		keys[i] = (struct gm_ed25519_public_job){seed[i], made[i]};
		signs[i] = (struct gm_ed25519_sign_job){seed[i], pub[i], pub[i], i * 4, sig[i]};
		verify[i] = (struct gm_ed25519_job){pub[i], sig[i], pub[i], i * 4};
	}
	VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof(seed));
	gm_ed25519_plain.public(keys, N);
	gm_ed25519_plain.sign(signs, N);
	VALGRIND_MAKE_MEM_DEFINED(made, sizeof(made));
	VALGRIND_MAKE_MEM_DEFINED(sig, sizeof(sig));
	return memcmp(made, pub, sizeof(pub)) != 0 || gm_ed25519_verify(verify, N) != (1u << N) - 1;
}

static int check_x25519(void)
{
	static const uint8_t base[32] = {9};
	struct gm_x25519_job jobs[N];
	uint64_t good;

	gm_random(priv, sizeof(priv));
	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_x25519_job){priv[i], base, out[i]};
	VALGRIND_MAKE_MEM_UNDEFINED(priv, sizeof(priv));
	good = gm_x25519_plain.agree(jobs, N);
	VALGRIND_MAKE_MEM_DEFINED(&good, sizeof(good)); /* whether the secret is all zero is told */
	return good != (1u << N) - 1;
}

int main(void)
{
	return !gm_crypto_init() || check_ed25519() || check_x25519();
}
