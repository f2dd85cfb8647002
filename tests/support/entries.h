/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the audit log as core made them, a line each. */
#ifndef GM_TEST_ENTRIES_H
#define GM_TEST_ENTRIES_H

#include "store/store.h"

struct entries {
	char *text;
	size_t n;
};
bool entries_take(struct entries *e, const struct gm_change *c); /* false: the change is none */
/* How many have the event, and this in their text; NULL: any */
unsigned entries_of(const struct entries *e, const char *event, const char *with);
unsigned entries_n(const struct entries *e);
void entries_free(struct entries *e);

#endif
