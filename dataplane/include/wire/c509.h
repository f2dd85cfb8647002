/* SPDX-License-Identifier: Apache-2.0 */
/* C509 certificates, draft-ietf-cose-cbor-encoded-cert: as much of them as an authentication credential needs.
 * Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_C509_H
#define GM_WIRE_C509_H

#include "wire/cred.h"

#define GM_C509_MAX 8u /* certificates in a chain or bag */

struct gm_key_pair;

/* Public key of the end entity. certs: each the CBOR sequence of one certificate. chain: the first one is it, and each is
 * issued and signed by the next; else a bag, in any order: it is the one that issued none of the others.
 * A signature is verified over CBOR (type 2). Those of re-encoded X.509 (type 3) are over DER that we do not build
 * again, so such a certificate counts only where nothing has to be shown to have issued it: alone, or as the last of a
 * chain. at: epoch seconds at which all have to be valid, negative: not looked at. Says nothing about trust, names or
 * extensions. false: malformed, not valid, out of order, no single end entity, or a key of another kind  C509 §3 */
GM_NODISCARD bool gm_c509_end_key(const struct gm_bytes *certs, unsigned n, bool chain, int64_t at, struct gm_cred_pub *pub);

/* A natively signed certificate (type 2) of pub by an Ed25519 issuer, valid from a time (epoch seconds) and without end,
 * as a byte string; the same each time. issuer NULL: self-signed, and pub is the issuer's. Fails in out. */
void gm_c509_issue(struct gm_out *out, const struct gm_cred_pub *pub, const char *subject, const char *issuer,
                   int64_t from, const struct gm_key_pair *signer);

#endif
