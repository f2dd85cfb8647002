/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <string.h>

#define JOBS 17u /* more than two groups of eight, or one of sixteen */
#define ALL ((UINT64_C(1) << JOBS) - 1)
#define BAD (UINT64_C(1) << 3 | UINT64_C(1) << 16) /* jobs that are spoilt */
#define TEXT 100u

struct inputs {
	uint8_t seed[JOBS][32], key[JOBS][32], nonce[JOBS][16], aad[JOBS][48], text[JOBS][TEXT];
};

/* The same each time. */
static void draw(struct inputs *in)
{
	static const uint8_t seed[32] = {'t', 'r', 'i', 'a', 'l'};

	gm_random_from(in, sizeof(*in), seed);
}

bool gm_ed25519_trial(const struct gm_ed25519_variant *v)
{
	static struct inputs in;
	uint8_t pub[2][JOBS][32], sig[2][JOBS][64];
	struct gm_ed25519_job verify[JOBS];

	draw(&in);
	for (unsigned way = 0; way < 2; way++) {
		const struct gm_ed25519_variant *by = way ? v : &gm_ed25519_sodium;
		struct gm_ed25519_public_job public[JOBS];
		struct gm_ed25519_sign_job sign[JOBS];
		for (unsigned i = 0; i < JOBS; i++) {
			public[i] = (struct gm_ed25519_public_job){in.seed[i], pub[way][i]};
			sign[i] = (struct gm_ed25519_sign_job){in.seed[i], pub[0][i], in.text[i], TEXT - i, sig[way][i]};
		}
		by->public(public, JOBS);
		by->sign(sign, JOBS);
	}
	bool same = memcmp(pub[0], pub[1], sizeof(pub[0])) == 0 && memcmp(sig[0], sig[1], sizeof(sig[0])) == 0;
	for (unsigned i = 0; i < JOBS; i++) {
		verify[i] = (struct gm_ed25519_job){pub[0][i], sig[0][i], in.text[i], TEXT - i};
		sig[0][i][i] ^= (uint8_t)(BAD >> i & 1);
	}
	return same && v->verify(verify, JOBS) == (ALL & ~BAD);
}

bool gm_x25519_trial(const struct gm_x25519_variant *v)
{
	static struct inputs in;
	uint8_t out[2][JOBS][32];
	uint64_t good[2];

	draw(&in);
	memset(in.key[3], 0, 32); /* of small order */
	for (unsigned way = 0; way < 2; way++) {
		struct gm_x25519_job job[JOBS];
		for (unsigned i = 0; i < JOBS; i++)
			job[i] = (struct gm_x25519_job){in.seed[i], in.key[i], out[way][i]};
		good[way] = (way ? v : &gm_x25519_sodium)->agree(job, JOBS);
	}
	bool same = good[0] == good[1];
	for (unsigned i = 0; i < JOBS; i++)
		same = same && (!(good[0] >> i & 1) || memcmp(out[0][i], out[1][i], 32) == 0);
	return same;
}

bool gm_ccm_trial(const struct gm_ccm_variant *v)
{
	static struct inputs in;
	static uint8_t text[2][JOBS][TEXT + 16];
	struct gm_ccm_job job[2][JOBS];

	draw(&in);
	for (unsigned way = 0; way < 2; way++) {
		for (unsigned i = 0; i < JOBS; i++) {
			memset(text[way][i], 0, sizeof(text[way][i]));
			memcpy(text[way][i], in.text[i], TEXT);
			job[way][i] = (struct gm_ccm_job){.key = in.key[i], .nonce = in.nonce[i], .aad = in.aad[i],
			                                  .aad_len = 2 * i, .text = text[way][i], .text_len = TEXT - 3 * i,
			                                  .tag_len = i % 2 ? 16 : 8};
		}
		if ((way ? v : &gm_ccm_portable)->seal(job[way], JOBS) != ALL)
			return false;
	}
	if (memcmp(text[0], text[1], sizeof(text[0])) != 0)
		return false;
	for (unsigned i = 0; i < JOBS; i++)
		text[1][i][0] ^= (uint8_t)(BAD >> i & 1);
	if (v->open(job[1], JOBS) != (ALL & ~BAD))
		return false;
	for (unsigned i = 0; i < JOBS; i++)
		if (!(BAD >> i & 1) && memcmp(text[1][i], in.text[i], TEXT - 3 * i) != 0)
			return false;
	return true;
}

bool gm_hkdf_trial(const struct gm_hkdf_variant *v)
{
	static struct inputs in;
	static uint8_t out[2][JOBS][3][32];

	draw(&in);
	memset(out, 0, sizeof(out));
	for (unsigned way = 0; way < 2; way++) {
		struct gm_hkdf_job job[JOBS];
		for (unsigned i = 0; i < JOBS; i++) {
			job[i] = (struct gm_hkdf_job){.salt = in.nonce[i], .salt_len = i % 16, .ikm = in.text[i], .ikm_len = 16 + i};
			for (unsigned k = 0; k < 3; k++)
				job[i].out[k] = (struct gm_hkdf_out){out[way][i][k], in.aad[i], 13 + k, 3 * k + i};
		}
		if ((way ? v : &gm_hkdf_portable)->contexts(job, JOBS) != ALL)
			return false;
	}
	return memcmp(out[0], out[1], sizeof(out[0])) == 0;
}
