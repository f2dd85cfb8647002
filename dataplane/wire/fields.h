/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR maps with integer labels, read by a table: one row per label that is known. */
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
#define GM_FIELDS_MAX 31u
#define GM_FIELDS_UNKNOWN (1u << 31)
#define GM_FIELDS_N(fields) (sizeof(fields) / sizeof((fields)[0]))

/* Read the map that comes next into the struct `to`; places of absent labels stay as they are. Bit i of the answer is
 * set where fields[i] was there, GM_FIELDS_UNKNOWN where a pair with another label was skipped. n <= GM_FIELDS_MAX.
 * Errors are kept in the cursor: DUPLICATE for a known label that comes twice, else those of cbor.h. */
uint32_t gm_fields_read(struct gm_in *in, const struct gm_field *fields, size_t n, void *to);

#endif
