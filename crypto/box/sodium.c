/* SPDX-License-Identifier: Apache-2.0 */
#include <gm/crypto.h>

#include <sodium.h>

_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == GM_BOX_TAG, "size of the tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == GM_BOX_NONCE, "size of the nonce");

void gm_box_seal(uint8_t *out, const uint8_t *msg, size_t len, const uint8_t *aad, size_t aad_len,
                 const uint8_t nonce[static GM_BOX_NONCE], const uint8_t key[static GM_BOX_KEY])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, msg, len, aad, aad_len, NULL, nonce, key);
}

bool gm_box_open(uint8_t *out, const uint8_t *box, size_t len, const uint8_t *aad, size_t aad_len,
                 const uint8_t nonce[static GM_BOX_NONCE], const uint8_t key[static GM_BOX_KEY])
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, box, len, aad, aad_len, nonce, key) == 0;
}
