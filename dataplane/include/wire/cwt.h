/* SPDX-License-Identifier: Apache-2.0 */
/* CWT claims and the scope of group tokens: RFC 8392, 8747, 9200, 9203, 9237, 9594. Borrowed memory, any thread. */
#ifndef GM_WIRE_CWT_H
#define GM_WIRE_CWT_H

#include "gm/buf.h"

struct gm_osc { /* OSCORE_Input_Material                                                   RFC 9203 §3.2.1 */
	struct gm_bytes id, ms, salt, context_id; /* p == NULL: absent */
	int32_t version, hkdf, alg;               /* defaults 1, 5, 10 filled in */
};

struct gm_cwt {
	struct gm_bytes iss, sub, aud, cti, cnonce; /* p == NULL: absent */
	struct gm_bytes auds;                       /* instead of aud: the raw array, all of texts */
	int64_t exp, nbf, iat;                      /* epoch seconds; -1: absent               RFC 8392 §3.1 */
	int64_t exi;                                /* seconds from the first reception on; -1: absent     RFC 9200 §5.10.3 */
	struct gm_bytes scope;                      /* contents of the bstr; outer tag 1668547115 taken off */
	bool extended_scope;                        /* it had that tag */
	bool has_osc;
	struct gm_osc osc;
	struct gm_bytes cnf_kid; /* p == NULL: cnf is not a kid */
	int32_t ace_profile;     /* -1: absent */
};

/* Claims map to struct. Unknown claims are ignored; a float exp (RFC 8392 NumericDate) is accepted, truncated.
 * TOKEN_CLAIMS: not a map, wrong types, no cnf, no scope, neither exp nor exi. TOKEN_PROFILE: unknown osc parameter, or
 * an osc without id or ms.                                                RFC 9200 §5.10.1.1, RFC 9203 §3.2 */
GM_NODISCARD enum gm_err gm_cwt_decode(struct gm_bytes claims, struct gm_cwt *cwt);
/* The other direction, for the development AS and tests: every field that is present. */
void gm_cwt_encode(struct gm_out *out, const struct gm_cwt *cwt);

/* What a token is called in lists of revoked tokens: 0x01 and the SHA-256 of the token in base64url. token: the value of
 * access_token as received; one longer than GM_TOKEN_HASH_MAX has no hash that occurs.       RFC 9770 §4 */
#define GM_TOKEN_HASH_MAX 4096u
void gm_token_hash(uint8_t hash[static 33], struct gm_bytes token);

/* A cnonce for creation hints: the time, and a keyed hash of it, so that nothing has to be remembered. Good for five
 * minutes. now_s: epoch seconds.                                                       RFC 9200 §5.3.1 */
#define GM_CNONCE 16u
void gm_cnonce_make(uint8_t nonce[static GM_CNONCE], const uint8_t key[static 16], int64_t now_s);
/* false: another's, or older than that */
GM_NODISCARD bool gm_cnonce_fresh(struct gm_bytes nonce, const uint8_t key[static 16], int64_t now_s);

/* aud, or the text of auds that equals own; p == NULL: neither. */
struct gm_bytes gm_cwt_audience(const struct gm_cwt *cwt, struct gm_bytes own);

/* The OAuth error that names a refused token best: invalid_scope or invalid_request.      RFC 9200 §8.7 */
int gm_oauth_error(enum gm_err err);

/* ---- scope: [* [Toid, Tperm]]                                          draft-ietf-ace-key-groupcomm-oscore §3 */
#define GM_ROLE_REQUESTER 0x02u
#define GM_ROLE_RESPONDER 0x04u
#define GM_ROLE_MONITOR 0x08u
#define GM_ROLE_VERIFIER 0x10u
#define GM_ROLES_ALL 0x1eu

struct gm_scope_entry {
	bool admin;           /* bit 0 of Tperm */
	struct gm_bytes name; /* user entries: group name; admin: the raw CBOR of Toid */
	uint32_t perm;        /* roles or permissions with bit 0 taken off */
};
struct gm_scope_iter {
	struct gm_in in;
	uint64_t left;
};
/* Checks the whole scope; TOKEN_SCOPE on anything that is not [* [Toid, Tperm]] or has unknown bits. */
GM_NODISCARD enum gm_err gm_scope_check(struct gm_bytes scope);
/* Iterate a scope that passed the check; it has to stay where it is. next: false at the end. */
struct gm_scope_iter gm_scope_iter(struct gm_bytes scope);
GM_NODISCARD bool gm_scope_next(struct gm_scope_iter *it, struct gm_scope_entry *entry);
/* true where one user entry for group covers all of roles (roles 0: any user entry for group) */
GM_NODISCARD bool gm_scope_allows(struct gm_bytes scope, struct gm_bytes group, uint32_t roles);

#endif
