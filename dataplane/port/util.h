/* SPDX-License-Identifier: Apache-2.0 */
/* What several ports need: a stack of free buffer numbers 0..cap-1 (one thread), and a look at addresses. */
#ifndef GM_PORT_UTIL_H
#define GM_PORT_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gm_free {
	uint32_t *at;
	uint32_t n, cap;
};

static inline bool gm_free_start(struct gm_free *f, uint32_t cap)
{
	*f = (struct gm_free){.at = malloc(cap * sizeof(*f->at)), .n = cap, .cap = cap};
	for (uint32_t i = 0; f->at && i < cap; i++)
		f->at[i] = cap - 1 - i;
	return f->at != NULL;
}

static inline void gm_free_end(struct gm_free *f)
{
	free(f->at);
}

static inline bool gm_free_get(struct gm_free *f, uint32_t *buf)
{
	if (f->n == 0)
		return false;
	*buf = f->at[--f->n];
	return true;
}

static inline void gm_free_put(struct gm_free *f, uint32_t buf)
{
	f->at[f->n++] = buf;
}

static inline bool gm_is_v4(const uint8_t ip[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, mapped, 12) == 0;
}

/* :: or 0.0.0.0 */
static inline bool gm_is_any(const uint8_t ip[static 16])
{
	static const uint8_t zero[16];

	return memcmp(ip, zero, gm_is_v4(ip) ? 0 : 12) == 0 && memcmp(ip + 12, zero, 4) == 0;
}

/* 127.0.0.0/8 or ::1: never comes by a link, nor goes there */
static inline bool gm_is_loopback(const uint8_t ip[static 16])
{
	static const uint8_t one[16] = {[15] = 1};

	return gm_is_v4(ip) ? ip[12] == 127 : memcmp(ip, one, 16) == 0;
}

#endif
