/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR, RFC 8949: a bounded reader over gm_in and a writer over gm_out. No allocation; nothing is copied.
 *
 * Readers fail with SHORT, TYPE, RANGE, DEPTH or MALFORMED, kept in the cursor. Indefinite lengths are refused with
 * MALFORMED: the formats here are deterministic or come from peers that send definite lengths.
 * Non-minimal heads are accepted on input. Writers emit shortest heads.
 */
#ifndef GM_WIRE_CBOR_H
#define GM_WIRE_CBOR_H

#include "gm/buf.h"

enum gm_cbor_type { /* what comes next */
	GM_CBOR_UINT,
	GM_CBOR_NINT,
	GM_CBOR_BSTR,
	GM_CBOR_TSTR,
	GM_CBOR_ARRAY,
	GM_CBOR_MAP,
	GM_CBOR_TAG,
	GM_CBOR_SIMPLE, /* false, true, null, undefined, floats */
	GM_CBOR_END,    /* nothing left, or the cursor has failed */
};

#define GM_CBOR_DEPTH_MAX 16u

enum gm_cbor_type gm_cbor_peek(const struct gm_in *in);
uint64_t gm_cbor_uint(struct gm_in *in);
int64_t gm_cbor_int(struct gm_in *in); /* RANGE beyond int64_t */
struct gm_bytes gm_cbor_bstr(struct gm_in *in);
struct gm_bytes gm_cbor_tstr(struct gm_in *in); /* MALFORMED unless UTF-8 */
/* Bytes of the UTF-8 sequence at p, of which left, at least one, are there; 0: there is none.  RFC 3629 §4 */
size_t gm_utf8_len(const uint8_t *p, size_t left);
uint32_t gm_utf8_char(const uint8_t *p, size_t len); /* the character of a sequence of that length */
bool gm_utf8_hides(uint32_t c); /* controls, C1's too, which terminals obey, and what turns the direction of the text around it */
/* Copies it, with '?' for each of those and for each byte that is no UTF-8. to: room for n bytes; may be where p is. Bytes of it */
size_t gm_utf8_shown(char *to, const uint8_t *p, size_t n);
uint64_t gm_cbor_array(struct gm_in *in);       /* number of elements; RANGE if more than bytes are left */
uint64_t gm_cbor_map(struct gm_in *in);         /* number of pairs; RANGE likewise */
uint64_t gm_cbor_tag(struct gm_in *in);
bool gm_cbor_bool(struct gm_in *in);
void gm_cbor_null(struct gm_in *in);
bool gm_cbor_is_null(const struct gm_in *in); /* looks only */
struct gm_bytes gm_cbor_item(struct gm_in *in); /* one whole item, unread, checked for well-formedness */
void gm_cbor_skip(struct gm_in *in);
/* TRAILING where bytes are left; returns the cursor's error */
GM_NODISCARD enum gm_err gm_cbor_end(struct gm_in *in);

void gm_cbor_put_uint(struct gm_out *out, uint64_t v);
void gm_cbor_put_int(struct gm_out *out, int64_t v);
void gm_cbor_put_bstr(struct gm_out *out, const void *p, size_t n);
void gm_cbor_put_tstr(struct gm_out *out, const void *p, size_t n);
void gm_cbor_put_text(struct gm_out *out, const char *s);
void gm_cbor_put_array(struct gm_out *out, uint64_t n);
void gm_cbor_put_map(struct gm_out *out, uint64_t n);
void gm_cbor_put_tag(struct gm_out *out, uint64_t tag);
void gm_cbor_put_bool(struct gm_out *out, bool v);
void gm_cbor_put_null(struct gm_out *out);
/* Head of a byte string whose n bytes the caller writes next. */
void gm_cbor_put_bstr_head(struct gm_out *out, uint64_t n);

#endif
