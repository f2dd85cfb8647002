/* SPDX-License-Identifier: Apache-2.0 */
/* Which records were changed since somebody else read the store, so that only these have to be read again. Keys alone, no values. */
#ifndef GM_CHANGED_H
#define GM_CHANGED_H

#include "store/store.h"

#define GM_CHANGED_MAX ((size_t)4 << 20) /* bytes; 400,000 members, 90,000 keys of the longest, beyond: lost */

struct gm_changed { /* zeros at first */
	uint8_t *bytes; /* of each: table u8, length of the key u8, key. Some come more than once */
	size_t n, cap;
	bool on, lost; /* lost: nobody can say what has changed */
};
void gm_changed_begin(struct gm_changed *c); /* from now on */
void gm_changed_note(struct gm_changed *c, const struct gm_changes *turn); /* that is committed. No entries of the audit log */
void gm_changed_end(struct gm_changed *c);

struct gm_changed_key {
	uint8_t table, key_n, key[GM_KEY_MAX];
};
/* Each key once, sorted by table and key. free(*keys). BAD_FORMAT: there are no such keys; NO_MEMORY */
GM_NODISCARD enum gm_err gm_changed_keys(struct gm_bytes bytes, struct gm_changed_key **keys, size_t *n);

#endif
