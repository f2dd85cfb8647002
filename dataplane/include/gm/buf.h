/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded cursors. A cursor keeps its first error; after it every read gives zero or empty and every write is
 * dropped, so that codecs read straight down and ask once. Borrowed memory, no allocation, any thread. */
#ifndef GM_BUF_H
#define GM_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gm/err.h"

struct gm_bytes { /* borrowed */
	const uint8_t *p;
	size_t n;
};

struct gm_in {
	const uint8_t *p, *end;
	enum gm_err err;
};

struct gm_out {
	uint8_t *start, *p, *end;
	enum gm_err err;
};

/* p, which is not NULL where clang's analyzer does not see it: bytes that have a length have a place. */
static inline const void *gm_there(const void *p)
{
#ifdef __clang_analyzer__
	if (!p)
		__builtin_unreachable();
#endif
	return p;
}

/* p may be NULL where n is 0; what is taken from it still has a p, so that empty differs from absent. */
static inline struct gm_in gm_in(const void *p, size_t n)
{
	const uint8_t *start = p ? p : (const void *)"";
	return (struct gm_in){.p = start, .end = start + n, .err = GM_E_OK};
}

static inline struct gm_in gm_in_bytes(struct gm_bytes b)
{
	return gm_in(b.p, b.n);
}

static inline struct gm_out gm_out(void *p, size_t cap)
{
	return (struct gm_out){.start = p, .p = p, .end = (uint8_t *)p + cap, .err = GM_E_OK};
}

static inline size_t gm_in_left(const struct gm_in *in)
{
	return (size_t)(in->end - in->p);
}

static inline size_t gm_out_len(const struct gm_out *out)
{
	return (size_t)(out->p - out->start);
}

static inline struct gm_bytes gm_out_result(const struct gm_out *out)
{
	return (struct gm_bytes){.p = out->start, .n = gm_out_len(out)};
}

static inline void gm_in_fail(struct gm_in *in, enum gm_err err)
{
	if (in->err == GM_E_OK)
		in->err = err;
	in->p = in->end;
}

/* Takes n bytes; on failure p is NULL and n 0. */
static inline struct gm_bytes gm_in_take(struct gm_in *in, size_t n)
{
	if (in->err != GM_E_OK || gm_in_left(in) < n) {
		gm_in_fail(in, GM_E_SHORT);
		return (struct gm_bytes){0};
	}
	struct gm_bytes b = {.p = in->p, .n = n};
	in->p += n;
	return b;
}

static inline uint8_t gm_in_u8(struct gm_in *in)
{
	struct gm_bytes b = gm_in_take(in, 1);
	return b.n ? b.p[0] : 0;
}

static inline uint64_t gm_in_be(struct gm_in *in, size_t n) /* n <= 8 */
{
	struct gm_bytes b = gm_in_take(in, n);
	uint64_t v = 0;
	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

static inline uint16_t gm_in_u16_be(struct gm_in *in)
{
	return (uint16_t)gm_in_be(in, 2);
}

/* Reserves n bytes to fill in place; NULL on failure. */
static inline uint8_t *gm_out_take(struct gm_out *out, size_t n)
{
	if (out->err != GM_E_OK || (size_t)(out->end - out->p) < n) {
		if (out->err == GM_E_OK)
			out->err = GM_E_ROOM;
		return NULL;
	}
	uint8_t *p = out->p;
	out->p += n;
	return p;
}

static inline void gm_out_bytes(struct gm_out *out, const void *p, size_t n)
{
	uint8_t *to = gm_out_take(out, n);
	if (to && n)
		memcpy(to, gm_there(p), n);
}

static inline void gm_out_u8(struct gm_out *out, uint8_t v)
{
	gm_out_bytes(out, &v, 1);
}

static inline void gm_out_be(struct gm_out *out, uint64_t v, size_t n) /* n <= 8 */
{
	uint8_t *to = gm_out_take(out, n);
	for (size_t i = 0; to && i < n; i++)
		to[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static inline bool gm_bytes_eq(struct gm_bytes a, struct gm_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(gm_there(a.p), gm_there(b.p), a.n) == 0);
}

/* true where b is the text s */
static inline bool gm_bytes_is(struct gm_bytes b, const char *s)
{
	return b.n == strlen(s) && (b.n == 0 || memcmp(gm_there(b.p), s, b.n) == 0);
}

#endif
