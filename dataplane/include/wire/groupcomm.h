/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of ACE group communication: RFC 9203 §4, RFC 9594, draft-ietf-ace-key-groupcomm-oscore-21 ("KG").
 * Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_GROUPCOMM_H
#define GM_WIRE_GROUPCOMM_H

#include "gm/buf.h"
#include "wire/cred.h"
#include "wire/cwt.h"
#include "wire/uri.h"

#define GM_SID_MAX 7u
#define GM_GID_MAX 8u
#define GM_NONCE_MAX 64u /* longest cnonce, nonce1 accepted */
#define GM_GROUP_NAME_MAX 64u
#define GM_NODE_NAME_MAX 16u

/* ACE Groupcomm Parameters: labels of maps in CF 261                                     RFC 9594 §8, KG §5 to §11 */
enum gm_label {
	GM_LABEL_GID = 0,
	GM_LABEL_GNAME = 1,
	GM_LABEL_GURI = 2,
	GM_LABEL_SCOPE = 3,
	GM_LABEL_GET_CREDS = 4,
	GM_LABEL_CLIENT_CRED = 5,
	GM_LABEL_CNONCE = 6,
	GM_LABEL_GKTY = 7,
	GM_LABEL_KEY = 8,
	GM_LABEL_NUM = 9,
	GM_LABEL_PROFILE = 10,
	GM_LABEL_EXP = 11,
	GM_LABEL_EXI = 12,
	GM_LABEL_CREDS = 13,
	GM_LABEL_PEER_ROLES = 14,
	GM_LABEL_PEER_IDENTIFIERS = 15,
	GM_LABEL_GROUP_POLICIES = 16,
	GM_LABEL_KDC_CRED = 17,
	GM_LABEL_KDC_NONCE = 18,
	GM_LABEL_KDC_CRED_VERIFY = 19,
	GM_LABEL_REKEYING_SCHEME = 20,
	GM_LABEL_GROUP_SENDERID = 21, /* top level, in the answer to a Key Renewal */
	GM_LABEL_CLIENT_CRED_VERIFY = 24,
	GM_LABEL_CONTROL_URI = 26,
	GM_LABEL_SIGN_INFO = 29, /* 29 to 32: 4.00 to a Join; not the labels of authz-info */
	GM_LABEL_KDCCHALLENGE = 30,
	GM_LABEL_ECDH_INFO = 31,
	GM_LABEL_KDC_DH_CREDS = 32,
	GM_LABEL_SIGN_ENC_KEY = 33,
	GM_LABEL_STALE_NODE_IDS = 34,
};
/* Group_OSCORE_Input_Material: the map under GM_LABEL_KEY                                RFC 9203 §3.2.1, KG §6.3 */
enum gm_key_label {
	GM_KEY_MS = 2,
	GM_KEY_HKDF = 3,
	GM_KEY_ALG = 4,
	GM_KEY_SALT = 5,
	GM_KEY_CONTEXT_ID = 6,
	GM_KEY_GROUP_SENDERID = 7,
	GM_KEY_CRED_FMT = 8,
	GM_KEY_GP_ENC_ALG = 9,
	GM_KEY_SIGN_ALG = 10,
	GM_KEY_SIGN_PARAMS = 11,
	GM_KEY_ECDH_ALG = 12,
	GM_KEY_ECDH_PARAMS = 13,
};
/* Maps in CF 19                                                                RFC 9200, RFC 9203 §4, RFC 9594 §3.3 */
enum gm_oauth_label {
	GM_OAUTH_ACCESS_TOKEN = 1,
	GM_OAUTH_AS = 1, /* in AS Request Creation Hints */
	GM_OAUTH_AUDIENCE = 5,
	GM_OAUTH_ERROR = 30,
	GM_OAUTH_ERROR_DESCRIPTION = 31,
	GM_OAUTH_NONCE1 = 40,
	GM_OAUTH_NONCE2 = 42,
	GM_OAUTH_CLIENT_RECIPIENTID = 43,
	GM_OAUTH_SERVER_RECIPIENTID = 44,
	GM_OAUTH_SIGN_INFO = 45,
	GM_OAUTH_KDCCHALLENGE = 46,
	GM_OAUTH_ECDH_INFO = 47,
	GM_OAUTH_KDC_DH_CREDS = 48,
	GM_OAUTH_ECDH_INFO_OLD = 92, /* asked by clients older than the registration */
	GM_OAUTH_KDC_DH_CREDS_OLD = 93,
};
/* group_policies                                                                         RFC 9594 §8 */
enum gm_policy { GM_POLICY_CHECK_INTERVAL = 1, GM_POLICY_EXPIRATION_DELTA = 2 };
#define GM_GKTY_GROUP_OSCORE 1
#define GM_PROFILE_GROUP_OSCORE_APP 1

