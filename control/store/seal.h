/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed records: format version u8, key id u32, nonce 24, XChaCha20-Poly1305 of the value. Associated data are table,
 * key, version and key id, so that no record passes for another. */
#ifndef GM_SEAL_H
#define GM_SEAL_H

#include "gm/buf.h"
#include "gm/crypto.h"

#define GM_SEAL_VERSION 1u
#define GM_SEAL_HEAD (1u + 4u + GM_BOX_NONCE)
#define GM_SEAL_EXTRA (GM_SEAL_HEAD + GM_BOX_TAG)

struct gm_seal_key { /* secret */
	uint8_t key[GM_BOX_KEY];
	uint32_t id; /* derived from key, not secret */
};

/* Fill `why` and return err. */
enum gm_err gm_why(char why[static GM_WHY], enum gm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Key file: 64 hex digits and a newline, for nobody but its owner. EXISTS; IO; errno says why. */
GM_NODISCARD enum gm_err gm_seal_key_make(struct gm_seal_key *key, const char *path);
/* STORE_KEY: missing, not such a file, or open to others. */
GM_NODISCARD enum gm_err gm_seal_key_read(struct gm_seal_key *key, const char *path, char why[static GM_WHY]);

/* Was the record sealed under this key? No promise that it opens. */
GM_NODISCARD bool gm_seal_is(const struct gm_seal_key *key, struct gm_bytes record);
/* out: value.n + GM_SEAL_EXTRA bytes */
void gm_seal(const struct gm_seal_key *key, uint8_t table, struct gm_bytes name, struct gm_bytes value, uint8_t *out);
/* out: at least record.n bytes; *value lies in it. STORE_VERSION, STORE_KEY (another key id), CORRUPT. */
GM_NODISCARD enum gm_err gm_unseal(const struct gm_seal_key *key, uint8_t table, struct gm_bytes name,
                                   struct gm_bytes record, uint8_t *out, struct gm_bytes *value);

#endif
