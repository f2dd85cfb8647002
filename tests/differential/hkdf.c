/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts against HKDF written out over libsodium's HMAC. */
#include "differential/rig.h"
#include "emulated.h"

#include <sodium.h>

static const struct gm_hkdf_variant *const variants[] = {
    &gm_hkdf_portable,
#ifdef __x86_64__
    &gm_hkdf_avx2,
    &gm_hkdf_avx512,
    &gm_hkdf_shani_emulated,
    &gm_hkdf_shani,
#endif
};

static struct buffers {
	struct gm_guard salt, ikm, info[GM_HKDF_OUTS], out[GM_HKDF_OUTS];
} buffers[64];

static uint8_t expected[64][GM_HKDF_OUTS][GM_SHA256];

/* An extract and the first hash of each expand.                                         RFC 5869 §2 */
static void by_libsodium(const struct gm_hkdf_job *j, uint8_t (*out)[GM_SHA256])
{
	static const uint8_t one = 1;
	crypto_auth_hmacsha256_state h;
	uint8_t prk[32];

	crypto_auth_hmacsha256_init(&h, j->salt, j->salt_len);
	crypto_auth_hmacsha256_update(&h, j->ikm, j->ikm_len);
	crypto_auth_hmacsha256_final(&h, prk);
	for (unsigned k = 0; k < GM_HKDF_OUTS; k++) {
		crypto_auth_hmacsha256_init(&h, prk, sizeof(prk));
		crypto_auth_hmacsha256_update(&h, j->out[k].info, j->out[k].info_len);
		crypto_auth_hmacsha256_update(&h, &one, 1);
		crypto_auth_hmacsha256_final(&h, out[k]);
	}
}

static size_t draw_len(struct gm_dice *d)
{
	static const uint32_t below[] = {1, 20, 40, 66, 70, 130, 300};

	return gm_roll(d, below[gm_roll(d, 7)]);
}

static bool draw(struct gm_dice *d, struct buffers *b, struct gm_hkdf_job *j)
{
	const bool too_long = gm_roll(d, 20) == 0;

	j->salt_len = draw_len(d);
	j->ikm_len = draw_len(d);
	j->salt = diff_bytes(d, &b->salt, j->salt_len);
	j->ikm = diff_bytes(d, &b->ikm, j->ikm_len);
	for (unsigned k = 0; k < GM_HKDF_OUTS; k++) {
		struct gm_hkdf_out *o = &j->out[k];

		o->info_len = draw_len(d);
		o->info = diff_bytes(d, &b->info[k], o->info_len);
		o->out_len = gm_roll(d, GM_SHA256 + 1);
		o->out = diff_room(d, &b->out[k], o->out_len);
	}
	if (too_long)
		j->out[gm_roll(d, GM_HKDF_OUTS)].out_len = GM_SHA256 + 1 + gm_roll(d, 1000);
	return !too_long;
}

static bool right(const struct gm_hkdf_job *j, uint8_t (*out)[GM_SHA256])
{
	bool same = true;

	for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
		same &= memcmp(j->out[k].out, out[k], j->out[k].out_len) == 0;
	return same;
}

static unsigned batch(struct gm_dice *d, unsigned long left, struct tally *tally)
{
	const unsigned n = diff_n(d, left);
	struct gm_hkdf_job jobs[64];
	uint64_t fit = 0;

	for (unsigned i = 0; i < n; i++) {
		fit |= (uint64_t)draw(d, &buffers[i], &jobs[i]) << i;
		by_libsodium(&jobs[i], expected[i]);
	}
	for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		bool same = true;
		uint64_t got;

		if (!diff_turn(d, tally, "hkdf_context", variants[v]->name, 1) || !variants[v]->usable())
			continue;
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; k < GM_HKDF_OUTS; k++)
				memset(buffers[i].out[k].start, 0xa5, GM_SHA256);
		got = variants[v]->contexts(jobs, n);
		for (unsigned i = 0; i < n; i++)
			same &= !(fit >> i & 1) || right(&jobs[i], expected[i]);
		diff_count(tally, "hkdf_context", variants[v]->name, n, got, fit, same);
	}
	return n;
}

const struct kind diff_hkdf = {"hkdf_context", false, batch};
