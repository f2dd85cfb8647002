/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/admin.h"

#include "wire/iregexp.h"

#define LABEL_CONF_FILTER (-27)
#define TAG_IREGEXP 21065u

/* ---- one reader and one writer for each kind of value */

static void read_alg(struct gm_in *in, void *to)
{
	int32_t *alg = to;

	if (gm_cbor_peek(in) == GM_CBOR_TSTR) {
		gm_cbor_tstr(in);
		*alg = GM_ADMIN_ALG_TEXT;
		return;
	}
	int64_t v = gm_cbor_int(in);
	if (v <= INT32_MIN || v > INT32_MAX)
		gm_in_fail(in, GM_E_RANGE);
	else
		*alg = (int32_t)v;
}

static void read_int(struct gm_in *in, void *to)
{
	if (gm_cbor_peek(in) == GM_CBOR_TSTR)
		gm_in_fail(in, GM_E_TYPE);
	else
		read_alg(in, to);
}

static void write_int(struct gm_out *out, const void *from)
{
	gm_cbor_put_int(out, *(const int32_t *)from);
}

static void read_bool(struct gm_in *in, void *to)
{
	*(bool *)to = gm_cbor_bool(in);
}

static void write_bool(struct gm_out *out, const void *from)
{
	gm_cbor_put_bool(out, *(const bool *)from);
}

static int32_t small_int(struct gm_in *in)
{
	int64_t v = gm_cbor_int(in);

	return v > -1000 && v < 1000 ? (int32_t)v : 0;
}

/* Any array is one; which it is, is judged with the algorithm. */
static void read_caps(struct gm_in *in, void *to)
{
	struct gm_admin_caps *caps = to, found = {0};

	if (gm_cbor_peek(in) != GM_CBOR_ARRAY) {
		gm_in_fail(in, GM_E_TYPE);
		return;
	}
	struct gm_in item = gm_in_bytes(gm_cbor_item(in));
	bool two = gm_cbor_array(&item) == 2 && gm_cbor_array(&item) == 1; /* NOLINT(misc-redundant-expression): each reads on */
	found.kty = small_int(&item);
	uint64_t n = gm_cbor_array(&item);
	bool same = small_int(&item) == found.kty;
	if (n == 2)
		found.crv = small_int(&item);
	bool good = two && same && (n == 1 || (n == 2 && found.crv)) && gm_cbor_end(&item) == GM_E_OK;
	*caps = good ? found : (struct gm_admin_caps){0};
}

static void write_caps(struct gm_out *out, const void *from)
{
	const struct gm_admin_caps *caps = from;

	gm_cbor_put_array(out, 2);
	gm_cbor_put_array(out, 1);
	gm_cbor_put_int(out, caps->kty);
	gm_cbor_put_array(out, caps->crv ? 2 : 1);
	gm_cbor_put_int(out, caps->kty);
	if (caps->crv)
		gm_cbor_put_int(out, caps->crv);
}

static void read_text(struct gm_in *in, void *to)
{
	*(struct gm_bytes *)to = gm_cbor_tstr(in);
}

static void write_text(struct gm_out *out, const void *from)
{
	const struct gm_bytes *text = from;

	gm_cbor_put_tstr(out, text->p, text->n);
}

static void read_uint(struct gm_in *in, void *to)
{
	uint64_t v = gm_cbor_uint(in);

	if (v > INT64_MAX)
		gm_in_fail(in, GM_E_RANGE);
	else
		*(int64_t *)to = (int64_t)v;
}

static void write_uint(struct gm_out *out, const void *from)
{
	gm_cbor_put_uint(out, (uint64_t)*(const int64_t *)from);
}

static void read_names(struct gm_in *in, void *to)
{
	struct gm_bytes item = gm_cbor_item(in);

	if (in->err == GM_E_OK && !gm_list_decode(item, GM_CBOR_TSTR, to))
		gm_in_fail(in, GM_E_TYPE);
}

static void write_names(struct gm_out *out, const void *from)
{
	gm_list_encode(out, *(const struct gm_list *)from);
}

/* 0, the method to synchronize sequence numbers, has no value registered, so none can be good. */
static void read_policies(struct gm_in *in, void *to)
{
	struct gm_policies *p = to;

	*p = (struct gm_policies){-1, -1};
	for (uint64_t n = gm_cbor_map(in); n && in->err == GM_E_OK; n--) {
		uint64_t policy = gm_cbor_uint(in);
		int64_t *value = policy == GM_POLICY_CHECK_INTERVAL     ? &p->check_interval
		                 : policy == GM_POLICY_EXPIRATION_DELTA ? &p->expiration_delta
		                                                        : NULL;
		uint64_t v = gm_cbor_uint(in);
		if (!value || v > UINT32_MAX)
			gm_in_fail(in, GM_E_RANGE);
		else if (*value >= 0)
			gm_in_fail(in, GM_E_DUPLICATE);
		else
			*value = (int64_t)v;
	}
}

