/* SPDX-License-Identifier: Apache-2.0 */
/* What a core is and what it has told workers, as sorted lines of text: two that are the same have the same. */
#ifndef GM_TEST_LINES_H
#define GM_TEST_LINES_H

#include "core/core.h"

struct lines { /* zeros at first */
	char **at;
	size_t n, cap;
};
void lines_add(struct lines *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lines_sort(struct lines *l);
void lines_free(struct lines *l);

/* All that decides what core does later, but not where it lies in memory. */
void lines_of_core(struct lines *l, const struct gm_core *core);
/* What changes a turn would store; gm_changes of any order. */
void lines_of_changes(struct lines *l, const struct gm_changes *changes);

/* ---- what workers know, by the effects so far; of those that a core's load makes */
struct known { /* zeros at first */
	struct known_row {
		char key[64], *value;
		uint32_t cred, cred_n; /* in core's words */
	} * row;
	size_t n, cap;
};
void known_take(struct known *k, const struct gm_effects *effects); /* aborts at any other effect */
void known_lines(const struct known *k, const struct gm_core *core, struct lines *l);
void known_free(struct known *k);

#endif
