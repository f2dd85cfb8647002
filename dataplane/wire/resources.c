/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/resources.h"

#include "wire/cbor.h"
#include "wire/links.h"

/* One map with all of the fields in it; others are ignored. */
static enum gm_err decode_map(struct gm_bytes payload, const struct gm_field *fields, size_t n, void *to)
{
	struct gm_in in = gm_in_bytes(payload);
	uint32_t all = (1u << n) - 1;
	uint32_t seen = gm_fields_read(&in, fields, n, to);

	GM_TRY(gm_cbor_end(&in));
	return (seen & all) == all ? GM_E_OK : GM_E_MISSING;
}

static bool sized(struct gm_bytes b, size_t min, size_t max)
{
	return b.n >= min && b.n <= max;
}

static void put_array(struct gm_out *out, const struct gm_bytes *v, unsigned n)
{
	gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_bstr(out, v[i].p, v[i].n);
}

void gm_nothing_encode(struct gm_out *out)
{
	gm_cbor_put_bstr(out, NULL, 0);
}

bool gm_is_nothing(struct gm_bytes payload)
{
	return payload.n == 1 && payload.p[0] == 0x40;
}

/* ---- /ace-group */

struct raw { /* up to three items below their labels */
	struct gm_bytes item[3];
};

static const struct gm_field gids_fields[] = {{GM_LABEL_GID, GM_FIELD_ITEM, offsetof(struct raw, item[0])}};

enum gm_err gm_gids_decode(struct gm_bytes payload, struct gm_list *gids)
{
	struct raw raw = {0};
	struct gm_list l;

	*gids = (struct gm_list){0};
	GM_TRY(decode_map(payload, gids_fields, GM_FIELDS_N(gids_fields), &raw));
	if (!gm_list_decode(raw.item[0], GM_CBOR_BSTR, &l))
		return GM_E_TYPE;
	if (!l.n)
		return GM_E_MISSING;
	*gids = l;
	return GM_E_OK;
}

void gm_gids_encode(struct gm_out *out, const struct gm_bytes *gids, unsigned n)
{
	gm_cbor_put_map(out, 1);
	gm_cbor_put_int(out, GM_LABEL_GID);
	put_array(out, gids, n);
}

static void put_uri(struct gm_out *out, struct gm_bytes name)
{
	uint8_t text[sizeof(GM_GROUPS_PATH) + 3 * GM_GROUP_NAME_MAX];
	struct gm_out uri = gm_out(text, sizeof(text));

	gm_group_path_encode(&uri, name);
	gm_cbor_put_tstr(out, text, gm_out_len(&uri));
	if (uri.err != GM_E_OK && out->err == GM_E_OK)
		out->err = uri.err;
}

void gm_group_names_encode(struct gm_out *out, const struct gm_group_name *groups, unsigned n)
{
	if (!n) {
		gm_nothing_encode(out);
		return;
	}
	gm_cbor_put_map(out, 3);
	gm_cbor_put_int(out, GM_LABEL_GID);
	gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_bstr(out, groups[i].gid.p, groups[i].gid.n);
	gm_cbor_put_int(out, GM_LABEL_GNAME);
	gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_tstr(out, groups[i].name.p, groups[i].name.n);
	gm_cbor_put_int(out, GM_LABEL_GURI);
	gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		put_uri(out, groups[i].name);
}

static const struct gm_field names_fields[] = {
    {GM_LABEL_GID, GM_FIELD_ITEM, offsetof(struct raw, item[0])},
    {GM_LABEL_GNAME, GM_FIELD_ITEM, offsetof(struct raw, item[1])},
    {GM_LABEL_GURI, GM_FIELD_ITEM, offsetof(struct raw, item[2])},
};

/* Three parallel lists of these types */
static enum gm_err read_lists(const struct raw *raw, const enum gm_cbor_type types[static 3],
                              struct gm_list l[static 3])
{
	for (unsigned i = 0; i < 3; i++)
		if (!gm_list_decode(raw->item[i], types[i], &l[i]))
			return GM_E_TYPE;
	return l[0].n == l[1].n && l[0].n == l[2].n ? GM_E_OK : GM_E_MALFORMED;
}

enum gm_err gm_group_names_decode(struct gm_bytes payload, struct gm_group_names *names)
{
	static const enum gm_cbor_type types[3] = {GM_CBOR_BSTR, GM_CBOR_TSTR, GM_CBOR_TSTR};
	struct raw raw = {0};
	struct gm_list l[3];

