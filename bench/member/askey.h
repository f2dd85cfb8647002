/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a development Authorization Server, and the tokens it mints. */
#ifndef GM_ASKEY_H
#define GM_ASKEY_H

#include "gm/buf.h"
#include "wire/cose.h"

#define GM_TOKEN_MAX 512u

struct gm_askey {
	struct gm_cose_key mint; /* secret: symmetric key, Ed25519 seed or P-256 private key */
	uint8_t pub_n, pub[64];  /* 0: symmetric */
	char iss[128], aud[128];
};

/* alg: "AES-CCM-16-64-128", "HMAC256", "EdDSA" or "ES256". USAGE: another. */
GM_NODISCARD enum gm_err gm_askey_generate(struct gm_askey *key, const char *alg, const char *iss, const char *aud);
/* A JSON file, 0600; an existing one is not replaced. IO, EXISTS. */
GM_NODISCARD enum gm_err gm_askey_save(const struct gm_askey *key, const char *path);
/* IO: cannot be read; MALFORMED: not such a file. */
GM_NODISCARD enum gm_err gm_askey_load(struct gm_askey *key, const char *path);

struct gm_minted {
	uint8_t osc_id[8], ms[16], salt[8];
	uint8_t token[GM_TOKEN_MAX];
	size_t token_n;
	uint8_t claims[GM_TOKEN_MAX]; /* of a reference: what it stands for */
	size_t claims_n;
};
/* What a token is to say. */
struct gm_mint {
	struct gm_bytes scope; /* contents of the claim */
	bool extended_scope;   /* under tag 1668547115                                                  RFC 9594 §7 */
	int64_t exp, nbf, exi; /* -1: absent */
	uint64_t exi_seq;      /* with exi: cti is the audience and this number             RFC 9200 §5.10.3 */
	struct gm_bytes cnonce; /* p == NULL: none */
	const char *auds[4];   /* auds[0] != NULL: instead of the key's audience, several */
	int32_t osc_alg, osc_hkdf; /* COSE's numbers in osc; 0: the defaults 10 and 5          RFC 9203 §3.2.1 */
	bool reference;        /* random bytes, which say nothing: the claims are for introspection     RFC 9200 §5.9 */
	bool loose;            /* without the CWT's tag: not in the one form that RFC 9770 §4 asks for */
	struct gm_bytes kid;   /* p != NULL: cnf names this osc id, for an update of rights    RFC 9203 §4.1 */
};
/* id, Master Secret and salt are fresh; with a kid they stand in no token. ROOM. */
GM_NODISCARD enum gm_err gm_askey_mint_as(struct gm_minted *minted, const struct gm_askey *key, const struct gm_mint *what);
/* A token for one client, with fresh id, Master Secret and salt. scope: contents of the claim. ROOM. */
GM_NODISCARD enum gm_err gm_askey_mint(struct gm_minted *minted, const struct gm_askey *key, struct gm_bytes scope,
                                       int64_t exp);
/* Adds one user entry to a scope that is being written: [name, roles]; the caller writes the array's head. */
void gm_scope_put(struct gm_out *out, const char *name, uint32_t roles);
/* Likewise for administrators: [pattern, permissions]. "*" is every name, "re:..." an I-Regexp, else a name. */
void gm_scope_put_admin(struct gm_out *out, const char *pattern, uint32_t permissions);
/* "list,create,read,write,delete" to bits, list always among them; 0: not understood */
uint32_t gm_permissions_parse(const char *text);
/* "requester,responder" to bits; 0: not understood */
uint32_t gm_askey_roles(const char *text);

#endif
