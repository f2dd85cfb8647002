/* SPDX-License-Identifier: Apache-2.0 */
/* A token: what is decoded lies inside the input, and opens under one of the keys of the corpus or not at all. */
#include "insist.h"

#include "gm/crypto.h"
#include "wire/cose.h"

/* keys that the seeds are made with: sixteen or thirty-two bytes of 1 */
static const struct {
	int32_t alg;
	uint8_t key_n;
} kinds[] = {{10, 16}, {30, 16}, {24, 32}, {GM_ALG_HMAC_256, 32}, {GM_ALG_HMAC_256_64, 32}, {GM_ALG_EDDSA, 32}};

static struct gm_cose_key make_key(size_t i)
{
	struct gm_cose_key key = {.alg = kinds[i].alg, .key_n = kinds[i].key_n};
	uint8_t ones[32];
	memset(ones, 1, sizeof ones);
	memcpy(key.key, ones, sizeof ones);
	if (key.alg == GM_ALG_EDDSA)
		gm_ed25519_public(key.key, ones);
	return key;
}

static void insist_inside(struct gm_bytes part, struct gm_bytes whole)
{
	insist(!part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define DECODES_ONLY 1 /* what libraries write counts as unwritten */
#endif
#endif
#ifndef DECODES_ONLY
#define DECODES_ONLY 0
#endif

static void open_with_all(const struct gm_cose *msg)
{
	static uint8_t out[GM_FUZZ_CAP];

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct gm_cose_key key = make_key(i);
		size_t n = 0;
		if (gm_cose_open(msg, &key, out, sizeof out, &n) == GM_E_OK)
			insist(gm_cose_key_fits(msg, &key) && n <= msg->payload.n);
		else
			insist(n == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_bytes input = {data, size};
	struct gm_cose msg;

	if ((!DECODES_ONLY && !gm_crypto_init()) || gm_cose_decode(input, &msg) != GM_E_OK)
		return 0;
	insist_inside(msg.protected_, input);
	insist_inside(msg.payload, input);
	insist_inside(msg.tag, input);
	insist_inside(msg.kid, input);
	insist_inside(msg.iv, input);
	if (!DECODES_ONLY)
		open_with_all(&msg);
	return 0;
}
