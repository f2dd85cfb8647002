/* SPDX-License-Identifier: Apache-2.0 */
/* Group configurations of draft-ietf-ace-oscore-gm-admin-17 ("GA"), CF 261, and the pattern entries of an administrator's
 * scope. Borrowed memory, no allocation, any thread. */
#ifndef GM_WIRE_ADMIN_H
#define GM_WIRE_ADMIN_H

#include "wire/fields.h"
#include "wire/groupcomm.h"

/* Parameters, in the order in which a representation has them. Labels: GA §7; 10, 11 and 16 are those of RFC 9594. */
enum gm_admin_param {
	GM_ADMIN_HKDF,
	GM_ADMIN_CRED_FMT,
	GM_ADMIN_GROUP_MODE,
	GM_ADMIN_GP_ENC_ALG,
	GM_ADMIN_SIGN_ALG,
	GM_ADMIN_SIGN_PARAMS,
	GM_ADMIN_PAIRWISE_MODE,
	GM_ADMIN_ALG,
	GM_ADMIN_ECDH_ALG,
	GM_ADMIN_ECDH_PARAMS,
	GM_ADMIN_DET_REQ,
	GM_ADMIN_DET_HASH_ALG,
	GM_ADMIN_RT,
	GM_ADMIN_ACTIVE,
	GM_ADMIN_GROUP_NAME,
	GM_ADMIN_GROUP_DESCRIPTION,
	GM_ADMIN_PROFILE,
	GM_ADMIN_MAX_STALE_SETS,
	GM_ADMIN_EXP,
	GM_ADMIN_GID_REUSE,
	GM_ADMIN_APP_GROUPS,
	GM_ADMIN_JOINING_URI,
	GM_ADMIN_GROUP_POLICIES,
	GM_ADMIN_AS_URI,
	GM_ADMIN_APP_GROUPS_DIFF, /* PATCH and iPATCH only */
	GM_ADMIN_N
};
#define GM_ADMIN_BIT(param) (1u << (param))
#define GM_ADMIN_MODES (GM_ADMIN_BIT(GM_ADMIN_GROUP_MODE) | GM_ADMIN_BIT(GM_ADMIN_PAIRWISE_MODE))
#define GM_ADMIN_OF_GROUP_MODE                                                                                         \
	(GM_ADMIN_BIT(GM_ADMIN_GP_ENC_ALG) | GM_ADMIN_BIT(GM_ADMIN_SIGN_ALG) | GM_ADMIN_BIT(GM_ADMIN_SIGN_PARAMS))
#define GM_ADMIN_OF_PAIRWISE_MODE                                                                                      \
	(GM_ADMIN_BIT(GM_ADMIN_ALG) | GM_ADMIN_BIT(GM_ADMIN_ECDH_ALG) | GM_ADMIN_BIT(GM_ADMIN_ECDH_PARAMS))
#define GM_ADMIN_RT_GCONF "core.osc.gconf"

#define GM_ADMIN_DESCRIPTION_MAX 256u
#define GM_ADMIN_URI_MAX 127u
#define GM_ADMIN_APP_GROUPS_MAX 512u /* encoded, bytes */

#define GM_ADMIN_ALG_TEXT INT32_MIN /* an algorithm named by a text: nothing here knows one */

struct gm_admin_caps { /* [[kty], [kty, crv]]; crv 0: [[kty], [kty]]; kty 0: another array */
	int32_t kty, crv;
};
struct gm_admin_map {
	uint32_t has, null; /* GM_ADMIN_BIT()s; null: there, with value null */
	bool unknown;       /* a label that is no parameter of these */
	int32_t hkdf, cred_fmt, gp_enc_alg, sign_alg, alg, ecdh_alg, det_hash_alg, profile;
	struct gm_admin_caps sign_params, ecdh_params;
	bool group_mode, pairwise_mode, det_req, active, gid_reuse;
	int64_t max_stale_sets, exp; /* exp: epoch seconds */
	struct gm_policies policies; /* as stored; -1: not named */
	struct gm_bytes rt, group_name, group_description, joining_uri, as_uri; /* contents */
	struct gm_bytes name_pattern; /* p != NULL: the raw tagged item that stood for group_name */
	struct gm_list app_groups, del, add;
};

/* Any map of parameters: a new or changed configuration, criteria, a representation. MALFORMED, TYPE, RANGE, DUPLICATE:
 * which parameter was being read then stands in *at, GM_ADMIN_N: none.                     GA §5.1, §6 */
GM_NODISCARD enum gm_err gm_admin_decode(struct gm_bytes payload, struct gm_admin_map *map, enum gm_admin_param *at);
/* The parameters that are in map and in mask */
void gm_admin_encode(struct gm_out *out, const struct gm_admin_map *map, uint32_t mask);
/* The parameters of mask that `from` has replace those of `to`. */
void gm_admin_overlay(struct gm_admin_map *to, const struct gm_admin_map *from, uint32_t mask);
bool gm_admin_same(const struct gm_admin_map *a, const struct gm_admin_map *b, enum gm_admin_param param);
const char *gm_admin_name(enum gm_admin_param param);

/* {-27: [labels]}: the parameters asked for; labels of none are passed over.               GA §6.5 */
GM_NODISCARD enum gm_err gm_admin_filter_decode(struct gm_bytes payload, uint32_t *mask);
void gm_admin_filter_encode(struct gm_out *out, uint32_t mask);

/* Names of `base` without those of del, and those of add, each once, as one array. ROOM    GA §6.7 */
void gm_admin_names_encode(struct gm_out *out, struct gm_list base, struct gm_list del, struct gm_list add);
/* true where some name stands in both */
bool gm_admin_names_meet(struct gm_list a, struct gm_list b);

/* ---- who may administer what                                                            GA §3 */
#define GM_PERM_LIST 0x01u
#define GM_PERM_CREATE 0x02u
#define GM_PERM_READ 0x04u
#define GM_PERM_WRITE 0x08u
#define GM_PERM_DELETE 0x10u
/* toid: raw CBOR of true, a name, or a tagged pattern. Tags other than 21065 match nothing. */
bool gm_admin_pattern_takes(struct gm_bytes toid, struct gm_bytes name);
bool gm_admin_scope(struct gm_bytes scope); /* has an entry of this kind */
/* Union of the permissions of all entries that match name; 0: none does */
GM_NODISCARD uint32_t gm_admin_perms(struct gm_bytes scope, struct gm_bytes name);

/* ---- list of configurations: one link each, CF 40                                      GA §6.1 */
void gm_admin_link(struct gm_out *out, struct gm_bytes name);

#endif
