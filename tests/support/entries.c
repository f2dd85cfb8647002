/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include <stdio.h>
#include <stdlib.h>

bool entries_take(struct entries *e, const struct gm_change *c)
{
	if (c->table != GM_TABLE_AUDIT)
		return false;
	e->text = realloc(e->text, e->n + c->value_n + 3);
	e->text[e->n++] = ',';
	memcpy(e->text + e->n, c->bytes + c->key_n, c->value_n);
	e->n += c->value_n;
	e->text[e->n++] = '\n';
	e->text[e->n] = 0;
	return true;
}

static unsigned count(const struct entries *e, const char *first, const char *second)
{
	unsigned n = 0;

	for (const char *line = e->text, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (memmem(line, (size_t)(end - line), first, strlen(first)) && memmem(line, (size_t)(end - line), second, strlen(second)))
			n++;
	}
	return n;
}

unsigned entries_of(const struct entries *e, const char *event, const char *with)
{
	char is[64];

	snprintf(is, sizeof(is), ",\"event\":\"%s\"", event);
	return count(e, is, with ? with : "");
}

unsigned entries_n(const struct entries *e)
{
	return count(e, "", "");
}

void entries_free(struct entries *e)
{
	free(e->text);
	*e = (struct entries){0};
}
