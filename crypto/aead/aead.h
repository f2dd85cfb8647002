/* SPDX-License-Identifier: Apache-2.0 */
/* AEADs by way of libcrypto, one message at a time. ccm/portable.c stands on this too. */
#ifndef GM_AEAD_H
#define GM_AEAD_H

#include <gm/crypto.h>

struct gm_aead_row {
	struct gm_aead_info info;
	const char *cipher; /* libcrypto's name */
	bool ccm;           /* wants the length of the text before the text */
};

/* Fetch the ciphers; false: libcrypto lacks one. Called once by gm_crypto_init(). */
GM_NODISCARD bool gm_evp_start(void);

/* NULL: no such algorithm here */
const struct gm_aead_row *gm_aead_row(int alg);

/* Lengths below 2^31 - 64; libcrypto refuses a CCM text too long for its nonce. Key schedules stay in this thread's
 * contexts until gm_evp_forget(). After a false answer the text is anything: the caller wipes it. */
GM_NODISCARD bool gm_evp_seal(const struct gm_aead_row *row, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad,
                 size_t aad_len, uint8_t *text, size_t text_len);
GM_NODISCARD bool gm_evp_open(const struct gm_aead_row *row, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad,
                 size_t aad_len, uint8_t *text, size_t text_len);
/* Overwrite the keys this thread used since the last call. */
void gm_evp_forget(void);

#endif