	*names = (struct gm_group_names){0};
	if (gm_is_nothing(payload))
		return GM_E_OK;
	GM_TRY(decode_map(payload, names_fields, GM_FIELDS_N(names_fields), &raw));
	GM_TRY(read_lists(&raw, types, l));
	*names = (struct gm_group_names){l[0], l[1], l[2]};
	return GM_E_OK;
}

/* ---- creds */

static const struct gm_field filter_fields[] = {{GM_LABEL_GET_CREDS, GM_FIELD_ARRAY, offsetof(struct raw, item[0])}};

static enum gm_err read_roles(struct gm_list l, struct gm_creds_filter *f)
{
	uint64_t roles;

	if (l.n > GM_ROLE_FILTER_MAX)
		return GM_E_RANGE;
	while (gm_list_uint(&l, &roles)) {
		if (roles == 0 || roles & ~(uint64_t)GM_ROLES_ALL)
			return GM_E_RANGE;
		f->roles[f->roles_n++] = (uint8_t)roles;
	}
	return GM_E_OK;
}

static enum gm_err read_filter(struct gm_bytes item, struct gm_creds_filter *f)
{
	struct gm_in in = gm_in_bytes(item);
	struct gm_list roles;

	if (gm_cbor_array(&in) != 3)
		return GM_E_MALFORMED;
	f->include = gm_cbor_bool(&in);
	if (in.err != GM_E_OK)
		return in.err;
	struct gm_bytes role_filter = gm_cbor_item(&in), id_filter = gm_cbor_item(&in);
	if (!gm_list_decode(role_filter, GM_CBOR_UINT, &roles) || !gm_list_decode(id_filter, GM_CBOR_BSTR, &f->ids))
		return GM_E_TYPE;
	if (f->ids.n > GM_ID_FILTER_MAX)
		return GM_E_TOO_LARGE;
	GM_TRY(read_roles(roles, f));
	return f->roles_n || f->ids.n ? GM_E_OK : GM_E_MALFORMED;
}

enum gm_err gm_creds_filter_decode(struct gm_bytes payload, struct gm_creds_filter *filter)
{
	struct raw raw = {0};
	struct gm_creds_filter f = {0};

	*filter = f;
	GM_TRY(decode_map(payload, filter_fields, GM_FIELDS_N(filter_fields), &raw));
	GM_TRY(read_filter(raw.item[0], &f));
	*filter = f;
	return GM_E_OK;
}

void gm_creds_filter_encode(struct gm_out *out, const struct gm_creds_filter *f)
{
	gm_cbor_put_map(out, 1);
	gm_cbor_put_int(out, GM_LABEL_GET_CREDS);
	gm_cbor_put_array(out, 3);
	gm_cbor_put_bool(out, f->include);
	gm_cbor_put_array(out, f->roles_n);
	for (unsigned i = 0; i < f->roles_n; i++)
		gm_cbor_put_uint(out, f->roles[i]);
	gm_list_encode(out, f->ids);
}

/* Each element is a set of roles to be had together; one element that is had suffices. */
static bool has_roles(const struct gm_creds_filter *f, uint32_t roles)
{
	for (unsigned i = 0; i < f->roles_n; i++)
		if ((roles & f->roles[i]) == f->roles[i])
			return true;
	return false;
}

static bool has_id(struct gm_list ids, struct gm_bytes sid)
{
	struct gm_bytes id;

	while (gm_list_bstr(&ids, &id))
		if (gm_bytes_eq(id, sid))
			return true;
	return false;
}

bool gm_creds_filter_takes(const struct gm_creds_filter *f, uint32_t roles, struct gm_bytes sid)
{
	if (!f->ids.n)
		return has_roles(f, roles);
	if (f->include)
		return has_roles(f, roles) || has_id(f->ids, sid);
	return (!f->roles_n || has_roles(f, roles)) && !has_id(f->ids, sid);
}

void gm_creds_put_pairs(struct gm_out *out, const struct gm_creds *creds)
{
	gm_cbor_put_int(out, GM_LABEL_CREDS);
	gm_list_encode(out, creds->creds);
	gm_cbor_put_int(out, GM_LABEL_PEER_ROLES);
	gm_list_encode(out, creds->roles);
	gm_cbor_put_int(out, GM_LABEL_PEER_IDENTIFIERS);
	gm_list_encode(out, creds->sids);
}

static void put_num(struct gm_out *out, uint64_t num)
{
	gm_cbor_put_map(out, 4);
	gm_cbor_put_int(out, GM_LABEL_NUM);
	gm_cbor_put_uint(out, num);
}

void gm_creds_answer_encode(struct gm_out *out, uint64_t num, const struct gm_creds *creds)
{
	put_num(out, num);
	gm_creds_put_pairs(out, creds);
}