#define GM_HKDF_SHA_256 5
#define GM_HKDF_SHA_512 7

/* What a group's members have to know beside its secrets. Absent algorithms are 0.                KG §6.3 */
struct gm_group_params {
	int32_t hkdf;     /* 5; 7 */
	int32_t cred_fmt; /* 14 */
	bool group_mode, pairwise_mode;
	uint8_t zero[2];              /* bytes are compared */
	int32_t gp_enc_alg, sign_alg; /* with group_mode: 10, -8; which others: params.h */
	int32_t alg, ecdh_alg;        /* with pairwise_mode: 10, -27 */
	int32_t sign_kty, sign_crv;   /* 1, 6 */
	int32_t ecdh_kty, ecdh_crv;   /* 1, 4 */
};
/* Both modes, and the algorithms in the comments above that come first.                                  KG §14 */
struct gm_group_params gm_group_params_default(void);

/* ---- authz-info */
struct gm_token_request {
	struct gm_bytes token; /* p == NULL: absent */
	struct gm_bytes nonce1, id1;
	/* labels under which they were asked, 0: not asked: 45; 47 or 92; 48 or 93 */
	uint8_t sign_info, ecdh_info, kdc_dh_creds;
};
/* access_token as byte string or nested COSE object. TOKEN_PARSE: not a map with label 1; RANGE: an info label with
 * another value than null. Missing nonce1 or id1 is the caller's to judge. */
GM_NODISCARD enum gm_err gm_token_request_decode(struct gm_bytes payload, struct gm_token_request *request);
void gm_token_request_encode(struct gm_out *out, const struct gm_token_request *request);

struct gm_token_response {
	struct gm_bytes nonce2, id2, challenge; /* p == NULL: absent */
	struct gm_bytes infos; /* raw pairs (label, value): to append; decoded: all pairs, those above among them */
	unsigned infos_n;      /* their number */
};
void gm_token_response_encode(struct gm_out *out, const struct gm_token_response *response);
GM_NODISCARD enum gm_err gm_token_response_decode(struct gm_bytes payload, struct gm_token_response *response);
/* CF 19 {30: code, 31: text} */
void gm_token_error_encode(struct gm_out *out, int code, const char *text);
/* AS Request Creation Hints; empty texts and a cnonce with p == NULL are left out         RFC 9200 §5.3 */
void gm_hints_encode(struct gm_out *out, const char *as_uri, const char *audience, struct gm_bytes cnonce);

/* One entry of sign_info or ecdh_info for the groups named, which share params.          KG §5.3 */
void gm_sign_info_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n, const struct gm_group_params *p);
void gm_ecdh_info_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n, const struct gm_group_params *p);

/* One entry of kdc_dh_creds: the credential for key agreement with the Group Manager in pairwise-only groups.  KG §5.3
 */
void gm_kdc_dh_creds_entry(struct gm_out *out, const struct gm_bytes *names, unsigned n,
                           const struct gm_group_params *p, struct gm_bytes kdc_cred);