static void write_policies(struct gm_out *out, const void *from)
{
	const struct gm_policies *p = from;

	gm_cbor_put_map(out, (p->check_interval >= 0) + (uint64_t)(p->expiration_delta >= 0));
	if (p->check_interval >= 0)
		gm_pair_int(out, GM_POLICY_CHECK_INTERVAL, p->check_interval);
	if (p->expiration_delta >= 0)
		gm_pair_int(out, GM_POLICY_EXPIRATION_DELTA, p->expiration_delta);
}

/* ---- the table of parameters */

enum kind { KIND_ALG, KIND_INT, KIND_BOOL, KIND_CAPS, KIND_TEXT, KIND_UINT, KIND_NAMES, KIND_POLICIES, KIND_DIFF };

static const struct {
	void (*read)(struct gm_in *in, void *to);
	void (*write)(struct gm_out *out, const void *from);
	size_t size;
} kinds[] = {
    [KIND_ALG] = {read_alg, write_int, sizeof(int32_t)},
    [KIND_INT] = {read_int, write_int, sizeof(int32_t)},
    [KIND_BOOL] = {read_bool, write_bool, sizeof(bool)},
    [KIND_CAPS] = {read_caps, write_caps, sizeof(struct gm_admin_caps)},
    [KIND_TEXT] = {read_text, write_text, sizeof(struct gm_bytes)},
    [KIND_UINT] = {read_uint, write_uint, sizeof(int64_t)},
    [KIND_NAMES] = {read_names, write_names, sizeof(struct gm_list)},
    [KIND_POLICIES] = {read_policies, write_policies, sizeof(struct gm_policies)},
    [KIND_DIFF] = {NULL, NULL, 0},
};

