/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR maps with integer labels, read by a table: one row per label that is known; and arrays of one type. */
#ifndef GM_WIRE_FIELDS_H
#define GM_WIRE_FIELDS_H

#include "wire/cbor.h"

enum gm_field_kind {
	GM_FIELD_BSTR,  /* struct gm_bytes: contents */
	GM_FIELD_TSTR,  /* struct gm_bytes: contents */
	GM_FIELD_INT32, /* int32_t; RANGE beyond */
	GM_FIELD_UINT,  /* int64_t, not negative; RANGE beyond */
	GM_FIELD_ITEM,  /* struct gm_bytes: the raw item, whatever it is */
	GM_FIELD_ARRAY, /* struct gm_bytes: the raw array */
	GM_FIELD_MAP,   /* struct gm_bytes: the raw map */
};

struct gm_field {
	int32_t label;
	enum gm_field_kind kind;
	size_t at; /* offset in the struct that is filled */
};
#define GM_FIELDS_UNKNOWN (1u << 31)
#define GM_FIELDS_N(fields) (sizeof(fields) / sizeof((fields)[0]))

/* Read the map that comes next into the struct `to`; places of absent labels stay as they are. Bit i of the answer is
 * set where fields[i] was there, GM_FIELDS_UNKNOWN where a pair with another label was skipped. n <= 31.
 * Errors are kept in the cursor: DUPLICATE for a known label that comes twice, else those of cbor.h. */
uint32_t gm_fields_read(struct gm_in *in, const struct gm_field *fields, size_t n, void *to);
/* A whole map and nothing behind it. SHORT where map is empty, else what the cursor says. */
GM_NODISCARD enum gm_err gm_fields_decode(struct gm_bytes map, const struct gm_field *fields, size_t n, void *to);

/* Pairs of a map */
void gm_pair_int(struct gm_out *out, int32_t label, int64_t v);
void gm_pair_bytes(struct gm_out *out, int32_t label, struct gm_bytes v);
void gm_pair_text(struct gm_out *out, int32_t label, const char *v);
void gm_pair_raw(struct gm_out *out, int32_t label, struct gm_bytes item); /* CBOR as it is */

/* ---- arrays of one type, checked once and walked as often as needed: a copy of the struct is a fresh walk */

struct gm_list { /* elements that are left, borrowed */
	struct gm_in in;
	uint64_t n;
};
/* true where item is one array of elements of this type: GM_CBOR_BSTR, GM_CBOR_TSTR or GM_CBOR_UINT */
GM_NODISCARD bool gm_list_decode(struct gm_bytes item, enum gm_cbor_type type, struct gm_list *list);
void gm_list_encode(struct gm_out *out, struct gm_list list);
/* The next element; false at the end, or where the list is of another type. */
GM_NODISCARD bool gm_list_bstr(struct gm_list *list, struct gm_bytes *v);
GM_NODISCARD bool gm_list_tstr(struct gm_list *list, struct gm_bytes *v);
GM_NODISCARD bool gm_list_uint(struct gm_list *list, uint64_t *v);

#endif