void gm_creds_put_rows(struct gm_out *out, uint32_t n, gm_cred_row_at at, const void *arg)
{
	gm_cbor_put_int(out, GM_LABEL_CREDS);
	gm_cbor_put_array(out, n);
	for (uint32_t i = 0; i < n; i++) {
		struct gm_bytes cred = at(arg, i).cred;
		gm_cbor_put_bstr(out, cred.p, cred.n);
	}
	gm_cbor_put_int(out, GM_LABEL_PEER_ROLES);
	gm_cbor_put_array(out, n);
	for (uint32_t i = 0; i < n; i++)
		gm_cbor_put_uint(out, at(arg, i).roles);
	gm_cbor_put_int(out, GM_LABEL_PEER_IDENTIFIERS);
	gm_cbor_put_array(out, n);
	for (uint32_t i = 0; i < n; i++) {
		struct gm_bytes sid = at(arg, i).sid;
		gm_cbor_put_bstr(out, sid.p, sid.n);
	}
}

void gm_creds_answer_rows(struct gm_out *out, uint64_t num, uint32_t n, gm_cred_row_at at, const void *arg)
{
	put_num(out, num);
	gm_creds_put_rows(out, n, at, arg);
}

struct creds_fields {
	struct raw raw;
	int64_t num;
};

static const struct gm_field creds_fields[] = {
    {GM_LABEL_NUM, GM_FIELD_UINT, offsetof(struct creds_fields, num)},
    {GM_LABEL_CREDS, GM_FIELD_ITEM, offsetof(struct creds_fields, raw.item[0])},
    {GM_LABEL_PEER_ROLES, GM_FIELD_ITEM, offsetof(struct creds_fields, raw.item[1])},
    {GM_LABEL_PEER_IDENTIFIERS, GM_FIELD_ITEM, offsetof(struct creds_fields, raw.item[2])},
};

enum gm_err gm_creds_answer_decode(struct gm_bytes payload, int64_t *num, struct gm_creds *creds)
{
	static const enum gm_cbor_type types[3] = {GM_CBOR_BSTR, GM_CBOR_UINT, GM_CBOR_BSTR};
	struct creds_fields f = {0};
	struct gm_list l[3];

	*num = -1;
	*creds = (struct gm_creds){0};
	if (gm_is_nothing(payload))
		return GM_E_OK;
	GM_TRY(decode_map(payload, creds_fields, GM_FIELDS_N(creds_fields), &f));
	GM_TRY(read_lists(&f.raw, types, l));
	*num = f.num;
	*creds = (struct gm_creds){l[0], l[1], l[2]};
	return GM_E_OK;
}

/* ---- kdc-cred */

static const struct gm_field cnonce_fields[] = {{GM_LABEL_CNONCE, GM_FIELD_BSTR, offsetof(struct raw, item[0])}};

enum gm_err gm_cnonce_decode(struct gm_bytes payload, struct gm_bytes *cnonce)
{
	struct raw raw = {0};

	*cnonce = (struct gm_bytes){0};
	GM_TRY(decode_map(payload, cnonce_fields, GM_FIELDS_N(cnonce_fields), &raw));
	if (!sized(raw.item[0], 1, GM_NONCE_MAX))
		return GM_E_RANGE;
	*cnonce = raw.item[0];
	return GM_E_OK;
}

void gm_cnonce_encode(struct gm_out *out, struct gm_bytes cnonce)
{
	gm_cbor_put_map(out, 1);
	gm_pair_bytes(out, GM_LABEL_CNONCE, cnonce);
}

static const struct gm_field kdc_fields[] = {
    {GM_LABEL_KDC_CRED, GM_FIELD_BSTR, offsetof(struct gm_kdc_cred, cred)},
    {GM_LABEL_KDC_NONCE, GM_FIELD_BSTR, offsetof(struct gm_kdc_cred, nonce)},
    {GM_LABEL_KDC_CRED_VERIFY, GM_FIELD_BSTR, offsetof(struct gm_kdc_cred, verify)},
};

void gm_kdc_cred_encode(struct gm_out *out, const struct gm_kdc_cred *kdc)
{
	gm_cbor_put_map(out, 3);
	gm_pair_bytes(out, GM_LABEL_KDC_CRED, kdc->cred);
	gm_pair_bytes(out, GM_LABEL_KDC_NONCE, kdc->nonce);
	gm_pair_bytes(out, GM_LABEL_KDC_CRED_VERIFY, kdc->verify);
}

enum gm_err gm_kdc_cred_decode(struct gm_bytes payload, struct gm_kdc_cred *kdc)
{
	struct gm_kdc_cred k = {0};