static const struct row {
	int32_t label;
	enum kind kind;
	bool nullable;
	size_t at;
	const char *name;
} rows[GM_ADMIN_N] = {
#define ROW(PARAM, label, kind, nullable, field)                                                                       \
	[GM_ADMIN_##PARAM] = {label, kind, nullable, offsetof(struct gm_admin_map, field), #field}
    ROW(HKDF, -1, KIND_ALG, false, hkdf),
    ROW(CRED_FMT, -2, KIND_INT, false, cred_fmt),
    ROW(GROUP_MODE, -3, KIND_BOOL, false, group_mode),
    ROW(GP_ENC_ALG, -4, KIND_ALG, true, gp_enc_alg),
    ROW(SIGN_ALG, -5, KIND_ALG, true, sign_alg),
    ROW(SIGN_PARAMS, -6, KIND_CAPS, true, sign_params),
    ROW(PAIRWISE_MODE, -7, KIND_BOOL, false, pairwise_mode),
    ROW(ALG, -8, KIND_ALG, true, alg),
    ROW(ECDH_ALG, -9, KIND_ALG, true, ecdh_alg),
    ROW(ECDH_PARAMS, -10, KIND_CAPS, true, ecdh_params),
    ROW(RT, -11, KIND_TEXT, false, rt),
    ROW(ACTIVE, -12, KIND_BOOL, false, active),
    ROW(GROUP_NAME, -13, KIND_TEXT, false, group_name),
    ROW(GROUP_DESCRIPTION, -14, KIND_TEXT, true, group_description),
    ROW(MAX_STALE_SETS, -15, KIND_UINT, false, max_stale_sets),
    ROW(GID_REUSE, -16, KIND_BOOL, false, gid_reuse),
    ROW(APP_GROUPS, -17, KIND_NAMES, false, app_groups),
    ROW(JOINING_URI, -18, KIND_TEXT, false, joining_uri),
    ROW(AS_URI, -19, KIND_TEXT, false, as_uri),
    ROW(DET_REQ, -25, KIND_BOOL, false, det_req),
    ROW(DET_HASH_ALG, -26, KIND_ALG, false, det_hash_alg),
    ROW(PROFILE, GM_LABEL_PROFILE, KIND_INT, false, profile),
    ROW(EXP, GM_LABEL_EXP, KIND_UINT, false, exp),
    ROW(GROUP_POLICIES, GM_LABEL_GROUP_POLICIES, KIND_POLICIES, false, policies),
    [GM_ADMIN_APP_GROUPS_DIFF] = {-28, KIND_DIFF, false, 0, "app_groups_diff"},
#undef ROW
};

const char *gm_admin_name(enum gm_admin_param param)
{
	return param == GM_ADMIN_GROUP_POLICIES ? "group_policies" : param < GM_ADMIN_N ? rows[param].name : "payload";
}

static enum gm_admin_param param_of(int64_t label)
{
	unsigned i = 0;

	while (i < GM_ADMIN_N && rows[i].label != label)
		i++;
	return (enum gm_admin_param)i;
}

/* ---- reading */

static void read_diff(struct gm_in *in, struct gm_admin_map *map)
{
	if (gm_cbor_array(in) != 2)
		gm_in_fail(in, GM_E_TYPE);
	read_names(in, &map->del);
	read_names(in, &map->add);
}

static void read_value(struct gm_in *in, struct gm_admin_map *map, enum gm_admin_param param)
{
	const struct row *row = &rows[param];

	if (row->nullable && gm_cbor_is_null(in)) {
		gm_cbor_null(in);
		map->null |= GM_ADMIN_BIT(param);
	} else if (row->kind == KIND_DIFF) {
		read_diff(in, map);
	} else if (param == GM_ADMIN_GROUP_NAME && gm_cbor_peek(in) == GM_CBOR_TAG) {
		map->name_pattern = gm_cbor_item(in);
	} else {
		kinds[row->kind].read(in, (uint8_t *)map + row->at);
	}
}

enum gm_err gm_admin_decode(struct gm_bytes payload, struct gm_admin_map *map, enum gm_admin_param *at)
{
	struct gm_in in = gm_in_bytes(payload);

	*map = (struct gm_admin_map){.policies = {-1, -1}};
	*at = GM_ADMIN_N;
	for (uint64_t left = gm_cbor_map(&in); left && in.err == GM_E_OK; left--) {
		enum gm_cbor_type type = gm_cbor_peek(&in);
		*at = type == GM_CBOR_UINT || type == GM_CBOR_NINT ? param_of(gm_cbor_int(&in)) : GM_ADMIN_N;
		if (*at == GM_ADMIN_N) {
			if (type != GM_CBOR_UINT && type != GM_CBOR_NINT)
				gm_cbor_skip(&in);
			gm_cbor_skip(&in);
			map->unknown = true;
			continue;
		}
		if (map->has & GM_ADMIN_BIT(*at))
			gm_in_fail(&in, GM_E_DUPLICATE);
		map->has |= GM_ADMIN_BIT(*at);
		read_value(&in, map, *at);
	}
	return gm_cbor_end(&in);
}

enum gm_err gm_admin_filter_decode(struct gm_bytes payload, uint32_t *mask)
{
	static const struct gm_field fields[] = {{LABEL_CONF_FILTER, GM_FIELD_ARRAY, 0}};
	struct gm_bytes array = {0};

	*mask = 0;
	GM_TRY(gm_fields_decode(payload, fields, 1, &array));
	if (!array.p)
		return GM_E_MISSING;
	struct gm_in in = gm_in_bytes(array);
	for (uint64_t left = gm_cbor_array(&in); left && in.err == GM_E_OK; left--) {
		enum gm_admin_param param = param_of(gm_cbor_int(&in));
		if (param < GM_ADMIN_N)
			*mask |= GM_ADMIN_BIT(param);
	}
	return gm_cbor_end(&in);
}

void gm_admin_filter_encode(struct gm_out *out, uint32_t mask)
{
	gm_cbor_put_map(out, 1);
	gm_cbor_put_int(out, LABEL_CONF_FILTER);
	gm_cbor_put_array(out, (uint64_t)__builtin_popcount(mask));
	for (unsigned i = 0; i < GM_ADMIN_N; i++)
		if (mask & GM_ADMIN_BIT(i))
			gm_cbor_put_int(out, rows[i].label);
}

/* ---- writing */

static void write_value(struct gm_out *out, const struct gm_admin_map *map, enum gm_admin_param param)
{
	if (map->null & GM_ADMIN_BIT(param)) {
		gm_cbor_put_null(out);
	} else if (rows[param].kind == KIND_DIFF) {
		gm_cbor_put_array(out, 2);
		gm_list_encode(out, map->del);
		gm_list_encode(out, map->add);
	} else if (param == GM_ADMIN_GROUP_NAME && map->name_pattern.p) {
		gm_out_bytes(out, map->name_pattern.p, map->name_pattern.n);
	} else {
		kinds[rows[param].kind].write(out, (const uint8_t *)map + rows[param].at);
	}
}

void gm_admin_encode(struct gm_out *out, const struct gm_admin_map *map, uint32_t mask)
{
	mask &= map->has;
	gm_cbor_put_map(out, (uint64_t)__builtin_popcount(mask));
	for (unsigned i = 0; i < GM_ADMIN_N; i++) {
		if (!(mask & GM_ADMIN_BIT(i)))
			continue;
		gm_cbor_put_int(out, rows[i].label);
		write_value(out, map, (enum gm_admin_param)i);
	}
}

void gm_admin_overlay(struct gm_admin_map *to, const struct gm_admin_map *from, uint32_t mask)
{
	mask &= from->has & ~GM_ADMIN_BIT(GM_ADMIN_APP_GROUPS_DIFF);
	for (unsigned i = 0; i < GM_ADMIN_N; i++)
		if (mask & GM_ADMIN_BIT(i))
			memcpy((uint8_t *)to + rows[i].at, (const uint8_t *)from + rows[i].at, kinds[rows[i].kind].size);
	to->has |= mask;
	to->null = (to->null & ~mask) | (from->null & mask);
}

bool gm_admin_same(const struct gm_admin_map *a, const struct gm_admin_map *b, enum gm_admin_param param)
{
	uint8_t one[1024], two[1024];
	struct gm_out x = gm_out(one, sizeof(one)), y = gm_out(two, sizeof(two));

	if ((a->has ^ b->has) & GM_ADMIN_BIT(param))
		return false;
	gm_admin_encode(&x, a, GM_ADMIN_BIT(param));
	gm_admin_encode(&y, b, GM_ADMIN_BIT(param));
	return x.err == GM_E_OK && y.err == GM_E_OK && gm_bytes_eq(gm_out_result(&x), gm_out_result(&y));
}

/* ---- lists of names */

static bool has_name(struct gm_list list, struct gm_bytes name)
{
	struct gm_bytes v;

	while (gm_list_tstr(&list, &v))
		if (gm_bytes_eq(v, name))
			return true;
	return false;
}

bool gm_admin_names_meet(struct gm_list a, struct gm_list b)
{
	struct gm_bytes v;

	while (gm_list_tstr(&a, &v))
		if (has_name(b, v))
			return true;
	return false;
}

struct gathered {
	struct gm_out out;
	uint64_t n;
};

static void gather(struct gathered *g, struct gm_bytes name)
{
	struct gm_list so_far = {.in = gm_in_bytes(gm_out_result(&g->out)), .n = g->n};

	if (has_name(so_far, name))
		return;
	gm_cbor_put_tstr(&g->out, name.p, name.n);
	g->n++;
}

void gm_admin_names_encode(struct gm_out *out, struct gm_list base, struct gm_list del, struct gm_list add)
{
	uint8_t body[GM_ADMIN_APP_GROUPS_MAX];
	struct gathered g = {.out = gm_out(body, sizeof(body))};
	struct gm_bytes v;

	while (g.out.err == GM_E_OK && gm_list_tstr(&base, &v))
		if (!has_name(del, v))
			gather(&g, v);
	while (g.out.err == GM_E_OK && gm_list_tstr(&add, &v))
		gather(&g, v);
	if (g.out.err != GM_E_OK) {
		out->err = GM_E_ROOM;
		return;
	}
	gm_cbor_put_array(out, g.n);
	gm_out_bytes(out, body, gm_out_len(&g.out));
}

/* ---- scopes */

bool gm_admin_pattern_takes(struct gm_bytes toid, struct gm_bytes name)
{
	struct gm_in in = gm_in_bytes(toid);
	enum gm_cbor_type type = gm_cbor_peek(&in);

	if (type == GM_CBOR_SIMPLE)
		return gm_cbor_bool(&in) && gm_cbor_end(&in) == GM_E_OK;
	if (type == GM_CBOR_TAG && gm_cbor_tag(&in) != TAG_IREGEXP)
		return false;
	struct gm_bytes text = gm_cbor_tstr(&in);
	if (gm_cbor_end(&in) != GM_E_OK)
		return false;
	return type == GM_CBOR_TAG ? gm_iregexp_match(text, name) : gm_bytes_eq(text, name);
}

bool gm_admin_scope(struct gm_bytes scope)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;

	while (gm_scope_next(&it, &e))
		if (e.admin)
			return true;
	return false;
}

uint32_t gm_admin_perms(struct gm_bytes scope, struct gm_bytes name)
{
	struct gm_scope_iter it = gm_scope_iter(scope);
	struct gm_scope_entry e;
	uint32_t perms = 0;

	while (gm_scope_next(&it, &e))
		if (e.admin && gm_admin_pattern_takes(e.name, name))
			perms |= GM_PERM_LIST | e.perm;
	return perms;
}

void gm_admin_link(struct gm_out *out, struct gm_bytes name)
{
	static const char head[] = "</manage/", tail[] = ">;rt=\"" GM_ADMIN_RT_GCONF "\"";

	if (gm_out_len(out))
		gm_out_u8(out, ',');
	gm_out_bytes(out, head, sizeof(head) - 1);
	gm_out_bytes(out, name.p, name.n);
	gm_out_bytes(out, tail, sizeof(tail) - 1);
}
