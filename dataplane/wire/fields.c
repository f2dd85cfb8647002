/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/fields.h"

static void read_bstr(struct gm_in *in, void *to)
{
	*(struct gm_bytes *)to = gm_cbor_bstr(in);
}

static void read_tstr(struct gm_in *in, void *to)
{
	*(struct gm_bytes *)to = gm_cbor_tstr(in);
}

static void read_int32(struct gm_in *in, void *to)
{
	int64_t v = gm_cbor_int(in);
	if (v < INT32_MIN || v > INT32_MAX)
		gm_in_fail(in, GM_E_RANGE);
	else
		*(int32_t *)to = (int32_t)v;
}

static void read_uint(struct gm_in *in, void *to)
{
	int64_t v = gm_cbor_int(in);
	if (v < 0)
		gm_in_fail(in, GM_E_RANGE);
	else
		*(int64_t *)to = v;
}

static void read_item(struct gm_in *in, void *to)
{
	*(struct gm_bytes *)to = gm_cbor_item(in);
}

static void read_typed(struct gm_in *in, enum gm_cbor_type type, void *to)
{
	if (gm_cbor_peek(in) != type)
		gm_in_fail(in, GM_E_TYPE);
	read_item(in, to);
}

static void read_array(struct gm_in *in, void *to)
{
	read_typed(in, GM_CBOR_ARRAY, to);
}

static void read_map(struct gm_in *in, void *to)
{
	read_typed(in, GM_CBOR_MAP, to);
}

static void (*const readers[])(struct gm_in *in, void *to) = {
    [GM_FIELD_BSTR] = read_bstr, [GM_FIELD_TSTR] = read_tstr, [GM_FIELD_INT32] = read_int32,
    [GM_FIELD_UINT] = read_uint, [GM_FIELD_ITEM] = read_item, [GM_FIELD_ARRAY] = read_array,
    [GM_FIELD_MAP] = read_map,
};

/* Row of the label that comes next, n where no row has it; the label is taken. */
static size_t find(struct gm_in *in, const struct gm_field *fields, size_t n)
{
	enum gm_cbor_type type = gm_cbor_peek(in);
	if (type != GM_CBOR_UINT && type != GM_CBOR_NINT) {
		gm_cbor_skip(in);
		return n;
	}
	int64_t label = gm_cbor_int(in);
	size_t i = 0;
	while (i < n && fields[i].label != label)
		i++;
	return i;
}

uint32_t gm_fields_read(struct gm_in *in, const struct gm_field *fields, size_t n, void *to)
{
	uint32_t seen = 0;

	for (uint64_t left = gm_cbor_map(in); left && in->err == GM_E_OK; left--) {
		size_t i = find(in, fields, n);
		if (i == n) {
			gm_cbor_skip(in);
			seen |= GM_FIELDS_UNKNOWN;
			continue;
		}
		if (seen & 1u << i)
			gm_in_fail(in, GM_E_DUPLICATE);
		seen |= 1u << i;
		readers[fields[i].kind](in, (uint8_t *)to + fields[i].at);
	}
	return seen;
}

enum gm_err gm_fields_decode(struct gm_bytes map, const struct gm_field *fields, size_t n, void *to)
{
	struct gm_in in = gm_in_bytes(map);
	gm_fields_read(&in, fields, n, to);
	return gm_cbor_end(&in);
}

void gm_pair_int(struct gm_out *out, int32_t label, int64_t v)
{
	gm_cbor_put_int(out, label);
	gm_cbor_put_int(out, v);
}

void gm_pair_bytes(struct gm_out *out, int32_t label, struct gm_bytes v)
{
	gm_cbor_put_int(out, label);
	gm_cbor_put_bstr(out, v.p, v.n);
}

void gm_pair_text(struct gm_out *out, int32_t label, const char *v)
{
	gm_cbor_put_int(out, label);
	gm_cbor_put_text(out, v);
}

void gm_pair_raw(struct gm_out *out, int32_t label, struct gm_bytes item)
{
	gm_cbor_put_int(out, label);
	gm_out_bytes(out, item.p, item.n);
}

/* ---- lists */

bool gm_list_decode(struct gm_bytes item, enum gm_cbor_type type, struct gm_list *list)
{
	struct gm_in in = gm_in_bytes(item);
	uint64_t n = gm_cbor_array(&in);

	*list = (struct gm_list){in, n};
	for (; n && in.err == GM_E_OK; n--) {
		bool right = gm_cbor_peek(&in) == type;
		struct gm_in element = gm_in_bytes(gm_cbor_item(&in));
		if (!right || (type == GM_CBOR_TSTR && (gm_cbor_tstr(&element), element.err != GM_E_OK)))
			gm_in_fail(&in, GM_E_TYPE);
	}
	return gm_cbor_end(&in) == GM_E_OK;
}

void gm_list_encode(struct gm_out *out, struct gm_list list)
{
	gm_cbor_put_array(out, list.n);
	gm_out_bytes(out, list.in.p, gm_in_left(&list.in));
}

/* true where one more element is to be read */
static bool step(struct gm_list *list)
{
	if (!list->n)
		return false;
	list->n--;
	return true;
}

bool gm_list_bstr(struct gm_list *list, struct gm_bytes *v)
{
	if (!step(list))
		return false;
	*v = gm_cbor_bstr(&list->in);
	return list->in.err == GM_E_OK;
}

bool gm_list_tstr(struct gm_list *list, struct gm_bytes *v)
{
	if (!step(list))
		return false;
	*v = gm_cbor_tstr(&list->in);
	return list->in.err == GM_E_OK;
}

bool gm_list_uint(struct gm_list *list, uint64_t *v)
{
	if (!step(list))
		return false;
	*v = gm_cbor_uint(&list->in);
	return list->in.err == GM_E_OK;
}