/* Whether the id of such an entry, raw, names the group: one name, or an array of several. */
bool gm_info_names(struct gm_bytes id, struct gm_bytes name);
/* The credential that kdc_dh_creds, a raw array of such entries, has for a group. MISSING: none; else as cbor.h */
GM_NODISCARD enum gm_err gm_kdc_dh_creds_find(struct gm_bytes kdc_dh_creds, struct gm_bytes name,
                                              struct gm_bytes *cred);

/* ---- Join */
enum gm_creds_asked { GM_CREDS_NO, GM_CREDS_NEEDED /* null */, GM_CREDS_ROLES };
#define GM_ROLE_FILTER_MAX 8u

struct gm_join_request {
	struct gm_bytes scope; /* bstr contents, as received */
	struct gm_bytes group; /* its name */
	uint32_t roles;
	enum gm_creds_asked get_creds;
	uint8_t role_filter_n;
	uint8_t role_filter[GM_ROLE_FILTER_MAX];
	bool has_cred, has_verify;                         /* present, possibly empty */
	struct gm_bytes cred, verify, cnonce, control_uri; /* control_uri.p == NULL: absent */
};
/* BAD_JOIN on what is malformed: not a map, no scope of one entry, role sets other than 2, 4, 6, 8, no cnonce, bad
 * get_creds, duplicate labels. Unknown labels are ignored; names are the caller's to compare.
 *                                                                                        RFC 9594 §4.3.1, KG §6.1 */
GM_NODISCARD enum gm_err gm_join_request_decode(struct gm_bytes payload, struct gm_join_request *request);
void gm_join_request_encode(struct gm_out *out, const struct gm_join_request *request);
/* scope of one entry, as in a Join: bytes of [name, roles] */
void gm_join_scope_encode(struct gm_out *out, struct gm_bytes name, uint32_t roles);
/* bstr(a) || bstr(b) || bstr(c); c.p == NULL: two parts. The input of a proof of possession. KG §6.1 */
void gm_pop_input(struct gm_out *out, struct gm_bytes a, struct gm_bytes b, struct gm_bytes c);

/* The MAC that proves possession in a pairwise-only group, with HKDF-SHA-256 whatever the group's hkdf is. secret: the
 * static-static Diffie-Hellman secret of member and Group Manager.                       KG §6.1 */
#define GM_POP_MAC 8u
void gm_pop_mac(uint8_t mac[static GM_POP_MAC], struct gm_bytes secret, struct gm_bytes pop_input);

/* 4.00 with what a joiner has to know: 29 sign_info where the group signs, 30 kdcchallenge unless p == NULL, 31
 * ecdh_info where it has pairwise mode, 32 kdc_dh_creds where it has nothing else; kdc_cred is not looked at
 * elsewhere.                                                                             KG §6.2 */
void gm_join_info_encode(struct gm_out *out, struct gm_bytes name, const struct gm_group_params *p,
                         struct gm_bytes kdc_cred, struct gm_bytes challenge);

struct gm_join_info { /* p == NULL: absent */
	struct gm_bytes challenge;
	struct gm_bytes sign_info, ecdh_info, kdc_dh_creds; /* raw arrays */
};
/* Also the 4.00 to an upload of a credential, which has the challenge only. Errors of cbor.h */
GM_NODISCARD enum gm_err gm_join_info_decode(struct gm_bytes payload, struct gm_join_info *info);

/* ---- keying material */
struct gm_keying { /* one version of a group's keys; secret */
	const struct gm_group_params *params;
	struct gm_bytes ms, salt, gid;
	struct gm_bytes sid; /* p == NULL: left out */
	uint64_t num;
	int64_t exp;  /* epoch seconds */
	uint64_t exi; /* seconds left */
};

struct gm_policies { /* seconds; -1: absent */
	int64_t check_interval, expiration_delta;
};
/* The pair 16 group_policies: a map of those that are present */
void gm_policies_put_pair(struct gm_out *out, const struct gm_policies *policies);

