/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to and answers of a group's resources beside Join and keying maps: RFC 9594 §4,
 * draft-ietf-ace-key-groupcomm-oscore-21 ("KG") §8, §9. Borrowed memory, no allocation, any thread.
 *
 * Each format has both directions, so that one table has its labels; what the Group Manager does not need is its peer's, for
 * tests and fuzz targets.
 *
 * Decoders fail with MISSING for an absent field, RANGE for one beyond a bound, TYPE, or the errors of cbor.h and
 * fields.h; each of them means 4.00. On failure the struct is all zero. */
#ifndef GM_WIRE_RESOURCES_H
#define GM_WIRE_RESOURCES_H

#include "wire/fields.h"
#include "wire/groupcomm.h"

/* What is answered where nothing was found: the single byte 0x40                         RFC 9594 §4.2.1, 4.4.1, 4.6.1
 */
void gm_nothing_encode(struct gm_out *out);
bool gm_is_nothing(struct gm_bytes payload);

/* ---- /ace-group FETCH: Gids to names                                                   RFC 9594 §4.2.1, KG §9.10 */
GM_NODISCARD enum gm_err gm_gids_decode(struct gm_bytes payload, struct gm_list *gids); /* one or more bstr */
void gm_gids_encode(struct gm_out *out, const struct gm_bytes *gids, unsigned n);

struct gm_group_name {
	struct gm_bytes gid, name;
};
/* {0: gids, 1: names, 2: URIs}, the URIs being paths: "/ace-group/" and the name, percent-encoded where needed; n == 0:
 * nothing found */
void gm_group_names_encode(struct gm_out *out, const struct gm_group_name *groups, unsigned n);

struct gm_group_names { /* three lists of one length; of length 0 where nothing was found */
	struct gm_list gids, names, uris;
};
GM_NODISCARD enum gm_err gm_group_names_decode(struct gm_bytes payload, struct gm_group_names *names);

/* ---- creds                                                                              RFC 9594 §4.4, KG §9.3 */
#define GM_ID_FILTER_MAX 1000u

struct gm_creds_filter {
	bool include; /* inclusion_flag */
	uint8_t roles_n;
	uint8_t roles[GM_ROLE_FILTER_MAX];
	struct gm_list ids; /* bstr, at most GM_ID_FILTER_MAX */
};
/* {4: [inclusion_flag, [* roles], [* Sender ID]]}. MALFORMED: both filters are empty; RANGE: more entries than bounds
 * allow, or an entry that is no set of roles. */
GM_NODISCARD enum gm_err gm_creds_filter_decode(struct gm_bytes payload, struct gm_creds_filter *filter);
void gm_creds_filter_encode(struct gm_out *out, const struct gm_creds_filter *filter);
/* true where a member with these roles and this Sender ID passes. Costs a walk over the ids: who looks up a few of
 * many members walks filter->ids instead.                                                RFC 9594 §4.4.1 */
bool gm_creds_filter_takes(const struct gm_creds_filter *filter, uint32_t roles, struct gm_bytes sid);
/* true where it takes just those that ids names: they can be looked up one by one */
static inline bool gm_creds_filter_names(const struct gm_creds_filter *filter)
{
	return filter->include && !filter->roles_n;
}

struct gm_creds { /* credentials, roles and Sender IDs: lists of one length, in one order */
	struct gm_list creds, roles, sids;
};
/* The three pairs 13, 14, 15 for a Join Response, a notification or a rekeying message */
void gm_creds_put_pairs(struct gm_out *out, const struct gm_creds *creds);
/* Answer to GET and FETCH: {9: num, 13, 14, 15}. From a GET no member is {..., 13: [], ...}; where a FETCH finds none,
 * the caller answers with gm_nothing_encode(). */
void gm_creds_answer_encode(struct gm_out *out, uint64_t num, const struct gm_creds *creds);

struct gm_cred_row { /* of one member */
	struct gm_bytes cred, sid;
	uint32_t roles;
};
typedef struct gm_cred_row (*gm_cred_row_at)(const void *arg, uint32_t i);
/* The same three pairs, and the same answer, of n members one after the other: who has no lists */
void gm_creds_put_rows(struct gm_out *out, uint32_t n, gm_cred_row_at at, const void *arg);
void gm_creds_answer_rows(struct gm_out *out, uint64_t num, uint32_t n, gm_cred_row_at at, const void *arg);
/* Also of nothing: three empty lists, num -1. MALFORMED: lists of several lengths */
GM_NODISCARD enum gm_err gm_creds_answer_decode(struct gm_bytes payload, int64_t *num, struct gm_creds *creds);

/* ---- kdc-cred                                                                           RFC 9594 §4.5, KG §9.5 */
GM_NODISCARD enum gm_err gm_cnonce_decode(struct gm_bytes payload, struct gm_bytes *cnonce); /* FETCH {6: cnonce} */
void gm_cnonce_encode(struct gm_out *out, struct gm_bytes cnonce);

struct gm_kdc_cred {
	struct gm_bytes cred, nonce, verify;
};
void gm_kdc_cred_encode(struct gm_out *out, const struct gm_kdc_cred *kdc);
GM_NODISCARD enum gm_err gm_kdc_cred_decode(struct gm_bytes payload, struct gm_kdc_cred *kdc);

/* ---- policies, num, active, stale-sids                                                  RFC 9594 §4.6, 4.7, KG §8 */
void gm_policies_encode(struct gm_out *out, const struct gm_policies *policies); /* nothing where all are absent */
GM_NODISCARD enum gm_err gm_policies_decode(struct gm_bytes payload, struct gm_policies *policies);
/* A version: the answer of num, the request to stale-sids */
void gm_num_encode(struct gm_out *out, uint64_t num);
GM_NODISCARD enum gm_err gm_num_decode(struct gm_bytes payload, uint64_t *num);
void gm_active_encode(struct gm_out *out, bool active);
GM_NODISCARD enum gm_err gm_active_decode(struct gm_bytes payload, bool *active);
void gm_stale_encode(struct gm_out *out, const struct gm_bytes *sids, unsigned n);
GM_NODISCARD enum gm_err gm_stale_decode(struct gm_bytes payload, struct gm_list *sids);

/* ---- nodes/N and nodes/N/cred                                                           KG §9.2, §9.4 */
/* Answer to a Key Renewal; gm_keying_decode() reads it. */
void gm_renewal_encode(struct gm_out *out, struct gm_bytes sid);

struct gm_cred_upload { /* verify may be empty, which proves nothing */
	struct gm_bytes cred, cnonce, verify;
};
GM_NODISCARD enum gm_err gm_cred_upload_decode(struct gm_bytes payload, struct gm_cred_upload *upload);
void gm_cred_upload_encode(struct gm_out *out, const struct gm_cred_upload *upload);

#endif
