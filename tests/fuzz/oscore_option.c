/* SPDX-License-Identifier: Apache-2.0 */
/* One byte of length, an OSCORE option, a ciphertext: the option reads and writes alike, and unwrapping stays in
 * bounds. */
#include <stdlib.h>

#include "wire/oscore.h"

static void insist(bool holds)
{
	if (!holds)
		abort();
}

static void write_and_read(const struct gm_oscore_option *option, size_t size)
{
	uint8_t b[256];
	struct gm_out out = gm_out(b, sizeof(b));
	struct gm_oscore_option again;

	gm_oscore_option_encode(&out, option);
	insist(out.err == GM_E_OK && gm_out_len(&out) <= size);
	insist(gm_oscore_option_decode(gm_out_result(&out), &again) == GM_E_OK);
	insist(again.piv_n == option->piv_n && memcmp(again.piv, option->piv, option->piv_n) == 0);
	insist(again.has_kid == option->has_kid && gm_bytes_eq(again.kid, option->kid));
	insist(again.has_kid_context == option->has_kid_context);
	insist(gm_bytes_eq(again.kid_context, option->kid_context));
	insist(again.group == option->group);
	if (option->piv_n) {
		uint8_t piv[GM_OSCORE_PIV_MAX];
		insist(gm_oscore_piv(piv, gm_oscore_piv_seq(option->piv, option->piv_n)) == option->piv_n);
	}
}

static void unwrap(const struct gm_oscore_keys *keys, const struct gm_oscore_option *option, struct gm_bytes ciphertext, bool is_request)
{
	static const struct gm_oscore_request request = {.kid = {1, {9}}, .piv_n = 5, .piv = {1, 2, 3, 4, 5}};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	enum { CAP = 64 };
	uint8_t *text = malloc(CAP);

	if (gm_oscore_unwrap(keys, ciphertext, option, &request, is_request, text, CAP, &scratch, &job) == GM_E_OK) {
		insist(job.text == text && job.text_len + gm_aead_info(keys->alg)->tag_len == ciphertext.n && ciphertext.n <= CAP);
		insist(job.aad_len <= GM_OSCORE_AAD_MAX && !(is_request && option->piv_n == 0));
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_in in = gm_in(data, size);
	size_t n = gm_in_u8(&in);
	struct gm_bytes value = gm_in_take(&in, n);
	struct gm_oscore_option option;

	if (in.err != GM_E_OK || gm_oscore_option_decode(value, &option) != GM_E_OK)
		return 0;
	write_and_read(&option, n);
	struct gm_bytes ciphertext = gm_in_take(&in, gm_in_left(&in));
	static const struct gm_oscore_keys keys[] = {
	    {.alg = 10, .rid = {7, {1, 2, 3, 4, 5, 6, 7}}},
	    {.alg = 12, .rid = {1, {1}}},
	    {.alg = 24, .rid = {6, {1, 2, 3, 4, 5, 6}}},
	};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unwrap(&keys[i], &option, ciphertext, true);
		unwrap(&keys[i], &option, ciphertext, false);
	}
	return 0;
}
