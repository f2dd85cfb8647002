/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trl.h"

#include "wire/fields.h"

#define HASH_N 33u /* its name, and SHA-256                                                RFC 6920 §6 */

enum { FULL_SET, DIFF_SET, CURSOR, MORE };                                                /* RFC 9770 §12 */
enum { PROBLEM_TRL_ERROR = 1 };
enum { ERROR_ID, ERROR_CURSOR };                                                         /* RFC 9770 §6.1 */

struct sets {
	struct gm_bytes full, diff, cursor, more;
};

static const struct gm_field set_fields[] = {
    {FULL_SET, GM_FIELD_ARRAY, offsetof(struct sets, full)},
    {DIFF_SET, GM_FIELD_ARRAY, offsetof(struct sets, diff)},
    {CURSOR, GM_FIELD_ITEM, offsetof(struct sets, cursor)},
    {MORE, GM_FIELD_ITEM, offsetof(struct sets, more)},
};

struct entry { /* of a diff set */
	struct gm_list removed, added;
};

/* An unsigned integer or null; absent is as null. */
static bool read_cursor(struct gm_bytes item, bool *has, uint64_t *cursor)
{
	struct gm_in in = gm_in_bytes(item);

	*has = false;
	if (!item.p || (gm_cbor_is_null(&in) && item.n == 1))
		return true;
	*cursor = gm_cbor_uint(&in);
	*has = gm_cbor_end(&in) == GM_E_OK;
	return *has;
}

static bool read_more(struct gm_bytes item, bool *more)
{
	struct gm_in in = gm_in_bytes(item);

	*more = item.p && gm_cbor_bool(&in);
	return gm_cbor_end(&in) == GM_E_OK;
}

/* An array of hashes */
static bool read_hashes(struct gm_bytes item, struct gm_list *list)
{
	if (!item.p || !gm_list_decode(item, GM_CBOR_BSTR, list))
		return false;
	struct gm_list walk = *list;
	struct gm_bytes hash;
	bool good = true;
	while (gm_list_bstr(&walk, &hash))
		good = good && hash.n == HASH_N;
	return good;
}

/* [removed, added] */
static bool read_entry(struct gm_in *in, struct entry *e)
{
	if (gm_cbor_array(in) != 2)
		return false;
	struct gm_bytes removed = gm_cbor_item(in), added = gm_cbor_item(in);
	return in->err == GM_E_OK && read_hashes(removed, &e->removed) && read_hashes(added, &e->added);
}

static bool read_entries(struct gm_bytes item, struct entry *e, unsigned *n)
{
	struct gm_in in = gm_in_bytes(item);
	uint64_t count = gm_cbor_array(&in);

	*n = 0;
	if (in.err != GM_E_OK || count > GM_TRL_DIFF_MAX)
		return false;
	while (*n < count)
		if (!read_entry(&in, &e[(*n)++]))
			return false;
	return gm_cbor_end(&in) == GM_E_OK;
}

static void tell(struct gm_list list, enum gm_trl_op op, void (*each)(void *, enum gm_trl_op, struct gm_bytes), void *arg)
{
	struct gm_bytes hash;

	while (gm_list_bstr(&list, &hash))
		each(arg, op, hash);
}

enum gm_err gm_trl_decode(struct gm_bytes body, struct gm_trl *trl, void (*each)(void *, enum gm_trl_op, struct gm_bytes),
                          void *arg)
{
	struct sets s = {0};
	struct entry entries[GM_TRL_DIFF_MAX];
	struct gm_list full;

	*trl = (struct gm_trl){0};
	GM_TRY(gm_fields_decode(body, set_fields, GM_FIELDS_N(set_fields), &s));
	struct gm_trl t = {.full = s.full.p != NULL};
	if (t.full == (s.diff.p != NULL) || !read_cursor(s.cursor, &t.has_cursor, &t.cursor) || !read_more(s.more, &t.more))
		return GM_E_MALFORMED;
	if (t.full ? !read_hashes(s.full, &full) : !read_entries(s.diff, entries, &t.entries))
		return GM_E_MALFORMED;
	if (t.full) {
		t.more = false;
		tell(full, GM_TRL_LISTED, each, arg);
	}
	for (unsigned i = t.entries; i--;) { /* the newest stands first: what came later has the last word */
		tell(entries[i].removed, GM_TRL_REMOVED, each, arg);
		tell(entries[i].added, GM_TRL_LISTED, each, arg);
	}
	*trl = t;
	return GM_E_OK;
}

struct problem {
	struct gm_bytes trl_error;
};

static const struct gm_field problem_fields[] = {
    {PROBLEM_TRL_ERROR, GM_FIELD_MAP, offsetof(struct problem, trl_error)},
};

struct trl_error {
	int64_t id;
	struct gm_bytes cursor;
};

static const struct gm_field error_fields[] = {
    {ERROR_ID, GM_FIELD_UINT, offsetof(struct trl_error, id)},
    {ERROR_CURSOR, GM_FIELD_ITEM, offsetof(struct trl_error, cursor)},
};

bool gm_trl_error_decode(struct gm_bytes body, unsigned *id, bool *has_cursor, uint64_t *cursor)
{
	struct problem p = {0};
	struct trl_error e = {.id = -1};

	*has_cursor = false;
	if (gm_fields_decode(body, problem_fields, GM_FIELDS_N(problem_fields), &p) != GM_E_OK || !p.trl_error.p ||
	    gm_fields_decode(p.trl_error, error_fields, GM_FIELDS_N(error_fields), &e) != GM_E_OK || e.id < 0 ||
	    e.id > INT32_MAX || !read_cursor(e.cursor, has_cursor, cursor))
		return false;
	*id = (unsigned)e.id;
	return true;
}
