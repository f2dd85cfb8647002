/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings that one thread writes and others read meanwhile: who reads one that is being replaced gets anything, and has
 * to find that out by itself, but there is no race. What is dropped keeps its bytes until the next settle(), so that what
 * is decided first and published later leaves alone what others are still to see. Nothing of it is secret. */
#ifndef GM_WORDS_H
#define GM_WORDS_H

#include <stdatomic.h>

#include "gm/buf.h"

#define GM_WORDS_STRING_MAX 960u /* bytes */

struct gm_words;
GM_NODISCARD struct gm_words *gm_words_new(uint64_t bytes_max); /* of address space; NULL: out of memory */
void gm_words_free(struct gm_words *w);

/* ---- the writer */
GM_NODISCARD uint32_t gm_words_put(struct gm_words *w, struct gm_bytes b); /* a copy; 0: empty, too long, or there is no room */
void gm_words_drop(struct gm_words *w, uint32_t h, size_t n); /* n: bytes, as they were put. h 0 does nothing */
void gm_words_settle(struct gm_words *w);                     /* what was dropped may be written over from here on */
size_t gm_words_bytes(const struct gm_words *w);              /* used so far */
struct gm_bytes gm_words_at(const struct gm_words *w, uint32_t h, size_t n);

/* ---- any thread: n bytes, in whole words; false: nothing can be there */
void gm_words_ahead(const struct gm_words *w, uint32_t h, size_t n); /* they will be read soon; any h */
GM_NODISCARD bool gm_words_read(const struct gm_words *w, uint32_t h, size_t n, uint64_t *to);

#endif
