/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <stdlib.h>
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

/* Keys and signatures of the library, and whether v's are the same */
static bool make_signatures(const struct gm_ed25519_variant *v, const struct inputs *in, uint8_t (*pub)[32], uint8_t (*sig)[64])
{
	uint8_t own_pub[JOBS][32], own_sig[JOBS][64];

	for (unsigned way = 0; way < 2; way++) {
		const struct gm_ed25519_variant *by = way ? v : &gm_ed25519_sodium;
		struct gm_ed25519_public_job public[JOBS];
		struct gm_ed25519_sign_job sign[JOBS];
		for (unsigned i = 0; i < JOBS; i++) {
			public[i] = (struct gm_ed25519_public_job){in->seed[i], way ? own_pub[i] : pub[i]};
			sign[i] = (struct gm_ed25519_sign_job){in->seed[i], pub[i], in->text[i], TEXT - i,
			                                       way ? own_sig[i] : sig[i]};
		}
		by->public(public, JOBS);
		by->sign(sign, JOBS);
	}
	return memcmp(pub, own_pub, sizeof(own_pub)) == 0 && memcmp(sig, own_sig, sizeof(own_sig)) == 0;
}

/* As one equation: it holds with points and without, and not when a message is a byte shorter */
static bool batch_holds(const struct gm_ed25519_variant *v, struct gm_ed25519_job *jobs, const struct inputs *in)
{
	struct gm_ed25519_point point[JOBS];
	const struct gm_ed25519_point *points[JOBS];
	struct gm_ed25519_point_job make[JOBS];
	void *room = aligned_alloc(64, GM_ED25519_BATCH_ROOM(JOBS));
	bool good = room != NULL;

	for (unsigned i = 0; i < JOBS; i++) {
		make[i] = (struct gm_ed25519_point_job){jobs[i].pub, &point[i]};
		points[i] = &point[i];
	}
	good = good && v->points(make, JOBS) == ALL;
	for (unsigned way = 0; good && way < 4; way++) {
		const struct gm_ed25519_batch b = {jobs, way & 1 ? points : NULL, JOBS, in->key[way], room};
		uint64_t hopeful[1];

		jobs[JOBS - 1].msg_len -= way >> 1;
		good = v->batch(hopeful, &b) == (way < 2) && hopeful[0] == ALL;
		jobs[JOBS - 1].msg_len += way >> 1;
	}
	free(room);
	return good;
}

bool gm_ed25519_trial(const struct gm_ed25519_variant *v)
{
	static struct inputs in;
	uint8_t pub[JOBS][32], sig[JOBS][64];
	struct gm_ed25519_job jobs[JOBS];

	draw(&in);
	if (!make_signatures(v, &in, pub, sig))
		return false;
	for (unsigned i = 0; i < JOBS; i++)
		jobs[i] = (struct gm_ed25519_job){pub[i], sig[i], in.text[i], TEXT - i};
	if (v->batch && !batch_holds(v, jobs, &in))
		return false;
	for (unsigned i = 0; i < JOBS; i++)
		sig[i][i] ^= (uint8_t)(BAD >> i & 1);
	return v->verify(jobs, JOBS) == (ALL & ~BAD);
}

/* The same secrets and images of keys; text stands for keys, of which about half are points at all, and in.seed makes some
 * that are good */
bool gm_x25519_trial(const struct gm_x25519_variant *v)
{
	static struct inputs in;
	uint8_t secret[2][JOBS][32], image[2][JOBS][32], pub[JOBS][32];
	uint64_t agreed[2], mapped[2];

	draw(&in);
	memset(in.key[3], 0, 32); /* of small order */
	memset(secret, 0, sizeof(secret));
	for (unsigned i = 0; i < JOBS; i++) {
		gm_ed25519_public(pub[i], in.seed[i]);
		if (i % 3 == 0)
			memcpy(pub[i], in.text[i], sizeof(pub[i]));
	}
	for (unsigned way = 0; way < 2; way++) {
		const struct gm_x25519_variant *by = way ? v : &gm_x25519_sodium;
		struct gm_x25519_map_job map[JOBS];
		struct gm_x25519_job job[JOBS];
		for (unsigned i = 0; i < JOBS; i++) {
			job[i] = (struct gm_x25519_job){in.seed[i], in.key[i], secret[way][i]};
			map[i] = (struct gm_x25519_map_job){pub[i], image[way][i]};
		}
		agreed[way] = by->agree(job, JOBS);
		mapped[way] = by->map(map, JOBS);
	}
	bool same = agreed[0] == agreed[1] && mapped[0] == mapped[1] && memcmp(image[0], image[1], sizeof(image[0])) == 0;
	for (unsigned i = 0; i < JOBS; i++)
		same = same && (!(agreed[0] >> i & 1) || memcmp(secret[0][i], secret[1][i], 32) == 0);
	return same;
}

/* One text, whose last block is not full, for all */
static bool same_holds(const struct gm_ccm_variant *v, const struct inputs *in)
{
	static uint8_t sealed[2][JOBS][TEXT + GM_CCM_TAG];
	static struct gm_ccm_same m;

	for (unsigned way = 0; way < 2; way++) {
		m = (struct gm_ccm_same){.text = in->text[0], .text_len = TEXT, .aad_blocks = 2};
		for (unsigned i = 0; i < JOBS; i++) {
			memcpy(m.nonce[i], in->nonce[i], GM_CCM_NONCE);
			m.aad[i][0][1] = (uint8_t)(30 - i % 16);
			memcpy(m.aad[i][0] + 2, in->aad[i], 30 - i % 16);
			m.key[i] = in->key[i];
			m.to[i] = sealed[way][i];
		}
		if ((way ? v : &gm_ccm_portable)->seal_same(&m, JOBS) != ALL)
			return false;
	}
	return memcmp(sealed[0], sealed[1], sizeof(sealed[0])) == 0;
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
	return same_holds(v, &in);
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