struct gm_join_response {
	struct gm_keying keying;
	struct gm_bytes kdc_cred, kdc_nonce, kdc_verify;
	bool has_creds;
	struct gm_bytes creds; /* raw CBOR of three pairs: 13 creds, 14 peer_roles, 15 peer_identifiers */
	uint32_t check_interval, expiration_delta; /* seconds, group_policies 1 and 2 */
};
void gm_join_response_encode(struct gm_out *out, const struct gm_join_response *response);

/* GET /ace-group/G and nodes/N. stale.p != NULL: the superset for notifications of a rekey, raw CBOR array for label
 * 34; joiners.p != NULL: raw three pairs as in creds above.                                  KG §9.1 */
void gm_keying_encode(struct gm_out *out, const struct gm_keying *keying, struct gm_bytes stale,
                      struct gm_bytes joiners);
/* The rekeying message: key has ms, contextId, salt only.                                 KG §11.1 */
void gm_rekey_encode(struct gm_out *out, const struct gm_keying *keying, struct gm_bytes stale,
                     struct gm_bytes joiners);
/* What a group that was deleted is announced with at control_uri: no keys.                GA §6.8.1 */
void gm_group_end_encode(struct gm_out *out);
/* A changed configuration, for members: algorithms and formats in key, k->num the version whose keys they hold, exp; k->ms,
 * salt, gid, sid and exi are not looked at.                                                 GA §6.6.2 */
void gm_configuration_encode(struct gm_out *out, const struct gm_keying *k);
/* What signature verifiers get: key has identifiers of algorithms, the form of credentials and the Gid, nothing that
 * decrypts. k->ms, salt and sid are not looked at.                                        KG §9.6 */
void gm_verif_data_encode(struct gm_out *out, const struct gm_keying *k, struct gm_bytes sign_enc_key);

/* Signature Encryption Key, n bytes as gp_enc_alg asks for. sekey is the caller's to wipe. RANGE: the group does not
 * sign, or its HKDF or gp_enc_alg is unknown.    draft-ietf-core-oscore-groupcomm §2.1.9, RFC 8613 §3.2.1
 */
#define GM_SEKEY_MAX 32u
GM_NODISCARD enum gm_err gm_group_sekey(const struct gm_keying *k, uint8_t sekey[static GM_SEKEY_MAX], size_t *n);

/* {0: {0: id}} with detail under -2 where text is not empty                               CF 257 */
void gm_problem_encode(struct gm_out *out, int id, const char *text);

/* Any keying map on the receiving side: Join Response, GET, notification, rekeying message. For the load generator and
 * tests. */
struct gm_keying_map {
	int64_t num, exp, exi, gkty, profile; /* -1: absent; exp: epoch seconds, exi: seconds left */
	struct gm_bytes ms, salt, gid, sid;
	struct gm_group_params params; /* what the key object named; the rest 0 */
	bool has_params;               /* false: ms, salt, gid only */
	struct gm_bytes kdc_cred, kdc_nonce, kdc_verify;
	struct gm_bytes creds, peer_roles, peer_ids, stale; /* raw CBOR arrays; p == NULL: absent */
	struct gm_bytes policies;
	struct gm_bytes sign_enc_key; /* p != NULL: a verifier's data, without ms, salt, sid */
};
/* Also {21: Sender ID}, the answer to a Key Renewal: sid only. MISSING: no key, or a key without contextId, or without
 * ms where there is no sign_enc_key; else the errors of cbor.h. */
GM_NODISCARD enum gm_err gm_keying_decode(struct gm_bytes payload, struct gm_keying_map *map);
/* A changed configuration. MISSING: no key, num or exp, or no algorithms in key; MALFORMED: keys in it; else as above */
GM_NODISCARD enum gm_err gm_configuration_decode(struct gm_bytes payload, struct gm_keying_map *map);

#endif