	*kdc = k;
	GM_TRY(decode_map(payload, kdc_fields, GM_FIELDS_N(kdc_fields), &k));
	*kdc = k;
	return GM_E_OK;
}

/* ---- policies, num, active, stale-sids */

static const struct gm_field policies_fields[] = {
    {GM_LABEL_GROUP_POLICIES, GM_FIELD_MAP, offsetof(struct raw, item[0])}};

static const struct gm_field policy_fields[] = {
    {GM_POLICY_CHECK_INTERVAL, GM_FIELD_UINT, offsetof(struct gm_policies, check_interval)},
    {GM_POLICY_EXPIRATION_DELTA, GM_FIELD_UINT, offsetof(struct gm_policies, expiration_delta)},
};

void gm_policies_encode(struct gm_out *out, const struct gm_policies *policies)
{
	if (policies->check_interval < 0 && policies->expiration_delta < 0) {
		gm_nothing_encode(out);
		return;
	}
	gm_cbor_put_map(out, 1);
	gm_policies_put_pair(out, policies);
}

enum gm_err gm_policies_decode(struct gm_bytes payload, struct gm_policies *policies)
{
	struct raw raw = {0};
	struct gm_policies p = {-1, -1};

	*policies = p;
	if (gm_is_nothing(payload))
		return GM_E_OK;
	GM_TRY(decode_map(payload, policies_fields, GM_FIELDS_N(policies_fields), &raw));
	GM_TRY(gm_fields_decode(raw.item[0], policy_fields, GM_FIELDS_N(policy_fields), &p));
	*policies = p;
	return GM_E_OK;
}

void gm_num_encode(struct gm_out *out, uint64_t num)
{
	gm_cbor_put_uint(out, num);
}

enum gm_err gm_num_decode(struct gm_bytes payload, uint64_t *num)
{
	struct gm_in in = gm_in_bytes(payload);
	uint64_t v = gm_cbor_uint(&in);
	enum gm_err err = gm_cbor_end(&in);

	*num = err == GM_E_OK ? v : 0;
	return err;
}

void gm_active_encode(struct gm_out *out, bool active)
{
	gm_cbor_put_bool(out, active);
}

enum gm_err gm_active_decode(struct gm_bytes payload, bool *active)
{
	struct gm_in in = gm_in_bytes(payload);
	bool v = gm_cbor_bool(&in);
	enum gm_err err = gm_cbor_end(&in);

	*active = err == GM_E_OK && v;
	return err;
}

void gm_stale_encode(struct gm_out *out, const struct gm_bytes *sids, unsigned n)
{
	put_array(out, sids, n);
}

enum gm_err gm_stale_decode(struct gm_bytes payload, struct gm_list *sids)
{
	if (gm_list_decode(payload, GM_CBOR_BSTR, sids))
		return GM_E_OK;
	*sids = (struct gm_list){0};
	return GM_E_TYPE;
}

/* ---- nodes/N */

void gm_renewal_encode(struct gm_out *out, struct gm_bytes sid)
{
	gm_cbor_put_map(out, 1);
	gm_pair_bytes(out, GM_LABEL_GROUP_SENDERID, sid);
}

static const struct gm_field upload_fields[] = {
    {GM_LABEL_CLIENT_CRED, GM_FIELD_BSTR, offsetof(struct gm_cred_upload, cred)},
    {GM_LABEL_CNONCE, GM_FIELD_BSTR, offsetof(struct gm_cred_upload, cnonce)},
    {GM_LABEL_CLIENT_CRED_VERIFY, GM_FIELD_BSTR, offsetof(struct gm_cred_upload, verify)},
};

enum gm_err gm_cred_upload_decode(struct gm_bytes payload, struct gm_cred_upload *upload)
{
	struct gm_cred_upload u = {0};

	*upload = u;
	GM_TRY(decode_map(payload, upload_fields, GM_FIELDS_N(upload_fields), &u));
	if (!sized(u.cnonce, 1, GM_NONCE_MAX) || u.cred.n > GM_CRED_MAX)
		return GM_E_RANGE;
	*upload = u;
	return GM_E_OK;
}

void gm_cred_upload_encode(struct gm_out *out, const struct gm_cred_upload *u)
{
	gm_cbor_put_map(out, 3);
	gm_pair_bytes(out, GM_LABEL_CLIENT_CRED, u->cred);
	gm_pair_bytes(out, GM_LABEL_CNONCE, u->cnonce);
	gm_pair_bytes(out, GM_LABEL_CLIENT_CRED_VERIFY, u->verify);
}
